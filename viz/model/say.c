/* SPDX-License-Identifier: MIT */
/*
 * What is said, in this order: what the step means for a whole execution (an event), then
 * what the instruction has done. All from the processor's state and the trace's events;
 * which line of which file the instruction stands in makes no difference.
 */
#include "say.h"

#include "sentence.h"

/* "in f, on alice's stack" */
static void add_where(struct sentence *s)
{
	struct model *m = s->m;
	struct words w;

	add(s, "in %s", value_words(m, reg_now(m, REG_RIP), &w));
	if (m->current != NO_EXEC)
		add(s, ", on %s's stack", who(m, m->current));
}

static void say_beginning(struct sentence *s)
{
	add(s, "The recording begins here, ");
	add_where(s);
	add(s, ".");
}

/* Nothing is known of what lies between: only from where to where. */
static void say_gap(struct sentence *s)
{
	struct model *m = s->m;
	uint32_t before = model_owner(m, reg_before(m, REG_RSP));
	struct words from, to;

	value_words(m, reg_before(m, REG_RIP), &from);
	value_words(m, reg_now(m, REG_RIP), &to);
	if (m->current == NO_EXEC)
		add(s, "Not recorded: the program ran on from %s to %s.", from.text, to.text);
	else if (before == m->current || before == NO_EXEC)
		add(s, "Not recorded: %s ran on from %s to %s.", who(m, m->current), from.text, to.text);
	else
		add(s, "Not recorded: %s ran on from %s; now %s runs, in %s.", who(m, before), from.text,
		    who(m, m->current), to.text);
}

/* The bytes of the instruction are in no file, or are none that can be decoded. */
static void say_unknown(struct sentence *s)
{
	uint64_t rip = reg_before(s->m, REG_RIP);
	struct words w;
	uint8_t byte;

	if (s->m->symbols && symbols_code(s->m->symbols, rip, &byte, 1))
		add(s, "An instruction that cannot be decoded, in %s, was executed", value_words(s->m, rip, &w));
	else
		add(s, "An instruction whose code is in no file (but in the kernel's vdso, perhaps) was executed");
	add(s, add_changed(s, ":") ? "." : ": no register that is recorded has changed.");
}

char *say(struct model *m, char *text, size_t len)
{
	struct sentence s = { m, text, len, 0 };
	const struct trace_event *swap;

	if (!len)
		return text;
	*text = 0;
	if (m->t == 0) {
		say_beginning(&s);
		return text;
	}
	if (say_events(&s))
		return text;
	if (s.n)
		add(&s, " ");
	if (m->state.flags & STEP_IS_GAP)
		say_gap(&s);
	else if (m->done.len == 0)
		say_unknown(&s);
	else if (!say_switching(&s))
		say_instruction(&s);
	if ((swap = event_at(m, EVENT_SWAP)) && swap->who == swap->other)
		add(&s, " The switch begins: from %s to itself.", who(m, swap->who));
	else if (swap)
		add(&s, " The switch begins: %s is about to stop, and %s to go on.", who(m, swap->who), who(m, swap->other));
	return text;
}
