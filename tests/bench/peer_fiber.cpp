/* SPDX-License-Identifier: MIT */
/*
 * Boost.Fiber: Boost.Context with a scheduler (round robin, its default), and no I/O.
 *
 * ROUNDTRIP is this_fiber::yield by the main fiber with one other that yields too.
 */
#include "peer.h"

#if __has_include(<boost/fiber/all.hpp>) && !defined(NO_LIBRARY)
#include <boost/fiber/all.hpp>

#include <chrono>
#include <vector>

using boost::fibers::fiber;
using boost::fibers::fixedsize_stack;
using boost::fibers::launch;
using boost::fibers::pooled_fixedsize_stack;
using boost::fibers::protected_fixedsize_stack;
namespace this_fiber = boost::this_fiber;

static inline void yield_here(void *)
{
	this_fiber::yield();
}
#include "frames.h"

static void roundtrip(long n, long frames)
{
	static fiber *other = new fiber(std::allocator_arg, fixedsize_stack(STACK_BYTES), [frames] {
		for (;;)
			yield_below(frames, nullptr);
	});

	(void)other;
	for (long i = 0; i < n; i++)
		this_fiber::yield();
}

static void create(long n, long alive)
{
	static pooled_fixedsize_stack stacks(STACK_BYTES);
	static std::vector<fiber> f;

	for (; n > 0; n -= alive) {
		for (long i = 0; i < alive; i++)
			f.emplace_back(launch::post, std::allocator_arg, stacks, [] {});
		for (auto &each : f)
			each.join();
		f.clear();
	}
}

static boost::fibers::mutex lock;
static boost::fibers::condition_variable gate;
static std::vector<fiber> spawned;

/* They wait until the process ends. Stacks: as in peer_boost.cpp. */
template <class stack> static void make_idle()
{
	new fiber(launch::dispatch, std::allocator_arg, stack(STACK_BYTES), [] {
		std::unique_lock<boost::fibers::mutex> held(lock);
		gate.wait(held);
	});
}

static void idle(long n)
{
	for (long i = 0; i < n; i++)
		n <= MOST_GUARDED ? make_idle<protected_fixedsize_stack>() : make_idle<fixedsize_stack>();
}

static void spawn(void (*body)(void *), void *arg)
{
	spawned.emplace_back(launch::post, std::allocator_arg, fixedsize_stack(STACK_BYTES), [body, arg] { body(arg); });
}

static void join()
{
	for (auto &each : spawned)
		each.join();
	spawned.clear();
}

static void sleep_ns(int64_t ns)
{
	this_fiber::sleep_for(std::chrono::nanoseconds(ns));
}

static void gate_wait()
{
	std::unique_lock<boost::fibers::mutex> held(lock);
	gate.wait(held);
}

static void gate_open()
{
	gate.notify_all();
}

static const struct sched sched = { 0, spawn, join, sleep_ns, gate_wait, gate_open,
				    nullptr, nullptr, nullptr, nullptr, nullptr, nullptr };

extern const struct peer peer = {
	"fiber", "Boost.Fiber", nullptr, nullptr,
	{ nullptr, nullptr, roundtrip, nullptr, create }, idle, nullptr, nullptr, &sched,
};
#else
extern const struct peer peer = { "fiber", "Boost.Fiber", "libboost-fiber-dev", nullptr,
				  {}, nullptr, nullptr, nullptr, nullptr };
#endif
