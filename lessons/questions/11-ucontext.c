/* SPDX-License-Identifier: MIT */
/*
 * swapcontext against coctx_swap: what each takes, and which system calls it makes.
 */
#include <stdalign.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "coctx.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 1,
	.belief = "libc has ucontext: the same, just portable.",
	.natural = "makecontext and swapcontext are in every libc, and do save and load registers.",
	.predict = "how much longer does swapcontext take than coctx_swap?",
	.answers = { "more than three times as long", "up to twice as long", "about as long" },
	.answer = 'a',
	.result = "swapcontext makes a system call each time, and takes many times as long",
	.because = "swapcontext also saves and loads the mask of blocked signals. The kernel keeps that, so each "
		   "switch is a system call, rt_sigprocmask. Coroutines of one thread share a mask as they share "
		   "everything that is the thread's: nobody needs it to change.",
};

static struct coctx main_ctx, other_ctx;
static ucontext_t main_uc, other_uc;
static alignas(16) char stack[64 * 1024], stack2[64 * 1024];

static void back(void *arg)
{
	(void)arg;
	for (;;)
		coctx_swap(&other_ctx, &main_ctx);
}

static void back_uc(void)
{
	for (;;)
		swapcontext(&other_uc, &main_uc);
}

static void by_coctx(long rounds)
{
	for (long i = 0; i < rounds; i++)
		coctx_swap(&main_ctx, &other_ctx);
}

static void by_ucontext(long rounds)
{
	for (long i = 0; i < rounds; i++)
		swapcontext(&main_uc, &other_uc);
}

static void count_coctx(void)
{
	by_coctx(500);
}

static void count_ucontext(void)
{
	by_ucontext(500);
}

char experiment(void)
{
	make_context(&other_ctx, stack + sizeof(stack), back);
	getcontext(&other_uc);
	other_uc.uc_stack.ss_sp = stack2;
	other_uc.uc_stack.ss_size = sizeof(stack2);
	makecontext(&other_uc, back_uc, 0);

	double coctx = ns_each(by_coctx, 20000) / 2, ucontext = ns_each(by_ucontext, 5000) / 2;
	saw("coctx_swap %.1f ns, swapcontext %.1f ns: %.0f times as long", coctx, ucontext, ucontext / coctx);

	struct calls ours = count_calls(count_coctx), libc = count_calls(count_ucontext);
	if (libc.all < 0) {
		lacks("ptrace, so the system calls are not counted");
	} else {
		saw("system calls in 1000 switches: coctx_swap %ld, swapcontext %ld", ours.all, libc.all);
		saw("%ld of these are rt_sigprocmask", libc.of[SYS_rt_sigprocmask]);
		must(ours.all == 0, "no call in coctx_swap", "%ld", ours.all);
		must(libc.of[SYS_rt_sigprocmask] == 1000, "1000 rt_sigprocmask", "%ld", libc.of[SYS_rt_sigprocmask]);
	}
	return ucontext > 3 * coctx ? 'a' : ucontext > 1.3 * coctx ? 'b' : 'c';
}
