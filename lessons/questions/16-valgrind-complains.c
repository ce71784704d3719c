/* SPDX-License-Identifier: MIT */
/*
 * A program without a mistake, below valgrind: it swaps to a stack of which valgrind was
 * not told, and then runs coroutines on stacks of which it was. The program starts itself
 * once more, with valgrind in front.
 */
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "costep.h"
#include "question.h"

#if __has_include(<valgrind/memcheck.h>)
#define COSTEP_TELLS_VALGRIND true /* src/annotate.h asks the same */
#else
#define COSTEP_TELLS_VALGRIND false
#endif

const struct question question = {
	.file = __FILE__,
	.lesson = 3,
	.belief = "What valgrind reports is a mistake.",
	.natural = "For ordinary programs that is nearly always so, which is why one trusts it.",
	.predict = "a correct program switches to a stack that it has from malloc. What does valgrind say?",
	.answers = { "nothing: it sees each instruction, so it knows what a stack is", "\"Warning: client switching stacks?\"",
		     "it cannot run such programs" },
	.answer = 'b',
	.result = "valgrind warns of a correct switch that it was not told of, and is silent where it was told",
	.because = "valgrind sees rsp change by megabytes, and has to guess: a huge local, or another stack? If it "
		   "guesses wrong, it takes living memory for dead. So a library must say which memory is a stack "
		   "(VALGRIND_STACK_REGISTER; for ASan and TSan there are calls at each switch). src/annotate.h "
		   "does.",
};

static struct coctx main_ctx, other_ctx;

static void back(void *arg)
{
	(void)arg;
	for (;;)
		coctx_swap(&other_ctx, &main_ctx);
}

static void *yields(void *arg)
{
	co_yield_ct();
	return arg;
}

/* What runs below valgrind. */
static void switch_stacks(void)
{
	enum { BYTES = 64 * 1024 };
	char *stack = malloc(BYTES);
	struct co *co = create(yields, NULL);

	make_context(&other_ctx, stack + BYTES, back);
	coctx_swap(&main_ctx, &other_ctx);
	write(2, "= coroutines\n", 13);
	co_resume(co);
	co_resume(co);
	_exit(co_status(co) == CO_DONE ? 0 : 1);
}

static void start_valgrind(void)
{
	char self[4096] = "";

	readlink("/proc/self/exe", self, sizeof(self) - 1);
	setenv("QUESTION_16_SWITCHES", "1", 1);
	execlp("valgrind", "valgrind", "--leak-check=no", self, "--no-ask", NULL);
	write(2, "no valgrind", 11);
	_exit(0);
}

static int count(const char *text, const char *end, const char *word)
{
	int n = 0;

	while ((text = strstr(text, word)) && text < end) {
		n++;
		text += strlen(word);
	}
	return n;
}

char experiment(void)
{
	if (getenv("QUESTION_16_SWITCHES"))
		switch_stacks();
	struct ended end = in_child(start_valgrind);
	const char *second = strstr(end.said, "= coroutines");

	if (!second) {
		lacks("valgrind ('make deps test' installs it), so nothing was run below it");
		must(strstr(end.said, "no valgrind") != NULL, "no valgrind, or what it says", "%s", end.said);
		return NOT_SHOWN;
	}
	const char *last = strchr(second, '\0');
	int untold = count(end.said, second, "client switching stacks?");
	int told = count(second, last, "client switching stacks?") + count(second, last, "Invalid ");
	saw("a stack that valgrind was not told of: \"client switching stacks?\" %d times", untold);
	saw("coroutines, whose stacks it was told of: complaints: %d", told);
	if (COSTEP_TELLS_VALGRIND)
		must(told == 0, "no complaint of coroutines", "%s", second);
	else
		lacks("valgrind's header when the library was compiled, so it was told nothing");
	return untold ? 'b' : 'a';
}
