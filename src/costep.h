/* SPDX-License-Identifier: MIT */
/*
 * costep — stackful coroutines for Linux. Everything a program includes.
 *
 * In the order of the lessons; each header says which layer it is, who owns
 * what, and what can go wrong.
 */
#ifndef COSTEP_H
#define COSTEP_H

#include "coctx.h"     /* 1, 2: registers of a suspended execution */
#include "coroutine.h" /* 3: create, resume, yield, reset, release */
#include "debug.h"     /* 3: the table that debuggers read */
#include "attach.h"    /* 3: what other modules keep with a coroutine */
#include "loop.h"      /* 4: who runs next */
#include "clock.h"     /* 5: what time it is */
#include "sleep.h"     /* 5: wait for time */
#include "closing.h"   /* 6: what becomes of a descriptor */
#include "co_poll.h"   /* 7: wait for descriptors */
#include "kept.h"      /* 7: wait again for what was waited for before */
#include "hooks.h"     /* 8: plain blocking calls (with costep_hooks.o) */
#include "stack_used.h" /* 9: how deep a stack has been used */
#include "sharestack.h" /* 10: many coroutines on few stacks */
#include "cond.h"      /* 11: wait until somebody says that something has changed */
#include "mutex.h"     /* 11: one coroutine at a time */
#include "specific.h"  /* 11: values that each coroutine has for itself */
#include "closure.h"   /* 11: a function with the values it will need */
#include "remote.h"    /* 12: have something done by another thread's loop */

#endif
