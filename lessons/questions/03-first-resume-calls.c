/* SPDX-License-Identifier: MIT */
/*
 * What calls a new execution's function? A swap that ends in ret, as libco's does, and a
 * stack that was written by hand: the function's address, and above it 0xdead.
 */
#include <signal.h>
#include <stdalign.h>
#include <ucontext.h>
#include <unistd.h>

#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 2,
	.belief = "The first resume calls my function.",
	.natural = "It begins at its first line with its argument, as if somebody had called it.",
	.predict = "the function returns. Where does it go?",
	.answers = { "back to the one who resumed it", "to the number 0xdead that lies above the function's address",
		     "nowhere: the program ends at its closing brace" },
	.answer = 'b',
	.result = "nobody calls it: it is entered by ret or jmp, and returns to whatever number lies above",
	.because = "A call pushes a return address, and here there was no call. The swap popped an address from a "
		   "stack that was written by hand, and ret went there. To the function all looks as after a call, "
		   "so it takes the next word for the address to return to. Somebody must put there what he wants: "
		   "lesson 2's trampoline is that.",
};

__asm__("switch_six: push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, (%rdi); mov %rsi, %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret\n");
void switch_six(void **mine, void *other);

static void *main_rsp;
static alignas(16) char stack[64 * 1024], for_signals[64 * 1024];
static volatile struct {
	bool has_run;
	uintptr_t rip;
} *seen;

static void my_function(void)
{
	seen->has_run = true;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	seen->rip = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	signal(sig, SIG_DFL);
	(void)info;
}

static void resume_it(void)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t alternate = { .ss_sp = for_signals, .ss_size = sizeof(for_signals) };
	void **top = (void **)(stack + sizeof(stack));

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &act, NULL);
	top[-1] = (void *)0xdead;
	top[-2] = (void *)my_function; /* rsp % 16 is 8 when it begins, as after a call */
	switch_six(&main_rsp, top - 2 - 6);
}

char experiment(void)
{
	seen = shared_with_child(sizeof(*seen));
	struct ended end = in_child(resume_it);

	saw("the function has run: %s", seen->has_run ? "yes" : "no");
	saw("the program %s", how(end));
	saw("rip was %#lx then", (unsigned long)seen->rip);
	must(seen->has_run, "a function that has run", "it has not");
	return end.signal == SIGSEGV && seen->rip == 0xdead ? 'b' : end.signal || end.is_hung ? '?' : 'a';
}
