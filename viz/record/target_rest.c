/* SPDX-License-Identifier: MIT */
/*
 * Letting a program alone: for a while, or for good. It must find nothing of us, neither a
 * flag nor a signal that was for us.
 */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "target_threads.h"

/* --- resting -------------------------------------------------------------------------- */

/* A breakpoint or a step sends SIGTRAP; but being told to stop comes before that is
 * delivered, and then it would kill a program that nobody traces any more. */
bool target_has_trap(const struct target *t)
{
	struct __ptrace_peeksiginfo_args args = { .nr = 1 };
	siginfo_t info;

	while (ptrace(PTRACE_PEEKSIGINFO, t->followed, &args, &info) == 1) {
		args.off++;
		if (info.si_signo == SIGTRAP && info.si_code > 0 && info.si_code != SI_KERNEL)
			return true;
	}
	return false;
}

/* If we die the kernel lets go of the thread as it is: after a step the processor would
 * trap once more, and nobody would take that signal. The flag can only be taken away by
 * resuming; so it is resumed, with an order to stop before its next instruction. */
void target_rest(struct target *t)
{
	struct target_thread *thread = threads_find(t, t->followed);
	int status;

	if (t->is_ours || t->is_gone || t->early || !thread || !thread->is_stopped || thread->is_ending ||
	    thread->is_in_group_stop)
		return;
	breaks_arm(t, false);
	if (!t->is_stepping || t->signal || ptrace(PTRACE_INTERRUPT, t->followed, 0, 0) != 0 ||
	    ptrace(PTRACE_CONT, t->followed, 0, 0) != 0)
		return;
	t->is_stepping = false;
	while (waitpid(t->followed, &status, __WALL) < 0)
		if (errno != EINTR)
			return;
	if (WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) == SIGTRAP)
		return;
	thread->is_stopped = false;
	t->early = status;
}

/* --- letting go ---------------------------------------------------------------------- */

/* Stop @thread if it runs. Returns the signal it was about to get, 0: none, -1: it is gone. */
static int stop_for_detach(struct target *t, struct target_thread *thread)
{
	int status;
	pid_t tid = thread->tid;

	if (thread->is_stopped)
		return tid == t->followed ? t->signal : 0;
	if (tid == t->followed && t->early)
		return WIFSTOPPED(t->early) ? (t->early >> 16 ? 0 : WSTOPSIG(t->early)) : -1;
	ptrace(PTRACE_INTERRUPT, tid, 0, 0);
	while (waitpid(tid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -1;
	if (!WIFSTOPPED(status))
		return -1;
	if (status >> 16 != 0 || (tid == t->followed && WSTOPSIG(status) == SIGTRAP))
		return 0;
	return WSTOPSIG(status);
}

/* The followed one is stopped. */
static void take_own_trap(struct target *t)
{
	int status;

	while (target_has_trap(t) && ptrace(PTRACE_CONT, t->followed, 0, 0) == 0)
		while (waitpid(t->followed, &status, __WALL) < 0 && errno == EINTR)
			;
}

void threads_detach_all(struct target *t)
{
	for (size_t i = 0; i < t->n_threads; i++) {
		struct target_thread *thread = &t->threads[i];
		int signal_number = stop_for_detach(t, thread);
		if (signal_number < 0)
			continue;
		if (thread->tid == t->followed) {
			breaks_clear(t);
			take_own_trap(t);
		}
		threads_unpin(t, thread);
		ptrace(PTRACE_DETACH, thread->tid, 0, signal_number);
	}
}
