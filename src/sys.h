/* SPDX-License-Identifier: MIT */
/*
 * sys — system calls whose libc functions the core must not call.
 *
 * Layer:   none; a header of inline functions.
 * Lesson 8 replaces read, close, poll and others (hook_names.h). Were the core
 * to call those, its own calls would come back to it. These go to the kernel.
 */
#ifndef CO_SYS_H
#define CO_SYS_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "annotate.h" /* CO_TSAN */

static inline struct timespec sys_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

/* ThreadSanitizer remembers who opened a number, until it sees it closed: else the
 * thread that gets the number next looks like a racer. libc's second name for close
 * is one that it sees and that no hook replaces (but it can be cancelled). */
#ifdef CO_TSAN
int __close(int fd);
#endif
static inline int sys_close(int fd)
{
#ifdef CO_TSAN
	return __close(fd);
#else
	return (int)syscall(SYS_close, fd);
#endif
}

static inline int sys_fcntl(int fd, int op, long arg)
{
	return (int)syscall(SYS_fcntl, fd, op, arg);
}

static inline int sys_dup3(int from, int to, int flags)
{
	return (int)syscall(SYS_dup3, from, to, flags);
}

static inline ssize_t sys_read(int fd, void *buf, size_t len)
{
	return syscall(SYS_read, fd, buf, len);
}

static inline ssize_t sys_write(int fd, const void *buf, size_t len)
{
	return syscall(SYS_write, fd, buf, len);
}

/* An eventfd of the library's; -1, errno. */
static inline int sys_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/* Is there still an eventfd under this number? Programs that become daemons close all
 * descriptors, and the next open gets our number. Files, sockets, pipes and devices have a type,
 * which the kernel's own kinds have not; and of these, only eventfds are written to. */
static inline bool sys_is_eventfd(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0 && sys_write(fd, &(uint64_t){ 0 }, 8) == 8;
}

/* Close an eventfd of ours, if it is still there. */
static inline void sys_close_eventfd(int fd)
{
	if (sys_is_eventfd(fd))
		sys_close(fd);
}

/* Which of @fds are ready now? As poll(2) with timeout 0. Even that can be
 * interrupted, when a signal arrives just then. */
static inline int sys_look(struct pollfd *fds, nfds_t n)
{
	int ready;

	do
		ready = (int)syscall(SYS_poll, fds, n, 0);
	while (ready < 0 && errno == EINTR);
	return ready;
}

/* Sleep for @ns, or until @ns of CLOCK_MONOTONIC; a signal ends it early. */
static inline void sys_sleep(int64_t ns)
{
	struct timespec ts = sys_timespec(ns);
	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL);
}

static inline void sys_sleep_until(int64_t at_ns)
{
	struct timespec ts = sys_timespec(at_ns);
	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

#endif
