/* SPDX-License-Identifier: MIT */
/*
 * One call sleeps for both, events and time: epoll_pwait2, whose limit counts nanoseconds.
 * Where there is none (before Linux 5.11, in strict sandboxes), or where the timers have a
 * descriptor of their own, time is an event like the others: an alarm in the set.
 */
#include "epoll_sleep.h"

#include <errno.h>

#include "sys.h"

void co_epoll_sleep_init(struct co_epoll_sleep *s, struct co_loop *loop, struct co_timers *timers)
{
	s->loop = loop;
	s->timers = timers;
	s->alarm_in_set = -1;
	s->has_no_pwait2 = false;
	co_alarm_init(&s->alarm);
}

void co_epoll_sleep_new_set(struct co_epoll_sleep *s)
{
	s->alarm_in_set = -1;
}

void co_epoll_sleep_end(struct co_epoll_sleep *s)
{
	co_alarm_close(&s->alarm);
}

/* The alarm is in the set, and goes off at @at_ns. */
static int set_alarm(struct co_epoll_sleep *s, int set, int64_t at_ns)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = CO_ALARM_DATA };
	int fd = s->timers->kind->alarm ? s->timers->kind->alarm(s->timers, at_ns)
					: co_alarm_set(&s->alarm, at_ns);

	if (fd < 0)
		return -1;
	if (fd == s->alarm_in_set)
		return 0;
	s->loop->stats.syscalls++;
	if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) != 0 && errno != EEXIST)
		return -1;
	s->alarm_in_set = fd;
	return 0;
}

static bool uses_alarm(const struct co_epoll_sleep *s)
{
	return s->has_no_pwait2 || s->timers->kind->alarm;
}

/* Wait for events until @at_ns. Returns their number; -1, errno. */
static int wait_until(struct co_epoll_sleep *s, int set, struct epoll_event *events, int64_t at_ns)
{
	int64_t now = at_ns == CO_NEVER ? 0 : co_now_ns();
	struct timespec ts;
	int n;

	s->loop->stats.syscalls++;
	if (at_ns == CO_NEVER && (!uses_alarm(s) || s->alarm_in_set < 0))
		return epoll_wait(set, events, CO_EPOLL_EVENTS, -1);
	if (at_ns <= now)
		return epoll_wait(set, events, CO_EPOLL_EVENTS, 0);
	if (uses_alarm(s)) {
		if (set_alarm(s, set, at_ns) != 0)
			return -1;
		return epoll_wait(set, events, CO_EPOLL_EVENTS, -1);
	}
	ts = sys_timespec(at_ns - now);
	n = epoll_pwait2(set, events, CO_EPOLL_EVENTS, &ts, NULL);
	if (n < 0 && (errno == ENOSYS || errno == EPERM)) { /* an old kernel, a strict sandbox */
		s->has_no_pwait2 = true;
		return wait_until(s, set, events, at_ns);
	}
	return n;
}

/* With a clock that was set, time passes only when nothing else can happen. */
static int wait_until_by_clock(struct co_epoll_sleep *s, int set, struct epoll_event *events, int64_t at_ns)
{
	int n = wait_until(s, set, events, 0);

	if (n == 0 && at_ns == CO_NEVER)
		return wait_until(s, set, events, CO_NEVER);
	if (n == 0)
		co_get_clock()->sleep_until(at_ns);
	return n;
}

int co_epoll_sleep(struct co_epoll_sleep *s, int set, struct epoll_event *events, int64_t at_ns)
{
	return co_get_clock() && at_ns > 0 ? wait_until_by_clock(s, set, events, at_ns)
					   : wait_until(s, set, events, at_ns);
}
