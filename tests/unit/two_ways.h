/* SPDX-License-Identifier: MIT */
/*
 * two_ways — play the same scene twice: on two threads with plain libc, and in
 * two coroutines of one thread with the hooks on. What the players write down
 * must be the same.
 *
 * Player A makes the calls that are tested. Player B helps it: it waits until A
 * sleeps in the call, then supplies data, closes, drains, and at last says whether
 * A came back at all. There is no "after a moment" in a scene: B looks
 * whether A sleeps.
 */
#ifndef TWO_WAYS_H
#define TWO_WAYS_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "coroutine.h"
#include "hooks.h"
#include "loop.h"
#include "sleep.h"
#include "tools.h"

struct play {
	void (*play_a)(struct play *p), (*play_b)(struct play *p);
	const void *scene;
	bool writes;             /* A's descriptor is for writing */
	bool is_timed;           /* A comes back by itself, after some time */
	bool drains;             /* B reads what comes, until A is back */
	int a, b;                /* descriptors of A and B; -1: none (any more) */
	int more[4];             /* others of the scene; -1 */
	char path[2][64];        /* of files to unlink; "" */

	bool is_hooked;          /* as coroutines */
	_Atomic bool is_calling, is_back;
	_Atomic int n_done;      /* what A has done so far, for B */
	_Atomic pid_t tid;       /* A's thread */
	struct co *co_a;
	pthread_t thread_a;

	size_t n_b, sum_b;       /* what B has received: bytes that are not 0 */
	size_t len;
	char log[4000];          /* what is compared */
};

static _Atomic int n_sigpipe;

static void count_sigpipe(int signal)
{
	(void)signal;
	n_sigpipe++;
}

static void interrupt(int signal)
{
	(void)signal;
}

__attribute__((format(printf, 2, 3))) static inline void say(struct play *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	p->len += (size_t)vsnprintf(p->log + p->len, sizeof(p->log) - p->len, format, args);
	va_end(args);
	CHECK(p->len < sizeof(p->log));
}

/* The result of a call that has just been made, after `errno = 12345`. On success errno
 * must be what it was. */
static inline void say_result(struct play *p, const char *call, intmax_t result)
{
	int error = errno;

	if (result < 0)
		say(p, "%s: %jd %s\n", call, result, strerrorname_np(error) ? strerrorname_np(error) : "?");
	else
		say(p, "%s: %jd%s\n", call, result, error == 12345 ? "" : ", and errno was changed");
	errno = 12345;
}

/* --- B's view of A ------------------------------------------------------------------- */

/* The letter of the thread's state in /proc: S = it sleeps in a system call. */
static inline char thread_state(pid_t tid)
{
	char name[64], line[200];

	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", tid);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY);
	if (fd < 0)
		return '?';
	ssize_t n = syscall(SYS_read, fd, line, sizeof(line) - 1);
	syscall(SYS_close, fd);
	line[n > 0 ? n : 0] = 0;
	const char *end = strrchr(line, ')');
	return end ? end[2] : '?';
}

static inline bool a_sleeps(struct play *p)
{
	if (p->is_hooked) /* we run, so A does not: ready for another try at most */
		return p->is_calling && !p->is_back;
	return p->is_calling && p->tid && thread_state(p->tid) == 'S';
}

/* Let some time pass, for B. */
static inline void pass_ns(struct play *p, long ns)
{
	if (p->is_hooked)
		CHECK_EQ(co_sleep_ns(ns), 0);
	else
		syscall(SYS_nanosleep, &(struct timespec){ 0, ns }, NULL);
}

/* Until A waits in its call, or is back. */
static inline void until_a_sleeps(struct play *p)
{
	for (int n = 0; n < 2 && !p->is_back;) {
		n = a_sleeps(p) ? n + 1 : 0;
		pass_ns(p, p->is_hooked ? 0 : 20 * 1000);
	}
}

static inline void until_a_is_back(struct play *p)
{
	while (!p->is_back)
		pass_ns(p, 100 * 1000);
}

/* Take what has come to @fd, if anything. Bytes of 0 were only there to fill. */
static inline size_t take(struct play *p, int fd, int wait_ms)
{
	static _Thread_local unsigned char buf[64 * 1024];
	size_t n = 0;
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	if (poll(&entry, 1, wait_ms) <= 0 || !(entry.revents & POLLIN))
		return 0;
	ssize_t got = read(fd, buf, sizeof(buf));
	for (ssize_t i = 0; i < got; i++)
		if (buf[i]) {
			p->sum_b = p->sum_b * 31 + buf[i];
			p->n_b++;
		}
	n += got > 0 ? (size_t)got : 0;
	return n;
}

/* Does A come back? It does not when it still sleeps after several looks. */
static inline bool a_comes_back(struct play *p)
{
	for (int n = 0, limit = p->is_timed ? 300 : 8; n < limit;) {
		size_t took = 0;
		if (p->is_back)
			return true;
		if (p->drains && p->b >= 0)
			took = take(p, p->b, 1);
		else
			pass_ns(p, 1000 * 1000);
		n = took || !a_sleeps(p) ? 0 : n + 1;
	}
	return p->is_back;
}

/* A waits for ever: end it, and say so. */
static inline void end_a(struct play *p)
{
	if (p->is_hooked) {
		while (co_status(p->co_a) != CO_WAITING) /* ready: it looks again now and then */
			pass_ns(p, 0);
		CHECK_EQ(co_release(p->co_a), 0);
		p->co_a = NULL;
		p->is_back = true;
	}
	while (!p->is_back) { /* it may not be in its call yet */
		pthread_kill(p->thread_a, SIGUSR1);
		pass_ns(p, 100 * 1000);
	}
	p->len = 0;
	say(p, "waits for ever\n");
}

/* --- the two ways ---------------------------------------------------------------------- */

static void *run_a(void *arg)
{
	struct play *p = arg;

	if (p->is_hooked)
		CHECK_EQ(co_enable_hook_sys(), 0);
	p->tid = (pid_t)syscall(SYS_gettid);
	errno = 12345;
	p->play_a(p);
	p->is_back = true;
	return NULL;
}

static void *run_b(void *arg)
{
	struct play *p = arg;

	if (p->is_hooked)
		CHECK_EQ(co_enable_hook_sys(), 0);
	p->play_b(p);
	return NULL;
}

static inline void play_on_threads(struct play *p)
{
	pthread_t b;

	p->is_hooked = false;
	CHECK_EQ(pthread_create(&p->thread_a, NULL, run_a, p), 0);
	CHECK_EQ(pthread_create(&b, NULL, run_b, p), 0);
	CHECK_EQ(pthread_join(b, NULL), 0);
	CHECK_EQ(pthread_join(p->thread_a, NULL), 0);
}

static inline void play_in_coroutines(struct play *p)
{
	struct co *b;

	p->is_hooked = true;
	CHECK_EQ(co_create(&p->co_a, NULL, run_a, p), 0);
	CHECK_EQ(co_create(&b, NULL, run_b, p), 0);
	CHECK_EQ(co_resume(p->co_a), 0);
	CHECK_EQ(co_resume(b), 0);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(co_status(b), CO_DONE);
	CHECK_EQ(co_release(b), 0);
	if (p->co_a)
		CHECK_EQ(co_release(p->co_a), 0);
}

static inline void play_init(struct play *p)
{
	memset(p, 0, sizeof(*p));
	p->a = p->b = -1;
	for (int i = 0; i < 4; i++)
		p->more[i] = -1;
}

static inline void close_all(struct play *p)
{
	for (int i = 0; i < 6; i++) {
		int fd = i < 4 ? p->more[i] : i == 4 ? p->a : p->b;
		if (fd >= 0)
			syscall(SYS_close, fd);
	}
	for (int i = 0; i < 2; i++)
		if (*p->path[i])
			unlink(p->path[i]);
}

/* A hang is a failure: say where. */
static char what_plays[200];

static void too_late(int signal_number)
{
	const char *word = signal_number == SIGABRT ? "in: " : "hangs: ";
	syscall(SYS_write, 2, word, strlen(word));
	syscall(SYS_write, 2, what_plays, strlen(what_plays));
	syscall(SYS_write, 2, "\n", 1);
	signal_number == SIGABRT ? (void)0 : abort();
}

static inline void two_ways_begin(void)
{
	struct sigaction act = { .sa_handler = interrupt };
	sigset_t usr2;

	CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0); /* without SA_RESTART */
	CHECK_EQ(sigaction(SIGUSR2, &act, NULL), 0);
	signal(SIGPIPE, count_sigpipe);
	signal(SIGALRM, too_late);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2); /* the signal descriptor's */
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &usr2, NULL), 0);
}

#endif
