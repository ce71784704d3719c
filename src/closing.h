/* SPDX-License-Identifier: MIT */
/*
 * closing — tell the loop what becomes of a descriptor.
 *
 * Layer:   6; implemented in epoll.c and closing.c.
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
 * in plain C (but for a wait of kept.h, which asks after some milliseconds). No
 * error: nobody may be waiting, @fd may be anything. */
void co_fd_closing(int fd);

/* What is known of @fd may not hold any more: whether it blocks, for how long, which file
 * it is. Whoever believes something about it, on any thread, asks before it waits again. The hooks say it
 * for fcntl, ioctl, setsockopt and connect. Without it they believe for some milliseconds
 * what was true before. Safe in a signal handler. No error: @fd may be anything. */
void co_fd_changed(int fd);

/* How often that was said of @fd, by any thread. Several descriptors may share a count. */
unsigned co_fd_changes(int fd);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
