/* SPDX-License-Identifier: MIT */
/*
 * Passes through coctx_swap: who left when, who came, and whether it has its registers
 * again. What counts is what the CPU had, not what the library says.
 */
#include <stdlib.h>
#include <string.h>

#include "model_own.h"

/* --- the list ------------------------------------------------------------------------------ */

static ptrdiff_t *last_left_of(struct model_own *own, uint32_t number)
{
	size_t room = own->n_last_left;

	if (number == NO_EXEC || !model_reserve((void **)&own->last_left, &room, (size_t)number + 1,
						sizeof(own->last_left[0])))
		return NULL;
	for (; own->n_last_left < room; own->n_last_left++)
		own->last_left[own->n_last_left] = -1;
	return &own->last_left[number];
}

static bool add_swap(struct model *m, const struct trace_event *e)
{
	struct model_own *own = m->own;

	if (!model_reserve((void **)&m->swaps, &own->room_swaps, m->n_swaps + 1, sizeof(m->swaps[0])) ||
	    !model_reserve((void **)&own->checks, &own->room_checks, m->n_swaps + 1, sizeof(own->checks[0])))
		return false;
	ptrdiff_t *leaves = last_left_of(own, e->who);
	if (leaves)
		*leaves = (ptrdiff_t)m->n_swaps;
	ptrdiff_t *arrives = last_left_of(own, e->other); /* with itself: by this very swap */
	own->checks[m->n_swaps] = (struct swap_check){ .before = arrives ? *arrives : -1 };
	m->swaps[m->n_swaps++] = (struct swap){ .entry = e->step, .from = e->who, .to = e->other };
	own->is_swap_open = true;
	return true;
}

/* It comes out as somebody else than was asked for: the CPU is right. */
static void arrive_as(struct model *m, size_t i, uint32_t who)
{
	ptrdiff_t *left = last_left_of(m->own, who);

	if (who == NO_EXEC || who == m->swaps[i].to)
		return;
	m->swaps[i].to = who;
	m->own->checks[i].before = left ? *left : -1;
}

bool model_read_swaps(struct model *m)
{
	size_t n;
	const struct trace_event *events = trace_events(m->trace, &n);
	struct model_own *own = m->own;

	for (; own->n_events < n; own->n_events++) {
		const struct trace_event *e = &events[own->n_events];
		struct swap *last = own->is_swap_open ? &m->swaps[m->n_swaps - 1] : NULL;
		if (e->kind == EVENT_SWAP && !add_swap(m, e))
			return false;
		if (e->kind == EVENT_RSP && last && !last->hands) {
			last->hands = e->step;
			arrive_as(m, m->n_swaps - 1, e->who);
		}
		if (e->kind == EVENT_ARRIVE && last) {
			last->arrival = e->step;
			own->is_swap_open = false;
		}
	}
	return true;
}

ptrdiff_t model_swap_at(const struct model *m, uint64_t t)
{
	size_t lo = 0, hi = m->n_swaps;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;
		if (m->swaps[middle].entry <= t)
			lo = middle + 1;
		else
			hi = middle;
	}
	return (ptrdiff_t)lo - 1;
}

uint32_t model_current_by_swaps(const struct model *m, uint64_t t)
{
	ptrdiff_t i = model_swap_at(m, t);

	if (i < 0)
		return m->n_swaps ? m->swaps[0].from : NO_EXEC;
	const struct swap *s = &m->swaps[i];
	bool has_changed = (s->hands && s->hands <= t) || (s->arrival && s->arrival <= t);
	return has_changed ? s->to : s->from;
}

/* --- lost registers --------------------------------------------------------------------------- */

enum { MXCSR_CONTROL = ~0x3f }; /* the other bits belong to nobody: asm/coctx_offsets.h */

static bool is_entry_of_new(struct model *m, uint64_t rip)
{
	struct symbol s;

	return m->symbols && symbol_at(m->symbols, rip, &s) && strcmp(s.name, "__morestack") == 0;
}

/* Bits of the registers that differ. */
static uint32_t compare(const struct regs *left, const struct regs *back)
{
	uint32_t lost = 0;

	for (int r = 0; r < N_REGS; r++)
		if (reg_is_callee_saved((enum reg)r) && left->r[r] != back->r[r])
			lost |= (uint32_t)1 << r;
	if ((left->r[REG_MXCSR] ^ back->r[REG_MXCSR]) & (uint64_t)MXCSR_CONTROL)
		lost |= (uint32_t)1 << REG_MXCSR;
	if (left->r[REG_X87CW] != back->r[REG_X87CW])
		lost |= (uint32_t)1 << REG_X87CW;
	return lost;
}

/* Of the registers @differ, those that the context had right once it was saved, and that
 * were brought back as the context had them later. Reads memory at two states. */
static uint32_t find_rewritten(struct model *m, size_t i, uint32_t differ, const struct regs *left,
			       const struct regs *back)
{
	const struct swap *away = &m->swaps[m->own->checks[i].before], *again = &m->swaps[i];
	struct trace_state s = { 0 };
	struct regs saved, loaded;
	uint32_t rewritten = 0;
	size_t n;
	const struct trace_exec *execs = trace_execs(m->trace, &n);

	if (again->to >= n || !m->layout || !away->hands)
		return 0;
	uint64_t ctx = execs[again->to].ctx;
	if (trace_seek(m->trace, &s, away->hands) == 0 &&
	    layout_ctx_read(m->layout, ctx, &saved, memory_read, &s.memory) &&
	    trace_seek(m->trace, &s, again->entry) == 0 &&
	    layout_ctx_read(m->layout, ctx, &loaded, memory_read, &s.memory)) {
		for (int r = 0; r < N_REGS; r++)
			if (differ >> r & 1 && saved.r[r] == left->r[r] && loaded.r[r] == back->r[r])
				rewritten |= (uint32_t)1 << r;
	}
	trace_state_free(&s);
	return rewritten;
}

/* False: swap @i has nothing that it could be compared with. */
static bool check_swap(struct model *m, size_t i, struct regs *left)
{
	struct regs back;

	if (i >= m->n_swaps || !m->swaps[i].arrival || m->own->checks[i].before < 0)
		return false;
	struct swap_check *check = &m->own->checks[i];
	if (check->is_known && (!left || m->own->left_swap == (ptrdiff_t)i)) {
		if (left)
			*left = m->own->left_with;
		return true;
	}
	struct regs *with = &m->own->left_with;
	m->own->left_swap = -1;
	if (!model_regs_at(m, m->swaps[check->before].entry, with) || !model_regs_at(m, m->swaps[i].arrival, &back))
		return false;
	with->r[REG_RSP] += 8; /* as it is once the call has returned */
	m->own->left_swap = (ptrdiff_t)i;
	if (left)
		*left = *with;
	if (check->is_known)
		return true;
	uint32_t differ = is_entry_of_new(m, back.r[REG_RIP]) ? 0 : compare(with, &back);
	check->rewritten = differ ? find_rewritten(m, i, differ, with, &back) : 0;
	check->lost = differ & ~check->rewritten;
	check->is_known = true;
	return true;
}

uint32_t model_lost(struct model *m, size_t i, struct regs *left_with)
{
	if (left_with)
		memset(left_with, 0, sizeof(*left_with));
	return check_swap(m, i, left_with) ? m->own->checks[i].lost : 0;
}

uint32_t model_rewritten(struct model *m, size_t i)
{
	return check_swap(m, i, NULL) ? m->own->checks[i].rewritten : 0;
}
