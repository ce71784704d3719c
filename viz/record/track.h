/* SPDX-License-Identifier: MIT */
/*
 * track — what a trace knows of the program's memory, kept equal to it.
 *
 * Part:    source. Uses memory, layout, target (its read_many).
 *
 * Tracked are: the library's structs and each save_buffer (co_table_each_range), contexts
 * that no struct has (track_context), and stacks. Of a stack every word that an
 * instruction writes; in a snapshot what is in use of it, red zone included.
 */
#ifndef VIZ_TRACK_H
#define VIZ_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include "memory.h"
#include "ranges.h"
#include "target.h"
#include "trace.h"

/* A context that is in no table, the stack that belongs to it (hi 0: unknown), and the word
 * by which backtraces go on from its entry trampoline to whoever resumed it (0: none). */
struct track_context {
	uint64_t ctx, lo, hi, link;
};

struct track {
	struct target *target;
	const struct layout *layout;
	int tid;
	uint64_t clip_lo, clip_hi;  /* of the thread's own stack only this part is looked at; 0: all */

	struct memory shadow;
	struct co_table table, before; /* now, and before the latest track_table */
	struct ranges ranges;   /* structs, contexts, buffers */
	size_t recent;          /* of ranges: where track_read was last */
	struct ranges ctxs, buffers; /* those of them that tell nothing to the table */
	struct ranges stacks;   /* every one that was ever seen */
	struct track_context *contexts;
	size_t n_contexts, contexts_room;

	struct trace_word *words;   /* what has changed since track_begin_step */
	size_t n_words, words_room;
	bool is_table_stale;        /* a struct has changed: track_table is due */
	bool has_buffers;           /* some coroutine has a save_buffer */
	bool is_out_of_memory;

	/* inner: a batch that is being read */
	struct target_range *batch;
	size_t n_batch, batch_room;
	uint64_t *bytes;
	size_t n_bytes, bytes_room; /* in words */
};

void track_begin(struct track *k, struct target *target, const struct layout *layout, int tid);
void track_end(struct track *k);
void track_begin_step(struct track *k);

/* Note a context, or what has become known of its stack and its link (0: nothing). */
void track_context(struct track *k, struct track_context context);
/* Note a stack. */
void track_stack(struct track *k, uint64_t lo, uint64_t hi);

/* An instruction may have written [@addr, @addr + @len). */
void track_written(struct track *k, uint64_t addr, size_t len);
/* Anything may have: read all that is in use. @regs: now. */
void track_snapshot(struct track *k, const struct regs *regs);
/* Read the coroutines anew; new ones are tracked from now on. */
void track_table(struct track *k);
/* Compare all that is tracked with the program, with no word left out that snapshots and
 * writes should have kept. Returns how many words differed; they are put right. */
uint64_t track_verify(struct track *k, const struct regs *regs, bool is_whole);

/* A read_fn; @arg is the struct track: tracked memory as it is, other as the program has it. */
bool track_read(void *arg, uint64_t addr, void *to, size_t len);

#endif
