/* SPDX-License-Identifier: MIT */
/*
 * co_poll: look, wait, look again.
 *
 * What is ready, is asked of poll(2) itself, with timeout 0. epoll only says
 * when it is worth to ask again. Why both? poll(2) cannot wait for two
 * coroutines at once: it is the whole thread that would sleep. And epoll cannot
 * answer for all: it refuses files, knows each descriptor once, and what it said
 * may be over when the coroutine's turn comes.
 */
#include "co_poll.h"

#include <errno.h>
#include <stdlib.h>

#include "epoll.h"
#include "park.h"
#include "sleep.h"
#include "sys.h"
#include "timer.h"

/* They are the same numbers; so nothing needs to be translated. */
_Static_assert(POLLIN == EPOLLIN && POLLPRI == EPOLLPRI && POLLOUT == EPOLLOUT && POLLRDHUP == EPOLLRDHUP &&
		       POLLERR == EPOLLERR && POLLHUP == EPOLLHUP && POLLNVAL == EPOLLNVAL &&
		       POLLRDNORM == EPOLLRDNORM && POLLRDBAND == EPOLLRDBAND && POLLWRNORM == EPOLLWRNORM &&
		       POLLWRBAND == EPOLLWRBAND,
	       "poll's events are epoll's");

enum {
	EMPTY_LOOKS = 16, /* so many with timeout 0 in vain, and the others get a turn */
};

/* One wait. On the heap: nobody touches the waiting coroutine's stack. */
struct call {
	struct co *co;
	bool is_parked; /* before that, there is nobody to wake */
	bool is_woken;  /* it is ready; what else happens needs no second wake */
	struct co_timer timer;
	nfds_t n;
	struct seat {
		struct co_waiter waiter;
		struct call *call;
		uint32_t events; /* what it was told; EPOLLNVAL: closed while we waited */
	} seat[];
};

/* BEGIN SOLUTION */
static void wake(struct call *call)
{
	if (call->is_woken)
		return;
	call->is_woken = true;
	if (call->is_parked)
		co_wake(call->co);
}

static void time_is_over(struct co_timer *timer)
{
	wake(container_of(timer, struct call, timer));
}

static void descriptor_is_ready(struct co_waiter *waiter, uint32_t events)
{
	struct seat *seat = container_of(waiter, struct seat, waiter);

	seat->events = events;
	wake(seat->call);
}
/* END SOLUTION */

static void end_call(struct call *call)
{
	int error = errno;

	for (nfds_t i = 0; i < call->n; i++)
		co_unwatch(&call->seat[i].waiter);
	co_timer_cancel(&call->timer);
	free(call);
	errno = error;
}

/* It is released or reset while it waits. */
static void leave_call(struct co *co)
{
	end_call(co->waits_in);
}

/* Take a seat at each descriptor. Returns 1 = there is no need to wait, look
 * again; 0; -1, errno. */
static int take_seats(struct call *call, const struct pollfd *fds, nfds_t n)
{
	for (nfds_t i = 0; i < n; i++) {
		struct seat *seat = &call->seat[call->n];
		if (fds[i].fd < 0)
			continue;
		*seat = (struct seat){
			.waiter = { .fd = fds[i].fd, .events = (uint16_t)fds[i].events, .fire = descriptor_is_ready },
			.call = call,
		};
		if (co_watch(&seat->waiter) == 0)
			call->n++;
		else if (errno == EBADF)
			return 1; /* closed since we looked */
		else if (errno != EPERM) /* a file: ready for all but what does not exist for it */
			return -1;
	}
	return 0;
}

/* Tell which were closed while we waited. (Looking again could find another
 * file behind the number.) */
static int report_closed(const struct call *call, struct pollfd *fds, nfds_t n)
{
	const struct seat *seat = call->seat, *end = seat + call->n; /* in the order of fds, with gaps */
	int n_closed = 0;

	for (nfds_t i = 0; i < n; i++) {
		fds[i].revents = 0;
		if (seat == end || seat->waiter.fd != fds[i].fd)
			continue;
		if (seat->events & EPOLLNVAL) {
			fds[i].revents = POLLNVAL;
			n_closed++;
		}
		seat++;
	}
	return n_closed;
}

/* Is any of them closed? Perhaps only after it was told something else. */
static bool has_closed(struct call *call)
{
	uint32_t all = 0;

	for (nfds_t i = 0; i < call->n; i++) {
		struct seat *seat = &call->seat[i];
		if (co_waiter_is_lost(&seat->waiter))
			seat->events |= EPOLLNVAL;
		all |= seat->events;
	}
	return all & EPOLLNVAL;
}

static struct call *begin_call(nfds_t n)
{
	struct call *call = calloc(1, sizeof(*call) + n * sizeof(call->seat[0]));

	if (!call)
		return NULL;
	call->co = co_self();
	call->timer.fire = time_is_over;
	return call;
}

/* BEGIN SOLUTION */
/* Park until something happens. It may have happened already: a number that was
 * found to be another file, by a seat taken later, is told to the earlier ones. */
static int park(struct call *call, int64_t at_ns, void *blocked_at)
{
	if (call->is_woken)
		return 0;
	if (co_timer_add(&call->timer, at_ns) != 0)
		return -1;
	call->is_parked = true;
	return co_park(leave_call, call, blocked_at);
}

/* Wait until something may have happened. Returns how many entries have revents
 * (closed ones only); 0 = look; -1, errno. */
static int wait_for_any(struct pollfd *fds, nfds_t n, int64_t at_ns, void *blocked_at)
{
	struct call *call = begin_call(n);
	int result = -1, seated;

	if (!call)
		return -1;
	if ((seated = take_seats(call, fds, n)) != 0)
		result = seated < 0 ? -1 : 0;
	else
		result = park(call, at_ns, blocked_at);
	if (result == 0 && has_closed(call))
		result = report_closed(call, fds, n);
	end_call(call);
	return result;
}

static int poll_until(struct pollfd *fds, nfds_t n, int64_t at_ns, void *blocked_at)
{
	for (;;) {
		int ready = sys_look(fds, n);
		if (ready != 0)
			return ready;
		if (at_ns != CO_NEVER && co_now_ns() >= at_ns)
			return 0;
		ready = wait_for_any(fds, n, at_ns, blocked_at);
		if (ready != 0)
			return ready;
	}
}
/* END SOLUTION */

/* Somebody who only ever looks would keep the others from what it looks for. */
static int look_once(struct co_loop *loop, struct pollfd *fds, nfds_t n)
{
	int ready = sys_look(fds, n);

	if (ready == 0 && ++loop->n_empty_looks % EMPTY_LOOKS == 0)
		(void)co_reschedule(); /* refused in the loop's callback, rightly */
	return ready;
}

CALLED_FROM_OUTSIDE int co_poll_until(struct pollfd *fds, nfds_t n, int64_t at_ns)
{
	struct co_loop *loop = co_get_epoll_ct();

	if (!loop)
		return -1;
	return CO_INSIDE(loop->env, poll_until(fds, n, at_ns, __builtin_return_address(0)));
}

CALLED_FROM_OUTSIDE int co_poll(struct co_loop *loop, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	if (loop && !co_get_curr_thread_env())
		return co_fail(EXDEV); /* before the thread gets an environment: a refused call makes none */
	struct co_loop *mine = co_get_epoll_ct();
	if (!mine)
		return -1;
	if (loop && loop != mine)
		return co_fail(EXDEV);
	if (timeout_ms == 0)
		return CO_INSIDE(mine->env, look_once(mine, fds, n));
	int64_t at_ns = timeout_ms < 0 ? CO_NEVER : co_from_now_ns((int64_t)timeout_ms * 1000000);
	return CO_INSIDE(mine->env, poll_until(fds, n, at_ns, __builtin_return_address(0)));
}

/* For those who have tried already, and will try again: no looking. */
static int wait_for_one(int fd, short events, int64_t at_ns, void *blocked_at)
{
	struct pollfd entry = { .fd = fd, .events = events };
	struct call *call = begin_call(1);
	int result = -1, seated;

	if (!call)
		return -1;
	if ((seated = take_seats(call, &entry, 1)) > 0)
		errno = EBADF;
	else if (seated == 0 && call->n == 0)
		result = events; /* a file */
	else if (seated == 0 && park(call, at_ns, blocked_at) == 0)
		result = has_closed(call) ? co_fail(EBADF) : (int)call->seat[0].events; /* 0: time is over */
	end_call(call);
	return result;
}

CALLED_FROM_OUTSIDE int co_wait_until(int fd, short events, int64_t at_ns)
{
	struct co_loop *loop = co_get_epoll_ct();

	if (!loop)
		return -1;
	if (fd < 0)
		return co_fail(EBADF);
	return CO_INSIDE(loop->env, wait_for_one(fd, events, at_ns, __builtin_return_address(0)));
}

/* Without a record of @fd (no memory, no descriptor left) nothing can be noticed. */
static int doze(int fd, int64_t ns)
{
	uint32_t before, now;
	bool is_known = co_file_of(fd, &before) == 0;

	if (co_sleep_ns(ns) != 0)
		return -1;
	return is_known && co_file_of(fd, &now) == 0 && now != before ? co_fail(EBADF) : 0;
}

CALLED_FROM_OUTSIDE int co_doze(int fd, int64_t ns)
{
	struct co_loop *loop = co_get_epoll_ct();

	if (!loop)
		return -1;
	return CO_INSIDE(loop->env, doze(fd, ns));
}
