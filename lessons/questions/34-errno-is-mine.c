/* SPDX-License-Identifier: MIT */
/*
 * alice leaves something in errno and in a thread-local variable, and switches away. bob's call
 * fails with another error. Once with bare contexts (lesson 2), once with coroutines.
 */
#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <unistd.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 12,
	.belief = "errno and __thread variables are each coroutine's own.",
	.natural = "They are each thread's own, and a coroutine is a small thread.",
	.predict = "alice sets errno to EINTR and a __thread variable to 1, and swaps (coctx_swap) to bob. His "
		   "close(-1) fails, he sets the variable to 2, and swaps back. What does alice find?",
	.answers = { "EINTR and 1", "EINTR and 2", "EBADF and 2" },
	.answer = 'c',
	.result = "a switch changes neither: both find what the other has left; costep's coroutines keep errno, not __thread",
	.because = "Thread-local variables lie at an address that the register fs leads to, one for each thread, and "
		   "a switch leaves fs alone. costep saves errno at each switch, since every function may set it. "
		   "For variables of your own there is co_setspecific (lesson 11).",
};

static __thread int mine;
static int found_errno, found_mine;
static struct coctx main_ctx, other_ctx;
static alignas(16) char stack[64 * 1024];

static void fail(void)
{
	close(-1); /* EBADF */
	mine = 2;
}

static void bob_bare(void *arg)
{
	fail();
	coctx_swap(&other_ctx, &main_ctx);
	(void)arg;
}

static void *bob(void *arg)
{
	fail();
	return arg;
}

static void *alice(void *arg)
{
	errno = EINTR;
	mine = 1;
	co_yield_ct();
	found_errno = errno;
	found_mine = mine;
	return arg;
}

char experiment(void)
{
	make_context(&other_ctx, stack + sizeof(stack), bob_bare);
	errno = EINTR;
	mine = 1;
	coctx_swap(&main_ctx, &other_ctx);
	int bare_errno = errno, bare_mine = mine;
	saw("contexts:   alice finds %s and %d", strerrorname_np(bare_errno), bare_mine);

	struct co *a = create(alice, NULL), *b = create(bob, NULL);
	co_resume(a);
	co_resume(b);
	co_resume(a);
	co_release(a);
	co_release(b);
	saw("coroutines: alice finds %s and %d", strerrorname_np(found_errno), found_mine);
	must(found_errno == EINTR && found_mine == 2, "EINTR and 2", "%s and %d", strerrorname_np(found_errno), found_mine);
	if (bare_errno == EINTR)
		return bare_mine == 1 ? 'a' : 'b';
	return bare_errno == EBADF && bare_mine == 2 ? 'c' : '?';
}
