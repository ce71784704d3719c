/* SPDX-License-Identifier: MIT */
/*
 * A stack, a guard of one page below it, and below that a neighbour's. A function has a
 * local of 64 KiB, and writes to its low end first.
 *
 * Compiled with -fno-stack-clash-protection, which is what the second function does by hand.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "coctx.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 9,
	.belief = "With a guard page below the stack every overflow is caught.",
	.natural = "Whoever goes below the stack must touch the guard first.",
	.predict = "2 KiB of the stack are left, the guard has 4 KiB, below it lies a neighbour's stack. The "
		   "function has a local of 64 KiB, and writes to its lowest byte. What happens?",
	.answers = { "it writes into the neighbour's stack", "a fault: it is below the stack" },
	.answer = 'a',
	.result = "a local of 64 KiB jumps over a guard of 4 KiB; touching each page on the way (stack-clash protection) is caught",
	.because = "A large local is a distance: rsp is moved down by 64 KiB with one instruction, and nothing "
		   "between is touched. -fstack-clash-protection makes the compiler touch each page that it passes. "
		   "libc is not compiled so, which is why costep's guards have 64 KiB, and not one page.",
};

enum { PAGE = 4096, STACK = 64 * 1024, LOCAL = 64 * 1024, LEFT = 2048 };
static char *memory; /* neighbour's STACK, then the guard, then ours */
static struct coctx main_ctx, ours;
static int *n_written;

__attribute__((noinline)) static void use_local(bool probes)
{
	char local[LOCAL], *low = local;

	__asm__ volatile("" : "+r"(low)); /* the compiler cannot know what is done with it */
	if (probes) /* each page that rsp has passed, from the top */
		for (long at = LOCAL - PAGE; at > 0; at -= PAGE)
			((volatile char *)low)[at] |= 0;
	*(volatile char *)low = 1;
	++*n_written;
}

/* On a stack of which LEFT bytes are left. */
static void jump(void *arg)
{
	use_local(false);
	coctx_swap(&ours, &main_ctx);
	(void)arg;
}

static void probe(void *arg)
{
	use_local(true);
	coctx_swap(&ours, &main_ctx);
	(void)arg;
}

static void run_on_rest(void (*fn)(void *))
{
	make_context(&ours, memory + STACK + PAGE + LEFT, fn);
	coctx_swap(&main_ctx, &ours);
	for (long i = 0; i < STACK; i++)
		if (memory[i])
			printf("the neighbour's stack was written to, %ld bytes below its top\n", STACK - i);
}

static void at_once(void)
{
	run_on_rest(jump);
}

static void page_by_page(void)
{
	run_on_rest(probe);
}

char experiment(void)
{
	memory = map_bytes(STACK + PAGE + STACK);
	mprotect(memory + STACK, PAGE, PROT_NONE);
	n_written = shared_with_child(sizeof(*n_written));

	struct ended jumped = in_child(at_once);
	saw("at once:      the program %s", how(jumped));
	if (*jumped.said)
		saw("              %.*s", (int)strcspn(jumped.said, "\n"), jumped.said);
	struct ended probed = in_child(page_by_page);
	saw("page by page: the program %s", how(probed));
	must(probed.signal == SIGSEGV, "a fault in the guard when each page is touched", "it %s", how(probed));
	must(*n_written == 1, "one of the two that has written", "%d", *n_written);
	return jumped.signal == SIGSEGV ? 'b' : strstr(jumped.said, "was written to") ? 'a' : '?';
}
