# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2030,SC2031 # BATS_FILE_TMPDIR is set per file on purpose
# coviz in a real terminal (tmux): keys, sizes, and the terminal as it was afterwards.

bats_require_minimum_version 1.5.0
load tmux_helper
cd "$BATS_TEST_DIRNAME/.." || exit 1
B=${B:-build/debug-gcc-O0}
COVIZ=$PWD/build/coviz

setup_file() {
	local cc=${CC:-gcc}
	"$COVIZ" record -q -o "$BATS_FILE_TMPDIR/3.cot" -- "$B/lessons/03-coroutine/demo" >/dev/null
	$cc -g -O0 -Isrc tests/fixtures/viz/waits.c build/libcostep.a -lpthread -o "$BATS_FILE_TMPDIR/waits"
	$cc -g -O0 -D_GNU_SOURCE -Isrc tests/fixtures/viz/record.c build/libcostep.a -lpthread -ldl -o "$BATS_FILE_TMPDIR/record"
	$cc -g -O0 -Isrc tests/fixtures/viz/shared.c build/libcostep.a -lpthread -o "$BATS_FILE_TMPDIR/shared"
	"$COVIZ" record -q -o "$BATS_FILE_TMPDIR/shared.cot" -- "$BATS_FILE_TMPDIR/shared" >/dev/null
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	tm new-session -d -x 120 -y 36 "env -i HOME=/ PATH='$PATH' TERM=tmux-256color LC_ALL=C.UTF-8 bash --norc"
	keys "PS1='\$ '; stty -g >before; clear" Enter
	sees '^\$ ?$'
}

teardown() {
	[ -z "${PROGRAM:-}" ] || kill -9 "$PROGRAM" 2>/dev/null || true
	tm kill-server
}

# Where we are: the number at the left of the last line.
state() {
	screen | sed -nE 's/^ ([0-9]+)\/[0-9].*/\1/p'
}

# Start coviz ARGS; its status will be in the file rc.
start() {
	keys "$COVIZ $*; echo \$? >rc; echo ended" Enter
}

# It has ended with STATUS, and the terminal is as before.
ended_well() {
	local i
	for ((i = 0; i < 300; i++)); do
		[ ! -s rc ] || break
		sleep 0.05
	done
	sees '^ended$'
	[ "$(cat rc)" = "$1" ]
	is_as_before
}

is_as_before() {
	keys "clear; stty -g >after; cmp before after && echo 'as before'" Enter
	sees '^as before$'
	[ "$(tm display -p '#{cursor_flag} #{alternate_on} #{mouse_any_flag}')" = "1 0 0" ]
}

# The viewer's process: the child of the one that was started.
viewer() {
	pgrep -P "$(keeper)"
}

keeper() {
	pgrep -P "$(tm display -p '#{pane_pid}')" coviz
}

is_gone() {
	local i
	for ((i = 0; i < 200; i++)); do
		case $(ps -o stat= -p "$1") in "" | Z*) return 0 ;; esac
		sleep 0.05
	done
	echo "process $1 is still there"
	return 1
}

@test "keys go through a switch, back, and on to the next" {
	start "$BATS_FILE_TMPDIR/3.cot"
	sees '^ 0/[0-9]'
	keys ']'
	sees 'switch 1/.*still on the old stack'
	for ((t = $(state) + 1, end = t + 40; t < end; t++)); do
		keys Right
		sees "^ $t/" # a key at a time: the one that is looked for lasts for one only
		screen | grep -q 'rsp has changed hands' && break
	done
	sees 'rsp has changed hands'
	sees '▶S1 walker.s stack'
	keys Left
	sees 'still on the old stack'
	sees '▶S0 main.s stack'
	keys ']'
	sees 'switch 2/'
	keys ':switch:99999' Enter
	sees '^ [0-9]+/[0-9]+ .*the switches of this trace are'
	keys q
	ended_well 0
}

@test "the save_buffer alone on the screen, while its bytes are copied" {
	start "$BATS_FILE_TMPDIR/shared.cot"
	sees '^ 0/[0-9]'
	keys ':save#1' Enter
	sees '6 save_buffer of'
	keys 6 z
	sees '^┌ 6 save_buffer of .*─┐$'
	keys z
	sees '1 coroutines'
	keys q
	ended_well 0
}

@test "the size of the terminal may change, also to one that is too small" {
	start "$BATS_FILE_TMPDIR/3.cot"
	sees '8 output'
	tm resize-window -x 80 -y 24
	sees '^├ 4 .*┬ 5 .*┬ 1 coroutines'
	tm resize-window -x 30 -y 8
	sees '2 .*─┐$'
	tm resize-window -x 15 -y 4
	sees 'coviz needs'
	tm resize-window -x 160 -y 48
	sees '8 output'
	keys C-c
	ended_well 130
}

@test "the mouse: a click on the timeline, the wheel over it" {
	start "$BATS_FILE_TMPDIR/3.cot"
	sees '^ 0/[0-9]'
	keys -l $'\033[M \\>' # button 1 at column 60, row 30, as 32 + n
	sees '^ [1-9][0-9]*/'
	at=$(state)
	keys -l $'\033[M`\\>'
	sees "^ $((at - 1))/"
	keys q
	ended_well 0
}

@test "the terminal is as before after kill -9 of the viewer" {
	start "$BATS_FILE_TMPDIR/3.cot"
	sees '^ 0/[0-9]'
	kill -9 "$(viewer)"
	sees 'ended by SIGKILL'
	ended_well 137
}

@test "when the process that keeps the terminal is killed, the viewer leaves by itself" {
	start "$BATS_FILE_TMPDIR/3.cot"
	sees '^ 0/[0-9]'
	pid=$(viewer)
	kill -9 "$(keeper)"
	is_gone "$pid"
	# the shell did not wait for it, so what it has said may be gone with the screen
	is_as_before
}

@test "SIGTERM ends it in order" {
	start "$BATS_FILE_TMPDIR/3.cot"
	sees '^ 0/[0-9]'
	kill "$(keeper)"
	ended_well 143
}

@test "Ctrl-Z stops it, fg goes on" {
	start "$BATS_FILE_TMPDIR/3.cot"
	sees '^ 0/[0-9]'
	keys C-z
	sees 'Stopped'
	is_as_before
	keys fg Enter
	sees '^ 0/[0-9]'
	keys Right
	sees '^ 1/[0-9]'
	keys q
	keys "echo \$? >rc; echo ended" Enter
	ended_well 0
}

@test "run: steps drive the program, and it ends with the viewer" {
	start run -- "$BATS_FILE_TMPDIR/waits"
	sees '^ 0/0 +live'
	program=$(pgrep -x waits -P "$(viewer)")
	keys ']'
	sees 'switch 1/.*live'
	keys C-z # which the program does not hear of
	sees 'Stopped'
	sees '^ended$' # the shell goes on: this is not the end yet
	rm rc
	keys fg Enter
	sees 'switch 1/.*live'
	keys ':arrive:4' Enter
	sees 'second turn'
	keys ']'
	sees 'waiting for the program'
	keys Left
	sees 'switch 4/4.*live'
	keys End
	keys End # on to its end, which does not come
	sees 'waiting for the program'
	keys x # any key stops that, and is a key
	sees 'write the screen to'
	keys Escape
	sees 'switch 4/4.*live'
	keys Home
	sees '^ 0/[0-9]+ '
	screen | sed -n '/7 timeline/,$p' | grep -v 'create  x exit' >timeline
	run ! grep -F '!' timeline
	keys q
	keys "echo \$? >rc; echo ended" Enter
	ended_well 0
	is_gone "$program"
}

@test "run: the program is killed, or the viewer is" {
	start run -- "$BATS_FILE_TMPDIR/waits"
	sees '^ 0/0 +live'
	program=$(pgrep -x waits -P "$(viewer)")
	kill -9 "$program"
	keys ']'
	sees 'has ended: killed by SIGKILL'
	keys q
	ended_well 0

	rm rc
	keys clear Enter
	start run -- "$BATS_FILE_TMPDIR/waits"
	sees '^ 0/0 +live'
	program=$(pgrep -x waits -P "$(viewer)")
	kill -9 "$(viewer)"
	ended_well 137
	is_gone "$program"
}

# The fixture does WHAT until fd 7 is closed; coviz has attached to it.
attach() { # what
	[ -n "${PROGRAM:-}" ] || {
		mkfifo in
		"$BATS_FILE_TMPDIR/record" "$1" <in &
		PROGRAM=$!
		exec 7>in
	}
	rm -f rc
	start run -p "$PROGRAM"
	sees '^ 0/[0-9]+ +live'
}

# The viewer is killed, the program is not.
kill_viewer() {
	kill -9 "$(viewer)"
	ended_well 137
	[ "$(grep TracerPid "/proc/$PROGRAM/status" | cut -f2)" = 0 ]
}

unharmed() {
	exec 7>&-
	wait "$PROGRAM"
	PROGRAM=
}

@test "run -p: the viewer is killed while it waits for keys, the program goes on unharmed" {
	attach compute
	keys ']'
	sees 'switch 1/.*live'
	kill_viewer
	attach compute
	keys ']'
	sees 'switch 1/.*live'
	keys Right Right Right
	sees 'rsp'
	kill_viewer
	attach compute
	kill_viewer
	unharmed
}

@test "run -p: nobody waits any more for a program that waits: it is held, and goes on" {
	attach wait
	keys ']' # told EINTR
	sees 'switch 1/'
	keys ']'
	sees 'switch 2/'
	keys ']'
	sees 'waiting for the program'
	keys Left
	sees '^ [0-9]+/[0-9]+ .*live'
	grep -q '^State:.*t (tracing stop)' "/proc/$PROGRAM/status"
	keys ':arrive:3' Enter # it is told EINTR again
	sees 'switch 3/'
	kill_viewer
	attach wait
	keys q
	ended_well 0
	unharmed
}

@test "a terminal that cannot move the cursor, or is not known, is refused" {
	for term in dumb no-such-terminal; do
		rm -f rc
		keys "export TERM=$term; clear" Enter
		start "$BATS_FILE_TMPDIR/shared.cot"
		sees 'this terminal \(TERM\) is not known here, or can do too little'
		keys 'export TERM=tmux-256color' Enter
		ended_well 2
	done
}

@test "colours: none with NO_COLOR, and ASCII where the locale is not UTF-8" {
	keys "export NO_COLOR=1 LC_ALL=C" Enter
	start "$BATS_FILE_TMPDIR/3.cot"
	sees '^\+ 1 coroutines -+\+'
	tm capture-pane -p -e >colours
	run ! grep -qE $'\033\\[[0-9;]*[34][0-8]' colours
	keys q
	ended_well 0
}
