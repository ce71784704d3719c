/* SPDX-License-Identifier: MIT */
/*
 * Is a stack copied away at a switch? A coroutine looks where its local lies, and main
 * how long a switch takes when 100 bytes of the stack are in use, and when 100 000 are.
 */
#include <stdalign.h>
#include <string.h>

#include "coctx.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 1,
	.belief = "At a switch registers and stack are saved elsewhere, and brought back later.",
	.natural = "They say \"save the context\", and a function's locals are part of it, are they not?",
	.predict = "a function holds 100 bytes on its stack, then 100 000. How much longer does a switch take?",
	.answers = { "no longer", "ten times as long or so", "hundreds of times: there is a thousand times as much to save" },
	.answer = 'a',
	.result = "the context has 72 bytes; a switch takes as long with 100 000 bytes on the stack as with 100",
	.because = "Each has a stack of its own, and nobody else uses that memory. So it can stay where it is. What "
		   "is saved is the pointer to it, rsp, with a few registers. (On shared stacks, lesson 10, bytes "
		   "are copied: there the others do use that memory.)",
};

static struct coctx main_ctx, other_ctx;
static alignas(16) char stack[256 * 1024];
static char *volatile where;

__attribute__((noinline)) static void stay(void)
{
	char local;

	for (;;) {
		where = &local;
		coctx_swap(&other_ctx, &main_ctx);
	}
}

__attribute__((noinline)) static void shallow(void *arg)
{
	stay();
	(void)arg;
}

__attribute__((noinline)) static void deep(void *arg)
{
	char bytes[100000];

	memset(bytes, 1, sizeof(bytes));
	__asm__ volatile("" ::"r"(bytes) : "memory"); /* the optimizer must leave it there */
	stay();
	__asm__ volatile("" ::"r"(bytes) : "memory");
	(void)arg;
}

static void there_and_back(long rounds)
{
	for (long i = 0; i < rounds; i++)
		coctx_swap(&main_ctx, &other_ctx);
}

static double measure(void (*fn)(void *), long *in_use)
{
	make_context(&other_ctx, stack + sizeof(stack), fn);
	there_and_back(1);
	char *first = where;
	double ns = ns_each(there_and_back, 50000);
	must(where == first && first > stack, "the local where it was at first, on its own stack", "%p, then %p",
	     (void *)first, (void *)where);
	*in_use = (long)(stack + sizeof(stack) - (char *)other_ctx.rsp);
	return ns;
}

char experiment(void)
{
	long few, many;
	double ns_few = measure(shallow, &few), ns_many = measure(deep, &many);

	saw("the context has %zu bytes", sizeof(struct coctx));
	must(sizeof(struct coctx) == 72, "72", "%zu", sizeof(struct coctx));
	saw("%6ld bytes of the stack in use: %.1f ns for two switches", few, ns_few);
	saw("%6ld bytes of the stack in use: %.1f ns", many, ns_many);
	must(many > 100000 && few < 1000, "100 000 bytes in use, and less than 1000", "%ld, %ld", many, few);
	return ns_many > 50 * ns_few ? 'c' : ns_many > 5 * ns_few ? 'b' : 'a';
}
