/* SPDX-License-Identifier: MIT */
/*
 * sleep — let the others run for some time.
 *
 * Layer:   5 (uses: timer, park).
 * Owns:    nothing.
 * Thread:  any that has coroutines.
 * Errors:  -1 and errno.
 * Model:   libco has none: there, co_poll without descriptors sleeps.
 */
#ifndef CO_SLEEP_H
#define CO_SLEEP_H

#include <stdint.h>

#include "clock.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Park the caller for at least this time. On main, run the loop for so long.
 *
 * Returns      0, and never too early. 0 milliseconds: when all others that are
 *              ready have had a turn.
 * Errors       EINVAL negative; EPERM no coroutines on this thread; EBUSY the
 *              caller runs the loop (it is in its callback); ENOMEM; on main also
 *              those of co_eventloop. */
int co_sleep_ms(int64_t ms);
int co_sleep_ns(int64_t ns);

/* The same until a point in time, as co_now_ns() counts; CO_NEVER: for ever (on
 * main EDEADLK if then nothing is left that could happen). */
int co_sleep_until(int64_t at_ns);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
