/* SPDX-License-Identifier: MIT */
/*
 * Two threads with coroutines and a loop each. One tries to resume a coroutine of the other's;
 * then it has a function called over there.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 12,
	.belief = "Are threads supported? Is it one thread only, or does a coroutine run on whichever is free?",
	.natural = "Go has goroutines that move between threads, and libco's examples have an example_thread.",
	.predict = "two threads create coroutines and run loops. Then one resumes a coroutine of the other's. What "
		   "works?",
	.answers = { "nothing: the library is for one thread", "each its own; the resume of the other's is refused",
		     "all: it goes on on the thread that resumes it" },
	.answer = 'b',
	.result = "each thread has an environment, a loop and coroutines of its own; to resume another's is refused (EXDEV)",
	.because = "All that coroutines share (who runs, who is ready, what is waited for) belongs to a thread, as "
		   "in libco, and no lock is needed. A coroutine does not move: compilers keep a thread's addresses "
		   "over a call (question 35). libco does not check it, and crashes. To have something done over "
		   "there, post it: the owner's loop calls it.",
};

static struct {
	struct co_env *env;
	struct co *co;
	pid_t tid;		  /* the other thread */
	long n_switches, n_moved; /* by its coroutines: rounds, and those on another thread */
	struct co_remote *handle;
	pthread_barrier_t ready;
} other;
static pid_t posted_on;

static void *count_turns(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		co_reschedule();
		other.n_switches++;
		other.n_moved += gettid() != other.tid;
	}
	return arg;
}

static void *suspend(void *arg)
{
	co_yield_ct();
	return arg;
}

static void *run_loop(void *arg)
{
	other.tid = gettid();
	other.co = create(suspend, NULL);
	co_resume(other.co);
	other.env = co_get_curr_thread_env();
	other.handle = co_remote_open();
	co_remote_hold(other.handle);
	co_resume(create(count_turns, NULL));
	co_resume(create(count_turns, NULL));
	pthread_barrier_wait(&other.ready);
	co_eventloop(NULL, NULL, NULL); /* until the handle is closed */
	return arg;
}

static void note_thread(void *arg)
{
	posted_on = gettid();
	co_resume(other.co); /* here it may */
	co_remote_close(other.handle);
	(void)arg;
}

static void *mine(void *n)
{
	for (int i = 0; i < 1000; i++) {
		co_reschedule();
		++*(long *)n;
	}
	return NULL;
}

char experiment(void)
{
	pthread_t thread;
	long n = 0;

	pthread_barrier_init(&other.ready, NULL, 2);
	pthread_create(&thread, NULL, run_loop, NULL);
	pthread_barrier_wait(&other.ready);
	struct co *co = create(mine, &n);
	co_resume(co);
	co_eventloop(NULL, NULL, NULL);

	int error = co_resume(other.co) ? errno : 0;
	bool is_one_env = co_get_curr_thread_env() == other.env;
	co_remote_post(other.handle, note_thread, NULL);
	pthread_join(thread, NULL);
	co_remote_drop(other.handle);
	saw("turns: %ld here, %ld on the other thread, %ld of them not where they began", n, other.n_switches, other.n_moved);
	saw("one environment for both: %s; resume of the other's coroutine: %s", is_one_env ? "yes" : "no",
	    error ? strerrorname_np(error) : "done");
	saw("posted to the other's loop: runs on %s thread", posted_on == other.tid ? "its" : "another");
	must(posted_on == other.tid, "a posted function on the owner's thread", "another");
	must(!is_one_env && other.n_moved == 0, "an environment each, and nobody that moves", "%ld moved", other.n_moved);
	co_release(co);
	if (n != 1000 || other.n_switches != 2000)
		return 'a';
	return error == EXDEV ? 'b' : error ? '?' : 'c';
}
