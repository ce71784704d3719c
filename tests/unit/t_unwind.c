/* SPDX-License-Identifier: MIT */
/*
 * Every instruction unwinds: of the swap, of the entry trampoline, and of all
 * that lies between a co_resume and its return.
 *
 * The program steps through itself: with the trap flag (EFLAGS.TF) set, the
 * processor raises SIGTRAP after each instruction, and the handler, on a stack
 * of its own, walks from the interrupted instruction with three unwinders:
 * libgcc (C++ exceptions, backtrace(3)), and both ways of libunwind (unw_step,
 * and unw_backtrace, which has a fast path of its own).
 *
 * What must come out is known without asking the library: rsp says whose stack
 * we stand on, fixtures/nested.h says who resumed whom.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include <dlfcn.h>
#include <ucontext.h>
#include <unwind.h>

#include "../fixtures/nested.h"
#include "check.h"
#include "coctx.h"

extern void *const coctx_entry; /* an address in the trampoline */
int main(int argc, char **argv);

enum { MAX_FRAMES = 64, ALT_STACK = 512 * 1024, RSP = NESTED_REGISTERS, N_REGISTERS };

/* --- one walk ------------------------------------------------------------------ */

/* Frames from the interrupted instruction outwards. */
struct walk {
	int n;
	bool is_complete; /* the unwinder says: the outermost frame */
	bool has_registers;
	uintptr_t ip[MAX_FRAMES];
	unsigned long registers[MAX_FRAMES][N_REGISTERS]; /* rbx rbp r12 r13 r14 r15 rsp */
};

/* libunwind has functions of these names too, and is linked first: ask for
 * libgcc's by the library's name. */
static struct {
	_Unwind_Reason_Code (*backtrace)(_Unwind_Trace_Fn, void *);
	uintptr_t (*get_ip)(struct _Unwind_Context *);
	uintptr_t (*get_register)(struct _Unwind_Context *, int);
	uintptr_t (*get_rsp)(struct _Unwind_Context *);
	void *(*find_function)(void *);
} libgcc;

static void *libgcc_symbol(const char *name)
{
	void *lib = dlopen("libgcc_s.so.1", RTLD_NOW);
	CHECK(lib != NULL);
	void *symbol = dlsym(lib, name);
	CHECK(symbol != NULL);
	return symbol;
}

static void libgcc_load(void)
{
	*(void **)&libgcc.backtrace = libgcc_symbol("_Unwind_Backtrace");
	*(void **)&libgcc.get_ip = libgcc_symbol("_Unwind_GetIP");
	*(void **)&libgcc.get_register = libgcc_symbol("_Unwind_GetGR");
	*(void **)&libgcc.get_rsp = libgcc_symbol("_Unwind_GetCFA");
	*(void **)&libgcc.find_function = libgcc_symbol("_Unwind_FindEnclosingFunction");
}

struct libgcc_walk {
	struct walk *walk;
	uintptr_t start; /* frames before this ip are the handler's own */
};

static _Unwind_Reason_Code libgcc_frame(struct _Unwind_Context *context, void *arg)
{
	static const int dwarf_numbers[NESTED_REGISTERS] = { 3, 6, 12, 13, 14, 15 };
	struct libgcc_walk *l = arg;
	struct walk *w = l->walk;
	uintptr_t ip = libgcc.get_ip(context);

	if (w->n == 0 && ip != l->start)
		return _URC_NO_REASON;
	if (w->n == MAX_FRAMES)
		return _URC_NORMAL_STOP;
	for (int i = 0; i < NESTED_REGISTERS; i++)
		w->registers[w->n][i] = libgcc.get_register(context, dwarf_numbers[i]);
	w->registers[w->n][RSP] = libgcc.get_rsp(context);
	w->ip[w->n++] = ip;
	return _URC_NO_REASON;
}

static void walk_libgcc(struct walk *w, ucontext_t *uc)
{
	struct libgcc_walk l = { w, (uintptr_t)uc->uc_mcontext.gregs[REG_RIP] };

	w->n = 0;
	w->has_registers = true;
	w->is_complete = libgcc.backtrace(libgcc_frame, &l) == _URC_END_OF_STACK;
}

/* @flag is UNW_INIT_SIGNAL_FRAME if uc holds an interrupted instruction, 0 if
 * it holds a return address. */
static void walk_from(struct walk *w, ucontext_t *uc, int flag)
{
	static const unw_regnum_t names[N_REGISTERS] = { UNW_X86_64_RBX, UNW_X86_64_RBP, UNW_X86_64_R12, UNW_X86_64_R13,
							 UNW_X86_64_R14, UNW_X86_64_R15, UNW_X86_64_RSP };
	unw_cursor_t cursor;
	int more = unw_init_local2(&cursor, uc, flag) == 0;

	w->n = 0;
	w->has_registers = true;
	for (; more > 0 && w->n < MAX_FRAMES; more = unw_step(&cursor)) {
		unw_word_t value;

		unw_get_reg(&cursor, UNW_REG_IP, &value);
		w->ip[w->n] = value;
		for (int i = 0; i < N_REGISTERS; i++) {
			unw_get_reg(&cursor, names[i], &value);
			w->registers[w->n][i] = value;
		}
		w->n++;
	}
	w->is_complete = more == 0;
}

static void walk_unw_step(struct walk *w, ucontext_t *uc)
{
	walk_from(w, uc, UNW_INIT_SIGNAL_FRAME);
}

static void walk_unw_backtrace(struct walk *w, ucontext_t *uc)
{
	void *ips[MAX_FRAMES];
	int n = unw_backtrace(ips, MAX_FRAMES);
	int i = 0;

	while (i < n && ips[i] != (void *)uc->uc_mcontext.gregs[REG_RIP])
		i++;
	w->n = 0;
	w->has_registers = false;
	w->is_complete = n < MAX_FRAMES; /* it does not tell */
	while (i < n)
		w->ip[w->n++] = (uintptr_t)ips[i++];
}

static const struct unwinder {
	const char *name;
	void (*walk)(struct walk *, ucontext_t *);
} unwinders[] = {
	{ "libgcc", walk_libgcc },
	{ "unw_step", walk_unw_step },
	{ "unw_backtrace", walk_unw_backtrace },
};
enum { N_UNWINDERS = sizeof(unwinders) / sizeof(unwinders[0]) };

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

static const void *trampoline, *nobody; /* where they begin: they have no public name */

static const char *mark_name(int mark)
{
	return mark == TRAMPOLINE ? "__morestack" : mark == NOBODY ? "co_has_no_resumer" : marks[mark].name;
}

static int mark_at(uintptr_t ip, bool is_return_address)
{
	/* A call may be a function's last instruction: look just before. */
	const void *fn = libgcc.find_function((void *)(ip + !is_return_address));
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
			for (int r = 0; r < NESTED_REGISTERS; r++)
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

/* @a without its first @from_a frames equals @b without its first @from_b, and
 * so do rsp and the callee-saved registers where they begin. The unwinders do
 * not agree whether _start, which nobody called, is a frame. */
static bool same_callers(const struct walk *a, int from_a, const struct walk *b, int from_b)
{
	int n_a = a->n - from_a, n_b = b->n - from_b;
	int n = n_a < n_b ? n_a : n_b;

	if (n <= 0 || abs(n_a - n_b) > 1 || memcmp(a->ip + from_a, b->ip + from_b, (size_t)n * sizeof(a->ip[0])) != 0)
		return false;
	return !a->has_registers || !b->has_registers ||
	       memcmp(a->registers[from_a], b->registers[from_b], sizeof(a->registers[0])) == 0;
}

static struct {
	bool is_on;
	size_t points, in_swap, in_trampoline, faults[N_UNWINDERS];
	size_t switches, ldmxcsr, fldcw;
	uintptr_t last_rip;
	int last_owner[1 + N_UNWINDERS]; /* by rsp, and as each unwinder has it */
	struct walk now[N_UNWINDERS], at_entry[N_UNWINDERS], after_switch[N_UNWINDERS];
	uintptr_t swap_end;
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

/* mov 0x30(%rsi),%rsp: the one instruction at which the owner changes. */
static bool is_the_switch(uintptr_t rip)
{
	static const unsigned char code[] = { 0x48, 0x8b, 0x66, offsetof(struct coctx, rsp) };
	return rip >= (uintptr_t)coctx_swap && rip < stepper.swap_end && memcmp((void *)rip, code, sizeof(code)) == 0;
}

static void count_point(uintptr_t rip)
{
	const unsigned char *code = (const unsigned char *)rip;
	bool is_in_swap = rip >= (uintptr_t)coctx_swap && rip < stepper.swap_end;

	stepper.points++;
	stepper.in_swap += is_in_swap;
	stepper.in_trampoline += libgcc.find_function((void *)(rip + 1)) == trampoline;
	stepper.switches += is_the_switch(rip);
	stepper.ldmxcsr += is_in_swap && code[0] == 0x0f && code[1] == 0xae && code[2] == 0x56;
	stepper.fldcw += is_in_swap && code[0] == 0xd9 && code[1] == 0x6e;
}

static void check_point(ucontext_t *uc)
{
	uintptr_t rip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	int owner = owner_by_rsp((uintptr_t)uc->uc_mcontext.gregs[REG_RSP]);
	bool is_after_switch = is_the_switch(stepper.last_rip);
	bool is_in_swap = rip >= (uintptr_t)coctx_swap && rip < stepper.swap_end;
	bool has_left_swap = !is_in_swap && stepper.last_rip >= (uintptr_t)coctx_swap && stepper.last_rip < stepper.swap_end;

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
		else if (!what && is_in_swap && !same_callers(w, 1, &stepper.at_entry[u], 1))
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

static void prepare(void)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	static char alt_stack[ALT_STACK];

	libgcc_load();
	trampoline = libgcc.find_function(coctx_entry);
	nobody = libgcc.find_function(coctx_nobody.rip);
	CHECK(trampoline && nobody && trampoline != nobody);
	/* coctx_swap ends where its FDE does; its jump is two bytes long. */
	stepper.swap_end = (uintptr_t)coctx_swap;
	while (libgcc.find_function((void *)(stepper.swap_end + 1)) == (void *)coctx_swap)
		stepper.swap_end++;

	CHECK_EQ(sigaltstack(&(stack_t){ .ss_sp = alt_stack, .ss_size = sizeof(alt_stack) }, NULL), 0);
	CHECK_EQ(sigaction(SIGTRAP, &action, NULL), 0);
}

#ifndef CO_TSAN
static void step_through(bool is_child_above, bool has_own_control_words)
{
	prepare();
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
			for (int r = 0; r < NESTED_REGISTERS; r++)
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
	prepare();
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
