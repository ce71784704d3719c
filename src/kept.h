/* SPDX-License-Identifier: MIT */
/*
 * kept — wait again for what was waited for before, without a system call.
 *
 * Layer:   7 (uses: epoll, timer, park). The hooks read sockets by it.
 * Owns:    a struct co_kept is its user's, and one coroutine's: only that waits with it.
 * Thread:  that of the coroutine.
 * Errors:  -1 and errno.
 *
 * A wait tells the kernel anew what is waited for, as the number may mean another file
 * by now (epoll.h). And who waits in the name of a blocking call must ask before
 * whether the user wants it to block. Most often the answers are those of a moment ago. So:
 * believe for some milliseconds of a wait what was found out before, then ask. With much to
 * do few wait so long. With little, there is time to ask. And what was changed
 * behind our back makes a wait too long by this time, and no more.
 *
 * Invariants:
 *  I1  Who waits on trust (co_wait_kept) is on one of two lists, young and old, and if
 *      nothing comes, off it after KEPT_NS to twice that. (Of a busy thread's,
 *      ASK_AT_ONCE every KEPT_NS; the others stay until it is their turn.)
 *  I2  A wait on trust is believed to be right only by the coroutine that has found out, and as
 *      long as nobody has said co_fd_changed.
 */
#ifndef CO_KEPT_H
#define CO_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct co_kept;

/* One that keeps nothing yet; NULL, ENOMEM. */
struct co_kept *co_kept_new(void);

/* Nobody waits with it any more. */
void co_kept_free(struct co_kept *kept);

/* As co_wait_until(@fd, POLLIN, @at_ns), for as long as it takes, and remember what was registered.
 * This wait is not on trust: the next may be, by co_wait_kept.
 *
 * @n_changes   co_fd_changes(@fd) before the caller has found out what else it will believe. */
int co_wait_and_keep(struct co_kept *kept, int fd, unsigned n_changes, int64_t at_ns);

/* Does all still hold, as far as we know, that was found out before the co_wait_and_keep? */
bool co_is_kept(const struct co_kept *kept);

/* Wait once more for the same, only if co_is_kept. The caller has tried in vain, or knows that
 * there is nothing (co_kept_is_empty).
 *
 * Returns      events; 0 = nothing is known: some milliseconds have gone by, or @at_ns has
 *              come, or it cannot be waited for on trust (somebody else waits there, an end
 *              has come). Ask again, and wait by co_wait_and_keep.
 * Errors       EBADF it was closed meanwhile, by whatever thread; others as co_wait_until. */
int co_wait_kept(struct co_kept *kept, int64_t at_ns);

/* A read has left nothing there; co_is_kept. */
void co_kept_note_empty(struct co_kept *kept);

/* Has nothing come since co_kept_note_empty, nor anything with which that cannot be known (an
 * end, an error, urgent data)? Then a read would be in vain: wait first. */
bool co_kept_is_empty(const struct co_kept *kept);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
