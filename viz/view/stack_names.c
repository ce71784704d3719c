/* SPDX-License-Identifier: MIT */
/*
 * Names of local variables on stacks.
 *
 * Which one lies how far from a frame's CFA follows from where the frame's code is. So it
 * is asked for once for each such pair, and kept: the debug information is slow to read.
 */
#include "stack_lines.h"

#include <stdio.h>
#include <string.h>

enum { KEPT = 4096 /* a power of 2 */, NAME_MOST = 28 };

struct kept_name {
	const struct symbols *symbols; /* NULL: none is kept here */
	uint64_t pc, below;            /* the place in the code; bytes from the word up to the CFA */
	char name[NAME_MOST];          /* "": none lies there */
};

const char *stack_variable(struct model *m, const struct stack_picture *c, const struct stack_line *line)
{
	static struct kept_name all[KEPT];
	const struct frame *f = line->frame >= 0 ? &c->frames[line->frame] : NULL;
	/* behind a call: the return address may already be another block's */
	bool is_caller = f && line->frame > 0 && f->pc > 0;
	uint64_t pc = f ? f->pc - is_caller : 0;
	struct regs regs = { 0 };
	struct kept_name *k;
	const char *function;
	char name[64];

	if (!f || !m->symbols)
		return "";
	k = &all[(pc * 31 + (f->cfa - line->addr) / 8) % KEPT];
	if (k->symbols == m->symbols && k->pc == pc && k->below == f->cfa - line->addr)
		return k->name;
	*k = (struct kept_name){ .symbols = m->symbols, .pc = pc, .below = f->cfa - line->addr };
	regs.r[REG_RIP] = pc;
	regs.r[REG_RBP] = f->rbp;
	regs.r[REG_RSP] = line->frame > 0 ? c->frames[line->frame - 1].cfa : c->exec->rsp;
	if (symbols_variable(m->symbols, &regs, line->addr, name, sizeof name, &function))
		snprintf(k->name, sizeof k->name, "%.27s", name);
	return k->name;
}
