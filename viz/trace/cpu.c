/* SPDX-License-Identifier: MIT */
/* Names of registers. */
#include "cpu.h"

const char *const reg_names[N_REGS] = {
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9",
	"r10", "r11", "r12", "r13", "r14", "r15", "rip", "eflags", "mxcsr", "x87cw",
};
