/* SPDX-License-Identifier: MIT */
/*
 * arrange — which panes are shown, and where, on a screen of a given size.
 *
 * Part:    view. Uses view.h (names of views, what the user has set).
 */
#ifndef VIZ_ARRANGE_H
#define VIZ_ARRANGE_H

#include <stdbool.h>

#include "view.h"

enum { MIN_W = 20, MIN_H = 5 };

struct rect {
	int x, y, w, h;
};

struct arrangement {
	bool is_too_small;        /* nothing but a message */
	struct rect view[N_VIEWS]; /* with their frames, which neighbours share; w 0: not shown */
	struct rect sentence, status;
};

/* A pane with the focus is always shown: where there is no place for all, it takes that of
 * the pane which has it otherwise. */
void arrange(int w, int h, const struct ui *ui, struct arrangement *a);

#endif
