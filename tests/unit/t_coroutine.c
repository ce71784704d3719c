/* SPDX-License-Identifier: MIT */
/* Create, resume, yield, reset, release: what each promises. */
#include <dlfcn.h>
#include <fenv.h>

#include "check.h"
#include "coroutine.h"
#include "debug.h"
#include "env.h"
#include "tools.h"

/* What coroutines leave here, in order. */
static char trail[256];

static void note(const char *s)
{
	strcat(trail, s);
}

static void check_all(void)
{
	co_env_check();
	co_stack_check();
}

static struct co *make(co_fn *fn, void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, arg), 0);
	check_all();
	return co;
}

static void resume(struct co *co)
{
	CHECK_EQ(co_resume(co), 0);
	check_all();
}

static void yield(void)
{
	check_all();
	CHECK_EQ(co_yield_ct(), 0);
	check_all();
}

static void release(struct co *co)
{
	CHECK_EQ(co_release(co), 0);
	check_all();
}

/* --- coroutines used by several cases ---------------------------------------- */

static void *return_arg(void *arg)
{
	return arg;
}

/* Counts in *@arg, and yields, for ever. */
static void *count(void *arg)
{
	for (;; yield())
		++*(int *)arg;
	return NULL;
}

static void *yield_once(void *arg)
{
	yield();
	return arg;
}

/* --- create, resume, yield ----------------------------------------------------- */

static void nothing_before(void)
{
	struct co *co;

	CHECK_EQ(co_self(), NULL);
	CHECK_EQ(co_get_curr_thread_env(), NULL);
	check_all();
	CHECK_EQ(co_create(&co, NULL, return_arg, NULL), 0);
	CHECK(co_get_curr_thread_env() != NULL);
	CHECK_EQ(co_status(co_self()), CO_RUNNING);
	CHECK_EQ(strcmp(co_name(co_self()), "main"), 0);
	CHECK_EQ(co_id(co_self()), 0);
}

static void create_does_not_start(void)
{
	int n = 0;
	struct co *co = make(count, &n);

	CHECK_EQ(n, 0);
	CHECK_EQ(co_status(co), CO_NEW);
	CHECK_EQ(*co_name(co), 0);
	CHECK_EQ(co_result(co), NULL);
	release(co);
	CHECK_EQ(n, 0);
}

static void *look_at_self(void *arg)
{
	struct co *me = co_self(), *main = arg;

	CHECK(me != main);
	CHECK_EQ(co_status(me), CO_RUNNING);
	CHECK_EQ(co_status(main), CO_NORMAL);
	yield();
	CHECK_EQ(co_self(), me);
	CHECK_EQ(co_status(me), CO_RUNNING);
	return me;
}

static void states(void)
{
	struct co *co = make(look_at_self, NULL);

	co->arg = co_self();
	resume(co);
	CHECK_EQ(co_status(co), CO_SUSPENDED);
	CHECK_EQ(co_status(co_self()), CO_RUNNING);
	CHECK_EQ(co_result(co), NULL);
	resume(co);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(co_result(co), co);
	CHECK_EQ(co->n_resumes, 2);
	release(co);
}

static void goes_on(void)
{
	int n = 0;
	struct co *co = make(count, &n);

	for (int i = 1; i <= 1000; i++) {
		resume(co);
		CHECK_EQ(n, i);
	}
	release(co);
}

static void attr_is_copied(void)
{
	struct co_attr attr = { .stack_size = 1 };
	struct co *small, *large, *standard;

	CHECK_EQ(co_create(&small, &attr, yield_once, &attr), 0);
	attr.stack_size = CO_STACK_MAX;
	CHECK_EQ(co_create(&large, &attr, yield_once, &attr), 0);
	attr.stack_size = -1;
	standard = make(yield_once, &attr);
	CHECK((size_t)(small->exec.stack->hi - small->exec.stack->lo) >= co_stack_min());
	CHECK(small->exec.stack->hi - small->exec.stack->lo < CO_STACK_DEFAULT);
	CHECK(large->exec.stack->hi - large->exec.stack->lo >= CO_STACK_MAX);
	CHECK(large->exec.stack->hi - large->exec.stack->lo < CO_STACK_MAX + 4096);
	CHECK(standard->exec.stack->hi - standard->exec.stack->lo >= CO_STACK_DEFAULT);
	CHECK(standard->exec.stack->hi - standard->exec.stack->lo < CO_STACK_DEFAULT + 4096);
	for (int i = 0; i < 2; i++) {
		resume(small);
		resume(large);
		resume(standard);
	}
	CHECK_EQ(co_result(small), &attr);
	release(small);
	release(large);
	release(standard);
}

static void *where(void *arg)
{
	(void)arg;
	return __builtin_frame_address(0);
}

static void own_stack(void)
{
	struct co *co = make(where, NULL);

	resume(co);
	char *frame = co_result(co);
	CHECK(frame >= co->exec.stack->lo && frame < co->exec.stack->hi);
	/* It itself is above that, on the same page; or the heap's, where a tool watches that. */
	CHECK(!co->exec.stack->room || (co == co->exec.stack->room && (char *)co - co->exec.stack->hi < 4096));
	CHECK(co->exec.stack->room || watched_by());
	release(co);
}

/* A resumes B, B resumes C; each yields to whoever resumed it. */
static struct co *abc[3];

static void *nested(void *arg)
{
	int i = (int)(intptr_t)arg;
	const char name[] = { (char)('A' + i), 0 }, back[] = { (char)('a' + i), 0 };

	note(name);
	if (i < 2) {
		resume(abc[i + 1]);
		note(name);
	}
	yield();
	note(back);
	if (i < 2) {
		CHECK_EQ(co_status(abc[i + 1]), CO_SUSPENDED);
		resume(abc[i + 1]);
		CHECK_EQ(co_status(abc[i + 1]), CO_DONE);
		note(back);
	}
	return NULL;
}

static void yield_order(void)
{
	for (int i = 0; i < 3; i++)
		abc[i] = make(nested, (void *)(intptr_t)i);
	resume(abc[0]);
	CHECK_EQ(strcmp(trail, "ABCBA"), 0);
	note("|");
	resume(abc[0]);
	CHECK_EQ(strcmp(trail, "ABCBA|abcba"), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(co_status(abc[i]), CO_DONE);
		release(abc[i]);
	}
}

static void *resume_arg(void *arg)
{
	CHECK_EQ(co_status(arg), CO_SUSPENDED);
	resume(arg);
	return co_self();
}

static void another_resumer(void)
{
	int n = 0;
	struct co *co = make(count, &n);

	/* Back to the one who resumed it this time, not the first. */
	resume(co);
	for (int i = 2; i < 10; i++) {
		struct co *other = make(resume_arg, co);
		resume(other);
		CHECK_EQ(co_result(other), other);
		CHECK_EQ(n, i);
		CHECK_EQ(co->resumer, NULL);
		release(other);
	}
	release(co);
}

enum {
#ifdef CO_TSAN
	DEPTH = 1000, /* it takes its fibers from a table of a few thousand */
	LIVES = 2000,
	N_IDS = 1200,
#else
	DEPTH = 10000,
	LIVES = 20000,
	N_IDS = 3000,
#endif
};

static int deepest;

/* valgrind looks through all stacks at each switch. */
static int how_deep(void)
{
	return is_under_valgrind() ? DEPTH / 40 : DEPTH;
}

static void *descend(void *arg)
{
	int depth = (int)(intptr_t)arg;
	struct co_attr attr = { .stack_size = 1 };
	struct co *next;
	int local = depth;

	if (depth == how_deep()) {
		deepest = depth;
		check_all();
		CHECK_EQ(co_yield_ct(), 0);
		return arg;
	}
	CHECK_EQ(co_create(&next, &attr, descend, (void *)(intptr_t)(depth + 1)), 0);
	for (int round = 0; round < 2; round++) {
		CHECK_EQ(co_resume(next), 0);
		CHECK_EQ(local, depth);
		CHECK_EQ(co_status(next), round ? CO_DONE : CO_SUSPENDED);
		if (round == 0 && depth > 0)
			CHECK_EQ(co_yield_ct(), 0);
	}
	CHECK_EQ((intptr_t)co_result(next), depth + 1);
	CHECK_EQ(co_release(next), 0);
	return arg;
}

static void any_depth(void)
{
	descend(0);
	CHECK_EQ(deepest, how_deep());
	check_all();
	CHECK(list_empty(&co_get_curr_thread_env()->all));
	CHECK_EQ(co_stack_stats().lent, 0);
}

/* A kind of stack with a way in of its own, as shared stacks have. It looks
 * around in the middle of each swap, where a debugger may stop too. */
static struct {
	struct co_stack_source source;
	struct co_stack stack;
	struct co_stack *inner; /* where the bytes really are */
	int n_got, n_put, n_down, n_up, n_forgot;
	bool is_full; /* there is no way in */
} odd;

static int odd_enter(struct co_exec *from, struct co_exec *to)
{
	struct co *leaves = container_of(from, struct co, exec), *comes = container_of(to, struct co, exec);

	CHECK_EQ(co_self(), comes);
	if (comes->resumer == leaves) {
		CHECK_EQ(to->link, &from->ctx);
		odd.n_down++;
	} else {
		/* Going back. The link stays until the swap is over: a backtrace needs it. */
		CHECK_EQ(leaves->resumer, comes);
		CHECK_EQ(from->link, &to->ctx);
		odd.n_up++;
	}
	if (odd.is_full) {
		errno = ENOMEM;
		return -1;
	}
	annotate_leave(&from->tools, &to->tools, to->stack->lo, to->stack->hi);
	coctx_swap(&from->ctx, &to->ctx);
	co_swap_arrived(from);
	return 0;
}

static void odd_put(struct co_stack *stack)
{
	CHECK_EQ(stack, &odd.stack);
	odd.inner->ops->put(odd.inner);
	odd.n_put++;
}

static void odd_forget(struct co_stack *stack)
{
	CHECK_EQ(stack, &odd.stack);
	odd.n_forgot++;
}

static struct co_stack *odd_get(struct co_stack_source *source)
{
	static const struct co_stack_ops ops = { .enter = odd_enter, .forget = odd_forget, .put = odd_put };

	CHECK_EQ(source, &odd.source);
	odd.inner = co_stack_get(CO_STACK_DEFAULT);
	odd.stack = *odd.inner;
	odd.stack.ops = &ops;
	odd.n_got++;
	return &odd.stack;
}

static void *resume_twice(void *arg)
{
	for (int i = 0; i < 2; i++)
		resume(arg);
	yield();
	return arg;
}

static void stacks_own_way(void)
{
	struct co *inner = make(yield_once, NULL), *outer;
	struct co_attr attr = { .share_stack = &odd.source };

	odd.source.get = odd_get;
	CHECK_EQ(co_create(&outer, &attr, resume_twice, inner), 0);
	CHECK_EQ(odd.n_got, 1);
	resume(outer);
	resume(outer);
	CHECK_EQ(co_status(outer), CO_DONE);
	CHECK_EQ(odd.n_down, 2); /* by main */
	CHECK_EQ(odd.n_up, 2);   /* by inner: a yield and its end */
	CHECK_EQ(odd.n_put, 0);
	CHECK_EQ(odd.n_forgot, 0);
	CHECK_EQ(co_reset(outer), 0);
	CHECK_EQ(odd.n_forgot, 1);
	release(outer);
	CHECK_EQ(odd.n_put, 1);
	release(inner);
}

/* The one that @arg is yields to it in vain, then well. */
static void *yield_in_vain(void *arg)
{
	odd.is_full = true;
	errno = EXDEV;
	CHECK_FAILS(co_yield_ct(), -1, ENOMEM);
	CHECK_EQ(co_self()->resumer, arg);
	CHECK_EQ(co_status(arg), CO_NORMAL);
	CHECK(co_self()->blocked_at == NULL);
	co_env_check();
	odd.is_full = false;
	yield();
	return arg;
}

static void *resume_it(void *arg)
{
	struct co *inner = make(yield_in_vain, co_self());

	(void)arg;
	resume(inner);
	CHECK_EQ(co_status(inner), CO_SUSPENDED);
	resume(inner);
	CHECK_EQ(co_status(inner), CO_DONE);
	release(inner);
	return NULL;
}

static void no_way_in(void)
{
	struct co *outer;
	struct co_attr attr = { .share_stack = &odd.source };

	odd.source.get = odd_get;
	CHECK_EQ(co_create(&outer, &attr, resume_it, NULL), 0);
	odd.is_full = true;
	for (int i = 0; i < 3; i++) {
		errno = EXDEV;
		CHECK_FAILS(co_resume(outer), -1, ENOMEM);
		CHECK_EQ(co_status(outer), CO_NEW);
		CHECK_EQ(outer->n_resumes, 0);
		CHECK(outer->resumer == NULL);
		CHECK_EQ(co_status(co_self()), CO_RUNNING);
		CHECK_EQ(co_id(co_self()), 0);
		co_env_check();
	}
	odd.is_full = false;
	resume(outer);
	CHECK_EQ(co_status(outer), CO_DONE);
	release(outer);
}

/* --- what belongs to a coroutine ------------------------------------------------- */

static void *set_errno(void *arg)
{
	CHECK_EQ(errno, 0); /* like a new thread's */
	for (int i = 0;; i++) {
		errno = (int)(intptr_t)arg + i;
		CHECK_EQ(co_yield_ct(), 0);
		CHECK_EQ(errno, (int)(intptr_t)arg + i);
	}
	return NULL;
}

static void own_errno(void)
{
	struct co *a = make(set_errno, (void *)1000), *b = make(set_errno, (void *)2000);

	for (int i = 0; i < 10; i++) {
		errno = 3000 + i;
		CHECK_EQ(co_resume(a), 0);
		CHECK_EQ(errno, 3000 + i);
		CHECK_EQ(co_resume(b), 0);
		CHECK_EQ(errno, 3000 + i);
	}
	release(a);
	release(b);
}

/* Both units round by this mode: mxcsr's, which double is divided with, and the
 * x87 control word's, which fegetround reads. */
static bool rounds_by(int mode)
{
	static const volatile double one = 1, three = 3;
	bool is_up = one / three > 0x1.5555555555555p-2; /* the double below a third */

	/* (valgrind's processor divides in one way only) */
	return fegetround() == mode && (is_under_valgrind() || is_up == (mode == FE_UPWARD));
}

static void *set_rounding(void *arg)
{
	int own = (int)(intptr_t)arg;

	CHECK(rounds_by(FE_UPWARD)); /* the creator's */
	fesetround(own);
	for (;;) {
		CHECK_EQ(co_yield_ct(), 0);
		CHECK(rounds_by(own));
	}
	return NULL;
}

static void own_rounding(void)
{
	fesetround(FE_UPWARD);
	struct co *a = make(set_rounding, (void *)FE_DOWNWARD), *b = make(set_rounding, (void *)FE_TOWARDZERO);
	fesetround(FE_TONEAREST);
	for (int i = 0; i < 10; i++) {
		resume(a);
		CHECK(rounds_by(FE_TONEAREST));
		resume(b);
		CHECK(rounds_by(FE_TONEAREST));
	}
	fesetround(FE_UPWARD);
	CHECK_EQ(co_reset(a), 0); /* it begins again with the settings of now */
	fesetround(FE_TONEAREST);
	resume(a);
	release(a);
	release(b);
}

enum { N_SORTERS = 5, N_NUMBERS = 200 };

static int compare_and_yield(const void *a, const void *b)
{
	yield();
	return *(const int *)a - *(const int *)b;
}

static void *sort(void *numbers)
{
	qsort(numbers, N_NUMBERS, sizeof(int), compare_and_yield);
	return NULL;
}

static void inside_qsort(void)
{
	static int numbers[N_SORTERS][N_NUMBERS];
	struct rng rng = { test_seed(20240229) };
	struct co *sorter[N_SORTERS];
	int n_done = 0, n_turns = 0;

	for (int s = 0; s < N_SORTERS; s++) {
		for (int i = 0; i < N_NUMBERS; i++)
			numbers[s][i] = (int)rng_below(&rng, 1000);
		sorter[s] = make(sort, numbers[s]);
	}
	for (; n_done < N_SORTERS; n_turns++)
		for (int s = 0; s < N_SORTERS; s++)
			if (co_status(sorter[s]) != CO_DONE) {
				resume(sorter[s]);
				n_done += co_status(sorter[s]) == CO_DONE;
			}
	CHECK(n_turns > N_NUMBERS);
	for (int s = 0; s < N_SORTERS; s++) {
		for (int i = 1; i < N_NUMBERS; i++)
			CHECK(numbers[s][i - 1] <= numbers[s][i]);
		release(sorter[s]);
	}
}

/* --- release -------------------------------------------------------------------- */

static int n_cancelled;
static struct co *cancelled;

static void cancel(struct co *co)
{
	n_cancelled++;
	cancelled = co;
}

/* Suspends as a blocking call of a higher layer would. */
static void *wait_in(void *state)
{
	if ((enum co_state)(intptr_t)state == CO_WAITING)
		co_self()->abandon = cancel;
	CHECK_EQ(co_suspend((enum co_state)(intptr_t)state, NULL), 0);
	return NULL;
}

/* One coroutine in each state that can be released. */
static struct co *in_state(enum co_state state, struct list *queue)
{
	struct co *co = make(state == CO_DONE	      ? return_arg
			     : state == CO_SUSPENDED ? yield_once
						     : wait_in,
			     (void *)(intptr_t)state);

	if (state != CO_NEW)
		CHECK_EQ(co_resume(co), 0);
	if (state == CO_READY)
		list_append(queue, &co->queue);
	check_all();
	CHECK_EQ(co_status(co), state);
	return co;
}

static const enum co_state releasable[] = { CO_NEW, CO_SUSPENDED, CO_READY, CO_WAITING, CO_DONE };
enum { N_RELEASABLE = sizeof(releasable) / sizeof(releasable[0]) };

static void release_states(void)
{
	struct list queue = LIST_INIT(queue);

	for (int i = 0; i < N_RELEASABLE; i++) {
		struct co *co = in_state(releasable[i], &queue);
		CHECK_EQ(co_stack_stats().lent, 1);
		release(co);
		CHECK_EQ(co_stack_stats().lent, 0);
		CHECK(list_empty(&queue));
		CHECK(list_empty(&co_get_curr_thread_env()->all));
		CHECK_EQ(n_cancelled, releasable[i] >= CO_WAITING); /* once, and for none but the waiting one */
	}
}

static void *release_arg(void *arg)
{
	release(arg);
	return NULL;
}

static void release_by_another(void)
{
	int n = 0;
	struct co *victim = make(count, &n);
	struct co *other = make(release_arg, victim);

	resume(victim);
	resume(other);
	CHECK_EQ(co_status(other), CO_DONE);
	release(other);
	CHECK_EQ(co_stack_stats().lent, 0);
}

static void many_lives(void)
{
	int n = 0;
	size_t mapped = 0;

	/* What is released is used again: the memory does not grow. */
	for (int i = 0; i < LIVES; i++) {
		struct co *co;
		CHECK_EQ(co_create(&co, NULL, i % 2 ? count : return_arg, &n), 0);
		CHECK_EQ(co_resume(co), 0);
		CHECK_EQ(co_release(co), 0);
		if (i == 10)
			mapped = co_stack_stats().mapped_bytes;
	}
	CHECK_EQ(n, LIVES / 2);
	CHECK_EQ(co_stack_stats().mapped_bytes, mapped);
	check_all();
}

/* --- reset ------------------------------------------------------------------------ */

static void *from_the_top(void *arg)
{
	int local = 0;

	CHECK_EQ(errno, 0);
	note("(");
	yield();
	local++;
	note("-");
	yield();
	CHECK_EQ(local, 1);
	note(")");
	return arg;
}

static void reset_runs_again(void)
{
	struct co *co = make(from_the_top, trail);
	uint32_t id = co_id(co);

	CHECK_EQ(co_set_name(co, "again"), 0);
	for (int n_resumes = 0; n_resumes <= 3; n_resumes++) {
		for (int i = 0; i < n_resumes; i++)
			resume(co);
		CHECK_EQ(co_result(co), n_resumes == 3 ? trail : NULL);
		CHECK_EQ(co_reset(co), 0);
		check_all();
		CHECK_EQ(co_status(co), CO_NEW);
		CHECK_EQ(co_result(co), NULL);
		CHECK_EQ(co->result, NULL);
		CHECK_EQ(co->blocked_at, NULL);
		CHECK_EQ(co_id(co), id);
		CHECK_EQ(strcmp(co_name(co), "again"), 0);
	}
	CHECK_EQ(strcmp(trail, "((-(-)"), 0);
	CHECK_EQ(co_stack_stats().lent, 1);
	release(co);
}

static void reset_states(void)
{
	struct list queue = LIST_INIT(queue);

	for (int i = 0; i < N_RELEASABLE; i++) {
		struct co *co = in_state(releasable[i], &queue);
		n_cancelled = 0;
		CHECK_EQ(co_reset(co), 0);
		check_all();
		CHECK_EQ(co_status(co), CO_NEW);
		CHECK(list_empty(&queue));
		CHECK(!list_linked(&co->queue));
		CHECK_EQ(co->abandon, NULL);
		CHECK_EQ(n_cancelled, releasable[i] == CO_WAITING);
		if (n_cancelled)
			CHECK_EQ(cancelled, co);
		resume(co);
		co->abandon = NULL;
		release(co);
	}
}

/* --- names, numbers, places ---------------------------------------------------------- */

static void names(void)
{
	static const char longest[] = "0123456789012345678901234567890";
	struct co *co = make(return_arg, NULL);

	_Static_assert(sizeof(longest) == CO_NAME_MAX + 1, "the longest name");
	CHECK_EQ(co_set_name(co, longest), 0);
	CHECK_EQ(strcmp(co_name(co), longest), 0);
	CHECK_EQ(co_set_name(co, ""), 0);
	CHECK_EQ(*co_name(co), 0);
	CHECK_EQ(co_set_name(co_self(), "the first"), 0);
	CHECK_EQ(strcmp(co_name(co_self()), "the first"), 0);
	release(co);
}

static void ids(void)
{
	uint32_t last = 0;
	int keep = is_under_valgrind() ? 30 : 3; /* every 30th; see how_deep */

	/* More than one block of ids, and some given back in between. */
	for (int i = 0; i < (is_under_valgrind() ? N_IDS / 2 : N_IDS); i++) {
		struct co *co;
		CHECK_EQ(co_create(&co, NULL, return_arg, NULL), 0);
		CHECK(co_id(co) > last);
		last = co_id(co);
		if (i % keep)
			CHECK_EQ(co_release(co), 0);
	}
	CHECK(co_id(co_self()) == 0);
	check_all();
}

static void state_names(void)
{
	static const char *const name[] = { "new", "suspended", "ready", "running", "normal", "waiting", "done" };

	for (int s = 0; s <= CO_DONE; s++)
		CHECK_EQ(strcmp(co_state_name((enum co_state)s), name[s]), 0);
	CHECK_EQ(strcmp(co_state_name((enum co_state)7), "unknown"), 0);
	CHECK_EQ(strcmp(co_state_name((enum co_state)-1), "unknown"), 0);
}

/* Named in the dynamic symbol table, so that dladdr finds them; the work after
 * the call keeps it from being the last thing, and so a jump. */
#define FINDABLE __attribute__((noinline, visibility("default")))
static volatile int after;

FINDABLE struct co *creates_here(void)
{
	struct co *co;
	CHECK_EQ(co_create(&co, NULL, return_arg, NULL), 0);
	after++;
	return co;
}

FINDABLE void yields_ct_here(void)
{
	co_yield_ct();
	after++;
}

FINDABLE void yields_here(void)
{
	co_yield(co_self());
	after++;
}

FINDABLE void yields_env_here(void)
{
	co_yield_env(co_get_curr_thread_env());
	after++;
}

/* Is @addr, a return address, in the function of this name? */
static int lies_in(void *addr, const char *function)
{
	Dl_info info;
	return dladdr((char *)addr - 1, &info) && info.dli_sname && strcmp(info.dli_sname, function) == 0;
}

static void created_at(void)
{
	struct co *co = creates_here();

	CHECK(lies_in(co->created_at, "creates_here"));
	resume(co);
	CHECK_EQ(co_reset(co), 0);
	CHECK(lies_in(co->created_at, "creates_here"));
	release(co);
}

static void *block_in_three(void *arg)
{
	yields_ct_here();
	CHECK_EQ(co_self()->blocked_at, NULL);
	yields_here();
	CHECK_EQ(co_self()->blocked_at, NULL);
	yields_env_here();
	CHECK_EQ(co_self()->blocked_at, NULL);
	return arg;
}

static void blocked_at(void)
{
	static const char *const place[] = { "yields_ct_here", "yields_here", "yields_env_here" };
	struct co *co = make(block_in_three, NULL);

	CHECK_EQ(co->blocked_at, NULL);
	for (int i = 0; i < 3; i++) {
		resume(co);
		CHECK(lies_in(co->blocked_at, place[i]));
	}
	resume(co);
	CHECK_EQ(co_status(co), CO_DONE);
	CHECK_EQ(co->blocked_at, NULL);
	release(co);
}

/* --- the table for debuggers ------------------------------------------------------------ */

static const struct co_debug_layout *const layout = &co_debug_layout;

static const struct co_debug_field *field(const char *name)
{
	for (uint32_t i = 0; i < layout->n_fields; i++)
		if (strcmp(layout->fields[i].name, name) == 0)
			return &layout->fields[i];
	fprintf(stderr, "co_debug_layout has no \"%s\"\n", name);
	abort();
}

static void layout_sane(void)
{
	CHECK_EQ(memcmp(layout->magic, "costep layout\0\0\0", 16), 0);
	CHECK_EQ(layout->version, CO_DEBUG_VERSION);
	CHECK_EQ(layout->field_size, sizeof(struct co_debug_field));
	CHECK_EQ(layout->n_states, CO_DONE + 1);
	for (unsigned s = 0; s < layout->n_states; s++)
		CHECK_EQ(strcmp(layout->states[s], co_state_name((enum co_state)s)), 0);

	CHECK(layout->n_fields <= CO_DEBUG_FIELDS);
	for (uint32_t i = 0; i < CO_DEBUG_FIELDS; i++) {
		const struct co_debug_field *f = &layout->fields[i], none = { 0 };
		if (i >= layout->n_fields) {
			CHECK_EQ(memcmp(f, &none, sizeof(none)), 0);
			continue;
		}
		CHECK(memchr(f->name, 0, sizeof(f->name)) != NULL);
		CHECK_EQ(field(f->name), f); /* no name twice */

		/* It lies inside its struct, whose size is in the table too. */
		const char *dot = strchr(f->name, '.');
		char whole[40] = "sizeof";
		CHECK(dot != NULL);
		if (memcmp(f->name, "sizeof.", 7) == 0)
			continue;
		snprintf(whole + 6, sizeof(whole) - 6, ".%.*s", (int)(dot - f->name), f->name);
		CHECK(f->size > 0);
		CHECK(f->offset + f->size <= field(whole)->size);
	}
}

/* Read a field as a debugger would: from bytes, by the table alone. */
static uintptr_t peek(const void *object, const char *name)
{
	const struct co_debug_field *f = field(name);
	uintptr_t value = 0;

	CHECK(f->size <= sizeof(value));
	memcpy(&value, (const char *)object + f->offset, f->size);
	return value;
}

static void layout_read(void)
{
	struct co *made[4];
	unsigned n = 0;

	for (int i = 0; i < 4; i++) {
		made[i] = make(i % 2 ? yield_once : return_arg, NULL);
		CHECK_EQ(co_set_name(made[i], &"abcd"[i]), 0);
		resume(made[i]);
	}

	const char *envs = layout->envs;
	const char *node = (const char *)peek(envs, "list.next");
	CHECK(node != envs);
	CHECK_EQ(peek(node, "list.next"), envs);
	const char *env = node - field("env.in_envs")->offset;
	CHECK_EQ(peek(env, "env.tid"), getpid());
	CHECK_EQ(peek(env, "env.running"), env + field("env.main")->offset);
	CHECK_EQ(strcmp(env + field("env.main")->offset + field("co.name")->offset, "main"), 0);

	const char *all = env + field("env.all")->offset;
	for (node = (const char *)peek(all, "list.next"); node != all; node = (const char *)peek(node, "list.next"), n++) {
		const char *co = node - field("co.in_env")->offset;
		CHECK_EQ(co, made[n]);
		CHECK_EQ(peek(co, "co.id"), co_id(made[n]));
		CHECK_EQ(peek(co, "co.env"), env);
		CHECK_EQ(peek(co, "co.n_resumes"), 1);
		CHECK_EQ(strcmp(co + field("co.name")->offset, &"abcd"[n]), 0);
		CHECK_EQ(strcmp(layout->states[peek(co, "co.state")], n % 2 ? "suspended" : "done"), 0);
		/* Suspended: the saved stack pointer lies in its stack. */
		uintptr_t rsp = peek(co + field("co.ctx")->offset, "coctx.rsp");
		const char *stack = (const char *)peek(co, "co.stack");
		CHECK(rsp > peek(stack, "stack.lo") && rsp <= peek(stack, "stack.hi"));
	}
	CHECK_EQ(n, 4);
}

static const struct test_case cases[] = {
	{ "nothing_before", "a thread has no environment before its first create", nothing_before, 0, NULL },
	{ "create_does_not_start", "create does not start the function", create_does_not_start, 0, NULL },
	{ "states", "A14: states and result follow resume, yield and return", states, 0, NULL },
	{ "goes_on", "each resume goes on where the last one yielded", goes_on, 0, NULL },
	{ "attr_is_copied", "attributes are read during create only; sizes are raised to the minimum", attr_is_copied, 0,
	  NULL },
	{ "own_stack", "a coroutine's function runs on the coroutine's stack", own_stack, 0, NULL },
	{ "yield_order", "A resumes B resumes C: yields go back C, B, A, main", yield_order, 0, NULL },
	{ "another_resumer", "a yield goes back to whoever resumed last", another_resumer, 0, NULL },
	{ "any_depth", "A04: resumes nest to any depth", any_depth, 0, NULL },
	{ "stacks_own_way", "a stack's own way in is taken, with resumer and link in place meanwhile", stacks_own_way, 0,
	  NULL },
	{ "no_way_in", "no way in: resume and yield say ENOMEM, and nothing has changed", no_way_in, 0, NULL },
	{ "own_errno", "C08: errno is the coroutine's own", own_errno, 0, NULL },
	{ "own_rounding", "C01: the rounding mode is the coroutine's own, at first its maker's", own_rounding, 0, NULL },
	{ "inside_qsort", "five coroutines yield inside qsort and all arrays end up sorted", inside_qsort, 0, NULL },
	{ "release_states", "a new, suspended, ready, waiting or done coroutine can be released", release_states, 0, NULL },
	{ "release_by_another", "one coroutine can release another", release_by_another, 0, NULL },
	{ "many_lives", "coroutines that live one after the other use the same memory", many_lives, 0, NULL },
	{ "reset_runs_again", "reset: the next resume runs the function from the top", reset_runs_again, 0, NULL },
	{ "reset_states", "reset takes a coroutine off every list it waits on", reset_states, 0, NULL },
	{ "names", "a name of 31 bytes is kept whole", names, 0, NULL },
	{ "ids", "ids grow and are never given twice", ids, 0, NULL },
	{ "state_names", "every state has a name", state_names, 0, NULL },
	{ "created_at", "created_at lies in the function that called co_create", created_at, 0, NULL },
	{ "blocked_at", "blocked_at lies in the function that called yield, and is NULL otherwise", blocked_at, 0, NULL },
	{ "layout_sane", "co_debug_layout: names end, are unique, and lie inside their structs", layout_sane, 0, NULL },
	{ "layout_read", "a reader that knows only co_debug_layout finds every coroutine", layout_read, 0, NULL },
};
TEST_MAIN(cases)
