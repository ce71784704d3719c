/* SPDX-License-Identifier: MIT */
/*
 * Slabs.
 *
 * Many stacks share one mmap because the kernel allows a process only 65 530
 * maps (vm.max_map_count): a map for each stack, and one for each guard, end
 * at some 32 000 coroutines. For the same reason single stacks are never
 * unmapped: a hole in the middle of a slab splits its map in two.
 */
#include "slab.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "annotate.h"
#include "assert.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

enum {
	SLAB_STACKS = 64, /* one bit each in slab.free */
	SLAB_BYTES = 16 * 1024 * 1024,
};

/* One mmap full of stacks of one size. */
struct slab {
	struct list in_slabs; /* first: leak checkers look for pointers to the start */
	struct list has_free; /* linked while it has a free stack: I3 */
	struct slabs *slabs;
	char *base;
	size_t len;
	unsigned count;
	uint64_t free;      /* bit i: stack i is free */
	uint64_t has_guard; /* bit i: its guard is there: made at first use, it stays */
};

/* Of the default size it is an odd number of pages, by the top's: the tops of neighbours are
 * not 64 KiB times something apart, where they would share few sets of the cache. */
static size_t slot_len(const struct slabs *slabs)
{
	return CO_STACK_GUARD + slabs->size;
}

static uint64_t all_bits(unsigned count)
{
	return count == 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1;
}

void slabs_init(struct slabs *slabs, size_t size)
{
	*slabs = (struct slabs){ .size = size };
	list_init(&slabs->all);
	list_init(&slabs->has_free);
}

/* Map a slab of @count stacks; NULL, ENOMEM. */
static struct slab *slab_map(struct slabs *slabs, unsigned count)
{
	struct slab *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->len = count * slot_len(slabs);
	/* NORESERVE: most of a stack is never touched, so do not count it. */
	s->base = mmap(NULL, s->len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (s->base == MAP_FAILED) {
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	/* A huge page would make 2 MiB resident at the first touch of any
	 * stack. Advice: where it is refused, only memory is lost. */
	(void)madvise(s->base, s->len, MADV_NOHUGEPAGE);
	s->slabs = slabs;
	s->count = count;
	s->free = all_bits(count);
	list_insert(&slabs->all, &s->in_slabs);
	list_insert(&slabs->has_free, &s->has_free); /* I3 */
	slabs->n_slabs++;
	slabs->n_stacks += count;
	slabs->mapped_bytes += s->len;
	return s;
}

/* Map a slab, smaller if the address space is short: a program that has room
 * for one more stack shall get one. */
static struct slab *slab_new(struct slabs *slabs)
{
	unsigned count = (unsigned)(SLAB_BYTES / slot_len(slabs));
	if (count > SLAB_STACKS)
		count = SLAB_STACKS;
	for (; count > 1; count /= 2) {
		struct slab *s = slab_map(slabs, count);
		if (s)
			return s;
	}
	return slab_map(slabs, 1);
}

static void slab_unmap(struct slab *s)
{
	struct slabs *slabs = s->slabs;

	list_remove(&s->has_free);
	list_remove(&s->in_slabs);
	slabs->n_slabs--;
	slabs->n_stacks -= s->count;
	slabs->mapped_bytes -= s->len;
	munmap(s->base, s->len);
	free(s);
}

/* Make the lowest CO_STACK_GUARD bytes of a slot fault. */
static int guard_install(char *at)
{
	/* A guard in the page tables: no map of its own. */
	if (madvise(at, CO_STACK_GUARD, MADV_GUARD_INSTALL) == 0)
		return 0;
	/* An older kernel, or locked memory. This splits the map in two, so at
	 * most some 32 750 stacks of this kind fit into a process. */
	return mprotect(at, CO_STACK_GUARD, PROT_NONE);
}

static char *slot_of(const struct slab *s, unsigned i)
{
	return s->base + i * slot_len(s->slabs);
}

/* Where slot @i's is, while that is out. */
static struct private_stack *private_stack_of(const struct slab *s, unsigned i)
{
	return (struct private_stack *)(slot_of(s, i) + slot_len(s->slabs) - SLAB_TOP);
}

/* Take the lowest free stack of @s; NULL, ENOMEM if its guard cannot be made. */
static struct private_stack *slab_take(struct slab *s)
{
	unsigned i = (unsigned)__builtin_ctzll(s->free);
	uint64_t bit = UINT64_C(1) << i;
	char *lo = slot_of(s, i) + CO_STACK_GUARD;
	struct private_stack *p = private_stack_of(s, i);

	if (!(s->has_guard & bit) && guard_install(slot_of(s, i)) != 0)
		return NULL;
	s->has_guard |= bit;
	s->free &= ~bit;
	if (!s->free)
		list_remove(&s->has_free); /* I3 */
	*p = (struct private_stack){
		.stack = { .lo = lo, .hi = (char *)p, .guard_len = CO_STACK_GUARD },
		.slabs = s->slabs,
		.slab = s,
		.tool_id = annotate_stack(lo, p),
		.is_watched = annotate_watches_memory(),
	};
	/* A tool that remembers who freed a block can say so only of blocks of the heap. */
	p->stack.room = p->is_watched ? NULL : p + 1;
	list_init(&p->in_pool);
	return p;
}

struct private_stack *slabs_take(struct slabs *slabs)
{
	struct slab *s = list_empty(&slabs->has_free) ? slab_new(slabs)
						      : container_of(slabs->has_free.next, struct slab, has_free);
	if (!s)
		return NULL;
	struct private_stack *p = slab_take(s);
	if (!p) {
		if (s->free == all_bits(s->count))
			slab_unmap(s);
		errno = ENOMEM;
	}
	return p;
}

static unsigned index_of(const struct private_stack *p)
{
	const struct slab *s = p->slab;
	return (unsigned)((size_t)(p->stack.lo - s->base) / slot_len(s->slabs));
}

void slab_give(struct private_stack *p)
{
	struct slab *s = p->slab;
	unsigned i = index_of(p);

	annotate_stack_end(p->tool_id, p->stack.lo, p->stack.hi);
	if (!s->free)
		list_insert(&s->slabs->has_free, &s->has_free); /* I3 */
	s->free |= UINT64_C(1) << i;
	if (s->free == all_bits(s->count))
		slab_unmap(s); /* I3 */
	else
		(void)madvise(slot_of(s, i) + CO_STACK_GUARD, s->slabs->size, MADV_DONTNEED);
}

bool slab_lends(const struct private_stack *p)
{
	return !(p->slab->free >> index_of(p) & 1);
}

size_t slabs_count_free(const struct slabs *slabs)
{
	size_t n = 0;

	for (const struct list *l = slabs->has_free.next; l != &slabs->has_free; l = l->next)
		n += (size_t)__builtin_popcountll(container_of(l, struct slab, has_free)->free);
	return n;
}

static void check_slab(const struct slab *s)
{
	CO_ASSERT(s->free != all_bits(s->count), "I3: an empty slab is unmapped");
	CO_ASSERT(list_linked(&s->has_free) == (s->free != 0), "I3: a slab with a free stack is listed");
	for (unsigned i = 0; i < s->count; i++) {
		const struct private_stack *p = private_stack_of(s, i);
		if (s->free >> i & 1)
			continue;
		CO_ASSERT(s->has_guard >> i & 1, "I1: what is handed out has a guard");
		CO_ASSERT(((uintptr_t)p->stack.lo | (uintptr_t)p->stack.hi) % 16 == 0, "I1: bounds are aligned");
		CO_ASSERT(p->slab == s && p->stack.lo == slot_of(s, i) + CO_STACK_GUARD, "I1: and end at its guard");
	}
}

void slabs_check(const struct slabs *slabs)
{
	size_t n = 0;

	for (const struct list *l = slabs->all.next; l != &slabs->all; l = l->next, n++)
		check_slab(container_of(l, struct slab, in_slabs));
	CO_ASSERT(n == slabs->n_slabs, "I3: the slabs are counted right");
}
