/* SPDX-License-Identifier: MIT */
/*
 * The table co_debug_layout: where each field is. (What it leads to is in co_table.c.)
 *
 * The table comes from a program, or from a trace of one: no number in it is believed
 * before it was looked at.
 */
#include "layout.h"

#include <string.h>

enum { MAX_STRUCT = 64 * 1024 }; /* bytes; ours have some hundred */

static const char *const field_names[N_LAYOUT_FIELDS] = {
	"sizeof.coctx", "coctx.rbx", "coctx.rbp", "coctx.r12", "coctx.r13", "coctx.r14", "coctx.r15", "coctx.rsp",
	"coctx.rip", "coctx.mxcsr", "coctx.x87cw",
	"list.prev", "list.next",
	"stack.lo", "stack.hi", "stack.guard_len", "stack.save_buffer", "stack.save_len",
	"sizeof.co", "co.ctx", "co.stack", "co.link", "co.resumer", "co.env", "co.fn", "co.state", "co.id", "co.name",
	"co.in_env", "co.created_at", "co.blocked_at", "co.n_resumes",
	"sizeof.env", "env.main", "env.running", "env.all", "env.in_envs", "env.tid",
	"stack.ops", "stack_ops.enter",
};

/* The text that `why` points to, one for each field that can be missing. */
static const char *missing(unsigned field)
{
#define MISSING(name) "its co_debug_layout has no " name ": it is of an older costep"
	static const char *const texts[N_NEEDED_FIELDS] = {
		MISSING("sizeof.coctx"), MISSING("coctx.rbx"), MISSING("coctx.rbp"), MISSING("coctx.r12"),
		MISSING("coctx.r13"), MISSING("coctx.r14"), MISSING("coctx.r15"), MISSING("coctx.rsp"),
		MISSING("coctx.rip"), MISSING("coctx.mxcsr"), MISSING("coctx.x87cw"), MISSING("list.prev"),
		MISSING("list.next"), MISSING("stack.lo"), MISSING("stack.hi"), MISSING("stack.guard_len"),
		MISSING("stack.save_buffer"), MISSING("stack.save_len"), MISSING("sizeof.co"), MISSING("co.ctx"),
		MISSING("co.stack"), MISSING("co.link"), MISSING("co.resumer"), MISSING("co.env"), MISSING("co.fn"),
		MISSING("co.state"), MISSING("co.id"), MISSING("co.name"), MISSING("co.in_env"), MISSING("co.created_at"),
		MISSING("co.blocked_at"), MISSING("co.n_resumes"), MISSING("sizeof.env"), MISSING("env.main"),
		MISSING("env.running"), MISSING("env.all"), MISSING("env.in_envs"), MISSING("env.tid"),
	};
#undef MISSING
	return texts[field];
}

/* --- the table ------------------------------------------------------------------------ */

static const struct co_debug_field *find_field(const struct co_debug_layout *table, const char *name)
{
	for (uint32_t i = 0; i < table->n_fields; i++)
		if (strncmp(table->fields[i].name, name, sizeof(table->fields[i].name)) == 0)
			return &table->fields[i];
	return NULL;
}

/* The whole struct that @field is in, if its size is told. */
static uint32_t whole_of(const struct layout *l, unsigned field)
{
	if (field < N_CONTEXT_FIELDS)
		return l->size[L_COCTX];
	if (field >= L_CO && field < L_ENV)
		return l->size[L_CO];
	return field >= L_ENV && field < N_NEEDED_FIELDS ? l->size[L_ENV] : MAX_STRUCT;
}

/* Within its struct; and a number, but for the name and the structs inside others, has at
 * most eight bytes. */
static bool is_possible(const struct layout *l, unsigned field)
{
	uint64_t offset = l->offset[field], size = l->size[field], whole = whole_of(l, field);
	bool is_whole = field == L_COCTX || field == L_CO || field == L_ENV;
	bool is_inside = field == L_CO_CTX || field == L_CO_IN_ENV || field == L_CO_NAME || field == L_ENV_MAIN ||
			 field == L_ENV_ALL || field == L_ENV_IN_ENVS;

	if (size == 0 || whole > MAX_STRUCT || offset + size > whole)
		return false;
	return is_whole || is_inside || size <= 8;
}

static bool take_fields(struct layout *l, unsigned n, const char **why)
{
	for (unsigned i = 0; i < n; i++) {
		const struct co_debug_field *f = find_field(&l->table, field_names[i]);
		if (!f && i >= N_NEEDED_FIELDS)
			continue;
		if (!f) {
			*why = missing(i);
			return false;
		}
		l->offset[i] = strncmp(field_names[i], "sizeof.", 7) == 0 ? 0 : f->offset;
		l->size[i] = f->size;
	}
	for (unsigned i = 0; i < n; i++) {
		if (!is_possible(l, i) && (i < N_NEEDED_FIELDS || l->size[i] > 0)) {
			*why = "its co_debug_layout is damaged: a field lies outside of its struct";
			return false;
		}
	}
	return true;
}

bool layout_parse(struct layout *l, const struct co_debug_layout *table, const char **why)
{
	memset(l, 0, sizeof(*l));
	l->table = *table;
	table = &l->table;
	if (strncmp(table->magic, "costep layout", sizeof(table->magic)) != 0) {
		*why = "its co_debug_layout does not begin with \"costep layout\"";
		return false;
	}
	if (table->version != CO_DEBUG_VERSION) {
		*why = "its co_debug_layout has another version than this coviz knows: use the coviz of the same costep";
		return false;
	}
	if (table->n_states > CO_DEBUG_STATES || table->n_fields > CO_DEBUG_FIELDS ||
	    table->field_size != sizeof(struct co_debug_field)) {
		*why = "its co_debug_layout is damaged: it says that it is larger than it is";
		return false;
	}
	for (int i = 0; i < CO_DEBUG_STATES; i++)
		l->table.states[i][sizeof(l->table.states[i]) - 1] = 0;
	l->has_coroutines = table->envs != NULL;
	return take_fields(l, l->has_coroutines ? N_LAYOUT_FIELDS : N_CONTEXT_FIELDS, why);
}

bool layout_from_fields(struct layout *l, bool (*field)(void *arg, const char *name, uint32_t *offset, uint32_t *size),
			void *arg, const char **why)
{
	struct co_debug_layout table = { .magic = "costep layout", .version = CO_DEBUG_VERSION,
					 .n_fields = N_CONTEXT_FIELDS, .field_size = sizeof(struct co_debug_field) };
	struct co_debug_field *whole = &table.fields[L_COCTX];

	strcpy(whole->name, field_names[L_COCTX]);
	for (unsigned i = L_COCTX + 1; i < N_CONTEXT_FIELDS; i++) {
		struct co_debug_field *f = &table.fields[i];
		strcpy(f->name, field_names[i]);
		if (!field(arg, field_names[i] + strlen("coctx."), &f->offset, &f->size)) {
			*why = "its debug information does not tell the fields of struct coctx: build it with -g";
			return false;
		}
		if (f->offset < MAX_STRUCT && f->size <= 8 && f->offset + f->size > whole->size)
			whole->size = (f->offset + f->size + 7) / 8 * 8;
	}
	return layout_parse(l, &table, why);
}

/* --- contexts ----------------------------------------------------------------------------- */

static const uint8_t ctx_regs[] = { REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15, REG_RSP, REG_RIP, REG_MXCSR,
				    REG_X87CW };

uint64_t layout_ctx_field(const struct layout *l, uint64_t ctx, enum reg reg)
{
	for (unsigned i = 0; i < sizeof(ctx_regs); i++)
		if (ctx_regs[i] == reg && ctx)
			return ctx + l->offset[L_CTX_RBX + i];
	return 0;
}

size_t layout_ctx_size(const struct layout *l)
{
	return l->size[L_COCTX];
}

bool layout_ctx_read(const struct layout *l, uint64_t ctx, struct regs *regs, read_fn *read, void *arg)
{
	memset(regs, 0, sizeof(*regs));
	for (unsigned i = 0; i < sizeof(ctx_regs); i++)
		if (!ctx || !read(arg, ctx + l->offset[L_CTX_RBX + i], &regs->r[ctx_regs[i]], l->size[L_CTX_RBX + i]))
			return false;
	return true;
}

const char *layout_field_at(const struct layout *l, const char *of, uint64_t offset, uint64_t *inside)
{
	size_t len = strlen(of);

	for (unsigned i = 0; i < (l->has_coroutines ? N_LAYOUT_FIELDS : N_CONTEXT_FIELDS); i++) {
		if (strncmp(field_names[i], of, len) == 0 && field_names[i][len] == '.' && offset >= l->offset[i] &&
		    offset - l->offset[i] < l->size[i]) {
			*inside = offset - l->offset[i];
			return field_names[i] + len + 1;
		}
	}
	return NULL;
}
