/* SPDX-License-Identifier: MIT */
/*
 * The time. clock_gettime is no system call on most machines (the vDSO answers
 * it), so it is read whenever it is needed: a time that was read at the
 * beginning of the turn would make sleeps end early that are asked for later.
 */
#include "clock.h"

#include <stddef.h>
#include <time.h>

static _Thread_local const struct co_clock *thread_clock;

int64_t co_now_ns(void)
{
	struct timespec now;

	if (thread_clock)
		return thread_clock->now_ns();
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t co_from_now_ns(int64_t ns)
{
	int64_t now = co_now_ns(), at;

	if (ns <= 0)
		return now;
	return __builtin_add_overflow(now, ns, &at) ? CO_NEVER : at;
}

void co_set_clock(const struct co_clock *clock)
{
	thread_clock = clock;
}

const struct co_clock *co_get_clock(void)
{
	return thread_clock;
}
