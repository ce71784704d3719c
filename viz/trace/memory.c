/* SPDX-License-Identifier: MIT */
/*
 * Known words, in pages of 512 bytes, in a hash table. A page's mask says which of its
 * words are known.
 */
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_BYTES = MEMORY_PAGE_WORDS * 8, FIRST_BUCKETS = 256 };

struct memory_page {
	uint64_t addr;   /* of its first byte */
	uint64_t known;  /* bit i: words[i] is */
	struct memory_page *next; /* in its bucket, or unused */
	uint64_t words[MEMORY_PAGE_WORDS];
};

static size_t bucket_of(const struct memory *m, uint64_t page)
{
	return (size_t)((page / PAGE_BYTES * 0x9e3779b97f4a7c15u) >> 20) & (m->n_buckets - 1);
}

static struct memory_page *find_page(const struct memory *m, uint64_t addr)
{
	uint64_t page = addr & ~(uint64_t)(PAGE_BYTES - 1);

	if (m->recent && m->recent->addr == page)
		return m->recent;
	if (!m->n_buckets)
		return NULL;
	struct memory_page *p = m->buckets[bucket_of(m, page)];
	while (p && p->addr != page)
		p = p->next;
	return p;
}

/* Twice as many buckets. Errors: ENOMEM, and nothing has changed. */
static int grow(struct memory *m)
{
	struct memory bigger = *m;

	bigger.n_buckets = m->n_buckets ? 2 * m->n_buckets : FIRST_BUCKETS;
	bigger.buckets = calloc(bigger.n_buckets, sizeof(bigger.buckets[0]));
	if (!bigger.buckets)
		return -1;
	for (size_t i = 0; i < m->n_buckets; i++) {
		for (struct memory_page *p = m->buckets[i], *next; p; p = next) {
			struct memory_page **bucket = &bigger.buckets[bucket_of(&bigger, p->addr)];
			next = p->next;
			p->next = *bucket;
			*bucket = p;
		}
	}
	free(m->buckets);
	*m = bigger;
	return 0;
}

static struct memory_page *add_page(struct memory *m, uint64_t addr)
{
	struct memory_page *p = m->unused;

	if (m->n_pages >= MEMORY_MAX_PAGES) {
		errno = ENOMEM;
		return NULL;
	}
	if (m->n_pages >= m->n_buckets && grow(m) != 0)
		return NULL;
	if (p)
		m->unused = p->next;
	else if (!(p = malloc(sizeof(*p))))
		return NULL;
	p->addr = addr & ~(uint64_t)(PAGE_BYTES - 1);
	p->known = 0;
	struct memory_page **bucket = &m->buckets[bucket_of(m, p->addr)];
	p->next = *bucket;
	*bucket = p;
	m->n_pages++;
	return p;
}

static unsigned index_of(uint64_t addr)
{
	return (unsigned)(addr / 8 % MEMORY_PAGE_WORDS);
}

bool memory_read(void *arg, uint64_t addr, void *to, size_t len)
{
	const struct memory *m = arg;
	char *out = to;

	if (len && addr + (len - 1) < addr)
		return false;
	while (len > 0) {
		size_t inside = addr % PAGE_BYTES;
		size_t n = PAGE_BYTES - inside < len ? PAGE_BYTES - inside : len;
		const struct memory_page *p = find_page(m, addr);
		size_t first = inside / 8, n_words = (inside + n - 1) / 8 - first + 1;
		uint64_t wanted = (n_words == 64 ? ~(uint64_t)0 : ((uint64_t)1 << n_words) - 1) << first;

		if (!p || (p->known & wanted) != wanted)
			return false;
		memcpy(out, (const char *)p->words + inside, n);
		out += n;
		addr += n;
		len -= n;
	}
	return true;
}

bool memory_word(const struct memory *m, uint64_t addr, uint64_t *value)
{
	const struct memory_page *p = find_page(m, addr);

	if (!p || !(p->known >> index_of(addr) & 1))
		return false;
	*value = p->words[index_of(addr)];
	return true;
}

int memory_swap_word(struct memory *m, uint64_t addr, uint64_t value, uint64_t *old, bool *known)
{
	struct memory_page *p = find_page(m, addr);
	unsigned i = index_of(addr);
	uint64_t bit = (uint64_t)1 << i;

	if (!p && !(p = add_page(m, addr)))
		return -1;
	m->recent = p;
	*known = p->known & bit;
	*old = *known ? p->words[i] : 0;
	m->n_words += !*known;
	p->known |= bit;
	p->words[i] = value;
	return 0;
}

int memory_set_word(struct memory *m, uint64_t addr, uint64_t value)
{
	uint64_t old;
	bool known;

	return memory_swap_word(m, addr, value, &old, &known);
}

int memory_set_words(struct memory *m, uint64_t addr, const uint64_t *words, size_t n)
{
	while (n > 0) {
		struct memory_page *p = find_page(m, addr);
		unsigned first = index_of(addr);
		size_t here = MEMORY_PAGE_WORDS - first < n ? MEMORY_PAGE_WORDS - first : n;
		uint64_t mask = (here == 64 ? ~(uint64_t)0 : ((uint64_t)1 << here) - 1) << first;
		if (!p && !(p = add_page(m, addr)))
			return -1;
		m->n_words += (size_t)__builtin_popcountll(mask & ~p->known);
		p->known |= mask;
		memcpy(p->words + first, words, here * 8);
		addr += here * 8;
		words += here;
		n -= here;
	}
	return 0;
}

void memory_forget_word(struct memory *m, uint64_t addr)
{
	struct memory_page *p = find_page(m, addr);
	uint64_t bit = (uint64_t)1 << index_of(addr);

	if (p && p->known & bit) {
		p->known &= ~bit;
		m->n_words--;
	}
}

static int compare_pages(const void *a, const void *b)
{
	uint64_t x = (*(struct memory_page *const *)a)->addr, y = (*(struct memory_page *const *)b)->addr;

	return x < y ? -1 : x > y;
}

static int each_run_of(const struct memory_page *p, int (*fn)(void *, uint64_t, const uint64_t *, size_t), void *arg)
{
	for (unsigned i = 0; i < MEMORY_PAGE_WORDS; i++) {
		unsigned first = i;
		while (i < MEMORY_PAGE_WORDS && p->known >> i & 1)
			i++;
		int result = i > first ? fn(arg, p->addr + 8 * first, p->words + first, i - first) : 0;
		if (result)
			return result;
	}
	return 0;
}

int memory_each_run(const struct memory *m, int (*fn)(void *, uint64_t, const uint64_t *, size_t), void *arg)
{
	struct memory_page **pages = malloc((m->n_pages + 1) * sizeof(pages[0]));
	size_t n = 0;
	int result = 0;

	if (!pages)
		return -1;
	for (size_t i = 0; i < m->n_buckets; i++)
		for (struct memory_page *p = m->buckets[i]; p; p = p->next)
			pages[n++] = p;
	qsort(pages, n, sizeof(pages[0]), compare_pages);
	for (size_t i = 0; i < n && !result; i++)
		result = each_run_of(pages[i], fn, arg);
	free(pages);
	return result;
}

void memory_clear(struct memory *m)
{
	for (size_t i = 0; i < m->n_buckets && m->n_pages > 0; i++) {
		for (struct memory_page *p = m->buckets[i], *next; p; p = next) {
			next = p->next;
			p->next = m->unused;
			m->unused = p;
		}
		m->buckets[i] = NULL;
	}
	m->n_pages = m->n_words = 0;
	m->recent = NULL;
}

void memory_free(struct memory *m)
{
	memory_clear(m);
	for (struct memory_page *p = m->unused, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	free(m->buckets);
	*m = (struct memory){ 0 };
}
