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
	bool is_live;         /* the trace still grows: that it is cut off is no damage */
	int scroll[N_VIEWS];  /* lines from where the view would show by itself; views clamp it */
	int cursor[N_VIEWS];  /* a chosen line of those that the view has; -1: none. For "last change of this word" */
	uint64_t follow[N_VIEWS]; /* stack, buffer: the cursor is where this word is shown (nowhere: -1); 0: it stays in its line */
	uint32_t pinned;      /* exec to show on the left, whoever swaps; NO_EXEC: none */
	bool is_copying;      /* projector: a copy of a stack is under way, so the save_buffer is shown */
	bool is_diff;         /* save_buffer: only the lines that differ from the live stack */
	uint64_t marks[26]; bool has_mark[26];
	char search[64];
	/* what the views tell the app, set while drawing: */
	uint64_t cursor_addr[N_VIEWS]; /* address of the word (stack, buffer) in the cursor's line; 0 none */
	int cursor_reg;       /* register in the cursor's line; N_REGS: none */
	int n_lines[N_VIEWS]; /* lines there are, for scrolling */
	int first_line[N_VIEWS], window_h[N_VIEWS]; /* the first that is shown, and how many: for the mouse */
	uint64_t time_from, time_to; int time_x, time_w; /* the steps that the timeline shows, and in which columns */
};

struct view {
	const char *name;  /* "coroutines" */
	/* The title of its frame, into @text; what follows a newline only where there is room. */
	void (*title)(struct model *m, const struct ui *ui, char *text, size_t len);
	void (*draw)(struct model *m, struct ui *ui, struct pane inside);
};
extern const struct view view_coroutines, view_code, view_registers, view_stack_a, view_stack_b, view_buffer,
	view_timeline, view_output;
extern const struct view *const views[N_VIEWS];

/* How an address is written: raw, or by symbol so that it is the same in every run:
 * "S1-0x30" (exec 1's stack, from its top), "C1.rbx" (its context), "co1" (its struct co),
 * "B1+0x10" (its save_buffer), "co_resume+0x2e", "heap+0x2a0",
 * "libc.so.6+0x1d2a10" (in a file, where no symbol is), or the number. */
char *address_text(struct model *m, const struct ui *ui, uint64_t value, char *text, size_t len);
/* The role that colours a value: whose stack, context or buffer it points into; ROLE_TEXT:
 * nobody's. */
int value_role(struct model *m, uint64_t value);
/* The same for a value that @home has: on a shared stack, its addresses are its own. */
char *address_text_at(struct model *m, const struct ui *ui, const struct exec *home, uint64_t value, char *text, size_t len);
int value_role_at(struct model *m, const struct exec *home, uint64_t value);

/* --- what several views need ------------------------------------------------------------ */

/* The role of an exec, by its number; NO_EXEC: ROLE_TEXT. */
int exec_role(uint32_t number);
/* Its name; "?" if nothing is known of it. */
const char *exec_name(const struct model *m, uint32_t number);
/* "S1"; into @text, which it returns. */
char *exec_tag(uint32_t number, char *text, size_t len);
/* The exec to show on the left (@side 0) or right (1); NULL: none. */
const struct exec *view_side(const struct model *m, const struct ui *ui, int side);

/* Which of @n_lines lines is the first to show in @h rows, if the view would begin with
 * @natural by itself. Clamps scroll and cursor of @id, sets n_lines. */
int view_window(struct ui *ui, enum view_id id, int n_lines, int h, int natural);

/* @text cut to @w columns, with … as the last of them if it is longer. Returns @x + @w. */
int view_column(struct pane p, int x, int y, int w, int role, int style, const char *text);
/* How many columns @text takes (UTF-8, each character is one). */
int view_columns(const char *text);
/* @part of @whole as @w cells. */
void view_bar(struct pane p, int x, int y, int w, uint64_t part, uint64_t whole, int role);

/* The instruction @insn at @addr, with names for the places it leads to. Returns @text. */
char *insn_text(struct model *m, const struct ui *ui, uint64_t addr, const struct insn *insn, char *text, size_t len);
/* Name of the function that @addr lies in; "?" if unknown. Copied into @text. */
char *function_name(struct model *m, uint64_t addr, char *text, size_t len);
/* The first of @n events that is not before @step: its index, or @n. */
size_t view_first_event(const struct trace_event *all, size_t n, uint64_t step);
/* The last part of a path. */
const char *base_name(const char *path);

#endif
