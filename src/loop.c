/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: a queue and a loop around it.
 *
 * The loop is ordinary code on an ordinary execution, most often main's. It
 * resumes a coroutine, and gets the control back when that one yields, waits
 * or ends. Nobody is ever interrupted.
 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>

#include "assert.h"
#include "park.h"
#include "sys.h"

enum {
	CALLBACK_NS = 1000 * 1000, /* the callback's longest wait: libco's millisecond */
};

static _Thread_local struct co_loop *thread_loop;

static void loop_free(struct co_at_exit *note)
{
	struct co_loop *loop = container_of(note, struct co_loop, at_exit);

	/* What is still queued stays READY and is released with the thread;
	 * only the queue's head goes. */
	while (list_pop(&loop->ready) || list_pop(&loop->turn))
		;
	thread_loop = NULL;
	free(loop);
}

struct co_loop *co_get_epoll_ct(void)
{
	if (thread_loop)
		return thread_loop;
	struct co_env *env = co_env_get();
	if (!env)
		return NULL;
	struct co_loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return NULL;
	loop->env = env;
	list_init(&loop->ready);
	list_init(&loop->turn);
	loop->at_exit.fn = loop_free;
	list_insert(&env->at_exit, &loop->at_exit.node);
	return thread_loop = loop;
}

/* The loop no longer runs: it has ended, or @runner has yielded in its callback
 * and is released or reset now. Either way no turn is under way. */
static void runner_is_gone(struct co *runner)
{
	(void)runner;
	thread_loop->runner = NULL;
	thread_loop->is_stopping = false;
}

/* There was no memory to go on with @first (a shared stack's bytes must be put
 * somewhere). Nobody is lost: all are ready, in their order. */
static int end_turn_early(struct co_loop *loop, struct list *first)
{
	loop->stats.switches--;
	list_insert(&loop->turn, first);
	list_splice(&loop->turn, &loop->ready);
	list_splice(&loop->ready, &loop->turn); /* I2 */
	return -1;
}

/* BEGIN SOLUTION */
/* Run everything that is ready now, once. What becomes ready meanwhile waits
 * for the next turn: else two coroutines that wake each other would keep
 * timers and descriptors from ever being looked at. */
static int run_turn(struct co_loop *loop)
{
	loop->stats.turns++;
	list_splice(&loop->turn, &loop->ready);
	for (struct list *l; (l = list_pop(&loop->turn));) {
		if (!list_empty(&loop->turn)) /* again: many may have been woken since */
			co_swap_soon(&container_of(loop->turn.next, struct co, queue)->exec);
		loop->stats.switches++;
		if (co_transfer_to(container_of(l, struct co, queue)) != 0)
			return end_turn_early(loop, l);
	}
	return 0;
}

/* Let time and the outside world make somebody ready; if nobody is, sleep for
 * at most @at_most_ns. Returns 1 = go on, 0 = it is over, -1 = errno. */
static int wait_for_anyone(struct co_loop *loop, int64_t at_most_ns)
{
	bool idle = list_empty(&loop->ready);
	int woken = loop->wait ? loop->wait(loop, idle ? at_most_ns : 0) : 0;

	if (woken != 0 || !idle)
		return woken < 0 ? -1 : 1;
	if (at_most_ns == CO_NEVER)
		return 0;
	sys_sleep(at_most_ns); /* only the callback can change anything: no need to hurry it */
	loop->stats.sleeps++;
	loop->stats.syscalls++;
	return 1;
}
/* END SOLUTION */

/* The callback is the program's: outside of the library. */
static int call_back(struct co_loop *loop, co_loop_fn *fn, void *arg)
{
	co_come_out(loop->env, false);
	int said = fn(arg);
	co_go_in(loop->env);
	return said;
}

/* What comes between two turns. Returns as wait_for_anyone. */
static int between_turns(struct co_loop *loop, co_loop_fn *fn, void *arg)
{
	if (fn && call_back(loop, fn, arg) == -1)
		return 0;
	if (loop->is_stopping)
		return 0;
	return wait_for_anyone(loop, fn ? CALLBACK_NS : CO_NEVER);
}

int co_eventloop(struct co_loop *loop, co_loop_fn *fn, void *arg)
{
	/* Before the thread gets a loop of its own: a refused call makes none. */
	if (loop && loop != thread_loop)
		return co_fail(EXDEV);
	struct co_loop *mine = co_get_epoll_ct();
	int go_on;

	if (!mine)
		return -1;
	if (mine->runner)
		return co_fail(EBUSY);
	struct co *me = co_self();
	bool was_inside = co_go_in(mine->env);
	mine->runner = me;
	me->abandon = runner_is_gone;
	do {
		go_on = run_turn(mine);
		if (go_on == 0)
			go_on = between_turns(mine, fn, arg);
	} while (go_on > 0);
	me->abandon = NULL;
	runner_is_gone(me);
	co_come_out(mine->env, was_inside);
	return go_on;
}

int co_loop_stop(struct co_loop *loop)
{
	if (!loop || loop != thread_loop)
		return co_fail(loop ? EXDEV : EINVAL);
	loop->is_stopping = true;
	return 0;
}

static void make_ready(struct co_loop *loop, struct co *co)
{
	list_append(&loop->ready, &co->queue); /* I1 */
}

/* The loop's runner, queued on its own loop, would never come back. And main,
 * which waits by running the loop, cannot while another runs it. */
static bool is_held_up(const struct co_loop *loop, const struct co *me)
{
	return loop->runner == me || (loop->runner && !me->resumer);
}

/* Run one turn on main, and look who else could be ready. */
static int turn_on_main(struct co_loop *loop, struct co *me)
{
	int looked;

	loop->runner = me;
	looked = run_turn(loop);
	if (looked == 0)
		looked = wait_for_anyone(loop, 0);
	loop->runner = NULL; /* a stop that was asked for is for the next co_eventloop */
	return looked < 0 ? -1 : 0;
}

/* BEGIN SOLUTION */
static int queue_up(struct co_loop *loop, struct co *me, void *blocked_at)
{
	make_ready(loop, me);
	if (co_suspend(CO_READY, blocked_at) == 0)
		return 0;
	list_remove(&me->queue); /* I1: it has not gone */
	return -1;
}
/* END SOLUTION */

CALLED_FROM_OUTSIDE int co_reschedule(void)
{
	struct co *me = co_self();

	if (!me)
		return co_fail(EPERM);
	struct co_loop *loop = co_get_epoll_ct();
	if (!loop)
		return -1;
	if (is_held_up(loop, me))
		return co_fail(EBUSY);
	if (!me->resumer)
		return CO_INSIDE(loop->env, turn_on_main(loop, me));
	return CO_INSIDE(loop->env, queue_up(loop, me, __builtin_return_address(0)));
}

/* BEGIN SOLUTION */
/* There is nobody to go back to: main's waiting is running the loop. */
static int park_main(struct co_loop *loop, struct co *me)
{
	int go_on = 1;

	loop->runner = me;
	loop->is_main_parked = true;
	while (loop->is_main_parked && go_on > 0) {
		if (run_turn(loop) != 0)
			go_on = -1;
		else if (loop->is_main_parked)
			go_on = wait_for_anyone(loop, CO_NEVER);
	}
	loop->runner = NULL;
	if (!loop->is_main_parked)
		return 0;
	loop->is_main_parked = false;
	return go_on < 0 ? -1 : co_fail(EDEADLK);
}

int co_park(void (*cancel)(struct co *co), void *what, void *blocked_at)
{
	struct co *me = co_self();
	int parked;

	if (!me)
		return co_fail(EPERM);
	struct co_loop *loop = co_get_epoll_ct();
	if (!loop)
		return -1; /* co_wake must not be able to fail */
	if (is_held_up(loop, me))
		return co_fail(EBUSY);
	bool was_inside = co_go_in(loop->env);
	me->abandon = cancel;
	me->waits_in = what;
	me->blocked_at = blocked_at;
	parked = me->resumer ? co_suspend(CO_WAITING, blocked_at) : park_main(loop, me);
	me->abandon = NULL;
	me->waits_in = NULL;
	me->blocked_at = NULL;
	co_come_out(loop->env, was_inside);
	return parked;
}

void co_wake(struct co *co)
{
	CO_ASSERT(thread_loop && co->env == thread_loop->env, "a coroutine is woken on its own thread");
	if (thread_loop->is_main_parked && co == &co->env->main) {
		thread_loop->is_main_parked = false;
		return;
	}
	CO_ASSERT(co->state == CO_WAITING, "only a waiting coroutine is woken");
	co_swap_soon(&co->exec);
	co_set_state(co, CO_READY);
	make_ready(thread_loop, co);
}
/* END SOLUTION */

bool co_may_wait(void)
{
	const struct co *me = co_self();
	const char *here = __builtin_frame_address(0);

	if (!me || me->env->inside)
		return false;
	const struct co_stack *stack = me->exec.stack;
	if (stack->hi && !(here >= stack->lo && here < stack->hi))
		return false;
	return !thread_loop || !is_held_up(thread_loop, me);
}

struct co_loop_stats co_loop_stats(void)
{
	return thread_loop ? thread_loop->stats : (struct co_loop_stats){ 0 };
}

static size_t check_queue(const struct list *head)
{
	size_t n = 0;
	for (const struct list *l = head->next; l != head; l = l->next, n++)
		CO_ASSERT(container_of(l, struct co, queue)->state == CO_READY, "I1: a queued coroutine is READY");
	return n;
}

void co_loop_check(void)
{
	if (!thread_loop)
		return;
	size_t n_ready = check_queue(&thread_loop->ready) + check_queue(&thread_loop->turn);
	const struct list *all = &thread_loop->env->all;
	for (const struct list *l = all->next; l != all; l = l->next)
		n_ready -= container_of(l, struct co, in_env)->state == CO_READY;
	CO_ASSERT(n_ready == 0, "I1: a READY coroutine is queued");
	CO_ASSERT(thread_loop->runner || list_empty(&thread_loop->turn), "I2: `turn` is empty outside a turn");
}
