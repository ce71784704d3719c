/* SPDX-License-Identifier: MIT */
/* One sample of one peer: its program is started, asked, and ended. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

/* Of the ways in which it is linked, this round's; there may be only one. */
static void program_of(char *path, size_t len, const struct contender *c, int round)
{
	enum { WAYS = 4 };

	snprintf(path, len, "%s.%d", c->path, round % WAYS);
	if (access(path, X_OK) != 0)
		copy_text(path, len, c->path);
}

static bool start_sample(struct worker *w, const struct contender *c, const struct job *job, int round, const struct options *o)
{
	char ms[16], path[sizeof(c->path) + 16];

	snprintf(ms, sizeof(ms), "%d", o->ms);
	program_of(path, sizeof(path), c, round);
	return worker_start(w, (char *[]){ path, "sample", (char *)job->figures[0].name, ms, o->is_quick ? "1" : "0", NULL },
		     false);
}

static char *ask(struct worker *w)
{
	return write(w->in, "s\n", 2) == 2 ? worker_line(w) : NULL;
}

static const char no_answer[] = "it gave no answer";

/* Why there was none, from how it has ended. */
static const char *why_none(const struct worker *w, int status)
{
	static char why[96];

	if (w->is_late)
		snprintf(why, sizeof(why), "%s in %d s", no_answer, PATIENCE_MS / 1000);
	else if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "%s: signal %d, %s", no_answer, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(why, sizeof(why), "%s: exit %d", no_answer, WEXITSTATUS(status));
	return why;
}

static const char *take_numbers(const char *line, const struct job *job, double *value)
{
	if (!line)
		return no_answer;
	if (line[0] == '!')
		return line + 2;
	for (int i = 0, used; i < n_figures(job); i++, line += used)
		if (sscanf(line, "%lf%n", &value[i], &used) != 1)
			return "its answer is no number";
	return NULL;
}

/* One server and one client. @calls: what the server has made, if it is traced. */
static const char *echo_once(struct worker *w, const struct job *job, double seconds, struct load *l, long *calls)
{
	int port, server;
	char *line = ask(w);

	if (!line)
		return no_answer;
	if (sscanf(line, "%d %d", &port, &server) != 2 || server <= 0)
		return line[0] == '!' ? line + 2 : "it has not begun to serve";
	const char *why = client(port, (int)job->arg, seconds, server, l);
	kill(server, SIGKILL);
	line = worker_line(w);
	*calls = line ? atol(line) : 0;
	return why ? why : line ? NULL : no_answer;
}

static const char *sample_echo(struct worker *w, const struct job *job, const struct options *o, double *value)
{
	struct load l, more;
	long calls, more_calls;
	const char *why;

	if (job->kind == ECHO) {
		if ((why = echo_once(w, job, o->is_quick ? 0.5 : 3, &l, &calls)) != NULL)
			return why;
		value[0] = l.rate;
		value[1] = l.cpu_us;
		value[2] = l.busy;
		return l.rate > 0 ? NULL : "it has answered nobody but at the beginning";
	}
	why = echo_once(w, job, 0.2, &l, &calls);
	if (!why)
		why = echo_once(w, job, 0.8, &more, &more_calls);
	if (!why && calls <= 0)
		why = "ptrace is not allowed here";
	if (!why && more.answers <= l.answers)
		why = "the machine is too busy to count them";
	if (!why)
		value[0] = (double)(more_calls - calls) / (double)(more.answers - l.answers);
	return why;
}

/* The whole sum of a dump of callgrind's; -1: there is none. */
static long total_of(const char *out, int dump)
{
	char path[4300], line[256];
	long sum = -1;

	snprintf(path, sizeof(path), "%s.%d", out, dump);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		(void)(sscanf(line, "totals: %ld", &sum) == 1 || sscanf(line, "summary: %ld", &sum) == 1);
	if (f)
		fclose(f);
	unlink(path);
	return sum;
}

static const char *sample_instructions(const struct contender *c, const struct job *job, double *value)
{
	char dir[4096], out[4200], option[4300], *line;
	const char *tmp = getenv("TMPDIR");
	static char why[96];
	struct worker w;

	copy_text(why, sizeof(why), "callgrind gave no count ('make deps bench' installs valgrind)");
	snprintf(dir, sizeof(dir), "%s/bench-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return "there is no place for callgrind's output";
	snprintf(out, sizeof(out), "%s/out", dir);
	snprintf(option, sizeof(option), "--callgrind-out-file=%s", out);
	if (worker_start(&w, (char *[]){ "valgrind", "--quiet", "--tool=callgrind", option, (char *)c->path, "count",
				  (char *)job->figures[0].name, NULL }, true)) {
		while ((line = worker_line(&w)) != NULL) /* until it ends */
			if (line[0] == '!')
				copy_text(why, sizeof(why), line + 2);
		worker_stop(&w);
	}
	total_of(out, 1); /* making what is needed */
	long few = total_of(out, 2), many = total_of(out, 3);
	unlink(out);
	rmdir(dir);
	if (few <= 0 || many <= few)
		return why;
	value[0] = (double)(many - few) / 2000;
	return NULL;
}

const char *worker_sample(const struct contender *c, const struct job *job, int round, const struct options *o, double *value)
{
	static char copied[96];
	struct worker w;

	if (job->kind == INSTRUCTIONS)
		return sample_instructions(c, job, value);
	if (!start_sample(&w, c, job, round, o))
		return strerror(errno);
	bool is_echo = job->kind == ECHO || job->kind == ECHO_CALLS;
	const char *why = is_echo ? sample_echo(&w, job, o, value) : take_numbers(ask(&w), job, value);
	int status = worker_stop(&w);
	if (why == no_answer)
		return why_none(&w, status);
	copy_text(copied, sizeof(copied), why); /* it may point into the worker's line */
	return why ? copied : NULL;
}
