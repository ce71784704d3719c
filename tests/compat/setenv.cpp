/* SPDX-License-Identifier: MIT */
/* Environment variables that each coroutine has for itself. */
#include "co_routine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Task {
	stCoRoutine_t *co;
	char value[20];
};

static const char *value_of(const char *name)
{
	const char *value = getenv(name);
	return value ? value : "(none)";
}

static void *change(void *arg)
{
	Task *task = static_cast<Task *>(arg);

	co_enable_hook_sys();
	printf("%s starts with %s\n", task->value, value_of("CGI_QUERY"));
	setenv("CGI_QUERY", task->value, 1);
	setenv("SHARED", task->value, 1);
	co_yield_ct();
	setenv("CGI_QUERY", "not this", 0);
	printf("%s has %s, all have %s\n", task->value, value_of("CGI_QUERY"), value_of("SHARED"));
	unsetenv("CGI_QUERY");
	printf("%s then has %s\n", task->value, value_of("CGI_QUERY"));
	return NULL;
}

int main()
{
	const char *names[] = { "CGI_QUERY", "CGI_PATH", "CGI_QUERY" };
	Task tasks[2];

	setenv("CGI_QUERY", "the process's", 1);
	co_set_env_list(names, sizeof(names) / sizeof(names[0]));
	for (int i = 0; i < 2; i++) {
		snprintf(tasks[i].value, sizeof(tasks[i].value), "task %d", i);
		co_create(&tasks[i].co, NULL, change, &tasks[i]);
		co_resume(tasks[i].co);
	}
	for (int i = 0; i < 2; i++) {
		co_resume(tasks[i].co);
		co_release(tasks[i].co);
	}
	printf("main has %s, and %s\n", value_of("CGI_QUERY"), value_of("SHARED"));
	return 0;
}
