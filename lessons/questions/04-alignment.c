/* SPDX-License-Identifier: MIT */
/*
 * The same function on two stacks, one of which begins 8 bytes lower.
 */
#include <signal.h>
#include <stdalign.h>
#include <string.h>
#include <unistd.h>

#include "coctx.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 2,
	.belief = "A stack must be aligned to 8 bytes: that is what push and pop move.",
	.natural = "The processor pushes at any address, and 8 bytes is the largest it ever pushes.",
	.predict = "a context is made, and then 8 is taken off its rsp. The function counts to ten, and then stores "
		   "16 bytes in a local by movaps, as compilers let it. What happens?",
	.answers = { "nothing: the stack has 8 bytes less, that is all", "it counts, then it crashes at the movaps",
		     "it crashes at its first instruction" },
	.answer = 'b',
	.result = "with rsp 8 bytes lower all goes well until the first movaps, which crashes",
	.because = "The ABI promises each function that rsp + 8 is a multiple of 16 when it begins. So compilers "
		   "place vectors on the stack without asking, and use movaps, which faults at other addresses. "
		   "Which function has one is the compiler's choice; printf of a double is a usual place. Until then "
		   "a wrong stack works.",
};

static struct coctx main_ctx, other_ctx;
static alignas(16) char stack[64 * 1024];
static volatile struct {
	int counted;
	bool has_stored;
	unsigned rest; /* of the local's address, divided by 16 */
} *seen;

static void count_and_store(void *arg)
{
	alignas(16) char vector[16];
	char *where = vector;

	for (int i = 0; i < 10; i++)
		seen->counted++;
	__asm__("" : "+r"(where)); /* the compiler knows what the address must be; we ask what it is */
	seen->rest = (unsigned)((uintptr_t)where & 15);
	__asm__ volatile("movaps %%xmm0, %0" : "=m"(vector));
	seen->has_stored = true;
	coctx_swap(&other_ctx, &main_ctx);
	(void)arg;
}

static void aligned(void)
{
	make_context(&other_ctx, stack + sizeof(stack), count_and_store);
	coctx_swap(&main_ctx, &other_ctx);
}

static void eight_lower(void)
{
	make_context(&other_ctx, stack + sizeof(stack), count_and_store);
	other_ctx.rsp = (char *)other_ctx.rsp - 8;
	coctx_swap(&main_ctx, &other_ctx);
}

static struct ended run(const char *what, void (*fn)(void))
{
	seen->counted = 0;
	seen->has_stored = false;
	struct ended end = in_child(fn);
	saw("%s: counts to %d; the local lies at 16n + %u; is stored: %s", what, seen->counted, seen->rest,
	    seen->has_stored ? "yes" : "no");
	return end;
}

char experiment(void)
{
	seen = shared_with_child(sizeof(*seen));
	struct ended end = run("as it is made", aligned);
	must(!end.signal && seen->has_stored, "an aligned stack that works", "it %s", how(end));
	end = run("8 bytes lower", eight_lower);
	saw("and the program %s", how(end));
	return !end.signal ? 'a' : seen->counted == 10 && !seen->has_stored ? 'b' : seen->counted ? '?' : 'c';
}
