/* SPDX-License-Identifier: MIT */
/*
 * memory — what is known of a program's memory: aligned words of 8 bytes, here and there.
 *
 * Part:    source. Uses nothing. The recorder has one to see what has changed, the
 *          writer for its keyframes, the reader for the state at a step.
 * Owns:    its pages. Copies what it is given.
 */
#ifndef VIZ_MEMORY_H
#define VIZ_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_page; /* 64 words and a mask of those that are known */

/* All zero: empty. */
struct memory {
	struct memory_page **buckets;
	size_t n_buckets, n_pages, n_words;
};

/* How others read memory: the program's, a struct memory, an overlay. False: some byte
 * of them cannot be read; then @to is undefined. */
typedef bool read_fn(void *arg, uint64_t addr, void *to, size_t len);

/* A read_fn; @arg is the struct memory. */
bool memory_read(void *arg, uint64_t addr, void *to, size_t len);

/* Is the word at @addr (rounded down to 8) known? Then *@value is it. */
bool memory_word(const struct memory *m, uint64_t addr, uint64_t *value);

/* @addr is rounded down to 8. 0, or -1 with ENOMEM. */
int memory_set_word(struct memory *m, uint64_t addr, uint64_t value);

/* Call @fn for every run of known words, in ascending order of addresses. Runs of
 * neighbouring pages may or may not be joined. Stops at the first that returns not 0, and
 * returns that. */
int memory_each_run(const struct memory *m, int (*fn)(void *arg, uint64_t addr, const uint64_t *words, size_t n),
		    void *arg);

/* Forget all words; keeps pages for reuse. */
void memory_clear(struct memory *m);

/* Give everything back; @m is empty afterwards. */
void memory_free(struct memory *m);

#endif
