/* SPDX-License-Identifier: MIT */
/*
 * copying — is a coroutine's stack being copied at t, and how much of it is done?
 *
 * Part:    view. Uses model.
 */
#ifndef VIZ_COPYING_H
#define VIZ_COPYING_H

#include "model.h"

/* Bytes of a stack, and the place in a save_buffer where they are kept. */
struct copying {
	uint64_t buffer, stack, len;
	bool is_save;       /* from the stack to the buffer; else back */
	uint32_t who;       /* exec */
	uint64_t begin;     /* state in which it began; UINT64_MAX: unknown */
};

enum { COPYING_MOST = 32 * 1024 /* bytes that are looked at */ };

/* Is a copy under way at m->t: since a call of memcpy with such addresses, until it is noted
 * as saved or restored? */
bool copying_at(struct model *m, struct copying *c);

/* How many bytes of the first COPYING_MOST the instructions since its beginning have
 * written. UINT64_MAX: that cannot be told. */
uint64_t copying_done(struct model *m, const struct copying *c);

#endif
