/* SPDX-License-Identifier: MIT */
/* The table of debug.h. tests/ holds every line of it against the DWARF. */
#include "debug.h"

#include "env.h"

#define FIELD(label, type, field) \
	{ label "." #field, offsetof(type, field), sizeof(((type *)0)->field) }
#define NAMED(name, type, field) \
	{ name, offsetof(type, field), sizeof(((type *)0)->field) }
#define WHOLE(label, type) \
	{ "sizeof." label, 0, sizeof(type) }

const struct co_debug_layout co_debug_layout __attribute__((used)) = {
	.magic = "costep layout",
	.version = CO_DEBUG_VERSION,
	.n_states = CO_DEBUG_STATES,
	.n_fields = 44,
	.field_size = sizeof(struct co_debug_field),
	.envs = &co_envs,
	.states = {
		[CO_NEW] = "new",
		[CO_SUSPENDED] = "suspended",
		[CO_READY] = "ready",
		[CO_RUNNING] = "running",
		[CO_NORMAL] = "normal",
		[CO_WAITING] = "waiting",
		[CO_DONE] = "done",
	},
	.fields = {
		WHOLE("coctx", struct coctx),
		FIELD("coctx", struct coctx, rbx),
		FIELD("coctx", struct coctx, rbp),
		FIELD("coctx", struct coctx, r12),
		FIELD("coctx", struct coctx, r13),
		FIELD("coctx", struct coctx, r14),
		FIELD("coctx", struct coctx, r15),
		FIELD("coctx", struct coctx, rsp),
		FIELD("coctx", struct coctx, rip),
		FIELD("coctx", struct coctx, mxcsr),
		FIELD("coctx", struct coctx, x87cw),
		WHOLE("list", struct list),
		FIELD("list", struct list, prev),
		FIELD("list", struct list, next),
		WHOLE("stack", struct co_stack),
		FIELD("stack", struct co_stack, lo),
		FIELD("stack", struct co_stack, hi),
		FIELD("stack", struct co_stack, guard_len),
		FIELD("stack", struct co_stack, save_buffer),
		FIELD("stack", struct co_stack, save_len),
		FIELD("stack", struct co_stack, ops),
		WHOLE("stack_ops", struct co_stack_ops),
		FIELD("stack_ops", struct co_stack_ops, enter),
		WHOLE("co", struct co),
		NAMED("co.ctx", struct co, exec.ctx),
		NAMED("co.stack", struct co, exec.stack),
		NAMED("co.link", struct co, exec.link),
		FIELD("co", struct co, resumer),
		FIELD("co", struct co, env),
		FIELD("co", struct co, fn),
		FIELD("co", struct co, state),
		FIELD("co", struct co, id),
		FIELD("co", struct co, name),
		FIELD("co", struct co, in_env),
		FIELD("co", struct co, created_at),
		FIELD("co", struct co, blocked_at),
		FIELD("co", struct co, n_resumes),
		WHOLE("env", struct co_env),
		FIELD("env", struct co_env, main),
		FIELD("env", struct co_env, running),
		FIELD("env", struct co_env, all),
		FIELD("env", struct co_env, in_envs),
		FIELD("env", struct co_env, tid),
		FIELD("env", struct co_env, inside),
	},
};
