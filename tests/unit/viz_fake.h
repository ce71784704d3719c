/* SPDX-License-Identifier: MIT */
/*
 * viz_fake — a recording of a program that never was, for tests of traces and the model:
 * main resumes alice and bob by turns, who share a stack; each swap runs instruction by
 * instruction. And ways to damage its file.
 */
#ifndef VIZ_FAKE_H
#define VIZ_FAKE_H

#include "trace.h"
#include "trace_format.h"
#include "check.h"

enum { FAKE_MAIN, FAKE_ALICE, FAKE_BOB, FAKE_N };

#define FAKE_ENVS  0x10000ul  /* list head co_envs */
#define FAKE_ENV   0x20000ul
#define FAKE_CO(i) ((i) == FAKE_MAIN ? FAKE_ENV : 0x30000ul + 0x1000 * (unsigned long)(i))
#define FAKE_STACK_STRUCT(i) (0x40000ul + 0x100 * (unsigned long)(i))
#define FAKE_MAIN_HI 0x7ffffffff000ul
#define FAKE_SLOT_LO 0x7fff00000000ul
#define FAKE_SLOT_HI 0x7fff00008000ul
#define FAKE_BUFFER(i) (0x50000ul + 0x1000 * (unsigned long)(i))
#define FAKE_CODE  0x555555555000ul
#define FAKE_SWAP  0x555555556000ul /* coctx_swap */
enum {
	FAKE_SAVED = 0x40,  /* bytes of the one who is out */
	FAKE_TID = 77,
	/* offsets in its structs */
	CTX_LEN = 72, CO_STACK = 72, CO_LINK = 80, CO_RESUMER = 88, CO_ENV = 96, CO_FN = 104, CO_STATE = 112, CO_ID = 116,
	CO_NAME = 120, CO_IN_ENV = 136, CO_CREATED = 152, CO_BLOCKED = 160, CO_RESUMES = 168, CO_LEN = 176,
	ENV_RUNNING = 176, ENV_ALL = 184, ENV_IN_ENVS = 200, ENV_TID = 216, ENV_LEN = 224,
};

static inline struct co_debug_layout fake_table(void)
{
	struct co_debug_layout l = {
		.magic = "costep layout", .version = CO_DEBUG_VERSION, .n_states = CO_DEBUG_STATES,
		.field_size = sizeof(struct co_debug_field), .envs = (void *)FAKE_ENVS,
		.states = { "new", "suspended", "ready", "running", "normal", "waiting", "done" },
		.fields = {
			{ "sizeof.coctx", 0, CTX_LEN },
			{ "coctx.rbx", 0, 8 }, { "coctx.rbp", 8, 8 }, { "coctx.r12", 16, 8 }, { "coctx.r13", 24, 8 },
			{ "coctx.r14", 32, 8 }, { "coctx.r15", 40, 8 }, { "coctx.rsp", 48, 8 }, { "coctx.rip", 56, 8 },
			{ "coctx.mxcsr", 64, 4 }, { "coctx.x87cw", 68, 2 },
			{ "sizeof.list", 0, 16 }, { "list.prev", 0, 8 }, { "list.next", 8, 8 },
			{ "sizeof.stack", 0, 48 }, { "stack.lo", 0, 8 }, { "stack.hi", 8, 8 }, { "stack.guard_len", 16, 8 },
			{ "stack.save_buffer", 24, 8 }, { "stack.save_len", 32, 8 },
			{ "sizeof.co", 0, CO_LEN }, { "co.ctx", 0, CTX_LEN }, { "co.stack", CO_STACK, 8 },
			{ "co.link", CO_LINK, 8 }, { "co.resumer", CO_RESUMER, 8 }, { "co.env", CO_ENV, 8 },
			{ "co.fn", CO_FN, 8 }, { "co.state", CO_STATE, 4 }, { "co.id", CO_ID, 4 },
			{ "co.name", CO_NAME, 16 }, { "co.in_env", CO_IN_ENV, 16 }, { "co.created_at", CO_CREATED, 8 },
			{ "co.blocked_at", CO_BLOCKED, 8 }, { "co.n_resumes", CO_RESUMES, 8 },
			{ "sizeof.env", 0, ENV_LEN }, { "env.main", 0, CO_LEN }, { "env.running", ENV_RUNNING, 8 },
			{ "env.all", ENV_ALL, 16 }, { "env.in_envs", ENV_IN_ENVS, 16 }, { "env.tid", ENV_TID, 4 },
		},
	};

	while (l.n_fields < CO_DEBUG_FIELDS && l.fields[l.n_fields].name[0])
		l.n_fields++;
	return l;
}

/* --- the program ------------------------------------------------------------------------------ */

struct fake {
	struct trace_writer *w;
	struct regs regs;          /* the CPU's */
	struct regs saved[FAKE_N]; /* those who do not run: what they left with */
	int current;
	bool forgets_rbx;          /* the next swap does */
	struct trace_word words[600];
	size_t n;
	struct rng rng;
};

static inline void fake_word(struct fake *f, uint64_t addr, uint64_t value)
{
	CHECK(f->n < sizeof(f->words) / sizeof(f->words[0]));
	f->words[f->n++] = (struct trace_word){ addr, value };
}

/* The next state: @rip, and the words that were put. */
static inline void fake_step(struct fake *f, uint64_t rip, int flags)
{
	f->regs.r[REG_RIP] = rip;
	CHECK_EQ(trace_add_step(f->w, &f->regs, f->words, f->n, flags), 0);
	f->n = 0;
}

static inline void fake_event(struct fake *f, enum event_kind kind, uint32_t who, uint32_t other, uint64_t value)
{
	struct trace_event e = { .kind = kind, .who = who, .other = other, .value = value };

	CHECK_EQ(trace_add_event(f->w, &e), 0);
}

static inline void fake_stack(struct fake *f, int i, uint64_t lo, uint64_t hi, uint64_t save_len)
{
	uint64_t at = FAKE_STACK_STRUCT(i);

	fake_word(f, at, lo);
	fake_word(f, at + 8, hi);
	fake_word(f, at + 16, i == FAKE_MAIN ? 0 : 0x1000);
	fake_word(f, at + 24, i == FAKE_MAIN ? 0 : FAKE_BUFFER(i));
	fake_word(f, at + 32, save_len);
}

static inline void fake_co(struct fake *f, int i)
{
	static const char *const names[] = { "main", "alice", "bob" };
	uint64_t co = FAKE_CO(i), head = FAKE_ENV + ENV_ALL, name[2] = { 0 };

	strcpy((char *)name, names[i]);
	for (int k = 0; k < CTX_LEN; k += 8)
		fake_word(f, co + (uint64_t)k, k == 48 ? (i ? FAKE_SLOT_HI : 0) : k == 64 ? 0x37f00001f80 : 0);
	fake_word(f, co + CO_STACK, FAKE_STACK_STRUCT(i));
	fake_word(f, co + CO_LINK, 0);
	fake_word(f, co + CO_RESUMER, 0);
	fake_word(f, co + CO_ENV, FAKE_ENV);
	fake_word(f, co + CO_FN, FAKE_CODE);
	fake_word(f, co + CO_STATE, (i ? 1 : 3) | (uint64_t)i << 32);
	fake_word(f, co + CO_NAME, name[0]);
	fake_word(f, co + CO_NAME + 8, name[1]);
	fake_word(f, co + CO_IN_ENV, i == 0 ? co + CO_IN_ENV : i == 1 ? head : FAKE_CO(i - 1) + CO_IN_ENV);
	fake_word(f, co + CO_IN_ENV + 8, i == 0 ? co + CO_IN_ENV : i == FAKE_N - 1 ? head : FAKE_CO(i + 1) + CO_IN_ENV);
	fake_word(f, co + CO_CREATED, FAKE_CODE + 1);
	fake_word(f, co + CO_BLOCKED, FAKE_CODE + 2);
	fake_word(f, co + CO_RESUMES, 0);
	fake_stack(f, i, i ? FAKE_SLOT_LO : FAKE_MAIN_HI - 0x10000, i ? FAKE_SLOT_HI : FAKE_MAIN_HI, i ? FAKE_SAVED : 0);
	for (uint64_t b = 0; i && b < FAKE_SAVED; b += 8) {
		fake_word(f, FAKE_BUFFER(i) + b, 0xb0000 + 0x1000 * (uint64_t)i + b);
		fake_word(f, FAKE_SLOT_HI - FAKE_SAVED + b, 0x510 + b);
	}
}

/* State 0: everything is there; main runs. */
static inline void fake_begin(struct fake *f, const char *path, uint64_t seed)
{
	struct co_debug_layout table = fake_table();
	struct trace_info info = { .command = "fake --now", .program = "/nowhere/fake", .tid = FAKE_TID, .mode = "all",
				   .has_layout = true };
	const char *why;

	memset(f, 0, sizeof(*f));
	f->rng.s = seed;
	CHECK(layout_parse(&info.layout, &table, &why));
	CHECK_EQ(trace_create(&f->w, path, &info), 0);
	for (int i = 0; i < FAKE_N; i++) {
		struct trace_exec e = { .ctx = FAKE_CO(i), .co = FAKE_CO(i), .kind = i ? EXEC_COROUTINE : EXEC_MAIN,
					.id = (uint32_t)i };
		if (i == FAKE_MAIN)
			e.lo = FAKE_MAIN_HI - 0x10000, e.hi = FAKE_MAIN_HI;
		CHECK_EQ(trace_add_exec(f->w, (uint32_t)i, &e), 0);
		fake_co(f, i);
		f->saved[i].r[REG_RSP] = FAKE_SLOT_HI - FAKE_SAVED;
		f->saved[i].r[REG_RIP] = FAKE_CODE + 0x100 * (uint64_t)i;
		f->saved[i].r[REG_RBX] = 0x1000 + (uint64_t)i;
		f->saved[i].r[REG_MXCSR] = 0x1f80;
		f->saved[i].r[REG_X87CW] = 0x37f;
	}
	fake_word(f, FAKE_ENVS, FAKE_ENV + ENV_IN_ENVS);
	fake_word(f, FAKE_ENVS + 8, FAKE_ENV + ENV_IN_ENVS);
	fake_word(f, FAKE_ENV + ENV_RUNNING, FAKE_CO(0));
	fake_word(f, FAKE_ENV + ENV_ALL, FAKE_CO(2) + CO_IN_ENV);
	fake_word(f, FAKE_ENV + ENV_ALL + 8, FAKE_CO(1) + CO_IN_ENV);
	fake_word(f, FAKE_ENV + ENV_IN_ENVS, FAKE_ENVS);
	fake_word(f, FAKE_ENV + ENV_IN_ENVS + 8, FAKE_ENVS);
	fake_word(f, FAKE_ENV + ENV_TID, FAKE_TID);
	f->regs = f->saved[0];
	f->regs.r[REG_RSP] = FAKE_MAIN_HI - 0x200;
	fake_step(f, FAKE_CODE, 0);
}

/* Some instructions of whoever runs. */
static inline void fake_work(struct fake *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		f->regs.r[REG_RAX] = rng_below(&f->rng, 1000);
		f->regs.r[REG_EFLAGS] = 0x202 | (rng_below(&f->rng, 2) << 6);
		if (rng_below(&f->rng, 5) == 0)
			f->regs.r[REG_RBX]++;
		if (rng_below(&f->rng, 150) == 0)
			f->regs.r[REG_R13] += 2; /* seldom: between two changes are keyframes */
		if (rng_below(&f->rng, 4) == 0)
			fake_word(f, f->regs.r[REG_RSP] - 8 * (1 + rng_below(&f->rng, 6)), rng_next(&f->rng));
		fake_step(f, f->regs.r[REG_RIP] + 1 + rng_below(&f->rng, 7), 0);
	}
}

/* The copy out of one and in of another, before main's swap to @to. */
static inline void fake_bring(struct fake *f, int to)
{
	int other = to == FAKE_ALICE ? FAKE_BOB : FAKE_ALICE;

	fake_word(f, FAKE_STACK_STRUCT(other) + 32, FAKE_SAVED);
	fake_word(f, FAKE_STACK_STRUCT(to) + 32, 0);
	fake_step(f, f->regs.r[REG_RIP] + 5, STEP_IS_GAP);
	fake_event(f, EVENT_SAVE, (uint32_t)other, NO_EXEC, FAKE_SAVED);
	fake_event(f, EVENT_RESTORE, (uint32_t)to, NO_EXEC, FAKE_SAVED);
}

static inline void fake_swap(struct fake *f, int to)
{
	static const uint8_t regs[] = { REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15 };
	int from = f->current;
	uint64_t rip = FAKE_SWAP, ctx = FAKE_CO(from), back = f->regs.r[REG_RIP] + 5;

	if (to != FAKE_MAIN)
		fake_bring(f, to);
	back = f->regs.r[REG_RIP] + 5;
	f->regs.r[REG_RSP] -= 8; /* the call */
	fake_word(f, f->regs.r[REG_RSP], back);
	fake_step(f, rip, 0);
	fake_event(f, EVENT_SWAP, (uint32_t)from, (uint32_t)to, 0);
	f->saved[from] = f->regs;
	f->saved[from].r[REG_RSP] += 8;
	f->saved[from].r[REG_RIP] = back;
	for (int i = 0; i < 6; i++) {
		fake_word(f, ctx + 8 * (uint64_t)i, f->regs.r[regs[i]]);
		fake_step(f, rip += 4, 0);
	}
	fake_word(f, ctx + 48, f->saved[from].r[REG_RSP]);
	fake_step(f, rip += 4, 0);
	fake_word(f, ctx + 56, back);
	fake_step(f, rip += 4, 0);
	for (int i = 0; i < 6; i++) {
		if (!(f->forgets_rbx && regs[i] == REG_RBX))
			f->regs.r[regs[i]] = f->saved[to].r[regs[i]];
		fake_step(f, rip += 4, 0);
	}
	f->forgets_rbx = false;
	f->regs.r[REG_RSP] = f->saved[to].r[REG_RSP];
	f->current = to;
	fake_step(f, rip += 4, 0);
	fake_event(f, EVENT_RSP, (uint32_t)to, (uint32_t)from, 0);
	fake_step(f, f->saved[to].r[REG_RIP], 0);
	fake_event(f, EVENT_ARRIVE, (uint32_t)to, (uint32_t)from, 0);
}

static inline void fake_end(struct fake *f)
{
	CHECK_EQ(trace_close(f->w), 0);
}

/* --- damage -------------------------------------------------------------------------------------- */

/* A file in memory, cut into chunks. */
struct pieces {
	uint8_t *bytes;
	size_t len, room;
	size_t at[600]; /* of each chunk's header; [n]: the end */
	size_t n;
};

static inline void pieces_find(struct pieces *p)
{
	struct chunk_header h;
	size_t at = FILE_HEADER_LEN;

	for (p->n = 0; p->n < 599 && at + CHUNK_HEADER_LEN <= p->len && chunk_header_read(p->bytes + at, &h); p->n++) {
		p->at[p->n] = at;
		at += CHUNK_HEADER_LEN + h.len;
	}
	p->at[p->n] = p->len;
}

static inline void pieces_read(struct pieces *p, const char *path)
{
	FILE *f = fopen(path, "rb");

	CHECK(f != NULL);
	fseek(f, 0, SEEK_END);
	p->len = (size_t)ftell(f);
	p->room = 4 * p->len + 4096;
	p->bytes = malloc(p->room);
	rewind(f);
	CHECK_EQ(fread(p->bytes, 1, p->len, f), p->len);
	fclose(f);
	pieces_find(p);
}

static inline void pieces_write(const struct pieces *p, const char *path)
{
	FILE *f = fopen(path, "wb");

	CHECK(f && fwrite(p->bytes, 1, p->len, f) == p->len);
	fclose(f);
}

/* Make the checksums of chunk @i right again, so that a reader looks further. */
static inline void pieces_mend(struct pieces *p, size_t i, struct chunk_header *h)
{
	uint8_t *at = p->bytes + p->at[i];
	size_t room = p->len - p->at[i] - CHUNK_HEADER_LEN;

	h->crc = crc32_add(0, at + CHUNK_HEADER_LEN, h->len < room ? h->len : room);
	chunk_header_write(at, h);
}

static inline void pieces_move(struct pieces *p, size_t to, size_t from)
{
	memmove(p->bytes + to, p->bytes + from, p->len - from);
	p->len = p->len - from + to;
}

/* Put a copy of chunk @i (of @q) in front of chunk @before. */
static inline void pieces_insert(struct pieces *p, size_t before, const struct pieces *q, size_t i)
{
	size_t len = q->at[i + 1] - q->at[i];
	uint8_t *copy = malloc(len);

	memcpy(copy, q->bytes + q->at[i], len);
	if (p->len + len <= p->room) {
		pieces_move(p, p->at[before] + len, p->at[before]);
		memcpy(p->bytes + p->at[before], copy, len);
	}
	free(copy);
	pieces_find(p);
}

static inline uint64_t strange_number(struct rng *r)
{
	static const uint64_t numbers[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
					    0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff };

	return rng_below(r, 3) ? numbers[rng_below(r, sizeof(numbers) / sizeof(numbers[0]))] : rng_below(r, 5000);
}

/* Damage it once, in one of many ways; @other: another file, to take chunks from. */
static inline void pieces_damage(struct pieces *p, const struct pieces *other, struct rng *r)
{
	struct chunk_header h;

	if (p->n == 0)
		return;
	size_t i = rng_below(r, (unsigned)p->n), k = rng_below(r, (unsigned)p->n);
	uint8_t *header = p->bytes + p->at[i], *inside = header + CHUNK_HEADER_LEN;
	if (!chunk_header_read(header, &h))
		return;
	size_t room = p->at[i + 1] - p->at[i] > CHUNK_HEADER_LEN ? p->at[i + 1] - p->at[i] - CHUNK_HEADER_LEN : 0;
	uint64_t number = strange_number(r);
	switch (rng_below(r, 10)) {
	case 0: /* anywhere */
		p->bytes[rng_below(r, (unsigned)p->len)] ^= (uint8_t)(1u << rng_below(r, 8));
		break;
	case 1:
		p->len = rng_below(r, (unsigned)p->len);
		break;
	case 2: /* bits, behind the checksum */
	case 3:
		for (unsigned n = 1 + rng_below(r, 4); room && n > 0; n--)
			inside[rng_below(r, (unsigned)room)] ^= (uint8_t)(1u << rng_below(r, 8));
		pieces_mend(p, i, &h);
		break;
	case 4: /* numbers, behind the checksum */
	case 5:
		if (room >= 8)
			memcpy(inside + rng_below(r, (unsigned)room - 7), &number, 8);
		pieces_mend(p, i, &h);
		break;
	case 6: /* what the header says */
		if (rng_below(r, 2))
			h.first = number;
		else
			h.n = (uint32_t)number;
		pieces_mend(p, i, &h);
		break;
	case 7:
		if (rng_below(r, 2))
			h.len = number;
		else
			h.kind = rng_below(r, 10);
		pieces_mend(p, i, &h);
		break;
	case 8: /* chunks that are lost, or come twice, or from elsewhere */
		pieces_move(p, p->at[i], p->at[i + 1]);
		break;
	default:
		if (rng_below(r, 2))
			pieces_insert(p, k, p, i);
		else
			pieces_insert(p, k, other, rng_below(r, (unsigned)other->n));
	}
	pieces_find(p);
}

#endif
