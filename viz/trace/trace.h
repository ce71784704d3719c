/* SPDX-License-Identifier: MIT */
/*
 * trace — a recording (FORMAT.md): the state of a program at steps 0, 1, 2, ...
 *
 * Part:    source. Uses cpu, memory, layout. The writer appends and never goes back, so
 *          a file that is cut off, or still grows, can be read up to there.
 *
 * State 0 is the first stop. Each further state is one instruction later, or, if its step
 * is a gap, unknown many. An event "at t" was caused by the step from t-1 to t.
 */
#ifndef VIZ_TRACE_H
#define VIZ_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"
#include "layout.h"
#include "memory.h"

struct trace_word {
	uint64_t addr, value; /* addr: a multiple of 8 */
};

enum { STEP_IS_GAP = 1 }; /* flags of a step: instructions were not recorded before it */

/* Who runs: one stack and one context. Files and events name them by number: 0, 1, ... */
enum exec_kind { EXEC_MAIN, EXEC_COROUTINE, EXEC_COPIER, EXEC_BARE /* a context that no env knows */ };
struct trace_exec {
	uint64_t since;   /* first state that has it */
	uint64_t ctx, co; /* addresses; co 0: bare, or the copier */
	uint64_t lo, hi;  /* its stack, where no coroutine table tells (bare, main, copier); 0: unknown */
	uint32_t kind, id;
	char name[32];
};

enum event_kind {
	EVENT_SWAP,     /* at the entry of coctx_swap: who leaves, other = who is gone to */
	EVENT_RSP,      /* rsp has changed hands: who = the new one, other = the old */
	EVENT_ARRIVE,   /* coctx_swap is left: who = the new one */
	EVENT_CREATE, EVENT_RESUME, EVENT_YIELD, EVENT_PARK, EVENT_WAKE, EVENT_EXIT, /* who; other = by whom, or NO_EXEC */
	EVENT_SAVE, EVENT_RESTORE, /* who; value = bytes */
	EVENT_CALL, EVENT_RETURN,  /* value = address of the function called, returned to */
	EVENT_SIGNAL,   /* value = number */
	EVENT_FORK, EVENT_EXEC, EVENT_THREAD, /* value = the kernel's id */
	EVENT_END,      /* the program's end: value = status as of waitpid */
	N_EVENTS,
};
#define NO_EXEC UINT32_MAX
struct trace_event {
	uint64_t step, value;
	uint32_t kind, who, other;
};
extern const char *const event_names[N_EVENTS]; /* "swap", "rsp", ... */

struct trace_output {
	uint64_t step; /* seen when the program stood there */
	const char *bytes;
	size_t len;
};

/* A file that is mapped: for symbols. */
struct trace_map {
	uint64_t lo, hi, offset;
	char *path;
	uint8_t build_id[20];
	uint8_t build_id_len; /* 0: none */
};

struct trace_info {
	char *command;        /* argv with spaces */
	char *program;        /* absolute path */
	int tid;              /* the thread that is followed */
	const char *mode;     /* "switch", "all", "from-to" */
	bool has_layout;
	struct layout layout;
};

/* --- writing ------------------------------------------------------------------------- */
/* All return 0, or -1 with errno (ENOSPC, EIO, ENOMEM ...); after that all do. Strings
 * and arrays are copied. Order: trace_create, maps, the first trace_step, then any. */

struct trace_writer;
int trace_create(struct trace_writer **w, const char *path, const struct trace_info *info);
int trace_add_map(struct trace_writer *w, const struct trace_map *map);
/* Number @number is new, or (name, stack) has become known. */
int trace_add_exec(struct trace_writer *w, uint32_t number, const struct trace_exec *exec);
/* The next state. @words: those that differ from the state before (or are new). */
int trace_add_step(struct trace_writer *w, const struct regs *regs, const struct trace_word *words, size_t n, int flags);
/* At the newest state (event->step is set by this). */
int trace_add_event(struct trace_writer *w, const struct trace_event *event);
int trace_add_output(struct trace_writer *w, const char *bytes, size_t len);
/* Write out what is buffered, so that a reader sees it. */
int trace_flush(struct trace_writer *w);
/* Flush, close, free; also after an error. */
int trace_close(struct trace_writer *w);
uint64_t trace_written_steps(const struct trace_writer *w); /* number of the newest state */
uint64_t trace_written_bytes(const struct trace_writer *w);

/* --- reading ------------------------------------------------------------------------- */

struct trace;
/* NULL: *@why (malloc'ed; the caller frees) says in one line what is wrong and what to
 * do. A damaged file opens if state 0 can be read; trace_damage says what is missing. */
struct trace *trace_open(const char *path, char **why);
/* NULL: whole. Else one line: "cut off after step 1234: the recorder was killed?" A file
 * that still grows is not whole; but once trace_refresh was asked, that is no damage. */
const char *trace_damage(const struct trace *t);
/* Read what was appended since. Number of new states. */
uint64_t trace_refresh(struct trace *t);
void trace_free(struct trace *t);

const struct trace_info *trace_info(const struct trace *t);
uint64_t trace_last(const struct trace *t); /* number of the last state */
const struct trace_event *trace_events(const struct trace *t, size_t *n); /* by step */
const struct trace_exec *trace_execs(const struct trace *t, size_t *n);
const struct trace_output *trace_outputs(const struct trace *t, size_t *n);
const struct trace_map *trace_maps(const struct trace *t, size_t *n);

/* The state at one step. All zero: nowhere. */
struct trace_state {
	uint64_t step;
	struct regs regs;
	struct memory memory;
	int flags;                 /* of the step that led here */
	struct trace_word *before; /* the words that it changed, with the values they had ... */
	bool *was_known;           /* ... if they were known */
	size_t n_before, room;
	struct regs regs_before;   /* equal to regs at state 0 */
	bool is_valid;
	size_t chunk, at;          /* the reader's own: where the next step lies */
};
/* Go to @step: from where the state is, or from a keyframe, whichever is nearer. -1: that
 * part of the file is damaged (EBADMSG), there is no such step (ERANGE), or ENOMEM; the
 * state is as before. */
int trace_seek(struct trace *t, struct trace_state *s, uint64_t step);
void trace_state_free(struct trace_state *s);

/* What a scan tells of each state: its registers, and the words that the step before it
 * has changed (or made known). @flags: of that step; also STEP_IS_GAP behind damage.
 * Not 0: stop. */
typedef int trace_scan_fn(void *arg, uint64_t step, const struct regs *regs, const struct trace_word *words, size_t n,
			  int flags);
/* Tell @fn of the states @from to @to, upwards; those that are damaged are left out. Of
 * @from only the registers: it is what the next is compared with. Reads no memory, so it
 * is some 20 ns for each. Returns what @fn returned last, or 0. */
int trace_scan(struct trace *t, uint64_t from, uint64_t to, trace_scan_fn *fn, void *arg);
/* The last keyframe's state before @step; 0: there is none. For scans that look backwards,
 * piece by piece. */
uint64_t trace_keyframe_before(const struct trace *t, uint64_t step);

#endif
