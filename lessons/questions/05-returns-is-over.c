/* SPDX-License-Identifier: MIT */
/*
 * Two functions that return: one that was entered by a bare context (lesson 2), one that
 * is a coroutine's (lesson 3).
 */
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 2,
	.belief = "When its function returns, the coroutine is over.",
	.natural = "A program is over when main returns, and a thread when its function does.",
	.predict = "a context is swapped to, its function says \"returns\" and returns. Then?",
	.answers = { "whoever swapped to it goes on",
		     "the function begins again",
		     "the program dies by an illegal instruction, on purpose" },
	.answer = 'c',
	.result = "a bare context's function returns to a ud2, and the program dies; somebody must swap away instead",
	.because = "To return means to go to the address on top of the stack. Behind main libc has put some code "
		   "that calls exit, behind a thread's function some that ends the thread. Behind a bare context "
		   "there is nobody to go on with, so the trampoline's ud2 stops the program. co_create puts a "
		   "function of its own between: when yours returns, it marks the coroutine done, and swaps to the "
		   "resumer.",
};

static struct coctx main_ctx, other_ctx;
static alignas(16) char stack[64 * 1024];

static void bare(void *arg)
{
	printf("the bare context's function returns\n");
	fflush(stdout);
	(void)arg;
}

static void *coroutine(void *arg)
{
	printf("the coroutine's function returns\n");
	return arg;
}

static void swap_to_it(void)
{
	make_context(&other_ctx, stack + sizeof(stack), bare);
	coctx_swap(&main_ctx, &other_ctx);
	printf("main goes on\n");
}

static void resume_it(void)
{
	struct co *co = create(coroutine, NULL);

	co_resume(co);
	printf("main goes on, the coroutine is %s\n", co_state_name(co_status(co)));
	co_release(co);
}

char experiment(void)
{
	struct ended context = in_child(swap_to_it), co = in_child(resume_it);

	saw("a context: \"%.*s\", and then the program %s", (int)strcspn(context.said, "\n"), context.said, how(context));
	saw("a coroutine: \"%.*s\", and \"%.*s\"", (int)strcspn(co.said, "\n"), co.said,
	    (int)strcspn(strstr(co.said, "main") ?: "", "\n"), strstr(co.said, "main") ?: "");
	must(!co.signal && strstr(co.said, "is done"), "a coroutine that is done", "\"%s\", it %s", co.said, how(co));
	return strstr(context.said, "main goes on") ? 'a' : context.signal == SIGILL ? 'c' : '?';
}
