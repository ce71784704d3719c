/* SPDX-License-Identifier: MIT */
/*
 * script — keys from a file instead of a keyboard: for tests, slides, casts.
 *
 * Part:    backend. Uses session, export. script_help says what a file may hold.
 */
#ifndef VIZ_SCRIPT_H
#define VIZ_SCRIPT_H

#include <stdio.h>

#include "session.h"

extern const char script_help[];

/* Play @f (called @name in messages) to @s. 0; or the status to exit with, after a message on
 * stderr: 1 an `expect` was not met, 2 the script is wrong. */
int script_run(struct session *s, FILE *f, const char *name);

#endif
