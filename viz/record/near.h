/* SPDX-License-Identifier: MIT */
/*
 * near — which functions have a name like this one?
 *
 * Part:    source. For messages about names that do not exist.
 */
#ifndef VIZ_NEAR_H
#define VIZ_NEAR_H

#include <stddef.h>

/* Up to three names of functions of the program at @path, "a, b, or c", malloc'ed; NULL:
 * none is near. */
char *near_functions(const char *path, const char *name);
/* How many letters must be put in, left out or replaced to make @b of @a; those of the
 * other case count as equal. */
size_t near_distance(const char *a, const char *b);

#endif
