/* SPDX-License-Identifier: MIT */
/*
 * coroutine — functions that can stop in the middle and go on later.
 *
 * Layer:   3 (uses: 1, 2, stack, swap). Knows of no scheduler.
 * Owns:    a struct co belongs to whoever created it, until co_release; what
 *          is left when its thread ends is released then.
 * Thread:  a coroutine lives on the thread that created it, and everything
 *          below must be called there (EXDEV elsewhere).
 * Errors:  -1 and errno; nothing has changed then.
 * Model:   libco co_routine.h, co_routine.cpp at dc6aafc; differs in: every
 *          misuse is refused, and any depth of nested resumes is allowed.
 *
 *              resume                   returns
 *       NEW ─────────────> RUNNING ─────────────────> DONE
 *                          │ ^  │ ^
 *                    yield │ │  │ │ the one that it
 *                          │ │  │ │ resumed comes back
 *                          v │  v │
 *                   SUSPENDED   NORMAL
 *                   (resume:    (it has resumed
 *                    RUNNING)    another)
 *
 *   co_reset makes any but RUNNING and NORMAL ones NEW, co_release frees them.
 *   From lesson 4 on a running one may also become READY (on the loop's
 *   queue) or WAITING (for something); only the loop resumes those.
 */
#ifndef CO_COROUTINE_H
#define CO_COROUTINE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct co;
struct co_env;
struct co_stack_source;

/* What a coroutine is doing. The names are those of co_state_name(). */
enum co_state {
	CO_NEW,       /* created or reset; its function has not begun */
	CO_SUSPENDED, /* has yielded; anybody may resume it */
	CO_READY,     /* on the loop's queue; the loop will resume it */
	CO_RUNNING,   /* the one that runs now */
	CO_NORMAL,    /* has resumed another, and continues when that comes back */
	CO_WAITING,   /* parked in a blocking call; whoever wakes it makes it ready */
	CO_DONE,      /* its function has returned */
};

typedef void *co_fn(void *arg);

/* How to make a coroutine. All zero means: the defaults. */
struct co_attr {
	int stack_size;                      /* bytes; 0 = 128 KiB; at most 8 MiB; raised to
						the minimum (16 KiB or more), rounded up */
	struct co_stack_source *share_stack; /* run on a stack from there; NULL = on one of
						its own, of stack_size bytes */
};

/* Create a coroutine that will run @fn(@arg). It does not start yet.
 *
 * @attr        NULL = the defaults; read during the call only.
 * Returns      0, and the new coroutine in *@co. It starts with the
 *              floating-point settings that the caller has now.
 * Errors       EINVAL co or fn is NULL, stack_size is negative or above
 *              8 MiB; ENOMEM; EAGAIN no thread-specific key is free; EXDEV
 *              the shared stack is another thread's.
 * Source       libco co_create. The first call on a thread makes its
 *              environment, and the caller its main coroutine. */
int co_create(struct co **co, const struct co_attr *attr, co_fn *fn, void *arg);

/* Run @co until it yields or its function returns.
 *
 * Returns      0 once @co has given the control back.
 * Errors       EINVAL @co is NULL or done; EBUSY it runs, has resumed the
 *              caller (directly or not), is queued, waits in a blocking
 *              call, or is being reset or released; ENOMEM it, or the caller,
 *              is on a shared stack; EXDEV it belongs to another thread.
 * Source       libco co_resume. */
int co_resume(struct co *co);

/* Go back to whoever resumed the running coroutine.
 *
 * co_yield_ct  the calling thread's running coroutine.
 * co_yield     the same; @co only names the thread: it must be this one.
 * co_yield_env the same for an environment.
 * Returns      0 when somebody resumes it again.
 * Errors       EPERM in main (there is nobody to go back to) or on a thread
 *              that has no coroutines; EXDEV; EINVAL NULL; ENOMEM the resumer is
 *              on a shared stack.
 * Source       libco. In C++20 co_yield is a keyword: call it co_yield_to. */
int co_yield_ct(void);
int co_yield_env(struct co_env *env);
#if defined(__cplusplus) && defined(__cpp_impl_coroutine)
int co_yield_to(struct co *co) __asm__("co_yield");
#else
int co_yield(struct co *co);
#endif

/* Make @co new again: its next resume runs the same function from the top.
 * A waiting one is taken off every wait list first. What the unfinished run
 * has left on its stack is forgotten: nothing is closed, nothing is freed.
 * It starts with the floating-point settings that the caller has now (one that
 * is new already, with those it has).
 *
 * Errors       EINVAL NULL; EBUSY it runs or has resumed the caller, or the caller is
 *              what its reset or release has called (a key's destructor); EXDEV.
 * Source       libco co_reset. */
int co_reset(struct co *co);

/* Free @co and give its stack back, in any state but two (see EBUSY). A
 * waiting one is taken off every wait list first. As with co_reset, nothing
 * that only its stack refers to is closed or freed.
 *
 * Errors       EINVAL NULL; EBUSY it runs or has resumed the caller, or the caller is
 *              what its reset or release has called; EXDEV. */
int co_release(struct co *co);

/* The running coroutine; in main, the main coroutine; NULL on a thread that
 * has none. */
struct co *co_self(void);

/* This thread's environment; NULL before its first co_create. */
struct co_env *co_get_curr_thread_env(void);

/* What @co is doing now; -1 and EINVAL for NULL. Like co_id and co_name it does
 * not look whose @co is: a NULL check and a read, for use in any place. */
enum co_state co_status(const struct co *co);
const char *co_state_name(enum co_state state);

/* What @co's function returned; NULL and EINVAL unless @co is done, NULL and
 * EXDEV if it belongs to another thread. */
void *co_result(const struct co *co);

/* A number that no other coroutine of this process has; main's is 0 on the
 * first thread. UINT32_MAX and EINVAL for NULL, which co_self() may be. */
uint32_t co_id(const struct co *co);

/* Give @co a name for debuggers and reports.
 *
 * @name        copied; at most CO_NAME_MAX bytes.
 * Errors       EINVAL NULL or too long; EXDEV. */
int co_set_name(struct co *co, const char *name);

/* The name that it was given, "" before; NULL and EINVAL for NULL. */
const char *co_name(const struct co *co);
enum { CO_NAME_MAX = 31 };

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
