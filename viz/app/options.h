/* SPDX-License-Identifier: MIT */
/*
 * options — the command line of the viewer.
 *
 * Part:    main. Uses screen.h (colours), view.h (names of panes), record.h.
 */
#ifndef VIZ_OPTIONS_H
#define VIZ_OPTIONS_H

#include <stdbool.h>

#include "record.h"
#include "screen.h"
#include "view.h"

struct options {
	const char *trace;   /* file; NULL: run */
	const char *at;      /* place, or NULL: the beginning */
	const char *dump;    /* kind or file, or NULL */
	const char *script, *cast;
	int w, h;            /* 0: as the terminal, or 120x36 without one */
	enum color color;
	bool is_ascii, is_raw, is_big, is_asm, is_zoomed;
	enum view_id zoom;
	struct record_options record; /* run */
	bool is_list;
	bool wants_help, wants_version; /* then nothing else was looked at */
};

/* Parse `coviz ...` (@is_run: `coviz run ...`; argv[0] is not looked at). False: a message
 * was written to stderr, the status is 2. */
bool options_parse(struct options *o, int argc, char **argv, bool is_run);

/* One line on stderr: @trace is no file. Perhaps it was to be a command. */
void options_no_file(const char *trace);
/* Can @program be run: a path, or a name that PATH leads to? */
bool program_is_there(const char *program);

extern const char options_help[];

#endif
