/* SPDX-License-Identifier: MIT */
#include "alarm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/timerfd.h>

#include "clock.h"
#include "env.h"
#include "park.h"
#include "sys.h"

void co_alarm_init(struct co_alarm *alarm)
{
	*alarm = (struct co_alarm){ .fd = -1 };
}

/* Programs that become daemons close all descriptors, and the next open gets
 * our number. */
static bool is_timerfd(int fd)
{
	struct itimerspec left;
	return timerfd_gettime(fd, &left) == 0;
}

void co_alarm_close(struct co_alarm *alarm)
{
	if (alarm->fd >= 0 && is_timerfd(alarm->fd))
		sys_close(alarm->fd);
	co_alarm_init(alarm);
}

/* A descriptor in place of a lost one. Not by the same number: whoever had that
 * in an epoll set must see that it is not there any more. */
static int make(int lost)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), other;

	if (fd < 0 || fd != lost)
		return fd;
	other = sys_fcntl(fd, F_DUPFD_CLOEXEC, 0);
	sys_close(fd);
	return other;
}

static int set_time(const struct co_alarm *alarm, const struct itimerspec *when)
{
	struct co_loop *loop = co_get_epoll_ct();

	if (loop)
		loop->stats.syscalls++;
	return timerfd_settime(alarm->fd, TFD_TIMER_ABSTIME, when, NULL);
}

/* Tell the kernel, by a descriptor that is ours. */
static int set(struct co_alarm *alarm, const struct itimerspec *when)
{
	if (alarm->fd >= 0 && set_time(alarm, when) == 0)
		return 0;
	if (alarm->fd >= 0 && errno != EBADF && errno != EINVAL) /* those: closed behind our back */
		return -1;
	alarm->fd = make(alarm->fd);
	alarm->n_forks = co_n_forks;
	return alarm->fd < 0 ? -1 : set_time(alarm, when);
}

int co_alarm_set(struct co_alarm *alarm, int64_t at_ns)
{
	struct itimerspec when = { 0 }; /* all zero: never */

	if (alarm->n_forks != co_n_forks)
		co_alarm_close(alarm);
	if (at_ns != CO_NEVER)
		when.it_value = sys_timespec(at_ns > 0 ? at_ns : 1);
	return set(alarm, &when) == 0 ? alarm->fd : -1;
}
