/* SPDX-License-Identifier: MIT */
/* Commands and their keys; panes on screens of every size. */
#include <stdbool.h>

#include "check.h"

#include "arrange.h"
#include "command.h"

/* --- commands --------------------------------------------------------------------------------- */

static const struct {
	enum command command;
	const char *name, *keys, *help;
} rows[] = {
#define ROW(name, keys, help) { name, #name, keys, help },
#define NO_ROW(heading)
	COMMANDS(ROW, NO_ROW)
};
enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static int count_words(const char *s)
{
	int n = 0;

	for (; *s; s += strspn(s, " "), n++)
		s += strcspn(s, " ");
	return n;
}

static void keys_are_unique(void)
{
	int n = 0, found = 0;

	for (size_t i = 0; i < N_ROWS; i++) {
		char keys[64], *save;
		n += count_words(rows[i].keys);
		snprintf(keys, sizeof(keys), "%s", rows[i].keys);
		for (char *word = strtok_r(keys, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
			uint32_t key = key_named(word);
			if (key == K_NONE || command_of_key(key) != rows[i].command) {
				fprintf(stderr, "key %s of %s leads to command %d\n", word, rows[i].name, (int)command_of_key(key));
				abort();
			}
			found++;
		}
	}
	CHECK(n > 40);
	CHECK_EQ(found, n);
	CHECK_EQ(command_of_key(K_NONE), CMD_NONE);
}

static bool is_in_help(const struct help_line *lines, size_t n, const char *keys, const char *help)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(lines[i].text, help) == 0 && strcmp(lines[i].keys, keys) == 0)
			return true;
	return false;
}

static void help_has_all(void)
{
	struct help_line lines[HELP_LINES_MAX];
	size_t n = help_lines(true, lines);

	CHECK(n < HELP_LINES_MAX);
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].help)
			CHECK(is_in_help(lines, n, rows[i].keys, rows[i].help));
		else /* one line says it for several, and is right above */
			CHECK(rows[i].command > CMD_FOCUS_1 && rows[i].command <= CMD_FOCUS_8);
	for (size_t i = 0; i < n; i++) /* what does not fit would be cut */
		CHECK(strlen(lines[i].keys) < sizeof(lines[i].keys) - 1 && strlen(lines[i].text) <= 40);
}

static void key_names(void)
{
	CHECK_EQ(key_named("Left"), K_LEFT);
	CHECK_EQ(key_named("S-Up"), K_SHIFT_UP);
	CHECK_EQ(key_named("C-c"), 3);
	CHECK_EQ(key_named("x"), 'x');
	CHECK_EQ(key_named("é"), 0xe9);
	CHECK_EQ(key_named("nokey"), K_NONE);
	CHECK_EQ(key_named("C-"), K_NONE);
	CHECK_EQ(key_named(""), K_NONE);
}

/* --- arrangement ------------------------------------------------------------------------------- */

static bool is_on_screen(struct rect r, int w, int h)
{
	return r.x >= 0 && r.y >= 0 && r.w > 0 && r.h > 0 && r.x + r.w <= w && r.y + r.h <= h;
}

/* More than a shared edge? */
static bool overlap(struct rect a, struct rect b)
{
	return a.x + 1 < b.x + b.w && b.x + 1 < a.x + a.w && a.y + 1 < b.y + b.h && b.y + 1 < a.y + a.h;
}

static void check_arrangement(int w, int h, const struct ui *ui)
{
	struct arrangement a;
	long inner = 0;

	arrange(w, h, ui, &a);
	CHECK_EQ(a.is_too_small, w < MIN_W || h < MIN_H);
	if (a.is_too_small)
		return;
	CHECK(is_on_screen(a.status, w, h) && a.status.h == 1 && a.status.w == w);
	CHECK(is_on_screen(a.sentence, w, h) && a.sentence.w == w);
	CHECK_EQ(a.sentence.y + a.sentence.h, a.status.y);
	CHECK(a.view[ui->focus].w > 0);
	for (int v = 0; v < N_VIEWS; v++) {
		struct rect r = a.view[v];
		if (r.w == 0)
			continue;
		CHECK(is_on_screen(r, w, a.sentence.y));
		CHECK(r.w >= 3 && r.h >= 3); /* a frame, and something in it */
		inner += (long)(r.w - 1) * (r.h - 1);
		for (int other = 0; other < v; other++)
			CHECK(a.view[other].w == 0 || !overlap(r, a.view[other]));
	}
	if (inner != (long)(w - 1) * (a.sentence.y - 1))
		fprintf(stderr, "%dx%d, focus %d, zoom %d, big %d: panes do not fill the screen\n", w, h, (int)ui->focus,
			ui->is_zoomed, ui->is_big);
	/* with shared edges counted once, they fill the screen */
	CHECK_EQ(inner, (long)(w - 1) * (a.sentence.y - 1));
}

static void every_size(void)
{
	struct ui ui = { 0 };

	for (int h = 1; h <= 100; h++)
		for (int w = 1; w <= 300; w += w < 170 ? 1 : 7)
			for (int how = 0; how < N_VIEWS * 4; how++) {
				ui.focus = (enum view_id)(how % N_VIEWS);
				ui.is_zoomed = how / N_VIEWS & 1;
				ui.is_big = how / N_VIEWS & 2;
				check_arrangement(w, h, &ui);
			}
}

static int shown(int w, int h)
{
	struct ui ui = { .focus = VIEW_CODE };
	struct arrangement a;
	int n = 0;

	arrange(w, h, &ui, &a);
	for (int v = 0; v < N_VIEWS; v++)
		n += a.view[v].w > 0;
	return n;
}

static void how_many(void)
{
	CHECK_EQ(shown(160, 48), 8);
	CHECK_EQ(shown(120, 36), 8);
	CHECK_EQ(shown(80, 24), 6);
	CHECK_EQ(shown(20, 5), 1);
	/* rip and all that a switch saves, without scrolling */
	struct ui ui = { .focus = VIEW_CODE };
	struct arrangement a;
	arrange(80, 24, &ui, &a);
	CHECK(a.view[VIEW_REGISTERS].h - 2 >= 8);
	CHECK_EQ(shown(19, 5), 0);
}

static const struct test_case cases[] = {
	{ "keys_are_unique", "each key of the list has a name, and belongs to one command", keys_are_unique, 0, NULL },
	{ "help_has_all", "the help has every command with all its keys", help_has_all, 0, NULL },
	{ "key_names", "keys have names", key_names, 0, NULL },
	{ "every_size", "on every screen panes lie beside each other and fill it, the one with the focus is there", every_size, 0, NULL },
	{ "how_many", "large screens have all panes, small ones the important ones", how_many, 0, NULL },
};

TEST_MAIN(cases)
