/* SPDX-License-Identifier: MIT */
/* Keys by name, and the help that the list of commands makes. */
#include "command.h"

#include <stdio.h>
#include <string.h>

#include "grid.h"

static const struct {
	enum command command;
	const char *keys, *help, *heading;
} table[] = {
#define COMMAND_ROW(name, keys, help) { name, keys, help, NULL },
#define COMMAND_GROUP(heading) { CMD_NONE, "", NULL, heading },
	COMMANDS(COMMAND_ROW, COMMAND_GROUP)
};
enum { N_ROWS = sizeof(table) / sizeof(table[0]) };

static const char signs_heading[] = "Signs";

/* What can be typed after ':' and '/', and the mouse: help only. Then the signs of the panes. */
static const struct help_line more_help[] = {
	{ "", "After :" },
	{ "1234  +10  -10", "state 1234; from here on, back" },
	{ "switch:3", "the 3rd switch, at its first step" },
	{ "rsp:3  arrive:3", "its change of stacks; its end" },
	{ "func:leaf#2", "the 2nd entry of function leaf" },
	{ "line:loop.c:79", "where that line is run; #2 again" },
	{ "save#1  end", "an event (create, resume, exit, ...)" },
	{ "b NAME", "on to where NAME is entered" },
	{ "bt", "the call frames of who runs" },
	{ "x/8gx rsp", "8 words of memory; x/5i rip: code" },
	{ "p rsp", "the value of a register" },
	{ "", "Mouse" },
	{ "click", "focus, choose a line; timeline: seek" },
	{ "wheel", "scroll; over the timeline: time" },
	{ "", "Live: coviz run" },
	{ "a key of travel", "at the end: the program runs on" },
	{ "End", "there: to its end; any key stops" },
	{ "", signs_heading },
	{ "S0 S1  S1-0x30", "coroutines; a place on S1's stack" },
	{ "C1  C1.rbx", "S1's saved registers; one of them" },
	{ "B1+0x10  co1", "S1's save_buffer; its struct co" },
	{ "▶", "on the CPU; runs next" },
	{ "•", "has just run" },
	{ "a → b", "was a, is b now" },
	{ "← main  x2", "main resumed it; resumed twice" },
	{ "*rbx", "a register that the switch saves" },
	{ "=", "saved, and the same as in the CPU" },
	{ "*  before a word", "the last instruction changed it" },
	{ "┌ │ └", "a call's frame, the newest on top" },
	{ "[", "a frame of one word" },
	{ "rsp→ rbp→", "where the CPU's registers point" },
	{ "(rsp) (rbp)", "where the saved ones point" },
	{ "free", "beyond rsp: belongs to no frame" },
	{ "▓▓░░", "stack used, most is full; copy done" },
	{ "≠ │", "saved and live bytes differ; are equal" },
	{ "…", "cut off, or left out" },
	{ "◀", "the chosen line: w, W ask about it" },
	{ "●  ▲", "who runs, and when we are" },
};

static const struct {
	const char *name;
	uint32_t key;
	const char *shown;
} names[] = {
	{ "Left", K_LEFT, "←" }, { "Right", K_RIGHT, "→" }, { "Up", K_UP, "↑" }, { "Down", K_DOWN, "↓" },
	{ "Home", K_HOME, NULL }, { "End", K_END, NULL }, { "PgUp", K_PAGE_UP, NULL }, { "PgDn", K_PAGE_DOWN, NULL },
	{ "Del", K_DELETE, NULL }, { "S-Up", K_SHIFT_UP, "Shift-↑" }, { "S-Down", K_SHIFT_DOWN, "Shift-↓" },
	{ "S-Left", K_SHIFT_LEFT, NULL }, { "S-Right", K_SHIFT_RIGHT, NULL }, { "S-Tab", K_SHIFT_TAB, NULL },
	{ "C-Up", K_CTRL_UP, "Ctrl-↑" }, { "C-Down", K_CTRL_DOWN, "Ctrl-↓" }, { "C-Left", K_CTRL_LEFT, NULL },
	{ "C-Right", K_CTRL_RIGHT, NULL }, { "Tab", K_TAB, NULL }, { "Enter", K_ENTER, NULL }, { "Esc", K_ESC, NULL },
	{ "Space", K_SPACE, NULL }, { "Backspace", K_BACKSPACE, NULL },
};
enum { N_NAMES = sizeof(names) / sizeof(names[0]) };

uint32_t key_named(const char *name)
{
	const char *rest = name;
	uint32_t ch;

	for (size_t i = 0; i < N_NAMES; i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].key;
	if (name[0] == 'C' && name[1] == '-' && name[2] >= '@' && (unsigned char)name[2] < 0x7f && !name[3])
		return name[2] & 31;
	if (!*name)
		return K_NONE;
	ch = utf8_next(&rest);
	return *rest ? K_NONE : ch;
}

/* The next blank-separated word of *@s into @word; false: there is none. */
static bool next_word(const char **s, char *word, size_t len)
{
	*s += strspn(*s, " ");
	size_t n = strcspn(*s, " ");

	snprintf(word, len, "%.*s", (int)n, *s);
	*s += n;
	return n > 0;
}

enum command command_of_key(uint32_t key)
{
	char word[16];

	for (size_t i = 0; i < N_ROWS; i++)
		for (const char *s = table[i].keys; next_word(&s, word, sizeof(word));)
			if (key != K_NONE && key_named(word) == key)
				return table[i].command;
	return CMD_NONE;
}

char *key_show(const char *name, bool is_ascii, char *to, size_t len)
{
	const char *shown = name;

	for (size_t i = 0; i < N_NAMES; i++)
		if (strcmp(names[i].name, name) == 0 && names[i].shown && !is_ascii)
			shown = names[i].shown;
	snprintf(to, len, "%s", shown);
	return to;
}

/* "← h": all keys of a row. */
static void show_keys(const char *keys, bool is_ascii, char *to, size_t len)
{
	char word[16], shown[24];
	size_t n = 0;

	*to = 0;
	while (next_word(&keys, word, sizeof(word)) && n < len)
		n += (size_t)snprintf(to + n, len - n, "%s%s", n ? " " : "", key_show(word, is_ascii, shown, sizeof(shown)));
}

size_t help_lines(bool is_ascii, struct help_line lines[HELP_LINES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < N_ROWS && n < HELP_LINES_MAX; i++) {
		if (!table[i].heading && !table[i].help)
			continue; /* said by the one before */
		lines[n].text = table[i].heading ? table[i].heading : table[i].help;
		show_keys(table[i].keys, is_ascii, lines[n++].keys, sizeof(lines[0].keys));
	}
	for (size_t i = 0; i < sizeof(more_help) / sizeof(more_help[0]) && n < HELP_LINES_MAX; i++)
		lines[n++] = more_help[i];
	return n;
}

size_t help_signs(const struct help_line *lines, size_t n)
{
	size_t i = 0;

	while (i < n && lines[i].text != signs_heading)
		i++;
	return i;
}
