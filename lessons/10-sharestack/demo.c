/* SPDX-License-Identifier: MIT */
/*
 * Lesson 10: many coroutines on few stacks.
 *
 * Links with the layers of lessons 1 to 3 and 10. src/env.h is not for programs: the
 * demo looks into the structs with it, as a debugger would.
 */
#include <alloca.h>
#include <execinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "costep.h"
#include "env.h"

enum { KIB = 1024 };

__attribute__((noreturn)) static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* @shared  NULL: a stack of its own. */
static struct co *create(struct co_stack_source *shared, const char *name, co_fn *fn, void *arg)
{
	struct co_attr attr = { .share_stack = shared };
	struct co *co;

	if (co_create(&co, &attr, fn, arg) != 0)
		fail("co_create");
	co_set_name(co, name);
	return co;
}

static struct co_stack_source *share(int slots)
{
	struct co_stack_source *shared = co_alloc_sharestack(slots, 128 * KIB);

	if (!shared)
		fail("co_alloc_sharestack");
	return shared;
}

static struct co_sharestack_stats stats(struct co_stack_source *shared)
{
	struct co_sharestack_stats s;

	if (co_sharestack_stats(shared, &s) != 0)
		fail("co_sharestack_stats");
	return s;
}

static const struct co_stack *stack_of(const struct co *co)
{
	return co->exec.stack;
}

/* Are @co's bytes in a save_buffer? */
static bool is_out(const struct co *co)
{
	return stack_of(co)->save_len > 0;
}

/* --- 1. by turns ---------------------------------------------------------------------- */

static volatile int *address[3]; /* of each one's n */

static void *count(void *index)
{
	volatile int n = 0;

	address[*(int *)index] = &n;
	while (n < 3) {
		n++;
		printf("   %-8s %d  ", co_name(co_self()), n);
		co_yield_ct();
	}
	address[*(int *)index] = NULL;
	return NULL;
}

/* Of those who have begun, who is there? */
static void show_places(struct co *const *co, const char *place, bool out)
{
	char names[40] = "";

	for (int i = 0; i < 3; i++)
		if (co_status(co[i]) == CO_SUSPENDED && is_out(co[i]) == out)
			snprintf(names + strlen(names), sizeof(names) - strlen(names), " %s", co_name(co[i]));
	printf(place, names[0] ? names + 1 : "-");
}

static void show_turns(void)
{
	static const int order[] = { 0, 1, 2, 0, 0, 1 };
	int index[] = { 0, 1, 2 };
	struct co_stack_source *shared = share(1);
	struct co *co[] = {
		create(shared, "alice", count, &index[0]),
		create(shared, "bob", count, &index[1]),
		create(shared, "carol", count, &index[2]),
	};

	printf("1. three coroutines on one slot\n");
	printf("   runs     n  in the slot  in save_buffers\n");
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		co_resume(co[order[i]]);
		show_places(co, "%-13s", false);
		show_places(co, "%s\n", true);
	}
	struct co_sharestack_stats s = stats(shared);
	printf("   their n lie at the same address: %s\n",
	       address[0] == address[1] && address[0] == address[2] ? "yes" : "no");
	printf("   entered %d times: copied out %d times, back in %d times\n", (int)s.entries, (int)s.saves,
	       (int)s.loads);
	printf("~  each time %d bytes, of the %d KiB that the slot has\n", (int)(s.saved_bytes / s.saves),
	       (int)(s.slot_bytes / KIB));
	for (int i = 0; i < 3; i++)
		co_release(co[i]);
	co_free_sharestack(shared);
}

/* --- 2. an address that leads to somebody else -------------------------------------------- */

static volatile int *lent;

/* Lend the own number, or borrow the one that is lent. */
static void *lend_or_borrow(void *value)
{
	volatile int mine = *(int *)value;

	if (!lent) {
		lent = &mine;
		co_yield_ct();
		printf("alice finds %d\n", mine);
		lent = NULL;
		return NULL;
	}
	printf("bob reads %d, writes 1; ", *lent);
	*lent = 1;
	return NULL;
}

static void *lend_from_heap(void *value)
{
	volatile int *mine = malloc(sizeof(*mine));

	if (!mine)
		fail("malloc");
	*mine = *(int *)value;
	lent = mine;
	co_yield_ct();
	printf("alice finds %d\n", *mine);
	lent = NULL;
	free((void *)mine);
	return NULL;
}

static void show_lending(const char *where, co_fn *lend, struct co_stack_source *shared)
{
	int values[] = { 42, 7777 };
	struct co *alice = create(shared, "alice", lend, &values[0]);
	struct co *bob = create(shared, "bob", lend_or_borrow, &values[1]);

	printf("   %s ", where);
	co_resume(alice);
	co_resume(bob);
	co_resume(alice);
	co_release(alice);
	co_release(bob);
}

static void show_addresses(void)
{
	struct co_stack_source *shared = share(1);

	printf("2. alice has 42 and lends bob its address; bob's own number is 7777\n");
	show_lending("a local, shared slot:     ", lend_or_borrow, shared);
	show_lending("a local, private stacks:  ", lend_or_borrow, NULL);
	show_lending("on the heap, shared slot: ", lend_from_heap, shared);
	co_free_sharestack(shared);
}

/* --- 3. one resumes another on its own slot --------------------------------------------------- */

static const char *end_of_backtrace(void)
{
	void *pcs[50];
	int n = backtrace(pcs, 50);

	return pcs[n - 1] == coctx_copied_out.rip ? "co_resumer_is_copied_out" : "the bottom of main's stack";
}

static void *yield_twice(void *arg)
{
	printf("      bob: alice's bytes are %s; a backtrace ends in %s\n",
	       is_out(co_self()->resumer) ? "in her save_buffer" : "in place", end_of_backtrace());
	co_yield_ct();
	co_yield_ct();
	return arg;
}

static void *resume_thrice(void *bob)
{
	for (int i = 0; i < 3; i++)
		co_resume(bob);
	return NULL;
}

static void show_hops(int slots)
{
	struct co_stack_source *shared = share(slots);
	struct co *bob = create(shared, "bob", yield_twice, NULL), *alice = create(shared, "alice", resume_thrice, bob);

	printf("   %d slot%s\n", slots, slots > 1 ? "s" : "");
	co_resume(alice);
	struct co_sharestack_stats s = stats(shared);
	printf("      %d hops; copied out %d times, back in %d times\n", (int)s.hops, (int)s.saves, (int)s.loads);
	co_release(alice);
	co_release(bob);
	co_free_sharestack(shared);
}

/* --- 4. the resident goes --------------------------------------------------------------------- */

static void *keep_bytes(void *arg)
{
	volatile unsigned char bytes[256];
	int n_wrong = 0;

	for (int i = 0; i < 256; i++)
		bytes[i] = (unsigned char)i;
	co_yield_ct();
	for (int i = 0; i < 256; i++)
		n_wrong += bytes[i] != i;
	printf("   alice is back: of her 256 bytes %d are wrong\n", n_wrong);
	return arg;
}

/* Not inlined: else these bytes would be its caller's for good. */
__attribute__((noinline)) static void *overwrite(void *arg)
{
	volatile unsigned char bytes[8 * KIB];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 0x42;
	return arg;
}

static void show_release(void)
{
	struct co_stack_source *shared = share(1);
	struct co *alice = create(shared, "alice", keep_bytes, NULL), *bob = create(shared, "bob", overwrite, NULL);

	printf("4. alice is copied out; bob runs to his end and is released\n");
	co_resume(alice);
	co_resume(bob);
	printf("   bob is %s, alice is %s\n", co_state_name(co_status(bob)), is_out(alice) ? "copied out" : "in place");
	co_release(bob);
	co_resume(alice);
	co_release(alice);
	co_free_sharestack(shared);
}

/* --- 5. a stack that moves ------------------------------------------------------------------------ */

static bool is_on(const void *address_, const struct co_stack *stack)
{
	return (const char *)address_ >= stack->lo && (const char *)address_ < stack->hi;
}

static void *point_to_local(void *arg)
{
	volatile int n = 1;
	volatile int *volatile p = &n;
	const struct co_stack *old = stack_of(co_self());

	co_yield_ct();
	printf("   alice: my pointer to my own local leads to %s\n", is_on((void *)p, old) ? "the old stack" : "the new one");
	return arg;
}

/* "It is full: copy it to a larger one." */
static void show_moving(void)
{
	struct co *alice = create(NULL, "alice", point_to_local, NULL);
	struct co_stack *larger = co_stack_get(256 * KIB);
	struct coctx *ctx = &alice->exec.ctx;

	if (!larger)
		fail("co_stack_get");
	printf("5. alice's stack is to grow: main moves its bytes to a larger one\n");
	co_resume(alice);
	char *hi = stack_of(alice)->hi;
	size_t len = (size_t)(hi - (char *)ctx->rsp);
	memcpy(larger->hi - len, ctx->rsp, len);
	ctx->rbp = larger->hi - (hi - (char *)ctx->rbp);
	ctx->rsp = larger->hi - len;
	co_resume(alice);
	co_release(alice);
	larger->ops->put(larger);
}

/* --- 6. what it costs ---------------------------------------------------------------------------------- */

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Bytes that are copied when @co must make place. */
static size_t live_bytes(const struct co *co)
{
	return (size_t)(stack_of(co)->hi - (char *)co->exec.ctx.rsp);
}

__attribute__((noinline)) static void yield_below(int calls)
{
	volatile char bytes[KIB] = { 1 };

	if (calls > 0)
		yield_below(calls - 1);
	else
		co_yield_ct();
	(void)bytes[0];
}

static void *dive(void *arg)
{
	yield_below(32);
	co_yield_ct();
	return arg;
}

static void show_depth(void)
{
	struct co_stack_source *shared = share(1);
	struct co *alice = create(shared, "alice", dive, NULL);

	printf("6. alice calls 32 KiB deep, yields, comes up, yields again. What must be copied?\n");
	co_resume(alice);
	size_t below = live_bytes(alice);
	co_resume(alice);
	printf("~  deep %zu bytes, later %zu\n", below, live_bytes(alice));
	co_release(alice);
	co_free_sharestack(shared);
}

static void *hold(void *len)
{
	volatile char *bytes = alloca(*(size_t *)len);

	for (size_t i = 0; i < *(size_t *)len; i += 64)
		bytes[i] = 1;
	for (;;)
		co_yield_ct();
	return NULL;
}

/* Other programs take time too, so the best of several tries counts. */
enum { TRIES = 20 };

static double least(double best, double ns)
{
	return best > 0 && best < ns ? best : ns;
}

/* Resume these by turns. Returns ns for one resume and its yield. */
static double time_turns(struct co *const *co, int n, int rounds)
{
	double best = 0;

	for (int try = 0; try < TRIES; try++) {
		double begin = now_ns();
		for (int r = 0; r < rounds; r++)
			for (int i = 0; i < n; i++)
				co_resume(co[i]);
		best = least(best, (now_ns() - begin) / rounds / n);
	}
	return best;
}

struct cost {
	double ns, live_bytes;
};

/* Two that hold @len bytes each, by turns. */
static struct cost measure_switch(struct co_stack_source *shared, size_t len)
{
	struct co *co[] = { create(shared, "a", hold, &len), create(shared, "b", hold, &len) };
	struct cost cost;

	co_resume(co[0]);
	co_resume(co[1]);
	cost.ns = time_turns(co, 2, 500);
	cost.live_bytes = (double)live_bytes(co[0]);
	co_release(co[0]);
	co_release(co[1]);
	return cost;
}

static void show_costs(void)
{
	static const size_t lens[] = { 64, 1 * KIB, 4 * KIB, 16 * KIB, 64 * KIB };
	enum { N = sizeof(lens) / sizeof(lens[0]) };
	struct co_stack_source *shared = share(1);
	struct cost own[N], sharing[N];

	printf("   two by turns: the time for a resume and its yield, by what each holds on its stack\n");
	printf("          holds   copied out and in      shared       private\n");
	for (int i = 0; i < N; i++) {
		own[i] = measure_switch(NULL, lens[i]);
		sharing[i] = measure_switch(shared, lens[i]);
		printf("~  %6zu bytes        %6.0f bytes   %6.0f ns     %6.0f ns\n", lens[i], sharing[i].live_bytes,
		       sharing[i].ns, own[i].ns);
	}
	printf("   64 KiB cost more than 5 times as much as on private stacks: %s\n",
	       sharing[N - 1].ns > 5 * own[N - 1].ns ? "yes" : "no");
	co_free_sharestack(shared);
}

/* --- 7. ten thousand ------------------------------------------------------------------------------------- */

enum { MANY = 10000 };

static void *only_wait(void *arg)
{
	size_t len = 64;

	(void)arg;
	return hold(&len);
}

/* Once it has called something that needs 8 KiB. */
static void *dig_and_wait(void *arg)
{
	overwrite(arg);
	return only_wait(arg);
}

/* What the kernel has given this process: pages, and the tables that lead to them. */
static double memory_bytes(void)
{
	double kib, sum = 0;
	char line[200];
	FILE *f = fopen("/proc/self/status", "r");

	if (!f)
		fail("/proc/self/status");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lf", &kib) == 1 || sscanf(line, "VmPTE: %lf", &kib) == 1)
			sum += kib * KIB;
	fclose(f);
	return sum;
}

struct crowd {
	double bytes, ns; /* for each of them; for a resume and its yield */
};

static struct crowd measure_crowd(struct co_stack_source *shared, co_fn *fn)
{
	static struct co *co[MANY];
	struct crowd crowd;
	double before = memory_bytes();

	for (int i = 0; i < MANY; i++) {
		co[i] = create(shared, "idle", fn, NULL);
		co_resume(co[i]);
	}
	crowd.bytes = (memory_bytes() - before) / MANY;
	crowd.ns = time_turns(co, MANY, 1);
	return crowd;
}

/* In a process of its own, for what one crowd has used the next would find. */
static struct crowd crowd_in_child(bool is_shared, co_fn *fn)
{
	struct crowd crowd;
	int p[2];

	if (pipe(p) != 0)
		fail("pipe");
	pid_t child = fork();
	if (child == 0) {
		crowd = measure_crowd(is_shared ? share(1) : NULL, fn);
		_exit(write(p[1], &crowd, sizeof(crowd)) != sizeof(crowd));
	}
	close(p[1]);
	if (read(p[0], &crowd, sizeof(crowd)) != sizeof(crowd))
		fail("measuring");
	close(p[0]);
	waitpid(child, NULL, 0);
	return crowd;
}

/* The other way to keep little: give the stack's pages back before each wait. (All but the
 * uppermost: above hi, on the same page, lies what is known of the stack.) */
static double measure_giving_back(void)
{
	struct co_stack *stack = co_stack_get(128 * KIB);
	double best = 0;

	if (!stack)
		fail("co_stack_get");
	for (int try = 0; try < TRIES; try++) {
		double begin = now_ns();
		for (int i = 0; i < 100; i++) {
			*(volatile char *)stack->lo = 1;
			if (madvise(stack->lo, 128 * KIB, MADV_DONTNEED) != 0)
				fail("madvise");
		}
		best = least(best, (now_ns() - begin) / 100);
	}
	stack->ops->put(stack);
	return best;
}

static void show_crowds(const char *who, struct crowd sharing, struct crowd own)
{
	printf("~  %s  %6.0f bytes %6.0f bytes   %6.0f ns  %6.0f ns\n", who, sharing.bytes, own.bytes, sharing.ns, own.ns);
}

static void show_crowd(void)
{
	struct crowd own = crowd_in_child(false, only_wait), own_dug = crowd_in_child(false, dig_and_wait);
	struct crowd sharing = crowd_in_child(true, only_wait), sharing_dug = crowd_in_child(true, dig_and_wait);

	printf("7. %d that wait: memory for each; then all in turn: time for a resume and its yield\n", MANY);
	printf("                             shared      private        shared    private\n");
	show_crowds("they only wait        ", sharing, own);
	show_crowds("they once needed 8 KiB", sharing_dug, own_dug);
	printf("~  to give the pages of a private stack back for each wait would cost %.0f ns\n", measure_giving_back());
	printf("   on private stacks they need more than 3 times as much: %s\n", own.bytes > 3 * sharing.bytes ? "yes" : "no");
	printf("   and if they once needed 8 KiB, more than 8 times: %s\n",
	       own_dug.bytes > 8 * sharing_dug.bytes ? "yes" : "no");
}

/* `demo million`: for an experiment of the text. */
static void show_million(void)
{
	enum { MILLION = 1000 * 1000 };
	struct co_stack_source *shared = share(1);
	struct co **co = malloc(MILLION * sizeof(*co));
	double before = memory_bytes();

	if (!co)
		fail("malloc");
	for (int i = 0; i < MILLION; i++) {
		co[i] = create(shared, "idle", only_wait, NULL);
		if (co_resume(co[i]) != 0)
			fail("co_resume");
	}
	double bytes = memory_bytes() - before - MILLION * sizeof(*co);
	printf("%d wait on one slot\n", MILLION);
	printf("~  %.0f bytes for each, %.0f MB for all\n", bytes / MILLION, bytes / 1e6);
	for (int i = 0; i < MILLION; i += 1000)
		if (co_resume(co[i]) != 0)
			fail("co_resume");
	printf("every thousandth was resumed, and waits again\n");
	for (int i = 0; i < MILLION; i++)
		co_release(co[i]);
	free(co);
	co_free_sharestack(shared);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && strcmp(argv[1], "million") == 0) {
		show_million();
		return 0;
	}
	show_turns();
	show_addresses();
	printf("3. alice resumes bob, who yields twice\n");
	show_hops(1);
	show_hops(2);
	show_release();
	show_moving();
	show_depth();
	show_costs();
	show_crowd();
	printf("main returns\n");
	return 0;
}
