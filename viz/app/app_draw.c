/* SPDX-License-Identifier: MIT */
/* The whole screen: panes, the sentence, the status line, a text on top. */
#include "app.h"

#include <stdio.h>
#include <string.h>

#include "copying.h"
#include "say.h"

static struct pane pane_of(struct grid *g, struct rect r)
{
	return pane_inside(pane_all(g), r.x, r.y, r.w, r.h);
}

/* --- panes ------------------------------------------------------------------------------------ */

/* Without what follows the newline if it is wider than @w. */
static void fit_title(char *title, int w)
{
	char *newline = strchr(title, '\n');

	if (newline && utf8_width(title) - 1 > w)
		*newline = 0;
	else if (newline)
		memmove(newline, newline + 1, strlen(newline));
}

/* All frames before all titles: frames of neighbours share edges, on which the titles stand. */
static void draw_views(struct app *app, struct grid *g)
{
	const struct arrangement *a = &app->shown;
	struct ui *ui = &app->ui;
	struct pane inside[N_VIEWS];
	char title[256], name[240];

	ui->cursor_reg = N_REGS;
	memset(ui->cursor_addr, 0, sizeof(ui->cursor_addr));
	for (int v = 0; v < N_VIEWS; v++)
		if (a->view[v].w > 0 && v != (int)ui->focus)
			inside[v] = pane_frame(pane_of(g, a->view[v]), ROLE_BORDER);
	inside[ui->focus] = pane_frame(pane_of(g, a->view[ui->focus]), ROLE_FOCUS);
	for (int v = 0; v < N_VIEWS; v++) {
		if (a->view[v].w == 0)
			continue;
		bool is_focus = v == (int)ui->focus;
		views[v]->title(app->model, ui, name, sizeof(name));
		snprintf(title, sizeof(title), "%d %s", v + 1, name);
		fit_title(title, a->view[v].w - 4);
		pane_title(pane_of(g, a->view[v]), title, is_focus ? ROLE_FOCUS : ROLE_TITLE, STYLE_BOLD);
		views[v]->draw(app->model, ui, inside[v]);
		if (ui->cursor[v] >= 0 && ui->cursor_addr[v])
			ui->follow[v] = ui->cursor_addr[v]; /* the word, wherever it will be shown */
	}
}

/* --- the lines below -------------------------------------------------------------------------- */

static void draw_sentence(struct app *app, struct grid *g)
{
	struct pane p = pane_inside(pane_of(g, app->shown.sentence), 1, 0, app->shown.sentence.w - 2, app->shown.sentence.h);
	char text[512];

	if (app->mode == MODE_EXAM)
		pane_wrap(p, ROLE_SENTENCE, 0, exam_question(app, text, sizeof(text)));
	else
		pane_wrap(p, ROLE_SENTENCE, 0, say(app->model, text, sizeof(text)));
}

/* "t 1234/16097  switch 3/12 main → alice  live" */
static int draw_place(struct app *app, struct pane p)
{
	const struct model *m = app->model;
	int x = pane_printf(p, 0, 0, ROLE_TEXT, STYLE_BOLD, " %llu/%llu", (unsigned long long)m->t, (unsigned long long)m->last);

	if (m->swap >= 0 && (size_t)m->swap < m->n_swaps) {
		x = pane_printf(p, x + 2, 0, m->is_in_swap ? ROLE_NEXT : ROLE_TEXT, m->is_in_swap ? STYLE_CHANGED : 0,
				"switch %td/%zu", m->swap + 1, m->n_swaps);
	} else if (m->n_swaps) {
		x = pane_printf(p, x + 2, 0, ROLE_TEXT, 0, "switch -/%zu", m->n_swaps);
	}
	if (app->is_waiting)
		x = pane_text(p, x + 2, 0, ROLE_KEY, STYLE_CHANGED, " waiting for the program; any key ends that ");
	else if (app->ui.is_live || app->live_end)
		x = pane_text(p, x + 2, 0, ROLE_TEXT, 0, app->ui.is_live ? "live" : "ended");
	if (app->play)
		x = pane_text(p, x + 2, 0, ROLE_KEY, STYLE_CHANGED, app->play > 0 ? " ▶ " : " ◀ ");
	return x + 2;
}

/* As many keys as there is room for. */
static void draw_hints(struct pane p, int x)
{
	static const struct { const char *keys[2], *word; } hints[] = {
		{ { "Left", "Right" }, "instruction" }, { { "[", "]" }, "switch" }, { { "?", NULL }, "help" },
		{ { "q", NULL }, "quit" }, { { "Up", "Down" }, "line" }, { { "Tab", NULL }, "source/asm" },
		{ { "Space", NULL }, "play" }, { { "z", NULL }, "zoom" }, { { "/", NULL }, "search" },
		{ { "w", NULL }, "last change" }, { { "{", "}" }, "call" },
	};
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		char one[24], two[24];
		key_show(hints[i].keys[0], p.grid->is_ascii, one, sizeof(one));
		key_show(hints[i].keys[1] ? hints[i].keys[1] : "", p.grid->is_ascii, two, sizeof(two));
		const char *between = two[0] && one[1] && p.grid->is_ascii ? "/" : ""; /* Left/Right */
		if (x + utf8_width(one) + utf8_width(two) + (int)strlen(hints[i].word) + 2 > p.w)
			return;
		x = pane_text(p, x, 0, ROLE_KEY, 0, one);
		x = pane_text(p, x, 0, ROLE_DIM, 0, between);
		x = pane_text(p, x, 0, ROLE_KEY, 0, two);
		x = pane_text(p, x + 1, 0, ROLE_DIM, 0, hints[i].word) + 2;
	}
}

/* What is being typed: its end, with a mark where the next character comes. */
static void draw_input(struct pane p, int x, const char *prompt, const char *input)
{
	int w;

	x = pane_text(p, x, 0, ROLE_KEY, 0, prompt);
	for (w = utf8_width(input); w > 0 && x + w >= p.w; w--)
		utf8_next(&input);
	x = pane_text(p, x, 0, ROLE_TEXT, 0, input);
	pane_put(p, x, 0, ' ', ROLE_TEXT, STYLE_CHANGED);
}

/* One that the status line has no room for takes the place of the sentence, too, until the next key. */
static void draw_long_message(struct app *app, struct grid *g)
{
	struct rect r = app->shown.status;
	struct pane p = pane_of(g, r);

	if (utf8_width(app->message) > r.w - 2) {
		r.y -= app->shown.sentence.h;
		r.h += app->shown.sentence.h;
		p = pane_of(g, r);
	}
	pane_fill(p, 0, 0, p.w, p.h, ' ', ROLE_TEXT, 0);
	pane_wrap(pane_inside(p, 1, 0, p.w - 2, p.h), app->is_error ? ROLE_BAD : ROLE_KEY, 0, app->message);
}

static void draw_status(struct app *app, struct grid *g)
{
	struct pane p = pane_of(g, app->shown.status);
	char prompt[32] = ":";

	if (app->mode == MODE_PROMPT) {
		snprintf(prompt, sizeof(prompt), app->prompt == 'x' ? "write the screen to: " : "%c", app->prompt);
		draw_input(p, 1, prompt, app->input);
		return;
	}
	if (app->mode == MODE_EXAM) {
		int x = 1;
		if (app->message[0])
			x = pane_text(p, 1, 0, app->is_error ? ROLE_BAD : ROLE_KEY, 0, app->message) + 2;
		snprintf(prompt, sizeof(prompt), "%s = ", reg_names[app->exam_reg < N_REGS ? app->exam_reg : 0]);
		draw_input(p, x, prompt, app->input);
		pane_text(p, p.w - 12, 0, ROLE_KEY, 0, " Esc");
		pane_text(p, p.w - 8, 0, ROLE_DIM, 0, " leaves ");
		return;
	}
	int x = draw_place(app, p);
	if (app->message[0] && x + utf8_width(app->message) > p.w)
		draw_long_message(app, g);
	else if (app->message[0])
		pane_text(p, x, 0, app->is_error ? ROLE_BAD : ROLE_KEY, 0, app->message);
	else if (app->mode == MODE_MARK || app->mode == MODE_GO_MARK)
		pane_text(p, x, 0, ROLE_KEY, 0, app->mode == MODE_MARK ? "mark: a letter" : "go to mark: its letter");
	else
		draw_hints(p, x);
}

/* --- a text on top ------------------------------------------------------------------------------ */

/* A blank rectangle with a frame in the middle of the screen; returns its inside. */
static struct pane draw_window(struct grid *g, int w, int h, const char *title)
{
	struct pane all = pane_all(g);

	w = w > all.w ? all.w : w;
	h = h > all.h - 1 ? all.h - 1 : h;
	struct pane p = pane_inside(all, (all.w - w) / 2, (all.h - 1 - h) / 2, w, h);
	pane_fill(p, 0, 0, w, h, ' ', ROLE_TEXT, 0);
	return pane_inside(pane_box(p, title, ROLE_FOCUS, ROLE_FOCUS), 1, 0, w - 4, h - 2);
}

static int clamp_scroll(int scroll, int n, int h)
{
	int most = n > h ? n - h : 0;

	return scroll > most ? most : scroll < 0 ? 0 : scroll;
}

static void draw_help_line(struct pane p, int y, const struct help_line *line)
{
	if (!line->keys[0]) {
		pane_text(p, 0, y, ROLE_TITLE, STYLE_BOLD | STYLE_UNDERLINE, line->text);
		return;
	}
	int x = pane_text(p, 0, y, ROLE_KEY, 0, line->keys);
	pane_text(p, x < 17 ? 18 : x + 1, y, ROLE_TEXT, 0, line->text);
}

/* In as many columns as fit, and on pages if that is not enough: the keys, and the signs. */
static void draw_help(struct app *app, struct grid *g)
{
	enum { COLUMN = 57 };
	struct help_line lines[HELP_LINES_MAX];
	int n = (int)help_lines(g->is_ascii, lines), columns = (g->w - 4) / COLUMN;
	int signs = (int)help_signs(lines, (size_t)n), begin[HELP_LINES_MAX + 1], n_pages = 0;
	char title[80];

	columns = columns < 1 ? 1 : columns > 3 ? 3 : columns;
	while (columns > 1 && (n + columns - 2) / (columns - 1) + 3 <= g->h)
		columns--;
	int rows = (n + columns - 1) / columns;
	rows = rows + 3 <= g->h ? rows : g->h > 4 ? g->h - 3 : 1;
	for (int at = 0; at < n;) { /* signs that do not fit begin a page */
		begin[n_pages++] = at;
		int end = at + rows * columns;
		at = n > rows * columns && at < signs && end > signs ? signs : end;
	}
	begin[n_pages] = n;
	app->overlay_pages = n_pages;
	app->overlay_scroll = clamp_scroll(app->overlay_scroll, n_pages, 1);
	int page = app->overlay_scroll;
	if (page + 1 < n_pages)
		snprintf(title, sizeof(title), "Keys, signs: %d of %d (any key: the next page; Esc closes)", page + 1, n_pages);
	else
		snprintf(title, sizeof(title), n_pages > 1 ? "Keys, signs: %d of %d (any key closes)" : "Keys, signs (any key closes)",
			 page + 1, n_pages);
	struct pane p = draw_window(g, columns * COLUMN + 4, rows + 2, title);
	for (int i = begin[page]; i < begin[page + 1]; i++) {
		int at = i - begin[page];
		draw_help_line(pane_inside(p, at / rows * COLUMN, 0, COLUMN - 1, p.h), at % rows, &lines[i]);
	}
}

static void draw_text(struct app *app, struct grid *g)
{
	char line[512];
	int n = 0, w = 30, y = 0;

	for (const char *s = app->overlay; *s; s += strcspn(s, "\n") + (s[strcspn(s, "\n")] != 0), n++)
		w = (int)strcspn(s, "\n") > w ? (int)strcspn(s, "\n") : w;
	struct pane p = draw_window(g, w + 4, n + 2, app->overlay_title);
	app->overlay_scroll = clamp_scroll(app->overlay_scroll, n, p.h);
	for (const char *s = app->overlay; *s; s += strcspn(s, "\n") + (s[strcspn(s, "\n")] != 0), y++) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(s, "\n"), s);
		if (y >= app->overlay_scroll)
			pane_text(p, 0, y - app->overlay_scroll, ROLE_TEXT, 0, line);
	}
}

void app_draw(struct app *app, struct grid *g)
{
	struct copying copying;

	grid_clear(g);
	app->ui.is_copying = app->ui.is_big && copying_at(app->model, &copying);
	arrange(g->w, g->h, &app->ui, &app->shown);
	if (app->shown.is_too_small) {
		pane_wrap(pane_all(g), ROLE_TEXT, 0, "coviz needs 20x5");
		return;
	}
	draw_views(app, g);
	draw_sentence(app, g);
	draw_status(app, g);
	if (app->mode == MODE_OVERLAY)
		app->overlay ? draw_text(app, g) : draw_help(app, g);
}
