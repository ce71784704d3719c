/* SPDX-License-Identifier: MIT */
/*
 * stack_used — how deep a stack has been used: its high-water mark.
 *
 * Layer:   9 (uses: stack, env).
 * Owns:    nothing.
 * Thread:  a coroutine's own (EXDEV elsewhere); co_stack_measure on any.
 * Errors:  0 and errno.
 * Model:   libco has none.
 *
 * Nobody keeps count while a program runs. A fresh stack is zero, and whoever
 * uses it leaves words that are not, so afterwards the lowest such word tells.
 */
#ifndef CO_STACK_USED_H
#define CO_STACK_USED_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct co;

/* How many bytes of its stack, from the top down, @co has written so far.
 *
 * Up to its lowest word (8 bytes) that is not zero. Zeros that it has written
 * below that are not seen, nor is a large local of which it has written nothing. A stack
 * from the pool has on it what earlier users left: see co_stack_measure. What @co
 * did before a co_reset counts. Asked about itself, @co may find this call to
 * be its deepest.
 * On a shared stack: as deep as it was at any switch, or is now. How deep it was in
 * between nobody knows: the bytes further down are everybody's.
 *
 * Returns      bytes. 0 is an answer too, with errno as it was: it has not run.
 * Errors       0 and: EINVAL NULL; EXDEV another thread's; ENOTSUP a thread's
 *              main coroutine, whose stack is not ours.
 * Cost         reads all of the stack that is unused: some 15 us for 128 KiB; the
 *              first time up to 100, a page fault for each page. That makes none
 *              of it resident: the kernel shows its one page of zeros for all. */
size_t co_stack_used(const struct co *co);

/* How many bytes @co's stack has, without the guard.
 *
 * Errors       as co_stack_used. */
size_t co_stack_size(const struct co *co);

/* Begin (or cease) to wipe each stack when co_create takes it, down to the mark
 * of its earlier users, so that co_stack_used tells of its new user alone.
 *
 * Of the whole process, for coroutines that are created from now on. Off at
 * first, for it makes co_create as slow as co_stack_used. */
void co_stack_measure(bool is_on);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
