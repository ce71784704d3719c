/* SPDX-License-Identifier: MIT */
/* F06, F07: co_accept on a listener that blocks waits for itself alone, with hooks or
 * without, and what it gives can be read with hooks. */
#include "co_routine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int listener, n_ticks;
static struct sockaddr_in where;

static void *take_two(void *)
{
	for (int i = 0; i < 2; i++) {
		char text[10] = "";
		int before = n_ticks;
		int fd = co_accept(listener, NULL, NULL);
		printf("accepted: %s, others ran: %s, hooks %d\n", fd >= 0 ? "yes" : "no", n_ticks > before ? "yes" : "no",
		       co_is_enable_sys_hook());
		co_enable_hook_sys();
		before = n_ticks;
		ssize_t n = read(fd, text, sizeof(text) - 1);
		printf("read %d: %s, others ran: %s\n", int(n), text, n_ticks > before ? "yes" : "no");
		printf("the new one blocks: %s\n", fcntl(fd, F_GETFL) & O_NONBLOCK ? "no" : "yes");
		close(fd);
	}
	return NULL;
}

static void tick()
{
	poll(NULL, 0, 1);
	n_ticks++;
}

static void *give_two(void *)
{
	co_enable_hook_sys();
	for (int i = 0; i < 2; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		tick();
		if (connect(fd, reinterpret_cast<struct sockaddr *>(&where), sizeof(where)) != 0)
			perror("connect");
		tick();
		tick();
		if (write(fd, "hello", 5) != 5)
			perror("write");
		tick();
		close(fd);
	}
	return NULL;
}

int main()
{
	stCoRoutine_t *taker, *giver;
	socklen_t len = sizeof(where);

	listener = socket(AF_INET, SOCK_STREAM, 0);
	where.sin_family = AF_INET;
	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, reinterpret_cast<struct sockaddr *>(&where), len) != 0 || listen(listener, 8) != 0 ||
	    getsockname(listener, reinterpret_cast<struct sockaddr *>(&where), &len) != 0)
		return 1;
	co_create(&taker, NULL, take_two, NULL);
	co_create(&giver, NULL, give_two, NULL);
	co_resume(taker);
	co_resume(giver);
	co_eventloop(co_get_epoll_ct(), NULL, NULL);
	printf("done: %d ticks\n", n_ticks);
	return 0;
}
