/* SPDX-License-Identifier: MIT */
/*
 * timer — call me at a given time.
 *
 * Layer:   5 (uses: loop, clock). Not installed: programs use sleep.h.
 * Owns:    a struct co_timer is its user's, and lies inside whatever the user
 *          has on the heap. The set of a thread's timers goes with its loop.
 * Thread:  a thread's timers are its own.
 * Errors:  -1 and errno.
 * Model:   libco stTimeout_t, AddTimeout, TakeAllTimeout (co_routine.cpp) at
 *          dc6aafc; differs in: three kinds to choose from, never early, exact
 *          to the nanosecond (heap), and no timer is too far away.
 *
 * One interface, three kinds, each in a file of its own. COSTEP_TIMER in the
 * environment names the one that a thread uses: heap (the default), wheel
 * (libco's), timerfd.
 */
#ifndef CO_TIMER_H
#define CO_TIMER_H

#include <stdbool.h>
#include <stddef.h>

#include "clock.h"
#include "list.h"

struct co_timer {
	int64_t at_ns;                      /* when; valid while it is armed */
	void (*fire)(struct co_timer *timer); /* called by the loop, once, not before at_ns.
						 It may wake coroutines, not switch to them */
	bool is_armed;
	bool is_far; /* it waits in a row of timer_far.h, not yet in the set */

	/* the set's; which of them, depends on its kind */
	union {
		struct list in_slot;              /* wheel, and timer_far.h's rows */
		struct {                          /* heap */
			struct co_timer *child;   /* the first of those that come later */
			struct co_timer *next;    /* the next child of the same parent */
			struct co_timer *prev;    /* the one before; of the first, the parent */
			uint64_t order;           /* of those due at once, who came first */
		} in_heap;
	};
};

struct co_timers;

/* A kind of set. Every call but open is on a set that open made. */
struct co_timer_kind {
	const char *name;
	bool sorts; /* it keeps its timers in order: it is only given those due soon (timer_far.h) */
	struct co_timers *(*open)(void); /* NULL, errno */
	void (*close)(struct co_timers *set);
	/* at_ns is set. Cannot fail. */
	void (*add)(struct co_timers *set, struct co_timer *timer);
	void (*remove)(struct co_timers *set, struct co_timer *timer);
	/* When the loop must look again: never later than the earliest timer may
	 * fire, and earlier only if the kind does not know. CO_NEVER: there is none. */
	int64_t (*next)(struct co_timers *set);
	/* Take one off that is due at @now: the earliest, of several at once the one that
	 * came first (the wheel: any of the same millisecond). NULL: none (any more). */
	struct co_timer *(*take_due)(struct co_timers *set, int64_t now);
	/* A descriptor that becomes readable at @at_ns; -1: errno. NULL: this kind
	 * lets whoever sleeps do it with a timeout. */
	int (*alarm)(struct co_timers *set, int64_t at_ns);
};

/* The first member of each kind's set. */
struct co_timers {
	const struct co_timer_kind *kind;
	size_t n;           /* timers in it and in the rows: timer.c counts them, no kind does */
	struct co_far *far; /* rows of those not yet given to it (timer_far.h), timer.c's;
			       NULL: it is given all */
};

extern const struct co_timer_kind co_timer_heap, co_timer_wheel, co_timer_timerfd;

/* This thread's set, made if missing, and the loop's wait hole filled; NULL:
 * ENOMEM, EMFILE. */
struct co_timers *co_timers_get(void);

/* Arm @timer for @at_ns; CO_NEVER: do not. Its fire is set, it is not armed.
 * Errors: those of co_timers_get; with a set there, none. */
int co_timer_add(struct co_timer *timer, int64_t at_ns);

/* Disarm @timer. No harm if it is not armed. */
void co_timer_cancel(struct co_timer *timer);

/* Fire what is due; returns how many. 0 if the thread has no timers. */
size_t co_timers_expire(void);

/* When the thread's loop must look at timers again; CO_NEVER: not for a timer. */
int64_t co_timers_next(void);

#endif
