/* SPDX-License-Identifier: MIT */
/*
 * Lesson 6: waiting for descriptors.
 *
 * Links with the layers of lessons 1 to 6. epoll.h is what lesson 7 is made of;
 * programs do not include it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "costep.h"
#include "epoll.h"
#include "park.h"

static struct co *start(const char *name, co_fn *fn, void *arg)
{
	struct co *co;
	if (co_create(&co, NULL, fn, arg) != 0) {
		perror("co_create");
		exit(1);
	}
	co_set_name(co, name);
	co_resume(co);
	return co;
}

/* --- a call that blocks, made of what there is --------------------------------------- */

/* On the heap, as all that somebody else touches while we are away. */
struct wait {
	struct co_waiter waiter;
	struct co *co;
	uint32_t events;
};

static void wake_up(struct co_waiter *waiter, uint32_t events)
{
	struct wait *w = container_of(waiter, struct wait, waiter);
	w->events = events;
	co_wake(w->co);
}

static void give_up(struct co *co)
{
	struct wait *w = co->waits_in;
	co_unwatch(&w->waiter);
	free(w);
}

/* Park until something of @events can be done with @fd. Returns what; 0: epoll
 * does not take it, errno. */
static uint32_t wait_for(int fd, uint32_t events)
{
	struct wait *w = calloc(1, sizeof(*w));
	uint32_t result = 0;

	w->co = co_self();
	w->waiter = (struct co_waiter){ .fd = fd, .events = events, .fire = wake_up };
	if (co_watch(&w->waiter) == 0) {                             /* 1. put myself on a list */
		co_park(give_up, w, __builtin_return_address(0));    /* 2. say how to leave it, 3. switch away */
		result = w->events;
	}
	free(w);
	return result;
}

static void say(const char *what)
{
	printf("   %s: %s\n", co_name(co_self()), what);
}

/* --- 1. ping and pong through pipes --------------------------------------------------- */

static int to_ping[2], to_pong[2];

static void *play(void *is_ping)
{
	int in = is_ping ? to_ping[0] : to_pong[0], out = is_ping ? to_pong[1] : to_ping[1];
	char ball;

	for (int i = 0; i < 2; i++) {
		say("waits for the ball");
		wait_for(in, EPOLLIN);
		if (read(in, &ball, 1) == 1 && write(out, &ball, 1) == 1)
			say("has it, and throws it back");
	}
	return NULL;
}

static void show_ping_pong(void)
{
	printf("1. ping and pong throw a byte through two pipes\n");
	if (pipe(to_ping) != 0 || pipe(to_pong) != 0)
		exit(1);
	struct co *ping = start("ping", play, "yes");
	struct co *pong = start("pong", play, NULL);
	printf("   main: both are %s; throws the ball to ping, runs the loop\n", co_state_name(co_status(ping)));
	if (write(to_ping[1], "o", 1) != 1)
		exit(1);
	co_eventloop(NULL, NULL, NULL);
	co_release(ping);
	co_release(pong);
}

/* --- 2. nothing to do -------------------------------------------------------------------- */

static void *wait_on_pipe(void *fd)
{
	wait_for(*(int *)fd, EPOLLIN);
	say("data, at last");
	return NULL;
}

static void show_idle(void)
{
	enum { N = 1000 };
	static struct co *waiting[N];
	int p[2];

	printf("2. 1000 coroutines wait on one pipe, for which nothing comes; main sleeps half a second\n");
	if (pipe(p) != 0)
		exit(1);
	for (int i = 0; i < N; i++)
		waiting[i] = start("idle", wait_on_pipe, &p[0]);
	struct co_loop_stats before = co_loop_stats();
	co_sleep_ms(500);
	struct co_loop_stats after = co_loop_stats();
	printf("   meanwhile the thread slept %d time, and made %d system call\n", (int)(after.sleeps - before.sleeps),
	       (int)(after.syscalls - before.syscalls));
	for (int i = 0; i < N; i++)
		co_release(waiting[i]);
	close(p[0]);
	close(p[1]);
}

/* --- 3. two on one descriptor ----------------------------------------------------------------- */

static int pair[2];

static void *read_pair(void *arg)
{
	wait_for(pair[0], EPOLLIN);
	say("there is something to read");
	return arg;
}

static void *write_pair(void *arg)
{
	wait_for(pair[0], EPOLLOUT);
	say("there is room to write");
	return arg;
}

static void show_two(void)
{
	printf("3. one wants to read from a socket, another to write to it\n");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		exit(1);
	struct co *reader = start("reader", read_pair, NULL);
	struct co *writer = start("writer", write_pair, NULL);
	co_sleep_ms(1);
	printf("   main: the reader is %s, the writer is %s; sends a byte\n", co_state_name(co_status(reader)),
	       co_state_name(co_status(writer)));
	if (write(pair[1], "x", 1) != 1)
		exit(1);
	co_eventloop(NULL, NULL, NULL);
	co_release(reader);
	co_release(writer);
}

/* --- 4. a number that means another file ----------------------------------------------------------- */

static void *read_number(void *fd)
{
	uint32_t events = wait_for(*(int *)fd, EPOLLIN);
	say(events & EPOLLNVAL ? "my file is gone" : "there is something to read");
	return NULL;
}

static void show_reuse(void)
{
	int old[2], new[2];

	printf("4. somebody closes a pipe on which another waits; a new pipe gets its number\n");
	if (pipe(old) != 0)
		exit(1);
	int number = old[0];
	struct co *a = start("a", read_number, &number);
	close(old[0]); /* and tells nobody */
	if (pipe(new) != 0)
		exit(1);
	printf("   main: the new pipe has the number of the old: %s\n", new[0] == number ? "yes" : "no");
	struct co *b = start("b", read_number, &number);
	printf("   main: a is %s, b is %s; writes to the new pipe\n", co_state_name(co_status(a)),
	       co_state_name(co_status(b)));
	if (write(new[1], "x", 1) != 1)
		exit(1);
	co_eventloop(NULL, NULL, NULL);
	co_release(a);
	co_release(b);
}

/* --- 5. what epoll does not take ------------------------------------------------------------------- */

static void *wait_on_file(void *path)
{
	int fd = open(path, O_RDONLY);
	errno = 0;
	wait_for(fd, EPOLLIN);
	printf("   %s: %s\n", (char *)path, errno == EPERM ? "EPERM, it is always ready" : strerror(errno));
	close(fd);
	return NULL;
}

static void show_files(void)
{
	printf("5. waiting for files\n");
	co_release(start("file", wait_on_file, "/proc/self/exe"));
	co_release(start("null", wait_on_file, "/dev/null"));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	show_ping_pong();
	show_idle();
	show_two();
	show_reuse();
	show_files();
	printf("main returns\n");
	return 0;
}
