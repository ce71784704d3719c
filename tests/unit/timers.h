/* SPDX-License-Identifier: MIT */
/*
 * timers — what the tests of lesson 5 share: a clock of their own, each kind of
 * timers on a thread of its own.
 *
 * With the clock set times are exact, and a sleep of an hour takes none.
 */
#ifndef TIMERS_H
#define TIMERS_H

#include <pthread.h>

#include "env.h"
#include "timer.h"
#include "tools.h"

enum {
	MS = 1000 * 1000, /* in nanoseconds */
	SLOTS = 60 * 1000,
};
#define SECOND (1000ll * MS)
#define HOUR (3600ll * 1000 * MS)

/* The first whole millisecond not before: that is when the wheel fires. */
static inline int64_t ceil_ms(int64_t ns)
{
	return ns / MS + (ns % MS > 0);
}

static struct rng r;

static inline int64_t below(int64_t ns)
{
	return (int64_t)((rng_next(&r) >> 2) % (uint64_t)ns);
}

/* --- a clock of our own --------------------------------------------------------------- */

static int64_t now;
static int n_sleeps;     /* of the loop, by this clock */
static int64_t slept_ns; /* the longest of them */

static inline int64_t read_now(void)
{
	return now;
}

static inline void sleep_now(int64_t at_ns)
{
	CHECK(at_ns > now); /* else it is no sleep, and the loop spins */
	CHECK(at_ns < CO_NEVER);
	if (at_ns - now > slept_ns)
		slept_ns = at_ns - now;
	n_sleeps++;
	now = at_ns;
}

static const struct co_clock our_clock = { read_now, sleep_now };

static inline void use_our_clock(void)
{
	now = 1000 * SECOND;
	n_sleeps = 0;
	slept_ns = 0;
	co_set_clock(&our_clock);
}

/* --- each kind ---------------------------------------------------------------------------- */

static const struct co_timer_kind *const all_kinds[] = { &co_timer_heap, &co_timer_wheel, &co_timer_timerfd };
static const struct co_timer_kind *kind; /* the one that is tried now */

static inline bool is_wheel(void)
{
	return kind == &co_timer_wheel;
}

/* On a thread of its own: its end gives back all, or a tool complains. */
static inline void with_kind(const struct co_timer_kind *k, void *(*fn)(void *))
{
	pthread_t t;

	kind = k;
	printf("# %s\n", kind->name);
	CHECK_EQ(setenv("COSTEP_TIMER", kind->name, 1), 0);
	CHECK_EQ(pthread_create(&t, NULL, fn, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK(list_empty(&co_envs));
}

static inline void with_each_kind(void *(*fn)(void *))
{
	for (size_t i = 0; i < sizeof(all_kinds) / sizeof(all_kinds[0]); i++)
		with_kind(all_kinds[i], fn);
}

#endif
