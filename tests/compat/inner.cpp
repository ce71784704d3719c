/* SPDX-License-Identifier: MIT */
/* The inside: states, environments, sizes, contexts, a set of one's own, the log. */
#include "co_epoll.h"
#include "co_routine.h"
#include "co_routine_inner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- states ------------------------------------------------------------------------------ */

static int n_runs;

static void *yield_twice(void *arg)
{
	n_runs++;
	if (GetCurrThreadCo() != co_self())
		printf("two different ones run\n");
	co_yield_env(co_get_curr_thread_env());
#ifdef __cpp_impl_coroutine
	co_yield_to(co_self());
#else
	co_yield(co_self());
#endif
	return arg;
}

static void states()
{
	stCoRoutine_t *co;

	printf("before: env %d, self %d\n", co_get_curr_thread_env() != NULL, co_self() != NULL);
	co_init_curr_thread_env();
	stCoRoutineEnv_t *env = co_get_curr_thread_env();
	co_init_curr_thread_env();
	printf("one env: %d\n", env && co_get_curr_thread_env() == env);
	co_create(&co, NULL, yield_twice, NULL);
	printf("new:  begun %d, done %d\n", int(co->cStart), int(co->cEnd));
	co_resume(co);
	printf("then: begun %d, done %d\n", int(co->cStart), int(co->cEnd));
	while (co->cEnd == 0)
		co_resume(co);
	printf("last: begun %d, done %d\n", int(co->cStart), int(co->cEnd));
	errno = 0;
	co_resume(co); /* refused, and nothing happens */
	printf("resumed when done: %s, runs %d\n", errno == EINVAL ? "EINVAL" : "?", n_runs);
	co_reset(co);
	printf("reset: begun %d, done %d\n", int(co->cStart), co->cEnd ? 1 : 0);
	co_resume(co);
	printf("runs %d\n", n_runs);
	co_free(co);
	errno = 0;
	co_yield_ct();
	printf("yield in main: %s\n", errno == EPERM ? "EPERM" : "?");
}

/* --- sizes: what cannot be, is made what can ------------------------------------------------ */

static void *use_stack(void *arg)
{
	size_t n = *static_cast<size_t *>(arg);
	volatile char *bytes = static_cast<volatile char *>(__builtin_alloca(n));

	bytes[0] = 1;
	bytes[n - 1] = 1;
	*static_cast<size_t *>(arg) = 0;
	return NULL;
}

static void with_stack(int size, size_t used)
{
	stCoRoutineAttr_t attr;
	stCoRoutine_t *co;

	attr.stack_size = size;
	int result = co_create(&co, &attr, use_stack, &used);
	if (result == 0) {
		co_resume(co);
		co_release(co);
	}
	printf("stack_size %d: %d, used %s\n", size, result, used ? "no" : "yes");
}

/* --- contexts --------------------------------------------------------------------------------- */

static coctx_t here, there;

static void *on_other_stack(void *s1, void *s2)
{
	printf("%s %s\n", static_cast<char *>(s1), static_cast<char *>(s2));
	coctx_swap(&there, &here);
	printf("%s\n", static_cast<char *>(s2));
	coctx_swap(&there, &here);
	return NULL;
}

static void contexts()
{
	static char hello[] = "hello,", world[] = "world";

	coctx_init(&here);
	coctx_init(&there);
	printf("no stack: %d\n", coctx_make(&there, on_other_stack, hello, world));
	there.ss_size = 64 * 1024;
	there.ss_sp = static_cast<char *>(malloc(there.ss_size));
	coctx_make(&there, on_other_stack, hello, world);
	coctx_swap(&here, &there);
	printf("back\n");
	coctx_swap(&here, &there);
	free(there.ss_sp);
}

/* --- a set of one's own ----------------------------------------------------------------------- */

static void own_set()
{
	int p[2], set = co_epoll_create(100);
	struct co_epoll_res *res = co_epoll_res_alloc(10);
	struct epoll_event event = {};

	if (pipe(p) != 0 || set < 0 || !res)
		return;
	event.events = EPOLLIN;
	event.data.fd = p[0];
	co_epoll_ctl(set, EPOLL_CTL_ADD, p[0], &event);
	int before = co_epoll_wait(set, res, res->size, 0);
	ssize_t written = write(p[1], "x", 1);
	int after = co_epoll_wait(set, res, res->size, 1000);
	printf("%d, %d written, %d: %d\n", before, int(written), after, res->events[0].data.fd == p[0]);
	co_epoll_res_free(res);
	co_epoll_res_free(NULL);
	printf("none: %d %d\n", co_epoll_create(0), co_epoll_res_alloc(0) != NULL);
	close(set);
	close(p[0]);
	close(p[1]);
}

static void note(const char *text)
{
	printf("logged: %s\n", text);
}

int main()
{
	states();
	with_stack(-1, 100 * 1024);
	with_stack(0, 100 * 1024);
	with_stack(1, 4 * 1024);
	with_stack(64 * 1024 * 1024, 7 * 1024 * 1024);
	contexts();
	own_set();
	co_log_err("nobody hears %d", 1);
	co_set_log_err(note);
	co_log_err("%s %d", "error", 2);
	co_set_log_err(NULL);
	co_log_err("nobody hears %d", 3);
	return 0;
}
