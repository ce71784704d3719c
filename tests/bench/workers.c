/* SPDX-License-Identifier: MIT */
/* The peers' programs: found, started, asked, ended. worker.h says how to talk to them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

enum { PATIENCE_MS = 180 * 1000 }; /* for one sample: a million sleepers of a slow peer */

struct contender contenders[MAX_PEERS];
int n_contenders, n_processors, peers_cpu = -1;

struct worker {
	pid_t pid;
	int in, out; /* what it reads, and what it says */
	bool is_late; /* it has not answered in time */
	char line[256];
};

/* --- processes ---------------------------------------------------------------------------- */

static void pin(void)
{
	cpu_set_t one;

	if (peers_cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(peers_cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* false: the system has not what it takes, and errno says what. */
static bool start(struct worker *w, char *const argv[], bool is_quiet)
{
	int in[2], out[2];

	*w = (struct worker){ .pid = -1 };
	if (pipe2(in, O_CLOEXEC) != 0)
		return false;
	if (pipe2(out, O_CLOEXEC) != 0) {
		close(in[0]);
		close(in[1]);
		return false;
	}
	if ((w->pid = fork()) < 0) {
		for (int i = 0; i < 2; i++) {
			close(in[i]);
			close(out[i]);
		}
		return false;
	}
	if (w->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin();
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		int null = is_quiet ? open("/dev/null", O_WRONLY) : -1;
		if (null >= 0)
			dup2(null, STDERR_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	w->in = in[1];
	w->out = out[0];
	return true;
}

/* Returns how it has ended, as waitpid says it. */
static int stop(struct worker *w)
{
	int status = 0;

	close(w->in);
	close(w->out);
	kill(w->pid, SIGKILL); /* one that has ended by itself keeps its status */
	waitpid(w->pid, &status, 0);
	return status;
}

/* In slices: a signal that came just before poll(2) does not end it. */
static bool is_readable(struct worker *w)
{
	enum { SLICE_MS = 200 };
	struct pollfd p = { .fd = w->out, .events = POLLIN };
	int n_ready = 0;

	for (int ms = 0; n_ready == 0 && ms < PATIENCE_MS && !is_interrupted; ms += SLICE_MS)
		n_ready = poll(&p, 1, SLICE_MS);
	w->is_late = n_ready == 0;
	return n_ready == 1;
}

/* The next line, without its end; NULL: there is none. */
static char *read_line(struct worker *w)
{
	for (size_t n = 0; n + 1 < sizeof(w->line); n++) {
		if (!is_readable(w) || read(w->out, &w->line[n], 1) != 1)
			return NULL;
		if (w->line[n] == '\n') {
			w->line[n] = '\0';
			return w->line;
		}
	}
	return NULL;
}

/* --- who is there ------------------------------------------------------------------------- */

static void copy(char *to, size_t len, const char *from)
{
	snprintf(to, len, "%s", from ? from : "");
}

static void get_to_know(const char *path)
{
	struct contender c = { 0 };
	struct worker w;
	char *line;

	copy(c.path, sizeof(c.path), path);
	if (!start(&w, (char *[]){ c.path, "about", NULL }, false))
		die("cannot start %s: %s", path, strerror(errno));
	if ((line = read_line(&w)) != NULL) {
		copy(c.name, sizeof(c.name), strsep(&line, "\t"));
		copy(c.what, sizeof(c.what), strsep(&line, "\t"));
		copy(c.missing, sizeof(c.missing), line);
	}
	while ((line = read_line(&w)) != NULL) {
		const struct job *job = job_by_name(line);
		if (job)
			c.can[job - jobs] = true;
	}
	stop(&w);
	if (!c.name[0])
		die("%s does not say who it is", path);
	if (n_contenders == MAX_PEERS)
		die("more than %d peers", MAX_PEERS);
	contenders[n_contenders++] = c;
}

static int is_peer(const struct dirent *d)
{
	return strncmp(d->d_name, "peer_", 5) == 0 && !strchr(d->d_name, '.');
}

void find_contenders(const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, is_peer, alphasort);

	for (int i = 0; i < n; i++) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		get_to_know(path);
		free(list[i]);
	}
	int ours = find_contender("costep");
	if (ours < 0)
		die("there is no peer_costep in %s", dir);
	struct contender first = contenders[ours];
	memmove(contenders + 1, contenders, (size_t)ours * sizeof(first));
	contenders[OURS] = first;
	free(list);
}

/* --- samples ------------------------------------------------------------------------------ */

/* Of the ways in which it is linked, this round's; there may be only one. */
static void program_of(char *path, size_t len, const struct contender *c, int round)
{
	enum { WAYS = 4 };

	snprintf(path, len, "%s.%d", c->path, round % WAYS);
	if (access(path, X_OK) != 0)
		copy(path, len, c->path);
}

static bool start_sample(struct worker *w, const struct contender *c, const struct job *job, int round, const struct options *o)
{
	char ms[16], path[sizeof(c->path) + 16];

	snprintf(ms, sizeof(ms), "%d", o->ms);
	program_of(path, sizeof(path), c, round);
	return start(w, (char *[]){ path, "sample", (char *)job->figures[0].name, ms, o->is_quick ? "1" : "0", NULL },
		     false);
}

static char *ask(struct worker *w)
{
	return write(w->in, "s\n", 2) == 2 ? read_line(w) : NULL;
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
	line = read_line(w);
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

	copy(why, sizeof(why), "callgrind gave no count ('make deps bench' installs valgrind)");
	snprintf(dir, sizeof(dir), "%s/bench-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return "there is no place for callgrind's output";
	snprintf(out, sizeof(out), "%s/out", dir);
	snprintf(option, sizeof(option), "--callgrind-out-file=%s", out);
	if (start(&w, (char *[]){ "valgrind", "--quiet", "--tool=callgrind", option, (char *)c->path, "count",
				  (char *)job->figures[0].name, NULL }, true)) {
		while ((line = read_line(&w)) != NULL) /* until it ends */
			if (line[0] == '!')
				copy(why, sizeof(why), line + 2);
		stop(&w);
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
	int status = stop(&w);
	if (why == no_answer)
		return why_none(&w, status);
	copy(copied, sizeof(copied), why); /* it may point into the worker's line */
	return why ? copied : NULL;
}
