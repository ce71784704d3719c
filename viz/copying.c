/* SPDX-License-Identifier: MIT */
/*
 * A copy of a stack, while it is made. How much is done is counted, not guessed: the bytes
 * that the instructions since its beginning have written. (To compare both sides would
 * count zeros as copied that were zeros before.)
 */
#include "copying.h"

#include <stdio.h>
#include <string.h>

#include "view.h"

enum { EVENTS_AT_MOST = 256 };
static const uint64_t NEVER = UINT64_MAX;

/* --- is a copy under way? ----------------------------------------------------------- */

static bool is_copy_function(struct model *m, uint64_t addr)
{
	char name[128];
	const char *at = function_name(m, addr, name, sizeof name);

	at += strspn(at, "_");
	return strncmp(at, "memcpy", 6) == 0 || strncmp(at, "memmove", 7) == 0;
}

/* The save or restore that is next, if it has begun; then *@begin. NULL: none. */
static const struct trace_event *copy_under_way(struct model *m, uint64_t *begin)
{
	size_t n = 0;
	const struct trace_event *all = m->trace ? trace_events(m->trace, &n) : NULL;
	size_t from = view_first_event(all, n, m->t + 1), i = from;

	for (;; i++) {
		if (i >= n || i - from > EVENTS_AT_MOST || all[i].kind == EVENT_SWAP)
			return NULL;
		if (all[i].kind == EVENT_SAVE || all[i].kind == EVENT_RESTORE)
			break;
		if (all[i].kind == EVENT_CALL && is_copy_function(m, all[i].value))
			return NULL; /* it has not begun */
	}
	*begin = NEVER;
	for (size_t k = from; k > 0 && from - k < EVENTS_AT_MOST; k--) {
		const struct trace_event *e = &all[k - 1];

		if (e->kind == EVENT_SAVE || e->kind == EVENT_RESTORE || e->kind == EVENT_SWAP)
			break;
		if (e->kind == EVENT_CALL && is_copy_function(m, e->value)) {
			*begin = e->step;
			return &all[i];
		}
	}
	/* memcpy is not everywhere a call */
	return m->next.kind == INSN_STRING || is_copy_function(m, m->state.regs.r[REG_RIP]) ? &all[i] : NULL;
}

/* --- how much of a copy is done ------------------------------------------------------------ */

/* The bytes written by the instructions since the copy began. Kept from draw to draw: the
 * next draw is mostly one step further. */
struct progress {
	const struct trace *trace; /* NULL: nothing is kept */
	struct copying of;
	uint64_t upto;             /* states [of.begin, upto] are in it */
	struct regs regs;          /* at upto */
	bool has_regs;
	uint64_t n_written;
	uint8_t is_written[COPYING_MOST]; /* by byte */

	struct model *m;
	struct { uint64_t rip; struct insn insn; } decoded[64]; /* a copy is a loop: few instructions */
};

static const struct insn *decoded(struct progress *p, uint64_t rip)
{
	size_t slot = rip % (sizeof p->decoded / sizeof p->decoded[0]);
	uint8_t code[16];

	if (p->decoded[slot].rip != rip || p->decoded[slot].insn.len == 0) {
		size_t len = symbols_code(p->m->symbols, rip, code, sizeof code);

		p->decoded[slot].rip = rip;
		if (len == 0 || !decode(code, len, rip, &p->decoded[slot].insn))
			memset(&p->decoded[slot].insn, 0, sizeof p->decoded[slot].insn);
	}
	return &p->decoded[slot].insn;
}

static void note_written(struct progress *p, uint64_t addr, uint64_t size)
{
	uint64_t to = p->of.is_save ? p->of.buffer : p->of.stack;

	for (uint64_t i = 0; i < size && i < 64; i++)
		if (addr + i - to < p->of.len && addr + i - to < COPYING_MOST) {
			p->n_written += !p->is_written[addr + i - to];
			p->is_written[addr + i - to] = 1;
		}
}

static int note_step(void *arg, uint64_t step, const struct regs *regs, const struct trace_word *words, size_t n, int flags)
{
	struct progress *p = arg;

	(void)words;
	(void)n;
	if (p->has_regs && step > p->upto && !(flags & STEP_IS_GAP)) {
		uint64_t rip = p->regs.r[REG_RIP];
		const struct insn *insn = decoded(p, rip);

		for (size_t i = 0; i < insn->n_mem && i < 2; i++)
			if (insn->mem[i].is_written && !insn->mem[i].is_in_segment)
				note_written(p, insn_mem_address(&insn->mem[i], &p->regs, rip + insn->len), insn->mem[i].size);
	}
	p->regs = *regs;
	p->has_regs = true;
	p->upto = step;
	return 0;
}

bool copying_at(struct model *m, struct copying *c)
{
	uint64_t begin;
	const struct trace_event *copy = copy_under_way(m, &begin);
	const struct exec *e = copy ? model_exec(m, copy->who) : NULL;

	if (!e || !e->info || e->info->save_buffer == 0 || copy->value == 0 || copy->value > e->hi)
		return false;
	*c = (struct copying){ .buffer = e->info->save_buffer, .stack = e->hi - copy->value, .len = copy->value,
			       .is_save = copy->kind == EVENT_SAVE, .who = copy->who, .begin = begin };
	return true;
}

uint64_t copying_done(struct model *m, const struct copying *c)
{
	static struct progress kept;

	if (c->begin == NEVER || !m->symbols)
		return UINT64_MAX;
	if (kept.trace != m->trace || kept.of.begin != c->begin || kept.of.buffer != c->buffer || kept.of.len != c->len ||
	    kept.of.is_save != c->is_save || kept.upto > m->t) {
		memset(&kept, 0, sizeof kept);
		kept.trace = m->trace;
		kept.of = *c;
		kept.upto = c->begin;
	}
	kept.m = m;
	trace_scan(m->trace, kept.upto, m->t, note_step, &kept);
	return kept.n_written;
}
