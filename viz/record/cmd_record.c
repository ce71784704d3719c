/* SPDX-License-Identifier: MIT */
/* Options, a line of progress for long work, Ctrl-C, and the last line. */
#include "cmd_record.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "record.h"

enum {
	DEFAULT_SWITCHES = 1000,
	DEFAULT_STEPS = 10000000,
	DEFAULT_SWITCH_STEPS = 40000, /* less than two seconds */
	PIECE = 2000,            /* states between two looks at the clock */
	PROGRESS_AFTER_NS = 1000000000,
	PROGRESS_EVERY_NS = 200000000,
};

static const char help[] =
	"usage: coviz record [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
	"       coviz record [OPTIONS] -p PID\n"
	"\n"
	"Runs a program, or looks at a running one, and writes what it does into a trace:\n"
	"each instruction with all registers, and the stacks, contexts and coroutines.\n"
	"\n"
	"  --switch           what belongs to switches, and how things are in between (the default)\n"
	"  --all              every instruction, from main to the end\n"
	"  --from X --to Y    every instruction from X to Y, each time; without --to until X\n"
	"                     returns, without --from from main. A place is FUNCTION or FILE:LINE\n"
	"  -o FILE            the trace (default: the program's name and .cot)\n"
	"  -p PID             a program that runs already; afterwards it goes on as before (end coviz\n"
	"                     by Ctrl-C: kill -9 may take the program with it)\n"
	"  --thread N         which thread, in the order of their making (default 0: main)\n"
	"  --switches N       stop after N switches (default 1000 with --switch; 0: no limit)\n"
	"  --steps N          stop after N instructions (default 10000000, with --switch 40000;\n"
	"                     0: no limit)\n"
	"  -q, --quiet        show neither the program's output nor what was recorded\n"
	"  -h, --help         this text\n"
	"\n"
	"Ctrl-C ends the recording and keeps the trace. `coviz FILE` shows it.\n";

/* --- options -------------------------------------------------------------------------- */

struct command {
	struct record_options record;
	char *path; /* malloc'ed, if it was made up */
	bool has_switches, has_steps, wants_help;
};

__attribute__((format(printf, 1, 2))) static int usage(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "coviz record: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (coviz record --help lists the options)\n");
	return 2;
}

static int number(const char *option, const char *text, uint64_t max, uint64_t *value)
{
	char *rest;

	errno = 0;
	unsigned long long n = strtoull(text, &rest, 10);
	if (*text < '0' || *text > '9' || *rest || errno || n > max)
		return usage("%s: \"%s\" is not a number from 0 to %" PRIu64, option, text, max);
	*value = n;
	return 0;
}

enum { OPTION_ALL = 256, OPTION_SWITCH, OPTION_FROM, OPTION_TO, OPTION_THREAD, OPTION_STEPS, OPTION_SWITCHES };

static int take(struct command *c, int option)
{
	struct record_options *o = &c->record;
	uint64_t value = 0;
	int result = 0;

	switch (option) {
	case OPTION_ALL:
		o->mode = RECORD_ALL;
		break;
	case OPTION_SWITCH:
		o->mode = RECORD_SWITCH;
		break;
	case OPTION_FROM:
		o->from = optarg;
		break;
	case OPTION_TO:
		o->to = optarg;
		break;
	case OPTION_THREAD:
		result = number("--thread", optarg, 100000, &value);
		o->thread = (int)value;
		break;
	case OPTION_STEPS:
		c->has_steps = true;
		return number("--steps", optarg, UINT64_MAX / 2, &o->max_steps);
	case OPTION_SWITCHES:
		c->has_switches = true;
		return number("--switches", optarg, UINT64_MAX / 2, &o->max_switches);
	case 'o':
		o->path = optarg;
		break;
	case 'p':
		result = number("-p", optarg, INT_MAX, &value);
		o->pid = (pid_t)value;
		if (result == 0 && value == 0)
			result = usage("-p: there is no process 0");
		break;
	case 'q':
		o->is_quiet = true;
		break;
	case 'h':
		c->wants_help = true;
		break;
	}
	return result;
}

/* PROGRAM.cot in this directory. */
static int make_up_path(struct command *c)
{
	const struct record_options *o = &c->record;
	const char *name = o->argv ? o->argv[0] : NULL;
	const char *slash = name ? strrchr(name, '/') : NULL;

	if ((name ? asprintf(&c->path, "%s.cot", slash ? slash + 1 : name) : asprintf(&c->path, "%d.cot", (int)o->pid)) < 0)
		return usage("no memory");
	c->record.path = c->path;
	return 0;
}

static int check(struct command *c, int argc, char **argv)
{
	struct record_options *o = &c->record;

	if (optind < argc)
		o->argv = argv + optind;
	if (o->argv && o->pid)
		return usage("a program or -p PID, not both");
	if (!o->argv && !o->pid)
		return usage("which program?");
	if (o->argv && !o->argv[0][0])
		return usage("the program has an empty name");
	if (o->from || o->to)
		o->mode = RECORD_FROM_TO;
	if (!c->has_switches)
		o->max_switches = o->mode == RECORD_SWITCH ? DEFAULT_SWITCHES : 0;
	if (!c->has_steps)
		o->max_steps = o->mode == RECORD_SWITCH && !c->has_switches ? DEFAULT_SWITCH_STEPS : DEFAULT_STEPS;
	return o->path ? 0 : make_up_path(c);
}

static int parse(struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, OPTION_ALL },
		{ "switch", no_argument, NULL, OPTION_SWITCH },
		{ "from", required_argument, NULL, OPTION_FROM },
		{ "to", required_argument, NULL, OPTION_TO },
		{ "thread", required_argument, NULL, OPTION_THREAD },
		{ "steps", required_argument, NULL, OPTION_STEPS },
		{ "switches", required_argument, NULL, OPTION_SWITCHES },
		{ "output", required_argument, NULL, 'o' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};

	optind = 0;
	opterr = 0;
	/* "+": what follows the program's name is the program's. ":": tell missing arguments. */
	for (int option, at = 1; (option = getopt_long(argc, argv, "+:o:p:qh", options, NULL)) != -1; at = optind) {
		if (option == ':')
			return usage("%s needs a value", argv[optind - 1]);
		if (option == '?')
			return usage("unknown option %s", argv[at < argc ? at : argc - 1]);
		int result = take(c, option);
		if (result != 0)
			return result;
	}
	return c->wants_help ? 0 : check(c, argc, argv);
}

/* --- recording ------------------------------------------------------------------------ */

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	is_interrupted = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct {
	uint64_t began, shown;
	bool is_wanted, is_there;
} progress;

static void show_progress(const struct recorder *r)
{
	uint64_t now = now_ns();

	if (!progress.is_wanted || now - progress.began < PROGRESS_AFTER_NS || now - progress.shown < PROGRESS_EVERY_NS)
		return;
	progress.shown = now;
	progress.is_there = true;
	fprintf(stderr, "\r\033[Krecording: %" PRIu64 " steps, %" PRIu64 " switches (Ctrl-C ends it)", record_steps(r),
		record_switches(r));
}

static void hide_progress(void)
{
	if (progress.is_there)
		fprintf(stderr, "\r\033[K");
	progress.is_there = false;
}

static const char *bytes_text(uint64_t n, char *text, size_t len)
{
	if (n < 1024)
		snprintf(text, len, "%" PRIu64 " bytes", n);
	else if (n < 1024 * 1024)
		snprintf(text, len, "%.1f KiB", (double)n / 1024);
	else
		snprintf(text, len, "%.1f MiB", (double)n / (1024 * 1024));
	return text;
}

static void report(const struct command *c, const struct recorder *r, uint64_t began)
{
	uint64_t times, differences = record_differences(r, &times);
	char text[32];

	if (differences)
		fprintf(stderr, "coviz record: %" PRIu64 " words had changed unseen (they were put right later): please report "
			"this\n", differences);
	if (!c->record.is_quiet)
		fprintf(stderr, "%s: %" PRIu64 " steps, %" PRIu64 " switches, %s, %.2f s; %s\n", c->record.path, record_steps(r),
			record_switches(r), bytes_text(record_bytes(r), text, sizeof(text)),
			(double)(now_ns() - began) / 1e9, is_interrupted ? "interrupted" : record_end(r));
}

static int record(const struct command *c)
{
	struct record_options options = c->record;
	char *why;
	int more = 1;

	progress.began = now_ns();
	progress.is_wanted = isatty(2) && !options.is_quiet;
	options.before_output = hide_progress; /* else the program's line would go on behind it */
	struct recorder *r = record_start(&options, &why);

	while (r && more > 0 && !is_interrupted) {
		more = record_more(r, PIECE, &why);
		show_progress(r);
	}
	hide_progress();
	if (!r || more < 0) {
		fprintf(stderr, "coviz record: %s\n", why ? why : "no memory");
		free(why);
	}
	if (r) {
		report(c, r, progress.began);
		record_finish(r);
	}
	return r && more >= 0 ? 0 : 1;
}

static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_interrupt }, old;

	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) /* not with nohup */
			sigaction(signals[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN); /* nobody reads the program's output? It is recorded all the same */
}

int cmd_record(int argc, char **argv)
{
	struct command c = { 0 };
	int result = parse(&c, argc, argv);

	if (result == 0 && c.wants_help) {
		fputs(help, stdout);
	} else if (result == 0) {
		c.record.is_interrupted = &is_interrupted;
		catch_signals();
		result = record(&c);
	}
	free(c.path);
	return result;
}
