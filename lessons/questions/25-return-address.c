/* SPDX-License-Identifier: MIT */
/*
 * A swap that leaves the return address where the call has put it, on the stack, and ends in
 * ret; and coctx_swap, which keeps it in the context. On stacks of their own, and on one slot.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "minishare.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 10,
	.belief = "The return address need not be stored in the context: it is on the stack.",
	.natural = "The call has just pushed it, and ret takes it from there.",
	.predict = "a swap does not store it. On stacks of their own alice and bob swap happily. Then on one slot, "
		   "where the bytes from a local of the function that swaps up to the top are copied out, as in "
		   "libco. What happens?",
	.answers = { "it returns to another's bytes, and crashes", "it works as before" },
	.answer = 'a',
	.result = "on a shared stack the return address is not among the bytes that are saved: ret takes another's bytes for it",
	.because = "The call of the swap pushes it *below* the local at which the copy begins. On a stack of one's "
		   "own it stays there. In a slot another writes there, and it is in no copy. So libco keeps it in "
		   "the context, and pushes it again: two lines that readers ask about (issues 91, 174).",
};

/* As coctx_swap, but for the return address. (Offsets: asm/coctx_offsets.h.) */
__asm__("swap_and_ret:\n"
	"	mov %rbx, 0(%rdi); mov %rbp, 8(%rdi); mov %r12, 16(%rdi); mov %r13, 24(%rdi)\n"
	"	mov %r14, 32(%rdi); mov %r15, 40(%rdi); mov %rsp, 48(%rdi)\n"
	"	mov 0(%rsi), %rbx; mov 8(%rsi), %rbp; mov 16(%rsi), %r12; mov 24(%rsi), %r13\n"
	"	mov 32(%rsi), %r14; mov 40(%rsi), %r15; mov 48(%rsi), %rsp; ret\n");
void swap_and_ret(struct coctx *from, const struct coctx *to);

static struct mini main_, alice, bob, *resident, *comes_back;
static bool is_shared, stores_address;
static volatile struct {
	int n_back;	     /* how often alice has come back */
	unsigned long below; /* what lies at her rsp then */
} *seen;

/* Write what the first swap to @m finds. */
static void begin(struct mini *m, char *stack_top, void (*fn)(void *))
{
	if (stores_address) {
		make_context(&m->ctx, stack_top, fn);
	} else {
		m->ctx.rsp = stack_top - 16;
		*(void **)m->ctx.rsp = (void *)fn; /* the first ret goes there */
	}
}

static void run_bob(void *arg);

__attribute__((noinline)) static void swap_to(struct mini *from, struct mini *to)
{
	char here;

	from->sp = keep(&here);
	comes_back = NULL;
	if (is_shared && to != &main_ && to != resident) {
		if (resident)
			copy_out(resident);
		comes_back = to->saved ? to : NULL;
		resident = to;
	}
	if (to == &bob && !bob.sp)
		begin(&bob, is_shared ? top : slot + sizeof(slot) / 2, run_bob);
	if (to == &alice && alice.sp)
		seen->below = *(unsigned long *)((char *)alice.ctx.rsp - (stores_address ? 8 : 0));
	if (stores_address)
		coctx_swap(&from->ctx, &to->ctx);
	else
		swap_and_ret(&from->ctx, &to->ctx);
	if (comes_back)
		copy_in(comes_back);
}

static void run_alice(void *arg)
{
	for (;;) {
		swap_to(&alice, &bob);
		seen->n_back++;
	}
	(void)arg;
}

/* He holds more than she, so his bytes are where her return address was. */
static void run_bob(void *arg)
{
	volatile char bytes[8192];

	fill_bytes(bytes, sizeof(bytes), 0x42);
	swap_to(&bob, &alice);
	if (count_wrong(bytes, sizeof(bytes), 0x42))
		_exit(1);
	swap_to(&bob, &main_);
	(void)arg;
}

static void go(void)
{
	begin(&alice, top, run_alice);
	swap_to(&main_, &alice);
}

static struct ended run(bool shared, bool stores, const char *what)
{
	is_shared = shared;
	stores_address = stores;
	seen->n_back = 0;
	struct ended end = in_child(go);
	saw("%s alice is back %d times; there: %#lx", what, seen->n_back, seen->below);
	if (end.signal)
		saw("%*s and the program %s", (int)strlen(what), "", how(end));
	return end;
}

char experiment(void)
{
	seen = shared_with_child(sizeof(*seen));
	run(false, false, "own stacks, stored by call:");
	must(seen->n_back == 1, "that she comes back", "%d times", seen->n_back);
	run(true, true, "one slot, in the context:  ");
	must(seen->n_back == 1, "that she comes back", "%d times", seen->n_back);
	struct ended end = run(true, false, "one slot, stored by call:  ");
	return !end.signal ? 'b' : end.signal == SIGSEGV && seen->below == 0x4242424242424242 ? 'a' : '?';
}
