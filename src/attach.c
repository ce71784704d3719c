/* SPDX-License-Identifier: MIT */
/* A list that coroutines carry for others. */
#include "attach.h"

#include "env.h"

void co_attach(struct co *co, struct co_attachment *a)
{
	a->next = co->attachments;
	co->attachments = a;
}

struct co_attachment *co_attached(const struct co *co, const void *owner)
{
	struct co_attachment *a = co->attachments;

	while (a && a->owner != owner)
		a = a->next;
	return a;
}

void co_detach(struct co *co, struct co_attachment *a)
{
	for (struct co_attachment **p = &co->attachments; *p; p = &(*p)->next)
		if (*p == a) {
			*p = a->next;
			return;
		}
}

void co_drop_attachments(struct co *co)
{
	for (struct co_attachment *a; (a = co->attachments);) {
		co->attachments = a->next;
		a->drop(a);
	}
}
