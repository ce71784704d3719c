/* SPDX-License-Identifier: MIT */
/*
 * The kernel takes the processor away in the middle of a swap.
 *
 * Two threads share one processor. Each swaps as fast as it can, with random values in
 * all registers, and compares them each time. A timer interrupts each of them every
 * 100 µs; where its handler finds that it has interrupted coctx_swap, it gives the
 * processor to the other thread, which swaps too, for as long as the kernel likes.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#include "coroutine.h"
#include "regs.h"

enum {
	SWAPS = 200 * 1000, /* at least, of each thread */
	INTERRUPTIONS = 20, /* inside the swap, at least, in each */
	SECONDS = 60,       /* then it is given up */
	STACK_LEN = 64 * 1024,
};

struct side {
	int n;
	uint64_t seed;
	struct coctx me, other;       /* the two that swap */
	struct coctx trash, got;      /* what the other one has in its registers */
	char *stack;                  /* the other one's; NULL: coroutines */
	char *lo, *hi;                /* the thread's own */
	_Atomic uint64_t n_swaps;
	_Atomic unsigned n_signals;   /* all */
	_Atomic unsigned n_inside;    /* that have interrupted coctx_swap */
	_Atomic unsigned n_taken;     /* of those: meanwhile the other thread has swapped */
	_Atomic unsigned n_astray;    /* of those: rsp on neither stack */
	atomic_bool is_over;          /* it has seen enough, and goes on for the other's sake */
	long n_preempted;             /* by the kernel's count */
};

static struct side sides[2];
static _Thread_local struct side *my __attribute__((tls_model("initial-exec")));
static const char *swap_begin, *swap_end;
static int handler_flags;

static bool is_in(const char *p, const char *lo, const char *hi)
{
	return p >= lo && p < hi;
}

static void interrupt(int sig, siginfo_t *info, void *context)
{
	const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	const char *rip = (const char *)regs[REG_RIP], *rsp = (const char *)regs[REG_RSP];
	int before = errno;

	(void)sig, (void)info;
	my->n_signals++;
	if (is_in(rip, swap_begin, swap_end)) {
		struct side *others = &sides[!my->n];
		uint64_t n = others->n_swaps;
		my->n_inside++;
		if (my->stack && !is_in(rsp, my->lo, my->hi) && !is_in(rsp, my->stack, my->stack + STACK_LEN))
			my->n_astray++;
		sched_yield();
		my->n_taken += others->n_swaps != n;
	}
	errno = before;
}

static timer_t start_timer(void)
{
	struct sigaction action = { .sa_sigaction = interrupt, .sa_flags = handler_flags };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	struct itimerspec often = { .it_interval.tv_nsec = 100 * 1000, .it_value.tv_nsec = 100 * 1000 };
	timer_t timer;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	CHECK_EQ(timer_settime(timer, 0, &often, NULL), 0);
	return timer;
}

/* Both threads on the processor that the first of them is on. */
static void share_processor(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* The first byte behind coctx_swap: the trampoline, where a new context begins. */
static void find_swap(void)
{
	static char stack[256];
	static const struct coctx *const link = &coctx_nobody;
	struct coctx ctx;

	coctx_make(&ctx, stack + sizeof(stack), (coctx_entry_fn *)abort, NULL, &link);
	swap_begin = (const char *)(uintptr_t)coctx_swap;
	swap_end = ctx.rip;
	CHECK(swap_end > swap_begin && swap_end < swap_begin + 512);
}

static bool is_enough(struct side *s, time_t began)
{
	CHECK(time(NULL) < began + SECONDS);
	if (s->n_swaps >= SWAPS && s->n_inside >= INTERRUPTIONS && s->n_taken > 0)
		s->is_over = true;
	return sides[0].is_over && sides[1].is_over;
}

static long preemptions(void)
{
	struct rusage usage;

	CHECK_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nivcsw;
}

static void forge_other(struct side *s, struct rng *r)
{
	struct regs_other *words = (struct regs_other *)(s->stack + STACK_LEN - sizeof(*words));

	*words = (struct regs_other){ &s->other, &s->me, &s->got, &s->trash };
	regs_random(&s->other, r);
	s->got = s->trash = s->other;
	s->other.rsp = words;
	s->other.rip = (void *)regs_other_begin;
	struct fp fp = fp_get();
	s->other.mxcsr = s->trash.mxcsr = fp.mxcsr;
	s->other.x87cw = s->trash.x87cw = fp.x87cw;
}

static intptr_t swap(void *from, void *to)
{
	coctx_swap(from, to);
	return 0;
}

static pthread_barrier_t both;

static void is_me(struct side *s)
{
	pthread_attr_t attr;
	size_t len;

	my = s;
	CHECK_EQ(pthread_getattr_np(pthread_self(), &attr), 0);
	CHECK_EQ(pthread_attr_getstack(&attr, (void **)&s->lo, &len), 0);
	pthread_attr_destroy(&attr);
	s->hi = s->lo + len;
}

static void begin(struct side *s)
{
	is_me(s);
	pthread_barrier_wait(&both);
}

static void *swap_and_compare(void *arg)
{
	struct side *s = arg;
	struct rng r = { s->seed };
	struct coctx set;
	struct regs got;
	time_t began = time(NULL);
	static char alternate[2][STACK_LEN];

	sigaltstack(&(stack_t){ .ss_sp = alternate[s->n], .ss_size = STACK_LEN }, NULL);
	s->stack = aligned_alloc(16, STACK_LEN);
	begin(s);
	forge_other(s, &r);
	regs_random(&set, &r);
	timer_t timer = start_timer();
	while (!is_enough(s, began))
		for (int i = 0; i < 1000; i++) {
			set.rbx = (char *)set.rbx + 1;
			regs_call(&set, &got, swap, &s->me, &s->other);
			s->n_swaps += 2;
			CHECK_SAME_REGS(&got.at, &set);
			CHECK_EQ(got.at.rsp, got.rsp_before);
			CHECK_SAME_REGS(&s->got, &s->trash);
		}
	timer_delete(timer);
	s->n_preempted = preemptions();
	pthread_barrier_wait(&both);
	sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL);
	free(s->stack);
	return arg;
}

/* The same with coroutines; where their values are kept, the compiler decides. */
static void *add_up(void *arg)
{
	uint64_t a = (uintptr_t)arg, b = a + 1, c = a + 2, d = a + 3, e = a + 4;

	for (uint64_t n = 0;; n++) {
		CHECK_EQ(co_yield_ct(), 0);
		a += b, b += c, c += d, d += e, e += n;
		*(uint64_t *)arg = a ^ b ^ c ^ d ^ e;
	}
	return NULL;
}

static void *resume_and_compare(void *arg)
{
	struct side *s = arg;
	uint64_t sums[2];
	struct co *co[2];
	time_t began = time(NULL);

	begin(s);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(co_create(&co[i], NULL, add_up, &sums[i]), 0);
		CHECK_EQ(co_resume(co[i]), 0);
	}
	uint64_t v[2][5];
	for (uint64_t i = 0; i < 2; i++)
		for (uint64_t j = 0; j < 5; j++)
			v[i][j] = (uintptr_t)&sums[i] + j;
	timer_t timer = start_timer();
	for (uint64_t n = 0; n % 1000 || !is_enough(s, began); n++)
		for (int i = 0; i < 2; i++) {
			uint64_t *w = v[i];
			CHECK_EQ(co_resume(co[i]), 0);
			w[0] += w[1], w[1] += w[2], w[2] += w[3], w[3] += w[4], w[4] += n;
			CHECK(sums[i] == (w[0] ^ w[1] ^ w[2] ^ w[3] ^ w[4]));
			s->n_swaps += 2;
		}
	timer_delete(timer);
	s->n_preempted = preemptions();
	pthread_barrier_wait(&both);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(co_release(co[i]), 0);
	return arg;
}

static void run_both(void *(*fn)(void *), int flags)
{
	pthread_t t[2];
	uint64_t seed = test_seed(41);

#ifdef CO_TSAN
	check_skip("ThreadSanitizer: it hands signals on when it likes, never inside the swap");
#endif
	if (is_under_valgrind())
		check_skip("valgrind: it runs one thread at a time, and interrupts none inside a block");
	handler_flags = SA_SIGINFO | SA_RESTART | flags;
	find_swap();
	share_processor(); /* threads inherit it */
	pthread_barrier_init(&both, NULL, 2);
	for (int i = 0; i < 2; i++) {
		sides[i].n = i;
		sides[i].seed = seed + (unsigned)i * 1000;
		CHECK_EQ(pthread_create(&t[i], NULL, fn, &sides[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		struct side *s = &sides[i];
		CHECK_EQ(pthread_join(t[i], NULL), 0);
		printf("# %llu swaps, %u signals, %u inside the swap, the other ran meanwhile %u times; preempted %ld times\n",
		       (unsigned long long)s->n_swaps, s->n_signals, s->n_inside, s->n_taken, s->n_preempted);
		CHECK_EQ(s->n_astray, 0);
		CHECK(s->n_preempted > 0);
	}
}

static void on_alternate_stack(void)
{
	run_both(swap_and_compare, SA_ONSTACK);
}

static void on_the_stacks(void)
{
#ifdef CO_ASAN
	check_skip("AddressSanitizer: a handler's frames look like an overflow of a stack that it was not told of");
#endif
	run_both(swap_and_compare, 0);
}

static void coroutines(void)
{
	run_both(resume_and_compare, SA_ONSTACK);
}

/* --- not by chance: a signal after each instruction ---------------------------------------- */

enum { STEPPED = 10, TRAP_FLAG = 0x100 /* EFLAGS.TF */ };

/* int3 begins it, and the next ends it. */
static void after_each(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	const char *rsp = (const char *)regs[REG_RSP];

	(void)sig;
	if (info->si_code == SI_KERNEL)
		regs[REG_EFL] ^= TRAP_FLAG;
	else if (is_in((const char *)regs[REG_RIP], swap_begin, swap_end)) {
		my->n_inside++;
		CHECK(is_in(rsp, my->lo, my->hi) || is_in(rsp, my->stack, my->stack + STACK_LEN));
	}
}

static void after_each_instruction(void)
{
	struct sigaction action = { .sa_sigaction = after_each, .sa_flags = SA_SIGINFO };
	struct side *s = &sides[0];
	struct rng r = { test_seed(43) };
	struct coctx set;
	struct regs got;

#if defined(CO_ASAN) || defined(CO_TSAN)
	check_skip("a sanitizer: its checks of a handler's frames, or of when signals come");
#endif
	if (is_under_valgrind())
		check_skip("valgrind: its processor has no trap flag");
	find_swap();
	is_me(s);
	s->stack = aligned_alloc(16, STACK_LEN);
	CHECK_EQ(sigaction(SIGTRAP, &action, NULL), 0);
	for (int i = 0; i < STEPPED; i++) {
		forge_other(s, &r);
		regs_random(&set, &r);
		__asm__ volatile("int3");
		regs_call(&set, &got, swap, &s->me, &s->other);
		__asm__ volatile("int3");
		CHECK_SAME_REGS(&got.at, &set);
		CHECK_SAME_REGS(&s->got, &s->trash);
	}
	printf("# %u signals inside %d swaps\n", s->n_inside, 2 * STEPPED);
	CHECK(s->n_inside >= 2 * STEPPED * 20);
	free(s->stack);
}

static const struct test_case cases[] = {
	{ "preempted", "Q3: a thread that loses its processor inside the swap loses nothing", on_alternate_stack, 0, 0 },
	{ "on_the_stacks", "Q3: a handler on the stacks themselves, inside the swap, destroys nothing", on_the_stacks, 0, 0 },
	{ "coroutines", "Q3: the same with coroutines", coroutines, 0, 0 },
	{ "each_instruction", "Q3: nor does one after each single instruction of the swap", after_each_instruction, 0, 0 },
};

TEST_MAIN(cases)
