/* SPDX-License-Identifier: MIT */
/*
 * env — the structs behind coroutine.h, for the layers above and debuggers.
 *
 * Layer:   3. Not installed: programs see struct co only by its functions.
 * Owns:    the environment owns its main coroutine and, once the thread ends,
 *          every coroutine that is left.
 * Thread:  an environment is its thread's alone. The list of environments is
 *          for debuggers, and guarded by a mutex inside env.c.
 *
 * Invariants:
 *  I1  Exactly one coroutine of an environment is RUNNING: env->running.
 *  I2  The NORMAL ones are those on the chain running->resumer->...->main,
 *      and no others. The chain ends at main, which has no resumer.
 *  I3  exec.link is &resumer->exec.ctx while there is a resumer (or, while the
 *      resumer's bytes are not on its stack but in its save_buffer,
 *      &coctx_copied_out), and &coctx_nobody otherwise. It is cleared by the
 *      resumer, after the swap: while a swap is under way, a backtrace needs it.
 *  I4  A coroutine is linked in `queue` only when READY, and has an
 *      `abandon` only in the middle of a call that must be told when it will
 *      never return: when WAITING, when woken and not yet run, or while it
 *      runs the loop.
 *  I5  Every coroutine but main is in env->all, from create to release.
 */
#ifndef CO_ENV_H
#define CO_ENV_H

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#include "attach.h"
#include "coroutine.h"
#include "list.h"
#include "swap.h"

struct co {
	/* the execution; coroutine.c and swap.h */
	struct co_exec exec;   /* registers, stack, link */
	struct co *resumer;    /* who resumed it; NULL while it is not on the chain */
	struct co_env *env;    /* its thread's */

	/* what to run; set by create */
	co_fn *fn;
	void *arg;
	void *result;          /* valid when DONE */

	/* what it is doing; written by co_set_state alone */
	enum co_state state;

	/* scheduling; lesson 4 and up */
	struct list queue;     /* node on the loop's ready queue: I4 */
	void (*abandon)(struct co *co); /* it is released or reset in the middle of a call:
					   take it off every list. The hole that blocking
					   calls fill; I4 */
	void *waits_in;        /* for abandon: what its call has on the heap; valid while
				  there is an abandon */

	/* what other modules keep with it; attach.c */
	struct co_attachment *attachments;
	bool is_going;         /* these are being dropped: it is being reset or released, and
				  whoever is called then can do neither, nor resume it */

	/* for people who look */
	uint32_t id;
	char name[CO_NAME_MAX + 1];
	struct list in_env;    /* node of env->all: I5 */
	void *created_at;      /* return address of its co_create */
	void *blocked_at;      /* return address of the call it is suspended in */
	uint64_t n_resumes;
};

/* What the C++ runtime keeps about exceptions under way: "by thread", but it
 * means by stack. Itanium C++ ABI, exception handling, 2.2.2. */
struct eh_globals {
	void *caught;      /* those whose handlers run, innermost first */
	unsigned uncaught; /* those thrown and not yet caught */
};

struct co_env {
	struct co main;        /* the thread's own execution, as a coroutine */
	struct co *running;    /* I1 */
	struct list all;       /* oldest first; I5 */
	struct list in_envs;   /* node of co_envs */
	struct list at_exit;   /* struct co_at_exit: run when the thread ends, the first
				  on the list first; put yours in front, so that a higher
				  layer's comes before those that it uses */
	volatile bool inside;  /* the running one is in a call of the library: a signal
				  handler that finds this set must not wait. Every
				  coroutine has its own value: who switches, keeps it */
	pid_t tid;             /* the kernel's number for the thread */
	uint32_t next_id, end_id; /* ids [next, end) are ours to give */
	struct co_stack threads_stack; /* main's */
	int *error;            /* errno, of this thread: where it is, errno asks libc each time */
	struct eh_globals *eh; /* the C++ runtime's, of this thread; NULL in a C program */
};

/* A note that a higher layer leaves: call me before the environment goes. */
struct co_at_exit {
	struct list node;
	void (*fn)(struct co_at_exit *self);
	void (*forked)(struct co_at_exit *self); /* called in the child of a fork, before fork
						    returns; NULL: it does not matter */
};

/* This thread's; NULL before its first co_create. Each switch reads it, so it is no
 * function; and a signal handler does (overflow.c), so its memory must be there from the
 * thread's start: initial-exec. (By default a shared library's comes at the first access.) */
extern _Thread_local __attribute__((tls_model("initial-exec"))) struct co_env *co_thread_env;

/* All environments of the process, for debuggers: struct co_env.in_envs. */
extern struct list co_envs;

/* How often this process has come out of a fork as the child. Whoever keeps a
 * descriptor that child and parent must not share, compares. */
extern unsigned co_n_forks;

/* The running coroutine goes into the library, and comes out again as it was: one
 * call of the library may make another. */
static inline bool co_go_in(struct co_env *env)
{
	bool was_inside = env->inside;
	env->inside = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return was_inside;
}

static inline void co_come_out(struct co_env *env, bool was_inside)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	env->inside = was_inside;
}

/* What @call returns, made inside. */
#define CO_INSIDE(env_, call) \
	({ \
		bool was_inside_ = co_go_in(env_); \
		__typeof__(call) result_ = (call); \
		co_come_out(env_, was_inside_); \
		result_; \
	})

/* Make the calling thread's environment; NULL, ENOMEM. */
struct co_env *co_env_new(void);

/* This thread's environment, made if missing; NULL, ENOMEM. */
static inline struct co_env *co_env_get(void)
{
	return co_thread_env ? co_thread_env : co_env_new();
}

/* The next free id of @env. */
uint32_t co_env_new_id(struct co_env *env);

/* Refuse a call: -1 and @error in errno. */
static inline int co_fail(int error)
{
	errno = error;
	return -1;
}

/* Verify I1 to I5 for the calling thread; asserts. O(coroutines). */
void co_env_check(void);

/* For public functions that note their return address: inlined into their
 * caller (link-time optimization does that), they would note that one's. */
#define CALLED_FROM_OUTSIDE __attribute__((noinline))

/* coroutine.c, for the loop: */

/* Resume a coroutine that may be resumed, in whatever way it was suspended.
 * The caller has checked thread and state. Errors: ENOMEM, from co_swap. */
int co_transfer_to(struct co *co);

/* Suspend the running coroutine in @state and go back to its resumer.
 *
 * @blocked_at  for debuggers: the return address of the public call.
 * Errors       EPERM in main or without an environment; ENOMEM, from co_swap. */
__attribute__((flatten)) int co_suspend(enum co_state state, void *blocked_at); /* see co_resume; clang needs it here too */

/* Write co->state: the one place that does, but for the first in co_new. */
void co_set_state(struct co *co, enum co_state state);

/* Take @co off the ready queue and, by its abandon, off every wait list.
 * Its state stays as it is, so the caller changes or frees it. */
void co_leave_lists(struct co *co);

/* Drop everything that is attached to @co; attach.c. */
void co_drop_attachments(struct co *co);

/* Give back what @co holds, its memory too. Its state allows that. */
void co_destroy(struct co *co);

#endif
