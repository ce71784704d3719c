/* SPDX-License-Identifier: MIT */
/*
 * When to step and when to run.
 *
 *   --all      step from the beginning to the end
 *   --from     run until X, step until Y, run until X, ...
 *   --switch   run until somebody calls co_swap, coctx_swap or coctx_make; step until the
 *              one who was gone to has left them too: until its rsp is above where it was
 *              when it called them. If it is the copier of a shared stack, until the next
 *              swap has arrived; if it has just begun, until its function begins.
 */
#include "record.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "recorder.h"

enum {
	MAX_ENTRY_STEPS = 4000,
	MAX_MAKES = 40, /* coroutines whose making is shown; of more, only that they are there */
};

int record_fail(char **why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (vasprintf(why, format, args) < 0)
		*why = NULL;
	va_end(args);
	return -1;
}

__attribute__((format(printf, 2, 3))) static void end(struct recorder *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->end, sizeof(r->end), format, args);
	va_end(args);
	r->has_ended = true;
}

bool recorder_is_interrupted(const struct recorder *r)
{
	return r->options.is_interrupted && *r->options.is_interrupted;
}

/* --- goals ---------------------------------------------------------------------------- */

static void run_to_goal_return(struct recorder *r, uint32_t exec, uint64_t rsp)
{
	r->goal = GOAL_RETURN;
	r->goal_exec = exec;
	r->goal_rsp = rsp;
}

/* We are at a breakpoint, or where one would be. False: we are not. */
static bool begin_at(struct recorder *r, uint64_t rip)
{
	uint64_t rsp = r->regs.r[REG_RSP];

	if (r->options.mode == RECORD_ALL)
		return false;
	if (r->options.mode == RECORD_FROM_TO) {
		if (rip != r->from_at)
			return false;
		run_to_goal_return(r, r->current, rsp);
		if (r->to_at)
			r->goal = GOAL_PLACE;
		return true;
	}
	if (rip == 0 || (rip != r->co_swap.lo && rip != r->coctx_swap.lo && rip != r->coctx_make.lo))
		return false;
	run_to_goal_return(r, r->current, rsp);
	if (rip != r->coctx_make.lo)
		r->goal = GOAL_ARRIVAL;
	else if (++r->n_makes >= MAX_MAKES)
		target_break(&r->target, BREAK_MAKE, 0);
	return true;
}

static void reach(struct recorder *r)
{
	r->goal = GOAL_NONE;
	if (!begin_at(r, r->regs.r[REG_RIP]) && r->options.max_switches && r->n_switches >= r->options.max_switches)
		end(r, "%" PRIu64 " switches recorded (--switches N records more, 0: all)", r->n_switches);
}

static bool has_returned(const struct recorder *r)
{
	return r->current == r->goal_exec && r->regs.r[REG_RSP] > r->goal_rsp &&
	       !recorder_is_in_swap(r, r->regs.r[REG_RIP]);
}

/* Is it at the first instructions of an execution, where coctx_make has put it? */
static bool is_at_entry(const struct recorder *r, const struct known_exec *e)
{
	uint64_t rip = r->regs.r[REG_RIP];
	const struct co_info *co = co_table_by_ctx(&r->track.table, e->trace.ctx);

	if (r->trampoline.lo)
		return rip >= r->trampoline.lo && rip < r->trampoline.hi;
	return co && co->n_resumes == 1 && e->is_new;
}

static void arrived(struct recorder *r)
{
	struct known_exec *e = &r->execs.all[r->to];
	const struct co_info *co = co_table_by_ctx(&r->track.table, e->trace.ctx);
	bool is_at_its_entry = is_at_entry(r, e);

	e->is_new = false;
	if (e->trace.kind == EXEC_COPIER)
		return;
	if (is_at_its_entry) {
		e->swap_rsp = 0;
		r->goal = GOAL_FUNCTION;
		r->goal_at = co ? co->fn : 0;
		r->goal_steps = 0;
	} else if (e->swap_rsp) {
		run_to_goal_return(r, r->to, e->swap_rsp);
		if (has_returned(r))
			reach(r);
	} else {
		reach(r);
	}
}

/* A step was made: is that what we wanted? */
static void check_goal(struct recorder *r, bool has_arrived)
{
	uint64_t rip = r->regs.r[REG_RIP];

	switch (r->goal) {
	case GOAL_NONE:
	case GOAL_END:
		if (has_arrived && r->options.max_switches && r->n_switches >= r->options.max_switches)
			end(r, "%" PRIu64 " switches recorded (--switches N records more, 0: all)", r->n_switches);
		break;
	case GOAL_PLACE:
		if (rip == r->to_at)
			reach(r);
		break;
	case GOAL_RETURN:
		if (has_returned(r))
			reach(r);
		else if (r->options.mode == RECORD_SWITCH && rip == r->coctx_swap.lo)
			begin_at(r, rip);
		break;
	case GOAL_ARRIVAL:
		if (has_arrived)
			arrived(r);
		else if (has_returned(r)) /* without having swapped */
			reach(r);
		break;
	case GOAL_FUNCTION:
		r->goal_steps++;
		if (rip == r->goal_at || (!r->goal_at && r->insn.kind == INSN_CALL) || r->goal_steps > MAX_ENTRY_STEPS)
			reach(r);
		else if (rip == r->coctx_swap.lo)
			begin_at(r, rip);
		break;
	}
}

/* --- stops ---------------------------------------------------------------------------- */

static int stepped(struct recorder *r, char **why)
{
	bool was_in = recorder_is_in_swap(r, r->regs.r[REG_RIP]);

	if (recorder_stepped(r, why) != 0)
		return -1;
	check_goal(r, was_in && !recorder_is_in_swap(r, r->regs.r[REG_RIP]));
	return 0;
}

bool recorder_is_fault(int signal_number)
{
	return signal_number == SIGSEGV || signal_number == SIGBUS || signal_number == SIGFPE ||
	       signal_number == SIGILL || signal_number == SIGABRT || signal_number == SIGTRAP || signal_number == SIGSYS;
}

/* A signal is about to be delivered. Its handler, if any, begins with the next step; which
 * is no instruction, so a gap. */
static int signalled(struct recorder *r, int signal_number, char **why)
{
	enum moving moving = r->moving;
	struct regs now = r->regs;

	if (moving == MOVING_RUN && !recorder_is_fault(signal_number)) {
		r->moving = MOVING_NOT;
		return 0;
	}
	if (target_regs(&r->target, &now) != 0) {
		r->is_killed = errno == ESRCH;
		return record_fail(why, "the registers cannot be read: %s", strerror(errno));
	}
	if (moving == MOVING_STEP && now.r[REG_RIP] == r->regs.r[REG_RIP] && r->insn.kind != INSN_SYSCALL)
		r->moving = MOVING_NOT; /* the instruction has not run */
	else if (moving == MOVING_STEP ? stepped(r, why) != 0 : recorder_gap(r, why) != 0)
		return -1;
	r->is_gap_next = true;
	r->last_signal = signal_number;
	return recorder_event(r, EVENT_SIGNAL, r->current, NO_EXEC, (uint64_t)signal_number, why);
}

static void end_by_status(struct recorder *r, int status, const char *who)
{
	if (WIFSIGNALED(status))
		end(r, "%skilled by SIG%s", who, sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
	else
		end(r, "%sexited with status %d", who, WEXITSTATUS(status));
}

static int ended(struct recorder *r, int status, bool is_there, char **why)
{
	char who[64] = "";

	r->moving = MOVING_NOT;
	if (r->options.thread > 0)
		snprintf(who, sizeof(who), "thread %d ended: ", r->options.thread);
	end_by_status(r, status, who);
	if (!r->has_state)
		return 0;
	if (is_there && recorder_gap(r, why) != 0) {
		free(*why); /* killed meanwhile: then there is nothing to add */
		*why = NULL;
		r->is_killed = false;
	}
	if (WIFSIGNALED(status) && r->last_signal != WTERMSIG(status) &&
	    recorder_event(r, EVENT_SIGNAL, r->current, NO_EXEC, (uint64_t)WTERMSIG(status), why) != 0)
		return -1;
	return recorder_event(r, EVENT_END, r->current, NO_EXEC, (uint64_t)status, why);
}

int recorder_take(struct recorder *r, struct stop stop, char **why)
{
	switch (stop.kind) {
	case STOP_NOTHING:
		return 0;
	case STOP_STEP:
		if (!r->is_gap_next)
			return stepped(r, why);
		r->is_gap_next = false;
		return recorder_gap(r, why);
	case STOP_BREAK:
		if (r->moving == MOVING_STRING)
			return stepped(r, why);
		if (recorder_gap(r, why) != 0)
			return -1;
		begin_at(r, r->regs.r[REG_RIP]);
		return 0;
	case STOP_HELD:
		if (r->has_state)
			return recorder_gap(r, why);
		r->moving = MOVING_NOT; /* by SIGCONT: on */
		return 0;
	case STOP_SIGNAL:
		return signalled(r, (int)stop.value, why);
	case STOP_FORK:
		return r->has_state ? recorder_event(r, EVENT_FORK, r->current, NO_EXEC, (uint64_t)stop.value, why) : 0;
	case STOP_THREAD:
		return r->has_state ? recorder_event(r, EVENT_THREAD, r->current, NO_EXEC, (uint64_t)stop.value, why) : 0;
	case STOP_EXEC:
		r->moving = MOVING_NOT;
		end(r, "went on as another program (exec)");
		return r->has_state ? recorder_event(r, EVENT_EXEC, r->current, NO_EXEC, (uint64_t)stop.value, why) : 0;
	case STOP_EXIT:
		return ended(r, (int)stop.value, true, why);
	case STOP_GONE:
		return ended(r, (int)stop.value, false, why);
	}
	return 0;
}

int recorder_advance(struct recorder *r, char **why)
{
	if (r->is_held && target_resume(&r->target, false) != 0 && errno != ESRCH)
		return record_fail(why, "the program cannot be resumed: %s", strerror(errno));
	r->is_held = false;
	if (r->moving == MOVING_NOT &&
	    (r->goal == GOAL_NONE ? recorder_run(r, why) : recorder_step(r, why)) != 0)
		return -1;
	bool is_quick = r->moving == MOVING_STEP && r->insn.kind != INSN_SYSCALL;
	struct stop stop = target_wait(&r->target, is_quick);
	if (stop.kind == STOP_NOTHING)
		return 1;
	int result = recorder_take(r, stop, why);
	if (result >= 0 || !r->is_killed)
		return result;
	free(*why);
	*why = NULL;
	r->is_killed = false;
	r->moving = MOVING_RUN; /* by itself, to its end */
	return 0;
}

/* --- public --------------------------------------------------------------------------- */

struct recorder *record_start(const struct record_options *options, char **why)
{
	struct recorder *r = calloc(1, sizeof(*r));

	*why = NULL;
	if (!r) {
		record_fail(why, "no memory for the recorder");
		return NULL;
	}
	r->options = *options;
	r->target.output = -1;
	r->target.is_gone = true;
	int result = recorder_open(r, why);
	if (result == 0 && options->mode == RECORD_ALL)
		r->goal = GOAL_END;
	if (result == 0 && (options->mode != RECORD_FROM_TO || r->regs.r[REG_RIP] == r->from_at)) /* from main */
		result = recorder_gap(r, why);
	if (result == 0 && r->has_state)
		begin_at(r, r->regs.r[REG_RIP]);
	while (result >= 0 && !r->has_state && !r->has_ended)
		result = recorder_is_interrupted(r) ? record_fail(why, "interrupted before it came to %s", options->from) :
						      recorder_advance(r, why);
	if (result >= 0 && !r->has_state)
		result = record_fail(why, "%s: %s, and never came to %s", r->program, r->end, options->from);
	if (result >= 0 && recorder_flush(r, why) != 0)
		result = -1;
	if (result >= 0)
		return r;
	record_finish(r);
	return NULL;
}

int record_more(struct recorder *r, uint64_t n, char **why)
{
	uint64_t first = record_steps(r);
	int result = 0;

	*why = NULL;
	while (result == 0 && !r->has_ended && record_steps(r) - first < n) {
		result = recorder_advance(r, why);
		if (r->options.max_steps && record_steps(r) >= r->options.max_steps && !r->has_ended)
			end(r, "%" PRIu64 " steps recorded (--steps N records more, 0: all)", record_steps(r));
		if (result == 0)
			result = recorder_flush_if_due(r, why);
	}
	if (result >= 0 && recorder_flush(r, why) != 0)
		result = -1;
	return result < 0 ? -1 : !r->has_ended;
}

const char *record_end(const struct recorder *r)
{
	return r->has_ended ? r->end : "stopped recording";
}

uint64_t record_steps(const struct recorder *r)
{
	return r->writer ? trace_written_steps(r->writer) : 0;
}

uint64_t record_switches(const struct recorder *r)
{
	return r->n_switches;
}

uint64_t record_bytes(const struct recorder *r)
{
	return r->writer ? trace_written_bytes(r->writer) : 0;
}

uint64_t record_differences(const struct recorder *r, uint64_t *times)
{
	*times = r->n_verified;
	return r->n_differences;
}

void record_finish(struct recorder *r)
{
	recorder_last_look(r);
	target_end(&r->target);
	if (r->writer)
		trace_close(r->writer);
	symbols_free(r->symbols);
	track_end(&r->track);
	code_free(&r->code);
	execs_free(&r->execs);
	free(r->early.bytes);
	free(r->program);
	free(r);
}
