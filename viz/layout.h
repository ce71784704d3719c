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

#include "../src/debug.h"
#include "cpu.h"
#include "memory.h"

struct layout {
	bool has_coroutines;          /* false: only coctx.* is known (lessons 1 and 2, by DWARF) */
	struct co_debug_layout table; /* envs: an address in the program */
	/* found by name once; see layout.c */
	uint32_t offset[CO_DEBUG_FIELDS], size[CO_DEBUG_FIELDS];
};

/* Take the table as it lies in the program. @envs_at: its field `envs` as relocated.
 * False: *@why (static text) says what is wrong with it: no magic, another version,
 * a field is missing. */
bool layout_parse(struct layout *l, const struct co_debug_layout *table, const char **why);

/* Where the context at @ctx keeps @reg; 0: nowhere. */
uint64_t layout_ctx_field(const struct layout *l, uint64_t ctx, enum reg reg);
/* Bytes of a whole struct coctx. */
size_t layout_ctx_size(const struct layout *l);

/* A coroutine (main too) at one moment. Addresses are the program's; 0 is NULL. */
struct co_info {
	uint64_t co;          /* its struct */
	uint64_t ctx;
	bool is_main;
	uint32_t id;
	char name[32];        /* "" : none */
	uint32_t state;       /* enum co_state; its name: layout.table.states[state] */
	uint64_t lo, hi, guard_len; /* its stack; hi 0: none yet */
	uint64_t save_buffer, save_len; /* save_len > 0: [hi - save_len, hi) is there instead */
	uint64_t resumer;     /* struct co */
	uint64_t link, env, fn, created_at, blocked_at, n_resumes;
};

struct co_table {
	struct co_info *cos; /* main of each env first, then in the order of its list */
	size_t n;
	uint64_t running;    /* struct co that the library says is running on thread `tid` */
	uint64_t env;        /* of that thread; 0: none yet */
	const char *problem; /* NULL, or in one line which link could not be followed */
};

/* Read the coroutines of thread @tid's env (0: of the first env). What can be read is in
 * the table; `problem` says what could not. Cyclic lists end. @t's old array is reused;
 * begin with all zero, end with co_table_free. */
void co_table_read(struct co_table *t, const struct layout *l, int tid, read_fn *read, void *arg);
const struct co_info *co_table_by_ctx(const struct co_table *t, uint64_t ctx);
const struct co_info *co_table_by_co(const struct co_table *t, uint64_t co);
void co_table_free(struct co_table *t);

/* Tell @fn every range of memory that co_table_read looks at (the envs' list head, each
 * env and each co), and each save_buffer in use: what a recorder must keep up to date so
 * that the table can be read from its trace. */
void co_table_each_range(const struct co_table *t, const struct layout *l,
			 void (*fn)(void *arg, uint64_t addr, size_t len), void *arg);

#endif
