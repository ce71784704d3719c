/* SPDX-License-Identifier: MIT */
/*
 * Targets: a file of lines
 *
 *     FIGURE <= NUMBER                  ours, in the figure's unit
 *     FIGURE <= NUMBER x PEER           ours divided by the peer's, round by round
 *     FIGURE <= NUMBER + PEER           ours less the peer's, round by round
 *     FIGURE <= NUMBER x PEER:FIGURE    another figure of the peer's: medians
 *
 * and the same with >=. Medians decide.
 */
#include "runner.h"

#include <errno.h>
#include <string.h>

struct target targets[64];
int n_targets;

static struct rule {
	int job, figure, peer; /* peer -1: none is meant, or it is not here */
	int other_job, other_figure;
	bool has_peer, has_other, is_at_least;
	char relation; /* 'x' or '+'; 0: none */
	double number;
} rules[64];

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = { "not measured", "met", "missed" };
	return names[v];
}

static bool parse(const char *line, struct rule *r)
{
	char figure[64], sign[3], name[64] = "", *other;
	int n = sscanf(line, "%63s %2s %lf %c %63s", figure, sign, &r->number, &r->relation, name);

	if (n == 3)
		r->relation = 0;
	else if (n != 5 || (r->relation != 'x' && r->relation != '+'))
		return false;
	r->is_at_least = strcmp(sign, ">=") == 0;
	if ((!r->is_at_least && strcmp(sign, "<=") != 0) || !find_figure(figure, &r->job, &r->figure))
		return false;
	if ((other = strchr(name, ':')) != NULL) {
		*other++ = '\0';
		r->has_other = true;
		if (!find_figure(other, &r->other_job, &r->other_figure))
			return false;
	}
	r->has_peer = n == 5;
	r->peer = r->has_peer ? find_contender(name) : -1;
	return true;
}

void read_targets(const char *file)
{
	char line[sizeof(targets[0].text)];
	FILE *f = fopen(file, "r");

	if (!f)
		die("%s: %s", file, strerror(errno));
	for (int n = 1; fgets(line, sizeof(line), f); n++) {
		line[strcspn(line, "#\n")] = '\0';
		if (line[strspn(line, " \t")] == '\0')
			continue;
		if (n_targets == 64 || !parse(line, &rules[n_targets]))
			die("%s:%d: no target, or one too many: %s", file, n, line);
		snprintf(targets[n_targets++].text, sizeof(targets[0].text), "%s", line);
	}
	fclose(f);
}

static struct spread value_of(const struct rule *r)
{
	if (!r->has_peer)
		return spread_of(r->job, r->figure, OURS);
	if (r->peer < 0)
		return (struct spread){ 0 };
	if (r->has_other) {
		struct spread ours = spread_of(r->job, r->figure, OURS);
		struct spread theirs = spread_of(r->other_job, r->other_figure, r->peer);
		if (ours.n == 0 || theirs.n == 0)
			return (struct spread){ 0 };
		return (struct spread){ .n = 1, .median = ours.median / theirs.median };
	}
	return r->relation == 'x' ? ratio_to(r->job, r->figure, r->peer) : excess_over(r->job, r->figure, r->peer);
}

void judge_targets(void)
{
	for (int i = 0; i < n_targets; i++) {
		struct spread s = value_of(&rules[i]);
		bool is_met = rules[i].is_at_least ? s.median >= rules[i].number : s.median <= rules[i].number;
		targets[i].value = s.median;
		targets[i].verdict = s.n == 0 ? NOT_MEASURED : is_met ? MET : MISSED;
	}
}
