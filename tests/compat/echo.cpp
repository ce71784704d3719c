/* SPDX-License-Identifier: MIT */
/* An echo server of two processes that were forked after listen, each with a coroutine
 * that accepts and a pool of workers; and a client with a coroutine for each connection.
 * All of them use plain read and write. As programs do, this one declares co_accept
 * itself, before it includes anything of libco's. */
#include <sys/socket.h>
int co_accept(int fd, struct sockaddr *addr, socklen_t *len);

#include "co_routine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stack>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

enum { SERVERS = 2, WORKERS = 8, CLIENTS = 20, ROUNDS = 5, LEN = 100 * 1000 };

struct Task {
	stCoRoutine_t *co;
	int fd;
};

static int listener;
static std::stack<Task *> idle;

static void make_nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
}

/* --- the server ------------------------------------------------------------------- */

static bool write_all(int fd, const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);
		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { fd, POLLOUT | POLLERR | POLLHUP, 0 };
			co_poll(co_get_epoll_ct(), &p, 1, 1000);
			continue;
		}
		if (n <= 0)
			return false;
		buf += n;
		len -= size_t(n);
	}
	return true;
}

static void *work(void *arg)
{
	Task *task = static_cast<Task *>(arg);
	std::vector<char> buf(16 * 1024);

	co_enable_hook_sys();
	for (;;) {
		if (task->fd < 0) {
			idle.push(task);
			co_yield_ct();
			continue;
		}
		struct pollfd p = { task->fd, POLLIN | POLLERR | POLLHUP, 0 };
		poll(&p, 1, 1000);
		ssize_t n = read(task->fd, &buf[0], buf.size());
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0 || !write_all(task->fd, &buf[0], size_t(n))) {
			close(task->fd);
			task->fd = -1;
		}
	}
	return NULL;
}

static void *accept_all(void *)
{
	co_enable_hook_sys();
	for (;;) {
		if (idle.empty()) {
			struct pollfd p = { -1, 0, 0 };
			poll(&p, 1, 1);
			continue;
		}
		struct sockaddr_in addr;
		socklen_t len = sizeof(addr);
		int fd = co_accept(listener, reinterpret_cast<struct sockaddr *>(&addr), &len);
		if (fd < 0) {
			struct pollfd p = { listener, POLLIN | POLLERR | POLLHUP, 0 };
			co_poll(co_get_epoll_ct(), &p, 1, 1000);
			continue;
		}
		make_nonblocking(fd);
		Task *task = idle.top();
		idle.pop();
		task->fd = fd;
		co_resume(task->co);
	}
	return NULL;
}

static void serve()
{
	static Task tasks[WORKERS];
	stCoRoutine_t *acceptor;

	for (int i = 0; i < WORKERS; i++) {
		tasks[i].fd = -1;
		co_create(&tasks[i].co, NULL, work, &tasks[i]);
		co_resume(tasks[i].co);
	}
	co_create(&acceptor, NULL, accept_all, 0);
	co_resume(acceptor);
	co_eventloop(co_get_epoll_ct(), 0, 0);
	exit(0);
}

/* --- the client --------------------------------------------------------------------- */

static struct sockaddr_in server;
static int n_done;
static long n_bytes;

static void *talk(void *arg)
{
	int id = *static_cast<int *>(arg);
	std::vector<char> out(LEN), in(LEN);

	co_enable_hook_sys();
	for (int round = 0; round < ROUNDS; round++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, reinterpret_cast<struct sockaddr *>(&server), sizeof(server)) != 0) {
			perror("connect");
			exit(1);
		}
		memset(&out[0], 'a' + (id + round) % 26, LEN);
		/* A piece at a time: who writes all first, waits for the one who does. */
		for (size_t at = 0; at < LEN;) {
			size_t piece = LEN - at < 4096 ? LEN - at : 4096;
			if (write(fd, &out[at], piece) != ssize_t(piece)) {
				perror("write");
				exit(1);
			}
			for (size_t got = 0; got < piece;) {
				ssize_t n = read(fd, &in[at + got], piece - got);
				if (n <= 0) {
					perror("read");
					exit(1);
				}
				got += size_t(n);
			}
			at += piece;
		}
		close(fd);
		if (in != out) {
			printf("%d: other bytes came back\n", id);
			exit(1);
		}
		n_bytes += LEN;
	}
	n_done++;
	return NULL;
}

static int all_done(void *)
{
	return n_done == CLIENTS ? -1 : 0;
}

int main()
{
	pid_t pids[SERVERS];
	static int ids[CLIENTS];
	socklen_t len = sizeof(server);

	signal(SIGPIPE, SIG_IGN);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	server.sin_family = AF_INET;
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, reinterpret_cast<struct sockaddr *>(&server), len) != 0 || listen(listener, 128) != 0 ||
	    getsockname(listener, reinterpret_cast<struct sockaddr *>(&server), &len) != 0) {
		perror("listen");
		return 1;
	}
	make_nonblocking(listener);
	for (int i = 0; i < SERVERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			alarm(60);
			serve();
		}
	}
	close(listener);
	for (int i = 0; i < CLIENTS; i++) {
		stCoRoutine_t *co;
		ids[i] = i;
		co_create(&co, NULL, talk, &ids[i]);
		co_resume(co);
	}
	co_eventloop(co_get_epoll_ct(), all_done, 0);
	printf("%d clients, %ld bytes echoed\n", n_done, n_bytes);
	for (int i = 0; i < SERVERS; i++) {
		int status;
		kill(pids[i], SIGTERM);
		waitpid(pids[i], &status, 0);
		printf("server %d ended by our signal: %s\n", i,
		       WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? "yes" : "no");
	}
	return 0;
}
