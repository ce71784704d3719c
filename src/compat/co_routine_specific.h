/* SPDX-License-Identifier: MIT */
/*
 * co_routine_specific — a variable that each coroutine has for itself.
 *
 *     struct Counters { int reads; };
 *     CO_ROUTINE_SPECIFIC(Counters, mine);
 *     ...
 *     mine->reads++;
 *
 * Made at first use: filled with zeros, then constructed; destroyed when the coroutine
 * is released or reset, or the thread ends. (libco: neither constructed nor destroyed,
 * and one variable per type and file.) A constructor that throws ends the program.
 */
#ifndef COSTEP_COMPAT_CO_ROUTINE_SPECIFIC_H
#define COSTEP_COMPAT_CO_ROUTINE_SPECIFIC_H

#include <new>
#include <pthread.h>
#include <stdlib.h>

#include "co_routine.h"

namespace costep_compat {

struct specific { /* struct co_specific */
	size_t n_bytes, align;
	void (*begin)(void *object);
	void (*end)(void *object);
	pthread_key_t key;
};

extern "C" void *specific_object(specific *s) __asm__("co_specific_object");

/* Constant initialisation: usable from other objects' constructors, too. */
template <class T> class routine_specific {
public:
	constexpr routine_specific() : s{ sizeof(T), alignof(T), begin, end, 0 }
	{
	}

	/* NULL, if there is no memory. */
	T *get()
	{
		return static_cast<T *>(specific_object(&s));
	}

	T *operator->()
	{
		return get();
	}

	T &operator*()
	{
		return *get();
	}

private:
	specific s;

	static void begin(void *object) noexcept
	{
		::new (object) T();
	}

	static void end(void *object) noexcept
	{
		static_cast<T *>(object)->~T();
		free(object);
	}
};

} // namespace costep_compat

#define CO_ROUTINE_SPECIFIC(type, name) static costep_compat::routine_specific<type> name

#endif
