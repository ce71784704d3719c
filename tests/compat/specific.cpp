/* SPDX-License-Identifier: MIT */
/* Variables that each coroutine has for itself: two of one type, one with a
 * constructor and a destructor, and pthread keys. */
#include "co_routine.h"
#include "co_routine_specific.h"

#include <stdio.h>
#include <string>

struct Counters {
	int reads, writes;
};

static int n_alive;

struct Session {
	std::string user;

	Session() : user("nobody")
	{
		n_alive++;
	}

	~Session()
	{
		n_alive--;
	}
};

/* The constructor of an earlier object uses one. */
static void use_early();
static struct Early {
	Early()
	{
		use_early();
	}
} early;

CO_ROUTINE_SPECIFIC(Counters, mine);
CO_ROUTINE_SPECIFIC(Counters, also_mine);
CO_ROUTINE_SPECIFIC(Session, session);

static void use_early()
{
	mine->writes = 7;
}

static pthread_key_t key;

static void *run(void *arg)
{
	int id = *static_cast<int *>(arg);

	mine->reads += id;
	also_mine->reads += 10 * id;
	co_setspecific(key, arg);
	std::string before = session->user;
	session->user = std::string(id, 'u');
	co_yield_ct();
	printf("%d: %d %d %d, key %s, %s then %s\n", id, mine->reads, mine->writes, also_mine->reads,
	       co_getspecific(key) == arg ? "its own" : "?", before.c_str(), session->user.c_str());
	return NULL;
}

int main()
{
	int ids[3] = { 1, 2, 3 };
	stCoRoutine_t *co[3];

	pthread_key_create(&key, NULL);
	for (int i = 0; i < 3; i++) {
		co_create(&co[i], NULL, run, &ids[i]);
		co_resume(co[i]);
	}
	for (int i = 0; i < 3; i++)
		co_resume(co[i]);
	printf("main: %d %d, sessions %d\n", mine->reads, mine->writes, n_alive);
	co_reset(co[0]); /* a new run starts clean */
	co_resume(co[0]);
	co_resume(co[0]);
	for (int i = 0; i < 3; i++)
		co_release(co[i]);
	printf("sessions left %d\n", n_alive);
	printf("bad key: %d\n", co_setspecific(1500, ids));
	return 0;
}
