/* SPDX-License-Identifier: MIT */
/* The parts of the recorder that need no program: sets of ranges, what two tables of
 * coroutines tell, tracked memory (of this process itself), names that are near. */
#include <signal.h>

#include "near.h"
#include "notice.h"
#include "ranges.h"
#include "code.h"
#include "track.h"

#include "check.h"

/* --- ranges --------------------------------------------------------------------------- */

enum { SPACE = 200 };

/* Against a bitmap, at random. */
static void check_ranges(const struct ranges *r, const bool *is_in)
{
	for (size_t i = 0; i < r->n; i++) {
		CHECK(r->all[i].lo < r->all[i].hi);
		CHECK(i == 0 || r->all[i - 1].hi <= r->all[i].lo);
	}
	for (uint64_t a = 0; a < SPACE; a++) {
		const struct range *found = ranges_find(r, a);
		CHECK_EQ(found != NULL, is_in[a]);
		CHECK(!found || (found->lo <= a && a < found->hi));
	}
}

static void ranges_random(void)
{
	struct rng rng = { test_seed(11) };

	for (int round = 0; round < 200; round++) {
		struct ranges added = { 0 }, settled = { 0 };
		bool is_in[SPACE] = { false };
		for (unsigned n = rng_below(&rng, 30); n > 0; n--) {
			uint64_t lo = rng_below(&rng, SPACE), hi = lo + rng_below(&rng, 9);
			if (hi > SPACE)
				hi = SPACE;
			CHECK_EQ(ranges_add(&added, lo, hi), 0);
			CHECK_EQ(ranges_append(&settled, lo, hi), 0);
			memset(is_in + lo, true, hi - lo);
		}
		ranges_settle(&settled);
		check_ranges(&added, is_in);
		check_ranges(&settled, is_in);
		CHECK_EQ(added.n, settled.n);
		for (size_t i = 0; i < added.n; i++)
			CHECK(added.all[i].lo == settled.all[i].lo && added.all[i].hi == settled.all[i].hi);
		ranges_free(&added);
		ranges_free(&settled);
	}
}

/* Two stacks side by side stay two. */
static void ranges_touch(void)
{
	struct ranges r = { 0 };

	CHECK_EQ(ranges_add(&r, 100, 200), 0);
	CHECK_EQ(ranges_add(&r, 200, 300), 0);
	CHECK_EQ(ranges_add(&r, 50, 100), 0);
	CHECK_EQ(r.n, 3);
	CHECK_EQ(ranges_find(&r, 199)->lo, 100);
	CHECK_EQ(ranges_find(&r, 200)->lo, 200);
	CHECK_EQ(ranges_add(&r, 199, 201), 0);
	CHECK_EQ(r.n, 2);
	ranges_free(&r);
}

/* --- notice --------------------------------------------------------------------------- */

enum { NEW, SUSPENDED, READY, RUNNING, NORMAL, WAITING, DONE };

static struct layout names = { .table = { .n_states = 7, .states = { "new", "suspended", "ready", "running", "normal",
								      "waiting", "done" } } };

/* A program with main (0x1000), a (0x2000) and b (0x3000). */
struct story {
	struct co_info before_cos[3], cos[3];
	struct co_index index[2][3];
	struct co_table before, now;
	char text[400];
};

static struct story *begin(void)
{
	static struct story s;

	memset(&s, 0, sizeof(s));
	for (uint32_t i = 0; i < 3; i++) {
		s.cos[i] = (struct co_info){ .co = 0x1000 * (i + 1), .ctx = 0x1000 * (i + 1), .is_main = i == 0, .id = i,
					     .state = i == 0 ? RUNNING : SUSPENDED, .lo = 0x10000 * (i + 1),
					     .hi = 0x10000 * (i + 1) + 0x8000 };
		s.index[0][i] = s.index[1][i] = (struct co_index){ 0x1000 * (i + 1), i };
	}
	memcpy(s.before_cos, s.cos, sizeof(s.cos));
	s.before = (struct co_table){ .env = 0x500, .cos = s.before_cos, .n = 3, .running = 0x1000, .by_co = s.index[0], .by_ctx = s.index[0] };
	s.now = (struct co_table){ .env = 0x500, .cos = s.cos, .n = 3, .running = 0x1000, .by_co = s.index[1], .by_ctx = s.index[1] };
	return &s;
}

static void hear(void *arg, const struct notice *n)
{
	static const char *const kinds[N_EVENTS] = { [EVENT_CREATE] = "create", [EVENT_RESUME] = "resume",
		[EVENT_YIELD] = "yield", [EVENT_PARK] = "park", [EVENT_WAKE] = "wake", [EVENT_EXIT] = "exit",
		[EVENT_SAVE] = "save", [EVENT_RESTORE] = "restore" };
	struct story *s = arg;
	size_t len = strlen(s->text);

	snprintf(s->text + len, sizeof(s->text) - len, "%s %x by %x %u, ", kinds[n->kind], (unsigned)n->who->co,
		 n->other ? (unsigned)n->other->co : 0, (unsigned)n->value);
}

static void tells(struct story *s, const char *wanted)
{
	notice(&names, &s->before, &s->now, hear, s);
	if (strcmp(s->text, wanted) != 0) {
		fprintf(stderr, "told \"%s\", wanted \"%s\"\n", s->text, wanted);
		abort();
	}
}

static void notice_nothing(void)
{
	struct story *s = begin();

	s->cos[1].n_resumes = 7;
	tells(s, "");
}

static void notice_create(void)
{
	struct story *s = begin();

	s->before.n = 2; /* b is new */
	s->before.running = s->now.running = 0x2000;
	tells(s, "create 3000 by 2000 0, ");
}

static void notice_create_again(void)
{
	struct story *s = begin();

	s->cos[2].id = 9; /* released; another was created in its memory, and has been resumed */
	s->cos[2].resumer = 0x1000;
	s->now.running = 0x3000;
	tells(s, "create 3000 by 1000 0, resume 3000 by 1000 0, ");
}

static void notice_main(void)
{
	struct story *s = begin();

	s->before.n = s->before.env = 0; /* the first co_create makes main, too; it is no coroutine that somebody created */
	s->before.running = 0;
	s->now.n = 2;
	tells(s, "create 2000 by 1000 0, ");

	s = begin(); /* all of that, and a resume, before we looked again */
	s->before.n = s->before.env = s->before.running = 0;
	s->now.n = 2;
	s->now.running = 0x2000;
	s->cos[1].resumer = 0x1000;
	tells(s, "create 2000 by 1000 0, resume 2000 by 1000 0, ");
}

static void leave(const char *wanted, uint32_t state)
{
	struct story *s = begin();

	s->before.running = 0x2000;
	s->cos[1].resumer = 0x1000; /* is still there */
	s->cos[1].state = state;
	tells(s, wanted);
}

static void notice_leave(void)
{
	leave("yield 2000 by 1000 0, ", SUSPENDED);
	leave("yield 2000 by 1000 0, ", READY);
	leave("park 2000 by 1000 0, ", WAITING);
	leave("exit 2000 by 1000 0, ", DONE);
	leave("yield 2000 by 1000 0, ", 77); /* garbage */
}

static void notice_wake(void)
{
	struct story *s = begin();

	s->before_cos[1].state = WAITING;
	s->cos[1].state = READY;
	s->before_cos[2].state = WAITING; /* released while it waited, not woken */
	s->cos[2].state = NEW;
	tells(s, "wake 2000 by 1000 0, ");
}

static void notice_copies(void)
{
	struct story *s = begin();

	s->cos[1].save_len = 300;
	s->before_cos[2].save_len = 200;
	tells(s, "save 2000 by 0 300, restore 3000 by 0 200, ");

	s = begin();
	s->before_cos[2].save_len = 200;
	s->cos[2].hi = s->cos[2].lo = 0; /* reset: its bytes are nobody's */
	tells(s, "");
}

static void notice_gone(void)
{
	struct story *s = begin();

	s->before.running = 0x3000; /* was released since */
	s->now.n = 2;
	tells(s, "");
}

/* --- tracked memory --------------------------------------------------------------------- */

static struct target me = { .output = -1 };
static struct layout contexts; /* a context is three words: rsp is the second */

static void prepare(struct track *k)
{
	me.pid = getpid();
	contexts.size[L_COCTX] = 24;
	contexts.offset[L_CTX_RSP] = 8;
	contexts.size[L_CTX_RSP] = 8;
	track_begin(k, &me, &contexts, 0);
}

static uint64_t at(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void track_writes(void)
{
	static uint64_t stack[100], elsewhere;
	struct track k;
	uint64_t value;

	prepare(&k);
	track_stack(&k, at(stack), at(stack + 100));
	stack[50] = 5;
	elsewhere = 6;
	track_written(&k, at(&stack[50]), 8);
	track_written(&k, at(&elsewhere), 8);
	CHECK_EQ(k.n_words, 1);
	CHECK_EQ(k.words[0].addr, at(&stack[50]));
	CHECK_EQ(k.words[0].value, 5);
	CHECK(!memory_word(&k.shadow, at(&elsewhere), &value));

	track_begin_step(&k);
	track_written(&k, at(&stack[50]), 8); /* the same again: nothing to tell */
	CHECK_EQ(k.n_words, 0);
	memset((char *)&stack[51] + 6, 1, 4); /* half of it in the next word */
	track_written(&k, at(&stack[51]) + 6, 4);
	CHECK_EQ(k.n_words, 2);
	track_written(&k, UINT64_MAX - 3, 64); /* a wild pointer */
	track_written(&k, at(&stack[99]), UINT64_MAX);
	CHECK_EQ(k.n_words, 2);
	track_end(&k);
}

/* In a snapshot a stack counts from rsp - 128: the running one's by the registers, others'
 * by their contexts. */
static void track_snapshots(void)
{
	static uint64_t mine[200], other[200], ctx[3], link = 77;
	struct regs regs = { .r = { [REG_RSP] = at(&mine[100]) } };
	struct track k;
	uint64_t value;

	prepare(&k);
	for (int i = 0; i < 200; i++)
		mine[i] = other[i] = (uint64_t)i;
	ctx[1] = at(&other[150]);
	track_stack(&k, at(mine), at(mine + 200));
	track_context(&k, (struct track_context){ .ctx = at(ctx), .lo = at(other), .hi = at(other + 200),
						     .link = at(&link) });
	track_snapshot(&k, &regs);
	CHECK(memory_word(&k.shadow, at(&mine[84]), &value) && value == 84);
	CHECK(!memory_word(&k.shadow, at(&mine[83]), &value));
	CHECK(memory_word(&k.shadow, at(&mine[199]), &value) && value == 199);
	CHECK(memory_word(&k.shadow, at(&other[134]), &value) && value == 134);
	CHECK(!memory_word(&k.shadow, at(&other[133]), &value));
	CHECK(memory_word(&k.shadow, at(&ctx[1]), &value) && value == ctx[1]);
	CHECK(memory_word(&k.shadow, at(&link), &value) && value == 77);

	CHECK_EQ(track_verify(&k, &regs, true), 0);
	other[160] = mine[90] = 1000; /* unseen */
	CHECK_EQ(track_verify(&k, &regs, true), 2);
	CHECK_EQ(track_verify(&k, &regs, true), 0); /* put right */
	CHECK(memory_word(&k.shadow, at(&other[160]), &value) && value == 1000);
	track_end(&k);
}

/* A stack that ends in a page that is not there. */
static void track_unreadable(void)
{
	struct regs regs = { .r = { [REG_RSP] = 0x10000 } };
	struct track k;

	prepare(&k);
	track_stack(&k, 0x8000, 0x18000);
	track_context(&k, (struct track_context){ .ctx = 0x30, .link = 0x38 });
	track_snapshot(&k, &regs);
	track_written(&k, 0x9000, 8);
	CHECK_EQ(k.n_words, 0);
	CHECK_EQ(track_verify(&k, &regs, true), 0);
	track_end(&k);
}

/* Many ranges at once: neighbours, others, one that cannot be read, in any order. */
static void read_many(void)
{
	enum { N = 600 };
	static char bytes[N * 100], to[N][40];
	static struct target_range ranges[N];
	struct rng rng = { test_seed(3) };

	me.pid = getpid();
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 13);
	for (int bad = 0; bad < 3; bad++) {
		memset(to, 0, sizeof(to));
		for (int i = 0; i < N; i++) {
			size_t place = bad == 1 ? rng_below(&rng, sizeof(bytes) - 40) : (size_t)i * 100 + rng_below(&rng, 60);
			bool is_bad = bad == 2 && i % 100 == 50;
			ranges[i] = (struct target_range){ .addr = is_bad ? 16 : at(&bytes[place]),
							   .len = 1 + rng_below(&rng, 40), .to = to[i] };
		}
		target_read_many(&me, ranges, N);
		for (int i = 0; i < N; i++) {
			CHECK_EQ(ranges[i].is_read, ranges[i].addr != 16);
			CHECK(!ranges[i].is_read || memcmp(to[i], (void *)(uintptr_t)ranges[i].addr, ranges[i].len) == 0);
			CHECK(ranges[i].len == 40 || to[i][ranges[i].len] == 0);
		}
	}
}

/* --- code ---------------------------------------------------------------------------------- */

static int n_reads;

static bool read_here(void *arg, uint64_t addr, void *to, size_t len)
{
	static const uint8_t code[] = { 0x90, 0xc3 }; /* nop, ret; and then nothing can be read */

	(void)arg;
	n_reads++;
	if (addr < 0x1000 || addr + len > 0x1000 + sizeof(code))
		return false;
	memcpy(to, code + (addr - 0x1000), len);
	return true;
}

static void code_once(void)
{
	struct code c = { 0 };

	CHECK_EQ(code_at(&c, 0x1001, read_here, NULL)->kind, INSN_RETURN);
	CHECK_EQ(code_at(&c, 0x1000, read_here, NULL)->len, 1);
	CHECK_EQ(code_at(&c, 0x2000, read_here, NULL)->len, 0);
	int before = n_reads;
	const struct insn *first = code_at(&c, 0x1001, read_here, NULL);
	for (uint64_t a = 0x100000; a < 0x100000 + 5000; a++) /* it grows; what it gave stays */
		code_at(&c, a, read_here, NULL);
	n_reads = before;
	CHECK(code_at(&c, 0x1001, read_here, NULL) == first);
	CHECK_EQ(n_reads, before);
	code_free(&c);
}

/* --- near ---------------------------------------------------------------------------------- */

static void near_names(void)
{
	CHECK_EQ(near_distance("", ""), 0);
	CHECK_EQ(near_distance("", "abc"), 3);
	CHECK_EQ(near_distance("kitten", "sitting"), 3);
	CHECK_EQ(near_distance("sitting", "kitten"), 3);
	CHECK_EQ(near_distance("Main", "main"), 0);
	char *names_found = near_functions("/proc/self/exe", "near_name");
	CHECK(names_found && strstr(names_found, "near_names"));
	free(names_found);
	CHECK(!near_functions("/proc/self/exe", "zzzzzzzzzzzzzzzz"));
	CHECK(!near_functions("/nowhere", "main"));
}

static const struct test_case cases[] = {
	{ "ranges_random", "sets of ranges are what a bitmap says", ranges_random, 0, NULL },
	{ "ranges_touch", "ranges that touch are not joined", ranges_touch, 0, NULL },
	{ "notice_nothing", "no event without a change", notice_nothing, 0, NULL },
	{ "notice_create", "a coroutine is created", notice_create, 0, NULL },
	{ "notice_create_again", "another is created in the memory of one that was released, and resumed", notice_create_again, 0, NULL },
	{ "notice_main", "nobody creates main", notice_main, 0, NULL },
	{ "notice_leave", "yield, park and exit are told apart by the state", notice_leave, 0, NULL },
	{ "notice_wake", "one that waited is woken", notice_wake, 0, NULL },
	{ "notice_copies", "bytes are saved and restored, but not by a reset", notice_copies, 0, NULL },
	{ "notice_gone", "the one that ran is gone", notice_gone, 0, NULL },
	{ "track_writes", "what is written to a stack is told once, word by word", track_writes, 0, NULL },
	{ "track_snapshots", "a snapshot has what is in use of each stack; unseen changes are counted and put right", track_snapshots, 0, NULL },
	{ "track_unreadable", "memory that cannot be read is left out", track_unreadable, 0, NULL },
	{ "read_many", "many ranges are read at once, neighbours as one", read_many, 0, NULL },
	{ "code_once", "each instruction is read and decoded once", code_once, 0, NULL },
	{ "near_names", "names that are near", near_names, 0, NULL },
};

TEST_MAIN(cases)
