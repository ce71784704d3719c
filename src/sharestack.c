/* SPDX-License-Identifier: MIT */
/*
 * Shared stacks.
 *
 * To enter a coroutine whose bytes are not in its slot: copy out those of the
 * resident, copy in its own, swap. From another stack (main's, say) that is as
 * simple as it sounds. But if the one who leaves is that resident, it stands on the
 * very bytes. Then it hops to the copier, a context with a stack of its own, which
 * copies both and swaps on. (libco copies while it stands there. Why that happens to
 * work, is in lesson 10.)
 */
#include "sharestack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "env.h"

enum {
	/* Buffers grow by steps, so that a few bytes more need no new one. */
	BUFFER_STEP = 64,
};

struct slot {
	struct co_stack *memory;   /* a private stack, with its guard */
	struct member *resident;   /* whose bytes are in it: I1; NULL: nobody's */
	size_t n_members;
};

struct sharestack {
	struct co_stack_source source; /* the first: what a user has */
	struct co_env *env;            /* its thread's */
	struct co_at_exit at_exit;
	bool is_orphan;                /* its thread ends: freed with the last member */
	struct co_sharestack_stats stats;

	struct co_exec copier;         /* I2 */
	struct co_exec *from, *to;     /* its work: copy the one out, the other in */
	int copy_error;                /* what came of it: 0 or an errno */

	size_t n_slots;
	struct slot slots[];
};

/* What one coroutine has of it. */
struct member {
	struct co_stack stack;    /* lo and hi are its slot's; NULL before its first run */
	struct sharestack *shared;
	struct slot *slot;        /* I3; NULL before its first run */
	struct co_exec *exec;     /* whose stack this is; valid with slot */
	size_t buffer_len;        /* bytes that save_buffer has room for */
	size_t most;              /* bytes that were ever saved at once */
};

static struct member *member_of(const struct co_stack *stack)
{
	return container_of(stack, struct member, stack);
}

static struct co *co_of(struct co_exec *exec)
{
	return container_of(exec, struct co, exec);
}

/* --- backtraces --------------------------------------------------------------- */

/* The bytes of @gone are not there any more. Whoever it has resumed must not be
 * followed to it: what lies there now is another's. O(depth of resumes), but of
 * those who were resumed by somebody, few are copied out. */
static void hide_from_backtraces(const struct sharestack *shared, struct co_exec *gone)
{
	const struct co *resumer = co_of(gone);

	for (struct co *co = shared->env->running; co; co = co->resumer)
		if (co->resumer == resumer)
			co->exec.link = &coctx_copied_out;
}

/* They are there again. Only @from can have been resumed by it: it goes back. */
static void show_to_backtraces(struct co_exec *from, struct co_exec *back)
{
	if (co_of(from)->resumer == co_of(back))
		from->link = &back->ctx;
}

/* --- copying -------------------------------------------------------------------- */

/* Errors: ENOMEM, and nothing has changed. */
static int make_room(struct member *m, size_t len)
{
	size_t buffer_len = (len + BUFFER_STEP - 1) / BUFFER_STEP * BUFFER_STEP;

	if (len <= m->buffer_len)
		return 0;
	char *buffer = malloc(buffer_len);
	if (!buffer)
		return -1;
	if (m->stack.save_len > 0)
		memcpy(buffer, m->stack.save_buffer, m->stack.save_len);
	free(m->stack.save_buffer);
	m->stack.save_buffer = buffer;
	m->shared->stats.buffer_bytes += buffer_len - m->buffer_len;
	m->buffer_len = buffer_len;
	return 0;
}

/* BEGIN SOLUTION */
/* Copy the resident @m out. Errors: ENOMEM, and nothing has changed. */
static int save(struct member *m)
{
	char *sp = m->exec->ctx.rsp;
	size_t len = (size_t)(m->stack.hi - sp);

	if (m->exec->tools.is_last_leave)
		return 0; /* its function has returned */
	CO_ASSERT(sp >= m->stack.lo && sp < m->stack.hi, "a resident's stack pointer is in its slot");
	if (make_room(m, len) != 0)
		return -1;
	annotate_unmark_frames(sp, m->stack.hi);
	memcpy(m->stack.save_buffer, sp, len);
	m->stack.save_len = len;
	if (len > m->most)
		m->most = len;
	hide_from_backtraces(m->shared, m->exec);
	m->shared->stats.saves++;
	m->shared->stats.saved_bytes += len;
	return 0;
}

static void load(struct member *m)
{
	size_t len = m->stack.save_len;

	annotate_stack_is_fresh(m->stack.lo, m->stack.hi);
	m->slot->resident = m;
	if (len == 0)
		return; /* it begins */
	memcpy(m->stack.hi - len, m->stack.save_buffer, len);
	m->stack.save_len = 0;
	m->shared->stats.loads++;
	m->shared->stats.loaded_bytes += len;
}

/* Make @to resident, for @from to go there. Not by who stands on that slot: I2. */
static int bring(struct co_exec *from, struct co_exec *to)
{
	struct member *m = member_of(to->stack);

	if (m->slot->resident && save(m->slot->resident) != 0)
		return -1;
	m->shared->copier.link = &coctx_copied_out;
	load(m);
	show_to_backtraces(from, to);
	m->shared->copier.link = &to->ctx;
	return 0;
}
/* END SOLUTION */

/* Does one who has resumed the running one, directly or not, have @m's slot? It will be
 * gone back to. O(depth of resumes) */
static bool is_awaited(const struct member *m)
{
	for (const struct co *co = m->shared->env->running->resumer; co; co = co->resumer)
		if (co->exec.stack->ops == m->stack.ops && member_of(co->exec.stack)->slot == m->slot)
			return true;
	return false;
}

/* bring for who stands elsewhere. */
static int bring_from_elsewhere(struct co_exec *from, struct co_exec *to)
{
	struct member *m = member_of(to->stack);
	bool is_resumed = co_of(to)->resumer == co_of(from);

	if (is_resumed && is_awaited(m) && make_room(m, (size_t)(m->stack.hi - m->stack.lo)) != 0)
		return -1; /* I4 */
	return bring(from, to);
}

/* --- switching -------------------------------------------------------------------- */

static void go(struct co_exec *from, struct co_exec *to)
{
	annotate_leave(&from->tools, &to->tools, to->stack->lo, to->stack->hi);
	coctx_swap(&from->ctx, &to->ctx);
	CO_GOES_ON_HERE();
	co_swap_arrived(from);
}

/* BEGIN SOLUTION */
/* The copier: an execution that nobody has resumed, that begins with co_swap_arrived and never ends. */
static void copy_for_others(void *arg)
{
	struct sharestack *shared = arg;

	co_swap_arrived(&shared->copier);
	for (;;) {
		shared->copy_error = bring(shared->from, shared->to) == 0 ? 0 : errno;
		go(&shared->copier, shared->copy_error ? shared->from : shared->to);
	}
}

/* @from stands on the bytes that must be copied out. */
static int hop(struct sharestack *shared, struct co_exec *from, struct co_exec *to)
{
	shared->stats.hops++;
	shared->from = from;
	shared->to = to;
	shared->copier.link = &from->ctx;
	go(from, &shared->copier);
	/* Back, now or much later. Only if the copier has failed, is there an error:
	 * whoever was told of it has wiped it off. */
	int error = shared->copy_error;
	shared->copy_error = 0;
	return error ? co_fail(error) : 0;
}
/* END SOLUTION */

/* Does @from, who runs, stand on the bytes of @slot? */
static bool stands_on(const struct co_exec *from, const struct slot *slot)
{
	return slot->resident && slot->resident->exec == from;
}

/* The slot with the fewest; of several, not the one that @from stands on: then it
 * need not be copied out. */
static struct slot *choose_slot(struct sharestack *shared, const struct co_exec *from)
{
	struct slot *best = shared->slots;

	for (struct slot *s = best + 1; s < shared->slots + shared->n_slots; s++)
		if (s->n_members < best->n_members || (s->n_members == best->n_members && stands_on(from, best)))
			best = s;
	return best;
}

/* Its first run. The context was made without a stack: now it gets one. */
static void take_slot(struct member *m, const struct co_exec *from, struct co_exec *to)
{
	struct slot *slot = choose_slot(m->shared, from);

	slot->n_members++;
	m->slot = slot;
	m->exec = to;
	m->stack.lo = slot->memory->lo;
	m->stack.hi = slot->memory->hi;
	m->stack.guard_len = slot->memory->guard_len;
	to->ctx.rsp = m->stack.hi;
}

static void leave_slot(struct member *m)
{
	if (!m->slot)
		return;
	if (m->slot->resident == m)
		m->slot->resident = NULL;
	m->slot->n_members--;
	m->slot = NULL;
	m->stack.lo = m->stack.hi = NULL;
	m->stack.guard_len = 0;
	m->stack.save_len = 0;
}

/* BEGIN SOLUTION */
static int enter_shared(struct co_exec *from, struct co_exec *to)
{
	struct member *m = member_of(to->stack);
	bool begins = !m->slot;

	m->shared->stats.entries++;
	if (begins)
		take_slot(m, from, to);
	if (m->slot->resident != m) {
		bool stands_there = stands_on(from, m->slot);
		int result = stands_there ? hop(m->shared, from, to) : bring_from_elsewhere(from, to);
		if (result != 0) {
			m->shared->stats.entries--;
			if (begins)
				leave_slot(m);
		}
		if (stands_there || result != 0)
			return result;
	}
	go(from, to);
	return 0;
}
/* END SOLUTION */

/* --- members ------------------------------------------------------------------------ */

static void sharestack_free(struct sharestack *shared)
{
	list_remove(&shared->at_exit.node);
	for (size_t i = 0; i < shared->n_slots; i++)
		if (shared->slots[i].memory)
			shared->slots[i].memory->ops->put(shared->slots[i].memory);
	if (shared->copier.stack) {
		annotate_exec_end(&shared->copier.tools);
		shared->copier.stack->ops->put(shared->copier.stack);
	}
	free(shared);
}

static void forget(struct co_stack *stack)
{
	leave_slot(member_of(stack));
}

static void put(struct co_stack *stack)
{
	struct member *m = member_of(stack);
	struct sharestack *shared = m->shared;

	leave_slot(m);
	shared->stats.buffer_bytes -= m->buffer_len;
	free(m->stack.save_buffer);
	free(m);
	if (--shared->stats.coroutines == 0 && shared->is_orphan)
		sharestack_free(shared);
}

/* What it left deeper down between two switches, others have overwritten. */
static size_t used(const struct co_stack *stack)
{
	const struct member *m = member_of(stack);

	if (!m->slot || m->slot->resident != m || m->exec->tools.is_last_leave)
		return m->most;
	bool is_running = m->shared->env->running == co_of(m->exec);
	const char *sp = is_running ? __builtin_frame_address(0) : m->exec->ctx.rsp;
	size_t now = (size_t)(stack->hi - sp);
	return now > m->most ? now : m->most;
}

static struct co_stack *get(struct co_stack_source *source)
{
	static const struct co_stack_ops ops = { .enter = enter_shared, .forget = forget, .put = put, .used = used };
	struct sharestack *shared = container_of(source, struct sharestack, source);

	if (shared->env != co_get_curr_thread_env()) {
		errno = EXDEV;
		return NULL;
	}
	struct member *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->stack.ops = &ops;
	m->shared = shared;
	shared->stats.coroutines++;
	return &m->stack;
}

/* --- public --------------------------------------------------------------------------- */

/* The thread ends. Its coroutines are released after this, and then their slots go. */
static void thread_ends(struct co_at_exit *note)
{
	struct sharestack *shared = container_of(note, struct sharestack, at_exit);

	shared->is_orphan = true;
	if (shared->stats.coroutines == 0)
		sharestack_free(shared);
}

static int make_stacks(struct sharestack *shared, size_t size)
{
	for (size_t i = 0; i < shared->n_slots; i++)
		if (!(shared->slots[i].memory = co_stack_get(size)))
			return -1;
	/* It needs little, but a signal's handler may run there, and use what slots have. */
	shared->copier.stack = co_stack_get(size);
	return shared->copier.stack ? 0 : -1;
}

static struct co_stack_source *alloc_sharestack(struct co_env *env, size_t count, size_t size)
{
	struct sharestack *shared = calloc(1, sizeof(*shared) + count * sizeof(shared->slots[0]));

	if (!shared)
		return NULL;
	list_init(&shared->at_exit.node);
	shared->n_slots = count;
	if (make_stacks(shared, size) != 0) {
		sharestack_free(shared);
		errno = ENOMEM;
		return NULL;
	}
	shared->source.get = get;
	shared->env = env;
	shared->stats.slots = count;
	shared->stats.slot_bytes = (size_t)(shared->slots[0].memory->hi - shared->slots[0].memory->lo);
	shared->copier.link = &coctx_nobody;
	annotate_exec_init(&shared->copier.tools, false);
	coctx_make(&shared->copier.ctx, shared->copier.stack->hi, copy_for_others, shared, &shared->copier.link);
	shared->at_exit.fn = thread_ends;
	list_insert(&env->at_exit, &shared->at_exit.node);
	return &shared->source;
}

struct co_stack_source *co_alloc_sharestack(int count, int size)
{
	if (count <= 0 || size <= 0 || size > CO_STACK_MAX) {
		errno = EINVAL;
		return NULL;
	}
	struct co_env *env = co_env_get();
	return env ? CO_INSIDE(env, alloc_sharestack(env, (size_t)count, (size_t)size)) : NULL;
}

/* Why @source may not be touched by the calling thread; 0 = it may. */
static int not_ours(const struct co_stack_source *source)
{
	if (!source)
		return EINVAL;
	return container_of(source, struct sharestack, source)->env == co_get_curr_thread_env() ? 0 : EXDEV;
}

static int free_sharestack(struct sharestack *shared)
{
	if (shared->stats.coroutines > 0)
		return co_fail(EBUSY);
	sharestack_free(shared);
	return 0;
}

int co_free_sharestack(struct co_stack_source *source)
{
	int error = not_ours(source);

	if (error)
		return co_fail(error);
	struct sharestack *shared = container_of(source, struct sharestack, source);
	struct co_env *env = shared->env; /* shared will be gone */
	return CO_INSIDE(env, free_sharestack(shared));
}

int co_sharestack_stats(const struct co_stack_source *source, struct co_sharestack_stats *stats)
{
	int error = stats ? not_ours(source) : EINVAL;

	if (error)
		return co_fail(error);
	*stats = container_of(source, struct sharestack, source)->stats;
	return 0;
}
