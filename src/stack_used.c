/* SPDX-License-Identifier: MIT */
/*
 * The high-water mark.
 *
 * Why simply read? mincore(2) and /proc/self/pagemap could tell which pages were
 * ever touched, without a page fault for each. But mincore calls a page that has
 * been swapped out absent, as if it had never been used; and both are right to
 * a page only. A read of an untouched page costs a fault and an entry in the page
 * tables, no memory.
 *
 * From the bottom up, since that is where the mark is found: between the top
 * and the mark may lie whole pages of zeros (a large buffer, used in part).
 */
#include "stack_used.h"

#include <errno.h>
#include <string.h>

#include "env.h"

/* Whatever type was written there. */
typedef size_t __attribute__((may_alias)) any_word;

/* The lowest word of @stack that is not zero; hi: none.
 *
 * It lies in somebody's frame or below all of them, where sanitizers and valgrind
 * let nobody read. */
__attribute__((no_sanitize_address, no_sanitize_thread)) static char *lowest_written(const struct co_stack *stack)
{
	const any_word *word = (const any_word *)stack->lo, *end = (const any_word *)stack->hi;

	annotate_scan_begin();
	while (word < end && !*word)
		word++;
	annotate_scan_end(&word, sizeof(word));
	return (char *)word;
}

static size_t used_bytes(const struct co_stack *stack)
{
	if (stack->ops->used)
		return stack->ops->used(stack);
	return (size_t)(stack->hi - lowest_written(stack));
}

/* Make @stack, on which nobody stands, as if it were fresh. */
static void wipe(struct co_stack *stack)
{
	annotate_stack_is_fresh(stack->lo, stack->hi); /* memset is watched */
	char *mark = lowest_written(stack);
	memset(mark, 0, (size_t)(stack->hi - mark));
}

/* Why there is no answer about @co; 0 = there is. */
static int why_not(const struct co *co)
{
	if (!co)
		return EINVAL;
	if (co->env != co_get_curr_thread_env())
		return EXDEV;
	return co == &co->env->main ? ENOTSUP : 0;
}

size_t co_stack_used(const struct co *co)
{
	int error = why_not(co);

	if (!error)
		return CO_INSIDE(co->env, used_bytes(co->exec.stack));
	errno = error;
	return 0;
}

size_t co_stack_size(const struct co *co)
{
	int error = why_not(co);

	if (!error)
		return (size_t)(co->exec.stack->hi - co->exec.stack->lo);
	errno = error;
	return 0;
}

void co_stack_measure(bool is_on)
{
	co_stack_set_wipe(is_on ? wipe : NULL);
}
