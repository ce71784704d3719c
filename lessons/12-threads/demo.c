/* SPDX-License-Identifier: MIT */
/*
 * Lesson 12: threads.
 *
 * Links with the layers of lessons 1 to 8 and with src/remote.c.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "costep.h"

static struct co *start(const char *name, co_fn *fn, void *arg)
{
	struct co *co;
	if (co_create(&co, NULL, fn, arg) != 0) {
		perror("co_create");
		exit(1);
	}
	co_set_name(co, name);
	co_resume(co);
	return co;
}

static struct co_remote *open_remote(void)
{
	struct co_remote *r = co_remote_open();
	if (!r) {
		perror("co_remote_open");
		exit(1);
	}
	return r;
}

static pthread_t start_thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	if (pthread_create(&t, NULL, fn, arg) != 0) {
		fprintf(stderr, "no thread\n");
		exit(1);
	}
	return t;
}

static const char *yes_no(bool yes)
{
	return yes ? "yes" : "no";
}

static const char *said(int result)
{
	return result == 0 ? "0" : strerrorname_np(errno);
}

/* --- 1. what is another thread's ---------------------------------------------------------- */

static struct {
	struct co_env *env;
	struct co *co;
	struct co_loop *loop;
	struct co_remote *remote;
	pthread_t thread;
} second;
static pthread_barrier_t both;

static void *yield_once(void *arg)
{
	co_yield_ct();
	return arg;
}

static void greet(void *name)
{
	printf("   second: runs what %s has posted, on its own thread: %s, in \"%s\"\n", (char *)name,
	       yes_no(pthread_equal(pthread_self(), second.thread)), co_name(co_self()));
	co_remote_close(second.remote);
}

static void *second_thread(void *arg)
{
	second.thread = pthread_self();
	second.co = start("theirs", yield_once, NULL);
	second.env = co_get_curr_thread_env();
	second.loop = co_get_epoll_ct();
	second.remote = open_remote();
	pthread_barrier_wait(&both);
	co_eventloop(NULL, NULL, NULL);
	printf("   second: its loop is back, as nothing is open any more; its thread ends\n");
	return arg;
}

static void show_apart(void)
{
	printf("1. a second thread has a coroutine, a loop and a handle\n");
	pthread_barrier_init(&both, NULL, 2);
	co_release(start("mine", yield_once, NULL));
	pthread_t t = start_thread(second_thread, NULL);
	pthread_barrier_wait(&both);
	printf("   main: both have one environment: %s\n", yes_no(second.env == co_get_curr_thread_env()));
	printf("   main: resumes its coroutine: %s\n", said(co_resume(second.co)));
	printf("   main: releases it: %s\n", said(co_release(second.co)));
	printf("   main: stops its loop: %s\n", said(co_loop_stop(second.loop)));
	printf("   main: posts to its handle\n");
	co_remote_post(second.remote, greet, "main");
	pthread_join(t, NULL);
}

/* --- 2. whose are errno, a thread-local variable, a counter? ------------------------------------- */

static _Thread_local int thread_local;
static int counter;

static void *set_and_look(void *arg)
{
	errno = *(int *)arg;
	thread_local = *(int *)arg;
	co_reschedule();
	printf("   %s: set both to %s; now errno is %s, the thread-local is %s\n", co_name(co_self()),
	       strerrorname_np(*(int *)arg), strerrorname_np(errno), strerrorname_np(thread_local));
	return NULL;
}

static void *add_thousand(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		int read = counter;
		co_reschedule(); /* anything that waits: a read, a lock, a sleep */
		counter = read + 1;
	}
	return arg;
}

static void show_whose(void)
{
	int error[] = { EINTR, EBADF };

	printf("2. on one thread\n");
	struct co *a = start("a", set_and_look, &error[0]), *b = start("b", set_and_look, &error[1]);
	co_eventloop(NULL, NULL, NULL);
	struct co *c = start("c", add_thousand, NULL), *d = start("d", add_thousand, NULL);
	co_eventloop(NULL, NULL, NULL);
	printf("   c and d have added 1000 each to a counter, and wait between reading and writing it: %d\n", counter);
	co_release(a);
	co_release(b);
	co_release(c);
	co_release(d);
}

/* --- 3. work for another thread ------------------------------------------------------------------ */

struct job {
	struct co_remote *home; /* where the answer goes */
	struct co *co;          /* who waits for it */
	int number, answer;
	bool is_done;
};

static struct co_remote *worker_remote, *home;
static int n_working, n_ticks;

static void take_answer(void *arg)
{
	struct job *job = arg;

	job->is_done = true;
	co_resume(job->co);
}

/* On the worker's thread. Here it may take its time: nobody else is held up. */
static void do_job(void *arg)
{
	struct job *job = arg;

	nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
	job->answer = job->number * job->number;
	co_remote_post(job->home, take_answer, job);
}

static void *ask(void *number)
{
	struct job *job = calloc(1, sizeof(*job)); /* not on the stack: another thread writes to it */

	*job = (struct job){ .home = home, .co = co_self(), .number = *(int *)number };
	printf("   %s: hands over %d\n", co_name(co_self()), job->number);
	co_remote_post(worker_remote, do_job, job);
	while (!job->is_done)
		co_yield_ct();
	printf("   %s: the answer is %d\n", co_name(co_self()), job->answer);
	free(job);
	if (--n_working == 0)
		co_remote_close(home);
	return NULL;
}

static void *tick(void *arg)
{
	for (; n_working > 0; n_ticks++)
		co_sleep_ms(1);
	return arg;
}

static void end_worker(void *arg)
{
	(void)arg;
	co_remote_close(worker_remote);
}

static void *worker_thread(void *arg)
{
	worker_remote = open_remote();
	pthread_barrier_wait(&both);
	co_eventloop(NULL, NULL, NULL);
	return arg;
}

static void show_work(void)
{
	static int numbers[] = { 6, 7, 8 };
	struct co *co[4];

	printf("3. three coroutines ask a worker thread, which needs 20 ms for each answer\n");
	pthread_t t = start_thread(worker_thread, NULL);
	pthread_barrier_wait(&both);
	home = open_remote();
	n_working = 3;
	co[0] = start("a", ask, &numbers[0]);
	co[1] = start("b", ask, &numbers[1]);
	co[2] = start("c", ask, &numbers[2]);
	co[3] = start("ticker", tick, NULL);
	co_eventloop(NULL, NULL, NULL);
	printf("   main: the loop is back; a ticker of 1 ms has run meanwhile, more than 10 times: %s\n",
	       yes_no(n_ticks > 10));
	co_remote_post(worker_remote, end_worker, NULL);
	pthread_join(t, NULL);
	for (int i = 0; i < 4; i++)
		co_release(co[i]);
}

/* --- 4. events ------------------------------------------------------------------------------------ */

enum { EVENTS = 10000 };

static void *notify_often(void *remote)
{
	for (int i = 0; i < EVENTS; i++)
		co_remote_notify(remote);
	co_remote_drop(remote);
	return NULL;
}

static void show_events(void)
{
	struct co_remote *r = open_remote();
	pthread_t t[3];
	int n = 0;

	printf("4. three threads without coroutines notify main, %d times each\n", EVENTS);
	uint64_t before = co_loop_stats().sleeps;
	for (int i = 0; i < 3; i++)
		t[i] = start_thread(notify_often, co_remote_hold(r));
	while (n < 3 * EVENTS && co_remote_wait(r) == 0)
		n++;
	printf("   main: has waited for %d events, and no more come: %s\n", n,
	       co_remote_wait_until(r, 0) == -1 ? strerrorname_np(errno) : "one more");
	printf("~  for them its thread slept and woke %d times\n", (int)(co_loop_stats().sleeps - before));
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	co_remote_close(r);
}

/* --- 5. the processor is taken away ------------------------------------------------------------- */

enum { RESUMES = 1000 * 1000, ENOUGH = 10 };

static struct racer {
	_Atomic uint64_t n_resumes;
	_Atomic unsigned n_signals, n_inside, n_taken;
	atomic_bool is_over; /* it has seen enough, and goes on for the other's sake */
	long n_preempted;
	unsigned n_lost;
} racers[2];
static _Thread_local int my; /* which of them this thread is */
static const char *swap_begin, *swap_end;

/* Call @fn(@arg) with the numbers of @v in the registers that a call must not change.
 * Afterwards @v has what they hold then. (The compiler gives no register by name to C
 * code; so this is assembly. It keeps off the 128 bytes of the red zone.) */
static void call_holding(uint64_t v[5], int (*fn)(void *), void *arg)
{
	uint64_t rbx = v[0];
	register uint64_t r12 __asm__("r12") = v[1];
	register uint64_t r13 __asm__("r13") = v[2];
	register uint64_t r14 __asm__("r14") = v[3];
	register uint64_t r15 __asm__("r15") = v[4];

	__asm__ volatile("movq %%rsp, %%rax\n\t"
			 "leaq -128(%%rsp), %%rsp\n\t"
			 "andq $-16, %%rsp\n\t"
			 "pushq %%rax\n\t"
			 "pushq %%rax\n\t"
			 "callq *%%rsi\n\t"
			 "popq %%rsp"
			 : "+b"(rbx), "+r"(r12), "+r"(r13), "+r"(r14), "+r"(r15), "+D"(arg), "+S"(fn)
			 :
			 : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
			   "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory",
			   "cc");
	v[0] = rbx, v[1] = r12, v[2] = r13, v[3] = r14, v[4] = r15;
}

static void call_and_compare(uint64_t seed, int (*fn)(void *), void *arg)
{
	uint64_t v[5] = { seed, seed + 1, seed + 2, seed + 3, seed + 4 };

	call_holding(v, fn, arg);
	for (uint64_t i = 0; i < 5; i++)
		racers[my].n_lost += v[i] != seed + i;
}

static int yield(void *unused)
{
	(void)unused;
	return co_yield_ct();
}

static int resume(void *co)
{
	return co_resume(co);
}

static void *hold_values(void *arg)
{
	for (uint64_t n = (uintptr_t)arg;; n += 5)
		call_and_compare(n, yield, NULL);
	return NULL;
}

/* The first byte behind coctx_swap is the trampoline's, where new contexts begin. */
static void find_swap(void)
{
	static char stack[256];
	static const struct coctx *const link = &coctx_nobody;
	struct coctx ctx;

	coctx_make(&ctx, stack + sizeof(stack), (coctx_entry_fn *)abort, NULL, &link);
	swap_begin = (const char *)(uintptr_t)coctx_swap;
	swap_end = ctx.rip;
}

static bool is_in_swap(void *context)
{
	const char *rip = (const char *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	return rip >= swap_begin && rip < swap_end;
}

/* This thread has been interrupted inside the swap. Now the other may have the processor. */
static void give_away(void)
{
	uint64_t n = racers[!my].n_resumes;

	racers[my].n_inside++;
	sched_yield();
	racers[my].n_taken += racers[!my].n_resumes != n;
}

static void interrupt(int sig, siginfo_t *info, void *context)
{
	int before = errno;

	(void)sig, (void)info;
	racers[my].n_signals++;
	if (is_in_swap(context))
		give_away();
	errno = before;
}

static timer_t interrupt_me_every(int us, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART | flags };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	struct itimerspec often = { .it_interval.tv_nsec = us * 1000, .it_value.tv_nsec = us * 1000 };
	timer_t timer;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	sigaction(SIGUSR1, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &often, NULL) != 0) {
		perror("timer");
		exit(1);
	}
	return timer;
}

static void *race(void *arg)
{
	struct racer *me = arg;
	struct co *co[2];
	struct rusage usage;

	my = (int)(me - racers);
	co[0] = start("one", hold_values, (void *)1000);
	co[1] = start("two", hold_values, (void *)2000);
	pthread_barrier_wait(&both);
	timer_t timer = interrupt_me_every(100, interrupt, SA_ONSTACK);
	while (!racers[0].is_over || !racers[1].is_over) {
		call_and_compare(me->n_resumes, resume, co[me->n_resumes % 2]);
		me->n_resumes++;
		if (me->n_resumes >= RESUMES && me->n_inside >= ENOUGH && me->n_taken > 0)
			me->is_over = true;
	}
	timer_delete(timer);
	getrusage(RUSAGE_THREAD, &usage);
	me->n_preempted = usage.ru_nivcsw;
	pthread_barrier_wait(&both);
	return NULL; /* both coroutines are released with the thread */
}

static void show_preemption(void)
{
	cpu_set_t all, one;
	pthread_t t[2];

	printf("5. two threads on one processor; in each, main and two coroutines hold numbers in five registers\n");
	find_swap();
	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one); /* the threads inherit it */
	for (int i = 0; i < 2; i++)
		t[i] = start_thread(race, &racers[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	sched_setaffinity(0, sizeof(all), &all);

	const struct racer *a = &racers[0], *b = &racers[1];
	printf("~  %llu switches, in which the processor was taken away %ld times\n",
	       (unsigned long long)(a->n_resumes + b->n_resumes) * 2, a->n_preempted + b->n_preempted);
	printf("~  a timer interrupted %u times, %u of them inside coctx_swap; while it stood still there,\n",
	       a->n_signals + b->n_signals, a->n_inside + b->n_inside);
	printf("~  the other thread had the processor, and switched too, %u times\n", a->n_taken + b->n_taken);
	printf("   4 million switches: %s\n", yes_no(a->n_resumes + b->n_resumes >= 2 * RESUMES));
	printf("   taken away inside coctx_swap: %s\n", yes_no(a->n_taken + b->n_taken > 0));
	printf("   numbers that have changed: %u\n", a->n_lost + b->n_lost);
}

/* --- 6. a signal handler needs a stack -------------------------------------------------------------- */

enum { FENCE = 32 * 1024, MARK = 0x5a };

/* A context, and what lies below it. */
static struct {
	unsigned char fence[FENCE];
	struct coctx ctx;
} here, there;
static char there_stack[64 * 1024] __attribute__((aligned(16)));
static _Atomic unsigned n_inside;

static void count_inside(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	n_inside += is_in_swap(context);
}

static void swap_back(void *arg)
{
	(void)arg;
	for (;;)
		coctx_swap(&there.ctx, &here.ctx);
}

static unsigned changed(const unsigned char *fence)
{
	unsigned n = 0;
	for (int i = 0; i < FENCE; i++)
		n += fence[i] != MARK;
	return n;
}

static void show_signals(void)
{
	static const struct coctx *const link = &coctx_nobody;

	printf("6. a timer whose handler runs on the stack that is in use, until it has hit the swap 100 times\n");
	memset(here.fence, MARK, FENCE);
	memset(there.fence, MARK, FENCE);
	coctx_make(&there.ctx, there_stack + sizeof(there_stack), swap_back, NULL, &link);
	timer_t timer = interrupt_me_every(50, count_inside, 0);
	while (n_inside < 100)
		coctx_swap(&here.ctx, &there.ctx);
	timer_delete(timer);
	printf("   the memory below the two contexts was written to: %s\n",
	       yes_no(changed(here.fence) + changed(there.fence) > 0));
}

/* --- 7. a thread ends ----------------------------------------------------------------------------------- */

static void count_one(void *n)
{
	++*(int *)n;
}

static void *leave_open(void *arg)
{
	second.remote = co_remote_hold(open_remote());
	pthread_barrier_wait(&both); /* main may post now */
	pthread_barrier_wait(&both); /* it has */
	return arg;                  /* without having run the loop */
}

static void show_end(void)
{
	int n = 0;

	printf("7. a thread ends, and leaves a handle open, to which 3 functions were posted\n");
	pthread_t t = start_thread(leave_open, NULL);
	pthread_barrier_wait(&both);
	for (int i = 0; i < 3; i++)
		co_remote_post(second.remote, count_one, &n);
	pthread_barrier_wait(&both);
	pthread_join(t, NULL);
	printf("   main: %d have run; one more: %s\n", n, said(co_remote_post(second.remote, count_one, &n)));
	co_remote_drop(second.remote);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	show_apart();
	show_whose();
	show_work();
	show_events();
	show_preemption();
	show_signals();
	show_end();
	printf("main returns\n");
	return 0;
}
