/* SPDX-License-Identifier: MIT */
/*
 * sharestack — many coroutines on few stacks: who leaves, is copied out.
 *
 * Layer:   10 (uses: 1-3). Knows of no scheduler.
 * Owns:    its slots, each a stack that many coroutines use by turns, and for
 *          each coroutine a save_buffer, which keeps that one's bytes while
 *          another's are in the slot.
 * Thread:  that of co_alloc_sharestack; a coroutine of another is refused.
 * Errors:  -1 or NULL, and errno.
 * Model:   libco co_alloc_sharestack, save_stack_buffer, co_swap (co_routine.cpp)
 *          at dc6aafc; differs in: the real stack pointer is saved, nobody copies
 *          the stack it stands on, buffers are used again, it can be freed.
 *
 *      slot                        save_buffers, on the heap
 *      +------------+ <- hi        alice   +-----------+  her bytes, from her
 *      | bob        |                      | alice's   |  stack pointer to hi
 *      |   his i=7  | <- rsp               +-----------+
 *      :            :              bob     (his bytes are in place)
 *      +------------+ <- lo        carol   +-----------+
 *      | guard      |                      | carol's   |
 *                                          +-----------+
 *      resident: bob
 *
 * What follows for programs: the address of a local is good only while its
 * coroutine runs. Another one that gets it reads and writes whoever is there.
 *
 * Invariants:
 *  I1  The bytes in [stack pointer, hi) of a slot are its resident's, and no
 *      other's. A coroutine that has begun is resident, or its bytes are in its
 *      save_buffer (save_len > 0), or its function has returned.
 *  I2  Nobody copies the stack it stands on: the copier does, on one of its own.
 *  I3  A coroutine has one slot from its first run until it is reset or
 *      released: pointers into its own stack stay right.
 *  I4  Who is in the slot of a resumer that is copied out, and was not resumed by
 *      that one itself, has a save_buffer as large as the slot. So a function that
 *      returns to that resumer needs no memory for it: there is nobody to be told.
 */
#ifndef CO_SHARESTACK_H
#define CO_SHARESTACK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct co_stack_source;

/* Make stacks for many coroutines: put the result into co_attr.share_stack.
 *
 * @count       slots: so many can be resident at once.
 * @size        bytes of each; raised and rounded up as co_attr.stack_size is.
 * Returns      to be freed by co_free_sharestack; what is left when its thread
 *              ends is freed then. NULL: EINVAL @count or @size is not positive,
 *              or @size is above 8 MiB; ENOMEM; EAGAIN as co_create.
 * Source       libco co_alloc_sharestack. */
struct co_stack_source *co_alloc_sharestack(int count, int size);

/* Give the slots back. Errors: EINVAL NULL; EXDEV another thread's; EBUSY
 * coroutines that were created with it are not released yet. */
int co_free_sharestack(struct co_stack_source *shared);

/* What it has done so far. */
struct co_sharestack_stats {
	size_t slots, slot_bytes; /* how many, and the size of one */
	size_t coroutines;        /* created with it and not released */
	size_t buffer_bytes;      /* of all save_buffers, used or not */
	uint64_t entries;         /* switches to one of its coroutines */
	uint64_t saves, loads;    /* copies out of a slot, and back into one */
	uint64_t saved_bytes, loaded_bytes;
	uint64_t hops;            /* entries that needed the copier */
};

/* Errors: EINVAL NULL; EXDEV. */
int co_sharestack_stats(const struct co_stack_source *shared, struct co_sharestack_stats *stats);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
