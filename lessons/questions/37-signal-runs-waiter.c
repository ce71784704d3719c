/* SPDX-License-Identifier: MIT */
/*
 * A moves money between two accounts, and signals that something has changed, in the middle of
 * it. Who runs then? Three kinds of signal: one that resumes the waiter at once; libco's, in
 * small; and co_cond_signal.
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
	.result = "signal puts the waiter on the ready queue: before, after, B; if it ran at once, it would see half of a change",
	.because = "Signal moves the waiter from the condition's list to the ready queue, in libco (pstActiveList) "
		   "as here, and returns. If it ran the waiter, every signal would be a place where anything may "
		   "change, and who signals in the middle of a change would show it half done. The price: when the "
		   "waiter runs, what it was told may be over. So it looks again.",
};

static enum kind { AT_ONCE, LIBCO, OURS } kind;
static char story[64];
static int from, to, sum_seen;

/* --- a condition in small: a list of those who wait, and one of those who may go on ------ */

struct waiter {
	struct co *co;
	struct waiter *next;
};
static struct waiter *waiting, *active; /* libco: the condition's list, pstActiveList */

static void mini_wait(void)
{
	struct waiter me = { co_self(), waiting };

	waiting = &me;
	co_yield_ct();
}

static void mini_signal(void)
{
	struct waiter *first = waiting;

	waiting = first->next;
	if (kind == AT_ONCE) {
		co_resume(first->co);
	} else {
		first->next = active;
		active = first;
	}
}

static void mini_loop(void)
{
	while (active) {
		struct waiter *first = active;
		active = first->next;
		co_resume(first->co);
	}
}

/* --- who waits, and who signals --------------------------------------------------------------- */

static struct co_cond *cond;

static void *wait_for_change(void *arg)
{
	if (kind == OURS)
		co_cond_timedwait(cond, -1);
	else
		mini_wait();
	strcat(story, "B ");
	sum_seen = from + to;
	return arg;
}

static void *change(void *arg)
{
	from -= 10;
	strcat(story, "before ");
	if (kind == OURS)
		co_cond_signal(cond);
	else
		mini_signal();
	strcat(story, "after ");
	to += 10;
	return arg;
}

static void run(enum kind which, const char *what)
{
	struct co *b = create(wait_for_change, NULL), *a = create(change, NULL);

	kind = which;
	story[0] = '\0';
	from = 100;
	to = 0;
	co_resume(b);
	co_resume(a);
	mini_loop();
	co_eventloop(NULL, NULL, NULL);
	saw("%s: %s(of 100 B sees %d)", what, story, sum_seen);
	co_release(a);
	co_release(b);
}

char experiment(void)
{
	cond = co_cond_alloc();
	run(AT_ONCE, "resumed at once  ");
	must(strcmp(story, "before B after ") == 0 && sum_seen == 90, "B in the middle, which sees 90", "%s, %d", story,
	     sum_seen);
	run(OURS, "co_cond_signal   ");
	must(strcmp(story, "before after B ") == 0 && sum_seen == 100, "B at the end, which sees 100", "%s, %d", story,
	     sum_seen);
	co_cond_free(cond);
	run(LIBCO, "libco's, in small");
	return strcmp(story, "before after B ") == 0 ? 'b' : strcmp(story, "before B after ") == 0 ? 'a' : '?';
}
