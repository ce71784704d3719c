/* SPDX-License-Identifier: MIT */
/*
 * Conditions: who is woken, when, with what result; and that no signal is lost.
 *
 * Times are exact by a clock that is set.
 */
#include <malloc.h>
#include <sys/resource.h>

#include "cond.h"
#include "sync.h"

static struct co_cond *cond;

static void check_more(void)
{
	if (cond)
		co_cond_check(cond);
}

static void begin(void)
{
	use_our_clock();
	sync_check_more = check_more;
	cond = co_cond_alloc();
	CHECK(cond != NULL);
}

static void end(void)
{
	CHECK_EQ(co_cond_free(cond), 0);
	cond = NULL;
}

/* Wait for ever; note its letter when it is signalled. */
static void *wait_long(void *letter)
{
	CHECK_EQ(co_cond_timedwait(cond, -1), 0);
	note(*(char *)letter);
	return letter;
}

/* Wait 10 ms; note a small letter when it is signalled, a capital if not. */
static void *wait_10ms(void *letter)
{
	int64_t before = now;

	errno = 4711;
	if (co_cond_timedwait(cond, 10) == 0) {
		CHECK_EQ(errno, 4711);
		note(*(char *)letter);
	} else {
		CHECK_EQ(errno, ETIMEDOUT);
		CHECK(now >= before + 10 * MS);
		note((char)(*(char *)letter - 'a' + 'A'));
	}
	return letter;
}

/* --- order ---------------------------------------------------------------------------------- */

static void *signal_twice(void *arg)
{
	note('(');
	CHECK_EQ(co_cond_signal(cond), 0);
	CHECK_EQ(co_cond_signal(cond), 0);
	note(')');
	return arg;
}

static void order(void)
{
	struct co *co[6];

	begin();
	for (int i = 0; i < 4; i++)
		co[i] = start(wait_long, &"abcd"[i]);
	check_trace("");
	CHECK_EQ(co_status(co[0]), CO_WAITING);
	CHECK_FAILS(co_resume(co[0]), -1, EBUSY);
	co[4] = start(signal_twice, NULL);
	check_trace("()"); /* never at once */
	CHECK_EQ(co_status(co[0]), CO_READY);
	CHECK_EQ(co_status(co[1]), CO_READY);
	CHECK_EQ(co_status(co[2]), CO_WAITING);
	turn();
	check_trace("ab");
	co[5] = start(wait_long, "e");
	CHECK_EQ(co_cond_broadcast(cond), 0);
	check_trace("");
	loop();
	check_trace("cde");
	release_all(co, 6);
	end();
}

/* In a turn, the one who is signalled waits for the next one. */
static void *signal_then_give_way(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	note('1');
	CHECK_EQ(co_cond_signal(cond), 0);
	CHECK_EQ(co_reschedule(), 0);
	note('2');
	return arg;
}

static void later_turn(void)
{
	struct co *co[2];

	begin();
	co[0] = start(wait_long, "a");
	co[1] = start(signal_then_give_way, NULL);
	turn();
	check_trace("1");
	turn();
	check_trace("a2");
	release_all(co, 2);
	end();
}

static void no_memory_of_signals(void)
{
	struct co *co[1];

	begin();
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(co_cond_signal(cond), 0);
		CHECK_EQ(co_cond_broadcast(cond), 0);
	}
	co[0] = start(wait_10ms, "a");
	loop();
	check_trace("A");
	release_all(co, 1);
	end();
}

/* --- time ------------------------------------------------------------------------------------- */

static void *timeouts(void *arg)
{
	struct co *co[4];
	int64_t start_at;

	begin();
	start_at = now;
	co[0] = start(wait_10ms, "a");
	co[1] = start(wait_10ms, "b");
	co[2] = start(wait_long, "c");
	CHECK_EQ(co_cond_signal(cond), 0);
	loop();
	check_trace("aB");
	CHECK_EQ(now, start_at + 10 * MS);
	CHECK_EQ(co_timers_get()->n, 0);
	CHECK_EQ(co_cond_signal(cond), 0); /* b has left: c is the first */
	loop();
	check_trace("c");
	CHECK_EQ(now, start_at + 10 * MS);
	release_all(co, 3);

	/* Signalled, and the time comes before its turn. */
	co[0] = start(wait_10ms, "a");
	co[1] = start(wait_10ms, "b");
	CHECK_EQ(co_cond_signal(cond), 0);
	CHECK_EQ(co_timers_get()->n, 1);
	now += SECOND;
	CHECK_EQ(expire(), 1);
	check_all();
	CHECK_EQ(co_status(co[1]), CO_READY);
	CHECK_EQ(co_cond_signal(cond), 0); /* nobody waits any more */
	co[2] = start(wait_10ms, "c");
	turn();
	check_trace("aB");
	loop();
	check_trace("C");

	/* The time is over, and a signal comes before its turn: it goes to the next. */
	co[3] = start(wait_long, "d");
	CHECK_EQ(co_reset(co[0]), 0);
	CHECK_EQ(co_resume(co[0]), 0);
	CHECK_EQ(co_cond_broadcast(cond), 0);
	loop();
	check_trace("da");
	release_all(co, 4);
	co[0] = start(wait_10ms, "a");
	co[1] = start(wait_long, "b");
	now += 10 * MS;
	CHECK_EQ(expire(), 1);
	CHECK_EQ(co_cond_signal(cond), 0);
	loop();
	check_trace("Ab");
	release_all(co, 2);
	end();
	return arg;
}

static void E01(void)
{
	with_each_kind(timeouts);
}

static void deadlines(void)
{
	use_heap();
	begin();
	int64_t at_ns = now + 7 * SECOND + 1;

	CHECK_FAILS(co_cond_wait_until(cond, at_ns), -1, ETIMEDOUT);
	CHECK_EQ(now, at_ns);
	n_sleeps = 0;
	CHECK_FAILS(co_cond_wait_until(cond, now), -1, ETIMEDOUT);
	CHECK_FAILS(co_cond_wait_until(cond, -1), -1, ETIMEDOUT);
	CHECK_FAILS(co_cond_wait_until(cond, INT64_MIN), -1, ETIMEDOUT);
	CHECK_FAILS(co_cond_wait_until(cond, CO_NEVER), -1, EDEADLK);
	CHECK_EQ(n_sleeps, 0);
	CHECK_EQ(now, at_ns);
	CHECK_FAILS(co_cond_timedwait(cond, INT32_MAX), -1, ETIMEDOUT);
	CHECK_EQ(now, at_ns + (int64_t)INT32_MAX * MS);
	CHECK_FAILS(co_cond_timedwait(cond, INT32_MIN), -1, EDEADLK);
	end();
}

static int wait_0_then_end(void *arg)
{
	CHECK_FAILS(co_cond_timedwait(cond, 0), -1, ETIMEDOUT);
	CHECK_FAILS(co_cond_wait_until(cond, now), -1, ETIMEDOUT);
	return arg ? -1 : 0;
}

static void *wait_0(void *arg)
{
	CHECK_FAILS(co_cond_timedwait(cond, 0), -1, ETIMEDOUT);
	CHECK_FAILS(co_cond_wait_until(cond, now - 1), -1, ETIMEDOUT);
	note('0');
	return arg;
}

static void E02(void)
{
	struct co *co[2];

	begin();
	co[0] = start(wait_long, "a");
	CHECK_EQ(co_cond_signal(cond), 0);
	co[1] = start(wait_0, NULL);
	CHECK_FAILS(co_cond_timedwait(cond, 0), -1, ETIMEDOUT);
	check_trace("0"); /* and the one who is ready has had no turn */
	CHECK_EQ(co_eventloop(NULL, wait_0_then_end, "once"), 0);
	check_trace("a");
	CHECK_EQ(n_sleeps, 0);
	release_all(co, 2);
	end();
}

/* --- errors ----------------------------------------------------------------------------------- */

static void *wait_without_memory(void *arg)
{
	long before;
	int n_failed = 0;

	use_our_clock();
	for (fail_at = 1;; fail_at++) {
		n_allocs = 0;
		errno = 0;
		if ((cond = co_cond_alloc()))
			break;
		CHECK_EQ(errno, ENOMEM);
		n_failed++;
	}
	CHECK_EQ(n_failed, 2); /* the environment, the condition */
	for (fail_at = 1;; fail_at++) {
		n_allocs = 0;
		errno = 0;
		before = n_blocks;
		CHECK_EQ(co_cond_timedwait(cond, 10), -1);
		if (errno == ETIMEDOUT)
			break;
		CHECK_EQ(errno, ENOMEM);
		CHECK(n_blocks - before <= 1); /* the loop, which stays */
		n_failed++;
		co_cond_check(cond);
	}
	CHECK_EQ(n_failed, 5); /* the waiter, the loop, the timers */
	fail_at = 0;
	end();
	return arg;
}

static void let_open(rlim_t n)
{
	struct rlimit limit;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = n;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void *wait_without_descriptor(void *arg)
{
	begin();
	co_set_clock(NULL);
	let_open(0);
	CHECK_FAILS(co_cond_timedwait(cond, 1), -1, EMFILE);
	let_open(256);
	CHECK_FAILS(co_cond_timedwait(cond, 1), -1, ETIMEDOUT);
	end();
	return arg;
}

static void E03(void)
{
	long before = n_blocks;

	with_kind(&co_timer_heap, wait_without_memory);
	CHECK_EQ(n_blocks, before);
	if (!is_under_valgrind()) /* there the limit is its own */
		with_kind(&co_timer_timerfd, wait_without_descriptor);
	/* A clock that goes back, or far ahead, is no error. */
	begin();
	struct co *co = start(wait_10ms, "a");
	now -= HOUR;
	turn();
	check_trace("");
	now += 3 * HOUR;
	loop();
	check_trace("A");
	CHECK_EQ(co_release(co), 0);
	end();
}

static struct co_cond *aliens;

static void alien_waits(void)
{
	aliens = co_cond_alloc();
	CHECK(aliens != NULL);
}

static int call_signal(struct co *co)
{
	(void)co;
	return co_cond_signal(aliens);
}

static int call_broadcast(struct co *co)
{
	(void)co;
	return co_cond_broadcast(aliens);
}

static int call_free(struct co *co)
{
	(void)co;
	return co_cond_free(aliens);
}

static int call_timedwait(struct co *co)
{
	(void)co;
	return co_cond_timedwait(aliens, 1);
}

static int call_timedwait_0(struct co *co)
{
	(void)co;
	return co_cond_timedwait(aliens, 0);
}

static int call_wait_until(struct co *co)
{
	(void)co;
	return co_cond_wait_until(aliens, CO_NEVER);
}

static const struct misuse others[] = {
	{ "signal: another thread's", call_signal, NULL, EXDEV },
	{ "broadcast: another thread's", call_broadcast, NULL, EXDEV },
	{ "free: another thread's", call_free, NULL, EXDEV },
	{ "timedwait: another thread's", call_timedwait, NULL, EXDEV },
	{ "timedwait, 0: another thread's", call_timedwait_0, NULL, EXDEV },
	{ "wait_until: another thread's", call_wait_until, NULL, EXDEV },
	{ 0 },
};

static void add_alien_cond(struct misuse_picture *p)
{
	misuse_add(p, aliens, malloc_usable_size(aliens));
}

static void *without_environment(void *arg)
{
	for (const struct misuse *m = others; m->call; m++)
		misuse_one(m, "on a thread without coroutines");
	CHECK(co_get_curr_thread_env() == NULL);
	return arg;
}

static void *misuse_in_coroutine(void *arg)
{
	misuse_all(others, "in a coroutine");
	return arg;
}

static void E04(void)
{
	alien.prepare = alien_waits;
	alien_begin();
	misuse_add_more = add_alien_cond;
	misuse_on_thread(without_environment);
	struct co *co = start(misuse_in_coroutine, NULL);
	misuse_all(others, "in main");
	misuse_add_more = NULL;
	alien_end();
	CHECK_EQ(co_release(co), 0);
	/* Its thread has ended: nobody can use it any more. (free is ours: below the library.) */
	misuse_all(others, "in main, after that thread's end");
	free(aliens);
}

static const struct misuse null[] = {
	{ "signal: NULL", call_signal, NULL, EINVAL },
	{ "broadcast: NULL", call_broadcast, NULL, EINVAL },
	{ "free: NULL", call_free, NULL, EINVAL },
	{ "timedwait: NULL", call_timedwait, NULL, EINVAL },
	{ "timedwait, 0: NULL", call_timedwait_0, NULL, EINVAL },
	{ "wait_until: NULL", call_wait_until, NULL, EINVAL },
	{ 0 },
};

static const struct misuse runs_the_loop[] = {
	{ "timedwait: the caller runs the loop", call_timedwait, NULL, EBUSY },
	{ "wait_until: the caller runs the loop", call_wait_until, NULL, EBUSY },
	{ 0 },
};

static const struct misuse somebody_waits[] = {
	{ "free: somebody waits", call_free, NULL, EBUSY },
	{ 0 },
};

static int misuse_in_callback(void *arg)
{
	misuse_all(runs_the_loop, "in the loop's callback");
	return arg ? -1 : 0;
}

static void *misuse_null(void *arg)
{
	misuse_all(null, "in a coroutine");
	return arg;
}

static void refused(void)
{
	struct co *co[2];

	misuse_on_thread(misuse_null);
	begin();
	CHECK(co_timers_get() != NULL);
	misuse_all(null, "in main");
	co[0] = start(misuse_null, NULL);
	aliens = cond;
	misuse_add_more = add_alien_cond;
	CHECK_EQ(co_eventloop(NULL, misuse_in_callback, "once"), 0);
	CHECK_EQ(co_timers_get()->n, 0);
	co[1] = start(wait_long, "a");
	misuse_all(somebody_waits, "in main");
	misuse_add_more = NULL;
	aliens = NULL;
	CHECK_EQ(co_cond_signal(cond), 0);
	loop();
	check_trace("a");
	release_all(co, 2);
	end();
}

/* --- main ------------------------------------------------------------------------------------- */

static void *signal_at(void *ms)
{
	CHECK_EQ(co_sleep_ms(*(const int *)ms), 0);
	note('s');
	CHECK_EQ(co_cond_signal(cond), 0);
	note('t');
	return ms;
}

static void main_waits(void)
{
	static const int five = 5, twenty = 20;
	struct co *co[4];
	int64_t start_at;

	begin();
	start_at = now;
	CHECK_FAILS(co_cond_timedwait(cond, -1), -1, EDEADLK);
	CHECK_FAILS(co_cond_timedwait(cond, 3), -1, ETIMEDOUT);
	CHECK_EQ(now, start_at + 3 * MS);
	co[0] = start(signal_at, &five);
	errno = 4711;
	CHECK_EQ(co_cond_timedwait(cond, -1), 0);
	CHECK_EQ(errno, 4711);
	CHECK_EQ(now, start_at + 8 * MS);
	check_trace("st"); /* main was not run at once */
	co[1] = start(signal_at, &twenty);
	CHECK_FAILS(co_cond_timedwait(cond, 10), -1, ETIMEDOUT);
	CHECK_EQ(now, start_at + 18 * MS);

	/* First come, first served: main, then the other. */
	co[2] = start(signal_at, &five);
	CHECK_EQ(co_cond_timedwait(cond, 6), 0);
	check_trace("st");
	co[3] = start(wait_10ms, "d");
	CHECK_EQ(co_reset(co[0]), 0);
	CHECK_EQ(co_resume(co[0]), 0);
	CHECK_EQ(co_cond_timedwait(cond, 8), 0); /* the second of two signals at the same time */
	CHECK_EQ(now, start_at + 28 * MS);
	check_trace("stst"); /* woken, main goes on before those who are ready */
	loop();
	check_trace("d");
	release_all(co, 4);
	end();
}

static void E05(void)
{
	main_waits();
	begin();
	struct co *co[2] = { start(wait_long, "a"), start(wait_long, "b") };
	CHECK_FAILS(co_cond_free(cond), -1, EBUSY);
	CHECK_EQ(co_cond_signal(cond), 0);
	CHECK_FAILS(co_cond_free(cond), -1, EBUSY);
	loop();
	CHECK_FAILS(co_cond_free(cond), -1, EBUSY);
	CHECK_EQ(co_release(co[1]), 0);
	check_trace("a");
	CHECK_EQ(co_release(co[0]), 0);
	end();
}

/* --- released, reset ---------------------------------------------------------------------------- */

enum { N = 5 };

/* Take out number @i of five, by release or reset; the others are signalled in order. */
static void take_out(int i, bool is_reset, bool times)
{
	struct co *co[N];
	char expected[N + 1] = "abcde";

	begin();
	for (int k = 0; k < N; k++)
		co[k] = start(times ? wait_10ms : wait_long, &"abcde"[k]);
	CHECK_EQ(is_reset ? co_reset(co[i]) : co_release(co[i]), 0);
	check_all();
	if (times)
		CHECK_EQ(co_timers_get()->n, N - 1);
	memmove(&expected[i], &expected[i + 1], (size_t)(N - i));
	for (int k = 0; k < N - 1; k++)
		CHECK_EQ(co_cond_signal(cond), 0);
	loop();
	check_trace(expected);
	CHECK_EQ(now, 1000 * SECOND);
	for (int k = 0; k < N; k++) {
		if (k == i && !is_reset)
			continue;
		CHECK_EQ(co_status(co[k]), k == i ? CO_NEW : CO_DONE);
		CHECK_EQ(co_release(co[k]), 0);
	}
	end();
}

static void A08(void)
{
	for (int i = 0; i < N; i++)
		for (int times = 0; times < 2; times++)
			take_out(i, false, times);
}

static void A10(void)
{
	for (int i = 0; i < N; i++)
		for (int times = 0; times < 2; times++)
			take_out(i, true, times);
}

static void goes_on(void)
{
	for (int how = 0; how < 2; how++) {
		struct co *co[N];

		/* To the next, and from that one to the third. */
		begin();
		for (int i = 0; i < 4; i++)
			co[i] = start(wait_10ms, &"abcd"[i]);
		CHECK_EQ(co_cond_signal(cond), 0);
		drop(&co[0], how);
		CHECK_EQ(co_status(co[1]), CO_READY);
		drop(&co[1], !how);
		CHECK_EQ(co_status(co[2]), CO_READY);
		CHECK_EQ(co_status(co[3]), CO_WAITING);
		turn();
		check_trace("c");
		/* It has run: its end is no signal. */
		drop(&co[2], how);
		loop();
		check_trace("D");
		release_rest(co, 4);

		/* To one who has come later; to nobody, and then it is forgotten. */
		co[0] = start(wait_long, "a");
		CHECK_EQ(co_cond_signal(cond), 0);
		co[1] = start(wait_long, "b");
		drop(&co[0], how);
		drop(&co[1], how);
		co[2] = start(wait_10ms, "c");
		loop();
		check_trace("C");
		release_rest(co, 3);
		end();
	}
}

static struct co *victim;

static void *drop_victim(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(co_release(victim), 0);
	note('!');
	return arg;
}

/* In the turn in which it would have run. */
static void goes_on_in_turn(void)
{
	struct co *co[2];

	begin();
	victim = start(wait_long, "v");
	co[0] = start(wait_long, "a");
	co[1] = start(drop_victim, NULL);
	CHECK_EQ(co_cond_signal(cond), 0);
	turn();
	check_trace("!");
	turn();
	check_trace("a");
	release_all(co, 2);
	end();
}

static void broadcast_does_not(void)
{
	for (int how = 0; how < 2; how++) {
		struct co *co[4];

		begin();
		co[0] = start(wait_long, "a");
		co[1] = start(wait_long, "b");
		CHECK_EQ(co_cond_broadcast(cond), 0);
		co[2] = start(wait_10ms, "c");
		drop(&co[0], how);
		CHECK_EQ(co_status(co[2]), CO_WAITING);
		loop();
		check_trace("bC");
		release_rest(co, 3);

		/* Nor one whose time was over. */
		co[0] = start(wait_10ms, "a");
		co[1] = start(wait_long, "b");
		now += 10 * MS;
		CHECK_EQ(expire(), 1);
		drop(&co[0], how);
		CHECK_EQ(co_status(co[1]), CO_WAITING);
		/* Nor one who was signalled by another condition. */
		struct co_cond *first = cond, *second = co_cond_alloc();
		cond = second;
		co[2] = start(wait_long, "c");
		CHECK_EQ(co_cond_signal(second), 0);
		cond = first;
		drop(&co[2], how);
		CHECK_EQ(co_status(co[1]), CO_WAITING);
		CHECK_EQ(co_cond_free(second), 0);
		drop(&co[1], 0);
		release_rest(co, 3);
		end();
	}
}

/* The condition goes between the signal and the waiter's turn. */
static void freed_before_they_run(void)
{
	for (int how = 0; how < 2; how++) {
		struct co *co[4];

		begin();
		for (int i = 0; i < 4; i++)
			co[i] = start(i % 2 ? wait_10ms : wait_long, &"abcd"[i]);
		CHECK_EQ(co_cond_signal(cond), 0);
		CHECK_EQ(co_cond_signal(cond), 0);
		CHECK_EQ(co_cond_broadcast(cond), 0);
		size_t size = malloc_usable_size(cond);
		end();
		char *next = malloc(size); /* most likely where the condition was */
		memset(next, 'x', size);
		drop(&co[0], how);
		drop(&co[2], how);
		loop();
		check_trace("bd");
		for (size_t i = 0; i < size; i++)
			CHECK_EQ(next[i], 'x');
		free(next);
		release_rest(co, 4);
	}
}

/* --- nobody starves ----------------------------------------------------------------------------- */

static struct co_cond *ping_cond, *pong_cond;
static long n_pings;
static bool is_over;

static void *ping_pong(void *is_ping)
{
	while (!is_over) {
		n_pings++;
		CHECK_EQ(co_cond_signal(is_ping ? pong_cond : ping_cond), 0);
		CHECK_EQ(co_cond_timedwait(is_ping ? ping_cond : pong_cond, -1), 0);
		now += 1000;
	}
	co_cond_signal(is_ping ? pong_cond : ping_cond); /* let the other one see it */
	return is_ping;
}

static void *sleep_2ms(void *arg)
{
	int64_t before = now;

	CHECK_EQ(co_sleep_ms(2), 0);
	CHECK(now - before <= 2 * MS + 2 * 1000);
	note('s');
	return arg;
}

static int n_calls;

static int count_calls(void *arg)
{
	(void)arg;
	is_over = ++n_calls >= 3000 && *trace;
	return is_over || n_calls > 100 * 1000 ? -1 : 0;
}

static void D15(void)
{
	struct co *co[3];

	begin();
	ping_cond = co_cond_alloc();
	pong_cond = co_cond_alloc();
	co[2] = start(sleep_2ms, NULL);
	co[0] = start(ping_pong, NULL);
	co[1] = start(ping_pong, "ping");
	CHECK_EQ(co_eventloop(NULL, count_calls, NULL), 0);
	check_trace("s");
	CHECK_EQ(n_calls, 3000);
	printf("# %ld ping-pongs, %d calls\n", n_pings, n_calls);
	CHECK(n_pings > n_calls / 2 && n_pings <= 2l * n_calls);
	loop();
	CHECK_EQ(n_sleeps, 0); /* somebody was always ready */
	release_all(co, 3);
	CHECK_EQ(co_cond_free(ping_cond), 0);
	CHECK_EQ(co_cond_free(pong_cond), 0);
	end();
}

/* --- the end of a thread -------------------------------------------------------------------------- */

static struct co_cond *left[2];

static void *wait_left(void *i)
{
	co_cond_timedwait(left[(intptr_t)i % 2], (intptr_t)i % 3 ? -1 : 1000);
	CHECK(!"it is left behind");
	return i;
}

/* Some wait, some are signalled, some called by a broadcast. */
static void *leave_waiters(void *arg)
{
	use_our_clock();
	for (int i = 0; i < 2; i++)
		left[i] = co_cond_alloc();
	for (intptr_t i = 0; i < 4; i++)
		start(wait_left, (void *)i);
	CHECK_EQ(co_cond_broadcast(left[0]), 0);
	for (intptr_t i = 0; i < 20; i++)
		start(wait_left, (void *)i);
	for (int i = 0; i < 7; i++)
		CHECK_EQ(co_cond_signal(left[i % 2]), 0);
	return arg;
}

static void *end_thread(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	leave_waiters(arg);
	if (arg)
		CHECK_EQ(co_cond_signal(cond), 0);
	pthread_exit(arg);
}

static void *leave_main_too(void *arg)
{
	cond = co_cond_alloc();
	start(end_thread, arg);
	co_cond_timedwait(cond, 5000);
	CHECK(!"the thread has ended");
	return arg;
}

static void *leave_signalled_main(void *arg)
{
	(void)arg;
	return leave_main_too("signalled");
}

/* Nothing but the conditions, which were nobody's to free. */
static void check_left(void *(*fn)(void *), bool and_cond)
{
	thread_ends_now = true;
	long before = n_blocks;

	for (size_t i = 0; i < sizeof(all_kinds) / sizeof(all_kinds[0]); i++) {
		with_kind(all_kinds[i], fn);
		for (int k = 0; k < 2; k++) {
			CHECK_FAILS(co_cond_signal(left[k]), -1, EXDEV);
			free(left[k]);
		}
		if (and_cond)
			free(cond);
		cond = NULL;
		CHECK_EQ(n_blocks, before);
	}
}

static void thread_ends(void)
{
	check_left(leave_waiters, false);
}

static void thread_ends_inside(void)
{
#if defined(CO_ASAN) || defined(CO_TSAN)
	SKIP_IF_WATCHED("sanitizers take the end of a thread on their own stack only");
#endif
	check_left(leave_main_too, true);
	check_left(leave_signalled_main, true);
}

/* --- random schedules against a model ----------------------------------------------------------------
 *
 * The model keeps what is expected: who waits for which condition, in which order; who is
 * ready, in which order; and with which result each will come back. Main and the coroutines
 * do random things to both. */

enum { COS = 6, CONDS = 2, STEPS = 30 };

enum what { IDLE, WAITS, SIGNALLED, CALLED, LATE };

static struct {
	struct co_cond *cond[CONDS];
	struct actor {
		struct co *co;
		enum what what;
		int cond;
		int64_t at_ns, order; /* of its timer */
	} actor[COS];
	int waiting[CONDS][COS], n_waiting[CONDS];
	int ready[COS], n_ready; /* in the order of running */
	int turn[COS], n_turn;
	int64_t n_timers;
	long n_given, n_got, n_late, n_passed; /* signals that found somebody; ... */
} m;

static void m_ready(int i, enum what what)
{
	m.actor[i].what = what;
	m.ready[m.n_ready++] = i;
}

static bool m_signal(int c, enum what what)
{
	if (m.n_waiting[c] == 0)
		return false;
	int i = m.waiting[c][0];
	list_take(m.waiting[c], &m.n_waiting[c], i);
	m_ready(i, what);
	return true;
}

/* Those whose time has come, the earliest first. */
static void m_expire(void)
{
	for (;;) {
		struct actor *first = NULL;
		for (struct actor *a = m.actor; a < m.actor + COS; a++)
			if (a->what == WAITS && a->at_ns <= now &&
			    (!first || a->at_ns < first->at_ns || (a->at_ns == first->at_ns && a->order < first->order)))
				first = a;
		if (!first)
			return;
		int i = (int)(first - m.actor);
		list_take(m.waiting[first->cond], &m.n_waiting[first->cond], i);
		m_ready(i, LATE);
	}
}

static void m_gone(int i)
{
	struct actor *a = &m.actor[i];
	enum what what = a->what;

	a->what = IDLE;
	list_take(m.waiting[a->cond], &m.n_waiting[a->cond], i);
	list_take(m.ready, &m.n_ready, i);
	list_take(m.turn, &m.n_turn, i);
	m.n_given -= what == SIGNALLED || what == CALLED;
	if (what == SIGNALLED) {
		m.n_passed++;
		m.n_given += m_signal(a->cond, SIGNALLED);
	}
}

static void m_check(void)
{
	co_env_check();
	co_loop_check();
	for (int c = 0; c < CONDS; c++)
		if (m.cond[c])
			co_cond_check(m.cond[c]);
	for (int i = 0; i < COS; i++)
		switch (m.actor[i].what) {
		case IDLE:
			break; /* or it runs */
		case WAITS:
			CHECK_EQ(co_status(m.actor[i].co), CO_WAITING);
			break;
		default:
			CHECK_EQ(co_status(m.actor[i].co), CO_READY);
		}
}

/* The condition is gone; whoever got it before must not be disturbed. */
static void new_cond(int c)
{
	if (m.n_waiting[c] > 0) {
		CHECK_FAILS(co_cond_free(m.cond[c]), -1, EBUSY);
		return;
	}
	CHECK_EQ(co_cond_free(m.cond[c]), 0);
	m.cond[c] = co_cond_alloc();
	for (int i = 0; i < COS; i++)
		if (m.actor[i].cond == c && m.actor[i].what == SIGNALLED)
			m.actor[i].what = CALLED; /* it goes to nobody else */
}

static void drop_some(int i, struct co *me)
{
	struct actor *a = &m.actor[i];

	if (!a->co || a->co == me)
		return;
	m_gone(i);
	if (rng_below(&r, 2)) {
		CHECK_EQ(co_reset(a->co), 0);
	} else {
		CHECK_EQ(co_release(a->co), 0);
		a->co = NULL;
	}
}

/* One thing that anybody may do. */
static void act(struct co *me)
{
	int c = (int)rng_below(&r, CONDS);

	switch (rng_below(&r, 10)) {
	case 0:
	case 1:
	case 2:
	case 3:
		m.n_given += m_signal(c, SIGNALLED);
		CHECK_EQ(co_cond_signal(m.cond[c]), 0);
		break;
	case 4:
		while (m_signal(c, CALLED))
			m.n_given++;
		CHECK_EQ(co_cond_broadcast(m.cond[c]), 0);
		break;
	case 5:
	case 6:
		now += below(2 * MS);
		break;
	case 7:
		CHECK_FAILS(co_cond_timedwait(m.cond[c], 0), -1, ETIMEDOUT);
		break;
	case 8:
		if (rng_below(&r, 4) == 0)
			new_cond(c);
		break;
	default:
		if (rng_below(&r, 2))
			drop_some((int)rng_below(&r, COS), me);
	}
	m_check();
}

static int wait_somehow(struct actor *a)
{
	int timeout_ms = (int)rng_below(&r, 4); /* 0: for ever */

	a->what = WAITS;
	a->cond = (int)rng_below(&r, CONDS);
	a->at_ns = timeout_ms ? now + timeout_ms * (int64_t)MS : CO_NEVER;
	a->order = m.n_timers++;
	m.waiting[a->cond][m.n_waiting[a->cond]++] = (int)(a - m.actor);
	if (rng_below(&r, 2))
		return co_cond_wait_until(m.cond[a->cond], a->at_ns);
	return co_cond_timedwait(m.cond[a->cond], timeout_ms ? timeout_ms : -1);
}

/* It waits, and then is the first of the model's turn. */
static void *play(void *arg)
{
	struct actor *a = arg;

	for (;;) {
		errno = 4711;
		int waited = wait_somehow(a), error = errno;
		CHECK(m.n_turn > 0);
		CHECK_EQ(m.turn[0], a - m.actor);
		list_take(m.turn, &m.n_turn, m.turn[0]);
		CHECK_EQ(waited, a->what == LATE ? -1 : 0);
		CHECK_EQ(error, a->what == LATE ? ETIMEDOUT : 4711);
		if (a->what == LATE) {
			CHECK(now >= a->at_ns);
			m.n_late++;
		} else {
			m.n_got++;
		}
		a->what = IDLE;
		for (unsigned n = rng_below(&r, 3); n > 0; n--)
			act(a->co);
		if (rng_below(&r, 3) == 0)
			CHECK_EQ(co_yield_ct(), 0);
	}
	return arg;
}

static void one_turn(void)
{
	memcpy(m.turn, m.ready, sizeof(m.turn));
	m.n_turn = m.n_ready;
	m.n_ready = 0;
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(m.n_turn, 0);
	m_expire();
	m_check();
}

static void one_schedule(void)
{
	for (int i = 0; i < COS; i++)
		m.actor[i] = (struct actor){ .what = IDLE };
	for (int c = 0; c < CONDS; c++)
		m.cond[c] = co_cond_alloc();
	for (int step = 0; step < STEPS; step++) {
		struct actor *a = &m.actor[rng_below(&r, COS)];
		if (!a->co)
			CHECK_EQ(co_create(&a->co, NULL, play, a), 0);
		if (a->what == IDLE)
			CHECK_EQ(co_resume(a->co), 0);
		act(NULL);
		if (rng_below(&r, 2))
			one_turn();
	}
	while (m.n_ready > 0) /* all signals that are under way */
		one_turn();
	CHECK_EQ(m.n_given, m.n_got);
	for (int i = 0; i < COS; i++)
		if (m.actor[i].co) {
			m_gone(i);
			CHECK_EQ(co_release(m.actor[i].co), 0);
		}
	CHECK_EQ(co_timers_get()->n, 0);
	for (int c = 0; c < CONDS; c++)
		CHECK_EQ(co_cond_free(m.cond[c]), 0);
}

static void no_lost_signal(void)
{
	use_heap();
	CHECK(co_timers_get() != NULL);
	r.s = test_seed(20181);
	use_our_clock();
	one_schedule();
	long before = n_blocks;
	for (int n = rounds(10 * 1000); n > 0; n--)
		one_schedule();
	CHECK_EQ(n_blocks, before);
	printf("# %ld got a signal, %ld were late, %ld signals went on to others\n", m.n_got, m.n_late, m.n_passed);
	CHECK(m.n_got > rounds(50000) && m.n_late > rounds(5000) && m.n_passed > rounds(500));
}

/* --- for debuggers -------------------------------------------------------------------------------- */

static void *blocked_at;

static void *wait_both_ways(void *arg)
{
	blocked_at = wait_both_ways;
	CHECK_EQ(co_cond_timedwait(cond, -1), 0);
	CHECK_EQ(co_cond_wait_until(cond, CO_NEVER), 0);
	return arg;
}

/* "Blocked at" is a place in the program, not one in the library. */
static void where(void)
{
	void *first = NULL;

	begin();
	struct co *co = start(wait_both_ways, NULL);
	for (int i = 0; i < 2; i++) {
		ptrdiff_t off = (char *)co->blocked_at - (char *)blocked_at;
		CHECK(off > 0 && off < 4096);
		if (i)
			CHECK(co->blocked_at > first);
		first = co->blocked_at;
		CHECK_EQ(co_cond_signal(cond), 0);
		turn();
	}
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(co_release(co), 0);
	end();
}

/* --- inside the library ------------------------------------------------------------------------------ */

static void is_inside(void)
{
	struct co_env *env;

	begin();
	env = co_get_curr_thread_env();
	struct co *co = start(wait_10ms, "a");
	watched = env;
	struct co_cond *other = co_cond_alloc();
	CHECK_EQ(co_cond_free(other), 0);
	CHECK_FAILS(co_cond_timedwait(cond, 1), -1, ETIMEDOUT);
	CHECK_FAILS(co_cond_wait_until(cond, now + 1), -1, ETIMEDOUT);
	watched = NULL;
	CHECK(!env->inside);
	CHECK_EQ(co_cond_signal(cond), 0);
	CHECK_EQ(co_cond_broadcast(cond), 0);
	CHECK(!env->inside);
	loop();
	check_trace("a");
	CHECK_EQ(co_release(co), 0);
	end();
}

static const struct test_case cases[] = {
	{ "order", "first come, first served, and never at once", order, 0, 0 },
	{ "later_turn", "who is signalled in a turn runs in the next", later_turn, 0, 0 },
	{ "no_memory", "a signal that finds nobody is forgotten", no_memory_of_signals, 0, 0 },
	{ "E01_timeouts", "E01: a timeout is ETIMEDOUT, a signal is 0, and exactly one of them counts", E01, 0, 0 },
	{ "deadlines", "until a point in time; and far away", deadlines, 0, 0 },
	{ "E02_zero", "E02: a timeout of 0 does not wait", E02, 0, 0 },
	{ "E03_errors", "E03: no memory and no descriptor are -1 and an errno, and nothing is left", E03, 0, 0 },
	{ "E04_threads", "E04: another thread's condition is refused, and nothing has happened", E04, 0, 0 },
	{ "E05_main_free", "E05: main waits like others; no freeing while somebody waits", E05, 0, 0 },
	{ "refused", "NULL, waiting by who runs the loop: refused", refused, 0, 0 },
	{ "A08_released", "A08: a waiter that is released is off the list, the others are served", A08, 0, 0 },
	{ "A10_reset", "A10: a waiter that is reset is off the list, the others are served", A10, 0, 0 },
	{ "goes_on", "the signal of one who is released before it has run goes to the next", goes_on, 0, 0 },
	{ "goes_on_in_turn", "also in the turn in which it would have run", goes_on_in_turn, 0, 0 },
	{ "broadcast_does_not", "a broadcast's does not, nor a timeout, nor another condition's", broadcast_does_not, 0, 0 },
	{ "freed_early", "a condition may be freed before those that were signalled have run", freed_before_they_run, 0, 0 },
	{ "D15_ping_pong", "D15: two that signal each other for ever starve no timer and no callback", D15, 0, 0 },
	{ "thread_ends", "a thread that ends with waiters leaves nothing but the condition", thread_ends, 0, 0 },
	{ "thread_ends_inside", "nor one that ends in a coroutine while main waits", thread_ends_inside, 0, 0 },
	{ "no_lost_signal", "10 000 random schedules: who is woken, when and why, is as in a model", no_lost_signal, 0, 0 },
	{ "inside", "what the library does, a signal handler knows of", is_inside, 0, 0 },
	{ "where", "debuggers see where a waiter waits", where, 0, 0 },
};

TEST_MAIN(cases)
