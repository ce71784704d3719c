/* SPDX-License-Identifier: MIT */
/*
 * The pane of coroutines: one line for each execution that exists at t.
 *
 *     ▶S1 alice    running      344 ▓▓▓░░ shared:in     ← main  ×3
 *
 * ▶ is by the CPU (its rsp), the word is what the library says. In the middle of a
 * switch the two differ for some instructions: that is what one is here to see.
 *
 * When there is no room for all columns but height for it, each one takes two lines; else
 * columns are left out from the right.
 */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MARK = 1, NAME_MOST = 16, STATE_LEN = 9, USED_LEN = 8, BAR_LEN = 5, WHERE_LEN = 12, BY_LEN = 12, TIMES_LEN = 6, AT_LEN = 24,
       ROOM_FOR_TITLE = 28 /* the whole of it */,
       LOOK_AT_MOST = 256 };

struct columns {
	int tag, name;
	bool has_state, has_used, has_bar, has_where, has_by, has_times, has_at;
	int lines; /* for each: 1 or 2 */
};

/* Room for @want more columns and a gap? Then they are taken from @left. */
static bool take(int *left, int want)
{
	if (*left < want + 1)
		return false;
	*left -= want + 1;
	return true;
}

static struct columns choose(const struct model *m, int w, int first, int h)
{
	struct columns c = { .tag = 2, .name = 4, .lines = 1 };
	int left = w - MARK;

	for (int y = 0; y < h && (size_t)(first + y) < m->n_execs; y++) {
		char tag[16];
		int n = view_columns(m->execs[first + y].name);
		int tag_len = (int)strlen(exec_tag(m->execs[first + y].number, tag, sizeof tag));

		c.name = n > c.name ? n : c.name;
		c.tag = tag_len > c.tag ? tag_len : c.tag;
	}
	c.name = c.name > NAME_MOST ? NAME_MOST : c.name;
	left -= c.tag + 1;
	if (c.name > left)
		c.name = left < 0 ? 0 : left;
	left -= c.name;
	c.has_state = take(&left, STATE_LEN);
	c.has_used = take(&left, USED_LEN);
	c.has_where = take(&left, WHERE_LEN);
	c.has_by = take(&left, BY_LEN);
	c.has_times = take(&left, TIMES_LEN);
	c.has_bar = take(&left, BAR_LEN);
	c.has_at = take(&left, AT_LEN);
	return c;
}

static uint64_t used(const struct exec *e)
{
	return e->hi != 0 && e->rsp != 0 && e->rsp <= e->hi && e->rsp >= e->lo ? e->hi - e->rsp : 0;
}

/* The biggest of those that are shown: what a full bar means. */
static uint64_t most_used(const struct model *m, int first, int h)
{
	uint64_t most = 0;

	for (int y = 0; y < h && (size_t)(first + y) < m->n_execs; y++) {
		const struct exec *e = &m->execs[first + y];

		if (e->trace && e->trace->kind != EXEC_MAIN && used(e) > most)
			most = used(e);
	}
	return most;
}

static bool shares_its_stack(const struct model *m, const struct exec *e)
{
	if (e->info && (e->info->is_shared || e->info->save_buffer != 0))
		return true;
	for (size_t i = 0; e->hi != 0 && i < m->n_execs && i < LOOK_AT_MOST; i++)
		if (m->execs[i].number != e->number && m->execs[i].hi == e->hi && m->execs[i].lo == e->lo)
			return true;
	return false;
}

static const char *where(const struct model *m, const struct exec *e)
{
	if (e->hi == 0)
		return "no stack yet";
	if (e->trace && e->trace->kind == EXEC_MAIN)
		return "thread's";
	if (e->is_out)
		return "shared:saved";
	if (shares_its_stack(m, e))
		return model_owner(m, e->hi - 8) == e->number ? "shared:in" : "shared";
	return "private";
}

/* What there is instead of a state: no environment knows of this one. */
static void bare(struct model *m, const struct ui *ui, const struct exec *e, struct pane p, int x, int y)
{
	struct regs regs;
	char rsp[64], rip[64], both[192];

	if (!model_exec_regs(m, e, &regs)) {
		view_column(p, x, y, p.w - x, ROLE_DIM, 0, e->is_on_cpu ? "" : "nothing saved yet");
		return;
	}
	snprintf(both, sizeof both, "%srsp %s  rip %s", e->is_on_cpu ? "" : "saved ",
		 address_text(m, ui, regs.r[REG_RSP], rsp, sizeof rsp),
		 address_text(m, ui, regs.r[REG_RIP], rip, sizeof rip));
	view_column(p, x, y, p.w - x, e->is_on_cpu ? ROLE_TEXT : ROLE_DIM, 0, both);
}

static void used_text(const struct exec *e, char *text, size_t len)
{
	if (e->hi == 0 || e->rsp == 0)
		snprintf(text, len, "-");
	else if (used(e) < 100000)
		snprintf(text, len, "%" PRIu64 " B", used(e));
	else
		snprintf(text, len, "%" PRIu64 " KiB", used(e) / 1024);
}

static void resumer_text(const struct model *m, const struct exec *e, char *text, size_t len)
{
	const struct co_info *by = e->info->resumer ? co_table_by_co(&m->table, e->info->resumer) : NULL;

	text[0] = '\0';
	if (by && by->is_main)
		snprintf(text, len, "← main");
	else if (by && by->name[0])
		snprintf(text, len, "← %s", by->name);
	else if (by)
		snprintf(text, len, "← co %" PRIu32, by->id);
}

/* What is known beyond name and state. Alone on a line (of two), without columns. */
static void facts(const struct model *m, const struct exec *e, const struct columns *c, uint64_t most, struct pane p,
		  int x, int y)
{
	bool is_alone = c->lines == 2;
	int role = exec_role(e->number);
	char text[64], cell[96];

	used_text(e, text, sizeof text);
	snprintf(cell, sizeof cell, "%*s", is_alone ? 0 : USED_LEN, text);
	if (is_alone || c->has_used)
		x = view_column(p, x, y, is_alone ? view_columns(cell) : USED_LEN, ROLE_TEXT, 0, cell) + 1;
	if (c->has_bar) {
		if (e->trace && e->trace->kind != EXEC_MAIN)
			view_bar(p, x, y, BAR_LEN, used(e), most, role);
		x += BAR_LEN + 1;
	}
	if (is_alone || c->has_where)
		x = view_column(p, x, y, is_alone ? view_columns(where(m, e)) : WHERE_LEN, e->is_out ? role : ROLE_DIM, 0,
				where(m, e)) + 1;
	resumer_text(m, e, text, sizeof text);
	if (is_alone && x + view_columns(text) > p.w)
		return;
	if ((is_alone && text[0]) || c->has_by)
		x = view_column(p, x, y, is_alone ? view_columns(text) : BY_LEN, ROLE_TEXT, 0, text) + 1;
	if ((is_alone || c->has_times) && !e->info->is_main) {
		snprintf(text, sizeof text, "x%" PRIu64, e->info->n_resumes);
		if (x + view_columns(text) <= p.w || !is_alone)
			view_column(p, x, y, TIMES_LEN, ROLE_DIM, 0, text);
	}
	if (c->has_at && !e->is_on_cpu && e->info->blocked_at != 0 && m->symbols)
		view_column(p, x + TIMES_LEN + 1, y, p.w - x - TIMES_LEN - 1, ROLE_TEXT, 0,
			    symbol_text(m->symbols, e->info->blocked_at, cell, sizeof cell));
}

static void line(struct model *m, const struct ui *ui, const struct exec *e, const struct columns *c, uint64_t most,
		 struct pane p, int y)
{
	int role = exec_role(e->number), x = MARK;
	int style = e->is_on_cpu ? STYLE_BOLD : 0;
	char text[64];

	if (e->is_on_cpu)
		pane_put(p, 0, y, 0x25b6, ROLE_NEXT, STYLE_BOLD);
	x = view_column(p, x, y, c->tag, role, style, exec_tag(e->number, text, sizeof text)) + 1;
	x = view_column(p, x, y, c->name, role, style, e->name) + 1;
	if (!e->info) {
		bare(m, ui, e, p, c->lines == 2 ? MARK + c->tag + 1 : x, y + c->lines - 1);
		return;
	}
	if (c->has_state)
		x = view_column(p, x, y, STATE_LEN, e->is_on_cpu ? ROLE_TEXT : ROLE_DIM, style,
				e->state && e->state[0] ? e->state : "?") + 1;
	if (c->lines == 2)
		facts(m, e, c, most, p, MARK + c->tag + 1, y + 1);
	else
		facts(m, e, c, most, p, x, y);
}

static void header(const struct columns *c, struct pane p)
{
	int x = MARK + c->tag + 1;
	bool says_sign = p.w < ROOM_FOR_TITLE && x + c->name >= 8; /* else the title does */

	view_column(p, says_sign ? 0 : x, 0, says_sign ? x + c->name : c->name, ROLE_DIM, 0, says_sign ? "▶ on CPU" : "name");
	x += c->name + 1;
	if (c->has_state)
		x = view_column(p, x, 0, STATE_LEN, ROLE_DIM, 0, "state") + 1;
	if (c->has_used)
		x = view_column(p, x, 0, USED_LEN, ROLE_DIM, 0, "  stack") + 1;
	if (c->has_bar)
		x += BAR_LEN + 1;
	if (c->has_where)
		x = view_column(p, x, 0, WHERE_LEN, ROLE_DIM, 0, "its bytes") + 1;
	if (c->has_by)
		x = view_column(p, x, 0, BY_LEN, ROLE_DIM, 0, "resumed by") + 1;
	if (c->has_times)
		x = view_column(p, x, 0, TIMES_LEN, ROLE_DIM, 0, "times") + 1;
	if (c->has_at)
		view_column(p, x, 0, AT_LEN, ROLE_DIM, 0, "goes on at");
}

static void draw(struct model *m, struct ui *ui, struct pane p)
{
	int n = m->n_execs > INT16_MAX ? INT16_MAX : (int)m->n_execs;
	int current = 0, first;
	long from;
	struct columns c;
	uint64_t most;

	for (int i = 0; i < n; i++)
		if (m->execs[i].is_on_cpu)
			current = i;
	if (n == 0) {
		ui->n_lines[VIEW_COROUTINES] = 0;
		view_column(p, 0, 0, p.w, ROLE_DIM, 0, "nobody yet");
		return;
	}
	/* by those that are, or will be, in sight */
	from = (long)current + ui->scroll[VIEW_COROUTINES] - p.h;
	from = from > n - p.h ? n - p.h : from;
	c = choose(m, p.w, from < 0 ? 0 : (int)from, 2 * p.h + 1);
	if (!c.has_times && p.h >= 2 * n) {
		c.lines = 2;
		c.has_state = true;
		c.has_used = c.has_where = c.has_by = c.has_times = false;
		c.has_bar = p.w >= 32;
	}
	if (c.lines == 2 && p.h > 2 * n && p.w < ROOM_FOR_TITLE) {
		pane_text(p, 0, p.h - 1, ROLE_DIM, 0, "▶ on the CPU");
		p = pane_inside(p, 0, 0, p.w, p.h - 1);
	}
	if (p.h > n * c.lines && c.has_state && c.lines == 1) {
		header(&c, p);
		p = pane_inside(p, 0, 1, p.w, p.h - 1);
	}
	if (p.h > n && m->table.problem) {
		view_column(p, 0, p.h - 1, p.w, ROLE_BAD, 0, m->table.problem);
		p = pane_inside(p, 0, 0, p.w, p.h - 1);
	}
	first = view_window(ui, VIEW_COROUTINES, n, p.h / c.lines, current - p.h / c.lines / 2);
	most = most_used(m, first, p.h);
	for (int i = first; i < n && (i - first) * c.lines < p.h; i++) {
		int y = (i - first) * c.lines;

		line(m, ui, &m->execs[i], &c, most, p, y);
		if (i == ui->cursor[VIEW_COROUTINES])
			pane_put(p, p.w - 1, y, 0x25c0, ROLE_FOCUS, 0);
	}
}

static void title(struct model *m, const struct ui *ui, char *text, size_t len)
{
	(void)ui;
	if (m->layout && m->layout->has_coroutines)
		snprintf(text, len, "coroutines\n, ▶ on the CPU");
	else
		snprintf(text, len, "contexts\n, ▶ on the CPU");
}

const struct view view_coroutines = {
	.name = "coroutines",
	.title = title,
	.draw = draw,
};
