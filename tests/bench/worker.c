/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void give_up(const char *why)
{
	printf("! %s\n", why);
	fflush(stdout);
	_exit(1);
}

void *lean_stack(void)
{
	void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		give_up("mmap has no more stacks");
	return stack;
}

void answer(const double *value, int n)
{
	for (int i = 0; i < n; i++)
		printf("%.6g%c", value[i], i + 1 < n ? ' ' : '\n');
	fflush(stdout);
	_exit(0); /* a million coroutines are not taken down one by one */
}

static void about(void)
{
	printf("%s\t%s\t%s\n", peer.name, peer.what, peer.missing ? peer.missing : "");
	for (int i = 0; i < n_jobs && !peer.missing; i++)
		if (can(&peer, &jobs[i]))
			printf("%s\n", jobs[i].figures[0].name);
}

/* Those that leave their process in disorder get one of their own. */
static void sample_in_child(const struct job *job, bool is_quick)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		give_up(strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (peer.init)
			peer.init();
		if (job->kind == TIMERS)
			sample_timers(job);
		else if (job->kind == LATENESS)
			sample_lateness(job);
		else if (job->kind == IDLE)
			sample_idle(job, is_quick);
		else
			sample_memory(job);
		give_up("it came back without an answer");
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status)) {
		printf("! signal %d, %s\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
		fflush(stdout);
	}
}

static void sample(const struct job *job, int ms, bool is_quick)
{
	switch (job->kind) {
	case LOOP:
		printf("%.6g\n", sample_loop(job, ms));
		break;
	case CALLS:
		printf("%.6g\n", sample_calls(job));
		break;
	case ECHO:
	case ECHO_CALLS:
		sample_echo(job->kind == ECHO_CALLS);
		break;
	default:
		sample_in_child(job, is_quick);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const struct job *job = argc > 2 ? job_by_name(argv[2]) : NULL;

	if (argc == 2 && strcmp(argv[1], "about") == 0) {
		about();
		return 0;
	}
	if (!job || peer.missing || !can(&peer, job)) {
		fprintf(stderr, "usage: %s about | sample JOB MS IS_QUICK | count JOB\n", argv[0]);
		return 2;
	}
	if (job->kind == LOOP || job->kind == INSTRUCTIONS)
		if (peer.init)
			peer.init();
	if (strcmp(argv[1], "count") == 0) {
		count_loop(job);
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing is left behind when the runner is gone */
	for (char line[16]; fgets(line, sizeof(line), stdin);)
		sample(job, argc > 3 ? atoi(argv[3]) : 80, argc > 4 && atoi(argv[4]));
	_exit(0); /* at exit Boost.Fiber waits for fibers that never end */
}
