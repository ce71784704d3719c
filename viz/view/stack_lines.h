/* SPDX-License-Identifier: MIT */
/*
 * stack_lines — which words of a stack get a line of their own.
 *
 * Part:    view. Uses model.
 */
#ifndef VIZ_STACK_LINES_H
#define VIZ_STACK_LINES_H

#include "view.h"

enum { STACK_MAX_LINES = 2048, STACK_MAX_CHANGED = 512 };

/* A row of the pane. */
struct stack_line {
	uint64_t addr;
	uint64_t n_words;  /* > 1: this many are left out here */
	int frame;         /* index; -1: below rsp; -2: above all frames */
	bool is_first, is_last; /* of its frame */
};

/* One pane at one moment. */
struct stack_picture {
	const struct exec *exec;
	struct exec_view view;        /* what memory to read */
	struct regs saved;            /* what its context or the CPU has */
	bool has_saved;
	const struct frame *frames;
	size_t n_frames;              /* those on this stack */
	const char *why;
	uint64_t changed[STACK_MAX_CHANGED]; /* ascending; addresses on this stack */
	size_t n_changed;
	struct stack_line lines[STACK_MAX_LINES];
	int n_lines, rsp_line;
};

/* The stack of @e for a pane of @h rows. False: nothing is known to draw. */
bool stack_picture_take(struct model *m, const struct ui *ui, const struct exec *e, int h, struct stack_picture *c);

/* Did the last step change the word at @addr? */
bool stack_word_changed(const struct stack_picture *c, uint64_t addr);

/* The local variable in whose bytes @line's word begins ("name", "name+8"); "": none. */
const char *stack_variable(struct model *m, const struct stack_picture *c, const struct stack_line *line);

#endif
