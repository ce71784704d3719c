/* SPDX-License-Identifier: MIT */
/*
 * session — a viewer at work: an app, the screen it draws, and what it wishes for done.
 *
 * Part:    backend. Uses app, live, cast, export. Driven by keys: from a terminal
 *          (terminal.c), from a file (script.c), from a test.
 */
#ifndef VIZ_SESSION_H
#define VIZ_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"
#include "cast.h"
#include "live.h"
#include "palette.h"

struct session {
	struct app app;
	struct grid grid;
	struct live *live;     /* NULL: a finished trace */
	struct cast *cast;     /* NULL: none */
	enum palette palette;
	double seconds;        /* since the beginning, for the cast */
	ptrdiff_t marked;      /* the last switch that the cast has a marker of; -1 */
	/* Is it enough of waiting for the program? NULL: never. */
	bool (*is_enough)(void *arg);
	void *arg;
};

/* Draw app on the grid; a frame for the cast. */
void session_draw(struct session *s);
/* One key, and all that follows from it. False: quit. */
bool session_key(struct session *s, uint32_t key);
/* After anything else that was given to the app. False: quit. */
bool session_serve(struct session *s);

#endif
