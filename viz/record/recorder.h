/* SPDX-License-Identifier: MIT */
/*
 * recorder — what the parts of record share.
 *
 * Part:    source; inner to record. record.c has the modes (when to step, when to run),
 *          record_start.c the beginning, record_rest.c the pauses, record_find.c where things
 *          are, record_step.c turns one stop into a state, and execs.c gives executions
 *          their numbers.
 */
#ifndef VIZ_RECORDER_H
#define VIZ_RECORDER_H

#include "code.h"
#include "layout.h"
#include "record.h"
#include "symbols.h"
#include "target.h"
#include "trace.h"
#include "track.h"

/* An execution, with what the recorder needs to know beside what the trace has. */
struct known_exec {
	struct trace_exec trace;
	uint64_t swap_rsp; /* rsp at the entry of the co_swap (or coctx_swap) that it is in; 0: unknown, or
			    * in none */
	bool is_new;       /* it has not run since it was noted */
};
struct known_execs {
	struct known_exec *all;
	size_t n, room;
	uint32_t *by_ctx;  /* hash table of number + 1; of one context the latest */
	size_t slots;
};

/* A function of the program. lo 0: it has none. */
struct function {
	uint64_t lo, hi;
};

/* Slots of breakpoints. */
enum { BREAK_SWAP, BREAK_FROM = BREAK_SWAP, BREAK_CO_SWAP, BREAK_MAKE, BREAK_BEHIND_STRING };

/* How the followed thread moves. */
enum moving {
	MOVING_NOT,
	MOVING_STEP,   /* one instruction */
	MOVING_STRING, /* one instruction that repeats itself: it runs to the next one */
	MOVING_RUN,    /* until a breakpoint */
};

/* What we step for; when it is reached, the program runs again. */
enum goal {
	GOAL_NONE,     /* there is none: it runs */
	GOAL_END,      /* to the end of the program */
	GOAL_PLACE,    /* until rip is goal_at */
	GOAL_RETURN,   /* until rsp is above goal_rsp, on the stack of goal_exec */
	GOAL_ARRIVAL,  /* until the next swap has arrived */
	GOAL_FUNCTION, /* until rip is goal_at: a new coroutine's function; or, if that is 0, the first
			* call has been made. At most MAX_ENTRY_STEPS */
};

struct recorder {
	struct record_options options;
	struct target target;
	struct symbols *symbols;
	struct layout layout;
	bool has_layout;
	struct track track;
	struct code code;
	struct trace_writer *writer;
	struct known_execs execs;
	uint32_t current;           /* who is on the CPU */
	uint32_t from, to;          /* of the swap that is under way, or was last */
	char *program;              /* its file */

	struct function co_swap, coctx_swap, coctx_make, trampoline;
	uint64_t from_at, to_at;    /* RECORD_FROM_TO; to_at 0: until the function at from_at returns */

	struct regs regs;           /* of the newest state */
	bool has_state, has_gap;
	uint64_t flushed_at;        /* by the clock, in ns */
	uint64_t resumed_at;        /* rip, when it was resumed last */
	enum moving moving;
	struct insn insn;           /* MOVING_STEP, MOVING_STRING: that instruction */
	uint64_t writes_at[2];      /* and what it may write */
	uint32_t writes_len[2];
	bool is_any_write;          /* or: nobody knows what */

	enum goal goal;
	uint64_t goal_rsp, goal_at, goal_steps;
	uint32_t goal_exec;

	bool is_gap_next;           /* the next step begins a signal's handler */
	bool is_held;               /* by record_rest, in the middle of a run: `moving` says of which */
	int last_signal;            /* that has an event */

	uint64_t n_makes, n_switches, n_differences, n_verified;
	bool is_killed;             /* it was, while it stood still for us: its end is still to be told of */
	bool has_ended;
	char end[200];              /* why */

	struct pending_output { char *bytes; size_t len, room; } early; /* before there is a state */
};

/* All return 0, or -1: *why (malloc'ed). */
__attribute__((format(printf, 2, 3))) int record_fail(char **why, const char *format, ...);

bool recorder_is_interrupted(const struct recorder *r);

/* --- record.c --- */
/* Resume it if it stands, and wait for one stop. 1: a signal of ours came first. */
int recorder_advance(struct recorder *r, char **why);
/* Make of a stop what it is in the trace, and decide how to go on. */
int recorder_take(struct recorder *r, struct stop stop, char **why);
bool recorder_is_fault(int signal_number);

/* --- record_rest.c --- */
/* Where is it now? The last state of a program that ran when it was told to end. */
void recorder_last_look(struct recorder *r);

/* --- record_start.c --- */
int recorder_open(struct recorder *r, char **why);

/* --- record_find.c --- */
int recorder_find_library(struct recorder *r, const struct trace_map *maps, size_t n, char **why);
int recorder_find_places(struct recorder *r, char **why);

/* --- record_step.c --- */
/* Resume for one instruction. */
int recorder_step(struct recorder *r, char **why);
/* Resume until something comes. */
int recorder_run(struct recorder *r, char **why);
/* It has stopped. Make the next state of it: after an instruction, ... */
int recorder_stepped(struct recorder *r, char **why);
/* ... or after unknown many; @signal_number 0: none is coming. */
int recorder_gap(struct recorder *r, char **why);
/* What was recorded can be read now: at once; or if that is some time ago. */
int recorder_flush(struct recorder *r, char **why);
int recorder_flush_if_due(struct recorder *r, char **why);
int recorder_event(struct recorder *r, enum event_kind kind, uint32_t who, uint32_t other, uint64_t value, char **why);
/* Is @rip in coctx_swap? */
bool recorder_is_in_swap(const struct recorder *r, uint64_t rip);

/* --- execs.c --- */
enum { EXECS_MAX = 1 << 20 };
/* The number of the one with this context; made if there is none. NO_EXEC: ENOMEM. */
uint32_t execs_of_ctx(struct recorder *r, uint64_t ctx);
uint32_t execs_of_co(struct recorder *r, const struct co_info *co);
/* The one that runs turns out to have this context, if it had none. */
void execs_name_current(struct recorder *r, uint64_t ctx);
/* Main, or whatever the followed thread has been from the beginning. */
uint32_t execs_first(struct recorder *r);
/* At the entry of coctx_swap: contexts that are new belong to this state already. */
void execs_foresee(struct recorder *r);
/* Names and stacks may have become known. */
void execs_refresh(struct recorder *r);
/* By rsp: whose stack are we on? For when we have not seen how we came here. */
uint32_t execs_locate(struct recorder *r);
void execs_free(struct known_execs *e);

#endif
