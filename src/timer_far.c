/* SPDX-License-Identifier: MIT */
/*
 * Rows of timers. Nothing is compared here: where a timer belongs is computed
 * from its time, and it is touched at most once for each level.
 */
#include "timer_far.h"

/* How far the digit of @level is from the right. */
static unsigned shift_of(unsigned level)
{
	return CO_FAR_SOON_BITS + level * CO_FAR_DIGIT_BITS;
}

void co_far_init(struct co_far *far)
{
	far->n = 0;
	far->begin = 0;
	for (unsigned level = 0; level < CO_FAR_LEVELS; level++) {
		far->used[level] = 0;
		for (unsigned i = 0; i < CO_FAR_ROWS; i++)
			list_init(&far->row[level][i]);
	}
}

bool co_far_put(struct co_far *far, struct co_timer *timer)
{
	int64_t at_ns = timer->at_ns;
	uint64_t differ = (uint64_t)(at_ns ^ far->begin) >> CO_FAR_SOON_BITS;

	timer->is_far = at_ns > far->begin && differ != 0;
	if (!timer->is_far)
		return false;
	unsigned level = (63 - (unsigned)__builtin_clzll(differ)) / CO_FAR_DIGIT_BITS;
	unsigned i = (unsigned)(at_ns >> shift_of(level)) % CO_FAR_ROWS;
	list_append(&far->row[level][i], &timer->in_slot); /* I2, I4 */
	far->used[level] |= UINT64_C(1) << i;              /* I3 */
	far->n++;
	return true;
}

void co_far_remove(struct co_far *far, struct co_timer *timer)
{
	list_remove(&timer->in_slot);
	far->n--;
}

/* Move the earliest row that is not empty to @row, an empty list; returns its level. */
static unsigned take_row(struct co_far *far, struct list *row)
{
	unsigned level = 0;

	while (list_empty(row)) {
		if (!far->used[level]) {
			level++;
			continue;
		}
		list_splice(row, &far->row[level][__builtin_ctzll(far->used[level])]);
		far->used[level] &= far->used[level] - 1; /* the lowest bit */
	}
	return level;
}

void co_far_bring(struct co_far *far, struct co_timers *set)
{
	struct list row = LIST_INIT(row);
	unsigned shift = shift_of(take_row(far, &row));

	/* The row's own beginning. */
	far->begin = container_of(row.next, struct co_timer, in_slot)->at_ns & -(INT64_C(1) << shift);
	for (struct list *l; (l = list_pop(&row)); far->n--) {
		struct co_timer *t = container_of(l, struct co_timer, in_slot);
		if (!co_far_put(far, t))
			set->kind->add(set, t);
	}
}
