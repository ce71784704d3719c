/* SPDX-License-Identifier: MIT */
/* Three coroutines on one shared stack: each finds its own bytes again. */
#include "co_routine.h"
#include "co_routine_inner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct Task {
	int id, sum;
	uintptr_t at; /* where its bytes are while it runs */
};

static void *fill_and_look(void *arg)
{
	Task *task = static_cast<Task *>(arg); /* not on a shared stack */
	char buf[4096];

	task->at = reinterpret_cast<uintptr_t>(buf);
	for (int round = 0; round < 3; round++) {
		memset(buf, '0' + task->id + round, sizeof(buf));
		co_yield_ct();
		for (size_t i = 0; i < sizeof(buf); i++)
			task->sum += buf[i] == '0' + task->id + round;
	}
	return NULL;
}

int main()
{
	stShareStack_t *shared = co_alloc_sharestack(1, 1024 * 128);
	stCoRoutineAttr_t attr;
	stCoRoutine_t *co[3];
	Task tasks[3] = { { 0, 0, 0 }, { 1, 0, 0 }, { 2, 0, 0 } };

	attr.stack_size = 0;
	attr.share_stack = shared;
	for (int i = 0; i < 3; i++)
		co_create(&co[i], &attr, fill_and_look, &tasks[i]);
	for (bool goes_on = true; goes_on;) {
		goes_on = false;
		for (int i = 0; i < 3; i++) {
			if (co[i]->cEnd)
				continue;
			co_resume(co[i]);
			goes_on = true;
		}
	}
	for (int i = 0; i < 3; i++) {
		printf("%d: %d of its bytes found again\n", i, tasks[i].sum);
		co_release(co[i]);
	}
	printf("in one place: %s\n", tasks[0].at == tasks[1].at && tasks[1].at == tasks[2].at ? "yes" : "no");
	printf("none: %d\n", co_alloc_sharestack(0, 1024) != NULL);
	printf("freed: %d\n", co_free_sharestack(shared));
	return 0;
}
