#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The parts of coviz, folders of viz/: each knows some of those before it, by their headers.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
}

may_know() {
	case $1 in
	trace | grid) echo ;;
	code) echo trace ;;
	record | model) echo trace code ;;
	view) echo trace code model grid ;;
	app) echo trace code record model grid view ;;
	esac
}

# includes DIR: each header that a part includes is its own or of a part that it may know.
includes() (
	cd "$1" || exit 1
	bad=0 parts=$(make -s print-VIZ_PARTS)
	while IFS=: read -r file header; do
		part=${file#viz/} part=${part%%/*}
		for other in $parts; do
			[ -e "viz/$other/$header" ] || continue
			[[ " $part $(may_know "$part") " == *" $other "* ]] || { echo "$file includes $other/$header"; bad=1; }
		done
	done < <(grep -o '^#include "[^"]*"' viz/*/*.[ch] | sed 's/#include "\(.*\)"/\1/')
	exit $bad
)

# only_in HEADER FILE...: nobody else includes this system header.
only_in() {
	run grep -l "#include <$1" viz/*/*.[ch]
	shift
	[ "$output" = "$(printf '%s\n' "$@")" ]
}

@test "each part of coviz knows those before it alone" {
	run -0 includes .
	[ -z "$output" ]
}

@test "a part that knows a later one is found" {
	mkdir "$BATS_TEST_TMPDIR/copy"
	cp -r viz lessons Makefile "$BATS_TEST_TMPDIR/copy"
	echo '#include "view.h"' >>"$BATS_TEST_TMPDIR/copy/viz/model/model.c"
	run -1 includes "$BATS_TEST_TMPDIR/copy"
	[ "$output" = "viz/model/model.c includes view/view.h" ]
}

@test "curses, ptrace and the clock are each in their place" {
	only_in curses.h viz/app/screen.c
	only_in sys/ptrace.h viz/record/target.c viz/record/target_breaks.c viz/record/target_read.c \
		viz/record/target_rest.c viz/record/target_threads.c
	run ! grep -nE '\b(clock_gettime|time|gettimeofday|rand|printf|fopen|open)\(' viz/model/*.c viz/view/*.c viz/grid/grid.c
}
