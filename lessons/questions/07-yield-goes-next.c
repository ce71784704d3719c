/* SPDX-License-Identifier: MIT */
/*
 * A resumes B, B resumes C. Who is next when C yields? D is there too, and has yielded.
 */
#include <string.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 3,
	.belief = "yield goes to the scheduler, which takes the next coroutine.",
	.natural = "sched_yield and Python's asyncio do so: who yields lets the next one run.",
	.predict = "main resumes D, which yields. Then main resumes A, which resumes B, which resumes C. C yields. "
		   "Who runs?",
	.answers = { "B", "D: it has waited longest", "main: it is the scheduler" },
	.answer = 'a',
	.result = "yield goes back to whoever resumed: A{B{C yields B yields A yields main",
	.because = "Resume names somebody, yield names nobody: it goes back, like return. Each coroutine remembers "
		   "who resumed it. (A scheduler is something that is built with these two: its loop resumes a "
		   "coroutine, and so it is the loop that the coroutine comes back to.)",
};

static char story[128];
static struct co *b, *c;

static void say(const char *what)
{
	strncat(story, what, sizeof(story) - strlen(story) - 1);
}

static void *run_c(void *arg)
{
	say("C");
	co_yield_ct();
	return arg;
}

static void *run_b(void *arg)
{
	say("B{");
	co_resume(c);
	say(" yields B");
	co_yield_ct();
	return arg;
}

static void *run_a(void *arg)
{
	say("A{");
	co_resume(b);
	say(" yields A");
	co_yield_ct();
	return arg;
}

static void *run_d(void *arg)
{
	co_yield_ct();
	say("D");
	return arg;
}

char experiment(void)
{
	struct co *a = create(run_a, NULL), *d = create(run_d, NULL);

	b = create(run_b, NULL);
	c = create(run_c, NULL);
	co_resume(d);
	co_resume(a);
	say(" yields main");
	saw("in the order in which they ran: %s", story);
	saw("D is still %s", co_state_name(co_status(d)));
	for (int i = 0; i < 4; i++)
		co_release((struct co *[]){ a, b, c, d }[i]);
	if (strcmp(story, "A{B{C yields B yields A yields main") == 0)
		return 'a';
	/* Who came after C? */
	if (strncmp(story, "A{B{C yields ", 13) != 0)
		return '?';
	return story[13] == 'm' ? 'c' : story[13] == 'D' ? 'b' : '?';
}
