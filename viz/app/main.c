/* SPDX-License-Identifier: MIT */
/* coviz: record a program's switches between coroutines, and travel through the recording. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd_record.h"
#include "events.h"
#include "export.h"
#include "keeper.h"
#include "options.h"
#include "script.h"
#include "session.h"
#include "terminal.h"

static const char version[] = "coviz 0.1.0";

/* --- a session from options ------------------------------------------------------------------- */

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "coviz: %s%s%s\n", what ? what : "", what ? ": " : "", why ? why : "no memory");
	return 1;
}

/* Who just dies may take a program with it that it has attached to. In a terminal, later,
 * terminal.c has its own. */
static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	is_interrupted = 1;
}

static bool is_enough(void *arg)
{
	(void)arg;
	return is_interrupted;
}

static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction act = { .sa_handler = on_interrupt }, old;

	sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &act, NULL);
}

/* The trace, or the program that makes one. 0, or the status to exit with. */
static int open_model(struct session *s, const struct options *o, struct model **model)
{
	char *why = NULL;
	int status = 0;

	if (!o->trace) {
		struct record_options record = o->record;
		record.is_quiet = record.has_no_input = true; /* the terminal is ours; its output has a pane */
		record.is_interrupted = &is_interrupted;
		s->is_enough = is_enough;
		catch_signals();
		s->live = live_start(&record, &why);
		if (!s->live)
			status = fail(NULL, why);
	}
	if (status == 0) {
		*model = model_open(o->trace ? o->trace : live_path(s->live), &why);
		if (!*model)
			status = fail(NULL, why);
		else if (s->live)
			live_hide(s->live);
	}
	free(why);
	return status;
}

/* A live program may have to run on to get there. */
static int go_to_start(struct session *s, const char *place)
{
	struct model *m = s->app.model;
	char *why = NULL;
	uint64_t t = 0;
	int status = 0;

	while (!model_place(m, place, &t, &why) && s->live && !is_interrupted && live_more(s->live, m, 64)) {
		free(why);
		why = NULL;
	}
	s->app.live_end = s->live ? live_end(s->live) : NULL;
	s->app.ui.is_live = s->live && !s->app.live_end;
	free(why);
	why = NULL;
	if (!model_place(m, place, &t, &why))
		status = fail("--at", why);
	else if (!app_go(&s->app, t))
		status = fail(NULL, s->app.message);
	free(why);
	return status;
}

static enum palette palette_of(const struct options *o)
{
	return o->color == COLOR_NEVER ? PALETTE_MONO : o->color == COLOR_EIGHT ? PALETTE_8 :
	       o->is_big ? PALETTE_CONTRAST : PALETTE_256;
}

static void set_up(struct session *s, const struct options *o)
{
	struct ui *ui = &s->app.ui;
	const char *damage = trace_damage(s->app.model->trace);

	ui->is_raw = o->is_raw;
	ui->is_asm = o->is_asm;
	ui->is_big = o->is_big;
	ui->is_zoomed = o->is_zoomed;
	if (o->is_zoomed)
		ui->focus = o->zoom;
	s->palette = palette_of(o);
	s->marked = -1;
	s->app.ui.is_live = s->live != NULL;
	if (damage && !s->live)
		app_fail(&s->app, "%s", damage);
}

static int dump(const struct session *s, const char *name)
{
	enum export_kind kind = EXPORT_TEXT;

	export_kind_named(name, &kind);
	if (export_to_file(strchr(name, '.') && strcmp(name, "dark.svg") != 0 ? name : "-", &s->grid, kind, s->palette) == 0)
		return 0;
	return fail(name, strerror(errno));
}

static int play_script(struct session *s, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");

	if (!f)
		return fail(path, strerror(errno));
	int status = script_run(s, f, path);
	if (f != stdin)
		fclose(f);
	return status;
}

/* Without a terminal: a script, a dump, or both. */
static int run_headless(struct session *s, const struct options *o)
{
	const char *damage = trace_damage(s->app.model->trace);
	int status = 0;

	if (damage && !s->live) /* one cause: what is behind the first damage follows from it */
		fprintf(stderr, "coviz: %.*s\n", (int)(strstr(damage, "; ") ? strstr(damage, "; ") - damage : (long)strlen(damage)), damage);
	if (o->is_list && list_events(s->app.model, stdout) != 0)
		status = fail("--list", strerror(errno));
	if (status == 0 && o->script)
		status = play_script(s, o->script);
	if (status == 0 && o->dump) {
		session_draw(s);
		status = dump(s, o->dump);
	}
	return status == 0 && damage && !s->live ? 1 : status;
}

/* As asked for; else the terminal's, if there is one. */
static void choose_size(const struct options *o, bool is_headless, int *w, int *h)
{
	struct winsize size;

	*w = o->w ? o->w : 120;
	*h = o->h ? o->h : 36;
	if (!is_headless && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
		*w = size.ws_col;
		*h = size.ws_row;
	}
}

static int run_session(struct session *s, const struct options *o)
{
	bool is_headless = o->dump || o->script || o->is_list;
	int w, h, status;

	choose_size(o, is_headless, &w, &h);
	if (grid_init(&s->grid, w, h) != 0)
		return fail(NULL, "no memory");
	s->grid.is_ascii = o->is_ascii || (!is_headless && strcmp(nl_langinfo(CODESET), "UTF-8") != 0);
	if (o->cast && !(s->cast = cast_create(o->cast, w, h, trace_info(s->app.model->trace)->command)))
		return fail(o->cast, strerror(errno));
	status = is_headless ? run_headless(s, o) : terminal_run(s, o->color);
	if (s->cast && cast_close(s->cast) != 0 && status == 0)
		status = fail(o->cast, strerror(errno));
	return status;
}

static int view(void *arg)
{
	const struct options *o = arg;
	struct session s = { 0 };
	struct model *model = NULL;
	int status = open_model(&s, o, &model);

	if (status == 0) {
		app_init(&s.app, model);
		set_up(&s, o);
		status = o->at ? go_to_start(&s, o->at) : 0;
		live_rest(s.live);
		if (status == 0)
			status = run_session(&s, o);
		app_free(&s.app);
		model_free(model);
	}
	live_finish(s.live);
	grid_free(&s.grid);
	return status;
}

/* --- the command line --------------------------------------------------------------------------- */

static void help_line(const struct help_line *line, bool is_ascii)
{
	char bytes[5];

	if (!line->keys[0]) {
		puts(line->text);
		return;
	}
	fputs("  ", stdout);
	for (const char *s = line->keys; *s;) {
		uint32_t ch = utf8_next(&s);
		utf8_put(is_ascii ? utf8_to_ascii(ch) : ch, bytes);
		fputs(bytes, stdout);
	}
	printf("%*s %s\n", utf8_width(line->keys) < 17 ? 17 - utf8_width(line->keys) : 0, "", line->text);
}

static int help(const char *topic)
{
	struct help_line lines[HELP_LINES_MAX];

	if (topic && strcmp(topic, "script") == 0) {
		fputs(script_help, stdout);
	} else if (topic && (strcmp(topic, "keys") == 0 || strcmp(topic, "signs") == 0)) {
		bool is_keys = topic[0] == 'k', is_ascii = is_keys || strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
		size_t n = help_lines(is_ascii, lines), signs = help_signs(lines, n);
		for (size_t i = is_keys ? 0 : signs; i < (is_keys ? signs : n); i++)
			help_line(&lines[i], is_ascii);
	} else if (topic) {
		fprintf(stderr, "coviz: help about keys, about signs, or about script; not about \"%s\"\n", topic);
		return 2;
	} else {
		fputs(options_help, stdout);
	}
	return 0;
}

/* Before anything is said of terminals. */
static bool is_there(const struct options *o)
{
	if (o->trace && access(o->trace, R_OK) != 0)
		return options_no_file(o->trace), false;
	if (!o->trace && o->record.argv && !program_is_there(o->record.argv[0]))
		return fail(o->record.argv[0], "no such program"), false;
	return true;
}

int main(int argc, char **argv)
{
	struct options o;
	const char *first = argc > 1 ? argv[1] : "";
	bool is_run = strcmp(first, "run") == 0;

	setlocale(LC_CTYPE, "");
	if (strcmp(first, "record") == 0)
		return cmd_record(argc - 1, argv + 1);
	if (strcmp(first, "help") == 0)
		return help(argv[2]);
	if (argc < 2) {
		fprintf(stderr, "coviz: which recording? coviz T.cot, or coviz run -- PROGRAM; coviz --help tells more\n");
		return 2;
	}
	if (!options_parse(&o, is_run ? argc - 1 : argc, is_run ? argv + 1 : argv, is_run))
		return 2;
	if (o.wants_help || o.wants_version)
		return o.wants_help ? help(NULL) : puts(version) < 0;
	if (o.color == COLOR_AUTO && getenv("NO_COLOR") && *getenv("NO_COLOR"))
		o.color = COLOR_NEVER;
	if (o.dump || o.script || o.is_list)
		return view(&o);
	if (!is_there(&o))
		return 1;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return fail(NULL, "this is no terminal; --dump txt writes the screen to standard output, --script FILE plays keys"), 2;
	return keeper_run(view, &o);
}
