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
	struct co *runner;   /* whose call of co_eventloop, co_reschedule or (main) co_park
				runs the turns; NULL: nobody's. It is the one that
				cannot wait. */
	bool is_main_parked; /* the runner is main, in co_park; co_wake clears it */
	bool is_stopping;
	unsigned n_empty_looks; /* of co_poll with timeout 0, in vain */
	struct co_loop_stats stats;
	struct co_at_exit at_exit;

	/* The hole for waiting: empty until lesson 5 (sleep until the next
	 * deadline) and lesson 6 (epoll) fill it. Called between turns.
	 *
	 * @at_most_ns  how long it may sleep until something is ready; 0 = only
	 *              look; CO_NEVER = as long as it takes.
	 * Returns      1 = go on; 0 = nothing could ever wake anyone; -1 errno. */
	int (*wait)(struct co_loop *loop, int64_t at_most_ns);
};

/* Park the running coroutine until co_wake. On main: run the loop until then.
 *
 * @cancel      called if it is released or reset before this has returned, be it
 *              woken by then or not: take it off every list that it is still on,
 *              free what the call has. Its stack is not to be touched then.
 * @what        for cancel, in co->waits_in: what the call has on the heap.
 * @blocked_at  return address of the public call, for debuggers.
 * Errors       EPERM no environment; EBUSY the caller runs the loop (it is in
 *              a callback), or is main and another does; ENOMEM. On main also
 *              EDEADLK nothing could ever wake it, and what the loop failed
 *              with. Nobody has called @cancel then. */
int co_park(void (*cancel)(struct co *co), void *what, void *blocked_at);

/* Make a waiting coroutine of this thread ready. It runs in a later turn, never at once. */
void co_wake(struct co *co);

/* Verify I1 and I2 for the calling thread; asserts. */
void co_loop_check(void);

#endif
