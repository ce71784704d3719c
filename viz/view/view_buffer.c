/* SPDX-License-Identifier: MIT */
/*
 * The pane of the save_buffer: the bytes of a coroutine that is copied out, and the bytes
 * that now lie in their place.
 *
 *     344 bytes of bob; 212 differ (≠) from those of alice (S1) on the stack
 *     S2      save_buffer             │ on the stack: alice's
 *     -0x158  fa 54 55 55 55 7f 00 00 ≠ e1 54 55 55 55 7f 00 00
 *
 * Lines are named by their place on the stack, as in the panes of stacks.
 *
 * The first COMPARE_AT_MOST bytes are shown: those nearest to rsp.
 *
 * While a copy is under way, a bar says how much of it is done.
 */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "copying.h"

enum { COMPARE_AT_MOST = COPYING_MOST, EVENTS_AT_MOST = 256, BAR_LEN = 12 };

/* What to show. */
struct shown {
	const struct exec *exec; /* NULL: nothing */
	uint64_t buffer, stack;  /* where the bytes are, where they belong */
	uint64_t len;
	enum { AT_REST, SAVING, RESTORING } doing;
	struct copying copying;  /* valid unless AT_REST */
};

/* --- what to show -------------------------------------------------------------------- */

static bool show_exec(struct shown *s, const struct exec *e)
{
	if (!e || !e->info || e->info->save_len == 0 || e->info->save_buffer == 0 || e->info->save_len > e->hi)
		return false;
	s->exec = e;
	s->buffer = e->info->save_buffer;
	s->len = e->info->save_len;
	s->stack = e->hi - s->len;
	return true;
}

static struct shown choose(struct model *m, const struct ui *ui)
{
	struct shown s = { .doing = AT_REST };

	if (copying_at(m, &s.copying)) {
		s.exec = model_exec(m, s.copying.who);
		s.buffer = s.copying.buffer;
		s.stack = s.copying.stack;
		s.len = s.copying.len;
		s.doing = s.copying.is_save ? SAVING : RESTORING;
		return s;
	}
	if (show_exec(&s, view_side(m, ui, 1)) || show_exec(&s, view_side(m, ui, 0)))
		return s;
	for (size_t i = 0; i < m->n_execs && i < EVENTS_AT_MOST; i++)
		if (show_exec(&s, &m->execs[i]))
			return s;
	return s;
}

/* Bytes that are the same on both sides, of the first COMPARE_AT_MOST; *@looked_at of them. */
static uint64_t count_equal(struct model *m, const struct shown *s, uint64_t *looked_at)
{
	uint64_t n = s->len < COMPARE_AT_MOST ? s->len : COMPARE_AT_MOST, equal = 0;

	*looked_at = n;
	for (uint64_t at = 0; at < n; at += 8) {
		uint8_t a[8], b[8];
		size_t len = n - at < 8 ? (size_t)(n - at) : 8;

		if (!memory_read(&m->state.memory, s->buffer + at, a, len) ||
		    !memory_read(&m->state.memory, s->stack + at, b, len))
			continue;
		for (size_t i = 0; i < len; i++)
			equal += a[i] == b[i];
	}
	return equal;
}

/* --- drawing ---------------------------------------------------------------------------- */

/* The first lines. Returns how many. */
static int summary(struct model *m, const struct shown *s, uint32_t there, struct pane p)
{
	uint64_t looked_at, equal = count_equal(m, s, &looked_at);
	uint64_t copied = s->doing != AT_REST ? copying_done(m, &s->copying) : equal;
	char text[192], tag[16];
	int role = exec_role(s->exec->number);

	if (copied == UINT64_MAX)
		copied = equal;
	if (s->doing != AT_REST) {
		int x = pane_text(p, 0, 0, role, STYLE_BOLD, s->doing == SAVING ? "copied out " : "copied in "), n;

		n = p.w - x - 6 < BAR_LEN ? p.w - x - 6 : BAR_LEN;
		view_bar(p, x, 0, n, copied, looked_at, role);
		x = pane_printf(p, x + (n > 0 ? n + 1 : 0), 0, role, STYLE_BOLD, "%u %%",
				looked_at ? (unsigned)(copied * 100 / looked_at) : 0);
		snprintf(text, sizeof text, "  %" PRIu64 " bytes of %s, %s", s->len, s->exec->name,
			 s->doing == SAVING ? "stack → buffer" : "buffer → stack");
		view_column(p, x, 0, p.w - x, ROLE_TEXT, 0, text);
		return 1;
	}
	if (equal == looked_at) /* whoever has the stack now: he has written nothing there yet */
		snprintf(text, sizeof text, "%" PRIu64 " bytes of %s, copied out; on the stack are still %s's bytes", s->len,
			 s->exec->name, s->exec->name);
	else if (there == NO_EXEC || there == s->exec->number)
		snprintf(text, sizeof text, "%" PRIu64 " bytes of %s; %" PRIu64 " differ (≠) from what is on the stack",
			 s->len, s->exec->name, looked_at - equal);
	else
		snprintf(text, sizeof text, "%" PRIu64 " bytes of %s; %" PRIu64 " differ (≠) from those of %s (%s) on the stack",
			 s->len, s->exec->name, looked_at - equal, exec_name(m, there), exec_tag(there, tag, sizeof tag));
	if (looked_at < s->len)
		snprintf(text + strlen(text), sizeof text - strlen(text), " (of the first %" PRIu64 ")", looked_at);
	if (p.h < 8 && view_columns(text) > p.w) { /* one line, and a short one */
		if (equal == looked_at)
			snprintf(text, sizeof text, "%" PRIu64 " B out; none differs", s->len);
		else
			snprintf(text, sizeof text, "%" PRIu64 " B out, %" PRIu64 " differ ≠", s->len, looked_at - equal);
	}
	if (p.h >= 8)
		return pane_wrap(pane_inside(p, 0, 0, p.w, 3), role, 0, text);
	view_column(p, 0, 0, p.w, role, 0, text);
	return 1;
}

/* How a line is laid out: "-0x38 e4 03 00 .. ≠ e4 03 ..  S1-0x10" */
struct shape {
	int per_line, group; /* bytes; how many without a blank between them */
	bool has_stack;      /* the stack's bytes beside */
	int words;           /* > 0: what the saved word is, in so many columns or more */
	int gap;             /* columns between the two, with the bar or ≠ in their middle */
	int offset_len;
	bool is_short;       /* without 0x */
};

static int bytes_columns(const struct shape *s)
{
	return s->per_line * 2 + (s->per_line - 1) / s->group;
}

static int shape_columns(const struct shape *s)
{
	int n = s->offset_len + 1 + bytes_columns(s) + (s->has_stack ? s->gap + bytes_columns(s) : 1);

	return n + (s->words > 0 ? 1 + s->words : 0);
}

/* @offset: columns that the longest offset needs, with 0x; without, it is left out. */
static struct shape shape_for(int w, int offset)
{
	static const struct shape shapes[] = {
		{ 8, 1, true, 14, 3, 0, false }, { 8, 2, true, 14, 3, 0, false }, { 8, 4, true, 7, 3, 0, false }, { 8, 1, true, 0, 3, 0, false },
		{ 8, 2, true, 0, 3, 0, false }, { 8, 4, true, 0, 3, 0, false }, { 8, 8, true, 0, 3, 0, false }, { 8, 8, true, 0, 1, 0, true },
		{ 8, 1, false, 0, 1, 0, false }, { 8, 2, false, 0, 1, 0, false }, { 8, 8, false, 0, 1, 0, true }, { 4, 4, false, 0, 1, 0, true },
		{ 2, 2, false, 0, 1, 0, true },
	};
	size_t n = sizeof shapes / sizeof shapes[0];
	struct shape s;

	for (size_t i = 0; i < n; i++) {
		s = shapes[i];
		s.offset_len = offset - (s.is_short ? 2 : 0);
		if (shape_columns(&s) <= w)
			break;
	}
	return s;
}

static void draw_byte(struct pane p, int x, int y, bool is_known, uint8_t byte, bool differs, int role)
{
	if (is_known)
		pane_printf(p, x, y, differs ? role : ROLE_DIM, differs ? STYLE_BOLD : 0, "%02x", byte);
	else
		pane_text(p, x, y, ROLE_DIM, 0, "??");
}

/* The byte at @at on both sides. True: both are known, and they differ. */
struct pair {
	uint8_t saved, live;
	bool has_saved, has_live;
};

static bool differs(struct model *m, const struct shown *s, uint64_t at, struct pair *b)
{
	*b = (struct pair){ 0 };
	b->has_saved = memory_read(&m->state.memory, s->buffer + at, &b->saved, 1);
	b->has_live = memory_read(&m->state.memory, s->stack + at, &b->live, 1);
	return b->has_saved && b->has_live && b->saved != b->live;
}

/* What stands at the columns, if there are two. */
static void draw_heading(const struct model *m, const struct shown *s, const struct shape *shape, uint32_t there, struct pane p)
{
	int x = shape->offset_len + 1, n = bytes_columns(shape);
	char tag[16], text[64];

	pane_text(p, 0, 0, exec_role(s->exec->number), 0, exec_tag(s->exec->number, tag, sizeof tag));
	view_column(p, x, 0, n, exec_role(s->exec->number), STYLE_UNDERLINE, "save_buffer");
	pane_put(p, x + n + shape->gap / 2, 0, 0x2502, ROLE_BORDER, 0);
	snprintf(text, sizeof text, there == NO_EXEC || n < 16 ? "on the stack" : "on the stack: %s's", exec_name(m, there));
	if (view_columns(text) > n)
		snprintf(text, sizeof text, "on the stack");
	view_column(p, x + n + shape->gap, 0, n, exec_role(there), STYLE_UNDERLINE, text);
	if (shape->words > 0)
		view_column(p, x + 2 * n + shape->gap + 1, 0, shape->words, ROLE_DIM, 0,
			    shape->words < 14 ? "saved" : "the saved word");
}

/* The word that was saved, as the panes of stacks write it. */
static void draw_word(struct model *m, const struct ui *ui, const struct shown *s, uint64_t at, struct pane p, int x, int y)
{
	char text[128];
	uint64_t value;

	if (s->len - at < sizeof value || !memory_read(&m->state.memory, s->buffer + at, &value, sizeof value))
		return;
	view_column(p, x, y, p.w - x, value_role_at(m, s->exec, value), 0,
		    address_text_at(m, ui, s->exec, value, text, sizeof text));
}

static void draw_line(struct model *m, const struct ui *ui, const struct shown *s, const struct shape *shape, uint32_t there,
		      uint64_t at, struct pane p, int y)
{
	int x, n = bytes_columns(shape), gap = shape->has_stack ? shape->gap : 1;
	bool is_different = false;
	char text[32];

	snprintf(text, sizeof text, shape->is_short ? "-%" PRIx64 : "-0x%" PRIx64, s->len - at);
	x = pane_printf(p, 0, y, ROLE_DIM, 0, "%-*s ", shape->offset_len, text);
	x = x < shape->offset_len + 1 ? x : shape->offset_len + 1;
	for (int i = 0; i < shape->per_line && at + (uint64_t)i < s->len; i++) {
		int column = i * 2 + i / shape->group;
		struct pair b;
		bool is_other = differs(m, s, at + (uint64_t)i, &b);

		is_different |= is_other;
		draw_byte(p, x + column, y, b.has_saved, b.saved, is_other, exec_role(s->exec->number));
		if (shape->has_stack)
			draw_byte(p, x + n + gap + column, y, b.has_live, b.live, is_other, exec_role(there));
	}
	if (is_different)
		pane_put(p, x + n + gap / 2, y, 0x2260, ROLE_TEXT, STYLE_BOLD);
	else if (shape->has_stack)
		pane_put(p, x + n + gap / 2, y, 0x2502, ROLE_BORDER, 0);
	if (shape->words > 0)
		draw_word(m, ui, s, at, p, x + 2 * n + gap + 1, y);
}

/* Which lines to show, by their first byte: all, or with ui->is_diff those that differ. */
static int choose_lines(struct model *m, const struct ui *ui, const struct shown *s, int per_line, uint32_t *lines)
{
	int n = 0;

	for (uint64_t at = 0; at < s->len && at < COMPARE_AT_MOST; at += (uint64_t)per_line) {
		bool is_wanted = !ui->is_diff;
		struct pair b;

		for (int i = 0; !is_wanted && i < per_line && at + (uint64_t)i < s->len; i++)
			is_wanted = differs(m, s, at + (uint64_t)i, &b);
		if (is_wanted)
			lines[n++] = (uint32_t)at;
	}
	return n;
}

static bool has_shared_stack(const struct model *m)
{
	for (size_t i = 0; i < m->n_execs && i < EVENTS_AT_MOST; i++)
		if ((m->execs[i].trace && m->execs[i].trace->kind == EXEC_COPIER) ||
		    (m->execs[i].info && m->execs[i].info->save_buffer != 0))
			return true;
	return false;
}

static void draw_nothing(const struct model *m, struct pane p)
{
	if (!m->layout || !m->layout->has_coroutines)
		pane_wrap(p, ROLE_DIM, 0, "This program swaps contexts that have stacks of their own: nothing is copied.");
	else if (has_shared_stack(m))
		pane_wrap(p, ROLE_DIM, 0, "Nobody is copied out now: who has a shared stack has its bytes on it.");
	else
		pane_wrap(p, ROLE_DIM, 0, "Each coroutine here has a stack of its own: nothing is copied.");
}

static void draw(struct model *m, struct ui *ui, struct pane p)
{
	struct shown s = choose(m, ui);
	static uint32_t lines[COMPARE_AT_MOST / 2];
	struct shape shape;
	uint32_t there;
	int n, first;

	ui->cursor_addr[VIEW_BUFFER] = 0;
	ui->n_lines[VIEW_BUFFER] = 0;
	if (!s.exec) {
		draw_nothing(m, p);
		return;
	}
	there = s.doing == AT_REST ? model_owner(m, s.exec->hi - 8) : s.exec->number;
	if (p.h > 1) {
		int used = summary(m, &s, there, p);

		p = pane_inside(p, 0, used, p.w, p.h - used);
	}
	shape = shape_for(p.w, snprintf(NULL, 0, "-0x%" PRIx64, s.len));
	n = choose_lines(m, ui, &s, shape.per_line, lines);
	if (n == 0 && ui->is_diff) {
		pane_wrap(p, ROLE_DIM, 0, "No byte differs; d shows them all.");
		p.h = 0;
	} else if (shape.has_stack && p.h > 3) {
		draw_heading(m, &s, &shape, there, p);
		p = pane_inside(p, 0, 1, p.w, p.h - 1);
	}
	if (ui->follow[VIEW_BUFFER] != 0) {
		ui->cursor[VIEW_BUFFER] = -1;
		for (int i = 0; i < n; i++)
			if (s.buffer + lines[i] == ui->follow[VIEW_BUFFER])
				ui->cursor[VIEW_BUFFER] = i;
	}
	first = view_window(ui, VIEW_BUFFER, n, p.h, 0);
	for (int y = 0; y < p.h && first + y < n; y++) {
		uint64_t at = lines[first + y];

		draw_line(m, ui, &s, &shape, there, at, p, y);
		if (first + y == ui->cursor[VIEW_BUFFER]) {
			pane_put(p, p.w - 1, y, 0x25c0, ROLE_FOCUS, 0);
			ui->cursor_addr[VIEW_BUFFER] = s.buffer + at;
		}
	}
}

static void title(struct model *m, const struct ui *ui, char *text, size_t len)
{
	struct shown s = choose(m, ui);
	char tag[16];

	if (!s.exec)
		snprintf(text, len, "save_buffer");
	else
		snprintf(text, len, "save_buffer of %s %s%s", s.exec->name,
			 exec_tag(s.exec->number, tag, sizeof tag),
			 s.doing == SAVING ? ": copying out" : s.doing == RESTORING ? ": copying in" : "");
}

const struct view view_buffer = {
	.name = "save_buffer",
	.title = title,
	.draw = draw,
};
