/* SPDX-License-Identifier: MIT */
/*
 * decode_rules — what we know of single instructions beyond what capstone tells.
 *
 * Part:    source; used by decode only. Instructions by capstone's number, X86_INS_...
 *          Operands in Intel's order: the destination is operand 0.
 */
#ifndef VIZ_DECODE_RULES_H
#define VIZ_DECODE_RULES_H

#include <capstone/capstone.h>

#include "decode.h"

enum access { NO_ACCESS = 0, READS = 1, WRITES = 2, READS_AND_WRITES = READS | WRITES };

enum insn_kind rules_kind(unsigned id, const cs_x86 *x);
/* How operand @i of @n is used. Where we do not know: written. */
enum access rules_access(unsigned id, int n, int i);
/* Bytes of the memory operand of those that save or load a whole state; else 0. */
uint32_t rules_size(unsigned id);
/* Does it move less than its vector register holds? */
bool rules_is_part_store(unsigned id);
/* bts and the like: the bit may lie far from the address. */
bool rules_is_bit_string(unsigned id);
/* Registers, beside the operands (1 << enum reg). */
uint32_t rules_regs_read(unsigned id);
uint32_t rules_regs_written(unsigned id);
/* mxcsr or x87cw, of those that store or load one; else REG_NONE. */
enum reg rules_control_word_read(unsigned id);
enum reg rules_control_word_written(unsigned id);
/* May it set a sticky flag in mxcsr? @name as Intel's. */
bool rules_is_float(const char *name);

#endif
