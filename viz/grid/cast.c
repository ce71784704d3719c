/* SPDX-License-Identifier: MIT */
/*
 * One JSON value per line: a header, then [seconds, kind, text]; kind "o" is output, "m" a
 * marker, "r" a new size. Source: the description of asciicast v2 of the asciinema project.
 */
#include "cast.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"

struct cast {
	FILE *f;
	struct grid last;
	bool has_last;
	int w, h; /* that a player has been told */
	bool has_failed;
};

/* @s is UTF-8. */
static void put_string(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < ' ' || *s == 127)
			fprintf(f, "\\u%04x", *s);
		else
			putc(*s, f);
	}
	putc('"', f);
}

static void put_event(struct cast *c, double seconds, const char *kind, const char *text)
{
	fprintf(c->f, "[%.3f, \"%s\", ", seconds, kind);
	put_string(c->f, text);
	fputs("]\n", c->f);
}

struct cast *cast_create(const char *path, int w, int h, const char *title)
{
	struct cast *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->f = fopen(path, "w");
	if (!c->f) {
		free(c);
		return NULL;
	}
	c->w = w;
	c->h = h;
	fprintf(c->f, "{\"version\": 2, \"width\": %d, \"height\": %d, \"title\": ", w, h);
	put_string(c->f, title);
	fputs(", \"env\": {\"TERM\": \"xterm-256color\"}}\n", c->f);
	return c;
}

static void keep(struct cast *c, const struct grid *g)
{
	if ((!c->has_last || c->last.w != g->w || c->last.h != g->h) && grid_init(&c->last, g->w, g->h) != 0) {
		c->has_last = false; /* the next frame will be whole */
		return;
	}
	memcpy(c->last.cells, g->cells, (size_t)g->w * (size_t)g->h * sizeof(*g->cells));
	c->has_last = true;
}

void cast_frame(struct cast *c, double seconds, const struct grid *g, enum palette palette)
{
	char *text = NULL, size[32];
	size_t len;

	if (c->has_last && grid_equal(&c->last, g))
		return;
	FILE *f = open_memstream(&text, &len);
	if (!f) {
		c->has_failed = true;
		return;
	}
	if (!c->has_last)
		fputs("\033[?25l", f); /* there is no cursor to see */
	export_ansi_change(f, c->has_last ? &c->last : NULL, g, palette);
	if (c->w != g->w || c->h != g->h) {
		snprintf(size, sizeof(size), "%dx%d", g->w, g->h);
		c->w = g->w;
		c->h = g->h;
		put_event(c, seconds, "r", size);
	}
	if (fclose(f) == 0)
		put_event(c, seconds, "o", text);
	else
		c->has_failed = true;
	free(text);
	keep(c, g);
}

void cast_marker(struct cast *c, double seconds, const char *text)
{
	put_event(c, seconds, "m", text);
}

int cast_close(struct cast *c)
{
	int bad = ferror(c->f) || c->has_failed;

	bad |= fclose(c->f) != 0;
	grid_free(&c->last);
	free(c);
	return bad ? -1 : 0;
}
