/* SPDX-License-Identifier: MIT */
/* A picture of some figures, for texts. */
#include "runner.h"

#include <math.h>
#include <string.h>

enum { NAMES = 140, BARS = 380, WIDTH = 640, ROW = 16, HEAD = 24, TITLE = 40, CUT = 12 };

static const char *const shown[] = {
	"switch.equal", "switch.differ", "roundtrip.0", "roundtrip.6", "roundtrip.many", "create.1",
	"memory.private.10000", "timers.10000", "io.rw", "echo.100.cpu",
};

static int rows_of(int job, int figure)
{
	int n = 0;

	for (int p = 0; p < n_contenders; p++)
		n += spread_of(job, figure, p).n > 0;
	return n;
}

/* In a text nobody knows that st is State Threads: @what, to its colon. */
static void draw_name(FILE *f, int y, int p)
{
	const char *name = p == OURS ? contenders[p].name : contenders[p].what;

	fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.*s</text>", NAMES - 6, y, (int)strcspn(name, ":"), name);
}

/* Returns where the next one begins. */
static int draw_figure(FILE *f, int y, int job, int figure)
{
	const struct figure *fig = &jobs[job].figures[figure];
	double ours = spread_of(job, figure, OURS).median, most = 0;

	for (int p = 0; p < n_contenders; p++)
		most = fmax(most, spread_of(job, figure, p).median);
	if (ours > 0 && most > CUT * ours)
		most = CUT * ours;
	fprintf(f, "<text class=\"head\" x=\"8\" y=\"%d\">%s, %s</text>\n", y + 15, fig->text, fig->unit);
	y += HEAD;
	for (int p = 0; p < n_contenders; p++) {
		struct spread s = spread_of(job, figure, p);
		if (s.n == 0)
			continue;
		bool is_cut = s.median > most;
		double len = most > 0 ? (is_cut ? most : s.median) / most * BARS : 0;
		draw_name(f, y + 12, p);
		fprintf(f, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", p == OURS ? "ours" : "peer", NAMES,
			y + 2, len, ROW - 4);
		fprintf(f, "<text x=\"%.1f\" y=\"%d\">%s%.*f</text>\n", NAMES + len + 5, y + 12, is_cut ? "… " : "",
			s.median < 100 ? 1 : 0, s.median);
		y += ROW;
	}
	return y + 8;
}

void print_svg(FILE *f, const struct options *o)
{
	int height = TITLE, job, figure;

	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++)
		if (find_figure(shown[i], &job, &figure) && was_measured(job, figure))
			height += HEAD + ROW * rows_of(job, figure) + 8;
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n"
		"<style>text { font: 12px sans-serif; fill: #222 } .head { font-weight: bold } "
		".ours { fill: #1a7f37 } .peer { fill: #8c959f }</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
		"<text x=\"8\" y=\"15\">Less is better. Medians of %d rounds in one run, %s; bars end at %d times costep.</text>\n"
		"<text x=\"8\" y=\"31\">%s. No library: six registers swapped; raw epoll.</text>\n",
		WIDTH, height, WIDTH, height, o->rounds, o->built, CUT, machine());
	int y = TITLE;
	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++)
		if (find_figure(shown[i], &job, &figure) && was_measured(job, figure))
			y = draw_figure(f, y, job, figure);
	fputs("</svg>\n", f);
}
