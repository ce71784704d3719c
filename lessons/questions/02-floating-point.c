/* SPDX-License-Identifier: MIT */
/*
 * Does floating point need nothing from a switch? One swap that keeps the six registers
 * only, as libco's does, and ours, which keeps two control words more.
 */
#include <fenv.h>
#include <stdalign.h>

#include "coctx.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 1,
	.belief = "Then floating point needs nothing at all: its registers are the caller's affair.",
	.natural = "Question 1 has shown it: nobody saved xmm0, and the double was right.",
	.predict = "the other side says \"round up from now on\" (fesetround), for itself, and switches back. The "
		   "switch keeps the six registers of question 1. What is 1/3 now?",
	.answers = { "another number", "the same as before" },
	.answer = 'a',
	.result = "with six registers saved, one side's rounding mode changes the other's 1/3; coctx_swap keeps it",
	.because = "How to round is a setting, in the register mxcsr, and the ABI makes it the callee's to preserve: "
		   "the caller has not put it away, since no function is expected to change it. So the switch must "
		   "keep it, and the control word of the x87 unit too. Data are the caller's, settings are the "
		   "callee's.",
};

__asm__("switch_six: push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, (%rdi); mov %rsi, %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret\n");
void switch_six(void **mine, void *other);

static void *main_rsp, *other_rsp;
static struct coctx main_ctx, other_ctx;
static alignas(16) char stack[64 * 1024], stack2[64 * 1024];

static void round_up(void *arg)
{
	fesetround(FE_UPWARD);
	switch_six(&other_rsp, main_rsp);
	(void)arg;
}

static void round_up_too(void *arg)
{
	fesetround(FE_UPWARD);
	coctx_swap(&other_ctx, &main_ctx);
	(void)arg;
}

static double third(void)
{
	/* volatile: else it is computed when this is compiled, or on the other side of a call. */
	static volatile double one = 1, three = 3, result;

	result = one / three;
	return result;
}

char experiment(void)
{
	void **top = (void **)(stack + sizeof(stack)) - 2;
	double before = third();

	*top = (void *)round_up;
	other_rsp = top - 6;
	switch_six(&main_rsp, other_rsp);
	double after = third();
	fesetround(FE_TONEAREST);

	make_context(&other_ctx, stack2 + sizeof(stack2), round_up_too);
	coctx_swap(&main_ctx, &other_ctx);
	double with_coctx = third();

	saw("before:                     1/3 = %.20f", before);
	saw("after, six registers kept:  1/3 = %.20f", after);
	saw("after, by coctx_swap:       1/3 = %.20f", with_coctx);
	must(with_coctx == before, "the same 1/3 by coctx_swap", "%.20f", with_coctx);
	return after == before ? 'b' : 'a';
}
