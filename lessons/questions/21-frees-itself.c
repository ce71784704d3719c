/* SPDX-License-Identifier: MIT */
/*
 * An execution that unmaps its own stack; and a coroutine that asks to be released.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 9,
	.belief = "A coroutine can free itself as the last thing it does.",
	.natural = "\"delete this\" works, and a thread can detach itself.",
	.predict = "the last call of an execution is munmap of its own stack. What comes after it?",
	.answers = { "it swaps to main, and all is well",
		     "munmap fails: the stack is in use",
		     "a crash, at the end of munmap itself" },
	.answer = 'c',
	.result = "the ret behind the freeing call crashes, for the return address is gone; co_release(co_self()) says EBUSY",
	.because = "Even the last call has to come back, and its return address lies on the stack that it has just "
		   "given away. Somebody else must free it, standing elsewhere: the resumer when the coroutine is "
		   "done, or a scheduler. (With free() instead of munmap it may work for a while: until the memory "
		   "has a new owner.)",
};

enum { BYTES = 64 * 1024 };
static char *stack;
static struct coctx main_ctx, other_ctx;
static volatile struct {
	bool has_begun, has_come_back;
} *seen;

static void free_itself(void *arg)
{
	seen->has_begun = true;
	munmap(stack, BYTES);
	seen->has_come_back = true;
	coctx_swap(&other_ctx, &main_ctx);
	(void)arg;
}

static void swap_to_it(void)
{
	stack = map_bytes(BYTES);
	make_context(&other_ctx, stack + BYTES, free_itself);
	coctx_swap(&main_ctx, &other_ctx);
}

static void *release_myself(void *error)
{
	*(int *)error = co_release(co_self()) ? errno : 0;
	return NULL;
}

char experiment(void)
{
	int error = 0;

	seen = shared_with_child(sizeof(*seen));
	struct ended end = in_child(swap_to_it);
	saw("munmap of one's own stack: it has come back: %s; the program %s", seen->has_come_back ? "yes" : "no", how(end));

	struct co *co = create(release_myself, &error);
	co_resume(co);
	bool is_released = co_release(co) == 0;
	saw("co_release of oneself: %s; main releases it then: %s", strerrorname_np(error), is_released ? "done" : "refused");
	must(is_released, "that main may release it", "errno %d", errno);
	must(error == EBUSY, "EBUSY", "%d", error);
	must(seen->has_begun, "that it has begun", "it has not");
	return !end.signal ? (seen->has_come_back ? 'a' : '?') : !seen->has_come_back && end.signal == SIGSEGV ? 'c' : '?';
}
