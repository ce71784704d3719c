#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs in libco's style: they build unchanged with src/compat's headers, and do what
# their .txt says.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	unset MAKEFLAGS MFLAGS MAKELEVEL # we may be below `make test`
	make -s lib
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	warnings=(-Wall -Wextra -Wshadow -Werror)
	static=(build/costep_hooks.o build/libcostep.a -lpthread -ldl)
}

# Each program as each standard, two at a time. Says what does not compile.
compiles() { # COMPILER
	local std f
	for std in c++11 c++14 c++17 c++20 gnu++11; do
		for f in tests/compat/*.cpp; do echo "-std=$std $f"; done
	done | xargs -P 2 -L 1 "$1" "${warnings[@]}" -Isrc/compat -fsyntax-only
}

# build PROGRAM COMMAND...: compiled and linked by that command
build() {
	local name=$1
	shift
	"$1" "${warnings[@]}" -Isrc/compat "tests/compat/$name.cpp" "${@:2}" -o "$BATS_TEST_TMPDIR/$name"
}

# It runs and prints what it should.
says_what_it_should() { # PROGRAM
	run -0 timeout 60 "$BATS_TEST_TMPDIR/$1"
	diff <(echo "$output") "tests/compat/$1.txt"
}

all_programs() {
	local f
	for f in tests/compat/*.cpp; do
		basename "$f" .cpp
	done
}

@test "each program compiles as C++11 to C++20 by gcc, without a warning" {
	run -0 compiles g++
}

@test "each program compiles as C++11 to C++20 by clang, without a warning" {
	run -0 compiles clang++
}

@test "A17, F06, F07: each program, C++11 by gcc with the archive, prints what it should" {
	for name in $(all_programs); do
		echo "$name"
		build "$name" g++ -std=c++11 -O0 "${static[@]}"
		says_what_it_should "$name"
	done
}

@test "each program, C++20 by clang with the shared library, prints what it should" {
	export LD_LIBRARY_PATH=$PWD/build
	for name in $(all_programs); do
		echo "$name"
		build "$name" clang++ -std=c++20 -O2 build/costep_hooks.o build/libcostep.so
		says_what_it_should "$name"
	done
}

@test "E11, E12: a coroutine's variables are freed with it, says valgrind" {
	build specific g++ -std=c++11 -g "${static[@]}"
	run -0 valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite,possible --error-exitcode=9 \
		"$BATS_TEST_TMPDIR/specific"
}

@test "closures are freed with what they have captured, says valgrind" {
	build closure g++ -std=c++11 -g "${static[@]}"
	run -0 valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite,possible --error-exitcode=9 \
		"$BATS_TEST_TMPDIR/closure"
}

@test "a program that forgets the hooks does not link" {
	run build echo g++ -std=c++11 build/libcostep.a -lpthread -ldl
	[ "$status" -ne 0 ]
	[[ $output == *"undefined reference to"*co_enable_hook_sys* ]]
	[[ $output == *"undefined reference to"*co_accept* ]]
}

@test "the macros of our own headers are for C++, too" {
	cat >"$BATS_TEST_TMPDIR/own.cpp" <<-'END'
		#include <costep.h>
		#include <stdio.h>
		struct counters { int reads; };
		static void begin(struct counters *c) { c->reads = 41; }
		CO_ROUTINE_SPECIFIC(struct counters, mine);
		CO_ROUTINE_SPECIFIC_WITH(struct counters, begun, begin, NULL);
		CO_CLOSURE(add, (const int, n), (struct counters *, to)) { self->to->reads += self->n; return self->to; }
		int main()
		{
			mine()->reads++;
			co_closure_run_once(add_new(1, begun()));
			printf("%d %d\n", mine()->reads, begun()->reads);
		}
	END
	for cxx in "g++ -std=c++17" "clang++ -std=c++20"; do
		$cxx -Wall -Wextra -Werror -pedantic-errors -Isrc "$BATS_TEST_TMPDIR/own.cpp" "${static[@]:1}" -o "$BATS_TEST_TMPDIR/own"
		run -0 "$BATS_TEST_TMPDIR/own"
		[ "$output" = "1 42" ]
	done
}

@test "libco's helpers for closures are there when asked for, and else not" {
	for cxx in g++ clang++; do
		build names $cxx -std=c++11 -DCO_COMPAT_HELPERS "${static[@]}"
		run -0 "$BATS_TEST_TMPDIR/names"
		echo '#include "co_closure.h"
			int repeat(int); int repeat(int x) { return x; }' |
			$cxx -std=c++11 -Isrc/compat -fsyntax-only -x c++ -
	done
}

# shellcheck disable=SC2046 # pkg-config prints words
@test "against the installed tree, pkg-config says where the headers are" {
	tree=$BATS_TEST_TMPDIR/usr
	make -s install PREFIX="$tree"
	export PKG_CONFIG_PATH=$tree/lib/pkgconfig LD_LIBRARY_PATH=$tree/lib
	for header in src/compat/*.h; do
		cmp "$header" "$tree/include/costep/compat/${header##*/}"
	done
	g++ -I"$(pkg-config --variable=compat costep)" tests/compat/specific.cpp "$(pkg-config --variable=hooks costep)" \
		$(pkg-config --libs costep) -o "$BATS_TEST_TMPDIR/specific"
	says_what_it_should specific
}
