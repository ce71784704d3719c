/* SPDX-License-Identifier: MIT */
/*
 * hooks — plain blocking calls that let other coroutines run.
 *
 * Layer:   8 (uses: 1-7, by their public functions only). Not in the library: a
 *          program asks for it by linking costep_hooks.o. Forgetting that is
 *          an error at link time, since these functions are defined there.
 * Owns:    a switch and variables for each coroutine, until it is reset or
 *          released.
 * Thread:  the switch is the running coroutine's; the list of variables is the
 *          process's.
 * Errors:  -1 and errno.
 * Model:   libco co_hook_sys_call.cpp at dc6aafc; differs in: calls are tried
 *          first, descriptors keep their flags, and there is no table of
 *          descriptors. NOTES.md lists the calls.
 */
#ifndef CO_HOOKS_H
#define CO_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* From now on the running coroutine's blocking calls park it instead of holding
 * up its thread. Main can do so too: then its blocking calls run the loop.
 * Each coroutine does it for itself; a reset coroutine has it off again.
 * Signal handlers: on an alternate stack all calls in them are libc's own. On the
 * coroutine's own stack they must not wait or poll, not even for 0 ms: they may have
 * interrupted malloc.
 *
 * Returns      0; -1, ENOMEM. The first call on a thread makes its environment.
 * Source       libco co_enable_hook_sys. */
int co_enable_hook_sys(void);

/* From now on the running coroutine's calls are libc's own. Source: libco. */
void co_disable_hook_sys(void);

/* Are the running coroutine's calls hooked? Source: libco. */
bool co_is_enable_sys_hook(void);

/* Name the environment variables that each coroutine has for itself: where the
 * hooks are on, setenv and unsetenv change the coroutine's value and getenv finds
 * it; while the coroutine has none of its own, getenv finds the process's.
 *
 * @names       copied. A second call adds to the list.
 * Returns      0; -1, ENOMEM, EINVAL an empty name or one with '='.
 * Source       libco co_set_env_list. */
int co_set_env_list(const char *const names[], size_t n);

/* accept, as a coroutine with its hooks on has it, also if they are off.
 *
 * Blocks       yes: parks the coroutine until there is a connection, if @fd is a
 *              blocking one (see accept in NOTES.md); on main it runs the loop.
 * Source       libco co_accept, which is declared nowhere and holds up the thread. */
int co_accept(int fd, struct sockaddr *addr, socklen_t *len);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
