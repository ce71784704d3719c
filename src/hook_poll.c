/* SPDX-License-Identifier: MIT */
/*
 * poll, ppoll, select, pselect.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>

#include "co_poll.h"
#include "hook.h"
#include "sleep.h"

enum {
	/* A signal mask is for the time of the wait. But while a coroutine waits,
	 * its thread does other things. So such calls look again and again, each
	 * time with that mask. */
	MASK_NS = 10 * 1000 * 1000,
	VAIN_NS = 1000 * 1000,
};

static int64_t deadline_of(const struct timespec *timeout)
{
	return timeout ? co_from_now_ns(hook_ns_of(timeout)) : CO_NEVER;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* --- poll -------------------------------------------------------------------------------- */

static int hooked_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int before = errno, ready = co_poll(NULL, fds, n, timeout_ms);

	if (ready >= 0)
		errno = before;
	return ready;
}

HOOKED int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	return hook_is_on() ? hooked_poll(fds, n, timeout_ms) : REAL(poll)(fds, n, timeout_ms);
}

HOOKED int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t fds_len)
{
	if (fds_len / sizeof(*fds) < n || !hook_is_on())
		return REAL(__poll_chk)(fds, n, timeout_ms, fds_len);
	return hooked_poll(fds, n, timeout_ms);
}

/* Look with the mask, wait without it, look again. */
static int poll_with_mask(struct pollfd *fds, nfds_t n, int64_t at_ns, const sigset_t *mask)
{
	static const struct timespec at_once;

	for (;;) {
		int ready = REAL(ppoll)(fds, n, &at_once, mask);
		if (ready != 0 || co_now_ns() >= at_ns)
			return ready;
		if (co_poll_until(fds, n, earlier(at_ns, co_from_now_ns(MASK_NS))) < 0)
			return -1;
	}
}

static int hooked_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	int before = errno, ready;

	if (timeout && !hook_is_valid(timeout)) {
		errno = EINVAL;
		return -1;
	}
	int64_t at_ns = deadline_of(timeout);
	ready = mask ? poll_with_mask(fds, n, at_ns, mask) : co_poll_until(fds, n, at_ns);
	if (ready >= 0)
		errno = before;
	return ready;
}

HOOKED int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	return hook_is_on() ? hooked_ppoll(fds, n, timeout, mask) : REAL(ppoll)(fds, n, timeout, mask);
}

HOOKED int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
		       size_t fds_len)
{
	if (fds_len / sizeof(*fds) < n || !hook_is_on())
		return REAL(__ppoll_chk)(fds, n, timeout, mask, fds_len);
	return hooked_ppoll(fds, n, timeout, mask);
}

/* --- select: the real one says what is ready; waiting is poll's ------------------------------ */

/* The three sets: as given, and where the real call writes its answer. */
struct sets {
	size_t len;                    /* bytes of one set */
	fd_set *user[3];               /* read, write, except; NULL: not given */
	char *given[3], *answer[3];    /* in `bytes` */
	struct pollfd *fds;            /* in `bytes` too */
	nfds_t n_fds;
	char bytes[] __attribute__((aligned(16)));
};

static bool is_in(const char *set, int fd)
{
	return set[fd / 8] >> fd % 8 & 1;
}

static struct sets *sets_new(int n, fd_set *read, fd_set *write, fd_set *except)
{
	static const short events[3] = { POLLIN, POLLOUT, POLLPRI };
	size_t len = ((size_t)n + 63) / 64 * 8; /* the kernel reads and writes whole words */
	size_t all = sizeof(struct sets) + 6 * len + (size_t)n * sizeof(struct pollfd);
	struct sets *s = hook_alloc(all);

	if (!s)
		return NULL;
	memset(s, 0, all);
	s->len = len;
	s->user[0] = read, s->user[1] = write, s->user[2] = except;
	for (int i = 0; i < 3; i++) {
		s->given[i] = s->bytes + (size_t)i * len;
		s->answer[i] = s->bytes + (size_t)(3 + i) * len;
		if (s->user[i])
			memcpy(s->given[i], s->user[i], len);
	}
	s->fds = (struct pollfd *)(s->bytes + 6 * len);
	for (int fd = 0; fd < n; fd++) {
		short wanted = 0;
		for (int i = 0; i < 3; i++)
			wanted |= is_in(s->given[i], fd) ? events[i] : 0;
		if (wanted)
			s->fds[s->n_fds++] = (struct pollfd){ .fd = fd, .events = wanted };
	}
	return s;
}

static int look(struct sets *s, int n, const sigset_t *mask)
{
	static const struct timespec at_once;
	fd_set *set[3];

	for (int i = 0; i < 3; i++) {
		memcpy(s->answer[i], s->given[i], s->len);
		set[i] = s->user[i] ? (fd_set *)s->answer[i] : NULL;
	}
	return REAL(pselect)(n, set[0], set[1], set[2], &at_once, mask);
}

static bool has_closed(const struct sets *s)
{
	for (nfds_t i = 0; i < s->n_fds; i++)
		if (s->fds[i].revents & POLLNVAL)
			return true;
	return false;
}

static int wait_for_sets(struct sets *s, int n, int64_t at_ns, const sigset_t *mask)
{
	int ready;

	while ((ready = look(s, n, mask)) == 0 && co_now_ns() < at_ns) {
		int n_events = co_poll_until(s->fds, s->n_fds, mask ? earlier(at_ns, co_from_now_ns(MASK_NS)) : at_ns);
		if (n_events < 0)
			return -1;
		if (n_events > 0 && has_closed(s)) { /* to look again could be to look at another file */
			errno = EBADF;
			return -1;
		}
		/* poll always tells of hang-ups, select only those who read */
		if (n_events > 0 && (ready = look(s, n, mask)) != 0)
			break;
		if (n_events > 0 && co_sleep_ns(VAIN_NS) != 0)
			return -1;
	}
	if (ready >= 0)
		for (int i = 0; i < 3; i++)
			if (s->user[i])
				memcpy(s->user[i], s->answer[i], s->len);
	return ready;
}

/* Has the process's table of descriptors room for @fd? The real select looks at no more, and
 * of what it looks at, it refuses what is not open. (/proc may not be there.) */
static bool has_room_for(int fd)
{
	size_t len = (size_t)fd / 64 * 8 + 8;
	char *set = hook_alloc(len);

	if (!set)
		return true; /* the sets will not fit either */
	memset(set, 0, len);
	set[fd / 8] = (char)(1 << fd % 8);
	int ready = REAL(select)(fd + 1, NULL, NULL, (fd_set *)set, &(struct timeval){ 0 });
	hook_free(set);
	return ready < 0 || fcntl(fd, F_GETFD) >= 0;
}

/* The kernel looks at no more than that table has room for, a power of two, and programs say
 * select(getdtablesize(), ...) with an fd_set of FD_SETSIZE. */
static int at_most_table(int n)
{
	int room = FD_SETSIZE;

	while (room < n && has_room_for(room))
		room = room <= INT_MAX / 2 ? room * 2 : INT_MAX;
	return room < n ? room : n;
}

static int hooked_select(int n, fd_set *read, fd_set *write, fd_set *except, int64_t at_ns, const sigset_t *mask)
{
	int before = errno, ready;

	if (n < 0) {
		errno = EINVAL;
		return -1;
	}
	n = at_most_table(n);
	struct sets *s = sets_new(n, read, write, except);
	if (!s)
		return -1;
	ready = wait_for_sets(s, n, at_ns, mask);
	int error = errno;
	hook_free(s);
	errno = ready < 0 ? error : before;
	return ready;
}

/* Linux leaves in *timeout what is left of the time. */
static void set_rest(struct timeval *timeout, int64_t at_ns)
{
	int64_t left = at_ns == CO_NEVER ? 0 : (at_ns - co_now_ns()) / 1000;

	if (at_ns == CO_NEVER)
		return;
	if (left < 0)
		left = 0;
	*timeout = (struct timeval){ .tv_sec = left / 1000000, .tv_usec = left % 1000000 };
}

HOOKED int select(int n, fd_set *restrict read, fd_set *restrict write, fd_set *restrict except,
		  struct timeval *restrict timeout)
{
	struct timespec t;

	if (!hook_is_on())
		return REAL(select)(n, read, write, except, timeout);
	if (timeout) {
		if (timeout->tv_sec < 0 || timeout->tv_usec < 0) {
			errno = EINVAL;
			return -1;
		}
		t = (struct timespec){ timeout->tv_sec + timeout->tv_usec / 1000000, timeout->tv_usec % 1000000 * 1000 };
	}
	int64_t at_ns = deadline_of(timeout ? &t : NULL);
	int ready = hooked_select(n, read, write, except, at_ns, NULL);
	if (timeout)
		set_rest(timeout, at_ns);
	return ready;
}

HOOKED int pselect(int n, fd_set *restrict read, fd_set *restrict write, fd_set *restrict except,
		   const struct timespec *restrict timeout, const sigset_t *restrict mask)
{
	if (!hook_is_on())
		return REAL(pselect)(n, read, write, except, timeout, mask);
	if (timeout && !hook_is_valid(timeout)) {
		errno = EINVAL;
		return -1;
	}
	return hooked_select(n, read, write, except, deadline_of(timeout), mask);
}
