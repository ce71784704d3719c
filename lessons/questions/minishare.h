/* SPDX-License-Identifier: MIT */
/*
 * minishare — shared stacks in small: one slot, and whoever is to make way is copied out.
 * For questions 24 to 26, which differ in who copies, when, and what a swap keeps.
 */
#ifndef MINISHARE_H
#define MINISHARE_H

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "coctx.h"

struct mini {
	struct coctx ctx;
	char *sp;    /* where its bytes begin */
	char *saved; /* a copy of [sp, top) */
	size_t len;
};

static alignas(16) char slot[256 * 1024];
static char *const top = slot + sizeof(slot);

/* A loop, not memcpy: gcc may put that into the caller, and here it matters who stands where. */
__attribute__((noinline)) static void copy(char *to, const char *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((volatile char *)to)[i] = from[i];
}

static void copy_out(struct mini *m)
{
	m->len = (size_t)(top - m->sp);
	free(m->saved);
	m->saved = malloc(m->len);
	if (!m->saved)
		abort();
	copy(m->saved, m->sp, m->len);
}

static void copy_in(struct mini *m)
{
	copy(m->sp, m->saved, m->len);
}

/* An address of a local that outlives its function: compilers warn of it, and may
 * conclude things from it. */
static inline char *keep(char *address)
{
	__asm__("" : "+r"(address));
	return address;
}

/* Fill @n bytes of the caller's stack, and count how many are not so any more. */
static inline void fill_bytes(volatile char *bytes, int n, char value)
{
	for (int i = 0; i < n; i++)
		bytes[i] = value;
}

static inline int count_wrong(const volatile char *bytes, int n, char value)
{
	int n_wrong = 0;

	for (int i = 0; i < n; i++)
		n_wrong += bytes[i] != value;
	return n_wrong;
}

#endif
