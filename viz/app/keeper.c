/* SPDX-License-Identifier: MIT */
/*
 * The process that stays outside.
 *
 * Whether the terminal must be put right is one word that both processes share: the child
 * sets it before it touches the terminal and clears it after. So a child that leaves in
 * order is not disturbed, and any other end is noticed, exit(1) of a sanitizer included.
 */
#include "keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* Mouse off, keys as usual, own screen left, colours off, cursor shown, wrapping on. Said
 * twice or to a terminal that does not know them, they do no harm. */
static const char put_right[] =
	"\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?1l\033>\033[?1049l\033[0m\033[?25h\033[?7h\r";

static volatile int *is_screen_on;
static pid_t child_pid;

void keeper_note_screen(int is_on)
{
	if (is_screen_on)
		*is_screen_on = is_on;
}

static void pass_on(int signal_number)
{
	int saved = errno;

	kill(child_pid, signal_number);
	errno = saved;
}

static void set_signals(void)
{
	static const int passed[] = { SIGTERM, SIGHUP }, ignored[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTOU, SIGTTIN };
	struct sigaction act = { .sa_handler = pass_on };

	sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		sigaction(passed[i], &act, NULL);
	act.sa_handler = SIG_IGN;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &act, NULL);
}

/* Until it is gone. When it stops (Ctrl-Z), so do we: a shell looks at us. */
static int wait_for_child(void)
{
	int status;

	for (;;) {
		pid_t pid = waitpid(child_pid, &status, WUNTRACED);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0 || !WIFSTOPPED(status))
			return pid < 0 ? 0 : status;
		raise(SIGSTOP);
		kill(child_pid, SIGCONT);
	}
}

static void restore(const struct termios *before, bool has_termios)
{
	ssize_t n = write(STDOUT_FILENO, put_right, sizeof(put_right) - 1);

	if (n >= 0 && has_termios)
		tcsetattr(STDIN_FILENO, TCSADRAIN, before);
}

int keeper_run(int (*child)(void *arg), void *arg)
{
	struct termios before;
	bool has_termios = tcgetattr(STDIN_FILENO, &before) == 0;
	pid_t self = getpid();
	int status;

	is_screen_on = mmap(NULL, sizeof(*is_screen_on), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (is_screen_on == MAP_FAILED)
		is_screen_on = NULL;
	fflush(NULL);
	child_pid = is_screen_on ? fork() : -1;
	if (child_pid < 0) {
		fprintf(stderr, "coviz: no process for the viewer: %s\n", strerror(errno));
		return 2;
	}
	if (child_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGHUP);
		if (getppid() != self)
			_exit(1); /* it died in between */
		int result = child(arg);
		fflush(NULL);
		_exit(result);
	}
	set_signals();
	status = wait_for_child();
	if (*is_screen_on)
		restore(&before, has_termios);
	munmap((void *)is_screen_on, sizeof(*is_screen_on));
	is_screen_on = NULL;
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "coviz: the viewer was ended by SIG%s; the terminal is as before\n", sigabbrev_np(WTERMSIG(status)));
	return 128 + WTERMSIG(status);
}
