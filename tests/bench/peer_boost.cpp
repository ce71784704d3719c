/* SPDX-License-Identifier: MIT */
/*
 * Boost.Context.
 *
 * SWITCH is jump_fcontext, its assembly. The rest is boost::context::fiber, on stacks of
 * pooled_fixedsize_stack where they are made again and again (as CREATE does), of
 * fixedsize_stack otherwise: its quickest each. Idle ones, where memory counts, stand on
 * protected_fixedsize_stack, which touches one page (fixedsize_stack's malloc a second one) and
 * has a guard. With two mappings for each, Linux allows some 30 000 of them: more are of
 * fixedsize_stack.
 */
#include "peer.h"

#if __has_include(<boost/context/fiber.hpp>) && !defined(NO_LIBRARY)
#include <boost/context/detail/fcontext.hpp>
#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>

#include <cstdlib>
#include <utility>

using boost::context::fiber;
using boost::context::fixedsize_stack;
using boost::context::pooled_fixedsize_stack;
using boost::context::protected_fixedsize_stack;
using namespace boost::context::detail;

static inline void yield_here(void *me)
{
	fiber &caller = *static_cast<fiber *>(me);
	caller = std::move(caller).resume();
}
#include "frames.h"

static bool has_flags;
static volatile double three = 3.0;

static void bounce(transfer_t t)
{
	if (has_flags)
		three = 1.0 / three; /* inexact: a sticky flag is up from here on */
	for (;;)
		t = jump_fcontext(t.fctx, nullptr);
}

static void bare(long n, long)
{
	static transfer_t t;

	if (!t.fctx)
		t.fctx = make_fcontext(static_cast<char *>(std::malloc(STACK_BYTES)) + STACK_BYTES, STACK_BYTES, bounce);
	for (long i = 0; i < n / 2; i++)
		t = jump_fcontext(t.fctx, nullptr);
}

static void bare_differ(long n, long arg)
{
	has_flags = true;
	bare(n, arg);
}

template <class stack> static fiber start(long frames)
{
	fiber f(std::allocator_arg, stack(STACK_BYTES), [frames](fiber &&from) {
		fiber caller = std::move(from);
		for (;;)
			yield_below(frames, &caller);
		return caller;
	});
	return std::move(f).resume();
}

static void roundtrip(long n, long frames)
{
	static fiber f;

	if (!f)
		f = start<fixedsize_stack>(frames);
	for (long i = 0; i < n; i++)
		f = std::move(f).resume();
}

static void round_many(long n, long frames)
{
	static fiber f[MANY];
	static long next;

	for (long i = 0; i < MANY && !f[i]; i++)
		f[i] = start<fixedsize_stack>(frames);
	for (long i = 0; i < n; i++, next = (next + 1) % MANY)
		f[next] = std::move(f[next]).resume();
}

static void create(long n, long alive)
{
	static pooled_fixedsize_stack stacks(STACK_BYTES);
	static fiber f[MANY];

	for (; n > 0; n -= alive) {
		for (long i = 0; i < alive; i++)
			f[i] = fiber(std::allocator_arg, stacks, [](fiber &&from) { return std::move(from); });
		for (long i = 0; i < alive; i++) /* at its end it gives its stack back */
			f[i] = std::move(f[i]).resume();
	}
}

static void idle(long n)
{
	fiber *f = new fiber[n]; /* for ever */

	for (long i = 0; i < n; i++)
		f[i] = n <= MOST_GUARDED ? start<protected_fixedsize_stack>(0) : start<fixedsize_stack>(0);
}

extern const struct peer peer = {
	"boost", "Boost.Context: fiber, jump_fcontext", nullptr, nullptr,
	{ bare, bare_differ, roundtrip, round_many, create }, idle, nullptr, nullptr, nullptr,
};
#else
extern const struct peer peer = { "boost", "Boost.Context", "libboost-context-dev", nullptr,
				  {}, nullptr, nullptr, nullptr, nullptr };
#endif
