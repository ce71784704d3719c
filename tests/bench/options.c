/* SPDX-License-Identifier: MIT */
/* What is asked for. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

enum listed { NOT_LISTED, ITS_GROUP, BY_ITS_NAME };

/* Is @name one of the list's words, or of the group that one of them names? */
static enum listed is_listed(const char *list, const char *name)
{
	enum listed found = NOT_LISTED;

	for (const char *word = list; *word;) {
		size_t len = strcspn(word, ",");
		if (len > 0 && strncmp(word, name, len) == 0 && name[len] == '\0')
			return BY_ITS_NAME;
		if (len > 0 && strncmp(word, name, len) == 0 && name[len] == '.')
			found = ITS_GROUP;
		word += len + (word[len] == ',');
	}
	return found;
}

bool left_out[MAX_JOBS];

bool is_wanted(const struct job *job, const struct options *o)
{
	enum listed most = o->only ? NOT_LISTED : ITS_GROUP;

	for (int i = 0; o->only && i < n_figures(job); i++) {
		enum listed l = is_listed(o->only, job->figures[i].name);
		most = l > most ? l : most;
	}
	left_out[job - jobs] = o->is_quick && job->is_long && most == ITS_GROUP;
	return most != NOT_LISTED && !left_out[job - jobs];
}

static void list_groups(FILE *f)
{
	const char *last = "";

	for (int i = 0; i < n_jobs; i++) {
		const char *name = jobs[i].figures[0].name;
		size_t len = strcspn(name, ".");
		if (strncmp(last, name, len) != 0 || last[len] != '.')
			fprintf(f, "%s%.*s", *last ? ", " : "", (int)len, name);
		last = name;
	}
	fputc('\n', f);
}

/* Every word of the list must mean something. */
static void check_only(const char *list)
{
	for (const char *word = list; *word;) {
		char one[64];
		size_t len = strcspn(word, ",");
		int found = 0;
		snprintf(one, sizeof(one), "%.*s", (int)len, word);
		for (int j = 0; j < n_jobs; j++)
			for (int i = 0; i < n_figures(&jobs[j]); i++)
				found += is_listed(one, jobs[j].figures[i].name) != NOT_LISTED;
		if (!found) {
			fprintf(stderr, "bench: ONLY=%s: there is no \"%s\". Groups (or one figure, such as roundtrip.3): ", list, one);
			list_groups(stderr);
			exit(2);
		}
		word += len + (word[len] == ',');
	}
}

struct options options_of(int argc, char **argv)
{
	enum { PEERS = 256, TARGETS, ONLY, QUICK, ROUNDS, JSON, SVG, BUILT, LIST };
	static const struct option known[] = {
		{ "peers", 1, NULL, PEERS },	 { "targets", 1, NULL, TARGETS }, { "only", 1, NULL, ONLY },
		{ "quick", 0, NULL, QUICK },	 { "rounds", 1, NULL, ROUNDS },	  { "json", 1, NULL, JSON },
		{ "svg", 1, NULL, SVG },	 { "built", 1, NULL, BUILT },	  { "list", 0, NULL, LIST },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { .built = "unknown flags" };
	char rest;

	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		switch (c) {
		case PEERS: o.peers = optarg; break;
		case TARGETS: o.targets = optarg; break;
		case ONLY: o.only = optarg; break;
		case QUICK: o.is_quick = true; break;
		case ROUNDS:
			if (sscanf(optarg, "%d%c", &o.rounds, &rest) != 1 || o.rounds < 1 || o.rounds > MAX_ROUNDS)
				die("ROUNDS=%s: must be 1 to %d", optarg, MAX_ROUNDS);
			break;
		case JSON: o.json = optarg; break;
		case SVG: o.svg = optarg; break;
		case BUILT: o.built = optarg; break;
		case LIST: list_groups(stdout); exit(0);
		default: exit(2);
		}
	}
	if (optind < argc || !o.peers || !o.targets)
		die("usage: bench --peers DIR --targets FILE [--only LIST] [--quick] [--rounds N] [--json FILE|1] [--svg FILE]");
	if (o.only)
		check_only(o.only);
	o.others_rounds = o.rounds ? o.rounds : o.is_quick ? 1 : 9;
	if (!o.rounds)
		o.rounds = o.is_quick ? 3 : 9;
	o.ms = o.is_quick ? 15 : 80;
	return o;
}
