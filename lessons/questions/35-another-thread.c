/* SPDX-License-Identifier: MIT */
/*
 * A function stops on one thread, and goes on on another: with bare contexts, for co_resume
 * refuses. Before and after it looks where its errno lies. (Only one of the threads ever
 * runs, so no lock could make it any safer.)
 */
#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <string.h>
#include <unistd.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 12,
	.belief = "A coroutine can be resumed on another thread, if one takes a lock.",
	.natural = "The lock sees to it that only one thread runs it at a time, and its stack is just memory.",
	.predict = "a function looks at &errno, stops, goes on on another thread, and looks at &errno again. (-O2.) "
		   "Whose is it now?",
	.answers = { "the old thread's", "the new thread's" },
	.answer = 'a',
	.result = "after the move the function still uses the old thread's errno: the compiler has kept its address",
	.because = "Within a function the thread does not change: so says the language, and the compiler asks for "
		   "the address of a thread's variable once. It may do so in *every* function that lies suspended on "
		   "that stack, libc's too. A lock does not help, for nobody else is using it. So costep refuses: "
		   "EXDEV. Give work to threads before it begins (co_remote_post).",
};

static struct coctx moved, back;
static alignas(16) char stack[256 * 1024];
static struct {
	pid_t tid[2];
	int *where[2], *asked_anew[2];
} seen;
/* What `errno` calls; asked through here, the compiler cannot know that it is the same. */
static int *(*volatile ask)(void) = __errno_location;

static void stop_and_go_on(void *arg)
{
	seen.tid[0] = gettid();
	seen.where[0] = &errno;
	seen.asked_anew[0] = ask();
	coctx_swap(&moved, &back);
	seen.tid[1] = gettid();
	seen.where[1] = &errno;
	seen.asked_anew[1] = ask();
	coctx_swap(&moved, &back);
	(void)arg;
}

static void *go_on(void *arg)
{
	coctx_swap(&back, &moved);
	return arg;
}

static void *nothing(void *arg)
{
	return arg;
}

static void *resume_it(void *co)
{
	return (void *)(intptr_t)(co_resume(co) ? errno : 0);
}

char experiment(void)
{
	pthread_t thread;
	void *error;

	make_context(&moved, stack + sizeof(stack), stop_and_go_on);
	coctx_swap(&back, &moved);
	pthread_create(&thread, NULL, go_on, NULL);
	pthread_join(thread, NULL);
	saw("it runs on another thread: %s", seen.tid[0] != seen.tid[1] ? "yes" : "no");
	saw("&errno is another: %s; asked anew, by a pointer to the function: %s",
	    seen.where[0] != seen.where[1] ? "yes" : "no", seen.asked_anew[0] != seen.asked_anew[1] ? "yes" : "no");
	must(seen.tid[0] != seen.tid[1] && seen.asked_anew[0] != seen.asked_anew[1], "two threads with an errno each", "one");

	struct co *co = create(nothing, NULL);
	pthread_create(&thread, NULL, resume_it, co);
	pthread_join(thread, &error);
	saw("co_resume of another thread's coroutine: %s", strerrorname_np((int)(intptr_t)error));
	must((intptr_t)error == EXDEV, "EXDEV", "%d", (int)(intptr_t)error);
	co_release(co);
	return seen.where[1] == seen.where[0] ? 'a' : 'b';
}
