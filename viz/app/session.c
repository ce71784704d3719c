/* SPDX-License-Identifier: MIT */
/* The wishes of an app, granted. */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "export.h"

enum { FEW_STEPS = 32, MANY_STEPS = 4096 };

static void mark_switch(struct session *s)
{
	const struct model *m = s->app.model;
	char text[128];

	if (m->swap == s->marked)
		return;
	s->marked = m->swap;
	if (m->swap < 0 || (size_t)m->swap >= m->n_swaps)
		return;
	const struct exec *from = model_exec(m, m->swaps[m->swap].from), *to = model_exec(m, m->swaps[m->swap].to);
	snprintf(text, sizeof(text), "switch %td: %s → %s", m->swap + 1, from ? from->name : "?", to ? to->name : "?");
	cast_marker(s->cast, s->seconds, text);
}

void session_draw(struct session *s)
{
	app_draw(&s->app, &s->grid);
	if (!s->cast)
		return;
	mark_switch(s);
	cast_frame(s->cast, s->seconds, &s->grid, s->palette);
}

/* Let the program run on, not much further than needed, until the app has what it wants, it ends, or somebody has enough. */
static void get_more(struct session *s)
{
	struct app *app = &s->app;
	uint64_t n = app->again == CMD_STEP ? 1 : FEW_STEPS;

	for (; app->wish == WISH_MORE; n = n > 1 && n < MANY_STEPS ? 2 * n : n) {
		if (!s->live || (s->is_enough && s->is_enough(s->arg))) {
			app->wish = WISH_NONE;
			app_tell(app, "stopped waiting for the program");
			break;
		}
		bool has_more = live_more(s->live, app->model, n);
		app->ui.is_live = has_more;
		app->live_end = live_end(s->live);
		app_again(app);
	}
	app->is_waiting = false;
	live_rest(s->live);
}

static void export_screen(struct session *s)
{
	struct app *app = &s->app;
	char path[sizeof(app->input)];
	enum export_kind kind;

	snprintf(path, sizeof(path), "%s", app->input);
	if (!export_kind_named(path, &kind) || strcmp(path, "-") == 0 || !strchr(path, '.')) {
		app_fail(app, "%s: the name must end in .txt, .ansi, .svg or .dark.svg", path);
		return;
	}
	app->message[0] = 0;
	app_draw(app, &s->grid);
	if (export_to_file(path, &s->grid, kind, s->palette) != 0)
		app_fail(app, "%s: %s", path, strerror(errno));
	else
		app_tell(app, "written: %s", path);
}

bool session_serve(struct session *s)
{
	enum app_wish wish = s->app.wish;

	if (wish == WISH_QUIT)
		return false;
	if (wish == WISH_MORE)
		get_more(s);
	else if (wish == WISH_EXPORT)
		export_screen(s);
	s->app.wish = WISH_NONE;
	return true;
}

bool session_key(struct session *s, uint32_t key)
{
	app_key(&s->app, key);
	return session_serve(s);
}
