/* SPDX-License-Identifier: MIT */
/* Shared stacks: what is copied when, who may use them, and what a backtrace says. */
#include "sharestack.h"

#include <alloca.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <unwind.h>

#include "env.h"
#include "tools.h"

/* --- what the library asks of malloc (WRAP_t_sharestack in the Makefile) ------------- */

static char *signal_when_freed; /* a signal comes as this is freed */
static long n_blocks;    /* what it holds */
static unsigned n_calls; /* for memory */
static bool no_memory;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);

void *__wrap_malloc(size_t len);
void *__wrap_malloc(size_t len)
{
	n_calls++;
	if (no_memory) {
		errno = ENOMEM;
		return NULL;
	}
	n_blocks++;
	return __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	n_calls++;
	if (no_memory) {
		errno = ENOMEM;
		return NULL;
	}
	n_blocks++;
	return __real_calloc(n, size);
}

void __wrap_free(void *p);
void __wrap_free(void *p)
{
	n_blocks -= p != NULL;
	if (p && p == signal_when_freed) {
		signal_when_freed = NULL;
		raise(SIGUSR1);
	}
	__real_free(p);
}

/* --- coroutines of these tests ---------------------------------------------------------- */

enum { SIZE = 64 * 1024 };

static struct co_stack_source *shared;
static long n_blocks_then;

static void share(int count)
{
	shared = co_alloc_sharestack(count, SIZE);
	CHECK(shared != NULL);
	n_blocks_then = n_blocks;
}

static struct co *make(co_fn *fn, void *arg)
{
	struct co_attr attr = { .share_stack = shared };
	struct co *co;

	CHECK_EQ(co_create(&co, &attr, fn, arg), 0);
	return co;
}

static void resume(struct co *co)
{
	CHECK_EQ(co_resume(co), 0);
	co_env_check();
}

static void release(struct co *co)
{
	CHECK_EQ(co_release(co), 0);
	co_env_check();
}

static void end(void)
{
	CHECK_EQ(co_free_sharestack(shared), 0);
	CHECK_EQ(n_blocks, n_blocks_then - 1);
	CHECK_EQ(co_stack_stats().lent, 0);
	co_env_check();
	co_stack_check();
}

static struct co_sharestack_stats stats(void)
{
	struct co_sharestack_stats s;

	CHECK_EQ(co_sharestack_stats(shared, &s), 0);
	return s;
}

static const struct co_stack *stack_of(const struct co *co)
{
	return co->exec.stack;
}

static bool is_out(const struct co *co)
{
	return stack_of(co)->save_len > 0;
}

/* Fill a buffer of this length on the stack, yield, look whether all is still there. */
static void fill_yield_check(size_t len, unsigned seed)
{
	volatile unsigned char *bytes = alloca(len);
	volatile unsigned char *before = bytes;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(seed + i * 7);
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(bytes, before);
	for (size_t i = 0; i < len; i++)
		CHECK_EQ(bytes[i], (unsigned char)(seed + i * 7));
}

/* Four yields, with 100 bytes of locals, 200, 300 and 400. */
static void *grow(void *arg)
{
	for (unsigned i = 1; i <= 4; i++)
		fill_yield_check(100 * i, (unsigned)(intptr_t)arg + i);
	return arg;
}

static void *yield_once(void *arg)
{
	fill_yield_check(100, (unsigned)(intptr_t)arg);
	return arg;
}

/* --- by turns ------------------------------------------------------------------------------ */

static void by_turns(void)
{
	enum { N = 10 };
	struct co *co[N];

	share(1);
	for (intptr_t i = 0; i < N; i++)
		co[i] = make(grow, (void *)i);
	for (int round = 0; round < 5; round++)
		for (int i = 0; i < N; i++) {
			resume(co[i]);
			for (int k = 0; k < N; k++) /* one is in place, those who have begun are out */
				CHECK_EQ(is_out(co[k]), round < 4 && k != i && (round > 0 || k < i) ? 1 :
						       (round == 4 && k > i));
		}
	struct co_sharestack_stats s = stats();
	CHECK_EQ(s.slots, 1);
	CHECK_EQ(s.slot_bytes, stack_of(co[0])->hi - stack_of(co[0])->lo);
	CHECK(s.slot_bytes >= SIZE && s.slot_bytes < SIZE + 4096);
	CHECK_EQ(s.entries, 5 * N);
	CHECK_EQ(s.saves, 4 * N); /* main stands elsewhere, and who has returned is not saved */
	CHECK_EQ(s.loads, 4 * N);
	CHECK_EQ(s.hops, 0);
	CHECK_EQ(s.saved_bytes, s.loaded_bytes);
	for (int i = 0; i < N; i++) {
		CHECK_EQ(co_status(co[i]), CO_DONE);
		CHECK_EQ(co_result(co[i]), (void *)(intptr_t)i);
		release(co[i]);
	}
	CHECK_EQ(stats().coroutines, 0);
	CHECK_EQ(stats().buffer_bytes, 0);
	end();
}

static void alone(void)
{
	share(1);
	struct co *co = make(grow, NULL);
	for (int i = 0; i < 5; i++)
		resume(co);
	CHECK_EQ(stats().saves, 0);
	CHECK_EQ(stats().loads, 0);
	CHECK_EQ(stats().buffer_bytes, 0);
	release(co);
	end();
}

static size_t depth;

static void *deep(void *arg)
{
	for (;;)
		fill_yield_check(depth, 1);
	return arg;
}

/* Exactly what is between the stack pointer and the top is copied. */
static void exact_range(void)
{
	share(1);
	struct co *a = make(deep, NULL), *b = make(yield_once, NULL);
	uint64_t at_zero = 0;

	for (depth = 0; depth <= 8192; depth += 1024) {
		resume(a);
		if (depth == 0)
			resume(a); /* both frames are there from the first yield on */
		CHECK_EQ(co_reset(b), 0);
		uint64_t before = stats().saved_bytes;
		resume(b);
		uint64_t len = stats().saved_bytes - before;
		CHECK_EQ(len, stack_of(a)->save_len);
		CHECK_EQ(len, (uint64_t)(stack_of(a)->hi - (char *)a->exec.ctx.rsp));
		if (depth == 0)
			at_zero = len;
		if (depth > 0 && !watched_by()) /* (ASan's alloca has more around it) */
			CHECK(len >= at_zero + depth && len <= at_zero + depth + 64);
	}
	release(a);
	release(b);
	end();
}

static size_t used(const struct co *co)
{
	return stack_of(co)->ops->used(stack_of(co));
}

/* In a function of its own: else a compiler may reserve it from the beginning. */
static __attribute__((noinline)) void go_deep(size_t len)
{
	volatile char *bytes = alloca(len);

	bytes[0] = 1;
}

static void *asks_itself(void *arg)
{
	volatile char *bytes = alloca(depth / 2); /* a length that no compiler knows */

	bytes[0] = 1;
	CHECK(used(co_self()) >= 2048 && used(co_self()) < 8192);
	CHECK_EQ(co_yield_ct(), 0);
	go_deep(8192);
	return arg;
}

/* As deep as at any switch, or now. */
static void how_deep(void)
{
	share(1);
	struct co *a = make(deep, NULL), *b = make(asks_itself, NULL);
	CHECK_EQ(used(a), 0);
	depth = 4096;
	resume(a);
	size_t in_place = used(a);
	CHECK_EQ(in_place, (size_t)(stack_of(a)->hi - (char *)a->exec.ctx.rsp));
	CHECK(in_place > 4096);
	resume(b);
	CHECK_EQ(used(a), in_place);
	depth = 100;
	resume(a);
	resume(a); /* less deep now */
	CHECK_EQ(used(a), in_place);
	resume(b); /* its end is no switch that it comes back from */
	CHECK_EQ(co_status(b), CO_DONE);
	CHECK(used(b) >= 2048 && used(b) < 8192);
	release(a);
	release(b);
	end();
}

/* --- who stands on the bytes ----------------------------------------------------------------- */

static struct co *inner;

static void *resume_inner(void *arg)
{
	volatile unsigned char local[500];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(local); i++)
			local[i] = (unsigned char)(i + (size_t)round);
		CHECK_EQ(co_resume(inner), 0);
		co_env_check();
		for (size_t i = 0; i < sizeof(local); i++)
			CHECK_EQ(local[i], (unsigned char)(i + (size_t)round));
	}
	return arg;
}

static void *thrice(void *arg)
{
	for (int i = 0; i < 2; i++) {
		CHECK(is_out(co_self()->resumer));
		CHECK_EQ(co_self()->exec.link, &coctx_copied_out);
		fill_yield_check(1000, 3);
	}
	CHECK_EQ(co_self()->exec.link, &coctx_copied_out);
	return arg;
}

static void hops(void)
{
	share(1);
	struct co *outer = make(resume_inner, NULL);
	inner = make(thrice, NULL);
	resume(outer);
	CHECK_EQ(co_status(outer), CO_DONE);
	CHECK_EQ(co_status(inner), CO_DONE);
	struct co_sharestack_stats s = stats();
	CHECK_EQ(s.hops, 6);
	CHECK_EQ(s.saves, 5); /* not inner, when it has returned */
	CHECK_EQ(s.loads, 5);
	release(outer);
	release(inner);
	end();
}

/* outer (shared) - middle (its own stack) - inner (shared): middle's link changes too. */
static void *middle_fn(void *arg)
{
	CHECK_EQ(co_self()->exec.link, &co_self()->resumer->exec.ctx);
	CHECK_EQ(co_resume(inner), 0);
	CHECK(is_out(co_self()->resumer));
	CHECK_EQ(co_self()->exec.link, &coctx_copied_out);
	co_env_check();
	CHECK_EQ(co_resume(inner), 0);
	return arg;
}

static void *outer_fn(void *middle)
{
	volatile int local = 42;

	CHECK_EQ(co_resume(middle), 0);
	co_env_check();
	CHECK_EQ(local, 42);
	return NULL;
}

static void far_resumer(void)
{
	struct co *middle;

	share(1);
	CHECK_EQ(co_create(&middle, NULL, middle_fn, NULL), 0);
	n_blocks_then += 2; /* its stack's slab, and a list of slabs of that size */
	struct co *outer = make(outer_fn, middle);
	inner = make(yield_once, NULL);
	resume(outer);
	CHECK_EQ(co_status(outer), CO_DONE);
	CHECK_EQ(stats().hops, 0);
	release(outer);
	release(middle);
	release(inner);
	end();
}

/* --- slots ------------------------------------------------------------------------------------- */

static int slot_of(const struct co *co, struct co *const *firsts, int n)
{
	for (int i = 0; i < n; i++)
		if (stack_of(co)->hi == stack_of(firsts[i])->hi)
			return i;
	return -1;
}

static void least_loaded(void)
{
	struct co *co[9], *late;

	share(3);
	late = make(yield_once, NULL);
	CHECK(stack_of(late)->hi == NULL); /* no slot before its first run */
	for (int i = 0; i < 9; i++) {
		co[i] = make(yield_once, NULL);
		resume(co[i]);
	}
	for (int i = 0; i < 9; i++)
		CHECK_EQ(slot_of(co[i], co, 3), i % 3);
	release(co[4]);
	release(co[7]);
	release(co[8]);
	resume(late); /* slot 1 has one, 0 three, 2 two */
	CHECK_EQ(slot_of(late, co, 3), 1);
	for (int i = 0; i < 7; i++)
		if (i != 4)
			release(co[i]);
	release(late);
	end();
}

static void *resume_it(void *arg)
{
	CHECK_EQ(co_resume(arg), 0);
	return arg;
}

static void *yield_then_resume_it(void *arg)
{
	CHECK_EQ(co_yield_ct(), 0);
	return resume_it(arg);
}

/* Of equals, not the one that the resumer stands on. */
static void not_the_resumers(void)
{
	for (int first = 0; first < 2; first++) {
		share(2);
		struct co *b = make(yield_once, NULL), *other = make(yield_once, NULL);
		struct co *a = make(yield_then_resume_it, b);
		resume(first ? a : other); /* each has a slot for itself, in either order */
		resume(first ? other : a);
		resume(a);
		CHECK_EQ(stack_of(b)->hi, stack_of(other)->hi);
		CHECK_EQ(stats().hops, 0);
		release(a);
		release(b);
		release(other);
		end();
	}
}

/* b, created as the third, would by turns get a's stack, and read there its own bytes. */
static void *reads_and_writes(void *local)
{
	volatile int *far = local, near[64];

	for (int i = 0; i < 64; i++)
		near[i] = 0x5a5a5a5a;
	CHECK_EQ(*far, 42);
	*far = 43;
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(*far, 44);
	CHECK_EQ(near[0], 0x5a5a5a5a);
	return local;
}

static void *lends_a_local(void *arg)
{
	volatile int local = 42;
	struct co *b = make(reads_and_writes, (void *)&local);

	resume(b);
	CHECK_EQ(local, 43);
	local = 44;
	resume(b);
	CHECK_EQ(co_status(b), CO_DONE);
	release(b);
	return arg;
}

static void lent_local(void)
{
	share(2);
	struct co *a = make(lends_a_local, NULL), *second = make(yield_once, NULL);
	resume(a);
	CHECK_EQ(co_status(a), CO_DONE);
	release(a);
	release(second);
	end();
}

/* --- released, reset -------------------------------------------------------------------------------- */

static void occupant_goes(bool by_reset, bool is_done)
{
	share(1);
	struct co *a = make(grow, (void *)7), *b = make(grow, (void *)9);
	resume(a);
	for (int i = 0; i < (is_done ? 5 : 1); i++)
		resume(b);
	CHECK_EQ(co_status(b), is_done ? CO_DONE : CO_SUSPENDED);
	CHECK(is_out(a));
	if (by_reset)
		CHECK_EQ(co_reset(b), 0);
	else
		release(b);
	uint64_t saves = stats().saves;
	resume(a);
	CHECK_EQ(stats().saves, saves); /* nobody's bytes were there to keep */
	for (int i = 0; i < 3; i++)
		resume(a);
	CHECK_EQ(co_status(a), CO_DONE);
	if (by_reset) {
		for (int i = 0; i < 5; i++)
			resume(b);
		CHECK_EQ(co_status(b), CO_DONE);
		release(b);
	}
	release(a);
	end();
}

static void occupant_released(void)
{
	occupant_goes(false, true);
	occupant_goes(false, false);
}

static void occupant_reset(void)
{
	occupant_goes(true, true);
	occupant_goes(true, false);
}

static void copied_out_released(void)
{
	share(1);
	struct co *a = make(grow, NULL), *b = make(grow, NULL);
	resume(a);
	resume(b);
	CHECK(is_out(a));
	CHECK_EQ(co_reset(a), 0);
	CHECK(!is_out(a));
	CHECK_EQ(co_status(a), CO_NEW);
	for (int i = 0; i < 5; i++) {
		resume(a);
		resume(b);
		if (i == 3)
			break;
	}
	CHECK(is_out(a));
	release(a);
	CHECK_EQ(co_status(b), CO_DONE);
	release(b);
	end();
}

static void *look_at_top(void *arg)
{
	/* The words at the very top, where libco would have written an entry frame
	 * of the next one, are the trampoline's return address and co_main's. */
	uintptr_t *top = (uintptr_t *)co_self()->exec.stack->hi;
	uintptr_t before[2] = { top[-1], top[-2] };

	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(top[-1], before[0]);
	CHECK_EQ(top[-2], before[1]);
	return arg;
}

static void first_run_writes_nothing(void)
{
	share(1);
	struct co *a = make(look_at_top, NULL), *b = make(yield_once, NULL);
	resume(a);
	resume(b);
	resume(a);
	CHECK_EQ(co_status(a), CO_DONE);
	release(a);
	release(b);
	end();
}

/* --- buffers ------------------------------------------------------------------------------------------ */

static void steady(void)
{
	share(1);
	depth = 4096;
	struct co *a = make(deep, NULL), *b = make(deep, NULL);
	for (int i = 0; i < 2; i++) {
		resume(a);
		resume(b);
	}
	unsigned before = n_calls;
	for (int i = 0; i < 1000; i++) {
		resume(a);
		resume(b);
	}
	CHECK_EQ(n_calls, before);
	CHECK(stats().buffer_bytes >= 8192);
	release(a);
	release(b);
	end();
}

static void small_when_idle(void)
{
	enum { N = 1000 };
	static struct co *co[N];

	SKIP_IF_WATCHED("memory is not ours alone");
	share(4);
	for (int i = 0; i < 100; i++) {
		co[i] = make(yield_once, NULL);
		resume(co[i]);
	}
	size_t before = resident_bytes();
	for (int i = 100; i < N; i++) {
		co[i] = make(yield_once, NULL);
		resume(co[i]);
	}
	size_t each = (resident_bytes() - before) / (N - 100), live = stack_of(co[N - 5])->save_len;
	printf("# %zu bytes for each, %zu of them live\n", each, live);
	CHECK(each <= live + 512 + 64);
	for (int i = 0; i < N; i++)
		release(co[i]);
	end();
}

/* --- no memory ------------------------------------------------------------------------------------------ */

static void *fails_to_resume(void *arg)
{
	volatile int local = 11;

	no_memory = true;
	CHECK_FAILS(co_resume(arg), -1, ENOMEM);
	no_memory = false;
	CHECK_EQ(local, 11);
	CHECK_EQ(co_status(arg), CO_NEW);
	CHECK(stack_of(arg)->hi == NULL);
	co_env_check();
	CHECK_EQ(co_resume(arg), 0);
	CHECK_EQ(local, 11);
	CHECK_EQ(co_status(arg), CO_SUSPENDED);
	return NULL;
}

static void no_memory_to_hop(void)
{
	share(1);
	struct co *b = make(yield_once, NULL), *a = make(fails_to_resume, b);
	resume(a);
	CHECK_EQ(co_status(a), CO_DONE);
	resume(b);
	release(a);
	release(b);
	end();
}

static void *fails_to_yield(void *arg)
{
	volatile int local = 12;

	no_memory = true;
	CHECK_FAILS(co_yield_ct(), -1, ENOMEM); /* its resumer's place is its own */
	no_memory = false;
	CHECK_EQ(local, 12);
	CHECK_EQ(co_status(co_self()), CO_RUNNING);
	CHECK_EQ(co_self()->exec.link, &coctx_copied_out);
	co_env_check();
	CHECK_EQ(co_yield_ct(), 0);
	CHECK_EQ(local, 12);
	return arg;
}

static void *resume_twice(void *arg)
{
	CHECK_EQ(co_resume(arg), 0);
	CHECK_EQ(co_status(arg), CO_SUSPENDED);
	CHECK_EQ(co_resume(arg), 0);
	return NULL;
}

static void no_memory_to_yield(void)
{
	share(1);
	struct co *b = make(fails_to_yield, NULL), *a = make(resume_twice, b);
	resume(a);
	CHECK_EQ(co_status(b), CO_DONE);
	release(a);
	release(b);
	end();
}

/* From so deep that the caller's save_buffer has no room for it. */
static __attribute__((noinline)) void fail_deeper(struct co *co, size_t len)
{
	void *more = alloca(len);

	__asm__ volatile("" ::"r"(more) : "memory"); /* all of it is there */
	no_memory = true;
	CHECK_FAILS(co_resume(co), -1, ENOMEM);
	no_memory = false;
}

/* outer (shared) - middle (its own stack), which has resumed inner (shared) and returns:
 * inner is copied out for outer. */
static void *returns_without_memory(void *arg)
{
	no_memory = true;
	CHECK_FAILS(co_resume(inner), -1, ENOMEM);
	no_memory = false;
	CHECK_EQ(co_status(inner), CO_NEW);
	CHECK_EQ(co_resume(inner), 0);
	no_memory = true;
	return arg;
}

static void *resumes_middle(void *middle)
{
	volatile int local = 43;

	CHECK_EQ(co_resume(middle), 0);
	no_memory = false;
	CHECK_EQ(local, 43);
	return NULL;
}

static void no_memory_to_return(void)
{
	struct co *middle;

	share(1);
	CHECK_EQ(co_create(&middle, NULL, returns_without_memory, NULL), 0);
	n_blocks_then += 2; /* its stack's slab, and a list of slabs of that size */
	struct co *outer = make(resumes_middle, middle);
	inner = make(yield_once, NULL);
	resume(outer);
	CHECK_EQ(co_status(middle), CO_DONE);
	CHECK_EQ(co_status(outer), CO_DONE);
	resume(inner);
	CHECK_EQ(co_status(inner), CO_DONE);
	release(outer);
	release(middle);
	release(inner);
	end();
}

/* The same for one that was small before: what it has is kept. */
static void *returns_late(void *arg)
{
	CHECK_EQ(co_resume(inner), 0);
	no_memory = true;
	return arg;
}

static void no_memory_to_return_late(void)
{
	struct co *middle;

	share(1);
	CHECK_EQ(co_create(&middle, NULL, returns_late, NULL), 0);
	n_blocks_then += 2;
	struct co *outer = make(resumes_middle, middle);
	inner = make(grow, NULL);
	resume(inner);
	resume(outer);
	CHECK_EQ(co_status(outer), CO_DONE);
	while (co_status(inner) != CO_DONE)
		resume(inner);
	release(outer);
	release(middle);
	release(inner);
	end();
}

/* One that has hopped away long ago is not told of another's failure. */
static void *resume_then_fail(void *arg)
{
	struct co **others = arg;

	CHECK_EQ(co_resume(others[0]), 0); /* it hops back, by its yield */
	fail_deeper(others[1], 4096);
	return arg;
}

static void no_memory_of_another(void)
{
	share(1);
	struct co *others[2] = { make(grow, NULL), make(yield_once, NULL) };
	struct co *a = make(resume_then_fail, others);
	resume(a);
	CHECK_EQ(co_status(a), CO_DONE);
	for (int i = 0; i < 4; i++)
		resume(others[0]);
	CHECK_EQ(co_status(others[0]), CO_DONE);
	release(a);
	release(others[0]);
	release(others[1]);
	end();
}

static void no_memory_from_main(void)
{
	share(1);
	struct co *a = make(grow, NULL), *b = make(grow, NULL);
	resume(a);
	no_memory = true;
	CHECK_FAILS(co_resume(b), -1, ENOMEM);
	CHECK_FAILS(co_resume(b), -1, ENOMEM);
	CHECK_EQ(stats().entries, 1);
	resume(a); /* it is in its place: no memory is needed */
	no_memory = false;
	for (int i = 0; i < 5; i++) {
		if (i < 3)
			resume(a);
		resume(b);
	}
	CHECK_EQ(co_status(a), CO_DONE);
	CHECK_EQ(co_status(b), CO_DONE);
	release(a);
	release(b);
	end();
}

static void no_memory_at_first(void)
{
	struct co_attr attr = { 0 };
	struct co *co;

	share(1);
	long before = n_blocks;
	no_memory = true;
	CHECK_FAILS(co_alloc_sharestack(1, SIZE), NULL, ENOMEM);
	attr.share_stack = shared;
	CHECK_FAILS(co_create(&co, &attr, grow, NULL), -1, ENOMEM);
	no_memory = false;
	CHECK_EQ(stats().coroutines, 0);
	CHECK_EQ(n_blocks, before);
	if (!watched_by()) { /* their malloc ends the program */
		CHECK_FAILS(co_alloc_sharestack(1 << 30, CO_STACK_MAX), NULL, ENOMEM); /* more than there are addresses */
		n_blocks_then += n_blocks - before; /* perhaps a list of slabs of that size */
	}
	end();
}

/* --- misuse --------------------------------------------------------------------------------------------- */

static void *from_another_thread(void *arg)
{
	struct co_attr attr = { .share_stack = shared };
	struct co_sharestack_stats s;
	struct co *co;

	CHECK_FAILS(co_create(&co, &attr, grow, NULL), -1, EXDEV);
	CHECK_FAILS(co_free_sharestack(shared), -1, EXDEV);
	CHECK_FAILS(co_sharestack_stats(shared, &s), -1, EXDEV);
	return arg;
}

static void misuse(void)
{
	struct co_sharestack_stats s;
	pthread_t t;

	CHECK_FAILS(co_alloc_sharestack(0, SIZE), NULL, EINVAL);
	CHECK_FAILS(co_alloc_sharestack(-1, SIZE), NULL, EINVAL);
	CHECK_FAILS(co_alloc_sharestack(1, 0), NULL, EINVAL);
	CHECK_FAILS(co_alloc_sharestack(1, -1), NULL, EINVAL);
	CHECK_FAILS(co_alloc_sharestack(1, CO_STACK_MAX + 1), NULL, EINVAL);
	CHECK_FAILS(co_free_sharestack(NULL), -1, EINVAL);
	CHECK_FAILS(co_sharestack_stats(NULL, &s), -1, EINVAL);
	share(1);
	CHECK_FAILS(co_sharestack_stats(shared, NULL), -1, EINVAL);
	struct co *co = make(grow, NULL);
	CHECK_FAILS(co_free_sharestack(shared), -1, EBUSY);
	for (int i = 0; i < 5; i++)
		resume(co);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_FAILS(co_free_sharestack(shared), -1, EBUSY);
	CHECK_EQ(pthread_create(&t, NULL, from_another_thread, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(stats().coroutines, 1);
	release(co);
	end();
	struct co_stack_source *smallest = co_alloc_sharestack(1, 1); /* raised, as stack_size is */
	CHECK_EQ(co_sharestack_stats(smallest, &s), 0);
	CHECK(s.slot_bytes >= co_stack_min());
	CHECK_EQ(co_free_sharestack(smallest), 0);
}

static void *leaves_all(void *arg)
{
	share(2);
	for (int i = 0; i < 5; i++)
		resume(make(grow, NULL)); /* suspended, in place or copied out; never released */
	make(grow, NULL);
	CHECK(co_alloc_sharestack(1, SIZE) != NULL); /* nobody uses it */
	if (arg)
		pthread_exit(NULL);
	return arg;
}

static void thread_ends(void)
{
	for (int how = 0; how < 2; how++) {
		pthread_t t;
		long before = n_blocks;
		CHECK_EQ(pthread_create(&t, NULL, leaves_all, how ? &t : NULL), 0);
		CHECK_EQ(pthread_join(t, NULL), 0);
		CHECK_EQ(n_blocks, before);
	}
}

static void *overflows(void *arg)
{
	volatile char local[1024];

	local[0] = 1;
	if (arg)
		overflows(arg);
	return (void *)(intptr_t)local[0];
}

static void *plain_return(void *arg)
{
	return arg;
}

static void overflow(void)
{
	SKIP_IF_WATCHED("it says so itself");
	share(1);
	struct co *a = make(grow, NULL), *b = make(overflows, "");
	CHECK_EQ(co_set_name(b, "deep"), 0);
	resume(a);
	resume(b);
}

/* The last bytes may be used up by our own switch, half way between two. */
static __attribute__((noinline)) void leave(char *last, struct co *to)
{
	volatile char *rest = alloca((size_t)((char *)__builtin_frame_address(0) - last));

	rest[0] = 1;
	if (to)
		co_resume(to);
	else
		co_yield_ct();
	rest[0] = 2;
}

static int bytes_left;
static struct co *leave_for; /* NULL: its resumer */

static void *leaves_deep(void *arg)
{
	leave(stack_of(co_self())->lo + bytes_left, leave_for);
	return arg;
}

/* Its reports say "deep", whoever else has the slot. Returns how often it died. */
static int count_overflows(void (*in_child)(void))
{
	int died = 0;

	for (bytes_left = 1200; bytes_left >= 0; bytes_left -= 16) {
		char said[1024] = "";
		int fds[2], status;
		CHECK_EQ(pipe(fds), 0);
		pid_t pid = fork();
		if (pid == 0) {
			dup2(fds[1], 2);
			in_child();
			_exit(0);
		}
		close(fds[1]);
		for (ssize_t n, len = 0; (n = read(fds[0], said + len, sizeof(said) - 1 - (size_t)len)) > 0;)
			len += n;
		close(fds[0]);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		if (status == 0)
			continue;
		CHECK_EQ(WTERMSIG(status), SIGSEGV);
		CHECK(strstr(said, "\"deep\"") != NULL);
		died++;
	}
	return died;
}

static void make_three(struct co **done, struct co **out, struct co **deep)
{
	share(1);
	*done = make(plain_return, NULL);
	*out = make(grow, NULL);
	*deep = make(leaves_deep, NULL);
	CHECK_EQ(co_set_name(*deep, "deep"), 0);
	resume(*done);
	resume(*out);
}

static void yields_deep(void)
{
	struct co *done, *out, *deep;

	make_three(&done, &out, &deep);
	co_resume(deep);
}

static void resumes_deep(void)
{
	struct co *done, *out, *deep;

	make_three(&done, &out, &deep);
	leave_for = out;
	co_resume(deep);
}

static void overflow_in_a_switch(void)
{
	SKIP_IF_WATCHED("sanitized functions want more than they leave");
	CHECK(count_overflows(yields_deep) > 0);
	CHECK(count_overflows(resumes_deep) > 0);
}

/* --- signals --------------------------------------------------------------------------- */

static volatile sig_atomic_t n_handled;

/* Wants most of a slot. */
static void on_signal(int sig)
{
	volatile char local[SIZE * 3 / 4];

	for (size_t i = sizeof(local) - 1; i < sizeof(local); i -= 1024)
		local[i] = (char)sig;
	n_handled++;
}

static void *grows_by_much(void *arg)
{
	CHECK_EQ(co_yield_ct(), 0);
	volatile size_t len = 1024; /* a constant one, clang makes part of the frame from its beginning */
	volatile char *more = alloca(len);
	more[0] = 1;
	signal_when_freed = stack_of(co_self())->save_buffer;
	CHECK_EQ(co_yield_ct(), 0);
	return arg;
}

static void *resume_thrice(void *arg)
{
	for (int i = 0; i < 3; i++)
		CHECK_EQ(co_resume(arg), 0);
	return NULL;
}

static void signal_on_copier(void)
{
	signal(SIGUSR1, on_signal);
	share(1);
	struct co *b = make(grows_by_much, NULL), *a = make(resume_thrice, b);
	resume(a);
	CHECK_EQ(co_status(a), CO_DONE);
	CHECK_EQ(n_handled, 1);
	release(a);
	release(b);
	end();
}

/* --- what a backtrace says ---------------------------------------------------------------------------------- */

struct walk {
	int n;
	bool saw_main_test, saw_outer, saw_inner, ended_by_name;
};

static void *bt_inner(void *arg);
static void *bt_outer(void *arg);
static void bt_main(int slots);

static bool is_in(uintptr_t pc, void *fn)
{
	return _Unwind_FindEnclosingFunction((void *)pc) == fn;
}

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *c, void *arg)
{
	struct walk *w = arg;
	uintptr_t pc = _Unwind_GetIP(c);

	if (pc == (uintptr_t)coctx_copied_out.rip) {
		w->ended_by_name = true;
		return _URC_NO_REASON;
	}
	pc--;
	w->n++;
	w->saw_inner |= is_in(pc, bt_inner);
	w->saw_outer |= is_in(pc, bt_outer);
	w->saw_main_test |= is_in(pc, bt_main);
	return w->n < 100 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static __attribute__((noinline)) struct walk walk(void)
{
	struct walk w = { 0 };

	_Unwind_Backtrace(note_frame, &w);
	CHECK(w.n < 100);
	return w;
}

static __attribute__((noinline)) void *bt_inner(void *is_apart)
{
	for (int i = 0; i < 2; i++) {
		struct walk w = walk();
		CHECK(w.saw_inner);
		CHECK_EQ(w.saw_outer, is_apart != NULL);
		CHECK_EQ(w.saw_main_test, is_apart != NULL);
		CHECK_EQ(w.ended_by_name, is_apart == NULL);
		CHECK_EQ(co_yield_ct(), 0);
	}
	return NULL;
}

static __attribute__((noinline)) void *bt_outer(void *inner_co)
{
	for (int i = 0; i < 3; i++) {
		struct walk w = walk();
		CHECK(w.saw_outer && w.saw_main_test && !w.saw_inner && !w.ended_by_name);
		CHECK_EQ(co_resume(inner_co), 0);
	}
	return NULL;
}

static __attribute__((noinline)) void bt_main(int slots)
{
	share(slots);
	struct co *b = make(bt_inner, slots > 1 ? "" : NULL), *a = make(bt_outer, b);
	resume(a);
	CHECK_EQ(co_status(b), CO_DONE);
	release(a);
	release(b);
	end();
}

static void backtraces(void)
{
	bt_main(1);
	bt_main(2);
}

static const struct test_case cases[] = {
	{ "by_turns", "ten coroutines on one stack find their locals as they left them", by_turns, 0, NULL },
	{ "alone", "one that has its slot for itself is never copied", alone, 0, NULL },
	{ "exact_range", "B04, B06: what is copied begins at the stack pointer, exactly", exact_range, 0, NULL },
	{ "how_deep", "how deep it was, is known of switches only", how_deep, 0, NULL },
	{ "hops", "one can resume another on the stack that it stands on", hops, 0, NULL },
	{ "far_resumer", "a resumer's resumer can be copied out, too", far_resumer, 0, NULL },
	{ "least_loaded", "B10: the slot is chosen at the first run: the one with the fewest", least_loaded, 0, NULL },
	{ "not_the_resumers", "B10: and of equals, one that the resumer does not stand on", not_the_resumers, 0, NULL },
	{ "lent_local", "B05: a resumer's local can be reached as long as another stack is free", lent_local, 0, NULL },
	{ "occupant_released", "B01: when the occupant is released, the other still finds its bytes", occupant_released, 0,
	  NULL },
	{ "occupant_reset", "B02: the same when it is reset", occupant_reset, 0, NULL },
	{ "copied_out_released", "one that is copied out can be reset and released", copied_out_released, 0, NULL },
	{ "first_run_writes_nothing", "B03: the first run of one writes nothing into another's bytes",
	  first_run_writes_nothing, 0, NULL },
	{ "steady", "B07: buffers are used again: 2000 switches ask for no memory", steady, 0, NULL },
	{ "small_when_idle", "an idle one costs its live bytes and half a kilobyte", small_when_idle, 0, NULL },
	{ "no_memory_to_hop", "no memory to copy out whoever resumes: ENOMEM, nothing has changed", no_memory_to_hop, 0,
	  NULL },
	{ "no_memory_to_yield", "no memory to copy out whoever yields: ENOMEM, nothing has changed", no_memory_to_yield, 0,
	  NULL },
	{ "no_memory_to_return", "none when a function returns to one that is copied out: it was had before",
	  no_memory_to_return, 0, NULL },
	{ "no_memory_to_return_late", "and what was copied out before is kept then", no_memory_to_return_late, 0, NULL },
	{ "no_memory_of_another", "who has hopped away is not told of a later failure", no_memory_of_another, 0, NULL },
	{ "no_memory_from_main", "no memory to copy out the occupant: ENOMEM, nothing has changed", no_memory_from_main, 0,
	  NULL },
	{ "no_memory_at_first", "no memory for a shared stack, or for a coroutine on one: ENOMEM", no_memory_at_first, 0,
	  NULL },
	{ "misuse", "B08, B09, B11: bad sizes, freeing in use, another thread: refused", misuse, 0, NULL },
	{ "thread_ends", "B09: what is left when a thread ends is freed", thread_ends, 0, NULL },
	{ "overflow", "C04: an overflow of a shared stack is reported, with the coroutine's name", overflow, SIGSEGV,
	  "stack overflow in coroutine 2 \"deep\"" },
	{ "overflow_in_a_switch", "C04: the name is the right one's inside our own switch, too", overflow_in_a_switch, 0, NULL },
	{ "signal_on_copier", "a signal's handler has as much room while stacks are copied", signal_on_copier, 0, NULL },
	{ "backtraces", "C06: a backtrace ends by name where the resumer's bytes are copied out", backtraces, 0, NULL },
};

TEST_MAIN(cases)
