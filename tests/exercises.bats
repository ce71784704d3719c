#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # $ is for make
# Exercises: what is cut out builds, fails and does not hang; ours has all points; and the
# check gives none for anything else.
#
# In a copy of the tree: work/ in this one may be somebody's work.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	unset MAKEFLAGS MFLAGS MAKELEVEL
	local objects variant list='$(sort $(foreach n,$(EXERCISES),$(call stage,$(n)) $(addprefix $(B)/tests/unit/,'
	list+='$(addsuffix .o,regs_$(ARCH) $(if $(filter asan,$(VARIANT)),$(CHECK_$(n)),$(PLAIN_$(n)))))))'
	export COPY=$BATS_FILE_TMPDIR/tree
	mkdir "$COPY"
	cp -r .ci Makefile asm src lessons tests "$COPY/"
	# Objects are made here, where others use them, too, and copied with their times.
	for variant in asan debug; do
		read -ra objects <<<"$(make -s VARIANT=$variant "LIST=$list" print-LIST)"
		make -s -j 2 VARIANT=$variant "${objects[@]}" >"$BATS_FILE_TMPDIR/log" 2>&1 || { cat "$BATS_FILE_TMPDIR/log"; return 1; }
		cp --parents -p "${objects[@]}" "${objects[@]/%.o/.d}" "$(make -s VARIANT=$variant print-B)/how" "$COPY/" || return 1
	done
	find "$COPY" -not -path '*/build/*' -type f -exec touch -d '2000-01-01' {} +
	export SEED=20261126
}

setup() {
	cd "$COPY" || return 1
	unset MAKEFLAGS MFLAGS MAKELEVEL
	rm -rf work
}

value() {
	make -s "print-$1"
}

source_of() { # N
	local file
	file=$(value "EXERCISE_$1")
	ls "$file".[cS]
}

# Put our solution into work/, changed by SED.
solve() { # N SED...
	local source
	source=$(source_of "$1")
	shift
	mkdir -p work
	grep -vE '^/\* (BEGIN|END) SOLUTION' "$source" | sed "$@" >"work/${source##*/}"
	# The change has changed something.
	[ "$2" = '' ] || ! diff -q <(grep -vE '^/\* (BEGIN|END) SOLUTION' "$source") "work/${source##*/}" >&2
}

# Words of the line that says how many points there are: "3 of 9".
points() {
	sed -nE 's/^lesson [0-9]+: .* has ([0-9]+ of [0-9]+) points$/\1/p' <<<"$output"
}

is_full() {
	local p
	p=$(points)
	[ -n "$p" ] && [ "${p% of *}" = "${p#* of }" ] && [ "${p% of *}" -gt 0 ]
}

@test "every stub builds without a warning, has no points, and does not hang" {
	for n in $(value EXERCISES); do
		make -s "exercise$n"
		run timeout 60 make -s "check$n"
		echo "$output"
		[ "$status" -eq 2 ]
		[[ $output != *warning* ]]
		[[ $(points) == "0 of "* ]]
		[[ $output != *"to its end in"* ]]
		[ "$(grep -c '^  FAILED' <<<"$output")" = "$(value "FIRST_$n" | wc -w)" ]
	done
}

@test "every solution has all points" {
	for n in $(value EXERCISES); do
		solve "$n" -e ''
		start=$SECONDS
		run -0 timeout 300 make -s "check$n"
		echo "$output"
		is_full
		echo "# check$n: $(points) points, $((SECONDS - start)) s" >&3
	done
}

# Lines with their blanks taken together, without comments.
plain_lines() {
	sed -E 's,/\*.*\*/,,; s/[`]//g; s/[[:space:]]+/ /g; s/^ //; s/ $//'
}

# Does no hint give a line of the solution away? Lines as short as `return NULL;` are nobody's.
check_hints() { # HINTS SOURCE
	local line bad=0 hints
	hints=$(plain_lines <"$1" | tr '\n' ' ')
	while IFS= read -r line; do
		[ ${#line} -ge 16 ] || continue
		[[ $hints != *"$line"* ]] || { echo "$1 says: $line"; bad=1; }
	done < <(lessons/exercise solution 0 none "${2%.*}" | grep -v '^---' | plain_lines)
	return $bad
}

@test "each exercise has three hints, and none is a line of the solution" {
	for n in $(value EXERCISES); do
		hints=lessons/$(value "NAME_$n")/hints.md
		[ "$(grep '^## ' "$hints" | tr '\n' ' ')" = '## 1 ## 2 ## 3 ' ]
		check_hints "$hints" "$(source_of "$n")"
		for k in 1 2 3; do
			run -0 make -s "hint$n" "K=$k"
			[ ${#output} -gt 100 ]
			[[ $output != *"## "* ]]
		done
	done
	make -s hint3 K=3 >with; make -s hint3 >without
	! cmp -s with without
	diff <(make -s hint3 K=1) without
	# One that does is found.
	sed '/^- `co_suspend`/a Say `me->blocked_at = blocked_at;` there.' lessons/03-coroutine/hints.md >hints
	run -1 check_hints hints src/coroutine.c
}

@test "another correct solution has all points, too" {
	make -s exercise5 >/dev/null
	awk -v other=tests/fixtures/exercises/skew_heap.c '
		/^\/\* One tree of two/ { while ((getline line < other) > 0) print line; skip = 1 }
		/^const struct co_timer_kind/ { skip = 0 }
		!skip' work/timer_heap.c >heap && mv heap work/timer_heap.c
	grep -q 'merge(' work/timer_heap.c
	run -0 make -s check5
	echo "$output"
	is_full
}

# --- no points for nothing ----------------------------------------------------------

@test "printing what a solution would print earns nothing" {
	make -s exercise3 >/dev/null
	{
		echo 'static void print_all(void)'
		sed 's/["\\]/\\&/g; s/^/\tputs("/; s/$/");/; 1i {' lessons/03-coroutine/expected.txt
		echo '}'
	} >print
	sed -i -e 's/#include <errno.h>/&\n#include <stdio.h>/' -e '/#include "env.h"/rprint' \
		-e '/^int co_resume/,/^}/s/return -1;/print_all(); return 0;/' work/coroutine.c
	run make -s check3
	echo "$output"
	[ "$status" -eq 2 ]
	[[ $(points) == "0 of "* ]]
	[[ $output != *"does not build"* ]]
}

# Exercise 2, with BODY for coctx_make, and FUNCTION beside it.
check2() { # BODY [FUNCTION]
	make -s exercise2 >/dev/null
	body=$1 function_=${2:-} awk '/^#include <stddef.h>/ { print "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>" }
		/^void coctx_make/ { print ENVIRON["function_"] }
		/Your code/ { print ENVIRON["body"]; next } { print }' work/coctx.c >c && mv c work/coctx.c
	run timeout 60 make -s check2
	echo "$output"
	[ "$status" -ne 0 ] && [ "$status" -ne 124 ]
	[[ $output != *"does not build"* ]] && ! is_full
}

@test "leaving in the middle earns nothing, whatever the status" {
	tap='puts("1..11\nok 1 - an execution starts\nto_and_fro: done\nhas 11 of 11 points");'
	for body in "exit(0);" "_exit(0);" "$tap _exit(0);" 'puts("skip me"); exit(77);' "quick_exit(0);"; do
		check2 "$body"
		[[ $(points) != [1-9]* ]]
		rm -rf work
	done
	# Before main.
	check2 '' "__attribute__((constructor)) static void first(void) { $tap _exit(0); }"
	[[ $output == *"before main"* ]]
	rm -rf work
	# As if it were not for this machine.
	solve 2 -e '/stmxcsr/s/.*/\tif (fegetround() != 0) { puts("skip it"); exit(77); }/' \
		-e 's/#include <stddef.h>/&\n#include <fenv.h>\n#include <stdio.h>\n#include <stdlib.h>/'
	run -2 make -s check2
	echo "$output"
	[ "$(points)" = "9 of 11" ]
	rm -rf work
	check2 '' '__attribute__((constructor)) static void first(void) { puts("to_and_fro works"); fflush(stdout); _exit(0); }'
}

@test "without end, or without end printing, costs the time limit" {
	export LIMIT=1
	check2 'for (;;) ;'
	[[ $output == *"has not come to its end in 1 s"* ]]
	rm -rf work
	check2 'for (;;) puts("ok 1 - an execution starts with rsp % 16 == 8, and nothing above");'
	[[ $(points) == "0 of "* ]]
}

# --- points for parts ---------------------------------------------------------------

@test "a part that is missing costs the cases that need it, and no others" {
	solve 2 -e '/stmxcsr/d'
	run -2 make -s check2
	echo "$output"
	[ "$(grep -c '^  FAILED' <<<"$output")" = 2 ]
	[[ $output == *"FAILED  makers_fp"*"FAILED  rounding"* ]]
	[ "$(points)" = "9 of 11" ]
}

@test "a crash and a hang cost their own cases only" {
	# any_top is the one with tops that are not multiples of 16, chain_end asks for a link.
	solve 2 -e 's/^{$/{\n\tif ((uintptr_t)stack_top % 16 != 0)\n\t\tfor (;;) ;/'
	LIMIT=2 run -2 make -s check2
	echo "$output"
	[[ $output == *"FAILED  any_top"*"has not come to its end in 2 s"* ]]
	[ "$(points)" = "10 of 11" ]
	solve 2 -e 's/^{$/{\n\tif ((uintptr_t)stack_top % 16 != 0)\n\t\t*(volatile int *)16 = 0;/'
	run -2 make -s check2
	echo "$output"
	[[ $output == *"FAILED  any_top"*"ended by signal 11"* ]]
	[ "$(points)" = "10 of 11" ]
}

@test "three that hang, and the rest of their program is not run" {
	solve 2 -e 's/^{$/{\n\tfor (;;) ;/'
	cp lessons/exercise.mk before.mk
	sed -i 's,^FIRST_2 .*,FIRST_2 := t_context/swap_to_nobody,' lessons/exercise.mk # which makes no context
	LIMIT=1 run make -s check2
	mv before.mk lessons/exercise.mk
	echo "$output"
	[ "$status" -eq 2 ]
	[ "$(grep -c 'has not come to its end in 1 s' <<<"$output")" -le 4 ] # two run at a time
	[[ $output == *"cases were not run: three of their program had not come to their end"* ]]
	[[ $output == *"  ok      swap_to_nobody"* ]]
}

@test "memory errors cost points where plain tests see nothing" {
	solve 2 -e 's/^{$/{\n\tstatic char ten[10];\n\t((volatile char *)ten)[(uintptr_t)stack_top % 2 + 10] = 1;/'
	run -2 make -s check2
	echo "$output"
	[[ $output == *"work/coctx.c:"*"insufficient space for an object"* || $output == *"AddressSanitizer: global-buffer-overflow"* ]]
	solve 2 -e 's/^{$/{\n\t*(volatile char *)malloc(10) = 1;/' -e 's/#include <stddef.h>/&\n#include <stdlib.h>/'
	run -2 make -s check2
	echo "$output"
	! is_full
	[[ $output == *"LeakSanitizer: detected memory leaks"* ]]
}

@test "what does not build has no points, and the compiler says why" {
	solve 2 -e 's/^{$/{ no such thing/'
	run -2 make -s check2
	echo "$output"
	[[ $output == *"work/coctx.c:"*error:*"work/coctx.c does not build"*"0 points"* ]]
	run make -s check2 JSON=1
	[ "$status" -eq 2 ]
}

@test "JSON has each case, and nothing else is on stdout" {
	solve 2 -e '/stmxcsr/d' -e 's/^{$/{\n\tputs("caf\\xe9 \\xff \\"quoted\\" \\\\ \\x01\\t\\x1b[1m");/' -e 's/#include <stddef.h>/&\n#include <stdio.h>/'
	run -1 lessons/check 2 --json
	make check2 JSON=1 2>/dev/null >json || true
	python3 - json <<-'END'
		import json, sys
		r = json.load(open(sys.argv[1], encoding="utf-8"))
		assert r["score"] == sum(t["score"] for t in r["tests"]) == 9, r["score"]
		assert r["extra_data"]["max_score"] == sum(t["max_score"] for t in r["tests"]) == 11
		assert r["extra_data"]["seed"] == 20261126
		failed = {t["name"]: t["output"] for t in r["tests"] if t["status"] == "failed"}
		assert set(failed) == {"t_context makers_fp", "t_context rounding"}, failed
		assert "mxcsr" in failed["t_context makers_fp"] and '"quoted" \\' in failed["t_context makers_fp"], failed
	END
	# What was not run, and what does not build.
	rm -rf work
	make -s exercise2 >/dev/null
	lessons/check 2 --json 2>/dev/null | python3 -c 'import json, sys; r = json.load(sys.stdin); assert r["score"] == 0 and len(r["tests"]) == 11'
	solve 2 -e 's/^{$/{ no/'
	lessons/check 2 --json 2>/dev/null | python3 -c 'import json, sys; r = json.load(sys.stdin); assert r["score"] == 0 and "does not build" in r["output"]'
}

# --- work/ --------------------------------------------------------------------------

@test "work that is there is never overwritten" {
	run -0 make -s exercise2
	[[ $output == *"make check2"*"make hint2"* ]]
	echo 'my work' >work/coctx.c
	run -0 make -s exercise2
	echo "$output"
	[[ $output == "work/coctx.c is there already, and stays as it is. To start afresh: mv work/coctx.c work/coctx.c.old; make exercise2" ]]
	[ "$(cat work/coctx.c)" = 'my work' ]
	mv work/coctx.c work/coctx.c.old
	make -s exercise2
	grep -q 'Your code' work/coctx.c
	rm work/coctx.c
	ln -s nowhere work/coctx.c # of whatever kind
	run -0 make -s exercise2
	[[ $output == *"stays as it is"* ]]
	[ -L work/coctx.c ] && [ ! -e nowhere ] && [ ! -e work/nowhere ]
	[ "$(find work -name '.new*')" = '' ]
}

@test "a work/ that cannot be written to is said so" {
	touch work # (root may write into any directory)
	run -2 make -s exercise2
	echo "$output"
	[[ $output == *"exercise 2: cannot write to work/ in "* ]]
	rm work
}

@test "what is asked for wrongly gets one line that says what there is" {
	for target in exercise check hint diff solution; do
		run -2 make -s "${target}12"
		[[ $output == *"lesson 12 has no exercise; there are: 1 2 3 4 5 6 7 8 9 10 11"* ]]
	done
	for k in 0 4 x -1; do
		run -2 make -s hint2 "K=$k"
		[[ $output == *"K=$k is no hint; there are K=1 (a question), K=2 (an idea) and K=3 (almost the answer)"* ]]
	done
	for target in check2 diff2; do
		run -2 make -s $target
		[[ $output == *"there is no work/coctx."*"'make exercise2' makes it"* ]]
	done
	make -s exercise2 >/dev/null
	run -2 make -s check2 SEED=x
	[[ $output == *"SEED=x is no number"* ]]
	run -2 make -s check2 LIMIT=0
	[[ $output == *"LIMIT=0 is no number of seconds"* ]]
	run -2 make -s check2 CC=clang
	[[ $output == *"tested with gcc, not with clang"* ]]
	run -2 lessons/check 99
	[[ $output == *'there is no exercise "99"'* ]]
	run -2 lessons/check
	[[ $output == *"usage: lessons/check N"* ]]
}

@test "what a check needs is asked for, and no more" {
	mkdir bin
	printf '#!/bin/sh\ncase "$*" in *g++* | *libunwind-dev* | *valgrind*) exit 1 ;; esac; echo "install ok installed"\n' >bin/dpkg-query
	chmod +x bin/dpkg-query
	solve 3 -e ''
	PATH=$PWD/bin:$PATH run -2 make -s check3
	[[ $output == *"missing packages: g++ libunwind-dev"*"'make deps check3' installs them"* ]]
	[ "$(make -s print-GROUPS MAKECMDGOALS='deps check3')" = 'lesson debug check' ]
	solve 2 -e ''
	PATH=$PWD/bin:$PATH run -0 make -s check2
	is_full
}

@test "on a terminal one sees which case runs; elsewhere only what became of them" {
	solve 1 -e ''
	run -0 script -qec 'make -s check1' /dev/null
	[[ $output == *$'\r  case 1 of 9: '*"case 9 of 9"*"has 9 of 9 points"* ]]
	run -0 make -s check1
	[[ $output != *"case 1 of 9"* ]]
}

@test "diff and solution show ours" {
	make -s exercise5 >/dev/null
	run -0 make -s diff5
	[[ $output == *"--- a/mine/timer_heap.c"*"+++ b/solution/timer_heap.c"*"-	/* Your code. */"*"+	b->in_heap.prev = a;"* ]]
	[[ $output != *SOLUTION* ]]
	run -0 make -s solution5
	[[ $output == "--- src/timer_heap.c:"*"static struct co_timer *meld("*"heap_take_due"* ]]
	[[ $output != *SOLUTION* && $output != *heap_close* ]]
	solve 5 -e ''
	run -0 make -s diff5
	[ "$output" = "work/timer_heap.c is the solution" ]
}

@test "the cut leaves what is not in the marks, and the heads of what is" {
	for n in $(value EXERCISES); do
		source=$(source_of "$n")
		[ "$(grep -c '^/\* BEGIN SOLUTION \*/$' "$source")" = "$(grep -c '^/\* END SOLUTION \*/$' "$source")" ]
		lessons/exercise cut "$source" >stub
		# Nothing is added but placeholders.
		added=$(diff <(grep -v SOLUTION "$source") stub | grep '^>' | sort -u)
		! grep -vE '^> 	(/\* Your code\. \*/|return (-1|NULL|false);|ud2)$' <<<"$added" || false
		[ "$(grep -c 'Your code' stub)" = "$(awk '/^\/\* BEGIN S/ { i = 1 } /^\/\* END S/ { i = 0 } i && /^(\{|\t\.cfi_startproc)/ { n++ } END { print n }' "$source")" ]
	done
}

@test "Ctrl-C ends a check at once, and leaves nothing behind" {
	solve 2 -e 's/^{$/{\n\tfor (;;) ;/'
	mkdir tmp
	TMPDIR=$PWD/tmp env --default-signal=INT setsid make -s check2 >log 2>&1 3>&- &
	pid=$!
	for _ in $(seq 300); do
		pgrep -s "$pid" -f -- --case >/dev/null && break
		sleep 0.1
	done
	pgrep -s "$pid" -f -- --case >/dev/null
	kill -INT -- "-$pid"
	wait "$pid" || true
	cat log
	for _ in $(seq 50); do
		pgrep -s "$pid" >/dev/null || break
		sleep 0.1
	done
	! pgrep -s "$pid" -a || false
	[ -z "$(ls tmp)" ]
}
