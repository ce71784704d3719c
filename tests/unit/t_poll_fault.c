/* SPDX-License-Identifier: MIT */
/*
 * Waiting while the kernel and the allocator refuse: epoll's calls, timers'
 * descriptors and memory, at each place once, and at random all the time.
 *
 * A ring of coroutines hands tokens round through pipes. Whoever gets an error
 * tries again. An event that is lost would stop the ring.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "co_poll.h"
#include "epoll.h"
#include "jumping_clock.h"
#include "kernel.h"
#include "sleep.h"

/* --- memory -------------------------------------------------------------------------- */

static atomic_long n_blocks; /* what the library holds */

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t len);
void __real_free(void *p);

void *__wrap_malloc(size_t len);
void *__wrap_malloc(size_t len)
{
	if (kernel_fails(MEMORY))
		return NULL;
	n_blocks++;
	return __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	if (kernel_fails(MEMORY))
		return NULL;
	n_blocks++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t len);
void *__wrap_realloc(void *p, size_t len)
{
	if (kernel_fails(MEMORY))
		return NULL;
	n_blocks += p == NULL;
	return __real_realloc(p, len);
}

void __wrap_free(void *p);
void __wrap_free(void *p)
{
	n_blocks -= p != NULL;
	__real_free(p);
}

/* --- who fails when ------------------------------------------------------------------- */

static struct rng r;
static unsigned one_in; /* random: so many calls of which one fails; 0: none */
static unsigned fail_at, n_seen; /* or that one, counted from 1 */
static bool from_then_on;
static unsigned n_failed, n_errors;
static bool is_leaving; /* the thread ends: what fails now, fails nobody */

static int error_for(enum kernel_call call)
{
	static const int of_ctl[] = { ENOMEM, ENOSPC }, of_wait[] = { EINTR, ENOMEM, EBADF }, of_create[] = { EMFILE, ENOMEM };

	switch (call) {
	case EPOLL_CTL:
		return of_ctl[n_seen % 2];
	case EPOLL_WAIT:
	case EPOLL_PWAIT2:
		return of_wait[n_seen % 3];
	case EPOLL_CREATE:
		return of_create[n_seen % 2];
	default:
		return ENOMEM;
	}
}

static int fails(enum kernel_call call)
{
	n_seen++;
	if (one_in ? rng_below(&r, one_in) != 0 : from_then_on ? n_seen < fail_at : n_seen != fail_at)
		return 0;
	n_failed += !is_leaving;
	return error_for(call);
}

/* A call has returned -1: with one of the errors that it was given, and all is well. */
static void note_error(void)
{
	CHECK(errno == ENOMEM || errno == ENOSPC || errno == EMFILE || errno == EBADF);
	CHECK(n_failed > 0);
	CHECK(++n_errors < 1000000);
	co_env_check();
	co_loop_check();
	co_epoll_check();
	if (from_then_on)
		kernel.fails = NULL; /* things get better */
}

#define UNTIL_IT_WORKS(call) \
	while ((call) == -1) \
	note_error()

/* --- the ring --------------------------------------------------------------------------- */

enum { RING = 5, LAPS = 12, TOKENS = 2 };

static struct {
	int from[2];
	int n;
} place[RING];

static void *hand_on(void *arg)
{
	intptr_t i = (intptr_t)arg, next = (i + 1) % RING;
	struct pollfd fds[3] = { { .fd = place[i].from[0], .events = POLLIN }, { .fd = -1 }, { .fd = place[i].from[1], .events = POLLPRI } };

	while (place[i].n < LAPS * TOKENS) {
		char c[TOKENS];
		if (place[i].n % 4 == 3)
			UNTIL_IT_WORKS(co_wait_until(fds[0].fd, POLLIN, CO_NEVER));
		else
			UNTIL_IT_WORKS(co_poll(NULL, fds, place[i].n % 3 + 1, place[i].n % 2 ? -1 : 1000000));
		ssize_t n = read(fds[0].fd, c, sizeof(c));
		if (n < 0) {
			CHECK_EQ(errno, EAGAIN);
			CHECK_EQ(place[i].n % 4, 3); /* co_poll makes promises */
			CHECK(++n_errors < 1000000);
			continue;
		}
		place[i].n += (int)n;
		if (place[i].n % 5 == 0)
			UNTIL_IT_WORKS(co_sleep_ns(1000));
		if (i < RING - 1 || place[i].n < LAPS * TOKENS)
			CHECK_EQ(write(place[next].from[1], c, (size_t)n), n);
	}
	return arg;
}

static int count_turns(void *arg)
{
	int done = 0;

	CHECK(++*(long *)arg < 200000); /* else an event was lost */
	for (int i = 0; i < RING; i++)
		done += place[i].n >= LAPS * TOKENS;
	return done == RING ? -1 : 0;
}

static void *whole_life(void *arg)
{
	struct co *co[RING];
	long turns = 0;

	for (intptr_t i = 0; i < RING; i++) {
		place[i].n = 0;
		make_pipe(place[i].from);
	}
	for (intptr_t i = 0; i < RING; i++) {
		UNTIL_IT_WORKS(co_create(&co[i], NULL, hand_on, (void *)i));
		CHECK_EQ(co_resume(co[i]), 0);
	}
	for (int i = 0; i < TOKENS; i++)
		put(place[0].from[1]);
	if (arg)
		UNTIL_IT_WORKS(co_eventloop(NULL, count_turns, &turns));
	UNTIL_IT_WORKS(co_eventloop(NULL, NULL, NULL));
	for (int i = 0; i < RING; i++) {
		CHECK_EQ(co_status(co[i]), CO_DONE);
		CHECK_EQ(place[i].n, LAPS * TOKENS);
		if (i % 2) /* the others are left to the thread's end */
			CHECK_EQ(co_release(co[i]), 0);
		close(place[i].from[0]);
		close(place[i].from[1]);
	}
	is_leaving = true;
	return arg;
}

static void run_life(bool with_callback)
{
	size_t fds = count_fds();
	long blocks = n_blocks;

	n_seen = n_failed = n_errors = 0;
	is_leaving = false;
	kernel.fails = fails;
	on_thread(whole_life, with_callback ? &r : NULL);
	kernel.fails = NULL;
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(n_blocks, blocks);
	CHECK(list_empty(&co_envs));
}

/* clang links a sanitizer's own code statically: its calls would fail, too. */
static void skip_if_the_tool_is_linked_in(void)
{
#ifdef __clang__
	SKIP_IF_WATCHED("memory is not ours alone");
#endif
}

/* --- the cases ------------------------------------------------------------------------------ */

static void at_random(void)
{
	unsigned long failed = 0, errors = 0;
	int n = rounds(120);

	skip_if_the_tool_is_linked_in();
	r.s = test_seed(4711);
	for (int i = 0; i < n; i++) {
		one_in = 2 + rng_below(&r, 30);
		kernel.no_pwait2 = i % 3 == 0 ? ENOSYS : 0;
		run_life(i % 2);
		failed += n_failed;
		errors += n_errors;
	}
	printf("# %d lives, %lu calls failed, %lu errors came out\n", n, failed, errors);
	CHECK(failed > 5ul * (unsigned)n);
}

static void kinds_at_random(void)
{
	skip_if_the_tool_is_linked_in();
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			setenv("COSTEP_TIMER", i ? "timerfd" : "wheel", 1);
			r.s = 17;
			for (int k = 0; k < rounds(20); k++) {
				one_in = 4 + rng_below(&r, 20);
				run_life(k % 2);
			}
			_exit(0);
		}
		join_child(pid);
	}
}

static void one_after_the_other(void)
{
	unsigned step = (unsigned)rounds(10) == 10 ? 1 : 13;

	for (fail_at = 1;; fail_at += step) {
		run_life(fail_at % 2);
		if (n_failed == 0) /* it has not that many calls */
			break;
		CHECK(!from_then_on || n_errors == 1);
	}
	printf("# %u calls, every %u. made to fail\n", fail_at, step);
	CHECK(fail_at > 60);
}

static void each_once(void)
{
	skip_if_the_tool_is_linked_in();
	one_after_the_other();
}

static void each_from_then_on(void)
{
	skip_if_the_tool_is_linked_in();
	from_then_on = true;
	one_after_the_other();
}

static void old_kernel_each_once(void)
{
	skip_if_the_tool_is_linked_in();
	kernel.no_pwait2 = ENOSYS;
	one_after_the_other();
}

/* A poll that fails half way leaves nobody seated. */
static int fails_at_third_seat(enum kernel_call call)
{
	return call == EPOLL_CTL && ++n_seen == 3 ? ENOSPC : 0;
}

static void *fails_half_way(void *arg)
{
	struct pollfd fds[4];
	int p[2];

	make_pipe(p);
	for (int i = 0; i < 4; i++)
		fds[i] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	for (int i = 0; i < 3; i++) {
		n_seen = 0;
		kernel.fails = fails_at_third_seat;
		CHECK_FAILS(co_poll(NULL, fds, 4, i ? -1 : 1000000), -1, ENOSPC);
		kernel.fails = NULL;
		CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0); /* nobody waits, no timer runs */
		co_epoll_check();
	}
	CHECK_EQ(co_poll(NULL, fds, 4, 1), 0);
	put(p[1]);
	CHECK_EQ(co_poll(NULL, fds, 4, -1), 4);
	close(p[0]);
	close(p[1]);
	return arg;
}

static void half_way(void)
{
	skip_if_the_tool_is_linked_in();
	on_thread(fails_half_way, NULL);
	CHECK_EQ(n_blocks, 0);
}

/* One block for a poll that waits, however many descriptors; none if one is ready. */
static void *counts_memory(void *arg)
{
	enum { N = 64 };
	struct pollfd fds[N];
	int p[2];

	/* By the real one a poll of 1 ms may find its time over before it has begun to wait. */
	co_set_clock(&jumping_clock);
	make_pipe(p);
	for (int i = 0; i < N; i++)
		fds[i] = (struct pollfd){ .fd = dup(p[0]), .events = POLLIN };
	CHECK_EQ(co_poll(NULL, fds, N, 1), 0); /* their records stay */
	for (int i = 0; i < 5; i++) {
		unsigned before = kernel.n[MEMORY];
		CHECK_EQ(co_poll(NULL, fds, N, 1), 0);
		CHECK_EQ(kernel.n[MEMORY] - before, 1);
		put(p[1]);
		CHECK_EQ(co_poll(NULL, fds, N, -1), N);
		CHECK_EQ(co_poll(NULL, fds, N, 0), N);
		CHECK_EQ(kernel.n[MEMORY] - before, 1);
		drain(p[0]);
	}
	for (int i = 0; i < N; i++)
		close(fds[i].fd);
	close(p[0]);
	close(p[1]);
	return arg;
}

static void allocations(void)
{
	skip_if_the_tool_is_linked_in();
	on_thread(counts_memory, NULL);
	CHECK_EQ(n_blocks, 0);
}

static const struct test_case cases[] = {
	{ "at_random", "calls fail at random: no event is lost, nothing leaks, all comes to its end", at_random, 0, 0 },
	{ "kinds_at_random", "the same with a wheel and a timerfd", kinds_at_random, 0, 0 },
	{ "each_once", "any one call fails: an error or none, and the next try works", each_once, 0, 0 },
	{ "each_from_then_on", "from any call on all fail, until the first error has come out", each_from_then_on, 0, 0 },
	{ "old_kernel_each_once", "any one call fails where there is no epoll_pwait2", old_kernel_each_once, 0, 0 },
	{ "allocations", "D26: one allocation for a wait, none for a poll that is ready", allocations, 0, 0 },
	{ "half_way", "a poll that fails half way leaves nothing behind", half_way, 0, 0 },
};

TEST_MAIN(cases)
