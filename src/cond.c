/* SPDX-License-Identifier: MIT */
/*
 * Conditions: a wait list, and a second list of those whose signal is on its way.
 *
 * To signal is to make ready. If it ran the waiter at once, that one would meet the
 * data in the middle of the signaller's change.
 */
#include "cond.h"

#include <errno.h>
#include <stdlib.h>

#include "assert.h"
#include "env.h"
#include "waitlist.h"

struct co_cond {
	struct co_env *env;    /* its thread's. Compared, never followed: when the thread
				  has ended, another's may lie there. Harmless: nobody waits */
	struct list waiters;   /* struct co_waiting: I1 */
	struct list signalled; /* the same: I1, I2 */
};

/* Why @cond may not be touched by the calling thread; 0 = it may. */
static int not_ours(const struct co_cond *cond)
{
	if (!cond)
		return EINVAL;
	return cond->env == co_get_curr_thread_env() ? 0 : EXDEV;
}

static struct co_cond *cond_new(struct co_env *env)
{
	struct co_cond *cond = malloc(sizeof(*cond));

	if (!cond)
		return NULL;
	cond->env = env;
	list_init(&cond->waiters);
	list_init(&cond->signalled);
	return cond;
}

struct co_cond *co_cond_alloc(void)
{
	struct co_env *env = co_env_get();

	return env ? CO_INSIDE(env, cond_new(env)) : NULL;
}

static int cond_free(struct co_cond *cond)
{
	if (!list_empty(&cond->waiters))
		return co_fail(EBUSY);
	while (list_pop(&cond->signalled)) /* I2: there is nobody it could go to */
		;
	free(cond);
	return 0;
}

int co_cond_free(struct co_cond *cond)
{
	int error = not_ours(cond);
	if (error)
		return co_fail(error);
	struct co_env *env = cond->env; /* cond will be gone */
	return CO_INSIDE(env, cond_free(cond));
}

static int wake_first(struct co_cond *cond)
{
	struct co_waiting *w = co_waitlist_call(&cond->waiters);

	if (w)
		list_append(&cond->signalled, &w->node); /* I1: it leaves that when it runs */
	return 0;
}

static int wake_all(struct co_cond *cond)
{
	while (co_waitlist_call(&cond->waiters))
		;
	return 0;
}

int co_cond_signal(struct co_cond *cond)
{
	int error = not_ours(cond);
	return error ? co_fail(error) : CO_INSIDE(cond->env, wake_first(cond));
}

int co_cond_broadcast(struct co_cond *cond)
{
	int error = not_ours(cond);
	return error ? co_fail(error) : CO_INSIDE(cond->env, wake_all(cond));
}

/* Who was woken by @w's condition is no more. */
static void pass_on(struct co_waiting *w)
{
	if (!list_linked(&w->node))
		return; /* by a broadcast, or the condition is freed */
	list_remove(&w->node);
	wake_first(w->of); /* I2 */
}

static int wait_until(struct co_cond *cond, int64_t at_ns, void *blocked_at)
{
	if (co_waitlist_is_over(at_ns))
		return co_fail(ETIMEDOUT);
	return co_waitlist_wait(&cond->waiters, at_ns, cond, pass_on, blocked_at);
}

CALLED_FROM_OUTSIDE int co_cond_wait_until(struct co_cond *cond, int64_t at_ns)
{
	int error = not_ours(cond);
	if (error)
		return co_fail(error);
	return CO_INSIDE(co_get_curr_thread_env(), wait_until(cond, at_ns, __builtin_return_address(0)));
}

CALLED_FROM_OUTSIDE int co_cond_timedwait(struct co_cond *cond, int timeout_ms)
{
	int error = not_ours(cond);
	if (error)
		return co_fail(error);
	int64_t at_ns = co_waitlist_deadline(timeout_ms);
	return CO_INSIDE(co_get_curr_thread_env(), wait_until(cond, at_ns, __builtin_return_address(0)));
}

void co_cond_check(const struct co_cond *cond)
{
	co_waitlist_check(&cond->waiters);
	for (const struct list *l = cond->signalled.next; l != &cond->signalled; l = l->next) {
		const struct co_waiting *w = container_of(l, struct co_waiting, node);
		CO_ASSERT(w->is_called && !w->timer.is_armed, "I1: who is signalled waits for no time any more");
		CO_ASSERT(w->co->state == CO_READY || w->co == &w->co->env->main, "I1: and has not run");
	}
}
