/* SPDX-License-Identifier: MIT */
/*
 * C++ exceptions, and the other thing that unwinds a stack for real: the end
 * of a thread by pthread_exit or pthread_cancel.
 *
 * Backtraces go from a coroutine on into its resumers, but an exception must
 * not: it would run the resumer's handlers while the library believes that
 * the coroutine runs. It ends at the seam, in std::terminate().
 */
#include <pthread.h>

#include <exception>
#include <stdexcept>
#include <string>

#include "check.h"
#include "coroutine.h"

#if defined(__SANITIZE_THREAD__)
#define CO_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CO_TSAN 1
#endif
#endif

static struct co *create(co_fn *fn, void *arg = nullptr)
{
	struct co *co;
	CHECK_EQ(co_create(&co, nullptr, fn, arg), 0);
	return co;
}

/* --- not caught in the coroutine ----------------------------------------------- */

static void *throws(void *)
{
	throw std::runtime_error("out of a coroutine");
}

/* Were it caught here, the case would not die as it must. */
static void resume_and_catch(struct co *co)
{
	try {
		co_resume(co);
	} catch (...) {
		fprintf(stderr, "caught in the resumer\n");
		_exit(1);
	}
}

static void uncaught_in_new(void)
{
	resume_and_catch(create(throws));
}

static void *yields_then_throws(void *)
{
	co_yield_ct();
	throw 42;
}

static void uncaught_after_yield(void)
{
	struct co *co = create(yields_then_throws);
	resume_and_catch(co);
	resume_and_catch(co);
}

static void *resumes_a_thrower(void *)
{
	resume_and_catch(create(throws));
	return nullptr;
}

static void uncaught_in_nested(void)
{
	resume_and_catch(create(resumes_a_thrower));
}

/* --- caught in the coroutine ------------------------------------------------------- */

struct counted {
	int *alive;
	explicit counted(int *n) : alive(n) { ++*alive; }
	counted(const counted &) = delete;
	~counted() { --*alive; }
};

/* Throw from @depth frames down, after a yield in each. */
static void dig(int depth, int *alive)
{
	counted here(alive);
	co_yield_ct();
	if (depth == 0)
		throw std::runtime_error("from below");
	dig(depth - 1, alive);
}

struct outcome {
	int depth, alive = 0, caught = 0;
};

static void *catches_its_own(void *arg)
{
	outcome *o = (outcome *)arg;
	try {
		dig(o->depth, &o->alive);
	} catch (const std::runtime_error &e) {
		CHECK(strcmp(e.what(), "from below") == 0);
		o->caught++;
	}
	return nullptr;
}

static void caught_inside(void)
{
	outcome outcomes[4];
	struct co *co[4];

	for (int i = 0; i < 4; i++) {
		outcomes[i].depth = i;
		co[i] = create(catches_its_own, &outcomes[i]);
	}
	/* In turn, so that each one's frames are thrown away between the
	 * others' switches. */
	for (int round = 0; round < 5; round++)
		for (int i = 0; i < 4; i++)
			if (co_status(co[i]) != CO_DONE)
				CHECK_EQ(co_resume(co[i]), 0);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(co_status(co[i]), CO_DONE);
		CHECK_EQ(outcomes[i].caught, 1);
		CHECK_EQ(outcomes[i].alive, 0);
	}
}

/* A resumer that is itself between throw and catch. */
struct resumes_when_destroyed {
	struct co *co;
	~resumes_when_destroyed() { co_resume(co); }
};

static void resumed_while_unwinding(void)
{
	outcome inner;
	inner.depth = 0;
	struct co *co = create(catches_its_own, &inner);
	bool is_caught = false;

	CHECK_EQ(co_resume(co), 0);
	try {
		resumes_when_destroyed last = { co };
		throw std::logic_error("outer");
	} catch (const std::logic_error &e) {
		CHECK(strcmp(e.what(), "outer") == 0);
		is_caught = true;
	}
	CHECK(is_caught);
	CHECK_EQ(inner.caught, 1);
	CHECK_EQ(co_status(co), CO_DONE);
}

/* --- the exception being handled is the coroutine's own ----------------------------- */

static void *yields_in_handler(void *arg)
{
	std::string mine = (const char *)arg;
	CHECK(!std::current_exception());
	CHECK_EQ(std::uncaught_exceptions(), 0);
	try {
		throw std::runtime_error(mine);
	} catch (...) {
		co_yield_ct();
		try {
			throw; /* what this coroutine handles, not another's */
		} catch (const std::runtime_error &e) {
			CHECK(mine == e.what());
		}
	}
	CHECK(!std::current_exception());
	return nullptr;
}

static void handlers_interleave(void)
{
	struct co *a = create(yields_in_handler, (void *)"a");
	struct co *b = create(yields_in_handler, (void *)"b");

	CHECK_EQ(co_resume(a), 0);
	CHECK(!std::current_exception());
	CHECK_EQ(co_resume(b), 0);
	CHECK(!std::current_exception());
	CHECK_EQ(co_resume(a), 0);
	CHECK_EQ(co_resume(b), 0);
	CHECK_EQ(co_status(b), CO_DONE);
}

/* Starts one coroutine and lets another go on, while an exception flies. */
struct resumes_when_thrown {
	struct co *fresh, *suspended;
	~resumes_when_thrown()
	{
		CHECK_EQ(std::uncaught_exceptions(), 1);
		CHECK_EQ(co_resume(fresh), 0);
		CHECK_EQ(co_resume(suspended), 0);
		CHECK_EQ(std::uncaught_exceptions(), 1);
	}
};

static void resumer_has_exceptions(void)
{
	struct co *a = create(yields_in_handler, (void *)"a");
	struct co *b = create(yields_in_handler, (void *)"b");
	struct co *c = create(yields_in_handler, (void *)"c");
	bool is_caught = false;

	CHECK_EQ(co_resume(a), 0);
	try {
		resumes_when_thrown last = { b, a };
		throw std::logic_error("main's");
	} catch (const std::logic_error &) {
		is_caught = true;
		CHECK_EQ(co_resume(c), 0); /* new: has none in hand */
		CHECK_EQ(co_resume(b), 0);
		CHECK(std::current_exception() != nullptr);
	}
	CHECK(is_caught);
	CHECK(!std::current_exception());
	CHECK_EQ(co_resume(c), 0);
	CHECK_EQ(co_status(c), CO_DONE);
}

/* --- the thread ends inside a coroutine ---------------------------------------------- */

#ifndef CO_TSAN
static int resumer_alive, coroutine_alive, after_exit;

static void *exits_thread(void *)
{
	counted here(&coroutine_alive);
	pthread_exit((void *)7);
}

static void *waits_for_cancel(void *)
{
	counted here(&coroutine_alive);
	for (;;)
		pause(); /* a cancellation point */
}

static void *thread_that_resumes(void *fn)
{
	counted here(&resumer_alive);
	co_resume(create((co_fn *)fn));
	after_exit++;
	return nullptr;
}

static void thread_exit(void)
{
	pthread_t t;
	void *result;

	CHECK_EQ(pthread_create(&t, nullptr, thread_that_resumes, (void *)exits_thread), 0);
	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK_EQ(result, 7);
	CHECK_EQ(coroutine_alive, 0);
	CHECK_EQ(resumer_alive, 0);
	CHECK_EQ(after_exit, 0);
}

static void thread_cancel(void)
{
	pthread_t t;
	void *result;

	CHECK_EQ(pthread_create(&t, nullptr, thread_that_resumes, (void *)waits_for_cancel), 0);
	CHECK_EQ(pthread_cancel(t), 0);
	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK_EQ(result, PTHREAD_CANCELED);
	CHECK_EQ(coroutine_alive, 0);
	CHECK_EQ(resumer_alive, 0);
}
#endif

static const struct test_case cases[] = {
	{ "uncaught_in_new", "C03: an exception that leaves a coroutine is terminate(), not the resumer's",
	  uncaught_in_new, SIGABRT, "out of a coroutine" },
	{ "uncaught_after_yield", "C03: the same after a yield", uncaught_after_yield, SIGABRT,
	  "terminate called after throwing an instance of 'int'" },
	{ "uncaught_in_nested", "C03: the same when the resumer is a coroutine", uncaught_in_nested, SIGABRT,
	  "out of a coroutine" },
	{ "caught_inside", "what is thrown and caught inside works, with yields in between", caught_inside, 0, nullptr },
	{ "resumed_while_unwinding", "a destructor may resume a coroutine that throws and catches",
	  resumed_while_unwinding, 0, nullptr },
	{ "handlers_interleave", "C02: each coroutine has its own exception in hand", handlers_interleave, 0, nullptr },
	{ "resumer_has_exceptions", "C02: and none of its resumer's, flying or caught", resumer_has_exceptions, 0, nullptr },
#ifndef CO_TSAN /* its pthread_exit knows only threads' own stacks */
	{ "thread_exit", "pthread_exit in a coroutine ends the thread, and unwinds its resumers", thread_exit, 0, nullptr },
	{ "thread_cancel", "so does pthread_cancel", thread_cancel, 0, nullptr },
#endif
};
TEST_MAIN(cases)
