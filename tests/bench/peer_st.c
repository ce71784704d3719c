/* SPDX-License-Identifier: MIT */
/*
 * State Threads, with poll(2) below: Debian's has no epoll. (Its select is slower but for 1000
 * busy connections.)
 *
 * SWITCH is its own setjmp and longjmp, without the choice of who runs next. It has no
 * resume and no yield: ROUNDTRIP is two threads that signal each other's condition.
 */
#include "peer.h"

#if __has_include(<st.h>) && !defined(NO_LIBRARY)
#include <setjmp.h>
#include <st.h>
#include <stdlib.h>
#include <ucontext.h>

struct side {
	st_cond_t cond;
	long frames;
};

static struct side here;

static inline void yield_here(void *me)
{
	st_cond_signal(here.cond);
	st_cond_wait(((struct side *)me)->cond);
}
#include "frames.h"

static void init(void)
{
	if (st_set_eventsys(ST_EVENTSYS_POLL) != 0 || st_init() != 0)
		give_up("st_init failed");
}

static st_thread_t make(void *(*fn)(void *), void *arg, int joinable)
{
	st_thread_t t = st_thread_create(fn, arg, joinable, STACK_BYTES);

	if (!t)
		give_up("st_thread_create failed");
	return t;
}

/* --- bare ------------------------------------------------------------------------------- */

int _st_md_cxt_save(jmp_buf env) __attribute__((returns_twice));
void _st_md_cxt_restore(jmp_buf env, int value) __attribute__((noreturn));

static jmp_buf bare_here, bare_there;

static void bounce(void)
{
	for (;;)
		if (_st_md_cxt_save(bare_there) == 0)
			_st_md_cxt_restore(bare_here, 1);
}

static void bare(long n, long arg)
{
	static ucontext_t first, other;

	(void)arg;
	if (!other.uc_stack.ss_sp) { /* only to get to another stack */
		getcontext(&other);
		other.uc_stack.ss_sp = malloc(STACK_BYTES);
		other.uc_stack.ss_size = STACK_BYTES;
		makecontext(&other, bounce, 0);
		if (_st_md_cxt_save(bare_here) == 0)
			swapcontext(&first, &other);
	}
	for (volatile long i = 0; i < n / 2; i++)
		if (_st_md_cxt_save(bare_here) == 0)
			_st_md_cxt_restore(bare_there, 1);
}

/* --- threads ---------------------------------------------------------------------------- */

static void *yield_for_ever(void *arg)
{
	struct side *me = arg;

	st_cond_wait(me->cond);
	for (;;)
		yield_below(me->frames, me);
	return NULL;
}

static struct side *start(long frames)
{
	struct side *s = malloc(sizeof(*s));

	if (!here.cond)
		here.cond = st_cond_new();
	s->cond = st_cond_new();
	s->frames = frames;
	make(yield_for_ever, s, 0);
	st_usleep(0); /* until it waits */
	return s;
}

static void roundtrip(long n, long frames)
{
	static struct side *other;

	if (!other)
		other = start(frames);
	for (long i = 0; i < n; i++) {
		st_cond_signal(other->cond);
		st_cond_wait(here.cond);
	}
}

static void round_many(long n, long frames)
{
	static struct side *other[MANY];
	static long next;

	for (long i = 0; i < MANY && !other[i]; i++)
		other[i] = start(frames);
	for (long i = 0; i < n; i++, next = (next + 1) % MANY) {
		st_cond_signal(other[next]->cond);
		st_cond_wait(here.cond);
	}
}

static void *return_at_once(void *arg)
{
	return arg;
}

static void create(long n, long alive)
{
	static st_thread_t t[MANY];

	for (; n > 0; n -= alive) {
		for (long i = 0; i < alive; i++)
			t[i] = make(return_at_once, NULL, 1);
		for (long i = 0; i < alive; i++)
			st_thread_join(t[i], NULL);
	}
}

/* --- the scheduler ---------------------------------------------------------------------- */

static st_cond_t gate, all_ended;
static long n_running;

static void gate_wait(void)
{
	if (!gate)
		gate = st_cond_new();
	st_cond_wait(gate);
}

static void gate_open(void)
{
	if (gate)
		st_cond_broadcast(gate);
}

static void *wait_for_ever(void *arg)
{
	gate_wait();
	return arg;
}

static void idle(long n)
{
	for (long i = 0; i < n; i++)
		make(wait_for_ever, NULL, 0);
	st_usleep(0); /* until they have run */
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
		st_cond_signal(all_ended);
	return NULL;
}

static void spawn(void (*body)(void *), void *arg)
{
	struct task *t = malloc(sizeof(*t));

	if (!all_ended)
		all_ended = st_cond_new();
	*t = (struct task){ body, arg };
	n_running++;
	make(run_task, t, 0);
}

static void join(void)
{
	while (n_running > 0)
		st_cond_wait(all_ended);
}

static void sleep_ns(int64_t ns)
{
	st_usleep((st_utime_t)((ns + 999) / 1000)); /* it counts microseconds */
}

static void *open_file(int fd)
{
	st_netfd_t file = st_netfd_open(fd);

	if (!file)
		give_up("st_netfd_open failed");
	return file;
}

static void close_file(void *file)
{
	st_netfd_close(file);
}

static int accept_file(void *file)
{
	st_netfd_t got = st_accept(file, NULL, NULL, ST_UTIME_NO_TIMEOUT);
	int fd = got ? st_netfd_fileno(got) : -1;

	if (got)
		st_netfd_free(got);
	return fd;
}

static ssize_t read_file(void *file, void *buf, size_t len)
{
	return st_read(file, buf, len, ST_UTIME_NO_TIMEOUT);
}

static ssize_t write_file(void *file, const void *buf, size_t len)
{
	return st_write(file, buf, len, ST_UTIME_NO_TIMEOUT);
}

static void poll_in(void *file)
{
	st_netfd_poll(file, POLLIN, ST_UTIME_NO_TIMEOUT);
}

static const struct sched sched = {
	0, spawn, join, sleep_ns, gate_wait, gate_open, open_file, close_file, accept_file, read_file,
	write_file, poll_in,
};

const struct peer peer = {
	.name = "st",
	.what = "State Threads",
	.init = init,
	.loop = { [SWITCH] = bare, [DIFFER] = bare, [ROUNDTRIP] = roundtrip, [ROUND_MANY] = round_many, [CREATE] = create },
	.idle = idle,
	.sched = &sched,
};
#else
const struct peer peer = { .name = "st", .what = "State Threads", .missing = "libst-dev" };
#endif
