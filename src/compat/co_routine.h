/* SPDX-License-Identifier: MIT */
/*
 * co_routine — libco's names for C++ programs that were written for libco.
 *
 * Layer:   above all; installed as costep/compat. Nothing here refers to our own
 *          headers, and one file must not include both: same names, other types.
 * Owns:    nothing; declarations, and functions that adapt arguments.
 * Thread:  as the functions behind: src/coroutine.h, loop.h, co_poll.h, cond.h,
 *          specific.h, sharestack.h, hooks.h.
 * Errors:  where libco returns nothing, errno is all there is.
 * Model:   libco co_routine.h at dc6aafc. What a program sees that differs, is said
 *          at each function here, and in NOTES.md.
 *
 * C++11 to C++20. Build with -I DIR/compat, costep_hooks.o and -lcostep.
 */
#ifndef COSTEP_COMPAT_CO_ROUTINE_H
#define COSTEP_COMPAT_CO_ROUTINE_H

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

struct stCoRoutine_t;  /* struct co */
struct stShareStack_t; /* struct co_stack_source */
struct stCoEpoll_t;    /* struct co_loop */
struct stCoCond_t;     /* struct co_cond */

typedef int (*pfn_co_eventloop_t)(void *);
typedef void *(*pfn_co_routine_t)(void *);

/* How to make a coroutine. */
struct stCoRoutineAttr_t {
	int stack_size;              /* bytes; 0 and less mean 128 KiB, above 8 MiB means 8 MiB */
	stShareStack_t *share_stack; /* NULL = a stack of its own */

	stCoRoutineAttr_t() : stack_size(128 * 1024), share_stack(NULL)
	{
	}
};

/* What the library has under these names, with the types that it has there. */
namespace costep_compat {

struct attr { /* struct co_attr */
	int stack_size;
	stShareStack_t *share_stack;
};

enum { STACK_DEFAULT = 128 * 1024, STACK_MAX = 8 * 1024 * 1024 };

extern "C" {
int create(stCoRoutine_t **co, const attr *a, void *(*fn)(void *), void *arg) __asm__("co_create");
}

/* As libco has it: a size that cannot be is made one that can. */
inline int stack_size(int wanted)
{
	if (wanted <= 0)
		return STACK_DEFAULT;
	return wanted < STACK_MAX ? wanted : int(STACK_MAX);
}

} // namespace costep_compat

/* Create a coroutine, which does not start yet. @attr NULL: the defaults.
 * Returns 0; -1, ENOMEM and others (libco: always 0). Always inlined, so that
 * the place of creation, as debuggers see it, is in the program's own function. */
__attribute__((always_inline)) inline int co_create(stCoRoutine_t **co, const stCoRoutineAttr_t *attr,
						    pfn_co_routine_t routine, void *arg)
{
	costep_compat::attr a = { costep_compat::STACK_DEFAULT, NULL };

	if (attr) {
		a.stack_size = costep_compat::stack_size(attr->stack_size);
		a.share_stack = attr->share_stack;
	}
	return costep_compat::create(co, &a, routine, arg);
}

extern "C" {

/* 2. coroutines. Misuse is refused and changes nothing; it says so in errno. */
void co_resume(stCoRoutine_t *co);
#ifdef __cpp_impl_coroutine /* there, co_yield is a word of the language */
void co_yield_to(stCoRoutine_t *co) __asm__("co_yield");
#else
void co_yield(stCoRoutine_t *co);
#endif
void co_yield_ct(void);
void co_release(stCoRoutine_t *co);
void co_reset(stCoRoutine_t *co);
stCoRoutine_t *co_self(void);

/* Timeout 0 is a look, as with poll(2); less than 0: no limit. Works in main, too. */
int co_poll(stCoEpoll_t *ctx, struct pollfd fds[], nfds_t n, int timeout_ms);

/* Ends when @fn returns -1; without @fn, when nothing could ever wake anybody. */
void co_eventloop(stCoEpoll_t *ctx, pfn_co_eventloop_t fn, void *arg);

/* 3. values of a coroutine's own; errors are -1 and errno (libco: none). */
int co_setspecific(pthread_key_t key, const void *value);
void *co_getspecific(pthread_key_t key);

/* 4. this thread's loop */
stCoEpoll_t *co_get_epoll_ct(void);

/* 5. hooked system calls: of the coroutine that says so. Also in main. */
void co_enable_hook_sys(void);
void co_disable_hook_sys(void);
bool co_is_enable_sys_hook(void);

/* 6. conditions. co_cond_free: -1 and EBUSY while somebody waits. co_cond_timedwait:
 * less than 0 = no limit; 0 looks once, which is ETIMEDOUT (libco: no limit); -1 and
 * ETIMEDOUT when the time is over (libco: 0, as for a signal). */
int co_cond_timedwait(stCoCond_t *cond, int timeout_ms);
stCoCond_t *co_cond_alloc(void);
int co_cond_free(stCoCond_t *cond);
int co_cond_signal(stCoCond_t *cond);
int co_cond_broadcast(stCoCond_t *cond);

/* 7. shared stacks. NULL and EINVAL unless both are above 0. The second is not in
 * libco: -1 and EBUSY while coroutines are left on them. */
stShareStack_t *co_alloc_sharestack(int count, int stack_size);
int co_free_sharestack(stShareStack_t *stacks);

/* 8. environment variables of a coroutine's own; a second call adds to the list.
 * While a coroutine has no value, getenv finds the process's (libco: nothing). */
void co_set_env_list(const char *names[], size_t n);

} // extern "C"

/* accept, which lets other coroutines run until there is a connection, whether the
 * caller's hooks are on or not. libco's waits for nobody, and is declared nowhere,
 * so that programs declare it themselves: as this, with C++'s linkage. */
int co_accept(int fd, struct sockaddr *addr, socklen_t *len);

/* Say something to whoever has asked for it with co_set_log_err. (libco's says it to
 * nobody, and cannot be replaced. As there, the compiler does not look at @fmt.) */
typedef void (*pfn_co_log_err_t)(const char *text);

inline pfn_co_log_err_t &co_log_err_is_told()
{
	static pfn_co_log_err_t fn = NULL;
	return fn;
}

inline void co_set_log_err(pfn_co_log_err_t fn)
{
	co_log_err_is_told() = fn;
}

inline void co_log_err(const char *fmt, ...)
{
	char text[1024]; /* cut there */
	va_list args;

	if (!co_log_err_is_told())
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	co_log_err_is_told()(text);
}

#endif
