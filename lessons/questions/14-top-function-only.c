/* SPDX-License-Identifier: MIT */
/*
 * A comparison function yields each time libc's qsort calls it.
 */
#include <stdlib.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 3,
	.belief = "A coroutine can yield in its top function only.",
	.natural = "In Python, C# and C++20 it is so: every function between must be marked async, or hold co_await.",
	.predict = "a coroutine calls libc's qsort, and the comparison function yields, each time. qsort was "
		   "compiled by people who know nothing of it. What comes out?",
	.answers = { "it yields at each comparison, and the array is sorted",
		     "it yields, but qsort's own variables are lost, and nothing is sorted",
		     "yield fails with an error" },
	.answer = 'a',
	.result = "it yields at every comparison from inside libc's qsort, and the array is sorted",
	.because = "A coroutine with a stack of its own stops with *everything* that is on it: its function, qsort, "
		   "the comparison. They lie there until it is resumed, and qsort cannot tell that time has passed. "
		   "Languages without such stacks must turn each function on the way into something that can be "
		   "stored.",
};

static int numbers[] = { 31, 4, 15, 92, 65, 35, 89, 79 };
enum { N = sizeof(numbers) / sizeof(*numbers) };
static int n_compared;

static int compare(const void *a, const void *b)
{
	n_compared++;
	co_yield_ct();
	return *(const int *)a - *(const int *)b;
}

static void *sort(void *arg)
{
	qsort(numbers, N, sizeof(*numbers), compare);
	return arg;
}

char experiment(void)
{
	struct co *co = create(sort, NULL);
	int n_yields = -1; /* the last time it returns */
	bool is_sorted = true;

	do {
		co_resume(co);
		n_yields++;
	} while (co_status(co) == CO_SUSPENDED);
	for (int i = 1; i < N; i++)
		is_sorted &= numbers[i - 1] <= numbers[i];
	saw("%d comparisons, %d yields, and the coroutine is %s", n_compared, n_yields, co_state_name(co_status(co)));
	saw("the array is sorted: %s", is_sorted ? "yes" : "no");
	co_release(co);
	return n_yields == 0 ? 'c' : is_sorted && n_yields == n_compared ? 'a' : 'b';
}
