/* SPDX-License-Identifier: MIT */
/*
 * coctx_make: a suspended execution that has never run.
 *
 * coctx_swap can only go on with something that was suspended before. So we
 * forge the state in which such a thing would be: the struct says "I was
 * suspended at the entry trampoline, on an empty stack, with the function and
 * its argument in two registers". The trampoline (asm/) does the rest.
 *
 * libco writes the entry frame onto the new stack instead. With shared stacks
 * those bytes still belong to someone else at that moment.
 */
#include "coctx.h"

#include <stddef.h>

#include "../asm/coctx_offsets.h"

#define AT(field, offset) _Static_assert(offsetof(struct coctx, field) == (offset), "coctx_offsets.h: " #field)
AT(rbx, COCTX_RBX);
AT(rbp, COCTX_RBP);
AT(r12, COCTX_R12);
AT(r13, COCTX_R13);
AT(r14, COCTX_R14);
AT(r15, COCTX_R15);
AT(rsp, COCTX_RSP);
AT(rip, COCTX_RIP);
AT(mxcsr, COCTX_MXCSR);
AT(x87cw, COCTX_X87CW);
_Static_assert(sizeof(struct coctx) == COCTX_SIZE, "coctx_offsets.h: size");

/* The first instruction of the entry trampoline; see the .S file for why it
 * is reached through a word of data. */
extern void *const coctx_entry __attribute__((visibility("hidden")));

/* BEGIN SOLUTION */
void coctx_make(struct coctx *ctx, void *stack_top, coctx_entry_fn *fn, void *arg, const struct coctx *const *link)
{
	*ctx = (struct coctx){
		.rbx = (void *)link,
		.rbp = NULL, /* ends a chain of frame pointers */
		.r12 = (void *)fn,
		.r13 = arg,
		.rsp = (void *)((uintptr_t)stack_top & ~(uintptr_t)15),
		.rip = coctx_entry,
	};
	/* A program has no C expression for these two registers. volatile: else
	 * the compiler may take two readings for one, with link-time optimization
	 * (gcc -O3 does), and a context gets the settings of an earlier moment. */
	__asm__ volatile("stmxcsr %0" : "=m"(ctx->mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(ctx->x87cw));
}
/* END SOLUTION */
