/* SPDX-License-Identifier: MIT */
/*
 * Hooked calls on shared stacks: whoever waits has its buffers on a stack that is not
 * there meanwhile.
 *
 * One row per call. A coroutine on a one-slot shared stack makes the call with all
 * that the call is given on its own stack, between guards. While it waits, a coroutine
 * of the same slot fills the whole slot; then comes what the first one waits for. From
 * then on until the waiter runs, no byte of the slot may change; and the waiter must
 * find its results, and all else as it was.
 */
#include <alloca.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "co_poll.h"
#include "coroutine.h"
#include "env.h"
#include "epoll.h"
#include "hooks.h"
#include "jumping_clock.h"
#include "loop.h"
#include "park.h"
#include "sharestack.h"
#include "sleep.h"
#include "tools.h"

ssize_t __read_chk(int fd, void *buf, size_t len, size_t buf_len);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t buf_len, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t buf_len, int flags, struct sockaddr *addr,
		       socklen_t *addr_len);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t fds_len);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t fds_len);

enum {
	SLOT = 64 * 1024,
	GUARD = 32,
	DATA = 10,    /* bytes that a reader gets */
	BIG = 9000,   /* bytes of a writer: more than fit at once */
	ROUNDS = 500, /* waits of one call, at most */
};

/* --- the linker hands these calls to us (WRAP_t_hook_shared in the Makefile) ----------------- */

/* clang links its sanitizers statically, and they ask too, before anything of theirs
 * works. */
#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define WORKS_EARLY __attribute__((disable_sanitizer_instrumentation))
#endif
#endif
#ifndef WORKS_EARLY
#define WORKS_EARLY
#endif

/* --- blocks of memory that are held ------------------------------------------------------- */

static _Atomic long n_blocks;
static bool has_no_malloc; /* what shared stacks use: calls that wait use calloc, but for sleeps */

void *__real_malloc(size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_malloc(size_t len)
{
	if (has_no_malloc) {
		errno = ENOMEM;
		return NULL;
	}
	void *p = __real_malloc(len);
	n_blocks += p != NULL;
	return p;
}

void *__real_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len)
{
	void *p = __real_calloc(n, len);
	n_blocks += p != NULL;
	return p;
}

void *__real_realloc(void *old, size_t len);
void *__wrap_realloc(void *old, size_t len);
void *__wrap_realloc(void *old, size_t len)
{
	void *p = __real_realloc(old, len);
	n_blocks += p != NULL && old == NULL;
	return p;
}

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
	char *p = __real_strdup(s);
	n_blocks += p != NULL;
	return p;
}

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
	n_blocks -= p != NULL;
	__real_free(p);
}

static bool test_runs; /* before that, sanitizers may ask */

/* The clock on the wall goes by the jumping one, too. */
int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
WORKS_EARLY int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	if (!test_runs || clock != CLOCK_REALTIME)
		return __real_clock_gettime(clock, t);
	*t = (struct timespec){ 1000 + clock_shows / 1000000000, clock_shows % 1000000000 };
	return 0;
}

/* --- name lookups that take as long as this test wants ------------------------------------- */

static pthread_t main_thread;
static sem_t gate;              /* opened once for each lookup */
static _Atomic int n_begun, n_looked_up; /* lookups that have come to the gate; that are past it */
static size_t least_len;        /* of the buffer for the answer; less is ERANGE */

/* In a helper. What it is given is looked at only now: the caller's stack has been
 * overwritten meanwhile. */
static void pass_gate(const char *name)
{
	CHECK(!pthread_equal(pthread_self(), main_thread));
	n_begun++;
	while (sem_wait(&gate) != 0)
		CHECK_EQ(errno, EINTR);
	CHECK_EQ(strcmp(name, "host.example"), 0);
	n_looked_up++;
}

/* 10.1.2.3, in one block. */
static int slow_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	struct answer {
		struct addrinfo info;
		struct sockaddr_in addr;
	} *a = malloc(sizeof(*a));

	pass_gate(name);
	CHECK_EQ(strcmp(service, "80"), 0);
	CHECK(hints->ai_family == AF_INET && hints->ai_socktype == SOCK_STREAM);
	CHECK(a != NULL);
	*a = (struct answer){
		.info = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_addrlen = sizeof(a->addr) },
		.addr = { .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x0a010203) },
	};
	a->info.ai_addr = (struct sockaddr *)&a->addr;
	*list = &a->info;
	return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list);
void __wrap_freeaddrinfo(struct addrinfo *list)
{
	free(list);
}

/* The same for the others: all that the answer points to is in @buf. */
static int slow_byname2_r(const char *name, int family, struct hostent *entry, char *buf, size_t len,
			  struct hostent **found, int *h_error)
{
	struct answer {
		char *addrs[2], *aliases[1];
		char addr[4], name[9];
	} *a = (struct answer *)buf;

	pass_gate(name);
	CHECK_EQ(family, AF_INET);
	*found = NULL;
	*h_error = NETDB_INTERNAL;
	if (len < least_len || len < sizeof(*a))
		return ERANGE;
	*a = (struct answer){ { a->addr }, { NULL }, { 10, 1, 2, 3 }, "10.1.2.3" };
	*entry = (struct hostent){ a->name, a->aliases, AF_INET, 4, a->addrs };
	*found = entry;
	*h_error = 0;
	return 0;
}

static int slow_byname_r(const char *name, struct hostent *entry, char *buf, size_t len, struct hostent **found,
			 int *h_error)
{
	return slow_byname2_r(name, AF_INET, entry, buf, len, found, h_error);
}

/* The hooks ask this for libc's functions. */
void *__real_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name);
WORKS_EARLY void *__wrap_dlsym(void *handle, const char *name)
{
	if (test_runs && strcmp(name, "getaddrinfo") == 0)
		return (void *)slow_getaddrinfo;
	if (test_runs && strcmp(name, "gethostbyname_r") == 0)
		return (void *)slow_byname_r;
	if (test_runs && strcmp(name, "gethostbyname2_r") == 0)
		return (void *)slow_byname2_r;
	return __real_dlsym(handle, name);
}

/* --- things on the waiter's stack, between guards ------------------------------------------- */

static struct co *waiter;
static const unsigned char *guards[40];
static int n_guards;
static const unsigned char *lowest; /* of them all */

static bool is_on_stack(const void *p)
{
	const struct co_stack *stack = co_self()->exec.stack;
	return (const char *)p >= stack->lo && (const char *)p < stack->hi;
}

/* Does AddressSanitizer keep locals on the heap, for detect_stack_use_after_return?
 * Then there is less to see here. */
static bool are_locals_elsewhere(void)
{
#ifdef CO_ASAN
	return __asan_get_current_fake_stack() != NULL;
#else
	return false;
#endif
}

static void guard(unsigned char *bytes)
{
	CHECK(is_on_stack(bytes) || are_locals_elsewhere());
	CHECK(n_guards < (int)(sizeof(guards) / sizeof(guards[0])));
	memset(bytes, 0xc0 + n_guards, GUARD);
	if (!lowest || bytes < lowest)
		lowest = bytes;
	guards[n_guards++] = bytes;
}

/* A local *@name of @type. */
#define FENCED(type, name) \
	struct { \
		unsigned char before[GUARD]; \
		__typeof__(type) it; \
		unsigned char after[GUARD]; \
	} name##_fenced; \
	__typeof__(type) *name = &name##_fenced.it

#define GUARDED(type, name) \
	FENCED(type, name); \
	guard(name##_fenced.before); \
	guard(name##_fenced.after)

/* To be said before a call's function returns. */
static void check_guards(void)
{
	for (int i = 0; i < n_guards; i++)
		for (int k = 0; k < GUARD; k++)
			CHECK_EQ(guards[i][k], 0xc0 + i);
	n_guards = 0;
}

/* --- the scene: descriptors of the call and of who helps it --------------------------------- */

static struct {
	int a, b;            /* the call's, and the other side */
	int closed;          /* what a was */
	int listener;
	int quiet[2];        /* a pipe in which nothing happens */
	int others[80], n_others;
	struct sockaddr_un addr;
	socklen_t addr_len;
	struct sockaddr_in in;
	size_t n_got;
	unsigned char got[64 * 1024]; /* what has come to b; bytes of 0 were there to fill */
} s;

static bool is_rerun; /* after a reset */

static const char data[DATA + 1] = "0123456789";

static void nothing(void)
{
}

static void make_pipe(void)
{
	int fd[2];

	CHECK_EQ(pipe(fd), 0);
	s.a = fd[0];
	s.b = fd[1];
}

static void make_pair_of(int type)
{
	int fd[2];

	CHECK_EQ(socketpair(AF_UNIX, type, 0, fd), 0);
	s.a = fd[0];
	s.b = fd[1];
}

static void make_stream(void)
{
	make_pair_of(SOCK_STREAM);
}

static void make_fifo(void)
{
	char name[60];

	snprintf(name, sizeof(name), "/tmp/t_hook_shared.%d", (int)getpid());
	CHECK_EQ(mkfifo(name, 0600), 0);
	s.a = open(name, O_RDONLY | O_NONBLOCK);
	s.b = open(name, O_WRONLY);
	unlink(name);
	CHECK(s.a >= 0 && s.b >= 0);
	CHECK_EQ(fcntl(s.a, F_SETFL, 0), 0);
}

static void make_event(void)
{
	s.a = eventfd(0, 0);
	CHECK(s.a >= 0);
	s.b = dup(s.a);
}

/* A name that no file has, of this process. */
static socklen_t name_socket(struct sockaddr_un *addr, const char *what)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	int n = snprintf(addr->sun_path + 1, sizeof(addr->sun_path) - 1, "t_hook_shared.%d.%s", (int)getpid(), what);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int named_socket(int type, const char *name)
{
	int fd = socket(AF_UNIX, type, 0);

	CHECK(fd >= 0);
	s.addr_len = name_socket(&s.addr, name);
	CHECK_EQ(bind(fd, (struct sockaddr *)&s.addr, s.addr_len), 0);
	return fd;
}

/* Not connected: a receives at "a", b sends from "b". s.addr is b's. */
static void make_datagrams(void)
{
	s.a = named_socket(SOCK_DGRAM, "a");
	s.b = named_socket(SOCK_DGRAM, "b");
}

static void make_listener(void)
{
	s.a = named_socket(SOCK_STREAM, "listener");
	CHECK_EQ(listen(s.a, 5), 0);
}

/* A listener whose queue is full, for @a. */
static void make_full_backlog(void)
{
	s.listener = named_socket(SOCK_STREAM, "listener");
	CHECK_EQ(listen(s.listener, 0), 0);
	CHECK_EQ(fcntl(s.listener, F_SETFL, O_NONBLOCK), 0);
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK(fd >= 0 && s.n_others < 20);
		s.others[s.n_others++] = fd;
		if (connect(fd, (struct sockaddr *)&s.addr, s.addr_len) != 0)
			break;
	}
	CHECK_EQ(errno, EAGAIN);
	s.a = socket(AF_UNIX, SOCK_STREAM, 0);
}

static int tcp_listener(int backlog)
{
	socklen_t len = sizeof(s.in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	s.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(fd >= 0);
	CHECK_EQ(bind(fd, (struct sockaddr *)&s.in, sizeof(s.in)), 0);
	CHECK_EQ(listen(fd, backlog), 0);
	CHECK_EQ(getsockname(fd, (struct sockaddr *)&s.in, &len), 0);
	return fd;
}

static void make_tcp(void)
{
	s.listener = tcp_listener(1);
	s.b = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(connect(s.b, (struct sockaddr *)&s.in, sizeof(s.in)), 0);
	s.a = accept(s.listener, NULL, NULL);
	CHECK(s.a >= 0);
}

/* The same by TCP, where the kernel throws away what has no room. */
static void make_full_tcp_backlog(void)
{
	s.listener = tcp_listener(0);
	for (; s.n_others < 4; s.n_others++) {
		s.others[s.n_others] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(s.others[s.n_others], (struct sockaddr *)&s.in, sizeof(s.in));
	}
	s.a = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(setsockopt(s.a, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){ .tv_sec = 3 }, sizeof(struct timeval)), 0);
}

static void set_nonblocking(int fd, bool yes)
{
	CHECK_EQ(fcntl(fd, F_SETFL, yes ? O_NONBLOCK : 0), 0);
}

/* a is the writer from now on, and nothing fits any more. */
static void fill(int a, int b)
{
	static const char zeros[512];

	s.a = a;
	s.b = b;
	set_nonblocking(a, true);
	while (write(a, zeros, sizeof(zeros)) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
	set_nonblocking(a, false);
	set_nonblocking(b, true);
}

static void make_full_pipe(void)
{
	make_pipe();
	CHECK(fcntl(s.a, F_SETPIPE_SZ, 4096) > 0);
	fill(s.b, s.a);
}

static void make_full_fifo(void)
{
	make_fifo();
	CHECK(fcntl(s.a, F_SETPIPE_SZ, 4096) > 0);
	fill(s.b, s.a);
}

static void make_full_stream(void)
{
	make_stream();
	CHECK_EQ(setsockopt(s.a, SOL_SOCKET, SO_SNDBUF, &(int){ 1 }, sizeof(int)), 0);
	fill(s.a, s.b);
}

/* a sends without a connection, and b's queue is full; s.addr is b's. */
static void make_full_datagrams(void)
{
	make_datagrams();
	while (sendto(s.a, "\0", 1, MSG_DONTWAIT, (struct sockaddr *)&s.addr, s.addr_len) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
	set_nonblocking(s.b, true);
}

static void open_scene(void (*make)(void))
{
	memset(&s, 0, sizeof(s));
	s.a = s.b = s.listener = -1;
	CHECK_EQ(pipe(s.quiet), 0);
	make();
}

static void close_scene(void)
{
	int fd[] = { s.a, s.b, s.listener, s.quiet[0], s.quiet[1] };

	for (int i = 0; i < 5; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	for (int i = 0; i < s.n_others; i++)
		close(s.others[i]);
}

/* --- what happens meanwhile, in main. @n counts the waits of the call ------------------------ */

static void supply(int n)
{
	if (n == 0)
		CHECK_EQ(write(s.b, data, DATA), DATA);
}

/* Some now, and the rest later. */
static void supply_parts(int n)
{
	if (n == 0)
		CHECK_EQ(write(s.b, data, 4), 4);
	else if (n == 3)
		CHECK_EQ(write(s.b, data + 4, DATA - 4), DATA - 4);
	else if (n < 3) /* others come, too */
		clock_shows += 1000;
}

static void supply_part_by_part(int n)
{
	CHECK_EQ(write(s.b, data + n, 1), 1);
}

static void supply_event(int n)
{
	if (n == 0)
		CHECK_EQ(write(s.b, &(uint64_t){ 77 }, 8), 8);
}

struct control {
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
};

static void put_fd(struct msghdr *msg, struct control *control, int fd)
{
	memset(control, 0, sizeof(*control));
	msg->msg_control = control;
	msg->msg_controllen = sizeof(*control);
	struct cmsghdr *head = CMSG_FIRSTHDR(msg);
	head->cmsg_len = CMSG_LEN(sizeof(int));
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
}

/* Take the descriptor that came with a message. It must be s.quiet[0]'s file. */
static void take_fd(struct msghdr *msg)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(msg);
	struct stat theirs, ours;
	int fd;

	CHECK(head && head->cmsg_len == CMSG_LEN(sizeof(int)));
	CHECK(head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	CHECK_EQ(fstat(fd, &theirs), 0);
	CHECK_EQ(fstat(s.quiet[0], &ours), 0);
	CHECK_EQ(theirs.st_ino, ours.st_ino);
	close(fd);
}

static void supply_datagram(int n)
{
	struct sockaddr_un to;
	struct iovec iov = { (void *)data, DATA };
	struct control control;
	struct msghdr msg = { .msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > 0)
		return;
	msg.msg_namelen = name_socket(&to, "a");
	put_fd(&msg, &control, s.quiet[0]);
	CHECK_EQ(sendmsg(s.b, &msg, 0), DATA);
}

static int n_fds_got;

/* Take all that has come to b. */
static void drain(int n)
{
	static unsigned char bytes[32 * 1024];
	struct control control;
	struct iovec iov = { bytes, sizeof(bytes) };
	ssize_t got;

	(void)n;
	for (;;) {
		struct msghdr msg = { NULL, 0, &iov, 1, &control, sizeof(control), 0 };
		got = recvmsg(s.b, &msg, 0);
		if (got < 0 && errno == ENOTSOCK)
			got = read(s.b, bytes, sizeof(bytes));
		else if (got > 0 && msg.msg_controllen > 0) {
			take_fd(&msg);
			n_fds_got++;
		}
		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got; i++)
			if (bytes[i]) {
				CHECK(s.n_got < sizeof(s.got));
				s.got[s.n_got++] = bytes[i];
			}
	}
	CHECK_EQ(errno, EAGAIN);
}

/* After so many waits that the call has begun to wait by the clock. */
static void drain_late(int n)
{
	if (n >= 12)
		drain(n);
}

static void connect_to_us(int n)
{
	struct sockaddr_un to;

	if (n > 0)
		return;
	s.b = named_socket(SOCK_STREAM, "client");
	CHECK_EQ(connect(s.b, (struct sockaddr *)&to, name_socket(&to, "listener")), 0);
}

static void accept_some(int n)
{
	(void)n;
	if (s.n_others < 70) {
		int fd = accept4(s.listener, NULL, NULL, SOCK_NONBLOCK);
		if (fd >= 0)
			s.others[s.n_others++] = fd;
	}
}

/* After a reset it is closed already. */
static int fd_to_close(void)
{
	return s.a >= 0 ? s.a : s.closed;
}

static void close_it(int n)
{
	if (n == 0) {
		s.closed = s.a;
		s.a = -1;
		CHECK_EQ(close(s.closed), 0);
	}
}

/* A lookup is done: wait until its helper is past the gate. */
static void open_gate(int n)
{
	int before = n_looked_up;

	(void)n;
	CHECK_EQ(sem_post(&gate), 0);
	while (n_looked_up == before)
		sched_yield();
}

/* --- the calls, in the waiter -------------------------------------------------------------------- */

static void check_data(const char *bytes)
{
	CHECK_EQ(memcmp(bytes, data, DATA), 0);
}

static void do_read(void)
{
	GUARDED(char[40], buf);
	CHECK_EQ(read(s.a, *buf, sizeof(*buf)), DATA);
	check_data(*buf);
	check_guards();
}

static void do_read_chk(void)
{
	GUARDED(char[40], buf);
	CHECK_EQ(__read_chk(s.a, *buf, sizeof(*buf), sizeof(*buf)), DATA);
	check_data(*buf);
	check_guards();
}

static void do_read_event(void)
{
	GUARDED(uint64_t, value);
	CHECK_EQ(read(s.a, value, sizeof(*value)), 8);
	CHECK_EQ(*value, 77);
	check_guards();
}

static void do_readv(void)
{
	GUARDED(char[3], one);
	GUARDED(char[30], two);
	GUARDED(struct iovec[3], iov);
	(*iov)[0] = (struct iovec){ *one, sizeof(*one) };
	(*iov)[1] = (struct iovec){ NULL, 0 };
	(*iov)[2] = (struct iovec){ *two, sizeof(*two) };
	CHECK_EQ(readv(s.a, *iov, 3), DATA);
	CHECK_EQ(memcmp(*one, data, 3), 0);
	CHECK_EQ(memcmp(*two, data + 3, DATA - 3), 0);
	CHECK((*iov)[0].iov_base == *one && (*iov)[2].iov_base == *two && (*iov)[2].iov_len == sizeof(*two));
	check_guards();
}

static void do_recv(void)
{
	GUARDED(char[40], buf);
	CHECK_EQ(recv(s.a, *buf, sizeof(*buf), 0), DATA);
	check_data(*buf);
	check_guards();
}

static void do_recv_all(void)
{
	GUARDED(char[DATA], buf);
	CHECK_EQ(recv(s.a, *buf, DATA, MSG_WAITALL), DATA);
	check_data(*buf);
	check_guards();
}

static void do_peek_all(void)
{
	GUARDED(char[DATA], buf);
	CHECK_EQ(recv(s.a, *buf, DATA, MSG_WAITALL | MSG_PEEK), DATA);
	check_data(*buf);
	check_guards();
}

static void do_recv_chk(void)
{
	GUARDED(char[40], buf);
	CHECK_EQ(__recv_chk(s.a, *buf, sizeof(*buf), sizeof(*buf), 0), DATA);
	check_data(*buf);
	check_guards();
}

static void check_from(const struct sockaddr_un *from, socklen_t len)
{
	CHECK_EQ(len, s.addr_len);
	CHECK_EQ(memcmp(from, &s.addr, len), 0);
}

static void do_recvfrom(void)
{
	GUARDED(char[40], buf);
	GUARDED(struct sockaddr_un, from);
	GUARDED(socklen_t, len);
	*len = sizeof(*from);
	CHECK_EQ(recvfrom(s.a, *buf, sizeof(*buf), 0, (struct sockaddr *)from, len), DATA);
	check_data(*buf);
	check_from(from, *len);
	check_guards();
}

static void do_recvfrom_chk(void)
{
	GUARDED(char[40], buf);
	GUARDED(struct sockaddr_un, from);
	GUARDED(socklen_t, len);
	*len = sizeof(*from);
	CHECK_EQ(__recvfrom_chk(s.a, *buf, sizeof(*buf), sizeof(*buf), 0, (struct sockaddr *)from, len), DATA);
	check_data(*buf);
	check_from(from, *len);
	check_guards();
}

static void do_recvmsg(void)
{
	GUARDED(char[3], one);
	GUARDED(char[30], two);
	GUARDED(struct iovec[2], iov);
	GUARDED(struct sockaddr_un, from);
	GUARDED(struct control, control);
	GUARDED(struct msghdr, msg);
	(*iov)[0] = (struct iovec){ *one, sizeof(*one) };
	(*iov)[1] = (struct iovec){ *two, sizeof(*two) };
	memset(control, 0, sizeof(*control));
	*msg = (struct msghdr){ from, sizeof(*from), *iov, 2, control, sizeof(*control), 0 };
	CHECK_EQ(recvmsg(s.a, msg, 0), DATA);
	CHECK_EQ(memcmp(*one, data, 3), 0);
	CHECK_EQ(memcmp(*two, data + 3, DATA - 3), 0);
	check_from(from, msg->msg_namelen);
	CHECK(msg->msg_control == control);
	take_fd(msg);
	CHECK(msg->msg_iov == *iov && msg->msg_iovlen == 2 && msg->msg_flags == 0);
	check_guards();
}

/* On streams, to be filled up by several messages. */
static void do_recvmsg_all(void)
{
	GUARDED(char[3], one);
	GUARDED(char[DATA - 3], two);
	GUARDED(struct iovec[2], iov);
	GUARDED(struct msghdr, msg);
	(*iov)[0] = (struct iovec){ *one, sizeof(*one) };
	(*iov)[1] = (struct iovec){ *two, sizeof(*two) };
	*msg = (struct msghdr){ .msg_iov = *iov, .msg_iovlen = 2 };
	CHECK_EQ(recvmsg(s.a, msg, MSG_WAITALL), DATA);
	CHECK_EQ(memcmp(*one, data, 3), 0);
	CHECK_EQ(memcmp(*two, data + 3, DATA - 3), 0);
	CHECK(msg->msg_iov == *iov && (*iov)[0].iov_len == 3 && (*iov)[1].iov_base == *two);
	check_guards();
}

static unsigned char big_byte(size_t i)
{
	return (unsigned char)(i % 251 + 1);
}

static void fill_big(unsigned char *bytes)
{
	for (size_t i = 0; i < BIG; i++)
		bytes[i] = big_byte(i);
}

/* It is as it was: nobody writes to what is to be sent. */
static void check_big(const unsigned char *bytes)
{
	for (size_t i = 0; i < BIG; i++)
		CHECK_EQ(bytes[i], big_byte(i));
}

static void do_write(void)
{
	GUARDED(unsigned char[BIG], buf);
	fill_big(*buf);
	CHECK_EQ(write(s.a, *buf, BIG), BIG);
	check_big(*buf);
	check_guards();
}

static void split_big(struct iovec iov[3], unsigned char *buf)
{
	fill_big(buf);
	iov[0] = (struct iovec){ buf, 1000 };
	iov[1] = (struct iovec){ buf + 1000, 7 };
	iov[2] = (struct iovec){ buf + 1007, BIG - 1007 };
}

static void do_writev(void)
{
	GUARDED(unsigned char[BIG], buf);
	GUARDED(struct iovec[3], iov);
	split_big(*iov, *buf);
	CHECK_EQ(writev(s.a, *iov, 3), BIG);
	check_big(*buf);
	CHECK((*iov)[0].iov_len == 1000 && (*iov)[2].iov_len == BIG - 1007);
	check_guards();
}

static void do_send(void)
{
	GUARDED(unsigned char[BIG], buf);
	fill_big(*buf);
	CHECK_EQ(send(s.a, *buf, BIG, 0), BIG);
	check_big(*buf);
	check_guards();
}

static void do_sendmsg(void)
{
	GUARDED(unsigned char[BIG], buf);
	GUARDED(struct iovec[3], iov);
	GUARDED(struct control, control);
	GUARDED(struct msghdr, msg);
	split_big(*iov, *buf);
	*msg = (struct msghdr){ .msg_iov = *iov, .msg_iovlen = 3 };
	put_fd(msg, control, s.quiet[0]);
	CHECK_EQ(sendmsg(s.a, msg, 0), BIG);
	check_big(*buf);
	CHECK(msg->msg_iov == *iov && msg->msg_control == control && (*iov)[0].iov_len == 1000);
	check_guards();
}

static void do_sendto(void)
{
	GUARDED(char[DATA], buf);
	GUARDED(struct sockaddr_un, to);
	memcpy(*buf, data, DATA);
	*to = s.addr;
	CHECK_EQ(sendto(s.a, *buf, DATA, 0, (struct sockaddr *)to, s.addr_len), DATA);
	check_data(*buf);
	check_guards();
}

static void do_sendmsg_to(void)
{
	GUARDED(char[DATA], buf);
	GUARDED(struct sockaddr_un, to);
	GUARDED(struct iovec, iov);
	GUARDED(struct control, control);
	GUARDED(struct msghdr, msg);
	memcpy(*buf, data, DATA);
	*to = s.addr;
	*iov = (struct iovec){ *buf, DATA };
	*msg = (struct msghdr){ .msg_name = to, .msg_namelen = s.addr_len, .msg_iov = iov, .msg_iovlen = 1 };
	put_fd(msg, control, s.quiet[0]);
	CHECK_EQ(sendmsg(s.a, msg, 0), DATA);
	check_data(*buf);
	check_guards();
}

static void do_connect(void)
{
	GUARDED(struct sockaddr_un, to);
	*to = s.addr;
	CHECK_EQ(connect(s.a, (struct sockaddr *)to, s.addr_len), 0);
	CHECK_EQ(memcmp(to, &s.addr, sizeof(*to)), 0);
	check_guards();
}

static void do_connect_in_vain(void)
{
	GUARDED(struct sockaddr_in, to);
	*to = s.in;
	CHECK_FAILS(connect(s.a, (struct sockaddr *)to, sizeof(*to)), -1, is_rerun ? EALREADY : EINPROGRESS);
	check_guards();
}

static void do_accept(void)
{
	GUARDED(struct sockaddr_un, from);
	GUARDED(socklen_t, len);
	*len = sizeof(*from);
	int fd = accept(s.a, (struct sockaddr *)from, len);
	CHECK(fd >= 0);
	check_from(from, *len);
	close(fd);
	check_guards();
}

static void do_accept4(void)
{
	GUARDED(struct sockaddr_un, from);
	GUARDED(socklen_t, len);
	*len = sizeof(*from);
	int fd = accept4(s.a, (struct sockaddr *)from, len, SOCK_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	check_from(from, *len);
	close(fd);
	check_guards();
}

/* --- poll and select --- */

static void fill_fds(struct pollfd fds[4])
{
	fds[0] = (struct pollfd){ s.quiet[0], POLLIN, 0x777 };
	fds[1] = (struct pollfd){ -1, POLLIN, 0x777 };
	fds[2] = (struct pollfd){ s.a, POLLIN, 0x777 };
	fds[3] = (struct pollfd){ s.quiet[0], POLLPRI, 0x777 };
}

static void check_fds(const struct pollfd fds[4], short revents)
{
	CHECK(fds[0].fd == s.quiet[0] && fds[0].events == POLLIN && fds[0].revents == 0);
	CHECK(fds[1].fd == -1 && fds[1].revents == 0);
	CHECK(fds[2].events == POLLIN && fds[2].revents == revents);
	CHECK(fds[3].fd == s.quiet[0] && fds[3].events == POLLPRI && fds[3].revents == 0);
}

static void do_poll(void)
{
	GUARDED(struct pollfd[4], fds);
	fill_fds(*fds);
	CHECK_EQ(poll(*fds, 4, -1), 1);
	check_fds(*fds, POLLIN);
	check_guards();
}

static void do_poll_chk(void)
{
	GUARDED(struct pollfd[4], fds);
	fill_fds(*fds);
	CHECK_EQ(__poll_chk(*fds, 4, 5000, sizeof(*fds)), 1);
	check_fds(*fds, POLLIN);
	check_guards();
}

static void do_poll_in_vain(void)
{
	GUARDED(struct pollfd[4], fds);
	fill_fds(*fds);
	CHECK_EQ(poll(*fds, 4, 5000), 0);
	check_fds(*fds, 0);
	check_guards();
}

static void do_poll_closed(void)
{
	GUARDED(struct pollfd[4], fds);
	fill_fds(*fds);
	(*fds)[2].fd = fd_to_close();
	CHECK_EQ(poll(*fds, 4, 5000), 1);
	check_fds(*fds, POLLNVAL);
	check_guards();
}

static void do_co_poll(void)
{
	GUARDED(struct pollfd[4], fds);
	fill_fds(*fds);
	CHECK_EQ(co_poll(co_get_epoll_ct(), *fds, 4, 5000), 1);
	check_fds(*fds, POLLIN);
	check_guards();
}

static void do_co_poll_until(void)
{
	GUARDED(struct pollfd[4], fds);
	fill_fds(*fds);
	CHECK_EQ(co_poll_until(*fds, 4, CO_NEVER), 1);
	check_fds(*fds, POLLIN);
	check_guards();
}

static void do_ppoll(void)
{
	GUARDED(struct pollfd[4], fds);
	GUARDED(struct timespec, time);
	fill_fds(*fds);
	*time = (struct timespec){ 5, 77 };
	CHECK_EQ(ppoll(*fds, 4, time, NULL), 1);
	check_fds(*fds, POLLIN);
	CHECK(time->tv_sec == 5 && time->tv_nsec == 77);
	check_guards();
}

static bool has_usr1(const sigset_t *mask)
{
	return sigismember(mask, SIGUSR1) == 1 && sigismember(mask, SIGUSR2) == 0;
}

static void do_ppoll_mask(void)
{
	GUARDED(struct pollfd[4], fds);
	GUARDED(struct timespec, time);
	GUARDED(sigset_t, mask);
	fill_fds(*fds);
	*time = (struct timespec){ 5, 77 };
	sigemptyset(mask);
	sigaddset(mask, SIGUSR1);
	CHECK_EQ(ppoll(*fds, 4, time, mask), 1);
	check_fds(*fds, POLLIN);
	CHECK(time->tv_sec == 5 && time->tv_nsec == 77 && has_usr1(mask));
	check_guards();
}

static void do_ppoll_chk(void)
{
	GUARDED(struct pollfd[4], fds);
	GUARDED(struct timespec, time);
	GUARDED(sigset_t, mask);
	fill_fds(*fds);
	*time = (struct timespec){ 0, 35 * 1000 * 1000 }; /* longer than one wait with a mask */
	sigemptyset(mask);
	sigaddset(mask, SIGUSR1);
	CHECK_EQ(__ppoll_chk(*fds, 4, time, mask, sizeof(*fds)), 0);
	check_fds(*fds, 0);
	CHECK(time->tv_nsec == 35 * 1000 * 1000 && has_usr1(mask));
	check_guards();
}

struct sets {
	fd_set read, write, except;
};

static int fill_sets(struct sets *sets)
{
	FD_ZERO(&sets->read);
	FD_ZERO(&sets->write);
	FD_ZERO(&sets->except);
	FD_SET(s.quiet[0], &sets->read);
	FD_SET(s.a, &sets->read);
	FD_SET(s.quiet[0], &sets->write); /* it cannot be written to, ever */
	FD_SET(s.a, &sets->except);
	return 1 + (s.a > s.quiet[0] ? s.a : s.quiet[0]);
}

/* Only s.a is ready, and only for reading; or nothing. */
static void check_sets(const struct sets *sets, bool is_ready)
{
	for (int fd = 0; fd < 200; fd++) {
		CHECK_EQ(!!FD_ISSET(fd, &sets->read), is_ready && fd == s.a);
		CHECK(!FD_ISSET(fd, &sets->write) && !FD_ISSET(fd, &sets->except));
	}
}

static void do_select(void)
{
	GUARDED(struct sets, sets);
	GUARDED(struct timeval, time);
	int n = fill_sets(sets);
	*time = (struct timeval){ 5, 0 };
	CHECK_EQ(select(n, &sets->read, &sets->write, &sets->except, time), 1);
	check_sets(sets, true);
	CHECK(time->tv_sec == 4 || (time->tv_sec == 5 && time->tv_usec == 0));
	check_guards();
}

static void do_select_in_vain(void)
{
	GUARDED(struct sets, sets);
	GUARDED(struct timeval, time);
	int n = fill_sets(sets);
	*time = (struct timeval){ 5, 0 };
	CHECK_EQ(select(n, &sets->read, &sets->write, &sets->except, time), 0);
	check_sets(sets, false);
	CHECK(time->tv_sec == 0 && time->tv_usec == 0);
	check_guards();
}

static void do_select_closed(void)
{
	GUARDED(fd_set, read);
	int fd = fd_to_close();
	FD_ZERO(read);
	FD_SET(fd, read);
	CHECK_FAILS(select(fd + 1, read, NULL, NULL, NULL), -1, EBADF);
	CHECK(FD_ISSET(fd, read));
	check_guards();
}

static void do_pselect(void)
{
	GUARDED(struct sets, sets);
	GUARDED(struct timespec, time);
	int n = fill_sets(sets);
	*time = (struct timespec){ 5, 77 };
	CHECK_EQ(pselect(n, &sets->read, &sets->write, &sets->except, time, NULL), 1);
	check_sets(sets, true);
	CHECK(time->tv_sec == 5 && time->tv_nsec == 77);
	check_guards();
}

static void do_pselect_mask(void)
{
	GUARDED(struct sets, sets);
	GUARDED(struct timespec, time);
	GUARDED(sigset_t, mask);
	int n = fill_sets(sets);
	*time = (struct timespec){ 5, 77 };
	sigemptyset(mask);
	sigaddset(mask, SIGUSR1);
	CHECK_EQ(pselect(n, &sets->read, &sets->write, &sets->except, time, mask), 1);
	check_sets(sets, true);
	CHECK(time->tv_sec == 5 && time->tv_nsec == 77 && has_usr1(mask));
	check_guards();
}

static void do_read_closed(void)
{
	GUARDED(char[40], buf);
	memset(*buf, 7, sizeof(*buf));
	CHECK_FAILS(read(fd_to_close(), *buf, sizeof(*buf)), -1, EBADF);
	for (size_t i = 0; i < sizeof(*buf); i++)
		CHECK_EQ((*buf)[i], 7);
	check_guards();
}

static void do_co_wait_closed(void)
{
	GUARDED(char[100], locals);
	memset(*locals, 7, sizeof(*locals));
	CHECK_FAILS(co_wait_until(fd_to_close(), POLLIN, CO_NEVER), -1, EBADF);
	for (size_t i = 0; i < sizeof(*locals); i++)
		CHECK_EQ((*locals)[i], 7);
	check_guards();
}

/* --- sleeps: they get little, but locals are to be there afterwards --- */

enum { LOCALS = 3000 };

static void fill_locals(unsigned char *locals)
{
	for (int i = 0; i < LOCALS; i++)
		locals[i] = (unsigned char)(i * 7);
}

static void check_locals(const unsigned char *locals)
{
	for (int i = 0; i < LOCALS; i++)
		CHECK_EQ(locals[i], (unsigned char)(i * 7));
	check_guards();
}

static void do_sleep(void)
{
	GUARDED(unsigned char[LOCALS], locals);
	int64_t before = co_now_ns();
	fill_locals(*locals);
	CHECK_EQ(sleep(3), 0);
	CHECK(co_now_ns() - before >= 3000000000);
	check_locals(*locals);
}

static void do_usleep(void)
{
	GUARDED(unsigned char[LOCALS], locals);
	int64_t before = co_now_ns();
	fill_locals(*locals);
	CHECK_EQ(usleep(300), 0);
	CHECK(co_now_ns() - before >= 300 * 1000);
	check_locals(*locals);
}

static void do_nanosleep(void)
{
	GUARDED(unsigned char[LOCALS], locals);
	GUARDED(struct timespec, time);
	GUARDED(struct timespec, rest);
	int64_t before = co_now_ns();
	fill_locals(*locals);
	*time = (struct timespec){ 3, 77 };
	*rest = (struct timespec){ 5, 6 };
	CHECK_EQ(nanosleep(time, rest), 0);
	CHECK(co_now_ns() - before >= 3000000077);
	CHECK(time->tv_sec == 3 && time->tv_nsec == 77 && rest->tv_sec == 5 && rest->tv_nsec == 6);
	check_locals(*locals);
}

static void do_clock_nanosleep(void)
{
	GUARDED(unsigned char[LOCALS], locals);
	GUARDED(struct timespec, time);
	GUARDED(struct timespec, rest);
	int64_t before = co_now_ns();
	fill_locals(*locals);
	*time = (struct timespec){ 3, 77 };
	*rest = (struct timespec){ 5, 6 };
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, time, rest), 0);
	CHECK(co_now_ns() - before >= 3000000077);
	CHECK(time->tv_sec == 3 && time->tv_nsec == 77 && rest->tv_sec == 5 && rest->tv_nsec == 6);
	check_locals(*locals);
}

/* Until a clock that may be set: it looks at it again, twice. */
static void do_clock_nanosleep_until(void)
{
	GUARDED(struct timespec, time);
	GUARDED(struct timespec, rest);
	int64_t before = co_now_ns();
	CHECK_EQ(clock_gettime(CLOCK_REALTIME, time), 0);
	time->tv_sec++;
	*rest = (struct timespec){ 5, 6 };
	CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, time, rest), 0);
	CHECK(co_now_ns() - before >= 1000000000);
	CHECK(rest->tv_sec == 5 && rest->tv_nsec == 6);
	check_guards();
}

static void do_co_sleep_ms(void)
{
	GUARDED(unsigned char[LOCALS], locals);
	fill_locals(*locals);
	CHECK_EQ(co_sleep_ms(5), 0);
	check_locals(*locals);
}

static void do_co_sleep_ns(void)
{
	GUARDED(unsigned char[LOCALS], locals);
	fill_locals(*locals);
	CHECK_EQ(co_sleep_ns(5), 0);
	check_locals(*locals);
}

static void do_co_sleep_until(void)
{
	GUARDED(unsigned char[LOCALS], locals);
	fill_locals(*locals);
	CHECK_EQ(co_sleep_until(co_now_ns() + 5), 0);
	check_locals(*locals);
}

static void do_co_reschedule(void)
{
	GUARDED(unsigned char[LOCALS], locals);
	fill_locals(*locals);
	CHECK_EQ(co_reschedule(), 0);
	check_locals(*locals);
}

static void do_co_wait_until(void)
{
	GUARDED(unsigned char[LOCALS], locals);
	fill_locals(*locals);
	CHECK_EQ(co_wait_until(s.a, POLLIN, CO_NEVER), POLLIN);
	CHECK_EQ(co_wait_until(s.quiet[0], POLLIN, co_now_ns() + 5), 0);
	check_locals(*locals);
}

/* --- name lookups --- */

static void do_getaddrinfo(void)
{
	GUARDED(char[20], name);
	GUARDED(char[3], service);
	GUARDED(struct addrinfo, hints);
	GUARDED(struct addrinfo *, list);
	strcpy(*name, "host.example");
	strcpy(*service, "80");
	*hints = (struct addrinfo){ .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	*list = hints;
	CHECK_EQ(getaddrinfo(*name, *service, hints, list), 0);
	const struct sockaddr_in *in = (const struct sockaddr_in *)(*list)->ai_addr;
	CHECK(!is_on_stack(*list) && !is_on_stack(in));
	CHECK((*list)->ai_family == AF_INET && (*list)->ai_socktype == SOCK_STREAM && !(*list)->ai_next);
	CHECK(in->sin_addr.s_addr == htonl(0x0a010203) && in->sin_port == htons(80));
	CHECK_EQ(strcmp(*name, "host.example"), 0);
	freeaddrinfo(*list);
	check_guards();
}

static void check_host(const struct hostent *h)
{
	CHECK_EQ(strcmp(h->h_name, "10.1.2.3"), 0);
	CHECK(h->h_addrtype == AF_INET && h->h_length == 4 && !h->h_addr_list[1] && !h->h_aliases[0]);
	CHECK_EQ(memcmp(h->h_addr_list[0], (char[]){ 10, 1, 2, 3 }, 4), 0);
}

static bool is_within(const void *p, const void *from, size_t len)
{
	return (uintptr_t)p >= (uintptr_t)from && (uintptr_t)p < (uintptr_t)from + len;
}

static void check_host_in(const struct hostent *h, const char *buf, size_t len)
{
	check_host(h);
	CHECK(is_within(h->h_name, buf, len) && is_within(h->h_addr_list, buf, len) &&
	      is_within(h->h_addr_list[0], buf, len) && is_within(h->h_aliases, buf, len));
}

struct host_buf {
	_Alignas(16) char bytes[500];
};

static void do_gethostbyname_r(void)
{
	GUARDED(char[20], name);
	GUARDED(struct hostent, entry);
	GUARDED(struct host_buf, buf);
	GUARDED(struct hostent *, found);
	GUARDED(int, error);
	strcpy(*name, "host.example");
	least_len = 0;
	CHECK_EQ(gethostbyname_r(*name, entry, buf->bytes, sizeof(buf->bytes), found, error), 0);
	CHECK(*found == entry);
	check_host_in(entry, buf->bytes, sizeof(buf->bytes));
	check_guards();
}

static void do_gethostbyname2_r(void)
{
	GUARDED(char[20], name);
	GUARDED(struct hostent, entry);
	GUARDED(struct host_buf, buf);
	GUARDED(struct hostent *, found);
	GUARDED(int, error);
	strcpy(*name, "host.example");
	least_len = 0;
	CHECK_EQ(gethostbyname2_r(*name, AF_INET, entry, buf->bytes, sizeof(buf->bytes), found, error), 0);
	CHECK(*found == entry);
	check_host_in(entry, buf->bytes, sizeof(buf->bytes));
	check_guards();
}

/* These answer in memory of their own. It grows, so they wait twice. */
static void do_gethostbyname(void)
{
	GUARDED(char[20], name);
	strcpy(*name, "host.example");
	least_len = 2000;
	const struct hostent *h = gethostbyname(*name);
	CHECK(h && !is_on_stack(h) && !is_on_stack(h->h_name) && !is_on_stack(h->h_addr_list[0]));
	check_host(h);
	check_guards();
}

static void do_gethostbyname2(void)
{
	GUARDED(char[20], name);
	strcpy(*name, "host.example");
	least_len = 2000;
	const struct hostent *h = gethostbyname2(*name, AF_INET);
	CHECK(h && !is_on_stack(h) && !is_on_stack(h->h_name) && !is_on_stack(h->h_addr_list[0]));
	check_host(h);
	check_guards();
}

/* --- variables: no waiting, but what was given was on the stack --- */

static const char *const own_names[] = { "T_HOOK_SHARED", "T_HOOK_SHARED_2" };

static void make_variables(void)
{
	static bool is_listed;

	if (!is_listed)
		CHECK_EQ(co_set_env_list(own_names, 2), 0);
	is_listed = true;
}

static void do_variables(void)
{
	GUARDED(char[20], one);
	GUARDED(char[20], two);
	GUARDED(char[20], value);
	strcpy(*one, own_names[0]);
	strcpy(*two, own_names[1]);
	strcpy(*value, "mine");
	CHECK_EQ(setenv(*one, *value, 1), 0);
	CHECK_EQ(setenv(*two, *value, 1), 0);
	CHECK_EQ(unsetenv(*two), 0);
	const char *before = getenv(*one);
	CHECK_EQ(co_sleep_ns(5), 0);
	memset(*one, 0, sizeof(*one)); /* neither names nor value are needed any more */
	memset(*two, 0, sizeof(*two));
	memset(*value, 0, sizeof(*value));
	CHECK(getenv(own_names[0]) == before && !is_on_stack(before));
	CHECK_EQ(strcmp(before, "mine"), 0);
	CHECK(getenv(own_names[1]) == NULL);
	check_guards();
}

static void nobody_elses(int n)
{
	(void)n;
	CHECK(getenv(own_names[0]) == NULL);
}

/* unsetenv hides what the process has, from this one alone. */
static void set_for_all(void)
{
	make_variables();
	CHECK_EQ(setenv(own_names[1], "everybody's", 1), 0);
}

static void still_set_for_all(void)
{
	CHECK(getenv(own_names[1]) != NULL);
}

/* --- what has come to b, when all is over ------------------------------------------------------ */

/* All of it; but what came before a reset is the earlier run's. */
static void check_got(const void *bytes, size_t len)
{
	drain(0);
	CHECK(is_rerun ? s.n_got >= len : s.n_got == len);
	CHECK_EQ(memcmp(s.got + s.n_got - len, bytes, len), 0);
}

static void big_has_come(void)
{
	static unsigned char big[BIG];

	fill_big(big);
	check_got(big, BIG);
}

static void big_has_come_with_fd(void)
{
	big_has_come();
	CHECK_EQ(n_fds_got, 1);
}

static void data_has_come(void)
{
	check_got(data, DATA);
}

static void data_has_come_with_fd(void)
{
	data_has_come();
	CHECK_EQ(n_fds_got, 1);
}

/* --- the rows ---------------------------------------------------------------------------------- */

/* ROW(name, what, make the scene, call, what happens meanwhile, check afterwards) */
#define ROWS(ROW) \
	ROW(read_pipe, "read, of a pipe", make_pipe, do_read, supply, nothing) \
	ROW(read_stream, "read, of a socket", make_stream, do_read, supply, nothing) \
	ROW(read_fifo, "read, of a FIFO", make_fifo, do_read, supply, nothing) \
	ROW(read_event, "read, of an eventfd", make_event, do_read_event, supply_event, nothing) \
	ROW(read_chk, "__read_chk", make_pipe, do_read_chk, supply, nothing) \
	ROW(readv_pipe, "readv, of a pipe", make_pipe, do_readv, supply, nothing) \
	ROW(readv_stream, "readv, of a socket", make_stream, do_readv, supply, nothing) \
	ROW(readv_fifo, "readv, of a FIFO", make_fifo, do_readv, supply, nothing) \
	ROW(write_pipe, "write, to a pipe", make_full_pipe, do_write, drain, big_has_come) \
	ROW(write_stream, "write, to a socket", make_full_stream, do_write, drain, big_has_come) \
	ROW(write_fifo, "write, to a FIFO", make_full_fifo, do_write, drain, big_has_come) \
	ROW(writev_pipe, "writev, to a pipe", make_full_pipe, do_writev, drain, big_has_come) \
	ROW(writev_stream, "writev, to a socket", make_full_stream, do_writev, drain, big_has_come) \
	ROW(writev_fifo, "writev, to a FIFO", make_full_fifo, do_writev, drain, big_has_come) \
	ROW(recv, "recv", make_stream, do_recv, supply, nothing) \
	ROW(recv_all, "recv with MSG_WAITALL", make_stream, do_recv_all, supply_part_by_part, nothing) \
	ROW(peek_all, "recv with MSG_WAITALL and MSG_PEEK", make_tcp, do_peek_all, supply_parts, nothing) \
	ROW(recv_chk, "__recv_chk", make_stream, do_recv_chk, supply, nothing) \
	ROW(recvfrom, "recvfrom", make_datagrams, do_recvfrom, supply_datagram, nothing) \
	ROW(recvfrom_chk, "__recvfrom_chk", make_datagrams, do_recvfrom_chk, supply_datagram, nothing) \
	ROW(recvmsg, "recvmsg, with control data and a name", make_datagrams, do_recvmsg, supply_datagram, nothing) \
	ROW(recvmsg_all, "recvmsg with MSG_WAITALL", make_stream, do_recvmsg_all, supply_part_by_part, nothing) \
	ROW(send, "send", make_full_stream, do_send, drain, big_has_come) \
	ROW(sendto, "sendto, to a name", make_full_datagrams, do_sendto, drain_late, data_has_come) \
	ROW(sendmsg, "sendmsg, with control data", make_full_stream, do_sendmsg, drain, big_has_come_with_fd) \
	ROW(sendmsg_to, "sendmsg, with control data, to a name", make_full_datagrams, do_sendmsg_to, drain_late, \
	    data_has_come_with_fd) \
	ROW(connect, "connect", make_full_backlog, do_connect, accept_some, nothing) \
	ROW(connect_tcp, "connect, until SO_SNDTIMEO", make_full_tcp_backlog, do_connect_in_vain, NULL, nothing) \
	ROW(accept, "accept", make_listener, do_accept, connect_to_us, nothing) \
	ROW(accept4, "accept4", make_listener, do_accept4, connect_to_us, nothing) \
	ROW(poll, "poll", make_pipe, do_poll, supply, nothing) \
	ROW(poll_in_vain, "poll, until its time is over", make_pipe, do_poll_in_vain, NULL, nothing) \
	ROW(poll_chk, "__poll_chk", make_pipe, do_poll_chk, supply, nothing) \
	ROW(ppoll, "ppoll", make_pipe, do_ppoll, supply, nothing) \
	ROW(ppoll_mask, "ppoll, with a mask", make_pipe, do_ppoll_mask, supply, nothing) \
	ROW(ppoll_chk, "__ppoll_chk, with a mask, until its time is over", make_pipe, do_ppoll_chk, NULL, nothing) \
	ROW(select, "select", make_pipe, do_select, supply, nothing) \
	ROW(select_in_vain, "select, until its time is over", make_pipe, do_select_in_vain, NULL, nothing) \
	ROW(pselect, "pselect", make_pipe, do_pselect, supply, nothing) \
	ROW(pselect_mask, "pselect, with a mask", make_pipe, do_pselect_mask, supply, nothing) \
	ROW(sleep, "sleep", nothing, do_sleep, NULL, nothing) \
	ROW(usleep, "usleep", nothing, do_usleep, NULL, nothing) \
	ROW(nanosleep, "nanosleep", nothing, do_nanosleep, NULL, nothing) \
	ROW(clock_nanosleep, "clock_nanosleep", nothing, do_clock_nanosleep, NULL, nothing) \
	ROW(clock_nanosleep_until, "clock_nanosleep with TIMER_ABSTIME", nothing, do_clock_nanosleep_until, NULL, \
	    nothing) \
	ROW(getaddrinfo, "getaddrinfo", nothing, do_getaddrinfo, open_gate, nothing) \
	ROW(gethostbyname, "gethostbyname", nothing, do_gethostbyname, open_gate, nothing) \
	ROW(gethostbyname2, "gethostbyname2", nothing, do_gethostbyname2, open_gate, nothing) \
	ROW(gethostbyname_r, "gethostbyname_r", nothing, do_gethostbyname_r, open_gate, nothing) \
	ROW(gethostbyname2_r, "gethostbyname2_r", nothing, do_gethostbyname2_r, open_gate, nothing) \
	ROW(variables, "setenv, unsetenv, getenv", set_for_all, do_variables, nobody_elses, still_set_for_all) \
	ROW(read_closed, "read, of what is closed meanwhile", make_pipe, do_read_closed, close_it, nothing) \
	ROW(poll_closed, "poll, of what is closed meanwhile", make_pipe, do_poll_closed, close_it, nothing) \
	ROW(select_closed, "select, of what is closed meanwhile", make_pipe, do_select_closed, close_it, nothing) \
	ROW(co_wait_closed, "co_wait_until, of what is closed meanwhile", make_pipe, do_co_wait_closed, close_it, \
	    nothing) \
	ROW(co_poll, "co_poll", make_pipe, do_co_poll, supply, nothing) \
	ROW(co_poll_until, "co_poll_until", make_pipe, do_co_poll_until, supply, nothing) \
	ROW(co_sleep_ms, "co_sleep_ms", nothing, do_co_sleep_ms, NULL, nothing) \
	ROW(co_sleep_ns, "co_sleep_ns", nothing, do_co_sleep_ns, NULL, nothing) \
	ROW(co_sleep_until, "co_sleep_until", nothing, do_co_sleep_until, NULL, nothing) \
	ROW(co_wait_until, "co_wait_until", make_pipe, do_co_wait_until, supply, nothing) \
	ROW(co_reschedule, "co_reschedule", nothing, do_co_reschedule, NULL, nothing)

struct row {
	void (*make)(void);
	void (*call)(void);
	void (*meanwhile)(int n); /* NULL: time alone ends the wait */
	void (*check)(void);
};

/* --- who fills the slot ---------------------------------------------------------------------- */

static struct co_stack_source *shared;
static struct co *scribbler;

enum { FRAME = 1000, MARGIN = 4 * FRAME };

/* Fill the stack down to @lo, stay there, and find all as it was. */
static __attribute__((noinline)) void dig(const char *lo, unsigned char mark)
{
	unsigned char *frame = alloca(FRAME); /* not where AddressSanitizer would keep an array */

	memset(frame, mark, FRAME);
	__asm__ volatile("" : : "r"(frame) : "memory"); /* the bytes are really there */
	if ((const char *)__builtin_frame_address(0) - FRAME - lo > MARGIN)
		dig(lo, (unsigned char)(mark + 1));
	else
		CHECK_EQ(co_yield_ct(), 0);
	__asm__ volatile("" : : "r"(frame) : "memory");
	CHECK_EQ(frame[0], mark);
	CHECK_EQ(memcmp(frame, frame + 1, FRAME - 1), 0); /* all are alike */
}

static void *scribble(void *arg)
{
	for (unsigned char mark = 1;; mark++) {
		dig(co_self()->exec.stack->lo, mark);
		CHECK_EQ(co_yield_ct(), 0);
	}
	return arg;
}

/* The slot's bytes, when it was full and later. */
static char as_filled[SLOT], now_there[SLOT];
static size_t slot_len;

static void copy_slot(char *to)
{
	const struct co_stack *stack = scribbler->exec.stack;

	slot_len = (size_t)(stack->hi - stack->lo);
	CHECK(slot_len <= SLOT);
	annotate_unmark_frames(stack->lo, stack->hi);
	memcpy(to, stack->lo, slot_len);
#ifdef CO_VALGRIND
	(void)VALGRIND_MAKE_MEM_DEFINED(to, slot_len); /* of some bytes it does not matter what they are */
#endif
}

static void fill_slot(void)
{
	const struct co_stack *stack = scribbler->exec.stack;

	CHECK_EQ(co_resume(scribbler), 0);
	CHECK_EQ(stack->save_len, 0);
	char *sp = scribbler->exec.ctx.rsp;
	CHECK(sp - stack->lo <= MARGIN);
	annotate_stack_is_fresh(stack->lo, sp);
	memset(stack->lo, 0xaa, (size_t)(sp - stack->lo)); /* the rest */
	copy_slot(as_filled);
}

/* Nobody has written to the slot; and who is there, finds its own. */
static void check_slot(void)
{
	copy_slot(now_there);
	for (size_t i = 0; i < slot_len; i++)
		if (as_filled[i] != now_there[i])
			fprintf(stderr, "byte %zu of the slot, from its end, was 0x%02x and is 0x%02x\n", slot_len - i,
				(unsigned char)as_filled[i], (unsigned char)now_there[i]);
	CHECK_EQ(memcmp(as_filled, now_there, slot_len), 0);
	CHECK_EQ(scribbler->exec.stack->save_len, 0); /* still there */
	CHECK_EQ(co_resume(scribbler), 0);
}

/* --- a coroutine of the same slot that starts the waiter, and runs the loop ----------------------- */

static struct co *sibling;

static int once(void *arg)
{
	(void)arg;
	return -1;
}

static void *be_sibling(void *arg)
{
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(co_resume(waiter), 0);
	for (;;) {
		CHECK_EQ(co_yield_ct(), 0);
		CHECK_EQ(co_eventloop(NULL, once, NULL), 0);
	}
	return arg;
}

/* --- playing a row ---------------------------------------------------------------------------------- */

enum way {
	MAIN_RUNS,    /* the waiter is started, and run, by main */
	SIBLING_RUNS, /* by a coroutine of its slot */
	RELEASED,     /* it is released while it waits */
	RESET,        /* reset, and run again */
};

struct play {
	const struct row *row;
	enum way way;
	int gone_in;   /* RELEASED, RESET: in which of its waits */
	bool is_first; /* of its process: tables grow that stay */
};

static long n_blocks_before; /* the waiter came */
static size_t n_fds_before;

static void *wait_in_call(void *arg)
{
	const struct row *row = arg;

	CHECK_EQ(co_enable_hook_sys(), 0);
	row->call();
	CHECK_EQ(n_guards, 0); /* check_guards was called */
	return arg;
}

static struct co *make(co_fn *fn, const void *arg)
{
	struct co_attr attr = { .share_stack = shared };
	struct co *co;

	CHECK_EQ(co_create(&co, &attr, fn, (void *)arg), 0);
	return co;
}

/* The others first, so that they have as much memory as they will ever have. */
static void begin(const struct play *p)
{
	open_scene(p->row->make);
	n_fds_got = n_guards = 0;
	is_rerun = false;
	lowest = NULL;
	scribbler = make(scribble, NULL);
	sibling = make(be_sibling, NULL);
	CHECK_EQ(co_resume(sibling), 0);
	fill_slot();
	check_slot();
	CHECK_EQ(co_resume(sibling), 0); /* the scribbler gets a save_buffer */
	n_blocks_before = n_blocks;
	n_fds_before = count_fds();
	waiter = make(wait_in_call, p->row);
}

static void start(const struct play *p)
{
	if (p->way == SIBLING_RUNS)
		CHECK_EQ(co_resume(sibling), 0);
	else
		CHECK_EQ(co_resume(waiter), 0);
}

static void turn(const struct play *p)
{
	if (p->way == SIBLING_RUNS)
		CHECK_EQ(co_resume(sibling), 0);
	else
		CHECK_EQ(co_reschedule(), 0);
}

/* Let the world wake the waiter, and nobody run. */
static void until_ready(void)
{
	struct co_loop *loop = co_get_epoll_ct();

	while (co_status(waiter) == CO_WAITING)
		CHECK_EQ(loop->wait(loop, CO_NEVER), 1);
	CHECK_EQ(co_status(waiter), CO_READY);
}

/* It is suspended in its call, and its things are not in the slot. */
static void check_is_out(const struct play *p, int n)
{
	const struct co_stack *stack = waiter->exec.stack;

	if (n == 0 && !is_rerun) /* later it may be ready for another try */
		CHECK_EQ(co_status(waiter), p->row->call == do_co_reschedule ? CO_READY : CO_WAITING);
	CHECK(co_status(waiter) == CO_WAITING || co_status(waiter) == CO_READY);
	CHECK(stack->save_len > 0);
	CHECK(lowest != NULL);
	CHECK((const char *)lowest >= stack->hi - stack->save_len || are_locals_elsewhere());
}

/* What nobody waits for any more. A helper lets go of its job when it likes: then the next
 * lookup's descriptor has another number, of which a record is made, and stays. */
static void after_it_is_gone(const struct play *p, int n)
{
	struct co_loop *loop = co_get_epoll_ct();

	if (p->row->meanwhile)
		p->row->meanwhile(n);
	for (int i = 0; i < 3; i++) {
		if (loop->wait)
			CHECK(loop->wait(loop, 0) >= 0);
		clock_shows += 10000000000;
	}
	if (p->way == RELEASED && !p->is_first)
		for (int i = 0; n_blocks > n_blocks_before && i < 100000; i++)
			sched_yield();
	if (p->row->meanwhile == open_gate)
		for (int i = 0; count_fds() > n_fds_before && i < 100000; i++)
			sched_yield();
}

/* A lookup that has not begun would not be made if the waiter goes. */
static void until_begun(void)
{
	while (n_begun == n_looked_up)
		sched_yield();
}

/* One wait of the call. false: the waiter is released. */
static bool one_wait(const struct play *p, int n)
{
	bool goes = n == p->gone_in && !is_rerun;

	fill_slot();
	check_is_out(p, n);
	if (p->row->meanwhile == open_gate)
		until_begun();
	if (goes && p->way == RELEASED)
		CHECK_EQ(co_release(waiter), 0);
	if (goes && p->way == RESET)
		CHECK_EQ(co_reset(waiter), 0);
	if (goes && p->way >= RELEASED) {
		co_epoll_check();
		after_it_is_gone(p, n);
		check_slot();
		if (p->way == RELEASED)
			return false;
		is_rerun = true;
		n_guards = 0;
		CHECK_EQ(co_resume(waiter), 0);
		return true;
	}
	if (p->row->meanwhile)
		p->row->meanwhile(n);
	if (co_status(waiter) == CO_WAITING)
		until_ready();
	check_slot();
	turn(p);
	return true;
}


/* Helpers let go of their jobs when they like. */
static void until_all_is_back(size_t n_fds, long n_held)
{
	for (int i = 0; (count_fds() > n_fds || n_blocks > n_held) && i < 100000; i++)
		sched_yield();
	CHECK_EQ(count_fds(), n_fds);
	CHECK(n_blocks <= n_held);
}

/* Returns how often the call has waited. */
static int play(const struct play *p)
{
	size_t n_fds = count_fds();
	long n_held = n_blocks;
	bool is_there = true;
	int n = 0;

	begin(p);
	start(p);
	for (; is_there && co_status(waiter) != CO_DONE; n++) {
		CHECK(n < ROUNDS);
		is_there = one_wait(p, n);
	}
	if (is_there) {
		p->row->check();
		CHECK_EQ(co_release(waiter), 0);
	}
	co_env_check();
	co_loop_check();
	co_epoll_check();
	CHECK_EQ(co_release(scribbler), 0);
	CHECK_EQ(co_release(sibling), 0);
	close_scene();
	until_all_is_back(n_fds, p->is_first ? LONG_MAX : n_held);
	return n;
}

/* What is made once for all plays of a process. */
static void prepare(void)
{
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	main_thread = pthread_self();
	test_runs = true;
	CHECK_EQ(sem_init(&gate, 0, 0), 0);
	co_set_clock(&jumping_clock);
	CHECK((shared = co_alloc_sharestack(1, SLOT - 8192)) != NULL);
	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(co_wait_until(p[0], POLLIN, co_from_now_ns(1)), 0); /* there is an epoll set now */
	close(p[0]);
	close(p[1]);
}

static void play_row(const struct row *row)
{
#if defined(__clang__)
	if (row->call == do_getaddrinfo && watched_by() && !is_under_valgrind())
		check_skip("%s: getaddrinfo is its own", watched_by());
#endif
	prepare();
	int n = play(&(struct play){ row, MAIN_RUNS, -1, true });

	CHECK(n > 0); /* it has waited */
	CHECK(play(&(struct play){ row, SIBLING_RUNS, -1, false }) > 0);
	for (int i = 0; i < n && i < 3; i++)
		CHECK_EQ(play(&(struct play){ row, RELEASED, i, false }), i + 1);
	CHECK(play(&(struct play){ row, RESET, 0, false }) > 0);
	CHECK_EQ(co_free_sharestack(shared), 0);
	printf("# waits %d times\n", n);
}

#define RUN_ROW(name, what, make_, call_, meanwhile_, check_) \
	static void row_##name(void) \
	{ \
		static const struct row row = { make_, call_, meanwhile_, check_ }; \
		play_row(&row); \
	}
ROWS(RUN_ROW)

/* --- no memory for the bytes of one who is to wait ------------------------------------------------------ */

/* It must go back to one of its own slot, and so be copied out at once. */
static void *wait_without_memory(void *arg)
{
	GUARDED(char[40], buf);
	GUARDED(struct pollfd, fds);
	CHECK_EQ(co_enable_hook_sys(), 0);
	*fds = (struct pollfd){ s.a, POLLIN, 0 };
	has_no_malloc = true;
	CHECK_FAILS(read(s.a, *buf, sizeof(*buf)), -1, ENOMEM);
	co_epoll_check(); /* it is on no list */
	CHECK_FAILS(poll(fds, 1, 5000), -1, ENOMEM);
	CHECK_FAILS(co_wait_until(s.a, POLLIN, CO_NEVER), -1, ENOMEM);
	CHECK_FAILS(co_reschedule(), -1, ENOMEM);
	has_no_malloc = false;
	co_epoll_check();
	co_loop_check();
	CHECK_EQ(read(s.a, *buf, sizeof(*buf)), DATA);
	check_data(*buf);
	check_guards();
	return arg;
}

static void *resume_waiter(void *arg)
{
	CHECK_EQ(co_resume(waiter), 0);
	CHECK_EQ(co_status(waiter), CO_WAITING);
	return arg;
}

static void no_memory(void)
{
	prepare();
	open_scene(make_pipe);
	waiter = make(wait_without_memory, NULL);
	sibling = make(resume_waiter, NULL);
	CHECK_EQ(co_resume(sibling), 0);
	CHECK_EQ(co_release(sibling), 0);
	supply(0);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(co_status(waiter), CO_DONE);
	CHECK_EQ(co_release(waiter), 0);
	close_scene();
	CHECK_EQ(co_free_sharestack(shared), 0);
}

/* --- many at once, on two slots ----------------------------------------------------------------------- */

enum { CHANNELS = 8, MOST = 3000 };

static struct rng rng;

static struct channel {
	int in, out;
	bool is_socket;
	size_t len;          /* bytes to pass */
	size_t n_in, n_out;  /* passed so far */
	uint64_t sum_in, sum_out;
} channel[CHANNELS];

static uint64_t add_up(uint64_t sum, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + bytes[i];
	return sum;
}

static void fence(unsigned char *before, unsigned char *after)
{
	memset(before, 0xf1, GUARD);
	memset(after, 0xf2, GUARD);
}

static void check_fence(const unsigned char *before, const unsigned char *after)
{
	for (int i = 0; i < GUARD; i++)
		CHECK(before[i] == 0xf1 && after[i] == 0xf2);
}

/* Something between the transfers. */
static void pause_somehow(void)
{
	switch (rng_below(&rng, 8)) {
	case 0: CHECK_EQ(co_reschedule(), 0); break;
	case 1: CHECK_EQ(co_sleep_ns(rng_below(&rng, 1000)), 0); break;
	case 2: CHECK_EQ(usleep(rng_below(&rng, 1000)), 0); break;
	case 3: CHECK_EQ(nanosleep(&(struct timespec){ 0, rng_below(&rng, 1000) }, NULL), 0); break;
	}
}

static void wait_somehow(int fd, short events)
{
	struct pollfd fds[2] = { { -1, POLLIN, 0 }, { fd, events, 0 } };
	struct timeval time = { 100, 0 };
	fd_set set;

	switch (rng_below(&rng, 6)) {
	case 0:
		CHECK_EQ(poll(fds, 2, -1), 1);
		CHECK(fds[1].revents & events);
		break;
	case 1:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		if (events == POLLIN)
			CHECK_EQ(select(fd + 1, &set, NULL, NULL, &time), 1);
		else
			CHECK_EQ(select(fd + 1, NULL, &set, NULL, &time), 1);
		CHECK(FD_ISSET(fd, &set));
		break;
	}
}

/* One transfer, below @depth frames of changing size. */
static __attribute__((noinline)) void write_some(struct channel *c, unsigned depth)
{
	FENCED(unsigned char[MOST], buf);
	fence(buf_fenced.before, buf_fenced.after);
	size_t n = 1 + rng_below(&rng, MOST);

	if (depth > 0) {
		write_some(c, depth - 1);
		check_fence(buf_fenced.before, buf_fenced.after);
		return;
	}
	if (n > c->len - c->n_out)
		n = c->len - c->n_out;
	for (size_t i = 0; i < n; i++)
		(*buf)[i] = (unsigned char)rng_next(&rng);
	wait_somehow(c->out, POLLOUT);
	struct iovec iov[3] = { { *buf, n / 3 }, { NULL, 0 }, { *buf + n / 3, n - n / 3 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };
	uint64_t sum = add_up(c->sum_out, *buf, n);
	ssize_t put = 0;
	switch (rng_below(&rng, c->is_socket ? 4 : 2)) {
	case 0: put = write(c->out, *buf, n); break;
	case 1: put = writev(c->out, iov, 3); break;
	case 2: put = send(c->out, *buf, n, 0); break;
	case 3: put = sendmsg(c->out, &msg, 0); break;
	}
	CHECK_EQ(put, n);
	c->sum_out = add_up(c->sum_out, *buf, n);
	CHECK(c->sum_out == sum); /* nobody has changed it */
	c->n_out += n;
	check_fence(buf_fenced.before, buf_fenced.after);
}

static __attribute__((noinline)) void read_some(struct channel *c, unsigned depth)
{
	FENCED(unsigned char[MOST], buf);
	fence(buf_fenced.before, buf_fenced.after);
	size_t n = 1 + rng_below(&rng, MOST);

	if (depth > 0) {
		read_some(c, depth - 1);
		check_fence(buf_fenced.before, buf_fenced.after);
		return;
	}
	wait_somehow(c->in, POLLIN);
	struct iovec iov[3] = { { *buf, n / 3 }, { NULL, 0 }, { *buf + n / 3, n - n / 3 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };
	ssize_t got = 0;
	switch (rng_below(&rng, c->is_socket ? 6 : 2)) {
	case 0: got = read(c->in, *buf, n); break;
	case 1: got = readv(c->in, iov, 3); break;
	case 2: got = recv(c->in, *buf, n, 0); break;
	case 3: got = recvfrom(c->in, *buf, n, 0, NULL, NULL); break;
	case 4: got = recvmsg(c->in, &msg, 0); break;
	case 5: got = recv(c->in, *buf, n < c->len - c->n_in ? n : c->len - c->n_in, MSG_WAITALL); break;
	}
	CHECK(got > 0 && (size_t)got <= n);
	c->sum_in = add_up(c->sum_in, *buf, (size_t)got);
	c->n_in += (size_t)got;
	check_fence(buf_fenced.before, buf_fenced.after);
}

static void *write_all(void *arg)
{
	struct channel *c = arg;

	CHECK_EQ(co_enable_hook_sys(), 0);
	while (c->n_out < c->len) {
		write_some(c, rng_below(&rng, 4));
		pause_somehow();
	}
	return NULL;
}

static void *read_all(void *arg)
{
	struct channel *c = arg;

	CHECK_EQ(co_enable_hook_sys(), 0);
	while (c->n_in < c->len) {
		read_some(c, rng_below(&rng, 4));
		pause_somehow();
	}
	return NULL;
}

static void *run_loop(void *arg)
{
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	return arg;
}

static void open_channel(struct channel *c, bool is_socket)
{
	int fd[2];

	*c = (struct channel){ .is_socket = is_socket, .len = watched_by() ? 20000 : 60000 };
	if (is_socket)
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	else
		CHECK_EQ(pipe(fd), 0);
	c->in = fd[0];
	c->out = fd[1];
	if (is_socket)
		CHECK_EQ(setsockopt(c->out, SOL_SOCKET, SO_SNDBUF, &(int){ 1 }, sizeof(int)), 0);
	else
		CHECK(fcntl(c->out, F_SETPIPE_SZ, 4096) > 0);
}

/* @is_inside  the loop is run by a coroutine of theirs, which is copied out, too. */
static void pass_all(bool is_inside)
{
	struct co *co[2 * CHANNELS + 1];
	struct co_sharestack_stats stats;
	int n = 0;

	CHECK((shared = co_alloc_sharestack(2, SLOT)) != NULL);
	for (int i = 0; i < CHANNELS; i++) {
		open_channel(&channel[i], i % 2);
		co[n++] = make(read_all, &channel[i]);
		co[n++] = make(write_all, &channel[i]);
	}
	for (int i = 0; i < n; i++)
		CHECK_EQ(co_resume(co[i]), 0);
	if (is_inside) {
		co[n] = make(run_loop, NULL);
		CHECK_EQ(co_resume(co[n]), 0);
		n++;
	} else {
		run_loop(NULL);
	}
	for (int i = 0; i < n; i++) {
		CHECK_EQ(co_status(co[i]), CO_DONE);
		CHECK_EQ(co_release(co[i]), 0);
	}
	for (int i = 0; i < CHANNELS; i++) {
		const struct channel *c = &channel[i];
		CHECK(c->n_in == c->len && c->n_out == c->len && c->sum_in == c->sum_out);
		close(c->in);
		close(c->out);
	}
	CHECK_EQ(co_sharestack_stats(shared, &stats), 0);
	printf("# %llu saves, %llu loads, %llu hops, %llu bytes out\n", (unsigned long long)stats.saves,
	       (unsigned long long)stats.loads, (unsigned long long)stats.hops, (unsigned long long)stats.saved_bytes);
	CHECK(stats.saves > 60 && stats.loads > 60 && (!is_inside || stats.hops > 60));
	CHECK_EQ(co_free_sharestack(shared), 0);
}

static void many(void)
{
	rng.s = test_seed(20240617) | 1;
	co_set_clock(&jumping_clock);
	for (int i = 0; i < 4; i++)
		pass_all(i % 2);
	co_env_check();
	co_loop_check();
	co_epoll_check();
}

#define CASE_OF_ROW(name, what, make_, call_, meanwhile_, check_) \
	{ #name, what ": its buffers are on a shared stack", row_##name, 0, NULL },

static const struct test_case cases[] = {
	ROWS(CASE_OF_ROW)
	{ "no_memory", "no memory to copy out who is to wait: the call says so, and leaves nothing behind", no_memory,
	  0, NULL },
	{ "many", "random transfers by 16 coroutines on two slots lose no byte", many, 0, NULL },
};

TEST_MAIN(cases)
