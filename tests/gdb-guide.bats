# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016 # $1 is GDB's
# The guided sessions of the lessons (make gdbN): what gdb.txt says GDB answers, and what a
# learner at a terminal (tmux) meets.

bats_require_minimum_version 1.5.0
load tmux_helper
export SEES=1200 # a minute
cd "$BATS_TEST_DIRNAME/.." || exit 1
export B=build/debug-gcc-O0 # which `make gdbN` takes: the answers are of that one

setup_file() {
	local lesson demos=()
	for lesson in lessons/[0-9]*/; do
		demos+=("$B/${lesson}demo")
	done
	env -u MAKEFLAGS -u VARIANT -u OPT make -s -j2 B="$B" CC=gcc "${demos[@]}" >/dev/null
}

teardown() {
	tm kill-server 2>/dev/null || true
}

@test "each lesson's session: GDB answers what gdb.txt says" {
	run tests/gdb-guide
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "how a session is read, and what of an answer is left out" {
	PYTHONPATH=gdb python3 -B - <<-'EOT'
		from costep import session
		text = "== One\nAsk?\n\nMore.\n\n(gdb) a\nx\n\n(gdb) b\n\nTell.\n\nEnd.\n\n== Two\nGo on.\n"
		steps = session.parse(text)
		assert [s.title for s in steps] == ["One", "Two"]
		assert steps[0].ask == ["Ask?", "", "More."] and steps[0].tell == ["Tell.", "", "End."]
		assert steps[0].commands == [("a", ["x"]), ("b", [])]
		assert "\n".join(l for s in steps for l in s.lines).rstrip("\n") + "\n" == text
		printed = "noise\n== One\nAsk?\n\n(gdb) a\ny 0x5555deadbeef\n\nz\n\n(gdb) b\n\nTell.\n== Two\nGo on.\n"
		assert session.answers(steps, printed)[0].commands == [("a", ["y 0x5555........", "z"]), ("b", [])]
		for bad in ("no title\n", "== One\n\n(gdb) a\n\nTell.\n\n(gdb) b\n\n== Two\n", "== One\n\n(gdb) a\n", ""):
		    try:
		        session.parse(bad)
		    except session.Malformed:
		        continue
		    raise AssertionError(bad)
		try:
		    session.answers(steps, printed.replace("(gdb) b", "(gdb) c"))
		    raise AssertionError
		except session.Malformed as error:
		    assert "(gdb) b" in str(error)
		for line, left in (("r 0x00007ffff702fed0  0x1000", "r 0x00007fff........  0x1000"),
		                   ("(LWP 123, selected) 2968/8M 368/128K", "(LWP N, selected) ..../8M 368/128K"),
		                   ("~ 12 of 3.5", "~ N of N.N"),
		                   ("a0 82 57 55 55 55 00 00  01*00*00*00*00*00*00 00", ".. .. .. .. 55 55 00 00  01*00*00*00*00*00*00 00"),
		                   ("a0 82*57 55 55 55*00 00  x", "..*.. .. .. 55 55*00 00  x")):
		    assert session.elide(line) == left, session.elide(line)
	EOT
}

@test "at a terminal: a step is asked, typed or had typed, and explained" {
	tm new-session -d -x 80 -y 100 "env -i PYTHONDONTWRITEBYTECODE=1 HOME=/ PATH='$PATH' TERM=tmux-256color LC_ALL=C.UTF-8 bash --norc"
	keys "PS1='\$ '; lessons/gdb 03-coroutine $B/lessons/03-coroutine/demo" Enter
	sees '^--- 1 of 11: Who is on the processor\? -+$'
	sees '^ +co-list$'
	keys 'print 6 * 7' Enter # nothing to do with it
	sees '^\$1 = 42$'
	run ! grep -q '2 of 11' < <(screen)
	keys '  co-list  ' Enter
	sees '^main: the stack pointer decides'
	sees '^--- 2 of 11'
	keys g Enter
	sees '^\(gdb\) co-regs walker$'
	sees '^--- 3 of 11'
	keys g Enter
	sees '^\(gdb\) disable 1$'
	keys Enter # once more: g
	sees '^Temporary breakpoint 2'
	keys c Enter # short for continue
	sees '^36 +found'
	keys C-c
	sees '^\(gdb\) Quit'
	keys co-bt Enter
	sees '^--- 4 of 11'
	keys 'co-guide 99' Enter
	sees '^co-guide: there are steps 1 to 11, show, and list$'
	# wandered off; and back, with the numbers that gdb.txt has
	keys continue Enter
	keys 'delete' Enter
	keys continue Enter
	sees 'exited normally\]$'
	sees '^The program has ended; this step was not done\. co-guide 4 begins it anew\.$'
	keys g Enter
	sees '^co-step: the program is not running: type `run` first$'
	keys 'co-guide 5' Enter
	sees '^--- 5 of 11: Into another one'
	keys 'info breakpoints' Enter
	sees '^1 +breakpoint +keep n .* in coctx_swap'
	keys g Enter
	sees '^Temporary breakpoint 3'
	keys quit Enter
	sees '^\$ ?$'
	keys 'echo "rc=$?"' Enter
	sees '^rc=0$' # in spite of the Ctrl-C
	keys 'stty -a | grep -o " echo "' Enter
	sees '^ echo'
}
