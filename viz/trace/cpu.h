/* SPDX-License-Identifier: MIT */
/*
 * cpu — the registers that are recorded, in the order in which files have them.
 *
 * Part:    source. Uses nothing.
 */
#ifndef VIZ_CPU_H
#define VIZ_CPU_H

#include <stdint.h>

/* <signal.h> has the same names for another order (gregs of a ucontext). Here, they are ours. */
#include <sys/ucontext.h>
#undef REG_RAX
#undef REG_RBX
#undef REG_RCX
#undef REG_RDX
#undef REG_RSI
#undef REG_RDI
#undef REG_RBP
#undef REG_RSP
#undef REG_R8
#undef REG_R9
#undef REG_R10
#undef REG_R11
#undef REG_R12
#undef REG_R13
#undef REG_R14
#undef REG_R15
#undef REG_RIP
#define REG_RAX CPU_REG_RAX
#define REG_RBX CPU_REG_RBX
#define REG_RCX CPU_REG_RCX
#define REG_RDX CPU_REG_RDX
#define REG_RSI CPU_REG_RSI
#define REG_RDI CPU_REG_RDI
#define REG_RBP CPU_REG_RBP
#define REG_RSP CPU_REG_RSP
#define REG_R8 CPU_REG_R8
#define REG_R9 CPU_REG_R9
#define REG_R10 CPU_REG_R10
#define REG_R11 CPU_REG_R11
#define REG_R12 CPU_REG_R12
#define REG_R13 CPU_REG_R13
#define REG_R14 CPU_REG_R14
#define REG_R15 CPU_REG_R15
#define REG_RIP CPU_REG_RIP

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
