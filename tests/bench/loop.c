/* SPDX-License-Identifier: MIT */
/* Samples of what takes nanoseconds: an op, done so often that it takes MS milliseconds. */
#include <fenv.h>
#include <unistd.h>

#include "worker.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_DUMP_STATS (void)0
#endif

void run_op(enum op op, long n, long arg)
{
	if (peer.loop[op])
		peer.loop[op](n, arg);
	else
		talk(n, op == TALK_POLL);
}

/* So many are done at once. */
static long step(const struct job *job)
{
	return job->op == CREATE ? job->arg : job->op == SWITCH || job->op == DIFFER || job->op == SHARED ? 2 : 1;
}

static int64_t time_of(const struct job *job, long n)
{
	/* Our own arithmetic leaves sticky flags, which DIFFER is about. */
	feclearexcept(FE_ALL_EXCEPT);
	int64_t begin = cpu_ns();
	run_op(job->op, n, job->arg);
	return cpu_ns() - begin;
}

/* How many for @ms. The first run makes what is needed: its time tells nothing; those that
 * follow take some @ms / 2 together, and warm up what there is to warm. */
static long calibrate(const struct job *job, int ms)
{
	int64_t wanted = (int64_t)ms * 1000000, took = 0;
	long n = step(job);

	run_op(job->op, n, job->arg);
	for (; (took = time_of(job, n)) < wanted / 4; n *= 2)
		;
	n = (long)((double)n * (double)wanted / (double)took);
	return n < step(job) ? step(job) : n / step(job) * step(job);
}

double sample_loop(const struct job *job, int ms)
{
	static long n;

	if (n == 0)
		n = calibrate(job, ms);
	return (double)time_of(job, n) / (double)n;
}

/* Two lengths, each in a dump of its own; the difference leaves out what comes before
 * and after. 2000 more, as samples.c knows. */
void count_loop(const struct job *job)
{
	run_op(job->op, 1000, job->arg);
	CALLGRIND_DUMP_STATS;
	run_op(job->op, 1000, job->arg);
	CALLGRIND_DUMP_STATS;
	run_op(job->op, 3000, job->arg);
	CALLGRIND_DUMP_STATS;
	_exit(0);
}
