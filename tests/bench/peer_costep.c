/* SPDX-License-Identifier: MIT */
/*
 * costep itself, by its public functions.
 *
 * SWITCH is coctx_swap, ROUNDTRIP is co_resume and co_yield_ct. The coroutines that talk
 * have their hooks on, and call read and write.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "co_poll.h"
#include "coctx.h"
#include "cond.h"
#include "coroutine.h"
#include "hooks.h"
#include "loop.h"
#include "sharestack.h"
#include "sleep.h"

#include "peer.h"

static inline void yield_here(void *me)
{
	(void)me;
	co_yield_ct();
}
#include "frames.h"

static const struct co_attr private_stack = { .stack_size = STACK_BYTES };

static struct co *make(const struct co_attr *attr, co_fn *fn, void *arg)
{
	struct co *co;

	if (co_create(&co, attr, fn, arg) != 0)
		give_up("co_create failed");
	return co;
}

/* --- bare ------------------------------------------------------------------------------- */

static struct coctx here, there;
static const struct coctx *nobody = &coctx_nobody;
static long has_flags;
static volatile double three = 3.0;

static void bounce(void *arg)
{
	(void)arg;
	if (has_flags)
		three = 1.0 / three; /* inexact: a sticky flag is up from here on */
	for (;;)
		coctx_swap(&there, &here);
}

static void bare(long n, long arg)
{
	(void)arg;
	if (!there.rip)
		coctx_make(&there, (char *)malloc(STACK_BYTES) + STACK_BYTES, bounce, NULL, &nobody);
	for (long i = 0; i < n / 2; i++)
		coctx_swap(&here, &there);
}

static void bare_differ(long n, long arg)
{
	has_flags = 1;
	bare(n, arg);
}

/* --- resume and yield ------------------------------------------------------------------- */

static void *yield_for_ever(void *frames)
{
	for (;;)
		yield_below((long)frames, NULL);
	return NULL;
}

static void roundtrip(long n, long frames)
{
	static struct co *co;

	if (!co)
		co = make(&private_stack, yield_for_ever, (void *)frames);
	for (long i = 0; i < n; i++)
		co_resume(co);
}

static void round_many(long n, long frames)
{
	static struct co *co[MANY];
	static long next;

	for (long i = 0; i < MANY && !co[i]; i++)
		co[i] = make(&private_stack, yield_for_ever, (void *)frames);
	for (long i = 0; i < n; i++, next = (next + 1) % MANY)
		co_resume(co[next]);
}

static void *return_at_once(void *arg)
{
	return arg;
}

static void create(long n, long alive)
{
	static struct co *co[MANY];

	for (; n > 0; n -= alive) {
		for (long i = 0; i < alive; i++)
			co[i] = make(&private_stack, return_at_once, NULL);
		for (long i = 0; i < alive; i++)
			co_resume(co[i]);
		for (long i = 0; i < alive; i++)
			co_release(co[i]);
	}
}

static struct co_attr shared_stack(int slots)
{
	struct co_attr attr = { .share_stack = co_alloc_sharestack(slots, STACK_BYTES) };

	if (!attr.share_stack)
		give_up("co_alloc_sharestack failed");
	return attr;
}

static void *yield_with_locals(void *len)
{
	volatile char locals[(size_t)len];

	for (;;) {
		locals[0] = locals[(size_t)len - 1] = 1;
		co_yield_ct();
	}
	return NULL;
}

static void shared(long n, long len)
{
	static struct co *co[2];

	if (!co[0]) {
		struct co_attr attr = shared_stack(1);
		co[0] = make(&attr, yield_with_locals, (void *)len);
		co[1] = make(&attr, yield_with_locals, (void *)len);
	}
	for (long i = 0; i < n; i++)
		co_resume(co[i & 1]);
}

/* --- idle ------------------------------------------------------------------------------- */

static void idle(long n)
{
	for (long i = 0; i < n; i++)
		co_resume(make(&private_stack, yield_for_ever, NULL));
}

static double idle_shared(long n)
{
	struct co_attr attr = shared_stack(16);
	struct co_sharestack_stats stats;

	for (long i = 0; i < n; i++)
		co_resume(make(&attr, yield_for_ever, NULL));
	co_sharestack_stats(attr.share_stack, &stats);
	return (double)stats.saved_bytes / (double)stats.saves;
}

/* --- the scheduler ---------------------------------------------------------------------- */

struct task {
	void (*body)(void *);
	void *arg;
	struct co *co;
	struct task *next;
};

static struct task *tasks; /* to be released in join */

static void *run_task(void *arg)
{
	struct task *t = arg;

	co_enable_hook_sys();
	t->body(t->arg);
	return NULL;
}

static void spawn(void (*body)(void *), void *arg)
{
	struct task *t = malloc(sizeof(*t));

	*t = (struct task){ body, arg, NULL, tasks };
	tasks = t;
	t->co = make(&private_stack, run_task, t);
	co_resume(t->co);
}

static void join(void)
{
	if (co_eventloop(NULL, NULL, NULL) != 0)
		give_up("co_eventloop failed");
	for (struct task *t; (t = tasks);) {
		tasks = t->next;
		co_release(t->co);
		free(t);
	}
}

static void sleep_ns(int64_t ns)
{
	co_sleep_ns(ns);
}

static struct co_cond *gate;

static void gate_wait(void)
{
	if (!gate)
		gate = co_cond_alloc();
	co_cond_timedwait(gate, -1);
}

static void gate_open(void)
{
	if (gate)
		co_cond_broadcast(gate);
}

static void *open_file(int fd)
{
	return (void *)(long)fd;
}

static void close_file(void *file)
{
	close((int)(long)file);
}

static int accept_file(void *file)
{
	return accept((int)(long)file, NULL, NULL);
}

static ssize_t read_file(void *file, void *buf, size_t len)
{
	return read((int)(long)file, buf, len);
}

static ssize_t write_file(void *file, const void *buf, size_t len)
{
	return write((int)(long)file, buf, len);
}

static void poll_in(void *file)
{
	struct pollfd p = { .fd = (int)(long)file, .events = POLLIN };

	co_poll(NULL, &p, 1, -1);
}

static const struct sched sched = {
	0, spawn, join, sleep_ns, gate_wait, gate_open, open_file, close_file, accept_file, read_file,
	write_file, poll_in,
};

const struct peer peer = {
	.name = "costep",
	.what = "this library",
	.loop = { [SWITCH] = bare, [DIFFER] = bare_differ, [ROUNDTRIP] = roundtrip, [ROUND_MANY] = round_many,
		  [CREATE] = create, [SHARED] = shared },
	.idle = idle,
	.idle_shared = idle_shared,
	.sched = &sched,
};
