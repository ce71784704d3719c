/* SPDX-License-Identifier: MIT */
/*
 * frames — functions between a coroutine's own and its yield, included by each peer
 * behind its `static inline void yield_here(void *me)`.
 *
 * Real programs do not yield in their outermost function. After a switch the processor
 * guesses the returns of these frames from the calls that it has seen last, which were
 * made on another stack.
 */
__attribute__((noinline)) static void frame(long depth, void *me)
{
	if (depth > 1)
		frame(depth - 1, me);
	else
		yield_here(me);
	__asm__ volatile(""); /* no tail call: the frame is there */
}

static inline void yield_below(long frames, void *me)
{
	if (frames > 0)
		frame(frames, me);
	else
		yield_here(me);
}
