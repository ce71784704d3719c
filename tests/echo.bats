#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Servers and clients written with plain blocking calls, each connection in a
# coroutine: what goes through them, what they cost, and processes that share a listener.

bats_require_minimum_version 1.5.0

IDLE=1000 IDLE_S=5 # coroutines that all wait, and how long

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s lib
	local program
	for program in bulk crowd duplex prefork quiet sleepers; do
		"${CC:-gcc}" -g -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -Isrc "tests/fixtures/echo/$program.c" \
			build/costep_hooks.o build/libcostep.a -lpthread -ldl -o "$BATS_FILE_TMPDIR/$program"
	done
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
}

value() { # NAME [LINE]: in what the program has printed, of the line that begins so
	sed -nE "/^${2:-}/s/^(.* )?$1=([^ ]+)( .*)?$/\2/p" <<<"$output"
}

# --- what goes through ----------------------------------------------------------------

@test "20 MB go through an echo server to a slow reader and come back intact" {
	head -c 20000000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	for calls in read recv readv; do
		# shellcheck disable=SC2094 # both only read it
		"$BATS_FILE_TMPDIR/bulk" $calls <"$BATS_TEST_TMPDIR/in" 2>"$BATS_TEST_TMPDIR/said" | cmp - "$BATS_TEST_TMPDIR/in"
		output=$(cat "$BATS_TEST_TMPDIR/said")
		echo "$calls: $output"
		[ "$(value bytes)" -eq 20000000 ]
		[ "$(value on_their_way)" -lt 4000000 ] # the writer had to wait for the reader
		[ "$(value sleeps)" -ge 5 ]
	done
}

@test "a reader and a writer wait for one socket, and both are woken" {
	run -0 timeout 20 "$BATS_FILE_TMPDIR/duplex"
	[ "$(value answered)" -eq 1 ]
}

@test "5000 connections are open at a time in one process" {
	run "$BATS_FILE_TMPDIR/crowd" 5000
	echo "$output"
	[ "$status" -ne 77 ] || skip "$output"
	[ "$status" -eq 0 ]
	[ "$(value connected)" -eq 5000 ]
	[ "$(value echoed)" -eq 5000 ]
	[ "$(value right)" -eq 5000 ]
}

@test "1000 sleepers: none wakes early" {
	for kind in heap wheel timerfd; do
		COSTEP_TIMER=$kind run -0 "$BATS_FILE_TMPDIR/sleepers" 1000 5
		echo "$output"
		echo "# $kind: $output" >&3
		[ "$(value sleeps)" -eq 5000 ]
		[ "$(value early)" -eq 0 ]
	done
}

# --- processes that share a listener ----------------------------------------------------

# Held up: asleep, not only without a CPU; and longer than the process that only
# ticks was, on a machine that has much else to do.
@test "four processes accept from one listener: all are served, none is held up" {
	run -0 "$BATS_FILE_TMPDIR/prefork" serve 100
	echo "$output"
	[ "$(value connections)" -ge 4000 ]
	[ "$(value answered)" -eq "$(value connections)" ]
	limit=$((3 * $(value gap_us process=4)))
	[ "$limit" -ge 20000 ] || limit=20000
	by_parked=0
	for process in 0 1 2 3; do
		echo "# process $process: $(value served process=$process) served, $(value asleep_us process=$process) us between ticks" >&3
		[ "$(value served process=$process)" -gt 0 ]
		[ "$(value failed process=$process)" -eq 0 ]
		[ "$(value ticks process=$process)" -gt 100 ]
		[ "$(value asleep_us process=$process)" -lt "$limit" ]
		by_parked=$((by_parked + $(value by_parked process=$process)))
	done
	[ "$by_parked" -gt 0 ] # by coroutines that waited in accept when the process was forked
}

@test "with the hooks off, all who accept are held up" {
	run -0 "$BATS_FILE_TMPDIR/prefork" plain 10
	echo "$output"
	[ "$(value answered)" -eq "$(value connections)" ]
	for process in 0 1 2 3; do
		[ "$(value ticks process=$process)" -eq 0 ]
	done
	[ "$(value ticks process=4)" -gt 10 ]
}

@test "the O_NONBLOCK that a child's accept leaves behind makes nobody see EAGAIN" {
	run -0 "$BATS_FILE_TMPDIR/prefork" parent
	echo "$output"
	[ "${lines[0]}" = "before flag=0" ]
	[ "${lines[1]}" = "child=accepted waited=yes flag=1" ] # it does leave it
	[ "${lines[2]}" = "another=accepted waited=yes flag=1" ]
	[ "${lines[3]}" = "parent=accepted waited=yes flag=1" ]
}

@test "a listener that its user has made O_NONBLOCK says EAGAIN, in each process" {
	run -0 "$BATS_FILE_TMPDIR/prefork" user
	echo "$output"
	[ "${lines[0]}" = "before flag=1" ]
	[ "${lines[1]}" = "child=EAGAIN waited=no flag=1" ]
	[ "${lines[2]}" = "another=EAGAIN waited=no flag=1" ]
	[ "${lines[3]}" = "parent=EAGAIN waited=no flag=1" ]
}

# --- seen from outside --------------------------------------------------------------------

# traced TIMER: $output is what fixtures/echo/quiet says with timers of that kind,
# $trace what strace says of it. Made once for all tests.
traced() {
	command -v strace >/dev/null || skip "strace is missing; 'make deps test' installs it"
	strace -o /dev/null true 2>/dev/null || skip "strace may not trace here"
	trace=$BATS_FILE_TMPDIR/trace.$1
	[ -e "$trace" ] || COSTEP_TIMER=$1 strace -f -y -o "$trace" "$BATS_FILE_TMPDIR/quiet" "$IDLE" "$IDLE_S" >"$trace.says" ||
		[ $? -eq 77 ] || return 1
	output=$(cat "$trace.says")
	echo "$output"
	[[ $output != *descriptors* ]] || skip "$output"
}

calls() { # FROM TO: the system calls between two parts of the program, without process numbers
	sed -nE "\,/part/$1,,\,/part/$2,s/^[0-9]+ +//p" "$trace"
}

WAITS='epoll_wait|epoll_pwait|epoll_pwait2'

@test "no read and no write of an echo server blocks in the kernel" {
	traced heap
	run -1 grep -nE '^(read|readv|preadv2|pwritev2|write|writev|pread64|pwrite64)\([0-9]+<socket:' <(calls echo idle)
	output=
	for call in 'recv(from|msg) MSG_DONTWAIT' 'send(to|msg) MSG_DONTWAIT'; do
		n=$(calls echo idle | grep -cE "^${call% *}\(")
		n_nowait=$(calls echo idle | grep -cE "^${call% *}\(.*${call#* }")
		echo "${call% *}: $n, $n_nowait of them with ${call#* }"
		[ "$n" -ge 50 ]
		[ "$n_nowait" -eq "$n" ]
	done
	calls echo idle | grep -qE '^recvfrom\(.*EAGAIN' # some had to wait
}

@test "no accept, no connect, no poll and no sleep of an echo server blocks in the kernel" {
	traced heap
	n=$(calls echo idle | grep -cE '^(accept|accept4|connect)\(')
	[ "$n" -ge 20 ]
	blocking=$(calls echo idle | awk '
		{ fd = $0; sub(/^[a-z0-9_]+\(/, "", fd); sub(/<.*/, "", fd) }
		/^close\(/ { delete nonblocking[fd] }
		/F_SETFL/ { nonblocking[fd] = /O_NONBLOCK/ }
		/^(accept|accept4|connect)\(/ && !nonblocking[fd]
		/^(select|pselect6|nanosleep|clock_nanosleep|pause|futex)\(/
		/^p?poll\(/ && !/, 0\) *=/')
	echo "$blocking"
	[ -z "$blocking" ]
}

@test "an idle program makes no calls: $IDLE coroutines that wait, $IDLE_S seconds" {
	traced heap
	n=$(calls idle end | grep -cE "^($WAITS)\(")
	echo "the loop woke up $n times"
	[ "$n" -ge 1 ]
	[ "$n" -le 5 ]
}

@test "the loop's own count of its system calls is strace's" {
	for kind in heap wheel timerfd; do
		IDLE=10 IDLE_S=0 traced $kind
		n=$(calls echo idle | grep -cE "^($WAITS|epoll_ctl|timerfd_settime)\(")
		echo "$kind: the loop counts $(($(value idle) - $(value echo))), strace $n"
		[ "$n" -gt 100 ]
		[ $(($(value idle) - $(value echo))) -eq "$n" ]
	done
}
