/* SPDX-License-Identifier: MIT */
/*
 * Waiting for descriptors: one epoll set per thread, any number of waiters, and
 * numbers that mean another file from one moment to the next.
 *
 * The ids in the sentences (D02) are libco's defects, by our list of them.
 */
#include <pthread.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "epoll.h"
#include "kernel.h"
#include "sleep.h"
#include "timer.h"

/* --- somebody who waits ------------------------------------------------------------ */

struct wait {
	struct co_waiter waiter;
	struct co *co;
	int error;    /* of co_watch */
	int n_fired;
	uint32_t got; /* the events that it was fired with */
	bool is_done; /* its coroutine has gone on */
};

static void fired(struct co_waiter *waiter, uint32_t events)
{
	struct wait *w = container_of(waiter, struct wait, waiter);

	CHECK(!list_linked(&waiter->node));
	w->n_fired++;
	w->got = events;
	co_wake(w->co);
}

static void cancelled(struct co *co)
{
	co_unwatch(&((struct wait *)co->waits_in)->waiter);
}

static void *wait_once(void *arg)
{
	struct wait *w = arg;

	w->co = co_self();
	w->waiter.fire = fired;
	w->error = co_watch(&w->waiter) == 0 ? 0 : errno;
	if (w->error)
		return arg;
	CHECK_EQ(co_park(cancelled, w, NULL), 0);
	w->is_done = true;
	return arg;
}

/* Start a coroutine that waits for @events of @fd; it must be left to wait. */
static struct wait *wait_for(int fd, uint32_t events)
{
	struct wait *w = calloc(1, sizeof(*w));

	w->waiter.fd = fd;
	w->waiter.events = events;
	start(wait_once, w);
	CHECK_EQ(w->error, 0);
	CHECK_EQ(w->n_fired, 0);
	co_epoll_check();
	return w;
}

/* Take a look: has @w got these events? 0: it still waits. What does not hold is said
 * of the caller's line. */
#define CHECK_GOT(w, events) check_got(w, events, __LINE__)

static void check_got(struct wait *w, uint32_t events, int line)
{
	settle();
	co_epoll_check();
	check_eq(w->got, events, "w->got", "events", __FILE__, line);
	check_eq(w->n_fired, events != 0, "w->n_fired", "events != 0", __FILE__, line);
	check_eq(w->is_done, events != 0, "w->is_done", "events != 0", __FILE__, line);
}

static void end_wait(struct wait *w)
{
	CHECK_EQ(co_release(w->co), 0);
	co_epoll_check();
	free(w);
}

/* The same and be rid of it. */
static void end_with(struct wait *w, uint32_t events, int line)
{
	check_got(w, events, line);
	end_wait(w);
}

#define END_WITH(w, events) end_with(w, events, __LINE__)

/* --- events ----------------------------------------------------------------------------- */

static void one(void)
{
	int p[2];

	make_pipe(p);
	struct wait *w = wait_for(p[0], EPOLLIN);
	CHECK_GOT(w, 0);
	put(p[1]);
	CHECK_GOT(w, EPOLLIN);
	put(p[1]);
	END_WITH(w, EPOLLIN); /* once */
	END_WITH(wait_for(p[0], EPOLLIN), EPOLLIN); /* it was there before */
	END_WITH(wait_for(p[1], EPOLLOUT), EPOLLOUT);
}

static void two_on_one_fd(void)
{
	for (int reader_first = 0; reader_first < 2; reader_first++) {
		int p[2];
		struct wait *r, *w;

		make_pair(p, SOCK_STREAM);
		fill(p[0]);
		if (reader_first) {
			r = wait_for(p[0], EPOLLIN);
			w = wait_for(p[0], EPOLLOUT);
		} else {
			w = wait_for(p[0], EPOLLOUT);
			r = wait_for(p[0], EPOLLIN);
		}
		CHECK_GOT(r, 0);
		CHECK_GOT(w, 0);
		put(p[1]);
		END_WITH(r, EPOLLIN);
		CHECK_GOT(w, 0);
		r = wait_for(p[0], EPOLLPRI); /* the writer is still waited for */
		drain(p[1]);
		settle();
		CHECK_EQ(w->n_fired, 1);
		CHECK(w->got & EPOLLOUT);
		CHECK(w->is_done);
		end_wait(w);
		END_WITH(r, 0);
		close(p[0]);
		close(p[1]);
	}
}

enum { MANY = 60 };

static void many_on_one_fd(void)
{
	struct wait *r[MANY], *w[MANY];
	int p[2];

	make_pair(p, SOCK_STREAM);
	fill(p[0]);
	for (int i = 0; i < MANY; i++) {
		r[i] = wait_for(p[0], EPOLLIN);
		w[i] = wait_for(p[0], EPOLLOUT);
	}
	end_wait(r[7]); /* some change their minds */
	end_wait(w[8]);
	r[7] = wait_for(p[0], EPOLLIN);
	w[8] = wait_for(p[0], EPOLLOUT);
	put(p[1]);
	for (int i = 0; i < MANY; i++) {
		END_WITH(r[i], EPOLLIN);
		CHECK_GOT(w[i], 0);
	}
	drain(p[0]);
	drain(p[1]);
	for (int i = 0; i < MANY; i++)
		END_WITH(w[i], EPOLLOUT);
}

/* Events that libco drops: libco's table knows IN, OUT, RDNORM, WRNORM, ERR, HUP. */
static void all_events(void)
{
	int p[2];

	make_pair(p, SOCK_STREAM);
	END_WITH(wait_for(p[0], EPOLLWRNORM), EPOLLWRNORM);
	END_WITH(wait_for(p[0], EPOLLWRNORM | EPOLLOUT), EPOLLWRNORM | EPOLLOUT);
	struct wait *in = wait_for(p[0], EPOLLRDNORM), *band = wait_for(p[0], EPOLLRDBAND);
	struct wait *hup = wait_for(p[0], EPOLLRDHUP), *pri = wait_for(p[0], EPOLLPRI), *none = wait_for(p[0], 0);
	put(p[1]);
	END_WITH(in, EPOLLRDNORM);
	CHECK_GOT(hup, 0);
	shutdown(p[1], SHUT_WR);
	END_WITH(hup, EPOLLRDHUP);
	END_WITH(pri, 0);
	END_WITH(band, 0);
	CHECK_GOT(none, 0);
	close(p[1]);
	END_WITH(none, EPOLLHUP);
}

/* What nobody asked for, but everybody is told. */
static void hangup_tells_all(void)
{
	struct wait *w[4];
	int p[2];
	static const uint32_t events[4] = { EPOLLIN, 0, EPOLLPRI, EPOLLIN };

	make_pipe(p);
	for (int i = 0; i < 4; i++)
		w[i] = wait_for(p[0], events[i]);
	close(p[1]);
	for (int i = 0; i < 4; i++)
		END_WITH(w[i], EPOLLHUP);
	close(p[0]);

	make_pipe(p);
	fill(p[1]);
	struct wait *out = wait_for(p[1], EPOLLOUT), *none = wait_for(p[1], 0);
	CHECK_GOT(none, 0);
	close(p[0]);
	settle();
	CHECK(out->got & EPOLLERR);
	CHECK(none->got & EPOLLERR);
	end_wait(out);
	end_wait(none);
}

/* More than one call of epoll_wait brings. */
static void crowd(void)
{
	enum { N = 300 };
	static int p[N][2];
	struct wait *w[N];
	int n = is_under_valgrind() ? N / 2 : N;

	for (int i = 0; i < n; i++) {
		make_pipe(p[i]);
		w[i] = wait_for(p[i][0], EPOLLIN);
	}
	for (int i = 0; i < n; i++)
		put(p[i][1]);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0); /* nobody waits any more: it returns */
	for (int i = 0; i < n; i++)
		END_WITH(w[i], EPOLLIN);
}

static void high_numbers(void)
{
	int p[2], high = 900;
	struct rlimit lim;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &lim), 0);
	make_pipe(p);
	struct wait *low = wait_for(p[0], EPOLLIN);
	for (int i = 0; i < 4; i++, high = high * 3 / 2) {
		if ((rlim_t)high >= lim.rlim_cur)
			break;
		CHECK_EQ(dup2(p[0], high), high);
		struct wait *w = wait_for(high, EPOLLIN), *next = wait_for(p[1], EPOLLPRI);
		CHECK_GOT(w, 0);
		end_wait(next);
		end_wait(w);
		close(high);
	}
	put(p[1]);
	END_WITH(low, EPOLLIN);
}

/* --- errors --------------------------------------------------------------------------------- */

static struct wait bad;

static void check_refused(int fd, int error)
{
	bad = (struct wait){ .waiter = { .fd = fd, .events = EPOLLIN, .fire = fired } };
	CHECK_FAILS(co_watch(&bad.waiter), -1, error);
	CHECK(!list_linked(&bad.waiter.node));
	co_unwatch(&bad.waiter); /* no harm */
	co_epoll_check();
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0); /* nobody waits */
}

static void refused(void)
{
	char name[] = "/tmp/costep-XXXXXX";
	int file = mkstemp(name), dir = open("/tmp", O_RDONLY | O_DIRECTORY), null = open("/dev/null", O_RDWR);
	int closed = dup(file), p[2];

	unlink(name);
	make_pipe(p);
	end_wait(wait_for(p[0], EPOLLIN)); /* the set has its number */
	close(closed);
	check_refused(-1, EBADF);
	check_refused(INT_MIN, EBADF);
	check_refused(closed, EBADF);
	check_refused(file, EPERM);
	check_refused(dir, EPERM);
	check_refused(null, EPERM);
	close(file);
	check_refused(file, EBADF);
}

/* A number that nobody could have opened costs no table. */
static void refused_high(void)
{
	static const int numbers[] = { 1000, 1 << 20, 1 << 26, 1 << 30, (1 << 30) + 1, INT_MAX - 1, INT_MAX };

	check_refused(-1, EBADF);
	size_t mapped = mapped_bytes();
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		check_refused(numbers[i], EBADF);
	if (!watched_by())
		CHECK(mapped_bytes() - mapped < 4 << 20);
}

/* --- unwatch, release, reset ------------------------------------------------------------------- */

static void unwatch(void)
{
	int p[2];

	make_pipe(p);
	struct wait *a = wait_for(p[0], EPOLLIN), *b = wait_for(p[0], EPOLLIN);
	uint64_t calls = co_loop_stats().syscalls;
	co_unwatch(&a->waiter);
	co_unwatch(&a->waiter); /* twice: no harm */
	co_epoll_check();
	CHECK_EQ(co_loop_stats().syscalls, calls);
	put(p[1]);
	END_WITH(b, EPOLLIN);
	CHECK_GOT(a, 0);
	end_wait(a);
	calls = co_loop_stats().syscalls;
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0); /* nobody waits: it is over, and nothing is asked */
	CHECK_EQ(co_loop_stats().syscalls, calls);
}

static void *sleep_a_little(void *arg)
{
	CHECK_EQ(co_sleep_ms(50), 0);
	return arg;
}

/* I1: it disturbs once. Without ONESHOT it would report again and again. */
static void stale_registration(void)
{
	int p[2], q[2];

	make_pipe(p);
	make_pipe(q);
	struct wait *gone = wait_for(p[0], EPOLLIN), *stays = wait_for(q[0], EPOLLIN);
	end_wait(gone);
	put(p[1]);
	start(sleep_a_little, NULL);
	uint64_t sleeps = co_loop_stats().sleeps;
	CHECK_EQ(co_sleep_ms(60), 0);
	CHECK(co_loop_stats().sleeps - sleeps <= 5);
	END_WITH(stays, 0);
	/* One that fired and is not waited for again, neither. */
	END_WITH(wait_for(p[0], EPOLLIN), EPOLLIN);
	sleeps = co_loop_stats().sleeps;
	start(sleep_a_little, NULL);
	CHECK_EQ(co_sleep_ms(60), 0);
	CHECK(co_loop_stats().sleeps - sleeps <= 5);
}

static void release_waiting(void)
{
	int p[2];

	make_pair(p, SOCK_STREAM);
	for (int by_reset = 0; by_reset < 2; by_reset++) {
		struct wait *a = wait_for(p[0], EPOLLIN), *b = wait_for(p[0], EPOLLIN);
		if (by_reset)
			CHECK_EQ(co_reset(a->co), 0);
		end_wait(a);
		settle();
		put(p[1]);
		END_WITH(b, EPOLLIN);
		drain(p[0]);
	}
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
}

/* Some thread that ends while its coroutines wait. */
static void *leave_waiters(void *arg)
{
	int p[2];

	make_pipe(p);
	for (int i = 0; i < 3; i++) {
		bad = (struct wait){ .waiter = { .fd = p[0], .events = EPOLLIN } };
		start(wait_once, &bad);
		CHECK_EQ(co_reset(bad.co), 0);
		CHECK_EQ(co_resume(bad.co), 0);
		if (i < 2)
			CHECK_EQ(co_release(bad.co), 0);
	}
	close(p[0]);
	close(p[1]);
	return arg;
}

static void thread_ends(void)
{
	size_t n = count_fds();

	on_thread(leave_waiters, NULL);
	CHECK_EQ(count_fds(), n);
}

/* --- a number is closed ------------------------------------------------------------------------- */

static void closing(void)
{
	int p[2], q[2];

	co_fd_closing(0); /* nobody waits for anything */
	make_pipe(p);
	make_pipe(q);
	struct wait *a = wait_for(p[0], EPOLLIN), *b = wait_for(p[0], EPOLLPRI), *c = wait_for(q[0], EPOLLIN);
	co_fd_closing(-1);
	co_fd_closing(INT_MAX);
	co_fd_closing(p[1]);
	CHECK_GOT(a, 0);
	co_fd_closing(p[0]);
	close(p[0]);
	co_fd_closing(p[0]);
	END_WITH(a, EPOLLNVAL);
	END_WITH(b, EPOLLNVAL);
	CHECK_GOT(c, 0);
	put(q[1]);
	END_WITH(c, EPOLLIN);
}

/* A handler that has interrupted co_fd_closing, and says it of another number. The two would
 * change the same lists at once: nobody is told. */
static int closed_by_handler;

static void close_another(int sig)
{
	(void)sig;
	co_fd_closing(closed_by_handler);
}

static volatile int n_fired_in_between; /* raise is said to call nothing of ours */

static void be_interrupted(struct co_waiter *waiter, uint32_t events)
{
	(void)waiter, (void)events;
	raise(SIGUSR1);
}

static void count_fired(struct co_waiter *waiter, uint32_t events)
{
	(void)waiter, (void)events;
	n_fired_in_between++;
}

static void closing_in_a_handler(void)
{
	int p[2], q[2];

	make_pipe(p);
	make_pipe(q);
	struct co_waiter a = { .fd = p[0], .events = EPOLLIN, .fire = be_interrupted };
	struct co_waiter b = { .fd = q[0], .events = EPOLLIN, .fire = count_fired };
	closed_by_handler = q[0];
	signal(SIGUSR1, close_another);
	CHECK_EQ(co_watch(&a), 0);
	CHECK_EQ(co_watch(&b), 0);
	co_fd_closing(p[0]);
	CHECK_EQ(n_fired_in_between, 0);
	raise(SIGUSR1); /* it has interrupted nobody but us */
	CHECK_EQ(n_fired_in_between, 1);
	co_epoll_check();
}

/* The number of a waiter gets another file, without a word to us. */
static void reused(void)
{
	for (int alive = 0; alive < 2; alive++) { /* is the old file kept open by a dup? */
		int p[2], q[2], dupped = -1;

		make_pair(p, SOCK_STREAM);
		make_pair(q, SOCK_STREAM);
		struct wait *old = wait_for(p[0], EPOLLIN), *old2 = wait_for(p[0], EPOLLPRI);
		if (alive)
			dupped = dup(p[0]);
		CHECK_EQ(dup2(q[0], p[0]), p[0]);
		CHECK_GOT(old, 0); /* nobody can know yet */
		struct wait *w = wait_for(p[0], EPOLLIN);
		END_WITH(old, EPOLLNVAL);
		END_WITH(old2, EPOLLNVAL);
		CHECK_GOT(w, 0);
		if (alive) {
			put(p[1]); /* the old file's event, and its number */
			CHECK_GOT(w, 0);
			uint64_t sleeps = co_loop_stats().sleeps;
			CHECK_EQ(co_sleep_ms(30), 0);
			CHECK(co_loop_stats().sleeps - sleeps <= 3); /* it comes once */
			CHECK_GOT(w, 0);
			close(dupped);
		}
		put(q[1]);
		END_WITH(w, EPOLLIN);
		close(p[0]), close(p[1]), close(q[0]), close(q[1]);
	}
}

/* An event of the old file that is on its way when the number is used again. */
static void reused_in_between(void)
{
	int p[2], q[2];

	make_pair(p, SOCK_STREAM);
	make_pair(q, SOCK_STREAM);
	struct wait *old = wait_for(p[0], EPOLLIN);
	int dupped = dup(p[0]);
	put(p[1]);
	CHECK_EQ(dup2(q[0], p[0]), p[0]);
	struct wait *w = wait_for(p[0], EPOLLIN);
	END_WITH(old, EPOLLNVAL);
	CHECK_GOT(w, 0);
	put(q[1]);
	END_WITH(w, EPOLLIN);
	close(dupped);
}

/* libco: "next event follows a freed pointer". */
static void closed_with_a_dup(void)
{
	int p[2];

	make_pair(p, SOCK_STREAM);
	struct wait *gone = wait_for(p[0], EPOLLIN);
	int dupped = dup(p[0]), number = p[0];
	end_wait(gone);
	close_raw(p[0]);
	put(p[1]);
	struct wait *w = wait_for(dupped, EPOLLIN); /* another number of the same file */
	END_WITH(w, EPOLLIN);
	uint64_t sleeps = co_loop_stats().sleeps;
	CHECK_EQ(co_sleep_ms(30), 0);
	CHECK(co_loop_stats().sleeps - sleeps <= 3);
	/* Back to where it was: the set knows it already, by a registration that we
	 * have not forgotten. */
	CHECK_EQ(dup2(dupped, number), number);
	END_WITH(wait_for(number, EPOLLIN), EPOLLIN);
}

/* There and back: the set still knows the first file under this number. */
static void there_and_back(void)
{
	int p[2], q[2];

	make_pair(p, SOCK_STREAM);
	make_pair(q, SOCK_STREAM);
	end_wait(wait_for(p[0], EPOLLIN));
	int first = dup(p[0]), number = p[0];
	CHECK_EQ(dup2(q[0], number), number);
	end_wait(wait_for(number, EPOLLIN));
	CHECK_EQ(dup2(first, number), number);
	struct wait *w = wait_for(number, EPOLLIN);
	CHECK_GOT(w, 0);
	put(p[1]);
	END_WITH(w, EPOLLIN);
}

/* One that no epoll set takes is another file, too. */
static void reused_by_a_file(void)
{
	int p[2], file = open("/", O_RDONLY | O_DIRECTORY);

	make_pipe(p);
	struct wait *old = wait_for(p[0], EPOLLIN);
	int first = dup(p[0]), number = p[0];
	CHECK_EQ(dup2(file, number), number);
	bad = (struct wait){ .waiter = { .fd = number, .events = EPOLLIN, .fire = fired } };
	CHECK_FAILS(co_watch(&bad.waiter), -1, EPERM);
	END_WITH(old, EPOLLNVAL);
	/* And back: the set has never forgotten the first one. */
	CHECK_EQ(dup2(first, number), number);
	struct wait *w = wait_for(number, EPOLLIN);
	CHECK_GOT(w, 0);
	put(p[1]);
	END_WITH(w, EPOLLIN);
}

/* While one of several is told, the number is found to be another file. */
static void reused_found_by_event(void)
{
	int p[2], q[2];

	make_pair(p, SOCK_STREAM);
	make_pair(q, SOCK_STREAM);
	struct wait *in = wait_for(p[0], EPOLLIN), *pri = wait_for(p[0], EPOLLPRI);
	int dupped = dup(p[0]);
	put(p[1]);
	CHECK_EQ(dup2(q[0], p[0]), p[0]);
	END_WITH(in, EPOLLIN);
	END_WITH(pri, EPOLLNVAL);
	close(dupped);
	/* And one that is closed. */
	make_pair(p, SOCK_STREAM);
	in = wait_for(p[0], EPOLLIN), pri = wait_for(p[0], EPOLLPRI);
	dupped = dup(p[0]);
	put(p[1]);
	close_raw(p[0]);
	END_WITH(in, EPOLLIN);
	settle();
	CHECK_EQ(pri->n_fired, 1); /* it looks, and finds out */
	end_wait(pri);
}

static void *close_it(void *arg)
{
	close_raw(*(int *)arg);
	return arg;
}

static void closed_by_a_thread(void)
{
	int p[2], q[2];

	make_pair(p, SOCK_STREAM);
	struct wait *old = wait_for(p[0], EPOLLIN);
	on_thread(close_it, &p[0]);
	CHECK_GOT(old, 0); /* as in plain C */
	make_pair(q, SOCK_STREAM);
	CHECK_EQ(q[0], p[0]);
	struct wait *w = wait_for(q[0], EPOLLIN);
	END_WITH(old, EPOLLNVAL);
	put(q[1]);
	END_WITH(w, EPOLLIN);
}

/* --- fork --------------------------------------------------------------------------------------- */

/* What the set has, as the kernel tells it. */
static void read_set(int set, char *text, size_t len)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", set);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	ssize_t n = read(fd, text, len - 1);
	CHECK(n > 0);
	text[n] = 0;
	close(fd);
}

static void fork_child(int p[2], int q[2], struct wait *w)
{
	struct wait *out = wait_for(p[0], EPOLLOUT); /* makes a set of its own */

	END_WITH(out, EPOLLOUT);
	END_WITH(wait_for(q[1], EPOLLOUT), EPOLLOUT);
	CHECK_GOT(w, 0);
	close(q[0]);
	CHECK_EQ(co_sleep_ms(5), 0);
	the_set(); /* one: the parent's is closed */
	put(p[1]);
	END_WITH(w, EPOLLIN); /* what was parked here goes on */
	drain(p[0]);
}

static void forked(void)
{
	static char before[4096], after[4096];
	int p[2], q[2];

	skip_forks_of_coroutines();
	make_pair(p, SOCK_STREAM);
	make_pair(q, SOCK_STREAM);
	struct wait *w = wait_for(p[0], EPOLLIN), *v = wait_for(q[0], EPOLLIN);
	settle();
	read_set(the_set(), before, sizeof(before));
	pid_t pid = fork();
	if (pid == 0) {
		fork_child(p, q, w);
		end_wait(v);
		_exit(0);
	}
	join_child(pid);
	read_set(the_set(), after, sizeof(after));
	if (strcmp(before, after) != 0)
		fprintf(stderr, "before:\n%safter:\n%s", before, after);
	CHECK_EQ(strcmp(before, after), 0);
	CHECK_GOT(w, 0);
	put(p[1]);
	put(q[1]);
	END_WITH(w, EPOLLIN);
	END_WITH(v, EPOLLIN);
}

/* The child's child, and a child that only waits. */
static void forked_twice(void)
{
	int p[2];

	skip_forks_of_coroutines();
	make_pipe(p);
	struct wait *w = wait_for(p[0], EPOLLIN);
	settle();
	pid_t pid = fork();
	if (pid == 0) {
		pid_t grandchild = fork();
		if (grandchild == 0) {
			settle();
			put(p[1]);
			CHECK_GOT(w, EPOLLIN);
			drain(p[0]);
			the_set();
			_exit(0);
		}
		join_child(grandchild);
		CHECK_GOT(w, 0);
		put(p[1]);
		CHECK_GOT(w, EPOLLIN);
		drain(p[0]);
		_exit(0);
	}
	join_child(pid);
	CHECK_GOT(w, 0);
	put(p[1]);
	END_WITH(w, EPOLLIN);
}

static int create_fails(enum kernel_call call)
{
	return call == EPOLL_CREATE ? EMFILE : 0;
}

static void check_is_dir(int fd)
{
	struct stat st;

	CHECK_EQ(fstat(fd, &st), 0);
	CHECK(S_ISDIR(st.st_mode));
}

/* The child has no descriptor left for a set: an error, and none of the others
 * is closed by mistake. Then it has. */
static void forked_without_descriptors(void)
{
	int p[2], files[20];

	skip_forks_of_coroutines();
	make_pipe(p);
	struct wait *w = wait_for(p[0], EPOLLIN);
	settle();
	pid_t pid = fork();
	if (pid == 0) {
		kernel.fails = create_fails;
		for (int i = 0; i < 3; i++) {
			CHECK_FAILS(co_eventloop(NULL, NULL, NULL), -1, EMFILE);
			bad = (struct wait){ .waiter = { .fd = p[1], .events = EPOLLOUT, .fire = fired } };
			CHECK_FAILS(co_watch(&bad.waiter), -1, EMFILE);
			files[i] = open("/", O_RDONLY | O_DIRECTORY); /* the old set's number */
		}
		kernel.fails = NULL;
		CHECK_GOT(w, 0);
		for (int i = 0; i < 3; i++)
			check_is_dir(files[i]);
		put(p[1]);
		CHECK_GOT(w, EPOLLIN);
		_exit(0);
	}
	join_child(pid);
	END_WITH(w, EPOLLIN); /* the child's byte: they share the pipe */
}

static void close_all(int from)
{
	for (int fd = from; fd < 256; fd++)
		syscall(SYS_close, fd);
}

/* A daemon: fork, close everything, open what it needs. That has our number now,
 * and must keep it. */
static void forked_daemon(void)
{
	int p[2];

	make_pipe(p);
	struct wait *w = wait_for(p[0], EPOLLIN);
	CHECK_EQ(co_sleep_ms(1), 0); /* timers may have descriptors, too */
	pid_t pid = fork();
	if (pid == 0) {
		int files[20];

		close_all(3);
		for (int i = 0; i < 20; i++)
			CHECK((files[i] = open("/", O_RDONLY | O_DIRECTORY)) >= 0);
		CHECK_EQ(co_sleep_ms(1), 0);
		settle();
		for (int i = 0; i < 20; i++)
			check_is_dir(files[i]);
		make_pipe(p);
		struct wait *fresh = wait_for(p[0], EPOLLIN);
		CHECK_GOT(fresh, 0);
		put(p[1]);
		CHECK_GOT(fresh, EPOLLIN);
		_exit(0);
	}
	join_child(pid);
	put(p[1]);
	END_WITH(w, EPOLLIN);
}

static void kinds_forked_daemon(void)
{
	static const char *const kinds[] = { "heap", "wheel", "timerfd" };

	skip_forks_of_coroutines();
	for (int i = 0; i < 6; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			setenv("COSTEP_TIMER", kinds[i % 3], 1);
			kernel.no_pwait2 = i < 3 ? 0 : ENOSYS;
			forked_daemon();
			_exit(0);
		}
		join_child(pid);
	}
}

/* --- the set is closed behind our back ---------------------------------------------------------------- */

/* What gets its number: nothing, or a file of each kind. */
static int take_number(int kind, int number)
{
	int p[2], fd = -1;

	switch (kind) {
	case 0:
		return -1;
	case 1:
		make_pipe(p);
		close(p[1] == number ? p[0] : p[1]);
		fd = p[1] == number ? p[1] : p[0];
		break;
	case 2:
		fd = open("/", O_RDONLY | O_DIRECTORY);
	}
	CHECK(fd >= 0);
	if (fd == number)
		return fd;
	CHECK_EQ(dup2(fd, number), number);
	close(fd);
	return number;
}

static void set_closed(void)
{
	for (int kind = 0; kind < 3; kind++) {
		int p[2], q[2];

		make_pair(p, SOCK_STREAM);
		make_pair(q, SOCK_STREAM);
		dup2(q[0], 0);
		struct wait *gone = wait_for(p[0], EPOLLIN), *stays = wait_for(0, EPOLLIN);
		settle();
		int set = the_set(), peer = dup2(q[1], 1000);
		close_all(3);
		int taken = take_number(kind, set);
		uint64_t turns = co_loop_stats().turns, sleeps = co_loop_stats().sleeps;
		CHECK_EQ(co_sleep_ms(20), 0);
		CHECK(co_loop_stats().turns - turns < 20); /* no busy loop */
		CHECK(co_loop_stats().sleeps - sleeps < 20);
		if (kind == 0 && !is_under_valgrind()) /* else its number may be another's by now: our alarm's */
			END_WITH(gone, EPOLLNVAL);
		CHECK_GOT(stays, 0);
		put(peer);
		END_WITH(stays, EPOLLIN);
		if (taken >= 0)
			CHECK(fcntl(taken, F_GETFD) >= 0); /* it is not ours to close */
		close_all(3);
	}
}

/* It is found out by one who wants to wait. */
static void set_closed_then_watch(void)
{
	for (int kind = 0; kind < 3; kind++) {
		int p[2], q[2];

		make_pair(p, SOCK_STREAM);
		make_pair(q, SOCK_STREAM);
		dup2(p[0], 0);
		struct wait *stays = wait_for(0, EPOLLIN);
		int peer = dup2(p[1], 1000), peer2 = dup2(q[1], 1001), set = the_set(), mine = dup2(q[0], 1002);
		close_all(3);
		take_number(kind, set);
		struct wait *w = wait_for(mine, EPOLLIN), *w0 = wait_for(0, EPOLLPRI);
		CHECK_GOT(w, 0);
		CHECK_GOT(stays, 0);
		END_WITH(w0, 0);
		put(peer);
		put(peer2);
		END_WITH(w, EPOLLIN);
		END_WITH(stays, EPOLLIN);
		close_all(3);
		close(peer), close(peer2), close(mine);
	}
}

static void check_no_set(int result)
{
	CHECK_EQ(result, -1);
	CHECK(errno == EBADF || errno == EINVAL); /* EINVAL: the alarm has its number */
}

/* ... and none can be made: an error, not a busy loop. When one can, it goes on. */
static void set_closed_for_good(void)
{
	int p[2], q[2];

	make_pipe(p);
	make_pipe(q);
	struct wait *w = wait_for(p[0], EPOLLIN);
	close_raw(the_set());
	kernel.fails = create_fails;
	for (int i = 0; i < 3; i++) {
		check_no_set(co_eventloop(NULL, NULL, NULL));
		bad = (struct wait){ .waiter = { .fd = q[1], .events = EPOLLOUT, .fire = fired } };
		check_no_set(co_watch(&bad.waiter));
		check_no_set(co_sleep_ms(1000));
	}
	kernel.fails = NULL;
	CHECK_GOT(w, 0);
	put(p[1]);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	END_WITH(w, EPOLLIN);
}

static void close_on_exec(void)
{
	int p[2];

	make_pipe(p);
	end_wait(wait_for(p[0], EPOLLIN));
	CHECK_EQ(fcntl(the_set(), F_GETFD), FD_CLOEXEC);
}

/* --- time: who sleeps, how often, and how long ---------------------------------------------------------- */

enum { CROWD = 1000 };

static int64_t sleep_for_ns;

static void *sleep_long(void *arg)
{
	CHECK_EQ(co_sleep_ns(sleep_for_ns), 0);
	return arg;
}

/* A thousand coroutines, half of them at descriptors, and nothing happens. (valgrind looks
 * through all stacks at each switch.) */
static void idle(void)
{
	static int p[CROWD / 2][2];
	struct rlimit lim;
	int n = is_under_valgrind() ? CROWD / 20 : CROWD, n_fds = n / 2;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &lim), 0);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur < 2 * CROWD)
		n_fds = 100;
	for (int i = 0; i < n; i++) {
		if (i >= n_fds) {
			sleep_for_ns = (int64_t)(3600 + i) * 1000000000;
			start(sleep_long, NULL);
			continue;
		}
		make_pipe(p[i]);
		wait_for(p[i][0], EPOLLIN);
	}
	settle();
	struct co_loop_stats before = co_loop_stats();
	unsigned waits = n_waits(), ctls = kernel.n[EPOLL_CTL];
	CHECK_EQ(co_sleep_ms(1000), 0);
	struct co_loop_stats after = co_loop_stats();
	printf("# a second: %d sleeps, %u waits\n", (int)(after.sleeps - before.sleeps), n_waits() - waits);
	CHECK(after.sleeps - before.sleeps >= 1);
	CHECK(after.sleeps - before.sleeps <= 5);
	CHECK(after.turns - before.turns <= 5);
	CHECK(n_waits() - waits <= 6); /* one more when epoll_pwait2 is found missing */
	CHECK(kernel.n[EPOLL_CTL] - ctls <= 1); /* the alarm's */
	CHECK_EQ(kernel.longest_ms, 0);
	put(p[7][1]); /* and they are still there */
	settle();
	CHECK_EQ(read(p[7][0], &n_fds, 1), 1);
}

static void old_kernel_idle(void)
{
	kernel.no_pwait2 = ENOSYS;
	idle();
}

static void sandbox_idle(void)
{
	kernel.no_pwait2 = EPERM;
	idle();
}

static void timerfd_idle(void)
{
	setenv("COSTEP_TIMER", "timerfd", 1);
	idle();
	CHECK_EQ(kernel.n[EPOLL_PWAIT2], 0); /* it waits for its descriptor */
}

/* Sleeps beside a descriptor: never early, and not rounded to milliseconds. */
static void exact(void)
{
	int p[2];
	int64_t shortest = INT64_MAX;

	make_pipe(p);
	struct wait *w = wait_for(p[0], EPOLLIN);
	unsigned ctls = kernel.n[EPOLL_CTL];
	for (int i = 0; i < 50; i++) {
		int64_t ns = 50000 + i * 7001, begin = co_now_ns();
		CHECK_EQ(co_sleep_ns(ns), 0);
		int64_t took = co_now_ns() - begin;
		CHECK(took >= ns);
		if (took < shortest)
			shortest = took;
	}
	CHECK(kernel.longest_ms <= 0); /* epoll_wait's timeout was never used */
	CHECK(kernel.n[EPOLL_CTL] - ctls <= 1); /* the alarm is registered once */
	if (!watched_by() && !getenv("COSTEP_TIMER"))
		CHECK(shortest < 1000000); /* the best of fifty, not one of them */
	/* An alarm that has gone off does not wake those who sleep for ever. */
	uint64_t sleeps = co_loop_stats().sleeps;
	start(sleep_a_little, NULL);
	CHECK_EQ(co_sleep_ms(60), 0);
	if (!getenv("COSTEP_TIMER") || strcmp(getenv("COSTEP_TIMER"), "wheel") != 0)
		CHECK(co_loop_stats().sleeps - sleeps <= 6);
	CHECK_GOT(w, 0);
	put(p[1]);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	END_WITH(w, EPOLLIN);
}

static void old_kernel_exact(void)
{
	kernel.no_pwait2 = ENOSYS;
	exact();
	CHECK_EQ(kernel.n[EPOLL_PWAIT2], 1); /* asked once, not again and again */
}

static void sandbox_exact(void)
{
	kernel.no_pwait2 = EPERM;
	exact();
	CHECK_EQ(kernel.n[EPOLL_PWAIT2], 1);
}

static void timerfd_exact(void)
{
	setenv("COSTEP_TIMER", "timerfd", 1);
	exact();
}

static void wheel_exact(void)
{
	setenv("COSTEP_TIMER", "wheel", 1);
	exact();
}

/* Only time passes, then something happens to a descriptor for whom no timer runs:
 * an old alarm must not be in the way. */
static void *put_later(void *arg)
{
	CHECK_EQ(co_sleep_ns(200000), 0);
	put(*(int *)arg);
	return arg;
}

static void alarm_then_none(void)
{
	int p[2], q[2];
	char c;

	kernel.no_pwait2 = ENOSYS;
	make_pipe(p);
	make_pipe(q);
	CHECK_EQ(fcntl(q[0], F_SETFL, 0), 0);
	struct wait *w = wait_for(p[0], EPOLLIN);
	start(put_later, &p[1]);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	END_WITH(w, EPOLLIN);
	w = wait_for(q[0], EPOLLIN);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(20000);
		put(q[1]);
		_exit(0);
	}
	uint64_t sleeps = co_loop_stats().sleeps;
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0); /* no time limit: the alarm is silent */
	CHECK(co_loop_stats().sleeps - sleeps <= 3);
	join_child(pid);
	CHECK_EQ(read(q[0], &c, 1), 1);
	END_WITH(w, EPOLLIN);
}

/* The alarm's descriptor was closed, and its number is somebody's. */
static void alarm_closed(void)
{
	int p[2];

	for (int kind = 0; kind < 3; kind++) {
		kernel.no_pwait2 = ENOSYS;
		make_pipe(p);
		struct wait *w = wait_for(p[0], EPOLLIN);
		CHECK_EQ(co_sleep_ms(1), 0);
		close_all(the_set() + 1); /* the set stays, whatever came after it goes */
		make_pipe(p);
		take_number(kind, the_set() + 3);
		CHECK_EQ(co_sleep_ms(1), 0);
		CHECK_EQ(co_sleep_ms(1), 0);
		end_wait(w);
		close_all(the_set() + 1);
	}
}

/* The set is closed, the alarm is not; or both, by a fork. */
static void alarm_in_a_new_set(void)
{
	int p[2];

	skip_forks_of_coroutines();
	kernel.no_pwait2 = ENOSYS;
	make_pipe(p);
	struct wait *w = wait_for(p[0], EPOLLIN);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(co_sleep_ms(1), 0);
		CHECK_EQ(co_sleep_ms(1), 0);
		close_raw(the_set());
	}
	CHECK_EQ(co_sleep_ms(1), 0);
	pid_t pid = fork();
	CHECK_EQ(co_sleep_ms(1), 0);
	CHECK_EQ(co_sleep_ms(1), 0);
	if (pid == 0)
		_exit(0);
	join_child(pid);
	END_WITH(w, 0);
}

static void *reschedule_for_ever(void *arg)
{
	for (;; ++*(long *)arg)
		CHECK_EQ(co_reschedule(), 0);
	return NULL;
}

static void *set_flag_after_sleep(void *arg)
{
	CHECK_EQ(co_sleep_ms(5), 0);
	*(bool *)arg = true;
	return arg;
}

static int stop_when_set(void *arg)
{
	const bool *flags = arg;
	return flags[0] && flags[1] ? -1 : 0;
}

/* Two that never rest; beside them somebody waits and somebody sleeps. */
static void starvation(void)
{
	static long n[2];
	static bool flags[2];
	int p[2];

	make_pipe(p);
	struct wait *w = wait_for(p[0], EPOLLIN);
	start(reschedule_for_ever, &n[0]);
	start(reschedule_for_ever, &n[1]);
	start(set_flag_after_sleep, &flags[0]);
	flags[1] = true;
	CHECK_EQ(co_eventloop(NULL, stop_when_set, flags), 0);
	CHECK_EQ(n[0] - n[1] <= 1 && n[1] - n[0] <= 1, true);
	put(p[1]);
	END_WITH(w, EPOLLIN);
}

/* --- signals, errors of the wait -------------------------------------------------------------------------- */

static volatile sig_atomic_t n_signals;

static void count_signal(int signal)
{
	(void)signal;
	n_signals++;
}

static void signals(void)
{
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, off = { 0 };
	int p[2];

	make_pipe(p);
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = count_signal }, NULL);
	struct wait *w = wait_for(p[0], EPOLLIN);
	for (int i = 0; i < 2; i++) {
		setitimer(ITIMER_REAL, &often, NULL);
		for (int k = 0; k < 20; k++) {
			int64_t begin = co_now_ns();
			CHECK_EQ(co_sleep_ms(2), 0);
			CHECK(co_now_ns() - begin >= 2000000);
		}
		CHECK_GOT(w, 0);
		start(put_later, &p[1]);
		CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
		setitimer(ITIMER_REAL, &off, NULL);
		END_WITH(w, EPOLLIN);
		drain(p[0]);
		w = wait_for(p[0], EPOLLIN);
	}
	CHECK(n_signals > 10);
	end_wait(w);
}

static int wait_error, create_error;

static int wait_fails(enum kernel_call call)
{
	if (call == EPOLL_WAIT || call == EPOLL_PWAIT2)
		return wait_error;
	return call == EPOLL_CREATE ? create_error : 0;
}

static void wait_errors(void)
{
	static const int errors[] = { ENOMEM, EFAULT, EBADF, EINVAL };
	int p[2];

	make_pipe(p);
	struct wait *w = wait_for(p[0], EPOLLIN);
	kernel.fails = wait_fails;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		wait_error = errors[i];
		CHECK_FAILS(co_eventloop(NULL, NULL, NULL), -1, errors[i]);
		CHECK_FAILS(co_sleep_ms(1000), -1, errors[i]);
		CHECK_FAILS(co_reschedule(), -1, errors[i]);
		co_epoll_check();
		co_loop_check();
	}
	kernel.fails = NULL;
	CHECK_GOT(w, 0);
	put(p[1]);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	END_WITH(w, EPOLLIN);
}

/* --- what it costs ---------------------------------------------------------------------------------------- */

static void calls_per_wait(void)
{
	int p[2];

	make_pipe(p);
	end_wait(wait_for(p[0], EPOLLIN));
	for (int i = 0; i < 5; i++) {
		struct wait *other = wait_for(p[0], EPOLLIN);
		uint64_t turns = co_loop_stats().turns;
		CHECK_EQ(co_sleep_ms(1), 0);
		if (!watched_by()) /* who is slow may find the time over before it sleeps */
			CHECK_EQ(co_loop_stats().turns - turns, 1); /* and one turn for a sleep */
		end_wait(other);
		uint64_t calls = co_loop_stats().syscalls;
		unsigned ctls = kernel.n[EPOLL_CTL], waits = n_waits();
		struct wait *w = wait_for(p[0], EPOLLIN);
		put(p[1]);
		CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
		CHECK_EQ(w->got, EPOLLIN);
		CHECK_EQ(kernel.n[EPOLL_CTL] - ctls, 1);
		CHECK_EQ(n_waits() - waits, 1);
		if (!is_under_valgrind()) /* there is no epoll_pwait2: an alarm is put off */
			CHECK_EQ(co_loop_stats().syscalls - calls, 2); /* the statistics count right */
		drain(p[0]);
		end_wait(w);
	}
}

/* One that stays registered with nobody waiting costs no look. */
static void no_waiters_no_calls(void)
{
	int p[2];

	make_pipe(p);
	end_wait(wait_for(p[0], EPOLLIN));
	unsigned waits = n_waits();
	settle();
	CHECK_EQ(n_waits(), waits);
	struct wait *w = wait_for(p[0], EPOLLIN);
	settle();
	CHECK_EQ(n_waits(), waits + 4);
	end_wait(w);
}

static void *short_thread(void *arg)
{
	static _Thread_local struct wait left; /* outlives the environment's end: it is the thread's */
	int p[2];

	make_pipe(p);
	left = (struct wait){ .waiter = { .fd = p[0], .events = EPOLLIN } };
	start(wait_once, &left);
	CHECK_EQ(left.error, 0);
	start(sleep_a_little, NULL);
	CHECK_EQ(co_sleep_ns(1000), 0);
	struct wait *w = wait_for(p[1], EPOLLOUT);
	END_WITH(w, EPOLLOUT);
	close(p[0]);
	close(p[1]);
	return arg;
}

static void many_threads(int old_kernel)
{
	size_t fds = count_fds(), resident = 0;
	int n = rounds(300);

	kernel.no_pwait2 = old_kernel;
	for (int i = 0; i < n; i++) {
		if (i == n / 3)
			resident = resident_bytes();
		on_thread(short_thread, NULL);
		CHECK_EQ(count_fds(), fds);
	}
	if (!watched_by())
		CHECK(resident_bytes() - resident + (1 << 20) < 2 << 20); /* libco: 141 KB for each */
}

static void short_threads(void)
{
	many_threads(0);
}

static void short_threads_old_kernel(void)
{
	many_threads(ENOSYS);
}

static void short_threads_timerfd(void)
{
	setenv("COSTEP_TIMER", "timerfd", 1);
	many_threads(0);
}

static const struct test_case cases[] = {
	{ "one", "one waiter is told once, of what it wants", one, 0, 0 },
	{ "two_on_one_fd", "D02: a reader and a writer wait for one descriptor, each is told", two_on_one_fd, 0, 0 },
	{ "many_on_one_fd", "sixty readers and sixty writers on one descriptor are all told", many_on_one_fd, 0, 0 },
	{ "all_events", "D07: RDHUP, PRI, RDBAND, RDNORM, WRNORM and nothing at all can be waited for", all_events, 0, 0 },
	{ "hangup_tells_all", "D10: hangups and errors are told to all, asked for or not", hangup_tells_all, 0, 0 },
	{ "crowd", "300 descriptors ready at once", crowd, 0, 0 },
	{ "high_numbers", "descriptors of high numbers", high_numbers, 0, 0 },
	{ "refused", "D05: closed and negative numbers are refused, and files: EBADF, EPERM", refused, 0, 0 },
	{ "refused_high", "a high number that is not open costs nothing", refused_high, 0, 0 },
	{ "unwatch", "who waits no more is not told, and that takes no system call", unwatch, 0, 0 },
	{ "stale_registration", "a registration that nobody waits for disturbs once", stale_registration, 0, 0 },
	{ "release_waiting", "A07, A10: one that waits can be released and reset", release_waiting, 0, 0 },
	{ "thread_ends", "a thread can end with waiters", thread_ends, 0, 0 },
	{ "closing", "D03: co_fd_closing tells all who wait for the number, and nobody else", closing, 0, 0 },
	{ "closing_in_a_handler", "D03: not in a handler that has interrupted it", closing_in_a_handler, 0, 0 },
	{ "reused", "a number means another file: the old waiters are told, the old events dropped", reused, 0, 0 },
	{ "reused_in_between", "an event of the old file that is on its way is dropped", reused_in_between, 0, 0 },
	{ "closed_with_a_dup", "D04: a descriptor is closed while a dup keeps its file", closed_with_a_dup, 0, 0 },
	{ "there_and_back", "a number gets its first file back", there_and_back, 0, 0 },
	{ "reused_by_a_file", "a number that means a file of the disk now", reused_by_a_file, 0, 0 },
	{ "reused_found_by_event", "an event finds out that the number is another file", reused_found_by_event, 0, 0 },
	{ "closed_by_a_thread", "a number is closed by another thread, and used again", closed_by_a_thread, 0, 0 },
	{ "forked", "D20: a child of a fork waits by itself and leaves the parent's set alone", forked, 0, 0 },
	{ "forked_twice", "D20: so does a child's child", forked_twice, 0, 0 },
	{ "forked_without_descriptors", "D20: a child that can have no set gets an error", forked_without_descriptors, 0, 0 },
	{ "forked_daemon", "D19, D20: a child that closes all and opens its own keeps its own", kinds_forked_daemon, 0, 0 },
	{ "set_closed", "D19: the set is closed behind our back: no busy loop, all go on", set_closed, 0, 0 },
	{ "set_closed_then_watch", "D19: the same, found out by the next who waits", set_closed_then_watch, 0, 0 },
	{ "set_closed_for_good", "D19: and no other can be made: an error, until one can", set_closed_for_good, 0, 0 },
	{ "close_on_exec", "D20: the set is closed by exec", close_on_exec, 0, 0 },
	{ "idle", "D01: a thousand who wait cost no wakeups", idle, 0, 0 },
	{ "old_kernel_idle", "D01: neither where there is no epoll_pwait2", old_kernel_idle, 0, 0 },
	{ "sandbox_idle", "D01: nor where it is forbidden", sandbox_idle, 0, 0 },
	{ "timerfd_idle", "D01: nor with timers by a timerfd", timerfd_idle, 0, 0 },
	{ "exact", "D17: sleeps beside a descriptor are never early, and finer than a millisecond", exact, 0, 0 },
	{ "old_kernel_exact", "D17: the same without epoll_pwait2", old_kernel_exact, 0, 0 },
	{ "sandbox_exact", "D17: the same with epoll_pwait2 forbidden", sandbox_exact, 0, 0 },
	{ "timerfd_exact", "D17: the same with timers by a timerfd", timerfd_exact, 0, 0 },
	{ "wheel_exact", "D17: never early with a wheel", wheel_exact, 0, 0 },
	{ "alarm_then_none", "an alarm that has gone off disturbs nobody", alarm_then_none, 0, 0 },
	{ "alarm_closed", "the alarm's descriptor is closed behind our back", alarm_closed, 0, 0 },
	{ "alarm_in_a_new_set", "the alarm rings in a new set, too", alarm_in_a_new_set, 0, 0 },
	{ "starvation", "D15: two that never rest keep neither descriptors nor timers from the others", starvation, 0, 0 },
	{ "signals", "signals make no sleep shorter and lose no event", signals, 0, 0 },
	{ "wait_errors", "the loop says what epoll_wait says, and can be run again", wait_errors, 0, 0 },
	{ "calls_per_wait", "D23: one epoll_ctl and one epoll_wait for each wait", calls_per_wait, 0, 0 },
	{ "no_waiters_no_calls", "D23: nobody waits, nothing is asked", no_waiters_no_calls, 0, 0 },
	{ "short_threads", "D21: 300 short threads leave no descriptor and no memory", short_threads, 0, 0 },
	{ "short_threads_old_kernel", "D21: the same without epoll_pwait2", short_threads_old_kernel, 0, 0 },
	{ "short_threads_timerfd", "D21: the same with timers by a timerfd", short_threads_timerfd, 0, 0 },
};

TEST_MAIN(cases)
