/* SPDX-License-Identifier: MIT */
/*
 * Lesson 5: waiting for time.
 *
 * Links with the layers of lessons 1 to 5. In parts 1 to 3 the clock is the demo's
 * own: time passes only when the loop has nothing else to do, so the demo is exact
 * and takes no time. Part 4 measures with the real one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "costep.h"

enum { MS = 1000 * 1000 };

static struct co *start(const char *name, co_fn *fn, void *arg)
{
	struct co *co;
	if (co_create(&co, NULL, fn, arg) != 0) {
		perror("co_create");
		exit(1);
	}
	co_set_name(co, name);
	co_resume(co);
	return co;
}

/* --- a clock of our own ------------------------------------------------------------- */

static int64_t now;

static int64_t tell(void)
{
	return now;
}

static void jump(int64_t at_ns)
{
	now = at_ns;
}

static const struct co_clock our_clock = { .now_ns = tell, .sleep_until = jump };

static double now_ms(void)
{
	return (double)co_now_ns() / MS;
}

/* --- 1. three sleepers ---------------------------------------------------------------- */

static void *sleep_twice(void *ms)
{
	for (int i = 0; i < 2; i++) {
		co_sleep_ms(*(int *)ms);
		printf("   %5.1f ms: %s has slept %d ms\n", now_ms(), co_name(co_self()), *(int *)ms);
	}
	return NULL;
}

static void show_order(void)
{
	int ms[] = { 30, 10, 20 };

	printf("1. A sleeps 30 ms, B 10 ms, C 20 ms, each twice\n");
	struct co *a = start("A", sleep_twice, &ms[0]);
	struct co *b = start("B", sleep_twice, &ms[1]);
	struct co *c = start("C", sleep_twice, &ms[2]);
	printf("   main: all three are %s; runs the loop\n", co_state_name(co_status(a)));
	co_eventloop(NULL, NULL, NULL);
	printf("   main: the loop is back, it slept %d times\n", (int)co_loop_stats().sleeps);
	co_release(a);
	co_release(b);
	co_release(c);
}

/* --- 2. somebody works -------------------------------------------------------------------- */

static void *tick(void *arg)
{
	co_sleep_ms(10);
	printf("   %5.1f ms: the ticker, who asked for 10 ms\n", now_ms());
	return arg;
}

static void *work(void *arg)
{
	co_sleep_ms(5);
	printf("   %5.1f ms: the worker begins to compute\n", now_ms());
	now += 500 * MS; /* that is how long it takes */
	printf("   %5.1f ms: the worker is ready\n", now_ms());
	return arg;
}

static void show_work(void)
{
	now = 0;
	printf("2. a ticker wants to wake at 10 ms; at 5 ms a worker begins to compute for 500\n");
	struct co *ticker = start("ticker", tick, NULL);
	struct co *worker = start("worker", work, NULL);
	co_eventloop(NULL, NULL, NULL);
	co_release(ticker);
	co_release(worker);
}

/* --- 3. far away ------------------------------------------------------------------------------ */

static void *sleep_long(void *ms)
{
	co_sleep_ms(*(int64_t *)ms);
	printf("   %s: awake after %.0f days\n", co_name(co_self()), now_ms() / 1000 / 86400);
	return NULL;
}

static void show_long(void)
{
	int64_t year_ms = 365LL * 86400 * 1000, forever_ms = INT64_MAX;

	now = 0;
	printf("3. one sleeps a year, one for ever; a third is released in its sleep\n");
	struct co *year = start("year", sleep_long, &year_ms);
	struct co *forever = start("forever", sleep_long, &forever_ms);
	struct co *third = start("third", sleep_long, &year_ms);
	co_release(third);
	co_eventloop(NULL, NULL, NULL);
	printf("   main: the loop is back; forever is %s\n", co_state_name(co_status(forever)));
	co_release(year);
	co_release(forever);
}

/* --- 4. three kinds of timers, measured ----------------------------------------------------------- */

enum {
	SLEEPERS = 50,
	SLEEPS = 20, /* of each */
	IDLE_MS = 300,
};

/* What one kind has shown. */
struct result {
	double earliest_ms, median_ms; /* late by */
	double idle_sleeps, calls_per_sleep;
};

static double late_ms[SLEEPERS * SLEEPS];
static int n_late;

static void *sleep_and_measure(void *seed)
{
	unsigned r = *(unsigned *)seed;

	for (int i = 0; i < SLEEPS; i++) {
		r = r * 1103515245 + 12345;
		int64_t ns = 100 * 1000 + r / 65536 % 3000 * 1000; /* 0.1 to 3.1 ms */
		int64_t begin = co_now_ns();
		co_sleep_ns(ns);
		late_ms[n_late++] = (double)(co_now_ns() - begin - ns) / MS;
	}
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static struct result measure(void)
{
	static unsigned seeds[SLEEPERS];
	struct result result;

	for (unsigned i = 0; i < SLEEPERS; i++) {
		seeds[i] = i;
		start("sleeper", sleep_and_measure, &seeds[i]);
	}
	co_eventloop(NULL, NULL, NULL);
	qsort(late_ms, (size_t)n_late, sizeof(late_ms[0]), by_size);
	result.earliest_ms = late_ms[0];
	result.median_ms = late_ms[n_late / 2];

	/* Now nobody does anything for a while. */
	struct co_loop_stats before = co_loop_stats();
	co_sleep_ms(IDLE_MS);
	struct co_loop_stats after = co_loop_stats();
	result.idle_sleeps = (double)(after.sleeps - before.sleeps);
	result.calls_per_sleep = (double)(after.syscalls - before.syscalls) / result.idle_sleeps;
	return result;
}

/* `demo measure`: the kind that COSTEP_TIMER names. */
static int print_measured(void)
{
	struct result r = measure();
	printf("late by %.3f ms at least, %.3f ms in the median; idle, it woke up %.0f times, %.1f system calls each\n",
	       r.earliest_ms, r.median_ms, r.idle_sleeps, r.calls_per_sleep);
	return 0;
}

/* Which kind a thread uses is decided at its first timer. So each kind is measured
 * in a program of its own. */
static struct result measure_kind(const char *kind)
{
	char command[100];
	struct result r;

	snprintf(command, sizeof(command), "COSTEP_TIMER=%s exec /proc/%d/exe measure", kind, (int)getpid());
	FILE *f = popen(command, "r");
	if (!f ||
	    fscanf(f, "late by %lf ms at least, %lf ms in the median; idle, it woke up %lf times, %lf", &r.earliest_ms,
		   &r.median_ms, &r.idle_sleeps, &r.calls_per_sleep) != 4) {
		fprintf(stderr, "measuring %s failed\n", kind);
		exit(1);
	}
	pclose(f);
	return r;
}

static void show_kinds(void)
{
	static const char *const kinds[] = { "heap", "wheel", "timerfd" };
	struct result r[3];

	printf("4. %d sleeps, then %d ms of nothing, with each kind of timers\n", SLEEPERS * SLEEPS, IDLE_MS);
	printf("             late by       in those %d ms    system calls\n", IDLE_MS);
	printf("             (median)      it woke up         for each\n");
	for (int i = 0; i < 3; i++) {
		r[i] = measure_kind(kinds[i]);
		printf("~  %-9s %5.2f ms     %4.0f times         %.0f\n", kinds[i], r[i].median_ms, r[i].idle_sleeps,
		       r[i].calls_per_sleep);
	}
	printf("   somebody woke too early: %s\n",
	       r[0].earliest_ms < 0 || r[1].earliest_ms < 0 || r[2].earliest_ms < 0 ? "yes" : "no");
	printf("   the wheel woke up more than 20 times as often as the heap: %s\n",
	       r[1].idle_sleeps > 20 * r[0].idle_sleeps ? "yes" : "no");
	printf("   the wheel was later than the heap: %s\n", r[1].median_ms > r[0].median_ms ? "yes" : "no");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && strcmp(argv[1], "measure") == 0)
		return print_measured();
	co_set_clock(&our_clock);
	show_order();
	show_work();
	show_long();
	co_set_clock(NULL);
	show_kinds();
	printf("main returns\n");
	return 0;
}
