/* SPDX-License-Identifier: MIT */
/* The three kinds of timers, each against a sorted array; and the alarm. */
#include <fcntl.h>
#include <poll.h>
#include <sys/timerfd.h>

#include "alarm.h"
#include "park.h"
#include "timers.h"

/* --- the oracle: an array, sorted by when each must come ------------------------------- */

enum { POOL = 300 };

struct entry {
	struct co_timer timer;
	int64_t key; /* what it is sorted by: its time; wheel: its millisecond */
	bool is_in;
};

static struct entry pool[POOL], *sorted[POOL];
static int n_sorted;
static int64_t hand; /* the wheel's: nothing hangs before it */
static long n_fired, n_cancelled;
static struct co_timers *set; /* that is driven directly; NULL: the thread's, by timer.h */

static struct entry *entry_of(struct co_timer *t)
{
	return container_of(t, struct entry, timer);
}

static int64_t key_of(int64_t at_ns)
{
	if (!is_wheel())
		return at_ns;
	return ceil_ms(at_ns) > hand ? ceil_ms(at_ns) : hand;
}

/* Behind all that come at the same time. */
static void oracle_add(struct entry *e, int64_t at_ns)
{
	int i = n_sorted++;

	if (i == 0)
		hand = now / MS; /* nobody is there: the hand jumps */
	e->key = key_of(at_ns);
	e->is_in = true;
	for (; i > 0 && sorted[i - 1]->key > e->key; i--)
		sorted[i] = sorted[i - 1];
	sorted[i] = e;
}

static void oracle_remove(struct entry *e)
{
	int i = 0;

	CHECK(e->is_in);
	e->is_in = false;
	while (sorted[i] != e)
		i++;
	n_sorted--;
	memmove(sorted + i, sorted + i + 1, (size_t)(n_sorted - i) * sizeof(sorted[0]));
}

/* @e comes: is it its turn? */
static void oracle_take(struct entry *e)
{
	n_fired++;
	CHECK(e->is_in);
	CHECK(e->timer.at_ns <= now); /* never early */
	CHECK_EQ(e->key, sorted[0]->key);
	if (is_wheel()) {
		CHECK(e->key <= now / MS);
		hand = e->key;
	} else {
		CHECK_EQ(e, sorted[0]);
	}
	oracle_remove(e);
}

/* Nothing more is due: rightly? */
static void oracle_nothing_due(void)
{
	if (n_sorted > 0)
		CHECK(sorted[0]->key > (is_wheel() ? now / MS : now));
	if (hand < now / MS)
		hand = now / MS;
}

static void oracle_next(int64_t at_ns)
{
	if (n_sorted == 0)
		return;
	if (is_wheel())
		CHECK(at_ns <= sorted[0]->key * MS);
	else
		CHECK_EQ(at_ns, sorted[0]->timer.at_ns);
}

/* --- random steps ------------------------------------------------------------------------ */

static void add(struct entry *e, int64_t at_ns)
{
	oracle_add(e, at_ns);
	if (!set) {
		CHECK_EQ(co_timer_add(&e->timer, at_ns), 0);
		return;
	}
	e->timer.at_ns = at_ns;
	kind->add(set, &e->timer);
	set->n++;
}

static void cancel(struct entry *e)
{
	n_cancelled++;
	oracle_remove(e);
	if (set) {
		kind->remove(set, &e->timer);
		set->n--;
	} else {
		co_timer_cancel(&e->timer);
		co_timer_cancel(&e->timer); /* no harm */
	}
}

/* From the past to hours ahead; exact milliseconds, ends of a round, ties. */
static int64_t random_time(void)
{
	switch (rng_below(&r, 12)) {
	case 0:
		return now - below(10 * SECOND);
	case 1:
		return now;
	case 2:
		return now + 1;
	case 3:
		return now + below(1000);
	case 4:
		return now + below(MS);
	case 5:
		return (now / MS + below(100)) * MS;
	case 6:
		return now + below(100 * MS);
	case 7:
		return (now / MS + SLOTS - 10 + below(20)) * MS + below(3) - 1;
	case 8:
		return now + below(5 * HOUR);
	case 9:
		return n_sorted ? sorted[rng_below(&r, (unsigned)n_sorted)]->timer.at_ns : now;
	case 10:
		return now + below(10 * SECOND);
	default:
		return rng_below(&r, 20) ? now + below(200 * SECOND) : CO_NEVER - 1 - MS;
	}
}

static int64_t next(void)
{
	return set ? kind->next(set) : co_timers_next();
}

static int64_t random_advance(void)
{
	int64_t first = n_sorted ? sorted[0]->timer.at_ns : now;

	switch (rng_below(&r, 9)) {
	case 0:
		return now + 1;
	case 1:
		return now + below(1000);
	case 2:
		return now + below(MS);
	case 3:
		return first < now + HOUR ? first : now;
	case 4:
		return first < now + HOUR ? first - 1 : now;
	case 5:
		return now + below(20 * MS);
	case 6:
		return n_sorted && next() < now + HOUR ? next() : now;
	case 7:
		return now + below(2 * SECOND);
	default:
		return rng_below(&r, 300) == 0 ? now + below(2 * HOUR) :
		       rng_below(&r, 20) == 0  ? now + (SLOTS - 2 + below(4)) * MS :
						 now;
	}
}

static void advance(void)
{
	int64_t then = random_advance();
	if (then > now)
		now = then;
}

static void add_one(void)
{
	struct entry *e = &pool[rng_below(&r, POOL)];
	if (!e->is_in)
		add(e, random_time());
}

static void cancel_one(void)
{
	if (n_sorted)
		cancel(sorted[rng_below(&r, (unsigned)n_sorted)]);
}

/* What a fire callback may do: add, itself too; cancel, others that are due too. */
static void in_fire(struct entry *e)
{
	switch (rng_below(&r, 8)) {
	case 0:
		add_one();
		break;
	case 1:
		cancel_one();
		break;
	case 2:
		if (n_sorted)
			cancel(sorted[0]);
		break;
	case 3:
		add(e, random_time());
	}
}

static void fire(struct co_timer *t)
{
	CHECK(!t->is_armed);
	oracle_take(entry_of(t));
	in_fire(entry_of(t));
}

/* Take at most @n that are due. */
static void take(unsigned n)
{
	struct co_timer *t;

	if (!set) {
		long before = n_fired;
		size_t n_expired = co_timers_expire();
		CHECK_EQ(n_expired, n_fired - before);
		oracle_nothing_due();
		return;
	}
	while (n-- > 0) {
		t = kind->take_due(set, now);
		if (!t) {
			oracle_nothing_due();
			return;
		}
		set->n--;
		oracle_take(entry_of(t));
		in_fire(entry_of(t));
	}
}

static void random_step(void)
{
	switch (rng_below(&r, 10)) {
	case 0:
	case 1:
	case 2:
	case 3:
		add_one();
		break;
	case 4:
		cancel_one();
		break;
	case 5:
	case 6:
		advance();
		break;
	case 7:
		take(rng_below(&r, 4));
		break;
	case 8:
		take(-1u);
		break;
	default:
		oracle_next(next());
	}
}

static void random_steps(uint64_t seed)
{
	r.s = seed;
	memset(pool, 0, sizeof(pool));
	for (int i = 0; i < POOL; i++)
		pool[i].timer.fire = fire;
	n_fired = n_cancelled = 0;
	use_our_clock();
	for (int i = rounds(500 * 1000); i > 0; i--)
		random_step();
	printf("# %ld fired, %ld cancelled\n", n_fired, n_cancelled);
	CHECK(n_fired > rounds(50000) && n_cancelled > rounds(25000));
	while (n_sorted)
		cancel_one();
	CHECK(!kind->take_due(set ? set : co_timers_get(), now + HOUR));
	co_set_clock(NULL);
}

static void *drive_kind(void *arg)
{
	set = kind->open();
	CHECK(set != NULL);
	CHECK_EQ(set->kind, kind);
	CHECK_EQ(set->n, 0);
	random_steps(test_seed(20161));
	kind->close(set);
	set = NULL;
	return arg;
}

static void drive_heap(void)
{
	with_kind(&co_timer_heap, drive_kind);
}

static void drive_wheel(void)
{
	with_kind(&co_timer_wheel, drive_kind);
}

static void drive_timerfd(void)
{
	with_kind(&co_timer_timerfd, drive_kind);
}

static void *drive_thread(void *arg)
{
	CHECK_EQ(co_timers_get()->kind, kind);
	CHECK_EQ(co_timers_next(), CO_NEVER);
	CHECK_EQ(co_timers_expire(), 0);
	random_steps(test_seed(20162));
	CHECK_EQ(co_timers_next(), CO_NEVER);
	CHECK_EQ(co_timers_get()->n, 0);
	return arg;
}

static void random_fires(void)
{
	with_each_kind(drive_thread);
}

/* --- time passes while timers are fired ---------------------------------------------------- */

static int64_t read_moving_now(void)
{
	return now += below(100 * 1000);
}

static const struct co_clock moving_clock = { read_moving_now, sleep_now };
static long n_left;

static void fire_again(struct co_timer *t)
{
	int64_t at_ns = t->at_ns;

	CHECK(at_ns <= now);
	if (--n_left > 0)
		CHECK_EQ(co_timer_add(t, at_ns + 1 + below(100 * 1000)), 0);
}

/* The only one, and it comes again at once: when it is added the set is empty,
 * and the time later than the one that is being worked off. */
static void *come_again(void *arg)
{
	struct co_timer t = { .fire = fire_again };

	r.s = test_seed(20163);
	now = SECOND;
	co_set_clock(&moving_clock);
	n_left = rounds(20000);
	CHECK_EQ(co_timer_add(&t, now), 0);
	while (n_left > 0) {
		co_timers_expire();
		if (co_timers_next() > now && co_timers_next() < CO_NEVER)
			now = co_timers_next();
	}
	co_set_clock(NULL);
	return arg;
}

static void time_passes(void)
{
	with_each_kind(come_again);
}

/* A clock that is set to an earlier time makes timers late, and no more. */
static void never_fires(struct co_timer *t)
{
	(void)t;
	CHECK(!"its time has not come");
}

static void *turn_back(void *arg)
{
	struct co_timer t = { .fire = never_fires };

	use_our_clock();
	CHECK_EQ(co_timer_add(&t, now), 0);
	now -= SECOND;
	CHECK_EQ(co_timers_expire(), 0);
	now -= HOUR;
	CHECK_EQ(co_timers_expire(), 0);
	co_timer_cancel(&t);
	co_set_clock(NULL);
	return arg;
}

static void clock_turned_back(void)
{
	with_each_kind(turn_back);
}

/* --- far away ------------------------------------------------------------------------------ */

enum { FAR = 64 };

static struct co_timer far[FAR];
static int n_came;

static void in_order(struct co_timer *t)
{
	CHECK(t == &far[n_came++]);
	CHECK_EQ(t->at_ns, now);
}

/* Each twice as far as the one before, the last after 292 years, and at each time two. The
 * set has none of them until all before have come. */
static void *double_the_time(void *arg)
{
	use_our_clock();
	for (int i = 0; i < FAR; i++) {
		far[i].fire = in_order;
		CHECK_EQ(co_timer_add(&far[i], i < FAR - 2 ? now + (INT64_C(4) * MS << i / 2) : CO_NEVER - 1), 0);
		CHECK_EQ(far[i].is_far, kind->sorts);
	}
	n_came = 0;
	while (!is_wheel() && n_came < FAR) {
		now = co_timers_next();
		CHECK_EQ(now, far[n_came].at_ns);
		CHECK(!far[n_came].is_far && !far[n_came + 1].is_far);
		CHECK(n_came == FAR - 2 || far[n_came + 2].is_far);
		CHECK_EQ(co_timers_expire(), 2);
	}
	for (int i = 0; i < FAR; i++)
		co_timer_cancel(&far[i]);
	CHECK_EQ(co_timers_get()->n, 0);
	co_set_clock(NULL);
	return arg;
}

/* One that came to the set was cancelled: the next is as far from due as ever. */
static void *far_again(void *arg)
{
	struct co_timer t = { .fire = never_fires };

	use_our_clock();
	CHECK_EQ(co_timer_add(&t, now + HOUR), 0);
	CHECK(co_timers_next() <= now + HOUR);
	CHECK(!t.is_far);
	co_timer_cancel(&t);
	CHECK_EQ(co_timer_add(&t, now + SECOND), 0);
	CHECK_EQ(t.is_far, kind->sorts);
	co_timer_cancel(&t);
	co_set_clock(NULL);
	return arg;
}

static void far_away(void)
{
	with_each_kind(double_the_time);
	with_each_kind(far_again);
}

/* --- a million ----------------------------------------------------------------------------- */

static void *million(void *arg)
{
	size_t n = (size_t)rounds(1000 * 1000), n_taken = 0, n_gone = 0;
	struct co_timer *timers = calloc(n, sizeof(*timers)), *before = NULL;

	CHECK(timers != NULL);
	use_our_clock();
	r.s = test_seed(20164);
	set = kind->open();
	for (size_t i = 0; i < n; i++, set->n++) {
		timers[i].at_ns = now + below(50 * 10000) * (MS / 10); /* so some come together */
		kind->add(set, &timers[i]);
	}
	for (size_t i = 0; i < n; i += 3, set->n--, n_gone++)
		kind->remove(set, &timers[i]);
	now += 51 * SECOND;
	for (struct co_timer *t; (t = kind->take_due(set, now)); set->n--, n_taken++, before = t) {
		CHECK((t - timers) % 3 != 0);
		if (!before)
			continue;
		if (is_wheel())
			CHECK(ceil_ms(before->at_ns) <= ceil_ms(t->at_ns));
		else
			CHECK(before->at_ns < t->at_ns || (before->at_ns == t->at_ns && before < t));
	}
	CHECK_EQ(n_taken + n_gone, n);
	CHECK_EQ(set->n, 0);
	kind->close(set);
	co_set_clock(NULL);
	free(timers);
	return arg;
}

static void million_heap(void)
{
	with_kind(&co_timer_heap, million);
}

static void million_wheel(void)
{
	with_kind(&co_timer_wheel, million);
}

static void million_timerfd(void)
{
	with_kind(&co_timer_timerfd, million);
}

/* --- which kind --------------------------------------------------------------------------------- */

/* What opening the timers says on stderr. */
static void said(char *text, size_t len)
{
	FILE *f = tmpfile();
	int saved = dup(2);

	CHECK(f != NULL);
	dup2(fileno(f), 2);
	struct co_timers *timers = co_timers_get();
	dup2(saved, 2);
	close(saved);
	CHECK(timers != NULL);
	CHECK_EQ(co_timers_get(), timers);
	rewind(f);
	text[fread(text, 1, len - 1, f)] = 0;
	fclose(f);
}

static void *choose(void *name)
{
	char text[600];
	const struct co_timer_kind *expected = &co_timer_heap;
	bool is_known = !name || !*(char *)name;

	CHECK_EQ(name ? setenv("COSTEP_TIMER", name, 1) : unsetenv("COSTEP_TIMER"), 0);
	for (int i = 0; name && i < 3; i++)
		if (strcmp(name, all_kinds[i]->name) == 0) {
			expected = all_kinds[i];
			is_known = true;
		}
	said(text, sizeof(text));
	CHECK_EQ(co_timers_get()->kind, expected);
	if (is_known) {
		CHECK_EQ(*text, 0);
		return NULL;
	}
	CHECK(strstr(text, name) && strstr(text, "COSTEP_TIMER"));
	CHECK(strstr(text, "heap, wheel or timerfd"));
	CHECK(text[strlen(text) - 1] == '\n');
	return NULL;
}

static void choice(void)
{
	static char *const names[] = { NULL, "", "heap", "wheel", "timerfd", "Heap", "wheels", "heap ", "0" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		pthread_t t;
		CHECK_EQ(pthread_create(&t, NULL, choose, names[i]), 0);
		CHECK_EQ(pthread_join(t, NULL), 0);
	}
}

static int others_wait(struct co_loop *loop, int64_t at_most_ns)
{
	(void)loop, (void)at_most_ns;
	return 0;
}

/* The loop's wait is taken only if nobody has it: lesson 6 has its own. */
static void wait_is_left(void)
{
	struct co_loop *loop = co_get_epoll_ct();

	CHECK(loop && !loop->wait);
	loop->wait = others_wait;
	CHECK(co_timers_get() != NULL);
	CHECK_EQ(loop->wait, others_wait);
}

/* --- the alarm ---------------------------------- */

static int64_t left_ns(int fd)
{
	struct itimerspec left;
	CHECK_EQ(timerfd_gettime(fd, &left), 0);
	return left.it_value.tv_sec * SECOND + left.it_value.tv_nsec;
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, 0) == 1;
}

static void alarm_times(void)
{
	struct co_alarm a;

	co_alarm_init(&a);
	CHECK_EQ(a.fd, -1);
	co_alarm_close(&a);
	int fd = co_alarm_set(&a, CO_NEVER);
	CHECK(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(left_ns(fd), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(co_alarm_set(&a, co_now_ns() + HOUR), fd);
		CHECK(left_ns(fd) > 0 && left_ns(fd) <= HOUR);
		CHECK(!is_readable(fd));
		CHECK_EQ(co_alarm_set(&a, i ? 0 : -HOUR), fd); /* the past: at once */
		CHECK(is_readable(fd));
		CHECK_EQ(co_alarm_set(&a, co_now_ns()), fd);
		CHECK(is_readable(fd));
		CHECK_EQ(co_alarm_set(&a, CO_NEVER - 1), fd); /* what it had to say is forgotten */
		CHECK(!is_readable(fd));
		CHECK(left_ns(fd) > 0);
		CHECK_EQ(co_alarm_set(&a, CO_NEVER), fd);
		CHECK_EQ(left_ns(fd), 0);
		CHECK(!is_readable(fd));
	}
	co_alarm_close(&a);
	CHECK_FAILS(fcntl(fd, F_GETFD), -1, EBADF);
	CHECK_EQ(a.fd, -1);
}

/* The number is closed, and may be another file by now: that one is not
 * touched, and ours is made anew. For the same time as before, too. */
static void alarm_closed(void)
{
	int64_t at_ns = co_now_ns() + HOUR;
	struct co_alarm a;
	char c;
	int p[2];

	CHECK_EQ(pipe(p), 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	for (int reused = 0; reused < 2; reused++) {
		co_alarm_init(&a);
		int fd = co_alarm_set(&a, at_ns);
		CHECK_EQ(close(fd), 0);
		if (reused)
			CHECK_EQ(dup2(p[0], fd), fd);
		int again = co_alarm_set(&a, at_ns);
		CHECK(again >= 0);
		CHECK(left_ns(again) > 0);
		CHECK(!reused || again != fd);

		close(again);
		CHECK_EQ(dup2(p[0], again), again);
		co_alarm_close(&a);
		CHECK_EQ(a.fd, -1);
		CHECK_EQ(fcntl(again, F_GETFD), 0); /* it is not ours to close */
		close(again);
		if (reused)
			CHECK_EQ(close(fd), 0);
	}
	CHECK_EQ(read(p[0], &c, 1), 1);
}

static void alarm_forked(void)
{
	size_t n_fds;
	struct co_alarm a;

	CHECK(co_get_epoll_ct() != NULL); /* forks are noticed from then on */
	co_alarm_init(&a);
	int fd = co_alarm_set(&a, co_now_ns() + HOUR);
	n_fds = count_fds();
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		int mine = co_alarm_set(&a, 1);
		CHECK(is_readable(mine));
		CHECK_EQ(count_fds(), n_fds);
		co_alarm_close(&a);
		_exit(0);
	}
	join_child(pid);
	CHECK(!is_readable(fd));
	CHECK(left_ns(fd) > HOUR / 2);
	pid = fork();
	if (pid == 0) { /* a child that becomes a daemon, and opens a log */
		close(fd);
		CHECK_EQ(dup2(1, fd), fd);
		CHECK(co_alarm_set(&a, 1) != fd);
		CHECK_EQ(fcntl(fd, F_GETFD), 0);
		_exit(0);
	}
	join_child(pid);
	co_alarm_close(&a);
}

static const struct test_case cases[] = {
	{ "heap", "the heap against a sorted array: 500 000 random steps", drive_heap, 0, 0 },
	{ "wheel", "the wheel against a sorted array of slots, many rounds long", drive_wheel, 0, 0 },
	{ "timerfd", "the timerfd kind against a sorted array", drive_timerfd, 0, 0 },
	{ "random_fires", "the same by timer.h, with timers added and cancelled as others fire", random_fires, 0, 0 },
	{ "time_passes", "a timer that comes again while time passes", time_passes, 0, 0 },
	{ "clock_turned_back", "a clock set back fires nothing and hangs nothing", clock_turned_back, 0, 0 },
	{ "far_away", "who is far from due waits outside of the set, and comes in time", far_away, 0, 0 },
	{ "million_heap", "a million timers in the heap, in order", million_heap, 0, 0 },
	{ "million_wheel", "a million timers in the wheel", million_wheel, 0, 0 },
	{ "million_timerfd", "a million timers in the timerfd kind", million_timerfd, 0, 0 },
	{ "choice", "COSTEP_TIMER chooses; a name that is none is told, and heap taken", choice, 0, 0 },
	{ "wait_is_left", "who waits for the loop already goes on doing so", wait_is_left, 0, 0 },
	{ "alarm", "an alarm is readable from its time on, and once only for each", alarm_times, 0, 0 },
	{ "alarm_closed", "an alarm closed behind our back is made anew, and no other file closed", alarm_closed, 0, 0 },
	{ "D20_alarm_forked", "D20: a child of a fork has an alarm of its own", alarm_forked, 0, 0 },
};

TEST_MAIN(cases)
