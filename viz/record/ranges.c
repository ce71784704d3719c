/* SPDX-License-Identifier: MIT */
/* An array, searched by halves. */
#include "ranges.h"

#include <stdlib.h>
#include <string.h>

size_t ranges_above(const struct ranges *r, uint64_t addr)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (r->all[middle].hi > addr)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct range *ranges_find(const struct ranges *r, uint64_t addr)
{
	size_t i = ranges_above(r, addr);

	return i < r->n && r->all[i].lo <= addr ? &r->all[i] : NULL;
}

static int make_room(struct ranges *r)
{
	if (r->n < r->room)
		return 0;
	size_t room = r->room ? 2 * r->room : 16;
	struct range *grown = realloc(r->all, room * sizeof(*grown));
	if (!grown)
		return -1;
	r->all = grown;
	r->room = room;
	return 0;
}

int ranges_add(struct ranges *r, uint64_t lo, uint64_t hi)
{
	if (lo >= hi)
		return 0;
	size_t i = ranges_above(r, lo), end = i;
	while (end < r->n && r->all[end].lo < hi) { /* overlaps */
		if (r->all[end].lo < lo)
			lo = r->all[end].lo;
		if (r->all[end].hi > hi)
			hi = r->all[end].hi;
		end++;
	}
	if (end == i && make_room(r) != 0)
		return -1;
	memmove(&r->all[i + 1], &r->all[end], (r->n - end) * sizeof(*r->all));
	r->all[i] = (struct range){ lo, hi };
	r->n = r->n + 1 - (end - i);
	return 0;
}

int ranges_append(struct ranges *r, uint64_t lo, uint64_t hi)
{
	if (lo >= hi)
		return 0;
	if (make_room(r) != 0)
		return -1;
	r->all[r->n++] = (struct range){ lo, hi };
	return 0;
}

static int by_lo(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

void ranges_settle(struct ranges *r)
{
	size_t n = 0;

	if (r->n > 1)
		qsort(r->all, r->n, sizeof(*r->all), by_lo);
	for (size_t i = 0; i < r->n; i++) {
		if (n > 0 && r->all[i].lo < r->all[n - 1].hi) {
			if (r->all[i].hi > r->all[n - 1].hi)
				r->all[n - 1].hi = r->all[i].hi;
		} else {
			r->all[n++] = r->all[i];
		}
	}
	r->n = n;
}

void ranges_free(struct ranges *r)
{
	free(r->all);
	*r = (struct ranges){ 0 };
}
