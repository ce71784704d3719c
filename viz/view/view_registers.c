/* SPDX-License-Identifier: MIT */
/*
 * The pane of registers. First those that the switch saves, then the others:
 *
 *     *rsp S1-0x40 → S2-0x38    bob's stack
 *     *rbx 7                    =7           0
 *
 * old → new when the last step changed it; in words what the value is; in a switch and
 * when there is room instead: what the contexts of the two who are shown hold, with = if
 * the CPU has the same. So one sees registers go into the one and come from the other.
 */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	NAME_LEN = 5,
	NOW_LEN = 24,
	ROOM_FOR_CONTEXTS = 34,  /* columns */
	NARROW = 44,             /* below, what has just changed takes the line */
	N_SAVED = 8,
	LOST_FOR_AT_MOST = 20000, /* steps */
	SHORTEST_LITERAL = 3,
	SMALL_NUMBER = 0x10000,  /* and no address: decimal, too */
};

/* Of each of two columns with contexts. */
static int context_len(int w)
{
	return w >= 84 ? 20 : w >= 56 ? 14 : w >= NARROW ? 11 : 10;
}

static const enum reg order[] = {
	/* saved by the switch */
	REG_RIP, REG_RSP, REG_RBP, REG_RBX, REG_R12, REG_R13, REG_R14, REG_R15,
	/* a call may change them */
	REG_RDI, REG_RSI, REG_RDX, REG_RCX, REG_RAX, REG_R8, REG_R9, REG_R10, REG_R11,
	REG_EFLAGS, REG_MXCSR, REG_X87CW,
};
enum { N_ORDER = sizeof order / sizeof order[0] };

static bool is_saved(enum reg r)
{
	return r == REG_RIP || reg_is_callee_saved(r);
}

static char *flags_text(uint64_t flags, char *text, size_t len)
{
	static const struct { unsigned bit; const char *name; } names[] = {
		{ 0, "CF" }, { 2, "PF" }, { 4, "AF" }, { 6, "ZF" }, { 7, "SF" }, { 10, "DF" }, { 11, "OF" },
	};
	size_t at = 0;

	snprintf(text, len, "-");
	for (size_t i = 0; i < sizeof names / sizeof names[0] && at + 4 < len; i++)
		if (flags >> names[i].bit & 1)
			at += (size_t)snprintf(text + at, len - at, "%s%s", at ? " " : "", names[i].name);
	return text;
}

static char *value_text(struct model *m, const struct ui *ui, enum reg r, uint64_t value, char *text, size_t len)
{
	if (r == REG_EFLAGS && !ui->is_raw)
		return flags_text(value, text, len);
	if (r == REG_MXCSR || r == REG_X87CW || r == REG_EFLAGS)
		snprintf(text, len, "0x%" PRIx64, value);
	else
		address_text(m, ui, value, text, len);
	return text;
}

/* What @e's context has for @r. False: nothing. */
static bool in_context(struct model *m, const struct exec *e, enum reg r, uint64_t *value)
{
	uint64_t at, word = 0;
	size_t len = r == REG_MXCSR ? 4 : r == REG_X87CW ? 2 : 8;

	if (!e || !e->trace || e->trace->ctx == 0 || !m->layout)
		return false;
	at = layout_ctx_field(m->layout, e->trace->ctx, r);
	if (at == 0 || !memory_read(&m->state.memory, at, &word, len))
		return false;
	*value = word;
	return true;
}

struct lost {
	uint32_t mask;
	struct regs left_with;
};

/* What arrival of the last swap has lost, and is still in the register. It is asked for
 * more than once in a draw, and takes a scan: the last answer is kept. */
static struct lost find_lost(struct model *m)
{
	static struct lost lost;
	static struct { const struct trace *trace; uint64_t t, arrival; ptrdiff_t swap; } of;
	const struct swap *s = m->swap >= 0 && (size_t)m->swap < m->n_swaps ? &m->swaps[m->swap] : NULL;

	if (s && m->trace == of.trace && m->t == of.t && m->swap == of.swap && s->arrival == of.arrival)
		return lost;
	lost = (struct lost){ 0 };
	of.trace = s ? m->trace : NULL;
	of.t = m->t;
	of.swap = m->swap;
	of.arrival = s ? s->arrival : 0;
	if (!s || s->arrival == 0 || m->t < s->arrival || m->t - s->arrival > LOST_FOR_AT_MOST)
		return lost;
	lost.mask = model_lost(m, (size_t)m->swap, &lost.left_with);
	for (int r = 0; r < N_REGS; r++)
		if (lost.mask >> r & 1) {
			uint64_t changed = model_reg_change(m, m->t, (enum reg)r, -1);

			if (changed > s->arrival && changed != m->t)
				lost.mask &= ~(1u << r); /* it has got another value since */
			else if (m->t > s->arrival && m->state.regs.r[r] != m->state.regs_before.r[r])
				lost.mask &= ~(1u << r);
		}
	return lost;
}

static void contexts(struct model *m, const struct ui *ui, enum reg r, uint64_t now, struct pane p, int x, int y)
{
	for (int side = 0; side < 2; side++, x += context_len(p.w)) {
		const struct exec *e = view_side(m, ui, side);
		char text[128];
		uint64_t value;

		if (!in_context(m, e, r, &value))
			continue;
		/* equal to what the CPU has: saved already, or loaded already */
		pane_put(p, x, y, value == now ? '=' : ' ', ROLE_TEXT, STYLE_BOLD);
		view_column(p, x + 1, y, context_len(p.w) - 2, value_role(m, value), value == now ? STYLE_BOLD : 0,
			    value_text(m, ui, r, value, text, sizeof text));
	}
}

/* A text in the program's file, as in C; "" if there is none. */
static void literal(struct model *m, uint64_t addr, char *text, size_t len)
{
	char bytes[24] = "";
	size_t n = m->symbols ? symbols_code(m->symbols, addr, (uint8_t *)bytes, sizeof bytes - 1) : 0, at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n && bytes[i]; i++)
		if ((unsigned char)bytes[i] < ' ' && bytes[i] != '\n')
			return;
	if (n < SHORTEST_LITERAL || strlen(bytes) < SHORTEST_LITERAL)
		return;
	at = (size_t)snprintf(text, len, "\"");
	for (size_t i = 0; bytes[i] && at + 8 < len; i++)
		at += (size_t)(bytes[i] == '\n' ? snprintf(text + at, len - at, "\\n") :
						 snprintf(text + at, len - at, "%c", bytes[i]));
	snprintf(text + at, len - at, strlen(bytes) == sizeof bytes - 1 ? "…" : "\"");
}

static void meaning(struct model *m, const struct ui *ui, uint64_t value, const char *shown, struct pane p, int x, int y)
{
	char text[160] = "";
	uint32_t owner = value < 0x1000 ? NO_EXEC : model_owner(m, value);

	if (p.w - x < 6)
		return;
	if (value < SMALL_NUMBER && strncmp(shown, "0x", 2) == 0) {
		snprintf(text, sizeof text, "(%" PRIu64 ")", value);
		view_column(p, x, y, p.w - x, ROLE_DIM, 0, text);
		return;
	}
	if (value < 0x1000)
		return;
	if (owner != NO_EXEC && !ui->is_raw)
		snprintf(text, sizeof text, "%s's stack", exec_name(m, owner));
	else if (owner == NO_EXEC || ui->is_raw)
		model_describe(m, value, text, sizeof text);
	if (!text[0])
		literal(m, value, text, sizeof text);
	if (strcmp(text, shown) != 0)
		view_column(p, x, y, p.w - x, ROLE_DIM, 0, text);
}

/* "coctx_swap+0x62" becomes "+0x62" if @new is in the same function. */
static void leave_out_function(char *old, const char *new)
{
	size_t n = strcspn(old, "+");

	if (old[n] == '+' && strncmp(old, new, n) == 0 && (new[n] == '+' || new[n] == '\0'))
		memmove(old, old + n, strlen(old + n) + 1);
}

/* "old → new", up to column @end. The new one must be seen: it is what counts. Returns
 * the x behind it. */
static int draw_value(struct model *m, const struct ui *ui, enum reg r, struct pane p, int x, int end, int y)
{
	uint64_t now = m->state.regs.r[r], before = m->state.regs_before.r[r];
	bool is_changed = now != before && m->t > 0;
	char old[128], new[128];
	int n, room;

	value_text(m, ui, r, now, new, sizeof new);
	value_text(m, ui, r, before, old, sizeof old);
	if (r == REG_RIP)
		leave_out_function(old, new);
	room = end - x - view_columns(new) - 3;
	if (is_changed && (room >= view_columns(old) || room >= 8)) {
		n = view_columns(old) < room ? view_columns(old) : room;
		x = view_column(p, x, y, n, ROLE_DIM, 0, old);
		x = pane_text(p, x, y, ROLE_DIM, 0, " → ");
	} else if (is_changed && room >= -2) {
		x = pane_text(p, x, y, ROLE_DIM, 0, "→");
	}
	n = view_columns(new) < end - x ? view_columns(new) : end - x;
	return view_column(p, x, y, n, value_role(m, now), is_changed ? STYLE_CHANGED : 0, new);
}

/* For "old → new" in @w columns? */
static bool has_room(struct model *m, const struct ui *ui, enum reg r, int w)
{
	char old[128], new[128];

	value_text(m, ui, r, m->state.regs_before.r[r], old, sizeof old);
	value_text(m, ui, r, m->state.regs.r[r], new, sizeof new);
	return view_columns(old) + 3 + view_columns(new) <= w;
}

static void line(struct model *m, const struct ui *ui, enum reg r, const struct lost *lost, bool has_contexts,
		 struct pane p, int y)
{
	uint64_t now = m->state.regs.r[r];
	bool is_changed = now != m->state.regs_before.r[r] && m->t > 0, is_lost = lost->mask >> r & 1;
	char old[128], new[128];
	int x = NAME_LEN;

	pane_put(p, 0, y, is_saved(r) ? '*' : ' ', ROLE_DIM, 0);
	x = pane_text(p, 1, y, is_lost ? ROLE_BAD : ROLE_TEXT, is_changed ? STYLE_BOLD : 0, reg_names[r]) + 1;
	x = x < NAME_LEN ? NAME_LEN : x;
	value_text(m, ui, r, now, new, sizeof new);
	if (p.w < NARROW && (r == REG_RIP || (is_changed && !has_room(m, ui, r, p.w - 2 * context_len(p.w) - 1 - x))))
		has_contexts = false; /* what has just changed comes first */
	if (is_lost) {
		value_text(m, ui, r, lost->left_with.r[r], old, sizeof old);
		x = pane_printf(p, x, y, ROLE_BAD, STYLE_BOLD, "%s", new);
		pane_printf(p, x, y, ROLE_BAD, 0, " LOST: it left with %s", old);
		return;
	}
	x = draw_value(m, ui, r, p, x, has_contexts ? p.w - 2 * context_len(p.w) - 1 : p.w, y);
	if (has_contexts) {
		contexts(m, ui, r, now, p, p.w - 2 * context_len(p.w), y);
		return;
	}
	/* in one column if that is not far away */
	if (p.w >= 56 && x < NAME_LEN + NOW_LEN)
		x = NAME_LEN + NOW_LEN;
	else if (p.w >= 34 && x < NAME_LEN + 15)
		x = NAME_LEN + 15;
	meaning(m, ui, now, new, p, x + 1, y);
}

static void header(struct model *m, const struct ui *ui, bool has_contexts, struct pane p)
{
	int x = p.w - 2 * context_len(p.w) + 1;

	pane_text(p, 0, 0, ROLE_DIM, 0, !has_contexts ? "* the switch saves it" : p.w < NARROW ? "* is saved" : "*saved by the switch");
	for (int side = 0; has_contexts && side < 2; side++, x += context_len(p.w)) {
		const struct exec *e = view_side(m, ui, side);
		char tag[16], text[64];

		if (!e)
			continue;
		snprintf(text, sizeof text, "%s saved", exec_tag(e->number, tag, sizeof tag));
		view_column(p, x, 0, context_len(p.w) - 2, exec_role(e->number), 0, text);
	}
}

static void draw(struct model *m, struct ui *ui, struct pane p)
{
	bool has_contexts = m->is_in_swap && p.w >= ROOM_FOR_CONTEXTS && m->layout && view_side(m, ui, 1);
	struct lost lost = find_lost(m);
	int first;

	ui->cursor_reg = N_REGS;
	if (p.h > N_SAVED + 2) {
		header(m, ui, has_contexts, p);
		p = pane_inside(p, 0, 1, p.w, p.h - 1);
	}
	first = view_window(ui, VIEW_REGISTERS, N_ORDER, p.h, 0);
	for (int y = 0; y < p.h && first + y < N_ORDER; y++) {
		line(m, ui, order[first + y], &lost, has_contexts, p, y);
		if (first + y == ui->cursor[VIEW_REGISTERS])
			pane_put(p, p.w - 1, y, 0x25c0, ROLE_FOCUS, 0);
	}
	if (ui->cursor[VIEW_REGISTERS] >= 0)
		ui->cursor_reg = order[ui->cursor[VIEW_REGISTERS]];
	ui->cursor_addr[VIEW_REGISTERS] = 0;
}

static void title(struct model *m, const struct ui *ui, char *text, size_t len)
{
	const struct exec *from = view_side(m, ui, 0), *to = view_side(m, ui, 1);
	char tags[2][16];

	if (find_lost(m).mask)
		snprintf(text, len, "registers: LOST in this switch");
	else if (m->is_in_swap && m->layout && from && to)
		snprintf(text, len, "registers\n: now, in %s, in %s", exec_tag(from->number, tags[0], sizeof tags[0]),
			 exec_tag(to->number, tags[1], sizeof tags[1]));
	else
		snprintf(text, len, "registers");
}

const struct view view_registers = {
	.name = "registers",
	.title = title,
	.draw = draw,
};
