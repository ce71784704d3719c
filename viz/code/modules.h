/* SPDX-License-Identifier: MIT */
/*
 * modules — the files that a program has mapped, opened: what symbols, source and unwind
 * share.
 *
 * Part:    source; inside of symbols.h, for no one else.
 * Owns:    the Dwfl and all strings handed out.
 */
#ifndef VIZ_MODULES_H
#define VIZ_MODULES_H

#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <time.h>

#include "symbols.h"

/* One symbol of a file. */
struct name {
	const char *text;
	uint64_t lo, hi; /* where it ends, or as far as it can reach */
	bool is_function, is_static, is_sized, is_weak;
};

struct module {
	char *path;
	uint64_t lo, hi;        /* of all its maps */
	uint64_t map_lo, map_offset; /* one of the maps: where the file was loaded */
	bool is_open;           /* opened, or tried to */
	Dwfl_Module *mod;       /* NULL: no such file, or none that we can read */
	Elf *elf;
	uint64_t bias;          /* address in the program = address in the file + bias */
	time_t built_at;
	struct name *names;     /* by lo; read at first use */
	size_t n_names;
	bool has_names;
};

struct line_cache; /* source.c */
struct text_cache;
struct rule_cache; /* unwind.c */

struct symbols {
	Dwfl *dwfl;
	struct module *modules; /* the program itself first */
	size_t n;
	char **made_names;      /* names that no file has so: "puts@plt" */
	size_t n_made;
	struct line_cache *lines;
	struct text_cache *texts;
	struct rule_cache *rules;
};

struct module *module_at(struct symbols *s, uint64_t addr); /* NULL: none that is open */
bool module_is_ours(const struct module *m); /* libcostep */
/* In which order to look for what is asked by name: the program, libcostep, the others.
 * NULL: that was the last. Begin with @i 0. */
struct module *module_by_rank(struct symbols *s, size_t i);

/* plt.c: add names for the stubs by which @m calls other files' functions. */
void plt_names(struct symbols *s, struct module *m);
bool module_add_name(struct module *m, struct name name);
/* The first @len bytes of @text and @suffix, kept as long as @s; NULL: no memory. */
const char *keep_name(struct symbols *s, const char *text, size_t len, const char *suffix);

/* The compilation unit of @addr, also where the compiler has left the table of addresses
 * out. NULL: none. Addresses in it are those of the program less *@bias. */
Dwarf_Die *unit_at(struct module *m, uint64_t addr, Dwarf_Addr *bias);
/* The CFA of the frame that is running. */
bool frame_cfa(struct symbols *s, const struct regs *regs, uint64_t *cfa);

time_t path_built_at(const struct symbols *s, const char *path); /* 0: not of a program */

void lines_free(struct symbols *s);
void texts_free(struct symbols *s);
void rules_free(struct symbols *s);

#endif
