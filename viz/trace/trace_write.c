/* SPDX-License-Identifier: MIT */
/*
 * Writing a trace. Steps gather in a buffer; the file only grows, by whole chunks, each
 * with one write(2). A keyframe comes when the steps since the last one have taken as
 * many bytes as it did: so the file is at most twice as large as its steps. But for a
 * program whose keyframes are large it comes earlier: reading a megabyte of steps takes
 * 3 ms, and a seek is to take less than 5.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace_format.h"

enum {
	STEPS_CHUNK = 32 * 1024,  /* bytes of steps that are gathered */
	KEYFRAME_MIN = 64 * 1024, /* bytes of steps before a keyframe, however small that is, */
	KEYFRAME_MAX = 1024 * 1024, /* and however large */
};

struct trace_writer {
	int fd, error;      /* error: an errno, of the first that failed */
	uint64_t n_bytes;
	bool has_state;
	uint64_t step;      /* the newest */
	struct regs regs;   /* there */
	int flags;
	struct memory memory;
	struct out chunk;   /* the one being made */
	struct out steps;   /* not yet written ... */
	uint64_t first_step;
	uint32_t n_steps;
	uint64_t since_keyframe, keyframe_len, keyframe_min; /* bytes */
	struct out events;  /* not yet written ... */
	uint32_t n_events;
	uint64_t event_step, event_value; /* of the last one in it */
};

static int fail(struct trace_writer *w, int error)
{
	if (!w->error)
		w->error = error ? error : EIO;
	errno = w->error;
	return -1;
}

static int write_all(struct trace_writer *w, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(w->fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(w, n < 0 ? errno : ENOSPC);
		bytes += n;
		len -= (size_t)n;
		w->n_bytes += (size_t)n;
	}
	return 0;
}

/* Header and contents go out by one write, so that a reader of the growing file rarely
 * sees half of one. @o must begin with room for the header. */
static int write_chunk(struct trace_writer *w, struct out *o, enum chunk_kind kind, uint64_t first, uint32_t n)
{
	if (o->is_full)
		return fail(w, ENOMEM);
	struct chunk_header h = { .kind = kind, .len = o->len - CHUNK_HEADER_LEN, .first = first, .n = n };
	h.crc = crc32_add(0, o->bytes + CHUNK_HEADER_LEN, h.len);
	chunk_header_write(o->bytes, &h);
	int result = write_all(w, o->bytes, o->len);
	o->len = 0;
	return result;
}

/* An empty chunk, to be filled and then written. */
static struct out *begin(struct out *o)
{
	static const uint8_t header[CHUNK_HEADER_LEN];

	o->len = 0;
	out_bytes(o, header, sizeof(header));
	return o;
}

/* --- the beginning ------------------------------------------------------------------ */

static int write_info(struct trace_writer *w, const struct trace_info *info)
{
	struct out *o = begin(&w->chunk);

	out_string(o, info->command);
	out_string(o, info->program);
	out_string(o, info->mode);
	out_varint(o, (uint64_t)(uint32_t)info->tid);
	out_varint(o, info->has_layout);
	if (info->has_layout)
		out_bytes(o, &info->layout.table, sizeof(info->layout.table));
	return write_chunk(w, o, CHUNK_INFO, 0, 0);
}

/* A viewer may have the old file of that name mapped: it keeps it, we make another, that is
 * for the same readers. */
static int make_file(const char *path)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
	mode_t mode = 0666;
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode)) {
		if (unlink(path) != 0)
			return -1;
		flags |= O_EXCL; /* nor what somebody else has put there meanwhile, as in /tmp */
		mode = st.st_mode & 0666;
	}
	return open(path, flags, mode);
}

int trace_create(struct trace_writer **to, const char *path, const struct trace_info *info)
{
	struct trace_writer *w = calloc(1, sizeof(*w));
	uint8_t header[FILE_HEADER_LEN] = TRACE_MAGIC;

	*to = NULL;
	if (!w)
		return -1;
	w->keyframe_min = KEYFRAME_MIN;
	w->fd = make_file(path);
	if (w->fd < 0) {
		int error = errno;
		free(w);
		errno = error;
		return -1;
	}
	header[8] = TRACE_VERSION;
	if (write_all(w, header, sizeof(header)) != 0 || write_info(w, info) != 0) {
		trace_close(w);
		return -1;
	}
	*to = w;
	return 0;
}

int trace_add_map(struct trace_writer *w, const struct trace_map *map)
{
	if (w->error)
		return fail(w, w->error);
	struct out *o = begin(&w->chunk);
	size_t id_len = map->build_id_len <= sizeof(map->build_id) ? map->build_id_len : sizeof(map->build_id);

	out_varint(o, map->lo);
	out_varint(o, map->hi);
	out_varint(o, map->offset);
	out_string(o, map->path);
	out_varint(o, id_len);
	out_bytes(o, map->build_id, id_len);
	return write_chunk(w, o, CHUNK_MAP, w->step, 1);
}

int trace_add_exec(struct trace_writer *w, uint32_t number, const struct trace_exec *exec)
{
	char name[sizeof(exec->name)];

	if (w->error)
		return fail(w, w->error);
	memcpy(name, exec->name, sizeof(name));
	name[sizeof(name) - 1] = 0;
	struct out *o = begin(&w->chunk);
	out_varint(o, number);
	out_varint(o, exec->since);
	out_varint(o, exec->kind);
	out_varint(o, exec->id);
	out_varint(o, exec->ctx);
	out_varint(o, exec->co);
	out_varint(o, exec->lo);
	out_varint(o, exec->hi);
	out_string(o, name);
	return write_chunk(w, o, CHUNK_EXEC, exec->since, 1);
}

/* --- states --------------------------------------------------------------------------- */

static int write_steps(struct trace_writer *w)
{
	if (w->n_steps == 0)
		return 0;
	int result = write_chunk(w, &w->steps, CHUNK_STEPS, w->first_step, w->n_steps);
	w->since_keyframe += CHUNK_HEADER_LEN;
	w->n_steps = 0;
	return result;
}

static int write_events(struct trace_writer *w)
{
	if (w->n_events == 0)
		return 0;
	int result = write_chunk(w, &w->events, CHUNK_EVENTS, w->event_step, w->n_events);
	w->n_events = 0;
	return result;
}

static int write_keyframe(struct trace_writer *w)
{
	if (write_steps(w) != 0)
		return -1;
	if (keyframe_write(begin(&w->chunk), &w->regs, w->flags, &w->memory) != 0)
		return fail(w, ENOMEM);
	w->keyframe_len = w->chunk.len;
	w->since_keyframe = 0;
	return write_chunk(w, &w->chunk, CHUNK_KEYFRAME, w->step, 1);
}

static bool is_keyframe_due(const struct trace_writer *w)
{
	uint64_t enough = w->keyframe_len < KEYFRAME_MAX ? w->keyframe_len : KEYFRAME_MAX;

	if (w->keyframe_min < KEYFRAME_MIN)
		enough = 0; /* a test */
	return w->since_keyframe >= w->keyframe_min && w->since_keyframe >= enough;
}

int trace_add_step(struct trace_writer *w, const struct regs *regs, const struct trace_word *words, size_t n, int flags)
{
	if (w->error)
		return fail(w, w->error);
	for (size_t i = 0; i < n; i++)
		if (memory_set_word(&w->memory, words[i].addr, words[i].value) != 0)
			return fail(w, ENOMEM);
	if (!w->has_state) {
		w->has_state = true;
		w->regs = *regs;
		w->flags = 0;
		return write_keyframe(w);
	}
	if (w->n_steps == 0) {
		begin(&w->steps);
		w->first_step = w->step + 1;
	}
	size_t len = w->steps.len;
	step_write(&w->steps, &w->regs, regs, words, n, flags);
	w->since_keyframe += w->steps.len - len;
	w->n_steps++;
	w->step++;
	w->regs = *regs;
	w->flags = flags;
	if (w->steps.is_full)
		return fail(w, ENOMEM);
	if (is_keyframe_due(w))
		return write_keyframe(w);
	return w->steps.len >= STEPS_CHUNK ? write_steps(w) : 0;
}

/* --- what belongs to states -------------------------------------------------------------- */

int trace_add_event(struct trace_writer *w, const struct trace_event *event)
{
	if (w->error)
		return fail(w, w->error);
	struct out *o = &w->events;
	if (w->n_events == 0) {
		begin(o);
		w->event_step = w->event_value = 0;
	}
	out_varint(o, w->step - w->event_step);
	out_varint(o, event->kind);
	out_varint(o, (uint32_t)(event->who + 1));   /* NO_EXEC is 0 */
	out_varint(o, (uint32_t)(event->other + 1));
	out_varint(o, zigzag(event->value - w->event_value));
	w->event_step = w->step;
	w->event_value = event->value;
	w->n_events++;
	if (o->is_full)
		return fail(w, ENOMEM);
	if (o->len < STEPS_CHUNK)
		return 0;
	return write_steps(w) != 0 ? -1 : write_events(w); /* never before their states */
}

int trace_add_output(struct trace_writer *w, const char *bytes, size_t len)
{
	if (w->error)
		return fail(w, w->error);
	if (write_steps(w) != 0)
		return -1;
	out_bytes(begin(&w->chunk), bytes, len);
	return write_chunk(w, &w->chunk, CHUNK_OUTPUT, w->step, 1);
}

int trace_flush(struct trace_writer *w)
{
	if (w->error)
		return fail(w, w->error);
	return write_steps(w) != 0 ? -1 : write_events(w);
}

int trace_close(struct trace_writer *w)
{
	if (!w)
		return 0;
	int result = trace_flush(w);
	if (result == 0 && w->has_state)
		result = write_chunk(w, begin(&w->chunk), CHUNK_END, w->step, 0);
	int error = errno;
	if (close(w->fd) != 0 && result == 0) {
		result = -1;
		error = errno;
	}
	memory_free(&w->memory);
	out_free(&w->chunk);
	out_free(&w->steps);
	out_free(&w->events);
	free(w);
	errno = error;
	return result;
}

void trace_set_keyframe_min(struct trace_writer *w, size_t bytes)
{
	w->keyframe_min = bytes;
}

uint64_t trace_written_steps(const struct trace_writer *w)
{
	return w->step;
}

uint64_t trace_written_bytes(const struct trace_writer *w)
{
	return w->n_bytes + (w->n_steps ? w->steps.len : 0) + (w->n_events ? w->events.len : 0);
}
