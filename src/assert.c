/* SPDX-License-Identifier: MIT */
/* The last words of a program whose invariants are broken. */
#include "assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "coroutine.h"

void co_report(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	int len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len > (int)sizeof(line) - 1)
		len = sizeof(line) - 1;
	if (len > 0)
		syscall(SYS_write, STDERR_FILENO, line, len);
}

void co_assert_failed(const char *file, int line, const char *must_hold)
{
	const struct co *co = co_self();

	if (co)
		co_report("costep: %s:%d: %s (coroutine %u \"%s\")\n", file, line, must_hold,
			  co_id(co), co_name(co));
	else
		co_report("costep: %s:%d: %s (no coroutine)\n", file, line, must_hold);
	abort();
}
