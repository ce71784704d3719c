/* SPDX-License-Identifier: MIT */
/*
 * coctx_offsets — where each register lies in a struct coctx, x86-64.
 *
 * Assembly knows no structs, so the offsets stand here once as numbers.
 * The assembler includes this file for its operands; src/coctx.c includes it
 * too and compares every number with offsetof() at compile time.
 */
#ifndef COCTX_OFFSETS_H
#define COCTX_OFFSETS_H

#if !defined(__x86_64__)
#error "costep: only x86-64 is supported so far; a new machine needs its own asm/coctx_swap_<arch>.S and offsets"
#endif

#define COCTX_RBX    0
#define COCTX_RBP    8
#define COCTX_R12   16
#define COCTX_R13   24
#define COCTX_R14   32
#define COCTX_R15   40
#define COCTX_RSP   48
#define COCTX_RIP   56
#define COCTX_MXCSR 64
#define COCTX_X87CW 68
#define COCTX_SIZE  72

/* Bits 0 to 5 of mxcsr are sticky "this has happened" flags, not settings. */
#define COCTX_MXCSR_CONTROL_BITS (~0x3f)

#endif
