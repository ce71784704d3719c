/* SPDX-License-Identifier: MIT */
/*
 * One stop becomes one state, with what happened on the way.
 *
 * Before an instruction runs it is decoded: that tells which words it may write, and they
 * are all that is read afterwards. Every VERIFY_STEPS (and more often at first) all that is
 * tracked is compared with the program; differences are counted and put right.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "notice.h"
#include "recorder.h"

enum {
	VERIFY_STEPS = 4096, VERIFY_FIRST = 64,
	FLUSH_EVERY_NS = 250000000, /* if we are killed, no more is lost */
	MANY_TIMES = 64,   /* a rep that has more to do runs in one go */
	WRITES_MAX = 512,  /* an instruction that writes more saves the processor's state: read all */
};

bool recorder_is_in_swap(const struct recorder *r, uint64_t rip)
{
	return rip >= r->coctx_swap.lo && rip < r->coctx_swap.hi;
}

/* --- before --------------------------------------------------------------------------- */

static void foresee(struct recorder *r)
{
	const struct insn *insn = &r->insn;

	r->is_any_write = insn->len == 0 || insn->kind == INSN_SYSCALL;
	for (size_t i = 0; i < 2; i++) {
		r->writes_len[i] = 0;
		if (i >= insn->n_mem || !insn->mem[i].is_written || insn->mem[i].is_in_segment)
			continue;
		r->writes_at[i] = insn_mem_address(&insn->mem[i], &r->regs, r->regs.r[REG_RIP] + insn->len);
		r->writes_len[i] = insn->mem[i].size;
		if (insn->mem[i].size == 0 || insn->mem[i].size > WRITES_MAX)
			r->is_any_write = true;
	}
}

int recorder_step(struct recorder *r, char **why)
{
	uint64_t rip = r->regs.r[REG_RIP];
	const struct insn *insn = code_at(&r->code, rip, target_read, &r->target);

	if (!insn)
		return record_fail(why, "no memory for the recorder");
	r->insn = *insn;
	r->resumed_at = rip;
	foresee(r);
	r->moving = MOVING_STEP;
	if (insn->kind == INSN_STRING && strncmp(insn->text, "rep", 3) == 0 && r->regs.r[REG_RCX] > MANY_TIMES) {
		r->moving = MOVING_STRING;
		target_break(&r->target, BREAK_BEHIND_STRING, rip + insn->len);
	}
	if (target_resume(&r->target, r->moving == MOVING_STEP) != 0 && errno != ESRCH)
		return record_fail(why, "the program cannot be resumed: %s", strerror(errno));
	return 0;
}

int recorder_run(struct recorder *r, char **why)
{
	r->resumed_at = r->regs.r[REG_RIP];
	r->moving = MOVING_RUN;
	r->is_gap_next = false; /* it begins on the way */
	if (target_resume(&r->target, false) != 0 && errno != ESRCH)
		return record_fail(why, "the program cannot be resumed: %s", strerror(errno));
	return 0;
}

/* --- after ---------------------------------------------------------------------------- */

static int file_error(char **why)
{
	return record_fail(why, "the trace cannot be written: %s", strerror(errno));
}

int recorder_event(struct recorder *r, enum event_kind kind, uint32_t who, uint32_t other, uint64_t value, char **why)
{
	struct trace_event event = { .kind = (uint32_t)kind, .who = who, .other = other, .value = value };

	return trace_add_event(r->writer, &event) == 0 ? 0 : file_error(why);
}

static void flush_early_output(struct recorder *r)
{
	if (r->early.len > 0)
		trace_add_output(r->writer, r->early.bytes, r->early.len);
	free(r->early.bytes);
	r->early = (struct pending_output){ 0 };
}

static int write_state(struct recorder *r, int flags, char **why)
{
	struct track *k = &r->track;

	if (k->is_out_of_memory)
		return record_fail(why, "no memory for the recorder");
	if (trace_add_step(r->writer, &r->regs, k->words, k->n_words, flags) != 0)
		return file_error(why);
	track_begin_step(k);
	if (!r->has_state)
		flush_early_output(r);
	r->has_state = true;
	return 0;
}

int recorder_flush(struct recorder *r, char **why)
{
	return trace_flush(r->writer) == 0 ? 0 : file_error(why);
}

int recorder_flush_if_due(struct recorder *r, char **why)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t); /* some ns */
	uint64_t now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	if (now - r->flushed_at < FLUSH_EVERY_NS)
		return 0;
	r->flushed_at = now;
	return recorder_flush(r, why);
}

static int read_regs(struct recorder *r, bool with_fp, char **why)
{
	if (target_regs(&r->target, &r->regs) == 0 && (!with_fp || target_fp_regs(&r->target, &r->regs) == 0))
		return 0;
	r->is_killed = errno == ESRCH;
	return record_fail(why, "the registers cannot be read: %s", strerror(errno));
}

/* What the instruction may have written. @before: the registers before it. */
static void follow_writes(struct recorder *r, const struct regs *before)
{
	if (r->is_any_write) {
		track_snapshot(&r->track, &r->regs);
		return;
	}
	if (r->insn.kind == INSN_STRING) { /* between where rdi was and where it is */
		uint64_t from = before->r[REG_RDI], to = r->regs.r[REG_RDI];
		uint32_t size = r->insn.n_mem > 0 ? r->insn.mem[0].size : 8;
		if (from > to) {
			uint64_t swap = from;
			from = to;
			to = swap;
		}
		track_written(&r->track, from, to - from + size);
	}
	for (int i = 0; i < 2; i++)
		track_written(&r->track, r->writes_at[i], r->writes_len[i]);
}

/* --- what happened --------------------------------------------------------------------- */

struct noted {
	struct recorder *r;
	char **why;
	int result;
};

static void on_notice(void *arg, const struct notice *n)
{
	struct noted *noted = arg;
	struct recorder *r = noted->r;

	if (noted->result != 0)
		return;
	uint32_t who = execs_of_co(r, n->who), other = n->other ? execs_of_co(r, n->other) : NO_EXEC;
	noted->result = recorder_event(r, n->kind, who, other, n->value, noted->why);
}

/* The table was read anew for this state. */
static int notice_table(struct recorder *r, char **why)
{
	struct noted noted = { r, why, 0 };

	execs_refresh(r);
	notice(&r->layout, &r->track.before, &r->track.table, on_notice, &noted);
	return noted.result;
}

/* rip is at the entry of coctx_swap(rdi, rsi). */
static int swap_begins(struct recorder *r, char **why)
{
	uint64_t from_ctx = r->regs.r[REG_RDI], to_ctx = r->regs.r[REG_RSI];

	execs_name_current(r, from_ctx);
	uint32_t from = execs_of_ctx(r, from_ctx), to = execs_of_ctx(r, to_ctx);
	if (from == NO_EXEC || to == NO_EXEC)
		return record_fail(why, "no memory for the recorder");
	if (!r->execs.all[from].swap_rsp)
		r->execs.all[from].swap_rsp = r->regs.r[REG_RSP];
	r->from = from;
	r->to = to;
	r->n_switches++;
	return recorder_event(r, EVENT_SWAP, from, to, 0, why);
}

static int notice_swap(struct recorder *r, uint64_t rip_before, char **why)
{
	uint64_t rip = r->regs.r[REG_RIP];
	bool was_in = recorder_is_in_swap(r, rip_before), is_in = recorder_is_in_swap(r, rip);

	if (r->current != NO_EXEC && r->regs.r[REG_RSP] > r->execs.all[r->current].swap_rsp && !is_in)
		r->execs.all[r->current].swap_rsp = 0; /* it has returned */
	if (rip == r->co_swap.lo && r->co_swap.lo && r->current != NO_EXEC && !r->execs.all[r->current].swap_rsp)
		r->execs.all[r->current].swap_rsp = r->regs.r[REG_RSP];
	if (is_in && rip == r->coctx_swap.lo)
		return swap_begins(r, why);
	if (was_in && (r->insn.regs_written & 1u << REG_RSP) && r->insn.n_mem > 0 && r->insn.mem[0].is_read &&
	    r->insn.kind != INSN_RETURN) {
		r->current = r->to;
		if (recorder_event(r, EVENT_RSP, r->to, r->from, 0, why) != 0)
			return -1;
	}
	if (was_in && !is_in) {
		r->track.is_table_stale |= r->track.has_buffers; /* contexts say how much will be copied there */
		return recorder_event(r, EVENT_ARRIVE, r->to, r->from, 0, why);
	}
	return 0;
}

static int notice_call(struct recorder *r, char **why)
{
	if (r->insn.kind == INSN_CALL)
		return recorder_event(r, EVENT_CALL, r->current, NO_EXEC, r->regs.r[REG_RIP], why);
	if (r->insn.kind == INSN_RETURN)
		return recorder_event(r, EVENT_RETURN, r->current, NO_EXEC, r->regs.r[REG_RIP], why);
	return 0;
}

static void verify(struct recorder *r)
{
	uint64_t n = r->has_state ? trace_written_steps(r->writer) : 0;
	bool is_due = n % VERIFY_STEPS == 0 || (n >= VERIFY_FIRST && (n & (n - 1)) == 0);

	if (n == 0 || !is_due)
		return;
	/* After a gap there are words below rsp that nobody has looked at since. */
	uint64_t differ = track_verify(&r->track, &r->regs, !r->has_gap);
	if (r->target.n_threads > 1) /* others may have written it, unseen by nature */
		return;
	r->n_differences += differ;
	r->n_verified++;
}

int recorder_stepped(struct recorder *r, char **why)
{
	struct regs before = r->regs;
	uint64_t rip = before.r[REG_RIP];
	bool with_fp = recorder_is_in_swap(r, rip) || (r->insn.regs_written & (1u << REG_MXCSR | 1u << REG_X87CW));

	if (r->moving == MOVING_STRING)
		target_break(&r->target, BREAK_BEHIND_STRING, 0);
	r->moving = MOVING_NOT;
	if (read_regs(r, with_fp, why) != 0)
		return -1;
	follow_writes(r, &before);
	bool is_new_table = r->is_any_write || r->track.is_table_stale;
	if (r->track.is_table_stale)
		track_table(&r->track);
	verify(r);
	execs_foresee(r);
	if (write_state(r, 0, why) != 0)
		return -1;
	if (is_new_table && notice_table(r, why) != 0)
		return -1;
	if (notice_swap(r, rip, why) != 0)
		return -1;
	return notice_call(r, why);
}

int recorder_gap(struct recorder *r, char **why)
{
	bool is_first = !r->has_state;

	if (r->moving == MOVING_STRING)
		target_break(&r->target, BREAK_BEHIND_STRING, 0);
	r->moving = MOVING_NOT;
	r->insn.len = 0;
	r->insn.kind = INSN_OTHER;
	r->insn.regs_written = 0;
	if (read_regs(r, true, why) != 0)
		return -1;
	track_snapshot(&r->track, &r->regs);
	execs_foresee(r);
	if (write_state(r, is_first ? 0 : STEP_IS_GAP, why) != 0)
		return -1;
	r->has_gap |= !is_first;
	if (is_first) {
		if (execs_first(r) == NO_EXEC)
			return record_fail(why, "no memory for the recorder");
		execs_refresh(r);
	} else if (notice_table(r, why) != 0) {
		return -1;
	}
	r->current = execs_locate(r);
	return notice_swap(r, 0, why);
}
