/* SPDX-License-Identifier: MIT */
/*
 * A grid with colours for a terminal: whole, or as the change from another one.
 *
 * Only sequences of ECMA-48 that every terminal of today knows: SGR and the cursor's place.
 */
#include "export.h"

/* SGR for @look. It begins with a reset, so that runs do not depend on each other. */
static void put_look(FILE *f, struct look look)
{
	fputs("\033[0", f);
	if (look.is_bold)
		fputs(";1", f);
	if (look.is_faint)
		fputs(";2", f);
	if (look.is_underlined)
		fputs(";4", f);
	if (look.is_reversed)
		fputs(";7", f);
	if (look.fg >= 0)
		fprintf(f, look.fg < 8 ? ";3%d" : ";38;5;%d", look.fg);
	if (look.bg >= 0)
		fprintf(f, look.bg < 8 ? ";4%d" : ";48;5;%d", look.bg);
	putc('m', f);
}

/* -1: none yet. */
struct pen {
	int role, style;
};

static void put_cell(FILE *f, const struct cell *c, struct pen *pen, enum palette palette)
{
	char bytes[5];

	if (c->role != pen->role || c->style != pen->style)
		put_look(f, palette_look(palette, c->role, c->style));
	*pen = (struct pen){ c->role, c->style };
	utf8_put(c->ch, bytes);
	fputs(bytes, f);
}

static bool is_blank(const struct cell *c)
{
	return c->ch == ' ' && !(c->style & (STYLE_CHANGED | STYLE_UNDERLINE));
}

int export_ansi(FILE *f, const struct grid *g, enum palette palette)
{
	for (int y = 0; y < g->h; y++) {
		const struct cell *line = &g->cells[(size_t)y * (size_t)g->w];
		struct pen pen = { -1, -1 };
		int w = g->w;

		while (w > 0 && is_blank(&line[w - 1]))
			w--;
		for (int x = 0; x < w; x++)
			put_cell(f, &line[x], &pen, palette);
		fputs(w ? "\033[0m\n" : "\n", f);
	}
	return ferror(f) ? -1 : 0;
}

static bool is_same(const struct cell *a, const struct cell *b)
{
	return a->ch == b->ch && a->role == b->role && a->style == b->style;
}

int export_ansi_change(FILE *f, const struct grid *before, const struct grid *g, enum palette palette)
{
	bool is_all = !before || before->w != g->w || before->h != g->h;
	struct pen pen = { -1, -1 };
	int at = -1; /* the cell where the cursor stands */

	if (is_all)
		fputs("\033[0m\033[2J", f);
	for (int i = 0; i < g->w * g->h; i++) {
		if (is_all ? is_blank(&g->cells[i]) : is_same(&before->cells[i], &g->cells[i]))
			continue;
		if (i != at || i % g->w == 0) /* at the edge terminals differ */
			fprintf(f, "\033[%d;%dH", i / g->w + 1, i % g->w + 1);
		put_cell(f, &g->cells[i], &pen, palette);
		at = i + 1;
	}
	if (pen.role >= 0)
		fputs("\033[0m", f);
	return ferror(f) ? -1 : 0;
}
