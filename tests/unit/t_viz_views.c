/* SPDX-License-Identifier: MIT */
/* The panes: what each shows of a story that is known word by word (viz_story.h), and that
 * none of them writes beyond its pane or believes a number. */
#include <stdlib.h>
#include <string.h>

#include "grid.h"
#include "model.h"
#include "view.h"
#include "viz_story.h"

static struct grid grid;
static struct ui ui;

static void reset_ui(void)
{
	memset(&ui, 0, sizeof ui);
	ui.pinned = NO_EXEC;
	for (int i = 0; i < N_VIEWS; i++)
		ui.cursor[i] = -1;
}

static struct model *open_story(int without)
{
	char path[] = "/tmp/t_viz_views.XXXXXX";
	int fd = mkstemp(path);
	char *why = NULL;
	struct model *m;

	CHECK(fd >= 0);
	close(fd);
	story_write(path, without);
	m = model_open(path, &why);
	if (!m)
		fprintf(stderr, "%s\n", why);
	CHECK(m != NULL);
	unlink(path);
	reset_ui();
	return m;
}

static struct model *story_at(uint64_t t)
{
	struct model *m = open_story(0);

	CHECK_EQ(model_seek(m, t), 0);
	return m;
}

/* Draw @id into a pane of that size. */
static void draw(struct model *m, enum view_id id, int w, int h)
{
	CHECK_EQ(grid_init(&grid, w + 2, h + 2), 0);
	views[id]->draw(m, &ui, (struct pane){ &grid, 1, 1, w, h });
}

/* Line @y of the last draw as text: what is not ASCII, as '~'. */
static const char *line_text(int y)
{
	static char text[512];
	int n = 0;

	for (int x = 0; x < grid.w && n < (int)sizeof text - 1; x++) {
		uint32_t ch = grid.cells[(y + 1) * grid.w + x].ch;

		text[n++] = ch < 0x80 ? (char)ch : '~';
	}
	text[n] = '\0';
	return text;
}

/* The line that has @part; -1: none. */
static int line_with(const char *part)
{
	for (int y = 0; y < grid.h - 2; y++)
		if (strstr(line_text(y), part))
			return y;
	return -1;
}

static void check_shown(const char *part, bool is_wanted)
{
	bool is_there = line_with(part) >= 0;

	if (is_there == is_wanted)
		return;
	fprintf(stderr, "\"%s\" is %s there:\n", part, is_wanted ? "not" : "still");
	for (int y = 0; y < grid.h - 2; y++)
		fprintf(stderr, "%s\n", line_text(y));
	abort();
}
#define CHECK_SHOWS(part) check_shown(part, true)
#define CHECK_SHOWS_NOT(part) check_shown(part, false)

/* A cell of line @y that is at the beginning of @part. */
static const struct cell *cell_of(int y, const char *part)
{
	const char *text = y < 0 ? NULL : line_text(y), *at = text ? strstr(text, part) : NULL;

	CHECK(at != NULL);
	return &grid.cells[(y + 1) * grid.w + (at - text)];
}

/* --- each pane ------------------------------------------------------------------------- */

static void coroutines(void)
{
	struct model *m = story_at(T_ALICE);

	draw(m, VIEW_COROUTINES, 100, 10);
	CHECK_SHOWS("~S1 alice");
	CHECK(strchr(line_text(line_with("S1 alice")), '~') != NULL);
	CHECK_SHOWS(" S0 main");
	model_seek(m, T_START);
	draw(m, VIEW_COROUTINES, 100, 10);
	CHECK_SHOWS("~S0 main");
	model_seek(m, T_SAVED);
	draw(m, VIEW_COROUTINES, 100, 10);
	CHECK(strstr(line_text(line_with("S1 alice")), "shared:saved") != NULL);
	CHECK(strstr(line_text(line_with("S1 alice")), "suspended") != NULL);
	CHECK(strstr(line_text(line_with("S1 alice")), "64 B") != NULL);
	draw(m, VIEW_COROUTINES, 24, 12);
	CHECK_SHOWS("S1 alice");
	CHECK_SHOWS("shared:saved"); /* in a line of its own */
	CHECK_SHOWS("~ on the CPU");
	draw(m, VIEW_COROUTINES, 24, 5);
	CHECK_SHOWS("~ on CPU  state");
	model_free(m);
}

static void registers(void)
{
	struct model *m = story_at(T_RSP);

	draw(m, VIEW_REGISTERS, 60, 24);
	CHECK_SHOWS("*rsp S0-0x108 ~ S1-0x40");
	CHECK(cell_of(line_with("*rsp"), "S1-0x40")->style & STYLE_CHANGED);
	CHECK_EQ(cell_of(line_with("*rsp"), "S1-0x40")->role, ROLE_EXEC0 + ALICE);
	CHECK_SHOWS("*rbx 0xb0b");
	CHECK(!(cell_of(line_with("*rbx"), "0xb0b")->style & STYLE_CHANGED));
	ui.is_raw = true;
	draw(m, VIEW_REGISTERS, 60, 24);
	CHECK_SHOWS("0x700000003fc0");
	ui.cursor[VIEW_REGISTERS] = 1;
	draw(m, VIEW_REGISTERS, 44, 24);
	CHECK_EQ(ui.cursor_reg, REG_RSP);
	model_free(m);
}

static void contexts(void)
{
	struct model *m = story_at(T_LOADED);
	char title[80];

	/* main's rbx has been saved; what the CPU has is another's by now */
	draw(m, VIEW_REGISTERS, 60, 24);
	CHECK(strstr(line_text(line_with("*rbx")), "0x3a13 ~ 0xb0b") != NULL);
	CHECK(strstr(line_text(line_with("*rbx")), " 0x3a13   ") != NULL);
	CHECK(strstr(line_text(line_with("*r12")), "=0 ") != NULL); /* as the CPU has it */
	CHECK_SHOWS("S0 saved");
	CHECK_SHOWS("S1 saved");
	/* in a narrow pane, too; what they are is in the title */
	draw(m, VIEW_REGISTERS, 36, 8);
	CHECK_SHOWS("*rbx 0x3a13 ~ 0xb0b "); /* just now changed, and that takes the line */
	CHECK(strstr(line_text(line_with("*r12")), "=0 ") != NULL);
	model_seek(m, T_RSP);
	draw(m, VIEW_REGISTERS, 36, 8);
	CHECK_SHOWS("*rsp S0-0x108 ~ S1-0x40");
	CHECK_SHOWS("*rbx 0xb0b       0x3a13");
	views[VIEW_REGISTERS]->title(m, &ui, title, sizeof title);
	CHECK_EQ(strcmp(title, "registers\n: now, in S0, in S1"), 0);
	/* numbers are decimal, too, where there is room */
	model_seek(m, T_WROTE);
	draw(m, VIEW_REGISTERS, 60, 24);
	CHECK_SHOWS("(2827)");
	model_free(m);
}

static void lost(void)
{
	struct model *m = story_at(T_LOST);
	char title[80];

	draw(m, VIEW_REGISTERS, 60, 24);
	CHECK_SHOWS("*rbx 0xb0b LOST: it left with 0x3a13");
	CHECK_EQ(cell_of(line_with("*rbx"), "0xb0b")->role, ROLE_BAD);
	CHECK(!strstr(line_text(line_with("*rbp")), "LOST"));
	views[VIEW_REGISTERS]->title(m, &ui, title, sizeof title);
	CHECK(strstr(title, "LOST") != NULL);
	model_seek(m, T_BACK_RSP);
	draw(m, VIEW_REGISTERS, 60, 24);
	CHECK_SHOWS_NOT("LOST");
	model_seek(m, T_COPY); /* the next swap is far away, and rbx is as it was */
	draw(m, VIEW_REGISTERS, 60, 24);
	CHECK_SHOWS("LOST");
	for (uint64_t t = T_HALF; t <= T_SAVED; t++) {
		model_seek(m, t); /* the program has put another value there */
		draw(m, VIEW_REGISTERS, 60, 24);
		CHECK_SHOWS_NOT("LOST");
	}
	model_free(m);
}

static void stacks(void)
{
	struct model *m = story_at(T_WROTE);
	int y;

	/* alice runs: main is on the left, she on the right */
	draw(m, VIEW_STACK_B, 60, 20);
	CHECK_SHOWS("rsp~");
	CHECK(strstr(line_text(line_with("rsp~")), "-0x40") != NULL);
	y = line_with("0xc0ffee");
	CHECK(strstr(line_text(y), "-0x20 ") != NULL);
	CHECK(cell_of(y, "0xc0ffee")->style & STYLE_CHANGED);
	CHECK(!(cell_of(line_with("0xa11ce028"), "0xa11ce028")->style & STYLE_CHANGED));
	CHECK(strstr(line_text(line_with("-0x48 ")), "free") != NULL);
	ui.cursor[VIEW_STACK_B] = y;
	draw(m, VIEW_STACK_B, 60, 20);
	CHECK_EQ(ui.cursor_addr[VIEW_STACK_B], SHARED_HI - 0x20);
	draw(m, VIEW_STACK_A, 60, 50);
	CHECK_SHOWS("(rsp)");
	CHECK_SHOWS_NOT("rsp~");
	/* a word that points into main's stack has main's colour */
	CHECK_EQ(cell_of(line_with("S0-0x40"), "S0-0x40")->role, ROLE_EXEC0 + MAIN);
	model_free(m);
}

static void collapsed(void)
{
	struct model *m = story_at(T_START);

	draw(m, VIEW_STACK_A, 60, 12);
	CHECK_SHOWS("words");
	CHECK_SHOWS("rsp~");
	CHECK_SHOWS("-0x80 "); /* rbp points there */
	CHECK_EQ(ui.n_lines[VIEW_STACK_A] < 32, 1);
	draw(m, VIEW_STACK_A, 60, 60);
	CHECK_SHOWS_NOT("words");
	model_free(m);
}

static void copied_out(void)
{
	struct model *m = story_at(T_BOB);

	/* bob's bytes lie where hers were; hers are shown all the same */
	ui.pinned = ALICE;
	draw(m, VIEW_STACK_A, 60, 20);
	CHECK_SHOWS("copied out: these bytes are in its save_buffer");
	draw(m, VIEW_STACK_A, 30, 20);
	CHECK_SHOWS("in its save_buffer");
	CHECK_SHOWS("0xc0ffee");
	CHECK_SHOWS_NOT("0xb0b020");
	ui.pinned = BOB;
	draw(m, VIEW_STACK_A, 60, 20);
	CHECK_SHOWS("0xb0b020");
	CHECK_SHOWS_NOT("copied out");
	/* a word of the buffer has changed: it is one of the stack that will be */
	model_seek(m, T_SAVED);
	ui.pinned = ALICE;
	draw(m, VIEW_STACK_A, 60, 20);
	CHECK(cell_of(line_with("0xc0ffee"), "0xc0ffee")->style & STYLE_CHANGED);
	CHECK(!(cell_of(line_with("0xa11ce040"), "0xa11ce040")->style & STYLE_CHANGED));
	model_free(m);
}

/* Two have the same stack, and neither is copied out: bob has not begun. */
static void anothers_rsp(void)
{
	struct model *m = story_at(T_ALICE);

	ui.pinned = BOB;
	draw(m, VIEW_STACK_A, 60, 20);
	CHECK(strstr(line_text(line_with("(rsp)")), "-0x30 ") != NULL);
	CHECK_SHOWS("-0x40 ");
	CHECK_SHOWS_NOT("rsp~");
	model_free(m);
}

static void buffer(void)
{
	struct model *m = story_at(T_BOB);

	draw(m, VIEW_BUFFER, 60, 12);
	CHECK_SHOWS("64 bytes of alice");
	CHECK_SHOWS("those of bob (S2)");
	CHECK_SHOWS("-0x20 eeffc000 00000000 ~ 20b0b000 00000000 0xc0ffee");
	CHECK_SHOWS("save_buffer       ~ on the stack      saved"); /* a bar between them */
	draw(m, VIEW_BUFFER, 38, 12);
	CHECK_SHOWS("-20 eeffc00000000000~20b0b00000000000");
	draw(m, VIEW_BUFFER, 80, 12);
	CHECK_SHOWS("-0x20 ee ff c0 00 00 00 00 00 ~ 20 b0 b0 00 00 00 00 00 0xc0ffee");
	CHECK_SHOWS("save_buffer             ~ on the stack: bob's");
	draw(m, VIEW_BUFFER, 60, 12);
	draw(m, VIEW_BUFFER, 24, 7);
	CHECK_SHOWS("64 B out, 24 differ ~");
	draw(m, VIEW_BUFFER, 60, 12);
	ui.cursor[VIEW_BUFFER] = 4;
	draw(m, VIEW_BUFFER, 60, 12);
	CHECK_EQ(ui.cursor_addr[VIEW_BUFFER], BUFFER + 0x20);
	reset_ui();
	model_seek(m, T_SAVED); /* the stack is as it was: nothing differs */
	draw(m, VIEW_BUFFER, 60, 12);
	CHECK_SHOWS("-0x20 ");
	CHECK_SHOWS("on the stack are still"); /* bob has the stack now, and has written nothing to it */
	ui.is_diff = true;
	draw(m, VIEW_BUFFER, 60, 12);
	CHECK_SHOWS_NOT("-0x20 ");
	CHECK_SHOWS("No byte differs");
	model_seek(m, T_START);
	reset_ui();
	draw(m, VIEW_BUFFER, 60, 12);
	CHECK_SHOWS("Nobody is copied out");
	model_free(m);
}

static void copying(void)
{
	struct model *m = story_at(T_HALF);
	char title[80];

	draw(m, VIEW_BUFFER, 60, 12);
	CHECK_SHOWS("copied out");
	CHECK_SHOWS(" 50 %");
	views[VIEW_BUFFER]->title(m, &ui, title, sizeof title);
	CHECK(strstr(title, "copying out") != NULL);
	model_seek(m, T_LOST);
	draw(m, VIEW_BUFFER, 60, 12);
	CHECK_SHOWS_NOT(" %");
	model_seek(m, T_SAVED);
	draw(m, VIEW_BUFFER, 60, 12);
	CHECK_SHOWS_NOT(" %");
	CHECK_SHOWS("64 bytes of alice, copied out");
	model_free(m);
	m = open_story(STORY_ENDS_HALF); /* live: nobody knows yet that this becomes a save */
	model_seek(m, UINT64_MAX);
	CHECK_EQ(m->t, T_HALF);
	draw(m, VIEW_BUFFER, 60, 12);
	CHECK_SHOWS("copied out");
	CHECK_SHOWS(" 50 %");
	model_free(m);
}

static void not_shared(void)
{
	struct model *m = open_story(STORY_WITHOUT_COROUTINES);

	model_seek(m, T_ALICE);
	draw(m, VIEW_BUFFER, 100, 12);
	CHECK_SHOWS("stacks of their own");
	draw(m, VIEW_COROUTINES, 100, 12);
	CHECK_SHOWS("rsp S1-0x40");
	model_free(m);
}

static int cursor_column(void)
{
	for (int y = 0; y < grid.h; y++)
		for (int x = 0; x < grid.w; x++)
			if (grid.cells[y * grid.w + x].ch == 0x25b2)
				return x;
	return -1;
}

static void timeline(void)
{
	struct model *m = story_at(T_START);
	int first, middle;

	draw(m, VIEW_TIMELINE, 100, 8);
	CHECK_SHOWS("S1 alice");
	first = cursor_column();
	CHECK(first > 0);
	model_seek(m, T_TURNS + 100);
	draw(m, VIEW_TIMELINE, 100, 8);
	CHECK_SHOWS("switch 15/63: ");
	CHECK_SHOWS("t=115/");
	middle = cursor_column();
	CHECK(middle > first + 20);
	/* who is on the CPU has the cursor's column */
	for (int y = 1; y < 4; y++) {
		const struct cell *c = &grid.cells[(y + 1) * grid.w + middle];

		CHECK_EQ(c->ch == 0x25cf, strstr(line_text(y), m->current == MAIN ? "S0 main" : "S2 bob") != NULL);
	}
	model_seek(m, T_SAVED);
	draw(m, VIEW_TIMELINE, 100, 8);
	CHECK_EQ(grid.cells[(4 + 1) * grid.w + cursor_column()].ch, 's');
	model_seek(m, UINT64_MAX);
	draw(m, VIEW_TIMELINE, 100, 8);
	CHECK(cursor_column() >= 99);
	draw(m, VIEW_TIMELINE, 100, 20);
	CHECK_SHOWS("~ switch 63    t=492 ");
	CHECK_SHOWS("  switch 61 ");
	for (int h = 1; h < 5; h++) {
		draw(m, VIEW_TIMELINE, 120, h);
		CHECK(cursor_column() > 0);
	}
	model_free(m);
}

static void output(void)
{
	struct model *m = story_at(T_ALICE);

	draw(m, VIEW_OUTPUT, 40, 5);
	CHECK_SHOWS("nothing yet");
	model_seek(m, T_WROTE);
	draw(m, VIEW_OUTPUT, 40, 5);
	CHECK_SHOWS("first");
	CHECK_SHOWS("~ alice   wrote"); /* a tab, and the mark of the last line */
	CHECK_SHOWS_NOT("the end");
	CHECK(cell_of(1, "wrote")->style & STYLE_CHANGED);
	model_seek(m, T_YIELD);
	draw(m, VIEW_OUTPUT, 40, 5);
	CHECK(!(cell_of(1, "wrote")->style & STYLE_CHANGED));
	draw(m, VIEW_OUTPUT, 40, 1);
	CHECK_SHOWS("wrote");
	model_seek(m, UINT64_MAX);
	draw(m, VIEW_OUTPUT, 40, 5);
	CHECK_SHOWS("the end");

	struct trace *trace = m->trace;
	m->trace = NULL; /* nothing was ever printed */
	draw(m, VIEW_OUTPUT, 40, 5);
	CHECK_SHOWS("the program prints nothing");
	ui.is_live = true; /* but it still runs */
	draw(m, VIEW_OUTPUT, 40, 5);
	CHECK_SHOWS("nothing yet");
	ui.is_live = false;
	m->trace = trace;
	model_free(m);
}

static void code(void)
{
	struct model *m = story_at(T_START);
	char title[128];

	ui.is_asm = true;
	draw(m, VIEW_CODE, 80, 12);
	CHECK(strchr(line_text(line_with("+0x0 ")), '~') != NULL); /* it runs next */
	CHECK_SHOWS(" +0x4 ");
	CHECK_SHOWS("ret");
	views[VIEW_CODE]->title(m, &ui, title, sizeof title);
	CHECK(strstr(title, "memcpy_in_story") != NULL);
	model_seek(m, T_HALF);
	draw(m, VIEW_CODE, 80, 12);
	CHECK_EQ(grid.cells[(line_with("+0x0 ") + 1) * grid.w + 1].ch, 0x2022);
	CHECK_EQ(grid.cells[(line_with("+0x4 ") + 1) * grid.w + 1].ch, 0x25b6);
	model_free(m);
	m = open_story(STORY_WITHOUT_CODE);
	model_seek(m, T_START);
	draw(m, VIEW_CODE, 80, 12);
	CHECK_SHOWS("no code is known at 0x");
	model_free(m);
}

static void addresses(void)
{
	static const struct { uint64_t value; const char *text; } table[] = {
		{ 7, "7" }, { 0xb0b, "0xb0b" }, { MAIN_HI - 0x30, "S0-0x30" }, { MAIN_HI, "S0" }, { ENV, "C0" },
		{ ALICE_CO + 48, "C1.rsp" }, { BUFFER + 8, "B1+0x8" }, { UINT64_MAX, "-1" }, { 1UL << 63, "0x8000000000000000" },
		{ SHARED_HI - 8, "S2-0x8" },
	};
	struct model *m = story_at(T_BOB);
	char text[64];

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		address_text(m, &ui, table[i].value, text, sizeof text);
		if (strcmp(text, table[i].text) != 0)
			fprintf(stderr, "%s, not %s\n", text, table[i].text);
		CHECK_EQ(strcmp(text, table[i].text), 0);
	}
	ui.is_raw = true;
	CHECK_EQ(strcmp(address_text(m, &ui, MAIN_HI - 0x30, text, sizeof text), "0x7ff0000fffd0"), 0);
	CHECK_EQ(value_role(m, MAIN_HI - 0x30), ROLE_EXEC0 + MAIN);
	CHECK_EQ(value_role(m, 0xb0b), ROLE_TEXT);
	/* copied out, but nobody else's bytes are there yet */
	ui.is_raw = false;
	model_seek(m, T_SAVED);
	CHECK_EQ(strcmp(address_text(m, &ui, SHARED_HI - 0x20, text, sizeof text), "S1-0x20"), 0);
	model_free(m);
}

/* --- rules for all of them ---------------------------------------------------------------- */

static void windows(void)
{
	reset_ui();
	ui.scroll[0] = INT32_MAX;
	CHECK_EQ(view_window(&ui, 0, 100, 10, 20), 90);
	CHECK_EQ(ui.scroll[0], 70);
	ui.scroll[0] = INT32_MIN;
	CHECK_EQ(view_window(&ui, 0, 100, 10, 20), 0);
	CHECK_EQ(ui.scroll[0], -20);
	ui.scroll[0] = 0;
	ui.cursor[0] = 95;
	CHECK_EQ(view_window(&ui, 0, 100, 10, 20), 86);
	ui.cursor[0] = 30;
	ui.scroll[0] = 0;
	CHECK_EQ(view_window(&ui, 0, 100, 10, 20), 21);
	ui.cursor[0] = 1000;
	CHECK_EQ(view_window(&ui, 0, 100, 10, 20), 90);
	CHECK_EQ(ui.cursor[0], 99);
	ui.cursor[0] = -7;
	CHECK_EQ(view_window(&ui, 0, 3, 10, 2), 0);
	CHECK_EQ(ui.cursor[0], -1);
	CHECK_EQ(view_window(&ui, 0, 0, 0, 0), 0);
}

static void draw_all(struct model *m, int w, int h)
{
	char title[40];

	CHECK_EQ(grid_init(&grid, w, h), 0);
	for (int v = 0; v < N_VIEWS; v++) {
		views[v]->title(m, &ui, title, sizeof title);
		views[v]->draw(m, &ui, pane_inside((struct pane){ &grid, 0, 0, w, h }, 0, 0, w, h));
		CHECK(ui.n_lines[v] >= 0);
		CHECK(ui.cursor[v] < (ui.n_lines[v] ? ui.n_lines[v] : 1) || ui.n_lines[v] <= 1);
	}
}

/* The same instant is the same picture, wherever one comes from. */
static void seek_is_step(void)
{
	struct model *m = story_at(T_HALF);
	struct grid before;

	for (int v = 0; v < N_VIEWS; v++) {
		memset(&before, 0, sizeof before);
		model_seek(m, T_HALF);
		draw(m, v, 100, 20);
		before = grid;
		memset(&grid, 0, sizeof grid);
		for (uint64_t t = 0; t <= T_TURNS + 20; t++) {
			model_seek(m, t);
			draw(m, v, 80, 14);
		}
		model_seek(m, T_HALF);
		draw(m, v, 100, 20);
		CHECK(grid_equal(&before, &grid));
		grid_free(&before);
	}
	model_free(m);
}

static void ascii(void)
{
	struct model *m = story_at(T_HALF);

	grid.is_ascii = true;
	for (int v = 0; v < N_VIEWS; v++) {
		draw(m, v, 120, 20);
		for (int i = 0; i < grid.w * grid.h; i++)
			if (grid.cells[i].ch >= 0x80 || grid.cells[i].ch < ' ' || grid.cells[i].ch == '?') {
				fprintf(stderr, "%s has 0x%x\n", views[v]->name, grid.cells[i].ch);
				CHECK(grid.cells[i].ch >= ' ' && grid.cells[i].ch < 0x80 && grid.cells[i].ch != '?');
			}
	}
	grid.is_ascii = false;
	model_free(m);
}

static uint64_t odd_number(struct rng *r)
{
	static const uint64_t odd[] = { 0, 1, 7, 8, 4096, UINT64_MAX, UINT64_MAX - 7, 1UL << 63, INT64_MAX, UINT32_MAX,
					INT32_MAX, 1UL << 31, SHARED_HI, SHARED_HI - 8, SHARED_HI + 8, SHARED_LO,
					SHARED_LO - 8, MAIN_HI, MAIN_HI - 0x100, BUFFER, ALICE_CO, ENV };

	return rng_below(r, 4) ? odd[rng_below(r, sizeof odd / sizeof odd[0])] : rng_next(r);
}

static void odd_ui(struct rng *r)
{
	reset_ui();
	ui.pinned = rng_below(r, 3) ? NO_EXEC : (uint32_t)odd_number(r);
	ui.is_raw = rng_below(r, 2);
	ui.is_asm = rng_below(r, 2);
	ui.is_diff = rng_below(r, 2);
	ui.is_zoomed = rng_below(r, 2);
	ui.focus = rng_below(r, N_VIEWS);
	for (int v = 0; v < N_VIEWS; v++) {
		ui.cursor[v] = rng_below(r, 2) ? -1 : rng_below(r, 2) ? (int)odd_number(r) : (int)rng_below(r, 40);
		ui.scroll[v] = rng_below(r, 2) ? 0 : rng_below(r, 2) ? (int)odd_number(r) : (int)rng_below(r, 80) - 40;
	}
}

static void any_size(void)
{
	static const int without[] = { 0, STORY_WITHOUT_CODE, STORY_WITHOUT_COROUTINES, STORY_WITHOUT_EXECS,
				       STORY_WITHOUT_CODE | STORY_WITHOUT_COROUTINES | STORY_WITHOUT_EXECS };
	struct rng r = { test_seed(1) };

	for (size_t k = 0; k < sizeof without / sizeof without[0]; k++) {
		struct model *m = open_story(without[k]);

		for (int i = 0; i < 300; i++) {
			int w = rng_below(&r, 4) ? (int)rng_below(&r, 130) : (int)rng_below(&r, 301);

			model_seek(m, rng_below(&r, 2) ? rng_below(&r, T_TURNS) : rng_below(&r, T_END));
			odd_ui(&r);
			grid.is_ascii = rng_below(&r, 2);
			draw_all(m, w, (int)rng_below(&r, rng_below(&r, 4) ? 40 : 101));
		}
		grid.is_ascii = false;
		model_free(m);
	}
}

/* A model with any number in any place: drawn somehow, and not followed out of bounds. */
static void odd_models(void)
{
	struct rng r = { test_seed(2) };
	struct model *m = open_story(0);

	for (int i = 0; i < 1500; i++) {
		struct model kept;
		struct exec execs[8];

		model_seek(m, rng_below(&r, T_TURNS + 20));
		kept = *m;
		CHECK(m->n_execs <= 8);
		memcpy(execs, m->execs, m->n_execs * sizeof execs[0]);
		for (size_t k = 0; k < m->n_execs; k++) {
			struct exec *e = &m->execs[k];
			uint64_t *number[] = { &e->lo, &e->hi, &e->rsp };

			*number[rng_below(&r, 3)] = odd_number(&r);
			e->info = rng_below(&r, 4) ? e->info : NULL;
			e->is_out = e->info && rng_below(&r, 2);
		}
		for (int reg = 0; reg < N_REGS; reg++)
			if (rng_below(&r, 3) == 0)
				m->state.regs.r[reg] = odd_number(&r);
		if (rng_below(&r, 2))
			m->from = (uint32_t)odd_number(&r);
		if (rng_below(&r, 2))
			m->to = (uint32_t)odd_number(&r);
		m->current = rng_below(&r, 2) ? m->current : (uint32_t)odd_number(&r);
		m->n_execs = rng_below(&r, 4) ? m->n_execs : 0;
		m->layout = rng_below(&r, 4) ? m->layout : NULL;
		m->next_line.path = rng_below(&r, 4) ? m->next_line.path : NULL;
		odd_ui(&r);
		draw_all(m, (int)rng_below(&r, 140), (int)rng_below(&r, 50));
		memcpy(kept.execs, execs, kept.n_execs * sizeof execs[0]);
		m->state.regs = kept.state.regs;
		m->from = kept.from;
		m->to = kept.to;
		m->current = kept.current;
		m->n_execs = kept.n_execs;
		m->layout = kept.layout;
		m->next_line = kept.next_line;
	}
	model_free(m);
}

static const struct test_case cases[] = {
	{ "coroutines", "who is on the CPU, state, stack, where the bytes are", coroutines, 0, NULL },
	{ "registers", "old and new value of a register, in the colour of the stack it points to", registers, 0, NULL },
	{ "contexts", "in a switch: what both contexts hold", contexts, 0, NULL },
	{ "lost", "a register that came back with another's value is shown as lost", lost, 0, NULL },
	{ "stacks", "words, marks and changes on two stacks", stacks, 0, NULL },
	{ "collapsed", "long runs of words are left out when there is no room, but not what registers point to", collapsed, 0,
	  NULL },
	{ "copied_out", "a stack that is copied out is shown from its save_buffer", copied_out, 0, NULL },
	{ "anothers_rsp", "rsp is not marked on the stack of one who shares it and does not run", anothers_rsp, 0, NULL },
	{ "buffer", "the save_buffer beside the live stack, with the bytes that differ", buffer, 0, NULL },
	{ "copying", "how much of a copy is done", copying, 0, NULL },
	{ "not_shared", "contexts without an environment: registers, and nothing to copy", not_shared, 0, NULL },
	{ "timeline", "who ran when, and the cursor at t", timeline, 0, NULL },
	{ "output", "what was printed by t, and not what comes later", output, 0, NULL },
	{ "code", "disassembly from the function's beginning; a line when there is no code", code, 0, NULL },
	{ "addresses", "an address is written by what it belongs to", addresses, 0, NULL },
	{ "windows", "scroll and cursor stay within the lines there are", windows, 0, NULL },
	{ "seek_is_step", "an instant looks the same, wherever one comes from", seek_is_step, 0, NULL },
	{ "ascii", "a screen in ASCII has no other character, and no '?' for one", ascii, 0, NULL },
	{ "any_size", "panes of any size, with anything that a user can have set", any_size, 0, NULL },
	{ "odd_models", "a model with impossible numbers is drawn", odd_models, 0, NULL },
};

TEST_MAIN(cases)
