/* SPDX-License-Identifier: MIT */
/*
 * Timers with a timerfd: the kernel says when, through a descriptor.
 *
 * Who is next is known from a heap, as in the default kind; only the waiting is
 * another: the earliest time is given to a timerfd, and the loop waits for that
 * descriptor with no timeout at all. With epoll_wait, whose timeout counts
 * milliseconds, this is the way to be exact. It costs a system call to set it,
 * at each sleep; epoll_pwait2 and clock_nanosleep take nanoseconds as they are.
 *
 * (One timerfd for each timer would spare the heap, and cost a descriptor and
 * several system calls for each timer: no million of them.)
 */
#include "timer.h"

#include <stdlib.h>

#include "alarm.h"

struct timerfd {
	struct co_timers set;
	struct co_timers *heap;
	struct co_alarm alarm;
};

static struct timerfd *timerfd_of(struct co_timers *set)
{
	return container_of(set, struct timerfd, set);
}

static struct co_timers *heap_of(struct co_timers *set)
{
	return timerfd_of(set)->heap;
}

static struct co_timers *timerfd_open(void)
{
	struct timerfd *t = malloc(sizeof(*t));
	if (!t)
		return NULL;
	t->set = (struct co_timers){ .kind = &co_timer_timerfd };
	co_alarm_init(&t->alarm);
	t->heap = co_timer_heap.open();
	if (!t->heap)
		goto no_heap;
	if (co_alarm_set(&t->alarm, CO_NEVER) < 0) /* no descriptor left: say so now, not in the loop */
		goto no_alarm;
	return &t->set;

no_alarm:
	co_alarm_close(&t->alarm); /* if it was made, and could not be set */
	co_timer_heap.close(t->heap);
no_heap:
	free(t);
	return NULL;
}

static void timerfd_close(struct co_timers *set)
{
	struct timerfd *t = timerfd_of(set);

	co_alarm_close(&t->alarm);
	co_timer_heap.close(t->heap);
	free(t);
}

static void timerfd_add(struct co_timers *set, struct co_timer *timer)
{
	co_timer_heap.add(heap_of(set), timer);
}

static void timerfd_remove(struct co_timers *set, struct co_timer *timer)
{
	co_timer_heap.remove(heap_of(set), timer);
}

static int64_t timerfd_next(struct co_timers *set)
{
	return co_timer_heap.next(heap_of(set));
}

static struct co_timer *timerfd_take_due(struct co_timers *set, int64_t now)
{
	return co_timer_heap.take_due(heap_of(set), now);
}

static int timerfd_alarm(struct co_timers *set, int64_t at_ns)
{
	return co_alarm_set(&timerfd_of(set)->alarm, at_ns);
}

const struct co_timer_kind co_timer_timerfd = {
	.name = "timerfd",
	.sorts = true,
	.open = timerfd_open,
	.close = timerfd_close,
	.add = timerfd_add,
	.remove = timerfd_remove,
	.next = timerfd_next,
	.take_due = timerfd_take_due,
	.alarm = timerfd_alarm,
};
