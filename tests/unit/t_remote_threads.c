/* SPDX-License-Identifier: MIT */
/*
 * Handles for other threads, with many threads at work: hand-offs that are counted,
 * threads that end at any moment, forks, and what is left behind.
 */
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "epoll.h"
#include "park.h"
#include "remote.h"
#include "sleep.h"
#include "tools.h"

static struct co *start(co_fn *fn, void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, arg), 0);
	CHECK_EQ(co_resume(co), 0);
	return co;
}

static void check_all(void)
{
	co_env_check();
	co_loop_check();
	co_epoll_check();
}

/* --- hand-offs ------------------------------------------------------------------------- */

/* Each of the threads has some coroutines, which post numbered functions to threads
 * picked at random, notify them, and wait for events. All of it must come out exact. */
enum { THREADS = 4, WORKERS = 6, STEPS = 400 };

struct party {
	struct co_remote *remote;
	pthread_t thread;
	int n;                              /* which one it is */
	uint64_t seed;
	unsigned sent[THREADS];             /* functions posted to each; by this thread */
	unsigned seen[THREADS];             /* the next number from each; by this thread */
	_Atomic unsigned n_notified;        /* events that others have made for it */
	unsigned n_events;                  /* that it has taken; by this thread */
	int n_working, n_over;              /* its workers; threads that post nothing more */
};

static struct party parties[THREADS];
static int n_threads;
static pthread_barrier_t all_open, all_over;
static _Thread_local struct party *me;

struct letter {
	struct party *from;
	unsigned number;
};

static void receive(void *arg)
{
	struct letter *letter = arg;

	CHECK_EQ(letter->number, me->seen[letter->from->n]++);
	CHECK_EQ(co_self(), &co_get_curr_thread_env()->main);
	free(letter);
}

static void hear_of_the_end(void *arg)
{
	(void)arg;
	me->n_over++;
}

static void send_to(struct party *to)
{
	struct letter *letter = malloc(sizeof(*letter));

	*letter = (struct letter){ .from = me, .number = me->sent[to->n]++ };
	CHECK_EQ(co_remote_post(to->remote, receive, letter), 0);
}

static void *work(void *arg)
{
	struct rng r = { me->seed * 31 + (uintptr_t)arg + 1 };

	for (int i = rounds(STEPS); i > 0; i--) {
		struct party *to = &parties[rng_below(&r, (unsigned)n_threads)];
		switch (rng_below(&r, 6)) {
		case 0:
			to->n_notified++;
			CHECK_EQ(co_remote_notify(to->remote), 0);
			break;
		case 1:
			if (co_remote_wait_until(me->remote, co_now_ns() + rng_below(&r, 20000)) == 0)
				me->n_events++;
			else
				CHECK_EQ(errno, ETIMEDOUT);
			break;
		case 2:
			CHECK_EQ(co_reschedule(), 0);
			break;
		default:
			send_to(to);
		}
	}
	if (--me->n_working == 0)
		for (int i = 0; i < n_threads; i++)
			CHECK_EQ(co_remote_post(parties[i].remote, hear_of_the_end, NULL), 0);
	return arg;
}

static int until_all_are_over(void *arg)
{
	(void)arg;
	return me->n_over == n_threads ? -1 : 0;
}

static void *party_thread(void *arg)
{
	me = arg;
	CHECK((me->remote = co_remote_open()) != NULL);
	pthread_barrier_wait(&all_open);
	me->n_working = WORKERS;
	for (intptr_t i = 0; i < WORKERS; i++)
		start(work, (void *)i);
	/* With a callback the loop looks each millisecond, without one it must be woken:
	 * both ways are gone. */
	if (me->n % 2)
		CHECK_EQ(co_eventloop(NULL, until_all_are_over, NULL), 0);
	else
		while (me->n_over < n_threads)
			me->n_events += co_remote_wait_until(me->remote, co_now_ns() + 1000000) == 0;
	pthread_barrier_wait(&all_over); /* nobody notifies any more */
	while (co_remote_wait_until(me->remote, 0) == 0)
		me->n_events++;
	CHECK_EQ(errno, ETIMEDOUT);
	CHECK_EQ(me->n_events, me->n_notified);
	check_all();
	CHECK_EQ(co_remote_close(me->remote), 0);
	return arg;
}

static void hand_offs(void)
{
	uint64_t seed = test_seed(1212);
	unsigned n_letters = 0;

	for (n_threads = 2; n_threads <= THREADS; n_threads++) {
		memset(parties, 0, sizeof(parties));
		pthread_barrier_init(&all_open, NULL, (unsigned)n_threads);
		pthread_barrier_init(&all_over, NULL, (unsigned)n_threads);
		for (int i = 0; i < n_threads; i++) {
			parties[i].n = i;
			parties[i].seed = seed + (unsigned)i * 7919;
			CHECK_EQ(pthread_create(&parties[i].thread, NULL, party_thread, &parties[i]), 0);
		}
		for (int i = 0; i < n_threads; i++)
			CHECK_EQ(pthread_join(parties[i].thread, NULL), 0);
		for (int i = 0; i < n_threads; i++)
			for (int j = 0; j < n_threads; j++) {
				CHECK_EQ(parties[i].sent[j], parties[j].seen[i]);
				n_letters += parties[i].sent[j];
			}
	}
	printf("# %u functions posted\n", n_letters);
}

/* --- threads that end while others post ----------------------------------------------------- */

static _Atomic unsigned n_accepted, n_ran;
static _Atomic(struct co_remote *) offered[2]; /* a reference for each poster */
static pthread_t owner_thread;

static void count(void *arg)
{
	CHECK(pthread_equal(pthread_self(), owner_thread));
	n_ran++;
	free(arg);
}

static void end_thread(void *arg)
{
	n_ran++;
	free(arg);
	pthread_exit(NULL);
}

static void *end_in_coroutine(void *arg)
{
	co_reschedule();
	pthread_exit(NULL);
	return arg;
}

static void *wait_to_the_end(void *arg)
{
	if (co_remote_wait(arg) != 0)
		CHECK_EQ(errno, ESRCH);
	return arg;
}

enum ending {
	RETURN,
	CLOSE,
	EXIT_IN_POST,
	CLOSE_IN_COROUTINE,
	EXIT_IN_COROUTINE, /* ThreadSanitizer gives up there */
#ifdef CO_TSAN
	N_ENDINGS = EXIT_IN_COROUTINE,
#else
	N_ENDINGS,
#endif
};

static struct owner {
	enum ending ending;
	int turns;
} owner;

static void *close_in_coroutine(void *arg)
{
	CHECK_EQ(co_remote_close(arg), 0);
	return arg;
}

static void *own_for_a_while(void *arg)
{
	struct co_remote *r = co_remote_open();

	CHECK(r != NULL);
	owner_thread = pthread_self();
	for (int i = 0; i < 2; i++)
		offered[i] = co_remote_hold(r);
	start(wait_to_the_end, r);
	for (int i = 0; i < owner.turns; i++) {
		CHECK_EQ(co_reschedule(), 0);
		sched_yield();
	}
	switch (owner.ending) {
	case CLOSE:
		CHECK_EQ(co_remote_close(r), 0);
		CHECK_EQ(co_reschedule(), 0);
		break;
	case CLOSE_IN_COROUTINE:
		start(close_in_coroutine, r);
		break;
	case EXIT_IN_COROUTINE:
		start(end_in_coroutine, NULL);
		break;
	case EXIT_IN_POST:
		n_accepted++;
		CHECK_EQ(co_remote_post(r, end_thread, malloc(1)), 0);
		break;
	default:
		break;
	}
	if (owner.ending == EXIT_IN_COROUTINE || owner.ending == EXIT_IN_POST)
		co_eventloop(NULL, NULL, NULL);
	check_all();
	return arg;
}

/* Post until told that nobody is there any more. */
static void *post_to_the_end(void *arg)
{
	_Atomic(struct co_remote *) *from = arg;
	struct co_remote *r;

	while (!(r = atomic_exchange(from, NULL)))
		sched_yield();
	for (;;) {
		void *p = malloc(1);
		if (co_remote_post(r, count, p) != 0) {
			CHECK_EQ(errno, ESRCH);
			free(p);
			break;
		}
		n_accepted++;
		if (co_remote_notify(r) != 0)
			CHECK_EQ(errno, ESRCH);
		if (n_accepted % 64 == 0)
			sched_yield();
	}
	CHECK_FAILS(co_remote_post(r, count, NULL), -1, ESRCH);
	CHECK_FAILS(co_remote_close(r), -1, ESRCH);
	co_remote_drop(r);
	return NULL;
}

static void ends_in_the_middle(void)
{
	struct rng r = { test_seed(777) };
	unsigned n = 0;

	for (int round = 0; round < rounds(100) + 2 * N_ENDINGS; round++) {
		pthread_t posters[2], thread;
		n_accepted = n_ran = 0;
		owner = (struct owner){ .ending = round % N_ENDINGS, .turns = (int)rng_below(&r, 10) };
		for (int i = 0; i < 2; i++)
			CHECK_EQ(pthread_create(&posters[i], NULL, post_to_the_end, &offered[i]), 0);
		CHECK_EQ(pthread_create(&thread, NULL, own_for_a_while, NULL), 0);
		for (int i = 0; i < 2; i++)
			CHECK_EQ(pthread_join(posters[i], NULL), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK_EQ(n_ran, n_accepted);
		n += n_ran;
	}
	CHECK(list_empty(&co_envs));
	printf("# %u functions posted\n", n);
}

/* --- what is left ---------------------------------------------------------------------------------- */

static void nothing(void *arg)
{
	(void)arg;
}

static void *leave_open(void *arg)
{
	struct co_remote *r[3];

	for (int i = 0; i < 3; i++)
		CHECK((r[i] = co_remote_open()) != NULL);
	for (int i = 0; i < 3; i++) {
		start(wait_to_the_end, r[i]);
		CHECK_EQ(co_remote_notify(r[2]), 0);
		for (int j = 0; j < 100; j++)
			CHECK_EQ(co_remote_post(r[i], nothing, NULL), 0);
	}
	if (arg)
		CHECK_EQ(co_reschedule(), 0);
	return arg;
}

static void short_threads(int n)
{
	for (intptr_t i = 0; i < n; i++) {
		pthread_t t;
		CHECK_EQ(pthread_create(&t, NULL, leave_open, (void *)(i % 2)), 0);
		CHECK_EQ(pthread_join(t, NULL), 0);
	}
}

static void nothing_is_left(void)
{
	short_threads(20); /* what libc keeps for threads, it has then */
	size_t fds = count_fds(), used = mallinfo2().uordblks, resident = resident_bytes();
	short_threads(watched_by() ? 60 : 300);
	CHECK_EQ(count_fds(), fds);
	CHECK(list_empty(&co_envs));
	printf("# in use %zu -> %zu, resident KiB %zu -> %zu\n", used, mallinfo2().uordblks, resident / 1024,
	       resident_bytes() / 1024);
	if (watched_by())
		return;
	CHECK(mallinfo2().uordblks <= used + 8 * 1024); /* one block of each thread would be more */
	CHECK(resident_bytes() <= resident + 512 * 1024);
}

/* --- fork ---------------------------------------------------------------------------------------- */

static int n_here;

static void run_here(void *arg)
{
	(void)arg;
	n_here++;
}

static void *wait_once(void *arg)
{
	CHECK_EQ(co_remote_wait(arg), 0);
	n_here += 100;
	return arg;
}

static void turns(void)
{
	for (int i = 0; i < 3; i++)
		CHECK_EQ(co_reschedule(), 0);
	check_all();
}

/* Posted and not run yet: runs in both. And from then on each has its own. */
static void forked(void)
{
	int to_parent[2], to_child[2], low = dup(0);
	char c;

	skip_forks_of_coroutines();
	struct co_remote *r = co_remote_open();
	CHECK_EQ(pipe(to_parent), 0);
	CHECK_EQ(pipe(to_child), 0);
	start(wait_once, r);
	CHECK_EQ(co_remote_post(r, run_here, NULL), 0);
	CHECK_EQ(co_remote_notify(r), 0);
	close(low); /* the child's new eventfd gets a lower number at first */
	size_t fds = count_fds();
	pid_t pid = fork();
	if (pid == 0) {
		CHECK_EQ(count_fds(), fds - 1); /* the parent's epoll set is closed */
		turns();
		CHECK_EQ(n_here, 101);
		for (int i = 0; i < 10; i++)
			CHECK_EQ(co_remote_post(r, run_here, NULL), 0);
		CHECK_EQ(write(to_parent[1], "x", 1), 1); /* the parent looks now */
		CHECK_EQ(read(to_child[0], &c, 1), 1);
		turns();
		CHECK_EQ(n_here, 111);
		CHECK_EQ(co_remote_close(r), 0);
		CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
		_exit(0);
	}
	CHECK_EQ(read(to_parent[0], &c, 1), 1);
	turns();
	CHECK_EQ(n_here, 101);
	uint64_t sleeps = co_loop_stats().sleeps;
	CHECK_EQ(co_sleep_ms(5), 0);
	CHECK(co_loop_stats().sleeps <= sleeps + 1); /* the child's posts have not woken us */
	CHECK_EQ(co_remote_post(r, run_here, NULL), 0);
	CHECK_EQ(write(to_child[1], "x", 1), 1);
	join_child(pid);
	turns();
	CHECK_EQ(n_here, 102);
	CHECK_EQ(co_remote_close(r), 0);
}

/* The fork comes in the middle of the loop's look at descriptors. In the child, the set
 * is gone when it looks on. */
static pid_t forked_pid;

static void fork_here(void *arg)
{
	forked_pid = fork();
	if (forked_pid == 0)
		alarm(30); /* else a child that hangs is nobody's */
	CHECK_EQ(co_remote_post(arg, run_here, NULL), 0);
}

static void forked_in_post(void)
{
	skip_forks_of_coroutines();
	struct co_remote *r = co_remote_open();
	start(wait_once, r);
	CHECK_EQ(co_remote_post(r, fork_here, r), 0);
	turns();
	CHECK_EQ(n_here, 1);
	CHECK_EQ(co_remote_notify(r), 0);
	turns();
	CHECK_EQ(n_here, 101);
	CHECK_EQ(co_remote_close(r), 0);
	if (forked_pid == 0)
		_exit(0);
	join_child(forked_pid);
}

/* A handle of a thread that did not come through the fork. */
static void *lend(void *arg)
{
	struct co_remote *r = co_remote_open();

	offered[0] = co_remote_hold(r);
	CHECK_EQ(co_remote_wait(r), 0);
	turns();
	CHECK_EQ(n_here, 1); /* the parent's alone */
	return arg;
}

static void forked_others(void)
{
	pthread_t t;
	struct co_remote *r;

	skip_forks_of_coroutines();
	CHECK_EQ(pthread_create(&t, NULL, lend, NULL), 0);
	while (!(r = offered[0]))
		sched_yield();
	struct co_remote *mine = co_remote_open();
	pid_t pid = fork();
	if (pid == 0) {
		CHECK_FAILS(co_remote_post(r, run_here, NULL), -1, ESRCH);
		CHECK_FAILS(co_remote_notify(r), -1, ESRCH);
		CHECK_FAILS(co_remote_wait(r), -1, ESRCH);
		CHECK_FAILS(co_remote_close(r), -1, ESRCH);
		co_remote_drop(r);
		CHECK_EQ(co_remote_notify(mine), 0);
		CHECK_EQ(co_remote_wait(mine), 0);
		pid_t grandchild = fork();
		if (grandchild == 0) {
			CHECK_EQ(co_remote_notify(mine), 0);
			CHECK_EQ(co_remote_wait(mine), 0);
			CHECK_FAILS(co_remote_notify(r), -1, ESRCH);
			_exit(0);
		}
		join_child(grandchild);
		_exit(0);
	}
	join_child(pid);
	CHECK_EQ(co_remote_post(r, run_here, NULL), 0);
	CHECK_EQ(co_remote_notify(r), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	co_remote_drop(r);
	CHECK_EQ(co_remote_close(mine), 0);
}

/* The child needs no descriptor more than the parent has. */
static void forked_without_descriptors(void)
{
	skip_forks_of_coroutines();
	struct co_remote *r[2];
	struct rlimit limit;

	for (int i = 0; i < 2; i++)
		r[i] = co_remote_open();
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 64;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (dup(0) >= 0)
		;
	CHECK_EQ(errno, EMFILE);
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 2; i++) {
			CHECK_EQ(co_remote_post(r[i], run_here, NULL), 0);
			CHECK_EQ(co_remote_notify(r[i]), 0);
			CHECK_EQ(co_remote_wait(r[i]), 0);
		}
		turns();
		CHECK_EQ(n_here, 2);
		_exit(0);
	}
	join_child(pid);
	turns();
	CHECK_EQ(n_here, 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(co_remote_close(r[i]), 0);
}

/* Forks while others post: the child's own handle works, whatever they were doing. */
static atomic_bool others_end;
static _Atomic unsigned n_posts;

static void *post_for_ever(void *arg)
{
	while (!others_end) {
		CHECK_EQ(co_remote_post(arg, run_here, NULL), 0);
		if (++n_posts % 64 == 0)
			sched_yield();
	}
	co_remote_drop(arg);
	return NULL;
}

static void forked_under_way(void)
{
	pthread_t t[2];

	skip_forks_of_coroutines();
	struct co_remote *r = co_remote_open();
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, post_for_ever, co_remote_hold(r)), 0);
	for (int round = 0; round < rounds(40); round++) {
		CHECK_EQ(co_reschedule(), 0);
		pid_t pid = fork();
		if (pid == 0) {
			turns();
			int before = n_here;
			CHECK_EQ(co_remote_post(r, run_here, NULL), 0);
			CHECK_EQ(co_remote_notify(r), 0);
			CHECK_EQ(co_remote_wait(r), 0);
			turns();
			CHECK_EQ(n_here, before + 1);
			_exit(0);
		}
		join_child(pid);
	}
	others_end = true;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(co_remote_close(r), 0);
	CHECK_EQ(n_here, n_posts);
}

static const struct test_case cases[] = {
	{ "hand_offs", "2 to 4 threads hand each other work: all of it is done, once, in order", hand_offs, 0, 0 },
	{ "ends", "a thread ends while others post: what was accepted has run", ends_in_the_middle, 0, 0 },
	{ "nothing_is_left", "D21: 300 threads that leave handles open leave nothing", nothing_is_left, 0, 0 },
	{ "forked", "a forked child has its own eventfd, and what was posted before", forked, 0, 0 },
	{ "forked_in_post", "also if a posted function forks", forked_in_post, 0, 0 },
	{ "forked_others", "in it the handles of other threads are closed", forked_others, 0, 0 },
	{ "forked_without", "it needs no descriptor more", forked_without_descriptors, 0, 0 },
	{ "forked_under_way", "a fork while others post leaves both in order", forked_under_way, 0, 0 },
};

TEST_MAIN(cases)
