/* SPDX-License-Identifier: MIT */
/*
 * A hook for write, in three kinds: each writes first, and waits by co_poll if it must; what
 * differs is whether the first write may block. And a listener with libc's accept, and ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 8,
	.belief = "The write hook first writes. Can that hang the thread? Must sockets, and the listener, be non-blocking?",
	.natural = "A hook is there so that nothing blocks. (In libco accept is not hooked at all.)",
	.predict = "one coroutine writes a million bytes to a pipe, another is to read them. The hook calls write on "
		   "a blocking descriptor, and would wait if it said EAGAIN. What happens?",
	.answers = { "it hangs for ever", "write takes what fits, and the rest is waited for", "write says EAGAIN" },
	.answer = 'a',
	.result = "a first write that may block hangs the thread, reader included; O_NONBLOCK or a flag of the call cure it; accept too",
	.because = "A blocking write returns when all is written; the reader is a coroutine of this thread. So the "
		   "first call must not be able to block: libco makes sockets O_NONBLOCK behind the program's back; "
		   "costep asks per call (RWF_NOWAIT, MSG_DONTWAIT) and leaves the flag alone. accept has no such "
		   "flag: there the listener's must be set.",
};

enum { MILLION = 1000000 };
static enum kind { BLOCKING, NONBLOCKING, HOOKED } kind;
static int fd[2];
static volatile struct {
	long n_read;
	bool was_left_alone; /* the descriptor's flag, at the end */
	bool has_accepted;
} *seen;

/* The hook, as libco's: write, and wait only if there was no room. */
static void write_all(const char *bytes, long n)
{
	while (n > 0) {
		long done = syscall(SYS_write, fd[1], bytes, n);
		if (done > 0) {
			bytes += done;
			n -= done;
		} else if (errno == EAGAIN) {
			struct pollfd room = { .fd = fd[1], .events = POLLOUT };
			co_poll(NULL, &room, 1, -1);
		} else {
			_exit(1);
		}
	}
}

static void *writer(void *arg)
{
	char *bytes = calloc(1, MILLION);

	if (kind == HOOKED) {
		co_enable_hook_sys();
		if (write(fd[1], bytes, MILLION) != MILLION)
			_exit(1);
	} else {
		write_all(bytes, MILLION);
	}
	free(bytes);
	return arg;
}

static void *reader(void *arg)
{
	char bytes[65536];

	while (seen->n_read < MILLION) {
		struct pollfd ready = { .fd = fd[0], .events = POLLIN };
		co_poll(NULL, &ready, 1, -1);
		seen->n_read += syscall(SYS_read, fd[0], bytes, sizeof(bytes));
	}
	return arg;
}

static void write_and_read(void)
{
	if (pipe(fd) != 0 || (kind == NONBLOCKING && fcntl(fd[1], F_SETFL, O_NONBLOCK) != 0))
		_exit(1);
	co_resume(create(writer, NULL));
	co_resume(create(reader, NULL));
	co_eventloop(NULL, NULL, NULL);
	seen->was_left_alone = !(fcntl(fd[1], F_GETFL) & O_NONBLOCK);
}

static struct sockaddr_in address = { .sin_family = AF_INET };

static void *accept_one(void *arg)
{
	if (kind == HOOKED)
		co_enable_hook_sys();
	seen->has_accepted = accept(fd[0], NULL, NULL) >= 0;
	return arg;
}

static void *connect_later(void *arg)
{
	co_sleep_ms(1);
	if (connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof(address)) != 0)
		_exit(1);
	return arg;
}

static void accept_and_connect(void)
{
	socklen_t len = sizeof(address);

	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd[0], (struct sockaddr *)&address, len) != 0 || listen(fd[0], 1) != 0 ||
	    getsockname(fd[0], (struct sockaddr *)&address, &len) != 0)
		_exit(1);
	co_resume(create(connect_later, NULL));
	co_resume(create(accept_one, NULL));
	co_eventloop(NULL, NULL, NULL);
}

static struct ended run(enum kind which, void (*fn)(void))
{
	kind = which;
	memset((void *)seen, 0, sizeof(*seen));
	return in_child(fn);
}

char experiment(void)
{
	static const char *const names[] = { "a write that may block:", "O_NONBLOCK:            ", "costep's hook:         " };
	struct ended ends[3];
	long n_read = 0;

	seen = shared_with_child(sizeof(*seen));
	for (int i = 0; i < 3; i++) {
		ends[i] = run((enum kind)i, write_and_read);
		n_read = i ? n_read : seen->n_read;
		saw("%s %7ld bytes are read; it %s", names[i], seen->n_read, how(ends[i]));
		must(i == 0 || seen->n_read == MILLION, "a million bytes", "%ld", seen->n_read);
	}
	must(seen->was_left_alone, "a flag that the hook leaves alone", "O_NONBLOCK");
	struct ended plain = run(BLOCKING, accept_and_connect);
	saw("libc's accept: it %s", how(plain));
	must(plain.is_hung, "an accept that hangs", "it %s", how(plain));
	struct ended hooked = run(HOOKED, accept_and_connect);
	saw("hooked accept: a connection: %s; it %s", seen->has_accepted ? "yes" : "no", how(hooked));
	must(seen->has_accepted, "a connection", "none");
	return ends[0].is_hung ? (n_read == 0 ? 'a' : '?') : 'b';
}
