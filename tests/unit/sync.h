/* SPDX-License-Identifier: MIT */
/*
 * sync — what the tests of conditions and mutexes share.
 *
 * The library's malloc goes through the functions below (WRAP_SYNC in the
 * Makefile): so memory can run out, and what is not given back is counted. So do
 * calls between its layers: they must be made inside.
 */
#ifndef SYNC_H
#define SYNC_H

#include "misuse.h"
#include "park.h"
#include "sleep.h"
#include "timers.h"

/* --- memory ---------------------------------------------------------------------------- */

static _Atomic long n_blocks;
static int fail_at; /* the number of the call that fails, from 1; 0: none */
static int n_allocs;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);

/* What the library allocates and frees, it does inside. Set for one thread at a time. */
static _Thread_local struct co_env *watched;

static inline bool fails_now(void)
{
	CHECK(!watched || watched->inside);
	if (fail_at == 0 || ++n_allocs != fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	if (fails_now())
		return NULL;
	n_blocks++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	if (fails_now())
		return NULL;
	n_blocks++;
	return __real_calloc(n, size);
}

void __wrap_free(void *p);
void __wrap_free(void *p)
{
	CHECK(!watched || watched->inside);
	n_blocks -= p != NULL;
	__real_free(p);
}

/* --- inside the library: else a signal handler would wait in the middle of a list ------------ */

static bool thread_ends_now; /* then nobody asks */

static inline void check_inside(const struct co_env *env)
{
	CHECK(env->inside || thread_ends_now);
}

void __real_co_wake(struct co *co);
void __wrap_co_wake(struct co *co);
void __wrap_co_wake(struct co *co)
{
	check_inside(co->env);
	__real_co_wake(co);
}

void __real_co_attach(struct co *co, struct co_attachment *a);
void __wrap_co_attach(struct co *co, struct co_attachment *a);
void __wrap_co_attach(struct co *co, struct co_attachment *a)
{
	check_inside(co->env);
	__real_co_attach(co, a);
}

int __real_co_timer_add(struct co_timer *timer, int64_t at_ns);
int __wrap_co_timer_add(struct co_timer *timer, int64_t at_ns);
int __wrap_co_timer_add(struct co_timer *timer, int64_t at_ns)
{
	check_inside(co_get_curr_thread_env());
	return __real_co_timer_add(timer, at_ns);
}

/* Fire what is due, as the loop does. */
static inline size_t expire(void)
{
	return CO_INSIDE(co_get_curr_thread_env(), co_timers_expire());
}

/* For times that are exact, and the same order as in a model. */
static inline void use_heap(void)
{
	CHECK_EQ(setenv("COSTEP_TIMER", co_timer_heap.name, 1), 0);
}

/* --- running, and what ran ----------------------------------------------------------------- */

static char trace[400]; /* one letter each */
static void (*sync_check_more)(void);

static inline void check_all(void)
{
	co_env_check();
	co_loop_check();
	if (sync_check_more)
		sync_check_more();
}

static inline void note(char c)
{
	size_t n = strlen(trace);
	CHECK(n < sizeof(trace) - 1);
	trace[n] = c;
	check_all();
}

static inline void check_trace(const char *expected)
{
	if (strcmp(trace, expected) != 0) {
		fprintf(stderr, "ran: %s, expected: %s\n", trace, expected);
		CHECK(!"the order is as expected");
	}
	memset(trace, 0, sizeof(trace));
}

static inline struct co *start(co_fn *fn, const void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, (void *)arg), 0);
	CHECK_EQ(co_resume(co), 0);
	return co;
}

static inline void loop(void)
{
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	check_all();
}

/* On main: one turn. */
static inline void turn(void)
{
	CHECK_EQ(co_reschedule(), 0);
	check_all();
}

static inline void release_all(struct co **co, int n)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(co_release(co[i]), 0);
}

/* End *@co by reset or release; *@co is NULL then. */
static inline void drop(struct co **co, bool is_reset)
{
	CHECK_EQ(is_reset ? co_reset(*co) : co_release(*co), 0);
	check_all();
	if (!is_reset)
		*co = NULL;
}

static inline void release_rest(struct co **co, int n)
{
	for (int i = 0; i < n; i++)
		if (co[i])
			CHECK_EQ(co_release(co[i]), 0);
}

/* Take number @i out of a list of *@n. */
static inline void list_take(int *list, int *n, int i)
{
	for (int k = 0; k < *n; k++)
		if (list[k] == i) {
			memmove(&list[k], &list[k + 1], (size_t)(*n - k - 1) * sizeof(*list));
			--*n;
			return;
		}
}

#endif
