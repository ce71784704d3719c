/* SPDX-License-Identifier: MIT */
/*
 * The beginning: start or attach, find main, the library and its table; open the file.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "maps.h"
#include "recorder.h"

enum {
	MAX_START_STEPS = 64,         /* from the entry point to the call of __libc_start_main */
	ABOVE_MAIN = 256,             /* bytes above main's rsp that are shown: its caller's frame */
	ABOVE_ATTACHED = 64 * 1024,   /* somewhere there is main */
	STACK_MAX = 8 * 1024 * 1024,
};

/* --- output --------------------------------------------------------------------------- */

static void keep_early(struct pending_output *o, const char *bytes, size_t len)
{
	if (o->len + len > o->room) {
		size_t room = 2 * (o->len + len);
		char *grown = realloc(o->bytes, room);
		if (!grown)
			return;
		o->bytes = grown;
		o->room = room;
	}
	memcpy(o->bytes + o->len, bytes, len);
	o->len += len;
}

static void on_output(void *arg, const char *bytes, size_t len)
{
	struct recorder *r = arg;

	if (!r->options.is_quiet) {
		if (r->options.before_output)
			r->options.before_output();
		fwrite(bytes, 1, len, stdout);
		fflush(stdout);
	}
	if (r->has_state && r->writer)
		trace_add_output(r->writer, bytes, len); /* an error comes again, at the next step */
	else
		keep_early(&r->early, bytes, len);
}

/* --- to main ---------------------------------------------------------------------------- */

static uint64_t entry_point(pid_t pid)
{
	char path[64];
	Elf64_auxv_t aux;
	uint64_t entry = 0;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	FILE *f = fopen(path, "re");
	while (f && fread(&aux, sizeof(aux), 1, f) == 1 && aux.a_type != AT_NULL)
		if (aux.a_type == AT_ENTRY)
			entry = aux.a_un.a_val;
	if (f)
		fclose(f);
	return entry;
}

static int ended_early(struct recorder *r, struct stop stop, const char *where, char **why)
{
	int status = (int)stop.value;

	if (stop.kind == STOP_EXEC)
		return record_fail(why, "%s: started another program before it came to %s", r->program, where);
	if (WIFSIGNALED(status))
		return record_fail(why, "%s: killed by signal %d (%s) before it came to %s", r->program, WTERMSIG(status),
				   strsignal(WTERMSIG(status)), where);
	return record_fail(why, "%s: exited with status %d before it came to %s", r->program, WEXITSTATUS(status), where);
}

/* Run to @addr, or until @thread exists and is followed (addr 0). */
static int run_to(struct recorder *r, uint64_t addr, const char *where, char **why)
{
	struct target *t = &r->target;
	struct stop stop = { STOP_SIGNAL, 0 };

	target_break(t, 0, addr);
	for (;;) {
		if ((stop.kind == STOP_SIGNAL || stop.kind == STOP_HELD) && target_resume(t, false) != 0)
			return record_fail(why, "%s: cannot be resumed: %s", r->program, strerror(errno));
		stop = target_wait(t, false);
		if (recorder_is_interrupted(r))
			return record_fail(why, "%s: interrupted before it came to %s", r->program, where);
		if (stop.kind == STOP_BREAK || (stop.kind == STOP_HELD && !addr && !t->wanted)) /* else SIGCONT */
			break;
		if (stop.kind == STOP_EXIT || stop.kind == STOP_GONE || stop.kind == STOP_EXEC)
			return ended_early(r, stop, where, why);
	}
	target_break(t, 0, 0);
	return target_regs(t, &r->regs) == 0 ? 0 : record_fail(why, "%s: lost: %s", r->program, strerror(errno));
}

static int one_step(struct recorder *r, char **why)
{
	struct stop stop;

	if (target_resume(&r->target, true) != 0)
		return record_fail(why, "%s: cannot be resumed: %s", r->program, strerror(errno));
	do
		stop = target_wait(&r->target, false);
	while (stop.kind == STOP_NOTHING);
	if (stop.kind != STOP_STEP)
		return ended_early(r, stop, "main", why);
	return target_regs(&r->target, &r->regs) == 0 ? 0 : record_fail(why, "%s: lost", r->program);
}

/* The entry point calls __libc_start_main(main, ...): so main is found without symbols. */
static int go_to_main(struct recorder *r, char **why)
{
	uint64_t entry = entry_point(r->target.pid);
	const struct insn *insn;

	if (!entry)
		return record_fail(why, "%s: its entry point is not known (no /proc?)", r->program);
	if (run_to(r, entry, "its entry point", why) != 0)
		return -1;
	for (int i = 0; i < MAX_START_STEPS; i++) {
		insn = code_at(&r->code, r->regs.r[REG_RIP], target_read, &r->target);
		if (insn && insn->kind == INSN_CALL)
			return run_to(r, r->regs.r[REG_RDI], "main", why);
		if (one_step(r, why) != 0)
			return -1;
	}
	return run_to(r, entry, "main", why);
}

/* rsp as it is, or will be, on the thread's own stack. We may have attached to it while a
 * coroutine ran. */
static uint64_t rsp_of_main(struct recorder *r)
{
	uint64_t rsp = r->regs.r[REG_RSP], saved = 0;
	struct co_table table = { 0 };

	if (r->has_layout && r->layout.has_coroutines)
		co_table_read(&table, &r->layout, r->target.followed, target_read, &r->target);
	const struct co_info *main = table.n > 0 ? &table.cos[0] : NULL;
	if (main && !(rsp > main->lo && rsp <= main->hi) &&
	    target_read(&r->target, layout_ctx_field(&r->layout, main->ctx, REG_RSP), &saved, sizeof(saved)) && saved)
		rsp = saved;
	co_table_free(&table);
	return rsp;
}

/* What of the thread's own stack belongs to the picture. */
static void clip_own_stack(struct recorder *r)
{
	uint64_t rsp = rsp_of_main(r), lo = rsp > STACK_MAX ? rsp - STACK_MAX : 0;
	uint64_t hi = rsp + (r->target.is_ours ? ABOVE_MAIN : ABOVE_ATTACHED);
	uint64_t map_lo = 0;

	maps_clip(r->target.pid, rsp, &map_lo, &hi);
	if (!r->target.is_ours || r->target.followed != r->target.pid)
		lo = lo > map_lo ? lo : map_lo; /* a thread's does not grow */
	r->track.clip_lo = lo;
	r->track.clip_hi = hi & ~7ull;
}

/* --- who it is ---------------------------------------------------------------------------- */

static void find_program(struct recorder *r)
{
	char link[64], path[PATH_MAX];

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)r->target.pid);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = 0;
	r->program = strdup(n > 0 ? path : r->options.argv ? r->options.argv[0] : "?");
}

/* argv with spaces, malloc'ed. */
static char *command_line(const struct recorder *r)
{
	char path[64], *text = NULL;
	size_t room = 0;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)r->target.pid);
	FILE *f = fopen(path, "re"), *out = open_memstream(&text, &room);
	for (int c; f && out && (c = getc(f)) != EOF;)
		putc(c ? c : ' ', out);
	if (f)
		fclose(f);
	if (out)
		fclose(out);
	if (text)
		for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--)
			text[n - 1] = 0;
	return text;
}

static void set_breaks(struct recorder *r)
{
	struct target *t = &r->target;

	if (r->options.mode == RECORD_FROM_TO)
		target_break(t, BREAK_FROM, r->from_at);
	if (r->options.mode != RECORD_SWITCH)
		return;
	target_break(t, BREAK_SWAP, r->coctx_swap.lo);
	target_break(t, BREAK_CO_SWAP, r->co_swap.lo);
	target_break(t, BREAK_MAKE, r->coctx_make.lo);
}

/* --- the file -------------------------------------------------------------------------------- */

static int open_trace(struct recorder *r, const struct trace_map *maps, size_t n, char **why)
{
	static const char *const modes[] = { [RECORD_SWITCH] = "switch", [RECORD_ALL] = "all",
					     [RECORD_FROM_TO] = "from-to" };
	struct stat program, file;
	if (stat(r->program, &program) == 0 && stat(r->options.path, &file) == 0 && program.st_dev == file.st_dev &&
	    program.st_ino == file.st_ino)
		return record_fail(why, "%s: the trace would overwrite the program (-o FILE puts it elsewhere)",
				   r->options.path);
	char *command = command_line(r);
	struct trace_info info = { .command = command ? command : "", .program = r->program, .tid = r->target.followed,
				   .mode = modes[r->options.mode], .has_layout = r->has_layout, .layout = r->layout };
	int result = trace_create(&r->writer, r->options.path, &info);

	for (size_t i = 0; i < n && result == 0; i++)
		result = trace_add_map(r->writer, &maps[i]);
	free(command);
	return result == 0 ? 0 : record_fail(why, "%s: the trace cannot be written: %s (-o FILE puts it elsewhere)",
					     r->options.path, strerror(errno));
}

static int start_target(struct recorder *r, char **why)
{
	const struct record_options *o = &r->options;

	r->target = (struct target){ .output = -1, .on_output = on_output, .on_output_arg = r };
	if (!o->argv) {
		if (target_attach(&r->target, o->pid, o->thread, why) != 0)
			return -1;
		find_program(r);
		return target_regs(&r->target, &r->regs) == 0 ? 0 : record_fail(why, "process %d: %s", (int)o->pid, strerror(errno));
	}
	if (target_spawn(&r->target, o->argv, o->has_no_input, why) != 0)
		return -1;
	find_program(r);
	if (go_to_main(r, why) != 0)
		return -1;
	if (o->thread == 0)
		return 0;
	char where[64];
	snprintf(where, sizeof(where), "a thread %d (the first is 0)", o->thread);
	r->target.wanted = o->thread;
	return run_to(r, 0, where, why);
}

int recorder_open(struct recorder *r, char **why)
{
	struct trace_map *maps;

	if (start_target(r, why) != 0)
		return -1;
	size_t n = maps_of_files(r->target.pid, &maps);
	r->symbols = symbols_new();
	if (!r->symbols) {
		maps_free(maps, n);
		return record_fail(why, "no memory for the recorder");
	}
	for (size_t i = 0; i < n; i++)
		symbols_add_map(r->symbols, maps[i].path, maps[i].lo, maps[i].hi, maps[i].offset);
	symbols_ready(r->symbols);
	int result = recorder_find_library(r, maps, n, why);
	if (result == 0)
		result = recorder_find_places(r, why);
	if (result == 0)
		result = open_trace(r, maps, n, why);
	maps_free(maps, n);
	if (result != 0)
		return -1;
	track_begin(&r->track, &r->target, r->has_layout ? &r->layout : NULL, r->target.followed);
	clip_own_stack(r);
	track_stack(&r->track, r->track.clip_lo, r->track.clip_hi);
	set_breaks(r);
	return 0;
}
