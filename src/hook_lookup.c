/* SPDX-License-Identifier: MIT */
/*
 * getaddrinfo, gethostbyname, gethostbyname2 and their _r forms.
 *
 * A name lookup reads files and asks servers, inside libc, where no hook
 * reaches. So it is done by a helper thread, at most four of them, and the
 * coroutine waits for an eventfd. The helper sees only the heap: copies of the
 * arguments, room for the result. The caller's stack may not be there meanwhile.
 *
 * Invariants:
 *  I1  A job has one holder while the coroutine or the helper needs it, two while
 *      both do; the last one frees it.
 *  I2  A job that is not done is on `waiting` or `running`, both guarded by `lock`.
 *  I3  lock is free across fork; in the child all that was not done is done anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "attach.h"
#include "co_poll.h"
#include "coroutine.h"
#include "hook.h"
#include "list.h"
#include "sys.h"

enum {
	HELPERS = 4,
	FIRST_LEN = 1024, /* of gethostbyname's buffer; doubled until the answer fits */
	LOOK_NS = 500 * 1000 * 1000, /* until a waiting coroutine looks whether its eventfd is there still */
	ALIGN = 16,
};

struct job {
	struct co_attachment attachment; /* lets go of it if the coroutine is released */
	struct list node;                /* on waiting or running: I2 */
	int n_holders;                   /* I1; under lock */
	bool is_begun, is_done;          /* under lock */
	int done_fd;                     /* readable when it is done; under lock */
	void (*run)(struct job *job);    /* in the helper */
	void (*free_result)(struct job *job); /* nobody takes the result */

	char *name, *service; /* copies */
	int result, error;    /* of the call, and errno */
	union {
		struct {
			struct addrinfo hints;
			bool has_hints;
			struct addrinfo *list;
		} addr;
		struct {
			int family;
			char *memory, *buf; /* buf: in memory, aligned as the user's is */
			size_t buf_len;
			struct hostent entry, *found;
			int h_error;
		} host;
	};
};

static const char jobs; /* its address is the attachments' owner */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_job = PTHREAD_COND_INITIALIZER;
static struct list waiting = LIST_INIT(waiting), running = LIST_INIT(running);
static int n_helpers, n_waiting; /* n_waiting: jobs on `waiting` */
static int n_idle; /* helpers that sleep, or are called and have not come yet */
static void *stacks[HELPERS]; /* the helpers': the same in a fork's child, for its own */
static size_t stack_len;
static _Thread_local bool is_helper;

/* --- jobs ------------------------------------------------------------------------------- */

static void let_go(struct job *job)
{
	pthread_mutex_lock(&lock);
	bool is_last = --job->n_holders == 0;
	pthread_mutex_unlock(&lock);
	if (!is_last)
		return;
	if (job->free_result)
		job->free_result(job);
	sys_close_eventfd(job->done_fd);
	free(job->name);
	free(job->service);
	free(job);
}

/* Nobody waits for it any more. If it has not begun, it need not be done: others wait for a helper. */
static void give_up(struct job *job)
{
	pthread_mutex_lock(&lock);
	if (!job->is_begun) {
		list_remove(&job->node);
		n_waiting--;
		job->n_holders--;
	}
	pthread_mutex_unlock(&lock);
}

static void drop_job(struct co_attachment *a)
{
	struct job *job = (struct job *)a;

	give_up(job);
	let_go(job);
}

/* A copy, or NULL for NULL. */
static int copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -1 : 0;
}

static struct job *job_new(const char *name, const char *service, void (*run)(struct job *))
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	list_init(&job->node);
	job->run = run;
	job->attachment = (struct co_attachment){ .owner = &jobs, .drop = drop_job };
	job->n_holders = 1;
	job->done_fd = sys_eventfd();
	if (job->done_fd < 0)
		goto no_fd;
	if (copy(&job->name, name) == 0 && copy(&job->service, service) == 0)
		return job;
	free(job->name);
	sys_close(job->done_fd);
no_fd:
	free(job);
	return NULL;
}

/* --- helpers ---------------------------------------------------------------------------- */

static void *help(void *unused)
{
	is_helper = true;
	pthread_mutex_lock(&lock);
	for (;;) {
		struct list *l;
		n_idle++;
		while (!(l = list_pop(&waiting)))
			pthread_cond_wait(&has_job, &lock);
		n_idle--;
		n_waiting--;
		struct job *job = container_of(l, struct job, node);
		list_append(&running, &job->node);
		job->is_begun = true;
		pthread_mutex_unlock(&lock);

		job->run(job);

		pthread_mutex_lock(&lock);
		list_remove(&job->node);
		job->is_done = true;
		if (sys_is_eventfd(job->done_fd))
			sys_write(job->done_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		pthread_mutex_unlock(&lock);
		let_go(job);
		pthread_mutex_lock(&lock);
	}
	return unused;
}

/* The next helper's stack. A thread on memory of ours begins with a resolver state that is
 * clear. On a stack that libc has chosen it begins with the state of whoever had that before,
 * if a fork has left him behind in the parent: and in it is the socket of his lookup. Then both
 * processes would read the answers from one socket, each losing the other's. */
static int set_stack(pthread_attr_t *attr)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);
	void **stack = &stacks[n_helpers];

	if (!stack_len)
		pthread_attr_getstacksize(attr, &stack_len); /* as libc's own would be */
	if (!*stack) {
		char *memory = mmap(NULL, guard + stack_len, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
		if (memory == MAP_FAILED)
			return ENOMEM;
		mprotect(memory, guard, PROT_NONE);
		*stack = memory + guard;
	}
	return pthread_attr_setstack(attr, *stack, stack_len);
}

/* Start a helper, with all signals blocked: they are the program's. Under lock. */
static int start_helper(void)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int error = set_stack(&attr);
	if (!error)
		error = pthread_create(&thread, &attr, help, NULL);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	n_helpers += !error;
	return error;
}

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

/* The child has no helpers; and its eventfds are the parent's: each needs one of its
 * own, under the number for which its coroutine waits. I3. */
static void after_fork_in_child(void)
{
	pthread_cond_init(&has_job, NULL);
	n_helpers = n_idle = 0;
	if (is_helper) { /* a module of libc's has forked: no coroutine has come along, but one stack is ours */
		memset(stacks, 0, sizeof(stacks));
		list_init(&waiting);
		list_init(&running);
	}
	list_splice(&waiting, &running);
	n_waiting = 0;
	for (struct list *l = waiting.next; l != &waiting; l = l->next, n_waiting++) {
		struct job *job = container_of(l, struct job, node);
		job->is_begun = false;
		int fd = sys_is_eventfd(job->done_fd) ? sys_eventfd() : -1;
		if (fd >= 0) {
			sys_dup3(fd, job->done_fd, O_CLOEXEC);
			sys_close(fd);
		}
	}
	if (!list_empty(&waiting))
		start_helper();
	pthread_mutex_unlock(&lock);
}

/* When the program is loaded: its own fork handlers, registered later, may look names up. They
 * run before ours have locked, and after ours have unlocked. */
__attribute__((constructor)) static void watch_forks(void)
{
	(void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static int submit(struct job *job)
{
	int error = 0;

	pthread_mutex_lock(&lock);
	if (n_waiting >= n_idle && n_helpers < HELPERS)
		error = start_helper();
	if (n_helpers > 0) {
		error = 0;
		job->n_holders++;
		list_append(&waiting, &job->node);
		n_waiting++;
		pthread_cond_signal(&has_job);
	}
	pthread_mutex_unlock(&lock);
	return error;
}

static bool is_done(struct job *job)
{
	pthread_mutex_lock(&lock);
	bool done = job->is_done;
	pthread_mutex_unlock(&lock);
	return done;
}

/* The program has closed our eventfd, and its number may be another file's. */
static int take_another_fd(struct job *job)
{
	int fd = sys_eventfd();

	if (fd < 0)
		return -1;
	pthread_mutex_lock(&lock);
	job->done_fd = fd;
	pthread_mutex_unlock(&lock);
	return 0;
}

static int wait_for(struct job *job)
{
	/* (With a clock that was set the time to look would come at once, again and again.) */
	int64_t at_ns = co_get_clock() ? CO_NEVER : co_from_now_ns(LOOK_NS);
	int waited = co_wait_until(job->done_fd, POLLIN, at_ns);

	if (waited < 0 ? errno == EBADF : !sys_is_eventfd(job->done_fd))
		return take_another_fd(job);
	return waited;
}

/* In a fork's child, perhaps, none could be started. */
static bool has_helper(void)
{
	pthread_mutex_lock(&lock);
	bool has = n_helpers > 0 || start_helper() == 0;
	pthread_mutex_unlock(&lock);
	return has;
}

/* Have @job done. Returns 0; -1: it could not be begun, or not be waited for. */
static int do_job(struct job *job)
{
	struct co *me = co_self();
	int waited = 0;

	if (submit(job) != 0)
		return -1;
	co_attach(me, &job->attachment);
	while (!is_done(job) && waited >= 0)
		waited = has_helper() ? wait_for(job) : -1;
	co_detach(me, &job->attachment);
	if (waited >= 0)
		return 0;
	give_up(job);
	return -1;
}

/* --- getaddrinfo ------------------------------------------------------------------------------ */

static void run_getaddrinfo(struct job *job)
{
	job->result = REAL(getaddrinfo)(job->name, job->service, job->addr.has_hints ? &job->addr.hints : NULL,
					&job->addr.list);
	job->error = errno;
}

static void free_addr(struct job *job)
{
	if (job->is_done && job->result == 0 && job->addr.list)
		freeaddrinfo(job->addr.list);
}

/* Weak, for those who link statically and use freeaddrinfo: libc.a has both in one
 * member, and the linker would only say "multiple definition". Now it links, and
 * hook_real says in words what is wrong. In shared programs there is no difference. */
HOOKED __attribute__((weak)) int getaddrinfo(const char *restrict name, const char *restrict service, const struct addrinfo *restrict hints,
		       struct addrinfo **restrict list)
{
	bool is_quick = !name || (hints && hints->ai_flags & AI_NUMERICHOST);
	int before = errno, result;
	struct job *job = is_quick || !hook_is_on() ? NULL : job_new(name, service, run_getaddrinfo);

	if (!job)
		return REAL(getaddrinfo)(name, service, hints, list);
	job->free_result = free_addr;
	if (hints) {
		job->addr.hints = *hints;
		job->addr.has_hints = true;
	}
	if (do_job(job) != 0) {
		let_go(job);
		return REAL(getaddrinfo)(name, service, hints, list);
	}
	result = job->result;
	errno = result == EAI_SYSTEM ? job->error : before;
	if (result == 0) {
		*list = job->addr.list;
		job->addr.list = NULL; /* the caller's now */
	}
	let_go(job);
	return result;
}

/* --- gethostbyname ------------------------------------------------------------------------------ */

static void run_gethostbyname(struct job *job)
{
	job->result = REAL(gethostbyname2_r)(job->name, job->host.family, &job->host.entry, job->host.buf,
					     job->host.buf_len, &job->host.found, &job->host.h_error);
	job->error = errno;
}

/* gethostbyname_r is not gethostbyname2_r with AF_INET: it obeys RES_OPTIONS. */
static void run_any_family(struct job *job)
{
	job->result = REAL(gethostbyname_r)(job->name, &job->host.entry, job->host.buf, job->host.buf_len,
					    &job->host.found, &job->host.h_error);
	job->error = errno;
}

static void free_host(struct job *job)
{
	free(job->host.memory);
}

/* Look @name up, for an answer that will be moved to @buf. NULL: it could not be done. */
static struct job *look_up_host(const char *name, int family, const char *buf, size_t buf_len)
{
	struct job *job = job_new(name, NULL, family ? run_gethostbyname : run_any_family);

	if (!job)
		return NULL;
	job->free_result = free_host;
	job->host.family = family;
	job->host.buf_len = buf_len;
	job->host.memory = malloc(buf_len + 2 * ALIGN);
	if (job->host.memory) {
		uintptr_t base = ((uintptr_t)job->host.memory + ALIGN - 1) / ALIGN * ALIGN;
		job->host.buf = (char *)base + (uintptr_t)buf % ALIGN;
		if (do_job(job) == 0)
			return job;
	}
	let_go(job);
	return NULL;
}

static void *moved(void *p, const char *from, char *to)
{
	return p ? to + ((char *)p - from) : NULL;
}

static char **move_array(char **array, const char *from, char *to)
{
	char **copied = moved(array, from, to);

	for (char **p = copied; p && *p; p++)
		*p = moved(*p, from, to);
	return copied;
}

/* Move the answer of @job to @buf, which is as long as its own. */
static void take_host(const struct job *job, struct hostent *entry, char *buf)
{
	memcpy(buf, job->host.buf, job->host.buf_len);
	*entry = job->host.entry;
	entry->h_name = moved(entry->h_name, job->host.buf, buf);
	entry->h_aliases = move_array(entry->h_aliases, job->host.buf, buf);
	entry->h_addr_list = move_array(entry->h_addr_list, job->host.buf, buf);
}

/* family 0: gethostbyname_r. -1: it could not be done; else as libc. */
static int hooked_r(const char *name, int family, struct hostent *entry, char *buf, size_t buf_len,
		    struct hostent **found, int *h_error)
{
	int before = errno;
	struct job *job = look_up_host(name, family, buf, buf_len);

	if (!job)
		return -1;
	int result = job->result;
	*h_error = job->host.h_error;
	*found = NULL;
	if (result == 0 && job->host.found) {
		take_host(job, entry, buf);
		*found = entry;
	}
	errno = result ? job->error : before;
	let_go(job);
	return result;
}

HOOKED int gethostbyname_r(const char *restrict name, struct hostent *restrict entry, char *restrict buf,
			   size_t buf_len, struct hostent **restrict found, int *restrict h_error)
{
	int result = hook_is_on() ? hooked_r(name, 0, entry, buf, buf_len, found, h_error) : -1;
	return result >= 0 ? result : REAL(gethostbyname_r)(name, entry, buf, buf_len, found, h_error);
}

HOOKED int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict entry, char *restrict buf,
			    size_t buf_len, struct hostent **restrict found, int *restrict h_error)
{
	int result = hook_is_on() ? hooked_r(name, family, entry, buf, buf_len, found, h_error) : -1;
	return result >= 0 ? result : REAL(gethostbyname2_r)(name, family, entry, buf, buf_len, found, h_error);
}

/* The forms without _r answer in memory of their own: here, the coroutine's. */
struct host_memory {
	struct co_attachment attachment;
	struct hostent entry;
	char *buf;
	size_t len;
};

static const char host_memories; /* owner */

static void drop_host_memory(struct co_attachment *a)
{
	struct host_memory *m = (struct host_memory *)a;

	free(m->buf);
	free(m);
}

static struct host_memory *host_memory(void)
{
	struct host_memory *m = (struct host_memory *)co_attached(co_self(), &host_memories);

	if (m)
		return m;
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->attachment = (struct co_attachment){ .owner = &host_memories, .drop = drop_host_memory };
	co_attach(co_self(), &m->attachment);
	return m;
}

static bool grow(struct host_memory *m)
{
	size_t len = m->len ? 2 * m->len : FIRST_LEN;
	char *buf = realloc(m->buf, len);

	if (!buf)
		return false;
	m->buf = buf;
	m->len = len;
	return true;
}

/* family 0: gethostbyname. false: it could not be done. */
static bool hooked_host(const char *name, int family, struct hostent **found)
{
	struct host_memory *m = host_memory();
	int error = 0, result;

	if (!m || (!m->buf && !grow(m)))
		return false;
	while ((result = hooked_r(name, family, &m->entry, m->buf, m->len, found, &error)) == ERANGE)
		if (!grow(m))
			return false;
	if (result < 0)
		return false;
	if (!*found)
		h_errno = error;
	return true;
}

HOOKED struct hostent *gethostbyname(const char *name)
{
	struct hostent *found;
	return hook_is_on() && hooked_host(name, 0, &found) ? found : REAL(gethostbyname)(name);
}

HOOKED struct hostent *gethostbyname2(const char *name, int family)
{
	struct hostent *found;
	return hook_is_on() && hooked_host(name, family, &found) ? found : REAL(gethostbyname2)(name, family);
}
