/* SPDX-License-Identifier: MIT */
/*
 * How many system calls does a switch make? A traced child switches a million times, and
 * asks the kernel for something 500 times, so that the count can be seen to count.
 */
#include <stdalign.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "coctx.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 1,
	.belief = "A switch is a system call: only the kernel can change what the processor runs.",
	.natural = "That is what one hears of threads and processes; and libco has something to do with epoll.",
	.predict = "in a million switches, how many system calls?",
	.answers = { "none", "a few", "a million or more" },
	.answer = 'a',
	.result = "a million switches, no system call; one switch takes a fraction of the time of one",
	.because = "To change what runs, one changes rsp and rip, and any program may: every call and every return "
		   "does. The kernel does not know that a switch has happened. It is needed where a *thread* is to "
		   "wait, or to run on another processor.",
};

static struct coctx main_ctx, other_ctx;
static alignas(16) char stack[64 * 1024];

static void back(void *arg)
{
	(void)arg;
	for (;;)
		coctx_swap(&other_ctx, &main_ctx);
}

static void switches(long rounds)
{
	for (long i = 0; i < rounds / 2; i++)
		coctx_swap(&main_ctx, &other_ctx);
}

static void system_calls(long rounds)
{
	for (long i = 0; i < rounds; i++)
		syscall(SYS_getppid);
}

static void a_million(void)
{
	switches(1000000);
}

static void five_hundred(void)
{
	system_calls(500);
}

char experiment(void)
{
	make_context(&other_ctx, stack + sizeof(stack), back);
	double a_switch = ns_each(switches, 200000), a_call = ns_each(system_calls, 20000);
	struct calls in_switches = count_calls(a_million), in_calls = count_calls(five_hundred);

	saw("a switch takes %.1f ns, the cheapest of system calls %.1f ns", a_switch, a_call);
	must(a_switch < a_call, "a switch that takes less than a system call", "%.1f and %.1f ns", a_switch, a_call);
	if (in_switches.all < 0) {
		lacks("ptrace, so they are not counted, only timed");
		return a_switch < a_call ? 'a' : 'c';
	}
	saw("in 1000000 switches: %ld system calls; where there are 500, %ld are counted", in_switches.all, in_calls.all);
	must(in_calls.all == 500, "500", "%ld", in_calls.all);
	return in_switches.all == 0 ? 'a' : in_switches.all < 1000 ? 'b' : 'c';
}
