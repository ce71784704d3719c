/* SPDX-License-Identifier: MIT */
/*
 * misuse — call wrongly, and see that nothing has happened.
 *
 * A row says what is called, in which situation, and with which errno it must
 * fail. Around the call every byte of every environment and coroutine of the
 * process is compared, those of other threads too; afterwards a coroutine is
 * created, resumed and released, to see that the program goes on.
 */
#ifndef MISUSE_H
#define MISUSE_H

#include <pthread.h>

#include "check.h"
#include "env.h"

struct misuse {
	const char *what;         /* names the row when it fails */
	int (*call)(struct co *); /* returns what the library returned; NULL as -1 */
	struct co **on;           /* whom it gets; NULL: nobody */
	int error;
};

/* Bytes that a refused call must leave alone. */
struct misuse_picture {
	size_t len;
	char bytes[64 * 1024];
};

static inline void misuse_add(struct misuse_picture *p, const void *bytes, size_t len)
{
	CHECK(p->len + len <= sizeof(p->bytes));
	memcpy(p->bytes + p->len, bytes, len);
#ifdef CO_VALGRIND
	(void)VALGRIND_MAKE_MEM_DEFINED(p->bytes + p->len, len); /* what lies behind a name was never written */
#endif
	p->len += len;
}

/* What else a layer above wants to see unchanged; may be NULL. */
static void (*misuse_add_more)(struct misuse_picture *p);

static inline void misuse_take(struct misuse_picture *p)
{
	struct co_stack_stats stats = co_stack_stats();

	p->len = 0;
	misuse_add(p, &stats, sizeof(stats));
	for (const struct list *e = co_envs.next; e != &co_envs; e = e->next) {
		const struct co_env *env = container_of(e, struct co_env, in_envs);
		misuse_add(p, env, sizeof(*env));
		for (const struct list *l = env->all.next; l != &env->all; l = l->next)
			misuse_add(p, container_of(l, struct co, in_env), sizeof(struct co));
	}
	if (misuse_add_more)
		misuse_add_more(p);
}

static inline void *misuse_yield_once(void *arg)
{
	CHECK_EQ(co_yield_ct(), 0);
	return arg;
}

/* The whole life of a coroutine, wherever we are. */
static inline void misuse_life_goes_on(void)
{
	struct co *co, *me = co_self();

	CHECK_EQ(co_create(&co, NULL, misuse_yield_once, &co), 0);
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_status(co), CO_SUSPENDED);
	CHECK(!me || co_self() == me);
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_result(co), &co);
	CHECK_EQ(co_release(co), 0);
	co_env_check();
	co_stack_check();
}

static inline void misuse_one(const struct misuse *m, const char *where)
{
	static _Thread_local struct misuse_picture before, after;
	struct co_env *env = co_get_curr_thread_env();

	misuse_take(&before);
	errno = 0;
	int result = m->call(m->on ? *m->on : NULL);
	int error = errno;
	misuse_take(&after);

	int same = before.len == after.len && memcmp(before.bytes, after.bytes, after.len) == 0;
	if (result != -1 || error != m->error || !same || env != co_get_curr_thread_env())
		fprintf(stderr, "%s, %s:\n", m->what, where);
	CHECK_EQ(result, -1);
	CHECK_EQ(error, m->error);
	CHECK(same);
	CHECK_EQ(co_get_curr_thread_env(), env);
}

/* Try all of @rows, up to the one without a call. */
static inline void misuse_all(const struct misuse *rows, const char *where)
{
	for (const struct misuse *m = rows; m->call; m++) {
		misuse_one(m, where);
		if (co_self()) /* a thread without an environment shall stay one */
			misuse_life_goes_on();
	}
	misuse_life_goes_on();
}

/* Run @fn(NULL) on a thread of its own, to its end. */
static inline void misuse_on_thread(void *(*fn)(void *))
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, fn, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* --- another thread, which waits while we misuse what is its own ---------------- */

static struct {
	pthread_t thread;
	pthread_barrier_t ready, go;
	void (*prepare)(void); /* run there */
	struct co *fresh, *suspended, *main;
	struct co_env *env;
} alien;

static inline void *alien_thread(void *arg)
{
	CHECK_EQ(co_create(&alien.fresh, NULL, misuse_yield_once, NULL), 0);
	CHECK_EQ(co_create(&alien.suspended, NULL, misuse_yield_once, NULL), 0);
	CHECK_EQ(co_resume(alien.suspended), 0);
	alien.main = co_self();
	alien.env = co_get_curr_thread_env();
	if (alien.prepare)
		alien.prepare();
	pthread_barrier_wait(&alien.ready);
	pthread_barrier_wait(&alien.go);

	/* Untouched, so it goes on. */
	CHECK_EQ(co_resume(alien.suspended), 0);
	CHECK_EQ(co_status(alien.suspended), CO_DONE);
	CHECK_EQ(co_release(alien.suspended), 0);
	CHECK_EQ(co_release(alien.fresh), 0);
	misuse_life_goes_on();
	return arg;
}

static inline void alien_begin(void)
{
	pthread_barrier_init(&alien.ready, NULL, 2);
	pthread_barrier_init(&alien.go, NULL, 2);
	CHECK_EQ(pthread_create(&alien.thread, NULL, alien_thread, NULL), 0);
	pthread_barrier_wait(&alien.ready);
}

static inline void alien_end(void)
{
	pthread_barrier_wait(&alien.go);
	CHECK_EQ(pthread_join(alien.thread, NULL), 0);
}

/* --- calls that more than one table uses ------------------------------------------- */

static inline int call_resume(struct co *co)
{
	return co_resume(co);
}

static inline int call_release(struct co *co)
{
	return co_release(co);
}

static inline int call_reset(struct co *co)
{
	return co_reset(co);
}

#endif
