/* SPDX-License-Identifier: MIT */
/*
 * The hooks' switch, and the way to libc's own functions.
 *
 * Why are calls caught at all? The dynamic linker looks for the name "read" in
 * the program first and in libc later. A program that has a function of that name
 * has replaced it, for itself and for every library that it uses.
 */
#include "hook.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>

#include "attach.h"
#include "coroutine.h"
#include "hooks.h"
#include "loop.h"

static const char *const names[] = {
#define HOOK(name) #name,
#include "hook_names.h"
#undef HOOK
};

static _Atomic(void *) real[HOOKS];

__attribute__((noreturn, cold)) static void no_next(const char *name)
{
	static const char *const words[] = {
		"costep: the hooks find no other function named \"", NULL,
		"\" than their own. They need the C library as a shared one: link without -static, "
		"or without costep_hooks.o\n",
	};
	for (int i = 0; i < 3; i++) {
		const char *word = words[i] ? words[i] : name;
		syscall(SYS_write, STDERR_FILENO, word, strlen(word));
	}
	abort();
}

void *hook_real(enum hook_id id)
{
	void *f = atomic_load_explicit(&real[id], memory_order_relaxed);

	if (f)
		return f;
	int error = errno;
	f = dlsym(RTLD_NEXT, names[id]);
	if (!f)
		no_next(names[id]);
	errno = error;
	atomic_store_explicit(&real[id], f, memory_order_relaxed);
	return f;
}

/* --- the switch -------------------------------------------------------------------- */

struct hook_switch {
	struct co_attachment attachment;
	bool is_on;
	int socket; /* the number that its last read or write found to be a socket; -1: none */
};

static const char switches; /* its address is the attachments' owner */

/* The running coroutine's; NULL: it has never switched. */
static struct hook_switch *own_switch(void)
{
	const struct co *me = co_self();
	return me ? (struct hook_switch *)co_attached(me, &switches) : NULL;
}

static void drop_switch(struct co_attachment *a)
{
	free(a);
}

int co_enable_hook_sys(void)
{
	if (!co_get_epoll_ct()) /* makes the environment, so that there is a co_self */
		return -1;
	struct hook_switch *s = own_switch();
	if (!s) {
		s = malloc(sizeof(*s));
		if (!s)
			return -1;
		s->attachment = (struct co_attachment){ .owner = &switches, .drop = drop_switch };
		s->socket = -1;
		co_attach(co_self(), &s->attachment);
	}
	s->is_on = true;
	hook_learn();
	return 0;
}

void co_disable_hook_sys(void)
{
	struct hook_switch *s = own_switch();

	if (s)
		s->is_on = false;
}

bool co_is_enable_sys_hook(void)
{
	const struct hook_switch *s = own_switch();
	return s && s->is_on;
}

bool hook_was_socket(int fd)
{
	return own_switch()->socket == fd || hook_known(fd);
}

void hook_note_kind(int fd, struct hook_kind kind)
{
	struct hook_switch *s = own_switch();

	if (kind.is_socket)
		s->socket = fd;
	else if (s->socket == fd)
		s->socket = -1;
}

bool hook_is_on(void)
{
	return co_is_enable_sys_hook() && co_may_wait();
}
