/* SPDX-License-Identifier: MIT */
/*
 * export — a grid as text, as text with colours for a terminal, as a picture.
 *
 * Part:    backend. Uses grid, palette.
 * Errors:  all return 0, or -1 with errno if the file cannot be written.
 */
#ifndef VIZ_EXPORT_H
#define VIZ_EXPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "grid.h"
#include "palette.h"

/* Lines of UTF-8 without blanks at their ends. */
int export_text(FILE *f, const struct grid *g);

/* The same with colours (ECMA-48), from where the cursor is, line by line. */
int export_ansi(FILE *f, const struct grid *g, enum palette palette);
/* What turns a terminal that shows @before (NULL: anything) into one that shows @g. */
int export_ansi_change(FILE *f, const struct grid *before, const struct grid *g, enum palette palette);

/* SVG, on white or on a dark ground, with nothing that lies outside of it. */
int export_svg(FILE *f, const struct grid *g, bool is_dark);

enum export_kind { EXPORT_TEXT, EXPORT_ANSI, EXPORT_SVG, EXPORT_DARK_SVG, N_EXPORTS };
/* By a file's ending (".txt", ".ansi", ".svg", ".dark.svg") or a kind's name ("txt", "ansi", "svg",
 * "dark.svg"). False: neither. */
bool export_kind_named(const char *name, enum export_kind *kind);
int export_to(FILE *f, const struct grid *g, enum export_kind kind, enum palette palette);
/* Into a new file, "-": stdout. */
int export_to_file(const char *path, const struct grid *g, enum export_kind kind, enum palette palette);

#endif
