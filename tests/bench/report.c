/* SPDX-License-Identifier: MIT */
/* The table: for each figure all who can do it, with bars. */
#include "runner.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS = 62, MOST_BAR = 32, CUT = 4 }; /* bars are behind COLUMNS, and end at CUT times ours */

static int bar_len; /* of the longest */

/* As long as the terminal leaves room for, and ">>". */
static void choose_bar_len(FILE *f)
{
	int width = width_of(fileno(f));

	bar_len = width ? width - COLUMNS - 3 : 24;
	bar_len = bar_len > MOST_BAR ? MOST_BAR : bar_len < 0 ? 0 : bar_len;
}

int width_of(int fd)
{
	struct winsize size = { 0 };

	if (!isatty(fd))
		return 0;
	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Three digits that mean something. */
static const char *number(char buf[24], double v)
{
	double a = fabs(v);
	snprintf(buf, 24, a >= 100 || a == floor(a) ? "%.0f" : a >= 10 ? "%.1f" : a >= 0.1 ? "%.2f" : "%.2g", v);
	return buf;
}

static double longest(int job, int figure)
{
	double most = 0, ours = spread_of(job, figure, OURS).median;

	for (int p = 0; p < n_contenders; p++) {
		double v = spread_of(job, figure, p).median;
		if (v > most)
			most = v;
	}
	return ours > 0 && most > CUT * ours ? CUT * ours : most;
}

static const char *bar(char buf[MOST_BAR + 3], double v, double most)
{
	int len = most > 0 && v > 0 ? (int)(v / most * bar_len + 0.5) : 0;

	snprintf(buf, MOST_BAR + 3, "%.*s%s", len > bar_len ? bar_len : len, "################################",
		 len > bar_len && bar_len > 0 ? ">>" : "");
	return buf;
}

static void print_line(FILE *f, int job, int figure, int p, double most)
{
	struct spread s = spread_of(job, figure, p), ratio = ratio_to(job, figure, p);
	char median[24], least[24], highest[24], range[64] = "", against[64] = "", bars[MOST_BAR + 3], line[256];

	if (s.n == 0) {
		if (why_not[job][p][0] && figure == 0)
			fprintf(f, "  %-10s %s\n", contenders[p].name, why_not[job][p]);
		return;
	}
	if (s.n > 1)
		snprintf(range, sizeof(range), "(%s .. %s)", number(least, s.least), number(highest, s.most));
	if (p != OURS && ratio.n > 1)
		snprintf(against, sizeof(against), "x%.2f (%.2f .. %.2f)", ratio.median, ratio.least, ratio.most);
	else if (p != OURS && ratio.n == 1)
		snprintf(against, sizeof(against), "x%.2f", ratio.median);
	int len = snprintf(line, sizeof(line), "  %-10s %8s %-17s %-21s %s", contenders[p].name, number(median, s.median), range,
			   against, bar(bars, s.median, most));
	while (len > 0 && line[len - 1] == ' ')
		len--;
	fprintf(f, "%.*s\n", len, line);
}

static void print_figure(FILE *f, int job, int figure)
{
	const struct figure *fig = &jobs[job].figures[figure];
	double most = longest(job, figure);

	fprintf(f, "\n%s: %s%s%s%s\n", fig->name, fig->text, fig->unit[0] ? ", " : "", fig->unit,
		fig->more_is_better ? " (more is better)" : "");
	for (int p = 0; p < n_contenders; p++)
		print_line(f, job, figure, p, most);
}

static void print_targets(FILE *f)
{
	int count[3] = { 0 };

	fputs("\ntargets (medians; x: ours / theirs, +: ours - theirs)\n", f);
	for (int i = 0; i < n_targets; i++) {
		count[targets[i].verdict]++;
		if (targets[i].verdict != NOT_MEASURED) /* a digit more: 1.904 is more than 1.9 */
			fprintf(f, "  %-7s %-46s %.4g\n", verdict_name(targets[i].verdict), targets[i].text, targets[i].value);
	}
	fprintf(f, "%d met, %d missed, %d not measured\n", count[MET], count[MISSED], count[NOT_MEASURED]);
}

static void print_left_out(FILE *f)
{
	enum { A_LINE = 3 };
	int n = 0;

	for (int j = 0; j < n_jobs; j++) {
		if (!left_out[j])
			continue;
		if (n == 0)
			fputs("QUICK leaves out (ONLY=name measures them all the same):", f);
		fprintf(f, "%s%s", n % A_LINE == 0 ? "\n  " : ", ", jobs[j].figures[0].name);
		n++;
	}
	if (n > 0)
		putc('\n', f);
}

/* Who is who, and how a line is read. */
static void print_head(FILE *f, const struct options *o)
{
	fprintf(f, "built with %s\non %s\n", o->built, machine());
	if (n_processors == 1)
		fputs("one processor may be used: an echo server shares it with its client\n", f);
	putc('\n', f);
	for (int p = 0; p < n_contenders; p++)
		if (!contenders[p].missing[0])
			fprintf(f, "  %-10s %s\n", contenders[p].name, contenders[p].what);
	fprintf(f, "\nA line: who, the median of the rounds (least .. most); x: costep divided by it,\n"
		   "round by round, its median (least .. most). Bars end (>>) at %d times costep.\n", CUT);
}

void print_table(FILE *f, const struct options *o)
{
	choose_bar_len(f);
	print_head(f, o);
	for (int j = 0; j < n_jobs; j++)
		for (int i = 0; i < n_figures(&jobs[j]); i++) {
			bool has_failed = false;
			for (int p = 0; p < n_contenders && i == 0; p++)
				has_failed |= why_not[j][p][0] != '\0';
			if (was_measured(j, i) || has_failed)
				print_figure(f, j, i);
		}
	print_targets(f);
	print_left_out(f);
	for (int p = 0; p < n_contenders; p++)
		if (contenders[p].missing[0])
			fprintf(f, "skipped: %s (%s): %s is missing; 'make deps bench' installs it\n", contenders[p].name,
				contenders[p].what, contenders[p].missing);
}
