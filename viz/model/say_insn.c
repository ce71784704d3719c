/* SPDX-License-Identifier: MIT */
/* What any instruction has done, in general terms. */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "sentence.h"

/* --- calls, returns, jumps ------------------------------------------------------------- */

static void say_call(struct sentence *s)
{
	const struct model *m = s->m;
	struct words f, back, at;

	add(s, "Calls %s: the return address, %s, is pushed (%s).", value_words(m, reg_now(m, REG_RIP), &f),
	    value_words(m, m->done_at + m->done.len, &back), place_words(m, reg_now(m, REG_RSP), &at));
}

static void say_return(struct sentence *s)
{
	const struct model *m = s->m;
	struct words w;

	add(s, "Returns to %s: the address was taken from the stack.", value_words(m, reg_now(m, REG_RIP), &w));
}

static void say_jump(struct sentence *s)
{
	const struct model *m = s->m;
	struct words w;

	add(s, "Jumps to %s.", value_words(m, reg_now(m, REG_RIP), &w));
}

/* What was found, when a branch is taken and when not. */
static const struct condition {
	const char *name, *taken, *not_taken;
} conditions[] = {
	{ "je", "equal, or zero", "not equal, or not zero" },
	{ "jne", "not equal, or not zero", "equal, or zero" },
	{ "js", "negative", "not negative" },
	{ "jns", "not negative", "negative" },
	{ "jl", "less", "not less" },
	{ "jge", "not less", "less" },
	{ "jle", "less or equal", "greater" },
	{ "jg", "greater", "less or equal" },
	{ "jb", "below", "not below" },
	{ "jae", "not below", "below" },
	{ "jbe", "below or equal", "above" },
	{ "ja", "above", "below or equal" },
};

static void say_branch(struct sentence *s)
{
	const struct model *m = s->m;
	bool is_taken = reg_now(m, REG_RIP) != m->done_at + m->done.len;
	size_t len = strcspn(m->done.text, " ");
	const char *found = NULL;
	struct words w;

	for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
		if (strlen(conditions[i].name) == len && memcmp(conditions[i].name, m->done.text, len) == 0)
			found = is_taken ? conditions[i].taken : conditions[i].not_taken;
	if (found)
		add(s, "%c%s: the branch", found[0] - 'a' + 'A', found + 1);
	else
		add(s, "The branch");
	if (is_taken)
		add(s, " is taken, on to %s.", value_words(m, reg_now(m, REG_RIP), &w));
	else
		add(s, " is not taken.");
}

/* --- the stack ---------------------------------------------------------------------- */

static void say_push(struct sentence *s)
{
	const struct model *m = s->m;
	uint64_t value = 0;
	struct words v, at;

	bytes_now(m, reg_now(m, REG_RSP), 8, &value);
	value_words(m, value, &v);
	place_words(m, reg_now(m, REG_RSP), &at);
	if (m->done.from != REG_NONE)
		add(s, "%s (%s) is pushed (%s).", reg_names[m->done.from], v.text, at.text);
	else
		add(s, "%s is pushed (%s).", v.text, at.text);
}

static void say_pop(struct sentence *s)
{
	const struct model *m = s->m;
	enum reg to = m->done.to;
	struct words w;

	if (to == REG_NONE)
		add(s, "What was pushed last is taken from the stack.");
	else
		add(s, "%s gets back what was pushed: %s%s.", reg_names[to], value_words(m, reg_now(m, to), &w),
		    reg_before(m, to) == reg_now(m, to) ? ", which it held" : "");
}

/* add and sub: how much of the stack is taken or given back. */
static bool say_stack_moved(struct sentence *s)
{
	const struct model *m = s->m;
	int64_t by = (int64_t)(reg_now(m, REG_RSP) - reg_before(m, REG_RSP));
	struct words w;

	if (!(m->done.regs_written & UINT32_C(1) << REG_RSP) || by == 0)
		return false;
	if (strncmp(m->done.text, "leave", 5) == 0)
		add(s, "The frame is given up: rsp is above it, rbp the caller's again (%s).",
		    value_words(m, reg_now(m, REG_RBP), &w));
	else if (m->done.kind == INSN_MOVE)
		return false;
	else if (by < 0)
		add(s, "rsp goes down: room for %lld bytes on the stack.", -(long long)by);
	else
		add(s, "rsp goes up: %lld bytes of the stack are given back.", (long long)by);
	return true;
}

/* --- moves ---------------------------------------------------------------------------- */

static void say_store(struct sentence *s, const struct insn_mem *mem, uint64_t addr)
{
	const struct model *m = s->m;
	uint64_t old, new;
	bool was_known = bytes_before(m, addr, mem->size, &old);
	struct words place, v;

	place_words(m, addr, &place);
	if (!bytes_now(m, addr, mem->size, &new) && mem->size == 8 && m->done.from != REG_NONE) {
		add(s, "%s (%s) is stored: %s.", reg_names[m->done.from], value_words(m, reg_before(m, m->done.from), &v),
		    place.text);
		return;
	}
	if (!bytes_now(m, addr, mem->size, &new)) {
		add(s, "%u bytes are written: %s.", mem->size, place.text);
		return;
	}
	value_words(m, new, &v);
	if (m->done.kind == INSN_MOVE && m->done.from != REG_NONE)
		add(s, "%s (%s) is stored", reg_names[m->done.from], v.text);
	else
		add(s, "%s is written", v.text);
	add(s, ": %s", place.text);
	if (was_known && old == new)
		add(s, ", as it was already.");
	else if (was_known)
		add(s, ", before: %s.", value_words(m, old, &v));
	else
		add(s, ".");
}

static void say_load(struct sentence *s, uint64_t addr)
{
	const struct model *m = s->m;
	enum reg to = m->done.to;
	struct words place, v;

	add(s, "%s is loaded: %s, from %s.", reg_names[to], value_words(m, reg_now(m, to), &v), place_words(m, addr, &place));
}

static void say_move(struct sentence *s)
{
	const struct model *m = s->m;
	const struct insn *insn = &m->done;
	struct words w;

	if (insn->to == REG_NONE)
		add(s, "%s: a value is moved.", insn->text);
	else if (insn->from != REG_NONE)
		add(s, "%s = %s: %s.", reg_names[insn->to], reg_names[insn->from], value_words(m, reg_now(m, insn->to), &w));
	else
		add(s, "%s is set to %s.", reg_names[insn->to], value_words(m, reg_now(m, insn->to), &w));
}

/* --- the rest -------------------------------------------------------------------------- */

static void say_syscall(struct sentence *s)
{
	static const struct {
		long number;
		const char *name;
	} names[] = { { SYS_read, "read" },	    { SYS_write, "write" },	      { SYS_mmap, "mmap" },
		      { SYS_munmap, "munmap" },	    { SYS_mprotect, "mprotect" },     { SYS_brk, "brk" },
		      { SYS_poll, "poll" },	    { SYS_epoll_wait, "epoll_wait" }, { SYS_epoll_ctl, "epoll_ctl" },
		      { SYS_futex, "futex" },	    { SYS_clock_gettime, "clock_gettime" }, { SYS_exit_group, "exit_group" },
		      { SYS_clock_nanosleep, "clock_nanosleep" }, { SYS_rt_sigprocmask, "rt_sigprocmask" },
		      { SYS_madvise, "madvise" },   { SYS_close, "close" } };
	const struct model *m = s->m;
	uint64_t number = reg_before(m, REG_RAX), result = reg_now(m, REG_RAX);
	const char *name = NULL;
	struct words w;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if ((uint64_t)names[i].number == number)
			name = names[i].name;
	if (number == SYS_rt_sigreturn) {
		add(s, "The signal's handler has ended: on with what it had interrupted, at %s.",
		    value_words(m, reg_now(m, REG_RIP), &w));
		return;
	}
	if (name)
		add(s, "The kernel has done %s", name);
	else
		add(s, "The kernel has done system call %llu", (unsigned long long)number);
	if (result > -UINT64_C(4096))
		add(s, ": error %lld.", -(long long)result);
	else
		add(s, ": %s.", value_words(m, result, &w));
}

/* cmp and test change nothing but the flags. */
static bool say_comparison(struct sentence *s)
{
	enum { ZERO = 1 << 6 };
	const struct model *m = s->m;
	bool is_zero = reg_now(m, REG_EFLAGS) & ZERO;

	if (strncmp(m->done.text, "cmp", 3) == 0 && m->done.text[3] != 'x')
		add(s, "%s: compared, and found %s.", m->done.text, is_zero ? "equal" : "different");
	else if (strncmp(m->done.text, "test", 4) == 0)
		add(s, "%s: tested, and found %s.", m->done.text, is_zero ? "zero" : "not zero");
	else
		return false;
	return true;
}

static bool starts_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

int add_changed(struct sentence *s, const char *before)
{
	const struct model *m = s->m;
	struct words a, b;
	int n = 0;

	for (int r = 0; r < N_REGS; r++) {
		if (r == REG_RIP || r == REG_EFLAGS || reg_before(m, (enum reg)r) == reg_now(m, (enum reg)r))
			continue;
		add(s, "%s %s %s → %s", n++ ? "," : before, reg_names[r], value_words(m, reg_before(m, (enum reg)r), &a),
		    value_words(m, reg_now(m, (enum reg)r), &b));
	}
	return n;
}

/* The one general register that the instruction writes; REG_NONE: none, or several. */
static enum reg result_register(const struct insn *insn)
{
	enum reg found = REG_NONE;

	for (int r = 0; r < REG_RIP; r++)
		if (insn->regs_written & UINT32_C(1) << r) {
			if (found != REG_NONE)
				return REG_NONE;
			found = (enum reg)r;
		}
	return found;
}

/* lea computes an address and reads nothing there. */
static bool say_address(struct sentence *s)
{
	const struct model *m = s->m;
	enum reg r = result_register(&m->done);
	struct words w;

	if (!starts_with(m->done.text, "lea") || r == REG_NONE || starts_with(m->done.text, "leave"))
		return false;
	add(s, "%s = %.*s, an address that is only computed: %s.", reg_names[r],
	    (int)strcspn(strchr(m->done.text, ' ') + 1, ")") + 1, strchr(m->done.text, ' ') + 1,
	    value_words(m, reg_now(m, r), &w));
	return true;
}

/* An instruction that no other sentence fits. */
static void say_any(struct sentence *s)
{
	const struct model *m = s->m;
	const struct insn_mem *mem;
	uint64_t addr;
	struct words w;

	if (say_stack_moved(s) || say_comparison(s) || say_address(s))
		return;
	if ((mem = operand_written(m, &addr))) {
		say_store(s, mem, addr);
		return;
	}
	add(s, "%s:", m->done.text);
	if (!add_changed(s, "")) {
		if (starts_with(m->done.text, "nop") || starts_with(m->done.text, "endbr"))
			add(s, " nothing happens here");
		else if (result_register(&m->done) != REG_NONE)
			add(s, " %s stays %s", reg_names[result_register(&m->done)],
			    value_words(m, reg_now(m, result_register(&m->done)), &w));
		else if (strstr(m->done.text, "mm"))
			add(s, " only vector registers change, which are not recorded");
		else
			add(s, " no register that is recorded has changed");
	}
	if (operand_read(m, &addr))
		add(s, "; read: %s", place_words(m, addr, &w));
	add(s, ".");
}

void say_instruction(struct sentence *s)
{
	const struct insn_mem *mem;
	uint64_t addr;

	switch (s->m->done.kind) {
	case INSN_CALL: say_call(s); return;
	case INSN_RETURN: say_return(s); return;
	case INSN_JUMP: say_jump(s); return;
	case INSN_BRANCH: say_branch(s); return;
	case INSN_PUSH: say_push(s); return;
	case INSN_POP: say_pop(s); return;
	case INSN_SYSCALL: say_syscall(s); return;
	case INSN_MOVE:
		if ((mem = operand_written(s->m, &addr)))
			say_store(s, mem, addr);
		else if (s->m->done.to != REG_NONE && operand_read(s->m, &addr))
			say_load(s, addr);
		else
			say_move(s);
		return;
	default: say_any(s); return;
	}
}
