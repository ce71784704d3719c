/* SPDX-License-Identifier: MIT */
/*
 * Ten thousand coroutines, each on a stack of 128 KiB, and how much memory they have.
 */
#include <stdio.h>
#include <stdlib.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 9,
	.belief = "Ten thousand coroutines with stacks of 128 KiB need 1.28 GB.",
	.natural = "10 000 times 128 KiB is that.",
	.predict = "ten thousand are created, and each is resumed and has yielded once. How much memory do they "
		   "have?",
	.answers = { "1250 MiB", "some hundred MiB", "some 40 MiB: a page each" },
	.answer = 'c',
	.result = "10 000 stacks of 128 KiB are 1250 MiB of addresses, and about 40 MiB of memory: the pages that were touched",
	.because = "mmap gives addresses. The kernel finds memory for a page of 4 KiB when something in it is "
		   "written for the first time. Who merely waits has touched the top page of its stack. (What was "
		   "touched once stays: that is what shared stacks, lesson 10, are for.)",
};

enum { N = 10000, KIB = 128 };

static void *wait_for_ever(void *arg)
{
	co_yield_ct();
	return arg;
}

char experiment(void)
{
	static struct co *co[N];
	long resident = resident_kb(), mapped = mapped_kb();

	for (int i = 0; i < N; i++) {
		co[i] = create(wait_for_ever, NULL);
		co_resume(co[i]);
	}
	resident = resident_kb() - resident;
	mapped = mapped_kb() - mapped;
	saw("%d coroutines on stacks of %d KiB", N, KIB);
	saw("addresses: %5ld MiB (with the guards)", mapped / 1024);
	saw("memory:    %5ld MiB, %.1f KiB each", resident / 1024, (double)resident / N);
	for (int i = 0; i < N; i++)
		co_release(co[i]);
	must(mapped >= (long)N * KIB, "addresses for all stacks", "%ld MiB", mapped / 1024);
	must(resident >= (long)N * 4, "at least a page of memory for each", "%ld MiB", resident / 1024);
	return resident >= (long)N * KIB / 2 ? 'a' : resident > (long)N * 8 ? 'b' : 'c';
}
