/* SPDX-License-Identifier: MIT */
/*
 * Lesson 3: coroutines, which know who resumed them.
 *
 * Links with the layers of lessons 1 to 3. There is no scheduler: main and
 * the coroutines say themselves who is next.
 * `demo overflow` runs a coroutine out of its stack, for an experiment.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "costep.h"

static const char *error_name(void)
{
	return strerrorname_np(errno);
}

/* --- 1. a function that stops in the middle of a recursion -------------------- */

struct tree {
	int value;
	struct tree *left, *right;
};

static int found; /* what the walker hands out */

/* Visit all values in order. Yields from any depth. */
static void walk(const struct tree *t)
{
	if (!t)
		return;
	walk(t->left);
	found = t->value;
	co_yield_ct();
	walk(t->right);
}

static void *walker(void *tree)
{
	walk(tree);
	return "that was all";
}

static void show_generator(void)
{
	struct tree n1 = { 1, NULL, NULL }, n3 = { 3, NULL, NULL }, n2 = { 2, &n1, &n3 };
	struct tree n5 = { 5, NULL, NULL }, n4 = { 4, &n2, &n5 };
	struct co *co;

	printf("1. a tree is walked by recursion, one value at a time\n");
	co_create(&co, NULL, walker, &n4);
	co_set_name(co, "walker");
	printf("   after co_create it is %s\n", co_state_name(co_status(co)));
	printf("   main resumes it and gets:");
	for (;;) {
		co_resume(co);
		if (co_status(co) == CO_DONE)
			break;
		printf(" %d", found);
	}
	printf("\n   now it is %s, and its result is \"%s\"\n", co_state_name(co_status(co)),
	       (char *)co_result(co));
	co_release(co);
}

/* --- 2. who resumed whom --------------------------------------------------------- */

static struct co *a, *b, *c;

static void say(const char *what)
{
	printf("     %s: %s\n", co_name(co_self()), what);
}

static void print_states(const char *when)
{
	printf("   %s: A is %s, B is %s, C is %s\n", when, co_state_name(co_status(a)), co_state_name(co_status(b)),
	       co_state_name(co_status(c)));
}

static void *run_c(void *arg)
{
	say("begins");
	print_states("while C runs");
	say("yields");
	co_yield_ct();
	say("goes on, returns");
	return arg;
}

static void *run_b(void *arg)
{
	say("begins, resumes C");
	co_resume(c);
	say("is back, yields");
	co_yield_ct();
	say("goes on, returns");
	return arg;
}

static void *run_a(void *arg)
{
	say("begins, resumes B");
	co_resume(b);
	say("is back, yields");
	co_yield_ct();
	say("goes on, resumes C");
	co_resume(c);
	say("is back, returns");
	return arg;
}

static struct co *make(const char *name, co_fn *fn)
{
	struct co *co;
	co_create(&co, NULL, fn, NULL);
	co_set_name(co, name);
	return co;
}

static void show_chain(void)
{
	printf("2. A resumes B, B resumes C\n");
	a = make("A", run_a);
	b = make("B", run_b);
	c = make("C", run_c);
	printf("     main: resumes A\n");
	co_resume(a);
	printf("     main: is back\n");
	print_states("in main");
	printf("     main: resumes A again\n");
	co_resume(a);
	print_states("in main");
	printf("     main: resumes B\n");
	co_resume(b);
}

/* --- 3. mistakes --------------------------------------------------------------------- */

static void *make_mistakes(void *arg)
{
	printf("   resume myself:              %s\n", co_resume(co_self()) ? error_name() : "fine");
	printf("   release myself:             %s\n", co_release(co_self()) ? error_name() : "fine");
	return arg;
}

static void show_mistakes(void)
{
	struct co *co = make("clumsy", make_mistakes);

	printf("3. mistakes are refused, and nothing changes\n");
	co_resume(co);
	printf("   resume one that is done:    %s\n", co_resume(co) ? error_name() : "fine");
	printf("   yield in main:              %s\n", co_yield_ct() ? error_name() : "fine");
	printf("   a stack of 1 GiB:           %s\n",
	       co_create(&co, &(struct co_attr){ .stack_size = 1 << 30 }, run_a, NULL) ? error_name() : "fine");
	printf("   reset it, resume it:        %s\n", co_reset(co) ? error_name() : "fine");
	co_resume(co);
	co_release(co);
}

/* --- an experiment ------------------------------------------------------------------- */

static int endless(int n)
{
	volatile char local[1024] = { (char)n };
	return n < 1000000 ? endless(n + 1) + local[0] : 0; /* 1 GB of locals */
}

void *dig(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)endless(0);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0); /* a crash loses no line */
	if (argc > 1 && strcmp(argv[1], "overflow") == 0)
		return co_resume(make("digger", dig));
	show_generator();
	show_chain();
	show_mistakes();
	co_release(a);
	co_release(b);
	co_release(c);
	printf("main returns\n");
	return 0;
}
