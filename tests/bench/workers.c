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

struct contender contenders[MAX_PEERS];
int n_contenders, n_processors, peers_cpu = -1;

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

bool worker_start(struct worker *w, char *const argv[], bool is_quiet)
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

int worker_stop(struct worker *w)
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

char *worker_line(struct worker *w)
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

void copy_text(char *to, size_t len, const char *from)
{
	snprintf(to, len, "%s", from ? from : "");
}

static void get_to_know(const char *path)
{
	struct contender c = { 0 };
	struct worker w;
	char *line;

	copy_text(c.path, sizeof(c.path), path);
	if (!worker_start(&w, (char *[]){ c.path, "about", NULL }, false))
		die("cannot start %s: %s", path, strerror(errno));
	if ((line = worker_line(&w)) != NULL) {
		copy_text(c.name, sizeof(c.name), strsep(&line, "\t"));
		copy_text(c.what, sizeof(c.what), strsep(&line, "\t"));
		copy_text(c.missing, sizeof(c.missing), line);
	}
	while ((line = worker_line(&w)) != NULL) {
		const struct job *job = job_by_name(line);
		if (job)
			c.can[job - jobs] = true;
	}
	worker_stop(&w);
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
