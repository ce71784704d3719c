/* SPDX-License-Identifier: MIT */
/* co_poll: several descriptors, timeouts, a look; in coroutines and in main. */
#include "co_routine.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int pipes[3][2];

static void *wait_for_all(void *)
{
	int n_seen = 0;

	while (n_seen < 3) {
		struct pollfd fds[3];
		for (int i = 0; i < 3; i++) {
			fds[i].fd = pipes[i][0];
			fds[i].events = POLLIN;
			fds[i].revents = 0;
		}
		int n = co_poll(co_get_epoll_ct(), fds, 3, 10000);
		for (int i = 0; i < 3; i++) {
			char c;
			if (!(fds[i].revents & POLLIN) || read(fds[i].fd, &c, 1) != 1)
				continue;
			printf("%d ready: '%c' from pipe %d\n", n, c, i);
			n_seen++;
		}
	}
	return NULL;
}

static void *write_later(void *)
{
	static const int order[] = { 2, 0, 1 };

	co_enable_hook_sys();
	for (int i = 0; i < 3; i++) {
		poll(NULL, 0, 3); /* a sleep */
		if (write(pipes[order[i]][1], &"abc"[i], 1) != 1)
			exit(1);
	}
	return NULL;
}

static int count_turns(void *arg)
{
	int *n = static_cast<int *>(arg);
	return --*n == 0 ? -1 : 0;
}

int main()
{
	stCoRoutine_t *reader, *writer;
	struct pollfd none = { -1, POLLIN, 0 };
	int turns = 5;

	for (int i = 0; i < 3; i++)
		if (pipe(pipes[i]) != 0)
			return 1;
	co_create(&reader, NULL, wait_for_all, NULL);
	co_create(&writer, NULL, write_later, NULL);
	co_resume(reader);
	co_resume(writer);
	co_eventloop(co_get_epoll_ct(), NULL, NULL);
	co_eventloop(co_get_epoll_ct(), count_turns, &turns);
	printf("turns left: %d\n", turns);
	struct pollfd p = { pipes[0][0], POLLIN, 0 };
	printf("a look: %d, a while: %d, nobody: %d\n", co_poll(co_get_epoll_ct(), &p, 1, 0),
	       co_poll(co_get_epoll_ct(), &p, 1, 5), co_poll(co_get_epoll_ct(), &none, 1, 1));
	co_release(reader);
	co_release(writer);
	return 0;
}
