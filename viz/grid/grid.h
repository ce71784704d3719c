/* SPDX-License-Identifier: MIT */
/*
 * grid — a screen in memory: cells of one character and a style.
 *
 * Part:    grid. Uses nothing. Everything that is shown is drawn here; curses and the
 *          exports paint it.
 */
#ifndef VIZ_GRID_H
#define VIZ_GRID_H

#include <stdbool.h>
#include <stdint.h>

/* What a cell means, not how it looks: the palette decides (palette.h). */
enum role {
	ROLE_TEXT, ROLE_DIM, ROLE_BORDER, ROLE_TITLE, ROLE_FOCUS, /* the border of the pane with the keys */
	ROLE_KEY,       /* names of keys */
	ROLE_NEXT,      /* the line that runs next */
	ROLE_DONE,      /* the one that has just run */
	ROLE_BAD,       /* lost registers, damage */
	ROLE_SENTENCE,
	ROLE_EXEC0, ROLE_EXEC_LAST = ROLE_EXEC0 + 7, /* whose it is: exec number % 8 */
	N_ROLES,
};
enum { STYLE_CHANGED = 1 /* reverse */, STYLE_BOLD = 2, STYLE_FAINT = 4, STYLE_UNDERLINE = 8 };

struct cell {
	uint32_t ch;   /* a Unicode character of width 1 */
	uint8_t role, style;
};

struct grid {
	int w, h;
	struct cell *cells;
	bool is_ascii; /* drawing functions put ASCII for what is not */
};

int grid_init(struct grid *g, int w, int h); /* -1 ENOMEM. Blank. Begin with all zero; again for another size */
void grid_free(struct grid *g);
void grid_clear(struct grid *g);
bool grid_equal(const struct grid *a, const struct grid *b);

/* A rectangle of a grid; coordinates are its own, and what lies outside is cut off. */
struct pane {
	struct grid *grid;
	int x, y, w, h;
};
struct pane pane_all(struct grid *g);
/* The part of @p's rectangle (x, y, w, h) that lies in @p: its 0, 0 is the first cell that does. */
struct pane pane_inside(struct pane p, int x, int y, int w, int h);
void pane_put(struct pane p, int x, int y, uint32_t ch, int role, int style);
/* UTF-8; cut at the pane's edge. Returns the x after it. Control characters become '.'. */
int pane_text(struct pane p, int x, int y, int role, int style, const char *text);
int pane_printf(struct pane p, int x, int y, int role, int style, const char *format, ...)
	__attribute__((format(printf, 6, 7)));
/* The next character of UTF-8 text, and where the one after it begins. What is no UTF-8, and
 * what is not one cell wide on every terminal, is U+FFFD; control characters are '.'. */
uint32_t utf8_next(const char **text);
int utf8_width(const char *text); /* cells that pane_text needs */
uint32_t utf8_to_ascii(uint32_t ch); /* the nearest, one for one */
int utf8_put(uint32_t ch, char to[5]); /* its bytes and a 0; returns how many */

void pane_fill(struct pane p, int x, int y, int w, int h, uint32_t ch, int role, int style);
/* A frame with a title in its top edge; returns the inside. Its lines join the lines that
 * are there already, so that neighbours may share an edge. */
struct pane pane_box(struct pane p, const char *title, int role, int title_role);
/* The two halves of pane_box: all frames first, the titles on top of them. */
struct pane pane_frame(struct pane p, int role);
void pane_title(struct pane p, const char *title, int role, int style);
/* Words wrapped into the pane, "..." where it is full; returns lines used. A newline ends a line. */
int pane_wrap(struct pane p, int role, int style, const char *text);

#endif
