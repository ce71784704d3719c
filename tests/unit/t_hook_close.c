/* SPDX-License-Identifier: MIT */
/* Hooked calls whose descriptor, clock or set is not what it was. */
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "costep.h"
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
	{ "centuries", "G02: a limit of centuries does not wrap", centuries, 0, 0 },
	{ "select_beyond_its_set", "select touches no more than the kernel does", select_beyond_its_set, 0, 0 },
	{ "no_pointers", "NULL and lists that are too long are errors, as in libc", no_pointers, 0, 0 },
};

TEST_MAIN(cases)
