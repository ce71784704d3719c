/* SPDX-License-Identifier: MIT */
/*
 * On shared stacks every instruction unwinds too, and no backtrace shows a frame of
 * whoever is in the slot in the place of another's.
 *
 * What must come out, is known without asking the library. Who is on the processor:
 * rsi said so at the last switch. Who resumed whom: fixtures/slots.h keeps account.
 * Whether the bytes of one that is suspended are in its slot: they are compared with
 * what was there when it left.
 */
#include "../fixtures/slots.h"
#include "tools.h"
#include "walkers.h"

int main(int argc, char **argv);

enum { COPIER = N_OWNERS, MAX_BYTES = 8192 };

/* --- what is there -------------------------------------------------------------------- */

static struct {
	int owner;                /* who is on the processor, or COPIER */
	int from;                 /* who was before */
	struct {
		const char *hi;
		int owner;
	} occupants[4];           /* of each slot: who ran there last */
	bool is_in_swap;          /* the present instruction is coctx_swap's */
	unsigned char bytes[N_OWNERS][MAX_BYTES]; /* of each when it left, from its rsp up */
	size_t len[N_OWNERS];
} there;

static bool is_shared(int owner)
{
	return owner != MAIN && owner != P && owner != COPIER;
}

static int *occupant_of(const char *hi)
{
	int i = 0;

	while (there.occupants[i].hi && there.occupants[i].hi != hi)
		i++;
	CHECK(i < 4);
	there.occupants[i].hi = hi;
	return &there.occupants[i].owner;
}

static const char *top_of(int owner)
{
	return slots.co[owner]->exec.stack->hi;
}

/* A sanitizer marks parts of a stack as no one's: look at them nevertheless. */
__attribute__((noinline, no_sanitize("address"))) static bool same_bytes(const unsigned char *a, const unsigned char *b,
									 size_t len)
{
	size_t i = 0;
	while (i < len && a[i] == b[i])
		i++;
	return i == len;
}

__attribute__((noinline, no_sanitize("address"))) static void take_bytes(unsigned char *to, const unsigned char *from,
									 size_t len)
{
	for (size_t i = 0; i < len; i++)
		((volatile unsigned char *)to)[i] = from[i];
}

/* Whom a switch is under way to; the owner itself when there is none. */
static int target(void)
{
	int from = there.owner == COPIER ? there.from : there.owner;

	if (there.owner != COPIER && co_self() == slots.co[there.owner])
		return there.owner;
	return (int)(slots.call[from] == IN_RESUME ? slots.resumes[from] : slots.resumer_of[from]);
}

/* Are the bytes of @owner, who is suspended, where its stack pointer says? */
static bool is_whole(int owner)
{
	if (!is_shared(owner))
		return true;
	if (owner != target() && *occupant_of(top_of(owner)) != owner)
		return false;
	return same_bytes(there.bytes[owner], slots.ctx[owner]->rsp, there.len[owner]);
}

/* The processor has left there.owner for the one whose context is @to. */
static void note_switch(const struct coctx *to)
{
	int left = there.owner;

	there.from = left;
	there.owner = COPIER;
	for (int i = 0; i < N_OWNERS; i++)
		if (slots.ctx[i] == to)
			there.owner = i;
	if (is_shared(left)) {
		const char *rsp = slots.ctx[left]->rsp;
		there.len[left] = (size_t)(top_of(left) - rsp);
		CHECK(there.len[left] <= MAX_BYTES);
		take_bytes(there.bytes[left], (const unsigned char *)rsp, there.len[left]);
	}
	if (is_shared(there.owner))
		*occupant_of(top_of(there.owner)) = there.owner;
}

/* --- what a walk must show -------------------------------------------------------------- */

static const struct {
	const char *name;
	const void *fn;
} marks[] = {
	{ "main", (void *)main },     { "body_a", (void *)body_a }, { "body_b", (void *)body_b },
	{ "body_c", (void *)body_c }, { "body_d", (void *)body_d }, { "body_e", (void *)body_e },
	{ "body_p", (void *)body_p }, { "hold_registers", (void *)hold_registers },
	{ "co_resume", (void *)co_resume },
};
enum { BODY = 0, /* + owner */ HOLD = N_OWNERS, RESUME, N_FUNCTIONS };
enum { TRAMPOLINE = N_FUNCTIONS, NOBODY, COPIED_OUT, NO_MARK };

static int mark_at(uintptr_t ip, bool is_return_address)
{
	const void *fn = function_at(ip, is_return_address);

	if (fn == trampoline || fn == nobody || fn == copied_out)
		return fn == trampoline ? TRAMPOLINE : fn == nobody ? NOBODY : COPIED_OUT;
	for (int i = 0; i < N_FUNCTIONS; i++)
		if (fn == marks[i].fn)
			return i;
	return NO_MARK;
}

/* The marks of a walk, and the frames that they are. */
struct chain {
	int n, mark[MAX_FRAMES], frame[MAX_FRAMES];
};

static void chain_of(const struct walk *w, struct chain *c)
{
	c->n = 0;
	for (int i = 0; i < w->n; i++) {
		int mark = mark_at(w->ip[i], i > 0);
		if (mark == NO_MARK)
			continue;
		c->mark[c->n] = mark;
		c->frame[c->n++] = i;
	}
}

static void print_chain(const struct chain *c)
{
	static const char *const others[] = { "__morestack", "co_has_no_resumer", "co_resumer_is_copied_out" };

	printf("    found:");
	for (int i = 0; i < c->n; i++)
		printf(" %s", c->mark[i] < N_FUNCTIONS ? marks[c->mark[i]].name : others[c->mark[i] - TRAMPOLINE]);
	printf("\n");
}

/* Does @c go on at *@pos with the frames of @owner? Whoever is on the processor may
 * be short of some of them, at the inner end. */
static bool has_frames_of(const struct walk *w, const struct chain *c, int *pos, int owner)
{
	int wanted[3], n = 0;
	bool is_innermost = owner == there.owner;

	if (slots.call[owner] == IN_RESUME)
		wanted[n++] = RESUME;
	if (slots.call[owner] != IN_NO_CALL)
		wanted[n++] = HOLD;
	if (slots.call[owner] != IN_NO_CALL || is_innermost)
		wanted[n++] = BODY + owner;
	for (int i = 0; i < n; i++) {
		if (*pos == c->n || c->mark[*pos] != wanted[i]) {
			if (is_innermost && *pos == 0)
				continue;
			return false;
		}
		if (wanted[i] == HOLD && c->frame[*pos] > 0 && w->has_registers)
			for (int r = 0; r < HELD_REGISTERS; r++)
				if (w->registers[c->frame[*pos]][r] != slots.tag[owner] + (unsigned long)r + 1)
					return false;
		++*pos;
	}
	return true;
}

/* May a backtrace end before @resumer though its bytes are still in its slot, or again?
 * Only in the middle of a switch, while it is being copied. When coctx_swap is called,
 * all that must be copied has been: then only if it counts as copied out. */
static bool may_be_hidden(int resumer)
{
	bool is_saved = slots.co[resumer]->exec.stack->save_len > 0;

	return target() != there.owner && (is_saved || !there.is_in_swap);
}

/* Does @c show the frames of @owner from @pos on, and then its resumers'? Where the bytes
 * of one are not in its slot, it must end, and say why. */
static bool leads_to_main(const struct walk *w, const struct chain *c, int pos, int owner)
{
	for (;; owner = (int)slots.resumer_of[owner]) {
		if (!has_frames_of(w, c, &pos, owner))
			return false;
		if (owner == MAIN)
			return pos == c->n;
		if (pos == c->n || c->mark[pos++] != TRAMPOLINE)
			return false;
		int resumer = (int)slots.resumer_of[owner];
		if (pos < c->n && c->mark[pos] == COPIED_OUT) /* and nothing may follow it */
			return (!is_whole(resumer) || may_be_hidden(resumer)) && c->frame[pos] == w->n - 1;
		if (!is_whole(resumer))
			return false;
	}
}

static struct {
	bool is_on;
	size_t points, switches, faults[3];
	size_t hidden; /* points of coroutines whose chain ends before main */
	size_t copier[3]; /* points there, whose chain goes on with: */
	uintptr_t last_rip;
	const struct coctx *last_rsi;
	struct walk now[3];
} stepper;
enum { WITH_FROM, WITH_NOBODY, WITH_TO };

/* The copier: first whoever has left, then nobody, then whoever comes. */
static bool is_right_of_copier(const struct walk *w, const struct chain *c)
{
	int to = target();
	bool has_just_come = is_the_switch(stepper.last_rip);
	bool leaves = there.is_in_swap && !has_just_come;

	if (c->n == 0 || c->mark[0] != TRAMPOLINE)
		return false;
	if (!leaves && is_whole(there.from) && leads_to_main(w, c, 1, there.from)) {
		stepper.copier[WITH_FROM]++;
		return true;
	}
	if (!leaves && !has_just_come && c->n == 2 && c->mark[1] == COPIED_OUT && c->frame[1] == w->n - 1) {
		stepper.copier[WITH_NOBODY]++;
		return true;
	}
	stepper.copier[WITH_TO]++;
	return !has_just_come && is_whole(to) && leads_to_main(w, c, 1, to);
}

static bool is_right(const struct walk *w, const struct chain *c)
{
	if (!w->is_complete)
		return false;
	if (there.owner == COPIER)
		return is_right_of_copier(w, c);
	stepper.hidden += c->n > 0 && c->mark[c->n - 1] == COPIED_OUT;
	return leads_to_main(w, c, 0, there.owner);
}

/* --- stepping ------------------------------------------------------------------------------ */

static void check_point(ucontext_t *uc)
{
	uintptr_t rip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];

	if (is_the_switch(stepper.last_rip)) {
		note_switch(stepper.last_rsi);
		stepper.switches++;
	}
	stepper.points++;
	there.is_in_swap = is_in_swap(rip);
	for (int u = 0; u < N_UNWINDERS; u++) {
		struct walk *w = &stepper.now[u];
		struct chain c;

		unwinders[u].walk(w, uc);
		chain_of(w, &c);
		bool right = is_right(w, &c) && (u == 0 || same_callers(w, 0, &stepper.now[0], 0));
		if (!right && stepper.faults[u]++ < 5) {
			Dl_info info = { 0 };
			dladdr((void *)rip, &info);
			printf("%s: wrong%s, at 0x%zx (%s, function + %td), owner %d, on the way to %d\n", unwinders[u].name,
			       w->is_complete ? "" : " and breaks off", rip, info.dli_sname ? info.dli_sname : "?",
			       (const char *)rip - (const char *)function_at(rip, false), there.owner, target());
			print_chain(&c);
		}
	}
	stepper.last_rip = rip;
	stepper.last_rsi = (const struct coctx *)uc->uc_mcontext.gregs[REG_RSI];
}

/* An int3 begins the stepping, the next one ends it. */
static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	int saved_errno = errno;

	(void)sig;
	if (info->si_code == SI_KERNEL)
		stepper.is_on = !stepper.is_on;
	if (stepper.is_on) {
		check_point(uc);
		uc->uc_mcontext.gregs[REG_EFL] |= 0x100;
	} else {
		uc->uc_mcontext.gregs[REG_EFL] &= ~0x100;
	}
	errno = saved_errno;
}

static size_t hops(void)
{
	struct co_sharestack_stats s[2];

	for (int i = 0; i < 2; i++)
		CHECK_EQ(co_sharestack_stats(slots.source[i], &s[i]), 0);
	return s[0].hops + s[1].hops;
}

static void report(void)
{
	printf("%zu points, %zu switches, %zu hops; %zu points end where a resumer is copied out; in the copier %zu go on "
	       "with who left, %zu with nobody, %zu with who comes\n",
	       stepper.points, stepper.switches, hops(), stepper.hidden, stepper.copier[WITH_FROM],
	       stepper.copier[WITH_NOBODY], stepper.copier[WITH_TO]);
	for (int u = 0; u < N_UNWINDERS; u++)
		printf("%-13s %zu failures\n", unwinders[u].name, stepper.faults[u]);
	for (int u = 0; u < N_UNWINDERS; u++)
		CHECK_EQ(stepper.faults[u], 0);
	CHECK(stepper.hidden > 0);
	for (int i = 0; i < 3; i++)
		CHECK(stepper.copier[i] > 0);
}

static struct rng rng;

/* Anything that is allowed, and now and then a coroutine from its beginning. */
static int at_random(int me)
{
	enum { MIN_HOPS = 4 };
	static const char others[] = { A, A, B, B, C, C, D, E, P };
	int depth = 0, other = others[rng_below(&rng, sizeof(others))];

	if (me == MAIN && hops() >= MIN_HOPS)
		return END;
	for (int o = me; o != MAIN; o = (int)slots.resumer_of[o])
		depth++;
	enum co_state state = co_status(slots.co[other]);
	if (state == CO_DONE) {
		slots.call[other] = IN_NO_CALL;
		there.len[other] = 0;
		CHECK_EQ(co_reset(slots.co[other]), 0);
		state = CO_NEW;
	}
	if ((state == CO_NEW || state == CO_SUSPENDED) && depth < 5 && (me == MAIN || rng_below(&rng, 2)))
		return other;
	return me == MAIN ? at_random(me) : rng_below(&rng, 6) ? YIELD : END;
}

static void prepare(void)
{
#ifdef CO_TSAN
	check_skip("ThreadSanitizer's runtime cannot bear a signal in the middle of its own functions");
#endif
	walkers_prepare(on_trap);
}

static void by_script(void)
{
	prepare();
	slots.choose = slots_by_script;
	/* Once at full speed: symbols get bound, which is not ours to test. */
	CHECK(slots_create(1));
	slots_play(MAIN);
	CHECK(slots_release());

	CHECK(slots_create(1));
	__asm__ volatile("int3");
	slots_play(MAIN);
	__asm__ volatile("int3");
	report();
	CHECK_EQ(hops(), SLOTS_HOPS);
	CHECK_EQ(stepper.switches, SLOTS_SWITCHES);
	CHECK(slots_release());
}

static void by_chance(int n_slots)
{
	rng.s = test_seed(5);
	prepare();
	CHECK(slots_create(n_slots));
	slots.choose = at_random;
	__asm__ volatile("int3");
	slots_play(MAIN);
	__asm__ volatile("int3");
	report();
	CHECK(slots_release());
}

static void by_chance_1(void)
{
	by_chance(1);
}

static void by_chance_2(void)
{
	by_chance(2);
}
static const struct test_case cases[] = {
	{ "by_script", "C06: every instruction unwinds, or ends by name where a resumer is copied out", by_script, 0, NULL },
	{ "by_chance_1", "C06: the same in a random run", by_chance_1, 0, NULL },
	{ "by_chance_2", "C06: and where two slots have one copier", by_chance_2, 0, NULL },
};
TEST_MAIN(cases)
