/* SPDX-License-Identifier: MIT */
/*
 * viz_story — the trace of a small program that never ran.
 *
 * Every word of it is written here, so a test knows what a pane must show: main resumes
 * alice, she yields (and rbx is lost), her bytes are copied out, then main and bob take
 * turns on the same stack. Addresses are not this process's; only the code is: the map of
 * the test program itself, so that there are names.
 */
#ifndef VIZ_STORY_H
#define VIZ_STORY_H

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>

#include "check.h"
#include "trace.h"

enum story_exec { MAIN, ALICE, BOB };

#define ENVS      0x600000UL
#define ENV       0x601000UL
#define ALICE_CO  0x602000UL
#define BOB_CO    0x603000UL
#define STACKS    0x604000UL /* struct co_stack of main, alice, bob: 0x40 apart */
#define BUFFER    0x605000UL /* alice's save_buffer */
#define SHARED_LO 0x700000000000UL
#define SHARED_HI 0x700000004000UL
#define MAIN_LO   0x7ff000000000UL
#define MAIN_HI   0x7ff000100000UL
enum { SAVED = 0x40, ALICE_SP = 0x40, BOB_SP = 0x30, MAIN_SP = 0x100 };

/* States. */
enum {
	T_START, T_SWAP, T_LOADED, T_RSP, T_ALICE, T_WROTE, T_YIELD, T_BACK_RSP, T_LOST, T_COPY, T_HALF, T_SAVED,
	T_BOB_ENTRY, T_BOB_RSP, T_BOB, T_TURNS, /* from here on main and bob by turns, 8 states each */
	N_TURNS = 60, T_END = T_TURNS + 8 * N_TURNS,
};

/* Copies 64 bytes, by halves. It is only looked at. */
extern const char memcpy_in_story[];
__asm__(".text\n"
	".type memcpy_in_story, @function\n"
	"memcpy_in_story:\n"
	"	vmovdqu %ymm0, (%rdi)\n"
	"	vmovdqu %ymm1, 32(%rdi)\n"
	"	ret\n"
	"	.skip 64, 0x90\n"
	".size memcpy_in_story, . - memcpy_in_story\n");

struct story {
	struct trace_writer *w;
	struct regs regs;
	struct trace_word words[512];
	size_t n;
};

static void story_check(int result)
{
	CHECK_EQ(result, 0);
}

static void put_word(struct story *s, uint64_t addr, uint64_t value)
{
	CHECK(s->n < sizeof s->words / sizeof s->words[0]);
	s->words[s->n++] = (struct trace_word){ addr, value };
}

static void put_bytes(struct story *s, uint64_t addr, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, text + i, len - i < 8 ? len - i : 8);
		put_word(s, addr + i, word);
	}
}

static void end_step(struct story *s)
{
	story_check(trace_add_step(s->w, &s->regs, s->words, s->n, 0));
	s->n = 0;
}

static void add_event(struct story *s, uint32_t kind, uint32_t who, uint32_t other, uint64_t value)
{
	struct trace_event e = { .kind = kind, .who = who, .other = other, .value = value };

	story_check(trace_add_event(s->w, &e));
}

/* --- the library's structs, with offsets of our own ----------------------------------- */

static const struct co_debug_layout story_table = {
	.magic = "costep layout", .version = CO_DEBUG_VERSION, .n_states = CO_DEBUG_STATES, .n_fields = 39,
	.field_size = sizeof(struct co_debug_field), .envs = (void *)ENVS,
	.states = { "new", "suspended", "ready", "running", "normal", "waiting", "done" },
	.fields = {
		{ "sizeof.coctx", 0, 72 }, { "coctx.rbx", 0, 8 }, { "coctx.rbp", 8, 8 }, { "coctx.r12", 16, 8 },
		{ "coctx.r13", 24, 8 }, { "coctx.r14", 32, 8 }, { "coctx.r15", 40, 8 }, { "coctx.rsp", 48, 8 },
		{ "coctx.rip", 56, 8 }, { "coctx.mxcsr", 64, 4 }, { "coctx.x87cw", 68, 2 }, { "sizeof.list", 0, 16 },
		{ "list.prev", 0, 8 }, { "list.next", 8, 8 }, { "stack.lo", 0, 8 }, { "stack.hi", 8, 8 },
		{ "stack.guard_len", 16, 8 }, { "stack.save_buffer", 24, 8 }, { "stack.save_len", 32, 8 },
		{ "sizeof.co", 0, 192 }, { "co.ctx", 0, 72 }, { "co.stack", 72, 8 }, { "co.link", 80, 8 },
		{ "co.resumer", 88, 8 }, { "co.env", 96, 8 }, { "co.fn", 104, 8 }, { "co.state", 112, 4 },
		{ "co.id", 116, 4 }, { "co.name", 120, 32 }, { "co.in_env", 152, 16 }, { "co.created_at", 168, 8 },
		{ "co.blocked_at", 176, 8 }, { "co.n_resumes", 184, 8 }, { "sizeof.env", 0, 240 },
		{ "env.main", 0, 192 }, { "env.running", 192, 8 }, { "env.all", 200, 16 }, { "env.in_envs", 216, 16 },
		{ "env.tid", 232, 4 },
	},
};

static void put_state(struct story *s, uint64_t co, uint32_t state, uint32_t id)
{
	put_word(s, co + 112, state | (uint64_t)id << 32);
}

static void put_co(struct story *s, uint64_t co, uint32_t id, const char *name, uint64_t stack, uint64_t rsp, uint64_t rip)
{
	char padded[32] = "";

	for (uint64_t at = 0; at < 192; at += 8)
		if (at < 120 || at >= 168)
			put_word(s, co + at, 0);
	memcpy(padded, name, strlen(name));
	put_bytes(s, co + 120, padded, sizeof padded);
	put_word(s, co + 48, rsp);
	put_word(s, co + 56, rip);
	put_word(s, co + 72, stack);
	put_word(s, co + 96, ENV);
	put_state(s, co, 0, id);
}

static void put_stack(struct story *s, uint64_t at, uint64_t lo, uint64_t hi, uint64_t buffer, uint64_t len)
{
	put_word(s, at, lo);
	put_word(s, at + 8, hi);
	put_word(s, at + 16, 0);
	put_word(s, at + 24, buffer);
	put_word(s, at + 32, len);
}

static void put_link(struct story *s, uint64_t from, uint64_t to)
{
	put_word(s, from + 8, to);
	put_word(s, to, from);
}

static void put_world(struct story *s)
{
	uint64_t code = (uint64_t)(uintptr_t)memcpy_in_story;

	put_link(s, ENVS, ENV + 216);
	put_link(s, ENV + 216, ENVS);
	put_word(s, ENV + 232, 77);
	put_word(s, ENV + 192, ENV);
	put_co(s, ENV, 0, "main", STACKS, MAIN_HI - MAIN_SP, code);
	put_co(s, ALICE_CO, 1, "alice", STACKS + 0x40, SHARED_HI - ALICE_SP, code);
	put_co(s, BOB_CO, 2, "bob", STACKS + 0x80, SHARED_HI - BOB_SP, code);
	put_state(s, ENV, 3, 0);
	put_link(s, ENV + 200, ALICE_CO + 152);
	put_link(s, ALICE_CO + 152, BOB_CO + 152);
	put_link(s, BOB_CO + 152, ENV + 200);
	put_stack(s, STACKS, MAIN_LO, MAIN_HI, 0, 0);
	put_stack(s, STACKS + 0x40, SHARED_LO, SHARED_HI, BUFFER, 0);
	put_stack(s, STACKS + 0x80, SHARED_LO, SHARED_HI, 0, 0);
	for (uint64_t at = 8; at <= 0x60; at += 8)
		put_word(s, SHARED_HI - at, 0xa11ce000 + at);
	for (uint64_t at = 8; at <= MAIN_SP + 0x20; at += 8)
		put_word(s, MAIN_HI - at, at == 0x80 ? MAIN_HI - 0x40 : at);
}

/* --- what happens ------------------------------------------------------------------------ */

static void go_to(struct story *s, uint64_t rsp)
{
	s->regs.r[REG_RSP] = rsp;
	s->regs.r[REG_RIP]++;
	end_step(s);
}

static void alices_part(struct story *s)
{
	go_to(s, MAIN_HI - MAIN_SP - 8);
	add_event(s, EVENT_SWAP, MAIN, ALICE, 0);
	put_word(s, ENV, s->regs.r[REG_RBX]); /* main's context: rbx */
	s->regs.r[REG_RBX] = 0xb0b;
	go_to(s, MAIN_HI - MAIN_SP - 8);
	go_to(s, SHARED_HI - ALICE_SP);
	add_event(s, EVENT_RSP, ALICE, MAIN, 0);
	go_to(s, SHARED_HI - ALICE_SP);
	add_event(s, EVENT_ARRIVE, ALICE, MAIN, 0);
	put_word(s, SHARED_HI - 0x20, 0xc0ffee);
	go_to(s, SHARED_HI - ALICE_SP);
	story_check(trace_add_output(s->w, "first\nalice\twrote\n", 18));
	go_to(s, SHARED_HI - ALICE_SP);
	add_event(s, EVENT_SWAP, ALICE, MAIN, 0);
	go_to(s, MAIN_HI - MAIN_SP);
	add_event(s, EVENT_RSP, MAIN, ALICE, 0);
	/* main left with another rbx: this one is alice's */
	go_to(s, MAIN_HI - MAIN_SP);
	add_event(s, EVENT_ARRIVE, MAIN, ALICE, 0);
}

static void copy_half(struct story *s)
{
	s->regs.r[REG_RIP] = (uint64_t)(uintptr_t)memcpy_in_story - 1;
	s->regs.r[REG_RDI] = BUFFER;
	s->regs.r[REG_RSI] = SHARED_HI - SAVED;
	s->regs.r[REG_RDX] = SAVED;
	go_to(s, MAIN_HI - MAIN_SP);
	add_event(s, EVENT_CALL, MAIN, NO_EXEC, (uint64_t)(uintptr_t)memcpy_in_story);
	for (uint64_t at = 0; at < SAVED; at += 8) {
		uint64_t value = SAVED - at == 0x20 ? 0xc0ffee : 0xa11ce000 + SAVED - at;

		put_word(s, BUFFER + at, at < SAVED / 2 ? value : 0x5a5a5a5a5a5a5a5aUL);
	}
	s->regs.r[REG_RIP] += 3;
	s->regs.r[REG_RBX] = 0x77;
	go_to(s, MAIN_HI - MAIN_SP);
}

static void save(struct story *s)
{
	for (uint64_t at = SAVED / 2; at < SAVED; at += 8)
		put_word(s, BUFFER + at, SAVED - at == 0x20 ? 0xc0ffee : 0xa11ce000 + SAVED - at);
	put_word(s, STACKS + 0x40 + 32, SAVED);
	put_state(s, ALICE_CO, 1, 1);
	go_to(s, MAIN_HI - MAIN_SP);
	add_event(s, EVENT_SAVE, ALICE, NO_EXEC, SAVED);
	s->regs.r[REG_RDI] = 0;
}

static void swap(struct story *s, uint32_t from, uint32_t to, uint64_t from_sp, uint64_t to_sp)
{
	go_to(s, from_sp);
	add_event(s, EVENT_SWAP, from, to, 0);
	go_to(s, to_sp);
	add_event(s, EVENT_RSP, to, from, 0);
	go_to(s, to_sp);
	add_event(s, EVENT_ARRIVE, to, from, 0);
}

enum { STORY_WITHOUT_CODE = 1, STORY_WITHOUT_COROUTINES = 2, STORY_WITHOUT_EXECS = 4, STORY_ENDS_HALF = 8 /* at T_HALF */ };

static void add_execs(struct story *s, bool is_bare)
{
	static const char *const names[] = { "main", "alice", "bob" };
	static const uint64_t cos[] = { ENV, ALICE_CO, BOB_CO };

	for (uint32_t i = 0; i < 3; i++) {
		struct trace_exec e = { .ctx = cos[i], .co = is_bare ? 0 : cos[i], .id = i,
					.kind = is_bare ? EXEC_BARE : i ? EXEC_COROUTINE : EXEC_MAIN };

		snprintf(e.name, sizeof e.name, "%s", names[i]);
		if (is_bare && i == ALICE) {
			e.lo = SHARED_LO;
			e.hi = SHARED_HI;
		}
		story_check(trace_add_exec(s->w, i, &e));
	}
}

static void write_story(struct story *s, int without)
{
	s->regs.r[REG_RIP] = (uint64_t)(uintptr_t)memcpy_in_story;
	s->regs.r[REG_RSP] = MAIN_HI - MAIN_SP;
	s->regs.r[REG_RBX] = 0x3a13;
	s->regs.r[REG_RBP] = MAIN_HI - 0x80;
	s->regs.r[REG_EFLAGS] = 0x246;
	put_world(s);
	end_step(s);
	if (!(without & STORY_WITHOUT_EXECS))
		add_execs(s, without & STORY_WITHOUT_COROUTINES);
	alices_part(s);
	copy_half(s);
	if (without & STORY_ENDS_HALF)
		return;
	save(s);
	for (uint64_t at = 8; at <= 0x60; at += 8)
		put_word(s, SHARED_HI - at, 0xb0b000 + at);
	swap(s, MAIN, BOB, MAIN_HI - MAIN_SP, SHARED_HI - BOB_SP);
	for (int turn = 0; turn < N_TURNS; turn++) {
		uint64_t bob = SHARED_HI - BOB_SP, me = MAIN_HI - MAIN_SP;

		s->regs.r[REG_RIP] = (uint64_t)(uintptr_t)memcpy_in_story;
		for (int i = 0; i < 5; i++)
			go_to(s, turn % 2 ? me : bob);
		if (turn % 2)
			swap(s, MAIN, BOB, me, bob);
		else
			swap(s, BOB, MAIN, bob, me);
	}
	story_check(trace_add_output(s->w, "the end\n", 8));
}

static void add_code(struct story *s)
{
	char line[512];
	FILE *f = fopen("/proc/self/maps", "r");

	CHECK(f != NULL);
	while (fgets(line, sizeof line, f)) {
		unsigned long lo, hi, offset;
		char path[256] = "";
		char self[256] = "";

		CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %255s", &lo, &hi, &offset, path) == 4 && strcmp(path, self) == 0)
			story_check(trace_add_map(s->w, &(struct trace_map){ .lo = lo, .hi = hi, .offset = offset, .path = path }));
	}
	fclose(f);
}

/* Write it to @path. @without: bits. */
static void story_write(const char *path, int without)
{
	struct story s = { 0 };
	struct trace_info info = { .command = "story", .program = "/nowhere/story", .tid = 77, .mode = "switch" };
	const char *why = NULL;

	if (!(without & STORY_WITHOUT_COROUTINES)) {
		info.has_layout = layout_parse(&info.layout, &story_table, &why);
		CHECK(info.has_layout);
	}
	story_check(trace_create(&s.w, path, &info));
	if (!(without & STORY_WITHOUT_CODE))
		add_code(&s);
	write_story(&s, without);
	story_check(trace_close(s.w));
}

#endif
