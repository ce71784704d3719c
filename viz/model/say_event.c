/* SPDX-License-Identifier: MIT */
/* What happened to whole executions, and to the program. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "sentence.h"

static const char *signal_name(uint64_t number, struct words *w)
{
	const char *name = number < 64 ? sigabbrev_np((int)number) : NULL;

	if (name)
		snprintf(w->text, sizeof w->text, "SIG%s", name);
	else
		snprintf(w->text, sizeof w->text, "signal %u", (unsigned)number);
	return w->text;
}

/* What the instruction that never ended was about to do to memory. */
static void add_fault(struct sentence *s)
{
	const struct model *m = s->m;
	uint64_t rip = reg_now(m, REG_RIP);
	struct words w;

	for (size_t i = 0; i < m->next.n_mem; i++) {
		const struct insn_mem *mem = &m->next.mem[i];

		if (mem->is_in_segment || !mem->size)
			continue;
		add(s, " %s was to %s %s.", m->next.text, mem->is_written ? "write" : "read",
		    place_words(m, insn_mem_address(mem, &m->state.regs, rip + m->next.len), &w));
		return;
	}
	if (m->next.len)
		add(s, " The next instruction was %s.", m->next.text);
	else
		add(s, " There is no instruction at %s.", place_words(m, rip, &w));
}

static void say_end(struct sentence *s, uint64_t value)
{
	int status = (int)value;
	struct words w;

	if (WIFEXITED(status)) {
		add(s, "The program exits with status %d.", WEXITSTATUS(status));
	} else if (WIFSIGNALED(status)) {
		int number = WTERMSIG(status);

		add(s, "The program was killed by %s.", signal_name((uint64_t)number, &w));
		if (number == SIGSEGV || number == SIGBUS || number == SIGILL)
			add_fault(s);
	} else {
		add(s, "The program ends.");
	}
}

/* One event in one sentence; nothing for those that the instruction's own will tell. */
static void say_event(struct sentence *s, const struct trace_event *e)
{
	const struct model *m = s->m;
	const char *name = who(m, e->who), *other = who(m, e->other);
	unsigned long long value = e->value;
	struct words w;

	switch (e->kind) {
	case EVENT_CREATE:
		if (e->other == NO_EXEC || m->state.flags & STEP_IS_GAP) /* by whom, was not seen */
			add(s, "%s is created.", name);
		else
			add(s, "%s creates %s.", other, name);
		break;
	case EVENT_RESUME: add(s, "%s resumes %s.", other, name); break;
	case EVENT_YIELD: add(s, "%s yields to %s.", name, other); break;
	case EVENT_PARK: add(s, "%s has something to wait for; %s will go on.", name, other); break;
	case EVENT_WAKE: add(s, "%s need not wait any longer.", name); break;
	case EVENT_EXIT: add(s, "%s has ended; %s will go on.", name, other); break;
	case EVENT_SAVE: add(s, "%llu bytes of %s's stack now lie in its save_buffer.", value, name); break;
	case EVENT_RESTORE: add(s, "%llu bytes of %s are back on its stack.", value, name); break;
	case EVENT_SIGNAL: add(s, "%s arrives.", signal_name(e->value, &w)); break;
	case EVENT_FORK: add(s, "The program forks: process %llu, which is not followed.", value); break;
	case EVENT_EXEC: add(s, "The program becomes another one (execve)."); break;
	case EVENT_THREAD: add(s, "A thread begins (%llu); this one is followed.", value); break;
	case EVENT_END: say_end(s, e->value); break;
	default: break;
	}
}

const struct trace_event *events_from(const struct model *m, uint64_t t, const struct trace_event **end)
{
	size_t n, lo = 0, hi;
	const struct trace_event *e = trace_events(m->trace, &n);

	for (hi = n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;

		if (e[mid].step < t)
			lo = mid + 1;
		else
			hi = mid;
	}
	*end = e + n;
	return e + lo;
}

const struct trace_event *event_at(const struct model *m, enum event_kind kind)
{
	const struct trace_event *end, *e = events_from(m, m->t, &end);

	for (; e < end && e->step == m->t; e++)
		if (e->kind == kind)
			return e;
	return NULL;
}

/* Of each register in @which: what it was, what it is. */
static void add_registers(struct sentence *s, uint32_t which, const struct regs *left)
{
	struct words was, is;

	for (int r = 0, n = 0; r < N_REGS; r++)
		if (which & UINT32_C(1) << r)
			add(s, "%s %s (%s → %s)", n++ ? "," : "", reg_names[r], value_words(s->m, left->r[r], &was),
			    value_words(s->m, reg_now(s->m, (enum reg)r), &is));
	add(s, ".");
}

/* Registers that do not come back as they were. */
static void say_lost(struct sentence *s)
{
	struct model *m = s->m;
	struct regs left;
	uint32_t lost, rewritten;

	if (m->swap < 0 || m->swaps[m->swap].arrival != m->t)
		return;
	lost = model_lost(m, (size_t)m->swap, &left);
	rewritten = model_rewritten(m, (size_t)m->swap);
	if (lost) {
		add(s, "%s is back, but the switch has lost", who(m, m->swaps[m->swap].to));
		add_registers(s, lost, &left);
	}
	if (rewritten) {
		add(s, "%sWhile %s was away, its context got another", lost ? " " : "", who(m, m->swaps[m->swap].to));
		add_registers(s, rewritten, &left);
	}
}

bool say_events(struct sentence *s)
{
	const struct trace_event *end, *e = events_from(s->m, s->m->t, &end);
	bool is_over = false;

	say_lost(s);
	for (; e < end && e->step == s->m->t; e++) {
		size_t before = s->n;

		if (s->n)
			add(s, " ");
		say_event(s, e);
		if (s->n == before + 1) { /* nothing but the space */
			s->n = before;
			s->text[s->n] = 0;
		}
		is_over = is_over || e->kind == EVENT_END;
	}
	return is_over;
}
