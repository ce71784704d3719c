/* SPDX-License-Identifier: MIT */
/*
 * co_swap. With private stacks there is nothing to do but to swap registers:
 * all that an execution has is on its stack, and its stack stays where it is.
 */
#include "swap.h"

void co_swap_arrived(struct co_exec *me)
{
	annotate_arrive(&me->tools);
}

int co_swap(struct co_exec *from, struct co_exec *to)
{
	if (to->stack->ops->enter)
		return to->stack->ops->enter(from, to);
	annotate_leave(&from->tools, &to->tools, to->stack->lo, to->stack->hi);
	coctx_swap(&from->ctx, &to->ctx);
	co_swap_arrived(from);
	return 0;
}
