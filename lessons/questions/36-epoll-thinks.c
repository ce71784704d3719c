/* SPDX-License-Identifier: MIT */
/*
 * Three things that epoll does not do.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 6,
	.belief = "epoll waits for files too, edge-triggered it tells again while data is left, and close() wakes who waits.",
	.natural = "poll takes files, level-triggered epoll tells again, and what waits for a closed descriptor can "
		   "never be served.",
	.predict = "1. a file is added to an epoll set. 2. Ten bytes come, four are read, the set is edge-triggered "
		   "and asked again. 3. A thread waits for a pipe, another closes it. How many of the three "
		   "expectations come true?",
	.answers = { "all three", "the second and the third", "the third", "none" },
	.answer = 'd',
	.result = "epoll refuses files (EPERM), edge-triggered says nothing of bytes that are left, and close wakes nobody",
	.because = "A file is always ready, so there is nothing to wait for. An edge is a *change*, and no byte has "
		   "come since. And the set knows open files, not numbers: closing its last number takes it out of "
		   "the set, silently. So the loop treats files as ready, arms for one event at a time, and close "
		   "must say so (co_fd_closing).",
};

static int epfd;

static void add(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	must(epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) == 0, "a pipe in the set", "%s", strerror(errno));
}

static int n_events(int ms)
{
	struct epoll_event events[4];

	return epoll_wait(epfd, events, 4, ms);
}

static void *wait_50_ms(void *n)
{
	*(int *)n = n_events(50);
	return NULL;
}

char experiment(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	FILE *file = tmpfile();
	int fd[2], woken = -1, error;
	char bytes[4];
	pthread_t thread;

	epfd = epoll_create1(EPOLL_CLOEXEC);
	error = epoll_ctl(epfd, EPOLL_CTL_ADD, fileno(file), &event) ? errno : 0;
	saw("1. a file: %s", error ? strerrorname_np(error) : "added");
	fclose(file);

	must(pipe(fd) == 0, "a pipe", "none");
	add(fd[0], EPOLLIN | EPOLLET);
	must(write(fd[1], "0123456789", 10) == 10, "10 bytes", "fewer");
	int first = n_events(1000);
	must(read(fd[0], bytes, 4) == 4, "4 bytes", "others");
	int again = n_events(20);
	saw("2. ten bytes: %d event; four are read, asked again: %d events", first, again);
	must(first == 1, "one event for the first bytes", "%d", first);
	close(fd[0]);
	close(fd[1]);

	must(pipe(fd) == 0, "a pipe", "none");
	add(fd[0], EPOLLIN);
	pthread_create(&thread, NULL, wait_50_ms, &woken);
	usleep(10000);
	close(fd[0]);
	pthread_join(thread, NULL);
	saw("3. the pipe is closed while a thread waits for it: %d events", woken);
	close(fd[1]);
	close(epfd);
	if (!error)
		return again && woken ? 'a' : '?';
	return woken == 0 ? (again == 0 && error == EPERM ? 'd' : '?') : again ? 'b' : 'c';
}
