/* SPDX-License-Identifier: MIT */
/*
 * How many system calls does a function make? A child is traced while it calls it.
 * Two calls of a number that does not exist mark the beginning and the end.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <stdio.h>
#include <unistd.h>

#include "question.h"

enum { MARK = 100000 };

static void be_traced(void (*fn)(void))
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
		_exit(1);
	raise(SIGSTOP);
	syscall(MARK);
	fn();
	syscall(MARK);
	_exit(0);
}

struct calls count_calls(void (*fn)(void))
{
	struct calls calls = { .all = -1 };
	int status, n_marks = 0;
	bool is_entry = false;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		be_traced(fn);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return calls;
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	calls.all = 0;
	for (int signal = 0;; signal = 0) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, signal) != 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			signal = WSTOPSIG(status);
			continue;
		}
		/* The kernel stops it twice for each call: before and after. */
		is_entry = !is_entry;
		if (!is_entry)
			continue;
		long nr = ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, orig_rax), 0);
		if (nr == MARK) {
			n_marks++;
		} else if (n_marks == 1) {
			calls.all++;
			if (nr >= 0 && nr < 512)
				calls.of[nr]++;
		}
	}
	must(n_marks == 2, "the end of what is counted", "%d of 2 marks", n_marks);
	return calls;
}
