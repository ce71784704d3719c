/* SPDX-License-Identifier: MIT */
/* A producer and two consumers, a condition, a mutex; timeouts. */
#include "co_comm.h"
#include "co_routine.h"

#include <errno.h>
#include <poll.h>
#include <queue>
#include <stdio.h>
#include <stdlib.h>

struct Shop {
	stCoCond_t *cond;
	std::queue<int> goods;
	bool is_closed;
	int n_sold, n_consumers;
};

static void *produce(void *arg)
{
	Shop *shop = static_cast<Shop *>(arg);

	co_enable_hook_sys();
	for (int i = 0; i < 6; i++) {
		printf("produced %d\n", i);
		shop->goods.push(i);
		co_cond_signal(shop->cond);
		poll(NULL, 0, 5);
	}
	shop->is_closed = true;
	co_cond_broadcast(shop->cond);
	return NULL;
}

static void *consume(void *arg)
{
	Shop *shop = static_cast<Shop *>(arg);

	co_enable_hook_sys();
	shop->n_consumers++;
	for (;;) {
		if (!shop->goods.empty()) {
			printf("consumed %d\n", shop->goods.front());
			shop->goods.pop();
			shop->n_sold++;
			continue;
		}
		if (shop->is_closed)
			break;
		co_cond_timedwait(shop->cond, -1);
	}
	shop->n_consumers--;
	return NULL;
}

/* --- who waits in vain ------------------------------------------------------------------ */

static void *wait_in_vain(void *arg)
{
	for (int ms = 10; ms >= 0; ms -= 10) { /* 0: it looks once */
		int result = co_cond_timedwait(static_cast<stCoCond_t *>(arg), ms);
		printf("%d ms in vain: %d, %s\n", ms, result, errno == ETIMEDOUT ? "ETIMEDOUT" : "?");
	}
	return NULL;
}

/* --- one at a time ------------------------------------------------------------------------ */

static clsCoMutex mutex;
static int n_inside, n_through;

static void *pass(void *)
{
	co_enable_hook_sys();
	for (int i = 0; i < 3; i++) {
		clsSmartLock lock(&mutex);
		if (++n_inside != 1)
			printf("two inside\n");
		poll(NULL, 0, 1);
		n_inside--;
		n_through++;
	}
	return NULL;
}

static void *lock_twice(void *)
{
	clsSmartLock lock(&mutex);
	{
		clsSmartLock again(&mutex); /* not held twice, and so not unlocked here */
	}
	printf("unlocked by its holder: %d\n", mutex.CoUnLock());
	int result = mutex.CoUnLock();
	printf("once more: %d, %s\n", result, errno == EPERM ? "EPERM" : "?");
	mutex.CoLock(); /* for the end of the block */
	return NULL;
}

static void start(pfn_co_routine_t fn, void *arg)
{
	stCoRoutine_t *co;

	if (co_create(&co, NULL, fn, arg) != 0)
		exit(1);
	co_resume(co);
}

int main()
{
	Shop shop = { co_cond_alloc(), std::queue<int>(), false, 0, 0 };

	start(consume, &shop);
	start(consume, &shop);
	start(produce, &shop);
	co_eventloop(co_get_epoll_ct(), NULL, NULL); /* until nothing can happen any more */
	printf("sold %d, consumers left %d, free %d\n", shop.n_sold, shop.n_consumers, co_cond_free(shop.cond));

	start(wait_in_vain, co_cond_alloc());
	co_eventloop(co_get_epoll_ct(), NULL, NULL);
	for (int i = 0; i < 4; i++)
		start(pass, NULL);
	co_eventloop(co_get_epoll_ct(), NULL, NULL);
	printf("through %d times\n", n_through);
	start(lock_twice, NULL);
	return 0;
}
