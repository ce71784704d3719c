/* SPDX-License-Identifier: MIT */
/*
 * target — a program under ptrace: its threads, one of them step by step.
 *
 * Part:    source. Uses cpu. Knows nothing of coroutines and traces. Reads the program's
 *          memory, and writes to it neither memory nor registers: breakpoints are the
 *          processor's own (debug registers), so threads that are not followed run on.
 * Thread:  all calls from the one that began (ptrace's rule).
 */
#ifndef VIZ_TARGET_H
#define VIZ_TARGET_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cpu.h"

enum { TARGET_BREAKS = 4 };

/* Why target_wait came back. `value` of struct stop in brackets. */
enum stop_kind {
	STOP_NOTHING,  /* a signal of our own, or some time, has passed: call again */
	STOP_STEP,     /* one instruction has run */
	STOP_BREAK,    /* it is at a breakpoint, whose instruction has not run */
	STOP_SIGNAL,   /* it will get a signal at its next resume (number) */
	STOP_HELD,     /* stopped by target_hold */
	STOP_EXEC,     /* it is another program now */
	STOP_FORK,     /* it has a child, which is not traced (kernel's id) */
	STOP_THREAD,   /* there is one more thread, which runs (kernel's id) */
	STOP_EXIT,     /* the followed thread ends; its memory is still there (status as of waitpid) */
	STOP_GONE,     /* there is no process any more (status) */
};
struct stop {
	enum stop_kind kind;
	int64_t value;
};

struct target_thread {
	pid_t tid;
	int number;         /* in the order of their making; 0 = main */
	bool is_stopped;
	bool is_in_group_stop;
	bool is_ending;     /* stopped by its own end: it cannot be stopped again */
	bool is_pinned;
	cpu_set_t affinity; /* what it had before, valid if is_pinned */
};

struct target {
	pid_t pid;
	bool is_ours;                  /* we have started it */
	bool is_gone;
	pid_t followed;                /* the thread */
	int wanted;                    /* > 0: when this one begins it becomes the followed one, STOP_HELD */

	/* inner */
	struct target_thread *threads;
	size_t n_threads, room;
	int n_made;
	bool is_stepping;              /* how it was resumed last */
	bool is_held;                  /* target_hold's stop is still to come */
	int signal;                    /* to be given to it at its next resume */
	int early;                     /* what waitpid said of it in target_rest; 0: nothing */
	uint64_t breaks[TARGET_BREAKS]; /* 0: none */
	uint64_t set[TARGET_BREAKS];   /* what the debug registers hold */
	int events[TARGET_BREAKS];     /* or these: number + 1; 0: none */
	bool are_armed, has_no_events;
	int guard;                     /* the pipe to it, number + 1; 0: none */
	int output;                    /* its stdout and stderr; -1: not ours, or closed */
	void (*on_output)(void *arg, const char *bytes, size_t len);
	void *on_output_arg;
	cpu_set_t our_affinity, pin;
	bool are_we_pinned;
};

/* Start @argv, stopped at the first instruction after exec (of the dynamic linker). Its
 * stdout and stderr are a terminal of its own, so that it writes as it does by hand.
 * No address space randomization, LD_BIND_NOW=1, one processor for both of us.
 * -1: *@why (malloc'ed) says what went wrong and what to do. */
int target_spawn(struct target *t, char *const *argv, bool has_no_input, char **why);
/* Stop all threads of @pid, and follow number @thread. -1: *@why. */
int target_attach(struct target *t, pid_t pid, int thread, char **why);
/* A stopped one of the threads becomes the followed one. False: there is none @number. */
bool target_follow(struct target *t, int number);
/* It goes on as it was before (attached), or is killed (ours). */
void target_end(struct target *t);

/* Breakpoints for the followed thread; 0: none. Used while it runs, not by steps. */
void target_break(struct target *t, int slot, uint64_t addr);

/* Resume the followed thread: one instruction, or up to whatever comes. Then wait until
 * target_wait does not say STOP_NOTHING. After STOP_FORK and STOP_THREAD it runs already,
 * and target_wait is all that is needed. */
int target_resume(struct target *t, bool is_step);
/* @is_quick: it will not block, so we need not listen to its output meanwhile. */
struct stop target_wait(struct target *t, bool is_quick);
/* Stop it wherever it is. Comes as STOP_HELD, or something else that was first. */
void target_hold(struct target *t);
/* Is the whole program stopped, as by Ctrl-Z, so that not even a step comes to its end? */
bool target_is_suspended(const struct target *t);

/* Nobody asks for more for a while: a stopped one stays where it is, but so that it goes on
 * unharmed if we are killed. (A signal that it was to get is lost then.) */
void target_rest(struct target *t);
/* Is a trap on its way to the followed thread, which is stopped? Then it is not safe yet. */
bool target_has_trap(const struct target *t);

/* The followed thread must be stopped for these. -1 with errno. */
int target_regs(const struct target *t, struct regs *regs); /* but mxcsr and x87cw */
int target_fp_regs(const struct target *t, struct regs *regs); /* those */

/* A read_fn; @arg is the struct target. */
bool target_read(void *arg, uint64_t addr, void *to, size_t len);
/* Read what can be read of many ranges, each whole or not at all: @ok[i]. */
struct target_range {
	uint64_t addr;
	size_t len;
	void *to;
	bool is_read;
};
void target_read_many(const struct target *t, struct target_range *ranges, size_t n);

/* Take what it has written since, by on_output. */
void target_take_output(struct target *t);

#endif
