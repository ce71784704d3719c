/* SPDX-License-Identifier: MIT */
/*
 * slab — maps cut into guarded stacks of one size.
 *
 * Layer:   3. Not installed: the inside of src/stack.
 * Owns:    the maps; a stack is lent from slabs_take until slab_give.
 * Thread:  that of the struct slabs.
 * Errors:  NULL, ENOMEM.
 * Model:   libco has none: each stack is a malloc or an mmap.
 *
 * Keeps I1 and I3 of stack.h, which has a picture of a slab.
 *
 * What is known of a stack lies on the stack's own top page, above hi, as glibc's descriptor
 * of a thread does: that page is touched anyhow, so it costs no memory.
 */
#ifndef CO_SLAB_H
#define CO_SLAB_H

#include <stdint.h>

#include "list.h"
#include "stack.h"

struct slab;

/* A stack and what is known of it beside its bounds; there while it is out of its slab. */
struct private_stack {
	struct co_stack stack; /* its ops are the taker's to fill in */
	struct slabs *slabs;   /* whose it is */
	struct slab *slab;     /* where it was cut from */
	struct list in_pool;   /* the taker's; on no list when it is given back */
	unsigned tool_id;      /* valgrind's number for it */
	bool is_watched;       /* by a tool, that must be told of it */
} __attribute__((aligned(16))); /* and so is the room behind it */

enum {
	/* Above hi: this struct, and the user's room. Whole cache lines. */
	SLAB_TOP = (sizeof(struct private_stack) + CO_STACK_ROOM + 63) / 64 * 64,
};

/* All slabs of one size of stack, of one thread. */
struct slabs {
	size_t size;          /* of each stack and its top, in bytes: whole pages */
	struct list all;
	struct list has_free; /* those with a free stack: I3 */
	size_t n_slabs, n_stacks, mapped_bytes;
};

void slabs_init(struct slabs *slabs, size_t size);

/* Take a free stack, from a new slab if there is none; NULL, ENOMEM. Its guard is
 * there, its bounds are set. */
struct private_stack *slabs_take(struct slabs *slabs);

/* Give @p back: the memory to the kernel, and @p with it; the addresses to the slab. The
 * last one of its slab unmaps that. */
void slab_give(struct private_stack *p);

/* Is @p out of its slab? For checks. */
bool slab_lends(const struct private_stack *p);

/* How many stacks are free. O(slabs that have one). */
size_t slabs_count_free(const struct slabs *slabs);

/* Verify I1, I2 and I3 of these; asserts. */
void slabs_check(const struct slabs *slabs);

#endif
