/* SPDX-License-Identifier: MIT */
/* Everything, with all samples, for other programs. */
#include "runner.h"

#include <math.h>

static void print_string(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', f);
		if ((unsigned char)*s >= ' ')
			putc(*s, f);
	}
	putc('"', f);
}

static void print_spread(FILE *f, const char *name, struct spread s)
{
	if (s.n == 0)
		fprintf(f, ", \"%s\": null", name);
	else
		fprintf(f, ", \"%s\": {\"median\": %.6g, \"min\": %.6g, \"max\": %.6g}", name, s.median, s.least, s.most);
}

static void print_peer(FILE *f, int job, int figure, int p)
{
	const char *comma = "";

	fputs("{\"peer\": ", f);
	print_string(f, contenders[p].name);
	print_spread(f, "value", spread_of(job, figure, p));
	print_spread(f, "costep_divided_by_it", ratio_to(job, figure, p));
	fputs(", \"samples\": [", f);
	for (int i = 0; i < MAX_ROUNDS; i++) {
		double v = samples[job][figure][p][i];
		if (isnan(v))
			continue;
		fprintf(f, "%s%.6g", comma, v);
		comma = ", ";
	}
	fputs("]}", f);
}

static void print_figure(FILE *f, int job, int figure)
{
	const struct figure *fig = &jobs[job].figures[figure];
	const char *comma = "";

	fputs("{\"name\": ", f);
	print_string(f, fig->name);
	fputs(", \"unit\": ", f);
	print_string(f, fig->unit);
	fputs(", \"text\": ", f);
	print_string(f, fig->text);
	fputs(", \"peers\": [", f);
	for (int p = 0; p < n_contenders; p++) {
		if (spread_of(job, figure, p).n == 0)
			continue;
		fprintf(f, "%s\n    ", comma);
		print_peer(f, job, figure, p);
		comma = ",";
	}
	fputs("]}", f);
}

static void print_targets(FILE *f)
{
	const char *comma = "";

	for (int i = 0; i < n_targets; i++) {
		fprintf(f, "%s\n  {\"target\": ", comma);
		print_string(f, targets[i].text);
		fprintf(f, ", \"verdict\": \"%s\"", verdict_name(targets[i].verdict));
		if (targets[i].verdict != NOT_MEASURED)
			fprintf(f, ", \"value\": %.6g", targets[i].value);
		fputs("}", f);
		comma = ",";
	}
}

static void print_failed(FILE *f)
{
	const char *comma = "";

	for (int j = 0; j < n_jobs; j++)
		for (int p = 0; p < n_contenders; p++) {
			if (!why_not[j][p][0])
				continue;
			fprintf(f, "%s\n  {\"name\": ", comma);
			print_string(f, jobs[j].figures[0].name);
			fputs(", \"peer\": ", f);
			print_string(f, contenders[p].name);
			fputs(", \"why\": ", f);
			print_string(f, why_not[j][p]);
			putc('}', f);
			comma = ",";
		}
}

static void print_missing(FILE *f)
{
	const char *comma = "";

	for (int p = 0; p < n_contenders; p++) {
		if (!contenders[p].missing[0])
			continue;
		fprintf(f, "%s{\"peer\": ", comma);
		print_string(f, contenders[p].name);
		fputs(", \"package\": ", f);
		print_string(f, contenders[p].missing);
		fputs("}", f);
		comma = ", ";
	}
}

void print_json(FILE *f, const struct options *o)
{
	const char *comma = "";

	fputs("{\"built\": ", f);
	print_string(f, o->built);
	fputs(", \"machine\": ", f);
	print_string(f, machine());
	fprintf(f, ", \"rounds\": %d, \"quick\": %s, \"interrupted\": %s, \"figures\": [", o->rounds,
		o->is_quick ? "true" : "false", is_interrupted ? "true" : "false");
	for (int j = 0; j < n_jobs; j++)
		for (int i = 0; i < n_figures(&jobs[j]); i++) {
			if (!was_measured(j, i))
				continue;
			fprintf(f, "%s\n  ", comma);
			print_figure(f, j, i);
			comma = ",";
		}
	fputs("],\n\"targets\": [", f);
	print_targets(f);
	fputs("],\n\"failed\": [", f);
	print_failed(f);
	fputs("],\n\"missing\": [", f);
	print_missing(f);
	fputs("]}\n", f);
}
