#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Mistakes on purpose: each is caught by the test that it names, its demo does what is
# said of it, and who looks for it is not told.
# shellcheck disable=SC2030,SC2031 # each test is a process

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
}

value() {
	make -s "print-$1"
}

# scratch SYMPTOM DEMO: a folder with a lesson that has one mutant, and that for a demo
scratch() {
	local dir=$BATS_TEST_TMPDIR/scratch
	mkdir -p "$dir/lessons/09-nine/mutants"
	cp lessons/mutant "$dir/lessons/"
	printf 'one\n~  took 5 ms\n' >"$dir/lessons/09-nine/expected.txt"
	printf '%s\n' "Mistake: it is" "   long." "Symptom: $1" "Killed-by: t_nine case" "" "--- a/src/x.c" "+++ b/src/x.c" \
		>"$dir/lessons/09-nine/mutants/3-what-it-is.patch"
	printf '#!/bin/sh\n%s\n' "$2" >"$dir/demo"
	chmod +x "$dir/demo"
	cd "$dir" || return 1
}

# asked ID: as tests/mutants wants it
asked() {
	local patch
	patch=$(echo lessons/"$(printf %02d "${1%-*}")"-*/mutants/"${1#*-}"-*.patch)
	echo "$1:${1%-*}:none:$patch"
}

# --- all of them --------------------------------------------------------------------------

@test "every lesson has at least four mutants, the last one two, each of one hunk in one file of it" {
	read -ra lessons < <(value LESSONS)
	mapfile -t names < <(make -s "${lessons[@]/#/print-NAME_}")
	mapfile -t files < <(make -s "${lessons[@]/#/print-FILES_}")
	files[9 - 1]+=" src/slab src/stack src/overflow" # it is about the stacks that lesson 3 brings
	for n in "${lessons[@]}"; do
		name=${names[n - 1]} i=0 few=4
		[ "$n" -lt 12 ] || few=2
		while read -r patch; do
			i=$((i + 1))
			echo "$patch"
			[[ $patch == "lessons/$name/mutants/$i-"* ]]
			[ "$(grep -cE '^@@|^\+\+\+ ' "$patch")" -eq 2 ]
			[ "$(sed -nE 's/^(Mistake|Met|Symptom|Killed-by): [^ ].*/\1/p' "$patch" | xargs)" = "Mistake Met Symptom Killed-by" ]
			file=$(sed -n 's|^+++ b/||p' "$patch")
			[[ " ${files[n - 1]} " == *" ${file%.*} "* ]]
		done < <(find "lessons/$name/mutants" -name '*.patch' | sort -t/ -k4n)
		[ $i -ge $few ]
	done
}

@test "the tests catch every mutant, each at a place of its own" {
	run make -s mutants
	echo "$output"
	[ "$status" -eq 0 ]
	n=$(find lessons -name '[0-9]*.patch' | wc -l)
	[[ $output == *"mutants: $n/$n killed" ]]
	[ "$(grep -cE '^lesson [0-9]+ mutant [0-9]+ [a-z0-9-]+: killed by t_' <<<"$output")" -eq "$n" ]
}

@test "every mutant's demo does what its patch says" {
	run make -s symptoms
	echo "$output"
	[ "$status" -eq 0 ]
}

# --- what is wrong with a mutant is said -----------------------------------------------------

# changed ID KILLER: the patch of mutant ID as one that names another killer
changed() {
	local patch=$BATS_TEST_TMPDIR/${1#*-}-changed.patch
	sed "s/^Killed-by:.*/Killed-by: $2/" "lessons/0${1%-*}-"*"/mutants/${1#*-}-"*.patch >"$patch"
	echo "$1:${1%-*}:${2%% *}:$patch"
}

# Are these killed? "changed" has made them.
killed() {
	B=$(value B) run tests/mutants killed "$@"
	echo "$output"
	[ "$status" -eq 1 ]
}

@test "a mutant that survives the test it names is told, with those that it does not survive" {
	killed "$(changed 2-1 "t_context untouched")"
	[[ $output == *"SURVIVES t_context untouched"*"t_context alignment"*"0/1 killed" ]]
}

@test "a mutant that names a case which there is not is told" {
	killed "$(changed 2-1 "t_context alignments")"
	[[ $output == *"names a case that t_context has not"*"0/1 killed" ]]
}

@test "a mutant that is to hang a test, and does not, is not killed" {
	killed "$(changed 2-1 "t_context alignment, hang")"
	[[ $output == *"SURVIVES t_context alignment"*"0/1 killed" ]]
}

@test "two mutants of a lesson that die at one place are told" {
	killed "$(changed 1-1 "t_swap callee_saved")" "$(changed 1-4 "t_swap callee_saved")"
	[[ $output == *"die at the same place"*"lesson 1: tests/unit/t_swap.c:"*"2/2 killed" ]]
}

@test "a patch that does not apply any more is named, with what to do" {
	patch=lessons/04-scheduler/mutants/1-no-snapshot.patch
	sed 's/loop->stats.turns++/loop->turns++/' src/loop.c >"$BATS_TEST_TMPDIR/loop.c"
	run -1 lessons/mutant patch "$patch" "$BATS_TEST_TMPDIR/loop.c" "$BATS_TEST_TMPDIR/out.c"
	[[ $output == *"$patch no longer applies"*"diff -U1"* ]]
	[ ! -e "$BATS_TEST_TMPDIR/out.c" ]
	lessons/mutant patch "$patch" src/loop.c "$BATS_TEST_TMPDIR/out.c"
	[ -s "$BATS_TEST_TMPDIR/out.c" ]
}

@test "each kind of symptom is seen when it is there, and missed when it is not" {
	right='echo one; echo "~  took 70 ms"'
	while IFS='|' read -r symptom demo wrong; do
		echo "Symptom: $symptom; demo: $demo; or: $wrong"
		scratch "$symptom, words" "$demo"
		lessons/mutant symptom 09-nine 3 ./demo
		cd - >/dev/null
		scratch "$symptom, words" "$wrong"
		run -1 lessons/mutant symptom 09-nine 3 ./demo
		[[ $output == *"its Symptom says: $symptom"* ]]
		cd - >/dev/null
	done <<-END
		none|$right|$right; echo two
		none|$right|$right; exit 2
		signal 11|$right; kill -11 \$\$|$right
		signal 1|$right; kill -1 \$\$|$right; kill -11 \$\$
		status 2|$right; exit 2|$right
		line "two"|$right; echo two|$right; echo two ones
		no line "one"|echo two ones|$right
	END
	scratch hang "$right; exec sleep 1000"
	lessons/mutant symptom 09-nine 3 ./demo
}

# --- for who looks -----------------------------------------------------------------------------

@test "make breakN M= runs the demo and says how it ended, not why; the tree stays as it is" {
	before=$(cat src/* asm/* 2>/dev/null | cksum)
	run -0 make break3 M=2
	[[ $output == *"resume one that is done"*"lesson 3, mutant 2: it was ended by signal 11 (SIGSEGV)"*"break3 M=2 GDB=1"* ]]
	[[ $output != *Mistake* && $output != *yield-in-main* ]]
	run -0 make -s break2 M=4
	[[ $output == *"it ran to its end. But"*"+   bytes written to the new stack: 8"* ]]
	run -0 make -s break3 M=5
	[[ $output == *"printed what it should. A mistake is in there"* ]]
	[ "$(cat src/* asm/* 2>/dev/null | cksum)" = "$before" ]
}

@test "a demo that does not end is stopped, and that is said" {
	scratch hang 'echo one; exec sleep 1000'
	COSTEP_MUTANT_SECONDS=1 run -0 lessons/mutant run 09-nine 3 ./demo
	[[ $output == one*"it had not ended after 1 seconds, and was stopped"* ]]
}

@test "make breakN alone lists symptoms, WHY=1 tells the mistake" {
	run -0 make -s break4
	[[ $output == *"M=1 "*"does not end"*"M=2 "*"prints  \"     turn 1: C2 B2 A2\""*"M=5 "*"prints what it should"* ]]
	while read -r line; do
		[[ $output != *"$line"* ]]
	done < <(sed -n 's/^Mistake: //p; s/^Met: //p' lessons/04-scheduler/mutants/*.patch)
	[[ $output != *memory* ]] # the words behind "none:"
	run -0 make -s break4 M=2 WHY=1
	[[ $output == "Mistake: "*"Killed-by: "*"@@"* ]]
}

@test "a mutant that there is not is refused with those that there are" {
	for how in "" GDB=1 VIZ=1 WHY=1; do
		run -2 make break3 M=9 $how
		[[ $output == *"lesson 3 has no mutant M=9; there are: 1 2 3 4 5"* ]]
	done
	run -2 make break3 M='2 3'
	[[ $output == *"there are: 1 2 3 4 5"* ]]
	run -2 make break99
	[[ $output == *"there is no lesson 99"* ]]
	run -2 make mutants L=99
	[[ $output == *"there is no lesson L=99"* ]]
}

@test "GDB=1 and VIZ=1 look at the demo with the mistake in it" {
	COSTEP_GDB_BATCH=1 run -0 make -s break3 M=2 GDB=1
	[[ $output == *SIGSEGV*"mutants/3-2/src/coroutine.c"*"co_yield_ct"*"clumsy"* ]]
	COSTEP_VIZ_BATCH=1 run -0 make -s break3 M=2 VIZ=1
	[[ $output == *"recording show_mistakes() of demo"*"The demo has ended: killed by SIGSEGV."*SIGSEGV* ]]
}

@test "from a call of the library, step goes on to what does its work" {
	demo=$(value B)/mutants/11-2/demo
	make -s "$demo"
	for skips in "" lessons/skips.gdb; do
		run -0 gdb -nx -q -batch -iex "set auto-load safe-path /" -ex "set debuginfod enabled off" ${skips:+-ex "source $skips"} \
			-ex "break co_mutex_lock" -ex run -ex next -ex next -ex step -ex "frame" "$demo"
		echo "$output"
		[ -z "$skips" ] || [[ ${lines[*]: -4} == *"lock_until ("* ]]
		[ -n "$skips" ] || [[ ${lines[*]: -4} != *"#0  lock_until ("* ]]
	done
}

@test "the recording has the mistake in it, and says whether the demo would have gone on" {
	make -s build/coviz "$(value B)"/mutants/{3-2,11-2}/demo
	B=$(value B) run -0 tests/mutants recordings "$(asked 3-2)" "$(asked 11-2)"
	[[ $output == *"recordings of 2/2"* ]]
	# by the lesson's own options it is not there
	sed '/^Record:/d' lessons/11-sync/mutants/2-*.patch >"$BATS_TEST_TMPDIR/2-changed.patch"
	scratch none :
	mkdir -p lessons/11-sync/mutants
	cp "$BATS_TEST_TMPDIR/2-changed.patch" lessons/11-sync/mutants/
	cp "$OLDPWD/lessons/11-sync/viz.txt" lessons/11-sync/
	ln -s "$OLDPWD"/{src,build} .
	run -1 lessons/mutant recorded 11-sync 2 "$(make -s -C "$OLDPWD" print-B)/mutants/11-2/demo" build/coviz
	[[ $output == *"no recorded instruction is of it"* ]]
	COSTEP_VIZ_BATCH=1 run -0 lessons/mutant viz 11-sync 2 "$(make -s -C "$OLDPWD" print-B)/mutants/11-2/demo" build/coviz
	[[ $output == *"ended by its limit, 120 switches recorded: the demo would have gone on"* ]]
}
