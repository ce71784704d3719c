/* SPDX-License-Identifier: MIT */
/*
 * The switch alone: contexts are forged by hand, so that nothing but
 * asm/coctx_swap is linked.
 */
#include <link.h>

#include "../../asm/coctx_offsets.h"
#include "regs.h"

enum { ROUNDS = 10000, PATTERN = 0xa5 };

/* Two executions: this one, and another that notes and trashes everything. */
static struct {
	struct coctx me, other;
	struct coctx got, trash; /* what the other found; what it leaves behind */
	_Alignas(16) unsigned char stack[4096];
} w;

static struct rng rng;

/* coctx_swap itself, as regs_call wants it: no C code between the two. */
static intptr_t (*const bare_swap)(void *, void *) = (intptr_t (*)(void *, void *))(void *)coctx_swap;

/* Forge `other`: every field a value of its own. */
static void forge(void)
{
	memset(w.stack, PATTERN, sizeof(w.stack));
	struct regs_other *words = (struct regs_other *)(w.stack + sizeof(w.stack) - sizeof(*words));
	*words = (struct regs_other){ &w.other, &w.me, &w.got, &w.trash };

	regs_random(&w.other, &rng);
	regs_random(&w.trash, &rng);
	w.other.rsp = words;
	w.other.rip = (void *)regs_other_begin;
	struct fp fp = fp_random(&rng), trash = fp_random(&rng);
	w.other.mxcsr = fp.mxcsr;
	w.other.x87cw = fp.x87cw;
	w.trash.mxcsr = trash.mxcsr;
	w.trash.x87cw = trash.x87cw;
}

static void start(void)
{
	rng.s = test_seed(20240229);
	forge();
}

/* --- the cases -------------------------------------------------------------- */

static void oneself(void)
{
	struct coctx set;
	struct regs got;

	start();
	for (int i = 0; i < ROUNDS; i++) {
		struct fp fp = fp_random(&rng);
		regs_random(&set, &rng);
		fp_set(fp);
		regs_call(&set, &got, bare_swap, &w.me, &w.me);
		CHECK_SAME_REGS(&got.at, &set);
		CHECK_SAME_FP(got.at, fp);
		CHECK_EQ(got.at.rsp, got.rsp_before);
	}
}

static void callee_saved(void)
{
	struct coctx set;
	struct regs got;

	start();
	for (int i = 0; i < ROUNDS; i++) {
		regs_random(&set, &rng);
		regs_call(&set, &got, bare_swap, &w.me, &w.other);
		CHECK_SAME_REGS(&got.at, &set);
		CHECK_EQ(got.at.rsp, got.rsp_before);
	}
}

static void fp_settings(void)
{
	struct coctx set = { 0 };
	struct regs got;

	start();
	for (int i = 0; i < ROUNDS; i++) {
		/* Often one word alone differs, so that each is looked at for itself. */
		struct fp fp = fp_random(&rng), trash = fp_random(&rng);
		w.trash.mxcsr = rng_below(&rng, 2) ? trash.mxcsr : fp.mxcsr;
		w.trash.x87cw = rng_below(&rng, 2) ? trash.x87cw : fp.x87cw;
		fp_set(fp);
		regs_call(&set, &got, bare_swap, &w.me, &w.other);
		CHECK_SAME_FP(got.at, fp);
	}
}

static void other_side(void)
{
	struct coctx set = { 0 };
	struct regs got;

	/* Both ways: the other one finds, each time, what it had. */
	start();
	struct coctx expected = w.other;
	for (int i = 0; i < ROUNDS; i++) {
		regs_random(&set, &rng);
		fp_set(fp_random(&rng));
		regs_call(&set, &got, bare_swap, &w.me, &w.other);
		CHECK_SAME_REGS(&w.got, &expected);
		CHECK_SAME_FP(w.got, expected);
		CHECK_EQ(w.got.rsp, expected.rsp);
		expected = w.trash;
		expected.rsp = w.got.rsp;
	}
}

static void fields(void)
{
	struct coctx set;
	struct regs got;

	/* A mistake made twice, on the way in and on the way out, is invisible
	 * to the two above; a debugger would show the wrong names. */
	start();
	for (int i = 0; i < 100; i++) {
		forge();
		struct coctx forged = w.other;
		struct fp fp = fp_random(&rng);
		regs_random(&set, &rng);
		fp_set(fp);
		regs_call(&set, &got, bare_swap, &w.me, &w.other);
		CHECK_SAME_REGS(&w.got, &forged); /* loaded from the fields of that name */
		CHECK_SAME_FP(w.got, forged);
		CHECK_SAME_REGS(&w.me, &set); /* saved into them */
		CHECK_SAME_FP(w.me, fp);
		CHECK_EQ(w.me.rsp, got.rsp_before);
	}
}

static void sticky_flags(void)
{
	struct coctx set = { 0 };
	struct regs got;

	start();
	for (uint32_t mine = 0; mine <= FP_MXCSR_FLAGS; mine++) {
		forge();
		w.other.mxcsr = 0x1f80 | (~mine & FP_MXCSR_FLAGS); /* flags all different, settings the same */
		w.other.x87cw = 0x37f;
		fp_set((struct fp){ 0x1f80 | mine, 0x37f });
		regs_call(&set, &got, bare_swap, &w.me, &w.other);
		CHECK_EQ(w.got.mxcsr, 0x1f80 | mine); /* not loaded */
	}
}

static void writes(void)
{
	unsigned char before[COCTX_SIZE + 16];
	union {
		struct coctx ctx;
		unsigned char bytes[COCTX_SIZE];
	} room[3];
	struct coctx set, to;
	struct regs got;

	start();
	memset(room, PATTERN, sizeof(room));
	memset(before, PATTERN, sizeof(before));
	((struct regs_other *)w.other.rsp)->to = &room[1].ctx;
	regs_random(&set, &rng);
	to = w.other;
	regs_call(&set, &got, bare_swap, &room[1].ctx, &w.other);

	CHECK(memcmp(room[0].bytes, before, COCTX_SIZE) == 0);
	CHECK(memcmp(room[2].bytes, before, COCTX_SIZE) == 0);
	CHECK(memcmp(room[1].bytes + COCTX_X87CW + 2, before, COCTX_SIZE - COCTX_X87CW - 2) == 0);
	/* The other's stack holds one return address more, and not a byte else. */
	size_t unused = sizeof(w.stack) - sizeof(struct regs_other) - sizeof(void *);
	for (size_t i = 0; i < unused; i++)
		CHECK_EQ(w.stack[i], PATTERN);

	/* `to` is only read: arrive there a second time and compare. */
	to = w.other;
	struct coctx scratch;
	((struct regs_other *)w.other.rsp)->from = &scratch;
	regs_call(&set, &got, bare_swap, &room[1].ctx, &w.other);
	CHECK(memcmp(&to, &w.other, sizeof(to)) == 0);
}

static void from_c(void)
{
	/* What a compiler keeps across the call: locals in all callee-saved
	 * registers, a frame pointer, a floating-point number on the stack. */
	start();
	uint64_t a = rng_next(&rng), b = rng_next(&rng), c = rng_next(&rng), sum = 0, expected = 0;
	volatile double x = 1.5;
	for (int i = 0; i < ROUNDS; i++) {
		expected += a ^ b;
		coctx_swap(&w.me, &w.other);
		sum += a ^ b;
		a += c;
		x = x + 1;
	}
	CHECK_EQ(sum, expected);
	CHECK_EQ(x, ROUNDS + 1.5);
}

static int find_stack_flags(struct dl_phdr_info *info, size_t size, void *flags)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_GNU_STACK)
			*(unsigned *)flags = info->dlpi_phdr[i].p_flags;
	return 1; /* the program itself comes first, and is enough */
}

static void stack_is_data(void)
{
	unsigned flags = PF_X;
	char line[512];

	dl_iterate_phdr(find_stack_flags, &flags);
	CHECK_EQ(flags & PF_X, 0);

	FILE *maps = fopen("/proc/self/maps", "r");
	CHECK(maps != NULL);
	int found = 0;
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "[stack]")) {
			found = 1;
			CHECK(strstr(line, "rw-p") != NULL);
		}
	fclose(maps);
	CHECK(found);
}

static const struct test_case cases[] = {
	{ "oneself", "a swap with oneself returns, and changes nothing", oneself, 0, NULL },
	{ "callee_saved", "rbx rbp r12-r15 and rsp survive another execution that fills them", callee_saved, 0, NULL },
	{ "fp_settings", "C01: mxcsr's settings and the x87 control word survive, each by itself", fp_settings, 0, NULL },
	{ "other_side", "the other execution, too, finds all it had", other_side, 0, NULL },
	{ "fields", "each register is saved to and loaded from the field of its name", fields, 0, NULL },
	{ "sticky_flags", "sticky flags in mxcsr are nobody's and force no load", sticky_flags, 0, NULL },
	{ "writes", "a swap writes 70 bytes of `from`, none of `to`, none of a stack", writes, 0, NULL },
	{ "from_c", "C code keeps its locals over a swap to one that destroys all else", from_c, 0, NULL },
	{ "stack_is_data", "C05: the program's stack is not executable", stack_is_data, 0, NULL },
};
TEST_MAIN(cases)
