/* SPDX-License-Identifier: MIT */
/*
 * Lesson 8: plain blocking calls.
 *
 * Links with the layers of lessons 1 to 8. Look at the calls: read, write, usleep,
 * connect, accept. They are written as if there were no coroutines.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "costep.h"

static struct co *start(const char *name, co_fn *fn, void *arg)
{
	struct co *co;
	if (co_create(&co, NULL, fn, arg) != 0) {
		perror("co_create");
		exit(1);
	}
	co_set_name(co, name);
	co_resume(co);
	return co;
}

__attribute__((noreturn)) static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* --- 1. a blocking read, without hooks and with --------------------------------------------- */

static int n_ticks;

static void *tick(void *arg)
{
	for (;;) {
		co_sleep_ms(2);
		n_ticks++;
	}
	return arg;
}

/* A child process writes after 50 ms: nobody of this thread can. */
static int pipe_with_late_data(void)
{
	int p[2];

	if (pipe(p) != 0)
		fail("pipe");
	if (fork() == 0) {
		co_disable_hook_sys(); /* a child has copies of our coroutines, switches and all */
		usleep(50 * 1000);
		_exit(write(p[1], "x", 1) != 1);
	}
	close(p[1]);
	return p[0];
}

static int ticks_during_read(void)
{
	int fd = pipe_with_late_data(), before = n_ticks;
	char c;

	if (read(fd, &c, 1) != 1)
		fail("read");
	close(fd);
	return n_ticks - before;
}

static void *read_both_ways(void *arg)
{
	printf("   hooks off: during read() the other ticked %d times\n", ticks_during_read());
	co_enable_hook_sys();
	printf("   hooks on:  during read() the other ticked more than 5 times: %s\n",
	       ticks_during_read() > 5 ? "yes" : "no");
	return arg;
}

static void run_until_done(struct co *co)
{
	while (co_status(co) != CO_DONE)
		co_sleep_ms(1);
	co_release(co);
}

static void show_read(void)
{
	printf("1. one reads from a pipe into which something comes after 50 ms; another ticks every 2 ms\n");
	struct co *ticker = start("ticker", tick, NULL);
	run_until_done(start("reader", read_both_ways, NULL));
	co_release(ticker);
}

/* --- 2. a write that is larger than the pipe ---------------------------------------------------- */

enum { BIG = 1000 * 1000 };
static int pipe_fd[2];

static void *write_big(void *arg)
{
	static char bytes[BIG];

	co_enable_hook_sys();
	ssize_t n = write(pipe_fd[1], bytes, BIG); /* the pipe holds 64 KiB */
	printf("   writer: write() has written %zd bytes\n", n);
	printf("   writer: the pipe's O_NONBLOCK is %s\n", fcntl(pipe_fd[1], F_GETFL) & O_NONBLOCK ? "set" : "not set");
	close(pipe_fd[1]);
	return arg;
}

static void *read_big(void *arg)
{
	static char bytes[10 * 1000];
	ssize_t n, all = 0;

	co_enable_hook_sys();
	while ((n = read(pipe_fd[0], bytes, sizeof(bytes))) > 0)
		all += n;
	printf("   reader: read %zd bytes, then the end\n", all);
	return arg;
}

static void show_write(void)
{
	printf("2. one writes a million bytes to a pipe with one call, another reads them\n");
	if (pipe(pipe_fd) != 0)
		fail("pipe");
	struct co *writer = start("writer", write_big, NULL);
	printf("   main: the writer is %s\n", co_state_name(co_status(writer)));
	struct co *reader = start("reader", read_big, NULL);
	co_eventloop(NULL, NULL, NULL);
	co_release(writer);
	co_release(reader);
}

/* --- 3. libco's way to write ---------------------------------------------------------------------------- */

/* First write, then wait for room as long as something is left. */
static ssize_t write_libcos_way(int fd, const char *bytes, ssize_t len)
{
	ssize_t done = write(fd, bytes, (size_t)len), n = 0;

	while (done < len && n >= 0) {
		struct pollfd p = { fd, POLLOUT, 0 };
		co_poll(NULL, &p, 1, 1000);
		n = write(fd, bytes + done, (size_t)(len - done));
		done += n > 0 ? n : 0;
	}
	return done;
}

/* A pipe from which a child process reads everything, but not at once. */
static int pipe_with_slow_reader(void)
{
	int p[2];
	char bytes[4096];

	if (pipe(p) != 0)
		fail("pipe");
	if (fork() == 0) {
		close(p[1]);
		usleep(50 * 1000);
		while (read(p[0], bytes, sizeof(bytes)) > 0)
			;
		_exit(0);
	}
	close(p[0]);
	return p[1];
}

/* What does another process see that shares the pipe, and knows of nothing? */
static const char *write_in_child(int fd)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		static char bytes[4096];
		for (int i = 0; i < 1000; i++)
			if (write(fd, bytes, sizeof(bytes)) < 0)
				_exit(errno == EAGAIN ? 1 : 2);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status) == 1 ? "EAGAIN" : "fine";
}

static void *write_three_ways(void *arg)
{
	static char bytes[BIG];
	int fd = pipe_with_slow_reader(), before = n_ticks;

	ssize_t n = write_libcos_way(fd, bytes, BIG);
	printf("   libco's loop: %zd bytes; meanwhile the other ticked %d times\n", n, n_ticks - before);
	close(fd);

	fd = pipe_with_slow_reader(), before = n_ticks;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	n = write_libcos_way(fd, bytes, BIG);
	printf("   the same with O_NONBLOCK set: %zd bytes; more than 5 times: %s\n", n, n_ticks - before > 5 ? "yes" : "no");
	close(fd);

	fd = pipe_with_slow_reader();
	fcntl(fd, F_SETFL, O_NONBLOCK);
	printf("   a child's plain write() to such a pipe: %s\n", write_in_child(fd));
	close(fd);

	fd = pipe_with_slow_reader(), before = n_ticks;
	co_enable_hook_sys();
	n = write(fd, bytes, BIG);
	co_disable_hook_sys();
	printf("   one hooked write(): %zd bytes; more than 5 times: %s\n", n, n_ticks - before > 5 ? "yes" : "no");
	close(fd);
	return arg;
}

static void show_libcos_way(void)
{
	printf("3. one writes a million bytes; a child process begins to read after 50 ms; another ticks every 2 ms\n");
	struct co *ticker = start("ticker", tick, NULL);
	run_until_done(start("writer", write_three_ways, NULL));
	co_release(ticker);
}

/* --- 4. an echo server and a thousand clients ------------------------------------------------------ */

enum { CLIENTS = 1000, ROUNDS = 3 };
static struct sockaddr_in address;
static int n_open, n_most, n_echoes, n_wrong;

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char line[100];
	ssize_t n;

	co_enable_hook_sys();
	while ((n = read(fd, line, sizeof(line))) > 0)
		if (write(fd, line, (size_t)n) != n)
			fail("write");
	close(fd);
	return NULL;
}

static struct co *servers[CLIENTS];

static void *serve(void *listener)
{
	co_enable_hook_sys();
	for (int i = 0; i < CLIENTS; i++) {
		int fd = accept(*(int *)listener, NULL, NULL);
		if (fd < 0)
			fail("accept");
		servers[i] = start("server", serve_one, (void *)(intptr_t)fd);
	}
	return NULL;
}

static void *ask(void *arg)
{
	int number = (int)(intptr_t)arg, fd = socket(AF_INET, SOCK_STREAM, 0);
	char line[100], back[100];

	co_enable_hook_sys();
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		fail("connect");
	n_open++;
	n_most = n_open > n_most ? n_open : n_most;
	for (int i = 0; i < ROUNDS; i++) {
		size_t len = (size_t)snprintf(line, sizeof(line), "client %d, line %d", number, i);
		if (write(fd, line, len) != (ssize_t)len || recv(fd, back, len, MSG_WAITALL) != (ssize_t)len)
			fail("echo");
		n_echoes++;
		n_wrong += memcmp(line, back, len) != 0;
		usleep(20 * 1000);
	}
	close(fd);
	n_open--;
	return NULL;
}

static int make_listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(address);

	address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, CLIENTS) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		fail("listener");
	return fd;
}

static int count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = -2; /* "." and ".." */

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static void show_echo(void)
{
	static struct co *clients[CLIENTS];
	struct rlimit limit;

	printf("4. an echo server and %d clients, %d lines each, in one thread\n", CLIENTS, ROUNDS);
	getrlimit(RLIMIT_NOFILE, &limit); /* two descriptors for each connection */
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);

	int listener = make_listener();
	struct co_loop_stats before = co_loop_stats();
	struct co *server = start("listener", serve, &listener);
	for (intptr_t i = 0; i < CLIENTS; i++)
		clients[i] = start("client", ask, (void *)i);
	co_eventloop(NULL, NULL, NULL);
	struct co_loop_stats after = co_loop_stats();

	printf("   %d lines came back, %d of them wrong; at most %d connections at once\n", n_echoes, n_wrong, n_most);
	printf("   threads: %d\n", count_threads());
	printf("~  turns of the loop: %d, switches: %d, of them per line: %.1f\n", (int)(after.turns - before.turns),
	       (int)(after.switches - before.switches), (double)(after.switches - before.switches) / n_echoes);
	for (int i = 0; i < CLIENTS; i++) {
		co_release(clients[i]);
		co_release(servers[i]);
	}
	co_release(server);
	close(listener);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && strcmp(argv[1], "echo") == 0) { /* only that, for strace */
		show_echo();
		return 0;
	}
	show_read();
	show_write();
	show_libcos_way();
	show_echo();
	printf("main returns\n");
	return 0;
}
