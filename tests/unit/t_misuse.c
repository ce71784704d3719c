/* SPDX-License-Identifier: MIT */
/* Every misuse of layers 1 to 3 is refused, and changes nothing. */
#include "misuse.h"

/* One coroutine in each state, and two nested ones that make the calls. */
static struct {
	struct co *fresh, *suspended, *ready, *waiting, *done;
	struct co *outer, *inner; /* main resumes outer resumes inner */
	struct co *main, *self;
} w;

static void cancel(struct co *co)
{
	(void)co;
	CHECK(!"a refused call cancels no wait");
}

/* As co_reschedule and co_park of lesson 4 do it. */
static void *suspend_as(void *state)
{
	if ((enum co_state)(intptr_t)state == CO_WAITING)
		co_self()->abandon = cancel;
	CHECK_EQ(co_suspend((enum co_state)(intptr_t)state, NULL), 0);
	return NULL;
}

static void *just_return(void *arg)
{
	return arg;
}

static struct co *make(co_fn *fn, enum co_state state)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, (void *)(intptr_t)state), 0);
	if (state != CO_NEW)
		CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(co_status(co), state);
	return co;
}

static void begin(void)
{
	w.fresh = make(suspend_as, CO_NEW);
	w.suspended = make(misuse_yield_once, CO_SUSPENDED);
	w.ready = make(suspend_as, CO_READY);
	w.waiting = make(suspend_as, CO_WAITING);
	w.done = make(just_return, CO_DONE);
	w.main = w.self = co_self();
	alien_begin();
}

/* Everybody is still what he was, and can go on. */
static void end(void)
{
	alien_end();
	CHECK_EQ(co_status(w.fresh), CO_NEW);
	CHECK_EQ(co_resume(w.suspended), 0);
	CHECK_EQ(co_status(w.suspended), CO_DONE);
	CHECK_EQ(co_status(w.ready), CO_READY);
	CHECK_EQ(w.waiting->abandon, cancel);
	w.waiting->abandon = NULL;
	struct co *all[] = { w.fresh, w.suspended, w.ready, w.waiting, w.done };
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		CHECK_EQ(co_release(all[i]), 0);
	CHECK_EQ(co_stack_stats().lent, 0);
}

/* --- the calls --------------------------------------------------------------- */

static struct co *untouched;

static int create_with(struct co **out, const struct co_attr *attr, co_fn *fn)
{
	untouched = (struct co *)&untouched;
	int result = co_create(out, attr, fn, NULL);
	CHECK_EQ(untouched, &untouched); /* a refused create leaves *co alone */
	return result;
}

static int create_nowhere(struct co *co)
{
	(void)co;
	return create_with(NULL, NULL, just_return);
}

static int create_nothing(struct co *co)
{
	(void)co;
	return create_with(&untouched, NULL, NULL);
}

static int create_negative(struct co *co)
{
	(void)co;
	return create_with(&untouched, &(struct co_attr){ .stack_size = -1 }, just_return);
}

static int create_most_negative(struct co *co)
{
	(void)co;
	return create_with(&untouched, &(struct co_attr){ .stack_size = INT32_MIN }, just_return);
}

static int create_too_big(struct co *co)
{
	(void)co;
	return create_with(&untouched, &(struct co_attr){ .stack_size = CO_STACK_MAX + 1 }, just_return);
}

static int call_yield(struct co *co)
{
	return co_yield(co);
}

static int call_yield_ct(struct co *co)
{
	(void)co;
	return co_yield_ct();
}

static int yield_env_null(struct co *co)
{
	(void)co;
	return co_yield_env(NULL);
}

static int yield_env_own(struct co *co)
{
	(void)co;
	return co_yield_env(co_get_curr_thread_env());
}

static int yield_env_alien(struct co *co)
{
	(void)co;
	return co_yield_env(alien.env);
}

static int call_result(struct co *co)
{
	return co_result(co) ? 0 : -1;
}

static int call_status(struct co *co)
{
	return (int)co_status(co);
}

static int call_id(struct co *co)
{
	return (int)co_id(co);
}

static int call_name(struct co *co)
{
	return co_name(co) ? 0 : -1;
}

static int set_name(struct co *co)
{
	return co_set_name(co, "x");
}

static int set_name_null(struct co *co)
{
	return co_set_name(co, NULL);
}

static int set_name_long(struct co *co)
{
	return co_set_name(co, "01234567890123456789012345678901"); /* 32 bytes */
}

/* --- the tables ---------------------------------------------------------------- */

/* In any situation in which the thread has coroutines. */
static const struct misuse anywhere[] = {
	{ "create: no place for the result", create_nowhere, NULL, EINVAL },
	{ "create: no function", create_nothing, NULL, EINVAL },
	{ "create: stack_size -1", create_negative, NULL, EINVAL },
	{ "create: stack_size INT_MIN", create_most_negative, NULL, EINVAL },
	{ "create: stack_size 8 MiB + 1", create_too_big, NULL, EINVAL },

	{ "resume: NULL", call_resume, NULL, EINVAL },
	{ "resume: done", call_resume, &w.done, EINVAL },
	{ "resume: ready, so the loop's", call_resume, &w.ready, EBUSY },
	{ "resume: waiting in a blocking call", call_resume, &w.waiting, EBUSY },
	{ "resume: itself", call_resume, &w.self, EBUSY },
	{ "resume: main", call_resume, &w.main, EBUSY },
	{ "resume: another thread's new one", call_resume, &alien.fresh, EXDEV },
	{ "resume: another thread's suspended one", call_resume, &alien.suspended, EXDEV },
	{ "resume: another thread's main", call_resume, &alien.main, EXDEV },

	{ "yield: NULL", call_yield, NULL, EINVAL },
	{ "yield: another thread's", call_yield, &alien.suspended, EXDEV },
	{ "yield_env: NULL", yield_env_null, NULL, EINVAL },
	{ "yield_env: another thread's", yield_env_alien, NULL, EXDEV },

	{ "release: NULL", call_release, NULL, EINVAL },
	{ "release: itself", call_release, &w.self, EBUSY },
	{ "release: main", call_release, &w.main, EBUSY },
	{ "release: another thread's new one", call_release, &alien.fresh, EXDEV },
	{ "release: another thread's suspended one", call_release, &alien.suspended, EXDEV },
	{ "release: another thread's main", call_release, &alien.main, EXDEV },

	{ "reset: NULL", call_reset, NULL, EINVAL },
	{ "reset: itself", call_reset, &w.self, EBUSY },
	{ "reset: main", call_reset, &w.main, EBUSY },
	{ "reset: another thread's new one", call_reset, &alien.fresh, EXDEV },
	{ "reset: another thread's suspended one", call_reset, &alien.suspended, EXDEV },

	{ "result: NULL", call_result, NULL, EINVAL },
	{ "result: new", call_result, &w.fresh, EINVAL },
	{ "result: suspended", call_result, &w.suspended, EINVAL },
	{ "result: itself", call_result, &w.self, EINVAL },
	{ "result: another thread's", call_result, &alien.suspended, EXDEV },

	{ "status: NULL", call_status, NULL, EINVAL },
	{ "id: NULL", call_id, NULL, EINVAL },
	{ "name: NULL", call_name, NULL, EINVAL },

	{ "set_name: NULL coroutine", set_name, NULL, EINVAL },
	{ "set_name: NULL name", set_name_null, &w.fresh, EINVAL },
	{ "set_name: 32 bytes", set_name_long, &w.fresh, EINVAL },
	{ "set_name: another thread's", set_name, &alien.fresh, EXDEV },
	{ 0 },
};

static const struct misuse main_only[] = {
	{ "yield_ct: from main", call_yield_ct, NULL, EPERM },
	{ "yield: from main, main", call_yield, &w.main, EPERM },
	{ "yield: from main, another", call_yield, &w.suspended, EPERM },
	{ "yield_env: from main", yield_env_own, NULL, EPERM },
	{ 0 },
};

static const struct misuse nested_only[] = {
	{ "resume: the one who resumed it", call_resume, &w.outer, EBUSY },
	{ "release: the one who resumed it", call_release, &w.outer, EBUSY },
	{ "reset: the one who resumed it", call_reset, &w.outer, EBUSY },
	{ "result: the one who resumed it", call_result, &w.outer, EINVAL },
	{ 0 },
};

/* On a thread without coroutines. All those of main's are another thread's. */
static const struct misuse bare_only[] = {
	{ "create: no place for the result", create_nowhere, NULL, EINVAL },
	{ "create: no function", create_nothing, NULL, EINVAL },
	{ "create: stack_size -1", create_negative, NULL, EINVAL },
	{ "yield_ct: no environment", call_yield_ct, NULL, EPERM },
	{ "yield: no environment", call_yield, &alien.fresh, EXDEV },
	{ "yield: NULL", call_yield, NULL, EINVAL },
	{ "yield_env: no environment", yield_env_alien, NULL, EXDEV },
	{ "yield_env: NULL, as this thread's is", yield_env_own, NULL, EINVAL },
	{ "resume: no environment", call_resume, &alien.fresh, EXDEV },
	{ "release: no environment", call_release, &alien.fresh, EXDEV },
	{ "reset: no environment", call_reset, &alien.fresh, EXDEV },
	{ "status: co_self() is NULL here", call_status, NULL, EINVAL },
	{ "id: co_self() is NULL here", call_id, NULL, EINVAL },
	{ "name: co_self() is NULL here", call_name, NULL, EINVAL },
	{ 0 },
};

/* --- the cases ---------------------------------------------------------------------- */

static void in_main(void)
{
	begin();
	misuse_all(anywhere, "in main");
	misuse_all(main_only, "in main");
	end();
}

static void *run_inner(void *arg)
{
	w.self = co_self();
	misuse_all(anywhere, "in a coroutine");
	misuse_all(nested_only, "in a coroutine");
	return arg;
}

static void *run_outer(void *arg)
{
	CHECK_EQ(co_create(&w.inner, NULL, run_inner, NULL), 0);
	CHECK_EQ(co_resume(w.inner), 0);
	CHECK_EQ(co_status(w.inner), CO_DONE);
	CHECK_EQ(co_release(w.inner), 0);
	w.self = co_self();
	misuse_all(anywhere, "in a coroutine, back from another");
	return arg;
}

static void in_a_coroutine(void)
{
	begin();
	CHECK_EQ(co_create(&w.outer, NULL, run_outer, NULL), 0);
	CHECK_EQ(co_resume(w.outer), 0);
	CHECK_EQ(co_status(w.outer), CO_DONE);
	CHECK_EQ(co_release(w.outer), 0);
	end();
}

static void *bare_thread(void *arg)
{
	misuse_all(bare_only, "on a thread without an environment");
	return arg;
}

static void on_a_bare_thread(void)
{
	alien_begin();
	misuse_on_thread(bare_thread);
	alien_end();
}

static const struct test_case cases[] = {
	{ "in_main", "A01, A02, A12: every misuse in main fails, says why, and changes nothing", in_main, 0, NULL },
	{ "in_a_coroutine", "A05, A06, A09, A12: the same in nested coroutines", in_a_coroutine, 0, NULL },
	{ "on_a_bare_thread", "A03, A12: the same on a thread without an environment, which stays so",
	  on_a_bare_thread, 0, NULL },
};
TEST_MAIN(cases)
