/* SPDX-License-Identifier: MIT */
/*
 * Where things are in the program: the library's functions, its table, and the places that
 * the command line names.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "near.h"
#include "recorder.h"

/* --- without symbols ---------------------------------------------------------------------- */

/* The first place in what is mapped that holds @wanted; 0: there is none. */
static uint64_t find_bytes(struct recorder *r, const struct trace_map *maps, size_t n, const void *wanted, size_t wanted_len)
{
	static char bytes[64 * 1024];

	for (size_t i = 0; i < n; i++) {
		for (uint64_t at = maps[i].lo; at < maps[i].hi; at += sizeof(bytes) - wanted_len) {
			size_t len = maps[i].hi - at < sizeof(bytes) ? maps[i].hi - at : sizeof(bytes);
			if (!target_read(&r->target, at, bytes, len))
				continue;
			const char *hit = memmem(bytes, len, wanted, wanted_len);
			if (hit)
				return at + (uint64_t)(hit - bytes);
			if (len < sizeof(bytes))
				break;
		}
	}
	return 0;
}

/* coctx_swap of a program that was linked statically and stripped: the same instructions
 * as in our own, asm/coctx_swap_x86_64.S, up to the jump. */
static struct function find_swap(struct recorder *r, const struct trace_map *maps, size_t n)
{
	static const uint8_t begins[] = { 0x48, 0x8b, 0x14, 0x24, 0x48, 0x8d, 0x4c, 0x24, 0x08 }; /* the first two */
	uint64_t lo = find_bytes(r, maps, n, begins, sizeof(begins));
	bool loads_rsp = false;

	for (uint64_t at = lo; lo && at < lo + 400;) {
		const struct insn *insn = code_at(&r->code, at, target_read, &r->target);
		if (!insn || insn->len == 0)
			break;
		at += insn->len;
		loads_rsp |= (insn->regs_written & 1u << REG_RSP) != 0;
		if (insn->kind == INSN_JUMP && !insn->has_target)
			return loads_rsp ? (struct function){ lo, at } : (struct function){ 0 };
	}
	return (struct function){ 0 };
}

/* --- the library ------------------------------------------------------------------------------ */

static struct function find_function(struct recorder *r, const char *name)
{
	struct symbol symbol;

	if (!symbol_named(r->symbols, name, &symbol))
		return (struct function){ 0 };
	return (struct function){ symbol.lo, symbol.hi > symbol.lo ? symbol.hi : symbol.lo + 1 };
}

/* --- the table ------------------------------------------------------------------------------ */

static bool field_by_dwarf(void *arg, const char *name, uint32_t *offset, uint32_t *size)
{
	return symbols_field(arg, "coctx", name, offset, size);
}

/* Without a symbol the table is found by its first bytes. */
static uint64_t find_magic(struct recorder *r, const struct trace_map *maps, size_t n)
{
	static const char magic[16] = "costep layout";

	return find_bytes(r, maps, n, magic, sizeof(magic));
}

static int find_layout(struct recorder *r, const struct trace_map *maps, size_t n, char **why)
{
	struct co_debug_layout table;
	struct symbol symbol;
	const char *problem = "";
	uint64_t at = symbol_named(r->symbols, "co_debug_layout", &symbol) ? symbol.lo : 0;

	if (!at && r->coctx_swap.lo) {
		r->has_layout = layout_from_fields(&r->layout, field_by_dwarf, r->symbols, &problem);
		if (!r->has_layout)
			at = find_magic(r, maps, n);
	}
	if (!at)
		return 0;
	if (!target_read(&r->target, at, &table, sizeof(table)) || !layout_parse(&r->layout, &table, &problem))
		return record_fail(why, "%s: %s", r->program, *problem ? problem : "its co_debug_layout cannot be read");
	r->has_layout = true;
	return 0;
}

int recorder_find_library(struct recorder *r, const struct trace_map *maps, size_t n, char **why)
{
	r->coctx_swap = find_function(r, "coctx_swap");
	if (!r->coctx_swap.lo)
		r->coctx_swap = find_swap(r, maps, n);
	r->co_swap = find_function(r, "co_swap");
	if (!r->co_swap.lo) /* optimized: it is part of its callers; what a shared stack does is not */
		r->co_swap = find_function(r, "enter_shared");
	r->coctx_make = find_function(r, "coctx_make");
	r->trampoline = find_function(r, "__morestack");
	if (r->options.mode == RECORD_SWITCH && !r->coctx_swap.lo)
		return record_fail(why, "%s: is not linked with costep (it has no coctx_swap), so there are no switches to "
				   "record; --all records any program", r->program);
	return find_layout(r, maps, n, why);
}

/* --- places -------------------------------------------------------------------------------- */

static int find_place(struct recorder *r, const char *place, uint64_t *at, char **why)
{
	const char *colon = strrchr(place, ':');
	struct symbol symbol;

	if (colon && colon > place && colon[1]) {
		char *rest, file[PATH_MAX];
		long line = strtol(colon + 1, &rest, 10);
		snprintf(file, sizeof(file), "%.*s", (int)(colon - place), place);
		if (*rest || line <= 0 || line > INT_MAX)
			return record_fail(why, "%s: what follows the colon must be the number of a line", place);
		if (!source_address(r->symbols, file, (int)line, at))
			return record_fail(why, "%s: %s has no code of such a line (was it built with -g?)", place, r->program);
		return 0;
	}
	if (symbol_named(r->symbols, place, &symbol) && symbol.is_function) {
		*at = symbol.lo;
		return 0;
	}
	char *names = near_functions(r->program, place);
	record_fail(why, "%s has no function %s%s%s", r->program, place, names ? "; there is " : "", names ? names : "");
	free(names);
	return -1;
}

int recorder_find_places(struct recorder *r, char **why)
{
	if (r->options.mode != RECORD_FROM_TO)
		return 0;
	if (r->options.from && find_place(r, r->options.from, &r->from_at, why) != 0)
		return -1;
	if (!r->options.from)
		r->from_at = r->regs.r[REG_RIP];
	return r->options.to ? find_place(r, r->options.to, &r->to_at, why) : 0;
}

