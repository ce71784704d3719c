/* SPDX-License-Identifier: MIT */
#include "expression.h"

#include <dwarf.h>

enum { MAX_DEPTH = 32 };

struct stack {
	uint64_t v[MAX_DEPTH];
	size_t n;
};

bool machine_word(struct machine *m, uint64_t addr, uint64_t *value)
{
	if (m->read(m->arg, addr, value, sizeof *value))
		return true;
	m->unreadable = addr;
	return false;
}

static bool push(struct stack *s, uint64_t value)
{
	if (s->n == MAX_DEPTH)
		return false;
	s->v[s->n++] = value;
	return true;
}

static bool push_register(struct stack *s, const struct machine *m, uint64_t number, uint64_t offset)
{
	return number < DWARF_REGS && m->known & UINT32_C(1) << number && push(s, m->regs[number] + offset);
}

/* Operations of two operands; true: it was one, and done. */
static bool binary(struct stack *s, int atom)
{
	if (s->n < 2)
		return false;

	uint64_t a = s->v[s->n - 2], b = s->v[s->n - 1], r;

	switch (atom) {
	case DW_OP_plus: r = a + b; break;
	case DW_OP_minus: r = a - b; break;
	case DW_OP_mul: r = a * b; break;
	case DW_OP_and: r = a & b; break;
	case DW_OP_or: r = a | b; break;
	case DW_OP_xor: r = a ^ b; break;
	case DW_OP_shl: r = b < 64 ? a << b : 0; break;
	case DW_OP_shr: r = b < 64 ? a >> b : 0; break;
	case DW_OP_eq: r = a == b; break;
	case DW_OP_ne: r = a != b; break;
	case DW_OP_ge: r = (int64_t)a >= (int64_t)b; break;
	case DW_OP_gt: r = (int64_t)a > (int64_t)b; break;
	case DW_OP_le: r = (int64_t)a <= (int64_t)b; break;
	case DW_OP_lt: r = (int64_t)a < (int64_t)b; break;
	default: return false;
	}
	s->v[--s->n - 1] = r;
	return true;
}

static bool step(struct machine *m, struct stack *s, const Dwarf_Op *op)
{
	int atom = op->atom;
	uint64_t *top = s->n ? &s->v[s->n - 1] : NULL;

	if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31)
		return push(s, (uint64_t)(atom - DW_OP_lit0));
	if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31)
		return push_register(s, m, (uint64_t)(atom - DW_OP_breg0), op->number);
	switch (atom) {
	case DW_OP_bregx:
		return push_register(s, m, op->number, op->number2);
	case DW_OP_call_frame_cfa:
		return push(s, m->cfa);
	case DW_OP_addr:
	case DW_OP_const1u: case DW_OP_const2u: case DW_OP_const4u: case DW_OP_const8u: case DW_OP_constu:
	case DW_OP_const1s: case DW_OP_const2s: case DW_OP_const4s: case DW_OP_const8s: case DW_OP_consts:
		return push(s, op->number);
	case DW_OP_deref:
		return top && machine_word(m, *top, top);
	case DW_OP_plus_uconst:
		return top && (*top += op->number, true);
	case DW_OP_dup:
		return top && push(s, *top);
	case DW_OP_drop:
		return s->n && s->n--;
	case DW_OP_nop:
		return true;
	default:
		return binary(s, atom);
	}
}

bool expression(struct machine *m, const Dwarf_Op *ops, size_t n, uint64_t *result, bool *is_value)
{
	struct stack s = { .n = 0 };

	*is_value = false;
	if (n == 1 && ops->atom >= DW_OP_reg0 && ops->atom <= DW_OP_reg31) {
		*is_value = push_register(&s, m, (uint64_t)(ops->atom - DW_OP_reg0), 0);
	} else if (n == 1 && ops->atom == DW_OP_regx) {
		*is_value = push_register(&s, m, ops->number, 0);
	} else {
		for (size_t i = 0; i < n; i++) {
			if (ops[i].atom == DW_OP_stack_value)
				*is_value = true;
			else if (!step(m, &s, &ops[i]))
				return false;
		}
	}
	if (!s.n)
		return false;
	*result = s.v[s.n - 1];
	return true;
}
