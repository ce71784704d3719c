/* SPDX-License-Identifier: MIT */
/*
 * One environment per thread: who runs, and who exists.
 *
 * It is made by the thread's first co_create and goes when the thread ends.
 * The thread's own execution becomes a coroutine like the others ("main"), so
 * that a switch always has somebody to come from.
 */
#include "env.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "assert.h"
#include "overflow.h"

enum {
	/* Ids are handed to environments in blocks, so that creating a
	 * coroutine does not touch memory that other threads write. */
	ID_BLOCK = 1024,
};

struct list co_envs = LIST_INIT(co_envs);
static pthread_mutex_t envs_lock = PTHREAD_MUTEX_INITIALIZER; /* guards co_envs */
static _Atomic uint32_t next_id_block;

_Thread_local struct co_env *co_thread_env;

/* Weak: a C program links no C++ runtime and has none. */
extern struct eh_globals *__cxa_get_globals(void) __attribute__((weak));

unsigned co_n_forks;

static pthread_key_t exit_key; /* its destructor runs when a thread ends */
static bool has_exit_key;      /* guarded by envs_lock */
static bool watches_forks;

/* A thread can end inside a coroutine (pthread_exit). By now that has unwound
 * the whole chain of resumers, and we stand on the thread's own stack: make
 * main the running one, as if they had all given back the control. */
static void come_back_to_main(struct co_env *env)
{
	struct co *main = &env->main;

	annotate_unmark_frames(env->threads_stack.lo, env->threads_stack.hi);
	if (env->running == main)
		return;
	annotate_leave(&env->running->exec.tools, &main->exec.tools, env->threads_stack.lo, env->threads_stack.hi);
	annotate_arrive(&main->exec.tools);
	env->running = main;
	co_set_state(main, CO_RUNNING);
}

static void end_all(struct co_env *env)
{
	/* First out of the wait lists of the layers above, while these exist;
	 * then those layers; then what both refer to. */
	co_leave_lists(&env->main);
	for (struct list *l = env->all.next; l != &env->all; l = l->next)
		co_leave_lists(container_of(l, struct co, in_env));
	for (struct list *l; (l = list_pop(&env->at_exit));) {
		struct co_at_exit *note = container_of(l, struct co_at_exit, node);
		note->fn(note);
	}
	while (!list_empty(&env->all)) {
		struct co *co = container_of(env->all.next, struct co, in_env);
		co_leave_lists(co); /* a destructor's new one may wait */
		co_destroy(co);
	}
	co_drop_attachments(&env->main);
}

static void env_free(void *arg)
{
	struct co_env *env = arg;

	come_back_to_main(env);
	/* Again, if destructors of the program's have made something anew. */
	do
		end_all(env);
	while (!list_empty(&env->at_exit) || !list_empty(&env->all));
	pthread_mutex_lock(&envs_lock);
	list_remove(&env->in_envs);
	pthread_mutex_unlock(&envs_lock);
	co_thread_env = NULL;
	co_stack_thread_exit();
	co_overflow_thread_exit();
	free(env);
}

/* In the child of a fork there is only the thread that called it. The others
 * may have held the lock, or have been changing the list. */
static void forget_other_threads(void)
{
	co_n_forks++;
	pthread_mutex_init(&envs_lock, NULL);
	list_init(&co_envs);
	if (!co_thread_env)
		return;
	list_append(&co_envs, &co_thread_env->in_envs);
	co_thread_env->tid = (pid_t)syscall(SYS_gettid);
	for (struct list *l = co_thread_env->at_exit.next; l != &co_thread_env->at_exit; l = l->next) {
		struct co_at_exit *note = container_of(l, struct co_at_exit, node);
		if (note->forked)
			note->forked(note);
	}
}

/* When the program is loaded, before it can register fork handlers of its own: these come after ours
 * in the child, and may wait there. */
__attribute__((constructor)) static void watch_forks(void)
{
	if (!watches_forks)
		watches_forks = pthread_atfork(NULL, NULL, forget_other_threads) == 0;
}

/* Not by pthread_once: what fails now may succeed at the next attempt. */
static int make_exit_key(void)
{
	int error = 0;

	pthread_mutex_lock(&envs_lock);
	if (!has_exit_key) {
		watch_forks(); /* if it has failed before */
		error = watches_forks ? pthread_key_create(&exit_key, env_free) : ENOMEM;
		has_exit_key = !error;
	}
	pthread_mutex_unlock(&envs_lock);
	return error;
}

/* Make a coroutine of what the thread does already. */
static void main_init(struct co_env *env)
{
	struct co *main = &env->main;

	co_stack_of_thread(&env->threads_stack);
	main->exec.stack = &env->threads_stack;
	main->exec.link = &coctx_nobody;
	annotate_exec_init(&main->exec.tools, true);
	main->env = env;
	main->id = co_env_new_id(env);
	strcpy(main->name, "main");
	list_init(&main->queue);
	list_init(&main->in_env);
	main->state = CO_RUNNING;
	env->running = main; /* I1 */
}

struct co_env *co_env_new(void)
{
	int error = make_exit_key();
	if (error) {
		errno = error;
		return NULL;
	}
	struct co_env *env = calloc(1, sizeof(*env));
	if (!env)
		return NULL;
	if (co_overflow_watch_thread() != 0)
		goto no_watch;
	error = pthread_setspecific(exit_key, env);
	if (error) {
		errno = error;
		goto no_key;
	}

	list_init(&env->all);
	list_init(&env->at_exit);
	env->tid = (pid_t)syscall(SYS_gettid);
	env->error = &errno; /* both stay where they are */
	env->eh = __cxa_get_globals ? __cxa_get_globals() : NULL;

	main_init(env);

	pthread_mutex_lock(&envs_lock);
	list_append(&co_envs, &env->in_envs);
	pthread_mutex_unlock(&envs_lock);
	co_thread_env = env;
	return env;

no_key:
	co_overflow_thread_exit();
no_watch:
	free(env);
	return NULL;
}

struct co_env *co_get_curr_thread_env(void)
{
	return co_thread_env;
}

struct co *co_self(void)
{
	return co_thread_env ? co_thread_env->running : NULL;
}

uint32_t co_env_new_id(struct co_env *env)
{
	if (env->next_id == env->end_id) {
		env->next_id = atomic_fetch_add(&next_id_block, ID_BLOCK);
		env->end_id = env->next_id + ID_BLOCK;
	}
	return env->next_id++;
}

void co_env_check(void)
{
	const struct co_env *env = co_thread_env;
	if (!env)
		return;
	CO_ASSERT(env->running->state == CO_RUNNING, "I1: the running one says so");

	size_t n_normal = 0;
	const struct co *co = env->running;
	for (; co->resumer; co = co->resumer, n_normal++) {
		CO_ASSERT(co->resumer->state == CO_NORMAL, "I2: a resumer is NORMAL");
		bool is_out = co->resumer->exec.stack->save_len > 0;
		CO_ASSERT(co->exec.link == (is_out ? &coctx_copied_out : &co->resumer->exec.ctx),
			  "I3: the link leads to the resumer");
	}
	CO_ASSERT(co == &env->main, "I2: the chain ends at main");
	if (env->running != &env->main)
		n_normal--; /* main is not in env->all */

	for (const struct list *l = env->all.next; l != &env->all; l = l->next) {
		co = container_of(l, struct co, in_env);
		CO_ASSERT(co->env == env, "I5: a listed coroutine is this environment's");
		CO_ASSERT(co->state != CO_RUNNING || co == env->running, "I1: one runs");
		if (co->state == CO_NORMAL)
			n_normal--;
		else if (co->state != CO_RUNNING)
			CO_ASSERT(!co->resumer && co->exec.link == &coctx_nobody, "I3: no resumer, no link");
		CO_ASSERT(!list_linked(&co->queue) || co->state == CO_READY, "I4: queued means READY");
		CO_ASSERT(!co->abandon || (co->state != CO_NEW && co->state != CO_DONE),
			  "I4: `abandon` means in the middle of a call");
	}
	CO_ASSERT(n_normal == 0, "I2: only those on the chain are NORMAL");
}
