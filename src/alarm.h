/* SPDX-License-Identifier: MIT */
/*
 * alarm — a descriptor that becomes readable at a given time: a timerfd.
 *
 * Layer:   5. For whoever waits for descriptors anyway, and for time too.
 * Owns:    one descriptor, made when it is first set.
 * Errors:  -1 and errno, from timerfd_create(2) and timerfd_settime(2).
 */
#ifndef CO_ALARM_H
#define CO_ALARM_H

#include <stdint.h>

struct co_alarm {
	int fd;           /* -1: not made yet */
	unsigned n_forks; /* co_n_forks when it was made: a fork's child shares the
			     descriptor, and must make its own */
};

void co_alarm_init(struct co_alarm *alarm);

/* Let it be readable from @at_ns on; CO_NEVER: not at all. Returns the
 * descriptor; a new one after a fork, or if it was closed behind our back. One
 * system call, for the same time as before too: by it we learn of that. */
int co_alarm_set(struct co_alarm *alarm, int64_t at_ns);

void co_alarm_close(struct co_alarm *alarm);

#endif
