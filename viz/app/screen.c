/* SPDX-License-Identifier: MIT */
/*
 * The painter and the reader of keys.
 *
 * Curses keeps what the terminal shows and sends differences; we only tell it the cells that
 * have changed since the last grid. Waiting is poll(2) and not curses' timeout, which goes
 * on after a signal.
 */
#include "screen.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper.h"

enum { MY_KEYS = 0x1000 };

static struct {
	SCREEN *screen;
	struct grid shown; /* painted last */
	bool is_shown_known;
	enum palette palette, shown_palette;
	bool is_gone;
} the;

/* --- keys --------------------------------------------------------------------------------- */

/* Arrows with Shift and Control, as nearly all terminals send them; many terminfo entries
 * say nothing of them. */
static const struct {
	const char *sequence;
	enum key key;
} sequences[] = {
	{ "\033[1;2A", K_SHIFT_UP }, { "\033[1;2B", K_SHIFT_DOWN }, { "\033[1;2C", K_SHIFT_RIGHT },
	{ "\033[1;2D", K_SHIFT_LEFT }, { "\033[1;5A", K_CTRL_UP }, { "\033[1;5B", K_CTRL_DOWN },
	{ "\033[1;5C", K_CTRL_RIGHT }, { "\033[1;5D", K_CTRL_LEFT }, { "\033[a", K_SHIFT_UP }, { "\033[b", K_SHIFT_DOWN },
	{ "\033Oa", K_CTRL_UP }, { "\033Ob", K_CTRL_DOWN },
};
enum { N_SEQUENCES = sizeof(sequences) / sizeof(sequences[0]) };

static uint32_t special_key(int code)
{
	static const struct { int code; enum key key; } map[] = {
		{ KEY_LEFT, K_LEFT }, { KEY_RIGHT, K_RIGHT }, { KEY_UP, K_UP }, { KEY_DOWN, K_DOWN },
		{ KEY_HOME, K_HOME }, { KEY_END, K_END }, { KEY_PPAGE, K_PAGE_UP }, { KEY_NPAGE, K_PAGE_DOWN },
		{ KEY_DC, K_DELETE }, { KEY_BACKSPACE, K_BACKSPACE }, { KEY_ENTER, K_ENTER }, { KEY_BTAB, K_SHIFT_TAB },
		{ KEY_SR, K_SHIFT_UP }, { KEY_SF, K_SHIFT_DOWN }, { KEY_SLEFT, K_SHIFT_LEFT }, { KEY_SRIGHT, K_SHIFT_RIGHT },
		{ KEY_FIND, K_HOME }, { KEY_SELECT, K_END },
	};
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].code == code)
			return map[i].key;
	if (code >= MY_KEYS && code < MY_KEYS + N_SEQUENCES)
		return sequences[code - MY_KEYS].key;
	return K_NONE;
}

static struct input mouse_input(void)
{
	struct input in = { .what = INPUT_NONE };
	MEVENT e;

	if (getmouse(&e) != OK)
		return in;
	in.mouse = (struct mouse){ .x = e.x, .y = e.y };
	if (e.bstate & BUTTON4_PRESSED)
		in.mouse.what = MOUSE_WHEEL_UP;
	else if (e.bstate & BUTTON5_PRESSED)
		in.mouse.what = MOUSE_WHEEL_DOWN;
	else if (e.bstate & (BUTTON1_PRESSED | BUTTON1_CLICKED))
		in.mouse.what = MOUSE_CLICK;
	else
		return in;
	in.what = INPUT_MOUSE;
	return in;
}

/* What curses has, without waiting. */
static struct input look(void)
{
	struct input in = { .what = INPUT_KEY };
	wint_t ch;
	int kind = get_wch(&ch);

	if (kind == ERR) {
		in.what = INPUT_NONE;
	} else if (kind != KEY_CODE_YES) {
		in.key = ch == '\r' ? K_ENTER : ch == 8 ? K_BACKSPACE : ch;
	} else if (ch == KEY_RESIZE) {
		in.what = INPUT_RESIZE;
		the.is_shown_known = false;
	} else if (ch == KEY_MOUSE) {
		return mouse_input();
	} else {
		in.key = special_key((int)ch);
		in.what = in.key == K_NONE ? INPUT_NONE : INPUT_KEY;
	}
	if (in.what == INPUT_KEY && in.key == ('L' & 31)) { /* what every full-screen program does */
		the.is_shown_known = false;
		clearok(curscr, TRUE);
		in.what = INPUT_RESIZE;
	}
	return in;
}

bool screen_has_input(void)
{
	struct pollfd fd = { STDIN_FILENO, POLLIN, 0 };

	return poll(&fd, 1, 0) > 0;
}

struct input screen_wait(int timeout_ms)
{
	struct pollfd fd = { STDIN_FILENO, POLLIN, 0 };
	struct input in = look();

	if (in.what != INPUT_NONE || timeout_ms == 0)
		return in;
	int n = poll(&fd, 1, timeout_ms);
	if (n > 0 && (fd.revents & (POLLHUP | POLLERR | POLLNVAL))) {
		the.is_gone = true;
		in.what = INPUT_GONE;
		return in;
	}
	return n == 0 ? in : look();
}

/* --- opening -------------------------------------------------------------------------------- */

static void choose_palette(enum color color)
{
	int colors = 0;

	if (color != COLOR_NEVER && has_colors() && start_color() == OK)
		colors = color == COLOR_EIGHT && COLORS > 8 ? 8 : COLORS;
	the.palette = colors >= 256 ? PALETTE_256 : colors >= 8 ? PALETTE_8 : PALETTE_MONO;
	if (the.palette != PALETTE_MONO)
		use_default_colors();
}

/* A pair of colours per role; pair 0 is the terminal's own. */
static void make_pairs(enum palette palette)
{
	for (int role = 0; role < N_ROLES && palette != PALETTE_MONO; role++) {
		struct look l = palette_look(palette, role, 0);
		init_pair((short)(role + 1), l.fg, l.bg);
	}
}

/* curses opens TERM=dumb (a shell in an editor) as well, and then writes all lines into one. */
static bool can_move_the_cursor(void)
{
	const char *cup = tigetstr("cup");

	return cup && cup != (const char *)-1;
}

bool screen_open(enum color color, const char **why)
{
	const char *term = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		*why = "this is no terminal; --dump txt writes the screen to standard output, --script FILE plays keys";
		return false;
	}
	keeper_note_screen(1);
	the.screen = newterm(NULL, stdout, stdin);
	if (the.screen && !can_move_the_cursor()) {
		endwin();
		delscreen(the.screen);
		the.screen = NULL;
	}
	if (!the.screen) {
		keeper_note_screen(0);
		*why = term && *term ? "this terminal (TERM) is not known here, or can do too little; try TERM=xterm"
				     : "TERM is not set; try TERM=xterm";
		return false;
	}
	choose_palette(color);
	make_pairs(the.palette);
	the.shown_palette = the.palette;
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	mouseinterval(0); /* a press is a click: no waiting for what follows */
	mousemask(BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
	for (int i = 0; i < N_SEQUENCES; i++)
		define_key(sequences[i].sequence, MY_KEYS + i);
	return true;
}

void screen_close(void)
{
	if (!the.screen)
		return;
	curs_set(1);
	endwin();
	delscreen(the.screen);
	the.screen = NULL;
	grid_free(&the.shown);
	the.is_shown_known = false;
	keeper_note_screen(the.is_gone);
}

/* --- painting ------------------------------------------------------------------------------- */

void screen_size(int *w, int *h)
{
	getmaxyx(stdscr, *h, *w);
}

enum palette screen_palette(void)
{
	return the.palette;
}

static attr_t attributes(struct look l)
{
	return (l.is_bold ? A_BOLD : 0) | (l.is_faint ? A_DIM : 0) | (l.is_underlined ? A_UNDERLINE : 0) |
	       (l.is_reversed ? A_REVERSE : 0);
}

static void paint_cell(const struct cell *c, int x, int y, enum palette palette)
{
	wchar_t text[2] = { (wchar_t)c->ch, 0 };
	cchar_t cell;

	setcchar(&cell, text, attributes(palette_look(palette, c->role, c->style)),
		 palette == PALETTE_MONO ? 0 : (short)(c->role + 1), NULL);
	mvadd_wch(y, x, &cell);
}

static bool is_painted(const struct cell *c, size_t i)
{
	const struct cell *old = &the.shown.cells[i];

	return the.is_shown_known && old->ch == c->ch && old->role == c->role && old->style == c->style;
}

void screen_paint(const struct grid *g, enum palette palette)
{
	if (the.palette == PALETTE_MONO || (palette == PALETTE_CONTRAST && the.palette != PALETTE_256))
		palette = the.palette;
	if (palette != the.shown_palette || the.shown.w != g->w || the.shown.h != g->h)
		the.is_shown_known = false;
	if (palette != the.shown_palette)
		make_pairs(palette);
	the.shown_palette = palette;
	if (!the.is_shown_known)
		erase();
	for (int y = 0; y < g->h; y++)
		for (int x = 0; x < g->w; x++) {
			size_t i = (size_t)y * (size_t)g->w + (size_t)x;
			if (!is_painted(&g->cells[i], i))
				paint_cell(&g->cells[i], x, y, palette);
		}
	refresh();
	if ((the.shown.w != g->w || the.shown.h != g->h) && grid_init(&the.shown, g->w, g->h) != 0)
		return; /* then all is painted each time */
	memcpy(the.shown.cells, g->cells, (size_t)g->w * (size_t)g->h * sizeof(*g->cells));
	the.is_shown_known = true;
}
