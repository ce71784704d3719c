/* SPDX-License-Identifier: MIT */
/*
 * coctx — libco's shape of a context, on this library's switch.
 *
 * regs[0] to regs[8] are our struct coctx, the next three wait for the first swap. So
 * regs holds other registers than libco's, in another order.
 */
#ifndef COSTEP_COMPAT_COCTX_H
#define COSTEP_COMPAT_COCTX_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef void *(*coctx_pfn_t)(void *s, void *s2);

struct coctx_param_t {
	const void *s1;
	const void *s2;
};

struct coctx_t {
	void *regs[14];
	size_t ss_size; /* of the stack; set by the program, before coctx_make */
	char *ss_sp;    /* its lowest byte */
};

namespace costep_compat {

enum { REGS = 9, FN = REGS, ARG1, ARG2 }; /* REGS: words of struct coctx */

extern "C" {
void context_make(coctx_t *ctx, void *stack_top, void (*fn)(void *), void *arg, const void *const *link)
	__asm__("coctx_make");
extern const char context_nobody[] __asm__("coctx_nobody");
}

/* On the new stack. Must not come back, as in libco. */
inline void context_entry(void *arg)
{
	coctx_t *ctx = static_cast<coctx_t *>(arg);
	coctx_pfn_t fn;

	memcpy(&fn, &ctx->regs[FN], sizeof(fn));
	fn(ctx->regs[ARG1], ctx->regs[ARG2]);
	abort();
}

inline const void *const *no_link()
{
	static const void *const link = context_nobody;
	return &link;
}

} // namespace costep_compat

inline int coctx_init(coctx_t *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
	return 0;
}

/* Let the first swap to @ctx call @fn(@s1, @s2) on its stack. @ctx stays where it is
 * until then. -1, EINVAL: there is no stack. */
inline int coctx_make(coctx_t *ctx, coctx_pfn_t fn, const void *s1, const void *s2)
{
	if (!ctx->ss_sp || !ctx->ss_size) {
		errno = EINVAL;
		return -1;
	}
	costep_compat::context_make(ctx, ctx->ss_sp + ctx->ss_size, costep_compat::context_entry, ctx,
				    costep_compat::no_link());
	memcpy(&ctx->regs[costep_compat::FN], &fn, sizeof(fn));
	ctx->regs[costep_compat::ARG1] = const_cast<void *>(s1);
	ctx->regs[costep_compat::ARG2] = const_cast<void *>(s2);
	return 0;
}

/* Suspend the caller into @from and go on as @to. */
extern "C" void coctx_swap(coctx_t *from, coctx_t *to) __asm__("coctx_swap");

#endif
