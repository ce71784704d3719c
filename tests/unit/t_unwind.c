/* SPDX-License-Identifier: MIT */
/*
 * Every instruction unwinds: of the swap, of the entry trampoline, and of all
 * that lies between a co_resume and its return.
 *
 * The program steps through itself: the processor raises SIGTRAP after each
 * instruction, and the handler, on a stack of its own, walks from the interrupted
 * instruction with three unwinders (walkers.h).
 *
 * What must come out is known without asking the library: rsp says whose stack
 * we stand on, fixtures/nested.h says who resumed whom.
 */
#include "../fixtures/nested.h"
#include "walkers.h"

int main(int argc, char **argv);

/* --- what a walk must show ------------------------------------------------------- */

/* The functions that count; what lies between them is the library's business. */
static const struct {
	const char *name;
	const void *fn;
} marks[] = {
	{ "main", (void *)main },	  { "body_a", (void *)body_a },
	{ "body_b", (void *)body_b },	  { "body_c", (void *)body_c },
	{ "hold_registers", (void *)hold_registers }, { "co_resume", (void *)co_resume },
};
enum { BODY = 0, /* + owner */ HOLD = N_OWNERS, RESUME, N_MARKS, TRAMPOLINE = N_MARKS, NOBODY, NO_MARK };

static const char *mark_name(int mark)
{
	return mark == TRAMPOLINE ? "__morestack" : mark == NOBODY ? "co_has_no_resumer" : marks[mark].name;
}

static int mark_at(uintptr_t ip, bool is_return_address)
{
	const void *fn = function_at(ip, is_return_address);
	if (fn == trampoline)
		return TRAMPOLINE;
	if (fn == nobody)
		return NOBODY;
	for (int i = 0; i < N_MARKS; i++)
		if (fn == marks[i].fn)
			return i;
	return NO_MARK;
}

/* The whole chain of one who is inside a co_resume. */
static int expect_chain(int owner, int *chain)
{
	int n = 0;
	for (;; owner = nested.resumer_of[owner]) {
		chain[n++] = RESUME;
		chain[n++] = HOLD;
		chain[n++] = BODY + owner;
		if (owner == MAIN)
			return n;
		chain[n++] = TRAMPOLINE;
	}
}

static void print_chain(const char *what, const int *chain, int n)
{
	printf("    %s:", what);
	for (int i = 0; i < n; i++)
		printf(" %s", mark_name(chain[i]));
	printf("\n");
}

/* NULL, or what is wrong with @w. @is_interrupted: frame 0 is an interrupted
 * instruction, not a return address. */
static const char *fault_of(const struct walk *w, int owner, bool is_interrupted, bool print)
{
	int expected[MAX_FRAMES], chain[MAX_FRAMES];
	int n_expected = expect_chain(owner, expected), n = 0;
	int at = owner; /* whose frames we are in */

	if (!w->is_complete)
		return "the walk breaks off";
	for (int i = 0; i < w->n; i++) {
		bool is_return_address = i > 0 || !is_interrupted;
		int mark = mark_at(w->ip[i], is_return_address);
		if (mark == NO_MARK)
			continue;
		if (mark == HOLD && is_return_address && w->has_registers)
			for (int r = 0; r < HELD_REGISTERS; r++)
				if (w->registers[i][r] != nested.tag[at] + (unsigned long)r + 1)
					return "a callee-saved register of hold_registers is wrong";
		if (mark == TRAMPOLINE)
			at = nested.resumer_of[at];
		chain[n++] = mark;
	}
	/* The innermost owner need not be inside co_resume or hold_registers;
	 * at the very beginning it is not even in its body. */
	int skip = n_expected - n;
	if (skip >= 0 && skip <= (owner == MAIN ? 2 : 3) &&
	    memcmp(chain, expected + skip, (size_t)n * sizeof(chain[0])) == 0)
		return NULL;
	if (print) {
		print_chain("found", chain, n);
		print_chain("expected", expected, n_expected);
	}
	return "wrong chain";
}

/* --- stepping --------------------------------------------------------------------- */

static struct {
	bool is_on;
	size_t points, in_swap, in_trampoline, faults[N_UNWINDERS];
	size_t switches, ldmxcsr, fldcw;
	uintptr_t last_rip;
	int last_owner[1 + N_UNWINDERS]; /* by rsp, and as each unwinder has it */
	struct walk now[N_UNWINDERS], at_entry[N_UNWINDERS], after_switch[N_UNWINDERS];
} stepper;

static int owner_by_rsp(uintptr_t rsp)
{
	for (int i = A; i < N_OWNERS; i++)
		if (rsp > (uintptr_t)nested.stack_lo[i] && rsp <= (uintptr_t)nested.stack_hi[i])
			return i;
	return MAIN;
}

/* Whose frames a walk begins with: the first body in it, or on an empty stack
 * the number of seams. */
static int owner_by_walk(const struct walk *w)
{
	int seams = 0;

	for (int i = 0; i < w->n; i++)
		seams += mark_at(w->ip[i], i > 0) == TRAMPOLINE;
	return MAIN + seams; /* nested one in the other: A is one seam deep */
}

static void fault(int unwinder, uintptr_t rip, int owner, const char *what)
{
	if (stepper.faults[unwinder]++ < 5) {
		Dl_info info = { 0 };
		const char *fn = libgcc.find_function((void *)(rip + 1));
		dladdr((void *)rip, &info);
		printf("%s: %s, at 0x%zx (%s, function + %td), owner %d\n", unwinders[unwinder].name, what, rip,
		       info.dli_sname ? info.dli_sname : "?", (const char *)rip - fn, owner);
		if (strcmp(what, "wrong chain") == 0)
			fault_of(&stepper.now[unwinder], owner, true, true);
	}
}

static void count_point(uintptr_t rip)
{
	const unsigned char *code = (const unsigned char *)rip;

	stepper.points++;
	stepper.in_swap += is_in_swap(rip);
	stepper.in_trampoline += libgcc.find_function((void *)(rip + 1)) == trampoline;
	stepper.switches += is_the_switch(rip);
	stepper.ldmxcsr += is_in_swap(rip) && code[0] == 0x0f && code[1] == 0xae && code[2] == 0x56;
	stepper.fldcw += is_in_swap(rip) && code[0] == 0xd9 && code[1] == 0x6e;
}

static void check_point(ucontext_t *uc)
{
	uintptr_t rip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	int owner = owner_by_rsp((uintptr_t)uc->uc_mcontext.gregs[REG_RSP]);
	bool is_after_switch = is_the_switch(stepper.last_rip);
	bool has_left_swap = !is_in_swap(rip) && is_in_swap(stepper.last_rip);

	count_point(rip);
	for (int u = 0; u < N_UNWINDERS; u++) {
		struct walk *w = &stepper.now[u];
		unwinders[u].walk(w, uc);
		const char *what = fault_of(w, owner, true, false);

		/* Within one swap the callers do not change, but at the switch. */
		if (!what && rip == (uintptr_t)coctx_swap)
			stepper.at_entry[u] = *w;
		else if (!what && is_after_switch)
			stepper.after_switch[u] = *w;
		else if (!what && is_in_swap(rip) && !same_callers(w, 1, &stepper.at_entry[u], 1))
			what = "other callers or registers than at coctx_swap's first instruction";
		else if (!what && has_left_swap && !same_callers(w, 0, &stepper.after_switch[u], 1))
			what = "other callers or registers than before coctx_swap's jump";

		int seen = owner_by_walk(w);
		if (!what && seen != stepper.last_owner[1 + u] && !is_after_switch && stepper.points > 1)
			what = "the owner changes without a switch";
		if (!what && seen == stepper.last_owner[1 + u] && is_after_switch)
			what = "a switch does not change the owner";
		stepper.last_owner[1 + u] = seen;
		if (!what && u > 0 && !same_callers(w, 0, &stepper.now[0], 0))
			what = "other frames or registers than libgcc's";
		if (what)
			fault(u, rip, owner, what);
	}
	stepper.last_rip = rip;
}

/* An int3 begins the stepping, the next one ends it. */
static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	int saved_errno = errno;

	(void)sig;
	if (info->si_code == SI_KERNEL)
		stepper.is_on = !stepper.is_on;
	if (stepper.is_on) {
		check_point(uc);
		uc->uc_mcontext.gregs[REG_EFL] |= 0x100;
	} else {
		uc->uc_mcontext.gregs[REG_EFL] &= ~0x100;
	}
	errno = saved_errno;
}

#ifndef CO_TSAN
static void step_through(bool is_child_above, bool has_own_control_words)
{
	walkers_prepare(on_trap);
	/* Once at full speed: symbols get bound, which is not ours to test. */
	CHECK(nested_create(is_child_above, 64 * 1024));
	nested_run();

	nested.has_own_control_words = has_own_control_words;
	nested_set_control_words(MAIN);
	CHECK(nested_create(is_child_above, 256 * 1024));
	__asm__ volatile("int3");
	nested_run();
	__asm__ volatile("int3");

	printf("%zu points, of them %zu in coctx_swap, %zu in __morestack; %zu switches\n", stepper.points,
	       stepper.in_swap, stepper.in_trampoline, stepper.switches);
	for (int u = 0; u < N_UNWINDERS; u++)
		printf("%-13s %zu failures\n", unwinders[u].name, stepper.faults[u]);
	CHECK_EQ(stepper.switches, NESTED_SWAPS);
	/* At the first swap they are still alike: A starts with its creator's. */
	CHECK_EQ(stepper.ldmxcsr, has_own_control_words ? NESTED_SWAPS - 1 : 0);
	CHECK_EQ(stepper.fldcw, has_own_control_words ? NESTED_SWAPS - 1 : 0);
	CHECK_EQ(stepper.in_trampoline, 3 * 2); /* each new coroutine: a mov and a call */
	for (int u = 0; u < N_UNWINDERS; u++)
		CHECK_EQ(stepper.faults[u], 0);
}

static void step_child_above(void)
{
	step_through(true, false);
}

static void step_child_below(void)
{
	step_through(false, false);
}

static void step_control_words(void)
{
	step_through(true, true);
}
#endif

/* --- suspended ones ------------------------------------------------------------------ */

/* Walk from what coctx_swap has put down for @owner. */
static void walk_suspended(struct walk *w, int owner)
{
	const struct coctx *ctx = &nested.co[owner]->exec.ctx;
	ucontext_t uc;

	CHECK_EQ(unw_getcontext(&uc), 0); /* segments and the like */
	uc.uc_mcontext.gregs[REG_RBX] = (greg_t)ctx->rbx;
	uc.uc_mcontext.gregs[REG_RBP] = (greg_t)ctx->rbp;
	uc.uc_mcontext.gregs[REG_R12] = (greg_t)ctx->r12;
	uc.uc_mcontext.gregs[REG_R13] = (greg_t)ctx->r13;
	uc.uc_mcontext.gregs[REG_R14] = (greg_t)ctx->r14;
	uc.uc_mcontext.gregs[REG_R15] = (greg_t)ctx->r15;
	uc.uc_mcontext.gregs[REG_RSP] = (greg_t)ctx->rsp;
	uc.uc_mcontext.gregs[REG_RIP] = (greg_t)ctx->rip;
	walk_from(w, &uc, 0);
}

static void check_suspended(int owner, const int *expected, int n_expected)
{
	struct walk w;
	int chain[MAX_FRAMES] = { 0 }, n = 0;

	walk_suspended(&w, owner);
	for (int i = 0; i < w.n; i++) {
		int mark = mark_at(w.ip[i], true);
		if (mark == HOLD)
			for (int r = 0; r < HELD_REGISTERS; r++)
				CHECK_EQ(w.registers[i][r], nested.tag[owner] + (unsigned long)r + 1);
		if (mark != NO_MARK)
			chain[n++] = mark;
	}
	print_chain("found", chain, n);
	CHECK(w.is_complete);
	CHECK_EQ(n, n_expected);
	CHECK(memcmp(chain, expected, (size_t)n * sizeof(chain[0])) == 0);
	CHECK(mark_at(w.ip[w.n - 1], true) == NOBODY); /* nothing follows it */
}

static void suspended(void)
{
	walkers_prepare(on_trap);
	CHECK(nested_create(true, 256 * 1024));
	for (int i = A; i < N_OWNERS; i++) /* new ones have no frame yet */
		check_suspended(i, (int[]){ TRAMPOLINE, NOBODY }, 2);
	nested_resume(MAIN, A);
	for (int i = A; i < N_OWNERS; i++)
		check_suspended(i, (int[]){ HOLD, BODY + i, TRAMPOLINE, NOBODY }, 4);
}

static const struct test_case cases[] = {
#ifndef CO_TSAN /* its runtime cannot bear a signal in the middle of its own functions */
	{ "above", "C06: every instruction unwinds, each child's stack above its resumer's", step_child_above, 0, NULL },
	{ "below", "every instruction unwinds, each child's stack below its resumer's", step_child_below, 0, NULL },
	{ "control_words", "also those that load other control words", step_control_words, 0, NULL },
#endif
	{ "suspended", "C06: a suspended coroutine's frames end in co_has_no_resumer", suspended, 0, NULL },
};
TEST_MAIN(cases)
