/* SPDX-License-Identifier: MIT */
/*
 * co_routine_inner — the parts of libco's inside that programs use.
 *
 * These are: whose turn it is, whether a coroutine has begun or is done, and the
 * thread's environment. libco's other structs have no counterpart with the same
 * fields; NOTES.md lists what is not here and why.
 */
#ifndef COSTEP_COMPAT_CO_ROUTINE_INNER_H
#define COSTEP_COMPAT_CO_ROUTINE_INNER_H

#include "co_routine.h"
#include "coctx.h"

struct stCoRoutineEnv_t; /* struct co_env */

namespace costep_compat {

enum { IS_NEW = 0, IS_DONE = 6 }; /* enum co_state */

extern "C" int status(const void *co) __asm__("co_status");

/* Fields that are read, and not written: each asks about the coroutine whose first
 * byte it is said to be. */
struct has_begun {
	operator char() const
	{
		return status(this) != IS_NEW;
	}
};

struct is_done {
	operator char() const
	{
		return status(this) == IS_DONE;
	}
};

} // namespace costep_compat

/* Only for pointers that co_create gave: co->cEnd and co->cStart, as libco has
 * them. (Where there are no conversions, as for printf: int(co->cEnd).) */
struct stCoRoutine_t {
	union {
		costep_compat::has_begun cStart;
		costep_compat::is_done cEnd;
	};
	stCoRoutine_t() = delete;
	stCoRoutine_t(const stCoRoutine_t &) = delete;
	stCoRoutine_t &operator=(const stCoRoutine_t &) = delete;
};

extern "C" {
stCoRoutineEnv_t *co_get_curr_thread_env(void);
void co_yield_env(stCoRoutineEnv_t *env);
}

/* Make this thread's environment. It is made once: a second call changes nothing. */
inline void co_init_curr_thread_env()
{
	co_get_epoll_ct();
}

inline void co_free(stCoRoutine_t *co)
{
	co_release(co);
}

inline stCoRoutine_t *GetCurrThreadCo()
{
	return co_self();
}

typedef void (*pfnCoRoutineFunc_t)();

#endif
