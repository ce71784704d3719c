/* SPDX-License-Identifier: MIT */
/*
 * cast — screens over time as a recording that asciinema plays (asciicast, version 2).
 *
 * Part:    backend. Uses grid, export. Has no clock: times are given.
 * Owns:    a copy of the grid written last.
 */
#ifndef VIZ_CAST_H
#define VIZ_CAST_H

#include "grid.h"
#include "palette.h"

struct cast;
/* NULL: errno. */
struct cast *cast_create(const char *path, int w, int h, const char *title);
/* What has changed since the last frame; nothing if nothing has. @seconds since the beginning. */
void cast_frame(struct cast *c, double seconds, const struct grid *g, enum palette palette);
void cast_marker(struct cast *c, double seconds, const char *text);
/* -1: something could not be written (errno). */
int cast_close(struct cast *c);

#endif
