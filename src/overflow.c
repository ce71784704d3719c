/* SPDX-License-Identifier: MIT */
/*
 * The stack overflow report.
 *
 * A touched guard is a SIGSEGV. Its handler cannot run where it is needed: the
 * kernel would push the signal frame onto the stack that is full, and kill the
 * program without a word. So it runs on an alternate stack.
 *
 * The handler changes nothing about how the program dies. It prints, puts back
 * the handler that was there before us, and returns: the faulting instruction
 * runs again and faults again, and a crash reporter or the core dump sees the
 * real place. For every other fault it is not there at all.
 */
#include "overflow.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

#include "assert.h"
#include "env.h"

enum { ALT_STACK_LEN = 64 * 1024 };

static struct sigaction previous;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static _Thread_local void *alt_stack; /* ours; NULL if the thread had its own */

/* "name" if the dynamic symbol table has one for exactly this address (link
 * with -rdynamic), else "module+0x123", which addr2line understands. */
static void report_function(const char *what, void *fn)
{
	Dl_info info;

	if (!dladdr(fn, &info))
		co_report("  %s %p\n", what, fn);
	else if (info.dli_sname && info.dli_saddr == fn)
		co_report("  %s %s\n", what, info.dli_sname);
	else
		co_report("  %s %s+0x%zx\n", what, info.dli_fname,
			  (size_t)((char *)fn - (char *)info.dli_fbase));
}

static void report_overflow(const struct co *co, void *addr)
{
	const struct co_stack *s = co->exec.stack;

	co_report("costep: stack overflow in coroutine %u \"%s\"\n", co->id, co->name);
	report_function("entry function", (void *)co->fn);
	co_report("  stack          %p to %p, %zu KiB; touched %p, %zu bytes below it\n", s->lo, s->hi,
		  (size_t)(s->hi - s->lo) / 1024, addr, (size_t)(s->lo - (char *)addr));
	co_report("  larger locals or a deeper recursion need a larger co_attr.stack_size (at most %d MiB)\n",
		  CO_STACK_MAX >> 20);
}

/* Do what would have happened without us. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO)
		previous.sa_sigaction(sig, info, context);
	else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
		previous.sa_handler(sig);
	else if (info->si_code <= 0)
		/* Sent by kill(2), so returning would not bring it back. */
		(void)(sigaction(sig, &previous, NULL), raise(sig));
	else
		sigaction(sig, &previous, NULL); /* the instruction faults again */
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	const struct co *co = co_self();

	/* si_code > 0: from the kernel, so si_addr means something. */
	if (co && info->si_code > 0 && co_stack_guards(co->exec.stack, info->si_addr))
		report_overflow(co, info->si_addr);
	pass_on(sig, info, context);
	errno = saved_errno;
}

static void install_handler(void)
{
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, NULL, &previous);
	/* A handler that runs below its own frame, or asks for one shot, keeps that. */
	action.sa_flags |= previous.sa_flags & (SA_NODEFER | SA_RESTART);
	sigaction(SIGSEGV, &action, NULL);
}

int co_overflow_watch_thread(void)
{
	stack_t old;

	pthread_once(&installed, install_handler);
	if (sigaltstack(NULL, &old) == 0 && !(old.ss_flags & SS_DISABLE))
		return 0;

	size_t len = ALT_STACK_LEN + co_stack_min();
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED) {
		errno = ENOMEM;
		return -1;
	}
	sigaltstack(&(stack_t){ .ss_sp = mem, .ss_size = len }, NULL);
	alt_stack = mem;
	return 0;
}

void co_overflow_thread_exit(void)
{
	stack_t now;

	if (!alt_stack)
		return;
	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == alt_stack)
		sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL);
	munmap(alt_stack, ALT_STACK_LEN + co_stack_min());
	alt_stack = NULL;
}
