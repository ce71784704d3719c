/* SPDX-License-Identifier: MIT */
/*
 * Two stacks side by side, as malloc gives them, and a recursion that needs more than one.
 * Then the same recursion in a coroutine, whose stack has a guard below it.
 */
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 9,
	.belief = "When a coroutine's stack is too small, the program crashes, and I see where.",
	.natural = "An endless recursion in main does so.",
	.predict = "alice's stack of 16 KiB lies just above bob's, without anything between. She calls functions "
		   "that need 20 KiB, and comes back. When does it crash?",
	.answers = { "when she writes below her stack", "when she returns",
		     "not there: bob's bytes are overwritten, and nobody notices" },
	.answer = 'c',
	.result = "without a guard nothing crashes: the neighbour's bytes are overwritten; with one it is caught, by name",
	.because = "Below a stack there is just memory, and it is somebody's. bob will crash, later, somewhere, when "
		   "he uses what was his. In main it crashes at once, since the kernel leaves a gap below main's "
		   "stack. So one puts a guard below each: memory that nobody may touch. (libco has none.)",
};

enum { BYTES = 16 * 1024 };
static struct {
	alignas(16) char bobs[BYTES], alices[BYTES];
} *stacks;
static struct coctx main_ctx, alice;

/* 256 bytes of stack for each call, and a little. */
__attribute__((noinline)) static void descend(int n)
{
	char bytes[256];

	memset(bytes, 0x42, sizeof(bytes));
	/* Said to use it, before and after: else it is left out, or becomes a loop. */
	__asm__ volatile("" ::"r"(bytes) : "memory");
	if (n > 0)
		descend(n - 1);
	__asm__ volatile("" ::"r"(bytes) : "memory");
}

static void run_alice(void *arg)
{
	descend(20 * 1024 / 256);
	printf("alice comes back\n");
	fflush(stdout);
	coctx_swap(&alice, &main_ctx);
	(void)arg;
}

static void without_guard(void)
{
	make_context(&alice, stacks->alices + BYTES, run_alice);
	coctx_swap(&main_ctx, &alice);
}

static void *run_coroutine(void *arg)
{
	descend(1000000);
	return arg;
}

static void with_guard(void)
{
	struct co *co = create(run_coroutine, NULL);

	co_set_name(co, "alice");
	co_resume(co);
}

char experiment(void)
{
	int n_changed = 0;

	stacks = shared_with_child(sizeof(*stacks));
	memset(stacks->bobs, 0x5a, BYTES); /* what bob has there */
	struct ended end = in_child(without_guard);
	for (int i = 0; i < BYTES; i++)
		n_changed += stacks->bobs[i] != 0x5a;
	saw("no guard: %.*s, the program %s", (int)strcspn(end.said, "\n"), end.said, how(end));
	saw("          bytes of bob's that are not his any more: %d", n_changed);

	struct ended guarded = in_child(with_guard);
	saw("a guard:  the program %s", how(guarded));
	saw("          %.*s", (int)strcspn(guarded.said, "\n"), guarded.said);
	must(guarded.signal == SIGSEGV && strstr(guarded.said, "alice"), "a fault at the guard that names alice", "it %s: %s",
	     how(guarded), guarded.said);
	return end.signal ? '?' : n_changed ? 'c' : 'b';
}
