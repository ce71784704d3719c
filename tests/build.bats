#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # $ is for other shells
# What the Makefile promises: targets, the installed tree, messages.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	make -s lib
	export TREE=$BATS_FILE_TMPDIR/tree
	make -s install PREFIX="$TREE/usr"
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
}

value() {
	make -s "print-$1"
}

# A directory with the tools of this machine, but without those named.
path_without() {
	local dir=$BATS_TEST_TMPDIR/bin tool where
	mkdir -p "$dir"
	for where in /usr/local/bin /usr/bin /bin; do
		for tool in "$where"/*; do
			[ -e "$dir/${tool##*/}" ] || ln -s "$tool" "$dir/${tool##*/}"
		done
	done
	for tool; do rm -f "$dir/$tool"; done
	echo "$dir"
}

# --- targets ------------------------------------------------------------------------

@test "make help names every target that is not a file" {
	run -0 make -s help
	help=$output
	targets=$(make -pnq 2>/dev/null | sed -nE 's/^\.PHONY: *(.*)/\1/p' | tr ' ' '\n' |
		grep -v '[$]' | sort -u) # not the templates
	[ "$(wc -w <<<"$targets")" -gt 8 ]
	for target in $targets; do
		name=$(sed -E 's/[0-9]+$/N/' <<<"$target")
		echo "target $target, in the help as $name"
		grep -qE "^  make $name +[^ ]" <<<"$help"
	done
}

@test "an unknown variant is refused with the four that there are" {
	run -2 make VARIANT=fast lib
	[[ $output == *"VARIANT=fast is unknown; choose debug, release, asan or tsan"* ]]
}

@test "a lesson that there is not is refused with those that there are" {
	for target in lesson99 gdb99 test99; do
		run -2 make "$target"
		[[ $output == *"there is no lesson 99; there are: $(value LESSONS)"* ]]
	done
}

@test "without a compiler, make says which and what installs it" {
	cp -r .ci Makefile asm src lessons tests "$BATS_TEST_TMPDIR/"
	path=$(path_without gcc g++ clang)
	PATH=$path run -2 make -C "$BATS_TEST_TMPDIR" lesson1
	[[ $output == *"gcc is missing; 'make deps lesson1' installs"* ]]
	PATH=$path run -2 make -C "$BATS_TEST_TMPDIR" CC=clang lesson1
	[[ $output == *"clang is missing; 'make deps test' installs"* ]]
	PATH=$path run -2 make -C "$BATS_TEST_TMPDIR" "$(value B)/tests/unit/t_exception.o"
	[[ $output == *"g++ is missing; 'make deps test' installs"* ]]
}

@test "without bats, tests say which command installs it" {
	path=$(path_without bats)
	t=$(value B)/tests/$(value UNIT | tr ' ' '\n' | grep -m 1 t_stack)
	make -s "$t"
	PATH=$path run -1 tests/run "$t"
	[[ $output == *"bats is missing"*"make deps test"* ]]
}

@test "without shellcheck, lint says which command installs it" {
	PATH=$(path_without shellcheck) run -1 tests/lint
	[[ $output == *"shellcheck is missing"*"make deps lint"* ]]
}

@test "without gdb, make gdbN says which package is missing" {
	path=$(path_without gdb)
	PATH=$path run make -s gdb1
	[ "$status" -ne 0 ]
	[[ $output == *gdb*"make deps"* ]]
}

@test "packages that tests need and that are missing are named before anything is built" {
	mkdir -p "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\ncase "$*" in *libunwind-dev*) exit 1 ;; esac; echo "install ok installed"\n' \
		>"$BATS_TEST_TMPDIR/bin/dpkg-query"
	chmod +x "$BATS_TEST_TMPDIR/bin/dpkg-query"
	run env PATH="$BATS_TEST_TMPDIR/bin:$PATH" make -s unit CC=gcc OPT=-O1
	echo "$output"
	[ "$status" -ne 0 ]
	[[ $output == *"missing packages: libunwind-dev"*"make deps unit"* ]]
	[[ $output != *CC* ]]
}

@test "a lesson's target without its number asks for it" {
	for target in lesson viz gdb exercise check hint diff solution break; do
		run -2 make -s $target
		[[ $output == *"of which lesson? make ${target}3"* ]]
	done
}

@test "the unit tests of a lesson want no servers and no second compiler" {
	mkdir -p "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\ncase "$*" in *postgresql* | *clang* | *perl*) exit 1 ;; esac; echo "install ok installed"\n' \
		>"$BATS_TEST_TMPDIR/bin/dpkg-query"
	chmod +x "$BATS_TEST_TMPDIR/bin/dpkg-query"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH run ! make -s test1 CC=gcc OPT=-O1
	echo "$output"
	[[ $output == *"missing packages: perl"*"make deps test1"* ]]
	[[ $output != *postgresql* && $output != *clang* ]]
	[ "$(make -s print-GROUPS MAKECMDGOALS='deps test1')" = 'lesson debug check unit' ]
	[ "$(make -s print-GROUPS MAKECMDGOALS='deps test')" = 'lesson debug check unit test' ]
	[ "$(make -s print-GROUPS MAKECMDGOALS=deps FOR=test)" = 'lesson debug check unit test' ] # and no test is run
}

@test "make deps with nothing missing is silent" {
	groups=$(make -s print-GROUPS MAKECMDGOALS='deps test') # said, not made
	[[ $groups == *test* ]]
	for group in $groups; do
		for package in $(awk -v g="$group" '!/^#/ && $2 == g { print $1 }' .ci/packages); do
			dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
				skip "$package is missing here"
		done
	done
	# shellcheck disable=SC2086 # words on purpose
	run -0 .ci/deps $groups
	[ -z "$output" ]
}

# What .ci/deps calls, as scripts that only say that they were called: on a machine
# with no package, whose apt-get is COMMANDS.
bare_machine() { # COMMANDS
	local tool bin=$BATS_TEST_TMPDIR/bin
	mkdir -p "$bin"
	for tool in "dpkg-query:exit 1" "id:echo 0" "update-rc.d:echo \"update-rc.d \$*\"" "apt-get:echo \"apt-get \$*\"
case \$* in *install*) ;; *) exit 0 ;; esac
$1"; do
		printf '#!/bin/sh\n%s\n' "${tool#*:}" >"$bin/${tool%%:*}"
		chmod +x "$bin/${tool%%:*}"
	done
	export PATH=$bin:$PATH POLICY_RC_D=$BATS_TEST_TMPDIR/policy-rc.d INIT_D=$BATS_TEST_TMPDIR/init.d
}

@test "make deps installs servers without starting them, now or at boot" {
	bare_machine '"$POLICY_RC_D"; echo "may start: $?"'
	run -0 .ci/deps test
	echo "$output"
	[[ $output == *"may start: 101"*"update-rc.d redis-server disable"*"update-rc.d postgresql disable"* ]]
	[ ! -e "$POLICY_RC_D" ]
}

@test "make deps asks no questions, as root or by sudo, which drops the environment" {
	bare_machine 'echo "frontend: $DEBIAN_FRONTEND"'
	run -0 .ci/deps lesson
	echo "$output"
	[[ $output == *"frontend: noninteractive"* ]]
	bin=$BATS_TEST_TMPDIR/bin
	printf '#!/bin/sh\necho 1000\n' >"$bin/id"
	printf '#!/bin/sh\nexec env -i PATH="$PATH" "$@"\n' >"$bin/sudo"
	chmod +x "$bin/sudo"
	run -0 .ci/deps lesson
	echo "$output"
	[[ $output == *"frontend: noninteractive"* ]]
}

@test "make deps leaves a machine's own policy alone, and servers that were here" {
	bare_machine '"$POLICY_RC_D"; echo "may start: $?"'
	printf '#!/bin/sh\nexit 7\n' >"$POLICY_RC_D"
	chmod +x "$POLICY_RC_D"
	mkdir "$INIT_D"
	touch "$INIT_D/postgresql"
	before=$(cat "$POLICY_RC_D")
	run -0 .ci/deps test
	echo "$output"
	[[ $output == *"may start: 7"*"update-rc.d redis-server disable"* ]]
	[[ $output != *"update-rc.d postgresql"* ]]
	[ "$(cat "$POLICY_RC_D")" = "$before" ]
}

@test "make deps that fails or is interrupted leaves no policy behind" {
	bare_machine 'exit 3'
	run -3 .ci/deps test
	[ ! -e "$POLICY_RC_D" ]
	for signal in INT TERM; do
		bare_machine "test -x \"\$POLICY_RC_D\" && kill -$signal \$PPID"
		run .ci/deps test
		echo "$signal: $status"
		[ "$status" -gt 128 ]
		[ ! -e "$POLICY_RC_D" ]
	done
	bare_machine 'test -x "$POLICY_RC_D" && kill -KILL $PPID'
	run .ci/deps test
	[ -e "$POLICY_RC_D" ] # then the next run takes it for its own
	bare_machine '"$POLICY_RC_D"; echo "may start: $?"'
	run -0 .ci/deps test
	[[ $output == *"may start: 101"* ]]
	[ ! -e "$POLICY_RC_D" ]
}

@test "below make -j, tests keep make's variables but not its job slots" {
	cat >"$BATS_TEST_TMPDIR/t_flags" <<-'END'
		#!/bin/sh
		echo 1..1
		echo "ok 1 - flags '$MAKEFLAGS' '${MFLAGS-}'"
		case $MAKEFLAGS in *job* | *-j*) exit 1 ;; *VARIANT=release*) exit 0 ;; *) exit 1 ;; esac
	END
	chmod +x "$BATS_TEST_TMPDIR/t_flags"
	for slots in --jobserver-auth=3,4 --jobserver-auth=fifo:/tmp/GMfifo1 --jobserver-fds=3,4; do
		MAKEFLAGS=" -j2 $slots -- VARIANT=release" MFLAGS="-j2 $slots" run -0 tests/run "$BATS_TEST_TMPDIR/t_flags"
		MAKEFLAGS="s -j $slots -- VARIANT=release" run -0 tests/run "$BATS_TEST_TMPDIR/t_flags"
	done
}

@test "a build from nothing takes no network and no warning" {
	cp -r Makefile asm src lessons "$BATS_TEST_TMPDIR/"
	start=$(date +%s%N)
	run -0 make -C "$BATS_TEST_TMPDIR" -j 2 lib
	echo "# the library from nothing: $((($(date +%s%N) - start) / 1000000)) ms" >&3
	[[ $output != *warning* ]]
}

@test "objects are made again when other flags make them, and else not" {
	cp -r Makefile asm src lessons "$BATS_TEST_TMPDIR/"
	objects="$(value B)/src/coctx.o $(value B)/src/stack.o"
	compiled() { # shellcheck disable=SC2086 # words on purpose
		make -C "$BATS_TEST_TMPDIR" "$@" $objects | grep -c '^  CC'
	}
	[ "$(compiled)" = 2 ]
	[ "$(compiled)" = 0 ]
	[ "$(compiled EXTRA="-DWORDS='two words'")" = 2 ]
	[ "$(compiled EXTRA="-DWORDS='two words'")" = 0 ]
	[ "$(compiled)" = 2 ]
}

@test "a compiler of two words does" {
	cp -r Makefile asm src lessons "$BATS_TEST_TMPDIR/"
	run -0 make -C "$BATS_TEST_TMPDIR" CC="env gcc" lesson1
	[[ $output == *"as expected"* ]]
}

# --- the installed tree ----------------------------------------------------------------

flags() {
	PKG_CONFIG_PATH=$TREE/usr/lib/pkgconfig pkg-config "$@" costep
}

write_c() {
	cat >"$BATS_TEST_TMPDIR/user.c" <<-'END'
		#include <costep.h>
		#include <stdio.h>
		static void *count(void *arg) { for (int i = 0; i < 3; i++) { printf("%d\n", i); co_yield_ct(); } return arg; }
		int main(void)
		{
			struct co *co;
			if (co_create(&co, NULL, count, NULL) != 0) return 1;
			while (co_status(co) != CO_DONE) co_resume(co);
			return co_release(co);
		}
	END
}

write_cxx() {
	cat >"$BATS_TEST_TMPDIR/user.cpp" <<-'END'
		#include <costep.h>
		#include <iostream>
		static void *count(void *arg) { for (int i = 0; i < 3; i++) { std::cout << i << std::endl; co_yield_to(co_self()); } return arg; }
		int main()
		{
			struct co *co;
			if (co_create(&co, nullptr, count, nullptr) != 0) return 1;
			while (co_status(co) != CO_DONE) co_resume(co);
			return co_release(co);
		}
	END
}

# shellcheck disable=SC2046 # pkg-config prints words
@test "a C program builds with pkg-config against the installed tree and runs" {
	write_c
	for cc in gcc clang; do
		$cc -std=c11 -Wall -Werror "$BATS_TEST_TMPDIR/user.c" $(flags --cflags --libs) -o "$BATS_TEST_TMPDIR/shared"
		LD_LIBRARY_PATH=$TREE/usr/lib run -0 "$BATS_TEST_TMPDIR/shared"
		[ "$output" = $'0\n1\n2' ]
		readelf -d "$BATS_TEST_TMPDIR/shared" | grep -q 'NEEDED.*libcostep.so.0'
		$cc -std=c11 -Wall -Werror -static "$BATS_TEST_TMPDIR/user.c" $(flags --static --cflags --libs) \
			-o "$BATS_TEST_TMPDIR/static" 2>"$BATS_TEST_TMPDIR/log" || { cat "$BATS_TEST_TMPDIR/log"; false; }
		run -0 "$BATS_TEST_TMPDIR/static"
		[ "$output" = $'0\n1\n2' ]
	done
}

# shellcheck disable=SC2046
@test "a C++20 program builds with pkg-config against the installed tree and runs" {
	write_cxx
	for cxx in g++ clang++; do
		$cxx -std=c++20 -Wall -Werror "$BATS_TEST_TMPDIR/user.cpp" $(flags --cflags --libs) -o "$BATS_TEST_TMPDIR/shared"
		LD_LIBRARY_PATH=$TREE/usr/lib run -0 "$BATS_TEST_TMPDIR/shared"
		[ "$output" = $'0\n1\n2' ]
		$cxx -std=c++20 "$BATS_TEST_TMPDIR/user.cpp" $(flags --cflags) "$TREE/usr/lib/libcostep.a" -lpthread -ldl \
			-o "$BATS_TEST_TMPDIR/static"
		run -0 "$BATS_TEST_TMPDIR/static"
		[ "$output" = $'0\n1\n2' ]
	done
}

# shellcheck disable=SC2046
@test "a program that releases all it made loses nothing, possibly either, says valgrind" {
	cat >"$BATS_TEST_TMPDIR/sizes.c" <<-'END'
		#include <costep.h>
		static void *nothing(void *arg) { return arg; }
		int main(void)
		{
			for (int size = 1 << 14; size <= 8 << 20; size *= 2) {
				struct co *co[20];
				for (int i = 0; i < 20; i++)
					if (co_create(&co[i], &(struct co_attr){ .stack_size = size }, nothing, 0) || co_resume(co[i]))
						return 1;
				for (int i = 0; i < 20; i++)
					co_release(co[i]);
			}
			return co_eventloop(0, 0, 0);
		}
	END
	gcc -g "$BATS_TEST_TMPDIR/sizes.c" $(flags --cflags) "$TREE/usr/lib/libcostep.a" -o "$BATS_TEST_TMPDIR/sizes"
	run -0 valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite,possible --error-exitcode=9 \
		"$BATS_TEST_TMPDIR/sizes"
}

@test "DESTDIR stays out of what pkg-config says" {
	make -s install PREFIX=/opt/costep DESTDIR="$BATS_TEST_TMPDIR/pack"
	pc=$BATS_TEST_TMPDIR/pack/opt/costep/lib/pkgconfig/costep.pc
	grep -q '^prefix=/opt/costep$' "$pc"
	! grep -q "$BATS_TEST_TMPDIR" "$pc"
}

@test "installed headers include nothing that is not installed" {
	cd "$TREE/usr/include/costep"
	for header in $(sed -nE 's/^#include "([^"]+)".*/\1/p' ./*.h | sort -u); do
		echo "$header"
		[ -f "$header" ]
	done
}

# --- the binaries -----------------------------------------------------------------------

@test "C05: nothing that is linked asks for an executable stack" {
	files=(build/libcostep.so "$(value B)"/tests/t_*)
	for f in "${files[@]}" "$(value B)"/lessons/*/demo; do
		[ -f "$f" ] || continue
		echo "$f"
		readelf -lW "$f" | grep -E 'GNU_STACK.* RW +0x'
	done
}

# A program marked for shadow stacks would die at the first switch, which does not know them.
@test "C11: the switch takes the mark for shadow stacks off what it is linked with" {
	marked() { readelf -n "$1" | grep -o SHSTK || true; }
	cd "$BATS_TEST_TMPDIR"
	top=$BATS_TEST_DIRNAME/..
	gcc -D_GNU_SOURCE -I"$top/src" -fcf-protection=full -c "$top/src/coctx.c" -o coctx.o
	gcc -I"$top/asm" -c "$top/asm/coctx_swap_x86_64.S" -o swap.o
	# Without libc, whose files may not have it.
	ld -r coctx.o -o without.o
	ld -r coctx.o swap.o -o with.o
	[ "$(marked without.o)" = SHSTK ]
	[ -z "$(marked with.o)" ]
}

@test "the shared library exports the public functions and nothing else" {
	declared=$(for h in $(value PUBLIC_HEADERS); do
		# Names before a "(" that end a declaration, and the extern tables.
		gcc -E -P -Isrc "src/$h.h" | tr '\n' ' ' | sed 's/[;{}]/&\n/g' |
			grep -oE '\b(co|coctx)_[a-z_]+( *\([^()]*(\([^()]*\)[^()]*)*\) *;|;)' | sed -E 's/[ (;].*//'
	done | sort -u)
	exported=$(nm -D --defined-only build/libcostep.so | awk '{ print $3 }' | sort -u)
	echo "exported: $exported"
	! grep -vE '^(co|coctx)_' <<<"$exported" || false
	for name in $exported; do
		echo "exported: $name"
		grep -qx "$name" <<<"$declared"
	done
	for name in co_create co_resume co_yield co_release co_eventloop coctx_swap coctx_make co_debug_layout; do
		grep -qx "$name" <<<"$exported"
	done
}

@test "co_debug_layout says what the debug information says, for every field" {
	make -s "$(value B)/tests/t_stack"
	cat >"$BATS_TEST_TMPDIR/layout.py" <<-'END'
		import gdb
		kinds = {"coctx": "coctx", "list": "list", "stack": "co_stack", "stack_ops": "co_stack_ops", "co": "co", "env": "co_env"}
		inside = {"ctx": "exec.ctx", "stack": "exec.stack", "link": "exec.link"}
		table = gdb.parse_and_eval("co_debug_layout")
		n = int(table["n_fields"])
		wrong = 0
		for i in range(int(table["fields"].type.sizeof // table["fields"][0].type.sizeof)):
		    name = table["fields"][i]["name"].string()
		    if not name:
		        continue
		    found = (int(table["fields"][i]["offset"]), int(table["fields"][i]["size"]))
		    kind, field = name.split(".")
		    if kind == "sizeof":
		        expected = (0, gdb.lookup_type("struct " + kinds[field]).sizeof)
		    else:
		        path = inside.get(field, field) if kind == "co" else field
		        at = gdb.parse_and_eval("&((struct %s *)0)->%s" % (kinds[kind], path))
		        expected = (int(at), at.type.target().sizeof)
		    if found != expected:
		        print("WRONG", name, "table", found, "DWARF", expected)
		        wrong += 1
		    n -= 1
		for value, name in [(f.enumval, f.name) for f in gdb.lookup_type("enum co_state").fields()]:
		    if table["states"][value].string() != name[3:].lower():
		        print("WRONG", name)
		        wrong += 1
		print("fields not counted:", n, "wrong:", wrong)
	END
	run -0 gdb -nx -batch -x "$BATS_TEST_TMPDIR/layout.py" "$(value B)/tests/t_stack"
	[[ $output == *"fields not counted: 0 wrong: 0"* ]]
}

@test "everything compiles for files of any length, too" {
	# Then fcntl is fcntl64 by another name: defined twice, if one is not careful.
	for file in src/*.c; do
		"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -fPIC -Isrc -c "$file" -o "$BATS_TEST_TMPDIR/x.o"
	done
}
