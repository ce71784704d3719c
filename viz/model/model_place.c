/* SPDX-License-Identifier: MIT */
/*
 * Places in words: "switch:3", "func:leaf#2+5", "line:loop.c:79", "save#1", "1234", "end".
 *
 * A place is a name and perhaps a number, then perhaps +N or -N. What does not exist is
 * answered with what does.
 */
#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_own.h"

enum { MAX_PLACE = 256 };

/* A place taken apart. */
struct place {
	char name[MAX_PLACE]; /* "switch", "func", "save", "t", "end" */
	char arg[MAX_PLACE];  /* what follows ':' */
	uint64_t nth;         /* what follows '#', from 1 */
	bool is_back;         /* -N */
	uint64_t offset;
};

__attribute__((format(printf, 2, 3))) static bool refuse(char **why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vasprintf(why, format, args) < 0)
		*why = NULL;
	va_end(args);
	return false;
}

/* Digits and nothing else. */
static bool number_of(const char *text, uint64_t *value)
{
	*value = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned digit = (unsigned)(*text - '0');
		if (digit > 9 || *value > (UINT64_MAX - digit) / 10)
			return false;
		*value = *value * 10 + digit;
	}
	return true;
}

/* Cut off what follows the last @mark in @text, if it is a number. */
static bool cut_number(char *text, char mark, uint64_t *value)
{
	char *at = strrchr(text, mark);

	if (!at || at == text || !number_of(at + 1, value))
		return false;
	*at = 0;
	return true;
}

static bool take_apart(const char *text, struct place *p)
{
	memset(p, 0, sizeof(*p));
	while (isspace((unsigned char)*text))
		text++;
	if (strlen(text) >= sizeof(p->name))
		return false;
	strcpy(p->name, text);
	for (size_t len = strlen(p->name); len > 0 && isspace((unsigned char)p->name[len - 1]); len--)
		p->name[len - 1] = 0;
	if (!cut_number(p->name, '+', &p->offset))
		p->is_back = cut_number(p->name, '-', &p->offset);
	if (!cut_number(p->name, '#', &p->nth))
		p->nth = 1;
	char *colon = strchr(p->name, ':');
	if (colon) {
		strcpy(p->arg, colon + 1);
		*colon = 0;
	}
	return p->name[0] != 0 && p->nth > 0;
}

/* --- kinds of places ------------------------------------------------------------------------- */

static bool place_in_swap(const struct model *m, const struct place *p, uint64_t *t, char **why)
{
	uint64_t n;

	if (m->n_swaps == 0)
		return refuse(why, "%s:%s: this trace has no switch", p->name, p->arg);
	if (!number_of(p->arg, &n) || n < 1 || n > m->n_swaps)
		return refuse(why, "%s:%s: the switches of this trace are %s:1 to %s:%zu", p->name, p->arg, p->name,
			      p->name, m->n_swaps);
	const struct swap *s = &m->swaps[n - 1];
	*t = strcmp(p->name, "switch") == 0 ? s->entry : strcmp(p->name, "rsp") == 0 ? s->hands : s->arrival;
	if (*t == 0 && strcmp(p->name, "switch") != 0)
		return refuse(why, "%s:%s: the trace does not reach that part of the switch; it begins at state %llu",
			      p->name, p->arg, (unsigned long long)s->entry);
	return true;
}

static bool place_in_function(struct model *m, const struct place *p, uint64_t *t, char **why)
{
	struct symbol f;
	struct regs regs;
	uint64_t at = 0, n = 0;

	if (!m->symbols || !symbol_named(m->symbols, p->arg, &f))
		return refuse(why, "func:%s: the program has no function of that name", p->arg);
	if (model_regs_at(m, 0, &regs) && regs.r[REG_RIP] >= f.lo && (regs.r[REG_RIP] < f.hi || regs.r[REG_RIP] == f.lo))
		n++; /* it begins in there */
	while (n < p->nth) {
		uint64_t next = model_find_function(m, at, p->arg, 1);
		if (next == at)
			break;
		at = next;
		n++;
	}
	*t = at;
	if (n == p->nth)
		return true;
	if (n > 0)
		return refuse(why, "func:%s#%llu: the trace enters it %llu time%s", p->arg, (unsigned long long)p->nth,
			      (unsigned long long)n, n > 1 ? "s" : "");
	return refuse(why, "func:%s: no recorded instruction is in it%s", p->arg,
		      trace_info(m->trace)->mode && strcmp(trace_info(m->trace)->mode, "switch") == 0
			      ? "; 'coviz record --all' records those outside of the switch, too" : "");
}

/* "line:loop.c:79": where its first instruction is run, or that of the next line that has one. */
static bool place_of_line(struct model *m, const struct place *p, uint64_t *t, char **why)
{
	char file[MAX_PLACE], *colon;
	struct regs regs;
	uint64_t line, address, n = 0, at = 0, next = 0;

	strcpy(file, p->arg);
	colon = strrchr(file, ':');
	if (!colon || !number_of(colon + 1, &line) || line == 0 || line > INT_MAX)
		return refuse(why, "line:%s: a file and the number of a line, as in line:loop.c:79", p->arg);
	*colon = 0;
	if (!m->symbols || !source_address(m->symbols, file, (int)line, &address))
		return refuse(why, "line:%s: the program has no code of such a line (was it built with -g?)", p->arg);
	if (model_regs_at(m, 0, &regs) && regs.r[REG_RIP] == address)
		n++;
	for (; n < p->nth && (next = model_find_address(m, at, address)) != at; n++)
		at = next;
	*t = at;
	if (n == p->nth)
		return true;
	if (n > 0)
		return refuse(why, "line:%s#%llu: the trace comes there %llu time%s", p->arg, (unsigned long long)p->nth,
			      (unsigned long long)n, n > 1 ? "s" : "");
	return refuse(why, "line:%s: no recorded instruction is of it", p->arg);
}

static int event_named(const char *name)
{
	for (int i = 0; i < N_EVENTS; i++)
		if (strcmp(event_names[i], name) == 0)
			return i;
	return -1;
}

static bool place_of_event(const struct model *m, const struct place *p, int kind, uint64_t *t, char **why)
{
	size_t n;
	uint64_t seen = 0;
	const struct trace_event *events = trace_events(m->trace, &n);

	for (size_t i = 0; i < n; i++) {
		if (events[i].kind != (uint32_t)kind || ++seen < p->nth)
			continue;
		*t = events[i].step;
		return true;
	}
	if (seen == 0)
		return refuse(why, "%s: nothing of that kind happens in this trace", p->name);
	return refuse(why, "%s#%llu: that happens %llu time%s in this trace", p->name, (unsigned long long)p->nth,
		      (unsigned long long)seen, seen > 1 ? "s" : "");
}

static bool place_by_number(const struct model *m, const char *number, uint64_t *t, char **why)
{
	if (!number_of(number, t))
		return refuse(why, "\"%s\" is no state: they are numbers, here from 0 to %llu", number,
			      (unsigned long long)m->last);
	if (*t > m->last)
		return refuse(why, "%s: the states of this trace are 0 to %llu", number, (unsigned long long)m->last);
	return true;
}

static bool find_place(struct model *m, const struct place *p, uint64_t *t, char **why)
{
	bool has_arg = p->arg[0] != 0;
	int kind = event_named(p->name);

	if (isdigit((unsigned char)p->name[0]) && !has_arg)
		return place_by_number(m, p->name, t, why);
	if (strcmp(p->name, "t") == 0 && has_arg)
		return place_by_number(m, p->arg, t, why);
	if (strcmp(p->name, "end") == 0 || strcmp(p->name, "start") == 0) {
		*t = p->name[0] == 'e' ? m->last : 0;
		return true;
	}
	if (has_arg && (strcmp(p->name, "switch") == 0 || strcmp(p->name, "rsp") == 0 || strcmp(p->name, "arrive") == 0))
		return place_in_swap(m, p, t, why);
	if (has_arg && strcmp(p->name, "func") == 0)
		return place_in_function(m, p, t, why);
	if (has_arg && strcmp(p->name, "line") == 0)
		return place_of_line(m, p, t, why);
	if (kind >= 0 && !has_arg)
		return place_of_event(m, p, kind, t, why);
	return refuse(why, "\"%s%s%s\" is no place. Places are: a number, switch:3, rsp:3, arrive:3, func:NAME, func:NAME#2, "
		      "line:FILE:LINE, start, end, or an event as save#1 (create resume yield park wake exit save restore call return "
		      "signal fork exec thread); each with +N or -N", p->name, has_arg ? ":" : "", p->arg);
}

bool model_place(struct model *m, const char *text, uint64_t *t, char **why)
{
	struct place p;
	uint64_t at;

	*why = NULL;
	if (!take_apart(text, &p))
		return refuse(why, "\"%.60s\" is no place: try 1234, switch:3, func:NAME or end", text);
	if (!find_place(m, &p, &at, why))
		return false;
	if (p.is_back ? p.offset > at : p.offset > m->last - at)
		return refuse(why, "%s: that is state %llu %c %llu, and those of this trace are 0 to %llu", text,
			      (unsigned long long)at, p.is_back ? '-' : '+', (unsigned long long)p.offset,
			      (unsigned long long)m->last);
	*t = p.is_back ? at - p.offset : at + p.offset;
	return true;
}
