/* SPDX-License-Identifier: MIT */
/*
 * peer — what one library of coroutines can do, in the form in which all are measured.
 *
 * One program per peer: its peer_*.c, linked with worker.c. To judge whether the
 * comparison is fair, read that file; it has nothing but the peer's own calls.
 *
 * What is equal for all:
 *   - the program around: -O2, as a user's. So is what a peer has in headers. The rest of
 *     it is as Debian has compiled it; our library as `make lib` does, with frame pointers
 *     and stack clash protection. All are linked statically, so that calls go through no
 *     table.
 *   - stacks of STACK_BYTES, the default of three of them.
 *   - for each peer the quickest of its interfaces that does the job, and for memory the
 *     leanest: no peer is measured through a wrapper that its users need not have.
 *   - timers and I/O: the same functions (crowd.c, talk.c), which know a peer's
 *     scheduler only by its sleep, read and write.
 *
 * What is not: safety. costep's resume checks for misuse and keeps errno, its stacks have
 * guards, its read and write are the program's own blocking calls, hooked. State Threads
 * saves no floating-point settings (as floor: for these two DIFFER is SWITCH again); the guards of a peer are those that it has by default.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	STACK_BYTES = 128 * 1024,
	MANY = 1000, /* coroutines, where it says many */
	MOST_GUARDED = 30000, /* stacks with a mapping for their guard: Linux has 65 530 for a process */
};

/* What a peer does @n times in a call; @arg as below. What it makes for that, it makes in
 * the first call, and keeps: a process does one of them, with one @arg. */
enum op {
	SWITCH,    /* a switch between two contexts, with nothing around it */
	DIFFER,    /* the same, and sticky floating-point flags are up on one side only */
	ROUNDTRIP, /* resume + yield; @arg functions lie between the coroutine's and the yield,
		      and are left and called again in each round */
	ROUND_MANY, /* the same, MANY coroutines in turn */
	CREATE,    /* create, run to the end, release; @arg are alive at a time, and @n is a
		      multiple of it */
	SHARED,    /* resume + yield, two coroutines in turn on one shared stack, each with
		      @arg bytes of locals on it */
	TALK,      /* two coroutines send each other a byte through a socket: there and back */
	TALK_POLL, /* the same, and each polls before it reads */
	N_OPS
};

/* A scheduler, for peers that have one. */
struct sched {
	long most; /* coroutines that it gets along with; 0: any number */
	void (*spawn)(void (*body)(void *), void *arg); /* it may run at once, or in join */
	void (*join)(void);                             /* run until all have ended */
	void (*sleep_ns)(int64_t ns);
	void (*gate_wait)(void); /* wait until somebody calls gate_open, which all wait for */
	void (*gate_open)(void);

	/* NULL: no I/O */
	void *(*open)(int fd);
	void (*close)(void *file); /* the descriptor too */
	int (*accept)(void *file);
	ssize_t (*read)(void *file, void *buf, size_t len);
	ssize_t (*write)(void *file, const void *buf, size_t len);
	void (*poll_in)(void *file); /* wait until there is something to read */
};

struct peer {
	const char *name;
	const char *what;    /* in a few words */
	const char *missing; /* the Debian package that it lacks; NULL: it is there */
	void (*init)(void);  /* NULL: nothing to do */
	void (*loop[N_OPS])(long n, long arg); /* NULL: it cannot. TALK and TALK_POLL: NULL
						  where sched does it */
	void (*idle)(long n);        /* make @n coroutines that have yielded once, and stay */
	double (*idle_shared)(long n); /* the same, on shared stacks; returns how many bytes of
					  each stack are kept aside, on average */
	void (*serve)(int listener); /* echo whatever comes; NULL: by sched */
	const struct sched *sched;
};

extern const struct peer peer;

/* worker.c: it cannot go on. */
__attribute__((noreturn)) void give_up(const char *why);

/* worker.c: STACK_BYTES that take one page until more is used, for peers that are given
 * their stacks. (malloc touches two more, for what it notes beside them.) */
void *lean_stack(void);

#ifdef __cplusplus
}
#endif
#endif
