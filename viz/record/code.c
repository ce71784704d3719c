/* SPDX-License-Identifier: MIT */
/* A hash table with open addressing. A program that writes code anew at the same place is
 * not noticed; those with coroutines of this library do not. */
#include "code.h"

#include <stdlib.h>

enum { INSN_MAX = 15 }; /* bytes */

struct code_entry {
	uint64_t addr;
	struct insn insn;
};

static size_t place(const struct code *c, uint64_t addr)
{
	size_t i = (size_t)(addr * 0x9e3779b97f4a7c15u >> 32) & (c->room - 1);

	while (c->entries[i] && c->entries[i]->addr != addr)
		i = (i + 1) & (c->room - 1);
	return i;
}

static int grow(struct code *c)
{
	struct code bigger = { .n = c->n, .room = c->room ? 2 * c->room : 4096 };

	bigger.entries = calloc(bigger.room, sizeof(*bigger.entries));
	if (!bigger.entries)
		return -1;
	for (size_t i = 0; i < c->room; i++)
		if (c->entries[i])
			bigger.entries[place(&bigger, c->entries[i]->addr)] = c->entries[i];
	free(c->entries);
	*c = bigger;
	return 0;
}

const struct insn *code_at(struct code *c, uint64_t addr, read_fn *read, void *arg)
{
	uint8_t bytes[INSN_MAX];
	size_t len = sizeof(bytes);

	if (2 * c->n >= c->room && grow(c) != 0)
		return NULL;
	size_t i = place(c, addr);
	if (c->entries[i])
		return &c->entries[i]->insn;
	struct code_entry *entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->addr = addr;
	while (len > 0 && !read(arg, addr, bytes, len)) /* the page may end here */
		len--;
	if (len == 0 || !decode(bytes, len, addr, &entry->insn))
		entry->insn.len = 0;
	c->entries[i] = entry;
	c->n++;
	return &entry->insn;
}

void code_free(struct code *c)
{
	for (size_t i = 0; i < c->room; i++)
		free(c->entries[i]);
	free(c->entries);
	*c = (struct code){ 0 };
}
