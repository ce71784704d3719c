/* SPDX-License-Identifier: MIT */
/*
 * A mutex: a holder, and a wait list.
 *
 * It is handed over, not thrown open. If unlock only set it free, the one who
 * unlocked could lock it again before the waiter's turn came, for ever.
 */
#include "mutex.h"

#include <errno.h>
#include <stdlib.h>

#include "assert.h"
#include "attach.h"
#include "env.h"
#include "waitlist.h"

struct co_mutex {
	struct co_env *env;        /* its thread's. Compared, never followed, as a condition's */
	struct co *holder;         /* NULL: nobody */
	struct co_attachment hold; /* with the holder: its drop tells us that it is gone; I2 */
	struct list waiters;       /* struct co_waiting; I1 */
};

/* Why @mutex may not be touched by the calling thread; 0 = it may. */
static int not_ours(const struct co_mutex *mutex)
{
	if (!mutex)
		return EINVAL;
	return mutex->env == co_get_curr_thread_env() ? 0 : EXDEV;
}

static void give_to(struct co_mutex *mutex, struct co *co)
{
	mutex->holder = co;
	if (co)
		co_attach(co, &mutex->hold); /* I2 */
}

/* The holder has let go. */
static void hand_over(struct co_mutex *mutex)
{
	struct co_waiting *next = co_waitlist_call(&mutex->waiters);

	give_to(mutex, next ? next->co : NULL); /* I3 */
}

/* The holder is released or reset. It may have been woken and not have run: then it
 * has left the wait list already. */
static void holder_is_gone(struct co_attachment *hold)
{
	hand_over(container_of(hold, struct co_mutex, hold));
}

static struct co_mutex *mutex_new(struct co_env *env)
{
	struct co_mutex *mutex = malloc(sizeof(*mutex));

	if (!mutex)
		return NULL;
	*mutex = (struct co_mutex){ .env = env, .hold = { .owner = mutex, .drop = holder_is_gone } };
	list_init(&mutex->waiters);
	return mutex;
}

struct co_mutex *co_mutex_alloc(void)
{
	struct co_env *env = co_env_get();

	return env ? CO_INSIDE(env, mutex_new(env)) : NULL;
}

static int mutex_free(struct co_mutex *mutex)
{
	if (mutex->holder) /* I1 */
		return co_fail(EBUSY);
	free(mutex);
	return 0;
}

int co_mutex_free(struct co_mutex *mutex)
{
	int error = not_ours(mutex);
	if (error)
		return co_fail(error);
	struct co_env *env = mutex->env; /* mutex will be gone */
	return CO_INSIDE(env, mutex_free(mutex));
}

static int lock_until(struct co_mutex *mutex, int64_t at_ns, void *blocked_at)
{
	struct co *me = co_self();

	if (!mutex->holder) {
		give_to(mutex, me);
		return 0;
	}
	if (mutex->holder == me)
		return co_fail(EDEADLK);
	if (co_waitlist_is_over(at_ns))
		return co_fail(ETIMEDOUT);
	if (co_waitlist_wait(&mutex->waiters, at_ns, mutex, NULL, blocked_at) != 0)
		return -1;
	CO_ASSERT(mutex->holder == me, "I3: who is called holds it");
	return 0;
}

CALLED_FROM_OUTSIDE int co_mutex_lock(struct co_mutex *mutex)
{
	int error = not_ours(mutex);
	if (error)
		return co_fail(error);
	return CO_INSIDE(co_get_curr_thread_env(), lock_until(mutex, CO_NEVER, __builtin_return_address(0)));
}

CALLED_FROM_OUTSIDE int co_mutex_timedlock(struct co_mutex *mutex, int timeout_ms)
{
	int error = not_ours(mutex);
	if (error)
		return co_fail(error);
	int64_t at_ns = co_waitlist_deadline(timeout_ms);
	return CO_INSIDE(co_get_curr_thread_env(), lock_until(mutex, at_ns, __builtin_return_address(0)));
}

static int lock_if_free(struct co_mutex *mutex)
{
	if (mutex->holder)
		return co_fail(EBUSY);
	give_to(mutex, co_self());
	return 0;
}

int co_mutex_trylock(struct co_mutex *mutex)
{
	int error = not_ours(mutex);
	return error ? co_fail(error) : CO_INSIDE(mutex->env, lock_if_free(mutex));
}

static int unlock(struct co_mutex *mutex)
{
	if (mutex->holder != co_self())
		return co_fail(EPERM);
	co_detach(mutex->holder, &mutex->hold);
	hand_over(mutex);
	return 0;
}

int co_mutex_unlock(struct co_mutex *mutex)
{
	int error = not_ours(mutex);
	return error ? co_fail(error) : CO_INSIDE(mutex->env, unlock(mutex));
}

void co_mutex_check(const struct co_mutex *mutex)
{
	co_waitlist_check(&mutex->waiters);
	CO_ASSERT(mutex->holder || list_empty(&mutex->waiters), "I1: nobody waits for what nobody holds");
	CO_ASSERT(!mutex->holder || co_attached(mutex->holder, mutex) == &mutex->hold, "I2: it is with the holder");
}
