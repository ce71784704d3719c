/* SPDX-License-Identifier: MIT */
/*
 * swap — go from one execution to another, whatever stack it has.
 *
 * Layer:   3 (uses: 2, stack). Inline functions.
 * Owns:    nothing; a struct co_exec lives inside a coroutine.
 * Thread:  both executions belong to the calling thread.
 * Errors:  none.
 * Model:   libco co_swap (co_routine.cpp) at dc6aafc; differs in: it does not
 *          ask whether a stack is shared, the stack knows its own way.
 *
 * With private stacks there is nothing to do but to swap registers: all that an
 * execution has is on its stack, and its stack stays where it is.
 *
 * Why inline: the processor guesses where a return goes by the calls that were made
 * last. Behind a switch these were made on the other stack, and each return that
 * stands between the switch and the code that asked for it is guessed wrong, at
 * some 6 ns. In an optimized build there is one less of them on each side; in a
 * debug build co_swap is a function like others, and debuggers begin a switch here.
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

/* An instruction behind the call of coctx_swap: so that the resume address, which debuggers
 * look up in a context, is in the function that has called, and not in what the compiler
 * has put next, of another one that it has inlined. */
#define CO_GOES_ON_HERE() __asm__ volatile("nop" ::: "memory")

/* The first thing a new execution does: what co_swap does after returning. */
static inline void co_swap_arrived(struct co_exec *me)
{
	annotate_arrive(&me->tools);
}

/* Suspend @from, which is the caller, and go on as @to.
 *
 * Returns      0 when somebody swaps to @from again; -1, ENOMEM at once: nothing
 *              has changed. Only a shared stack can fail (lesson 10), and never
 *              for a caller that leaves for good. */
static inline int co_swap(struct co_exec *from, struct co_exec *to)
{
	if (to->stack->ops->enter)
		return to->stack->ops->enter(from, to);
	annotate_leave(&from->tools, &to->tools, to->stack->lo, to->stack->hi);
	coctx_swap(&from->ctx, &to->ctx);
	CO_GOES_ON_HERE();
	co_swap_arrived(from);
	return 0;
}

/* Fetch what a swap to @to will read, while something else is done: with many executions it
 * is in no cache. Of the stack, as much as the frames of a sleep are. A prefetch asks for
 * nothing, so it does not matter what is there. */
static inline void co_swap_soon(const struct co_exec *to)
{
	enum { LINES = 4, LINE = 64 };
	const char *top = to->ctx.rsp;

	__builtin_prefetch(to->stack);
	for (int i = 0; i < LINES; i++)
		__builtin_prefetch(top + i * LINE);
}

#endif
