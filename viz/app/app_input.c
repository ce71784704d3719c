/* SPDX-License-Identifier: MIT */
/* Keys and the mouse: what they mean depends on what is going on. */
#include "app.h"

#include <stdio.h>
#include <string.h>

/* --- a line being typed ------------------------------------------------------------------- */

/* Take the last character of app.input off. */
static void rub_out(struct app *app)
{
	size_t n = strlen(app->input);

	while (n > 0 && ((unsigned char)app->input[--n] & 0xc0) == 0x80)
		;
	app->input[n] = 0;
}

/* True: the line is complete. */
static bool edit(struct app *app, uint32_t key)
{
	char bytes[5];
	bool is_proposed = app->is_proposed;

	if (key == K_ENTER || key == '\r')
		return true;
	app->is_proposed = false;
	if (is_proposed && key >= ' ' && key < K_FIRST && key != K_BACKSPACE)
		app->input[0] = 0;
	if (key == K_BACKSPACE || key == 8 || key == K_DELETE)
		rub_out(app);
	else if (key == ('U' & 31))
		app->input[0] = 0;
	else if (key >= ' ' && key < K_FIRST && strlen(app->input) + (size_t)utf8_put(key, bytes) < sizeof(app->input))
		strcat(app->input, bytes);
	return false;
}

static void prompt_key(struct app *app, uint32_t key)
{
	static const struct { char prompt; enum command command; } all[] = {
		{ ':', CMD_PROMPT }, { '/', CMD_SEARCH }, { 'x', CMD_EXPORT },
	};
	char words[sizeof(app->input)];

	if (key == K_ESC || key == ('C' & 31) || (key == K_BACKSPACE && !app->input[0])) {
		app->mode = MODE_KEYS;
		return;
	}
	if (!edit(app, key))
		return;
	app->mode = MODE_KEYS;
	memcpy(words, app->input, sizeof(words));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].prompt == app->prompt)
			app_update(app, all[i].command, words);
}

static void mark_key(struct app *app, uint32_t key)
{
	enum command command = app->mode == MODE_MARK ? CMD_MARK : CMD_GO_MARK;
	char letter[5];

	app->mode = MODE_KEYS;
	if (key == K_ESC || key >= K_FIRST)
		return;
	utf8_put(key, letter);
	app_update(app, command, letter);
}

static void exam_key(struct app *app, uint32_t key)
{
	if (key == K_ESC || key == ('C' & 31)) {
		app->mode = MODE_KEYS;
		app_tell(app, "exam: %u of %u right", app->exam_right, app->exam_asked);
	} else if (edit(app, key)) {
		exam_answer(app);
	}
}

/* Any key turns the pages of the help, and closes it after the last. */
static void help_key(struct app *app, uint32_t key)
{
	bool is_back = key == K_UP || key == K_PAGE_UP || key == 'k';
	bool closes = key == K_ESC || key == 'q' || key == '?' || key == ('C' & 31);

	if (is_back)
		app->overlay_scroll -= app->overlay_scroll > 0;
	else if (key == K_HOME)
		app->overlay_scroll = 0;
	else if (closes || ++app->overlay_scroll >= app->overlay_pages)
		app->mode = MODE_KEYS;
}

/* The text on top scrolls; any other key takes it away. What begins a line is typed. */
static void overlay_key(struct app *app, uint32_t key)
{
	if (key == ':' || key == '/') {
		app->mode = MODE_KEYS;
		app_key(app, key);
		return;
	}
	if (!app->overlay) {
		help_key(app, key);
		return;
	}
	switch (key) {
	case K_DOWN: case 'j': app->overlay_scroll++; break;
	case K_UP: case 'k':   app->overlay_scroll--; break;
	case K_PAGE_DOWN: case K_SPACE: app->overlay_scroll += 10; break;
	case K_PAGE_UP:        app->overlay_scroll -= 10; break;
	case K_HOME:           app->overlay_scroll = 0; break;
	default:               app->mode = MODE_KEYS;
	}
	if (app->overlay_scroll < 0)
		app->overlay_scroll = 0;
}

void app_key(struct app *app, uint32_t key)
{
	app->message[0] = 0;
	app->wish = WISH_NONE;
	switch (app->mode) {
	case MODE_PROMPT:  prompt_key(app, key); break;
	case MODE_MARK:
	case MODE_GO_MARK: mark_key(app, key); break;
	case MODE_OVERLAY: overlay_key(app, key); break;
	case MODE_EXAM:    exam_key(app, key); break;
	case MODE_KEYS: {
		enum command command = command_of_key(key);
		if (command == CMD_NONE && key != K_NONE)
			app_fail(app, "this key does nothing; ? shows those that do");
		app_update(app, command, NULL);
	}
	}
}

/* --- the mouse ------------------------------------------------------------------------------ */

static bool is_in(struct rect r, int x, int y)
{
	return x >= r.x && x < r.x + r.w && y >= r.y && y < r.y + r.h;
}

/* N_VIEWS: none. Of two that share an edge, the later one. */
static int view_at(const struct app *app, int x, int y)
{
	for (int v = N_VIEWS - 1; v >= 0; v--)
		if (is_in(app->shown.view[v], x, y))
			return v;
	return N_VIEWS;
}

static void seek_on_timeline(struct app *app, int x)
{
	const struct ui *ui = &app->ui;
	int at = x - app->shown.view[VIEW_TIMELINE].x - 1 - ui->time_x;

	at = at < 0 ? 0 : at >= ui->time_w ? ui->time_w - 1 : at;
	if (ui->time_w > 0 && ui->time_to >= ui->time_from)
		app_go(app, ui->time_from + (uint64_t)((double)(ui->time_to - ui->time_from) * at / ui->time_w));
}

/* The line of view @v in row @y of the screen; -1: there is none. Lines begin below a view's own
 * heading; in a narrow pane one may take two rows. */
static int line_at(const struct app *app, int v, int y)
{
	const struct ui *ui = &app->ui;
	int h = app->shown.view[v].h - 2, window = ui->window_h[v], rows, line;

	if (window <= 0 || ui->n_lines[v] <= 0)
		return -1;
	rows = h / window > 1 ? 2 : 1;
	y -= app->shown.view[v].y + 1 + (rows > 1 ? 0 : h - window);
	line = ui->first_line[v] + y / rows;
	return y >= 0 && y < window * rows && line < ui->n_lines[v] ? line : -1;
}

void app_mouse(struct app *app, struct mouse mouse)
{
	int v = view_at(app, mouse.x, mouse.y), by = mouse.what == MOUSE_WHEEL_UP ? -1 : +1;

	app->message[0] = 0;
	app->wish = WISH_NONE;
	if (app->mode == MODE_OVERLAY) {
		if (mouse.what == MOUSE_CLICK)
			app->mode = MODE_KEYS;
		else
			overlay_key(app, by < 0 ? K_UP : K_DOWN);
		return;
	}
	if (app->mode != MODE_KEYS || v == N_VIEWS)
		return;
	if (mouse.what != MOUSE_CLICK) {
		if (v == VIEW_TIMELINE)
			app_update(app, by < 0 ? CMD_STEP_BACK : CMD_STEP, NULL);
		else
			app->ui.scroll[v] += by;
		return;
	}
	app->ui.focus = (enum view_id)v;
	if (v == VIEW_TIMELINE)
		seek_on_timeline(app, mouse.x);
	else
		app->ui.cursor[v] = line_at(app, v, mouse.y);
	app->ui.follow[v] = 0;
}
