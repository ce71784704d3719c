/* SPDX-License-Identifier: MIT */
/*
 * co_poll: the same answers as poll(2), and waiting for them.
 *
 * The ids in the sentences (D05) are libco's defects, by our list of them.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <termios.h>

#include "co_poll.h"
#include "epoll.h"
#include "kernel.h"
#include "sleep.h"
#include "timer.h"

/* --- the oracle: the kernel's own poll, beside the library ---------------------------- */

static int real_poll(struct pollfd *fds, nfds_t n, int ms)
{
	return (int)syscall(SYS_poll, fds, n, ms);
}

static short revents_of(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	real_poll(&p, 1, 0);
	return p.revents;
}

/* One coroutine in a co_poll of up to MOST entries. */
enum { MOST = 12 };

struct polling {
	struct co *co;
	struct pollfd fds[MOST];
	nfds_t n;
	int timeout_ms;
	int64_t at_ns;    /* if not 0: by co_poll_until */
	int result, error;
	int64_t ended_at_ns;
	bool is_done;
};

static int poll_now(struct polling *p)
{
	errno = 0;
	p->result = p->at_ns ? co_poll_until(p->fds, p->n, p->at_ns) : co_poll(NULL, p->fds, p->n, p->timeout_ms);
	p->error = errno;
	p->ended_at_ns = co_now_ns();
	p->is_done = true;
	return p->result;
}

static void *poll_in_coroutine(void *arg)
{
	poll_now(arg);
	return arg;
}

static struct polling *begin_poll(struct polling *p)
{
	p->is_done = false;
	p->co = start(poll_in_coroutine, p);
	return p;
}

static struct polling *poll_one(int fd, short events, int timeout_ms)
{
	struct polling *p = calloc(1, sizeof(*p));

	p->fds[0] = (struct pollfd){ .fd = fd, .events = events, .revents = 0x5a5a };
	p->n = 1;
	p->timeout_ms = timeout_ms;
	return begin_poll(p);
}

static void check_waits(const struct polling *p)
{
	settle();
	co_epoll_check();
	CHECK(!p->is_done);
	CHECK_EQ(co_status(p->co), CO_WAITING);
}

static void forget(struct polling *p)
{
	CHECK_EQ(co_release(p->co), 0);
	co_epoll_check();
	free(p);
}

/* It has returned, with these events for its one descriptor. */
static void end_poll(struct polling *p, short revents)
{
	settle();
	co_epoll_check();
	CHECK(p->is_done);
	CHECK_EQ(p->result, revents != 0);
	CHECK_EQ(p->fds[0].revents, revents);
	forget(p);
}

/* --- a zoo of descriptors --------------------------------------------------------------- */

/* What is at hand for one random case: descriptors in all states, and which
 * belong together, so that something can be done to them. */
enum { ZOO = 80 };

static struct {
	int fd[ZOO];
	int n;
	int writable[ZOO], n_writable; /* put into one of these: something else may become ready */
	int drainable[ZOO], n_drainable;
	int closable[ZOO], n_closable; /* peers, of which a shutdown is heard */
	int set[ZOO], n_sets; /* epoll sets of the program's own */
	bool is_slow; /* there is a terminal or TCP in it: the kernel hands on their bytes
			 when it likes, and two who ask may be told different things */
} zoo;

static struct rng r;

static int keep(int fd)
{
	CHECK(fd >= 0);
	CHECK(zoo.n < ZOO);
	return zoo.fd[zoo.n++] = fd;
}

static void may_write(int fd)
{
	zoo.writable[zoo.n_writable++] = fd;
}

static void may_drain(int fd)
{
	zoo.drainable[zoo.n_drainable++] = fd;
}

static void may_close(int fd)
{
	zoo.closable[zoo.n_closable++] = fd;
}

static void nonblock(int fd)
{
	CHECK_EQ(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

/* Both ends of something that carries bytes, in a random state. */
static void random_state(int a, int b)
{
	switch (rng_below(&r, 7)) {
	case 0:
		break;
	case 1:
		(void)!write(b, "x", 1);
		break;
	case 2:
		fill(b);
		break;
	case 3:
		shutdown(b, (int)rng_below(&r, 3));
		break;
	case 4:
		shutdown(a, (int)rng_below(&r, 3));
		(void)!write(b, "x", 1);
		break;
	case 5:
		fill(a);
		break;
	case 6:
		fill(a);
		(void)!write(b, "xyz", 3);
	}
	may_write(a), may_write(b);
	may_drain(a), may_drain(b);
	may_close(b);
}

static void tcp_pair(int pair[2], int listener)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	CHECK_EQ(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_EQ(connect(pair[0], (struct sockaddr *)&at, sizeof(at)), 0);
	pair[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	CHECK(pair[1] >= 0);
	nonblock(pair[0]);
}

static int listen_somewhere(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	CHECK_EQ(listen(fd, 5), 0);
	return fd;
}

static void reset_connection(int fd)
{
	struct linger now = { .l_onoff = 1 };

	CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
}

static void add_tcp(void)
{
	int listener = listen_somewhere(), pair[2];

	zoo.is_slow = true;
	tcp_pair(pair, listener);
	keep(pair[0]);
	switch (rng_below(&r, 6)) {
	case 0:
		close(pair[1]);
		break;
	case 1:
		reset_connection(pair[1]);
		break;
	case 2:
		send(pair[1], "!", 1, MSG_OOB);
		keep(pair[1]);
		may_write(pair[1]);
		break;
	case 3: /* somebody waits for accept */
		pair[1] = keep(pair[1]);
		close(pair[1]);
		zoo.fd[zoo.n - 1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		{
			struct sockaddr_in at;
			socklen_t len = sizeof(at);
			getsockname(listener, (struct sockaddr *)&at, &len);
			(void)!connect(zoo.fd[zoo.n - 1], (struct sockaddr *)&at, len);
		}
		break;
	case 4:
		(void)!write(pair[1], "x", 1);
		send(pair[1], "!", 1, MSG_OOB);
		close(pair[1]);
		break;
	default:
		random_state(pair[0], keep(pair[1]));
	}
	keep(listener);
}

static void add_udp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = keep(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));

	CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	CHECK_EQ(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	switch (rng_below(&r, 3)) {
	case 0:
		sendto(fd, "x", 1, 0, (struct sockaddr *)&at, len);
		break;
	case 1: /* nobody there: ECONNREFUSED will be waiting */
		at.sin_port = htons(9);
		(void)!connect(fd, (struct sockaddr *)&at, len);
		(void)!write(fd, "x", 1);
		(void)!write(fd, "x", 1);
		break;
	default:
		(void)!connect(fd, (struct sockaddr *)&at, len);
		may_write(fd);
	}
	may_drain(fd);
}

static void add_pty(void)
{
	char name[64];
	struct termios raw;
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave = -1;

	if (master < 0) /* no /dev/pts here */
		return;
	keep(master);
	zoo.is_slow = true;
	CHECK_EQ(grantpt(master), 0);
	CHECK_EQ(unlockpt(master), 0);
	nonblock(master);
	CHECK_EQ(ptsname_r(master, name, sizeof(name)), 0);
	if (rng_below(&r, 4) > 0) {
		slave = keep(open(name, O_RDWR | O_NOCTTY | O_NONBLOCK));
		CHECK_EQ(tcgetattr(slave, &raw), 0);
		cfmakeraw(&raw);
		CHECK_EQ(tcsetattr(slave, TCSANOW, &raw), 0);
		int on = (int)rng_below(&r, 2);
		ioctl(master, TIOCPKT, &on);
	}
	switch (rng_below(&r, 3)) {
	case 0:
		(void)!write(master, "x", 1);
		break;
	case 1:
		if (slave >= 0)
			tcflush(slave, TCIOFLUSH); /* in packet mode: POLLPRI at the master */
	}
	if (slave >= 0)
		may_write(slave), may_write(master), may_close(slave), may_drain(master);
}

static void add_fifo(void)
{
	static int n;
	char name[64];

	snprintf(name, sizeof(name), "/tmp/costep-fifo-%d-%d", getpid(), n++);
	CHECK_EQ(mkfifo(name, 0600), 0);
	int a = keep(open(name, O_RDONLY | O_NONBLOCK)), b = -1;
	if (rng_below(&r, 3)) {
		b = open(name, O_WRONLY | O_NONBLOCK);
		if (rng_below(&r, 3))
			(void)!write(b, "x", 1);
		if (rng_below(&r, 3))
			may_write(keep(b)), may_close(b);
		else
			close(b); /* the last writer has gone: EOF */
	}
	may_drain(a);
	unlink(name);
}

static void add_pipe(void)
{
	int p[2];

	make_pipe(p);
	switch (rng_below(&r, 5)) {
	case 0:
		(void)!write(p[1], "x", 1);
		break;
	case 1:
		fill(p[1]);
		break;
	case 2:
		close(keep(p[1]));
		zoo.fd[zoo.n - 1] = -7; /* it does not mean another file later */
		keep(p[0]);
		return;
	case 3:
		close(p[0]);
		keep(p[1]);
		return;
	}
	keep(p[0]), keep(p[1]);
	may_drain(p[0]), may_write(p[1]), may_close(p[rng_below(&r, 2)]);
}

static void add_pair(int type)
{
	int p[2];

	make_pair(p, type);
	if (rng_below(&r, 5) == 0) {
		(void)!write(p[1], "x", 1);
		close(p[1]);
		keep(p[0]);
		return;
	}
	random_state(keep(p[0]), keep(p[1]));
}

static void add_small_ones(void)
{
	struct itimerspec soon = { .it_value.tv_nsec = 1 }, late = { .it_value.tv_sec = 1000 };
	int fd;

	switch (rng_below(&r, 8)) {
	case 0:
		fd = keep(eventfd(rng_below(&r, 2), EFD_NONBLOCK));
		may_drain(fd);
		break;
	case 1:
		fd = keep(eventfd(0, EFD_NONBLOCK));
		CHECK_EQ(write(fd, &(uint64_t){ UINT64_MAX - 1 }, 8), 8); /* full */
		may_drain(fd);
		break;
	case 2:
		fd = keep(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
		timerfd_settime(fd, 0, rng_below(&r, 2) ? &soon : &late, NULL);
		if (revents_of(fd, POLLIN) == 0)
			usleep(1); /* let 1 ns pass before both are asked */
		break;
	case 3:
		fd = keep(inotify_init1(IN_NONBLOCK));
		/* Not /tmp: a watch goes through all that the kernel remembers of a directory. */
		CHECK(inotify_add_watch(fd, "/sys", IN_OPEN | IN_ONLYDIR) >= 0);
		if (rng_below(&r, 2))
			close(open("/sys", O_RDONLY | O_DIRECTORY));
		break;
	case 4:
		keep(open("/", O_RDONLY | O_DIRECTORY));
		break;
	case 5:
		keep(open("/dev/null", O_RDWR));
		break;
	case 6:
		keep(open("/proc/self/exe", O_RDONLY)); /* a regular file */
		break;
	case 7: /* an epoll set of the program's own */
		fd = zoo.set[zoo.n_sets++] = keep(epoll_create1(0));
		if (zoo.n > 1) {
			struct epoll_event e = { .events = EPOLLIN | EPOLLOUT };
			__real_epoll_ctl(fd, EPOLL_CTL_ADD, zoo.fd[0], &e);
		}
	}
}

static void add_animal(void)
{
	switch (rng_below(&r, 9)) {
	case 0:
	case 1:
		add_pipe();
		break;
	case 2:
		add_pair(SOCK_STREAM);
		break;
	case 3:
		add_pair(SOCK_DGRAM);
		break;
	case 4:
		add_tcp();
		break;
	case 5:
		add_udp();
		break;
	case 6:
		add_fifo();
		break;
	case 7:
		if (rng_below(&r, 3) == 0)
			add_pty();
		else
			add_pair(SOCK_SEQPACKET);
		break;
	default:
		add_small_ones();
	}
}

static void fill_zoo(void)
{
	memset(&zoo, 0, sizeof(zoo));
	for (unsigned n = 1 + rng_below(&r, 6); n; n--)
		add_animal();
	if (rng_below(&r, 5) == 0)
		zoo.fd[zoo.n++] = 987; /* nobody has that */
	if (rng_below(&r, 5) == 0)
		zoo.fd[zoo.n++] = -1 - (int)rng_below(&r, 3);
}

static void empty_zoo(void)
{
	for (int i = 0; i < zoo.n; i++)
		if (zoo.fd[i] >= 0)
			close(zoo.fd[i]);
	CHECK_EQ(fcntl(987, F_GETFD), -1);
}

static short random_events(void)
{
	static const short events[] = { POLLIN,     POLLOUT,    POLLPRI,    POLLRDHUP,  POLLRDBAND,
					POLLRDNORM, POLLWRNORM, POLLWRBAND, POLLERR,    POLLHUP, POLLNVAL, 0x400 };
	short e = 0;

	switch (rng_below(&r, 8)) {
	case 0:
		return POLLIN;
	case 1:
		return POLLOUT;
	case 2:
		return 0;
	case 3:
		return (short)rng_next(&r);
	}
	for (unsigned n = 1 + rng_below(&r, 4); n; n--)
		e |= events[rng_below(&r, sizeof(events) / sizeof(events[0]))];
	return e;
}

static void random_entries(struct polling *p, const int *among, int n_among)
{
	p->n = rng_below(&r, MOST + 1);
	for (nfds_t i = 0; i < p->n; i++) {
		p->fds[i] = (struct pollfd){ .fd = among[rng_below(&r, (unsigned)n_among)], .events = random_events() };
		if (i > 0 && rng_below(&r, 5) == 0)
			p->fds[i].fd = p->fds[i - 1].fd; /* the same one twice */
	}
}

static void write_garbage(struct pollfd *fds, nfds_t n)
{
	for (nfds_t i = 0; i < n; i++)
		fds[i].revents = (short)rng_next(&r);
}

static void print_entries(const char *who, int result, const struct pollfd *fds, nfds_t n)
{
	fprintf(stderr, "%s: %d:", who, result);
	for (nfds_t i = 0; i < n; i++)
		fprintf(stderr, " {%d, %#hx: %#hx}", fds[i].fd, (unsigned short)fds[i].events, (unsigned short)fds[i].revents);
	fprintf(stderr, "\n");
}

/* Has co_poll said what the kernel says now? */
static bool compare(const struct polling *p, long n_case)
{
	struct pollfd fds[MOST];

	memcpy(fds, p->fds, sizeof(fds));
	write_garbage(fds, p->n);
	int result = real_poll(fds, p->n, 0);
	bool same = result == p->result;
	for (nfds_t i = 0; i < p->n; i++)
		same = same && fds[i].revents == p->fds[i].revents && fds[i].events == p->fds[i].events &&
		       fds[i].fd == p->fds[i].fd;
	if (same || zoo.is_slow)
		return same;
	fprintf(stderr, "case %ld\n", n_case);
	print_entries("co_poll", p->result, p->fds, p->n);
	print_entries("poll(2)", result, fds, p->n);
	CHECK(same);
	return false;
}

static long n_ready, n_empty, n_woken;

/* Nothing changes while both are asked. */
static void compare_looks(struct polling *p, long n_case)
{
	bool on_main = rng_below(&r, 2);

	random_entries(p, zoo.fd, zoo.n);
	write_garbage(p->fds, p->n);
	p->timeout_ms = (int)rng_below(&r, 8) == 0 ? 1 : 0;
	p->at_ns = rng_below(&r, 8) == 0 ? co_now_ns() - 1 + (int64_t)rng_below(&r, 100000) : 0;
	if (on_main) {
		poll_now(p);
	} else {
		begin_poll(p);
		while (!p->is_done)
			CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
		CHECK_EQ(co_release(p->co), 0);
	}
	for (int i = 0; !compare(p, n_case); i++) { /* no mistake lasts */
		CHECK(i < 1000);
		usleep(1000);
		p->at_ns = p->timeout_ms = 0;
		poll_now(p);
	}
	n_ready += p->result > 0;
	n_empty += p->result == 0;
}

/* Do something that may make others ready. */
static void stir(void)
{
	char buf[4096];

	switch (rng_below(&r, 4)) {
	case 0:
	case 1:
		if (zoo.n_writable)
			(void)!write(zoo.writable[rng_below(&r, (unsigned)zoo.n_writable)], "x", 1);
		break;
	case 2:
		if (zoo.n_drainable) {
			int fd = zoo.drainable[rng_below(&r, (unsigned)zoo.n_drainable)];
			while (read(fd, buf, sizeof(buf)) > 0)
				;
		}
		break;
	default:
		if (zoo.n_closable) {
			unsigned i = rng_below(&r, (unsigned)zoo.n_closable);
			shutdown(zoo.closable[i], SHUT_RDWR);
		}
	}
}

/* Leave out what is ready already, so that there is something to wait for. */
static void leave_out_ready(struct polling *p)
{
	real_poll(p->fds, p->n, 0);
	for (nfds_t i = 0; i < p->n; i++) {
		p->fds[i].events &= (short)~p->fds[i].revents;
		if (p->fds[i].revents & (POLLHUP | POLLERR | POLLNVAL))
			p->fds[i].fd = -2;
	}
}

/* An epoll set wakes those who wait for POLLIN. Who wants POLLRDNORM alone sleeps
 * on in poll(2), too, though it would say so when asked. */
static void spare_the_kernel(struct polling *p)
{
	for (nfds_t i = 0; i < p->n; i++)
		for (int k = 0; k < zoo.n_sets; k++)
			if (p->fds[i].fd == zoo.set[k] && p->fds[i].events & POLLRDNORM)
				p->fds[i].events |= POLLIN;
}

/* Who waits must have nothing to say: at once, or on a busy machine soon. Nothing
 * here wakes it again, had its event been lost. */
static void check_has_reason_to_wait(const struct polling *p)
{
	struct pollfd fds[MOST];
	int ready = 0;

	for (int i = 0; i < 1000; i++) {
		memcpy(fds, p->fds, sizeof(fds));
		ready = p->is_done ? 0 : real_poll(fds, p->n, 0);
		if (ready == 0)
			return;
		CHECK_EQ(co_sleep_ms(1), 0);
	}
	print_entries("sleeps on", ready, fds, p->n);
	CHECK_EQ(ready, 0);
}

/* Several wait while things happen. Whoever has returned, must have said what the
 * kernel says; whoever has not, must have nothing to say. */
static void compare_waits(struct polling *p, int n, long n_case)
{
	for (int i = 0; i < n; i++) {
		random_entries(&p[i], zoo.fd, zoo.n);
		if (rng_below(&r, 10))
			leave_out_ready(&p[i]);
		spare_the_kernel(&p[i]);
		write_garbage(p[i].fds, p[i].n);
		p[i].timeout_ms = -1;
		p[i].at_ns = 0;
		begin_poll(&p[i]);
	}
	for (int step = 0; step < 6; step++) {
		bool was_done[8];
		for (int i = 0; i < n; i++)
			was_done[i] = p[i].is_done;
		if (step > 0)
			stir();
		settle();
		co_epoll_check();
		for (int i = 0; i < n; i++) {
			if (!p[i].is_done) {
				check_has_reason_to_wait(&p[i]);
			} else if (!was_done[i]) {
				compare(&p[i], n_case);
				CHECK(p[i].result > 0);
				n_woken += step > 0;
			}
		}
	}
	for (int i = 0; i < n; i++)
		CHECK_EQ(co_release(p[i].co), 0);
}

static void like_poll(void)
{
	static struct polling p;
	long n = rounds(6000), i;

	signal(SIGPIPE, SIG_IGN);
	r.s = test_seed(4711);
	for (i = 0; i < n; i++) {
		if (i % 4 == 0) {
			if (i)
				empty_zoo();
			fill_zoo();
		}
		compare_looks(&p, i);
	}
	empty_zoo();
	printf("# %ld cases: %ld ready, %ld not\n", n, n_ready, n_empty);
	CHECK(n_ready > n / 3);
	CHECK(n_empty > n / 20);
}

static void like_poll_waiting(void)
{
	static struct polling p[8];
	long n = rounds(2500), i;

	signal(SIGPIPE, SIG_IGN);
	r.s = test_seed(815);
	for (i = 0; i < n; i++) {
		fill_zoo();
		compare_waits(p, 1 + (int)rng_below(&r, 8), i);
		empty_zoo();
	}
	printf("# %ld cases: %ld woken by what happened\n", n, n_woken);
	CHECK(n_woken > n / 4);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0); /* nothing is left behind */
}

/* On main, with a helper that does what changes the answer. */
static void *stir_later(void *arg)
{
	CHECK_EQ(co_sleep_ns(*(int64_t *)arg), 0);
	for (int i = 0; i < 4; i++)
		stir();
	return arg;
}

static void like_poll_on_main(void)
{
	static struct polling p;
	int64_t later = 100000;
	long n = rounds(500), woken = 0;

	signal(SIGPIPE, SIG_IGN);
	r.s = test_seed(42);
	for (long i = 0; i < n; i++) {
		fill_zoo();
		random_entries(&p, zoo.fd, zoo.n);
		leave_out_ready(&p);
		spare_the_kernel(&p);
		write_garbage(p.fds, p.n);
		p.timeout_ms = 2;
		int64_t begin = co_now_ns();
		struct co *helper = start(stir_later, &later);
		poll_now(&p);
		compare(&p, i);
		woken += co_status(helper) == CO_DONE && p.result > 0;
		if (p.result == 0)
			CHECK(co_now_ns() - begin >= 2000000);
		CHECK_EQ(co_release(helper), 0);
		empty_zoo();
	}
	printf("# %ld cases: %ld woken by what happened\n", n, woken);
	CHECK(woken > n / 100);
}

/* --- the rows of the list ----------------------------------------------------------------- */

static void bad_descriptors(void)
{
	struct pollfd fds[3] = { { .fd = 987, .events = POLLIN }, { .fd = -1, .revents = 7 }, { .fd = 988 } };

	CHECK_EQ(co_poll(NULL, fds, 1, -1), 1); /* at once */
	CHECK_EQ(fds[0].revents, POLLNVAL);
	CHECK_EQ(co_poll(NULL, fds, 3, -1), 2);
	CHECK_EQ(fds[0].revents, POLLNVAL);
	CHECK_EQ(fds[1].revents, 0);
	CHECK_EQ(fds[2].revents, POLLNVAL);
	end_poll(poll_one(987, 0, -1), POLLNVAL);
}

static void files(void)
{
	int file = open("/proc/self/exe", O_RDONLY), p[2];

	make_pipe(p);
	struct pollfd fds[2] = { { .fd = p[0], .events = POLLIN }, { .fd = file, .events = POLLIN | POLLOUT } };
	CHECK_EQ(co_poll(NULL, fds, 2, -1), 1);
	CHECK_EQ(fds[1].revents, POLLIN | POLLOUT);
	/* For what no file ever has, the others are waited for. */
	fds[1].events = POLLPRI;
	CHECK_EQ(co_poll(NULL, fds, 2, 2), 0);
	struct polling *w = poll_one(p[0], POLLIN, -1);
	w->fds[1] = (struct pollfd){ .fd = file, .events = POLLPRI };
	check_waits(w);
	put(p[1]);
	end_poll(w, POLLIN);
	fds[0].fd = -1;
	CHECK_FAILS(co_poll(NULL, fds, 2, -1), -1, EDEADLK);
}

static void twice_the_same(void)
{
	int p[2];

	make_pair(p, SOCK_STREAM);
	put(p[1]);
	struct pollfd fds[4] = { { .fd = p[0], .events = POLLIN }, { .fd = p[0], .events = POLLOUT }, { .fd = -1 }, { .fd = -1 } };
	CHECK_EQ(co_poll(NULL, fds, 2, 1000), 2);
	CHECK_EQ(fds[0].revents, POLLIN);
	CHECK_EQ(fds[1].revents, POLLOUT);
	close(p[1]);
	CHECK_EQ(co_poll(NULL, fds, 4, 1000), 2);
	CHECK(fds[0].revents & POLLHUP);

	make_pair(p, SOCK_STREAM); /* both wait, in all orders */
	fill(p[0]);
	for (int i = 0; i < 2; i++) {
		struct polling w = { .n = 3, .timeout_ms = -1 };
		w.fds[i] = (struct pollfd){ .fd = p[0], .events = POLLOUT };
		w.fds[!i] = (struct pollfd){ .fd = p[0], .events = POLLPRI };
		w.fds[2] = (struct pollfd){ .fd = p[0], .events = POLLIN };
		begin_poll(&w);
		check_waits(&w);
		if (i)
			put(p[1]);
		else
			drain(p[1]);
		settle();
		CHECK(w.is_done);
		CHECK_EQ(w.result, 1);
		CHECK_EQ(w.fds[i].revents, i ? 0 : POLLOUT);
		CHECK_EQ(w.fds[2].revents, i ? POLLIN : 0);
		CHECK_EQ(co_release(w.co), 0);
		fill(p[0]);
	}
}

static void always_reported(void)
{
	int p[2];

	make_pipe(p);
	struct polling *none = poll_one(p[0], 0, -1), *out = poll_one(p[0], POLLOUT, -1);
	check_waits(none);
	close(p[1]);
	end_poll(none, POLLHUP);
	end_poll(out, POLLHUP);
	make_pipe(p);
	fill(p[1]);
	none = poll_one(p[1], 0, -1);
	check_waits(none);
	close(p[0]);
	end_poll(none, POLLERR);
}

static void revents_cleared(void)
{
	int p[2];
	struct pollfd fds[3];

	make_pipe(p);
	for (int i = 0; i < 3; i++)
		fds[i] = (struct pollfd){ .fd = i == 1 ? -1 : p[0], .events = POLLIN, .revents = 0x7f };
	for (int ms = 0; ms < 3; ms++) {
		for (int i = 0; i < 3; i++)
			fds[i].revents = 0x7f;
		CHECK_EQ(co_poll(NULL, fds, 3, ms), 0);
		for (int i = 0; i < 3; i++)
			CHECK_EQ(fds[i].revents, 0);
	}
}

static void timeout_zero(void)
{
	int p[2];

	make_pipe(p);
	struct pollfd fd = { .fd = p[0], .events = POLLIN };
	struct co_loop *loop = co_get_epoll_ct();
	uint64_t syscalls = co_loop_stats().syscalls;
	for (int i = 0; i < 5; i++)
		CHECK_EQ(co_poll(loop, &fd, 1, 0), 0);
	CHECK_EQ(co_poll(loop, NULL, 0, 0), 0);
	put(p[1]);
	CHECK_EQ(co_poll(loop, &fd, 1, 0), 1);
	CHECK_EQ(co_loop_stats().syscalls, syscalls);
	CHECK_EQ(kernel.n[EPOLL_CREATE], 0); /* to look, no set is needed */
}

/* --- main, threads, the callback ------------------------------------------------------------- */

static void *put_after_some_turns(void *arg)
{
	for (int i = 0; i < 3; i++)
		CHECK_EQ(co_reschedule(), 0);
	put(*(int *)arg);
	return arg;
}

static void on_main(void)
{
	int p[2];

	make_pipe(p);
	struct pollfd fd = { .fd = p[0], .events = POLLIN };
	start(put_after_some_turns, &p[1]);
	CHECK_EQ(co_poll(NULL, &fd, 1, -1), 1);
	CHECK_EQ(fd.revents, POLLIN);
	drain(p[0]);
	CHECK_EQ(co_poll(NULL, &fd, 1, 1), 0);
	CHECK_FAILS(co_poll(NULL, NULL, 0, -1), -1, EDEADLK);
	CHECK_FAILS(co_poll(NULL, &(struct pollfd){ .fd = -3 }, 1, -1), -1, EDEADLK);
	CHECK_EQ(co_poll(NULL, NULL, 0, 1), 0); /* that is a sleep */
	co_epoll_check();
}

static int poll_in_callback(void *arg)
{
	struct pollfd fd = { .fd = *(int *)arg, .events = POLLIN };

	CHECK_FAILS(co_poll(NULL, &fd, 1, -1), -1, EBUSY);
	CHECK_FAILS(co_poll(NULL, &fd, 1, 5000), -1, EBUSY);
	CHECK_FAILS(co_wait_until(fd.fd, POLLIN, CO_NEVER), -1, EBUSY);
	co_epoll_check();
	for (int i = 0; i < 50; i++)
		CHECK_EQ(co_poll(NULL, &fd, 1, 0), 0); /* it would give the others a turn, and cannot */
	fd.events = POLLOUT;
	fd.fd = ((int *)arg)[1];
	CHECK_EQ(co_poll(NULL, &fd, 1, -1), 1); /* no need to wait */
	return -1;
}

static void in_callback(void)
{
	int p[2];

	make_pipe(p);
	CHECK_EQ(co_eventloop(NULL, poll_in_callback, p), 0);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0); /* nothing was left behind */
}

static void *bare_thread(void *arg)
{
	int p[2];

	make_pipe(p);
	struct pollfd fd = { .fd = p[0], .events = POLLIN };
	CHECK_FAILS(co_poll(arg, &fd, 1, 0), -1, EXDEV);
	CHECK_FAILS(co_poll(arg, &fd, 1, 10), -1, EXDEV);
	CHECK_FAILS(co_poll(NULL, NULL, 0, -1), -1, EDEADLK);
	CHECK_EQ(co_poll(NULL, &fd, 1, 3), 0);
	put(p[1]);
	CHECK_EQ(co_poll(NULL, &fd, 1, -1), 1);
	close(p[0]);
	close(p[1]);
	return arg;
}

static void *only_wait_until(void *arg)
{
	int p[2];

	make_pipe(p);
	CHECK_EQ(co_wait_until(p[0], POLLIN, co_now_ns() + 1000), 0);
	CHECK_EQ(co_poll_until(&(struct pollfd){ .fd = p[0], .events = POLLIN }, 1, co_now_ns() + 1000), 0);
	close(p[0]);
	close(p[1]);
	return arg;
}

static void threads(void)
{
	size_t fds = count_fds();

	CHECK(on_thread(bare_thread, co_get_epoll_ct()) != NULL);
	on_thread(only_wait_until, NULL);
	CHECK_EQ(count_fds(), fds);
}

static void kernels_errors(void)
{
	struct pollfd fd = { .fd = 0 }, *volatile nowhere = (struct pollfd *)8;
	struct rlimit lim;

	if (is_under_valgrind())
		check_skip("valgrind: it looks at what the kernel refuses");
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &lim), 0);
	for (int ms = -1; ms < 2; ms++) {
		CHECK_FAILS(co_poll(NULL, &fd, (nfds_t)-1, ms), -1, EINVAL);
		CHECK_FAILS(co_poll(NULL, &fd, lim.rlim_cur + 1, ms), -1, EINVAL);
		CHECK_FAILS(co_poll(NULL, nowhere, 1, ms), -1, EFAULT);
	}
}

/* --- time ------------------------------------------------------------------------------------ */

static int64_t virtual_ns;
static int n_virtual_sleeps;

static int64_t virtual_now(void)
{
	return virtual_ns;
}

static void virtual_sleep(int64_t at_ns)
{
	CHECK(at_ns > virtual_ns);
	virtual_ns = at_ns;
	n_virtual_sleeps++;
}

static const struct co_clock virtual_clock = { virtual_now, virtual_sleep };

static void exact_by_clock(void)
{
	int p[2];
	struct pollfd fd;

	make_pipe(p);
	virtual_ns = 1000;
	co_set_clock(&virtual_clock);
	fd = (struct pollfd){ .fd = p[0], .events = POLLIN };
	for (int ms = 1; ms < 100000; ms = ms * 3 + 1) {
		int64_t begin = virtual_ns;
		CHECK_EQ(co_poll(NULL, &fd, 1, ms), 0);
		CHECK_EQ(virtual_ns - begin, (int64_t)ms * 1000000);
		CHECK_EQ(co_poll_until(&fd, 1, virtual_ns + 1), 0); /* a nanosecond */
		CHECK_EQ(virtual_ns - begin, (int64_t)ms * 1000000 + 1);
		CHECK_EQ(co_wait_until(p[0], POLLIN, virtual_ns + 7), 0);
		CHECK_EQ(virtual_ns - begin, (int64_t)ms * 1000000 + 8);
	}
	int64_t begin = virtual_ns;
	CHECK_EQ(co_poll(NULL, &fd, 1, INT_MAX), 0); /* 24 days */
	CHECK_EQ(virtual_ns - begin, (int64_t)INT_MAX * 1000000);
	/* No limit is no limit. Only somebody else's time passes. */
	struct polling *w = poll_one(p[0], POLLIN, -1), *u = calloc(1, sizeof(*u));
	u->fds[0] = fd;
	u->n = 1;
	u->at_ns = CO_NEVER;
	begin_poll(u);
	CHECK_EQ(co_sleep_ns((int64_t)INT_MAX * 2000000), 0);
	check_waits(w);
	check_waits(u);
	/* Something that is ready makes no time pass. */
	begin = virtual_ns;
	put(p[1]);
	CHECK_EQ(co_poll(NULL, &fd, 1, 1000), 1);
	CHECK_EQ(co_wait_until(p[0], POLLIN, CO_NEVER), POLLIN);
	end_poll(w, POLLIN);
	end_poll(u, POLLIN);
	CHECK_EQ(virtual_ns, begin);
	/* First what is ready, then time. */
	drain(p[0]);
	w = poll_one(p[0], POLLIN, 2000);
	put(p[1]);
	CHECK_EQ(co_sleep_ms(1000), 0);
	CHECK_EQ(virtual_ns - begin, 1000000000);
	CHECK_EQ(w->ended_at_ns, begin);
	end_poll(w, POLLIN);
	co_set_clock(NULL);
}

static void *poll_and_read(void *arg)
{
	struct polling *p = arg;
	char c;

	if (poll_now(p) == 1)
		CHECK_EQ(read(p->fds[0].fd, &c, 1), 1);
	return NULL;
}

/* Two are woken for one byte. Who comes second finds nothing, and has time left. */
static void woken_in_vain(void)
{
	struct polling two[2] = { 0 };
	int p[2];

	make_pipe(p);
	virtual_ns = 1000;
	co_set_clock(&virtual_clock);
	for (int i = 0; i < 2; i++) {
		two[i].fds[0] = (struct pollfd){ .fd = p[0], .events = POLLIN };
		two[i].n = 1;
		two[i].timeout_ms = 30;
		two[i].co = start(poll_and_read, &two[i]);
	}
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	int first = two[0].result == 1 ? 0 : 1;
	CHECK_EQ(two[first].result, 1);
	CHECK_EQ(two[first].ended_at_ns, 1000);
	CHECK_EQ(two[!first].result, 0);
	CHECK_EQ(two[!first].ended_at_ns, 1000 + 30 * 1000000);
	co_set_clock(NULL);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(co_release(two[i].co), 0);
}

/* With a clock that was set, a wait without limit is a real one. */
static void real_wait_by_clock(void)
{
	int p[2];

	make_pipe(p);
	co_set_clock(&virtual_clock);
	struct pollfd fd = { .fd = p[0], .events = POLLIN };
	pid_t pid = fork();
	if (pid == 0) {
		usleep(10000);
		put(p[1]);
		_exit(0);
	}
	CHECK_EQ(co_poll(NULL, &fd, 1, -1), 1);
	CHECK_EQ(n_virtual_sleeps, 0);
	CHECK(n_waits() <= 4);
	join_child(pid);
	co_set_clock(NULL);
}

static void never_early(void)
{
	int p[2];

	make_pipe(p);
	struct pollfd fd = { .fd = p[0], .events = POLLIN };
	for (int i = 0; i < 60; i++) {
		int64_t ns = 1000 + i * 33331, begin = co_now_ns();
		if (i % 3 == 0) {
			CHECK_EQ(co_poll(NULL, &fd, 1, 1 + i % 2), 0);
			CHECK(co_now_ns() - begin >= (1 + i % 2) * 1000000);
		} else if (i % 3 == 1) {
			CHECK_EQ(co_poll_until(&fd, 1, begin + ns), 0);
			CHECK(co_now_ns() - begin >= ns);
		} else {
			CHECK_EQ(co_wait_until(p[0], POLLIN, begin + ns), 0);
			CHECK(co_now_ns() - begin >= ns);
		}
	}
	CHECK(kernel.longest_ms <= 0);
	/* One with a limit that is never needed: its timer goes with it. */
	put(p[1]);
	struct polling *w = poll_one(p[0], POLLPRI, 1000000);
	forget(w);
	CHECK_EQ(co_poll(NULL, &fd, 1, 1000000), 1);
	drain(p[0]);
	w = poll_one(p[0], POLLIN, INT_MAX);
	check_waits(w);
	put(p[1]);
	end_poll(w, POLLIN);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0); /* no timer holds it up */
}

static void kinds(void)
{
	static const char *const names[] = { "heap", "wheel", "timerfd" };

	for (int i = 0; i < 6; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			setenv("COSTEP_TIMER", names[i % 3], 1);
			kernel.no_pwait2 = i < 3 ? 0 : ENOSYS;
			never_early();
			_exit(0);
		}
		join_child(pid);
	}
}

/* Time is over in the very turn in which the descriptor becomes ready; it is told
 * several things at once. Woken once. */
static void all_at_once(void)
{
	int p[2], q[2];

	make_pair(p, SOCK_STREAM);
	make_pair(q, SOCK_STREAM);
	fill(p[0]);
	co_set_clock(&virtual_clock);
	for (int i = 0; i < 8; i++) {
		struct polling w = { .n = 4, .timeout_ms = 5 };
		w.fds[0] = (struct pollfd){ .fd = p[0], .events = POLLIN };
		w.fds[1] = (struct pollfd){ .fd = p[0], .events = POLLIN };
		w.fds[2] = (struct pollfd){ .fd = p[0], .events = POLLOUT };
		w.fds[3] = (struct pollfd){ .fd = q[0], .events = POLLIN };
		begin_poll(&w);
		check_waits(&w);
		if (i & 1)
			put(p[1]);
		if (i & 2)
			put(q[1]);
		if (i & 4)
			virtual_ns += 10000000;
		settle();
		CHECK_EQ(w.is_done, i != 0);
		if (i)
			CHECK_EQ(w.result, (i & 1 ? 2 : 0) + (i & 2 ? 1 : 0));
		drain(p[0]);
		drain(q[0]);
		CHECK_EQ(co_release(w.co), 0);
	}
	co_set_clock(NULL);
}

/* --- closed while it waits ----------------------------------------------------------------------- */

static void closed_while_waiting(void)
{
	int p[2], q[2];

	make_pair(p, SOCK_STREAM);
	make_pair(q, SOCK_STREAM);
	struct polling *w = poll_one(p[0], POLLIN, -1), *two = poll_one(p[0], POLLOUT | POLLIN, 0);
	struct polling many = { .n = 5, .timeout_ms = 1000000 };

	forget(two);
	many.fds[0] = (struct pollfd){ .fd = -1, .revents = 9 };
	many.fds[1] = (struct pollfd){ .fd = q[0], .events = POLLIN, .revents = 9 };
	many.fds[2] = (struct pollfd){ .fd = p[0], .events = POLLIN, .revents = 9 };
	many.fds[3] = (struct pollfd){ .fd = open("/", O_RDONLY | O_DIRECTORY), .events = POLLPRI, .revents = 9 };
	many.fds[4] = (struct pollfd){ .fd = p[0], .events = POLLPRI, .revents = 9 };
	begin_poll(&many);
	check_waits(&many);
	co_fd_closing(p[0]);
	close(p[0]);
	end_poll(w, POLLNVAL);
	CHECK(many.is_done);
	CHECK_EQ(many.result, 2);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(many.fds[i].revents, i == 2 || i == 4 ? POLLNVAL : 0);
	CHECK_EQ(co_release(many.co), 0);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0); /* its timer is gone, too */
}

static int main_closes;

static void *close_mains(void *arg)
{
	CHECK_EQ(co_reschedule(), 0);
	co_fd_closing(main_closes);
	close(main_closes);
	return arg;
}

static void closed_while_main_waits(void)
{
	int p[2];

	make_pipe(p);
	main_closes = p[0];
	struct pollfd fd = { .fd = p[0], .events = POLLIN };
	start(close_mains, NULL);
	CHECK_EQ(co_poll(NULL, &fd, 1, -1), 1);
	CHECK_EQ(fd.revents, POLLNVAL);
	make_pipe(p);
	main_closes = p[0];
	start(close_mains, NULL);
	CHECK_FAILS(co_wait_until(p[0], POLLIN, CO_NEVER), -1, EBADF);
}

/* The number is used again before the waiter's turn has come: it is told of its
 * own file all the same. */
static void closed_and_reused(void)
{
	int p[2], q[2];

	make_pair(p, SOCK_STREAM);
	make_pair(q, SOCK_STREAM);
	put(q[1]);
	struct polling *w = poll_one(p[0], POLLIN, -1);
	check_waits(w);
	co_fd_closing(p[0]);
	CHECK_EQ(dup2(q[0], p[0]), p[0]); /* readable */
	end_poll(w, POLLNVAL);
	/* Not only the first of several. */
	make_pair(p, SOCK_STREAM);
	drain(q[0]);
	struct polling several = { .n = 3, .timeout_ms = -1 };
	several.fds[0] = (struct pollfd){ .fd = q[0], .events = POLLIN };
	several.fds[1] = (struct pollfd){ .fd = p[1], .events = POLLIN };
	several.fds[2] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	begin_poll(&several);
	check_waits(&several);
	co_fd_closing(p[0]);
	int silent[2];
	make_pipe(silent);
	CHECK_EQ(dup2(silent[0], p[0]), p[0]);
	settle();
	CHECK(several.is_done);
	CHECK_EQ(several.result, 1);
	CHECK_EQ(several.fds[2].revents, POLLNVAL);
	CHECK_EQ(co_release(several.co), 0);
	/* Behind our back, too, once somebody waits for the new file. */
	make_pair(p, SOCK_STREAM);
	w = poll_one(p[0], POLLIN, -1);
	struct polling *w2 = poll_one(p[0], POLLPRI, 100000);
	int dupped = dup(p[0]);
	CHECK_EQ(dup2(q[0], p[0]), p[0]);
	struct polling *fresh = poll_one(p[0], POLLIN, -1);
	end_poll(w, POLLNVAL);
	end_poll(w2, POLLNVAL);
	check_waits(fresh);
	put(p[1]); /* to the old file */
	check_waits(fresh);
	uint64_t sleeps = co_loop_stats().sleeps;
	CHECK_EQ(co_sleep_ms(20), 0);
	CHECK(co_loop_stats().sleeps - sleeps <= 3);
	put(q[1]);
	end_poll(fresh, POLLIN);
	close(dupped);
}

static void *wait_until_and_note(void *arg)
{
	struct polling *p = arg;

	errno = 0;
	p->result = co_wait_until(p->fds[0].fd, p->fds[0].events, p->at_ns);
	p->error = errno;
	p->is_done = true;
	return arg;
}

static struct polling *wait_one(int fd, short events, int64_t at_ns)
{
	struct polling *p = calloc(1, sizeof(*p));

	p->fds[0] = (struct pollfd){ .fd = fd, .events = events };
	p->at_ns = at_ns;
	p->co = start(wait_until_and_note, p);
	return p;
}

static void end_wait_one(struct polling *p, int result, int error)
{
	settle();
	CHECK(p->is_done);
	CHECK_EQ(p->result, result);
	CHECK_EQ(p->error, error);
	forget(p);
}

static void wait_for_one(void)
{
	int p[2], q[2], file = open("/proc/self/exe", O_RDONLY);

	make_pair(p, SOCK_STREAM);
	make_pair(q, SOCK_STREAM);
	CHECK_FAILS(co_wait_until(-1, POLLIN, CO_NEVER), -1, EBADF);
	CHECK_FAILS(co_wait_until(987, POLLIN, CO_NEVER), -1, EBADF);
	CHECK_FAILS(co_wait_until(INT_MAX, POLLIN, CO_NEVER), -1, EBADF);
	CHECK_EQ(co_wait_until(file, POLLIN, CO_NEVER), POLLIN);
	CHECK_EQ(co_wait_until(p[0], POLLIN, 0), 0);
	CHECK_EQ(co_wait_until(p[0], POLLOUT, CO_NEVER), POLLOUT);
	struct polling *in = wait_one(p[0], POLLIN, CO_NEVER), *pri = wait_one(p[0], POLLPRI, CO_NEVER);
	check_waits(in);
	put(p[1]);
	end_wait_one(in, POLLIN, 0);
	check_waits(pri);
	CHECK_EQ(dup2(q[0], p[0]), p[0]);
	in = wait_one(p[0], POLLIN, CO_NEVER);
	end_wait_one(pri, -1, EBADF);
	check_waits(in);
	close(q[1]);
	settle();
	CHECK_EQ(in->result, POLLIN | POLLHUP);
	forget(in);
	in = wait_one(p[1], POLLPRI, co_now_ns() + 1000000000000);
	forget(in);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
}

/* While seats are taken, another thread gives the number to another file. */
static int swap_from, swap_to, swap_at;

static void swap_file(void)
{
	if (--swap_at == 0)
		CHECK_EQ(dup2(swap_from, swap_to), swap_to);
}

static void changed_between_seats(void)
{
	for (int on_mains = 0; on_mains < 2; on_mains++)
		for (int at = 1; at <= 3; at++) {
			int p[2], q[2], dupped;
			struct polling w = { .n = 3, .timeout_ms = 1 };

			make_pair(p, SOCK_STREAM);
			make_pair(q, SOCK_STREAM);
			dupped = at == 2 ? -1 : dup(p[0]);
			forget(poll_one(p[0], POLLIN, -1)); /* it is registered */
			for (int i = 0; i < 3; i++)
				w.fds[i] = (struct pollfd){ .fd = p[0], .events = POLLIN };
			swap_from = q[0], swap_to = p[0], swap_at = at;
			kernel.before_ctl = swap_file;
			if (on_mains) {
				poll_now(&w);
			} else {
				begin_poll(&w);
				while (!w.is_done)
					CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
				CHECK_EQ(co_release(w.co), 0);
			}
			kernel.before_ctl = NULL;
			CHECK(swap_at <= 0);
			if (at == 1)
				CHECK_EQ(w.result, 0); /* the new file all along */
			else
				CHECK_EQ(w.result, at - 1); /* those that were seated before */
			co_epoll_check();
			close(dupped), close(p[0]), close(p[1]), close(q[0]), close(q[1]);
		}
}

static void close_swapped(void)
{
	if (--swap_at == 0)
		close_raw(swap_to);
}

static void closed_between_seats(void)
{
	for (int at = 1; at <= 2; at++) {
		int p[2], q[2];
		struct pollfd fds[3];

		make_pair(p, SOCK_STREAM);
		make_pair(q, SOCK_STREAM);
		fds[0] = (struct pollfd){ .fd = q[0], .events = POLLIN };
		fds[1] = fds[2] = (struct pollfd){ .fd = p[0], .events = POLLIN };
		swap_to = p[0], swap_at = at + 1;
		kernel.before_ctl = close_swapped;
		CHECK_EQ(co_poll(NULL, fds, 3, -1), 2); /* at once */
		kernel.before_ctl = NULL;
		CHECK_EQ(fds[1].revents, POLLNVAL);
		CHECK_EQ(fds[2].revents, POLLNVAL);
		CHECK_EQ(fds[0].revents, 0);
		co_epoll_check();
		close(p[1]), close(q[0]), close(q[1]);
	}
}

/* --- released, reset, woken or not --------------------------------------------------------------- */

static void release_waiting(void)
{
	int p[2], q[2];

	make_pair(p, SOCK_STREAM);
	make_pair(q, SOCK_STREAM);
	for (int i = 0; i < 8; i++) {
		struct polling *w = calloc(1, sizeof(*w));
		w->n = 3;
		w->timeout_ms = 100000;
		w->fds[0] = (struct pollfd){ .fd = p[0], .events = POLLIN };
		w->fds[1] = (struct pollfd){ .fd = q[0], .events = POLLIN };
		w->fds[2] = (struct pollfd){ .fd = p[0], .events = POLLRDHUP };
		begin_poll(w);
		check_waits(w);
		if (i & 1) { /* it is woken, and goes before its turn comes */
			put(p[1]);
			CHECK_EQ(co_get_epoll_ct()->wait(co_get_epoll_ct(), 0), 1);
			CHECK_EQ(co_status(w->co), CO_READY);
		}
		if (i & 2)
			CHECK_EQ(co_reset(w->co), 0);
		if (i & 4) {
			CHECK_EQ(co_reset(w->co), 0);
			CHECK_EQ(co_resume(w->co), 0); /* again, from the top */
		}
		CHECK_EQ(co_release(w->co), 0);
		free(w);
		co_epoll_check();
		put(q[1]);
		drain(p[0]);
		drain(q[0]);
		CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0); /* no timer, no waiter is left */
	}
}

static void release_asleep(void)
{
	struct polling *w = poll_one(-1, 0, 100);

	CHECK_EQ(co_status(w->co), CO_WAITING);
	usleep(101000);
	CHECK_EQ(co_get_epoll_ct()->wait(co_get_epoll_ct(), 0), 1);
	CHECK_EQ(co_status(w->co), CO_READY);
	forget(w);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
}

static struct polling *left[3];

static void *end_with_waiters(void *arg)
{
	int p[2];

	make_pipe(p);
	for (int i = 0; i < 3; i++)
		left[i] = poll_one(p[0], i == 1 ? POLLPRI : POLLIN, 100000);
	put(p[1]);
	CHECK_EQ(co_get_epoll_ct()->wait(co_get_epoll_ct(), 0), 1); /* two are woken, one waits */
	CHECK_EQ(co_status(left[0]->co), CO_READY);
	CHECK_EQ(co_status(left[1]->co), CO_WAITING);
	close(p[0]);
	close(p[1]);
	if (arg)
		pthread_exit(arg);
	return arg;
}

static void thread_ends(void)
{
	for (intptr_t i = 0; i < 2; i++) {
		size_t n = count_fds();
		CHECK_EQ(on_thread(end_with_waiters, (void *)i), (void *)i);
		CHECK_EQ(count_fds(), n);
		for (int k = 0; k < 3; k++)
			free(left[k]);
	}
}

/* --- fork -------------------------------------------------------------------------------------------- */

static void forked(void)
{
	int p[2], q[2];

	skip_forks_of_coroutines();
	make_pair(p, SOCK_STREAM);
	make_pair(q, SOCK_STREAM);
	struct polling *w = poll_one(p[0], POLLIN, -1), *late = poll_one(q[0], POLLIN, 100000);
	check_waits(w);
	pid_t pid = fork();
	if (pid == 0) {
		struct pollfd fds[2] = { { .fd = p[0], .events = POLLIN }, { .fd = q[0], .events = POLLPRI } };
		CHECK_EQ(co_poll(NULL, fds, 2, 3), 0); /* libco's timeout deletes the parent's registration */
		check_waits(w);
		put(q[1]);
		end_poll(late, POLLIN);
		drain(q[0]);
		put(p[1]);
		end_poll(w, POLLIN); /* what was parked, goes on in the child */
		drain(p[0]);
		the_set();
		_exit(0);
	}
	join_child(pid);
	check_waits(w);
	check_waits(late);
	put(p[1]);
	put(q[1]);
	end_poll(w, POLLIN);
	end_poll(late, POLLIN);
}

/* The child of a fork in a coroutine: main waits, others wait, one forks. */
static void *fork_here(void *arg)
{
	int *p = arg;
	pid_t pid = fork();

	if (pid == 0) {
		put(p[1]);
		return arg;
	}
	join_child(pid);
	put(p[1]);
	return arg;
}

static void forked_in_coroutine(void)
{
	int p[2];
	pid_t me = getpid();

	skip_forks_of_coroutines();
	make_pipe(p);
	struct pollfd fd = { .fd = p[0], .events = POLLIN };
	start(fork_here, p); /* the child's main goes on here as well */
	CHECK_EQ(co_poll(NULL, &fd, 1, -1), 1);
	drain(p[0]);
	CHECK_EQ(co_poll(NULL, &fd, 1, 50), 0); /* long enough to wait, on a busy machine too */
	the_set();
	if (getpid() != me)
		_exit(0);
}

/* A fork handler of the program's waits. What comes in the child meanwhile, is the parent's to
 * hear of, too. */
static int fork_pair[2];

static void wait_in_fork(void)
{
	put(fork_pair[1]);
	CHECK_EQ(co_poll(NULL, NULL, 0, 20), 0);
}

static void forked_with_handler(void)
{
	skip_forks_of_coroutines();
	CHECK_EQ(pthread_atfork(NULL, NULL, wait_in_fork), 0);
	make_pair(fork_pair, SOCK_STREAM);
	struct polling *w = poll_one(fork_pair[0], POLLIN, -1);
	check_waits(w);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	join_child(pid);
	end_poll(w, POLLIN);
}

static void set_closed(void)
{
	int p[2];

	make_pair(p, SOCK_STREAM);
	dup2(p[0], 0);
	struct polling *stays = poll_one(0, POLLIN, -1), *gone = poll_one(p[0], POLLIN, -1);
	check_waits(gone);
	int peer = dup2(p[1], 1000);
	for (int fd = 3; fd < 256; fd++)
		syscall(SYS_close, fd);
	struct co_loop_stats before = co_loop_stats();
	struct pollfd fds[2] = { { .fd = 0, .events = POLLPRI } };
	CHECK_EQ(co_poll(NULL, fds, 1, 20), 0);
	CHECK(co_loop_stats().turns - before.turns < 20);
	if (!is_under_valgrind()) /* there our alarm has its number */
		end_poll(gone, POLLNVAL);
	check_waits(stays);
	put(peer);
	end_poll(stays, POLLIN);
}

/* --- fairness ------------------------------------------------------------------------------------------ */

static void *look_for_ever(void *arg)
{
	struct pollfd fd = { .fd = *(int *)arg, .events = POLLIN };

	while (co_poll(NULL, &fd, 1, 0) == 0)
		;
	CHECK_EQ(fd.revents, POLLIN);
	return arg;
}

/* libco: 5.5 million looks, and the other one never ran. */
static void looking_starves_nobody(void)
{
	int p[2];

	make_pipe(p);
	struct co *looker = start(look_for_ever, &p[0]);
	CHECK_EQ(co_status(looker), CO_READY); /* it gave the control back */
	start(put_after_some_turns, &p[1]);
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
	CHECK_EQ(co_status(looker), CO_DONE);
	/* On main as well; and timers are looked at. */
	drain(p[0]);
	start(put_after_some_turns, &p[1]);
	look_for_ever(&p[0]);
	drain(p[0]);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK_EQ(co_sleep_ms(1), 0);
		put(p[1]);
		_exit(0);
	}
	look_for_ever(&p[0]);
	join_child(pid);
}

static void *ping_pong(void *arg)
{
	int *fd = arg; /* reads the one, writes the other */
	struct pollfd p = { .fd = fd[0], .events = POLLIN };
	char c;

	for (;; fd[2]++) {
		CHECK_EQ(co_poll(NULL, &p, 1, -1), 1);
		CHECK_EQ(read(fd[0], &c, 1), 1);
		CHECK_EQ(write(fd[1], &c, 1), 1);
	}
	return NULL;
}

static void *sleeps_then_puts(void *arg)
{
	CHECK_EQ(co_poll(NULL, NULL, 0, 5), 0);
	put(*(int *)arg);
	return arg;
}

/* Two that wake each other through descriptors for ever. */
static void ping_pong_starves_nobody(void)
{
	int a[2], b[2], p[2];

	make_pipe(a), make_pipe(b), make_pipe(p);
	int ping[3] = { a[0], b[1], 0 }, pong[3] = { b[0], a[1], 0 };
	start(ping_pong, ping);
	start(ping_pong, pong);
	put(a[1]);
	start(sleeps_then_puts, &p[1]);
	struct pollfd fd = { .fd = p[0], .events = POLLIN };
	CHECK_EQ(co_poll(NULL, &fd, 1, -1), 1);
	CHECK(ping[2] > 0);
	CHECK(ping[2] - pong[2] <= 1 && pong[2] - ping[2] <= 1);
}

/* --- signals ----------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t n_signals;

static void count_signal(int signal)
{
	(void)signal;
	n_signals++;
}

static volatile bool stop_signals;

static void *send_signals(void *arg)
{
	while (!stop_signals) {
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		usleep(30); /* not so many that a look never comes to its end */
	}
	return NULL;
}

/* A signal at any time: no EINTR, not even from a look. */
static void signals(void)
{
	static struct pollfd crowd[1000];
	pthread_t me = pthread_self(), t;
	int p[2];

#ifdef CO_TSAN
	check_skip("ThreadSanitizer: it keeps signals back");
#endif
	make_pipe(p);
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = count_signal }, NULL);
	pthread_create(&t, NULL, send_signals, &me);
	struct pollfd fd = { .fd = p[0], .events = POLLIN };
	/* So many that a look takes some time, in which a signal can come. */
	for (int i = 0; i < 1000; i++)
		crowd[i] = fd;
	for (int i = 0; i < rounds(3000); i++)
		CHECK_EQ(co_poll(NULL, crowd, 1000, 0), 0);
	for (int i = 0; i < 20; i++) {
		int64_t begin = co_now_ns();
		CHECK_EQ(co_poll(NULL, &fd, 1, 2), 0);
		CHECK(co_now_ns() - begin >= 2000000);
	}
	start(sleeps_then_puts, &p[1]);
	CHECK_EQ(co_poll(NULL, &fd, 1, -1), 1);
	stop_signals = true;
	pthread_join(t, NULL);
	printf("# %d signals\n", (int)n_signals);
}

/* --- what it costs ---------------------------------------------------------------------------------------- */

static void calls(void)
{
	int p[2];

	make_pipe(p);
	forget(poll_one(p[0], POLLIN, -1));
	for (int i = 0; i < 5; i++) {
		unsigned ctls = kernel.n[EPOLL_CTL], waits = n_waits();
		struct polling *w = poll_one(p[0], POLLIN, 100000);
		put(p[1]);
		CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
		CHECK_EQ(w->fds[0].revents, POLLIN);
		if (!is_under_valgrind()) /* there an alarm is registered as well */
			CHECK_EQ(kernel.n[EPOLL_CTL] - ctls, 1);
		if (!is_under_valgrind())
			CHECK_EQ(n_waits() - waits, 1);
		forget(w);
		/* Data is there: no call but the look. */
		ctls = kernel.n[EPOLL_CTL], waits = n_waits();
		w = poll_one(p[0], POLLIN, -1);
		CHECK(w->is_done);
		CHECK_EQ(kernel.n[EPOLL_CTL] - ctls, 0);
		CHECK_EQ(n_waits() - waits, 0);
		forget(w);
		drain(p[0]);
	}
}

static struct polling *a_thousand[1000];

static void idle(void)
{
	int p[2], q[2];
	int n = is_under_valgrind() ? 50 : 1000; /* it looks through all stacks at each switch */

	make_pipe(p);
	make_pipe(q);
	for (int i = 0; i < n; i++)
		a_thousand[i] = poll_one(i % 2 ? p[0] : q[0], i % 3 ? POLLIN : POLLPRI, i % 2 ? -1 : 1000000 + i);
	settle();
	struct co_loop_stats before = co_loop_stats();
	unsigned waits = n_waits();
	CHECK_EQ(co_poll(NULL, NULL, 0, 1000), 0);
	CHECK(co_loop_stats().sleeps - before.sleeps <= 5);
	CHECK(co_loop_stats().turns - before.turns <= 5);
	CHECK(n_waits() - waits <= 6);
	put(p[1]);
	settle();
	for (int i = 0; i < n; i++) {
		CHECK_EQ(a_thousand[i]->is_done, i % 2 && i % 3);
		forget(a_thousand[i]);
	}
	CHECK_EQ(co_eventloop(NULL, NULL, NULL), 0);
}

static void *short_thread(void *arg)
{
	int p[2];

	make_pipe(p);
	struct pollfd fd = { .fd = p[0], .events = POLLIN };
	struct polling *w = poll_one(p[0], POLLIN, 100000);
	CHECK_EQ(co_poll(NULL, &fd, 1, 1), 0);
	put(p[1]);
	end_poll(w, POLLIN);
	w = poll_one(p[0], POLLPRI, 100000); /* left waiting */
	free(a_thousand[0]);
	a_thousand[0] = w;
	close(p[0]);
	close(p[1]);
	return arg;
}

static void short_threads(void)
{
	size_t fds = count_fds(), resident = 0;
	int n = rounds(300);

	for (int i = 0; i < n; i++) {
		if (i == n / 3)
			resident = resident_bytes();
		on_thread(short_thread, NULL);
		CHECK_EQ(count_fds(), fds);
	}
	free(a_thousand[0]);
	if (!watched_by())
		CHECK(resident_bytes() < resident + (1 << 20));
}

static const struct test_case cases[] = {
	{ "like_poll", "6 000 random looks at all kinds of descriptors: as poll(2)", like_poll, 0, 0 },
	{ "like_poll_waiting", "2 500 random sets of waiters while things happen: as poll(2)", like_poll_waiting, 0, 0 },
	{ "like_poll_on_main", "500 random waits of main while things happen: as poll(2)", like_poll_on_main, 0, 0 },
	{ "bad_descriptors", "D05: a closed number is POLLNVAL at once, a negative one is nothing", bad_descriptors, 0, 0 },
	{ "files", "D06: files are always ready, and stop nobody from waiting for others", files, 0, 0 },
	{ "twice_the_same", "D08, D09: the same descriptor twice: both entries count", twice_the_same, 0, 0 },
	{ "always_reported", "D10: hangups and errors are always reported", always_reported, 0, 0 },
	{ "revents_cleared", "D11: revents are cleared when time is over", revents_cleared, 0, 0 },
	{ "timeout_zero", "D12: timeout 0 looks, without a set", timeout_zero, 0, 0 },
	{ "on_main", "D13: main polls by running the loop; EDEADLK if nothing could happen", on_main, 0, 0 },
	{ "in_callback", "D13: in the loop's callback it is refused only if it would wait", in_callback, 0, 0 },
	{ "threads", "a thread without coroutines can poll, but not with another's loop", threads, 0, 0 },
	{ "kernels_errors", "EINVAL and EFAULT as poll(2)", kernels_errors, 0, 0 },
	{ "exact_by_clock", "D24: by a clock of one's own timeouts are exact, INT_MAX too; -1 is none", exact_by_clock, 0, 0 },
	{ "woken_in_vain", "two are woken, one finds something: the other waits until its time is over", woken_in_vain, 0, 0 },
	{ "real_wait_by_clock", "by a clock of one's own, waiting without limit still waits", real_wait_by_clock, 0, 0 },
	{ "never_early", "D17: never early, by any way to ask for it", never_early, 0, 0 },
	{ "kinds", "D17: with each kind of timers, with and without epoll_pwait2", kinds, 0, 0 },
	{ "all_at_once", "events and the end of time in one turn wake once", all_at_once, 0, 0 },
	{ "closed_while_waiting", "D03: who waits for a descriptor that is closed gets POLLNVAL", closed_while_waiting, 0, 0 },
	{ "closed_while_main_waits", "D03: main, too", closed_while_main_waits, 0, 0 },
	{ "closed_and_reused", "D04: POLLNVAL even if the number is ready again, as another file", closed_and_reused, 0, 0 },
	{ "wait_for_one", "co_wait_until: events, time, EBADF, files", wait_for_one, 0, 0 },
	{ "changed_between_seats", "a number becomes another file while a poll begins to wait", changed_between_seats, 0, 0 },
	{ "closed_between_seats", "a number is closed while a poll begins to wait", closed_between_seats, 0, 0 },
	{ "release_waiting", "A07, A10: released or reset while it waits, or just woken", release_waiting, 0, 0 },
	{ "release_asleep", "A07: released when its time was over and its turn had not come", release_asleep, 0, 0 },
	{ "thread_ends", "A07: a thread ends while its coroutines wait, or are just woken", thread_ends, 0, 0 },
	{ "forked", "D20: the child's polls leave the parent's alone, and its own go on", forked, 0, 0 },
	{ "forked_in_coroutine", "D20: a coroutine forks while main waits", forked_in_coroutine, 0, 0 },
	{ "forked_with_handler", "D20: nor does a child whose fork handler waits", forked_with_handler, 0, 0 },
	{ "set_closed", "D19: everything is closed behind our back", set_closed, 0, 0 },
	{ "looking_starves_nobody", "D14: who looks again and again lets the others run", looking_starves_nobody, 0, 0 },
	{ "ping_pong_starves_nobody", "D15: two that wake each other let others poll and sleep", ping_pong_starves_nobody, 0, 0 },
	{ "signals", "a signal is no reason to return", signals, 0, 0 },
	{ "calls", "D23: one epoll_ctl, one epoll_wait for a wait; none if it is ready", calls, 0, 0 },
	{ "idle", "D01: a thousand polls wait a second: no wakeups", idle, 0, 0 },
	{ "short_threads", "D21: 300 short threads leave no descriptor and no memory", short_threads, 0, 0 },
};

TEST_MAIN(cases)
