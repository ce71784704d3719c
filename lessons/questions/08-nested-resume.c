/* SPDX-License-Identifier: MIT */
/*
 * libco's thread remembers who resumed whom in an array of 128, and behind it the number of
 * entries. Nobody looks whether it is full. Rebuilt in small; and beside it our coroutines,
 * where each has a pointer to its resumer.
 */
#include <stdio.h>
#include <string.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 3,
	.belief = "Coroutines may resume each other as deep as one likes.",
	.natural = "Functions can call each other thousands of times deep, and each coroutine has its own stack.",
	.predict = "the chain of resumers is kept in an array of 128 with a count behind it, as libco does. 300 "
		   "coroutines each resume the next. What happens?",
	.answers = { "it works", "an error from the 128th resume", "the 128th entry overwrites the count, and it crashes" },
	.answer = 'c',
	.result = "libco's array of 128 overruns into its own count, and the program dies; a pointer in each has no limit",
	.because = "Entry 128 of the array *is* the count. It now holds half of a pointer, and the next resume "
		   "writes gigabytes away. A chain of pointers, one in each coroutine, needs no array: costep's "
		   "depth is limited by memory alone. (libco's authors promised a check in 2017.)",
};

enum { DEPTH = 300 };

/* --- libco's way, in small ------------------------------------------------------------- */

struct mini {
	struct coctx ctx;
	struct mini *next;
};

static struct {
	struct mini *call_stack[128];
	int n;
} env;

static struct mini minis[DEPTH];
static volatile struct {
	int depth, n_before, n_after;
} *seen;

static void mini_resume(struct mini *co)
{
	int n = env.n;

	env.call_stack[env.n] = co;
	__asm__ volatile("" ::: "memory"); /* the count is read again, as across functions */
	if (env.n != n) {
		seen->n_before = n;
		seen->n_after = env.n;
	}
	env.n++;
	seen->depth++;
	coctx_swap(&env.call_stack[env.n - 2]->ctx, &co->ctx);
}

static void resume_next(void *arg)
{
	mini_resume(env.call_stack[env.n - 1]->next);
	(void)arg;
}

static void nest(void)
{
	char *stacks = map_bytes(DEPTH * 16384L);

	for (int i = 0; i < DEPTH; i++) {
		minis[i].next = &minis[(i + 1) % DEPTH];
		make_context(&minis[i].ctx, stacks + 16384L * (i + 1), resume_next);
	}
	env.call_stack[env.n++] = &minis[0]; /* main */
	mini_resume(minis[0].next);
}

/* --- ours ------------------------------------------------------------------------------- */

static int depth;

static void *go_deeper(void *arg)
{
	if (++depth < DEPTH) {
		struct co *co = create(go_deeper, NULL);
		co_resume(co);
		co_release(co);
	}
	return arg;
}

char experiment(void)
{
	seen = shared_with_child(sizeof(*seen));
	struct ended end = in_child(nest);
	saw("an array of 128: %d resumes; then the count was %d, and is %d", seen->depth, seen->n_before, seen->n_after);
	saw("the program %s", how(end));

	struct co *co = create(go_deeper, NULL);
	must(co_resume(co) == 0 && co_status(co) == CO_DONE, "300 nested resumes that come back", "%d deep", depth);
	co_release(co);
	saw("a pointer in each: %d resumes, and all have come back", depth);
	must(depth == DEPTH, "300 deep", "%d", depth);
	return !end.signal ? 'a' : seen->n_before == 128 && seen->n_after != 128 ? 'c' : '?';
}
