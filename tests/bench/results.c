/* SPDX-License-Identifier: MIT */
/* Samples, and what they say together. */
#include "runner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double samples[MAX_JOBS][MAX_FIGURES][MAX_PEERS][MAX_ROUNDS];
char why_not[MAX_JOBS][MAX_PEERS][96];

void clear_samples(void)
{
	double *all = &samples[0][0][0][0];

	for (size_t i = 0; i < sizeof(samples) / sizeof(*all); i++)
		all[i] = NAN;
}

bool find_figure(const char *name, int *job, int *figure)
{
	for (*job = 0; *job < n_jobs; ++*job)
		for (*figure = 0; *figure < n_figures(&jobs[*job]); ++*figure)
			if (strcmp(jobs[*job].figures[*figure].name, name) == 0)
				return true;
	return false;
}

int find_contender(const char *name)
{
	for (int i = 0; i < n_contenders; i++)
		if (strcmp(contenders[i].name, name) == 0)
			return i;
	return -1;
}

bool was_measured(int job, int figure)
{
	for (int p = 0; p < n_contenders; p++)
		if (spread_of(job, figure, p).n > 0)
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Of those that are there. */
static struct spread spread(double v[MAX_ROUNDS])
{
	struct spread s = { 0 };

	for (int i = 0; i < MAX_ROUNDS; i++)
		if (!isnan(v[i]))
			v[s.n++] = v[i];
	if (s.n == 0)
		return s;
	qsort(v, (size_t)s.n, sizeof(*v), compare);
	s.least = v[0];
	s.most = v[s.n - 1];
	s.median = (v[(s.n - 1) / 2] + v[s.n / 2]) / 2;
	return s;
}

struct spread spread_of(int job, int figure, int p)
{
	double v[MAX_ROUNDS];

	memcpy(v, samples[job][figure][p], sizeof(v));
	return spread(v);
}

struct spread ratio_to(int job, int figure, int p)
{
	double v[MAX_ROUNDS];

	for (int i = 0; i < MAX_ROUNDS; i++) {
		double theirs = samples[job][figure][p][i];
		v[i] = theirs > 0 ? samples[job][figure][OURS][i] / theirs : NAN;
	}
	return spread(v);
}

struct spread excess_over(int job, int figure, int p)
{
	double v[MAX_ROUNDS];

	for (int i = 0; i < MAX_ROUNDS; i++)
		v[i] = samples[job][figure][OURS][i] - samples[job][figure][p][i];
	return spread(v);
}
