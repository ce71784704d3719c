/* SPDX-License-Identifier: MIT */
/*
 * The output pane: what the program had printed by t. What it prints later is not there
 * yet, so that travelling back takes words away again.
 *
 * Only the end of a long output is kept: KEPT bytes before t.
 */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { KEPT = 64 * 1024, MAX_LINES = 4096, TAB = 8, LINE_LEN = 512 };

/* How many of @all were seen by step @t. */
static size_t n_until(const struct trace_output *all, size_t n, uint64_t t)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;

		if (all[middle].step <= t)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo;
}

/* The last bytes of the first @n chunks, into @text, which has KEPT + 1. */
static size_t collect(const struct trace_output *all, size_t n, char *text)
{
	size_t first = n, len = 0, at = 0;

	while (first > 0 && len < KEPT)
		len += all[--first].len;
	for (size_t i = first; i < n; i++) {
		size_t skip = i == first && len > KEPT ? len - KEPT : 0;
		size_t part = all[i].len - skip;

		if (part > KEPT - at)
			part = KEPT - at;
		memcpy(text + at, all[i].bytes + skip, part);
		at += part;
	}
	return at;
}

struct lines {
	const char *begin[MAX_LINES];
	size_t len[MAX_LINES];
	int n;
};

/* The last MAX_LINES lines of @text. */
static void cut_lines(const char *text, size_t len, struct lines *l)
{
	size_t end = len, i = len;

	l->n = 0;
	if (len > 0 && text[len - 1] == '\n')
		i = --end;
	if (len == 0)
		return;
	/* backwards, then turned round */
	for (;;) {
		if (i == 0 || text[i - 1] == '\n') {
			l->begin[l->n] = text + i;
			l->len[l->n++] = end - i;
			if (i == 0 || l->n == MAX_LINES)
				break;
			end = --i;
			continue;
		}
		i--;
	}
	for (int a = 0, b = l->n - 1; a < b; a++, b--) {
		const char *begin = l->begin[a];
		size_t n = l->len[a];

		l->begin[a] = l->begin[b];
		l->len[a] = l->len[b];
		l->begin[b] = begin;
		l->len[b] = n;
	}
}

static void show_line(struct pane p, int y, const char *from, size_t len, int style)
{
	char text[LINE_LEN];
	size_t n = 0;

	for (size_t i = 0; i < len && n < sizeof text - TAB - 1; i++) {
		if (from[i] == '\r')
			continue;
		if (from[i] == '\t')
			do
				text[n++] = ' ';
			while (n % TAB != 0);
		else
			text[n++] = from[i] ? from[i] : '.';
	}
	text[n] = '\0';
	view_column(p, 2, y, p.w - 2, ROLE_TEXT, style, text);
}

static void draw(struct model *m, struct ui *ui, struct pane p)
{
	static char text[KEPT + 1];
	static struct lines lines;
	size_t n = 0;
	const struct trace_output *all = m->trace ? trace_outputs(m->trace, &n) : NULL;
	size_t until = n_until(all, n, m->t);
	bool is_new = until > 0 && all[until - 1].step == m->t && m->t > 0;
	int first;

	cut_lines(text, collect(all, until, text), &lines);
	first = view_window(ui, VIEW_OUTPUT, lines.n, p.h, lines.n);
	if (lines.n == 0)
		view_column(p, 0, 0, p.w, ROLE_DIM, 0, n || ui->is_live ? "nothing yet" : "the program prints nothing");
	for (int y = 0; y < p.h && first + y < lines.n; y++) {
		int i = first + y;
		bool is_last = i == lines.n - 1;

		if (is_last)
			pane_put(p, 0, y, 0x25b6, ROLE_NEXT, 0);
		show_line(p, y, lines.begin[i], lines.len[i],
			  is_last && is_new ? STYLE_CHANGED : is_last ? STYLE_BOLD : 0);
	}
}

static void title(struct model *m, const struct ui *ui, char *text, size_t len)
{
	size_t n = 0;
	const struct trace_output *all = m->trace ? trace_outputs(m->trace, &n) : NULL;

	(void)ui;
	if (n_until(all, n, m->t) < n)
		snprintf(text, len, "output so far");
	else
		snprintf(text, len, "output");
}

const struct view view_output = {
	.name = "output",
	.title = title,
	.draw = draw,
};
