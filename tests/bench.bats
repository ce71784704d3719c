#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The harness of `make bench`: that it measures, counts right, and says what it could not do.
# Peers here are scripts that answer what they are told to (tests/bench/worker.h has the
# language), but for the first test's, which are programs.
# shellcheck disable=SC2016 # dollars that are perl's, or the scripts' own

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	local b=tests/bench worker=() bench=() name
	for name in worker loop trace crowd talk jobs; do worker+=("$b/$name.c"); done
	for name in bench options workers samples client results targets report json svg machine jobs; do bench+=("$b/$name.c"); done
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s lib
	mkdir "$BATS_FILE_TMPDIR/real"
	local cc=("${CC:-gcc}" -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -iquote src)
	"${cc[@]}" "${bench[@]}" -lm -o "$BATS_FILE_TMPDIR/bench" &
	"${cc[@]}" "${worker[@]}" $b/peer_costep.c build/costep_hooks.o build/libcostep.a -lpthread -ldl -lm \
		-o "$BATS_FILE_TMPDIR/real/peer_costep"
	"${cc[@]}" "${worker[@]}" $b/peer_floor.c $b/floor_swap_x86_64.S -lm -o "$BATS_FILE_TMPDIR/real/peer_floor"
	# As those whose header is not there.
	echo '#include "tests/bench/peer.h"
	const struct peer peer = { .name = "absent", .what = "something", .missing = "libabsent-dev" };' |
		"${cc[@]}" -I. "${worker[@]}" -xc - -lm -o "$BATS_FILE_TMPDIR/real/peer_absent"
	wait $!
}

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return 1
	peers=$BATS_TEST_TMPDIR/peers
	mkdir "$peers"
	: >"$BATS_TEST_TMPDIR/targets"
}

# peer NAME MISSING FIGURE ANSWER...: one that can do FIGURE, and gives these answers, one
# in each of its processes.
peer() {
	local name=$1 missing=$2 figure=$3
	shift 3
	cat >"$peers/peer_$name" <<-SCRIPT
		#!/usr/bin/env bash
		case \$1 in
		about) printf '$name\tsomething\t$missing\n$figure\n' ;;
		sample)
			answers=($(printf '%q ' "$@"))
			echo >>\$0.asked
			read -r && eval "\${answers[\$(wc -l <\$0.asked) - 1]}"
			read -r || true ;; # until the end
		esac
	SCRIPT
	chmod +x "$peers/peer_$name"
}

bench() {
	timeout 60 "$BATS_FILE_TMPDIR/bench" --peers "$peers" --targets "$BATS_TEST_TMPDIR/targets" "$@"
}

json() { # EXPRESSION over $d
	perl -MJSON::PP -e 'local $/; my $d = decode_json(<STDIN>); print eval($ARGV[0]), "\n"; die $@ if $@' "$1"
}

@test "costep and the floor are measured, and who is missing is named" {
	cp "$BATS_FILE_TMPDIR"/real/peer_* "$peers"
	bench --quick --rounds 1 --only switch.equal,io.rw.calls --json "$BATS_TEST_TMPDIR/json" >"$BATS_TEST_TMPDIR/table"
	cat "$BATS_TEST_TMPDIR/table"
	grep -q "skipped: absent (something): libabsent-dev is missing; 'make deps bench' installs it" "$BATS_TEST_TMPDIR/table"
	# Two writes, two reads, and each read's first try in vain, at the least.
	run -0 json 'join " ", map { my $f = $_; map { "$f->{name}:$_->{peer}:" . ($_->{value}{median} > 0.1) } @{$f->{peers}} }
		@{$d->{figures}}' <"$BATS_TEST_TMPDIR/json"
	[ "$output" = "switch.equal:costep:1 switch.equal:floor:1 io.rw.calls:costep:1 io.rw.calls:floor:1" ]
	run -0 json '(grep { $_->{name} eq "io.rw.calls" } @{$d->{figures}})[0]{peers}[1]{value}{median}' <"$BATS_TEST_TMPDIR/json"
	[ "$output" = 6 ] # two each of write, epoll_wait, read: counted, not timed
	run -0 json '$d->{missing}[0]{package}' <"$BATS_TEST_TMPDIR/json"
	[ "$output" = libabsent-dev ]
}

@test "headers without the library: the peer is missing, and nobody complains" {
	local b=$BATS_TEST_TMPDIR/b
	run -0 env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s BENCH="$b" lib_dirs=/nowhere "$b/peer_boost" "$b/peer_pcl"
	echo "$output"
	[[ $output != *warning* ]]
	[ "$("$b/peer_boost" about)" = "boost	Boost.Context	libboost-context-dev" ]
	[ "$("$b/peer_pcl" about)" = "pcl	PCL	libpcl1-dev" ]
}

@test "a peer that is given its stacks gets lean ones where memory is what counts" {
	"${CC:-gcc}" -O1 -D_GNU_SOURCE tests/bench/{worker,loop,trace,crowd,talk,jobs,peer_ucontext}.c -lm -o "$BATS_TEST_TMPDIR/peer"
	run -0 "$BATS_TEST_TMPDIR/peer" sample memory.private.10000 15 1 <<<s
	echo "$output"
	[ "${output%.*}" -lt 6000 ] # a page, and the ucontext_t; by malloc it was three pages
}

@test "if memory runs out, it is the sample that ends" {
	"$BATS_FILE_TMPDIR/real/peer_costep" sample timers.10000 15 1 <<<s &
	local pid=$!
	for ((i = 0; i < 100; i++)); do
		[ "$(cat /proc/"$(pgrep -P $pid)"/oom_score_adj)" != 1000 ] || break
		sleep 0.01
	done
	[ "$i" -lt 100 ]
	wait $pid
}

@test "ratios are of the same round; medians decide about targets" {
	peer costep '' switch.equal 'echo 10' 'echo 20' 'echo 30'
	peer boost '' switch.equal 'echo 5' 'echo 40' 'echo 20' # 2, 0.5, 1.5; of medians 1
	cat >"$BATS_TEST_TMPDIR/targets" <<-END
		switch.equal <= 1.5 x boost   # just so
		switch.equal <= 1.4 x boost
		switch.equal >= 1.6 x boost
		switch.equal <= 5   + boost
		switch.equal <= 4.9 + boost
		switch.equal <= 20
		switch.equal <= 1   x boost:switch.equal
		switch.equal <= 1   x nobody
	END
	run -0 --separate-stderr bench --rounds 3 --only switch --svg "$BATS_TEST_TMPDIR/svg"
	grep -q '>costep</text>' "$BATS_TEST_TMPDIR/svg"
	grep -q '>something</text>' "$BATS_TEST_TMPDIR/svg" # boost, in words
	echo "$output"
	[[ $output == *"  costep           20 (10 .. 30) "* ]]
	[[ $output == *"  boost            20 (5 .. 40) "*" x1.50 (0.50 .. 2.00) "* ]]
	# shellcheck disable=SC2154
	[ "$(grep -cE '^  (met|missed)' <<<"$output")" -eq 7 ]
	[ "$(grep -oE '^  (met|missed)' <<<"$output" | tr -d ' \n')" = metmissedmissedmetmissedmetmet ]
	[[ $output == *"4 met, 3 missed, 1 not measured"* ]]
	[[ $stderr == *"switch.equal"* ]] # progress
}

@test "a peer that fails is named with its reason, and the others go on" {
	peer costep '' memory.private.10000 'echo 4200'
	peer greedy '' memory.private.10000 'echo "! no memory left"'
	peer broken '' memory.private.10000 'exit 1'
	peer killed '' memory.private.10000 'kill $$'
	run -0 bench --rounds 1 --only memory --quick --json "$BATS_TEST_TMPDIR/json"
	echo "$output"
	[[ $output == *"costep "*4200* ]]
	[[ $output == *"greedy     no memory left"* ]]
	[[ $output == *"broken     it gave no answer: exit 1"* ]]
	[[ $output == *"killed     it gave no answer: signal 15, Terminated"* ]]
	run -0 json 'join "; ", map { "$_->{name} $_->{peer} $_->{why}" } grep { $_->{peer} ne "broken" } @{$d->{failed}}' \
		<"$BATS_TEST_TMPDIR/json"
	[ "$output" = "memory.private.10000 greedy no memory left; memory.private.10000 killed it gave no answer: signal 15, Terminated" ]
	run -0 json '"$d->{machine} $d->{interrupted}"' <"$BATS_TEST_TMPDIR/json"
	[[ $output == *"processor"*", Linux "*" 0" ]]
}

@test "each sample is of a process of its own, and who has failed is gone" {
	peer costep '' switch.equal 'echo $$' 'echo $$' 'echo $$; kill -0 $(cat "$BATS_TEST_TMPDIR/pid") 2>/dev/null && echo alive >&2'
	peer broken '' switch.equal 'echo $$ >"$BATS_TEST_TMPDIR/pid"; echo one; exec sleep 50'
	run -0 --separate-stderr bench --rounds 3 --only switch --json 1
	echo "$output"
	[[ $stderr != *alive* ]]
	run -0 json 'my %n = map { $_ => 1 } @{$d->{figures}[0]{peers}[0]{samples}}; scalar keys %n' <<<"$output"
	[ "$output" = 3 ]
}

@test "rounds take the ways in turn in which a peer is linked" {
	peer costep '' switch.equal 'echo 1' 'echo 1' 'echo 1' 'echo 1'
	sed 's/echo\\ 1/echo\\ 2/g' "$peers/peer_costep" >"$peers/peer_costep.1"
	chmod +x "$peers/peer_costep.1"
	run -0 --separate-stderr bench --rounds 4 --only switch --json 1
	echo "$output"
	run -0 json 'join " ", @{$d->{figures}[0]{peers}[0]{samples}}' <<<"$output"
	[ "$output" = "1 2 1 1" ]
}

@test "an echo server is not blamed for its client's lack of descriptors" {
	cp "$BATS_FILE_TMPDIR"/real/peer_{costep,floor} "$peers"
	run -0 --separate-stderr bench --rounds 1 --quick --only echo.100
	echo "$output"
	[[ $output == *"echo.100.busy: how much of the time it ran"*", %"*"  floor  "* ]]
	run -0 bash -c "ulimit -n 50; '$BATS_FILE_TMPDIR/bench' --peers '$peers' --targets '$BATS_TEST_TMPDIR/targets' \
		--rounds 1 --quick --only echo.100"
	echo "$output"
	[[ $output == *"  floor      connection "[34]?" of 100: Too many open files"* ]]
}

@test "peers stay on the processors that bench may use" {
	local last
	last=$(taskset -pc $BASHPID | sed 's/.*[^0-9]//')
	peer costep '' switch.equal 'sed -n "s/^Cpus_allowed_list:\t//p" /proc/$$/status'
	run -0 taskset -c "$last" "$BATS_FILE_TMPDIR/bench" --peers "$peers" --targets "$BATS_TEST_TMPDIR/targets" --rounds 1 \
		--only switch.equal
	echo "$output"
	grep -qE "^  costep +$last( |\$)" <<<"$output"
}

@test "a table fits its terminal, says who is who, and no range of a single sample" {
	peer costep '' switch.equal 'echo 10'
	peer boost '' switch.equal 'echo 0.0123'
	peer st '' switch.equal 'echo 400'
	run -0 script -qec "stty cols 80; $BATS_FILE_TMPDIR/bench --peers '$peers' --targets '$BATS_TEST_TMPDIR/targets' \
		--rounds 1 --only switch.equal 2>/dev/null" /dev/null
	echo "$output"
	[ "$(tr -d '\r' <<<"$output" | grep -v '^on ' | wc -L)" -le 80 ]
	grep -qE '^  st +something' <<<"$output"
	grep -qE '^  boost +0.012 +x813.01 *.?$' <<<"$output"
	grep -qE '^  st +400 +x0.03 +#+>>.?$' <<<"$output"
}

@test "a quick run names what it leaves out, and measures what is asked for by name" {
	peer costep '' memory.private.100000 'echo 4100' 'echo 4200'
	run -0 --separate-stderr bench --quick --only memory.private
	echo "$output"
	[[ $output == *"QUICK leaves out"*"  memory.private.100000, memory.private.1000000"* ]]
	run -0 --separate-stderr bench --quick --rounds 2 --only memory.private.100000
	echo "$output"
	[[ $output == *"  costep         4150 (4100 .. 4200)"* && $output != *"leaves out"* ]]
	[[ $stderr == "1/1  memory.private.100000  costep" ]]
}

@test "what cannot be measured is refused, with what can be" {
	peer costep '' switch.equal 'echo 1'
	run -2 bench --only switch,swich
	echo "$output"
	[[ $output == *'there is no "swich"'*"switch, roundtrip"*"echo"* ]]
	run -2 bench --rounds 0
	[[ $output == *"ROUNDS=0: must be 1 to 99"* ]]
	run -2 bench --rounds 3x
	[[ $output == *"ROUNDS=3x: must be 1 to 99"* ]]
	echo 'swich.equal <= 1' >"$BATS_TEST_TMPDIR/targets"
	run -2 bench
	[[ $output == *"targets:1: no target"*"swich.equal <= 1"* ]]
	run -0 env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -n bench CF=0 QUICK=0
	[[ $output == *-fcf-protection=none* && $output != *-fcf-protection=full* && $output != *--quick* ]]
	run -2 bench --json "$BATS_TEST_TMPDIR/no/such/file"
	[[ $output == "bench: cannot write $BATS_TEST_TMPDIR/no/such/file"* ]] # and nothing before it
	rm "$peers/peer_costep"
	run -2 bench
	[[ $output == *"there is no peer_costep in $peers"* ]]
}

@test "the tree's targets mean figures that there are" {
	peer costep '' switch.equal 'echo 1'
	cp tests/bench/targets.txt "$BATS_TEST_TMPDIR/targets"
	run -0 bench --rounds 1 --only switch.equal
	[[ $output == *"0 met, 0 missed, $(grep -cE '^[a-z]' tests/bench/targets.txt) not measured"* ]]
}

@test "Ctrl-C prints what there is, and leaves nobody behind" {
	peer costep '' switch.equal 'echo 1' 'touch "$BATS_TEST_TMPDIR/begun"; exec sleep 60'
	set -m # as an interactive shell would: SIGINT is not ignored in the background
	"$BATS_FILE_TMPDIR/bench" --peers "$peers" --targets "$BATS_TEST_TMPDIR/targets" --rounds 2 --only switch \
		>"$BATS_TEST_TMPDIR/out" 2>&1 &
	local pid=$!
	set +m
	for ((i = 0; i < 300; i++)); do
		[ ! -e "$BATS_TEST_TMPDIR/begun" ] || break
		sleep 0.1
	done
	kill -INT -- -$pid
	wait $pid || status=$?
	cat "$BATS_TEST_TMPDIR/out"
	[ "$status" -eq 130 ]
	grep -q 'interrupted; this is what there is so far' "$BATS_TEST_TMPDIR/out"
	grep -qE '^  costep +1 ' "$BATS_TEST_TMPDIR/out"
	run -1 pgrep -g $pid
}

@test "told to end, it leaves no files of callgrind's behind" {
	mkdir "$BATS_TEST_TMPDIR/bin" "$BATS_TEST_TMPDIR/tmp"
	peer costep '' instr.switch
	printf '#!/bin/sh\nexec sleep 60\n' >"$BATS_TEST_TMPDIR/bin/valgrind"
	chmod +x "$BATS_TEST_TMPDIR/bin/valgrind"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH TMPDIR=$BATS_TEST_TMPDIR/tmp "$BATS_FILE_TMPDIR/bench" --peers "$peers" \
		--targets "$BATS_TEST_TMPDIR/targets" --only instr >"$BATS_TEST_TMPDIR/out" 2>&1 &
	local pid=$!
	for ((i = 0; i < 300; i++)); do
		[ -z "$(ls "$BATS_TEST_TMPDIR/tmp")" ] || break
		sleep 0.1
	done
	[ -n "$(ls "$BATS_TEST_TMPDIR/tmp")" ]
	kill -TERM $pid
	wait $pid || status=$?
	[ "$status" -eq 130 ]
	[ -z "$(ls "$BATS_TEST_TMPDIR/tmp")" ]
}
