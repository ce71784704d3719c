/* SPDX-License-Identifier: MIT */
/*
 * setenv, getenv, unsetenv, for variables that each coroutine has for itself.
 *
 * A coroutine begins with none of its own, and then sees the process's. What it
 * sets or unsets, it alone sees.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "attach.h"
#include "coroutine.h"
#include "hook.h"
#include "hooks.h"

/* The names that were listed. Read without a lock, so a list is never changed,
 * only replaced by a longer one; the old ones stay, for whoever reads them. */
struct listed {
	size_t n;
	const struct listed *before;
	char *name[];
};

static _Atomic(const struct listed *) listed;

static bool is_in(const struct listed *list, const char *name)
{
	for (; list; list = list->before)
		for (size_t i = 0; i < list->n; i++)
			if (strcmp(list->name[i], name) == 0)
				return true;
	return false;
}

int co_set_env_list(const char *const names[], size_t n)
{
	const struct listed *before = atomic_load(&listed);

	for (size_t i = 0; i < n; i++)
		if (!names[i] || !*names[i] || strchr(names[i], '=')) {
			errno = EINVAL;
			return -1;
		}
	struct listed *list = calloc(1, sizeof(*list) + n * sizeof(list->name[0]));
	if (!list)
		return -1;
	for (; list->n < n; list->n++)
		if (!(list->name[list->n] = strdup(names[list->n])))
			goto no_memory;
	do {
		list->before = before;
	} while (!atomic_compare_exchange_weak(&listed, &before, list));
	return 0;

no_memory:
	while (list->n > 0)
		free(list->name[--list->n]);
	free(list);
	errno = ENOMEM;
	return -1;
}

/* --- a coroutine's own values ------------------------------------------------------------ */

struct variable {
	struct co_attachment attachment; /* owner: variables */
	char *name;
	char *value; /* NULL: unset, for this coroutine */
};

static const char variables;

static void drop_variable(struct co_attachment *a)
{
	struct variable *v = (struct variable *)a;

	free(v->name);
	free(v->value);
	free(v);
}

static struct variable *own(const char *name)
{
	struct co_attachment *a = co_attached(co_self(), &variables);

	for (; a; a = a->next)
		if (a->owner == &variables && strcmp(((struct variable *)a)->name, name) == 0)
			return (struct variable *)a;
	return NULL;
}

/* Is @name one of this coroutine's own, here and now? No waiting is involved, so
 * this does not ask where the stack pointer is. */
static bool is_own_name(const char *name)
{
	const struct listed *list = atomic_load_explicit(&listed, memory_order_acquire);
	return list && name && is_in(list, name) && co_is_enable_sys_hook();
}

/* @value NULL: unset. */
static int set_own(const char *name, const char *value)
{
	struct variable *v = own(name);
	char *copied = value ? strdup(value) : NULL;

	if (value && !copied)
		return -1;
	if (!v) {
		v = calloc(1, sizeof(*v));
		if (!v || !(v->name = strdup(name))) {
			free(v);
			free(copied);
			errno = ENOMEM;
			return -1;
		}
		v->attachment = (struct co_attachment){ .owner = &variables, .drop = drop_variable };
		co_attach(co_self(), &v->attachment);
	}
	free(v->value);
	v->value = copied;
	return 0;
}

/* What it has itself, or else the process. */
static char *find(const char *name)
{
	struct variable *v = own(name);
	return v ? v->value : REAL(getenv)(name);
}

HOOKED char *getenv(const char *name)
{
	return is_own_name(name) ? find(name) : REAL(getenv)(name);
}

HOOKED int setenv(const char *name, const char *value, int overwrite)
{
	if (!is_own_name(name))
		return REAL(setenv)(name, value, overwrite);
	if (!overwrite && find(name))
		return 0;
	return set_own(name, value);
}

HOOKED int unsetenv(const char *name)
{
	return is_own_name(name) ? set_own(name, NULL) : REAL(unsetenv)(name);
}
