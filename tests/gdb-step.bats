# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154 # $seed is GDB's; bats sets output
# The GDB commands that let the program run: co-next, co-step, co-finish, co-switch,
# co-break, co-catch; and co-viz. COSTEP_STEP_SEEDS: how many random programs (2).

setup_file() {
	bats_require_minimum_version 1.5.0
	load gdb_helper
	build gcc -O0 & build clang -O2
	wait
	cp "$BATS_FILE_TMPDIR/gcc-O0" "$BATS_FILE_TMPDIR/step"
}

setup() {
	load gdb_helper
	step=$BATS_FILE_TMPDIR/step
}

build() { # compiler level
	local file files=''
	for file in $(env -u MAKEFLAGS make -s print-FILES_1 print-FILES_2 print-FILES_3 print-FILES_4 print-FILES_10); do
		files+=" $(ls "$file".[cS])"
	done
	# shellcheck disable=SC2086  # a list of words
	"$1" -g -std=gnu11 -D_GNU_SOURCE -fPIC -fno-omit-frame-pointer -rdynamic -Isrc "$2" \
		tests/fixtures/gdb_step.c $files -lpthread -o "$BATS_FILE_TMPDIR/$1$2"
}

# line TEXT: the number of the only line of the fixture that is so
line() { grep -nxF "	$1" tests/fixtures/gdb_step.c | cut -d: -f1; }

# What a stepping command shows: the numbers of lines, and costep's own sentences.
shown() { sed -nE -e 's/^([0-9]+)	.*/\1/p' -e '/^(coroutine|co-[a-z]+:) /p'; }

# Behind everything: what may be left in GDB.
left() { printf '%s\n' 'python print("strays", [b.number for b in gdb.breakpoints() if b.number < 0])' 'info skip'; }
nothing_left() {
	grep -qx 'strays \[\]' <<<"$1"
	grep -qx 'Not skipping any files or functions.' <<<"$1"
	no_fault "$1"
}

in_alice() { printf '%s\n' "tbreak yield_twice if n == 'a'" run; }

@test "co-next over co_yield_ct on a shared stack stays with alice; plain next comes out in bob" {
	yield=$(line 'co_yield_ct();' | head -1)
	out=$({ in_alice; printf '%s\n' co-next 'print n' co-next co-next 'print n' co-next 'print n'; left; } |
		debug --args "$step" turns)
	echo "$out"
	[ "$(sed -n '/^(gdb) co-next/,$p' <<<"$out" | shown | head -4 | xargs)" = "$((yield + 1)) $((yield + 2)) $((yield + 3)) $((yield + 4))" ]
	[ "$(grep -c '^\$[123] = 97$' <<<"$out")" -eq 3 ]
	nothing_left "$out"
	# What it is for. (If a later GDB does better: good.)
	out=$({ printf '%s\n' "tbreak yield_twice if n == 'b'" run next 'print n'; } | debug --args "$step" turns)
	echo "$out"
	grep -qx '\$1 = 97' <<<"$out"
	out=$({ printf '%s\n' "tbreak yield_twice if n == 'b'" run co-next 'print n'; } | debug --args "$step" turns)
	grep -qx '\$1 = 98' <<<"$out"
}

@test "where nobody shares a stack, co-next shows the lines that next shows" {
	for command in next co-next; do
		out=$({ printf '%s\n' "tbreak by_turns" run; printf "$command\n%.0s" {1..18}; } |
			debug --args "$step" private)
		no_fault "$out"
		sed -n "/^(gdb) $command/,\$p" <<<"$out" | grep -v '^(gdb)' >"$BATS_TEST_TMPDIR/$command"
	done
	cat "$BATS_TEST_TMPDIR/co-next"
	diff "$BATS_TEST_TMPDIR/next" "$BATS_TEST_TMPDIR/co-next"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/next")" -ge 18 ]
}

@test "co-next N; at the end of a coroutine, its resumer; at the program's end, one line" {
	out=$({ in_alice; printf '%s\n' 'co-next 4' 'co-next 4' co-next co-next 'co-next 19' continue co-next; left; } | debug --args "$step" turns)
	echo "$out"
	answer 'co-next 4' <<<"$out" | shown >"$BATS_TEST_TMPDIR/lines"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/lines")" -eq 8 ]
	answer co-next <<<"$out" | grep -qx 'coroutine 1 "alice" has ended; 0 "main" goes on:'
	answer co-next <<<"$out" | grep -qE '^#0  by_turns \(.*gdb_step.c:[0-9]+$'
	# (without libc's debug information GDB's own next ends where main has returned to)
	answer 'co-next 19' <<<"$out" | grep -qxE 'co-next: (the program has ended meanwhile|Cannot find bounds of current function)'
	grep -qx 'co-next: the program is not running: type `run` first' <<<"$out"
	nothing_left "$out"
}

@test "in random programs of nested resumes co-next always comes out in the same coroutine" {
	chance() { # program seed plain
		printf '%s\n' "set var \$seed = $2" 'set var $rounds = 14' "set var \$plain = $3" \
			'source tests/fixtures/gdb_step_random.py' |
			debug --args "$BATS_FILE_TMPDIR/$1" random "$2" >"$BATS_TEST_TMPDIR/$2-$3"
	}
	chance gcc-O0 1 1 &
	plain=$!
	for seed in $(seq "${COSTEP_STEP_SEEDS:-2}"); do
		chance "$([ $((seed % 2)) -eq 1 ] && echo gcc-O0 || echo clang-O2)" "$seed" 0
		tail -8 "$BATS_TEST_TMPDIR/$seed-0"
		grep -qE '^lines [0-9]{2,}, over switches [1-9][0-9]*, ends [01], wrong 0, strays 0$' "$BATS_TEST_TMPDIR/$seed-0"
	done
	wait $plain
	tail -1 "$BATS_TEST_TMPDIR/1-1" # with next
	[ "$(grep -c '^in [0-9], not in' "$BATS_TEST_TMPDIR/1-1")" -ge 1 ]
}

@test "co-step on a line that resumes or yields stops on the other side, and not in the library" {
	out=$({ printf '%s\n' 'tbreak by_turns' run 'co-next 2'; printf 'co-step\n%.0s' {1..30}; left; } |
		debug --args "$step" turns)
	echo "$out"
	nothing_left "$out"
	[ "$(grep -cE '^#0 .* at src/|^(co_|coctx_)' <<<"$out")" -eq 0 ]
	grep -o '^coroutine .*' <<<"$out" | head -8 >"$BATS_TEST_TMPDIR/crossings"
	diff "$BATS_TEST_TMPDIR/crossings" - <<-'EOT'
		coroutine 0 "main" leaves; 1 "alice" begins:
		coroutine 1 "alice" leaves; 0 "main" goes on:
		coroutine 0 "main" leaves; 2 "bob" begins:
		coroutine 2 "bob" leaves; 0 "main" goes on:
		coroutine 0 "main" leaves; 1 "alice" goes on:
		coroutine 1 "alice" leaves; 0 "main" goes on:
		coroutine 0 "main" leaves; 2 "bob" goes on:
		coroutine 2 "bob" leaves; 0 "main" goes on:
	EOT
	# where it begins: behind the prologue, as a breakpoint there
	grep -A1 'alice" begins' <<<"$out" | tail -1 | grep -qE "^#0  body \(.*gdb_step.c:$(line 'int n = *(char *)arg;' | head -1)$"
	# from one of the library's own functions it goes into others
	printf '%s\n' 'tbreak co_yield_ct' run co-step | debug --args "$step" turns | answer co-step | grep -q '^co_suspend ('
}

@test "co-step through the loop goes to whoever runs next, and at last to whoever called it" {
	out=$({ printf '%s\n' 'tbreak ready_body' run 'co-next 3'; printf 'co-step\n%.0s' {1..5}; } | debug --args "$step" loop)
	echo "$out"
	grep -qx 'coroutine 1 "alice" has ended; 2 "bob" goes on:' <<<"$out"
	grep -A1 'coroutine 2 "bob" has ended; 0 "main" goes on:' <<<"$out" | grep -q '^#0  in_the_loop '
}

@test "one who resumes another on the slot that it stands on: by the copier, there and back" {
	out=$({ printf '%s\n' 'tbreak resumes_bob' run co-next 'print $co_self()->name'; } | debug --args "$step" hop)
	echo "$out"
	grep -q '= "alice"' <<<"$out"
	out=$({ printf '%s\n' 'tbreak resumes_bob' run co-step 'print $co_self()->name'; } | debug --args "$step" hop)
	echo "$out"
	grep -q '= "bob"' <<<"$out"
	grep -qx 'coroutine 1 "alice" leaves; 2 "bob" begins:' <<<"$out"
}

@test "co-step stops where a call that waits comes back, and in functions that the library calls" {
	files=$(env -u MAKEFLAGS make -s print-LIB_FILES print-HOOK_FILES | xargs -n 1 sh -c 'ls "$0".[cS]')
	# shellcheck disable=SC2086  # a list of words
	gcc -g -std=gnu11 -D_GNU_SOURCE -fPIC -rdynamic -Isrc tests/fixtures/gdb_loop.c $files -lpthread -ldl -o "$BATS_TEST_TMPDIR/loop"
	out=$({ printf '%s\n' 'break reads' run; printf 'co-step\n%.0s' {1..32}; left; } | debug --args "$BATS_TEST_TMPDIR/loop")
	echo "$out"
	nothing_left "$out"
	# (Whose turn it is when two are ready, the clock says.)
	sed -n '/^(gdb) co-step/,$p' <<<"$out" >"$BATS_TEST_TMPDIR/stepped"
	! grep -qE '(at|in) (src|asm)/' "$BATS_TEST_TMPDIR/stepped"
	at() { grep -nE "^	.*$1" tests/fixtures/gdb_loop.c | cut -d: -f1; }
	# A line of the reader's, and that the one after it was stopped at on the other side.
	for call in co_poll 'read.ends.0., &c, 1.;$' co_cond_timedwait; do
		line=$(at "$call" | tail -1)
		grep -A1 "^$line	" "$BATS_TEST_TMPDIR/stepped" >/dev/null
		grep -B2 "^$((line + 1))	" "$BATS_TEST_TMPDIR/stepped" | grep -qE '; 1 "reader" goes on:$'
	done
	for callback in on_time on_post; do
		grep -B1 "^#0  $callback " "$BATS_TEST_TMPDIR/stepped" | grep -qE '(^|; )called back by the library, on coroutine 0 "main":$'
	done
	# from the end of a callback: on to whoever is next
	[ "$(grep -A1 '^	*(gdb) co-step' "$BATS_TEST_TMPDIR/stepped" | grep -c '^coroutine 0 "main" leaves; . "[a-z]*" goes on:$')" -ge 3 ]
	out=$({ printf '%s\n' "tbreak $(at co_eventloop)" run co-step co-step co-step co-step; left; } | debug --args "$BATS_TEST_TMPDIR/loop" x)
	echo "$out"
	nothing_left "$out"
	grep -A1 '^called back by the library, on coroutine 0 "main":$' <<<"$out" | grep -q '^#0  on_turn '
}

@test "co-finish: this frame of this coroutine; its value; N frames; the last one ends the coroutine" {
	out=$({ in_alice; printf '%s\n' co-finish 'print n' co-finish co-finish co-finish; left; } |
		debug --args "$step" turns)
	echo "$out"
	grep -qx 'Value returned is $1 = 970' <<<"$out"
	grep -qx '$2 = 97' <<<"$out"
	grep -A1 'alice" has ended; 0 "main" goes on:' <<<"$out" | grep -q '^#0  by_turns'
	grep -qE 'co-finish: .* is the outermost frame of coroutine 0 "main": it returns to nobody' <<<"$out"
	nothing_left "$out"
	out=$({ in_alice; printf '%s\n' 'co-finish 3' 'co-finish 2'; left; } | debug --args "$step" turns)
	echo "$out"
	grep -qx 'coroutine 1 "alice" has ended; 0 "main" goes on:' <<<"$out"
	grep -qx 'co-finish: co_main is the outermost frame of coroutine 1 "alice": it returns to nobody' <<<"$out"
}

@test "co-finish after co ID: the selected frame of the suspended one" {
	out=$({ printf '%s\n' "tbreak yield_twice if n == 'b'" run 'co 1' 'frame function yield_twice' co-finish 'print n' \
		'print $co_self()->name' 'co 2' 'co-finish 50' co 'up 5' co-finish 'co 2' co-next; left; } | debug --args "$step" turns)
	echo "$out"
	# bob stands in that function, too, and his frame is not alice's
	grep -qx '(that is the thread itself; in coroutine 1 "alice" it is frame 5, and that is selected:)' <<<"$out"
	grep -qx 'Value returned is $1 = 970' <<<"$out"
	grep -qx '$2 = 97' <<<"$out"
	grep -q '^$3 = "alice"' <<<"$out"
	grep -qx 'co-finish: co_main is the outermost frame of coroutine 2 "bob": it returns to nobody' <<<"$out"
	grep -qx 'coroutine 2 "bob" is selected; co off ends that' <<<"$out"
	grep -qx 'coroutine 2 "bob" has ended; 0 "main" goes on:' <<<"$out"
	nothing_left "$out"
	out=$({ printf '%s\n' "tbreak yield_twice if n == 'b'" run 'co 1' co-next; left; } | debug --args "$step" turns)
	answer co-next <<<"$out" | grep -qx '(coroutine 1 "alice" is not selected any more: the program goes on)'
	# carol is the other thread's
	out=$({ printf '%s\n' "tbreak yield_twice if n == 'c'" run 'set scheduler-locking on' 'tbreak co_status thread 2' continue \
		'thread 1' 'co carol' co-finish 'thread 2' co; left; } | debug --args "$step" threads)
	echo "$out"
	answer co-finish <<<"$out" | grep -qE "^co-finish: coroutine [0-9]+ \"carol\" is another thread's: "
	grep -qE '^\(coroutine [0-9]+ "carol" is not selected any more: another thread is\)$' <<<"$out"
	answer co <<<"$out" | grep -qx 'no coroutine is selected: GDB shows the thread itself'
	nothing_left "$out"
}

@test "co-finish of a function that recurses: not where a deeper call returns, nor bob's" {
	out=$({ printf '%s\n' 'tbreak down if depth == 3' run co-finish 'print depth' 'print $co_self()->name'; left; } |
		debug --args "$step" deep)
	echo "$out"
	grep -qx 'Value returned is $1 = 6' <<<"$out"
	grep -qx '$2 = 4' <<<"$out"
	grep -q '^$3 = "alice"' <<<"$out"
	nothing_left "$out"
}

@test "breakpoints and signals stop as ever; released, reset: one line; nothing is left behind" {
	out=$({ in_alice; printf '%s\n' "break yield_twice if n == 'b'" co-next 'print n'; left; } | debug --args "$step" turns)
	echo "$out"
	grep -q '^Breakpoint 2, yield_twice (n=98)' <<<"$out"
	nothing_left "$out"
	out=$({ in_alice; printf '%s\n' co-next 'print $_siginfo.si_signo'; left; } | debug --args "$step" signal)
	echo "$out"
	grep -q '^Program received signal SIGUSR1' <<<"$out"
	nothing_left "$out"
	for what in release reset; do
		out=$({ in_alice; printf '%s\n' co-next; left; } | debug --args "$step" $what)
		echo "$out"
		grep -qx "co-next: coroutine 1 \"alice\" does not come back: here is its co_$what" <<<"$out"
		grep -qE "^#1 .* in main .*gdb_step.c:" <<<"$out"
		nothing_left "$out"
	done
	out=$({ in_alice; printf '%s\n' co-next; left; } | debug --args "$step" exit)
	answer co-next <<<"$out" | tail -1 | grep -qx 'co-next: the program has ended meanwhile'
	nothing_left "$out"
}

@test "Ctrl-C ends a wait for one who never comes" {
	cat >"$BATS_TEST_TMPDIR/ctrl_c.py" <<-'EOT'
		import os, signal, threading, time
		def press():    # once the program runs
		    time.sleep(0.4)
		    os.kill(os.getpid(), signal.SIGINT)
		threading.Thread(target=press).start()
	EOT
	out=$({ in_alice; printf '%s\n' "source $BATS_TEST_TMPDIR/ctrl_c.py" co-next 'print alice->n_resumes' \
		"source $BATS_TEST_TMPDIR/ctrl_c.py" 'co-switch 1000' 'show suppress-cli-notifications'; left; } |
		debug --args "$step" spin)
	tail -20 <<<"$out"
	[ "$(grep -c '^Program received signal SIGINT' <<<"$out")" -ge 1 ]
	grep -qx '$1 = 1' <<<"$out"
	grep -qE '^stopped before the end of the switch: signal SIGINT$|^Program received signal SIGINT' <<<"$out"
	grep -qx 'Suppression of printing CLI notifications is off.' <<<"$out"
	nothing_left "$out"
}

@test "only the coroutine of the selected thread is meant; the other thread runs on" {
	out=$({ printf '%s\n' "tbreak yield_twice if n == 'c'" run co-next 'print n' 'co-next 3' 'print n' thread; left; } |
		debug --args "$step" threads)
	echo "$out"
	[ "$(grep -c '^\$[12] = 99$' <<<"$out")" -ge 1 ]
	answer thread <<<"$out" | grep -q 'Current thread is 2 '
	nothing_left "$out"
}

# --- co-switch ----------------------------------------------------------------------------

@test "co-switch says of each instruction what stepi sees" {
	cat >"$BATS_TEST_TMPDIR/steps.py" <<-'EOT'
		import gdb, re
		names = "rax rbx rcx rdx rsi rdi rbp rsp r12 r13 r14 r15 rip eflags".split()
		gdb.execute("set suppress-cli-notifications on")
		gdb.execute("tbreak *coctx_swap", to_string=True)
		gdb.execute("continue", to_string=True)
		def now():
		    return {n: int(gdb.newest_frame().read_register(n)) & (1 << 64) - 1 for n in names}
		before = now()
		start, base = before["rip"], before["rdi"]
		inferior = gdb.selected_inferior()
		memory = bytes(inferior.read_memory(base, 80))
		print("oracle")
		while True:
		    gdb.execute("stepi", to_string=True)
		    after, m = now(), bytes(inferior.read_memory(base, 80))
		    for n in names:
		        if after[n] != before[n] and n not in ("rip", "eflags"):
		            print("%#x %s %#x -> %#x" % (before["rip"] - start, n, before[n], after[n]))
		    for i in range(0, 80, 8):
		        if m[i:i + 8] != memory[i:i + 8] and i < 64:
		            old, new = (int.from_bytes(x[i:i + 8], "little") for x in (memory, m))
		            print("%#x [%d] %#x -> %#x" % (before["rip"] - start, i, old, new))
		    before, memory = after, m
		    if not 0 <= after["rip"] - start < 256 or "coctx_swap" not in str(gdb.execute("info symbol $pc", to_string=True)):
		        break
		print("after %#x" % after["rip"])
	EOT
	printf '%s\n' "break yield_twice if n == 'a'" run delete >"$BATS_TEST_TMPDIR/to"
	out=$({ cat "$BATS_TEST_TMPDIR/to"; echo "source $BATS_TEST_TMPDIR/steps.py"; } | debug --args "$step" turns)
	out2=$({ cat "$BATS_TEST_TMPDIR/to"; printf '%s\n' 'co-switch' 'print/x $rip'; left; } | debug --args "$step" turns)
	echo "$out2"
	nothing_left "$out2"
	sed -n '/^oracle/,$p' <<<"$out" | grep -- '->' | sed -E 's/ \[([0-9]+)\]/ from->\1/' >"$BATS_TEST_TMPDIR/oracle"
	fields="rbx rbp r12 r13 r14 r15 rsp rip"
	i=0
	for field in $fields; do
		sed -i "s/from->$((8 * i)) /from->$field /" "$BATS_TEST_TMPDIR/oracle"
		i=$((i + 1))
	done
	# "+0x9  mov ...  what  old -> new  meaning"
	sed -nE 's/^  \+(0x[0-9a-f]+) .* (from->[a-z0-9]+|r[a-z0-9]+) +(0x[0-9a-f]+ -> 0x[0-9a-f]+).*/\1 \2 \3/p' <<<"$out2" |
		grep -v ' rip ' >"$BATS_TEST_TMPDIR/ours"
	diff "$BATS_TEST_TMPDIR/oracle" "$BATS_TEST_TMPDIR/ours"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/ours")" -ge 12 ]
	# the last line's rip is where it stands
	rip=$(sed -nE 's/^  \+0x[0-9a-f]+ +jmp .*-> (0x[0-9a-f]+).*/\1/p' <<<"$out2")
	grep -qx "\$1 = $rip" <<<"$out2"
	# the mark is right under the one that loads rsp, which names both
	grep -A1 '  rsp  *0x' <<<"$out2" | tail -1 |
		grep -qx -- '--- rsp changes hands: from the stack of 1 "alice" to that of 0 "main" ---'
	grep -q '^now on the processor: 0 "main"$' <<<"$out2"
}

@test "co-switch over the copier, its copies, as JSON, N times, and stopped in the middle" {
	out=$(printf '%s\n' 'tbreak resumes_bob' run 'co-switch' 'print $co_self()->name' 'co-switch 2 -json' \
		'break *coctx_swap+0x4f' 'co-switch' 'info symbol $pc' 'co-switch' 'show suppress-cli-notifications' |
		debug --args "$step" hop)
	echo "$out"
	no_fault "$out"
	[ "$(answer co-switch <<<"$out" | grep -c '^swap from')" -ge 3 ]
	grep -qx 'swap from 1 "alice" to the copier: .*' <<<"$out"
	grep -qE '^  [0-9]+ bytes of 1 "alice" were copied out, to its save_buffer at 0x[0-9a-f]+$' <<<"$out"
	grep -qx 'swap from the copier to 2 "bob": .*' <<<"$out"
	grep -q '^\$1 = "bob"' <<<"$out"
	answer 'co-switch 2 -json' <<<"$out" | python3 -c '
		import json, sys
		a, b = json.load(sys.stdin)
		assert a["from"] == "2 \"bob\"" and b["from"] == a["to"], (a["from"], a["to"], b["from"])
		assert sum(s["is_switch"] for s in a["steps"]) in (1, 2) and len(a["steps"]) >= 25
		assert set(a["steps"][0]) == {"address", "offset", "instruction", "what", "old", "new", "meaning", "is_switch"}
	' | sed 's/^\t*//'
	grep -qx 'stopped before the end of the switch: breakpoint 2' <<<"$out"
	grep -q 'coctx_swap + 79' <<<"$out"
	grep -qx 'Suppression of printing CLI notifications is off.' <<<"$out"
	[ "$(LC_ALL=C grep -c '[^ -~	]' <<<"$out")" -eq 0 ]
	[ "$(answer co-switch <<<"$out" | grep '^  ' | awk '{ print length }' | sort -n | tail -1)" -le 120 ]
}

@test "in a program that has only contexts: co-switch, co-step, co-catch by their names" {
	env -u MAKEFLAGS make -s B="$BATS_FILE_TMPDIR/lesson" "$BATS_FILE_TMPDIR/lesson/lessons/02-context/demo" >/dev/null
	demo=$BATS_FILE_TMPDIR/lesson/lessons/02-context/demo
	out=$(printf '%s\n' 'break main' run 'co-catch switch' continue 'co-switch' co-step co-next co-viz\ "$BATS_TEST_TMPDIR/2.cot" |
		debug "$demo")
	echo "$out"
	no_fault "$out"
	grep -qE '^switch from [a-z_]+(\[[0-9]\])? to [a-z_]+(\[[0-9]\])?$' <<<"$out"
	grep -qE '^--- rsp changes hands: ' <<<"$out"
}

# --- co-break, co-catch ------------------------------------------------------------------------

@test "co-break stops in that coroutine alone, by number or name, with a condition of one's own" {
	out=$(printf '%s\n' 'co-break yield_twice -co bob' 'co-break body -co 1 if n == 0 || 1' 'info breakpoints' run \
		'print n' continue 'print n' 'co-break yield_twice' 'co-break yield_twice -co nobody' continue | debug --args "$step" turns)
	echo "$out"
	no_fault "$out"
	grep -q 'stop only if $co_is("bob")$' <<<"$out"
	grep -q 'stop only if $co_is(1) && (n == 0 || 1)$' <<<"$out"
	grep -q '^Breakpoint 2, body ' <<<"$out"
	grep -q '^Breakpoint 1, yield_twice (n=98)' <<<"$out"
	[ "$(grep -c '^Breakpoint [12], ' <<<"$out")" -eq 2 ]
	grep -qx 'co-break: which coroutine? As in: co-break worker -co 2' <<<"$out"
	grep -qx 'there is no coroutine nobody yet; it counts as soon as there is' <<<"$out"
	grep -q 'exited normally' <<<"$out"
}

@test "the functions work in conditions, too" {
	out=$(printf '%s\n' 'break yield_twice if $co_self() == $co(2)' run 'print n' | debug --args "$step" turns)
	echo "$out"
	grep -qx '$1 = 98' <<<"$out"
	[ "$(grep -c 'Error in testing' <<<"$out")" -eq 0 ]
}

@test "on the copier co_is() is 0 for everybody, as nobody is on the processor" {
	line=$(grep -n 'memcpy(m->stack.save_buffer, sp, len);' src/sharestack.c | cut -d: -f1)
	out=$(printf '%s\n' 'break resumes_bob' run "break sharestack.c:$line if \$co_is(0) || \$co_is(1) || \$co_is(2)" \
		"tbreak sharestack.c:$((line + 1))" continue bt 'print $co_is("bob")' 'print $co_is(1)' continue | debug --args "$step" hop)
	echo "$out"
	no_fault "$out"
	grep -q '^Temporary breakpoint 3, save ' <<<"$out"
	grep -q ' copy_for_others ' <<<"$out"
	[ "$(grep -cx '\$[12] = 0' <<<"$out")" -eq 2 ]
	grep -q 'exited normally' <<<"$out"
}

@test "co-catch stops at switches from and to those, at creations and ends; delete works" {
	out=$(printf '%s\n' 'co-catch switch alice' 'co-catch create' run continue 'disable 2' 'co-catch switch any 2' \
		'co-catch exit' 'delete 1' continue 'print $co_self()->name' co-catch 'delete 3' continue continue \
		'info breakpoints' 'co-catch sleep' 'delete' continue | debug --args "$step" turns)
	echo "$out"
	no_fault "$out"
	grep -q '^a coroutine for body is created' <<<"$out"
	grep -q '^switch from 0 "main" to 2 "bob"$' <<<"$out"
	grep -q '= "main"' <<<"$out"
	grep -qx '3    switch from any to 2, 1 time' <<<"$out"
	grep -q '^coroutine 1 "alice" has ended, back to 0 "main"$' <<<"$out"
	grep -qx 'co-catch: the events are: switch \[FROM \[TO\]\], create, exit \[ID\]' <<<"$out"
	grep -q 'exited normally' <<<"$out"
}

# --- co-viz -------------------------------------------------------------------------------------

@test "co-viz writes the present stop as a trace that coviz shows" {
	make -s coviz >/dev/null
	out=$({ in_alice; printf '%s\n' "tbreak yield_twice if n == 'b'" continue "co-viz $BATS_TEST_TMPDIR/a.cot" 'print/x $rsp' \
		'tbreak *coctx_swap+0x2f' continue "co-viz $BATS_TEST_TMPDIR/b.cot" 'co-viz /nonexistent/x' 'co-viz a b'; } |
		debug --args "$step" turns)
	echo "$out"
	no_fault "$out"
	grep -qE "^$BATS_TEST_TMPDIR/a.cot: one state, 3 executions, [0-9]+ words of memory$" <<<"$out"
	grep -qx 'co-viz: /nonexistent/x cannot be written: No such file or directory' <<<"$out"
	run -0 timeout 20 build/coviz "$BATS_TEST_TMPDIR/a.cot" --dump txt --size 120x36 --ascii --addr raw
	echo "$output"
	grep -qE 'S1 alice +suspended' <<<"$output"
	grep -qE '>S2 bob +running' <<<"$output"
	grep -q 'save_buffer of alice' <<<"$output"
	grep -q 'yield_twice' <<<"$output"
	grep -qF "$(sed -n 's/^\$1 = 0x//p' <<<"$out")" <<<"$output"
	run -0 timeout 20 build/coviz "$BATS_TEST_TMPDIR/b.cot" --dump txt --size 120x36 --ascii
	echo "$output"
	grep -q 'switch 1/1: bob > main' <<<"$output"
}

@test "co-viz where no coviz is built: how to get one, in the source tree and beside an installed package" {
	mkdir -p "$BATS_TEST_TMPDIR/tree"
	cp -r gdb "$BATS_TEST_TMPDIR/tree"
	ask() { # on a terminal
		script -qec "gdb -nx -q -batch -iex 'set auto-load python-scripts off' -iex 'set debug-file-directory /nowhere' \
			-ex 'source $BATS_TEST_TMPDIR/tree/gdb/costep-gdb.py' -ex 'break main' -ex run -ex co-viz $step" /dev/null </dev/null
	}
	PATH=/usr/bin:/bin run ask
	echo "$output"
	[[ $output == *"co-viz: there is no coviz: in costep's source tree \`make coviz\` builds it (build/coviz); put that into PATH; co-viz FILE only writes"* ]]
	touch "$BATS_TEST_TMPDIR/tree/Makefile"
	PATH=/usr/bin:/bin run ask
	[[ $output == *"\`make coviz\` in $BATS_TEST_TMPDIR/tree builds it; "* ]]
}

@test "on a core: co-viz works, and what lets the program run says that it cannot" {
	out=$({ in_alice; echo "generate-core-file $BATS_TEST_TMPDIR/core"; } | debug --args "$step" turns)
	out=$(printf '%s\n' co-next co-step co-finish co-switch 'co-catch switch' 'co-catch create' co-catch "co-viz $BATS_TEST_TMPDIR/c.cot" | debug "$step" -core "$BATS_TEST_TMPDIR/core")
	echo "$out"
	no_fault "$out"
	[ "$(grep -cE '^co-(next|step|finish|switch|catch): this is a core: nothing can run in it$' <<<"$out")" -eq 6 ]
	grep -q '^nothing is caught' <<<"$out"
	grep -q 'c.cot: one state' <<<"$out"
}

# --- what is the user's --------------------------------------------------------------------------

@test "whatever a command says: settings, breakpoints, frame and program are as before" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	commands="co-list|co-list -json|co-tree|co-bt|co-bt all|co-bt 1|co-regs 1|co-regs -last|co-stack 1|co-savebuf 1 -diff|co-check|co-timers|co-fds
		co-apply all bt 1|co-apply 1 nonsense|co-catch|co 99|co|print *$co(1)|print $co_self()|print $co_is(1)|print $co_reg(1,'rsp')|bt|bt -full
		co-core|co-core /nonexistent/x|co-core $BATS_TEST_TMPDIR/core|co-core $BATS_TEST_TMPDIR/fifo|co-viz $BATS_TEST_TMPDIR/a.cot
		co-break|co-break yield_twice -co|co-catch nonsense|co-next x|co-step 0|co-finish -1|co-finish 99|co-switch x"
	checks=$(tr '|' '\n' <<<"$commands" | sed -E "s/^\t*(.*)$/python check(\"\1\")/")
	out=$({ printf '%s\n' "tbreak yield_twice if n == 'b'" run 'set backtrace limit 2' up 'source tests/fixtures/gdb_settings.py'
		echo "$checks"; printf '%s\n' 'co 1' 'up' 'set backtrace limit 3'; echo "$checks"; } | TMPDIR=$BATS_TEST_TMPDIR debug --args "$step" turns)
	echo "$out"
	no_fault "$out"
	[ "$(grep -c ' lines  ok$' <<<"$out")" -eq "$((2 * $(wc -l <<<"$checks")))" ]
	[ "$(grep -c ' BAD: ' <<<"$out")" -eq 0 ]
	# what is no file of ours to write over stays what it is
	[ -p "$BATS_TEST_TMPDIR/fifo" ] && [ -s "$BATS_TEST_TMPDIR/core" ]
	# GDB has ended with one selected, and what was put beside it is gone
	[ "$(find "$BATS_TEST_TMPDIR" -name 'costep-*' | wc -l)" -eq 0 ]
}

@test "in an ASCII locale, with a path of other letters, of spaces and quotes" {
	mkdir "$BATS_TEST_TMPDIR/d é'x"
	cp "$step" "$BATS_TEST_TMPDIR/d é'x/step"
	out=$({ printf '%s\n' "tbreak yield_twice if n == 'b' && \$co_is(2)" run co-list 'print $co_self()->name' 'co 1' bt 'co-apply "alice" bt 1' co-step \
		"co-core $BATS_TEST_TMPDIR/core" 'show host-charset'; left; } |
		LC_ALL=C TMPDIR="$BATS_TEST_TMPDIR/d é'x" debug --args "$BATS_TEST_TMPDIR/d é'x/step" turns)
	echo "$out"
	grep -qE '^ +1 +alice +suspended ' <<<"$out"
	grep -q '^\$1 = "bob"' <<<"$out"
	[ "$(answer 'co-apply "alice" bt 1' <<<"$out" | grep -c '^#1 ')" -eq 1 ]
	grep -qF "gdb '$BATS_TEST_TMPDIR/d é'\"'\"'x/step' $BATS_TEST_TMPDIR/core" <<<"$out"
	grep -q 'The host character set is "auto; currently ' <<<"$out"
	nothing_left "$out"
}

@test "a limit of backtraces is the user's: co-bt and the stepping do without it, co ID counts from its own frames" {
	out=$({ printf '%s\n' "tbreak yield_twice if n == 'b'" run 'set backtrace limit 2' 'co-bt 1' 'co 1' bt 'co off' bt co-step co-step co-step \
		'show backtrace limit'; left; } | debug --args "$step" turns)
	echo "$out"
	answer 'co-bt 1' <<<"$out" | grep -q ' body '
	[ "$(grep -c '^#' <<<"$(answer bt <<<"$out")")" -eq 4 ]
	grep -qx 'coroutine 2 "bob" leaves; 0 "main" goes on:' <<<"$out"
	grep -qx 'An upper bound on the number of backtrace levels is 2.' <<<"$out"
	nothing_left "$out"
}

@test "what display shows comes at each stop; in a fork's child the command says where GDB is" {
	out=$({ in_alice; printf '%s\n' 'display n' co-next co-next co-next; left; } | debug --args "$step" turns)
	echo "$out"
	[ "$(grep -cx '1: n = 97' <<<"$out")" -eq 3 ]
	out=$({ in_alice; printf '%s\n' 'set follow-fork-mode child' co-next co-list; left; } | debug --args "$step" fork)
	echo "$out"
	answer co-next <<<"$out" | grep -qx 'co-next: GDB looks at another process now, inferior 2'
	answer co-list <<<"$out" | grep -q 'main and 2 coroutines'
	nothing_left "$out"
}

@test "what needs no GDB: the trace's bytes, what an instruction writes, who runs" {
	run -0 timeout 60 python3 tests/fixtures/gdb_step_model.py all
	echo "$output"
	[ "${#lines[@]}" -ge 11 ]
}
