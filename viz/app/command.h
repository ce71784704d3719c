/* SPDX-License-Identifier: MIT */
/*
 * command — what a user can ask for, with its keys and its words of help: one list.
 *
 * Part:    input. Uses nothing. The key decoder, the `?` page, `coviz help keys` and the
 *          names in scripts all come from here.
 */
#ifndef VIZ_COMMAND_H
#define VIZ_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A key: a Unicode character, or one of these. Control with a letter is that letter & 31. */
enum key {
	K_NONE = 0, K_TAB = 9, K_ENTER = 10, K_ESC = 27, K_SPACE = 32, K_BACKSPACE = 127,
	K_FIRST = 0x110000, /* beyond all characters */
	K_LEFT = K_FIRST, K_RIGHT, K_UP, K_DOWN, K_HOME, K_END, K_PAGE_UP, K_PAGE_DOWN, K_DELETE,
	K_SHIFT_UP, K_SHIFT_DOWN, K_SHIFT_LEFT, K_SHIFT_RIGHT, K_SHIFT_TAB,
	K_CTRL_UP, K_CTRL_DOWN, K_CTRL_LEFT, K_CTRL_RIGHT,
	K_LAST,
};

/* C(command, keys by name with blanks between, what help says). G(heading): what follows
 * belongs under it. */
#define COMMANDS(C, G) \
	G("Travel") \
	C(CMD_STEP, "Right l", "one instruction on") \
	C(CMD_STEP_BACK, "Left h", "one instruction back") \
	C(CMD_LINE, "Down j", "to the next source line") \
	C(CMD_LINE_BACK, "Up k", "to the source line before") \
	C(CMD_OVER, "n", "next line, not into calls") \
	C(CMD_OVER_BACK, "N", "the same backwards") \
	C(CMD_CALL, "}", "to the next call or return") \
	C(CMD_CALL_BACK, "{", "to the call or return before") \
	C(CMD_SWITCH, "]", "to the next switch") \
	C(CMD_SWITCH_BACK, "[", "to the switch before") \
	C(CMD_FIRST, "Home", "to the beginning") \
	C(CMD_LAST, "End", "to the end of what is recorded") \
	C(CMD_PLAY, "Space", "play, stop") \
	C(CMD_PLAY_BACK, "r", "play backwards") \
	C(CMD_FASTER, "+ =", "play faster") \
	C(CMD_SLOWER, "- _", "play slower") \
	G("Find") \
	C(CMD_PROMPT, ":", "go to a place, or a word: see After :") \
	C(CMD_SEARCH, "/", "search function, coroutine or output") \
	C(CMD_AGAIN, "; Enter", "search the same again, onwards") \
	C(CMD_AGAIN_BACK, ",", "search the same again, backwards") \
	C(CMD_CHANGE_BACK, "w", "last change of the chosen word") \
	C(CMD_CHANGE, "W", "its next change") \
	C(CMD_MARK, "m", "and a letter: remember this place") \
	C(CMD_GO_MARK, "'", "and its letter: go there") \
	G("Panes") \
	C(CMD_FOCUS_1, "1", "focus on pane 1; likewise 2 to 8") \
	C(CMD_FOCUS_2, "2", NULL) \
	C(CMD_FOCUS_3, "3", NULL) \
	C(CMD_FOCUS_4, "4", NULL) \
	C(CMD_FOCUS_5, "5", NULL) \
	C(CMD_FOCUS_6, "6", NULL) \
	C(CMD_FOCUS_7, "7", NULL) \
	C(CMD_FOCUS_8, "8", NULL) \
	C(CMD_ZOOM, "z", "this pane alone, and back") \
	C(CMD_CHOOSE_DOWN, "S-Down C-Down J", "choose the next line of the pane") \
	C(CMD_CHOOSE_UP, "S-Up C-Up K", "choose the line before") \
	C(CMD_SCROLL_DOWN, "PgDn", "scroll the pane down") \
	C(CMD_SCROLL_UP, "PgUp", "scroll the pane up") \
	C(CMD_RESET, "Esc 0", "undo choice, scrolling and zoom") \
	G("Show") \
	C(CMD_ASM, "Tab", "source or assembly") \
	C(CMD_PIN, "c", "pin the next coroutine on the left") \
	C(CMD_DIFF, "d", "save_buffer: only the lines that differ") \
	C(CMD_RAW, "a", "addresses as numbers or as places") \
	C(CMD_PROJECTOR, "P", "projector: few panes, strong colours") \
	C(CMD_EXPORT, "x", "write the screen to .svg, .txt, .ansi") \
	C(CMD_EXAM, "e", "exam: predict the next instruction") \
	C(CMD_HELP, "?", "this help") \
	C(CMD_QUIT, "q C-c", "quit")

enum command {
	CMD_NONE,
#define COMMAND_ENUM(name, keys, help) name,
#define COMMAND_NO_GROUP(heading)
	COMMANDS(COMMAND_ENUM, COMMAND_NO_GROUP)
#undef COMMAND_ENUM
#undef COMMAND_NO_GROUP
	CMD_TICK, /* playing: the time for one more step */
	N_COMMANDS,
};

/* CMD_NONE: it does nothing. */
enum command command_of_key(uint32_t key);

/* By its name in the list above ("Left", "C-c", "S-Up", "Space"), or by itself ("x").
 * K_NONE: there is none of that name. */
uint32_t key_named(const char *name);
/* Its name as shown to people: "←" for Left unless @is_ascii. Returns @to. */
char *key_show(const char *name, bool is_ascii, char *to, size_t len);

/* One line of the help: a heading (keys ""), or keys and what they do. */
struct help_line {
	char keys[24];
	const char *text;
};
enum { HELP_LINES_MAX = 128 };
size_t help_lines(bool is_ascii, struct help_line lines[HELP_LINES_MAX]);
/* Which of @n lines is the heading of the signs: they are the last. */
size_t help_signs(const struct help_line *lines, size_t n);

#endif
