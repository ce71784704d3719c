/* SPDX-License-Identifier: MIT */
/* Coroutines that talk through sockets: to each other, and to a client. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

/* --- to each other ---------------------------------------------------------------------- */

static long n_rounds;
static bool polls_first;
static void *ends[2];

static void speak(void *me)
{
	char byte = 1;

	if (peer.sched->write(me, &byte, 1) != 1)
		give_up("write failed");
}

static void listen_to(void *me)
{
	char byte;

	if (polls_first)
		peer.sched->poll_in(me);
	if (peer.sched->read(me, &byte, 1) != 1)
		give_up("read failed");
}

static void asks(void *me)
{
	for (long i = 0; i < n_rounds; i++) {
		speak(me);
		listen_to(me);
	}
}

static void answers(void *me)
{
	for (long i = 0; i < n_rounds; i++) {
		listen_to(me);
		speak(me);
	}
}

void talk(long n, bool polls)
{
	int fd[2];

	if (!ends[0]) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
			give_up("no socketpair");
		ends[0] = peer.sched->open(fd[0]);
		ends[1] = peer.sched->open(fd[1]);
	}
	n_rounds = n;
	polls_first = polls;
	peer.sched->spawn(asks, ends[0]);
	peer.sched->spawn(answers, ends[1]);
	peer.sched->join();
}

/* --- to a client ------------------------------------------------------------------------ */

static void echo(void *arg)
{
	void *me = peer.sched->open((int)(long)arg);
	char buf[1024];
	ssize_t n;

	while ((n = peer.sched->read(me, buf, sizeof(buf))) > 0)
		if (peer.sched->write(me, buf, (size_t)n) != n)
			break;
	peer.sched->close(me);
}

static void accept_all(void *arg)
{
	void *me = peer.sched->open((int)(long)arg);

	for (;;) {
		int fd = peer.sched->accept(me);
		if (fd < 0)
			give_up("accept failed");
		peer.sched->spawn(echo, (void *)(long)fd);
	}
}

void serve_by_sched(int listener)
{
	peer.sched->spawn(accept_all, (void *)(long)listener);
	peer.sched->join();
}

static void serve(const void *arg)
{
	int listener = *(const int *)arg;
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	getsockname(listener, (struct sockaddr *)&addr, &len);
	printf("%d %d\n", ntohs(addr.sin_port), (int)getpid());
	fflush(stdout);
	if (peer.init)
		peer.init();
	if (peer.serve)
		peer.serve(listener);
	else
		serve_by_sched(listener);
}

/* A server in a fresh process, until it is killed. */
void sample_echo(bool is_traced)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	long n_calls = 0;

	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(listener, 4096) != 0)
		give_up(strerror(errno));
	if (is_traced) {
		n_calls = trace_calls(serve, &listener);
	} else {
		pid_t pid = fork();
		if (pid == 0) {
			serve(&listener);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
	close(listener);
	printf("%ld\n", n_calls);
}
