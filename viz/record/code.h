/* SPDX-License-Identifier: MIT */
/*
 * code — the instructions of a target, each decoded once.
 *
 * Part:    source. Uses decode, memory.h (read_fn).
 */
#ifndef VIZ_CODE_H
#define VIZ_CODE_H

#include "decode.h"
#include "memory.h"

struct code_entry;
/* All zero: empty. */
struct code {
	struct code_entry **entries; /* by address; a power of two of them */
	size_t n, room;
};

/* The instruction at @addr; len 0 if there is none. NULL: ENOMEM. It stays where it is. */
const struct insn *code_at(struct code *c, uint64_t addr, read_fn *read, void *arg);
void code_free(struct code *c);

#endif
