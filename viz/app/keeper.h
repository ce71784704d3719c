/* SPDX-License-Identifier: MIT */
/*
 * keeper — whatever happens to the viewer, the terminal is as it was.
 *
 * Part:    backend. The viewer runs in a child process. Its parent does nothing but wait,
 *          so it is there to put the terminal right even after SIGKILL, a crash, or an
 *          exit from a library.
 */
#ifndef VIZ_KEEPER_H
#define VIZ_KEEPER_H

/* Run @child in a process of its own. Returns what it returned; or 128 plus the signal that
 * killed it, after a line on stderr. Ctrl-Z stops both, `fg` continues both; SIGTERM and
 * SIGHUP are passed on; the child gets SIGHUP when its parent dies. */
int keeper_run(int (*child)(void *arg), void *arg);

/* For the child: from here on (until false), the terminal is not as it was. */
void keeper_note_screen(int is_on);

#endif
