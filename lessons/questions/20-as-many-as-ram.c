/* SPDX-License-Identifier: MIT */
/*
 * Stacks with a guard page each, until the system says no; nobody touches them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "question.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

const struct question question = {
	.file = __FILE__,
	.lesson = 9,
	.belief = "There can be as many stacks with guard pages as there is memory for.",
	.natural = "A stack that nobody has touched needs no memory, and a guard never does.",
	.predict = "stacks of 16 KiB are mapped, and mprotect makes the lowest page of each a guard. There is memory "
		   "for millions. How many will there be?",
	.answers = { "as many as one asks for", "a few thousand", "half of vm.max_map_count" },
	.answer = 'c',
	.result = "mprotect splits the map, so half of vm.max_map_count (about 32 750) is the end; MADV_GUARD_INSTALL has no such limit",
	.because = "The kernel keeps a list of maps, ranges with the same rights, and limits its length: 65 530 by "
		   "default. A stack with a guard by mprotect is two of them. MADV_GUARD_INSTALL (since Linux 6.13) "
		   "marks pages in the page table instead, and the map stays one.",
};

enum { PAGE = 4096, STACK = 16 * 1024, ENOUGH = 34000 };

static long read_long(const char *file)
{
	long n = 0;
	FILE *f = fopen(file, "r");

	if (f && fscanf(f, "%ld", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

static long count_maps(void)
{
	char line[4096];
	long n = 0;
	FILE *f = fopen("/proc/self/maps", "r");

	while (f && fgets(line, sizeof(line), f))
		n++;
	if (f)
		fclose(f);
	return n;
}

/* Each child starts with few maps, and what it has mapped goes with it. */
static volatile struct {
	long n, maps;
	int error;
} *seen;

static void by_mprotect(void)
{
	long before = count_maps();

	for (seen->n = 0; seen->n < ENOUGH; seen->n++) {
		char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (stack == MAP_FAILED || mprotect(stack, PAGE, PROT_NONE) != 0) {
			seen->error = errno;
			break;
		}
		if (seen->n == 999)
			seen->maps = count_maps() - before;
	}
}

static void by_madvise(void)
{
	for (seen->n = 0; seen->n < ENOUGH; seen->n++) {
		char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (stack == MAP_FAILED || madvise(stack, PAGE, MADV_GUARD_INSTALL) != 0) {
			seen->error = errno;
			return;
		}
	}
	char *last = map_bytes(STACK);
	if (madvise(last, PAGE, MADV_GUARD_INSTALL) == 0)
		*(volatile char *)last = 1; /* must be a fault */
}

char experiment(void)
{
	long limit = read_long("/proc/sys/vm/max_map_count"), n;

	seen = shared_with_child(sizeof(*seen));
	in_child(by_mprotect);
	n = seen->n;
	saw("vm.max_map_count is %ld; 1000 stacks with a guard are %ld maps", limit, seen->maps);
	saw("mprotect:           %ld stacks, %s", n, n < ENOUGH ? strerror(seen->error) : "and no failure");
	must(seen->maps >= 1990 && seen->maps <= 2010, "two maps for each", "%ld for 1000", seen->maps);
	if (limit > 2 * ENOUGH) {
		lacks("the usual limit of 65530, so %d is not enough to meet it", ENOUGH);
		must(n == ENOUGH, "no failure below the limit", "%ld", n);
	} else {
		must(seen->error == ENOMEM, "ENOMEM", "%s", strerror(seen->error));
	}

	seen->error = 0;
	struct ended end = in_child(by_madvise);
	if (seen->error == EINVAL) {
		lacks("MADV_GUARD_INSTALL (Linux 6.13)");
	} else {
		saw("MADV_GUARD_INSTALL: %ld stacks, %s", seen->n, seen->error ? strerror(seen->error) : "and no failure");
		saw("                    a write into a guard: the program %s", how(end));
		must(seen->n == ENOUGH && end.signal, "guards that work", "%ld, it %s", seen->n, how(end));
	}
	if (limit > 2 * ENOUGH)
		return NOT_SHOWN;
	return n >= limit / 2 - 500 && n <= limit / 2 ? 'c' : n == ENOUGH ? 'a' : 'b';
}
