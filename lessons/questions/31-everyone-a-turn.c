/* SPDX-License-Identifier: MIT */
/*
 * One coroutine wants to be woken after 10 ms. Another computes for 60 ms: in one go, or with
 * a co_reschedule now and then.
 */
#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 4,
	.belief = "The scheduler sees to it that everybody gets a turn.",
	.natural = "That is what schedulers do. The kernel's does it a thousand times a second.",
	.predict = "the one sleeps 10 ms, the other computes 60 ms without calling anything. When does the first one "
		   "wake?",
	.answers = { "after 10 ms: its time has come", "after about 20 ms: at the next time slice", "after 60 ms" },
	.answer = 'c',
	.result = "a sleeper of 10 ms wakes when the one who computes for 60 ms is done, unless that one calls co_reschedule",
	.because = "The loop is a function that is waiting for its call of co_resume to return. Nobody takes the "
		   "processor away from a coroutine (the kernel does, but from the whole thread). So who computes "
		   "long must give it back himself. What one gets for that: between two calls nobody else changes "
		   "anything.",
};

static int64_t due, woke, ended;
static bool is_kind;

static void *sleeper(void *arg)
{
	due = now_ns() + 10000000;
	co_sleep_ms(10);
	woke = now_ns();
	return arg;
}

static void *compute(void *arg)
{
	int64_t begin = now_ns();

	for (int ms = 1; ms <= 60; ms++) {
		while (now_ns() < begin + ms * INT64_C(1000000))
			;
		if (is_kind)
			co_reschedule();
	}
	ended = now_ns();
	return arg;
}

static void run(bool kind)
{
	struct co *a = create(sleeper, NULL), *b = create(compute, NULL);

	is_kind = kind;
	co_resume(a);
	co_resume(b);
	co_eventloop(NULL, NULL, NULL);
	saw("%s: wakes %4.1f ms late, %s the other has ended", kind ? "with co_reschedule" : "in one go         ",
	    (double)(woke - due) / 1e6, woke < ended ? "before" : "after");
	co_release(a);
	co_release(b);
}

char experiment(void)
{
	run(true);
	must(woke < ended, "a sleeper that wakes in between, if the other gives turns", "%.1f ms late",
	     (double)(woke - due) / 1e6);
	run(false);
	if (woke >= ended)
		return 'c';
	return woke - due < 3000000 ? 'a' : 'b';
}
