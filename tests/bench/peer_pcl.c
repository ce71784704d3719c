/* SPDX-License-Identifier: MIT */
/*
 * PCL, the Portable Coroutine Library. Its names are libco's; it is another library.
 *
 * It makes no stacks if it is given some, and else by malloc: here by malloc, but for idle
 * ones, where memory counts.
 */
#include "peer.h"

#if __has_include(<pcl.h>) && !defined(NO_LIBRARY)
#include <pcl.h>
#include <stdlib.h>

static inline void yield_here(void *me)
{
	(void)me;
	co_resume(); /* go back to whoever has called this one */
}
#include "frames.h"

static void init(void)
{
	if (co_thread_init() != 0)
		give_up("co_thread_init failed");
}

/* @stack NULL: it makes one. */
static coroutine_t make(void (*fn)(void *), void *arg, void *stack)
{
	coroutine_t co = co_create(fn, arg, stack, STACK_BYTES);

	if (!co)
		give_up("co_create failed");
	return co;
}

static void yield_for_ever(void *frames)
{
	for (;;)
		yield_below((long)frames, NULL);
}

static void roundtrip(long n, long frames)
{
	static coroutine_t co;

	if (!co)
		co = make(yield_for_ever, (void *)frames, NULL);
	for (long i = 0; i < n; i++)
		co_call(co);
}

static void round_many(long n, long frames)
{
	static coroutine_t co[MANY];
	static long next;

	for (long i = 0; i < MANY && !co[i]; i++)
		co[i] = make(yield_for_ever, (void *)frames, NULL);
	for (long i = 0; i < n; i++, next = (next + 1) % MANY)
		co_call(co[next]);
}

static void return_at_once(void *arg)
{
	(void)arg;
}

static void create(long n, long alive)
{
	static coroutine_t co[MANY];

	for (; n > 0; n -= alive) {
		for (long i = 0; i < alive; i++)
			co[i] = make(return_at_once, NULL, NULL);
		for (long i = 0; i < alive; i++) /* at its end it is deleted */
			co_call(co[i]);
	}
}

static void idle(long n)
{
	for (long i = 0; i < n; i++)
		co_call(make(yield_for_ever, NULL, lean_stack()));
}

const struct peer peer = {
	.name = "pcl",
	.what = "PCL",
	.init = init,
	.loop = { [ROUNDTRIP] = roundtrip, [ROUND_MANY] = round_many, [CREATE] = create },
	.idle = idle,
};
#else
const struct peer peer = { .name = "pcl", .what = "PCL", .missing = "libpcl1-dev" };
#endif
