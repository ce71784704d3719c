/* SPDX-License-Identifier: MIT */
#include "jobs.h"

#include <string.h>

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* what is not said is 0 */

/* Rounds are fewer where a sample takes seconds, or is exact. */
const struct job jobs[] = {
	{ LOOP, SWITCH, 0, .figures = { { "switch.equal", "ns", "one bare switch" } } },
	{ LOOP, DIFFER, 0, .figures = { { "switch.differ", "ns", "one bare switch, sticky flags differ" } } },

	{ LOOP, ROUNDTRIP, 0, .figures = { { "roundtrip.0", "ns", "resume + yield" } } },
	{ LOOP, ROUNDTRIP, 3, .figures = { { "roundtrip.3", "ns", "resume + yield, 3 frames between" } } },
	{ LOOP, ROUNDTRIP, 6, .figures = { { "roundtrip.6", "ns", "resume + yield, 6 frames between" } } },
	{ LOOP, ROUND_MANY, 3, .figures = { { "roundtrip.many", "ns", "resume + yield, 1000 coroutines in turn, 3 frames" } } },

	{ LOOP, CREATE, 1, .figures = { { "create.1", "ns", "create + run + release" } } },
	{ LOOP, CREATE, MANY, .figures = { { "create.1000", "ns", "create + run + release, 1000 alive at a time, each" } } },

	{ LOOP, SHARED, 64, .figures = { { "shared.64", "ns", "resume + yield, shared stack, 64 B live" } } },
	{ LOOP, SHARED, 256, .is_long = true, .figures = { { "shared.256", "ns", "resume + yield, shared stack, 256 B live" } } },
	{ LOOP, SHARED, 1024, .figures = { { "shared.1024", "ns", "resume + yield, shared stack, 1 KiB live" } } },
	{ LOOP, SHARED, 4096, .figures = { { "shared.4096", "ns", "resume + yield, shared stack, 4 KiB live" } } },
	{ LOOP, SHARED, 16384, .is_long = true, .figures = { { "shared.16384", "ns", "resume + yield, shared stack, 16 KiB live" } } },
	{ LOOP, SHARED, 65536, .figures = { { "shared.65536", "ns", "resume + yield, shared stack, 64 KiB live" } } },

	{ MEMORY, .arg = 10000, .most_rounds = 3, .figures = { { "memory.private.10000", "B", "memory of each of 10 000 idle coroutines" } } },
	{ MEMORY, .arg = 100000, .most_rounds = 3, .is_long = true, .figures = { { "memory.private.100000", "B", "memory of each of 100 000" } } },
	{ MEMORY, .arg = 1000000, .most_rounds = 1, .is_long = true, .figures = { { "memory.private.1000000", "B", "memory of each of 1 000 000" } } },
	{ MEMORY_SHARED, .arg = 10000, .most_rounds = 3, .figures = {
		{ "memory.shared.10000", "B", "memory on shared stacks, each of 10 000" },
		{ "memory.shared.10000.rest", "B", "without the bytes of their stacks that are kept aside" } } },
	{ MEMORY_SHARED, .arg = 100000, .most_rounds = 3, .is_long = true, .figures = {
		{ "memory.shared.100000", "B", "memory on shared stacks, each of 100 000" },
		{ "memory.shared.100000.rest", "B", "without the bytes of their stacks that are kept aside" } } },
	{ MEMORY_SHARED, .arg = 1000000, .most_rounds = 1, .is_long = true, .figures = {
		{ "memory.shared.1000000", "B", "memory on shared stacks, each of 1 000 000" },
		{ "memory.shared.1000000.rest", "B", "without the bytes of their stacks that are kept aside" } } },

	{ TIMERS, .arg = 10000, .figures = { { "timers.10000", "ns", "arm + expire, 10 000 sleepers, each sleep" } } },
	{ TIMERS, .arg = 100000, .most_rounds = 5, .is_long = true, .figures = { { "timers.100000", "ns", "arm + expire, 100 000 sleepers" } } },
	{ TIMERS, .arg = 1000000, .most_rounds = 3, .is_long = true, .figures = { { "timers.1000000", "ns", "arm + expire, 1 000 000 sleepers" } } },
	{ LATENESS, .arg = MANY, .most_rounds = 5, .figures = {
		{ "timers.earliest", "ms", "1000 sleepers, 1-100 ms: the earliest wake-up, after it was due" },
		{ "timers.p50", "ms", "half of them wake not later than this after they are due" },
		{ "timers.p99", "ms", "99 of 100 wake not later than this after they are due" } } },
	{ IDLE, .arg = MANY, .most_rounds = 1, .figures = {
		{ "idle.wakeups", "", "times that the thread wakes up in 5 s (quick: 1 s), 1000 readers wait in vain" },
		{ "idle.cpu", "ms", "processor time in these 5 s (quick: 1 s)" } } },

	{ LOOP, TALK, 0, .figures = { { "io.rw", "ns", "a byte there and back: write, read" } } },
	{ LOOP, TALK_POLL, 0, .figures = { { "io.poll", "ns", "a byte there and back, with a poll before each read" } } },
	{ CALLS, TALK, 0, .most_rounds = 1, .figures = { { "io.rw.calls", "", "system calls of one there and back" } } },
	{ CALLS, TALK_POLL, 0, .most_rounds = 1, .figures = { { "io.poll.calls", "", "system calls of one there and back, with a poll before each read" } } },

	{ ECHO, .arg = 100, .most_rounds = 5, .figures = {
		{ "echo.100", "req/s", "echo server, 100 connections", true },
		{ "echo.100.cpu", "us", "echo server, 100 connections: its processor time for a request" },
		{ "echo.100.busy", "%", "how much of the time it ran (below 90: its client was slower)" } } },
	{ ECHO_CALLS, .arg = 100, .most_rounds = 1, .figures = { { "echo.100.calls", "", "echo server, 100 connections: its system calls for a request" } } },
	{ ECHO, .arg = 1000, .most_rounds = 5, .is_long = true, .figures = {
		{ "echo.1000", "req/s", "echo server, 1000 connections", true },
		{ "echo.1000.cpu", "us", "echo server, 1000 connections: its processor time for a request" },
		{ "echo.1000.busy", "%", "how much of the time it ran (below 90: its client was slower)" } } },

	{ INSTRUCTIONS, SWITCH, 0, .most_rounds = 1, .figures = { { "instr.switch", "", "instructions: one bare switch, and the loop around it" } } },
	{ INSTRUCTIONS, ROUNDTRIP, 0, .most_rounds = 1, .figures = { { "instr.roundtrip", "", "instructions: resume + yield" } } },
	{ INSTRUCTIONS, CREATE, 1, .most_rounds = 1, .is_long = true, .figures = { { "instr.create", "", "instructions: create + run + release" } } },
	{ INSTRUCTIONS, SHARED, 64, .most_rounds = 1, .is_long = true, .figures = { { "instr.shared", "", "instructions: resume + yield, shared stack, 64 B live" } } },
};

const int n_jobs = sizeof(jobs) / sizeof(jobs[0]);

int n_figures(const struct job *job)
{
	int n = 0;

	while (n < MAX_FIGURES && job->figures[n].name)
		n++;
	return n;
}

static bool has_io(const struct peer *p)
{
	return p->sched && p->sched->read;
}

bool can(const struct peer *p, const struct job *job)
{
	switch (job->kind) {
	case LOOP:
	case INSTRUCTIONS:
	case CALLS:
		return p->loop[job->op] || ((job->op == TALK || job->op == TALK_POLL) && has_io(p));
	case MEMORY:
		return p->idle;
	case MEMORY_SHARED:
		return p->idle_shared;
	case TIMERS:
	case LATENESS:
		return p->sched;
	case IDLE:
		return has_io(p);
	case ECHO:
	case ECHO_CALLS:
		return p->serve || has_io(p);
	}
	return false;
}

const struct job *job_by_name(const char *name)
{
	for (int i = 0; i < n_jobs; i++)
		if (strcmp(jobs[i].figures[0].name, name) == 0)
			return &jobs[i];
	return NULL;
}
