/* SPDX-License-Identifier: MIT */
/*
 * What lessons/doctor asks the kernel. One question for each name; the answer is the
 * exit status, and the reason, if it is no, on stdout.
 *
 * Includes nothing of ours: it must compile where the library does not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int answer(int is_yes)
{
	if (!is_yes)
		printf("%s\n", strerror(errno));
	return !is_yes;
}

/* The loop cannot do without these. */
static int ask_epoll(void)
{
	return answer(epoll_create1(EPOLL_CLOEXEC) >= 0 && eventfd(0, EFD_CLOEXEC) >= 0 &&
		      timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC) >= 0);
}

/* Linux 5.11. By its number: older libcs have no function for it. */
static int ask_pwait2(void)
{
	struct timespec none = { 0, 0 };
	struct epoll_event event;
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return answer(syscall(441, fd, &event, 1, &none, NULL, (size_t)8) == 0);
}

/* Linux 6.13: MADV_GUARD_INSTALL, which libc's headers may not have yet. */
static int ask_guard(void)
{
	size_t len = 64 * 1024;
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return answer(at != MAP_FAILED && madvise(at, len, 102) == 0);
}

/* Does an empty pipe say EAGAIN, as it should, or EOPNOTSUPP, as before Linux 6.4? */
static int ask_nowait(void)
{
	int p[2];
	char c;
	struct iovec iov = { &c, 1 };

	if (pipe(p) != 0 || preadv2(p[0], &iov, 1, -1, RWF_NOWAIT) >= 0)
		return answer(0);
	return answer(errno == EAGAIN);
}

static int ask_no_aslr(void)
{
	return answer(personality(ADDR_NO_RANDOMIZE) != -1);
}

/* A child that waits to be traced; -1 if it may not. */
static pid_t traced_child(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
			_exit(errno);
		raise(SIGSTOP);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (WIFSTOPPED(status))
		return pid;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
	return -1;
}

static int end_of(pid_t pid, int is_yes)
{
	int error = errno;

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	errno = error;
	return answer(is_yes);
}

/* As a debugger does it: read the registers of a child. */
static int ask_ptrace(void)
{
	struct user_regs_struct regs;
	struct iovec iov = { &regs, sizeof(regs) };
	pid_t pid = traced_child();

	if (pid < 0)
		return answer(0);
	return end_of(pid, ptrace(PTRACE_GETREGSET, pid, (void *)1, &iov) == 0);
}

/* coviz stops programs by these: a breakpoint in a register, not in code. */
static int ask_debug_registers(void)
{
#ifdef __x86_64__
	const size_t at = offsetof(struct user, u_debugreg);
	const size_t word = sizeof(((struct user *)0)->u_debugreg[0]);
	pid_t pid = traced_child();

	if (pid < 0)
		return answer(0);
	return end_of(pid, ptrace(PTRACE_POKEUSER, pid, at, (void *)ask_debug_registers) == 0 &&
			   ptrace(PTRACE_POKEUSER, pid, at + 7 * word, (void *)1L) == 0);
#else
	errno = ENOSYS;
	return answer(0);
#endif
}

static const struct {
	const char *name;
	int (*ask)(void);
} questions[] = {
	{ "epoll", ask_epoll },     { "pwait2", ask_pwait2 }, { "guard", ask_guard },
	{ "nowait", ask_nowait },   { "no-aslr", ask_no_aslr }, { "ptrace", ask_ptrace },
	{ "debug-registers", ask_debug_registers },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(questions) / sizeof(questions[0]); i++)
		if (strcmp(argv[1], questions[i].name) == 0)
			return questions[i].ask();
	fprintf(stderr, "doctor: no such question\n");
	return 2;
}
