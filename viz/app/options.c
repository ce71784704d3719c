/* SPDX-License-Identifier: MIT */
/* Parses the viewer's options. Each mistake is one line that says what would be right. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export.h"

enum { SIDE_MAX = 1000 };

const char options_help[] =
	"coviz: travel through the recording of a program, instruction by instruction.\n"
	"\n"
	"  coviz record [options] -o T.cot -- PROGRAM ARGS   record (coviz record --help)\n"
	"  coviz [options] T.cot                             look at a recording\n"
	"  coviz run [options] -- PROGRAM ARGS               both: the program goes on as you do\n"
	"  coviz help keys | help signs | help script        what can be typed; what is drawn; scripts\n"
	"\n"
	"Where to begin, and what to show\n"
	"  --at PLACE         1234, switch:3, rsp:3, arrive:3, func:leaf#2, line:loop.c:79,\n"
	"                     save#1, end; +N, -N after it\n"
	"  --source, --asm    source (default) or assembly in pane 2\n"
	"  --addr sym|raw     addresses as places, S1-0x30 (default), or as numbers\n"
	"  --zoom PANE        one pane alone: coroutines code registers from to buffer timeline\n"
	"                     output, or its number\n"
	"  --projector        fewer panes, strong colours\n"
	"  --color WHEN       auto (default; NO_COLOR counts), 256, 8, never\n"
	"  --ascii            no other characters; without it, a terminal gets what the locale can,\n"
	"                     and --dump, --script and --cast always write UTF-8\n"
	"\n"
	"Without a terminal\n"
	"  --dump KIND|FILE   write one screen: txt, ansi, svg, dark.svg to standard output, or to\n"
	"                     a file with such an ending\n"
	"  --size WxH         of the screen (120x36)\n"
	"  --list             what happened, a line for each event: its state, and its place for --at\n"
	"  --script FILE      keys from a file (coviz help script)\n"
	"  --cast FILE        the screens of the script, or what you do, for asciinema\n"
	"\n"
	"How to record, for run\n"
	"  --switch           step through switches only, with what belongs to them (default)\n"
	"  --all              step through everything\n"
	"  --from X --to Y    step from function (or FILE:LINE) X to Y\n"
	"  -p PID             a program that runs already; it goes on when you quit\n"
	"  --thread N         which thread (0: main)\n"
	"  -o FILE            keep the recording\n"
	"\n"
	"  --help, --version\n";

enum { OPT_AT = 256, OPT_SIZE, OPT_DUMP, OPT_ADDR, OPT_SCRIPT, OPT_CAST, OPT_ASCII, OPT_COLOR, OPT_PROJECTOR, OPT_ZOOM,
       OPT_ASM, OPT_SOURCE, OPT_LIST, OPT_HELP, OPT_VERSION, OPT_SWITCH, OPT_ALL, OPT_FROM, OPT_TO, OPT_THREAD };

static const struct option names[] = {
	{ "at", required_argument, NULL, OPT_AT },          { "size", required_argument, NULL, OPT_SIZE },
	{ "dump", required_argument, NULL, OPT_DUMP },      { "addr", required_argument, NULL, OPT_ADDR },
	{ "script", required_argument, NULL, OPT_SCRIPT },  { "cast", required_argument, NULL, OPT_CAST },
	{ "ascii", no_argument, NULL, OPT_ASCII },          { "color", required_argument, NULL, OPT_COLOR },
	{ "projector", no_argument, NULL, OPT_PROJECTOR },  { "zoom", required_argument, NULL, OPT_ZOOM },
	{ "asm", no_argument, NULL, OPT_ASM },              { "source", no_argument, NULL, OPT_SOURCE },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "help", no_argument, NULL, OPT_HELP },            { "version", no_argument, NULL, OPT_VERSION },
	/* of run only; last */
	{ "switch", no_argument, NULL, OPT_SWITCH },        { "all", no_argument, NULL, OPT_ALL },
	{ "from", required_argument, NULL, OPT_FROM },      { "to", required_argument, NULL, OPT_TO },
	{ "thread", required_argument, NULL, OPT_THREAD },  { NULL, 0, NULL, 0 },
};

/* One of @words (separated by '|'), by its number; -1, with a message: none. */
static int one_of(const char *option, const char *value, const char *words)
{
	int i = 0;

	for (const char *s = words; *s; i++) {
		size_t n = strcspn(s, "|");
		if (strlen(value) == n && memcmp(value, s, n) == 0)
			return i;
		s += n + (s[n] == '|');
	}
	fprintf(stderr, "coviz: --%s: \"%s\" is none of %s\n", option, value, words);
	return -1;
}

static bool parse_size(struct options *o, const char *value)
{
	int end = 0;

	if (sscanf(value, "%dx%d%n", &o->w, &o->h, &end) == 2 && !value[end] && o->w > 0 && o->h > 0 && o->w <= SIDE_MAX &&
	    o->h <= SIDE_MAX)
		return true;
	fprintf(stderr, "coviz: --size is WIDTHxHEIGHT such as 120x36, not \"%s\"\n", value);
	return false;
}

static bool parse_zoom(struct options *o, const char *value)
{
	int n = strlen(value) == 1 && *value >= '1' && *value <= '8'
			? *value - '1'
			: one_of("zoom", value, "coroutines|code|registers|from|to|buffer|timeline|output");

	o->is_zoomed = true;
	o->zoom = n < 0 ? VIEW_CODE : (enum view_id)n;
	return n >= 0;
}

static bool parse_number(const char *option, const char *value, int *to)
{
	char *end;
	long n = strtol(value, &end, 10);

	*to = (int)n;
	if (end != value && !*end && n >= 0 && n < INT32_MAX)
		return true;
	fprintf(stderr, "coviz: %s: a number, not \"%s\"\n", option, value);
	return false;
}

static bool parse_dump(struct options *o, const char *value)
{
	enum export_kind kind;

	o->dump = value;
	if (export_kind_named(value, &kind))
		return true;
	fprintf(stderr, "coviz: --dump: txt, ansi, svg or dark.svg, or a file with such an ending, not \"%s\"\n", value);
	return false;
}

/* False: a message was written. */
static bool take(struct options *o, int option, const char *value)
{
	int n = 0;

	switch (option) {
	case OPT_AT:        o->at = value; break;
	case OPT_SIZE:      return parse_size(o, value);
	case OPT_DUMP:      return parse_dump(o, value);
	case OPT_ADDR:      n = one_of("addr", value, "sym|raw"); o->is_raw = n == 1; break;
	case OPT_SCRIPT:    o->script = value; break;
	case OPT_CAST:      o->cast = value; break;
	case OPT_ASCII:     o->is_ascii = true; break;
	case OPT_COLOR:     n = one_of("color", value, "auto|256|8|never"); o->color = (enum color)(n < 0 ? 0 : n); break;
	case OPT_PROJECTOR: o->is_big = true; break;
	case OPT_ZOOM:      return parse_zoom(o, value);
	case OPT_ASM:       o->is_asm = true; break;
	case OPT_SOURCE:    o->is_asm = false; break;
	case OPT_LIST:      o->is_list = true; break;
	case OPT_SWITCH:    o->record.mode = RECORD_SWITCH; break;
	case OPT_ALL:       o->record.mode = RECORD_ALL; break;
	case OPT_FROM:      o->record.mode = RECORD_FROM_TO; o->record.from = value; break;
	case OPT_TO:        o->record.mode = RECORD_FROM_TO; o->record.to = value; break;
	case OPT_THREAD:    return parse_number("--thread", value, &o->record.thread);
	case 'p':           return parse_number("-p", value, &o->record.pid);
	case 'o':           o->record.path = value; break;
	}
	return n >= 0;
}

static void say_options(bool is_run)
{
	fputs("; there are:", stderr);
	for (const struct option *p = names; p->name && (is_run || p->val < OPT_SWITCH); p++)
		fprintf(stderr, " --%s", p->name);
	fputs(is_run ? " -p -o" : "", stderr);
	fputs(" (coviz --help)\n", stderr);
}

/* getopt has found @option (its '?' or ':') at argv[optind - 1]. */
static bool complain(int option, char **argv, bool is_run)
{
	const char *word = argv[optind - 1];
	char letter[3] = { '-', (char)optopt, 0 };

	if (option == ':') {
		fprintf(stderr, "coviz: %s needs a value (coviz --help)\n", word);
		return false;
	}
	fprintf(stderr, "coviz: unknown option %s", strncmp(word, "--", 2) == 0 || optopt == 0 ? word : letter);
	say_options(is_run);
	return false;
}

void options_no_file(const char *trace)
{
	const char *why = errno == ENOENT ? "no such file" : strerror(errno);

	if (strpbrk(trace, "./"))
		fprintf(stderr, "coviz: %s: %s; coviz record makes one\n", trace, why);
	else
		fprintf(stderr, "coviz: %s: %s; commands are record, run, help\n", trace, why);
}

bool program_is_there(const char *program)
{
	const char *path = getenv("PATH");
	char file[4096];

	if (strchr(program, '/') || !path)
		return access(program, X_OK) == 0;
	for (; *path; path += strcspn(path, ":"), path += *path == ':') {
		int n = (int)strcspn(path, ":");
		snprintf(file, sizeof(file), "%.*s/%s", n ? n : 1, n ? path : ".", program);
		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}

static bool check(struct options *o, bool is_run)
{
	const char *what = NULL;

	if (is_run && !o->record.argv && !o->record.pid)
		what = "run what? coviz run -- PROGRAM ARGS, or -p PID";
	else if (!is_run && !o->trace)
		what = "which recording? coviz T.cot; coviz record makes one, coviz --help tells more";
	else if (o->record.mode == RECORD_FROM_TO && !o->record.from)
		what = "--to Y needs --from X";
	if (what)
		fprintf(stderr, "coviz: %s\n", what);
	return !what;
}

bool options_parse(struct options *o, int argc, char **argv, bool is_run)
{
	int option;

	*o = (struct options){ 0 };
	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, is_run ? "+:hp:o:" : ":h", names, NULL)) != -1) {
		if (option == '?' || option == ':')
			return complain(option, argv, is_run);
		if (option == OPT_HELP || option == OPT_VERSION || option == 'h') {
			o->wants_help = option != OPT_VERSION;
			o->wants_version = option == OPT_VERSION;
			return true;
		}
		if (!is_run && option >= OPT_SWITCH) {
			fprintf(stderr, "coviz: %s is for coviz run and coviz record\n", argv[optind - 1]);
			return false;
		}
		if (!take(o, option, optarg))
			return false;
	}
	if (is_run && optind < argc)
		o->record.argv = argv + optind;
	else if (optind < argc)
		o->trace = argv[optind++];
	if (!is_run && optind < argc && access(o->trace, R_OK) != 0) {
		options_no_file(o->trace);
		return false;
	}
	if (!is_run && optind < argc) {
		fprintf(stderr, "coviz: one recording at a time: \"%s\" is too much\n", argv[optind]);
		return false;
	}
	return check(o, is_run);
}
