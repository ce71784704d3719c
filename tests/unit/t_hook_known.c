/* SPDX-License-Identifier: MIT */
/*
 * What a hooked read remembers of its socket: that it spares calls, and that it is never
 * wrong for longer than some milliseconds, whatever is done behind our back.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "costep.h"
#include "tools.h"

enum { TCP, UNIX, KINDS };

/* --- counting the kernel's calls: the linker hands them to us ---------------------------- */

static int s[2]; /* a coroutine reads s[0]; main has the other */
static int n_ctl, n_asked; /* calls about s[0] */
static int n_ctl_any;      /* and about any */

int __real_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
	n_ctl += fd == s[0];
	n_ctl_any++;
	return __real_epoll_ctl(set, op, fd, event);
}

int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	n_asked += fd == s[0];
	return __real_getsockopt(fd, level, option, value, len);
}

/* --- two ends, and a coroutine that reads one of them ------------------------------------- */

static void pair(int kind, int end[2])
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int yes = 1;

	if (kind == UNIX) {
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
		return;
	}
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(listen(listener, 1), 0);
	CHECK_EQ(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	end[1] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(connect(end[1], (struct sockaddr *)&addr, sizeof(addr)), 0);
	end[0] = accept(listener, NULL, NULL);
	CHECK(end[0] >= 0);
	setsockopt(end[1], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	close(listener);
}

static struct {
	char buf[64];
	ssize_t got;
	int error;
	unsigned n; /* reads that have ended */
	size_t len;
} reader;

static void *reads(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	for (;;) {
		reader.got = read(s[0], reader.buf, reader.len ? reader.len : sizeof(reader.buf));
		reader.error = reader.got < 0 ? errno : 0;
		reader.n++;
		if (reader.got <= 0)
			co_yield_ct(); /* whoever wants another, resumes it */
	}
	return arg;
}

static struct co *start(co_fn *fn)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, NULL), 0);
	CHECK_EQ(co_resume(co), 0);
	return co;
}

/* Turns of the loop until the reader has read @n times. 0: it has not, for seconds. */
static unsigned turns_until(unsigned n)
{
	int64_t end = co_now_ns() + 5 * 1000000000LL;
	unsigned turns = 1;

	for (; reader.n < n; turns++) {
		if (co_now_ns() > end)
			return 0;
		CHECK_EQ(co_reschedule(), 0);
	}
	return turns;
}

static void send_one(const char *what)
{
	unsigned n = reader.n;

	CHECK_EQ(syscall(SYS_write, s[1], what, strlen(what)), strlen(what));
	CHECK(turns_until(n + 1) > 0);
	CHECK_EQ(reader.got, strlen(what));
	CHECK_EQ(memcmp(reader.buf, what, strlen(what)), 0);
}

/* A reader that knows its socket, and waits on trust. */
static struct co *knowing_reader(int kind)
{
	pair(kind, s);
	struct co *co = start(reads);
	for (int i = 0; i < 3; i++)
		send_one("hello");
	CHECK_EQ(co_status(co), CO_WAITING);
	return co;
}

/* Reads when it is resumed, and comes back when it has read. */
static void *reads_when_told(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	for (;;) {
		reader.got = read(s[0], reader.buf, sizeof(reader.buf));
		reader.error = reader.got < 0 ? errno : 0;
		reader.n++;
		co_yield_ct();
	}
	return arg;
}

static struct co *knowing_reader_at_rest(void)
{
	pair(TCP, s);
	struct co *co = start(reads_when_told);
	send_one("hello");
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(co_resume(co), 0);
		send_one("hello");
	}
	CHECK_EQ(co_status(co), CO_SUSPENDED);
	return co;
}

/* A wait on trust is over after 10 to 20 ms. A turn of this loop takes microseconds: so few
 * turns are at once. (Not by a clock: the machine may be busy.) */
enum { AT_ONCE = 20 };

/* Wait until it does not trust any more. */
static void let_it_ask(void)
{
	int before = n_ctl;
	int64_t end = co_now_ns() + 5 * 1000000000LL;

	while (n_ctl == before && co_now_ns() < end)
		co_sleep_ms(1);
	CHECK(n_ctl > before);
}

/* --- what it spares ------------------------------------------------------------------------- */

static void spares_calls(void)
{
	for (int kind = 0; kind < KINDS; kind++) {
		reader.n = 0;
		struct co *co = knowing_reader(kind);
		n_ctl = n_asked = 0;
		int64_t began = co_now_ns();
		for (int i = 0; i < 100; i++)
			send_one("hello");
		/* Nothing; but where it was too slow for trust, one round of questions. */
		int64_t slow = (co_now_ns() - began) / 10000000;
		CHECK(n_ctl <= slow);
		CHECK(n_asked <= 2 * slow);
		CHECK_EQ(co_release(co), 0);
		close(s[0]);
		close(s[1]);
	}
}

static void asks_in_the_end(void)
{
	struct co *co = knowing_reader(TCP);

	let_it_ask();
	int before = n_ctl;
	co_sleep_ms(100);
	CHECK_EQ(n_ctl, before); /* and then waits as long as it takes */
	send_one("late");
	CHECK_EQ(co_release(co), 0);
}

enum { CROWD = 200 };
static int crowd[CROWD][2];
static unsigned n_crowd_reads;

static void *reads_in_a_crowd(void *end)
{
	char c;

	CHECK_EQ(co_enable_hook_sys(), 0);
	while (read(*(int *)end, &c, 1) == 1)
		n_crowd_reads++;
	return end;
}

/* All wait on trust. */
static void start_crowd(void)
{
	for (int i = 0; i < CROWD; i++) {
		struct co *co;
		pair(UNIX, crowd[i]);
		CHECK_EQ(co_create(&co, NULL, reads_in_a_crowd, &crowd[i][0]), 0);
		CHECK_EQ(co_resume(co), 0);
	}
	for (int round = 0; round < 3; round++) {
		unsigned n = n_crowd_reads;
		for (int i = 0; i < CROWD; i++)
			CHECK_EQ(syscall(SYS_write, crowd[i][1], "x", 1), 1);
		while (n_crowd_reads < n + CROWD)
			CHECK_EQ(co_reschedule(), 0);
	}
}

static void *is_always_ready(void *arg)
{
	for (;;)
		CHECK_EQ(co_reschedule(), 0);
	return arg;
}

/* A thread that has much to do asks for a few at a time, and for all in the end. */
static void asks_in_turn(void)
{
	SKIP_IF_WATCHED("too slow to be busy");
	start_crowd();
	start(is_always_ready);
	int before = n_ctl_any;
	int64_t began = co_now_ns(), ticks;
	do {
		CHECK_EQ(co_reschedule(), 0);
		ticks = (co_now_ns() - began) / 10000000 + 1;
		CHECK(n_ctl_any - before <= 32 * ticks);
	} while (n_ctl_any - before < CROWD && ticks < 500);
	CHECK_EQ(n_ctl_any - before, CROWD);
}

static void asks_at_once(void)
{
	SKIP_IF_WATCHED("too slow");
	start_crowd();
	int before = n_ctl_any, most = 0;
	for (int i = 0; i < 500 && n_ctl_any - before < CROWD; i++) {
		int now = n_ctl_any;
		CHECK_EQ(co_sleep_ms(1), 0);
		if (n_ctl_any - now > most)
			most = n_ctl_any - now;
	}
	CHECK_EQ(n_ctl_any - before, CROWD);
	CHECK(most > 32);
}

/* --- what ends a rule --------------------------------------------------------------------------- */

/* What is known to be empty is not tried: but an end that came with the last bytes is seen. */
static void sees_the_end(void)
{
	for (int kind = 0; kind < KINDS; kind++) {
		reader.n = 0;
		struct co *co = knowing_reader(kind);
		CHECK_EQ(syscall(SYS_write, s[1], "bye", 3), 3);
		CHECK_EQ(shutdown(s[1], SHUT_WR), 0);
		unsigned turns = turns_until(reader.n + 2);
		CHECK(turns > 0 && turns < AT_ONCE);
		CHECK_EQ(reader.got, 0);
		CHECK_EQ(co_release(co), 0);
		close(s[0]);
		close(s[1]);
	}
}

static void sees_a_reset(void)
{
	struct linger at_once = { 1, 0 };
	struct co *co = knowing_reader(TCP);

	CHECK_EQ(setsockopt(s[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	CHECK_EQ(close(s[1]), 0);
	unsigned turns = turns_until(reader.n + 1);
	CHECK(turns > 0 && turns < AT_ONCE);
	CHECK_EQ(reader.error, ECONNRESET);
	CHECK_EQ(co_release(co), 0);
}

/* A read ends at the mark, however much follows. */
static void reads_on_behind_the_mark(void)
{
	struct co *co = knowing_reader(TCP);

	CHECK_EQ(send(s[1], "before", 6, 0), 6);
	CHECK_EQ(send(s[1], "!", 1, MSG_OOB), 1);
	CHECK_EQ(send(s[1], "behind", 6, 0), 6);
	unsigned turns = turns_until(reader.n + 2);
	CHECK(turns > 0 && turns < AT_ONCE);
	CHECK_EQ(memcmp(reader.buf, "behind", 6), 0);
	CHECK_EQ(co_release(co), 0);
}

/* A read that fills its buffer says nothing of what is left. */
static void reads_what_is_left(void)
{
	struct co *co = knowing_reader(TCP);

	reader.len = 4;
	send_one("abc");
	CHECK_EQ(syscall(SYS_write, s[1], "123456789", 9), 9);
	unsigned turns = turns_until(reader.n + 3);
	CHECK(turns > 0 && turns < AT_ONCE);
	CHECK_EQ(reader.got, 1);
	CHECK_EQ(co_release(co), 0);
}

/* What was empty is not, when something has come while nobody waited. */
static void hears_of_it_at_rest(void)
{
	struct co *co = knowing_reader_at_rest();

	for (int i = 0; i < 5; i++) {
		unsigned n = reader.n;
		CHECK_EQ(syscall(SYS_write, s[1], "news", 4), 4);
		co_sleep_ms(1); /* the loop hears of it */
		CHECK_EQ(co_resume(co), 0);
		unsigned turns = turns_until(n + 1);
		CHECK(turns > 0 && turns < AT_ONCE);
		CHECK_EQ(reader.got, 4);
	}
	CHECK_EQ(co_release(co), 0);
}

/* A datagram socket is at its end, and each read is told so at once. */
static void told_of_each_end(void)
{
	reader.n = 0;
	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
	struct co *co = start(reads_when_told);
	send_one("hello");
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(co_resume(co), 0);
		send_one("hello");
	}
	CHECK_EQ(shutdown(s[0], SHUT_RD), 0);
	for (int i = 0; i < 4; i++) {
		unsigned n = reader.n;
		CHECK_EQ(co_resume(co), 0);
		unsigned turns = turns_until(n + 1);
		CHECK(turns > 0 && turns < AT_ONCE);
		CHECK_EQ(reader.got, 0);
	}
	CHECK_EQ(co_release(co), 0);
}

/* Bytes that a descriptor came with end MSG_WAITALL, though the caller has no room for it. */
static void *reads_all(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	reader.got = recv(s[0], reader.buf, sizeof(reader.buf), MSG_WAITALL);
	reader.n++;
	return arg;
}

static void stops_behind_a_descriptor(void)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { (char *)"one", 3 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };

	reader.n = 0;
	pair(UNIX, s);
	memcpy(CMSG_DATA(&control.head), &s[1], sizeof(int));
	CHECK_EQ(sendmsg(s[1], &msg, 0), 3);
	CHECK_EQ(syscall(SYS_write, s[1], "two", 3), 3);
	struct co *co = start(reads_all);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(reader.got, 3);
	CHECK_EQ(co_release(co), 0);
}

/* --- what the user wants -------------------------------------------------------------------------- */

static void nonblocking(int how)
{
	int flags = fcntl(s[0], F_GETFL), yes = 1;

	switch (how) {
	case 0:
		CHECK_EQ(fcntl(s[0], F_SETFL, flags | O_NONBLOCK), 0);
		return;
	case 1:
		CHECK_EQ(ioctl(s[0], FIONBIO, &yes), 0);
		return;
	case 2: /* behind our back */
		CHECK_EQ(syscall(SYS_fcntl, s[0], F_SETFL, flags | O_NONBLOCK), 0);
		return;
	}
}

static void nonblocking_is_seen(void)
{
	for (int how = 0; how < 3; how++) {
		reader.n = 0;
		struct co *co = knowing_reader_at_rest();
		nonblocking(how);
		unsigned n = reader.n;
		CHECK_EQ(co_resume(co), 0);
		if (how < 2)
			CHECK_EQ(reader.n, n + 1); /* it has not waited */
		CHECK(turns_until(n + 1) > 0);
		CHECK_EQ(reader.error, EAGAIN);
		CHECK_EQ(co_release(co), 0);
		close(s[0]);
		close(s[1]);
	}
}

static void limit(int ms)
{
	struct timeval t = { .tv_usec = ms * 1000 };

	CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0);
}

/* What is set while a read waits, is for the next. */
static void set_while_waiting(void)
{
	for (int how = 0; how < 3; how++) {
		reader.n = 0;
		struct co *co = knowing_reader_at_rest();
		unsigned n = reader.n;
		CHECK_EQ(co_resume(co), 0);
		if (how < 2)
			nonblocking(how);
		else
			limit(1);
		for (int i = 0; i < 8; i++) /* longer than trust lasts */
			CHECK_EQ(co_sleep_ms(10), 0);
		CHECK_EQ(reader.n, n);
		CHECK_EQ(syscall(SYS_write, s[1], "x", 1), 1);
		CHECK(turns_until(n + 1) > 0);
		CHECK_EQ(reader.got, 1);
		CHECK_EQ(co_resume(co), 0);
		CHECK(turns_until(n + 2) > 0);
		CHECK_EQ(reader.error, EAGAIN);
		CHECK_EQ(co_release(co), 0);
		close(s[0]);
		close(s[1]);
	}
}

/* Read, and let something come at once. On a busy machine the time may be over first: then it is
 * read by the next. */
static void read_in_time(struct co *co)
{
	unsigned n = reader.n;

	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(syscall(SYS_write, s[1], "x", 1), 1);
	CHECK(turns_until(n + 1) > 0);
	if (reader.error == EAGAIN) {
		CHECK_EQ(co_resume(co), 0);
		CHECK(turns_until(n + 2) > 0);
	}
	CHECK_EQ(reader.got, 1);
}

static int64_t time_out(struct co *co)
{
	unsigned n = reader.n;
	int64_t began = co_now_ns();

	CHECK_EQ(co_resume(co), 0);
	CHECK(turns_until(n + 1) > 0);
	CHECK_EQ(reader.error, EAGAIN);
	return co_now_ns() - began;
}

/* A limit of time is kept, on trust too, shorter and longer than that lasts: never early, and
 * of several one at least not late. (The kernel counts limits in units of 4 ms.) */
static void limits_are_kept(void)
{
	static const int ms[] = { 12, 40, 80 };

	for (int i = 0; i < 3; i++) {
		int64_t best = INT64_MAX, limit_ns = ms[i] * 1000000LL;
		for (int try = 0; try < 4 && best > limit_ns + 8000000; try++) {
			reader.n = 0;
			struct co *co = knowing_reader_at_rest();
			limit(ms[i]);
			for (int round = 0; round < 3; round++)
				read_in_time(co);
			int64_t took = time_out(co);
			CHECK(took >= limit_ns);
			if (took < best)
				best = took;
			CHECK_EQ(co_release(co), 0);
			close(s[0]);
			close(s[1]);
		}
		printf("# a limit of %d ms: %lld us\n", ms[i], (long long)best / 1000);
		CHECK(best < limit_ns + 8000000);
	}
}

/* Less than SO_RCVLOWAT is nothing to read, however long it lies there. */
static void at_least(void)
{
	struct co *co = knowing_reader_at_rest();
	int ten = 10;
	unsigned n = reader.n + 3;

	CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_RCVLOWAT, &ten, sizeof(ten)), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(co_resume(co), 0);
		send_one("0123456789");
	}
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(syscall(SYS_write, s[1], "01234", 5), 5);
	co_sleep_ms(50);
	CHECK_EQ(reader.n, n);
	CHECK_EQ(syscall(SYS_write, s[1], "56789", 5), 5);
	CHECK(turns_until(n + 1) > 0);
	CHECK_EQ(reader.got, 10);
	CHECK_EQ(co_release(co), 0);
}

static void busy_for(int ms)
{
	int64_t end = co_now_ns() + ms * 1000000LL;

	while (co_now_ns() < end)
		;
}

/* What has come in time is read, though others kept the thread until the time was over. */
static void in_time(void)
{
	for (int kind = 0; kind < KINDS; kind++) {
		reader.n = 0;
		pair(kind, s);
		limit(8);
		struct co *co = start(reads_when_told);
		CHECK_EQ(syscall(SYS_write, s[1], "x", 1), 1);
		CHECK(turns_until(1) > 0);
		for (int i = 0; i < 3; i++)
			read_in_time(co);
		unsigned n = reader.n;
		CHECK_EQ(co_resume(co), 0);
		CHECK_EQ(co_status(co), CO_WAITING);
		CHECK_EQ(syscall(SYS_write, s[1], "in time", 7), 7);
		busy_for(12);
		CHECK(turns_until(n + 1) > 0);
		CHECK_EQ(reader.got, 7);
		CHECK_EQ(co_release(co), 0);
		close(s[0]);
		close(s[1]);
	}
}

/* --- the number means another file ------------------------------------------------------------------ */

/* In ways that we hear of, and in ways that we do not. */
static void swap_file(int how, int kind)
{
	int other[2], number = s[0];

	pair(kind, other);
	switch (how) {
	case 0:
		CHECK_EQ(dup2(other[0], number), number);
		break;
	case 1:
		CHECK_EQ(syscall(SYS_dup2, other[0], number), number);
		break;
	case 2:
		CHECK_EQ(fclose(fdopen(number, "r")), 0);
		CHECK_EQ(syscall(SYS_dup2, other[0], number), number);
		break;
	}
	syscall(SYS_close, other[0]);
	syscall(SYS_close, s[1]);
	s[1] = other[1];
}

/* A coroutine at rest reads the file that the number means now, with what was there before it
 * waited and with what comes later; it is never stuck. */
static void swapped_at_rest(void)
{
	for (int how = 0; how < 3; how++)
		for (int kind = 0; kind < KINDS; kind++)
			for (int early = 0; early < 2; early++) {
				reader.n = 0;
				struct co *co = knowing_reader_at_rest();
				swap_file(how, kind);
				unsigned n = reader.n;
				if (early)
					CHECK_EQ(syscall(SYS_write, s[1], "new", 3), 3);
				CHECK_EQ(co_resume(co), 0);
				if (!early)
					CHECK_EQ(syscall(SYS_write, s[1], "new", 3), 3);
				unsigned turns = turns_until(n + 1);
				CHECK(turns > 0);
				if (how != 1)
					CHECK(turns < AT_ONCE);
				CHECK_EQ(reader.got, 3);
				CHECK_EQ(memcmp(reader.buf, "new", 3), 0);
				CHECK_EQ(co_release(co), 0);
				close(s[0]);
				close(s[1]);
			}
}

/* The rule that a short read leaves nothing is wrong, if the file is another. Once. */
static void wrong_only_once(void)
{
	struct co *co = knowing_reader_at_rest();
	int n_believed = 0;

	CHECK_EQ(co_resume(co), 0);
	co_sleep_ms(50);
	send_one("a late one is not a wrong one");
	for (int i = 0; i < 10; i++) {
		unsigned n = reader.n;
		swap_file(1, TCP);
		CHECK_EQ(syscall(SYS_write, s[1], "new", 3), 3);
		CHECK_EQ(co_resume(co), 0);
		n_believed += reader.n == n; /* that there is nothing to read */
		CHECK(turns_until(n + 1) > 0);
		for (int j = 0; j < 3; j++) { /* it may trust its socket again */
			CHECK_EQ(co_resume(co), 0);
			send_one("more");
		}
	}
	CHECK_EQ(n_believed, 1);
	CHECK_EQ(co_release(co), 0);
}

/* Does a read believe that there is nothing to read, in a file of which it has not heard? */
static bool believes(struct co *co)
{
	unsigned n = reader.n;

	swap_file(1, TCP);
	CHECK_EQ(syscall(SYS_write, s[1], "new", 3), 3);
	CHECK_EQ(co_resume(co), 0);
	bool has_believed = reader.n == n;
	CHECK(turns_until(n + 1) > 0);
	return has_believed;
}

/* Its time was over, and in the same turn something came: what was believed was right. (On a
 * busy machine something may come late by itself: one of several is enough.) */
static void late_is_not_wrong(void)
{
	bool is_believed = false;

	for (int try = 0; try < 5 && !is_believed; try++) {
		reader.n = 0;
		struct co *co = knowing_reader_at_rest();
		CHECK_EQ(co_resume(co), 0);
		busy_for(11);
		CHECK_EQ(co_reschedule(), 0); /* the tick that makes it old; the next ends it */
		busy_for(11);
		CHECK_EQ(syscall(SYS_write, s[1], "late", 4), 4);
		CHECK(turns_until(5) > 0);
		for (int i = 0; i < 3; i++) {
			CHECK_EQ(co_resume(co), 0);
			send_one("hello");
		}
		is_believed = believes(co);
		CHECK_EQ(co_release(co), 0);
		close(s[0]);
		close(s[1]);
	}
	CHECK(is_believed);
}

/* Who waits, is told. */
static void swapped_while_waiting(void)
{
	for (int how = 0; how < 3; how += 2) {
		reader.n = 0;
		struct co *co = knowing_reader(TCP);
		unsigned n = reader.n;
		swap_file(how, TCP);
		CHECK_EQ(syscall(SYS_write, s[1], "secret", 6), 6);
		CHECK(turns_until(n + 1) > 0);
		CHECK_EQ(reader.error, EBADF);
		CHECK_EQ(co_release(co), 0);
		close(s[0]);
		close(s[1]);
	}
}

/* A connection with the number of a file that somebody waits for: that file is gone. */
static void accepted(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	struct co *co = knowing_reader(TCP);
	unsigned n = reader.n;
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	CHECK_EQ(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(listen(listener, 1), 0);
	CHECK_EQ(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	CHECK_EQ(syscall(SYS_close, s[0]), 0);
	CHECK_EQ(connect(client, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(accept(listener, NULL, NULL), s[0]);
	CHECK_EQ(syscall(SYS_write, client, "secret", 6), 6);
	CHECK(turns_until(n + 1) > 0);
	CHECK_EQ(reader.error, EBADF);
	CHECK_EQ(co_release(co), 0);
}

/* By random: swaps, sends and ends, heard of or not, and a model that knows which bytes
 * the number's file has got. The reader gets exactly these, and is never stuck. */
static void random_swaps(void)
{
	struct rng rng = { test_seed(20261126) };
	unsigned n_swaps = 0, n_sent = 0;

	reader.n = 0;
	struct co *co = knowing_reader_at_rest();
	for (int i = 0; i < rounds(400); i++) {
		char what[16];
		unsigned n = reader.n;
		if (rng_below(&rng, 4) == 0) {
			swap_file((int)rng_below(&rng, 3), (int)rng_below(&rng, KINDS));
			n_swaps++;
		}
		int len = snprintf(what, sizeof(what), "%d", i);
		bool early = rng_below(&rng, 2);
		if (early)
			CHECK_EQ(syscall(SYS_write, s[1], what, len), len);
		CHECK_EQ(co_resume(co), 0);
		if (!early && rng_below(&rng, 8) == 0)
			co_sleep_ms(25); /* it asks */
		if (!early)
			CHECK_EQ(syscall(SYS_write, s[1], what, len), len);
		CHECK(turns_until(n + 1) > 0);
		CHECK_EQ(reader.got, len);
		CHECK_EQ(memcmp(reader.buf, what, (size_t)len), 0);
		n_sent++;
	}
	printf("# %u messages, %u swaps\n", n_sent, n_swaps);
	CHECK_EQ(co_release(co), 0);
}

/* --- registrations that nobody wants ------------------------------------------------------------------ */

static void skip_unless_exact(void)
{
	const char *timer = getenv("COSTEP_TIMER");

	if (timer && strcmp(timer, "heap") != 0)
		check_skip("COSTEP_TIMER=%s: the thread sleeps more often", timer);
	SKIP_IF_WATCHED("it is slow: sleeps are interrupted by nothing");
}

/* How many events does the loop get, when data comes @n times and nobody reads? */
static uint64_t sleeps_by_data(int n, int fd)
{
	uint64_t before = co_loop_stats().sleeps;

	for (int i = 0; i < n; i++) {
		CHECK_EQ(syscall(SYS_write, fd, "x", 1), 1);
		co_sleep_ms(1);
	}
	return co_loop_stats().sleeps - before - (uint64_t)n; /* each sleep is one, at least */
}

static void unwanted_news_end(void)
{
	struct co *co = knowing_reader_at_rest();

	skip_unless_exact();
	uint64_t first = sleeps_by_data(32, s[1]);
	uint64_t later = sleeps_by_data(100, s[1]);
	printf("# interrupted sleeps: %llu, then %llu\n", (unsigned long long)first, (unsigned long long)later);
	CHECK(first >= 8 && first <= 20);
	CHECK_EQ(later, 0);
	unsigned n = reader.n;
	CHECK_EQ(co_resume(co), 0); /* all is there, all the same */
	CHECK_EQ(reader.n, n + 1);
	CHECK_EQ(co_release(co), 0);
}

/* A file that is open under another number, and whose registration nobody can take off. */
static void stale_news_end(void)
{
	struct co *co = knowing_reader_at_rest();
	int other[2];

	skip_unless_exact();
	int kept_open = dup(s[0]), old_end = s[1];
	pair(TCP, other);
	CHECK_EQ(syscall(SYS_dup2, other[0], s[0]), s[0]);
	s[1] = other[1];
	CHECK_EQ(co_resume(co), 0);
	let_it_ask(); /* it is registered anew */
	uint64_t first = sleeps_by_data(200, old_end);
	uint64_t later = sleeps_by_data(100, old_end);
	printf("# interrupted sleeps: %llu, then %llu\n", (unsigned long long)first, (unsigned long long)later);
	CHECK(first >= 30 && first <= 100);
	CHECK_EQ(later, 0);
	send_one("hello");
	close(kept_open);
	CHECK_EQ(co_release(co), 0);
}

/* Closed, and nobody's number since; but open as another. */
static void closed_and_open_news_end(void)
{
	struct co *co = knowing_reader_at_rest();

	skip_unless_exact();
	int kept_open = dup(s[0]);
	CHECK_EQ(close(s[0]), 0);
	uint64_t first = sleeps_by_data(200, s[1]);
	uint64_t later = sleeps_by_data(100, s[1]);
	printf("# interrupted sleeps: %llu, then %llu\n", (unsigned long long)first, (unsigned long long)later);
	CHECK(first >= 30 && first <= 120);
	CHECK_EQ(later, 0);
	close(kept_open);
	CHECK_EQ(co_release(co), 0);
}

/* A client that sends the next before it has the answer: reports to nobody, but between them
 * somebody waits. Also after many in a row. */
static void sent_ahead(void)
{
	struct co *co = knowing_reader_at_rest();

	for (int i = 0; i < 40; i++) {
		CHECK_EQ(syscall(SYS_write, s[1], "x", 1), 1);
		co_sleep_ns(100000);
	}
	do /* it reads all that is there, and then asks */
		CHECK_EQ(co_resume(co), 0);
	while (co_status(co) == CO_SUSPENDED);
	n_ctl = 0;
	int64_t began = co_now_ns();
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(co_status(co), CO_WAITING);
		send_one("one");
		CHECK_EQ(syscall(SYS_write, s[1], "ahead", 5), 5);
		co_sleep_ns(100000);
		unsigned n = reader.n;
		CHECK_EQ(co_resume(co), 0);
		CHECK(turns_until(n + 1) > 0); /* at once, or when the loop has heard of it */
		CHECK_EQ(co_resume(co), 0);
	}
	CHECK(n_ctl <= 2 * (co_now_ns() - began) / 10000000);
	CHECK_EQ(co_release(co), 0);
}

/* --- ends ------------------------------------------------------------------------------------------------ */

static void released(void)
{
	struct co *co = knowing_reader(TCP);

	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(syscall(SYS_write, s[1], "x", 1), 1);
	co_sleep_ms(30); /* the ticks find nobody */
	co = knowing_reader(TCP);
	CHECK_EQ(co_reset(co), 0);
	co_sleep_ms(30);
	CHECK_EQ(co_resume(co), 0);
	send_one("again");
	CHECK_EQ(co_release(co), 0);
}

static void *thread(void *arg)
{
	reader.n = 0;
	knowing_reader(TCP);
	return arg;
}

static void thread_ends(void)
{
	for (int i = 0; i < 3; i++) {
		pthread_t t;
		CHECK_EQ(pthread_create(&t, NULL, thread, NULL), 0);
		CHECK_EQ(pthread_join(t, NULL), 0);
		close(s[0]);
		close(s[1]);
	}
}

static void *reads_badly(void *arg)
{
	char c;

	CHECK_EQ(co_enable_hook_sys(), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(read(s[0], &c, 1), 1);
	CHECK_FAILS(recv(-1, &c, 1, 0), -1, EBADF);
	CHECK_FAILS(read(-1, &c, 1), -1, EBADF);
	return arg;
}

static void no_descriptor(void)
{
	pair(UNIX, s);
	struct co *co = start(reads_badly);
	for (int i = 0; i < 1000 && co_status(co) != CO_DONE; i++) {
		CHECK_EQ(syscall(SYS_write, s[1], "x", 1), 1);
		CHECK_EQ(co_sleep_ms(1), 0);
	}
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(co_release(co), 0);
}

static void forked(void)
{
	struct co *co = knowing_reader(TCP);
	int status;

#ifdef CO_TSAN
	check_skip("ThreadSanitizer: it knows no fibers in the child of a fork");
#endif
	pid_t pid = fork();
	if (pid == 0) {
		send_one("child");
		send_one("and again");
		let_it_ask();
		send_one("and later");
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	send_one("parent");
	CHECK_EQ(co_release(co), 0);
}

/* Another thread closes the number, and opens another under it. */
static void *swaps(void *arg)
{
	swap_file(0, TCP);
	return arg;
}

static void swapped_by_a_thread(void)
{
	struct co *co = knowing_reader_at_rest();
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, swaps, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	unsigned n = reader.n;
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(syscall(SYS_write, s[1], "new", 3), 3);
	unsigned turns = turns_until(n + 1);
	CHECK(turns > 0 && turns < AT_ONCE);
	CHECK_EQ(memcmp(reader.buf, "new", 3), 0);
	CHECK_EQ(co_release(co), 0);
}

/* And while it waits: it does not read what is another's. */
static void swapped_by_a_thread_while_waiting(void)
{
	for (int i = 0; i < 2; i++) {
		reader.n = 0;
		struct co *co = knowing_reader(i ? UNIX : TCP);
		unsigned n = reader.n;
		pthread_t t;
		CHECK_EQ(pthread_create(&t, NULL, swaps, NULL), 0);
		CHECK_EQ(pthread_join(t, NULL), 0);
		CHECK_EQ(syscall(SYS_write, s[1], "secret", 6), 6);
		CHECK(turns_until(n + 1) > 0);
		CHECK_EQ(reader.got, -1);
		CHECK_EQ(reader.error, EBADF);
		CHECK_EQ(co_release(co), 0);
		close(s[0]);
		close(s[1]);
	}
}

/* Two on one socket: nobody is forgotten. */
static void *reads_too(void *arg)
{
	char c;

	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(read(s[0], &c, 1), 1);
	return arg;
}

static void two_readers(void)
{
	struct co *co = knowing_reader_at_rest();
	unsigned n = reader.n;

	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_status(co), CO_WAITING);
	struct co *other = start(reads_too);
	CHECK_EQ(co_status(other), CO_WAITING);
	CHECK_EQ(syscall(SYS_write, s[1], "abc", 3), 3);
	CHECK(turns_until(n + 1) > 0); /* and the other finds nothing */
	CHECK_EQ(co_status(other), CO_WAITING);
	CHECK_EQ(syscall(SYS_write, s[1], "d", 1), 1);
	for (int i = 0; i < 1000 && co_status(other) != CO_DONE; i++)
		co_sleep_ms(1);
	CHECK_EQ(co_status(other), CO_DONE);
	CHECK_EQ(co_release(other), 0);
	CHECK_EQ(co_release(co), 0);
}

/* It waits on trust, for a file of which we have not heard; another coroutine's wait finds out that
 * the number means it. Neither is told that its file is gone. */
static void found_out_by_another(void)
{
	struct co *co = knowing_reader_at_rest();
	unsigned n = reader.n;

	swap_file(1, TCP);
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_status(co), CO_WAITING);
	struct co *other = start(reads_too);
	CHECK_EQ(co_status(other), CO_WAITING);
	for (int i = 0; i < 1000 && (co_status(other) != CO_DONE || reader.n == n); i++) {
		CHECK_EQ(syscall(SYS_write, s[1], "a", 1), 1);
		co_sleep_ms(1);
	}
	CHECK_EQ(co_status(other), CO_DONE);
	CHECK_EQ(reader.error, 0);
	CHECK_EQ(co_release(other), 0);
	CHECK_EQ(co_release(co), 0);
}

/* One writes what there is no room for, on the socket that another reads. */
static void *writes_much(void *arg)
{
	static char much[8 << 20];

	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(write(s[0], much, sizeof(much)), sizeof(much));
	return arg;
}

static void a_writer_beside(void)
{
	for (int writer_first = 0; writer_first < 2; writer_first++) {
		static char sink[1 << 20];
		struct co *writer;
		reader.n = 0;
		struct co *co = knowing_reader_at_rest();
		if (writer_first) {
			writer = start(writes_much);
			CHECK_EQ(co_status(writer), CO_WAITING);
		}
		CHECK_EQ(co_resume(co), 0);
		if (!writer_first)
			writer = start(writes_much);
		co_sleep_ms(30); /* the reader has asked, and keeps what it found */
		for (int i = 0; i < 100000 && co_status(writer) != CO_DONE; i++) {
			(void)!syscall(SYS_recvfrom, s[1], sink, sizeof(sink), MSG_DONTWAIT, NULL, NULL);
			co_sleep_ns(100000);
		}
		CHECK_EQ(co_status(writer), CO_DONE);
		send_one("and the reader reads");
		CHECK_EQ(co_release(writer), 0);
		CHECK_EQ(co_release(co), 0);
		close(s[0]);
		close(s[1]);
	}
}

static const struct test_case cases[] = {
	{ "spares_calls", "a server's read tells the kernel nothing, and asks nothing", spares_calls, 0, 0 },
	{ "asks_in_the_end", "a wait that lasts asks once, and then waits as long as it takes", asks_in_the_end, 0, 0 },
	{ "asks_in_turn", "a busy thread's waits ask in turn", asks_in_turn, 0, 0 },
	{ "asks_at_once", "an idle one's all at once", asks_at_once, 0, 0 },
	{ "end", "an end that comes with the last bytes is seen at once", sees_the_end, 0, 0 },
	{ "reset", "so is a reset", sees_a_reset, 0, 0 },
	{ "mark", "what lies behind urgent data is read at once", reads_on_behind_the_mark, 0, 0 },
	{ "rest", "and what a full buffer has left", reads_what_is_left, 0, 0 },
	{ "news_at_rest", "and what came while nobody waited", hears_of_it_at_rest, 0, 0 },
	{ "each_end", "and the end of a datagram socket, by each read", told_of_each_end, 0, 0 },
	{ "waitall", "MSG_WAITALL stops behind a descriptor that has come", stops_behind_a_descriptor, 0, 0 },
	{ "nonblocking", "O_NONBLOCK counts: at once if it was set by fcntl or ioctl, else soon", nonblocking_is_seen, 0, 0 },
	{ "set_while_waiting", "but not for who waits already", set_while_waiting, 0, 0 },
	{ "limits", "SO_RCVTIMEO is kept, shorter and longer than trust lasts", limits_are_kept, 0, 0 },
	{ "at_least", "SO_RCVLOWAT counts on trust too", at_least, 0, 0 },
	{ "in_time", "what came in time is read, on trust too", in_time, 0, 0 },
	{ "swapped_at_rest", "D03, F10: a number that means another file is read rightly, heard of or not", swapped_at_rest, 0, 0 },
	{ "wrong_once", "what turns out to be wrong once is not believed again", wrong_only_once, 0, 0 },
	{ "late", "and what was only late is believed on", late_is_not_wrong, 0, 0 },
	{ "swapped_while_waiting", "who waits when dup2 or fclose takes the file, is told", swapped_while_waiting, 0, 0 },
	{ "accepted", "and when accept gives the number to a connection", accepted, 0, 0 },
	{ "random_swaps", "random swaps: each byte is read from the file that the number means", random_swaps, 0, 0 },
	{ "swapped_by_a_thread", "F13: another thread's dup2 counts at once", swapped_by_a_thread, 0, 0 },
	{ "swapped_while_waiting_by_a_thread", "and while it waits, it reads nothing of another's", swapped_by_a_thread_while_waiting, 0, 0 },
	{ "unwanted", "a registration that reports to nobody ends", unwanted_news_end, 0, 0 },
	{ "stale", "and one that cannot be taken off goes with its set", stale_news_end, 0, 0 },
	{ "closed_and_open", "also one whose number was closed, and is nobody's since", closed_and_open_news_end, 0, 0 },
	{ "ahead", "who is sent the next request ahead is not asked again", sent_ahead, 0, 0 },
	{ "two_readers", "two who read one socket are both told", two_readers, 0, 0 },
	{ "found_out", "nobody is told that the new file is gone", found_out_by_another, 0, 0 },
	{ "writer_beside", "a writer on the same socket is told too", a_writer_beside, 0, 0 },
	{ "released", "one that waits on trust can be released and reset", released, 0, 0 },
	{ "thread_ends", "and its thread can end", thread_ends, 0, 0 },
	{ "no_descriptor", "a number that is none is nothing that is known", no_descriptor, 0, 0 },
	{ "forked", "D20: the child of a fork waits by itself", forked, 0, 0 },
};

TEST_MAIN(cases)
