/* SPDX-License-Identifier: MIT */
/*
 * The loop: draw, wait for a key or for the time of the next step, do it.
 *
 * Here is the only clock. Signals that mean "leave" set a flag, and the loop leaves in
 * order; the second one kills, and the keeper restores the terminal.
 */
#include "terminal.h"

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

static volatile sig_atomic_t left_by;

static void leave(int signal_number)
{
	left_by = signal_number;
}

/* Ends a wait for the program, so that a key can be seen. */
static void wake(int signal_number)
{
	(void)signal_number;
}

static void set_signals(void)
{
	static const int leaving[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction act = { .sa_handler = leave, .sa_flags = SA_RESETHAND };

	sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < sizeof(leaving) / sizeof(leaving[0]); i++)
		sigaction(leaving[i], &act, NULL);
	act = (struct sigaction){ .sa_handler = wake };
	sigaction(SIGALRM, &act, NULL);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* While the program is waited for: a tick that interrupts, a key that ends it. */
static void set_alarm(bool is_on)
{
	struct timeval tick = { 0, is_on ? 50000 : 0 };

	setitimer(ITIMER_REAL, &(struct itimerval){ tick, tick }, NULL);
}

static void draw(struct session *s)
{
	int w, h;

	screen_size(&w, &h);
	if ((w != s->grid.w || h != s->grid.h) && grid_init(&s->grid, w, h) != 0)
		return;
	s->palette = s->app.ui.is_big ? PALETTE_CONTRAST : screen_palette();
	session_draw(s);
	screen_paint(&s->grid, s->palette);
}

/* Asked each time that there is not yet enough; the first time nobody has waited. */
static bool is_enough(void *arg)
{
	static double since;
	struct session *s = arg;

	if (!s->app.is_waiting)
		since = now();
	s->app.is_waiting = true;
	if (now() - since > 0.2)
		draw(s);
	return left_by || screen_has_input();
}

/* Milliseconds until @at; -1: there is no such time. */
static int until(double at)
{
	double ms = (at - now()) * 1000;

	return at < 0 ? -1 : ms < 0 ? 0 : (int)ms + 1;
}

/* False: quit. */
static bool handle(struct session *s, const struct input *in)
{
	switch (in->what) {
	case INPUT_KEY:
		return session_key(s, in->key);
	case INPUT_MOUSE:
		app_mouse(&s->app, in->mouse);
		return session_serve(s);
	case INPUT_GONE:
		return false;
	default:
		return true;
	}
}

static bool tick(struct session *s, double *next)
{
	int ms = app_tick_ms(&s->app);

	if (ms < 0) {
		*next = -1;
		return true;
	}
	if (*next < 0)
		*next = now() + ms / 1000.0;
	if (now() < *next)
		return true;
	*next = now() + ms / 1000.0;
	app_update(&s->app, CMD_TICK, NULL);
	return session_serve(s);
}

int terminal_run(struct session *s, enum color color)
{
	const char *why = NULL;
	double start = now(), next_tick = -1;
	bool goes_on = true;

	set_signals();
	if (!screen_open(color, &why)) {
		fprintf(stderr, "coviz: %s\n", why);
		return 2;
	}
	s->is_enough = is_enough;
	s->arg = s;
	set_alarm(s->live != NULL);
	while (goes_on && !left_by) {
		s->seconds = now() - start;
		draw(s);
		struct input in = screen_wait(until(next_tick));
		while (goes_on && in.what != INPUT_NONE && in.what != INPUT_RESIZE) {
			goes_on = handle(s, &in);
			in = screen_wait(0); /* what was typed meanwhile, then one redraw */
		}
		goes_on = goes_on && tick(s, &next_tick);
	}
	set_alarm(false);
	screen_close();
	return left_by ? 128 + left_by : 0;
}
