/* SPDX-License-Identifier: MIT */
/*
 * Two coroutines add 1 to a counter, 1000 times each. In the middle of it each may have to wait.
 */
#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 11,
	.belief = "There is one thread, so there are no races, and no locks are needed.",
	.natural = "Two never run at the same time, and nobody is interrupted.",
	.predict = "two coroutines: read the counter, do something that gives others a turn, write counter + 1; 1000 "
		   "times each. What is the counter?",
	.answers = { "2000", "something between, another number each time", "1000" },
	.answer = 'c',
	.result = "two coroutines that wait between read and write lose each other's counts: 1000, not 2000; with a mutex 2000",
	.because = "Both read 0, both write 1. A race needs no second processor, only something that comes between "
		   "read and write: here, any call that may wait. (It is the same number each time, at least: with "
		   "threads it is not.) Where nothing waits in between, no lock is needed. Else a mutex that "
		   "coroutines wait for.",
};

static long counter;
static struct co_mutex *mutex;

static void *count(void *uses_mutex)
{
	for (int i = 0; i < 1000; i++) {
		if (uses_mutex)
			co_mutex_lock(mutex);
		long read = counter;
		co_reschedule(); /* say, it asks a server */
		counter = read + 1;
		if (uses_mutex)
			co_mutex_unlock(mutex);
	}
	return NULL;
}

static long run(void *uses_mutex)
{
	struct co *a = create(count, uses_mutex), *b = create(count, uses_mutex);

	counter = 0;
	co_resume(a);
	co_resume(b);
	co_eventloop(NULL, NULL, NULL);
	co_release(a);
	co_release(b);
	return counter;
}

char experiment(void)
{
	mutex = co_mutex_alloc();
	long with = run(mutex), without = run(NULL);

	saw("without a lock %ld, with co_mutex %ld", without, with);
	must(with == 2000, "2000 with a mutex", "%ld", with);
	co_mutex_free(mutex);
	return without == 2000 ? 'a' : without == 1000 ? 'c' : 'b';
}
