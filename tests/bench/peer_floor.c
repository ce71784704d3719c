/* SPDX-License-Identifier: MIT */
/*
 * Not a library: the least that each thing can cost here, in the same run.
 *
 * SWITCH and ROUNDTRIP: floor_swap, which keeps six registers. SHARED: two memcpys of the
 * live bytes, out of the stack and in again. I/O: epoll(7), one thread, no coroutines;
 * each descriptor is registered once, and read when it is said to be readable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

void floor_swap(void **from, void *const *to);

enum { RBX, RBP, R12, R13, R14, R15, RSP, RIP, REGS };

struct side {
	void *regs[REGS];
	long frames;
};

static struct side here;

static inline void yield_here(void *me)
{
	floor_swap(((struct side *)me)->regs, here.regs);
}
#include "frames.h"

static struct side *arriving; /* who begins */

static void yield_for_ever(void)
{
	struct side *me = arriving;

	for (;;)
		yield_below(me->frames, me);
}

static void make(struct side *s, long frames)
{
	char *top = (char *)malloc(STACK_BYTES) + STACK_BYTES - 64;

	s->regs[RSP] = top - (uintptr_t)top % 16 - 8; /* as behind a call */
	s->regs[RIP] = (void *)yield_for_ever;
	s->frames = frames;
	arriving = s;
	floor_swap(here.regs, s->regs);
}

static void roundtrip(long n, long frames)
{
	static struct side other;

	if (!other.regs[RIP])
		make(&other, frames);
	for (long i = 0; i < n; i++)
		floor_swap(here.regs, other.regs);
}

static void round_many(long n, long frames)
{
	static struct side other[MANY];
	static long next;

	for (long i = 0; i < MANY && !other[i].regs[RIP]; i++)
		make(&other[i], frames);
	for (long i = 0; i < n; i++, next = (next + 1) % MANY)
		floor_swap(here.regs, other[next].regs);
}

static void bare(long n, long arg)
{
	(void)arg;
	roundtrip(n / 2, 0);
}

static void copies(long n, long len)
{
	static char *stack, *buffer[2];

	if (!stack) {
		stack = memset(malloc((size_t)len), 1, (size_t)len);
		buffer[0] = memset(malloc((size_t)len), 2, (size_t)len);
		buffer[1] = memset(malloc((size_t)len), 3, (size_t)len);
	}
	for (long i = 0; i < n; i++) {
		memcpy(buffer[i & 1], stack, (size_t)len);
		__asm__ volatile("" ::: "memory");
		memcpy(stack, buffer[~i & 1], (size_t)len);
		__asm__ volatile("" ::: "memory");
	}
}

/* --- epoll ------------------------------------------------------------------------------ */

static int set = -1;

static void watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) != 0)
		give_up("epoll_ctl failed");
}

static void talk(long n, long arg)
{
	static int end[2];
	struct epoll_event event;
	char byte = 1;

	(void)arg;
	if (set < 0) {
		set = epoll_create1(0);
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, end) != 0)
			give_up("no socketpair");
		watch(end[0]);
		watch(end[1]);
	}
	for (long i = 0; i < n; i++) {
		if (write(end[0], &byte, 1) != 1 || epoll_wait(set, &event, 1, -1) != 1 || read(event.data.fd, &byte, 1) != 1 ||
		    write(event.data.fd, &byte, 1) != 1 || epoll_wait(set, &event, 1, -1) != 1 || read(event.data.fd, &byte, 1) != 1)
			give_up("talk failed");
	}
}

static void serve(int listener)
{
	struct epoll_event events[128];
	char buf[1024];

	set = epoll_create1(0);
	watch(listener);
	for (;;) {
		int n = epoll_wait(set, events, 128, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener) {
				watch(accept(listener, NULL, NULL));
				continue;
			}
			ssize_t len = read(fd, buf, sizeof(buf));
			if (len <= 0 || write(fd, buf, (size_t)len) != len)
				close(fd);
		}
	}
}

const struct peer peer = {
	.name = "floor",
	.what = "no library, the least: six registers; two memcpys; raw epoll",
	.loop = { [SWITCH] = bare, [DIFFER] = bare, [ROUNDTRIP] = roundtrip, [ROUND_MANY] = round_many, [SHARED] = copies,
		  [TALK] = talk },
	.serve = serve,
};
