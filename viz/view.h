/* SPDX-License-Identifier: MIT */
/*
 * view — a pane draws one aspect of the model.
 *
 * Part:    view. Uses model, grid. Draws; decides nothing about time.
 */
#ifndef VIZ_VIEW_H
#define VIZ_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "grid.h"
#include "model.h"

enum view_id { VIEW_COROUTINES, VIEW_CODE, VIEW_REGISTERS, VIEW_STACK_A, VIEW_STACK_B, VIEW_BUFFER, VIEW_TIMELINE,
	       VIEW_OUTPUT, N_VIEWS };

/* What a user has set; views read it. */
struct ui {
	bool is_raw;          /* addresses as numbers; else symbolic: "S1-0x30" (exec 1's stack, from its top) */
	bool is_asm;          /* code pane: disassembly, not source */
	bool is_big;          /* projector: fewer, larger things */
	enum view_id focus;
	bool is_zoomed;       /* only the pane with the focus */
	int scroll[N_VIEWS];  /* lines from where the view would show by itself; views clamp it */
	int cursor[N_VIEWS];  /* a chosen line of those that the view has; -1: none. For "last change of this word" */
	uint32_t pinned;      /* exec to show on the left, whoever swaps; NO_EXEC: none */
	bool is_diff;         /* save_buffer beside the live stack, bytes that differ */
	uint64_t marks[26]; bool has_mark[26];
	char search[64];
	/* what the views tell the app, set while drawing: */
	uint64_t cursor_addr[N_VIEWS]; /* address of the word (stack, buffer) in the cursor's line; 0 none */
	int cursor_reg;       /* register in the cursor's line; N_REGS: none */
	int n_lines[N_VIEWS]; /* lines there are, for scrolling */
};

struct view {
	const char *name;  /* "coroutines" */
	/* The title of its frame, into @text. */
	void (*title)(struct model *m, const struct ui *ui, char *text, size_t len);
	void (*draw)(struct model *m, struct ui *ui, struct pane inside);
};
extern const struct view view_coroutines, view_code, view_registers, view_stack_a, view_stack_b, view_buffer,
	view_timeline, view_output;
extern const struct view *const views[N_VIEWS];

/* How an address is written: raw, or by symbol so that it is the same in every run. */
char *address_text(struct model *m, const struct ui *ui, uint64_t value, char *text, size_t len);
/* The role that colours a value: whose stack it points into; ROLE_TEXT: nobody's. */
int value_role(struct model *m, uint64_t value);

#endif
