/* SPDX-License-Identifier: MIT */
/* Traces: what was written comes back, at every step, from every side; and files that
 * are damaged end in a message. */
#include "trace.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "viz_fake.h"

enum { N_STACK = 512, STACK = 0x7ffffffde000, CODE = 0x555555555000 };

static char path[] = "/tmp/t_viz_trace.XXXXXX";

static void remove_file(void)
{
	unlink(path);
}

/* A new name, that is removed at the end. */
static const char *new_path(void)
{
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	close(fd);
	atexit(remove_file);
	return path;
}

/* --- a program that never was ---------------------------------------------------------- */

struct made {
	struct regs regs;
	struct trace_word words[64];
	size_t n;
	int flags;
};

static uint64_t random_value(struct rng *r, uint64_t near)
{
	switch (rng_below(r, 4)) {
	case 0:
		return rng_below(r, 200);
	case 1:
		return near + 8 * rng_below(r, 100);
	case 2:
		return CODE + rng_below(r, 9000);
	default:
		return rng_next(r);
	}
}

/* One instruction of it: rip moves, now and then another register, now and then a word;
 * seldom a gap with many. */
static void make_step(struct rng *r, struct made *m)
{
	m->n = 0;
	m->flags = 0;
	m->regs.r[REG_RIP] += 1 + rng_below(r, 7);
	if (rng_below(r, 10) == 0)
		m->regs.r[REG_RIP] = CODE + rng_below(r, 9000);
	while (rng_below(r, 9) < 4) {
		unsigned reg = rng_below(r, N_REGS);
		if (reg != REG_RSP)
			m->regs.r[reg] = reg < REG_RIP ? random_value(r, STACK) : rng_below(r, 0x1000);
	}
	if (rng_below(r, 12) == 0)
		m->regs.r[REG_RSP] = STACK + 8 * rng_below(r, N_STACK - 64);
	if (rng_below(r, 300) == 0) {
		m->flags = STEP_IS_GAP;
		m->n = rng_below(r, 64);
	} else if (rng_below(r, 8) == 0) {
		m->n = 1;
	}
	uint64_t addr = m->regs.r[REG_RSP];
	for (size_t i = 0; i < m->n; i++, addr += 8)
		m->words[i] = (struct trace_word){ addr, random_value(r, addr) };
}

static void begin_program(struct made *m)
{
	memset(m, 0, sizeof(*m));
	m->regs.r[REG_RIP] = CODE;
	m->regs.r[REG_RSP] = STACK + 8 * (N_STACK - 64);
}

static struct trace_writer *new_writer(const char *to)
{
	struct trace_writer *w;
	struct trace_info info = { .command = "prog a b", .program = "/bin/prog", .tid = 42, .mode = "all" };

	CHECK_EQ(trace_create(&w, to, &info), 0);
	return w;
}

/* Write its states 0 to @last. */
static void write_program(const char *to, uint64_t seed, uint64_t last)
{
	struct trace_writer *w = new_writer(to);
	struct rng r = { seed };
	struct made m;
	struct trace_map map = { CODE, CODE + 0x4000, 0x1000, "/bin/prog", { 1, 2, 3 }, 3 };
	struct trace_exec a = { 0, 0x1000, 0x900, STACK, STACK + 8 * N_STACK, EXEC_MAIN, 0, "main" };
	struct trace_exec b = { 100, 0x2000, 0, 0, 0, EXEC_BARE, 0, "other" };

	CHECK_EQ(trace_add_map(w, &map), 0);
	CHECK_EQ(trace_add_exec(w, 0, &a), 0);
	begin_program(&m);
	for (uint64_t t = 0; t <= last; t++) {
		if (t > 0)
			make_step(&r, &m);
		CHECK_EQ(trace_add_step(w, &m.regs, m.words, m.n, m.flags), 0);
		if (t == 100)
			CHECK_EQ(trace_add_exec(w, 1, &b), 0);
		if (t % 1000 == 500) {
			struct trace_event e = { 0, t * 3, EVENT_SWAP, 0, t > 100 ? 1 : NO_EXEC };
			CHECK_EQ(trace_add_event(w, &e), 0);
		}
		if (t % 5000 == 700)
			CHECK_EQ(trace_add_output(w, "hello\n", 6), 0);
	}
	CHECK_EQ(trace_written_steps(w), last);
	CHECK_EQ(trace_close(w), 0);
}

static struct trace *open_trace(const char *from)
{
	char *why = NULL;
	struct trace *t = trace_open(from, &why);

	if (!t)
		fprintf(stderr, "%s\n", why);
	CHECK(t != NULL);
	return t;
}

/* --- what was written comes back -------------------------------------------------------- */

static int count_words(void *arg, uint64_t addr, const uint64_t *words, size_t n)
{
	(void)addr, (void)words;
	*(size_t *)arg += n;
	return 0;
}

static int same_words(void *arg, uint64_t addr, const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value;
		CHECK(memory_word(arg, addr + 8 * i, &value));
		CHECK_EQ(value, words[i]);
	}
	return 0;
}

static void check_same_memory(struct memory *a, struct memory *b)
{
	size_t n = 0;

	CHECK_EQ(a->n_words, b->n_words);
	CHECK_EQ(memory_each_run(a, same_words, b), 0);
	CHECK_EQ(memory_each_run(a, count_words, &n), 0);
	CHECK_EQ(n, a->n_words);
}

static void check_same_state(struct trace_state *a, struct trace_state *b)
{
	CHECK_EQ(a->step, b->step);
	CHECK_EQ(a->flags, b->flags);
	CHECK(memcmp(&a->regs, &b->regs, sizeof(a->regs)) == 0);
	CHECK(memcmp(&a->regs_before, &b->regs_before, sizeof(a->regs)) == 0);
	CHECK_EQ(a->n_before, b->n_before);
	for (size_t i = 0; i < a->n_before; i++) {
		CHECK_EQ(a->before[i].addr, b->before[i].addr);
		CHECK_EQ(a->before[i].value, b->before[i].value);
		CHECK_EQ(a->was_known[i], b->was_known[i]);
	}
	check_same_memory(&a->memory, &b->memory);
}

enum { N_STEPS = 40000 };

static void forward(void)
{
	write_program(new_path(), 7, N_STEPS);
	struct trace *t = open_trace(path);
	struct rng r = { 7 };
	struct made m;
	struct trace_state s = { 0 };
	struct memory mine = { 0 };

	CHECK(trace_damage(t) == NULL);
	CHECK_EQ(trace_last(t), N_STEPS);
	CHECK(t != NULL && trace_keyframe_before(t, N_STEPS) > 0);
	begin_program(&m);
	for (uint64_t step = 0; step <= N_STEPS; step++) {
		struct regs before = m.regs;
		if (step > 0)
			make_step(&r, &m);
		CHECK_EQ(trace_seek(t, &s, step), 0);
		CHECK(memcmp(&s.regs, &m.regs, sizeof(s.regs)) == 0);
		CHECK(memcmp(&s.regs_before, &before, sizeof(before)) == 0);
		CHECK_EQ(s.flags, m.flags);
		CHECK_EQ(s.n_before, m.n);
		for (size_t i = 0; i < m.n; i++) {
			uint64_t old = 0;
			CHECK_EQ(s.was_known[i], memory_word(&mine, m.words[i].addr, &old));
			CHECK_EQ(s.before[i].value, old);
			CHECK_EQ(memory_set_word(&mine, m.words[i].addr, m.words[i].value), 0);
		}
		if (step % 997 == 0)
			check_same_memory(&s.memory, &mine);
	}
	check_same_memory(&s.memory, &mine);
	memory_free(&mine);
	trace_state_free(&s);
	trace_free(t);
}

/* A seek, from anywhere to anywhere, is what stepping would have come to. */
static void seek(void)
{
	write_program(new_path(), 11, N_STEPS);
	struct trace *t = open_trace(path);
	struct rng r = { test_seed(5) };
	struct trace_state walk = { 0 }, jump = { 0 };

	for (uint64_t step = 0; step <= N_STEPS; step += 1 + rng_below(&r, 400)) {
		CHECK_EQ(trace_seek(t, &walk, step), 0);
		CHECK_EQ(trace_seek(t, &jump, rng_below(&r, N_STEPS + 1)), 0);
		CHECK_EQ(trace_seek(t, &jump, step), 0);
		check_same_state(&walk, &jump);
		if (step > 0) { /* one back, one forward */
			CHECK_EQ(trace_seek(t, &jump, step - 1), 0);
			CHECK_EQ(jump.step, step - 1);
			CHECK_EQ(trace_seek(t, &jump, step), 0);
			check_same_state(&walk, &jump);
		}
	}
	uint64_t at = jump.step;
	CHECK_FAILS(trace_seek(t, &jump, N_STEPS + 1), -1, ERANGE);
	CHECK_EQ(jump.step, at);
	trace_state_free(&walk);
	trace_state_free(&jump);
	trace_free(t);
}

struct scan {
	struct trace *t;
	struct trace_state s;
	uint64_t next, n;
	bool is_first;
};

static int check_scanned(void *arg, uint64_t step, const struct regs *regs, const struct trace_word *words, size_t n,
			 int flags)
{
	struct scan *scan = arg;

	CHECK_EQ(step, scan->next++);
	CHECK_EQ(trace_seek(scan->t, &scan->s, step), 0);
	CHECK(memcmp(&scan->s.regs, regs, sizeof(*regs)) == 0);
	CHECK_EQ(scan->is_first ? 0 : scan->s.n_before, n);
	CHECK_EQ(scan->is_first ? 0 : scan->s.flags, flags);
	scan->is_first = false;
	(void)words;
	return --scan->n == 0 ? 77 : 0;
}

static void scan(void)
{
	write_program(new_path(), 3, N_STEPS);
	/* The one that scans and the one that seeks share no buffer. */
	struct trace *t = open_trace(path), *other = open_trace(path);
	struct scan scan = { .t = other, .next = 0, .n = 3000, .is_first = true };

	CHECK_EQ(trace_scan(t, 0, N_STEPS, check_scanned, &scan), 77);
	uint64_t k = trace_keyframe_before(t, N_STEPS);
	CHECK(k > 10000);
	scan.n = UINT64_MAX;
	for (uint64_t from = k - 1; from <= k + 1; from++) {
		scan.next = from;
		scan.is_first = true;
		CHECK_EQ(trace_scan(t, from, N_STEPS + 10, check_scanned, &scan), 0);
		CHECK_EQ(scan.next, N_STEPS + 1);
	}
	trace_state_free(&scan.s);
	trace_free(t);
	trace_free(other);
}

static void tables(void)
{
	write_program(new_path(), 9, 12000);
	struct trace *t = open_trace(path);
	size_t n;

	CHECK_EQ(strcmp(trace_info(t)->command, "prog a b"), 0);
	CHECK_EQ(strcmp(trace_info(t)->program, "/bin/prog"), 0);
	CHECK_EQ(strcmp(trace_info(t)->mode, "all"), 0);
	CHECK_EQ(trace_info(t)->tid, 42);
	CHECK(!trace_info(t)->has_layout);
	const struct trace_map *map = trace_maps(t, &n);
	CHECK_EQ(n, 1);
	CHECK(map->lo == CODE && map->hi == CODE + 0x4000 && map->offset == 0x1000 && map->build_id_len == 3);
	CHECK_EQ(map->build_id[2], 3);
	CHECK_EQ(strcmp(map->path, "/bin/prog"), 0);
	const struct trace_exec *execs = trace_execs(t, &n);
	CHECK_EQ(n, 2);
	CHECK_EQ(strcmp(execs[0].name, "main"), 0);
	CHECK(execs[0].kind == EXEC_MAIN && execs[0].hi == STACK + 8 * N_STACK && execs[0].co == 0x900);
	CHECK(execs[1].since == 100 && execs[1].ctx == 0x2000 && execs[1].kind == EXEC_BARE);
	const struct trace_event *events = trace_events(t, &n);
	CHECK_EQ(n, 12);
	for (size_t i = 0; i < n; i++) {
		CHECK_EQ(events[i].step, 1000 * i + 500);
		CHECK_EQ(events[i].value, 3 * events[i].step);
		CHECK(events[i].who == 0 && events[i].other == 1 && events[i].kind == EVENT_SWAP);
	}
	const struct trace_output *outputs = trace_outputs(t, &n);
	CHECK_EQ(n, 3);
	CHECK(outputs[2].step == 10700 && outputs[2].len == 6 && memcmp(outputs[2].bytes, "hello\n", 6) == 0);
	trace_free(t);
}

/* --- a file that grows ----------------------------------------------------------------------- */

static void live(void)
{
	struct trace_writer *w = new_writer(new_path());
	struct rng r = { 21 };
	struct made m;
	struct trace_state s = { 0 };
	struct trace_event e = { .kind = EVENT_CALL, .who = NO_EXEC, .other = NO_EXEC };
	char *why;

	CHECK(trace_open(path, &why) == NULL);
	CHECK(strstr(why, "no state that can be read") != NULL);
	free(why);
	begin_program(&m);
	CHECK_EQ(trace_add_step(w, &m.regs, NULL, 0, 0), 0);
	CHECK_EQ(trace_flush(w), 0);
	struct trace *t = open_trace(path);
	CHECK_EQ(trace_refresh(t), 0);
	for (uint64_t step = 1; step < 20000;) {
		unsigned n = 1 + rng_below(&r, 30);
		for (unsigned i = 0; i < n; i++, step++) {
			make_step(&r, &m);
			CHECK_EQ(trace_add_step(w, &m.regs, m.words, m.n, m.flags), 0);
		}
		e.value = step;
		CHECK_EQ(trace_add_event(w, &e), 0);
		CHECK_EQ(trace_flush(w), 0);
		CHECK_EQ(trace_refresh(t), n);
		CHECK(trace_damage(t) == NULL);
		CHECK_EQ(trace_last(t), step - 1);
		CHECK_EQ(trace_seek(t, &s, step - 1), 0);
		CHECK(memcmp(&s.regs, &m.regs, sizeof(s.regs)) == 0);
		size_t n_events;
		CHECK_EQ(trace_events(t, &n_events)[n_events - 1].value, step);
	}
	CHECK_EQ(trace_close(w), 0);
	CHECK_EQ(trace_refresh(t), 0);
	trace_state_free(&s);
	trace_free(t);
}

/* --- sizes ------------------------------------------------------------------------------------- */

static void size(void)
{
	struct stat st;

	write_program(new_path(), 1, 100000);
	CHECK_EQ(stat(path, &st), 0);
	printf("# 100 000 steps: %lld bytes\n", (long long)st.st_size);
	CHECK(st.st_size < 5 * 1000 * 1000);
}

/* --- damage -------------------------------------------------------------------------------------- */

static void write_fake(const char *to, uint64_t seed, unsigned rounds)
{
	struct fake f;

	fake_begin(&f, to, seed);
	trace_set_keyframe_min(f.w, 3000);
	for (unsigned i = 0; i < rounds; i++) {
		fake_work(&f, 5 + rng_below(&f.rng, 20));
		fake_swap(&f, f.current ? FAKE_MAIN : 1 + (int)(i / 2 % 2));
		CHECK_EQ(trace_add_output(f.w, "out\n", 4), 0);
		if (i % 4 == 0)
			CHECK_EQ(trace_flush(f.w), 0);
	}
	fake_end(&f);
}

/* Nothing that a trace tells may lead out of it. */
static void look_at_tables(struct trace *t)
{
	size_t n, n_execs;
	uint64_t sum = 0;
	const struct trace_exec *execs = trace_execs(t, &n_execs);
	const struct trace_event *events = trace_events(t, &n);

	for (size_t i = 0; i < n; i++) {
		CHECK(events[i].kind < N_EVENTS && events[i].step <= trace_last(t));
		CHECK(events[i].who == NO_EXEC || events[i].who < n_execs);
		CHECK(events[i].other == NO_EXEC || events[i].other < n_execs);
		CHECK(i == 0 || events[i].step >= events[i - 1].step);
	}
	for (size_t i = 0; i < n_execs; i++)
		sum += strlen(execs[i].name) + execs[i].kind;
	const struct trace_output *outputs = trace_outputs(t, &n);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < outputs[i].len; k++)
			sum += (uint8_t)outputs[i].bytes[k];
	const struct trace_map *maps = trace_maps(t, &n);
	for (size_t i = 0; i < n; i++)
		sum += strlen(maps[i].path) + maps[i].build_id_len;
	if (trace_info(t)->has_layout)
		sum += strlen(trace_info(t)->layout.table.states[6]);
	if (trace_damage(t))
		sum += strlen(trace_damage(t));
	CHECK(sum != 1);
}

static int count_states(void *arg, uint64_t step, const struct regs *regs, const struct trace_word *words, size_t n,
			int flags)
{
	uint64_t *last = arg;

	(void)regs, (void)flags, (void)words, (void)n;
	CHECK(*last == UINT64_MAX || step > *last);
	*last = step;
	return 0;
}

/* True: it opened. Whatever happens, it is said. */
static bool look_everywhere(const char *file, struct rng *r)
{
	char *why = NULL;
	struct trace *t = trace_open(file, &why);
	struct trace_state s = { 0 };
	uint64_t last = UINT64_MAX;

	if (!t) {
		CHECK(why && strlen(why) > 10 && !strchr(why, '\n'));
		free(why);
		return false;
	}
	look_at_tables(t);
	for (int i = 0; i < 12; i++) {
		uint64_t step = i == 0 ? trace_last(t) : rng_below(r, (unsigned)trace_last(t) + 1), was = s.step;
		if (trace_seek(t, &s, step) == 0) {
			CHECK_EQ(s.step, step);
		} else {
			CHECK(errno == EBADMSG || errno == ENOMEM);
			CHECK(!s.is_valid || s.step == was);
		}
	}
	trace_scan(t, 0, trace_last(t), count_states, &last);
	CHECK_EQ(trace_refresh(t), 0);
	trace_state_free(&s);
	trace_free(t);
	return true;
}

enum { N_DAMAGED = 1500 };

static void fuzz(void)
{
	struct rng r = { test_seed(99) };
	struct pieces good = { 0 }, other = { 0 };
	unsigned n_opened = 0;
	struct rusage used;

	write_fake(new_path(), 1, 40);
	pieces_read(&good, path);
	write_fake(path, 2, 10);
	pieces_read(&other, path);
	for (int i = 0; i < N_DAMAGED; i++) {
		struct pieces p = good;
		p.bytes = malloc(p.room);
		memcpy(p.bytes, good.bytes, good.len);
		for (unsigned n = 1 + rng_below(&r, 3); n > 0 && p.len > FILE_HEADER_LEN; n--)
			pieces_damage(&p, &other, &r);
		pieces_write(&p, path);
		n_opened += look_everywhere(path, &r);
		free(p.bytes);
	}
	CHECK_EQ(getrusage(RUSAGE_SELF, &used), 0);
	printf("# %u of %d damaged files opened; at most %ld KiB\n", n_opened, N_DAMAGED, used.ru_maxrss);
	CHECK(n_opened > N_DAMAGED / 4 && n_opened < N_DAMAGED);
#ifndef __SANITIZE_ADDRESS__
	CHECK(used.ru_maxrss < 200 * 1024);
#endif
	free(good.bytes);
	free(other.bytes);
}

/* Cut off anywhere: what is there can be read, and one line says that more is missing. */
static void truncated(void)
{
	struct pieces p = { 0 };
	struct trace_state whole = { 0 }, cut = { 0 };

	write_fake(new_path(), 1, 20);
	struct trace *t = open_trace(path); /* its file goes, its map stays */
	CHECK(trace_damage(t) == NULL);
	pieces_read(&p, path);
	unlink(path);
	for (size_t len = p.len; len-- > 0; len -= len > 64 ? rng_below(&(struct rng){ len + 1 }, 60) : 0) {
		char *why = NULL;
		p.len = len;
		pieces_write(&p, path);
		struct trace *c = trace_open(path, &why);
		if (!c) {
			CHECK(why != NULL);
			free(why);
			continue;
		}
		CHECK(trace_damage(c) && strstr(trace_damage(c), "cut off after state"));
		CHECK(trace_last(c) <= trace_last(t));
		CHECK_EQ(trace_seek(c, &cut, trace_last(c)), 0);
		CHECK_EQ(trace_seek(t, &whole, trace_last(c)), 0);
		check_same_state(&whole, &cut);
		trace_state_free(&cut);
		trace_free(c);
	}
	trace_state_free(&whole);
	trace_free(t);
	free(p.bytes);
}

/* A bad checksum: named, and what is behind the next keyframe can be read. */
static void hole(void)
{
	struct pieces p = { 0 };
	struct trace_state whole = { 0 }, s = { 0 };
	struct chunk_header h;
	unsigned n_readable = 0, n_lost = 0;

	write_fake(new_path(), 1, 40);
	struct trace *t = open_trace(path);
	pieces_read(&p, path);
	unlink(path);
	size_t i = 0, n_keyframes = 0;
	for (; n_keyframes < 3 || h.kind != CHUNK_STEPS; i++) {
		CHECK(i < p.n && chunk_header_read(p.bytes + p.at[i], &h));
		n_keyframes += h.kind == CHUNK_KEYFRAME;
	}
	p.bytes[p.at[i - 1] + CHUNK_HEADER_LEN + 3] ^= 4;
	pieces_write(&p, path);
	struct trace *d = open_trace(path);
	printf("# %s\n", trace_damage(d));
	CHECK(strstr(trace_damage(d), "STEPS at byte") && strstr(trace_damage(d), "has a wrong checksum; states "));
	CHECK_EQ(trace_last(d), trace_last(t));
	for (uint64_t step = 0; step <= trace_last(t); step++) {
		uint64_t was = s.step;
		if (trace_seek(d, &s, step) != 0) {
			CHECK_EQ(errno, EBADMSG);
			CHECK(s.is_valid && s.step == was);
			CHECK_EQ(trace_seek(t, &whole, was), 0);
			check_same_memory(&whole.memory, &s.memory);
			n_lost++;
			continue;
		}
		n_readable++;
		CHECK_EQ(trace_seek(t, &whole, step), 0);
		CHECK(memcmp(&whole.regs, &s.regs, sizeof(s.regs)) == 0);
		CHECK_EQ(whole.flags, s.flags);
		check_same_memory(&whole.memory, &s.memory);
	}
	CHECK(n_lost >= h.n && n_readable > 2 * n_lost);
	uint64_t last = UINT64_MAX;
	trace_scan(d, 0, trace_last(d), count_states, &last);
	CHECK_EQ(last, trace_last(d));
	trace_state_free(&whole);
	trace_state_free(&s);
	trace_free(d);
	trace_free(t);
	free(p.bytes);
}

/* With every state a keyframe and every other one a gap: each can be read, and is the same,
 * whichever chunk is lost. */
static void lost_chunk(void)
{
	struct trace_writer *w = new_writer(new_path());
	struct pieces good = { 0 };
	struct chunk_header h;
	struct trace_state s = { 0 };
	struct regs regs = { { 0 } };

	trace_set_keyframe_min(w, 1);
	for (uint64_t i = 0; i < 20; i++) {
		struct trace_word word = { 0x1000 + 8 * i, i };
		regs.r[REG_RIP] = 3 * i;
		CHECK_EQ(trace_add_step(w, &regs, &word, 1, i % 2 ? STEP_IS_GAP : 0), 0);
	}
	CHECK_EQ(trace_close(w), 0);
	pieces_read(&good, path);
	for (size_t i = 2; i + 1 < good.n; i++) { /* not INFO, not state 0, not END */
		struct pieces p = good;
		CHECK(chunk_header_read(good.bytes + good.at[i], &h));
		p.bytes = malloc(p.room);
		memcpy(p.bytes, good.bytes, good.len);
		pieces_move(&p, p.at[i], p.at[i + 1]);
		pieces_write(&p, path);
		struct trace *t = open_trace(path);
		CHECK_EQ(trace_last(t), 19);
		CHECK_EQ(trace_damage(t) != NULL, h.kind == CHUNK_STEPS);
		for (uint64_t step = 0; step < 20; step++) {
			CHECK_EQ(trace_seek(t, &s, step), 0);
			CHECK_EQ(s.regs.r[REG_RIP], 3 * step);
			CHECK_EQ(s.flags, step % 2 ? STEP_IS_GAP : 0);
			CHECK_EQ(s.memory.n_words, step + 1);
		}
		trace_state_free(&s);
		trace_free(t);
		free(p.bytes);
	}
	free(good.bytes);
}

/* Steps that do not go on where the last ones ended, and events of no kind: damage. */
static void out_of_order(void)
{
	struct trace_writer *w = new_writer(new_path());
	struct pieces p = { 0 };
	struct regs regs = { { 0 } };
	struct trace_event e = { .kind = N_EVENTS, .who = NO_EXEC, .other = NO_EXEC };
	size_t n;

	for (uint64_t i = 0; i < 9; i++) {
		regs.r[REG_RIP] = 3 * i;
		CHECK_EQ(trace_add_step(w, &regs, NULL, 0, 0), 0);
		CHECK_EQ(trace_flush(w), 0);
	}
	CHECK_EQ(trace_add_event(w, &e), 0);
	CHECK_EQ(trace_close(w), 0);
	struct trace *t = open_trace(path);
	CHECK(trace_damage(t) && strstr(trace_damage(t), "EVENTS at byte"));
	CHECK(trace_events(t, &n) == NULL || n == 0);
	trace_free(t);
	pieces_read(&p, path);
	pieces_move(&p, p.at[5], p.at[6]); /* INFO, state 0, 1, 2, 3, [4] */
	pieces_write(&p, path);
	t = open_trace(path);
	printf("# %s\n", trace_damage(t));
	CHECK(strstr(trace_damage(t), "STEPS at byte") && strstr(trace_damage(t), "does not fit to what is before it"));
	CHECK_EQ(trace_last(t), 3);
	trace_free(t);
	free(p.bytes);
}

static void refuse(const char *bytes, size_t len, const char *words)
{
	char *why = NULL;
	struct pieces p = { .bytes = (uint8_t *)(uintptr_t)bytes, .len = len };

	pieces_write(&p, path);
	CHECK(trace_open(path, &why) == NULL);
	printf("# %s\n", why);
	CHECK(strstr(why, words) != NULL);
	free(why);
}

static void refused(void)
{
	char *why = NULL;

	new_path();
	refuse("", 0, "is not a trace");
	refuse("#!/bin/sh\necho this is a script\n", 32, "is not a trace");
	refuse(TRACE_MAGIC "\7\0\0\0\0\0\0\0", 16, "has trace version 7, this coviz reads version 1");
	refuse(TRACE_MAGIC "\1\0\0\0\0\0\0\0", 16, "holds no state");
	CHECK(trace_open("/nowhere/x.cot", &why) == NULL);
	CHECK(strstr(why, "/nowhere/x.cot cannot be opened: No such file") != NULL);
	free(why);
	CHECK(trace_open("/dev/null", &why) == NULL);
	CHECK(strstr(why, "is not a file") != NULL);
	free(why);
}

/* A writer whose disk is full says so, and goes on saying it. */
static void full(void)
{
	struct trace_writer *w;
	struct trace_info info = { .mode = "all" };
	struct regs regs = { { 0 } };
	int result = 0;

	if (trace_create(&w, "/dev/full", &info) != 0) {
		CHECK_EQ(errno, ENOSPC);
		return;
	}
	for (int i = 0; i < 100 && result == 0; i++)
		result = trace_add_step(w, &regs, NULL, 0, 0);
	CHECK_EQ(result, -1);
	CHECK_FAILS(trace_flush(w), -1, ENOSPC);
	CHECK_FAILS(trace_close(w), -1, ENOSPC);
}

/* A viewer has the old file open while it is recorded again. */
static void recorded_again(void)
{
	struct trace_state s = { 0 };

	write_program(new_path(), 7, 3000);
	struct trace *t = open_trace(path);
	write_program(path, 8, 10);
	CHECK_EQ(trace_seek(t, &s, 2999), 0);
	CHECK_EQ(trace_refresh(t), 0);
	CHECK_EQ(trace_seek(t, &s, 1000), 0);
	trace_state_free(&s);
	trace_free(t);
}

/* Somebody empties the file that a viewer has open: no SIGBUS. */
static void cut_while_open(void)
{
	struct trace_state s = { 0 };
	uint64_t last = UINT64_MAX;

	write_program(new_path(), 7, 3000);
	struct trace *t = open_trace(path);
	CHECK_EQ(trace_seek(t, &s, 100), 0);
	CHECK_EQ(truncate(path, 0), 0);
	CHECK_FAILS(trace_seek(t, &s, 2999), -1, EBADMSG);
	CHECK(s.is_valid && s.step == 100);
	CHECK_EQ(trace_scan(t, 0, 3000, count_states, &last), 0);
	CHECK_EQ(trace_refresh(t), 0);
	CHECK(strstr(trace_damage(t), "cut while it was open") != NULL);
	trace_state_free(&s);
	trace_free(t);
}

static const struct test_case cases[] = {
	{ "forward", "every state comes back as it was written", forward, 0, 0 },
	{ "seek", "a seek from anywhere is what stepping would have come to", seek, 0, 0 },
	{ "scan", "a scan tells of the same registers as a seek", scan, 0, 0 },
	{ "tables", "maps, executions, events and output come back", tables, 0, 0 },
	{ "live", "a file that grows is read as far as it goes", live, 0, 0 },
	{ "fuzz", "1500 damaged files end in a message or are read", fuzz, 0, 0 },
	{ "truncated", "a file cut off anywhere is read up to there", truncated, 0, 0 },
	{ "hole", "a bad checksum is named; the states behind are read", hole, 0, 0 },
	{ "lost_chunk", "a lost chunk costs nothing that another one tells", lost_chunk, 0, 0 },
	{ "out_of_order", "chunks that do not fit together are damage", out_of_order, 0, 0 },
	{ "refused", "what is no trace is refused with a reason", refused, 0, 0 },
	{ "full", "a full disk is an error, and stays one", full, 0, 0 },
	{ "recorded_again", "a trace that is recorded again while it is open", recorded_again, 0, 0 },
	{ "cut_while_open", "a trace that is emptied while it is open", cut_while_open, 0, 0 },
	{ "size", "100 000 steps take less than 5 MB", size, 0, 0 },
};

TEST_MAIN(cases)
