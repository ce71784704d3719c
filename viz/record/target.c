/* SPDX-License-Identifier: MIT */
/*
 * How a target begins and ends.
 *
 * A step takes four times as long if tracer and tracee are on different processors: each
 * waits for the other, and idle processors wake slowly. So both are pinned to one, the
 * followed thread only; what it had before is given back.
 */
#include "target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "target_threads.h"

__attribute__((format(printf, 2, 3))) static int fail(char **why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vasprintf(why, format, args) < 0)
		*why = NULL;
	va_end(args);
	return -1;
}

/* --- one processor ------------------------------------------------------------------- */

static void pin_us(struct target *t)
{
	CPU_ZERO(&t->pin);
	int cpu = sched_getcpu();
	if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(t->our_affinity), &t->our_affinity) != 0)
		return;
	CPU_SET(cpu, &t->pin);
	t->are_we_pinned = sched_setaffinity(0, sizeof(t->pin), &t->pin) == 0;
}

static void unpin_us(struct target *t)
{
	if (t->are_we_pinned)
		sched_setaffinity(0, sizeof(t->our_affinity), &t->our_affinity);
	t->are_we_pinned = false;
}

/* --- starting ------------------------------------------------------------------------ */

/* In the child: become the program. Tells why it could not by @error_fd. */
__attribute__((noreturn)) static void become(char *const *argv, bool has_no_input, int terminal, int go_fd, int error_fd)
{
	char c;
	sigset_t none;

	if (read(go_fd, &c, 1) != 1) /* until we are traced */
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	personality(ADDR_NO_RANDOMIZE);
	if (has_no_input) {
		setpgid(0, 0); /* nobody types to it: no Ctrl-C and no Ctrl-Z either */
		int null = open("/dev/null", O_RDONLY);
		if (null >= 0)
			dup2(null, 0);
	}
	dup2(terminal, 1);
	dup2(terminal, 2);
	setenv("LD_BIND_NOW", "1", 1); /* else a first call is thousands of instructions of the linker */
	execvp(argv[0], argv);
	int error = errno;
	if (write(error_fd, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

/* A terminal that passes bytes as they are. */
static int open_terminal(int *master, int *slave)
{
	struct termios raw;
	struct winsize size = { .ws_row = 24, .ws_col = 80 };

	memset(&raw, 0, sizeof(raw));
	raw.c_cflag = CS8 | CREAD | CLOCAL;
	raw.c_cc[VMIN] = 1;
	if (openpty(master, slave, NULL, &raw, &size) != 0)
		return -1;
	fcntl(*master, F_SETFL, O_NONBLOCK);
	fcntl(*master, F_SETFD, FD_CLOEXEC);
	fcntl(*slave, F_SETFD, FD_CLOEXEC);
	return 0;
}

static int explain_exec(const char *program, int error, char **why)
{
	struct stat st;

	if (error == ENOENT && strchr(program, '/') && stat(program, &st) == 0)
		return fail(why, "%s: its interpreter (first line, or dynamic linker) is missing", program);
	if (error == ENOENT)
		return fail(why, "%s: no such program%s", program,
			    strchr(program, '/') ? "" : " in PATH (for one in this directory, write ./ before it)");
	if (error == EACCES && stat(program, &st) == 0 && S_ISDIR(st.st_mode))
		return fail(why, "%s: is a directory", program);
	if (error == EACCES)
		return fail(why, "%s: not executable (chmod +x makes it so)", program);
	if (error == ENOEXEC)
		return fail(why, "%s: not a program for this processor", program);
	return fail(why, "%s: cannot be started: %s", program, strerror(error));
}

static int explain_ptrace(pid_t pid, int error, char **why)
{
	if (error == ESRCH)
		return fail(why, "there is no process %d", (int)pid);
	if (error == EPERM)
		return fail(why, "process %d may not be traced: it is another user's, a debugger has it already, or "
			    "/proc/sys/kernel/yama/ptrace_scope is not 0 (as root: echo 0 > that file)", (int)pid);
	return fail(why, "process %d cannot be traced: %s", (int)pid, strerror(error));
}

/* Wait for the stop after exec. */
static int wait_for_exec(struct target *t, const char *program, int error_fd, char **why)
{
	int error, status;

	for (;;) {
		if (waitpid(t->pid, &status, __WALL) < 0) {
			if (errno == EINTR)
				continue;
			return fail(why, "%s: lost: %s", program, strerror(errno));
		}
		if (WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_EXEC)
			return 0;
		if (!WIFSTOPPED(status)) {
			t->is_gone = true;
			if (read(error_fd, &error, sizeof(error)) == sizeof(error))
				return explain_exec(program, error, why);
			return fail(why, "%s: ended before it began", program);
		}
		if (status >> 16 == PTRACE_EVENT_EXIT || status >> 16 == PTRACE_EVENT_STOP)
			ptrace(PTRACE_CONT, t->pid, 0, 0);
		else
			ptrace(PTRACE_CONT, t->pid, 0, WSTOPSIG(status));
	}
}

int target_spawn(struct target *t, char *const *argv, bool has_no_input, char **why)
{
	int slave, go[2], errors[2];

	t->output = -1;
	if (open_terminal(&t->output, &slave) != 0)
		return fail(why, "no terminal for the program's output: %s", strerror(errno));
	if (pipe2(go, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0)
		return fail(why, "no pipe: %s", strerror(errno));
	threads_begin(t);
	t->is_ours = true;
	t->pid = t->followed = fork();
	if (t->pid == 0)
		become(argv, has_no_input, slave, go[0], errors[1]);
	close(slave);
	close(go[0]);
	close(errors[1]);
	int result = 0;
	if (t->pid < 0) {
		t->is_gone = true;
		result = fail(why, "no process for the program: %s", strerror(errno));
	} else if (ptrace(PTRACE_SEIZE, t->pid, 0, THREADS_OPTIONS | PTRACE_O_EXITKILL) != 0) {
		result = errno == EPERM ? fail(why, "ptrace is forbidden here (in a container: --cap-add=SYS_PTRACE, or "
					       "--security-opt seccomp=unconfined)") : explain_ptrace(t->pid, errno, why);
		kill(t->pid, SIGKILL);
		waitpid(t->pid, NULL, 0);
		t->is_gone = true;
	}
	if (result == 0) {
		pin_us(t);
		struct target_thread *main = threads_add(t, t->pid);
		if (main)
			threads_pin(t, main);
		if (write(go[1], "", 1) != 1 || !main)
			result = fail(why, "%s: cannot be started", argv[0]);
		else
			result = wait_for_exec(t, argv[0], errors[0], why);
		if (main)
			main->is_stopped = true;
	}
	close(go[1]);
	close(errors[0]);
	if (result != 0)
		target_end(t);
	return result;
}

/* --- attaching ----------------------------------------------------------------------- */

/* Seize those threads that we do not have yet. Returns how many, or -1. */
static int seize_threads(struct target *t)
{
	char path[64];
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)t->pid);
	DIR *dir = opendir(path);
	if (!dir) {
		errno = ESRCH;
		return -1;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		pid_t tid = atoi(e->d_name);
		if (tid <= 0 || threads_find(t, tid))
			continue;
		if (ptrace(PTRACE_SEIZE, tid, 0, THREADS_OPTIONS) == 0 && threads_add(t, tid))
			found++;
		else if (tid == t->pid) {
			int error = errno;
			closedir(dir);
			errno = error;
			return -1;
		}
	}
	closedir(dir);
	return found;
}

int target_attach(struct target *t, pid_t pid, int thread, char **why)
{
	int found;

	t->output = -1;
	t->pid = pid;
	threads_begin(t);
	while ((found = seize_threads(t)) > 0)
		;
	if (found < 0) {
		int error = errno;
		t->is_gone = true;
		target_end(t);
		return explain_ptrace(pid, error, why);
	}
	pin_us(t);
	if (!target_follow(t, thread)) {
		size_t n = t->n_threads;
		target_end(t);
		return fail(why, "process %d has no thread %d: it has %zu, and the first is 0", (int)pid, thread, n);
	}
	guard_begin(t);
	target_hold(t);
	struct stop stop;
	do
		stop = target_wait(t, false);
	while (stop.kind == STOP_NOTHING || stop.kind == STOP_THREAD || stop.kind == STOP_FORK);
	if (stop.kind == STOP_GONE || stop.kind == STOP_EXIT) {
		target_end(t);
		return fail(why, "process %d is ending", (int)pid);
	}
	return 0;
}

bool target_follow(struct target *t, int number)
{
	for (size_t i = 0; i < t->n_threads; i++)
		if (t->threads[i].number == number) {
			t->followed = t->threads[i].tid;
			threads_pin(t, &t->threads[i]);
			return true;
		}
	return false;
}

/* --- the end ------------------------------------------------------------------------- */

void target_end(struct target *t)
{
	int status;

	if (t->pid > 0 && !t->is_gone && t->is_ours) {
		kill(t->pid, SIGKILL);
		for (size_t i = 0; i < t->n_threads; i++) /* one that is ending is not woken by it */
			ptrace(PTRACE_CONT, t->threads[i].tid, 0, 0);
		for (pid_t tid; (tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
			if (tid > 0 && !WIFSTOPPED(status) && tid == t->pid)
				break;
			if (tid > 0 && WIFSTOPPED(status))
				ptrace(PTRACE_CONT, tid, 0, 0);
		}
		t->is_gone = true;
	}
	if (t->pid > 0 && !t->is_gone)
		threads_detach_all(t);
	guard_end(t);
	threads_end(t);
	unpin_us(t);
	if (t->output >= 0) {
		target_take_output(t);
		if (t->output >= 0)
			close(t->output);
		t->output = -1;
	}
	t->is_gone = true;
}
