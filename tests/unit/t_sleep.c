/* SPDX-License-Identifier: MIT */
/*
 * Sleeps: exact by a clock that is set, never early by the kernel's.
 *
 * Of the latter only lower bounds are checked. What the library asks the kernel
 * goes through the functions below (WRAP_t_sleep in the Makefile).
 */
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include "misuse.h"
#include "park.h"
#include "sleep.h"
#include "timers.h"

/* --- what the kernel is asked ------------------------------------------------------ */

static _Thread_local struct {
	bool is_watched;    /* the library is at work, not the test */
	int n_clock_reads;
	int n_sleeps;
	int64_t longest_ns; /* sleep that was asked for */
} kernel;

int __real_clock_gettime(clockid_t id, struct timespec *ts);
long __real_syscall(long number, ...);
int __real_timerfd_create(int id, int flags);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *before);

static int64_t ns_of(const struct timespec *ts)
{
	return (int64_t)ts->tv_sec * SECOND + ts->tv_nsec;
}

static int64_t kernels_now(void)
{
	struct timespec ts;
	CHECK_EQ(__real_clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return ns_of(&ts);
}

static void note_sleep(clockid_t id, bool is_absolute, const struct timespec *ts)
{
	int64_t ns = ns_of(ts) - (is_absolute ? kernels_now() : 0);

	CHECK_EQ(id, CLOCK_MONOTONIC);
	kernel.n_sleeps++;
	if (ns > kernel.longest_ns)
		kernel.longest_ns = ns;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	if (kernel.is_watched) {
		CHECK_EQ(id, CLOCK_MONOTONIC);
		kernel.n_clock_reads++;
	}
	return __real_clock_gettime(id, ts);
}

/* Clocks that somebody may set: nothing reads them. */
int __wrap_gettimeofday(struct timeval *tv, void *tz);
int __wrap_gettimeofday(struct timeval *tv, void *tz)
{
	(void)tz;
	CHECK(!kernel.is_watched);
	*tv = (struct timeval){ 0 };
	return 0;
}

time_t __wrap_time(time_t *t);
time_t __wrap_time(time_t *t)
{
	CHECK(!kernel.is_watched);
	return t ? *t = 0 : 0;
}

/* Five arguments fit into registers, whatever the caller has passed; no call
 * of the library has more. */
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	va_list args;
	long a[5];

	va_start(args, number);
	for (int i = 0; i < 5; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (kernel.is_watched && number == SYS_clock_nanosleep)
		note_sleep((clockid_t)a[0], (int)a[1] == TIMER_ABSTIME, (const struct timespec *)a[2]);
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4]);
}

int __wrap_timerfd_create(int id, int flags);
int __wrap_timerfd_create(int id, int flags)
{
	CHECK_EQ(id, CLOCK_MONOTONIC);
	CHECK_EQ(flags, TFD_CLOEXEC);
	return __real_timerfd_create(id, flags);
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *before);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *before)
{
	if (kernel.is_watched && ns_of(&when->it_value) != 0)
		note_sleep(CLOCK_MONOTONIC, flags == TFD_TIMER_ABSTIME, &when->it_value);
	return __real_timerfd_settime(fd, flags, when, before);
}

/* --- sleeps, by our clock: exact ------------------------------------------------------------ */

static struct co *start(co_fn *fn, void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, arg), 0);
	CHECK_EQ(co_resume(co), 0);
	return co;
}

static void loop(void)
{
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	co_loop_check();
	co_env_check();
}

/* When one wakes that is to sleep until @at_ns, with no time lost anywhere. */
static int64_t wakes_at(int64_t at_ns)
{
	if (is_wheel())
		at_ns = ceil_ms(at_ns) * MS;
	return at_ns > now ? at_ns : now;
}

/* Sleep until then, by one or another function. */
static int sleep_somehow(int64_t at_ns)
{
	int64_t ns = at_ns - now;

	if (ns % MS == 0 && ns >= 0 && rng_below(&r, 2))
		return co_sleep_ms(ns / MS);
	return rng_below(&r, 2) || ns < 0 ? co_sleep_until(at_ns) : co_sleep_ns(ns);
}

static int64_t random_sleep(void)
{
	switch (rng_below(&r, 7)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return below(MS);
	case 3:
		return MS * below(100);
	case 4:
		return below(10 * MS);
	case 5:
		return below(SECOND);
	default:
		return rng_below(&r, 30) ? below(5 * MS) : below(300 * SECOND);
	}
}

static struct {
	int64_t at_ns;
	uint64_t order;
} last_woken;
static uint64_t n_slept;
static int n_done;

/* Exactly on time; those for the same time in the order in which they went to
 * sleep. Main, once woken, goes on before them. */
static void *sleep_exactly(void *arg)
{
	for (int i = rounds(400); i > 0; i--) {
		int64_t at_ns = now + random_sleep(), wake = wakes_at(at_ns);
		uint64_t order = n_slept++;

		CHECK_EQ(sleep_somehow(at_ns), 0);
		CHECK_EQ(now, wake);
		if (!arg)
			continue;
		if (is_wheel()) {
			CHECK(last_woken.at_ns <= wake);
		} else {
			CHECK(last_woken.at_ns < at_ns || (last_woken.at_ns == at_ns && last_woken.order < order));
		}
		last_woken.at_ns = wake;
		last_woken.order = order;
		if (i % 16 == 0)
			co_env_check();
	}
	n_done++;
	return arg;
}

static void *many_sleepers(void *arg)
{
	enum { N = 60 };

	use_our_clock();
	r.s = test_seed(20165);
	last_woken.at_ns = 0;
	n_done = 0;
	for (int i = 0; i < N; i++)
		start(sleep_exactly, "in order");
	loop();
	CHECK_EQ(n_done, N);
	CHECK_EQ(co_timers_get()->n, 0);
	/* And main, with the others. */
	for (int i = 0; i < N; i++)
		start(sleep_exactly, "in order");
	sleep_exactly(NULL);
	CHECK(n_done > N);
	CHECK_EQ(co_sleep_ms(HOUR / MS), 0);
	CHECK_EQ(n_done, 2 * N + 1);
	return arg;
}

static void sleep_order(void)
{
	with_each_kind(many_sleepers);
}

/* --- 0, and the past ------------------------------------------------------------------------ */

static char trace[200];

static void note(char c)
{
	size_t n = strlen(trace);
	CHECK(n < sizeof(trace) - 1);
	trace[n] = c;
}

static void check_trace(const char *expected)
{
	if (strcmp(trace, expected) != 0) {
		fprintf(stderr, "ran: %s, expected: %s\n", trace, expected);
		CHECK(!"the order is as expected");
	}
	memset(trace, 0, sizeof(trace));
}

static void *give_way(void *arg)
{
	for (int i = 0; i < 4; i++) {
		note(*(char *)arg);
		CHECK_EQ(co_reschedule(), 0);
	}
	return arg;
}

static void *sleep_for_nothing(void *arg)
{
	for (int i = 0; i < 4; i++) {
		note(*(char *)arg);
		CHECK_EQ(i % 2 ? co_sleep_ms(0) : co_sleep_until(now - SECOND), 0);
	}
	return arg;
}

static void *no_time(void *arg)
{
	use_our_clock();
	start(give_way, "a");
	start(sleep_for_nothing, "s");
	start(give_way, "b");
	check_trace("asb");
	for (int i = 0; i < 3; i++) {
		note('.');
		CHECK_EQ(i ? co_sleep_ns(0) : co_sleep_until(-1), 0);
	}
	note('.');
	check_trace(".ab.abs.abs."); /* a whole turn each; the sleeper is woken after the turn */
	loop();
	check_trace("s");
	CHECK_EQ(n_sleeps, 0);
	CHECK_EQ(now, 1000 * SECOND);
	return arg;
}

static void sleep_zero(void)
{
	with_each_kind(no_time);
}

/* --- for ever ---------------------------------------------------------------------------------- */

enum { N_INFINITE = 6 };
static int64_t month_ms; /* more than an int has */

static void *sleep_for_ever(void *arg)
{
	switch ((intptr_t)arg) {
	case 0:
		co_sleep_ms(INT64_MAX);
		break;
	case 1:
		co_sleep_ns(CO_NEVER);
		break;
	case 2:
		co_sleep_until(CO_NEVER);
		break;
	case 3:
		co_sleep_ms(INT64_MAX / MS + 1); /* too many nanoseconds */
		break;
	case 4:
		co_sleep_ms(INT64_MAX / MS); /* not too many, but from now on */
		break;
	default:
		co_sleep_ns(CO_NEVER - 1);
	}
	CHECK(!"it never ends");
	return arg;
}

static void *sleep_a_month(void *arg)
{
	int64_t before = now;

	CHECK_EQ(co_sleep_ms(month_ms), 0);
	CHECK_EQ(now - before, month_ms * MS);
	n_done++;
	return arg;
}

static void *infinite(void *arg)
{
	struct co *co[N_INFINITE];

	use_our_clock();
	n_done = 0;
	for (intptr_t i = 0; i < N_INFINITE; i++)
		co[i] = start(sleep_for_ever, (void *)i);
	loop(); /* nothing can ever happen */
	CHECK_EQ(n_sleeps, 0);
	CHECK_EQ(co_timers_next(), CO_NEVER);
	CHECK_FAILS(co_sleep_until(CO_NEVER), -1, EDEADLK);
	CHECK_FAILS(co_sleep_ms(INT64_MAX), -1, EDEADLK);

	month_ms = is_wheel() ? 10 * SLOTS : (int64_t)INT32_MAX + 1; /* a wheel takes its time */
	start(sleep_a_month, NULL);
	CHECK_FAILS(co_sleep_until(CO_NEVER), -1, EDEADLK); /* until nothing is left but us */
	CHECK_EQ(n_done, 1);
	for (int i = 0; i < N_INFINITE; i++) {
		CHECK_EQ(co_status(co[i]), CO_WAITING);
		CHECK_EQ(i % 2 ? co_reset(co[i]) : co_release(co[i]), 0);
	}
	return arg;
}

static void sleep_infinite(void)
{
	with_each_kind(infinite);
}

/* The latest time that there is: a deadline like any other. */
static void *until_the_end(void *arg)
{
	CHECK_EQ(co_sleep_until(CO_NEVER - 1), 0);
	CHECK_EQ(now, CO_NEVER - 1);
	n_done++;
	return arg;
}

static void *far_future(void *arg)
{
	use_our_clock();
	n_done = 0;
	start(until_the_end, NULL);
	loop();
	CHECK_EQ(n_done, 1);
	CHECK_EQ(co_from_now_ns(1), CO_NEVER);
	CHECK_EQ(co_from_now_ns(2), CO_NEVER);
	CHECK_EQ(co_from_now_ns(-1), now);
	CHECK_EQ(co_from_now_ns(INT64_MIN), now);
	return arg;
}

static void sleep_far(void)
{
	with_kind(&co_timer_heap, far_future);
	with_kind(&co_timer_timerfd, far_future);
}

/* --- refused ---------------------------------------------------------------------------------- */

static int sleep_1ms(struct co *co)
{
	(void)co;
	return co_sleep_ms(1);
}

static int sleep_1ns(struct co *co)
{
	(void)co;
	return co_sleep_ns(1);
}

static int sleep_until_now(struct co *co)
{
	(void)co;
	return co_sleep_until(co_now_ns());
}

static int sleep_never(struct co *co)
{
	(void)co;
	return co_sleep_until(CO_NEVER);
}

static int sleep_less_ms(struct co *co)
{
	(void)co;
	return co_sleep_ms(-1);
}

static int sleep_least_ms(struct co *co)
{
	(void)co;
	return co_sleep_ms(INT64_MIN);
}

static int sleep_less_ns(struct co *co)
{
	(void)co;
	return co_sleep_ns(-1);
}

static const struct misuse anywhere[] = {
	{ "sleep_ms: -1", sleep_less_ms, NULL, EINVAL },
	{ "sleep_ms: INT64_MIN", sleep_least_ms, NULL, EINVAL },
	{ "sleep_ns: -1", sleep_less_ns, NULL, EINVAL },
	{ 0 },
};

static const struct misuse runs_the_loop[] = {
	{ "sleep_ms: the caller runs the loop", sleep_1ms, NULL, EBUSY },
	{ "sleep_ns: the caller runs the loop", sleep_1ns, NULL, EBUSY },
	{ "sleep_until: the caller runs the loop", sleep_until_now, NULL, EBUSY },
	{ "sleep_until: for ever, the caller runs the loop", sleep_never, NULL, EBUSY },
	{ 0 },
};

static const struct misuse has_nothing[] = {
	{ "sleep_ms: no environment", sleep_1ms, NULL, EPERM },
	{ "sleep_ns: no environment", sleep_1ns, NULL, EPERM },
	{ "sleep_until: no environment", sleep_until_now, NULL, EPERM },
	{ "sleep_ms: -1, no environment", sleep_less_ms, NULL, EINVAL },
	{ 0 },
};

static int refuse(void *arg)
{
	misuse_all(anywhere, "in the loop's callback");
	misuse_all(runs_the_loop, "in the loop's callback");
	CHECK_EQ(co_timers_get()->n, 0);
	return --*(int *)arg ? 0 : -1;
}

static void *refuse_in_coroutine(void *arg)
{
	int n = 2;

	misuse_all(anywhere, "in a coroutine");
	CHECK_EQ(co_eventloop(NULL, refuse, &n), 0);
	n_done++;
	return arg;
}

/* Main has resumed the one that runs the loop, and that one has come back. */
static int come_back(void *arg)
{
	(void)arg;
	co_yield_ct();
	return -1;
}

static void *run_loop(void *arg)
{
	CHECK_EQ(co_eventloop(NULL, come_back, NULL), 0);
	return arg;
}

static void *refuse_all(void *arg)
{
	int n = 2;

	misuse_all(has_nothing, "on a thread without an environment");
	use_our_clock();
	CHECK(co_timers_get() != NULL);
	misuse_all(anywhere, "in main");
	CHECK_EQ(co_eventloop(NULL, refuse, &n), 0);
	start(refuse_in_coroutine, NULL);
	struct co *runner = start(run_loop, NULL);
	misuse_all(runs_the_loop, "in main, while a coroutine runs the loop");
	CHECK_EQ(co_timers_get()->n, 0);
	CHECK_EQ(co_resume(runner), 0);
	CHECK_EQ(co_sleep_ms(1), 0);
	return arg;
}

static void refused(void)
{
	n_done = 0;
	with_each_kind(refuse_all);
	CHECK_EQ(n_done, 3);
}

/* --- released, reset, left behind ------------------------------------------------------------- */

enum { VICTIMS = 40 };
static struct {
	struct co *co;
	int64_t at_ns, wake;
	bool sleeps;
} victim[VICTIMS];

static void *sleep_on(void *arg)
{
	intptr_t me = (intptr_t)arg;

	for (;;) {
		victim[me].at_ns = now + random_sleep();
		victim[me].wake = wakes_at(victim[me].at_ns);
		victim[me].sleeps = true;
		CHECK_EQ(sleep_somehow(victim[me].at_ns), 0);
		CHECK(victim[me].sleeps);
		CHECK_EQ(now, victim[me].wake);
		victim[me].sleeps = false;
	}
	return arg;
}

static void check_sleepers(void)
{
	int64_t first = CO_NEVER;
	size_t n = 0;

	for (int i = 0; i < VICTIMS; i++) {
		if (!victim[i].sleeps || co_status(victim[i].co) == CO_READY)
			continue;
		CHECK_EQ(co_status(victim[i].co), CO_WAITING);
		n++;
		if (victim[i].at_ns < first)
			first = victim[i].at_ns;
	}
	CHECK_EQ(co_timers_get()->n, n);
	if (!is_wheel())
		CHECK_EQ(co_timers_next(), first);
}

static void take_out(int i, bool by_reset)
{
	victim[i].sleeps = false;
	if (by_reset) {
		CHECK_EQ(co_reset(victim[i].co), 0);
		return;
	}
	CHECK_EQ(co_release(victim[i].co), 0);
	CHECK_EQ(co_create(&victim[i].co, NULL, sleep_on, (void *)(intptr_t)i), 0);
}

/* In main: those that slept while it did are asleep or ready. */
static void *take_sleepers_out(void *arg)
{
	use_our_clock();
	r.s = test_seed(20166);
	memset(victim, 0, sizeof(victim));
	for (intptr_t i = 0; i < VICTIMS; i++)
		victim[i].co = start(sleep_on, (void *)i);
	for (int n = rounds(4000); n > 0; n--) {
		int i = (int)rng_below(&r, VICTIMS);
		take_out(i, n % 2);
		check_sleepers();
		CHECK_EQ(co_resume(victim[i].co), 0);
		check_sleepers();
		CHECK_EQ(co_sleep_ns(below(3 * MS)), 0);
	}
	for (int i = 0; i < VICTIMS; i++) {
		take_out(i, i % 2);
		check_sleepers();
	}
	CHECK_EQ(co_timers_get()->n, 0);
	loop(); /* nobody comes */
	return arg;
}

static void released(void)
{
	with_each_kind(take_sleepers_out);
}

static void *sleep_hours(void *arg)
{
	CHECK_EQ(co_sleep_ns((intptr_t)arg * HOUR), 0);
	CHECK(!"it is left behind");
	return arg;
}

static void *leave_sleepers(void *arg)
{
	for (intptr_t i = 0; i < 20; i++)
		start(sleep_hours, (void *)(10 - i % 10));
	start(sleep_for_ever, (void *)2);
	CHECK_EQ(co_sleep_ns(1), 0);
	return arg;
}

static void *end_thread(void *arg)
{
	CHECK_EQ(co_sleep_ns(1), 0);
	pthread_exit(arg);
}

/* The thread ends in a coroutine, while main sleeps. */
static void *leave_main_too(void *arg)
{
	leave_sleepers(arg);
	start(end_thread, NULL);
	co_sleep_ns(10 * HOUR);
	CHECK(!"the thread has ended");
	return arg;
}

static void thread_ends(void)
{
	size_t n_fds = count_fds();

	for (int i = rounds(20); i > 0; i--)
		with_each_kind(leave_sleepers);
	CHECK_EQ(count_fds(), n_fds);
}

static void thread_ends_inside(void)
{
#if defined(CO_ASAN) || defined(CO_TSAN)
	SKIP_IF_WATCHED("sanitizers take the end of a thread on their own stack only");
#endif
	size_t n_fds = count_fds();

	with_each_kind(leave_main_too);
	CHECK_EQ(count_fds(), n_fds);
}

/* --- the callback, stopping -------------------------------------------------------------------- */

static int64_t called_at, longest_gap;
static int n_calls;

static int note_call(void *arg)
{
	if (n_calls++ > 0 && now - called_at > longest_gap)
		longest_gap = now - called_at;
	called_at = now;
	return n_calls < *(int *)arg ? 0 : -1;
}

static void *sleep_odd_times(void *arg)
{
	for (;;)
		CHECK_EQ(co_sleep_ns(below(3 * MS)), 0);
	return arg;
}

static void call_back(int how_often)
{
	n_calls = 0;
	longest_gap = 0;
	CHECK_EQ(co_eventloop(NULL, note_call, &how_often), 0);
	CHECK_EQ(n_calls, how_often);
}

static void *callbacks(void *arg)
{
	use_our_clock();
	r.s = test_seed(20167);
	start(sleep_hours, (void *)1000000); /* longer than any computer runs: the clock will be its own */
	call_back(rounds(500));
	CHECK_EQ(longest_gap, MS); /* no earlier than needed, either */
	CHECK_EQ(slept_ns, MS);
	for (int i = 0; i < 5; i++)
		start(sleep_odd_times, NULL);
	call_back(rounds(500));
	CHECK(longest_gap > 0 && longest_gap <= MS);

	/* By the kernel's clock: no longer sleep is asked for. */
	co_set_clock(NULL);
	now = 0;
	start(sleep_hours, (void *)10);
	kernel.longest_ns = kernel.n_sleeps = 0;
	kernel.is_watched = true;
	call_back(20);
	kernel.is_watched = false;
	CHECK(kernel.n_sleeps > 0);
	CHECK(kernel.longest_ns > 0 && kernel.longest_ns <= MS);
	return arg;
}

/* Nothing to wait for: before the thread has timers, and after. */
static void *callbacks_alone(void *arg)
{
	kernel.is_watched = true;
	for (int i = 0; i < 2; i++) {
		kernel.longest_ns = kernel.n_sleeps = 0;
		call_back(20);
		CHECK_EQ(kernel.n_sleeps, 19);
		CHECK(kernel.longest_ns > 0 && kernel.longest_ns <= MS);
		CHECK(co_timers_get() != NULL);
	}
	kernel.is_watched = false;
	return arg;
}

static void callback_each_ms(void)
{
	with_each_kind(callbacks);
	with_each_kind(callbacks_alone);
}

static void *sleep_then_stop(void *arg)
{
	CHECK_EQ(co_sleep_ms(5), 0);
	CHECK_FAILS(co_eventloop(NULL, NULL, NULL), -1, EBUSY);
	CHECK_EQ(co_loop_stop(co_get_epoll_ct()), 0);
	CHECK_EQ(co_sleep_ms(5), 0);
	n_done++;
	return arg;
}

static void *stop_and_go_on(void *arg)
{
	int64_t begin;

	use_our_clock();
	begin = now;
	start(sleep_then_stop, NULL);
	start(sleep_a_month, NULL);
	month_ms = 20;
	start(sleep_a_month, NULL); /* this one reads it when it wakes, too */
	n_done = 0;
	loop();
	CHECK_EQ(now - begin, 5 * MS);
	CHECK_EQ(co_timers_get()->n, 3);
	CHECK_EQ(co_loop_stop(co_get_epoll_ct()), 0);
	loop(); /* nobody is ready: stopped before it sleeps */
	CHECK_EQ(now - begin, 5 * MS);
	loop();
	CHECK_EQ(n_done, 3);
	return arg;
}

static void stopping(void)
{
	month_ms = 20;
	with_each_kind(stop_and_go_on);
}

/* --- nobody starves ------------------------------------------------------------------------------ */

static bool is_over;

static void *give_way_for_ever(void *arg)
{
	while (!is_over) {
		if (arg)
			now += 700; /* a turn costs something */
		CHECK_EQ(co_reschedule(), 0);
	}
	return arg;
}

static void *sleep_among_them(void *arg)
{
	for (int i = 0; i < 100; i++) {
		int64_t at_ns = now + below(3 * MS), wake = wakes_at(at_ns);
		CHECK_EQ(co_sleep_until(at_ns), 0);
		CHECK(now >= at_ns);
		CHECK(now <= wake + 4 * 700); /* late by one turn, of the two who use up time */
	}
	is_over = true;
	return arg;
}

static void *busy_loop(void *arg)
{
	use_our_clock();
	r.s = test_seed(20168);
	for (int by_hand = 0; by_hand < 2; by_hand++) {
		is_over = false;
		start(give_way_for_ever, "x");
		start(give_way_for_ever, "x");
		start(sleep_among_them, NULL);
		while (by_hand && !is_over)
			CHECK_EQ(co_reschedule(), 0);
		loop();
		CHECK(is_over);
	}
	CHECK_EQ(n_sleeps, 0); /* somebody was always ready */
	return arg;
}

static void *sleep_5ms(void *arg)
{
	int64_t begin = kernels_now();

	CHECK_EQ(co_sleep_ms(5), 0);
	CHECK(kernels_now() - begin >= 5 * MS);
	is_over = true;
	return arg;
}

static void *busy_loop_for_real(void *arg)
{
	for (int by_hand = 0; by_hand < 2; by_hand++) {
		is_over = false;
		start(give_way_for_ever, NULL);
		start(give_way_for_ever, NULL);
		start(sleep_5ms, NULL);
		while (by_hand && !is_over)
			CHECK_EQ(co_reschedule(), 0);
		loop();
	}
	/* Nobody but the sleeper, and main does not wait. */
	is_over = false;
	start(sleep_5ms, NULL);
	while (!is_over)
		CHECK_EQ(co_reschedule(), 0);
	return arg;
}

static void no_starvation(void)
{
	with_each_kind(busy_loop);
	with_each_kind(busy_loop_for_real);
}

/* --- by the kernel's clock --------------------------------------------------------------------- */

static void *sleep_for_real(void *arg)
{
	for (int i = 0; i < 40; i++) {
		int64_t ns = i == 0 ? 1 : rng_below(&r, 2) ? below(MS) : below(5 * MS), begin;

		errno = 4711;
		begin = kernels_now();
		CHECK_EQ(co_sleep_ns(ns), 0);
		CHECK(kernels_now() - begin >= ns);
		CHECK_EQ(errno, 4711);
		begin = kernels_now();
		CHECK_EQ(co_sleep_ms(i % 3), 0);
		CHECK(kernels_now() - begin >= i % 3 * MS);
	}
	n_done++;
	return arg;
}

static void *sleep_and_compare(void *arg)
{
	r.s = test_seed(20169);
	n_done = 0;
	kernel.is_watched = true;
	for (int i = 0; i < 8; i++)
		start(sleep_for_real, NULL);
	loop();
	CHECK_EQ(n_done, 8);
	kernel.is_watched = false;
	return arg;
}

static void never_early(void)
{
	with_each_kind(sleep_and_compare);
}

/* The functions at the top stop whoever reads a clock that can be set. */
static void *only_monotonic(void *arg)
{
	kernel.n_clock_reads = kernel.n_sleeps = 0;
	kernel.is_watched = true;
	start(sleep_5ms, NULL);
	CHECK_EQ(co_sleep_ms(7), 0);
	CHECK_EQ(co_sleep_until(co_now_ns() + MS), 0);
	int64_t before = kernels_now(), then = co_now_ns();
	CHECK(then >= before && then <= kernels_now());
	kernel.is_watched = false;
	CHECK(kernel.n_clock_reads > 5);
	CHECK(kernel.n_sleeps > 0);
	return arg;
}

static void only_monotonic_clock(void)
{
	with_each_kind(only_monotonic);
}

static volatile sig_atomic_t n_signals;

static void on_alarm(int signal)
{
	(void)signal;
	n_signals++;
}

static void tick_each_ms(int ms)
{
	struct itimerval each = { { 0, ms * 1000 }, { 0, ms * 1000 } };
	CHECK_EQ(setitimer(ITIMER_REAL, &each, NULL), 0);
}

static void *sleep_through_signals(void *arg)
{
	struct sigaction action = { .sa_handler = on_alarm };
	sigset_t alarms;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	for (int restart = 0; restart < 2; restart++) {
		action.sa_flags = restart ? SA_RESTART : 0;
		sigaction(SIGALRM, &action, NULL);
		n_signals = 0;
		pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
		tick_each_ms(2);
		is_over = false;
		start(sleep_5ms, NULL);
		int64_t begin = kernels_now();
		CHECK_EQ(co_sleep_ms(25), 0);
		CHECK(kernels_now() - begin >= 25 * MS);
		loop();
		CHECK(is_over);
		tick_each_ms(0);
		pthread_sigmask(SIG_BLOCK, &alarms, NULL);
		CHECK(n_signals > 0);
	}
	return arg;
}

static void signals(void)
{
	sigset_t alarms;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarms, NULL); /* the sleeping thread shall have them */
	with_each_kind(sleep_through_signals);
	signal(SIGALRM, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
	alarm(CASE_SECONDS); /* it was the same timer */
}

static uint64_t n_idle_sleeps[3];

static void *sleep_alone(void *arg)
{
	int i = 0;

	while (all_kinds[i] != kind)
		i++;
	CHECK(co_get_epoll_ct() != NULL);
	CHECK_EQ(co_sleep_ms(300), 0);
	n_idle_sleeps[i] = co_loop_stats().sleeps;
	printf("# %lu sleeps, %lu system calls\n", (unsigned long)co_loop_stats().sleeps,
	       (unsigned long)co_loop_stats().syscalls);
	CHECK(n_idle_sleeps[i] > 0);
	CHECK(co_loop_stats().syscalls >= n_idle_sleeps[i]);

	/* By our clock: exactly, and no system call. */
	uint64_t n_syscalls = co_loop_stats().syscalls;
	use_our_clock();
	CHECK_EQ(co_sleep_ms(300), 0);
	CHECK_EQ(n_sleeps, is_wheel() ? 300 : 1);
	CHECK_EQ(co_loop_stats().sleeps - n_idle_sleeps[i], n_sleeps);
	CHECK_EQ(co_loop_stats().syscalls, n_syscalls);
	return arg;
}

static void idle(void)
{
	with_each_kind(sleep_alone);
	CHECK(n_idle_sleeps[0] <= 3); /* more than 1: a signal, a tool */
	CHECK(n_idle_sleeps[2] <= 3);
	CHECK(n_idle_sleeps[1] >= 5 * n_idle_sleeps[0]);
	CHECK(n_idle_sleeps[1] >= 5 * n_idle_sleeps[2]);
}

/* --- forks, and descriptors closed behind our back ------------------------------------------ */

static void *sleep_again_and_again(void *arg)
{
	for (int i = 0; i < 10; i++) {
		int64_t begin = kernels_now(), ns = below(3 * MS);
		CHECK_EQ(co_sleep_ns(ns), 0);
		CHECK(kernels_now() - begin >= ns);
	}
	n_done++;
	return arg;
}

/* Parent and child sleep at the same time, each with sleepers of its own. */
static void *sleep_after_fork(void *arg)
{
	r.s = test_seed(20170);
	n_done = 0;
	for (int i = 0; i < 3; i++)
		start(sleep_again_and_again, NULL);
	CHECK_EQ(co_sleep_ms(2), 0);
	fflush(NULL);
	pid_t pid = fork();
	loop();
	CHECK_EQ(n_done, 3);
	if (pid == 0)
		_exit(0);
	join_child(pid);

	/* The child's sleep of an hour does not become the parent's. */
	pid = fork();
	if (pid == 0) {
		usleep(10 * 1000); /* so the parent's alarm is set first, if all goes well */
		co_sleep_ns(HOUR);
		_exit(1);
	}
	CHECK_EQ(co_sleep_ms(60), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return arg;
}

/* Not by threads: a tool may know nothing of a child that they leave. */
static void forks(void)
{
#ifdef CO_TSAN
	SKIP_IF_WATCHED("in a forked child every switch is a race for it");
#endif
	for (size_t i = 0; i < sizeof(all_kinds) / sizeof(all_kinds[0]); i++) {
		fflush(NULL);
		pid_t pid = fork();
		if (pid == 0) {
			kind = all_kinds[i];
			CHECK_EQ(setenv("COSTEP_TIMER", kind->name, 1), 0);
			sleep_after_fork(NULL);
			_exit(0);
		}
		join_child(pid);
	}
}

static void close_descriptors(void)
{
	for (int fd = 3; fd < 64; fd++)
		__real_syscall(SYS_close, fd);
}

static void *close_all(void *arg)
{
	char c;
	int p[2];

	CHECK(co_get_epoll_ct() != NULL);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(co_sleep_ns(10), 0);
		close_descriptors();
		is_over = false;
		start(sleep_5ms, NULL);
		CHECK_EQ(co_sleep_ms(6), 0);
		loop();
		CHECK(is_over);
		close_descriptors();
		CHECK_EQ(pipe(p), 0); /* gets the number */
		CHECK_EQ(write(p[1], "12345678", 8), 8);
		is_over = false;
		start(sleep_5ms, NULL);
		CHECK_EQ(co_sleep_ms(6), 0);
		loop();
		CHECK(is_over);
	}
	n_done = p[0];
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(c, '1');
	return arg;
}

static void closed_behind_our_back(void)
{
	for (int i = 0; i < 3; i++) {
		char c;
		with_kind(all_kinds[i], close_all);
		CHECK_EQ(read(n_done, &c, 1), 1); /* the thread's end closes nobody else's */
		CHECK_EQ(c, '2');
	}
}

/* --- no descriptor left ------------------------------------------------------------------------- */

static void let_open(rlim_t n)
{
	struct rlimit limit;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = n;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void *sleep_10us(void *arg)
{
	CHECK_EQ(co_sleep_ns(10 * 1000), 0);
	n_done++;
	return arg;
}

static void *no_descriptor(void *arg)
{
	CHECK(co_get_epoll_ct() != NULL);
	let_open(0);
	for (int i = 0; i < 3; i++)
		CHECK_FAILS(co_sleep_ms(1), -1, EMFILE);
	CHECK_EQ(co_timers_next(), CO_NEVER);
	let_open(256);
	n_done = 0;
	start(sleep_10us, NULL);
	CHECK_EQ(co_sleep_ms(1), 0);
	loop();
	CHECK_EQ(n_done, 1);

	/* Lost, and no other can be made: the loop says so, and nobody is lost. */
	start(sleep_10us, NULL);
	close_descriptors();
	let_open(0);
	CHECK_FAILS(co_sleep_ns(HOUR), -1, EMFILE);
	CHECK(co_timers_get()->n <= 1); /* the other's, if its time has not come */
	CHECK_FAILS(co_sleep_ns(HOUR), -1, EMFILE);
	let_open(256);
	loop();
	CHECK_EQ(n_done, 2);
	return arg;
}

static void descriptors_used_up(void)
{
	if (is_under_valgrind())
		check_skip("valgrind: the limit is its own");
	with_kind(&co_timer_timerfd, no_descriptor);
}

static const struct test_case cases[] = {
	{ "sleep_order", "sleepers wake at the exact time and in the order of it, main too", sleep_order, 0, 0 },
	{ "sleep_zero", "a sleep of nothing is a turn for the others", sleep_zero, 0, 0 },
	{ "D24_infinite", "D24: infinite is infinite, and 2^31 ms are not", sleep_infinite, 0, 0 },
	{ "sleep_far", "the last nanosecond there is can be waited for", sleep_far, 0, 0 },
	{ "refused", "negative, without environment, by who runs the loop: refused", refused, 0, 0 },
	{ "released", "a sleeper that is released or reset does not wake, the others do", released, 0, 0 },
	{ "D21_thread_ends", "D21: a thread that ends with sleepers leaves nothing", thread_ends, 0, 0 },
	{ "D21_thread_ends_inside", "D21: nor one that ends in a coroutine while main sleeps", thread_ends_inside, 0, 0 },
	{ "callback_each_ms", "the callback is called every millisecond, sleepers or none", callback_each_ms, 0, 0 },
	{ "D25_stop", "D25: a sleeper stops the loop; entered again, it goes on", stopping, 0, 0 },
	{ "D18_busy", "D18: two that reschedule for ever make a sleeper late by one turn", no_starvation, 0, 0 },
	{ "D17_never_early", "D17: never early, by the kernel's clock", never_early, 0, 0 },
	{ "D16_monotonic", "D16: no clock is read but the monotonic one", only_monotonic_clock, 0, 0 },
	{ "signals", "a signal in the loop's sleep ends no sleep early", signals, 0, 0 },
	{ "D01_idle", "D01: one sleeper, one sleep of the loop; the wheel makes one each millisecond", idle, 0, 0 },
	{ "D20_forks", "D20: parent and child of a fork sleep without each other's help", forks, 0, 0 },
	{ "D19_closed", "D19: sleeps go on when all descriptors have been closed", closed_behind_our_back, 0, 0 },
	{ "no_descriptor", "no descriptor left for the timerfd: EMFILE, nothing armed", descriptors_used_up, 0, 0 },
};

TEST_MAIN(cases)
