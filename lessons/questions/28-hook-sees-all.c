/* SPDX-License-Identifier: MIT */
/*
 * A program defines `read` itself, and counts. Then bytes are read in several ways. (The hooks
 * of lesson 8 are not linked here; they replace read in the same way.) Compiled without
 * _FORTIFY_SOURCE, which would make it __read_chk: one name more to be hooked.
 */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 8,
	.belief = "A hook on read sees every read of the program.",
	.natural = "The program's read comes before libc's: the linker has said so.",
	.predict = "a program defines read. Bytes come from a pipe by read(), then by fgets() on the same pipe, then "
		   "by readv(). How many of the three does the program's read see?",
	.answers = { "all three: there is one system call below them", "two: readv is another call", "one" },
	.answer = 'c',
	.result = "a replaced read is seen by callers that ask for the name: read() 1, fgets() 0, readv() 0",
	.because = "Names are looked up where one file asks for a name that another has. Inside libc fgets calls "
		   "libc's own read, which needs no name any more. And readv is another name, and another system "
		   "call. So each name must be hooked, and stdio on sockets cannot be.",
};

static int n_seen;

ssize_t read(int fd, void *buf, size_t len)
{
	n_seen++;
	return syscall(SYS_read, fd, buf, len);
}

char experiment(void)
{
	int fd[2], n[3];
	char bytes[8];
	struct iovec iov = { bytes, sizeof(bytes) };

	must(pipe(fd) == 0, "a pipe", "none");
	FILE *f = fdopen(fd[0], "r");
	setvbuf(stdout, NULL, _IOLBF, 0);

	n_seen = 0;
	must(write(fd[1], "one\n", 4) == 4 && read(fd[0], bytes, sizeof(bytes)) == 4, "4 bytes by read", "others");
	n[0] = n_seen;
	n_seen = 0;
	must(write(fd[1], "two\n", 4) == 4 && fgets(bytes, sizeof(bytes), f) && strcmp(bytes, "two\n") == 0,
	     "a line by fgets", "none");
	n[1] = n_seen;
	n_seen = 0;
	must(write(fd[1], "six\n", 4) == 4 && readv(fd[0], &iov, 1) == 4, "4 bytes by readv", "others");
	n[2] = n_seen;
	fclose(f);
	saw("read() was seen %d times, fgets() %d times, readv() %d times", n[0], n[1], n[2]);
	if (n[0] != 1)
		return '?';
	return n[1] && n[2] ? 'a' : n[1] ? 'b' : n[2] ? '?' : 'c';
}
