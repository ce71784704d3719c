/* SPDX-License-Identifier: MIT */
/*
 * Values that each coroutine has for itself: keys, destructors, variables.
 *
 * Memory and pthread's keys go through the functions below (WRAP_t_specific in
 * the Makefile), which can fail and which count.
 */
#include "specific.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "env.h"
#include "loop.h"
#include "tools.h"

/* --- what can fail --------------------------------------------------------------- */

static _Thread_local struct {
	int n_allocs;      /* calloc and aligned_alloc, since somebody set it to 0 */
	int fail_after;    /* so many may succeed; negative: all */
	int key_error;     /* of pthread_key_create, pthread_setspecific; 0 = none */
	int set_error;
	int n_deleted;     /* pthread's keys */
	void (*meanwhile)(void); /* called once in the next pthread_key_create: what another
				    thread does meanwhile */
} watch = { .fail_after = -1 };

/* With clang, ThreadSanitizer itself comes here, when it is not ready to watch. */
#ifdef __clang__
#define UNWATCHED __attribute__((disable_sanitizer_instrumentation))
#else
#define UNWATCHED
#endif

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __real_free(void *p);
void __wrap_free(void *p);
int __real_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int __real_pthread_key_delete(pthread_key_t key);
int __wrap_pthread_key_delete(pthread_key_t key);
int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);

UNWATCHED static bool allowed(void)
{
	watch.n_allocs++;
	if (watch.fail_after < 0 || watch.fail_after-- > 0)
		return true;
	watch.fail_after = 0;
	errno = ENOMEM;
	return false;
}

UNWATCHED void *__wrap_calloc(size_t n, size_t size)
{
	return allowed() ? __real_calloc(n, size) : NULL;
}

UNWATCHED void *__wrap_aligned_alloc(size_t align, size_t size)
{
	void *p = allowed() ? __real_aligned_alloc(align, size) : NULL;
	return p ? memset(p, 0xa5, size) : NULL;
}

UNWATCHED void __wrap_free(void *p)
{
	__real_free(p);
}

UNWATCHED int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	void (*meanwhile)(void) = watch.meanwhile;

	watch.meanwhile = NULL;
	if (meanwhile)
		meanwhile();
	return watch.key_error ? watch.key_error : __real_pthread_key_create(key, destructor);
}

UNWATCHED int __wrap_pthread_key_delete(pthread_key_t key)
{
	watch.n_deleted++;
	return __real_pthread_key_delete(key);
}

UNWATCHED int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	return watch.set_error ? watch.set_error : __real_pthread_setspecific(key, value);
}

/* --- coroutines and threads that do what they are told ------------------------------- */

static void run_thread(void *(*fn)(void *))
{
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, fn, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

static struct co *make(co_fn *fn, void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, arg), 0);
	return co;
}

static struct co *start(co_fn *fn, void *arg)
{
	struct co *co = make(fn, arg);

	CHECK_EQ(co_resume(co), 0);
	return co;
}

static void finish(struct co *co)
{
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(co_release(co), 0);
	co_env_check();
}

static pthread_key_t key; /* of the case at hand */

static void have_key(void (*destructor)(void *))
{
	CHECK_EQ(co_key_create(&key, destructor), 0);
}

static char a, b, c; /* values are their addresses */

static pthread_key_t pthreads_key(void)
{
	pthread_key_t k;

	CHECK_EQ(pthread_key_create(&k, NULL), 0);
	return k;
}

/* --- whose value ------------------------------------------------------------------------ */

static void *keep_own(void *arg)
{
	CHECK_EQ(co_getspecific(key), NULL);
	CHECK_EQ(co_setspecific(key, arg), 0);
	CHECK_EQ(co_getspecific(key), arg);
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(co_getspecific(key), arg);
	CHECK_EQ(co_setspecific(key, NULL), 0);
	CHECK_EQ(co_getspecific(key), NULL);
	CHECK_EQ(co_setspecific(key, arg), 0);
	return NULL;
}

static void own_values_with(pthread_key_t k)
{
	key = k;
	CHECK_EQ(co_setspecific(key, &a), 0);
	struct co *one = start(keep_own, &b), *two = start(keep_own, &c);
	CHECK_EQ(co_getspecific(key), &a);
	finish(one);
	CHECK_EQ(co_getspecific(key), &a);
	finish(two);
	CHECK_EQ(co_getspecific(key), &a);
	CHECK_EQ(co_setspecific(key, NULL), 0);
	CHECK_EQ(co_getspecific(key), NULL);
}

static void own_values(void)
{
	have_key(NULL);
	CHECK(key >= PTHREAD_KEYS_MAX);
	own_values_with(key);
	own_values_with(pthreads_key());
}

static void *yield_once(void *arg)
{
	CHECK_EQ(co_yield_ct(), 0);
	return arg;
}

static void *main_and_pthread(void *arg)
{
	pthread_key_t k = pthreads_key();

	CHECK_EQ(co_setspecific(k, &a), 0);
	CHECK_EQ(pthread_getspecific(k), &a);
	CHECK_EQ(pthread_setspecific(k, &b), 0);
	CHECK_EQ(co_getspecific(k), &b);
	CHECK_EQ(co_setspecific(key, &c), 0); /* also our own keys, without coroutines */
	CHECK_EQ(co_getspecific(key), &c);
	CHECK_EQ(co_get_curr_thread_env(), NULL);
	finish(start(yield_once, NULL));
	CHECK_EQ(co_getspecific(k), &b); /* the same when the thread has become main */
	CHECK_EQ(co_getspecific(key), &c);
	CHECK_EQ(pthread_key_delete(k), 0);
	return arg;
}

static void mains_value(void)
{
	have_key(NULL);
	main_and_pthread(NULL);
	run_thread(main_and_pthread);
	CHECK_EQ(co_getspecific(key), &c);
}

/* --- against a model -------------------------------------------------------------------------- */

enum { MODEL_KEYS = 40, MODEL_COS = 12, PTHREADS = 10 };

static struct {
	pthread_key_t key;
	bool exists;
} keys[MODEL_KEYS];

struct modelled {
	struct co *co;
	void *values[MODEL_KEYS];
	int do_key; /* what it does when resumed */
	void *do_value;
	struct rng r;
};

/* Set one, look at all. */
static void *obey(void *arg)
{
	struct modelled *m = arg;

	for (;;) {
		for (int k = 0; k < MODEL_KEYS; k++)
			CHECK_EQ(keys[k].exists ? co_getspecific(keys[k].key) : NULL, m->values[k]);
		if (keys[m->do_key].exists) {
			CHECK_EQ(co_setspecific(keys[m->do_key].key, m->do_value), 0);
			m->values[m->do_key] = m->do_value;
		} else if (m->do_key >= PTHREADS) {
			CHECK_FAILS(co_setspecific(keys[m->do_key].key, m->do_value), -1, EINVAL);
		}
		CHECK_EQ(co_yield_ct(), 0);
	}
	return NULL;
}

static void forget_key(struct modelled *all, int k)
{
	for (int i = 0; i < MODEL_COS; i++)
		all[i].values[k] = NULL;
}

static void model(void)
{
	static struct modelled all[MODEL_COS];
	struct rng r = { test_seed(4) };

	for (int k = 0; k < PTHREADS; k++) { /* these stay: what is deleted there, we do not see */
		keys[k].key = pthreads_key();
		keys[k].exists = true;
	}
	for (int k = PTHREADS; k < MODEL_KEYS; k++)
		keys[k].key = PTHREAD_KEYS_MAX + CO_KEYS_MAX - 1;
	for (int step = 0; step < rounds(20000); step++) {
		struct modelled *m = &all[rng_below(&r, MODEL_COS)];
		int k = PTHREADS + (int)rng_below(&r, MODEL_KEYS - PTHREADS);
		switch (rng_below(&r, 12)) {
		case 0:
			if (!keys[k].exists)
				CHECK_EQ(co_key_create(&keys[k].key, NULL), 0);
			else
				CHECK_EQ(co_key_delete(keys[k].key), 0);
			keys[k].exists = !keys[k].exists;
			if (!keys[k].exists)
				keys[k].key = PTHREAD_KEYS_MAX + CO_KEYS_MAX - 1;
			forget_key(all, k);
			break;
		case 1:
			if (!m->co)
				break;
			memset(m->values, 0, sizeof(m->values));
			if (rng_below(&r, 2)) {
				CHECK_EQ(co_reset(m->co), 0);
			} else {
				CHECK_EQ(co_release(m->co), 0);
				m->co = NULL;
			}
			break;
		default:
			if (!m->co)
				m->co = make(obey, m);
			m->do_key = (int)rng_below(&r, MODEL_KEYS);
			m->do_value = rng_below(&r, 4) ? &m->values[rng_below(&r, MODEL_KEYS)] : NULL;
			CHECK_EQ(co_resume(m->co), 0);
		}
	}
	for (int i = 0; i < MODEL_COS; i++)
		if (all[i].co)
			CHECK_EQ(co_release(all[i].co), 0);
}

/* --- invalid keys ----------------------------------------------------------------------------- */

static pthread_key_t bad_keys[6];

static void *try_bad_keys(void *arg)
{
	for (int i = 0; i < 6; i++) {
		CHECK_FAILS(co_setspecific(bad_keys[i], &a), -1, EINVAL);
		CHECK_FAILS(co_setspecific(bad_keys[i], NULL), -1, EINVAL);
		CHECK_EQ(co_getspecific(bad_keys[i]), NULL);
		CHECK_FAILS(co_key_delete(bad_keys[i]), -1, EINVAL);
	}
	return arg;
}

static void *try_bad_keys_in_both(void *arg)
{
	try_bad_keys(arg);
	struct co *co = make(try_bad_keys, NULL);
	watch.n_allocs = 0;
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(watch.n_allocs, 0);
	CHECK_EQ(co_release(co), 0);
	return arg;
}

static void invalid_keys(void)
{
	have_key(NULL);
	CHECK_EQ(co_release(make(try_bad_keys, NULL)), 0); /* the library's own of pthread's */
	pthread_key_t deleted = pthreads_key();
	CHECK_EQ(pthread_key_delete(deleted), 0);
	CHECK_EQ(co_key_delete(key), 0);
	bad_keys[0] = deleted;
	bad_keys[1] = key;
	bad_keys[2] = PTHREAD_KEYS_MAX - 1;
	bad_keys[3] = PTHREAD_KEYS_MAX + CO_KEYS_MAX - 1;
	bad_keys[4] = PTHREAD_KEYS_MAX + CO_KEYS_MAX;
	bad_keys[5] = UINT_MAX;
	run_thread(try_bad_keys_in_both);
	try_bad_keys_in_both(NULL);
	CHECK_FAILS(co_key_create(NULL, NULL), -1, EINVAL);
	CHECK_FAILS(co_key_delete(pthreads_key()), -1, EINVAL); /* not ours to delete */
}

/* The question whether pthread has a key changes nothing. */
static void *set_in_coroutine(void *arg)
{
	CHECK_EQ(co_setspecific(key, arg), 0);
	CHECK_EQ(co_getspecific(key), arg);
	return arg;
}

static void threads_value_stays(void)
{
	for (int i = 0; i < 40; i++) { /* the first 32 are kept in another way */
		key = pthreads_key();
		CHECK_EQ(pthread_setspecific(key, i % 2 ? &a : NULL), 0);
		struct co *co = start(set_in_coroutine, &b);
		CHECK_EQ(pthread_getspecific(key), i % 2 ? &a : NULL);
		CHECK_EQ(co_release(co), 0);
	}
}

static void all_keys(void)
{
	static pthread_key_t all[CO_KEYS_MAX];
	struct co *co;

	for (int i = 0; i < CO_KEYS_MAX; i++) {
		CHECK_EQ(co_key_create(&all[i], NULL), 0);
		CHECK_EQ(all[i], PTHREAD_KEYS_MAX + i);
	}
	CHECK_FAILS(co_key_create(&key, NULL), -1, EAGAIN);
	key = all[CO_KEYS_MAX - 1];
	co = start(keep_own, &a);
	finish(co);
	CHECK_EQ(co_key_delete(all[77]), 0);
	CHECK_FAILS(co_key_delete(all[77]), -1, EINVAL);
	CHECK_EQ(co_key_create(&key, NULL), 0);
	CHECK_EQ(key, all[77]);
	CHECK_FAILS(co_key_create(&key, NULL), -1, EAGAIN);
	CHECK_EQ(key, all[77]);
}

/* --- deleted keys --------------------------------------------------------------------------- */

static int n_destroyed;
static void *destroyed;

static void note(void *value)
{
	n_destroyed++;
	destroyed = value;
}

static void *set_and_yield(void *arg)
{
	CHECK_EQ(co_getspecific(key), NULL);
	CHECK_EQ(co_setspecific(key, arg), 0);
	CHECK_EQ(co_yield_ct(), 0);
	return arg;
}

static void *see_nothing_old(void *arg)
{
	CHECK_EQ(co_setspecific(key, &a), 0);
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(co_getspecific(key), NULL); /* deleted */
	CHECK_FAILS(co_setspecific(key, &b), -1, EINVAL);
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(co_getspecific(key), NULL); /* created again, with the same number */
	CHECK_EQ(co_yield_ct(), 0);
	return arg;
}

static void no_old_value(void)
{
	have_key(note);
	pthread_key_t before = key;
	CHECK_EQ(co_setspecific(key, &a), 0);
	struct co *co = start(see_nothing_old, NULL);
	CHECK_EQ(co_key_delete(key), 0);
	CHECK_EQ(co_getspecific(key), NULL);
	CHECK_EQ(co_resume(co), 0);
	have_key(note);
	CHECK_EQ(key, before);
	CHECK_EQ(co_getspecific(key), NULL);
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(n_destroyed, 0); /* an old value is nothing for the new destructor */

	CHECK_EQ(co_key_delete(key), 0);
	have_key(NULL); /* and the old destructor nothing for a new value */
	CHECK_EQ(key, before);
	co = start(set_and_yield, &b);
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(n_destroyed, 0);
}

/* --- destructors --------------------------------------------------------------------------------- */

static void on_release_and_reset(void)
{
	have_key(note);
	struct co *co = start(set_and_yield, &a);
	CHECK_EQ(n_destroyed, 0);
	CHECK_EQ(co_reset(co), 0);
	CHECK_EQ(n_destroyed, 1);
	CHECK_EQ(destroyed, &a);
	CHECK_EQ(co_resume(co), 0); /* and sees nothing of the first run */
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(n_destroyed, 2);

	co = start(set_and_yield, &b);
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(n_destroyed, 2);
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(n_destroyed, 3);
	CHECK_EQ(destroyed, &b);

	co = start(set_and_yield, NULL); /* no value, no call */
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(n_destroyed, 3);
}

static void *leave_values(void *arg)
{
	CHECK_EQ(co_setspecific(key, &a), 0);
	for (int i = 0; i < 3; i++)
		start(set_and_yield, &b);
	return arg;
}

static void *only_mains(void *arg)
{
	CHECK_EQ(co_setspecific(key, &c), 0);
	return arg;
}

static void on_thread_exit(void)
{
	have_key(note);
	run_thread(only_mains);
	CHECK_EQ(n_destroyed, 1);
	CHECK_EQ(destroyed, &c);
	run_thread(leave_values);
	CHECK_EQ(n_destroyed, 5);

	CHECK_EQ(co_setspecific(key, &a), 0); /* another thread's is not ours */
	run_thread(leave_values);
	CHECK_EQ(co_getspecific(key), &a);
	CHECK_EQ(n_destroyed, 9);
}

/* The order of pthread's keys: the environment's goes before the values', or after. */
static void *values_first(void *arg)
{
	CHECK_EQ(co_key_create(&key, note), 0);
	return leave_values(arg);
}

static void on_thread_exit_other_order(void)
{
	run_thread(values_first); /* in this process our key is made before the first co_create */
	CHECK_EQ(n_destroyed, 4);
}

static pthread_key_t other_key, pthreads;
static int n_again;

/* Sees its coroutine's values, its own cleared, and sets some again. */
static void set_again(void *value)
{
	n_again++;
	CHECK_EQ(value, &a);
	CHECK_EQ(co_getspecific(key), NULL);
	CHECK_EQ(co_setspecific(key, &a), 0);
	CHECK_EQ(co_getspecific(key), &a);
}

static void *set_for_again(void *arg)
{
	CHECK_EQ(co_setspecific(key, &a), 0);
	return arg;
}

static void repeated(void)
{
	have_key(set_again);
	struct co *co = start(set_for_again, NULL);
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(n_again, PTHREAD_DESTRUCTOR_ITERATIONS);
	CHECK_EQ(co_getspecific(key), NULL); /* not set in the one that released */
	run_thread(set_for_again);
	CHECK_EQ(n_again, 2 * PTHREAD_DESTRUCTOR_ITERATIONS);
	co = start(set_for_again, NULL);
	CHECK_EQ(co_reset(co), 0);
	CHECK_EQ(n_again, 3 * PTHREAD_DESTRUCTOR_ITERATIONS);
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_status(co), CO_DONE);
}

/* Needs another value of its coroutine, and makes the table grow. */
static void look_around(void *value)
{
	pthread_key_t more;

	note(value);
	CHECK_EQ(co_getspecific(other_key), &b);
	if (pthreads)
		CHECK_EQ(co_getspecific(pthreads), &c);
	for (int i = 0; i < 30; i++) {
		CHECK_EQ(co_key_create(&more, note), 0);
		CHECK_EQ(co_setspecific(more, &c), 0);
	}
}

static void *set_all(void *arg)
{
	CHECK_EQ(co_setspecific(key, &a), 0);
	CHECK_EQ(co_setspecific(other_key, &b), 0);
	if (pthreads)
		CHECK_EQ(co_setspecific(pthreads, &c), 0);
	return arg;
}

static void see_the_leaving_ones(void)
{
	pthreads_key(); /* not 0, which here means none */
	pthreads = pthreads_key();
	have_key(look_around);
	CHECK_EQ(co_key_create(&other_key, NULL), 0);

	CHECK_EQ(co_setspecific(other_key, &a), 0);
	struct co *co = start(set_all, NULL);
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(n_destroyed, 31);
	CHECK_EQ(co_getspecific(other_key), &a); /* the caller's again */
}

static void see_the_leaving_thread(void)
{
	have_key(look_around);
	CHECK_EQ(co_key_create(&other_key, NULL), 0);
	run_thread(set_all);
	CHECK_EQ(n_destroyed, 31);
}

/* The same when the environment goes later than the values: main runs it then, and
 * pthread's keys are pthread's. */
static void see_pthreads(void *value)
{
	note(value);
	CHECK(co_self() != NULL);
	CHECK_EQ(co_getspecific(key), NULL);
	CHECK_EQ(co_getspecific(pthreads), &c);
	CHECK_EQ(co_setspecific(pthreads, &b), 0);
	CHECK_EQ(pthread_getspecific(pthreads), &b);
	CHECK_EQ(co_setspecific(other_key, &b), 0);
	CHECK_EQ(co_getspecific(other_key), &b);
}

static void *values_before_environment(void *arg)
{
	have_key(see_pthreads);
	CHECK_EQ(co_release(make(yield_once, NULL)), 0);
	CHECK_EQ(co_key_create(&other_key, NULL), 0);
	pthreads = pthreads_key();
	return set_all(arg);
}

static void see_the_leaving_main(void)
{
	run_thread(values_before_environment);
	CHECK_EQ(n_destroyed, 1);
}

/* One releases another, whose destructor asks for its own coroutine's value. */
static void see_b(void *value)
{
	note(value);
	CHECK_EQ(co_getspecific(other_key), &b);
}

static void release_value(void *value)
{
	struct co *co = value;

	CHECK_EQ(co_getspecific(other_key), &c);
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(co_getspecific(other_key), &c);
	note(value);
}

static pthread_key_t inner_key;

static void *be_released_inside(void *arg)
{
	CHECK_EQ(co_setspecific(inner_key, &a), 0);
	CHECK_EQ(co_setspecific(other_key, &b), 0);
	return arg;
}

static void *has_another(void *arg)
{
	CHECK_EQ(co_setspecific(key, start(be_released_inside, NULL)), 0);
	CHECK_EQ(co_setspecific(other_key, &c), 0);
	return arg;
}

static void nested_release(void)
{
	have_key(release_value);
	CHECK_EQ(co_key_create(&other_key, NULL), 0);
	CHECK_EQ(co_key_create(&inner_key, see_b), 0);
	struct co *co = start(has_another, NULL);
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(n_destroyed, 2);
	co_env_check();
}

static struct co *going;

static void touch_the_going_one(void *value)
{
	note(value);
	CHECK_FAILS(co_release(going), -1, EBUSY);
	CHECK_FAILS(co_reset(going), -1, EBUSY);
	if (co_status(going) != CO_DONE)
		CHECK_FAILS(co_resume(going), -1, EBUSY);
}

static void *yields_with_a_value(void *arg)
{
	CHECK_EQ(co_setspecific(key, &a), 0);
	CHECK_EQ(co_yield_ct(), 0);
	return arg;
}

static void going_is_refused(void)
{
	have_key(touch_the_going_one);
	going = start(yields_with_a_value, NULL);
	CHECK_EQ(co_reset(going), 0);
	CHECK_EQ(n_destroyed, 1);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(co_resume(going), 0);
	CHECK_EQ(co_status(going), CO_DONE);
	CHECK_EQ(co_reset(going), 0);
	CHECK_EQ(n_destroyed, 2);
	CHECK_EQ(co_resume(going), 0);
	CHECK_EQ(co_release(going), 0);
	CHECK_EQ(n_destroyed, 3);
	co_env_check();
}

static void *runs_inside(void *arg)
{
	CHECK_EQ(co_getspecific(key), NULL); /* its own, whatever its resumer is at */
	CHECK_EQ(co_setspecific(key, arg), 0);
	CHECK_EQ(co_setspecific(key, NULL), 0);
	return arg;
}

static void run_another(void *value)
{
	note(value);
	struct co *co = start(runs_inside, &b);
	CHECK_EQ(co_release(co), 0);
}

static void destructor_runs_others(void)
{
	have_key(run_another);
	struct co *co = start(set_and_yield, &a);
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(n_destroyed, 1);
}

/* Against the rules: it waits, and its caller is released meanwhile. Nothing of it
 * may stay (the sanitizers look). */
static void yields(void *value)
{
	note(value);
	CHECK_EQ(co_yield_ct(), 0);
	CHECK(!"it was released");
}

static void *releases(void *arg)
{
	CHECK_EQ(co_release(arg), 0);
	return arg;
}

static void destructor_left_behind(void)
{
	have_key(yields);
	CHECK_EQ(co_key_create(&other_key, note), 0);
	struct co *co = start(set_for_again, NULL), *releaser = make(releases, co);
	CHECK_EQ(co_resume(releaser), 0);
	CHECK_EQ(n_destroyed, 1);
	CHECK_EQ(co_release(releaser), 0);
	CHECK_EQ(co_getspecific(key), NULL);
}

/* --- memory --------------------------------------------------------------------------------------- */

static void *set_null(void *arg)
{
	CHECK_EQ(co_getspecific(key), NULL);
	CHECK_EQ(co_setspecific(key, NULL), 0);
	return arg;
}

static void nothing_until_the_first_set(void)
{
	CHECK(sizeof(struct co) < 1024);
	have_key(NULL);
	struct co *co = make(set_null, NULL);
	watch.n_allocs = 0;
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(watch.n_allocs, 0);
	CHECK(!co->attachments);
	CHECK_EQ(co_release(co), 0);
}

static pthread_key_t sixty[60];

static void *set_sixty(void *arg)
{
	for (int round = 0; round < 100; round++)
		for (int i = 0; i < 60; i++) {
			CHECK_EQ(co_setspecific(sixty[i], round % 3 ? &a + i : NULL), 0);
			CHECK_EQ(co_getspecific(sixty[i]), round % 3 ? &a + i : NULL);
		}
	return arg;
}

/* One and the same key, deleted and made again: the table does not grow. */
static void *use_up_keys(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(co_key_create(&key, NULL), 0);
		CHECK_EQ(co_setspecific(key, &a), 0);
		if (i % 4) /* some stay */
			CHECK_EQ(co_key_delete(key), 0);
	}
	return arg;
}

static void *other_numbers(void *arg)
{
	pthread_key_t last = 0, next;

	for (int i = 0; i < 400; i++) {
		CHECK_EQ(co_key_create(&next, NULL), 0);
		CHECK_EQ(co_setspecific(next, &a), 0);
		if (last)
			CHECK_EQ(co_key_delete(last), 0);
		last = next;
	}
	return arg;
}

static void small_tables(void)
{
	struct co *co = make(other_numbers, NULL);

	watch.n_allocs = 0;
	CHECK_EQ(co_resume(co), 0);
	CHECK(watch.n_allocs <= 2); /* the table and its entries */
	CHECK_EQ(co_release(co), 0);

	for (int i = 0; i < 60; i++)
		CHECK_EQ(co_key_create(&sixty[i], NULL), 0);
	co = make(set_sixty, NULL);
	watch.n_allocs = 0;
	CHECK_EQ(co_resume(co), 0);
	CHECK(watch.n_allocs <= 8);
	CHECK_EQ(co_release(co), 0);

	co = make(use_up_keys, NULL);
	watch.n_allocs = 0;
	CHECK_EQ(co_resume(co), 0);
	CHECK(watch.n_allocs <= 10);
	CHECK_EQ(co_release(co), 0);
}

/* Pairs of keys in turn, so that dead entries fill the table. */
static void *dead_entries(void *arg)
{
	pthread_key_t k[200];

	for (int i = 0; i < 200; i++)
		CHECK_EQ(co_key_create(&k[i], NULL), 0);
	watch.n_allocs = 0;
	for (int i = 0; i < 200; i++) {
		CHECK_EQ(co_setspecific(k[i], &a), 0);
		CHECK_EQ(co_setspecific(k[i], NULL), 0);
	}
	watch.n_allocs *= -1; /* grown often, but never large: see below */
	for (int i = 0; i < 200; i++)
		CHECK_EQ(co_getspecific(k[i]), NULL);
	return arg;
}

static void dead_entries_are_left_behind(void)
{
	struct co *co = start(dead_entries, NULL);

	/* A table that kept them would have grown by doubling, six times. */
	CHECK(-watch.n_allocs > 50);
	CHECK_EQ(co_release(co), 0);
}

/* Each allocation of a set fails once; nothing changes then. */
static void *set_without_memory(void *arg)
{
	pthread_key_t k[5];
	int n_failed = 0;

	for (int i = 0; i < 5; i++) {
		CHECK_EQ(co_key_create(&k[i], NULL), 0);
		for (int after = 0;; after++) {
			watch.fail_after = after;
			int result = co_setspecific(k[i], &a);
			int error = errno;
			watch.fail_after = -1;
			for (int j = 0; j < i; j++)
				CHECK_EQ(co_getspecific(k[j]), &a);
			if (result == 0)
				break;
			CHECK_EQ(result, -1);
			CHECK_EQ(error, ENOMEM);
			CHECK_EQ(co_getspecific(k[i]), NULL);
			n_failed++;
		}
		watch.fail_after = 0; /* these need none */
		CHECK_EQ(co_setspecific(k[i], &b), 0);
		CHECK_EQ(co_setspecific(k[i], NULL), 0);
		CHECK_EQ(co_setspecific(k[i], &a), 0);
		watch.fail_after = -1;
	}
	CHECK(n_failed >= 3);
	return arg;
}

static void out_of_memory(void)
{
	struct co *co = start(set_without_memory, NULL);

	CHECK_EQ(co_release(co), 0);
	run_thread(set_without_memory);
	set_without_memory(NULL);
}

static void *no_thread_value(void *arg)
{
	watch.set_error = ENOMEM;
	CHECK_FAILS(co_setspecific(key, &a), -1, ENOMEM);
	CHECK_FAILS(co_setspecific(pthreads, &a), -1, ENOMEM);
	watch.set_error = 0;
	CHECK_EQ(co_getspecific(key), NULL);
	CHECK_EQ(co_setspecific(key, &a), 0);
	return arg;
}

static void pthread_fails(void)
{
	key = 4711;
	watch.key_error = EAGAIN;
	CHECK_FAILS(co_key_create(&key, NULL), -1, EAGAIN);
	CHECK_EQ(key, 4711);
	watch.key_error = ENOMEM;
	CHECK_FAILS(co_key_create(&key, NULL), -1, ENOMEM);
	watch.key_error = 0;
	have_key(note);
	CHECK_EQ(key, PTHREAD_KEYS_MAX); /* the attempts used none up */
	pthreads = pthreads_key();
	run_thread(no_thread_value);
	CHECK_EQ(n_destroyed, 1);
}

static void life_of_one(size_t n_values)
{
	struct co *co = make(n_values ? set_sixty : set_null, NULL);

	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_release(co), 0);
}

static void no_leak(void)
{
	SKIP_IF_WATCHED("resident memory is the tool's");
	have_key(free);
	for (int i = 0; i < 60; i++)
		CHECK_EQ(co_key_create(&sixty[i], NULL), 0);
	for (int i = 0; i < 100; i++)
		life_of_one(60);
	size_t before = resident_bytes();
	for (int i = 0; i < 3000; i++)
		life_of_one(60);
	CHECK(resident_bytes() <= before + 256 * 1024);
}

/* --- variables -------------------------------------------------------------------------------------- */

struct counters {
	int reads, writes;
	char padding[100];
};

CO_ROUTINE_SPECIFIC(struct counters, mine);
CO_ROUTINE_SPECIFIC(struct counters, mine_too);
CO_ROUTINE_SPECIFIC(int, number);

static int n_begun, n_ended;

static void begin(struct counters *x)
{
	for (size_t i = 0; i < sizeof(*x); i++)
		CHECK_EQ(((char *)x)[i], 0);
	x->reads = 42;
	n_begun++;
}

static void end(struct counters *x)
{
	CHECK_EQ(x->reads, 43);
	n_ended++;
}

CO_ROUTINE_SPECIFIC_WITH(struct counters, with_both, begin, end);
CO_ROUTINE_SPECIFIC_WITH(struct counters, with_end, NULL, end);

struct wide {
	_Alignas(256) char bytes[3];
};
CO_ROUTINE_SPECIFIC(struct wide, wide);

static void *count(void *arg)
{
	int n = (int)(intptr_t)arg;

	CHECK_EQ(mine()->reads, 0);
	CHECK_EQ(mine()->padding[99], 0);
	mine()->reads = n;
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(mine()->reads, n);
	CHECK_EQ(mine_too()->reads, 0);
	CHECK(mine() != mine_too());
	CHECK_EQ(mine(), mine());
	return mine();
}

static void variables(void)
{
	struct co *one = start(count, (void *)1), *two = start(count, (void *)2);

	mine()->reads = 3;
	for (int i = 0; i < 2; i++) {
		struct co *co = i ? two : one;
		CHECK_EQ(co_resume(co), 0);
		CHECK(co_result(co) != mine());
		CHECK_EQ(((struct counters *)co_result(co))->reads, i + 1);
		CHECK_EQ(co_release(co), 0);
	}
	CHECK_EQ(mine()->reads, 3);
	CHECK_EQ(mine_too()->reads, 0);
	CHECK_EQ(*number(), 0);
}

static void *use_both(void *arg)
{
	CHECK_EQ(with_both()->reads++, 42);
	CHECK_EQ(with_both()->reads, 43);
	with_end()->reads = 43;
	CHECK_EQ(co_yield_ct(), 0);
	return arg;
}

static void *thread_uses_both(void *arg)
{
	with_both()->reads++;
	return arg;
}

static void begun_and_ended(void)
{
	struct co *co = start(use_both, NULL);

	CHECK_EQ(n_begun, 1);
	CHECK_EQ(n_ended, 0);
	CHECK_EQ(co_reset(co), 0);
	CHECK_EQ(n_ended, 2);
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(n_begun, 2);
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(n_ended, 4);
	run_thread(thread_uses_both);
	CHECK_EQ(n_begun, 3);
	CHECK_EQ(n_ended, 5);
}

static void *is_wide(void *arg)
{
	for (size_t i = 0; i < sizeof(struct wide); i++)
		CHECK_EQ(wide()->bytes[i % 3], 0);
	CHECK_EQ((uintptr_t)wide() % 256, 0);
	for (size_t i = 0; i < sizeof(struct wide); i++)
		CHECK_EQ(((char *)wide())[i], 0);
	return arg;
}

static void aligned(void)
{
	CHECK_EQ(co_release(start(is_wide, NULL)), 0);
	is_wide(NULL);
}

static void *objects_without_memory(void *arg)
{
	int n_failed = 0;

	for (int after = 0;; after++) {
		watch.fail_after = after;
		errno = 0;
		int *n = number();
		int error = errno;
		watch.fail_after = -1;
		if (n)
			break;
		CHECK_EQ(error, ENOMEM);
		n_failed++;
	}
	CHECK_EQ(n_failed, 3); /* the object, the table, its entries */
	watch.fail_after = 0;
	CHECK_FAILS(wide(), 0, ENOMEM);
	watch.fail_after = -1;
	return arg;
}

static void *all_keys_gone(void *arg)
{
	CHECK_FAILS(number(), 0, EAGAIN);
	return arg;
}

static void variables_out_of_memory(void)
{
	CHECK_EQ(co_release(start(objects_without_memory, NULL)), 0);
	objects_without_memory(NULL);
}

static void variables_out_of_keys(void)
{
	while (co_key_create(&key, NULL) == 0)
		;
	struct co *co = start(all_keys_gone, NULL);
	all_keys_gone(NULL);
	CHECK_EQ(co_key_delete(key), 0);
	CHECK(number() != NULL);
	CHECK_EQ(co_release(co), 0);
}

static int *inner_number;

static void use_number(void)
{
	inner_number = number();
	CHECK(inner_number != NULL);
}

/* Two threads use a variable first, in one moment; here by one thread. */
static void first_uses(void)
{
	CHECK_EQ(co_get_curr_thread_env(), NULL);
	watch.meanwhile = use_number;
	int *outer = number();
	CHECK(outer && outer == inner_number);
	CHECK_EQ(watch.meanwhile, NULL);
	CHECK_EQ(watch.n_deleted, 1); /* each has made one of pthread's, and one of ours */
	have_key(NULL);
	CHECK_EQ(key, PTHREAD_KEYS_MAX + 1);
}

/* --- threads ----------------------------------------------------------------------------------------- */

enum { THREADS = 4 };
static pthread_barrier_t barrier;
static pthread_key_t made[THREADS][CO_KEYS_MAX / THREADS];
static atomic_int n_freed;

static void count_freed(void *value)
{
	free(value);
	n_freed++;
}

static void *churn_values(void *arg)
{
	char *value = malloc(1);
	pthread_key_t k;

	CHECK_EQ(co_key_create(&k, count_freed), 0);
	CHECK_EQ(co_setspecific(k, value), 0);
	CHECK_EQ(co_getspecific(k), value);
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(co_getspecific(k), value);
	if (arg) {
		CHECK_EQ(co_key_delete(k), 0);
		CHECK_EQ(co_getspecific(k), NULL);
		free(value);
	} else {
		CHECK_EQ(co_yield_ct(), 0);
	}
	*mine() = (struct counters){ .reads = 1 };
	return (void *)(uintptr_t)k;
}

static void *churn(void *arg)
{
	struct rng r = { (uint64_t)(intptr_t)arg + 1 };

	pthread_barrier_wait(&barrier);
	CHECK(mine() != NULL); /* all at once make its key */
	for (int i = 0; i < rounds(2000); i++) {
		struct co *co = start(churn_values, rng_below(&r, 2) ? &a : NULL);
		CHECK_EQ(co_resume(co), 0);
		if (co_status(co) == CO_DONE) {
			CHECK_EQ(co_release(co), 0);
			continue;
		}
		int before = n_freed;
		CHECK_EQ(co_resume(co), 0);
		pthread_key_t k = (pthread_key_t)(uintptr_t)co_result(co);
		CHECK_EQ(co_release(co), 0);
		CHECK(n_freed > before);
		CHECK_EQ(co_key_delete(k), 0);
	}
	return NULL;
}

static void on_threads(void *(*fn)(void *))
{
	pthread_t t[THREADS];

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (intptr_t i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, fn, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}

static void threads_churn(void)
{
	on_threads(churn);
	for (int i = 1; i < CO_KEYS_MAX; i++) /* all are deleted but the variable's, which has any number */
		CHECK_EQ(co_key_create(&key, NULL), 0);
	CHECK_FAILS(co_key_create(&key, NULL), -1, EAGAIN);
}

static void *make_many(void *arg)
{
	intptr_t t = (intptr_t)arg;

	pthread_barrier_wait(&barrier);
	for (int i = 0; i < CO_KEYS_MAX / THREADS; i++)
		CHECK_EQ(co_key_create(&made[t][i], NULL), 0);
	return arg;
}

static atomic_int n_deleted;

static void *delete_all(void *arg)
{
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < CO_KEYS_MAX; i++)
		n_deleted += co_key_delete(PTHREAD_KEYS_MAX + (pthread_key_t)i) == 0;
	return arg;
}

static void each_key_once(void)
{
	static bool seen[CO_KEYS_MAX];

	for (int round = 0; round < rounds(40); round++) {
		memset(seen, 0, sizeof(seen));
		on_threads(make_many);
		for (int i = 0; i < CO_KEYS_MAX; i++) {
			pthread_key_t k = ((pthread_key_t *)made)[i] - PTHREAD_KEYS_MAX;
			CHECK(!seen[k]);
			seen[k] = true;
		}
		n_deleted = 0;
		on_threads(delete_all);
		CHECK_EQ(n_deleted, CO_KEYS_MAX);
	}
}

/* A key is made anew while others have values of the old one. */
static void *set_if_there(void *arg)
{
	if (co_setspecific(key, arg) == 0)
		(void)co_getspecific(key);
	return arg;
}

static atomic_int n_one, n_two;

static void one(void *value)
{
	CHECK_EQ(value, &a);
	n_one++;
}

static void two(void *value)
{
	CHECK_EQ(value, &a);
	n_two++;
}

static void *race_with_delete(void *arg)
{
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < rounds(5000); i++) {
		if (arg) {
			struct co *co = start(set_if_there, &a);
			CHECK_EQ(co_release(co), 0);
			continue;
		}
		pthread_key_t again;
		CHECK_EQ(co_key_delete(key), 0);
		CHECK_EQ(co_key_create(&again, i % 2 ? one : two), 0);
		CHECK_EQ(again, key);
	}
	return arg;
}

static void deleted_meanwhile(void)
{
	have_key(one);
	on_threads(race_with_delete);
	printf("# %d and %d destroyed\n", n_one, n_two);
}

static void *forked_child(void *arg)
{
	return arg;
}

static void forked(void)
{
	int status;

	have_key(note);
	CHECK_EQ(co_setspecific(key, &a), 0);
	struct co *co = start(set_and_yield, &b);
	pid_t pid = fork();
	if (pid == 0) {
		pthread_key_t another;
		CHECK_EQ(co_getspecific(key), &a);
		CHECK_EQ(co_key_create(&another, NULL), 0);
		CHECK_EQ(another, key + 1);
		CHECK_EQ(co_release(co), 0);
		CHECK_EQ(n_destroyed, 1);
		if (!watched_by())
			run_thread(forked_child);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(n_destroyed, 0);
}

static const struct test_case cases[] = {
	{ "own_values", "each coroutine has its own value, of our keys and of pthread's", own_values, 0, 0 },
	{ "mains_value", "main's is the thread's, with coroutines or without; pthread's keys are pthread's", mains_value, 0, 0 },
	{ "model", "at random, sets and gets and deletes are as in a model", model, 0, 0 },
	{ "invalid_keys", "E08 a key that is invalid, deleted or not allocated is EINVAL, and writes nothing", invalid_keys, 0, 0 },
	{ "threads_value_stays", "a coroutine's value leaves the thread's as it is", threads_value_stays, 0, 0 },
	{ "all_keys", "1024 keys, then EAGAIN, and numbers of deleted ones come again", all_keys, 0, 0 },
	{ "no_old_value", "E09 a key made anew does not show what was set under its number", no_old_value, 0, 0 },
	{ "on_release_and_reset", "A11 E09 reset and release call the destructor; the next run starts without values",
	  on_release_and_reset, 0, 0 },
	{ "on_thread_exit", "E09 the end of a thread does, for main's and its coroutines' values", on_thread_exit, 0, 0 },
	{ "on_thread_exit_2", "also when the keys were there before the coroutines", on_thread_exit_other_order, 0, 0 },
	{ "repeated", "what a destructor sets is destroyed too, four times at most", repeated, 0, 0 },
	{ "see_the_leaving_ones", "destructors have the values of the one that goes, not the caller's", see_the_leaving_ones, 0, 0 },
	{ "see_the_leaving_thread", "also at the end of a thread", see_the_leaving_thread, 0, 0 },
	{ "see_the_leaving_main", "and when that thread's main runs them", see_the_leaving_main, 0, 0 },
	{ "nested_release", "a destructor may release another coroutine", nested_release, 0, 0 },
	{ "going_is_refused", "but not that which is being released or reset", going_is_refused, 0, 0 },
	{ "destructor_runs_others", "and run one, which has its own values", destructor_runs_others, 0, 0 },
	{ "destructor_left_behind", "a destructor that yields and is never resumed leaves nothing", destructor_left_behind, 0, 0 },
	{ "first_set", "E10 a coroutine without values has no table", nothing_until_the_first_set, 0, 0 },
	{ "small_tables", "E10 tables are as large as what is in them", small_tables, 0, 0 },
	{ "dead_entries", "E10 and do not keep what nobody can get", dead_entries_are_left_behind, 0, 0 },
	{ "out_of_memory", "no memory: ENOMEM, and all values as before", out_of_memory, 0, 0 },
	{ "pthread_fails", "no key or memory of pthread's: its errno, and the next attempt succeeds", pthread_fails, 0, 0 },
	{ "no_leak", "E12 a coroutine's values go with it", no_leak, 0, 0 },
	{ "variables", "E11 several variables of one type, each coroutine with its own, zeros first", variables, 0, 0 },
	{ "begun_and_ended", "E11 A11 E12 initialisers and destructors run at first use, reset, release, thread's end",
	  begun_and_ended, 0, 0 },
	{ "aligned", "variables of any alignment", aligned, 0, 0 },
	{ "variables_memory", "no memory for a variable: NULL, ENOMEM, and nothing is left", variables_out_of_memory, 0, 0 },
	{ "variables_keys", "no key for a variable: NULL, EAGAIN, and later it may succeed", variables_out_of_keys, 0, 0 },
	{ "first_uses", "who is slower at a variable's first use takes the other's key", first_uses, 0, 0 },
	{ "threads_churn", "threads make and delete keys at once, and no value is lost", threads_churn, 0, 0 },
	{ "each_key_once", "threads get each key once, and delete each once", each_key_once, 0, 0 },
	{ "deleted_meanwhile", "a key may be deleted and made again while others set, get and are released", deleted_meanwhile, 0, 0 },
	{ "forked", "after fork, child and parent have their own", forked, 0, 0 },
};

TEST_MAIN(cases)
