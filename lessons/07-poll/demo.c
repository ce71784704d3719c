/* SPDX-License-Identifier: MIT */
/*
 * Lesson 7: poll for coroutines.
 *
 * Links with the layers of lessons 1 to 7.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "costep.h"

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

static void make_pipe(int p[2])
{
	if (pipe(p) != 0) {
		perror("pipe");
		exit(1);
	}
}

static void put(int fd, const char *bytes)
{
	if (write(fd, bytes, 1) != 1)
		perror("write");
}

/* --- a clock of our own, as in lesson 5: it jumps when there is nothing else to do ---------- */

static int64_t now;

static int64_t tell(void)
{
	return now;
}

static void jump(int64_t at_ns)
{
	now = at_ns;
}

static const struct co_clock our_clock = { .now_ns = tell, .sleep_until = jump };

/* --- 1. three descriptors and a timeout -------------------------------------------------- */

static int in[3][2]; /* three pipes */

static void *collect(void *arg)
{
	for (;;) {
		struct pollfd fds[3]; /* on the coroutine's own stack */
		for (int i = 0; i < 3; i++)
			fds[i] = (struct pollfd){ .fd = in[i][0], .events = POLLIN };
		int n = co_poll(NULL, fds, 3, 50);
		printf("   collector: %d ready:", n);
		for (int i = 0; i < 3; i++) {
			char c;
			if (fds[i].revents & POLLIN && read(in[i][0], &c, 1) == 1)
				printf(" pipe %d said '%c'", i, c);
		}
		printf("%s\n", n ? "" : " 50 ms are over");
		if (n == 0)
			return arg;
	}
}

static void *say_one(void *arg)
{
	co_sleep_ms(5);
	put(in[1][1], "a");
	return arg;
}

static void *say_two(void *arg)
{
	co_sleep_ms(10);
	put(in[0][1], "b");
	put(in[2][1], "c");
	return arg;
}

static void show_three(void)
{
	printf("1. one waits for three pipes, at most 50 ms; others write to them\n");
	for (int i = 0; i < 3; i++)
		make_pipe(in[i]);
	struct co *co[] = { start("collector", collect, NULL), start("one", say_one, NULL), start("two", say_two, NULL) };
	co_eventloop(NULL, NULL, NULL);
	for (int i = 0; i < 3; i++)
		co_release(co[i]);
}

/* --- 2. the same answers ------------------------------------------------------------------- */

static void compare(const char *what, struct pollfd *fds, nfds_t n)
{
	struct pollfd theirs[4], ours[4];

	for (nfds_t i = 0; i < n; i++) {
		theirs[i] = ours[i] = fds[i];
		theirs[i].revents = ours[i].revents = 0x7f; /* what was there before */
	}
	int their = poll(theirs, n, 10), our = co_poll(NULL, ours, n, 10);
	printf("   %-26s poll %d (", what, their);
	for (nfds_t i = 0; i < n; i++)
		printf(" %#x", (unsigned)theirs[i].revents);
	printf(" )   co_poll %d (", our);
	for (nfds_t i = 0; i < n; i++)
		printf(" %#x", (unsigned)ours[i].revents);
	printf(" )\n");
}

static void *ask_both(void *arg)
{
	int p[2], hung_up[2], pair[2];
	int file = open("/proc/self/exe", O_RDONLY);

	make_pipe(p);
	make_pipe(hung_up);
	close(hung_up[1]);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		exit(1);
	compare("nothing to read", (struct pollfd[]){ { p[0], POLLIN, 0 } }, 1);
	compare("the other end is closed", (struct pollfd[]){ { hung_up[0], POLLIN, 0 } }, 1);
	compare("closed, and no event asked", (struct pollfd[]){ { hung_up[0], 0, 0 } }, 1);
	compare("a file", (struct pollfd[]){ { file, POLLIN | POLLOUT, 0 } }, 1);
	compare("not open", (struct pollfd[]){ { 999, POLLIN, 0 } }, 1);
	compare("not open, and a pipe", (struct pollfd[]){ { 999, POLLIN, 0 }, { p[0], POLLIN, 0 } }, 2);
	compare("negative, and a pipe", (struct pollfd[]){ { -1, POLLIN, 0 }, { p[1], POLLOUT, 0 } }, 2);
	compare("the same socket twice", (struct pollfd[]){ { pair[0], POLLIN, 0 }, { pair[0], POLLOUT, 0 } }, 2);
	return arg;
}

static void show_same(void)
{
	printf("2. poll(2) and co_poll asked the same (revents in hex: IN 1, OUT 4, HUP 0x10, NVAL 0x20)\n");
	struct co *co = start("asker", ask_both, NULL);
	co_eventloop(NULL, NULL, NULL);
	co_release(co);
}

/* --- 3. whose thread stands still ----------------------------------------------------------- */

static int n_ticks;

static void *tick(void *arg)
{
	for (;;) {
		co_sleep_ms(2);
		n_ticks++;
	}
	return arg;
}

static int ticks_during(int (*wait)(struct pollfd *, nfds_t, int))
{
	int before = n_ticks;
	struct pollfd silent = { in[0][0], POLLIN, 0 };
	wait(&silent, 1, 100);
	return n_ticks - before;
}

static int kernels_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return poll(fds, n, timeout_ms);
}

static int our_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return co_poll(NULL, fds, n, timeout_ms);
}

static void *wait_both_ways(void *arg)
{
	printf("   during poll(2) the other ticked %d times\n", ticks_during(kernels_poll));
	printf("   during co_poll it ticked more than 10 times: %s\n", ticks_during(our_poll) > 10 ? "yes" : "no");
	return arg;
}

static void show_still(void)
{
	printf("3. one waits 100 ms for a silent pipe, another ticks every 2 ms\n");
	struct co *ticker = start("ticker", tick, NULL);
	struct co *waiter = start("waiter", wait_both_ways, NULL);
	while (co_status(waiter) != CO_DONE)
		co_sleep_ms(1);
	co_release(waiter);
	co_release(ticker);
}

/* --- 4. ready is not a promise ----------------------------------------------------------------- */

static void *take_one(void *fd)
{
	struct pollfd p = { *(int *)fd, POLLIN, 0 };
	int n = co_poll(NULL, &p, 1, 30);
	char c;

	if (n == 1 && read(p.fd, &c, 1) == 1)
		printf("   %s: co_poll says %d, and read gives '%c'\n", co_name(co_self()), n, c);
	else
		printf("   %s: co_poll says %d\n", co_name(co_self()), n);
	return NULL;
}

static void show_one_byte(void)
{
	int p[2];

	printf("4. two wait for the same pipe, at most 30 ms; one byte comes\n");
	make_pipe(p);
	struct co *a = start("a", take_one, &p[0]);
	struct co *b = start("b", take_one, &p[0]);
	put(p[1], "x");
	co_eventloop(NULL, NULL, NULL);
	co_release(a);
	co_release(b);
}

/* --- 5. main ---------------------------------------------------------------------------------------- */

static void show_main(void)
{
	int p[2];
	struct pollfd entry;

	printf("5. main itself calls co_poll\n");
	make_pipe(p);
	entry = (struct pollfd){ p[0], POLLIN, 0 };
	printf("   timeout 0: %d\n", co_poll(NULL, &entry, 1, 0));
	in[1][1] = p[1];
	struct co *writer = start("writer", say_one, NULL); /* sleeps 5 ms, then writes to it */
	printf("   the writer is %s; main waits for ever\n", co_state_name(co_status(writer)));
	printf("   main: %d ready", co_poll(NULL, &entry, 1, -1));
	printf("; the writer is %s\n", co_state_name(co_status(writer)));
	co_release(writer);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	co_set_clock(&our_clock);
	show_three();
	co_set_clock(NULL);
	show_same();
	show_still();
	show_one_byte();
	show_main();
	printf("main returns\n");
	return 0;
}
