/* SPDX-License-Identifier: MIT */
/*
 * cmd_record — coviz record: the command line of the recorder.
 *
 * Part:    commands. Uses record.
 */
#ifndef VIZ_CMD_RECORD_H
#define VIZ_CMD_RECORD_H

/* @argv[0] is "record". The status to exit with: 0; 1 it went wrong; 2 wrong usage. */
int cmd_record(int argc, char **argv);

#endif
