/* SPDX-License-Identifier: MIT */
/* One environment per thread: apart while they run, gone when they end. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "env.h"
#include "park.h"
#include "tools.h"

static void run_threads(int n, void *(*fn)(void *))
{
	pthread_t t[16];

	CHECK(n <= 16);
	for (intptr_t i = 0; i < n; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, fn, (void *)i), 0);
	for (int i = 0; i < n; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
}

static void *yield_for_ever(void *arg)
{
	for (;;)
		co_yield_ct();
	return arg;
}

/* --- workloads side by side ----------------------------------------------------------- */

enum { THREADS = 6, COROUTINES = 50, IDS = 4000 };

/* What one coroutine adds up, so that a mix-up shows. */
struct job {
	struct rng r;
	uint64_t sum, expected;
	struct co *co;
	int thread;
};

static _Thread_local int this_thread;
static uint32_t ids[THREADS][IDS];
static int n_ids[THREADS];
static uint64_t seed;

static uint64_t sum_of(struct rng r, int n)
{
	uint64_t sum = 0;
	while (n--)
		sum += rng_next(&r);
	return sum;
}

static void *add_up(void *arg)
{
	struct job *j = arg;
	struct rng r = j->r;

	for (int i = 0; i < 30; i++) {
		j->sum += rng_next(&r);
		CHECK_EQ(this_thread, j->thread);
		if (i % 3)
			CHECK_EQ(co_reschedule(), 0);
	}
	return j;
}

static void *workload(void *arg)
{
	static struct job jobs[THREADS][COROUTINES];
	int t = (int)(intptr_t)arg;
	struct rng r = { seed + (uint64_t)t * 7919 + 1 };

	this_thread = t;
	for (int step = 0; step < rounds(2000); step++) {
		struct job *j = &jobs[t][rng_below(&r, COROUTINES)];
		switch (rng_below(&r, 4)) {
		case 0:
			if (j->co)
				break;
			*j = (struct job){ .r = { rng_next(&r) | 1 }, .thread = t };
			j->expected = sum_of(j->r, 30);
			CHECK_EQ(co_create(&j->co, NULL, add_up, j), 0);
			CHECK(n_ids[t] < IDS);
			ids[t][n_ids[t]++] = co_id(j->co);
			CHECK_EQ(co_resume(j->co), 0);
			break;
		case 1:
			if (!j->co)
				break;
			if (co_status(j->co) == CO_DONE) {
				CHECK(j->sum == j->expected);
				CHECK_EQ(co_result(j->co), j);
			}
			CHECK_EQ(co_release(j->co), 0);
			j->co = NULL;
			break;
		default:
			if (co_get_curr_thread_env())
				CHECK_EQ(co_reschedule(), 0);
		}
		if (step % 50 == 0) {
			co_env_check();
			co_stack_check();
			co_loop_check();
		}
	}
	return NULL; /* and leaves some behind */
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void side_by_side(void)
{
	static uint32_t sorted[THREADS * IDS];
	int n = 0;

	seed = test_seed(99);
	run_threads(THREADS, workload);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < n_ids[t]; i++)
			sorted[n++] = ids[t][i];
	qsort(sorted, (size_t)n, sizeof(sorted[0]), compare_ids);
	for (int i = 1; i < n; i++)
		CHECK(sorted[i - 1] != sorted[i]);
	printf("# %d coroutines in %d threads, all ids different\n", n, THREADS);
	CHECK(list_empty(&co_envs));
}

/* --- the list of environments ------------------------------------------------------------- */

static pthread_barrier_t barrier;
static pid_t tids[3];

static void *stay_a_while(void *arg)
{
	struct co *co;

	tids[(intptr_t)arg] = (pid_t)syscall(SYS_gettid);
	CHECK_EQ(co_create(&co, NULL, yield_for_ever, NULL), 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return arg;
}

static void list_of_environments(void)
{
	pthread_t t[3];
	struct co *co;
	int n = 0;

	CHECK(list_empty(&co_envs)); /* none before the first co_create */
	CHECK_EQ(co_create(&co, NULL, yield_for_ever, NULL), 0);
	pthread_barrier_init(&barrier, NULL, 4);
	for (intptr_t i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, stay_a_while, (void *)i);
	pthread_barrier_wait(&barrier);
	for (struct list *l = co_envs.next; l != &co_envs; l = l->next, n++) {
		struct co_env *env = container_of(l, struct co_env, in_envs);
		CHECK(env->tid == getpid() || env->tid == tids[0] || env->tid == tids[1] || env->tid == tids[2]);
		CHECK(!list_empty(&env->all));
	}
	CHECK_EQ(n, 4);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(co_envs.next, &co_get_curr_thread_env()->in_envs);
	CHECK_EQ(co_envs.prev, co_envs.next);
}

/* Main runs on the stack that the thread has: no other is there for it. */
static void *main_alone(void *arg)
{
	char local = 0;

	CHECK(co_env_get() != NULL);
	CHECK_EQ(co_stack_stats().lent, 0);
	CHECK_EQ(co_stack_stats().mapped_bytes, 0);
	const struct co_stack *stack = co_self()->exec.stack;
	CHECK(stack->lo <= &local && &local < stack->hi);
	return arg;
}

static void no_stack_for_main(void)
{
	free(malloc(1)); /* libc maps memory for the first */
	size_t before = mapped_bytes();
	main_alone(NULL);
	size_t now = mapped_bytes(); /* (as long as there are no other threads, which map some) */
	if (!watched_by()) /* an alternate stack for SIGSEGV, and no more */
		CHECK(now - before < CO_STACK_DEFAULT);
	run_threads(4, main_alone);
}

/* --- what a thread leaves behind ------------------------------------------------------------ */

/* Outlives the threads; a waiter must not stay on it. */
static pthread_mutex_t waiters_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list waiters = LIST_INIT(waiters);
static int n_cancelled;

struct waiter {
	struct list node;
	struct co *co;
};

static void leave_waiters(struct co *co)
{
	pthread_mutex_lock(&waiters_lock);
	for (struct list *l = waiters.next; l != &waiters; l = l->next) {
		struct waiter *w = container_of(l, struct waiter, node);
		if (w->co == co) {
			list_remove(&w->node);
			free(w);
			n_cancelled++;
			break;
		}
	}
	pthread_mutex_unlock(&waiters_lock);
}

static void *wait_for_ever(void *arg)
{
	struct waiter *w = calloc(1, sizeof(*w));

	w->co = co_self();
	pthread_mutex_lock(&waiters_lock);
	list_append(&waiters, &w->node);
	pthread_mutex_unlock(&waiters_lock);
	co_park(leave_waiters, NULL, __builtin_return_address(0));
	return arg;
}

static void *reschedule_for_ever(void *arg)
{
	for (;;)
		co_reschedule();
	return arg;
}

static void *nothing(void *arg)
{
	return arg;
}

static void *leave_all_kinds(void *arg)
{
	co_fn *const kinds[] = { yield_for_ever, reschedule_for_ever, wait_for_ever, nothing };
	struct co *co;

	for (int i = 0; i < 40; i++) {
		CHECK_EQ(co_create(&co, NULL, kinds[i % 4], NULL), 0);
		if (i < 20 || i % 3)
			CHECK_EQ(co_resume(co), 0); /* some stay new */
	}
	CHECK_EQ(co_reschedule(), 0);
	return arg;
}

static void short_threads(void *(*fn)(void *), int n)
{
	for (int i = 0; i < 20; i++) /* what libc keeps for threads, it has then */
		run_threads(1, fn);
	size_t fds = count_fds(), maps = count_maps(), resident = resident_bytes(), mapped = mapped_bytes();
	for (int i = 0; i < rounds(n); i++)
		run_threads(1, fn);
	printf("# maps %zu -> %zu, resident KiB %zu -> %zu\n", maps, count_maps(), resident / 1024,
	       resident_bytes() / 1024);
	CHECK_EQ(count_fds(), fds);
	CHECK(list_empty(&co_envs));
	CHECK(list_empty(&waiters));
	if (watched_by())
		return;
	CHECK_EQ(count_maps(), maps);
	CHECK(resident_bytes() <= resident + 512 * 1024);
	CHECK(mapped_bytes() <= mapped + 1024 * 1024);
}

static void all_is_freed(void)
{
	short_threads(leave_all_kinds, 300);
	CHECK(n_cancelled > 0);
}

/* --- a thread that ends inside a coroutine ----------------------------------------------------- */

static atomic_int n_cleaned;

static void clean(void *arg)
{
	(void)arg;
	n_cleaned++;
}

static void *end_thread(void *arg)
{
	pthread_exit(arg);
}

static void *resume_end(void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, end_thread, (void *)4711), 0);
	co_resume(co);
	CHECK(!"nobody comes back");
	return arg;
}

static void *ends_in_coroutine(void *arg)
{
	struct co *co;

	leave_all_kinds(NULL);
	CHECK_EQ(co_create(&co, NULL, resume_end, NULL), 0);
	pthread_cleanup_push(clean, NULL);
	co_resume(co);
	CHECK(!"nobody comes back");
	pthread_cleanup_pop(0);
	return arg;
}

static void exit_in_coroutine(void)
{
#ifdef CO_TSAN
	check_skip("ThreadSanitizer takes the end of a thread on its own stack only");
#endif
	struct co *mine;
	pthread_t t;
	void *result;

	CHECK_EQ(pthread_create(&t, NULL, ends_in_coroutine, NULL), 0);
	pthread_join(t, &result);
	CHECK_EQ(result, 4711);
	CHECK_EQ(n_cleaned, 1);
	short_threads(ends_in_coroutine, 100);

	CHECK_EQ(co_create(&mine, NULL, yield_for_ever, NULL), 0); /* the others go on */
	CHECK_EQ(co_resume(mine), 0);
	CHECK_EQ(co_resume(mine), 0);
	co_env_check();
}

static void *cancelled_in_coroutine(void *arg)
{
	for (;;) {
		pthread_testcancel();
		co_yield_ct();
	}
	return arg;
}

static void *is_cancelled(void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, cancelled_in_coroutine, NULL), 0);
	pthread_cancel(pthread_self());
	co_resume(co);
	CHECK(!"nobody comes back");
	return arg;
}

static void cancel_in_coroutine(void)
{
	SKIP_IF_WATCHED("sanitizers take the end of a thread on their own stack only");
	short_threads(is_cancelled, 50);
}

static void main_exits(void)
{
	SKIP_IF_WATCHED("sanitizers take the end of a thread on their own stack only");
	struct co *co;
	int status;
	pid_t pid = fork(); /* the process ends with it */

	if (pid == 0) {
		CHECK_EQ(co_create(&co, NULL, end_thread, NULL), 0);
		co_resume(co);
		CHECK(!"nobody comes back");
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* --- at the edges ------------------------------------------------------------------------------- */

static pthread_key_t late_key;

/* Runs after the environment is gone, if the keys are in that order: a new
 * one is made, and freed as well. */
static void late(void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, yield_for_ever, arg), 0);
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_get_epoll_ct()->env, co_get_curr_thread_env());
	CHECK(!list_empty(&co_get_curr_thread_env()->at_exit)); /* a new loop, too */
}

static void *with_late_key(void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, yield_for_ever, NULL), 0);
	CHECK(co_get_epoll_ct() != NULL);
	pthread_setspecific(late_key, "x");
	return arg;
}

static void late_destructor(void)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, nothing, NULL), 0); /* our key comes first */
	CHECK_EQ(pthread_key_create(&late_key, late), 0);
	run_threads(4, with_late_key);
	CHECK_EQ(co_envs.next, &co_get_curr_thread_env()->in_envs);
	CHECK_EQ(co_envs.prev, co_envs.next);
}

static atomic_bool others_end;

static void *busy_with_environments(void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, yield_for_ever, arg), 0);
	pthread_barrier_wait(&barrier);
	while (!others_end)
		co_resume(co);
	return arg;
}

static void fork_among_threads(void)
{
	struct co *co;
	pthread_t t[2];
	int status;

	pthread_barrier_init(&barrier, NULL, 3);
	CHECK_EQ(co_create(&co, NULL, yield_for_ever, NULL), 0);
	CHECK_EQ(co_resume(co), 0);
	for (intptr_t i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, busy_with_environments, (void *)i);
	pthread_barrier_wait(&barrier);
	pid_t pid = fork();
	if (pid == 0) {
		struct co_env *env = co_get_curr_thread_env();
		CHECK_EQ(co_envs.next, &env->in_envs); /* the other threads are not here */
		CHECK_EQ(co_envs.prev, &env->in_envs);
		CHECK_EQ(env->tid, getpid());
		CHECK_EQ(co_resume(co), 0);
		CHECK_EQ(co_release(co), 0);
		co_env_check();
		if (!watched_by()) /* they do not like threads after fork */
			run_threads(2, leave_all_kinds);
		kill(getpid(), SIGKILL); /* at an exit, valgrind calls lost what the absent threads have */
	}
	waitpid(pid, &status, 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	others_end = true;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

static const struct test_case cases[] = {
	{ "side_by_side", "threads with coroutines do not mix, and no id comes twice", side_by_side, 0, 0 },
	{ "environments", "the list of environments has each thread's, while it lives", list_of_environments, 0, 0 },
	{ "no_stack_for_main", "D22: an environment maps no stack for main, which has the thread's", no_stack_for_main, 0, NULL },
	{ "all_is_freed", "300 threads that leave coroutines of all kinds leave nothing", all_is_freed, 0, 0 },
	{ "exit_in_coroutine", "pthread_exit inside a coroutine ends that thread, leaves nothing", exit_in_coroutine, 0, 0 },
	{ "cancel_in_coroutine", "pthread_cancel inside a coroutine too", cancel_in_coroutine, 0, 0 },
	{ "main_exits", "pthread_exit of the main thread inside a coroutine ends well", main_exits, 0, 0 },
	{ "late_destructor", "a destructor that runs after ours may use coroutines", late_destructor, 0, 0 },
	{ "fork", "a forked child has its caller's environment alone, and it works", fork_among_threads, 0, 0 },
};

TEST_MAIN(cases)
