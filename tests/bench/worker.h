/* SPDX-License-Identifier: MIT */
/*
 * worker — a peer's program: it takes samples when it is told to.
 *
 *     peer_X about                    "name<TAB>what<TAB>missing package", then a line for
 *                                     each job that it can do
 *     peer_X sample JOB MS is_quick   for each line read: takes a sample of about MS
 *                                     milliseconds, and prints its numbers, or "! why not"
 *     peer_X count JOB                runs under callgrind: two lengths, each dumped
 *
 * An echo server's sample: prints "port pid" of the server, and when that is killed, how
 * many system calls it has made (0 if it was not traced).
 */
#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H

#include <stdbool.h>

#include "jobs.h"

/* Processor time of this process, in ns. On a busy machine it says more than the clock. */
int64_t cpu_ns(void);
int64_t clock_ns(void);

/* loop.c */
void run_op(enum op op, long n, long arg);
double sample_loop(const struct job *job, int ms);
void count_loop(const struct job *job);

/* trace.c: system calls that @fn makes in a child; -1: ptrace is not allowed. */
long trace_calls(void (*fn)(const void *), const void *arg);
double sample_calls(const struct job *job);

/* crowd.c, in a child of its own: tell @value[...]; never return. */
void sample_memory(const struct job *job);
void sample_timers(const struct job *job);
void sample_lateness(const struct job *job);
void sample_idle(const struct job *job, bool is_quick);

/* The child has its numbers. */
__attribute__((noreturn)) void answer(const double *value, int n);

/* talk.c */
void talk(long n, bool polls);
void serve_by_sched(int listener);
void sample_echo(bool is_traced);

#endif
