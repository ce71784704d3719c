/* SPDX-License-Identifier: MIT */
/*
 * A thread's timers, whatever their kind, and the loop's sleep until the next.
 */
#include "timer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "park.h"
#include "sys.h"
#include "timer_far.h"

static _Thread_local struct co_timers *thread_timers;
static _Thread_local int64_t last_look_ns; /* a time that is over */
static _Thread_local struct co_at_exit timers_at_exit;

static const struct co_timer_kind *const kinds[] = { &co_timer_heap, &co_timer_wheel, &co_timer_timerfd };

/* secure_getenv: getenv is a name that lesson 8 replaces. */
static const struct co_timer_kind *chosen_kind(void)
{
	const char *name = secure_getenv("COSTEP_TIMER");

	if (!name || !*name)
		return kinds[0];
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(name, kinds[i]->name) == 0)
			return kinds[i];
	co_report("costep: COSTEP_TIMER=%s is no kind of timers: choose heap, wheel or timerfd; taking heap\n", name);
	return kinds[0];
}

static void close_timers(struct co_at_exit *note)
{
	(void)note;
	free(thread_timers->far);
	thread_timers->kind->close(thread_timers);
	thread_timers = NULL;
}

/* The child of a fork shares the descriptor of the alarm: let it have its own, as
 * long as the number is surely ours to close. */
static void leave_parents_alarm(struct co_at_exit *note)
{
	(void)note;
	if (thread_timers->kind->alarm)
		thread_timers->kind->alarm(thread_timers, CO_NEVER);
}

/* Sleep until @at_ns, or a signal. */
static int sleep_until(struct co_loop *loop, int64_t at_ns)
{
	uint64_t n_fired;
	int alarm;

	loop->stats.sleeps++;
	if (co_get_clock()) {
		co_get_clock()->sleep_until(at_ns);
		return 0;
	}
	loop->stats.syscalls++;
	if (!thread_timers->kind->alarm) {
		sys_sleep_until(at_ns);
		return 0;
	}
	alarm = thread_timers->kind->alarm(thread_timers, at_ns);
	if (alarm < 0)
		return -1;
	(void)!sys_read(alarm, &n_fired, sizeof(n_fired));
	return 0;
}

/* The loop's wait hole as lesson 5 fills it. */
static int wait_for_time(struct co_loop *loop, int64_t at_most_ns)
{
	if (co_timers_expire() > 0 || at_most_ns == 0)
		return 1;
	int64_t at_ns = co_timers_next(), limit = co_from_now_ns(at_most_ns);
	if (limit < at_ns)
		at_ns = limit;
	if (at_ns == CO_NEVER)
		return 0;
	if (sleep_until(loop, at_ns) != 0)
		return -1;
	co_timers_expire();
	return 1;
}

/* Make the set, and the rows if it wants them; NULL, errno. */
static struct co_timers *make_timers(const struct co_timer_kind *kind)
{
	struct co_far *far = kind->sorts ? malloc(sizeof(*far)) : NULL;
	struct co_timers *set = far || !kind->sorts ? kind->open() : NULL;

	if (!set) {
		free(far);
		return NULL;
	}
	if (far)
		co_far_init(far);
	set->far = far;
	return set;
}

struct co_timers *co_timers_get(void)
{
	if (thread_timers)
		return thread_timers;
	struct co_loop *loop = co_get_epoll_ct();
	if (!loop)
		return NULL;
	thread_timers = make_timers(chosen_kind());
	if (!thread_timers)
		return NULL;
	if (!loop->wait) /* lesson 6 takes over, and looks at timers too */
		loop->wait = wait_for_time;
	timers_at_exit.fn = close_timers;
	timers_at_exit.forked = leave_parents_alarm;
	list_insert(&loop->env->at_exit, &timers_at_exit.node);
	return thread_timers;
}

/* Is @timer due so late that it waits in a row? */
static bool put_far(struct co_timers *set, struct co_timer *timer)
{
	if (!set->far)
		return false;
	if (set->n == 0) /* what was cancelled may have brought down rows of a later day */
		set->far->begin = last_look_ns;
	return co_far_put(set->far, timer);
}

/* If all that there are wait in rows, let the earliest of them come to the set. */
static void bring_next(struct co_timers *set)
{
	while (set->far && set->far->n > 0 && set->far->n == set->n)
		co_far_bring(set->far, set);
}

int co_timer_add(struct co_timer *timer, int64_t at_ns)
{
	CO_ASSERT(!timer->is_armed, "a timer is armed once");
	if (at_ns == CO_NEVER)
		return 0;
	struct co_timers *set = co_timers_get();
	if (!set)
		return -1;
	timer->at_ns = at_ns;
	timer->is_armed = true;
	if (!put_far(set, timer))
		set->kind->add(set, timer);
	set->n++;
	return 0;
}

void co_timer_cancel(struct co_timer *timer)
{
	if (!timer->is_armed)
		return;
	timer->is_armed = false;
	if (timer->is_far)
		co_far_remove(thread_timers->far, timer);
	else
		thread_timers->kind->remove(thread_timers, timer);
	thread_timers->n--;
}

static struct co_timer *take_due(struct co_timers *set, int64_t now)
{
	bring_next(set);
	return set->kind->take_due(set, now);
}

/* The time is read once: what becomes due while others are fired can wait for
 * the next turn. */
size_t co_timers_expire(void)
{
	size_t n_fired = 0;

	if (!thread_timers || thread_timers->n == 0)
		return 0;
	int64_t now = last_look_ns = co_now_ns();
	for (struct co_timer *t; (t = take_due(thread_timers, now)); n_fired++) {
		t->is_armed = false;
		thread_timers->n--;
		t->fire(t);
	}
	return n_fired;
}

int64_t co_timers_next(void)
{
	if (!thread_timers || thread_timers->n == 0)
		return CO_NEVER;
	bring_next(thread_timers);
	return thread_timers->kind->next(thread_timers);
}
