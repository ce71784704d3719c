/* SPDX-License-Identifier: MIT */
/*
 * A thousand coroutines, most of them on four slots, the others on stacks of their
 * own. They call up to 200 deep, resume each other, yield, and are reset and released
 * wherever they are, until a million switches have been made. Each frame fills a
 * buffer of its own and finds it again: when it runs on, when it returns, and now
 * and then all frames of whoever comes back.
 */
#include "sharestack.h"

#include <alloca.h>

#include "env.h"
#include "tools.h"

enum {
	SWITCHES = 1000 * 1000,
	CROWD = 1000,
	DEEPEST = 200,      /* calls inside one coroutine */
	LONGEST_CHAIN = 40, /* of resumes */
	MOST = 160,         /* bytes of a frame's buffer */
	LOOK_AT_ALL = 16,   /* of so many switches, one is followed by a look at all frames */
	CHECK_EVERY = 20000,
#ifdef CO_ASAN /* its frames are some times as large */
	STACK = 512 * 1024,
	IS_ASAN = 1, /* quick enough for all of them */
#else
	IS_ASAN = 0,
	STACK = 96 * 1024,
#endif
};

/* What a frame notes of itself, on its stack: with the buffer, all that must survive. */
struct frame {
	struct frame *caller;
	unsigned char *bytes;
	unsigned len, seed;
};

struct one {
	struct co *co;       /* NULL: none now */
	struct frame *inmost; /* valid while it exists and has begun */
};

static struct one crowd[CROWD];
static struct co_stack_source *shared;
static struct rng rng;
static int switches_left, chain;
static unsigned long n_frames_checked, n_created, n_done, n_resets, n_releases, n_occupants_gone;
static int deepest, longest_chain;

static unsigned char byte_of(unsigned seed, unsigned i)
{
	return (unsigned char)(seed + i * 37 + (i >> 3));
}

static void check_frame(const struct frame *f)
{
	for (unsigned i = 0; i < f->len; i++)
		if (f->bytes[i] != byte_of(f->seed, i))
			CHECK_EQ(f->bytes[i], byte_of(f->seed, i));
	n_frames_checked++;
}

/* Back from a switch. */
static void look_around(const struct one *me)
{
	if (rng_below(&rng, LOOK_AT_ALL) == 0)
		for (const struct frame *f = me->inmost; f; f = f->caller)
			check_frame(f);
	if (switches_left % CHECK_EVERY == 0) {
		co_env_check();
		co_stack_check();
	}
}

static void *run(void *one);

static void create(struct one *one)
{
	struct co_attr attr = { .stack_size = STACK, .share_stack = rng_below(&rng, 5) ? shared : NULL };

	CHECK_EQ(co_create(&one->co, &attr, run, one), 0);
	one->inmost = NULL;
	n_created++;
}

/* Is it somebody whose bytes are in a slot? */
static bool is_occupant(const struct co *co)
{
	const struct co_stack *s = co->exec.stack;
	return s->ops->enter && s->hi && s->save_len == 0 && co->state == CO_SUSPENDED;
}

static void resume(struct one *me, struct one *one)
{
	if (chain == LONGEST_CHAIN)
		return;
	if (++chain > longest_chain)
		longest_chain = chain;
	switches_left--;
	CHECK_EQ(co_resume(one->co), 0);
	chain--;
	look_around(me);
}

static void yield(struct one *me)
{
	switches_left--;
	CHECK_EQ(co_yield_ct(), 0);
	look_around(me);
}

static void reset(struct one *one)
{
	n_occupants_gone += is_occupant(one->co);
	CHECK_EQ(co_reset(one->co), 0);
	one->inmost = NULL;
	n_resets++;
}

static void release(struct one *one)
{
	n_occupants_gone += is_occupant(one->co);
	CHECK_EQ(co_release(one->co), 0);
	one->co = NULL;
	n_releases++;
}

static void with(struct one *me, struct one *one)
{
	unsigned dice = rng_below(&rng, 100);

	if (!one->co) {
		create(one);
		return;
	}
	switch (co_status(one->co)) {
	case CO_NEW:
	case CO_SUSPENDED:
		if (dice < 94)
			resume(me, one);
		else if (dice < 97)
			reset(one);
		else
			release(one);
		break;
	case CO_DONE:
		if (dice < 50)
			reset(one);
		else
			release(one);
		break;
	default: /* it has resumed somebody who has resumed us */
		CHECK_FAILS(co_release(one->co), -1, EBUSY);
	}
}

static void call(struct one *me, int depth);

/* Returns false when the present function shall return. */
static bool step(struct one *me, int depth)
{
	unsigned dice = rng_below(&rng, 100);
	bool is_main = me == &crowd[0];

	if (dice < 40) {
		if (depth < DEEPEST)
			call(me, depth + 1);
	} else if (dice < 60) {
		return is_main && depth == 1;
	} else if (dice < 80 && !is_main) {
		yield(me);
	} else {
		with(me, &crowd[1 + rng_below(&rng, CROWD - 1)]);
	}
	return true;
}

static void call(struct one *me, int depth)
{
	struct frame f = { .caller = me->inmost, .len = 1 + rng_below(&rng, MOST), .seed = rng_below(&rng, 1 << 16) };

	f.bytes = alloca(f.len);
	for (unsigned i = 0; i < f.len; i++)
		f.bytes[i] = byte_of(f.seed, i);
	me->inmost = &f;
	if (depth > deepest)
		deepest = depth;
	/* Sometimes it goes down a long way first, and lives there. */
	if (depth > 1 && depth < DEEPEST && rng_below(&rng, 100) < (depth > 20 ? 90 : 5))
		call(me, depth + 1);
	for (bool go_on = true; go_on && switches_left > 0;) {
		go_on = step(me, depth);
		CHECK_EQ(me->inmost, &f);
		check_frame(&f);
	}
	check_frame(&f);
	me->inmost = f.caller;
}

static void *run(void *one)
{
	call(one, 1);
	n_done++;
	return one;
}

static void crowd_on_four_slots(void)
{
	struct co_sharestack_stats s;

	rng.s = test_seed(20261126);
	switches_left = IS_ASAN ? SWITCHES : rounds(SWITCHES);
	shared = co_alloc_sharestack(4, STACK);
	CHECK(shared != NULL);
	crowd[0].co = co_self();
	call(&crowd[0], 1);
	crowd[0].inmost = NULL;
	for (int i = 1; i < CROWD; i++) {
		if (!crowd[i].co)
			continue;
		if (co_status(crowd[i].co) == CO_SUSPENDED) { /* all of its frames return now */
			CHECK_EQ(co_resume(crowd[i].co), 0);
			CHECK_EQ(co_status(crowd[i].co), CO_DONE);
		}
		release(&crowd[i]);
	}
	co_env_check();
	CHECK_EQ(co_sharestack_stats(shared, &s), 0);
	CHECK_EQ(co_free_sharestack(shared), 0);
	CHECK_EQ(co_stack_stats().lent, 0);
	printf("# %lu created, %lu returned, %lu reset, %lu released, %lu of them occupants of a slot; deepest %d, chain %d\n",
	       n_created, n_done, n_resets, n_releases, n_occupants_gone, deepest, longest_chain);
	printf("# %llu entries of slots, %llu saves, %llu hops, %llu MB copied out; %lu frames looked at\n",
	       (unsigned long long)s.entries, (unsigned long long)s.saves, (unsigned long long)s.hops,
	       (unsigned long long)s.saved_bytes / 1000000, n_frames_checked);
	CHECK_EQ(deepest, DEEPEST);
	CHECK(longest_chain > 10);
	CHECK(n_occupants_gone > 2 && s.hops > 100 && n_done > 100);
}

static const struct test_case cases[] = {
	{ "crowd", "a thousand on four slots and on their own: a million switches change no byte of a frame",
	  crowd_on_four_slots, 0, NULL },
};

TEST_MAIN(cases)
