/* SPDX-License-Identifier: MIT */
/*
 * A grid as a picture: one <text> for each run of cells that look the same.
 *
 * Nobody knows the fonts of whoever looks at it. So each run says how long it is
 * (textLength), and lines, bars and blocks are drawn as shapes: characters for them only join
 * in fonts that are made for terminals.
 */
#include "export.h"

/* A cell, in units of the picture; text of size FONT fits in it. */
enum { CELL_W = 8, CELL_H = 17, FONT = 13, BASE = 13, MARGIN = 8 };

enum { UP = 1, DOWN = 2, LEFT = 4, RIGHT = 8 };

/* Where the lines of a character go; 0: it has none. */
static int line_directions(uint32_t ch)
{
	static const struct { uint16_t ch, directions; } map[] = {
		{ 0x2500, LEFT | RIGHT }, { 0x2501, LEFT | RIGHT }, { 0x2502, UP | DOWN }, { 0x2503, UP | DOWN },
		{ 0x250c, DOWN | RIGHT }, { 0x2510, DOWN | LEFT }, { 0x2514, UP | RIGHT }, { 0x2518, UP | LEFT },
		{ 0x251c, UP | DOWN | RIGHT }, { 0x2524, UP | DOWN | LEFT }, { 0x252c, DOWN | LEFT | RIGHT },
		{ 0x2534, UP | LEFT | RIGHT }, { 0x253c, UP | DOWN | LEFT | RIGHT }, { 0x254b, UP | DOWN | LEFT | RIGHT },
	};
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].ch == ch)
			return map[i].directions;
	return 0;
}

static bool is_thick(uint32_t ch)
{
	return ch == 0x2501 || ch == 0x2503 || ch == 0x254b;
}

/* U+2581-2588: an eighth of the cell to all of it; U+2591-2593: shades of the whole cell. */
static bool is_block(uint32_t ch)
{
	return (ch >= 0x2581 && ch <= 0x2588) || (ch >= 0x2591 && ch <= 0x2593);
}

static bool is_shape(uint32_t ch)
{
	return line_directions(ch) || is_block(ch);
}

static bool looks_same(const struct cell *a, const struct cell *b)
{
	return a->role == b->role && a->style == b->style;
}

static void put_rect(FILE *f, double x, double y, double w, double h, uint32_t rgb)
{
	fprintf(f, "<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"#%06x\"/>\n", x, y, w, h, rgb);
}

static void put_character(FILE *f, uint32_t ch)
{
	char bytes[5];

	if (ch == '&' || ch == '<' || ch == '>') {
		fputs(ch == '&' ? "&amp;" : ch == '<' ? "&lt;" : "&gt;", f);
		return;
	}
	utf8_put(ch, bytes);
	fputs(bytes, f);
}

static void put_text(FILE *f, const struct cell *c, int n, int x, int y, uint32_t rgb)
{
	while (n > 0 && c[n - 1].ch == ' ')
		n--;
	for (; n > 0 && c->ch == ' '; c++, n--)
		x += CELL_W;
	if (n == 0)
		return;
	struct look look = palette_look(PALETTE_256, c->role, c->style);
	fprintf(f, "<text x=\"%d\" y=\"%d\" textLength=\"%d\" fill=\"#%06x\"%s%s>", x, y + BASE, n * CELL_W, rgb,
		look.is_bold ? " font-weight=\"bold\"" : "",
		look.is_underlined ? " text-decoration=\"underline\"" : "");
	for (int i = 0; i < n; i++)
		put_character(f, c[i].ch);
	fputs("</text>\n", f);
}

/* The lines of @n cells as one path; runs to the right are drawn as one stroke. */
static void put_lines(FILE *f, const struct cell *c, int n, int x, int y, uint32_t rgb)
{
	fprintf(f, "<path stroke=\"#%06x\"%s d=\"", rgb, is_thick(c->ch) ? " stroke-width=\"3\"" : "");
	for (int i = 0; i < n;) {
		int d = line_directions(c[i].ch), x0 = x + i * CELL_W, mid = x0 + CELL_W / 2, run = 1;
		if (d & (UP | DOWN))
			fprintf(f, "M%d %gV%g", mid, y + (d & UP ? 0 : CELL_H / 2.0), y + (d & DOWN ? CELL_H : CELL_H / 2.0));
		while (d == (LEFT | RIGHT) && i + run < n && line_directions(c[i + run].ch) == d)
			run++;
		if (d & (LEFT | RIGHT))
			fprintf(f, "M%d %gH%d", d & LEFT ? x0 : mid, y + CELL_H / 2.0, d & RIGHT ? x0 + run * CELL_W : mid);
		i += run;
	}
	fputs("\"/>\n", f);
}

static uint32_t mix(uint32_t rgb, uint32_t ground, int quarters)
{
	uint32_t mixed = 0;

	for (int shift = 0; shift < 24; shift += 8)
		mixed |= (((rgb >> shift & 255) * (uint32_t)quarters + (ground >> shift & 255) * (uint32_t)(4 - quarters)) / 4)
			 << shift;
	return mixed;
}

static void put_blocks(FILE *f, const struct cell *c, int n, int x, int y, uint32_t rgb, uint32_t ground)
{
	for (int i = 0, run; i < n; i += run) {
		bool is_shade = c[i].ch >= 0x2591;
		double h = is_shade ? CELL_H : CELL_H * (double)(c[i].ch - 0x2580) / 8;
		for (run = 1; i + run < n && c[i + run].ch == c[i].ch;)
			run++;
		put_rect(f, x + i * CELL_W, y + CELL_H - h, run * CELL_W, h,
			 is_shade ? mix(rgb, ground, (int)(c[i].ch - 0x2590)) : rgb);
	}
}

/* How many cells from @c on are drawn alike: text, lines of one thickness, or blocks. */
static int run_len(const struct cell *c, int room)
{
	int n = 1;

	while (n < room && looks_same(c, &c[n]) && is_shape(c->ch) == is_shape(c[n].ch) &&
	       is_block(c->ch) == is_block(c[n].ch) && is_thick(c->ch) == is_thick(c[n].ch))
		n++;
	return n;
}

static void put_run(FILE *f, const struct cell *c, int n, int x, int y, bool is_dark)
{
	uint32_t rgb = palette_rgb(is_dark, c->role, c->style), ground = palette_ground(is_dark);

	if (c->style & STYLE_CHANGED) {
		uint32_t swapped = rgb;
		put_rect(f, x, y, n * CELL_W, CELL_H, rgb);
		rgb = ground;
		ground = swapped;
	}
	if (is_block(c->ch))
		put_blocks(f, c, n, x, y, rgb, ground);
	else if (is_shape(c->ch))
		put_lines(f, c, n, x, y, rgb);
	else
		put_text(f, c, n, x, y, rgb);
}

int export_svg(FILE *f, const struct grid *g, bool is_dark)
{
	int w = g->w * CELL_W + 2 * MARGIN, h = g->h * CELL_H + 2 * MARGIN;

	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n", w, h, w, h);
	put_rect(f, 0, 0, w, h, palette_ground(is_dark));
	fprintf(f, "<g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"%d\" "
		   "fill=\"none\" xml:space=\"preserve\" style=\"white-space:pre\">\n", FONT);
	for (int y = 0; y < g->h; y++) {
		const struct cell *line = &g->cells[(size_t)y * (size_t)g->w];
		for (int x = 0, n; x < g->w; x += n) {
			n = run_len(&line[x], g->w - x);
			put_run(f, &line[x], n, MARGIN + x * CELL_W, MARGIN + y * CELL_H, is_dark);
		}
	}
	fputs("</g>\n</svg>\n", f);
	return ferror(f) ? -1 : 0;
}
