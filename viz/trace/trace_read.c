/* SPDX-License-Identifier: MIT */
/*
 * Opening a trace: which chunks are there. States are found by trace_seek.c, tables are
 * read by trace_tables.c.
 *
 * Nothing in the file is believed. A chunk is taken if its checksums are right, if it goes
 * on where the one before ended, and if its numbers are possible; else it is noted as
 * damage, and reading goes on at the next mark.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace_file.h"

void trace_note_damage(struct trace *t, const char *format, ...)
{
	va_list args;

	if (t->n_damages++ > 0)
		return;
	va_start(args, format);
	vsnprintf(t->damage, sizeof(t->damage), format, args);
	va_end(args);
}

/* --- chunks that are states ----------------------------------------------------------------- */

static struct trace_chunk *add_chunk(struct trace *t, const struct chunk_header *h, uint64_t at, uint32_t n)
{
	struct trace_chunk *c = trace_add_item(t, (void **)&t->chunks, t->n_chunks, &t->room_chunks, sizeof(*c));

	if (c) {
		*c = (struct trace_chunk){ at, h->len, h->first, n };
		t->n_chunks++;
	}
	return c;
}

static bool take_keyframe(struct trace *t, const struct chunk_header *h, uint64_t at)
{
	if (t->n_keyframes == 0 ? h->first != 0 : h->first < t->last || h->first > t->size)
		return false; /* each state has a byte in the file at least */
	size_t *k = trace_add_item(t, (void **)&t->keyframes, t->n_keyframes, &t->room_keyframes, sizeof(*k));
	if (!k || !add_chunk(t, h, at, 0))
		return false;
	*k = t->n_chunks - 1;
	t->n_keyframes++;
	if (h->first > t->last && !t->is_in_hole)
		trace_note_damage(t, "steps to state %llu are missing", (unsigned long long)h->first);
	if (h->first > t->last + 1 && !t->hole_to) {
		t->hole_from = t->last + 1;
		t->hole_to = h->first - 1;
	}
	t->is_in_hole = false;
	t->last = h->first;
	return true;
}

/* Without the chunk before it, only the next keyframe tells the registers again. */
static bool take_steps(struct trace *t, const struct chunk_header *h, uint64_t at)
{
	if (t->is_in_hole)
		return true; /* said already */
	if (t->n_keyframes == 0 || h->first != t->last + 1 || h->n == 0 || h->n > h->len) {
		t->is_in_hole = t->n_keyframes > 0;
		return false;
	}
	if (!add_chunk(t, h, at, h->n))
		return false;
	t->last += h->n;
	return true;
}

static bool take_chunk(struct trace *t, const struct chunk_header *h, uint64_t at)
{
	struct in in = { t->bytes + at, t->bytes + at + h->len, false };

	switch (h->kind) {
	case CHUNK_INFO:
		return trace_read_info(t, &in);
	case CHUNK_MAP:
		return trace_read_map(t, &in);
	case CHUNK_EXEC:
		return trace_read_exec(t, &in);
	case CHUNK_EVENTS:
		return trace_read_events(t, &in, h->n);
	case CHUNK_OUTPUT:
		return trace_read_output(t, &in, h->first);
	case CHUNK_KEYFRAME:
		return take_keyframe(t, h, at);
	case CHUNK_STEPS:
		return take_steps(t, h, at);
	case CHUNK_END:
		t->has_end = true;
		return true;
	default:
		return false;
	}
}

/* --- the file ------------------------------------------------------------------------------- */

/* The next header from @at on that can be read and whose contents are all there; the
 * file's size if there is none. */
static uint64_t next_chunk(const struct trace *t, uint64_t at, struct chunk_header *h)
{
	static const uint32_t mark = CHUNK_MARK;

	while (t->size - at >= CHUNK_HEADER_LEN) {
		const uint8_t *p = memmem(t->bytes + at, t->size - at, &mark, sizeof(mark));
		if (!p)
			break;
		at = (uint64_t)(p - t->bytes);
		if (t->size - at < CHUNK_HEADER_LEN)
			break;
		if (chunk_header_read(p, h) && h->len <= t->size - at - CHUNK_HEADER_LEN)
			return at;
		at++;
	}
	return t->size;
}

static void read_chunks(struct trace *t)
{
	struct chunk_header h;

	while (t->size - t->at >= CHUNK_HEADER_LEN) {
		uint64_t at = next_chunk(t, t->at, &h);
		if (at == t->size)
			return; /* cut off here, or still being written */
		if (at != t->at)
			trace_note_damage(t, "%llu bytes at byte %llu make no sense (after state %llu)",
					  (unsigned long long)(at - t->at), (unsigned long long)t->at,
					  (unsigned long long)t->last);
		const char *name = chunk_names[h.kind <= CHUNK_END ? h.kind : 0];
		t->at = at + CHUNK_HEADER_LEN + h.len;
		if (crc32_add(0, t->bytes + at + CHUNK_HEADER_LEN, h.len) != h.crc) {
			trace_note_damage(t, "%s at byte %llu (state %llu) has a wrong checksum", name,
					  (unsigned long long)at, (unsigned long long)h.first);
			t->is_in_hole |= h.kind == CHUNK_STEPS && t->n_keyframes > 0;
		} else if (!take_chunk(t, &h, at + CHUNK_HEADER_LEN))
			trace_note_damage(t, "%s at byte %llu (state %llu) %s", name, (unsigned long long)at,
					  (unsigned long long)h.first,
					  t->is_out_of_memory ? "does not fit into memory" : "does not fit to what is before it");
	}
}

/* Map what the file has grown by. */
static int map_file(struct trace *t)
{
	struct stat st;

	if (fstat(t->fd, &st) != 0)
		return -1;
	uint64_t size = (uint64_t)st.st_size;
	if (size <= t->size)
		return 0;
	void *bytes = t->bytes ? mremap((void *)(uintptr_t)t->bytes, t->size, size, MREMAP_MAYMOVE)
			       : mmap(NULL, size, PROT_READ, MAP_SHARED, t->fd, 0);
	if (bytes == MAP_FAILED)
		return -1;
	t->bytes = bytes;
	t->size = size;
	return 0;
}

bool trace_is_there(struct trace *t)
{
	struct stat st;

	if (fstat(t->fd, &st) == 0 && (uint64_t)st.st_size >= t->size)
		return true;
	if (!t->is_gone)
		trace_note_damage(t, "the file has been cut while it was open");
	t->is_gone = true;
	return false;
}

/* NULL and *@why: what is wrong with the file named @path. */
static struct trace *refuse(struct trace *t, char **why, const char *path, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static struct trace *refuse(struct trace *t, char **why, const char *path, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (asprintf(why, "%s %s", path, text) < 0)
		*why = NULL;
	trace_free(t);
	return NULL;
}

struct trace *trace_open(const char *path, char **why)
{
	struct trace *t = calloc(1, sizeof(*t));
	struct stat st;

	if (!t)
		return refuse(t, why, path, "does not fit into memory");
	t->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* nor wait for the writer of a pipe */
	if (t->fd < 0 || fstat(t->fd, &st) != 0)
		return refuse(t, why, path, "cannot be opened: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(t, why, path, "is not a file");
	if (map_file(t) != 0)
		return refuse(t, why, path, "cannot be mapped into memory: %s", strerror(errno));
	if (t->size < FILE_HEADER_LEN || memcmp(t->bytes, TRACE_MAGIC, 8) != 0)
		return refuse(t, why, path, "is not a trace (or its beginning is lost); "
			      "'coviz record -o FILE.cot -- PROGRAM' makes one");
	if (get_u32(t->bytes + 8) != TRACE_VERSION)
		return refuse(t, why, path, "has trace version %u, this coviz reads version %d: record it again",
			      get_u32(t->bytes + 8), TRACE_VERSION);
	t->at = FILE_HEADER_LEN;
	read_chunks(t);
	struct trace_state first = { 0 };
	bool is_readable = t->n_keyframes > 0 && trace_seek(t, &first, 0) == 0;
	trace_state_free(&first);
	if (!is_readable)
		return refuse(t, why, path, "holds no state that can be read%s%s%s: record it again",
			      t->n_damages ? " (" : "", t->damage, t->n_damages ? ")" : "");
	return t;
}

const char *trace_damage(const struct trace *t)
{
	struct trace *mine = (struct trace *)t; /* the line is made when it is asked for */
	char more[60] = "", cut[100] = "", lost[80] = "";

	if (t->n_damages > 1)
		snprintf(more, sizeof(more), ", and %u more place%s", t->n_damages - 1, t->n_damages > 2 ? "s" : "");
	if (t->hole_to)
		snprintf(lost, sizeof(lost), "; states %llu to %llu cannot be read", (unsigned long long)t->hole_from,
			 (unsigned long long)t->hole_to);
	if (!t->has_end && !t->is_live)
		snprintf(cut, sizeof(cut), "cut off after state %llu: the recorder was killed, or still runs?",
			 (unsigned long long)t->last);
	if (!*cut && t->n_damages == 0)
		return NULL;
	snprintf(mine->damage_line, sizeof(mine->damage_line), "%s%s%s%s%s%s", t->n_damages ? "damaged: " : "",
		 t->damage, more, lost, *cut && t->n_damages ? "; " : "", cut);
	return t->damage_line;
}

uint64_t trace_refresh(struct trace *t)
{
	uint64_t before = t->last;

	t->is_live = true;
	if (trace_is_there(t) && map_file(t) == 0)
		read_chunks(t);
	return t->last - before;
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_outputs; i++)
		free((char *)(uintptr_t)t->outputs[i].bytes);
	for (size_t i = 0; i < t->n_maps; i++)
		free(t->maps[i].path);
	if (t->bytes)
		munmap((void *)(uintptr_t)t->bytes, t->size);
	if (t->fd >= 0)
		close(t->fd);
	free(t->info.command);
	free(t->info.program);
	free(t->mode);
	free(t->chunks);
	free(t->keyframes);
	free(t->events);
	free(t->execs);
	free(t->outputs);
	free(t->maps);
	free(t->words.items);
	free(t);
}

uint64_t trace_last(const struct trace *t)
{
	return t->last;
}
