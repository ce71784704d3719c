/* SPDX-License-Identifier: MIT */
/*
 * kernel — the system calls that waiting makes, counted and made to fail.
 *
 * For tests that are linked with WRAP_EPOLL (Makefile): the library's calls come
 * here first. And what such tests do over and over with descriptors.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "env.h"
#include "park.h"
#include "tools.h"

enum kernel_call { EPOLL_CREATE, EPOLL_CTL, EPOLL_WAIT, EPOLL_PWAIT2, MEMORY, N_CALLS };

static struct {
	unsigned n[N_CALLS];
	unsigned n_sleeping;  /* of the waits: with a timeout other than 0 */
	int longest_ms;       /* of epoll_wait's: the kernel's milliseconds are too coarse for us */
	int no_pwait2;        /* epoll_pwait2 always fails with this */
	int (*fails)(enum kernel_call call); /* says with which error; 0: not at all */
	void (*before_ctl)(void);            /* what another thread might do right then */
} kernel;

int __real_epoll_create1(int flags);
int __real_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __real_epoll_wait(int set, struct epoll_event *events, int n, int ms);
int __real_epoll_pwait2(int set, struct epoll_event *events, int n, const struct timespec *ts, const sigset_t *mask);

static inline bool kernel_fails(enum kernel_call call)
{
	int error = kernel.fails ? kernel.fails(call) : 0;

	kernel.n[call]++;
	if (error)
		errno = error;
	return error != 0;
}

int __wrap_epoll_create1(int flags);
int __wrap_epoll_create1(int flags)
{
	return kernel_fails(EPOLL_CREATE) ? -1 : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
	if (kernel.before_ctl)
		kernel.before_ctl();
	return kernel_fails(EPOLL_CTL) ? -1 : __real_epoll_ctl(set, op, fd, event);
}

int __wrap_epoll_wait(int set, struct epoll_event *events, int n, int ms);
int __wrap_epoll_wait(int set, struct epoll_event *events, int n, int ms)
{
	kernel.n_sleeping += ms != 0;
	if (ms > kernel.longest_ms)
		kernel.longest_ms = ms;
	return kernel_fails(EPOLL_WAIT) ? -1 : __real_epoll_wait(set, events, n, ms);
}

int __wrap_epoll_pwait2(int set, struct epoll_event *events, int n, const struct timespec *ts, const sigset_t *mask);
int __wrap_epoll_pwait2(int set, struct epoll_event *events, int n, const struct timespec *ts, const sigset_t *mask)
{
	kernel.n_sleeping++;
	if (kernel.no_pwait2) {
		kernel.n[EPOLL_PWAIT2]++;
		errno = kernel.no_pwait2;
		return -1;
	}
	return kernel_fails(EPOLL_PWAIT2) ? -1 : __real_epoll_pwait2(set, events, n, ts, mask);
}

static inline unsigned n_waits(void)
{
	return kernel.n[EPOLL_WAIT] + kernel.n[EPOLL_PWAIT2];
}

/* --- coroutines ---------------------------------------------------------------- */

static inline struct co *start(co_fn *fn, void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, arg), 0);
	CHECK_EQ(co_resume(co), 0);
	return co;
}

/* Let all that can happen now, happen: a few turns, without sleeping. */
static inline void settle(void)
{
	for (int i = 0; i < 4; i++)
		CHECK_EQ(co_reschedule(), 0);
	co_loop_check();
	co_env_check();
}

static inline void *on_thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	void *result;

	CHECK_EQ(pthread_create(&t, NULL, fn, arg), 0);
	CHECK_EQ(pthread_join(t, &result), 0);
	return result;
}

/* --- descriptors ----------------------------------------------------------------- */

static inline void make_pipe(int p[2])
{
	CHECK_EQ(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
}

static inline void make_pair(int p[2], int type)
{
	CHECK_EQ(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p), 0);
}

/* Close without a word to anybody: what another library does. */
static inline void close_raw(int fd)
{
	CHECK_EQ(syscall(SYS_close, fd), 0);
}

static inline void put(int fd)
{
	CHECK_EQ(write(fd, "x", 1), 1);
}

static inline void fill(int fd)
{
	static const char much[4096];

	while (write(fd, much, sizeof(much)) > 0 || write(fd, much, 1) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
}

static inline void drain(int fd)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

/* How many epoll sets this process has; the last one's number. */
static inline int count_sets(int *fd)
{
	char path[64], what[64];
	int n = 0;
	DIR *d = opendir("/proc/self/fd");

	CHECK(d != NULL);
	for (struct dirent *e; (e = readdir(d));) {
		snprintf(path, sizeof(path), "/proc/self/fd/%.20s", e->d_name);
		ssize_t len = readlink(path, what, sizeof(what) - 1);
		if (len < 0)
			continue;
		what[len] = 0;
		if (strcmp(what, "anon_inode:[eventpoll]") == 0) {
			n++;
			*fd = atoi(e->d_name);
		}
	}
	closedir(d);
	return n;
}

static inline int the_set(void)
{
	int fd = -1;

	CHECK_EQ(count_sets(&fd), 1);
	return fd;
}

#endif
