/* SPDX-License-Identifier: MIT */
/* Closures: copies and references, any types, run now, later and in coroutines. */
#include "closure.h"

#include "coroutine.h"
#include "loop.h"
#include "tools.h"

/* The example of closure.h, letter for letter (a test compares). */
CO_CLOSURE(add_up, (int, from), (int, to), (long *, sum))
{
	for (int i = self->from; i <= self->to; i++)
		*self->sum += i;
	return NULL;
}

static void example(void)
{
	struct co *co;
	long sum = 0;

	struct add_up *closure = add_up_new(1, 100, &sum);
	CHECK_EQ(co_create(&co, NULL, co_closure_run_once, closure), 0);
	CHECK_EQ(sum, 0);
	CHECK_EQ(co_resume(co), 0);
	CHECK_EQ(sum, 5050);
	CHECK_EQ(co_release(co), 0);
}

/* The code block in closure.h's comment is the code above. */
static void example_in_header(void)
{
	static char text[64 * 1024];
	static const char *const lines[] = {
		"CO_CLOSURE(add_up, (int, from), (int, to), (long *, sum))",
		"for (int i = self->from; i <= self->to; i++)",
		"*self->sum += i;",
		"return NULL;",
		"struct add_up *closure = add_up_new(1, 100, &sum);",
		"co_create(&co, NULL, co_closure_run_once, closure)",
	};
	const char *const files[] = { "src/closure.h", "tests/unit/t_closure.c" };

	for (int f = 0; f < 2; f++) {
		FILE *file = fopen(files[f], "r");
		if (!file)
			check_skip("not run in the project's folder");
		text[fread(text, 1, sizeof(text) - 1, file)] = 0;
		fclose(file);
		const char *at = text;
		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
			at = strstr(at, lines[i]);
			CHECK(at != NULL);
		}
	}
}

CO_CLOSURE(count, (int, n), (const int, step))
{
	self->n += self->step;
	return (void *)(intptr_t)self->n;
}

static void by_value(void)
{
	int n = 5, step = 2;
	struct count *a = count_new(n, step), *b = count_new(n + 1, 10);

	n = step = 1000;
	CHECK_EQ(co_closure_run(a), 7);
	CHECK_EQ(co_closure_run(a), 9); /* its own copy, kept */
	CHECK_EQ(co_closure_run(b), 16);
	CHECK_EQ(a->n, 9);
	CHECK_EQ(n + step, 2000);
	free(a);
	free(b);
}

CO_CLOSURE(append, (char **, to), (const char *const, text))
{
	*self->to = strcpy(*self->to, self->text) + strlen(self->text);
	return self;
}

static void by_reference(void)
{
	char text[20] = "", *end = text;
	struct append *one = append_new(&end, "one"), *two = append_new(&end, ", two");

	CHECK_EQ(co_closure_run(one), one);
	end++[0] = '!';
	co_closure_run(two);
	CHECK_EQ(strcmp(text, "one!, two"), 0);
	free(one);
	free(two);
}

struct point {
	double x, y;
};
typedef int compare_fn(const void *, const void *);
enum colour { RED, GREEN };
struct four {
	int of[4];
};

CO_CLOSURE(many, (char, c), (double, d), (struct point, p), (compare_fn *, compare), (enum colour, colour),
	   (struct four, four), (const char *, s), (long long, ll), (_Bool, b), (float *, f))
{
	CHECK_EQ(self->c, 'c');
	CHECK(self->d == 0.5);
	CHECK(self->p.x == 1.5 && self->p.y == -2.5);
	CHECK(self->compare == (compare_fn *)strcmp);
	CHECK_EQ(self->colour, GREEN);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(self->four.of[i], i * i);
	CHECK_EQ(strcmp(self->s, "text"), 0);
	CHECK_EQ(self->ll, 1LL << 60);
	CHECK(self->b);
	*self->f *= 2;
	return self;
}

static void all_types(void)
{
	float f = 1.25F;
	struct many *m = many_new('c', 0.5, (struct point){ 1.5, -2.5 }, (compare_fn *)strcmp, GREEN,
				  (struct four){ { 0, 1, 4, 9 } }, "text", 1LL << 60, 3 > 2, &f);

	CHECK_EQ(co_closure_run(m), m);
	CHECK(f == 2.5F);
	free(m);
}

/* Each number of captures has a macro of its own. */
#define SUM(n, expression, ...) \
	CO_CLOSURE(sum##n, __VA_ARGS__) \
	{ \
		return (void *)(intptr_t)(expression); \
	}
#define S(x) self->x
SUM(1, S(a), (int, a))
SUM(2, S(a) * 2 + S(b), (int, a), (short, b))
SUM(3, S(a) * 4 + S(b) * 2 + S(c), (int, a), (short, b), (char, c))
SUM(4, S(a) * 8 + S(b) * 4 + S(c) * 2 + S(d), (int, a), (short, b), (char, c), (long, d))
SUM(5, S(a) + S(e) * 3, (int, a), (int, b), (int, c), (int, d), (int, e))
SUM(6, S(a) + S(f) * 3, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f))
SUM(7, S(a) + S(g) * 3, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g))
SUM(8, S(a) + S(h) * 3, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g), (int, h))
SUM(9, S(a) + S(i) * 3, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g), (int, h), (int, i))
SUM(10, S(a) + S(j) * 3, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g), (int, h), (int, i),
    (int, j))
SUM(11, S(a) + S(k) * 3, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g), (int, h), (int, i),
    (int, j), (int, k))
SUM(12, S(a) + S(l) * 3, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g), (int, h), (int, i),
    (int, j), (int, k), (int, l))
SUM(13, S(a) + S(m) * 3, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g), (int, h), (int, i),
    (int, j), (int, k), (int, l), (int, m))
SUM(14, S(a) + S(n) * 3, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g), (int, h), (int, i),
    (int, j), (int, k), (int, l), (int, m), (int, n))
SUM(15, S(a) + S(o) * 3, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g), (int, h), (int, i),
    (int, j), (int, k), (int, l), (int, m), (int, n), (int, o))
SUM(16, S(a) + S(b) * 2 + S(c) * 3 + S(d) * 4 + S(e) * 5 + S(f) * 6 + S(g) * 7 + S(h) * 8 + S(i) * 9 + S(j) * 10 +
    S(k) * 11 + S(l) * 12 + S(m) * 13 + S(n) * 14 + S(o) * 15 + S(p) * 16,
    (int, a), (int, b), (int, c), (int, d), (int, e), (int, f), (int, g), (int, h), (int, i), (int, j), (int, k),
    (int, l), (int, m), (int, n), (int, o), (int, p))

static intptr_t run_free(void *closure)
{
	return (intptr_t)co_closure_run_once(closure);
}

static void all_counts(void)
{
	int squares = 0;

	CHECK_EQ(run_free(sum1_new(3)), 3);
	CHECK_EQ(run_free(sum2_new(1, 2)), 4);
	CHECK_EQ(run_free(sum3_new(1, 2, 3)), 11);
	CHECK_EQ(run_free(sum4_new(1, 2, 3, 4)), 26);
	CHECK_EQ(run_free(sum5_new(1, 0, 0, 0, 5)), 16);
	CHECK_EQ(run_free(sum6_new(1, 0, 0, 0, 0, 6)), 19);
	CHECK_EQ(run_free(sum7_new(1, 0, 0, 0, 0, 0, 7)), 22);
	CHECK_EQ(run_free(sum8_new(1, 0, 0, 0, 0, 0, 0, 8)), 25);
	CHECK_EQ(run_free(sum9_new(1, 0, 0, 0, 0, 0, 0, 0, 9)), 28);
	CHECK_EQ(run_free(sum10_new(1, 0, 0, 0, 0, 0, 0, 0, 0, 10)), 31);
	CHECK_EQ(run_free(sum11_new(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11)), 34);
	CHECK_EQ(run_free(sum12_new(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12)), 37);
	CHECK_EQ(run_free(sum13_new(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13)), 40);
	CHECK_EQ(run_free(sum14_new(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14)), 43);
	CHECK_EQ(run_free(sum15_new(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15)), 46);
	for (int i = 1; i <= 16; i++)
		squares += i * i;
	CHECK_EQ(run_free(sum16_new(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)), squares);
}

CO_CLOSURE(step_by_step, (int, steps), (int *, done), (char, who))
{
	for (int i = 0; i < self->steps; i++) {
		*self->done = *self->done * 10 + self->who;
		CHECK_EQ(co_reschedule(), 0);
	}
	return self;
}

/* The heap's, not the stack's: it is there when the function that made it is not. */
static struct co *start_step_by_step(int steps, int *done, char who)
{
	struct co *co;
	struct step_by_step *closure = step_by_step_new(steps, done, who);

	CHECK(closure != NULL);
	CHECK_EQ(co_create(&co, NULL, co_closure_run, closure), 0);
	CHECK_EQ(co_resume(co), 0);
	return co;
}

static void in_coroutines(void)
{
	int done = 0;
	struct co *a = start_step_by_step(2, &done, 1), *b = start_step_by_step(3, &done, 2);

	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(done, 12122);
	CHECK_EQ(co_reset(b), 0); /* run again: so it must not have been freed */
	CHECK_EQ(co_resume(b), 0);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(done, 12122222);
	free(co_result(a));
	free(co_result(b));
	CHECK_EQ(co_release(a), 0);
	CHECK_EQ(co_release(b), 0);
}

/* Several kinds in one queue. */
static void by_common_name(void)
{
	int done = 0;
	long sum = 0;
	struct co_closure *queue[] = {
		&add_up_new(1, 3, &sum)->closure,
		&step_by_step_new(0, &done, 0)->closure,
		&sum1_new(9)->closure,
		&count_new(1, 1)->closure,
	};
	intptr_t results[4];

	for (int i = 0; i < 4; i++)
		results[i] = run_free(queue[i]);
	CHECK_EQ(sum, 6);
	CHECK_EQ(results[2], 9);
	CHECK_EQ(results[3], 2);
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void __real_free(void *p);
void __wrap_free(void *p);
static bool no_memory;
static uintptr_t last_freed;
static void *volatile kept; /* else the compiler sees that malloc and free are for nothing */

void *__wrap_malloc(size_t n)
{
	if (!no_memory)
		return __real_malloc(n);
	errno = ENOMEM;
	return NULL;
}

void __wrap_free(void *p)
{
	last_freed = (uintptr_t)p;
	__real_free(p);
}

static void out_of_memory(void)
{
	long sum = 0;

	no_memory = true;
	CHECK_FAILS(kept = add_up_new(1, 2, &sum), 0, ENOMEM);
	no_memory = false;
}

static void freed(void)
{
	uintptr_t at = (uintptr_t)(kept = count_new(1, 2));

	CHECK_EQ(co_closure_run(kept), 3);
	CHECK(last_freed != at);
	CHECK_EQ(co_closure_run_once(kept), 5);
	CHECK_EQ(last_freed, at);
}

static const struct test_case cases[] = {
	{ "example", "the header's example runs in a coroutine", example, 0, 0 },
	{ "example_in_header", "and is what the header says", example_in_header, 0, 0 },
	{ "by_value", "a capture is a copy, which the body may change", by_value, 0, 0 },
	{ "by_reference", "a captured pointer reaches the variable itself", by_reference, 0, 0 },
	{ "all_types", "H06 ten captures: numbers, structs, functions, an array in a struct", all_types, 0, 0 },
	{ "all_counts", "H06 one capture to sixteen, each where it belongs, values instead of variables", all_counts, 0, 0 },
	{ "in_coroutines", "closures outlive their maker, wait in coroutines, and run again after a reset", in_coroutines, 0, 0 },
	{ "by_common_name", "closures of several kinds are run without knowing which", by_common_name, 0, 0 },
	{ "out_of_memory", "no memory: NULL and ENOMEM", out_of_memory, 0, 0 },
	{ "freed", "run_once frees the closure after its body, run does not", freed, 0, 0 },
};

TEST_MAIN(cases)
