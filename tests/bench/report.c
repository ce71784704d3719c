/* SPDX-License-Identifier: MIT */
/* The table: for each figure all who can do it, with bars. */
#include "runner.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR = 24, CUT = 8 }; /* bars end at CUT times ours */

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
	snprintf(buf, 24, a >= 100 || a == floor(a) ? "%.0f" : a >= 10 ? "%.1f" : "%.2f", v);
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

static void print_bar(FILE *f, double v, double most)
{
	int len = most > 0 && v > 0 ? (int)(v / most * BAR + 0.5) : 0;

	for (int i = 0; i < BAR && i < len; i++)
		putc('#', f);
	if (len > BAR)
		fputs(">>", f);
}

static void print_line(FILE *f, int job, int figure, int p, double most)
{
	struct spread s = spread_of(job, figure, p), ratio = ratio_to(job, figure, p);
	char median[24], least[24], highest[24], range[64], against[64] = "";

	if (s.n == 0) {
		if (why_not[job][p][0] && figure == 0)
			fprintf(f, "  %-11s %s\n", contenders[p].name, why_not[job][p]);
		return;
	}
	snprintf(range, sizeof(range), "(%s .. %s)", number(least, s.least), number(highest, s.most));
	if (p != OURS && ratio.n > 0)
		snprintf(against, sizeof(against), "x%.2f (%.2f .. %.2f)", ratio.median, ratio.least, ratio.most);
	fprintf(f, "  %-11s %9s %-20s %-24s ", contenders[p].name, number(median, s.median), s.n > 1 ? range : "", against);
	print_bar(f, s.median, most);
	putc('\n', f);
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
		char value[24];
		count[targets[i].verdict]++;
		if (targets[i].verdict != NOT_MEASURED)
			fprintf(f, "  %-7s %-40s %s\n", verdict_name(targets[i].verdict), targets[i].text, number(value, targets[i].value));
	}
	fprintf(f, "%d met, %d missed, %d not measured\n", count[MET], count[MISSED], count[NOT_MEASURED]);
}

static void print_left_out(FILE *f)
{
	const char *before = "QUICK leaves out (ONLY=name measures them all the same): ";

	for (int j = 0; j < n_jobs; j++) {
		if (!left_out[j])
			continue;
		fprintf(f, "%s%s", before, jobs[j].figures[0].name);
		before = ", ";
	}
	if (before[0] == ',')
		fputc('\n', f);
}

void print_table(FILE *f, const struct options *o)
{
	fprintf(f, "built with %s; medians (least .. most), then costep / peer; bars end at %d times costep\n", o->built, CUT);
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
