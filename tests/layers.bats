#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A layer knows those below it and nothing else. lessons/stages.mk says which;
# the linker and nm say whether it is true.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	make -s lib
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	learn
}

# What make knows, asked once for each tree: value NAME, in the folder of that tree.
learn() {
	local keys=(LESSONS HOOKS CC) n line i=0
	for n in $(make -s print-LESSONS); do keys+=("FILES_$n" "NEEDS_$n"); done
	unset known
	declare -gA known
	while IFS= read -r line; do known[${keys[i++]}]=$line; done < <(make -s "${keys[@]/#/print-}")
	[ "$i" -eq ${#keys[@]} ]
}

value() {
	echo "${known[$1]}"
}

# The release objects of lesson N's own files, and of those it may know.
own() {
	local f
	for f in $(value "FILES_$1"); do echo "build/release-$(value CC)-O2/$f.o"; done
}

below() {
	local n
	for n in $(value "NEEDS_$1"); do own "$n"; done
}

# Names that an object asks for, and that it gives to others.
asks() { nm -u "$@" | awk 'NF == 2 { print $2 }' | sed 's/@.*//' | sort -u; }
gives() { nm -g --defined-only "$@" | awk 'NF == 3 { print $3 }' | sort -u; }

# check_layers DIR: each lesson's files link with those that they need alone,
# and name nothing that a later lesson defines.
check_layers() (
	cd "$1" || exit 1
	learn
	bad=0
	for n in $(value LESSONS); do
		# shellcheck disable=SC2046 # words on purpose
		$(value CC) -shared -Wl,--no-undefined $(below "$n") $(own "$n") -lpthread -ldl -o "$BATS_TEST_TMPDIR/stage.so" || {
			echo "lesson $n does not link with lessons $(value "NEEDS_$n") alone"
			bad=1
		}
		for m in $(value LESSONS); do
			[[ " $(value "NEEDS_$n") $n " == *" $m "* ]] && continue
			# shellcheck disable=SC2046
			common=$(comm -12 <(asks $(own "$n")) <(gives $(own "$m")))
			[ -z "$common" ] || { echo "lesson $n refers to lesson $m: $common"; bad=1; }
		done
	done
	exit $bad
)

# check_headers DIR: no file of a lesson includes a header of one above it.
check_headers() (
	cd "$1" || exit 1
	learn
	bad=0
	for n in $(value LESSONS); do
		for f in $(value "FILES_$n"); do
			for header in $(sed -nE 's/^#include "([^"]+)\.h".*/\1/p' "$f.h" "$f.c" 2>/dev/null | sort -u); do
				for m in $(value LESSONS); do
					[[ " $(value "FILES_$m") " == *" src/$header "* ]] || continue
					[[ " $(value "NEEDS_$n") $n " == *" $m "* ]] && continue
					echo "$f of lesson $n includes $header.h of lesson $m"
					bad=1
				done
			done
		done
	done
	exit $bad
)

# A copy of what is needed to build, in which a mistake can be planted.
copy_tree() {
	mkdir "$BATS_TEST_TMPDIR/copy"
	cp -r Makefile asm src lessons "$BATS_TEST_TMPDIR/copy/"
	echo "$BATS_TEST_TMPDIR/copy"
}

@test "each layer links with those it needs alone, and refers to no later one" {
	run -0 check_layers .
}

@test "no header of a layer includes one of a later layer" {
	run -0 check_headers .
}

@test "a planted reference to a later layer is found" {
	copy=$(copy_tree)
	sed -i '/^int co_resume/i int co_reschedule(void);\nint planted(void);\nint planted(void) { return co_reschedule(); }' \
		"$copy/src/coroutine.c"
	make -s -C "$copy" lib
	run -1 check_layers "$copy"
	[[ $output == *"lesson 3 refers to lesson 4: co_reschedule"* ]]
	[[ $output == *"lesson 3 does not link"* ]]
}

@test "a planted include of a later layer's header is found" {
	copy=$(copy_tree)
	sed -i 's/#include "env.h"/&\n#include "loop.h"/' "$copy/src/coroutine.c"
	run -1 check_headers "$copy"
	[[ $output == *"src/coroutine of lesson 3 includes loop.h of lesson 4"* ]]
}

@test "the library has no weak symbols" {
	# In an archive a weak default wins silently over the real function.
	# A function of the dynamic linker's that is asked for weakly is fine.
	run -0 nm build/libcostep.a
	! grep -E '^[0-9a-f]+ [WwVv] ' <<<"$output"
}

@test "the core calls no function that the hooks replace" {
	names=$(grep -oE 'HOOK\([a-z0-9_]+\)' src/hook_names.h | sed -E 's/HOOK\((.*)\)/\1/' | grep -vx name | sort -u)
	[ "$(wc -w <<<"$names")" -gt 30 ]
	objects=$(for n in $(value LESSONS); do [ "$n" = "$(value HOOKS)" ] || own "$n"; done)
	# shellcheck disable=SC2086
	[[ $(asks $objects) == *mmap* ]] # they are there, and nm reads them
	# shellcheck disable=SC2086
	common=$(comm -12 <(asks $objects) <(echo "$names"))
	echo "called: $common"
	[ -z "$common" ]
}

@test "the hooks use public functions of the library only, and show the listed names" {
	run -0 nm -u build/costep_hooks.o
	asked=$(awk '$2 ~ /^co_/ { print $2 }' <<<"$output" | sort -u)
	[ "$(wc -w <<<"$asked")" -gt 8 ]
	public=$(nm -D --defined-only build/libcostep.so | awk '{ print $3 }' | sort -u)
	hidden=$(comm -23 <(echo "$asked") <(echo "$public"))
	echo "not public: $hidden"
	[ -z "$hidden" ]

	names=$(grep -oE 'HOOK\([a-z0-9_]+\)' src/hook_names.h | sed -E 's/HOOK\((.*)\)/\1/' | grep -vx name | sort -u)
	shown=$(nm -g --defined-only build/costep_hooks.o | awk '{ print $3 }' | sort -u)
	diff <(echo "$shown") <(printf '%s\n' "$names" co_enable_hook_sys co_disable_hook_sys co_is_enable_sys_hook co_set_env_list \
		co_accept _Z9co_acceptiP8sockaddrPj | sort -u)
}

@test "every source file belongs to exactly one lesson" {
	for f in src/*.c; do
		n=0
		for lesson in $(value LESSONS); do
			[[ " $(value "FILES_$lesson") " == *" ${f%.c} "* ]] && n=$((n + 1))
		done
		echo "$f: $n"
		[ $n = 1 ]
	done
}
