/* SPDX-License-Identifier: MIT */
/*
 * model — what a reader of a trace wants to know at step t: who runs, on which stack, what
 * the instruction before did. No clock, no terminal; all of it follows from trace and t.
 *
 * Part:    model. Uses the parts of source.
 */
#ifndef VIZ_MODEL_H
#define VIZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode.h"
#include "layout.h"
#include "symbols.h"
#include "trace.h"

enum { MAX_FRAMES = 128 };

/* An execution at t: one of trace_execs, with what the memory says of it now. */
struct exec {
	uint32_t number;        /* of trace_execs: its colour and its name follow from it */
	const struct trace_exec *trace;
	const struct co_info *info; /* NULL: bare, or the copier, or memory tells nothing */
	char name[32];          /* never empty: "main", "alice", "co 7", "copier", "other_ctx" */
	const char *state;      /* "running", ...; "" for bare ones */
	bool is_on_cpu;         /* by rsp and the last swap, not by what the library says */
	uint64_t lo, hi;        /* its stack; hi 0: none known */
	uint64_t rsp;           /* live, or saved in its context; 0: unknown */
	bool is_out;            /* its bytes are in the save_buffer */
};

/* One pass through coctx_swap, of the whole trace. */
struct swap {
	uint64_t entry;   /* state at its first instruction */
	uint64_t hands;   /* state right after rsp changed hands; 0: not reached */
	uint64_t arrival; /* state right after its last instruction; 0: not reached */
	uint32_t from, to; /* execs */
};

struct model {
	struct trace *trace;
	struct symbols *symbols;
	const struct layout *layout; /* NULL: none */

	uint64_t t, last;
	struct trace_state state;
	struct co_table table;
	struct exec *execs; size_t n_execs; /* those that exist at t, by number */
	uint32_t current;     /* number of the exec on the CPU; NO_EXEC: unknown */

	struct swap *swaps; size_t n_swaps; /* of the whole trace */
	ptrdiff_t swap;       /* the last one whose entry is <= t; -1: none yet */
	bool is_in_swap;      /* t is between its entry and its arrival */

	uint32_t from, to;    /* the two to show side by side: those of the swap we are in, else of
	                       * the last one; before the first: current and NO_EXEC */

	struct insn done;     /* the instruction that led here; len 0: none (state 0, a gap) */
	uint64_t done_at;     /* its address */
	struct insn next;     /* the one that runs next; len 0: unknown */
	struct source_line next_line, done_line; /* path NULL: unknown */

	struct model_own *own; /* caches; model_own.h */
};

/* NULL: *@why as trace_open. */
struct model *model_open(const char *path, char **why);
void model_free(struct model *m);
/* After trace_refresh has brought more. */
void model_refresh(struct model *m);
/* Go to state @t (beyond the last: the last). -1 as trace_seek. */
int model_seek(struct model *m, uint64_t t);

const struct exec *model_exec(const struct model *m, uint32_t number); /* NULL: not there at t */
/* Whose stack does @addr lie in (hi included)? On a shared stack: that of the resident.
 * NO_EXEC: nobody's. For colours. */
uint32_t model_owner(const struct model *m, uint64_t addr);
/* "alice's stack, top-0x30", "alice's context.rbx", "alice's co.state", "alice's
 * save_buffer+0x10", "co_resume+0x2e", "": what an address is. */
char *model_describe(const struct model *m, uint64_t value, char *text, size_t len);

/* A read_fn; @arg is a struct exec_view: memory as that exec will find it when it runs
 * (its bytes come from the save_buffer if they are out). */
struct exec_view { const struct model *m; const struct exec *exec; };
bool exec_view_read(void *arg, uint64_t addr, void *to, size_t len);
/* Its registers: live, or from its context (only callee-saved ones, rsp and rip; others 0). */
bool model_exec_regs(const struct model *m, const struct exec *e, struct regs *regs);
/* Frames of an exec at t, cached until the next seek. */
const struct frame *model_frames(struct model *m, const struct exec *e, size_t *n, const char **why);

/* The callee-saved registers that arrival of swap @i did not bring back as they were when
 * this exec last left: bits 1 << enum reg. 0: all is well, or it never left before. */
uint32_t model_lost(struct model *m, size_t i, struct regs *left_with);
/* Those that differ, too, but not by the switch's fault: they were saved, and then the
 * program has written others into the context (it has moved the stack, say). */
uint32_t model_rewritten(struct model *m, size_t i);

/* Index in swaps of the last one whose entry is <= @t; -1: none. O(log n) */
ptrdiff_t model_swap_at(const struct model *m, uint64_t t);

/* --- travelling: all return a state, or @t itself if there is none ------------------------ */
uint64_t model_next_line(struct model *m, uint64_t t, int direction);   /* +1, -1; another source line */
uint64_t model_next_over(struct model *m, uint64_t t, int direction);   /* line, not into calls */
uint64_t model_next_call(struct model *m, uint64_t t, int direction);   /* next call or return */
uint64_t model_next_swap(const struct model *m, uint64_t t, int direction); /* entry of a swap */
uint64_t model_next_event(const struct model *m, uint64_t t, int direction, uint32_t kinds /* bits; 0 all */);
/* When was the word at @addr last changed before t (or next, after t)? The state right
 * after that step. A word that only became known then (a snapshot) counts. */
uint64_t model_word_change(struct model *m, uint64_t t, uint64_t addr, int direction);
uint64_t model_reg_change(struct model *m, uint64_t t, enum reg r, int direction);
/* The next state after @t (or before it) that is the entry of function @name: its first
 * instruction, or behind a gap any of its instructions. */
uint64_t model_find_function(struct model *m, uint64_t t, const char *name, int direction);
/* The next state after @t that stands at the instruction at @address; @t: there is none. */
uint64_t model_find_address(struct model *m, uint64_t t, uint64_t address);
/* A place in words: "1234", "t:1234", "switch:3" (entry of the 3rd swap, from 1), "rsp:3"
 * (right after rsp changed hands there), "arrive:3", "func:leaf#2", "line:loop.c:79#2",
 * "save#1", "create#2" (event names), "end"; each may end in +N or -N. False: *@why (malloc'ed) says what is
 * wrong and what there is. */
bool model_place(struct model *m, const char *place, uint64_t *t, char **why);

#endif
