#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# How many instructions one switch takes. Valgrind counts exactly, so the
# number is the same on every machine and a single one more is seen.

LIMIT=28 # both control words saved and compared, neither loaded

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	command -v valgrind >/dev/null || skip "valgrind is missing; 'make deps test' installs it"
	build asm/coctx_swap_x86_64.S "$BATS_FILE_TMPDIR/pingpong"
	# The same with one instruction more, for the test of this test.
	sed 's/^\tmovq\t(%rsp), %rdx.*/&\n\tnop/' asm/coctx_swap_x86_64.S > "$BATS_FILE_TMPDIR/one_more.S"
	build "$BATS_FILE_TMPDIR/one_more.S" "$BATS_FILE_TMPDIR/one_more"
}

build() {
	"${CC:-gcc}" -O1 -g -D_GNU_SOURCE -Isrc -Iasm tests/fixtures/pingpong.c src/coctx.c "$1" -o "$2"
}

# in_swap PROGRAM ROUNDS [WORD]: instructions executed inside coctx_swap. What
# goes on behind the swap valgrind takes for a part of it, so the source file
# must be the right one too; and for a recursion, which it names coctx_swap'2.
in_swap() {
	local out=$BATS_TEST_TMPDIR/callgrind.out
	valgrind --quiet --tool=callgrind --callgrind-out-file="$out" "$@" >&2
	callgrind_annotate --auto=no --threshold=100 "$out" |
		awk '/\.S:coctx_swap/ { gsub(/,/, "", $1); n += $1 } END { print n + 0 }'
}

# per_swap PROGRAM [WORD]: the difference of two run lengths, so that what
# comes before and after counts for nothing. 2 swaps a round.
per_swap() {
	local few many
	few=$(in_swap "$1" 1000 "${@:2}")
	many=$(in_swap "$1" 3000 "${@:2}")
	echo "$1 ${*:2}: $few, $many" >&2
	[ $(((many - few) % 4000)) -eq 0 ]
	echo $(((many - few) / 4000))
}

@test "C10: a switch takes 28 instructions at most" {
	n=$(per_swap "$BATS_FILE_TMPDIR/pingpong")
	echo "instructions in one coctx_swap: $n"
	[ "$n" -gt 20 ]
	[ "$n" -le "$LIMIT" ]
}

@test "the count would notice a 29th instruction" {
	n=$(per_swap "$BATS_FILE_TMPDIR/pingpong")
	more=$(per_swap "$BATS_FILE_TMPDIR/one_more")
	echo "$n, with a nop $more"
	[ "$more" -eq $((n + 1)) ]
	[ "$more" -gt "$LIMIT" ]
}

@test "each control word is compared, and loaded only if it differs" {
	n=$(per_swap "$BATS_FILE_TMPDIR/pingpong")
	for word in mxcsr x87cw; do
		loaded=$(per_swap "$BATS_FILE_TMPDIR/pingpong" $word)
		echo "$word differs: $loaded"
		[ "$loaded" -eq $((n + 1)) ]
	done
}
