/* SPDX-License-Identifier: MIT */
/*
 * ranges — a set of addresses, as ranges in order.
 *
 * Part:    source. Uses nothing.
 */
#ifndef VIZ_RANGES_H
#define VIZ_RANGES_H

#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t lo, hi; /* hi is not in it */
};

/* All zero: empty. */
struct ranges {
	struct range *all; /* ascending; what overlaps is one, what only touches is not */
	size_t n, room;
};

/* Which of them holds @addr? NULL: none. */
const struct range *ranges_find(const struct ranges *r, uint64_t addr);
/* Index of the first that ends above @addr; r->n: none does. */
size_t ranges_above(const struct ranges *r, uint64_t addr);
/* Add [@lo, @hi). 0, or -1 with ENOMEM. O(n) if it is new. */
int ranges_add(struct ranges *r, uint64_t lo, uint64_t hi);
/* The same for many: append each, in any order, then ranges_settle once. */
int ranges_append(struct ranges *r, uint64_t lo, uint64_t hi);
void ranges_settle(struct ranges *r);
void ranges_free(struct ranges *r);

#endif
