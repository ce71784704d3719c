/* SPDX-License-Identifier: MIT */
/*
 * live — a program that still runs under the recorder, and its growing trace.
 *
 * Part:    source, for session. Uses record, trace, model.
 * Owns:    the recorder; the trace's file if nobody asked for one.
 */
#ifndef VIZ_LIVE_H
#define VIZ_LIVE_H

#include <stdbool.h>

#include "model.h"
#include "record.h"

struct live;
/* Start it. options->path NULL: a file that goes away at the end. NULL: *@why (malloc'ed). */
struct live *live_start(const struct record_options *options, char **why);
const char *live_path(const struct live *l);
/* The file is open now: if it is to go away, its name goes already. So nothing is left,
 * whatever may kill us. */
void live_hide(struct live *l);
/* Record about @n more states and show them to @m. False: nothing more will come. */
bool live_more(struct live *l, struct model *m, uint64_t n);
/* Nothing more is wanted for a while: a program that was attached to now stands so that our
 * death would not harm it. */
void live_rest(struct live *l);
/* Why it ended; NULL: it has not. */
const char *live_end(const struct live *l);
/* End the program (or let it go, if it was attached to), give all back. */
void live_finish(struct live *l);

#endif
