/* SPDX-License-Identifier: MIT */
/*
 * The frame of an experiment; question.h says what for.
 */
#include "question.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "costep.h"

enum { WIDTH = 79 };

#define HANG_NS  INT64_C(250000000)
#define LIMIT_NS INT64_C(60000000000)

static int n_failed;

/* --- printing ----------------------------------------------------------------------- */

/* Print @text below @head, in lines of at most WIDTH columns; it may hold UTF-8. */
static void fill(const char *head, const char *text)
{
	int indent = (int)strlen(head), column = printf("%s", head);

	while (*text) {
		int bytes = (int)strcspn(text, " "), columns = 0;

		for (int i = 0; i < bytes; i++)
			columns += (text[i] & 0xc0) != 0x80;
		if (column > indent && column + 1 + columns > WIDTH)
			column = printf("\n%*s", indent, "") - 1;
		if (column > indent)
			column += printf(" ");
		printf("%.*s", bytes, text);
		column += columns;
		text += bytes;
		text += strspn(text, " ");
	}
	printf("\n");
}

static void fill_args(const char *head, const char *format, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	if (strlen(head) + strlen(text) <= WIDTH)
		printf("%s%s\n", head, text); /* columns stay columns */
	else
		fill(head, text);
}

void saw(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill_args("  ", format, args);
	va_end(args);
}

void lacks(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill_args("  Not on this machine: ", format, args);
	va_end(args);
}

void must(bool holds, const char *expected, const char *seen, ...)
{
	va_list args;
	char text[512];

	if (holds)
		return;
	n_failed++;
	va_start(args, seen);
	vsnprintf(text, sizeof(text), seen, args);
	va_end(args);
	printf("FAILED: expected: %s; seen: %s\n", expected, text);
}

/* --- children ------------------------------------------------------------------------- */

void *shared_with_child(size_t bytes)
{
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return page;
}

char *map_bytes(size_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return map;
}

static bool is_child;

/* It may crash on purpose: no core file. And it ends with us. */
static void be_child(int output)
{
	struct rlimit none = { 0, 0 };

	is_child = true;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &none);
	dup2(output, 1);
	dup2(output, 2);
}

/* How often has @pid given the processor up, or lost it? -1: it does not sleep now. */
static long switches_of_sleeper(pid_t pid)
{
	char name[64], line[256], state = 0;
	long n, sum = 0;

	snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
	FILE *f = fopen(name, "r");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "State: %c", &state);
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1 || sscanf(line, "nonvoluntary_ctxt_switches: %ld", &n) == 1)
			sum += n;
	}
	if (f)
		fclose(f);
	return state == 'S' ? sum : -1;
}

struct ended in_child(void (*fn)(void))
{
	struct ended end = { 0 };
	int64_t begin = now_ns(), seen_at = begin;
	long seen = -1;
	int output = memfd_create("output", MFD_CLOEXEC), status;

	fflush(stdout);
	pid_t pid = fork();
	if (pid < 0 || output < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0) {
		be_child(output);
		fn();
		fflush(stdout);
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		int64_t now = now_ns();
		long n = now - begin < 20000000 ? -1 : switches_of_sleeper(pid);
		if (n < 0 || n != seen) {
			seen = n;
			seen_at = now;
		}
		if (now - seen_at > HANG_NS || now - begin > LIMIT_NS) {
			end.is_hung = true;
			kill(pid, SIGKILL);
		}
		nanosleep(&(struct timespec){ .tv_nsec = now - begin < 20000000 ? 500000 : 5000000 }, NULL);
	}
	if (WIFSIGNALED(status) && !end.is_hung)
		end.signal = WTERMSIG(status);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		must(false, "a child that ends with status 0", "%d", WEXITSTATUS(status));
	ssize_t len = pread(output, end.said, sizeof(end.said) - 1, 0);
	end.said[len > 0 ? len : 0] = '\0';
	close(output);
	return end;
}

const char *how(struct ended end)
{
	static char text[128];
	const char *why = end.signal == SIGSEGV ? "memory it may not touch" :
			  end.signal == SIGILL	? "no such instruction" :
			  end.signal == SIGBUS	? "an address that leads nowhere" :
						  "";

	if (end.is_hung)
		return "hangs, until we end it";
	if (!end.signal)
		return "ends normally";
	snprintf(text, sizeof(text), "dies of signal %d%s%s", end.signal, *why ? ": " : "", why);
	return text;
}

/* --- measuring --------------------------------------------------------------------------- */

int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* The shortest: whatever else the machine does makes it longer. */
double ns_each(void (*fn)(long rounds), long rounds)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 7; i++) {
		int64_t begin = now_ns();

		fn(rounds);
		int64_t took = now_ns() - begin;
		if (took < best)
			best = took;
	}
	return (double)best / (double)rounds;
}

static long statm_kb(int field)
{
	long pages[2] = { 0, 0 };
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%ld %ld", &pages[0], &pages[1]) != 2) {
		perror("/proc/self/statm");
		exit(2);
	}
	fclose(f);
	return pages[field] * (sysconf(_SC_PAGESIZE) / 1024);
}

long mapped_kb(void)
{
	return statm_kb(0);
}

long resident_kb(void)
{
	return statm_kb(1);
}

/* --- coroutines --------------------------------------------------------------------------- */

struct co *create_on(struct co_stack_source *slots, void *(*fn)(void *), void *arg)
{
	struct co_attr attr = { .share_stack = slots };
	struct co *co;

	if (co_create(&co, &attr, fn, arg) != 0) {
		perror("co_create");
		exit(2);
	}
	return co;
}

struct co *create(void *(*fn)(void *), void *arg)
{
	return create_on(NULL, fn, arg);
}

void make_context(struct coctx *ctx, void *top, void (*fn)(void *))
{
	static const struct coctx *const nobody = &coctx_nobody;

	coctx_make(ctx, top, fn, NULL, &nobody);
}

/* --- the frame ---------------------------------------------------------------------------- */

static int n_answers(void)
{
	int n = 0;

	while (n < 5 && question.answers[n])
		n++;
	return n;
}

/* Ask until there is a letter, or nothing: Enter, or the end of the input. */
static char ask(void)
{
	char line[64], last = (char)('a' + n_answers() - 1);

	for (;;) {
		printf("Your prediction (a to %c; Enter to go on without one): ", last);
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin)) {
			printf("\n");
			return 0;
		}
		char c = (char)tolower((unsigned char)line[0]);
		if (line[0] == '\n')
			return 0;
		if (c >= 'a' && c <= last && line[1] == '\n')
			return c;
	}
}

/* "Q4" of lessons/questions/q4-why-share.c, "7" of 07-yield.c. */
static const char *number(void)
{
	static char text[8];
	const char *slash = strrchr(question.file, '/'), *base = slash ? slash + 1 : question.file;

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(base, "-"), *base == '0' ? base + 1 : base);
	text[strcspn(text, "-")] = '\0';
	text[0] = (char)toupper((unsigned char)text[0]);
	return text;
}

static const char *answer_text(char letter)
{
	int i = letter - 'a';

	return i >= 0 && i < n_answers() ? question.answers[i] : "none of these";
}

static void compare(char predicted, char happened)
{
	if (happened == NOT_SHOWN) {
		printf("It would be %c).\n", question.answer);
		return;
	}
	must(happened == question.answer, answer_text(question.answer), "%s", answer_text(happened));
	if (happened < 'a')
		return;
	if (!predicted)
		printf("It is %c).\n", happened);
	else if (predicted == happened)
		printf("It is %c), as you said.\n", happened);
	else
		printf("It is %c). You said %c).\n", happened, predicted);
}

/* Of what is to crash, a child does. If we do, the machine does something else than we claim. */
static void on_crash(int sig)
{
	static char text[] = "FAILED: expected: an end of the experiment; seen: signal 00 instead\n";
	char *digits = strstr(text, "00");

	signal(sig, SIG_DFL);
	if (is_child)
		return; /* it happens once more, and ends the child */
	digits[0] = (char)('0' + sig / 10);
	digits[1] = (char)('0' + sig % 10);
	if (write(1, text, sizeof(text) - 1) > 0)
		_exit(1);
}

static void watch_for_crashes(void)
{
	static char stack[64 * 1024];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction act = { .sa_handler = on_crash, .sa_flags = SA_ONSTACK };
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM };

	sigaltstack(&alternate, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &act, NULL);
	alarm(50); /* an experiment without end is none */
}

int main(int argc, char **argv)
{
	bool asks = isatty(0) && isatty(1);
	char predicted = 0, head[8];

	if (argc == 2 && strcmp(argv[1], "--no-ask") == 0) {
		asks = false;
	} else if (argc > 1) {
		fprintf(stderr, "usage: %s [--no-ask]\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("Question %s (lesson %d). %s\n", number(), question.lesson,
	       *number() == 'Q' ? "Readers of libco ask:" : "People believe:");
	fill("  ", question.belief);
	fill("It seems so: ", question.natural);
	fill("Predict: ", question.predict);
	for (int i = 0; i < n_answers(); i++) {
		snprintf(head, sizeof(head), "  %c) ", 'a' + i);
		fill(head, question.answers[i]);
	}
	if (asks)
		predicted = ask();
	watch_for_crashes();
	printf("What happens:\n");
	compare(predicted, experiment());
	fill("Why: ", question.because);
	return n_failed ? 1 : 0;
}
