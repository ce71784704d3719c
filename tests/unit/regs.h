/* SPDX-License-Identifier: MIT */
/*
 * regs — set and look at registers that C has no names for.
 *
 * A compiler may keep anything in a callee-saved register, or nothing. Tests
 * of a switch must know what is in there, so the helpers are assembly
 * (regs_<arch>.S).
 */
#ifndef REGS_H
#define REGS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "check.h"
#include "tools.h"
#include "coctx.h"

/* What was in the registers at some moment. */
struct regs {
	struct coctx at;  /* its rip is not used */
	void *rsp_before; /* regs_call: the stack pointer before the call */
};

/* Call @fn(@a, @b) with the callee-saved registers of @set, and note in @got
 * what they hold afterwards. Floating-point settings are noted, not set.
 * Returns what @fn has returned. */
intptr_t regs_call(const struct coctx *set, struct regs *got, intptr_t (*fn)(void *, void *), void *a, void *b);

/* Where a forged context may begin. Its rsp points to a struct regs_other. It
 * notes what it finds in the registers, fills all of them with other values,
 * those that a call may destroy too, and swaps; and so on at each arrival. */
struct regs_other {
	struct coctx *from, *to;
	struct coctx *got;
	const struct coctx *trash;
};
extern const char regs_other_begin[];

/* A coctx_entry_fn whose argument is a struct regs_entry: note the registers
 * as they are before the first instruction, then swap away for good. */
struct regs_entry {
	struct coctx got;
	void *arg; /* what came as the argument */
	struct coctx *from, *to;
};
void regs_entry_begin(void *entry);

/* Bits of mxcsr and x87cw that are settings: rounding, masks, precision. */
enum { FP_MXCSR_SETTINGS = 0xffc0, FP_MXCSR_FLAGS = 0x3f };

struct fp {
	uint32_t mxcsr;
	uint16_t x87cw;
};

static inline struct fp fp_get(void)
{
	struct fp fp;
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(fp.mxcsr), "=m"(fp.x87cw));
	return fp;
}

static inline void fp_set(struct fp fp)
{
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(fp.mxcsr), "m"(fp.x87cw));
}

/* Some settings: any rounding, any SSE mask, any x87 precision. The x87 masks
 * stay on: a flag left behind by earlier code must not become a trap. Bit 6 is
 * no setting, it is always one. */
static inline struct fp fp_random(struct rng *r)
{
	static const uint16_t precision[] = { 0x000, 0x200, 0x300 };

	/* valgrind's processor has rounding modes, and no other settings. */
	if (is_under_valgrind())
		return (struct fp){ .mxcsr = rng_below(r, 4) << 13 | 0x1f80,
				    .x87cw = (uint16_t)(0x37f | rng_below(r, 4) << 10) };
	return (struct fp){
		.mxcsr = (rng_below(r, 4) << 13) | (rng_below(r, 64) << 7),
		.x87cw = (uint16_t)(0x7f | precision[rng_below(r, 3)] | rng_below(r, 4) << 10),
	};
}

static inline void regs_random(struct coctx *c, struct rng *r)
{
	void **field[] = { &c->rbx, &c->rbp, &c->r12, &c->r13, &c->r14, &c->r15 };
	for (unsigned i = 0; i < sizeof(field) / sizeof(field[0]); i++)
		*field[i] = (void *)rng_next(r);
}

#define CHECK_SAME_REGS(actual, expected) \
	do { \
		CHECK_EQ((actual)->rbx, (expected)->rbx); \
		CHECK_EQ((actual)->rbp, (expected)->rbp); \
		CHECK_EQ((actual)->r12, (expected)->r12); \
		CHECK_EQ((actual)->r13, (expected)->r13); \
		CHECK_EQ((actual)->r14, (expected)->r14); \
		CHECK_EQ((actual)->r15, (expected)->r15); \
	} while (0)

#define CHECK_SAME_FP(actual, expected) \
	do { \
		CHECK_EQ((actual).mxcsr & FP_MXCSR_SETTINGS, (expected).mxcsr & FP_MXCSR_SETTINGS); \
		CHECK_EQ((actual).x87cw, (expected).x87cw); \
	} while (0)

#endif
