/* SPDX-License-Identifier: MIT */
/*
 * trace_file — what the reader keeps of an open trace.
 *
 * Part:    source. For trace_read.c (what is in the file), trace_tables.c (its tables) and
 *          trace_seek.c (states).
 */
#ifndef VIZ_TRACE_FILE_H
#define VIZ_TRACE_FILE_H

#include "trace_format.h"

/* A KEYFRAME or STEPS whose checksum is right and whose place makes sense. */
struct trace_chunk {
	uint64_t at, len;  /* its contents in the file */
	uint64_t first;    /* KEYFRAME: its state; STEPS: the first that it leads to */
	uint32_t n;        /* STEPS: how many; KEYFRAME: 0 */
};

struct trace {
	int fd;
	const uint8_t *bytes; /* the file, mapped */
	uint64_t size, at;    /* at: of the first chunk not yet read */
	bool is_live, has_end, is_gone;

	struct trace_chunk *chunks;   /* ascending; each STEPS goes on where the chunk before ended */
	size_t n_chunks, room_chunks;
	size_t *keyframes;            /* indexes into chunks */
	size_t n_keyframes, room_keyframes;
	uint64_t last;                /* state */

	struct trace_info info;
	bool has_info;
	char *mode;
	struct trace_event *events;
	size_t n_events, room_events;
	struct trace_exec *execs;
	size_t n_execs, room_execs;
	struct trace_output *outputs;
	size_t n_outputs, room_outputs;
	struct trace_map *maps;
	size_t n_maps, room_maps;

	struct words words;           /* of the step that was read last */
	bool is_in_hole;              /* steps are lost, until the next keyframe */
	uint64_t hole_from, hole_to;  /* the first such: states; to 0: none, or not over */
	unsigned n_damages;
	char damage[200];             /* the first of them */
	char damage_line[600];        /* what trace_damage returns */
	bool is_out_of_memory;
};

/* Room for one more item of @size bytes behind the @n of *@items; where it goes, or NULL. */
void *trace_add_item(struct trace *t, void **items, size_t n, size_t *room, size_t size);

/* Take the contents of one chunk (trace_tables.c). False: they make no sense. */
bool trace_read_info(struct trace *t, struct in *in);
bool trace_read_map(struct trace *t, struct in *in);
bool trace_read_exec(struct trace *t, struct in *in);
bool trace_read_events(struct trace *t, struct in *in, uint32_t n);
bool trace_read_output(struct trace *t, struct in *in, uint64_t step);

/* Is the file still as long as it was? If somebody has cut it, to read the map would be
 * a SIGBUS. (Between this look and the reading it may still happen: to one who writes
 * over a trace that is being looked at.) */
bool trace_is_there(struct trace *t);

/* Note what is wrong. */
void trace_note_damage(struct trace *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
