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
	cat >"$text" <<-'END'
		```c src=src/loop.c
		int no_such_line;
		```

		```sh run
		echo one; rm README.md
		```

		```text
		two
		```

		[x](no/such/file)

		`int main(void);`, `no_such;` <!-- lines of tests/fixtures/hello.c -->
	END
	run tests/textcheck "$text"
	rm -f "$text"
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"do not stand in src/loop.c"* ]]
	[[ $output == *"print something else"* ]]
	[[ $output == *"leave changes behind"* ]]
	[[ $output == *"leads nowhere"* ]]
	[[ $output == *"not a line of tests/fixtures/hello.c: no_such;"* ]]
}

# problems_of TEXT: what textcheck finds in it, in $output
problems_of() {
	local text
	text=$(mktemp -p . --suffix=.md)
	cat >"$text"
	run tests/textcheck --no-run "$text"
	rm -f "$text"
	echo "$output"
}

@test "a measured number without the command that prints it is found out" {
	problems_of <<-'END'
		A switch costs 12 ns.

		It wakes up 900 times a
		second. That is 3 % of a processor.

		| | |
		|---|---|
		| memory | 1.5 GiB |
	END
	[ "$status" -eq 1 ]
	[[ $output == *'.md:1: "12 ns" was measured'* ]]
	[[ $output == *'.md:3: "900 times a'* ]]
	[[ $output == *'.md:4: "3 %"'* ]]
	[[ $output == *'.md:8: "1.5 GiB"'* ]]
	[[ $output == *"4 problems" ]]
	problems_of <<<"It costs 12 ns. <!-- measured: build/debug-gcc-O0/tests/t_no_such_test -->"
	[[ $output == *"there is no build/debug-gcc-O0/tests/t_no_such_test"* ]]
}

@test "numbers with a source, settings, guesses and what a block prints are let alone" {
	problems_of <<-'END'
		A switch costs 12 ns, says `make bench-viz`, a sleep 50 µs more (prctl(2)).

		A guard has 64 KiB, a timeout is 500 ms, a processor is at 100 %. Does it cost 12 ns, or
		more?

		**Predict:** it costs 12 ns.

		- It costs 13 ns.
		<!-- measured: build/debug-gcc-O0/tests/t_unwind --tap -->

		| 14 MB |
		<!-- known: libco at dc6aafc -->

		```sh run
		echo 15
		```

		```text
		15
		```

		That were 15 ns.
	END
	[ "$status" -eq 0 ]
}

@test "a command of make's that there is not is found out, wherever it stands" {
	problems_of <<-'END'
		Type `make lesson3`, `make -j2 deps test VARIANT=asan`, `make lessonN`, or `make build/coviz`.

		    make deps demo && make lib        # and make anything

		One can make sense of it: `make` alone, `make's way`.

		Or `make lesson3 lessen4; echo`.

		    make lib test     builds what there is
		    cd there && make instal
		    WHY=1 make breakage >out.txt

		```sh run
		make -C dir demonstration | grep x
		```

		<!-- measured: make benchmarks -->
	END
	[ "$status" -eq 1 ]
	[[ $output == *":7: make has no target lessen4"* ]]
	[[ $output == *":10: make has no target instal"* ]]
	[[ $output == *":11: make has no target breakage"* ]]
	[[ $output == *":14: make has no target demonstration"* ]]
	[[ $output == *":17: make has no target benchmarks"* ]]
	[[ $output == *"5 problems" ]]
}

@test "each lesson prints what its expected.txt says" {
	for n in $(make -s print-LESSONS); do
		run -0 make --no-print-directory "lesson$n"
		echo "$output"
	done
}
