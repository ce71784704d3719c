/* SPDX-License-Identifier: MIT */
/* Source lines of addresses, kept once found. */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "modules.h"
#include "symbols.h"

struct cached_line {
	uint64_t addr;
	bool is_used;
	struct source_line line; /* path NULL: there is none */
};

/* A file's path, kept once, so that equal files have equal pointers. */
struct path {
	char *text;
	time_t built_at; /* when the program that has it was built */
};

struct line_cache {
	struct cached_line *slots; /* open addressing; a power of two */
	size_t n_slots, n;
	struct path *paths;
	size_t n_paths;
};

static struct line_cache *cache_of(struct symbols *s)
{
	if (!s->lines)
		s->lines = calloc(1, sizeof *s->lines);
	return s->lines;
}

time_t path_built_at(const struct symbols *s, const char *path)
{
	for (size_t i = 0; s->lines && i < s->lines->n_paths; i++)
		if (strcmp(s->lines->paths[i].text, path) == 0)
			return s->lines->paths[i].built_at;
	return 0;
}

void lines_free(struct symbols *s)
{
	if (!s->lines)
		return;
	for (size_t i = 0; i < s->lines->n_paths; i++)
		free(s->lines->paths[i].text);
	free(s->lines->paths);
	free(s->lines->slots);
	free(s->lines);
	s->lines = NULL;
}

static struct cached_line *slot_of(struct cached_line *slots, size_t n, uint64_t addr)
{
	size_t i = (addr * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (n - 1);

	while (slots[i].is_used && slots[i].addr != addr)
		i = (i + 1) & (n - 1);
	return &slots[i];
}

static bool cache_grow(struct line_cache *c)
{
	size_t n = c->n_slots ? 2 * c->n_slots : 1024;
	struct cached_line *slots = calloc(n, sizeof *slots);

	if (!slots)
		return false;
	for (size_t i = 0; i < c->n_slots; i++)
		if (c->slots[i].is_used)
			*slot_of(slots, n, c->slots[i].addr) = c->slots[i];
	free(c->slots);
	c->slots = slots;
	c->n_slots = n;
	return true;
}

/* "/a/b/../c" and "/a/c" are one file: take ".." and "." out. */
static void normalize(char *path)
{
	char *to = path;

	for (const char *from = path; *from;) {
		size_t len = strcspn(from + 1, "/") + 1;

		if (len == 3 && memcmp(from, "/..", 3) == 0) {
			while (to > path && *--to != '/')
				;
		} else if (len > 1 && !(len == 2 && from[1] == '.')) {
			memmove(to, from, len);
			to += len;
		}
		from += len;
	}
	*to = 0;
}

static const char *keep_path(struct line_cache *c, const char *dir, const char *name, time_t built_at)
{
	char whole[PATH_MAX];
	int len = *name == '/' ? snprintf(whole, sizeof whole, "%s", name)
			       : snprintf(whole, sizeof whole, "%s/%s", dir ? dir : "", name);

	if (len < 0 || (size_t)len >= sizeof whole || *whole != '/')
		return NULL;
	normalize(whole);
	for (size_t i = 0; i < c->n_paths; i++)
		if (strcmp(c->paths[i].text, whole) == 0)
			return c->paths[i].text;

	struct path *grown = realloc(c->paths, (c->n_paths + 1) * sizeof *grown);
	char *text = strdup(whole);

	if (grown)
		c->paths = grown;
	if (!grown || !text) {
		free(text);
		return NULL;
	}
	c->paths[c->n_paths++] = (struct path){ text, built_at };
	return text;
}

Dwarf_Die *unit_at(struct module *m, uint64_t addr, Dwarf_Addr *bias)
{
	Dwarf_Die *unit = dwfl_module_addrdie(m->mod, addr, bias);

	if (unit)
		return unit;
	while ((unit = dwfl_module_nextcu(m->mod, unit, bias)))
		if (dwarf_haspc(unit, addr - *bias) > 0)
			return unit;
	return NULL;
}

/* As dwfl_module_getsrc, where that does not find the unit. */
static Dwfl_Line *line_in_unit(struct module *m, uint64_t addr)
{
	Dwarf_Addr bias;
	Dwarf_Die *unit = unit_at(m, addr, &bias);
	size_t n;

	if (!unit || dwfl_getsrclines(unit, &n))
		return NULL;
	for (size_t i = 0; i + 1 < n; i++) {
		Dwarf_Addr lo, hi;
		bool is_end;
		Dwfl_Line *line = dwfl_onesrcline(unit, i), *next = dwfl_onesrcline(unit, i + 1);
		Dwarf_Line *raw = dwfl_dwarf_line(line, &bias);

		dwfl_lineinfo(line, &lo, NULL, NULL, NULL, NULL);
		dwfl_lineinfo(next, &hi, NULL, NULL, NULL, NULL);
		if (raw && dwarf_lineendsequence(raw, &is_end) == 0 && !is_end && addr >= lo && addr < hi)
			return line;
	}
	return NULL;
}

static void look_up(struct symbols *s, uint64_t addr, struct source_line *found)
{
	struct module *m = module_at(s, addr);
	Dwarf_Addr bias;
	Dwarf_Line *raw;

	if (!m || !dwfl_module_getdwarf(m->mod, &bias))
		return;

	Dwfl_Line *line = dwfl_module_getsrc(m->mod, addr);

	if (!line)
		line = line_in_unit(m, addr);
	if (!line)
		return;

	int number = 0;
	const char *name = dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL);

	if (!name || number <= 0)
		return;
	found->path = keep_path(s->lines, dwfl_line_comp_dir(line), name, m->built_at);
	found->line = number;
	raw = dwfl_dwarf_line(line, &bias);
	if (!raw || dwarf_linebeginstatement(raw, &found->is_statement))
		found->is_statement = true;
}

bool source_at(struct symbols *s, uint64_t addr, struct source_line *found)
{
	struct line_cache *c = cache_of(s);

	memset(found, 0, sizeof *found);
	if (!c || (2 * c->n >= c->n_slots && !cache_grow(c)))
		return false;

	struct cached_line *slot = slot_of(c->slots, c->n_slots, addr);

	if (!slot->is_used) {
		*slot = (struct cached_line){ .addr = addr, .is_used = true };
		c->n++;
		look_up(s, addr, &slot->line);
	}
	*found = slot->line;
	return found->path != NULL;
}

/* Does @path end in @file, component by component? */
static bool path_ends_in(const char *path, const char *file)
{
	size_t n = strlen(path), k = strlen(file);

	return k > 0 && k <= n && strcmp(path + n - k, file) == 0 && (k == n || path[n - k - 1] == '/' || *file == '/');
}

/* The first statement of @line, or of the next line that has one, in one unit. */
static void line_of_unit(Dwarf_Die *unit, const char *file, int line, int *best, uint64_t *addr)
{
	size_t n;

	if (dwfl_getsrclines(unit, &n))
		return;
	for (size_t i = 0; i < n; i++) {
		Dwarf_Addr at, bias;
		int number = 0;
		bool is_statement = true, is_end = false;
		Dwfl_Line *l = dwfl_onesrcline(unit, i);
		const char *name = dwfl_lineinfo(l, &at, &number, NULL, NULL, NULL);
		Dwarf_Line *raw = dwfl_dwarf_line(l, &bias);

		if (!name || number < line || number > *best || !path_ends_in(name, file))
			continue;
		if (raw) {
			dwarf_linebeginstatement(raw, &is_statement);
			dwarf_lineendsequence(raw, &is_end);
		}
		if (!is_statement || is_end || (number == *best && at >= *addr))
			continue;
		*best = number;
		*addr = at;
	}
}

bool source_address(struct symbols *s, const char *file, int line, uint64_t *addr)
{
	struct module *m;
	int best = INT_MAX;

	for (size_t i = 0; best == INT_MAX && (m = module_by_rank(s, i)); i++) {
		Dwarf_Die *unit = NULL;
		Dwarf_Addr bias;

		while (m->elf && (unit = dwfl_module_nextcu(m->mod, unit, &bias)))
			line_of_unit(unit, file, line, &best, addr);
	}
	return best != INT_MAX;
}
