/* SPDX-License-Identifier: MIT */
/* A grid as plain text; and which kind of export a name asks for. */
#include "export.h"

#include <errno.h>
#include <string.h>

/* Cells of line @y without the blanks at its end. */
static int line_len(const struct grid *g, int y)
{
	int w = g->w;

	while (w > 0 && g->cells[y * g->w + w - 1].ch == ' ')
		w--;
	return w;
}

int export_text(FILE *f, const struct grid *g)
{
	for (int y = 0; y < g->h; y++) {
		int w = line_len(g, y);
		for (int x = 0; x < w; x++) {
			char bytes[5];
			utf8_put(g->cells[y * g->w + x].ch, bytes);
			fputs(bytes, f);
		}
		putc('\n', f);
	}
	return ferror(f) ? -1 : 0;
}

bool export_kind_named(const char *name, enum export_kind *kind)
{
	/* the longer ending first */
	static const struct { const char *name; enum export_kind kind; } kinds[] = {
		{ "dark.svg", EXPORT_DARK_SVG }, { "svg", EXPORT_SVG }, { "ansi", EXPORT_ANSI }, { "txt", EXPORT_TEXT },
	};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = strlen(kinds[i].name);
		if (len < n || strcmp(name + len - n, kinds[i].name) != 0 || (len > n && name[len - n - 1] != '.'))
			continue;
		*kind = kinds[i].kind;
		return true;
	}
	return false;
}

int export_to(FILE *f, const struct grid *g, enum export_kind kind, enum palette palette)
{
	switch (kind) {
	case EXPORT_ANSI:
		return export_ansi(f, g, palette);
	case EXPORT_SVG:
	case EXPORT_DARK_SVG:
		return export_svg(f, g, kind == EXPORT_DARK_SVG);
	default:
		return export_text(f, g);
	}
}

int export_to_file(const char *path, const struct grid *g, enum export_kind kind, enum palette palette)
{
	FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
	int result, saved;

	if (!f)
		return -1;
	result = export_to(f, g, kind, palette);
	saved = errno;
	if ((f == stdout ? fflush(f) : fclose(f)) != 0 && result == 0)
		return -1;
	errno = saved;
	return result;
}
