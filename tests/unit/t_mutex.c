/* SPDX-License-Identifier: MIT */
/*
 * Mutexes: one at a time, in the order of coming, whatever becomes of the holder.
 *
 * Times are exact by a clock that is set.
 */
#include <malloc.h>

#include "mutex.h"
#include "sync.h"

static struct co_mutex *mutex;

static void check_more(void)
{
	if (mutex)
		co_mutex_check(mutex);
}

static void begin(void)
{
	use_our_clock();
	sync_check_more = check_more;
	mutex = co_mutex_alloc();
	CHECK(mutex != NULL);
}

static void end(void)
{
	CHECK_EQ(co_mutex_free(mutex), 0);
	mutex = NULL;
}

/* Lock, stay inside until resumed or for a turn, unlock. */
static int n_inside;

static void *visit(void *letter)
{
	errno = 4711;
	CHECK_EQ(co_mutex_lock(mutex), 0);
	CHECK_EQ(errno, 4711);
	CHECK_EQ(n_inside++, 0);
	note(*(char *)letter);
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(--n_inside, 0);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	note('.');
	return letter;
}

/* Lock, and yield: resumed, it unlocks. */
static void *hold(void *letter)
{
	CHECK_EQ(co_mutex_lock(mutex), 0);
	note(*(char *)letter);
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	return letter;
}

/* A small letter: it has got it in 10 ms. A capital: it has not. */
static void *try_10ms(void *letter)
{
	int64_t before = now;

	if (co_mutex_timedlock(mutex, 10) == 0) {
		note(*(char *)letter);
		CHECK_EQ(co_mutex_unlock(mutex), 0);
	} else {
		CHECK_EQ(errno, ETIMEDOUT);
		CHECK(now >= before + 10 * MS);
		note((char)(*(char *)letter - 'a' + 'A'));
	}
	return letter;
}

/* --- one at a time ---------------------------------------------------------------------- */

static void one_at_a_time(void)
{
	struct co *co[4];

	begin();
	for (int i = 0; i < 4; i++)
		co[i] = start(visit, &"abcd"[i]);
	check_trace("a");
	CHECK_EQ(co_status(co[0]), CO_READY);
	CHECK_EQ(co_status(co[3]), CO_WAITING);
	CHECK_FAILS(co_resume(co[3]), -1, EBUSY);
	loop();
	check_trace(".b.c.d.");
	release_all(co, 4);
	end();
}

/* Unlock runs nobody, and makes the waiter the holder at once: nobody gets in
 * between, not even the one who unlocks. */
static void *lock_again(void *letter)
{
	CHECK_EQ(co_mutex_lock(mutex), 0);
	note('(');
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	note(')');
	CHECK_FAILS(co_mutex_trylock(mutex), -1, EBUSY);
	CHECK_FAILS(co_mutex_timedlock(mutex, 0), -1, ETIMEDOUT);
	CHECK_EQ(co_mutex_lock(mutex), 0);
	note(*(char *)letter);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	return letter;
}

static void no_barging(void)
{
	struct co *co[3];

	begin();
	co[0] = start(lock_again, "x");
	co[1] = start(visit, "a");
	co[2] = start(visit, "b");
	loop();
	check_trace("()a.b.x");
	release_all(co, 3);
	end();
}

enum { ADDERS = 4 };

static int counter;

static void *add(void *with_lock)
{
	for (int i = 0; i < 500; i++) {
		if (with_lock)
			CHECK_EQ(co_mutex_lock(mutex), 0);
		int n = counter;
		CHECK_EQ(co_reschedule(), 0);
		counter = n + 1;
		if (with_lock)
			CHECK_EQ(co_mutex_unlock(mutex), 0);
	}
	return with_lock;
}

static int count_with(const char *lock)
{
	struct co *co[ADDERS];

	counter = 0;
	for (int i = 0; i < ADDERS; i++)
		co[i] = start(add, lock);
	loop();
	release_all(co, ADDERS);
	return counter;
}

static void lost_updates(void)
{
	begin();
	CHECK_EQ(count_with(NULL), 500);
	CHECK_EQ(count_with("lock"), ADDERS * 500);
	end();
}

/* --- time -------------------------------------------------------------------------------- */

static void *timed(void *arg)
{
	struct co *co[4];
	int64_t start_at;

	begin();
	start_at = now;
	CHECK_EQ(co_mutex_timedlock(mutex, 0), 0);
	co[0] = start(try_10ms, "a");
	co[1] = start(try_10ms, "b");
	CHECK_FAILS(co_sleep_until(CO_NEVER), -1, EDEADLK);
	check_trace("AB");
	CHECK_EQ(now, start_at + 10 * MS);
	CHECK_EQ(co_timers_get()->n, 0);
	release_all(co, 2);

	/* One is late, the next gets it. One gets it, and then its time comes. */
	co[0] = start(try_10ms, "a");
	now += 5 * MS;
	co[1] = start(try_10ms, "b");
	co[2] = start(try_10ms, "c");
	now += 5 * MS;
	CHECK_EQ(expire(), 1);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	CHECK_EQ(co_timers_get()->n, 1);
	now += SECOND;
	CHECK_EQ(expire(), 1);
	check_all();
	turn();
	check_trace("AbC");
	CHECK_EQ(co_mutex_trylock(mutex), 0);

	/* No limit. */
	co[3] = start(visit, "d");
	CHECK_EQ(co_sleep_ms(SECOND / MS), 0);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	loop();
	check_trace("d.");
	CHECK_EQ(co_mutex_timedlock(mutex, -1), 0);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	release_all(co, 4);
	end();
	return arg;
}

static void timed_locks(void)
{
	with_each_kind(timed);
}

/* --- errors --------------------------------------------------------------------------------- */

static struct co_mutex *wrong;

static int call_lock(struct co *co)
{
	(void)co;
	return co_mutex_lock(wrong);
}

static int call_trylock(struct co *co)
{
	(void)co;
	return co_mutex_trylock(wrong);
}

static int call_timedlock(struct co *co)
{
	(void)co;
	return co_mutex_timedlock(wrong, 1);
}

static int call_timedlock_0(struct co *co)
{
	(void)co;
	return co_mutex_timedlock(wrong, 0);
}

static int call_unlock(struct co *co)
{
	(void)co;
	return co_mutex_unlock(wrong);
}

static int call_free(struct co *co)
{
	(void)co;
	return co_mutex_free(wrong);
}

#define EACH_CALL(what, error) \
	{ "lock: " what, call_lock, NULL, error }, { "trylock: " what, call_trylock, NULL, error }, \
		{ "timedlock: " what, call_timedlock, NULL, error }, \
		{ "timedlock, 0: " what, call_timedlock_0, NULL, error }, { "unlock: " what, call_unlock, NULL, error }, \
		{ "free: " what, call_free, NULL, error }

static const struct misuse null[] = { EACH_CALL("NULL", EINVAL), { 0 } };
static const struct misuse others[] = { EACH_CALL("another thread's", EXDEV), { 0 } };

static const struct misuse is_held_by_caller[] = {
	{ "lock: the caller holds it", call_lock, NULL, EDEADLK },
	{ "timedlock: the caller holds it", call_timedlock, NULL, EDEADLK },
	{ "timedlock, 0: the caller holds it", call_timedlock_0, NULL, EDEADLK },
	{ "trylock: the caller holds it", call_trylock, NULL, EBUSY },
	{ "free: the caller holds it", call_free, NULL, EBUSY },
	{ 0 },
};

static const struct misuse is_held_by_another[] = {
	{ "unlock: another holds it", call_unlock, NULL, EPERM },
	{ "trylock: another holds it", call_trylock, NULL, EBUSY },
	{ "timedlock, 0: another holds it", call_timedlock_0, NULL, ETIMEDOUT },
	{ "free: another holds it", call_free, NULL, EBUSY },
	{ 0 },
};

static const struct misuse is_free[] = {
	{ "unlock: nobody holds it", call_unlock, NULL, EPERM },
	{ 0 },
};

static const struct misuse runs_the_loop[] = {
	{ "lock: another holds it, the caller runs the loop", call_lock, NULL, EBUSY },
	{ "timedlock: another holds it, the caller runs the loop", call_timedlock, NULL, EBUSY },
	{ "unlock: another holds it", call_unlock, NULL, EPERM },
	{ 0 },
};

static void add_wrong(struct misuse_picture *p)
{
	if (wrong)
		misuse_add(p, wrong, malloc_usable_size(wrong));
}

static void *misuse_held_by_me(void *arg)
{
	CHECK_EQ(co_mutex_lock(mutex), 0);
	misuse_all(is_held_by_caller, "in the coroutine that holds it");
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	misuse_all(is_free, "in the coroutine that held it");
	return arg;
}

static void *misuse_held_by_another(void *arg)
{
	misuse_all(is_held_by_another, "in a coroutine");
	return arg;
}

static void *misuse_null(void *arg)
{
	wrong = NULL;
	misuse_all(null, "in a coroutine");
	return arg;
}

static int misuse_in_callback(void *arg)
{
	misuse_all(runs_the_loop, "in the loop's callback");
	return arg ? -1 : 0;
}

static void E06(void)
{
	struct co *co[4];

	misuse_on_thread(misuse_null);
	begin();
	CHECK(co_timers_get() != NULL);
	misuse_null(NULL);
	co[0] = start(misuse_null, NULL);
	misuse_add_more = add_wrong;
	wrong = mutex;
	misuse_all(is_free, "in main");
	co[1] = start(misuse_held_by_me, NULL);
	misuse_all(is_held_by_another, "in main");
	co[2] = start(misuse_held_by_another, NULL);
	CHECK_EQ(co_eventloop(NULL, misuse_in_callback, "once"), 0);
	/* The stray unlock has let nobody in. */
	co[3] = start(visit, "a");
	misuse_all(is_held_by_another, "in main, while somebody waits");
	turn();
	check_trace("");
	CHECK_EQ(co_resume(co[1]), 0);
	loop();
	check_trace("a.");

	CHECK_EQ(co_mutex_lock(mutex), 0);
	misuse_all(is_held_by_caller, "in main that holds it");
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	misuse_add_more = NULL;
	release_all(co, 4);
	end();
}

static void alien_locks(void)
{
	wrong = co_mutex_alloc();
	CHECK(wrong != NULL);
	CHECK_EQ(co_mutex_lock(wrong), 0);
}

static void *without_environment(void *arg)
{
	for (const struct misuse *m = others; m->call; m++)
		misuse_one(m, "on a thread without coroutines");
	CHECK(co_get_curr_thread_env() == NULL);
	return arg;
}

static void other_threads(void)
{
	alien.prepare = alien_locks;
	alien_begin();
	misuse_add_more = add_wrong;
	misuse_on_thread(without_environment);
	misuse_all(others, "in main");
	misuse_add_more = NULL;
	alien_end();
	misuse_all(others, "in main, after that thread's end");
	free(wrong);
}

static void *lock_without_memory(void *arg)
{
	int n_failed = 0;

	use_our_clock();
	for (fail_at = 1;; fail_at++) {
		n_allocs = 0;
		errno = 0;
		if ((mutex = co_mutex_alloc()))
			break;
		CHECK_EQ(errno, ENOMEM);
		n_failed++;
	}
	CHECK_EQ(n_failed, 2); /* the environment, the mutex */
	fail_at = 0;
	struct co *co = start(hold, "h");
	for (fail_at = 1;; fail_at++) {
		n_allocs = 0;
		errno = 0;
		CHECK_EQ(co_mutex_timedlock(mutex, 10), -1);
		if (errno == ETIMEDOUT)
			break;
		CHECK_EQ(errno, ENOMEM);
		n_failed++;
		co_mutex_check(mutex);
	}
	CHECK_EQ(n_failed, 5); /* the waiter, the loop, the timers */
	fail_at = 0;
	check_trace("h");
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_release(co), 0);
	end();
	return arg;
}

static void no_memory(void)
{
	long before = n_blocks;

	with_kind(&co_timer_heap, lock_without_memory);
	CHECK_EQ(n_blocks, before);
}

/* --- main --------------------------------------------------------------------------------------- */

static void main_locks(void)
{
	struct co *co[3];

	begin();
	co[0] = start(hold, "h");
	CHECK_FAILS(co_mutex_lock(mutex), -1, EDEADLK); /* nobody will ever unlock it */
	check_all();
	CHECK_EQ(co_reset(co[0]), 0);
	co[1] = start(visit, "a");
	co[2] = start(visit, "b");
	CHECK_EQ(co_mutex_lock(mutex), 0);
	check_trace("ha.b.");
	start(try_10ms, "c"); /* released with the thread */
	CHECK_EQ(co_sleep_ms(20), 0);
	check_trace("C");
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	release_all(co, 3);
	end();
}

/* --- released, reset --------------------------------------------------------------------------------- */

/* The holder goes; the lock passes on. */
static void holder_goes(bool is_reset)
{
	struct co *co[5];

	begin();
	co[0] = start(hold, "h");
	co[1] = start(visit, "a");
	co[2] = start(try_10ms, "b");
	co[3] = start(visit, "c");
	drop(&co[0], is_reset);
	CHECK_EQ(co_status(co[1]), CO_READY);
	CHECK_EQ(co_status(co[2]), CO_WAITING);
	CHECK_FAILS(co_mutex_trylock(mutex), -1, EBUSY);
	/* The next has been made the holder, and goes before it has run. */
	drop(&co[1], !is_reset);
	drop(&co[2], is_reset);
	CHECK_EQ(co_status(co[3]), CO_READY);
	CHECK_EQ(co_timers_get()->n, 0);
	loop();
	check_trace("hc.");
	release_rest(co, 4);

	/* Nobody waits: it is free. */
	co[0] = start(hold, "h");
	drop(&co[0], is_reset);
	CHECK_EQ(co_mutex_trylock(mutex), 0);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	check_trace("h");

	/* It has unlocked: its end is none. */
	co[1] = start(hold, "i");
	CHECK_EQ(co_resume(co[1]), 0);
	co[2] = start(hold, "j");
	co[3] = start(visit, "a");
	drop(&co[1], is_reset);
	turn();
	CHECK_EQ(co_status(co[3]), CO_WAITING);
	check_trace("ij");
	/* One that has returned without unlocking holds it until it goes. */
	drop(&co[3], is_reset);
	drop(&co[2], is_reset);
	release_rest(co, 4);
	end();
}

static void *lock_and_return(void *arg)
{
	CHECK_EQ(co_mutex_lock(mutex), 0);
	return arg;
}

static void holder_returns(bool is_reset)
{
	struct co *co[2];

	begin();
	co[0] = start(lock_and_return, NULL);
	co[1] = start(visit, "a");
	CHECK_EQ(co_status(co[0]), CO_DONE);
	loop();
	check_trace("");
	drop(&co[0], is_reset);
	loop();
	check_trace("a.");
	release_rest(co, 2);
	end();
}

static void waiter_goes(int i, bool is_reset, bool times)
{
	struct co *co[4];
	char expected[5] = "habc";

	begin();
	co[0] = start(hold, "h");
	for (int k = 1; k < 4; k++)
		co[k] = start(times ? try_10ms : hold, &"habc"[k]);
	drop(&co[i], is_reset);
	if (times)
		CHECK_EQ(co_timers_get()->n, 2);
	for (int k = 0; k < 4; k++) {
		if (k != i && co_status(co[k]) == CO_SUSPENDED)
			CHECK_EQ(co_resume(co[k]), 0); /* it unlocks */
		turn();
	}
	memmove(&expected[i], &expected[i + 1], (size_t)(4 - i));
	check_trace(expected);
	CHECK_EQ(co_timers_get()->n, 0);
	release_rest(co, 4);
	end();
}

static void E07(void)
{
	for (int is_reset = 0; is_reset < 2; is_reset++) {
		holder_goes(is_reset);
		holder_returns(is_reset);
		for (int i = 1; i < 4; i++)
			for (int times = 0; times < 2; times++)
				waiter_goes(i, is_reset, times);
	}
}

/* Several mutexes with one holder. */
static struct co_mutex *three[3];

static void *hold_three(void *arg)
{
	for (int i = 0; i < 3; i++)
		CHECK_EQ(co_mutex_lock(three[i]), 0);
	CHECK_EQ(co_yield_ct(), 0);
	return arg;
}

static void *want_one(void *i)
{
	CHECK_EQ(co_mutex_lock(three[(intptr_t)i]), 0);
	note((char)('0' + (intptr_t)i));
	CHECK_EQ(co_mutex_unlock(three[(intptr_t)i]), 0);
	return i;
}

static void many_held(void)
{
	struct co *co[4];

	for (int i = 0; i < 3; i++)
		three[i] = co_mutex_alloc();
	co[0] = start(hold_three, NULL);
	for (intptr_t i = 0; i < 3; i++)
		co[1 + i] = start(want_one, (void *)i);
	for (int i = 0; i < 3; i++)
		co_mutex_check(three[i]);
	CHECK_EQ(co_release(co[0]), 0);
	for (int i = 0; i < 3; i++)
		co_mutex_check(three[i]);
	loop();
	CHECK_EQ(strlen(trace), 3);
	release_all(co + 1, 3);
	for (int i = 0; i < 3; i++) { /* main: unlocked in another order than locked */
		CHECK_EQ(co_mutex_lock(three[i]), 0);
		co_mutex_check(three[i]);
	}
	CHECK_EQ(co_mutex_unlock(three[1]), 0);
	CHECK_EQ(co_mutex_unlock(three[0]), 0);
	co_mutex_check(three[2]);
	CHECK_EQ(co_mutex_unlock(three[2]), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(co_mutex_free(three[i]), 0);
}

/* --- the end of a thread -------------------------------------------------------------------------- */

static void *lock_for_ever(void *arg)
{
	CHECK_EQ(co_mutex_timedlock(mutex, arg ? 1000 : -1), 0);
	co_yield_ct();
	CHECK(!"it is left behind");
	return arg;
}

static void *leave_all(void *arg)
{
	use_our_clock();
	mutex = co_mutex_alloc();
	for (int i = 0; i < 6; i++)
		start(lock_for_ever, i % 2 ? "timed" : NULL);
	return arg;
}

static void *leave_holding_main(void *arg)
{
	use_our_clock();
	mutex = co_mutex_alloc();
	CHECK_EQ(co_mutex_lock(mutex), 0);
	for (int i = 0; i < 6; i++)
		start(lock_for_ever, i % 2 ? "timed" : NULL);
	return arg;
}

static void *leave_unlocked(void *arg)
{
	leave_holding_main(arg);
	CHECK_EQ(co_mutex_unlock(mutex), 0); /* handed to one who has not run */
	return arg;
}

static void *hold_and_end_thread(void *arg)
{
	CHECK_EQ(co_mutex_lock(mutex), 0);
	CHECK_EQ(co_reschedule(), 0);
	pthread_exit(arg);
}

static void *leave_waiting_main(void *arg)
{
	use_our_clock();
	mutex = co_mutex_alloc();
	start(hold_and_end_thread, arg);
	start(lock_for_ever, "timed");
	co_mutex_lock(mutex);
	CHECK(!"the thread has ended");
	return arg;
}

static void check_left(void *(*fn)(void *))
{
	thread_ends_now = true;
	long before = n_blocks;

	for (size_t i = 0; i < sizeof(all_kinds) / sizeof(all_kinds[0]); i++) {
		with_kind(all_kinds[i], fn);
		CHECK_FAILS(co_mutex_unlock(mutex), -1, EXDEV);
		CHECK_FAILS(co_mutex_free(mutex), -1, EXDEV);
		free(mutex);
		CHECK_EQ(n_blocks, before);
	}
}

static void thread_ends(void)
{
	check_left(leave_all);
	check_left(leave_holding_main);
	check_left(leave_unlocked);
}

static void thread_ends_inside(void)
{
#if defined(CO_ASAN) || defined(CO_TSAN)
	SKIP_IF_WATCHED("sanitizers take the end of a thread on their own stack only");
#endif
	check_left(leave_waiting_main);
}

/* --- random schedules against a model ----------------------------------------------------------------
 *
 * The model: who holds it, and who waits, in order. */

enum { COS = 6, STEPS = 40 };

static struct {
	struct actor {
		struct co *co;
		int64_t at_ns; /* CO_NEVER: no limit */
		bool waits;
	} actor[COS];
	int holder; /* -1: nobody; it may not have run yet */
	int waiting[COS], n_waiting;
	long n_locks, n_late, n_dropped;
} m;

static void m_hand_over(void)
{
	m.holder = -1;
	if (m.n_waiting == 0)
		return;
	m.holder = m.waiting[0];
	m.actor[m.holder].waits = false;
	list_take(m.waiting, &m.n_waiting, m.holder);
}

static void m_gone(int i)
{
	list_take(m.waiting, &m.n_waiting, i);
	m.actor[i].waits = false;
	if (m.holder == i)
		m_hand_over();
}

static void m_expire(void)
{
	for (int i = 0; i < COS; i++)
		if (m.actor[i].waits && m.actor[i].at_ns <= now) {
			list_take(m.waiting, &m.n_waiting, i);
			m.actor[i].waits = false;
		}
}

static void m_check(void)
{
	check_all();
	for (int i = 0; i < COS; i++)
		if (m.actor[i].waits)
			CHECK_EQ(co_status(m.actor[i].co), CO_WAITING);
	CHECK(m.holder >= 0 || m.n_waiting == 0);
}

static void switch_somehow(void)
{
	if (rng_below(&r, 2))
		CHECK_EQ(co_reschedule(), 0);
	else
		CHECK_EQ(co_yield_ct(), 0);
}

static bool m_lock(int me)
{
	struct actor *a = &m.actor[me];
	int timeout_ms = (int)rng_below(&r, 5) - 1, how = (int)rng_below(&r, 3), locked;

	a->at_ns = how && timeout_ms >= 0 ? now + timeout_ms * (int64_t)MS : CO_NEVER;
	if (m.holder < 0) {
		m.holder = me;
	} else if (!(how && timeout_ms == 0)) {
		a->waits = true;
		m.waiting[m.n_waiting++] = me;
	}
	locked = how ? co_mutex_timedlock(mutex, timeout_ms) : co_mutex_lock(mutex);
	CHECK_EQ(locked, m.holder == me ? 0 : -1);
	CHECK(locked == 0 || (errno == ETIMEDOUT && now >= a->at_ns));
	CHECK(!a->waits);
	m.n_locks += locked == 0;
	m.n_late += locked != 0;
	m_check();
	return locked == 0;
}

static void *play(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (;;) {
		if (m_lock(me)) {
			for (unsigned n = rng_below(&r, 3); n > 0; n--) {
				switch_somehow();
				CHECK_EQ(m.holder, me);
			}
			m_hand_over();
			CHECK_EQ(co_mutex_unlock(mutex), 0);
		}
		CHECK_FAILS(co_mutex_unlock(mutex), -1, EPERM);
		if (rng_below(&r, 2))
			switch_somehow();
	}
	return arg;
}

static void drop_some(void)
{
	int i = (int)rng_below(&r, COS);
	struct actor *a = &m.actor[i];

	if (!a->co)
		return;
	m.n_dropped += m.holder == i;
	m_gone(i);
	drop(&a->co, rng_below(&r, 2));
}

static void one_schedule(void)
{
	mutex = co_mutex_alloc();
	m.holder = -1;
	for (int step = 0; step < STEPS; step++) {
		struct actor *a = &m.actor[rng_below(&r, COS)];

		if (!a->co)
			CHECK_EQ(co_create(&a->co, NULL, play, (void *)(a - m.actor)), 0);
		if (co_status(a->co) == CO_NEW || co_status(a->co) == CO_SUSPENDED)
			CHECK_EQ(co_resume(a->co), 0);
		if (rng_below(&r, 8) == 0)
			drop_some();
		now += rng_below(&r, 2) ? below(MS) : 0;
		m_check();
		turn();
		m_expire();
		m_check();
	}
	for (int i = 0; i < COS; i++) {
		m_gone(i);
		if (m.actor[i].co)
			CHECK_EQ(co_release(m.actor[i].co), 0);
		m.actor[i] = (struct actor){ 0 };
	}
	CHECK_EQ(co_timers_get()->n, 0);
	end();
}

static void model(void)
{
	use_heap();
	use_our_clock();
	sync_check_more = check_more;
	CHECK(co_timers_get() != NULL);
	r.s = test_seed(20182);
	one_schedule();
	long before = n_blocks;
	for (int n = rounds(3000); n > 0; n--)
		one_schedule();
	CHECK_EQ(n_blocks, before);
	printf("# %ld locks, %ld were late, %ld holders were dropped\n", m.n_locks, m.n_late, m.n_dropped);
	CHECK(m.n_locks > rounds(30 * 1000) && m.n_late > rounds(5000) && m.n_dropped > rounds(500));
}

/* --- for debuggers -------------------------------------------------------------------------------- */

static void *lock_both_ways(void *arg)
{
	CHECK_EQ(co_mutex_lock(mutex), 0);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(co_mutex_timedlock(mutex, -1), 0);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	return arg;
}

static void where(void)
{
	begin();
	CHECK_EQ(co_mutex_lock(mutex), 0);
	struct co *co = start(lock_both_ways, NULL);
	for (int i = 0; i < 2; i++) {
		ptrdiff_t off = (char *)co->blocked_at - (char *)lock_both_ways;
		CHECK_EQ(co_status(co), CO_WAITING);
		CHECK(off > 0 && off < 4096);
		CHECK_EQ(co_mutex_unlock(mutex), 0);
		turn();
		if (i == 0) {
			CHECK_EQ(co_mutex_lock(mutex), 0);
			CHECK_EQ(co_resume(co), 0);
		}
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
	watched = env;
	struct co_mutex *other = co_mutex_alloc();
	CHECK_EQ(co_mutex_free(other), 0);
	watched = NULL;
	CHECK_EQ(co_mutex_trylock(mutex), 0);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	CHECK_EQ(co_mutex_timedlock(mutex, 0), 0);
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	CHECK_EQ(co_mutex_lock(mutex), 0);
	CHECK(!env->inside);
	struct co *co = start(try_10ms, "a");
	CHECK_EQ(co_mutex_unlock(mutex), 0);
	CHECK(!env->inside);
	loop();
	check_trace("a");
	CHECK_EQ(co_release(co), 0);
	end();
}

static const struct test_case cases[] = {
	{ "one_at_a_time", "one at a time, first come, first served", one_at_a_time, 0, 0 },
	{ "no_barging", "who unlocks and locks again waits behind those who were there", no_barging, 0, 0 },
	{ "lost_updates", "read, switch, write: counts wrong without a mutex, right with one", lost_updates, 0, 0 },
	{ "timed", "a timed lock is had in time, or ETIMEDOUT, and exactly one of them counts", timed_locks, 0, 0 },
	{ "E06_misuse", "E06: a stray unlock is EPERM, a second lock EDEADLK, and nothing has happened", E06, 0, 0 },
	{ "other_threads", "another thread's is refused, and nothing has happened", other_threads, 0, 0 },
	{ "no_memory", "no memory: ENOMEM, and nothing is left", no_memory, 0, 0 },
	{ "main", "main locks as others do", main_locks, 0, 0 },
	{ "E07_gone", "E07: a holder or waiter that is released or reset holds up nobody", E07, 0, 0 },
	{ "many_held", "one who held three gives on all three", many_held, 0, 0 },
	{ "thread_ends", "a thread that ends with holder and waiters leaves nothing but the mutex", thread_ends, 0, 0 },
	{ "thread_ends_inside", "nor one that ends in a coroutine while main waits", thread_ends_inside, 0, 0 },
	{ "model", "random schedules: who holds it, and who is late, is as in a model", model, 0, 0 },
	{ "inside", "what the library does, a signal handler knows of", is_inside, 0, 0 },
	{ "where", "debuggers see where a waiter waits", where, 0, 0 },
};

TEST_MAIN(cases)
