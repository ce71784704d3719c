/* SPDX-License-Identifier: MIT */
/*
 * epoll — call me when something can be done with a descriptor.
 *
 * Layer:   6 (uses: loop, timer). Not installed, but for co_fd_closing.
 * Owns:    one epoll set per thread, and a record of each descriptor number
 *          that was ever waited for. A struct co_waiter is its user's, and lies
 *          inside whatever the user has on the heap.
 * Thread:  a thread's waiters are its own.
 * Errors:  -1 and errno.
 * Model:   libco co_epoll.cpp, co_eventloop (co_routine.cpp) at dc6aafc; differs
 *          in: any number of waiters on a descriptor, numbers that are used
 *          again, the child of a fork, a set that was closed behind our back.
 *
 * Invariants:
 *  I1  While a descriptor has waiters, the set reports, once, what any of them
 *      wants (EPOLLONESHOT): a stale registration can disturb us once, not
 *      for ever. But one that is kept (lesson 8) reports each time that something
 *      comes (EPOLLET), until it has done so to nobody 16 times in a row.
 *  I2  All waiters of a descriptor mean the same open file: its generation. When
 *      the number turns out to be another file now, the old waiters are told
 *      that theirs is closed (EPOLLNVAL), and events of old generations that
 *      still come are dropped.
 *  I3  Waiters are never on a coroutine's stack.
 */
#ifndef CO_EPOLL_H
#define CO_EPOLL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "closing.h"
#include "list.h"

/* Told to a waiter, never by the kernel: the descriptor is not open (any more). */
#define EPOLLNVAL 0x20u

struct co_waiter {
	int fd;
	uint32_t events; /* EPOLLIN and so on; EPOLLERR and EPOLLHUP are always reported */

	/* Called by the loop, once, with what can be done. The waiter is off all lists.
	 * It may wake coroutines, not switch to them. Being called does not promise that
	 * there is still something to do when the coroutine's turn comes. */
	void (*fire)(struct co_waiter *waiter, uint32_t events);

	/* The descriptor is the library's own. When the set is made anew, it may be because all
	 * descriptors were closed, and that number may be another file's: it is told EPOLLERR. */
	bool is_librarys;

	/* ours */
	struct list node; /* on its descriptor's list */
	uint32_t file;    /* which of the files that the number has meant: I2 */
	bool is_on_trust; /* by co_watch_kept: if the number turns out to mean another file, that
			     may be the one its user means. It is told so by events 0 */
};

/* Wait with @waiter, whose first four fields are set.
 *
 * Errors       EBADF not an open descriptor; EPERM one that cannot be waited
 *              for: a file, a directory, always ready; EINVAL, ENOMEM, ENOSPC
 *              from epoll_ctl(2); those of co_timers_get. */
int co_watch(struct co_waiter *waiter);

/* As co_watch, for EPOLLIN, and if nobody else waits there the registration is kept when it
 * has told something: it reports all that comes. Errors as co_watch. */
int co_watch_and_keep(struct co_waiter *waiter);

/* What a registration has told, of the file that it was made for. */
struct co_news {
	uint32_t n;        /* how often */
	uint32_t events;   /* all of them */
	uint32_t n_unwanted; /* how often to nobody, since somebody waited */
};

/* The news of @fd's registration, as far as we know that it is there and kept; else NULL. */
const struct co_news *co_kept_news(int fd);

/* Wait with @waiter at a registration that is kept: what comes from now on is told. Nothing
 * is asked of the kernel, so @fd may mean another file than the registration, and then
 * nothing will ever be told: see kept.h. false: there is none, or somebody else waits, or it
 * has told of an end, which it does once. */
bool co_watch_kept(struct co_waiter *waiter);

/* Wait no more. No harm if it does not. No system call. */
void co_unwatch(struct co_waiter *waiter);

/* Is the file that @waiter waited for gone, as far as we know? To be asked when its
 * coroutine runs again: between the news and its turn somebody may have closed the
 * descriptor, and its number may mean another file. */
bool co_waiter_is_lost(const struct co_waiter *waiter);

/* Which of the files that the number @fd has meant is it now, as far as we know? When
 * the answer changes, the file is gone.
 * Errors       EBADF @fd is not open; ENOMEM, EMFILE as co_watch. */
int co_file_of(int fd, uint32_t *file);

/* Verify what can be verified of I1 and I2 for the calling thread; asserts. */
void co_epoll_check(void);

#endif
