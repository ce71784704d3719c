/* SPDX-License-Identifier: MIT */
/*
 * clock — what time it is, for timers.
 *
 * Layer:   5 (uses: loop.h's CO_NEVER).
 * Owns:    nothing.
 * Thread:  each thread has its own choice of clock.
 * Errors:  none.
 * Model:   libco GetTickMS (co_routine.cpp) at dc6aafc; differs in: the
 *          monotonic clock, which nobody sets, in nanoseconds.
 */
#ifndef CO_CLOCK_H
#define CO_CLOCK_H

#include <stdint.h>

#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Nanoseconds of CLOCK_MONOTONIC, or of the clock that co_set_clock chose. */
int64_t co_now_ns(void);

/* The point in time @ns from now; CO_NEVER if there is none so late.
 * A negative @ns is taken for 0. */
int64_t co_from_now_ns(int64_t ns);

/* A clock that is not the kernel's, so that tests are exact and take no time. */
struct co_clock {
	int64_t (*now_ns)(void);
	void (*sleep_until)(int64_t at_ns); /* nothing will happen before: be there. Called
					       by the loop instead of sleeping */
};

/* Use @clock on this thread, for timers added from now on; NULL = CLOCK_MONOTONIC. */
void co_set_clock(const struct co_clock *clock);

/* The clock that was set; NULL: CLOCK_MONOTONIC. */
const struct co_clock *co_get_clock(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
