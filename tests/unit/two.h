/* SPDX-License-Identifier: MIT */
/*
 * two — a child process in which two executions swap, and that can be stepped.
 *
 * For tests of coviz's parts that look at a switch: t_viz_symbols, t_viz_say. Linked with
 * asm/coctx_swap_*.S.
 */
#ifndef TWO_H
#define TWO_H

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "../../src/coctx.c"
#include "cpu.h"
#include "check.h"

enum { TWO_STACK = 64 * 1024, TWO_TURNS = 3 };
static struct coctx here, there, *link_of_there = &here;
static _Alignas(64) char other_stack[TWO_STACK];
static pid_t two_child;
static volatile int turns;

static inline uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

__attribute__((noinline)) static void other_leaf(int n)
{
	if (n > 0) {
		other_leaf(n - 1);
		turns++;
		return;
	}
	while (turns < 1000) {
		turns++;
		coctx_swap(&there, &here);
		__asm__ volatile("" : : : "r12"); /* not used across the swap: it will be changed */
	}
}

/* Its call is the last instruction: the return address lies behind its end. */
static void other_body(void *arg)
{
	(void)arg;
	other_leaf(3);
	__builtin_unreachable();
}

__attribute__((noinline)) static void caller_of_swap(void)
{
	coctx_swap(&here, &there);
	turns++;
}

static int two_traced(void)
{
	coctx_make(&there, other_stack + TWO_STACK, other_body, NULL, (const struct coctx *const *)&link_of_there);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	for (int i = 0; i < TWO_TURNS; i++) {
		if (i == TWO_TURNS - 1)
			there.r12 = (void *)0x1234;
		caller_of_swap();
	}
	return 0;
}

/* Begin; the child stands before its first swap. */
static inline void two_start(void)
{
	int status;

	two_child = fork();
	CHECK(two_child >= 0);
	if (two_child == 0)
		_exit(two_traced());
	CHECK_EQ(waitpid(two_child, &status, 0), two_child);
	CHECK(WIFSTOPPED(status));
}

/* One instruction. 0: the child has ended, as it should. */
static inline int two_step(void)
{
	int status;

	CHECK_EQ(ptrace(PTRACE_SINGLESTEP, two_child, NULL, NULL), 0);
	CHECK_EQ(waitpid(two_child, &status, 0), two_child);
	if (WIFSTOPPED(status))
		return 1;
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}

static inline bool two_read(void *arg, uint64_t addr, void *to, size_t len)
{
	struct iovec mine = { to, len }, its = { (void *)(uintptr_t)addr, len };

	(void)arg;
	return process_vm_readv(two_child, &mine, 1, &its, 1, 0) == (ssize_t)len;
}

static inline struct regs two_registers(void)
{
	struct user_regs_struct u;
	struct user_fpregs_struct f;

	CHECK_EQ(ptrace(PTRACE_GETREGS, two_child, NULL, &u), 0);
	CHECK_EQ(ptrace(PTRACE_GETFPREGS, two_child, NULL, &f), 0);
	return (struct regs){ .r = { u.rax, u.rbx, u.rcx, u.rdx, u.rsi, u.rdi, u.rbp, u.rsp, u.r8, u.r9, u.r10, u.r11,
				     u.r12, u.r13, u.r14, u.r15, u.rip, u.eflags, f.mxcsr, f.cwd } };
}

#endif
