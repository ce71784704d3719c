/* SPDX-License-Identifier: MIT */
/*
 * screen — a grid on a terminal, keys and mouse from it. By ncursesw.
 *
 * Part:    backend. screen.c is the only file that includes <curses.h>.
 * Owns:    the terminal between screen_open and screen_close. One at a time.
 */
#ifndef VIZ_SCREEN_H
#define VIZ_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"
#include "grid.h"
#include "palette.h"

enum color { COLOR_AUTO, COLOR_256, COLOR_EIGHT, COLOR_NEVER };

/* False: *@why (static) says why there is none. Takes the terminal's settings as they are. */
bool screen_open(enum color color, const char **why);
void screen_close(void);

void screen_size(int *w, int *h);
/* What its colours allow: PALETTE_MONO, _8 or _256. */
enum palette screen_palette(void);
/* Only cells that differ from those painted last are sent. */
void screen_paint(const struct grid *g, enum palette palette);

struct input {
	enum { INPUT_NONE, INPUT_KEY, INPUT_MOUSE, INPUT_RESIZE, INPUT_GONE } what; /* GONE: no terminal any more */
	uint32_t key;
	struct mouse mouse;
};
/* Wait at most @timeout_ms (-1: for ever; 0: look only) for something; a signal ends it with INPUT_NONE. */
struct input screen_wait(int timeout_ms);
/* Something waits to be read. */
bool screen_has_input(void);

#endif
