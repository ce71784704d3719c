/* SPDX-License-Identifier: MIT */
/*
 * How an address is written, and in which colour: by what it belongs to, in the order in
 * which a reader of a coroutine library asks. Whose stack, whose context, whose struct;
 * then which function, which file, the heap. What is left is a number.
 *
 * So a screen is the same in every run, wherever the kernel has put things.
 */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	SMALLEST_ADDRESS = 0x1000,
	BSS_MOST = 1 << 16,        /* bytes behind a library's last map */
	ARGUMENTS_MOST = 1 << 20,  /* bytes above main's stack */
	ASK_AT_MOST = 64,          /* execs, for one value */
};
#define MAIN_STACKS_ARE_ABOVE 0x7f0000000000UL

/* Where among the structs of @e @value points to: "C1.rbx", "co1+0x50", "B1+0x10". */
static bool struct_text(const struct model *m, const struct exec *e, uint64_t value, char *text, size_t len)
{
	uint64_t ctx = e->trace ? e->trace->ctx : 0;

	if (m->layout && ctx != 0 && value >= ctx && value - ctx < layout_ctx_size(m->layout)) {
		snprintf(text, len, value == ctx ? "C%" PRIu32 : "C%" PRIu32 "+0x%" PRIx64, e->number, value - ctx);
		for (int r = 0; value != ctx && r < N_REGS; r++)
			if (layout_ctx_field(m->layout, ctx, (enum reg)r) == value)
				snprintf(text, len, "C%" PRIu32 ".%s", e->number, reg_names[r]);
		return true;
	}
	if (!e->info)
		return false;
	uint64_t co = e->info->co;
	if (m->layout && co != 0 && value >= co && (value == co || value - co < m->layout->size[L_CO])) {
		snprintf(text, len, value == co ? "co%" PRIu32 : "co%" PRIu32 "+0x%" PRIx64, e->number, value - co);
		return true;
	}
	if (e->info->save_buffer == 0 || value < e->info->save_buffer)
		return false;
	if (value - e->info->save_buffer >= (e->info->save_len ? e->info->save_len : 1))
		return false;
	snprintf(text, len, "B%" PRIu32 "+0x%" PRIx64, e->number, value - e->info->save_buffer);
	return true;
}

/* Whose struct it is; NULL: nobody's. Of many execs only the first are asked, and the two
 * who are shown. */
static const struct exec *struct_of(const struct model *m, uint64_t value, char *text, size_t len)
{
	for (int side = 0; side < 2; side++) {
		const struct exec *e = model_exec(m, side ? m->to : m->from);

		if (e && struct_text(m, e, value, text, len))
			return e;
	}
	for (size_t i = 0; i < m->n_execs && i < ASK_AT_MOST; i++)
		if (struct_text(m, &m->execs[i], value, text, len))
			return &m->execs[i];
	return NULL;
}

/* "libc.so.6+0x1d2a10": in a file that is mapped, where no symbol is, or right behind its
 * last map: the data that are zero at the start are in no file. */
static bool file_text(struct model *m, uint64_t value, char *text, size_t len)
{
	size_t n = 0;
	const struct trace_map *maps = m->trace ? trace_maps(m->trace, &n) : NULL, *in = NULL;
	const char *program = m->trace ? trace_info(m->trace)->program : NULL;
	uint64_t base = value;

	for (size_t i = 0; i < n; i++)
		if (maps[i].path && maps[i].lo <= value && value - maps[i].lo < maps[i].hi - maps[i].lo + BSS_MOST &&
		    (!in || maps[i].lo > in->lo))
			in = &maps[i];
	if (!in || (value >= in->hi && (!program || strcmp(in->path, program) == 0)))
		return false; /* behind the program itself lies the heap */
	for (size_t i = 0; i < n; i++)
		if (maps[i].path && maps[i].lo < base && strcmp(maps[i].path, in->path) == 0)
			base = maps[i].lo;
	snprintf(text, len, "%s+0x%" PRIx64, base_name(in->path), value - base);
	return true;
}

static bool is_on_stack(const struct exec *e, uint64_t value)
{
	return e && e->hi != 0 && e->lo <= value && value <= e->hi;
}

/* On whose stack @value lies, for one who looks at @home (NULL: at nobody): on a shared
 * stack, an address that @home has is one of its own, whoever is there now. */
static const struct exec *stack_of(const struct model *m, const struct exec *home, uint64_t value)
{
	uint32_t owner;

	if (value < SMALLEST_ADDRESS)
		return NULL;
	if (is_on_stack(home, value))
		return home;
	owner = model_owner(m, value);
	if (owner != NO_EXEC)
		return model_exec(m, owner);
	/* a shared stack between two who use it */
	for (int side = 0; side < 2; side++) {
		const struct exec *e = model_exec(m, side ? m->from : m->to);

		if (is_on_stack(e, value))
			return e;
	}
	for (size_t i = 0; i < m->n_execs && i < ASK_AT_MOST; i++)
		if (m->execs[i].lo != 0 && is_on_stack(&m->execs[i], value))
			return &m->execs[i];
	return NULL;
}

static bool stack_text(struct model *m, const struct exec *home, uint64_t value, char *text, size_t len)
{
	const struct exec *e = stack_of(m, home, value), *first = m->n_execs > 0 ? &m->execs[0] : NULL;

	if (e && value == e->hi)
		snprintf(text, len, "S%" PRIu32, e->number);
	else if (e && value < e->hi)
		snprintf(text, len, "S%" PRIu32 "-0x%" PRIx64, e->number, e->hi - value);
	else if (!e && first && first->number == 0 && first->hi > MAIN_STACKS_ARE_ABOVE && value > first->hi &&
		 value - first->hi < ARGUMENTS_MOST)
		snprintf(text, len, "S0+0x%" PRIx64, value - first->hi); /* main's arguments and environment */
	else
		return false;
	return true;
}

static bool symbolic(struct model *m, const struct exec *home, uint64_t value, char *text, size_t len)
{
	struct symbol found;
	uint64_t offset;

	if (stack_text(m, home, value, text, len))
		return true;
	if (struct_of(m, value, text, len))
		return true;
	if (m->symbols && symbol_at(m->symbols, value, &found)) {
		symbol_text(m->symbols, value, text, len);
		return true;
	}
	if (file_text(m, value, text, len))
		return true;
	if (!m->symbols || !symbols_heap(m->symbols, value, &offset))
		return false;
	snprintf(text, len, "heap+0x%" PRIx64, offset);
	return true;
}

char *address_text_at(struct model *m, const struct ui *ui, const struct exec *home, uint64_t value, char *text, size_t len)
{
	/* What is too small to be an address is a number. */
	if (value < 10)
		snprintf(text, len, "%" PRIu64, value);
	else if (!ui->is_raw && value >= (uint64_t)-SMALLEST_ADDRESS)
		snprintf(text, len, "%" PRId64, (int64_t)value); /* -1, -ENOSYS */
	else if (ui->is_raw || value < SMALLEST_ADDRESS || !symbolic(m, home, value, text, len))
		snprintf(text, len, "0x%" PRIx64, value);
	return text;
}

char *address_text(struct model *m, const struct ui *ui, uint64_t value, char *text, size_t len)
{
	return address_text_at(m, ui, NULL, value, text, len);
}

int value_role_at(struct model *m, const struct exec *home, uint64_t value)
{
	const struct exec *e = stack_of(m, home, value);
	char text[64];

	if (!e && value >= SMALLEST_ADDRESS)
		e = struct_of(m, value, text, sizeof text);
	return e ? exec_role(e->number) : ROLE_TEXT;
}

int value_role(struct model *m, uint64_t value)
{
	return value_role_at(m, NULL, value);
}
