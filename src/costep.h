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
#include "loop.h"      /* 4: who runs next */

#endif
