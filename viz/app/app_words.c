/* SPDX-License-Identifier: MIT */
/* What is typed after ':': places of the model, and some words that gdb's users know. */
#include "app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64 }; /* that x shows */

/* --- values --------------------------------------------------------------------------------- */

static enum reg reg_named(const char *name, size_t len)
{
	for (int r = 0; r < N_REGS; r++)
		if (strlen(reg_names[r]) == len && memcmp(reg_names[r], name, len) == 0)
			return (enum reg)r;
	return REG_NONE;
}

/* +N, -N at the end of a value. */
static bool add_offset(const char *s, uint64_t *value)
{
	char *end;

	if (!*s)
		return true;
	if (*s != '+' && *s != '-')
		return false;
	uint64_t n = strtoull(s + 1, &end, 0);
	if (end == s + 1 || *end)
		return false;
	*value = *s == '+' ? *value + n : *value - n;
	return true;
}

bool app_value(struct app *app, const char *words, uint64_t *value)
{
	const char *s = words + strspn(words, " ");
	struct symbol symbol;
	char name[128];
	char *end;

	s += *s == '$' || *s == '*';
	size_t n = strcspn(s, "+- ");
	enum reg r = reg_named(s, n);
	uint64_t number = strtoull(s, &end, 0);
	snprintf(name, sizeof(name), "%.*s", (int)n, s);
	if (r != REG_NONE) {
		*value = app->model->state.regs.r[r];
	} else if (n > 0 && end == s + n) {
		*value = number;
	} else if (n > 0 && app->model->symbols && symbol_named(app->model->symbols, name, &symbol)) {
		*value = symbol.lo;
	} else {
		app_fail(app, "\"%s\" is no register, number or function", name);
		return false;
	}
	if (add_offset(s + n, value))
		return true;
	app_fail(app, "after %s only +N or -N can follow, not \"%s\"", name, s + n);
	return false;
}

/* --- x: memory, instructions ---------------------------------------------------------------- */

static void put_word(FILE *f, struct app *app, uint64_t addr)
{
	char at[64], what[128];
	uint64_t value;

	fprintf(f, "%-18s ", address_text(app->model, &app->ui, addr, at, sizeof(at)));
	if (!memory_read(&app->model->state.memory, addr, &value, sizeof(value))) {
		fputs("(not in the trace)\n", f);
		return;
	}
	fprintf(f, "%016llx  %s\n", (unsigned long long)value, model_describe(app->model, value, what, sizeof(what)));
}

/* Returns the length of the instruction, 0: there is none. */
static int put_insn(FILE *f, struct app *app, uint64_t addr)
{
	uint8_t code[16];
	char at[96];
	struct insn insn;
	size_t n = app->model->symbols ? symbols_code(app->model->symbols, addr, code, sizeof(code)) : 0;

	if (n == 0 || !decode(code, n, addr, &insn)) {
		fprintf(f, "(no code at 0x%llx)\n", (unsigned long long)addr);
		return 0;
	}
	fprintf(f, "%s %-28s %s\n", addr == app->model->state.regs.r[REG_RIP] ? "=>" : "  ",
		symbol_text(app->model->symbols, addr, at, sizeof(at)), insn.text);
	return insn.len;
}

/* @words: "/8gx rsp" and the like; only g (8 bytes) and i (instructions). */
static void examine(struct app *app, const char *words)
{
	int count = 1, n;
	bool is_code = false;
	char *text = NULL;
	size_t len;
	uint64_t addr;

	if (*words == '/') {
		count = (int)strtol(words + 1, (char **)&words, 10);
		count = count < 1 ? 1 : count > WORDS_MAX ? WORDS_MAX : count;
		n = (int)strcspn(words, " ");
		is_code = memchr(words, 'i', (size_t)n) != NULL;
		words += n;
	}
	if (!app_value(app, words, &addr))
		return;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return;
	for (int i = 0; i < count; i++) {
		int step = 8;
		if (is_code)
			step = put_insn(f, app, addr);
		else
			put_word(f, app, addr);
		if (step == 0)
			break;
		addr += (uint64_t)step;
	}
	if (fclose(f) == 0)
		app_overlay(app, is_code ? "Instructions" : "Memory", text);
}

static void print_value(struct app *app, const char *words)
{
	char where[64], what[128];
	uint64_t value;

	if (!app_value(app, words, &value))
		return;
	address_text(app->model, &app->ui, value, where, sizeof(where));
	model_describe(app->model, value, what, sizeof(what));
	if ((*where >= '0' && *where <= '9') || *where == '-') /* a number: the other way to write it */
		snprintf(where, sizeof(where), "= %lld", (long long)value);
	app_tell(app, "%s = 0x%llx%s%s%s%s", words, (unsigned long long)value, *where == '=' ? " " : "  ", where,
		 *what ? "  " : "", what);
}

/* --- bt ------------------------------------------------------------------------------------- */

static void backtrace(struct app *app)
{
	struct model *m = app->model;
	const struct exec *e = model_exec(m, m->current);
	const char *why = NULL;
	char *text = NULL, name[128];
	size_t len, n = 0;
	FILE *f;

	const struct frame *frames = e ? model_frames(m, e, &n, &why) : NULL;
	if (!frames || !m->symbols || !(f = open_memstream(&text, &len))) {
		app_fail(app, "no frames: %s", why ? why : "it is not known who runs");
		return;
	}
	fprintf(f, "%s\n", e->name);
	for (size_t i = 0; i < n; i++) {
		struct source_line line = { 0 };
		/* a return address belongs to the call before it */
		uint64_t pc = i > 0 && !frames[i].is_seam ? frames[i].pc - 1 : frames[i].pc;
		fprintf(f, "#%-3zu %s", i, symbol_text(m->symbols, frames[i].pc, name, sizeof(name)));
		if (source_at(m->symbols, pc, &line) && line.path)
			fprintf(f, "  %s:%d", strrchr(line.path, '/') ? strrchr(line.path, '/') + 1 : line.path, line.line);
		fprintf(f, "%s\n", frames[i].is_seam ? "   ---- resumed by ----" : "");
	}
	if (why)
		fprintf(f, "(ends here: %s)\n", why);
	if (fclose(f) == 0)
		app_overlay(app, "Frames", text);
}

/* --- b -------------------------------------------------------------------------------------- */

/* Live, what is not there yet may come: record on, and try these words again. */
static bool want_more(struct app *app)
{
	if (!app->ui.is_live)
		return false;
	app->wish = WISH_MORE;
	app->again = CMD_PROMPT;
	return true;
}

/* What there is to do about what is not in the trace. */
static const char *hint(const struct model *m)
{
	const char *mode = trace_info(m->trace)->mode;

	return mode && strcmp(mode, "switch") == 0 ? "; 'coviz record --all' records what is outside of the switch, too" : "";
}

/* On to where function @name is entered next. */
static void go_to_function(struct app *app, const char *name)
{
	struct model *m = app->model;
	struct symbol f;

	name += strspn(name, " ");
	if (!m->symbols || !symbol_named(m->symbols, name, &f) || !f.is_function) {
		app_fail(app, "there is no function \"%s\"", name);
		return;
	}
	uint64_t t = model_find_function(m, m->t, name, +1);
	if (t > m->t)
		app_go(app, t);
	else if (!want_more(app))
		app_fail(app, "%s is not entered after this, as far as it is recorded%s", name, hint(m));
}

/* --- all ------------------------------------------------------------------------------------ */

static bool is_word(const char *words, const char *word, const char **rest)
{
	size_t n = strlen(word);

	if (strncmp(words, word, n) != 0 || (words[n] && words[n] != ' ' && words[n] != '/'))
		return false;
	*rest = words + n;
	return true;
}

/* A place that is well said, as far as one can tell; "swicth:3" will never come. */
static bool may_come(const char *words)
{
	static const char *const kinds[] = { "switch:", "rsp:", "arrive:", "func:", "line:", "t:" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(words, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return (*words >= '0' && *words <= '9') || strchr(words, '#');
}

static void go_to_place(struct app *app, const char *words)
{
	char *why = NULL, *end;
	uint64_t t = app->model->t, n;

	if (*words == '+' || *words == '-') {
		n = strtoull(words + 1, &end, 10);
		if (end == words + 1 || *end) {
			app_fail(app, "%s: after + and - a number of instructions follows", words);
			return;
		}
		t = *words == '-' ? (n > t ? 0 : t - n) : n > app->model->last - t ? app->model->last : t + n;
		app_go(app, t);
	} else if (strcmp(words, "end") == 0) {
		app_update(app, CMD_LAST, NULL);
	} else if (model_place(app->model, words, &t, &why)) {
		app_go(app, t);
	} else if (!may_come(words) || !want_more(app)) {
		app_fail(app, "%s", why ? why : "no such place");
	}
	free(why);
}

void app_words(struct app *app, const char *words)
{
	const char *rest;

	words += strspn(words, " ");
	if (!*words)
		return;
	if (is_word(words, "bt", &rest) || is_word(words, "backtrace", &rest) || is_word(words, "where", &rest))
		backtrace(app);
	else if (is_word(words, "x", &rest))
		examine(app, rest);
	else if (is_word(words, "p", &rest) || is_word(words, "print", &rest))
		print_value(app, rest + strspn(rest, " "));
	else if (is_word(words, "b", &rest) || is_word(words, "break", &rest))
		go_to_function(app, rest);
	else if (is_word(words, "q", &rest) || is_word(words, "quit", &rest))
		app->wish = WISH_QUIT;
	else if (is_word(words, "help", &rest))
		app_update(app, CMD_HELP, NULL);
	else
		go_to_place(app, words);
}
