/* SPDX-License-Identifier: MIT */
/*
 * The bytes of chunks, steps and keyframes.
 *
 * A step is mostly one register that moved a little (rip) and one or two others. Its
 * first byte says which; each is the difference to its value before, as a varint. An
 * address of a word is the distance to the one before it (the first: to rsp), its value
 * whichever is shortest: itself, the distance to its own address (saved stack pointers),
 * or to rip (return addresses). None of it needs the memory to be read again.
 */
#include "trace_format.h"

#include <errno.h>
#include <stdlib.h>

const char *const chunk_names[CHUNK_END + 1] = {
	"?", "INFO", "MAP", "EXEC", "KEYFRAME", "STEPS", "EVENTS", "OUTPUT", "END",
};
const char *const event_names[N_EVENTS] = {
	"swap", "rsp", "arrive", "create", "resume", "yield", "park", "wake", "exit", "save", "restore", "call", "return",
	"signal", "fork", "exec", "thread", "end",
};

/* --- chunks ------------------------------------------------------------------------ */

static void put_u32(uint8_t *p, uint32_t value)
{
	memcpy(p, &value, sizeof(value));
}

static void put_u64(uint8_t *p, uint64_t value)
{
	memcpy(p, &value, sizeof(value));
}

void chunk_header_write(uint8_t to[CHUNK_HEADER_LEN], const struct chunk_header *h)
{
	put_u32(to, CHUNK_MARK);
	put_u32(to + 4, h->kind);
	put_u64(to + 8, h->len);
	put_u64(to + 16, h->first);
	put_u32(to + 24, h->n);
	put_u32(to + 28, h->crc);
	put_u32(to + 32, crc32_add(0, to, 32));
}

bool chunk_header_read(const uint8_t from[CHUNK_HEADER_LEN], struct chunk_header *h)
{
	if (get_u32(from) != CHUNK_MARK || get_u32(from + 32) != crc32_add(0, from, 32))
		return false;
	*h = (struct chunk_header){ get_u32(from + 4), get_u64(from + 8), get_u64(from + 16), get_u32(from + 24),
				    get_u32(from + 28) };
	return true;
}

/* --- steps --------------------------------------------------------------------------- */

enum { HAS_WORDS = 1, FIRST_REG_BIT = 1, GAP_BIT = FIRST_REG_BIT + N_REGS, MASK_BITS };

/* Which register has which bit of a step's first number: those that change most first,
 * for the first seven bits need one byte. */
static const uint8_t reg_order[N_REGS] = {
	REG_RIP, REG_EFLAGS, REG_RAX, REG_RSP, REG_RDX, REG_RCX, REG_RDI, REG_RSI, REG_RBP, REG_RBX,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_MXCSR, REG_X87CW,
};

enum value_mode { VALUE_ITSELF, VALUE_TO_ADDRESS, VALUE_TO_RIP, VALUE_RAW };

static void word_write(struct out *o, const struct trace_word *w, uint64_t last_addr, uint64_t rip)
{
	uint64_t coded[] = { w->value, zigzag(w->value - w->addr), zigzag(w->value - rip) };
	unsigned mode = coded[VALUE_TO_ADDRESS] < coded[VALUE_ITSELF] ? VALUE_TO_ADDRESS : VALUE_ITSELF;

	if (coded[VALUE_TO_RIP] < coded[mode])
		mode = VALUE_TO_RIP;
	if (coded[mode] >> 56)
		mode = VALUE_RAW; /* a varint would need nine bytes or ten */
	out_varint(o, zigzag((uint64_t)((int64_t)(w->addr - last_addr) / 8)) << 2 | mode);
	if (mode == VALUE_RAW)
		out_bytes(o, &w->value, 8);
	else
		out_varint(o, coded[mode]);
}

static bool word_read(struct in *in, struct trace_word *w, uint64_t last_addr, uint64_t rip)
{
	uint64_t head = in_varint(in);
	unsigned mode = head & 3;

	w->addr = last_addr + unzigzag(head >> 2) * 8;
	if (mode == VALUE_RAW) {
		const uint8_t *raw = in_bytes(in, 8);
		w->value = raw ? get_u64(raw) : 0;
		return !in->is_bad;
	}
	uint64_t coded = in_varint(in);
	w->value = mode == VALUE_ITSELF ? coded : unzigzag(coded) + (mode == VALUE_TO_ADDRESS ? w->addr : rip);
	return !in->is_bad;
}

void step_write(struct out *o, const struct regs *before, const struct regs *after, const struct trace_word *words,
		size_t n, int flags)
{
	uint64_t mask = (n > 0 ? HAS_WORDS : 0) | (flags & STEP_IS_GAP ? (uint64_t)1 << GAP_BIT : 0);

	for (int i = 0; i < N_REGS; i++)
		if (before->r[reg_order[i]] != after->r[reg_order[i]])
			mask |= (uint64_t)1 << (FIRST_REG_BIT + i);
	out_varint(o, mask);
	for (int i = 0; i < N_REGS; i++)
		if (mask >> (FIRST_REG_BIT + i) & 1)
			out_varint(o, zigzag(after->r[reg_order[i]] - before->r[reg_order[i]]));
	if (n == 0)
		return;
	out_varint(o, n);
	uint64_t last_addr = after->r[REG_RSP] & ~(uint64_t)7;
	for (size_t i = 0; i < n; i++) {
		word_write(o, &words[i], last_addr, after->r[REG_RIP]);
		last_addr = words[i].addr;
	}
}

static bool words_reserve(struct words *words, size_t n)
{
	if (n <= words->room)
		return true;
	struct trace_word *items = realloc(words->items, n * sizeof(items[0]));
	if (!items)
		return false;
	words->items = items;
	words->room = n;
	return true;
}

bool step_read(struct in *in, struct regs *regs, struct words *words, int *flags)
{
	uint64_t mask = in_varint(in);

	words->n = 0;
	*flags = mask >> GAP_BIT & 1 ? STEP_IS_GAP : 0;
	if (in->is_bad || mask >> MASK_BITS) {
		in->is_bad = true;
		return false;
	}
	for (uint32_t left = (uint32_t)(mask >> FIRST_REG_BIT & (((uint64_t)1 << N_REGS) - 1)); left; left &= left - 1)
		regs->r[reg_order[__builtin_ctz(left)]] += unzigzag(in_varint(in));
	if (!(mask & HAS_WORDS))
		return !in->is_bad;
	uint64_t n = in_varint(in);
	if (n == 0 || n > in_left(in) / 2) { /* a word has two bytes at least */
		in->is_bad = true;
		return false;
	}
	if (!words_reserve(words, n))
		return false;
	uint64_t last_addr = regs->r[REG_RSP] & ~(uint64_t)7;
	for (; words->n < n; words->n++) {
		if (!word_read(in, &words->items[words->n], last_addr, regs->r[REG_RIP]))
			return false;
		last_addr = words->items[words->n].addr;
	}
	return true;
}

/* --- keyframes ------------------------------------------------------------------------- */

struct run_writer {
	struct out *o;
	uint64_t end; /* of the run before */
};

static unsigned bytes_of(uint64_t value)
{
	return value ? (unsigned)(64 - __builtin_clzll(value) + 7) / 8 : 0;
}

/* Two words share a byte that says how many bytes of each follow. */
static int write_run(void *arg, uint64_t addr, const uint64_t *words, size_t n)
{
	struct run_writer *w = arg;

	out_varint(w->o, (addr - w->end) / 8);
	out_varint(w->o, n);
	for (size_t i = 0; i < n; i += 2) {
		uint64_t pair[2] = { words[i], i + 1 < n ? words[i + 1] : 0 };
		uint8_t lens = (uint8_t)(bytes_of(pair[0]) | bytes_of(pair[1]) << 4);
		out_bytes(w->o, &lens, 1);
		out_bytes(w->o, &pair[0], lens & 15);
		out_bytes(w->o, &pair[1], lens >> 4);
	}
	w->end = addr + 8 * n;
	return 0;
}

int keyframe_write(struct out *o, const struct regs *regs, int flags, const struct memory *memory)
{
	struct run_writer w = { o, 0 };

	out_varint(o, (uint64_t)flags);
	out_bytes(o, regs->r, sizeof(regs->r));
	if (memory_each_run(memory, write_run, &w) != 0 || o->is_full) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

static bool read_value(struct in *in, unsigned len, uint64_t *value)
{
	if (len > 8 || len > in_left(in)) {
		in->is_bad = true;
		return false;
	}
	*value = 0;
	if (in_left(in) >= 8) { /* one load, and cut off what is not ours */
		uint64_t all = get_u64(in->at);
		*value = len == 8 ? all : all & (((uint64_t)1 << 8 * len) - 1);
	} else {
		memcpy(value, in->at, len);
	}
	in->at += len;
	return true;
}

/* Up to a buffer full of words of a run; it is even, for two share a byte. */
static bool read_words(struct in *in, uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i += 2) {
		const uint8_t *lens = in_bytes(in, 1);
		uint64_t pair[2];
		if (!lens || !read_value(in, *lens & 15, &pair[0]) || !read_value(in, *lens >> 4, &pair[1]))
			return false;
		words[i] = pair[0];
		if (i + 1 < n)
			words[i + 1] = pair[1];
	}
	return true;
}

static bool read_run(struct in *in, struct memory *memory, uint64_t *end)
{
	uint64_t addr = *end + in_varint(in) * 8, n = in_varint(in);
	uint64_t words[256];

	if (in->is_bad || n == 0 || n / 2 > in_left(in)) {
		in->is_bad = true;
		return false;
	}
	*end = addr + 8 * n;
	for (; n > 0;) {
		size_t here = n < 256 ? n : 256;
		if (!read_words(in, words, here) || memory_set_words(memory, addr, words, here) != 0)
			return false;
		addr += 8 * here;
		n -= here;
	}
	return true;
}

bool keyframe_read(struct in *in, struct regs *regs, int *flags, struct memory *memory)
{
	*flags = in_varint(in) & STEP_IS_GAP;
	const uint8_t *r = in_bytes(in, sizeof(regs->r));
	uint64_t end = 0;

	if (!r)
		return false;
	memcpy(regs->r, r, sizeof(regs->r));
	if (!memory)
		return true;
	memory_clear(memory);
	while (in->at < in->end)
		if (!read_run(in, memory, &end))
			return false;
	return !in->is_bad;
}
