/* SPDX-License-Identifier: MIT */
/*
 * Handles for other threads, one thing at a time: what posts, events, closing, misuse,
 * lack of memory and of descriptors do. Many threads at once: t_remote_threads.
 *
 * The linker hands the library's calls to the functions below (WRAP_t_remote in the
 * Makefile).
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "co_poll.h"
#include "epoll.h"
#include "misuse.h"
#include "park.h"
#include "cond.h"
#include "mutex.h"
#include "remote.h"
#include "sharestack.h"
#include "sleep.h"
#include "specific.h"
#include "sys.h"
#include "tools.h"

enum { MS = 1000 * 1000 };

/* --- the calls --------------------------------------------------------------------- */

static int fail_at, n_calls;  /* the number of the call that fails, from 1; 0: none */
static int fail_eventfds;     /* so many, from now on */
static atomic_long n_blocks;  /* what the library holds */
static int last_eventfd = -1;
static void (*in_malloc)(void); /* done in the middle of the next one */

static bool fails_now(int error)
{
	if (!fail_at || ++n_calls != fail_at)
		return false;
	errno = error;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
int __real_eventfd(unsigned count, int flags);
int __real_epoll_ctl(int set, int op, int fd, struct epoll_event *event);

void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	void (*fn)(void) = in_malloc;

	in_malloc = NULL;
	if (fn)
		fn();
	if (fails_now(ENOMEM))
		return NULL;
	n_blocks++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	if (fails_now(ENOMEM))
		return NULL;
	n_blocks++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size)
{
	if (fails_now(ENOMEM))
		return NULL;
	n_blocks += p == NULL;
	return __real_realloc(p, size);
}

void __wrap_free(void *p);
void __wrap_free(void *p)
{
	n_blocks -= p != NULL;
	__real_free(p);
}

int __wrap_eventfd(unsigned count, int flags);
int __wrap_eventfd(unsigned count, int flags)
{
	if (fail_eventfds) {
		fail_eventfds--;
		errno = ENFILE;
		return -1;
	}
	if (fails_now(EMFILE))
		return -1;
	CHECK_EQ(flags & 02004000, 02004000); /* EFD_CLOEXEC, EFD_NONBLOCK */
	return last_eventfd = __real_eventfd(count, flags);
}

int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
	return fails_now(ENOMEM) ? -1 : __real_epoll_ctl(set, op, fd, event);
}

/* --- helpers --------------------------------------------------------------------------- */

static char trace[200];

static void note(void *word)
{
	CHECK(strlen(trace) + strlen(word) < sizeof(trace) - 1);
	strcat(trace, word);
}

static void check_trace(const char *expected)
{
	if (strcmp(trace, expected) != 0) {
		fprintf(stderr, "ran: %s, expected: %s\n", trace, expected);
		CHECK(!"the order is as expected");
	}
	memset(trace, 0, sizeof(trace));
}

static void check_all(void)
{
	co_env_check();
	co_loop_check();
	co_epoll_check();
}

static struct co *start(co_fn *fn, void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, arg), 0);
	CHECK_EQ(co_resume(co), 0);
	return co;
}

/* Two turns: in the first the loop hears of it, in the second those it woke run. */
static void turns(void)
{
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(co_reschedule(), 0);
	check_all();
}

static void *nothing(void *arg)
{
	return arg;
}

static void on_thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, fn, arg), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

static struct co_remote *open_one(void)
{
	struct co_remote *r = co_remote_open();

	CHECK(r != NULL);
	return r;
}

/* How often the eventfd was written to and not read. */
static int count_of(int fd)
{
	char path[64], line[100];
	int count = -1;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(path, "r");
	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "eventfd-count: %x", (unsigned *)&count);
	fclose(f);
	CHECK(count >= 0);
	return count;
}

/* --- posts ---------------------------------------------------------------------------------- */

static pthread_t main_thread;
static int n_run;

static void *yield_once(void *arg)
{
	co_yield_ct();
	return arg;
}

/* What a posted function may do and may not. */
static void try_all(void *arg)
{
	struct co *suspended = arg, *co;

	n_run++;
	CHECK(pthread_equal(pthread_self(), main_thread));
	CHECK_EQ(co_self(), &co_get_curr_thread_env()->main);
	CHECK(!co_may_wait());
	CHECK(!co_get_curr_thread_env()->inside);
	CHECK_FAILS(co_sleep_ms(1), -1, EBUSY);
	CHECK_FAILS(co_reschedule(), -1, EBUSY);
	CHECK_FAILS(co_eventloop(NULL, NULL, NULL), -1, EBUSY);
	CHECK_FAILS(co_yield_ct(), -1, EPERM);
	CHECK_EQ(co_create(&co, NULL, nothing, NULL), 0);
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(co_resume(suspended), 0);
	CHECK_EQ(co_status(suspended), CO_DONE);
}

static struct co_remote *remote;
static struct co *suspended;

static void *post_try_all(void *arg)
{
	CHECK_EQ(co_get_curr_thread_env(), NULL);
	errno = 7;
	CHECK_EQ(co_remote_post(remote, try_all, suspended), 0);
	CHECK_EQ(errno, 7);
	CHECK_EQ(co_get_curr_thread_env(), NULL); /* it stays a thread without coroutines */
	return arg;
}

static void post(void)
{
	main_thread = pthread_self();
	remote = open_one();
	suspended = start(yield_once, NULL);
	on_thread(post_try_all, NULL);
	CHECK_EQ(n_run, 0);
	turns();
	CHECK_EQ(n_run, 1);
	CHECK_EQ(co_release(suspended), 0);
	CHECK_EQ(co_remote_close(remote), 0);
}

static void *post_ten(void *arg)
{
	static char words[10][2];

	for (int i = 0; i < 10; i++) {
		words[i][0] = (char)('0' + i);
		CHECK_EQ(co_remote_post(remote, note, words[i]), 0);
		if (i == 4 && arg)
			CHECK_EQ(co_remote_notify(remote), 0);
	}
	return arg;
}

static void order(void)
{
	remote = open_one();
	for (int i = 0; i < 3; i++) {
		on_thread(post_ten, NULL);
		CHECK_EQ(count_of(last_eventfd), 1);
		turns();
		check_trace("0123456789");
		CHECK_EQ(count_of(last_eventfd), 0);
	}
	post_ten(NULL); /* its own thread may */
	turns();
	check_trace("0123456789");
	CHECK_EQ(co_remote_close(remote), 0);
}

static void post_itself(void *count)
{
	int *n = count;

	if (++*n < 1000)
		CHECK_EQ(co_remote_post(remote, post_itself, n), 0);
}

static void turn_by_turn(void)
{
	int n = 0;

	remote = open_one();
	CHECK_EQ(co_remote_post(remote, post_itself, &n), 0);
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(n, 1);
	for (int i = 0; i < 1100; i++)
		CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(n, 1000);
	CHECK_EQ(co_remote_close(remote), 0);
}

static void close_it(void *arg)
{
	CHECK_EQ(co_remote_close(remote), 0);
	note(arg);
}

/* The loop goes on for the handle's sake, asleep, and ends when it is closed. */
static void *close_later(void *arg)
{
	for (int i = 0; i < 100; i++)
		sched_yield();
	CHECK_EQ(co_remote_post(arg, close_it, "closed"), 0);
	co_remote_drop(arg);
	return arg;
}

static void keeps_loop(void)
{
	pthread_t t;

	remote = open_one();
	CHECK_EQ(pthread_create(&t, NULL, close_later, co_remote_hold(remote)), 0);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	check_trace("closed");
	CHECK(co_loop_stats().sleeps < 20);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	check_all();
}

/* --- events ------------------------------------------------------------------------------------ */

static void *wait_and_note(void *arg)
{
	errno = 0;
	int result = co_remote_wait(remote);
	note(arg);
	if (result != 0)
		note(errno == ESRCH ? "!" : "?");
	return arg;
}

static void *notify_twice(void *arg)
{
	CHECK_EQ(co_remote_notify(remote), 0);
	CHECK_EQ(co_remote_notify(remote), 0);
	return arg;
}

static void events(void)
{
	struct co *co[4];

	remote = open_one();
	on_thread(notify_twice, NULL); /* before anybody waits: they are kept */
	CHECK_EQ(count_of(last_eventfd), 1);
	CHECK_EQ(co_remote_wait(remote), 0);
	co[0] = start(wait_and_note, "a");
	check_trace("a");
	co[1] = start(wait_and_note, "b");
	co[2] = start(wait_and_note, "c");
	co[3] = start(wait_and_note, "d");
	turns();
	check_trace("");
	on_thread(notify_twice, NULL);
	turns();
	check_trace("bc");
	CHECK_EQ(co_status(co[3]), CO_WAITING);
	CHECK_EQ(co_remote_notify(remote), 0);
	turns();
	check_trace("d");
	for (int i = 0; i < 4; i++)
		CHECK_EQ(co_release(co[i]), 0);
	CHECK_EQ(co_remote_close(remote), 0);
}

/* main waits, while a coroutine that waits longer gets the first. */
static void *notify_soon(void *arg)
{
	for (int i = 0; i < 100; i++)
		sched_yield();
	return notify_twice(arg);
}

static void main_waits(void)
{
	pthread_t t;

	remote = open_one();
	struct co *co = start(wait_and_note, "a");
	CHECK_EQ(pthread_create(&t, NULL, notify_soon, NULL), 0);
	CHECK_EQ(co_remote_wait(remote), 0);
	turns();
	check_trace("a");
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(co_release(co), 0);
	CHECK_EQ(co_remote_close(remote), 0);
}

static int64_t now;

static int64_t tell(void)
{
	return now;
}

static void jump(int64_t at_ns)
{
	now = at_ns;
}

static void *wait_to_5(void *arg)
{
	CHECK_FAILS(co_remote_wait_until(remote, 5 * MS), -1, ETIMEDOUT);
	CHECK_EQ(now, 5 * MS);
	note(arg);
	return arg;
}

static void timeout(void)
{
	static const struct co_clock clock = { .now_ns = tell, .sleep_until = jump };

	co_set_clock(&clock);
	remote = open_one();
	struct co *a = start(wait_to_5, "a"), *b = start(wait_and_note, "b");
	CHECK_FAILS(co_remote_wait_until(remote, 3 * MS), -1, ETIMEDOUT);
	CHECK_EQ(now, 3 * MS);
	check_trace("");
	CHECK_EQ(co_sleep_ms(10), 0);
	check_trace("a");
	CHECK_EQ(co_remote_notify(remote), 0); /* b's, although a came first */
	turns();
	check_trace("b");
	/* A time that has passed: take an event if there is one. */
	CHECK_FAILS(co_remote_wait_until(remote, 0), -1, ETIMEDOUT);
	CHECK_EQ(co_remote_notify(remote), 0);
	CHECK_EQ(co_remote_wait_until(remote, 0), 0);
	CHECK_FAILS(co_remote_wait_until(remote, 0), -1, ETIMEDOUT);
	CHECK_EQ(co_release(a), 0);
	CHECK_EQ(co_release(b), 0);
	CHECK_EQ(co_remote_close(remote), 0);
	check_all();
}

/* Who is released with an event in hand hands it on; without one, leaves no trace. */
static void released(void)
{
	long blocks = n_blocks;

	remote = open_one();
	struct co *a = start(wait_and_note, "a"), *b = start(wait_and_note, "b"), *c = start(wait_and_note, "c");
	CHECK_EQ(co_release(b), 0);
	CHECK_EQ(co_remote_notify(remote), 0);
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(co_status(a), CO_READY);
	CHECK_EQ(co_release(a), 0);
	CHECK_EQ(co_status(c), CO_READY);
	CHECK_EQ(co_reset(c), 0); /* nobody is left: it is kept */
	check_all();
	CHECK_EQ(co_remote_wait(remote), 0);
	check_trace("");
	CHECK_EQ(co_release(c), 0);
	CHECK_EQ(co_remote_close(remote), 0);
	CHECK(n_blocks <= blocks + 64); /* loop, timers, epoll, records: the thread's */
}

static void wait_in_post(void *arg)
{
	(void)arg;
	CHECK_FAILS(co_remote_wait(remote), -1, EBUSY);
	CHECK_EQ(co_remote_notify(remote), 0);
	CHECK_EQ(co_remote_wait(remote), 0); /* it need not wait */
	note("x");
}

static void events_in_posts(void)
{
	remote = open_one();
	CHECK_EQ(co_remote_post(remote, wait_in_post, NULL), 0);
	turns();
	check_trace("x");
	CHECK_EQ(co_remote_close(remote), 0);
}

static void notify_in_handler(int sig)
{
	(void)sig;
	CHECK_EQ(co_remote_notify(remote), 0);
}

static void from_a_handler(void)
{
	struct sigaction action = { .sa_handler = notify_in_handler };

	remote = open_one();
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	CHECK_EQ(co_remote_wait_until(remote, 0), 0);
	CHECK_EQ(co_remote_close(remote), 0);
}

/* --- close ----------------------------------------------------------------------------------------- */

static void post_closed(void *arg)
{
	CHECK_FAILS(co_remote_post(remote, note, "never"), -1, ESRCH);
	CHECK_FAILS(co_remote_notify(remote), -1, ESRCH);
	CHECK_FAILS(co_remote_wait(remote), -1, ESRCH);
	CHECK_FAILS(co_remote_close(remote), -1, ESRCH);
	CHECK_FAILS(co_sleep_ms(1), -1, EBUSY); /* in close, too */
	CHECK(!co_may_wait());
	CHECK(!co_get_curr_thread_env()->inside);
	note(arg);
}

static void *close_and_note(void *arg)
{
	CHECK_EQ(co_remote_post(remote, note, "1"), 0);
	CHECK_EQ(co_remote_post(remote, post_closed, "2"), 0);
	CHECK_EQ(co_remote_post(remote, note, "3"), 0);
	CHECK_EQ(co_remote_notify(remote), 0);
	CHECK_EQ(co_remote_close(remote), 0);
	note("closed");
	CHECK(co_may_wait());
	return arg;
}

/* What a posted function resumes, may wait: it is not who runs the loop. */
static void *sleep_once(void *arg)
{
	CHECK_EQ(co_sleep_ms(0), 0);
	note(arg);
	return arg;
}

static void resume_it(void *co)
{
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_status(co), CO_WAITING);
	note("r");
}

static void *close_with_it(void *arg)
{
	CHECK_EQ(co_remote_close(arg), 0);
	return arg;
}

static void resumed_may_wait(void)
{
	struct co *co[2];

	for (int in_close = 0; in_close < 2; in_close++) {
		remote = open_one();
		CHECK_EQ(co_create(&co[0], NULL, sleep_once, "s"), 0);
		CHECK_EQ(co_remote_post(remote, resume_it, co[0]), 0);
		CHECK_EQ(co_create(&co[1], NULL, close_with_it, remote), 0);
		if (!in_close) {
			turns();
			check_trace("r");
		}
		CHECK_EQ(co_resume(co[1]), 0);
		CHECK_EQ(co_status(co[1]), CO_DONE);
		CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
		check_trace(in_close ? "rs" : "s");
		CHECK_EQ(co_release(co[0]), 0);
		CHECK_EQ(co_release(co[1]), 0);
		check_all();
	}
}

static void *use_closed(void *arg)
{
	CHECK_FAILS(co_remote_post(remote, note, "never"), -1, ESRCH);
	CHECK_FAILS(co_remote_notify(remote), -1, ESRCH);
	CHECK_FAILS(co_remote_close(remote), -1, ESRCH);
	CHECK_FAILS(co_remote_wait(remote), -1, ESRCH);
	return arg;
}

static void close_runs_all(void)
{
	size_t fds = (co_remote_close(open_one()), count_fds());

	for (int in_coroutine = 0; in_coroutine < 2; in_coroutine++) {
		long blocks = n_blocks;
		remote = co_remote_hold(open_one());
		struct co *a = start(wait_and_note, "a"), *b = start(wait_and_note, "b");
		if (in_coroutine)
			CHECK_EQ(co_release(start(close_and_note, NULL)), 0);
		else
			close_and_note(NULL);
		check_trace("123closed");
		CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0); /* returns: it is not open */
		check_trace("ab!"); /* a has the event */
		on_thread(use_closed, NULL);
		use_closed(NULL);
		CHECK_EQ(co_release(a), 0);
		CHECK_EQ(co_release(b), 0);
		CHECK_EQ(count_fds(), fds + 1);
		co_remote_drop(remote);
		CHECK_EQ(count_fds(), fds);
		if (in_coroutine)
			CHECK_EQ(n_blocks, blocks);
		check_all();
	}
}

/* One of the posted functions closes: those behind it run in its call. */
static void close_in_post(void)
{
	size_t fds = (co_remote_close(open_one()), count_fds());
	long blocks = n_blocks;

	remote = open_one();
	CHECK_EQ(co_remote_post(remote, note, "1"), 0);
	CHECK_EQ(co_remote_post(remote, close_it, "3"), 0);
	CHECK_EQ(co_remote_post(remote, note, "2"), 0);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	check_trace("123");
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(n_blocks, blocks);
	check_all();
}

/* A waiter that has been woken, and one that is released, after the handle is gone. */
static void close_then_release(void)
{
	long blocks = (co_remote_close(open_one()), co_release(start(nothing, NULL)), n_blocks);

	remote = open_one();
	struct co *a = start(wait_and_note, "a"), *b = start(wait_and_note, "b");
	CHECK_EQ(co_remote_close(remote), 0);
	CHECK_EQ(co_release(a), 0);
	turns();
	check_trace("b!");
	CHECK_EQ(co_release(b), 0);
	CHECK(n_blocks <= blocks + 8);
}

/* Closed after the poster has looked, before it has pushed. */
static void close_now(void)
{
	CHECK_EQ(co_remote_close(remote), 0);
}

static void closed_meanwhile(void)
{
	remote = co_remote_hold(open_one());
	long blocks = n_blocks;
	in_malloc = close_now;
	CHECK_FAILS(co_remote_post(remote, note, "never"), -1, ESRCH);
	CHECK_EQ(n_blocks, blocks);
	turns();
	check_trace("");
	co_remote_drop(remote);
}

static void dropped_too_often(void)
{
	co_remote_drop(open_one());
}

/* --- the descriptor is lost ------------------------------------------------------------------------- */

static void closed_behind(void)
{
	remote = open_one();
	for (int i = 0; i < 3; i++) {
		int fd = last_eventfd;
		if (i < 2)
			CHECK_EQ(co_remote_post(remote, note, "1"), 0); /* its news is lost */
		if (i == 1) {
			sys_close(fd); /* (the hooked close says co_fd_closing) */
			int other = __real_eventfd(0, 0);
			CHECK_EQ(dup2(other, fd), fd); /* another's, from now on */
			if (other != fd)
				sys_close(other);
		}
		co_fd_closing(fd);
		if (i != 1)
			sys_close(fd);
		check_trace(""); /* nothing runs in anybody's call */
		CHECK_EQ(co_remote_post(remote, note, "2"), 0);
		turns();
		check_trace(i < 2 ? "12" : "2");
		if (i == 1) {
			CHECK_EQ(count_of(fd), 0); /* the other one is left alone */
			close(fd);
		}
	}
	CHECK_EQ(co_remote_close(remote), 0);
}

/* What was posted runs, though its news is lost; and what is posted then does too. */
static void goes_on(void)
{
	turns();
	turns();
	check_trace("1");
	CHECK_EQ(co_remote_post(remote, note, "2"), 0);
	turns();
	check_trace("2");
}

/* A program that becomes a daemon closes all: the loop finds out. */
static void closed_all(void)
{
	remote = open_one();
	CHECK_EQ(co_remote_post(remote, note, "1"), 0);
	CHECK_EQ(close_range(3, ~0U, 0), 0);
	goes_on();
	CHECK_EQ(co_remote_close(remote), 0);
}

/* And opens its own, by which all numbers are somebody's again. They are left alone. */
static void open_over(int fds[2], int number)
{
	CHECK_EQ(close_range(3, ~0U, 0), 0);
	do
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	while (fds[1] < number); /* they come in their order */
	if (fds[0] != number)
		fds[1] = fds[0], fds[0] = number;
	CHECK_EQ(write(fds[1], "not yours", 9), 9);
}

static void check_is_alone(int fds[2])
{
	char buf[20];

	CHECK_EQ(recv(fds[0], buf, sizeof(buf), MSG_DONTWAIT), 9);
	CHECK_FAILS(recv(fds[1], buf, sizeof(buf), MSG_DONTWAIT), -1, EAGAIN);
	CHECK_EQ(write(fds[1], "not yours", 9), 9);
}

static void closed_all_and_opened(void)
{
	int fds[2];

	remote = open_one();
	CHECK_EQ(co_remote_post(remote, note, "1"), 0);
	open_over(fds, last_eventfd);
	goes_on();
	CHECK_EQ(co_remote_close(remote), 0);
	check_is_alone(fds);
}

/* And forks, before the loop has looked. */
static void closed_all_and_forked(void)
{
	int fds[2];

	skip_forks_of_coroutines();
	for (int is_dropped = 0; is_dropped < 2; is_dropped++) {
		remote = open_one();
		CHECK_EQ(co_remote_post(remote, note, "1"), 0);
		open_over(fds, last_eventfd);
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0)
			check_is_alone(fds);
		if (!is_dropped)
			goes_on();
		CHECK_EQ(co_remote_close(remote), 0);
		trace[0] = 0;
		if (pid == 0)
			_exit(0);
		join_child(pid);
		check_is_alone(fds);
	}
}

/* No other is to be had, or it cannot be watched: as if closed, but for the owner's
 * reference. And the number that is another file's by then is left alone. */
static void no_other_fd(void)
{
	for (int kind = 0; kind < 2; kind++) {
		remote = open_one();
		int fd = last_eventfd;
		struct co *co = start(wait_and_note, "a");
		CHECK_EQ(co_remote_post(remote, note, "1"), 0);
		if (kind == 0)
			fail_eventfds = 1;
		else
			fail_at = 2; /* eventfd, epoll_ctl */
		n_calls = 0;
		co_fd_closing(fd);
		fail_at = 0;
		CHECK(kind == 0 || n_calls == 2);
		int new_fd = kind == 0 ? fd : last_eventfd;
		CHECK(dup2(0, fd) == fd && dup2(0, new_fd) == new_fd);
		size_t fds = count_fds();
		CHECK_FAILS(co_remote_post(remote, note, "2"), -1, ESRCH);
		CHECK_FAILS(co_remote_notify(remote), -1, ESRCH);
		CHECK_FAILS(co_remote_wait(remote), -1, ESRCH);
		CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
		check_trace("a!");
		CHECK_EQ(co_remote_close(remote), 0); /* what was promised, is kept */
		check_trace("1");
		CHECK_EQ(count_fds(), fds);
		CHECK_EQ(co_release(co), 0);
		check_all();
	}
}

/* The set cannot be told that the eventfd is waited for again. */
static void no_more_watching(void)
{
	size_t fds = (co_remote_close(open_one()), count_fds());

	remote = open_one();
	CHECK_EQ(co_remote_post(remote, note, "1"), 0);
	fail_at = 1;
	n_calls = 0;
	CHECK_EQ(co_reschedule(), 0);
	CHECK(n_calls > 0);
	fail_at = 0;
	check_trace("1");
	CHECK_FAILS(co_remote_post(remote, note, "2"), -1, ESRCH);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(co_remote_close(remote), 0);
	CHECK_EQ(count_fds(), fds);
	check_all();
}

/* --- no memory, no descriptors ------------------------------------------------------------------------- */

/* On a thread that has nothing yet, the call number fail_at fails. */
static void *open_and_fail(void *n_errors)
{
	size_t fds = count_fds();

	n_calls = 0;
	errno = 0;
	struct co_remote *r = co_remote_open();
	bool failed = n_calls >= fail_at;
	fail_at = 0;
	CHECK_EQ(r == NULL, failed);
	if (failed) {
		CHECK(errno == ENOMEM || errno == EMFILE);
		CHECK(count_fds() <= fds + 1); /* the thread's epoll set */
		check_all();
		r = open_one();
		++*(int *)n_errors;
	}
	CHECK_EQ(co_remote_post(r, note, "x"), 0);
	turns();
	check_trace("x");
	CHECK_EQ(co_remote_close(r), 0);
	return NULL;
}

static void open_fails(void)
{
	int n = 0, before;
	long blocks;

	fail_at = 1000;
	on_thread(open_and_fail, &n); /* none fails: what libc keeps for threads, it has then */
	blocks = n_blocks;
	do {
		before = n;
		fail_at = n + 1;
		on_thread(open_and_fail, &n);
		CHECK_EQ(n_blocks, blocks);
	} while (n > before);
	printf("# %d calls can fail\n", n);
	CHECK(n >= 7);

	remote = open_one();
	fail_at = 1;
	n_calls = 0;
	CHECK_FAILS(co_remote_post(remote, note, "never"), -1, ENOMEM);
	n_calls = 0;
	CHECK_FAILS(co_remote_wait(remote), -1, ENOMEM);
	fail_at = 0;
	CHECK_EQ(count_of(last_eventfd), 0);
	CHECK_EQ(co_remote_notify(remote), 0);
	CHECK_EQ(co_remote_wait(remote), 0);
	CHECK_EQ(co_remote_close(remote), 0);
	check_trace("");
	check_all();
}

/* --- what is another thread's -------------------------------------------------------------------------- */

/* Every public call that takes an object, on one of another thread: one table. Its
 * arguments are otherwise right. */
static struct co_remote *alien_remote;
static struct co_loop *alien_loop;
static struct co_cond *alien_cond;
static struct co_mutex *alien_mutex;
static struct co_stack_source *alien_shared;

static void alien_prepare(void)
{
	alien_remote = open_one();
	alien_loop = co_get_epoll_ct();
	alien_cond = co_cond_alloc();
	alien_mutex = co_mutex_alloc();
	alien_shared = co_alloc_sharestack(1, 1);
}

static int set_name(struct co *co)
{
	return co_set_name(co, "x");
}

static int yield_to(struct co *co)
{
	return co_yield(co);
}

static int yield_env(struct co *co)
{
	(void)co;
	return co_yield_env(alien.env);
}

static int result_of(struct co *co)
{
	return co_result(co) ? 0 : -1;
}

static int run_loop(struct co *co)
{
	(void)co;
	return co_eventloop(alien_loop, NULL, NULL);
}

static int stop_loop(struct co *co)
{
	(void)co;
	return co_loop_stop(alien_loop);
}

static int poll_loop(struct co *co)
{
	(void)co;
	return co_poll(alien_loop, NULL, 0, 0);
}

static int close_remote(struct co *co)
{
	(void)co;
	return co_remote_close(alien_remote);
}

static int wait_remote(struct co *co)
{
	(void)co;
	return co_remote_wait(alien_remote);
}

static int wait_remote_until(struct co *co)
{
	(void)co;
	return co_remote_wait_until(alien_remote, 0);
}

static int signal_cond(struct co *co)
{
	(void)co;
	return co_cond_signal(alien_cond);
}

static int broadcast_cond(struct co *co)
{
	(void)co;
	return co_cond_broadcast(alien_cond);
}

static int wait_cond(struct co *co)
{
	(void)co;
	return co_cond_timedwait(alien_cond, 0);
}

static int free_cond(struct co *co)
{
	(void)co;
	return co_cond_free(alien_cond);
}

static int lock_mutex(struct co *co)
{
	(void)co;
	return co_mutex_lock(alien_mutex);
}

static int trylock_mutex(struct co *co)
{
	(void)co;
	return co_mutex_trylock(alien_mutex);
}

static int unlock_mutex(struct co *co)
{
	(void)co;
	return co_mutex_unlock(alien_mutex);
}

static int free_mutex(struct co *co)
{
	(void)co;
	return co_mutex_free(alien_mutex);
}

static int free_shared(struct co *co)
{
	(void)co;
	return co_free_sharestack(alien_shared);
}

static const struct misuse others[] = {
	{ "co_resume", call_resume, &alien.suspended, EXDEV },
	{ "co_reset", call_reset, &alien.suspended, EXDEV },
	{ "co_release", call_release, &alien.suspended, EXDEV },
	{ "co_eventloop", run_loop, NULL, EXDEV },
	{ "co_loop_stop", stop_loop, NULL, EXDEV },
	{ "co_poll", poll_loop, NULL, EXDEV },
	{ "co_remote_close", close_remote, NULL, EXDEV },
	{ "co_remote_wait", wait_remote, NULL, EXDEV },
	{ "co_remote_wait_until", wait_remote_until, NULL, EXDEV },
	{ "co_cond_signal", signal_cond, NULL, EXDEV },
	{ "co_cond_broadcast", broadcast_cond, NULL, EXDEV },
	{ "co_cond_timedwait", wait_cond, NULL, EXDEV },
	{ "co_cond_free", free_cond, NULL, EXDEV },
	{ "co_mutex_lock", lock_mutex, NULL, EXDEV },
	{ "co_mutex_trylock", trylock_mutex, NULL, EXDEV },
	{ "co_mutex_unlock", unlock_mutex, NULL, EXDEV },
	{ "co_mutex_free", free_mutex, NULL, EXDEV },
	{ "co_free_sharestack", free_shared, NULL, EXDEV },
	{ 0 },
};

/* For these the caller has to have coroutines, or they make no sense. */
static const struct misuse others_in_env[] = {
	{ "co_yield", yield_to, &alien.suspended, EXDEV },
	{ "co_yield_env", yield_env, NULL, EXDEV },
	{ "co_result", result_of, &alien.suspended, EXDEV },
	{ "co_set_name", set_name, &alien.suspended, EXDEV },
	{ 0 },
};

static void add_loop(struct misuse_picture *p)
{
	struct co_loop copy = *alien_loop;
	misuse_add(p, &copy, sizeof(copy));
}

static void *misuse_in_coroutine(void *arg)
{
	misuse_all(others, "in a coroutine");
	misuse_all(others_in_env, "in a coroutine");
	return arg;
}

static void *misuse_bare(void *arg)
{
	misuse_all(others, "on a thread without an environment");
	return arg;
}

static void what_is_anothers(void)
{
	alien.prepare = alien_prepare;
	alien_begin();
	misuse_add_more = add_loop;
	misuse_on_thread(misuse_bare);
	co_remote_close(open_one()); /* this thread has all that can be made */
	misuse_all(others, "in main");
	misuse_all(others_in_env, "in main");
	CHECK_EQ(co_release(start(misuse_in_coroutine, NULL)), 0);
	CHECK_EQ(co_remote_post(alien_remote, note, "x"), 0);
	alien_end(); /* its end closes: what was posted runs */
	check_trace("x");
}

static void null(void)
{
	CHECK_FAILS(co_remote_close(NULL), -1, EINVAL);
	CHECK_FAILS(co_remote_post(NULL, note, NULL), -1, EINVAL);
	CHECK_FAILS(co_remote_notify(NULL), -1, EINVAL);
	CHECK_FAILS(co_remote_wait(NULL), -1, EINVAL);
	CHECK_FAILS(co_remote_wait_until(NULL, 0), -1, EINVAL);
	CHECK_EQ(co_remote_hold(NULL), NULL);
	co_remote_drop(NULL);
	CHECK_EQ(co_get_curr_thread_env(), NULL);
	remote = open_one();
	CHECK_FAILS(co_remote_post(remote, NULL, NULL), -1, EINVAL);
	CHECK_EQ(co_remote_close(remote), 0);
}

/* --- the end of a thread ------------------------------------------------------------------ */

static pthread_key_t key;
static int n_ended;

/* A destructor of the program's, called when what it uses has been freed already. */
static void uses_all(void *value)
{
	n_ended++;
	CHECK_EQ(co_sleep_ns(1), 0);
	CHECK(co_alloc_sharestack(1, 64 * 1024) != NULL);
	CHECK(co_remote_open() != NULL);
	struct co *co;
	CHECK_EQ(co_create(&co, NULL, value, NULL), 0);
	CHECK_EQ(co_resume(co), 0);
}

static void *sleeps_for_ever(void *arg)
{
	co_sleep_until(CO_NEVER);
	return arg;
}

static void *has_value(void *arg)
{
	CHECK_EQ(co_setspecific(key, sleeps_for_ever), 0);
	CHECK_EQ(co_yield_ct(), 0);
	return arg;
}

static void *leaves_values(void *arg)
{
	struct co *co;

	for (int i = 0; i < 2; i++) {
		CHECK_EQ(co_create(&co, NULL, has_value, NULL), 0);
		CHECK_EQ(co_resume(co), 0);
	}
	return arg;
}

static void used_by_destructors(void)
{
	pthread_t t;
	long before = n_blocks;
	size_t fds = count_fds();

	CHECK_EQ(co_key_create(&key, uses_all), 0);
	CHECK_EQ(pthread_create(&t, NULL, leaves_values, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(n_ended, 2);
	CHECK_EQ(n_blocks, before);
	CHECK_EQ(count_fds(), fds);
}

static const struct test_case cases[] = {
	{ "post", "a posted function runs on the owner's thread, by its loop, and cannot wait", post, 0, 0 },
	{ "order", "what a thread posts runs in its order, for one write to the eventfd", order, 0, 0 },
	{ "turn_by_turn", "a function that posts itself holds nobody up", turn_by_turn, 0, 0 },
	{ "keeps_loop", "an open handle keeps the loop, asleep; a closed one does not", keeps_loop, 0, 0 },
	{ "events", "each event wakes one, who came first is first, and none is lost", events, 0, 0 },
	{ "main_waits", "main waits for an event by running the loop", main_waits, 0, 0 },
	{ "timeout", "a wait for an event ends at its time, and not before", timeout, 0, 0 },
	{ "released", "who is released with an event in hand hands it on", released, 0, 0 },
	{ "events_in_posts", "a posted function takes an event, and cannot wait for one", events_in_posts, 0, 0 },
	{ "from_a_handler", "a signal handler may notify", from_a_handler, 0, 0 },
	{ "close", "close runs what was posted, wakes who waits; others are told ESRCH", close_runs_all, 0, 0 },
	{ "resumed_may_wait", "a coroutine that a posted function resumes may wait", resumed_may_wait, 0, 0 },
	{ "close_in_post", "a posted function may close its handle", close_in_post, 0, 0 },
	{ "close_then_release", "waiters outlive their handle", close_then_release, 0, 0 },
	{ "closed_meanwhile", "a post that comes as the handle is closed is refused", closed_meanwhile, 0, 0 },
	{ "dropped", "the owner's reference does not go by drop", dropped_too_often, SIGABRT, "co_remote_close" },
	{ "closed_behind", "an eventfd that was closed behind our back is replaced", closed_behind, 0, 0 },
	{ "closed_all", "so it is when all descriptors were", closed_all, 0, 0 },
	{ "closed_all_and_opened", "and what has its number by then is left alone", closed_all_and_opened, 0, 0 },
	{ "closed_all_and_forked", "also by a fork, and by close", closed_all_and_forked, 0, 0 },
	{ "no_other_fd", "if it cannot be replaced, posters are told, and promises kept", no_other_fd, 0, 0 },
	{ "no_more_watching", "so it is if it cannot be watched any more", no_more_watching, 0, 0 },
	{ "open_fails", "without memory or descriptors: an error, and nothing is left", open_fails, 0, 0 },
	{ "used_by_destructors", "what destructors make as their thread ends is ended, too", used_by_destructors, 0, 0 },
	{ "others", "A12: all that is another thread's is refused, and nothing changes", what_is_anothers, 0, 0 },
	{ "null", "NULL is refused", null, 0, 0 },
};

TEST_MAIN(cases)
