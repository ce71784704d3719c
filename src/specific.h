/* SPDX-License-Identifier: MIT */
/*
 * specific — values that each coroutine has for itself.
 *
 * Layer:   11 (uses: attach).
 * Owns:    a coroutine's table of values, made by its first set. The values are
 *          the program's, until a destructor gets them.
 * Thread:  any. Keys are the process's, and may be made and deleted by any thread
 *          at any time. A value is seen where it was set: by that coroutine; in
 *          main, and on a thread without coroutines, by that thread.
 * Errors:  -1 (or NULL) and errno.
 * Model:   libco co_routine.h, co_routine_specific.h at dc6aafc; differs in:
 *          keys of our own, which call destructors, cannot be overrun, and never
 *          show what a deleted key has left; no 8 KiB in every coroutine.
 *
 * Two kinds of keys:
 *  those of co_key_create: their numbers begin behind pthread's;
 *  those of pthread_key_create: main has the thread's pthread value, coroutines
 *          have values of their own. Of these the library knows neither the
 *          destructor nor whether a number was deleted and given out again: a
 *          coroutine's value is forgotten, not destroyed, and found again by who
 *          gets that number next. Prefer the first kind.
 */
#ifndef CO_SPECIFIC_H
#define CO_SPECIFIC_H

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* How many keys of co_key_create there can be at a time. */
enum { CO_KEYS_MAX = 1024 };

/* Make a key. Every coroutine, and every thread's main, has NULL for it.
 *
 * @destructor  called with each value that is not NULL when its coroutine is
 *              released or reset, or its thread ends (as with pthread's, not at
 *              exit(3)); NULL = nothing is called. It runs on whatever coroutine
 *              makes that call and must not suspend it. co_getspecific and
 *              co_setspecific mean the values of the one that goes: this one is
 *              NULL by then, those without a destructor are still there. If it
 *              sets values anew, the destructors are called for those, too,
 *              PTHREAD_DESTRUCTOR_ITERATIONS times in all.
 * Errors       EINVAL @key is NULL; EAGAIN there are CO_KEYS_MAX, or pthread has
 *              no key for us; ENOMEM.
 * Source       pthread_key_create(3p). */
int co_key_create(pthread_key_t *key, void (*destructor)(void *value));

/* Delete a key of co_key_create. No destructor is called: what values there are
 * is forgotten. (Those of pthread are pthread_key_delete's.)
 *
 * Errors       EINVAL there is no such key of co_key_create. */
int co_key_delete(pthread_key_t key);

/* Set the caller's value.
 *
 * Errors       EINVAL there is no such key; ENOMEM. The old value is there then.
 * Source       libco co_setspecific. */
int co_setspecific(pthread_key_t key, const void *value);

/* The caller's value; NULL if none was set, or there is no such key. */
void *co_getspecific(pthread_key_t key);

/* Define a variable that each coroutine has for itself:
 *
 *     struct counters { int reads, writes; };
 *     CO_ROUTINE_SPECIFIC(struct counters, mine);
 *     ...
 *     mine()->reads++;
 *
 * This is a static function `type *name(void)`. It gives the caller's object, made
 * at first use, filled with zeros, and freed as a key's values are destroyed; NULL
 * and ENOMEM, or EAGAIN (see co_key_create). Any number of them in a file, of one
 * type too.
 *
 * The second form calls init(object) after making one and fini(object) before
 * freeing it: functions `void f(type *)`, or NULL.
 *
 * Source       libco CO_ROUTINE_SPECIFIC. */
#define CO_ROUTINE_SPECIFIC(type, name) CO_ROUTINE_SPECIFIC_WITH(type, name, NULL, NULL)
#define CO_ROUTINE_SPECIFIC_WITH(type, name, init, fini) \
	static void name##_begin_(void *co_object_) \
	{ \
		void (*co_init_)(type *) = init; \
		if (co_init_) \
			co_init_((type *)co_object_); \
	} \
	static void name##_end_(void *co_object_) \
	{ \
		void (*co_fini_)(type *) = fini; \
		if (co_fini_) \
			co_fini_((type *)co_object_); \
		free(co_object_); \
	} \
	__attribute__((unused)) static type *name(void) \
	{ \
		static struct co_specific co_self_ = { sizeof(type), __alignof__(type), name##_begin_, name##_end_, 0 }; \
		return (type *)co_specific_object(&co_self_); \
	} \
	struct co_specific

/* What the macro makes of a variable. */
struct co_specific {
	size_t n_bytes, align;
	void (*begin)(void *object);
	void (*end)(void *object); /* frees it, too */
	pthread_key_t key;         /* 0 = not made yet; atomic */
};

/* The caller's object of @s, made if missing; for the macro. */
void *co_specific_object(struct co_specific *s);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
