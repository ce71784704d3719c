/* SPDX-License-Identifier: MIT */
/*
 * Create, resume, yield, reset, release.
 *
 * Resume and yield are the same thing seen from two sides: put down who runs
 * now, then co_swap. A resume leaves its mark on the coroutine it goes to
 * (resumer), a yield follows that mark back. So nested resumes form a chain,
 * and there is no array to overflow: libco's holds 128.
 *
 * Checks come first and the swap last. What can go wrong is found while
 * nothing has changed.
 */
#include "coroutine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "debug.h"
#include "env.h"

/* --- states ----------------------------------------------------------------- */

const char *co_state_name(enum co_state state)
{
	return (unsigned)state < CO_DEBUG_STATES ? co_debug_layout.states[state] : "unknown";
}

void co_set_state(struct co *co, enum co_state state)
{
	CO_ASSERT(co->state != CO_DONE || state == CO_NEW, "from DONE there is only NEW");
	co->state = state;
}

/* Why @co may not be touched by the calling thread; 0 = it may. */
static int not_ours(const struct co *co)
{
	if (!co)
		return EINVAL;
	return co->env == co_thread_env ? 0 : EXDEV;
}

/* --- the two switches --------------------------------------------------------- */

/* What the C library and the C++ runtime keep by thread, and what each
 * coroutine must find again as it left it. */
struct thread_state {
	int error; /* errno */
	struct eh_globals eh;
};

static struct thread_state thread_state_save(const struct co_env *env)
{
	struct thread_state s = { .error = *env->error };
	if (env->eh)
		s.eh = *env->eh;
	return s;
}

static void thread_state_load(const struct co_env *env, struct thread_state s)
{
	if (env->eh)
		*env->eh = s.eh;
	*env->error = s.error;
}

/* @who runs, instead of @other, which is in @state now. */
static void now_runs(struct co *who, struct co *other, enum co_state state)
{
	co_set_state(other, state);
	co_set_state(who, CO_RUNNING);
	who->env->running = who;
}

/* BEGIN SOLUTION */
int co_transfer_to(struct co *co)
{
	struct co_env *env = co->env;
	struct co *me = env->running;
	enum co_state before = co->state;
	struct thread_state saved = thread_state_save(env);
	bool was_inside = co_go_in(env);

	co->resumer = me;
	co->exec.link = &me->exec.ctx; /* I3 */
	co->n_resumes++;
	now_runs(co, me, CO_NORMAL);
	int swapped = co_swap(&me->exec, &co->exec);
	if (swapped != 0) { /* it has not begun */
		saved.error = errno;
		co->n_resumes--;
		now_runs(me, co, before);
	}

	/* Back. Whoever left has already made me the running one again. */
	CO_ASSERT(env->running == me, "a coroutine comes back to its resumer");
	co->resumer = NULL;
	co->exec.link = &coctx_nobody; /* I3: only now */
	co_come_out(env, was_inside);
	thread_state_load(env, saved);
	return swapped;
}

/* Go back to the resumer of @me, the running coroutine. */
static int transfer_back(struct co *me, enum co_state state)
{
	struct co *resumer = me->resumer;

	now_runs(resumer, me, state);
	if (co_swap(&me->exec, &resumer->exec) == 0)
		return 0;
	CO_ASSERT(state != CO_DONE, "there is memory to go back when a function has returned");
	now_runs(me, resumer, CO_NORMAL); /* still */
	return -1;
}

int co_suspend(enum co_state state, void *blocked_at)
{
	struct co_env *env = co_thread_env;
	if (!env || !env->running->resumer)
		return co_fail(EPERM);

	struct co *me = env->running;
	struct thread_state saved = thread_state_save(env);
	bool was_inside = co_go_in(env);
	me->blocked_at = blocked_at;
	int swapped = transfer_back(me, state);
	if (swapped != 0)
		saved.error = errno;
	me->blocked_at = NULL;
	co_come_out(env, was_inside);
	thread_state_load(env, saved);
	return swapped;
}

/* The first C function on a new stack: begins with co_swap_arrived (swap.h), and never returns, for
 * below it there is only the trampoline. */
static void co_main(void *arg)
{
	struct co *me = arg;

	/* Saves rbx, in which the trampoline has the way to the resumer. GDB finds it in this
	 * frame then, and needs not ask all frames above, at each seam of a long chain. */
	__asm__ volatile("" ::: "rbx");
	co_swap_arrived(&me->exec);
	thread_state_load(me->env, (struct thread_state){ 0 });
	me->env->inside = false;
	me->result = me->fn(me->arg);
	me->env->inside = true;
	me->exec.tools.is_last_leave = true;
	transfer_back(me, CO_DONE);
	CO_ASSERT(false, "a done coroutine is never resumed");
}
/* END SOLUTION */

/* --- create ------------------------------------------------------------------- */

static struct co_stack *stack_for(const struct co_attr *attr)
{
	if (attr->share_stack)
		return attr->share_stack->get(attr->share_stack);
	return co_stack_get(attr->stack_size ? (size_t)attr->stack_size : CO_STACK_DEFAULT);
}

/* Make @co's next resume start at the top of its function. */
static void rewind_to_start(struct co *co)
{
	coctx_make(&co->exec.ctx, co->exec.stack->hi, co_main, co, &co->exec.link);
	co->result = NULL;
	co->blocked_at = NULL;
	co_set_state(co, CO_NEW);
}

/* On the top page of its own stack: this is touched anyhow, and nothing need be allocated.
 * One on a shared stack, where others are, has its struct on the heap. */
static struct co *struct_for(const struct co_stack *stack)
{
	_Static_assert(sizeof(struct co) <= CO_STACK_ROOM, "a struct co fits above its stack");
	return stack->room ? stack->room : malloc(sizeof(struct co));
}

/* Each field by itself, where a compound literal would be shorter: to clear a struct of this
 * size gcc has `rep stos`, which is slow to begin. */
static struct co *co_new(struct co_env *env, const struct co_attr *attr, co_fn *fn, void *arg, void *created_at)
{
	struct co_stack *stack = stack_for(attr);
	if (!stack)
		return NULL;
	struct co *co = struct_for(stack);
	if (!co)
		goto no_memory;

	co->exec.stack = stack;
	co->exec.link = &coctx_nobody;
	annotate_exec_init(&co->exec.tools, false);
	co->resumer = NULL;
	co->env = env;
	co->fn = fn;
	co->arg = arg;
	co->state = CO_NEW;
	list_init(&co->queue);
	co->abandon = NULL;
	co->waits_in = NULL;
	co->attachments = NULL;
	co->is_going = false;
	co->id = co_env_new_id(env);
	strcpy(co->name, "");
	co->created_at = created_at;
	co->n_resumes = 0;
	rewind_to_start(co);
	list_append(&env->all, &co->in_env); /* I5 */
	return co;

no_memory:
	stack->ops->put(stack);
	return NULL;
}

CALLED_FROM_OUTSIDE int co_create(struct co **out, const struct co_attr *attr, co_fn *fn, void *arg)
{
	static const struct co_attr defaults = { 0 };

	if (!attr)
		attr = &defaults;
	if (!out || !fn || attr->stack_size < 0 || attr->stack_size > CO_STACK_MAX)
		return co_fail(EINVAL);
	struct co_env *env = co_env_get();
	if (!env)
		return -1;
	struct co *co = CO_INSIDE(env, co_new(env, attr, fn, arg, __builtin_return_address(0)));
	if (!co)
		return -1;
	*out = co;
	return 0;
}

/* --- resume, yield -------------------------------------------------------------- */

/* In an optimized build each of these is one function with what it calls in this file.
 * The processor guesses each return that follows a switch wrong: it expects the calls
 * that were made last, and those were made on the other stack. The fewer, the better. */
__attribute__((flatten)) int co_resume(struct co *co);
__attribute__((flatten)) int co_yield_ct(void);
__attribute__((flatten)) int co_yield_env(struct co_env *env);
__attribute__((flatten)) int co_yield(struct co *co);

/* BEGIN SOLUTION */
int co_resume(struct co *co)
{
	int error = not_ours(co);
	if (error)
		return co_fail(error);
	if (co->state == CO_DONE)
		return co_fail(EINVAL);
	if (co->state != CO_NEW && co->state != CO_SUSPENDED)
		return co_fail(EBUSY);
	if (co->is_going)
		return co_fail(EBUSY);
	int result = co_transfer_to(co);
	__asm__ volatile(""); /* no tail call: co_resume stays to be seen in backtraces */
	return result;
}
/* END SOLUTION */

CALLED_FROM_OUTSIDE int co_yield_ct(void)
{
	return co_suspend(CO_SUSPENDED, __builtin_return_address(0));
}

CALLED_FROM_OUTSIDE int co_yield_env(struct co_env *env)
{
	if (!env)
		return co_fail(EINVAL);
	if (env != co_thread_env)
		return co_fail(EXDEV);
	return co_suspend(CO_SUSPENDED, __builtin_return_address(0));
}

CALLED_FROM_OUTSIDE int co_yield(struct co *co)
{
	int error = not_ours(co);
	if (error)
		return co_fail(error);
	return co_suspend(CO_SUSPENDED, __builtin_return_address(0));
}

/* --- reset, release --------------------------------------------------------------- */

void co_leave_lists(struct co *co)
{
	if (co->abandon) {
		co->abandon(co);
		co->abandon = NULL; /* I4 */
	}
	list_remove(&co->queue); /* I4 */
}

/* May @co be reset or released? If so, nothing refers to it afterwards. */
static int detach(struct co *co)
{
	if (co->state == CO_RUNNING || co->state == CO_NORMAL)
		return EBUSY; /* somebody stands on its stack */
	if (co->is_going)
		return EBUSY; /* somebody is at it */
	co_leave_lists(co);
	return 0;
}

/* What is called meanwhile may be the program's. */
static void drop_attachments(struct co *co)
{
	co->is_going = true;
	co_drop_attachments(co);
	co->is_going = false;
}

/* Both return an errno, or 0. */

static int reset(struct co *co)
{
	int error = detach(co);
	if (error)
		return error;
	drop_attachments(co);
	if (co->state == CO_NEW)
		return 0;
	annotate_exec_end(&co->exec.tools);
	annotate_exec_init(&co->exec.tools, false);
	if (co->exec.stack->ops->forget)
		co->exec.stack->ops->forget(co->exec.stack);
	rewind_to_start(co);
	return 0;
}

void co_destroy(struct co *co)
{
	struct co_stack *stack = co->exec.stack;

	drop_attachments(co);
	list_remove(&co->in_env);
	annotate_exec_end(&co->exec.tools);
	if (!stack->room)
		free(co);
	stack->ops->put(stack);
}

static int release(struct co *co)
{
	int error = detach(co);
	if (!error)
		co_destroy(co);
	return error;
}

int co_reset(struct co *co)
{
	int error = not_ours(co);
	if (!error)
		error = CO_INSIDE(co->env, reset(co));
	return error ? co_fail(error) : 0;
}

int co_release(struct co *co)
{
	int error = not_ours(co);
	struct co_env *env = error ? NULL : co->env; /* co will be gone */

	if (!error)
		error = CO_INSIDE(env, release(co));
	return error ? co_fail(error) : 0;
}

/* --- questions ---------------------------------------------------------------------- */

enum co_state co_status(const struct co *co)
{
	return co ? co->state : (enum co_state)co_fail(EINVAL);
}

void *co_result(const struct co *co)
{
	int error = not_ours(co);
	if (!error && co->state == CO_DONE)
		return co->result;
	errno = error ? error : EINVAL;
	return NULL;
}

uint32_t co_id(const struct co *co)
{
	return co ? co->id : (uint32_t)co_fail(EINVAL);
}

int co_set_name(struct co *co, const char *name)
{
	int error = not_ours(co);
	if (error)
		return co_fail(error);
	if (!name || strlen(name) > CO_NAME_MAX)
		return co_fail(EINVAL);
	strcpy(co->name, name);
	return 0;
}

const char *co_name(const struct co *co)
{
	if (co)
		return co->name;
	errno = EINVAL;
	return NULL;
}
