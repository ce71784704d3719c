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
	int64_t at_ns;    /* what the kernel has been told; CO_NEVER: nothing */
	unsigned n_forks; /* co_n_forks when it was made: a fork's child shares the
			     descriptor, and must make its own */
};

void co_alarm_init(struct co_alarm *alarm);

/* Let it be readable from @at_ns on; CO_NEVER: not at all. Returns the
 * descriptor; a new one after a fork. One system call, or none if it is the
 * same time as before and that has not come. */
int co_alarm_set(struct co_alarm *alarm, int64_t at_ns);

void co_alarm_close(struct co_alarm *alarm);

#endif
