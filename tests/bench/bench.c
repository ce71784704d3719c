/* SPDX-License-Identifier: MIT */
/*
 * bench — costep and its peers, side by side.
 *
 *     bench --peers DIR --targets FILE [--only LIST] [--quick] [--rounds N] [--json FILE|1]
 *           [--svg FILE] [--built WORDS] [--list]
 *
 * For each job, round by round: take a sample of each peer, in an order drawn anew for each
 * round. So what the machine does meanwhile meets all alike, and a ratio is one of numbers
 * that were taken within the same second or so. A sample is a process of its own: where its
 * code, its stacks and its pages happen to lie differs from round to round, and is in the
 * spread. (With one process for all rounds, two runs differed by far more than either said.)
 * For the code's sake each peer is linked in several ways (the Makefile), which take turns.
 *
 * Ctrl-C ends the measuring; what there is so far is printed.
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

volatile sig_atomic_t is_interrupted;

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

static void interrupt(int sig)
{
	(void)sig;
	is_interrupted = 1;
}

/* --- measuring ---------------------------------------------------------------------------- */

static int n_wanted, n_begun; /* jobs */

/* In a terminal one line, written over; it must not be longer than the terminal is wide. */
static void say(int job, int n_rounds, int round, int p)
{
	int width = width_of(STDERR_FILENO);
	char line[128];

	snprintf(line, sizeof(line), "%d/%d  %s  round %d/%d  %s", n_begun, n_wanted, jobs[job].figures[0].name, round + 1,
		 n_rounds, contenders[p].name);
	if (width > 0)
		fprintf(stderr, "\r\033[K%.*s", width - 1, line);
	else if (round == 0)
		fprintf(stderr, "%d/%d  %s  %s\n", n_begun, n_wanted, jobs[job].figures[0].name, contenders[p].name);
}

static void shuffle(int *order, int n)
{
	for (int i = n - 1; i > 0; i--) {
		int k = rand() % (i + 1), swap = order[i];
		order[i] = order[k];
		order[k] = swap;
	}
}

static void one_sample(int job, int p, int round, const struct options *o)
{
	double value[MAX_FIGURES];
	const char *why = worker_sample(&contenders[p], &jobs[job], round, o, value);

	if (is_interrupted)
		return; /* it was interrupted too */
	if (why) {
		snprintf(why_not[job][p], sizeof(why_not[job][p]), "%s", why);
		return;
	}
	for (int i = 0; i < n_figures(&jobs[job]); i++)
		samples[job][i][p][round] = value[i];
}

static void measure(int job, const struct options *o)
{
	const struct job *j = &jobs[job];
	int asked = j->kind == LOOP ? o->rounds : o->others_rounds;
	int n_rounds = j->most_rounds && j->most_rounds < asked ? j->most_rounds : asked;
	int order[MAX_PEERS], n = 0;

	n_begun++;
	for (int p = 0; p < n_contenders; p++)
		if (contenders[p].can[job])
			order[n++] = p;
	for (int round = 0; round < n_rounds && !is_interrupted; round++) {
		shuffle(order, n);
		for (int i = 0; i < n && !is_interrupted; i++) {
			if (why_not[job][order[i]][0])
				continue; /* it will not be better */
			say(job, n_rounds, round, order[i]);
			one_sample(job, order[i], round, o);
		}
	}
}

/* Of the processors that we may use, the first is the peers'; the client of their servers
 * has the others. */
static void share_processors(void)
{
	cpu_set_t all;

	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		return;
	for (peers_cpu = 0; !CPU_ISSET(peers_cpu, &all); peers_cpu++)
		;
	n_processors = CPU_COUNT(&all);
	CPU_CLR(peers_cpu, &all);
	if (CPU_COUNT(&all) > 0)
		sched_setaffinity(0, sizeof(all), &all);
}

static void have_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* It is written at the end. Better to know now, not after ten minutes, that it cannot be. */
static void check_writable(const char *path)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;

	if (path && (fd < 0 || close(fd) != 0))
		die("cannot write %s: %s", path, strerror(errno));
}

static void write_file(const char *path, void (*print)(FILE *, const struct options *), const struct options *o)
{
	FILE *f = fopen(path, "w");

	if (!f)
		die("cannot write %s", path);
	print(f, o);
	if (fclose(f) != 0)
		die("cannot write %s", path);
}

int main(int argc, char **argv)
{
	struct options o = options_of(argc, argv);
	bool is_stdout_json = o.json && strcmp(o.json, "1") == 0;

	check_writable(is_stdout_json ? NULL : o.json);
	check_writable(o.svg);
	srand((unsigned)time(NULL));
	signal(SIGPIPE, SIG_IGN);
	have_descriptors();
	share_processors();
	clear_samples();
	find_contenders(o.peers);
	read_targets(o.targets);
	for (int i = 0, sig[] = { SIGINT, SIGTERM, SIGHUP }; i < 3; i++)
		sigaction(sig[i], &(struct sigaction){ .sa_handler = interrupt }, NULL);

	bool wanted[MAX_JOBS];
	for (int j = 0; j < n_jobs; j++)
		n_wanted += wanted[j] = is_wanted(&jobs[j], &o);
	for (int j = 0; j < n_jobs && !is_interrupted; j++)
		if (wanted[j])
			measure(j, &o);
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (is_interrupted)
		fputs("bench: interrupted; this is what there is so far\n", stderr);

	judge_targets();
	if (o.json && !is_stdout_json)
		write_file(o.json, print_json, &o);
	if (o.svg)
		write_file(o.svg, print_svg, &o);
	(is_stdout_json ? print_json : print_table)(stdout, &o);
	return is_interrupted ? 130 : 0;
}
