/* SPDX-License-Identifier: MIT */
/*
 * Two coroutines wait for the same pipe by co_poll, and then read, by libc's read. One byte
 * comes. A third one ticks. Then the same with the hooks on.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "costep.h"
#include "question.h"

const struct question question = {
	.file = __FILE__,
	.lesson = 7,
	.belief = "poll has said that it is ready, so read will not block.",
	.natural = "\"Ready\" means that a read would not block: the manual says so.",
	.predict = "two coroutines poll the same pipe, and when poll says \"ready\" each writes a log, and then "
		   "reads one byte. One byte comes. What happens?",
	.answers = { "one is woken, and reads it",
		     "both are woken; the second one's read returns 0",
		     "both are woken; the second one's read blocks the whole thread" },
	.answer = 'c',
	.result = "both are told \"ready\", the first takes the byte, and the second one's read stops the whole thread",
	.because = "Ready means: when poll looked. Between that and the read anybody may take the byte: another "
		   "coroutine, another process. So a read after a poll must not be able to block: by a flag of the "
		   "call (MSG_DONTWAIT, RWF_NOWAIT), or of the file (O_NONBLOCK). A hooked read tries so, and if it "
		   "came too late, waits again.",
};

static volatile struct {
	int n_woken, n_bytes, n_ticks_before, n_ticks;
} *seen;
static int fd[2];
static bool is_hooked;

static void *poll_and_read(void *arg)
{
	struct pollfd ready = { .fd = fd[0], .events = POLLIN };
	char c;

	if (is_hooked)
		co_enable_hook_sys();
	co_poll(NULL, &ready, 1, -1);
	seen->n_woken += ready.revents & POLLIN ? 1 : 0;
	co_reschedule(); /* before it reads it does something else; others have a turn */
	if (read(fd[0], &c, 1) == 1)
		seen->n_bytes++;
	return arg;
}

static void *tick(void *arg)
{
	for (int i = 0; i < 20; i++) {
		co_sleep_ms(1);
		seen->n_ticks++;
	}
	if (is_hooked && write(fd[1], "2", 1) != 1) /* for the one who still waits */
		_exit(1);
	return arg;
}

static void go(void)
{
	if (pipe(fd) != 0)
		_exit(1);
	co_resume(create(poll_and_read, NULL));
	co_resume(create(poll_and_read, NULL));
	co_resume(create(tick, NULL));
	if (write(fd[1], "1", 1) != 1)
		_exit(1);
	co_eventloop(NULL, NULL, NULL);
}

static struct ended run(bool hooked)
{
	is_hooked = hooked;
	memset((void *)seen, 0, sizeof(*seen));
	struct ended end = in_child(go);
	saw("%s: %d are told \"ready\"; bytes read: %d; ticks of the third: %d of 20", hooked ? "hooked" : "libc's",
	    seen->n_woken, seen->n_bytes, seen->n_ticks);
	saw("        the program %s", how(end));
	return end;
}

char experiment(void)
{
	seen = shared_with_child(sizeof(*seen));
	struct ended end = run(true);
	must(!end.is_hung && seen->n_bytes == 2, "two bytes, the second later", "%d, it %s", seen->n_bytes, how(end));
	end = run(false);
	if (end.is_hung)
		return seen->n_woken == 2 && seen->n_bytes == 1 && seen->n_ticks < 20 ? 'c' : '?';
	return seen->n_woken == 1 ? 'a' : 'b';
}
