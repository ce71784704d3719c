/* SPDX-License-Identifier: MIT */
/*
 * What has happened to descriptors, counted for all threads.
 *
 * A program's threads share its descriptors. One may close a number, or make it
 * non-blocking, of which another knows something. There is no lock, and no list of who
 * knows what: who believes something has noted the count, and compares.
 */
#include "closing.h"

#include <stdatomic.h>

enum {
	COUNTERS = 1024, /* descriptors whose numbers differ by this share one: then somebody
			    asks in vain, no more */
};

static _Atomic unsigned changes[COUNTERS];

void co_fd_changed(int fd)
{
	atomic_fetch_add_explicit(&changes[(unsigned)fd % COUNTERS], 1, memory_order_relaxed);
}

unsigned co_fd_changes(int fd)
{
	return atomic_load_explicit(&changes[(unsigned)fd % COUNTERS], memory_order_relaxed);
}
