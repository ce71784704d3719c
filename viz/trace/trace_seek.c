/* SPDX-License-Identifier: MIT */
/*
 * The state at a step: the last keyframe before it, and the steps from there. A step back
 * is the same; between two keyframes lie so few bytes that it takes less than a redraw.
 */
#include <errno.h>
#include <stdlib.h>

#include "trace_file.h"

static struct in contents(const struct trace *t, const struct trace_chunk *c)
{
	return (struct in){ t->bytes + c->at, t->bytes + c->at + c->len, false };
}

/* How many keyframes have a state below @step (or equal, with @or_at). */
static size_t keyframes_below(const struct trace *t, uint64_t step, bool or_at)
{
	size_t lo = 0, hi = t->n_keyframes;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;
		uint64_t first = t->chunks[t->keyframes[middle]].first;
		if (first < step || (or_at && first == step))
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo;
}

uint64_t trace_keyframe_before(const struct trace *t, uint64_t step)
{
	size_t n = keyframes_below(t, step, false);

	return n ? t->chunks[t->keyframes[n - 1]].first : 0;
}

/* Where the step to state @next begins: in chunk *@chunk at *@at, or in one of those
 * that follow. False: it is not there. */
static bool find_step(const struct trace *t, uint64_t next, size_t *chunk, size_t *at)
{
	if (t->chunks[*chunk].n > 0 && *at < t->chunks[*chunk].len)
		return true;
	for (size_t i = *chunk + 1; i < t->n_chunks; i++) {
		if (t->chunks[i].n == 0)
			continue; /* a keyframe tells what we know */
		if (t->chunks[i].first != next)
			return false;
		*chunk = i;
		*at = 0;
		return true;
	}
	return false;
}

/* The step at chunk *@chunk, *@at, to state @next; *@at goes behind it. */
static bool read_step(struct trace *t, uint64_t next, size_t *chunk, size_t *at, struct regs *regs, int *flags)
{
	if (!find_step(t, next, chunk, at))
		return false;
	const struct trace_chunk *c = &t->chunks[*chunk];
	struct in in = contents(t, c);
	if (next - c->first >= c->n)
		return false; /* more bytes than states */
	in.at += *at;
	if (!step_read(&in, regs, &t->words, flags))
		return false;
	*at = (size_t)(in.at - (t->bytes + c->at));
	return true;
}

/* --- seeking ------------------------------------------------------------------------------ */

static bool reserve_before(struct trace_state *s, size_t n)
{
	if (n <= s->room)
		return true;
	struct trace_word *before = reallocarray(s->before, n, sizeof(*before));
	if (before)
		s->before = before;
	bool *was_known = reallocarray(s->was_known, n, sizeof(*was_known));
	if (was_known)
		s->was_known = was_known;
	if (!before || !was_known)
		return false;
	s->room = n;
	return true;
}

/* Write the words of the step just read; of the last one, keep what was there. */
static bool apply_words(const struct trace *t, struct trace_state *s, bool is_last)
{
	if (is_last && !reserve_before(s, t->words.n))
		return false;
	s->n_before = is_last ? t->words.n : 0;
	for (size_t i = 0; i < t->words.n; i++) {
		const struct trace_word *w = &t->words.items[i];
		uint64_t old;
		bool known;
		if (memory_swap_word(&s->memory, w->addr, w->value, &old, &known) != 0)
			return false;
		if (is_last) {
			s->before[i] = (struct trace_word){ w->addr, old };
			s->was_known[i] = known;
		}
	}
	return true;
}

static bool go_forward(struct trace *t, struct trace_state *s, uint64_t step)
{
	while (s->step < step) {
		s->regs_before = s->regs;
		if (!read_step(t, s->step + 1, &s->chunk, &s->at, &s->regs, &s->flags) ||
		    !apply_words(t, s, s->step + 1 == step))
			return false;
		s->step++;
	}
	return true;
}

static bool load_keyframe(struct trace *t, struct trace_state *s, size_t chunk)
{
	struct in in = contents(t, &t->chunks[chunk]);

	s->is_valid = true;
	s->step = t->chunks[chunk].first;
	s->chunk = chunk;
	s->at = 0;
	s->n_before = 0;
	if (!keyframe_read(&in, &s->regs, &s->flags, &s->memory))
		return false;
	s->regs_before = s->regs;
	return true;
}

/* @n: how many keyframes may be used. */
static bool go_from_keyframe(struct trace *t, struct trace_state *s, uint64_t step, size_t n)
{
	return n > 0 && load_keyframe(t, s, t->keyframes[n - 1]) && go_forward(t, s, step);
}

static bool go(struct trace *t, struct trace_state *s, uint64_t step)
{
	size_t below = keyframes_below(t, step, false), or_at = keyframes_below(t, step, true);

	if (s->is_valid && s->step < step && (below == 0 || t->chunks[t->keyframes[below - 1]].first <= s->step) &&
	    go_forward(t, s, step))
		return true;
	/* A keyframe of the state itself does not know what the step to it has changed: it
	 * serves only if there is no other way. */
	return go_from_keyframe(t, s, step, below) || (or_at > below && go_from_keyframe(t, s, step, or_at));
}

int trace_seek(struct trace *t, struct trace_state *s, uint64_t step)
{
	bool was_valid = s->is_valid;
	uint64_t was_at = s->step;

	if (step > t->last) {
		errno = ERANGE;
		return -1;
	}
	if (s->is_valid && s->step == step)
		return 0;
	if (!trace_is_there(t)) {
		errno = EBADMSG;
		return -1;
	}
	errno = 0;
	if (go(t, s, step))
		return 0;
	int error = errno == ENOMEM ? ENOMEM : EBADMSG;
	s->is_valid = false;
	if (was_valid && !go(t, s, was_at))
		s->is_valid = false;
	errno = error;
	return -1;
}

void trace_state_free(struct trace_state *s)
{
	memory_free(&s->memory);
	free(s->before);
	free(s->was_known);
	*s = (struct trace_state){ 0 };
}

/* --- scanning ------------------------------------------------------------------------------ */

/* A scan on its way. */
struct scan {
	struct trace *t;
	uint64_t from, to, next; /* next: the state that is to be read */
	trace_scan_fn *fn;
	void *arg;
};

static int tell(const struct scan *s, const struct regs *regs, bool has_words, int flags)
{
	if (s->next < s->from)
		return 0;
	if (s->next == s->from)
		return s->fn(s->arg, s->next, regs, NULL, 0, 0);
	return s->fn(s->arg, s->next, regs, has_words ? s->t->words.items : NULL, has_words ? s->t->words.n : 0, flags);
}

/* From the keyframe in @chunk up to @to, or to where the file is damaged. */
static int scan_piece(struct scan *s, size_t chunk)
{
	struct in in = contents(s->t, &s->t->chunks[chunk]);
	size_t at = 0;
	struct regs regs;
	int flags, result;

	s->next = s->t->chunks[chunk].first;
	if (!keyframe_read(&in, &regs, &flags, NULL))
		return 0;
	result = tell(s, &regs, false, STEP_IS_GAP);
	for (s->next++; !result && s->next <= s->to; s->next++) {
		if (!read_step(s->t, s->next, &chunk, &at, &regs, &flags))
			return 0;
		result = tell(s, &regs, true, flags);
	}
	return result;
}

int trace_scan(struct trace *t, uint64_t from, uint64_t to, trace_scan_fn *fn, void *arg)
{
	struct scan s = { t, from, to < t->last ? to : t->last, from, fn, arg };
	size_t k = keyframes_below(t, from, true); /* not 0: the first is that of state 0 */
	int result = 0;

	if (!trace_is_there(t))
		return 0;
	for (k--; !result && s.next <= s.to;) {
		uint64_t first = t->chunks[t->keyframes[k]].first, goal = s.next;
		if (first > s.to)
			break;
		result = scan_piece(&s, t->keyframes[k]);
		if (s.next < goal)
			s.next = goal;
		/* Damage, if this is not the end: on from the next keyframe behind it. */
		for (k++; k < t->n_keyframes && t->chunks[t->keyframes[k]].first < s.next; k++)
			;
		if (k == t->n_keyframes)
			break;
	}
	return result;
}
