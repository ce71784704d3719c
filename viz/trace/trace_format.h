/* SPDX-License-Identifier: MIT */
/*
 * trace_format — how a trace lies in its file: FORMAT.md in C, for writer and reader.
 *
 * Part:    source. Uses bytes, cpu, memory, trace.
 */
#ifndef VIZ_TRACE_FORMAT_H
#define VIZ_TRACE_FORMAT_H

#include "bytes.h"
#include "trace.h"

#define TRACE_MAGIC "\211cot\r\n\032\n" /* 8 bytes: what a text transfer changes, is seen */
enum {
	TRACE_VERSION = 1,
	FILE_HEADER_LEN = 16,
	CHUNK_MARK = 0x6b686321, /* "!chk": where to go on behind damage */
	CHUNK_HEADER_LEN = 36,
	EVENT_MIN_LEN = 5, STRING_MIN_LEN = 1, /* bytes of an item: how many can there be? */
};

enum chunk_kind {
	CHUNK_INFO = 1, CHUNK_MAP, CHUNK_EXEC, CHUNK_KEYFRAME, CHUNK_STEPS, CHUNK_EVENTS, CHUNK_OUTPUT, CHUNK_END,
};
extern const char *const chunk_names[CHUNK_END + 1];

struct chunk_header {
	uint32_t kind;
	uint64_t len;    /* of what follows the header */
	uint64_t first;  /* STEPS: the first state in it; KEYFRAME, OUTPUT, EVENTS, END: the state */
	uint32_t n;      /* STEPS: states; EVENTS: events */
	uint32_t crc;    /* of what follows */
};
void chunk_header_write(uint8_t to[CHUNK_HEADER_LEN], const struct chunk_header *h);
/* False: no mark, or the header's own checksum is wrong. */
bool chunk_header_read(const uint8_t from[CHUNK_HEADER_LEN], struct chunk_header *h);

/* An array of words that is reused. */
struct words {
	struct trace_word *items;
	size_t n, room;
};

/* A step: what differs from the registers @before. */
void step_write(struct out *o, const struct regs *before, const struct regs *after, const struct trace_word *words,
		size_t n, int flags);
/* Turn *@regs into those after the next step of @in; its words into @words. False: the
 * bytes make no sense (in->is_bad), or ENOMEM. */
bool step_read(struct in *in, struct regs *regs, struct words *words, int *flags);

/* A whole state. */
int keyframe_write(struct out *o, const struct regs *regs, int flags, const struct memory *memory); /* -1: ENOMEM */
/* @memory NULL: the registers alone. Else it is cleared first. False: as step_read. */
bool keyframe_read(struct in *in, struct regs *regs, int *flags, struct memory *memory);

/* For tests: a keyframe after @bytes of steps already, so that a small file has many. */
void trace_set_keyframe_min(struct trace_writer *w, size_t bytes);

#endif
