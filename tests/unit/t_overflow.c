/* SPDX-License-Identifier: MIT */
/* Stack overflow: the report, and that a program dies as it would have. */
#include <alloca.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/user.h>
#include <ucontext.h>

#include "env.h"
#include "tools.h"

#define VISIBLE __attribute__((visibility("default"), noinline))

/* --- a child and its last words ----------------------------------------------- */

static struct {
	int status;
	char text[8192]; /* what it wrote to stderr */
} child;

static void run_child(void (*fn)(void))
{
	int p[2];
	size_t len = 0;

	CHECK_EQ(pipe(p), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(p[1], 2);
		close(p[0]);
		close(p[1]);
		fn();
		_exit(0);
	}
	close(p[1]);
	for (ssize_t n; (n = read(p[0], child.text + len, sizeof(child.text) - 1 - len)) > 0;)
		len += (size_t)n;
	child.text[len] = 0;
	close(p[0]);
	waitpid(pid, &child.status, 0);
}

static void says(const char *format, ...)
{
	char wanted[200];
	va_list args;

	va_start(args, format);
	vsnprintf(wanted, sizeof(wanted), format, args);
	va_end(args);
	if (!strstr(child.text, wanted)) {
		printf("wanted: %s\nfound:  %s\n", wanted, child.text);
		CHECK(!"the report says it");
	}
}

static void dies_with_report(void (*fn)(void), const char *coroutine)
{
	run_child(fn);
	CHECK(WIFSIGNALED(child.status));
	CHECK_EQ(WTERMSIG(child.status), SIGSEGV);
	says("stack overflow in coroutine %s", coroutine);
	says("KiB; touched 0x");
}

static void dies_silently(void (*fn)(void))
{
	run_child(fn);
	CHECK(WIFSIGNALED(child.status));
	CHECK_EQ(WTERMSIG(child.status), SIGSEGV);
	CHECK(!strstr(child.text, "costep"));
}

/* --- ways to run out of stack --------------------------------------------------- */

static struct co *co;

static void run_in_coroutine(co_fn *fn, void *arg)
{
	CHECK_EQ(co_create(&co, NULL, fn, arg), 0);
	CHECK_EQ(co_set_name(co, "deep"), 0);
	dprintf(2, "bounds %p to %p\n", co->exec.stack->lo, co->exec.stack->hi);
	CHECK_EQ(co_resume(co), 0);
}

VISIBLE int recurse(volatile int n)
{
	volatile char some[100];
	some[0] = (char)n;
	return n < 0 ? 0 : recurse(n + 1) + some[0];
}

VISIBLE void *recurse_entry(void *arg)
{
	recurse(0);
	return arg;
}

VISIBLE void *large_local(void *arg)
{
	volatile char large[1024 * 1024];
	large[0] = 1;
	large[sizeof(large) - 1] = 1;
	__asm__ volatile("" : : "r"(large) : "memory"); /* else clang keeps two bytes of it */
	return arg;
}

/* Call @fn with @left bytes of stack, less what this takes. */
static __attribute__((noinline)) void with_bytes_left(long left, void (*fn)(void))
{
	char *here = __builtin_frame_address(0);
	long len = here - co_self()->exec.stack->lo - left;
	volatile char *filler = alloca((size_t)len);
	filler[0] = 1;
	fn();
	filler[0] = 2;
}

static void deep(void)
{
	run_in_coroutine(recurse_entry, NULL);
}

static void large(void)
{
	run_in_coroutine(large_local, NULL);
}

/* --- the report ------------------------------------------------------------------ */

static void recursion(void)
{
	void *lo, *hi;

	dies_with_report(deep, "1 \"deep\"");
	says("entry function recurse_entry");
	CHECK_EQ(sscanf(strstr(child.text, "bounds"), "bounds %p to %p", &lo, &hi), 2);
	says("stack          %p to %p, %zu KiB", lo, hi, (size_t)((char *)hi - (char *)lo) / 1024);
	says("co_attr.stack_size");
}

static void local_array(void)
{
	dies_with_report(large, "1 \"deep\"");
}

static void *resume_deep(void *arg)
{
	struct co *inner;
	CHECK_EQ(co_create(&inner, NULL, recurse_entry, NULL), 0);
	CHECK_EQ(co_set_name(inner, "inner"), 0);
	CHECK_EQ(co_resume(inner), 0);
	return arg;
}

static void nested_child(void)
{
	run_in_coroutine(resume_deep, NULL);
}

static void nested(void)
{
	dies_with_report(nested_child, "2 \"inner\"");
}

static void *thread_deep(void *arg)
{
	deep();
	return arg;
}

static void in_thread_child(void)
{
	pthread_t t;
	struct co *first;
	CHECK_EQ(co_create(&first, NULL, recurse_entry, NULL), 0);
	CHECK_EQ(pthread_create(&t, NULL, thread_deep, NULL), 0);
	pthread_join(t, NULL);
}

static void in_thread(void)
{
	dies_with_report(in_thread_child, "1025 \"deep\"");
}

/* --- inside libc, which does not probe its stack ----------------------------------- */

static long bytes_left;
static void (*libc_call)(void);

static void *call_libc(void *arg)
{
	with_bytes_left(bytes_left, libc_call);
	return arg;
}

static void libc_child(void)
{
	run_in_coroutine(call_libc, NULL);
}

static void call_snprintf(void)
{
	static char out[700];
	snprintf(out, sizeof(out), "%.300f %d", 1e300, 4711);
}

static void call_stderr(void)
{
	fprintf(stderr, "%d\n", 4711); /* unbuffered: 8 KiB of locals at once */
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void call_qsort(void)
{
	int n[200];
	for (int i = 0; i < 200; i++)
		n[i] = 200 - i;
	qsort(n, 200, sizeof(n[0]), compare);
}

static int compare_deep(const void *a, const void *b)
{
	int n[2] = { 2, 1 };
	qsort(n, 2, sizeof(n[0]), compare_deep);
	return compare(a, b);
}

static void call_nested(void)
{
	compare_deep(&(int){ 1 }, &(int){ 2 });
}

static void in_libc(void)
{
	static void (*const calls[])(void) = { call_snprintf, call_stderr, call_qsort };
	static const long left[] = { 300, 500, 700, 1000 };

	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 4; k++) {
			libc_call = calls[i];
			bytes_left = left[k];
			dies_with_report(libc_child, "1 \"deep\"");
		}
	/* 8 KiB at once: some of these step over a whole page untouched. */
	libc_call = call_stderr;
	for (bytes_left = 1200; bytes_left <= 8000; bytes_left += 200)
		dies_with_report(libc_child, "1 \"deep\"");
	libc_call = call_nested;
	bytes_left = 50 * 1024;
	dies_with_report(libc_child, "1 \"deep\"");
}

/* The last bytes may be used up by our own switch, half way between two. */
static void yield(void)
{
	co_yield_ct();
}

static void in_a_switch(void)
{
	SKIP_IF_WATCHED("sanitized functions want more than they leave");
	int died = 0, lived = 0;

	libc_call = yield;
	for (bytes_left = 1200; bytes_left >= 0; bytes_left -= 16) {
		run_child(libc_child);
		if (child.status == 0) {
			lived++;
			continue;
		}
		CHECK_EQ(WTERMSIG(child.status), SIGSEGV);
		says("stack overflow in coroutine 1 \"deep\"");
		died++;
	}
	printf("# %d died, %d had enough\n", died, lived);
	CHECK(died > 0 && lived > 0);
}

/* --- other handlers ------------------------------------------------------------------ */

/* One store that faults, at a known place and to a known address. */
__attribute__((visibility("hidden"))) void store(char *to);
__asm__(".text\n.globl store\n.hidden store\n.type store, @function\n"
	"store: movb $1, (%rdi)\n\tret\n.size store, . - store\n");
enum { STORE_LEN = 3 }; /* bytes of that movb */

static char *volatile fault_addr;
static volatile int n_handled;

static void *touch_guard(void *arg)
{
	fault_addr = co_self()->exec.stack->lo - 100;
	store(fault_addr);
	return arg;
}

static void on_fault_siginfo(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	if (sig != SIGSEGV || info->si_addr != fault_addr || regs[REG_RIP] != (greg_t)store)
		_exit(3);
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	if (!sigismember(&now, SIGUSR1))
		_exit(4);
	n_handled++;
	regs[REG_RIP] += STORE_LEN; /* repaired: go on behind it */
}

static void chain_siginfo_child(void)
{
	struct sigaction mine = { .sa_sigaction = on_fault_siginfo, .sa_flags = SA_SIGINFO };
	sigaddset(&mine.sa_mask, SIGUSR1);
	sigaction(SIGSEGV, &mine, NULL);
	run_in_coroutine(touch_guard, NULL);
	if (n_handled != 1)
		_exit(5);
	fault_addr = NULL; /* a fault that is not ours is passed on too */
	store(NULL);
	_exit(n_handled == 2 ? 42 : 6);
}

static void chain_siginfo(void)
{
	run_child(chain_siginfo_child);
	CHECK_EQ(WEXITSTATUS(child.status), 42);
	says("stack overflow in coroutine 1 \"deep\"");
}

static void on_fault_plain(int sig)
{
	dprintf(2, "handler %d\n", sig);
	if (++n_handled == 3)
		_exit(43);
}

static void chain_plain_child(void)
{
	signal(SIGSEGV, on_fault_plain);
	run_in_coroutine(touch_guard, NULL); /* returns unrepaired: it faults again */
}

static void chain_plain(void)
{
	run_child(chain_plain_child);
	CHECK(WIFEXITED(child.status));
	CHECK_EQ(WEXITSTATUS(child.status), 43);
	says("handler 11\n");
}

static void chain_one_shot_child(void)
{
	struct sigaction mine = { .sa_handler = on_fault_plain, .sa_flags = (int)SA_RESETHAND };
	sigaction(SIGSEGV, &mine, NULL);
	run_in_coroutine(touch_guard, NULL);
}

static void chain_one_shot(void)
{
	dies_with_report(chain_one_shot_child, "1 \"deep\"");
	char *first = strstr(child.text, "handler 11");
	CHECK(first && !strstr(first + 1, "handler 11"));
}

/* --- alternate stacks ------------------------------------------------------------------ */

static char alt[256 * 1024] __attribute__((aligned(16)));
static char *volatile alt_lo;
static size_t alt_len;

static void on_alt(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info, (void)context;
	char *sp = __builtin_frame_address(0);
	for (char *p = alt; p < alt_lo; p++)
		if (*p != 0x5a)
			_exit(7); /* something ran over its end */
	_exit(sp > alt_lo && sp < alt_lo + alt_len ? 44 : 8);
}

static void own_alt_child(void)
{
	struct sigaction mine = { .sa_sigaction = on_alt, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t now;

	memset(alt, 0x5a, sizeof(alt));
	alt_lo = alt + sizeof(alt) - alt_len;
	sigaction(SIGSEGV, &mine, NULL);
	CHECK_EQ(sigaltstack(&(stack_t){ .ss_sp = alt_lo, .ss_size = alt_len }, NULL), 0);
	CHECK_EQ(co_create(&co, NULL, touch_guard, NULL), 0);
	CHECK_EQ(sigaltstack(NULL, &now), 0);
	CHECK_EQ(now.ss_sp, alt_lo);
	CHECK_EQ(now.ss_size, alt_len);
	co_resume(co);
}

static void own_alt(void)
{
	SKIP_IF_WATCHED("sanitizers have an alternate stack of their own");
	alt_len = 64 * 1024;
	run_child(own_alt_child);
	CHECK_EQ(child.status, 44 << 8);
	says("stack overflow in coroutine 1");
	/* Too small for a report: none, rather than one over its end. */
	alt_len = (size_t)sysconf(_SC_MINSIGSTKSZ) + 1500;
	run_child(own_alt_child);
	CHECK_EQ(child.status, 44 << 8);
	CHECK(!strstr(child.text, "costep"));
}

/* --- what is not an overflow -------------------------------------------------------------- */

static void *null_deref(void *arg)
{
	store(NULL);
	return arg;
}

static void null_in_coroutine(void)
{
	run_in_coroutine(null_deref, NULL);
}

static void null_in_plain_thread(void)
{
	pthread_t t;
	CHECK_EQ(co_create(&co, NULL, null_deref, NULL), 0);
	pthread_create(&t, NULL, null_deref, NULL);
	pthread_join(t, NULL);
}

static void recursion_in_main(void)
{
	struct rlimit small = { 256 * 1024, RLIM_INFINITY };
	CHECK_EQ(co_create(&co, NULL, null_deref, NULL), 0);
	setrlimit(RLIMIT_STACK, &small);
	recurse(0);
}

static void sent(void)
{
	CHECK_EQ(co_create(&co, NULL, null_deref, NULL), 0);
	kill(getpid(), SIGSEGV);
	_exit(9);
}

static void not_ours(void)
{
	dies_silently(null_in_coroutine);
	dies_silently(null_in_plain_thread);
	dies_silently(recursion_in_main);
	dies_silently(sent);
}

static void sent_and_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	CHECK_EQ(co_create(&co, NULL, touch_guard, NULL), 0);
	kill(getpid(), SIGSEGV);
	kill(getpid(), SIGSEGV);
	dprintf(2, "alive\n");
	co_resume(co);
}

static void ignored(void)
{
	dies_with_report(sent_and_ignored, "1 \"\"");
	says("alive");
}

static void on_usr1(int sig)
{
	(void)sig;
}

/* By address: to bind a name at its first call takes much stack. */
static int (*volatile raise_bound)(int) = raise;
static void (*volatile exit_bound)(int) = _exit;

static void send_usr1(void)
{
	raise_bound(SIGUSR1);
	exit_bound(10);
}

static void no_room_for_a_signal(void)
{
	signal(SIGUSR1, on_usr1);
	libc_call = send_usr1;
	/* Enough for raise, not for a signal frame. */
	bytes_left = sysconf(_SC_MINSIGSTKSZ) - 200;
	run_in_coroutine(call_libc, NULL);
}

static void signal_frame(void)
{
	SKIP_IF_WATCHED("memory is not ours alone");
	run_child(no_room_for_a_signal);
	CHECK(WIFSIGNALED(child.status));
	CHECK_EQ(WTERMSIG(child.status), SIGSEGV);
	CHECK(!strstr(child.text, "costep")); /* or it was an overflow by calls */
}

/* What a core shows: the fault comes twice, and the second, which kills, is
 * the same as the first. */
static void same_place(void)
{
	siginfo_t info[2];
	struct user_regs_struct regs[2];
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		run_in_coroutine(touch_guard, NULL);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	for (int i = 0; i < 2; i++) {
		waitpid(pid, &status, 0);
		CHECK(WIFSTOPPED(status));
		CHECK_EQ(WSTOPSIG(status), SIGSEGV);
		CHECK_EQ(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info[i]), 0);
		CHECK_EQ(ptrace(PTRACE_GETREGS, pid, NULL, &regs[i]), 0);
		ptrace(PTRACE_CONT, pid, NULL, (void *)SIGSEGV);
	}
	waitpid(pid, &status, 0);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(info[1].si_addr, info[0].si_addr);
	CHECK_EQ(info[1].si_code, info[0].si_code);
	CHECK_EQ(regs[0].rip, store);
	CHECK_EQ(regs[1].rip, store);
	CHECK_EQ(regs[1].rsp, regs[0].rsp);
}

static const struct test_case cases[] = {
	{ "recursion", "C04: a deep recursion dies by SIGSEGV; the report names id, name, function, bounds", recursion, 0, 0 },
	{ "local_array", "a large local dies the same way", local_array, 0, 0 },
	{ "nested", "the report names the coroutine that overflowed, not its resumer", nested, 0, 0 },
	{ "in_thread", "an overflow in a second thread is reported", in_thread, 0, 0 },
	{ "in_libc", "an overflow inside libc is reported", in_libc, 0, 0 },
	{ "in_a_switch", "an overflow inside our own switch is reported", in_a_switch, 0, 0 },
	{ "chain_siginfo", "a SA_SIGINFO handler from before is called, sees the real place, may repair it",
	  chain_siginfo, 0, 0 },
	{ "chain_plain", "a plain handler from before is called each time", chain_plain, 0, 0 },
	{ "chain_one_shot", "a one-shot handler from before is called once, then the program dies", chain_one_shot, 0, 0 },
	{ "own_alt", "a thread's own alternate stack is kept, and never run over", own_alt, 0, 0 },
	{ "not_ours", "other faults, in a coroutine or not, kill without a word from us", not_ours, 0, 0 },
	{ "ignored", "a sent SIGSEGV that was ignored stays ignored; an overflow still kills", ignored, 0, 0 },
	{ "signal_frame", "no room to deliver a signal kills, as without us", signal_frame, 0, 0 },
	{ "same_place", "the fault that kills is the one that happened: address, code, registers", same_place, 0, 0 },
};

TEST_MAIN(cases)
