/* SPDX-License-Identifier: MIT */
/*
 * events — what happened in a recording, one line for each event: for grep, and to find
 * places for --at.
 *
 * Part:    backend. Uses model.
 */
#ifndef VIZ_EVENTS_H
#define VIZ_EVENTS_H

#include <stdio.h>

#include "model.h"

/* Calls and returns are left out: there are too many. 0, or -1 if @to cannot be written. */
int list_events(const struct model *m, FILE *to);

#endif
