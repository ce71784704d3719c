/* SPDX-License-Identifier: MIT */
/*
 * The stack overflow report.
 *
 * A touched guard is a SIGSEGV. Its handler cannot run where it is needed: the
 * kernel would push the signal frame onto the stack that is full, and kill the
 * program without a word. So it runs on an alternate stack.
 *
 * The handler changes nothing about how the program dies. It prints, and does
 * what would have happened without it: calls the handler that was there before
 * us or, if there was none, puts back the default and returns. Then the faulting
 * instruction runs again and faults again, and the core dump shows the real
 * place. For every other fault it is as if it were not there.
 */
#include "overflow.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "assert.h"
#include "env.h"

enum {
	ALT_STACK_LEN = 64 * 1024,
	/* What the report needs of the alternate stack: vsnprintf, and the
	 * dynamic linker's when it binds a name at its first call. */
	REPORT_BYTES = 5 * 1024,
};

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

/* Has @co touched @addr, in its guard? On a shared stack (lesson 10), whose guard is
 * everybody's, not those whose bytes are elsewhere, or who have returned. */
static bool has_touched(const struct co *co, const char *addr)
{
	const struct co_stack *stack = co->exec.stack;

	return co_stack_guards(stack, addr) && stack->save_len == 0 && !co->exec.tools.is_last_leave;
}

/* Whose overflow is it that touched @addr? NULL: it is none. */
static const struct co *who_overflowed(const char *addr, const ucontext_t *at)
{
	const struct co_env *env = co_get_curr_thread_env();
	const char *sp = (const char *)at->uc_mcontext.gregs[REG_RSP];

	if (!env)
		return NULL;
	if (has_touched(env->running, addr))
		return env->running;
	/* A call at the last bytes can be our own co_swap: then `running` is
	 * already the other one. Search, but not because of any wild pointer:
	 * what that has destroyed may include this list. O(coroutines). */
	if (labs((long)(addr - sp)) > 2 * CO_STACK_GUARD)
		return NULL;
	for (const struct list *l = env->all.next; l != &env->all; l = l->next) {
		const struct co *co = container_of(l, struct co, in_env);
		if (has_touched(co, addr))
			return co;
	}
	return NULL;
}

/* The thread may have an alternate stack of its own, of any size. To run over
 * its end would destroy what lies there, without a fault. */
static bool has_room_to_report(void)
{
	stack_t now;

	if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_ONSTACK))
		return true;
	return (char *)__builtin_frame_address(0) - (char *)now.ss_sp >= REPORT_BYTES;
}

/* Make the signal that we were called for come again, with what it said. */
static void send_again(int sig, siginfo_t *info)
{
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), sig, info) != 0)
		raise(sig);
}

/* Is it an instruction's fault, with an address? Such a one faults again when we
 * return. A signal that was sent does not come again; nor, surely, does
 * SI_KERNEL, which may mean that there was no room to deliver another signal. */
static bool is_fault(const siginfo_t *info)
{
	return info->si_code > 0 && info->si_code != SI_KERNEL;
}

/* Do what would have happened without us. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	struct sigaction to = previous;

	if (to.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (to.sa_handler == SIG_DFL || to.sa_handler == SIG_IGN) {
		/* The kernel kills for a fault that is ignored, too. */
		sigaction(sig, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
		if (!is_fault(info))
			send_again(sig, info); /* blocked until we return: dies at the same place */
		return;
	}
	if (to.sa_flags & SA_RESETHAND)
		previous = (struct sigaction){ .sa_handler = SIG_DFL };
	if (to.sa_flags & SA_SIGINFO)
		to.sa_sigaction(sig, info, context);
	else
		to.sa_handler(sig);
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	if (is_fault(info)) {
		const struct co *co = who_overflowed(info->si_addr, context);
		if (co && has_room_to_report())
			report_overflow(co, info->si_addr);
	}
	pass_on(sig, info, context);
	errno = saved_errno;
}

static void install_handler(void)
{
	struct sigaction action = { .sa_sigaction = on_segv };

	sigaction(SIGSEGV, NULL, &previous);
	/* What was there runs inside ours: with the signals blocked, and the
	 * flags set, that it asked for. */
	action.sa_mask = previous.sa_mask;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK | (previous.sa_flags & (SA_NODEFER | SA_RESTART));
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
