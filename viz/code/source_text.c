/* SPDX-License-Identifier: MIT */
/* The text of source files, by lines, read at the first use. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "modules.h"
#include "symbols.h"

struct text {
	char *path, *bytes;
	struct source_text text;
	bool is_readable;
};

struct text_cache {
	struct text *texts;
	size_t n;
};

void texts_free(struct symbols *s)
{
	for (size_t i = 0; s->texts && i < s->texts->n; i++) {
		free(s->texts->texts[i].path);
		free(s->texts->texts[i].bytes);
		free(s->texts->texts[i].text.lines);
	}
	if (s->texts)
		free(s->texts->texts);
	free(s->texts);
	s->texts = NULL;
}

enum { MAX_SOURCE = 16 << 20 };

/* All of a file, with a 0 behind it; NULL: cannot be read, or is none that one would. */
static char *read_file(const char *path, size_t *len, time_t *changed_at)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would have us wait */
	char *bytes = NULL;
	ssize_t n;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < MAX_SOURCE
	    && (bytes = malloc((size_t)st.st_size + 1))) {
		n = read(fd, bytes, (size_t)st.st_size);
		*len = n > 0 ? (size_t)n : 0;
		bytes[*len] = 0;
		*changed_at = st.st_mtime;
	}
	close(fd);
	return bytes;
}

/* Cut @bytes at its newlines. */
static bool split(struct text *t, size_t len)
{
	int n = 0;

	for (size_t i = 0; i < len; i++)
		n += t->bytes[i] == '\n';
	t->text.lines = malloc(((size_t)n + 1) * sizeof *t->text.lines);
	if (!t->text.lines)
		return false;
	for (char *p = t->bytes, *end; p < t->bytes + len; p = end + 1) {
		end = memchr(p, '\n', (size_t)(t->bytes + len - p));
		if (!end)
			end = t->bytes + len;
		*end = 0;
		t->text.lines[t->text.n++] = p;
		if (end > p && end[-1] == '\r')
			end[-1] = 0;
	}
	return true;
}

static void read_text(struct symbols *s, struct text *t, const char *path)
{
	size_t len = 0;
	time_t changed_at = 0, built_at;

	t->bytes = read_file(path, &len, &changed_at);
	t->is_readable = t->bytes && split(t, len);
	built_at = path_built_at(s, path);
	t->text.is_newer = built_at && changed_at > built_at;
}

const struct source_text *source_text(struct symbols *s, const char *path)
{
	struct text_cache *c = s->texts ? s->texts : (s->texts = calloc(1, sizeof *c));
	size_t i;

	if (!c || !path)
		return NULL;
	for (i = 0; i < c->n && strcmp(c->texts[i].path, path); i++)
		;
	if (i == c->n) {
		/* Room for all at once: what was handed out must stay where it is. */
		enum { MAX_TEXTS = 1024 };

		if (!c->texts)
			c->texts = calloc(MAX_TEXTS, sizeof *c->texts);
		if (!c->texts || c->n == MAX_TEXTS || !(c->texts[i].path = strdup(path)))
			return NULL;
		c->n++;
		read_text(s, &c->texts[i], path);
	}
	return c->texts[i].is_readable ? &c->texts[i].text : NULL;
}
