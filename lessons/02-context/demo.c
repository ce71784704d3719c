/* SPDX-License-Identifier: MIT */
/*
 * Lesson 2: a new execution, made properly.
 *
 * Links with asm/coctx_swap_x86_64.S and src/coctx.c.
 * `demo return` lets the worker return, which it must not.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "coctx.h"

enum { UNTOUCHED = 0xaa };

static struct coctx main_ctx, worker_ctx;
static const struct coctx *worker_link; /* whose context a backtrace goes on with */
static unsigned char stack[64 * 1024];

struct job {
	const char *name;
	double answer;
	int may_return;
};

static const char *yes(int condition)
{
	return condition ? "yes" : "no";
}

static size_t stack_bytes_used(void)
{
	size_t i = 0;
	while (i < sizeof(stack) && stack[i] == UNTOUCHED)
		i++;
	return sizeof(stack) - i;
}

/* Print the functions that a backtrace meets, up to main. */
__attribute__((noinline)) static void print_backtrace(void)
{
	void *address[16];
	int n = backtrace(address, 16);

	printf("     backtrace:");
	for (int i = 1; i < n; i++) {
		Dl_info info;
		/* The trampoline's symbol is local, so it has no name here. */
		const char *name = dladdr(address[i], &info) && info.dli_sname ? info.dli_sname : "(trampoline)";
		printf(" %s", name);
		if (strcmp(name, "main") == 0)
			break;
	}
	printf("\n");
}

/* The new execution. Its argument says what to compute. */
void worker(void *arg)
{
	struct job *job = arg;

	printf("     worker: begins; my argument is the job \"%s\"\n", job->name);
	printf("     worker: my frame is aligned to 16 bytes: %s\n",
	       yes((uintptr_t)__builtin_frame_address(0) % 16 == 0));
	for (int n = 1; !(job->may_return && n == 3); n++) {
		job->answer = n * n;
		printf("     worker: n = %d, the answer is %.1f\n", n, job->answer);
		if (n == 3)
			print_backtrace();
		coctx_swap(&worker_ctx, &main_ctx);
	}
	printf("     worker: returns. To whom?\n");
}

/* Let the worker go on until it has the next answer. */
__attribute__((noinline)) double ask(struct job *job)
{
	worker_link = &main_ctx; /* main is about to wait in there */
	coctx_swap(&main_ctx, &worker_ctx);
	worker_link = &coctx_nobody;
	return job->answer;
}

int main(int argc, char **argv)
{
	struct job job = { .name = "squares", .may_return = argc > 1 && strcmp(argv[1], "return") == 0 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	memset(stack, UNTOUCHED, sizeof(stack));
	worker_link = &coctx_nobody;

	printf("1. coctx_make fills the struct\n");
	coctx_make(&worker_ctx, stack + sizeof(stack), worker, &job, &worker_link);
	printf("   rsp = the top of the stack, a multiple of 16: %s\n",
	       yes((unsigned char *)worker_ctx.rsp <= stack + sizeof(stack) && (uintptr_t)worker_ctx.rsp % 16 == 0));
	printf("   rip = worker: %s\n", yes(worker_ctx.rip == (void *)worker));
	printf("   r12 = worker: %s, r13 = its argument: %s, rbx = &worker_link: %s\n",
	       yes(worker_ctx.r12 == (void *)worker), yes(worker_ctx.r13 == &job), yes(worker_ctx.rbx == &worker_link));
	printf("   bytes written to the new stack: %zu\n", stack_bytes_used());

	printf("2. main asks for three answers\n");
	for (int i = 1; i <= 3; i++) {
		double answer = ask(&job);
		printf("   main: got %.1f\n", answer);
	}

	printf("3. main looks at the worker's stack\n");
	printf("   in use: more than nothing: %s, less than 32 KiB of 64: %s\n", yes(stack_bytes_used() > 0),
	       yes(stack_bytes_used() < 32 * 1024));

	printf("main returns. The worker's locals are still on its stack; nobody cares\n");
	return 0;
}
