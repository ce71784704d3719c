/* SPDX-License-Identifier: MIT */
/*
 * Travelling asks the model for a state and goes there; forwards beyond the end of a live
 * trace it leaves a wish instead, and the same command again once there is more.
 */
#include "app.h"

#include <stddef.h>

/* Where @command leads from @t; @t itself: nowhere. */
static uint64_t destination(struct model *m, enum command command, uint64_t t)
{
	switch (command) {
	case CMD_STEP:        return t < m->last ? t + 1 : t;
	case CMD_STEP_BACK:   return t > 0 ? t - 1 : t;
	case CMD_LINE:        return model_next_line(m, t, +1);
	case CMD_LINE_BACK:   return model_next_line(m, t, -1);
	case CMD_OVER:        return model_next_over(m, t, +1);
	case CMD_OVER_BACK:   return model_next_over(m, t, -1);
	case CMD_CALL:        return model_next_call(m, t, +1);
	case CMD_CALL_BACK:   return model_next_call(m, t, -1);
	case CMD_SWITCH:      return model_next_swap(m, t, +1);
	case CMD_SWITCH_BACK: return model_next_swap(m, t, -1);
	case CMD_FIRST:       return 0;
	case CMD_LAST:        return m->last;
	default:              return t;
	}
}

static bool is_forward(enum command command)
{
	return command == CMD_STEP || command == CMD_LINE || command == CMD_OVER || command == CMD_CALL ||
	       command == CMD_SWITCH;
}

static const char *nothing_more(enum command command)
{
	switch (command) {
	case CMD_STEP:        return "this is the end of the trace";
	case CMD_STEP_BACK:   return "this is the beginning of the trace";
	case CMD_LINE: case CMD_OVER: return "no other source line after this; Right goes by instruction, ] by switch";
	case CMD_LINE_BACK: case CMD_OVER_BACK: return "no other source line before this";
	case CMD_CALL:        return "no call or return after this";
	case CMD_CALL_BACK:   return "no call or return before this";
	case CMD_SWITCH:      return "no switch after this";
	case CMD_SWITCH_BACK: return "no switch before this";
	default:              return NULL;
	}
}

static const char no_calls[] = "none is recorded: coviz record --all notes calls and returns";

static bool is_call(enum command command)
{
	return command == CMD_CALL || command == CMD_CALL_BACK;
}

static bool has_calls(const struct model *m)
{
	size_t n;
	const struct trace_event *all = trace_events(m->trace, &n);

	for (size_t i = 0; i < n; i++)
		if (all[i].kind == EVENT_CALL || all[i].kind == EVENT_RETURN)
			return true;
	return false;
}

void app_travel(struct app *app, enum command command)
{
	uint64_t t = app->model->t, to = destination(app->model, command, t);

	if (to != t) {
		app_go(app, to);
	} else if ((is_forward(command) || command == CMD_LAST) && app->ui.is_live) {
		app->wish = WISH_MORE;
		app->again = command;
	} else {
		const char *why = is_call(command) && !has_calls(app->model) ? no_calls : nothing_more(command);
		app->play = 0;
		if ((is_forward(command) || command == CMD_LAST) && app->live_end)
			app_fail(app, "the program has ended: %s", app->live_end);
		else if (why)
			app_fail(app, "%s", why);
	}
}

void app_tick(struct app *app)
{
	if (app->play)
		app_travel(app, app->play > 0 ? CMD_STEP : CMD_STEP_BACK);
}

/* There is more: show it, and go on until the program has ended. */
static void run_to_the_end(struct app *app)
{
	if (!app_go(app, app->model->last))
		return;
	if (app->ui.is_live) {
		app->wish = WISH_MORE;
		app->again = CMD_LAST;
	} else if (app->live_end) {
		app_tell(app, "the program has ended: %s", app->live_end);
	}
}

void app_again(struct app *app)
{
	enum command command = app->again;

	app->wish = WISH_NONE;
	app->again = CMD_NONE;
	if (command == CMD_AGAIN)
		app_search(app, +1);
	else if (command == CMD_PROMPT)
		app_words(app, app->input);
	else if (command == CMD_LAST)
		run_to_the_end(app);
	else if (command != CMD_NONE)
		app_travel(app, command);
}
