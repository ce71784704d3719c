/* SPDX-License-Identifier: MIT */
/*
 * bytes — numbers in files: varints, zigzag, little-endian words, a checksum.
 *
 * Part:    source. Uses nothing.
 *
 * A varint is 7 bits in each byte, lowest first; the top bit says that more follow.
 * Zigzag makes small signed numbers small unsigned ones: 0, -1, 1, -2 are 0, 1, 2, 3.
 */
#ifndef VIZ_BYTES_H
#define VIZ_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A buffer that grows. Begin with all zero. */
struct out {
	uint8_t *bytes;
	size_t len, room;
	bool is_full; /* there was no memory: what was put since is lost */
};

/* Bytes to read. */
struct in {
	const uint8_t *at, *end;
	bool is_bad; /* there were fewer than was asked for, or they made no sense */
};

/* CRC-32 of ISO-HDLC, as zlib's and gzip's. Begin with 0. */
uint32_t crc32_add(uint32_t crc, const void *bytes, size_t len);

/* Make room for @len bytes more. False: no memory. */
bool out_reserve(struct out *o, size_t len);
void out_bytes(struct out *o, const void *bytes, size_t len);
void out_varint(struct out *o, uint64_t value);
/* Its length as a varint, then the bytes. NULL is "". */
void out_string(struct out *o, const char *s);
void out_free(struct out *o);

static inline uint64_t zigzag(uint64_t difference)
{
	return difference << 1 ^ -(difference >> 63);
}

static inline uint64_t unzigzag(uint64_t coded)
{
	return coded >> 1 ^ -(coded & 1);
}

static inline size_t in_left(const struct in *in)
{
	return (size_t)(in->end - in->at);
}

/* The next @len bytes; NULL and is_bad: there are not so many. */
static inline const uint8_t *in_bytes(struct in *in, size_t len)
{
	const uint8_t *bytes = in->at;

	if (in->is_bad || len > in_left(in)) {
		in->is_bad = true;
		return NULL;
	}
	in->at += len;
	return bytes;
}

uint64_t in_long_varint(struct in *in);

/* 0 if there is none. */
static inline uint64_t in_varint(struct in *in)
{
	if (in->at < in->end && *in->at < 0x80)
		return *in->at++;
	return in_long_varint(in);
}

/* A copy on the heap with a zero behind it; zeros inside become '?'. NULL: is_bad, or
 * no memory. */
char *in_string(struct in *in);

static inline uint32_t get_u32(const uint8_t *p)
{
	uint32_t value;
	memcpy(&value, p, sizeof(value));
	return value; /* x86-64 is little-endian */
}

static inline uint64_t get_u64(const uint8_t *p)
{
	uint64_t value;
	memcpy(&value, p, sizeof(value));
	return value;
}

#endif
