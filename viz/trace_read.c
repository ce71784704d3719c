/* SPDX-License-Identifier: MIT */
/*
 * Opening a trace: which chunks are there, and the tables in them. States are found by
 * trace_seek.c.
 *
 * Nothing in the file is believed. A chunk is taken if its checksums are right, if it goes
 * on where the one before ended, and if its numbers are possible; else it is noted as
 * damage, and reading goes on at the next mark. No number in it decides how much memory
 * is asked for: each item of a table has been read before there is room made for the next.
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

/* Room for one more item of @size bytes behind the @n of *@items; where it goes, or NULL. */
static void *add_item(struct trace *t, void **items, size_t n, size_t *room, size_t size)
{
	if (n == *room) {
		size_t more = *room ? 2 * *room : 16;
		void *bigger = reallocarray(*items, more, size);
		if (!bigger) {
			t->is_out_of_memory = true;
			return NULL;
		}
		*items = bigger;
		*room = more;
	}
	return (char *)*items + n * size;
}

/* --- chunks that are tables ------------------------------------------------------------- */

static bool read_info(struct trace *t, struct in *in)
{
	struct trace_info *info = &t->info;
	const char *why;

	if (t->has_info)
		return false;
	t->has_info = true;
	info->command = in_string(in);
	info->program = in_string(in);
	info->mode = t->mode = in_string(in);
	info->tid = (int)(in_varint(in) & INT32_MAX);
	info->has_layout = in_varint(in);
	if (!info->has_layout)
		return !in->is_bad;
	const uint8_t *bytes = in_bytes(in, sizeof(struct co_debug_layout));
	struct co_debug_layout table;
	info->has_layout = bytes != NULL;
	if (!bytes)
		return false;
	memcpy(&table, bytes, sizeof(table));
	info->has_layout = layout_parse(&info->layout, &table, &why);
	return info->has_layout;
}

static bool read_map(struct trace *t, struct in *in)
{
	struct trace_map *map = add_item(t, (void **)&t->maps, t->n_maps, &t->room_maps, sizeof(*map));

	if (!map)
		return false;
	*map = (struct trace_map){ .lo = in_varint(in), 0 };
	map->hi = in_varint(in);
	map->offset = in_varint(in);
	map->path = in_string(in);
	size_t id_len = in_varint(in);
	const uint8_t *id = id_len <= sizeof(map->build_id) ? in_bytes(in, id_len) : NULL;
	if (!map->path || !id || map->lo >= map->hi) {
		free(map->path);
		return false;
	}
	memcpy(map->build_id, id, id_len);
	map->build_id_len = (uint8_t)id_len;
	t->n_maps++;
	return true;
}

enum { MAX_LOST_EXECS = 64 }; /* numbers that damage may have swallowed */

static struct trace_exec *exec_numbered(struct trace *t, uint64_t number)
{
	if (number >= t->n_execs + MAX_LOST_EXECS)
		return NULL;
	while (t->n_execs <= number) {
		struct trace_exec *e = add_item(t, (void **)&t->execs, t->n_execs, &t->room_execs, sizeof(*e));
		if (!e)
			return NULL;
		*e = (struct trace_exec){ .since = UINT64_MAX, .kind = EXEC_BARE };
		t->n_execs++;
	}
	return &t->execs[number];
}

static bool read_exec(struct trace *t, struct in *in)
{
	uint64_t number = in_varint(in);
	struct trace_exec e = { .since = in_varint(in), 0 };

	e.kind = (uint32_t)in_varint(in);
	e.id = (uint32_t)in_varint(in);
	e.ctx = in_varint(in);
	e.co = in_varint(in);
	e.lo = in_varint(in);
	e.hi = in_varint(in);
	char *name = in_string(in);
	struct trace_exec *to = name && !in->is_bad && e.kind <= EXEC_BARE ? exec_numbered(t, number) : NULL;
	if (to) {
		snprintf(e.name, sizeof(e.name), "%s", name);
		if (e.since > to->since)
			e.since = to->since; /* what is told later does not make it younger */
		if (e.lo > e.hi)
			e.lo = e.hi = 0;
		*to = e;
	}
	free(name);
	return to != NULL;
}

static uint32_t exec_or_none(const struct trace *t, uint64_t coded)
{
	return coded == 0 || coded > t->n_execs ? NO_EXEC : (uint32_t)(coded - 1);
}

static bool read_events(struct trace *t, struct in *in, uint32_t n)
{
	struct trace_event last = { 0 };
	uint64_t least = t->n_events ? t->events[t->n_events - 1].step : 0;

	for (uint32_t i = 0; i < n; i++) {
		struct trace_event e = { .step = last.step + in_varint(in), 0 };
		uint64_t kind = in_varint(in);
		e.who = exec_or_none(t, in_varint(in));
		e.other = exec_or_none(t, in_varint(in));
		e.value = last.value + unzigzag(in_varint(in));
		if (in->is_bad || kind >= N_EVENTS || e.step < least || e.step < last.step || e.step > t->size)
			return false;
		e.kind = (uint32_t)kind;
		struct trace_event *to = add_item(t, (void **)&t->events, t->n_events, &t->room_events, sizeof(*to));
		if (!to)
			return false;
		*to = last = e;
		t->n_events++;
	}
	return true;
}

static bool read_output(struct trace *t, struct in *in, uint64_t step)
{
	struct trace_output *o = add_item(t, (void **)&t->outputs, t->n_outputs, &t->room_outputs, sizeof(*o));
	size_t len = in_left(in);
	char *copy = o ? malloc(len + 1) : NULL; /* the map moves when the file grows */

	if (!copy || step > t->size || (t->n_outputs && step < o[-1].step)) {
		t->is_out_of_memory |= !copy;
		free(copy);
		return false;
	}
	memcpy(copy, in->at, len);
	copy[len] = 0;
	*o = (struct trace_output){ step, copy, len };
	t->n_outputs++;
	return true;
}

/* --- chunks that are states ----------------------------------------------------------------- */

static struct trace_chunk *add_chunk(struct trace *t, const struct chunk_header *h, uint64_t at, uint32_t n)
{
	struct trace_chunk *c = add_item(t, (void **)&t->chunks, t->n_chunks, &t->room_chunks, sizeof(*c));

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
	size_t *k = add_item(t, (void **)&t->keyframes, t->n_keyframes, &t->room_keyframes, sizeof(*k));
	if (!k || !add_chunk(t, h, at, 0))
		return false;
	*k = t->n_chunks - 1;
	t->n_keyframes++;
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
		return read_info(t, &in);
	case CHUNK_MAP:
		return read_map(t, &in);
	case CHUNK_EXEC:
		return read_exec(t, &in);
	case CHUNK_EVENTS:
		return read_events(t, &in, h->n);
	case CHUNK_OUTPUT:
		return read_output(t, &in, h->first);
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
	if (map_file(t) == 0)
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

const struct trace_info *trace_info(const struct trace *t)
{
	return &t->info;
}

uint64_t trace_last(const struct trace *t)
{
	return t->last;
}

const struct trace_event *trace_events(const struct trace *t, size_t *n)
{
	*n = t->n_events; /* those of states that are not there yet, or lost, do not count */
	while (*n > 0 && t->events[*n - 1].step > t->last)
		--*n;
	return t->events;
}

const struct trace_exec *trace_execs(const struct trace *t, size_t *n)
{
	*n = t->n_execs;
	return t->execs;
}

const struct trace_output *trace_outputs(const struct trace *t, size_t *n)
{
	*n = t->n_outputs;
	while (*n > 0 && t->outputs[*n - 1].step > t->last)
		--*n;
	return t->outputs;
}

const struct trace_map *trace_maps(const struct trace *t, size_t *n)
{
	*n = t->n_maps;
	return t->maps;
}
