/* SPDX-License-Identifier: MIT */
/*
 * park — how a layer above makes a coroutine wait, and wakes it.
 *
 * Layer:   4, for the layers above; not installed.
 * A blocking call is three steps: put yourself on a list, name the way off
 * it, park. Whoever finds you there calls co_wake; the loop does the rest.
 */
#ifndef CO_PARK_H
#define CO_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "env.h"
#include "loop.h"

struct co_loop {
	struct co_env *env;
	struct list ready;   /* struct co.queue, in the order of waking; I1 */
	struct list turn;    /* the part of it that this turn runs; I2 */
	struct co *runner;   /* whose call of co_eventloop or co_reschedule runs the
				turns; NULL: nobody's. It is the one that cannot wait. */
	bool is_stopping;
	uint64_t n_turns;    /* begun so far */
	struct co_at_exit at_exit;

	/* The hole for waiting: empty until lesson 5 (sleep until the next
	 * deadline) and lesson 6 (epoll) fill it. Called between turns.
	 *
	 * @may_sleep   nothing is ready: it may sleep until something is.
	 * Returns      1 = go on; 0 = nothing could ever wake anyone; -1 errno. */
	int (*wait)(struct co_loop *loop, bool may_sleep);
};

/* Park the running coroutine until co_wake.
 *
 * @cancel      called if it is released or reset instead: take it off every
 *              list that it is on. Its stack is not to be touched then.
 * @blocked_at  return address of the public call, for debuggers.
 * Errors       EPERM in main or without an environment; EBUSY the caller runs
 *              the loop (it is in a callback); ENOMEM. */
int co_park(void (*cancel)(struct co *co), void *blocked_at);

/* Make a waiting coroutine of this thread ready. It runs in a later turn, never at once. */
void co_wake(struct co *co);

/* Verify I1 and I2 for the calling thread; asserts. */
void co_loop_check(void);

#endif
