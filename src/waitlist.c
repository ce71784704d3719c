/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a call or for time, whichever is first.
 *
 * The one that comes first takes the waiter off the list and makes it ready. When
 * its turn comes, it finds what it was.
 */
#include "waitlist.h"

#include <errno.h>
#include <stdlib.h>

#include "assert.h"
#include "park.h"

/* BEGIN SOLUTION */
static void time_is_over(struct co_timer *timer)
{
	struct co_waiting *w = container_of(timer, struct co_waiting, timer);

	list_remove(&w->node); /* I1 */
	co_wake(w->co);
}

/* It may be on the wait list, or where its user has put it, or on none. */
static void end_wait(struct co_waiting *w)
{
	int error = errno;

	list_remove(&w->node);
	co_timer_cancel(&w->timer);
	free(w);
	errno = error;
}

/* It is released or reset before its wait has returned. */
static void leave_wait(struct co *co)
{
	struct co_waiting *w = co->waits_in;

	if (w->is_called && w->gone)
		w->gone(w);
	end_wait(w);
}

static int park_in(struct co_waiting *w, struct list *line, int64_t at_ns, void *blocked_at)
{
	if (co_timer_add(&w->timer, at_ns) != 0)
		return -1;
	list_append(line, &w->node);
	if (co_park(leave_wait, w, blocked_at) != 0)
		return -1;
	return w->is_called ? 0 : co_fail(ETIMEDOUT);
}

int co_waitlist_wait(struct list *line, int64_t at_ns, void *of, void (*gone)(struct co_waiting *w), void *blocked_at)
{
	struct co_waiting *w = malloc(sizeof(*w)); /* while we wait, our stack may not be there */
	int waited;

	if (!w)
		return -1;
	*w = (struct co_waiting){ .co = co_self(), .timer.fire = time_is_over, .of = of, .gone = gone };
	list_init(&w->node);
	waited = park_in(w, line, at_ns, blocked_at);
	end_wait(w);
	return waited;
}

struct co_waiting *co_waitlist_call(struct list *line)
{
	struct list *first = list_pop(line);
	if (!first)
		return NULL;
	struct co_waiting *w = container_of(first, struct co_waiting, node);

	co_timer_cancel(&w->timer); /* I2: its time may come now, it does not count */
	w->is_called = true;
	co_wake(w->co);
	return w;
}
/* END SOLUTION */

bool co_waitlist_is_over(int64_t at_ns)
{
	return at_ns != CO_NEVER && co_now_ns() >= at_ns;
}

int64_t co_waitlist_deadline(int timeout_ms)
{
	if (timeout_ms == 0)
		return INT64_MIN; /* not "now": a clock that is set may say less later */
	return timeout_ms < 0 ? CO_NEVER : co_from_now_ns((int64_t)timeout_ms * 1000 * 1000);
}

void co_waitlist_check(const struct list *line)
{
	for (const struct list *l = line->next; l != line; l = l->next) {
		const struct co_waiting *w = container_of(l, struct co_waiting, node);
		CO_ASSERT(!w->is_called, "I1: who is on the list has not been called");
		CO_ASSERT(w->co->state == CO_WAITING || w->co == &w->co->env->main, "I1: nor woken");
	}
}
