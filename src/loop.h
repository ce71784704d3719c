/* SPDX-License-Identifier: MIT */
/*
 * loop — who runs next: a queue of ready coroutines, and turns.
 *
 * Layer:   4 (uses: 1-3).
 * Owns:    one struct co_loop per thread, from the first call that needs it
 *          until the thread ends.
 * Thread:  a loop is its thread's alone (EXDEV elsewhere).
 * Errors:  -1 and errno.
 * Model:   libco co_eventloop, pstActiveList (co_routine.cpp) at dc6aafc;
 *          differs in: a turn runs those that were ready when it began, so
 *          two that keep waking each other starve nobody.
 *
 * Invariants:
 *  I1  A coroutine is on `ready` or `turn` exactly when its state is READY.
 *  I2  `turn` is empty outside a turn.
 *  I3  Nothing here lies on a coroutine's stack: while it is suspended, that
 *      memory may not be there.
 */
#ifndef CO_LOOP_H
#define CO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "coroutine.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct co_loop;

/* A point in time that never comes, and a length of time that never ends. */
#define CO_NEVER INT64_MAX

/* Called once in each turn of the loop; -1 ends the loop. */
typedef int co_loop_fn(void *arg);

/* This thread's loop, made if missing; NULL, ENOMEM.
 * (libco's name. There is no epoll in it before lesson 6.) */
struct co_loop *co_get_epoll_ct(void);

/* Run ready coroutines, turn by turn.
 *
 * @loop        this thread's; NULL means that too.
 * @fn          called with @arg after each turn, at least once in a millisecond
 *              as long as coroutines give the control back; NULL for none.
 * Returns      0 when @fn returns -1, or after co_loop_stop. Without @fn, also
 *              when nothing is ready and nothing could ever make it so.
 * Errors       EXDEV another thread's; EBUSY the loop runs already; ENOMEM;
 *              what epoll_wait(2) says if it can wait no more. Nobody is lost
 *              then: the loop can be run again.
 * Blocks       yes: the caller stays here while coroutines run.
 * Source       libco co_eventloop. */
int co_eventloop(struct co_loop *loop, co_loop_fn *fn, void *arg);

/* Make @loop return at the end of its present turn; if it does not run, of
 * its next. Errors: EINVAL NULL; EXDEV. */
int co_loop_stop(struct co_loop *loop);

/* Give the others a turn: the caller goes to the end of the queue.
 *
 * On the main coroutine one turn of the loop is run, and timers and descriptors
 * are looked at.
 * Returns      0 when it is the caller's turn again.
 * Errors       EPERM no coroutines on this thread; EBUSY the caller runs the
 *              loop (it is in its callback), or is main and another does; ENOMEM. */
int co_reschedule(void);

/* May the caller wait now, without holding up its thread?
 *
 * For functions like the hooks, which otherwise do what libc does. No: on a
 * thread without coroutines; when the caller runs the loop; on any stack but the
 * running coroutine's (a signal handler's); when a signal has interrupted the
 * library itself. */
bool co_may_wait(void);

/* What the calling thread's loop has done so far; all zero before there is one. */
struct co_loop_stats {
	uint64_t turns;    /* begun */
	uint64_t switches; /* coroutines that a turn has resumed */
	uint64_t sleeps;   /* times it went to sleep because nobody was ready */
	uint64_t syscalls; /* system calls of the loop: to sleep, and to tell epoll and timerfd
			      what for. (co_poll's own looks are not among them) */
};
struct co_loop_stats co_loop_stats(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
