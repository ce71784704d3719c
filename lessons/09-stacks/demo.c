/* SPDX-License-Identifier: MIT */
/*
 * Lesson 9: what coroutines stand on.
 *
 * Links with the layers of lessons 1 to 3 and 9. Whatever crashes does so in a child
 * process, and what that has said is shown.
 * For experiments: `demo jump` is part 4 alone.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "costep.h"
#include "stack.h" /* the box that this lesson opens */

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { KIB = 1024, MIB = 1024 * 1024 };

static struct co *create(const char *name, int stack_size, co_fn *fn, void *arg)
{
	struct co *co;
	if (co_create(&co, &(struct co_attr){ .stack_size = stack_size }, fn, arg) != 0) {
		perror("co_create");
		exit(1);
	}
	co_set_name(co, name);
	return co;
}

static const char *yes(int is_so)
{
	return is_so ? "yes" : "no";
}

static void *yield_once(void *arg)
{
	co_yield_ct();
	return arg;
}

/* --- children that crash ------------------------------------------------------------------ */

static char said[4096]; /* what the latest child wrote */

/* Run @fn in a child; its wait status. */
static int run_child(void (*fn)(void))
{
	int p[2], status = 0;
	size_t len = 0;

	fflush(stdout);
	pid_t pid = pipe(p) == 0 ? fork() : -1;
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0) {
		dup2(p[1], 1);
		dup2(p[1], 2);
		close(p[0]);
		fn();
		fflush(stdout);
		_exit(0);
	}
	close(p[1]);
	for (ssize_t n; (n = read(p[0], said + len, sizeof(said) - 1 - len)) > 0;)
		len += (size_t)n;
	said[len] = 0;
	close(p[0]);
	waitpid(pid, &status, 0);
	return status;
}

/* --- 1. how deep? --------------------------------------------------------------------- */

static void *print_number(void *arg)
{
	char text[40];
	snprintf(text, sizeof(text), "%.3f", 3.14159);
	return arg;
}

__attribute__((noinline)) static int recurse(volatile int n)
{
	return n == 0 ? 0 : 1 + recurse(n - 1);
}

static void *recurse_100(void *arg)
{
	recurse(100);
	return arg;
}

enum { BUFFER = 50 * KIB };

static void *fill_buffer(void *arg)
{
	char buffer[BUFFER];
	memset(buffer, 'x', sizeof(buffer));
	__asm__ volatile("" : : "r"(buffer) : "memory"); /* keep it, though nobody reads it */
	return arg;
}

/* The same, but it writes the uppermost byte only. */
static void *touch_buffer(void *arg)
{
	char buffer[BUFFER];
	buffer[BUFFER - 1] = 'x';
	__asm__ volatile("" : : "r"(buffer) : "memory");
	return arg;
}

__attribute__((noinline)) static void do_nothing(void)
{
	__asm__ volatile("");
}

static void *touch_buffer_and_call(void *arg)
{
	char buffer[BUFFER];
	buffer[BUFFER - 1] = 'x';
	__asm__ volatile("" : : "r"(buffer) : "memory");
	do_nothing();
	return arg;
}

static size_t run_and_ask(co_fn *fn)
{
	struct co *co = create("asked", 0, fn, NULL);

	co_resume(co);
	size_t used = co_stack_used(co);
	co_release(co);
	return used;
}

static void show_depths(void)
{
	printf("1. how deep did each get on its 128 KiB?\n");
	co_stack_measure(true);
	printf("~  yields                                  %6zu bytes\n", run_and_ask(yield_once));
	printf("~  snprintf of a number                    %6zu\n", run_and_ask(print_number));
	printf("~  100 nested calls                        %6zu\n", run_and_ask(recurse_100));
	printf("~  fills a buffer of 50 KiB                %6zu\n", run_and_ask(fill_buffer));
	size_t touched = run_and_ask(touch_buffer), called = run_and_ask(touch_buffer_and_call);
	co_stack_measure(false);
	printf("~  writes only the buffer's top byte       %6zu\n", touched);
	printf("~  the same, then calls an empty function  %6zu\n", called);
	printf("   the buffer is seen: %s; after the call: %s\n", yes(touched > BUFFER), yes(called > BUFFER));
}

/* --- 2. the pool ------------------------------------------------------------------------ */

static void *release_oneself(void *arg)
{
	printf("   a coroutine releases itself: %s\n", co_release(co_self()) == 0 ? "fine" : strerrorname_np(errno));
	return arg;
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

enum { WAVE = 1000 };

/* A wave of coroutines is created and run; microseconds for each. Then all are released. */
static double time_wave(void)
{
	static struct co *co[WAVE];
	double begin = now_us();

	for (int i = 0; i < WAVE; i++) {
		co[i] = create("wave", 96 * KIB, yield_once, NULL);
		co_resume(co[i]);
	}
	double each = (now_us() - begin) / WAVE;
	for (int i = 0; i < WAVE; i++)
		co_release(co[i]);
	return each;
}

static void time_two_waves(void)
{
	printf("~  create and resume %d: on new stacks %.2f us each,", WAVE, time_wave());
	printf(" on stacks from the pool %.2f us\n", time_wave());
}

static void show_pool(void)
{
	printf("2. a stack that is given back is handed on\n");
	struct co *co = create("hasty", 0, release_oneself, NULL);
	co_resume(co);
	co_release(co);

	size_t first = run_and_ask(fill_buffer), second = run_and_ask(yield_once);
	printf("   one fills 50 KiB; the next on that stack merely yields, and seems to have gone as deep: %s\n",
	       yes(second == first));
	co_stack_measure(true);
	printf("   with co_stack_measure(true) too: %s\n", yes(run_and_ask(yield_once) == first));
	co_stack_measure(false);
	run_child(time_two_waves); /* so that the numbers of coroutines go on as they were */
	printf("%s", said);
}

/* --- 3. an overflow ------------------------------------------------------------------------- */

/* visible, so that the report can name it */
void *dig(void *arg);

static int dig_on(volatile int n)
{
	volatile char earth[KIB];
	earth[0] = (char)n;
	return n < 0 ? 0 : dig_on(n + 1) + earth[0];
}

void *dig(void *arg)
{
	dig_on(0);
	return arg;
}

static void overflow(void)
{
	co_resume(create("digger", 0, dig, NULL));
}

static void show_overflow(void)
{
	printf("3. a recursion without end; the child process says\n");
	int status = run_child(overflow);
	for (char *line = strtok(said, "\n"); line; line = strtok(NULL, "\n"))
		if (!strstr(line, " 0x")) /* addresses differ each time */
			printf("   | %s\n", line);
	printf("   and ends by signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* --- 4. a jump over the guard ----------------------------------------------------------------- */

/* The victim's stack lies below the jumper's, and a large array of its lies at the top. */
static void *own_numbers(void *arg)
{
	int numbers[8000], wrong = 0;

	memset(numbers, 0, sizeof(numbers));
	__asm__ volatile("" : : "r"(numbers) : "memory");
	co_yield_ct();
	for (int i = 0; i < 8000; i++)
		wrong += numbers[i] != 0;
	printf("nobody is stopped, and the neighbour's numbers %s\n", wrong ? "have changed" : "are as they were");
	return arg;
}

/* A large local, of which only the lowest 400 bytes are written. */
__attribute__((noinline)) static void take_20_kib(void)
{
	char local[20 * KIB];
	memset(local, 1, 400);
	__asm__ volatile("" : : "r"(local) : "memory");
}

__attribute__((noinline)) static void take_80_kib(void)
{
	char local[80 * KIB];
	memset(local, 1, 400);
	__asm__ volatile("" : : "r"(local) : "memory");
}

/* Go down by small steps until only 2 KiB are left of a stack that ends at @lo. */
__attribute__((noinline)) static void go_down(const char *lo, void (*then)(void))
{
	volatile char step[200];

	step[0] = 1;
	if ((char *)step - lo < 2 * KIB)
		then();
	else
		go_down(lo, then);
	step[0] = 2;
}

static void (*take)(void);

static void *jump(void *arg)
{
	go_down((char *)__builtin_frame_address(0) - co_stack_size(co_self()), take);
	return arg;
}

static void jump_beside_a_neighbour(void)
{
	struct co *victim = create("victim", 128 * KIB, own_numbers, NULL);
	struct co *jumper = create("jumper", 128 * KIB, jump, NULL);

	co_resume(victim);
	co_resume(jumper);
	co_resume(victim);
}

static void show_jump(int kib)
{
	take = kib == 20 ? take_20_kib : take_80_kib;
	co_stack_thread_exit(); /* new slabs: the next two stacks are neighbours */
	run_child(jump_beside_a_neighbour);
	printf("   a local of %d KiB: %s\n", kib, *said ? strtok(said, "\n") : "it died without a word");
}

static void show_jumps(void)
{
	printf("4. 2 KiB of the stack are left, the guard has 64; a function's first write is to\n"
	       "   the low end of its local, in a function that was compiled like this one\n");
	show_jump(20);
	show_jump(80);
}

/* --- 5. how many? ------------------------------------------------------------------------------- */

static size_t count_maps(void)
{
	size_t n = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	for (int c; f && (c = getc(f)) != EOF;)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

enum { MANY = 40000, SMALL = 16 * KIB };

/* In one large map, make the lowest page of every 16 KiB a guard. */
static void guard_many(const char *name, int by_madvise)
{
	size_t before = count_maps(), page = (size_t)sysconf(_SC_PAGESIZE);
	char *lo = mmap(NULL, (size_t)MANY * SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int n = 0, error = 0;

	for (; n < MANY && !error; n += !error)
		error = by_madvise ? madvise(lo + (size_t)n * SMALL, page, MADV_GUARD_INSTALL)
				   : mprotect(lo + (size_t)n * SMALL, page, PROT_NONE);
	printf("~  %-22s %5d stacks with a guard, %5zu maps\n", name, n, count_maps() - before);
	munmap(lo, (size_t)MANY * SMALL);
}

static void create_many(void)
{
	static struct co *co[MANY];
	size_t before = count_maps();
	int n = 0;

	while (n < MANY && co_create(&co[n], &(struct co_attr){ .stack_size = SMALL }, yield_once, NULL) == 0)
		n++;
	printf("~  %-22s %5d stacks with a guard, %5zu maps\n", "co_create", n, count_maps() - before);
	while (n > 0)
		co_release(co[--n]);
	co_stack_thread_exit();
}

static void show_limit(void)
{
	printf("5. %d stacks, please\n", MANY);
	guard_many("mprotect", 0);
	guard_many("MADV_GUARD_INSTALL", 1);
	create_many();
}

/* --- 6. reserved and resident --------------------------------------------------------------------- */

/* Of this process, in MiB. */
static void ask_memory(double *reserved, double *resident)
{
	unsigned long total = 0, there = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (!f || fscanf(f, "%lu %lu", &total, &there) != 2)
		perror("/proc/self/statm");
	if (f)
		fclose(f);
	double page = (double)sysconf(_SC_PAGESIZE);
	*reserved = (double)total * page / MIB;
	*resident = (double)there * page / MIB;
}

static void show_memory(void)
{
	enum { N = 10000 };
	static struct co *co[N];
	double reserved[3], resident[3];

	printf("6. %d coroutines, each on 128 KiB, each has yielded once\n", N);
	ask_memory(&reserved[0], &resident[0]);
	for (int i = 0; i < N; i++) {
		co[i] = create("one of many", 0, yield_once, NULL);
		co_resume(co[i]);
	}
	ask_memory(&reserved[1], &resident[1]);
	size_t sum = 0;
	for (int i = 0; i < N; i++)
		sum += co_stack_used(co[i]);
	ask_memory(&reserved[2], &resident[2]);
	printf("~  addresses %5.0f MiB, memory %4.0f MiB; written %4.1f MiB\n", reserved[1] - reserved[0],
	       resident[1] - resident[0], (double)sum / MIB);
	printf("   less than a tenth of the addresses have memory: %s\n",
	       yes((resident[1] - resident[0]) * 10 < reserved[1] - reserved[0]));
	printf("   to ask all for their mark made more than 1 MiB resident: %s\n", yes(resident[2] - resident[1] > 1));
	for (int i = 0; i < N; i++)
		co_release(co[i]);
}

int main(int argc, char **argv)
{
	const char *part = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!*part) {
		show_depths();
		show_pool();
		show_overflow();
	}
	if (!*part || strcmp(part, "jump") == 0)
		show_jumps();
	if (!*part) {
		show_limit();
		show_memory();
		printf("main returns\n");
	}
	return 0;
}
