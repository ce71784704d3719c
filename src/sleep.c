/* SPDX-License-Identifier: MIT */
/*
 * The simplest call that blocks: a timer, and a park. Every other one is made
 * like it: note what is to wake me, switch away, clean up.
 */
#include "sleep.h"

#include <errno.h>
#include <stdlib.h>

#include "park.h"
#include "timer.h"

/* On the heap: while its coroutine sleeps, that one's stack may not be there. */
struct sleeper {
	struct co_timer timer;
	struct co *co;
};

static void wake_sleeper(struct co_timer *timer)
{
	co_wake(container_of(timer, struct sleeper, timer)->co);
}

/* It is released or reset in its sleep. */
static void leave_bed(struct co *co)
{
	struct sleeper *s = co->waits_in;

	co_timer_cancel(&s->timer);
	free(s);
}

static int go_to_bed(struct co *me, int64_t at_ns, void *blocked_at)
{
	int slept = -1;
	struct sleeper *s = malloc(sizeof(*s));
	if (!s)
		return -1;
	*s = (struct sleeper){ .timer.fire = wake_sleeper, .co = me };
	if (co_timer_add(&s->timer, at_ns) == 0)
		slept = co_park(leave_bed, s, blocked_at);
	co_timer_cancel(&s->timer); /* it has fired, or co_park refused */
	free(s);
	return slept;
}

static int sleep_until(int64_t at_ns, void *blocked_at)
{
	struct co *me = co_self();

	if (!me)
		return co_fail(EPERM);
	return CO_INSIDE(me->env, go_to_bed(me, at_ns, blocked_at));
}

CALLED_FROM_OUTSIDE int co_sleep_until(int64_t at_ns)
{
	return sleep_until(at_ns, __builtin_return_address(0));
}

CALLED_FROM_OUTSIDE int co_sleep_ns(int64_t ns)
{
	if (ns < 0)
		return co_fail(EINVAL);
	return sleep_until(co_from_now_ns(ns), __builtin_return_address(0));
}

CALLED_FROM_OUTSIDE int co_sleep_ms(int64_t ms)
{
	int64_t ns;

	if (ms < 0)
		return co_fail(EINVAL);
	if (__builtin_mul_overflow(ms, 1000 * 1000, &ns))
		ns = CO_NEVER;
	return sleep_until(co_from_now_ns(ns), __builtin_return_address(0));
}
