/* SPDX-License-Identifier: MIT */
/*
 * One coroutine waits for 200 ms, nothing else happens. libco's loop in small asks epoll for at
 * most a millisecond, each time; the other knows when the next timer is due. (epoll_wait, of
 * lesson 6, is here just a call that sleeps.)
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 5,
	.belief = "An idle loop costs nothing; and if it wakes once in a millisecond, that is next to nothing.",
	.natural = "It sleeps in epoll_wait, does it not? A millisecond is long for a processor.",
	.predict = "one coroutine sleeps 200 ms, nothing else is to do. The loop calls epoll_wait with a limit of 1 "
		   "ms, as libco's does, or until the next timer. How often does each wake?",
	.answers = { "both once: nothing happens before", "two or three times against one", "more than ten times as often" },
	.answer = 'c',
	.result = "a loop with a tick of 1 ms wakes hundreds of times a second though nothing happens; one that knows the next timer once",
	.because = "libco's wheel cannot tell when its next timer is due without looking through 60 000 slots, so "
		   "the loop looks every millisecond. A heap knows its first. Each wake-up takes some microseconds "
		   "and ends the processor's deep sleep: a thousand times a second, in every idle thread.",
};

enum { MS = 200 };

/* libco's co_eventloop, as far as it matters here. */
static long wakeups_with_tick(void)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	int64_t due = now_ns() + MS * INT64_C(1000000);
	struct epoll_event events[16];
	long n = 0;

	while (now_ns() < due) {
		epoll_wait(epfd, events, 16, 1);
		n++;
		/* here it would look into the slots of the wheel that have passed */
	}
	close(epfd);
	return n;
}

static void *sleep_once(void *arg)
{
	co_sleep_ms(MS);
	return arg;
}

static long wakeups_of_ours(void)
{
	struct co *co = create(sleep_once, NULL);
	uint64_t before = co_loop_stats().sleeps;

	co_resume(co);
	co_eventloop(NULL, NULL, NULL);
	must(co_status(co) == CO_DONE, "a sleeper that is done", "%s", co_state_name(co_status(co)));
	co_release(co);
	return (long)(co_loop_stats().sleeps - before);
}

char experiment(void)
{
	long tick = wakeups_with_tick(), ours = wakeups_of_ours();

	saw("in %d ms: with a tick %ld wake-ups; until the next timer %ld", MS, tick, ours);
	must(ours >= 1 && ours <= 5, "a wake-up or a few by one that knows the next timer", "%ld", ours);
	return tick > 10 * ours ? 'c' : tick > ours ? 'b' : 'a';
}
