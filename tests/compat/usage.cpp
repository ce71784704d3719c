/* SPDX-License-Identifier: MIT */
/* The seven calls that a program of libco's style consists of. NOTES.md quotes the lines
 * that are numbered. */
#include "co_routine.h"
#include "co_routine_inner.h" /* co_yield_env */

#include <stdio.h>
#include <unistd.h>

static int ends[2]; /* of a pipe */

/* In C++20 co_yield is a word of the language. */
static void yield_from(stCoRoutine_t *co)
{
#ifdef __cpp_impl_coroutine
	co_yield_to(co);
#else
	co_yield(co); /* 3 */
#endif
}

static void *work(void *arg)
{
	struct pollfd p = { ends[0], POLLIN, 0 };
	char c = '?';

	printf("worker: %s\n", static_cast<const char *>(arg));
	yield_from(co_self());
	printf("worker: resumed\n");
	co_yield_env(co_get_curr_thread_env()); /* 4 */

	int n = co_poll(co_get_epoll_ct(), &p, 1, 10000); /* 6 */
	printf("worker: co_poll says %d\n", n);
	if (read(ends[0], &c, 1) == 1)
		printf("worker: has read %c\n", c);

	co_enable_hook_sys(); /* 7 */
	if (read(ends[0], &c, 1) == 1)
		printf("worker: has waited in read, for %c\n", c);
	return NULL;
}

/* The loop calls this once in each turn: -1 ends it. */
static int between_turns(void *arg)
{
	static const char letters[] = "ab";
	static int turns;
	const stCoRoutine_t *co = static_cast<stCoRoutine_t *>(arg);

	if (co->cEnd)
		return -1;
	if (++turns == 3 || turns == 6) {
		printf("main: writes %c\n", letters[turns / 6]);
		return write(ends[1], &letters[turns / 6], 1) == 1 ? 0 : -1;
	}
	return 0;
}

int main()
{
	static char words[] = "hello";
	stCoRoutine_t *co = NULL;

	if (pipe(ends) != 0)
		return 1;
	co_create(&co, NULL, work, words); /* 1 */
	co_resume(co);                     /* 2 */
	printf("main: the worker has yielded\n");
	co_resume(co);
	printf("main: again\n");
	co_resume(co); /* until it waits */
	printf("main: the worker waits\n");
	co_eventloop(co_get_epoll_ct(), between_turns, co); /* 5 */
	printf("main: the worker has ended\n");
	co_release(co);
	return 0;
}
