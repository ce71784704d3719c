/* SPDX-License-Identifier: MIT */
/* Instructions that move registers and stacks between executions. */
#include <stdio.h>
#include <string.h>

#include "sentence.h"

/* --- into a context ------------------------------------------------------------------ */

/* A register's value goes into the context of @e, where @r of it is kept. */
static bool say_saved(struct sentence *s, const struct exec *e, enum reg r, uint64_t value)
{
	const struct model *m = s->m;
	const struct insn *insn = &m->done;
	struct words w;

	value_words(m, value, &w);
	if (r == REG_MXCSR)
		add(s, "Saved in %s's context: the SSE settings, mxcsr (%s).", e->name, w.text);
	else if (r == REG_X87CW)
		add(s, "Saved in %s's context: the x87 settings (%s).", e->name, w.text);
	else if (r == REG_RIP)
		add(s, "Saved in %s's context as rip: where %s will go on, %s.", e->name, e->name, w.text);
	else if (r == REG_RSP && e->number == m->current && value == reg_before(m, REG_RSP) + 8)
		add(s, "Saved in %s's context: rsp as it will be once the switch has returned (%s).", e->name, w.text);
	else if (insn->from == r && e->number == m->current)
		add(s, "Saved in %s's context: its %s (%s), which it wants back unchanged.", e->name, reg_names[r], w.text);
	else if (insn->from != REG_NONE && insn->from != r)
		add(s, "%s is written to %s's context as its %s (%s).", reg_names[insn->from], e->name, reg_names[r], w.text);
	else
		add(s, "%s's context gets its %s: %s.", e->name, reg_names[r], w.text);
	return true;
}

/* --- out of one ---------------------------------------------------------------------- */

/* From here on another stack: that of the execution that @e's context belongs to. */
static bool say_stack_changed(struct sentence *s, const struct exec *e)
{
	const struct model *m = s->m;
	uint32_t owner = model_owner(m, reg_now(m, REG_RSP));
	const char *name = owner == NO_EXEC ? e->name : who(m, owner);

	add(s, "rsp is loaded from %s's context: from this instruction on we stand on %s's stack.", e->name, name);
	return true;
}

static bool say_loaded(struct sentence *s, const struct exec *e, enum reg r)
{
	const struct model *m = s->m;
	enum reg to = m->done.to;
	uint64_t old = reg_before(m, to), new = reg_now(m, to);
	struct words a, b;

	value_words(m, old, &a);
	value_words(m, new, &b);
	if (to == REG_RSP && r == REG_RSP)
		return say_stack_changed(s, e);
	if (r == REG_RIP)
		add(s, "%s: where %s is to go on, %s, from its context.", reg_names[to], e->name, b.text);
	else if (to != r && (r == REG_MXCSR || r == REG_X87CW))
		add(s, "%s: the %s settings in %s's context (%s).", reg_names[to], r == REG_MXCSR ? "SSE" : "x87", e->name,
		    b.text);
	else if (to != r)
		add(s, "%s: the %s in %s's context (%s).", reg_names[to], reg_names[r], e->name, b.text);
	else if (old == new)
		add(s, "%s is loaded from %s's context: it held the same already (%s).", reg_names[r], e->name, b.text);
	else
		add(s, "%s is loaded from %s's context: %s → %s.", reg_names[r], e->name, a.text, b.text);
	return true;
}

/* --- the last jump -------------------------------------------------------------------- */

/* Has it ever been switched away from? */
static bool has_left(const struct model *m, uint32_t number)
{
	for (size_t i = 0; i < m->n_swaps && m->swaps[i].entry < m->t; i++)
		if (m->swaps[i].from == number)
			return true;
	return false;
}

static bool say_arrival(struct sentence *s, const struct trace_event *arrive)
{
	const struct model *m = s->m;
	uint64_t rip = reg_now(m, REG_RIP);
	struct symbol symbol;
	struct words w;

	if (m->symbols && symbol_at(m->symbols, rip, &symbol) && strcmp(symbol.name, "__morestack") == 0)
		add(s, "The jump to the entry trampoline: %s begins.", who(m, arrive->who));
	else if (!has_left(m, arrive->who))
		add(s, "The jump to %s: %s begins.", value_words(m, rip, &w), who(m, arrive->who));
	else
		add(s, "The %s to %s: %s goes on where it left off.", m->done.kind == INSN_RETURN ? "return" : "jump",
		    value_words(m, rip, &w), who(m, arrive->who));
	return true;
}

/* --- is a setting loaded, or left out? -------------------------------------------------- */

/* A branch around the instruction that loads a control word. */
static bool say_settings(struct sentence *s)
{
	struct model *m = s->m;
	uint64_t behind = m->done_at + m->done.len;
	uint8_t code[16];
	struct insn skipped;
	size_t len = m->symbols ? symbols_code(m->symbols, behind, code, sizeof code) : 0;

	if (!len || !decode(code, len, behind, &skipped) || (skipped.to != REG_MXCSR && skipped.to != REG_X87CW))
		return false;

	const char *which = skipped.to == REG_MXCSR ? "SSE" : "x87";

	if (reg_now(m, REG_RIP) == behind)
		add(s, "The %s settings differ: the branch is not taken, they will be loaded.", which);
	else
		add(s, "Both have the same %s settings: the branch is taken, nothing is loaded.", which);
	return true;
}

/* --- bytes of a stack that are copied away and back --------------------------------------- */

/* The copy that is under way, out or back: its end is an event. NULL: none. */
static const struct trace_event *end_of_copy(const struct model *m, uint32_t number)
{
	enum { FAR_ENOUGH = 100 };
	const struct trace_event *end, *e = events_from(m, m->t, &end);

	for (int i = 0; e < end && i < FAR_ENOUGH; e++, i++)
		if (e->who == number && (e->kind == EVENT_SAVE || e->kind == EVENT_RESTORE))
			return e;
	return NULL;
}

static bool say_copied(struct sentence *s, uint64_t addr, uint64_t size)
{
	const struct model *m = s->m;
	uint64_t rsp = reg_now(m, REG_RSP);

	for (size_t i = 0; i < m->n_execs; i++) {
		const struct exec *e = &m->execs[i];
		const struct trace_event *copy;
		uint64_t at;

		/* Whoever stands on that stack writes to it as to any other. */
		if (!e->info || !e->hi || !e->info->save_buffer || (rsp > e->lo && rsp <= e->hi))
			continue;

		bool is_back = e->info->save_len && addr < e->hi && e->hi - addr <= e->info->save_len;

		at = is_back ? addr - (e->hi - e->info->save_len) : addr - e->info->save_buffer;
		if (at >= e->hi - e->lo || !(copy = end_of_copy(m, e->number)) || at >= copy->value
		    || (copy->kind == EVENT_RESTORE) != is_back)
			continue;
		add(s, is_back ? "Copied back onto %s's stack" : "Copied from %s's stack into its save_buffer", e->name);
		add(s, ": bytes %llu to %llu of %llu.", (unsigned long long)at, (unsigned long long)(at + size),
		    (unsigned long long)copy->value);
		return true;
	}
	return false;
}

bool say_switching(struct sentence *s)
{
	const struct model *m = s->m;
	const struct trace_event *arrive = event_at(m, EVENT_ARRIVE);
	const struct insn_mem *mem;
	const struct exec *e;
	uint64_t addr, value;
	enum reg r;

	if (arrive)
		return say_arrival(s, arrive);
	if (m->done.kind == INSN_BRANCH)
		return say_settings(s);
	if ((mem = operand_written(m, &addr))) {
		if ((e = context_at(m, addr, &r)) && bytes_now(m, addr, mem->size, &value))
			return say_saved(s, e, r, value);
		if (m->done.kind != INSN_CALL && m->done.kind != INSN_PUSH)
			return say_copied(s, addr, mem->size);
	}
	if (m->done.kind == INSN_MOVE && m->done.to != REG_NONE && (mem = operand_read(m, &addr))
	    && (e = context_at(m, addr, &r)))
		return say_loaded(s, e, r);
	if (event_at(m, EVENT_RSP) && m->current != NO_EXEC) {
		add(s, "rsp changes hands: from this instruction on we stand on %s's stack.", who(m, m->current));
		return true;
	}
	return false;
}
