/* SPDX-License-Identifier: MIT */
/*
 * If we are killed (SIGKILL), the kernel lets go of a program that we have attached to; but
 * it would stay on the one processor that we have put it on. So a process waits for our
 * end at a pipe, and puts it back.
 */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "target_threads.h"

__attribute__((noreturn)) static void guard(int fd, pid_t tid, const cpu_set_t *before, const cpu_set_t *pin)
{
	cpu_set_t now;
	char c;

	setsid(); /* out of the reach of Ctrl-C */
	if (read(fd, &c, 1) == 0 && sched_getaffinity(tid, sizeof(now), &now) == 0 && CPU_EQUAL(&now, pin))
		sched_setaffinity(tid, sizeof(*before), before);
	_exit(0);
}

void guard_begin(struct target *t)
{
	const struct target_thread *thread = threads_find(t, t->followed);
	int ends[2];

	if (!thread || !thread->is_pinned || pipe2(ends, O_CLOEXEC) != 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[1]);
		sched_setaffinity(0, sizeof(t->our_affinity), &t->our_affinity);
		guard(ends[0], thread->tid, &thread->affinity, &t->pin);
	}
	close(ends[0]);
	if (pid < 0)
		close(ends[1]);
	else
		t->guard = ends[1] + 1;
}

void guard_end(struct target *t)
{
	if (t->guard == 0)
		return;
	ssize_t n = write(t->guard - 1, "", 1);
	(void)n; /* it may be gone already */
	close(t->guard - 1);
	t->guard = 0;
}
