/* SPDX-License-Identifier: MIT */
/*
 * Two coroutines and a pthread mutex: A locks it and waits for something, B wants it too.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 11,
	.belief = "Use a pthread mutex: it is what mutexes are.",
	.natural = "It lets one in, and whoever comes second waits until the first is out.",
	.predict = "A holds the mutex and waits for something. B calls pthread_mutex_lock. What happens?",
	.answers = { "the thread hangs for ever",
		     "B waits, A goes on and unlocks, B gets it",
		     "B is let in" },
	.answer = 'a',
	.result = "a second lock of a pthread mutex hangs the thread, holder included; a recursive one lets both in",
	.because = "The mutex belongs to a *thread*, and it is one thread. B's lock asks the kernel to stop the "
		   "thread until the holder unlocks, but the holder is a coroutine of this very thread. A recursive "
		   "mutex sees its owner come again, and lets in whoever it is. A mutex for coroutines parks B, and "
		   "the loop runs A.",
};

static pthread_mutex_t mutex;
static struct co_mutex *co_mutex;
static volatile struct {
	int inside, most; /* how many are between lock and unlock */
} *seen;

static void lock(void)
{
	if (co_mutex)
		co_mutex_lock(co_mutex);
	else
		pthread_mutex_lock(&mutex);
}

static void unlock(void)
{
	if (co_mutex)
		co_mutex_unlock(co_mutex);
	else
		pthread_mutex_unlock(&mutex);
}

static void *use(void *arg)
{
	lock();
	seen->inside++;
	if (seen->inside > seen->most)
		seen->most = seen->inside;
	co_reschedule();
	seen->inside--;
	unlock();
	return arg;
}

static void both(void)
{
	co_resume(create(use, NULL));
	co_resume(create(use, NULL));
	co_eventloop(NULL, NULL, NULL);
}

static struct ended run(const char *what, int type)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutex_init(&mutex, &attr);
	memset((void *)seen, 0, sizeof(*seen));
	struct ended end = in_child(both);
	saw("%s: at most %d inside; the program %s", what, seen->most, how(end));
	return end;
}

char experiment(void)
{
	seen = shared_with_child(sizeof(*seen));
	struct ended plain = run("pthread, plain    ", PTHREAD_MUTEX_NORMAL);
	int most = seen->most;
	struct ended end = run("pthread, recursive", PTHREAD_MUTEX_RECURSIVE);
	must(seen->most == 2 && !end.is_hung, "both inside a recursive one", "%d, it %s", seen->most, how(end));
	co_mutex = co_mutex_alloc();
	end = run("co_mutex          ", PTHREAD_MUTEX_NORMAL);
	must(seen->most == 1 && !end.is_hung, "one at a time", "%d, it %s", seen->most, how(end));
	return plain.is_hung && most == 1 ? 'a' : plain.is_hung ? '?' : most == 1 ? 'b' : 'c';
}
