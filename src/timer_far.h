/* SPDX-License-Identifier: MIT */
/*
 * timer_far — timers that are not due soon, in no order yet.
 *
 * Layer:   5 (uses: timer).
 * Owns:    the rows; the timers in them are their users'.
 * Thread:  one thread's.
 * Errors:  none.
 * Model:   libco has none. Varghese, Lauck: Hashed and hierarchical timing
 *          wheels, SOSP 1987; differs in: only what is far off hangs in them.
 *
 * A set that keeps its timers in order compares each with others again and
 * again, from the day it comes to the day it is due; with 100 000 of them, each
 * time it is in no cache. So the set is only given those that are not later than
 * the row that came down last: those due soon. The others wait in rows: one for
 * each of the next 63 milliseconds, one for each 64 ms of the next 4 seconds, one
 * for each 4 seconds of the next 4 minutes, and so on. When nobody is left in the
 * set, the earliest row comes down: to rows of lower levels, and who is due in its
 * first millisecond to the set.
 *
 * "Millisecond" is 2^20 ns here, so that a row is found by shifting.
 *
 * Invariants:
 *  I1  Who is in a row is due after the millisecond of `begin`. (Who is in the
 *      set, is due before its end.)
 *  I2  The highest digit of 6 bits in which a timer's time and `begin` differ is
 *      its level, and that digit of its time is its row there. So a lower level
 *      comes earlier, and in a level a lower row.
 *  I3  A row that somebody is in has its bit in `used`. (An empty row may have it, too.)
 *  I4  Timers of the same time are in the same row, in the order of their adding.
 */
#ifndef CO_TIMER_FAR_H
#define CO_TIMER_FAR_H

#include "timer.h"

enum {
	CO_FAR_SOON_BITS = 20,
	CO_FAR_DIGIT_BITS = 6,
	CO_FAR_ROWS = 1 << CO_FAR_DIGIT_BITS,
	CO_FAR_LEVELS = (64 - CO_FAR_SOON_BITS + CO_FAR_DIGIT_BITS - 1) / CO_FAR_DIGIT_BITS,
};

struct co_far {
	size_t n;                     /* timers in all rows */
	int64_t begin;                /* I1; while there is no timer, whoever likes may set it */
	uint64_t used[CO_FAR_LEVELS]; /* bit i: row i; I3 */
	struct list row[CO_FAR_LEVELS][CO_FAR_ROWS];
};

void co_far_init(struct co_far *far);

/* Put @timer, whose at_ns is set, into its row, and tell it so (is_far). Returns false:
 * it is due too soon, and belongs in the set. */
bool co_far_put(struct co_far *far, struct co_timer *timer);

/* Take out @timer, which is_far. */
void co_far_remove(struct co_far *far, struct co_timer *timer);

/* Let the earliest row come down; there is somebody in one. */
void co_far_bring(struct co_far *far, struct co_timers *set);

#endif
