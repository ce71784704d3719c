/* SPDX-License-Identifier: MIT */
#include "events.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

static const char *name_of(const struct model *m, uint32_t number, char *text, size_t len)
{
	size_t n;
	const struct trace_exec *execs = trace_execs(m->trace, &n);

	if (number >= n)
		return "?";
	if (!execs[number].name[0]) /* as the panes call it */
		snprintf(text, len, execs[number].kind == EXEC_COROUTINE ? "co %u" : "context %u",
			 execs[number].kind == EXEC_COROUTINE ? execs[number].id : number);
	else
		snprintf(text, len, "%s", execs[number].name);
	return text;
}

static const char *signal_of(uint64_t number)
{
	const char *name = number < 65 ? sigabbrev_np((int)number) : NULL;

	return name ? name : "?";
}

/* Events are counted by kind: the place "save#2" is the second save. */
static void list_event(const struct model *m, const struct trace_event *e, unsigned count, FILE *to)
{
	char names[2][40];
	const char *who = name_of(m, e->who, names[0], sizeof(names[0]));
	const char *other = e->other == NO_EXEC ? NULL : name_of(m, e->other, names[1], sizeof(names[1]));

	fprintf(to, "%8" PRIu64 "  ", e->step);
	switch (e->kind) {
	case EVENT_SWAP:
		fprintf(to, "switch:%u  %s -> %s\n", count, who, other ? other : "?");
		return;
	case EVENT_SAVE:
	case EVENT_RESTORE:
		fprintf(to, "%s#%u  %s  %" PRIu64 " bytes\n", event_names[e->kind], count, who, e->value);
		return;
	case EVENT_SIGNAL:
		fprintf(to, "signal#%u  SIG%s\n", count, signal_of(e->value));
		return;
	case EVENT_END: /* a status as of waitpid */
		if (WIFSIGNALED((int)e->value))
			fprintf(to, "end#%u  SIG%s\n", count, signal_of((uint64_t)WTERMSIG((int)e->value)));
		else
			fprintf(to, "end#%u  status %d\n", count, WEXITSTATUS((int)e->value));
		return;
	case EVENT_FORK:
	case EVENT_EXEC:
	case EVENT_THREAD:
		fprintf(to, "%s#%u  %" PRIu64 "\n", event_names[e->kind], count, e->value);
		return;
	default:
		fprintf(to, "%s#%u  %s", event_names[e->kind], count, who);
		/* (of others nobody knows behind a gap by whom) */
		if (other && (e->kind == EVENT_RESUME || e->kind == EVENT_YIELD || e->kind == EVENT_PARK))
			fprintf(to, e->kind == EVENT_RESUME ? "  by %s" : "  to %s", other);
		fputc('\n', to);
	}
}

int list_events(const struct model *m, FILE *to)
{
	unsigned count[N_EVENTS] = { 0 };
	size_t n;
	const struct trace_event *events = trace_events(m->trace, &n);

	for (size_t i = 0; i < n; i++) {
		uint32_t kind = events[i].kind;
		if (kind >= N_EVENTS)
			continue;
		count[kind]++;
		if (kind != EVENT_CALL && kind != EVENT_RETURN && kind != EVENT_RSP && kind != EVENT_ARRIVE)
			list_event(m, &events[i], count[kind], to);
	}
	return fflush(to) == 0 && !ferror(to) ? 0 : -1;
}
