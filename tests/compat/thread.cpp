/* SPDX-License-Identifier: MIT */
/* Threads, each with its own coroutines and its own loop. */
#include "co_routine.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, COROUTINES = 5 };

struct Thread {
	pthread_t id;
	stCoEpoll_t *loop;
	int n_slept, n_turns;
};

static void *sleep_some(void *arg)
{
	Thread *t = static_cast<Thread *>(arg);

	co_enable_hook_sys();
	for (int i = 0; i < 3; i++) {
		poll(NULL, 0, 1);
		t->n_slept++;
	}
	return NULL;
}

static int until_all_slept(void *arg)
{
	Thread *t = static_cast<Thread *>(arg);

	t->n_turns++;
	return t->n_slept == 3 * COROUTINES ? -1 : 0;
}

static void *run_loop(void *arg)
{
	Thread *t = static_cast<Thread *>(arg);
	stCoRoutine_t *co[COROUTINES];

	t->loop = co_get_epoll_ct();
	for (int i = 0; i < COROUTINES; i++) {
		co_create(&co[i], NULL, sleep_some, t);
		co_resume(co[i]);
	}
	co_eventloop(t->loop, until_all_slept, t);
	for (int i = 0; i < COROUTINES; i++)
		co_release(co[i]);
	return NULL;
}

int main()
{
	static Thread threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i].id, NULL, run_loop, &threads[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i].id, NULL);
		printf("thread %d: %d sleeps, callback %s\n", i, threads[i].n_slept, threads[i].n_turns ? "called" : "?");
	}
	printf("no coroutines in main: %s\n", co_self() ? "?" : "yes");
	return 0;
}
