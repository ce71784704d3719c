/* SPDX-License-Identifier: MIT */
/*
 * A shadow of the program's memory. After each step the few words that the instruction
 * can have written are read and compared with it; what differs goes into the trace. Where
 * nobody knows what was written (system calls, steps that were not recorded) all is read.
 */
#include "track.h"

#include <stdlib.h>
#include <string.h>

enum {
	RED_ZONE = 128,           /* below rsp, System V ABI, AMD64, 3.2.2 */
	OTHERS_MAX = 1024 * 1024, /* bytes of others' stacks that one snapshot looks at */
};

/* --- words ---------------------------------------------------------------------------- */

static void note(struct track *k, uint64_t addr, uint64_t value)
{
	if (k->n_words == k->words_room) {
		size_t room = k->words_room ? 2 * k->words_room : 256;
		struct trace_word *grown = realloc(k->words, room * sizeof(*grown));
		if (!grown) {
			k->is_out_of_memory = true;
			return;
		}
		k->words = grown;
		k->words_room = room;
	}
	k->words[k->n_words++] = (struct trace_word){ addr, value };
	if (memory_set_word(&k->shadow, addr, value) != 0)
		k->is_out_of_memory = true;
}

/* Returns how many differ from what was known (new ones do not count). */
static uint64_t compare(struct track *k, uint64_t addr, const uint64_t *words, size_t n)
{
	uint64_t differ = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t known;
		bool is_known = memory_word(&k->shadow, addr + 8 * i, &known);
		if (is_known && known == words[i])
			continue;
		differ += is_known;
		note(k, addr + 8 * i, words[i]);
	}
	return differ;
}

/* --- batches: many ranges, few calls --------------------------------------------------- */

static void *grow(void *array, size_t *room, size_t need, size_t size)
{
	if (need <= *room)
		return array;
	size_t more = *room ? *room : 64;
	while (more < need)
		more *= 2;
	void *grown = realloc(array, more * size);
	if (grown)
		*room = more;
	return grown;
}

static void batch_add(struct track *k, uint64_t lo, uint64_t hi)
{
	lo &= ~7ull;
	hi = (hi + 7) & ~7ull;
	if (lo >= hi)
		return;
	void *batch = grow(k->batch, &k->batch_room, k->n_batch + 1, sizeof(*k->batch));
	if (batch)
		k->batch = batch;
	void *bytes = grow(k->bytes, &k->bytes_room, k->n_bytes + (hi - lo) / 8, 8);
	if (bytes)
		k->bytes = bytes;
	if (!batch || !bytes) {
		k->is_out_of_memory = true;
		return;
	}
	k->batch[k->n_batch++] = (struct target_range){ .addr = lo, .len = hi - lo };
	k->n_bytes += (hi - lo) / 8;
}

static uint64_t batch_compare(struct track *k)
{
	uint64_t differ = 0;
	uint64_t *at = k->bytes;

	for (size_t i = 0; i < k->n_batch; i++) {
		k->batch[i].to = at;
		at += k->batch[i].len / 8;
	}
	target_read_many(k->target, k->batch, k->n_batch);
	for (size_t i = 0; i < k->n_batch; i++)
		if (k->batch[i].is_read)
			differ += compare(k, k->batch[i].addr, k->batch[i].to, k->batch[i].len / 8);
	k->n_batch = k->n_bytes = 0;
	return differ;
}

/* --- what is in use --------------------------------------------------------------------- */

/* Of the stack [@lo, @hi) what is in use, and @below bytes more. */
static void batch_stack(struct track *k, uint64_t rsp, uint64_t lo, uint64_t hi, uint64_t below, size_t *budget)
{
	if (k->clip_hi > lo && k->clip_hi < hi)
		hi = k->clip_hi;
	if (hi == 0 || rsp < lo || rsp > hi)
		return;
	uint64_t from = rsp - lo > below ? rsp - below : lo;
	if (hi - from > *budget)
		return;
	*budget -= hi - from;
	batch_add(k, from, hi);
}

static uint64_t saved_rsp(const struct track *k, uint64_t ctx)
{
	uint64_t at = k->layout ? layout_ctx_field(k->layout, ctx, REG_RSP) : 0, rsp;

	return at && memory_read((void *)&k->shadow, at, &rsp, sizeof(rsp)) ? rsp : 0;
}

static void batch_stacks(struct track *k, const struct regs *regs, uint64_t below)
{
	uint64_t rsp = regs->r[REG_RSP];
	const struct range *mine = ranges_find(&k->stacks, rsp);
	size_t budget = SIZE_MAX;

	if (!mine && rsp > 0) /* empty */
		mine = ranges_find(&k->stacks, rsp - 1);
	if (mine)
		batch_stack(k, rsp, mine->lo, mine->hi, below, &budget);
	budget = OTHERS_MAX;
	for (size_t i = 0; i < k->table.n; i++) {
		const struct co_info *co = &k->table.cos[i];
		if (co->hi && !co->save_len)
			batch_stack(k, saved_rsp(k, co->ctx), co->lo, co->hi, below, &budget);
	}
	for (size_t i = 0; i < k->n_contexts; i++)
		batch_stack(k, saved_rsp(k, k->contexts[i].ctx), k->contexts[i].lo, k->contexts[i].hi, below, &budget);
}

static void batch_ranges(struct track *k)
{
	for (size_t i = 0; i < k->ranges.n; i++)
		batch_add(k, k->ranges.all[i].lo, k->ranges.all[i].hi);
}

/* --- the table ------------------------------------------------------------------------- */

bool track_read(void *arg, uint64_t addr, void *to, size_t len)
{
	struct track *k = arg;
	const struct range *range = k->recent < k->ranges.n ? &k->ranges.all[k->recent] : NULL;

	if (!range || addr < range->lo || addr >= range->hi) { /* the fields of a struct come together */
		range = ranges_find(&k->ranges, addr);
		k->recent = range ? (size_t)(range - k->ranges.all) : 0;
	}
	/* Only what is tracked now: the shadow remembers the dead, too. */
	if (range && len <= range->hi - addr && memory_read(&k->shadow, addr, to, len))
		return true;
	return target_read(k->target, addr, to, len);
}

static void append(struct track *k, struct ranges *r, uint64_t addr, size_t len)
{
	if (len == 0 || addr > UINT64_MAX - len - 8)
		return;
	if (ranges_append(r, addr & ~7ull, (addr + len + 7) & ~7ull) != 0)
		k->is_out_of_memory = true;
}

static void append_range(void *arg, uint64_t addr, size_t len)
{
	struct track *k = arg;

	append(k, &k->ranges, addr, len);
}

/* Its bytes that are out; or those that would be, for the buffer is filled first, and
 * then they are said to be there. */
static size_t buffer_len(const struct track *k, const struct co_info *co)
{
	uint64_t rsp = saved_rsp(k, co->ctx);

	if (co->save_len > 0 || !co->save_buffer || co->hi <= co->lo)
		return co->save_len;
	return rsp > co->lo && rsp < co->hi ? co->hi - rsp : 0;
}

/* Those that are not in @old are read. */
static void batch_new(struct track *k, const struct ranges *old)
{
	for (size_t i = 0; i < k->ranges.n; i++) {
		const struct range *now = &k->ranges.all[i], *before = ranges_find(old, now->lo);
		if (!before || before->hi < now->hi)
			batch_add(k, now->lo, now->hi);
	}
}

/* Make the lists of ranges anew. */
static void renew_ranges(struct track *k)
{
	struct ranges old = k->ranges;

	k->ranges = (struct ranges){ 0 };
	k->ctxs.n = k->buffers.n = 0;
	k->has_buffers = false;
	co_table_each_range(&k->table, k->layout, append_range, k);
	for (size_t i = 0; i < k->table.n; i++) {
		const struct co_info *co = &k->table.cos[i];
		size_t len = buffer_len(k, co);
		k->has_buffers |= co->save_buffer != 0;
		append(k, &k->ctxs, co->ctx, layout_ctx_size(k->layout));
		append(k, &k->buffers, co->save_buffer, len);
		append(k, &k->ranges, co->save_buffer, len);
		if (co->hi > co->lo)
			track_stack(k, co->lo, co->hi);
	}
	for (size_t i = 0; i < k->n_contexts; i++) {
		append(k, &k->ctxs, k->contexts[i].ctx, layout_ctx_size(k->layout));
		append(k, &k->ranges, k->contexts[i].ctx, layout_ctx_size(k->layout));
		append(k, &k->ctxs, k->contexts[i].link, k->contexts[i].link ? 8 : 0);
		append(k, &k->ranges, k->contexts[i].link, k->contexts[i].link ? 8 : 0);
	}
	ranges_settle(&k->ranges);
	ranges_settle(&k->ctxs);
	ranges_settle(&k->buffers);
	batch_new(k, &old);
	batch_compare(k);
	ranges_free(&old);
}

void track_table(struct track *k)
{
	struct co_table old = k->before;

	k->is_table_stale = false;
	if (!k->layout || !k->layout->has_coroutines)
		return;
	k->before = k->table;
	k->table = old;
	co_table_read(&k->table, k->layout, k->tid, track_read, k);
	renew_ranges(k);
}

/* --- public --------------------------------------------------------------------------- */

void track_begin(struct track *k, struct target *target, const struct layout *layout, int tid)
{
	*k = (struct track){ .target = target, .layout = layout, .tid = tid };
}

void track_end(struct track *k)
{
	memory_free(&k->shadow);
	co_table_free(&k->table);
	co_table_free(&k->before);
	ranges_free(&k->ranges);
	ranges_free(&k->ctxs);
	ranges_free(&k->buffers);
	ranges_free(&k->stacks);
	free(k->contexts);
	free(k->words);
	free(k->batch);
	free(k->bytes);
}

void track_begin_step(struct track *k)
{
	k->n_words = 0;
}

void track_stack(struct track *k, uint64_t lo, uint64_t hi)
{
	if (k->clip_hi > lo && k->clip_hi < hi) {
		hi = k->clip_hi;
		if (lo < k->clip_lo)
			lo = k->clip_lo;
	}
	if (ranges_add(&k->stacks, lo, hi) != 0)
		k->is_out_of_memory = true;
}

/* Begin to track [@addr, @addr + @len), which tells nothing to the table. */
static void add_to_contexts(struct track *k, uint64_t addr, size_t len)
{
	if (len == 0 || addr > UINT64_MAX - len - 8)
		return;
	uint64_t lo = addr & ~7ull, hi = (addr + len + 7) & ~7ull;
	if (ranges_add(&k->ranges, lo, hi) != 0 || ranges_add(&k->ctxs, lo, hi) != 0)
		k->is_out_of_memory = true;
	batch_add(k, lo, hi);
	batch_compare(k);
}

void track_context(struct track *k, struct track_context context)
{
	size_t i = 0;

	while (i < k->n_contexts && k->contexts[i].ctx != context.ctx)
		i++;
	if (i == k->n_contexts) {
		void *grown = grow(k->contexts, &k->contexts_room, i + 1, sizeof(*k->contexts));
		if (!grown) {
			k->is_out_of_memory = true;
			return;
		}
		k->contexts = grown;
		k->contexts[k->n_contexts++] = (struct track_context){ .ctx = context.ctx };
		add_to_contexts(k, context.ctx, k->layout ? layout_ctx_size(k->layout) : 0);
	}
	struct track_context *c = &k->contexts[i];
	if (context.hi > context.lo && (context.lo != c->lo || context.hi != c->hi)) {
		size_t budget = OTHERS_MAX;
		c->lo = context.lo;
		c->hi = context.hi;
		track_stack(k, c->lo, c->hi);
		batch_stack(k, saved_rsp(k, c->ctx), c->lo, c->hi, RED_ZONE, &budget);
		batch_compare(k);
	}
	if (context.link && context.link != c->link) {
		c->link = context.link;
		add_to_contexts(k, c->link, 8);
	}
}

static void written_in(struct track *k, const struct ranges *r, uint64_t addr, uint64_t end)
{
	for (size_t i = ranges_above(r, addr); i < r->n && r->all[i].lo < end; i++)
		batch_add(k, addr > r->all[i].lo ? addr : r->all[i].lo, end < r->all[i].hi ? end : r->all[i].hi);
	if (k->n_batch > 0)
		batch_compare(k);
}

/* Does what is written to it change what the table says? The registers in a context and
 * the bytes in a buffer do not. */
static bool is_of_table(const struct track *k, uint64_t addr)
{
	return ranges_find(&k->ranges, addr) && !ranges_find(&k->ctxs, addr) && !ranges_find(&k->buffers, addr);
}

void track_written(struct track *k, uint64_t addr, size_t len)
{
	if (len == 0 || addr > UINT64_MAX - len - 8)
		return;
	size_t before = k->n_words;
	written_in(k, &k->ranges, addr, addr + len);
	if (k->n_words > before && is_of_table(k, addr))
		k->is_table_stale = true;
	written_in(k, &k->stacks, addr, addr + len);
}

void track_snapshot(struct track *k, const struct regs *regs)
{
	batch_ranges(k);
	batch_compare(k);
	track_table(k);
	batch_stacks(k, regs, RED_ZONE); /* after the contexts: they say where a stack's use ends */
	batch_compare(k);
}

struct verifying {
	struct track *track;
	const struct ranges *of;
};

static int batch_run(void *arg, uint64_t addr, const uint64_t *words, size_t n)
{
	struct verifying *v = arg;
	uint64_t end = addr + 8 * n;

	(void)words;
	for (size_t i = ranges_above(v->of, addr); i < v->of->n && v->of->all[i].lo < end; i++) {
		uint64_t lo = addr > v->of->all[i].lo ? addr : v->of->all[i].lo;
		uint64_t hi = end < v->of->all[i].hi ? end : v->of->all[i].hi;
		batch_add(v->track, lo, hi);
	}
	return 0;
}

uint64_t track_verify(struct track *k, const struct regs *regs, bool is_whole)
{
	struct verifying v = { k, &k->stacks };

	batch_ranges(k);
	if (is_whole)
		memory_each_run(&k->shadow, batch_run, &v);
	else
		batch_stacks(k, regs, 0); /* below rsp there may be words of long ago */
	uint64_t differ = batch_compare(k);
	if (differ)
		k->is_table_stale = true;
	return differ;
}
