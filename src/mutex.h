/* SPDX-License-Identifier: MIT */
/*
 * mutex — one coroutine at a time, for code that switches in the middle.
 *
 * Layer:   11 (uses: 1-5, waitlist).
 * Owns:    a mutex belongs to whoever allocated it, until co_mutex_free. It is not
 *          freed with its thread: one that is left then can be neither used nor
 *          freed any more.
 * Thread:  between the coroutines of one thread, its main included: the one that
 *          allocated it (EXDEV elsewhere). What threads share needs a lock of
 *          theirs too, never held while a coroutine waits.
 * Errors:  -1 and errno; nothing has changed then.
 * Model:   libco clsCoMutex (co_comm.cpp) at dc6aafc; differs in: it knows who holds
 *          it, so a stray unlock and a second lock are refused, and the end of the
 *          holder gives it on.
 *
 * Code that does not switch needs none: nobody else runs meanwhile. Code does switch
 * wherever it may wait, in hooked calls too.
 *
 * Unlock makes the one who has waited longest the holder, there and then: who comes
 * between the unlock and that one's turn has to wait. So nobody starves; and who
 * unlocks and locks again, gives everybody in the line a turn.
 *
 * The holder's release or reset (and its thread's end) gives the lock on like an
 * unlock. The next one is not told: what the mutex guards may be half changed. A
 * coroutine whose function has returned still holds what it held.
 *
 * Invariants:
 *  I1  If nobody holds it, nobody waits.
 *  I2  `hold` is attached to the holder, and to nobody if there is none.
 *  I3  A waiter that was woken by an unlock is the holder, before it has run.
 */
#ifndef CO_MUTEX_H
#define CO_MUTEX_H

#include "clock.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct co_mutex;

/* Make a mutex for this thread. The first call of the library on a thread makes its
 * environment, and the caller its main coroutine.
 *
 * Errors       NULL, and ENOMEM; EAGAIN no thread-specific key is free. */
struct co_mutex *co_mutex_alloc(void);

/* Free @mutex.
 *
 * Errors       EINVAL NULL; EXDEV; EBUSY it is held (only then somebody can wait). */
int co_mutex_free(struct co_mutex *mutex);

/* Hold @mutex; if another does, park the caller until it is its turn.
 *
 * Errors       EDEADLK the caller holds it already; EINVAL NULL; EXDEV; EBUSY it
 *              would have to wait, and the caller runs the loop (it is in its
 *              callback); ENOMEM. On main also EDEADLK, nothing could ever wake it,
 *              and those of co_eventloop.
 * Blocks       yes: parks the coroutine; on main it runs the loop meanwhile. */
int co_mutex_lock(struct co_mutex *mutex);

/* The same, for at most @timeout_ms milliseconds; 0 = do not wait, negative = no limit.
 * Errors: ETIMEDOUT as well, and EMFILE. */
int co_mutex_timedlock(struct co_mutex *mutex, int timeout_ms);

/* Hold @mutex if nobody does. Errors: EBUSY somebody does, be it the caller;
 * EINVAL NULL; EXDEV. Never blocks. */
int co_mutex_trylock(struct co_mutex *mutex);

/* Give @mutex to the one who has waited longest. It runs in a later turn of the loop.
 *
 * Errors       EPERM the caller does not hold it; EINVAL NULL; EXDEV. */
int co_mutex_unlock(struct co_mutex *mutex);

/* Verify I1, I2 and the timers of who waits, on the mutex's own thread; asserts. */
void co_mutex_check(const struct co_mutex *mutex);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
