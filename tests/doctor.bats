#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # $ is for other shells
# make doctor: what it says on machines that lack something. They are made of a PATH with
# few tools, and of commands that only say what such a machine's would.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	unset CC
	bin=$BATS_TEST_TMPDIR/bin proc=$BATS_TEST_TMPDIR/proc
	mkdir -p "$bin" "$proc/sys/vm" "$proc/sys/kernel/yama"
	local tool
	for tool in bash env awk sed grep sort uname mktemp rm df cat id getconf locale stty tput \
		chmod make gcc clang as ld dpkg-query; do
		ln -s "$(command -v "$tool")" "$bin/$tool"
	done
	instead gdb 'case $* in *version*) echo "GNU gdb (Debian 13.1-3) 13.1" ;; *) echo 42 ;; esac'
	echo 65530 >"$proc/sys/vm/max_map_count"
	echo core >"$proc/sys/kernel/core_pattern"
	echo 0 >"$proc/sys/kernel/yama/ptrace_scope"
}

doctor() {
	timeout 60 env PATH="$bin" COSTEP_DOCTOR_PROC="$proc" lessons/doctor
}

# instead TOOL COMMANDS: on this machine TOOL does that
instead() {
	rm -f "$bin/$1"
	printf '#!/bin/sh\n%s\n' "$2" >"$bin/$1"
	chmod +x "$bin/$1"
}

# A compiler whose program gives the kernel's answers: no to those named, yes to others.
kernel_without() { # QUESTION|QUESTION...
	instead gcc "while [ \$# -gt 0 ]; do [ \"\$1\" = -o ] && out=\$2; shift; done; [ -n \"\$out\" ] || { echo 12.2.0; exit; }
cat >\"\$out\" <<'END'
#!/bin/sh
[ -n \"\$1\" ] || exit 2
case \$1 in $1) echo 'Operation not permitted'; exit 1 ;; esac
END
chmod +x \"\$out\""
}

# says STATUS WHAT TEXT: in one line, with a cost and a repair if it is not ok
says() {
	grep -E "^$1 +$2 .*$3" <<<"$output" || return 1
	[ "$1" = ok ] || grep -E "^$1 +$2 .*: .*\. Repair: ." <<<"$output"
}

@test "this machine can run every lesson, and make doctor is that script" {
	run -0 make -s doctor
	echo "$output"
	! grep -vE '^(ok|missing|unknown) |^every lesson can run here' <<<"$output" || return 1
	says ok compiler gcc
	says ok ptrace .
}

@test "without a compiler: that is needed, and the kernel is not asked" {
	rm "$bin/gcc"
	run -1 doctor
	echo "$output"
	says needed compiler "there is no gcc"
	[[ $output == *"Repair: make deps"* && $output == *"not every lesson can run here"* ]]
	grep -E '^unknown +kernel' <<<"$output"
	rm "$bin/clang"
	CC=no-such-cc run -1 doctor
	says needed compiler "there is no no-such-cc"
	says missing clang "not there"
}

@test "a compiler without a C library's headers; an old one" {
	instead gcc 'case $1 in -dump*) echo 9.4.0; exit ;; esac; echo "x.c:11:10: fatal error: stdio.h: No such file" >&2; exit 1'
	run -1 doctor
	echo "$output"
	says needed "C library" "stdio.h: No such file"
	says missing compiler "gcc 9.4.0"
}

@test "without make: the repair is not a command of make's" {
	rm "$bin/make"
	run -1 doctor
	echo "$output"
	says needed make "not there"
	[[ $output != *"Repair: make"* && $output == *"apt-get install"* ]]
}

@test "without gdb, with an old one, with one that has no Python: every lesson can run" {
	rm "$bin/gdb"
	run -0 doctor
	says missing gdb "not there"
	instead gdb 'echo "GNU gdb (Debian 10.1-1.7) 10.1"'
	run -0 doctor
	says missing gdb 10.1
	instead gdb 'case $* in *version*) echo "GNU gdb (Debian 13.1-3) 13.1" ;; *) echo "Python scripting is not supported" ;; esac'
	run -0 doctor
	echo "$output"
	says missing gdb "without Python"
}

@test "a kernel or container that refuses: each refusal is said with its cost" {
	kernel_without 'pwait2|guard|nowait|no-aslr|ptrace'
	run -0 doctor
	echo "$output"
	for what in epoll_pwait2 guards RWF_NOWAIT ptrace; do says missing $what "Operation not permitted"; done
	[[ $output == *"SYS_PTRACE"* ]]
	kernel_without 'no-aslr|debug-registers'
	run -0 doctor
	says ok ptrace .
	says missing breakpoints "Operation not permitted"
	says missing addresses "Operation not permitted"
	kernel_without epoll
	run -1 doctor
	says needed epoll "Operation not permitted"
}

@test "where a compiled program may not run, that is said, and the kernel is not blamed" {
	instead gcc 'while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done; [ -n "$out" ] || { echo 12.2.0; exit; }; echo >"$out"'
	run -0 doctor
	echo "$output"
	says missing programs "does not run there"
	grep -E '^unknown +kernel' <<<"$output"
}

@test "limits: maps, cores, attaching, descriptors" {
	echo 1000 >"$proc/sys/vm/max_map_count"
	echo '|/usr/share/apport/apport %p' >"$proc/sys/kernel/core_pattern"
	echo 1 >"$proc/sys/kernel/yama/ptrace_scope"
	instead id 'echo 1000'
	run -0 doctor
	echo "$output"
	says missing maps 1000
	says missing cores apport
	says missing attaching "ptrace_scope is 1"
	run -1 bash -c "ulimit -n 100; PATH=$bin COSTEP_DOCTOR_PROC=$proc lessons/doctor"
	says needed "open files" "at most 100"
}

@test "a small terminal without colours and UTF-8" {
	instead locale 'echo ANSI_X3.4-1968'
	instead stty 'echo 24 80'
	instead tput 'echo -1'
	run -0 script -qec "PATH=$bin COSTEP_DOCTOR_PROC=$proc lessons/doctor" /dev/null
	output=${output//$'\r'/}
	echo "$output"
	says missing terminal 80x24
	says missing colours -1
	says missing characters ANSI
}

@test "packages that are missing are named, with what they are for" {
	instead dpkg-query 'echo "gdb deinstall ok config-files"; echo "python3 install ok installed"'
	run -0 doctor
	echo "$output"
	says missing package "libcapstone-dev \(coviz: .*no make gdbN or no make vizN"
	says missing package "valgrind \(memory errors.*make test is not whole"
	says missing package "libpth-dev \(make bench: .*left out.*make deps FOR=bench"
	[ "$(grep -c ' valgrind (' <<<"$output")" = 1 ] # for tests and for bench
	[[ $output != *" python3 ("* ]]
	[[ $output != *" gcc ("* ]] # it is there, from wherever
	rm "$bin/dpkg-query"
	run -0 doctor
	grep -E '^unknown +packages' <<<"$output"
}

@test "each package of .ci/packages says what it is for" {
	run -0 awk '!/^#/ && NF && NF < 3' .ci/packages
	[ -z "$output" ]
}
