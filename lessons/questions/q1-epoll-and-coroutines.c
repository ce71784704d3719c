/* SPDX-License-Identifier: MIT */
/*
 * Coroutines without epoll: first they only resume and yield; then three wait for pipes, and
 * main asks poll(2) whom to resume. Then the library's loop, which asks epoll.
 */
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 6,
	.belief = "What has epoll to do with coroutines? Is it what switches them?",
	.natural = "libco's files are full of epoll, and its loop is an epoll loop.",
	.predict = "a program makes 20 000 switches by resume and yield. Then three coroutines wait for pipes. Which "
		   "of the two needs epoll?",
	.answers = { "neither", "both", "only the second" },
	.answer = 'a',
	.result = "switches make no system call; whom to resume, any call can tell that waits for descriptors: poll(2) does as well",
	.because = "A coroutine that waits for a descriptor yields. Somebody must resume it when the time has come, "
		   "and must know when. The loop asks for all of them at once, and epoll is the call that answers "
		   "best: it has been told of each descriptor once, and names only those that are ready. To the "
		   "coroutines it is only the loop's news.",
};

static struct pollfd fds[3]; /* three pipes, with a byte in each */
static volatile int *n_served;

static void make_pipes(void)
{
	for (int i = 0; i < 3; i++) {
		int fd[2];
		if (pipe(fd) != 0 || write(fd[1], "x", 1) != 1)
			_exit(1);
		fds[i] = (struct pollfd){ .fd = fd[0], .events = POLLIN };
	}
}

/* --- nobody waits ------------------------------------------------------------------------ */

static void *yield_for_ever(void *arg)
{
	for (;;)
		co_yield_ct();
	return arg;
}

static void resume_and_yield(void)
{
	struct co *co = create(yield_for_ever, NULL);

	for (int i = 0; i < 10000; i++)
		co_resume(co);
}

/* --- a loop of our own, without epoll ------------------------------------------------------ */

static void *yield_and_read(void *fd)
{
	char c;

	co_yield_ct(); /* until main says that there is something */
	*n_served += read((int)(intptr_t)fd, &c, 1) == 1;
	return NULL;
}

static void wait_by_poll(void)
{
	struct co *co[3];

	make_pipes();
	for (int i = 0; i < 3; i++) {
		co[i] = create(yield_and_read, (void *)(intptr_t)fds[i].fd);
		co_resume(co[i]);
	}
	while (*n_served < 3 && poll(fds, 3, 1000) > 0)
		for (int i = 0; i < 3; i++)
			if (fds[i].revents) {
				co_resume(co[i]);
				fds[i].fd = -1;
			}
}

/* --- the library's loop -------------------------------------------------------------------- */

static void *wait_and_read(void *fd)
{
	char c;

	co_wait_until((int)(intptr_t)fd, POLLIN, CO_NEVER);
	*n_served += read((int)(intptr_t)fd, &c, 1) == 1;
	return NULL;
}

static void wait_by_epoll(void)
{
	make_pipes();
	for (int i = 0; i < 3; i++)
		co_resume(create(wait_and_read, (void *)(intptr_t)fds[i].fd));
	co_eventloop(NULL, NULL, NULL);
}

static long epoll_calls(struct calls calls)
{
	return calls.of[SYS_epoll_create1] + calls.of[SYS_epoll_ctl] + calls.of[SYS_epoll_wait] + calls.of[SYS_epoll_pwait] +
	       calls.of[SYS_epoll_pwait2];
}

char experiment(void)
{
	n_served = shared_with_child(sizeof(*n_served));
	struct calls bare = count_calls(resume_and_yield);
	struct calls by_poll = count_calls(wait_by_poll);
	int served_by_poll = *n_served;
	*n_served = 0;
	struct calls by_epoll = count_calls(wait_by_epoll);

	if (bare.all < 0) {
		lacks("ptrace, so system calls are not counted");
		wait_by_poll();
		saw("three wait, main asks poll(2): %d are served", *n_served);
		return *n_served == 3 ? 'a' : 'c';
	}
	saw("20000 switches:                  %2ld calls of epoll, %ld system calls in all", epoll_calls(bare), bare.all);
	saw("three wait, main asks poll(2):   %2ld calls of epoll, %ld of poll; %d are served", epoll_calls(by_poll),
	    by_poll.of[SYS_poll], served_by_poll);
	saw("three wait, the loop asks epoll: %2ld calls of epoll; %d are served", epoll_calls(by_epoll), *n_served);
	must(bare.all < 200, "far fewer system calls than switches", "%ld", bare.all);
	must(epoll_calls(by_epoll) >= 3 && *n_served == 3, "three who wait by epoll", "%ld calls, %d served",
	     epoll_calls(by_epoll), *n_served);
	return epoll_calls(bare) ? 'b' : served_by_poll == 3 && !epoll_calls(by_poll) ? 'a' : 'c';
}
