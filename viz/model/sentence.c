/* SPDX-License-Identifier: MIT */
/* Words for values and places. */
#include "sentence.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How many of @n bytes of UTF-8 make whole characters. */
static size_t whole_characters(const char *text, size_t n)
{
	size_t begin = n;

	while (begin > 0 && (text[begin - 1] & 0xc0) == 0x80)
		begin--;
	if (begin == 0)
		return n;

	uint8_t lead = (uint8_t)text[begin - 1];
	size_t len = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	return begin - 1 + len <= n ? n : begin - 1;
}

void add(struct sentence *s, const char *format, ...)
{
	va_list args;
	int n;

	if (s->n + 1 >= s->len)
		return;
	va_start(args, format);
	n = vsnprintf(s->text + s->n, s->len - s->n, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < s->len - s->n) {
		s->n += (size_t)n;
	} else if (n > 0) {
		s->n = whole_characters(s->text, s->len - 1);
		s->text[s->n] = 0;
		s->len = s->n + 1; /* full */
	}
}

const char *who(const struct model *m, uint32_t number)
{
	const struct exec *e = number == NO_EXEC ? NULL : model_exec(m, number);
	size_t n;
	const struct trace_exec *execs = trace_execs(m->trace, &n);

	if (e)
		return e->name;
	return number < n && *execs[number].name ? execs[number].name : "somebody";
}

/* As the panes write it, so that one finds it there. False: no name for it. */
static bool address_words(const struct model *m, uint64_t addr, struct words *w)
{
	uint32_t owner = addr < 0x1000 ? NO_EXEC : model_owner(m, addr);
	const struct exec *e = owner == NO_EXEC ? NULL : model_exec(m, owner);
	uint64_t offset;

	if (addr < 0x1000) /* a number, whatever is mapped there */
		return false;
	model_describe(m, addr, w->text, sizeof w->text);
	if (e && e->hi && addr <= e->hi && strstr(w->text, "'s stack")) {
		if (addr == e->hi)
			snprintf(w->text, sizeof w->text, "S%u", (unsigned)owner);
		else
			snprintf(w->text, sizeof w->text, "S%u-0x%llx", (unsigned)owner, (unsigned long long)(e->hi - addr));
	}
	if (!*w->text && m->symbols && symbols_heap(m->symbols, addr, &offset))
		snprintf(w->text, sizeof w->text, "heap+0x%llx", (unsigned long long)offset);
	return *w->text;
}

const char *value_words(const struct model *m, uint64_t value, struct words *w)
{
	if (value < 10)
		snprintf(w->text, sizeof w->text, "%u", (unsigned)value);
	else if (!address_words(m, value, w))
		snprintf(w->text, sizeof w->text, "0x%llx", (unsigned long long)value);
	return w->text;
}

/* A place on the stack that the debug information, or the call frame information, has a
 * name for: a variable, the return address. */
static bool frame_words(const struct model *m, uint64_t addr, struct words *w)
{
	struct regs regs = m->state.regs_before;
	struct frame frame;
	struct symbol function;
	const char *name, *why;
	struct words where;
	char variable[48];

	if (!m->symbols || !m->done.len || model_owner(m, addr) == NO_EXEC)
		return false;
	regs.r[REG_RIP] = m->done_at;
	if (symbols_variable(m->symbols, &regs, addr, variable, sizeof variable, &name)) {
		snprintf(w->text, sizeof w->text, "%.30s's variable %s", name, variable);
		return true;
	}
	if (unwind(m->symbols, &regs, memory_read, (void *)&m->state.memory, &frame, 1, &why) != 1 || frame.return_at != addr
	    || !addr || !symbol_at(m->symbols, m->done_at, &function))
		return false;
	address_words(m, addr, &where);
	snprintf(w->text, sizeof w->text, "%.30s's return address (%.30s)", function.name, where.text);
	return true;
}

const char *place_words(const struct model *m, uint64_t addr, struct words *w)
{
	if (!frame_words(m, addr, w) && !address_words(m, addr, w))
		snprintf(w->text, sizeof w->text, "address 0x%llx", (unsigned long long)addr);
	return w->text;
}

/* --- operands --------------------------------------------------------------------- */

bool operand_address(const struct model *m, size_t i, uint64_t *addr)
{
	const struct insn *insn = &m->done;

	if (i >= insn->n_mem || insn->mem[i].is_in_segment || !insn->mem[i].size)
		return false;
	*addr = insn_mem_address(&insn->mem[i], &m->state.regs_before, m->done_at + insn->len);
	return true;
}

const struct insn_mem *operand_written(const struct model *m, uint64_t *addr)
{
	for (size_t i = 0; i < m->done.n_mem; i++)
		if (m->done.mem[i].is_written && operand_address(m, i, addr))
			return &m->done.mem[i];
	return NULL;
}

const struct insn_mem *operand_read(const struct model *m, uint64_t *addr)
{
	for (size_t i = 0; i < m->done.n_mem; i++)
		if (m->done.mem[i].is_read && operand_address(m, i, addr))
			return &m->done.mem[i];
	return NULL;
}

bool bytes_now(const struct model *m, uint64_t addr, size_t size, uint64_t *value)
{
	*value = 0;
	return size <= sizeof *value && memory_read((void *)&m->state.memory, addr, value, size);
}

bool bytes_before(const struct model *m, uint64_t addr, size_t size, uint64_t *value)
{
	const struct trace_state *s = &m->state;
	uint8_t bytes[8];

	if (!bytes_now(m, addr, size, value))
		return false;
	memcpy(bytes, value, sizeof bytes);
	for (size_t i = 0; i < s->n_before; i++) {
		uint64_t word = s->before[i].addr;

		if (word + 8 <= addr || word >= addr + size)
			continue;
		if (!s->was_known[i])
			return false;
		for (size_t k = 0; k < size; k++)
			if (addr + k - word < 8)
				bytes[k] = (uint8_t)(s->before[i].value >> 8 * (addr + k - word));
	}
	memcpy(value, bytes, sizeof bytes);
	return true;
}

const struct exec *context_at(const struct model *m, uint64_t addr, enum reg *reg)
{
	if (!m->layout)
		return NULL;
	for (size_t i = 0; i < m->n_execs; i++)
		for (int r = 0; r < N_REGS && m->execs[i].trace->ctx; r++)
			if (layout_ctx_field(m->layout, m->execs[i].trace->ctx, (enum reg)r) == addr) {
				*reg = (enum reg)r;
				return &m->execs[i];
			}
	return NULL;
}
