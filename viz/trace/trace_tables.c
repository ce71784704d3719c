/* SPDX-License-Identifier: MIT */
/*
 * The tables of a trace: the program, its maps, executions, events, output.
 *
 * No number in the file decides how much memory is asked for: an item has been read
 * before there is room made for the next.
 */
#include <stdio.h>
#include <stdlib.h>

#include "trace_file.h"

void *trace_add_item(struct trace *t, void **items, size_t n, size_t *room, size_t size)
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

bool trace_read_info(struct trace *t, struct in *in)
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

bool trace_read_map(struct trace *t, struct in *in)
{
	struct trace_map *map = trace_add_item(t, (void **)&t->maps, t->n_maps, &t->room_maps, sizeof(*map));

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
		struct trace_exec *e = trace_add_item(t, (void **)&t->execs, t->n_execs, &t->room_execs, sizeof(*e));
		if (!e)
			return NULL;
		*e = (struct trace_exec){ .since = UINT64_MAX, .kind = EXEC_BARE };
		t->n_execs++;
	}
	return &t->execs[number];
}

bool trace_read_exec(struct trace *t, struct in *in)
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

bool trace_read_events(struct trace *t, struct in *in, uint32_t n)
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
		struct trace_event *to = trace_add_item(t, (void **)&t->events, t->n_events, &t->room_events, sizeof(*to));
		if (!to)
			return false;
		*to = last = e;
		t->n_events++;
	}
	return true;
}

bool trace_read_output(struct trace *t, struct in *in, uint64_t step)
{
	struct trace_output *o = trace_add_item(t, (void **)&t->outputs, t->n_outputs, &t->room_outputs, sizeof(*o));
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

/* --- what readers ask for --------------------------------------------------------------- */

const struct trace_info *trace_info(const struct trace *t)
{
	return &t->info;
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
