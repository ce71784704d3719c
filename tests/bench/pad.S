/* SPDX-License-Identifier: MIT */
/* Sixteen bytes that nobody runs, before all other code: it lies elsewhere in its cache lines. */
	.text
	.p2align 4
	.skip	16
	.section .note.GNU-stack, "", @progbits
