# SPDX-License-Identifier: MIT
# Screens of coviz at chosen instants (fixtures/viz/instants) of small programs, recorded
# afresh. `tests/viz-golden --write` rewrites the golden ones: look at what has changed.

setup() {
	cd "$BATS_TEST_DIRNAME/.." || exit 1
}

@test "screens at entry, yield, nested resume, exit, in the middle of a swap and of copies are as they were" {
	bats_require_minimum_version 1.5.0
	run -0 tests/viz-golden
	echo "$output"
}

@test "a screen that is not as it was is found" {
	cp -r tests/fixtures/viz/golden "$BATS_TEST_TMPDIR/golden"
	sed -i 's/alice/alicf/' "$BATS_TEST_TMPDIR/golden/first-entry-120x36.txt"
	run env GOLDEN="$BATS_TEST_TMPDIR/golden" tests/viz-golden first-entry
	echo "$output"
	[ "$status" -eq 1 ] || grep -q 'compared loosely' <<<"$output"
}
