/* SPDX-License-Identifier: MIT */
/*
 * A screen is rows of panes, the sentence and the status line below them.
 *
 * The table says which rows there are, from which size on; where there is less room, the
 * first thing that goes is the output, then the save_buffer, coroutines, registers, timeline,
 * the stacks; code stays. Rows with a weight share what those with fixed lines leave.
 */
#include "arrange.h"

#include <limits.h>
#include <string.h>

enum { IN_ROW = 4, ROWS_MAX = 6, NOT = -1 };

struct cell_of_row {
	int view;
	int weight;  /* of the width; 0: no cell */
	int instead; /* the view that takes this place while it has the focus; or NOT */
};

struct row {
	int min_w, max_w, min_h, max_h; /* sizes (h: without sentence and status) that have this row */
	int lines;  /* 0: by weight */
	int weight;
	struct cell_of_row cells[IN_ROW];
};

static const struct row rows[] = {
	/* wide: three columns, everything */
	{ 110, INT_MAX, 18, INT_MAX, 0, 10, { { VIEW_COROUTINES, 25, NOT }, { VIEW_CODE, 50, NOT }, { VIEW_REGISTERS, 45, NOT } } },
	{ 110, INT_MAX, 0, 17, 0, 10, { { VIEW_CODE, 40, VIEW_COROUTINES }, { VIEW_REGISTERS, 36, VIEW_TIMELINE },
					{ VIEW_STACK_A, 24, VIEW_BUFFER }, { VIEW_STACK_B, 24, VIEW_OUTPUT } } },
	{ 110, INT_MAX, 18, INT_MAX, 0, 11, { { VIEW_STACK_A, 40, NOT }, { VIEW_STACK_B, 40, NOT }, { VIEW_BUFFER, 40, NOT } } },
	{ 110, INT_MAX, 38, INT_MAX, 6, 0, { { VIEW_TIMELINE, 80, NOT }, { VIEW_OUTPUT, 40, NOT } } },
	{ 110, INT_MAX, 28, 37, 4, 0, { { VIEW_TIMELINE, 80, NOT }, { VIEW_OUTPUT, 40, NOT } } },
	{ 110, INT_MAX, 18, 27, 2, 0, { { VIEW_TIMELINE, 80, NOT }, { VIEW_OUTPUT, 40, NOT } } },
	/* 80 columns */
	{ 54, 109, 0, INT_MAX, 0, 11, { { VIEW_CODE, 44, NOT }, { VIEW_REGISTERS, 37, NOT } } },
	{ 74, 109, 11, INT_MAX, 0, 9, { { VIEW_STACK_A, 28, NOT }, { VIEW_STACK_B, 28, NOT }, { VIEW_COROUTINES, 25, VIEW_BUFFER } } },
	{ 54, 73, 11, INT_MAX, 0, 9, { { VIEW_STACK_A, 1, VIEW_COROUTINES }, { VIEW_STACK_B, 1, VIEW_BUFFER } } },
	{ 54, 109, 34, INT_MAX, 0, 6, { { VIEW_BUFFER, 3, VIEW_COROUTINES }, { VIEW_OUTPUT, 2, NOT } } },
	/* narrow */
	{ 0, 53, 0, INT_MAX, 0, 10, { { VIEW_CODE, 1, VIEW_COROUTINES } } },
	{ 0, 53, 22, INT_MAX, 0, 8, { { VIEW_REGISTERS, 1, VIEW_BUFFER } } },
	{ 36, 53, 11, INT_MAX, 0, 9, { { VIEW_STACK_A, 1, VIEW_REGISTERS }, { VIEW_STACK_B, 1, VIEW_BUFFER } } },
	{ 0, 35, 11, INT_MAX, 0, 9, { { VIEW_STACK_A, 1, VIEW_STACK_B } } },
	{ 0, 53, 34, INT_MAX, 0, 7, { { VIEW_COROUTINES, 1, NOT } } },
	{ 0, 109, 24, INT_MAX, 3, 0, { { VIEW_TIMELINE, 1, VIEW_OUTPUT } } },
	{ 0, 109, 18, 23, 2, 0, { { VIEW_TIMELINE, 1, VIEW_OUTPUT } } },
	{ 0, 109, 14, 17, 1, 0, { { VIEW_TIMELINE, 1, VIEW_OUTPUT } } },
};

/* On a projector: what the eye must follow, and nothing else. */
static const struct row big_rows[] = {
	{ 54, INT_MAX, 0, INT_MAX, 0, 10, { { VIEW_CODE, 50, VIEW_COROUTINES }, { VIEW_REGISTERS, 40, VIEW_OUTPUT } } },
	{ 0, 53, 0, INT_MAX, 0, 10, { { VIEW_CODE, 1, VIEW_REGISTERS } } },
	{ 36, INT_MAX, 11, INT_MAX, 0, 9, { { VIEW_STACK_A, 1, VIEW_TIMELINE }, { VIEW_STACK_B, 1, VIEW_BUFFER } } },
	{ 54, INT_MAX, 16, INT_MAX, 1, 0, { { VIEW_TIMELINE, 1, NOT } } },
};

static bool has_row(const struct row *r, int w, int h)
{
	return w >= r->min_w && w <= r->max_w && h >= r->min_h && h <= r->max_h;
}

/* @wanted: the view that has no place of its own; or NOT. It takes the first that it may. */
static int view_of(const struct cell_of_row *c, int wanted, const struct arrangement *a)
{
	return wanted != NOT && c->instead == wanted && a->view[wanted].w == 0 ? wanted : c->view;
}

/* Cut @len cells after @at by weights; each part shares its last cell with the next. */
static int part_end(int at, int len, int sum, int upto)
{
	return at + (int)((long)(len - 1) * upto / sum);
}

static void place_row(const struct row *r, int w, int y, int h, int wanted, struct arrangement *a)
{
	int sum = 0, upto = 0, x = 0;

	for (int i = 0; i < IN_ROW; i++)
		sum += r->cells[i].weight;
	for (int i = 0; i < IN_ROW && r->cells[i].weight > 0; i++) {
		upto += r->cells[i].weight;
		int end = part_end(0, w, sum, upto);
		a->view[view_of(&r->cells[i], wanted, a)] = (struct rect){ x, y, end - x + 1, h };
		x = end;
	}
}

/* All rows into @h lines. Fixed rows first: they take their lines and one edge. */
static void place_rows(const struct row *const *chosen, int n, int w, int h, int wanted, struct arrangement *a)
{
	int fixed = 0, sum = 0, upto = 0, y = 0, start = 0;

	for (int i = 0; i < n; i++) {
		fixed += chosen[i]->lines ? chosen[i]->lines + 1 : 0;
		sum += chosen[i]->weight;
	}
	for (int i = 0; i < n; i++) {
		int end = y + chosen[i]->lines + 1;
		if (!chosen[i]->lines) {
			upto += chosen[i]->weight;
			end = part_end(start, h - fixed, sum, upto);
		} else {
			start += chosen[i]->lines + 1;
		}
		place_row(chosen[i], w, y, end - y + 1, wanted, a);
		y = end;
	}
}

static int sentence_lines(int w, int h, const struct ui *ui)
{
	if (ui->is_big)
		return h < 14 ? 1 : 3;
	return h < 10 || (h < 16 && w >= 80) ? 1 : w < 60 && h >= 24 ? 3 : 2;
}

/* Is the pane with the focus on the screen? Not all have a place, or somebody to take it from. */
static bool is_shown(const struct arrangement *a, const struct ui *ui)
{
	return a->view[ui->focus].w > 0;
}

void arrange(int w, int h, const struct ui *ui, struct arrangement *a)
{
	const struct row *table = ui->is_big ? big_rows : rows, *chosen[ROWS_MAX];
	int n_table = ui->is_big ? sizeof(big_rows) / sizeof(big_rows[0]) : sizeof(rows) / sizeof(rows[0]);
	int n_sentence = sentence_lines(w, h, ui), body = h - n_sentence - 1, n = 0;

	memset(a, 0, sizeof(*a));
	a->is_too_small = w < MIN_W || h < MIN_H;
	if (a->is_too_small)
		return;
	a->sentence = (struct rect){ 0, body, w, n_sentence };
	a->status = (struct rect){ 0, h - 1, w, 1 };
	for (int i = 0; i < n_table && n < ROWS_MAX; i++)
		if (has_row(&table[i], w, body))
			chosen[n++] = &table[i];
	place_rows(chosen, n, w, body, NOT, a);
	if (!is_shown(a, ui) || (ui->is_big && ui->is_copying && ui->focus != VIEW_STACK_B)) {
		int wanted = is_shown(a, ui) ? VIEW_BUFFER : (int)ui->focus;
		memset(a->view, 0, sizeof(a->view));
		place_rows(chosen, n, w, body, wanted, a);
	}
	if (ui->is_zoomed || !is_shown(a, ui)) {
		memset(a->view, 0, sizeof(a->view));
		a->view[ui->focus] = (struct rect){ 0, 0, w, body };
	}
}
