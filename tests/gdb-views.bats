# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154,SC2317 # $co is GDB's; bats sets output; each calls one
# co ID and co-apply, the seams in bt, co-tree, co-savebuf, co-check, co-timers, co-fds, co-waits,
# -json, printers, layout co, auto-load. What needs no GDB: fixtures/gdb_views_model.py.

setup_file() {
	bats_require_minimum_version 1.5.0
	load gdb_helper
	build gcc -O0 &
	build gcc -O2 && build clang -O0 && wait $!
	env -u MAKEFLAGS make -s lib >/dev/null
	env -u MAKEFLAGS make -s B="${B:-build/debug-gcc-O0}" "${B:-build/debug-gcc-O0}"/lessons/0{1-swap,5-timers,6-epoll,8-hooks}/demo >/dev/null
}

setup() {
	load gdb_helper
	load tmux_helper
	export SEES=200
	demo=$BATS_FILE_TMPDIR/shared-gcc-O0
	lessons=${B:-build/debug-gcc-O0}/lessons
}

build() { # compiler level
	local file files=''
	for file in $(env -u MAKEFLAGS make -s print-FILES_1 print-FILES_2 print-FILES_3 print-FILES_10); do
		files+=" $(ls "$file".[cS])"
	done
	# shellcheck disable=SC2086  # lists of words
	"$1" -g -std=gnu11 -D_GNU_SOURCE -fPIC -fno-omit-frame-pointer -rdynamic -Isrc "$2" \
		tests/fixtures/gdb_shared.c $files -lpthread -o "$BATS_FILE_TMPDIR/shared-$1$2"
}

in_main() { printf '%s\n' "break stop_here if why[3] == 'm'" run; }
in_bob() { printf '%s\n' "break stop_here if why[3] == 'b'" run; } # main -> carol -> dave -> bob

own_frames() {
	sed -nE 's/^#[0-9]+ +(0x[0-9a-f]+ in )?((alice|bob|carol|dave)_[a-z]+|yield_here|stop_here|main) .*/\2/p' | xargs
}

alices="yield_here alice_aligned alice_leaf alice_leaf alice_leaf alice_inlined alice_body"
bobs="yield_here bob_leaf bob_leaf bob_leaf bob_leaf bob_leaf bob_leaf bob_body"

each() { # function: of every program
	local program
	for program in ${COSTEP_FULL:+gcc-O0} gcc-O2 clang-O0; do # COSTEP_FULL=1: the third, too
		echo "--- $program"
		"$1" "$BATS_FILE_TMPDIR/shared-$program"
	done
}

@test "what needs no GDB: all cases" {
	run -0 timeout 60 python3 tests/fixtures/gdb_views_model.py
	echo "$output"
}

@test "co ID: GDB's own commands show that one, never the occupant of its slot" {
	one() {
		out=$({ in_main; printf '%s\n' 'co alice' bt 'bt -full' 'up 6' 'info args' 'info locals' 'print tag' down 'down 99' down \
			'co bob' 'bt -1' bt 'co off' bt 'show backtrace past-main' 'show trust-readonly-sections'; } | debug "$1")
		echo "$out"
		no_fault "$out"
		[ "$(answer 'co alice' <<<"$out" | sed -n 1p | sed 's/[0-9]* bytes/N bytes/')" = \
			'coroutine 1 "alice", suspended, copied out (N bytes)' ]
		[ "$(sed '/^(gdb) co bob/,$d' <<<"$out" | answer bt | own_frames)" = "$alices" ]
		sed '/^(gdb) co bob/,$d' <<<"$out" | answer bt | grep -c 'bob\|stop_here' | grep -qx 0
		answer 'down 99' <<<"$out" | grep -q 'frame 1 is the innermost of coroutine 1 "alice", and is selected'
		answer 'bt -full' <<<"$out" | grep -q 'local = 222'
		answer 'bt -full' <<<"$out" | grep -q "tag = \"alice's"
		answer 'down' <<<"$out" | grep -q 'Bottom (innermost) frame of coroutine 1 "alice" selected'
		[ "$(sed '1,/^(gdb) co bob/d;/^(gdb) co off/,$d' <<<"$out" | answer bt | own_frames)" = "$bobs" ]
		sed '1,/^(gdb) co off/d' <<<"$out" | answer bt | own_frames | grep -qx 'stop_here main'
		grep -q 'past "main" is off' <<<"$out"
		grep -q 'readonly sections is off' <<<"$out"
	}
	each one
	# At -O0 every variable has a place: its own.
	out=$({ in_main; printf '%s\n' 'co 1' 'frame function alice_leaf' 'info args' 'print tag' 'print/x $rsp == $co_reg(1, "rsp")' \
		'frame 1' 'print $rsp == $co_reg(1, "rsp")' 'x/s tag' 'frame function alice_aligned' 'info locals'; } | debug "$demo")
	echo "$out"
	answer 'info args' <<<"$out" | grep -q "tag = 0x[0-9a-f]* \"alice's\""
	answer 'print tag' <<<"$out" | grep -q "\"alice's\""
	answer 'print $rsp == $co_reg(1, "rsp")' <<<"$out" | grep -q '= 1'
	answer 'info locals' <<<"$out" | grep -q 'unknown = 0x[0-9a-f]* "a"'
	# The thread stands in the same function.
	out=$({ in_main; printf '%s\n' 'tbreak yield_here' continue 'co alice' 'frame function yield_here' up; } | debug "$demo")
	echo "$out"
	answer 'frame function yield_here' <<<"$out" | grep -qx '(that is the thread itself; in coroutine 1 "alice" it is frame 5, and that is selected:)'
	answer up <<<"$out" | grep -q '^#6 .* alice_aligned '
}

@test "co-bt, co-regs and co-stack without an ID mean the one that co has selected, if there is one" {
	out=$({ in_main; printf '%s\n' 'co bob' co-bt co-regs 'co-stack -words 3' 'co off' co-bt co-regs 'co-stack -words 3'; } | debug "$demo")
	echo "$out"
	before=$(sed '1,/^(gdb) co bob/d;/^(gdb) co off/,$d' <<<"$out") after=$(sed '1,/^(gdb) co off/d' <<<"$out")
	for command in co-bt co-regs 'co-stack -words 3'; do
		answer "$command" <<<"$before" | sed -n 1p | grep '"bob", suspended'
		answer "$command" <<<"$after" | sed -n 1p | grep '"main", on the processor'
	done
}

@test "co ID: stopped in a coroutine, in the middle of a switch, and on cores" {
	one() {
		out=$({ in_bob; printf '%s\n' 'co alice' bt 'co carol' bt 'co dave' bt "generate-core-file $BATS_TEST_TMPDIR/core" \
			'tbreak coctx_swap' continue 'stepi 9' 'co alice' 'bt 40' 'stepi 12' 'co alice' 'bt 50'; } | debug "$1")
		echo "$out"
		no_fault "$out"
		[ "$(sed '/^(gdb) co carol/,$d' <<<"$out" | answer bt | own_frames)" = "$alices" ]
		[ "$(sed '1,/^(gdb) co carol/d;/^(gdb) co dave/,$d' <<<"$out" | answer bt | own_frames)" = "carol_resumes carol_body main" ]
		[ "$(sed '1,/^(gdb) co dave/d' <<<"$out" | answer bt | own_frames)" = "dave_body" ]
		[ "$(answer 'bt 40' <<<"$out" | own_frames)" = "$alices" ]
		[ "$(answer 'bt 50' <<<"$out" | own_frames)" = "$alices" ]
		core=$(printf '%s\n' 'co alice' bt 'co off' 'co-apply carol bt' | debug "$1" -core "$BATS_TEST_TMPDIR/core")
		echo "$core"
		no_fault "$core"
		[ "$(answer bt <<<"$core" | own_frames)" = "$alices" ]
		answer 'co-apply carol bt' <<<"$core" | own_frames | grep -q '^carol_resumes carol_body'
	}
	each one
}

@test "the selection ends when the program goes on; next and step are those of the thread" {
	out=$({ in_main; printf '%s\n' 'co alice' next 'info source' 'bt 5' 'co' 'co alice' up 'break main if 0' 'continue' \
		'co off' 'show trust-readonly-sections'; } | debug "$demo")
	echo "$out"
	no_fault "$out"
	[ "$(grep -c '^(coroutine 1 "alice" is not selected any more: the program goes on)$' <<<"$out")" -eq 2 ]
	answer next <<<"$out" | grep -q '^27'
	[ "$(answer 'bt 5' <<<"$out" | own_frames)" = "stop_here main" ]
	answer co <<<"$out" | grep -qx 'no coroutine is selected: GDB shows the thread itself'
	answer 'co off' <<<"$out" | grep -qx 'co: no coroutine is selected'
	# At a call, next goes over it.
	out=$({ in_main; printf '%s\n' finish 'stepi 2' 'x/i $pc' 'co alice' next; } | debug "$demo")
	echo "$out"
	answer 'x/i $pc' <<<"$out" | grep -q 'call .*co_resume'
	sed '1,/^(gdb) co alice/d' <<<"$out" | answer next | grep -q '^158'
}

@test "co and co-apply: who has no frames, who runs, and all" {
	out=$({ in_main; printf '%s\n' 'co carol' 'co frank' 'co nobody' 'co main' 'co alice' 'up 5' 'co-apply bob bt 7' frame \
		'co-apply all bt 6' frame 'co-apply' 'co-apply all nonsense' \
		'co-apply all -s frame function bob_leaf' 'co-apply 1 3 4 bt 1' 'co-apply 1 -s' 'co-apply 1 3'; } | debug "$demo")
	echo "$out"
	no_fault "$out"
	grep -qx 'co: 3 "carol" has not begun: it has no frames' <<<"$out"
	grep -qx 'co: 6 "frank" is done: it has no frames' <<<"$out"
	grep -qx 'co: no coroutine "nobody"; co-list shows them' <<<"$out"
	answer 'co main' <<<"$out" | head -1 | grep -qx 'coroutine 0 "main" is on the processor: this is its thread'
	answer 'co-apply bob bt 7' <<<"$out" | own_frames | grep -q 'yield_here bob_leaf'
	[ "$(answer frame <<<"$out" | grep -c '^#6 .* alice_aligned')" -eq 2 ]
	[ "$(answer 'co-apply all bt 6' <<<"$out" | grep -c '^coroutine ')" -eq 7 ]
	answer 'co-apply all bt 6' <<<"$out" | grep -qx '(4 "dave" has not begun: it has no frames)'
	grep -qx 'co-apply: wants a coroutine and a command, as in: co-apply all bt' <<<"$out"
	[ "$(answer 'co-apply all nonsense' <<<"$out" | grep -c 'Undefined command')" -eq 3 ]
	silent=$(answer 'co-apply all -s frame function bob_leaf' <<<"$out")
	[ "$(grep '^coroutine' <<<"$silent")" = 'coroutine 2 "bob", suspended:' ]
	grep -qE '^#.* bob_leaf \(' <<<"$silent"
	[ "$(answer 'co-apply 1 3 4 bt 1' <<<"$out" | grep -oE '^coroutine [0-9]+|^\(4 "dave"' | xargs -d '\n')" = \
		'coroutine 1 coroutine 3 coroutine 4 (4 "dave"' ]
	[ "$(grep -c '^co-apply: wants a coroutine and a command' <<<"$out")" -eq 3 ]
}

@test "plain bt names the seams; -full, -no-filters and disable work" {
	one() {
		out=$({ in_bob; printf '%s\n' bt 'bt -full' 'bt -no-filters' 'disable frame-filter global costep' bt; } | debug "$1")
		echo "$out"
		no_fault "$out"
		[ "$(grep -cE '^#[0-9]+ +---- coroutine 2 "bob", resumed by 4 "dave" ---- \(\)$' <<<"$out")" -eq 2 ]
		[ "$(answer 'bt -no-filters' <<<"$out" | grep -c -- '----')" -eq 0 ]
		answer 'bt -no-filters' <<<"$out" | grep -q '__morestack ()'
		diff <(answer 'bt -no-filters' <<<"$out") <(sed '1,/^(gdb) disable/d' <<<"$out" | answer bt)
		answer 'bt -full' <<<"$out" | grep -q 'local = 100[0-5]'
	}
	each one
}

@test "co-tree, co-savebuf and co-regs -diff, -last" {
	out=$({ in_bob; printf '%s\n' co-tree 'co-savebuf alice -words 1000' 'co-savebuf alice -diff -words 2' 'co-savebuf bob' co-savebuf \
		'co-regs alice -diff carol' 'co-regs alice -diff alice' 'co-regs -last' next 'co-regs -last' 'co-regs 1 -diff' 'co-tree x' \
		'eval "x/%dxb %#lx", $co(1)->exec.stack->save_len, $co(1)->exec.stack->save_buffer'; } | debug "$demo")
	echo "$out"
	no_fault "$out"
	[ "$(answer co-tree <<<"$out" | sed -n '2,$p' | tr -s ' ' | sed 's/ [^ ]* gdb_shared.*//')" = "$(cat <<-'EOT'
		 0 "main" normal
		 `- 3 "carol" normal
		 `- 4 "dave" normal
		* `- 2 "bob" running
		nobody has resumed:
		 1 "alice" suspended
		 5 "erin" new (not begun: frank_body)
		 6 "frank" done (has returned)
	EOT
	)" ]
	saved=$(answer 'co-savebuf alice -words 1000' <<<"$out" | sed -nE 's/^0x[0-9a-f]+ +-0x[0-9a-f]+ +(([0-9a-f]{2} ){8}).*/\1/p' | xargs)
	[ "$saved" = "$(sed '1,/^(gdb) eval/d' <<<"$out" | sed -n 's/^0x[^:]*://p' | sed 's/0x//g' | xargs)" ]
	answer 'co-savebuf alice -words 1000' <<<"$out" | grep -q 'in the slot now: 2 "bob", on the processor'
	answer 'co-savebuf alice -words 1000' <<<"$out" | grep -q "  alice's\. .*  bob$"
	[ "$(answer 'co-savebuf alice -diff -words 2' <<<"$out" | wc -l)" -eq 7 ]
	answer 'co-savebuf bob' <<<"$out" | grep -qx '2 "bob" is not copied out: its bytes are in place, in a slot that it shares'
	grep -qx 'co-savebuf: wants a coroutine, as in: co-savebuf 1 (copied out: 1 "alice", 3 "carol")' <<<"$out"
	answer 'co-regs alice -diff carol' <<<"$out" | grep -qE '^rsp +0x[0-9a-f]{16}  0x[0-9a-f]{16}  [-+]0x[0-9a-f]+ +stack of 1 "alice"'
	answer 'co-regs alice -diff alice' <<<"$out" | grep -qx 'all 10 registers are the same'
	answer 'co-regs -last' <<<"$out" | grep -qE '^rip .* \+0x'
	grep -qx 'co-regs: -diff wants an ID behind it' <<<"$out"
	grep -qx 'co-tree: takes no arguments but -json' <<<"$out"
}

@test "co-check: well at every instruction of switches; a planted fault is found, and in the exit status" {
	for program in ${COSTEP_FULL:+gcc-O0} gcc-O2; do
		out=$({ in_bob; printf '%s\n' 'tbreak co_yield_ct' continue 'source tests/fixtures/gdb_check_steps.py'; } |
			debug "$BATS_FILE_TMPDIR/shared-$program")
		echo "$out" | tail -5
		grep -qE '^stops: [0-9]{3} ok, [0-9]+ maybe, 0 BAD$' <<<"$out"
	done
	run -0 gdb -nx -q -batch -iex "set auto-load python-scripts off" -ex "source gdb/costep-gdb.py" \
		-ex "break stop_here if why[3] == 'm'" -ex run -ex co-check "$demo"
	[ "$(grep -c '^ok ' <<<"$output")" -eq 11 ]
	run -1 gdb -nx -q -batch -iex "set auto-load python-scripts off" -ex "source gdb/costep-gdb.py" \
		-ex "break stop_here if why[3] == 'm'" -ex run -ex 'set var $co(1)->exec.stack->save_len = 8' -ex co-check "$demo"
	echo "$output"
	grep -q '^BAD  *copied out: save_len is hi - rsp' <<<"$output"
	grep -q '1 "alice": 8 bytes are copied out, but hi - rsp is' <<<"$output"
	grep -q 'co-check: 1 of 11 checks are BAD' <<<"$output"
	run -1 gdb -nx -q -batch -iex "set auto-load python-scripts off" -ex "source gdb/costep-gdb.py" \
		-ex "break stop_here if why[3] == 'm'" -ex run \
		-ex 'set var $co(1)->exec.ctx.rsp = $co(1)->exec.stack->lo - 64' -ex co-check "$demo"
	echo "$output"
	grep -qE '^ +1 "alice": a stack overflow: rsp is 64 bytes below it, in the guard$' <<<"$output"
}

@test "co-timers and co-fds: all kinds of timers, a core, a stripped program" {
	for kind in heap wheel timerfd; do
		out=$(printf '%s\n' 'tbreak co_eventloop' run co-timers "co-core $BATS_TEST_TMPDIR/core" |
			COSTEP_TIMER=$kind debug "$lessons/05-timers/demo")
		echo "$out"
		no_fault "$out"
		answer co-timers <<<"$out" | head -1 | grep -q ": 3 timers (kind: $kind)$"
		[ "$(answer co-timers <<<"$out" | awk '$2 ~ /^[ABC]$/ { print $2, $4, $6 }' | xargs)" = \
			"B 0.010000000 +0.000 C 0.020000000 +10.000 A 0.030000000 +20.000" ]
	done
	core=$(printf '%s\n' co-timers co-fds | debug "$lessons/05-timers/demo" -core "$BATS_TEST_TMPDIR/core")
	echo "$core"
	[ "$(answer co-timers <<<"$core" | awk '$2 ~ /^[ABC]$/ { print $2 }' | xargs)" = "B C A" ]
	out=$(printf '%s\n' 'tbreak co_eventloop' run co-fds 'co-fds -json' co-timers | debug "$lessons/06-epoll/demo")
	echo "$out"
	answer co-fds <<<"$out" | head -1 | grep -qE ': 2 wait for 2 descriptors; epoll set: [0-9]+$'
	answer co-fds <<<"$out" | grep -qE '^ ?[0-9]+ +IN +1 +ping +waiting +pipe:\[[0-9]+\] +play demo.c:'
	answer co-timers <<<"$out" | grep -q 'nobody waits for a time'
	cp "$lessons/05-timers/demo" "$BATS_TEST_TMPDIR/stripped"
	strip "$BATS_TEST_TMPDIR/stripped"
	out=$(printf '%s\n' 'break nanosleep' 'break clock_nanosleep' 'break co_eventloop' run co-timers co-tree | debug "$BATS_TEST_TMPDIR/stripped")
	echo "$out"
	answer co-timers <<<"$out" | grep -q '^co-timers: the program has no debug information of the library'
	answer co-tree <<<"$out" | grep -q '0 "main"'
}

@test "co-waits and co-fds: a hooked read" {
	out=$(printf '%s\n' 'break epoll_pwait2' 'run echo >/dev/null' co-waits co-fds | debug "$lessons/08-hooks/demo")
	no_fault "$out"
	[ "$(answer co-waits <<<"$out" | grep -cE '^ *[0-9]+ +client +waiting +a read: [0-9]+ IN +ask demo.c:')" -gt 100 ]
	[ "$(answer co-fds <<<"$out" | grep -cE '^ *[0-9]+ +IN +[0-9]+ +client +waiting ')" -gt 100 ]
}

@test "co-waits: who waits for what, who holds it, and a circle" {
	gcc -g -D_GNU_SOURCE -Isrc tests/fixtures/gdb_waits.c build/libcostep.a -lpthread -ldl -o "$BATS_TEST_TMPDIR/waits"
	out=$(printf '%s\n' 'break stop_here' run 'co-waits -json' continue co-waits 'set width 80' 'co-waits -json' \
		'set var locks[2]->holder = 0' 'co-apply 1 co-waits' 'print locks[0]' 'print silent' | debug "$BATS_TEST_TMPDIR/waits")
	echo "$out"
	no_fault "$out"
	answer co-waits <<<"$out" | sed -n 1p | grep -qE ': 8 wait$'
	locks=$(answer 'print locks[0]' <<<"$out" | grep -oE '0x[0-9a-f]+')
	silent=$(answer 'print silent' <<<"$out" | grep -oE '0x[0-9a-f]+')
	[ "$(answer co-waits <<<"$out" | grep -E "guest|cy|deaf" | grep -v circle | tr -s ' ' | cut -d' ' -f2-9 | xargs -n 8 | sort)" = \
		"$(printf '%s\n' "3 cy waiting a mutex $locks, held by" "4 guest waiting a mutex $locks, held by" "5 deaf waiting a condition $silent listens gdb_waits.c:36" | sort)" ]
	answer co-waits <<<"$out" | grep -qE ' 6 +heard +ready +a condition 0x[0-9a-f]+, called +listens '
	answer co-waits <<<"$out" | grep -qE ' 8 +poller +waiting +a poll: [0-9]+ IN +polls '
	answer co-waits <<<"$out" | grep -qx 'a circle: 1 "ann" waits for 2 "bob" waits for 3 "cy" waits for 1 "ann"'
	[ "$(grep -c 'a circle' <<<"$out")" -eq 1 ] # and no more when one of the mutexes is free
	grep '^{' <<<"$out" >"$BATS_TEST_TMPDIR/json"
	python3 - "$BATS_TEST_TMPDIR/json" <<-'EOT'
		import json, sys
		none, some = [json.loads(line)["waits"] for line in open(sys.argv[1])]
		assert none == [], none
		assert [(w["id"], w["kind"], w["holder"], w["circle"]) for w in some] == [
		    (1, "a mutex", 2, [1, 2, 3]), (2, "a mutex", 3, [1, 2, 3]), (3, "a mutex", 1, [1, 2, 3]), (4, "a mutex", 1, None),
		    (5, "a condition", None, None), (6, "a condition", None, None), (7, "a sleep", None, None), (8, "a poll", None, None)]
		assert [w["is_called"] for w in some] == 5 * [False] + [True] + 2 * [False]
		assert len(some[7]["fds"]) == 1 and some[2]["of"] == some[3]["of"] != some[0]["of"]
	EOT
}

@test "-json is one line that says what the text says" {
	out=$({ in_bob; printf '%s\n' 'co-list -json' 'co-tree -json' 'co-bt -json' 'co-bt all -json' 'co-check -json' 'co-timers -json' \
		'co-fds -json' 'co-regs 1 -diff 2 -json'; } | debug "$demo")
	no_fault "$out"
	grep '^{' <<<"$out" >"$BATS_TEST_TMPDIR/json"
	python3 - "$BATS_TEST_TMPDIR/json" <<-'EOT'
		import json, sys
		docs = [json.loads(line) for line in open(sys.argv[1])]
		assert [d["command"] for d in docs] == ["co-list", "co-tree", "co-bt", "co-bt", "co-check", "co-timers", "co-fds", "co-regs"]
		assert all(d["costep"] == 1 for d in docs)
		cos = {c["id"]: c for c in docs[0]["threads"][0]["coroutines"]}
		def numbers(value):
		    if isinstance(value, (dict, list)):
		        return [n for item in (value.values() if isinstance(value, dict) else value) for n in numbers(item)]
		    return [value] if isinstance(value, int) else []
		assert max(numbers(docs[0])) < 1 << 32, "an address is a text"
		assert (cos[2]["name"], cos[2]["state"], cos[2]["resumed_by"], cos[2]["thread"]) == ("bob", "running", 4, 1)
		assert cos[1]["stack"]["save_len"] > 0 and cos[1]["where"].startswith("yield_here gdb_shared.c:")
		assert [c["id"] for c in docs[1]["threads"][0]["chain"]] == [0, 3, 4, 2]
		assert [s["id"] for s in docs[2]["backtraces"][0]["stacks"]] == [2, 4, 3, 0]
		assert docs[2]["backtraces"][0]["stacks"][0]["frames"][0]["function"] == "stop_here"
		assert [b["id"] for b in docs[3]["backtraces"]] == list(range(7))
		assert docs[4]["bad"] == 0 and len(docs[4]["checks"]) == 11
		assert docs[5]["timers"] == [] and docs[6]["fds"] == []
		assert docs[7]["of"] == '1 "alice"' and int(docs[7]["registers"]["rsp"], 16) == int(cos[1]["context"]["registers"]["rsp"], 16)
	EOT
}

@test "-json of a command that fails is a document that says why; the status is 1" {
	for command in 'co-list -json' 'co-bt 99 -json' 'co-check -json' 'co-core -json'; do
		run -1 --separate-stderr gdb -nx -q -batch -iex "set auto-load python-scripts off" -iex "set debug-file-directory /nowhere" \
			-ex "source gdb/costep-gdb.py" -ex "$command" "$demo"
		[[ $stderr == "${command%% *}: "* ]]
		why=$(python3 -m json.tool <<<"$output" | sed -nE 's/^ *"error": "(.*)"$/\1/p')
		[ "${command%% *}: ${why//\\/}" = "$stderr" ]
	done
}

@test "print shows the library's structs in words; \$co_reg; both can be refused" {
	out=$({ in_bob; printf '%s\n' 'print *$co(1)' 'print *$co(1)->exec.stack' 'print $co(1)->exec.ctx' 'print $co(1)->env->main.queue' \
		'print *$co(2)->env' 'print/r *$co(1)->exec.stack' 'print $co_reg("alice", "rsp") == $co(1)->exec.ctx.rsp' \
		'print $co_reg(2, "rsp") == $rsp' 'print $co_reg(1, "rax")'; } | debug "$demo")
	echo "$out"
	grep -q '= coroutine 1 "alice", suspended = {exec = ' <<<"$out"
	grep -qE '= 69248 bytes, guard of 65536, [0-9]+ copied out = \{lo = 0x[0-9a-f]+, hi = ' <<<"$out"
	grep -q '= goes on at co_swap, rsp 0x' <<<"$out"
	grep -q '= alone = {prev' <<<"$out"
	grep -q '= environment of LWP [0-9]*, running: 2 "bob"' <<<"$out"
	answer 'print/r *$co(1)->exec.stack' <<<"$out" | grep -q '= {lo = '
	[ "$(grep -cE '^\$[0-9]+ = 1$' <<<"$out")" -eq 2 ]
	grep -q 'there is no register "rax"; there are: rbx' <<<"$out"
}

teardown() {
	tm kill-server 2>/dev/null || true
}

@test "layout co: a window that follows the program and the selection" {
	tm new-session -d -x 130 -y 40 "TERM=screen-256color gdb -nx -q -iex 'set auto-load python-scripts off' -ex 'set confirm off' \
		-ex 'set pagination off' -ex 'source gdb/costep-gdb.py' -ex \"break stop_here if why[3] == 'b'\" -ex run -ex 'layout co' '$demo'"
	sees 'coroutines'
	sees '\* +2 +bob +running +stop_here'
	keys "co alice" Enter
	sees '> +1 +alice +copied out'
	sees '^coroutine 1 "alice", suspended, copied out \([0-9]+ bytes\)$'
	sees '^\(gdb\) co alice$' # each in a line of its own
	sees '^#1 .* in co_swap '
	sees '[0-9]+ +coctx_swap\(&from->ctx'
	keys "next" Enter
	sees ' +1 +alice +copied out .*'
	sees '>[ ~]*27 '
	tm resize-window -x 80 -y 24
	sees '\* +2 +bob +running +'
	keys "quit" Enter
}

@test "the library loads the commands itself: allowed, refused, stripped, installed" {
	auto() { timeout 60 gdb -nx -q -batch "$@" 2>&1 </dev/null; }
	out=$(auto -iex "add-auto-load-safe-path $BATS_FILE_TMPDIR" -ex "break stop_here" -ex run -ex co-list "$demo")
	echo "$out"
	grep -q '^thread 1 .*main and' <<<"$out" || grep -q 'no coroutines yet' <<<"$out"
	out=$(auto -iex "add-auto-load-safe-path $PWD" -ex "help co-regs" "$lessons/01-swap/demo")
	grep -q '^Usage: co-regs' <<<"$out"
	out=$(auto -ex co-list "$demo") || true
	echo "$out"
	grep -q "auto-loading has been declined by your .auto-load safe-path" <<<"$out"
	grep -q 'add-auto-load-safe-path' <<<"$out"
	cp "$demo" "$BATS_TEST_TMPDIR/g"
	strip -g "$BATS_TEST_TMPDIR/g"
	out=$(auto -iex "add-auto-load-safe-path $BATS_TEST_TMPDIR" -ex co-help -ex "source gdb/costep-gdb.py" -ex co-help "$BATS_TEST_TMPDIR/g")
	[ "$(grep -c 'Undefined command: "co-help"' <<<"$out")" -eq 1 ]
	[ "$(grep -c '^Coroutines in GDB' <<<"$out")" -eq 1 ]
	# As installed, with a shared library: it is loaded in the middle of run, which must still stop.
	mkdir -p "$BATS_TEST_TMPDIR/lib/costep/gdb"
	cp -r gdb/costep-gdb.py gdb/costep "$BATS_TEST_TMPDIR/lib/costep/gdb/"
	cp build/libcostep.so "$BATS_TEST_TMPDIR/lib/libcostep.so.0"
	ln -s libcostep.so.0 "$BATS_TEST_TMPDIR/lib/libcostep.so"
	gcc -g -Isrc tests/fixtures/gdb_shared.c -L"$BATS_TEST_TMPDIR/lib" -lcostep -Wl,-rpath,"$BATS_TEST_TMPDIR/lib" -o "$BATS_TEST_TMPDIR/so"
	out=$(auto -iex "add-auto-load-safe-path $BATS_TEST_TMPDIR" -ex "break stop_here if why[3] == 'm'" -ex run -ex co-list \
		-ex "python print(sys.modules['costep'].__file__)" "$BATS_TEST_TMPDIR/so")
	echo "$out"
	grep -qE ' 1  alice +suspended ' <<<"$out"
	grep -qx "$BATS_TEST_TMPDIR/lib/costep/gdb/costep/__init__.py" <<<"$out"
}
