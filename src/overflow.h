/* SPDX-License-Identifier: MIT */
/*
 * overflow — say which coroutine ran out of stack, then die as it would have.
 *
 * Layer:   3 (uses: stack, env).
 * Owns:    an alternate signal stack for each thread that has coroutines, and
 *          the process's SIGSEGV handler, unless the program replaces it.
 * Thread:  each thread for itself.
 * Model:   libco has none.
 */
#ifndef CO_OVERFLOW_H
#define CO_OVERFLOW_H

/* Make the calling thread able to report an overflow. A thread that has an
 * alternate signal stack already keeps it.
 *
 * Returns      0; -1 and ENOMEM. */
int co_overflow_watch_thread(void);

/* Undo co_overflow_watch_thread. */
void co_overflow_thread_exit(void);

#endif
