/* SPDX-License-Identifier: MIT */
/*
 * The pane of code: the source with the line that runs next, or the disassembly.
 *
 * Disassembly begins at the function's first byte, since only from there on are the
 * borders of instructions known. The last function is kept: most steps stay in it.
 */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAB = 8, LINE_LEN = 400, MAX_INSNS = 4096, MAX_CODE = 32 * 1024, WITHOUT_SYMBOL = 256 };

struct listing {
	const struct symbols *symbols; /* of whom; NULL: empty */
	uint64_t lo;
	int n;
	struct listed {
		uint64_t addr;
		struct insn insn;
	} *lines;
};

/* --- disassembly --------------------------------------------------------------------- */

static int find_insn(const struct listing *l, uint64_t addr)
{
	int lo = 0, hi = l->n - 1;

	while (lo <= hi) {
		int middle = lo + (hi - lo) / 2;

		if (l->lines[middle].addr == addr)
			return middle;
		if (l->lines[middle].addr < addr)
			lo = middle + 1;
		else
			hi = middle - 1;
	}
	return -1;
}

/* Decode from @lo, up to @hi, or until MAX_INSNS. */
static void disassemble(struct listing *l, struct symbols *s, uint64_t lo, uint64_t hi)
{
	static uint8_t code[MAX_CODE];
	size_t want = hi > lo && hi - lo < MAX_CODE ? hi - lo : MAX_CODE;
	size_t len = symbols_code(s, lo, code, want), at = 0;

	if (!l->lines)
		l->lines = calloc(MAX_INSNS, sizeof *l->lines);
	l->symbols = s;
	l->lo = lo;
	l->n = 0;
	while (l->lines && at < len && l->n < MAX_INSNS) {
		struct listed *line = &l->lines[l->n++];

		line->addr = lo + at;
		if (!decode(code + at, len - at, line->addr, &line->insn) || line->insn.len == 0) {
			memset(&line->insn, 0, sizeof line->insn);
			snprintf(line->insn.text, sizeof line->insn.text, ".byte 0x%02x", code[at]);
			line->insn.len = 1;
		}
		at += line->insn.len;
	}
}

/* The listing that has the instruction at rip, if anything is known. */
static const struct listing *listing_of(struct model *m, uint64_t rip)
{
	static struct listing kept;
	struct symbol found = { 0 };
	uint64_t lo = rip, hi = rip > UINT64_MAX - WITHOUT_SYMBOL ? UINT64_MAX : rip + WITHOUT_SYMBOL;

	if (!m->symbols)
		return NULL;
	if (symbol_at(m->symbols, rip, &found) && found.lo <= rip && rip - found.lo < MAX_CODE) {
		lo = found.lo;
		if (found.hi > found.lo)
			hi = found.hi;
	}
	if (kept.symbols != m->symbols || kept.lo != lo || kept.n == 0 || find_insn(&kept, rip) < 0)
		disassemble(&kept, m->symbols, lo, hi);
	if (kept.n > 0 && find_insn(&kept, rip) < 0) /* in the middle of what we thought was one */
		disassemble(&kept, m->symbols, rip, hi);
	return kept.n > 0 ? &kept : NULL;
}

/* As decoded, but with names for the places that a call or jump leads to, or rip-relative
 * data lie at. */
char *insn_text(struct model *m, const struct ui *ui, uint64_t addr, const struct insn *insn, char *text, size_t len)
{
	char target[128];
	const char *space = strchr(insn->text, ' ');

	if (insn->has_target && space) {
		int verb = (int)(space - insn->text);

		address_text(m, ui, insn->target, target, sizeof target);
		snprintf(text, len, "%.*s %s", verb, insn->text, target);
	} else {
		snprintf(text, len, "%s", insn->text);
	}
	for (size_t i = 0; i < insn->n_mem && i < 2; i++)
		if (insn->mem[i].base == REG_RIP) { /* where that is, nobody can see from a distance */
			uint64_t next = addr + insn->len;

			address_text(m, ui, insn_mem_address(&insn->mem[i], &m->state.regs, next), target, sizeof target);
			snprintf(text + strlen(text), len - strlen(text), "  # %s", target);
			break;
		}
	return text;
}

/* --- both ------------------------------------------------------------------------------ */

/* The mark and the style of a line. */
static void mark(struct pane p, int y, bool is_next, bool is_done, int *role, int *style)
{
	*role = is_next ? ROLE_NEXT : is_done ? ROLE_DONE : ROLE_TEXT;
	*style = is_next ? STYLE_BOLD : 0;
	if (is_next)
		pane_fill(p, 0, y, p.w, 1, ' ', ROLE_NEXT, 0);
	if (is_next || is_done)
		pane_put(p, 0, y, is_next ? 0x25b6 : 0x2022, *role, *style);
}

static void draw_asm(struct model *m, struct ui *ui, struct pane p)
{
	uint64_t rip = m->state.regs.r[REG_RIP];
	const struct listing *l = listing_of(m, rip);
	int next, first, last_line = 0;

	ui->cursor_addr[VIEW_CODE] = 0;
	if (!l) {
		char text[64];

		ui->n_lines[VIEW_CODE] = 0;
		snprintf(text, sizeof text, "no code is known at 0x%" PRIx64, rip);
		view_column(p, 0, 0, p.w, ROLE_DIM, 0, text);
		return;
	}
	next = find_insn(l, rip);
	first = view_window(ui, VIEW_CODE, l->n, p.h, next - p.h / 2);
	for (int y = 0; y < p.h && first + y < l->n; y++) {
		const struct listed *line = &l->lines[first + y];
		bool is_done = m->done.len > 0 && line->addr == m->done_at && first + y != next;
		struct source_line at;
		char text[256];
		int role, style, x = 2;

		mark(p, y, first + y == next, is_done, &role, &style);
		if (p.w >= 40) {
			/* the source line, where it changes */
			if (source_at(m->symbols, line->addr, &at) && at.line != last_line) {
				pane_printf(p, x, y, ROLE_DIM, 0, "%4d", at.line);
				last_line = at.line;
			}
			x += 5;
		}
		if (ui->is_raw)
			snprintf(text, sizeof text, "0x%" PRIx64, line->addr);
		else
			snprintf(text, sizeof text, "+0x%" PRIx64, line->addr - l->lo);
		x = pane_text(p, x, y, first + y == next ? role : ROLE_DIM, style, text);
		x = x < 8 + (p.w >= 40 ? 5 : 0) ? 8 + (p.w >= 40 ? 5 : 0) : x + 1;
		insn_text(m, ui, line->addr, &line->insn, text, sizeof text);
		view_column(p, x, y, p.w - x, role, style, text);
		if (first + y == ui->cursor[VIEW_CODE]) {
			pane_put(p, p.w - 1, y, 0x25c0, ROLE_FOCUS, 0);
			ui->cursor_addr[VIEW_CODE] = line->addr;
		}
	}
}

static void expand_tabs(const char *from, char *to, size_t len)
{
	size_t n = 0;

	for (; *from && n + TAB < len - 1; from++) {
		if (*from == '\t')
			do
				to[n++] = ' ';
			while (n % TAB != 0);
		else if (*from != '\r')
			to[n++] = *from;
	}
	to[n] = '\0';
}

/* Blanks that all lines in sight begin with: left out when the pane is narrow. */
static int common_indent(const struct source_text *text, int first, int h)
{
	int least = -1;

	for (int i = first; i < first + h && i < text->n; i++) {
		char line[LINE_LEN];
		int n;

		expand_tabs(text->lines[i], line, sizeof line);
		n = (int)strspn(line, " ");
		if (line[n] != '\0' && (least < 0 || n < least))
			least = n;
	}
	return least < 0 ? 0 : least;
}

/* First of @h lines such that the one that runs next is in the middle; or, if that shows
 * the one that is done too, the middle of the two. */
static int first_around(int next, int done, int h)
{
	int lo = done >= 0 && done < next ? done : next, hi = done > next ? done : next;

	return hi - lo < h - 1 ? lo - (h - 1 - (hi - lo)) / 2 : next - h / 2;
}

/* The line that is done is out of sight: in the first row, whatever stood there. */
static void draw_done_above(struct model *m, struct pane p, int digits)
{
	const struct source_text *text = source_text(m->symbols, m->done_line.path);
	bool is_elsewhere = m->done_line.path != m->next_line.path;
	char line[LINE_LEN];
	int x;

	if (!text || m->done_line.line < 1 || m->done_line.line > text->n)
		return;
	pane_fill(p, 0, 0, p.w, 1, ' ', ROLE_TEXT, 0);
	pane_put(p, 0, 0, 0x2022, ROLE_DONE, 0);
	if (is_elsewhere)
		x = pane_printf(p, 1, 0, ROLE_DIM, 0, "%s:%d ", base_name(m->done_line.path), m->done_line.line);
	else
		x = pane_printf(p, 1, 0, ROLE_DIM, 0, "%*d ", digits, m->done_line.line);
	expand_tabs(text->lines[m->done_line.line - 1], line, sizeof line);
	view_column(p, x, 0, p.w - x, ROLE_DONE, 0, is_elsewhere ? line + strspn(line, " ") : line);
	pane_fill(p, 0, 1, p.w, 1, ' ', ROLE_DIM, 0);
	pane_put(p, digits, 1, 0x2026, ROLE_DIM, 0);
}

static void draw_source(struct model *m, struct ui *ui, struct pane p, const struct source_text *text)
{
	int next = m->next_line.line - 1, digits = 1, first, skip;
	int done = m->done.len > 0 && m->done_line.path == m->next_line.path ? m->done_line.line - 1 : -1;

	first = view_window(ui, VIEW_CODE, text->n, p.h, first_around(next, done, p.h));
	for (int n = first + p.h; n >= 10; n /= 10)
		digits++;
	skip = p.w < 60 ? common_indent(text, first, p.h) : 0;
	ui->cursor_addr[VIEW_CODE] = 0;
	for (int y = 0; y < p.h && first + y < text->n; y++) {
		char line[LINE_LEN];
		int i = first + y, role, style, x;

		mark(p, y, i == next, i == done && i != next, &role, &style);
		x = pane_printf(p, 1, y, i == next ? role : ROLE_DIM, style, "%*d ", digits, i + 1);
		expand_tabs(text->lines[i], line, sizeof line);
		view_column(p, x, y, p.w - x, role, style,
			    line + (strlen(line) > (size_t)skip ? (size_t)skip : strlen(line)));
		if (i == ui->cursor[VIEW_CODE])
			pane_put(p, p.w - 1, y, 0x25c0, ROLE_FOCUS, 0);
	}
	if (m->done.len > 0 && m->done_line.path && (done < first || done >= first + p.h) && next >= first + 2 &&
	    ui->scroll[VIEW_CODE] == 0 && ui->cursor[VIEW_CODE] < 0)
		draw_done_above(m, p, digits);
}

static const struct source_text *text_of(struct model *m, const struct ui *ui)
{
	const struct source_text *text;

	if (ui->is_asm || !m->symbols || !m->next_line.path)
		return NULL;
	text = source_text(m->symbols, m->next_line.path);
	return text && m->next_line.line >= 1 && m->next_line.line <= text->n ? text : NULL;
}

static void draw(struct model *m, struct ui *ui, struct pane p)
{
	const struct source_text *text = text_of(m, ui);

	if (text)
		draw_source(m, ui, p, text);
	else
		draw_asm(m, ui, p);
}

static void title(struct model *m, const struct ui *ui, char *text, size_t len)
{
	const struct source_text *source = text_of(m, ui);
	char name[128];

	function_name(m, m->state.regs.r[REG_RIP], name, sizeof name);
	if (source)
		snprintf(text, len, "%s  %s:%d%s", name, base_name(m->next_line.path), m->next_line.line,
			 source->is_newer ? " (newer than the program)" : "");
	else
		snprintf(text, len, "%s  disassembly", name);
}

const struct view view_code = {
	.name = "code",
	.title = title,
	.draw = draw,
};
