/* SPDX-License-Identifier: MIT */
/*
 * Waits on trust, and when they end.
 *
 * Why two lists, and not the time at which each began? Then each wait would read the
 * clock, and most waits are over soon. A clock ticks every KEPT_NS: who is on the old
 * list has waited long enough, and the young ones join the old. Nobody there: no tick.
 */
#include "kept.h"

#include <errno.h>
#include <stdlib.h>

#include "closing.h"
#include "epoll.h"
#include "park.h"
#include "timer.h"

enum {
	KEPT_NS = 10 * 1000 * 1000,

	/* With thousands of connections under load all waits last long: not because there is
	 * little to do, but because there is much. Then not all may ask: that would be still more. */
	BUSY_SWITCHES = 100, /* since the last tick */
	ASK_AT_ONCE = 32,    /* about 1 % of the time, then */
};

/* An end, an error or urgent data: what comes behind them makes no news, or is not all read. */
enum {
	NOT_BYTES = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI,
};

struct co_kept {
	struct co_waiter waiter; /* fd: what is kept; -1: nothing */
	struct co_timer timer;   /* the wait's own limit */
	struct list on_trust;    /* node on young or old: I1 */
	struct co *co;           /* who waits */
	bool is_woken;
	uint32_t events;         /* what it was told; 0: nothing */
	unsigned n_changes;      /* of fd, before its user was asked: I2 */
	const struct co_news *news;
	uint32_t n_news;         /* as many there were when it was known to be empty */
	bool is_empty;           /* it was, then */
};

/* A thread's waits on trust. */
struct trust {
	struct list young, old; /* struct co_kept.on_trust; I1 */
	struct co_timer tick;
	uint64_t n_switches;    /* of the loop, at the last tick */
	struct co_at_exit at_exit;
};

static _Thread_local struct trust *thread_trust;

static void trust_free(struct co_at_exit *note)
{
	while (list_pop(&thread_trust->young) || list_pop(&thread_trust->old))
		;
	co_timer_cancel(&thread_trust->tick);
	thread_trust = NULL;
	free(container_of(note, struct trust, at_exit));
}

/* --- waking --------------------------------------------------------------------- */

static void tell(struct co_kept *kept, uint32_t events)
{
	kept->events |= events; /* also if its time was over first, and it has not run yet */
	if (kept->is_woken)
		return;
	kept->is_woken = true;
	co_wake(kept->co);
}

static void has_come(struct co_waiter *waiter, uint32_t events)
{
	tell(container_of(waiter, struct co_kept, waiter), events);
}

static void limit_is_over(struct co_timer *timer)
{
	tell(container_of(timer, struct co_kept, timer), 0);
}

static void start_tick(struct trust *trust)
{
	if (!trust->tick.is_armed)
		(void)co_timer_add(&trust->tick, co_from_now_ns(KEPT_NS)); /* the thread has timers */
}

/* How many may ask now. */
static size_t count_askers(struct trust *trust)
{
	uint64_t before = trust->n_switches;

	trust->n_switches = co_loop_stats().switches;
	return trust->n_switches - before < BUSY_SWITCHES ? SIZE_MAX : ASK_AT_ONCE;
}

static void on_tick(struct co_timer *timer)
{
	struct trust *trust = container_of(timer, struct trust, tick);
	struct list *l;

	for (size_t n = count_askers(trust); n > 0 && (l = list_pop(&trust->old)); n--)
		tell(container_of(l, struct co_kept, on_trust), 0);
	list_splice(&trust->old, &trust->young);
	if (!list_empty(&trust->old))
		start_tick(trust);
}

static struct trust *trust_get(void)
{
	struct co_loop *loop = co_get_epoll_ct();

	if (thread_trust)
		return thread_trust;
	struct trust *trust = loop && co_timers_get() ? calloc(1, sizeof(*trust)) : NULL;
	if (!trust)
		return NULL;
	list_init(&trust->young);
	list_init(&trust->old);
	trust->tick.fire = on_tick;
	trust->at_exit.fn = trust_free;
	list_insert(&loop->env->at_exit, &trust->at_exit.node);
	return thread_trust = trust;
}

/* --- waiting --------------------------------------------------------------------- */

static void stop_waiting(struct co_kept *kept)
{
	co_unwatch(&kept->waiter);
	co_timer_cancel(&kept->timer);
	list_remove(&kept->on_trust);
}

/* It is released or reset while it waits. */
static void leave_read(struct co *co)
{
	stop_waiting(co->waits_in);
}

/* Park; the waiter has taken its place. Returns events; 0; -1, errno. */
static int park_reader(struct co_kept *kept, int64_t at_ns, void *blocked_at)
{
	int parked = co_timer_add(&kept->timer, at_ns);

	kept->co = co_self();
	kept->is_woken = false;
	kept->events = 0;
	if (parked == 0)
		parked = co_park(leave_read, kept, blocked_at);
	int error = errno;
	stop_waiting(kept);
	errno = error;
	if (parked != 0)
		return -1;
	/* Told nothing: whoever has waited asks the kernel next, and learns by that of another file. */
	return kept->events && co_waiter_is_lost(&kept->waiter) ? co_fail(EBADF) : (int)kept->events;
}

static int wait_and_keep(struct co_kept *kept, int fd, unsigned n_changes, int64_t at_ns, void *blocked_at)
{
	kept->waiter.fd = fd;
	kept->is_empty = false;
	if (co_watch_and_keep(&kept->waiter) != 0) {
		kept->waiter.fd = -1;
		return errno == EPERM ? EPOLLIN : -1; /* a file: always ready */
	}
	kept->n_changes = n_changes;
	kept->news = co_kept_news(fd);
	return park_reader(kept, at_ns, blocked_at);
}

CALLED_FROM_OUTSIDE int co_wait_and_keep(struct co_kept *kept, int fd, unsigned n_changes, int64_t at_ns)
{
	struct trust *trust = trust_get();

	if (!trust)
		return -1;
	if (fd < 0)
		return co_fail(EBADF);
	return CO_INSIDE(co_thread_env, wait_and_keep(kept, fd, n_changes, at_ns, __builtin_return_address(0)));
}

/* Its time is over, and meanwhile somebody has said that something has changed: another
 * thread, perhaps, has closed it. Then the number's next file is not the one that was waited for. */
static bool is_gone(struct co_kept *kept)
{
	uint32_t file = kept->waiter.file;

	if (kept->n_changes == co_fd_changes(kept->waiter.fd))
		return false;
	if (co_watch(&kept->waiter) != 0) /* who waits is told whether it is another file */
		return errno == EBADF || errno == EPERM;
	co_unwatch(&kept->waiter);
	return kept->waiter.file != file;
}

static int wait_kept(struct co_kept *kept, int64_t at_ns, void *blocked_at)
{
	if (!thread_trust || !co_watch_kept(&kept->waiter)) /* none: the thread ends */
		return 0;
	list_append(&thread_trust->young, &kept->on_trust); /* I1 */
	start_tick(thread_trust);
	kept->is_empty = false;
	int events = park_reader(kept, at_ns, blocked_at);
	if (events == 0 && is_gone(kept))
		events = co_fail(EBADF);
	if (events <= 0)
		kept->waiter.fd = -1;
	return events;
}

CALLED_FROM_OUTSIDE int co_wait_kept(struct co_kept *kept, int64_t at_ns)
{
	return CO_INSIDE(co_thread_env, wait_kept(kept, at_ns, __builtin_return_address(0)));
}

/* --- what is known ----------------------------------------------------------------- */

struct co_kept *co_kept_new(void)
{
	struct co_kept *kept = calloc(1, sizeof(*kept));

	if (!kept)
		return NULL;
	kept->waiter = (struct co_waiter){ .fd = -1, .events = EPOLLIN, .fire = has_come };
	list_init(&kept->waiter.node);
	list_init(&kept->on_trust);
	kept->timer.fire = limit_is_over;
	return kept;
}

void co_kept_free(struct co_kept *kept)
{
	free(kept);
}

/* With a clock that was set, time passes only while nothing else happens: nothing is believed. */
bool co_is_kept(const struct co_kept *kept)
{
	int fd = kept->waiter.fd;

	return fd >= 0 && kept->news && kept->news == co_kept_news(fd) && kept->n_changes == co_fd_changes(fd) &&
	       !co_get_clock();
}

void co_kept_note_empty(struct co_kept *kept)
{
	kept->is_empty = true;
	kept->n_news = kept->news->n;
}

bool co_kept_is_empty(const struct co_kept *kept)
{
	return kept->is_empty && kept->n_news == kept->news->n && !(kept->news->events & NOT_BYTES);
}
