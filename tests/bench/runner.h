/* SPDX-License-Identifier: MIT */
/*
 * runner — starts the peers' programs, asks them in turn, and says what came of it.
 *
 *   bench.c     rounds
 *   options.c   what is asked for
 *   workers.c   the peers' programs: who is there; started on a processor of their own
 *   samples.c   one sample, in a process of its own
 *   client.c    the other end of the echo servers
 *   results.c   samples, medians, ratios; targets.c: what they should be
 *   machine.c   where all this is measured
 *   report.c    the table with its bars; json.c, svg.c: the same for others
 */
#ifndef BENCH_RUNNER_H
#define BENCH_RUNNER_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "jobs.h"

enum { MAX_PEERS = 16, MAX_ROUNDS = 99, MAX_JOBS = 64, OURS = 0 };

struct options {
	const char *peers;   /* the directory of the peers' programs */
	const char *only;    /* groups or names, with commas; NULL: all */
	const char *targets; /* their file */
	const char *json;    /* a file, or "1": standard output, instead of the table */
	const char *svg;     /* a file */
	const char *built;   /* by what, in words */
	bool is_quick;
	int rounds, others_rounds; /* of loops; of what takes longer */
	int ms;                    /* for a sample of a loop */
};

/* --- options.c ---------------------------------------------------------------------------- */

struct options options_of(int argc, char **argv);

/* A quick run leaves long ones out, unless they are asked for by name. */
bool is_wanted(const struct job *job, const struct options *o);
extern bool left_out[MAX_JOBS]; /* because the run is a quick one */

/* --- workers.c ---------------------------------------------------------------------------- */

struct contender {
	char path[4096], name[32], what[96], missing[64];
	bool can[MAX_JOBS];
};

extern struct contender contenders[MAX_PEERS]; /* OURS first */
extern int n_contenders;
extern int peers_cpu;    /* the processor that they run on; -1: any */
extern int n_processors; /* that we may use; 0: not known */
extern volatile sig_atomic_t is_interrupted;

/* Find the programs in @dir and ask them what they can do. */
void find_contenders(const char *dir);

enum { PATIENCE_MS = 180 * 1000 }; /* for one answer: a million sleepers of a slow peer */

struct worker {
	pid_t pid;
	int in, out; /* what it reads, and what it says */
	bool is_late; /* it has not answered in time */
	char line[256];
};

/* false: the system has not what it takes, and errno says what. */
bool worker_start(struct worker *w, char *const argv[], bool is_quiet);
/* The next line, without its end; NULL: there is none. */
char *worker_line(struct worker *w);
/* Returns how it has ended, as waitpid says it. */
int worker_stop(struct worker *w);

/* As much as there is room for; NULL is nothing. */
void copy_text(char *to, size_t len, const char *from);

/* --- samples.c ---------------------------------------------------------------------------- */

/* Take one sample, in a process that ends with it: @value[n_figures(job)]. NULL; or why
 * there is none. */
const char *worker_sample(const struct contender *c, const struct job *job, int round, const struct options *o, double *value);

/* --- client.c ----------------------------------------------------------------------------- */

struct load {
	long answers;  /* from the first on */
	double rate;   /* answers per second, after a fifth of the time; 0: there were none then */
	double cpu_us; /* of the server for each of these */
	double busy;   /* of 100: how much of that time it ran */
};

/* @connections to the server at @port, which is process @server, each with one request
 * under way, for @seconds. NULL; or why not. */
const char *client(int port, int connections, double seconds, pid_t server, struct load *l);

/* --- results.c ---------------------------------------------------------------------------- */

struct spread {
	int n; /* 0: there are none */
	double median, least, most;
};

/* The sample of a round; NAN: there is none. */
extern double samples[MAX_JOBS][MAX_FIGURES][MAX_PEERS][MAX_ROUNDS];
extern char why_not[MAX_JOBS][MAX_PEERS][96]; /* "": no failure */

void clear_samples(void);
bool find_figure(const char *name, int *job, int *figure);
int find_contender(const char *name); /* -1: none */
bool was_measured(int job, int figure);

struct spread spread_of(int job, int figure, int p);
/* Ours divided by @p's, and ours less @p's, of the same round. */
struct spread ratio_to(int job, int figure, int p);
struct spread excess_over(int job, int figure, int p);

/* --- targets.c ---------------------------------------------------------------------------- */

struct target {
	char text[96];
	enum verdict { NOT_MEASURED, MET, MISSED } verdict;
	double value; /* what is to be compared with the target's number */
};

/* Read @file, and stop if there is a mistake in it; then judge. */
void read_targets(const char *file);
void judge_targets(void);
extern struct target targets[64];
extern int n_targets;
const char *verdict_name(enum verdict v);

/* In words: processor, how many, system. */
const char *machine(void);

/* --- report.c, json.c, svg.c --------------------------------------------------------------- */

/* Columns of the terminal @fd; 0: it is none. */
int width_of(int fd);

void print_table(FILE *f, const struct options *o);
void print_json(FILE *f, const struct options *o);
void print_svg(FILE *f, const struct options *o);

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

#endif
