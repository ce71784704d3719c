/* SPDX-License-Identifier: MIT */
/*
 * hook — what the hooked calls have in common.
 *
 * Layer:   8; inside costep_hooks.o only.
 *
 * Every hooked call begins alike:
 *
 *     if (!hook_is_on())
 *             return REAL(read)(fd, buf, len);
 */
#ifndef CO_HOOK_H
#define CO_HOOK_H

#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The entry points that compilers call instead, when they know a buffer's size. */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t buf_len);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t buf_len, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t buf_len, int flags, struct sockaddr *addr,
		       socklen_t *addr_len);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t fds_len);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t fds_len);

/* A hooked name: seen by the dynamic linker. All else in this object is not. */
#define HOOKED __attribute__((visibility("default")))

/* libc's own function of that name: the next one that the dynamic linker knows. */
#define REAL(name) ((__typeof__(&name))hook_real(HOOK_##name))

enum hook_id {
#define HOOK(name) HOOK_##name,
#include "hook_names.h"
#undef HOOK
	HOOKS
};

void *hook_real(enum hook_id id);

/* May this call wait as a coroutine? Else it is libc's. */
bool hook_is_on(void);

/* --- waiting for one descriptor --------------------------------------------------- */

/* A call on a descriptor that may have to wait several times. */
struct hook_wait {
	int fd;
	short events;         /* POLLIN or POLLOUT */
	int timeout_option;   /* SO_RCVTIMEO or SO_SNDTIMEO */
	struct hook_known *known; /* what its coroutine knows of it, and may believe; NULL: nothing */
	bool is_asked;        /* the user wants it to block, and what follows is set */
	int64_t deadline_ns;  /* of the whole call */
	int64_t limit_ns;     /* SO_RCVTIMEO or SO_SNDTIMEO; 0: none */
	bool is_socket;
	unsigned n_changes;   /* co_fd_changes before the user was asked */
	bool is_flag_ours;    /* O_NONBLOCK is not the user's wish */
	unsigned n_in_vain;   /* waits in a row after which there was nothing to do */
	int64_t began_ns;     /* when a wait on trust began, if there is a limit; else 0 */
	bool is_untried;      /* it waits before it tries: it is known that there is nothing */
	bool is_in_doubt;     /* so it was, but after a long wait something is there: try */
	bool wants_flags;     /* receiving: somebody looks at msg_flags */
};

/* The call would block: wait until it is worth another try.
 *
 * Returns      events; -1: EAGAIN the user wants no blocking (O_NONBLOCK), or the
 *              time is over; EBADF closed meanwhile, or not open for this. */
int hook_wait(struct hook_wait *wait);

/* Lengths of time, and what libc accepts as one. */
bool hook_is_valid(const struct timespec *t);
int64_t hook_ns_of(const struct timespec *t); /* CO_NEVER: too long to count */

/* The end of a wait that has begun at @began_ns (0: it begins now), and is for @limit_ns
 * (0: for ever). */
int64_t hook_deadline(int64_t began_ns, int64_t limit_ns);

/* Ask the descriptor what its user wants, for hook_wait. Errors as there. */
int hook_ask_user(struct hook_wait *wait);

/* Something was done: later waits are not in vain. */
static inline void hook_progress(struct hook_wait *wait)
{
	wait->n_in_vain = 0;
}

/* How can a descriptor be read or written without blocking? */
enum hook_way {
	HOOK_PLAINLY, /* files: the plain call does not block, by definition */
	HOOK_NOWAIT,  /* preadv2 and pwritev2 with RWF_NOWAIT */
	HOOK_LOOKING, /* those do not work: look whether it is ready, then call */
};
struct hook_kind {
	enum hook_way way;
	bool is_socket, is_fifo, is_char; /* char: a device, such as a terminal */
};
struct hook_kind hook_kind(int fd);

/* Was @fd a socket when the running coroutine last read or wrote, where hooks are on? A
 * guess, which spares a system call: act on it only by a call that says ENOTSOCK. */
bool hook_was_socket(int fd);
void hook_note_kind(int fd, struct hook_kind kind);

/* @fd, which a call has just returned; negative: it has failed. Whoever waits for that number
 * waits for a file that is gone, and is told. */
int hook_new_number(int fd);

/* --- what a coroutine knows of the sockets that it reads: hook_known.c ----------------- */

struct hook_known;

/* What the running coroutine knows of @fd, and may believe at this moment; NULL: nothing. */
struct hook_known *hook_known(int fd);

/* The same, of what it has known of @fd before it waited. */
bool hook_knows_still(const struct hook_known *known, int fd);

/* Wait to read a socket, after hook_ask_user, and know it from then on. As hook_wait. */
int hook_wait_and_know(struct hook_wait *wait);

/* Wait to read what is known. As hook_wait; 0 when some milliseconds have gone by: it is known
 * no more. */
int hook_wait_known(struct hook_wait *wait);

/* A read took less than it could: is nothing left, then? Noted, if that can be said. */
void hook_note_short_read(struct hook_known *known);

/* Is it known that a read would find nothing? */
bool hook_known_is_empty(const struct hook_known *known);

/* That was wrong once. Never say it again of @fd. */
void hook_was_not_empty(int fd);

/* Is @fd ready for @events at this moment? */
bool hook_look(int fd, short events);

/* Learn what hook_kind needs to know about this system. */
void hook_learn(void);

/* recvmsg (but that it does not set msg_flags) and sendmsg, hooked: what read and write are
 * on sockets, too. */
ssize_t hook_recv(int fd, struct msghdr *msg, int flags);
ssize_t hook_send(int fd, const struct msghdr *msg, int flags);

/* Memory for the time of one call, which may wait: if the running coroutine is reset
 * or released meanwhile, it is freed. NULL: ENOMEM. */
void *hook_alloc(size_t len);
void hook_free(void *memory);

/* --- lists of buffers ---------------------------------------------------------------- */

static inline size_t hook_iov_len(const struct iovec *iov, int n)
{
	size_t len = 0;
	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

/* A copy of the list @iov without its first @done bytes, by hook_alloc; *@n becomes
 * its length. NULL: ENOMEM. */
struct iovec *hook_iov_rest(const struct iovec *iov, int *n, size_t done);

#endif
