/* SPDX-License-Identifier: MIT */
/* Private stacks: sizes, guards, slabs, the pool, and what they cost. */
#include "stack.h"

#include <pthread.h>
#include <setjmp.h>
#include <sys/resource.h>

#include "coroutine.h"
#include "slab.h"
#include "tools.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

static size_t len_of(const struct co_stack *s)
{
	return (size_t)(s->hi - s->lo);
}

/* How many bytes a stack has, if at least @size are asked for: with its top it is whole pages. */
static size_t len_for(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (size + SLAB_TOP + page - 1) / page * page - SLAB_TOP;
}

static void put(struct co_stack *s)
{
	s->ops->put(s);
	co_stack_check();
}

static struct co_stack *get(size_t size)
{
	static struct co_stack *latest[64]; /* so that none counts as leaked */
	static _Thread_local unsigned n;
	struct co_stack *s = co_stack_get(size);
	CHECK(s != NULL);
	__atomic_store_n(&latest[n++ % 64], s, __ATOMIC_RELAXED);
	co_stack_check();
	return s;
}

/* --- touching what may not be touched --------------------------------------- */

static sigjmp_buf touched;

static void on_fault(int sig)
{
	siglongjmp(touched, sig);
}

/* Does access to @at raise SIGSEGV? */
static bool faults(volatile char *at, bool is_write)
{
	sigaction(SIGSEGV, &(struct sigaction){ .sa_handler = on_fault }, NULL);
	if (sigsetjmp(touched, 1))
		return true;
	if (is_write)
		*at = 1;
	else
		(void)*at;
	return false;
}

static void check_guard(const struct co_stack *s)
{
	for (int is_write = 0; is_write < 2; is_write++) {
		CHECK(faults(s->lo - 1, is_write));
		CHECK(faults(s->lo - 60 * KIB, is_write));
		CHECK(faults(s->lo - s->guard_len, is_write));
		CHECK(!faults(s->lo, is_write));
		CHECK(!faults(s->hi - 1, is_write));
	}
}

/* The pages of [lo, hi) that are resident; -1: part of it is not mapped. */
static int resident_pages(char *lo, char *hi)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char there[2048];
	int n = 0;

	for (; lo < hi; lo += page) {
		if (mincore(lo, page, there) != 0)
			return -1;
		n += there[0] & 1;
	}
	return n;
}

/* --- sizes -------------------------------------------------------------------- */

static void sizes(void)
{
	size_t asked[] = { co_stack_min(), co_stack_min() + 1, 100 * 1000, CO_STACK_DEFAULT, CO_STACK_MAX };

	CHECK(co_stack_min() >= 16 * KIB);
	CHECK_EQ(len_of(get(0)), len_of(get(co_stack_min())));
	CHECK_EQ(len_of(get(1)), len_of(get(co_stack_min())));
	for (int i = 0; i < 5; i++) {
		struct co_stack *s = get(asked[i]);
		CHECK(len_of(s) >= asked[i]); /* the top takes nothing of it */
		CHECK_EQ(len_of(s), len_for(asked[i]));
	}
	size_t fits = len_for(CO_STACK_DEFAULT);
	CHECK_EQ(len_of(get(fits)), fits);
	CHECK_EQ(len_of(get(fits + 1)) - fits, sysconf(_SC_PAGESIZE));
}

static void usable(void)
{
	size_t lens[] = { 16 * KIB, 128 * KIB, CO_STACK_MAX };

	for (int i = 0; i < 3; i++) {
		struct co_stack *s = get(lens[i]);
		CHECK_EQ((uintptr_t)s->lo % 16, 0);
		CHECK_EQ((uintptr_t)s->hi % 16, 0);
		memset(s->lo, 0x5a, len_of(s));
		put(s);
	}
}

static void room(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct co_stack *s = get(16 * KIB), *next = get(16 * KIB);
	char *end = (char *)(((uintptr_t)s->hi + page) & -page), *at = s->room;

	CHECK_EQ(next->lo - next->guard_len, end);
#ifdef CO_ASAN
	CHECK_EQ(at, NULL);
#else
	CHECK_EQ(at == NULL, is_under_valgrind());
#endif
	if (!at)
		check_skip("%s tells who has freed a block of the heap: that is the room", watched_by());
	CHECK_EQ((uintptr_t)at % 16, 0);
	CHECK(s->hi + sizeof(*s) <= at && at + CO_STACK_ROOM <= end);
	memset(at, 0x5a, CO_STACK_ROOM);
	co_stack_check();
	put(s);
	CHECK_EQ(get(16 * KIB), s); /* nothing that is needed was there */
	CHECK(faults(end, true));
}

static void classes(void)
{
	struct co_stack *small = get(16 * KIB), *large = get(64 * KIB);

	put(small);
	put(large);
	CHECK_EQ(co_stack_stats().slabs, 2);
	CHECK(get(32 * KIB) != small);
	CHECK_EQ(get(64 * KIB), large);
	CHECK_EQ(get(16 * KIB), small);
}

static void own_stack(void)
{
	struct co_stack s;
	char local;

	co_stack_of_thread(&s);
	CHECK(s.lo < &local && &local < s.hi);
	CHECK(s.ops->put == NULL);
	CHECK_EQ(s.guard_len, 0);
}

/* --- guards ------------------------------------------------------------------- */

static void guards(void)
{
	struct co_stack *s[70]; /* two slabs */

	for (int i = 0; i < 70; i++)
		s[i] = get(16 * KIB);
	check_guard(s[0]);
	check_guard(s[1]);
	check_guard(s[63]);
	check_guard(s[69]);
	check_guard(get(CO_STACK_MAX));
}

static void guard_stays(void)
{
	struct co_stack *s = get(0);
	put(s);
	CHECK_EQ(get(0), s);
	check_guard(s);

	pid_t pid = fork();
	if (pid == 0) {
		check_guard(s);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
}

static void efault(void)
{
	struct co_stack *s = get(0);
	int p[2];

	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_FAILS(read(p[0], s->lo - 1, 1), -1, EFAULT);
	CHECK_FAILS(read(p[0], s->lo - 60 * KIB, 1), -1, EFAULT);
	CHECK_EQ(read(p[0], s->lo, 1), 1); /* and nothing was lost */
}

static void guard_bounds(void)
{
	const struct co_stack *s = get(0);

	CHECK(co_stack_guards(s, s->lo - 1));
	CHECK(co_stack_guards(s, s->lo - s->guard_len));
	CHECK(!co_stack_guards(s, s->lo - s->guard_len - 1));
	CHECK(!co_stack_guards(s, s->lo));
	CHECK(!co_stack_guards(s, NULL));
	CHECK(s->guard_len >= 64 * KIB);
}

/* --- the pool ----------------------------------------------------------------- */

static void pool_lifo(void)
{
	struct co_stack *a = get(0), *b = get(0), *c = get(0);

	put(a);
	put(b);
	put(c);
	CHECK_EQ(co_stack_stats().pooled, 3);
	CHECK_EQ(get(0), c);
	CHECK_EQ(get(0), b);
	CHECK_EQ(get(0), a);
	CHECK_EQ(co_stack_stats().pooled, 0);
}

static void pool_bounded(void)
{
	static struct co_stack *s[CO_POOL_STACKS + 100];
	enum { N = CO_POOL_STACKS + 100, FIT = CO_POOL_BYTES / (MIB + 4 * KIB) };

	for (int i = 0; i < N; i++)
		s[i] = get(16 * KIB);
	for (int i = 0; i < N; i++)
		put(s[i]);
	CHECK_EQ(co_stack_stats().pooled, CO_POOL_STACKS);
	CHECK_EQ(co_stack_stats().lent, 0);

	for (int i = 0; i < FIT + 10; i++)
		s[i] = get(MIB);
	for (int i = 0; i < FIT + 10; i++)
		put(s[i]);
	CHECK_EQ(co_stack_stats().pooled, CO_POOL_STACKS + FIT);
}

static void evicted_is_gone(void)
{
	SKIP_IF_WATCHED("memory is not ours alone");
	enum { N = CO_POOL_BYTES / MIB + 5 };
	struct co_stack *s[N];

	for (int i = 0; i < N; i++)
		memset((s[i] = get(MIB))->lo, 1, MIB);
	char *first = s[0]->lo, *kept = s[N - 1]->lo;
	size_t before = resident_bytes();
	for (int i = 0; i < N; i++)
		put(s[i]);
	CHECK_EQ(resident_pages(first, first + MIB), 0);
	CHECK_EQ(resident_pages(kept, kept + MIB), MIB / sysconf(_SC_PAGESIZE)); /* warm */
	CHECK(resident_bytes() <= before - 4 * MIB);
}

static void empty_slabs(void)
{
	enum { SLABS = 40, N = SLABS * 64 };
	static struct co_stack *s[N];

	for (int i = 0; i < N; i++)
		s[i] = get(16 * KIB);
	CHECK_EQ(co_stack_stats().slabs, SLABS);
	char *first = s[0]->lo, *last = s[N - 1]->lo;
	for (int i = 0; i < N; i++)
		put(s[i]);
	/* Those put back last fill the pool; what held the others is gone. */
	CHECK_EQ(co_stack_stats().slabs, CO_POOL_STACKS / 64);
	CHECK_EQ(co_stack_stats().mapped_bytes, CO_POOL_STACKS * (len_for(16 * KIB) + SLAB_TOP + 64 * KIB));
	CHECK_EQ(resident_pages(first, first + 1), -1);

	co_stack_thread_exit();
	CHECK_EQ(co_stack_stats().slabs, 0);
	CHECK_EQ(co_stack_stats().mapped_bytes, 0);
	CHECK_EQ(resident_pages(last, last + 1), -1);
	put(get(0)); /* and it all begins again */
}

/* 16 MiB hold 63 stacks of 196 KiB with their guards, 60 of 208: with their tops. */
static void uneven_slabs(void)
{
	static const size_t lens[] = { 188 * KIB, 192 * KIB, 204 * KIB };
	static const unsigned fit[] = { 64, 63, 60 };

	for (int k = 0; k < 3; k++) {
		size_t slabs = co_stack_stats().slabs;
		struct co_stack *s[64];
		for (unsigned i = 0; i < fit[k]; i++) {
			s[i] = get(lens[k]);
			*s[i]->lo = 1;
			for (unsigned j = 0; j < i; j++)
				CHECK(s[j]->hi <= s[i]->lo - CO_STACK_GUARD || s[i]->hi <= s[j]->lo - CO_STACK_GUARD);
		}
		CHECK_EQ(co_stack_stats().slabs, slabs + 1);
		get(lens[k]);
		CHECK_EQ(co_stack_stats().slabs, slabs + 2);
	}
}

static void put_keeps_errno(void)
{
	struct co_stack *s[20];

	for (int i = 0; i < 20; i++)
		s[i] = get(CO_STACK_MAX);
	errno = 4711;
	for (int i = 0; i < 20; i++) /* the pool holds 16: some are evicted */
		put(s[i]);
	CHECK_EQ(errno, 4711);
}

/* --- many --------------------------------------------------------------------- */

static void many(void)
{
	enum { N = 200 * 1000 };
	int n = 0, want = rounds(N);
	struct co_stack **s = calloc((size_t)want, sizeof(*s));

	for (; n < want && (s[n] = co_stack_get(CO_STACK_DEFAULT)); n++)
		if (n % 16 == 0) /* a page each would be 800 MB */
			*(s[n]->hi - 1) = 1;
	if (kernel_has_guards()) {
		CHECK_EQ(n, want);
		printf("# %d stacks in %zu maps\n", n, count_maps());
		if (!watched_by())
			CHECK(count_maps() < 10000); /* of 65 530 */
	} else if (n < want) {
		CHECK_EQ(errno, ENOMEM);
	}
	CHECK_EQ(co_stack_stats().lent, n);
	CHECK(faults(s[n - 1]->lo - 1, true));
	co_stack_check();
	for (int i = 0; i < n; i++)
		s[i]->ops->put(s[i]);
	co_stack_check();
	co_stack_thread_exit();
	free(s);
}

/* A seeded sequence of get and put, and beside it what must come of it: for
 * each size a LIFO of what was put back, bounded. */
static void random_sequence(void)
{
	enum { SIZES = 3, MAX = 1500 };
	static const size_t sizes_[SIZES] = { 16 * KIB, 64 * KIB, 4 * MIB };
	static const size_t fits[SIZES] = { CO_POOL_STACKS, CO_POOL_STACKS, CO_POOL_BYTES / (4 * MIB + 4 * KIB) };
	static struct co_stack *lent[SIZES][MAX], *pool[SIZES][MAX];
	static size_t n_lent[SIZES], n_pool[SIZES];
	struct rng r = { test_seed(20240817) };

	for (int step = 0, steps = rounds(20000); step < steps; step++) {
		unsigned k = rng_below(&r, 10) ? rng_below(&r, 2) : 2;
		unsigned phase = step / 3000 % 2; /* grow, then shrink, so that pools overflow */
		if (n_lent[k] < (k == 2 ? 60 : MAX) && rng_below(&r, 10) < (phase ? 2 : 8)) {
			struct co_stack *s = get(sizes_[k]);
			if (n_pool[k])
				CHECK_EQ(s, pool[k][--n_pool[k]]); /* the warmest */
			for (size_t i = 0; i < n_lent[k]; i++)
				CHECK(s != lent[k][i]); /* nobody else has it */
			CHECK_EQ(len_of(s), len_for(sizes_[k]));
			*s->lo = *(s->hi - 1) = (char)step;
			lent[k][n_lent[k]++] = s;
		} else if (n_lent[k]) {
			unsigned i = rng_below(&r, (unsigned)n_lent[k]);
			struct co_stack *s = lent[k][i];
			lent[k][i] = lent[k][--n_lent[k]];
			put(s);
			pool[k][n_pool[k]++] = s;
			if (n_pool[k] > fits[k])
				memmove(pool[k], pool[k] + 1, --n_pool[k] * sizeof(s));
		}
		struct co_stack_stats st = co_stack_stats();
		CHECK_EQ(st.lent, n_lent[0] + n_lent[1] + n_lent[2]);
		CHECK_EQ(st.pooled, n_pool[0] + n_pool[1] + n_pool[2]);
	}
	printf("# at the end: lent %zu %zu %zu, pooled %zu %zu %zu\n", n_lent[0], n_lent[1], n_lent[2], n_pool[0],
	       n_pool[1], n_pool[2]);
}

static void limit_address_space(size_t more)
{
	unsigned long pages;
	FILE *f = fopen("/proc/self/statm", "r");
	CHECK_EQ(fscanf(f, "%lu", &pages), 1);
	fclose(f);
	rlim_t limit = more ? pages * (size_t)sysconf(_SC_PAGESIZE) + more : RLIM_INFINITY;
	CHECK_EQ(setrlimit(RLIMIT_AS, &(struct rlimit){ limit, RLIM_INFINITY }), 0);
}

static void short_of_memory(void)
{
	SKIP_IF_WATCHED("memory is not ours alone");
	struct co_stack *s[200];
	int n = 0;

	co_stack_get(MIB); /* the size class exists, and malloc has room */
	limit_address_space(21 * MIB + MIB / 2);
	while (n < 200 && (s[n] = co_stack_get(MIB)))
		n++;
	CHECK_EQ(errno, ENOMEM);
	/* A slab of 15 is already there: 14 are left in it. 21.5 MiB more hold
	 * one such slab (15.9 MiB), one of 3 and two of 1. */
	CHECK_EQ(n, 14 + 15 + 3 + 1 + 1);
	CHECK_EQ(co_stack_stats().slabs, 5);
	co_stack_check();
	CHECK_EQ(co_stack_stats().lent, 1 + n);
	CHECK_FAILS(co_stack_get(MIB), NULL, ENOMEM);
	CHECK_FAILS(co_stack_get(CO_STACK_MAX), NULL, ENOMEM);
	CHECK_EQ(co_stack_stats().lent, 1 + n);
	put(s[0]);
	CHECK_EQ(get(MIB), s[0]); /* what is there still serves */
	limit_address_space(0);
	check_guard(get(MIB));
}

/* --- costs -------------------------------------------------------------------- */

static void *yield_once(void *arg)
{
	co_yield_ct();
	return arg;
}

static void idle_memory(void)
{
	SKIP_IF_WATCHED("memory is not ours alone");
	enum { N = 2000 };
	static struct co *co[N];

	CHECK_EQ(co_create(&co[0], NULL, yield_once, NULL), 0); /* whatever is needed once */
	CHECK_EQ(co_resume(co[0]), 0);
	size_t before = resident_bytes();
	for (int i = 1; i < N; i++) {
		CHECK_EQ(co_create(&co[i], NULL, yield_once, NULL), 0);
		CHECK_EQ(co_resume(co[i]), 0);
	}
	size_t each = (resident_bytes() - before) / (N - 1);
	printf("# a coroutine that has yielded once: %zu bytes resident\n", each);
	CHECK(each < 3 * 4096);
}

static void *use_stacks(void *arg)
{
	for (int i = 0; i < 100; i++)
		put(get((size_t)(i % 5) * 64 * KIB));
	CHECK(co_stack_stats().slabs == 5);
	co_stack_thread_exit();
	CHECK(co_stack_stats().slabs == 0);
	return arg;
}

static void threads_own(void)
{
	struct co_stack *mine = get(0);
	struct co_stack_stats before = co_stack_stats();
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, use_stacks, NULL), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	CHECK(memcmp(&before, &(struct co_stack_stats){ 0 }, sizeof(before)) != 0);
	struct co_stack_stats after = co_stack_stats();
	CHECK(memcmp(&before, &after, sizeof(before)) == 0);
	put(mine);
}

static void exit_with_a_stack(void)
{
	get(0);
	co_stack_thread_exit();
}

static const struct test_case cases[] = {
	{ "sizes", "A16: a size is raised to the minimum and rounded up: never less than was asked for", sizes, 0, 0 },
	{ "usable", "every byte of a stack can be written, and its bounds are aligned", usable, 0, 0 },
	{ "room", "above a stack is room for its user, on its top page", room, 0, 0 },
	{ "classes", "a stack is handed out again for its own size only", classes, 0, 0 },
	{ "own_stack", "a thread's own stack has bounds, and no guard of ours", own_stack, 0, 0 },
	{ "guards", "C04: a touch right below a stack faults, and so does one 60 KiB below", guards, 0, 0 },
	{ "guard_stays", "a reused stack is guarded, and so is a forked child's", guard_stays, 0, 0 },
	{ "efault", "a system call that writes into a guard says EFAULT", efault, 0, 0 },
	{ "guard_bounds", "co_stack_guards names exactly the guard's addresses", guard_bounds, 0, 0 },
	{ "pool_lifo", "the stack put back last is handed out first", pool_lifo, 0, 0 },
	{ "pool_bounded", "the pool is bounded in stacks and in bytes", pool_bounded, 0, 0 },
	{ "evicted_is_gone", "the memory of an evicted stack is gone, a pooled one's is warm", evicted_is_gone, 0, 0 },
	{ "empty_slabs", "a slab whose stacks are all free is unmapped", empty_slabs, 0, 0 },
	{ "uneven_slabs", "a slab is cut into as many stacks as fit, and no more", uneven_slabs, 0, 0 },
	{ "put_keeps_errno", "putting a stack back leaves errno alone", put_keeps_errno, 0, 0 },
	{ "many", "200000 stacks fit, or the one too many says ENOMEM", many, 0, 0 },
	{ "random", "a random sequence does what a model of the pool says", random_sequence, 0, 0 },
	{ "short_of_memory", "short of addresses, slabs get smaller; then ENOMEM, and nothing is lost", short_of_memory, 0, 0 },
	{ "idle_memory", "an idle coroutine keeps less than three pages", idle_memory, 0, 0 },
	{ "threads_own", "each thread has slabs of its own", threads_own, 0, 0 },
	{ "exit_with_a_stack", "a thread that ends with a stack lent out is stopped", exit_with_a_stack, SIGABRT,
	  "a thread ends with all its stacks put back" },
};

TEST_MAIN(cases)
