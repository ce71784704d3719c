/* SPDX-License-Identifier: MIT */
/*
 * A grid of cells, and drawing into rectangles of it.
 *
 * Every write ends in pane_put, which is the only place that checks bounds: against the
 * pane and against the grid, so no caller can write outside, whatever it computed.
 */
#include "grid.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLACEMENT = 0xfffd, TEXT_MAX = 1024 };

/* --- the grid -------------------------------------------------------------------------- */

int grid_init(struct grid *g, int w, int h)
{
	struct cell *cells;

	w = w < 1 ? 1 : w;
	h = h < 1 ? 1 : h;
	cells = reallocarray(g->cells, (size_t)w * (size_t)h, sizeof(*cells));
	if (!cells)
		return -1;
	g->cells = cells;
	g->w = w;
	g->h = h;
	grid_clear(g);
	return 0;
}

void grid_free(struct grid *g)
{
	free(g->cells);
	*g = (struct grid){ .is_ascii = g->is_ascii };
}

void grid_clear(struct grid *g)
{
	for (size_t i = 0; i < (size_t)g->w * (size_t)g->h; i++)
		g->cells[i] = (struct cell){ .ch = ' ', .role = ROLE_TEXT };
}

bool grid_equal(const struct grid *a, const struct grid *b)
{
	if (a->w != b->w || a->h != b->h)
		return false;
	for (size_t i = 0; i < (size_t)a->w * (size_t)a->h; i++) {
		const struct cell *x = &a->cells[i], *y = &b->cells[i];
		if (x->ch != y->ch || x->role != y->role || x->style != y->style)
			return false;
	}
	return true;
}

/* --- characters ------------------------------------------------------------------------ */

/* What is one cell wide on every terminal, whatever its locale and its fonts. All else, such
 * as CJK, emoji and combining marks in a program's output, would shift the rest of the line. */
static bool is_narrow(uint32_t ch)
{
	static const struct { uint32_t lo, hi; } narrow[] = {
		{ 0x20, 0x7e }, { 0xa0, 0xac }, { 0xae, 0x2ff }, { 0x370, 0x482 }, { 0x48a, 0x556 },
		{ 0x1e00, 0x1fff }, { 0x2010, 0x2027 }, { 0x2030, 0x205e }, { 0x2070, 0x20bf },
		{ 0x2100, 0x2319 }, { 0x2320, 0x2328 }, { 0x2400, 0x2426 }, { 0x2500, 0x25fc }, { 0x25ff, 0x25ff },
		{ 0x2713, 0x2713 }, { 0x2717, 0x2717 }, { 0x2800, 0x28ff }, { REPLACEMENT, REPLACEMENT },
	};
	for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++)
		if (ch >= narrow[i].lo && ch <= narrow[i].hi)
			return true;
	return false;
}

uint32_t utf8_next(const char **text)
{
	const unsigned char *s = (const unsigned char *)*text;
	int more = s[0] < 0x80 ? 0 : s[0] >= 0xc2 && s[0] < 0xe0 ? 1 : s[0] >= 0xe0 && s[0] < 0xf0 ? 2 :
		   s[0] >= 0xf0 && s[0] < 0xf5 ? 3 : -1;
	uint32_t ch = more < 1 ? s[0] : s[0] & (0x3fu >> more);

	for (int i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80) { /* also the 0 at the end */
			more = -1;
			break;
		}
		ch = ch << 6 | (s[i] & 0x3f);
	}
	*text += more < 0 ? 1 : more + 1;
	if (more < 0)
		return REPLACEMENT;
	if (ch < 0x20 || (ch >= 0x7f && ch < 0xa0))
		return '.';
	return is_narrow(ch) ? ch : REPLACEMENT;
}

int utf8_width(const char *text)
{
	int n = 0;

	while (*text && n < INT16_MAX) {
		utf8_next(&text);
		n++;
	}
	return n;
}

int utf8_put(uint32_t ch, char to[5])
{
	int n = ch < 0x80 ? 1 : ch < 0x800 ? 2 : ch < 0x10000 ? 3 : 4;
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	to[n] = 0;
	for (int i = n - 1; i > 0; i--, ch >>= 6)
		to[i] = (char)(0x80 | (ch & 0x3f));
	to[0] = (char)(first[n] | ch);
	return n;
}

/* The nearest thing in ASCII, one character for one. */
uint32_t utf8_to_ascii(uint32_t ch)
{
	static const struct { const char *like; char ascii; } map[] = {
		{ "─━═╌┄┈–—‐‑╼╾", '-' }, { "│┃║┆┊", '|' }, { "┌┐└┘├┤┬┴┼╔╗╚╝╋┏┓┗┛╭╮╯╰┿╂", '+' },
		{ "▶▸►→⇒›»↦", '>' }, { "◀◂◄←⇐‹«↤", '<' }, { "▲△↑⇑⌃", '^' }, { "▼▽↓⇓⌄", 'v' }, { "↔⇄⇆", '=' },
		{ "█▇▓▉▊", '#' }, { "▆▅▄▒▌▋", '=' }, { "▃▂▁░▍▎▏", '.' }, { "·⋯∙", '.' }, { "…", '~' }, { "•", 'o' }, { "≠✗×", '!' }, { "✓", 'v' },
		{ "●◆■", '*' }, { "○◇□", 'o' }, { "‘’′", '\'' }, { "“”″", '"' }, { "≈", '~' }, { "≤", '<' }, { "≥", '>' },
		{ "µμ", 'u' }, { "Δ", 'd' }, { "−", '-' }, { "ø∅", '0' },
	};
	if (ch < 0x80)
		return ch;
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		for (const char *s = map[i].like; *s;)
			if (utf8_next(&s) == ch)
				return (unsigned char)map[i].ascii;
	return '?';
}

/* --- panes ------------------------------------------------------------------------------- */

struct pane pane_all(struct grid *g)
{
	return (struct pane){ g, 0, 0, g->w, g->h };
}

/* The part of [*at, *at + *len) that lies in [0, room). */
static void clip(int *at, int *len, int room)
{
	long lo = *at < 0 ? 0 : *at, hi = (long)*at + (*len < 0 ? 0 : *len);

	lo = lo > room ? room : lo;
	hi = hi > room ? room : hi;
	*at = (int)lo;
	*len = hi > lo ? (int)(hi - lo) : 0;
}

struct pane pane_inside(struct pane p, int x, int y, int w, int h)
{
	clip(&x, &w, p.w < 0 ? 0 : p.w);
	clip(&y, &h, p.h < 0 ? 0 : p.h);
	return (struct pane){ p.grid, p.x + x, p.y + y, w, h };
}

/* NULL: outside. */
static struct cell *cell_at(struct pane p, int x, int y)
{
	long gx = (long)p.x + x, gy = (long)p.y + y;

	if (x < 0 || y < 0 || x >= p.w || y >= p.h || gx < 0 || gy < 0 || gx >= p.grid->w || gy >= p.grid->h)
		return NULL;
	return &p.grid->cells[gy * p.grid->w + gx];
}

void pane_put(struct pane p, int x, int y, uint32_t ch, int role, int style)
{
	struct cell *c = cell_at(p, x, y);

	if (!c)
		return;
	ch = is_narrow(ch) ? ch : REPLACEMENT;
	*c = (struct cell){ p.grid->is_ascii ? utf8_to_ascii(ch) : ch, (uint8_t)(role >= 0 && role < N_ROLES ? role : ROLE_TEXT),
			    (uint8_t)style };
}

int pane_text(struct pane p, int x, int y, int role, int style, const char *text)
{
	while (*text && x < p.w)
		pane_put(p, x++, y, utf8_next(&text), role, style);
	return x;
}

int pane_printf(struct pane p, int x, int y, int role, int style, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return pane_text(p, x, y, role, style, text);
}

void pane_fill(struct pane p, int x, int y, int w, int h, uint32_t ch, int role, int style)
{
	clip(&x, &w, p.w);
	clip(&y, &h, p.h);
	for (int j = y; j < y + h; j++)
		for (int i = x; i < x + w; i++)
			pane_put(p, i, j, ch, role, style);
}

/* --- frames ------------------------------------------------------------------------------ */

enum { UP = 1, DOWN = 2, LEFT = 4, RIGHT = 8 };

/* By the directions in which a line leaves the cell. */
static const uint32_t lines[16] = {
	[UP | DOWN] = 0x2502, [LEFT | RIGHT] = 0x2500, [DOWN | RIGHT] = 0x250c, [DOWN | LEFT] = 0x2510,
	[UP | RIGHT] = 0x2514, [UP | LEFT] = 0x2518, [UP | DOWN | RIGHT] = 0x251c, [UP | DOWN | LEFT] = 0x2524,
	[DOWN | LEFT | RIGHT] = 0x252c, [UP | LEFT | RIGHT] = 0x2534, [UP | DOWN | LEFT | RIGHT] = 0x253c,
};

/* In ASCII a corner does not say where its lines go; then '+' stays '+'. */
static int directions(const struct cell *c)
{
	if (c->ch == '+')
		return UP | DOWN | LEFT | RIGHT;
	if (c->ch == '-' || c->ch == '|')
		return c->ch == '-' ? LEFT | RIGHT : UP | DOWN;
	for (int d = 0; d < 16; d++)
		if (lines[d] && lines[d] == c->ch)
			return d;
	return 0;
}

static void put_line(struct pane p, int x, int y, int d, int role)
{
	const struct cell *c = cell_at(p, x, y);

	if (c)
		pane_put(p, x, y, lines[d | directions(c)], role, 0);
}

struct pane pane_frame(struct pane p, int role)
{
	if (p.w < 2 || p.h < 2)
		return pane_inside(p, 0, 0, 0, 0);
	for (int x = 1; x < p.w - 1; x++) {
		put_line(p, x, 0, LEFT | RIGHT, role);
		put_line(p, x, p.h - 1, LEFT | RIGHT, role);
	}
	for (int y = 1; y < p.h - 1; y++) {
		put_line(p, 0, y, UP | DOWN, role);
		put_line(p, p.w - 1, y, UP | DOWN, role);
	}
	put_line(p, 0, 0, DOWN | RIGHT, role);
	put_line(p, p.w - 1, 0, DOWN | LEFT, role);
	put_line(p, 0, p.h - 1, UP | RIGHT, role);
	put_line(p, p.w - 1, p.h - 1, UP | LEFT, role);
	return pane_inside(p, 1, 1, p.w - 2, p.h - 2);
}

void pane_title(struct pane p, const char *title, int role, int style)
{
	struct pane top = pane_inside(p, 1, 0, p.w - 2, 1);

	if (!*title || top.w < 3)
		return;
	int x = pane_text(pane_inside(top, 0, 0, top.w - 1, 1), 1, 0, role, style, title);
	pane_put(top, 0, 0, ' ', role, 0);
	pane_put(top, x, 0, ' ', role, 0);
}

struct pane pane_box(struct pane p, const char *title, int role, int title_role)
{
	struct pane inside = pane_frame(p, role);

	pane_title(p, title, title_role, STYLE_BOLD);
	return inside;
}

/* --- words ------------------------------------------------------------------------------- */

/* How many bytes of @text one line of @w cells takes; *@next: where the next line begins. */
static size_t line_bytes(const char *text, int w, const char **next)
{
	const char *s = text, *blank = NULL;

	for (int x = 0; *s && *s != '\n'; x++) {
		if (x > 0 && *s == ' ')
			blank = s;
		if (x == w)
			break;
		utf8_next(&s);
	}
	if (*s && *s != '\n' && blank)
		s = blank; /* else a word longer than the line: cut */
	*next = s + (*s == '\n' || *s == ' ');
	return (size_t)(s - text);
}

int pane_wrap(struct pane p, int role, int style, const char *text)
{
	int y = 0;

	while (*text && y < p.h && p.w > 0) {
		char line[TEXT_MAX];
		const char *next;
		size_t n = line_bytes(text, p.w, &next);

		n = n < sizeof(line) ? n : sizeof(line) - 1;
		memcpy(line, text, n);
		line[n] = 0;
		int x = pane_text(p, 0, y++, role, style, line);
		if (y == p.h && *next)
			pane_put(p, x < p.w ? x : p.w - 1, y - 1, 0x2026, role, style);
		text = next;
	}
	return y;
}
