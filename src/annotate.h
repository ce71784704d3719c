/* SPDX-License-Identifier: MIT */
/*
 * annotate — what AddressSanitizer, ThreadSanitizer, LeakSanitizer and
 * valgrind must be told about stacks that they did not make.
 *
 * Layer:   3. Inline functions; without a sanitizer they are empty, the
 *          valgrind ones are a few instructions that do nothing outside it.
 * Source:  sanitizer/common_interface_defs.h, sanitizer/tsan_interface.h,
 *          valgrind.h (STACK_REGISTER).
 *
 * A tool that watches memory has its own idea of where "the stack" is. Change
 * rsp behind its back and a correct program looks broken to it.
 */
#ifndef CO_ANNOTATE_H
#define CO_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CO_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CO_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CO_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define CO_TSAN 1
#endif

#ifdef CO_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef CO_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#define CO_VALGRIND 1
#endif

/* What a tool keeps for one execution; part of every struct co_exec, used or
 * not, so that the struct is the same in every build. */
struct co_annotation {
	void *asan_fake_stack; /* ASan: its copy of locals, while suspended */
	void *tsan_fiber;      /* TSan: its shadow call stack */
	bool is_last_leave;    /* it leaves for good: drop what ASan keeps */
};

/* Is there a tool that knows of each byte whether it may be used? */
static inline bool annotate_watches_memory(void)
{
#if defined(CO_ASAN)
	return true;
#elif defined(CO_VALGRIND)
	return VALGRIND_MAKE_MEM_UNDEFINED(NULL, 0) != 0; /* of valgrind's tools, only memcheck answers */
#else
	return false;
#endif
}

/* --- memory that becomes stacks ------------------------------------------ */

/* [lo, hi) is a stack from now on. Returns an id for annotate_stack_end. */
static inline unsigned annotate_stack(void *lo, void *hi)
{
	unsigned id = 0;
	(void)lo;
	(void)hi;
#ifdef CO_VALGRIND
	/* hi itself too: it is the stack pointer of an empty stack. Were it
	 * outside, valgrind would take the first swap to a new stack for a
	 * return that frees all that lies between. */
	id = VALGRIND_STACK_REGISTER(lo, hi);
#endif
#ifdef CO_ASAN
	/* A pointer that only a suspended coroutine holds is no leak. */
	__lsan_register_root_region(lo, (size_t)((char *)hi - (char *)lo));
#endif
	return id;
}

static inline void annotate_stack_end(unsigned id, void *lo, void *hi)
{
	(void)id;
	(void)lo;
	(void)hi;
#ifdef CO_VALGRIND
	VALGRIND_STACK_DEREGISTER(id);
#endif
#ifdef CO_ASAN
	/* These addresses will be somebody else's memory. */
	__asan_unpoison_memory_region(lo, (size_t)((char *)hi - (char *)lo));
	__lsan_unregister_root_region(lo, (size_t)((char *)hi - (char *)lo));
#endif
}

/* The stack is handed on: whatever its last user left there means nothing.
 * (A coroutine that is released while suspended never leaves its frames.) */
static inline void annotate_stack_is_fresh(void *lo, void *hi)
{
	(void)lo;
	(void)hi;
#ifdef CO_ASAN
	__asan_unpoison_memory_region(lo, (size_t)((char *)hi - (char *)lo));
#endif
#ifdef CO_VALGRIND
	(void)VALGRIND_MAKE_MEM_UNDEFINED(lo, (char *)hi - (char *)lo);
#endif
}

/* Take off ASan's marks between the variables of the frames on [lo, hi), the caller's
 * own too: because the bytes are to be copied, which would be reported, or because the
 * frames were left without their ends. */
static inline void annotate_unmark_frames(void *lo, void *hi)
{
	(void)lo;
	(void)hi;
#ifdef CO_ASAN
	__asan_unpoison_memory_region(lo, (size_t)((char *)hi - (char *)lo));
#endif
}

/* Between these two the caller reads stacks wherever it likes: below everybody's
 * frames too, and what nobody has written. (ASan and TSan are told by attributes
 * of the function that does it.) */
static inline void annotate_scan_begin(void)
{
#ifdef CO_VALGRIND
	VALGRIND_DISABLE_ERROR_REPORTING;
#endif
}

/* @result: what the scan has found out. It counts as known, whatever it was made of. */
static inline void annotate_scan_end(void *result, size_t len)
{
	(void)result;
	(void)len;
#ifdef CO_VALGRIND
	(void)VALGRIND_MAKE_MEM_DEFINED(result, len);
	VALGRIND_ENABLE_ERROR_REPORTING;
#endif
}

/* --- executions ----------------------------------------------------------- */

static inline void annotate_exec_init(struct co_annotation *a, bool is_threads_own)
{
	*a = (struct co_annotation){ NULL, NULL, false };
	(void)is_threads_own;
#ifdef CO_TSAN
	a->tsan_fiber = is_threads_own ? __tsan_get_current_fiber() : __tsan_create_fiber(0);
#endif
}

static inline void annotate_exec_end(struct co_annotation *a)
{
	(void)a;
#ifdef CO_TSAN
	__tsan_destroy_fiber(a->tsan_fiber);
	a->tsan_fiber = NULL;
#endif
}

/* Just before the swap to an execution whose stack is [to_lo, to_hi). */
static inline void annotate_leave(struct co_annotation *from, struct co_annotation *to, void *to_lo, void *to_hi)
{
	(void)from, (void)to, (void)to_lo, (void)to_hi;
#ifdef CO_ASAN
	__sanitizer_start_switch_fiber(from->is_last_leave ? NULL : &from->asan_fake_stack, to_lo,
				       (size_t)((char *)to_hi - (char *)to_lo));
#endif
#ifdef CO_TSAN
	__tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
}

/* Just after it, on the other side; @me is who runs now. */
static inline void annotate_arrive(struct co_annotation *me)
{
	(void)me;
#ifdef CO_ASAN
	__sanitizer_finish_switch_fiber(me->asan_fake_stack, NULL, NULL);
#endif
}

#endif
