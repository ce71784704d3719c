/* SPDX-License-Identifier: MIT */
/*
 * attach — what another module keeps with a coroutine, and gets back.
 *
 * Layer:   3. The hole for values that are a coroutine's own: the hooks of
 *          lesson 8 keep their switch here, lesson 11 its keys.
 * Owns:    nothing: an attachment is its module's memory, lent until `drop`.
 * Thread:  the coroutine's own.
 * Errors:  none.
 *
 * A coroutine has few of them, so they are a list, and a search is a walk.
 */
#ifndef CO_ATTACH_H
#define CO_ATTACH_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct co;

/* The first member of whatever a module attaches. */
struct co_attachment {
	struct co_attachment *next;               /* the list; ours */
	const void *owner;                        /* whose it is: the address of something of
						     that module's own */
	void (*drop)(struct co_attachment *self); /* the coroutine is reset or released: free
						     it. It has left the list already */
};

/* Attach @a to @co until co_detach, or until @co is reset or released.
 *
 * What is attached to a thread's main coroutine is dropped when the thread ends. */
void co_attach(struct co *co, struct co_attachment *a);

/* The one that @owner attached last; NULL: none. */
struct co_attachment *co_attached(const struct co *co, const void *owner);

/* Take @a off again, without calling drop. No harm if it is not there. */
void co_detach(struct co *co, struct co_attachment *a);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
