#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The table of `make defects` is whole. (It runs tests that `make test` runs anyway, so
# here it runs a few of a copy.)

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
}

# A tree with two rows, a unit program that is a script, and reasons.
small_tree() {
	tree=$BATS_TEST_TMPDIR/tree
	mkdir -p "$tree/tests/unit" "$tree/b/tests"
	cp tests/defects "$tree/tests"
	printf '%s\n' '# comment' 'A01 one' 'A02 two' 'D27 three' 'G16 four' >"$tree/tests/defects.txt"
	printf '%s\n' '	{ "one", "A01, A02: shown", one, 0, 0 },' '	{ "two", "A02: too", two, 0, 0 },' \
		'	{ "three", "as in A03: no row", three, 0, 0 },' >"$tree/tests/unit/t_x.c"
	printf '%s\n' "## Rows of libco's defects that are answered differently" '| D27 | does not apply: kqueue | |' \
		'| A02, G16 | half | |' '## Else' '| A01 | not read | |' >"$tree/NOTES.md"
	# shellcheck disable=SC2016 # for the script
	printf '%s\n' '#!/bin/sh' 'echo "$*" >asked' 'echo "ok 1 - A01, A02: shown"' 'echo "ok 2 - A02: too"' >"$tree/b/tests/t_x"
	chmod +x "$tree/b/tests/t_x"
}

@test "every row has a test or a reason, and no test names a row that there is not" {
	run tests/defects --check
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(grep -c '^[A-G][0-9][0-9] ' tests/defects.txt)" -eq 118 ]
}

@test "the table runs the named cases and says ok, no, does not apply" {
	small_tree
	cd "$tree"
	B=b run -0 tests/defects
	echo "$output"
	[ "$(cat asked)" = "--tap one two" ]
	[ "$output" = "A01  one    ok
A02  two    ok; half
D27  three  does not apply: kqueue
G16  four   no: half
defects: 2 ok, 1 no, 1 does not apply" ]
}

@test "a case that fails, is left out or is not there fails its rows" {
	small_tree
	cd "$tree"
	for line in 'not ok 2 - A02: too' 'ok 2 - A02: too # skip no valgrind' ''; do
		printf '%s\n' '#!/bin/sh' 'echo "ok 1 - A01, A02: shown"' "echo '$line'" >b/tests/t_x
		B=b run -1 tests/defects
		echo "$output"
		[[ $output == *"A01  one    ok"*"A02  two    FAILED"*"tests/unit/t_x.c: two"*"1 FAILED"* ]]
	done
	rm b/tests/t_x
	B=b run -1 tests/defects
	[[ $output == *"A01  one    FAILED"*"2 FAILED"* ]]
}

@test "a row without test and reason is found out, and a test or reason of no row" {
	small_tree
	cd "$tree"
	run -0 tests/defects --check
	echo '	{ "four", "B77: what?", four, 0, 0 },' >>tests/unit/t_x.c
	echo 'A09 nobody tests this' >>tests/defects.txt
	sed -i '2i | C55 | why | |' NOTES.md
	run -1 tests/defects --check
	echo "$output"
	[ "$output" = "A09 has neither a test nor a reason in NOTES.md
tests/unit/t_x.c: four: there is no row B77
NOTES.md: there is no row C55" ]
	B=b run -1 tests/defects
	[[ $output == *"A09  nobody tests this  FAILED: neither a test nor a reason"* ]]
}
