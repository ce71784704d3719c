#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# shellcheck disable=SC2030,SC2031 # a test is a subshell, and sets what is its own
# coviz record: what is in the trace is what the program did, and the program does not
# notice.

bats_require_minimum_version 1.5.0


setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || return
	local cc=${CC:-gcc} fixtures=tests/fixtures/viz dir=$BATS_FILE_TMPDIR object objects=() flags part include=()
	read -ra flags <<<"$(make -s print-VIZ_LIBS)"
	for part in $(make -s print-VIZ_PARTS); do
		include+=(-iquote "viz/$part")
	done
	for object in $(make -s print-VIZ_FILES); do
		[ "${object##*/}" = main ] || objects+=("build/release-${CC:-gcc}-O2/$object.o")
	done
	$cc -std=gnu11 -D_GNU_SOURCE -Isrc "${include[@]}" $fixtures/trace_regs.c "${objects[@]}" "${flags[@]}" -o "$dir/trace_regs" || return
	$cc -g -O0 -D_GNU_SOURCE -Isrc $fixtures/record.c build/libcostep.a -lpthread -ldl -o "$dir/record" || return
	$cc -g -O0 -D_GNU_SOURCE -Isrc $fixtures/shared.c build/libcostep.a -lpthread -ldl -o "$dir/shared" || return
	# -no-pie: addresses are those that nm prints.
	$cc -g -O0 -no-pie -fno-stack-protector -D_GNU_SOURCE -Isrc -Iasm $fixtures/steps.c src/coctx.c \
		asm/coctx_swap_x86_64.S -o "$dir/steps"
}

setup() {
	COVIZ=$BATS_TEST_DIRNAME/../build/coviz
	FIXTURES=$BATS_TEST_DIRNAME/fixtures/viz
	cd "$BATS_TEST_TMPDIR" || return
	PATH=$BATS_FILE_TMPDIR:$PATH
	PROGRAM=$BATS_FILE_TMPDIR/record
}

teardown() {
	[ -z "${PID:-}" ] || kill -9 "$PID" 2>/dev/null || true
}

# Record the fixture doing WHAT into t.cot; the last line in $last.
record() { # what [options of coviz]
	local what=$1
	shift
	run -0 timeout 60 "$COVIZ" record -o t.cot "$@" -- "$PROGRAM" "$what"
	echo "$output"
	last=${lines[-1]}
	! [[ $output == *unseen* ]]
}

events() { # kinds
	trace_regs t.cot events | cut -d' ' -f2- | grep -E "^($1) "
}

@test "2500 steps have the registers that gdb's stepi has" {
	local program=$BATS_FILE_TMPDIR/steps at
	at=$(nm "$program" | awk '$3 == "coctx_swap" { print $1 }')
	env -i LD_BIND_NOW=1 "$COVIZ" record -q --all -o t.cot -- "$program"
	env -i LD_BIND_NOW=1 "$(command -v gdb)" -nx -batch -ex 'py count = 2500; out = "gdb"' -x "$FIXTURES/steps.py" \
		"$program" </dev/null >/dev/null 2>&1
	trace_regs t.cot regs 2500 "$at" >coviz
	[ "$(wc -l <gdb)" = 2501 ]
	[ "$(awk 'NF == 20' gdb | wc -l)" -gt 50 ] # with the floating-point settings, in the switch
	diff coviz gdb
}

@test "every instruction: no word of the tracked memory changes unseen" {
	PROGRAM=$BATS_FILE_TMPDIR/steps
	record '' --all
	PROGRAM=$BATS_FILE_TMPDIR/shared
	record '' --from alices
	[ "$(events 'save|restore' | wc -l)" -ge 4 ]
	PROGRAM=$BATS_FILE_TMPDIR/record
	record string --from in_copy
}

@test "--switch and --all tell the same switches, with the same registers" {
	local program=$BATS_FILE_TMPDIR/steps at
	at=$(nm "$program" | awk '$3 == "coctx_swap" { print $1 }')
	"$COVIZ" record -q --all -o all.cot -- "$program"
	"$COVIZ" record -q -o switch.cot -- "$program"
	for t in all switch; do
		trace_regs $t.cot regs 1000000 "$at" | awk 'NF == 20' >$t.regs
		trace_regs $t.cot events | cut -d' ' -f2-4 | grep -E '^(swap|rsp|arrive)' >$t.events
		trace_regs $t.cot execs >$t.execs
	done
	diff all.regs switch.regs
	[ "$(wc -l <all.regs)" -gt 400 ]
	diff all.events switch.events
	[ "$(grep -c '^swap main other_ctx$' all.events)" = 8 ]
	diff all.execs switch.execs
	run ! grep -v bounds all.execs
}

@test "events: who is created, resumed, yields, ends, is copied out and in" {
	PROGRAM=$BATS_FILE_TMPDIR/shared
	record ''
	events 'create|resume|yield|exit|save|restore' >told
	cat told
	[ "$(grep -c '^create' told)" -ge 2 ]
	[ "$(grep -c '^save' told)" -ge 1 ]
	[ "$(grep -c '^restore' told)" -ge 1 ]
	grep -q '^exit' told
	# The copier is one of those who run.
	trace_regs t.cot execs | grep -q '^[0-9]* 2 copier bounds$'
	# A shared stack is one before anybody else was in it.
	"$COVIZ" t.cot --at switch:1 --dump txt --size 160x48 >screen
	grep -q shared:in screen
	run ! grep private screen
	# On the way by the copier nothing is left out.
	sort -n <(trace_regs t.cot events) <(trace_regs t.cot gaps) |
		awk '$2 == "swap" && $4 == "copier" { on = 1; n++ } $2 == "gap" && on { bad = 1 } $2 == "arrive" && $3 != "copier" { on = 0 } END { exit bad || n < 2 }'
	# Nor is the copying before a swap, although in the library here co_swap is no function.
	run ! grep -w co_swap <(nm "$PROGRAM")
	sort -n <(trace_regs t.cot events) <(trace_regs t.cot gaps) |
		awk '$2 == "gap" { at = $1 } /^[0-9]+ (save|restore) / && $1 == at { bad = 1 } END { exit bad }'
	# A resume, then the switch that it is.
	trace_regs t.cot events | awk '$2 == "resume" { who = $3 } $2 == "swap" && who { if ($4 != who && $4 != "copier") bad = 1; who = "" } END { exit bad }'
}

@test "stripped programs: exported names, or none at all" {
	local src=$BATS_TEST_DIRNAME/.. how
	for how in -rdynamic -static; do
		${CC:-gcc} $how -O2 -D_GNU_SOURCE -I"$src/src" "$FIXTURES/record.c" "$src/build/libcostep.a" -lpthread -ldl \
			-o stripped 2>/dev/null
		strip stripped
		PROGRAM=./stripped
		record ''
		events 'create|resume|yield' | grep -q '^resume counter main'
		events 'arrive' | grep -q '^arrive counter'
	done
}

@test "a crash: the last state is where it happened" {
	record crash
	[[ $last == *"killed by SIGSEGV" ]]
	# Twice: the library's handler has it first.
	[ "$(events 'signal|end')" = "$(printf '%s\n' 'signal main - 11' 'signal main - 11' 'end main - 11')" ]
	[[ $("$COVIZ" t.cot --at end --dump txt --size 80x24) == *crash* ]]
}

@test "fork, vfork and exec: the children go their way" {
	record fork
	[[ $last == *"exited with status 0" ]]
	events fork
	record spawn
	[[ $last == *"exited with status 0" ]]
	record fork --from in_fork # step by step
	[[ $last == *"exited with status 0" ]]
	record spawn --from in_spawn
	[[ $last == *"exited with status 0" ]]
	record exec
	[[ $last == *"another program"* ]]
	events exec
}

@test "fork, and the program ends at once: the child lives on" {
	local i
	for ((i = 0; i < 15; i++)); do
		"$COVIZ" record -q -o t.cot -- "$PROGRAM" orphan 3>>lived
	done
	for ((i = 0; i < 300 && $(wc -l <lived) < 15; i++)); do sleep 0.01; done
	[ "$(wc -l <lived)" = 15 ]
}

@test "signals reach their handlers, also while stepping" {
	record signals
	[[ $last == *"exited with status 0" ]]
	record signals --all --from in_signals
	[[ $last == *"exited with status 0" ]]
	events signal
	[ "$(events signal | cut -d' ' -f4 | tr '\n' ' ')" = "10 12 10 " ]
	# Its handler ran unseen: the next step is a step.
	record abort
	[ "$(events signal | cut -d' ' -f4)" = 6 ]
	trace_regs t.cot gaps | awk '{ n = $1 == last + 1 ? n + 1 : 1; last = $1; bad += n > 2 } END { exit bad > 0 }'
}

@test "a program that is killed, or changes its own affinity" {
	record kill
	[[ $last == *"killed by SIGKILL" ]]
	record affinity
	[[ $last == *"exited with status 0" ]]
}

@test "killed while it stands still for the recorder: that is said, too" {
	local i recorder child
	mkfifo in
	exec 8<>in
	for ((i = 0; i < 16; i++)); do
		"$COVIZ" record --all -o t.cot -- "$PROGRAM" hot <&8 2>told &
		recorder=$!
		until [ -s t.cot ] && child=$(pgrep -P $recorder); do sleep 0.01; done
		kill -STOP $recorder
		kill -9 "$child"
		kill -CONT $recorder
		wait $recorder
		grep "killed by SIGKILL" told
		rm t.cot
	done
}

@test "output is passed on and recorded, more than a terminal holds; input is read" {
	run -0 timeout 60 "$COVIZ" record -o t.cot -- "$PROGRAM" flood
	"$PROGRAM" flood >wanted
	printf '%s\n' "${lines[@]::20000}" | cmp - wanted
	trace_regs t.cot output | cmp - wanted
	printf 'one\ntwo\n' | "$COVIZ" record -q -o t.cot -- "$PROGRAM" cat
	[ "$(trace_regs t.cot output)" = "$(printf 'one\ntwo')" ]
}

@test "on a terminal: the line of progress makes way for the program's lines" {
	printf '%s\n' '#include <stdio.h>' 'int main(void) { for (volatile int i = 0; i < 30000; i++) if (i % 1000 == 0) { puts("line"); fflush(stdout); } }' >p.c
	${CC:-gcc} p.c -o p
	run -0 timeout 60 script -qec "$COVIZ record --all -o t.cot -- ./p" /dev/null
	printf '%q\n' "$output"
	[[ $output == *'(Ctrl-C ends it)'$'\r\033[Kline'* ]]
	[[ $output != *'(Ctrl-C ends it)line'* ]]
}

@test "--thread follows another one" {
	record threads --thread 2
	[ "$(events 'create|resume')" = "$(printf '%s\n' 'create theirs main 0' 'resume theirs main 0')" ]
	run -1 "$COVIZ" record -o t.cot --thread 5 -- "$PROGRAM" threads
	[[ $output == *"thread 5"* ]]
}

@test "--from and --to record nothing outside" {
	record crash --from before_crash --to crash
	local first
	first=$(nm "$PROGRAM" | awk '$3 == "before_crash" { print $1 }')
	[[ $(trace_regs t.cot regs 0 0) == *"${first: -3} "* ]]
	[ "$(events 'create|resume')" = "resume counter main 0" ]
	record '' --from main
	[ "$(events 'create|resume')" = "$(printf '%s\n' 'create counter main 0' 'resume counter main 0')" ]
	record crash --to crash # from main
	[ "$(events 'create|resume' | wc -l)" = 3 ]
	run -1 "$COVIZ" record -o t.cot --from before_crach -- "$PROGRAM" crash
	[[ $output == *"there is before_crash"* ]]
	run -1 "$COVIZ" record -o t.cot --from in_fork -- "$PROGRAM"
	[[ $output == *"exited with status 0"*"never came to in_fork"* ]]
}

@test "limits: so many switches, so many steps" {
	record compute --switches 5
	[[ $last == *"5 switches recorded"* ]]
	record compute --switches 0 --steps 1000
	[[ $last == *"1000 steps recorded"* ]]
}

# Start the fixture; $PID. It ends when fd 7 is closed.
start() { # what
	exec 8<&0
	mkfifo in
	"$PROGRAM" "$1" <in &
	PID=$!
	exec 7>in
	while ! grep -q epoll "/proc/$PID/wchan" && [ "$1" = wait ]; do sleep 0.01; done
}

unharmed() {
	[ "$(grep TracerPid "/proc/$PID/status" | cut -f2)" = 0 ]
	[ "$(taskset -p "$PID" | sed 's/.*: //')" = "$(taskset -p $$ | sed 's/.*: //')" ]
	exec 7>&-
	wait "$PID"
}

@test "attach to one that computes: it goes on unharmed" {
	start compute
	run -0 timeout 60 "$COVIZ" record -o t.cot --switches 20 -p "$PID"
	echo "$output"
	[[ $output == *"20 switches recorded"* ]]
	[ "$(events 'resume|yield' | head -20 | sort -u)" = "$(printf '%s\n' 'resume counter main 0' 'yield counter main 0')" ]
	run -0 timeout 60 "$COVIZ" record -q -o t.cot --all --steps 2000 -p "$PID"
	unharmed
}

@test "attach while a coroutine runs: it is on its stack, and main on main's" {
	start coroutine
	until [ "$(cut -d' ' -f14 "/proc/$PID/stat")" -gt 2 ]; do sleep 0.02; done
	run -0 timeout 60 "$COVIZ" record -o t.cot --switches 3 -p "$PID"
	[ "$(events 'resume|yield' | head -2)" = "$(printf '%s\n' 'yield busy main 0' 'resume busy main 0')" ]
	[[ $("$COVIZ" t.cot --at 0 --dump txt --size 120x36) == *"busy's stack"* ]]
	unharmed
}

@test "attach to one that waits, Ctrl-C: the trace is kept, it goes on unharmed" {
	start wait
	run -0 timeout --preserve-status -s INT 0.4 "$COVIZ" record -o t.cot -p "$PID"
	echo "$output"
	[[ $output == *"interrupted"* ]]
	trace_regs t.cot events
	unharmed
}

@test "attach to one that meets a breakpoint all the time, Ctrl-C: it goes on unharmed" {
	local i
	start hot
	for i in 1 2 3 4; do
		timeout --preserve-status -s INT 0.2$i "$COVIZ" record -q -o t.cot --from hot --steps 0 -p "$PID" ||
			[ $? = 1 ] # it had not come there yet
		run timeout --preserve-status -s INT 0.2$i "$COVIZ" run --from hot --at 100000000 --dump txt -p "$PID"
	done
	unharmed
}

@test "attach to one that is stopped: it stays so until SIGCONT, and Ctrl-C works" {
	start compute
	kill -STOP "$PID"
	until grep -q '^State:.T' "/proc/$PID/status"; do sleep 0.01; done
	run -0 timeout --preserve-status -k 5 -s INT 0.2 "$COVIZ" record -o t.cot -p "$PID"
	[[ $output == *"interrupted"* ]]
	until grep -q '^State:.T (stopped' "/proc/$PID/status"; do sleep 0.01; done
	"$COVIZ" record -o t.cot --switches 20 -p "$PID" 2>told &
	local recorder=$!
	until [ "$(grep TracerPid "/proc/$PID/status" | cut -f2)" != 0 ]; do sleep 0.01; done
	sleep 0.1
	kill -CONT "$PID"
	wait $recorder
	grep '20 switches recorded' told
	# In the middle of steps; Ctrl-C all the same.
	timeout --preserve-status -k 5 -s INT 0.4 "$COVIZ" record -q --all --steps 0 -o t.cot -p "$PID" &
	recorder=$!
	until [ "$(grep TracerPid "/proc/$PID/status" | cut -f2)" != 0 ]; do sleep 0.01; done
	sleep 0.05
	kill -STOP "$PID"
	wait $recorder
	kill -CONT "$PID"
	unharmed
}

@test "SIGCONT for one that runs stops nothing, also before there is a state" {
	local recorder
	start hot
	"$COVIZ" record -q -o t.cot --from on_signal -p "$PID" 7>&- &
	recorder=$!
	until [ "$(grep TracerPid "/proc/$PID/status" | cut -f2)" != 0 ]; do sleep 0.01; done
	sleep 0.1
	kill -CONT "$PID"
	sleep 0.1
	exec 7>&- # it ends, if it runs
	for ((i = 0; i < 300; i++)); do
		[ -d "/proc/$PID" ] || break
		grep -q '^State:.Z' "/proc/$PID/status" && break
		sleep 0.01
	done
	((i < 300))
	wait "$PID"
	wait $recorder || true
}

@test "the recorder is killed: what it had started is gone, what it had attached to lives" {
	local recorder child
	mkfifo in2
	"$COVIZ" record -q -o t.cot -- "$PROGRAM" wait <in2 &
	recorder=$!
	exec 6>in2
	until child=$(pgrep -P $recorder) && grep -q epoll "/proc/$child/wchan"; do sleep 0.02; done
	kill -9 $recorder
	while [ -d "/proc/$child" ]; do sleep 0.02; done
	exec 6>&-

	start wait
	"$COVIZ" record -q -o t.cot -p "$PID" &
	recorder=$!
	until [ "$(grep TracerPid "/proc/$PID/status" | cut -f2)" != 0 ] && grep -q epoll "/proc/$PID/wchan"; do sleep 0.02; done
	kill -9 $recorder
	wait $recorder || true
	until taskset -p "$PID" | grep -q "$(taskset -p $$ | sed 's/.*: //')\$"; do sleep 0.02; done
	unharmed
}

@test "the recorder is killed: what was recorded until then is in the trace" {
	run -137 timeout 60 "$COVIZ" record -q -o t.cot -- "$PROGRAM" kill-tracer
	[ "$(events resume | wc -l)" -ge 2 ]
	run "$COVIZ" t.cot --at switch:2 --dump txt
	[[ $output == *"switch 2/"*"cut off"* || $output == *"cut off"*"switch 2/"* ]]
}

@test "what cannot be recorded is said in a line" {
	says() { # words, then the arguments
		local words=$1
		shift
		run timeout 20 "$COVIZ" record -o t.cot "$@"
		echo "$output"
		[ "$status" != 0 ] && [[ ${lines[0]} == "coviz record: "*"$words"* ]] && [ ${#lines[@]} = 1 ]
	}
	touch plain
	says 'no such program' ./nowhere
	says 'in PATH' nowhere-at-all
	says 'not executable' ./plain
	says 'is a directory' /tmp
	says 'not linked with costep' /bin/true
	says 'which program?'
	says 'not both' -p 1 /bin/true
	says 'unknown option --frmo' --frmo x /bin/true
	says 'needs a value' --from
	says '"x" is not a number' --steps x /bin/true
	says 'no process 4194305' -p 4194305
	says 'has no function nothing_like_it' --from nothing_like_it "$PROGRAM"
	says 'no code of such a line' --from record.c:99999 "$PROGRAM"
	says 'cannot be written: No space' -o /dev/full "$PROGRAM"
	cp "$PROGRAM" t.cot
	says 'would overwrite the program' ./t.cot
	cmp "$PROGRAM" t.cot
	says 'cannot be written' -o /nowhere/t.cot "$PROGRAM"
	run -0 "$COVIZ" record --help
	[[ $output == *--switches* ]]
}

@test "Ctrl-C, too, while nothing is recorded yet; and nobody reads the output" {
	start wait
	run -1 timeout --preserve-status -s INT 0.3 "$COVIZ" record -o t.cot --from crash -p "$PID"
	[[ $output == *"interrupted before it came to crash"* ]]
	unharmed
	PID=
	"$COVIZ" record -o t.cot -- "$PROGRAM" flood | head -1
	trace_regs t.cot events | grep -q ' end '
}

@test "without -o the trace has the program's name" {
	"$COVIZ" record -q "$PROGRAM"
	[ -s record.cot ]
}
