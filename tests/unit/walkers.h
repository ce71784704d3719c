/* SPDX-License-Identifier: MIT */
/*
 * walkers — three unwinders that walk from an interrupted instruction: libgcc's (C++
 * exceptions, backtrace(3)), and both ways of libunwind (unw_step, and unw_backtrace,
 * which has a fast path of its own). For programs that step through themselves: with
 * the trap flag (EFLAGS.TF) set, the processor raises SIGTRAP after each instruction.
 */
#ifndef WALKERS_H
#define WALKERS_H

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include <dlfcn.h>
#include <ucontext.h>
#include <unwind.h>

#include "../fixtures/hold_registers.h"
#include "check.h"
#include "coctx.h"

extern void *const coctx_entry; /* an address in the trampoline */

enum { MAX_FRAMES = 64, ALT_STACK = 512 * 1024, RSP = HELD_REGISTERS, N_REGISTERS };

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
	static const int dwarf_numbers[HELD_REGISTERS] = { 3, 6, 12, 13, 14, 15 };
	struct libgcc_walk *l = arg;
	struct walk *w = l->walk;
	uintptr_t ip = libgcc.get_ip(context);

	/* It also shows a 0 where a function says that nothing comes after. */
	if ((w->n == 0 && ip != l->start) || ip == 0)
		return _URC_NO_REASON;
	if (w->n == MAX_FRAMES)
		return _URC_NORMAL_STOP;
	for (int i = 0; i < HELD_REGISTERS; i++)
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

/* @a without its first @from_a frames equals @b without its first @from_b, and
 * so do rsp and the callee-saved registers where they begin. The unwinders do
 * not agree whether _start, which nobody called, is a frame. */
static inline bool same_callers(const struct walk *a, int from_a, const struct walk *b, int from_b)
{
	int n_a = a->n - from_a, n_b = b->n - from_b;
	int n = n_a < n_b ? n_a : n_b;

	if (n <= 0 || abs(n_a - n_b) > 1 || memcmp(a->ip + from_a, b->ip + from_b, (size_t)n * sizeof(a->ip[0])) != 0)
		return false;
	return !a->has_registers || !b->has_registers ||
	       memcmp(a->registers[from_a], b->registers[from_b], sizeof(a->registers[0])) == 0;
}

/* --- where things are --------------------------------------------------------------- */

static const void *trampoline, *nobody, *copied_out; /* where they begin: they have no public name */
static uintptr_t swap_end; /* of coctx_swap */

/* The beginning of the function that @ip is in: an interrupted instruction's, or a
 * return address, and then a call may be the function's last instruction. */
static inline const void *function_at(uintptr_t ip, bool is_return_address)
{
	return libgcc.find_function((void *)(ip + !is_return_address));
}

static inline bool is_in_swap(uintptr_t rip)
{
	return rip >= (uintptr_t)coctx_swap && rip < swap_end;
}

/* mov 0x30(%rsi),%rsp: the one instruction at which the owner changes. */
static inline bool is_the_switch(uintptr_t rip)
{
	static const unsigned char code[] = { 0x48, 0x8b, 0x66, offsetof(struct coctx, rsp) };
	return is_in_swap(rip) && memcmp((void *)rip, code, sizeof(code)) == 0;
}

/* @on_trap gets the SIGTRAPs, on a stack of its own. */
static void walkers_prepare(void (*on_trap)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	static char alt_stack[ALT_STACK];

	libgcc_load();
	trampoline = libgcc.find_function(coctx_entry);
	nobody = libgcc.find_function(coctx_nobody.rip);
	copied_out = libgcc.find_function(coctx_copied_out.rip);
	CHECK(trampoline && nobody && trampoline != nobody && copied_out && copied_out != nobody);
	/* coctx_swap ends where its FDE does; its jump is two bytes long. */
	swap_end = (uintptr_t)coctx_swap;
	while (libgcc.find_function((void *)(swap_end + 1)) == (void *)coctx_swap)
		swap_end++;

	CHECK_EQ(sigaltstack(&(stack_t){ .ss_sp = alt_stack, .ss_size = sizeof(alt_stack) }, NULL), 0);
	CHECK_EQ(sigaction(SIGTRAP, &action, NULL), 0);
}

#endif
