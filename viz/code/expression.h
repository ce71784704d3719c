/* SPDX-License-Identifier: MIT */
/*
 * expression — evaluates those DWARF expressions that call frame information uses.
 *
 * Part:    source; used by unwind only. DWARF 5, 2.5.
 */
#ifndef VIZ_EXPRESSION_H
#define VIZ_EXPRESSION_H

#include <elfutils/libdw.h>

#include "memory.h"

enum { DWARF_REGS = 17, DWARF_RAX = 0, DWARF_RBX = 3, DWARF_RBP = 6, DWARF_RSP = 7, DWARF_RIP = 16 };

/* The registers of one frame, by DWARF's numbers (psABI, figure 3.36). */
struct machine {
	uint64_t regs[DWARF_REGS];
	uint32_t known; /* 1 << number */
	uint64_t cfa;
	read_fn *read;
	void *arg;
	uint64_t unreadable; /* where a read has failed; 0: none */
};

/* False: it needs memory or a register that is not known, or is not understood. With
 * *@is_value the result is the value itself, else the address where it lies. */
bool expression(struct machine *m, const Dwarf_Op *ops, size_t n, uint64_t *result, bool *is_value);
/* A word of memory; notes where it fails. */
bool machine_word(struct machine *m, uint64_t addr, uint64_t *value);

#endif
