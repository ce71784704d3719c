/* SPDX-License-Identifier: MIT */
/*
 * maps — what a process has mapped where: /proc/PID/maps.
 *
 * Part:    source. Uses trace.h (struct trace_map).
 */
#ifndef VIZ_MAPS_H
#define VIZ_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace.h"

/* All files that are mapped, with their build-ids. Returns how many; *@maps is malloc'ed,
 * paths too (maps_free). 0: it cannot be read. */
size_t maps_of_files(pid_t pid, struct trace_map **maps);
void maps_free(struct trace_map *maps, size_t n);

/* Cut [*@lo, *@hi) down to the map that holds @addr. False: none does. */
bool maps_clip(pid_t pid, uint64_t addr, uint64_t *lo, uint64_t *hi);

#endif
