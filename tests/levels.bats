#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The switch must not depend on what a compiler keeps where: the tests that
# look at registers, with each compiler at each level.

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	unset MAKEFLAGS MFLAGS MAKELEVEL # we may be below `make test`
}

# Directories of our own: another make may be building in build/ right now.
# Each program is linked with its lesson's layers alone.
at_level() {
	local b=build/levels/$1$2 programs
	command -v "$1" >/dev/null || skip "$1 is missing; 'make deps test' installs it"
	programs="$b/stage1/t_swap $b/stage2/t_context $b/stage3/t_random $b/stage10/t_sharestack $b/stage10/t_random_shared $b/stage10/t_crowd_shared"
	# shellcheck disable=SC2086 # the list is words on purpose
	make -s -j 2 CC="$1" OPT="$2" B="$b" $programs
	for program in $programs; do
		"$program" --tap
	done
}

@test "gcc -O0 keeps all that a switch must keep" { at_level gcc -O0; }
@test "gcc -O1 keeps all that a switch must keep" { at_level gcc -O1; }
@test "gcc -O2 keeps all that a switch must keep" { at_level gcc -O2; }
@test "gcc -O3 keeps all that a switch must keep" { at_level gcc -O3; }
@test "clang -O0 keeps all that a switch must keep" { at_level clang -O0; }
@test "clang -O1 keeps all that a switch must keep" { at_level clang -O1; }
@test "clang -O2 keeps all that a switch must keep" { at_level clang -O2; }
@test "clang -O3 keeps all that a switch must keep" { at_level clang -O3; }

@test "gcc -flto keeps it too, and who called, and what pthread_exit unwinds" {
	b=build/levels/gcc-lto
	programs=
	for t in t_random t_coroutine t_loop t_unwind t_exception; do programs+=" $b/tests/$t"; done
	# shellcheck disable=SC2086 # the list is words on purpose
	make -s -j 2 OPT="-O2 -flto=auto" B="$b" $programs
	for program in $programs; do
		"$program" --tap
	done
}

@test "coctx_make reads the settings of now, where it is inlined into a loop too" {
	for cc in gcc clang; do
		command -v $cc >/dev/null || skip "$cc is missing; 'make deps test' installs it"
		$cc -O3 -D_GNU_SOURCE -Isrc -Iasm tests/fixtures/inlined_make.c asm/coctx_swap_x86_64.S \
			-o "$BATS_TEST_TMPDIR/inlined_make"
		"$BATS_TEST_TMPDIR/inlined_make"
	done
}
