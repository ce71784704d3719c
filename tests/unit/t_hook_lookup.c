/* SPDX-License-Identifier: MIT */
/*
 * Name lookups: the same answers as libc's, and the thread is free meanwhile.
 *
 * A lookup takes as long as this test wants: in namespaces of its own the test
 * is the name server.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <net/if.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "coroutine.h"
#include "hooks.h"
#include "loop.h"
#include "sleep.h"
#include "tools.h"

static struct co *start(co_fn *fn, void *arg)
{
	struct co *co;

	CHECK_EQ(co_create(&co, NULL, fn, arg), 0);
	CHECK_EQ(co_resume(co), 0);
	return co;
}

static void run_loop(void)
{
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
}

/* --- what an answer says, as text ------------------------------------------------------- */

struct text {
	size_t len;
	char s[16 * 1024];
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	t->len += (size_t)vsnprintf(t->s + t->len, sizeof(t->s) - t->len, format, args);
	va_end(args);
	CHECK(t->len < sizeof(t->s));
}

static void add_bytes(struct text *t, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(t, "%02x", ((const unsigned char *)bytes)[i]);
	add(t, " ");
}

static void add_host(struct text *t, const struct hostent *h)
{
	if (!h) {
		add(t, "none\n");
		return;
	}
	add(t, "%s, family %d, %d bytes:", h->h_name, h->h_addrtype, h->h_length);
	for (char **p = h->h_addr_list; *p; p++)
		add_bytes(t, *p, (size_t)h->h_length);
	for (char **p = h->h_aliases; *p; p++)
		add(t, " alias %s", *p);
	add(t, "\n");
}

static void add_list(struct text *t, const struct addrinfo *list)
{
	for (; list; list = list->ai_next) {
		add(t, "%d %d %d %d %s ", list->ai_flags, list->ai_family, list->ai_socktype, list->ai_protocol,
		    list->ai_canonname ? list->ai_canonname : "-");
		add_bytes(t, list->ai_addr, list->ai_addrlen);
		add(t, "\n");
	}
}

static const char *const names[] = { "localhost", "127.0.0.1", "10.1.2.3", "::1", "", "-not-a-name-", "256.1.1.1" };

static void ask_all(struct text *t)
{
	struct addrinfo hints[] = {
		{ .ai_family = AF_INET, .ai_socktype = SOCK_STREAM },
		{ .ai_flags = AI_CANONNAME },
		{ .ai_flags = AI_NUMERICHOST },
		{ .ai_family = 99 },
		{ .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_DGRAM },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct hostent entry, *found;
		int error = 0, families[] = { AF_INET, AF_INET6, 99 };
		_Alignas(16) char buf[2000];

		for (size_t k = 0; k < 5; k++) {
			struct addrinfo *list = NULL;
			int result = getaddrinfo(names[i], k == 1 ? "80" : k == 3 ? "no-service" : NULL, &hints[k], &list);
			add(t, "getaddrinfo %s %zu: %d\n", names[i], k, result);
			if (result == 0) {
				add_list(t, list);
				freeaddrinfo(list);
			}
		}
		h_errno = 0;
		add(t, "gethostbyname %s: ", names[i]);
		struct hostent *h = gethostbyname(names[i]);
		add_host(t, h);
		add(t, "%d; ", h ? 0 : h_errno); /* the thread's: others may set it, too */
		for (int k = 0; k < 3; k++) {
			h_errno = 0;
			h = gethostbyname2(names[i], families[k]);
			add_host(t, h);
			add(t, "%d; ", h ? 0 : h_errno);
			found = &entry;
			error = 0;
			int result = gethostbyname2_r(names[i], families[k], &entry, buf + 8 * k, sizeof(buf) - 24, &found, &error);
			add(t, "%d %d ", result, error);
			add_host(t, found);
		}
		found = &entry;
		int result = gethostbyname_r(names[i], &entry, buf, sizeof(buf), &found, &error);
		add(t, "%d %d ", result, error);
		add_host(t, found);
		for (size_t len = 0; len < 40; len += 13) {
			found = &entry;
			error = 0;
			result = gethostbyname_r(names[i], &entry, buf, len, &found, &error);
			add(t, "with %zu: %d %d %d\n", len, result, error, found != NULL);
		}
	}
	struct addrinfo *list = NULL;
	add(t, "nothing: %d\n", getaddrinfo(NULL, NULL, NULL, &list));
	add(t, "service: %d\n", getaddrinfo(NULL, "80", NULL, &list));
	add_list(t, list);
	freeaddrinfo(list);
}

static struct text plain_answer;

static void *ask_in_coroutine(void *arg)
{
	struct text *t = calloc(1, sizeof(*t)); /* not on its stack, of which libc needs some */

	(void)arg;
	CHECK_EQ(co_enable_hook_sys(), 0);
	ask_all(t);
	return t;
}

static void leave_world(void);
static void mount_over(const char *path, const char *text);

static void same_answers(void)
{
	enum { MANY = 50 };
	struct co *co[MANY];
	size_t n_fds;

	leave_world(); /* no name server shall be asked */
	mount_over("/etc/nsswitch.conf", "hosts: files\n");
	ask_all(&plain_answer);
	n_fds = count_fds();
	for (int i = 0; i < MANY; i++)
		co[i] = start(ask_in_coroutine, NULL);
	run_loop();
	for (int i = 0; i < MANY; i++) {
		CHECK_EQ(co_status(co[i]), CO_DONE);
		struct text *t = co_result(co[i]);
		if (strcmp(t->s, plain_answer.s) != 0)
			fprintf(stderr, "--- libc\n%s--- hooked\n%s", plain_answer.s, t->s);
		CHECK_EQ(strcmp(t->s, plain_answer.s), 0);
		free(t);
		CHECK_EQ(co_release(co[i]), 0);
	}
	CHECK(count_fds() < n_fds + 8); /* the eventfds are closed */
}

/* The answer of gethostbyname is each coroutine's own. */
static void *ask_and_keep(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	struct hostent *h = gethostbyname(arg);
	CHECK(h != NULL);
	CHECK_EQ(co_yield_ct(), 0);
	char name[50];
	CHECK(inet_ntop(AF_INET, h->h_addr_list[0], name, sizeof(name)) != NULL);
	CHECK_EQ(strcmp(name, arg), 0);
	return NULL;
}

static void own_memory(void)
{
	struct co *a = start(ask_and_keep, (void *)"1.2.3.4"), *b = start(ask_and_keep, (void *)"5.6.7.8");
	run_loop();
	CHECK_EQ(co_resume(a), 0);
	CHECK_EQ(co_status(a), CO_DONE);
	CHECK_EQ(co_resume(b), 0);
	CHECK_EQ(co_release(a), 0);
	CHECK_EQ(co_release(b), 0);
}

/* --- lookups that take as long as we want ---------------------------------------------------- */

static int server = -1;

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Go where nobody else is, as root of our own where we are not root already. */
static void leave_world(void)
{
	char map[40];
	uid_t uid = getuid();

#if defined(__clang__)
	/* Its sanitizers are linked in, with a getaddrinfo of their own, as weak
	 * as that of the hooks. */
	if (watched_by() && !is_under_valgrind())
		check_skip("%s: getaddrinfo is its own", watched_by());
#endif
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) == 0)
		goto out;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0)
		check_skip("no namespaces: %s", strerror(errno));
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
out:
	CHECK_EQ(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
}

static void mount_over(const char *path, const char *text)
{
	char name[60];

	snprintf(name, sizeof(name), "/tmp/t_hook_lookup.%d", (int)getpid());
	write_file(name, text);
	if (mount(name, path, "none", MS_BIND, NULL) != 0) {
		unlink(name);
		check_skip("no mount over %s: %s", path, strerror(errno));
	}
	unlink(name); /* it stays mounted */
}

static void make_lookups_slow(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	leave_world();
	/* Once: an answer that is lost must be seen, not asked for again. */
	mount_over("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n");
	mount_over("/etc/nsswitch.conf", "hosts: dns\n");
	server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK_EQ(ioctl(server, SIOCSIFFLAGS, &loopback), 0);
	CHECK_EQ(bind(server, (struct sockaddr *)&addr, sizeof(addr)), 0);
}

struct question {
	unsigned char bytes[600];
	struct sockaddr_in from;
};

/* Take a question that is there. */
static bool take_question(struct question *q)
{
	socklen_t len = sizeof(q->from);
	return recvfrom(server, q->bytes, 500, MSG_DONTWAIT, (struct sockaddr *)&q->from, &len) >= 12;
}

/* 127.0.0.9. */
static void answer_it(struct question *q)
{
	static const unsigned char record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 9 };
	size_t at = 12;

	while (q->bytes[at]) /* the name */
		at += q->bytes[at] + 1u;
	at += 5; /* its end, type, class: what follows is not repeated */
	memcpy(q->bytes + 2, (unsigned char[]){ 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0 }, 10);
	memcpy(q->bytes + at, record, sizeof(record));
	CHECK(sendto(server, q->bytes, at + sizeof(record), 0, (struct sockaddr *)&q->from, sizeof(q->from)) > 0);
}

static bool answer(void)
{
	struct question q;

	if (!take_question(&q))
		return false;
	answer_it(&q);
	return true;
}

static void *answer_all(void *arg)
{
	_Atomic bool *is_over = arg;
	while (!*is_over) {
		answer();
		syscall(SYS_nanosleep, &(struct timespec){ 0, 300 * 1000 }, NULL);
	}
	return NULL;
}

static void *look_up_slow(void *arg)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list = NULL;

	CHECK_EQ(co_enable_hook_sys(), 0);
	errno = 77;
	CHECK_EQ(getaddrinfo("slow.example", NULL, &hints, &list), 0);
	CHECK_EQ(errno, 77);
	CHECK_EQ(ntohl(((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr), 0x7f000009);
	freeaddrinfo(list);
	return arg;
}

static int n_ticks;

static void *tick(void *arg)
{
	struct co **other = arg;
	while (co_status(*other) != CO_DONE) {
		if (++n_ticks == 50)
			CHECK(answer());
		CHECK_EQ(co_sleep_ms(1), 0);
	}
	return NULL;
}

static void others_run(void)
{
	make_lookups_slow();
	struct co *a = start(look_up_slow, NULL), *b = start(tick, &a);
	run_loop();
	CHECK(n_ticks >= 50);
	CHECK_EQ(co_release(a), 0);
	CHECK_EQ(co_release(b), 0);
}

/* Those that wait for a helper, and those whose helper is at work. */
static void release(void)
{
	enum { MANY = 9 };
	struct co *co[MANY];
	_Atomic bool is_over = false;
	pthread_t thread;

	make_lookups_slow();
	size_t n_fds = count_fds();
	for (int i = 0; i < MANY; i++)
		co[i] = start(look_up_slow, NULL);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(co_sleep_ms(1), 0);
	for (int i = 0; i < MANY; i++) {
		CHECK_EQ(co_status(co[i]), CO_WAITING);
		if (i % 2 == 0)
			CHECK_EQ(co_release(co[i]), 0);
	}
	CHECK_EQ(pthread_create(&thread, NULL, answer_all, &is_over), 0);
	run_loop();
	for (int i = 1; i < MANY; i += 2) {
		CHECK_EQ(co_status(co[i]), CO_DONE);
		CHECK_EQ(co_reset(co[i]), 0);
		CHECK_EQ(co_resume(co[i]), 0); /* once more */
	}
	run_loop();
	is_over = true;
	CHECK_EQ(pthread_join(thread, NULL), 0);
	for (int i = 1; i < MANY; i += 2) {
		CHECK_EQ(co_status(co[i]), CO_DONE);
		CHECK_EQ(co_release(co[i]), 0);
	}
	for (int n = 0; count_fds() >= n_fds + 4; n++) { /* the last helpers let go */
		CHECK(n < 5000);
		CHECK_EQ(co_sleep_ms(1), 0);
	}
}

/* Who is released before a helper has begun leaves nothing to do. */
static void release_waiting(void)
{
	enum { HELPERS = 4, MANY = 9 };
	struct co *co[MANY];

	make_lookups_slow();
	for (int i = 0; i < MANY; i++)
		co[i] = start(look_up_slow, NULL);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(co_sleep_ms(1), 0);
	size_t n_fds = count_fds();
	for (int i = HELPERS; i < MANY; i++)
		CHECK_EQ(co_release(co[i]), 0);
	CHECK_EQ(count_fds(), n_fds - (MANY - HELPERS));
	for (int i = 0; i < HELPERS; i++)
		CHECK_EQ(co_release(co[i]), 0);
}

static void *answer_until_killed(void *arg)
{
	_Atomic bool never = false;
	(void)arg;
	return answer_all(&never);
}

/* The child of a fork ends, and its parent sees that it has done so well. */
static void both_end(pid_t pid)
{
	if (pid == 0)
		_exit(0);
	join_child(pid);
}

/* The child's lookups are done by helpers of its own. */
static void fork_meanwhile(void)
{
	enum { MANY = 6 };
	struct co *co[MANY];
	pthread_t thread;

	skip_forks_of_coroutines();
	make_lookups_slow();
	for (int i = 0; i < MANY; i++)
		co[i] = start(look_up_slow, NULL);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(co_sleep_ms(1), 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	CHECK_EQ(pthread_create(&thread, NULL, answer_until_killed, NULL), 0);
	run_loop();
	for (int i = 0; i < MANY; i++) {
		CHECK_EQ(co_status(co[i]), CO_DONE);
		CHECK_EQ(co_release(co[i]), 0);
	}
	both_end(pid);
}

static void *pass_through(void *arg)
{
	return arg;
}

static void *sleep_for_ever(void *arg)
{
	++*(_Atomic int *)arg;
	for (;;)
		pause();
	return arg;
}

/* A thread without coroutines looks a name up. */
static void *look_up_plainly(void *arg)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list = NULL;

	CHECK_EQ(getaddrinfo("slow.example", NULL, &hints, &list), 0);
	freeaddrinfo(list);
	return arg;
}

static struct question next_question(void)
{
	struct question q;

	while (!take_question(&q))
		CHECK_EQ(co_sleep_ms(1), 0);
	return q;
}

/* The memory of another thread, which libc gives to the next one in the child, has the
 * socket of its lookup. The child's helper must not ask by that. */
static void *ask_in_child(void *arg)
{
	const struct question *parents = arg;
	struct question q = next_question();

	CHECK(q.from.sin_port != parents->from.sin_port);
	answer_it(&q);
	return NULL;
}

static void fork_beside_a_thread(void)
{
	pthread_t thread;

	skip_forks_of_coroutines();
	make_lookups_slow();
	CHECK(co_get_epoll_ct() != NULL); /* main may sleep */
	CHECK_EQ(pthread_create(&thread, NULL, look_up_plainly, NULL), 0);
	struct question q = next_question();
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		struct co *a = start(look_up_slow, NULL), *b = start(ask_in_child, &q);
		run_loop();
		CHECK_EQ(co_release(a), 0);
		CHECK_EQ(co_release(b), 0);
		_exit(0);
	}
	join_child(pid);
	answer_it(&q);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* A child's thread that ends makes libc unmap the stacks of some that are not there. In a fork
 * handler that comes before all others. */
static bool ends_a_thread, allows_no_thread;

static void end_a_thread(void)
{
	pthread_t thread;

	if (allows_no_thread) {
		CHECK_EQ(setrlimit(RLIMIT_NPROC, &(struct rlimit){ 0, 0 }), 0);
		CHECK_EQ(setresuid(65534, 65534, 65534), 0);
		CHECK_EQ(pthread_create(&thread, NULL, pass_through, NULL), EAGAIN);
	}
	if (!ends_a_thread)
		return;
	CHECK_EQ(pthread_create(&thread, NULL, pass_through, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

__attribute__((constructor(101))) static void watch_forks_first(void)
{
	CHECK_EQ(pthread_atfork(NULL, NULL, end_a_thread), 0);
}

static void fork_and_threads(void)
{
	enum { MANY = 12 };
	_Atomic int n_asleep = 0;
	pthread_t thread;

	skip_forks_of_coroutines();
	make_lookups_slow();
	ends_a_thread = true;
	struct co *co = start(look_up_slow, NULL);
	for (int i = 0; i < MANY; i++)
		CHECK_EQ(pthread_create(&thread, NULL, sleep_for_ever, &n_asleep), 0);
	while (n_asleep < MANY) /* who begins may have a lock of a sanitizer's */
		CHECK_EQ(co_sleep_ms(1), 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	CHECK_EQ(pthread_create(&thread, NULL, answer_until_killed, NULL), 0);
	run_loop();
	CHECK_EQ(co_release(co), 0);
	both_end(pid);
}

/* The child can start no helper: it asks by itself (and libc may set errno, then). */
static void *look_up_hooked(void *arg)
{
	CHECK_EQ(co_enable_hook_sys(), 0);
	return look_up_plainly(arg);
}

static void fork_without_threads(void)
{
	pthread_t thread;

	skip_forks_of_coroutines();
	if (getuid() != 0)
		check_skip("only root can become somebody else");
	make_lookups_slow();
	struct co *co = start(look_up_hooked, NULL);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(co_sleep_ms(1), 0);
	allows_no_thread = true;
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid > 0)
		CHECK_EQ(pthread_create(&thread, NULL, answer_until_killed, NULL), 0);
	run_loop();
	CHECK_EQ(co_release(co), 0);
	both_end(pid);
}

/* The program's fork handlers may look names up, in the child and before it. */
static void *answer_each(void *arg)
{
	for (;;) {
		answer();
		CHECK_EQ(co_sleep_ms(1), 0);
	}
	return arg;
}

static void look_up_in_fork(void)
{
	look_up_slow(NULL);
}

static void fork_handlers(void)
{

	skip_forks_of_coroutines();
	make_lookups_slow();
	CHECK_EQ(pthread_atfork(look_up_in_fork, look_up_in_fork, look_up_in_fork), 0);
	struct co *co = start(answer_each, NULL);
	look_up_slow(NULL); /* there is a helper */
	pid_t pid = fork();
	CHECK(pid >= 0);
	both_end(pid);
	CHECK_EQ(co_release(co), 0);
}

/* A number of ours that the program uses for a file of its own: the helper does not write to that,
 * nor close it, and the lookup goes on. Heard of, or not. */
static int find_eventfd(void)
{
	char name[40], text[40];

	for (int fd = 3; fd < 100; fd++) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(name, text, sizeof(text));
		if (n > 0 && memmem(text, (size_t)n, "eventfd", 7))
			return fd;
	}
	return -1;
}

static void taken(void)
{
	int fds[2];
	char buf[20];

	make_lookups_slow();
	for (int is_heard = 0; is_heard < 2; is_heard++) {
		struct co *a = start(look_up_slow, NULL), *b = start(tick, &a);
		int fd = find_eventfd();
		n_ticks = 0;
		CHECK(fd >= 0);
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		CHECK_EQ(is_heard ? dup2(fds[0], fd) : syscall(SYS_dup3, fds[0], fd, 0), fd);
		run_loop();
		CHECK_EQ(co_release(a), 0);
		CHECK_EQ(co_release(b), 0);
		CHECK(fcntl(fd, F_GETFD) >= 0);
		CHECK_FAILS(recv(fds[1], buf, sizeof(buf), MSG_DONTWAIT), -1, EAGAIN);
		close(fds[0]);
		close(fds[1]);
		close(fd);
	}
	CHECK_EQ(find_eventfd(), -1);
}

/* Signals that the program blocks nowhere go to its own thread, never to a helper. */
static volatile pthread_t handled_by;

static void note_thread(int signal)
{
	(void)signal;
	handled_by = pthread_self();
}

static void signals_are_the_programs(void)
{
	sigset_t usr1;

	make_lookups_slow();
	signal(SIGUSR1, note_thread);
	struct co *a = start(look_up_slow, NULL);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(co_sleep_ms(1), 0);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &usr1, NULL), 0);
	kill(getpid(), SIGUSR1);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(co_sleep_ms(1), 0);
	CHECK(!handled_by);
	CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL), 0);
	CHECK(pthread_equal(handled_by, pthread_self()));
	struct co *b = start(tick, &a);
	n_ticks = 40;
	run_loop();
	CHECK_EQ(co_release(a), 0);
	CHECK_EQ(co_release(b), 0);
}

static const struct test_case cases[] = {
	{ "same", "G14, G15: 50 coroutines at once get the answers that libc gives", same_answers, 0, NULL },
	{ "own_memory", "G15: gethostbyname's answer is each coroutine's own", own_memory, 0, NULL },
	{ "others_run", "G14: others run while a name is looked up", others_run, 0, NULL },
	{ "release", "coroutines can be released while their names are looked up", release, 0, NULL },
	{ "release_waiting", "what has not begun by then is not done", release_waiting, 0, NULL },
	{ "fork", "a fork in the middle: both processes get their answers", fork_meanwhile, 0, NULL },
	{ "fork_beside_a_thread", "and while another thread looks a name up", fork_beside_a_thread, 0, NULL },
	{ "fork_and_threads", "and when threads end in the child before it knows", fork_and_threads, 0, NULL },
	{ "fork_without_threads", "and when the child can start no thread", fork_without_threads, 0, NULL },
	{ "fork_handlers", "fork handlers of the program's may look names up", fork_handlers, 0, NULL },
	{ "taken", "an eventfd whose number the program takes is not missed", taken, 0, NULL },
	{ "signals", "no helper takes a signal of the program's", signals_are_the_programs, 0, NULL },
};

TEST_MAIN(cases)
