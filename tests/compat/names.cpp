/* SPDX-License-Identifier: MIT */
/* Every name of libco's headers with the type that it has there, and every header on
 * its own line: a program can use them all. Where ours say more, it is noted. */
#include "co_closure.h"
#include "co_comm.h"
#include "co_epoll.h"
#include "co_routine.h"
#include "co_routine_inner.h"
#include "co_routine_specific.h"
#include "coctx.h"

#include <cstdio>
#include <type_traits>

/* Programs declare things again, as they stand in libco's headers. */
struct stCoRoutine_t;
struct stShareStack_t;
struct stCoEpoll_t;
struct stCoCond_t;
struct stCoRoutineEnv_t;
int co_accept(int fd, struct sockaddr *addr, socklen_t *len);
extern "C" {
extern void coctx_swap(coctx_t *, coctx_t *) asm("coctx_swap");
};

#define HAS_TYPE(name, ...) static_assert(std::is_same<decltype(&name), __VA_ARGS__>::value, #name)

/* co_routine.h */
HAS_TYPE(co_create, int (*)(stCoRoutine_t **, const stCoRoutineAttr_t *, void *(*)(void *), void *));
HAS_TYPE(co_resume, void (*)(stCoRoutine_t *));
#ifdef __cpp_impl_coroutine
HAS_TYPE(co_yield_to, void (*)(stCoRoutine_t *));
#else
HAS_TYPE(co_yield, void (*)(stCoRoutine_t *));
#endif
HAS_TYPE(co_yield_ct, void (*)());
HAS_TYPE(co_release, void (*)(stCoRoutine_t *));
HAS_TYPE(co_reset, void (*)(stCoRoutine_t *));
HAS_TYPE(co_self, stCoRoutine_t *(*)());
HAS_TYPE(co_poll, int (*)(stCoEpoll_t *, struct pollfd[], nfds_t, int));
HAS_TYPE(co_eventloop, void (*)(stCoEpoll_t *, pfn_co_eventloop_t, void *));
HAS_TYPE(co_setspecific, int (*)(pthread_key_t, const void *));
HAS_TYPE(co_getspecific, void *(*)(pthread_key_t));
HAS_TYPE(co_get_epoll_ct, stCoEpoll_t *(*)());
HAS_TYPE(co_enable_hook_sys, void (*)());
HAS_TYPE(co_disable_hook_sys, void (*)());
HAS_TYPE(co_is_enable_sys_hook, bool (*)());
HAS_TYPE(co_cond_alloc, stCoCond_t *(*)());
HAS_TYPE(co_cond_free, int (*)(stCoCond_t *));
HAS_TYPE(co_cond_signal, int (*)(stCoCond_t *));
HAS_TYPE(co_cond_broadcast, int (*)(stCoCond_t *));
HAS_TYPE(co_cond_timedwait, int (*)(stCoCond_t *, int));
HAS_TYPE(co_alloc_sharestack, stShareStack_t *(*)(int, int));
HAS_TYPE(co_set_env_list, void (*)(const char *[], size_t));
HAS_TYPE(co_log_err, void (*)(const char *, ...));
HAS_TYPE(co_accept, int (*)(int, struct sockaddr *, socklen_t *));
static_assert(std::is_same<pfn_co_eventloop_t, int (*)(void *)>::value, "");
static_assert(std::is_same<pfn_co_routine_t, void *(*)(void *)>::value, "");

/* co_routine_inner.h */
HAS_TYPE(co_init_curr_thread_env, void (*)());
HAS_TYPE(co_get_curr_thread_env, stCoRoutineEnv_t *(*)());
HAS_TYPE(co_free, void (*)(stCoRoutine_t *));
HAS_TYPE(co_yield_env, void (*)(stCoRoutineEnv_t *));
HAS_TYPE(GetCurrThreadCo, stCoRoutine_t *(*)());
static_assert(std::is_same<pfnCoRoutineFunc_t, void (*)()>::value, "");

/* co_epoll.h */
HAS_TYPE(co_epoll_wait, int (*)(int, struct co_epoll_res *, int, int));
HAS_TYPE(co_epoll_ctl, int (*)(int, int, int, struct epoll_event *));
HAS_TYPE(co_epoll_create, int (*)(int));
HAS_TYPE(co_epoll_res_alloc, struct co_epoll_res *(*)(int));
HAS_TYPE(co_epoll_res_free, void (*)(struct co_epoll_res *));

/* coctx.h */
HAS_TYPE(coctx_init, int (*)(coctx_t *));
HAS_TYPE(coctx_make, int (*)(coctx_t *, coctx_pfn_t, const void *, const void *));
HAS_TYPE(coctx_swap, void (*)(coctx_t *, coctx_t *));
static_assert(std::is_same<coctx_pfn_t, void *(*)(void *, void *)>::value, "");
static_assert(sizeof(coctx_t) == 16 * sizeof(void *), "");
static_assert(sizeof(coctx_param_t) == 2 * sizeof(void *), "");

/* co_comm.h: CoLock and CoUnLock return an int here, which programs need not look at. */
static_assert(std::is_constructible<clsSmartLock, clsCoMutex *>::value, "");
static_assert(!std::is_copy_constructible<clsCoMutex>::value, "");

/* co_closure.h */
static_assert(std::is_abstract<stCoClosure_t>::value && std::has_virtual_destructor<stCoClosure_t>::value, "");
static_assert(comac_argc(a) == 1 && comac_argc(a, b, c, d, e, f, g) == 7, "");
#if !defined(__STRICT_ANSI__) || defined(__clang__)
static_assert(comac_argc() == 0, "");
#endif
static_assert(comac_get_args_cnt(a, comac_args_seqs()) == 0, "");
static_assert(comac_get_args_cnt(a, b, c, comac_args_seqs()) == 2, "");
static_assert(comac_join(1, comac_argc(x, y)) == 12, "");
#ifdef CO_COMPAT_HELPERS
#define ADD_UP(i, x, ...) +i * x
static_assert(0 repeat(3, ADD_UP, 5, 6, 7, 0) == 3 * 5 + 2 * 6 + 1 * 7, "");
static int number;
decl_typeof(1, number, 0)
static_assert(std::is_same<typeof_number, int>::value, "");
struct Helped {
	impl_typeof(1, number, 0)
	int others;
	Helped(con_param_typeof(1, number, 0) ...) : param_init_typeof(1, number, 0) others(0)
	{
	}
};
#endif

/* Defaults, and NULL for them. */
static void *nothing(void *arg)
{
	return arg;
}

int main()
{
	stCoRoutineAttr_t attr;
	stCoRoutine_t *co = NULL;

	printf("default stack %d, shared %d\n", attr.stack_size, attr.share_stack != NULL);
	printf("co_create(..., NULL, ..., 0): %d\n", co_create(&co, NULL, nothing, 0));
	co_release(co);
#ifdef CO_COMPAT_HELPERS
	Helped helped(number);
	printf("%d\n", &helped.number == &number);
#endif
	return 0;
}
