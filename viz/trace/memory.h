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

/* More pages than this are refused (ENOMEM): half a gigabyte of known words. What a
 * damaged file claims must not eat the machine. */
enum { MEMORY_PAGE_WORDS = 64, MEMORY_MAX_PAGES = 1 << 20 };

struct memory_page; /* MEMORY_PAGE_WORDS words and a mask of those that are known */

/* All zero: empty. */
struct memory {
	struct memory_page **buckets;
	size_t n_buckets, n_pages, n_words;
	struct memory_page *unused; /* kept by memory_clear */
	struct memory_page *recent; /* written last: the next one is likely to be there too */
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

/* @n words from @addr up, which is a multiple of 8. */
int memory_set_words(struct memory *m, uint64_t addr, const uint64_t *words, size_t n);

/* memory_set_word, and tell what was there: *@known, and then *@old. */
int memory_swap_word(struct memory *m, uint64_t addr, uint64_t value, uint64_t *old, bool *known);

/* The word is not known any more. */
void memory_forget_word(struct memory *m, uint64_t addr);

/* Call @fn for every run of known words, in ascending order of addresses. Runs of
 * neighbouring pages may or may not be joined. Stops at the first that returns not 0, and
 * returns that; -1 with ENOMEM: there is no memory to sort the pages. */
int memory_each_run(const struct memory *m, int (*fn)(void *arg, uint64_t addr, const uint64_t *words, size_t n),
		    void *arg);

/* Forget all words; keeps pages for reuse. */
void memory_clear(struct memory *m);

/* Give everything back; @m is empty afterwards. */
void memory_free(struct memory *m);

#endif
