/* SPDX-License-Identifier: MIT */
/*
 * Lesson 10: shared stacks as libco has them, in small.
 *
 * Links with lessons 1 and 2 alone. alice and bob swap directly, and whoever leaves
 * copies the stack that it stands on. An experiment in README.md breaks it.
 */
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coctx.h"

struct mini {
	struct coctx ctx;
	char *sp;    /* about where its stack pointer is: the address of a local */
	char *saved; /* its bytes from sp to the top */
	size_t len;
};

static alignas(16) char slot[64 * 1024];
static char *const top = slot + sizeof(slot);

static struct mini main_, alice, bob;
static struct mini *resident;
static struct mini *comes_back; /* its bytes must be put back. In no local: after the swap, a local is
				   another's */
static uintptr_t below;         /* the word below alice's stack pointer, when she came back */

static void copy_out(struct mini *m)
{
	m->len = (size_t)(top - m->sp);
	free(m->saved);
	m->saved = malloc(m->len);
	if (!m->saved)
		exit(1);
	memcpy(m->saved, m->sp, m->len);
}

static void copy_in(struct mini *m)
{
	memcpy(m->sp, m->saved, m->len);
}

/* A local's address that outlives its function: gcc would warn of it. */
static char *keep(char *address)
{
	__asm__("" : "+r"(address));
	return address;
}

__attribute__((noinline)) static void mini_swap(struct mini *from, struct mini *to)
{
	char here;

	from->sp = keep(&here);
	comes_back = NULL;
	if (to != &main_ && to != resident) {
		if (resident)
			copy_out(resident);
		comes_back = to->saved ? to : NULL;
		resident = to;
	}
	coctx_swap(&from->ctx, &to->ctx);
	/* rsp is right again, but what lies above it is still another's. */
	if (comes_back == &alice)
		below = ((volatile uintptr_t *)alice.ctx.rsp)[-1];
	if (comes_back)
		copy_in(comes_back);
}

static void shallow(void *arg)
{
	volatile int n = 42;

	(void)arg;
	for (;;) {
		mini_swap(&alice, &bob);
		printf("alice: n is %d; just below her stack pointer lay %#lx\n", n, (unsigned long)below);
	}
}

static void deep(void *arg)
{
	volatile unsigned char bytes[2048];
	int n_wrong = 0;

	(void)arg;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 0x42;
	mini_swap(&bob, &alice);
	for (size_t i = 0; i < sizeof(bytes); i++)
		n_wrong += bytes[i] != 0x42;
	printf("bob: of %zu bytes %d are wrong\n", sizeof(bytes), n_wrong);
	mini_swap(&bob, &main_);
}

int main(void)
{
	static const struct coctx *const nobody = &coctx_nobody;

	setvbuf(stdout, NULL, _IOLBF, 0);
	coctx_make(&alice.ctx, top, shallow, NULL, &nobody);
	coctx_make(&bob.ctx, top, deep, NULL, &nobody);
	mini_swap(&main_, &alice);
	printf("main returns\n");
	free(alice.saved);
	free(bob.saved);
	return 0;
}
