/* SPDX-License-Identifier: MIT */
/*
 * tools — what a test asks about the process it runs in.
 */
#ifndef TOOLS_H
#define TOOLS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "annotate.h"
#include "check.h"

static inline bool is_under_valgrind(void)
{
#ifdef CO_VALGRIND
	return RUNNING_ON_VALGRIND != 0;
#else
	return false;
#endif
}

/* The tool that watches this program's memory, or NULL. Under it addresses,
 * limits and resident bytes are the tool's and say nothing about ours. */
static inline const char *watched_by(void)
{
#if defined(CO_ASAN)
	return "AddressSanitizer";
#elif defined(CO_TSAN)
	return "ThreadSanitizer";
#else
	return is_under_valgrind() ? "valgrind" : NULL;
#endif
}

/* Leave the case out when a tool changes what it measures. */
#define SKIP_IF_WATCHED(why) \
	do { \
		if (watched_by()) \
			check_skip("%s: %s", watched_by(), why); \
	} while (0)

/* In a child of a fork TSan ignores one of its fibers, and then sees races between
 * it and the others. */
static inline void skip_forks_of_coroutines(void)
{
#ifdef CO_TSAN
	check_skip("ThreadSanitizer: it does not know fibers in a child of a fork");
#endif
}

/* Wait for a child that must end well. */
static inline void join_child(pid_t pid)
{
	int status;

	CHECK(pid > 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* Fewer rounds where each costs ten or fifty times as much. */
static inline int rounds(int n)
{
	return watched_by() ? n / 10 + 1 : n;
}

/* The memory of this process that is really there. Only what is no file's: how much of libc is,
 * is the page cache's business. And from the page tables: what statm says may lag behind by some
 * pages of each processor. */
static inline size_t resident_bytes(void)
{
	char line[256];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	CHECK(f != NULL);
	while (kib == 0 && fgets(line, sizeof(line), f))
		(void)sscanf(line, "Anonymous: %lu", &kib);
	fclose(f);
	CHECK(kib > 0);
	return kib * 1024;
}

static inline size_t mapped_bytes(void)
{
	unsigned long total;
	FILE *f = fopen("/proc/self/statm", "r");
	CHECK(f != NULL);
	CHECK_EQ(fscanf(f, "%lu", &total), 1);
	fclose(f);
	return total * (size_t)sysconf(_SC_PAGESIZE);
}

static inline size_t count_maps(void)
{
	size_t n = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	CHECK(f != NULL);
	for (int c; (c = getc(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}

static inline size_t count_fds(void)
{
	size_t n = 0;
	DIR *d = opendir("/proc/self/fd");
	CHECK(d != NULL);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Does the kernel know guards in page tables (Linux 6.13)? */
static inline bool kernel_has_guards(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	bool has = madvise(p, page, 102 /* MADV_GUARD_INSTALL */) == 0;
	munmap(p, page);
	return has;
}

#endif
