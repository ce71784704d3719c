/* SPDX-License-Identifier: MIT */
/*
 * bench_viz — how long coviz takes with a long trace.
 *
 *     bench_viz [STATES]     default 1000000
 *     bench_viz FILE.cot     a recorded one
 *
 * The made one is that of viz_fake.h, over the code of this program, so that there are
 * names and lines to look up. Times are the processor's, of this process alone: what else
 * runs on the machine does not count, nor does a disk. No test: machines differ.
 */
#include <link.h>
#include <time.h>

#include "app.h"
#include "viz_fake.h"

static char made[] = "/tmp/bench_viz.XXXXXX";
static const char *path = made;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* --- the trace ------------------------------------------------------------------------------- */

/* Map the code of this program where the recorded one has its own. */
static int add_code(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct trace_map map = { .lo = FAKE_CODE, .path = (char *)"/proc/self/exe" };
	char exe[4096];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	(void)size;
	if (len < 0)
		return 1;
	exe[len] = 0;
	map.path = exe;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		map.offset = p->p_offset & ~(uint64_t)4095;
		map.hi = FAKE_CODE + ((p->p_filesz + (p->p_offset & 4095) + 4095) & ~(uint64_t)4095);
		CHECK_EQ(trace_add_map(arg, &map), 0);
		return 1;
	}
	return 1; /* the first is this program */
}

static void write_trace(uint64_t n_states)
{
	struct fake f;

	fake_begin(&f, path, 5);
	dl_iterate_phdr(add_code, f.w);
	for (unsigned i = 1; trace_written_steps(f.w) + 120 < n_states; i++) {
		fake_work(&f, 40 + rng_below(&f.rng, 40));
		if (rng_below(&f.rng, 3) == 0) /* somewhere else in the program */
			f.regs.r[REG_RIP] = FAKE_CODE + 0x1000 + rng_below(&f.rng, 0x20000);
		f.forgets_rbx = i % 1000 == 0;
		fake_swap(&f, f.current ? FAKE_MAIN : 1 + (int)(i / 2 % 2));
	}
	fake_work(&f, (unsigned)(n_states - 1 - trace_written_steps(f.w)));
	fake_end(&f);
}

/* --- times -------------------------------------------------------------------------------------- */

enum { MAX_TIMES = 2000 };
static double times[MAX_TIMES];

static int compare_times(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *what, unsigned n)
{
	qsort(times, n, sizeof(times[0]), compare_times);
	printf("%-44s median %8.3f ms   worst %8.3f ms   (%u times)\n", what, times[n / 2], times[n - 1], n);
}

/* Run it @n times; `i` counts. */
#define TIME(what, n, before, ...) \
	do { \
		for (unsigned i = 0; i < (n); i++) { \
			before; \
			double began = now_ms(); \
			__VA_ARGS__; \
			times[i] = now_ms() - began; \
		} \
		report(what, n); \
	} while (0)

static void time_trace(struct rng *r)
{
	char *why = NULL;
	struct trace *t = NULL;
	struct trace_state s = { 0 };

	TIME("open the trace", 20, trace_free(t), t = trace_open(path, &why); CHECK(t));
	uint64_t last = trace_last(t), at = 0;
	TIME("seek to any state", 2000, at = rng_next(r) % (last + 1), CHECK_EQ(trace_seek(t, &s, at), 0));
	TIME("one state back", 2000, if (i % 200 == 0 || at < 1000) at = rng_next(r) % (last - 1000) + 1000,
	     CHECK_EQ(trace_seek(t, &s, --at), 0));
	TIME("one state on", 2000, if (i == 0) CHECK_EQ(trace_seek(t, &s, at = last / 2), 0),
	     CHECK_EQ(trace_seek(t, &s, ++at), 0));
	trace_state_free(&s);
	trace_free(t);
}

static void time_model(struct rng *r)
{
	char *why = NULL;
	struct model *m = NULL;
	struct app app;
	struct grid grid = { 0 };
	uint64_t at = 0, last;

	TIME("open the model (start)", 5, model_free(m), m = model_open(path, &why); CHECK(m));
	last = m->last;
	TIME("start to the first screen", 1, model_free(m),
	     m = model_open(path, &why); app_init(&app, m); CHECK_EQ(grid_init(&grid, 160, 48), 0); app_draw(&app, &grid));
	TIME("model: seek to any state", 500, at = rng_next(r) % (last + 1), CHECK_EQ(model_seek(m, at), 0));
	TIME("redraw 160x48, after a seek", 500, CHECK_EQ(model_seek(m, rng_next(r) % (last + 1)), 0), app_draw(&app, &grid));
	TIME("redraw 160x48, the same state", 500, , app_draw(&app, &grid));
	TIME("last change of a word: there is none", 5, , model_word_change(m, last, 0xdead000, -1));
	TIME("next change of a register: there is none", 5, , model_reg_change(m, 0, REG_X87CW, 1));
	TIME("next line", 500, at = rng_next(r) % (last + 1), model_next_line(m, at, 1));
	TIME("line before", 500, at = rng_next(r) % (last + 1), model_next_line(m, at, -1));
	TIME("next line, over calls", 500, at = rng_next(r) % (last + 1), model_next_over(m, at, 1));
	TIME("next call", 500, at = rng_next(r) % (last + 1), model_next_call(m, at, 1));
	TIME("find a function: there is none", 5, , model_find_function(m, last, "main", -1));
	grid_free(&grid);
	app_free(&app);
	model_free(m);
}

int main(int argc, char **argv)
{
	bool is_file = argc > 1 && strchr("0123456789", argv[1][0]) == NULL;
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000;
	struct rng r = { 12345 };
	double began = now_ms();
	char *why = NULL;

	if (is_file) {
		path = argv[1];
	} else {
		int fd = mkstemp(made);
		CHECK(fd >= 0 && n >= 2000);
		close(fd);
		write_trace(n);
	}
	struct trace *t = trace_open(path, &why);
	FILE *f = fopen(path, "rb");
	if (!t)
		fprintf(stderr, "%s\n", why);
	CHECK(t && f && fseek(f, 0, SEEK_END) == 0);
	n = trace_last(t) + 1;
	printf("%llu states: %ld bytes, %.1f each", (unsigned long long)n, ftell(f), (double)ftell(f) / (double)n);
	if (!is_file)
		printf("; written in %.0f ms", now_ms() - began);
	printf("\n");
	fclose(f);
	trace_free(t);
	if (n >= 2000)
		time_trace(&r);
	time_model(&r);
	if (!is_file)
		unlink(path);
	return 0;
}
