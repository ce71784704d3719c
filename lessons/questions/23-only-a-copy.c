/* SPDX-License-Identifier: MIT */
/*
 * Two coroutines take turns on one slot, and both call as deep as 32 KiB. Once they yield
 * at the bottom, once when they have come up again.
 */
#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 10,
	.belief = "A shared stack costs a copy at each switch, of a fixed size.",
	.natural = "\"Copying stack\" sounds like copying the stack: 128 KiB, or the most that it has ever used.",
	.predict = "two take turns on one slot. Each calls functions that need 32 KiB. First they yield at the "
		   "bottom of that, later after coming up again. What is copied for each switch?",
	.answers = { "32 KiB both times: that is what they have used", "128 KiB both times: that is the stack",
		     "32 KiB at the bottom, some hundred bytes above" },
	.answer = 'c',
	.result = "what is in use at the moment of the switch is copied: 32 KiB deep down, some hundred bytes above",
	.because = "Above rsp lies what is in use, below it nothing that matters. So the bytes from rsp to the top "
		   "are copied, whatever was used before. It makes a difference *where* a coroutine waits: with a "
		   "large buffer on the stack, each switch costs microseconds; with the buffer on the heap, "
		   "nanoseconds.",
};

__attribute__((noinline)) static void descend(int kib, bool yields)
{
	char bytes[1024];

	/* Said to use all of it, before and after: else it is left out, or becomes a loop. */
	__asm__ volatile("" ::"r"(bytes) : "memory");
	if (kib > 0)
		descend(kib - 1, yields);
	else if (yields)
		co_yield_ct();
	__asm__ volatile("" ::"r"(bytes) : "memory");
}

static void *take_turns(void *arg)
{
	descend(32, true);  /* yields at the bottom */
	for (;;) {
		descend(32, false); /* is as deep once more, and comes up */
		co_yield_ct();
	}
	return arg;
}

/* Both run until they yield; how many bytes were copied out for each who had to make way? */
static double one_turn_each(struct co_stack_source *slot, struct co *a, struct co *b)
{
	struct co_sharestack_stats before, after;

	co_sharestack_stats(slot, &before);
	co_resume(a);
	co_resume(b);
	co_sharestack_stats(slot, &after);
	return (double)(after.saved_bytes - before.saved_bytes) / (double)(after.saves - before.saves);
}

char experiment(void)
{
	struct co_stack_source *slot = co_alloc_sharestack(1, 128 * 1024);
	struct co *a = create_on(slot, take_turns, NULL), *b = create_on(slot, take_turns, NULL);

	double deep = one_turn_each(slot, a, b); /* a, at the bottom, makes way for b */
	one_turn_each(slot, a, b);		 /* both come up; b from the bottom, a from above */
	double shallow = one_turn_each(slot, a, b);
	saw("both have used 32 KiB, of a slot of 128 KiB");
	saw("yielding at the bottom: %6.0f bytes copied out for each switch", deep);
	saw("yielding above:         %6.0f bytes", shallow);
	co_release(a);
	co_release(b);
	co_free_sharestack(slot);
	if (deep < 32 * 1024)
		return '?';
	return deep > 100 * 1024 ? 'b' : shallow > deep / 2 ? 'a' : shallow < 1024 ? 'c' : '?';
}
