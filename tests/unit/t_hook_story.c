/* SPDX-License-Identifier: MIT */
/*
 * Longer stories, played with libc on threads and with the hooks in coroutines:
 * connecting, accepting, big transfers, messages in parts, descriptors on the way.
 */
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>

#include "two_ways.h"

static _Atomic bool no_nowait;

ssize_t __real_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	if (!no_nowait)
		return __real_preadv2(fd, iov, n, at, flags);
	errno = EOPNOTSUPP;
	return -1;
}

ssize_t __real_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	if (!no_nowait)
		return __real_pwritev2(fd, iov, n, at, flags);
	errno = EOPNOTSUPP;
	return -1;
}

/* A call of A's, in which B may find it asleep. */
#define CALL(p, call) \
	({ \
		(p)->is_calling = true; \
		errno = 12345; \
		intmax_t result_ = (call); \
		int error_ = errno; \
		(p)->is_calling = false; \
		errno = error_; \
		say_result(p, #call, result_); \
		result_; \
	})

struct story {
	const char *name;
	void (*before)(struct play *p);
	void (*a)(struct play *p), (*b)(struct play *p);
	int which;
};

static int which(const struct play *p)
{
	return ((const struct story *)p->scene)->which;
}

static void tell(const struct story *story, bool is_hooked, struct play *p)
{
	play_init(p);
	p->scene = story;
	p->play_a = story->a;
	p->play_b = story->b;
	n_sigpipe = 0;
	alarm(60);
	snprintf(what_plays, sizeof(what_plays), "%s, %s", story->name, is_hooked ? "hooked" : "libc");
	if (story->before)
		story->before(p);
	(is_hooked ? play_in_coroutines : play_on_threads)(p);
	say(p, "SIGPIPE: %d; B got %zu bytes, %zx\n", n_sigpipe, p->n_b, p->sum_b);
	if (p->a >= 0)
		say(p, "flags of A's: %o\n", (unsigned)fcntl(p->a, F_GETFL));
	if (p->b >= 0)
		say(p, "flags of B's: %o\n", (unsigned)fcntl(p->b, F_GETFL));
	close_all(p);
}

static void tell_all(const struct story *story, int n)
{
	static struct play plain, hooked;
	int n_different = 0;

	two_ways_begin();
	for (int i = 0; i < 2 * n; i++) {
		const struct story *s = &story[i / 2];
		no_nowait = i % 2;
		if (!no_nowait)
			tell(s, false, &plain);
		tell(s, true, &hooked);
		if (strcmp(plain.log, hooked.log) == 0)
			continue;
		n_different++;
		fprintf(stderr, "%s%s:\n--- libc:\n%s--- hooked:\n%s", s->name, no_nowait ? ", without RWF_NOWAIT" : "",
			plain.log, hooked.log);
	}
	alarm(0);
	printf("# %d stories, each without RWF_NOWAIT too\n", n);
	CHECK_EQ(n_different, 0);
}

static void set_time(int fd, int option, int ms)
{
	struct timeval t = { ms / 1000, ms % 1000 * 1000 };
	CHECK_EQ(setsockopt(fd, SOL_SOCKET, option, &t, sizeof(t)), 0);
}

static void say_flags(struct play *p, int fd)
{
	say(p, "  flags %o %x\n", (unsigned)fcntl(fd, F_GETFL), (unsigned)fcntl(fd, F_GETFD));
	errno = 12345;
}

/* --- addresses ------------------------------------------------------------------------- */

struct address {
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_un un;
	};
};

static struct address address_of(int fd)
{
	struct address a = { .len = sizeof(a.un) };
	CHECK_EQ(getsockname(fd, &a.any, &a.len), 0);
	return a;
}

/* A socket bound to an address that is nobody else's. */
static int bound_socket(int family, int type)
{
	struct address a = { .len = sizeof(sa_family_t), .any.sa_family = (sa_family_t)family };
	int fd = socket(family, type, 0);

	if (family == AF_INET) {
		a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		a.len = sizeof(a.in);
	} /* AF_UNIX: the kernel chooses an abstract name */
	CHECK_EQ(bind(fd, &a.any, a.len), 0);
	return fd;
}

static int listener(int family, int backlog)
{
	int fd = bound_socket(family, SOCK_STREAM);
	CHECK_EQ(listen(fd, backlog), 0);
	return fd;
}

/* more[0] is the listener, a a socket for it. */
static void before_connect(struct play *p)
{
	p->more[0] = listener(which(p), 5);
	p->a = socket(which(p), SOCK_STREAM, 0);
}

/* --- connect --------------------------------------------------------------------------- */

static void b_only_waits(struct play *p)
{
	until_a_is_back(p);
}

static void a_connects(struct play *p)
{
	struct address to = address_of(p->more[0]);
	int error;
	socklen_t len = sizeof(error);

	CALL(p, connect(p->a, &to.any, to.len));
	say_flags(p, p->a);
	CALL(p, connect(p->a, &to.any, to.len));
	CALL(p, write(p->a, "hello", 5));
	CHECK_EQ(getsockopt(p->a, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	say(p, "error %d\n", error);
}

static void b_accepts(struct play *p)
{
	p->b = accept(p->more[0], NULL, NULL);
	CHECK(p->b >= 0);
	until_a_is_back(p);
	take(p, p->b, 1000);
}

static void a_is_refused(struct play *p)
{
	struct address to = address_of(p->more[0]);
	int again = listener(which(p), 5);
	struct address other = address_of(again);

	close(p->more[0]);
	p->more[0] = -1;
	CALL(p, connect(p->a, &to.any, to.len));
	CALL(p, connect(p->a, &to.any, to.len));
	say_flags(p, p->a);
	CALL(p, connect(p->a, &other.any, other.len));
	CALL(p, write(p->a, "hello", 5));
	close(again);
}

static void a_connects_wrongly(struct play *p)
{
	struct address to = address_of(p->more[0]), bad = to;
	struct sockaddr_un missing = { .sun_family = AF_UNIX, .sun_path = "/tmp/t_hook_story.missing" };

	bad.any.sa_family = 99;
	CALL(p, connect(p->a, &bad.any, bad.len));
	CALL(p, connect(p->a, &to.any, 1));
	CALL(p, connect(-1, &to.any, to.len));
	CALL(p, connect(p->a, NULL, to.len));
	CALL(p, connect(p->a, (struct sockaddr *)&missing, sizeof(missing)));
	int p0[2];
	CHECK_EQ(pipe(p0), 0);
	errno = 12345;
	CALL(p, connect(p0[0], &to.any, to.len));
	close(p0[0]);
	close(p0[1]);
	CALL(p, connect(p->more[0], &to.any, to.len)); /* a listener */
}

static void before_datagrams(struct play *p)
{
	p->more[0] = bound_socket(which(p), SOCK_DGRAM);
	p->a = socket(which(p), SOCK_DGRAM, 0);
}

static void a_connects_datagrams(struct play *p)
{
	struct address to = address_of(p->more[0]);
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	CALL(p, connect(p->a, &to.any, to.len));
	CALL(p, connect(p->a, &to.any, to.len));
	CALL(p, send(p->a, "hello", 5, 0));
	CALL(p, recv(p->more[0], to.un.sun_path, 10, 0));
	CALL(p, connect(p->a, &none, sizeof(none)));
	CALL(p, send(p->a, "hello", 5, 0));
}

/* A listener that takes nobody more. Its queue is full: AF_UNIX then waits, TCP drops
 * the SYN, as a distant machine that does not answer. */
static void before_full_queue(struct play *p)
{
	p->more[0] = listener(which(p), 0);
	struct address to = address_of(p->more[0]);
	for (int i = 1; i < 4; i++) {
		p->more[i] = socket(which(p), SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(p->more[i], &to.any, to.len);
	}
	p->a = socket(which(p), SOCK_STREAM, 0);
}

static void a_gives_up(struct play *p)
{
	struct address to = address_of(p->more[0]);

	set_time(p->a, SO_SNDTIMEO, 30);
	int64_t begin = co_now_ns();
	CALL(p, connect(p->a, &to.any, to.len));
	say(p, "too early: %d\n", co_now_ns() - begin < 25 * 1000 * 1000);
	CALL(p, connect(p->a, &to.any, to.len));
	say_flags(p, p->a);
}

static void a_connects_at_last(struct play *p)
{
	struct address to = address_of(p->more[0]);

	CALL(p, connect(p->a, &to.any, to.len));
	CALL(p, write(p->a, "hello", 5));
}

/* Take those in front of it, as soon as A waits. */
static void b_makes_room(struct play *p)
{
	int taken[8], n = 0;

	until_a_sleeps(p);
	while (!p->is_back) {
		struct pollfd entry = { .fd = p->more[0], .events = POLLIN };
		if (poll(&entry, 1, 5) == 1)
			taken[n++] = accept(p->more[0], NULL, NULL);
	}
	while (n > 0)
		close(taken[--n]);
}

static void a_does_not_block(struct play *p)
{
	struct address to = address_of(p->more[0]);

	CHECK_EQ(fcntl(p->a, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	CALL(p, connect(p->a, &to.any, to.len));
	CALL(p, connect(p->a, &to.any, to.len));
	say_flags(p, p->a);
}

static const struct story connecting[] = {
	{ "connect to a TCP listener", before_connect, a_connects, b_accepts, AF_INET },
	{ "connect to an AF_UNIX listener", before_connect, a_connects, b_accepts, AF_UNIX },
	{ "connect to nobody, TCP", before_connect, a_is_refused, b_only_waits, AF_INET },
	{ "connect to nobody, AF_UNIX", before_connect, a_is_refused, b_only_waits, AF_UNIX },
	{ "connect wrongly, TCP", before_connect, a_connects_wrongly, b_only_waits, AF_INET },
	{ "connect wrongly, AF_UNIX", before_connect, a_connects_wrongly, b_only_waits, AF_UNIX },
	{ "connect UDP", before_datagrams, a_connects_datagrams, b_only_waits, AF_INET },
	{ "connect AF_UNIX datagrams", before_datagrams, a_connects_datagrams, b_only_waits, AF_UNIX },
	{ "G09: connect, SYN dropped, SO_SNDTIMEO", before_full_queue, a_gives_up, b_only_waits, AF_INET },
	{ "G10: connect, full queue, SO_SNDTIMEO", before_full_queue, a_gives_up, b_only_waits, AF_UNIX },
	{ "G10: connect, full queue that is emptied", before_full_queue, a_connects_at_last, b_makes_room, AF_UNIX },
	{ "connect, SYN dropped at first", before_full_queue, a_connects_at_last, b_makes_room, AF_INET },
	{ "connect with O_NONBLOCK, SYN dropped", before_full_queue, a_does_not_block, b_only_waits, AF_INET },
	{ "connect with O_NONBLOCK, full queue", before_full_queue, a_does_not_block, b_only_waits, AF_UNIX },
};

/* --- accept ------------------------------------------------------------------------------- */

static void before_accept(struct play *p)
{
	p->more[0] = listener(which(p), 5);
}

static void a_accepts(struct play *p)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);

	p->is_calling = true;
	p->more[1] = accept(p->more[0], (struct sockaddr *)&from, &len);
	p->is_calling = false;
	CHECK(p->more[1] >= 0); /* which number it is, does not matter */
	p->n_done = 1;
	say(p, "errno %d, address of %u, family %d\n", errno, (unsigned)len, from.ss_family);
	say_flags(p, p->more[1]);
	len = 3;
	p->is_calling = true;
	p->more[2] = accept4(p->more[0], (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	p->is_calling = false;
	CHECK(p->more[2] >= 0);
	p->n_done = 2;
	say(p, "errno %d, address of %u\n", errno, (unsigned)len);
	say_flags(p, p->more[2]);
	char buf[10];
	CALL(p, read(p->more[1], buf, 10));
	CALL(p, accept(p->more[1], NULL, NULL));
	CALL(p, accept4(p->more[0], NULL, NULL, 0x7));
}

static void b_connects_twice(struct play *p)
{
	struct address to = address_of(p->more[0]);
	for (int i = 0; i < 2; i++) {
		int fd = socket(which(p), SOCK_STREAM, 0);
		until_a_sleeps(p);
		CHECK_EQ(connect(fd, &to.any, to.len), 0);
		*(i ? &p->more[3] : &p->b) = fd;
		while (p->n_done <= i) /* it has accepted */
			pass_ns(p, 100 * 1000);
	}
	CHECK_EQ(write(p->b, "hello", 5), 5);
	until_a_is_back(p);
}

static void a_accepts_in_vain(struct play *p)
{
	set_time(p->more[0], SO_RCVTIMEO, 30);
	int64_t begin = co_now_ns();
	CALL(p, accept(p->more[0], NULL, NULL));
	say(p, "too early: %d\n", co_now_ns() - begin < 25 * 1000 * 1000);
	CALL(p, accept4(p->more[0], NULL, NULL, SOCK_CLOEXEC));
}

static void a_accepts_without_blocking(struct play *p)
{
	CHECK_EQ(fcntl(p->more[0], F_SETFL, O_RDWR | O_NONBLOCK), 0);
	CALL(p, accept(p->more[0], NULL, NULL));
	CALL(p, accept4(p->more[0], NULL, NULL, 0));
	say_flags(p, p->more[0]);
}

static void a_accepts_until_the_end(struct play *p)
{
	CALL(p, accept(p->more[0], NULL, NULL));
	CALL(p, accept(p->more[0], NULL, NULL));
}

static void b_shuts_the_listener(struct play *p)
{
	until_a_sleeps(p);
	CHECK_EQ(shutdown(p->more[0], SHUT_RDWR), 0);
	until_a_is_back(p);
}

static const struct story accepting[] = {
	{ "accept, TCP", before_accept, a_accepts, b_connects_twice, AF_INET },
	{ "accept, AF_UNIX", before_accept, a_accepts, b_connects_twice, AF_UNIX },
	{ "accept, SO_RCVTIMEO, TCP", before_accept, a_accepts_in_vain, b_only_waits, AF_INET },
	{ "accept, SO_RCVTIMEO, AF_UNIX", before_accept, a_accepts_in_vain, b_only_waits, AF_UNIX },
	{ "accept, O_NONBLOCK", before_accept, a_accepts_without_blocking, b_only_waits, AF_INET },
	{ "accept, shut down, TCP", before_accept, a_accepts_until_the_end, b_shuts_the_listener, AF_INET },
	{ "accept, shut down, AF_UNIX", before_accept, a_accepts_until_the_end, b_shuts_the_listener, AF_UNIX },
};

/* --- big transfers ------------------------------------------------------------------------- */

enum {
	BIG = 3 * 1000 * 1000 + 17,
	TTY_BIG = 100 * 1000,
};

static unsigned char big[BIG], big_in[BIG];

static void fill_big(void)
{
	struct rng rng = { 12345 };
	for (size_t i = 0; i < BIG; i++)
		big[i] = (unsigned char)(rng_next(&rng) % 255 + 1);
}

static size_t sum_of(const unsigned char *data, size_t n)
{
	size_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + data[i];
	return sum;
}

enum { TCP, UNIX, PIPE, FIFO, MASTER, SLAVE, WAYS };
enum { PLAINLY = 0, IN_PARTS = 10, BY_SEND = 20, BY_MSG = 30, AT_ONCE = 40 };

/* more[0]: where one writes, more[1]: where one reads. */
static void before_big(struct play *p)
{
	int fd[2] = { -1, -1 };

	fill_big();
	memset(big_in, 0, sizeof(big_in));
	switch (which(p) % 10) {
	case TCP: {
		int l = listener(AF_INET, 1);
		struct address to = address_of(l);
		fd[0] = socket(AF_INET, SOCK_STREAM, 0);
		CHECK_EQ(connect(fd[0], &to.any, to.len), 0);
		fd[1] = accept(l, NULL, NULL);
		close(l);
		break;
	}
	case UNIX:
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
		break;
	case PIPE:
		CHECK_EQ(pipe(fd), 0);
		int swap = fd[0];
		fd[0] = fd[1];
		fd[1] = swap;
		break;
	case FIFO:
		snprintf(p->path[0], sizeof(p->path[0]), "/tmp/t_hook_story.%d", (int)getpid());
		unlink(p->path[0]);
		CHECK_EQ(mkfifo(p->path[0], 0600), 0);
		fd[1] = open(p->path[0], O_RDONLY | O_NONBLOCK);
		fd[0] = open(p->path[0], O_WRONLY);
		CHECK_EQ(fcntl(fd[1], F_SETFL, 0), 0);
		break;
	default: {
		struct termios t;
		bool is_master = which(p) % 10 == MASTER;
		CHECK_EQ(openpty(&fd[!is_master], &fd[is_master], NULL, NULL, NULL), 0);
		CHECK_EQ(tcgetattr(fd[1], &t), 0);
		cfmakeraw(&t);
		CHECK_EQ(tcsetattr(fd[is_master], TCSANOW, &t), 0);
	}
	}
	p->more[0] = fd[0];
	p->more[1] = fd[1];
}

static size_t big_len(const struct play *p)
{
	return which(p) % 10 >= MASTER ? TTY_BIG : BIG;
}

static void a_writes_big(struct play *p)
{
	size_t n = big_len(p);
	struct iovec part[4] = { { big, 1000 }, { big + 1000, 0 }, { big + 1000, n / 2 }, { big + 1000 + n / 2, n - n / 2 - 1000 } };
	struct msghdr msg = { .msg_iov = part, .msg_iovlen = 4 };
	int fd = p->more[0];

	switch (which(p) / 10 * 10) {
	case PLAINLY:
		CALL(p, write(fd, big, n));
		break;
	case IN_PARTS:
		CALL(p, writev(fd, part, 4));
		break;
	case BY_SEND:
		CALL(p, send(fd, big, n, 0));
		break;
	default:
		CALL(p, sendmsg(fd, &msg, 0));
	}
	if (which(p) % 10 < MASTER)
		close(fd);
	p->more[0] = which(p) % 10 < MASTER ? -1 : fd;
}

static void b_reads_big(struct play *p)
{
	size_t n = 0;
	ssize_t got;

	until_a_sleeps(p);
	while (n < big_len(p) && (got = read(p->more[1], big_in + n, (big_len(p) - n) % 60001 + 1)) > 0)
		n += (size_t)got;
	p->n_b = n;
	p->sum_b = sum_of(big_in, n);
	CHECK_EQ(memcmp(big_in, big, n), 0);
	until_a_is_back(p);
}

static void b_writes_big(struct play *p)
{
	size_t n = 0, len = big_len(p);

	until_a_sleeps(p);
	while (n < len) {
		size_t some = n * 7 % 50000 + 1;
		ssize_t put = write(p->more[0], big + n, some < len - n ? some : len - n);
		CHECK(put > 0);
		n += (size_t)put;
	}
	p->n_b = n;
	until_a_is_back(p);
}

/* How much comes by one read, is a matter of time: only the sum counts. */
static void a_reads_big(struct play *p)
{
	size_t n = 0, len = big_len(p);
	int fd = p->more[1];

	p->is_calling = true;
	if (which(p) / 10 * 10 == AT_ONCE)
		CALL(p, recv(fd, big_in, len, MSG_WAITALL));
	while (which(p) / 10 * 10 != AT_ONCE && n < len) {
		struct iovec part[3] = { { big_in + n, (len - n) / 3 }, { NULL, 0 }, { big_in + n + (len - n) / 3, (len - n + 2) / 3 } };
		struct msghdr msg = { .msg_iov = part, .msg_iovlen = 3 };
		int how = which(p) / 10 * 10;
		ssize_t got = how == PLAINLY	? read(fd, big_in + n, len - n)
			      : how == IN_PARTS ? readv(fd, part, 3)
			      : how == BY_SEND	? recvfrom(fd, big_in + n, len - n, 0, NULL, NULL)
						: recvmsg(fd, &msg, 0);
		CHECK(got > 0);
		n += (size_t)got;
	}
	say(p, "%zx\n", sum_of(big_in, len));
	CHECK_EQ(memcmp(big_in, big, len), 0);
}

#define WRITES(name, which) { name, before_big, a_writes_big, b_reads_big, which }
#define READS(name, which) { name, before_big, a_reads_big, b_writes_big, which }
static const struct story transfers[] = {
	WRITES("write 3 MB, TCP", TCP), WRITES("write 3 MB, AF_UNIX", UNIX), WRITES("write 3 MB, pipe", PIPE),
	WRITES("write 3 MB, FIFO", FIFO), WRITES("write 100 kB, master", MASTER), WRITES("write 100 kB, slave", SLAVE),
	WRITES("writev 3 MB, TCP", TCP + IN_PARTS), WRITES("writev 3 MB, AF_UNIX", UNIX + IN_PARTS),
	WRITES("writev 3 MB, pipe", PIPE + IN_PARTS), WRITES("writev 3 MB, FIFO", FIFO + IN_PARTS),
	WRITES("writev 100 kB, slave", SLAVE + IN_PARTS),
	WRITES("send 3 MB, TCP", TCP + BY_SEND), WRITES("send 3 MB, AF_UNIX", UNIX + BY_SEND),
	WRITES("sendmsg 3 MB, TCP", TCP + BY_MSG), WRITES("sendmsg 3 MB, AF_UNIX", UNIX + BY_MSG),
	READS("read 3 MB, TCP", TCP), READS("read 3 MB, AF_UNIX", UNIX), READS("read 3 MB, pipe", PIPE),
	READS("read 3 MB, FIFO", FIFO), READS("read 100 kB, master", MASTER), READS("read 100 kB, slave", SLAVE),
	READS("readv 3 MB, TCP", TCP + IN_PARTS), READS("readv 3 MB, pipe", PIPE + IN_PARTS),
	READS("recvfrom 3 MB, TCP", TCP + BY_SEND), READS("recvmsg 3 MB, AF_UNIX", UNIX + BY_MSG),
	READS("recv 3 MB with MSG_WAITALL, TCP", TCP + AT_ONCE), READS("recv 3 MB with MSG_WAITALL, AF_UNIX", UNIX + AT_ONCE),
};

/* --- messages in parts, descriptors on the way ------------------------------------------------- */

static void before_messages(struct play *p)
{
	if (which(p) == AF_UNIX) {
		int pair[2];
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		p->a = pair[0], p->b = pair[1];
		return;
	}
	p->more[0] = listener(AF_INET, 1);
	struct address to = address_of(p->more[0]);
	p->a = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(connect(p->a, &to.any, to.len), 0);
	p->b = accept(p->more[0], NULL, NULL);
	int one = 1;
	CHECK_EQ(setsockopt(p->b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
}

static void a_wants_all(struct play *p)
{
	char buf[64] = { 0 };
	CALL(p, recv(p->a, buf, 30, MSG_WAITALL));
	say(p, "%s\n", buf);
	CALL(p, recv(p->a, buf, 30, MSG_WAITALL | MSG_DONTWAIT));
}

static void b_sends_three_parts(struct play *p)
{
	for (int i = 0; i < 3; i++) {
		until_a_sleeps(p);
		if (!p->is_back)
			CHECK_EQ(send(p->b, "0123456789", 10, MSG_NOSIGNAL), 10);
	}
	until_a_is_back(p);
}

static bool comes_with_time(struct play *p)
{
	char c, control[256];
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };

	CHECK_EQ(send(p->b, "x", 1, MSG_NOSIGNAL), 1);
	CHECK_EQ(recvmsg(p->a, &msg, 0), 1);
	return msg.msg_controllen > 0;
}

/* The sender's name or a time comes with every message, and room for it or none: no end. */
static void before_named(struct play *p)
{
	int yes = 1;

	before_messages(p);
	CHECK_EQ(setsockopt(p->a, SOL_SOCKET, which(p) == AF_UNIX ? SO_PASSCRED : SO_TIMESTAMP, &yes, sizeof(yes)), 0);
	/* The kernel begins to note times some time after the first has asked for them. */
	for (int i = 0; which(p) == AF_INET && !comes_with_time(p); i++) {
		CHECK(i < 5000);
		usleep(1000);
	}
}

static void a_wants_all_and_times(struct play *p)
{
	char buf[64] = { 0 }, control[256];
	struct iovec iov = { buf, 30 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };

	CALL(p, recvmsg(p->a, &msg, MSG_WAITALL));
	say(p, "%s, control %zu, flags %x\n", buf, (size_t)msg.msg_controllen, (unsigned)msg.msg_flags);
}

static void b_sends_part_and_urgent(struct play *p)
{
	until_a_sleeps(p);
	CHECK_EQ(write(p->b, "0123456789", 10), 10);
	until_a_sleeps(p);
	CHECK_EQ(send(p->b, "!", 1, MSG_OOB), 1);
	CHECK_EQ(write(p->b, "abcdefghij", 10), 10);
	until_a_is_back(p);
}

/* The mark that is reached is behind, though there still is urgent data. */
static void a_peeks_behind_the_mark(struct play *p)
{
	char buf[64] = { 0 };

	set_time(p->a, SO_RCVTIMEO, 200);
	CALL(p, recv(p->a, buf, 30, MSG_WAITALL));
	say(p, "%s\n", buf);
	CALL(p, recv(p->a, buf, 20, MSG_WAITALL | MSG_PEEK));
	say(p, "%s\n", buf);
}

static void b_sends_urgent_and_more(struct play *p)
{
	until_a_sleeps(p);
	CHECK_EQ(write(p->b, "0123456789", 10), 10);
	until_a_sleeps(p);
	CHECK_EQ(send(p->b, "!", 1, MSG_OOB), 1);
	until_a_sleeps(p);
	CHECK_EQ(write(p->b, "abcdefghij", 10), 10);
	until_a_sleeps(p);
	CHECK_EQ(write(p->b, "ABCDEFGHIJ", 10), 10);
	until_a_is_back(p);
}

static void a_wants_all_twice(struct play *p)
{
	char buf[64] = { 0 };

	CALL(p, recv(p->a, buf, 30, MSG_WAITALL));
	say(p, "%s\n", buf);
	memset(buf, 0, sizeof(buf));
	CALL(p, recv(p->a, buf, 10, MSG_WAITALL));
	say(p, "%s\n", buf);
}

static void b_sends_part_and_closes(struct play *p)
{
	until_a_sleeps(p);
	CHECK_EQ(write(p->b, "0123456789", 10), 10);
	until_a_sleeps(p);
	close(p->b);
	p->b = -1;
	until_a_is_back(p);
}

/* The rest that A gets, and the end of the connection, come at once. */
static void b_sends_part_and_resets(struct play *p)
{
	struct linger at_once = { .l_onoff = 1 };

	until_a_sleeps(p);
	CHECK_EQ(write(p->b, "0123456789", 10), 10);
	until_a_sleeps(p);
	CHECK_EQ(setsockopt(p->b, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	CHECK_EQ(syscall(SYS_write, p->b, "abcdefghij", 10), 10);
	syscall(SYS_close, p->b);
	p->b = -1;
	until_a_is_back(p);
}

static void a_wants_all_in_time(struct play *p)
{
	set_time(p->a, SO_RCVTIMEO, 60);
	a_wants_all(p);
}

static void b_sends_part(struct play *p)
{
	until_a_sleeps(p);
	CHECK_EQ(write(p->b, "0123456789", 10), 10);
	until_a_is_back(p);
}

static void a_peeks_all(struct play *p)
{
	char buf[64] = { 0 };
	set_time(p->a, SO_RCVTIMEO, 200);
	CALL(p, recv(p->a, buf, 20, MSG_WAITALL | MSG_PEEK));
	say(p, "%s\n", buf);
	memset(buf, 0, sizeof(buf));
	CALL(p, recv(p->a, buf, 20, MSG_WAITALL));
	say(p, "%s\n", buf);
}

/* Send @data with @n_fds descriptors. */
static ssize_t send_with(int fd, const char *data, size_t len, int n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = n_fds ? &control : NULL,
			      .msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int)) * !!n_fds };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c) {
		int fds[3] = { 0, 0, 0 };
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, (size_t)n_fds * sizeof(int));
	}
	return sendmsg(fd, &msg, 0);
}

/* Receive, and say how many descriptors came. */
static ssize_t receive_with(struct play *p, size_t len, int flags, size_t room)
{
	static unsigned char buf[BIG];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = room };
	ssize_t got = CALL(p, recvmsg(p->a, &msg, flags));
	size_t n = 0;
	for (struct cmsghdr *c = got >= 0 ? CMSG_FIRSTHDR(&msg) : NULL; c; c = CMSG_NXTHDR(&msg, c)) {
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			CHECK_EQ(close(fd), 0);
		}
	}
	say(p, "  %zu descriptors, control %zu, flags %x, %zx\n", n, (size_t)msg.msg_controllen, (unsigned)msg.msg_flags,
	    got > 0 ? sum_of(buf, (size_t)got) : 0);
	errno = 12345;
	return got;
}

static void a_gets_descriptors(struct play *p)
{
	size_t room = CMSG_SPACE(3 * sizeof(int));
	receive_with(p, 30, MSG_WAITALL, room);           /* ends at the descriptor */
	receive_with(p, 30, MSG_WAITALL | MSG_CMSG_CLOEXEC, room);
	receive_with(p, 5, 0, room);
	receive_with(p, 30, MSG_WAITALL, 0);              /* no room for them */
	receive_with(p, 30, MSG_WAITALL, room);
	receive_with(p, 30, MSG_WAITALL, room);
}

static void b_sends_descriptors(struct play *p)
{
	static const int n_fds[] = { 0, 2, 0, 1, 0, 3, 0, 0, 0, 0 };
	for (int i = 0; i < 10; i++) {
		until_a_sleeps(p);
		CHECK_EQ(send_with(p->b, "abcdefghijklmnopqrstuvwxyz", (size_t)(10 + i), n_fds[i]), 10 + i);
	}
	until_a_sleeps(p);
	close(p->b);
	p->b = -1;
	until_a_is_back(p);
}

/* The descriptors go with the first bytes, and only with them. */
static void a_sends_much_with_descriptors(struct play *p)
{
	CALL(p, send_with(p->a, (char *)big, BIG, 2));
	close(p->a);
	p->a = -1;
}

static void before_much(struct play *p)
{
	fill_big();
	before_messages(p);
}

static void b_counts_descriptors(struct play *p)
{
	int n_fds = 0;
	struct play counts = { .a = p->b };

	until_a_sleeps(p);
	for (size_t n = 0; n < BIG;) {
		ssize_t got = receive_with(&counts, 100 * 1000, 0, CMSG_SPACE(3 * sizeof(int)));
		CHECK(got > 0);
		n += (size_t)got;
		n_fds += strstr(counts.log, "2 descriptors") != NULL;
		counts.len = 0;
	}
	CHECK_EQ(n_fds, 1);
	until_a_is_back(p);
}

static void a_hears_urgent_news(struct play *p)
{
	char buf[10] = { 0 };
	struct pollfd entry = { .fd = p->a, .events = POLLPRI };
	fd_set set;

	CALL(p, recv(p->a, buf, 1, MSG_OOB));
	CALL(p, poll(&entry, 1, -1));
	say(p, "events %x\n", (unsigned)entry.revents);
	FD_ZERO(&set);
	FD_SET(p->a, &set);
	errno = 12345;
	CALL(p, select(p->a + 1, NULL, NULL, &set, NULL));
	CALL(p, recv(p->a, buf, 10, 0));
	say(p, "%s\n", buf);
	CALL(p, recv(p->a, buf, 1, MSG_OOB));
	say(p, "%s\n", buf);
	CALL(p, recv(p->a, buf, 1, MSG_OOB));
}

static void b_sends_urgent_news(struct play *p)
{
	until_a_sleeps(p);
	CHECK_EQ(send(p->b, "abc", 3, MSG_OOB), 3);
	until_a_is_back(p);
}

/* An ICMP error for a datagram, read from the socket's queue of errors. */
static void a_reads_errors(struct play *p)
{
	char buf[10], control[200];
	int gone = bound_socket(AF_INET, SOCK_DGRAM), one = 1;
	struct address to = address_of(gone);
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };

	close(gone);
	p->a = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK_EQ(setsockopt(p->a, IPPROTO_IP, IP_RECVERR, &one, sizeof(one)), 0);
	CHECK_EQ(connect(p->a, &to.any, to.len), 0);
	errno = 12345;
	CALL(p, recvmsg(p->a, &msg, MSG_ERRQUEUE));
	CALL(p, send(p->a, "hello", 5, 0));
	CALL(p, recv(p->a, buf, 10, 0));
	msg.msg_controllen = sizeof(control);
	CALL(p, recvmsg(p->a, &msg, MSG_ERRQUEUE));
	say(p, "flags %x, control %zu\n", (unsigned)msg.msg_flags, (size_t)msg.msg_controllen);
}

static const struct story messages[] = {
	{ "G05: MSG_WAITALL in three parts, TCP", before_messages, a_wants_all, b_sends_three_parts, AF_INET },
	{ "G05: MSG_WAITALL in three parts, AF_UNIX", before_messages, a_wants_all, b_sends_three_parts, AF_UNIX },
	{ "G05: MSG_WAITALL, then closed, TCP", before_messages, a_wants_all, b_sends_part_and_closes, AF_INET },
	{ "G05: MSG_WAITALL, then closed, AF_UNIX", before_messages, a_wants_all, b_sends_part_and_closes, AF_UNIX },
	{ "G05: MSG_WAITALL, then reset, TCP", before_messages, a_wants_all, b_sends_part_and_resets, AF_INET },
	{ "G05: MSG_WAITALL with times, no room for them", before_named, a_wants_all, b_sends_three_parts, AF_INET },
	{ "G05: MSG_WAITALL with times", before_named, a_wants_all_and_times, b_sends_three_parts, AF_INET },
	{ "G05: MSG_WAITALL with names, no room for them", before_named, a_wants_all, b_sends_three_parts, AF_UNIX },
	{ "G05: MSG_WAITALL ends at urgent data", before_messages, a_wants_all_twice, b_sends_part_and_urgent, AF_INET },
	{ "MSG_PEEK with MSG_WAITALL ends at urgent data", before_messages, a_peeks_all, b_sends_part_and_urgent, AF_INET },
	{ "MSG_PEEK with MSG_WAITALL behind the mark", before_messages, a_peeks_behind_the_mark, b_sends_urgent_and_more, AF_INET },
	{ "G05: MSG_WAITALL, too late, TCP", before_messages, a_wants_all_in_time, b_sends_part, AF_INET },
	{ "G05: MSG_WAITALL, too late, AF_UNIX", before_messages, a_wants_all_in_time, b_sends_part, AF_UNIX },
	{ "MSG_PEEK with MSG_WAITALL", before_messages, a_peeks_all, b_sends_three_parts, AF_INET },
	{ "MSG_PEEK with MSG_WAITALL, then closed", before_messages, a_peeks_all, b_sends_part_and_closes, AF_INET },
	{ "MSG_PEEK with MSG_WAITALL, too late", before_messages, a_peeks_all, b_sends_part, AF_INET },
	{ "descriptors between the bytes", before_messages, a_gets_descriptors, b_sends_descriptors, AF_UNIX },
	{ "descriptors with 3 MB", before_much, a_sends_much_with_descriptors, b_counts_descriptors, AF_UNIX },
	{ "urgent data", before_messages, a_hears_urgent_news, b_sends_urgent_news, AF_INET },
	{ "errors of datagrams", NULL, a_reads_errors, b_only_waits, AF_INET },
};

#define TELL(list) tell_all(list, sizeof(list) / sizeof((list)[0]))

static void tell_connecting(void)
{
	TELL(connecting);
}

static void tell_accepting(void)
{
	TELL(accepting);
}

static void tell_transfers(void)
{
	TELL(transfers);
}

static void tell_messages(void)
{
	TELL(messages);
}

static const struct test_case cases[] = {
	{ "connecting", "G09, G10, G11: connect waits, is refused, gives up, as libc's", tell_connecting, 0, NULL },
	{ "accepting", "F05: accept waits, gives up, and hands sockets out as libc's", tell_accepting, 0, NULL },
	{ "transfers", "G06, G07: megabytes go through every kind of stream unchanged", tell_transfers, 0, NULL },
	{ "messages", "G05: MSG_WAITALL, MSG_PEEK, descriptors and urgent data come as in libc", tell_messages, 0, NULL },
};

TEST_MAIN(cases)
