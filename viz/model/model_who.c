/* SPDX-License-Identifier: MIT */
/*
 * Whose is this address, and what will an execution find when it runs again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_own.h"

/* --- stacks ----------------------------------------------------------------------------------- */

enum { UNKNOWN_LO = 8 * 1024 * 1024 }; /* the lower end of main's stack may not be known: this far at most */

enum { EVENTS_AT_MOST = 16384 };

/* Who was the last to stand on the stack that ends at @hi, or to have bytes copied from or
 * to it? NO_EXEC: nobody, or that is long ago. */
static uint32_t last_on(const struct model *m, uint64_t hi)
{
	size_t n = 0, lo = 0;
	const struct trace_event *all = m->trace ? trace_events(m->trace, &n) : NULL;

	for (size_t end = n; lo < end;) {
		size_t middle = lo + (end - lo) / 2;
		if (all[middle].step <= m->t)
			lo = middle + 1;
		else
			end = middle;
	}
	for (size_t i = lo; i > 0 && lo - i < EVENTS_AT_MOST; i--) {
		const struct trace_event *e = &all[i - 1];
		const struct exec *who = e->kind == EVENT_RSP || e->kind == EVENT_SAVE || e->kind == EVENT_RESTORE
						 ? model_exec(m, e->who) : NULL;
		if (who && who->hi == hi)
			return e->who;
	}
	return NO_EXEC;
}

/* Is it about to get its bytes back? */
static bool is_being_loaded(const struct exec *e)
{
	return e->is_out && strcmp(e->state, "running") == 0;
}

static bool is_anybody_being_loaded(const struct model *m, uint64_t hi)
{
	for (size_t i = 0; i < m->n_execs; i++)
		if (m->execs[i].hi == hi && is_being_loaded(&m->execs[i]))
			return true;
	return false;
}

/* How likely are the bytes on a stack its own, if several have that stack? Of those who
 * are not copied out only one has begun and is not done, unless it leaves for good. Bytes
 * that were copied out are there still, until somebody else's are. */
static int claim_of(const struct model *m, const struct exec *e)
{
	if (e->is_on_cpu)
		return 5;
	if (is_being_loaded(e))
		return 2;
	if (e->is_out)
		return last_on(m, e->hi) == e->number && !is_anybody_being_loaded(m, e->hi) ? 4 : -1;
	if (strcmp(e->state, "done") == 0)
		return e->info->resumer ? 2 : 0;
	return e->rsp == (e->hi & ~(uint64_t)15) ? 1 : 3;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct stack_range *x = a, *y = b;

	if (x->hi != y->hi)
		return x->hi < y->hi ? -1 : 1;
	return x->claim != y->claim ? y->claim - x->claim : x->owner < y->owner ? -1 : 1;
}

static void find_ranges(const struct model *m)
{
	struct model_own *own = m->own;
	size_t n = 0;

	own->has_ranges = true;
	own->n_ranges = 0;
	if (!model_reserve((void **)&own->ranges, &own->room_ranges, m->n_execs, sizeof(own->ranges[0])))
		return;
	for (size_t i = 0; i < m->n_execs; i++) {
		const struct exec *e = &m->execs[i];
		uint64_t lo = e->lo ? e->lo : e->hi > UNKNOWN_LO ? e->hi - UNKNOWN_LO : 0;
		int claim = e->hi ? claim_of(m, e) : -1;
		if (claim >= 0)
			own->ranges[n++] = (struct stack_range){ lo, e->hi, e->number, claim };
	}
	if (n > 0)
		qsort(own->ranges, n, sizeof(own->ranges[0]), compare_ranges);
	for (size_t i = 0; i < n; i++)
		if (own->n_ranges == 0 || own->ranges[own->n_ranges - 1].hi != own->ranges[i].hi)
			own->ranges[own->n_ranges++] = own->ranges[i];
}

uint32_t model_owner(const struct model *m, uint64_t addr)
{
	if (!m->own->has_ranges)
		find_ranges(m);
	size_t lo = 0, hi = m->own->n_ranges;
	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;
		if (m->own->ranges[middle].hi < addr)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo < m->own->n_ranges && m->own->ranges[lo].lo <= addr ? m->own->ranges[lo].owner : NO_EXEC;
}

/* --- words for an address --------------------------------------------------------------------- */

/* The field of the struct @of at @base that @value points to, as "alice's co.state". */
static bool describe_field(const struct model *m, const struct exec *e, const char *of, const char *as, uint64_t base,
			   uint64_t size, uint64_t value, char *text, size_t len)
{
	uint64_t inside;

	if (!m->layout || !base || value < base || value - base >= size)
		return false;
	const char *field = layout_field_at(m->layout, of, value - base, &inside);
	if (value == base)
		snprintf(text, len, "%s's %s", e->name, as);
	else if (field && inside == 0)
		snprintf(text, len, "%s's %s.%s", e->name, as, field);
	else if (field)
		snprintf(text, len, "%s's %s.%s+0x%" PRIx64, e->name, as, field, inside);
	else
		snprintf(text, len, "%s's %s+0x%" PRIx64, e->name, as, value - base);
	return true;
}

static bool describe_struct(const struct model *m, const struct exec *e, uint64_t value, char *text, size_t len)
{
	const struct co_info *info = e->info;

	/* The context comes first in struct co: an address that is both is the coroutine's. */
	if (m->layout && m->layout->has_coroutines && e->trace->co == value && value)
		return snprintf(text, len, "%s", e->name), true;
	if (m->layout && describe_field(m, e, "coctx", "context", e->trace->ctx, layout_ctx_size(m->layout), value, text, len))
		return true;
	if (m->layout && m->layout->has_coroutines &&
	    describe_field(m, e, "co", "co", e->trace->co, m->layout->size[L_CO], value, text, len))
		return true;
	if (!info || !info->save_len || value < info->save_buffer || value - info->save_buffer >= info->save_len)
		return false;
	uint64_t inside = value - info->save_buffer;
	if (inside)
		snprintf(text, len, "%s's save_buffer+0x%" PRIx64 " (top-0x%" PRIx64 ")", e->name, inside,
			 info->save_len - inside);
	else
		snprintf(text, len, "%s's save_buffer (top-0x%" PRIx64 ")", e->name, info->save_len);
	return true;
}

char *model_describe(const struct model *m, uint64_t value, char *text, size_t len)
{
	uint32_t owner = value < 0x1000 ? NO_EXEC : model_owner(m, value);
	const struct exec *e = owner == NO_EXEC ? NULL : model_exec(m, owner);
	struct symbol s;

	if (len)
		*text = 0;
	if (value < 0x1000)
		return text;
	for (size_t i = 0; i < m->n_execs; i++) /* before stacks: contexts may lie on them */
		if (describe_struct(m, &m->execs[i], value, text, len))
			return text;
	if (e && value == e->hi)
		snprintf(text, len, "%s's stack, top", e->name);
	else if (e)
		snprintf(text, len, "%s's stack, top-0x%" PRIx64, e->name, e->hi - value);
	else if (m->symbols && symbol_at(m->symbols, value, &s))
		symbol_text(m->symbols, value, text, len);
	return text;
}

/* --- as it will be when it runs ------------------------------------------------------------------ */

bool exec_view_read(void *arg, uint64_t addr, void *to, size_t len)
{
	const struct exec_view *v = arg;
	const struct exec *e = v->exec;
	void *memory = (void *)(uintptr_t)&v->m->state.memory;

	if (len == 0)
		return true;
	if (addr + (len - 1) < addr)
		return false;
	if (!e || !e->is_out || addr >= e->hi || addr + (len - 1) < e->lo)
		return memory_read(memory, addr, to, len);
	uint64_t first = e->hi - e->info->save_len;
	if (addr < first)
		return false; /* another's bytes, or nobody's */
	size_t inside = e->hi - addr < len ? (size_t)(e->hi - addr) : len;
	return memory_read(memory, addr - first + e->info->save_buffer, to, inside) &&
	       (inside == len || memory_read(memory, e->hi, (char *)to + inside, len - inside));
}

bool model_exec_regs(const struct model *m, const struct exec *e, struct regs *regs)
{
	if (e->is_on_cpu) {
		*regs = m->state.regs;
		return true;
	}
	memset(regs, 0, sizeof(*regs));
	return m->layout &&
	       layout_ctx_read(m->layout, e->trace->ctx, regs, memory_read, (void *)(uintptr_t)&m->state.memory) &&
	       regs->r[REG_RSP] != 0;
}

const struct frame *model_frames(struct model *m, const struct exec *e, size_t *n, const char **why)
{
	struct model_own *own = m->own;
	struct exec_view view = { m, e };
	struct regs regs;
	struct frames *f = NULL;

	for (size_t i = 0; i < own->n_frames && !f; i++)
		if (own->frames[i]->number == e->number)
			f = own->frames[i];
	if (!f) {
		if (!model_reserve((void **)&own->frames, &own->room_frames, own->n_frames + 1, sizeof(own->frames[0])) ||
		    !(f = malloc(sizeof(*f)))) {
			*n = 0;
			*why = "there is not enough memory";
			return NULL;
		}
		own->frames[own->n_frames++] = f;
		f->number = e->number;
		f->n = 0;
		f->why = "its registers are not in the trace";
		if (m->symbols && model_exec_regs(m, e, &regs)) {
			f->why = NULL;
			f->n = unwind(m->symbols, &regs, exec_view_read, &view, f->frames, MAX_FRAMES, &f->why);
		}
	}
	*n = f->n;
	*why = f->why;
	return f->frames;
}
