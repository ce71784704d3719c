/* SPDX-License-Identifier: MIT */
/*
 * What a hooked call does when it would block, and how it finds that out.
 *
 * Only now is the descriptor asked what its user wants: whether it blocks
 * (O_NONBLOCK), and for how long (SO_RCVTIMEO, SO_SNDTIMEO). So nothing has to be
 * remembered about descriptors, wherever they come from. (What is remembered, of sockets
 * that are read again and again, is believed for milliseconds: hook_known.c.)
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "attach.h"
#include "closing.h"
#include "co_poll.h"
#include "coroutine.h"
#include "hook.h"
#include "sys.h"

enum {
	VAIN_WAITS = 8,          /* so many in a row, then wait by the clock */
	VAIN_NS = 1000 * 1000,
};

bool hook_is_valid(const struct timespec *t)
{
	return t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < 1000000000;
}

int64_t hook_ns_of(const struct timespec *t)
{
	int64_t ns;

	if (__builtin_mul_overflow((int64_t)t->tv_sec, 1000000000, &ns) ||
	    __builtin_add_overflow(ns, t->tv_nsec, &ns))
		return CO_NEVER;
	return ns;
}

int64_t hook_deadline(int64_t began_ns, int64_t limit_ns)
{
	int64_t at_ns;

	if (limit_ns == 0)
		return CO_NEVER;
	if (began_ns == 0)
		return co_from_now_ns(limit_ns);
	return __builtin_add_overflow(began_ns, limit_ns, &at_ns) ? CO_NEVER : at_ns;
}

int hook_ask_user(struct hook_wait *w)
{
	struct timeval limit = { 0 };
	socklen_t len = sizeof(limit);
	int flags;

	w->n_changes = co_fd_changes(w->fd); /* what changes while we ask, counts as a change */
	flags = fcntl(w->fd, F_GETFL);
	if (flags < 0)
		return -1;
	if ((flags & O_ACCMODE) == (w->events & POLLIN ? O_WRONLY : O_RDONLY)) {
		errno = EBADF; /* it will never be ready for this */
		return -1;
	}
	if (flags & O_NONBLOCK && !w->is_flag_ours) {
		errno = EAGAIN;
		return -1;
	}
	w->is_socket = getsockopt(w->fd, SOL_SOCKET, w->timeout_option, &limit, &len) == 0;
	w->limit_ns = hook_ns_of(&(struct timespec){ limit.tv_sec, limit.tv_usec * 1000 });
	w->deadline_ns = hook_deadline(w->began_ns, w->limit_ns);
	w->is_asked = true;
	return 0;
}

/* A wait in which nothing is asked. 0: ask. (In doubt it looks, and does not just try: a try takes
 * less than SO_RCVLOWAT.) */
static int wait_on_trust(struct hook_wait *w)
{
	int events = hook_wait_known(w);

	w->known = NULL; /* for once in a call: whoever is woken in vain asks */
	w->is_in_doubt = events == 0 && w->is_untried && hook_look(w->fd, w->events);
	return w->is_in_doubt ? w->events : events;
}

int hook_wait(struct hook_wait *w)
{
	int events = w->known && !w->is_asked ? wait_on_trust(w) : 0;

	if (events != 0)
		return events;
	w->is_in_doubt = false;
	if (!w->is_asked && hook_ask_user(w) != 0)
		return -1;
	if (co_now_ns() >= w->deadline_ns) {
		errno = EAGAIN;
		return -1;
	}
	/* Some are always "writable" and refuse all the same: a datagram socket
	 * whose peer, named in each call, is full. */
	if (++w->n_in_vain > VAIN_WAITS && co_doze(w->fd, VAIN_NS) != 0)
		return -1;
	if (w->is_socket && w->events == POLLIN && !w->is_flag_ours)
		events = hook_wait_and_know(w);
	else
		events = co_wait_until(w->fd, w->events, w->deadline_ns);
	/* Time was first. But if others kept the thread until now, what is waited for may
	 * have come in time, and its news not yet be fetched. */
	if (events == 0 && hook_look(w->fd, w->events))
		return w->events;
	if (events == 0)
		errno = EAGAIN;
	return events > 0 ? events : -1;
}

/* --- kinds of descriptors ------------------------------------------------------------- */

/* Pipes live on a file system of their own, and named ones (FIFOs) do not: only
 * the first know RWF_NOWAIT. */
static _Atomic dev_t pipes_device;

void hook_learn(void)
{
	struct stat st;
	int p[2];

	if (atomic_load(&pipes_device) || pipe2(p, O_CLOEXEC) != 0)
		return;
	if (fstat(p[0], &st) == 0)
		atomic_store(&pipes_device, st.st_dev);
	sys_close(p[0]);
	sys_close(p[1]);
}

struct hook_kind hook_kind(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return (struct hook_kind){ .way = HOOK_PLAINLY }; /* which says what is wrong */
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFBLK:
		return (struct hook_kind){ .way = HOOK_PLAINLY };
	case S_IFCHR:
		return (struct hook_kind){ .way = HOOK_LOOKING, .is_char = true };
	case S_IFIFO:
		return (struct hook_kind){
			.way = st.st_dev == atomic_load(&pipes_device) ? HOOK_NOWAIT : HOOK_LOOKING,
			.is_fifo = true,
		};
	default:
		return (struct hook_kind){ .way = HOOK_NOWAIT, .is_socket = S_ISSOCK(st.st_mode) };
	}
}

bool hook_look(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	if (sys_look(&p, 1) < 0)
		return true; /* the call will say what is wrong */
	/* A terminal's master whose other side is closed: "hung up", but a write
	 * waits until somebody opens it again. */
	return p.revents & (events | POLLERR | POLLNVAL | (events & POLLOUT ? 0 : POLLHUP));
}

/* --- memory ------------------------------------------------------------------------------ */

struct memory {
	struct co_attachment attachment;
	char bytes[] __attribute__((aligned(16)));
};

static const char memories; /* its address is the attachments' owner */

static void drop_memory(struct co_attachment *a)
{
	free(a);
}

void *hook_alloc(size_t len)
{
	struct memory *m = malloc(sizeof(*m) + len);

	if (!m)
		return NULL;
	m->attachment = (struct co_attachment){ .owner = &memories, .drop = drop_memory };
	co_attach(co_self(), &m->attachment);
	return m->bytes;
}

void hook_free(void *memory)
{
	if (!memory)
		return;
	struct memory *m = (struct memory *)((char *)memory - offsetof(struct memory, bytes));
	co_detach(co_self(), &m->attachment);
	free(m);
}

struct iovec *hook_iov_rest(const struct iovec *iov, int *n, size_t done)
{
	while (*n > 0 && done >= iov->iov_len) {
		done -= iov->iov_len;
		iov++;
		--*n;
	}
	struct iovec *rest = hook_alloc((size_t)(*n + 1) * sizeof(*rest));
	if (!rest)
		return NULL;
	memcpy(rest, iov, (size_t)*n * sizeof(*rest));
	if (*n > 0) {
		rest->iov_base = (char *)rest->iov_base + done;
		rest->iov_len -= done;
	}
	return rest;
}
