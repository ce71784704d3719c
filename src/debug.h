/* SPDX-License-Identifier: MIT */
/*
 * debug — a table in the binary that says where everything is.
 *
 * Layer:   3 (uses: env). Read from outside: by debuggers, recorders, tools
 *          that open a core. The library never looks at it.
 *
 * A debugger with debug information can ask the compiler's types. Without it
 * (a stripped program) it finds the symbol co_debug_layout in the dynamic
 * symbol table, or the magic in the read-only data, and learns the same from
 * there. Every string is an array inside the table, so a reader needs no
 * relocation but that of `envs`.
 *
 * A stack is a shared one if it is entered in a way of its own: "stack_ops.enter" of the
 * struct that its "stack.ops" points to is not NULL.
 */
#ifndef CO_DEBUG_H
#define CO_DEBUG_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum { CO_DEBUG_VERSION = 1, CO_DEBUG_STATES = 7, CO_DEBUG_FIELDS = 64 };

struct co_debug_field {
	char name[24];   /* "struct.field", e.g. "co.state"; "sizeof.co" for a whole struct */
	uint32_t offset; /* bytes from the beginning of that struct */
	uint32_t size;   /* bytes */
};

struct co_debug_layout {
	char magic[16];    /* "costep layout" and zeros */
	uint32_t version;  /* CO_DEBUG_VERSION; grows when a meaning changes */
	uint32_t n_states;
	uint32_t n_fields; /* those in use; the others are all zero */
	uint32_t field_size; /* sizeof(struct co_debug_field) */
	const void *envs;  /* the struct list head of all struct co_env, by "env.in_envs" */
	char states[CO_DEBUG_STATES][12]; /* names of enum co_state, by value */
	struct co_debug_field fields[CO_DEBUG_FIELDS];
};

extern const struct co_debug_layout co_debug_layout;

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
