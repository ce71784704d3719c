/* SPDX-License-Identifier: MIT */
/* The high-water mark: exact depths, stacks that had other users, memory, misuse. */
#include "stack_used.h"

#include <alloca.h>
#include <pthread.h>

#include "env.h"
#include "tools.h"

enum {
	KIB = 1024,
	MIB = 1024 * 1024,
	SHALLOW = 4 * KIB, /* more than what a coroutine needs that merely yields */
};

static struct co *create(int stack_size, co_fn *fn, void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, &(struct co_attr){ .stack_size = stack_size }, fn, arg), 0);
	return co;
}

static void check_all(void)
{
	co_env_check();
	co_stack_check();
	CHECK(!co_get_curr_thread_env()->inside);
}

/* What it says, and that it leaves errno alone. */
static size_t used(const struct co *co)
{
	errno = 4711;
	size_t n = co_stack_used(co);
	CHECK_EQ(errno, 4711);
	if (co == co_self())
		CHECK(co_stack_used(co) >= n); /* this call may be its deepest */
	else
		CHECK_EQ(co_stack_used(co), n);
	return n;
}

/* --- going to an exact depth ------------------------------------------------------ */

/* For functions that a sanitizer must leave alone: it would make calls from them. */
#if defined(__has_attribute) && __has_attribute(disable_sanitizer_instrumentation)
#define PLAIN noinline, disable_sanitizer_instrumentation, no_sanitize_address, no_sanitize_thread
#else
#define PLAIN noinline, no_sanitize_address, no_sanitize_thread
#endif

/* Write @byte so that it is the @depth-th byte below the top of @stack. Nothing is
 * called from here: nothing is written below it. */
__attribute__((PLAIN)) static void dig(const struct co_stack *stack, size_t depth, char byte)
{
	volatile char *at = stack->hi - depth;
	size_t len = (size_t)((char *)__builtin_frame_address(0) - (char *)at);
	volatile char *local = alloca(len);
	__asm__ volatile("" : : "r"(local) : "memory");
	if (local > at)
		__builtin_trap();
	*at = byte;
}

static size_t in_words(size_t depth)
{
	return (depth + 7) / 8 * 8;
}

/* A coroutine goes to the depth that is in *@depth, each time it is resumed. */
static void *dig_each_time(void *depth)
{
	char local[40]; /* AddressSanitizer forbids the bytes around it */

	for (;;) {
		dig(co_self()->exec.stack, *(size_t *)depth, 0x5a);
		__asm__ volatile("" : : "r"(local) : "memory"); /* it is somewhere */
		co_yield_ct();
	}
	return NULL;
}

static void *dig_once(void *depth)
{
	dig(co_self()->exec.stack, *(size_t *)depth, 0x5a);
	return NULL;
}

static size_t random_depth(struct rng *r, size_t size)
{
	return SHALLOW + rng_below(r, (unsigned)(size - SHALLOW - 2 * KIB));
}

/* --- exact ------------------------------------------------------------------------ */

static void exact(void)
{
	static const int sizes[] = { 32 * KIB, 64 * KIB, 0, MIB };
	struct rng r = { test_seed(9091) };

	for (int i = 0; i < 4; i++) {
		size_t depth, deepest = 0;
		struct co *co = create(sizes[i], dig_each_time, &depth);
		size_t size = co_stack_size(co);
		size_t asked = sizes[i] ? (size_t)sizes[i] : CO_STACK_DEFAULT;
		CHECK(size >= asked && size < asked + 4096);
		CHECK_EQ(used(co), 0);
		for (int round = 0; round < 30; round++) {
			depth = random_depth(&r, round < 15 ? 7 * KIB + (size - 7 * KIB) / 16 * (size_t)round : size);
			CHECK_EQ(co_resume(co), 0);
			if (depth > deepest)
				deepest = depth;
			CHECK_EQ(used(co), in_words(deepest));
		}
		co_release(co);
	}
	check_all();
}

static void bounds(void)
{
	size_t depth = SHALLOW;
	struct co *co = create(0, dig_each_time, &depth);
	const struct co_stack *s = co->exec.stack;
	size_t size = co_stack_size(co);

	CHECK_EQ(size, s->hi - s->lo);
	annotate_scan_begin(); /* no frame of ours is there */
	s->hi[-1] = 1;
	CHECK_EQ(used(co), 8);
	s->hi[-8] = 1;
	CHECK_EQ(used(co), 8);
	s->hi[-9] = (char)0x80;
	CHECK_EQ(used(co), 16);
	s->lo[15] = 1;
	CHECK_EQ(used(co), size - 8);
	s->lo[7] = (char)0x80;
	CHECK_EQ(used(co), size);
	s->lo[0] = 1;
	CHECK_EQ(used(co), size);
	s->lo[0] = s->lo[7] = s->lo[15] = 0;
	CHECK_EQ(used(co), 16);
	annotate_scan_end(NULL, 0);
#ifdef CO_ASAN
	__asan_poison_memory_region(s->lo, SHALLOW); /* as a frame that was left by longjmp */
	CHECK_EQ(used(co), 16);
#endif
	co_release(co);
}

static void *dig_zeros(void *arg)
{
	dig(co_self()->exec.stack, 20 * KIB, 1);
	dig(co_self()->exec.stack, 90 * KIB, 0);
	return arg;
}

static void zeros(void)
{
	struct co *co = create(0, dig_zeros, NULL);

	co_resume(co);
	CHECK_EQ(used(co), 20 * KIB);
	co_release(co);
}

/* --- whom one may ask about ----------------------------------------------------------- */

static size_t told[4];

static void *ask_about_oneself(void *arg)
{
	struct co *me = co_self();

	told[0] = used(me);
	dig(me->exec.stack, 50 * KIB, 1);
	told[1] = used(me);
	co_yield_ct();
	told[2] = used(me);
	CHECK(!me->env->inside);
	return arg;
}

static void running(void)
{
	struct co *co = create(0, ask_about_oneself, NULL);

	CHECK_EQ(used(co), 0);
	co_resume(co);
	CHECK(told[0] > 0);
	CHECK(told[0] < SHALLOW * 2);
	CHECK_EQ(told[1], 50 * KIB);
	CHECK_EQ(co_status(co), CO_SUSPENDED);
	CHECK_EQ(used(co), 50 * KIB);
	co_resume(co);
	CHECK_EQ(told[2], 50 * KIB);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(used(co), 50 * KIB);
	CHECK_EQ(co_reset(co), 0);
	CHECK_EQ(used(co), 50 * KIB); /* what it did before counts */
	co_release(co);
	check_all();
}

static void *ask_about(void *other)
{
	told[3] = used(other);
	return NULL;
}

static void *resume_one_that_asks(void *arg)
{
	dig(co_self()->exec.stack, 30 * KIB, 1);
	struct co *inner = create(0, ask_about, co_self());
	co_resume(inner);
	co_release(inner);
	return arg;
}

static void normal(void)
{
	struct co *co = create(0, resume_one_that_asks, NULL);

	co_resume(co);
	CHECK_EQ(told[3], 30 * KIB);
	co_release(co);
}

/* --- stacks that had other users ----------------------------------------------------- */

/* A coroutine on the stack that was put back last. */
static struct co *use_again(size_t *depth)
{
	static char *lo;
	struct co *co = create(0, dig_once, depth);

	CHECK(!lo || co->exec.stack->lo == lo);
	lo = co->exec.stack->lo;
	return co;
}

static void left_over(void)
{
	size_t depth = 100 * KIB;
	struct co *co = use_again(&depth);

	co_resume(co);
	co_release(co);
	depth = 10 * KIB;
	co = use_again(&depth);
	CHECK_EQ(used(co), 100 * KIB); /* it has not run yet */
	co_resume(co);
	CHECK_EQ(used(co), 100 * KIB);
	co_release(co);
}

static void wiped(void)
{
	size_t depth = 100 * KIB;
	struct co *co = use_again(&depth);

	co_resume(co);
	co_stack_measure(true);
	CHECK_EQ(used(co), 100 * KIB); /* nobody wipes a stack in use */
	co_release(co);
	for (int i = 0; i < 5; i++) {
		co = use_again(&depth);
		for (const char *p = co->exec.stack->lo; !watched_by() && p < co->exec.stack->hi; p++)
			CHECK_EQ(*p, 0); /* whole pages and the rest */
		CHECK_EQ(used(co), 0);
		depth = (size_t)(100 - 20 * i) * KIB + 123;
		co_resume(co);
		CHECK_EQ(used(co), in_words(depth));
		co_release(co);
	}
	co_stack_measure(false);
	co = use_again(&depth);
	CHECK_EQ(used(co), in_words(depth)); /* as it was left */
	co_release(co);
	check_all();
}

static void *measured_there(void *arg)
{
	size_t depth = 60 * KIB;

	for (int i = 0; i < 2; i++, depth = 20 * KIB) {
		struct co *co = create(0, dig_once, &depth);
		co_resume(co);
		CHECK_EQ(used(co), depth);
		co_release(co);
	}
	return arg;
}

static void all_threads(void)
{
	pthread_t t;

	co_stack_measure(true);
	CHECK_EQ(pthread_create(&t, NULL, measured_there, NULL), 0);
	pthread_join(t, NULL);
}

/* The pool is too small for all; one who leaves it gives up its memory. If that is
 * locked, the kernel refuses. */
static void locked(void)
{
	SKIP_IF_WATCHED("memory is not ours alone");
	enum { N = CO_POOL_STACKS + 1, DEPTH = 9 * KIB };
	static struct co *co[N];
	static size_t depth = DEPTH;
	bool found = false;

	for (int i = 0; i < N; i++)
		co_resume(co[i] = create(16 * KIB, dig_once, &depth));
	char *lo = co[0]->exec.stack->lo;
	if (mlock(lo, 16 * KIB) != 0)
		check_skip("mlock: %s", strerror(errno));
	for (int i = 0; i < N; i++)
		co_release(co[i]);
	for (int measured = 0; measured < 2; measured++) {
		co_stack_measure(measured);
		for (int i = 0; i < N; i++) {
			co[i] = create(16 * KIB, dig_once, &depth);
			if (measured)
				CHECK_EQ(used(co[i]), 0);
			else if (co[i]->exec.stack->lo == lo)
				found = used(co[i]) == DEPTH;
		}
		for (int i = 0; i < N; i++) /* lo's first: it leaves the pool again */
			if (co[i]->exec.stack->lo == lo)
				co_release(co[i]), co[i] = NULL;
		for (int i = 0; i < N; i++)
			if (co[i])
				co_release(co[i]);
	}
	CHECK(found); /* or the case shows nothing */
	check_all();
}

/* Random coroutines on few stacks, and beside them what must come of it. */
static void random_users(void)
{
	enum { N = 12 };
	static struct co *co[N];
	static size_t depth[N];
	struct {
		char *lo;
		size_t deepest;
	} stacks[N] = { { 0 } };
	struct rng r = { test_seed(77) };
	bool is_on = false;

	for (int step = 0, steps = rounds(4000); step < steps; step++) {
		unsigned i = rng_below(&r, N);
		unsigned what = rng_below(&r, 10);
		if (what == 0) {
			is_on = rng_below(&r, 2);
			co_stack_measure(is_on);
		}
		unsigned k = 0;
		if (!co[i]) {
			co[i] = create(64 * KIB, dig_each_time, &depth[i]);
			while (k < N && stacks[k].lo && stacks[k].lo != co[i]->exec.stack->lo)
				k++;
			CHECK(k < N);
			stacks[k].lo = co[i]->exec.stack->lo;
			if (is_on)
				stacks[k].deepest = 0;
		}
		for (k = 0; stacks[k].lo != co[i]->exec.stack->lo;)
			k++;
		CHECK_EQ(used(co[i]), in_words(stacks[k].deepest));
		if (what < 6) {
			depth[i] = random_depth(&r, rng_below(&r, 2) ? 64 * KIB : 16 * KIB);
			co_resume(co[i]);
			if (depth[i] > stacks[k].deepest)
				stacks[k].deepest = depth[i];
			CHECK_EQ(used(co[i]), in_words(stacks[k].deepest));
		} else if (what < 8) {
			co_release(co[i]);
			co[i] = NULL;
		} else {
			co_reset(co[i]);
		}
	}
	for (int i = 0; i < N; i++)
		if (co[i])
			co_release(co[i]);
	check_all();
}

/* --- memory --------------------------------------------------------------------------- */

/* The measuring must not become part of what is measured. */
static void resident(void)
{
	SKIP_IF_WATCHED("memory is not ours alone");
	enum { N = 64 };
	static struct co *co[N];
	size_t depth = SHALLOW, before = 0, created;

	for (int measured = 0; measured < 2; measured++) {
		co_stack_measure(measured);
		for (int i = 0; i < N; i++) {
			co[i] = create(MIB, dig_each_time, &depth);
			CHECK_EQ(co_resume(co[i]), 0);
			CHECK_EQ(co_stack_used(co[i]), SHALLOW);
			if (i == 0)
				before = resident_bytes(); /* whatever is needed once */
		}
		created = resident_bytes();
		printf("# a coroutine on 1 MiB: %zu bytes resident\n", (created - before) / (N - 1));
		CHECK(created - before < N * 4 * 4 * KIB);
		for (int i = 0; i < N; i++)
			CHECK_EQ(co_stack_used(co[i]), SHALLOW);
		CHECK(resident_bytes() < created + 64 * KIB);
		for (int i = 0; i < N; i++)
			co_release(co[i]);
		co_stack_thread_exit(); /* the next are fresh again */
	}
}

/* --- a stack that answers for itself ------------------------------------------------------ */

static const struct co_stack *asked;

static size_t answer(const struct co_stack *stack)
{
	asked = stack;
	CHECK(co_self()->env->inside); /* a signal handler must not wait now */
	return 12345;
}

static void own_answer(void)
{
	size_t depth = SHALLOW;
	struct co *co = create(0, dig_once, &depth);
	struct co_stack *s = co->exec.stack;
	const struct co_stack_ops *before = s->ops;
	struct co_stack_ops ops = *before;

	co_resume(co);
	ops.used = answer;
	s->ops = &ops;
	CHECK_EQ(used(co), 12345);
	CHECK_EQ(asked, s);
	s->ops = before;
	CHECK_EQ(used(co), SHALLOW);
	co_release(co);
}

/* --- misuse ------------------------------------------------------------------------------- */

static void *ask_from_afar(void *co)
{
	size_t depth = SHALLOW;

	CHECK_FAILS(co_stack_used(co), 0, EXDEV);
	CHECK_FAILS(co_stack_size(co), 0, EXDEV);
	struct co *mine = create(0, dig_once, &depth); /* and now we have an environment */
	CHECK_FAILS(co_stack_used(co), 0, EXDEV);
	CHECK_FAILS(co_stack_size(co), 0, EXDEV);
	CHECK_FAILS(co_stack_used(co_self()), 0, ENOTSUP);
	co_release(mine);
	return NULL;
}

static void misuse(void)
{
	size_t depth = SHALLOW;
	pthread_t t;

	CHECK_FAILS(co_stack_used(NULL), 0, EINVAL);
	CHECK_FAILS(co_stack_size(NULL), 0, EINVAL);
	CHECK_FAILS(co_stack_used(co_self()), 0, EINVAL); /* nobody: no coroutines yet */
	struct co *co = create(0, dig_once, &depth);
	CHECK_FAILS(co_stack_used(co_self()), 0, ENOTSUP);
	CHECK_FAILS(co_stack_size(co_self()), 0, ENOTSUP);
	co_resume(co);
	CHECK_EQ(pthread_create(&t, NULL, ask_from_afar, co), 0);
	pthread_join(t, NULL);
	CHECK_EQ(used(co), SHALLOW);
	errno = 4711;
	CHECK_EQ(co_stack_size(co), co->exec.stack->hi - co->exec.stack->lo);
	CHECK_EQ(errno, 4711);
	co_stack_measure(false);
	co_stack_measure(true);
	co_stack_measure(true);
	co_release(co);
	check_all();
}

static const struct test_case cases[] = {
	{ "exact", "random depths are told to the word, and the deepest is kept", exact, 0, 0 },
	{ "bounds", "any bit of the top word and of the bottom word counts", bounds, 0, 0 },
	{ "zeros", "zeros that were written below the mark are not seen", zeros, 0, 0 },
	{ "running", "one may ask about oneself; suspended, done, reset, the mark stays", running, 0, 0 },
	{ "normal", "one may ask about one's resumer", normal, 0, 0 },
	{ "left_over", "on a stack from the pool the mark is its deepest user's", left_over, 0, 0 },
	{ "wiped", "measuring, each user's mark is its own", wiped, 0, 0 },
	{ "all_threads", "measuring holds for all threads", all_threads, 0, 0 },
	{ "locked", "measuring holds for locked memory too", locked, 0, 0 },
	{ "random", "random users of few stacks do what a model says, measured or not", random_users, 0, 0 },
	{ "resident", "neither asking nor measuring makes memory resident", resident, 0, 0 },
	{ "own_answer", "a kind of stack may answer for itself", own_answer, 0, 0 },
	{ "misuse", "nobody, main, another thread's: refused", misuse, 0, 0 },
};

TEST_MAIN(cases)
