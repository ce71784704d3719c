# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2030,SC2031,SC2154 # stderr is bats' own
# coviz without a terminal: screens into files, scripts, casts, and what it says when
# something is wrong.

bats_require_minimum_version 1.5.0
cd "$BATS_TEST_DIRNAME/.." || exit 1
B=${B:-build/debug-gcc-O0}
COVIZ=$PWD/build/coviz

setup_file() {
	"$COVIZ" record -q -o "$BATS_FILE_TMPDIR/3.cot" -- "$B/lessons/03-coroutine/demo" >/dev/null
}

setup() {
	T=$BATS_FILE_TMPDIR/3.cot
	root=$PWD
	cd "$BATS_TEST_TMPDIR" || return
}

coviz() {
	timeout 20 "$COVIZ" "$@" </dev/null
}

# One line on stderr, with these words; nothing on stdout; this status.
complains() {
	local status=$1 words=$2
	shift 2
	run --separate-stderr "-$status" coviz "$@"
	echo "$output$stderr"
	[ "$output" = "" ]
	[ "$(wc -l <<<"$stderr")" = 1 ]
	[[ $stderr == "coviz: "*"$words"* ]]
}

@test "the same place is the same screen, in each size" {
	for size in 80x24 120x36 160x48; do
		coviz "$T" --at switch:3 --size $size --dump txt >a
		coviz --dump=txt --size $size --at 0 --at switch:3 "$T" >b
		cmp a b
		[ "$(wc -l <a)" = "${size#*x}" ]
		grep -q 'switch 3/' a
		[ "$(LC_ALL=C.UTF-8 wc -L <a)" -le "${size%x*}" ]
	done
}

@test "addresses as places do not depend on where the program lies; as numbers they are numbers" {
	coviz "$T" --at rsp:1 --dump txt >a
	grep -q 'rsp.*S1' a
	coviz "$T" --at rsp:1 --dump txt --addr raw >a
	grep -q 'rsp.*0x[0-9a-f]\{6\}' a
}

@test "svg is well-formed and has no reference to elsewhere; dark.svg is dark" {
	coviz "$T" --at switch:2 --dump svg >a.svg
	coviz "$T" --at switch:2 --dump b.dark.svg
	python3 -c 'import sys, xml.dom.minidom as x; [x.parse(f) for f in sys.argv[1:]]' a.svg b.dark.svg
	[ "$(grep -cE 'https?:' a.svg)" = 1 ] # the name of the format
	grep -q '<rect.*fill="#ffffff"' a.svg
	run ! grep -q '<rect.*width="9[0-9]*".*fill="#ffffff"' b.dark.svg
}

@test "ansi has colours, with --color never or NO_COLOR none" {
	coviz "$T" --at switch:2 --dump ansi >a
	grep -q $'\033\[0[0-9;]*;38;5;' a
	coviz "$T" --at switch:2 --dump ansi --color 8 >a
	run ! grep -q $'\033\[0[0-9;]*;38;5;' a
	grep -q $'\033\[0[0-9;]*;3[0-7]m' a
	coviz "$T" --at switch:2 --dump ansi --color never >a
	run ! grep -q $'\033\[0[0-9;]*;3[0-9]' a
	NO_COLOR=1 coviz "$T" --at switch:2 --dump ansi >b
	cmp a b
}

@test "--ascii: nothing but ASCII" {
	coviz "$T" --at rsp:2 --ascii --dump txt >a
	run ! env LC_ALL=C grep -q '[^ -~]' a
	grep -q '+ 1 coroutines -' a
	grep -q ' Left/Right instruction' a
	grep -qE 'o *[0-9]+ ' a # done: no point, which nobody sees
	LC_ALL=C coviz "$T" --at rsp:2 --dump txt | grep -q '┌ 1 coroutines' # as --help says
}

@test "one pane alone, and the projector" {
	coviz "$T" --at rsp:2 --zoom registers --size 60x20 --dump txt >a
	head -1 a | grep -q '3 registers'
	run ! grep -q '4 from' a
	coviz "$T" --at rsp:2 --projector --dump txt >a
	grep -q '4 from' a
	run ! grep -q '1 coroutines' a
	grep -A1 '7 timeline' a | grep -q 'switch 2/.*rsp has changed hands'
}

@test "a script plays keys, checks the screen and writes it" {
	printf '%s\n' '# on' ']' '3*Right' 'expect switch 1/' 'dump one.txt' ':switch:2' 'dump two.svg' '' 'z # zoom' 'dump -' >keys
	coviz "$T" --script keys >three.txt
	grep -q 'switch 1/' one.txt
	grep -q '<svg' two.svg
	[ "$(grep -c '^[├└]' three.txt)" = 1 ]
	printf '] Right\n' | timeout 20 "$COVIZ" "$T" --script - --dump txt | grep -q 'switch 1/'
	printf ':switch:1-1\ne\nexpect coctx_swap comes next. rsp is S0-0x\n' >keys # the exam, in names
	coviz "$T" --script keys
	echo 'expect nothing of the kind' >keys
	run -1 coviz "$T" --script keys
	[[ $output == *"keys:1: the screen (above) does not show: nothing of the kind"* ]]
	printf '\nJump\n' >keys
	complains 2 'keys:2: no key' "$T" --script keys
	complains 1 'nofile' "$T" --script nofile
}

@test "a cast is a line of JSON per screen, with a marker at each switch" {
	printf ']\nRight\n]\nwait 2\nLeft\nsize 80x24\n' >keys
	coviz "$T" --script keys --cast out.cast
	python3 - <<-'END'
		import json
		head, *events = [json.loads(line) for line in open('out.cast')]
		assert head['version'] == 2 and (head['width'], head['height']) == (120, 36), head
		assert [e[0] for e in events] == sorted(e[0] for e in events)
		marks = [e[2] for e in events if e[1] == 'm']
		assert marks[0] == 'switch 1: main → walker' and len(marks) == 3, marks
		assert [e[2] for e in events if e[1] == 'r'] == ['80x24']
		assert sum(e[1] == 'o' for e in events) == 6
		assert events[-1][0] > 3
	END
}

@test "run without a terminal: the program runs on to the place, and ends with coviz" {
	coviz run --at switch:2 --dump txt -- "$root/$B/lessons/03-coroutine/demo" >a
	grep -q 'switch 2/' a
	grep -q 'live' a
	coviz run -o kept.cot --at arrive:2 --dump txt --size 80x24 -- "$root/$B/lessons/03-coroutine/demo" >a
	coviz kept.cot --at switch:1 --dump txt | grep -q 'switch 1/'
	complains 2 'run what?' run --all
	printf 'End End\nexpect the program has ended\n' >keys # at the end, End runs it to its end
	coviz run --script keys -- "$root/$B/lessons/03-coroutine/demo"
	printf 'End\n:end\nexpect the program has ended\n' >keys
	coviz run --script keys -- "$root/$B/lessons/03-coroutine/demo"
}

@test "run, killed: no file of it is left; nobody else could read it" {
	mkdir tmp
	mkfifo keys
	TMPDIR=$PWD/tmp "$COVIZ" run --size 80x24 --script keys -- "$root/$B/lessons/03-coroutine/demo" &
	local pid=$!
	exec 7>keys # it is open now
	[ -z "$(ls tmp)" ]
	[ "$(stat -Lc %a "$(find "/proc/$pid/fd" -lname "$PWD/tmp/coviz-*" | head -1)")" = 600 ]
	kill -9 $pid
	exec 7>&-
}

@test "every mistake is one line that says what would be right" {
	complains 2 'which recording?'
	complains 2 'unknown option --zomo; there are: --at --size' "$T" --zomo x
	complains 2 'unknown option -y' "$T" -y
	complains 2 '--at needs a value' "$T" --at
	complains 2 'WIDTHxHEIGHT' "$T" --size 12
	complains 2 'coroutines|code' "$T" --zoom kitchen
	complains 2 'txt, ansi, svg' "$T" --dump gif
	complains 2 'one recording at a time' "$T" "$T"
	complains 2 'for coviz run' --all "$T"
	complains 2 'this is no terminal; --dump txt' "$T"
	complains 1 'nowhere' "$T" --at nowhere --dump txt
	complains 1 'no.cot' no.cot --dump txt
	complains 2 'recrod: no such file; commands are record, run, help' recrod -- /bin/true
	complains 1 'no.cot: no such file' no.cot # not: no terminal
	complains 1 'no_such_program: no such program' run -- no_such_program
	echo 'no trace' >text.cot
	complains 1 'text.cot' text.cot --dump txt
	complains 1 '/no/such/file.svg' "$T" --dump /no/such/file.svg
	complains 2 'help about keys' help cooking
}

@test "without recorded calls, { and } say how to get them" {
	coviz record -q -o 1.cot -- "$root/$B/lessons/01-swap/demo" >/dev/null
	printf '}\nexpect none is recorded: coviz record --all\n' >keys
	coviz 1.cot --script keys
}

@test "a damaged recording: one cause, what can be shown, and status 1" {
	{ head -c 15000 "$T"; printf 'x'; tail -c +15002 "$T"; } >bad.cot
	for how in --list "--dump txt"; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr -1 coviz bad.cot $how
		[[ $output == *"switch"* ]]
		[ "$(wc -l <<<"$stderr")" = 1 ]
		[[ $stderr == "coviz: damaged: "* && $stderr != *";"* ]]
	done
}

@test "help, keys, scripts, version" {
	run -0 coviz --help
	[[ $output == *"--at PLACE"* && $output == *"coviz run"* ]]
	run -0 coviz help keys
	[[ $output == *"one instruction on"* && $output != *"(rsp)"* ]]
	run -0 coviz help signs
	[[ $output == *"(rsp) (rbp)  "*"where the saved ones point"* && $output != *"instruction on"* ]]
	run -0 coviz help script
	[[ $output == *"expect TEXT"* ]]
	run -0 coviz --version
	[ "$output" = "coviz $(env -u MAKEFLAGS make -s -C "$root" print-VERSION)" ]
}

@test "--list tells events in lines, with the places that --at takes" {
	coviz "$T" --list >list
	[ "$(sed -n '1,5s/^ *[0-9]*  //p' list)" = 'create#1  walker
resume#1  walker  by main
switch:1  main -> walker
yield#1  walker  to main
switch:2  walker -> main' ]
	[ "$(tail -1 list | sed 's/^ *[0-9]*  //')" = 'end#1  status 0' ]
	while read -r state place _; do # as the screen's status line counts
		coviz "$T" --at "$place" --dump txt --size 80x24 | tail -1 | grep -q "^ $state/" || return
	done < <(awk 'NR % 9 == 1' list)
	cat >crash.c <<-'END'
		#include <costep.h>
		#include <signal.h>
		static void *dies(void *arg) { raise(SIGSEGV); return arg; }
		int main(void) { struct co *co; return co_create(&co, 0, dies, 0) || co_resume(co); }
	END
	gcc -I"$root/src" crash.c "$root/build/libcostep.a" -o crash
	coviz record -q -o c.cot -- ./crash >/dev/null 2>&1 || true
	coviz c.cot --list >list
	grep -q 'switch:1  main -> co 2$' list || grep -q 'switch:1  main -> co 1$' list
	grep -q 'signal#1  SIGSEGV$' list
	[ "$(tail -1 list | sed 's/^ *[0-9]*  //')" = 'end#1  SIGSEGV' ]
}
