/* SPDX-License-Identifier: MIT */
/*
 * Who may copy alice's bytes back into the slot, and when? Three ways, each in a child:
 * main does it; bob does it, standing in the slot, before he swaps to her; alice's own
 * swap does it, after the switch, as libco's.
 */
#include <stdio.h>

#include "minishare.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 10,
	.belief = "To put a stack back is a memcpy; it does not matter who calls it.",
	.natural = "The right bytes go to the right place.",
	.predict = "alice is deep, and copied out; bob runs in the slot, shallow. He copies her bytes back to where "
		   "they were, and is about to swap to her. What happens?",
	.answers = { "he crashes before he gets to swap",
		     "she goes on: the bytes are right",
		     "she crashes after the swap" },
	.answer = 'a',
	.result = "who copies onto the stack it stands on overwrites its own frames, and crashes; from another stack it works",
	.because = "His frames lie where her bytes go, and the return address of the copying function is among them. "
		   "From another stack there is no such thing. libco copies after the swap, standing on that very "
		   "stack, but lower than all that is written: rsp is hers already, and her bytes begin above it. It "
		   "works as long as no local is used across the copy. costep hops to a copier with a stack of its "
		   "own.",
};

static struct mini main_, alice, bob;
static enum way { BY_MAIN, BY_BOB, AFTER_SWAP } way;
static struct mini *comes_back; /* in no local: after the swap, a local is another's */
static struct {
	bool is_copying, has_copied;
	int n_wrong;
} *seen;

/* noinline: `here` is below all that its caller has. */
__attribute__((noinline)) static void swap_to(struct mini *from, struct mini *to)
{
	char here;

	from->sp = keep(&here);
	coctx_swap(&from->ctx, &to->ctx);
	if (way == AFTER_SWAP && comes_back) {
		copy_in(comes_back);
		seen->has_copied = true;
	}
}

static void run_alice(void *arg)
{
	volatile char bytes[8192];

	fill_bytes(bytes, sizeof(bytes), 0x42);
	swap_to(&alice, &main_);
	seen->n_wrong = count_wrong(bytes, sizeof(bytes), 0x42);
	comes_back = NULL;
	swap_to(&alice, &main_);
	(void)arg;
}

static void run_bob(void *arg)
{
	if (way == BY_BOB) {
		seen->is_copying = true;
		copy_in(&alice);
		seen->has_copied = true;
	}
	comes_back = &alice;
	swap_to(&bob, way == BY_MAIN ? &main_ : &alice);
	(void)arg;
}

static void go(void)
{
	make_context(&alice.ctx, top, run_alice);
	make_context(&bob.ctx, top, run_bob);
	swap_to(&main_, &alice);
	copy_out(&alice);
	memset(slot, 0, sizeof(slot));
	swap_to(&main_, &bob);
	if (way == BY_MAIN) {
		copy_in(&alice);
		seen->has_copied = true;
		comes_back = NULL;
		swap_to(&main_, &alice);
	}
}

static struct ended run(enum way which, const char *what)
{
	way = which;
	memset(seen, 0, sizeof(*seen));
	seen->n_wrong = -1;
	struct ended end = in_child(go);
	if (seen->n_wrong >= 0)
		saw("%s of her 8192 bytes %d are wrong; the program %s", what, seen->n_wrong, how(end));
	else
		saw("%s she does not come back; the program %s", what, how(end));
	return end;
}

char experiment(void)
{
	seen = shared_with_child(sizeof(*seen));
	run(BY_MAIN, "main copies:        ");
	must(seen->n_wrong == 0, "0 wrong bytes when main copies", "%d", seen->n_wrong);
	run(AFTER_SWAP, "after the swap:     ");
	must(seen->n_wrong == 0, "0 wrong bytes when it is done after the swap", "%d", seen->n_wrong);
	struct ended end = run(BY_BOB, "bob, standing there:");
	must(seen->is_copying, "that bob begins to copy", "he does not");
	return seen->n_wrong == 0 ? 'b' : !end.signal ? '?' : seen->has_copied ? 'c' : 'a';
}
