/* SPDX-License-Identifier: MIT */
/*
 * What crashes or hangs: on purpose in a child, or by mistake.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "question.h"

#define HANG_NS  INT64_C(250000000)
#define LIMIT_NS INT64_C(40000000000)

void *shared_with_child(size_t bytes)
{
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return page;
}

static bool is_child;

/* It may crash on purpose: no core file. And it ends with us. */
static void be_child(int output)
{
	struct rlimit none = { 0, 0 };

	is_child = true;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &none);
	dup2(output, 1);
	dup2(output, 2);
}

/* How often has @pid given the processor up, or lost it? -1: it does not sleep now. */
static long switches_of_sleeper(pid_t pid)
{
	char name[64], line[256], state = 0;
	long n, sum = 0;

	snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
	FILE *f = fopen(name, "r");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "State: %c", &state);
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %ld", &n) == 1)
			sum += n;
	}
	if (f)
		fclose(f);
	return state == 'S' ? sum : -1;
}

struct ended in_child(void (*fn)(void))
{
	struct ended end = { 0 };
	int64_t begin = now_ns(), seen_at = begin;
	long seen = -1;
	int output = memfd_create("output", MFD_CLOEXEC), status;

	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0 || output < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0) {
		be_child(output);
		fn();
		fflush(stdout);
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		int64_t now = now_ns();
		long n = now - begin < 20000000 ? -1 : switches_of_sleeper(pid);
		if (n < 0 || n != seen) {
			seen = n;
			seen_at = now;
		}
		if (now - seen_at > HANG_NS || now - begin > LIMIT_NS) {
			end.is_hung = true;
			kill(pid, SIGKILL);
		}
		nanosleep(&(struct timespec){ .tv_nsec = now - begin < 20000000 ? 500000 : 5000000 }, NULL);
	}
	if (WIFSIGNALED(status) && !end.is_hung)
		end.signal = WTERMSIG(status);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		must(false, "a child that ends with status 0", "%d", WEXITSTATUS(status));
	ssize_t len = pread(output, end.said, sizeof(end.said) - 1, 0);
	end.said[len > 0 ? len : 0] = '\0';
	close(output);
	return end;
}

const char *how(struct ended end)
{
	static char text[128];
	const char *why = end.signal == SIGSEGV ? "memory it may not touch" :
			  end.signal == SIGILL	? "no such instruction" :
			  end.signal == SIGBUS	? "an address that leads nowhere" :
						  "";

	if (end.is_hung)
		return "hangs, until we end it";
	if (!end.signal)
		return "ends normally";
	snprintf(text, sizeof(text), "dies of signal %d%s%s", end.signal, *why ? ": " : "", why);
	return text;
}

/* Of what is to crash, a child does. If we do, the machine does something else than we claim. */
static void on_crash(int sig)
{
	static char text[] = "FAILED: expected: an end of the experiment; seen: signal 00 instead\n";
	char *digits = strstr(text, "00");

	signal(sig, SIG_DFL);
	if (is_child)
		return; /* it happens once more, and ends the child */
	digits[0] = (char)('0' + sig / 10);
	digits[1] = (char)('0' + sig % 10);
	if (write(1, text, sizeof(text) - 1) > 0)
		_exit(1);
}

void watch_for_crashes(void)
{
	static char stack[64 * 1024];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction act = { .sa_handler = on_crash, .sa_flags = SA_ONSTACK };
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM };

	sigaltstack(&alternate, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &act, NULL);
	alarm(50); /* an experiment without end is none */
}
