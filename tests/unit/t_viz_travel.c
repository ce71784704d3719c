/* SPDX-License-Identifier: MIT */
/* Travelling through real code: a child of this program is stepped through a few calls,
 * and what it did is the trace. */
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "model.h"
#include "check.h"

/* --- the code that is walked through ------------------------------------------------------- */

#ifdef __clang__
#define APART __attribute__((noinline, used))
#else
#define APART __attribute__((noipa)) /* nor copied for a caller */
#endif

static volatile int sink;
static void (*volatile call_ends)(void);

APART static int travel_leaf(int x)
{
	sink = x;
	return x * 3;
}

APART static int travel_twice(int x)
{
	int a = travel_leaf(x);
	int b = travel_leaf(x + 1);
	return a + b;
}

APART static int travel_fall(int n)
{
	if (n == 0)
		return sink;
	sink += travel_fall(n - 1);
	return sink + n;
}

APART static void travel_end(void)
{
	sink = 0;
}

APART static void travel_walk(void)
{
	sink = 1;
	sink += travel_twice(sink);
	sink += travel_fall(4);
	sink += travel_leaf(sink);
	call_ends();
}

/* --- the trace ----------------------------------------------------------------------------------- */

static char path[] = "/tmp/t_viz_travel.XXXXXX";

static void remove_file(void)
{
	unlink(path);
}

static void add_maps(struct trace_writer *w)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[4096], file[4096];
	struct trace_map map = { .path = file };
	char mode[5];
	unsigned long lo, hi, offset;

	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %4095s", &lo, &hi, mode, &offset, file) != 5 || file[0] != '/')
			continue;
		map.lo = lo, map.hi = hi, map.offset = offset;
		CHECK_EQ(trace_add_map(w, &map), 0);
	}
	fclose(f);
}

static struct regs regs_of(pid_t pid)
{
	struct user_regs_struct u;
	struct regs r = { { 0 } };

	CHECK_EQ(ptrace(PTRACE_GETREGS, pid, NULL, &u), 0);
	uint64_t all[] = { u.rax, u.rbx, u.rcx, u.rdx, u.rsi, u.rdi, u.rbp, u.rsp, u.r8, u.r9, u.r10, u.r11, u.r12, u.r13,
			   u.r14, u.r15, u.rip, u.eflags };
	memcpy(r.r, all, sizeof(all));
	return r;
}

static void step(pid_t pid)
{
	int status;

	CHECK_EQ(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status));
}

static void record(void)
{
	struct trace_writer *w;
	struct trace_info info = { .command = "walk", .program = "walk", .mode = "all" };
	int status, fd = mkstemp(path);
	struct regs regs;

	CHECK(fd >= 0);
	close(fd);
	atexit(remove_file);
	CHECK_EQ(trace_create(&w, path, &info), 0);
	add_maps(w);
	call_ends = travel_end;
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(CHECK_SKIPPED);
		raise(SIGSTOP);
		travel_walk();
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		check_skip("this process may not trace another (ptrace)");
	do
		step(pid); /* out of raise */
	while (regs_of(pid).r[REG_RIP] != (uint64_t)(uintptr_t)travel_walk);
	uint64_t top = regs_of(pid).r[REG_RSP];
	do {
		regs = regs_of(pid);
		CHECK_EQ(trace_add_step(w, &regs, NULL, 0, 0), 0);
		step(pid);
	} while (regs.r[REG_RSP] <= top);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	CHECK_EQ(trace_close(w), 0);
}

static struct model *open_model(void)
{
	char *why = NULL;

	record();
	struct model *m = model_open(path, &why);
	if (!m)
		fprintf(stderr, "%s\n", why);
	CHECK(m != NULL);
	CHECK(m->last > 50);
	return m;
}

/* --- against looking at each state -------------------------------------------------------------- */

enum { MAX_STATES = 20000 };

static struct source_line lines[MAX_STATES];
static bool has_line[MAX_STATES];
static uint64_t rips[MAX_STATES], rsps[MAX_STATES];

static void look_at_all(struct model *m)
{
	CHECK(m->last < MAX_STATES);
	for (uint64_t t = 0; t <= m->last; t++) {
		CHECK_EQ(model_seek(m, t), 0);
		rips[t] = m->state.regs.r[REG_RIP];
		rsps[t] = m->state.regs.r[REG_RSP];
		has_line[t] = source_at(m->symbols, rips[t], &lines[t]);
	}
	CHECK(has_line[0]);
}

static bool same_line(uint64_t a, uint64_t b)
{
	return lines[a].line == lines[b].line && strcmp(lines[a].path, lines[b].path) == 0;
}

static void line(void)
{
	struct model *m = open_model();
	uint64_t t = 0, stops[MAX_STATES];
	size_t n = 0;

	look_at_all(m);
	for (;;) {
		stops[n++] = t;
		uint64_t u = t + 1;
		while (u <= m->last && (!has_line[u] || same_line(u, t)))
			u++;
		CHECK_EQ(model_next_line(m, t, 1), u <= m->last ? u : t);
		if (u > m->last)
			break;
		t = u;
	}
	CHECK(n > 10);
	CHECK_EQ(model_next_line(m, m->last, -1), stops[n - 1] == m->last ? stops[n - 2] : stops[n - 1]);
	while (n-- > 1)
		CHECK_EQ(model_next_line(m, stops[n], -1), stops[n - 1]);
	CHECK_EQ(model_next_line(m, 0, -1), 0);
	model_free(m);
}

static bool is_in(struct model *m, uint64_t t, const char *name)
{
	struct symbol s;

	return symbol_at(m->symbols, rips[t], &s) && strcmp(s.name, name) == 0;
}

/* Over calls, from the first line of travel_walk: never into one of the others. */
static void over(void)
{
	struct model *m = open_model();
	uint64_t t = 0, stops[MAX_STATES];
	size_t n = 0;

	look_at_all(m);
	for (uint64_t next;; t = next) {
		CHECK(is_in(m, t, "travel_walk"));
		stops[n++] = t;
		next = model_next_over(m, t, 1);
		if (next == t || !is_in(m, next, "travel_walk"))
			break;
		CHECK(!same_line(t, next));
	}
	printf("# %zu lines of it\n", n);
	CHECK(n >= 5);
	while (n-- > 1)
		CHECK_EQ(model_next_over(m, stops[n], -1), stops[n - 1]);

	/* Inside of a recursion: the callee's next line is not the caller's. */
	uint64_t at = model_find_function(m, 0, "travel_fall", 1), end = model_next_over(m, at, 1);
	for (int i = 0; i < 3 && is_in(m, end, "travel_fall") && rsps[end] <= rsps[at]; i++) {
		CHECK(rsps[end] + 200 > rsps[at]); /* not in a deeper one */
		end = model_next_over(m, end, 1);
	}
	/* Out of the end of a function one comes to its caller, */
	t = model_find_function(m, 0, "travel_leaf", 1);
	while (is_in(m, t, "travel_leaf"))
		t = model_next_over(m, t, 1);
	CHECK(is_in(m, t, "travel_twice"));
	/* and back over its beginning, too. */
	t = model_find_function(m, 0, "travel_leaf", 1);
	CHECK(is_in(m, model_next_over(m, t, -1), "travel_twice"));
	model_free(m);
}

static void call(void)
{
	struct model *m = open_model();
	uint64_t t = 0, next, stops[MAX_STATES];
	size_t n = 0, n_entered = 0;

	look_at_all(m);
	for (; (next = model_next_call(m, t, 1)) != t; t = next) {
		stops[n++] = next;
		n_entered += rsps[next] == rsps[next - 1] - 8;
	}
	/* twice, 2 leaves, 5 falls, leaf, end: 10 calls, as many returns, perhaps one by a jump */
	printf("# %zu calls and returns, %zu calls\n", n, n_entered);
	CHECK(n_entered == 10 || n_entered == 9);
	while (n-- > 1)
		CHECK_EQ(model_next_call(m, stops[n], -1), stops[n - 1]);
	model_free(m);
}

static void function(void)
{
	struct model *m = open_model();
	uint64_t t = 0, next, place;
	char *why, text[40];
	int n = 0;

	look_at_all(m);
	for (; (next = model_find_function(m, t, "travel_leaf", 1)) != t; t = next) {
		CHECK_EQ(rips[next], (uintptr_t)travel_leaf);
		snprintf(text, sizeof(text), "func:travel_leaf#%d", ++n);
		CHECK(model_place(m, text, &place, &why));
		CHECK_EQ(place, next);
	}
	CHECK_EQ(n, 3);
	for (t = m->last; (next = model_find_function(m, t, "travel_leaf", -1)) != t; t = next)
		n--;
	CHECK_EQ(n, 0);
	CHECK(model_place(m, "func:travel_walk", &place, &why) && place == 0);
	CHECK(!model_place(m, "func:travel_leaf#4", &place, &why) && strstr(why, "enters it 3 times"));
	free(why);
	/* its first line: what stands there, and nothing before */
	CHECK(model_place(m, "func:travel_leaf", &t, &why));
	snprintf(text, sizeof(text), "line:t_viz_travel.c:%d#3", lines[t].line);
	CHECK(model_place(m, text, &place, &why));
	CHECK_EQ(rips[place], rips[t]);
	CHECK(model_place(m, "func:travel_leaf#3", &t, &why));
	CHECK_EQ(place, t);
	text[strlen(text) - 1] = '4';
	CHECK(!model_place(m, text, &place, &why) && strstr(why, "comes there 3 times"));
	free(why);
	CHECK(!model_place(m, "line:t_viz_travel.c", &place, &why) && strstr(why, "line:loop.c:79"));
	free(why);
	CHECK(!model_place(m, "line:nowhere.c:7", &place, &why) && strstr(why, "no code of such a line"));
	free(why);
	CHECK(!model_place(m, "func:main", &place, &why) && strstr(why, "no recorded instruction is in it"));
	free(why);
	model_free(m);
}

static const struct test_case cases[] = {
	{ "line", "from line to line, and back by the same states", line, 0, 0 },
	{ "over", "over calls, and back over them", over, 0, 0 },
	{ "call", "from call to call and return", call, 0, 0 },
	{ "function", "where a function is entered", function, 0, 0 },
};

TEST_MAIN(cases)
