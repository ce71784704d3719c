/* SPDX-License-Identifier: MIT */
/*
 * regs — see regs.h.
 *
 * Source:  System V ABI, AMD64 supplement, version 1.0, 3.2.1: which registers
 *          a called function must keep and which it may destroy.
 */
#include "coctx_offsets.h"

/* struct regs */
#define REGS_RSP_BEFORE COCTX_SIZE

/* struct regs_other */
#define OTHER_FROM   0
#define OTHER_TO     8
#define OTHER_GOT   16
#define OTHER_TRASH 24

/* struct regs_entry */
#define ENTRY_ARG   COCTX_SIZE
#define ENTRY_FROM (COCTX_SIZE + 8)
#define ENTRY_TO   (COCTX_SIZE + 16)

/* Write what a call must keep, but for rsp, into the struct coctx at \where. */
.macro note where
	movq	%rbx, COCTX_RBX(\where)
	movq	%rbp, COCTX_RBP(\where)
	movq	%r12, COCTX_R12(\where)
	movq	%r13, COCTX_R13(\where)
	movq	%r14, COCTX_R14(\where)
	movq	%r15, COCTX_R15(\where)
	stmxcsr	COCTX_MXCSR(\where)
	fnstcw	COCTX_X87CW(\where)
.endm

.macro fill where
	movq	COCTX_RBX(\where), %rbx
	movq	COCTX_RBP(\where), %rbp
	movq	COCTX_R12(\where), %r12
	movq	COCTX_R13(\where), %r13
	movq	COCTX_R14(\where), %r14
	movq	COCTX_R15(\where), %r15
.endm

.macro keep reg
	pushq	\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
.endm

.macro give_back reg
	popq	\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
.endm

	.text

/* intptr_t regs_call(set rdi, got rsi, fn rdx, a rcx, b r8) */
	.globl	regs_call
	.type	regs_call, @function
	.p2align 4
regs_call:
	.cfi_startproc
	keep	%rbx
	keep	%rbp
	keep	%r12
	keep	%r13
	keep	%r14
	keep	%r15
	pushq	%rsi				/* got: no register will survive to tell us */
	.cfi_adjust_cfa_offset 8
	movq	%rsp, REGS_RSP_BEFORE(%rsi)

	fill	%rdi
	movq	%rdx, %rax
	movq	%rcx, %rdi
	movq	%r8, %rsi
	callq	*%rax				/* rsp is a multiple of 16: seven pushes and the return address */

	movq	%rsp, %rcx
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	note	%rsi
	movq	%rcx, COCTX_RSP(%rsi)
	give_back %r15
	give_back %r14
	give_back %r13
	give_back %r12
	give_back %rbp
	give_back %rbx
	ret
	.cfi_endproc
	.size	regs_call, . - regs_call

/* const char regs_other_begin[] */
	.globl	regs_other_begin
	.type	regs_other_begin, @function
	.p2align 4
regs_other_begin:
	.cfi_startproc
	.cfi_undefined %rip
	movq	OTHER_GOT(%rsp), %rax
	note	%rax
	movq	%rsp, COCTX_RSP(%rax)

	movq	OTHER_TRASH(%rsp), %rax
	fill	%rax
	ldmxcsr	COCTX_MXCSR(%rax)
	fldcw	COCTX_X87CW(%rax)

	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	pcmpeqd	%xmm\n, %xmm\n
	.endr
	movq	OTHER_FROM(%rsp), %rdi
	movq	OTHER_TO(%rsp), %rsi
	movq	$-1, %rax
	.irp	reg, rcx, rdx, r8, r9, r10, r11
	movq	%rax, %\reg
	.endr
	callq	coctx_swap@PLT
	jmp	regs_other_begin
	.cfi_endproc
	.size	regs_other_begin, . - regs_other_begin

/* void regs_entry_begin(entry rdi) */
	.globl	regs_entry_begin
	.type	regs_entry_begin, @function
	.p2align 4
regs_entry_begin:
	.cfi_startproc
	note	%rdi
	movq	%rsp, COCTX_RSP(%rdi)
	movq	%rdi, ENTRY_ARG(%rdi)
	movq	ENTRY_TO(%rdi), %rsi
	movq	ENTRY_FROM(%rdi), %rdi
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	callq	coctx_swap@PLT
	ud2					/* nobody comes back to it */
	.cfi_endproc
	.size	regs_entry_begin, . - regs_entry_begin

	.section .note.GNU-stack, "", @progbits
