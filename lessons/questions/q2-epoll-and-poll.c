/* SPDX-License-Identifier: MIT */
/*
 * A poll for one coroutine that is made of epoll for all: libco's co_poll, in small. And what
 * each of the two calls cannot do.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 7,
	.belief = "Why does libco use both epoll and poll? One of them should do.",
	.natural = "Both wait for descriptors, and epoll is said to be the better one.",
	.predict = "could epoll alone do it, or poll alone?",
	.answers = { "epoll alone: it can all that poll can", "poll alone: it is only slower",
		     "neither: one knows the answers that programs expect, the other is quick for thousands" },
	.answer = 'c',
	.result = "epoll refuses files and a descriptor twice, where poll answers; poll looks at all descriptors each time",
	.because = "poll is what *one coroutine* asks about its few descriptors, and what unmodified programs call: "
		   "files, closed numbers, the same one twice. epoll is what the *thread* asks for everybody: it is "
		   "told once, and names only those that are ready. So libco has poll's interface, and waits by "
		   "epoll.",
};

/* --- co_poll in small: in the set, away, out of the set --------------------------------- */

static int epfd, n_given;
struct waiter {
	struct co *co;
	struct pollfd *fds;
};

static void mini_poll(struct pollfd *fds)
{
	struct waiter me = { co_self(), fds };
	struct epoll_event event = { .events = (uint32_t)fds->events, .data.ptr = &me };

	epoll_ctl(epfd, EPOLL_CTL_ADD, fds->fd, &event);
	co_yield_ct();
	epoll_ctl(epfd, EPOLL_CTL_DEL, fds->fd, NULL);
}

static int mini_loop(void)
{
	struct epoll_event events[16];
	int n = epoll_wait(epfd, events, 16, 1000);

	for (int i = 0; i < n; i++) {
		struct waiter *w = events[i].data.ptr;
		w->fds->revents = (short)events[i].events;
		co_resume(w->co);
	}
	return n;
}

static void *wait_for(void *fd)
{
	struct pollfd mine = { .fd = *(int *)fd, .events = POLLIN };

	mini_poll(&mine);
	n_given += mine.revents == POLLIN;
	return NULL;
}

/* --- what it takes to find one of a thousand ------------------------------------------------ */

enum { N = 200 };
static struct pollfd fds[N];

static void by_poll(long rounds)
{
	for (long i = 0; i < rounds; i++)
		poll(fds, N, 0);
}

static void by_epoll(long rounds)
{
	struct epoll_event events[N];

	for (long i = 0; i < rounds; i++)
		epoll_wait(epfd, events, N, 0);
}

static int add_error(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) ? errno : 0;
}

char experiment(void)
{
	static struct co *co[N];
	static int in[N], out[N];
	FILE *file = tmpfile();

	epfd = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < N; i++) {
		int fd[2];
		must(pipe(fd) == 0, "a pipe", "%s", strerror(errno));
		in[i] = fd[0];
		out[i] = fd[1];
		fds[i] = (struct pollfd){ .fd = fd[0], .events = POLLIN };
		co[i] = create(wait_for, &in[i]);
		co_resume(co[i]);
	}
	must(write(out[7], "x", 1) == 1, "a byte", "none");
	must(poll(fds, N, 0) == 1, "one that is ready", "another number");
	double poll_ns = ns_each(by_poll, 200), epoll_ns = ns_each(by_epoll, 200);
	saw("to find the one of %d that is ready: poll %.0f ns, epoll_wait %.0f ns", N, poll_ns, epoll_ns);
	int twice = add_error(in[0]), of_file = add_error(fileno(file));
	struct pollfd strange[] = { { fileno(file), POLLIN, 0 }, { in[7], POLLIN, 0 }, { in[7], POLLIN, 0 } };
	int n_strange = poll(strange, 3, 0);
	saw("a file, and a pipe twice: epoll says %s and %s; poll finds %d of 3 ready", strerrorname_np(of_file),
	    strerrorname_np(twice), n_strange);
	must(n_strange == 3, "three answers of poll", "%d", n_strange);

	int n = mini_loop();
	saw("co_poll in small: %d event, and %d coroutine has poll's answer in its pollfd", n, n_given);
	must(n == 1 && n_given == 1, "one each", "%d and %d", n, n_given);
	for (int i = 0; i < N; i++)
		co_release(co[i]);
	fclose(file);
	bool epoll_can_all = !twice && !of_file, poll_is_as_quick = poll_ns < 2 * epoll_ns;
	return epoll_can_all ? 'a' : poll_is_as_quick ? 'b' : 'c';
}
