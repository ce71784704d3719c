/* SPDX-License-Identifier: MIT */
/*
 * The frame of an experiment; question.h says what for.
 */
#include "question.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "costep.h"

enum { WIDTH = 79 };

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

char *map_bytes(size_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return map;
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
