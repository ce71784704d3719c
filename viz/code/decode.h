/* SPDX-License-Identifier: MIT */
/*
 * decode — one instruction: its text, and what it reads and writes. By capstone.
 *
 * Part:    source.
 */
#ifndef VIZ_DECODE_H
#define VIZ_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

enum insn_kind { INSN_OTHER, INSN_CALL, INSN_RETURN, INSN_JUMP, INSN_BRANCH, INSN_PUSH, INSN_POP, INSN_MOVE,
		 INSN_SYSCALL, INSN_STRING /* rep movs, rep stos, ... */ };

struct insn_mem {
	enum reg base, index; /* REG_NONE: none. rip is as after the instruction */
	int scale;
	int64_t disp;
	uint32_t size;        /* bytes; 0: unknown, and so is the address (gather, bts) */
	bool is_written, is_read;
	bool is_in_segment;   /* fs: or gs: — the address is not known from the registers */
};

struct insn {
	uint8_t len;           /* 0: not an instruction */
	enum insn_kind kind;
	char text[64];         /* AT&T, as in our .S files: "movq %rbx, (%rdi)" */
	uint32_t regs_read, regs_written; /* 1 << enum reg; parts count as the whole */
	enum reg from, to;     /* of a plain move between registers or with memory; else REG_NONE */
	bool has_target; uint64_t target; /* of a direct call or jump */
	size_t n_mem;
	struct insn_mem mem[2]; /* explicit ones; and those that push, pop, call, ret, movs imply */
};

/* @len: bytes there are. False: cannot be decoded. */
bool decode(const uint8_t *code, size_t len, uint64_t addr, struct insn *insn);

/* The address of @mem, as it is when the registers are @regs and the instruction (which
 * ends at @next) is about to run. */
uint64_t insn_mem_address(const struct insn_mem *mem, const struct regs *regs, uint64_t next);

#endif
