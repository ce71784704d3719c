/* SPDX-License-Identifier: MIT */
/*
 * Who is who. An execution is known by the address of its context; a coroutine by its id,
 * too, for memory is used again. Numbers are given in the order of appearance.
 *
 * Contexts that no table has: main's before there is an environment; the copier of a
 * shared stack, which is a struct like the head of a coroutine's, so its stack is found as
 * theirs are; and those that a program makes by hand (lessons 1 and 2), whose stack is the
 * object, or the map, that the saved rsp points into.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps.h"
#include "recorder.h"

enum {
	ABOVE_RSP = 256,              /* of a stack whose top nobody tells */
	BELOW_RSP = 8 * 1024 * 1024,
};

/* --- the list ------------------------------------------------------------------------ */

static size_t slot_of(const struct known_execs *e, uint64_t ctx)
{
	size_t i = (size_t)(ctx * 0x9e3779b97f4a7c15u >> 32) & (e->slots - 1);

	while (e->by_ctx[i] && e->all[e->by_ctx[i] - 1].trace.ctx != ctx)
		i = (i + 1) & (e->slots - 1);
	return i;
}

static int grow_slots(struct known_execs *e)
{
	size_t slots = e->slots ? 2 * e->slots : 64;
	uint32_t *by_ctx = calloc(slots, sizeof(*by_ctx));

	if (!by_ctx)
		return -1;
	free(e->by_ctx);
	e->by_ctx = by_ctx;
	e->slots = slots;
	for (size_t i = 0; i < e->n; i++)
		if (e->all[i].trace.ctx)
			e->by_ctx[slot_of(e, e->all[i].trace.ctx)] = (uint32_t)i + 1;
	return 0;
}

static uint32_t find(const struct known_execs *e, uint64_t ctx)
{
	return e->slots && ctx ? e->by_ctx[slot_of(e, ctx)] - 1 : NO_EXEC; /* 0 - 1: NO_EXEC */
}

static void write_exec(struct recorder *r, uint32_t number)
{
	if (r->writer)
		trace_add_exec(r->writer, number, &r->execs.all[number].trace); /* an error comes again, at the next step */
}

static uint32_t add(struct recorder *r, struct trace_exec exec)
{
	struct known_execs *e = &r->execs;

	if (e->n >= EXECS_MAX)
		return NO_EXEC;
	if (e->n == e->room) {
		size_t room = e->room ? 2 * e->room : 16;
		struct known_exec *grown = realloc(e->all, room * sizeof(*grown));
		if (!grown)
			return NO_EXEC;
		e->all = grown;
		e->room = room;
	}
	if (2 * e->n >= e->slots && grow_slots(e) != 0)
		return NO_EXEC;
	uint32_t number = (uint32_t)e->n++;
	exec.since = r->writer ? trace_written_steps(r->writer) : 0;
	e->all[number] = (struct known_exec){ .trace = exec, .is_new = number > 0 };
	if (exec.ctx)
		e->by_ctx[slot_of(e, exec.ctx)] = number + 1;
	write_exec(r, number);
	return number;
}

void execs_free(struct known_execs *e)
{
	free(e->all);
	free(e->by_ctx);
	*e = (struct known_execs){ 0 };
}

/* --- those of a table ------------------------------------------------------------------ */

static enum exec_kind kind_of(const struct co_info *co)
{
	return co->is_main ? EXEC_MAIN : EXEC_COROUTINE;
}

/* What the table says of @co, as the trace has it. */
static struct trace_exec told(const struct recorder *r, const struct co_info *co)
{
	struct trace_exec exec = { .ctx = co->ctx, .co = co->co, .kind = (uint32_t)kind_of(co), .id = co->id };

	snprintf(exec.name, sizeof(exec.name), "%s", co->name);
	if (co->is_main && r->execs.n > 0) { /* its own bounds are those of the whole map */
		exec.lo = r->execs.all[0].trace.lo;
		exec.hi = r->execs.all[0].trace.hi;
	}
	return exec;
}

static bool is_same(const struct trace_exec *a, const struct trace_exec *b)
{
	return a->ctx == b->ctx && a->co == b->co && a->lo == b->lo && a->hi == b->hi && a->kind == b->kind &&
	       a->id == b->id && strcmp(a->name, b->name) == 0;
}

/* Number @number turns out to be @exec. */
static void become(struct recorder *r, uint32_t number, struct trace_exec exec)
{
	struct trace_exec *is = &r->execs.all[number].trace;

	exec.since = is->since;
	if (is_same(is, &exec))
		return;
	*is = exec;
	if (exec.ctx)
		r->execs.by_ctx[slot_of(&r->execs, exec.ctx)] = number + 1;
	write_exec(r, number);
}

uint32_t execs_of_co(struct recorder *r, const struct co_info *co)
{
	uint32_t number = find(&r->execs, co->ctx);
	struct trace_exec exec = told(r, co);

	if (number == NO_EXEC && co->is_main && r->execs.n > 0 && !r->execs.all[0].trace.ctx)
		number = 0; /* it was main, but had no context yet */
	if (number == NO_EXEC)
		return add(r, exec);
	const struct trace_exec *is = &r->execs.all[number].trace;
	if (is->co && (is->co != co->co || is->id != co->id)) {
		/* The memory of one that was released. The slot leads to the new one. */
		uint32_t newer = add(r, exec);
		return newer;
	}
	become(r, number, exec);
	return number;
}

void execs_refresh(struct recorder *r)
{
	const struct co_table *t = &r->track.table, *before = &r->track.before;

	for (size_t i = 0; i < t->n; i++) {
		const struct co_info *was = i < before->n ? &before->cos[i] : NULL, *co = &t->cos[i];
		if (!was || was->co != co->co || was->id != co->id || strcmp(was->name, co->name) != 0)
			execs_of_co(r, co);
	}
}

/* --- those of none --------------------------------------------------------------------- */

static uint64_t ctx_value(struct recorder *r, uint64_t ctx, enum reg reg)
{
	uint64_t at = r->has_layout ? layout_ctx_field(&r->layout, ctx, reg) : 0, value = 0;

	return at && target_read(&r->target, at, &value, sizeof(value)) ? value : 0;
}

/* A copier begins as a coroutine's struct does: context, stack, link. If there is a stack
 * where a coroutine's would be, and rsp is on it, this is one. */
static bool find_copier_stack(struct recorder *r, uint64_t ctx, uint64_t rsp, uint64_t *lo, uint64_t *hi)
{
	const struct layout *l = &r->layout;
	uint64_t stack, bounds[2];

	if (!r->has_layout || !l->has_coroutines)
		return false;
	if (!target_read(&r->target, ctx + (l->offset[L_CO_STACK] - l->offset[L_CO_CTX]), &stack, 8) ||
	    !target_read(&r->target, stack + l->offset[L_STACK_LO], &bounds[0], 8) ||
	    !target_read(&r->target, stack + l->offset[L_STACK_HI], &bounds[1], 8))
		return false;
	*lo = bounds[0];
	*hi = bounds[1];
	return *lo < rsp && rsp <= *hi;
}

/* @is_new: it has not run, so nothing is on it. */
static void find_bare_stack(struct recorder *r, uint64_t rsp, bool is_new, uint64_t *lo, uint64_t *hi)
{
	struct symbol object;

	if (rsp == 0)
		return;
	if (r->symbols && symbol_at(r->symbols, rsp - 1, &object) && !object.is_function && object.hi > object.lo) {
		*lo = object.lo;
		*hi = object.hi;
		return;
	}
	*lo = rsp > BELOW_RSP ? rsp - BELOW_RSP : 0;
	*hi = rsp + (is_new ? 0 : ABOVE_RSP);
	maps_clip(r->target.pid, rsp - 1, lo, hi);
}

/* Will it begin in the entry trampoline? */
static bool is_bare_new(struct recorder *r, uint64_t ctx)
{
	uint64_t rip = ctx_value(r, ctx, REG_RIP);

	return rip >= r->trampoline.lo && rip < r->trampoline.hi;
}

static struct trace_exec bare_exec(struct recorder *r, uint64_t ctx)
{
	struct trace_exec exec = { .ctx = ctx, .kind = EXEC_BARE };
	uint64_t rsp = ctx_value(r, ctx, REG_RSP);
	struct symbol symbol;

	if (find_copier_stack(r, ctx, rsp, &exec.lo, &exec.hi)) {
		exec.kind = EXEC_COPIER;
		snprintf(exec.name, sizeof(exec.name), "copier");
	} else {
		exec.lo = exec.hi = 0;
		find_bare_stack(r, rsp, is_bare_new(r, ctx), &exec.lo, &exec.hi);
		if (r->symbols && symbol_at(r->symbols, ctx, &symbol) && !symbol.is_function)
			symbol_text(r->symbols, ctx, exec.name, sizeof(exec.name));
	}
	return exec;
}

static bool is_known(const struct recorder *r, uint64_t ctx)
{
	return co_table_by_ctx(&r->track.table, ctx) || find(&r->execs, ctx) != NO_EXEC;
}

/* Backtraces go on from the trampoline by the word at rbx, whose value there is that of the
 * beginning. */
static void track_bare(struct recorder *r, uint64_t ctx, uint64_t lo, uint64_t hi)
{
	uint64_t link = is_bare_new(r, ctx) ? ctx_value(r, ctx, REG_RBX) : 0;

	track_context(&r->track, (struct track_context){ ctx, lo, hi, link });
}

void execs_foresee(struct recorder *r)
{
	uint64_t ctxs[] = { r->regs.r[REG_RDI], r->regs.r[REG_RSI] };

	if (!r->coctx_swap.lo || r->regs.r[REG_RIP] != r->coctx_swap.lo)
		return;
	for (int i = 0; i < 2; i++) {
		if (is_known(r, ctxs[i]))
			continue;
		struct trace_exec exec = bare_exec(r, ctxs[i]);
		track_bare(r, ctxs[i], exec.lo, exec.hi);
	}
}

static uint32_t add_bare(struct recorder *r, uint64_t ctx)
{
	struct trace_exec exec = bare_exec(r, ctx);

	track_bare(r, ctx, exec.lo, exec.hi);
	return add(r, exec);
}

uint32_t execs_of_ctx(struct recorder *r, uint64_t ctx)
{
	const struct co_info *co = co_table_by_ctx(&r->track.table, ctx);
	uint32_t number;

	if (co)
		return execs_of_co(r, co);
	number = find(&r->execs, ctx);
	return number != NO_EXEC ? number : add_bare(r, ctx);
}

void execs_name_current(struct recorder *r, uint64_t ctx)
{
	if (r->current == NO_EXEC || r->execs.all[r->current].trace.ctx || find(&r->execs, ctx) != NO_EXEC ||
	    co_table_by_ctx(&r->track.table, ctx))
		return;
	struct trace_exec exec = r->execs.all[r->current].trace;
	exec.ctx = ctx;
	become(r, r->current, exec);
	track_context(&r->track, (struct track_context){ ctx, exec.lo, exec.hi, 0 });
}

uint32_t execs_first(struct recorder *r)
{
	struct trace_exec exec = { .kind = EXEC_MAIN, .name = "main", .lo = r->track.clip_lo, .hi = r->track.clip_hi };

	return add(r, exec);
}

/* --- where are we? --------------------------------------------------------------------- */

uint32_t execs_locate(struct recorder *r)
{
	const struct co_table *t = &r->track.table;
	const struct co_info *running = co_table_by_co(t, t->running), *found = NULL;
	uint64_t rsp = r->regs.r[REG_RSP];

	if (rsp > r->track.clip_lo && rsp <= r->track.clip_hi)
		return 0;
	if (running && !running->is_main && running->save_len == 0 && rsp > running->lo && rsp <= running->hi)
		found = running;
	for (size_t i = 0; i < t->n && !found; i++)
		if (!t->cos[i].is_main && t->cos[i].save_len == 0 && rsp > t->cos[i].lo && rsp <= t->cos[i].hi)
			found = &t->cos[i];
	if (found)
		return execs_of_co(r, found);
	for (size_t i = 0; i < r->execs.n; i++)
		if (r->execs.all[i].trace.kind >= EXEC_COPIER && rsp > r->execs.all[i].trace.lo &&
		    rsp <= r->execs.all[i].trace.hi)
			return (uint32_t)i;
	return r->current;
}
