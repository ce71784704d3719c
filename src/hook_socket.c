/* SPDX-License-Identifier: MIT */
/*
 * recv, recvfrom, recvmsg, send, sendto, sendmsg.
 *
 * Here "try" is MSG_DONTWAIT: the same call, which for once does not block.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "co_poll.h"
#include "hook.h"

enum {
	/* These never wait in libc either; with MSG_DONTWAIT a Fast Open would not
	 * even begin. */
	RECV_PLAINLY = MSG_DONTWAIT,
	SEND_PLAINLY = MSG_DONTWAIT | MSG_FASTOPEN,
	/* With these, too, a read that is short has taken all that there was. */
	USUAL_FLAGS = MSG_NOSIGNAL | MSG_CMSG_CLOEXEC,
	PEEK_AGAIN_NS = 1000 * 1000,
};

/* --- receiving -------------------------------------------------------------------------- */

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);
	return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/* Only streams are filled up by MSG_WAITALL; a datagram is one, however short. */
static bool is_stream(int fd)
{
	return option(fd, SO_TYPE) == SOCK_STREAM;
}

/* With these flags there is nothing to wait for: urgent data, noted errors. But UDP
 * does not know the first, and AF_UNIX not the second: they wait as without. */
static bool never_waits(int fd, int flags)
{
	return (flags & MSG_OOB && is_stream(fd)) || (flags & MSG_ERRQUEUE && option(fd, SO_DOMAIN) != AF_UNIX);
}

/* Is there something to read, whatever else there is? */
static bool has_bytes(int fd)
{
	int n = 0;
	return ioctl(fd, FIONREAD, &n) == 0 && n > 0;
}

/* Does urgent data come next? Nobody reads on past it: its place is a mark. */
static bool is_at_mark(int fd)
{
	int is_at = 0;
	return ioctl(fd, SIOCATMARK, &is_at) == 0 && is_at;
}

/* One buffer and nothing beside is recv: the kernel has less to copy and to check. */
static bool is_plain(const struct msghdr *m)
{
	return m->msg_iovlen == 1 && !m->msg_name && !m->msg_control;
}

/* (recv does not say what recvmsg says in msg_flags.) */
static ssize_t try_recv(const struct hook_wait *wait, struct msghdr *m, int flags)
{
	if (is_plain(m) && !wait->wants_flags)
		return REAL(recv)(wait->fd, m->msg_iov->iov_base, m->msg_iov->iov_len, flags | MSG_DONTWAIT);
	return REAL(recvmsg)(wait->fd, m, flags | MSG_DONTWAIT);
}

/* For the next read: is anything left? If we have believed that nothing was, have waited, and
 * nothing came, and there was something all the same: do not believe that any more. */
static void note_read(const struct hook_wait *wait, struct hook_known *known, bool is_short)
{
	if (wait->is_in_doubt)
		hook_was_not_empty(wait->fd);
	else if (is_short && known && hook_knows_still(known, wait->fd))
		hook_note_short_read(known);
}

/* Receive at least something.
 *
 * @has_some    the call has received something already. Then wait before trying;
 *              and an error of the connection is left for the next call, as
 *              libc's would leave it, and so is what comes after the mark. */
static ssize_t recv_some(struct hook_wait *wait, struct msghdr *msg, int flags, bool has_some)
{
	const struct msghdr as_given = *msg;
	bool is_usual = !has_some && !(flags & ~USUAL_FLAGS);
	struct hook_known *known = is_usual ? hook_known(wait->fd) : NULL;
	ssize_t got = -1;

	if (has_some && is_at_mark(wait->fd))
		return -1;
	errno = EAGAIN;
	wait->known = known;
	wait->is_untried = known && hook_known_is_empty(known);
	wait->events = has_some ? POLLIN | POLLPRI : POLLIN;
	while (has_some || wait->is_untried || (got = try_recv(wait, msg, flags)) < 0) {
		/* A datagram socket that was shut down: "readable", but only a
		 * call that may block is told of the end. */
		if (errno == EAGAIN && wait->n_in_vain > 0 && hook_look(wait->fd, POLLRDHUP)) {
			msg->msg_namelen = msg->msg_controllen = 0;
			msg->msg_flags = flags & MSG_CMSG_CLOEXEC;
			got = 0;
			break;
		}
		int events = errno == EAGAIN && !never_waits(wait->fd, flags) ? hook_wait(wait) : -1;
		if (events < 0 || (has_some && ((events & POLLERR && !has_bytes(wait->fd)) || is_at_mark(wait->fd))))
			return -1;
		has_some = wait->is_untried = false;
		*msg = as_given;
	}
	if (got > 0 && is_usual)
		note_read(wait, known, (size_t)got < hook_iov_len(msg->msg_iov, (int)msg->msg_iovlen));
	hook_progress(wait);
	return got;
}

/* MSG_PEEK leaves the bytes where they are, so all must be there at once. The
 * socket is readable from the first of them on: there is no event to wait for. */
static ssize_t peek_all(struct hook_wait *wait, struct msghdr *msg, int flags, size_t len)
{
	const struct msghdr as_given = *msg;

	for (bool is_last = false;;) {
		*msg = as_given;
		ssize_t got = recv_some(wait, msg, flags, false);
		if (got <= 0 || (size_t)got >= len || is_last)
			return got;
		if ((!wait->is_asked && hook_ask_user(wait) != 0) || co_now_ns() >= wait->deadline_ns)
			return got;
		/* No more will come, before the end or a mark ahead; but some may have, just now. */
		is_last = hook_look(wait->fd, POLLRDHUP) || (hook_look(wait->fd, POLLPRI) && !is_at_mark(wait->fd));
		if (is_last)
			continue;
		if (co_doze(wait->fd, PEEK_AGAIN_NS) != 0)
			return got;
	}
}

/* Is @fd told of the sender with every message, wanted or not? */
static bool is_told_who(int fd)
{
	return option(fd, SO_PASSCRED) > 0 || option(fd, SO_PASSSEC) > 0
#ifdef SO_PASSPIDFD
	       || option(fd, SO_PASSPIDFD) > 0
#endif
		;
}

/* AF_UNIX: did a descriptor, or another sender's name, come with these bytes? libc does not
 * go on behind it. (Elsewhere, control data such as times mark no end.) */
static bool ends_message(int fd, const struct msghdr *m, bool has_room)
{
	if (m->msg_controllen == 0 && !(m->msg_flags & MSG_CTRUNC))
		return false;
	return option(fd, SO_DOMAIN) == AF_UNIX && (has_room || !is_told_who(fd));
}

/* MSG_WAITALL: until all buffers are full, the other side has ended, or the time
 * is over. */
static ssize_t recv_all(struct hook_wait *wait, struct msghdr *msg, int flags, size_t len)
{
	const struct msghdr as_given = *msg;
	size_t done = 0;

	for (;;) {
		struct iovec *rest = NULL;
		int n = (int)as_given.msg_iovlen;
		struct msghdr m = as_given;
		if (done > 0) {
			rest = hook_iov_rest(as_given.msg_iov, &n, done);
			if (!rest)
				return (ssize_t)done;
			m.msg_iov = rest;
			m.msg_iovlen = (size_t)n;
		}
		ssize_t got = recv_some(wait, &m, flags & ~MSG_WAITALL, done > 0);
		hook_free(rest);
		if (got <= 0 && done > 0)
			return (ssize_t)done; /* the error stays for the next call */
		msg->msg_namelen = m.msg_namelen;
		msg->msg_controllen = m.msg_controllen;
		msg->msg_flags = m.msg_flags;
		if (got <= 0)
			return got;
		done += (size_t)got;
		if (done >= len || ends_message(wait->fd, &m, as_given.msg_controllen > 0))
			return (ssize_t)done;
	}
}

/* @wants_flags    the caller looks at msg_flags. */
static ssize_t receive(int fd, struct msghdr *msg, int flags, bool wants_flags)
{
	struct hook_wait wait = {
		.fd = fd,
		.events = POLLIN,
		.timeout_option = SO_RCVTIMEO,
		.wants_flags = wants_flags || flags & MSG_WAITALL, /* ends_message */
	};
	int error = errno;
	ssize_t got;

	/* AF_UNIX does not wait for all that is to be peeked at. */
	if (flags & MSG_WAITALL && is_stream(fd) && !(flags & MSG_PEEK && option(fd, SO_DOMAIN) == AF_UNIX)) {
		size_t len = hook_iov_len(msg->msg_iov, (int)msg->msg_iovlen);
		got = (flags & MSG_PEEK ? peek_all : recv_all)(&wait, msg, flags, len);
	} else {
		got = recv_some(&wait, msg, flags, false);
	}
	if (got >= 0)
		errno = error;
	return got;
}

ssize_t hook_recv(int fd, struct msghdr *msg, int flags)
{
	return receive(fd, msg, flags, false);
}

static ssize_t hooked_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr, socklen_t *addr_len)
{
	struct iovec iov = { buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (addr && addr_len) {
		msg.msg_name = addr;
		msg.msg_namelen = *addr_len;
	}
	ssize_t got = hook_recv(fd, &msg, flags);
	if (got >= 0 && addr && addr_len)
		*addr_len = msg.msg_namelen;
	return got;
}

HOOKED ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	if (flags & RECV_PLAINLY || !hook_is_on())
		return REAL(recv)(fd, buf, len, flags);
	return hooked_recvfrom(fd, buf, len, flags, NULL, NULL);
}

HOOKED ssize_t __recv_chk(int fd, void *buf, size_t len, size_t buf_len, int flags)
{
	if (len > buf_len || flags & RECV_PLAINLY || !hook_is_on())
		return REAL(__recv_chk)(fd, buf, len, buf_len, flags);
	return hooked_recvfrom(fd, buf, len, flags, NULL, NULL);
}

HOOKED ssize_t recvfrom(int fd, void *restrict buf, size_t len, int flags, struct sockaddr *restrict addr,
			socklen_t *restrict addr_len)
{
	if (flags & RECV_PLAINLY || !hook_is_on())
		return REAL(recvfrom)(fd, buf, len, flags, addr, addr_len);
	return hooked_recvfrom(fd, buf, len, flags, addr, addr_len);
}

HOOKED ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t buf_len, int flags, struct sockaddr *addr,
			      socklen_t *addr_len)
{
	if (len > buf_len || flags & RECV_PLAINLY || !hook_is_on())
		return REAL(__recvfrom_chk)(fd, buf, len, buf_len, flags, addr, addr_len);
	return hooked_recvfrom(fd, buf, len, flags, addr, addr_len);
}

HOOKED ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (flags & RECV_PLAINLY || !msg || msg->msg_iovlen > IOV_MAX || !hook_is_on())
		return REAL(recvmsg)(fd, msg, flags);
	return receive(fd, msg, flags, true);
}

/* --- sending ----------------------------------------------------------------------------- */

static ssize_t try_send(int fd, const struct msghdr *m, int flags)
{
	if (is_plain(m))
		return REAL(send)(fd, m->msg_iov->iov_base, m->msg_iov->iov_len, flags | MSG_DONTWAIT);
	return REAL(sendmsg)(fd, m, flags | MSG_DONTWAIT);
}

/* Send until all is gone, as a blocking send does. Control data goes with the
 * first bytes. */
static ssize_t send_all(int fd, const struct msghdr *msg, int flags)
{
	struct hook_wait wait = { .fd = fd, .events = POLLOUT, .timeout_option = SO_SNDTIMEO };
	size_t len = hook_iov_len(msg->msg_iov, (int)msg->msg_iovlen), done = 0;
	struct iovec *rest = NULL;
	struct msghdr m = *msg;
	ssize_t put;

	while ((put = try_send(fd, &m, flags)) >= 0 || errno == EAGAIN) {
		if (put > 0) {
			int n = (int)msg->msg_iovlen;
			hook_progress(&wait);
			flags |= MSG_NOSIGNAL; /* from now on it returns a success */
			done += (size_t)put;
			if (done < len) {
				hook_free(rest);
				rest = hook_iov_rest(msg->msg_iov, &n, done);
				m = (struct msghdr){ .msg_iov = rest, .msg_iovlen = (size_t)n };
			}
		}
		if (put >= 0 && (done >= len || !rest))
			break;
		int events = hook_wait(&wait);
		/* The connection is in trouble, but this call can still report a
		 * success: the error, and its SIGPIPE, are for the next one. */
		if (events < 0 || (done > 0 && events & (POLLERR | POLLHUP)))
			break;
		if (events & (POLLERR | POLLHUP) && option(fd, SO_DOMAIN) == AF_UNIX) {
			/* Whoever waits, is told of it without a signal. */
			flags |= MSG_NOSIGNAL;
			int error = option(fd, SO_ERROR);
			if (error > 0) {
				errno = error;
				break;
			}
		}
	}
	hook_free(rest);
	return put < 0 && done == 0 ? -1 : (ssize_t)done;
}

ssize_t hook_send(int fd, const struct msghdr *msg, int flags)
{
	int error = errno;
	ssize_t put = send_all(fd, msg, flags);

	if (put >= 0)
		errno = error;
	return put;
}

HOOKED ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	struct iovec iov = { (void *)buf, len };

	if (flags & SEND_PLAINLY || !hook_is_on())
		return REAL(send)(fd, buf, len, flags);
	return hook_send(fd, &(struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1 }, flags);
}

HOOKED ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr, socklen_t addr_len)
{
	struct iovec iov = { (void *)buf, len };

	if (flags & SEND_PLAINLY || !hook_is_on())
		return REAL(sendto)(fd, buf, len, flags, addr, addr_len);
	return hook_send(fd, &(struct msghdr){ (void *)addr, addr_len, &iov, 1, NULL, 0, 0 }, flags);
}

HOOKED ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (flags & SEND_PLAINLY || !msg || msg->msg_iovlen > IOV_MAX || !hook_is_on())
		return REAL(sendmsg)(fd, msg, flags);
	return hook_send(fd, msg, flags);
}
