#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The hooks as a program meets them: how it is compiled and linked, and what the
# linker or the program says when that was wrong.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	unset MAKEFLAGS MFLAGS MAKELEVEL # we may be below `make test`
	export TREE=$BATS_FILE_TMPDIR/tree
	make -s install PREFIX="$TREE"
	export PKG_CONFIG_PATH=$TREE/lib/pkgconfig
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	program=$BATS_TEST_TMPDIR/plain
	include=$TREE/include/costep
	hooks=$TREE/lib/costep/costep_hooks.o
	archive=$TREE/lib/libcostep.a
}

# build FLAG...: the fixture with these flags, hooks and the archive
build() {
	gcc -D_GNU_SOURCE -I"$include" "$@" tests/fixtures/hooks/plain.c "$hooks" "$archive" -lpthread -ldl -o "$program"
}

# Which of the entry points that compilers substitute does the program ask for?
substitutes() {
	gcc -D_GNU_SOURCE -I"$include" "$@" -c tests/fixtures/hooks/plain.c -o "$program.o"
	nm -u "$program.o" | grep -o '__[a-z]*_chk' | sort | tr '\n' ' '
}

@test "F04: fortified calls are hooked" {
	names=$(substitutes -O2 -D_FORTIFY_SOURCE=2)
	echo "the compiler calls $names"
	[[ $names == *"__poll_chk __ppoll_chk __read_chk __recv_chk __recvfrom_chk"* ]]
	build -O2 -D_FORTIFY_SOURCE=2
	run -0 "$program"
	[ "$output" = "done" ]
}

@test "F04: and an overflow still ends the program" {
	build -O2 -D_FORTIFY_SOURCE=2
	run -134 "$program" overflow
	[[ $output == *"buffer overflow detected"* ]]
}

@test "F03: with -D_FILE_OFFSET_BITS=64 the user's O_NONBLOCK is seen too" {
	names=$(substitutes -O2 -D_FORTIFY_SOURCE=2 -D_FILE_OFFSET_BITS=64)
	nm -u "$program.o" | grep -q fcntl64
	build -O2 -D_FORTIFY_SOURCE=2 -D_FILE_OFFSET_BITS=64
	run -0 "$program"
	[ "$output" = "done" ]
}

@test "PIE or not, --as-needed, sections thrown away, link-time optimization: they are hooked" {
	for flags in "-fPIE -pie" "-fno-pie -no-pie" "-Wl,--as-needed" "-ffunction-sections -Wl,--gc-sections" \
		"-O2 -flto" "-O3" "-O0"; do
		echo "$flags"
		# shellcheck disable=SC2086 # words on purpose
		build $flags
		run -0 "$program"
		[ "$output" = "done" ]
	done
}

@test "with the shared library it is the same" {
	gcc -D_GNU_SOURCE -I"$include" tests/fixtures/hooks/plain.c "$hooks" -L"$TREE/lib" -lcostep \
		-Wl,-rpath,"$TREE/lib" -o "$program"
	readelf -d "$program" | grep -q 'NEEDED.*libcostep.so'
	run -0 "$program"
	[ "$output" = "done" ]
}

@test "as C++ too" {
	g++ -x c++ -std=c++17 -D_GNU_SOURCE -I"$include" tests/fixtures/hooks/plain.c -x none "$hooks" "$archive" \
		-lpthread -ldl -o "$program"
	run -0 "$program"
	[ "$output" = "done" ]
}

@test "pkg-config knows where the hooks are" {
	command -v pkg-config >/dev/null || skip "pkg-config is missing; 'make deps test' installs it"
	[ "$(pkg-config --variable=hooks costep)" = "$hooks" ]
	# shellcheck disable=SC2046 # words on purpose
	gcc -D_GNU_SOURCE $(pkg-config --cflags costep) tests/fixtures/hooks/plain.c "$(pkg-config --variable=hooks costep)" \
		$(pkg-config --static --libs costep) -Wl,-rpath,"$TREE/lib" -o "$program"
	run -0 "$program"
	[ "$output" = "done" ]
}

@test "F16: forgetting the hooks is an error when linking, which names the function" {
	for library in "$archive" "-L$TREE/lib -lcostep"; do
		# shellcheck disable=SC2086 # words on purpose
		run -1 gcc -D_GNU_SOURCE -I"$include" tests/fixtures/hooks/plain.c $library -lpthread -ldl -o "$program"
		[[ $output == *"undefined reference to"*"co_enable_hook_sys"* ]]
	done
}

@test "F15: in a static program the first hooked call says in words what is wrong" {
	gcc -static -x c - -o "$program.static" <<<'int main(void) { return 0; }' ||
		skip "no static C library"
	build -static
	run -134 "$program"
	[[ $output == *"need the C library as a shared one"* ]]
}

@test "the object shows libc's names and its own five, and no others" {
	shown=$(nm -g --defined-only "$hooks" | awk '{ print $3 }' | sort)
	expected=$({ sed -nE 's/HOOK\(([a-z0-9_]+)\)/\1\n/gp' src/hook_names.h | grep -oE '^ ?[a-z0-9_]+$' | tr -d ' '
		printf '%s\n' co_enable_hook_sys co_disable_hook_sys co_is_enable_sys_hook co_set_env_list \
			co_accept _Z9co_acceptiP8sockaddrPj; } | sort)
	diff <(echo "$expected") <(echo "$shown")
}
