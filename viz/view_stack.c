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
 * rsp→ is the CPU's, (rsp) the one that the context holds; * has just been changed. What a
 * reader looks for is
 * shown; long runs of other words in between become one line, shorter ones first when
 * there is room. So the work for one draw follows from the frames, not from the size of
 * a stack.
 */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINES = 2048, MAX_CHANGED = 512, FIRST_WORDS = 3, LAST_WORDS = 3, MARK_LEN = 5 };

struct line {
	uint64_t addr;
	uint64_t n_words;  /* > 1: this many are left out here */
	int frame;         /* index; -1: below rsp; -2: above all frames */
	bool is_first, is_last; /* of its frame */
};

/* One pane at one moment. */
struct picture {
	const struct exec *exec;
	struct exec_view view;        /* what memory to read */
	struct regs saved;            /* what its context or the CPU has */
	bool has_saved;
	const struct frame *frames;
	size_t n_frames;              /* those on this stack */
	const char *why;
	uint64_t changed[MAX_CHANGED]; /* ascending; addresses on this stack */
	size_t n_changed;
	struct line lines[MAX_LINES];
	int n_lines, rsp_line;
};

/* --- what is on it --------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The words of this stack that the last step changed. Those of a stack whose bytes are
 * out are in the buffer, and change there. */
static void find_changed(struct model *m, struct picture *c, uint64_t lo)
{
	const struct co_info *info = c->exec->info;
	uint64_t base = 0; /* of the saved bytes; 0: on the stack itself */

	c->n_changed = 0;
	if (c->exec->is_out && info)
		base = info->save_buffer;
	for (size_t i = 0; i < m->state.n_before && c->n_changed < MAX_CHANGED; i++) {
		uint64_t addr = m->state.before[i].addr;

		if (base != 0) {
			if (addr < base || addr - base >= info->save_len)
				continue;
			addr = c->exec->hi - info->save_len + (addr - base);
		}
		if (addr >= lo && addr < c->exec->hi)
			c->changed[c->n_changed++] = addr & ~7UL;
	}
	qsort(c->changed, c->n_changed, sizeof c->changed[0], by_value);
}

static bool is_changed(const struct picture *c, uint64_t addr)
{
	return c->n_changed > 0 && bsearch(&addr, c->changed, c->n_changed, sizeof addr, by_value);
}

/* Frames go on across the seam, on the resumer's stack: leave those out. */
static void find_frames(struct model *m, struct picture *c, uint64_t rsp)
{
	uint64_t lo = rsp;
	size_t n = 0;

	c->frames = model_frames(m, c->exec, &n, &c->why);
	c->n_frames = 0;
	while (c->frames && c->n_frames < n) {
		const struct frame *f = &c->frames[c->n_frames];

		if (f->is_seam || f->cfa < lo || f->cfa > c->exec->hi)
			break;
		lo = f->cfa;
		c->n_frames++;
	}
}

/* --- which words get a line ---------------------------------------------------------- */

static void add_line(struct picture *c, uint64_t addr, uint64_t n_words, int frame)
{
	if (c->n_lines < MAX_LINES)
		c->lines[c->n_lines++] = (struct line){ .addr = addr, .n_words = n_words, .frame = frame };
}

/* [lo, hi): the first and last words, what has changed, what is in @wanted; others only
 * if a gap between these is at most @limit. */
static void add_range(struct picture *c, uint64_t lo, uint64_t hi, int frame, int limit, const uint64_t *wanted,
		      size_t n_wanted)
{
	int begin = c->n_lines;
	size_t k = 0;

	while (k < c->n_changed && c->changed[k] < lo)
		k++;
	for (uint64_t at = lo; at < hi && c->n_lines < MAX_LINES;) {
		uint64_t stop = hi; /* the next one that must be seen */

		if (at < lo + 8 * FIRST_WORDS)
			stop = at;
		else if (hi - lo > 8 * LAST_WORDS && at < hi - 8 * LAST_WORDS)
			stop = hi - 8 * LAST_WORDS;
		else
			stop = at;
		while (k < c->n_changed && c->changed[k] < at)
			k++;
		if (k < c->n_changed && c->changed[k] < stop)
			stop = c->changed[k];
		for (size_t i = 0; i < n_wanted; i++)
			if (wanted[i] >= at && wanted[i] < stop)
				stop = wanted[i] & ~7UL;
		if (stop > at && (stop - at) / 8 > (uint64_t)limit) {
			add_line(c, at, (stop - at) / 8, frame);
			at = stop;
			continue;
		}
		for (; at < stop && c->n_lines < MAX_LINES; at += 8)
			add_line(c, at, 1, frame);
		if (at < hi) {
			add_line(c, at, 1, frame);
			at += 8;
		}
	}
	if (c->n_lines > begin) {
		c->lines[begin].is_first = true;
		c->lines[c->n_lines - 1].is_last = true;
	}
}

static void build_lines(struct picture *c, uint64_t rsp, uint64_t hi, int n_dead, int limit, const uint64_t *wanted,
			size_t n_wanted)
{
	uint64_t at = rsp;

	c->n_lines = 0;
	for (int i = n_dead; i > 0; i--)
		if (rsp >= c->exec->lo + 8 * (uint64_t)i)
			add_line(c, rsp - 8 * (uint64_t)i, 1, -1);
	c->rsp_line = c->n_lines;
	for (size_t i = 0; i < c->n_frames; i++) {
		add_range(c, at, c->frames[i].cfa, (int)i, limit, wanted, n_wanted);
		at = c->frames[i].cfa;
	}
	add_range(c, at, hi, -2, limit, wanted, n_wanted);
}

/* False: nothing is known to draw. @h: rows there are. */
static bool take_picture(struct model *m, const struct ui *ui, const struct exec *e, int h, struct picture *c)
{
	static const int limits[] = { 200, 32, 12, 6, 2 };
	uint64_t rsp = e->rsp & ~7UL, hi = e->hi & ~7UL;
	uint64_t wanted[4] = { m->state.regs.r[REG_RBP], m->state.regs.r[REG_RSP] };
	int n_dead = h >= 14 ? 3 : h >= 9 ? 2 : h >= 5 ? 1 : 0;

	c->exec = e;
	c->view = (struct exec_view){ m, e };
	c->n_lines = c->rsp_line = 0;
	c->has_saved = model_exec_regs(m, e, &c->saved);
	if (rsp == 0 || hi == 0 || rsp > hi || rsp < e->lo)
		return false;
	if (c->has_saved)
		wanted[2] = c->saved.r[REG_RBP];
	find_changed(m, c, rsp >= 128 ? rsp - 128 : 0);
	find_frames(m, c, rsp);
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		build_lines(c, rsp, hi, n_dead, limits[i], wanted, 3);
		if (c->n_lines <= h || (ui->is_zoomed && i == 1))
			break;
	}
	return true;
}

/* --- drawing ------------------------------------------------------------------------------ */

/* Which register points to @addr? The CPU's, if these bytes are what the CPU sees. */
static void draw_mark(const struct model *m, const struct picture *c, uint64_t addr, struct pane p, int y)
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

static char *offset_text(const struct ui *ui, const struct picture *c, uint64_t addr, char *text, size_t len)
{
	if (ui->is_raw)
		snprintf(text, len, "0x%" PRIx64, addr);
	else
		snprintf(text, len, "-0x%" PRIx64, c->exec->hi - addr);
	return text;
}

/* What the word at @line is, in words; short ones for @room columns. "": nothing special. */
static void what(struct model *m, const struct picture *c, const struct line *line, uint64_t value, int room, char *text,
		 size_t len)
{
	const struct frame *f = line->frame >= 0 ? &c->frames[line->frame] : NULL;
	char name[128] = "";
	const char *is = "";

	text[0] = '\0';
	if (!f)
		return;
	if (line->addr == f->cfa - 8 && f->return_at == line->addr)
		is = room >= 14 ? "return address" : "return";
	else if (line->addr == f->cfa - 16 && (size_t)line->frame + 1 < c->n_frames && value != 0 &&
		 value == c->frames[line->frame + 1].rbp)
		is = room >= 9 ? "saved rbp" : "rbp";
	if (line->is_first) {
		/* behind a call: the pc may already be another function's */
		uint64_t pc = f->pc - (line->frame > 0 && f->pc > 0);

		function_name(m, pc, name, sizeof name);
		if (is[0] && room < view_columns(name) + 2 + view_columns(is))
			is = "";
	}
	snprintf(text, len, "%s%s%s", name, name[0] && is[0] ? ", " : "", is);
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

static void draw_words(struct model *m, const struct ui *ui, const struct picture *c, const struct line *line,
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
	if (is_changed(c, line->addr)) {
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

static void draw_line(struct model *m, const struct ui *ui, const struct picture *c, const struct line *line,
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
	static struct picture c;
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
	if (!take_picture(m, ui, e, p.h, &c)) {
		view_column(p, 0, 0, p.w, ROLE_DIM, 0,
			    e->hi == 0 ? "no stack yet: it has not run" :
			    e->rsp == 0 ? "its stack pointer is not known" :
					  "its stack pointer is not on its stack");
		return;
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
