/* SPDX-License-Identifier: MIT */
/* What the views have in common: names, windows on long lists, columns and bars. */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct view *const views[N_VIEWS] = {
	[VIEW_COROUTINES] = &view_coroutines,
	[VIEW_CODE] = &view_code,
	[VIEW_REGISTERS] = &view_registers,
	[VIEW_STACK_A] = &view_stack_a,
	[VIEW_STACK_B] = &view_stack_b,
	[VIEW_BUFFER] = &view_buffer,
	[VIEW_TIMELINE] = &view_timeline,
	[VIEW_OUTPUT] = &view_output,
};

/* --- execs ------------------------------------------------------------------------- */

int exec_role(uint32_t number)
{
	return number == NO_EXEC ? ROLE_TEXT : ROLE_EXEC0 + (int)(number % 8);
}

const char *exec_name(const struct model *m, uint32_t number)
{
	const struct exec *e = model_exec(m, number);
	size_t n = 0;
	const struct trace_exec *all;

	if (e)
		return e->name;
	all = m->trace ? trace_execs(m->trace, &n) : NULL;
	return number < n && all[number].name[0] ? all[number].name : "?";
}

char *exec_tag(uint32_t number, char *text, size_t len)
{
	if (number == NO_EXEC)
		snprintf(text, len, "S?");
	else
		snprintf(text, len, "S%" PRIu32, number);
	return text;
}

const struct exec *view_side(const struct model *m, const struct ui *ui, int side)
{
	if (side == 0)
		return model_exec(m, ui->pinned != NO_EXEC ? ui->pinned : m->from);
	/* Pinned on the left: on the right whoever it deals with. */
	if (ui->pinned != NO_EXEC && ui->pinned == m->to)
		return model_exec(m, m->from);
	return model_exec(m, m->to);
}

/* --- names ----------------------------------------------------------------------------- */

char *function_name(struct model *m, uint64_t addr, char *text, size_t len)
{
	struct symbol found;

	if (m->symbols && symbol_at(m->symbols, addr, &found) && found.name)
		snprintf(text, len, "%s", found.name);
	else
		snprintf(text, len, "?");
	return text;
}

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

size_t view_first_event(const struct trace_event *all, size_t n, uint64_t step)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;

		if (all[middle].step < step)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo;
}

/* --- drawing ------------------------------------------------------------------------- */

static int between(long lo, long value, long hi)
{
	return (int)(value < lo ? lo : value > hi ? hi : value);
}

int view_window(struct ui *ui, enum view_id id, int n_lines, int h, int natural)
{
	int last = n_lines > h && h > 0 ? n_lines - h : 0;
	int first;

	natural = between(0, natural, last);
	first = between(0, (long)natural + ui->scroll[id], last);
	ui->n_lines[id] = n_lines;
	ui->cursor[id] = between(-1, ui->cursor[id], n_lines - 1);
	if (ui->cursor[id] >= 0 && h > 0) {
		if (ui->cursor[id] < first)
			first = ui->cursor[id];
		if (ui->cursor[id] >= first + h)
			first = ui->cursor[id] - h + 1;
	}
	ui->scroll[id] = first - natural;
	ui->first_line[id] = first;
	ui->window_h[id] = h;
	return first;
}

static bool begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

int view_columns(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += begins_character(*text);
	return n;
}

int view_column(struct pane p, int x, int y, int w, int role, int style, const char *text)
{
	char cut[512];
	size_t len = 0;
	int n = 0;

	if (w <= 0)
		return x;
	if (view_columns(text) <= w) {
		pane_text(p, x, y, role, style, text);
		return x + w;
	}
	for (; text[len] && len < sizeof cut - 1; len++) {
		if (begins_character(text[len]) && n++ == w - 1)
			break;
		cut[len] = text[len];
	}
	cut[len] = '\0';
	pane_text(p, x, y, role, style, cut);
	pane_put(p, x + w - 1, y, 0x2026, role, style);
	return x + w;
}

void view_bar(struct pane p, int x, int y, int w, uint64_t part, uint64_t whole, int role)
{
	double share = whole ? (double)part / (double)whole : 0;
	int full = (int)((share > 1 ? 1 : share) * w + 0.5);

	if (full == 0 && part > 0)
		full = 1;
	if (full == w && part < whole)
		full = w - 1;
	for (int i = 0; i < w; i++)
		pane_put(p, x + i, y, i < full ? 0x2593 : 0x2591, i < full ? role : ROLE_DIM, 0);
}
