/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints that write no code.
 *
 * Ours: the debug registers, by ptrace. They stay set when the tracer is killed, and the
 * next hit would then kill the program; but ours die with us anyway (EXITKILL).
 *
 * A program we have attached to must live on. For it they are perf events, which the
 * kernel takes away with our descriptors, before it lets go of the program. Where events
 * are forbidden (perf_event_paranoid), debug registers again. What remains: if we are killed
 * (kill -9) in the moment between its stop at one, or after a step, and our answer, the
 * kernel delivers that SIGTRAP, and the program dies of it.
 */
#include <errno.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include "target_threads.h"

/* --- debug registers ------------------------------------------------------------------ */

static int poke_debug(const struct target *t, int i, uint64_t value)
{
	return (int)ptrace(PTRACE_POKEUSER, t->followed,
			   offsetof(struct user, u_debugreg) + (size_t)i * sizeof(((struct user *)0)->u_debugreg[0]), value);
}

/* DR7: bit 2i switches number i on; its 4 bits from 16 + 4i are 0 for "execute, 1 byte". */
static void arm_registers(struct target *t, bool on)
{
	uint64_t dr7 = 0;

	for (int i = 0; on && i < TARGET_BREAKS; i++) {
		if (t->breaks[i] && t->set[i] != t->breaks[i] && poke_debug(t, i, t->breaks[i]) == 0)
			t->set[i] = t->breaks[i];
		if (t->breaks[i] && t->set[i] == t->breaks[i])
			dr7 |= 1ull << (2 * i);
	}
	poke_debug(t, 7, dr7);
}

/* --- events --------------------------------------------------------------------------- */

static void close_event(struct target *t, int i)
{
	if (t->events[i])
		close(t->events[i] - 1);
	t->events[i] = 0;
	t->set[i] = 0;
}

/* A breakpoint that sends SIGTRAP to the thread, before the instruction runs. */
static bool open_event(struct target *t, int i)
{
	struct perf_event_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.size = sizeof(attr);
	attr.type = PERF_TYPE_BREAKPOINT;
	attr.bp_type = HW_BREAKPOINT_X;
	attr.bp_addr = t->breaks[i];
	attr.bp_len = sizeof(long);
	attr.sample_period = 1;
	attr.exclude_kernel = 1;
	attr.exclude_hv = 1;
	attr.disabled = 1;
	attr.remove_on_exec = 1; /* asked for by sigtrap */
	attr.sigtrap = 1;
	int fd = (int)syscall(SYS_perf_event_open, &attr, t->followed, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return false;
	t->events[i] = fd + 1;
	t->set[i] = t->breaks[i];
	return true;
}

static bool arm_events(struct target *t, bool on)
{
	for (int i = 0; i < TARGET_BREAKS; i++) {
		if (t->events[i] && t->set[i] != t->breaks[i])
			close_event(t, i);
		if (on && t->breaks[i] && !t->events[i] && !open_event(t, i))
			return false;
		if (t->events[i])
			ioctl(t->events[i] - 1, on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0);
	}
	return true;
}

/* --- both ------------------------------------------------------------------------------ */

void breaks_arm(struct target *t, bool on)
{
	if (on == t->are_armed)
		return;
	t->are_armed = on;
	if (!t->is_ours && !t->has_no_events) {
		if (arm_events(t, on))
			return;
		t->has_no_events = true;
		for (int i = 0; i < TARGET_BREAKS; i++)
			close_event(t, i);
	}
	arm_registers(t, on);
}

void target_break(struct target *t, int slot, uint64_t addr)
{
	if (t->breaks[slot] == addr)
		return;
	breaks_arm(t, false);
	t->breaks[slot] = addr;
}

bool breaks_are_at(const struct target *t)
{
	uint64_t rip = (uint64_t)ptrace(PTRACE_PEEKUSER, t->followed, offsetof(struct user, regs.rip), 0);

	for (int i = 0; i < TARGET_BREAKS; i++)
		if (t->breaks[i] && t->breaks[i] == rip)
			return true;
	return false;
}

void breaks_lost(struct target *t)
{
	for (int i = 0; i < TARGET_BREAKS; i++)
		close_event(t, i);
	t->are_armed = false;
}

void breaks_clear(struct target *t)
{
	bool has_events = !t->is_ours && !t->has_no_events;

	breaks_lost(t);
	for (int i = 0; i < TARGET_BREAKS; i++)
		t->breaks[i] = 0;
	if (has_events)
		return;
	poke_debug(t, 7, 0);
	for (int i = 0; i < TARGET_BREAKS; i++)
		poke_debug(t, i, 0);
}
