/* SPDX-License-Identifier: MIT */
/*
 * sleep, usleep, nanosleep, clock_nanosleep. No signal ends them early.
 */
#include <errno.h>
#include <time.h>

#include "hook.h"
#include "sleep.h"

enum {
	/* Clocks that can be set: look at them again after so long. */
	SLICE_NS = 500 * 1000 * 1000,
};

/* Returns 0 or an errno; leaves errno alone. */
static int sleep_ns(int64_t ns)
{
	int before = errno;
	int error = co_sleep_ns(ns) == 0 ? 0 : errno;

	errno = before;
	return error;
}

HOOKED unsigned sleep(unsigned seconds)
{
	if (!hook_is_on() || sleep_ns((int64_t)seconds * 1000000000) != 0)
		return REAL(sleep)(seconds);
	return 0;
}

HOOKED int usleep(useconds_t us)
{
	if (!hook_is_on() || sleep_ns((int64_t)us * 1000) != 0)
		return REAL(usleep)(us);
	return 0;
}

HOOKED int nanosleep(const struct timespec *t, struct timespec *rest)
{
	if (!hook_is_on() || !t || !hook_is_valid(t) || sleep_ns(hook_ns_of(t)) != 0)
		return REAL(nanosleep)(t, rest);
	return 0;
}

/* Until @clock shows @t. It may be set meanwhile. */
static int sleep_until_clock_shows(clockid_t clock, const struct timespec *t)
{
	for (;;) {
		struct timespec now;
		if (clock_gettime(clock, &now) != 0)
			return errno;
		int64_t left = hook_ns_of(t) - hook_ns_of(&now);
		if (left <= 0)
			return 0;
		if (clock != CLOCK_MONOTONIC && left > SLICE_NS)
			left = SLICE_NS;
		int error = sleep_ns(left);
		if (error)
			return error;
	}
}

HOOKED int clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *rest)
{
	bool is_time = clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;

	if (!hook_is_on() || !is_time || (flags & ~TIMER_ABSTIME) || !t || !hook_is_valid(t))
		return REAL(clock_nanosleep)(clock, flags, t, rest);
	if (flags & TIMER_ABSTIME)
		return sleep_until_clock_shows(clock, t);
	return sleep_ns(hook_ns_of(t));
}
