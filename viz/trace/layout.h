/* SPDX-License-Identifier: MIT */
/*
 * layout — the table co_debug_layout of a program (src/debug.h), and the coroutines that
 * are read by it.
 *
 * Part:    source. Uses src/debug.h, memory.h (read_fn). The only place that knows how
 *          the library's structs are found; no offset of theirs stands in viz/.
 */
#ifndef VIZ_LAYOUT_H
#define VIZ_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "debug.h"
#include "cpu.h"
#include "memory.h"

/* What coviz asks for; found by name once. LAYOUT_NAMES in layout.c has the names. */
enum layout_field {
	/* struct coctx: the registers are in the order of enum layout_field, see layout_reg */
	L_COCTX, L_CTX_RBX, L_CTX_RBP, L_CTX_R12, L_CTX_R13, L_CTX_R14, L_CTX_R15, L_CTX_RSP, L_CTX_RIP, L_CTX_MXCSR,
	L_CTX_X87CW,
	N_CONTEXT_FIELDS,
	L_LIST_PREV = N_CONTEXT_FIELDS, L_LIST_NEXT,
	L_STACK_LO, L_STACK_HI, L_STACK_GUARD_LEN, L_STACK_SAVE_BUFFER, L_STACK_SAVE_LEN,
	L_CO, L_CO_CTX, L_CO_STACK, L_CO_LINK, L_CO_RESUMER, L_CO_ENV, L_CO_FN, L_CO_STATE, L_CO_ID, L_CO_NAME,
	L_CO_IN_ENV, L_CO_CREATED_AT, L_CO_BLOCKED_AT, L_CO_N_RESUMES,
	L_ENV, L_ENV_MAIN, L_ENV_RUNNING, L_ENV_ALL, L_ENV_IN_ENVS, L_ENV_TID,
	N_NEEDED_FIELDS,
	/* not in every table; size 0: missing */
	L_STACK_OPS = N_NEEDED_FIELDS, L_STACK_OPS_ENTER,
	N_LAYOUT_FIELDS,
};

struct layout {
	bool has_coroutines;          /* false: only coctx.* is known (lessons 1 and 2, by DWARF) */
	struct co_debug_layout table; /* envs: an address in the program */
	uint32_t offset[N_LAYOUT_FIELDS], size[N_LAYOUT_FIELDS];
};

/* Take the table as it lies in the program, `envs` as relocated. A table that has fields
 * of coctx.* alone and envs 0 is one without coroutines.
 * False: *@why (static text) says what is wrong with it: no magic, another version,
 * a field is missing. */
bool layout_parse(struct layout *l, const struct co_debug_layout *table, const char **why);

/* A layout without coroutines (a program without the table), from debug information.
 * @field  tells where "rbx", ... lie in struct coctx; symbols_field does.
 * False, *@why: one is missing. */
bool layout_from_fields(struct layout *l, bool (*field)(void *arg, const char *name, uint32_t *offset, uint32_t *size),
			void *arg, const char **why);

/* Where the context at @ctx keeps @reg; 0: nowhere. */
uint64_t layout_ctx_field(const struct layout *l, uint64_t ctx, enum reg reg);
/* Bytes of a whole struct coctx. */
size_t layout_ctx_size(const struct layout *l);
/* The registers in the context at @ctx: those that it has, others 0. False: unreadable. */
bool layout_ctx_read(const struct layout *l, uint64_t ctx, struct regs *regs, read_fn *read, void *arg);
/* The field of struct `of` ("co", "coctx", "stack") that has the byte at @offset, without
 * the struct's name ("state"); NULL: none that the table knows. *@inside: bytes into it. */
const char *layout_field_at(const struct layout *l, const char *of, uint64_t offset, uint64_t *inside);

/* A coroutine (main too) at one moment. Addresses are the program's; 0 is NULL. */
struct co_info {
	uint64_t co;          /* its struct */
	uint64_t ctx;
	uint64_t stack;       /* its struct co_stack */
	bool is_main;
	uint32_t id;
	char name[32];        /* "" : none */
	uint32_t state;       /* enum co_state; its name: layout.table.states[state] */
	uint64_t lo, hi, guard_len; /* its stack; hi 0: none yet */
	uint64_t save_buffer, save_len; /* save_len > 0: [hi - save_len, hi) is there instead */
	uint64_t ops;         /* struct co_stack_ops of its stack; 0: not told */
	bool is_shared;       /* its stack is one that others use, too; false if that is not told */
	uint64_t resumer;     /* struct co */
	uint64_t link, env, fn, created_at, blocked_at, n_resumes;
};

struct co_table {
	struct co_info *cos; /* main of each env first, then in the order of its list */
	size_t n;
	uint64_t running;    /* struct co that the library says is running on thread `tid` */
	uint64_t env;        /* of that thread; 0: none yet */
	const char *problem; /* NULL, or in one line which link could not be followed */
	/* its own */
	size_t room;
	struct co_index { uint64_t key; size_t i; } *by_co, *by_ctx; /* sorted */
	size_t room_index;
	char problem_text[160];
};

/* Read the coroutines of thread @tid's env (0: of the first env). What can be read is in
 * the table; `problem` says what could not. Cyclic lists end. @t's old array is reused;
 * begin with all zero, end with co_table_free. */
void co_table_read(struct co_table *t, const struct layout *l, int tid, read_fn *read, void *arg);
const struct co_info *co_table_by_ctx(const struct co_table *t, uint64_t ctx);
const struct co_info *co_table_by_co(const struct co_table *t, uint64_t co);
void co_table_free(struct co_table *t);

/* Tell @fn every range of memory that co_table_read looks at (the envs' list head, each
 * env, each co, its struct co_stack, and what tells of that if it is shared), and each save_buffer in use: what a recorder must
 * keep up to date so that the table can be read from its trace. A save_buffer that another
 * range has already counted may come again. */
void co_table_each_range(const struct co_table *t, const struct layout *l,
			 void (*fn)(void *arg, uint64_t addr, size_t len), void *arg);

#endif
