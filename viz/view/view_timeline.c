/* SPDX-License-Identifier: MIT */
/*
 * The timeline: who ran when, from left to right, and where t is.
 *
 *     t=1234/16097  switch 7/16: alice → bob
 *     S0 main   ━━━━·············━━━━
 *     S1 alice  ····━━━━━············
 *     S2 bob    ·········━●━━━━━━····
 *                         ▲
 *
 * One row for each when there is height, else one row with their numbers. When there are
 * more switches than can be told apart, only a part around t is shown. A column is some
 * steps; who ran in it is found by bisection, so a long trace costs no more.
 */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS_PER_SWITCH = 5, AROUND = 2, MAX_ROWS = 64, LABEL_MOST = 14, EVENTS_PER_COLUMN = 32 };

/* Steps [from, to] on @w columns. */
struct axis {
	uint64_t from, to;
	int x, w;
};

static uint64_t step_at(const struct axis *a, int column)
{
	uint64_t n = a->to - a->from;

	/* n * column / w without overflow */
	return a->from + (uint64_t)((double)n * column / (a->w > 1 ? a->w : 1));
}

static int column_of(const struct axis *a, uint64_t t)
{
	uint64_t n = a->to - a->from;
	int column;

	if (t <= a->from || n == 0)
		return 0;
	if (t >= a->to)
		return a->w - 1;
	column = (int)((double)(t - a->from) * a->w / (double)n);
	/* the one whose steps have t, in spite of rounding */
	while (column + 1 < a->w && step_at(a, column + 1) <= t)
		column++;
	while (column > 0 && step_at(a, column) > t)
		column--;
	return column < a->w ? column : a->w - 1;
}

/* --- who ran -------------------------------------------------------------------------- */

static uint32_t who_ran(const struct model *m, uint64_t t)
{
	ptrdiff_t i = model_swap_at(m, t);

	if (i < 0)
		return m->n_swaps > 0 ? m->swaps[0].from : m->current;
	return m->swaps[i].hands != 0 && m->swaps[i].hands <= t ? m->swaps[i].to : m->swaps[i].from;
}

/* All of the trace if its switches can be told apart here, else the steps around t: as
 * many as give those switches that are near t COLUMNS_PER_SWITCH columns each. */
static void choose_steps(const struct model *m, struct axis *a)
{
	ptrdiff_t last = (ptrdiff_t)m->n_swaps - 1, k = m->swap < last ? m->swap : last;
	ptrdiff_t lo = k > AROUND ? k - AROUND : 0, hi = k + AROUND < last ? k + AROUND : last;
	uint64_t n, since;

	a->from = 0;
	a->to = m->last;
	if (hi <= lo || a->w <= 0)
		return;
	n = m->swaps[hi].entry - m->swaps[lo].entry;
	n = (uint64_t)((double)n / (double)(hi - lo) * a->w / COLUMNS_PER_SWITCH) + 1;
	/* the switch before t is to be seen, too */
	since = k >= 0 && m->t > m->swaps[k].entry ? m->t - m->swaps[k].entry : 0;
	if (since > n / 2 - n / 8)
		n = since + since / 2 < m->last ? 2 * (since + since / 4) : m->last;
	if (n >= m->last)
		return;
	a->from = m->t > n / 2 ? m->t - n / 2 : 0;
	a->to = m->last - a->from > n ? a->from + n : m->last;
	a->from = a->to - n;
}

/* --- events --------------------------------------------------------------------------- */

static const struct { uint32_t kind; uint32_t ch; const char *name; } marks[] = {
	/* the first that applies is shown */
	{ EVENT_END, 'E', "end" },     { EVENT_SIGNAL, '!', "signal" }, { EVENT_SAVE, 's', "save" },
	{ EVENT_RESTORE, 'r', "restore" }, { EVENT_EXIT, 'x', "exit" },     { EVENT_CREATE, '+', "create" },
	{ EVENT_FORK, 'f', "fork" },   { EVENT_THREAD, 't', "thread" },
};
enum { N_MARKS = sizeof marks / sizeof marks[0] };

/* The most telling event of the steps [from, to); index in marks, or -1. */
static int event_in(const struct trace_event *all, size_t n, uint64_t from, uint64_t to, uint32_t *who)
{
	size_t i = view_first_event(all, n, from);
	int best = -1;

	for (size_t k = 0; k < EVENTS_PER_COLUMN && i < n && all[i].step < to; k++, i++)
		for (int j = 0; j < (best < 0 ? (int)N_MARKS : best); j++)
			if (marks[j].kind == all[i].kind) {
				best = j;
				*who = all[i].who;
				break;
			}
	return best;
}

static void draw_events(const struct model *m, const struct axis *a, struct pane p, int y)
{
	size_t n = 0;
	const struct trace_event *all = m->trace ? trace_events(m->trace, &n) : NULL;

	for (int i = 0; i < a->w; i++) {
		uint64_t from = step_at(a, i), to = i + 1 < a->w ? step_at(a, i + 1) : a->to + 1;
		uint32_t who = NO_EXEC;
		int mark = event_in(all, n, from, to, &who);

		if (mark >= 0)
			pane_put(p, a->x + i, y, marks[mark].ch, exec_role(who), 0);
	}
}

/* --- rows ------------------------------------------------------------------------------- */

/* How many columns from @i on the same one has, up to @most. */
static int run_len(const struct model *m, const struct axis *a, int i, int most)
{
	uint32_t who = who_ran(m, step_at(a, i));
	int n = 1;

	while (n < most && i + n < a->w && who_ran(m, step_at(a, i + n)) == who)
		n++;
	return n;
}

/* One row for all: a line in the colour of who ran, with the number where it begins; of
 * that, the last digits that there is room for. */
static void draw_one_row(const struct model *m, const struct axis *a, struct pane p, int y)
{
	uint32_t last = NO_EXEC;
	char tag[16] = "";
	size_t at = 0; /* the next of tag to put */

	for (int i = 0; i < a->w; i++) {
		uint32_t who = who_ran(m, step_at(a, i));

		if (i == 0 || who != last) {
			int room = run_len(m, a, i, (int)sizeof tag);

			exec_tag(who, tag, sizeof tag);
			at = strlen(tag) > (size_t)room ? strlen(tag) - (size_t)room : 0;
		}
		pane_put(p, a->x + i, y, tag[at] ? (unsigned char)tag[at] : 0x2501, exec_role(who), tag[at] ? STYLE_BOLD : 0);
		at += tag[at] != '\0';
		last = who;
	}
}

static void add_row(uint32_t *rows, int *n, int most, uint32_t who)
{
	for (int i = 0; i < *n; i++)
		if (rows[i] == who)
			return;
	if (who != NO_EXEC && *n < most)
		rows[(*n)++] = who;
}

/* The execs to give rows: all, or if there are more than @most the two who are shown, then
 * those that run in the steps of @a. */
static int choose_rows(const struct model *m, const struct axis *a, uint32_t *rows, int most)
{
	int n = 0;

	if (m->n_execs > (size_t)most) {
		add_row(rows, &n, most, m->current);
		add_row(rows, &n, most, m->from);
		add_row(rows, &n, most, m->to);
		for (int i = 0; i < a->w && n < most; i++)
			add_row(rows, &n, most, who_ran(m, step_at(a, i)));
	}
	for (size_t i = 0; i < m->n_execs && n < most; i++)
		add_row(rows, &n, most, m->execs[i].number);
	for (int i = 1; i < n; i++) /* few: insert in order */
		for (int k = i; k > 0 && rows[k] < rows[k - 1]; k--) {
			uint32_t x = rows[k];

			rows[k] = rows[k - 1];
			rows[k - 1] = x;
		}
	return n;
}

static void draw_row(const struct model *m, const struct axis *a, uint32_t who, struct pane p, int y)
{
	const struct exec *e = model_exec(m, who);
	char tag[16];
	int x = pane_printf(p, 0, y, exec_role(who), STYLE_BOLD, "%s ", exec_tag(who, tag, sizeof tag));
	int now = column_of(a, m->t);

	view_column(p, x, y, a->x - 1 - x, exec_role(who), e && e->is_on_cpu ? STYLE_BOLD : 0, exec_name(m, who));
	for (int i = 0; i < a->w; i++) {
		bool runs = who_ran(m, step_at(a, i)) == who;

		if (i == now && m->current == who)
			pane_put(p, a->x + i, y, 0x25cf, exec_role(who), STYLE_BOLD);
		else
			pane_put(p, a->x + i, y, runs ? 0x2501 : 0xb7, runs ? exec_role(who) : ROLE_DIM, 0);
	}
}

/* --- the line with numbers ----------------------------------------------------------------- */

static void info_text(const struct model *m, const struct axis *a, int w, char *text, size_t len)
{
	int n = snprintf(text, len, "t=%" PRIu64 "/%" PRIu64 "  switch %td/%zu", m->t, m->last, m->swap + 1, m->n_swaps);
	char part[192] = "";

	if (m->swap >= 0 && (size_t)m->swap < m->n_swaps) {
		const struct swap *s = &m->swaps[m->swap];

		snprintf(part, sizeof part, ": %s → %s%s", exec_name(m, s->from), exec_name(m, s->to),
			 !m->is_in_swap ? "" :
			 s->hands != 0 && m->t >= s->hands ? "  (rsp has changed hands)" :
							     "  (still on the old stack)");
		if (n + view_columns(part) <= w)
			n += snprintf(text + n, len - (size_t)n, "%s", part);
	}
	if (a->from > 0 || a->to < m->last) {
		snprintf(part, sizeof part, "  [shown: %" PRIu64 "-%" PRIu64 "]", a->from, a->to);
		if (view_columns(text) + view_columns(part) <= w)
			snprintf(text + strlen(text), len - strlen(text), "%s", part);
	}
}

/* On the cursor's line, on the side where there is room. */
static void draw_legend(struct pane p, int cursor, int y)
{
	static const char *const legend = "+ create  x exit  s save  r restore  ! signal  E end";
	int len = (int)strlen(legend);

	if (cursor + len + 2 < p.w)
		pane_text(p, p.w - len, y, ROLE_DIM, 0, legend);
	else if (cursor > len + 2)
		pane_text(p, 0, y, ROLE_DIM, 0, legend);
}

/* Where there is height left: the switches around t, one a line. */
static void draw_swaps(const struct model *m, struct pane p)
{
	long n = m->n_swaps < INT32_MAX ? (long)m->n_swaps : INT32_MAX, first = (long)m->swap - p.h / 2;

	first = first + p.h > n ? n - p.h : first;
	first = first < 0 ? 0 : first;
	for (int y = 0; y < p.h && first + y < n; y++) {
		const struct swap *s = &m->swaps[first + y];
		bool is_this = first + y == m->swap;
		int x = 2;

		if (is_this)
			pane_put(p, 0, y, 0x25b6, ROLE_NEXT, STYLE_BOLD);
		x = pane_printf(p, x, y, is_this ? ROLE_NEXT : ROLE_DIM, 0, "switch %-5ld t=%-8" PRIu64 " ", first + y + 1, s->entry);
		x = pane_printf(p, x, y, exec_role(s->from), 0, "%s", exec_name(m, s->from));
		x = pane_text(p, x, y, ROLE_DIM, 0, " → ");
		x = pane_printf(p, x, y, exec_role(s->to), 0, "%s", exec_name(m, s->to));
		if (s->arrival >= s->entry && s->arrival != 0)
			pane_printf(p, x, y, ROLE_DIM, 0, "  %" PRIu64 " instructions", s->arrival - s->entry);
		else
			pane_text(p, x, y, ROLE_DIM, 0, "  not complete");
	}
}

/* Where the mouse finds which step. */
static void tell_axis(struct ui *ui, const struct axis *a)
{
	ui->time_from = a->from;
	ui->time_to = a->to;
	ui->time_x = a->x;
	ui->time_w = a->w;
}

static void draw(struct model *m, struct ui *ui, struct pane p)
{
	uint32_t rows[MAX_ROWS];
	struct axis a = { .w = p.w };
	char text[320];
	int n = 0, y = 0, x;

	ui->n_lines[VIEW_TIMELINE] = 1;
	if (p.w <= 0 || p.h <= 0)
		return;
	if (p.h >= 5 && p.w >= 40) {
		a.w = p.w - LABEL_MOST;
		choose_steps(m, &a);
		/* below the rows: the events and the cursor, on one line if that makes room for all */
		n = p.h - (m->n_execs == (size_t)p.h - 2 ? 2 : 3);
		n = choose_rows(m, &a, rows, n < MAX_ROWS ? n : MAX_ROWS);
		for (int i = 0; i < n; i++) {
			int len = view_columns(exec_name(m, rows[i])) + 4 + (rows[i] > 9) + (rows[i] > 99) + (rows[i] > 999);

			a.x = len > a.x ? len : a.x;
		}
		a.x = a.x > LABEL_MOST ? LABEL_MOST : a.x;
		a.w = p.w - a.x;
	}
	choose_steps(m, &a);
	tell_axis(ui, &a);
	info_text(m, &a, p.w, text, sizeof text);
	if (p.h == 1 && ui->is_big) { /* without an axis */
		a = (struct axis){ .to = m->last };
		info_text(m, &a, p.w, text, sizeof text);
		view_column(p, 0, 0, p.w, ROLE_TEXT, STYLE_BOLD, text);
		return;
	}
	if (p.h == 1) {
		/* the cursor takes the place of what runs there */
		int len = view_columns(text) + 1;

		if (p.w > len + 12) {
			a.w = p.w - len - 1;
			choose_steps(m, &a);
			tell_axis(ui, &a);
			draw_one_row(m, &a, p, 0);
			pane_put(p, column_of(&a, m->t), 0, 0x25b2, ROLE_NEXT, STYLE_BOLD);
			pane_text(p, a.w + 1, 0, ROLE_TEXT, 0, text);
		} else {
			view_column(p, 0, 0, p.w, ROLE_TEXT, 0, text);
		}
		return;
	}
	x = column_of(&a, m->t);
	view_column(p, 0, y++, p.w, ROLE_TEXT, STYLE_BOLD, text);
	if (n > 0)
		for (int i = 0; i < n; i++)
			draw_row(m, &a, rows[i], p, y++);
	else
		draw_one_row(m, &a, p, y++);
	if (y >= p.h) {
		pane_put(p, a.x + x, y - 1, 0x25b2, ROLE_NEXT, STYLE_BOLD);
		return;
	}
	/* events and the cursor on one line if there is only one left */
	draw_events(m, &a, p, y);
	if (y + 1 < p.h)
		draw_legend(p, a.x + x, ++y);
	pane_put(p, a.x + x, y, 0x25b2, ROLE_NEXT, STYLE_BOLD);
	if (p.h - y > 3)
		draw_swaps(m, pane_inside(p, 0, y + 2, p.w, p.h - y - 2));
}

static void title(struct model *m, const struct ui *ui, char *text, size_t len)
{
	const char *damage = m->trace ? trace_damage(m->trace) : NULL;

	if (damage && !ui->is_live)
		snprintf(text, len, "timeline (%s)", damage);
	else
		snprintf(text, len, "timeline");
}

const struct view view_timeline = {
	.name = "timeline",
	.title = title,
	.draw = draw,
};
