/* SPDX-License-Identifier: MIT */
/* Encodings: Intel's manual, volume 2, 2.3 (VEX), 2.7 (EVEX), and chapter 5. */
#include "decode_mask.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* An operand: a mask, a vector, a general register, or what ModRM says. */
enum place { NONE, K_REG, K_VVVV, K_RM, V_REG, V_VVVV, V_RM /* or memory */, G_REG, G_RM, M_RM };

struct form {
	bool is_evex;
	uint8_t map, opcode;
	uint8_t pp;           /* 0: none, 1: 66, 2: F3, 3: F2; ANY */
	const char *name;
	const char *suffixes; /* by W and, for masks, pp: see suffix_of */
	enum place operands[3]; /* Intel's order */
};
enum { ANY = 9 };

static const struct form forms[] = {
	{ false, 1, 0x90, ANY, "kmov", "wbqd", { K_REG, K_RM } },
	{ false, 1, 0x91, ANY, "kmov", "wbqd", { M_RM, K_REG } },
	{ false, 1, 0x92, ANY, "kmov", "wbdq", { K_REG, G_RM } },
	{ false, 1, 0x93, ANY, "kmov", "wbdq", { G_REG, K_RM } },
	{ false, 1, 0x41, ANY, "kand", "wbqd", { K_REG, K_VVVV, K_RM } },
	{ false, 1, 0x42, ANY, "kandn", "wbqd", { K_REG, K_VVVV, K_RM } },
	{ false, 1, 0x44, ANY, "knot", "wbqd", { K_REG, K_RM } },
	{ false, 1, 0x45, ANY, "kor", "wbqd", { K_REG, K_VVVV, K_RM } },
	{ false, 1, 0x46, ANY, "kxnor", "wbqd", { K_REG, K_VVVV, K_RM } },
	{ false, 1, 0x47, ANY, "kxor", "wbqd", { K_REG, K_VVVV, K_RM } },
	{ false, 1, 0x4a, ANY, "kadd", "wbqd", { K_REG, K_VVVV, K_RM } },
	{ false, 1, 0x4b, 1, "kunpckbw", "", { K_REG, K_VVVV, K_RM } },
	{ false, 1, 0x4b, 0, "kunpck", "wd", { K_REG, K_VVVV, K_RM } },
	{ false, 1, 0x98, ANY, "kortest", "wbqd", { K_REG, K_RM } },
	{ false, 1, 0x99, ANY, "ktest", "wbqd", { K_REG, K_RM } },
	{ true, 1, 0x64, 1, "vpcmpgtb", "", { K_REG, V_VVVV, V_RM } },
	{ true, 1, 0x65, 1, "vpcmpgtw", "", { K_REG, V_VVVV, V_RM } },
	{ true, 1, 0x66, 1, "vpcmpgtd", "", { K_REG, V_VVVV, V_RM } },
	{ true, 1, 0x74, 1, "vpcmpeqb", "", { K_REG, V_VVVV, V_RM } },
	{ true, 1, 0x75, 1, "vpcmpeqw", "", { K_REG, V_VVVV, V_RM } },
	{ true, 1, 0x76, 1, "vpcmpeqd", "", { K_REG, V_VVVV, V_RM } },
	{ true, 2, 0x29, 1, "vpcmpeqq", "", { K_REG, V_VVVV, V_RM } },
	{ true, 2, 0x37, 1, "vpcmpgtq", "", { K_REG, V_VVVV, V_RM } },
	{ true, 2, 0x26, 1, "vptestm", "bw", { K_REG, V_VVVV, V_RM } },
	{ true, 2, 0x27, 1, "vptestm", "dq", { K_REG, V_VVVV, V_RM } },
	{ true, 2, 0x26, 2, "vptestnm", "bw", { K_REG, V_VVVV, V_RM } },
	{ true, 2, 0x27, 2, "vptestnm", "dq", { K_REG, V_VVVV, V_RM } },
	{ true, 2, 0x7a, 1, "vpbroadcastb", "", { V_REG, G_RM } },
	{ true, 2, 0x7b, 1, "vpbroadcastw", "", { V_REG, G_RM } },
	{ true, 2, 0x7c, 1, "vpbroadcast", "dq", { V_REG, G_RM } },
	{ true, 3, 0x1e, 1, "vpcmpu", "dq", { K_REG, V_VVVV, V_RM } },
	{ true, 3, 0x1f, 1, "vpcmp", "dq", { K_REG, V_VVVV, V_RM } },
	{ true, 3, 0x3e, 1, "vpcmpu", "bw", { K_REG, V_VVVV, V_RM } },
	{ true, 3, 0x3f, 1, "vpcmp", "bw", { K_REG, V_VVVV, V_RM } },
	{ true, 3, 0x25, 1, "vpternlog", "dq", { V_REG, V_VVVV, V_RM } },
};

/* An instruction taken apart. */
struct parts {
	const uint8_t *code;
	size_t len, at;
	bool is_evex, w, is_broadcast, is_zeroing;
	uint8_t map, pp, opcode, vector_len /* 0: 16 bytes, 1: 32, 2: 64 */, mask;
	unsigned reg, vvvv, rm, x, b; /* x, b: further bits of index and base */
	unsigned mod;
	struct insn_mem mem;
};

static bool take(struct parts *p, uint8_t *byte)
{
	if (p->at >= p->len)
		return false;
	*byte = p->code[p->at++];
	return true;
}

static bool take_vex(struct parts *p, uint8_t first)
{
	uint8_t a, b;

	if (!take(p, &a))
		return false;
	p->reg = a & 0x80 ? 0 : 8;
	p->map = 1;
	b = a;
	if (first == 0xc4) {
		if (!take(p, &b))
			return false;
		p->map = a & 0x1f;
		p->x = a & 0x40 ? 0 : 8;
		p->b = a & 0x20 ? 0 : 8;
		p->w = b & 0x80;
	}
	p->vvvv = ~b >> 3 & 0xf;
	p->vector_len = b >> 2 & 1;
	p->pp = b & 3;
	return true;
}

static bool take_evex(struct parts *p)
{
	uint8_t a, b, c;

	if (!take(p, &a) || !take(p, &b) || !take(p, &c) || !(b & 4) || a & 8)
		return false;
	p->is_evex = true;
	p->map = a & 7;
	p->reg = (a & 0x80 ? 0 : 8) + (a & 0x10 ? 0 : 16);
	p->x = a & 0x40 ? 0 : 8;
	p->b = a & 0x20 ? 0 : 8;
	p->w = b & 0x80;
	p->vvvv = (~b >> 3 & 0xf) + (c & 8 ? 0 : 16);
	p->pp = b & 3;
	p->vector_len = c >> 5 & 3;
	p->is_broadcast = c & 0x10;
	p->is_zeroing = c & 0x80;
	p->mask = c & 7;
	return true;
}

static const uint8_t gpr[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				 REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

static bool take_displacement(struct parts *p, size_t n, int64_t scale)
{
	int32_t disp = 0;

	if (p->len - p->at < n)
		return false;
	memcpy(&disp, p->code + p->at, n);
	p->at += n;
	p->mem.disp = n == 1 ? (int8_t)disp * scale : disp;
	return true;
}

/* ModRM, SIB, displacement. @memory_len: of the operand, by which short displacements of
 * EVEX count. */
static bool take_modrm(struct parts *p, uint32_t memory_len)
{
	uint8_t modrm, sib;

	if (!take(p, &modrm))
		return false;
	p->mod = modrm >> 6;
	p->reg += modrm >> 3 & 7;
	p->rm = (modrm & 7) + p->b + (p->is_evex && p->mod == 3 ? 2 * p->x : 0);
	if (p->mod == 3)
		return true;
	p->mem = (struct insn_mem){ .base = (enum reg)gpr[p->rm & 15], .index = REG_NONE, .scale = 1, .size = memory_len };
	if ((modrm & 7) == 4) {
		if (!take(p, &sib))
			return false;
		p->mem.base = (enum reg)gpr[(sib & 7) + p->b];
		if ((sib >> 3 & 7) + p->x != 4)
			p->mem.index = (enum reg)gpr[(sib >> 3 & 7) + p->x];
		p->mem.scale = 1 << (sib >> 6);
		if ((sib & 7) == 5 && p->mod == 0) {
			p->mem.base = REG_NONE;
			return take_displacement(p, 4, 1);
		}
	} else if ((modrm & 7) == 5 && p->mod == 0) {
		p->mem.base = REG_RIP;
		return take_displacement(p, 4, 1);
	}
	if (p->mod == 0)
		return true;
	return take_displacement(p, p->mod == 1 ? 1 : 4, p->is_evex ? memory_len : 1);
}

static const struct form *find_form(const struct parts *p)
{
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		const struct form *f = &forms[i];

		if (f->is_evex == p->is_evex && f->map == p->map && f->opcode == p->opcode
		    && (f->pp == p->pp || (f->pp == ANY && p->pp != 2)))
			return f;
	}
	return NULL;
}

/* Which of the suffixes: by W; where there are four, by pp (none, or one) and W. */
static char suffix_of(const struct form *f, const struct parts *p)
{
	switch (strlen(f->suffixes)) {
	case 2:
		return f->suffixes[p->w];
	case 4:
		if (f->opcode == 0x92 || f->opcode == 0x93) /* F2: d and q */
			return p->pp == 3 ? f->suffixes[2 + p->w] : f->suffixes[p->pp & 1];
		return f->suffixes[2 * p->w + (p->pp & 1)];
	default:
		return 0;
	}
}

/* --- text ---------------------------------------------------------------------------- */

struct out {
	char *text;
	size_t len, n;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *o, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(o->text + o->n, o->len - o->n, format, args);
	va_end(args);
	o->n += n < 0 ? 0 : (size_t)n < o->len - o->n ? (size_t)n : o->len - o->n - 1;
}

static void put_memory(struct out *o, const struct insn_mem *m)
{
	if (m->disp)
		put(o, "%s0x%llx", m->disp < 0 ? "-" : "", (unsigned long long)(m->disp < 0 ? -m->disp : m->disp));
	put(o, "(");
	if (m->base != REG_NONE)
		put(o, "%%%s", reg_names[m->base]);
	if (m->index != REG_NONE)
		put(o, ", %%%s, %d", reg_names[m->index], m->scale);
	put(o, ")");
}

static void put_general(struct out *o, unsigned number, bool is_64)
{
	const char *name = reg_names[gpr[number & 15]];

	if (is_64)
		put(o, "%%%s", name);
	else if (number < 8)
		put(o, "%%e%s", name + 1);
	else
		put(o, "%%%sd", name);
}

static void put_operand(struct out *o, const struct parts *p, enum place place)
{
	char size = "xyz"[p->vector_len < 3 ? p->vector_len : 2];

	switch (place) {
	case K_REG: put(o, "%%k%u", p->reg & 7); break;
	case K_VVVV: put(o, "%%k%u", p->vvvv & 7); break;
	case G_REG: put_general(o, p->reg, p->w && p->pp == 3); break;
	case V_REG: put(o, "%%%cmm%u", size, p->reg); break;
	case V_VVVV: put(o, "%%%cmm%u", size, p->vvvv); break;
	default:
		if (p->mod != 3)
			put_memory(o, &p->mem);
		else if (place == K_RM)
			put(o, "%%k%u", p->rm & 7);
		else if (place == G_RM)
			put_general(o, p->rm, p->w);
		else
			put(o, "%%%cmm%u", size, p->rm);
	}
}

static const char predicates[8][4] = { "eq", "lt", "le", "", "neq", "nlt", "nle", "" };

static void write_text(struct insn *insn, const struct form *f, const struct parts *p, int immediate)
{
	struct out o = { insn->text, sizeof insn->text, 0 };
	char suffix = suffix_of(f, p);
	int n = f->operands[2] ? 3 : 2;

	/* Comparisons have a name for each immediate. */
	if (strncmp(f->name, "vpcmp", 5) == 0 && immediate >= 0 && *predicates[immediate & 7]) {
		put(&o, "vpcmp%s%s", predicates[immediate & 7], f->name + 5);
		immediate = -1;
	} else {
		put(&o, "%s", f->name);
	}
	if (suffix)
		put(&o, "%c", suffix);
	if (strcmp(f->name, "kunpck") == 0)
		put(&o, "%c", suffix == 'w' ? 'd' : 'q');
	put(&o, " ");
	if (immediate >= 0)
		put(&o, "$%d, ", immediate);
	for (int i = n - 1; i >= 0; i--) {
		put_operand(&o, p, f->operands[i]);
		if (i)
			put(&o, ", ");
	}
	if (p->mask)
		put(&o, " {%%k%u}%s", p->mask, p->is_zeroing ? "{z}" : "");
}

/* --- all of it -------------------------------------------------------------------------- */

static void effects(struct insn *insn, const struct form *f, struct parts *p)
{
	if (p->mod != 3) {
		p->mem.is_written = f->operands[0] == M_RM;
		p->mem.is_read = !p->mem.is_written;
		insn->mem[insn->n_mem++] = p->mem;
		if (p->mem.base != REG_NONE)
			insn->regs_read |= UINT32_C(1) << p->mem.base;
		if (p->mem.index != REG_NONE)
			insn->regs_read |= UINT32_C(1) << p->mem.index;
	}
	for (int i = 0; i < 3; i++) {
		if (f->operands[i] == G_RM && p->mod == 3)
			insn->regs_read |= UINT32_C(1) << gpr[p->rm & 15];
		if (f->operands[i] == G_REG)
			insn->regs_written |= UINT32_C(1) << gpr[p->reg & 15];
	}
	if (f->opcode == 0x98 || f->opcode == 0x99)
		insn->regs_written |= UINT32_C(1) << REG_EFLAGS;
}

bool decode_mask(const uint8_t *code, size_t len, struct insn *insn)
{
	struct parts p = { .code = code, .len = len };
	uint8_t first, immediate = 0;

	if (!take(&p, &first) || (first != 0xc4 && first != 0xc5 && first != 0x62))
		return false;
	if (!(first == 0x62 ? take_evex(&p) : take_vex(&p, first)) || !take(&p, &p.opcode))
		return false;

	const struct form *f = find_form(&p);
	uint32_t memory_len = !p.is_evex ? 8 : p.is_broadcast ? (p.w ? 8 : 4) : 16u << p.vector_len;

	if (!f || !take_modrm(&p, memory_len) || (p.map == 3 && !take(&p, &immediate)))
		return false;
	if ((f->operands[0] == M_RM) != (p.mod != 3) && (f->operands[0] == M_RM || f->operands[1] == G_RM))
		return false;
	insn->len = (uint8_t)p.at;
	insn->from = insn->to = REG_NONE;
	effects(insn, f, &p);
	write_text(insn, f, &p, p.map == 3 ? immediate : -1);
	return true;
}
