/* SPDX-License-Identifier: MIT */
/*
 * cond — wait until somebody says that something has changed.
 *
 * Layer:   11 (uses: 1-5, waitlist).
 * Owns:    a condition belongs to whoever allocated it, until co_cond_free. It is
 *          not freed with its thread: one that is left then can be neither used
 *          nor freed any more. Who still waits when the thread ends, is released.
 * Thread:  a condition is used on the thread that allocated it (EXDEV elsewhere),
 *          and by that thread's coroutines and main. To wake another thread's, use
 *          something that its loop waits for, such as a pipe.
 * Errors:  -1 and errno; nothing has changed then.
 * Model:   libco stCoCond_t, co_cond_* (co_routine.cpp) at dc6aafc; differs in: a
 *          wait tells a signal from a timeout, and a signal finds its way when the
 *          one who got it is released.
 *
 * There is no mutex beside it, as pthread_cond_wait has one. Between the look at
 * the data and the wait nobody else runs, unless the caller itself switches.
 * Who holds a co_mutex unlocks it, waits, and locks it again.
 *
 * A signal that finds nobody waiting is forgotten. And being woken means "look
 * again": between the signal and the waiter's turn others have run. So:
 *
 *     while (!there_is_work)
 *             co_cond_timedwait(cond, -1);
 *
 * Invariants:
 *  I1  On `waiters` is who waits, first come, first served; on `signalled` who was
 *      woken by co_cond_signal and has not run yet. Nobody is on both.
 *  I2  While somebody is on `signalled` and is released or reset, its signal goes
 *      to the first of `waiters`. A broadcast's does not: it was for all.
 */
#ifndef CO_COND_H
#define CO_COND_H

#include <stdint.h>

#include "clock.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct co_cond;

/* Make a condition for this thread. The first call of the library on a thread makes
 * its environment, and the caller its main coroutine.
 *
 * Errors       NULL, and ENOMEM; EAGAIN no thread-specific key is free.
 * Source       libco co_cond_alloc. */
struct co_cond *co_cond_alloc(void);

/* Free @cond. Those who have been signalled and have not run yet do not need it.
 *
 * Errors       EINVAL NULL; EXDEV; EBUSY somebody waits.
 * Source       libco co_cond_free. */
int co_cond_free(struct co_cond *cond);

/* Wake the one who has waited longest; wake all. They run in a later turn of the
 * loop, never at once.
 *
 * If the one who was signalled is released or reset before it has run, the signal
 * goes on to the first who waits then.
 * Returns      0, also if nobody waits; nothing is remembered then.
 * Errors       EINVAL NULL; EXDEV.
 * Source       libco. */
int co_cond_signal(struct co_cond *cond);
int co_cond_broadcast(struct co_cond *cond);

/* Park the caller until it is signalled or @timeout_ms has passed.
 *
 * @timeout_ms  milliseconds; 0 = do not wait (and give nobody a turn), negative = no
 *              limit.
 * Returns      0 it was signalled, even if its time has come after that.
 * Errors       ETIMEDOUT nobody has; EINVAL NULL; EXDEV; EBUSY it would have to
 *              wait, and the caller runs the loop (it is in its callback); ENOMEM;
 *              EMFILE. On main also EDEADLK, nothing could ever wake it, and those
 *              of co_eventloop.
 * Blocks       yes: parks the coroutine; on main it runs the loop meanwhile.
 * Source       libco co_cond_timedwait, which returns 0 for both. */
int co_cond_timedwait(struct co_cond *cond, int timeout_ms);

/* The same until a point in time, as co_now_ns() counts; CO_NEVER: no limit. */
int co_cond_wait_until(struct co_cond *cond, int64_t at_ns);

/* Verify I1 and the timers of who waits, on the condition's own thread; asserts. */
void co_cond_check(const struct co_cond *cond);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
