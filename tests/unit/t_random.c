/* SPDX-License-Identifier: MIT */
/*
 * A million random steps, held against a model.
 *
 * Whoever runs, main or a coroutine at some depth of recursion, picks the next
 * step: create, resume, yield, reset, release, call deeper, return. The model
 * is a small array of states and resumers; it says what each call must return,
 * misuse too, and who runs afterwards. What belongs to an execution is checked
 * whenever it comes back: its locals, its callee-saved registers, errno, the
 * settings of both floating-point units.
 */
#include "annotate.h"
#include "env.h"
#include "regs.h"

/* t_random_shared.c has them on stacks that they share, too. */
#ifndef STACK_SOURCE
#define STACK_SOURCE() NULL
#define FREE_SOURCES()
#define N_STEPS STEPS
#define SENTENCE "a million random steps lose no local, register, errno or setting"
#endif

enum {
#ifdef CO_TSAN
	STEPS = 100 * 1000, /* each fiber costs it a megabyte and a system call or two */
#else
	STEPS = 1000 * 1000,
#endif
	SLOTS = 40,        /* coroutines alive at once; slot 0 is main */
	DEEPEST = 8,       /* calls inside one coroutine */
	CANARIES = 24,     /* words in each frame */
	CHECK_EVERY = 1000, /* steps between two checks of all invariants: they are O(n) */
};

/* The model of one coroutine. */
struct slot {
	struct co *co;         /* NULL: this slot is free */
	enum co_state state;
	struct slot *resumer;  /* as the model has it */
	struct fp made_with;   /* the settings when its context was made */
	unsigned run;          /* counts creates and resets: which life is this? */
	uint64_t result;       /* what its function has returned */
};

static struct slot slots[SLOTS];
static struct slot *running = &slots[0];
static struct rng rng;
static int steps_left;
static unsigned long n_refused, n_done, n_resumes, n_yields, n_created, n_resets, n_releases;
static int chain, longest_chain;

/* --- the model ---------------------------------------------------------------- */

/* The errno that a call on @s must end with; 0 = it must succeed. */
static int error_of_resume(const struct slot *s)
{
	switch (s->state) {
	case CO_NEW:
	case CO_SUSPENDED:
		return 0;
	case CO_DONE:
		return EINVAL;
	default:
		return EBUSY;
	}
}

static int error_of_release(const struct slot *s)
{
	return s->state == CO_RUNNING || s->state == CO_NORMAL ? EBUSY : 0;
}

static void model_enter(struct slot *s)
{
	s->resumer = running;
	running->state = CO_NORMAL;
	s->state = CO_RUNNING;
	running = s;
	if (++chain > longest_chain)
		longest_chain = chain;
}

static void model_leave(enum co_state state)
{
	running->state = state;
	struct slot *to = running->resumer;
	running->resumer = NULL;
	to->state = CO_RUNNING;
	running = to;
	chain--;
}

static void compare_with_model(void)
{
	CHECK_EQ(co_self(), running->co);
	for (struct slot *s = slots; s < slots + SLOTS; s++) {
		if (!s->co)
			continue;
		CHECK_EQ(co_status(s->co), s->state);
		CHECK_EQ(s->co->resumer, s->resumer ? s->resumer->co : NULL);
		if (s->state == CO_DONE)
			CHECK_EQ(co_result(s->co), s->result);
	}
}

/* --- what an execution owns ----------------------------------------------------- */

struct own {
	struct slot *slot;
	unsigned run;
	struct fp fp;
};

static void set_fp(struct own *own)
{
	own->fp = fp_random(&rng);
	fp_set(own->fp);
}

static intptr_t do_resume(void *slot, void *unused)
{
	(void)unused;
	return co_resume(((struct slot *)slot)->co);
}

static intptr_t do_yield(void *how, void *co)
{
	switch ((intptr_t)how) {
	case 0:
		return co_yield_ct();
	case 1:
		return co_yield(co);
	default:
		return co_yield_env(co_get_curr_thread_env());
	}
}

/* Make a call that switches, with patterns in all registers, and look at what
 * is left of them and of everything else when it comes back. */
static intptr_t call(struct own *own, intptr_t (*fn)(void *, void *), void *a, void *b, int error)
{
	struct coctx set;
	struct regs got;
	int my_errno = 1 + (int)rng_below(&rng, 100000);

	regs_random(&set, &rng);
	errno = my_errno;
	intptr_t result = regs_call(&set, &got, fn, a, b);
	int now = errno;

	CHECK_EQ(result, error ? -1 : 0);
	CHECK_EQ(now, error ? error : my_errno);
	CHECK_SAME_REGS(&got.at, &set);
	CHECK_EQ(got.at.rsp, got.rsp_before);
	CHECK_SAME_FP(got.at, own->fp);
	CHECK_EQ(running, own->slot);
	CHECK_EQ(own->slot->run, own->run);
	n_refused += error != 0;
	return result;
}

/* --- steps ------------------------------------------------------------------------ */

static void *run(void *slot);

static void create(struct own *own, struct slot *s)
{
	static const int sizes[] = { 0, 32 * 1024, 64 * 1024 };
	struct co_attr attr = { .stack_size = sizes[rng_below(&rng, 3)], .share_stack = STACK_SOURCE() };

	CHECK_EQ(co_create(&s->co, &attr, run, s), 0);
	s->state = CO_NEW;
	s->resumer = NULL;
	s->made_with = own->fp;
	s->run++;
	n_created++;
}

static void resume(struct own *own, struct slot *s)
{
	int error = error_of_resume(s);

	if (!error) {
		model_enter(s);
		n_resumes++;
	}
	call(own, do_resume, s, NULL, error);
}

static void yield(struct own *own)
{
	int error = own->slot->resumer ? 0 : EPERM;

	if (!error) {
		model_leave(CO_SUSPENDED);
		n_yields++;
	}
	call(own, do_yield, (void *)(intptr_t)rng_below(&rng, 3), own->slot->co, error);
}

static void reset(struct own *own, struct slot *s)
{
	int error = error_of_release(s);

	errno = 0;
	CHECK_EQ(co_reset(s->co), error ? -1 : 0);
	CHECK_EQ(errno, error);
	if (error)
		return;
	if (s->state != CO_NEW) /* resetting a new one changes nothing */
		s->made_with = own->fp;
	s->state = CO_NEW;
	s->run++;
	n_resets++;
}

static void release(struct slot *s)
{
	int error = error_of_release(s);

	errno = 0;
	CHECK_EQ(co_release(s->co), error ? -1 : 0);
	CHECK_EQ(errno, error);
	if (error)
		return;
	s->co = NULL;
	n_releases++;
}

static void frame(struct own *own, int depth);

/* One random step. Returns 0 when the present function shall return. */
static int step(struct own *own, int depth)
{
	struct slot *s = &slots[rng_below(&rng, SLOTS)];
	unsigned dice = rng_below(&rng, 100);

	if (dice < 10) {
		if (depth < DEEPEST)
			frame(own, depth + 1);
	} else if (dice < 20) {
		return own->slot == &slots[0] && depth == 0;
	} else if (dice < 24) {
		set_fp(own);
	} else if (dice < 44) {
		yield(own);
	} else if (!s->co) {
		create(own, s);
	} else if (dice < 90) {
		resume(own, s);
	} else if (dice < 94) {
		reset(own, s);
	} else if (s != &slots[0]) {
		release(s);
	}
	return 1;
}

/* One activation: locals that must survive whatever the steps do. */
static void frame(struct own *own, int depth)
{
	volatile uint64_t canary[CANARIES];
	uint64_t seed = rng_next(&rng);

	for (int i = 0; i < CANARIES; i++)
		canary[i] = seed * (uint64_t)(i + 1);
	while (steps_left > 0) {
		steps_left--;
		int go_on = step(own, depth);
		for (int i = 0; i < CANARIES; i++)
			CHECK_EQ(canary[i], seed * (uint64_t)(i + 1));
		compare_with_model();
		if (steps_left % CHECK_EVERY == 0) {
			co_env_check();
			co_stack_check();
		}
		if (!go_on)
			break;
	}
}

static void *run(void *slot)
{
	struct own own = { .slot = slot, .fp = fp_get() };

	own.run = own.slot->run;
	CHECK_EQ(errno, 0);
	CHECK_EQ(running, own.slot);
	CHECK_SAME_FP(own.fp, own.slot->made_with);
	set_fp(&own);
	compare_with_model();
	frame(&own, 0);

	CHECK_EQ(own.slot->run, own.run);
	own.slot->result = rng_next(&rng);
	model_leave(CO_DONE);
	n_done++;
	return (void *)own.slot->result;
}

static void million_steps(void)
{
	struct own own = { .slot = &slots[0], .fp = fp_get() };
	struct fp before = own.fp;
	struct co *first;

	rng.s = test_seed(20240229);
	int n_steps = steps_left = N_STEPS;
	CHECK_EQ(co_create(&first, NULL, run, NULL), 0); /* makes the environment */
	CHECK_EQ(co_release(first), 0);
	slots[0].co = co_self();
	slots[0].state = CO_RUNNING;
	frame(&own, 0);

	/* Half of those left go on to their ends, half are freed where they are. */
	for (struct slot *s = slots + 1; s < slots + SLOTS; s++) {
		if (!s->co)
			continue;
		if (s->state != CO_DONE && rng_below(&rng, 2)) {
			resume(&own, s);
			CHECK_EQ(co_status(s->co), CO_DONE);
			compare_with_model();
		}
		release(s);
	}
	fp_set(before);
	co_env_check();
	co_stack_check();
	CHECK(list_empty(&co_get_curr_thread_env()->all));
	FREE_SOURCES();
	CHECK_EQ(co_stack_stats().lent, 0);

	printf("# %d steps: %lu created, %lu resumes, %lu yields, %lu returns, %lu resets, %lu releases, "
	       "%lu refused; %d nested\n", n_steps, n_created, n_resumes, n_yields, n_done, n_resets, n_releases, n_refused,
	       longest_chain);
	CHECK(n_created && n_resumes && n_yields && n_done && n_resets && n_releases && n_refused);
	CHECK(longest_chain > 3);
}

static const struct test_case cases[] = {
	{ "million_steps", SENTENCE, million_steps, 0, NULL },
};
TEST_MAIN(cases)
