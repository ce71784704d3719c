/* SPDX-License-Identifier: MIT */
/*
 * Is a hooked call the same as libc's? Every call, on every kind of descriptor, in
 * every situation: once with plain libc on a thread, then in a coroutine with the
 * hooks on, then again on a system where RWF_NOWAIT does not work at all.
 *
 * Many combinations make no sense. They are played too: they must give the
 * same error. What may differ stands in `accepted`, with its reason.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pty.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>

#include "two_ways.h"

/* --- a system without RWF_NOWAIT -------------------------------------------------------- */

static _Atomic bool no_nowait;

/* What the kernel says first, it says then too: not open, not for reading. */
ssize_t __real_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	if (!no_nowait || __real_preadv2(fd, iov, 0, at, flags) != 0)
		return __real_preadv2(fd, iov, n, at, flags);
	errno = EOPNOTSUPP;
	return -1;
}

ssize_t __real_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t __wrap_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	if (!no_nowait || __real_pwritev2(fd, iov, 0, at, flags) != 0)
		return __real_pwritev2(fd, iov, n, at, flags);
	errno = EOPNOTSUPP;
	return -1;
}

/* --- kinds of descriptors --------------------------------------------------------------- */

enum {
	SOCK = 1,    /* a socket */
	STREAM = 2,  /* bytes, without limits between them */
	HAS_B = 4,   /* the other side is a descriptor of its own, that can be closed */
	FILLS = 8,   /* can be full */
	TTY = 16,    /* what is written arrives a little later, so "full" is a matter of time */
	UNPAIRED = 32, /* nothing can be supplied */
	BIG = 300 * 1000,
};

struct kind {
	const char *name;
	void (*make)(struct play *p);
	int is;
	void (*supply)(struct play *p, int n); /* NULL: write to b */
};

static void set_len(int fd, int option, int len)
{
	CHECK_EQ(setsockopt(fd, SOL_SOCKET, option, &len, sizeof(len)), 0);
}

static void tcp_pair(int pair[2])
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int one = 1, l = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(l >= 0);
	CHECK_EQ(bind(l, (struct sockaddr *)&addr, len), 0);
	set_len(l, SO_RCVBUF, 16 * 1024); /* no growing buffers: always the same room */
	CHECK_EQ(listen(l, 1), 0);
	CHECK_EQ(getsockname(l, (struct sockaddr *)&addr, &len), 0);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	set_len(pair[0], SO_SNDBUF, 16 * 1024);
	CHECK_EQ(connect(pair[0], (struct sockaddr *)&addr, len), 0);
	pair[1] = accept(l, NULL, NULL);
	CHECK(pair[1] >= 0);
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(l);
}

static void take_pair(struct play *p, const int pair[2])
{
	p->a = pair[0];
	p->b = pair[1];
}

static void make_tcp(struct play *p)
{
	int pair[2];
	tcp_pair(pair);
	take_pair(p, pair);
}

static void make_unix(struct play *p, int type)
{
	int pair[2];
	CHECK_EQ(socketpair(AF_UNIX, type, 0, pair), 0);
	take_pair(p, pair);
}

static void make_unix_stream(struct play *p)
{
	make_unix(p, SOCK_STREAM);
}

static void make_unix_dgram(struct play *p)
{
	make_unix(p, SOCK_DGRAM);
}

static void make_unix_seqpacket(struct play *p)
{
	make_unix(p, SOCK_SEQPACKET);
}

static void make_udp(struct play *p)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in bound[2];
	socklen_t len = sizeof(addr);
	int fd[2];

	for (int i = 0; i < 2; i++) {
		fd[i] = socket(AF_INET, SOCK_DGRAM, 0);
		CHECK_EQ(bind(fd[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
		CHECK_EQ(getsockname(fd[i], (struct sockaddr *)&bound[i], &len), 0);
	}
	CHECK_EQ(connect(fd[0], (struct sockaddr *)&bound[1], len), 0);
	CHECK_EQ(connect(fd[1], (struct sockaddr *)&bound[0], len), 0);
	take_pair(p, fd);
}

static void make_pipe_of(struct play *p, int flags, bool is_wrong)
{
	int fd[2];
	CHECK_EQ(pipe2(fd, flags), 0);
	p->a = fd[p->writes != is_wrong];
	p->b = fd[p->writes == is_wrong];
}

static void make_pipe(struct play *p)
{
	make_pipe_of(p, 0, false);
}

static void make_packet_pipe(struct play *p)
{
	make_pipe_of(p, O_DIRECT, false);
}

static void make_wrong_pipe(struct play *p)
{
	make_pipe_of(p, 0, true);
}

static void name_file(struct play *p, int i)
{
	static _Atomic int n;
	snprintf(p->path[i], sizeof(p->path[i]), "/tmp/t_hook_same.%d.%d", (int)getpid(), n++);
}

static void make_fifo_of(struct play *p, bool is_wrong)
{
	name_file(p, 0);
	CHECK_EQ(mkfifo(p->path[0], 0600), 0);
	int reader = open(p->path[0], O_RDONLY | O_NONBLOCK), writer = open(p->path[0], O_WRONLY);
	CHECK(reader >= 0 && writer >= 0);
	CHECK_EQ(fcntl(reader, F_SETFL, 0), 0);
	p->a = p->writes != is_wrong ? writer : reader;
	p->b = p->writes != is_wrong ? reader : writer;
}

static void make_fifo(struct play *p)
{
	make_fifo_of(p, false);
}

static void make_wrong_fifo(struct play *p)
{
	make_fifo_of(p, true);
}

static void make_fifo_both_ways(struct play *p)
{
	name_file(p, 0);
	CHECK_EQ(mkfifo(p->path[0], 0600), 0);
	p->a = open(p->path[0], O_RDWR);
	p->b = open(p->path[0], O_RDWR);
}

static void make_pty(struct play *p, bool is_master, bool is_cooked)
{
	int pair[2];
	struct termios t;

	CHECK_EQ(openpty(&pair[!is_master], &pair[is_master], NULL, NULL, NULL), 0);
	CHECK_EQ(tcgetattr(pair[1], &t), 0);
	if (is_cooked)
		t.c_lflag &= ~(tcflag_t)ECHO;
	else
		cfmakeraw(&t);
	CHECK_EQ(tcsetattr(pair[1], TCSANOW, &t), 0);
	take_pair(p, pair);
}

static void make_pty_master(struct play *p)
{
	make_pty(p, true, false);
}

static void make_pty_slave(struct play *p)
{
	make_pty(p, false, false);
}

static void make_terminal(struct play *p)
{
	make_pty(p, false, true);
}

static void supply_line(struct play *p, int n)
{
	char line[64];
	memset(line, 'x', sizeof(line));
	line[n - 1 < 63 ? n - 1 : 63] = '\n';
	CHECK(write(p->b, line, (size_t)n) == n);
}

static void make_eventfd(struct play *p)
{
	p->a = eventfd(0, 0);
}

static void supply_eventfd(struct play *p, int n)
{
	uint64_t value = (uint64_t)n;
	CHECK_EQ(write(p->a, &value, sizeof(value)), 8);
}

static void make_timerfd(struct play *p)
{
	p->a = timerfd_create(CLOCK_MONOTONIC, 0);
}

static void supply_timerfd(struct play *p, int n)
{
	struct itimerspec soon = { .it_value.tv_nsec = 1 };
	(void)n;
	CHECK_EQ(timerfd_settime(p->a, 0, &soon, NULL), 0);
}

static void make_inotify(struct play *p)
{
	name_file(p, 0);
	CHECK_EQ(mkdir(p->path[0], 0700), 0);
	p->a = inotify_init1(0);
	CHECK(inotify_add_watch(p->a, p->path[0], IN_ATTRIB) >= 0);
	rmdir(p->path[0]);
	int n;
	CHECK_EQ(ioctl(p->a, FIONREAD, &n), 0);
	char buf[4096];
	CHECK(read(p->a, buf, sizeof(buf)) > 0); /* all events of its end */
	name_file(p, 1);
	int fd = open(p->path[1], O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0);
	close(fd);
	CHECK(inotify_add_watch(p->a, p->path[1], IN_ATTRIB) >= 0);
}

static void supply_inotify(struct play *p, int n)
{
	CHECK_EQ(chmod(p->path[1], n % 2 ? 0600 : 0700), 0);
}

static void make_signalfd(struct play *p)
{
	sigset_t usr2;
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	p->a = signalfd(-1, &usr2, 0);
}

static void supply_signal(struct play *p, int n)
{
	(void)p, (void)n;
	kill(getpid(), SIGUSR2);
}

static void make_file_with(struct play *p, int flags)
{
	char data[100];
	name_file(p, 0);
	memset(data, 'f', sizeof(data));
	p->a = open(p->path[0], O_CREAT | O_RDWR, 0600);
	CHECK_EQ(write(p->a, data, sizeof(data)), 100);
	fsync(p->a);
	close(p->a);
	p->a = open(p->path[0], flags);
	CHECK(p->a >= 0);
}

static void make_file(struct play *p)
{
	make_file_with(p, O_RDWR);
}

static void make_uncached_file(struct play *p)
{
	make_file_with(p, O_RDWR);
	CHECK_EQ(posix_fadvise(p->a, 0, 0, POSIX_FADV_DONTNEED), 0);
}

static void make_wrong_file(struct play *p)
{
	make_file_with(p, p->writes ? O_RDONLY : O_WRONLY);
}

static void make_file_at_its_end(struct play *p)
{
	make_file_with(p, O_RDWR | O_APPEND);
	CHECK_EQ(lseek(p->a, 0, SEEK_END), 100);
}

static void make_memfd(struct play *p)
{
	p->a = memfd_create("t_hook_same", 0);
	CHECK_EQ(write(p->a, "12345678", 8), 8);
	CHECK_EQ(lseek(p->a, 0, SEEK_SET), 0);
}

static void make_directory(struct play *p)
{
	p->a = open("/tmp", O_RDONLY | O_DIRECTORY);
}

static void make_null(struct play *p)
{
	p->a = open("/dev/null", O_RDWR);
}

static void make_zero(struct play *p)
{
	p->a = open("/dev/zero", O_RDWR);
}

static void make_full(struct play *p)
{
	p->a = open("/dev/full", O_RDWR);
}

static void make_epoll(struct play *p)
{
	p->a = epoll_create1(0);
}

static void make_path(struct play *p)
{
	p->a = open("/tmp", O_PATH);
}

static void make_bad(struct play *p)
{
	(void)p; /* -1 */
}

static void make_closed(struct play *p)
{
	p->a = dup(0);
	CHECK_EQ(syscall(SYS_close, p->a), 0);
}

static void make_fresh_tcp(struct play *p)
{
	p->a = socket(AF_INET, SOCK_STREAM, 0);
}

static void make_listener(struct play *p)
{
	make_fresh_tcp(p);
	CHECK_EQ(listen(p->a, 1), 0);
}

static void make_fresh_udp(struct play *p)
{
	p->a = socket(AF_INET, SOCK_DGRAM, 0);
}

static void make_fresh_unix(struct play *p)
{
	p->a = socket(AF_UNIX, SOCK_STREAM, 0);
}

static void make_fresh_unix_dgram(struct play *p)
{
	p->a = socket(AF_UNIX, SOCK_DGRAM, 0);
}

static const struct kind kinds[] = {
	{ "tcp", make_tcp, SOCK | STREAM | HAS_B | FILLS, NULL },
	{ "unix stream", make_unix_stream, SOCK | STREAM | HAS_B | FILLS, NULL },
	{ "unix dgram", make_unix_dgram, SOCK | HAS_B | FILLS, NULL },
	{ "unix seqpacket", make_unix_seqpacket, SOCK | HAS_B | FILLS, NULL },
	{ "udp", make_udp, SOCK | HAS_B, NULL },
	{ "pipe", make_pipe, STREAM | HAS_B | FILLS, NULL },
	{ "packet pipe", make_packet_pipe, HAS_B | FILLS, NULL },
	{ "fifo", make_fifo, STREAM | HAS_B | FILLS, NULL },
	{ "fifo both ways", make_fifo_both_ways, STREAM | FILLS, NULL },
	{ "pty master", make_pty_master, STREAM | HAS_B | TTY, NULL },
	{ "pty slave", make_pty_slave, STREAM | HAS_B | TTY, NULL },
	{ "terminal", make_terminal, HAS_B | TTY, supply_line },
	{ "eventfd", make_eventfd, FILLS, supply_eventfd },
	{ "timerfd", make_timerfd, 0, supply_timerfd },
	{ "inotify", make_inotify, 0, supply_inotify },
	{ "signalfd", make_signalfd, 0, supply_signal },
	{ "file", make_file, UNPAIRED, NULL },
	{ "uncached file", make_uncached_file, UNPAIRED, NULL },
	{ "file at its end", make_file_at_its_end, UNPAIRED, NULL },
	{ "memfd", make_memfd, UNPAIRED, NULL },
	{ "directory", make_directory, UNPAIRED, NULL },
	{ "/dev/null", make_null, UNPAIRED, NULL },
	{ "/dev/zero", make_zero, UNPAIRED, NULL },
	{ "/dev/full", make_full, UNPAIRED, NULL },
	{ "epoll set", make_epoll, UNPAIRED, NULL },
	{ "O_PATH", make_path, UNPAIRED, NULL },
	{ "number -1", make_bad, UNPAIRED, NULL },
	{ "closed number", make_closed, UNPAIRED, NULL },
	{ "wrong end of a pipe", make_wrong_pipe, UNPAIRED, NULL },
	{ "wrong end of a fifo", make_wrong_fifo, UNPAIRED, NULL },
	{ "file for the other direction", make_wrong_file, UNPAIRED, NULL },
	{ "fresh tcp", make_fresh_tcp, SOCK | UNPAIRED, NULL },
	{ "listener", make_listener, SOCK | UNPAIRED, NULL },
	{ "fresh udp", make_fresh_udp, SOCK | UNPAIRED, NULL },
	{ "fresh unix", make_fresh_unix, SOCK | UNPAIRED, NULL },
	{ "fresh unix dgram", make_fresh_unix_dgram, SOCK | UNPAIRED, NULL },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* --- calls -------------------------------------------------------------------------------- */

struct call {
	const char *name;
	bool writes, is_timed;
	void (*make)(struct play *p, const struct call *call);
	int len;   /* bytes, or which one of several */
	int flags; /* MSG_... or events; for poll a time in option */
	int option;
};

struct situation {
	const char *name;
	bool writes, drains, is_timed, ends_early; /* a big write may be done in part */
	int only;                       /* kinds that it is for, all of these bits; or: */
	bool is_for_all;
	void (*before)(struct play *p); /* A calls; NULL: nothing */
	void (*meanwhile)(struct play *p); /* A waits, or is back */
};

struct scene {
	const struct kind *kind;
	const struct call *call;
	const struct situation *in;
};

static void *volatile nowhere = (void *)16;
static _Thread_local char area[BIG + 16];

/* Where the data of A's call is: not on its stack, which is small. */
static char *bytes_to_send(void)
{
	for (size_t i = 0; i < sizeof(area); i++)
		area[i] = (char)(i % 251 + 1);
	return area;
}

static void say_bytes(struct play *p, const char *data, intmax_t n)
{
	unsigned sum = 0;

	for (intmax_t i = 0; i < n; i++)
		sum = sum * 31 + (unsigned char)data[i];
	if (n > 0)
		say(p, "  bytes %08x\n", sum);
}

static void call_read(struct play *p, const struct call *c)
{
	char buf[64];
	ssize_t got = read(p->a, buf, (size_t)c->len);
	say_result(p, c->name, got);
	say_bytes(p, buf, got);
}

static void call_read_to_nowhere(struct play *p, const struct call *c)
{
	say_result(p, c->name, read(p->a, nowhere, 64));
}

/* A list of @n buffers, the first ones with room: 10 bytes, none, 54 bytes. */
static struct iovec *list_of(int n, char *data, int len)
{
	static _Thread_local struct iovec iov[IOV_MAX + 1]; /* not from malloc: A may be released */
	int ten = len < 10 ? len : 10;

	memset(iov, 0, (size_t)(n > 3 ? n : 3) * sizeof(*iov));
	iov[0] = (struct iovec){ data, (size_t)ten };
	iov[1] = (struct iovec){ data + ten, 0 };
	iov[2] = (struct iovec){ data + ten, (size_t)(len - ten) };
	return iov;
}

static void call_readv(struct play *p, const struct call *c)
{
	char buf[64];
	struct iovec *iov = list_of(c->len, buf, c->option ? 0 : 64);
	ssize_t got = readv(p->a, iov, c->len);
	say_result(p, c->name, got);
	say_bytes(p, buf, got);
}

static void call_recv(struct play *p, const struct call *c)
{
	char buf[64] = { 0 };
	ssize_t got = recv(p->a, buf, (size_t)c->len, c->flags);
	say_result(p, c->name, got);
	say_bytes(p, buf, got < c->len ? got : c->len);
}

static void call_recvfrom(struct play *p, const struct call *c)
{
	char buf[64];
	struct sockaddr_storage from = { 0 };
	socklen_t len = (socklen_t)c->option;
	ssize_t got = recvfrom(p->a, buf, (size_t)c->len, c->flags, (struct sockaddr *)&from, &len);
	say_result(p, c->name, got);
	say_bytes(p, buf, got);
	say(p, "  address: %u bytes, family %d\n", (unsigned)len, from.ss_family);
}

static void call_recvmsg(struct play *p, const struct call *c)
{
	char buf[64] = { 0 }, control[256];
	struct sockaddr_storage from = { 0 };
	int n = c->option;
	struct iovec *iov = list_of(n, buf, c->len);
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = iov, .msg_iovlen = (size_t)n,
			      .msg_control = control, .msg_controllen = sizeof(control), .msg_flags = 0x77 };
	ssize_t got = recvmsg(p->a, &msg, c->flags);
	say_result(p, c->name, got);
	say_bytes(p, buf, got < c->len ? got : c->len);
	if (got >= 0)
		say(p, "  address: %u bytes, family %d; control: %zu; flags %x\n", (unsigned)msg.msg_namelen,
		    from.ss_family, (size_t)msg.msg_controllen, (unsigned)msg.msg_flags);
}

/* Who asks for one buffer and nothing else is told the flags too. */
static void call_recvmsg_alone(struct play *p, const struct call *c)
{
	char buf[64] = { 0 };
	struct iovec iov = { buf, (size_t)c->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_flags = 0x77 };
	ssize_t got = recvmsg(p->a, &msg, c->flags);
	say_result(p, c->name, got);
	say_bytes(p, buf, got < c->len ? got : c->len);
	if (got >= 0)
		say(p, "  flags %x\n", (unsigned)msg.msg_flags);
}

static void say_written(struct play *p, const struct call *c, ssize_t put);

static void call_write(struct play *p, const struct call *c)
{
	char *data = bytes_to_send();
	errno = 12345;
	say_written(p, c, write(p->a, data, (size_t)c->len));
}

static void call_write_from_nowhere(struct play *p, const struct call *c)
{
	say_written(p, c, write(p->a, nowhere, 64));
}

static void call_writev(struct play *p, const struct call *c)
{
	char *data = bytes_to_send();
	struct iovec *iov = list_of(c->option, data, c->len);
	errno = 12345;
	say_written(p, c, writev(p->a, iov, c->option));
}

static void call_send(struct play *p, const struct call *c)
{
	char *data = bytes_to_send();
	errno = 12345;
	say_written(p, c, send(p->a, data, (size_t)c->len, c->flags));
}

/* To the peer by its own address. */
static void call_sendto(struct play *p, const struct call *c)
{
	char *data = bytes_to_send();
	struct sockaddr_storage to = { 0 };
	socklen_t len = sizeof(to);
	if (getpeername(p->a, (struct sockaddr *)&to, &len) != 0)
		len = 0;
	errno = 12345;
	say_written(p, c, sendto(p->a, data, (size_t)c->len, c->flags, len ? (void *)&to : NULL, len));
}

static void call_sendmsg(struct play *p, const struct call *c)
{
	char *data = bytes_to_send();
	struct iovec *iov = list_of(c->option, data, c->len);
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)c->option };
	errno = 12345;
	say_written(p, c, sendmsg(p->a, &msg, c->flags));
}

static void say_events(struct play *p, const char *name, int n, int events)
{
	say_result(p, name, n);
	say(p, "  events %x\n", (unsigned)events);
}

/* On a busy machine B may come too late: what differs is played again, with more time. */
static int patience = 1;

/* How long a call waits that is to wait for a while: longer if B is to end it. */
static int time_for(const struct play *p, const struct call *c)
{
	const struct scene *s = p->scene;
	if (c->option <= 0 || !(s->in->meanwhile || s->in->drains))
		return c->option;
	return patience * (c->option == 3 ? 30 : 10);
}

static void call_poll(struct play *p, const struct call *c)
{
	struct pollfd fds[2] = { { .fd = p->a, .events = (short)c->flags, .revents = 0x55 }, { .fd = -1, .revents = 0x55 } };
	int n = poll(fds, 2, time_for(p, c));
	say_events(p, c->name, n, fds[0].revents | fds[1].revents << 16);
}

static void call_ppoll(struct play *p, const struct call *c)
{
	struct pollfd entry = { .fd = p->a, .events = (short)c->flags };
	struct timespec t = { 0, time_for(p, c) * 1000000 };
	sigset_t none;
	sigemptyset(&none);
	int n = ppoll(&entry, 1, c->option < 0 ? NULL : &t, c->len ? &none : NULL);
	say_events(p, c->name, n, entry.revents);
}

/* In all sets that the events name. */
static void fill_sets(const struct play *p, const struct call *c, fd_set set[3])
{
	for (int i = 0; i < 3; i++)
		FD_ZERO(&set[i]);
	if (p->a >= 0 && c->flags & POLLIN)
		FD_SET(p->a, &set[0]);
	if (p->a >= 0 && c->flags & POLLOUT)
		FD_SET(p->a, &set[1]);
	if (p->a >= 0 && c->flags & POLLPRI)
		FD_SET(p->a, &set[2]);
}

static void say_sets(struct play *p, const char *name, int n, fd_set set[3])
{
	int bits = 0, others = 0;
	for (int i = 0; i < 3; i++)
		for (int fd = 0; fd < FD_SETSIZE; fd++)
			if (FD_ISSET(fd, &set[i])) {
				bits |= fd == p->a ? 1 << i : 0;
				others |= fd != p->a;
			}
	say_result(p, name, n);
	say(p, "  sets %x %d\n", (unsigned)bits, others);
}

static void call_select(struct play *p, const struct call *c)
{
	fd_set set[3];
	struct timeval t = { 0, time_for(p, c) * 1000 };
	fill_sets(p, c, set);
	int n = select(p->a + 1, &set[0], &set[1], c->flags & POLLPRI ? &set[2] : NULL, c->option < 0 ? NULL : &t);
	say_sets(p, c->name, n, set);
	if (n == 0)
		say(p, "  left: %ld.%06ld\n", (long)t.tv_sec, (long)t.tv_usec);
}

static void call_pselect(struct play *p, const struct call *c)
{
	fd_set set[3];
	struct timespec t = { 0, time_for(p, c) * 1000000 };
	sigset_t none;
	sigemptyset(&none);
	fill_sets(p, c, set);
	int n = pselect(p->a + 1, &set[0], &set[1], &set[2], c->option < 0 ? NULL : &t, c->len ? &none : NULL);
	say_sets(p, c->name, n, set);
}

static void call_accept(struct play *p, const struct call *c)
{
	int fd = c->option ? accept4(p->a, NULL, NULL, c->flags) : accept(p->a, NULL, NULL);
	say_result(p, c->name, fd);
	if (fd >= 0)
		syscall(SYS_close, fd);
}

static void call_connect(struct play *p, const struct call *c)
{
	struct sockaddr_storage to = { .ss_family = (sa_family_t)c->option };
	socklen_t len = sizeof(struct sockaddr_in);

	if (c->option < 0) /* to where it is connected already */
		getpeername(p->a, (struct sockaddr *)&to, &len);
	errno = 12345;
	say_result(p, c->name, connect(p->a, (struct sockaddr *)&to, len));
}

static void call_close(struct play *p, const struct call *c)
{
	int fd = dup(p->a);
	errno = 12345;
	say_result(p, c->name, close(fd));
	say_result(p, c->name, close(fd));
}

static const struct call calls[] = {
	{ .name = "read", .make = call_read, .len = 64 },
	{ .name = "read of 8", .make = call_read, .len = 8 },
	{ .name = "read of 1", .make = call_read, .len = 1 },
	{ .name = "read of 0", .make = call_read, .len = 0 },
	{ .name = "read to nowhere", .make = call_read_to_nowhere },
	{ .name = "readv", .make = call_readv, .len = 3 },
	{ .name = "readv of an empty one", .make = call_readv, .len = 1, .option = 1 },
	{ .name = "readv of 0", .make = call_readv, .len = 0 },
	{ .name = "readv of -1", .make = call_readv, .len = -1 },
	{ .name = "readv of 1024", .make = call_readv, .len = IOV_MAX },
	{ .name = "readv of 1025", .make = call_readv, .len = IOV_MAX + 1 },
	{ .name = "recv", .make = call_recv, .len = 64 },
	{ .name = "recv of 0", .make = call_recv, .len = 0 },
	{ .name = "recv DONTWAIT", .make = call_recv, .len = 64, .flags = MSG_DONTWAIT },
	{ .name = "recv PEEK", .make = call_recv, .len = 64, .flags = MSG_PEEK },
	{ .name = "recv WAITALL", .make = call_recv, .len = 64, .flags = MSG_WAITALL },
	{ .name = "recv WAITALL of 5", .make = call_recv, .len = 5, .flags = MSG_WAITALL },
	{ .name = "recv WAITALL of 0", .make = call_recv, .len = 0, .flags = MSG_WAITALL },
	{ .name = "recv PEEK WAITALL", .make = call_recv, .len = 64, .flags = MSG_PEEK | MSG_WAITALL },
	{ .name = "recv WAITALL DONTWAIT", .make = call_recv, .len = 64, .flags = MSG_WAITALL | MSG_DONTWAIT },
	{ .name = "recv TRUNC", .make = call_recv, .len = 5, .flags = MSG_TRUNC },
	{ .name = "recv PEEK TRUNC", .make = call_recv, .len = 5, .flags = MSG_PEEK | MSG_TRUNC },
	{ .name = "recv OOB", .make = call_recv, .len = 5, .flags = MSG_OOB },
	{ .name = "recv ERRQUEUE", .make = call_recv, .len = 64, .flags = MSG_ERRQUEUE },
	{ .name = "recvfrom", .make = call_recvfrom, .len = 64, .option = sizeof(struct sockaddr_storage) },
	{ .name = "recvfrom, small address", .make = call_recvfrom, .len = 64, .option = 3 },
	{ .name = "recvfrom PEEK", .make = call_recvfrom, .len = 64, .flags = MSG_PEEK, .option = 16 },
	{ .name = "recvmsg", .make = call_recvmsg, .len = 64, .option = 3 },
	{ .name = "recvmsg of 5", .make = call_recvmsg, .len = 5, .option = 3 },
	{ .name = "recvmsg alone of 5", .make = call_recvmsg_alone, .len = 5 },
	{ .name = "recvmsg without buffers", .make = call_recvmsg, .len = 64, .option = 0 },
	{ .name = "recvmsg of 1025 buffers", .make = call_recvmsg, .len = 64, .option = IOV_MAX + 1 },
	{ .name = "recvmsg WAITALL", .make = call_recvmsg, .len = 64, .option = 3, .flags = MSG_WAITALL },
	{ .name = "recvmsg CMSG_CLOEXEC TRUNC", .make = call_recvmsg, .len = 5, .option = 1,
	  .flags = MSG_CMSG_CLOEXEC | MSG_TRUNC },
	{ .name = "poll", .make = call_poll, .flags = POLLIN, .option = -1 },
	{ .name = "poll 3 ms", .make = call_poll, .flags = POLLIN, .option = 3, .is_timed = true },
	{ .name = "poll 0 ms", .make = call_poll, .flags = POLLIN, .option = 0 },
	{ .name = "poll for all", .make = call_poll, .flags = POLLIN | POLLPRI | POLLRDHUP | POLLRDNORM, .option = -1 },
	{ .name = "poll for nothing 2 ms", .make = call_poll, .flags = 0, .option = 2, .is_timed = true },
	{ .name = "ppoll", .make = call_ppoll, .flags = POLLIN, .option = -1 },
	{ .name = "ppoll 3 ms", .make = call_ppoll, .flags = POLLIN, .option = 3, .is_timed = true },
	{ .name = "ppoll with a mask 3 ms", .make = call_ppoll, .flags = POLLIN, .option = 3, .len = 1, .is_timed = true },
	{ .name = "select", .make = call_select, .flags = POLLIN | POLLPRI, .option = -1 },
	{ .name = "select 3 ms", .make = call_select, .flags = POLLIN, .option = 3, .is_timed = true },
	{ .name = "select 0 ms", .make = call_select, .flags = POLLIN, .option = 0 },
	{ .name = "select for exceptions 2 ms", .make = call_select, .flags = POLLPRI, .option = 2, .is_timed = true },
	{ .name = "pselect", .make = call_pselect, .flags = POLLIN, .option = -1 },
	{ .name = "pselect with a mask 3 ms", .make = call_pselect, .flags = POLLIN, .option = 3, .len = 1, .is_timed = true },
	{ .name = "accept", .make = call_accept },
	{ .name = "accept4", .make = call_accept, .option = 1, .flags = SOCK_CLOEXEC },
	{ .name = "accept4 with bad flags", .make = call_accept, .option = 1, .flags = 3 },
	{ .name = "connect to its peer", .make = call_connect, .option = -1 },
	{ .name = "connect to family 0", .make = call_connect, .option = AF_UNSPEC },
	{ .name = "connect to family 99", .make = call_connect, .option = 99 },
	{ .name = "close", .make = call_close },
	{ .name = "write", .writes = true, .make = call_write, .len = 64 },
	{ .name = "write of 8", .writes = true, .make = call_write, .len = 8 },
	{ .name = "write of 0", .writes = true, .make = call_write, .len = 0 },
	{ .name = "write of 300000", .writes = true, .make = call_write, .len = BIG },
	{ .name = "write from nowhere", .writes = true, .make = call_write_from_nowhere, .len = 64 },
	{ .name = "writev", .writes = true, .make = call_writev, .len = 64, .option = 3 },
	{ .name = "writev of 300000", .writes = true, .make = call_writev, .len = BIG, .option = 3 },
	{ .name = "writev of an empty one", .writes = true, .make = call_writev, .len = 0, .option = 1 },
	{ .name = "writev of 0", .writes = true, .make = call_writev, .len = 64, .option = 0 },
	{ .name = "writev of 1025", .writes = true, .make = call_writev, .len = 64, .option = IOV_MAX + 1 },
	{ .name = "send", .writes = true, .make = call_send, .len = 64 },
	{ .name = "send of 0", .writes = true, .make = call_send, .len = 0 },
	{ .name = "send of 300000", .writes = true, .make = call_send, .len = BIG },
	{ .name = "send DONTWAIT", .writes = true, .make = call_send, .len = 64, .flags = MSG_DONTWAIT },
	{ .name = "send DONTWAIT of 300000", .writes = true, .make = call_send, .len = BIG, .flags = MSG_DONTWAIT },
	{ .name = "send NOSIGNAL", .writes = true, .make = call_send, .len = 64, .flags = MSG_NOSIGNAL },
	{ .name = "send NOSIGNAL of 300000", .writes = true, .make = call_send, .len = BIG, .flags = MSG_NOSIGNAL },
	{ .name = "send OOB", .writes = true, .make = call_send, .len = 1, .flags = MSG_OOB },
	{ .name = "send EOR", .writes = true, .make = call_send, .len = 64, .flags = MSG_EOR },
	{ .name = "sendto", .writes = true, .make = call_sendto, .len = 64 },
	{ .name = "sendto of 300000", .writes = true, .make = call_sendto, .len = BIG },
	{ .name = "sendmsg", .writes = true, .make = call_sendmsg, .len = 64, .option = 3 },
	{ .name = "sendmsg of 300000", .writes = true, .make = call_sendmsg, .len = BIG, .option = 3 },
	{ .name = "sendmsg without buffers", .writes = true, .make = call_sendmsg, .len = 64, .option = 0 },
	{ .name = "sendmsg of 1025 buffers", .writes = true, .make = call_sendmsg, .len = 64, .option = IOV_MAX + 1 },
	{ .name = "poll OUT", .writes = true, .make = call_poll, .flags = POLLOUT, .option = -1 },
	{ .name = "poll OUT 3 ms", .writes = true, .make = call_poll, .flags = POLLOUT, .option = 3, .is_timed = true },
	{ .name = "select OUT", .writes = true, .make = call_select, .flags = POLLOUT, .option = -1 },
	{ .name = "pselect OUT 3 ms", .writes = true, .make = call_pselect, .flags = POLLOUT, .option = 3, .is_timed = true },
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

/* --- situations ------------------------------------------------------------------------------ */

static const struct kind *kind_of(const struct play *p)
{
	return ((const struct scene *)p->scene)->kind;
}

static void supply(struct play *p, int n)
{
	static const char text[100] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ,.0123456789abcdefghijkl";
	const struct kind *kind = kind_of(p);

	if (kind->is & UNPAIRED)
		return;
	if (kind->supply)
		kind->supply(p, n);
	else
		CHECK(write(p->b, text, (size_t)n) == n || p->is_calling); /* A may have disconnected it */
}

static void wait_until_readable(const struct play *p)
{
	struct pollfd entry = { .fd = p->a, .events = POLLIN };
	poll(&entry, 1, kind_of(p)->is & TTY ? 200 : 5);
}

static void supply_10(struct play *p)
{
	supply(p, 10);
	if (!p->is_calling && !(kind_of(p)->is & UNPAIRED))
		wait_until_readable(p);
}

static void supply_80(struct play *p)
{
	supply(p, 80);
	if (!p->is_calling)
		wait_until_readable(p);
}

static void supply_rest(struct play *p)
{
	supply(p, 54);
}

static void close_b(struct play *p)
{
	CHECK_EQ(close(p->b), 0);
	p->b = -1;
	if (!p->is_calling && !p->writes)
		wait_until_readable(p);
}

static void reset(struct play *p)
{
	struct linger at_once = { .l_onoff = 1 };
	CHECK_EQ(setsockopt(p->b, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	if (!p->writes)
		(void)!write(p->a, "unread", 6); /* AF_UNIX: that makes it a reset */
	close_b(p);
}

static void supply_and_close(struct play *p)
{
	supply_10(p);
	close_b(p);
}

static void supply_and_reset(struct play *p)
{
	supply_10(p);
	reset(p);
}

static void shut_own(struct play *p)
{
	CHECK(shutdown(p->a, p->writes ? SHUT_WR : SHUT_RD) == 0 || p->is_calling);
}

static void shut_peers(struct play *p)
{
	CHECK(shutdown(p->b, p->writes ? SHUT_RD : SHUT_WR) == 0 || p->is_calling);
}

static void dont_block(struct play *p)
{
	fcntl(p->a, F_SETFL, fcntl(p->a, F_GETFL) | O_NONBLOCK);
}

static void dont_block_and_supply(struct play *p)
{
	dont_block(p);
	supply_10(p);
}

static void set_timeout(const struct play *p, int ms)
{
	struct timeval t = { ms / 1000, ms % 1000 * 1000 };
	CHECK_EQ(setsockopt(p->a, SOL_SOCKET, p->writes ? SO_SNDTIMEO : SO_RCVTIMEO, &t, sizeof(t)), 0);
}

static void timeout_short(struct play *p)
{
	set_timeout(p, 4 * patience);
}

static void supply_and_timeout(struct play *p)
{
	supply_10(p);
	set_timeout(p, 4 * patience);
}

static void timeout_long(struct play *p)
{
	set_timeout(p, 30 * 1000);
}

/* Fill what A writes to, with zeros. */
static void fill(struct play *p)
{
	static const char zeros[4096];
	int flags = fcntl(p->a, F_GETFL);
	static const uint64_t all_but_one = UINT64_MAX - 1;

	CHECK_EQ(fcntl(p->a, F_SETFL, flags | O_NONBLOCK), 0);
	if (kind_of(p)->make == make_eventfd)
		CHECK_EQ(write(p->a, &all_but_one, 8), 8);
	for (size_t len = sizeof(zeros); kind_of(p)->make != make_eventfd && len > 0;) {
		if (write(p->a, zeros, len) >= 0)
			continue;
		len = len > 1 ? 1 : write(p->a, zeros, 1) == 1;
	}
	/* The other end may take some of it a moment later: on a busy machine many moments. */
	for (int quiet = 0; kind_of(p)->make == make_tcp && quiet < 5 * patience; quiet++) {
		usleep(2000);
		while (write(p->a, zeros, 1) == 1)
			quiet = 0;
	}
	CHECK_EQ(fcntl(p->a, F_SETFL, flags), 0);
}

static void fill_dont_block(struct play *p)
{
	fill(p);
	dont_block(p);
}

static void fill_timeout(struct play *p)
{
	fill(p);
	timeout_short(p);
}

static void drain_some(struct play *p)
{
	while (take(p, p->b, 0) > 0)
		if (kind_of(p)->is & STREAM)
			break;
}

static void drain_some_and_close(struct play *p)
{
	drain_some(p);
	if (patience > 1) /* the kernel had not yet told A of the room when we looked */
		pass_ns(p, patience * 10 * 1000 * 1000L);
	until_a_sleeps(p); /* again: it has filled what was drained */
	close_b(p);
}

static const struct situation situations[] = {
	{ .name = "with data", .is_for_all = true, .before = supply_10 },
	{ .name = "with more data than asked for", .only = STREAM, .before = supply_80 },
	{ .name = "empty, then data", .meanwhile = supply_10, .is_for_all = true },
	{ .name = "with data, then the rest", .only = STREAM, .before = supply_10, .meanwhile = supply_rest },
	{ .name = "empty, then the peer closes", .only = HAS_B, .meanwhile = close_b },
	{ .name = "with data, then the peer closes", .only = HAS_B, .before = supply_10, .meanwhile = close_b },
	{ .name = "ended", .only = HAS_B, .before = close_b },
	{ .name = "with data and ended", .only = HAS_B, .before = supply_and_close },
	{ .name = "reset", .only = SOCK | HAS_B, .before = reset },
	{ .name = "with data and reset", .only = SOCK | HAS_B, .before = supply_and_reset },
	{ .name = "empty, then reset", .only = SOCK | HAS_B, .meanwhile = reset },
	{ .name = "with data, then reset", .only = SOCK | HAS_B, .before = supply_10, .meanwhile = reset },
	{ .name = "O_NONBLOCK and empty", .is_for_all = true, .before = dont_block },
	{ .name = "O_NONBLOCK with data", .is_for_all = true, .before = dont_block_and_supply },
	{ .name = "SO_RCVTIMEO and empty", .only = SOCK, .is_timed = true, .before = timeout_short },
	{ .name = "SO_RCVTIMEO with data", .only = SOCK | HAS_B, .is_timed = true, .before = supply_and_timeout },
	{ .name = "SO_RCVTIMEO, then data", .only = SOCK | HAS_B, .before = timeout_long, .meanwhile = supply_10 },
	{ .name = "shut down", .only = SOCK | HAS_B, .before = shut_own },
	{ .name = "empty, then shut down", .only = SOCK | HAS_B, .meanwhile = shut_own },
	{ .name = "shut down by the peer", .only = SOCK | HAS_B, .before = shut_peers },
	{ .name = "empty, then shut down by the peer", .only = SOCK | HAS_B, .meanwhile = shut_peers },

	{ .name = "with room", .writes = true, .is_for_all = true, .drains = true },
	{ .name = "full, then drained", .writes = true, .only = FILLS, .drains = true, .before = fill },
	{ .name = "full, then the peer closes", .writes = true, .only = HAS_B | FILLS, .ends_early = true, .before = fill,
	  .meanwhile = close_b },
	{ .name = "with room, then the peer closes", .writes = true, .only = HAS_B, .ends_early = true, .meanwhile = close_b },
	{ .name = "full, then drained a little and closed", .writes = true, .only = HAS_B | FILLS, .ends_early = true,
	  .before = fill, .meanwhile = drain_some_and_close },
	{ .name = "ended", .writes = true, .only = HAS_B, .before = close_b },
	{ .name = "reset", .writes = true, .only = SOCK | HAS_B, .before = reset },
	{ .name = "with room, then reset", .writes = true, .only = SOCK | HAS_B, .ends_early = true, .meanwhile = reset },
	{ .name = "O_NONBLOCK with room", .writes = true, .is_for_all = true, .ends_early = true, .before = dont_block },
	{ .name = "O_NONBLOCK and full", .writes = true, .only = FILLS, .ends_early = true, .before = fill_dont_block },
	{ .name = "SO_SNDTIMEO and full", .writes = true, .only = SOCK | FILLS, .is_timed = true, .ends_early = true,
	  .before = fill_timeout },
	{ .name = "SO_SNDTIMEO with room", .writes = true, .only = SOCK | HAS_B, .is_timed = true, .ends_early = true,
	  .before = timeout_short },
	{ .name = "SO_SNDTIMEO, drained", .writes = true, .only = SOCK | HAS_B, .drains = true, .before = timeout_long },
	{ .name = "shut down", .writes = true, .only = SOCK | HAS_B, .before = shut_own },
	{ .name = "full, then shut down", .writes = true, .only = SOCK | HAS_B | FILLS, .ends_early = true, .before = fill,
	  .meanwhile = shut_own },
	{ .name = "full, then shut down by the peer", .writes = true, .only = SOCK | HAS_B | FILLS, .ends_early = true,
	  .before = fill, .meanwhile = shut_peers },
	{ .name = "shut down by the peer", .writes = true, .only = SOCK | HAS_B, .before = shut_peers },
};
enum { SITUATIONS = sizeof(situations) / sizeof(situations[0]) };

/* How much of a big write was done before something ended it, depends on room and
 * time. */
static void say_written(struct play *p, const struct call *c, ssize_t put)
{
	const struct scene *scene = p->scene;
	int error = errno;

	if (put > 0 && put < c->len && scene->in->ends_early)
		say(p, "%s: in part%s\n", c->name, error == 12345 ? "" : ", and errno was changed");
	else
		say_result(p, c->name, put);
}

/* --- the accepted differences ---------------------------------------------------------------- */

/* NULL: any. */
static const struct difference {
	const char *call, *kind, *in, *reason;
} accepted[] = {
	{ "recv of 0", "tcp", NULL, "libc's waits, and then says 0 whatever ended that; ours says it" },
	{ "recv WAITALL of 0", "tcp", NULL, "the same" },
	{ "recvmsg without buffers", "tcp", NULL, "the same" },
	{ NULL, "unix stream", "full, then shut down", "its poll never says that; only the peer's doing ends ours" },
	{ NULL, "unix dgram", "full, then shut down", "the same" },
	{ NULL, "unix seqpacket", "full, then shut down", "the same" },
	{ NULL, "unix stream", "full, then shut down by the peer", "the same" },
	{ NULL, "unix dgram", "full, then shut down by the peer", "the same" },
	{ NULL, "unix seqpacket", "full, then shut down by the peer", "the same" },
	{ "write", "eventfd", "full, then drained", "what is wrong with the call comes when there is room" },
	{ "write of 300000", "eventfd", "full, then drained", "the same" },
	{ "write from nowhere", "eventfd", "full, then drained", "the same" },
	{ "writev", "eventfd", "full, then drained", "the same" },
	{ "writev of 300000", "eventfd", "full, then drained", "the same" },
	{ NULL, "pty slave", "empty, then the peer closes", "a read that waits says EIO, one that comes later 0" },
	{ NULL, "terminal", "empty, then the peer closes", "the same" },
	{ "recv WAITALL", "unix stream", "with data and reset", "libc forgets the reset, ours leaves it for the next call" },
	{ "recv WAITALL", "unix stream", "with data, then reset", "the same" },
	{ "recvmsg WAITALL", "unix stream", "with data and reset", "the same" },
	{ "recvmsg WAITALL", "unix stream", "with data, then reset", "the same" },
};
enum { ACCEPTED = sizeof(accepted) / sizeof(accepted[0]) };

static bool fits(const char *pattern, const char *name)
{
	return !pattern || strcmp(pattern, name) == 0;
}

static int find_accepted(const struct scene *s)
{
	for (int i = 0; i < ACCEPTED; i++)
		if (fits(accepted[i].call, s->call->name) && fits(accepted[i].kind, s->kind->name) &&
		    fits(accepted[i].in, s->in->name))
			return i;
	return -1;
}

/* --- one scene ---------------------------------------------------------------------------------- */

static void a_calls(struct play *p)
{
	const struct scene *s = p->scene;

	p->is_calling = true;
	s->call->make(p, s->call);
}

/* What is left to read for A, and what the socket says. */
static void say_what_is_left(struct play *p)
{
	char buf[256];
	intmax_t n = 0, got;
	unsigned sum = 0;

	dont_block(p);
	errno = 12345;
	while (n < 4096 && (got = read(p->a, buf, sizeof(buf))) > 0) {
		for (intmax_t i = 0; i < got; i++)
			sum = sum * 31 + (unsigned char)buf[i];
		n += got;
	}
	say(p, "left for A: %jd bytes %08x, then ", n, kind_of(p)->is & UNPAIRED ? 0 : sum);
	say_result(p, "read", n < 4096 ? got : 0);
}

static void say_options(struct play *p, const char *when)
{
	struct timeval in = { 0 }, out = { 0 };
	socklen_t len = sizeof(in);
	int flags = fcntl(p->a, F_GETFL);

	if (kind_of(p)->make == make_listener)
		flags &= ~O_NONBLOCK; /* accept sets it, and leaves it */
	getsockopt(p->a, SOL_SOCKET, SO_RCVTIMEO, &in, &len);
	getsockopt(p->a, SOL_SOCKET, SO_SNDTIMEO, &out, &len);
	say(p, "%s: flags %o, timeouts %ld.%06ld %ld.%06ld\n", when, (unsigned)flags, (long)in.tv_sec, (long)in.tv_usec,
	    (long)out.tv_sec, (long)out.tv_usec);
	errno = 12345;
}

static void b_helps(struct play *p)
{
	const struct scene *s = p->scene;

	until_a_sleeps(p);
	if (s->in->meanwhile)
		s->in->meanwhile(p);
	bool comes_back = a_comes_back(p);
	if (!comes_back)
		end_a(p);
	say_options(p, "after");
	say(p, "SIGPIPE: %d\n", n_sigpipe);
	if (p->writes && p->b >= 0) {
		while (take(p, p->b, kind_of(p)->is & TTY ? 30 : 0) > 0)
			;
		if (!s->in->ends_early && comes_back)
			say(p, "B got %zu bytes %zx\n", p->n_b, p->sum_b);
	}
	if (!p->writes)
		say_what_is_left(p);
}

static void play_scene(const struct scene *s, bool is_hooked, struct play *p)
{
	play_init(p);
	p->scene = s;
	p->writes = s->in->writes;
	bool is_poll = s->call->flags & (POLLIN | POLLOUT) && s->call->option < 0; /* knows no SO_RCVTIMEO */
	p->is_timed = s->call->is_timed || (s->in->is_timed && !is_poll);
	p->drains = s->in->drains;
	p->play_a = a_calls;
	p->play_b = b_helps;
	n_sigpipe = 0;
	s->kind->make(p);
	if (p->b >= 0)
		fcntl(p->b, F_SETFL, fcntl(p->b, F_GETFL) | O_NONBLOCK); /* B never waits in a call */
	if (s->in->before)
		s->in->before(p);
	say_options(p, "before");
	(is_hooked ? play_in_coroutines : play_on_threads)(p);
	if (s->kind->make == make_signalfd) { /* a signal that nobody took is taken now */
		sigset_t usr2;
		sigemptyset(&usr2);
		sigaddset(&usr2, SIGUSR2);
		sigtimedwait(&usr2, NULL, &(struct timespec){ 0 });
	}
	close_all(p);
}

static int n_scenes, n_different, n_accepted;

static void compare(const struct scene *s, struct play *plain, const char *how)
{
	static struct play hooked;
	int i = find_accepted(s);

	n_scenes++;
	for (int n = 0; n < 4; n++) {
		patience = 1 << 2 * n;
		if (n > 0)
			play_scene(s, false, plain);
		play_scene(s, true, &hooked);
		patience = 1;
		if (strcmp(plain->log, hooked.log) == 0)
			return;
		if (i >= 0)
			break;
	}
	if (i >= 0) {
		n_accepted++;
		return;
	}
	if (++n_different <= 10)
		fprintf(stderr, "%s on %s, %s%s:\n--- libc:\n%s--- hooked:\n%s", s->call->name, s->kind->name, s->in->name,
			how, plain->log, hooked.log);
}

static bool is_played(const struct kind *kind, const struct call *call, const struct situation *in)
{
	/* That waits for an event, and then says EINVAL. The hooks take reading
	 * nothing for something that never waits, and hold the thread up. */
	if (kind->make == make_inotify && call->make == call_read && call->len == 0)
		return false;
	return call->writes == in->writes && (in->is_for_all || (kind->is & in->only) == in->only);
}

static void play_one(const struct scene *s)
{
	static struct play plain;

	alarm(20);
	play_scene(s, false, &plain);
	compare(s, &plain, "");
	no_nowait = true;
	compare(s, &plain, ", without RWF_NOWAIT");
	no_nowait = false;
}

enum { PROCESSES = 8 };

/* One scene of @PROCESSES, from the @first on. */
static void play_some(int mask, int is, int first)
{
	const char *only = getenv("COSTEP_SCENE"); /* for people: a part of scenes' names */
	int n = 0;

	/* Under a tool a scene takes ten times as long: there, a sample. */
	const int every = watched_by() && !only ? 7 : 1;

	two_ways_begin();
	signal(SIGABRT, too_late);
	for (int k = 0; k < KINDS; k++)
		for (int c = 0; c < CALLS; c++)
			for (int i = 0; i < SITUATIONS; i++) {
				struct scene s = { &kinds[k], &calls[c], &situations[i] };
				if ((s.kind->is & mask) != is || !is_played(s.kind, s.call, s.in))
					continue;
				int number = n++;
				if (number % PROCESSES != first || number / PROCESSES % every != 0)
					continue;
				snprintf(what_plays, sizeof(what_plays), "%s on %s, %s", s.call->name, s.kind->name,
					 s.in->name);
				if (!only || strstr(what_plays, only))
					play_one(&s);
			}
	alarm(0);
}

/* All scenes on the kinds that have the bits @is of @mask. Most of the time they
 * wait, so several processes play. */
static void play_all(int mask, int is)
{
	static const char *const words[] = { "comparisons", "different", "accepted as different" };
	int sums[3] = { 0 }, results[2], failed = 0;

	CHECK_EQ(pipe(results), 0);
	for (int i = 0; i < PROCESSES; i++) {
		fflush(NULL);
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid > 0)
			continue;
		play_some(mask, is, i);
		int mine[3] = { n_scenes, n_different, n_accepted };
		CHECK_EQ(write(results[1], mine, sizeof(mine)), sizeof(mine));
		exit(0);
	}
	for (int status; wait(&status) > 0;)
		failed += status != 0;
	CHECK_EQ(failed, 0);
	for (int i = 0, mine[3]; i < PROCESSES; i++) {
		CHECK_EQ(read(results[0], mine, sizeof(mine)), sizeof(mine));
		for (int k = 0; k < 3; k++)
			sums[k] += mine[k];
	}
	for (int k = 0; k < 3; k++)
		printf("# %d %s\n", sums[k], words[k]);
	CHECK_EQ(sums[1], 0);
}

static void tables_sockets(void)
{
	play_all(SOCK | UNPAIRED, SOCK);
}

static void tables_pipes(void)
{
	play_all(SOCK | UNPAIRED | TTY, 0);
}

static void tables_ttys(void)
{
	play_all(TTY, TTY);
}

static void tables_others(void)
{
	play_all(UNPAIRED, UNPAIRED);
}

static const struct test_case cases[] = {
	{ "sockets", "on every socket, in every situation, a hooked call does what libc does", tables_sockets, 0, NULL },
	{ "pipes", "on pipes, FIFOs and the kernel's event descriptors too", tables_pipes, 0, NULL },
	{ "ttys", "and on terminals", tables_ttys, 0, NULL },
	{ "others", "and on files, devices, listeners, and what is not open", tables_others, 0, NULL },
};

TEST_MAIN(cases)
