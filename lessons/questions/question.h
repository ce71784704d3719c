/* SPDX-License-Identifier: MIT */
/*
 * question — the frame of an experiment: what people believe, a prediction, what the
 * machine does, why.
 *
 * A program defines `question` and `experiment`, and nothing else that is not static.
 * question.c has main(): it prints the belief, asks for a prediction if there is a
 * terminal to ask at, calls experiment(), and compares. Exit status 1: the machine does
 * something else than the program claims.
 */
#ifndef QUESTION_H
#define QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The strings of belief and result stand on one line each: lessons/questions/list
 * reads them from the source. */
struct question {
	const char *file;       /* __FILE__; its name begins with the number */
	int lesson;             /* the one that it belongs to */
	const char *belief;     /* in the words of those who believe it */
	const char *natural;    /* why one would think so */
	const char *predict;    /* what to predict */
	const char *answers[5]; /* a, b, c ... ; one for the belief, one for the truth */
	char answer;            /* the letter of what experiment() is to return */
	const char *result;     /* what happens, in one line, for the index */
	const char *because;    /* why */
};

extern const struct question question;

/* Run the experiment. Returns the letter of the answer that the machine has given,
 * computed from what was measured; '?' for none of them; NOT_SHOWN if the machine lacks
 * what it would take. */
char experiment(void);
enum { NOT_SHOWN = '-' };

/* Print one line of what happened. */
__attribute__((format(printf, 1, 2))) void saw(const char *format, ...);

/* Something that must hold besides the answer: what was expected, and what was seen. */
__attribute__((format(printf, 3, 4))) void must(bool holds, const char *expected, const char *seen, ...);

/* This machine lacks something, so a part of the experiment is left out: say which. */
__attribute__((format(printf, 1, 2))) void lacks(const char *format, ...);

/* How a child process has ended. */
struct ended {
	int signal;      /* that ended it; 0: none, it came to its end */
	bool is_hung;    /* it did not end in time, and was ended */
	char said[4096]; /* what it has written to stdout and stderr */
};

/* Call @fn in a child process, and wait for its end. What might crash or hang, does it
 * there. It hangs if it sleeps for a quarter of a second without being woken once (not if
 * it does not get the processor), or has not ended after 40 s. */
struct ended in_child(void (*fn)(void));

/* The same in words: "dies of signal 11: memory it may not touch". */
const char *how(struct ended end);

/* A crash of ours is a failed experiment, and says so; for question.c. */
void watch_for_crashes(void);

/* Memory that a child shares with us: zero at first. */
void *shared_with_child(size_t bytes);

/* How many system calls @fn makes, in a child: all, and those of one kind. -1: ptrace is
 * not allowed here. */
struct calls {
	long all, of[512];
};
struct calls count_calls(void (*fn)(void));

/* Nanoseconds, of a clock that nobody sets. */
int64_t now_ns(void);

/* How long one round of @fn takes: the shortest of several tries. */
double ns_each(void (*fn)(long rounds), long rounds);

/* Kilobytes that this process has in memory, and has mapped. */
long resident_kb(void);
long mapped_kb(void);

/* A coroutine on a stack of its own, or on one of a slot; exits if there is no memory. */
struct co;
struct co_stack_source;
struct co *create(void *(*fn)(void *), void *arg);
struct co *create_on(struct co_stack_source *slots, void *(*fn)(void *), void *arg);

/* A context (lesson 2) that begins with @fn(NULL) on the stack that ends at @top. */
struct coctx;
void make_context(struct coctx *ctx, void *top, void (*fn)(void *));

/* Mapped memory for stacks; exits if there is none. */
char *map_bytes(size_t bytes);

#endif
