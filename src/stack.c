/* SPDX-License-Identifier: MIT */
/*
 * Private stacks.
 *
 * Many stacks share one mmap because the kernel allows a process only 65 530
 * maps (vm.max_map_count): a map for each stack, and one for each guard, end
 * at some 32 000 coroutines. For the same reason single stacks are never
 * unmapped: a hole in the middle of a slab splits its map in two.
 *
 * A stack that has been put back goes to the pool first. Its top pages are in
 * the cache and in the page tables, so the next coroutine starts without a
 * page fault. Last in, first out: the warmest is handed out first.
 */
#include "stack.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "annotate.h"
#include "assert.h"
#include "list.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum {
	SLAB_STACKS = 64, /* one bit each in slab.free */
	SLAB_BYTES = 16 * 1024 * 1024,
};

struct private_stack {
	struct co_stack stack;
	struct slab *slab;
	struct list in_pool;
	unsigned tool_id; /* valgrind's number for it */
	bool has_guard;   /* the guard is made at first use, then stays */
};

/* One mmap full of stacks of one size. */
struct slab {
	struct list in_class; /* first: leak checkers look for pointers to the start */
	struct list has_free; /* linked while it has a free stack: I3 */
	struct size_class *size_class;
	char *base;
	size_t len;
	unsigned count;
	uint64_t free; /* bit i: stacks[i] is free */
	struct private_stack stacks[];
};

/* All stacks of one size, of one thread. */
struct size_class {
	struct size_class *next;
	size_t size;
	struct list pool; /* first = put back last */
	size_t n_pooled;
	struct list slabs;    /* all */
	struct list has_free; /* those with a free stack: I3 */
	size_t n_slabs, n_stacks, mapped_bytes;
};

/* This thread's classes. A program uses one or two sizes, so a list searched
 * from the front is enough; O(number of different sizes). */
static _Thread_local struct size_class *classes;

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t slot_len(const struct size_class *c)
{
	return CO_STACK_GUARD + c->size;
}

/* --- slabs ---------------------------------------------------------------- */

static uint64_t all_bits(unsigned count)
{
	return count == 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1;
}

/* Map a slab of @count stacks; NULL, ENOMEM. */
static struct slab *slab_map(struct size_class *c, unsigned count)
{
	struct slab *s = calloc(1, sizeof(*s) + count * sizeof(s->stacks[0]));
	if (!s)
		return NULL;
	s->len = count * slot_len(c);
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
	s->size_class = c;
	s->count = count;
	s->free = all_bits(count);
	list_insert(&c->slabs, &s->in_class);
	list_insert(&c->has_free, &s->has_free); /* I3 */
	c->n_slabs++;
	c->n_stacks += count;
	c->mapped_bytes += s->len;
	return s;
}

/* Map a slab, smaller if the address space is short: a program that has room
 * for one more stack shall get one. */
static struct slab *slab_new(struct size_class *c)
{
	unsigned count = (unsigned)(SLAB_BYTES / slot_len(c));
	if (count > SLAB_STACKS)
		count = SLAB_STACKS;
	for (; count > 1; count /= 2) {
		struct slab *s = slab_map(c, count);
		if (s)
			return s;
	}
	return slab_map(c, 1);
}

static void slab_unmap(struct slab *s)
{
	struct size_class *c = s->size_class;

	for (unsigned i = 0; i < s->count; i++) {
		struct private_stack *p = &s->stacks[i];
		if (p->has_guard)
			annotate_stack_end(p->tool_id, p->stack.lo, p->stack.hi);
	}
	list_remove(&s->has_free);
	list_remove(&s->in_class);
	c->n_slabs--;
	c->n_stacks -= s->count;
	c->mapped_bytes -= s->len;
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

static void private_put(struct co_stack *stack);

static void private_forget(struct co_stack *stack)
{
	annotate_stack_is_fresh(stack->lo, stack->hi);
}

static const struct co_stack_ops private_ops = { .forget = private_forget, .put = private_put };

/* Take the lowest free stack of @s; NULL, ENOMEM if its guard cannot be made. */
static struct private_stack *slab_take(struct slab *s)
{
	unsigned i = (unsigned)__builtin_ctzll(s->free);
	struct private_stack *p = &s->stacks[i];
	char *slot = s->base + i * slot_len(s->size_class);

	if (!p->has_guard) {
		if (guard_install(slot) != 0)
			return NULL;
		p->slab = s;
		p->stack.lo = slot + CO_STACK_GUARD;
		p->stack.hi = slot + slot_len(s->size_class);
		p->stack.guard_len = CO_STACK_GUARD;
		p->stack.ops = &private_ops;
		p->tool_id = annotate_stack(p->stack.lo, p->stack.hi);
		list_init(&p->in_pool);
		p->has_guard = true;
	}
	s->free &= ~(UINT64_C(1) << i);
	if (!s->free)
		list_remove(&s->has_free); /* I3 */
	return p;
}

/* Make @p free in its slab. */
static void slab_give(struct private_stack *p)
{
	struct slab *s = p->slab;

	if (!s->free)
		list_insert(&s->size_class->has_free, &s->has_free); /* I3 */
	s->free |= UINT64_C(1) << (p - s->stacks);
	if (s->free == all_bits(s->count))
		slab_unmap(s); /* I3 */
}

/* --- the pool ------------------------------------------------------------- */

static struct private_stack *pool_take(struct size_class *c)
{
	struct list *warmest = list_pop(&c->pool);
	if (!warmest)
		return NULL;
	c->n_pooled--;
	return container_of(warmest, struct private_stack, in_pool);
}

/* Let go of the stack that has been in the pool longest. */
static void pool_evict(struct size_class *c)
{
	struct private_stack *p = container_of(c->pool.prev, struct private_stack, in_pool);

	list_remove(&p->in_pool);
	c->n_pooled--;
	(void)madvise(p->stack.lo, c->size, MADV_DONTNEED); /* the memory; the addresses stay */
	slab_give(p);
}

static void private_put(struct co_stack *stack)
{
	struct private_stack *p = container_of(stack, struct private_stack, stack);
	struct size_class *c = p->slab->size_class;
	int saved_errno = errno;

	list_insert(&c->pool, &p->in_pool);
	c->n_pooled++;
	if (c->n_pooled > CO_POOL_STACKS || c->n_pooled * c->size > CO_POOL_BYTES)
		pool_evict(c); /* I4 */
	errno = saved_errno;
}

/* --- public ----------------------------------------------------------------- */

static struct size_class *class_for(size_t size)
{
	struct size_class *c;

	for (c = classes; c; c = c->next)
		if (c->size == size)
			return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->size = size;
	list_init(&c->pool);
	list_init(&c->slabs);
	list_init(&c->has_free);
	c->next = classes;
	classes = c;
	return c;
}

size_t co_stack_min(void)
{
	size_t signal_frame = getauxval(AT_MINSIGSTKSZ);
	size_t min = 16 * 1024;
	return min > signal_frame + 8 * 1024 ? min : signal_frame + 8 * 1024;
}

struct co_stack *co_stack_get(size_t size)
{
	size_t page = page_size();

	if (size < co_stack_min())
		size = co_stack_min();
	size = (size + page - 1) / page * page;

	struct size_class *c = class_for(size);
	if (!c)
		return NULL;
	struct private_stack *p = pool_take(c);
	if (!p) {
		struct slab *s = list_empty(&c->has_free) ? slab_new(c)
							  : container_of(c->has_free.next, struct slab, has_free);
		if (!s)
			return NULL;
		p = slab_take(s);
		if (!p) {
			if (s->free == all_bits(s->count))
				slab_unmap(s);
			errno = ENOMEM;
			return NULL;
		}
	}
	private_forget(&p->stack);
	return &p->stack;
}

void co_stack_of_thread(struct co_stack *stack)
{
	static const struct co_stack_ops threads_own = { .put = NULL };
	pthread_attr_t attr;
	void *lo;
	size_t len;

	*stack = (struct co_stack){ .ops = &threads_own };
	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return;
	if (pthread_attr_getstack(&attr, &lo, &len) == 0) {
		stack->lo = lo;
		stack->hi = (char *)lo + len;
	}
	pthread_attr_destroy(&attr);
}

bool co_stack_guards(const struct co_stack *stack, const void *addr)
{
	const char *a = addr;
	return a < stack->lo && stack->lo - a <= (ptrdiff_t)stack->guard_len;
}

void co_stack_thread_exit(void)
{
	while (classes) {
		struct size_class *c = classes;
		while (!list_empty(&c->pool))
			pool_evict(c);
		CO_ASSERT(c->n_slabs == 0, "a thread ends with all its stacks put back");
		classes = c->next;
		free(c);
	}
}

struct co_stack_stats co_stack_stats(void)
{
	struct co_stack_stats stats = { 0 };

	for (const struct size_class *c = classes; c; c = c->next) {
		size_t n_free = 0;
		for (const struct list *l = c->has_free.next; l != &c->has_free; l = l->next)
			n_free += (size_t)__builtin_popcountll(container_of(l, struct slab, has_free)->free);
		stats.slabs += c->n_slabs;
		stats.mapped_bytes += c->mapped_bytes;
		stats.pooled += c->n_pooled;
		stats.lent += c->n_stacks - n_free - c->n_pooled;
	}
	return stats;
}

static void check_slab(const struct slab *s)
{
	CO_ASSERT(s->free != all_bits(s->count), "I3: an empty slab is unmapped");
	CO_ASSERT(list_linked(&s->has_free) == (s->free != 0), "I3: a slab with a free stack is listed");
	for (unsigned i = 0; i < s->count; i++) {
		const struct private_stack *p = &s->stacks[i];
		bool is_free = s->free >> i & 1;
		CO_ASSERT(is_free || p->has_guard, "I1: what is handed out has a guard");
		if (!p->has_guard)
			continue;
		CO_ASSERT(((uintptr_t)p->stack.lo | (uintptr_t)p->stack.hi) % 16 == 0, "I1: bounds are aligned");
		CO_ASSERT(!is_free || !list_linked(&p->in_pool), "I2: a free stack is not in the pool");
	}
}

void co_stack_check(void)
{
	for (const struct size_class *c = classes; c; c = c->next) {
		size_t n_slabs = 0;
		for (const struct list *l = c->slabs.next; l != &c->slabs; l = l->next, n_slabs++)
			check_slab(container_of(l, struct slab, in_class));
		CO_ASSERT(n_slabs == c->n_slabs, "I3: the slabs are counted right");
		size_t n = 0;
		for (const struct list *l = c->pool.next; l != &c->pool; l = l->next)
			n++;
		CO_ASSERT(n == c->n_pooled, "I2: the pool is counted right");
		CO_ASSERT(n <= CO_POOL_STACKS && n * c->size <= CO_POOL_BYTES, "I4: the pool is bounded");
	}
}
