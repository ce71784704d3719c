/* SPDX-License-Identifier: MIT */
/*
 * A swap that saves registers by push, with rsp pointing to the struct for a moment, as
 * libco's did once; and ours. The trap flag makes each instruction end in a signal.
 */
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coctx.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 12,
	.belief = "Nobody can see the middle of a swap, so the order of its instructions does not matter.",
	.natural = "The kernel saves and restores all registers, wherever it takes the processor away (question 9).",
	.predict = "a swap lets rsp point to its struct on the heap while it pushes registers into it, and sets rsp "
		   "right afterwards. Signals arrive, whose handler does nothing. What becomes of the heap below the "
		   "struct?",
	.answers = { "nothing: the handler does nothing, and rsp is right again soon", "it is overwritten" },
	.answer = 'b',
	.result = "with rsp on the heap for a moment, a signal writes kilobytes over what lies below the struct",
	.because = "A signal handler is called like a function: the kernel writes all registers onto the stack that "
		   "is in use, below rsp. So what lies below rsp must be free at *every* instruction. In coctx_swap "
		   "rsp points to one stack until one instruction, and to the other behind it. (libco issue 90.)",
};

/* A swap with oneself: what a swap does to save three words, and to load them again. */
__asm__("swap_on_heap:\n"
	"	mov (%rsp), %rcx; mov %rsp, %rdx\n" /* the return address, our rsp */
	"	mov %rdi, %rsp\n"		    /* so that push writes to the struct */
	"	push %rcx; push %rdx; push %rbx\n"
	"	pop %rbx; pop %rsp; ret\n"
	/* With the trap flag set, each instruction ends in SIGTRAP. */
	"step_on: pushfq; orq $0x100, (%rsp); popfq; ret\n"
	"step_off: pushfq; andq $~0x100, (%rsp); popfq; ret\n");
void swap_on_heap(void *end_of_struct);
void step_on(void);
void step_off(void);

enum { FENCE = 64 * 1024, FILL = 0x5a };
static volatile long n_signals;

static void do_nothing(int sig)
{
	n_signals++;
	(void)sig;
}

/* How many bytes below @end are not as they were, and how far down. */
static long n_overwritten(const unsigned char *heap, long *deepest)
{
	long n = 0;

	*deepest = 0;
	for (long i = 0; i < FENCE; i++) {
		n += heap[i] != FILL;
		if (heap[i] != FILL && !*deepest)
			*deepest = FENCE - i;
	}
	return n;
}

char experiment(void)
{
	unsigned char *heap = malloc(FENCE + sizeof(struct coctx)), *at = heap + FENCE;
	struct sigaction act = { .sa_handler = do_nothing }; /* on whatever stack is in use */
	long deepest, n_ours, n_theirs;

	sigaction(SIGTRAP, &act, NULL);
	memset(heap, FILL, FENCE);
	n_signals = 0;
	step_on();
	coctx_swap((struct coctx *)at, (struct coctx *)at); /* with itself */
	step_off();
	n_ours = n_overwritten(heap, &deepest);
	saw("coctx_swap: %ld signals, bytes below the struct overwritten: %ld", n_signals, n_ours);

	n_signals = 0;
	step_on();
	swap_on_heap(at + 24);
	step_off();
	n_theirs = n_overwritten(heap, &deepest);
	saw("rsp on the heap: %ld signals, overwritten: %ld, as far as %ld bytes down", n_signals, n_theirs, deepest);
	must(n_signals > 5, "more than 5 signals", "%ld", n_signals);
	must(n_ours == 0, "nothing overwritten by coctx_swap", "%ld bytes", n_ours);
	free(heap);
	return n_theirs ? 'b' : 'a';
}
