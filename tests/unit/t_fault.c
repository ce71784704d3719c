/* SPDX-License-Identifier: MIT */
/*
 * What happens when memory runs out, at every place where it can.
 *
 * The linker hands the library's calls of mmap, malloc and so on to the
 * functions here (WRAP_t_fault in the Makefile). One of them is made to fail;
 * the program tries again what did not work, and goes on. Each attempt is a
 * process of its own, so that what is made once is made again.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "env.h"
#include "park.h"
#include "tools.h"

/* --- calls that fail ------------------------------------------------------------- */

static enum { NEVER, ONCE, FROM_THEN_ON } mode;
static unsigned fail_at;   /* the number of the call, from 1 */
static unsigned n_calls;
static unsigned n_failed;  /* of those that must be noticed */
static bool no_guards;     /* as before Linux 6.13 */
static bool no_protection; /* mprotect fails too */
static bool errno_of_keys; /* the last to fail was about keys: EAGAIN */

static atomic_long n_blocks, n_maps; /* what the library holds */

static bool fails_now(void)
{
	n_calls++;
	return (mode == ONCE && n_calls == fail_at) || (mode == FROM_THEN_ON && n_calls >= fail_at);
}

void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
int __real_madvise(void *at, size_t len, int advice);
int __real_mprotect(void *at, size_t len, int prot);
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
int __real_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int __real_pthread_setspecific(pthread_key_t key, const void *value);

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (fails_now()) {
		n_failed++;
		errno = ENOMEM;
		return MAP_FAILED;
	}
	n_maps++;
	return __real_mmap(at, len, prot, flags, fd, offset);
}

int __wrap_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len)
{
	n_maps--;
	return __real_munmap(at, len);
}

int __wrap_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice)
{
	if (fails_now() || (no_guards && advice == 102)) {
		errno = EINVAL;
		return -1;
	}
	return __real_madvise(at, len, advice);
}

int __wrap_mprotect(void *at, size_t len, int prot);
int __wrap_mprotect(void *at, size_t len, int prot)
{
	if (fails_now() || no_protection) {
		n_failed++;
		errno = ENOMEM;
		return -1;
	}
	return __real_mprotect(at, len, prot);
}

void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	if (fails_now()) {
		n_failed++;
		errno = ENOMEM;
		return NULL;
	}
	n_blocks++;
	return memset(__real_malloc(size), 0xaa, size); /* what it holds is nobody's zero */
}

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	if (fails_now()) {
		n_failed++;
		errno = ENOMEM;
		return NULL;
	}
	n_blocks++;
	return __real_calloc(n, size);
}

void __wrap_free(void *p);
void __wrap_free(void *p)
{
	n_blocks -= p != NULL;
	__real_free(p);
}

int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	if (fails_now()) {
		n_failed++;
		errno_of_keys = true;
		return EAGAIN;
	}
	return __real_pthread_key_create(key, destructor);
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	if (fails_now()) {
		n_failed++;
		return ENOMEM;
	}
	return __real_pthread_setspecific(key, value);
}

/* --- a program that tries again ----------------------------------------------------- */

static unsigned n_errors;

static void check_all(void)
{
	co_env_check();
	co_stack_check();
	co_loop_check();
}

/* A call has returned an error: it must be the right one, and all is as before. */
static void note_error(void)
{
	CHECK_EQ(errno, errno_of_keys ? EAGAIN : ENOMEM);
	errno_of_keys = false;
	check_all();
	CHECK(++n_errors < 1000);
	if (mode == FROM_THEN_ON)
		mode = NEVER;
}

#define UNTIL_IT_WORKS(call) \
	while ((call) == -1) \
	note_error()

enum { N = 70 }; /* coroutines: more than one slab */
static int n_rounds;

static void *work(void *arg)
{
	for (int i = 0; i < 2; i++) {
		UNTIL_IT_WORKS(co_reschedule());
		n_rounds++;
	}
	return arg;
}

static struct co *create(co_fn *fn, void *arg)
{
	struct co *co, *const untouched = (struct co *)&co;
	size_t lent = co_stack_stats().lent;

	for (co = untouched; co_create(&co, NULL, fn, arg) == -1; note_error()) {
		CHECK_EQ(co, untouched);
		CHECK_EQ(co_stack_stats().lent, lent);
	}
	CHECK_EQ(co_stack_stats().lent, lent + 1);
	CHECK_EQ(strlen(co_name(co)), 0);
	CHECK(!co->result && !co->waits_in && !co->blocked_at && co->n_resumes == 0);
	return co;
}

static void *whole_life(void *arg)
{
	struct co *co[N];
	stack_t alt;

	n_rounds = 0;
	for (int i = 0; i < N; i++)
		co[i] = create(work, NULL);
	check_all();
	CHECK_EQ(sigaltstack(NULL, &alt), 0);
	CHECK(!(alt.ss_flags & SS_DISABLE)); /* an overflow will be reported */
	for (int i = 0; i < N; i++)
		CHECK_EQ(co_resume(co[i]), 0);
	UNTIL_IT_WORKS(co_eventloop(NULL, NULL, NULL));
	CHECK_EQ(n_rounds, 2 * N);
	for (int i = 0; i < N; i++) {
		CHECK_EQ(co_status(co[i]), CO_DONE);
		if (i % 3) /* the others are left to the thread's end */
			CHECK_EQ(co_release(co[i]), 0);
	}
	check_all();
	return arg;
}

static void run_thread(void *(*fn)(void *))
{
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, fn, NULL), 0);
	pthread_join(t, NULL);
	CHECK_EQ(n_blocks, 0);
	CHECK_EQ(n_maps, 0);
	CHECK(list_empty(&co_envs));
}

/* clang links a sanitizer's own code statically: its calls would fail, too. */
static void skip_if_the_tool_is_linked_in(void)
{
#ifdef __clang__
	SKIP_IF_WATCHED("memory is not ours alone");
#endif
}

static void *reschedule_once(void *arg)
{
	(void)co_reschedule();
	return arg;
}

static void *from_the_pool(void *arg)
{
	struct co *co = create(reschedule_once, NULL), *latest = co;
	long before = n_blocks;

	CHECK_EQ(co_release(co), 0);
	mode = FROM_THEN_ON;
	fail_at = 0;
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(co_create(&co, NULL, reschedule_once, NULL), 0);
		CHECK_EQ(co, latest);
		CHECK_EQ(co_release(co), 0);
	}
	mode = NEVER;
	CHECK_EQ(n_blocks, before);
	return arg;
}

static void pool_needs_nothing(void)
{
	SKIP_IF_WATCHED("a struct co is a block of the heap there");
	run_thread(from_the_pool);
}

enum { CALLS_LEFT = 40, NO_CALLS_LEFT = 41 };

/* One life with its @at-th call failing. False: it has not that many. */
static bool life_with_failure(int how, unsigned at)
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		mode = how;
		fail_at = at;
		run_thread(whole_life);
		if (how == FROM_THEN_ON)
			CHECK_EQ(n_errors, n_failed > 0);
		else
			CHECK(n_errors <= n_failed);
		bool more = n_calls >= at;
		mode = NEVER;
		run_thread(whole_life); /* a thread that has never seen trouble */
		_exit(more ? CALLS_LEFT : NO_CALLS_LEFT);
	}
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == CALLS_LEFT || WEXITSTATUS(status) == NO_CALLS_LEFT);
	return WEXITSTATUS(status) == CALLS_LEFT;
}

static void every_call(int how)
{
	unsigned at = 1, step = watched_by() ? 17 : 1;

	skip_if_the_tool_is_linked_in();
	while (life_with_failure(how, at))
		at += step;
	printf("# %u calls, every %u. made to fail\n", at - 1, step);
	CHECK(at > N);
}

static void each_once(void)
{
	every_call(ONCE);
}

static void each_from_then_on(void)
{
	every_call(FROM_THEN_ON);
}

static void old_kernel_each_once(void)
{
	no_guards = true;
	every_call(ONCE);
}

static void old_kernel_from_then_on(void)
{
	no_guards = true;
	every_call(FROM_THEN_ON);
}

/* The thread gives up at the first error: what was half made goes with it. */
static void *give_up(void *arg)
{
	struct co *co;

	for (int i = 0; i < 3; i++)
		if (co_create(&co, NULL, reschedule_once, NULL) == -1 || co_resume(co) == -1)
			return arg;
	co_eventloop(NULL, NULL, NULL);
	return arg;
}

static void gives_up(void)
{
	unsigned at = 0;

	skip_if_the_tool_is_linked_in();
	for (bool more = true; more;) {
		int status;
		pid_t pid = fork();
		if (pid == 0) {
			mode = FROM_THEN_ON;
			fail_at = at;
			run_thread(give_up);
			_exit(n_calls >= at ? CALLS_LEFT : NO_CALLS_LEFT);
		}
		at++;
		waitpid(pid, &status, 0);
		CHECK(status == CALLS_LEFT << 8 || status == NO_CALLS_LEFT << 8);
		more = status == CALLS_LEFT << 8;
	}
	CHECK(at > 5);
}

/* --- guards ---------------------------------------------------------------------------- */

static void check_guard(const struct co_stack *s)
{
	int p[2];

	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(write(p[1], "xy", 2), 2);
	CHECK_FAILS(read(p[0], s->lo - 1, 1), -1, EFAULT);
	CHECK_FAILS(read(p[0], s->lo - s->guard_len, 1), -1, EFAULT);
	CHECK_EQ(read(p[0], s->lo, 1), 1);
	CHECK_EQ(read(p[0], s->hi - 1, 1), 1);
	close(p[0]);
	close(p[1]);
}

static void *guards_by_mprotect(void *arg)
{
	for (int i = 0; i < N; i++) {
		struct co *co = create(work, NULL);
		check_guard(co->exec.stack);
	}
	CHECK_EQ(n_errors, 0);
	return arg;
}

static void old_kernel(void)
{
	skip_if_the_tool_is_linked_in();
	no_guards = true;
	run_thread(guards_by_mprotect);
}

/* Two maps for each stack: at 65 530 the kernel has had enough. */
static void too_many_maps(void)
{
	enum { MOST = 100 * 1000 };
	struct co_stack **s = malloc(MOST * sizeof(*s)), *one;
	int n = 0;

	SKIP_IF_WATCHED("maps are not ours alone");
	no_guards = true;
	while (n < MOST && (s[n] = co_stack_get(0)))
		n++;
	CHECK_EQ(errno, ENOMEM);
	printf("# the kernel has room for %d\n", n);
	if (n == MOST)
		check_skip("vm.max_map_count is raised: 100000 fit");
	CHECK(n > 1000);
	CHECK_EQ(co_stack_stats().lent, n);
	CHECK_FAILS(co_stack_get(0), NULL, ENOMEM);
	for (int i = 0; i < n; i += 1000)
		check_guard(s[i]);
	co_stack_check();
	for (int i = 0; i < n; i++)
		s[i]->ops->put(s[i]);
	one = co_stack_get(0); /* now there is room */
	check_guard(one);
	one->ops->put(one);
	co_stack_check();
	no_guards = false;
	for (int i = 0; i < MOST; i++) /* and where the kernel has guards, all fit */
		if (kernel_has_guards())
			CHECK((s[i] = co_stack_get(0)) != NULL);
	free(s);
}

/* The advice is refused for one stack only: as for locked memory. */
static void one_refused(void)
{
	co_stack_get(0);
	no_guards = true;
	check_guard(co_stack_get(0));
	no_guards = false;
	check_guard(co_stack_get(0));
}

static void *no_guard_at_all(void *arg)
{
	struct co *co;

	no_guards = no_protection = true;
	for (int i = 0; i < 3; i++) {
		CHECK_FAILS(co_create(&co, NULL, work, NULL), -1, ENOMEM);
		CHECK_EQ(co_stack_stats().slabs, 0);
	}
	no_guards = false;
	create(work, NULL);
	/* Now there is a slab, with one stack in use: that one is unharmed. */
	no_guards = true;
	CHECK_FAILS(co_create(&co, NULL, work, NULL), -1, ENOMEM);
	CHECK_EQ(co_stack_stats().slabs, 1);
	CHECK_EQ(co_stack_stats().lent, 1);
	check_all();
	no_guards = no_protection = false;
	check_guard(create(work, NULL)->exec.stack);
	return arg;
}

static void both_refused(void)
{
	skip_if_the_tool_is_linked_in();
	run_thread(no_guard_at_all);
}

static const struct test_case cases[] = {
	{ "each_once", "any one call fails: an error or none, nothing leaks, the next try works", each_once, 0, 0 },
	{ "from_then_on", "A15: from any call on all fail: one ENOMEM, nothing leaks, later all works", each_from_then_on, 0, 0 },
	{ "old_each_once", "the same with guards made by mprotect", old_kernel_each_once, 0, 0 },
	{ "old_from_then_on", "the same with guards made by mprotect, from any call on", old_kernel_from_then_on, 0, 0 },
	{ "pool_needs_nothing", "a stack from the pool has all that a new coroutine needs", pool_needs_nothing, 0, 0 },
	{ "gives_up", "a thread that ends after the first error leaves nothing", gives_up, 0, 0 },
	{ "old_kernel", "where the kernel knows no guards, mprotect makes them", old_kernel, 0, 0 },
	{ "too_many_maps", "guards by mprotect: the stack that is too many says ENOMEM, the others are unharmed", too_many_maps,
	  0, 0 },
	{ "one_refused", "one refused guard is made by mprotect, the next is not", one_refused, 0, 0 },
	{ "both_refused", "no guard, no stack: ENOMEM, and those in use are unharmed", both_refused, 0, 0 },
};

TEST_MAIN(cases)
