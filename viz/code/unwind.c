/* SPDX-License-Identifier: MIT */
/*
 * Frames, by call frame information alone. libdw finds the rules for an address; they
 * are applied here, because its own walk tells no CFA, and guesses by frame pointers
 * where it finds no rules.
 *
 * Nothing is known here of the switch: its rules, and those of the entry trampoline, say
 * in expressions where the registers are (asm/coctx_swap_x86_64.S).
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expression.h"
#include "modules.h"
#include "symbols.h"

/* --- rules ------------------------------------------------------------------------ */

struct rules {
	uint64_t pc;
	bool is_used;
	Dwarf_Frame *frame; /* NULL: there are none */
	bool is_signal;     /* the frame of a signal handler's caller */
	bool is_seam;
};

/* Open addressing; emptied when half full. */
enum { N_SLOTS = 1 << 14 };
struct rule_cache {
	struct rules slots[N_SLOTS];
	size_t n;
	char why[80];
};

static void rules_clear(struct rule_cache *c)
{
	for (size_t i = 0; i < N_SLOTS; i++)
		if (c->slots[i].is_used)
			free(c->slots[i].frame);
	memset(c->slots, 0, sizeof c->slots);
	c->n = 0;
}

void rules_free(struct symbols *s)
{
	if (s->rules)
		rules_clear(s->rules);
	free(s->rules);
	s->rules = NULL;
}

static Dwarf_Frame *frame_rules(struct module *m, uint64_t pc)
{
	Dwarf_Frame *frame = NULL;
	Dwarf_Addr bias = 0;
	Dwarf_CFI *cfi = m ? dwfl_module_eh_cfi(m->mod, &bias) : NULL;

	if (cfi && dwarf_cfi_addrframe(cfi, pc - bias, &frame) == 0)
		return frame;
	cfi = m ? dwfl_module_dwarf_cfi(m->mod, &bias) : NULL;
	if (cfi && dwarf_cfi_addrframe(cfi, pc - bias, &frame) == 0)
		return frame;
	return NULL;
}

static const struct rules *rules_at(struct symbols *s, uint64_t pc)
{
	struct rule_cache *c = s->rules;
	size_t i = (pc * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (N_SLOTS - 1);
	struct symbol symbol;

	while (c->slots[i].is_used && c->slots[i].pc != pc)
		i = (i + 1) & (N_SLOTS - 1);

	struct rules *r = &c->slots[i];

	if (r->is_used)
		return r;
	*r = (struct rules){ .pc = pc, .is_used = true, .frame = frame_rules(module_at(s, pc), pc) };
	c->n++;
	if (r->frame)
		dwarf_frame_info(r->frame, NULL, NULL, &r->is_signal);
	r->is_seam = symbol_at(s, pc, &symbol) && strcmp(symbol.name, "__morestack") == 0;
	return r;
}

/* --- one frame -------------------------------------------------------------------- */

enum outcome { KNOWN, UNKNOWN /* the callee may have destroyed it */, FAILED };

/* What the caller has in register @number. */
static enum outcome caller_register(const struct rules *r, struct machine *m, int number, uint64_t *value, bool *is_pushed)
{
	Dwarf_Op room[3], *ops;
	size_t n;
	uint64_t at;
	bool is_value;

	if (dwarf_frame_register(r->frame, number, room, &ops, &n))
		return FAILED;
	/* libdw 0.188 believes that rax is kept across calls and rbx is not. */
	if (n == 0 && (number == DWARF_RAX || (ops && number != DWARF_RBX))) /* undefined */
		return UNKNOWN;
	if (n == 0) { /* the same value */
		*value = m->regs[number];
		return m->known & UINT32_C(1) << number ? KNOWN : UNKNOWN;
	}
	if (!expression(m, ops, n, &at, &is_value))
		return FAILED;
	if (is_pushed)
		*is_pushed = !is_value && n == 2 && ops[0].atom == DW_OP_call_frame_cfa && at == m->cfa - 8;
	if (is_value) {
		*value = at;
		return KNOWN;
	}
	return machine_word(m, at, value) ? KNOWN : FAILED;
}

static bool find_cfa(const struct rules *r, struct machine *m)
{
	Dwarf_Op *ops;
	size_t n;
	bool is_value;

	return dwarf_frame_cfa(r->frame, &ops, &n) == 0 && n > 0 && expression(m, ops, n, &m->cfa, &is_value);
}

/* Go to the caller. KNOWN: done. UNKNOWN: there is none. @is_pushed: our return address
 * lies right below the CFA, as a call leaves it. */
static enum outcome go_up(const struct rules *r, struct machine *m, bool *is_pushed)
{
	struct machine up = *m;

	up.known = 0;
	*is_pushed = false;
	for (int i = 0; i < DWARF_REGS; i++) {
		enum outcome o = caller_register(r, m, i, &up.regs[i], i == DWARF_RIP ? is_pushed : NULL);

		if (i == DWARF_RSP && (o != KNOWN || up.regs[i] == m->regs[i])) { /* no rule: it is the CFA */
			up.regs[i] = m->cfa;
			o = KNOWN;
		}
		if (o == KNOWN)
			up.known |= UINT32_C(1) << i;
		else
			up.regs[i] = 0;
		if (i == DWARF_RIP && o != KNOWN)
			return o;
	}
	*m = up;
	return up.regs[DWARF_RIP] ? KNOWN : UNKNOWN;
}

/* --- the walk --------------------------------------------------------------------- */

/* Constants of the program that no trace need have: what a file has where the program
 * cannot write, as the loader has relocated it. */
struct memory_and_files {
	struct symbols *symbols;
	read_fn *read;
	void *arg;
};

static bool read_both(void *arg, uint64_t addr, void *to, size_t len)
{
	struct memory_and_files *f = arg;

	return f->read(f->arg, addr, to, len) || (len == 8 && symbols_constant(f->symbols, addr, to));
}

static const uint8_t dwarf_order[DWARF_REGS] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
						 REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
						 REG_RIP };

static const char *explain(struct rule_cache *c, const struct machine *m, uint64_t pc)
{
	if (m->unreadable)
		snprintf(c->why, sizeof c->why, "memory at 0x%llx is not in the trace", (unsigned long long)m->unreadable);
	else
		snprintf(c->why, sizeof c->why, "no unwind information at 0x%llx", (unsigned long long)pc);
	return c->why;
}

static bool rules_ready(struct symbols *s)
{
	if (!s->rules)
		s->rules = calloc(1, sizeof *s->rules);
	if (s->rules && s->rules->n > N_SLOTS / 2)
		rules_clear(s->rules);
	return s->rules != NULL;
}

static void machine_init(struct machine *m, const struct regs *regs, struct memory_and_files *memory)
{
	*m = (struct machine){ .known = (UINT32_C(1) << DWARF_REGS) - 1, .read = read_both, .arg = memory };
	for (int i = 0; i < DWARF_REGS; i++)
		m->regs[i] = regs->r[dwarf_order[i]];
}

static bool read_nothing(void *arg, uint64_t addr, void *to, size_t len)
{
	(void)arg, (void)addr, (void)to, (void)len;
	return false;
}

bool frame_cfa(struct symbols *s, const struct regs *regs, uint64_t *cfa)
{
	struct memory_and_files none = { s, read_nothing, NULL };
	struct machine m;

	if (!rules_ready(s))
		return false;
	machine_init(&m, regs, &none);

	const struct rules *r = rules_at(s, regs->r[REG_RIP]);

	if (!r->frame || !find_cfa(r, &m))
		return false;
	*cfa = m.cfa;
	return true;
}

size_t unwind(struct symbols *s, const struct regs *regs, read_fn *read, void *arg, struct frame *frames, size_t max,
	      const char **why)
{
	struct memory_and_files both = { s, read, arg };
	struct machine m;
	bool is_exact = true; /* pc is the next instruction, not a return address behind a call */
	size_t n = 0;

	*why = NULL;
	if (!rules_ready(s)) {
		*why = "not enough memory";
		return 0;
	}
	machine_init(&m, regs, &both);
	for (; n < max; n++) {
		uint64_t pc = m.regs[DWARF_RIP];
		const struct rules *r = rules_at(s, is_exact ? pc : pc - 1);
		struct frame *f = &frames[n];
		uint64_t rsp = m.regs[DWARF_RSP];
		bool is_pushed;

		*f = (struct frame){ .pc = pc, .is_seam = r->is_seam,
				     .rbp = m.known & UINT32_C(1) << DWARF_RBP ? m.regs[DWARF_RBP] : 0 };
		if (!r->frame || !find_cfa(r, &m)) {
			*why = explain(s->rules, &m, pc);
			return n + 1;
		}
		f->cfa = r->is_seam ? rsp : m.cfa;

		enum outcome o = go_up(r, &m, &is_pushed);

		if (o == KNOWN && is_pushed)
			f->return_at = f->cfa - 8;
		if (o == FAILED)
			*why = explain(s->rules, &m, pc);
		if (o != KNOWN)
			return n + 1;
		if (m.regs[DWARF_RIP] == pc && m.regs[DWARF_RSP] == rsp) {
			*why = "the stack leads back to itself";
			return n + 1;
		}
		is_exact = r->is_signal;
	}
	return n;
}
