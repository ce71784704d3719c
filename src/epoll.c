/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: one epoll set per thread, which takes over the loop's wait.
 *
 * The kernel knows a registration by open file and number; a program knows a
 * number, and may close it at any time, without our hearing of it (fclose,
 * another library, another thread), and get the same number for another file at
 * once. So nothing is believed that was noted earlier: every new wait tells the
 * kernel anew, by a call that fails if the number means another file than the
 * one that we registered (ENOENT). One system call per wait is the price. (Who can bear
 * to be wrong for some milliseconds does not pay it: co_watch_kept.)
 */
#include "epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "assert.h"
#include "epoll_sleep.h"
#include "park.h"
#include "sys.h"
#include "timer.h"

enum {
	FIRST_RECORDS = 64, /* numbers that the first table has room for */

	/* What a registration that stays reports: that something has come, and all that ends
	 * the rule "a short read means that nothing is left". */
	KEPT_EVENTS = EPOLLIN | EPOLLPRI | EPOLLRDHUP,
	UNWANTED = 16,      /* reports that a kept registration may make to nobody */
	STALE = 64,         /* events of old generations, beside one for each waiter, until
			       a set is thrown away */
};

/* What is known of a descriptor number. */
struct record {
	struct list waiters;
	uint32_t generation; /* I2; counts the files that we have registered under it */
	uint32_t file;       /* I2; counts the files that it has meant, as far as we were told */
	bool is_registered;  /* as far as we know */
	bool is_kept;        /* I1: the registration stays when it has reported something */
	struct co_news news; /* what it has reported: for those who keep one */
};

struct epoll {
	struct co_loop *loop;
	int fd;               /* the set; -1: the child of a fork has none yet */
	struct record **records; /* by descriptor number; NULL: never waited for. A record
				    stays where it is until the thread ends */
	unsigned n_records;
	size_t n_waiters;     /* on all records */
	size_t n_stale;       /* events of old generations that this set has reported */
	struct co_epoll_sleep sleep;
	struct co_at_exit at_exit;
};

static _Thread_local struct epoll *thread_epoll;

/* --- what an event carries: generation and number; the alarm's is neither ------- */

static uint64_t data_of(const struct record *record, int fd)
{
	return (uint64_t)record->generation << 32 | (uint32_t)fd;
}

/* --- records --------------------------------------------------------------------- */

static struct record *known_record(const struct epoll *ep, int fd)
{
	return fd >= 0 && (unsigned)fd < ep->n_records ? ep->records[fd] : NULL;
}

static int grow_table(struct epoll *ep, int fd)
{
	unsigned n = ep->n_records ? ep->n_records : FIRST_RECORDS;

	if (sys_fcntl(fd, F_GETFD, 0) < 0)
		return -1; /* a wild number is worth no table of its size */
	while (n <= (unsigned)fd)
		n *= 2;
	struct record **table = realloc(ep->records, (size_t)n * sizeof(*table));
	if (!table)
		return -1;
	for (unsigned i = ep->n_records; i < n; i++)
		table[i] = NULL;
	ep->records = table;
	ep->n_records = n;
	return 0;
}

static struct record *record_of(struct epoll *ep, int fd)
{
	if ((unsigned)fd >= ep->n_records && grow_table(ep, fd) != 0)
		return NULL;
	if (!ep->records[fd]) {
		struct record *record = calloc(1, sizeof(*record));
		if (!record)
			return NULL;
		list_init(&record->waiters);
		ep->records[fd] = record;
	}
	return ep->records[fd];
}

static uint32_t wanted(const struct record *record)
{
	uint32_t events = 0;

	for (const struct list *l = record->waiters.next; l != &record->waiters; l = l->next)
		events |= container_of(l, struct co_waiter, node)->events;
	return events;
}

static void fire(struct epoll *ep, struct co_waiter *waiter, uint32_t events)
{
	list_remove(&waiter->node);
	ep->n_waiters--;
	waiter->fire(waiter, events);
}

/* Those who are there now: who waits again at once, would be fired without end. */
static void fire_all(struct epoll *ep, struct record *record, uint32_t events)
{
	struct list now = LIST_INIT(now); /* on our stack: none of them switches, when told this */

	list_splice(&now, &record->waiters);
	while (!list_empty(&now))
		fire(ep, container_of(now.next, struct co_waiter, node), events);
}

/* --- the set ---------------------------------------------------------------------- */

static int control(struct epoll *ep, int op, int fd, const struct record *record)
{
	struct epoll_event event = { .events = wanted(record) | EPOLLONESHOT, .data.u64 = data_of(record, fd) };
	if (record->is_kept)
		event.events = KEPT_EVENTS | EPOLLET;

	ep->loop->stats.syscalls++;
	return epoll_ctl(ep->fd, op, fd, &event);
}

/* BEGIN SOLUTION */
/* The number means another file now: I2. */
static void lose_all_but(struct epoll *ep, struct record *record, const struct co_waiter *newcomer)
{
	record->file++;
	for (struct list *l = record->waiters.next, *next; l != &record->waiters; l = next) {
		struct co_waiter *waiter = container_of(l, struct co_waiter, node);
		next = l->next;
		if (waiter != newcomer)
			fire(ep, waiter, waiter->is_on_trust ? 0 : EPOLLNVAL);
	}
}

/* Let the set report once what the waiters of @fd want: I1.
 *
 * @newcomer    the one that has just joined them; NULL: none has. */
static int arm(struct epoll *ep, int fd, struct record *record, const struct co_waiter *newcomer)
{
	if (record->is_registered) {
		if (control(ep, EPOLL_CTL_MOD, fd, record) == 0)
			return 0;
		if (errno != ENOENT && errno != EPERM) /* EPERM: a file of the disk, now */
			return -1;
		record->is_registered = false;
		lose_all_but(ep, record, newcomer);
		if (!newcomer)
			return 0;
	}
	record->generation++;
	record->news.events = 0; /* not n: a count noted of the last file must not match by chance */
	if (control(ep, EPOLL_CTL_ADD, fd, record) != 0 &&
	    (errno != EEXIST || /* it is a file that was here before, back by dup2 */
	     control(ep, EPOLL_CTL_MOD, fd, record) != 0))
		return -1;
	record->is_registered = true;
	return 0;
}
/* END SOLUTION */

/* Is our number still an epoll set? Programs that become daemons close all. */
static bool is_set_open(const struct epoll *ep)
{
	struct epoll_event event = { 0 };
	int probe;

	if (ep->fd < 0)
		return false;
	probe = epoll_create1(EPOLL_CLOEXEC);
	if (probe < 0)
		return true; /* nothing can be said, and no other be made */
	epoll_ctl(ep->fd, EPOLL_CTL_MOD, probe, &event);
	bool is_open = errno != EBADF && errno != EINVAL; /* but ENOENT */
	sys_close(probe);
	return is_open;
}

/* Let those who watch a descriptor of the library's find out whether it is there still. */
static void ask_library(struct epoll *ep, struct record *record)
{
	struct list now = LIST_INIT(now);

	list_splice(&now, &record->waiters);
	for (struct list *l; (l = list_pop(&now));) {
		struct co_waiter *waiter = container_of(l, struct co_waiter, node);
		if (waiter->is_librarys)
			fire(ep, waiter, EPOLLERR);
		else
			list_append(&record->waiters, l);
	}
}

/* Make a new set with all that is waited for. The old one's number is somebody
 * else's by now, or nobody's. */
static int make_set(struct epoll *ep)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -1;
	ep->fd = fd;
	ep->n_stale = 0;
	co_epoll_sleep_new_set(&ep->sleep);
	for (unsigned i = 0; i < ep->n_records; i++)
		if (ep->records[i])
			ep->records[i]->is_registered = false;
	for (unsigned i = 0; i < ep->n_records; i++) {
		struct record *record = ep->records[i];
		if (record)
			ask_library(ep, record);
		if (record && !list_empty(&record->waiters) && arm(ep, (int)i, record, NULL) != 0)
			fire_all(ep, record, errno == EBADF || (int)i == fd ? EPOLLNVAL
									    : EPOLLERR); /* they look, and find out */
	}
	return 0;
}

/* Not if the number is another file's by now. */
static void close_set(struct epoll *ep)
{
	if (is_set_open(ep))
		sys_close(ep->fd);
	ep->fd = -1;
}

/* A child of a fork has the parent's set: what it changed there would change
 * the parent's registrations. Closed at once: later, a child that has become a
 * daemon has closed all, and the number may be its log file's. */
static void leave_parents_set(struct co_at_exit *note)
{
	struct epoll *ep = container_of(note, struct epoll, at_exit);

	close_set(ep);
	co_epoll_sleep_end(&ep->sleep);
}

static int have_set(struct epoll *ep)
{
	return ep->fd >= 0 ? 0 : make_set(ep);
}

/* Is this error a set that was closed behind our back? Then there is a new one. */
static bool was_repaired(struct epoll *ep, int error)
{
	if ((error != EBADF && error != EINVAL) || is_set_open(ep)) {
		errno = error;
		return false;
	}
	return make_set(ep) == 0;
}

/* --- the loop's wait ----------------------------------------------------------------- */

/* An event of a file that the number does not mean any more. A registration that stays, of a
 * file that is open under another number, would go on so, and cannot be taken off: for that
 * one names its number. After many of them the set goes, and all that is in it by mistake. */
static void note_stale(struct epoll *ep)
{
	if (++ep->n_stale < STALE + ep->n_waiters)
		return;
	close_set(ep);
	(void)make_set(ep); /* else the next wait does, or fails */
}

/* A registration that stays reports to the waiters of a file, of which there may be none just
 * now. If there are none for long, it is for nothing: it ends. One that should not stay, and
 * does, was made for a file that the number does not mean any more. */
static void note_news(struct epoll *ep, int fd, struct record *record, uint32_t events)
{
	record->news.n++;
	record->news.events |= events;
	if (!list_empty(&record->waiters) || ++record->news.n_unwanted < UNWANTED)
		return;
	if (!record->is_kept) {
		note_stale(ep);
		return;
	}
	record->is_kept = false;
	(void)arm(ep, fd, record, NULL); /* for nobody, nothing */
}

/* BEGIN SOLUTION */
static void handle_event(struct epoll *ep, uint32_t events, uint64_t data)
{
	int fd = (int)(uint32_t)data;
	struct record *record = known_record(ep, fd);

	if (data == CO_ALARM_DATA)
		return;
	if (!record || data_of(record, fd) != data) {
		note_stale(ep); /* I2: a file that was here before */
		return;
	}
	note_news(ep, fd, record, events);
	for (struct list *l = record->waiters.next, *next; l != &record->waiters; l = next) {
		struct co_waiter *waiter = container_of(l, struct co_waiter, node);
		next = l->next;
		if (events & (waiter->events | EPOLLERR | EPOLLHUP))
			fire(ep, waiter, events);
	}
	if (!record->is_kept && !list_empty(&record->waiters) && arm(ep, fd, record, NULL) != 0) /* I1 */
		fire_all(ep, record, EPOLLERR);
}
/* END SOLUTION */

static int fetch(struct epoll *ep, struct epoll_event *events, int64_t at_ns)
{
	if (have_set(ep) != 0)
		return -1;
	int n = co_epoll_sleep(&ep->sleep, ep->fd, events, at_ns);

	if (n >= 0 || errno == EINTR)
		return n >= 0 ? n : 0;
	return was_repaired(ep, errno) ? 0 : -1; /* the next turn waits with the new one */
}

/* BEGIN SOLUTION */
static int wait_for_events(struct co_loop *loop, int64_t at_most_ns)
{
	struct epoll *ep = thread_epoll;
	struct epoll_event events[CO_EPOLL_EVENTS];
	int64_t at_ns = 0; /* the past: only look */

	if (co_timers_expire() == 0 && at_most_ns > 0) {
		int64_t next = co_timers_next();
		at_ns = co_from_now_ns(at_most_ns);
		if (next < at_ns)
			at_ns = next;
		if (at_ns == CO_NEVER && ep->n_waiters == 0)
			return 0;
		loop->stats.sleeps++;
	} else if (ep->n_waiters == 0) {
		return 1; /* nothing to look at */
	}
	int n = fetch(ep, events, at_ns);
	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++)
		handle_event(ep, events[i].events, events[i].data.u64);
	if (at_ns > 0)
		co_timers_expire();
	return 1;
}
/* END SOLUTION */

/* --- the thread's ------------------------------------------------------------------------ */

static void close_epoll(struct co_at_exit *note)
{
	struct epoll *ep = container_of(note, struct epoll, at_exit);

	for (unsigned i = 0; i < ep->n_records; i++)
		free(ep->records[i]);
	free(ep->records);
	co_epoll_sleep_end(&ep->sleep);
	close_set(ep);
	thread_epoll = NULL;
	free(ep);
}

static struct epoll *epoll_get(void)
{
	struct epoll *ep = thread_epoll;

	if (ep)
		return have_set(ep) == 0 ? ep : NULL;
	struct co_timers *timers = co_timers_get(); /* first: ours is closed before it */
	if (!timers)
		return NULL;
	ep = calloc(1, sizeof(*ep));
	if (!ep)
		return NULL;
	ep->loop = co_get_epoll_ct();
	co_epoll_sleep_init(&ep->sleep, ep->loop, timers);
	if (make_set(ep) != 0) {
		free(ep);
		return NULL;
	}
	ep->loop->wait = wait_for_events;
	ep->at_exit.fn = close_epoll;
	ep->at_exit.forked = leave_parents_set;
	list_insert(&ep->loop->env->at_exit, &ep->at_exit.node);
	return thread_epoll = ep;
}

/* Take a place among those who wait for its file. */
static void line_up(struct epoll *ep, struct record *record, struct co_waiter *waiter)
{
	record->news.n_unwanted = 0;
	list_append(&record->waiters, &waiter->node);
	ep->n_waiters++;
}

/* BEGIN SOLUTION */
static int join(struct epoll *ep, struct record *record, struct co_waiter *waiter, bool keep)
{
	record->is_kept = keep && list_empty(&record->waiters);
	line_up(ep, record, waiter);
	if (arm(ep, waiter->fd, record, waiter) == 0) {
		waiter->file = record->file;
		return 0;
	}
	co_unwatch(waiter);
	return -1;
}

static int watch(struct co_waiter *waiter, bool keep)
{
	struct record *record;

	list_init(&waiter->node);
	waiter->is_on_trust = false;
	if (waiter->fd < 0)
		return co_fail(EBADF);
	struct epoll *ep = epoll_get();
	if (!ep || !(record = record_of(ep, waiter->fd)))
		return -1;
	if (join(ep, record, waiter, keep) == 0)
		return 0;
	return was_repaired(ep, errno) ? join(ep, record, waiter, keep) : -1;
}

int co_watch(struct co_waiter *waiter)
{
	return watch(waiter, false);
}

void co_unwatch(struct co_waiter *waiter)
{
	if (!list_linked(&waiter->node))
		return;
	list_remove(&waiter->node);
	thread_epoll->n_waiters--;
}
/* END SOLUTION */

int co_watch_and_keep(struct co_waiter *waiter)
{
	return watch(waiter, true);
}

const struct co_news *co_kept_news(int fd)
{
	struct record *record = thread_epoll && thread_epoll->fd >= 0 ? known_record(thread_epoll, fd) : NULL;

	return record && record->is_kept && record->is_registered ? &record->news : NULL;
}

bool co_watch_kept(struct co_waiter *waiter)
{
	if (!co_kept_news(waiter->fd))
		return false;
	struct record *record = known_record(thread_epoll, waiter->fd);
	if (!list_empty(&record->waiters) || record->news.events & (EPOLLRDHUP | EPOLLHUP))
		return false; /* an end makes one event; but of datagrams, each read must be told */
	line_up(thread_epoll, record, waiter);
	waiter->file = record->file;
	waiter->is_on_trust = true;
	return true;
}

void co_fd_closing(int fd)
{
	co_fd_changed(fd);
	struct record *record = thread_epoll ? known_record(thread_epoll, fd) : NULL;

	/* Not in a signal handler that has interrupted us. */
	if (!record || thread_epoll->loop->env->inside)
		return;
	/* Nor in the child of a vfork: it has our memory, and descriptors of its own. */
	if (thread_epoll->loop->env->tid != (pid_t)syscall(SYS_gettid))
		return;
	bool was_inside = co_go_in(thread_epoll->loop->env);
	record->file++;
	record->is_kept = false;
	fire_all(thread_epoll, record, EPOLLNVAL);
	co_come_out(thread_epoll->loop->env, was_inside);
}

int co_file_of(int fd, uint32_t *file)
{
	struct epoll *ep = fd < 0 ? NULL : epoll_get();
	const struct record *record = ep ? record_of(ep, fd) : NULL;

	if (!record)
		return fd < 0 ? co_fail(EBADF) : -1;
	*file = record->file;
	return 0;
}

bool co_waiter_is_lost(const struct co_waiter *waiter)
{
	return known_record(thread_epoll, waiter->fd)->file != waiter->file;
}

void co_epoll_check(void)
{
	size_t n = 0;

	if (!thread_epoll)
		return;
	for (unsigned i = 0; i < thread_epoll->n_records; i++) {
		const struct record *record = thread_epoll->records[i];
		if (!record)
			continue;
		for (const struct list *l = record->waiters.next; l != &record->waiters; l = l->next, n++)
			CO_ASSERT(container_of(l, struct co_waiter, node)->fd == (int)i, "a waiter is on its number's list");
		CO_ASSERT(list_empty(&record->waiters) || record->is_registered, "I1: who waits is registered");
	}
	CO_ASSERT(n == thread_epoll->n_waiters, "every waiter is counted");
}
