/* SPDX-License-Identifier: MIT */
/*
 * stack — memory that coroutines run on: guarded, cut from slabs, pooled.
 *
 * Layer:   3 (uses: slab).
 * Owns:    the slabs and the pool of the calling thread; a struct co_stack is
 *          lent from co_stack_get until its ops->put.
 * Thread:  a stack is put back on the thread that got it.
 * Errors:  ENOMEM.
 * Model:   libco co_alloc_stackmem (co_routine.cpp) at dc6aafc; differs in:
 *          guards, a pool, and sizes below the minimum are raised.
 *
 *   one slab, one mmap (low addresses left):
 *   +-------+---------------+-----+-------+---------------+-----+-- ... --+
 *   | guard | stack 0       | top | guard | stack 1       | top |         |
 *   +-------+---------------+-----+-------+---------------+-----+-- ... --+
 *           lo  <- grows -- hi
 *
 *   top, on the stack's first page: what is known of the stack, and room for
 *   who uses it: the struct of the coroutine that runs there.
 *
 * Invariants:
 *  I1  lo and hi are multiples of 16, and the guard ends at lo.
 *  I2  A stack is exactly one of: lent out, in the pool, free in its slab.
 *  I3  A slab is on its class's list `has_free` exactly while it has a free
 *      stack; one whose stacks are all free does not exist (it is unmapped).
 *  I4  A pool holds at most CO_POOL_STACKS stacks and CO_POOL_BYTES bytes.
 */
#ifndef CO_STACK_H
#define CO_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "coctx.h"

struct co_exec;
struct co_stack;

/* What a kind of stack does its own way. */
struct co_stack_ops {
	/* Leave @from and go on as @to, whose stack this is: all that co_swap
	 * does, and its result. NULL: a plain coctx_swap does it. The hole that
	 * shared stacks fill (lesson 10).
	 * It calls annotate_leave right before its coctx_swap, not earlier: a
	 * sanitizer that has been told of the switch would take the rest of
	 * this function's work for the other execution's. */
	int (*enter)(struct co_exec *from, struct co_exec *to);
	/* What the one whose stack this is has left on it means nothing any
	 * more. NULL: nothing to do. */
	void (*forget)(struct co_stack *stack);
	/* Give the stack back. Nobody may be standing on it. NULL: cannot be
	 * given back (a thread's own). */
	void (*put)(struct co_stack *stack);
	/* How many bytes, from its top down, were ever written. NULL: whoever asks
	 * looks at [lo, hi) himself. The hole for stacks that are shared. */
	size_t (*used)(const struct co_stack *stack);
};

/* [lo, hi), in bytes; grows down from hi. */
struct co_stack {
	char *lo, *hi;
	size_t guard_len; /* bytes below lo that fault when touched; 0: not ours */
	void *room;       /* CO_STACK_ROOM bytes, aligned to 16, for whoever got it, while it is
			     lent; NULL: none, that is the heap's to give */
	const struct co_stack_ops *ops;
	/* While another execution's bytes are in [lo, hi): where this one's are. For
	 * shared stacks (lesson 10), and for debuggers. */
	char *save_buffer;
	size_t save_len; /* those just below hi that are there now; 0: all are in place */
};

/* Where a coroutine's stack comes from; the first field of whatever a user
 * puts into co_attr.share_stack. The hole that shared stacks fill. */
struct co_stack_source {
	struct co_stack *(*get)(struct co_stack_source *source); /* NULL, errno */
};

enum {
	/* The guard below each private stack. libc is not built with stack-clash
	 * protection: a function of it may move rsp down by more than a page
	 * before it touches anything. */
	CO_STACK_GUARD = 64 * 1024,
	CO_STACK_DEFAULT = 128 * 1024,
	CO_STACK_MAX = 8 * 1024 * 1024,
	CO_STACK_ROOM = 288,
	/* The pool: stacks of one size, of one thread, that stay warm. So many bytes are
	 * so many stacks of the default size, with their tops. */
	CO_POOL_STACKS = 1024,
	CO_POOL_BYTES = 132 * 1024 * 1024,
};

/* The smallest stack, in bytes: 16 KiB, or 8 KiB more than the kernel needs
 * to deliver a signal (AT_MINSIGSTKSZ; large where registers are). */
size_t co_stack_min(void);

/* Get a private stack of at least @size bytes, with a guard below.
 *
 * @size        raised to co_stack_min(); with its top it is rounded up to whole pages.
 * Returns      a stack; its bytes are zero or left over from an earlier user.
 *              NULL: ENOMEM; nothing has changed.
 * Cost         some 10 ns from the pool; a fresh one a system call or three. */
struct co_stack *co_stack_get(size_t size);

/* Let @wipe be called with each private stack, fresh or used, before it is handed
 * out: by every thread, NULL = no more. The hole for who measures (lesson 9). */
void co_stack_set_wipe(void (*wipe)(struct co_stack *stack));

/* Fill @stack with the bounds of the calling thread's own stack.
 * Where the system will not tell, both are NULL. */
void co_stack_of_thread(struct co_stack *stack);

/* Does @addr lie in the guard below @stack? */
bool co_stack_guards(const struct co_stack *stack, const void *addr);

/* Free the calling thread's pool; every stack must have been put back. */
void co_stack_thread_exit(void);

/* What the calling thread holds, in stacks and bytes of address space. */
struct co_stack_stats {
	size_t slabs, mapped_bytes;
	size_t pooled; /* given back and kept warm */
	size_t lent;
};
struct co_stack_stats co_stack_stats(void);

/* Verify I1 to I4 for the calling thread; asserts. */
void co_stack_check(void);

#endif
