#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The experiments of lessons/questions: what they claim is so, by both compilers; they notice
# when it is not; they can be asked for, and answered.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	export MAKEFLAGS=-s
	read -ra programs <<<"$(make print-QUESTION_PROGRAMS)"
	make -j 2 "${programs[@]}" >/dev/null
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
}

value() {
	make "print-$1"
}

# Those that there must be: 37 beliefs and six questions.
all() {
	seq 37
	printf 'Q%d\n' 1 2 3 4 5 6
}

# At most 25 lines of 80 columns.
narrow() { # TEXT
	awk '
		{ gsub(/[\200-\277]/, "") }
		length > 80 { print FILENAME ": " $0; bad = 1 }
		END { if (NR > 25 || NR < 10) { print FILENAME ": " NR " lines"; bad = 1 } exit bad }' "$1"
}

# All, by this compiler. What the machine lacks is named in the end: in CI, that fails.
asks_all() { # CC
	run -0 make -j 2 "CC=$1" questions
	echo "$output"
	for n in $(all); do
		grep -qE "^$n +[^ ].* ok +[0-9]+\.[0-9] s$" <<<"$output"
	done
	[ "$(grep -cE ' (ok|FAILED) +[0-9.]+ s$' <<<"$output")" -eq 43 ]
	[[ $output == *"43 asked"*"all answered as the texts say" ]]
	for text in "$(make "CC=$1" print-B)"/lessons/questions/*.txt; do
		narrow "$text"
	done
	lacks=$(grep -h 'Not on this machine' "$(make "CC=$1" print-B)"/lessons/questions/*.txt) || true
	[ -z "$lacks" ] || skip "$lacks"
}

@test "every experiment's claim holds and fits on a screen, by gcc" {
	asks_all gcc
}

@test "every experiment's claim holds and fits on a screen, by clang" {
	asks_all clang
}

@test "an experiment fails if the machine does something else than it claims" {
	run -0 tests/question-mutants 1 8 10 25 36 Q3
	echo "$output"
	[[ $output == *"6 noticed" ]]
	for n in $(all); do # the others when somebody asks
		grep -qP "^$n\t" tests/question-mutants
	done
}

@test "what a machine lacks is named, and the rest is shown" {
	dir=$(value B)/lessons/questions
	run -0 strace -f -o /dev/null "$dir/q1-epoll-and-coroutines" --no-ask # whose child cannot be traced once more
	[[ $output == *"Not on this machine: ptrace"*"It is a)."* ]]
	mkdir "$BATS_TEST_TMPDIR/empty"
	PATH=$BATS_TEST_TMPDIR/empty run -0 "$dir/16-valgrind-complains" --no-ask
	[[ $output == *"Not on this machine: valgrind"*"It would be b)."* ]]
}

@test "an experiment that crashes by mistake says so" {
	sed 's/^char experiment(void)$/&\n{ return *(volatile char *)8; }\nchar old(void);\nchar old(void)/' \
		lessons/questions/36-epoll-thinks.c >"$BATS_TEST_TMPDIR/crash.c"
	read -ra flags <<<"$(value CFLAGS) -Ilessons/questions"
	read -ra objects <<<"$(value QUESTION_OBJECTS)"
	gcc "${flags[@]}" "$BATS_TEST_TMPDIR/crash.c" "${objects[@]}" -o "$BATS_TEST_TMPDIR/crash" -lpthread -ldl
	run -1 "$BATS_TEST_TMPDIR/crash" --no-ask
	[[ $output == *"FAILED: expected: an end of the experiment; seen: signal 11"* ]]
	run -2 "$BATS_TEST_TMPDIR/crash" --ask
	[[ $output == "usage: "* ]]
}

@test "make question lists all, and runs the one that is named" {
	run -0 make question
	for n in $(all); do
		grep -qE "^  $n +[^ ]" <<<"$output"
	done
	for name in 7 07; do
		run -0 make question "Q=$name"
		[[ $output == *"Question 7 (lesson 3). People believe:"* ]]
	done
	for name in Q4 q4; do
		run -0 make question "Q=$name"
		[[ $output == *"Question Q4 (lesson 10). Readers of libco ask:"* ]]
	done
}

@test "a question that there is not is refused with those that there are" {
	for name in 99 Q7 0 x '1 2' '%'; do
		run -2 make question "Q=$name"
		echo "$output"
		[[ $output == *"there is no question "*"; there are: Q1 "*" 37"* ]]
	done
	run -2 make VARIANT=asan questions
	[[ $output == *"VARIANT=debug or VARIANT=release"* ]]
}

@test "a prediction is asked for at a terminal, and compared" {
	asked() { printf '%b' "$1" | script -qec 'make question Q=4' /dev/null | tr -d '\r'; }
	run -0 asked 'b\n'
	[[ $output == *"Your prediction (a to c; Enter to go on without one): "*"It is b), as you said."* ]]
	run -0 asked 'no idea\nd\nC\n' # what is no answer is asked for again
	[[ $output == *"It is b). You said c)."* ]]
	run -0 asked '\n'
	[[ $output == *"It is b)."* ]]
}

@test "the table, and the lessons' lines, say what the programs say" {
	run -0 lessons/questions/list --check
	[ -z "$output" ]
	cp -r lessons "$BATS_TEST_TMPDIR/"
	cd "$BATS_TEST_TMPDIR" || return 1
	sed -i 's/^\t\.result = "/&perhaps, /' lessons/questions/04-alignment.c
	sed -i '/^Experiments of this lesson/s/, \[36\][^ ]*//' lessons/06-epoll/README.md
	run -1 lessons/questions/list --check
	[[ $output == *"lessons/questions/README.md: not what the programs say"* ]]
	[[ $output == *"lessons/06-epoll/README.md: not what"* ]]
	[[ $output != *"05-timers"* ]]
	lessons/questions/list --write
	run -0 lessons/questions/list --check
}
