/* SPDX-License-Identifier: MIT */
/*
 * waitlist — coroutines that wait for the same thing, first come, first served.
 *
 * Layer:   11 (uses: park, timer). Not installed: programs use cond.h, mutex.h.
 * Owns:    who waits is on the heap, from the call that waits until it returns
 *          or its coroutine is released or reset.
 * Thread:  a wait list is its thread's alone; its user has checked that.
 * Errors:  -1 and errno.
 * Model:   libco stCoCond_t, stCoCondItem_t (co_routine.cpp) at dc6aafc; differs
 *          in: it is known who was called and whose time was over.
 *
 * Invariants:
 *  I1  Who is on the list has neither been called nor timed out. Both take it
 *      off at once, not when it runs: so exactly one of them counts.
 *  I2  A timer is armed only while its owner is on the list.
 */
#ifndef CO_WAITLIST_H
#define CO_WAITLIST_H

#include <stdbool.h>
#include <stdint.h>

#include "list.h"
#include "timer.h"

struct co;

/* One call that waits. */
struct co_waiting {
	struct list node;      /* of the wait list; once called, for its user to keep it on
				  another until it has run */
	struct co *co;         /* who waits */
	bool is_called;        /* written by co_waitlist_call alone */
	struct co_timer timer; /* I2 */
	void *of;              /* what it waits for: its user's */
	void (*gone)(struct co_waiting *w); /* it was called, and is released or reset before
					       it has run: whom does the call go to?
					       NULL: to nobody */
};

/* Park the running coroutine at the end of @line until it is called.
 *
 * @line        a list head, which does not lie on a coroutine's stack.
 * @at_ns       until when, as co_now_ns() counts; CO_NEVER: as long as it takes.
 * @of, @gone   see struct co_waiting.
 * @blocked_at  for debuggers: the return address of the public call.
 * Returns      0 it was called.
 * Errors       ETIMEDOUT; ENOMEM; those of co_park and co_timer_add. */
int co_waitlist_wait(struct list *line, int64_t at_ns, void *of, void (*gone)(struct co_waiting *w), void *blocked_at);

/* Call the first of @line: take it off and wake it. NULL: nobody is there.
 * What is returned is valid until that coroutine runs. */
struct co_waiting *co_waitlist_call(struct list *line);

/* Has the time @at_ns come? */
bool co_waitlist_is_over(int64_t at_ns);

/* The point in time that a timeout means; negative: CO_NEVER, 0: one that has passed. */
int64_t co_waitlist_deadline(int timeout_ms);

/* Verify I1 and I2; asserts. */
void co_waitlist_check(const struct list *line);

#endif
