/* SPDX-License-Identifier: MIT */
/*
 * say — one sentence: what the instruction before t has just done.
 *
 * Part:    model. Uses model.
 */
#ifndef VIZ_SAY_H
#define VIZ_SAY_H

#include <stddef.h>

#include "model.h"

/* UTF-8, one sentence (or two short ones), without a number that symbols can replace.
 * From the instruction, the registers and the memory before and after it; events of this
 * step (created, saved, lost registers) come first. */
char *say(struct model *m, char *text, size_t len);

#endif
