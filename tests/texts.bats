#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The texts: what they quote stands in the source, what they run prints that.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
}

@test "every code block, experiment and link in the texts holds" {
	run tests/textcheck
	echo "$output" # which text, if it fails
	[ "$status" -eq 0 ]
}

@test "a text that quotes what is not there is found out" {
	text=$(mktemp -p . --suffix=.md)
	printf '%s\n' '```c src=src/loop.c' 'int no_such_line;' '```' '```sh run' 'echo one; rm README.md' '```' '```text' 'two' '```' \
		'[x](no/such/file)' >"$text"
	run tests/textcheck "$text"
	rm -f "$text"
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"do not stand in src/loop.c"* ]]
	[[ $output == *"print something else"* ]]
	[[ $output == *"leave changes behind"* ]]
	[[ $output == *"leads nowhere"* ]]
}

@test "each lesson prints what its expected.txt says" {
	for n in $(make -s print-LESSONS); do
		run -0 make --no-print-directory "lesson$n"
		echo "$output"
	done
}
