/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a function that goes on upon another thread? Contexts (lesson 2) know
 * no threads, so nothing refuses it here.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "coctx.h"

static struct coctx moved, back;
static char stack[256 * 1024] __attribute__((aligned(16)));

static void body(void *arg)
{
	pid_t tid = gettid();
	int *where = &errno;

	(void)arg;
	coctx_swap(&moved, &back);
	printf("runs on another thread: %s, its errno lies elsewhere: %s\n", gettid() != tid ? "yes" : "no",
	       &errno != where ? "yes" : "no");
	coctx_swap(&moved, &back);
}

static void *go_on(void *arg)
{
	coctx_swap(&back, &moved);
	return arg;
}

int main(void)
{
	static const struct coctx *const link = &coctx_nobody;
	pthread_t t;

	coctx_make(&moved, stack + sizeof(stack), body, NULL, &link);
	coctx_swap(&back, &moved);
	pthread_create(&t, NULL, go_on, NULL);
	pthread_join(t, NULL);
	return 0;
}
