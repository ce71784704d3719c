/* SPDX-License-Identifier: MIT */
/* The loop: turns, order, parking and waking, and who may call what. */
#include <pthread.h>

#include "env.h"
#include "park.h"
#include "tools.h"

/* What ran, in order: one letter each. */
static char trace[4096];
static int n_trace;

static void note(char c)
{
	CHECK(n_trace < (int)sizeof(trace) - 1);
	trace[n_trace++] = c;
	co_loop_check();
	co_env_check();
}

static void check_trace(const char *expected)
{
	if (strcmp(trace, expected) != 0) {
		fprintf(stderr, "ran:      %s\nexpected: %s\n", trace, expected);
		CHECK(!"the order is as expected");
	}
	memset(trace, 0, sizeof(trace));
	n_trace = 0;
}

static struct co *start(co_fn *fn, void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, arg), 0);
	CHECK_EQ(co_resume(co), 0);
	return co;
}

static int loop(co_loop_fn *fn, void *arg)
{
	int result = co_eventloop(NULL, fn, arg);
	int error = errno;
	co_loop_check();
	co_env_check();
	errno = error;
	return result;
}

/* A callback: ends the loop when *@arg calls are used up. */
static int count_down(void *arg)
{
	int *left = arg;
	note('.');
	return --*left > 0 ? 0 : -1;
}

static void *three_rounds(void *arg)
{
	for (int i = 0; i < 3; i++) {
		note(*(char *)arg);
		CHECK_EQ(co_reschedule(), 0);
	}
	note(*(char *)arg);
	return arg;
}

static void *for_ever(void *arg)
{
	for (;;) {
		note(*(char *)arg);
		CHECK_EQ(co_reschedule(), 0);
	}
	return arg;
}

static int n_cancelled;
static struct co *cancelled;

static void cancel(struct co *co)
{
	n_cancelled++;
	cancelled = co;
}

static int park(void)
{
	return co_park(cancel, NULL, __builtin_return_address(0));
}

static void *park_rounds(void *arg)
{
	for (;;) {
		note(*(char *)arg);
		CHECK_EQ(park(), 0);
	}
	return arg;
}

/* --- the callback ------------------------------------------------------------------ */

static void callback(void)
{
	int left = 5;

	CHECK_EQ(loop(count_down, &left), 0);
	CHECK_EQ(left, 0);
	check_trace("....."); /* kept alive by the callback alone */

	start(for_ever, "a");
	left = 3;
	CHECK_EQ(loop(count_down, &left), 0);
	check_trace("aa.a.a.");
}

static int returns_one(void *arg)
{
	return ++*(int *)arg < 4 ? 1 : -1; /* only -1 ends */
}

static void callback_values(void)
{
	int n = 0;
	CHECK_EQ(loop(returns_one, &n), 0);
	CHECK_EQ(n, 4);
}

static void nothing_left(void)
{
	CHECK_EQ(loop(NULL, NULL), 0);
	start(three_rounds, "a");
	start(park_rounds, "b");
	CHECK_EQ(loop(NULL, NULL), 0); /* nobody can ever wake b */
	check_trace("abaaa");
}

/* --- order and fairness --------------------------------------------------------------- */

static void order(void)
{
	start(three_rounds, "a");
	start(three_rounds, "b");
	start(three_rounds, "c");
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("abcabcabcabc");
}

static struct co *ping, *pong;
static int n_pings, n_calls;

static void *wake_each_other(void *arg)
{
	struct co **other = arg;

	for (;;) {
		CHECK(++n_pings < 100); /* else nobody else is ever looked at */
		if (*other && co_status(*other) == CO_WAITING)
			co_wake(*other);
		CHECK_EQ(park(), 0);
	}
	return NULL;
}

static int stop_after_20(void *arg)
{
	(void)arg;
	return ++n_calls == 20 ? -1 : 0;
}

static void no_starvation(void)
{
	int left = 4;

	start(for_ever, "a");
	start(for_ever, "b");
	start(three_rounds, "c");
	CHECK_EQ(loop(count_down, &left), 0);
	check_trace("abcabc.abc.abc.ab.");
}

static void no_starvation_by_waking(void)
{
	ping = start(wake_each_other, &pong);
	pong = start(wake_each_other, &ping);
	CHECK_EQ(loop(stop_after_20, NULL), 0);
	CHECK_EQ(n_calls, 20);
	CHECK_EQ(n_pings, 2 + 20); /* one wakes the other: one runs in each turn */
}

static void *wake_it(void *arg)
{
	struct co **it = arg;
	note('<');
	co_wake(it[0]);
	note('|');
	co_wake(it[1]);
	CHECK_EQ(co_status(it[0]), CO_READY);
	note('>');
	return NULL;
}

static void waking(void)
{
	struct co *it[2] = { start(park_rounds, "a"), start(park_rounds, "b") };

	CHECK_EQ(co_status(it[0]), CO_WAITING);
	check_trace("ab");
	start(wake_it, it);
	check_trace("<|>"); /* not at once */
	start(three_rounds, "c");
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("cabccc"); /* in the order of waking */
}

static void wake_one_that_does_not_wait(void)
{
	co_wake(start(three_rounds, "a"));
}

static void *park_once(void *arg)
{
	CHECK_EQ(park(), 0);
	return arg;
}

static void *wake_from_here(void *co)
{
	CHECK(co_get_epoll_ct() != NULL); /* this thread has a loop too: the wrong one */
	co_wake(co);
	return NULL;
}

static void wake_another_threads(void)
{
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, wake_from_here, start(park_once, NULL)), 0);
	pthread_join(t, NULL);
}

static void *keep_errno(void *arg)
{
	errno = 4711;
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(errno, 4711);
	CHECK_EQ(park(), 0);
	CHECK_EQ(errno, 4711);
	return arg;
}

static void errno_kept(void)
{
	struct co *co = start(keep_errno, NULL);
	errno = 12;
	CHECK_EQ(co_reschedule(), 0);
	co_wake(co);
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(errno, 12);
	CHECK_EQ(co_status(co), CO_DONE);
}

/* --- stop -------------------------------------------------------------------------------- */

static void *stop(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	note('!');
	CHECK_EQ(co_loop_stop(co_get_epoll_ct()), 0);
	return arg;
}

static void *call_stop_elsewhere(void *arg)
{
	CHECK_FAILS(co_loop_stop(arg), -1, EXDEV);
	CHECK_FAILS(co_eventloop(arg, NULL, NULL), -1, EXDEV);
	return NULL;
}

static void stopping(void)
{
	int left = 100;
	pthread_t t;

	start(for_ever, "a");
	start(stop, NULL);
	start(for_ever, "b");
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("aba!b"); /* the turn is finished */
	CHECK_EQ(co_loop_stop(co_get_epoll_ct()), 0);
	CHECK_EQ(loop(count_down, &left), 0);
	check_trace("ab."); /* at the end of its next turn */
	left = 2;
	CHECK_EQ(loop(count_down, &left), 0);
	check_trace("ab.ab."); /* and once only */

	CHECK_FAILS(co_loop_stop(NULL), -1, EINVAL);
	pthread_create(&t, NULL, call_stop_elsewhere, co_get_epoll_ct());
	pthread_join(t, NULL);
}

/* --- release and reset ------------------------------------------------------------------- */

static void release_parked(void)
{
	struct co *a = start(park_rounds, "a"), *b = start(park_rounds, "b");

	CHECK_EQ(co_release(a), 0);
	CHECK_EQ(n_cancelled, 1);
	CHECK_EQ(cancelled, a);
	CHECK_EQ(co_reset(b), 0);
	CHECK_EQ(n_cancelled, 2);
	CHECK_EQ(cancelled, b);
	CHECK_EQ(co_status(b), CO_NEW);
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("ab");

	CHECK_EQ(co_resume(b), 0); /* from the top, and parks again */
	check_trace("b");
	co_wake(b);
	CHECK_EQ(co_release(b), 0); /* woken, but its call has not returned */
	CHECK_EQ(n_cancelled, 3);
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("");
}

static void release_ready(void)
{
	struct co *a = start(three_rounds, "a"), *b = start(three_rounds, "b");
	start(three_rounds, "c");

	CHECK_EQ(co_reset(a), 0);
	CHECK_EQ(co_release(b), 0);
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("abcccc");
	CHECK_EQ(co_status(a), CO_NEW);
	CHECK_EQ(co_resume(a), 0);
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("aaaa");
}

static struct co *victim[2];

static void *release_them(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	note('x');
	CHECK_EQ(co_release(victim[0]), 0); /* its place in this very turn is gone */
	CHECK_EQ(co_reset(victim[1]), 0);
	note('y');
	return arg;
}

static void release_in_turn(void)
{
	start(release_them, NULL);
	victim[0] = start(three_rounds, "a");
	victim[1] = start(three_rounds, "b");
	start(three_rounds, "c");
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("abcxyccc");
}

/* --- who may call what ----------------------------------------------------------------------- */

static void only_the_loop_resumes(void)
{
	CHECK_FAILS(co_resume(start(three_rounds, "a")), -1, EBUSY);
	CHECK_FAILS(co_resume(start(park_rounds, "b")), -1, EBUSY);
	co_loop_check();
}

static int try_all(void *arg)
{
	CHECK_FAILS(co_eventloop(NULL, NULL, NULL), -1, EBUSY);
	CHECK_FAILS(co_reschedule(), -1, EBUSY);
	CHECK_FAILS(park(), -1, EBUSY);
	(void)arg;
	note('t');
	return -1;
}

static void *try_loop(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	CHECK_FAILS(co_eventloop(NULL, NULL, NULL), -1, EBUSY);
	note('e');
	return arg;
}

static void re_entry(void)
{
	start(try_loop, NULL);
	CHECK_EQ(loop(try_all, NULL), 0);
	check_trace("et");
	CHECK_EQ(loop(NULL, NULL), 0); /* and it is free again */
}

static void *run_loop(void *arg)
{
	start(three_rounds, "i");
	CHECK_EQ(loop(NULL, NULL), 0);
	note('|');
	start(try_loop, NULL);
	CHECK_EQ(loop(try_all, co_self()), 0);
	CHECK_EQ(co_reschedule(), 0); /* it runs the loop no more: it may wait */
	note('o');
	return arg;
}

static void in_coroutine(void)
{
	struct co *o = start(run_loop, NULL);
	check_trace("iiii|et");
	CHECK_EQ(co_status(o), CO_READY);
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("o");
	CHECK_EQ(co_status(o), CO_DONE);
}

static void *resume_one(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	note('(');
	start(three_rounds, "n"); /* comes back at its first reschedule */
	note(')');
	return arg;
}

static void nested(void)
{
	start(resume_one, NULL);
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("(n)nnn");
}

static void *without_environment(void *arg)
{
	CHECK_FAILS(co_reschedule(), -1, EPERM);
	CHECK_FAILS(park(), -1, EPERM);
	return arg;
}

static void in_main(void)
{
	pthread_t t;

	without_environment(NULL);
	start(three_rounds, "a");
	start(three_rounds, "b");
	for (int i = 0; i < 5; i++) {
		note('.');
		CHECK_EQ(co_reschedule(), 0); /* one turn each */
	}
	check_trace("ab.ab.ab.ab..");
	pthread_create(&t, NULL, without_environment, NULL);
	pthread_join(t, NULL);
}

/* --- the hole for waiting --------------------------------------------------------------------- */

static struct co *sleeper;
static int n_wakes;

static int wait_then_wake(struct co_loop *l, int64_t at_most_ns)
{
	note(at_most_ns ? 's' : 'w');
	CHECK_EQ(at_most_ns, list_empty(&l->ready) ? CO_NEVER : 0);
	if (!at_most_ns)
		return 1;
	if (n_wakes++ == 3)
		return 0; /* nothing more will ever happen */
	co_wake(sleeper);
	return 1;
}

static int wait_fails(struct co_loop *l, int64_t at_most_ns)
{
	(void)l, (void)at_most_ns;
	errno = EBADF;
	return -1;
}

static int nothing_to_wait_for(struct co_loop *l, int64_t at_most_ns)
{
	(void)l;
	CHECK(at_most_ns == 0 || at_most_ns == 1000000 || at_most_ns == CO_NEVER);
	note(at_most_ns == 0 ? 'w' : at_most_ns == CO_NEVER ? 's' : 'm'); /* m: the callback's millisecond */
	return 0;
}

static void wait_hole(void)
{
	sleeper = start(park_rounds, "p");
	start(three_rounds, "a");
	co_get_epoll_ct()->wait = wait_then_wake;
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("paawawaspspsps");
}

static void wait_hole_errors(void)
{
	int left = 3;

	co_get_epoll_ct()->wait = wait_fails;
	CHECK_FAILS(loop(NULL, NULL), -1, EBADF);
	CHECK_FAILS(loop(NULL, NULL), -1, EBADF); /* not EBUSY: it has been left */

	/* "Nothing will wake anyone" ends the loop only if nothing is ready
	 * and nobody has a callback. */
	co_get_epoll_ct()->wait = nothing_to_wait_for;
	start(three_rounds, "a");
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("aawawas");
	CHECK_EQ(loop(count_down, &left), 0);
	check_trace(".m.m.");
}

/* --- main parks: it runs the loop ----------------------------------------------------------------- */

static struct co_loop *wakes_main_in_loop;

static void *wake_main(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	note('w');
	co_wake(arg);
	note('+');
	CHECK_FAILS(co_eventloop(NULL, NULL, NULL), -1, EBUSY);
	CHECK_EQ(co_reschedule(), 0);
	note('!');
	return arg;
}

static void main_parks(void)
{
	struct co *me = co_get_epoll_ct() ? co_self() : NULL;

	start(three_rounds, "a");
	start(wake_main, me);
	CHECK_EQ(park(), 0); /* it is woken in the first turn, and goes on before the second */
	note('m');
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("aaw+ma!a");
	CHECK_EQ(n_cancelled, 0);
}

static void main_parks_for_ever(void)
{
	start(three_rounds, "a");
	CHECK_FAILS(park(), -1, EDEADLK);
	check_trace("aaaa");
	CHECK_EQ(n_cancelled, 0);
	co_get_epoll_ct()->wait = wait_fails;
	CHECK_FAILS(park(), -1, EBADF);
	co_get_epoll_ct()->wait = NULL;
	CHECK_EQ(loop(NULL, NULL), 0); /* it has been left */
}

static int wake_main_while_waiting(struct co_loop *l, int64_t at_most_ns)
{
	CHECK_EQ(at_most_ns, CO_NEVER);
	co_wake(&l->env->main);
	return 1;
}

static void main_is_woken_by_the_wait(void)
{
	wakes_main_in_loop = co_get_epoll_ct();
	wakes_main_in_loop->wait = wake_main_while_waiting;
	for (int i = 0; i < 3; i++)
		CHECK_EQ(park(), 0);
	CHECK_EQ(co_loop_stats().turns, 3);
}

static void *stop_loop_then_wake_main(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(co_loop_stop(co_get_epoll_ct()), 0);
	CHECK_EQ(co_reschedule(), 0);
	co_wake(arg);
	return arg;
}

/* To stop the loop is not to wake main. The next co_eventloop stops. */
static void main_parks_through_a_stop(void)
{
	start(stop_loop_then_wake_main, co_get_epoll_ct() ? co_self() : NULL);
	CHECK_EQ(park(), 0);
	start(for_ever, "f");
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("ff");
}

/* Nor does main's co_reschedule use it up. */
static void reschedule_after_a_stop(void)
{
	start(for_ever, "f");
	CHECK_EQ(co_loop_stop(co_get_epoll_ct()), 0);
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("fff");
}

/* --- may the caller wait? ---------------------------------------------------------------------------- */

static volatile bool may_wait_on_signal_stack; /* raise() is declared to call nothing of ours */

static void ask(int signal)
{
	(void)signal;
	may_wait_on_signal_stack = co_may_wait();
}

static void *asks(void *arg)
{
	static char stack[64 * 1024];
	struct sigaction on_stack = { .sa_handler = ask, .sa_flags = SA_ONSTACK };

	CHECK(co_may_wait());
	CHECK_EQ(sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL), 0);
	sigaction(SIGUSR1, &on_stack, NULL);
	may_wait_on_signal_stack = true;
	raise(SIGUSR1);
	CHECK(!may_wait_on_signal_stack);

	co_self()->env->inside = true; /* as when a signal interrupts the library */
	CHECK(!co_may_wait());
	co_self()->env->inside = false;
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(co_reschedule(), 0);
		CHECK(co_may_wait());
	}
	return arg;
}

static int ask_in_callback(void *arg)
{
	CHECK(!co_may_wait());
	return --*(int *)arg ? 0 : -1;
}

static void *ask_without_environment(void *arg)
{
	CHECK(!co_may_wait());
	return arg;
}

static void may_wait(void)
{
	pthread_t t;
	int left = 5;

	CHECK(!co_may_wait());
	start(asks, NULL);
	CHECK(co_may_wait()); /* main, by running the loop */
	CHECK_EQ(loop(ask_in_callback, &left), 0);
	CHECK(co_may_wait());
	pthread_create(&t, NULL, ask_without_environment, NULL);
	pthread_join(t, NULL);
}

/* --- random schedules against a shadow ----------------------------------------------------------- */

enum { N = 40 };
static struct co *all[N];
static enum { IDLE, QUEUED, PARKED, WOKEN } is[N]; /* what the shadow thinks */
static int ready[4 * N], turn[4 * N], n_ready, n_turn;
static struct rng r;
static long n_runs, n_steps;

static void shadow_drop(int *q, int *n, int who)
{
	int k = 0;
	for (int i = 0; i < *n; i++)
		if (q[i] != who)
			q[k++] = q[i];
	*n = k;
}

static void *random_life(void *arg);

static void do_something(int me)
{
	int other = (int)rng_below(&r, N);

	switch (rng_below(&r, 7)) {
	case 0:
	case 1:
	case 2:
		if (is[other] == PARKED) {
			co_wake(all[other]);
			is[other] = WOKEN;
			ready[n_ready++] = other;
		}
		break;
	case 3:
	case 4: /* start one that is new or done */
		if (other != me && is[other] == IDLE && co_status(all[other]) != CO_NORMAL) {
			if (co_status(all[other]) == CO_DONE)
				CHECK_EQ(co_reset(all[other]), 0);
			CHECK_EQ(co_resume(all[other]), 0);
		}
		break;
	case 5:
	case 6: /* take one out, wherever it is */
		if (other == me || co_status(all[other]) == CO_NORMAL)
			break;
		n_cancelled = 0;
		if (rng_below(&r, 2)) {
			CHECK_EQ(co_reset(all[other]), 0);
		} else {
			CHECK_EQ(co_release(all[other]), 0);
			CHECK_EQ(co_create(&all[other], NULL, random_life, (void *)(intptr_t)other), 0);
		}
		CHECK_EQ(n_cancelled, is[other] == PARKED || is[other] == WOKEN);
		shadow_drop(ready, &n_ready, other);
		shadow_drop(turn, &n_turn, other);
		is[other] = IDLE;
	}
	co_loop_check();
	co_env_check();
}

/* The loop runs @me: it must be whom the shadow expects. */
static void runs(int me)
{
	n_runs++;
	CHECK(n_turn > 0);
	CHECK_EQ(me, turn[0]);
	memmove(turn, turn + 1, (size_t)--n_turn * sizeof(turn[0]));
	is[me] = IDLE;
}

static void *random_life(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (;;) {
		for (unsigned k = rng_below(&r, 4); k; k--)
			do_something(me);
		unsigned what = rng_below(&r, 10);
		if (what == 0)
			return arg;
		if (what < 6) {
			is[me] = QUEUED;
			ready[n_ready++] = me;
			CHECK_EQ(co_reschedule(), 0);
		} else {
			is[me] = PARKED;
			CHECK_EQ(park(), 0);
		}
		runs(me);
	}
}

static int begin_turn(void *arg)
{
	(void)arg;
	CHECK_EQ(n_turn, 0); /* everyone whose turn it was has run */
	do_something(-1);
	memcpy(turn, ready, sizeof(ready));
	n_turn = n_ready;
	n_ready = 0;
	return ++n_steps == rounds(20000) ? -1 : 0;
}

static void random_schedule(void)
{
	r.s = test_seed(4711);
	for (intptr_t i = 0; i < N; i++)
		CHECK_EQ(co_create(&all[i], NULL, random_life, (void *)i), 0);
	CHECK_EQ(loop(begin_turn, NULL), 0);
	printf("# %ld turns, %ld resumes by the loop\n", n_steps, n_runs);
	CHECK(n_runs > n_steps);
}

/* --- a runner that never comes back ------------------------------------------------ */

static int yield_in_callback(void *arg)
{
	(void)arg;
	co_yield_ct();
	return -1;
}

static void *run_loop_and_yield(void *arg)
{
	co_eventloop(NULL, yield_in_callback, NULL);
	return arg;
}

static void runner_released(void)
{
	struct co *co;

	for (int by_reset = 0; by_reset < 2; by_reset++) {
		CHECK_EQ(co_create(&co, NULL, run_loop_and_yield, NULL), 0);
		CHECK_EQ(co_resume(co), 0);
		CHECK_EQ(co_status(co), CO_SUSPENDED);
		CHECK_FAILS(co_eventloop(NULL, NULL, NULL), -1, EBUSY);
		if (by_reset)
			CHECK_EQ(co_reset(co), 0);
		CHECK_EQ(co_release(co), 0);
		CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
		co_env_check();
		co_loop_check();
	}
}

/* --- a stack that cannot always be entered ------------------------------------------- */

static struct {
	struct co_stack_source source;
	struct co_stack stack, *inner;
	bool is_full;
} tight;

static int tight_enter(struct co_exec *from, struct co_exec *to)
{
	if (tight.is_full) {
		errno = ENOMEM;
		return -1;
	}
	annotate_leave(&from->tools, &to->tools, to->stack->lo, to->stack->hi);
	coctx_swap(&from->ctx, &to->ctx);
	co_swap_arrived(from);
	return 0;
}

static void tight_put(struct co_stack *stack)
{
	CHECK_EQ(stack, &tight.stack);
	tight.inner->ops->put(tight.inner);
}

static struct co_stack *tight_get(struct co_stack_source *source)
{
	static const struct co_stack_ops ops = { .enter = tight_enter, .put = tight_put };

	CHECK_EQ(source, &tight.source);
	tight.inner = co_stack_get(CO_STACK_DEFAULT);
	tight.stack = *tight.inner;
	tight.stack.ops = &ops;
	return &tight.stack;
}

static void *reschedules_in_vain(void *arg)
{
	tight.is_full = true;
	CHECK_FAILS(co_reschedule(), -1, ENOMEM); /* its resumer's stack is the tight one */
	CHECK_EQ(co_status(co_self()), CO_RUNNING);
	co_loop_check();
	CHECK_FAILS(co_park(cancel, NULL, NULL), -1, ENOMEM);
	CHECK(!co_self()->abandon);
	tight.is_full = false;
	return arg;
}

static void *starts_another(void *arg)
{
	struct co *other = start(reschedules_in_vain, NULL);

	CHECK_EQ(co_status(other), CO_DONE);
	CHECK_EQ(co_release(other), 0);
	return three_rounds(arg);
}

static void no_memory(void)
{
	struct co_attr attr = { .share_stack = &tight.source };
	struct co *co[3];

	tight.source.get = tight_get;
	CHECK_EQ(co_create(&co[1], &attr, starts_another, "b"), 0);
	co[0] = start(three_rounds, "a");
	CHECK_EQ(co_resume(co[1]), 0);
	co[2] = start(three_rounds, "c");
	check_trace("abc");
	tight.is_full = true;
	uint64_t switches = co_loop_stats().switches;
	CHECK_FAILS(loop(NULL, NULL), -1, ENOMEM);
	CHECK_FAILS(loop(NULL, NULL), -1, ENOMEM);
	CHECK_EQ(co_loop_stats().switches - switches, 1);
	check_trace("a");
	CHECK_FAILS(co_reschedule(), -1, ENOMEM);
	CHECK_FAILS(co_park(cancel, NULL, NULL), -1, ENOMEM); /* main's waiting is running the loop */
	check_trace("");
	CHECK_EQ(co_status(co[1]), CO_READY);
	tight.is_full = false;
	CHECK_EQ(loop(NULL, NULL), 0);
	check_trace("bcabcabc");
	for (int i = 0; i < 3; i++)
		CHECK_EQ(co_release(co[i]), 0);
}

static const struct test_case cases[] = {
	{ "callback", "the callback is called after each turn, and -1 ends the loop", callback, 0, 0 },
	{ "callback_values", "only -1 ends the loop", callback_values, 0, 0 },
	{ "nothing_left", "without callback it returns when nothing can wake anyone", nothing_left, 0, 0 },
	{ "order", "first ready, first run, and each once per turn", order, 0, 0 },
	{ "no_starvation", "two that reschedule for ever starve neither a third nor the callback", no_starvation, 0, 0 },
	{ "no_starvation_by_waking", "two that wake each other for ever do not starve the callback",
	  no_starvation_by_waking, 0, 0 },
	{ "waking", "one that is woken runs later, in the order of waking", waking, 0, 0 },
	{ "wake_running", "waking one that does not wait is stopped", wake_one_that_does_not_wait, SIGABRT,
	  "only a waiting coroutine is woken" },
	{ "wake_another_threads", "waking another thread's is stopped", wake_another_threads, SIGABRT,
	  "a coroutine is woken on its own thread" },
	{ "errno_kept", "errno is the coroutine's own over reschedule and park", errno_kept, 0, 0 },
	{ "stopping", "co_loop_stop ends the present or the next turn, once", stopping, 0, 0 },
	{ "release_parked", "a parked one that is released or reset is cancelled, once", release_parked, 0, 0 },
	{ "release_ready", "a ready one that is released or reset does not run", release_ready, 0, 0 },
	{ "release_in_turn", "one can be released or reset by another in the very turn it is in", release_in_turn, 0, 0 },
	{ "only_the_loop_resumes", "A06: who is ready or waits cannot be resumed by hand", only_the_loop_resumes, 0, 0 },
	{ "runner_released", "a loop whose runner is released in its callback can run again", runner_released, 0, 0 },
	{ "re_entry", "a running loop cannot be entered again, and its runner cannot wait", re_entry, 0, 0 },
	{ "in_coroutine", "a coroutine can run the loop", in_coroutine, 0, 0 },
	{ "nested", "one resumed inside a turn goes on by the loop", nested, 0, 0 },
	{ "in_main", "reschedule in main runs one turn; without coroutines it is refused", in_main, 0, 0 },
	{ "wait_hole", "the wait hole is called between turns and may wake", wait_hole, 0, 0 },
	{ "main_parks", "main waits by running the loop until it is woken", main_parks, 0, 0 },
	{ "main_parks_for_ever", "main is told when nothing could ever wake it", main_parks_for_ever, 0, 0 },
	{ "main_is_woken_by_the_wait", "the wait hole can wake main", main_is_woken_by_the_wait, 0, 0 },
	{ "main_parks_through_a_stop", "stopping the loop does not wake main", main_parks_through_a_stop, 0, 0 },
	{ "reschedule_after_a_stop", "a stop is for co_eventloop, main's co_reschedule leaves it", reschedule_after_a_stop, 0, 0 },
	{ "may_wait", "co_may_wait knows signal stacks, the loop's runner and interrupted calls", may_wait, 0, 0 },
	{ "wait_hole_errors", "the wait hole can end the loop or fail it", wait_hole_errors, 0, 0 },
	{ "no_memory", "who cannot be resumed for want of memory stays ready, and all keep their order", no_memory, 0, 0 },
	{ "random", "a random schedule runs in the order of a shadow queue", random_schedule, 0, 0 },
};

TEST_MAIN(cases)
