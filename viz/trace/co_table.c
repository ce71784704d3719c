/* SPDX-License-Identifier: MIT */
/*
 * The coroutines of a thread, read from its memory: co_envs, the thread's env, env->all.
 *
 * Memory may be garbage, or in the middle of a change: whatever can be read is in the
 * table, and one line says what could not.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"

enum { MAX_LISTED = 1000000 }; /* a list longer than this is a damaged one */

/* Who reads, and where to complain. */
struct look {
	const struct layout *l;
	read_fn *read;
	void *arg;
	struct co_table *t;
	uint64_t at, len;    /* the struct whose bytes are here, read at once */
	uint8_t bytes[512];
	uint64_t ops;        /* the struct co_stack_ops that was looked at last; most have the same */
	bool is_shared;      /* and what it said */
};

/* Only the first problem is kept: the others often follow from it. */
static void problem(struct look *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void problem(struct look *k, const char *format, ...)
{
	va_list args;

	if (k->t->problem)
		return;
	va_start(args, format);
	vsnprintf(k->t->problem_text, sizeof(k->t->problem_text), format, args);
	va_end(args);
	k->t->problem = k->t->problem_text;
}

static bool read_pointer(struct look *k, uint64_t addr, uint64_t *value)
{
	return k->read(k->arg, addr, value, sizeof(*value));
}

/* Keep the @len bytes at @at for read_field, which asks for many of them. If they cannot
 * be read at once, some of them may. */
static void read_ahead(struct look *k, uint64_t at, uint64_t len)
{
	k->at = at;
	k->len = len <= sizeof(k->bytes) && k->read(k->arg, at, k->bytes, len) ? len : 0;
}

/* The number in @field of the struct at @base. */
static bool read_field(struct look *k, uint64_t base, enum layout_field field, uint64_t *value)
{
	uint32_t offset = k->l->offset[field], size = k->l->size[field];

	*value = 0;
	if (base == k->at && offset + size <= k->len) {
		memcpy(value, k->bytes + offset, size > 8 ? 8 : size);
		return true;
	}
	return k->read(k->arg, base + k->l->offset[field], value, size > 8 ? 8 : size);
}

/* --- lists ------------------------------------------------------------------------------- */

/* A walk along a list. A ring that does not come back to its head is found by Brent's
 * method: a second pointer waits at the 1st, 2nd, 4th, 8th, ... node. */
struct walk {
	uint64_t head, node, waiting;
	size_t n, turn;
	const char *what;
};

/* The next node of @w; false: the end, or (with a problem) where it cannot go on. */
static bool walk_on(struct look *k, struct walk *w)
{
	uint64_t next, back;

	if (!read_pointer(k, w->node + k->l->offset[L_LIST_NEXT], &next)) {
		problem(k, "the list of %s cannot be read on from %#llx", w->what, (unsigned long long)w->node);
		return false;
	}
	if (next == w->head)
		return false;
	if (next == w->waiting || w->n >= MAX_LISTED) {
		problem(k, "the list of %s is a ring without its head: %#llx comes again", w->what,
			(unsigned long long)next);
		return false;
	}
	if (!read_pointer(k, next + k->l->offset[L_LIST_PREV], &back)) {
		problem(k, "the list of %s leads from %#llx to %#llx, which cannot be read", w->what,
			(unsigned long long)w->node, (unsigned long long)next);
		return false;
	}
	if (back != w->node) /* for one instruction, while a node is put in or taken out; go on */
		problem(k, "the list of %s leads from %#llx to %#llx, but not back", w->what,
			(unsigned long long)w->node, (unsigned long long)next);
	w->node = next;
	if (++w->n >= w->turn) {
		w->waiting = next;
		w->turn = w->turn ? 2 * w->turn : 1;
	}
	return true;
}

/* --- coroutines ---------------------------------------------------------------------------- */

static struct co_info *add_info(struct look *k)
{
	struct co_table *t = k->t;

	if (t->n == t->room) {
		size_t room = t->room ? 2 * t->room : 16;
		struct co_info *cos = reallocarray(t->cos, room, sizeof(*cos));
		if (!cos) {
			problem(k, "there is no memory for more coroutines");
			return NULL;
		}
		t->cos = cos;
		t->room = room;
	}
	return memset(&t->cos[t->n], 0, sizeof(t->cos[0]));
}

static void read_name(struct look *k, uint64_t co, char *name, size_t room)
{
	size_t len = k->l->size[L_CO_NAME];

	len = len < room ? len : room - 1;
	if (!k->read(k->arg, co + k->l->offset[L_CO_NAME], name, len))
		len = 0;
	name[len] = 0;
	for (char *c = name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?'; /* a terminal could not show it */
}

/* A stack whose numbers make no sense is none. */
static void read_stack(struct look *k, struct co_info *info)
{
	uint64_t at = info->stack;

	if (!at)
		return;
	if (!read_field(k, at, L_STACK_LO, &info->lo) || !read_field(k, at, L_STACK_HI, &info->hi) ||
	    !read_field(k, at, L_STACK_GUARD_LEN, &info->guard_len) ||
	    !read_field(k, at, L_STACK_SAVE_BUFFER, &info->save_buffer) ||
	    !read_field(k, at, L_STACK_SAVE_LEN, &info->save_len))
		problem(k, "the stack of the coroutine at %#llx cannot be read", (unsigned long long)info->co);
	else if (!info->lo || !info->hi)
		; /* it has none yet, or is given one right now */
	else if (info->lo <= info->hi && info->guard_len <= info->lo && info->save_len <= info->hi - info->lo &&
		 info->save_buffer + info->save_len >= info->save_buffer)
		return;
	else
		problem(k, "the stack of the coroutine at %#llx is none: %#llx to %#llx", (unsigned long long)info->co,
			(unsigned long long)info->lo, (unsigned long long)info->hi);
	info->lo = info->hi = info->guard_len = info->save_buffer = info->save_len = 0;
}

/* Is it a stack that is entered in a way of its own? Older tables and traces do not tell. */
static void read_ops(struct look *k, struct co_info *info)
{
	uint64_t enter;

	if (!info->stack || !k->l->size[L_STACK_OPS] || !k->l->size[L_STACK_OPS_ENTER] ||
	    !read_field(k, info->stack, L_STACK_OPS, &info->ops) || !info->ops)
		return;
	if (info->ops != k->ops) {
		k->ops = info->ops;
		k->is_shared = read_field(k, info->ops, L_STACK_OPS_ENTER, &enter) && enter;
	}
	info->is_shared = k->is_shared;
}

static void read_co(struct look *k, uint64_t co, bool is_main)
{
	struct co_info *info = add_info(k);
	uint64_t id, state;

	if (!info)
		return;
	info->co = co;
	info->ctx = co + k->l->offset[L_CO_CTX];
	info->is_main = is_main;
	read_ahead(k, co, k->l->size[L_CO]);
	bool is_whole = read_field(k, co, L_CO_ID, &id) && read_field(k, co, L_CO_STATE, &state) &&
			read_field(k, co, L_CO_STACK, &info->stack) && read_field(k, co, L_CO_RESUMER, &info->resumer) &&
			read_field(k, co, L_CO_LINK, &info->link) && read_field(k, co, L_CO_ENV, &info->env) &&
			read_field(k, co, L_CO_FN, &info->fn) && read_field(k, co, L_CO_CREATED_AT, &info->created_at) &&
			read_field(k, co, L_CO_BLOCKED_AT, &info->blocked_at) &&
			read_field(k, co, L_CO_N_RESUMES, &info->n_resumes);
	if (!is_whole) {
		problem(k, "the coroutine at %#llx cannot be read", (unsigned long long)co);
		return;
	}
	info->id = (uint32_t)id;
	info->state = state < UINT32_MAX ? (uint32_t)state : UINT32_MAX;
	read_name(k, co, info->name, sizeof(info->name));
	read_stack(k, info);
	read_ops(k, info);
	k->t->n++;
}

/* --- the table ------------------------------------------------------------------------------- */

/* The env of thread @tid (0: any); 0: there is none. */
static uint64_t find_env(struct look *k, int tid)
{
	struct walk w = { .head = (uint64_t)(uintptr_t)k->l->table.envs, .what = "threads (co_envs)" };

	w.node = w.head;
	while (walk_on(k, &w)) {
		uint64_t env = w.node - k->l->offset[L_ENV_IN_ENVS], its_tid;
		if (!read_field(k, env, L_ENV_TID, &its_tid))
			problem(k, "the environment at %#llx cannot be read", (unsigned long long)env);
		else if (tid == 0 || its_tid == (uint64_t)tid)
			return env;
	}
	return 0;
}

static int compare_index(const void *a, const void *b)
{
	const struct co_index *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key ? 1 : x->i < y->i ? -1 : x->i > y->i;
}

static void fill_index(struct co_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		t->by_co[i] = (struct co_index){ t->cos[i].co, i };
		t->by_ctx[i] = (struct co_index){ t->cos[i].ctx, i };
	}
	if (t->n > 0) {
		qsort(t->by_co, t->n, sizeof(t->by_co[0]), compare_index);
		qsort(t->by_ctx, t->n, sizeof(t->by_ctx[0]), compare_index);
	}
}

/* On a ring without its head, some come more than once: keep the first of each. */
static bool drop_repeated(struct co_table *t)
{
	size_t kept = 0, n = t->n;

	for (size_t i = 1; i < n; i++)
		if (t->by_co[i].key == t->by_co[i - 1].key)
			t->cos[t->by_co[i].i].co = 0;
	for (size_t i = 0; i < n; i++)
		if (t->cos[i].co)
			t->cos[kept++] = t->cos[i];
	t->n = kept;
	return kept < n;
}

static void make_index(struct look *k)
{
	struct co_table *t = k->t;

	if (t->room_index < t->n) {
		free(t->by_co);
		free(t->by_ctx);
		t->by_co = reallocarray(NULL, t->room, sizeof(t->by_co[0]));
		t->by_ctx = reallocarray(NULL, t->room, sizeof(t->by_ctx[0]));
		t->room_index = t->by_co && t->by_ctx ? t->room : 0;
	}
	if (t->room_index < t->n) {
		problem(k, "there is no memory for the coroutines");
		t->n = 0;
		return;
	}
	fill_index(t);
	if (drop_repeated(t))
		fill_index(t);
}

void co_table_read(struct co_table *t, const struct layout *l, int tid, read_fn *read, void *arg)
{
	struct look k = { .l = l, .read = read, .arg = arg, .t = t };

	t->n = 0;
	t->running = t->env = 0;
	t->problem = NULL;
	if (!l || !l->has_coroutines)
		return;
	t->env = find_env(&k, tid);
	if (!t->env)
		return;
	if (!read_field(&k, t->env, L_ENV_RUNNING, &t->running))
		problem(&k, "the environment at %#llx cannot be read", (unsigned long long)t->env);
	read_co(&k, t->env + l->offset[L_ENV_MAIN], true);
	struct walk w = { .head = t->env + l->offset[L_ENV_ALL], .what = "coroutines (env->all)" };
	for (w.node = w.head; walk_on(&k, &w);)
		read_co(&k, w.node - l->offset[L_CO_IN_ENV], false);
	make_index(&k);
}

static const struct co_info *find(const struct co_table *t, const struct co_index *index, uint64_t key)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;
		if (index[middle].key < key)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo < t->n && index[lo].key == key ? &t->cos[index[lo].i] : NULL;
}

const struct co_info *co_table_by_ctx(const struct co_table *t, uint64_t ctx)
{
	return find(t, t->by_ctx, ctx);
}

const struct co_info *co_table_by_co(const struct co_table *t, uint64_t co)
{
	return find(t, t->by_co, co);
}

void co_table_free(struct co_table *t)
{
	free(t->cos);
	free(t->by_co);
	free(t->by_ctx);
	*t = (struct co_table){ 0 };
}

void co_table_each_range(const struct co_table *t, const struct layout *l,
			 void (*fn)(void *arg, uint64_t addr, size_t len), void *arg)
{
	uint32_t stack_len = l ? l->offset[L_STACK_OPS] + l->size[L_STACK_OPS] : 0;
	uint64_t ops = 0;

	if (!l || !l->has_coroutines)
		return;
	for (unsigned i = L_STACK_LO; i <= L_STACK_SAVE_LEN; i++)
		if (l->offset[i] + l->size[i] > stack_len)
			stack_len = l->offset[i] + l->size[i];
	uint64_t head = (uint64_t)(uintptr_t)l->table.envs;
	fn(arg, head + l->offset[L_LIST_PREV], 8);
	fn(arg, head + l->offset[L_LIST_NEXT], 8);
	if (t->env)
		fn(arg, t->env, l->size[L_ENV]);
	for (size_t i = 0; i < t->n; i++) {
		const struct co_info *info = &t->cos[i];
		if (!info->is_main) /* it is in its env */
			fn(arg, info->co, l->size[L_CO]);
		if (info->stack)
			fn(arg, info->stack, stack_len);
		if (info->ops && info->ops != ops)
			fn(arg, info->ops + l->offset[L_STACK_OPS_ENTER], l->size[L_STACK_OPS_ENTER]);
		ops = info->ops;
		if (info->save_len > 0)
			fn(arg, info->save_buffer, info->save_len);
	}
}
