/* SPDX-License-Identifier: MIT */
/* The recorder writes, the model reads the same file: stepping back never asks the program. */
#include "live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct live {
	struct recorder *recorder;
	char *path;
	bool is_temporary;
	bool has_ended;
	char end[256];
};

/* A file of our own. -1: errno. */
static int temporary(struct live *l)
{
	const char *dir = getenv("TMPDIR");

	if (asprintf(&l->path, "%s/coviz-XXXXXX", dir && *dir ? dir : "/tmp") < 0) {
		l->path = NULL;
		return -1;
	}
	int fd = mkstemp(l->path);
	if (fd < 0)
		return -1;
	l->is_temporary = true;
	return close(fd);
}

void live_hide(struct live *l)
{
	if (l->is_temporary)
		unlink(l->path);
	l->is_temporary = false;
}

static void give_back(struct live *l)
{
	live_hide(l);
	free(l->path);
	free(l);
}

struct live *live_start(const struct record_options *options, char **why)
{
	struct record_options own = *options;
	struct live *l = calloc(1, sizeof(*l));

	if (!l || (options->path ? !(l->path = strdup(options->path)) : temporary(l) != 0)) {
		if (asprintf(why, "no file for the trace: %s; -o FILE or TMPDIR says where", strerror(errno)) < 0)
			*why = NULL;
		if (l)
			give_back(l);
		return NULL;
	}
	own.path = l->path;
	l->recorder = record_start(&own, why);
	if (!l->recorder) {
		give_back(l);
		return NULL;
	}
	return l;
}

const char *live_path(const struct live *l)
{
	return l->path;
}

const char *live_end(const struct live *l)
{
	return l->has_ended ? l->end : NULL;
}

bool live_more(struct live *l, struct model *m, uint64_t n)
{
	char *why = NULL;

	if (l->has_ended)
		return false;
	int result = record_more(l->recorder, n, &why);
	if (trace_refresh(m->trace) > 0)
		model_refresh(m);
	if (result > 0)
		return true;
	l->has_ended = true;
	snprintf(l->end, sizeof(l->end), "%s", result < 0 && why ? why : record_end(l->recorder));
	free(why);
	return false;
}

void live_rest(struct live *l)
{
	if (l)
		record_rest(l->recorder);
}

void live_finish(struct live *l)
{
	if (!l)
		return;
	record_finish(l->recorder);
	give_back(l);
}
