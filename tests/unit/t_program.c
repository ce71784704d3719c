/* SPDX-License-Identifier: MIT */
/*
 * Random programs, each run with private stacks and with shared ones: they must print
 * the same.
 *
 * From a seed comes a program: some coroutines, and for each of them a tree of blocks, each
 * a list of operations (call a block, resume, yield, sleep, read, release ...). An
 * interpreter runs it, by functions that call each other and keep what they know in locals.
 * Every operation prints what came of it. What runs when, is a function of the program
 * alone: the clock is the test's own, and no address, number of a descriptor or
 * id is printed.
 *
 * Meanwhile the interpreter notes on the heap who has called whom, through all resumers
 * down to main. At random steps a backtrace must show exactly that, by libgcc and both
 * ways of libunwind; some are made by a signal's handler. On shared stacks it must end in
 * co_resumer_is_copied_out exactly where the next resumer's bytes are not in its slot.
 *
 * A failure names its program's seed. COSTEP_SEED=seed begins with that one, and
 * T_PROGRAM_SHOW=1 prints what each program has printed.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include <alloca.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unwind.h>

#include "coctx.h"
#include "env.h"
#include "epoll.h"
#include "hooks.h"
#include "jumping_clock.h"
#include "loop.h"
#include "park.h"
#include "sharestack.h"
#include "sleep.h"
#include "tools.h"

extern void *const coctx_entry; /* an address in the trampoline */

enum {
	PROGRAMS = 400,
	STEPS = 500,       /* operations of one run */
	ACTORS = 13,       /* main is the first */
	BLOCKS = 48,
	OPS = 8,           /* of one block */
	ENDS = 8,          /* of pipes and socket pairs */
	CALLS = 40,        /* noted of one execution: two for each block */
	BLOCK_BYTES = 900, /* at most, on the stack */
	DATA_BYTES = 3000, /* of one read or write: a channel takes not much more */
	STACK = 128 * 1024,
	TRACES = 5,        /* of one run, about */
	CHAIN = ACTORS * (CALLS + 3),
	FRAMES = 2000,
	MS = 1000 * 1000,
};

/* --- programs ---------------------------------------------------------------------- */

/* Kinds of operations, and how often they come. */
#define KINDS(X) \
	X(call, 20) X(say, 4) X(create, 5) X(resume, 24) X(yield, 12) X(reschedule, 7) X(nap, 6) X(get, 9) X(put, 11) \
	X(wait, 5) X(reset, 3) X(drop, 3) X(loop, 5) X(shut, 1)

enum kind {
#define X(name, weight) OP_##name,
	KINDS(X)
#undef X
	N_KINDS
};

static const char *const kind_names[] = {
#define X(name, weight) #name,
	KINDS(X)
#undef X
};

static const unsigned weights[] = {
#define X(name, weight) weight,
	KINDS(X)
#undef X
};

struct op {
	enum kind kind;
	int who;      /* an actor, a block, an end: as the kind has it */
	unsigned n;   /* times, bytes, milliseconds, turns */
	unsigned how;
};

struct block {
	int fn; /* which function runs it */
	unsigned n_bytes;
	int n_ops;
	struct op ops[OPS];
};

static struct program {
	uint64_t seed;
	int n_actors, n_slots;
	bool is_socket[ENDS / 2]; /* else a pipe */
	int first[ACTORS];        /* each actor's block */
	struct block blocks[BLOCKS];
} program;

static enum kind pick_kind(struct rng *r)
{
	unsigned all = 0, dice;
	int kind = 0;

	for (int i = 0; i < N_KINDS; i++)
		all += weights[i];
	for (dice = rng_below(r, all); dice >= weights[kind]; kind++)
		dice -= weights[kind];
	return (enum kind)kind;
}

/* An end to read from or write to; sometimes the wrong one of a pipe. */
static int pick_end(struct rng *r, bool is_for_write)
{
	bool is_wrong = rng_below(r, 30) == 0;
	return (int)(2 * rng_below(r, ENDS / 2) + (is_for_write != is_wrong));
}

static struct op make_op(struct rng *r, int block)
{
	struct op op = { .kind = pick_kind(r), .how = rng_below(r, 60) };

	op.who = (int)rng_below(r, (unsigned)program.n_actors);
	op.n = rng_below(r, 6);
	switch (op.kind) {
	case OP_call:
		if (block + 1 == BLOCKS)
			op.kind = OP_say;
		else /* always a later one: calls end */
			op.who = block + 1 + (int)rng_below(r, (unsigned)(BLOCKS - block - 1));
		op.n = 1 + rng_below(r, 3);
		break;
	case OP_get:
	case OP_put:
		op.who = pick_end(r, op.kind == OP_put);
		op.n = 1 + (rng_below(r, 3) ? rng_below(r, 200) : rng_below(r, DATA_BYTES));
		break;
	case OP_shut:
	case OP_wait:
		op.who = (int)rng_below(r, ENDS);
		break;
	default:
		break;
	}
	return op;
}

/* A seed's neighbours must not be alike. */
static struct rng rng_of(uint64_t seed)
{
	struct rng r;

	seed += 0x9e3779b97f4a7c15;
	seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9;
	seed = (seed ^ (seed >> 27)) * 0x94d049bb133111eb;
	r.s = (seed ^ (seed >> 31)) | 1;
	return r;
}

static void make_program(uint64_t seed)
{
	struct rng r = rng_of(seed);

	program.seed = seed;
	program.n_actors = 4 + (int)rng_below(&r, ACTORS - 3);
	program.n_slots = 1 + (int)rng_below(&r, 4) % 3; /* most often one */
	for (int i = 0; i < ENDS / 2; i++)
		program.is_socket[i] = rng_below(&r, 2);
	for (int i = 0; i < program.n_actors; i++)
		program.first[i] = (int)rng_below(&r, BLOCKS / 2);
	for (int i = 0; i < BLOCKS; i++) {
		struct block *b = &program.blocks[i];
		b->fn = (int)rng_below(&r, 8);
		b->n_bytes = 1 + rng_below(&r, BLOCK_BYTES);
		b->n_ops = 1 + (int)rng_below(&r, OPS);
		for (int k = 0; k < b->n_ops; k++)
			b->ops[k] = make_op(&r, i);
	}
}

/* --- one run ------------------------------------------------------------------------- */

struct actor {
	struct co *co;         /* NULL: there is none */
	unsigned run;          /* counts creates and resets */
	/* the chain of calls as it must be */
	struct actor *resumer; /* valid while it runs or has resumed another */
	const void *calls[CALLS];
	int n_calls;           /* outermost first; without the body */
	/* a word at the top of its stack, which tells whose bytes are there */
	const volatile uint64_t *token_at;
	uint64_t token;
};

static struct actor actors[ACTORS];
static struct co_stack_source *shared; /* NULL: private stacks */
static struct actor *runner;           /* who runs the loop; NULL: nobody */
static int fds[ENDS];
static int steps_left, steps_to_trace;
static struct rng trace_rng; /* where to stop: the program knows nothing of it */
static uint64_t n_tokens;

/* Changes whenever somebody begins, or comes back to a program's function. */
static uint64_t n_arrivals;

static struct {
	unsigned long resumes, yields, waits, dones, resets, drops, refused, copied_out, traces, by_signal;
	unsigned long kinds[N_KINDS];
	unsigned long long entries, hops, saves, loads;
	int longest, deepest; /* marks of a backtrace; executions in it */
} total;

/* What is printed. */
static struct text {
	char *bytes;
	size_t len, room;
} text;

__attribute__((format(printf, 2, 3))) static void say(const struct actor *me, const char *format, ...)
{
	va_list args;

	if (text.room - text.len < 400) {
		text.room = text.room * 2 + 4000;
		text.bytes = realloc(text.bytes, text.room);
		CHECK(text.bytes != NULL);
	}
	text.len += (size_t)sprintf(text.bytes + text.len, "%d.%u at %lld: ", (int)(me - actors), me->run,
				    (long long)clock_shows);
	va_start(args, format);
	text.len += (size_t)vsnprintf(text.bytes + text.len, 300, format, args);
	va_end(args);
	text.len += (size_t)sprintf(text.bytes + text.len, "\n");
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	a = (a ^ b) * 0x9e3779b97f4a7c15;
	return a ^ (a >> 29);
}

static uint64_t mix_bytes(uint64_t a, const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		a = mix(a, bytes[i]);
	return a;
}

static bool is_main(const struct actor *me)
{
	return me == actors;
}

/* --- what a backtrace must show ------------------------------------------------------- */

/* libunwind has functions of these names too, and is linked first: ask for
 * libgcc's by the library's name. */
static struct {
	_Unwind_Reason_Code (*backtrace)(_Unwind_Trace_Fn, void *);
	uintptr_t (*get_ip)(struct _Unwind_Context *);
	void *(*find_function)(void *);
} libgcc;

static void *libgcc_symbol(const char *name)
{
	void *lib = dlopen("libgcc_s.so.1", RTLD_NOW);
	CHECK(lib != NULL);
	void *symbol = dlsym(lib, name);
	CHECK(symbol != NULL);
	return symbol;
}

static void *body(void *arg);
static void run_program(void);
static bool is_mark(const void *fn);

static const void *trampoline; /* where it begins */

static void find_unwinder(void)
{
	libgcc.backtrace = (__typeof__(libgcc.backtrace))libgcc_symbol("_Unwind_Backtrace");
	libgcc.get_ip = (__typeof__(libgcc.get_ip))libgcc_symbol("_Unwind_GetIP");
	libgcc.find_function = (__typeof__(libgcc.find_function))libgcc_symbol("_Unwind_FindEnclosingFunction");
	trampoline = libgcc.find_function(coctx_entry);
	CHECK(trampoline != NULL);
}

/* Functions that are marks, innermost first. */
struct chain {
	int n;
	const void *fn[CHAIN];
};

static struct chain found, expected;

/* The address is in a stack that may be another's by now: sanitizers are not to ask. */
__attribute__((noinline, no_sanitize("address", "thread"))) static bool is_in_place(const struct actor *a)
{
	return is_main(a) || *a->token_at == a->token;
}

static int expect_chain(const struct actor *me)
{
	int n_actors = 1;

	expected.n = 0;
	for (;; me = me->resumer, n_actors++) {
		for (int i = me->n_calls; i-- > 0;)
			expected.fn[expected.n++] = me->calls[i];
		expected.fn[expected.n++] = is_main(me) ? (const void *)run_program : (const void *)body;
		if (is_main(me))
			return n_actors;
		expected.fn[expected.n++] = trampoline;
		if (!is_in_place(me->resumer)) {
			expected.fn[expected.n++] = coctx_copied_out.rip;
			total.copied_out++;
			return n_actors;
		}
	}
}

static void found_ip(uintptr_t ip)
{
	const void *fn = (void *)ip;

	if (fn != coctx_copied_out.rip && fn != coctx_nobody.rip) {
		fn = libgcc.find_function((void *)ip); /* it looks just before a return address */
		if (fn != trampoline && !is_mark(fn))
			return;
	}
	CHECK(found.n < CHAIN);
	found.fn[found.n++] = fn;
}

static const char *fn_name(const void *fn);

static void compare_chains(const char *unwinder, bool is_complete)
{
	if (is_complete && found.n == expected.n &&
	    memcmp(found.fn, expected.fn, (size_t)found.n * sizeof(found.fn[0])) == 0)
		return;
	printf("%s, %s\nfound:   ", unwinder, is_complete ? "wrong chain" : "the walk breaks off");
	for (int i = 0; i < found.n; i++)
		printf(" %s", fn_name(found.fn[i]));
	printf("\nexpected:");
	for (int i = 0; i < expected.n; i++)
		printf(" %s", fn_name(expected.fn[i]));
	printf("\n");
	CHECK(!"the backtrace is the chain of calls");
}

static _Unwind_Reason_Code libgcc_frame(struct _Unwind_Context *context, void *n_frames)
{
	found_ip(libgcc.get_ip(context));
	return ++*(int *)n_frames < FRAMES ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

static void trace_by_libgcc(void)
{
	int n = 0;

	found.n = 0;
	compare_chains("libgcc", libgcc.backtrace(libgcc_frame, &n) == _URC_END_OF_STACK);
}

static void trace_by_unw_step(void)
{
	static unw_cursor_t cursor; /* big, and nobody else's meanwhile */
	static unw_context_t context;
	int n = 0, more = 1;

	found.n = 0;
	CHECK_EQ(unw_getcontext(&context), 0);
	CHECK_EQ(unw_init_local(&cursor, &context), 0);
	for (; more > 0 && n < FRAMES; more = unw_step(&cursor), n++) {
		unw_word_t ip;
		unw_get_reg(&cursor, UNW_REG_IP, &ip);
		found_ip(ip);
	}
	compare_chains("unw_step", more == 0);
}

#ifndef CO_TSAN
static void trace_by_unw_backtrace(void)
{
	static void *ips[FRAMES];
	int n = unw_backtrace(ips, FRAMES);

	found.n = 0;
	for (int i = 0; i < n; i++)
		found_ip((uintptr_t)ips[i]);
	compare_chains("unw_backtrace", n < FRAMES);
}
#endif

static const struct actor *traced;

static void trace(void)
{
	int n_actors = expect_chain(traced);

	trace_by_libgcc();
	if (!is_under_valgrind()) { /* libunwind lets the kernel read wherever it likes */
		trace_by_unw_step();
#ifndef CO_TSAN /* it is gone when, at a thread's end, unw_backtrace frees what it has kept */
		trace_by_unw_backtrace();
#endif
	}
	total.traces++;
	if (expected.n > total.longest)
		total.longest = expected.n;
	if (n_actors > total.deepest)
		total.deepest = n_actors;
}

static void on_signal(int sig)
{
	(void)sig;
	total.by_signal++;
	trace();
}

static int next_trace(void)
{
	return 1 + (int)rng_below(&trace_rng, 2 * STEPS / TRACES);
}

__attribute__((noinline)) static void stop_here(const struct actor *me)
{
	int error = errno;

	traced = me;
	steps_to_trace = next_trace();
	if (rng_below(&trace_rng, 3) == 0)
		raise(rng_below(&trace_rng, 2) ? SIGUSR1 : SIGUSR2);
	else
		trace();
	errno = error;
}

/* --- the interpreter ---------------------------------------------------------------------- */

typedef uint64_t op_fn(struct actor *me, const struct op *op, uint64_t value);
typedef uint64_t block_fn(struct actor *me, const struct block *b, uint64_t value);

#define OPERATION(name) \
	__attribute__((noinline)) static uint64_t op_##name(struct actor *me, const struct op *op, uint64_t value)

#define X(name, weight) static op_fn op_##name;
KINDS(X)
#undef X

static op_fn *const op_fns[] = {
#define X(name, weight) op_##name,
	KINDS(X)
#undef X
};

static void note_call(struct actor *me, const void *fn)
{
	CHECK(me->n_calls < CALLS);
	me->calls[me->n_calls++] = fn;
}

static void note_return(struct actor *me)
{
	me->n_calls--;
}

/* What is to be remembered of a call that lets others run. */
struct leaving {
	uint64_t n_arrivals;
	struct actor *runner;
};

static struct leaving leave(struct actor *me, bool runs_loop)
{
	struct leaving l = { ++n_arrivals, runner };

	if (!runner && (is_main(me) || runs_loop))
		runner = me;
	return l;
}

/* Back from a call after which only the loop goes on with one. If nobody else has run,
 * whoever resumed it then has resumed it now. */
static void come_back(struct actor *me, struct leaving l)
{
	if (l.n_arrivals != n_arrivals) {
		total.waits++;
		if (!is_main(me))
			me->resumer = runner;
	}
	if (runner == me)
		runner = l.runner;
	n_arrivals++;
	CHECK_EQ(co_self(), me->co);
}

/* One of ten operations is tried even if it must be refused. */
static bool is_contrary(const struct op *op)
{
	return op->how % 10 == 0;
}

/* The one that @op names, or the first after it for which @is_fit says yes. */
static struct actor *pick(const struct op *op, bool (*is_fit)(const struct actor *))
{
	for (int i = 0; i < program.n_actors && !is_contrary(op); i++) {
		struct actor *a = &actors[(op->who + i) % program.n_actors];
		if (is_fit(a))
			return a;
	}
	return &actors[op->who];
}

static bool can_be_resumed(const struct actor *a)
{
	return !a->co || co_status(a->co) == CO_NEW || co_status(a->co) == CO_SUSPENDED;
}

static bool can_be_ended(const struct actor *a)
{
	return a->co && co_status(a->co) != CO_RUNNING && co_status(a->co) != CO_NORMAL;
}

/* What is done, if the operation itself would be refused. */
static enum kind kind_of(const struct actor *me, const struct op *op)
{
	enum kind kind = op->kind;

	if (is_contrary(op))
		return kind;
	if (kind == OP_yield && is_main(me))
		kind = OP_resume;
	if (kind == OP_resume && !can_be_resumed(pick(op, can_be_resumed)))
		return is_main(me) ? OP_loop : OP_yield;
	return kind == OP_loop && runner ? OP_reschedule : kind;
}

static uint64_t step(struct actor *me, const struct op *op, uint64_t value)
{
	enum kind kind = kind_of(me, op);

	steps_left--;
	total.kinds[kind]++;
	if (--steps_to_trace <= 0)
		stop_here(me);
	note_call(me, (const void *)op_fns[kind]);
	errno = (int)(value % 1000) + 200;
	value = op_fns[kind](me, op, value);
	note_return(me);
	return value;
}

static void fill(unsigned char *bytes, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)((seed >> (i % 7 * 8)) + i);
}

static void check_filled(const unsigned char *bytes, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != (unsigned char)((seed >> (i % 7 * 8)) + i))
			CHECK(!"a local buffer is as it was");
}

#define FUNCTION(name, words) \
	__attribute__((noinline)) static uint64_t name(struct actor *me, const struct block *b, uint64_t value) \
	{ \
		volatile uint64_t own[words]; \
		unsigned char *bytes = alloca(b->n_bytes); \
		uint64_t seed = value; \
		for (uint64_t i = 0; i < words; i++) \
			own[i] = mix(seed, i); \
		fill(bytes, b->n_bytes, seed); \
		for (int i = 0; i < b->n_ops && steps_left > 0; i++) { \
			value = step(me, &b->ops[i], mix(value, own[i % words])); \
			for (uint64_t k = 0; k < words; k++) \
				CHECK_EQ(own[k], mix(seed, k)); \
			check_filled(bytes, b->n_bytes, seed); \
		} \
		return mix_bytes(value, bytes, b->n_bytes % 16); \
	}

FUNCTION(f0, 1)
FUNCTION(f1, 2)
FUNCTION(f2, 3)
FUNCTION(f3, 5)
FUNCTION(f4, 8)
FUNCTION(f5, 13)
FUNCTION(f6, 21)
FUNCTION(f7, 34)

static block_fn *const block_fns[] = { f0, f1, f2, f3, f4, f5, f6, f7 };

static uint64_t run_block(struct actor *me, int block, uint64_t value)
{
	const struct block *b = &program.blocks[block];

	note_call(me, (const void *)block_fns[b->fn]);
	value = block_fns[b->fn](me, b, value);
	note_return(me);
	return value;
}

__attribute__((noinline)) static void *body(void *arg)
{
	struct actor *me = arg;
	static volatile size_t token_len = sizeof(uint64_t); /* else it is no alloca, for sanitizers */
	volatile uint64_t *token = alloca(token_len);

	n_arrivals++;
	CHECK_EQ(errno, 0);
	CHECK_EQ(co_self(), me->co);
	CHECK_EQ(me->n_calls, 0);
	me->token_at = token;
	*token = me->token = ++n_tokens;
	CHECK(!co_is_enable_sys_hook());
	CHECK_EQ(co_enable_hook_sys(), 0);
	uint64_t value = run_block(me, program.first[me - actors], mix(program.seed, (uint64_t)(me - actors)));
	say(me, "ends with %llx", (unsigned long long)value);
	CHECK_EQ(*token, me->token);
	CHECK_EQ(me->n_calls, 0);
	total.dones++;
	return (void *)(uintptr_t)value;
}

/* --- operations ------------------------------------------------------------------------------- */

static const char *status_name(const struct actor *a)
{
	return a->co ? co_state_name(co_status(a->co)) : "none";
}

OPERATION(call)
{
	for (unsigned i = 0; i < op->n && steps_left > 0; i++)
		if (me->n_calls < CALLS - 3) /* a block, an operation, and what that calls */
			value = run_block(me, op->who, value);
	return value;
}

OPERATION(say)
{
	say(me, "has %llx, errno %d, %u", (unsigned long long)value, errno, op->n);
	return value;
}

static void create(struct actor *a)
{
	struct co_attr attr = { .stack_size = STACK, .share_stack = shared };

	CHECK_EQ(co_create(&a->co, &attr, body, a), 0);
	a->run++;
	a->n_calls = 0;
}

OPERATION(create)
{
	struct actor *a = &actors[op->who];

	if (!a->co)
		create(a);
	say(me, "create %d: %s", op->who, status_name(a));
	return value;
}

static void resume(struct actor *me, struct actor *a)
{
	int set = errno;
	enum co_state before = co_status(a->co);
	bool is_legal = before == CO_NEW || before == CO_SUSPENDED;
	unsigned run = me->run;

	if (is_legal)
		a->resumer = me;
	note_call(me, (const void *)co_resume);
	int result = co_resume(a->co);
	int error = errno;
	note_return(me);
	n_arrivals++;
	CHECK_EQ(me->run, run);
	CHECK_EQ(co_self(), me->co);
	CHECK_EQ(result, is_legal ? 0 : -1);
	CHECK_EQ(error, is_legal ? set : before == CO_DONE ? EINVAL : EBUSY);
	total.resumes += is_legal;
	total.refused += !is_legal;
	say(me, "resume %d, %s: %d, errno %d; now %s", (int)(a - actors), co_state_name(before), result, error,
	    status_name(a));
}

OPERATION(resume)
{
	struct actor *a = pick(op, can_be_resumed);
	int error = errno;

	if (!a->co)
		create(a);
	errno = error;
	resume(me, a);
	if (a->co && co_status(a->co) == CO_DONE)
		value = mix(value, (uintptr_t)co_result(a->co));
	return value;
}

OPERATION(yield)
{
	int set = errno;
	int result = op->how % 3 == 0   ? co_yield_ct() :
		     op->how % 3 == 1   ? co_yield(me->co) :
					  co_yield_env(co_get_curr_thread_env());
	int error = errno;

	n_arrivals++;
	CHECK_EQ(co_self(), me->co);
	CHECK_EQ(result, is_main(me) ? -1 : 0);
	CHECK_EQ(error, is_main(me) ? EPERM : set);
	total.yields += result == 0;
	say(me, "back from yield: %d, errno %d, %llx", result, error, (unsigned long long)value);
	return value + 1;
}

OPERATION(reschedule)
{
	int set = errno;
	struct leaving l = leave(me, false);
	int result = co_reschedule();
	int error = errno;

	come_back(me, l);
	CHECK_EQ(result, 0);
	CHECK_EQ(error, set);
	say(me, "back from reschedule, %llx", (unsigned long long)value);
	return value + op->n;
}

OPERATION(nap)
{
	struct timespec t = { 0, (long)op->n * MS / 2 };
	int64_t began = clock_shows;
	struct leaving l = leave(me, false);
	int result = op->how % 3 == 0 ? nanosleep(&t, NULL) :
		     op->how % 3 == 1 ? usleep(op->n * 500) :
					co_sleep_ns((int64_t)op->n * MS / 2);
	int error = errno;

	come_back(me, l);
	CHECK_EQ(t.tv_nsec, (long)op->n * MS / 2);
	CHECK(clock_shows >= began + (int64_t)op->n * MS / 2);
	say(me, "slept %u: %d, errno %d", op->n, result, error);
	return mix(value, (uint64_t)result);
}

/* May it wait here? Main's own waits must end by themselves, or nobody would. */
static bool would_hang(const struct actor *me, int end)
{
	return is_main(me) && !program.is_socket[end / 2];
}

OPERATION(get)
{
	size_t len = op->n;
	unsigned char *bytes = alloca(len + 8);

	if (would_hang(me, op->who))
		return value;
	memset(bytes, 0xee, len + 8);
	struct iovec iov[2] = { { bytes, len / 2 }, { bytes + len / 2, len - len / 2 } };
	struct leaving l = leave(me, false);
	ssize_t got = op->how % 3 == 0 ? readv(fds[op->who], iov, 2) :
		      op->how % 3 == 1 ? recv(fds[op->who], bytes, len, 0) :
					 read(fds[op->who], bytes, len);
	int error = errno;

	come_back(me, l);
	for (size_t i = got > 0 ? (size_t)got : 0; i < len + 8; i++)
		CHECK_EQ(bytes[i], 0xee);
	CHECK(iov[0].iov_base == bytes && iov[1].iov_len == len - len / 2);
	if (got > 0)
		value = mix_bytes(value, bytes, (size_t)got);
	say(me, "got %zd of %zu from %d, errno %d: %llx", got, len, op->who, error, (unsigned long long)value);
	return value;
}

OPERATION(put)
{
	size_t len = op->n;
	unsigned char *bytes = alloca(len);

	if (would_hang(me, op->who))
		return value;
	fill(bytes, len, value);
	struct iovec iov[2] = { { bytes, len / 3 }, { bytes + len / 3, len - len / 3 } };
	struct leaving l = leave(me, false);
	ssize_t put = op->how % 3 == 0 ? writev(fds[op->who], iov, 2) :
		      op->how % 3 == 1 ? send(fds[op->who], bytes, len, MSG_NOSIGNAL) :
					 write(fds[op->who], bytes, len);
	int error = errno;

	come_back(me, l);
	check_filled(bytes, len, value);
	CHECK(iov[0].iov_base == bytes && iov[1].iov_len == len - len / 3);
	say(me, "put %zd of %zu to %d, errno %d", put, len, op->who, error);
	return mix(value, (uint64_t)put);
}

OPERATION(wait)
{
	struct pollfd p[3];
	int fd[3]; /* somebody may close one meanwhile */
	int n = 1 + (int)op->how % 3, timeout = (int)op->n;
	int marks = 0;

	for (int i = 0; i < n; i++)
		p[i] = (struct pollfd){ fds[(op->who + i) % ENDS], (op->how >> i) % 2 ? POLLIN : POLLIN | POLLOUT, 99 };
	for (int i = 0; i < n; i++)
		fd[i] = p[i].fd;
	if (op->how % 10 == 0 && !is_main(me))
		timeout = -1;
	struct leaving l = leave(me, false);
	int ready = poll(p, (nfds_t)n, timeout);
	int error = errno;

	come_back(me, l);
	for (int i = 0; i < n; i++) {
		CHECK_EQ(p[i].fd, fd[i]);
		marks = marks * 256 + p[i].revents;
	}
	say(me, "poll of %d from %d, %d ms: %d, errno %d, %x", n, op->who, timeout, ready, error, marks);
	return mix(value, (uint64_t)marks);
}

/* It begins anew, or is no more. */
static void forget(struct actor *a)
{
	a->n_calls = 0;
	a->resumer = NULL;
	a->token_at = NULL;
}

/* Called with a co_reset or co_release. */
static void end_by_force(struct actor *me, struct actor *a, int (*call)(struct co *), const char *name)
{
	if (!a->co) {
		say(me, "%s: there is no %d", name, (int)(a - actors));
		return;
	}
	const char *before = status_name(a);
	enum co_state state = co_status(a->co);
	bool is_legal = state != CO_RUNNING && state != CO_NORMAL;
	int result = call(a->co);
	int error = errno;

	CHECK_EQ(result, is_legal ? 0 : -1);
	if (!is_legal)
		CHECK_EQ(error, EBUSY);
	total.refused += !is_legal;
	if (is_legal)
		forget(a);
	say(me, "%s %d, %s: %d, errno %d", name, (int)(a - actors), before, result, error);
}

OPERATION(reset)
{
	struct actor *a = pick(op, can_be_ended);

	end_by_force(me, a, co_reset, "reset");
	if (a->co && co_status(a->co) == CO_NEW) {
		a->run++;
		total.resets++;
	}
	return value;
}

static void drop(struct actor *me, struct actor *a)
{
	end_by_force(me, a, co_release, "release");
	if (a->co && !a->resumer && !is_main(a)) {
		a->co = NULL;
		total.drops++;
	}
}

OPERATION(drop)
{
	drop(me, pick(op, can_be_ended));
	return value;
}

/* Ends the loop after some turns. (Without it the loop would sleep as long as somebody
 * waits for a descriptor.) */
static int count_turns(void *turns)
{
	n_arrivals++;
	return --*(unsigned *)turns == 0 ? -1 : 0;
}

OPERATION(loop)
{
	unsigned turns = 1 + op->n;
	bool is_legal = !runner;
	struct leaving l = leave(me, true);

	note_call(me, (const void *)co_eventloop);
	int result = co_eventloop(NULL, count_turns, &turns);
	int error = errno;
	note_return(me);
	if (runner == me)
		runner = l.runner;
	n_arrivals++;
	CHECK_EQ(co_self(), me->co);
	CHECK_EQ(result, is_legal ? 0 : -1);
	CHECK_EQ(turns, is_legal ? 0 : 1 + op->n);
	if (!is_legal)
		CHECK_EQ(error, EBUSY);
	say(me, "loop, %u turns: %d, errno %d", op->n, result, result ? error : 0);
	return value;
}

OPERATION(shut)
{
	int result = close(fds[op->who]);

	say(me, "close %d: %d, errno %d", op->who, result, errno);
	fds[op->who] = -1;
	return value;
}

/* --- from the beginning to the end ------------------------------------------------------------ */

static void open_channels(void)
{
	struct timeval limit = { 0, 3000 };
	int least = 1, len = 4096;

	for (int i = 0; i < ENDS; i += 2) {
		if (!program.is_socket[i / 2]) {
			CHECK_EQ(pipe(fds + i), 0);
			CHECK(fcntl(fds[i], F_SETPIPE_SZ, len) >= 0);
			continue;
		}
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds + i), 0);
		for (int k = i; k < i + 2; k++) {
			CHECK_EQ(setsockopt(fds[k], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
			CHECK_EQ(setsockopt(fds[k], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
			CHECK_EQ(setsockopt(fds[k], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
		}
	}
}

/* No more steps: whoever runs now comes to its end. Some are released before that. */
static void wind_up(struct actor *me, uint64_t value)
{
	for (int i = 1; i < program.n_actors; i++) {
		struct actor *a = &actors[i];
		say(me, "at last %d is %s", i, status_name(a));
		if (!a->co || (value >> i) % 2)
			continue;
		enum co_state state = co_status(a->co);
		if (state == CO_NEW || state == CO_SUSPENDED)
			resume(me, a);
	}
	for (int i = 0; i < ENDS; i++)
		if (fds[i] >= 0)
			op_shut(me, &(struct op){ .kind = OP_shut, .who = i }, value);
	/* as step() does */
	note_call(me, (const void *)op_loop);
	op_loop(me, &(struct op){ .kind = OP_loop, .n = 20 }, value);
	note_return(me);
	for (int i = 1; i < program.n_actors; i++)
		if (actors[i].co)
			drop(me, &actors[i]);
}

static void check_all(void)
{
	co_env_check();
	co_loop_check();
	co_epoll_check();
	co_stack_check();
}

__attribute__((noinline)) static void run_program(void)
{
	struct actor *me = &actors[0];
	uint64_t value = program.seed;

	CHECK_EQ(co_enable_hook_sys(), 0);
	co_set_clock(&jumping_clock);
	CHECK_EQ(co_sleep_ns(0), 0); /* from now on the loop sleeps by the clock, too */
	me->co = co_self();
	open_channels();
	for (int i = 0; steps_left > 0; i++) {
		value = run_block(me, (program.first[0] + i) % BLOCKS, value);
		say(me, "goes on with %llx", (unsigned long long)value);
		steps_left--;
		check_all();
	}
	wind_up(me, value);
	CHECK(list_empty(&co_get_curr_thread_env()->all));
	check_all();
	CHECK_EQ(me->n_calls, 0);
}

static void count_copies(void)
{
	struct co_sharestack_stats s;

	CHECK_EQ(co_sharestack_stats(shared, &s), 0);
	CHECK_EQ(s.coroutines, 0);
	CHECK_EQ(s.buffer_bytes, 0);
	total.entries += s.entries;
	total.hops += s.hops;
	total.saves += s.saves;
	total.loads += s.loads;
	CHECK_EQ(co_free_sharestack(shared), 0);
	shared = NULL;
}

/* A thread for each run: nothing is left of the one before. */
static void *run_thread(void *is_shared)
{
	memset(actors, 0, sizeof(actors));
	runner = NULL;
	steps_left = STEPS;
	steps_to_trace = next_trace();
	clock_shows = 1;
	text.len = 0;
	if (is_shared)
		CHECK((shared = co_alloc_sharestack(program.n_slots, STACK)) != NULL);
	run_program();
	if (is_shared)
		count_copies();
	CHECK_EQ(co_stack_stats().lent, 0);
	return NULL;
}

/* What it prints; to be freed. */
static char *run(bool is_shared, unsigned which)
{
	pthread_t thread;

	trace_rng = rng_of(program.seed + which * 1000003);
	CHECK_EQ(pthread_create(&thread, NULL, run_thread, is_shared ? "" : NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	char *copy = strdup(text.bytes);
	CHECK(copy != NULL);
	return copy;
}

/* --- the test ----------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	const void *fn;
} marks[] = {
#define X(name, weight) { #name, (const void *)op_##name },
	KINDS(X)
#undef X
	{ "f0", (const void *)f0 }, { "f1", (const void *)f1 }, { "f2", (const void *)f2 }, { "f3", (const void *)f3 },
	{ "f4", (const void *)f4 }, { "f5", (const void *)f5 }, { "f6", (const void *)f6 }, { "f7", (const void *)f7 },
	{ "body", (const void *)body }, { "run_program", (const void *)run_program },
	{ "co_resume", (const void *)co_resume }, { "co_eventloop", (const void *)co_eventloop },
};

static bool is_mark(const void *fn)
{
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (marks[i].fn == fn)
			return true;
	return false;
}

static const char *fn_name(const void *fn)
{
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (marks[i].fn == fn)
			return marks[i].name;
	return fn == trampoline             ? "|" :
	       fn == coctx_copied_out.rip   ? "co_resumer_is_copied_out" :
	       fn == coctx_nobody.rip       ? "co_has_no_resumer" :
					      "?";
}

static const char *now_running = "";

/* A check has failed, or worse: say of which program. */
static void tell_seed(int sig)
{
	char line[200];
	int n = snprintf(line, sizeof(line), "program %llu, %s (COSTEP_SEED=%llu begins with it)\n",
			 (unsigned long long)program.seed, now_running, (unsigned long long)program.seed);
	fflush(stdout);
	(void)!write(2, line, (size_t)n);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void compare(const char *a, const char *b)
{
	const char *line = a;
	size_t i = 0;

	while (a[i] && a[i] == b[i])
		if (a[i++] == '\n')
			line = a + i;
	if (a[i] == b[i])
		return;
	printf("first: %.*s\n", (int)strcspn(line, "\n"), line);
	printf("now:   %.*s\n", (int)strcspn(b + (line - a), "\n"), b + (line - a));
	CHECK(!"both runs print the same");
}

static void prepare(void)
{
	signal(SIGABRT, tell_seed);
	signal(SIGSEGV, tell_seed);
	signal(SIGPIPE, SIG_IGN);
	CHECK_EQ(sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_signal }, NULL), 0);
	CHECK_EQ(sigaction(SIGUSR2, &(struct sigaction){ .sa_handler = on_signal, .sa_flags = SA_ONSTACK }, NULL), 0);
	find_unwinder();
}

static void check_totals(int n)
{
	printf("# %d programs of %d steps, 3 runs each: %lu resumes, %lu yields, %lu hooked or other waits, %lu ends, "
	       "%lu resets, %lu releases, %lu refused\n",
	       n, STEPS, total.resumes, total.yields, total.waits, total.dones, total.resets, total.drops, total.refused);
	printf("# shared: %llu entries, %llu hops, %llu saves, %llu loads\n", total.entries, total.hops, total.saves,
	       total.loads);
	printf("# %lu backtraces (%lu in a signal's handler), %lu end where a resumer is copied out; "
	       "longest %d calls, through %d executions\n",
	       total.traces, total.by_signal, total.copied_out, total.longest, total.deepest);
	for (int i = 0; i < N_KINDS; i++)
		printf("# %s %lu%s", kind_names[i], total.kinds[i], i + 1 == N_KINDS ? "\n" : "");
	for (int i = 0; i < N_KINDS; i++)
		CHECK(total.kinds[i] > 0);
	CHECK(total.resumes && total.yields && total.waits && total.dones && total.resets && total.drops && total.refused);
	CHECK(total.hops && total.saves > total.hops && total.loads);
	CHECK(total.traces > total.by_signal && total.by_signal && total.copied_out);
	CHECK(total.deepest > 3);
}

static void same_output(void)
{
	uint64_t seed = test_seed(20250607);
	int n = rounds(PROGRAMS);
	size_t n_fds = 0;

	prepare();
	for (int i = 0; i < n; i++) {
		make_program(seed + (uint64_t)i);
		now_running = "with private stacks";
		char *first = run(false, 0);
		now_running = "with private stacks, again";
		char *again = run(false, 1);
		compare(first, again);
		now_running = "with shared stacks";
		char *on_shared = run(true, 2);
		compare(first, on_shared);
		if (getenv("T_PROGRAM_SHOW"))
			printf("%s", on_shared);
		free(first);
		free(again);
		free(on_shared);
		if (i == 0) /* libunwind keeps some */
			n_fds = count_fds();
	}
	CHECK_EQ(count_fds(), n_fds);
	free(text.bytes);
	check_totals(n);
}

static const struct test_case cases[] = {
	{ "same_output", "random programs print the same on private and on shared stacks, and unwind as they called",
	  same_output, 0, NULL },
};
TEST_MAIN(cases)
