/* SPDX-License-Identifier: MIT */
/*
 * Two thousand coroutines that once needed 8 KiB, and then wait: on stacks of their own, and on
 * a slot. Then a stack that is moved to a larger one, as one would to let it grow.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 10,
	.belief = "Why share stacks, when every switch copies? Give each a small one from a pool, and a larger one when needed.",
	.natural = "A copy costs time at every switch, and growing is rare. (libco's reading notes leave this open.)",
	.predict = "2000 coroutines call 8 KiB deep once, come up, and wait. How much more memory do they have on "
		   "stacks of their own than on a slot? And may a stack that is full be moved to a larger one?",
	.answers = { "as much; and a stack may be moved", "several times as much; and a stack may be moved",
		     "several times as much; a stack may not be moved" },
	.answer = 'c',
	.result = "who waits keeps all pages that it ever touched, on a slot only what it holds; and a stack cannot move: it has pointers",
	.because = "Pages that were touched once stay until the coroutine ends, and a pool helps only those that "
		   "have ended. On a slot each takes what it holds now. And a stack holds addresses of itself "
		   "(pointers to locals, saved rbp) that nobody can find to correct. So bytes go back to the place "
		   "they came from.",
};

enum { N = 2000 };

__attribute__((noinline)) static void need_8_kib(void)
{
	char bytes[8192];

	memset(bytes, 1, sizeof(bytes));
	__asm__ volatile("" ::"r"(bytes) : "memory");
}

static void *go_deep_and_wait(void *arg)
{
	need_8_kib();
	co_yield_ct();
	return arg;
}

/* Memory of one coroutine, in KiB. */
static double measure(struct co_stack_source *slots)
{
	static struct co *co[N];
	long kb = resident_kb();

	for (int i = 0; i < N; i++) {
		co[i] = create_on(slots, go_deep_and_wait, NULL);
		co_resume(co[i]);
	}
	kb = resident_kb() - kb;
	for (int i = 0; i < N; i++)
		co_release(co[i]);
	return (double)kb / N;
}

/* --- a stack that moves ----------------------------------------------------------------- */

enum { SMALL = 16 * 1024, LARGE = 64 * 1024 };
static struct coctx main_ctx, ctx;
static char *small, *large;
static volatile struct {
	char *points_to;
} *seen;

static void remember(void *arg)
{
	char local = 42, *mine = &local;

	__asm__ volatile("" : "+r"(mine)); /* a pointer like any other: it is kept, not computed anew */
	char *volatile on_stack = mine;
	coctx_swap(&ctx, &main_ctx);
	seen->points_to = on_stack;
	coctx_swap(&ctx, &main_ctx);
	(void)arg;
}

static void move_it(void)
{
	make_context(&ctx, small + SMALL, remember);
	coctx_swap(&main_ctx, &ctx);
	memcpy(large + LARGE - SMALL, small, SMALL);
	long distance = (large + LARGE) - (small + SMALL);
	ctx.rsp = (char *)ctx.rsp + distance;
	/* One more address is easily found, as it is in the context. */
	if ((char *)ctx.rbp >= small && (char *)ctx.rbp <= small + SMALL)
		ctx.rbp = (char *)ctx.rbp + distance;
	coctx_swap(&main_ctx, &ctx);
}

char experiment(void)
{
	struct co_stack_source *slot = co_alloc_sharestack(1, 128 * 1024);

	/* The slot first: what malloc holds afterwards is too little to matter. */
	double shared = measure(slot), own = measure(NULL);
	struct co_sharestack_stats stats;
	co_sharestack_stats(slot, &stats);
	co_free_sharestack(slot);
	saw("memory of each that waits: on a slot %.1f KiB, on a stack of its own %.1f KiB", shared, own);
	double copied = (double)stats.saved_bytes / (double)stats.saves;
	saw("who makes way on the slot is copied out: %.0f bytes of 128 KiB", copied);
	must(copied < 8192, "less than the 8 KiB that each has used", "%.0f", copied);

	small = map_bytes(SMALL);
	large = map_bytes(LARGE);
	seen = shared_with_child(sizeof(*seen));
	struct ended end = in_child(move_it);
	bool is_left = seen->points_to >= small && seen->points_to < small + SMALL;
	saw("a stack is moved: a pointer to one's own local leads to the %s stack", is_left ? "old" : "new");
	must(seen->points_to && !end.signal, "an execution that goes on after the move", "it %s", how(end));
	return own < 3 * shared ? 'a' : is_left ? 'c' : 'b';
}
