/* SPDX-License-Identifier: MIT */
/*
 * record — runs a program under ptrace and writes its trace.
 *
 * Part:    source. Uses target, trace, layout, symbols, decode. Reads the program's
 *          memory and registers and writes neither.
 */
#ifndef VIZ_RECORD_H
#define VIZ_RECORD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum record_mode { RECORD_SWITCH, RECORD_ALL, RECORD_FROM_TO };

struct record_options {
	enum record_mode mode;
	const char *from, *to;   /* function, or FILE:LINE */
	const char *path;        /* of the trace */
	char *const *argv;       /* NULL: attach to pid */
	pid_t pid;
	int thread;              /* which to follow, in the order of their making; 0 = main */
	uint64_t max_steps;      /* 0: no limit */
	uint64_t max_switches;   /* 0: no limit */
	bool is_quiet;           /* do not pass the program's output on to stdout */
	void (*before_output)(void); /* NULL; or called before that is done */
	bool has_no_input;       /* its stdin is /dev/null */
	const volatile sig_atomic_t *is_interrupted; /* NULL; or a handler sets it: record_start gives up */
};

struct recorder;
/* Start (or attach to) the program, up to its first recorded state. NULL: *@why
 * (malloc'ed) says what went wrong and what to do. */
struct recorder *record_start(const struct record_options *options, char **why);
/* Record at least one more state, at most about @n; flushes. 1: there is more to come,
 * 0: the end (see record_end), -1: *@why. Blocks while the program does; a signal
 * (EINTR) ends the wait with 1. */
int record_more(struct recorder *r, uint64_t n, char **why);
/* Call it before doing anything else for long: a program that was attached to is stopped, if
 * it runs, and then goes on unharmed even if we are killed. */
void record_rest(struct recorder *r);
/* Why it ended, in one line: "exited with status 0", "killed by SIGSEGV", "1000 switches
 * recorded (--switches N records more)". */
const char *record_end(const struct recorder *r);
uint64_t record_steps(const struct recorder *r);
uint64_t record_switches(const struct recorder *r);
uint64_t record_bytes(const struct recorder *r); /* of the trace */
/* Words that were not recorded as they were, found by comparing all of them *@times; they
 * were put right. 0, if all is well. */
uint64_t record_differences(const struct recorder *r, uint64_t *times);
/* Detach from it (attached: it goes on as before) or kill it (ours), finish the file, free. */
void record_finish(struct recorder *r);

#endif
