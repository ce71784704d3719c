/* SPDX-License-Identifier: MIT */
/*
 * target_threads — the threads of a target, and what ptrace tells of them.
 *
 * Part:    source; inner to target.
 */
#ifndef VIZ_TARGET_THREADS_H
#define VIZ_TARGET_THREADS_H

#include "target.h"

#define THREADS_OPTIONS (PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT)

void threads_begin(struct target *t); /* takes over SIGCHLD */
void threads_end(struct target *t);   /* and gives it back */
struct target_thread *threads_add(struct target *t, pid_t tid); /* NULL: ENOMEM */
struct target_thread *threads_find(struct target *t, pid_t tid);
void threads_pin(struct target *t, struct target_thread *thread);
void threads_unpin(struct target *t, struct target_thread *thread);

/* --- target_rest.c --- */
/* Stop each, give it back what it had, let it go. */
void threads_detach_all(struct target *t);

/* --- target_breaks.c --- */
void breaks_arm(struct target *t, bool on);
bool breaks_are_at(const struct target *t); /* does it stand at one? */
void breaks_lost(struct target *t);  /* after exec */
void breaks_clear(struct target *t); /* for good */

/* --- target_guard.c --- */
/* A process that gives @t's followed thread its processors back if we are killed. */
void guard_begin(struct target *t);
void guard_end(struct target *t);

#endif
