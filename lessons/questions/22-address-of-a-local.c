/* SPDX-License-Identifier: MIT */
/*
 * alice leaves the address of a local where bob finds it. Both run the same function: on
 * stacks of their own, then on one slot.
 */
#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 10,
	.belief = "The address of a local is good until its function returns.",
	.natural = "That is the rule of C, and it holds for stacks of one's own.",
	.predict = "alice has 42 in a local and yields. bob, in the same function, has 7777 in his. He reads through "
		   "the address of hers. Both run on one shared stack. What does he read?",
	.answers = { "42", "7777, his own number", "it crashes" },
	.answer = 'b',
	.result = "on one shared stack bob reads his own number at alice's address, and what he writes there is lost to her",
	.because = "An address names a place, and on a shared stack the place belongs to whoever is in it. Her 42 "
		   "was copied to the heap when he came; at its old place lies his local, in the same function at "
		   "the same depth. So data that several use belong on the heap, or on stacks that are not shared.",
};

static volatile int *hers;
static int bob_reads, alice_finds;

static void *keep_a_number(void *number)
{
	volatile int local = *(int *)number;

	if (!hers) { /* alice */
		hers = &local;
		co_yield_ct();
		alice_finds = local;
	} else { /* bob */
		co_yield_ct();
		bob_reads = *hers;
		*hers = 1;
	}
	return NULL;
}

static void run(struct co_stack_source *slots, const char *what)
{
	int numbers[] = { 42, 7777 };
	struct co *a = create_on(slots, keep_a_number, &numbers[0]), *b = create_on(slots, keep_a_number, &numbers[1]);

	hers = NULL;
	co_resume(a);
	co_resume(b);
	co_resume(b);
	co_resume(a);
	saw("%s bob reads %d at her address, and writes 1; she finds %d", what, bob_reads, alice_finds);
	co_release(a);
	co_release(b);
}

char experiment(void)
{
	struct co_stack_source *slot = co_alloc_sharestack(1, 128 * 1024);

	run(NULL, "own stacks:");
	must(bob_reads == 42 && alice_finds == 1, "42 and 1 on stacks of their own", "%d and %d", bob_reads, alice_finds);
	run(slot, "one slot:  ");
	co_free_sharestack(slot);
	must(alice_finds == 42, "her own 42 again", "%d", alice_finds);
	return bob_reads == 42 ? 'a' : bob_reads == 7777 ? 'b' : '?';
}
