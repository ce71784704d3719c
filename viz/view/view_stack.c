/* SPDX-License-Identifier: MIT */
/*
 * The two panes of stacks: the one we come from, the one we go to.
 *
 * rsp is near the top, and higher addresses, older frames, are below it: a call puts a
 * line on top, a return takes one away. Above rsp stand some dead bytes, dim.
 *
 *     (rsp)┌-0x78  S2-0x40             leaf
 *          │-0x70  … 6 words …
 *          │-0x40  S2-0x10             saved rbp
 *          └-0x38  body+0x41           returns to body
 *
 * rsp→ is the CPU's, (rsp) the one that the context holds; * has just been changed. Which
 * words have a line: stack_lines.c.
 */
#include "stack_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MARK_LEN = 5 };

/* --- drawing ------------------------------------------------------------------------------ */

/* Which register points to @addr? The CPU's, if these bytes are what the CPU sees. */
static void draw_mark(const struct model *m, const struct stack_picture *c, uint64_t addr, struct pane p, int y)
{
	const uint64_t *live = m->state.regs.r;
	bool is_there = !c->exec->is_out;

	if (is_there && c->exec->is_on_cpu && live[REG_RSP] == addr)
		pane_text(p, 0, y, ROLE_NEXT, STYLE_BOLD, "rsp→");
	else if (is_there && (live[REG_RBP] & ~7UL) == addr)
		pane_text(p, 0, y, ROLE_NEXT, STYLE_BOLD, "rbp→");
	else if (!c->exec->is_on_cpu && c->exec->rsp == addr)
		pane_text(p, 0, y, exec_role(c->exec->number), 0, "(rsp)");
	else if (!c->exec->is_on_cpu && c->has_saved && c->saved.r[REG_RBP] == addr)
		pane_text(p, 0, y, exec_role(c->exec->number), 0, "(rbp)");
}

static char *offset_text(const struct ui *ui, const struct stack_picture *c, uint64_t addr, char *text, size_t len)
{
	if (ui->is_raw)
		snprintf(text, len, "0x%" PRIx64, addr);
	else
		snprintf(text, len, "-0x%" PRIx64, c->exec->hi - addr);
	return text;
}

/* What the word at @line is, in words; short ones for @room columns. "": nothing special. */
static void what(struct model *m, const struct stack_picture *c, const struct stack_line *line, uint64_t value, int room, char *text,
		 size_t len)
{
	const struct frame *f = line->frame >= 0 ? &c->frames[line->frame] : NULL;
	char name[128] = "";
	const char *is = "", *variable = NULL;

	text[0] = '\0';
	if (!f)
		return;
	if (line->addr == f->cfa - 8 && f->return_at == line->addr)
		is = room >= 14 ? "return address" : "return";
	else if (line->addr == f->cfa - 16 && (size_t)line->frame + 1 < c->n_frames && value != 0 &&
		 value == c->frames[line->frame + 1].rbp)
		is = room >= 9 ? "saved rbp" : "rbp";
	else if (room >= 2)
		is = variable = stack_variable(m, c, line);
	if (line->is_first) {
		/* behind a call: the pc may already be another function's */
		uint64_t pc = f->pc - (line->frame > 0 && f->pc > 0);

		function_name(m, pc, name, sizeof name);
		if (is[0] && room < view_columns(name) + 2 + view_columns(is))
			is = "";
	}
	snprintf(text, len, "%s%s%s", name, !name[0] || !is[0] ? "" : is == variable ? ": " : ", ", is);
}

/* Where a number stands for an address, what it is comes behind. */
static void add_meaning(struct model *m, uint64_t value, char *text, size_t len)
{
	char meaning[160];
	size_t n = strlen(text);

	model_describe(m, value, meaning, sizeof meaning);
	if (meaning[0])
		snprintf(text + n, len - n, "%s%.120s", n ? ": " : "", meaning);
}

static void draw_words(struct model *m, const struct ui *ui, const struct stack_picture *c, const struct stack_line *line,
		       struct pane p, int x, int y)
{
	bool is_dead = line->frame == -1;
	char value_text[128], what_text[160];
	uint64_t value;
	int role, style = is_dead ? STYLE_FAINT : 0, value_len = p.w - x, column;

	if (line->n_words > 1) {
		snprintf(value_text, sizeof value_text, "… %" PRIu64 " words …", line->n_words);
		view_column(p, x, y, p.w - x, ROLE_DIM, 0, value_text);
		return;
	}
	if (!exec_view_read((void *)&c->view, line->addr, &value, sizeof value)) {
		view_column(p, x, y, p.w - x, ROLE_DIM, 0, "not recorded");
		return;
	}
	address_text_at(m, ui, c->exec, value, value_text, sizeof value_text);
	role = is_dead ? ROLE_DIM : value_role_at(m, c->exec, value);
	if (stack_word_changed(c, line->addr)) {
		style = STYLE_CHANGED;
		pane_put(p, x - 1, y, '*', ROLE_TEXT, STYLE_BOLD);
	}
	if (value_len > view_columns(value_text))
		value_len = view_columns(value_text);
	/* The value first; what it is gets the rest, in one column if that is not far. */
	view_column(p, x, y, value_len, role, style, value_text);
	x += value_len + (p.w < 36 ? 2 : 1);
	column = p.w >= 46 ? MARK_LEN + 24 : p.w >= 36 ? MARK_LEN + 20 : 0;
	x = x < column ? column : x;
	if (is_dead)
		snprintf(what_text, sizeof what_text, "free");
	else
		what(m, c, line, value, p.w - x, what_text, sizeof what_text);
	if (ui->is_raw && !is_dead)
		add_meaning(m, value, what_text, sizeof what_text);
	if (what_text[0] && p.w - x >= (line->is_first ? 3 : view_columns(what_text)))
		view_column(p, x, y, p.w - x, line->is_first && !is_dead ? exec_role(c->exec->number) : ROLE_DIM, 0,
			    what_text);
}

static void draw_line(struct model *m, const struct ui *ui, const struct stack_picture *c, const struct stack_line *line,
		      struct pane p, int y)
{
	char text[32];
	int x = MARK_LEN, role = exec_role(c->exec->number);

	draw_mark(m, c, line->addr, p, y);
	if (line->frame >= 0) {
		uint32_t ch = line->is_first && line->is_last ? '[' : line->is_first ? 0x250c : line->is_last ? 0x2514 : 0x2502;

		pane_put(p, x, y, ch, role, 0);
	}
	x++;
	offset_text(ui, c, line->addr, text, sizeof text);
	pane_text(p, x, y, line->frame == -1 ? ROLE_DIM : role, line->frame == -1 ? STYLE_FAINT : 0, text);
	x += view_columns(text) > 7 ? view_columns(text) + 1 : 8;
	draw_words(m, ui, c, line, p, x, y);
}

/* What must be said of this stack before its words. */
static const char *notice(const struct exec *e, int w)
{
	if (!e->is_out)
		return NULL;
	return w >= 46 ? "copied out: these bytes are in its save_buffer" : "out: as in its save_buffer";
}

static void draw_side(struct model *m, struct ui *ui, struct pane p, int side)
{
	static struct stack_picture c;
	enum view_id id = side ? VIEW_STACK_B : VIEW_STACK_A;
	const struct exec *e = view_side(m, ui, side);
	int first;

	ui->cursor_addr[id] = 0;
	ui->n_lines[id] = 0;
	if (!e) {
		view_column(p, 0, 0, p.w, ROLE_DIM, 0, side ? "nobody: no switch so far" : "nobody");
		return;
	}
	if (notice(e, p.w) && p.h > 3) {
		view_column(p, 0, 0, p.w, exec_role(e->number), STYLE_BOLD, notice(e, p.w));
		p = pane_inside(p, 0, 1, p.w, p.h - 1);
	}
	if (!stack_picture_take(m, ui, e, p.h, &c)) {
		view_column(p, 0, 0, p.w, ROLE_DIM, 0,
			    e->hi == 0 ? "no stack yet: it has not run" :
			    e->rsp == 0 ? "its stack pointer is not known" :
					  "its stack pointer is not on its stack");
		return;
	}
	if (c.n_frames == 0 && c.why && e->rsp < e->hi && p.h > 6) {
		char text[256];

		snprintf(text, sizeof text, "no frames: %s", c.why);
		view_column(p, 0, p.h - 1, p.w, ROLE_DIM, 0, text);
		p = pane_inside(p, 0, 0, p.w, p.h - 1);
	}
	if (e->rsp == e->hi && c.n_lines < p.h)
		view_column(p, 0, c.n_lines, p.w, exec_role(e->number), 0,
			    e->is_on_cpu ? "rsp→  the top: nothing is on it" : "(rsp) the top: nothing is on it");
	if (ui->follow[id] != 0) {
		ui->cursor[id] = -1;
		for (int i = 0; i < c.n_lines; i++)
			if (c.lines[i].addr == ui->follow[id])
				ui->cursor[id] = i;
	}
	first = view_window(ui, id, c.n_lines, p.h, 0);
	for (int y = 0; y < p.h && first + y < c.n_lines; y++) {
		draw_line(m, ui, &c, &c.lines[first + y], p, y);
		if (first + y == ui->cursor[id]) {
			pane_put(p, p.w - 1, y, 0x25c0, ROLE_FOCUS, 0);
			ui->cursor_addr[id] = c.lines[first + y].addr;
		}
	}
}

static void draw_a(struct model *m, struct ui *ui, struct pane p)
{
	draw_side(m, ui, p, 0);
}

static void draw_b(struct model *m, struct ui *ui, struct pane p)
{
	draw_side(m, ui, p, 1);
}

static void title_side(struct model *m, const struct ui *ui, char *text, size_t len, int side)
{
	const struct exec *e = view_side(m, ui, side);
	char tag[16];

	if (!e) {
		snprintf(text, len, "stack: nobody");
		return;
	}
	snprintf(text, len, "%s%s%s %s's stack", ui->pinned != NO_EXEC ? "" : side ? "to " : "from ",
		 e->is_on_cpu ? "▶" : "", exec_tag(e->number, tag, sizeof tag), e->name);
	if (ui->is_big && e->state && e->state[0]) /* no pane of coroutines says it */
		snprintf(text + strlen(text), len - strlen(text), "\n, %s", e->state);
}

static void title_a(struct model *m, const struct ui *ui, char *text, size_t len)
{
	title_side(m, ui, text, len, 0);
}

static void title_b(struct model *m, const struct ui *ui, char *text, size_t len)
{
	title_side(m, ui, text, len, 1);
}

const struct view view_stack_a = {
	.name = "stack A",
	.title = title_a,
	.draw = draw_a,
};

const struct view view_stack_b = {
	.name = "stack B",
	.title = title_b,
	.draw = draw_b,
};
