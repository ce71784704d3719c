/* SPDX-License-Identifier: MIT */
/*
 * libco's rule for shared stacks, in small: the slot knows its occupant; who comes is
 * restored if the occupant is another. A release of the occupant sets it to NULL.
 */
#include <signal.h>
#include <stdio.h>

#include "costep.h"
#include "minishare.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 10,
	.belief = "To release a coroutine that has finished is harmless.",
	.natural = "It is over, nobody needs it, and its memory is its own.",
	.predict = "alice is copied out. bob runs on the same slot to his end, and is released, so that the slot has "
		   "no occupant. alice's bytes are put back \"if the occupant is another\". She is resumed. What "
		   "does she find?",
	.answers = { "her bytes", "bob's: nobody puts hers back" },
	.answer = 'b',
	.result = "after the occupant's release nobody puts the next one's bytes back: in libco it crashes; asking \"is she in?\" helps",
	.because = "\"No occupant\" was taken for \"nothing to restore\", but it means that the slot holds "
		   "*nobody's* bytes: least of all hers. The question to ask is \"are her bytes in the slot?\", not "
		   "\"whose are?\". libco has had this since 2017 (issues 64, 169: \"puzzled me for days\").",
};

static struct mini main_, alice, bob, *occupant;
static bool asks_for_her; /* the right question */
static int *n_wrong;

/* Main resumes, so nobody stands on the slot while it is copied. */
static void resume(struct mini *to)
{
	struct mini *old = occupant;

	if (old && old != to) {
		old->sp = old->ctx.rsp; /* as saved when it left */
		copy_out(old);
	}
	if (asks_for_her ? old != to && to->saved : old && old != to && to->saved)
		copy_in(to);
	occupant = to;
	coctx_swap(&main_.ctx, &to->ctx);
}

static void yield(struct mini *from)
{
	coctx_swap(&from->ctx, &main_.ctx);
}

static void release(struct mini *m)
{
	if (occupant == m)
		occupant = NULL;
	free(m->saved);
	m->saved = NULL;
}

static void run_alice(void *arg)
{
	volatile char bytes[256];

	fill_bytes(bytes, sizeof(bytes), 0x41);
	yield(&alice);
	*n_wrong = count_wrong(bytes, sizeof(bytes), 0x41);
	yield(&alice);
	(void)arg;
}

static void run_bob(void *arg)
{
	volatile char bytes[4096];

	fill_bytes(bytes, sizeof(bytes), 0x42);
	yield(&bob); /* his end */
	(void)arg;
}

static void go(void)
{
	make_context(&alice.ctx, top, run_alice);
	make_context(&bob.ctx, top, run_bob);
	resume(&alice);
	resume(&bob);
	release(&bob);
	resume(&alice);
}

static struct ended run(bool right, const char *what)
{
	asks_for_her = right;
	*n_wrong = -1;
	struct ended end = in_child(go);
	if (*n_wrong >= 0)
		saw("%s of her 256 bytes %d are wrong; the program %s", what, *n_wrong, how(end));
	else
		saw("%s she does not come back; the program %s", what, how(end));
	return end;
}

static void *fill_and_check(void *arg)
{
	volatile char bytes[256];

	fill_bytes(bytes, sizeof(bytes), 0x41);
	co_yield_ct();
	*(int *)arg = count_wrong(bytes, sizeof(bytes), 0x41);
	return NULL;
}

char experiment(void)
{
	struct co_stack_source *slots = co_alloc_sharestack(1, 128 * 1024);
	int ours = -1, bobs;

	n_wrong = shared_with_child(sizeof(*n_wrong));
	run(true, "\"is she in?\":         ");
	must(*n_wrong == 0, "0 wrong bytes with the right question", "%d", *n_wrong);
	struct ended end = run(false, "\"is another in?\":     ");
	int wrong = *n_wrong;

	struct co *a = create_on(slots, fill_and_check, &ours), *b = create_on(slots, fill_and_check, &bobs);
	co_resume(a);
	co_resume(b);
	co_resume(b);
	co_release(b);
	co_resume(a);
	co_release(a);
	co_free_sharestack(slots);
	saw("costep's shared stacks: of her 256 bytes %d are wrong", ours);
	must(ours == 0, "0 wrong bytes", "%d", ours);
	return wrong == 0 && !end.signal ? 'a' : 'b';
}
