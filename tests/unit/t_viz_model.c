/* SPDX-License-Identifier: MIT */
/* The model: who runs at a step, whose an address is, where a journey leads; and the
 * layout table and the coroutines that are found by it. */
#include "model.h"

#include "viz_fake.h"

static char path[] = "/tmp/t_viz_model.XXXXXX";

static void remove_file(void)
{
	unlink(path);
}

static const char *new_path(void)
{
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	close(fd);
	atexit(remove_file);
	return path;
}

static struct model *open_model(const char *file)
{
	char *why = NULL;
	struct model *m = model_open(file, &why);

	if (!m)
		fprintf(stderr, "%s\n", why);
	CHECK(m != NULL);
	return m;
}

/* main -> alice -> main -> bob -> main -> alice -> ..., @n swaps; swap @bad (from 1) forgets rbx. */
static struct model *record(unsigned n, unsigned bad)
{
	struct fake f;

	fake_begin(&f, new_path(), 4);
	trace_set_keyframe_min(f.w, 2000);
	for (unsigned i = 1; i <= n; i++) {
		fake_work(&f, 30);
		f.forgets_rbx = i == bad;
		fake_swap(&f, f.current ? FAKE_MAIN : 1 + (int)(i / 2 % 2));
	}
	fake_work(&f, 30);
	fake_end(&f);
	return open_model(path);
}

/* --- the layout ------------------------------------------------------------------------------ */

static void refuse_table(const struct co_debug_layout *table, const char *words)
{
	struct layout l;
	const char *why = NULL;

	CHECK(!layout_parse(&l, table, &why));
	printf("# %s\n", why);
	CHECK(strstr(why, words) != NULL);
}

static void table(void)
{
	struct co_debug_layout good = fake_table(), bad;
	struct layout l;
	const char *why;
	uint64_t inside;

	CHECK(layout_parse(&l, &good, &why));
	CHECK(l.has_coroutines);
	CHECK_EQ(layout_ctx_size(&l), CTX_LEN);
	CHECK_EQ(layout_ctx_field(&l, 0x1000, REG_RSP), 0x1030);
	CHECK_EQ(layout_ctx_field(&l, 0x1000, REG_RAX), 0);
	CHECK_EQ(layout_ctx_field(&l, 0, REG_RSP), 0);
	CHECK_EQ(strcmp(layout_field_at(&l, "co", CO_STATE + 1, &inside), "state"), 0);
	CHECK_EQ(inside, 1);
	CHECK(layout_field_at(&l, "co", CO_LEN, &inside) == NULL);

	bad = good, bad.magic[3] ^= 1;
	refuse_table(&bad, "does not begin with");
	bad = good, bad.version = 9;
	refuse_table(&bad, "another version");
	bad = good, bad.n_fields = 65;
	refuse_table(&bad, "damaged");
	bad = good, bad.n_fields--;
	refuse_table(&bad, "has no env.tid");
	bad = good, bad.fields[8].offset = 70;
	refuse_table(&bad, "outside of its struct");
	bad = good, bad.fields[25].size = 0xffffffff;
	refuse_table(&bad, "outside of its struct");
	bad = good, bad.fields[20].size = 1u << 30;
	refuse_table(&bad, "outside of its struct");

	bad = good, bad.envs = NULL, bad.n_fields = 11; /* contexts alone */
	CHECK(layout_parse(&l, &bad, &why));
	CHECK(!l.has_coroutines);
}

static bool field_of_coctx(void *arg, const char *name, uint32_t *offset, uint32_t *size)
{
	static const char *const names[] = { "rbx", "rbp", "r12", "r13", "r14", "r15", "rsp", "rip" };
	const char *missing = arg;

	*size = 8;
	if (missing && strcmp(missing, name) == 0)
		return false;
	for (unsigned i = 0; i < 8; i++) {
		*offset = 8 * i;
		if (strcmp(names[i], name) == 0)
			return true;
	}
	*offset = strcmp(name, "mxcsr") == 0 ? 64 : 68;
	*size = *offset == 64 ? 4 : 2;
	return true;
}

static void table_by_fields(void)
{
	struct layout l;
	const char *why;

	CHECK(layout_from_fields(&l, field_of_coctx, NULL, &why));
	CHECK(!l.has_coroutines);
	CHECK_EQ(layout_ctx_size(&l), 72);
	CHECK_EQ(layout_ctx_field(&l, 8, REG_X87CW), 8 + 68);
	CHECK(!layout_from_fields(&l, field_of_coctx, "r14", &why));
	CHECK(strstr(why, "build it with -g") != NULL);
}

/* --- who exists --------------------------------------------------------------------------------- */

static void list(void)
{
	struct model *m = record(2, 0);
	struct co_table *t = &m->table;

	CHECK(t->problem == NULL);
	CHECK_EQ(t->n, 3);
	CHECK_EQ(t->env, FAKE_ENV);
	CHECK_EQ(t->running, FAKE_CO(0));
	CHECK(t->cos[0].is_main && !t->cos[1].is_main);
	CHECK_EQ(strcmp(t->cos[2].name, "bob"), 0);
	CHECK_EQ(t->cos[1].ctx, FAKE_CO(1));
	CHECK_EQ(t->cos[1].save_len, FAKE_SAVED);
	CHECK_EQ(t->cos[1].save_buffer, FAKE_BUFFER(1));
	CHECK_EQ(t->cos[2].hi, FAKE_SLOT_HI);
	CHECK(co_table_by_co(t, FAKE_CO(2)) == &t->cos[2]);
	CHECK(co_table_by_ctx(t, FAKE_CO(1)) == &t->cos[1]);
	CHECK(co_table_by_co(t, 1) == NULL);
	model_free(m);
}

struct range {
	uint64_t addr, len;
	int n_found;
};

static void note_range(void *arg, uint64_t addr, size_t len)
{
	struct range *r = arg;

	r->n_found += r->addr >= addr && r->addr + r->len <= addr + len;
}

/* Whatever the table was read from, a recorder is told to keep. */
static void ranges(void)
{
	struct model *m = record(2, 0);
	struct range wanted[] = {
		{ FAKE_ENVS, 8, 0 }, { FAKE_ENVS + 8, 8, 0 }, { FAKE_ENV, ENV_LEN, 0 }, { FAKE_CO(1), CO_LEN, 0 },
		{ FAKE_CO(2), CO_LEN, 0 }, { FAKE_STACK_STRUCT(0), 40, 0 }, { FAKE_STACK_STRUCT(2), 40, 0 },
		{ FAKE_BUFFER(1), FAKE_SAVED, 0 },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		co_table_each_range(&m->table, m->layout, note_range, &wanted[i]);
		CHECK_EQ(wanted[i].n_found, 1);
	}
	model_free(m);
}

/* What a stack's ops tell; a table without these fields tells nothing. */
static void shared(void)
{
	enum { OPS = 0x77000 };
	struct model *m = record(2, 0);
	struct memory *mem = &m->state.memory;
	struct co_debug_layout table = m->layout->table;
	struct range word = { OPS + 16, 8, 0 };
	struct co_table t = { 0 };
	struct layout l;
	const char *why;

	CHECK(!m->table.cos[1].is_shared);
	table.fields[table.n_fields++] = (struct co_debug_field){ "stack.ops", 40, 8 };
	table.fields[table.n_fields++] = (struct co_debug_field){ "stack_ops.enter", 16, 8 };
	CHECK(layout_parse(&l, &table, &why));
	CHECK_EQ(memory_set_word(mem, FAKE_STACK_STRUCT(1) + 40, OPS), 0);
	co_table_read(&t, &l, FAKE_TID, memory_read, mem); /* the trace does not have it */
	CHECK(t.problem == NULL && t.n == 3 && !t.cos[1].is_shared);
	CHECK_EQ(memory_set_word(mem, OPS + 16, 0), 0);
	co_table_read(&t, &l, FAKE_TID, memory_read, mem);
	CHECK(!t.cos[1].is_shared);
	CHECK_EQ(memory_set_word(mem, OPS + 16, FAKE_CODE), 0);
	co_table_read(&t, &l, FAKE_TID, memory_read, mem);
	CHECK(t.problem == NULL && t.cos[1].is_shared && !t.cos[2].is_shared);
	co_table_each_range(&t, &l, note_range, &word);
	CHECK_EQ(word.n_found, 1);
	table.fields[table.n_fields - 1].size = 9;
	CHECK(!layout_parse(&l, &table, &why));
	co_table_free(&t);
	model_free(m);
}

static void read_damaged(struct model *m, uint64_t addr, uint64_t value, bool is_known, const char *words, size_t n)
{
	struct memory *mem = &m->state.memory;
	struct co_table t = { 0 };
	uint64_t old;

	CHECK(memory_word(mem, addr, &old));
	if (is_known)
		CHECK_EQ(memory_set_word(mem, addr, value), 0);
	else
		memory_forget_word(mem, addr);
	co_table_read(&t, m->layout, FAKE_TID, memory_read, mem);
	printf("# %s\n", t.problem);
	CHECK(t.problem && strstr(t.problem, words));
	CHECK_EQ(t.n, n);
	CHECK_EQ(memory_set_word(mem, addr, old), 0);
	co_table_free(&t);
}

static void damaged_lists(void)
{
	struct model *m = record(2, 0);
	uint64_t in_env = FAKE_CO(2) + CO_IN_ENV;

	read_damaged(m, FAKE_ENVS + 8, 0, false, "threads (co_envs) cannot be read", 0);
	read_damaged(m, FAKE_ENVS + 8, FAKE_ENVS + 0x100, true, "which cannot be read", 0);
	read_damaged(m, in_env + 8, in_env, true, "ring without its head", 3);
	read_damaged(m, in_env + 8, FAKE_CO(1) + CO_IN_ENV, true, "but not back", 3);
	read_damaged(m, in_env, 0x1234, true, "but not back", 3);
	read_damaged(m, FAKE_CO(1) + CO_FN, 0, false, "the coroutine at 0x31000 cannot be read", 2);
	read_damaged(m, FAKE_STACK_STRUCT(1) + 8, 5, true, "is none", 3);
	read_damaged(m, FAKE_STACK_STRUCT(1) + 32, 0x9000, true, "is none", 3);
	read_damaged(m, FAKE_STACK_STRUCT(1), 0, false, "the stack of the coroutine", 3);
	model_free(m);
}

/* --- who runs ------------------------------------------------------------------------------------- */

static void current(void)
{
	struct model *m = record(5, 0);
	static const uint32_t who[] = { 0, 1, 0, 2, 0, 1 };
	/* the 1st goes to alice: i / 2 % 2 == 0 */

	CHECK_EQ(m->n_swaps, 5);
	for (uint64_t t = 0; t <= m->last; t++) {
		CHECK_EQ(model_seek(m, t), 0);
		size_t n = 0;
		while (n < m->n_swaps && m->swaps[n].hands <= t)
			n++;
		CHECK_EQ(m->current, who[n]);
		const struct exec *e = model_exec(m, m->current);
		CHECK(e && e->is_on_cpu && e->rsp == m->state.regs.r[REG_RSP]);
		CHECK_EQ(model_owner(m, e->rsp), m->current);
		CHECK_EQ(m->n_execs, 3);
		bool is_in = false;
		for (size_t i = 0; i < m->n_swaps; i++)
			is_in |= t >= m->swaps[i].entry && t < m->swaps[i].arrival;
		CHECK_EQ(m->is_in_swap, is_in);
		CHECK_EQ(m->swap, (ptrdiff_t)n - 1 + (is_in && (n == 0 || t > m->swaps[n - 1].arrival)));
	}
	CHECK(m->from == FAKE_MAIN && m->to == FAKE_ALICE);
	CHECK_EQ(model_seek(m, 0), 0);
	CHECK(m->from == FAKE_MAIN && m->to == NO_EXEC && m->swap == -1);
	CHECK_EQ(strcmp(model_exec(m, 1)->name, "alice"), 0);
	CHECK_EQ(strcmp(model_exec(m, 0)->name, "main"), 0);
	CHECK_EQ(strcmp(model_exec(m, 0)->state, "running"), 0);
	CHECK_EQ(model_seek(m, m->last + 100), 0);
	CHECK_EQ(m->t, m->last);
	model_free(m);
}

static void owner(void)
{
	struct model *m = record(6, 0);
	char text[100];

	CHECK_EQ(model_owner(m, FAKE_SLOT_HI - 8), NO_EXEC); /* both are out */
	CHECK_EQ(model_owner(m, FAKE_MAIN_HI), FAKE_MAIN);
	CHECK_EQ(model_owner(m, FAKE_MAIN_HI + 8), NO_EXEC);
	CHECK_EQ(model_seek(m, m->swaps[1].arrival), 0); /* main; alice is resident */
	CHECK_EQ(model_owner(m, FAKE_SLOT_HI - 8), FAKE_ALICE);
	CHECK(model_exec(m, FAKE_BOB)->is_out && !model_exec(m, FAKE_ALICE)->is_out);
	CHECK_EQ(model_seek(m, m->swaps[2].arrival), 0);
	CHECK_EQ(model_owner(m, FAKE_SLOT_HI - 8), FAKE_BOB);

	struct { uint64_t value; const char *is; } values[] = {
		{ FAKE_SLOT_HI - 0x30, "bob's stack, top-0x30" }, { FAKE_SLOT_HI, "bob's stack, top" },
		{ FAKE_CO(1), "alice" }, { FAKE_CO(1) + 8, "alice's context.rbp" }, { FAKE_CO(1) + CO_STATE, "alice's co.state" },
		{ FAKE_CO(2) + CO_NAME + 3, "bob's co.name+0x3" },
		{ FAKE_BUFFER(1) + 0x10, "alice's save_buffer+0x10 (top-0x30)" }, { 5, "" }, { 0x12345678, "" },
	};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		model_describe(m, values[i].value, text, sizeof(text));
		if (strcmp(text, values[i].is) != 0)
			printf("\"%s\" is not \"%s\"\n", text, values[i].is);
		CHECK_EQ(strcmp(text, values[i].is), 0);
	}
	model_free(m);
}

/* Of two on one stack and none copied out, one has not begun: its context says so. */
static void resident(void)
{
	struct fake f;

	for (int who = FAKE_ALICE; who <= FAKE_BOB; who++) {
		fake_begin(&f, new_path(), 4);
		for (int i = FAKE_ALICE; i <= FAKE_BOB; i++) {
			fake_word(&f, FAKE_STACK_STRUCT(i) + 32, 0);
			fake_word(&f, FAKE_CO(i) + 48, FAKE_SLOT_HI - (i == who ? 0x80 : 0));
		}
		fake_step(&f, FAKE_CODE + 9, STEP_IS_GAP);
		fake_end(&f);
		struct model *m = open_model(path);
		CHECK_EQ(model_seek(m, 1), 0);
		CHECK_EQ(model_owner(m, FAKE_SLOT_HI - 8), (uint32_t)who);
		model_free(m);
		strcpy(path + strlen(path) - 6, "XXXXXX");
	}
	new_path();
}

/* Who is copied out finds its own bytes, and its own alone. */
static void exec_view(void)
{
	struct model *m = record(6, 0);
	struct regs regs;
	uint64_t value, two[2];

	CHECK_EQ(model_seek(m, m->swaps[2].arrival), 0); /* bob runs, alice is out */
	struct exec_view alice = { m, model_exec(m, FAKE_ALICE) }, bob = { m, model_exec(m, FAKE_BOB) };
	CHECK(exec_view_read(&alice, FAKE_SLOT_HI - 8, &value, 8));
	CHECK_EQ(value, 0xb0000 + 0x1000 + FAKE_SAVED - 8);
	CHECK(exec_view_read(&bob, FAKE_SLOT_HI - 8, &value, 8));
	CHECK_EQ(value, 0x510 + FAKE_SAVED - 8);
	CHECK(exec_view_read(&alice, FAKE_SLOT_HI - 16, two, 16));
	CHECK_EQ(two[1], 0xb0000 + 0x1000 + FAKE_SAVED - 8);
	CHECK_EQ(memory_set_word(&m->state.memory, FAKE_SLOT_HI - FAKE_SAVED - 8, 1), 0); /* bob's */
	CHECK_EQ(memory_set_word(&m->state.memory, FAKE_BUFFER(1) - 8, 2), 0); /* in front of alice's */
	CHECK(exec_view_read(&bob, FAKE_SLOT_HI - FAKE_SAVED - 8, &value, 8));
	CHECK(!exec_view_read(&alice, FAKE_SLOT_HI - FAKE_SAVED - 8, &value, 8));
	CHECK(!exec_view_read(&alice, UINT64_MAX - 2, &value, 8));
	CHECK(exec_view_read(&alice, FAKE_CO(1) + CO_FN, &value, 8));
	CHECK(model_exec_regs(m, bob.exec, &regs));
	CHECK(memcmp(&regs, &m->state.regs, sizeof(regs)) == 0);
	CHECK(model_exec_regs(m, alice.exec, &regs));
	CHECK(regs.r[REG_RSP] == FAKE_SLOT_HI - FAKE_SAVED && regs.r[REG_MXCSR] == 0x1f80);
	model_free(m);
}

/* --- lost registers --------------------------------------------------------------------------------- */

static void lost(void)
{
	struct model *m = record(9, 6);
	struct regs left;

	for (size_t i = 0; i < m->n_swaps; i++) {
		uint32_t expected = i == 5 ? 1u << REG_RBX : 0;
		CHECK_EQ(model_lost(m, i, &left), expected);
		CHECK_EQ(model_lost(m, i, NULL), expected);
	}
	CHECK_EQ(model_lost(m, 5, &left), 1u << REG_RBX);
	struct regs at;
	CHECK_EQ(model_seek(m, m->swaps[4].entry), 0); /* when main left */
	at = m->state.regs;
	CHECK_EQ(left.r[REG_RBX], at.r[REG_RBX]);
	CHECK_EQ(left.r[REG_RSP], at.r[REG_RSP] + 8);
	CHECK_EQ(model_lost(m, 99, &left), 0);
	model_free(m);
}

/* A swap of main with itself is measured by what it left with in this very swap. */
static void lost_by_itself(void)
{
	struct fake f;
	struct regs left;

	fake_begin(&f, new_path(), 4);
	for (int i = 0; i < 4; i++) {
		f.regs.r[REG_RBX] += 5;
		fake_work(&f, 10);
		fake_swap(&f, FAKE_MAIN);
	}
	fake_end(&f);
	struct model *m = open_model(path);
	CHECK_EQ(m->n_swaps, 4);
	for (size_t i = 0; i < 4; i++)
		CHECK_EQ(model_lost(m, i, &left), 0);
	model_free(m);
}

/* Somebody writes into the context of one who is away: that is not the switch's fault. */
static void rewritten(void)
{
	struct fake f;
	struct regs left;

	fake_begin(&f, new_path(), 4);
	fake_swap(&f, FAKE_ALICE);
	fake_swap(&f, FAKE_MAIN);
	fake_word(&f, FAKE_CO(FAKE_ALICE) + 8, 0x4711); /* rbp */
	fake_step(&f, f.regs.r[REG_RIP] + 3, 0);
	f.saved[FAKE_ALICE].r[REG_RBP] = 0x4711;
	f.forgets_rbx = true;
	f.regs.r[REG_RBX] = 0x9999;
	fake_swap(&f, FAKE_ALICE);
	fake_end(&f);
	struct model *m = open_model(path);
	CHECK_EQ(model_lost(m, 2, &left), 1u << REG_RBX);
	CHECK_EQ(model_rewritten(m, 2), 1u << REG_RBP);
	CHECK_EQ(left.r[REG_RBP], 0);
	CHECK_EQ(model_rewritten(m, 1), 0);
	CHECK_EQ(model_rewritten(m, 0), 0);
	model_free(m);
}

/* --- travelling ---------------------------------------------------------------------------------------- */

static void swaps(void)
{
	struct model *m = record(7, 0);
	uint64_t t = 0;

	for (size_t i = 0; i < 7; i++) {
		t = model_next_swap(m, t, 1);
		CHECK_EQ(t, m->swaps[i].entry);
		CHECK_EQ(model_next_event(m, t - 1, 1, 1u << EVENT_SWAP), t);
		CHECK_EQ(model_next_event(m, t, 1, 1u << EVENT_RSP), m->swaps[i].hands);
		CHECK_EQ(model_next_event(m, m->swaps[i].arrival + 1, -1, 1u << EVENT_ARRIVE), m->swaps[i].arrival);
	}
	CHECK_EQ(model_next_swap(m, t, 1), t);
	CHECK_EQ(model_next_swap(m, m->last, -1), t);
	for (size_t i = 6; i-- > 0;)
		CHECK_EQ(t = model_next_swap(m, t, -1), m->swaps[i].entry);
	CHECK_EQ(model_next_swap(m, t, -1), t);
	CHECK_EQ(model_next_swap(m, 0, -1), 0);
	CHECK_EQ(model_next_event(m, 0, -1, 0), 0);
	model_free(m);
}

/* Against stepping through it all and looking. */
static void changes(void)
{
	struct model *m = record(30, 0);
	struct trace_state s = { 0 };
	struct rng r = { test_seed(6) };
	uint64_t *r13 = calloc(m->last + 2, sizeof(*r13)), *word = calloc(m->last + 2, sizeof(*word));
	uint64_t addr = FAKE_MAIN_HI - 0x200 - 16, last_r13 = 0, last_word = 0;

	/* [t]: the last change at or before t */
	for (uint64_t t = 0; t <= m->last; t++) {
		CHECK_EQ(trace_seek(m->trace, &s, t), 0);
		if (t > 0 && s.regs.r[REG_R13] != s.regs_before.r[REG_R13])
			last_r13 = t;
		for (size_t i = 0; i < s.n_before; i++)
			if (s.before[i].addr == addr)
				last_word = t;
		r13[t] = last_r13;
		word[t] = last_word;
	}
	CHECK(last_word > 0 && trace_keyframe_before(m->trace, m->last) > 0);
	for (int i = 0; i < 300; i++) {
		uint64_t t = i == 0 ? m->last : rng_below(&r, (unsigned)m->last + 1), next;
		CHECK_EQ(model_reg_change(m, t, REG_R13, -1), t && r13[t - 1] ? r13[t - 1] : t);
		CHECK_EQ(model_word_change(m, t, addr + 3, -1), t && word[t - 1] ? word[t - 1] : t);
		for (next = t + 1; next <= m->last && r13[next] != next; next++)
			;
		CHECK_EQ(model_reg_change(m, t, REG_R13, 1), next <= m->last ? next : t);
		for (next = t + 1; next <= m->last && word[next] != next; next++)
			;
		CHECK_EQ(model_word_change(m, t, addr, 1), next <= m->last ? next : t);
	}
	CHECK_EQ(model_word_change(m, 50, 0xdead0000, -1), 50);
	CHECK_EQ(m->t, 0); /* it asks, and does not move */
	free(r13);
	free(word);
	trace_state_free(&s);
	model_free(m);
}

static void calls(void)
{
	struct model *m = record(6, 0);
	uint64_t t = 0;

	for (size_t i = 0; i < 6; i++) { /* the only calls are those of the swap */
		t = model_next_call(m, t, 1);
		CHECK_EQ(t, m->swaps[i].entry);
	}
	CHECK_EQ(model_next_call(m, t, 1), t);
	for (size_t i = 5; i-- > 0;)
		CHECK_EQ(t = model_next_call(m, t, -1), m->swaps[i].entry);
	model_free(m);
}

static void place_is(struct model *m, const char *place, uint64_t expected)
{
	uint64_t t = 0;
	char *why = NULL;

	if (!model_place(m, place, &t, &why))
		printf("%s\n", why);
	CHECK(why == NULL);
	CHECK_EQ(t, expected);
}

static void no_place(struct model *m, const char *place, const char *words)
{
	uint64_t t = 4711;
	char *why = NULL;

	CHECK(!model_place(m, place, &t, &why));
	printf("# %s\n", why);
	CHECK(why && strstr(why, words) && !strchr(why, '\n'));
	CHECK_EQ(t, 4711);
	free(why);
}

static void places(void)
{
	struct model *m = record(6, 0);

	place_is(m, "17", 17);
	place_is(m, "t:17", 17);
	place_is(m, " 17+3 ", 20);
	place_is(m, "end", m->last);
	place_is(m, "end-2", m->last - 2);
	place_is(m, "start+1", 1);
	place_is(m, "switch:3", m->swaps[2].entry);
	place_is(m, "switch:3+1", m->swaps[2].entry + 1);
	place_is(m, "rsp:2", m->swaps[1].hands);
	place_is(m, "arrive:2-1", m->swaps[1].arrival - 1);
	place_is(m, "save", model_next_event(m, 0, 1, 1u << EVENT_SAVE));
	place_is(m, "restore#2", model_next_event(m, m->swaps[1].arrival, 1, 1u << EVENT_RESTORE));
	place_is(m, "swap#4", m->swaps[3].entry);
	no_place(m, "switch:0", "are switch:1 to switch:6");
	no_place(m, "switch:7", "are switch:1 to switch:6");
	no_place(m, "switch:x", "are switch:1 to switch:6");
	no_place(m, "save#9", "that happens 3 times");
	no_place(m, "create", "nothing of that kind");
	no_place(m, "func:leaf", "no function of that name");
	no_place(m, "99999999", "states of this trace are 0 to");
	no_place(m, "99999999999999999999999", "is no state");
	no_place(m, "end+1", "those of this trace are 0 to");
	no_place(m, "3-4", "those of this trace are 0 to");
	no_place(m, "", "is no place");
	no_place(m, "swoop:3", "Places are");
	no_place(m, "save#0", "is no place");
	model_free(m);
}

/* --- a trace that grows ------------------------------------------------------------------------------------ */

static void refresh(void)
{
	struct fake f;

	fake_begin(&f, new_path(), 4);
	CHECK_EQ(trace_flush(f.w), 0);
	struct model *m = open_model(path);
	CHECK(m->last == 0 && m->n_swaps == 0 && m->current == FAKE_MAIN);
	for (unsigned i = 1; i <= 200; i++) {
		fake_work(&f, 3);
		fake_swap(&f, f.current ? FAKE_MAIN : 1 + (int)(i / 2 % 2));
		struct trace_exec e = { .since = trace_written_steps(f.w), .ctx = 0x60000 + i, .kind = EXEC_BARE };
		CHECK_EQ(trace_add_exec(f.w, FAKE_N + i - 1, &e), 0);
		CHECK_EQ(trace_flush(f.w), 0);
		trace_refresh(m->trace);
		model_refresh(m);
		CHECK_EQ(m->n_swaps, i);
		CHECK_EQ(model_exec(m, FAKE_ALICE)->trace->id, 1);
		CHECK_EQ(model_seek(m, m->last), 0);
		CHECK_EQ(m->current, (uint32_t)f.current);
		CHECK_EQ(m->n_execs, FAKE_N + i);
		CHECK(memcmp(&m->state.regs, &f.regs, sizeof(f.regs)) == 0);
	}
	fake_end(&f);
	model_free(m);
}

/* --- damage -------------------------------------------------------------------------------------------------- */

static void ask_everything(struct model *m, struct rng *r)
{
	char text[80], *why;
	uint64_t t, addr = rng_below(r, 2) ? FAKE_SLOT_HI - 8 : rng_next(r);
	size_t n;
	struct regs regs;
	const char *reason;

	if (model_seek(m, rng_below(r, (unsigned)m->last + 1)) != 0)
		return;
	CHECK(m->swap < (ptrdiff_t)m->n_swaps);
	for (size_t i = 0; i < m->n_execs; i++) {
		struct exec_view v = { m, &m->execs[i] };
		CHECK(m->execs[i].name[0] && strlen(m->execs[i].state) < 12);
		exec_view_read(&v, m->execs[i].hi - 8, text, 8);
		model_exec_regs(m, &m->execs[i], &regs);
		model_frames(m, &m->execs[i], &n, &reason);
		CHECK(n <= MAX_FRAMES);
	}
	uint32_t who = model_owner(m, addr);
	CHECK(who == NO_EXEC || model_exec(m, who) != NULL);
	model_describe(m, m->state.regs.r[REG_RSP], text, sizeof(text));
	model_describe(m, FAKE_CO(1) + rng_below(r, 300), text, sizeof(text));
	if (m->n_swaps)
		model_lost(m, rng_below(r, (unsigned)m->n_swaps), &regs);
	for (int direction = -1; direction <= 1; direction += 2) {
		CHECK(model_next_line(m, m->t, direction) <= m->last);
		CHECK(model_next_over(m, m->t, direction) <= m->last);
		CHECK(model_next_call(m, m->t, direction) <= m->last);
		CHECK(model_next_swap(m, m->t, direction) <= m->last);
		CHECK(model_next_event(m, m->t, direction, 0) <= m->last);
		CHECK(model_word_change(m, m->t, addr, direction) <= m->last);
		CHECK(model_reg_change(m, m->t, REG_RBX, direction) <= m->last);
	}
	why = NULL;
	if (!model_place(m, "rsp:2-3", &t, &why))
		CHECK(why != NULL);
	free(why);
}

static void fuzz(void)
{
	struct rng r = { test_seed(41) };
	struct pieces good = { 0 }, other = { 0 };
	unsigned n_opened = 0;

	model_free(record(4, 0));
	pieces_read(&other, path);
	struct model *m = NULL;
	strcpy(path + strlen(path) - 6, "XXXXXX");
	model_free(record(20, 5));
	pieces_read(&good, path);
	for (int i = 0; i < 400; i++) {
		struct pieces p = good;
		char *why = NULL;
		p.bytes = malloc(p.room);
		memcpy(p.bytes, good.bytes, good.len);
		for (unsigned n = 1 + rng_below(&r, 3); n > 0 && p.len > FILE_HEADER_LEN; n--)
			pieces_damage(&p, &other, &r);
		pieces_write(&p, path);
		m = model_open(path, &why);
		CHECK(m || why);
		free(why);
		n_opened += m != NULL;
		for (int k = 0; m && k < 4; k++)
			ask_everything(m, &r);
		model_free(m);
		free(p.bytes);
	}
	printf("# %u of 400 damaged files opened\n", n_opened);
	CHECK(n_opened > 100);
	free(good.bytes);
	free(other.bytes);
}

static const struct test_case cases[] = {
	{ "table", "a table that is wrong is refused with a reason", table, 0, 0 },
	{ "table_by_fields", "a table of contexts alone, by debug information", table_by_fields, 0, 0 },
	{ "list", "coroutines are read from memory", list, 0, 0 },
	{ "ranges", "a recorder is told what the table is read from", ranges, 0, 0 },
	{ "shared", "who has a shared stack is known before another comes into it", shared, 0, NULL },
	{ "damaged_lists", "lists that are damaged end, and say where", damaged_lists, 0, 0 },
	{ "current", "who runs follows the stack pointer", current, 0, 0 },
	{ "owner", "an address belongs to the resident of its stack", owner, 0, 0 },
	{ "resident", "of two on one stack, it is who has begun", resident, 0, 0 },
	{ "exec_view", "who is copied out finds its own bytes", exec_view, 0, 0 },
	{ "lost", "a swap that forgets rbx is told from the others", lost, 0, 0 },
	{ "lost_by_itself", "a swap with itself loses nothing", lost_by_itself, 0, 0 },
	{ "rewritten", "a context that was written to is not lost registers", rewritten, 0, 0 },
	{ "swaps", "from swap to swap, and from event to event", swaps, 0, 0 },
	{ "changes", "when a word or a register changed", changes, 0, 0 },
	{ "calls", "from call to call", calls, 0, 0 },
	{ "places", "places in words", places, 0, 0 },
	{ "refresh", "a trace that grows", refresh, 0, 0 },
	{ "fuzz", "400 damaged files: nothing that is asked leads out of them", fuzz, 0, 0 },
};

TEST_MAIN(cases)
