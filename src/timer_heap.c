/* SPDX-License-Identifier: MIT */
/*
 * Timers in a heap: the default.
 *
 * A pairing heap: a tree in which nobody is earlier than its parent, so the
 * earliest timer is the root. It lives in the timers' own pointers: nothing is
 * allocated, nothing can fail, and there is no limit.
 *
 *   add       O(1): compare with the root; the later one becomes its child
 *   next      O(1): the root
 *   take_due  O(log n) amortized: the root's children become one tree again,
 *             by pairs. (That is what makes it fast: put together one after the
 *             other, n children would end up as n children again.)
 *   remove    O(log n) amortized: cut it out, its children likewise
 *
 * Fredman, Sedgewick, Sleator, Tarjan: The pairing heap, Algorithmica 1, 1986.
 */
#include "timer.h"

#include <stdlib.h>

struct heap {
	struct co_timers set;
	struct co_timer *root; /* the earliest; NULL: empty */
	uint64_t n_added;      /* ever */
};

static struct heap *heap_of(struct co_timers *set)
{
	return container_of(set, struct heap, set);
}

static struct co_timers *heap_open(void)
{
	struct heap *heap = calloc(1, sizeof(*heap));
	if (!heap)
		return NULL;
	heap->set.kind = &co_timer_heap;
	return &heap->set;
}

static void heap_close(struct co_timers *set)
{
	free(heap_of(set));
}

static bool is_earlier(const struct co_timer *a, const struct co_timer *b)
{
	if (a->at_ns != b->at_ns)
		return a->at_ns < b->at_ns;
	return a->in_heap.order < b->in_heap.order;
}

/* BEGIN SOLUTION */
/* One tree of two: the later root becomes the first child of the earlier. */
static struct co_timer *meld(struct co_timer *a, struct co_timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (is_earlier(b, a)) {
		struct co_timer *t = a;
		a = b;
		b = t;
	}
	b->in_heap.prev = a;
	b->in_heap.next = a->in_heap.child;
	if (b->in_heap.next)
		b->in_heap.next->in_heap.prev = b;
	a->in_heap.child = b;
	return a;
}

/* One tree of a row of siblings: pairs from left to right, then all pairs from
 * right to left. Without recursion: a row can be a million long. */
static struct co_timer *meld_row(struct co_timer *first)
{
	struct co_timer *pairs = NULL, *tree = NULL;

	while (first) {
		struct co_timer *a = first, *b = a->in_heap.next;
		first = b ? b->in_heap.next : NULL;
		a->in_heap.next = NULL;
		if (b)
			b->in_heap.next = NULL;
		a = meld(a, b);
		a->in_heap.next = pairs; /* the rightmost pair comes first */
		pairs = a;
	}
	while (pairs) {
		struct co_timer *next = pairs->in_heap.next;
		pairs->in_heap.next = NULL;
		tree = meld(tree, pairs);
		pairs = next;
	}
	return tree;
}

static void heap_add(struct co_timers *set, struct co_timer *t)
{
	struct heap *heap = heap_of(set);

	t->in_heap.child = t->in_heap.next = t->in_heap.prev = NULL;
	t->in_heap.order = heap->n_added++;
	heap->root = meld(heap->root, t);
}

static void heap_remove(struct co_timers *set, struct co_timer *t)
{
	struct heap *heap = heap_of(set);
	struct co_timer *below = meld_row(t->in_heap.child);

	if (t == heap->root) {
		heap->root = below;
	} else {
		struct co_timer *prev = t->in_heap.prev, *next = t->in_heap.next;
		if (prev->in_heap.child == t) /* the first: prev is the parent */
			prev->in_heap.child = next;
		else
			prev->in_heap.next = next;
		if (next)
			next->in_heap.prev = prev;
		heap->root = meld(heap->root, below);
	}
	if (heap->root)
		heap->root->in_heap.prev = NULL;
}

static int64_t heap_next(struct co_timers *set)
{
	struct heap *heap = heap_of(set);
	return heap->root ? heap->root->at_ns : CO_NEVER;
}

static struct co_timer *heap_take_due(struct co_timers *set, int64_t now)
{
	struct co_timer *first = heap_of(set)->root;

	if (!first || first->at_ns > now)
		return NULL;
	heap_remove(set, first);
	return first;
}
/* END SOLUTION */

const struct co_timer_kind co_timer_heap = {
	.name = "heap",
	.sorts = true,
	.open = heap_open,
	.close = heap_close,
	.add = heap_add,
	.remove = heap_remove,
	.next = heap_next,
	.take_due = heap_take_due,
};
