/* SPDX-License-Identifier: MIT */
/*
 * co_comm — one coroutine at a time: libco's names for co_mutex.
 *
 * For the coroutines of one thread: that of the first CoLock. Given on in the order of
 * asking. A second lock by its holder and an unlock by another are refused: -1, EDEADLK
 * and EPERM. (libco: waits for ever; lets two in.)
 */
#ifndef COSTEP_COMPAT_CO_COMM_H
#define COSTEP_COMPAT_CO_COMM_H

#include "co_routine.h"

namespace costep_compat {

struct mutex; /* struct co_mutex */

extern "C" {
mutex *mutex_alloc(void) __asm__("co_mutex_alloc");
int mutex_free(mutex *m) __asm__("co_mutex_free");
int mutex_lock(mutex *m) __asm__("co_mutex_lock");
int mutex_unlock(mutex *m) __asm__("co_mutex_unlock");
}

} // namespace costep_compat

class clsCoMutex {
public:
	clsCoMutex() : m(NULL)
	{
	}

	~clsCoMutex()
	{
		if (m)
			costep_compat::mutex_free(m);
	}

	/* 0; -1, errno. The first one makes the mutex: a global one may be constructed
	 * by another thread than the one that uses it. */
	int CoLock()
	{
		if (!m && !(m = costep_compat::mutex_alloc()))
			return -1;
		return costep_compat::mutex_lock(m);
	}

	int CoUnLock()
	{
		return costep_compat::mutex_unlock(m);
	}

	clsCoMutex(const clsCoMutex &) = delete;
	clsCoMutex &operator=(const clsCoMutex &) = delete;

private:
	costep_compat::mutex *m;
};

/* Holds it until the end of the block. */
class clsSmartLock {
public:
	explicit clsSmartLock(clsCoMutex *mutex) : m(mutex->CoLock() == 0 ? mutex : NULL)
	{
	}

	~clsSmartLock()
	{
		if (m)
			m->CoUnLock();
	}

	clsSmartLock(const clsSmartLock &) = delete;
	clsSmartLock &operator=(const clsSmartLock &) = delete;

private:
	clsCoMutex *m; /* NULL: it could not be locked */
};

#endif
