/* SPDX-License-Identifier: MIT */
/*
 * The million random steps of t_random, with coroutines that share stacks: one slot
 * for many, three slots, and some that have a stack of their own.
 */
#include "sharestack.h"

#include "tools.h"

static struct co_stack_source *pick_source(void);
static void free_sources(void);

#define STACK_SOURCE() pick_source()
#define FREE_SOURCES() free_sources()
#define N_STEPS rounds(STEPS)
#define SENTENCE "a million random steps on shared stacks lose no local, register, errno or setting"
#include "t_random.c"

static struct co_stack_source *sources[2];

static struct co_stack_source *pick_source(void)
{
	unsigned dice = rng_below(&rng, 5);

	if (!sources[0]) {
		sources[0] = co_alloc_sharestack(1, 32 * 1024);
		sources[1] = co_alloc_sharestack(3, 64 * 1024);
	}
	return dice == 0 ? NULL : sources[dice % 2];
}

/* Every kind of switch must have happened, or this has shown nothing. */
static void free_sources(void)
{
	for (int i = 0; i < 2; i++) {
		struct co_sharestack_stats s;
		CHECK_EQ(co_sharestack_stats(sources[i], &s), 0);
		printf("# %zu slots: %llu entries, %llu saves, %llu loads, %llu hops, %llu bytes out\n", s.slots,
		       (unsigned long long)s.entries, (unsigned long long)s.saves, (unsigned long long)s.loads,
		       (unsigned long long)s.hops, (unsigned long long)s.saved_bytes);
		CHECK(s.hops > 50 && s.saves > s.hops && s.loads > 50 && s.entries > s.loads);
		CHECK_EQ(s.coroutines, 0);
		CHECK_EQ(s.buffer_bytes, 0);
		CHECK_EQ(co_free_sharestack(sources[i]), 0);
	}
}
