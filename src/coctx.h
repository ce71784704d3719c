/* SPDX-License-Identifier: MIT */
/*
 * coctx — the saved registers of one suspended execution.
 *
 * Layer:   2 (uses: asm/coctx_swap). Nothing below knows of this.
 * Owns:    nothing; a struct coctx lives inside whoever is suspended.
 * Thread:  a context must be swapped to on the thread that it was made or
 *          saved on.
 * Errors:  none.
 * Model:   libco coctx.h, coctx.cpp at dc6aafc; differs in: coctx_make writes
 *          only the struct and never the new stack.
 */
#ifndef COCTX_H
#define COCTX_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What a called function must leave unchanged, and where to go on.
 * coctx_swap writes and reads it by the offsets in asm/coctx_offsets.h. */
struct coctx {
	void *rbx, *rbp, *r12, *r13, *r14, *r15;
	void *rsp;       /* as it is once the call of coctx_swap has returned */
	void *rip;       /* the resume address: the instruction to go on with */
	uint32_t mxcsr;  /* SSE settings (bits 6-15); bits 0-5 are sticky flags */
	uint16_t x87cw;  /* x87 settings */
	uint16_t unused; /* fills the struct up to a multiple of 8 bytes */
};

/* The first function of a new execution. It must never return. */
typedef void coctx_entry_fn(void *arg);

/* Suspend the caller into @from and go on as @to.
 *
 * Returns      when somebody swaps to @from again.
 * Source       asm/coctx_swap_x86_64.S, where every instruction is explained.
 *              @from and @to may be the same: then it returns at once. */
void coctx_swap(struct coctx *from, const struct coctx *to);

/* Fill @ctx so that the first swap to it calls @fn(@arg) on an empty stack.
 *
 * @stack_top   one past the highest byte of the new stack; rounded down to a
 *              multiple of 16. Not written to, not even read: another
 *              execution may still be using these bytes.
 * @fn          must never return; if it does, the program dies at a ud2.
 * @link        where a backtrace finds the context of whoever swapped to
 *              @ctx; the caller keeps *@link up to date. Points to a pointer
 *              to coctx_nobody while there is none. Never followed by the
 *              program itself.
 * The new execution starts with the floating-point settings (rounding,
 * exception masks) that the caller has now, as a new thread would. */
void coctx_make(struct coctx *ctx, void *stack_top, coctx_entry_fn *fn, void *arg, const struct coctx *const *link);

/* Two contexts that are never swapped to, for links to lead to: the end of every chain
 * of resumers, and a resumer whose stack holds another's bytes at the moment. */
extern const struct coctx coctx_nobody;
extern const struct coctx coctx_copied_out;

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
