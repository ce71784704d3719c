/* SPDX-License-Identifier: MIT */
/*
 * What a coroutine knows of the sockets that it reads.
 *
 * A server's coroutine reads a request, answers it, and reads again. Each of these reads would
 * try in vain, ask the socket what its user wants (two calls), and tell the kernel what it
 * waits for: four calls to find out what was true a moment ago. So a coroutine remembers it,
 * of the last sockets that it has waited for, and believes it for some milliseconds (kept.h).
 *
 * The try in vain is spared by a rule: when a stream has given less than there was room
 * for, nothing is left in it. That is so for TCP. Others end a read elsewhere too, between two
 * messages, and are tried each time. Should the rule be wrong once, the next read comes some
 * milliseconds late, and the socket is tried each time from then on.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "attach.h"
#include "closing.h"
#include "co_poll.h"
#include "coroutine.h"
#include "hook.h"
#include "kept.h"

enum {
	SOCKETS = 4, /* a server that asks others has some */
};

struct hook_known {
	int fd;               /* -1: none yet */
	struct co_kept *kept; /* NULL: nothing is known */
	int64_t limit_ns;     /* SO_RCVTIMEO; 0: none */
	enum {
		NOT_ASKED,
		LEAVES_NOTHING,
		SAYS_NOTHING,
	} short_read;
};

struct known_sockets {
	struct co_attachment attachment;
	struct hook_known socket[SOCKETS];
	unsigned next; /* whose place is given to another first */
};

static const char owner; /* its address is the attachments' owner */

static void drop_sockets(struct co_attachment *a)
{
	struct known_sockets *s = (struct known_sockets *)a;

	for (int i = 0; i < SOCKETS; i++)
		co_kept_free(s->socket[i].kept);
	free(s);
}

/* NULL: ENOMEM. */
static struct known_sockets *known_sockets_new(void)
{
	struct known_sockets *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	for (int i = 0; i < SOCKETS; i++)
		s->socket[i].fd = -1;
	s->attachment = (struct co_attachment){ .owner = &owner, .drop = drop_sockets };
	co_attach(co_self(), &s->attachment);
	return s;
}

/* The running coroutine's; NULL: it has none yet. */
static struct known_sockets *own_sockets(void)
{
	return (struct known_sockets *)co_attached(co_self(), &owner);
}

static struct hook_known *find(struct known_sockets *s, int fd)
{
	for (int i = 0; s && i < SOCKETS; i++)
		if (s->socket[i].fd == fd && fd >= 0)
			return &s->socket[i];
	return NULL;
}

struct hook_known *hook_known(int fd)
{
	struct hook_known *known = find(own_sockets(), fd);

	return known && co_is_kept(known->kept) ? known : NULL;
}

bool hook_knows_still(const struct hook_known *known, int fd)
{
	return known->fd == fd && co_is_kept(known->kept);
}

/* The place for @fd; NULL: no memory. */
static struct hook_known *place_for(int fd)
{
	struct known_sockets *s = own_sockets();
	struct hook_known *known = find(s, fd);

	if (known || (!s && !(s = known_sockets_new())))
		return known;
	known = &s->socket[s->next++ % SOCKETS];
	if (!known->kept && !(known->kept = co_kept_new()))
		return NULL;
	known->fd = fd;
	known->short_read = NOT_ASKED;
	return known;
}

int hook_wait_and_know(struct hook_wait *w)
{
	struct hook_known *known = place_for(w->fd);

	if (!known)
		return co_wait_until(w->fd, w->events, w->deadline_ns);
	known->limit_ns = w->limit_ns;
	if (known->short_read == LEAVES_NOTHING)
		known->short_read = NOT_ASKED; /* the number may be another socket's */
	return co_wait_and_keep(known->kept, w->fd, w->n_changes, w->deadline_ns);
}

/* Is it TCP, with no layer above it (such as the kernel's TLS, which reads record by
 * record)? */
static bool is_plain_tcp(int fd)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	return getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &len) == 0 && (len == 0 || name[0] == 0);
}

/* Somebody has said that something changes, while we have waited: for later calls. This one began
 * as one that waits, and for so long. (n_changes is of before, so nothing is believed of it.) */
static void keep_wish(struct hook_wait *w, unsigned n_changes, int64_t deadline_ns)
{
	w->is_asked = w->is_socket = true;
	w->n_changes = n_changes;
	w->limit_ns = w->known->limit_ns;
	w->deadline_ns = deadline_ns;
}

int hook_wait_known(struct hook_wait *w)
{
	struct hook_known *known = w->known;
	unsigned n_changes = co_fd_changes(w->fd);

	if (known->limit_ns)
		w->began_ns = co_now_ns();
	int64_t deadline_ns = hook_deadline(w->began_ns, known->limit_ns);
	int events = co_wait_kept(known->kept, deadline_ns);
	if (events == 0 && n_changes != co_fd_changes(w->fd))
		keep_wish(w, n_changes, deadline_ns);
	if (events <= 0)
		return events;
	w->n_in_vain++;
	if (known->short_read == NOT_ASKED)
		known->short_read = is_plain_tcp(w->fd) ? LEAVES_NOTHING : SAYS_NOTHING;
	return events;
}

void hook_note_short_read(struct hook_known *known)
{
	if (known->short_read == LEAVES_NOTHING)
		co_kept_note_empty(known->kept);
}

bool hook_known_is_empty(const struct hook_known *known)
{
	return co_kept_is_empty(known->kept);
}

void hook_was_not_empty(int fd)
{
	struct hook_known *known = find(own_sockets(), fd);

	if (known)
		known->short_read = SAYS_NOTHING;
}
