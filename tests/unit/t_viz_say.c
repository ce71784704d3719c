/* SPDX-License-Identifier: MIT */
/* say: the sentences for a real switch, for a damaged one, for events and gaps. */
#include "say.h"

#include "sentence.h"
#include "two.h"

static char path[] = "/tmp/t_viz_say.XXXXXX";

static void remove_file(void)
{
	unlink(path);
}

static bool field_of_coctx(void *arg, const char *name, uint32_t *offset, uint32_t *size)
{
	return symbols_field(arg, "coctx", name, offset, size);
}

/* --- a small recorder --------------------------------------------------------------- */

enum { MAIN, OTHER, MAIN_WINDOW = 4096 };
static uint8_t before[2][TWO_STACK], now[2][TWO_STACK];
static struct trace_word words[4 * TWO_STACK / 8];
static struct trace_writer *writer;
static uint64_t main_lo;

static void add_maps(struct symbols *s)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4352];

	CHECK(f);
	while (fgets(line, sizeof line, f)) {
		unsigned long lo, hi, offset;
		char file[4096] = "";

		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %4095[^\n]", &lo, &hi, &offset, file) != 4 || *file != '/')
			continue;
		if (s)
			symbols_add_map(s, file, lo, hi, offset);
		else
			CHECK_EQ(trace_add_map(writer, &(struct trace_map){ .lo = lo, .hi = hi, .offset = offset, .path = file }), 0);
	}
	fclose(f);
}

static void begin_trace(void)
{
	struct trace_info info = { .command = (char *)"two", .program = (char *)"/two", .tid = 1, .mode = "all",
				   .has_layout = true };
	struct symbols *s = symbols_new();
	const char *why;
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	close(fd);
	atexit(remove_file);
	add_maps(s);
	symbols_ready(s);
	CHECK(layout_from_fields(&info.layout, field_of_coctx, s, &why));
	symbols_free(s);
	CHECK_EQ(trace_create(&writer, path, &info), 0);
	add_maps(NULL);
}

/* Words of [@lo, @lo + @len) that differ from what they were. */
static size_t changed_words(int which, uint64_t lo, size_t len, size_t n, bool is_first)
{
	CHECK(two_read(NULL, lo, now[which], len));
	for (size_t i = 0; i < len; i += 8)
		if (is_first || memcmp(before[which] + i, now[which] + i, 8)) {
			words[n].addr = lo + i;
			memcpy(&words[n++].value, now[which] + i, 8);
		}
	memcpy(before[which], now[which], len);
	return n;
}

static void add_state(const struct regs *r, bool is_first, int flags)
{
	size_t n = 0;

	if (is_first)
		main_lo = (r->r[REG_RSP] & ~7ull) - MAIN_WINDOW / 2;
	n = changed_words(0, main_lo, MAIN_WINDOW, n, is_first);
	/* The other's stack, and both contexts: they lie side by side or not, so word by word. */
	n = changed_words(1, address(other_stack + TWO_STACK - 4096), 4096, n, is_first);
	for (size_t i = 0; i < sizeof here / 8; i++) {
		words[n].addr = address(&here) + 8 * i;
		CHECK(two_read(NULL, words[n].addr, &words[n].value, 8));
		n++;
		words[n].addr = address(&there) + 8 * i;
		CHECK(two_read(NULL, words[n].addr, &words[n].value, 8));
		n++;
	}
	CHECK_EQ(trace_add_step(writer, r, words, n, flags), 0);
}

static void add_event(enum event_kind kind, uint32_t one, uint32_t other, uint64_t value)
{
	CHECK_EQ(trace_add_event(writer, &(struct trace_event){ .kind = kind, .who = one, .other = other, .value = value }), 0);
}

static bool is_in_swap(uint64_t rip)
{
	return rip >= address(coctx_swap) && rip < address(coctx_entry) - 1; /* a nop, then the entry */
}

static uint32_t stands_on(const struct regs *r)
{
	return r->r[REG_RSP] > address(other_stack) && r->r[REG_RSP] <= address(other_stack + TWO_STACK) ? OTHER : MAIN;
}

/* Record all of it. @damage: each arrival of main finds rbx changed. */
static struct model *recorded(bool damage)
{
	struct trace_exec main_exec = { .ctx = address(&here), .kind = EXEC_MAIN, .name = "main" };
	struct trace_exec other = { .ctx = address(&there), .lo = address(other_stack), .hi = address(other_stack + TWO_STACK),
				    .kind = EXEC_BARE, .name = "other" };
	char *why;

	begin_trace();
	two_start();
	struct regs r = two_registers(), last = r;

	main_exec.hi = r.r[REG_RSP] + 0x1000;
	add_state(&r, true, 0);
	CHECK_EQ(trace_add_exec(writer, MAIN, &main_exec), 0);
	CHECK_EQ(trace_add_exec(writer, OTHER, &other), 0);
	while (two_step()) {
		r = two_registers();

		uint32_t was = stands_on(&last), is = stands_on(&r);
		bool was_in = is_in_swap(last.r[REG_RIP]), is_in = is_in_swap(r.r[REG_RIP]);
		struct regs shown = r;

		shown.r[REG_RBX] ^= damage && was_in && !is_in && is == MAIN;
		add_state(&shown, false, 0);
		if (is_in && !was_in)
			add_event(EVENT_SWAP, is, !is, 0);
		if (is != was)
			add_event(EVENT_RSP, is, was, 0);
		if (was_in && !is_in)
			add_event(EVENT_ARRIVE, is, NO_EXEC, 0);
		last = r;
	}
	/* Then what no switch makes. */
	last.r[REG_RIP] = address(other_body);
	CHECK_EQ(trace_add_step(writer, &last, NULL, 0, STEP_IS_GAP), 0);
	add_event(EVENT_CREATE, OTHER, MAIN, 0);
	add_event(EVENT_SIGNAL, NO_EXEC, NO_EXEC, SIGUSR1);
	CHECK_EQ(trace_add_step(writer, &last, NULL, 0, 0), 0);
	add_event(EVENT_END, NO_EXEC, NO_EXEC, SIGSEGV);
	CHECK_EQ(trace_close(writer), 0);

	struct model *m = model_open(path, &why);

	if (!m)
		fprintf(stderr, "%s\n", why);
	CHECK(m);
	return m;
}

/* --- the cases ------------------------------------------------------------------------ */

static char text[512];

/* The next state from @t on of which this is said. */
static uint64_t expect(struct model *m, uint64_t t, const char *what)
{
	for (uint64_t i = t; i <= m->last; i++) {
		model_seek(m, i);
		if (strstr(say(m, text, sizeof text), what))
			return i;
	}
	fprintf(stderr, "nowhere from state %llu on: %s\n", (unsigned long long)t, what);
	for (uint64_t i = t; i <= m->last && i < t + 40; i++) {
		model_seek(m, i);
		fprintf(stderr, "  %s: %s\n", m->done.text, say(m, text, sizeof text));
	}
	CHECK(!"a sentence is missing");
	return 0;
}

/* In this order, some directly one behind the other. */
static void a_switch(void)
{
	static const char *const sentences[] = {
		"Calls coctx_swap: the return address, caller_of_swap+",
		"rdx is loaded: caller_of_swap+",
		"rcx = 8(%rsp), an address that is only computed: S0-0x",
		"Saved in main's context: its rbx (",
		"Saved in main's context: its rbp (",
		"Saved in main's context: its r12 (",
		"Saved in main's context: its r13 (",
		"Saved in main's context: its r14 (",
		"Saved in main's context: its r15 (",
		"Saved in main's context: rsp as it will be once the switch has returned (S0-0x",
		"Saved in main's context as rip: where main will go on, caller_of_swap+",
		"Saved in main's context: the SSE settings, mxcsr (0x1f80).",
		"Saved in main's context: the x87 settings (0x37f).",
		"rax: the SSE settings in main's context (0x1f80).",
		"xorl 0x40(%rsi), %eax: rax 0x1f80 → 0; read: other's context",
		"rax stays 0",
		"Both have the same SSE settings: the branch is taken, nothing is loaded.",
		"rax: the x87 settings in main's context (0x37f).",
		"compared, and found equal",
		"Both have the same x87 settings: the branch is taken, nothing is loaded.",
		"rdx: where other is to go on, __morestack+0x1, from its context.",
		"rbx is loaded from other's context: ",
		"rbp is loaded from other's context: ",
		"r12 is loaded from other's context: ",
		"r13 is loaded from other's context: ",
		"r14 is loaded from other's context: ",
		"r15 is loaded from other's context: ",
		"rsp is loaded from other's context: from this instruction on we stand on other's stack.",
		"The jump to the entry trampoline: other begins.",
		"rdi = r13: 0.",
		"Calls other_body: ",
	};
	struct model *m = recorded(false);
	uint64_t t = expect(m, 1, sentences[0]);

	CHECK(strstr(text, "The switch begins: main is about to stop, and other to go on."));
	for (size_t i = 1; i < sizeof sentences / sizeof *sentences; i++)
		CHECK_EQ(expect(m, t + i, sentences[i]), t + i);
#ifndef __OPTIMIZE__
	expect(m, t, "rdi (3) is stored: other_leaf's variable n");
#endif
	expect(m, t, ", from coctx_swap's return address (S0-0x");
	t = expect(m, t + 30, "The switch begins: other is about to stop, and main to go on.");
	t = expect(m, t, "from this instruction on we stand on main's stack.");
	CHECK_EQ(expect(m, t, "main goes on where it left off"), t + 1);
	t = expect(m, t, "from this instruction on we stand on other's stack.");
	CHECK_EQ(expect(m, t, "other goes on where it left off"), t + 1);
	model_free(m);
}

static void damage(void)
{
	struct model *m = recorded(true);
	uint64_t t = expect(m, 1, "main is back, but the switch has lost rbx (");

	CHECK(strstr(text, " → "));
	CHECK(strstr(text, "main goes on where it left off"));
	CHECK(m->swaps[m->swap].arrival == t);
	/* This one is no fault of the switch. */
	expect(m, 1, "While other was away, its context got another r12 (");
	CHECK(strstr(text, "→ 0x1234). The jump to "));
	CHECK(!strstr(text, "lost"));
	model_free(m);
}

static void events(void)
{
	struct model *m = recorded(false);

	model_seek(m, 0);
	CHECK(strstr(say(m, text, sizeof text), "The recording begins here, in "));
	model_seek(m, m->last - 1);
	say(m, text, sizeof text);
	CHECK(strstr(text, "other is created. SIGUSR1 arrives. Not recorded: main ran on from "));
	CHECK(strstr(text, " to other_body."));
	model_seek(m, m->last);
	CHECK(strstr(say(m, text, sizeof text), "The program was killed by SIGSEGV. "));
	model_free(m);
}

/* What memory held before a step, in parts of words and across them. */
static void bytes(void)
{
	static struct trace_word old[] = { { 0x1000, 0x1111222233334444 }, { 0x1008, 0x5555666677778888 }, { 0x1010, 0 } };
	static bool was_known[] = { true, true, false };
	static struct model m = { .state = { .before = old, .was_known = was_known, .n_before = 3 } };
	uint64_t v;

	for (uint64_t addr = 0x1000; addr < 0x1020; addr += 8)
		CHECK_EQ(memory_set_word(&m.state.memory, addr, 0xa0 + addr), 0);
	CHECK(bytes_before(&m, 0x1004, 4, &v) && v == 0x11112222);
	CHECK(bytes_before(&m, 0x1004, 8, &v) && v == 0x7777888811112222);
	CHECK(bytes_before(&m, 0x100f, 1, &v) && v == 0x55);
	CHECK(bytes_before(&m, 0x1018, 2, &v) && v == 0x10b8);
	CHECK(!bytes_before(&m, 0x100c, 8, &v)); /* was not known */
	CHECK(!bytes_before(&m, 0x1000, 16, &v));
	CHECK(!bytes_before(&m, 0x2000, 8, &v));
	CHECK(bytes_now(&m, 0x1004, 4, &v) && v == 0);
	memory_free(&m.state.memory);
}

/* Does it end in a whole character of UTF-8? The only ones that we write are "→". */
static bool is_whole(const char *s)
{
	size_t n = strlen(s), k = 0;

	while (k < n && (uint8_t)s[n - 1 - k] >= 0x80)
		k++;
	return k % 3 == 0;
}

/* Every step has a sentence, that ends; and room is never overrun. */
static void every_step(void)
{
	struct model *m = recorded(false);
	char small[64];

	for (uint64_t t = 0; t <= m->last; t++) {
		model_seek(m, t);

		size_t len = strlen(say(m, text, sizeof text));

		CHECK(len > 0 && text[len - 1] == '.');
		CHECK(!strstr(text, "  ") && *text != ' ');
		for (size_t n = t % 4; n < sizeof small && t % 4 == t / 4 % 4; n += 4) {
			memset(small, '#', sizeof small);
			say(m, small, n);
			CHECK(n == 0 || memchr(small, 0, n) != NULL);
			CHECK(n == 0 || is_whole(small));
			for (size_t k = n; k < sizeof small; k++)
				CHECK_EQ(small[k], '#');
		}
	}
	model_free(m);
}

static const struct test_case cases[] = {
	{ "a_switch", "each instruction of a switch is explained", a_switch, 0, NULL },
	{ "damage", "a register that the switch has lost is named, old and new", damage, 0, NULL },
	{ "events", "the beginning, a gap, a signal, the end", events, 0, NULL },
	{ "bytes", "what memory held before", bytes, 0, NULL },
	{ "every_step", "every step has a sentence, in any room", every_step, 0, NULL },
};
TEST_MAIN(cases)
