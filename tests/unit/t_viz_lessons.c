/* SPDX-License-Identifier: MIT */
/* Recordings of the lessons' own programs: what the model tells of them must hold at
 * every state. (The fields of the library's structs are found by the real table here.) */
#include "app.h"
#include "model.h"
#include "record.h"
#include "check.h"

static char path[] = "/tmp/t_viz_lessons.XXXXXX";

static void remove_file(void)
{
	unlink(path);
}

/* The demo of a lesson, built as this program was. */
static void find_demo(const char *lesson, char *demo, size_t len)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	CHECK(n > 0);
	self[n] = 0;
	*strrchr(self, '/') = 0;
	*strrchr(self, '/') = 0;
	snprintf(demo, len, "%s/lessons/%s/demo", self, lesson);
}

static struct model *record(const char *lesson, uint64_t max_switches)
{
	char demo[5000], *argv[] = { demo, NULL }, *why = NULL;
	struct record_options o = { .mode = RECORD_SWITCH, .path = path, .argv = argv, .max_switches = max_switches,
				    .is_quiet = true, .has_no_input = true };
	int fd = mkstemp(path), more = 1;

	CHECK(fd >= 0);
	close(fd);
	atexit(remove_file);
	find_demo(lesson, demo, sizeof(demo));
	struct recorder *r = record_start(&o, &why);
	while (r && more > 0)
		more = record_more(r, 10000, &why);
	if (why)
		fprintf(stderr, "%s\n", why);
	CHECK(r && more == 0);
	printf("# %s: %llu states, %s\n", lesson, (unsigned long long)record_steps(r), record_end(r));
	record_finish(r);
	struct model *m = model_open(path, &why);
	if (!m)
		fprintf(stderr, "%s\n", why);
	CHECK(m != NULL);
	CHECK(trace_damage(m->trace) == NULL);
	return m;
}

/* Code that the kernel has put there (the vdso) is in no file. */
static bool is_in_file(struct model *m, uint64_t addr)
{
	uint8_t byte;

	return symbols_code(m->symbols, addr, &byte, 1) == 1;
}

/* Who runs stands on a stack of its own, and nobody lost a register. */
static void check_states(struct model *m)
{
	struct regs left;
	size_t n_problems = 0;

	for (uint64_t t = 0; t <= m->last; t++) {
		CHECK_EQ(model_seek(m, t), 0);
		const struct exec *e = model_exec(m, m->current);
		CHECK(e != NULL);
		CHECK_EQ(model_owner(m, m->state.regs.r[REG_RSP]), m->current);
		n_problems += m->table.problem != NULL;
		CHECK(m->done.len > 0 || t == 0 || m->state.flags & STEP_IS_GAP || !is_in_file(m, m->done_at));
		CHECK(m->next.len > 0 || !is_in_file(m, m->state.regs.r[REG_RIP]));
	}
	printf("# %zu of %llu states are in the middle of a change of a list\n", n_problems, (unsigned long long)m->last);
	CHECK(n_problems * 20 < m->last);
	for (size_t i = 0; i < m->n_swaps; i++) {
		const struct swap *s = &m->swaps[i];
		CHECK(s->from != NO_EXEC && s->to != NO_EXEC);
		CHECK(i == 0 || s->from == m->swaps[i - 1].to);
		CHECK(s->hands > s->entry && s->arrival > s->hands);
		CHECK_EQ(model_lost(m, i, &left), 0);
	}
}

/* N on and N back, and a seek: the same screen. */
static void check_screens(struct model *m)
{
	struct app app;
	struct grid on[40] = { { 0 } }, again = { 0 };
	uint64_t first = m->swaps[m->n_swaps / 2].entry;
	int n = (int)(m->last - first < 40 ? m->last - first : 40);

	app_init(&app, m);
	CHECK_EQ(grid_init(&again, 120, 36), 0);
	for (int i = 0; i < n; i++) {
		CHECK_EQ(grid_init(&on[i], 120, 36), 0);
		CHECK_EQ(model_seek(m, first + (uint64_t)i), 0);
		app_draw(&app, &on[i]);
	}
	for (int i = n; i-- > 0;) {
		CHECK_EQ(model_seek(m, first + (uint64_t)i), 0);
		app_draw(&app, &again);
		CHECK(grid_equal(&on[i], &again));
		CHECK_EQ(model_seek(m, i % 2 ? 0 : m->last), 0);
		CHECK_EQ(model_seek(m, first + (uint64_t)i), 0);
		app_draw(&app, &again);
		CHECK(grid_equal(&on[i], &again));
		grid_free(&on[i]);
	}
	grid_free(&again);
	app_free(&app);
}

static void swaps_of(const char *lesson, uint64_t max, size_t least)
{
	struct model *m = record(lesson, max);

	CHECK(m->n_swaps >= least);
	check_states(m);
	check_screens(m);
	model_free(m);
}

static void swap(void)
{
	swaps_of("01-swap", 0, 10);
}

static void coroutine(void)
{
	swaps_of("03-coroutine", 0, 20);
}

static void sharestack(void)
{
	swaps_of("10-sharestack", 20, 20);
}

/* The context that swap @i goes to, at the entry. @below: how far from the top of its stack
 * its rsp is. */
static void check_foreseen(struct model *m, size_t i, uint64_t below)
{
	struct regs regs;
	uint64_t word;

	CHECK(m->n_swaps > i);
	CHECK_EQ(model_seek(m, m->swaps[i].entry), 0);
	const struct exec *to = model_exec(m, m->to);
	CHECK(to && model_exec_regs(m, to, &regs) && regs.r[REG_RIP] != 0);
	CHECK_EQ(regs.r[REG_RSP], to->hi - below);
	CHECK_EQ(to->rsp, to->hi - below);
	CHECK(exec_view_read(&(struct exec_view){ m, to }, to->hi - 8, &word, 8));
	CHECK(!exec_view_read(&(struct exec_view){ m, to }, to->hi, &word, 8)); /* nor is anything above */
}

/* For another recording. */
static void close_model(struct model *m)
{
	model_free(m);
	remove_file();
	strcpy(path + strlen(path) - 6, "XXXXXX");
}

/* Contexts that no table has, before they run for the first time: all is known that there
 * is. What lies on top of such a stack is the program's object's end. */
static void foreseen(void)
{
	struct model *m = record("01-swap", 3);
	const char *why;
	size_t n;

	check_foreseen(m, 1, 8);
	close_model(m);
	m = record("02-context", 1);
	check_foreseen(m, 0, 0);
	CHECK_EQ(model_seek(m, m->swaps[0].arrival), 0);
	const struct frame *frames = model_frames(m, model_exec(m, m->current), &n, &why);
	CHECK(why == NULL && n > 2); /* by the word that leads from worker's to main's */
	CHECK_EQ(model_owner(m, frames[1].cfa), m->from);
	close_model(m);
	m = record("10-sharestack", 40);
	for (size_t i = 0; i < m->n_swaps; i++) {
		CHECK_EQ(model_seek(m, m->swaps[i].entry), 0);
		const struct exec *to = model_exec(m, m->to);
		CHECK(to != NULL);
		if (to->trace->kind != EXEC_COPIER)
			continue;
		check_foreseen(m, i, 0);
		model_free(m);
		return;
	}
	CHECK(false); /* no copier */
}

/* The library's own table, in a program: names, states, stacks. */
static void table(void)
{
	struct model *m = record("03-coroutine", 8);
	uint64_t t;
	char *why;

	CHECK(m->layout && m->layout->has_coroutines);
	CHECK(model_place(m, "arrive:1", &t, &why) && model_seek(m, t) == 0);
	const struct exec *e = model_exec(m, m->current), *main_ = model_exec(m, m->from);
	CHECK(e->info && !e->info->is_main && e->info->id > 0);
	CHECK_EQ(strcmp(e->state, "running"), 0);
	CHECK(e->hi - e->lo >= 128 * 1024 && e->hi - e->lo < 132 * 1024);
	CHECK(e->info->resumer == main_->info->co && e->info->env == m->table.env);
	CHECK(main_->info->is_main && strcmp(main_->state, "normal") == 0 && strcmp(main_->name, "main") == 0);
	CHECK_EQ(m->table.running, e->info->co);
	struct symbol s;
	CHECK(symbol_at(m->symbols, e->info->fn, &s) && s.lo == e->info->fn);
	model_free(m);
}

static const struct test_case cases[] = {
	{ "swap", "lesson 1: contexts without a library", swap, 0, 0 },
	{ "coroutine", "lesson 3: coroutines", coroutine, 0, 0 },
	{ "sharestack", "lesson 10: a shared stack", sharestack, 0, 0 },
	{ "foreseen", "contexts without an environment are known when the first switch to them begins", foreseen, 0, 0 },
	{ "table", "the library's own table tells who is who", table, 0, 0 },
};

TEST_MAIN(cases)
