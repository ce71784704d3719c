/* SPDX-License-Identifier: MIT */
/* The viewer without a terminal: keys in, grids out. */
#include "check.h"

#include "app.h"
#include "export.h"
#include "script.h"
#include "session.h"
#include "viz_story.h"

/* --- a session on the story ------------------------------------------------------------------- */

static struct session s;

static void open_session(int w, int h)
{
	char path[] = "/tmp/t_viz_app.XXXXXX", *why = NULL;
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	close(fd);
	story_write(path, 0);
	struct model *m = model_open(path, &why);
	unlink(path);
	if (!m)
		fprintf(stderr, "%s\n", why);
	CHECK(m != NULL);
	s = (struct session){ .palette = PALETTE_256, .marked = -1 };
	app_init(&s.app, m);
	CHECK_EQ(grid_init(&s.grid, w, h), 0);
	session_draw(&s);
}

static void close_session(void)
{
	struct model *m = s.app.model;

	app_free(&s.app);
	model_free(m);
	grid_free(&s.grid);
}

static void press(const char *key)
{
	CHECK(key_named(key) != K_NONE);
	CHECK(session_key(&s, key_named(key)));
	session_draw(&s);
}

static void type(const char *text)
{
	while (*text)
		session_key(&s, utf8_next(&text));
	session_key(&s, K_ENTER);
	session_draw(&s);
}

static char *screen(void)
{
	static char *text;
	size_t len;

	free(text);
	FILE *f = open_memstream(&text, &len);
	CHECK_EQ(export_text(f, &s.grid), 0);
	CHECK_EQ(fclose(f), 0);
	return text;
}

static void shows(const char *words)
{
	if (strstr(screen(), words))
		return;
	fprintf(stderr, "\"%s\" is not on\n%s", words, screen());
	abort();
}

static void says(const char *words)
{
	if (strstr(s.app.message, words))
		return;
	fprintf(stderr, "the message is \"%s\", not \"%s\"\n", s.app.message, words);
	abort();
}

static struct grid copy_of(const struct grid *g)
{
	struct grid copy = { 0 };

	CHECK_EQ(grid_init(&copy, g->w, g->h), 0);
	memcpy(copy.cells, g->cells, (size_t)g->w * (size_t)g->h * sizeof(*g->cells));
	return copy;
}

/* --- travel -------------------------------------------------------------------------------------- */

static void there_and_back(const char *key, const char *back, int n)
{
	struct grid before = copy_of(&s.grid);
	uint64_t t = s.app.model->t;

	for (int i = 0; i < n; i++)
		press(key);
	CHECK(s.app.model->t != t);
	for (int i = 0; i < n; i++)
		press(back);
	CHECK_EQ(s.app.model->t, t);
	CHECK(grid_equal(&before, &s.grid));
	grid_free(&before);
}

static void forth_and_back(void)
{
	open_session(120, 36);
	CHECK(s.app.model->last > 60);
	there_and_back("Right", "Left", 1);
	there_and_back("l", "h", 60);
	press("]");
	there_and_back("]", "[", 2);
	there_and_back("Right", "Left", 7);
	press("4");
	press("S-Down"); /* with a word chosen */
	there_and_back("Right", "Left", 5);
	press("Tab");
	there_and_back("Right", "Left", 3);
	close_session();
}

/* A seek is the same as stepping: the whole screen. */
static void seek_is_stepping(void)
{
	char words[32];

	open_session(100, 30);
	for (uint64_t t = 0; t + 7 < s.app.model->last; t += 7) {
		for (int i = 0; i < 7; i++)
			press("Right");
		struct grid stepped = copy_of(&s.grid);
		type(":end");
		snprintf(words, sizeof(words), ":%llu", (unsigned long long)t + 7);
		type(words);
		CHECK(grid_equal(&stepped, &s.grid));
		grid_free(&stepped);
	}
	close_session();
}

static void ends(void)
{
	open_session(120, 36);
	press("Left");
	says("beginning of the trace");
	press("End");
	CHECK_EQ(s.app.model->t, s.app.model->last);
	press("Right");
	says("end of the trace");
	press("]");
	says("no switch after this");
	press("Home");
	CHECK_EQ(s.app.model->t, 0);
	CHECK_EQ(s.app.message[0], 0);
	close_session();
}

static void plays(void)
{
	open_session(120, 36);
	CHECK_EQ(app_tick_ms(&s.app), -1);
	press("Space");
	int ms = app_tick_ms(&s.app);
	CHECK(ms > 0);
	press("+");
	CHECK(app_tick_ms(&s.app) < ms);
	press("?");
	CHECK_EQ(app_tick_ms(&s.app), -1);
	press("Esc");
	CHECK(app_tick_ms(&s.app) > 0);
	for (int i = 0; i < 5; i++)
		app_update(&s.app, CMD_TICK, NULL);
	CHECK_EQ(s.app.model->t, 5);
	press("r");
	press("Space"); /* stops whatever plays */
	CHECK_EQ(app_tick_ms(&s.app), -1);
	press("r");
	for (int i = 0; i < 9; i++)
		app_update(&s.app, CMD_TICK, NULL);
	CHECK_EQ(s.app.model->t, 0); /* and there it stops */
	CHECK_EQ(app_tick_ms(&s.app), -1);
	close_session();
}

/* --- words ------------------------------------------------------------------------------------------ */

static void places(void)
{
	open_session(120, 36);
	type(":switch:2");
	CHECK_EQ(s.app.model->t, s.app.model->swaps[1].entry);
	type(":+3");
	CHECK_EQ(s.app.model->t, s.app.model->swaps[1].entry + 3);
	type(":-1000000");
	CHECK_EQ(s.app.model->t, 0);
	type(":+18446744073709551615");
	CHECK_EQ(s.app.model->t, s.app.model->last);
	type(":+x");
	says("a number of instructions");
	type(":nowhere");
	CHECK(s.app.is_error && s.app.message[0]);
	type(":p rbx+0x1e");
	says("= 0x95 = 149");
	type(":p $rsp");
	says("rsp = 0x");
	type(":p no_such_name");
	says("no register, number or function");
	type(":x/4gx rsp");
	CHECK_EQ(s.app.mode, MODE_OVERLAY);
	shows("Memory");
	press("q"); /* closes the text, no more */
	CHECK_EQ(s.app.mode, MODE_KEYS);
	type(":b no_such_function");
	says("there is no function");
	press("Home");
	type("/bob");
	says("coroutine \"bob\"");
	CHECK_EQ(s.app.wish, WISH_NONE);
	type("/zzz");
	says("no function, coroutine or output");
	type(":b memcpy_in_story");
	says("not entered after this");
	says("record --all");
	press("End");
	type("/memcpy_in_story");
	press(","); /* backwards */
	says("function \"memcpy_in_story\"");
	CHECK(s.app.model->t < s.app.model->last);
	press("Home");
	type("/the end");
	says("output");
	close_session();
}

static void marks(void)
{
	open_session(120, 36);
	type(":20");
	press("m");
	press("a");
	press("Home");
	press("'");
	press("a");
	CHECK_EQ(s.app.model->t, 20);
	press("'");
	press("b");
	says("no mark b");
	press("m");
	press("Esc");
	CHECK_EQ(s.app.mode, MODE_KEYS);
	press("m");
	press("1");
	says("from a to z");
	close_session();
}

/* The last change of a chosen register: at its step the value differs from the one before. */
static void last_change(void)
{
	open_session(160, 48);
	press("w");
	says("choose a word or a register");
	press("End");
	press("3");
	press("S-Down");
	press("S-Down");
	int r = s.app.ui.cursor_reg;
	CHECK(r < N_REGS);
	press("w");
	says("changed here");
	CHECK(s.app.model->state.regs.r[r] != s.app.model->state.regs_before.r[r]);
	press("Esc");
	press("w");
	says("choose a word or a register");

	/* a word on a stack: what alice has written at step 4 */
	uint64_t addr = SHARED_HI - 0x20, value = 0, before = 0;
	type(":8");
	press("4");
	for (int i = 0; i < 30 && s.app.ui.follow[VIEW_STACK_A] != addr; i++)
		press("S-Down");
	CHECK_EQ(s.app.ui.follow[VIEW_STACK_A], addr);
	press("w");
	says("changed here");
	CHECK_EQ(s.app.ui.follow[VIEW_STACK_A], addr); /* the same word, wherever it is shown */
	CHECK(memory_word(&s.app.model->state.memory, addr, &value));
	CHECK_EQ(model_seek(s.app.model, s.app.model->t - 1), 0);
	CHECK(!memory_word(&s.app.model->state.memory, addr, &before) || before != value);
	close_session();
}

/* --- what is shown --------------------------------------------------------------------------------- */

static void help_and_panes(void)
{
	open_session(120, 36);
	press("?");
	shows("one instruction on");
	shows("exam");
	shows("1 of 2");
	press("Right"); /* any key turns the page */
	shows("(rsp) (rbp)       where the saved ones point");
	press("Up");
	shows("1 of 2");
	press("Space");
	press("Space");
	CHECK_EQ(s.app.mode, MODE_KEYS);
	press("?");
	press("Esc");
	CHECK_EQ(s.app.mode, MODE_KEYS);
	press("?");
	press(":"); /* is typed, not lost */
	CHECK_EQ(s.app.mode, MODE_PROMPT);
	press("Esc");
	press("x"); /* the first character replaces what is proposed */
	press("a");
	CHECK_EQ(strcmp(s.app.input, "a"), 0);
	press("Esc");
	press("x");
	press("Backspace");
	press("t");
	CHECK(strstr(s.app.input, "coviz-") && strstr(s.app.input, ".svt"));
	press("Esc");
	press("z");
	CHECK(s.app.ui.is_zoomed);
	CHECK_EQ(s.app.shown.view[VIEW_CODE].w, 120);
	press("6");
	CHECK_EQ(s.app.shown.view[VIEW_BUFFER].w, 120);
	press("Esc");
	CHECK(!s.app.ui.is_zoomed);
	press("c");
	says("pinned: main");
	press("P");
	CHECK_EQ(s.app.shown.view[VIEW_TIMELINE].h, 3); /* its title line: t, the switch, rsp */
	CHECK_EQ(s.app.shown.view[VIEW_COROUTINES].w, 0);
	shows("main's stack, running");
	press("2");
	CHECK(s.app.shown.view[VIEW_STACK_B].w > 0);
	type(":10"); /* in the middle of a copy */
	CHECK(s.app.shown.view[VIEW_BUFFER].w > 0 && s.app.shown.view[VIEW_STACK_B].w == 0);
	press("1");
	shows("1 coroutines, ▶ on the CPU");
	press("P");
	shows("1 coroutines ─"); /* no room for more */
	press("é");
	says("this key does nothing");
	close_session();
}

static void exam(void)
{
	char answer[64];

	open_session(120, 36);
	for (int tries = 0; tries < 100 && s.app.mode != MODE_EXAM && s.app.model->t < s.app.model->last; tries++) {
		press("e");
		if (s.app.mode != MODE_EXAM)
			press("Right");
	}
	if (s.app.mode != MODE_EXAM)
		check_skip("no instruction of the story can be asked about");
	uint64_t t = s.app.model->t;
	enum reg r = s.app.exam_reg;
	CHECK_EQ(model_seek(s.app.model, t + 1), 0);
	snprintf(answer, sizeof(answer), "%#llx", (unsigned long long)s.app.model->state.regs.r[r]);
	CHECK_EQ(model_seek(s.app.model, t), 0);
	type(answer);
	CHECK_EQ(s.app.exam_right, 1);
	CHECK_EQ(s.app.exam_asked, 1);
	CHECK(s.app.model->t > t);
	if (s.app.mode == MODE_EXAM) {
		type("nonsense");
		CHECK_EQ(s.app.exam_right, 1);
		CHECK_EQ(s.app.exam_asked, 2);
	}
	/* nothing is asked twice: here are few instructions, in a loop */
	for (int i = 0; i < 40 && s.app.mode == MODE_EXAM; i++) {
		shows("Esc leaves");
		for (size_t k = 0; k + 1 < s.app.n_exam_seen; k++)
			CHECK(s.app.exam_seen[k] != s.app.model->state.regs.r[REG_RIP]);
		type("0");
	}
	CHECK(s.app.mode != MODE_EXAM);
	close_session();
}

static void mouse(void)
{
	open_session(120, 36);
	struct rect r = s.app.shown.view[VIEW_REGISTERS], time = s.app.shown.view[VIEW_TIMELINE];
	app_mouse(&s.app, (struct mouse){ r.x + 3, r.y + r.h - 2, MOUSE_CLICK });
	session_draw(&s);
	CHECK_EQ(s.app.ui.focus, VIEW_REGISTERS);
	CHECK(s.app.ui.cursor_reg < N_REGS);
	/* the row that was clicked is marked */
	CHECK_EQ(s.grid.cells[(r.y + r.h - 2) * 120 + r.x + r.w - 2].ch, 0x25c0);
	app_mouse(&s.app, (struct mouse){ time.x + time.w - 2, time.y + 2, MOUSE_CLICK });
	uint64_t t = s.app.model->t;
	CHECK(t > 0);
	app_mouse(&s.app, (struct mouse){ time.x + 2, time.y + 2, MOUSE_WHEEL_UP });
	CHECK_EQ(s.app.model->t, t - 1);
	app_mouse(&s.app, (struct mouse){ -5, 999, MOUSE_CLICK });
	CHECK_EQ(s.app.ui.focus, VIEW_TIMELINE);
	close_session();
}

static void draw_at(int w, int h)
{
	CHECK_EQ(grid_init(&s.grid, w, h), 0);
	session_draw(&s);
}

/* ASan sees what is written outside. */
static void every_size(void)
{
	struct rng r = { test_seed(30) };
	static const char *const keys[] = { "z", "P", "Tab", "a", "d", "c", "?", "Esc", "1", "2", "3", "4", "5", "6", "7", "8",
					    "S-Down", "PgDn", "PgUp" };
	int n = 0;

	open_session(20, 5);
	for (int h = 5; h <= 100; h += h < 50 ? 1 : 7)
		for (int w = 20; w <= 300; w += w < 125 ? 3 : 25, n++) {
			if (rng_below(&r, 3) == 0)
				press(keys[rng_below(&r, sizeof(keys) / sizeof(keys[0]))]);
			if (rng_below(&r, 4) == 0)
				CHECK_EQ(model_seek(s.app.model, rng_below(&r, (unsigned)s.app.model->last + 1)), 0);
			draw_at(w, h);
		}
	printf("# %d sizes\n", n);
	draw_at(1, 1);
	draw_at(19, 4);
	draw_at(1000, 1000);
	close_session();
}

/* Any keys at all. */
static void any_keys(void)
{
	struct rng r = { test_seed(31) };

	for (int round = 0; round < 6; round++) {
		open_session(40 + (int)rng_below(&r, 100), 10 + (int)rng_below(&r, 30));
		for (int i = 0; i < 250; i++) {
			uint32_t key = rng_below(&r, 3) ? ' ' + rng_below(&r, 95) :
				       rng_below(&r, 2) ? K_FIRST + rng_below(&r, K_LAST - K_FIRST) : rng_below(&r, 0x3000);
			if (key == 'x' && s.app.mode == MODE_KEYS)
				continue; /* would write files */
			session_key(&s, key);
			if (i % 8 == 0)
				session_draw(&s);
			CHECK(s.app.model->t <= s.app.model->last);
		}
		close_session();
	}
}

/* --- scripts ------------------------------------------------------------------------------------------ */

static int run_script(const char *text)
{
	FILE *f = fmemopen((void *)text, strlen(text), "r");

	CHECK(f != NULL);
	int status = script_run(&s, f, "test");
	fclose(f);
	return status;
}

static void scripts(void)
{
	open_session(80, 24);
	CHECK_EQ(run_script("# nothing\n\n  ] Right # on\n:switch:2\n3*Right\nexpect switch 2\n"), 0);
	CHECK_EQ(s.app.model->t, s.app.model->swaps[1].entry + 3);
	CHECK_EQ(run_script("size 120x36\nexpect coroutines\n"), 0);
	CHECK_EQ(s.grid.w, 120);
	CHECK_EQ(run_script("expect no such words\n"), 1);
	CHECK_EQ(run_script("Rihgt\n"), 2);
	CHECK_EQ(run_script("dump x.gif\n"), 2);
	CHECK_EQ(run_script("size 0x9\n"), 2);
	CHECK_EQ(run_script("q Home\n"), 0);
	CHECK(s.app.model->t > 0);
	close_session();
}

static const struct test_case cases[] = {
	{ "forth_and_back", "N steps forward and N back: the same screen", forth_and_back, 0, NULL },
	{ "seek_is_stepping", "a seek shows the screen that stepping shows", seek_is_stepping, 0, NULL },
	{ "ends", "at both ends a key says so and nothing moves", ends, 0, NULL },
	{ "plays", "play goes on by ticks, also backwards, and stops at the end", plays, 0, NULL },
	{ "places", "places, values, memory and searches after : and /", places, 0, NULL },
	{ "marks", "marks are set and found", marks, 0, NULL },
	{ "last_change", "w goes to the last change of the chosen register or word", last_change, 0, NULL },
	{ "help_and_panes", "help, zoom, focus, pin, projector", help_and_panes, 0, NULL },
	{ "exam", "the exam asks, the CPU answers", exam, 0, NULL },
	{ "mouse", "a click chooses what it hits, the wheel turns time", mouse, 0, NULL },
	{ "every_size", "every size from 20x5 to 300x100 draws", every_size, 0, NULL },
	{ "any_keys", "no keys, in any order, do harm", any_keys, 0, NULL },
	{ "scripts", "scripts play keys, check the screen, and say what is wrong", scripts, 0, NULL },
};

TEST_MAIN(cases)
