/* SPDX-License-Identifier: MIT */
/*
 * Which registers must a switch keep? Ours is small enough to read: six registers on the
 * stack, and the stack pointer. The second of the two forgets rbx.
 */
#include <stdalign.h>

#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 1,
	.belief = "A switch must save all registers: a variable may be in any of them.",
	.natural = "A debugger shows sixteen registers, and sixteen more for floating point.",
	.predict = "a loop has an integer and a double in variables, and switches away in each round. The other side "
		   "fills every register. The switch keeps six. Which sums are right?",
	.answers = { "neither", "the integer's: floating point needs more registers than that", "both" },
	.answer = 'c',
	.result = "with six saved, both sums are right; without rbx, what was in it is lost",
	.because = "The switch is a function call. Before it, the compiler has put what it still needs from rax, "
		   "rcx, xmm0 and the other caller-saved registers on the stack; no switch needs to keep these. In "
		   "rbx, rbp, r12 to r15 it leaves things, since every function gives them back (the ABI).",
};

/* switch_six(&mine, other): push what is kept, put rsp into mine, take the other's. */
__asm__(".macro swap name, first, last\n"
	"\\name: push %rbp; push %r12; push %r13; push %r14; push %r15; \\first\n"
	"	mov %rsp, (%rdi); mov %rsi, %rsp\n"
	"	\\last; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; ret\n"
	".endm\n"
	"	swap switch_six, \"push %rbx\", \"pop %rbx\"\n"
	"	swap switch_five, \"push %rax\", \"pop %rax\"\n"
	/* long keep_in_rbx(number, fn): a caller that trusts fn to give rbx back. */
	"keep_in_rbx: push %rbx; mov %rdi, %rbx; call *%rsi; mov %rbx, %rax; pop %rbx; ret\n");
void switch_six(void **mine, void *other);
void switch_five(void **mine, void *other);
long keep_in_rbx(long number, void (*fn)(void));

static void *main_rsp, *other_rsp;
static void (*volatile do_switch)(void **mine, void *other);
static alignas(16) char stack[64 * 1024];

__attribute__((noreturn)) static void fill_registers(void)
{
	for (;;) {
		/* Those that the compiler counts as lost, and rbx. */
		__asm__ volatile("mov $-1, %%rax; mov %%rax, %%rbx; mov %%rax, %%rcx; mov %%rax, %%rdx; mov %%rax, %%r8;"
				 "mov %%rax, %%r9; mov %%rax, %%r10; mov %%rax, %%r11; pcmpeqd %%xmm0, %%xmm0;"
				 "movaps %%xmm0, %%xmm1; movaps %%xmm0, %%xmm2; movaps %%xmm0, %%xmm8"
				 ::: "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm8");
		do_switch(&other_rsp, main_rsp);
	}
}

static void there_and_back(void)
{
	do_switch(&main_rsp, other_rsp);
}

static void begin(void (*kind)(void **, void *))
{
	void **top = (void **)(stack + sizeof(stack)) - 2;

	do_switch = kind;
	*top = (void *)fill_registers; /* the first ret goes there */
	other_rsp = top - 6;	       /* six pops before it */
}

char experiment(void)
{
	long sum = 0;
	double d = 0.5;

	begin(switch_six);
	for (long i = 1; i <= 4; i++) {
		there_and_back();
		sum += i;
		d *= 1.5;
	}
	saw("the loop's sums: %ld (1+2+3+4 is 10), and %.5f (0.5 * 1.5^4 is 2.53125)", sum, d);

	long kept = keep_in_rbx(41, there_and_back);
	begin(switch_five);
	long lost = keep_in_rbx(41, there_and_back);
	saw("41 in rbx; after the switch it is %ld; after one that forgets rbx: %ld", kept, lost);
	must(kept == 41, "41 from a switch that keeps rbx", "%ld", kept);
	must(lost == -1, "the other side's -1 from one that forgets it", "%ld", lost);
	return sum == 10 && d == 2.53125 ? 'c' : sum == 10 ? 'b' : d == 2.53125 ? '?' : 'a';
}
