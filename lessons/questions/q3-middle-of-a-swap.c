/* SPDX-License-Identifier: MIT */
/*
 * The processor is taken away at every single instruction of a swap. The trap flag makes
 * each end in a signal; the handler, on a stack of its own, asks another process on the
 * same processor for a byte, and waits for it. So the other one has run in between.
 */
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "coctx.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 12,
	.belief = "What if the kernel takes the CPU away in the middle of a swap? Must it not be locked?",
	.natural = "At some instruction rbx and r12 are the new coroutine's already, and r13 is still the old one's.",
	.predict = "at each instruction of coctx_swap the thread stops, and another process runs. It swaps there and "
		   "back 50 times like this. Which registers are wrong?",
	.answers = { "those that were loaded before it was stopped", "rsp and rip: it crashes", "none" },
	.answer = 'c',
	.result = "stopped at each instruction of the swap, with another process running there: no register is wrong",
	.because = "The kernel keeps all registers of a thread while something else runs, and puts all of them back. "
		   "A half done swap is as good a place as any other. The two structs belong to this thread, and no "
		   "other touches them. So no lock. (What signals do ask of a swap is question 10.)",
};

/* long keep_six(from, to, base): swap with base+1 to base+6 in the registers that a swap
 * keeps; returns how many of them are wrong afterwards. */
__asm__(".macro check n, reg\n"
	"	lea \\n(%rcx), %rdi; xor %edx, %edx; cmp %rdi, \\reg; setne %dl; add %rdx, %rax\n"
	".endm\n"
	"keep_six: push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rdx\n"
	"	lea 1(%rdx), %rbx; lea 2(%rdx), %rbp; lea 3(%rdx), %r12\n"
	"	lea 4(%rdx), %r13; lea 5(%rdx), %r14; lea 6(%rdx), %r15\n"
	"	call coctx_swap\n"
	"	pop %rcx; xor %eax, %eax\n"
	"	check 1, %rbx; check 2, %rbp; check 3, %r12; check 4, %r13; check 5, %r14; check 6, %r15\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n"
	"step_on: pushfq; orq $0x100, (%rsp); popfq; ret\n"
	"step_off: pushfq; andq $~0x100, (%rsp); popfq; ret\n");
long keep_six(struct coctx *from, struct coctx *to, long base);
void step_on(void);
void step_off(void);

static struct coctx main_ctx, other_ctx;
static alignas(16) char stack[64 * 1024], for_signals[64 * 1024];
static int to_rival[2], from_rival[2];
static volatile long n_stops, n_answers, n_places, n_wrong;
static bool was_at[256]; /* offsets in coctx_swap */

static void let_another_run(int sig, siginfo_t *info, void *context)
{
	long at = (long)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] - (long)coctx_swap;
	char c = 'x';

	if (at < 0 || at >= (long)sizeof(was_at))
		return;
	n_stops++;
	n_places += !was_at[at];
	was_at[at] = true;
	if (write(to_rival[1], &c, 1) == 1 && read(from_rival[0], &c, 1) == 1)
		n_answers++;
	(void)sig;
	(void)info;
}

static void answer(void)
{
	char c;

	while (read(to_rival[0], &c, 1) == 1 && write(from_rival[1], &c, 1) == 1)
		;
	_exit(0);
}

static void other_side(void *arg)
{
	for (;;)
		n_wrong += keep_six(&other_ctx, &main_ctx, 1000);
	(void)arg;
}

char experiment(void)
{
	struct sigaction act = { .sa_sigaction = let_another_run, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t alternate = { .ss_sp = for_signals, .ss_size = sizeof(for_signals) };
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one); /* both on this one */
	must(pipe(to_rival) == 0 && pipe(from_rival) == 0, "two pipes", "none");
	pid_t rival = fork();
	if (rival == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		answer();
	}
	sigaltstack(&alternate, NULL);
	sigaction(SIGTRAP, &act, NULL);
	make_context(&other_ctx, stack + sizeof(stack), other_side);
	step_on();
	for (int i = 0; i < 50; i++)
		n_wrong += keep_six(&main_ctx, &other_ctx, 2000);
	step_off();
	kill(rival, SIGKILL);
	waitpid(rival, NULL, 0);
	saw("100 swaps, stopped %ld times inside, at %ld different instructions", n_stops, n_places);
	saw("another process has run at each of these: %ld times", n_answers);
	saw("numbers in registers that are wrong: %ld of 600", n_wrong);
	must(n_places >= 20, "at least 20 different instructions", "%ld", n_places);
	must(n_answers == n_stops, "an answer for each stop", "%ld answers, %ld stops", n_answers, n_stops);
	return n_wrong ? 'a' : 'c';
}
