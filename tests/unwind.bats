#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# GDB, without a script, sees whole chains: from any instruction of a coroutine
# through all its resumers to main. t_unwind shows the same for libgcc and
# libunwind. COSTEP_SEED repeats a failure of the random stops.

bats_require_minimum_version 1.5.0

# As users compile: without the frame pointers that our own build keeps.
build() { # compiler level
	local flags='-g -std=gnu11 -D_GNU_SOURCE -fPIC -fstack-clash-protection -Isrc'
	local file layer3='' name
	for file in $(make -s print-FILES_1) $(make -s print-FILES_2) $(make -s print-FILES_3); do
		layer3+=" $(ls "$file".[cS])"
	done
	# shellcheck disable=SC2086
	"$1" $flags "$2" tests/fixtures/unwind_shared.c $layer3 "$(make -s print-FILES_10).c" -lpthread \
		-o "$BATS_FILE_TMPDIR/unwind_shared-$1$2"
	for name in unwind_nested unwind_random; do
		# shellcheck disable=SC2086  # lists of words
		"$1" $flags "$2" "tests/fixtures/$name.c" $layer3 -lpthread -o "$BATS_FILE_TMPDIR/$name-$1$2"
	done
}

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return
	build gcc -O0 && build gcc -O2 && build clang -O2
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
}

run_gdb() { # python program
	gdb -nx -batch -x tests/fixtures/unwind.py -ex "py $1" "$2" </dev/null 2>&1
}

# Both orders of the stacks, at the same time.
every_instruction() { # compiler level
	local program="$BATS_FILE_TMPDIR/unwind_nested-$1$2" below_ok=0 above_ok=0
	run_gdb 'nested("below")' "$program" >"$BATS_TEST_TMPDIR/below" &
	run_gdb 'nested("above")' "$program" || above_ok=1
	wait $! || below_ok=1
	cat "$BATS_TEST_TMPDIR/below"
	[ $above_ok = 0 ] && [ $below_ok = 0 ]
}

check_every_instruction() { # compiler level
	run -0 every_instruction "$@"
	echo "$output"
	printf '# %s\n' "${lines[@]}" >&3
	[[ $output == *"above: "*" 12 switches, 0 failures"* ]]
	[[ $output == *"below: "*" 12 switches, 0 failures"* ]]
}

check_random_stops() { # compiler level
	run -0 run_gdb "random_stops(${COSTEP_SEED:-$3}, 200)" "$BATS_FILE_TMPDIR/unwind_random-$1$2"
	echo "$output"
	printf '# %s\n' "${lines[@]}" >&3
	[[ $output == *": 200 stops, 0 failures;"* ]]
}

@test "every instruction of nested switches leads to main: gcc -O0" {
	check_every_instruction gcc -O0
}

@test "every instruction of nested switches leads to main: gcc -O2" {
	check_every_instruction gcc -O2
}

@test "every instruction of nested switches leads to main: clang -O2" {
	check_every_instruction clang -O2
}

@test "every instruction on shared stacks leads to main, or to co_resumer_is_copied_out: gcc -O2" {
	run -0 run_gdb 'shared()' "$BATS_FILE_TMPDIR/unwind_shared-gcc-O2"
	echo "$output"
	printf '# %s\n' "${lines[@]}" >&3
	[[ $output == *" 32 switches, 0 failures"* ]]
}

@test "at 200 random stops bt is what the program says it does: gcc -O0" {
	check_random_stops gcc -O0 1
}

@test "at 200 random stops bt is what the program says it does: gcc -O2" {
	check_random_stops gcc -O2 2
}

@test "at 200 random stops bt is what the program says it does: clang -O2" {
	check_random_stops clang -O2 3
}

@test "plain bt prints the chain without a complaint" {
	run -0 gdb -nx -batch -ex 'set width 0' -ex 'break body_c' -ex 'run above' -ex bt \
		"$BATS_FILE_TMPDIR/unwind_nested-gcc-O2"
	echo "$output"
	chain=$(echo "$output" | grep -oE '^#.*\b(body_[abc]|__morestack|co_resume|main)\b \(' | grep -oE '[a-z_]+ \($' | tr -d '(\n')
	[ "$chain" = "body_c __morestack co_resume body_b __morestack co_resume body_a __morestack co_resume main " ]
	[[ $output != *[Bb]acktrace\ stopped* ]]
	[[ $output != *orrupt* ]]
}
