/* SPDX-License-Identifier: MIT */
/*
 * remote — how one thread has something done on another one's loop.
 *
 * Layer:   12 (uses: epoll, timer, park).
 * Owns:    a handle owns an eventfd and what was posted and has not run. It is
 *          counted: its owner has one reference, from open to close; every other
 *          thread needs one of its own, and the last one frees it.
 * Thread:  each call says which. The owner is the thread that opened the handle.
 * Errors:  -1 and errno.
 * Model:   libco has none: its conditions, signalled by another thread, crash.
 *
 * Nothing here takes a lock. Threads post to a list whose only shared word is its
 * head; the owner takes the whole list at once.
 *
 * Invariants:
 *  I1  Once something was posted or notified, the owner has looked, or the eventfd is
 *      readable, or the thread that made the list (or the count) other than empty is
 *      about to write to it.
 *  I2  What was posted runs once: on `posted`, on `taken`, or it has run.
 *  I3  A handle to which nobody can post any more has posted == &closed, for ever.
 *  I4  Events are kept only while nobody waits: n_events > 0 means `waiting` is empty.
 */
#ifndef CO_REMOTE_H
#define CO_REMOTE_H

#include <stdint.h>

#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct co_remote;

/* Open a handle on the calling thread's loop. While it is open, co_eventloop does
 * not return for want of something to wait for.
 *
 * Returns      the handle, with the owner's reference.
 * Errors       NULL: ENOMEM, EMFILE, ENFILE, those of co_create and of epoll_ctl(2).
 * One handle per thread is enough for most programs: it costs a descriptor. */
struct co_remote *co_remote_open(void);

/* Close @r. The owner's reference goes with it: whoever else has one can still call
 * what is below, and is told ESRCH.
 *
 * What was posted and has not run yet, runs before this returns, on the owner's
 * thread; whoever waits in co_remote_wait is woken with ESRCH. When a thread ends, its
 * handles are closed like this too.
 * Thread       the owner, in main, a coroutine, or a posted function.
 * Errors       EINVAL NULL; EXDEV another thread's; ESRCH it is closed. */
int co_remote_close(struct co_remote *r);

/* One reference more, for another thread: take it before that thread is told of @r.
 * Returns @r. Any thread that has a reference. */
struct co_remote *co_remote_hold(struct co_remote *r);

/* Give a reference back that co_remote_hold has made. Any thread. */
void co_remote_drop(struct co_remote *r);

/* Have @fn(@arg) called on the owner's thread, by its loop.
 *
 * What one thread posts, runs in the order in which it was posted. What is posted by a
 * function that runs so, runs in a later turn.
 * @fn          may do what the loop's callback may: create and resume coroutines (new
 *              or suspended ones), wake those that wait for a condition, post, close
 *              the handle. It runs in no coroutine of its own: it must not yield, and
 *              what would have to wait is refused (EBUSY).
 * Thread       any that has a reference, with coroutines or without. Not a signal
 *              handler: it allocates.
 * Returns      0: it will be called, once; at the latest when @r is closed or its thread
 *              ends. -1: it will not.
 * Errors       EINVAL NULL; ENOMEM; ESRCH closed, or the owner's thread has ended, or
 *              this is the child of a fork and the owner was not the thread that called it.
 * Blocks       never. No lock; a system call only if all that was posted before has been
 *              taken already.
 * In the child of a fork, what the forking thread's own handles had not run yet runs in
 * both processes, as the coroutines that wait for it are in both. */
int co_remote_post(struct co_remote *r, void (*fn)(void *arg), void *arg);

/* Count one event, and wake one coroutine that waits for it, or will wait.
 *
 * Thread       any that has a reference. It neither allocates nor blocks, so a signal
 *              handler too.
 * Errors       EINVAL NULL; ESRCH as co_remote_post. */
int co_remote_notify(struct co_remote *r);

/* Take one event of @r; park the caller until there is one. Who came first is served
 * first. There is no order between events and posted functions.
 *
 * @at_ns       a point in time, as co_now_ns() counts; CO_NEVER: no limit.
 * Thread       the owner; main runs the loop meanwhile.
 * Errors       EINVAL NULL; EXDEV another thread's; ESRCH closed, be it meanwhile;
 *              ETIMEDOUT; EBUSY it would have to wait, and the caller runs the loop;
 *              ENOMEM; on main also those of co_eventloop. */
int co_remote_wait(struct co_remote *r);
int co_remote_wait_until(struct co_remote *r, int64_t at_ns);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
