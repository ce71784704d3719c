/* SPDX-License-Identifier: MIT */
/*
 * GNU Pth, with select below.
 *
 * SWITCH is its pth_uctx_switch. It has no resume: ROUNDTRIP is main and another thread
 * that yield to each other by name. Memory is left out: it looks for a place for each thread
 * among all, so that 10 000 idle ones take 5 s to make (of 11 KB each).
 */
#include "peer.h"

#if __has_include(<pth.h>) && !defined(NO_LIBRARY)
#include <errno.h>
#include <pth.h>
#include <stdlib.h>

static pth_t main_thread;

static inline void yield_here(void *me)
{
	(void)me;
	pth_yield(main_thread);
}
#include "frames.h"

static pth_attr_t attr; /* stacks of STACK_BYTES */

static void init(void)
{
	if (!pth_init())
		give_up("pth_init failed");
	main_thread = pth_self();
	attr = pth_attr_new();
	pth_attr_set(attr, PTH_ATTR_STACK_SIZE, (unsigned)STACK_BYTES);
}

static pth_t make(void *(*fn)(void *), void *arg, int joinable)
{
	pth_attr_set(attr, PTH_ATTR_JOINABLE, joinable);
	pth_t t = pth_spawn(attr, fn, arg);
	if (!t)
		give_up("pth_spawn failed");
	return t;
}

/* --- bare ------------------------------------------------------------------------------- */

static pth_uctx_t here, there;
static int has_flags;
static volatile double three = 3.0;

static void bounce(void *arg)
{
	(void)arg;
	if (has_flags)
		three = 1.0 / three; /* inexact: a sticky flag is up from here on */
	for (;;)
		pth_uctx_switch(there, here);
}

static void bare(long n, long arg)
{
	(void)arg;
	if (!there) {
		pth_uctx_create(&here);
		pth_uctx_create(&there);
		if (!pth_uctx_make(there, NULL, STACK_BYTES, NULL, bounce, NULL, NULL))
			give_up("pth_uctx_make failed");
	}
	for (long i = 0; i < n / 2; i++)
		pth_uctx_switch(here, there);
}

static void bare_differ(long n, long arg)
{
	has_flags = 1;
	bare(n, arg);
}

/* --- threads ---------------------------------------------------------------------------- */

static void *yield_for_ever(void *frames)
{
	for (;;)
		yield_below((long)frames, NULL);
	return NULL;
}

static void roundtrip(long n, long frames)
{
	static pth_t other;

	if (!other)
		other = make(yield_for_ever, (void *)frames, FALSE);
	for (long i = 0; i < n; i++)
		pth_yield(other);
}

static void *return_at_once(void *arg)
{
	return arg;
}

static void create(long n, long alive)
{
	static pth_t t[MANY];

	for (; n > 0; n -= alive) {
		for (long i = 0; i < alive; i++)
			t[i] = make(return_at_once, NULL, TRUE);
		for (long i = 0; i < alive; i++)
			pth_join(t[i], NULL);
	}
}

/* --- the scheduler ---------------------------------------------------------------------- */

static pth_mutex_t lock = PTH_MUTEX_INIT;
static pth_cond_t gate = PTH_COND_INIT, all_ended = PTH_COND_INIT;
static long n_running;

static void gate_wait(void)
{
	pth_mutex_acquire(&lock, FALSE, NULL);
	pth_cond_await(&gate, &lock, NULL);
	pth_mutex_release(&lock);
}

static void gate_open(void)
{
	pth_cond_notify(&gate, TRUE);
}

struct task {
	void (*body)(void *);
	void *arg;
};

static void *run_task(void *arg)
{
	struct task t = *(struct task *)arg;

	free(arg);
	t.body(t.arg);
	if (--n_running == 0)
		pth_cond_notify(&all_ended, FALSE);
	return NULL;
}

static void spawn(void (*body)(void *), void *arg)
{
	struct task *t = malloc(sizeof(*t));

	*t = (struct task){ body, arg };
	n_running++;
	make(run_task, t, FALSE);
}

static void join(void)
{
	pth_mutex_acquire(&lock, FALSE, NULL);
	while (n_running > 0)
		pth_cond_await(&all_ended, &lock, NULL);
	pth_mutex_release(&lock);
}

static void sleep_ns(int64_t ns)
{
	long us = (long)((ns + 999) / 1000); /* it counts microseconds */

	pth_nap(pth_time(us / 1000000, us % 1000000));
}

static int fd_of(void *file)
{
	return (int)(long)file;
}

static void *open_file(int fd)
{
	return (void *)(long)fd;
}

static void close_file(void *file)
{
	close(fd_of(file));
}

static int accept_file(void *file)
{
	return pth_accept(fd_of(file), NULL, NULL);
}

static ssize_t read_file(void *file, void *buf, size_t len)
{
	return pth_read(fd_of(file), buf, len);
}

static ssize_t write_file(void *file, const void *buf, size_t len)
{
	return pth_write(fd_of(file), buf, len);
}

static void poll_in(void *file)
{
	struct pollfd p = { .fd = fd_of(file), .events = POLLIN };

	pth_poll(&p, 1, -1);
}

static const struct sched sched = {
	1000, spawn, join, sleep_ns, gate_wait, gate_open, open_file, close_file, accept_file, read_file,
	write_file, poll_in,
};

const struct peer peer = {
	.name = "pth",
	.what = "GNU Pth",
	.init = init,
	.loop = { [SWITCH] = bare, [DIFFER] = bare_differ, [ROUNDTRIP] = roundtrip, [CREATE] = create },
	.sched = &sched,
};
#else
const struct peer peer = { .name = "pth", .what = "GNU Pth", .missing = "libpth-dev" };
#endif
