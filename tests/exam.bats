#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make exam: its questions, and the answers that the library gives.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	unset MAKEFLAGS MFLAGS MAKELEVEL # we may be below `make test`
	make -s exam SEED=1 >/dev/null
	EXAM=$(make -s print-B)/lessons/exam
	export EXAM
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
}

# A model of resume and yield that knows nothing of the library: it reads the question.
model() {
	awk '
	/^(main|[ABC]):/ {
		name = substr($1, 1, length($1) - 1)
		sub(/^[^:]*: */, "")
		n[name] = split($0, steps, "; ")
		for (i = 1; i <= n[name]; i++) script[name, i] = steps[i]
		state[name] = "new"
	}
	function resume(me, whom) {
		if (state[whom] == "done") { out = out "EINVAL "; return }
		if (state[whom] == "running" || state[whom] == "normal") { out = out "EBUSY "; return }
		state[me] = "normal"
		go_on(whom)
		state[me] = "running"
	}
	function go_on(me,   words) {
		state[me] = "running"
		while (at[me] < n[me]) {
			split(script[me, ++at[me]], words, " ")
			if (words[1] == "say") out = out words[2] " "
			if (words[1] == "resume") resume(me, words[2])
			if (words[1] == "yield") { state[me] = "suspended"; return }
		}
		state[me] = "done"
	}
	END {
		go_on("main")
		sub(/ $/, "", out)
		print out
		print "A is " state["A"] ", B is " state["B"] ", C is " state["C"]
	}'
}

@test "100 questions: the library's answers are those of a model that reads the question" {
	for seed in $(seq 100); do
		diff <("$EXAM" "$seed" | model) <(timeout 10 "$EXAM" "$seed" key) || { echo "seed $seed"; return 1; }
	done
}

@test "nearly all answers differ, and mistakes of both kinds are among them" {
	for seed in $(seq 100); do "$EXAM" "$seed" key | sed 1q; done >"$BATS_TEST_TMPDIR/keys"
	[ "$(sort -u "$BATS_TEST_TMPDIR/keys" | wc -l)" -gt 90 ]
	[ "$(grep -c EBUSY "$BATS_TEST_TMPDIR/keys")" -gt 10 ]
	[ "$(grep -c EINVAL "$BATS_TEST_TMPDIR/keys")" -gt 10 ]
}

@test "without a number it says what to type" {
	for seed in "" x 7x; do
		run -2 --separate-stderr "$EXAM" "$seed"
		[[ $stderr == *"make exam SEED=7"* ]]
	done
}
