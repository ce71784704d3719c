/* SPDX-License-Identifier: MIT */
/*
 * jobs — what is measured: the one list, for the runner and for the peers' programs.
 */
#ifndef BENCH_JOBS_H
#define BENCH_JOBS_H

#include "peer.h"

/* How a sample is taken. */
enum kind {
	LOOP,         /* processor time of an op, in ns (loop.c) */
	INSTRUCTIONS, /* of an op, by callgrind: the difference of two lengths */
	CALLS,        /* system calls of an op, by ptrace: likewise (trace.c) */
	MEMORY,       /* resident bytes of each of @arg idle coroutines (crowd.c) */
	MEMORY_SHARED,
	TIMERS,       /* processor time of a sleep, with @arg sleepers at a time (crowd.c) */
	LATENESS,     /* @arg sleepers: by how much they wake late (crowd.c) */
	IDLE,         /* @arg readers that wait in vain, and one sleeper (crowd.c) */
	ECHO,         /* a server, and a client with @arg connections (talk.c, client.c) */
	ECHO_CALLS,   /* its system calls for a request, by ptrace */
};

enum { MAX_FIGURES = 3 };

/* One number that a sample gives. */
struct figure {
	const char *name; /* "group.detail" */
	const char *unit;
	const char *text;
	bool more_is_better;
};

struct job {
	enum kind kind;
	enum op op; /* of LOOP, INSTRUCTIONS, CALLS */
	long arg;
	int most_rounds; /* 0: as many as are asked for */
	bool is_long;    /* not in a quick run */
	struct figure figures[MAX_FIGURES]; /* the first one's name is the job's, too */
};

extern const struct job jobs[];
extern const int n_jobs;

int n_figures(const struct job *job);

/* Can @p do it? */
bool can(const struct peer *p, const struct job *job);

/* NULL: there is none of that name. */
const struct job *job_by_name(const char *name);

#endif
