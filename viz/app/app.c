/* SPDX-License-Identifier: MIT */
/*
 * What each command does; those that travel are in app_travel.c.
 */
#include "app.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- small things ------------------------------------------------------------------------ */

static void say_it(struct app *app, bool is_error, const char *format, va_list args)
{
	vsnprintf(app->message, sizeof(app->message), format, args);
	app->is_error = is_error;
}

void app_tell(struct app *app, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_it(app, false, format, args);
	va_end(args);
}

void app_fail(struct app *app, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_it(app, true, format, args);
	va_end(args);
}

bool app_go(struct app *app, uint64_t t)
{
	if (model_seek(app->model, t) == 0) {
		/* a chosen line would hold these panes fast; what they show follows t */
		app->ui.cursor[VIEW_CODE] = app->ui.cursor[VIEW_OUTPUT] = -1;
		return true;
	}
	app_fail(app, errno == ENOMEM ? "no memory" : "state %llu cannot be read: that part of the trace is damaged",
		 (unsigned long long)t);
	app->play = 0;
	return false;
}

void app_init(struct app *app, struct model *model)
{
	*app = (struct app){ .model = model, .speed = 2, .exam_reg = REG_NONE };
	app->ui.focus = VIEW_CODE;
	app->ui.pinned = NO_EXEC;
	app->ui.cursor_reg = N_REGS;
	for (int v = 0; v < N_VIEWS; v++)
		app->ui.cursor[v] = -1;
}

void app_free(struct app *app)
{
	free(app->overlay);
	app->overlay = NULL;
}

static const int speed_ms[PLAY_SPEEDS] = { 1600, 800, 400, 200, 100, 50, 25 };

int app_tick_ms(const struct app *app)
{
	/* not behind the back of somebody who reads or types */
	return app->play && app->mode == MODE_KEYS ? speed_ms[app->speed] : -1;
}

void app_overlay(struct app *app, const char *title, char *text)
{
	free(app->overlay);
	app->overlay = text;
	app->overlay_title = title;
	app->overlay_scroll = 0;
	app->mode = MODE_OVERLAY;
}

/* --- the chosen line ---------------------------------------------------------------------- */

static void choose(struct app *app, int by)
{
	struct ui *ui = &app->ui;
	int *cursor = &ui->cursor[ui->focus], n = ui->n_lines[ui->focus];
	int first = ui->first_line[ui->focus], last = first + ui->window_h[ui->focus] - 1;

	if (n <= 0) {
		app_fail(app, "this pane has no lines to choose from");
		return;
	}
	*cursor = *cursor < 0 ? (by > 0 ? first : last) : *cursor + by;
	*cursor = *cursor < 0 ? 0 : *cursor >= n ? n - 1 : *cursor;
	ui->follow[ui->focus] = 0; /* until it is drawn */
}

/* To the last (or next) change of the word or the register in the chosen line. */
static void go_to_change(struct app *app, int direction)
{
	const struct ui *ui = &app->ui;
	struct model *m = app->model;
	uint64_t t = m->t, to, addr = ui->follow[ui->focus];
	char name[64];

	if (ui->focus == VIEW_REGISTERS && ui->cursor[VIEW_REGISTERS] >= 0 && ui->cursor_reg < N_REGS) {
		to = model_reg_change(m, t, (enum reg)ui->cursor_reg, direction);
		snprintf(name, sizeof(name), "%s", reg_names[ui->cursor_reg]);
	} else if (addr) {
		to = model_word_change(m, t, addr, direction);
		address_text(m, ui, addr, name, sizeof(name));
	} else {
		app_fail(app, "choose a word or a register first: Shift-Down (or J) in a stack, the save_buffer, the registers");
		return;
	}
	if (to == t)
		app_fail(app, "%s does not change %s this", name, direction < 0 ? "before" : "after");
	else if (app_go(app, to))
		app_tell(app, "%s changed here", name);
}

static void reset(struct app *app)
{
	app->ui.is_zoomed = false;
	for (int v = 0; v < N_VIEWS; v++) {
		app->ui.cursor[v] = -1;
		app->ui.scroll[v] = 0;
		app->ui.follow[v] = 0;
	}
}

static void scroll(struct app *app, int by_pages)
{
	int page = app->shown.view[app->ui.focus].h - 3;

	app->ui.scroll[app->ui.focus] += by_pages * (page > 1 ? page : 1);
}

/* --- what is shown ------------------------------------------------------------------------ */

/* Pin the coroutine that is chosen in its pane, or the next one, and after the last none. */
static void pin(struct app *app)
{
	const struct model *m = app->model;
	struct ui *ui = &app->ui;
	size_t i = 0;

	if (m->n_execs == 0)
		return;
	if (ui->focus == VIEW_COROUTINES && ui->cursor[VIEW_COROUTINES] >= 0 &&
	    (size_t)ui->cursor[VIEW_COROUTINES] < m->n_execs) {
		uint32_t chosen = m->execs[ui->cursor[VIEW_COROUTINES]].number;
		ui->pinned = ui->pinned == chosen ? NO_EXEC : chosen;
	} else if (ui->pinned == NO_EXEC) {
		ui->pinned = m->execs[0].number;
	} else {
		while (i < m->n_execs && m->execs[i].number != ui->pinned)
			i++;
		ui->pinned = i + 1 < m->n_execs ? m->execs[i + 1].number : NO_EXEC;
	}
	const struct exec *e = ui->pinned == NO_EXEC ? NULL : model_exec(m, ui->pinned);
	if (e)
		app_tell(app, "pinned: %s's stack stays on the left", e->name);
	else
		app_tell(app, "nothing pinned: from on the left, to on the right");
}

static void mark(struct app *app, const char *letter)
{
	if (*letter < 'a' || *letter > 'z') {
		app_fail(app, "a mark is a letter from a to z");
		return;
	}
	app->ui.marks[*letter - 'a'] = app->model->t;
	app->ui.has_mark[*letter - 'a'] = true;
	app_tell(app, "mark %c: '%c comes back here", *letter, *letter);
}

static void go_to_mark(struct app *app, const char *letter)
{
	if (*letter < 'a' || *letter > 'z' || !app->ui.has_mark[*letter - 'a'])
		app_fail(app, "there is no mark %.1s; m and a letter sets one", letter);
	else
		app_go(app, app->ui.marks[*letter - 'a']);
}

static void type(struct app *app, char prompt, const char *input)
{
	app->mode = MODE_PROMPT;
	app->prompt = prompt;
	snprintf(app->input, sizeof(app->input), "%s", input);
	app->is_proposed = input[0] != 0;
}

/* CMD_EXPORT and those that take words: at once, or after they are typed. */
static bool update_words(struct app *app, enum command command, const char *argument)
{
	char name[64];

	switch (command) {
	case CMD_PROMPT:
		type(app, ':', argument ? argument : "");
		if (argument) {
			app->mode = MODE_KEYS;
			app_words(app, app->input);
		}
		return true;
	case CMD_SEARCH:
		if (!argument) {
			type(app, '/', "");
			return true;
		}
		if (*argument)
			snprintf(app->ui.search, sizeof(app->ui.search), "%s", argument);
		app_search(app, +1);
		return true;
	case CMD_MARK:
		argument ? mark(app, argument) : (void)(app->mode = MODE_MARK);
		return true;
	case CMD_GO_MARK:
		argument ? go_to_mark(app, argument) : (void)(app->mode = MODE_GO_MARK);
		return true;
	case CMD_EXPORT:
		snprintf(name, sizeof(name), "coviz-%llu.svg", (unsigned long long)app->model->t);
		type(app, 'x', argument ? argument : name);
		if (argument) {
			app->mode = MODE_KEYS;
			app->wish = WISH_EXPORT;
		}
		return true;
	default:
		return false;
	}
}

static void update_pane(struct app *app, enum command command)
{
	struct ui *ui = &app->ui;

	switch (command) {
	case CMD_FOCUS_1: case CMD_FOCUS_2: case CMD_FOCUS_3: case CMD_FOCUS_4:
	case CMD_FOCUS_5: case CMD_FOCUS_6: case CMD_FOCUS_7: case CMD_FOCUS_8:
		ui->focus = (enum view_id)(command - CMD_FOCUS_1);
		break;
	case CMD_ZOOM:        ui->is_zoomed = !ui->is_zoomed; break;
	case CMD_CHOOSE_DOWN: choose(app, +1); break;
	case CMD_CHOOSE_UP:   choose(app, -1); break;
	case CMD_SCROLL_DOWN: scroll(app, +1); break;
	case CMD_SCROLL_UP:   scroll(app, -1); break;
	case CMD_RESET:       reset(app); break;
	case CMD_ASM:         ui->is_asm = !ui->is_asm; break;
	case CMD_PIN:         pin(app); break;
	case CMD_DIFF:        ui->is_diff = !ui->is_diff; break;
	case CMD_RAW:         ui->is_raw = !ui->is_raw; break;
	case CMD_PROJECTOR:   ui->is_big = !ui->is_big; break;
	default: break;
	}
}

/* Space stops whatever plays; r turns it round, or stops it. */
static void play(struct app *app, int direction)
{
	bool stops = direction > 0 ? app->play != 0 : app->play < 0;

	app->play = stops ? 0 : direction;
}

static void faster(struct app *app, int by)
{
	int speed = app->speed + by;

	app->speed = speed < 0 ? 0 : speed >= PLAY_SPEEDS ? PLAY_SPEEDS - 1 : speed;
	app_tell(app, "speed: %g instructions a second", 1000.0 / speed_ms[app->speed]);
}

void app_update(struct app *app, enum command command, const char *argument)
{
	if (update_words(app, command, argument))
		return;
	switch (command) {
	case CMD_TICK:        app_tick(app); break;
	case CMD_PLAY:        play(app, +1); break;
	case CMD_PLAY_BACK:   play(app, -1); break;
	case CMD_FASTER:      faster(app, +1); break;
	case CMD_SLOWER:      faster(app, -1); break;
	case CMD_AGAIN:       app_search(app, +1); break;
	case CMD_AGAIN_BACK:  app_search(app, -1); break;
	case CMD_CHANGE_BACK: go_to_change(app, -1); break;
	case CMD_CHANGE:      go_to_change(app, +1); break;
	case CMD_EXAM:        exam_ask(app); break;
	case CMD_HELP:        app_overlay(app, "Keys", NULL); break;
	case CMD_QUIT:        app->wish = WISH_QUIT; break;
	default:
		if (command >= CMD_STEP && command <= CMD_LAST) {
			app->play = 0;
			app_travel(app, command);
		} else {
			update_pane(app, command);
		}
	}
}
