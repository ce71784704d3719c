/* SPDX-License-Identifier: MIT */
/*
 * A rival process on the same processor computes without end, so the kernel takes the
 * processor away from us again and again, wherever we stand; and we do nothing but switch.
 */
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coctx.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 12,
	.belief = "If the kernel takes the processor away in the middle of a swap, registers get mixed up.",
	.natural = "Half of them are the one coroutine's then, and half the other's: no state to be seen in.",
	.predict = "two contexts swap, millions of times, and each checks the numbers it keeps in registers. A rival "
		   "makes the kernel take the processor away some thirty times meanwhile. How many numbers are "
		   "wrong?",
	.answers = { "some: those that were cut in the middle", "none" },
	.answer = 'b',
	.result = "millions of switches, dozens of preemptions: not one number is wrong",
	.because = "When the kernel takes the processor away it saves all registers of the thread, rip and rsp too, "
		   "and puts all of them back later. To the thread nothing has happened between two instructions. It "
		   "does not matter which two. (Question Q3 stops at every single instruction of the swap.)",
};

enum { ROUNDS = 20000 }; /* between two looks at the count */

static struct coctx main_ctx, other_ctx;
static alignas(16) char stack[64 * 1024];
static volatile long n_wrong;

/* Swap @rounds times, with five numbers that the compiler keeps in registers or on the stack. */
__attribute__((noinline)) static void swap_and_check(struct coctx *me, struct coctx *other, long base, long rounds)
{
	long a = base + 1, b = base + 2, c = base + 3, d = base + 4, e = base + 5;

	for (long i = 0; i < rounds; i++) {
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
		coctx_swap(me, other);
		if (a != base + 1 || b != base + 2 || c != base + 3 || d != base + 4 || e != base + 5)
			n_wrong++;
	}
}

static void other_side(void *arg)
{
	for (;;)
		swap_and_check(&other_ctx, &main_ctx, 1000, ROUNDS);
	(void)arg;
}

static long n_preempted(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nivcsw;
}

char experiment(void)
{
	cpu_set_t one;
	int64_t begin = now_ns();
	long n_switches = 0, before;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one); /* the child stays here with us */
	pid_t rival = fork();
	if (rival == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			__asm__ volatile("");
	}
	before = n_preempted();
	make_context(&other_ctx, stack + sizeof(stack), other_side);
	while ((n_preempted() - before < 30 || n_switches < 2000000) && now_ns() - begin < 20000000000) {
		swap_and_check(&main_ctx, &other_ctx, 2000, ROUNDS);
		n_switches += 2L * ROUNDS;
	}
	kill(rival, SIGKILL);
	waitpid(rival, NULL, 0);
	long n = n_preempted() - before;
	saw("%ld switches, the processor was taken away %ld times", n_switches, n);
	saw("numbers that are wrong: %ld", n_wrong);
	must(n >= 30, "30 times in 20 s", "%ld", n);
	return n_wrong ? 'a' : 'b';
}
