/* SPDX-License-Identifier: MIT */
/*
 * glibc's ucontext: swapcontext, which asks the kernel for the signal mask in each switch.
 *
 * It makes no stacks: here they come from malloc, and are given back to it; those of idle
 * ones, where memory counts, from mmap.
 */
#include <stdlib.h>
#include <ucontext.h>

#include "peer.h"

struct side {
	ucontext_t ctx;
	long frames;
};

static ucontext_t here;

static inline void yield_here(void *me)
{
	swapcontext(&((struct side *)me)->ctx, &here);
}
#include "frames.h"

static struct side *arriving; /* who begins: makecontext's arguments are ints */

static int has_flags;
static volatile double three = 3.0;

static void yield_for_ever(void)
{
	struct side *me = arriving;

	if (has_flags)
		three = 1.0 / three; /* inexact: a sticky flag is up from here on */
	for (;;)
		yield_below(me->frames, me);
}

static void return_at_once(void)
{
}

static void make(ucontext_t *ctx, void *stack, void (*fn)(void))
{
	if (!stack)
		give_up("malloc has no more stacks");
	getcontext(ctx);
	ctx->uc_stack.ss_sp = stack;
	ctx->uc_stack.ss_size = STACK_BYTES;
	ctx->uc_link = &here;
	makecontext(ctx, fn, 0);
}

static struct side *start(void *stack, long frames)
{
	struct side *s = calloc(1, sizeof(*s));

	make(&s->ctx, stack, yield_for_ever);
	s->frames = frames;
	arriving = s;
	swapcontext(&here, &s->ctx);
	return s;
}

static void roundtrip(long n, long frames)
{
	static struct side *other;

	if (!other)
		other = start(malloc(STACK_BYTES), frames);
	for (long i = 0; i < n; i++)
		swapcontext(&here, &other->ctx);
}

static void bare(long n, long arg)
{
	(void)arg;
	roundtrip(n / 2, 0);
}

static void bare_differ(long n, long arg)
{
	has_flags = 1;
	bare(n, arg);
}

static void round_many(long n, long frames)
{
	static struct side *other[MANY];
	static long next;

	for (long i = 0; i < MANY && !other[i]; i++)
		other[i] = start(malloc(STACK_BYTES), frames);
	for (long i = 0; i < n; i++, next = (next + 1) % MANY)
		swapcontext(&here, &other[next]->ctx);
}

static void create(long n, long alive)
{
	static ucontext_t ctx[MANY];

	for (; n > 0; n -= alive) {
		for (long i = 0; i < alive; i++)
			make(&ctx[i], malloc(STACK_BYTES), return_at_once);
		for (long i = 0; i < alive; i++)
			swapcontext(&here, &ctx[i]);
		for (long i = 0; i < alive; i++)
			free(ctx[i].uc_stack.ss_sp);
	}
}

static void idle(long n)
{
	for (long i = 0; i < n; i++)
		start(lean_stack(), 0);
}

const struct peer peer = {
	.name = "ucontext",
	.what = "glibc's swapcontext",
	.loop = { [SWITCH] = bare, [DIFFER] = bare_differ, [ROUNDTRIP] = roundtrip, [ROUND_MANY] = round_many, [CREATE] = create },
	.idle = idle,
};
