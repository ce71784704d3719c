/* SPDX-License-Identifier: MIT */
/*
 * co_epoll — libco's names for epoll(7), for programs that have a set of their own.
 *
 * The library's own loop does not use them. co_epoll_wait holds up the thread.
 */
#ifndef COSTEP_COMPAT_CO_EPOLL_H
#define COSTEP_COMPAT_CO_EPOLL_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

struct co_epoll_res {
	int size;                   /* of events */
	struct epoll_event *events;
	struct kevent *eventlist;   /* of other systems: NULL */
};

inline int co_epoll_create(int size)
{
	if (size > 0)
		return epoll_create1(EPOLL_CLOEXEC);
	errno = EINVAL;
	return -1;
}

inline int co_epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
	return epoll_ctl(set, op, fd, event);
}

inline int co_epoll_wait(int set, struct co_epoll_res *res, int max, int timeout_ms)
{
	return epoll_wait(set, res->events, max, timeout_ms);
}

/* Room for @n events; NULL, ENOMEM or EINVAL. */
inline struct co_epoll_res *co_epoll_res_alloc(int n)
{
	if (n <= 0) {
		errno = EINVAL;
		return NULL;
	}
	struct co_epoll_res *res = static_cast<co_epoll_res *>(calloc(1, sizeof(*res)));
	if (!res)
		return NULL;
	res->size = n;
	res->events = static_cast<epoll_event *>(calloc(static_cast<size_t>(n), sizeof(*res->events)));
	if (res->events)
		return res;
	free(res);
	return NULL;
}

inline void co_epoll_res_free(struct co_epoll_res *res)
{
	if (!res)
		return;
	free(res->events);
	free(res);
}

#endif
