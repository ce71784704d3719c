# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2086,SC2154 # $co is GDB's; a variant is one word; bats sets output
# The GDB commands, on live programs and cores. What needs no GDB is in
# gdb-model.bats. A golden text is in fixtures/gdb/; COSTEP_UPDATE=1 rewrites it.

setup_file() {
	bats_require_minimum_version 1.5.0
	load gdb_helper
	for variant in $VARIANTS; do
		build_fixtures "$variant" gdb_demo gdb_many
	done
}

setup() {
	load gdb_helper
	demo=$BATS_FILE_TMPDIR/gcc-O0/gdb_demo
}

# same_as_golden NAME <text
same_as_golden() {
	local golden=tests/fixtures/gdb/$1.txt
	[ -z "${COSTEP_UPDATE:-}" ] || { cat >"$golden"; return; }
	diff -u "$golden" -
}

in_dave() { # commands that stop in dave: main -> carol -> dave
	printf '%s\n' "break stop_here if why[0] == 'i' && why[3] == 'd'" run
}

@test "loading prints nothing, twice too" {
	run gdb -nx -q -batch -ex "source gdb/costep-gdb.py" -ex "source gdb/costep-gdb.py"
	echo "$output"
	[ "$status" -eq 0 ] && [ -z "$output" ]
}

@test "co-list of some states, and in groups: as many as the whole list has of them, in it as in -json" {
	out=$({ in_dave; cat <<-'EOT'
		set width 80
		co-list
		co-list -state suspended
		co-list -state normal,new
		co-list -state waiting
		co-list -group state
		co-list -group where -state suspended,normal
		co-list -group where -json
		co-list -state new,suspended -json
		co-list -json
		co-list -state gone
		co-list -state ,
		co-list -group size
	EOT
	} | debug "$demo" | sed -n '/^(gdb) co-list/,$p')
	echo "$out"
	rows() { answer "$1" <<<"$out" | sed -nE "s/^[* ] +([0-9]+ .*)/\1/p" | tr -s ' '; }
	diff <(rows co-list | grep -E '^[0-9]+ \S+ suspended') <(rows 'co-list -state suspended')
	diff <(rows co-list | grep -E '^[0-9]+ \S+ (normal|new)') <(rows 'co-list -state normal,new')
	grep -v '^{' <<<"$out" | sed '1,/^(gdb) co-list -state waiting/d' | normalise | same_as_golden groups
	grep '^{' <<<"$out" >"$BATS_TEST_TMPDIR/json"
	python3 - "$BATS_TEST_TMPDIR/json" <<-'EOT'
		import collections, json, sys
		grouped, some, whole = [json.loads(line)["threads"][0] for line in open(sys.argv[1])]
		every = whole["coroutines"]
		assert some["coroutines"] == [co for co in every if co["state"] in ("new", "suspended")] and some["coroutines"]
		found = collections.defaultdict(list)
		for co in every:
		    found[co["where"]].append(co["id"])
		assert {g["where"]: g["ids"] for g in grouped["groups"]} == found
		assert all(g["n"] == len(g["ids"]) for g in grouped["groups"])
	EOT
}

@test "co-help lists every command on one screen, and each has usage and an example" {
	out=$(debug <<<"co-help" | answer co-help)
	echo "$out"
	[ "$(wc -l <<<"$out")" -le 40 ]
	for command in $(sed -nE 's/^  (co-[a-z]+|layout co|co) .*/\1/p' <<<"$out" | tr ' ' '.' | grep -vx co-help); do
		grep -qE "^\|.*\`${command}[ \`]" README.md || { echo "README.md does not tell of $command"; false; }
	done
	for command in co-list co-regs co-bt co-stack; do
		grep -q "^  $command" <<<"$out"
		out2=$(debug <<<"help $command")
		grep -q "^Usage: $command" <<<"$out2"
		grep -q "^Example: (gdb) $command" <<<"$out2"
	done
}

@test "help is no wider than a terminal" {
	commands=$(debug <<<"co-help" | answer co-help | grep -oE '^  co[a-z-]*')
	[ "$(wc -l <<<"$commands")" -ge 20 ]
	# shellcheck disable=SC2086 # words on purpose
	out=$({ printf 'help %s\n' $commands; printf 'help function %s\n' co co_reg co_is co_self; } | debug)
	echo "$out"
	run ! grep -E '.{80}' <<<"$out"
}

@test "without a program, before run, and in a program of others, one line says what to do" {
	out=$(printf '%s\n' co-list co-regs 'co-bt 2' co-stack 'print $co(1)' | debug)
	echo "$out"
	[ "$(grep -c 'no program is loaded: start GDB as `gdb PROGRAM`' <<<"$out")" -eq 5 ]
	[ "$(grep -vc '^(gdb)' <<<"$out")" -eq 5 ]
	out=$(printf '%s\n' co-list co-regs 'co-bt 2' co-stack 'print $co(1)' | debug "$demo")
	echo "$out"
	[ "$(grep -c 'the program is not running yet: type `run`' <<<"$out")" -eq 5 ]
	out=$(printf '%s\n' starti co-list co-bt | debug /bin/true)
	echo "$out"
	[ "$(grep -c 'this is no costep program' <<<"$out")" -eq 2 ]
	out=$(printf '%s\n' 'break stop_here' run co-list | debug "$demo" | answer co-list)
	[ "$out" = "no coroutines yet: a thread's first co_create makes its environment" ]
}

@test "bad arguments get one line that says what to do" {
	commands="co-list 3
co-bt 99
co-bt nobody
co-bt x y
co-regs 1 2
co-regs *(int*)0
co-stack -words
co-stack -words 0
co-stack -word 3
co-stack 1 2
print \$co(77)"
	out=$({ in_dave; echo "$commands"; } | debug "$demo" | sed -n '/^(gdb) co-list 3/,$p')
	echo "$out"
	same_as_golden arguments <<<"$out"
}

# --- what the screens look like ---------------------------------------------------

@test "the screens: stopped in a coroutine, in main, before the first one" {
	out=$(debug "$demo" <<-'EOT' | normalise
		break stop_here
		run
		continue
		co-list
		co-regs 2
		co-regs 5
		co-bt 2
		co-bt 5
		co-bt
		co-stack 2
		continue
		co-list
		co-bt
		co-bt alice
		co-stack -words 11
		print $co(2)->id
		print $co("bob")->name
		print $co_self()->name
	EOT
	)
	# The library's own words on bob's stack change with the library: leaf to bob_body.
	sed -n '/^(gdb) co-list/,$p' <<<"$out" | grep -v '^$' | sed '/ADDR -OFF ADDR \/ co_swap/,/return to leaf+OFF/d' |
		sed '/^ADDR -OFF ADDR \/ co_main/,/^(gdb)/{/^(gdb)/!d}' |
		same_as_golden screens
}

@test "co-list, co-bt and the seams say the same at -O0 and -O2, gcc and clang" {
	for variant in $VARIANTS; do
		out=$({ in_dave; printf '%s\n' co-list co-bt 'co-bt 1' 'co-bt 2' 'co-bt all'; } |
			debug "$BATS_FILE_TMPDIR/$variant/gdb_demo")
		no_fault "$out"
		{
			answer co-list <<<"$out" | normalise
			for command in co-bt 'co-bt 1' 'co-bt 2' 'co-bt all'; do
				answer "$command" <<<"$out" | user_frames
			done
		} | sed -E 's/(stop_here .*gdb_demo.c:2)[0-9]/\1N/' >"$BATS_TEST_TMPDIR/$variant"
		COSTEP_UPDATE=$([ $variant = gcc-O0 ] && echo "${COSTEP_UPDATE:-}") \
			same_as_golden variants <"$BATS_TEST_TMPDIR/$variant"
	done
}

@test "tables keep to the width of the terminal, and columns line up" {
	for width in 80 100 120; do
		out=$({ in_dave; printf '%s\n' "set width $width" co-list 'co-regs 2' co-regs 'co-stack 2'; } | debug "$demo" |
			sed -n '/^(gdb) co-list/,$p')
		echo "$out"
		[ "$(awk '{ print length }' <<<"$out" | sort -n | tail -1)" -le $width ]
		LC_ALL=C run grep -n '[^ -~]' <<<"$out"
		[ "$status" -eq 1 ]
		# every state begins in the column where the header says
		answer co-list <<<"$out" | awk '/ id .*state/ { at = index($0, "state") }
			/alice|bob|carol|dave|erin|frank/ { if (substr($0, at) !~ /^(suspended|new|normal|running)/ || substr($0, at - 1, 1) != " ") bad = 1 }
			END { exit bad || !at }'
		# in a narrow one, what a register means is worth more than where it will be saved
		[ "$(answer co-regs <<<"$out" | grep -c 'goes to')" -eq $((width > 80)) ]
	done
}

# --- oracles ------------------------------------------------------------------------

@test "co-regs shows what is in memory and in the registers" {
	out=$({ in_dave; cat <<-'EOT'
		co-regs 2
		printf "rbx %#018lx %#lx\n", $co(2)->exec.ctx.rbx, &$co(2)->exec.ctx.rbx
		printf "rbp %#018lx %#lx\n", $co(2)->exec.ctx.rbp, &$co(2)->exec.ctx.rbp
		printf "r12 %#018lx %#lx\n", $co(2)->exec.ctx.r12, &$co(2)->exec.ctx.r12
		printf "r13 %#018lx %#lx\n", $co(2)->exec.ctx.r13, &$co(2)->exec.ctx.r13
		printf "rsp %#018lx %#lx\n", $co(2)->exec.ctx.rsp, &$co(2)->exec.ctx.rsp
		printf "rip %#018lx %#lx\n", $co(2)->exec.ctx.rip, &$co(2)->exec.ctx.rip
		co-regs
		printf "rbx %#018lx %#lx\n", $rbx, &$co(4)->exec.ctx.rbx
		printf "rsp %#018lx %#lx\n", $rsp, &$co(4)->exec.ctx.rsp
		printf "rip %#018lx %#lx\n", $rip, &$co(4)->exec.ctx.rip
		printf "rdi %#018lx\n", $rdi
	EOT
	} | debug "$demo")
	echo "$out"
	for command in "co-regs 2" co-regs; do
		shown=$(answer "$command" <<<"$out" | awk '{ print $1, $2, $3 }')
		expected=$(sed -n "/^(gdb) $command\$/,/^(gdb) co-regs\$/p" <<<"$out" | grep -E '^r[a-z0-9]+ 0x[0-9a-f]{16}( 0x[0-9a-f]+)?$')
		[ "$command" = "co-regs 2" ] || expected=$(sed -n '/^(gdb) co-regs$/,$p' <<<"$out" | grep -E '^r[a-z0-9]+ 0x[0-9a-f]{16}( 0x[0-9a-f]+)?$')
		[ "$(wc -l <<<"$expected")" -ge 4 ]
		while read -r line; do
			grep -qF "$line" <<<"$shown"
		done <<<"$expected"
	done
}

@test "mxcsr and x87cw are told in words" {
	out=$({ in_dave; cat <<-'EOT'
		set var bob->exec.ctx.mxcsr = 0xffc1
		set var bob->exec.ctx.x87cw = 0x0a7b
		set width 200
		co-regs 2
	EOT
	} | debug "$demo" | answer 'co-regs 2' | grep -E '^(mxcsr|x87cw)')
	echo "$out"
	grep -q 'mxcsr .*rounds to zero; no traps; flush to zero; denormals are zero; happened: invalid' <<<"$out"
	grep -q 'x87cw .*rounds up; traps on divide; precision 53 bits' <<<"$out"
}

@test "co-stack shows every word from rsp to the top, and where each return goes" {
	for variant in gcc-O0 clang-O2; do
		out=$({ in_dave; cat <<-'EOT'
			co-stack 2 -words 1000
			eval "x/%dgx %#lx", (char*)$co(2)->exec.stack->hi - (char*)$co(2)->exec.ctx.rsp >> 3, $co(2)->exec.ctx.rsp
			co-bt 2
		EOT
		} | debug "$BATS_FILE_TMPDIR/$variant/gdb_demo")
		echo "$out"
		shown=$(answer 'co-stack 2 -words 1000' <<<"$out" | awk '/^0x/ { print $3 }')
		words=$(sed -n '/^(gdb) eval/,/^(gdb) co-bt/p' <<<"$out" | grep -E '^0x' | sed 's/^[^:]*://' | tr -s '[:blank:]' '\n' | grep 0x)
		[ "$shown" = "$words" ]
		# one return per frame, but for frames that are inlined
		returns=$(answer 'co-stack 2 -words 1000' <<<"$out" | grep -c 'return to')
		[ "$returns" -ge 5 ]
		answer 'co-stack 2 -words 1000' <<<"$out" | tail -1 | grep -q 'return to the entry trampoline'
		answer 'co-stack 2 -words 1000' <<<"$out" | sed -n 3p | grep -q -- '<- rsp'
	done
}

@test "a suspended coroutine has the backtrace that it had when it left" {
	for variant in $VARIANTS; do
		out=$(debug "$BATS_FILE_TMPDIR/$variant/gdb_demo" <<-'EOT'
			break stop_here if why[0] == 'i'
			tbreak leaf if depth == 0
			run
			tbreak *coctx_swap
			continue
			bt -no-filters
			continue
			co-bt 2
		EOT
		)
		echo "$out"
		then=$(answer "bt -no-filters" <<<"$out" | sed '/__morestack/,$d' | sed -nE 's/^#[0-9]+ +(0x[0-9a-f]+ in )?([a-z_]+) .*/\2/p' | grep -v '^coctx_swap$')
		now=$(answer 'co-bt 2' <<<"$out" | sed -nE 's/^#[0-9]+ +([a-z_]+).*/\1/p')
		[ -n "$now" ] && [ "$then" = "$now" ]
	done
}

@test "co-bt in a nested coroutine has the frames of a plain bt" {
	for variant in $VARIANTS; do
		out=$({ in_dave; printf '%s\n' bt co-bt; } | debug "$BATS_FILE_TMPDIR/$variant/gdb_demo")
		echo "$out"
		plain=$(answer bt <<<"$out" | sed -nE 's/^#[0-9]+ +(0x[0-9a-f]+ in )?([a-z_]+) .*/\2/p' | grep -v __morestack)
		ours=$(answer co-bt <<<"$out" | sed -nE 's/^#[0-9]+ +([a-z_]+).*/\1/p')
		[ -n "$ours" ] && [ "$plain" = "$ours" ]
		# numbered from 0 without a gap
		answer co-bt <<<"$out" | sed -nE 's/^#([0-9]+).*/\1/p' | diff - <(seq 0 $(($(wc -l <<<"$ours") - 1)))
	done
}

# --- in the middle of a switch ---------------------------------------------------------

@test "at every instruction of a switch the commands answer, and the stack pointer decides" {
	for variant in gcc-O0 clang-O2; do
		out=$({ in_dave; printf '%s\n' 'source tests/fixtures/gdb_steps.py'; } |
			debug "$BATS_FILE_TMPDIR/$variant/gdb_demo")
		echo "$out" | tail -20
		no_fault "$out"
		grep -qE '^steps: [2-9][0-9], before the switch [1-9][0-9]*, after [1-9][0-9]*, wrong 0$' <<<"$out"
	done
}

# --- threads, frames, states ----------------------------------------------------------

@test "from another thread: all coroutines, and the selection stays" {
	out=$(debug "$demo" <<-'EOT'
		break stop_here if why[3] == 'a' && why[4] == 'n'
		run
		co-list
		up
		co-bt
		co-bt 2
		co-bt 0
		co-regs 0
		co-stack 1025
		thread
		frame
		info registers rip rsp
		co-bt 0
		info registers rip rsp
	EOT
	)
	echo "$out"
	no_fault "$out"
	answer co-list <<<"$out" | normalise | sed 's/main gdb_demo.c:11[12]/main gdb_demo.c:11N/' |
		same_as_golden thread
	answer 'co-bt 2' <<<"$out" | grep -q '^#[0-9]* *leaf (depth=2, tag=0x[0-9a-f]* "bob'"'"'s")'
	answer 'co-bt 0' <<<"$out" | grep -q '^#[0-9]* *main (argc=1'
	answer co-bt <<<"$out" | grep -q '^#1  other_thread'
	answer thread <<<"$out" | grep -q 'Current thread is 2 '
	answer frame <<<"$out" | grep -q '^#1 .* in other_thread'
	regs=$(answer 'info registers rip rsp' <<<"$out")
	[ "$(sort <<<"$regs" | uniq -c | awk '{ print $1 }' | sort -u)" = 2 ]
}

@test "stopped in main, a suspended one unwinds, and past-main is as before" {
	out=$(debug "$demo" <<-'EOT'
		tbreak main
		run
		next
		next
		next
		next
		next
		next
		next
		next
		next
		next
		frame
		co-bt 2
		show backtrace past-main
		bt
		co-bt
	EOT
	)
	echo "$out"
	answer frame <<<"$out" | grep -q '^#0  main'
	answer 'co-bt 2' <<<"$out" | grep -q '^#7  bob_body'
	grep -q 'past "main" is off' <<<"$out"
	[ "$(answer bt <<<"$out" | wc -l)" -eq 1 ]
	[ "$(answer co-bt <<<"$out" | grep -c '^#')" -eq 1 ]
}

@test "no command changes a register or a byte of a coroutine" {
	out=$({ in_dave; cat <<-'EOT'
		info registers
		x/2048gx carol->exec.stack->hi-16384
		co-list
		co-regs 2
		co-regs
		co-bt all
		co-stack 2
		print $co_self()
		maint flush register-cache
		info registers
		x/2048gx carol->exec.stack->hi-16384
	EOT
	} | debug "$demo")
	no_fault "$out"
	[ "$(grep -c '^rip ' <<<"$out")" -ge 3 ]
	before=$(sed '/^(gdb) co-list/q' <<<"$out" | sed -n '/^(gdb) info/,${/^(gdb)/d;p}')
	after=$(sed -n '/^(gdb) maint/,$p' <<<"$out" | sed -n '/^(gdb) info/,${/^(gdb)/d;p}')
	[ "$(wc -l <<<"$before")" -gt 1000 ]
	diff <(echo "$before") <(echo "$after")
}

@test "a long chain of resumes and 10000 coroutines: co-list within a second; co-bt and co-tree walk each once" {
	cat >"$BATS_TEST_TMPDIR/time.py" <<-'EOT'
		import sys, time
		best, reads, walks = 99, 0, 0
		get = sys.modules["costep.reader"].Reader._get
		def counted(*args):
		    global reads
		    reads += 1
		    return get(*args)
		sys.modules["costep.reader"].Reader._get = counted
		for _ in range(3):
		    start = time.process_time()
		    text = gdb.execute("co-list", to_string=True)
		    best = min(best, time.process_time() - start)
		print("%d lines, %s" % (text.count("\n"), "in time" if best < 1 else "%.2f s" % best))
		print("best %.2f s, %d reads in each run" % (best, reads / 3))
		print("few reads" if reads / 3 < 20000 else "many reads")  # each struct on a page of its own: two
		part = lambda name: sys.modules["costep." + name]
		def places(most):
		    part("places").MAX_WALKS = most
		    session = part("commands").Session()
		    return session, session.walked(), session.unwalked()
		session, where, said = places(3)    # who runs, and two lines that resume
		chained = [co for co in session.snapshot.all if co.address in where]
		real = {co.address: part("frames").user_place(co, session.reader).short for co in chained}
		print("places: %d, of %d kinds; true: %s %s" % (len(where), len(set(where.values())), where == real, said))
		print("limit: %d %s" % (len(places(2)[1]), places(2)[2]))
		part("places").MAX_WALKS = 2000
		start = time.process_time()
		print(gdb.execute("co-list -group where", to_string=True), end="")
		grouped = time.process_time() - start
		print("groups %s" % ("in time" if grouped < 1 else "%.2f s" % grouped))
		print("tree: %d lines" % gdb.execute("co-tree", to_string=True).count("\n"))
		collect = sys.modules["costep.frames"]._collect
		def walked(*args, **more):
		    global walks
		    walks += 1
		    return collect(*args, **more)
		sys.modules["costep.frames"]._collect = walked
		start = time.process_time()
		last = gdb.execute("bt -1", to_string=True).split("\n")[0]
		plain, start = time.process_time() - start, time.process_time()
		lines = gdb.execute("co-bt", to_string=True).rstrip().split("\n")
		by_walks = time.process_time() - start
		print("bt -1 ends in main: %s; %s" % (" in main (" in last, "quick" if plain < 5 * by_walks else "%.2f s, co-bt %.2f" % (plain, by_walks)))
		print("co-bt: %d walks, %d seams, ends in %s" % (walks, sum(l.startswith("---") for l in lines), lines[-1].split()[1]))
	EOT
	out=$(printf '%s\n' 'break stop_here' run "source $BATS_TEST_TMPDIR/time.py" |
		debug --args "$BATS_FILE_TMPDIR/gcc-O0/gdb_many" 8500 1500)
	echo "$out" | tail -8
	grep -q '^10003 lines, in time$' <<<"$out"
	[ "$(grep -A5 ' ids$' <<<"$out" | sed 's/ *$//')" = "$(cat <<-'EOT'
		   n  where                    ids
		8500  waits gdb_many.c:17      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, ...
		 750  nests gdb_many.c:32      0, 8502, 8504, 8506, 8508, 8510, 8512, 8514, 8516, 8518, ...
		 750  nests gdb_many.c:34      8501, 8503, 8505, 8507, 8509, 8511, 8513, 8515, 8517, ...
		   1  stop_here gdb_many.c:13  10000
		groups in time
	EOT
	)" ]
	grep -qx 'few reads' <<<"$out"
	grep -qx 'places: 1501, of 3 kinds; true: True \[\]' <<<"$out"
	grep -qx "limit: 751 \['(where 750 of them .*co-bt ID tells it)'\]" <<<"$out"
	grep -qx 'tree: 10003 lines' <<<"$out"      # deeper than Python's recursion may go
	grep -qx 'bt -1 ends in main: True; quick' <<<"$out"    # GDB alone: each seam by a few frames, not by all above
	grep -qx 'co-bt: 1501 walks, 1500 seams, ends in main' <<<"$out"
}

@test "co-bt all of 1000 coroutines within five seconds, live and in a core, each walked once" {
	cat >"$BATS_TEST_TMPDIR/time.py" <<-'EOT'
		import sys, time
		is_core = gdb.selected_inferior().connection.type == "core"
		for command in ("co-bt all",) if is_core else ("co-bt all", "co-bt all -json"):
		    walks, collect = 0, sys.modules["costep.frames"]._collect
		    def walked(*args, **more):
		        global walks
		        walks += 1
		        return collect(*args, **more)
		    sys.modules["costep.frames"]._collect = walked
		    start = time.process_time()
		    text = gdb.execute(command, to_string=True)
		    took = time.process_time() - start
		    sys.modules["costep.frames"]._collect = collect
		    print("%s: %d walks, %d leaves, %s" % (command, walks, text.count("yield_ct"),
		                                            "in time" if took < 5 else "%.2f s" % took))
	EOT
	out=$(printf '%s\n' 'break stop_here' run "source $BATS_TEST_TMPDIR/time.py" "co-core $BATS_TEST_TMPDIR/core" \
		"core-file $BATS_TEST_TMPDIR/core" "source $BATS_TEST_TMPDIR/time.py" |
		debug -ex "set confirm off" --args "$BATS_FILE_TMPDIR/gcc-O0/gdb_many" 1000 40)
	echo "$out" | tail -7
	[ "$(grep -cx 'co-bt all: 1041 walks, 1000 leaves, in time' <<<"$out")" -eq 2 ]
	[ "$(grep -cx 'co-bt all -json: 1041 walks, 1000 leaves, in time' <<<"$out")" -eq 1 ]
}

# --- cores, stripped programs ----------------------------------------------------------

# The same commands on the live program and on a core of it.
look() { printf '%s\n' co-list 'co-regs 2' 'co-bt 2' 'co-bt 0' co-bt 'co-stack 2' 'print $co(2)->name'; }
looked() { sed -n '/^(gdb) co-list/,$p' | grep -v '^$' | normalise; }

@test "a core that GDB writes: what is in it is shown, and what is not is said" {
	out=$({ in_dave; look; echo "generate-core-file $BATS_TEST_TMPDIR/core"; } | debug "$demo")
	live=$(sed '/^(gdb) generate/,$d' <<<"$out")
	core=$(look | debug "$demo" -core "$BATS_TEST_TMPDIR/core")
	echo "$out" | tail -3
	no_fault "$core"
	# GDB's gcore gives up a mapping at the first guard page (MADV_GUARD_INSTALL): stacks, and
	# the structs on their top pages. Main has neither there.
	if grep -q 'Memory read failed.* at 0x7f' <<<"$out"; then
		answer co-list <<<"$core" | grep -q 'as in a core without stacks (generate-core-file leaves'
		answer co-list <<<"$core" | grep -q 'main and 0 coroutines'
		answer 'co-bt 2' <<<"$core" | grep -q 'no coroutine 2'
		answer 'co-bt 0' <<<"$core" | grep -q '^#.* main '
	else
		diff <(looked <<<"$live") <(looked <<<"$core")
	fi
}

@test "a core that the kernel writes: all coroutines, all frames" {
	cd "$BATS_TEST_TMPDIR"
	[ "$(cat /proc/sys/kernel/core_pattern)" = core ] || skip "core_pattern is not 'core'"
	ulimit -c unlimited || skip "no core files here"
	for variant in gcc-O0 gcc-O2; do
		rm -f core core.*
		run -134 "$BATS_FILE_TMPDIR/$variant/gdb_demo" "in dave"
		core=$(echo core*)
		cd "$BATS_TEST_DIRNAME/.."
		out=$(look | debug "$BATS_FILE_TMPDIR/$variant/gdb_demo" -core "$BATS_TEST_TMPDIR/$core")
		cd "$BATS_TEST_TMPDIR"
		echo "$out"
		no_fault "$out"
		answer co-list <<<"$out" | grep -qE '^\* +4  dave +running +stop_here'
		answer 'co-bt 2' <<<"$out" | user_frames | grep -c '^leaf' | grep -qx 3
		answer co-bt <<<"$out" | user_frames | grep -q '^--- coroutine 4 "dave", resumed by 3 "carol" ---$'
		answer co-bt <<<"$out" | user_frames | tail -1 | grep -q '^main '
		grep -q '"bob"' <<<"$out"
	done
}

@test "a stripped program, with and without dynamic symbols" {
	dir=$BATS_FILE_TMPDIR/gcc-O0
	cp "$dir/gdb_demo" "$BATS_TEST_TMPDIR/dynamic"
	strip "$BATS_TEST_TMPDIR/dynamic"
	# shellcheck disable=SC2046
	gcc -s $(find "$dir" -name '*.o' ! -name 'gdb_many.o') -lpthread -ldl -o "$BATS_TEST_TMPDIR/none"
	# -O0: inlined functions would be frames of their own where there is debug information.
	n_frames=$(printf '%s\n' 'break pthread_create' run 'co-bt 2' | debug "$dir/gdb_demo" | answer 'co-bt 2' |
		grep -c '^#')
	for program in dynamic none; do
		out=$(printf '%s\n' 'break pthread_create' run co-list 'co-regs 2' 'co-bt 2' co-bt 'co-stack 2' 'print $co(2)' |
			debug "$BATS_TEST_TMPDIR/$program")
		echo "$out"
		no_fault "$out"
		answer co-list <<<"$out" | grep -qE '^ +2  bob +suspended  0x[0-9a-f]+ +- +[0-9]+/132K'
		answer co-list <<<"$out" | grep -qE '^ +5  erin +new +\(not begun: 0x'
		answer 'co-regs 2' <<<"$out" | grep -q '^rbp .*stack of 2 "bob"\|^rsp .*stack of 2 "bob"'
		[ "$(answer 'co-bt 2' <<<"$out" | grep -c '^#')" -eq "$n_frames" ]
		answer 'co-bt 2' <<<"$out" | tail -1 | grep -qx -- '--- coroutine 2 "bob" is suspended: nobody has resumed it ---'
		grep -q 'struct co has no type; the coroutine is at 0x' <<<"$out"
	done
}

# --- lessons -----------------------------------------------------------------------------

@test "a thread that has just come back from a switch: its saved context is where it stands" {
	env -u MAKEFLAGS make -s B="$BATS_FILE_TMPDIR/gcc-O0" CC=gcc "$BATS_FILE_TMPDIR/gcc-O0/lessons/02-context/demo"
	out=$(debug "$BATS_FILE_TMPDIR/gcc-O0/lessons/02-context/demo" <<-'EOT'
		break print_backtrace
		run
		up 3
		eval "tbreak *%#lx", $pc
		continue
		co-bt worker_ctx
		co-regs nothing_ctx
		co-stack main_ctx
	EOT
	)
	echo "$out"
	# worker, the seam, ask, main: ask's frame is the thread's own, and comes twice.
	[ "$(answer 'co-bt worker_ctx' <<<"$out" | sed -nE 's/^#[0-9]+ +([a-z]+) .*/\1/p' | xargs)" = "worker ask main" ]
	grep -qx 'co-regs: no coroutine "nothing_ctx"; this program has only contexts: main_ctx, worker_ctx' <<<"$out"
	answer 'co-stack main_ctx' <<<"$out" | grep -q 'return to main+'
}

@test "lessons/gdb says what is missing: GDB, the demo, the permission to trace" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	for tool in bash sed mktemp grep rm; do
		ln -s "$(command -v $tool)" "$BATS_TEST_TMPDIR/bin/"
	done
	PATH=$BATS_TEST_TMPDIR/bin run -1 lessons/gdb 01-swap "$demo"
	[ "$output" = "make gdb: gdb is missing; 'make deps' installs it (Debian package: gdb)" ]
	run -1 lessons/gdb 01-swap /nowhere/demo
	[ "$output" = "make gdb: /nowhere/demo is not there; 'make' builds it" ]
	printf '#!/bin/sh\necho "warning: ptrace: Operation not permitted"\n' >"$BATS_TEST_TMPDIR/bin/gdb"
	chmod +x "$BATS_TEST_TMPDIR/bin/gdb"
	PATH=$BATS_TEST_TMPDIR/bin run -1 lessons/gdb 01-swap "$demo"
	echo "$output"
	grep -q 'ptrace: Operation not permitted' <<<"$output"
	grep -q 'GDB may not trace a program on this machine' <<<"$output"
}
