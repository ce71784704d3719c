/* SPDX-License-Identifier: MIT */
/*
 * What a reader looks for is shown: the ends of frames, what has changed, what registers
 * point to. Long runs of other words in between become one line, shorter ones only when
 * there is no room. So the work for one draw follows from the frames, not from the size of
 * a stack.
 */
#include "stack_lines.h"

#include <stdlib.h>

enum { FIRST_WORDS = 3, LAST_WORDS = 3 };

/* --- what is on it --------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The words of this stack that the last step changed. Those of a stack whose bytes are
 * out are in the buffer, and change there. */
static void find_changed(struct model *m, struct stack_picture *c, uint64_t lo)
{
	const struct co_info *info = c->exec->info;
	uint64_t base = 0; /* of the saved bytes; 0: on the stack itself */

	c->n_changed = 0;
	if (c->exec->is_out && info)
		base = info->save_buffer;
	for (size_t i = 0; i < m->state.n_before && c->n_changed < STACK_MAX_CHANGED; i++) {
		uint64_t addr = m->state.before[i].addr;

		if (base != 0) {
			if (addr < base || addr - base >= info->save_len)
				continue;
			addr = c->exec->hi - info->save_len + (addr - base);
		}
		if (addr >= lo && addr < c->exec->hi)
			c->changed[c->n_changed++] = addr & ~7UL;
	}
	qsort(c->changed, c->n_changed, sizeof c->changed[0], by_value);
}

bool stack_word_changed(const struct stack_picture *c, uint64_t addr)
{
	return c->n_changed > 0 && bsearch(&addr, c->changed, c->n_changed, sizeof addr, by_value);
}

/* Frames go on across the seam, on the resumer's stack: leave those out. */
static void find_frames(struct model *m, struct stack_picture *c, uint64_t rsp)
{
	uint64_t lo = rsp;
	size_t n = 0;

	c->frames = model_frames(m, c->exec, &n, &c->why);
	c->n_frames = 0;
	while (c->frames && c->n_frames < n) {
		const struct frame *f = &c->frames[c->n_frames];

		if (f->is_seam || f->cfa < lo || f->cfa > c->exec->hi)
			break;
		lo = f->cfa;
		c->n_frames++;
	}
}

/* --- which words get a line ---------------------------------------------------------- */

static void add_line(struct stack_picture *c, uint64_t addr, uint64_t n_words, int frame)
{
	if (c->n_lines < STACK_MAX_LINES)
		c->lines[c->n_lines++] = (struct stack_line){ .addr = addr, .n_words = n_words, .frame = frame };
}

/* [lo, hi): the first and last words, what has changed, what is in @wanted; others only
 * if a gap between these is at most @limit. */
static void add_range(struct stack_picture *c, uint64_t lo, uint64_t hi, int frame, int limit, const uint64_t *wanted,
		      size_t n_wanted)
{
	int begin = c->n_lines;
	size_t k = 0;

	while (k < c->n_changed && c->changed[k] < lo)
		k++;
	for (uint64_t at = lo; at < hi && c->n_lines < STACK_MAX_LINES;) {
		uint64_t stop = hi; /* the next one that must be seen */

		if (at < lo + 8 * FIRST_WORDS)
			stop = at;
		else if (hi - lo > 8 * LAST_WORDS && at < hi - 8 * LAST_WORDS)
			stop = hi - 8 * LAST_WORDS;
		else
			stop = at;
		while (k < c->n_changed && c->changed[k] < at)
			k++;
		if (k < c->n_changed && c->changed[k] < stop)
			stop = c->changed[k];
		for (size_t i = 0; i < n_wanted; i++)
			if (wanted[i] >= at && wanted[i] < stop)
				stop = wanted[i] & ~7UL;
		if (stop > at && (stop - at) / 8 > (uint64_t)limit) {
			add_line(c, at, (stop - at) / 8, frame);
			at = stop;
			continue;
		}
		for (; at < stop && c->n_lines < STACK_MAX_LINES; at += 8)
			add_line(c, at, 1, frame);
		if (at < hi) {
			add_line(c, at, 1, frame);
			at += 8;
		}
	}
	if (c->n_lines > begin) {
		c->lines[begin].is_first = true;
		c->lines[c->n_lines - 1].is_last = true;
	}
}

static void build_lines(struct stack_picture *c, uint64_t rsp, uint64_t hi, int n_dead, int limit, const uint64_t *wanted,
			size_t n_wanted)
{
	uint64_t at = rsp;

	c->n_lines = 0;
	for (int i = n_dead; i > 0; i--)
		if (rsp >= c->exec->lo + 8 * (uint64_t)i)
			add_line(c, rsp - 8 * (uint64_t)i, 1, -1);
	c->rsp_line = c->n_lines;
	for (size_t i = 0; i < c->n_frames; i++) {
		add_range(c, at, c->frames[i].cfa, (int)i, limit, wanted, n_wanted);
		at = c->frames[i].cfa;
	}
	add_range(c, at, hi, -2, limit, wanted, n_wanted);
}

bool stack_picture_take(struct model *m, const struct ui *ui, const struct exec *e, int h, struct stack_picture *c)
{
	static const int limits[] = { 200, 32, 12, 6, 2 };
	uint64_t rsp = e->rsp & ~7UL, hi = e->hi & ~7UL;
	uint64_t wanted[4] = { m->state.regs.r[REG_RBP], m->state.regs.r[REG_RSP] };
	int n_dead = ui->is_big ? 1 : h >= 14 ? 3 : h >= 9 ? 2 : h >= 5 ? 1 : 0;

	c->exec = e;
	c->view = (struct exec_view){ m, e };
	c->n_lines = c->rsp_line = 0;
	c->has_saved = model_exec_regs(m, e, &c->saved);
	if (rsp == 0 || hi == 0 || rsp > hi || rsp < e->lo)
		return false;
	if (c->has_saved)
		wanted[2] = c->saved.r[REG_RBP];
	find_changed(m, c, rsp >= 128 ? rsp - 128 : 0);
	find_frames(m, c, rsp);
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		build_lines(c, rsp, hi, n_dead, limits[i], wanted, 3);
		if (c->n_lines <= h || (ui->is_zoomed && i == 1))
			break;
	}
	return true;
}
