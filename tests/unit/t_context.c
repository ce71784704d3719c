/* SPDX-License-Identifier: MIT */
/* coctx_make: what a new execution finds, and what making it does not touch. */
#include <fenv.h>
#include <sys/mman.h>

#include "regs.h"

enum { STACK_LEN = 64 * 1024, PATTERN = 0x5a };

static struct coctx me, other;
static _Alignas(64) char stack[STACK_LEN];
static const struct coctx *const nobody = &coctx_nobody;

static char *top(void)
{
	return stack + STACK_LEN;
}

/* Make a context on @stack_top, go there, and note what its first instruction
 * finds in the registers. */
static struct regs_entry enter(void *stack_top)
{
	struct regs_entry entry = { .from = &other, .to = &me };

	coctx_make(&other, stack_top, regs_entry_begin, &entry, &nobody);
	coctx_swap(&me, &other);
	CHECK_EQ(entry.arg, &entry);
	return entry;
}

/* --- the cases -------------------------------------------------------------- */

static void alignment(void)
{
	struct regs_entry e = enter(top());

	/* As a call leaves it: the return address is on top, all else is free. */
	CHECK_EQ((uintptr_t)e.got.rsp % 16, 8);
	CHECK_EQ(e.got.rsp, top() - 8);
}

static void any_top(void)
{
	for (int off = 0; off < 64; off++) {
		struct regs_entry e = enter(top() - off);
		CHECK_EQ((uintptr_t)e.got.rsp % 16, 8);
		CHECK((char *)e.got.rsp + 8 <= top() - off);
		CHECK((char *)e.got.rsp + 8 > top() - off - 16);
	}
}

static void chain_end(void)
{
	struct regs_entry e = enter(top());

	CHECK_EQ(e.got.rbp, NULL);
	CHECK_EQ(e.got.rbx, &nobody);
}

static void untouched(void)
{
	static char expected[STACK_LEN];
	struct regs_entry entry = { .from = &other, .to = &me };

	memset(stack, PATTERN, STACK_LEN);
	memset(expected, PATTERN, STACK_LEN);
	coctx_make(&other, top(), regs_entry_begin, &entry, &nobody);
	CHECK(memcmp(stack, expected, STACK_LEN) == 0);

	/* Not even read: memory that would fault. */
	char *far = mmap(NULL, STACK_LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(far != MAP_FAILED);
	coctx_make(&other, far + STACK_LEN, regs_entry_begin, &entry, &nobody);
	CHECK_EQ(mprotect(far, STACK_LEN, PROT_READ | PROT_WRITE), 0);
	coctx_swap(&me, &other);
	CHECK_EQ(entry.arg, &entry);
	CHECK_EQ(munmap(far, STACK_LEN), 0);
}

static void whole_struct(void)
{
	struct coctx a, b;

	memset(&a, 0, sizeof(a));
	memset(&b, 0xff, sizeof(b));
	coctx_make(&a, top(), regs_entry_begin, NULL, &nobody);
	coctx_make(&b, top(), regs_entry_begin, NULL, &nobody);
	a.mxcsr &= FP_MXCSR_SETTINGS;
	b.mxcsr &= FP_MXCSR_SETTINGS;
	CHECK(memcmp(&a, &b, sizeof(a)) == 0);
}

static void makers_fp(void)
{
	struct rng rng = { test_seed(20240229) };
	struct fp before = fp_get();

	for (int i = 0; i < 1000; i++) {
		struct regs_entry entry = { .from = &other, .to = &me };
		struct fp maker = fp_random(&rng), swapper = fp_random(&rng);

		fp_set(maker);
		coctx_make(&other, top(), regs_entry_begin, &entry, &nobody);
		fp_set(swapper);
		coctx_swap(&me, &other);
		struct fp back = fp_get();
		fp_set(before);
		CHECK_SAME_FP(entry.got, maker);
		CHECK_SAME_FP(back, swapper);
	}
}

static void rounding(void)
{
	/* The same in the words of C: fenv.h sets both units. */
	struct regs_entry entry = { .from = &other, .to = &me };

	fesetround(FE_UPWARD);
	coctx_make(&other, top(), regs_entry_begin, &entry, &nobody);
	fesetround(FE_TOWARDZERO);
	coctx_swap(&me, &other);
	CHECK_EQ(fegetround(), FE_TOWARDZERO);
	fesetround(FE_TONEAREST);
	CHECK_EQ(entry.got.mxcsr >> 13 & 3, 2); /* "up" */
	CHECK_EQ(entry.got.x87cw >> 10 & 3, 2);
}

/* Two executions that pass a number to and fro, and use the stack in earnest. */
static struct {
	struct coctx ctx[2];
	long value;
} ball;

static long add_up(int n)
{
	volatile long here[32];
	for (int i = 0; i < 32; i++)
		here[i] = n;
	return n == 0 ? 0 : here[n % 32] + add_up(n - 1);
}

static void player(void *arg)
{
	for (long own = 0;; own++) {
		CHECK_EQ(arg, &ball);
		CHECK_EQ(ball.value, 2 * own);
		CHECK_EQ(add_up(20), 210);
		ball.value++;
		coctx_swap(&ball.ctx[1], &ball.ctx[0]);
	}
}

static void to_and_fro(void)
{
	coctx_make(&ball.ctx[1], top(), player, &ball, &nobody);
	for (long i = 0; i < 1000; i++) {
		CHECK_EQ(ball.value, 2 * i);
		coctx_swap(&ball.ctx[0], &ball.ctx[1]);
		CHECK_EQ(ball.value, 2 * i + 1);
		ball.value++;
	}
}

static void again(void)
{
	/* A context is only a note: it can be written anew at any time. */
	for (int i = 0; i < 3; i++) {
		ball.value = 0;
		coctx_make(&ball.ctx[1], top(), player, &ball, &nobody);
		coctx_swap(&ball.ctx[0], &ball.ctx[1]);
		CHECK_EQ(ball.value, 1);
	}
}

static void returns(void *arg)
{
	(void)arg;
}

static void return_from_entry(void)
{
	coctx_make(&other, top(), returns, NULL, &nobody);
	coctx_swap(&me, &other);
}

static void swap_to_nobody(void)
{
	coctx_swap(&me, &coctx_nobody);
}

static const struct test_case cases[] = {
	{ "alignment", "an execution starts with rsp % 16 == 8, and nothing above", alignment, 0, NULL },
	{ "any_top", "a stack top that is not aligned is rounded down, by less than 16", any_top, 0, NULL },
	{ "chain_end", "it starts with rbp 0 and the link's address in rbx", chain_end, 0, NULL },
	{ "untouched", "making a context neither writes nor reads the new stack", untouched, 0, NULL },
	{ "whole_struct", "whatever was in the struct before is overwritten", whole_struct, 0, NULL },
	{ "makers_fp", "it starts with the maker's floating-point settings, not the swapper's", makers_fp, 0, NULL },
	{ "rounding", "the rounding mode of <fenv.h> is inherited by both units", rounding, 0, NULL },
	{ "to_and_fro", "two executions keep their locals and arguments apart", to_and_fro, 0, NULL },
	{ "again", "a context can be made anew over a suspended execution", again, 0, NULL },
	{ "return_from_entry", "an entry function that returns dies by SIGILL", return_from_entry, SIGILL, NULL },
	{ "swap_to_nobody", "a swap to coctx_nobody dies by SIGILL", swap_to_nobody, SIGILL, NULL },
};
TEST_MAIN(cases)
