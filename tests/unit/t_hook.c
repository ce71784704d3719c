/* SPDX-License-Identifier: MIT */
/*
 * The hooks: when a call is hooked and when it is libc's, what it costs, what
 * happens to descriptors behind its back, sleeps, environment variables. The
 * letters and numbers are libco's defects.
 *
 * What the calls return is compared with libc in t_hook_same and t_hook_story.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <pty.h>
#include <termios.h>

#include "co_poll.h"
#include "coroutine.h"
#include "hooks.h"
#include "jumping_clock.h"
#include "loop.h"
#include "sleep.h"
#include "tools.h"

static struct co *start(co_fn *fn, void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, arg), 0);
	CHECK_EQ(co_resume(co), 0);
	return co;
}

static void run_loop(void)
{
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
}

static void end(struct co *co)
{
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(co_release(co), 0);
}

/* --- a coroutine that shows whether the thread is free ---------------------------------- */

static _Atomic int n_ticks;
static bool is_over;

static void *tick(void *arg)
{
	while (!is_over) {
		n_ticks++;
		CHECK_EQ(co_sleep_ns(200 * 1000), 0);
	}
	return arg;
}

/* Run @fn(@arg) in a coroutine beside the ticker. Returns how often that ticked. */
static int ticks_during(co_fn *fn, void *arg)
{
	n_ticks = 0;
	is_over = false;
	struct co *co = start(fn, arg), *ticker = start(tick, NULL);
	while (co_status(co) != CO_DONE)
		CHECK_EQ(co_sleep_ns(100 * 1000), 0);
	int n = n_ticks;
	is_over = true;
	run_loop();
	end(co);
	end(ticker);
	return n;
}

/* --- a thread that supplies data when another sleeps in a system call ---------------------- */

static char state_of(pid_t tid)
{
	char name[64], line[300];

	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", tid);
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);
	close(fd);
	line[n > 0 ? n : 0] = 0;
	const char *end_of_name = strrchr(line, ')');
	return end_of_name ? end_of_name[2] : '?';
}

struct supplier {
	pthread_t thread;
	pid_t whom;
	int fd;
	bool others_run; /* give the ticker its time, too */
	_Atomic bool is_calling;
};

static void *supply_when_asleep(void *arg)
{
	struct supplier *s = arg;

	/* For some time, not just on its way. */
	for (int n = 0; n < (s->others_run ? 5000 : 20) && !(s->others_run && n_ticks >= 5);) {
		n = s->is_calling && state_of(s->whom) == 'S' ? n + 1 : 0;
		syscall(SYS_nanosleep, &(struct timespec){ 0, 200 * 1000 }, NULL);
	}
	CHECK_EQ(write(s->fd, "x", 1), 1);
	return NULL;
}

static void supplier_start(struct supplier *s, int fd, bool others_run)
{
	*s = (struct supplier){ .whom = (pid_t)syscall(SYS_gettid), .fd = fd, .others_run = others_run };
	CHECK_EQ(pthread_create(&s->thread, NULL, supply_when_asleep, s), 0);
}

/* Read from an empty pipe, into which a thread writes when this one sleeps.
 *
 * @others_run  wait for the ticker before. */
static void read_slowly(bool others_run)
{
	struct supplier s;
	int p[2];
	char c;

	CHECK_EQ(pipe(p), 0);
	supplier_start(&s, p[1], others_run);
	s.is_calling = true;
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(pthread_join(s.thread, NULL), 0);
	close(p[0]);
	close(p[1]);
}

/* --- the switch ------------------------------------------------------------------------------ */

static void *turn_on_and_off(void *arg)
{
	CHECK(!co_is_enable_sys_hook());
	co_disable_hook_sys(); /* no harm */
	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK(co_is_enable_sys_hook());
	CHECK_EQ(co_yield_ct(), 0);
	CHECK(co_is_enable_sys_hook());
	co_disable_hook_sys();
	CHECK(!co_is_enable_sys_hook());
	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(co_yield_ct(), 0);
	return arg;
}

static void switch_is_its_own(void)
{
	CHECK(!co_is_enable_sys_hook());
	co_disable_hook_sys(); /* on a thread without coroutines */
	struct co *a = start(turn_on_and_off, NULL);
	CHECK(!co_is_enable_sys_hook());
	struct co *b = start(turn_on_and_off, NULL); /* has it off, though a has it on */
	CHECK_EQ(co_resume(a), 0);
	CHECK_EQ(co_reset(a), 0);
	CHECK_EQ(co_resume(a), 0); /* off again: it checks that itself */
	CHECK_EQ(co_release(a), 0);
	CHECK_EQ(co_release(b), 0);
	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK(co_is_enable_sys_hook());
	co_disable_hook_sys();
	CHECK(!co_is_enable_sys_hook());
}

static void *enable_first(void *arg)
{
	(void)arg;
	int error = co_enable_hook_sys();
	CHECK_EQ(error, 0);
	CHECK(co_is_enable_sys_hook());
	CHECK(co_self() != NULL);
	return NULL;
}

static void switch_on_fresh_thread(void)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, enable_first, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(co_self() == NULL); /* that thread's affair */
}

static void *never_on(void *arg)
{
	read_slowly(false);
	return arg;
}

static void *on(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	read_slowly(true);
	return arg;
}

static void *on_and_off(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	co_disable_hook_sys();
	read_slowly(false);
	return arg;
}

static void *on_once(void *arg)
{
	static bool is_second;

	if (is_second) {
		read_slowly(false);
		return arg;
	}
	is_second = true;
	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(co_reschedule(), 0);
	CHECK(!"it is reset here");
	return arg;
}

static void when_hooked(void)
{
	CHECK(ticks_during(on, NULL) >= 2);
	CHECK(ticks_during(never_on, NULL) <= 1);
	CHECK(ticks_during(on_and_off, NULL) <= 1);

	struct co *co = start(on_once, NULL), *ticker;
	CHECK_EQ(co_reset(co), 0);
	n_ticks = 0;
	is_over = false;
	CHECK_EQ(co_resume(co), 0); /* does not come back before it has read */
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(co_release(co), 0);
	ticker = start(tick, NULL);
	read_slowly(false); /* main's are off too */
	CHECK(n_ticks <= 1);
	CHECK_EQ(co_enable_hook_sys(), 0);
	n_ticks = 0;
	read_slowly(true); /* and now on: main's waiting runs the loop */
	CHECK(n_ticks >= 2);
	is_over = true;
	run_loop();
	end(ticker);
}

static void *plain_thread(void *arg)
{
	read_slowly(false);
	usleep(1000);
	CHECK_EQ(poll(NULL, 0, 1), 0);
	CHECK(co_self() == NULL); /* no hook has made one */
	CHECK(getenv("PATH") != NULL);
	return arg;
}

static void without_coroutines(void)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, plain_thread, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(co_self() == NULL);
}

/* In the loop's callback nobody can wait. */
static int n_callbacks;

static int callback(void *arg)
{
	(void)arg;
	read_slowly(false);
	return ++n_callbacks < 2 ? 0 : -1;
}

static void in_the_callback(void)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(co_eventloop(NULL, callback, NULL), 0);
	CHECK_EQ(n_callbacks, 2);
}

/* --- signal handlers ---------------------------------------------------------------------------- */

static int n_handled;

static void handler(int signal)
{
	(void)signal;
	CHECK(!co_may_wait());
	read_slowly(false);
	n_handled++;
}

static void *raise_it(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK(co_may_wait());
	raise(SIGUSR1);
	CHECK(co_may_wait());
	return arg;
}

static void on_another_stack(void)
{
	static char memory[64 * 1024];
	struct sigaction act = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	stack_t stack = { .ss_sp = memory, .ss_size = sizeof(memory) };

	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
	CHECK(ticks_during(raise_it, NULL) <= 1);
	CHECK_EQ(n_handled, 1);
	CHECK_EQ(co_enable_hook_sys(), 0); /* what main enables later, is not the handler's either */
	raise(SIGUSR1);
	CHECK_EQ(n_handled, 2);
}

static bool raise_in_library;

int __real_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
	if (raise_in_library) {
		raise_in_library = false;
		raise(SIGUSR1);
	}
	return __real_epoll_ctl(set, op, fd, event);
}

static void inside_the_library(void)
{
	signal(SIGUSR1, handler);
	raise_in_library = true;
	CHECK(ticks_during(on, NULL) > 0);
	CHECK_EQ(n_handled, 1);
}

/* --- what a call costs ----------------------------------------------------------------------------- */

enum { MARK = SYS_getppid }; /* the child makes this call before and after */

static int traced[16], n_traced;

/* Fork; in the child: true. In the parent, note the child's system calls between two marks. */
static bool in_traced_child(void)
{
	pid_t pid = fork();
	int status;
	bool is_entry = false, is_marked = false;

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK_EQ(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
		raise(SIGSTOP);
		return true;
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD), 0);
	n_traced = 0;
	while (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		struct __ptrace_syscall_info info;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		is_entry = !is_entry;
		CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0);
		if (!is_entry)
			continue;
		if (info.entry.nr == MARK)
			is_marked = !is_marked;
		else if (is_marked && n_traced < 16)
			traced[n_traced++] = (int)info.entry.nr;
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return false;
}

struct costly {
	int fd;
	void (*call)(int fd);
};

static void do_read(int fd)
{
	char buf[8];
	CHECK(read(fd, buf, sizeof(buf)) > 0);
}

static void do_read_twice(int fd)
{
	char byte;
	CHECK_EQ(read(fd, &byte, 1), 1);
	CHECK_EQ(read(fd, &byte, 1), 1);
}

static void do_read_and_write(int fd)
{
	char byte;
	CHECK_EQ(read(fd, &byte, 1), 1);
	CHECK_EQ(write(fd, &byte, 1), 1);
}

static void do_recv(int fd)
{
	char buf[8];
	CHECK(recv(fd, buf, sizeof(buf), 0) > 0);
}

static void do_write(int fd)
{
	CHECK_EQ(write(fd, "12345678", 8), 8);
}

static void do_send(int fd)
{
	CHECK_EQ(send(fd, "12345678", 8, 0), 8);
}

static void *make_call(void *arg)
{
	struct costly *c = arg;

	CHECK_EQ(co_enable_hook_sys(), 0);
	syscall(MARK);
	c->call(c->fd);
	syscall(MARK);
	_exit(0);
}

static int cost(int fd, void (*call)(int fd))
{
	struct costly c = { fd, call };
	if (in_traced_child())
		start(make_call, &c);
	if (n_traced > 3)
		for (int i = 0; i < n_traced; i++)
			printf("# call %d\n", traced[i]);
	return n_traced;
}

static void costs(void)
{
	int s[2], p[2], tty[2], e = eventfd(7, 0);
	struct termios t;

	SKIP_IF_WATCHED("it makes system calls of its own");
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(openpty(&tty[0], &tty[1], NULL, NULL, NULL), 0);
	CHECK_EQ(tcgetattr(tty[1], &t), 0);
	cfmakeraw(&t);
	CHECK_EQ(tcsetattr(tty[1], TCSANOW, &t), 0);
	CHECK_EQ(write(s[1], "12345678", 8), 8);
	CHECK_EQ(write(p[1], "12345678", 8), 8);
	CHECK_EQ(write(tty[0], "12345678", 8), 8);
	poll(&(struct pollfd){ .fd = tty[1], .events = POLLIN }, 1, 1000);

	CHECK(cost(s[0], do_recv) == 1); /* nothing is consumed in us, but it is in the socket */
	CHECK_EQ(write(s[1], "12345678", 8), 8);
	CHECK(cost(s[0], do_read) <= 2);
	CHECK_EQ(write(s[1], "12345678", 8), 8);
	CHECK_EQ(cost(s[0], do_read_twice), 3); /* what was a socket is not asked again */
	CHECK_EQ(write(s[1], "12345678", 8), 8);
	CHECK_EQ(cost(s[0], do_read_and_write), 3);
	CHECK(cost(p[0], do_read) <= 2);
	CHECK(cost(e, do_read) <= 2);
	CHECK(cost(tty[1], do_read) <= 3);
	CHECK(cost(s[0], do_send) == 1);
	CHECK(cost(s[0], do_write) <= 2);
	CHECK(cost(p[1], do_write) <= 2);
	CHECK(cost(tty[1], do_write) <= 3);
	CHECK(cost(e, do_write) <= 4); /* it does not know RWF_NOWAIT: asked, looked, written */
}

/* --- closing ------------------------------------------------------------------------------------------ */

struct waiter {
	int fd, error;
	ssize_t got;
	char buf[16];
};

static void *wait_in_read(void *arg)
{
	struct waiter *w = arg;

	CHECK_EQ(co_enable_hook_sys(), 0);
	w->got = read(w->fd, w->buf, sizeof(w->buf));
	w->error = errno;
	return NULL;
}

static void close_wakes(void)
{
	int p[2];

	CHECK_EQ(pipe(p), 0);
	struct waiter w = { .fd = p[0] }, w2 = { .fd = p[0] };
	struct co *a = start(wait_in_read, &w), *b = start(wait_in_read, &w2);
	CHECK_EQ(co_status(a), CO_WAITING);
	CHECK_EQ(close(p[0]), 0);
	run_loop();
	end(a);
	end(b);
	CHECK_EQ(w.got, -1);
	CHECK_EQ(w.error, EBADF);
	CHECK_EQ(w2.error, EBADF);
	close(p[1]);
}

static void close_with_syscall(int fd)
{
	CHECK_EQ(syscall(SYS_close, fd), 0);
}

static void close_with_stdio(int fd)
{
	FILE *f = fdopen(fd, "r");
	CHECK(f != NULL);
	CHECK_EQ(fclose(f), 0);
}

static void *thread_close(void *arg)
{
	CHECK_EQ(close((int)(intptr_t)arg), 0);
	return NULL;
}

static void close_on_thread(int fd)
{
	pthread_t t;
	CHECK_EQ(pthread_create(&t, NULL, thread_close, (void *)(intptr_t)fd), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

/* The number is closed without the loop's hearing of it, and is another file's at once. */
static void reused(void)
{
	static void (*const close_somehow[])(int) = { close_with_syscall, close_with_stdio, close_on_thread };

	for (int i = 0; i < 3; i++) {
		int old[2], p[2];
		CHECK_EQ(pipe(old), 0);
		struct waiter first = { .fd = old[0] };
		struct co *a = start(wait_in_read, &first);
		CHECK_EQ(co_status(a), CO_WAITING);
		close_somehow[i](old[0]);
		CHECK_EQ(pipe(p), 0);
		int fd = p[0];
		if (fd != old[0]) {
			CHECK_EQ(dup2(p[0], old[0]), old[0]);
			fd = old[0];
		}
		struct waiter second = { .fd = fd };
		struct co *b = start(wait_in_read, &second);
		CHECK_EQ(co_status(b), CO_WAITING);
		CHECK_EQ(write(p[1], "new", 3), 3);
		run_loop();
		end(b);
		CHECK_EQ(second.got, 3);
		end(a); /* was told when the second came: it is the wrong file */
		CHECK_EQ(first.got, -1);
		CHECK_EQ(first.error, EBADF);
		close(old[1]);
		close(p[0]);
		close(p[1]);
		if (fd != p[0])
			close(fd);
	}
}

/* --- F: descriptors and their modes -------------------------------------------------------------------- */

static void *fcntl_is_libcs(void *arg)
{
	int p[2];

	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(pipe(p), 0);
	CHECK(fcntl(p[0], F_GETPIPE_SZ) > 0);
	int d = fcntl(p[0], F_DUPFD_CLOEXEC, 50);
	CHECK(d >= 50);
	CHECK_EQ(fcntl(d, F_GETFD), FD_CLOEXEC);
	close(d);
	CHECK_FAILS(fcntl(-1, F_GETFL), -1, EBADF); /* F02 */
	CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY);
	close(p[0]);
	close(p[1]);
	return arg;
}

static void fcntl_unknown(void)
{
	end(start(fcntl_is_libcs, NULL));
}

/* The user's wish is seen, however it was made. */
static void *nonblocking(void *arg)
{
	int s[2], on_ = 1, off = 0;
	char c;

	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_EQ(syscall(SYS_fcntl, s[0], F_SETFL, O_RDWR | O_NONBLOCK), 0); /* F03 */
	CHECK_FAILS(read(s[0], &c, 1), -1, EAGAIN);
	CHECK_FAILS(recv(s[0], &c, 1, MSG_WAITALL), -1, EAGAIN);
	CHECK_EQ(ioctl(s[0], FIONBIO, &off), 0); /* F12 */
	CHECK_EQ(fcntl(s[0], F_GETFL), O_RDWR);
	CHECK_EQ(ioctl(s[0], FIONBIO, &on_), 0);
	CHECK_FAILS(read(s[0], &c, 1), -1, EAGAIN);
	CHECK_EQ(ioctl(s[0], FIONBIO, &off), 0);
	*(int *)arg = s[1];
	CHECK_EQ(read(s[0], &c, 1), 1); /* waits in the loop again */
	close(s[0]);
	close(s[1]);
	return NULL;
}

static void nonblocking_is_seen(void)
{
	int fd = -1;
	struct co *co = start(nonblocking, &fd);

	CHECK_EQ(co_status(co), CO_WAITING);
	CHECK_EQ(write(fd, "x", 1), 1);
	run_loop();
	end(co);
}

/* Descriptors that no hook has seen being made: F06, F08, F14. */
static void unknown_descriptors(void)
{
	int fd[16][2], n = 0, flags[16];
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	struct itimerspec soon = { .it_value.tv_nsec = 1 };

	CHECK_EQ(pipe(fd[n++]), 0);
	CHECK_EQ(pipe2(fd[n++], O_CLOEXEC), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd[n++]), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd[n++]), 0);
	int l = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(listen(l, 5), 0);
	CHECK_EQ(getsockname(l, (struct sockaddr *)&addr, &len), 0);
	fd[n][1] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(connect(fd[n][1], (struct sockaddr *)&addr, len), 0);
	fd[n++][0] = accept(l, NULL, NULL); /* F06 */
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fd[n++]), 0);
	fd[n][0] = dup(fd[n - 1][0]);
	fd[n][1] = dup(fd[n - 1][1]);
	close(fd[n - 1][0]);
	close(fd[n - 1][1]);
	fd[n - 1][0] = fcntl(fd[n][0], F_DUPFD, 40);
	fd[n - 1][1] = fcntl(fd[n][1], F_DUPFD_CLOEXEC, 40);
	close(fd[n][0]);
	close(fd[n][1]);
	fd[n][0] = fd[n][1] = eventfd(0, 0);
	n++;
	fd[n][0] = fd[n][1] = timerfd_create(CLOCK_MONOTONIC, 0);
	n++;

	struct waiter w[16];
	struct co *co[16];
	for (int i = 0; i < n; i++) {
		flags[i] = fcntl(fd[i][0], F_GETFL);
		w[i] = (struct waiter){ .fd = fd[i][0] };
		co[i] = start(wait_in_read, &w[i]);
		CHECK_EQ(co_status(co[i]), CO_WAITING); /* it has not held us up */
	}
	for (int i = 0; i < n - 1; i++)
		CHECK(write(fd[i][1], "\1\0\0\0\0\0\0\0", 8) == 8);
	CHECK_EQ(timerfd_settime(fd[n - 1][1], 0, &soon, NULL), 0);
	run_loop();
	for (int i = 0; i < n; i++) {
		end(co[i]);
		CHECK_EQ(w[i].got, 8);
		CHECK_EQ(fcntl(fd[i][0], F_GETFL), flags[i]); /* F09 */
		close(fd[i][0]);
		if (fd[i][1] != fd[i][0])
			close(fd[i][1]);
	}
	close(l);
}

/* F09: who shares the descriptor, sees no flag of ours while we wait. */
static void no_hidden_flag(void)
{
	int s[2];
	char line[10];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	struct waiter w = { .fd = s[0] };
	struct co *co = start(wait_in_read, &w);
	int d = dup(s[0]);
	CHECK_EQ(fcntl(d, F_GETFL), O_RDWR);
	CHECK_EQ(write(s[1], "12\n", 3), 3);
	run_loop();
	end(co);
	FILE *f = fdopen(d, "r");
	struct supplier sup;
	supplier_start(&sup, s[1], false); /* stdio blocks, as it should (G16) */
	sup.is_calling = true;
	CHECK_EQ(fgetc(f), 'x');
	CHECK_EQ(pthread_join(sup.thread, NULL), 0);
	CHECK_EQ(write(s[1], "y\n", 2), 2);
	CHECK(fgets(line, sizeof(line), f) != NULL);
	fclose(f);
	close(s[0]);
	close(s[1]);
}

/* F10: what a number once was says nothing about what it is. */
static void *stale(void *arg)
{
	int s[2], p[2], q[2], r[2], file = memfd_create("", 0);
	struct timeval t = { 0, 1000 };
	char c;

	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0);
	CHECK_FAILS(read(s[0], &c, 1), -1, EAGAIN);
	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(dup2(p[0], s[0]), s[0]);
	*(int *)arg = p[1];
	CHECK_EQ(fcntl(s[0], F_GETFL), O_RDONLY);
	CHECK_EQ(read(s[0], &c, 1), 1); /* for ever, now */
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, q), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, r), 0);
	CHECK_EQ(write(r[1], "x", 1), 1);
	CHECK_EQ(write(q[0], "x", 1), 1);
	CHECK_EQ(dup2(p[1], q[0]), q[0]);
	errno = 0;
	CHECK_EQ(write(q[0], "x", 1), 1);
	CHECK_EQ(errno, 0);
	CHECK_EQ(read(s[0], &c, 1), 1);
	CHECK_EQ(errno, 0);
	/* A file of the disk is asked by no call but the plain one. */
	CHECK_EQ(read(q[1], &c, 1), 1);
	CHECK_EQ(dup2(file, q[1]), q[1]);
	CHECK_EQ(write(q[1], "x", 1), 1);
	CHECK_EQ(errno, 0);
	CHECK_EQ(dup2(r[0], q[1]), q[1]);
	CHECK_EQ(read(q[1], &c, 1), 1);
	CHECK_EQ(dup2(file, q[1]), q[1]);
	CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
	CHECK_EQ(read(q[1], &c, 1), 1);
	CHECK_EQ(errno, 0);
	close(file);
	close(r[0]);
	close(r[1]);
	close(q[0]);
	close(q[0]);
	close(q[1]);
	close(s[0]);
	close(s[1]);
	close(p[0]);
	close(p[1]);
	return NULL;
}

static void stale_record(void)
{
	int fd = -1;
	struct co *co = start(stale, &fd);

	while (fd < 0) /* the millisecond is for the first file */
		CHECK_EQ(co_sleep_ms(1), 0);
	CHECK_EQ(co_sleep_ms(30), 0);
	CHECK_EQ(co_status(co), CO_WAITING);
	CHECK_EQ(write(fd, "x", 1), 1);
	run_loop();
	end(co);
}

static void high_number(void)
{
	struct rlimit limit = { 103000, 103000 };
	int p[2], fd = 102900;

	if (setrlimit(RLIMIT_NOFILE, &limit) != 0) { /* only root may raise it */
		CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
		limit.rlim_cur = limit.rlim_max;
		CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
		fd = limit.rlim_cur > 103000 ? fd : (int)limit.rlim_cur - 1;
	}
	if (watched_by())
		fd = 900; /* valgrind keeps the highest for itself */
	printf("# number %d\n", fd);
	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(dup2(p[0], fd), fd);
	struct waiter w = { .fd = fd };
	struct co *co = start(wait_in_read, &w);
	CHECK_EQ(co_status(co), CO_WAITING);
	CHECK_EQ(write(p[1], "x", 1), 1);
	run_loop();
	end(co);
	CHECK_EQ(w.got, 1);
	CHECK_EQ(close(fd), 0);
	close(p[0]);
	close(p[1]);
}

static void *open_and_close(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	for (int i = 0; i < rounds(2000); i++) {
		int p[2];
		char c;
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
		CHECK_EQ(write(p[0], "x", 1), 1);
		CHECK_EQ(read(p[1], &c, 1), 1);
		CHECK_EQ(close(p[0]), 0);
		CHECK_EQ(read(p[1], &c, 1), 0);
		CHECK_EQ(close(p[1]), 0);
	}
	return arg;
}

static void two_threads(void)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, open_and_close, NULL), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}

/* --- G: with a clock of our own, so that days take no time ------------------------------------------------ */

enum { DAY = 24 * 3600 };
#define SECOND_NS INT64_C(1000000000)

struct timed {
	int fd;
	struct timeval limit;
	int64_t took_ns;
	ssize_t got;
	int error;
	bool writes;
};

static void *wait_timed(void *arg)
{
	struct timed *t = arg;
	static char buf[1000 * 1000];

	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(setsockopt(t->fd, SOL_SOCKET, t->writes ? SO_SNDTIMEO : SO_RCVTIMEO, &t->limit, sizeof(t->limit)), 0);
	int64_t begin = co_now_ns();
	errno = 0;
	t->got = t->writes ? write(t->fd, buf, sizeof(buf)) : read(t->fd, buf, sizeof(buf));
	t->error = errno;
	t->took_ns = co_now_ns() - begin;
	return NULL;
}

static void for_ever(void)
{
	int s[2];

	co_set_clock(&jumping_clock);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	struct timed t = { .fd = s[0] }; /* {0, 0}: G02 */
	struct co *co = start(wait_timed, &t);
	CHECK_EQ(co_sleep_ms(INT64_C(1000) * 100 * DAY), 0);
	CHECK_EQ(co_status(co), CO_WAITING);
	CHECK_EQ(write(s[1], "x", 1), 1);
	run_loop();
	end(co);
	CHECK_EQ(t.got, 1);
}

static void timeouts(void)
{
	static const struct timeval limits[] = { { 0, 900 }, { 1, 0 }, { 2, 500000 }, { 25 * DAY, 0 }, { 3000 * DAY, 1 } };
	int s[2];

	co_set_clock(&jumping_clock);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	for (int i = 0; i < 5; i++) {
		struct timed t = { .fd = s[0], .limit = limits[i] };
		struct timeval kernels; /* rounds up to its ticks */
		socklen_t len = sizeof(kernels);
		struct co *co = start(wait_timed, &t);
		run_loop();
		end(co);
		CHECK_EQ(t.got, -1);
		CHECK_EQ(t.error, EAGAIN);
		CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &kernels, &len), 0);
		CHECK_EQ(t.took_ns, kernels.tv_sec * SECOND_NS + kernels.tv_usec * 1000);
		CHECK(t.took_ns >= limits[i].tv_sec * SECOND_NS + limits[i].tv_usec * 1000);
	}
	CHECK_FAILS(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limits[0], 3), -1, EINVAL); /* G03: libc's */
}

/* G08: the peer takes a little every 30 seconds. */
static void *slow_peer(void *arg)
{
	static char buf[64 * 1024];
	const int *fd = arg;

	CHECK_EQ(co_enable_hook_sys(), 0);
	for (int i = 0; i < 5; i++) {
		sleep(30);
		CHECK(read(*fd, buf, sizeof(buf)) > 0);
	}
	return NULL;
}

static void one_deadline(void)
{
	int s[2];

	co_set_clock(&jumping_clock);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	struct timed t = { .fd = s[0], .limit = { 100, 0 }, .writes = true };
	struct co *a = start(wait_timed, &t), *b = start(slow_peer, &s[1]);
	run_loop();
	end(a);
	end(b);
	CHECK(t.got > 0 && t.got < 1000 * 1000);
	CHECK_EQ(t.took_ns, 100 * SECOND_NS);
}

static int n_sigpipe;

static void count_sigpipe(int signal)
{
	(void)signal;
	n_sigpipe++;
}

static void *write_to_nobody(void *arg)
{
	int p[2], s[2];

	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(pipe(p), 0);
	close(p[0]);
	CHECK_FAILS(write(p[1], "x", 1), -1, EPIPE);
	CHECK_EQ(n_sigpipe, 1);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	close(s[0]);
	CHECK_FAILS(write(s[1], "x", 1), -1, EPIPE);
	CHECK_EQ(n_sigpipe, 2);
	CHECK_FAILS(send(s[1], "x", 1, MSG_NOSIGNAL), -1, EPIPE);
	CHECK_EQ(n_sigpipe, 2);
	CHECK_FAILS(write(999, "x", 1), -1, EBADF);
	CHECK_FAILS(send(s[1], "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL), -1, EPIPE); /* G04 */
	CHECK_EQ(n_sigpipe, 2);
	close(p[1]);
	close(s[1]);
	return arg;
}

static void *write_one(void *arg)
{
	struct waiter *w = arg;

	CHECK_EQ(co_enable_hook_sys(), 0);
	w->got = write(w->fd, "x", 1);
	w->error = errno;
	return NULL;
}

enum { MUCH = 1000000 };

static void *write_much(void *arg)
{
	static const char much[MUCH];
	struct waiter *w = arg;

	CHECK_EQ(co_enable_hook_sys(), 0);
	w->got = write(w->fd, much, MUCH);
	w->error = errno;
	return NULL;
}

static void write_errors(void)
{
	int s[2];
	char buf[4096] = { 0 };

	signal(SIGPIPE, count_sigpipe);
	end(start(write_to_nobody, NULL));

	/* A write to AF_UNIX that waits is told without a signal: so does the kernel. */
	n_sigpipe = 0;
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	while (send(s[0], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	struct waiter w = { .fd = s[0] };
	struct co *co = start(write_one, &w);
	CHECK_EQ(co_status(co), CO_WAITING);
	while (recv(s[1], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	close(s[1]);
	run_loop();
	end(co);
	CHECK_EQ(w.got, -1);
	CHECK_EQ(w.error, EPIPE);
	CHECK_EQ(n_sigpipe, 0);
	close(s[0]);

	/* Nor does one that has written a part: it returns that. */
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	w = (struct waiter){ .fd = s[0] };
	co = start(write_much, &w);
	CHECK_EQ(co_status(co), CO_WAITING);
	CHECK_EQ(shutdown(s[0], SHUT_WR), 0);
	while (recv(s[1], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	run_loop();
	end(co);
	CHECK(w.got > 0 && w.got < MUCH);
	CHECK_EQ(n_sigpipe, 0);
	close(s[0]);
	close(s[1]);
}

/* A pipe takes it in parts, and the call returns when all of it is in there. */
static void whole_writes(void)
{
	static char buf[MUCH];
	ssize_t got = 0, n;
	int p[2];

	CHECK_EQ(pipe2(p, O_NONBLOCK), 0);
	CHECK_EQ(fcntl(p[1], F_SETFL, 0), 0); /* the writer's end alone blocks */
	struct waiter w = { .fd = p[1] };
	struct co *co = start(write_much, &w);
	CHECK_EQ(co_status(co), CO_WAITING);
	while ((n = read(p[0], buf, sizeof(buf))) > 0 || co_status(co) != CO_DONE) {
		got += n > 0 ? n : 0;
		CHECK_EQ(co_reschedule(), 0);
	}
	end(co);
	CHECK_EQ(w.got, MUCH);
	CHECK_EQ(got, MUCH);
	close(p[0]);
	close(p[1]);
}

/* Every call that waits lets others run: G12, G13. */
static int ends[2]; /* a socket pair */

static void *supply_later(void *arg)
{
	n_ticks = 0;
	is_over = false;
	while (n_ticks < 3 && !is_over)
		CHECK_EQ(co_sleep_ms(1), 0);
	CHECK_EQ(send(ends[1], "x", 1, MSG_DONTWAIT), 1);
	return arg;
}

static void *call_it(void *arg)
{
	char c;
	struct iovec iov = { &c, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd entry = { .fd = ends[0], .events = POLLIN };
	struct timespec t = { 0, 5 * 1000 * 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	CHECK_EQ(co_enable_hook_sys(), 0);
	switch ((intptr_t)arg) {
	case 0: CHECK_EQ(read(ends[0], &c, 1), 1); break;
	case 1: CHECK_EQ(readv(ends[0], &iov, 1), 1); break;
	case 2: CHECK_EQ(recv(ends[0], &c, 1, 0), 1); break;
	case 3: CHECK_EQ(recvfrom(ends[0], &c, 1, 0, NULL, NULL), 1); break;
	case 4: CHECK_EQ(recvmsg(ends[0], &msg, 0), 1); break;
	case 5: CHECK_EQ(poll(&entry, 1, -1), 1); break;
	case 6: CHECK_EQ(ppoll(&entry, 1, NULL, NULL), 1); break;
	case 7: CHECK_EQ(select(ends[0] + 1, &set, NULL, NULL, NULL), 1); break;
	case 8: CHECK_EQ(pselect(ends[0] + 1, &set, NULL, NULL, NULL, NULL), 1); break;
	case 9: CHECK_EQ(usleep(5000), 0); break;
	case 10: CHECK_EQ(nanosleep(&t, NULL), 0); break;
	case 11: CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL), 0); break;
	case 12: CHECK_EQ(poll(NULL, 0, 5), 0); break;
	case 13: CHECK_EQ(select(0, NULL, NULL, NULL, &(struct timeval){ 0, 5000 }), 0); break;
	case 14: CHECK_EQ(sleep(1), 0); break;
	}
	return NULL;
}

static void others_run(void)
{
	co_set_clock(&jumping_clock); /* by the real one, the thread may be kept from running for all of a short sleep */
	for (intptr_t i = 0; i < 15; i++) {
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		struct co *co = start(supply_later, NULL);
		int n = ticks_during(call_it, (void *)i);
		if (n < 2)
			printf("# call %d\n", (int)i);
		CHECK(n >= 2); /* the first tick comes when the call has been made */
		run_loop();
		end(co);
		close(ends[0]);
		close(ends[1]);
	}
}

/* --- sleeps ------------------------------------------------------------------------------------------------- */

static struct timespec in_20_ms(clockid_t clock)
{
	struct timespec t;
	CHECK_EQ(clock_gettime(clock, &t), 0);
	t.tv_nsec += 20 * 1000 * 1000;
	if (t.tv_nsec >= SECOND_NS) {
		t.tv_sec++;
		t.tv_nsec -= SECOND_NS;
	}
	return t;
}

static bool is_before(struct timespec a, struct timespec b)
{
	return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

static void *sleep_in_all_ways(void *arg)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME };
	struct timespec t, now, left = { 77, 77 }, bad = { 0, SECOND_NS }, negative = { -1, 0 };

	CHECK_EQ(co_enable_hook_sys(), 0);
	for (int i = 0; i < 3; i++)
		for (int is_absolute = 0; is_absolute < 2; is_absolute++) {
			struct timespec until = in_20_ms(clocks[i]), length = { 0, 20 * 1000 * 1000 };
			t = is_absolute ? until : length;
			errno = 99;
			CHECK_EQ(clock_nanosleep(clocks[i], is_absolute ? TIMER_ABSTIME : 0, &t, &left), 0);
			CHECK_EQ(errno, 99);
			CHECK_EQ(clock_gettime(clocks[i], &now), 0);
			CHECK(!is_before(now, until));
			CHECK_EQ(clock_nanosleep(clocks[i], TIMER_ABSTIME, &until, NULL), 0); /* past */
		}
	struct timespec until = in_20_ms(CLOCK_MONOTONIC);
	CHECK_EQ(usleep(20 * 1000), 0);
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	CHECK(!is_before(now, until));
	until = in_20_ms(CLOCK_MONOTONIC);
	t = (struct timespec){ 0, 20 * 1000 * 1000 };
	CHECK_EQ(nanosleep(&t, &left), 0);
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	CHECK(!is_before(now, until));
	CHECK_EQ(left.tv_sec, 77);
	CHECK_FAILS(nanosleep(&bad, NULL), -1, EINVAL);
	CHECK_FAILS(nanosleep(&negative, NULL), -1, EINVAL);
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL), EINVAL);
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &negative, NULL), EINVAL);
	CHECK_EQ(clock_nanosleep(99, 0, &t, NULL), EINVAL);
	CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EINVAL);
	CHECK_EQ(usleep(0), 0);
	CHECK_EQ(sleep(0), 0);
	return arg;
}

static void sleeps(void)
{
	CHECK(ticks_during(sleep_in_all_ways, NULL) >= 8); /* one in each sleep */
}

static void *sleep_long(void *arg)
{
	struct timespec t = { 86400, 5 };

	CHECK_EQ(co_enable_hook_sys(), 0);
	int64_t begin = co_now_ns();
	CHECK_EQ(sleep(4000000000), 0);
	CHECK_EQ(co_now_ns() - begin, 4000000000 * SECOND_NS);
	begin = co_now_ns();
	CHECK_EQ(usleep(4000000000), 0);
	CHECK_EQ(co_now_ns() - begin, 4000 * SECOND_NS);
	begin = co_now_ns();
	CHECK_EQ(nanosleep(&t, NULL), 0);
	CHECK_EQ(co_now_ns() - begin, 86400 * SECOND_NS + 5);
	begin = co_now_ns();
	CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL), 0);
	CHECK_EQ(co_now_ns() - begin, 86400 * SECOND_NS + 5);
	CHECK_EQ(poll(NULL, 0, 3600 * 1000), 0);
	struct timeval tv = { 3600, 0 };
	begin = co_now_ns();
	CHECK_EQ(select(0, NULL, NULL, NULL, &tv), 0);
	CHECK_EQ(co_now_ns() - begin, 3600 * SECOND_NS);
	CHECK_EQ(tv.tv_sec, 0);
	tv = (struct timeval){ 1, 3 * 1000 * 1000 + 7 }; /* Linux allows that */
	begin = co_now_ns();
	CHECK_EQ(select(0, NULL, NULL, NULL, &tv), 0);
	CHECK_EQ(co_now_ns() - begin, 4 * SECOND_NS + 7000);
	CHECK_FAILS(select(-1, NULL, NULL, NULL, &tv), -1, EINVAL);
	tv.tv_sec = -1;
	CHECK_FAILS(select(0, NULL, NULL, NULL, &tv), -1, EINVAL);
	return arg;
}

static void long_sleeps(void)
{
	co_set_clock(&jumping_clock);
	struct co *co = start(sleep_long, NULL);
	run_loop();
	end(co);
}

/* A socket that is writable has no exceptions: nobody looks at it for an hour. */
static void *wait_for_exceptions(void *arg)
{
	struct timeval hour = { 3600, 0 };
	fd_set set;

	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	uint64_t before = co_loop_stats().turns;
	CHECK_EQ(select(ends[0] + 1, NULL, NULL, &set, &hour), 0);
	CHECK(co_loop_stats().turns - before < 20);
	CHECK(!FD_ISSET(ends[0], &set));
	close(ends[0]);
	close(ends[1]);
	return arg;
}

static void waits_are_not_in_vain(void)
{
	co_set_clock(&jumping_clock);
	struct co *co = start(wait_for_exceptions, NULL);
	run_loop();
	end(co);
}

/* The mask is for the time of the call: what it lets through ends the call. */
static int n_usr1;

static void count_usr1(int signal)
{
	(void)signal;
	n_usr1++;
}

static void *call_with_mask(void *arg)
{
	struct pollfd entry = { .fd = ends[0], .events = POLLIN };
	bool is_select = arg != NULL;
	sigset_t none, before;
	fd_set set;

	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	sigemptyset(&none);
	CHECK_EQ(co_enable_hook_sys(), 0);
	if (is_select)
		CHECK_FAILS(pselect(ends[0] + 1, &set, NULL, NULL, NULL, &none), -1, EINTR);
	else
		CHECK_FAILS(ppoll(&entry, 1, NULL, &none), -1, EINTR);
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
	CHECK(sigismember(&before, SIGUSR1));
	return arg;
}

static void masks(void)
{
	sigset_t usr1;

	signal(SIGUSR1, count_usr1);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	for (int i = 0; i < 4; i++) {
		if (i < 2) /* it is there already */
			raise(SIGUSR1);
		CHECK_EQ(n_usr1, i);
		struct co *co = start(call_with_mask, i % 2 ? &usr1 : NULL);
		if (i >= 2) { /* it comes while the call waits */
			CHECK_EQ(co_status(co), CO_WAITING);
			raise(SIGUSR1);
			CHECK_EQ(co_sleep_ns(0), 0);
			CHECK_EQ(n_usr1, i); /* others do not have that mask */
		}
		run_loop();
		end(co);
		CHECK_EQ(n_usr1, i + 1);
	}
	close(ends[0]);
	close(ends[1]);
}

/* --- the environment ------------------------------------------------------------------------------------------ */

static void *own_variables(void *arg)
{
	const char *mine = arg;

	CHECK_EQ(strcmp(getenv("CO_A"), "process"), 0); /* off: the process's */
	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(strcmp(getenv("CO_A"), "process"), 0); /* E13 */
	CHECK(getenv("CO_B") == NULL);
	CHECK_EQ(setenv("CO_A", "no", 0), 0); /* it has a value */
	CHECK_EQ(strcmp(getenv("CO_A"), "process"), 0);
	CHECK_EQ(setenv("CO_A", mine, 1), 0);
	CHECK_EQ(setenv("CO_B", mine, 0), 0);
	CHECK_EQ(co_yield_ct(), 0); /* others set theirs */
	CHECK_EQ(strcmp(getenv("CO_A"), mine), 0);
	CHECK_EQ(strcmp(getenv("CO_B"), mine), 0);
	CHECK_EQ(setenv("CO_A", "", 1), 0);
	CHECK_EQ(strcmp(getenv("CO_A"), ""), 0);
	CHECK_EQ(setenv("CO_A", "no", 0), 0);
	CHECK_EQ(strcmp(getenv("CO_A"), ""), 0);
	CHECK_EQ(unsetenv("CO_A"), 0);
	CHECK(getenv("CO_A") == NULL);
	CHECK_EQ(setenv("CO_A", "again", 0), 0);
	CHECK_EQ(strcmp(getenv("CO_A"), "again"), 0);
	co_disable_hook_sys();
	CHECK_EQ(strcmp(getenv("CO_A"), "process"), 0);
	CHECK_EQ(co_enable_hook_sys(), 0);
	CHECK_EQ(strcmp(getenv("CO_A"), "again"), 0);
	CHECK_EQ(setenv("CO_OTHER", "all", 1), 0); /* not listed */
	CHECK_FAILS(setenv("", "x", 1), -1, EINVAL);
	CHECK_FAILS(setenv("CO=A", "x", 1), -1, EINVAL);
	CHECK_FAILS(unsetenv("CO=A"), -1, EINVAL);
	CHECK_EQ(co_yield_ct(), 0);
	return arg;
}

static void environment(void)
{
	static char names[2][10] = { "CO_A", "CO_C" };
	const char *first[] = { names[0], names[1] }, *second[] = { "CO_B" }, *bad[] = { "CO_D", "" }, *bad2[] = { "A=B" },
		   *bad3[] = { NULL };

	CHECK_EQ(setenv("CO_A", "process", 1), 0);
	CHECK_EQ(co_set_env_list(first, 2), 0);
	memset(names, 'x', sizeof(names)); /* it has copied them */
	CHECK_EQ(co_set_env_list(second, 1), 0); /* E14 */
	CHECK_EQ(co_set_env_list(NULL, 0), 0);
	CHECK_FAILS(co_set_env_list(bad, 2), -1, EINVAL);
	CHECK_FAILS(co_set_env_list(bad2, 1), -1, EINVAL);
	CHECK_FAILS(co_set_env_list(bad3, 1), -1, EINVAL);

	struct co *a = start(own_variables, (void *)"a"), *b = start(own_variables, (void *)"b");
	CHECK_EQ(strcmp(getenv("CO_A"), "process"), 0);
	CHECK_EQ(co_resume(a), 0);
	CHECK_EQ(co_resume(b), 0);
	CHECK_EQ(strcmp(getenv("CO_OTHER"), "all"), 0);
	CHECK_EQ(co_reset(a), 0); /* forgets them: it checks that again */
	CHECK_EQ(co_resume(a), 0);
	CHECK_EQ(co_release(a), 0);
	CHECK_EQ(co_release(b), 0);
	CHECK_EQ(strcmp(getenv("CO_A"), "process"), 0);
}

/* --- releasing one that waits in a hooked call ------------------------------------------------------------------- */

/* Blocks that the library and the hooks hold. */
static _Atomic long n_blocks;

void *__real_malloc(size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_malloc(size_t len)
{
	n_blocks++;
	return __real_malloc(len);
}

void *__real_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_calloc(size_t n, size_t len)
{
	n_blocks++;
	return __real_calloc(n, len);
}

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
	n_blocks -= p != NULL;
	__real_free(p);
}

static char much[2 * 1000 * 1000];

static void *wait_somehow(void *arg)
{
	char c[10];
	fd_set set;
	struct iovec iov[2] = { { c, 5 }, { c + 5, 5 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	CHECK_EQ(co_enable_hook_sys(), 0);
	switch ((intptr_t)arg) {
	case 0: read(ends[0], c, 1); break;
	case 1: recvmsg(ends[0], &msg, MSG_WAITALL); break;
	case 2: select(ends[0] + 1, &set, NULL, NULL, NULL); break;
	case 3: poll(&(struct pollfd){ .fd = ends[0], .events = POLLIN }, 1, -1); break;
	case 4: sleep(1000); break;
	case 5: write(ends[0], much, sizeof(much)); break;
	case 6: send(ends[0], much, sizeof(much), 0); break;
	}
	CHECK(!"it is released here");
	return NULL;
}

static void release_while_waiting(void)
{
	long before = 0;

	for (intptr_t k = 0; k < 21; k++) {
		intptr_t i = k % 7;
		if (k == 7) /* by now there is all that stays */
			before = n_blocks;
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		if (i == 1)
			CHECK_EQ(write(ends[1], "abc", 3), 3);
		struct co *co = start(wait_somehow, (void *)i);
		CHECK_EQ(co_status(co), CO_WAITING);
		CHECK_EQ(co_release(co), 0);
		run_loop();
		close(ends[0]);
		close(ends[1]);
	}
	CHECK_EQ(n_blocks, before);
}

static const struct test_case cases[] = {
	{ "switch", "A11: each coroutine has a switch of its own; a reset turns it off", switch_is_its_own, 0, NULL },
	{ "fresh_thread", "A18: the switch makes the thread's environment", switch_on_fresh_thread, 0, NULL },
	{ "when", "F14: with the switch on a call lets others run; off, never on, or after a reset it is libc's", when_hooked, 0, NULL },
	{ "no_coroutines", "on a thread without coroutines all calls are libc's", without_coroutines, 0, NULL },
	{ "callback", "in the loop's callback too", in_the_callback, 0, NULL },
	{ "other_stack", "G17: and in a handler on a stack of its own", on_another_stack, 0, NULL },
	{ "inside", "G17: and in a handler that has interrupted the library", inside_the_library, 0, NULL },
	{ "costs", "a call that need not wait makes one, two or three system calls", costs, 0, NULL },
	{ "close", "D03: close tells whoever reads there: EBADF", close_wakes, 0, NULL },
	{ "reused", "D03, F10: a number that was closed behind our back and means another file now", reused, 0, NULL },
	{ "fcntl", "F01, F02: fcntl is libc's", fcntl_unknown, 0, NULL },
	{ "nonblocking", "F03, F12: the user's O_NONBLOCK counts, whoever set it", nonblocking_is_seen, 0, NULL },
	{ "unknown", "F06, F08, F09, F14: descriptors from anywhere just work, and keep their flags", unknown_descriptors, 0, NULL },
	{ "hidden_flag", "F09: dup and stdio see a blocking socket", no_hidden_flag, 0, NULL },
	{ "stale", "F10: nothing is remembered of what a number was", stale_record, 0, NULL },
	{ "high_number", "F11: descriptors above 102400", high_number, 0, NULL },
	{ "two_threads", "F13: two threads open and close", two_threads, 0, NULL },
	{ "for_ever", "G01, G02: without a timeout a read waits for ever", for_ever, 0, NULL },
	{ "timeouts", "G02, G03: SO_RCVTIMEO from 900 us to 3000 days is kept", timeouts, 0, NULL },
	{ "one_deadline", "G08: SO_SNDTIMEO is for the call, not for each wait in it", one_deadline, 0, NULL },
	{ "write_errors", "G04, G06: one EPIPE, one SIGPIPE; none with MSG_NOSIGNAL", write_errors, 0, NULL },
	{ "whole_writes", "a write to a pipe that takes it in parts writes all", whole_writes, 0, NULL },
	{ "others_run", "G12, G13: every call that waits lets others run", others_run, 0, NULL },
	{ "sleeps", "G12: no sleep is early, on any clock, and others run", sleeps, 0, NULL },
	{ "long_sleeps", "sleeps of hours and days are exact", long_sleeps, 0, NULL },
	{ "not_in_vain", "who waits for an hour is left alone for an hour", waits_are_not_in_vain, 0, NULL },
	{ "masks", "G12: a signal that ppoll's or pselect's mask lets through ends the call", masks, 0, NULL },
	{ "environment", "A11, E13, E14, E15: listed variables are each coroutine's own", environment, 0, NULL },
	{ "release", "a coroutine that waits in a hooked call can be released", release_while_waiting, 0, NULL },
};

TEST_MAIN(cases)
