/* SPDX-License-Identifier: MIT */
/*
 * Where to go: the next line, call, swap, change of a word, ... All by scans of the trace,
 * which read registers and words but keep no memory; m's own state stays where it is.
 *
 * A scan goes upwards. To look backwards, the pieces between two keyframes are taken from
 * the last to the first: of each, the registers that matter are put into an array, and that
 * is walked from its end. So nothing is read twice, and there is never more than a piece
 * in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "model_own.h"

/* What a search sees of a state. */
struct seen {
	uint64_t at, rip, rsp;
	bool is_gap; /* the step that led here is */
};

enum { FAR = 64 * 1024 }; /* a return that drops more of the stack than this is none */

/* A search. Each state is shown to @step together with the one before it, in the order of
 * the search's direction; true: stop. What was found is in `found`. */
struct search {
	struct model *m;
	int direction;
	uint64_t t, found;  /* found: t itself until something is */
	bool (*step)(struct search *s, const struct seen *before, const struct seen *here);
	/* of the scan */
	struct seen last;
	bool has_last, is_over;
	struct seen *piece;
	size_t n_piece, room_piece;
	/* the searches' own */
	struct source_line line;   /* the one that is left */
	bool has_line;
	bool is_over_calls, is_skipping;
	uint64_t skip_rsp;         /* skipping: a call is over when rsp is this again, ... */
	uint32_t skip_exec;        /* ... and this one runs */
	const struct symbol *function;
};

/* --- instructions by what they do to rip and rsp --------------------------------------------- */

/* rip went elsewhere than to the next instruction. */
static bool has_jumped(const struct seen *before, const struct seen *here)
{
	return here->rip - before->rip > 15;
}

static bool is_call(const struct seen *before, const struct seen *here)
{
	return !here->is_gap && here->rsp == before->rsp - 8 && has_jumped(before, here);
}

static bool is_return(const struct seen *before, const struct seen *here)
{
	return !here->is_gap && here->rsp == before->rsp + 8 && has_jumped(before, here);
}

/* --- forwards and backwards --------------------------------------------------------------------- */

static int show(void *arg, uint64_t at, const struct regs *regs, const struct trace_word *words, size_t n, int flags)
{
	struct search *s = arg;
	struct seen here = { at, regs->r[REG_RIP], regs->r[REG_RSP], flags & STEP_IS_GAP };

	(void)words, (void)n;
	if (s->has_last && at > s->t && s->step(s, &s->last, &here))
		s->is_over = true;
	s->last = here;
	s->has_last = true;
	return s->is_over;
}

static int gather(void *arg, uint64_t at, const struct regs *regs, const struct trace_word *words, size_t n, int flags)
{
	struct search *s = arg;

	(void)words, (void)n;
	if (!model_reserve((void **)&s->piece, &s->room_piece, s->n_piece + 1, sizeof(s->piece[0])))
		return 1;
	s->piece[s->n_piece++] = (struct seen){ at, regs->r[REG_RIP], regs->r[REG_RSP], flags & STEP_IS_GAP };
	return 0;
}

static bool is_inside_call_back(struct search *s, const struct seen *before, const struct seen *here);

/* The states (lo, hi], from hi down; also lo, if it is the first of all. Of t itself only
 * whether a call has just returned there. */
static void walk_back(struct search *s, uint64_t lo, uint64_t hi)
{
	s->n_piece = 0;
	trace_scan(s->m->trace, lo, hi, gather, s);
	for (size_t i = s->n_piece; i-- > 1 && !s->is_over;) {
		if (s->piece[i].at == s->t)
			is_inside_call_back(s, &s->piece[i - 1], &s->piece[i]);
		else
			s->is_over = s->step(s, &s->piece[i - 1], &s->piece[i]);
	}
	if (lo == 0 && s->n_piece > 0 && s->piece[0].at < s->t && !s->is_over)
		s->is_over = s->step(s, NULL, &s->piece[0]);
}

static void search_back(struct search *s)
{
	for (uint64_t hi = s->t; hi > 0 && !s->is_over;) {
		uint64_t lo = trace_keyframe_before(s->m->trace, hi);
		walk_back(s, lo, hi);
		hi = lo;
	}
}

static uint64_t search(struct search *s)
{
	s->found = s->t;
	if (s->direction > 0)
		trace_scan(s->m->trace, s->t, trace_last(s->m->trace), show, s);
	else
		search_back(s);
	free(s->piece);
	return s->found;
}

/* --- lines ------------------------------------------------------------------------------------------ */

static bool line_at(struct model *m, uint64_t rip, struct source_line *line)
{
	struct line_slot *slot = &m->own->lines[(rip ^ rip >> 12) & (N_LINES - 1)];

	if (!slot->is_used || slot->rip != rip) {
		slot->is_used = true;
		slot->rip = rip;
		slot->is_known = m->symbols && source_at(m->symbols, rip, &slot->line) && slot->line.path;
	}
	*line = slot->line;
	return slot->is_known;
}

static bool is_same_line(const struct source_line *a, const struct source_line *b)
{
	return a->line == b->line && (a->path == b->path || strcmp(a->path, b->path) == 0);
}

static bool is_mine(const struct search *s, const struct seen *here)
{
	return model_current_by_swaps(s->m, here->at) == s->skip_exec;
}

/* Calls that are made at a search's level, and all that happens until they come back, are
 * left out. Others may run meanwhile, on stacks of their own or on this one. */
static bool is_inside_call(struct search *s, const struct seen *before, const struct seen *here)
{
	if (s->is_skipping) {
		bool is_back = is_mine(s, here) && here->rsp - s->skip_rsp < FAR;
		s->is_skipping = !is_back;
		return !is_back;
	}
	if (!s->is_over_calls || !is_call(before, here))
		return false;
	s->is_skipping = true;
	s->skip_exec = model_current_by_swaps(s->m, here->at);
	s->skip_rsp = before->rsp;
	return true;
}

/* The same backwards: behind a return lies a call. */
static bool is_inside_call_back(struct search *s, const struct seen *before, const struct seen *here)
{
	if (s->is_skipping) { /* @here is inside still, and if it was just called, the last */
		s->is_skipping = !before || !is_call(before, here) || before->rsp != s->skip_rsp || !is_mine(s, here);
		return true;
	}
	if (s->is_over_calls && before && is_return(before, here)) {
		s->is_skipping = true;
		s->skip_exec = model_current_by_swaps(s->m, here->at);
		s->skip_rsp = here->rsp;
	}
	return false;
}

/* Forwards: the first state of another line. */
static bool step_line(struct search *s, const struct seen *before, const struct seen *here)
{
	struct source_line line;

	if (is_inside_call(s, before, here) || !line_at(s->m, here->rip, &line))
		return false;
	if (s->has_line && is_same_line(&line, &s->line))
		return false;
	s->found = here->at;
	return true;
}

/* Backwards: the first state of the line that we come from, so that the same states are
 * passed as forwards. */
static bool step_line_back(struct search *s, const struct seen *before, const struct seen *here)
{
	struct source_line line;

	if (is_inside_call_back(s, before, here) || !line_at(s->m, here->rip, &line))
		return false;
	if (s->has_line && !is_same_line(&line, &s->line))
		return true;
	s->has_line = true;
	s->line = line;
	s->found = here->at;
	return false;
}

static uint64_t next_line(struct model *m, uint64_t t, int direction, bool is_over_calls)
{
	struct search s = { .m = m, .direction = direction, .t = t, .is_over_calls = is_over_calls,
			    .step = direction > 0 ? step_line : step_line_back };
	struct regs regs;

	if (direction > 0 && model_regs_at(m, t, &regs))
		s.has_line = line_at(m, regs.r[REG_RIP], &s.line);
	return search(&s);
}

uint64_t model_next_line(struct model *m, uint64_t t, int direction)
{
	return next_line(m, t, direction, false);
}

uint64_t model_next_over(struct model *m, uint64_t t, int direction)
{
	return next_line(m, t, direction, true);
}

/* --- calls, functions --------------------------------------------------------------------------------- */

static bool step_call(struct search *s, const struct seen *before, const struct seen *here)
{
	if (!before || (!is_call(before, here) && !is_return(before, here)))
		return false;
	s->found = here->at;
	return true;
}

uint64_t model_next_call(struct model *m, uint64_t t, int direction)
{
	struct search s = { .m = m, .direction = direction, .t = t, .step = step_call };
	uint64_t by_event = model_next_event(m, t, direction, 1u << EVENT_CALL | 1u << EVENT_RETURN);
	uint64_t by_step = search(&s);

	if (by_event == t || by_step == t)
		return by_event == t ? by_step : by_event;
	return (by_step < by_event) == (direction > 0) ? by_step : by_event;
}

static bool is_in(const struct symbol *f, uint64_t rip)
{
	return rip >= f->lo && (rip < f->hi || rip == f->lo);
}

static bool step_function(struct search *s, const struct seen *before, const struct seen *here)
{
	bool is_entry = here->rip == s->function->lo;

	if (!is_entry && is_in(s->function, here->rip))
		is_entry = !before || (here->is_gap && !is_in(s->function, before->rip));
	if (is_entry)
		s->found = here->at;
	return is_entry;
}

uint64_t model_find_function(struct model *m, uint64_t t, const char *name, int direction)
{
	struct symbol f;
	struct search s = { .m = m, .direction = direction, .t = t, .step = step_function, .function = &f };

	if (!m->symbols || !symbol_named(m->symbols, name, &f))
		return t;
	return search(&s);
}

uint64_t model_find_address(struct model *m, uint64_t t, uint64_t address)
{
	struct symbol one = { .lo = address, .hi = address + 1 };
	struct search s = { .m = m, .direction = 1, .t = t, .step = step_function, .function = &one };

	return search(&s);
}

/* --- swaps, events ---------------------------------------------------------------------------------------- */

uint64_t model_next_swap(const struct model *m, uint64_t t, int direction)
{
	ptrdiff_t i = direction > 0 ? model_swap_at(m, t) + 1 : t > 0 ? model_swap_at(m, t - 1) : -1;

	return i >= 0 && (size_t)i < m->n_swaps ? m->swaps[i].entry : t;
}

uint64_t model_next_event(const struct model *m, uint64_t t, int direction, uint32_t kinds)
{
	size_t n, lo = 0;
	const struct trace_event *events = trace_events(m->trace, &n);
	size_t hi = n;

	while (lo < hi) { /* the first behind t, or the first not below t */
		size_t middle = lo + (hi - lo) / 2;
		if (events[middle].step < t || (direction > 0 && events[middle].step == t))
			lo = middle + 1;
		else
			hi = middle;
	}
	if (direction > 0) {
		for (; lo < n; lo++)
			if (!kinds || kinds >> events[lo].kind & 1)
				return events[lo].step;
	} else {
		for (; lo > 0; lo--)
			if (!kinds || kinds >> events[lo - 1].kind & 1)
				return events[lo - 1].step;
	}
	return t;
}

/* --- changes ------------------------------------------------------------------------------------------------- */

struct change {
	uint64_t t, addr, found;
	bool is_found, is_forward, has_last;
	int reg;        /* N_REGS: the word at addr */
	uint64_t last;  /* the register in the state before */
};

static int see_change(void *arg, uint64_t at, const struct regs *regs, const struct trace_word *words, size_t n,
		      int flags)
{
	struct change *c = arg;
	bool has_changed = false;

	(void)flags;
	if (c->reg < N_REGS) {
		has_changed = c->has_last && regs->r[c->reg] != c->last;
		c->last = regs->r[c->reg];
		c->has_last = true;
	}
	for (size_t i = 0; i < n && c->reg == N_REGS && !has_changed; i++)
		has_changed = words[i].addr == c->addr;
	if (!has_changed)
		return 0;
	c->found = at;
	c->is_found = true;
	return c->is_forward; /* backwards: the last of this piece */
}

static uint64_t find_change(struct model *m, struct change *c, int direction)
{
	c->found = c->t;
	c->is_forward = direction > 0;
	if (direction > 0)
		trace_scan(m->trace, c->t, trace_last(m->trace), see_change, c);
	for (uint64_t hi = c->t; direction < 0 && hi > 0 && !c->is_found;) {
		uint64_t lo = trace_keyframe_before(m->trace, hi);
		c->has_last = false;
		trace_scan(m->trace, lo, hi == c->t ? hi - 1 : hi, see_change, c);
		hi = lo;
	}
	return c->found;
}

uint64_t model_word_change(struct model *m, uint64_t t, uint64_t addr, int direction)
{
	struct change c = { .t = t, .addr = addr & ~(uint64_t)7, .reg = N_REGS };

	return find_change(m, &c, direction);
}

uint64_t model_reg_change(struct model *m, uint64_t t, enum reg r, int direction)
{
	struct change c = { .t = t, .reg = (int)r };

	return r < N_REGS ? find_change(m, &c, direction) : t;
}
