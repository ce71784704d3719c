/* SPDX-License-Identifier: MIT */
/*
 * model_own — what the model keeps to itself, for its own files.
 *
 * Part:    model.
 */
#ifndef VIZ_MODEL_OWN_H
#define VIZ_MODEL_OWN_H

#include "model.h"

/* A stack at t and whose bytes are in it. */
struct stack_range {
	uint64_t lo, hi;
	uint32_t owner;
	int claim;       /* of several with one stack, the one with the highest is resident */
};

struct frames {
	uint32_t number;
	size_t n;
	const char *why;
	struct frame frames[MAX_FRAMES];
};

/* What model_lost has found out. */
struct swap_check {
	ptrdiff_t before;  /* the last swap by which `to` left; -1: none */
	bool is_known;
	uint32_t lost, rewritten;
};

enum { N_LINES = 4096 }; /* a power of 2 */
struct line_slot {
	uint64_t rip;
	bool is_used, is_known;
	struct source_line line;
};

struct model_own {
	struct layout layout;
	size_t n_maps, n_events;       /* of the trace that were looked at */
	size_t room_execs, room_swaps, room_checks;
	bool is_swap_open;             /* the last of m->swaps can still arrive */
	struct swap_check *checks;     /* one for each of m->swaps */
	ptrdiff_t *last_left;          /* by exec: the last swap by which it left */
	size_t n_last_left;
	struct regs left_with;         /* of swap left_swap */
	ptrdiff_t left_swap;           /* -1: none */

	struct stack_range *ranges;    /* by hi; no two with the same */
	size_t n_ranges, room_ranges;
	bool has_ranges;               /* for this t */
	struct frames **frames;        /* for this t */
	size_t n_frames, room_frames;
	struct line_slot lines[N_LINES];
};

/* model_swaps.c: take the events that are new; false: ENOMEM. */
bool model_read_swaps(struct model *m);
/* Who is on the CPU at @t by the events alone; NO_EXEC: they do not tell. */
uint32_t model_current_by_swaps(const struct model *m, uint64_t t);

/* The registers at @t. False: damaged there. */
bool model_regs_at(const struct model *m, uint64_t t, struct regs *regs);

/* Room for @n items. False: ENOMEM. */
bool model_reserve(void **items, size_t *room, size_t n, size_t size);

#endif
