/* SPDX-License-Identifier: MIT */
/* The grid: what is drawn, what is cut off, and that nothing is ever drawn outside. */
#include <stdlib.h>

#include "check.h"

#include "export.h"
#include "grid.h"

static struct grid grid;

static struct pane blank(int w, int h, bool is_ascii)
{
	CHECK_EQ(grid_init(&grid, w, h), 0);
	grid.is_ascii = is_ascii;
	return pane_all(&grid);
}

/* The grid as text must be this. */
static void shows(const char *expected)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	CHECK_EQ(export_text(f, &grid), 0);
	CHECK_EQ(fclose(f), 0);
	if (strcmp(text, expected) != 0) {
		fprintf(stderr, "the grid is\n%swanted\n%s", text, expected);
		abort();
	}
	free(text);
}

static void text_is_cut(void)
{
	struct pane p = blank(6, 2, false);

	CHECK_EQ(pane_text(p, 1, 0, ROLE_TEXT, 0, "abc"), 4);
	CHECK_EQ(pane_text(p, 4, 1, ROLE_TEXT, 0, "abc"), 6);
	pane_text(p, 0, 2, ROLE_TEXT, 0, "below");
	pane_text(p, -2, 1, ROLE_TEXT, 0, "xyz");
	shows(" abc\nz   ab\n");
}

static void pane_keeps_inside(void)
{
	struct pane p = pane_inside(blank(8, 3, false), 2, 1, 3, 1);

	pane_text(p, 0, 0, ROLE_TEXT, 0, "abcdef");
	pane_text(p, 0, 1, ROLE_TEXT, 0, "below");
	pane_fill(pane_inside(p, 2, -5, 100, 100), 0, 0, 9, 9, '#', ROLE_TEXT, 0);
	shows("\n  ab#\n\n");
}

static void utf8(void)
{
	struct pane p = blank(20, 3, false);

	/* a euro sign; a byte that begins nothing; one that is cut off; a NUL's long form */
	CHECK_EQ(pane_text(p, 0, 0, ROLE_TEXT, 0, "a€\xff" "b\xe2\x82"), 6);
	CHECK_EQ(grid.cells[1].ch, 0x20ac);
	CHECK_EQ(grid.cells[2].ch, 0xfffd);
	CHECK_EQ(grid.cells[3].ch, 'b');
	CHECK_EQ(pane_text(p, 0, 1, ROLE_TEXT, 0, "\xc0\x80"), 2);
	CHECK_EQ(grid.cells[20].ch, 0xfffd);
	/* wide characters and marks would shift the rest; control characters would do worse */
	pane_text(p, 0, 2, ROLE_TEXT, 0, "\xe4\xbd\xa0" "e\xcc\x81\t\033[1m\x7f");
	shows("a€\xef\xbf\xbd" "b\xef\xbf\xbd\xef\xbf\xbd\n\xef\xbf\xbd\xef\xbf\xbd\n\xef\xbf\xbd" "e\xef\xbf\xbd..[1m.\n");
	CHECK_EQ(utf8_width("a€→"), 3);
}

static void ascii(void)
{
	struct pane p = blank(16, 4, true);

	pane_box(p, "a → b", ROLE_BORDER, ROLE_TITLE);
	pane_text(p, 1, 1, ROLE_TEXT, 0, "▶█░…≠é\xff");
	shows("+ a > b -------+\n|>#.~!??       |\n|              |\n+--------------+\n");
}

static void frames_join(void)
{
	struct pane p = blank(9, 5, false);

	pane_frame(pane_inside(p, 0, 0, 5, 3), ROLE_BORDER);
	pane_frame(pane_inside(p, 4, 0, 5, 3), ROLE_BORDER);
	pane_frame(pane_inside(p, 0, 2, 9, 3), ROLE_BORDER);
	pane_title(pane_inside(p, 0, 2, 9, 3), "long title", ROLE_TITLE, 0);
	shows("┌───┬───┐\n│   │   │\n├ long  ┤\n│       │\n└───────┘\n");
	struct pane inside = pane_frame(pane_inside(blank(1, 1, false), 0, 0, 1, 1), ROLE_BORDER);
	CHECK_EQ(inside.w, 0);
}

static void words_wrap(void)
{
	struct pane p = blank(8, 4, false);

	CHECK_EQ(pane_wrap(p, ROLE_TEXT, 0, "one two three\n4 fivesixseven"), 4);
	shows("one two\nthree\n4\nfivesix…\n");
	CHECK_EQ(pane_wrap(pane_inside(p, 0, 0, 0, 4), ROLE_TEXT, 0, "x"), 0);
	CHECK_EQ(pane_wrap(p, ROLE_TEXT, 0, ""), 0);
}

/* --- anything -------------------------------------------------------------------------------- */

static int any(struct rng *r)
{
	static const int odd[] = { INT32_MIN, INT32_MAX, -1, 0, 1, 1 << 30 };

	return rng_below(r, 4) == 0 ? odd[rng_below(r, 6)] : (int)rng_below(r, 60) - 20;
}

static void any_text(struct rng *r, char text[40])
{
	for (int i = 0; i < 39; i++)
		text[i] = (char)(1 + rng_below(r, 255));
	text[rng_below(r, 40)] = 0;
	text[39] = 0;
}

static void draw_any(struct rng *r, struct pane p)
{
	char text[40];

	any_text(r, text);
	switch (rng_below(r, 8)) {
	case 0: pane_put(p, any(r), any(r), (uint32_t)any(r), any(r), any(r)); break;
	case 1: pane_text(p, any(r), any(r), any(r), 0, text); break;
	case 2: pane_fill(p, any(r), any(r), any(r), any(r), '#', any(r), 0); break;
	case 3: pane_box(p, text, any(r), any(r)); break;
	case 4: pane_wrap(p, any(r), 0, text); break;
	case 5: pane_frame(p, any(r)); break;
	case 6: pane_title(p, text, any(r), 0); break;
	default: pane_printf(p, any(r), any(r), ROLE_TEXT, 0, "%s", text);
	}
}

/* Cells outside of the pane keep what they had. (ASan sees what is outside of the grid.) */
static void never_outside(void)
{
	struct rng r = { test_seed(20) };

	for (int i = 0; i < 20000; i++) {
		struct pane all = blank(1 + (int)rng_below(&r, 30), 1 + (int)rng_below(&r, 12), rng_below(&r, 2));
		struct pane p = pane_inside(all, any(&r), any(&r), any(&r), any(&r));
		if (rng_below(&r, 2))
			p = pane_inside(p, any(&r), any(&r), any(&r), any(&r));
		pane_fill(all, 0, 0, all.w, all.h, 'x', ROLE_BAD, 0);
		draw_any(&r, p);
		for (int at = 0; at < all.w * all.h; at++) {
			int x = at % all.w - p.x, y = at / all.w - p.y;
			const struct cell *c = &grid.cells[at];
			if (x < 0 || y < 0 || x >= p.w || y >= p.h)
				CHECK(c->ch == 'x' && c->role == ROLE_BAD);
			CHECK(c->role < N_ROLES);
		}
	}
	/* also a pane that nobody has clipped */
	blank(4, 3, false);
	for (int i = 0; i < 2000; i++)
		draw_any(&r, (struct pane){ &grid, (int)rng_below(&r, 40) - 20, (int)rng_below(&r, 40) - 20, (int)rng_below(&r, 100),
					 (int)rng_below(&r, 100) });
}

/* --- exports ----------------------------------------------------------------------------------- */

static void exports(int (*export)(FILE *, const struct grid *), const char *expected)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	CHECK_EQ(export(f, &grid), 0);
	CHECK_EQ(fclose(f), 0);
	if (strcmp(text, expected) != 0) {
		fprintf(stderr, "exported:\n%s\nwanted:\n%s\n", text, expected);
		abort();
	}
	free(text);
}

static int ansi(FILE *f, const struct grid *g)
{
	return export_ansi(f, g, PALETTE_256);
}

static int ansi_mono(FILE *f, const struct grid *g)
{
	return export_ansi(f, g, PALETTE_MONO);
}

static int svg(FILE *f, const struct grid *g)
{
	return export_svg(f, g, false);
}

static void small_picture(void)
{
	struct pane p = blank(5, 2, false);

	pane_text(p, 0, 0, ROLE_TEXT, 0, "a");
	pane_text(p, 1, 0, ROLE_EXEC0 + 1, STYLE_CHANGED, "<&");
	pane_text(p, 1, 1, ROLE_BORDER, 0, "──");
	exports(ansi, "\033[0ma\033[0;7;38;5;172m<&\033[0m\n\033[0m \033[0;38;5;240m──\033[0m\n");
	exports(ansi_mono, "\033[0ma\033[0;7m<&\033[0m\n\033[0m \033[0;2m──\033[0m\n");
	exports(svg,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"56\" height=\"50\" viewBox=\"0 0 56 50\">\n"
		"<rect x=\"0\" y=\"0\" width=\"56\" height=\"50\" fill=\"#ffffff\"/>\n"
		"<g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\" "
		"fill=\"none\" xml:space=\"preserve\" style=\"white-space:pre\">\n"
		"<text x=\"8\" y=\"21\" textLength=\"8\" fill=\"#1f2328\">a</text>\n"
		"<rect x=\"16\" y=\"8\" width=\"16\" height=\"17\" fill=\"#9a6200\"/>\n"
		"<text x=\"16\" y=\"21\" textLength=\"16\" fill=\"#ffffff\">&lt;&amp;</text>\n"
		"<path stroke=\"#b0b8c0\" d=\"M16 33.5H32\"/>\n"
		"</g>\n</svg>\n");
}

static int change(FILE *f, const struct grid *g)
{
	struct grid before = { 0 };

	CHECK_EQ(grid_init(&before, g->w, g->h), 0);
	before.cells[0] = g->cells[0];
	int result = export_ansi_change(f, &before, g, PALETTE_256);
	grid_free(&before);
	return result;
}

static void only_changes(void)
{
	struct pane p = blank(4, 2, false);

	pane_text(p, 0, 0, ROLE_TEXT, 0, "abc");
	pane_text(p, 3, 1, ROLE_TEXT, 0, "d");
	exports(change, "\033[1;2H\033[0mbc\033[2;4Hd\033[0m");
}

static void kinds(void)
{
	static const struct { const char *name; int kind; } names[] = {
		{ "txt", EXPORT_TEXT }, { "a.ansi", EXPORT_ANSI }, { "a.b.svg", EXPORT_SVG }, { "a.dark.svg", EXPORT_DARK_SVG },
		{ "dark.svg", EXPORT_DARK_SVG }, { "atxt", -1 }, { "a.gif", -1 }, { "", -1 },
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		enum export_kind kind = N_EXPORTS;
		CHECK_EQ(export_kind_named(names[i].name, &kind), names[i].kind >= 0);
		CHECK(names[i].kind < 0 || (int)kind == names[i].kind);
	}
}

/* Two looks of the same place in the palette would say two things in one way. */
static void palettes(void)
{
	for (int role = ROLE_EXEC0; role <= ROLE_EXEC_LAST; role++)
		for (int other = role + 1; other <= ROLE_EXEC_LAST; other++) {
			CHECK(palette_look(PALETTE_256, role, 0).fg != palette_look(PALETTE_256, other, 0).fg);
			CHECK(palette_look(PALETTE_CONTRAST, role, 0).fg != palette_look(PALETTE_CONTRAST, other, 0).fg);
			CHECK(palette_rgb(false, role, 0) != palette_rgb(false, other, 0));
			CHECK(palette_rgb(true, role, 0) != palette_rgb(true, other, 0));
			struct look a = palette_look(PALETTE_8, role, 0), b = palette_look(PALETTE_8, other, 0);
			CHECK(a.fg != b.fg || a.is_underlined != b.is_underlined);
		}
	for (int role = 0; role < N_ROLES; role++) {
		CHECK_EQ(palette_look(PALETTE_MONO, role, 0).fg, -1);
		CHECK(!palette_look(PALETTE_CONTRAST, role, STYLE_FAINT).is_faint);
		CHECK(palette_look(PALETTE_MONO, role, STYLE_CHANGED).is_reversed);
	}
}

static const struct test_case cases[] = {
	{ "text_is_cut", "text is cut at the pane's edges", text_is_cut, 0, NULL },
	{ "pane_keeps_inside", "a pane in a pane keeps drawing inside of both", pane_keeps_inside, 0, NULL },
	{ "utf8", "bad UTF-8, wide and control characters each take one harmless cell", utf8, 0, NULL },
	{ "ascii", "with is_ascii, nothing but ASCII is drawn", ascii, 0, NULL },
	{ "frames_join", "frames that share an edge join; titles stand on it", frames_join, 0, NULL },
	{ "words_wrap", "words wrap at blanks, and what does not fit is marked", words_wrap, 0, NULL },
	{ "never_outside", "whatever is asked for, nothing is drawn outside of the pane", never_outside, 0, NULL },
	{ "small_picture", "a small grid as ANSI and as SVG is exactly this", small_picture, 0, NULL },
	{ "only_changes", "the change between two grids is only the cells that differ", only_changes, 0, NULL },
	{ "kinds", "the ending of a file's name says what to export", kinds, 0, NULL },
	{ "palettes", "eight executions look different in all palettes that have colours", palettes, 0, NULL },
};

TEST_MAIN(cases)
