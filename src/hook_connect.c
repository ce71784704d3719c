/* SPDX-License-Identifier: MIT */
/*
 * connect, accept, accept4.
 *
 * They have no "do not wait" for one call: only the flag O_NONBLOCK, which
 * belongs to the open socket, and so to everybody who shares it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "closing.h"
#include "co_poll.h"
#include "hook.h"
#include "hooks.h"
#include "loop.h"

/* --- connect: the flag is set for the call and put back ------------------------------- */

enum {
	BACKLOG_NS = 1000 * 1000, /* until another try, when the listener's queue is full */
};

/* The flags are asked for each time: while the call waits, somebody may change them. A thread is
 * cancelled before the flag is set, or when it is put back. */
static int connect_at_once(int fd, const struct sockaddr *addr, socklen_t len)
{
	int cancel_state;

	pthread_testcancel();
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0))
		return -1;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	int connected = REAL(connect)(fd, addr, len);
	pthread_setcancelstate(cancel_state, NULL);
	int error = errno;
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags);
	errno = error;
	return connected;
}

/* A connection is on its way; or there is no room in the queue of a listener
 * (AF_UNIX), and nothing tells when there is. */
static int wait_for_connection(struct hook_wait *wait, int error)
{
	if (error != EAGAIN)
		return hook_wait(wait);
	if (!wait->is_asked && hook_ask_user(wait) != 0)
		return -1;
	if (co_now_ns() >= wait->deadline_ns) {
		errno = EAGAIN;
		return -1;
	}
	return co_doze(wait->fd, BACKLOG_NS);
}

HOOKED int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct hook_wait wait = { .fd = fd, .events = POLLOUT, .timeout_option = SO_SNDTIMEO };
	int before = errno, flags;
	bool has_waited = false;

	co_fd_changed(fd);
	if (!hook_is_on() || (flags = fcntl(fd, F_GETFL)) < 0 || flags & O_NONBLOCK)
		return REAL(connect)(fd, addr, len);
	while (connect_at_once(fd, addr, len) != 0) {
		int error = errno;
		if (error == EISCONN && has_waited)
			break; /* another waiter has asked before us */
		if (error != EINPROGRESS && error != EALREADY && error != EAGAIN)
			return -1;
		/* Asking again when it may be done gives its result, and lets the
		 * kernel note that we know it. */
		if (wait_for_connection(&wait, error) < 0) {
			if (errno == EAGAIN)
				errno = error; /* the time is over: as libc says it */
			return -1;
		}
		has_waited = true;
	}
	errno = before;
	return 0;
}

/* --- accept: the flag is set and stays -------------------------------------------------- */

/* Processes may share a listener. If one puts the flag back while another is about
 * to call accept, that one's whole thread stands still. So it stays, and all of
 * them must know whose wish it is: ours, or the user's? A mark that is shared as
 * the flag is says so: the signal for asynchronous I/O (F_SETSIG), set to the
 * default's own number. Nothing but F_GETSIG sees a difference. */
enum { OUR_MARK = SIGIO };

static bool is_listener(int fd)
{
	int yes = 0;
	socklen_t len = sizeof(yes);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes;
}

/* Make accept not block. false: it must not, or cannot: the call is libc's. */
static bool make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return false;
	if (flags & O_NONBLOCK)
		return fcntl(fd, F_GETSIG) == OUR_MARK;
	/* The mark first: whoever sees the flag, sees the mark. */
	return is_listener(fd) && fcntl(fd, F_SETSIG, OUR_MARK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static int hooked_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct hook_wait wait = { .fd = fd, .events = POLLIN, .timeout_option = SO_RCVTIMEO, .is_flag_ours = true };
	int before = errno, connection;

	if (!make_nonblocking(fd))
		return REAL(accept4)(fd, addr, len, flags);
	while ((connection = REAL(accept4)(fd, addr, len, flags)) < 0) {
		/* AF_UNIX, shut down: only a call that may block is told so. */
		if (errno == EAGAIN && wait.n_in_vain > 0 && hook_look(fd, POLLRDHUP))
			errno = EINVAL;
		if (errno != EAGAIN || hook_wait(&wait) < 0)
			return -1;
	}
	errno = before;
	return connection;
}

HOOKED int accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return hook_new_number(hook_is_on() ? hooked_accept(fd, addr, len, 0) : REAL(accept)(fd, addr, len));
}

HOOKED int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return hook_new_number(hook_is_on() ? hooked_accept(fd, addr, len, flags) : REAL(accept4)(fd, addr, len, flags));
}

HOOKED int co_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return hook_new_number(co_may_wait() ? hooked_accept(fd, addr, len, 0) : REAL(accept)(fd, addr, len));
}

/* C++ programs written for libco declare it themselves: by this name. */
HOOKED int accept_in_cxx(int fd, struct sockaddr *addr, socklen_t *len) __asm__("_Z9co_acceptiP8sockaddrPj")
	__attribute__((alias("co_accept")));
