/* SPDX-License-Identifier: MIT */
/*
 * What the views have in common: names, addresses, colours, windows on long lists.
 *
 * Addresses are written by what they belong to, in the order in which a reader of a
 * coroutine library asks: whose stack, whose context, whose struct, which function.
 */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct view *const views[N_VIEWS] = {
	[VIEW_COROUTINES] = &view_coroutines,
	[VIEW_CODE] = &view_code,
	[VIEW_REGISTERS] = &view_registers,
	[VIEW_STACK_A] = &view_stack_a,
	[VIEW_STACK_B] = &view_stack_b,
	[VIEW_BUFFER] = &view_buffer,
	[VIEW_TIMELINE] = &view_timeline,
	[VIEW_OUTPUT] = &view_output,
};

/* --- execs ------------------------------------------------------------------------- */

int exec_role(uint32_t number)
{
	return number == NO_EXEC ? ROLE_TEXT : ROLE_EXEC0 + (int)(number % 8);
}

const char *exec_name(const struct model *m, uint32_t number)
{
	const struct exec *e = model_exec(m, number);
	size_t n = 0;
	const struct trace_exec *all;

	if (e)
		return e->name;
	all = m->trace ? trace_execs(m->trace, &n) : NULL;
	return number < n && all[number].name[0] ? all[number].name : "?";
}

char *exec_tag(uint32_t number, char *text, size_t len)
{
	if (number == NO_EXEC)
		snprintf(text, len, "S?");
	else
		snprintf(text, len, "S%" PRIu32, number);
	return text;
}

const struct exec *view_side(const struct model *m, const struct ui *ui, int side)
{
	if (side == 0)
		return model_exec(m, ui->pinned != NO_EXEC ? ui->pinned : m->from);
	/* Pinned on the left: on the right whoever it deals with. */
	if (ui->pinned != NO_EXEC && ui->pinned == m->to)
		return model_exec(m, m->from);
	return model_exec(m, m->to);
}

enum {
	SMALLEST_ADDRESS = 0x1000,
	HEAP_MOST = 1 << 30,       /* bytes */
	BSS_MOST = 1 << 16,        /* bytes behind a library's last map */
	ARGUMENTS_MOST = 1 << 20,  /* bytes above main's stack */
	ASK_AT_MOST = 64,          /* execs, for one value */
};
#define MAIN_STACKS_ARE_ABOVE 0x7f0000000000UL

/* --- addresses ----------------------------------------------------------------------- */

/* Where among the structs of @e @value points to: "C1.rbx", "co1", "B1+0x10". */
static bool struct_text(const struct model *m, const struct exec *e, uint64_t value, char *text, size_t len)
{
	uint64_t ctx = e->trace ? e->trace->ctx : 0;

	if (m->layout && ctx != 0 && value >= ctx && value - ctx < layout_ctx_size(m->layout)) {
		snprintf(text, len, value == ctx ? "C%" PRIu32 : "C%" PRIu32 "+0x%" PRIx64, e->number, value - ctx);
		for (int r = 0; value != ctx && r < N_REGS; r++)
			if (layout_ctx_field(m->layout, ctx, (enum reg)r) == value)
				snprintf(text, len, "C%" PRIu32 ".%s", e->number, reg_names[r]);
		return true;
	}
	if (!e->info)
		return false;
	if (value != 0 && e->info->co == value) {
		snprintf(text, len, "co%" PRIu32, e->number);
		return true;
	}
	if (e->info->save_buffer == 0 || value < e->info->save_buffer)
		return false;
	if (value - e->info->save_buffer >= (e->info->save_len ? e->info->save_len : 1))
		return false;
	snprintf(text, len, "B%" PRIu32 "+0x%" PRIx64, e->number, value - e->info->save_buffer);
	return true;
}

/* Whose struct it is; NULL: nobody's. Of many execs only the first are asked, and the two
 * who are shown. */
static const struct exec *struct_of(const struct model *m, uint64_t value, char *text, size_t len)
{
	for (int side = 0; side < 2; side++) {
		const struct exec *e = model_exec(m, side ? m->to : m->from);

		if (e && struct_text(m, e, value, text, len))
			return e;
	}
	for (size_t i = 0; i < m->n_execs && i < ASK_AT_MOST; i++)
		if (struct_text(m, &m->execs[i], value, text, len))
			return &m->execs[i];
	return NULL;
}

/* "libc.so.6+0x1d2a10": in a file that is mapped, where no symbol is, or right behind its
 * last map: the data that are zero at the start are in no file. */
static bool file_text(struct model *m, uint64_t value, char *text, size_t len)
{
	size_t n = 0;
	const struct trace_map *maps = m->trace ? trace_maps(m->trace, &n) : NULL, *in = NULL;
	const char *program = m->trace ? trace_info(m->trace)->program : NULL;
	uint64_t base = value;

	for (size_t i = 0; i < n; i++)
		if (maps[i].path && maps[i].lo <= value && value - maps[i].lo < maps[i].hi - maps[i].lo + BSS_MOST &&
		    (!in || maps[i].lo > in->lo))
			in = &maps[i];
	if (!in || (value >= in->hi && (!program || strcmp(in->path, program) == 0)))
		return false; /* behind the program itself lies the heap */
	for (size_t i = 0; i < n; i++)
		if (maps[i].path && maps[i].lo < base && strcmp(maps[i].path, in->path) == 0)
			base = maps[i].lo;
	snprintf(text, len, "%s+0x%" PRIx64, base_name(in->path), value - base);
	return true;
}

/* What the program allocates with brk(2) begins behind its own pages. Which page, depends
 * on how large it is; how far behind, only on what it does. */
static bool heap_text(struct model *m, uint64_t value, char *text, size_t len)
{
	size_t n = 0;
	const struct trace_info *info = m->trace ? trace_info(m->trace) : NULL;
	const struct trace_map *maps = m->trace ? trace_maps(m->trace, &n) : NULL;
	uint64_t end = 0, next = UINT64_MAX;

	if (!info || !info->program)
		return false;
	for (size_t i = 0; i < n; i++)
		if (maps[i].path && strcmp(maps[i].path, info->program) == 0 && maps[i].hi > end)
			end = maps[i].hi;
	for (size_t i = 0; i < n; i++)
		if (maps[i].lo >= end && maps[i].lo < next)
			next = maps[i].lo;
	if (end == 0 || value < end || value >= next || value - end > HEAP_MOST)
		return false;
	snprintf(text, len, "heap+0x%" PRIx64, value - end);
	return true;
}

static bool is_on_stack(const struct exec *e, uint64_t value)
{
	return e && e->hi != 0 && e->lo <= value && value <= e->hi;
}

/* On whose stack @value lies, for one who looks at @home (NULL: at nobody): on a shared
 * stack, an address that @home has is one of its own, whoever is there now. */
static const struct exec *stack_of(const struct model *m, const struct exec *home, uint64_t value)
{
	uint32_t owner;

	if (value < SMALLEST_ADDRESS)
		return NULL;
	if (is_on_stack(home, value))
		return home;
	owner = model_owner(m, value);
	if (owner != NO_EXEC)
		return model_exec(m, owner);
	/* a shared stack between two who use it */
	for (int side = 0; side < 2; side++) {
		const struct exec *e = model_exec(m, side ? m->from : m->to);

		if (is_on_stack(e, value))
			return e;
	}
	for (size_t i = 0; i < m->n_execs && i < ASK_AT_MOST; i++)
		if (m->execs[i].lo != 0 && is_on_stack(&m->execs[i], value))
			return &m->execs[i];
	return NULL;
}

static bool stack_text(struct model *m, const struct exec *home, uint64_t value, char *text, size_t len)
{
	const struct exec *e = stack_of(m, home, value), *first = m->n_execs > 0 ? &m->execs[0] : NULL;

	if (e && value == e->hi)
		snprintf(text, len, "S%" PRIu32, e->number);
	else if (e && value < e->hi)
		snprintf(text, len, "S%" PRIu32 "-0x%" PRIx64, e->number, e->hi - value);
	else if (!e && first && first->number == 0 && first->hi > MAIN_STACKS_ARE_ABOVE && value > first->hi &&
		 value - first->hi < ARGUMENTS_MOST)
		snprintf(text, len, "S0+0x%" PRIx64, value - first->hi); /* main's arguments and environment */
	else
		return false;
	return true;
}

static bool symbolic(struct model *m, const struct exec *home, uint64_t value, char *text, size_t len)
{
	struct symbol found;

	if (stack_text(m, home, value, text, len))
		return true;
	if (struct_of(m, value, text, len))
		return true;
	if (m->symbols && symbol_at(m->symbols, value, &found)) {
		symbol_text(m->symbols, value, text, len);
		return true;
	}
	return file_text(m, value, text, len) || heap_text(m, value, text, len);
}

char *address_text_at(struct model *m, const struct ui *ui, const struct exec *home, uint64_t value, char *text, size_t len)
{
	/* What is too small to be an address is a number. */
	if (value < 10)
		snprintf(text, len, "%" PRIu64, value);
	else if (ui->is_raw || value < SMALLEST_ADDRESS || !symbolic(m, home, value, text, len))
		snprintf(text, len, "0x%" PRIx64, value);
	return text;
}

char *address_text(struct model *m, const struct ui *ui, uint64_t value, char *text, size_t len)
{
	return address_text_at(m, ui, NULL, value, text, len);
}

int value_role_at(struct model *m, const struct exec *home, uint64_t value)
{
	const struct exec *e = stack_of(m, home, value);
	char text[64];

	if (!e && value >= SMALLEST_ADDRESS)
		e = struct_of(m, value, text, sizeof text);
	return e ? exec_role(e->number) : ROLE_TEXT;
}

int value_role(struct model *m, uint64_t value)
{
	return value_role_at(m, NULL, value);
}

char *function_name(struct model *m, uint64_t addr, char *text, size_t len)
{
	struct symbol found;

	if (m->symbols && symbol_at(m->symbols, addr, &found) && found.name)
		snprintf(text, len, "%s", found.name);
	else
		snprintf(text, len, "?");
	return text;
}

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- drawing ------------------------------------------------------------------------- */

static int between(long lo, long value, long hi)
{
	return (int)(value < lo ? lo : value > hi ? hi : value);
}

int view_window(struct ui *ui, enum view_id id, int n_lines, int h, int natural)
{
	int last = n_lines > h && h > 0 ? n_lines - h : 0;
	int first;

	natural = between(0, natural, last);
	first = between(0, (long)natural + ui->scroll[id], last);
	ui->n_lines[id] = n_lines;
	ui->cursor[id] = between(-1, ui->cursor[id], n_lines - 1);
	if (ui->cursor[id] >= 0 && h > 0) {
		if (ui->cursor[id] < first)
			first = ui->cursor[id];
		if (ui->cursor[id] >= first + h)
			first = ui->cursor[id] - h + 1;
	}
	ui->scroll[id] = first - natural;
	ui->first_line[id] = first;
	ui->window_h[id] = h;
	return first;
}

static bool begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

int view_columns(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += begins_character(*text);
	return n;
}

int view_column(struct pane p, int x, int y, int w, int role, int style, const char *text)
{
	char cut[512];
	size_t len = 0;
	int n = 0;

	if (w <= 0)
		return x;
	if (view_columns(text) <= w) {
		pane_text(p, x, y, role, style, text);
		return x + w;
	}
	for (; text[len] && len < sizeof cut - 1; len++) {
		if (begins_character(text[len]) && n++ == w - 1)
			break;
		cut[len] = text[len];
	}
	cut[len] = '\0';
	pane_text(p, x, y, role, style, cut);
	pane_put(p, x + w - 1, y, 0x2026, role, style);
	return x + w;
}

void view_bar(struct pane p, int x, int y, int w, uint64_t part, uint64_t whole, int role)
{
	double share = whole ? (double)part / (double)whole : 0;
	int full = (int)((share > 1 ? 1 : share) * w + 0.5);

	if (full == 0 && part > 0)
		full = 1;
	if (full == w && part < whole)
		full = w - 1;
	for (int i = 0; i < w; i++)
		pane_put(p, x + i, y, i < full ? 0x2593 : 0x2591, i < full ? role : ROLE_DIM, 0);
}
