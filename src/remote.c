/* SPDX-License-Identifier: MIT */
/*
 * Handles that other threads may use.
 *
 * The list of what was posted is pushed to by compare-and-swap and taken whole by one
 * exchange, so no node is ever taken off by one while another looks at it (no "ABA").
 * A mutex would do as well, but in the child of a fork it might be locked for ever, and
 * a poster that lost the processor while it holds it would stop the owner's loop.
 *
 * Whoever finds the list empty writes to the eventfd; the others need not: the owner
 * has not looked yet. The owner reads the eventfd first and takes the list then. (The
 * other way round, a write between the two would be swallowed with its news: I1.)
 */
#include "remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "assert.h"
#include "epoll.h"
#include "park.h"
#include "sys.h"
#include "timer.h"

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

static struct post closed; /* on no list: the end of those to which nobody posts: I3 */

struct co_remote {
	/* any thread's */
	_Atomic(struct post *) posted; /* the newest first */
	_Atomic uint64_t n_notified;   /* events that the owner has not seen yet */
	_Atomic unsigned n_holders;
	_Atomic(struct co_env *) owner; /* NULL: closed */
	_Atomic int fd;                 /* the eventfd; open until the last holder goes, so that
					   nobody writes to a number that is another file's */
	unsigned n_forks;               /* co_n_forks, in the process that the owner is in */

	/* the owner's */
	struct co_waiter waiter; /* on fd, while it is open */
	struct list in_thread;   /* node of struct remotes.open */
	struct post *taken;      /* to be run, the oldest first */
	unsigned n_runs;         /* calls of run_taken that are under way */
	struct list waiting;     /* struct event_wait, who came first is first */
	uint64_t n_events;       /* that nobody has waited for yet: I4 */
};

/* A thread's own handles. */
struct remotes {
	struct list open;
	struct co_at_exit at_exit;
};

static _Thread_local struct remotes *thread_remotes;

/* On the heap: while its coroutine waits, that one's stack may not be there. */
struct event_wait {
	struct list node;
	struct co *co;
	struct co_remote *remote; /* held */
	struct co_timer timer;
	bool has_event; /* it was given one, and has not run since */
	int error;      /* why it was woken without one */
};

/* --- any thread -------------------------------------------------------------------- */

/* The owner is in another process: its thread did not come through the fork. */
static bool is_left_behind(const struct co_remote *r)
{
	return r->n_forks != co_n_forks;
}

static bool is_shut(struct co_remote *r)
{
	return is_left_behind(r) || r->posted == &closed;
}

static void signal_owner(struct co_remote *r)
{
	int before = errno;

	sys_write(r->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	errno = before;
}

struct co_remote *co_remote_hold(struct co_remote *r)
{
	if (r)
		r->n_holders++;
	return r;
}

void co_remote_drop(struct co_remote *r)
{
	if (!r || --r->n_holders > 0)
		return;
	CO_ASSERT(!r->owner, "the owner's reference goes by co_remote_close");
	sys_close_eventfd(r->fd);
	free(r);
}

int co_remote_post(struct co_remote *r, void (*fn)(void *arg), void *arg)
{
	if (!r || !fn)
		return co_fail(EINVAL);
	if (is_shut(r))
		return co_fail(ESRCH);
	struct post *post = malloc(sizeof(*post));
	if (!post)
		return -1;
	struct post *before = r->posted;
	do {
		if (before == &closed) { /* I3: meanwhile */
			free(post);
			return co_fail(ESRCH);
		}
		*post = (struct post){ .next = before, .fn = fn, .arg = arg };
	} while (!atomic_compare_exchange_weak(&r->posted, &before, post));
	/* From here on it is the owner's, who may have freed it. */
	if (!before)
		signal_owner(r); /* I1 */
	return 0;
}

int co_remote_notify(struct co_remote *r)
{
	if (!r)
		return co_fail(EINVAL);
	if (is_shut(r))
		return co_fail(ESRCH);
	if (r->n_notified++ == 0)
		signal_owner(r); /* I1 */
	return 0;
}

/* --- what was posted ----------------------------------------------------------------- */

/* Take all that was posted, and leave @left. */
static void take_posts(struct co_remote *r, struct post *left)
{
	struct post *oldest = NULL, **end = &r->taken;

	if (r->posted == &closed)
		return; /* I3; only the owner's thread, we, closes it */
	for (struct post *p = atomic_exchange(&r->posted, left), *older; p; p = older) {
		older = p->next;
		p->next = oldest;
		oldest = p;
	}
	while (*end)
		end = &(*end)->next;
	*end = oldest;
}

/* It is closed, and nothing of it runs any more. */
static void end_remote(struct co_remote *r)
{
	list_remove(&r->in_thread);
	co_remote_drop(r);
}

/* Run all that was taken: I2. The functions are the program's: outside of the library.
 * One of them may close @r, and end the thread, too. */
static void run_taken(struct co_remote *r, struct co_env *env)
{
	r->n_runs++;
	for (struct post *p; (p = r->taken);) {
		struct post post = *p;
		r->taken = p->next;
		free(p);
		co_come_out(env, false);
		post.fn(post.arg);
		co_go_in(env);
	}
	if (--r->n_runs == 0 && !r->owner)
		end_remote(r);
}

/* --- events ---------------------------------------------------------------------------- */

static void wake_waiter(struct event_wait *w)
{
	list_remove(&w->node);
	co_timer_cancel(&w->timer);
	co_wake(w->co);
}

static void hand_out(struct co_remote *r)
{
	while (r->n_events > 0 && !list_empty(&r->waiting)) {
		struct event_wait *w = container_of(r->waiting.next, struct event_wait, node);
		r->n_events--;
		w->has_event = true;
		wake_waiter(w);
	}
}

static void collect_events(struct co_remote *r)
{
	r->n_events += atomic_exchange(&r->n_notified, 0);
	hand_out(r);
}

static void time_is_over(struct co_timer *timer)
{
	struct event_wait *w = container_of(timer, struct event_wait, timer);

	w->error = ETIMEDOUT;
	wake_waiter(w);
}

static void end_wait(struct event_wait *w)
{
	list_remove(&w->node);
	co_timer_cancel(&w->timer);
	co_remote_drop(w->remote);
	free(w);
}

/* It is released or reset in its wait. An event that it was given is another's. */
static void leave_waiting(struct co *co)
{
	struct event_wait *w = co->waits_in;

	if (w->has_event) { /* then it is on no list any more */
		w->remote->n_events++;
		hand_out(w->remote);
	}
	end_wait(w);
}

static int take_event(struct co_remote *r, int64_t at_ns, void *blocked_at)
{
	collect_events(r);
	if (r->n_events > 0) { /* I4: nobody came before us */
		r->n_events--;
		return 0;
	}
	struct event_wait *w = malloc(sizeof(*w));
	int waited = -1;

	if (!w)
		return -1;
	*w = (struct event_wait){ .co = co_self(), .remote = co_remote_hold(r), .timer.fire = time_is_over };
	list_append(&r->waiting, &w->node);
	if (co_timer_add(&w->timer, at_ns) == 0)
		waited = co_park(leave_waiting, w, blocked_at);
	if (waited == 0 && w->error)
		waited = co_fail(w->error);
	end_wait(w);
	return waited;
}

/* --- the eventfd -------------------------------------------------------------------------- */

static void heard(struct co_waiter *waiter, uint32_t events);

/* Nobody posts any more. Who waits is told; what was posted is left to be run. */
static void shut(struct co_remote *r)
{
	take_posts(r, &closed); /* I3 */
	collect_events(r);
	co_unwatch(&r->waiter);
	while (!list_empty(&r->waiting)) {
		struct event_wait *w = container_of(r->waiting.next, struct event_wait, node);
		w->error = ESRCH;
		wake_waiter(w);
	}
}

static int watch_new_fd(struct co_remote *r)
{
	int fd = sys_eventfd();

	if (fd < 0)
		return -1;
	r->waiter = (struct co_waiter){ .fd = fd, .events = EPOLLIN, .fire = heard, .is_librarys = true };
	r->fd = fd;
	if (co_watch(&r->waiter) == 0)
		return 0;
	sys_close(fd);
	r->fd = -1;
	return -1;
}

/* The eventfd was closed behind our back, or can be waited for no more. We may be in
 * anybody's call here, not in the loop: run nothing. */
static void repair(struct co_remote *r, bool is_closed)
{
	if (is_closed)
		r->fd = -1; /* its number is another's, or nobody's */
	if ((is_closed ? watch_new_fd(r) : co_watch(&r->waiter)) != 0)
		shut(r);
	else
		signal_owner(r); /* its news has gone with the old one */
}

static void heard(struct co_waiter *waiter, uint32_t events)
{
	struct co_remote *r = container_of(waiter, struct co_remote, waiter);
	uint64_t count;

	if (events & (EPOLLNVAL | EPOLLERR)) {
		repair(r, events & EPOLLNVAL || !sys_is_eventfd(r->fd));
		return;
	}
	sys_read(r->fd, &count, sizeof(count)); /* first: I1 */
	if (co_watch(&r->waiter) != 0)
		shut(r);
	take_posts(r, NULL);
	collect_events(r);
	run_taken(r, r->owner);
}

/* --- the thread's ---------------------------------------------------------------------------- */

static void close_inside(struct co_remote *r, struct co_env *env)
{
	struct co_loop *loop = co_get_epoll_ct();
	struct co *runner = loop->runner;

	r->owner = NULL; /* first: whom post tells ESRCH, close tells it too */
	shut(r);
	loop->runner = env->running; /* the functions are not to wait in here */
	run_taken(r, env);
	loop->runner = runner;
}

static void close_all(struct co_at_exit *note)
{
	struct remotes *remotes = container_of(note, struct remotes, at_exit);
	struct co_env *env = co_get_curr_thread_env();
	bool was_inside = co_go_in(env);

	while (!list_empty(&remotes->open)) {
		struct co_remote *r = container_of(remotes->open.next, struct co_remote, in_thread);
		r->n_runs = 0; /* a function that it ran has ended the thread */
		close_inside(r, env);
	}
	co_come_out(env, was_inside);
	thread_remotes = NULL;
	free(remotes);
}

/* The child of a fork has its parent's eventfds, and would wake its parent by them, and
 * be woken by it. Put others in their place, under the same numbers. (Where one was closed
 * behind our back, the loop finds out when it makes its set.) */
static void leave_parents_fds(struct co_at_exit *note)
{
	struct remotes *remotes = container_of(note, struct remotes, at_exit);

	for (struct list *l = remotes->open.next; l != &remotes->open; l = l->next) {
		struct co_remote *r = container_of(l, struct co_remote, in_thread);
		r->n_forks = co_n_forks;
		if (r->posted == &closed || !sys_is_eventfd(r->fd))
			continue;
		sys_close(r->fd); /* first: there may be no number free but this */
		int fd = sys_eventfd();
		if (fd >= 0 && fd != r->fd) {
			sys_dup3(fd, r->fd, O_CLOEXEC);
			sys_close(fd);
		}
		if (fd < 0) {
			r->fd = -1;
			shut(r);
		} else {
			signal_owner(r); /* the news may be in the parent's */
		}
	}
}

static struct remotes *remotes_get(void)
{
	struct remotes *remotes = thread_remotes;

	if (remotes)
		return remotes;
	remotes = calloc(1, sizeof(*remotes));
	if (!remotes)
		return NULL;
	list_init(&remotes->open);
	remotes->at_exit.fn = close_all;
	remotes->at_exit.forked = leave_parents_fds;
	list_insert(&co_get_curr_thread_env()->at_exit, &remotes->at_exit.node);
	return thread_remotes = remotes;
}

static struct co_remote *open_inside(struct co_env *env)
{
	struct co_remote *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	list_init(&r->waiting);
	r->n_holders = 1;
	r->owner = env;
	r->n_forks = co_n_forks;
	if (watch_new_fd(r) != 0) /* first: epoll is to be closed after us */
		goto no_fd;
	struct remotes *remotes = remotes_get();
	if (!remotes)
		goto no_remotes;
	list_append(&remotes->open, &r->in_thread);
	return r;

no_remotes:
	co_unwatch(&r->waiter);
	sys_close(r->fd);
no_fd:
	free(r);
	return NULL;
}

struct co_remote *co_remote_open(void)
{
	struct co_env *env = co_env_get();

	return env ? CO_INSIDE(env, open_inside(env)) : NULL;
}

/* May the calling thread do what only the owner may? */
static int check_owner(struct co_remote *r)
{
	if (!r)
		return co_fail(EINVAL);
	struct co_env *owner = r->owner;
	if (!owner || is_left_behind(r))
		return co_fail(ESRCH);
	return owner == co_get_curr_thread_env() ? 0 : co_fail(EXDEV);
}

int co_remote_close(struct co_remote *r)
{
	if (check_owner(r) != 0)
		return -1;
	struct co_env *env = co_get_curr_thread_env();
	bool was_inside = co_go_in(env);
	close_inside(r, env);
	co_come_out(env, was_inside);
	return 0;
}

static int wait_until(struct co_remote *r, int64_t at_ns, void *blocked_at)
{
	if (check_owner(r) != 0)
		return -1;
	if (is_shut(r))
		return co_fail(ESRCH);
	struct co_env *env = co_get_curr_thread_env(); /* r may be gone when this is over */
	return CO_INSIDE(env, take_event(r, at_ns, blocked_at));
}

CALLED_FROM_OUTSIDE int co_remote_wait(struct co_remote *r)
{
	return wait_until(r, CO_NEVER, __builtin_return_address(0));
}

CALLED_FROM_OUTSIDE int co_remote_wait_until(struct co_remote *r, int64_t at_ns)
{
	return wait_until(r, at_ns, __builtin_return_address(0));
}
