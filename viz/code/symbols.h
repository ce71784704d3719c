/* SPDX-License-Identifier: MIT */
/*
 * symbols — names, source lines and call frames, from the files that a program has mapped.
 *
 * Part:    source. By elfutils: libdwfl finds files and debug information, libdw lines
 *          and call frame information.
 */
#ifndef VIZ_SYMBOLS_H
#define VIZ_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"
#include "layout.h"
#include "memory.h"

struct symbols;

/* Returns NULL with errno ENOMEM. Maps are added with symbols_add_map, then
 * symbols_ready is called once; again after more were added. */
struct symbols *symbols_new(void);
void symbols_add_map(struct symbols *s, const char *path, uint64_t lo, uint64_t hi, uint64_t offset);
void symbols_ready(struct symbols *s);
void symbols_free(struct symbols *s);

/* The function or object that @addr lies in. */
struct symbol {
	const char *name; /* owned by symbols */
	uint64_t lo, hi;  /* hi == lo: size unknown */
	bool is_function;
	bool is_static;   /* local to its file */
};
bool symbol_at(struct symbols *s, uint64_t addr, struct symbol *found);
/* By exact name; of several, a global one. Only those of the main program and libcostep
 * unless none has it. */
bool symbol_named(struct symbols *s, const char *name, struct symbol *found);
/* "name+0x2e", "name", or "0x7f..." into @text; returns @text. */
char *symbol_text(struct symbols *s, uint64_t addr, char *text, size_t len);

/* What the program allocates with brk(2) lies behind its own pages. Which page, depends on
 * how large it is; *@offset, how far behind them, only on what it does. False: not there. */
bool symbols_heap(struct symbols *s, uint64_t addr, uint64_t *offset);

/* A place in a source file. */
struct source_line {
	const char *path; /* absolute; owned by symbols, the same pointer for the same file */
	int line;         /* from 1 */
	bool is_statement;
};
/* False: no line information. Cached: cheap when asked again. */
bool source_at(struct symbols *s, uint64_t addr, struct source_line *found);
/* Address of the first statement of FILE:LINE (file by its last path components). */
bool source_address(struct symbols *s, const char *file, int line, uint64_t *addr);

/* The text of a source file, by lines; read at its first use. */
struct source_text {
	const char **lines; /* [0] is line 1; no newline, tabs are kept */
	int n;
	bool is_newer;      /* changed after the program was built */
};
const struct source_text *source_text(struct symbols *s, const char *path); /* NULL: cannot be read */

/* Bytes of code, from the files. Returns how many, 0: none. */
size_t symbols_code(struct symbols *s, uint64_t addr, uint8_t *to, size_t len);

/* The word at @addr, if the program cannot change it: from the file, as relocated. */
bool symbols_constant(struct symbols *s, uint64_t addr, uint64_t *value);

/* Where the debug information says that @field of struct @type lies. */
bool symbols_field(struct symbols *s, const char *type, const char *field, uint32_t *offset, uint32_t *size);

/* The local variable or parameter of the function that is running with @regs, that lies at
 * @addr: "name" or "name+8", and the function. False: none that the debug information
 * knows (there), or it lies in no memory. */
bool symbols_variable(struct symbols *s, const struct regs *regs, uint64_t addr, char *name, size_t len,
		      const char **function);

/* --- frames --------------------------------------------------------------------------- */

struct frame {
	uint64_t pc, cfa; /* cfa: rsp before the call; the frame's bytes are below it. At a seam: the
			   * top of its own stack */
	uint64_t rbp;     /* as in this frame; 0 if unknown */
	uint64_t return_at; /* where the return address to the next frame lies: cfa - 8; 0: none
	                     * (a seam: the switch, the entry of a coroutine) */
	bool is_seam;     /* the next frame is another execution's (this is __morestack) */
};

/* Walk from @regs, innermost first, by CFI alone; across the seams. At most @max.
 * Returns the number of frames; *@why: NULL, or why it ended before a start function
 * ("no unwind information at 0x...", "memory at ... is not in the trace"). */
size_t unwind(struct symbols *s, const struct regs *regs, read_fn *read, void *arg, struct frame *frames, size_t max,
	      const char **why);

#endif
