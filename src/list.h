/* SPDX-License-Identifier: MIT */
/*
 * list — a circular doubly linked list whose nodes live inside their objects.
 *
 * Layer:   none; a header of inline functions, used from layer 3 up.
 * Owns:    nothing: putting an object on a list neither allocates nor copies.
 * Errors:  none.
 * Model:   libco AddTail, RemoveFromLink (co_routine.cpp) at dc6aafc; differs
 *          in: a node need not know which list it is on to leave it.
 *
 * Invariants:
 *  I1  A list is a ring through its head; an empty list is a head that points
 *      to itself in both directions.
 *  I2  A node on no list points to itself. So it can be asked, and removing
 *      it twice does no harm.
 */
#ifndef CO_LIST_H
#define CO_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

/* The object of @type whose field @member is the node @ptr. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* Initialise a static list head. */
#define LIST_INIT(head) { &(head), &(head) }

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

/* Is @node on some list? */
static inline bool list_linked(const struct list *node)
{
	return node->next != node;
}

/* Put @node behind @where; with @where the head, it becomes the first. */
static inline void list_insert(struct list *where, struct list *node)
{
	node->prev = where;
	node->next = where->next;
	where->next->prev = node;
	where->next = node;
}

static inline void list_append(struct list *head, struct list *node)
{
	list_insert(head->prev, node);
}

/* Take @node off the list it is on, if any. O(1). */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node); /* I2 */
}

/* Take the first node off; NULL if there is none. */
static inline struct list *list_pop(struct list *head)
{
	struct list *first = head->next;
	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

/* Move all of @from, in order, to the end of @to; leaves @from empty. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#endif
