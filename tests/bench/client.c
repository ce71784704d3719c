/* SPDX-License-Identifier: MIT */
/* The other end of an echo server: many connections, one request under way on each. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

enum { REQUEST = 64 };

static double seconds_of(clockid_t id)
{
	struct timespec ts = { 0 };

	clock_gettime(id, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* -1: errno says why. No call waits for ever for a server that hangs. */
static int connect_to(int port)
{
	struct timeval patience = { .tv_sec = 10 };
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)); /* connect(2) too */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		int why = errno;
		close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

static bool ask(int fd)
{
	static const char request[REQUEST] = "echo";
	return write(fd, request, REQUEST) == REQUEST;
}

/* Take what has come. Returns answers; -1: the server has gone. */
static int take(int set, struct epoll_event *events)
{
	char buf[REQUEST];
	int n_answers = 0, n = epoll_wait(set, events, 256, 100);

	for (int i = 0; i < n; i++) {
		if (recv(events[i].data.fd, buf, REQUEST, MSG_WAITALL) != REQUEST || !ask(events[i].data.fd))
			return -1;
		n_answers++;
	}
	return n_answers;
}

static const char *talk(int set, double seconds, clockid_t cpu, struct load *l)
{
	struct epoll_event events[256];
	double begin = seconds_of(CLOCK_MONOTONIC), now = begin, from = 0, cpu_from = 0;
	long n = 0, n_from = 0;

	while (now < begin + seconds && !is_interrupted) {
		int answers = take(set, events);
		if (answers < 0)
			return "it closes connections, or answers something else";
		n += answers;
		now = seconds_of(CLOCK_MONOTONIC);
		if (from == 0 && now > begin + seconds / 5) {
			from = now;
			cpu_from = seconds_of(cpu);
			n_from = n;
		}
	}
	l->answers = n;
	if (n == 0)
		return "it answers nobody";
	if (from == 0 || n == n_from)
		return NULL;
	double cpu_s = seconds_of(cpu) - cpu_from;
	l->rate = (double)(n - n_from) / (now - from);
	l->cpu_us = cpu_s * 1e6 / (double)(n - n_from);
	l->busy = 100 * cpu_s / (now - from);
	return NULL;
}

const char *client(int port, int connections, double seconds, pid_t server, struct load *l)
{
	int set = epoll_create1(EPOLL_CLOEXEC), *fd = calloc((size_t)connections, sizeof(*fd)), n_open = 0;
	static char why[96];
	clockid_t cpu;

	*l = (struct load){ 0 };
	why[0] = '\0';

	for (; n_open < connections; n_open++) {
		fd[n_open] = connect_to(port);
		struct epoll_event event = { .events = EPOLLIN, .data.fd = fd[n_open] };
		if (fd[n_open] < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd[n_open], &event) != 0 || !ask(fd[n_open])) {
			snprintf(why, sizeof(why), "connection %d of %d: %s", n_open + 1, connections, strerror(errno));
			break;
		}
	}
	const char *failure = why[0] ? why : clock_getcpuclockid(server, &cpu) != 0 ? "it has gone" : talk(set, seconds, cpu, l);
	for (int i = 0; i < n_open; i++)
		close(fd[i]);
	close(set);
	free(fd);
	return failure;
}
