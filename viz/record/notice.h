/* SPDX-License-Identifier: MIT */
/*
 * notice — what has happened to the coroutines, by their table before and after.
 *
 * Part:    source. Uses layout, and the event kinds of trace.
 */
#ifndef VIZ_NOTICE_H
#define VIZ_NOTICE_H

#include "layout.h"
#include "trace.h"

struct notice {
	enum event_kind kind;
	const struct co_info *who, *other; /* other NULL: nobody */
	uint64_t value;                    /* EVENT_SAVE, EVENT_RESTORE: bytes */
};

/* Tell @fn, in this order: who was created, whose bytes were saved and restored, who was
 * woken, and the one resume, yield, park or exit by which another runs now. Pointers are
 * into @now. @before may be of an earlier moment; of several switches the last is told. */
void notice(const struct layout *l, const struct co_table *before, const struct co_table *now,
	    void (*fn)(void *arg, const struct notice *n), void *arg);

/* By their names in the table. */
bool state_is(const struct layout *l, const struct co_info *co, const char *name);

#endif
