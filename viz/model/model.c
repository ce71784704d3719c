/* SPDX-License-Identifier: MIT */
/*
 * The model at step t: all that is drawn follows from the trace and t. A seek puts the
 * state there and reads from its memory who exists; nothing is kept from the t before.
 */
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_own.h"

bool model_reserve(void **items, size_t *room, size_t n, size_t size)
{
	if (n <= *room)
		return true;
	size_t more = n < 16 ? 16 : 2 * n;
	void *bigger = reallocarray(*items, more, size);
	if (!bigger)
		return false;
	*items = bigger;
	*room = more;
	return true;
}

static int keep_regs(void *arg, uint64_t step, const struct regs *regs, const struct trace_word *words, size_t n,
		     int flags)
{
	(void)step, (void)words, (void)n, (void)flags;
	*(struct regs *)arg = *regs;
	return 1;
}

bool model_regs_at(const struct model *m, uint64_t t, struct regs *regs)
{
	return trace_scan(m->trace, t, t, keep_regs, regs) == 1;
}

/* --- who exists --------------------------------------------------------------------------- */

static const struct co_info *info_of(const struct model *m, const struct trace_exec *e)
{
	const struct co_info *info = e->co ? co_table_by_co(&m->table, e->co) : NULL;

	if (!info || e->kind == EXEC_MAIN || e->kind == EXEC_COROUTINE)
		return info && (info->is_main ? e->kind == EXEC_MAIN : info->id == e->id) ? info : NULL;
	return NULL;
}

/* A coroutine that the library does not list is not made yet, or released. If the list
 * cannot be read, it may well exist. */
static bool exists(const struct model *m, const struct trace_exec *e, const struct co_info *info)
{
	if (e->since > m->t)
		return false;
	return e->kind != EXEC_COROUTINE || info || m->table.problem || !m->table.env;
}

static void name_exec(struct exec *e)
{
	static const char *const names[] = { "main", "co", "copier", "context" };

	if (e->trace->name[0])
		snprintf(e->name, sizeof(e->name), "%s", e->trace->name);
	else if (e->info && e->info->name[0])
		snprintf(e->name, sizeof(e->name), "%s", e->info->name);
	else if (e->trace->kind == EXEC_MAIN || e->trace->kind == EXEC_COPIER)
		snprintf(e->name, sizeof(e->name), "%s", names[e->trace->kind]);
	else
		snprintf(e->name, sizeof(e->name), "%s %u", names[e->trace->kind & 3],
			 e->trace->kind == EXEC_COROUTINE ? e->trace->id : e->number);
}

static void find_stack(const struct model *m, struct exec *e)
{
	struct regs saved;

	e->lo = e->trace->lo;
	e->hi = e->trace->hi;
	if (e->info && e->info->hi) {
		e->lo = e->info->lo;
		/* Of main's stack, what the program uses: above it lie its arguments and its
		 * environment, which are others in every run. */
		if (!e->info->is_main || e->hi <= e->lo || e->hi > e->info->hi)
			e->hi = e->info->hi;
	}
	if (e->is_on_cpu)
		e->rsp = m->state.regs.r[REG_RSP];
	else if (m->layout && layout_ctx_read(m->layout, e->trace->ctx, &saved, memory_read,
					      (void *)(uintptr_t)&m->state.memory))
		e->rsp = saved.r[REG_RSP];
	e->is_out = e->info && e->info->save_len > 0 && !e->is_on_cpu;
}

static bool list_execs(struct model *m)
{
	size_t n;
	const struct trace_exec *all = trace_execs(m->trace, &n);

	m->n_execs = 0;
	for (size_t i = 0; i < n; i++) {
		const struct co_info *info = info_of(m, &all[i]);
		if (!exists(m, &all[i], info) && i != m->current)
			continue;
		if (!model_reserve((void **)&m->execs, &m->own->room_execs, m->n_execs + 1, sizeof(m->execs[0])))
			return false;
		struct exec *e = &m->execs[m->n_execs++];
		*e = (struct exec){ .number = (uint32_t)i, .trace = &all[i], .info = info, .state = "" };
		if (info)
			e->state = info->state < CO_DEBUG_STATES ? m->layout->table.states[info->state] : "?";
		e->is_on_cpu = i == m->current;
		name_exec(e);
		find_stack(m, e);
	}
	return true;
}

const struct exec *model_exec(const struct model *m, uint32_t number)
{
	size_t lo = 0, hi = m->n_execs;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;
		if (m->execs[middle].number < number)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo < m->n_execs && m->execs[lo].number == number ? &m->execs[lo] : NULL;
}

/* Before the first swap, whom the library calls running; without a library, main. */
static uint32_t find_current(const struct model *m)
{
	uint32_t current = model_current_by_swaps(m, m->t), first_main = NO_EXEC;
	size_t n;
	const struct trace_exec *all = trace_execs(m->trace, &n);

	if (current != NO_EXEC)
		return current;
	for (size_t i = n; i-- > 0;) {
		if (all[i].since <= m->t && all[i].co && all[i].co == m->table.running && info_of(m, &all[i]))
			return (uint32_t)i;
		if (all[i].kind == EXEC_MAIN)
			first_main = (uint32_t)i;
	}
	return first_main;
}

/* --- the swap we are in, or the last one --------------------------------------------------- */

static void find_swap(struct model *m)
{
	m->swap = model_swap_at(m, m->t);
	m->is_in_swap = false;
	m->from = m->current;
	m->to = NO_EXEC;
	if (m->swap < 0)
		return;
	const struct swap *s = &m->swaps[m->swap];
	m->is_in_swap = s->arrival ? m->t < s->arrival : (size_t)m->swap + 1 == m->n_swaps;
	m->from = s->from;
	m->to = s->to;
}

/* --- instructions ---------------------------------------------------------------------------- */

static void decode_at(const struct model *m, uint64_t addr, struct insn *insn, struct source_line *line)
{
	uint8_t code[16];
	size_t len = m->symbols ? symbols_code(m->symbols, addr, code, sizeof(code)) : 0;

	memset(insn, 0, sizeof(*insn));
	memset(line, 0, sizeof(*line));
	while (len < sizeof(code) && memory_read((void *)(uintptr_t)&m->state.memory, addr + len, code + len, 1))
		len++; /* code that is in no file, if it was recorded */
	if (len == 0 || !decode(code, len, addr, insn))
		memset(insn, 0, sizeof(*insn));
	if (m->symbols && !source_at(m->symbols, addr, line))
		memset(line, 0, sizeof(*line));
}

static void decode_both(struct model *m)
{
	m->done_at = 0;
	memset(&m->done, 0, sizeof(m->done));
	memset(&m->done_line, 0, sizeof(m->done_line));
	if (m->t > 0 && !(m->state.flags & STEP_IS_GAP)) {
		m->done_at = m->state.regs_before.r[REG_RIP];
		decode_at(m, m->done_at, &m->done, &m->done_line);
	}
	decode_at(m, m->state.regs.r[REG_RIP], &m->next, &m->next_line);
}

/* --- going there -------------------------------------------------------------------------------- */

static void forget_caches(struct model *m)
{
	m->own->has_ranges = false;
	for (size_t i = 0; i < m->own->n_frames; i++)
		free(m->own->frames[i]);
	m->own->n_frames = 0;
}

/* Everything about t, once the state is there. */
static bool look(struct model *m)
{
	forget_caches(m);
	m->t = m->state.step;
	co_table_read(&m->table, m->layout, trace_info(m->trace)->tid, memory_read, &m->state.memory);
	m->current = find_current(m);
	bool is_listed = list_execs(m);
	find_swap(m);
	decode_both(m);
	return is_listed;
}

int model_seek(struct model *m, uint64_t t)
{
	if (t > m->last)
		t = m->last;
	if (m->state.is_valid && m->t == t && m->state.step == t)
		return 0;
	if (trace_seek(m->trace, &m->state, t) != 0)
		return -1;
	if (look(m))
		return 0;
	errno = ENOMEM;
	return -1;
}

/* --- opening ------------------------------------------------------------------------------------- */

static void add_maps(struct model *m)
{
	size_t n;
	const struct trace_map *maps = trace_maps(m->trace, &n);

	if (n == m->own->n_maps || !m->symbols)
		return;
	for (; m->own->n_maps < n; m->own->n_maps++) {
		const struct trace_map *map = &maps[m->own->n_maps];
		symbols_add_map(m->symbols, map->path, map->lo, map->hi, map->offset);
	}
	symbols_ready(m->symbols);
}

void model_refresh(struct model *m)
{
	m->last = trace_last(m->trace);
	add_maps(m);
	model_read_swaps(m);
	look(m); /* arrays of the trace have moved */
}

static struct model *give_up(struct model *m, char **why)
{
	model_free(m);
	if (!*why)
		*why = strdup("there is not enough memory for this trace");
	return NULL;
}

struct model *model_open(const char *path, char **why)
{
	struct model *m = calloc(1, sizeof(*m));

	*why = NULL;
	if (!m || !(m->own = calloc(1, sizeof(*m->own))))
		return give_up(m, why);
	m->own->left_swap = -1;
	m->trace = trace_open(path, why);
	if (!m->trace || !(m->symbols = symbols_new()))
		return give_up(m, why);
	add_maps(m);
	if (trace_info(m->trace)->has_layout) {
		m->own->layout = trace_info(m->trace)->layout;
		m->layout = &m->own->layout;
	}
	m->last = trace_last(m->trace);
	if (!model_read_swaps(m) || model_seek(m, 0) != 0)
		return give_up(m, why);
	return m;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	if (m->own) {
		forget_caches(m);
		free(m->own->frames);
		free(m->own->ranges);
		free(m->own->checks);
		free(m->own->last_left);
	}
	free(m->own);
	free(m->execs);
	free(m->swaps);
	co_table_free(&m->table);
	trace_state_free(&m->state);
	symbols_free(m->symbols);
	trace_free(m->trace);
	free(m);
}
