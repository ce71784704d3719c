/* SPDX-License-Identifier: MIT */
/*
 * Boost.Coroutine2: on top of Boost.Context, as asymmetric coroutines. Stacks: as in
 * peer_boost.cpp.
 */
#include "peer.h"

#if __has_include(<boost/coroutine2/coroutine.hpp>) && !defined(NO_LIBRARY)
#include <boost/coroutine2/coroutine.hpp>
#include <boost/coroutine2/fixedsize_stack.hpp>
#include <boost/coroutine2/pooled_fixedsize_stack.hpp>
#include <boost/coroutine2/protected_fixedsize_stack.hpp>

#include <vector>

using coroutine = boost::coroutines2::coroutine<void>;
using boost::coroutines2::fixedsize_stack;
using boost::coroutines2::pooled_fixedsize_stack;
using boost::coroutines2::protected_fixedsize_stack;

static inline void yield_here(void *me)
{
	(*static_cast<coroutine::push_type *>(me))();
}
#include "frames.h"

template <class stack> static coroutine::pull_type *start(long frames)
{
	return new coroutine::pull_type(stack(STACK_BYTES), [frames](coroutine::push_type &caller) {
		for (;;)
			yield_below(frames, &caller);
	});
}

static void roundtrip(long n, long frames)
{
	static coroutine::pull_type *co = start<fixedsize_stack>(frames);

	for (long i = 0; i < n; i++)
		(*co)();
}

static void round_many(long n, long frames)
{
	static std::vector<coroutine::pull_type *> co;
	static long next;

	while (co.size() < MANY)
		co.push_back(start<fixedsize_stack>(frames));
	for (long i = 0; i < n; i++, next = (next + 1) % MANY)
		(*co[next])();
}

/* push_type begins at its first call, as coroutines of the others do. (pull_type, which
 * runs when it is made, takes as long.) */
static void create(long n, long alive)
{
	static pooled_fixedsize_stack stacks(STACK_BYTES);
	static std::vector<coroutine::push_type> co;

	for (; n > 0; n -= alive) {
		for (long i = 0; i < alive; i++)
			co.emplace_back(stacks, [](coroutine::pull_type &) {});
		for (auto &c : co)
			c();
		co.clear();
	}
}

static void idle(long n)
{
	for (long i = 0; i < n; i++)
		n <= MOST_GUARDED ? start<protected_fixedsize_stack>(0) : start<fixedsize_stack>(0);
}

extern const struct peer peer = {
	"coroutine2", "Boost.Coroutine2", nullptr, nullptr,
	{ nullptr, nullptr, roundtrip, round_many, create }, idle, nullptr, nullptr, nullptr,
};
#else
extern const struct peer peer = { "coroutine2", "Boost.Coroutine2", "libboost-context-dev", nullptr,
				  {}, nullptr, nullptr, nullptr, nullptr };
#endif
