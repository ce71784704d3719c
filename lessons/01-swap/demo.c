/* SPDX-License-Identifier: MIT */
/*
 * Lesson 1: two executions, made by hand, that swap.
 *
 * Links with asm/coctx_swap_x86_64.S and nothing else of costep. coctx.h is
 * included for the struct and the prototype.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <xmmintrin.h>

#include "coctx.h"

static struct coctx main_ctx, other_ctx; /* where each one is saved */
static char other_stack[64 * 1024] __attribute__((aligned(16)));

static const char *whose_stack(const void *addr)
{
	const char *a = addr;
	return a >= other_stack && a < other_stack + sizeof(other_stack) ? "the other stack" : "main's stack";
}

static const char *function_at(const void *addr)
{
	Dl_info info;
	return dladdr(addr, &info) && info.dli_sname ? info.dli_sname : "?";
}

/* coctx_swap(from, to) with @value in rbx. Returns what rbx holds afterwards.
 * (C has no way to choose a register, so this is assembly. The 128 bytes are
 * the red zone: the compiler may keep locals there, and a call would push a
 * return address over them.) */
static long swap_with_rbx(long value, struct coctx *from, struct coctx *to)
{
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
			 "call coctx_swap\n\t"
			 "leaq 128(%%rsp), %%rsp"
			 : "+b"(value), "+D"(from), "+S"(to)
			 :
			 : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "memory", "cc");
	return value;
}

static double one_third(void)
{
	volatile double one = 1, three = 3;
	return one / three;
}

/* What the other execution does. Nobody calls this function. */
void other(void)
{
	int visits = 0;
	long rbx = 0;

	for (;;) {
		visits++;
		printf("     other: visit %d, this local lies on %s\n", visits, whose_stack(&visits));
		if (visits == 4) {
			printf("     other: puts 666 into rbx\n");
			rbx = swap_with_rbx(666, &other_ctx, &main_ctx);
			printf("     other: rbx holds %ld\n", rbx);
		}
		if (visits == 5)
			printf("     other: 1/3 = %.20f (rounds to nearest)\n", one_third());
		coctx_swap(&other_ctx, &main_ctx);
	}
}

int main(void)
{
	printf("1. main swaps with itself\n");
	coctx_swap(&main_ctx, &main_ctx);
	printf("   it came back. In main_ctx: rip is in %s, rsp is on %s\n", function_at(main_ctx.rip),
	       whose_stack(main_ctx.rsp));

	printf("2. main writes a second execution by hand\n");
	other_ctx = main_ctx;                               /* the same settings */
	other_ctx.rsp = other_stack + sizeof(other_stack) - 8; /* as after a call */
	other_ctx.rip = (void *)other;                      /* where to go on */
	printf("   In other_ctx: rip is in %s, rsp is on %s\n", function_at(other_ctx.rip),
	       whose_stack(other_ctx.rsp));

	printf("3. main swaps to it, three times\n");
	for (int round = 1; round <= 3; round++) {
		printf("   main: round %d\n", round);
		coctx_swap(&main_ctx, &other_ctx);
	}

	printf("4. both keep a number in rbx\n");
	printf("   main: puts 41 into rbx\n");
	long rbx = swap_with_rbx(41, &main_ctx, &other_ctx);
	printf("   main: rbx holds %ld\n", rbx);
	coctx_swap(&main_ctx, &other_ctx);

	printf("5. main rounds up, other keeps rounding to nearest\n");
	_MM_SET_ROUNDING_MODE(_MM_ROUND_UP);
	printf("   main:  1/3 = %.20f (rounds up)\n", one_third());
	coctx_swap(&main_ctx, &other_ctx);
	printf("   main:  1/3 = %.20f (still)\n", one_third());

	printf("main returns. other is never heard of again\n");
	return 0;
}
