/* SPDX-License-Identifier: MIT */
/*
 * Three coroutines sleep by usleep: libc's, and then with the hooks on (lesson 8). The order of
 * what they do is written down.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 8,
	.belief = "Inside a coroutine nothing blocks: only that coroutine waits.",
	.natural = "That is what coroutines are for.",
	.predict = "A, B and C each sleep 30 ms by usleep, as libc has it. In which order do they begin (a b c) and "
		   "wake (A B C)?",
	.answers = { "aAbBcC: one after the other", "abcABC: all sleep at the same time" },
	.answer = 'a',
	.result = "usleep stops the thread and everybody on it: aAbBcC; hooked, it parks the caller: abcABC",
	.because = "usleep asks the kernel to stop the *thread*, and the kernel knows of no coroutines. Whoever "
		   "wants only the coroutine to wait must not make that call: it must note the time, and yield to "
		   "somebody who knows. That is what a hooked usleep does.",
};

static char story[16];
static bool is_hooked;

static void *sleep_once(void *name)
{
	char began = *(char *)name, woke = (char)(began - 'a' + 'A');

	if (is_hooked)
		co_enable_hook_sys();
	strncat(story, &began, 1);
	usleep(30000);
	strncat(story, &woke, 1);
	return NULL;
}

static double run(bool hooked)
{
	struct co *co[3];
	int64_t begin = now_ns();

	is_hooked = hooked;
	story[0] = '\0';
	for (int i = 0; i < 3; i++) {
		co[i] = create(sleep_once, &"abc"[i]);
		co_resume(co[i]);
	}
	co_eventloop(NULL, NULL, NULL);
	for (int i = 0; i < 3; i++)
		co_release(co[i]);
	return (double)(now_ns() - begin) / 1e6;
}

char experiment(void)
{
	double ms = run(true);
	saw("hooked: %s, %.0f ms in all", story, ms);
	must(strcmp(story, "abcABC") == 0, "abcABC when hooked", "%s", story);
	ms = run(false);
	saw("libc's: %s, %.0f ms in all", story, ms);
	return strcmp(story, "aAbBcC") == 0 ? 'a' : strcmp(story, "abcABC") == 0 ? 'b' : '?';
}
