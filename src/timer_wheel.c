/* SPDX-License-Identifier: MIT */
/*
 * Timers in a wheel: libco's way.
 *
 * 60 000 slots, one for each millisecond of the coming minute, used round and
 * round. A timer hangs in the slot of its millisecond; once per millisecond
 * the hand moves on by one, and what hangs there is due.
 *
 *   add, remove  O(1): the slot is computed, not searched
 *   take_due     O(1) for each timer and each millisecond that has passed
 *   next         not known without looking through the slots: libco does not,
 *                and wakes up every millisecond instead. So does this one.
 *
 * A timer that is more than a minute away waits in the slot that is farthest,
 * and is hung up anew when the hand comes by. And a slot is a millisecond
 * wide: never early means that a timer belongs into the slot in which its time
 * has passed, up to a millisecond late. (libco rounds down, and fires a
 * third of its timers early.)
 *
 * Invariants:
 *  I1  Slot `hand` is that of hand_ms; it and all before it are empty once
 *      take_due has said NULL.
 *  I2  A timer hangs in the slot of the first whole millisecond not before its
 *      time, or in the farthest slot if that is more than a round away.
 */
#include "timer.h"

#include <stdlib.h>

enum {
	SLOTS = 60 * 1000,
	MS = 1000 * 1000, /* in nanoseconds */
};

struct wheel {
	struct co_timers set;
	int64_t hand_ms; /* the millisecond that the hand stands at */
	size_t hand;     /* its slot */
	struct list slot[SLOTS];
};

static struct wheel *wheel_of(struct co_timers *set)
{
	return container_of(set, struct wheel, set);
}

static struct co_timers *wheel_open(void)
{
	struct wheel *wheel = malloc(sizeof(*wheel));
	if (!wheel)
		return NULL;
	wheel->set = (struct co_timers){ .kind = &co_timer_wheel };
	wheel->hand = 0;
	wheel->hand_ms = 0; /* set by the first timer */
	for (size_t i = 0; i < SLOTS; i++)
		list_init(&wheel->slot[i]);
	return &wheel->set;
}

static void wheel_close(struct co_timers *set)
{
	free(wheel_of(set));
}

/* The first whole millisecond not before its time. */
static int64_t due_ms(const struct co_timer *t)
{
	return t->at_ns / MS + (t->at_ns % MS > 0);
}

static void hang_up(struct wheel *wheel, struct co_timer *t)
{
	int64_t ahead = due_ms(t) - wheel->hand_ms;

	if (ahead < 0)
		ahead = 0;
	if (ahead >= SLOTS)
		ahead = SLOTS - 1;
	list_append(&wheel->slot[(wheel->hand + (size_t)ahead) % SLOTS], &t->in_slot); /* I2 */
}

static void wheel_add(struct co_timers *set, struct co_timer *t)
{
	struct wheel *wheel = wheel_of(set);

	if (set->n == 0) /* nobody hangs there, so the hand may jump */
		wheel->hand_ms = co_now_ns() / MS;
	list_init(&t->in_slot);
	hang_up(wheel, t);
}

static void wheel_remove(struct co_timers *set, struct co_timer *t)
{
	(void)set;
	list_remove(&t->in_slot);
}

static int64_t wheel_next(struct co_timers *set)
{
	struct wheel *wheel = wheel_of(set);
	bool is_due = !list_empty(&wheel->slot[wheel->hand]); /* added since, for a time that was past */

	return (wheel->hand_ms + !is_due) * MS;
}

static struct co_timer *wheel_take_due(struct co_timers *set, int64_t now)
{
	struct wheel *wheel = wheel_of(set);

	/* @now was read before a timer, added to an empty wheel, moved the hand:
	 * what hangs there may not be due yet. */
	if (wheel->hand_ms * MS > now)
		return NULL;
	for (;;) {
		struct list *l = list_pop(&wheel->slot[wheel->hand]);
		if (!l) {
			if (wheel->hand_ms >= now / MS)
				return NULL; /* I1 */
			wheel->hand_ms++;
			wheel->hand = (wheel->hand + 1) % SLOTS;
			continue;
		}
		struct co_timer *t = container_of(l, struct co_timer, in_slot);
		if (due_ms(t) <= wheel->hand_ms)
			return t;
		hang_up(wheel, t); /* it was more than a round away */
	}
}

const struct co_timer_kind co_timer_wheel = {
	.name = "wheel",
	.open = wheel_open,
	.close = wheel_close,
	.add = wheel_add,
	.remove = wheel_remove,
	.next = wheel_next,
	.take_due = wheel_take_due,
};
