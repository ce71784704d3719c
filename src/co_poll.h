/* SPDX-License-Identifier: MIT */
/*
 * co_poll — wait for any of several descriptors, or for time.
 *
 * Layer:   7 (uses: epoll, timer, park).
 * Owns:    nothing.
 * Thread:  any; a thread that has no coroutines gets its main one.
 * Errors:  -1 and errno.
 * Model:   libco co_poll_inner (co_routine.cpp) at dc6aafc; differs in: the
 *          kernel's own poll(2) says what is ready, so duplicates, files, bad
 *          descriptors and all events mean what they mean there.
 *
 * (Not named poll.h: that would hide the system's <poll.h>.)
 */
#ifndef CO_POLL_H
#define CO_POLL_H

#include <poll.h>
#include <stdint.h>

#include "clock.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Park the caller until one of @fds is ready or @timeout_ms has passed.
 *
 * @loop        this thread's; NULL means that too.
 * @fds         may be on the caller's stack, in a shared one too.
 * @timeout_ms  0 = look once and return (and if nothing is ready, now and then
 *              give the others a turn); negative = no limit.
 * Returns      number of entries with revents set; 0 = the time is over; -1.
 * Errors       EXDEV another thread's loop; EFAULT, EINVAL and ENOMEM as poll(2)
 *              says; ENOSPC from epoll_ctl(2); EBUSY it would have to wait, and the
 *              caller runs the loop (it is in its callback). A signal does not
 *              end the wait: no EINTR. On main also EDEADLK, nothing could ever
 *              wake it, and those of co_eventloop.
 * Blocks       yes: parks the coroutine; on main it runs the loop until done.
 * Source       libco co_poll; poll(2). Unlike libco's, timeout 0 is legal. */
int co_poll(struct co_loop *loop, struct pollfd fds[], nfds_t n, int timeout_ms);

/* The same until a point in time, as co_now_ns() counts; CO_NEVER: no limit. */
int co_poll_until(struct pollfd fds[], nfds_t n, int64_t at_ns);

/* Park the caller until @fd may be ready, for those who have tried already and will
 * try again: unlike co_poll it does not look first, and being woken is no promise.
 *
 * @events      POLLIN and so on.
 * Returns      events, POLLERR and POLLHUP among them; 0 = @at_ns has come.
 * Errors       EBADF @fd is not open, or is closed meanwhile; others as co_poll. */
int co_wait_until(int fd, short events, int64_t at_ns);

/* Park the caller for @ns, in a call on @fd that nothing tells when to try again.
 *
 * Errors       EBADF @fd was closed meanwhile: the number may mean another file. Those of
 *              co_sleep_ns. */
int co_doze(int fd, int64_t ns);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
