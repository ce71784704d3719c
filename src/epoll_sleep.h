/* SPDX-License-Identifier: MIT */
/*
 * epoll_sleep — the loop's sleep: until something can be done with a descriptor of an
 * epoll set, or until a point in time.
 *
 * Layer:   6 (uses: loop, timer, alarm). Not installed: the inside of src/epoll.
 * Owns:    an alarm, where the kernel's own limit of time is too coarse.
 * Errors:  -1 and errno.
 * Model:   libco's epoll_wait(..., 1) in co_eventloop (co_routine.cpp) at dc6aafc; differs
 *          in: it sleeps for as long as there is nothing to do, to the nanosecond.
 */
#ifndef CO_EPOLL_SLEEP_H
#define CO_EPOLL_SLEEP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "alarm.h"
#include "park.h"
#include "timer.h"

/* What an event of the alarm carries. There is nothing to do then but to look at the time. */
#define CO_ALARM_DATA UINT64_MAX

enum { CO_EPOLL_EVENTS = 128 }; /* fetched by one call; more come in the next turn */

struct co_epoll_sleep {
	struct co_loop *loop; /* counts the calls */
	struct co_timers *timers;
	struct co_alarm alarm;
	int alarm_in_set;     /* the alarm's descriptor that is in the set; -1: none */
	bool has_no_pwait2;   /* the kernel's epoll_wait counts milliseconds: use the alarm */
};

void co_epoll_sleep_init(struct co_epoll_sleep *sleep, struct co_loop *loop, struct co_timers *timers);

/* The set is a new one: the alarm is not in it. */
void co_epoll_sleep_new_set(struct co_epoll_sleep *sleep);

void co_epoll_sleep_end(struct co_epoll_sleep *sleep);

/* Sleep until @set has events, or until @at_ns (CO_NEVER: no limit; the past: only look). Returns how
 * many have been fetched, at most CO_EPOLL_EVENTS. Errors: those of epoll_wait(2), EINTR among
 * them, and of the alarm. */
int co_epoll_sleep(struct co_epoll_sleep *sleep, int set, struct epoll_event *events, int64_t at_ns);

#endif
