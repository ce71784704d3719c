/* SPDX-License-Identifier: MIT */
/*
 * Private stacks.
 *
 * A stack that has been put back goes to the pool first. Its top pages are in
 * the cache and in the page tables, so the next coroutine starts without a
 * page fault. Last in, first out: the warmest is handed out first.
 */
#include "stack.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "annotate.h"
#include "assert.h"
#include "list.h"
#include "slab.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/* All stacks of one size, of one thread. */
struct size_class {
	struct size_class *next;
	struct slabs slabs;
	struct list pool; /* first = put back last */
	size_t n_pooled, most_pooled;
};

/* This thread's classes. A program uses one or two sizes, so a list searched
 * from the front is enough; O(number of different sizes). */
static _Thread_local struct size_class *classes;

static void (*wipe)(struct co_stack *stack); /* NULL: none; any thread may set it */

/* What @ask says, asked once: each co_create needs it, it never changes, and the C library
 * looks through a list for it. Threads that ask at the same time find the same. */
static size_t asked_once(size_t *known, size_t (*ask)(void))
{
	size_t value = __atomic_load_n(known, __ATOMIC_RELAXED);

	if (value == 0) {
		value = ask();
		__atomic_store_n(known, value, __ATOMIC_RELAXED);
	}
	return value;
}

static size_t ask_page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t page_size(void)
{
	static size_t known;
	return asked_once(&known, ask_page_size);
}

/* --- the pool ------------------------------------------------------------- */

static struct size_class *class_of(const struct private_stack *p)
{
	return container_of(p->slabs, struct size_class, slabs);
}

/* BEGIN SOLUTION */
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
	int saved_errno = errno;

	list_remove(&p->in_pool);
	c->n_pooled--;
	slab_give(p);
	errno = saved_errno;
}

static void private_put(struct co_stack *stack)
{
	struct private_stack *p = container_of(stack, struct private_stack, stack);
	struct size_class *c = class_of(p);

	list_insert(&c->pool, &p->in_pool);
	if (++c->n_pooled > c->most_pooled)
		pool_evict(c); /* I4 */
}
/* END SOLUTION */

static void private_forget(struct co_stack *stack)
{
	/* Asked first: what valgrind must be told costs some 25 instructions without it, too. */
	if (container_of(stack, struct private_stack, stack)->is_watched)
		annotate_stack_is_fresh(stack->lo, stack->hi);
}

static const struct co_stack_ops private_ops = { .forget = private_forget, .put = private_put };

/* --- public ----------------------------------------------------------------- */

static struct size_class *class_for(size_t size)
{
	struct size_class *c;

	for (c = classes; c; c = c->next)
		if (c->slabs.size == size)
			return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	slabs_init(&c->slabs, size);
	list_init(&c->pool);
	c->most_pooled = CO_POOL_BYTES / size < CO_POOL_STACKS ? CO_POOL_BYTES / size : CO_POOL_STACKS;
	c->next = classes;
	classes = c;
	return c;
}

static size_t ask_stack_min(void)
{
	size_t signal_frame = getauxval(AT_MINSIGSTKSZ);
	size_t min = 16 * 1024;
	return min > signal_frame + 8 * 1024 ? min : signal_frame + 8 * 1024;
}

size_t co_stack_min(void)
{
	static size_t known;
	return asked_once(&known, ask_stack_min);
}

/* BEGIN SOLUTION */
struct co_stack *co_stack_get(size_t size)
{
	size_t page = page_size();

	if (size < co_stack_min())
		size = co_stack_min();
	size = (size + SLAB_TOP + page - 1) & -page; /* a page is a power of two */

	struct size_class *c = class_for(size);
	if (!c)
		return NULL;
	struct private_stack *p = pool_take(c);
	if (!p)
		p = slabs_take(&c->slabs);
	if (!p)
		return NULL;
	p->stack.ops = &private_ops;
	/* Fresh ones too: in locked memory MADV_DONTNEED fails, and an evicted
	 * stack comes back as it was. */
	void (*wipe_now)(struct co_stack *) = __atomic_load_n(&wipe, __ATOMIC_RELAXED);
	if (wipe_now)
		wipe_now(&p->stack);
	private_forget(&p->stack);
	return &p->stack;
}
/* END SOLUTION */

void co_stack_set_wipe(void (*new_wipe)(struct co_stack *stack))
{
	__atomic_store_n(&wipe, new_wipe, __ATOMIC_RELAXED);
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
		CO_ASSERT(c->slabs.n_slabs == 0, "a thread ends with all its stacks put back");
		classes = c->next;
		free(c);
	}
}

struct co_stack_stats co_stack_stats(void)
{
	struct co_stack_stats stats = { 0 };

	for (const struct size_class *c = classes; c; c = c->next) {
		stats.slabs += c->slabs.n_slabs;
		stats.mapped_bytes += c->slabs.mapped_bytes;
		stats.pooled += c->n_pooled;
		stats.lent += c->slabs.n_stacks - slabs_count_free(&c->slabs) - c->n_pooled;
	}
	return stats;
}

void co_stack_check(void)
{
	for (const struct size_class *c = classes; c; c = c->next) {
		slabs_check(&c->slabs);
		size_t n = 0;
		for (const struct list *l = c->pool.next; l != &c->pool; l = l->next, n++)
			CO_ASSERT(slab_lends(container_of(l, struct private_stack, in_pool)),
				  "I2: a free stack is not in the pool");
		CO_ASSERT(n == c->n_pooled, "I2: the pool is counted right");
		CO_ASSERT(n <= CO_POOL_STACKS && n * c->slabs.size <= CO_POOL_BYTES, "I4: the pool is bounded");
	}
}
