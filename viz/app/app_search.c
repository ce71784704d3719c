/* SPDX-License-Identifier: MIT */
/*
 * Search: a word is looked for in three places at once, and the nearest match is gone to:
 * a function that runs, a coroutine that gets its turn, a piece of the program's output.
 */
#include "app.h"

#include <stdio.h>
#include <string.h>

struct match {
	uint64_t t; /* the state where we are: none */
	const char *what;
};

static bool is_nearer(uint64_t t, const struct match *best, uint64_t from, int direction)
{
	if (direction > 0)
		return t > from && (best->t == from || t < best->t);
	return t < from && (best->t == from || t > best->t);
}

static void search_outputs(const struct app *app, uint64_t from, int direction, struct match *best)
{
	size_t n, len = strlen(app->ui.search);
	const struct trace_output *out = trace_outputs(app->model->trace, &n);

	for (size_t i = 0; i < n; i++)
		if (is_nearer(out[i].step, best, from, direction) && memmem(out[i].bytes, out[i].len, app->ui.search, len))
			*best = (struct match){ out[i].step, "output" };
}

/* An execution whose name begins with the word, and gets the CPU. */
static void search_execs(const struct app *app, uint64_t from, int direction, struct match *best)
{
	size_t n, n_execs, len = strlen(app->ui.search);
	const struct trace_event *e = trace_events(app->model->trace, &n);
	const struct trace_exec *execs = trace_execs(app->model->trace, &n_execs);

	for (size_t i = 0; i < n; i++)
		if (e[i].kind == EVENT_RSP && e[i].who < n_execs && is_nearer(e[i].step, best, from, direction) &&
		    strncmp(execs[e[i].who].name, app->ui.search, len) == 0)
			*best = (struct match){ e[i].step, "coroutine" };
}

/* Where a function of that name is entered. */
static void search_functions(struct app *app, uint64_t from, int direction, struct match *best)
{
	uint64_t t = model_find_function(app->model, from, app->ui.search, direction);

	if (is_nearer(t, best, from, direction))
		*best = (struct match){ t, "function" };
}

void app_search(struct app *app, int direction)
{
	uint64_t from = app->model->t;
	struct match best = { from, NULL };

	if (!app->ui.search[0]) {
		app_fail(app, "nothing to search for yet; / asks for it");
		return;
	}
	search_outputs(app, from, direction, &best);
	search_execs(app, from, direction, &best);
	search_functions(app, from, direction, &best);
	if (best.what && app_go(app, best.t)) {
		app_tell(app, "%s \"%s\"; Enter goes on", best.what, app->ui.search);
	} else if (direction > 0 && app->ui.is_live) {
		app->wish = WISH_MORE;
		app->again = CMD_AGAIN;
	} else {
		app_fail(app, "\"%s\": no function, coroutine or output of that name %s this", app->ui.search,
			 direction > 0 ? "after" : "before");
	}
}
