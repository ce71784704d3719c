#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that watch memory know our stacks: nothing that is right looks wrong to them.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	unset MAKEFLAGS MFLAGS MAKELEVEL # we may be below `make test`
}

# Directories of our own: another make may be building in build/ right now.
build() { # VARIANT PROGRAM...
	b=build/checkers/$1
	make -s -j 2 VARIANT="$1" B="$b" "${@:2}"
}

@test "C07: valgrind takes no switch for a wild stack pointer" {
	command -v valgrind >/dev/null || skip "valgrind is missing; 'make deps test' installs it"
	build debug build/checkers/debug/stage10/t_{coroutine,sharestack}
	for program in "t_coroutine yield_order" "t_coroutine inside_qsort" "t_sharestack by_turns" "t_sharestack hops"; do
		# Without --quiet: it warns of stacks when it may talk.
		# shellcheck disable=SC2086 # words on purpose
		run -0 valgrind --error-exitcode=9 "$b"/stage10/$program
		echo "$output"
		[[ $output == *": done"* && $output == *"ERROR SUMMARY: 0 errors"* ]]
		[[ $output != *Warning* ]]
	done
}

@test "C07: AddressSanitizer reports no copy and no switch, with its own stacks for locals too" {
	build asan build/checkers/asan/stage10/t_{coroutine,sharestack}
	for fake in 0 1; do
		export ASAN_OPTIONS=detect_stack_use_after_return=$fake
		"$b/stage10/t_sharestack" --tap by_turns hops far_resumer occupant_released
		"$b/stage10/t_coroutine" --tap goes_on yield_order inside_qsort
	done
}
