/* SPDX-License-Identifier: MIT */
/*
 * When nobody asks for more: for a while, or at the end.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "recorder.h"

/* It runs, and stops at something or, soon, because we want it. -1: it does not. */
static int hold(struct recorder *r, char **why)
{
	if (r->moving != MOVING_STEP || r->insn.kind == INSN_SYSCALL) /* else it stops by itself */
		target_hold(&r->target);
	while (!r->has_ended && !r->is_held && r->moving != MOVING_NOT) {
		struct stop stop = target_wait(&r->target, false);
		if (stop.kind == STOP_NOTHING)
			return -1;
		if (stop.kind != STOP_HELD) {
			if (recorder_take(r, stop, why) != 0)
				return -1;
		} else if (r->moving != MOVING_STEP && !target_has_trap(&r->target)) {
			r->is_held = true;
		} else { /* the end of the step, or the breakpoint, is told next */
			r->is_gap_next |= r->moving == MOVING_STEP; /* the system call begins again */
			if (target_resume(&r->target, r->moving == MOVING_STEP) != 0)
				return -1;
		}
	}
	return 0;
}

/* Would it get a signal that does not come again by itself? (What stops it would also stop us
 * from waiting for it.) */
static bool has_signal(const struct recorder *r)
{
	int s = r->target.signal;

	return s && !recorder_is_fault(s) && s != SIGSTOP && s != SIGTSTP && s != SIGTTIN && s != SIGTTOU;
}

void record_rest(struct recorder *r)
{
	char *why = NULL;
	int result = 0;

	if (r->target.is_ours || r->target.is_gone)
		return;
	while (result == 0 && !r->has_ended && !r->is_held && (r->moving != MOVING_NOT || has_signal(r)))
		result = r->moving != MOVING_NOT ? hold(r, &why) : recorder_advance(r, &why);
	target_rest(&r->target);
	free(why); /* it comes again */
	trace_flush(r->writer);
}

void recorder_last_look(struct recorder *r)
{
	char *why = NULL;
	int result = 0;

	if (!r->has_state || r->has_ended || r->moving == MOVING_NOT || r->target.is_gone)
		return;
	if (r->is_held)
		result = recorder_gap(r, &why);
	else if (r->moving != MOVING_STEP || r->insn.kind == INSN_SYSCALL) /* else it stops by itself */
		target_hold(&r->target);
	while (result >= 0 && !r->has_ended && r->moving != MOVING_NOT) {
		if (target_is_suspended(&r->target))
			target_hold(&r->target);
		result = recorder_take(r, target_wait(&r->target, false), &why);
	}
	free(why);
}
