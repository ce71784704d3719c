/* SPDX-License-Identifier: MIT */
/*
 * sentence — the words that say.h is made of: names for values and places, and what the
 * step before t has read and written.
 *
 * Part:    model; used by say only.
 */
#ifndef VIZ_SENTENCE_H
#define VIZ_SENTENCE_H

#include "model.h"

/* What is being said. Text that does not fit is cut off. */
struct sentence {
	struct model *m;
	char *text;
	size_t len, n;
};

void add(struct sentence *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for one name; those of values and places are written there. */
struct words {
	char text[96];
};

/* "alice", also of one that no longer is or not yet. */
const char *who(const struct model *m, uint32_t number);
/* What stands for a number: "co_swap+0x5e", "S2-0x40" (exec 2's stack, from its top),
 * "heap+0x80", else the number. */
const char *value_words(const struct model *m, uint64_t value, struct words *w);
/* Where something lies: "bob's co.state", "f's variable n", "f's return address (S2-0x40)",
 * "address 0x..." */
const char *place_words(const struct model *m, uint64_t addr, struct words *w);

/* Address of operand @i of the instruction before t. False: it cannot be told. */
bool operand_address(const struct model *m, size_t i, uint64_t *addr);
/* The operand that was written, or read; NULL: none. *@addr: where. */
const struct insn_mem *operand_written(const struct model *m, uint64_t *addr);
const struct insn_mem *operand_read(const struct model *m, uint64_t *addr);
/* Up to 8 bytes of memory, as they are now, and as they were before the step. */
bool bytes_now(const struct model *m, uint64_t addr, size_t size, uint64_t *value);
bool bytes_before(const struct model *m, uint64_t addr, size_t size, uint64_t *value);

/* Whose context has a register's place at @addr? NULL: none. */
const struct exec *context_at(const struct model *m, uint64_t addr, enum reg *reg);

static inline uint64_t reg_before(const struct model *m, enum reg r)
{
	return m->state.regs_before.r[r];
}
static inline uint64_t reg_now(const struct model *m, enum reg r)
{
	return m->state.regs.r[r];
}

/* Which registers have changed, rip and flags aside, after @before. Returns how many. */
int add_changed(struct sentence *s, const char *before);
/* say_insn.c: what the instruction has done. */
void say_instruction(struct sentence *s);
/* say_switch.c: the same, where a context or a save_buffer is involved. False: it is not. */
bool say_switching(struct sentence *s);
/* say_event.c: what happened at t, before the instruction is said. True: all is said. */
bool say_events(struct sentence *s);
/* Events from step @t on, up to *@end. */
const struct trace_event *events_from(const struct model *m, uint64_t t, const struct trace_event **end);
/* The first event of this kind at t; NULL: none. */
const struct trace_event *event_at(const struct model *m, enum event_kind kind);

#endif
