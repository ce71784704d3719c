/* SPDX-License-Identifier: MIT */
/*
 * Two tables are compared. Recorded step by step each change is seen alone: a resume, for
 * example, when env->running is written; resumer and states were set before.
 */
#include "notice.h"

#include <string.h>

struct noticing {
	const struct layout *l;
	const struct co_table *before, *now;
	void (*fn)(void *arg, const struct notice *n);
	void *arg;
};

bool state_is(const struct layout *l, const struct co_info *co, const char *name)
{
	return co->state < l->table.n_states && strcmp(l->table.states[co->state], name) == 0;
}

static void tell(struct noticing *k, enum event_kind kind, const struct co_info *who, const struct co_info *other,
		 uint64_t value)
{
	struct notice n = { kind, who, other, value };

	k->fn(k->arg, &n);
}

/* Who number @i was before; NULL: it is new. Its memory may have been another's. */
static const struct co_info *earlier(const struct noticing *k, size_t i)
{
	const struct co_info *now = &k->now->cos[i], *was = i < k->before->n ? &k->before->cos[i] : NULL;

	if (!was || was->co != now->co) /* most are where they were */
		was = co_table_by_co(k->before, now->co);
	return was && was->id == now->id ? was : NULL;
}

static void notice_created(struct noticing *k, const struct co_info *running)
{
	for (size_t i = 0; i < k->now->n; i++) {
		const struct co_info *co = &k->now->cos[i];
		if (!co->is_main && !earlier(k, i))
			tell(k, EVENT_CREATE, co, running, 0);
	}
}

static void notice_copied(struct noticing *k)
{
	for (size_t i = 0; i < k->now->n; i++) {
		const struct co_info *co = &k->now->cos[i], *was = earlier(k, i);
		if (!was || was->save_len == co->save_len)
			continue;
		if (co->save_len > 0)
			tell(k, EVENT_SAVE, co, NULL, co->save_len);
		else if (co->hi == was->hi) /* else it was reset */
			tell(k, EVENT_RESTORE, co, NULL, was->save_len);
	}
}

static void notice_woken(struct noticing *k, const struct co_info *running)
{
	for (size_t i = 0; i < k->now->n; i++) {
		const struct co_info *co = &k->now->cos[i], *was = earlier(k, i);
		if (was && state_is(k->l, was, "waiting") && state_is(k->l, co, "ready"))
			tell(k, EVENT_WAKE, co, running, 0);
	}
}

/* Who ran before, as it is now. NULL: it is gone. */
static const struct co_info *ran(const struct noticing *k)
{
	if (!k->before->env && k->now->n > 0) /* there were no coroutines yet: main */
		return &k->now->cos[0];
	return co_table_by_co(k->now, k->before->running);
}

static void notice_switch(struct noticing *k)
{
	const struct co_info *was = ran(k), *now = co_table_by_co(k->now, k->now->running);

	if (!was || !now || was == now)
		return;
	if (now->resumer == was->co)
		tell(k, EVENT_RESUME, now, was, 0);
	else if (state_is(k->l, was, "done"))
		tell(k, EVENT_EXIT, was, now, 0);
	else if (state_is(k->l, was, "waiting"))
		tell(k, EVENT_PARK, was, now, 0);
	else
		tell(k, EVENT_YIELD, was, now, 0);
}

void notice(const struct layout *l, const struct co_table *before, const struct co_table *now,
	    void (*fn)(void *arg, const struct notice *n), void *arg)
{
	struct noticing k = { l, before, now, fn, arg };
	const struct co_info *running = co_table_by_co(now, now->running);

	notice_created(&k, ran(&k) ? ran(&k) : running);
	notice_copied(&k);
	notice_woken(&k, running);
	notice_switch(&k);
}
