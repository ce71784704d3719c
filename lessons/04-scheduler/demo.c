/* SPDX-License-Identifier: MIT */
/*
 * Lesson 4: a queue of ready coroutines, and a loop that runs them.
 *
 * Links with the layers of lessons 1 to 4. park.h is what blocking calls are
 * made of (lessons 5 to 8); programs do not include it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "costep.h"
#include "park.h"

static struct co *start(const char *name, co_fn *fn, void *arg)
{
	struct co *co;
	if (co_create(&co, NULL, fn, arg) != 0) {
		perror("co_create");
		exit(1);
	}
	co_set_name(co, name);
	co_resume(co);
	return co;
}

/* --- 1. taking turns ---------------------------------------------------------------- */

static void *work(void *steps)
{
	for (int i = 1; i <= *(int *)steps; i++) {
		printf(" %s%d", co_name(co_self()), i);
		co_reschedule();
	}
	printf(" %s-ends", co_name(co_self()));
	return NULL;
}

static int end_of_turn(void *turn)
{
	printf("\n     turn %d:", ++*(int *)turn);
	return *(int *)turn < 4 ? 0 : -1;
}

static void show_turns(void)
{
	int two = 2, three = 3, turn = 1;

	printf("1. A and C have three steps to do, B has two\n     main resumes them:");
	struct co *a = start("A", work, &three);
	struct co *b = start("B", work, &two);
	struct co *c = start("C", work, &three);
	printf("\n     turn 1:");
	co_eventloop(NULL, end_of_turn, &turn);
	printf(" (the callback said: enough)\n");
	co_release(a);
	co_release(b);
	co_release(c);
}

/* --- 2. nobody starves ----------------------------------------------------------------- */

static long n_ping, n_pong, n_quiet;

static void *count(void *counter)
{
	for (;;) {
		++*(long *)counter;
		co_reschedule();
	}
	return NULL;
}

static int after_1000_turns(void *n)
{
	return ++*(long *)n < 1000 ? 0 : -1;
}

static void show_fairness(void)
{
	long n = 0;

	printf("2. ping and pong reschedule for ever, and so does a third\n");
	struct co *ping = start("ping", count, &n_ping);
	struct co *pong = start("pong", count, &n_pong);
	struct co *quiet = start("quiet", count, &n_quiet);
	co_eventloop(NULL, after_1000_turns, &n);
	printf("     after %ld turns: ping %ld, pong %ld, quiet %ld\n", n, n_ping, n_pong, n_quiet);
	co_release(ping);
	co_release(pong);
	co_release(quiet);
}

/* --- 3. waiting ---------------------------------------------------------------------------- */

/* A box for one number. Whoever wants to take and finds it empty, waits;
 * whoever wants to put and finds it full, lets the others go first. */
static struct {
	int is_full, number;
	struct co *waiter;
} box;

static void leave_box(struct co *co)
{
	(void)co;
	box.waiter = NULL;
}

static int box_get(void)
{
	while (!box.is_full) {
		box.waiter = co_self();                       /* 1. put myself on a list */
		co_park(leave_box, NULL, __builtin_return_address(0)); /* 2. say how to leave it, 3. switch away */
	}
	box.is_full = 0;
	return box.number;
}

static void box_put(int number)
{
	while (box.is_full)
		co_reschedule();
	box.number = number;
	box.is_full = 1;
	if (box.waiter) {
		struct co *waiter = box.waiter;
		box.waiter = NULL;
		co_wake(waiter);
	}
}

static void *consume(void *arg)
{
	for (;;) {
		printf("     consumer: asks\n");
		printf("     consumer: got %d\n", box_get());
	}
	return arg;
}

static void *produce(void *arg)
{
	for (int i = 1; i <= 2; i++) {
		printf("     producer: puts %d\n", i);
		box_put(i);
		printf("     producer: has put %d, gives the others a turn\n", i);
		co_reschedule();
	}
	printf("     producer: ends\n");
	return arg;
}

static void show_waiting(void)
{
	printf("3. a consumer waits for a producer\n");
	struct co *consumer = start("consumer", consume, NULL);
	printf("   main: the consumer is %s\n", co_state_name(co_status(consumer)));
	printf("   main: resumes it by force: %s\n", co_resume(consumer) ? "refused" : "fine");
	struct co *producer = start("producer", produce, NULL);
	printf("   main: the consumer is %s; runs the loop\n", co_state_name(co_status(consumer)));
	co_eventloop(NULL, NULL, NULL);
	printf("   main: the loop is back; the producer is %s, the consumer is %s\n",
	       co_state_name(co_status(producer)), co_state_name(co_status(consumer)));
	co_release(producer);
	co_release(consumer);
	printf("   main: released both; somebody waits at the box: %s\n", box.waiter ? "yes" : "no");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	show_turns();
	show_fairness();
	show_waiting();
	printf("main returns\n");
	return 0;
}
