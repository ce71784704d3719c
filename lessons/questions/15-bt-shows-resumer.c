/* SPDX-License-Identifier: MIT */
/*
 * Three executions ask for a backtrace. Two were begun by a trampoline of our own, one of
 * which tells the unwinder that nothing is behind it; the third is a coroutine.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 3,
	.belief = "A backtrace shows who has resumed me.",
	.natural = "Resume looks like a call: it returns when the other one is done. And bt shows calls.",
	.predict = "main's function resumer() swaps to a new execution, which asks for a backtrace. Is resumer() in "
		   "it?",
	.answers = { "yes: it is the caller", "no: the list ends where the new stack ends",
		     "no, unless somebody has told the unwinder where the resumer's registers are" },
	.answer = 'c',
	.result = "the backtrace ends at the trampoline, unless its unwind table leads to the resumer (costep's does)",
	.because = "A backtrace follows return addresses up one stack. The resumer's are on another, and nothing on "
		   "this one leads there. What could lead is the unwind table of the trampoline: it can say "
		   "\"undefined, stop\", or \"the caller's registers are in that struct\". costep's says this, so "
		   "plain bt goes on to main. Without either, some unwinders invent a frame.",
};

__asm__("switch_six: push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, (%rdi); mov %rsi, %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret\n"
	"	.globl trampoline; .type trampoline, @function\n"
	"trampoline: .cfi_startproc; .cfi_undefined %rip\n"
	"	call *%rbx; ud2\n"
	"	.cfi_endproc; .size trampoline, . - trampoline\n");
void switch_six(void **mine, void *other);
void trampoline(void);

static void *main_rsp, *other_rsp;
static alignas(16) char stack[64 * 1024];
static char names[256];
static bool has_resumer;

/* The functions of a backtrace from here, by name, as far as they have one. */
__attribute__((noinline)) static void take_backtrace(void)
{
	void *at[32];
	int n = backtrace(at, 32);

	names[0] = '\0';
	has_resumer = false;
	for (int i = 1; i < n; i++) {
		Dl_info info;
		const char *name = dladdr((char *)at[i] - 1, &info) && info.dli_sname ? info.dli_sname : "..."; /* static */
		if (strcmp(name, "experiment") == 0)
			break; /* main and what called it are of no interest */
		has_resumer |= strcmp(name, "resumer") == 0;
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s ", name);
	}
}

/* Not static, so that they have names when the program runs. */
void new_execution(void);
__attribute__((noinline)) void new_execution(void)
{
	take_backtrace();
	switch_six(&other_rsp, main_rsp);
}

void *new_coroutine(void *arg);
__attribute__((noinline)) void *new_coroutine(void *arg)
{
	take_backtrace();
	return arg;
}

void resumer(struct co *co);
__attribute__((noinline)) void resumer(struct co *co)
{
	if (co)
		co_resume(co);
	else
		switch_six(&main_rsp, other_rsp);
	__asm__ volatile("" ::: "memory"); /* no tail call: it stays on the stack */
}

char experiment(void)
{
	void **top = (void **)(stack + sizeof(stack)) - 1; /* its call is to find rsp at a multiple of 16 */
	struct co *co = create(new_coroutine, NULL);

	top[0] = (void *)trampoline;
	top[-2] = (void *)new_execution; /* popped into rbx */
	other_rsp = top - 6;
	resumer(NULL);
	saw("a bare stack: %s", names);
	bool by_bare = has_resumer, has_entry = strstr(names, "new_execution") != NULL;

	resumer(co);
	saw("a coroutine:  %s", names);
	co_release(co);
	must(has_entry, "new_execution in the list", "%s", names);
	return by_bare ? 'a' : has_resumer ? 'c' : 'b';
}
