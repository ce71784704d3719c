/* SPDX-License-Identifier: MIT */
/*
 * Lesson 11: what coroutines share, and what is each one's own.
 *
 * Links with the layers of lessons 1 to 5 and 11.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "costep.h"

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

static const char *my_name(void)
{
	return co_name(co_self());
}

/* --- 1. one thread, so no races? ------------------------------------------------------ */

static int counter;
static struct co_mutex *mutex;

static void *add(void *arg)
{
	for (int i = 0; i < 1000; i++)
		counter++;
	return arg;
}

static void *add_and_switch(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		int n = counter;
		co_reschedule(); /* or a read, a sleep, a call of a library that reads */
		counter = n + 1;
	}
	return arg;
}

static void *add_and_switch_alone(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		co_mutex_lock(mutex);
		int n = counter;
		co_reschedule();
		counter = n + 1;
		co_mutex_unlock(mutex);
	}
	return arg;
}

static void count(const char *how, co_fn *fn)
{
	counter = 0;
	struct co *a = start("A", fn, NULL);
	struct co *b = start("B", fn, NULL);
	co_eventloop(NULL, NULL, NULL);
	printf("   %-34s %d\n", how, counter);
	co_release(a);
	co_release(b);
}

static void show_races(void)
{
	printf("1. A and B add 1 to a counter, 1000 times each\n");
	mutex = co_mutex_alloc();
	count("counter++", add);
	count("read, let others run, write", add_and_switch);
	count("the same, with a mutex around it", add_and_switch_alone);
	co_mutex_free(mutex);
}

/* --- 2. which mutex? -------------------------------------------------------------------- */

/* trylock: pthread_mutex_lock would put the thread to sleep, and A with it. */
static void *hold_pthread_mutex(void *m)
{
	int error = pthread_mutex_trylock(m);
	printf("%s %s %s", *my_name() == 'A' ? "" : ",", my_name(), error ? "gets EBUSY" : "is inside");
	if (error)
		return NULL;
	co_yield_ct();
	pthread_mutex_unlock(m);
	return NULL;
}

static void show_pthread_mutex(const char *kind, int type)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutex_init(&m, &attr);
	printf("   a %s pthread mutex:", kind);
	struct co *a = start("A", hold_pthread_mutex, &m);
	struct co *b = start("B", hold_pthread_mutex, &m);
	printf("\n");
	if (co_status(b) == CO_SUSPENDED)
		co_resume(b);
	co_resume(a);
	co_release(a);
	co_release(b);
	pthread_mutex_destroy(&m);
	pthread_mutexattr_destroy(&attr);
}

static void *hold_co_mutex(void *arg)
{
	printf("     %s: locks\n", my_name());
	co_mutex_lock(mutex);
	printf("     %s: is inside\n", my_name());
	co_yield_ct();
	co_mutex_unlock(mutex);
	printf("     %s: has unlocked\n", my_name());
	return arg;
}

static void show_co_mutex(void)
{
	printf("   a co_mutex:\n");
	mutex = co_mutex_alloc();
	struct co *a = start("A", hold_co_mutex, NULL);
	struct co *b = start("B", hold_co_mutex, NULL);
	struct co *c = start("C", hold_co_mutex, NULL);
	printf("     main: unlocks it too: %s\n", co_mutex_unlock(mutex) ? "refused" : "fine");
	printf("     main: B and C are %s; resumes A\n", co_state_name(co_status(b)));
	co_resume(a);
	printf("     main: B is %s; tries to lock before B runs: %s\n", co_state_name(co_status(b)),
	       co_mutex_trylock(mutex) ? "EBUSY" : "has it");
	printf("     main: releases B\n");
	co_release(b);
	co_eventloop(NULL, NULL, NULL);
	co_resume(c);
	co_release(a);
	co_release(c);
	co_mutex_free(mutex);
}

static void show_mutexes(void)
{
	printf("2. A is inside when B comes\n");
	show_pthread_mutex("plain", PTHREAD_MUTEX_NORMAL);
	show_pthread_mutex("recursive", PTHREAD_MUTEX_RECURSIVE);
	show_co_mutex();
}

/* --- 3. wait for something ---------------------------------------------------------------- */

static struct co_cond *changed;
static int n_items;

static void *consume(void *arg)
{
	while (n_items == 0) {
		printf("   %s: nothing there, waits\n", my_name());
		co_cond_timedwait(changed, -1);
		printf("   %s: is woken\n", my_name());
	}
	n_items--;
	printf("   %s: takes one, %d left\n", my_name(), n_items);
	return arg;
}

static void *produce(void *arg)
{
	n_items++;
	printf("   %s: has made one; signals\n", my_name());
	co_cond_signal(changed);
	printf("   %s: has signalled\n", my_name());
	return arg;
}

static void show_conditions(void)
{
	printf("3. two consumers wait, and a producer signals\n");
	changed = co_cond_alloc();
	struct co *a = start("A", consume, NULL);
	struct co *b = start("B", consume, NULL);
	struct co *p = start("P", produce, NULL);
	struct co *thief = start("thief", consume, NULL);
	co_eventloop(NULL, NULL, NULL);
	co_release(p);
	printf("   main: A and B are %s; waits 10 ms itself:", co_state_name(co_status(b)));
	printf(" %s\n", co_cond_timedwait(changed, 10) == 0 ? "signalled" : "the time is over");
	p = start("P", produce, NULL);
	printf("   main: B is %s, A is %s; releases B\n", co_state_name(co_status(b)), co_state_name(co_status(a)));
	co_release(b);
	printf("   main: A is %s\n", co_state_name(co_status(a)));
	co_eventloop(NULL, NULL, NULL);
	co_release(a);
	co_release(p);
	co_release(thief);
	co_cond_free(changed);
}

/* --- 4. one's own ------------------------------------------------------------------------------ */

static __thread int threads_own;
CO_ROUTINE_SPECIFIC(int, coroutines_own);

static void *remember(void *arg)
{
	int *number = arg;

	threads_own = *coroutines_own() = *number;
	co_yield_ct();
	printf("   %s has written %d and reads: __thread %d, its own %d\n", my_name(), *number, threads_own,
	       *coroutines_own());
	return NULL;
}

static void show_own_values(void)
{
	int one = 1, two = 2;

	printf("4. A writes 1 into two variables; then B writes 2\n");
	struct co *a = start("A", remember, &one);
	struct co *b = start("B", remember, &two);
	co_resume(a);
	co_resume(b);
	printf("   main has written nothing and reads: __thread %d, its own %d\n", threads_own, *coroutines_own());
	co_release(a);
	co_release(b);
}

/* --- 5. a function with its values --------------------------------------------------------------- */

static void *print_number(void *number)
{
	co_reschedule();
	printf(" %d", *(int *)number);
	return NULL;
}

CO_CLOSURE(print_copy, (int, number))
{
	co_reschedule();
	printf(" %d", self->number);
	return NULL;
}

static void show_closures(void)
{
	struct co *co[6];
	int i;

	printf("5. three coroutines are started in a loop: i = 1, 2, 3\n");
	printf("   each gets &i, and prints later:");
	for (i = 1; i <= 3; i++)
		co[i - 1] = start("address", print_number, &i);
	co_eventloop(NULL, NULL, NULL);
	printf("\n   each gets a closure with i in it:");
	for (i = 1; i <= 3; i++)
		co[2 + i] = start("closure", co_closure_run_once, print_copy_new(i));
	co_eventloop(NULL, NULL, NULL);
	printf("\n");
	for (i = 0; i < 6; i++)
		co_release(co[i]);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	show_races();
	show_mutexes();
	show_conditions();
	show_own_values();
	show_closures();
	printf("main returns\n");
	return 0;
}
