/* SPDX-License-Identifier: MIT */
/*
 * palette — how what a cell means looks, on a terminal and in a picture.
 *
 * Part:    grid. Knows no terminal: colours are numbers that backends pass on.
 *
 * The eight colours of executions can be told apart by people who see red and green alike
 * (they differ in lightness too); and nothing is said by colour alone: an execution's number
 * or name always stands with it.
 */
#ifndef VIZ_PALETTE_H
#define VIZ_PALETTE_H

#include <stdbool.h>
#include <stdint.h>

#include "grid.h"

enum palette {
	PALETTE_MONO,     /* bold, underline, reverse; NO_COLOR */
	PALETTE_8,
	PALETTE_256,
	PALETTE_CONTRAST, /* for a projector: 256, no faint, no grey */
	N_PALETTES,
};

struct look {
	int16_t fg, bg; /* number of a terminal's colour; -1: its own */
	bool is_bold, is_faint, is_underlined, is_reversed;
};
struct look palette_look(enum palette palette, int role, int style);

/* For pictures: 0xrrggbb. On white, or on a dark ground. */
uint32_t palette_rgb(bool is_dark, int role, int style);
uint32_t palette_ground(bool is_dark);

#endif
