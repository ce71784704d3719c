/* SPDX-License-Identifier: MIT */
/*
 * setjmp and longjmp keep and load just the registers that a switch does. Then a function
 * could stop by setjmp and return, and go on by longjmp.
 *
 * That is what C forbids, and here it is done. Compiled without _FORTIFY_SOURCE: with it,
 * libc ends the program at such a longjmp.
 */
#include <setjmp.h>
#include <string.h>
#include <unistd.h>

#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 1,
	.belief = "setjmp and longjmp are enough for coroutines.",
	.natural = "They do save rbx, rbp, r12 to r15, rsp and rip: all that a switch does.",
	.predict = "a function has a local, 42, calls setjmp, and returns. Its caller calls another function, and "
		   "then longjmp back into the first. What is its local?",
	.answers = { "something that the other function has left there",
		     "42: the registers are restored, and the stack pointer with them",
		     "the program is stopped at the longjmp" },
	.answer = 'a',
	.result = "after longjmp into a function that has returned, its local is what another has left there",
	.because = "The registers are right, the stack is not. There is one stack, and below the caller its memory "
		   "is free: the next function that is called uses it. Two functions that are both half done need "
		   "two stacks. A coroutine is a second stack first, and saved registers second.",
};

static jmp_buf in_the_middle;
static volatile int *seen;

__attribute__((noinline)) static void stops(void)
{
	volatile int local = 42;

	if (setjmp(in_the_middle) == 0)
		return; /* "yields" */
	*seen = local;
	_exit(0); /* to return is not possible: the return address is gone too */
}

__attribute__((noinline)) static void another(void)
{
	char bytes[2048];

	memset(bytes, 0xff, sizeof(bytes));
	__asm__ volatile("" ::"r"(bytes) : "memory");
}

static void yield_and_resume(void)
{
	stops();
	another();
	longjmp(in_the_middle, 1);
}

char experiment(void)
{
	seen = shared_with_child(sizeof(*seen));
	struct ended end = in_child(yield_and_resume);

	saw("the local was 42; now it is %d; the program %s", *seen, how(end));
	if (end.signal)
		return *seen ? '?' : 'c';
	return *seen == 42 ? 'b' : 'a';
}
