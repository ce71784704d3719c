/* SPDX-License-Identifier: MIT */
/*
 * Hooked calls when the calls below them fail at random: EINTR, EAGAIN, short
 * counts, no memory. No byte may be lost, none come twice, nobody may hang, and an
 * error must be one that was really there.
 *
 * Pairs of coroutines pass numbered bytes through a pipe, sockets and a FIFO. After
 * each error they try again, so all must arrive, in order.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "coroutine.h"
#include "epoll.h"
#include "hooks.h"
#include "loop.h"
#include "park.h"
#include "sleep.h"
#include "tools.h"

/* --- calls that fail ---------------------------------------------------------------- */

static struct rng rng;
static unsigned per_mille; /* of the calls; 0: none */
static bool fails_memory, fails_library;
static int n_failed;

static bool fails_now(bool yes)
{
	bool fails = yes && per_mille && rng_below(&rng, 1000) < per_mille;
	n_failed += fails;
	return fails;
}

static int fail(int error)
{
	errno = error;
	return -1;
}

/* A part of the list: the call does less than it was asked to. */
static int shorten(const struct iovec *iov, int n, struct iovec *part)
{
	for (int i = 0; i < n; i++)
		if (iov[i].iov_len > 1) {
			*part = iov[i];
			part->iov_len = 1 + rng_below(&rng, (unsigned)iov[i].iov_len);
			return i == 0;
		}
	return 0;
}

ssize_t __real_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	struct iovec part;
	if (fails_now(true))
		switch (rng_below(&rng, 3)) {
		case 0: return fail(EAGAIN);
		case 1: return fail(EOPNOTSUPP);
		default:
			if (shorten(iov, n, &part))
				return __real_preadv2(fd, &part, 1, at, flags);
		}
	return __real_preadv2(fd, iov, n, at, flags);
}

ssize_t __real_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	struct iovec part;
	if (fails_now(true))
		switch (rng_below(&rng, 3)) {
		case 0: return fail(EAGAIN);
		case 1: return fail(EOPNOTSUPP);
		default:
			if (shorten(iov, n, &part))
				return __real_pwritev2(fd, &part, 1, at, flags);
		}
	return __real_pwritev2(fd, iov, n, at, flags);
}

int __real_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
	return fails_now(fails_library) ? fail(rng_below(&rng, 2) ? ENOMEM : ENOSPC) : __real_epoll_ctl(set, op, fd, event);
}

int __real_epoll_wait(int set, struct epoll_event *events, int n, int ms);
int __wrap_epoll_wait(int set, struct epoll_event *events, int n, int ms);
int __wrap_epoll_wait(int set, struct epoll_event *events, int n, int ms)
{
	return fails_now(true) ? fail(EINTR) : __real_epoll_wait(set, events, n, ms);
}

int __real_epoll_pwait2(int set, struct epoll_event *events, int n, const struct timespec *t, const sigset_t *mask);
int __wrap_epoll_pwait2(int set, struct epoll_event *events, int n, const struct timespec *t, const sigset_t *mask);
int __wrap_epoll_pwait2(int set, struct epoll_event *events, int n, const struct timespec *t, const sigset_t *mask)
{
	return fails_now(true) ? fail(EINTR) : __real_epoll_pwait2(set, events, n, t, mask);
}

void *__real_malloc(size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_malloc(size_t len)
{
	if (!fails_now(fails_memory))
		return __real_malloc(len);
	errno = ENOMEM;
	return NULL;
}

void *__real_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len)
{
	if (!fails_now(fails_memory))
		return __real_calloc(n, len);
	errno = ENOMEM;
	return NULL;
}

/* --- pairs ------------------------------------------------------------------------------ */

enum { PAIRS = 5, LEN = 60 * 1000 };

static struct pair {
	int in, out;
	bool is_socket, is_done;
	int n_errors;
} pair[PAIRS];

/* Errors that may come: the tests' own. */
static void check_error(struct pair *p)
{
	CHECK(errno == ENOMEM || errno == ENOSPC);
	CHECK(fails_memory || fails_library);
	p->n_errors++;
}

static void enable(void)
{
	while (co_enable_hook_sys() != 0)
		CHECK_EQ(errno, ENOMEM);
}

static ssize_t write_somehow(struct pair *p, const unsigned char *data, size_t n)
{
	struct iovec iov[3] = { { (void *)data, n / 2 }, { NULL, 0 }, { (void *)(data + n / 2), n - n / 2 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

	switch (rng_below(&rng, p->is_socket ? 4 : 2)) {
	case 0: return write(p->out, data, n);
	case 1: return writev(p->out, iov, 3);
	case 2: return send(p->out, data, n, 0);
	default: return sendmsg(p->out, &msg, 0);
	}
}

static void *writer(void *arg)
{
	struct pair *p = arg;
	static unsigned char data[LEN];

	enable();
	for (size_t i = 0; i < LEN; i++)
		data[i] = (unsigned char)(i * 7 % 251);
	for (size_t n = 0; n < LEN;) {
		size_t some = 1 + rng_below(&rng, 20000);
		ssize_t put = write_somehow(p, data + n, some < LEN - n ? some : LEN - n);
		if (put < 0)
			check_error(p);
		n += put > 0 ? (size_t)put : 0;
	}
	close(p->out);
	return NULL;
}

static ssize_t read_somehow(struct pair *p, unsigned char *data, size_t n)
{
	struct iovec iov[3] = { { data, n / 2 }, { NULL, 0 }, { data + n / 2, n - n / 2 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };
	fd_set set;

	switch (rng_below(&rng, p->is_socket ? 7 : 4)) {
	case 0: return read(p->in, data, n);
	case 1: return readv(p->in, iov, 3);
	case 2:
		if (poll(&(struct pollfd){ .fd = p->in, .events = POLLIN }, 1, -1) < 0)
			return -1;
		return read(p->in, data, n);
	case 3:
		FD_ZERO(&set);
		FD_SET(p->in, &set);
		if (select(p->in + 1, &set, NULL, NULL, NULL) < 0)
			return -1;
		return read(p->in, data, n);
	case 4: return recv(p->in, data, n, 0);
	case 5: return recv(p->in, data, n, MSG_WAITALL);
	default: return recvmsg(p->in, &msg, 0);
	}
}

static void *reader(void *arg)
{
	struct pair *p = arg;
	unsigned char data[4096];

	enable();
	for (size_t n = 0;;) {
		ssize_t got = read_somehow(p, data, 1 + rng_below(&rng, sizeof(data)));
		if (got < 0) {
			check_error(p);
			continue;
		}
		for (ssize_t i = 0; i < got; i++, n++)
			CHECK_EQ(data[i], n * 7 % 251);
		if (got == 0) {
			CHECK_EQ(n, LEN);
			break;
		}
	}
	close(p->in);
	p->is_done = true;
	return NULL;
}

static void make_pairs(void)
{
	int fd[2];
	char name[40];

	for (int i = 0; i < PAIRS; i++) {
		pair[i] = (struct pair){ .is_socket = i % 3 == 1 };
		if (i % 3 == 0) {
			CHECK_EQ(pipe(fd), 0);
		} else if (i % 3 == 1) {
			CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
		} else {
			snprintf(name, sizeof(name), "/tmp/t_hook_fault.%d", (int)getpid());
			CHECK_EQ(mkfifo(name, 0600), 0);
			fd[0] = open(name, O_RDONLY | O_NONBLOCK);
			fd[1] = open(name, O_WRONLY);
			CHECK_EQ(fcntl(fd[0], F_SETFL, 0), 0);
			unlink(name);
		}
		pair[i].in = fd[0];
		pair[i].out = fd[1];
	}
}

static void one_run(uint64_t seed)
{
	struct co *co[2 * PAIRS];

	per_mille = 0;
	rng.s = seed | 1;
	make_pairs();
	for (int i = 0; i < PAIRS; i++) {
		CHECK_EQ(co_create(&co[2 * i], NULL, reader, &pair[i]), 0);
		CHECK_EQ(co_create(&co[2 * i + 1], NULL, writer, &pair[i]), 0);
	}
	per_mille = 1 + rng_below(&rng, 200);
	for (int i = 0; i < 2 * PAIRS; i++)
		CHECK_EQ(co_resume(co[i]), 0);
	while (co_eventloop(NULL, NULL, NULL) != 0)
		CHECK(errno == ENOMEM || errno == ENOSPC);
	per_mille = 0;
	co_loop_check();
	co_epoll_check();
	for (int i = 0; i < PAIRS; i++) {
		CHECK(pair[i].is_done);
		CHECK_EQ(co_release(co[2 * i]), 0);
		CHECK_EQ(co_release(co[2 * i + 1]), 0);
	}
}

static void many_runs(void)
{
	uint64_t seed = test_seed(0x6c69626a);
	size_t n_fds = 0;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < rounds(300); i++) {
		one_run(seed + (uint64_t)i * 7919);
		if (i == 0)
			n_fds = count_fds();
		CHECK_EQ(count_fds(), n_fds);
	}
	printf("# %d calls failed\n", n_failed);
	CHECK(n_failed > rounds(100));
}

static void calls(void)
{
	many_runs();
}

static void no_memory(void)
{
	fails_memory = true;
	many_runs();
}

static void no_library(void)
{
	fails_library = true;
	many_runs();
}

static void nothing_works(void)
{
	fails_memory = fails_library = true;
	many_runs();
}

static const struct test_case cases[] = {
	{ "calls", "short counts, EAGAIN, EOPNOTSUPP and EINTR lose no byte", calls, 0, NULL },
	{ "memory", "nor does memory that is not there, now and then", no_memory, 0, NULL },
	{ "registering", "nor an epoll_ctl that fails", no_library, 0, NULL },
	{ "all", "nor all of it together", nothing_works, 0, NULL },
};

TEST_MAIN(cases)
