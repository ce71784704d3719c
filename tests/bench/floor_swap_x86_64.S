/* SPDX-License-Identifier: MIT */
/*
 * floor_swap — the six registers that every switch must keep, rsp, rip, and nothing else.
 *
 *     void floor_swap(void **from, void *const *to);     8 words each
 *
 * coctx_swap without the floating-point settings and without what makes it unwind. How
 * much more a switch costs is measured in the same run.
 */
	.text
	.globl	floor_swap
	.type	floor_swap, @function
	.p2align 4
floor_swap:
	movq	(%rsp), %rdx
	leaq	8(%rsp), %rcx
	movq	%rbx, 0(%rdi)
	movq	%rbp, 8(%rdi)
	movq	%r12, 16(%rdi)
	movq	%r13, 24(%rdi)
	movq	%r14, 32(%rdi)
	movq	%r15, 40(%rdi)
	movq	%rcx, 48(%rdi)
	movq	%rdx, 56(%rdi)
	movq	56(%rsi), %rdx
	movq	0(%rsi), %rbx
	movq	8(%rsi), %rbp
	movq	16(%rsi), %r12
	movq	24(%rsi), %r13
	movq	32(%rsi), %r14
	movq	40(%rsi), %r15
	movq	48(%rsi), %rsp
	jmp	*%rdx
	.size	floor_swap, . - floor_swap
	.section .note.GNU-stack, "", @progbits
