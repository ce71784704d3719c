/* SPDX-License-Identifier: MIT */
/*
 * assert — our own broken invariants stop the program.
 *
 * Layer:   3. Never compiled out, and its condition never has side effects.
 * What a caller can do wrong is not for this: that returns -1 and an errno.
 */
#ifndef CO_ASSERT_H
#define CO_ASSERT_H

#define CO_ASSERT(cond, must_hold) \
	((cond) ? (void)0 : co_assert_failed(__FILE__, __LINE__, must_hold))

/* Print place, broken rule and running coroutine to stderr; abort. */
void co_assert_failed(const char *file, int line, const char *must_hold) __attribute__((noreturn, cold));

/* Write a formatted line of at most 512 bytes to stderr.
 *
 * May be called in a signal handler: it takes no lock and no memory, and uses
 * the bare system call (write(2) is a name that lesson 8 replaces). That
 * glibc's vsnprintf can be used so, for %d %u %s %p %zx, is its practice and
 * not a promise of POSIX; here the program is about to die anyway. */
void co_report(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

#endif
