/* SPDX-License-Identifier: MIT */
/*
 * app — what the viewer is doing: where in the trace, what is shown, what is being typed.
 *
 * Part:    input and view. Uses model, view, arrange, command. No terminal, no clock, no
 *          file: what it wants of the outside is in `wish`, and whoever runs it (main, a
 *          script, a test) sees to that. So the same keys make the same screens, always.
 */
#ifndef VIZ_APP_H
#define VIZ_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arrange.h"
#include "command.h"
#include "grid.h"
#include "model.h"
#include "view.h"

enum app_mode {
	MODE_KEYS,    /* a key is a command */
	MODE_PROMPT,  /* a line is typed, after app.prompt: ':' '/' 'x' */
	MODE_MARK,    /* the letter of a mark to set */
	MODE_GO_MARK, /* ... to go to */
	MODE_OVERLAY, /* a text on top: help, frames, memory */
	MODE_EXAM,    /* an answer is typed */
};

/* What app_update cannot do by itself. */
enum app_wish {
	WISH_NONE,
	WISH_MORE,   /* the trace ends here, but its program still runs: record, then app_again */
	WISH_EXPORT, /* write the screen to the file app.input */
	WISH_QUIT,
};

struct mouse {
	int x, y;
	enum { MOUSE_CLICK, MOUSE_WHEEL_UP, MOUSE_WHEEL_DOWN } what;
};

enum { PLAY_SPEEDS = 7, EXAM_SEEN = 512 };

struct app {
	struct model *model;
	struct ui ui;
	const char *live_end;  /* why the program that is recorded has ended; NULL: it has not */
	bool is_waiting;       /* for it, just now */

	enum app_mode mode;
	enum app_wish wish;
	enum command again;    /* what app_again does once more */

	char prompt;
	char input[128];       /* UTF-8 */
	bool is_proposed;      /* input is ours: the first character that is typed replaces it */
	char message[320];     /* until the next key */
	bool is_error;         /* the message is one */

	int play;              /* +1, -1: plays; 0: stands */
	int speed;             /* 0 ... PLAY_SPEEDS-1 */

	char *overlay;         /* malloc'ed lines; NULL: the help */
	const char *overlay_title;
	int overlay_scroll;    /* lines; of the help: its page */
	int overlay_pages;     /* as drawn last */

	enum reg exam_reg;     /* asked for */
	uint64_t exam_seen[EXAM_SEEN]; size_t n_exam_seen; /* instructions that were asked about */
	uint32_t exam_right, exam_asked;

	struct arrangement shown; /* as drawn last: for the mouse */
};

void app_init(struct app *app, struct model *model);
void app_free(struct app *app); /* the model stays */

/* @argument: of CMD_PROMPT, the words; of CMD_SEARCH, the text; of CMD_MARK and CMD_GO_MARK
 * the letter; of CMD_EXPORT the file. NULL: it is to be typed. */
void app_update(struct app *app, enum command command, const char *argument);
void app_key(struct app *app, uint32_t key);
void app_mouse(struct app *app, struct mouse mouse);
void app_again(struct app *app);
/* Milliseconds between two CMD_TICK; -1: nothing plays. */
int app_tick_ms(const struct app *app);

void app_draw(struct app *app, struct grid *grid);

/* --- between the files of app --------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) void app_tell(struct app *app, const char *format, ...);
__attribute__((format(printf, 2, 3))) void app_fail(struct app *app, const char *format, ...);
/* Go to state @t; false, with a message: the trace is damaged there. */
bool app_go(struct app *app, uint64_t t);
/* One of the commands that travel (app_travel.c); one step of what plays. */
void app_travel(struct app *app, enum command command);
void app_tick(struct app *app);
/* What was typed after ':' (app_words.c), and after '/': the next match in @direction. */
void app_words(struct app *app, const char *words);
void app_search(struct app *app, int direction);
void app_overlay(struct app *app, const char *title, char *text); /* takes @text */
/* A value in words: a register, a number, a function, each with +N or -N. False: told. */
bool app_value(struct app *app, const char *words, uint64_t *value);
/* Exam (exam.c): ask about the next instruction; judge what was typed. */
void exam_ask(struct app *app);
void exam_answer(struct app *app);
char *exam_question(struct app *app, char *text, size_t len);

#endif
