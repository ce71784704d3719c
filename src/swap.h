/* SPDX-License-Identifier: MIT */
/*
 * swap — go from one execution to another, whatever stack it has.
 *
 * Layer:   3 (uses: 2, stack).
 * Owns:    nothing; a struct co_exec lives inside a coroutine.
 * Thread:  both executions belong to the calling thread.
 * Errors:  none.
 * Model:   libco co_swap (co_routine.cpp) at dc6aafc; differs in: it does not
 *          ask whether a stack is shared, the stack knows its own way.
 */
#ifndef CO_SWAP_H
#define CO_SWAP_H

#include "annotate.h"
#include "coctx.h"
#include "stack.h"

/* One execution: registers, the stack they refer to, and the way back. */
struct co_exec {
	struct coctx ctx;           /* valid while it is not on the processor */
	struct co_stack *stack;     /* where its bytes live */
	const struct coctx *link;   /* the context of whoever resumed it; coctx_nobody's
				       address while nobody has. Read by debuggers and
				       unwinders only, through the entry trampoline. */
	struct co_annotation tools; /* for sanitizers */
};

/* Suspend @from, which is the caller, and go on as @to.
 *
 * Returns      0 when somebody swaps to @from again; -1, ENOMEM at once: nothing
 *              has changed. Only a shared stack can fail (lesson 10), and never
 *              for a caller that leaves for good.
 * It stays a function, with link-time optimization too: debuggers begin a switch here. */
__attribute__((noinline)) int co_swap(struct co_exec *from, struct co_exec *to);

/* The first thing a new execution does: what co_swap does after returning. */
void co_swap_arrived(struct co_exec *me);

#endif
