/* SPDX-License-Identifier: MIT */
/*
 * terminal — a session driven by a person: keys in, screens out, until they quit.
 *
 * Part:    backend. Uses session, screen.
 */
#ifndef VIZ_TERMINAL_H
#define VIZ_TERMINAL_H

#include "screen.h"
#include "session.h"

/* Returns the status to exit with. */
int terminal_run(struct session *s, enum color color);

#endif
