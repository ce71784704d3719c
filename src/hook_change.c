/* SPDX-License-Identifier: MIT */
/*
 * close, fclose, dup2, dup3; fcntl, ioctl, setsockopt.
 *
 * They are libc's, with the hooks on or off. But after the first four a number means
 * another file, or none, and whoever waits there on this thread is told. And after the others a
 * socket's user may want something else than before, and whoever remembers it must ask.
 */
/* With these, <fcntl.h> would make fcntl another name for fcntl64. Both are hooked. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "closing.h"
#include "hook.h"

/* --- a number means another file ------------------------------------------------------- */

HOOKED int close(int fd)
{
	co_fd_closing(fd);
	return REAL(close)(fd);
}

HOOKED int fclose(FILE *file)
{
	int error = errno, fd = fileno(file); /* -1: it has none */

	errno = error;
	if (fd >= 0)
		co_fd_closing(fd);
	return REAL(fclose)(file);
}

int hook_new_number(int fd)
{
	if (fd >= 0)
		co_fd_closing(fd);
	return fd;
}

/* Told afterwards: it may fail, and then nothing has changed. */
HOOKED int dup2(int from, int to)
{
	int fd = REAL(dup2)(from, to);
	return fd == from ? fd : hook_new_number(fd);
}

HOOKED int dup3(int from, int to, int flags)
{
	return hook_new_number(REAL(dup3)(from, to, flags)); /* it refuses from == to */
}

/* --- the user wants something else --------------------------------------------------------- */

static int changed(int fd, bool is_believed, int result)
{
	if (is_believed)
		co_fd_changed(fd);
	return result;
}

/* The third argument is a number or a pointer, or is missing: it is passed on as a word,
 * whatever it is. */
static void *third(va_list args)
{
	return va_arg(args, void *);
}

HOOKED int fcntl(int fd, int op, ...)
{
	va_list args;

	va_start(args, op);
	void *arg = third(args);
	va_end(args);
	return changed(fd, op == F_SETFL, REAL(fcntl)(fd, op, arg));
}

/* Programs that are compiled with _FILE_OFFSET_BITS=64 call this. Here it is the same. */
HOOKED int fcntl64(int fd, int op, ...) __attribute__((alias("fcntl")));

HOOKED int ioctl(int fd, unsigned long request, ...)
{
	va_list args;

	va_start(args, request);
	void *arg = third(args);
	va_end(args);
	return changed(fd, request == FIONBIO, REAL(ioctl)(fd, request, arg));
}

HOOKED int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	bool is_believed = level == SOL_SOCKET || (level == IPPROTO_TCP && option == TCP_ULP);

	return changed(fd, is_believed, REAL(setsockopt)(fd, level, option, value, len));
}
