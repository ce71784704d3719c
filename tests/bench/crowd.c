/* SPDX-License-Identifier: MIT */
/* Samples of what many coroutines cost: in memory, asleep, doing nothing. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "worker.h"

/* --- memory ----------------------------------------------------------------------------- */

static long resident_bytes(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		give_up("/proc/self/statm cannot be read");
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

/* The dearest take some 12 KB for each. With less left than most of them need, better none
 * at all; and if it does not suffice, the kernel shall end us, not the user's editor. */
static void have_memory(long n)
{
	long kb = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %ld", &kb) != 1)
		;
	if (f)
		fclose(f);
	if (kb < n * 10)
		give_up("this machine has not the memory for it");
	if ((f = fopen("/proc/self/oom_score_adj", "w")) != NULL) {
		fputs("1000", f);
		fclose(f);
	}
}

void sample_memory(const struct job *job)
{
	have_memory(job->arg);
	long before = resident_bytes();
	double live = 0;
	if (job->kind == MEMORY)
		peer.idle(job->arg);
	else
		live = peer.idle_shared(job->arg);
	double each = (double)(resident_bytes() - before) / (double)job->arg;
	double value[] = { each, each - live };
	answer(value, n_figures(job));
}

/* --- sleepers --------------------------------------------------------------------------- */

enum { MS = 1000 * 1000 };

static long n_sleepers, n_waiting, n_awake;
static int64_t begin_ns, end_ns;

/* Well mixed, and the same for every peer. */
static int64_t between(long i, int64_t least_ns, int64_t most_ns)
{
	uint64_t x = (uint64_t)i * 0x9e3779b97f4a7c15u;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 32;
	return least_ns + (int64_t)(x % (uint64_t)(most_ns - least_ns));
}

enum { TIMES = 3 };

/* All wait at a gate until the last has come, and the last to be done looks at the clock:
 * neither making them nor taking them down is what is measured. */
static void sleep_some_times(void *arg)
{
	/* About as long as the dearest peer needs processor time for all of them, so
	 * that none is always behind. */
	int64_t most_ns = 200 * (int64_t)MS + n_sleepers * 4000;

	if (++n_waiting < n_sleepers) {
		peer.sched->gate_wait();
	} else {
		begin_ns = cpu_ns();
		peer.sched->gate_open();
	}
	for (long i = 0; i < TIMES; i++)
		peer.sched->sleep_ns(between((long)arg * TIMES + i, MS, most_ns));
	if (++n_awake == n_sleepers)
		end_ns = cpu_ns();
}

void sample_timers(const struct job *job)
{
	n_sleepers = job->arg;
	if (peer.sched->most && n_sleepers > peer.sched->most)
		give_up("left out: it looks at all of them in each turn");
	have_memory(n_sleepers);
	for (long i = 0; i < n_sleepers; i++)
		peer.sched->spawn(sleep_some_times, (void *)i);
	peer.sched->join();
	double each = (double)(end_ns - begin_ns) / (double)(n_sleepers * TIMES);
	answer(&each, 1);
}

enum { SLEEPS = 5 };
static int64_t *late_ns;
static long n_late;

static void sleep_and_look(void *arg)
{
	for (long i = 0; i < SLEEPS; i++) {
		int64_t ns = between((long)arg * SLEEPS + i, MS, 100 * MS), due = clock_ns() + ns;
		peer.sched->sleep_ns(ns);
		late_ns[n_late++] = clock_ns() - due;
	}
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

void sample_lateness(const struct job *job)
{
	late_ns = calloc((size_t)job->arg * SLEEPS, sizeof(*late_ns));
	for (long i = 0; i < job->arg; i++)
		peer.sched->spawn(sleep_and_look, (void *)i);
	peer.sched->join();
	qsort(late_ns, (size_t)n_late, sizeof(*late_ns), compare);
	double value[] = { (double)late_ns[0] / MS, (double)late_ns[n_late / 2] / MS, (double)late_ns[n_late - 1 - n_late / 100] / MS };
	answer(value, 3);
}

/* --- nothing to do ---------------------------------------------------------------------- */

static int idle_s;

static void read_in_vain(void *arg)
{
	char byte;

	peer.sched->read(peer.sched->open((int)(long)arg), &byte, 1);
	give_up("a pipe that nobody writes to was readable");
}

static void sleep_meanwhile(void *arg)
{
	struct rusage before, after;

	(void)arg;
	peer.sched->sleep_ns(50 * MS); /* until all the others wait */
	getrusage(RUSAGE_SELF, &before);
	int64_t begin = cpu_ns();
	peer.sched->sleep_ns(idle_s * 1000 * (int64_t)MS);
	double cpu_ms = (double)(cpu_ns() - begin) / MS;
	getrusage(RUSAGE_SELF, &after);
	double value[] = { (double)(after.ru_nvcsw - before.ru_nvcsw), cpu_ms };
	answer(value, 2);
}

/* One pipe for all, with a number for each of them: some peers have select(2) below,
 * which knows 1024. */
void sample_idle(const struct job *job, bool is_quick)
{
	int p[2];

	idle_s = is_quick ? 1 : 5;
	if (pipe(p) != 0)
		give_up("no pipe");
	peer.sched->spawn(sleep_meanwhile, NULL);
	for (long i = 0; i < job->arg; i++) {
		int fd = dup(p[0]);
		if (fd < 0)
			give_up("there are not enough descriptors");
		peer.sched->spawn(read_in_vain, (void *)(long)fd);
	}
	peer.sched->join();
}
