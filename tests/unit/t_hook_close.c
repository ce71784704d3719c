/* SPDX-License-Identifier: MIT */
/* Hooked calls whose descriptor, clock or set is not what it was. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>

#include "costep.h"
#include "jumping_clock.h"
#include "tools.h"

static struct co *start(co_fn *fn, void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, arg), 0);
	CHECK_EQ(co_resume(co), 0);
	return co;
}

static int a[2], b[2];
static ssize_t got;
static int error;
static char buf[64];

static void *reads(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	got = read(a[0], buf, sizeof(buf));
	error = errno;
	return arg;
}

/* Runs in the turn in which the reader is ready already, and before it. */
static void *closes_and_opens(void *arg)
{
	int number = a[0], other[2];
	char c;

	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(read(b[0], &c, 1), 1);
	close(a[0]);
	CHECK_EQ(pipe(other), 0);
	CHECK_EQ(other[0], number);
	CHECK_EQ(write(other[1], "secret", 6), 6);
	return arg;
}

static void closed_before_its_turn(void)
{
	CHECK_EQ(pipe(a), 0);
	CHECK_EQ(pipe(b), 0);
	start(closes_and_opens, NULL);
	start(reads, NULL);
	CHECK_EQ(write(b[1], "x", 1), 1);
	CHECK_EQ(write(a[1], "for the reader", 14), 14);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EBADF);
}

static int close_once(void *n)
{
	if (++*(int *)n == 2)
		close(a[0]);
	return *(int *)n == 5 ? -1 : 0;
}

static void closed_in_the_callback(void)
{
	int n = 0;

	CHECK_EQ(pipe(a), 0);
	struct co *reader = start(reads, NULL);
	CHECK_EQ(co_eventloop(NULL, close_once, &n), 0);
	CHECK_EQ(co_status(reader), CO_DONE);
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EBADF);
}

static void closed_in_a_vfork(void)
{
#ifdef CO_TSAN
	check_skip("ThreadSanitizer: it makes a fork of a vfork");
#endif
	CHECK_EQ(pipe(a), 0);
	struct co *reader = start(reads, NULL);
	pid_t pid = vfork();
	if (pid == 0) {
		close(a[0]);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	CHECK_EQ(co_status(reader), CO_WAITING);
	CHECK_EQ(write(a[1], "x", 1), 1);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(got, 1);
}

static void centuries(void)
{
	struct timeval long_time = { .tv_sec = 10000000000 };

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	CHECK_EQ(setsockopt(a[0], SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof(long_time)), 0);
	struct co *reader = start(reads, NULL);
	co_sleep_ms(2);
	CHECK_EQ(co_status(reader), CO_WAITING);
	CHECK_EQ(write(a[1], "x", 1), 1);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(got, 1);
}

static struct {
	fd_set set;
	char behind[8192];
} sets;

static void *selects(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	FD_SET(a[0], &sets.set);
	CHECK_EQ(select(64 * 1024, &sets.set, NULL, NULL, NULL), 1);
	CHECK(FD_ISSET(a[0], &sets.set));
	return arg;
}

/* For how many descriptors the process's table has room: so many the kernel looks at. */
static int table_len(void)
{
	char line[80];
	int len = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "FDSize: %d", &len) != 1)
		;
	if (f)
		fclose(f);
	CHECK(len > 0);
	return len;
}

/* The number of descriptors says nothing about how long the set is. */
static void select_beyond_its_set(void)
{
	if (table_len() > FD_SETSIZE) /* valgrind has open files with very high numbers */
		check_skip("the kernel itself would write behind the set, with a table of %d", table_len());
	CHECK_EQ(pipe(a), 0);
	struct co *co = start(selects, NULL);
	strcpy(sets.behind, "written meanwhile");
	memset(sets.behind + 18, 7, sizeof(sets.behind) - 18);
	CHECK_EQ(write(a[1], "x", 1), 1);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(strcmp(sets.behind, "written meanwhile"), 0);
	CHECK_EQ(sets.behind[18], 7);
}

/* And there may be no way to ask /proc: it is not there, or there is no descriptor to open it by. */
static void select_beyond_its_set_alone(void)
{
	struct pollfd fd = { .events = POLLIN };
	struct rlimit limit, before;

	if (table_len() > FD_SETSIZE)
		check_skip("the kernel itself would look behind the set, with a table of %d", table_len());
	CHECK_EQ(pipe(a), 0);
	fd.fd = a[0];
	CHECK_EQ(co_poll(NULL, &fd, 1, 1), 0); /* there is an epoll set */
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)dup(0);
	close((int)limit.rlim_cur);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	CHECK_FAILS(dup(0), -1, EMFILE);
	memset(sets.behind, 7, sizeof(sets.behind)); /* of these, none is open */
	struct co *co = start(selects, NULL);
	CHECK_EQ(co_status(co), CO_WAITING);
	CHECK_EQ(write(a[1], "x", 1), 1);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* --- calls that nothing wakes: they sleep, and try again --------------------------------- */

static void use_own_clock(void)
{
	clock_shows = 1000000000;
	co_set_clock(&jumping_clock);
}

static struct sockaddr_un address;
static socklen_t address_len;
static int sock, other;

static int bound(int type)
{
	static int n;
	int fd = socket(AF_UNIX, type, 0);

	address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int len = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "costep-closed-%d-%d", getpid(), n++);
	address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
	CHECK_EQ(bind(fd, (struct sockaddr *)&address, address_len), 0);
	return fd;
}

/* The number of `sock`, which somebody sleeps in a call on, becomes `other`'s. */
static void close_and_open(int type)
{
	CHECK_EQ(co_sleep_ms(20), 0);
	close(sock);
	other = socket(AF_UNIX, type, 0);
	CHECK_EQ(other, sock);
}

static void *sends(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	got = sendto(sock, "late", 4, 0, (struct sockaddr *)&address, address_len);
	error = errno;
	return arg;
}

static void closed_while_full(void)
{
	int peer = bound(SOCK_DGRAM);

	use_own_clock();
	sock = socket(AF_UNIX, SOCK_DGRAM, 0);
	while (sendto(sock, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&address, address_len) == 1)
		;
	struct co *co = start(sends, NULL);
	close_and_open(SOCK_DGRAM);
	while (recv(peer, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	CHECK_EQ(co_sleep_ms(20), 0);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EBADF);
	CHECK_FAILS(recv(peer, buf, sizeof(buf), MSG_DONTWAIT), -1, EAGAIN);
}

static void *connects(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	got = connect(sock, (struct sockaddr *)&address, address_len);
	error = errno;
	return arg;
}

/* A listener's backlog is full, and somebody waits to connect. Returns the listener. */
static int start_connecting(struct co **co)
{
	int listener = bound(SOCK_STREAM), first = socket(AF_UNIX, SOCK_STREAM, 0);

	use_own_clock();
	CHECK_EQ(listen(listener, 0), 0);
	CHECK_EQ(connect(first, (struct sockaddr *)&address, address_len), 0);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	*co = start(connects, NULL);
	CHECK_EQ(co_status(*co), CO_WAITING);
	return listener;
}

static void closed_while_connecting(void)
{
	struct co *co;
	int listener = start_connecting(&co);

	close_and_open(SOCK_STREAM);
	CHECK(accept(listener, NULL, NULL) >= 0);
	CHECK_EQ(co_sleep_ms(20), 0);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EBADF);
	CHECK_FAILS(getpeername(other, (struct sockaddr *)&address, &address_len), -1, ENOTCONN);
}

static void flags_while_connecting(void)
{
	struct co *co;
	int listener = start_connecting(&co);

	CHECK_EQ(fcntl(sock, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	CHECK_EQ(co_sleep_ms(20), 0);
	CHECK(co_status(co) != CO_DONE); /* it began as one that blocks */
	CHECK_EQ(fcntl(sock, F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK(accept(listener, NULL, NULL) >= 0);
	CHECK_EQ(co_sleep_ms(20), 0);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(got, 0);
	CHECK_EQ(fcntl(sock, F_GETFL), O_RDWR | O_NONBLOCK);
}

static void *selects_one(void *arg)
{
	fd_set set;

	CHECK_EQ(co_enable_hook_sys(), 0);
	FD_ZERO(&set);
	FD_SET(a[0], &set);
	got = select(a[0] + 1, &set, NULL, NULL, NULL);
	error = errno;
	return arg;
}

static void closed_while_selecting(void)
{
	CHECK_EQ(pipe(a), 0);
	CHECK_EQ(pipe(b), 0);
	struct co *co = start(selects_one, NULL);
	close(a[0]);
	CHECK_EQ(dup2(b[0], a[0]), a[0]);
	CHECK_EQ(write(b[1], "x", 1), 1);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(got, -1);
	CHECK_EQ(error, EBADF);
}

/* --- data that came in time, though the thread was busy until that was over ----------------- */

enum { MANY = 200 }; /* more than the loop asks epoll for at once */

static int many[MANY][2], n_received;

static void *receives(void *arg)
{
	int *pair = arg;
	struct timeval limit = { .tv_usec = 10000 };

	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	n_received += recv(pair[0], &(char){ 0 }, 1, 0) == 1;
	return NULL;
}

static void late_but_in_time(void)
{
	struct co *co[MANY];

	use_own_clock();
	for (int i = 0; i < MANY; i++) {
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, many[i]), 0);
		co[i] = start(receives, many[i]);
	}
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(write(many[i][1], "x", 1), 1);
	clock_shows += 20000000;
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(n_received, MANY);
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(co_release(co[i]), 0);
}

/* A thread that is to be cancelled, and calls connect. */
static void *cancelled_connect(void *arg)
{
	struct sockaddr_un *to = arg;

	CHECK_EQ(co_enable_hook_sys(), 0);
	connect(-1, NULL, 0); /* the first asks the dynamic linker */
	CHECK_EQ(pthread_cancel(pthread_self()), 0);
	connect(sock, (struct sockaddr *)to, address_len);
	return arg;
}

static void cancelled_while_connecting(void)
{
	pthread_t thread;
	void *result;

	other = bound(SOCK_STREAM);
	CHECK_EQ(listen(other, 1), 0);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(pthread_create(&thread, NULL, cancelled_connect, &address), 0);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(result == PTHREAD_CANCELED);
	CHECK_EQ(fcntl(sock, F_GETFL), O_RDWR);
}

static void *bad_pointers(void *arg)
{
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	CHECK_EQ(co_enable_hook_sys(), 0);
	struct msghdr *no_message = arg;
	struct msghdr long_message = { .msg_iovlen = 1000000 };
	CHECK_FAILS(sendmsg(a[0], no_message, 0), -1, EFAULT);
	CHECK_FAILS(recvmsg(a[0], no_message, 0), -1, EFAULT);
	CHECK_FAILS(sendmsg(a[0], &long_message, 0), -1, EMSGSIZE);
	CHECK_FAILS(recvmsg(a[0], &long_message, 0), -1, EMSGSIZE);
	return arg;
}

static void no_pointers(void)
{
	SKIP_IF_WATCHED("it looks at the arguments itself");
	CHECK_EQ(co_status(start(bad_pointers, NULL)), CO_DONE);
}

static const struct test_case cases[] = {
	{ "closed_before_its_turn", "who is woken for a file that is then closed does not read another", closed_before_its_turn, 0, 0 },
	{ "closed_in_the_callback", "a close in the loop's callback wakes who waits", closed_in_the_callback, 0, 0 },
	{ "closed_in_a_vfork", "a close in the child of a vfork wakes nobody", closed_in_a_vfork, 0, 0 },
	{ "closed_while_full", "a number closed in a sendto that tries again is not another socket's", closed_while_full, 0, 0 },
	{ "closed_while_connecting", "nor in a connect that tries again", closed_while_connecting, 0, 0 },
	{ "closed_while_selecting", "nor in a select", closed_while_selecting, 0, 0 },
	{ "flags_while_connecting", "flags that are set while a connect waits stay", flags_while_connecting, 0, 0 },
	{ "late_but_in_time", "what came in time is received, though the thread was busy", late_but_in_time, 0, 0 },
	{ "centuries", "G02: a limit of centuries does not wrap", centuries, 0, 0 },
	{ "select_beyond_its_set", "select touches no more than the kernel does", select_beyond_its_set, 0, 0 },
	{ "select_beyond_its_set_alone", "also without /proc", select_beyond_its_set_alone, 0, 0 },
	{ "cancelled_while_connecting", "a thread that is cancelled in connect leaves the socket's flags", cancelled_while_connecting, 0, 0 },
	{ "no_pointers", "NULL and lists that are too long are errors, as in libc", no_pointers, 0, 0 },
};

TEST_MAIN(cases)
