/* SPDX-License-Identifier: MIT */
/*
 * Keys for all, and a small table of values for each who has set one.
 *
 * A key's slot has a number that is odd while the key exists, and grows when it
 * is made and when it is deleted. A value remembers the number under which it was
 * set, and is there only while the two are equal. So who deletes a key need not
 * look for its values, which may be other threads'.
 *
 * There is no lock: a slot changes hands by one compare-and-swap. Every set would
 * have to take it, and another thread might hold it at fork.
 */
#include "specific.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "attach.h"
#include "env.h"

enum {
	FIRST_KEY = PTHREAD_KEYS_MAX, /* pthread's are below */
	FIRST_ENTRIES = 4,            /* of a table; a power of two */
};

/* --- keys --------------------------------------------------------------------- */

static struct slot {
	_Atomic uint64_t sequence; /* odd: the key exists. 64 bits never come round */
	_Atomic(void (*)(void *)) destructor;
} slots[CO_KEYS_MAX];

static bool is_ours(pthread_key_t key)
{
	return key >= FIRST_KEY && key < FIRST_KEY + CO_KEYS_MAX;
}

/* The sequence number of a key of ours that exists; else, and for pthread's, 0. */
static uint64_t sequence_of(pthread_key_t key)
{
	uint64_t sequence = is_ours(key) ? atomic_load(&slots[key - FIRST_KEY].sequence) : 0;

	return sequence % 2 ? sequence : 0;
}

/* Is there such a key? pthread says so only when one sets a value: set the one
 * that is there. */
static bool exists(pthread_key_t key)
{
	if (is_ours(key))
		return sequence_of(key) != 0;
	return pthread_setspecific(key, pthread_getspecific(key)) == 0;
}

/* --- a table of values ---------------------------------------------------------- */

struct entry {
	pthread_key_t key;
	bool is_used;      /* key is valid; it stays so until the table grows */
	uint64_t sequence; /* the key's, when the value was set; 0 for pthread's */
	void *value;       /* NULL: none */
};

/* Hashed by the lowest bits: keys are small numbers, given out in order, so most
 * stand where they belong. */
struct values {
	struct co_attachment attachment;
	bool is_threads;  /* its owner is no coroutine; pthread's keys are not in here */
	size_t n_used;    /* entries that are; at most 3/4, so that a search ends soon */
	size_t n_entries; /* a power of two; 0 = none yet */
	struct entry *entries;
};

/* The entry of @key, or the unused one where it belongs. There are some. */
static struct entry *entry_of(struct entry *entries, size_t n_entries, pthread_key_t key)
{
	struct entry *e;

	for (size_t i = key;; i++) {
		e = &entries[i & (n_entries - 1)];
		if (!e->is_used || e->key == key)
			return e;
	}
}

/* Does anybody who asks get something from @e? */
static bool is_live(const struct entry *e)
{
	return e->is_used && e->value && e->sequence == sequence_of(e->key);
}

static void *look_up(const struct values *v, pthread_key_t key)
{
	if (!v || !v->n_entries)
		return NULL;
	struct entry *e = entry_of(v->entries, v->n_entries, key);
	return is_live(e) ? e->value : NULL;
}

/* Make room for one more: leave behind what nobody gets any more, and double
 * what is left. -1, ENOMEM. */
static int grow(struct values *v)
{
	size_t n_live = 0, n = FIRST_ENTRIES;

	for (size_t i = 0; i < v->n_entries; i++)
		n_live += is_live(&v->entries[i]);
	while (n < 2 * (n_live + 1))
		n *= 2;
	struct entry *entries = calloc(n, sizeof(*entries));
	if (!entries)
		return -1;
	v->n_used = 0;
	for (size_t i = 0; i < v->n_entries; i++) {
		if (!is_live(&v->entries[i]))
			continue;
		*entry_of(entries, n, v->entries[i].key) = v->entries[i];
		v->n_used++;
	}
	free(v->entries);
	v->entries = entries;
	v->n_entries = n;
	return 0;
}

static int put(struct values *v, pthread_key_t key, void *value)
{
	struct entry *e = v->n_entries ? entry_of(v->entries, v->n_entries, key) : NULL;

	if (!e || !e->is_used) {
		if (4 * (v->n_used + 1) > 3 * v->n_entries && grow(v) != 0)
			return -1;
		e = entry_of(v->entries, v->n_entries, key);
		v->n_used++;
	}
	*e = (struct entry){ key, true, sequence_of(key), value };
	return 0;
}

/* --- the end of a table ------------------------------------------------------------ */

static const char owner; /* of the attachments */

/* Where a thread keeps what is no coroutine's: a key of pthread's, plus 1. There
 * is one as soon as there is a key of ours. */
static _Atomic pthread_key_t threads_key;

/* The destructor that is due for what @e holds; NULL: there is none.
 *
 * In this order: who reads a later key's destructor, finds that key's number, or
 * a later one. */
static void (*destructor_for(const struct entry *e))(void *)
{
	void (*destructor)(void *) = is_ours(e->key) ? atomic_load(&slots[e->key - FIRST_KEY].destructor) : NULL;

	return is_live(e) ? destructor : NULL;
}

/* By index, for a destructor may set values, and so move the table. */
static bool call_destructors(struct values *v)
{
	bool called = false;

	for (size_t i = 0; i < v->n_entries; i++) {
		struct entry e = v->entries[i];
		void (*destructor)(void *) = destructor_for(&e);
		if (!destructor)
			continue;
		v->entries[i].value = NULL;
		destructor(e.value);
		called = true;
	}
	return called;
}

/* While destructors run, the table is that of the coroutine which runs them: what
 * is attached last is found first. If that one is itself released by then, the
 * table goes with it. */
static void drop(struct co_attachment *a)
{
	struct values *v = container_of(a, struct values, attachment);
	struct co *me = co_self();

	if (me)
		co_attach(me, a);
	else
		pthread_setspecific(threads_key - 1, v);
	for (int i = 0; i < PTHREAD_DESTRUCTOR_ITERATIONS && call_destructors(v); i++)
		;
	if (me)
		co_detach(me, a);
	else
		pthread_setspecific(threads_key - 1, NULL);
	free(v->entries);
	free(v);
}

static void drop_threads(void *v)
{
	drop(&((struct values *)v)->attachment);
}

/* Not by pthread_once: what fails now may succeed at the next attempt. 0 or errno. */
static int make_threads_key(void)
{
	pthread_key_t key, none = 0;

	if (threads_key)
		return 0;
	int error = pthread_key_create(&key, drop_threads);
	if (!error && !atomic_compare_exchange_strong(&threads_key, &none, key + 1))
		pthread_key_delete(key); /* another thread was faster */
	return error;
}

/* --- whose values ------------------------------------------------------------------ */

struct place {
	struct co *co;         /* the running one; NULL: the thread has none */
	struct values *values; /* NULL: nothing was set */
	bool is_threads;       /* the caller is no coroutine */
};

static struct place here(void)
{
	struct co *me = co_self();
	struct co_attachment *a = me ? co_attached(me, &owner) : NULL;

	if (a) {
		struct values *v = container_of(a, struct values, attachment);
		return (struct place){ me, v, v->is_threads };
	}
	if (me && me != &me->env->main)
		return (struct place){ me, NULL, false };
	return (struct place){ me, threads_key ? pthread_getspecific(threads_key - 1) : NULL, true };
}

/* A table where there is none yet. NULL, ENOMEM. */
static struct values *values_new(const struct place *p)
{
	struct values *v = calloc(1, sizeof(*v));
	if (!v)
		return NULL;
	v->attachment = (struct co_attachment){ .owner = &owner, .drop = drop };
	v->is_threads = p->is_threads;
	int error = 0;
	if (!p->is_threads)
		co_attach(p->co, &v->attachment);
	else
		error = pthread_setspecific(threads_key - 1, v);
	if (!error)
		return v;
	free(v);
	errno = error;
	return NULL;
}

static int set(struct place *p, pthread_key_t key, void *value)
{
	if (!value && !look_up(p->values, key))
		return 0;
	if (!p->values && !(p->values = values_new(p)))
		return -1;
	return put(p->values, key, value);
}

int co_setspecific(pthread_key_t key, const void *value)
{
	struct place p = here();

	if (p.is_threads && !is_ours(key)) {
		int error = pthread_setspecific(key, value);
		return error ? co_fail(error) : 0;
	}
	if (!exists(key))
		return co_fail(EINVAL);
	if (!p.co)
		return set(&p, key, (void *)value);
	return CO_INSIDE(p.co->env, set(&p, key, (void *)value));
}

void *co_getspecific(pthread_key_t key)
{
	struct place p = here();

	return p.is_threads && !is_ours(key) ? pthread_getspecific(key) : look_up(p.values, key);
}

/* --- making and deleting keys ---------------------------------------------------------- */

int co_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	if (!key)
		return co_fail(EINVAL);
	int error = make_threads_key();
	if (error)
		return co_fail(error);
	for (pthread_key_t i = 0; i < CO_KEYS_MAX; i++) {
		uint64_t sequence = slots[i].sequence;
		if (sequence % 2 || !atomic_compare_exchange_strong(&slots[i].sequence, &sequence, sequence + 1))
			continue;
		slots[i].destructor = destructor;
		*key = FIRST_KEY + i;
		return 0;
	}
	return co_fail(EAGAIN);
}

int co_key_delete(pthread_key_t key)
{
	uint64_t sequence = sequence_of(key);

	if (!sequence || !atomic_compare_exchange_strong(&slots[key - FIRST_KEY].sequence, &sequence, sequence + 1))
		return co_fail(EINVAL);
	return 0;
}

/* --- variables ------------------------------------------------------------------------- */

/* A variable's key, made at first use. 0, errno. */
static pthread_key_t key_of(struct co_specific *s)
{
	pthread_key_t key = __atomic_load_n(&s->key, __ATOMIC_ACQUIRE), none = 0;

	if (key || co_key_create(&key, s->end) != 0)
		return key;
	if (__atomic_compare_exchange_n(&s->key, &none, key, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return key;
	co_key_delete(key); /* another thread was faster */
	return none;
}

static void *zeroed(size_t n_bytes, size_t align)
{
	if (align <= _Alignof(max_align_t))
		return calloc(1, n_bytes);
	n_bytes = (n_bytes + align - 1) & ~(align - 1); /* as aligned_alloc(3) wants it */
	void *object = aligned_alloc(align, n_bytes);
	return object ? memset(object, 0, n_bytes) : NULL;
}

void *co_specific_object(struct co_specific *s)
{
	struct co *me = co_self();
	pthread_key_t key = key_of(s);
	void *object = key ? co_getspecific(key) : NULL;

	if (!key || object)
		return object;
	object = me ? CO_INSIDE(me->env, zeroed(s->n_bytes, s->align)) : zeroed(s->n_bytes, s->align);
	if (!object)
		return NULL;
	if (co_setspecific(key, object) != 0) {
		free(object);
		return NULL;
	}
	s->begin(object);
	return object;
}
