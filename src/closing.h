/* SPDX-License-Identifier: MIT */
/*
 * closing — tell the loop that a descriptor is about to be closed.
 *
 * Layer:   6; implemented in epoll.c.
 */
#ifndef CO_CLOSING_H
#define CO_CLOSING_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Wake all coroutines of this thread that wait for @fd: their co_poll says
 * POLLNVAL, their hooked read EBADF. Call it right before close; the hooked
 * close does. Without it, who waits for a closed descriptor waits for ever, as
 * in plain C. No error: nobody may be waiting, @fd may be anything. */
void co_fd_closing(int fd);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
