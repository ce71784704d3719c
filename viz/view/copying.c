/* SPDX-License-Identifier: MIT */
/*
 * A copy of a stack, while it is made. How much is done is counted, not guessed: the bytes
 * that the instructions since its beginning have written. (To compare both sides would
 * count zeros as copied that were zeros before.)
 */
#include "copying.h"

#include <string.h>

#include "view.h"

enum { EVENTS_AT_MOST = 256, CALLS_AT_MOST = 8, EXECS_AT_MOST = 256 };
static const uint64_t NEVER = UINT64_MAX;

/* --- is a copy under way? ----------------------------------------------------------- */

static int keep_regs(void *arg, uint64_t step, const struct regs *regs, const struct trace_word *words, size_t n, int flags)
{
	(void)step, (void)words, (void)n, (void)flags;
	*(struct regs *)arg = *regs;
	return 1;
}

/* The registers with which a function was entered at @step. Most draws ask for the same few
 * calls again, and a scan is slow: they are kept. */
static const struct regs *regs_called(const struct model *m, uint64_t step)
{
	static struct { const struct trace *trace; uint64_t step, last; struct regs regs; } all[64], *k;

	k = &all[step % (sizeof all / sizeof all[0])];
	if (k->trace == m->trace && k->step == step && k->last == m->last)
		return &k->regs;
	k->trace = NULL;
	if (trace_scan(m->trace, step, step, keep_regs, &k->regs) != 1)
		return NULL;
	k->trace = m->trace;
	k->step = step;
	k->last = m->last;
	return &k->regs;
}

/* Is it memcpy, by what it was called with? Its name is not known everywhere: libc has one
 * for each kind of processor, and keeps the names to itself. */
static bool is_copy(const struct model *m, const struct regs *called, struct copying *c)
{
	uint64_t to = called->r[REG_RDI], from = called->r[REG_RSI], len = called->r[REG_RDX];

	for (size_t i = 0; i < m->n_execs && i < EXECS_AT_MOST; i++) {
		const struct exec *e = &m->execs[i];

		if (!e->info || e->info->save_buffer == 0 || len == 0 || len > e->hi)
			continue;
		*c = (struct copying){ .buffer = e->info->save_buffer, .stack = e->hi - len, .len = len, .who = e->number };
		c->is_save = to == c->buffer && from == c->stack;
		if (c->is_save || (from == c->buffer && to == c->stack))
			return true;
	}
	return false;
}

/* Where the compiler has put the copy itself, nothing was called. But what it becomes is
 * noted when it is complete, if that is recorded. */
static bool is_copied_in_place(struct model *m, const struct trace_event *all, size_t n, size_t next, struct copying *c)
{
	const struct exec *e;

	while (next < n && all[next].kind != EVENT_SAVE && all[next].kind != EVENT_RESTORE && all[next].kind != EVENT_SWAP)
		next++;
	e = next < n ? model_exec(m, all[next].who) : NULL;
	if (m->next.kind != INSN_STRING || !e || all[next].kind == EVENT_SWAP || !e->info || e->info->save_buffer == 0 ||
	    all[next].value == 0 || all[next].value > e->hi)
		return false;
	*c = (struct copying){ .buffer = e->info->save_buffer, .stack = e->hi - all[next].value, .len = all[next].value,
			       .is_save = all[next].kind == EVENT_SAVE, .who = e->number, .begin = NEVER };
	return true;
}

/* Else there is nothing to look for; most programs have no shared stacks. */
static bool has_buffers(const struct model *m)
{
	for (size_t i = 0; i < m->n_execs && i < EXECS_AT_MOST; i++)
		if (m->execs[i].info && m->execs[i].info->save_buffer)
			return true;
	return false;
}

bool copying_at(struct model *m, struct copying *c)
{
	if (!has_buffers(m))
		return false;
	size_t n = 0;
	const struct trace_event *all = m->trace ? trace_events(m->trace, &n) : NULL;
	size_t next = view_first_event(all, n, m->t + 1), calls = 0;

	for (size_t k = next; k > 0 && next - k < EVENTS_AT_MOST && calls < CALLS_AT_MOST; k--) {
		const struct trace_event *e = &all[k - 1];
		const struct regs *called;

		if (e->kind == EVENT_SAVE || e->kind == EVENT_RESTORE || e->kind == EVENT_SWAP)
			break;
		if (e->kind != EVENT_CALL)
			continue;
		calls++;
		called = regs_called(m, e->step);
		if (called && is_copy(m, called, c)) {
			c->begin = e->step;
			return true;
		}
	}
	return is_copied_in_place(m, all, n, next, c);
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
