/* SPDX-License-Identifier: MIT */
/*
 * Resuming and waiting.
 *
 * Every thread is seized, for the kernel tells of new ones only by those that make them.
 * But one is followed; the others are resumed at once whatever they stop for.
 *
 * Waiting: a program that fills the terminal it writes to waits for us to read, so we must
 * not sleep in waitpid while it can. SIGCHLD stays blocked but in ppoll, which waits for
 * both. For single instructions that would be slow: those that cannot block are waited
 * for by waitpid alone.
 */
#include "target_threads.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	WAIT_MS = 250, /* then target_wait says STOP_NOTHING, for its caller to look around */
	CODE_PERF = 6,  /* si_code of a SIGTRAP: TRAP_PERF, which the headers here do not know */
};

static volatile sig_atomic_t has_child_news;
static struct sigaction old_action;
static sigset_t old_mask;

static void on_child(int signal_number)
{
	(void)signal_number;
	has_child_news = 1;
}

void threads_begin(struct target *t)
{
	struct sigaction action = { .sa_handler = on_child };
	sigset_t child;

	(void)t;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &old_mask);
	sigaction(SIGCHLD, &action, &old_action);
}

void threads_end(struct target *t)
{
	sigaction(SIGCHLD, &old_action, NULL);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	free(t->threads);
	t->threads = NULL;
	t->n_threads = t->room = 0;
}

/* --- the list ------------------------------------------------------------------------ */

struct target_thread *threads_find(struct target *t, pid_t tid)
{
	for (size_t i = 0; i < t->n_threads; i++)
		if (t->threads[i].tid == tid)
			return &t->threads[i];
	return NULL;
}

struct target_thread *threads_add(struct target *t, pid_t tid)
{
	if (t->n_threads == t->room) {
		size_t room = t->room ? 2 * t->room : 8;
		struct target_thread *grown = realloc(t->threads, room * sizeof(*grown));
		if (!grown)
			return NULL;
		t->threads = grown;
		t->room = room;
	}
	struct target_thread *thread = &t->threads[t->n_threads++];
	*thread = (struct target_thread){ .tid = tid, .number = t->n_made++ };
	return thread;
}

static void forget(struct target *t, pid_t tid)
{
	struct target_thread *thread = threads_find(t, tid);

	if (thread)
		*thread = t->threads[--t->n_threads];
}

/* --- processors ---------------------------------------------------------------------- */

void threads_pin(struct target *t, struct target_thread *thread)
{
	if (!t->are_we_pinned || thread->is_pinned)
		return;
	if (sched_getaffinity(thread->tid, sizeof(thread->affinity), &thread->affinity) != 0)
		return;
	thread->is_pinned = sched_setaffinity(thread->tid, sizeof(t->pin), &t->pin) == 0;
}

/* Unless it has chosen another itself. */
void threads_unpin(struct target *t, struct target_thread *thread)
{
	cpu_set_t now;

	if (thread->is_pinned && sched_getaffinity(thread->tid, sizeof(now), &now) == 0 && CPU_EQUAL(&now, &t->pin))
		sched_setaffinity(thread->tid, sizeof(thread->affinity), &thread->affinity);
	thread->is_pinned = false;
}

/* A new thread or child has its maker's: what the followed one had before. */
static void unpin_new(struct target *t, pid_t tid)
{
	const struct target_thread *maker = threads_find(t, t->followed);
	cpu_set_t now;

	if (maker && maker->is_pinned && sched_getaffinity(tid, sizeof(now), &now) == 0 && CPU_EQUAL(&now, &t->pin))
		sched_setaffinity(tid, sizeof(maker->affinity), &maker->affinity);
}

/* --- resuming ------------------------------------------------------------------------ */

static int resume_followed(struct target *t)
{
	struct target_thread *thread = threads_find(t, t->followed);
	int signal_number = t->signal;

	if (thread)
		thread->is_stopped = false;
	if (thread && thread->is_in_group_stop) /* until SIGCONT */
		return (int)ptrace(PTRACE_LISTEN, t->followed, 0, 0);
	t->signal = 0;
	return (int)ptrace(t->is_stepping ? PTRACE_SINGLESTEP : PTRACE_CONT, t->followed, 0, signal_number);
}

int target_resume(struct target *t, bool is_step)
{
	if (t->early) /* it has stopped again already */
		return 0;
	breaks_arm(t, !is_step);
	t->is_stepping = is_step;
	return resume_followed(t);
}

void target_hold(struct target *t)
{
	t->is_held = ptrace(PTRACE_INTERRUPT, t->followed, 0, 0) == 0;
}

bool target_is_suspended(const struct target *t)
{
	for (size_t i = 0; i < t->n_threads; i++)
		if (t->threads[i].tid == t->followed)
			return t->threads[i].is_in_group_stop && !t->threads[i].is_stopped;
	return false;
}

/* --- waiting ------------------------------------------------------------------------- */

/* Is @tid one of the program's threads, not a child of its own? */
static bool is_thread_of(const struct target *t, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)t->pid, (int)tid);
	return access(path, F_OK) == 0;
}

static struct stop newcomer(struct target *t, pid_t tid)
{
	unpin_new(t, tid);
	if (!is_thread_of(t, tid)) {
		ptrace(PTRACE_DETACH, tid, 0, 0); /* before its parent could tell of it */
		return (struct stop){ STOP_NOTHING, 0 };
	}
	struct target_thread *thread = threads_add(t, tid);
	if (thread && t->wanted > 0 && thread->number == t->wanted) {
		thread->is_stopped = true;
		t->followed = tid;
		t->wanted = 0;
		threads_pin(t, thread);
		return (struct stop){ STOP_HELD, 0 };
	}
	ptrace(PTRACE_CONT, tid, 0, 0);
	return (struct stop){ STOP_THREAD, tid };
}

/* @tid stands at its fork. Let go of its child now, for we may end before that tells of
 * itself, and it would end with us (EXITKILL). Returns the child's id. */
static int64_t free_child(struct target *t, pid_t tid)
{
	unsigned long child = 0;
	int status;

	ptrace(PTRACE_GETEVENTMSG, tid, 0, &child);
	if (child > 0 && waitpid((pid_t)child, &status, __WALL) == (pid_t)child && WIFSTOPPED(status)) {
		unpin_new(t, (pid_t)child);
		ptrace(PTRACE_DETACH, (pid_t)child, 0, 0);
	}
	return (int64_t)child;
}

static struct stop followed_event(struct target *t, int event, int signal_number)
{
	struct target_thread *thread = threads_find(t, t->followed);
	unsigned long message = 0;

	ptrace(PTRACE_GETEVENTMSG, t->followed, 0, &message);
	switch (event) {
	case PTRACE_EVENT_CLONE: /* the newcomer tells of itself */
		resume_followed(t);
		return (struct stop){ STOP_NOTHING, 0 };
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		message = (unsigned long)free_child(t, t->followed);
		resume_followed(t);
		return (struct stop){ STOP_FORK, (int64_t)message };
	case PTRACE_EVENT_EXEC:
		breaks_lost(t); /* the kernel clears them */
		return (struct stop){ STOP_EXEC, t->pid };
	case PTRACE_EVENT_EXIT:
		if (thread)
			thread->is_ending = true;
		return (struct stop){ STOP_EXIT, (int64_t)message };
	}
	/* PTRACE_EVENT_STOP: by target_hold, or stopped with the whole program, as by Ctrl-Z, or
	 * SIGCONT. The signal says whether the program is stopped, not what came last. */
	bool was_in_group_stop = thread && thread->is_in_group_stop, is_held = t->is_held;
	if (thread)
		thread->is_in_group_stop = signal_number != SIGTRAP;
	t->is_held = false;
	if (is_held || (signal_number == SIGTRAP && !was_in_group_stop))
		return (struct stop){ STOP_HELD, 0 };
	resume_followed(t);
	return (struct stop){ STOP_NOTHING, 0 };
}

static struct stop followed_signal(struct target *t, int signal_number)
{
	siginfo_t info;

	/* An int3 of its own has SI_KERNEL. */
	if (signal_number == SIGTRAP && ptrace(PTRACE_GETSIGINFO, t->followed, 0, &info) == 0) {
		int code = info.si_code;
		/* After an instruction, after a system call, at the beginning of a signal's handler. */
		if (t->is_stepping && (code == TRAP_TRACE || code == TRAP_BRKPT || code == SIGTRAP))
			return (struct stop){ STOP_STEP, 0 };
		if (!t->is_stepping && (code == TRAP_HWBKPT || code == CODE_PERF) && breaks_are_at(t))
			return (struct stop){ STOP_BREAK, 0 };
		/* A breakpoint that was met when it was told to stop: it has stopped there already. */
		if (t->is_stepping && (code == TRAP_HWBKPT || code == CODE_PERF) && breaks_are_at(t)) {
			resume_followed(t);
			return (struct stop){ STOP_NOTHING, 0 };
		}
	}
	t->signal = signal_number;
	return (struct stop){ STOP_SIGNAL, signal_number };
}

static void other_stopped(struct target *t, pid_t tid, int event, int signal_number)
{
	if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK)
		free_child(t, tid);
	if (event == PTRACE_EVENT_STOP && signal_number != SIGTRAP)
		ptrace(PTRACE_LISTEN, tid, 0, 0);
	else
		ptrace(PTRACE_CONT, tid, 0, event ? 0 : signal_number);
}

static struct stop take_status(struct target *t, pid_t tid, int status)
{
	struct target_thread *thread = threads_find(t, tid);

	if (!WIFSTOPPED(status)) {
		forget(t, tid);
		if (tid == t->pid) {
			t->is_gone = true;
			return (struct stop){ STOP_GONE, status };
		}
		if (tid == t->followed)
			return (struct stop){ STOP_EXIT, status };
		return (struct stop){ STOP_NOTHING, 0 };
	}
	int event = status >> 16, signal_number = WSTOPSIG(status);
	if (event == PTRACE_EVENT_EXEC && tid == t->pid && tid != t->followed) {
		/* Another thread has called exec, or the followed one and is the first now. */
		forget(t, t->followed);
		t->followed = tid;
		return followed_event(t, event, signal_number);
	}
	if (!thread)
		return newcomer(t, tid);
	if (tid != t->followed) {
		other_stopped(t, tid, event, signal_number);
		return (struct stop){ STOP_NOTHING, 0 };
	}
	thread->is_stopped = true;
	return event ? followed_event(t, event, signal_number) : followed_signal(t, signal_number);
}

/* Wait for news of a thread or for output. 1: *@tid has *@status. 0: EINTR by another
 * signal, or time. -1: nobody is left. */
static int wait_for_any(struct target *t, pid_t *tid, int *status)
{
	struct timespec limit = { .tv_nsec = WAIT_MS * 1000000l };
	sigset_t mask;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	sigdelset(&mask, SIGCHLD);
	for (;;) {
		*tid = waitpid(-1, status, __WALL | WNOHANG);
		target_take_output(t);
		if (*tid != 0)
			return *tid > 0 ? 1 : -1;
		struct pollfd output = { t->output, POLLIN, 0 };
		int n = ppoll(&output, 1, &limit, &mask);
		if (n == 0)
			return 0;
		if (n < 0 && !has_child_news)
			return 0;
		has_child_news = 0;
	}
}

struct stop target_wait(struct target *t, bool is_quick)
{
	struct stop stop = { STOP_NOTHING, 0 };
	int status;
	pid_t tid;

	if (t->is_gone)
		return (struct stop){ STOP_GONE, 0 };
	if (t->early) {
		status = t->early;
		t->early = 0;
		stop = take_status(t, t->followed, status);
	}
	while (stop.kind == STOP_NOTHING) {
		int found = 1;
		if (is_quick) {
			tid = waitpid(-1, &status, __WALL);
			found = tid > 0 ? 1 : errno == EINTR ? 0 : -1;
		} else {
			found = wait_for_any(t, &tid, &status);
		}
		if (found == 0)
			break;
		if (found < 0) {
			t->is_gone = true;
			return (struct stop){ STOP_GONE, 0 };
		}
		stop = take_status(t, tid, status);
	}
	return stop;
}
