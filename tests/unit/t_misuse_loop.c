/* SPDX-License-Identifier: MIT */
/* Every misuse of the loop is refused, and changes nothing. */
#include "loop.h"
#include "misuse.h"
#include "park.h"

static struct {
	struct co_loop *mine, *aliens;
	struct co *ready, *waiting, *aliens_ready;
	struct co *main, *runner; /* runner: in whom the loop runs */
	int n_ran;                /* of ready and waiting, to the end */
	int n_turns;              /* of the loop, as its callback counts them */
} w;

static void add_loops(struct misuse_picture *p)
{
	if (w.mine)
		misuse_add(p, w.mine, sizeof(*w.mine));
	misuse_add(p, w.aliens, sizeof(*w.aliens));
}

static void cancel(struct co *co)
{
	(void)co;
	CHECK(!"a refused call cancels no wait");
}

static void *reschedule_once(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	w.n_ran++;
	return arg;
}

static void *park_once(void *arg)
{
	CHECK_EQ(co_park(cancel, NULL, NULL), 0);
	w.n_ran++;
	return arg;
}

static void *reschedule_for_ever(void *arg)
{
	while (co_reschedule() == 0)
		;
	return arg;
}

static void make_aliens_loop(void)
{
	w.aliens = co_get_epoll_ct();
	CHECK(w.aliens != NULL);
	CHECK_EQ(co_create(&w.aliens_ready, NULL, reschedule_for_ever, NULL), 0);
	CHECK_EQ(co_resume(w.aliens_ready), 0);
}

static void begin(void)
{
	alien.prepare = make_aliens_loop;
	alien_begin();
	misuse_add_more = add_loops;
}

static void populate(void)
{
	w.mine = co_get_epoll_ct();
	w.main = w.runner = co_self();
	CHECK_EQ(co_create(&w.ready, NULL, reschedule_once, NULL), 0);
	CHECK_EQ(co_create(&w.waiting, NULL, park_once, NULL), 0);
	CHECK_EQ(co_resume(w.ready), 0);
	CHECK_EQ(co_resume(w.waiting), 0);
	CHECK_EQ(co_status(w.ready), CO_READY);
	CHECK_EQ(co_status(w.waiting), CO_WAITING);
}

/* The ready one runs, and once woken the waiting one too. */
static void end(void)
{
	if (co_status(w.waiting) == CO_WAITING)
		co_wake(w.waiting);
	CHECK_EQ(co_eventloop(w.mine, NULL, NULL), 0);
	co_loop_check();
	CHECK_EQ(w.n_ran, 2);
	CHECK_EQ(co_status(w.ready), CO_DONE);
	CHECK_EQ(co_status(w.waiting), CO_DONE);
	CHECK_EQ(co_release(w.ready), 0);
	CHECK_EQ(co_release(w.waiting), 0);
	CHECK_EQ(co_stack_stats().lent, 0);
	alien_end();
}

/* --- the calls --------------------------------------------------------------- */

static int stop_null(struct co *co)
{
	(void)co;
	return co_loop_stop(NULL);
}

static int stop_aliens(struct co *co)
{
	(void)co;
	return co_loop_stop(w.aliens);
}

static int run(struct co *co)
{
	(void)co;
	return co_eventloop(NULL, NULL, NULL);
}

static int run_mine(struct co *co)
{
	(void)co;
	return co_eventloop(w.mine, NULL, NULL);
}

static int run_aliens(struct co *co)
{
	(void)co;
	return co_eventloop(w.aliens, NULL, NULL);
}

static int reschedule(struct co *co)
{
	(void)co;
	return co_reschedule();
}

static int park(struct co *co)
{
	(void)co;
	return co_park(cancel, NULL, NULL);
}

/* --- the tables ---------------------------------------------------------------- */

static const struct misuse anywhere[] = {
	{ "loop_stop: NULL", stop_null, NULL, EINVAL },
	{ "loop_stop: another thread's", stop_aliens, NULL, EXDEV },
	{ "eventloop: another thread's", run_aliens, NULL, EXDEV },
	{ "resume: one that waits for its turn", call_resume, &w.ready, EBUSY },
	{ "resume: one that is parked", call_resume, &w.waiting, EBUSY },
	{ "resume: one on another thread's queue", call_resume, &w.aliens_ready, EXDEV },
	{ "release: one on another thread's queue", call_release, &w.aliens_ready, EXDEV },
	{ "reset: one on another thread's queue", call_reset, &w.aliens_ready, EXDEV },
	{ 0 },
};

/* In the loop: in its callback or in a coroutine that it runs. */
static const struct misuse inside[] = {
	{ "eventloop: it runs already", run, NULL, EBUSY },
	{ "eventloop: it runs already, by name", run_mine, NULL, EBUSY },
	{ "resume: the one in whom the loop runs", call_resume, &w.runner, EBUSY },
	{ "release: the one in whom the loop runs", call_release, &w.runner, EBUSY },
	{ "reset: the one in whom the loop runs", call_reset, &w.runner, EBUSY },
	{ 0 },
};

static const struct misuse callback_only[] = {
	{ "reschedule: in main, in the loop's callback", reschedule, NULL, EBUSY },
	{ "park: in main, in the loop's callback", park, NULL, EBUSY },
	{ 0 },
};

/* It would wait for a loop that goes on only when it has come back. */
static const struct misuse runner_only[] = {
	{ "reschedule: in the callback of a loop in a coroutine", reschedule, NULL, EBUSY },
	{ "park: in the callback of a loop in a coroutine", park, NULL, EBUSY },
	{ 0 },
};

static const struct misuse bare_only[] = {
	{ "loop_stop: NULL", stop_null, NULL, EINVAL },
	{ "loop_stop: another thread's", stop_aliens, NULL, EXDEV },
	{ "eventloop: another thread's", run_aliens, NULL, EXDEV },
	{ "reschedule: no environment", reschedule, NULL, EPERM },
	{ "park: no environment", park, NULL, EPERM },
	{ 0 },
};

/* --- the cases ---------------------------------------------------------------------- */

static void in_main(void)
{
	begin();
	populate();
	misuse_all(anywhere, "in main");
	end();
}

static int callback(void *arg)
{
	CHECK_EQ(arg, &w);
	if (w.n_turns++ == 0) {
		w.n_ran = 0;
		populate();
	}
	misuse_all(anywhere, "in the loop's callback");
	misuse_all(inside, "in the loop's callback");
	misuse_all(callback_only, "in the loop's callback");
	return -1;
}

static void in_callback(void)
{
	begin();
	CHECK_EQ(co_eventloop(NULL, callback, &w), 0);
	CHECK_EQ(w.n_turns, 1);
	end();
}

static void *misuser(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(!!w.mine->runner, true);
	misuse_all(anywhere, "in a coroutine run by the loop");
	misuse_all(inside, "in a coroutine run by the loop");
	w.n_turns++;
	return arg;
}

static void in_a_turn(void)
{
	struct co *co;

	/* First of its turn, so that w.ready is still on the list of the turn. */
	begin();
	CHECK_EQ(co_create(&co, NULL, misuser, NULL), 0);
	CHECK_EQ(co_resume(co), 0);
	populate();
	CHECK_EQ(co_reschedule(), 0);
	CHECK_EQ(w.n_turns, 1);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(co_release(co), 0);
	end();
}

static int runners_callback(void *arg)
{
	misuse_all(inside, "in the callback of a loop in a coroutine");
	misuse_all(runner_only, "in the callback of a loop in a coroutine");
	(void)arg;
	return -1;
}

static void *loop_in_coroutine(void *arg)
{
	w.runner = co_self();
	CHECK_EQ(co_eventloop(NULL, runners_callback, NULL), 0);
	return arg;
}

static void loop_not_in_main(void)
{
	struct co *co, *runner;

	begin();
	CHECK_EQ(co_create(&co, NULL, misuser, NULL), 0);
	CHECK_EQ(co_resume(co), 0);
	populate();
	CHECK_EQ(co_create(&runner, NULL, loop_in_coroutine, NULL), 0);
	CHECK_EQ(co_resume(runner), 0);
	CHECK_EQ(co_status(runner), CO_DONE);
	CHECK_EQ(w.n_turns, 1);
	CHECK_EQ(co_release(runner), 0);
	CHECK_EQ(co_release(co), 0);
	end();
}

static void *bare_thread(void *arg)
{
	misuse_all(bare_only, "on a thread without an environment");
	return arg;
}

static void on_a_bare_thread(void)
{
	begin();
	misuse_on_thread(bare_thread);
	alien_end();
}

static const struct test_case cases[] = {
	{ "in_main", "misuse of the loop in main fails and changes nothing", in_main, 0, NULL },
	{ "in_callback", "the same in the loop's own callback", in_callback, 0, NULL },
	{ "in_a_turn", "the same in a coroutine in the middle of a turn", in_a_turn, 0, NULL },
	{ "loop_not_in_main", "the same while the loop runs inside a coroutine", loop_not_in_main, 0, NULL },
	{ "on_a_bare_thread", "the same on a thread without an environment, which stays so", on_a_bare_thread, 0, NULL },
};
TEST_MAIN(cases)
