/* SPDX-License-Identifier: MIT */
/* Varints, growing buffers, and a checksum that takes eight bytes at a time. */
#include "bytes.h"

#include <pthread.h>
#include <stdlib.h>

/* crc_of[i][b]: what byte b does to the checksum when i bytes follow it. */
static uint32_t crc_of[8][256];

static void make_table(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t crc = b;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
		crc_of[0][b] = crc;
	}
	for (int i = 1; i < 8; i++)
		for (int b = 0; b < 256; b++)
			crc_of[i][b] = crc_of[i - 1][b] >> 8 ^ crc_of[0][crc_of[i - 1][b] & 0xff];
}

uint32_t crc32_add(uint32_t crc, const void *bytes, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const uint8_t *p = bytes;

	pthread_once(&once, make_table);
	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		uint64_t x = get_u64(p) ^ crc;
		crc = crc_of[7][x & 0xff] ^ crc_of[6][x >> 8 & 0xff] ^ crc_of[5][x >> 16 & 0xff] ^
		      crc_of[4][x >> 24 & 0xff] ^ crc_of[3][x >> 32 & 0xff] ^ crc_of[2][x >> 40 & 0xff] ^
		      crc_of[1][x >> 48 & 0xff] ^ crc_of[0][x >> 56];
	}
	for (; len > 0; len--, p++)
		crc = crc >> 8 ^ crc_of[0][(crc ^ *p) & 0xff];
	return ~crc;
}

bool out_reserve(struct out *o, size_t len)
{
	if (o->is_full)
		return false;
	if (o->room - o->len >= len)
		return true;
	size_t room = o->room ? 2 * o->room : 4096;
	if (room < o->len + len)
		room = o->len + len;
	uint8_t *bytes = realloc(o->bytes, room);
	if (!bytes) {
		o->is_full = true;
		return false;
	}
	o->bytes = bytes;
	o->room = room;
	return true;
}

void out_bytes(struct out *o, const void *bytes, size_t len)
{
	if (len == 0 || !out_reserve(o, len))
		return;
	memcpy(o->bytes + o->len, bytes, len);
	o->len += len;
}

void out_varint(struct out *o, uint64_t value)
{
	if (!out_reserve(o, 10))
		return;
	for (; value >= 0x80; value >>= 7)
		o->bytes[o->len++] = (uint8_t)(value | 0x80);
	o->bytes[o->len++] = (uint8_t)value;
}

void out_string(struct out *o, const char *s)
{
	size_t len = s ? strlen(s) : 0;

	out_varint(o, len);
	out_bytes(o, s, len);
}

void out_free(struct out *o)
{
	free(o->bytes);
	*o = (struct out){ 0 };
}

uint64_t in_long_varint(struct in *in)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (in->is_bad || in->at >= in->end)
			break;
		uint8_t byte = *in->at++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	in->is_bad = true;
	return 0;
}

char *in_string(struct in *in)
{
	size_t len = in_varint(in);
	const uint8_t *bytes = in_bytes(in, len);
	char *s = bytes ? malloc(len + 1) : NULL;

	if (!s)
		return NULL;
	for (size_t i = 0; i < len; i++)
		s[i] = bytes[i] ? (char)bytes[i] : '?';
	s[len] = 0;
	return s;
}
