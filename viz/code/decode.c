/* SPDX-License-Identifier: MIT */
/*
 * Capstone disassembles each instruction twice: in Intel's order of operands, where the
 * first is the destination, for what it does; in AT&T syntax for its text.
 *
 * The library's own word on which operands are written is wrong for some SSE and AVX
 * instructions. So we say "written" of the first operand unless the instruction is one
 * that we know only reads it. A recorder may then compare too much, never too little.
 */
#include "decode.h"

#include <capstone/capstone.h>
#include <stdio.h>
#include <string.h>

#include "decode_mask.h"
#include "decode_rules.h"

/* One of each for the whole process, made at the first use and never given back. */
static struct {
	csh intel, att;
	cs_insn *intel_insn, *att_insn;
	bool is_open;
} engine;

static bool engine_open(void)
{
	if (engine.is_open)
		return true;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &engine.intel) != CS_ERR_OK)
		return false;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &engine.att) != CS_ERR_OK)
		return false;
	cs_option(engine.intel, CS_OPT_DETAIL, CS_OPT_ON);
	cs_option(engine.att, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
	engine.intel_insn = cs_malloc(engine.intel);
	engine.att_insn = cs_malloc(engine.att);
	engine.is_open = engine.intel_insn && engine.att_insn;
	return engine.is_open;
}

static bool disassemble(csh handle, cs_insn *insn, const uint8_t *code, size_t len, uint64_t addr)
{
	return cs_disasm_iter(handle, &code, &len, &addr, insn);
}

/* rax, eax, ax, al and ah are REG_RAX. */
static enum reg reg_of(unsigned r)
{
	switch (r) {
#define PARTS(n, ...) case X86_REG_R##n: case X86_REG_E##n: case X86_REG_##n: __VA_ARGS__ return REG_R##n;
	PARTS(AX, case X86_REG_AL: case X86_REG_AH:)
	PARTS(BX, case X86_REG_BL: case X86_REG_BH:)
	PARTS(CX, case X86_REG_CL: case X86_REG_CH:)
	PARTS(DX, case X86_REG_DL: case X86_REG_DH:)
	PARTS(SI, case X86_REG_SIL:)
	PARTS(DI, case X86_REG_DIL:)
	PARTS(BP, case X86_REG_BPL:)
	PARTS(SP, case X86_REG_SPL:)
	PARTS(IP)
#undef PARTS
#define PARTS(n) case X86_REG_R##n: case X86_REG_R##n##D: case X86_REG_R##n##W: case X86_REG_R##n##B: return REG_R##n;
	PARTS(8) PARTS(9) PARTS(10) PARTS(11) PARTS(12) PARTS(13) PARTS(14) PARTS(15)
#undef PARTS
	case X86_REG_EFLAGS: return REG_EFLAGS;
	default: return REG_NONE;
	}
}

static uint32_t reg_bit(enum reg r)
{
	return r == REG_NONE ? 0 : UINT32_C(1) << r;
}

static bool is_vector(unsigned r)
{
	return r >= X86_REG_MM0 && r <= X86_REG_ZMM31 && reg_of(r) == REG_NONE;
}

static void add_mem(struct insn *insn, struct insn_mem mem)
{
	if (insn->n_mem < sizeof insn->mem / sizeof *insn->mem)
		insn->mem[insn->n_mem++] = mem;
}

static void add_implied(struct insn *insn, enum reg base, int64_t disp, uint32_t size, enum access access)
{
	add_mem(insn, (struct insn_mem){ .base = base, .index = REG_NONE, .disp = disp, .size = size,
					 .is_read = access & READS, .is_written = access & WRITES });
}

/* The bytes that a vector operand in memory may cover: as many as the widest register
 * beside it, where the library says fewer. */
static uint32_t memory_size(const cs_x86 *x, const cs_x86_op *op, unsigned id)
{
	uint32_t size = op->size, fixed = rules_size(id);

	if (fixed)
		return fixed;
	for (int i = 0; i < x->op_count; i++)
		if (x->operands[i].type == X86_OP_REG && is_vector(x->operands[i].reg) && !rules_is_part_store(id)
		    && x->operands[i].size > size)
			size = x->operands[i].size;
	return size ? size : 8;
}

static struct insn_mem memory_operand(const cs_x86 *x, const cs_x86_op *op, unsigned id, enum access access)
{
	const x86_op_mem *m = &op->mem;
	struct insn_mem mem = { .base = reg_of(m->base), .index = reg_of(m->index), .scale = m->scale, .disp = m->disp,
				.size = memory_size(x, op, id),
				.is_read = access & READS, .is_written = access & WRITES };

	mem.is_in_segment = m->segment == X86_REG_FS || m->segment == X86_REG_GS;
	/* A vector of indexes, or the number of a bit, which may be any: it can lie anywhere. */
	if ((m->index != X86_REG_INVALID && mem.index == REG_NONE && is_vector(m->index))
	    || (rules_is_bit_string(id) && x->operands[1].type == X86_OP_REG))
		mem.size = 0;
	if (id == X86_INS_POP && mem.base == REG_RSP)
		mem.disp += 8; /* its address is computed after rsp has moved */
	return mem;
}

static void explicit_operands(struct insn *insn, const cs_x86 *x, unsigned id)
{
	for (int i = 0; i < x->op_count; i++) {
		const cs_x86_op *op = &x->operands[i];
		enum access access = rules_access(id, x->op_count, i);

		if (op->type == X86_OP_REG) {
			if (access & READS)
				insn->regs_read |= reg_bit(reg_of(op->reg));
			if (access & WRITES)
				insn->regs_written |= reg_bit(reg_of(op->reg));
		} else if (op->type == X86_OP_MEM) {
			insn->regs_read |= reg_bit(reg_of(op->mem.base)) | reg_bit(reg_of(op->mem.index));
			if (access)
				add_mem(insn, memory_operand(x, op, id, access));
		} else if (op->type == X86_OP_IMM && (insn->kind == INSN_CALL || insn->kind == INSN_JUMP
						      || insn->kind == INSN_BRANCH)) {
			insn->has_target = true;
			insn->target = (uint64_t)op->imm;
		}
	}
}

static void implied_registers(struct insn *insn, const cs_detail *d, unsigned id)
{
	for (int i = 0; i < d->regs_read_count; i++)
		insn->regs_read |= reg_bit(reg_of(d->regs_read[i]));
	for (int i = 0; i < d->regs_write_count; i++)
		insn->regs_written |= reg_bit(reg_of(d->regs_write[i]));
	insn->regs_read |= rules_regs_read(id);
	insn->regs_written |= rules_regs_written(id);
	if (insn->kind == INSN_CALL || insn->kind == INSN_RETURN || insn->kind == INSN_PUSH || insn->kind == INSN_POP) {
		insn->regs_read |= reg_bit(REG_RSP);
		insn->regs_written |= reg_bit(REG_RSP);
	}
	if (insn->kind == INSN_STRING && d->x86.prefix[0]) {
		insn->regs_read |= reg_bit(REG_RCX);
		insn->regs_written |= reg_bit(REG_RCX) | reg_bit(REG_RIP); /* it may stay where it is */
	}
	if (insn->kind == INSN_CALL || insn->kind == INSN_RETURN || insn->kind == INSN_JUMP
	    || insn->kind == INSN_BRANCH || insn->kind == INSN_SYSCALL)
		insn->regs_written |= reg_bit(REG_RIP);
}

static void implied_memory(struct insn *insn, unsigned id, bool is_word)
{
	uint32_t size = is_word ? 2 : 8;

	switch (insn->kind) {
	case INSN_CALL:
		add_implied(insn, REG_RSP, -8, 8, WRITES);
		break;
	case INSN_PUSH:
		add_implied(insn, REG_RSP, -(int64_t)size, size, WRITES);
		break;
	case INSN_POP:
		add_implied(insn, REG_RSP, 0, size, READS);
		break;
	case INSN_RETURN:
		add_implied(insn, REG_RSP, 0, 8, READS);
		break;
	default:
		break;
	}
	if (id == X86_INS_LEAVE)
		add_implied(insn, REG_RBP, 0, 8, READS);
	else if (id == X86_INS_ENTER)
		add_implied(insn, REG_RSP, -8, 8, WRITES); /* level 0: compilers make no other */
	else if ((id == X86_INS_MASKMOVDQU || id == X86_INS_VMASKMOVDQU) && !insn->n_mem)
		add_implied(insn, REG_RDI, 0, 16, WRITES);
}

/* What moves a value as it is has a source and a destination that can be named. */
static void plain_move(struct insn *insn, const cs_x86 *x, unsigned id)
{
	insn->from = insn->to = REG_NONE;
	if (insn->kind == INSN_PUSH || insn->kind == INSN_POP) {
		if (x->op_count == 1 && x->operands[0].type == X86_OP_REG)
			*(insn->kind == INSN_PUSH ? &insn->from : &insn->to) = reg_of(x->operands[0].reg);
		return;
	}
	if (insn->kind != INSN_MOVE)
		return;
	if (x->op_count == 2) {
		if (x->operands[0].type == X86_OP_REG)
			insn->to = reg_of(x->operands[0].reg);
		if (x->operands[1].type == X86_OP_REG)
			insn->from = reg_of(x->operands[1].reg);
	} else {
		insn->from = rules_control_word_read(id);
		insn->to = rules_control_word_written(id);
	}
}

/* Capstone 4 does not know the landing pads of CET, which begin most functions. */
static bool is_landing_pad(const uint8_t *code, size_t len)
{
	return len >= 4 && memcmp(code, "\xf3\x0f\x1e", 3) == 0 && (code[3] == 0xfa || code[3] == 0xfb);
}

bool decode(const uint8_t *code, size_t len, uint64_t addr, struct insn *insn)
{
	memset(insn, 0, sizeof *insn);
	insn->from = insn->to = REG_NONE;
	if (is_landing_pad(code, len)) {
		insn->len = 4;
		strcpy(insn->text, code[3] == 0xfa ? "endbr64" : "endbr32");
		return true;
	}
	if (!engine_open())
		return false;
	if (!disassemble(engine.intel, engine.intel_insn, code, len, addr))
		return decode_mask(code, len, insn);

	const cs_insn *c = engine.intel_insn;
	const cs_x86 *x = &c->detail->x86;

	insn->len = (uint8_t)c->size;
	insn->kind = rules_kind(c->id, x);
	explicit_operands(insn, x, c->id);
	implied_registers(insn, c->detail, c->id);
	implied_memory(insn, c->id, x->prefix[2] == X86_PREFIX_OPSIZE);
	plain_move(insn, x, c->id);
	if (rules_is_float(cs_insn_name(engine.intel, c->id)))
		insn->regs_written |= reg_bit(REG_MXCSR);

	const cs_insn *text = engine.att_insn;

	if (!disassemble(engine.att, engine.att_insn, code, len, addr))
		text = c;
	snprintf(insn->text, sizeof insn->text, "%.24s%s%.*s", text->mnemonic, *text->op_str ? " " : "",
		 (int)(sizeof insn->text - 26), text->op_str);
	return true;
}

uint64_t insn_mem_address(const struct insn_mem *mem, const struct regs *regs, uint64_t next)
{
	uint64_t addr = (uint64_t)mem->disp;

	if (mem->base == REG_RIP)
		addr += next;
	else if (mem->base != REG_NONE)
		addr += regs->r[mem->base];
	if (mem->index != REG_NONE)
		addr += regs->r[mem->index] * (uint64_t)mem->scale;
	return addr;
}
