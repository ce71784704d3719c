/* SPDX-License-Identifier: MIT */
/*
 * A moves money between two accounts, and signals that something has changed, in the middle of
 * it. Who runs then? With co_cond_signal; and with a signal that resumes the waiter at once.
 */
#include <string.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 11,
	.belief = "signal runs the waiter now.",
	.natural = "It was waiting for just this; why should it wait any longer?",
	.predict = "B waits for a condition. A writes \"before\", signals, writes \"after\". B writes \"B\" when it "
		   "goes on. What is written?",
	.answers = { "before, B, after", "before, after, B" },
	.answer = 'b',
	.result = "co_cond_signal puts the waiter on the ready queue: before, after, B; run at once, it sees half of a change",
	.because = "Signal moves the waiter from the condition's list to the ready queue, in libco (pstActiveList) "
		   "as here, and returns. If it ran the waiter, every signal would be a place where anything may "
		   "change, and who signals in the middle of a change would show it half done. The price: when the "
		   "waiter runs, what it was told may be over. So it looks again.",
};

static struct co_cond *cond;
static struct co *waiter; /* of the signal that resumes at once */
static char story[64];
static int from, to, sum_seen;

static void *wait_for_change(void *at_once)
{
	if (at_once)
		co_yield_ct();
	else
		co_cond_timedwait(cond, -1);
	strcat(story, "B ");
	sum_seen = from + to;
	return NULL;
}

static void *change(void *at_once)
{
	from -= 10;
	strcat(story, "before ");
	if (at_once)
		co_resume(waiter);
	else
		co_cond_signal(cond);
	strcat(story, "after ");
	to += 10;
	return NULL;
}

static void run(const char *what, void *at_once)
{
	struct co *b = create(wait_for_change, at_once), *a = create(change, at_once);

	story[0] = '\0';
	from = 100;
	to = 0;
	waiter = b;
	co_resume(b);
	co_resume(a);
	co_eventloop(NULL, NULL, NULL);
	saw("%s: %s; of 100 B sees %d", what, story, sum_seen);
	co_release(a);
	co_release(b);
}

char experiment(void)
{
	static int yes;

	cond = co_cond_alloc();
	run("resumed at once", &yes);
	must(strcmp(story, "before B after ") == 0 && sum_seen == 90, "B in the middle, which sees 90", "%s, %d", story,
	     sum_seen);
	run("co_cond_signal ", NULL);
	must(sum_seen == 100, "100", "%d", sum_seen);
	co_cond_free(cond);
	return strcmp(story, "before after B ") == 0 ? 'b' : strcmp(story, "before B after ") == 0 ? 'a' : '?';
}
