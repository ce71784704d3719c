/* SPDX-License-Identifier: MIT */
/*
 * coctx_swap — stop being one execution, go on as another.
 *
 *     void coctx_swap(struct coctx *from, const struct coctx *to);
 *                     rdi                 rsi
 *
 * Writes the caller's registers into *from, loads those in *to, and returns:
 * not to its caller, but to whoever once filled *to. The caller gets its turn
 * back when somebody swaps to *from.
 *
 * Layer:   1. Knows registers and nothing else: no stack bounds, no coroutine.
 * Source:  System V ABI, AMD64 supplement, version 1.0:
 *          3.2.1 (registers), 3.2.2 (stack frame), 3.2.3 (parameters).
 * Model:   libco coctx_swap.S at dc6aafc; differs in: saves what the ABI makes
 *          ours and only that (libco: six registers more, control words
 *          missing), ends in a jump, unwinds at every instruction.
 *
 *
 * Which registers, and why
 * ------------------------
 * Whoever calls coctx_swap calls a C function, and a C compiler knows what a
 * function may destroy. So the work is half done before we start:
 *
 *   saved here       rbx rbp r12 r13 r14 r15   3.2.1: "belong" to the caller,
 *   (callee-saved)   rsp                       who expects them unchanged when
 *                    mxcsr, control bits       the function returns; other
 *                    x87 control word          code runs before it does
 *   saved here       the resume address: where the caller goes on
 *
 *   not saved        rax rcx rdx rsi rdi       the caller already counts them
 *   (caller-saved)   r8 r9 r10 r11             as lost across any call; what it
 *                    xmm0-15 and wider         still needs, it has put on its
 *                    st0-7, flags              stack before calling
 *                    mxcsr, sticky bits
 *
 *   special          direction flag            must be clear at every call and
 *                                              return: the same on both sides
 *                    red zone                  128 bytes below rsp that a leaf
 *                                              function may use; our caller is
 *                                              no leaf (it calls us): unused
 *                    fs, gs base               the thread's, not the
 *                                              coroutine's: both sides run on
 *                                              one thread
 *                    shadow stack (CET)        would have to be switched too;
 *                                              we do not, and by leaving out
 *                                              the CET property note this file
 *                                              says so: the linker then leaves
 *                                              shadow stacks off
 *
 *
 * struct coctx, offsets in bytes (names in coctx_offsets.h)
 * ---------------------------------------------------------
 *    0     8     16    24    32    40    48    56    64      68      72
 *    +-----+-----+-----+-----+-----+-----+-----+-----+-------+-------+
 *    | rbx | rbp | r12 | r13 | r14 | r15 | rsp | rip | mxcsr | x87cw |
 *    +-----+-----+-----+-----+-----+-----+-----+-----+-------+-------+
 *                                                     4       2 (+2)
 *
 *
 * The stacks (high addresses on top)
 * ----------------------------------
 *      on entry               after "the switch"       after the last jump
 *
 *      from's stack           to's stack               to's stack
 *      :            :         :            :           :            :
 *      | its frames |         | its frames |           | its frames |
 *      +------------+         +------------+ <- rsp    +------------+ <- rsp
 *      | return adr | <- rsp  : (free)     :           : (free)     :
 *      +------------+
 *
 * The saved rsp is the one the caller will have after the call has returned:
 * 8 above the rsp we find. Nothing that matters stays below it.
 *
 *
 * The lines that begin with .cfi
 * ------------------------------
 * They make no instructions. They tell a debugger, for each instruction, where
 * the caller's registers are at that moment, so that a backtrace is right even
 * in the middle of the switch. Read the code without them first.
 * CFA, "canonical frame address", is the value of rsp after we have returned;
 * a .cfi_escape says "register N of the caller lies at *base + offset".
 */
#include "coctx_offsets.h"

#if COCTX_RIP > 63
#error "saved_at codes an offset in one byte (SLEB128): it must stay below 64"
#endif

/* DWARF's numbers for registers (psABI 3.6.2, figure 3.36). */
#define DW_RBX  3
#define DW_RSI  4
#define DW_RDI  5
#define DW_RBP  6
#define DW_RSP  7
#define DW_R12 12
#define DW_R13 13
#define DW_R14 14
#define DW_R15 15
#define DW_RIP 16

/* DWARF's codes (DWARF 5, 6.4.2.3 and 7.7.1). */
#define DW_CFA_def_cfa_expression 0x0f
#define DW_CFA_expression         0x10
#define DW_OP_deref               0x06
#define DW_OP_plus_uconst         0x23
#define DW_OP_breg0               0x70

/* The caller's register \reg lies at \offset from what register \base holds. */
.macro saved_at reg, base, offset
	.cfi_escape DW_CFA_expression, \reg, 2, DW_OP_breg0 + \base, \offset
.endm

	.text
/* BEGIN SOLUTION */
	.globl	coctx_swap
	.type	coctx_swap, @function
	.p2align 4
coctx_swap:
	.cfi_startproc

	/* Where the caller goes on, and with what stack pointer. */
	movq	(%rsp), %rdx			/* our return address: becomes the resume point */
	leaq	8(%rsp), %rcx			/* rsp as it is once we have returned */

	/* Save the caller. Its registers are still untouched: default rules. */
	movq	%rbx, COCTX_RBX(%rdi)
	movq	%rbp, COCTX_RBP(%rdi)
	movq	%r12, COCTX_R12(%rdi)
	movq	%r13, COCTX_R13(%rdi)
	movq	%r14, COCTX_R14(%rdi)
	movq	%r15, COCTX_R15(%rdi)
	movq	%rcx, COCTX_RSP(%rdi)
	movq	%rdx, COCTX_RIP(%rdi)

	/* Save the settings of both floating-point units. */
	stmxcsr	COCTX_MXCSR(%rdi)		/* SSE: rounding, masks, flush-to-zero */
	fnstcw	COCTX_X87CW(%rdi)		/* x87: the same for long double */

	/* Load the SSE settings only if they differ. Loading costs about 30 ns
	 * when the sticky flags have changed since, comparing costs nothing. */
	movl	COCTX_MXCSR(%rdi), %eax
	xorl	COCTX_MXCSR(%rsi), %eax		/* the bits in which the two differ */
	andl	$COCTX_MXCSR_CONTROL_BITS, %eax	/* sticky flags belong to nobody */
	je	.Lmxcsr_is_right
	ldmxcsr	COCTX_MXCSR(%rsi)
.Lmxcsr_is_right:

	/* The x87 settings likewise. */
	movzwl	COCTX_X87CW(%rdi), %eax
	cmpw	COCTX_X87CW(%rsi), %ax
	je	.Lx87cw_is_right
	fldcw	COCTX_X87CW(%rsi)
.Lx87cw_is_right:

	/* Load the other one's registers, still standing on the old stack.
	 * A debugger finds the old values where we have just saved them. */
	movq	COCTX_RIP(%rsi), %rdx		/* where to go: early, the jump waits for it */
	movq	COCTX_RBX(%rsi), %rbx
	saved_at DW_RBX, DW_RDI, COCTX_RBX
	movq	COCTX_RBP(%rsi), %rbp
	saved_at DW_RBP, DW_RDI, COCTX_RBP
	movq	COCTX_R12(%rsi), %r12
	saved_at DW_R12, DW_RDI, COCTX_R12
	movq	COCTX_R13(%rsi), %r13
	saved_at DW_R13, DW_RDI, COCTX_R13
	movq	COCTX_R14(%rsi), %r14
	saved_at DW_R14, DW_RDI, COCTX_R14
	movq	COCTX_R15(%rsi), %r15
	saved_at DW_R15, DW_RDI, COCTX_R15

	/* The switch. Before this instruction we are `from`, after it `to`. */
	movq	COCTX_RSP(%rsi), %rsp
	.cfi_def_cfa %rsp, 0			/* the saved rsp is the one after return */
	saved_at DW_RIP, DW_RSI, COCTX_RIP	/* no return address on this stack */
	.cfi_same_value %rbx			/* the others are loaded and final */
	.cfi_same_value %rbp
	.cfi_same_value %r12
	.cfi_same_value %r13
	.cfi_same_value %r14
	.cfi_same_value %r15

	/* A jump, not a ret: the processor predicts a ret from the calls it has
	 * seen, and would guess our caller. A wrong guess costs some nanoseconds. */
	jmp	*%rdx
	.cfi_endproc
	.size	coctx_swap, . - coctx_swap

/* END SOLUTION */
/*
 * The entry trampoline — the first instructions of every new execution.
 *
 * A context that has never run holds no resume address of its own, so
 * coctx_make() (src/coctx.c) gives it this one. coctx_swap jumps here with
 * the registers that coctx_make has put into the struct:
 *
 *     rbx   address of the link: a struct coctx ** that leads to the context
 *           of whoever resumed this execution. The code never uses it; it is
 *           kept in a register that C functions preserve, so that a debugger
 *           finds the way from here to the resumer.
 *     r12   the function to call
 *     r13   its argument
 *     rsp   top of the new stack, a multiple of 16. Nothing is on it yet.
 *
 *     top of stack ->  +-----------------+ <- rsp (multiple of 16)
 *                      | return address  |    pushed by our call: the function
 *                      +-----------------+    starts with rsp % 16 == 8, as
 *                      : its frame       :    3.2.2 asks
 *
 * Why the symbol is called __morestack: an execution's stack may lie above or
 * below its resumer's. A backtrace that walks from a callee to a caller whose
 * frame lies *below* looks like a corrupted stack to GDB, and GDB stops there,
 * unless the function has this name, which gcc's split stacks use for the same
 * kind of seam. It must be the only symbol here: GDB asks for the name of the
 * code, and one symbol more would hide this one.
 */
	.type	__morestack, @function
	.p2align 4
__morestack:
	.cfi_startproc simple
	.cfi_personality 0x9b, .Lstop_personality_address

	/* CFA = (*link)->rsp; the resumer's registers lie in its context.
	 * The 6 and the 5 count the bytes of the expression that follows. */
	.cfi_escape DW_CFA_def_cfa_expression, 6, DW_OP_breg0 + DW_RBX, 0, DW_OP_deref, DW_OP_plus_uconst, COCTX_RSP, DW_OP_deref
.macro in_resumer reg, offset
	.cfi_escape DW_CFA_expression, \reg, 5, DW_OP_breg0 + DW_RBX, 0, DW_OP_deref, DW_OP_plus_uconst, \offset
.endm
	in_resumer DW_RIP, COCTX_RIP
	in_resumer DW_RBX, COCTX_RBX
	in_resumer DW_RBP, COCTX_RBP
	in_resumer DW_R12, COCTX_R12
	in_resumer DW_R13, COCTX_R13
	in_resumer DW_R14, COCTX_R14
	in_resumer DW_R15, COCTX_R15

	nop					/* a debugger looks up "address - 1": keep that in here */
.Lentry:
	movq	%r13, %rdi			/* the argument, where a C function expects it */
	callq	*%r12
	ud2					/* it must never return: there is no caller */
	.cfi_endproc
	.size	__morestack, . - __morestack


/*
 * Exceptions stop here.
 *
 *     int co_stop_personality(int version, int actions, ...);
 *                             edi          esi
 *
 * The C++ unwinder asks this function whether an exception may pass the
 * trampoline. It must not: the resumer's frames belong to another execution,
 * and running its handlers here would leave every "who is running" variable
 * wrong. Told that the stack ends, the C++ runtime calls std::terminate().
 *
 * A forced unwind may pass: that is pthread_exit or pthread_cancel, the end of
 * the whole thread, resumers included. It runs their destructors and catches
 * nothing; glibc answers a refusal with abort().
 *
 * Backtraces do not ask, and go through. The CFI above refers to the function
 * by way of a word that holds its address (0x9b: indirect, relative to the
 * place, 4 bytes). Codes: Itanium C++ ABI, exception handling, 1.2 and 1.6.
 */
#define UA_FORCE_UNWIND     8
#define URC_END_OF_STACK    5
#define URC_CONTINUE_UNWIND 8

	.type	co_stop_personality, @function
	.p2align 4
co_stop_personality:
	.cfi_startproc
	movl	$URC_CONTINUE_UNWIND, %eax
	testl	$UA_FORCE_UNWIND, %esi
	jne	.Lmay_pass
	movl	$URC_END_OF_STACK, %eax
.Lmay_pass:
	ret
	.cfi_endproc
	.size	co_stop_personality, . - co_stop_personality


/*
 * The ends of a chain — where a backtrace stops, and a name that says why.
 *
 * A suspended execution has no resumer: its link leads to coctx_nobody, whose
 * resume address lies in co_has_no_resumer. And if the resumer's bytes are not on
 * its stack (on a shared one, another's may be there), they must not be walked:
 * then the link leads to coctx_copied_out. Nobody ever runs these functions; their
 * CFI says that nothing comes after.
 */
.macro end_of_chain name, resume_address
	.type	\name, @function
	.p2align 4
\name:
	.cfi_startproc
	.cfi_undefined %rip
	nop
\resume_address:
	ud2
	.cfi_endproc
	.size	\name, . - \name
.endm
	end_of_chain co_has_no_resumer, .Lnobody
	end_of_chain co_resumer_is_copied_out, .Lcopied_out


/* Addresses that C code needs, and cannot name because they have no symbol. */
	.section .data.rel.ro, "aw", @progbits
	.p2align 3
.Lstop_personality_address:
	.quad	co_stop_personality

	/* void *const coctx_entry: where a new execution starts. */
	.globl	coctx_entry
	.hidden	coctx_entry
	.type	coctx_entry, @object
	.size	coctx_entry, 8
coctx_entry:
	.quad	.Lentry

	/* const struct coctx coctx_nobody, coctx_copied_out. */
.macro context_of name, resume_address
	.globl	\name
	.type	\name, @object
	.size	\name, COCTX_SIZE
\name:
	.zero	COCTX_RSP
	.quad	.Lempty_stack			/* rsp: its stack is one empty word */
	.quad	\resume_address			/* rip */
	.long	0x1f80				/* mxcsr and x87cw as Linux starts a program */
	.short	0x037f
	.zero	COCTX_SIZE - COCTX_X87CW - 2
.endm
	context_of coctx_nobody, .Lnobody
	context_of coctx_copied_out, .Lcopied_out
	.quad	0
.Lempty_stack:

#include "gdb_script.h"

	/* The stack need not be executable. Without this section the linker
	 * would make the stack of the whole program so. */
	.section .note.GNU-stack, "", @progbits
