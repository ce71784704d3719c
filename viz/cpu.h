/* SPDX-License-Identifier: MIT */
/*
 * cpu — the registers that are recorded, in the order in which files have them.
 *
 * Part:    source. Uses nothing.
 */
#ifndef VIZ_CPU_H
#define VIZ_CPU_H

#include <stdint.h>

enum reg {
	REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	REG_RIP, REG_EFLAGS, REG_MXCSR, REG_X87CW,
	N_REGS,
	REG_NONE = N_REGS, /* of an operand: there is none */
};

struct regs {
	uint64_t r[N_REGS];
};

/* "rax", ... by enum reg. */
extern const char *const reg_names[N_REGS];

/* What a function must leave unchanged (System V ABI, AMD64, 3.2.1): rbx rbp rsp r12-r15. */
static inline int reg_is_callee_saved(enum reg r)
{
	return r == REG_RBX || r == REG_RBP || r == REG_RSP || (r >= REG_R12 && r <= REG_R15);
}

#endif
