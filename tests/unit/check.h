/* SPDX-License-Identifier: MIT */
/*
 * check — the frame of a unit test program.
 *
 *     t_stack            lists the cases
 *     t_stack CASE       runs one, in this process (for a debugger)
 *     t_stack --tap      runs all, each in a process of its own, and prints
 *                        TAP: a crash or a hang is one failed case
 *     t_stack --tap CASE...  the same for these
 *     t_stack --case CASE N  the same for one, by its exit status: N (a number that
 *                        whoever asks has thought of) says that it has passed
 *
 * A program ends with a table of its cases and TEST_MAIN(table).
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct test_case {
	const char *name;     /* what to type */
	const char *sentence; /* what it shows */
	void (*run)(void);
	int dies_by;          /* the signal it must end with; 0 = it must return */
	const char *says;     /* must be on stderr then */
};

#define CHECK(cond) check_that(!!(cond), #cond, __FILE__, __LINE__)
/* Each argument is evaluated once: it may be a call that changes something. */
#define CHECK_EQ(actual, expected) \
	check_eq((intptr_t)(actual), (intptr_t)(expected), #actual, #expected, __FILE__, __LINE__)
/* A call that must fail with -1 (or NULL) and this errno. */
#define CHECK_FAILS(call, bad, error) \
	do { \
		errno = 0; \
		CHECK_EQ((call), (bad)); \
		CHECK_EQ(errno, (error)); \
	} while (0)

static inline void check_that(int ok, const char *what, const char *file, int line)
{
	if (ok)
		return;
	fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
	abort();
}

static inline void check_eq(intptr_t actual, intptr_t expected, const char *what, const char *wanted, const char *file,
			    int line)
{
	if (actual == expected)
		return;
	fprintf(stderr, "%s:%d: %s == %s does not hold: %jd (0x%jx), expected %jd (0x%jx)\n", file, line, what, wanted,
		(intmax_t)actual, (uintmax_t)actual, (intmax_t)expected, (uintmax_t)expected);
	abort();
}

/* How a case in a process of its own says that it has come to its end, or that it has left
 * itself out. Not by numbers that are known: whatever calls exit in the middle shall not say
 * that by chance. 0: no such process. (100 to 249: below are the tools' own.) */
enum { CHECK_SKIPPED = 77, CHECK_STATUSES = 75 };
static int check_status_done;

static inline int check_status_skipped(void)
{
	return check_status_done ? check_status_done + CHECK_STATUSES : (int)CHECK_SKIPPED;
}

/* Leave the present case out, and say why: "ok ... # skip why". */
__attribute__((noreturn, format(printf, 1, 2))) static inline void check_skip(const char *why, ...)
{
	va_list args;

	va_start(args, why);
	printf("skip ");
	vprintf(why, args);
	printf("\n");
	exit(check_status_skipped());
}

/* A seeded generator (xorshift): the same numbers on every machine. */
struct rng {
	uint64_t s;
};

static inline uint64_t rng_next(struct rng *r)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s;
}

static inline unsigned rng_below(struct rng *r, unsigned n)
{
	return (unsigned)((rng_next(r) >> 11) % n);
}

/* COSTEP_SEED, or the default: printed, so that a failure can be repeated. */
static inline uint64_t test_seed(uint64_t otherwise)
{
	const char *s = getenv("COSTEP_SEED");
	uint64_t seed = s ? strtoull(s, NULL, 0) : otherwise;
	printf("# seed %llu (COSTEP_SEED=%llu repeats it)\n", (unsigned long long)seed, (unsigned long long)seed);
	return seed;
}

enum { CASE_SECONDS = 120 }; /* or COSTEP_CASE_SECONDS */

static inline unsigned case_seconds(void)
{
	const char *s = getenv("COSTEP_CASE_SECONDS");
	return s ? (unsigned)atoi(s) : (unsigned)CASE_SECONDS;
}

/* Read what the case says until it, and all children that it has left, are gone; close
 * @fd. Returns its status, as of waitpid.
 *
 * @pid  its process, and its process group. */
static inline int check_hear_out(pid_t pid, int fd, char *out, size_t size)
{
	struct pollfd in = { fd, POLLIN, 0 };
	size_t len = 0;
	ssize_t n = 1;
	int status = 0, is_gone = 0;

	while (n > 0) {
		if (!is_gone && waitpid(pid, &status, WNOHANG) == pid) {
			is_gone = 1;
			kill(-pid, SIGKILL); /* a child of its own that waits for it, would have us wait */
		}
		if (is_gone || poll(&in, 1, 200) > 0) {
			n = read(fd, out + len, size - 1 - len);
			len += n > 0 ? (size_t)n : 0;
		}
	}
	out[len] = 0;
	close(fd); /* of what says more than there is room for, the rest is not heard */
	if (!is_gone)
		waitpid(pid, &status, 0);
	return status;
}

/* Run one case in a child; print what it wrote as TAP comments.
 *
 * @skip  becomes the line with which it left itself out; else "". */
static inline int check_run_case(const struct test_case *c, char *skip, size_t skip_len)
{
	int p[2];
	char out[64 * 1024];

	*skip = 0;

	fflush(NULL);
	check_status_done = 100 + (int)(((unsigned)getpid() * 2654435761u >> 8) % CHECK_STATUSES);
	pid_t pid = pipe(p) == 0 ? fork() : -1;
	if (pid < 0) {
		printf("# no process for this case: %s\n", strerror(errno));
		return 0;
	}
	if (pid == 0) {
		close(p[0]);
		dup2(p[1], 1);
		dup2(p[1], 2);
		close(p[1]);
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* Ctrl-C does not reach this group */
		setvbuf(stdout, NULL, _IOLBF, 0);
		alarm(case_seconds());
		c->run();
		exit(check_status_done);
	}
	close(p[1]);
	setpgid(pid, pid); /* there and here: whoever is first */
	int status = check_hear_out(pid, p[0], out, sizeof(out));
	int ok;
	if (WIFEXITED(status) && WEXITSTATUS(status) == check_status_skipped() && strstr(out, "skip ")) {
		snprintf(skip, skip_len, "%s", strstr(out, "skip "));
		skip[strcspn(skip, "\n")] = 0;
		return 1;
	}
	if (c->dies_by)
		ok = WIFSIGNALED(status) && WTERMSIG(status) == c->dies_by && (!c->says || strstr(out, c->says));
	else
		ok = WIFEXITED(status) && WEXITSTATUS(status) == check_status_done;
	if (!ok || !c->dies_by)
		for (char *save, *l = strtok_r(out, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
			printf("# %s\n", l);
	if (!ok && WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		printf("# has not come to its end in %u s\n", case_seconds());
	else if (!ok && WIFSIGNALED(status))
		printf("# ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (!ok)
		printf("# left with status %d before it had come to its end\n", WEXITSTATUS(status));
	if (!ok && c->dies_by)
		printf("# wanted: signal %d (%s), saying \"%s\"\n", c->dies_by, strsignal(c->dies_by),
		       c->says ? c->says : "");
	return ok;
}

static inline int check_is_named(const char *name, char *const *names)
{
	while (*names && strcmp(*names, name) != 0)
		names++;
	return *names != NULL;
}

static inline int check_alone(const char *name, int passed, const struct test_case *cases, unsigned n)
{
	char skip[200];

	for (unsigned i = 0; i < n; i++) {
		if (strcmp(cases[i].name, name) != 0)
			continue;
		int ok = check_run_case(&cases[i], skip, sizeof(skip));
		if (*skip)
			printf("%s\n", skip);
		return *skip ? CHECK_SKIPPED : ok ? passed : 1;
	}
	fprintf(stderr, "no case \"%s\"\n", name);
	return 2;
}

static inline int check_main(int argc, char **argv, const struct test_case *cases, unsigned n)
{
	if (argc > 1 && strcmp(argv[1], "--tap") == 0) {
		int failed = 0;
		if (argc == 2)
			printf("1..%u\n", n);
		for (unsigned i = 0; i < n; i++) {
			char skip[200];
			if (argc > 2 && !check_is_named(cases[i].name, argv + 2))
				continue;
			int ok = check_run_case(&cases[i], skip, sizeof(skip));
			printf("%sok %u - %s%s%s\n", ok ? "" : "not ", i + 1, cases[i].sentence, *skip ? " # " : "", skip);
			failed += !ok;
		}
		return failed != 0;
	}
	if (argc == 4 && strcmp(argv[1], "--case") == 0)
		return check_alone(argv[2], atoi(argv[3]), cases, n);
	for (unsigned i = 0; i < n; i++) {
		if (argc == 1)
			printf("%-28s %s\n", cases[i].name, cases[i].sentence);
		else if (strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			printf("%s: done\n", cases[i].name);
			return 0;
		}
	}
	if (argc > 1)
		fprintf(stderr, "%s: no case \"%s\"; without an argument the cases are listed\n", argv[0], argv[1]);
	return argc > 1 ? 2 : 0;
}

/* (No tail call: backtraces end in main.) */
#define TEST_MAIN(cases) \
	int main(int argc, char **argv) \
	{ \
		int status = check_main(argc, argv, cases, sizeof(cases) / sizeof((cases)[0])); \
		__asm__ volatile("" : "+r"(status)); \
		return status; \
	}

/* A case may die by SIGSEGV on purpose: leave that signal to the program. */
#ifdef __cplusplus
extern "C"
#endif
	__attribute__((used, visibility("default"))) const char *
	__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_segv=0:handle_abort=0:allow_user_segv_handler=1";
}

#ifdef __cplusplus
extern "C"
#endif
	__attribute__((used, visibility("default"))) const char *
	__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "handle_segv=0:handle_abort=0:report_signal_unsafe=0:die_after_fork=0";
}

#endif
