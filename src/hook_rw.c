/* SPDX-License-Identifier: MIT */
/*
 * read, readv, write, writev.
 *
 * Try first, wait only if the call would block. "Try" is preadv2 and pwritev2
 * with RWF_NOWAIT, at the file's own position (offset -1): the same calls, but
 * for this one call nothing blocks, and the descriptor's flags stay as they are.
 * Some kinds of files do not know it (EOPNOTSUPP). There: look whether it is ready;
 * if not, wait and look again, for somebody else may have been quicker; then call.
 * Sockets know it since Linux 6.5 only, and a look does not say how much a socket
 * takes: reading them is receiving, and writing is sending. A coroutine most often
 * stays with one socket. So what was one is not asked again what it is: if it is another
 * file by now, receiving and sending say so (ENOTSOCK).
 */
#include <errno.h>
#include <limits.h>
#include <sys/uio.h>
#include <termios.h>

#include "hook.h"

enum {
	/* What a terminal that says "writable" takes without blocking: its room is
	 * counted in units of 256, and a tab may become eight blanks. */
	TTY_PIECE = 256,
	TTY_COOKED_PIECE = TTY_PIECE / 8,
};

/* libc's own call for this list: the plain one if there is one buffer. */
static ssize_t plain_read(int fd, const struct iovec *iov, int n)
{
	return n == 1 ? REAL(read)(fd, iov->iov_base, iov->iov_len) : REAL(readv)(fd, iov, n);
}

static ssize_t plain_write(int fd, const struct iovec *iov, int n)
{
	return n == 1 ? REAL(write)(fd, iov->iov_base, iov->iov_len) : REAL(writev)(fd, iov, n);
}

/* --- reading ------------------------------------------------------------------------- */

/* BEGIN SOLUTION */
/* Read without blocking, in @*way; EAGAIN: would block. */
static ssize_t try_read(int fd, const struct iovec *iov, int n, enum hook_way *way)
{
	if (*way == HOOK_NOWAIT) {
		ssize_t got = preadv2(fd, iov, n, -1, RWF_NOWAIT);
		if (got >= 0 || errno != EOPNOTSUPP)
			return got;
		*way = HOOK_LOOKING;
	}
	if (hook_look(fd, POLLIN))
		return plain_read(fd, iov, n);
	errno = EAGAIN;
	return -1;
}

static ssize_t receive(int fd, const struct iovec *iov, int n)
{
	return hook_recv(fd, &(struct msghdr){ .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n }, 0);
}

static ssize_t hooked_read(int fd, const struct iovec *iov, int n)
{
	struct hook_wait wait = { .fd = fd, .events = POLLIN, .timeout_option = SO_RCVTIMEO };
	int error = errno;
	ssize_t got;

	if (n <= 0 || n > IOV_MAX || hook_iov_len(iov, n) == 0) /* refused, or nothing is done */
		return REAL(readv)(fd, iov, n);
	if (hook_was_socket(fd)) {
		got = receive(fd, iov, n);
		if (got >= 0 || errno != ENOTSOCK)
			return got;
		errno = error;
	}
	struct hook_kind kind = hook_kind(fd);
	enum hook_way way = kind.way;
	hook_note_kind(fd, kind);
	if (way == HOOK_PLAINLY)
		return plain_read(fd, iov, n);
	if (kind.is_socket)
		return receive(fd, iov, n);
	while ((got = try_read(fd, iov, n, &way)) < 0) {
		if (errno != EAGAIN)
			return -1;
		if (hook_wait(&wait) >= 0)
			continue;
		/* O_NONBLOCK: what is wrong with the call goes before EAGAIN. */
		return errno == EAGAIN && way == HOOK_LOOKING ? plain_read(fd, iov, n) : -1;
	}
	errno = error;
	return got;
}
/* END SOLUTION */

HOOKED ssize_t read(int fd, void *buf, size_t len)
{
	if (len == 0 || !hook_is_on()) /* it never waits for nothing; almost: inotify does */
		return REAL(read)(fd, buf, len);
	return hooked_read(fd, &(struct iovec){ buf, len }, 1);
}

HOOKED ssize_t __read_chk(int fd, void *buf, size_t len, size_t buf_len)
{
	if (len == 0 || len > buf_len || !hook_is_on())
		return REAL(__read_chk)(fd, buf, len, buf_len);
	return hooked_read(fd, &(struct iovec){ buf, len }, 1);
}

HOOKED ssize_t readv(int fd, const struct iovec *iov, int n)
{
	if (!hook_is_on())
		return REAL(readv)(fd, iov, n);
	return hooked_read(fd, iov, n);
}

/* --- writing ------------------------------------------------------------------------- */

/* How much a descriptor that says "writable" takes without blocking. */
static size_t piece_len(int fd, struct hook_kind kind, size_t len)
{
	if (kind.is_fifo)
		return PIPE_BUF;
	struct termios t;
	if (kind.is_char && len > TTY_COOKED_PIECE && tcgetattr(fd, &t) == 0)
		return t.c_oflag & OPOST ? TTY_COOKED_PIECE : TTY_PIECE;
	return SIZE_MAX;
}

/* Write some without blocking, in kind->way; EAGAIN: would block. */
static ssize_t try_write(int fd, const struct iovec *iov, int n, struct hook_kind *kind)
{
	if (kind->way == HOOK_NOWAIT) {
		ssize_t put = pwritev2(fd, iov, n, -1, RWF_NOWAIT);
		if (put >= 0 || errno != EOPNOTSUPP)
			return put;
		kind->way = HOOK_LOOKING;
	}
	if (!hook_look(fd, POLLOUT)) {
		errno = EAGAIN;
		return -1;
	}
	size_t len = hook_iov_len(iov, n), piece = piece_len(fd, *kind, len);
	if (len <= piece)
		return plain_write(fd, iov, n);
	while (iov->iov_len == 0)
		iov++;
	return REAL(write)(fd, iov->iov_base, iov->iov_len < piece ? iov->iov_len : piece);
}

/* BEGIN SOLUTION */
/* Write until all is done, as a blocking write does. What was written counts
 * more than an error that comes later: the next call will meet it again. */
static ssize_t write_all(int fd, const struct iovec *all, int n_all, struct hook_kind kind)
{
	struct hook_wait wait = { .fd = fd, .events = POLLOUT, .timeout_option = SO_SNDTIMEO };
	size_t len = hook_iov_len(all, n_all), done = 0;
	struct iovec *rest = NULL;
	const struct iovec *iov = all;
	int n = n_all;

	for (;;) {
		ssize_t put = try_write(fd, iov, n, &kind);
		if (put < 0 && errno != EAGAIN)
			break;
		if (put > 0) {
			done += (size_t)put;
			hook_progress(&wait);
			if (done >= len)
				break;
			hook_free(rest);
			n = n_all;
			rest = hook_iov_rest(all, &n, done);
			if (!rest)
				break;
			iov = rest;
			if (kind.way == HOOK_LOOKING)
				continue; /* a piece: look at once whether it takes another */
		}
		if (hook_wait(&wait) < 0) {
			if (errno == EAGAIN && kind.way == HOOK_LOOKING && done == 0 &&
			    (put = plain_write(fd, iov, n)) > 0) /* as in reading */
				done = (size_t)put;
			break;
		}
	}
	hook_free(rest);
	return done > 0 ? (ssize_t)done : -1;
}
/* END SOLUTION */

static ssize_t give(int fd, const struct iovec *iov, int n)
{
	return hook_send(fd, &(struct msghdr){ .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n }, 0);
}

static ssize_t hooked_write(int fd, const struct iovec *iov, int n)
{
	int error = errno;
	ssize_t put;

	if (n <= 0 || n > IOV_MAX || hook_iov_len(iov, n) == 0)
		return REAL(writev)(fd, iov, n);
	if (hook_was_socket(fd)) {
		put = give(fd, iov, n);
		if (put >= 0 || errno != ENOTSOCK)
			return put;
		errno = error;
	}
	struct hook_kind kind = hook_kind(fd);
	hook_note_kind(fd, kind);
	if (kind.way == HOOK_PLAINLY)
		return plain_write(fd, iov, n);
	if (kind.is_socket)
		return give(fd, iov, n);
	put = write_all(fd, iov, n, kind);
	if (put >= 0)
		errno = error;
	return put;
}

HOOKED ssize_t write(int fd, const void *buf, size_t len)
{
	if (!hook_is_on() || (len == 0 && !hook_kind(fd).is_socket)) /* for sockets, an empty message */
		return REAL(write)(fd, buf, len);
	if (len == 0)
		return hook_send(fd, &(struct msghdr){ .msg_iov = &(struct iovec){ (void *)buf, 0 }, .msg_iovlen = 1 }, 0);
	return hooked_write(fd, &(struct iovec){ (void *)buf, len }, 1);
}

HOOKED ssize_t writev(int fd, const struct iovec *iov, int n)
{
	if (!hook_is_on())
		return REAL(writev)(fd, iov, n);
	return hooked_write(fd, iov, n);
}
