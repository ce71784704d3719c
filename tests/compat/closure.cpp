/* SPDX-License-Identifier: MIT */
/* Closures: by value and by reference, run later and in coroutines. */
#include "co_closure.h"
#include "co_routine.h"

#include <memory>
#include <stdio.h>
#include <string>
#include <vector>

static void *run_closure(void *arg)
{
	stCoClosure_t *closure = static_cast<stCoClosure_t *>(arg);
	closure->exec();
	delete closure;
	return NULL;
}

template <class T> static T doubled(T x)
{
	T result;

	co_ref(ref, result);
	co_func(Twice, ref, x)
	{
		ref.result = x + x;
	}
	co_func_end;
	Twice(ref, x).exec();
	return result;
}

static int base = 1000;

co_func(AtFileScope, base)
{
	printf("at file scope: %d, %d captured\n", base, _member_cnt);
}
co_func_end;

int main()
{
	std::vector<stCoClosure_t *> queue;
	std::vector<int> seen;
	int total = 0;

	co_ref(ref, total, seen);
	for (int i = 0; i < 4; i++) {
		co_func(Add, ref, i)
		{
			ref.total += i;
			ref.seen.push_back(i);
			co_yield_ct();
			i += 100; /* its own copy */
			ref.seen.push_back(i);
		}
		co_func_end;
		queue.push_back(new Add(ref, i));
	}
	stCoRoutine_t *co[4];
	for (int i = 0; i < 4; i++) {
		co_create(&co[i], NULL, run_closure, queue[size_t(i)]);
		co_resume(co[i]);
	}
	for (int i = 3; i >= 0; i--) {
		co_resume(co[i]);
		co_release(co[i]);
	}
	printf("total %d, %d by reference, seen", total, ref._member_cnt);
	for (size_t i = 0; i < seen.size(); i++)
		printf(" %d", seen[i]);
	printf("\n");

	co_func(Nothing)
	{
		printf("nothing captured: %d\n", _member_cnt);
	}
	co_func_end;
	Nothing().exec();

	int a = 1, b = 2;
	const int c = 3;
	char d = 4;
	long e = 5;
	double f = 6;
	std::string g = "7";
	std::unique_ptr<int> h(new int(8));
	unsigned i = 9, j = 10, k = 11, l = 12;
	co_func(Dozen, a, b, c, d, e, f, g, h, i, j, k, l)
	{
		printf("a dozen: %d %d %d %d %ld %g %s %d %u %u %u %u\n", a, b, c, d, e, f, g.c_str(), *h, i, j, k, l);
	}
	co_func_end;
	Dozen dozen(a, b, c, d, e, f, g, std::move(h), i, j, 11, l);
	dozen.exec();
	printf("moved: %s\n", h ? "no" : "yes");

	base = 1;
	AtFileScope(base + 1).exec();
	printf("in a template: %d %s\n", doubled(21), doubled(std::string("ab")).c_str());
	return 0;
}
