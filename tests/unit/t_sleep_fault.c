/* SPDX-License-Identifier: MIT */
/*
 * Sleeps when memory or descriptors run out, at every place where they can.
 *
 * As in t_fault: the linker hands the library's calls to the functions here
 * (WRAP_t_sleep_fault in the Makefile), one of them fails, the program tries
 * again. Each attempt is a process of its own.
 */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "park.h"
#include "sleep.h"
#include "timers.h"

/* --- calls that fail ------------------------------------------------------------- */

static enum { NEVER, ONCE, FROM_THEN_ON } mode;
static unsigned fail_at; /* the number of the call, from 1 */
static unsigned n_calls, n_failed, n_errors;
static int error; /* what the last to fail has said */
static atomic_long n_blocks, n_alarms; /* what the library holds */

static bool fails_now(int with)
{
	n_calls++;
	if (!((mode == ONCE && n_calls == fail_at) || (mode == FROM_THEN_ON && n_calls >= fail_at)))
		return false;
	n_failed++;
	errno = error = with;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
int __real_timerfd_create(int id, int flags);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *before);
long __real_syscall(long number, long a, long b, long c, long d, long e);

void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	if (fails_now(ENOMEM))
		return NULL;
	n_blocks++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	if (fails_now(ENOMEM))
		return NULL;
	n_blocks++;
	return __real_calloc(n, size);
}

void __wrap_free(void *p);
void __wrap_free(void *p)
{
	n_blocks -= p != NULL;
	__real_free(p);
}

int __wrap_timerfd_create(int id, int flags);
int __wrap_timerfd_create(int id, int flags)
{
	if (fails_now(EMFILE))
		return -1;
	n_alarms++;
	return __real_timerfd_create(id, flags);
}

/* Not for want of the descriptor: those errors have it made anew. */
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *before);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *before)
{
	return fails_now(ENFILE) ? -1 : __real_timerfd_settime(fd, flags, when, before);
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e);
long __wrap_syscall(long number, long a, long b, long c, long d, long e)
{
	n_alarms -= number == SYS_close;
	return __real_syscall(number, a, b, c, d, e);
}

/* Under ThreadSanitizer the library closes by this name (src/sys.h). */
int __real___close(int fd);
int __wrap___close(int fd);
int __wrap___close(int fd)
{
	n_alarms--;
	return __real___close(fd);
}

/* --- a program that tries again ----------------------------------------------------- */

enum { N = 6 }; /* sleepers */
static struct co *co[N];
static int n_slept;
static bool main_sleeps;

/* A timer is armed for each that waits, and for nobody else. */
static void check_armed(void)
{
	size_t n = main_sleeps;

	for (int i = 0; i < N; i++)
		n += co[i] && co_status(co[i]) == CO_WAITING;
	if (n == 0)
		CHECK_EQ(co_timers_next(), CO_NEVER);
	else
		CHECK_EQ(co_timers_get()->n, n);
}

/* A call has returned an error: the right one, and all is as before. */
static void note_error(void)
{
	CHECK(n_failed > 0);
	CHECK_EQ(errno, error);
	CHECK(++n_errors < 1000);
	if (mode == FROM_THEN_ON)
		mode = NEVER;
	co_env_check();
	co_loop_check();
	check_armed();
}

static void *sleep_twice(void *arg)
{
	for (int i = 0; i < 2; i++) {
		int64_t at_ns = co_now_ns() + 1000;
		while (co_sleep_until(at_ns) == -1)
			note_error();
		CHECK(co_now_ns() >= at_ns);
		n_slept++;
	}
	return arg;
}

static int main_sleep_until(int64_t at_ns)
{
	main_sleeps = true;
	int slept = co_sleep_until(at_ns);
	main_sleeps = false;
	return slept;
}

static void *whole_life(void *arg)
{
	int64_t at_ns;

	n_slept = 0;
	memset(co, 0, sizeof(co));
	for (int i = 0; i < N; i++) {
		while (co_create(&co[i], NULL, sleep_twice, NULL) == -1)
			note_error();
		CHECK_EQ(co_resume(co[i]), 0);
		check_armed();
	}
	/* The loop fails if it cannot wait: nobody is lost. */
	at_ns = co_now_ns() + 2 * MS;
	while (main_sleep_until(at_ns) == -1)
		note_error();
	CHECK(co_now_ns() >= at_ns);
	while (co_eventloop(NULL, NULL, NULL) == -1)
		note_error();
	CHECK_EQ(n_slept, 2 * N);
	check_armed();
	for (int i = 0; i < N; i++) {
		CHECK_EQ(co_status(co[i]), CO_DONE);
		if (i % 2)
			CHECK_EQ(co_release(co[i]), 0);
	}
	return arg;
}

static void run_thread(void *(*fn)(void *))
{
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, fn, NULL), 0);
	pthread_join(t, NULL);
	CHECK_EQ(n_blocks, 0);
	CHECK_EQ(n_alarms, 0);
	CHECK(list_empty(&co_envs));
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
		CHECK(n_errors <= n_failed); /* some need not be told: no memory to watch for overflows */
		bool more = n_calls >= at;
		mode = NEVER;
		run_thread(whole_life);
		_exit(more ? CALLS_LEFT : NO_CALLS_LEFT);
	}
	waitpid(pid, &status, 0);
	CHECK(WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == CALLS_LEFT || WEXITSTATUS(status) == NO_CALLS_LEFT);
	return WEXITSTATUS(status) == CALLS_LEFT;
}

static void every_call(int how)
{
#ifdef __clang__ /* links a sanitizer's own code statically: its calls would fail, too */
	SKIP_IF_WATCHED("memory is not ours alone");
#endif
	for (size_t i = 0; i < sizeof(all_kinds) / sizeof(all_kinds[0]); i++) {
		unsigned at = 1;

		kind = all_kinds[i];
		CHECK_EQ(setenv("COSTEP_TIMER", kind->name, 1), 0);
		while (life_with_failure(how, at))
			at++;
		printf("# %s: %u calls made to fail\n", kind->name, at - 1);
		CHECK(at > 2 * N);
	}
}

static void each_once(void)
{
	every_call(ONCE);
}

static void each_from_then_on(void)
{
	every_call(FROM_THEN_ON);
}

/* --- nobody fails, but does not wake either ------------------------------------------- */

static void *sleep_somehow(void *arg)
{
	CHECK_EQ(co_sleep_ns(arg ? 1 : HOUR), 0);
	return arg;
}

/* Asleep, or awake and not yet run; released, reset, or left to the thread's end. */
static void *never_wake(void *arg)
{
	use_our_clock();
	for (int i = 0; i < N; i++) {
		CHECK_EQ(co_create(&co[i], NULL, sleep_somehow, i < 3 ? "short" : NULL), 0);
		CHECK_EQ(co_resume(co[i]), 0);
	}
	now += 1;
	if (is_wheel())
		now += MS;
	CHECK_EQ(co_timers_expire(), 3);
	for (int i = 0; i < N; i += 3) {
		CHECK_EQ(co_status(co[i]), i == 0 ? CO_READY : CO_WAITING);
		CHECK_EQ(co_release(co[i]), 0);
		CHECK_EQ(co_reset(co[i + 1]), 0);
	}
	CHECK_EQ(co_timers_get()->n, 1);
	return arg;
}

static void released(void)
{
#ifdef __clang__
	SKIP_IF_WATCHED("memory is not ours alone");
#endif
	for (size_t i = 0; i < sizeof(all_kinds) / sizeof(all_kinds[0]); i++) {
		kind = all_kinds[i];
		CHECK_EQ(setenv("COSTEP_TIMER", kind->name, 1), 0);
		run_thread(never_wake);
	}
}

static const struct test_case cases[] = {
	{ "each_once", "any one call fails: one error, nothing armed or leaked, the next try works", each_once, 0, 0 },
	{ "from_then_on", "the same when from any call on all fail, until the first error", each_from_then_on, 0, 0 },
	{ "released", "asleep or just awake, released, reset or left behind: nothing leaks", released, 0, 0 },
};

TEST_MAIN(cases)
