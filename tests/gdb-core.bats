# SPDX-License-Identifier: MIT
# shellcheck disable=SC2154,SC2086,SC2001 # bats sets output; an option list is words
# Cores: co-core, and that all commands say the same of a program whether it is live,
# attached to, or a core. One GDB for each build makes them all (gdb_core_sources.py).
# What needs no GDB is in gdb-corefile.bats. COSTEP_UPDATE=1 rewrites the golden texts;
# COSTEP_FUZZ=300 is the full number of damaged cores, and of damaged programs.

BUILDS="gcc-O0 gcc-O2 clang-O0 clang-O2"
# libc's debug information takes most of the time of each start, and nothing here needs it.
NO_LIBC_DEBUG=(-iex "set debug-file-directory /nowhere")
SITUATIONS="main coroutine before-the-switch after-the-switch copier"

setup_file() {
	bats_require_minimum_version 1.5.0
	load gdb_helper
	ulimit -c unlimited || true
	local build
	for build in $BUILDS; do
		{ build ${build%-*} -${build#*-} && sources $build >"$BATS_FILE_TMPDIR/$build/output" 2>&1; } 3>&- &
	done
	wait
}

setup() {
	load gdb_helper
	dir=$BATS_FILE_TMPDIR
}

# Only what shared stacks need of the library.
build() { # compiler level [option]
	local file files='' out=$BATS_FILE_TMPDIR/$1$2${3:-}
	mkdir "$out"
	for file in $(env -u MAKEFLAGS make -s print-FILES_1 print-FILES_2 print-FILES_3 print-FILES_10); do
		files+=" $(ls "$file".[cS])"
	done
	# shellcheck disable=SC2086  # lists of words
	"$1" -g -std=gnu11 -D_GNU_SOURCE -fPIC -fno-omit-frame-pointer -rdynamic -Isrc "$2" ${3:-} \
		tests/fixtures/gdb_shared.c $files -lpthread -o "$out/program"
}

sources() { # build
	timeout 120 gdb -nx -q -batch "${NO_LIBC_DEBUG[@]}" -ex "set pagination off" -ex "set width 120" -ex "set confirm off" \
		-ex "set may-call-functions off" -ex "set debuginfod enabled off" -ex "source gdb/costep-gdb.py" \
		-ex "set cwd $BATS_FILE_TMPDIR/$1" -ex "set \$dir = \"$BATS_FILE_TMPDIR/$1\"" \
		-ex "source tests/fixtures/gdb_core_sources.py" "$BATS_FILE_TMPDIR/$1/program" </dev/null
}

# plain PROGRAM [ARGUMENT...]: GDB without a script
plain() {
	timeout 60 gdb -nx -q -batch -iex "set auto-load python-scripts off" "${NO_LIBC_DEBUG[@]}" -ex "set width 0" -ex "set debuginfod enabled off" "$@" 2>&1 </dev/null
}

# golden <transcript: what compilers and levels do not change. (Optimized, the copier begins
# with co_swap_arrived, of swap.h.)
golden() {
	sed -E -e 's/LWP [0-9]+/LWP N/g; s/[0-9]+ bytes/N bytes/; s/[0-9]+\/([0-9]+[KM])/N\/\1/' \
		-e 's/(stop_here|copy_for_others)\+0x[0-9a-f]+/\1/; s/(stop_here.* (at .*)?gdb_shared.c):2[67]/\1:2N/' \
		-e 's/(copy_for_others, )swap\.h:/\1sharestack.c:/' \
		-e 's/(sharestack.c:)[0-9]+/\1N/; s/(coctx_swap\+)0x[0-9a-f]+/\1OFF/' \
		-e '/^#/{
			s/^#[0-9]+ +(0x[0-9a-f]+ in )?([a-z_]+) \(.*\) at (.*gdb_shared.c:[0-9N]+)$/\2 at \3/
			/^#/d
		}' \
		-e '/^[0-9]+\t/d; /^[a-z]+ = /d; /^\(More stack/d' \
		-e '/^(mxcsr|x87cw|rbx|rbp|r1[0-5]|r8|r9|r[acd]x|r[sd]i) /d' \
		-e 's/^(rip|rsp)[ 0-9a-fx-]*/\1 /; s/^(rsp .*)top-0x[0-9a-f]+/\1top-OFF/' | tr -s ' '
}

@test "live, attached, in a core, in a co-core: every command says the same, byte for byte" {
	for build in $BUILDS; do
		cat "$dir/$build/output"
		no_fault "$(cat "$dir/$build/output")"
		grep -qx "done" "$dir/$build/output"
		for situation in $SITUATIONS; do
			[ "$(wc -l <"$dir/$build/$situation.live")" -gt 60 ]
			for source in attach co-core; do
				diff "$dir/$build/$situation.live" "$dir/$build/$situation.$source"
			done
		done
	done
}

@test "the same of a core that the kernel wrote, and of a co-core made from that" {
	[ "$(cat /proc/sys/kernel/core_pattern)" = core ] || skip "core_pattern is not 'core'"
	for build in $BUILDS; do
		for situation in $SITUATIONS; do
			for source in kernel of-kernel; do
				diff "$dir/$build/$situation.live" "$dir/$build/$situation.$source"
			done
		done
	done
}

@test "a core by generate-core-file: what it has is the same, what it lacks is one line" {
	run -0 python3 tests/fixtures/gdb_gcore_check.py "$dir"/*/*.live
	echo "$output"
	[ "${#lines[@]}" -eq $(($(wc -w <<<"$BUILDS") * $(wc -w <<<"$SITUATIONS"))) ]
}

@test "the same where guards are maps of their own: nothing is missing" {
	build gcc -O0 -DMADV_GUARD_INSTALL=9999     # a kernel that does not know it
	program=$dir/gcc-O0-DMADV_GUARD_INSTALL=9999/program
	look="$(printf '%s\n' co-list 'co-bt all' co-bt 'co-stack dave' 'co-savebuf alice' 'co dave' 'bt -full')"
	out=$(printf '%s\n' "break stop_here if why[3] == 'b'" run "$look" "generate-core-file $BATS_TEST_TMPDIR/core" | debug "$program")
	core=$(debug "$program" "$BATS_TEST_TMPDIR/core" <<<"$look")
	diff <(sed -n '/^(gdb) co-list/,/^(gdb) generate/{/^(gdb) generate/d;p}' <<<"$out") <(sed -n '/^(gdb) co-list/,$p' <<<"$core")
	[ "$(wc -l <<<"$core")" -gt 150 ]
}

@test "at -O0 and -O2, by gcc and clang, it says what the golden text says" {
	for build in $BUILDS; do
		for situation in $SITUATIONS; do
			golden <"$dir/$build/$situation.live" >"$BATS_TEST_TMPDIR/got"
			if [ -n "${COSTEP_UPDATE:-}" ] && [ $build = gcc-O0 ]; then
				cp "$BATS_TEST_TMPDIR/got" "tests/fixtures/gdb/core-$situation.txt"
			fi
			echo "$build $situation"
			diff -u "tests/fixtures/gdb/core-$situation.txt" "$BATS_TEST_TMPDIR/got"
			[ "${build#*-}" = O0 ] || continue   # there every variable has a place, and co ID shows it
			answer 'info locals' <"$dir/$build/$situation.live" | grep -qx 'local = 0'
			[ $situation = main ] || answer 'info locals' <"$dir/$build/$situation.live" | grep -q "^tag = \"carol's"
		done
	done
}

@test "plain GDB: each coroutine is a thread, with the frames that co-bt shows, from #0" {
	for build in $BUILDS; do
		commands=()
		for situation in $SITUATIONS; do
			commands+=(-ex "core-file $dir/$build/$situation.co-core.core" -ex "echo == $situation\n"
				-ex "thread apply all bt" -ex "echo == end\n")
		done
		plain "$dir/$build/program" "${commands[@]}" >"$BATS_TEST_TMPDIR/plain"
		# (clang says of some arguments that they are in registers that calls destroy)
		run ! grep -iE 'warning|error|corrupt|\?\?' <<<"$(sed 's/0xbad0[bad0]* <error:[^>]*>//' "$BATS_TEST_TMPDIR/plain")"
		echo "$output"
		for situation in $SITUATIONS; do
			echo "$build $situation"
			sed -n "/^== $situation\$/,/^== /p" "$BATS_TEST_TMPDIR/plain" |
				python3 tests/fixtures/gdb_core_check.py "$dir/$build/$situation.live"
		done
	done
}

@test "plain GDB: arguments and locals of what was copied out; who has not begun is at the trampoline" {
	for build in gcc-O0 gcc-O2; do
		out=$(plain "$dir/$build/program" "$dir/$build/coroutine.co-core.core" -ex "info threads" \
			-ex "thread find 10000001" -ex "thread 3" -ex "bt full" -ex "thread 6" -ex bt -ex "thread 4" \
			-ex "frame function carol_body" -ex "print tag" -ex "frame function main" -ex "info locals")
		echo "$out"
		for depth in 0 1 2; do
			grep -qE "alice_leaf \(depth=(depth@entry=)?$depth, tag=(tag@entry=)?0x[0-9a-f]+ \"alice's\"\)" <<<"$out"
			grep -qx "        local = $((111 * depth))" <<<"$out"
		done
		grep -qE "alice_aligned \(.*n=100.*\)" <<<"$out"
		grep -q "aligned = \"a\"" <<<"$out"
		grep -qE "unknown = 0x1c[0-9a-f]+ \"a\"" <<<"$out"
		grep -qE "^#0 +__morestack \(\)" <<<"$out"
		grep -q "^\$1 = \"carol's" <<<"$out"
		grep -q "^source = " <<<"$out"
		grep -qE "^Thread 3 has target id 'LWP 10000001'" <<<"$out"
	done
}

@test "readelf finds nothing to complain of, and the table of coroutines can be grepped" {
	core=$dir/gcc-O0/coroutine.co-core.core
	run -0 readelf -hlnW "$core"
	run ! grep -iE 'warning|error|corrupt' <<<"$output"
	run -0 readelf -nW "$core"
	echo "$output"
	for note in NT_PRSTATUS NT_FPREGSET NT_PRPSINFO NT_AUXV NT_FILE costep; do
		grep -q "$note" <<<"$output"
	done
	[ "$(grep -c NT_PRSTATUS <<<"$output")" -eq 6 ] && [ "$(grep -c NT_FPREGSET <<<"$output")" -eq 6 ]
	# Code is not in it, but GDB knows which file has it, without being given the program.
	run -0 plain -ex "core-file $core" -ex "info proc mappings" -ex "x/4xb \$pc" -ex "info auxv"
	echo "$output"
	grep -qE '^0x[0-9a-f]+[^:]*:	0x' <<<"$output"
	grep -q 'AT_ENTRY' <<<"$output"
	grep -a '^LWP' "$core"
	[ "$(grep -a '^LWP' "$core" | sed -E 's/LWP [0-9]{1,7} /LWP N /; s/[0-9]+ bytes/N bytes/; s/0x[0-9a-f]+/ADDR/; s/  +/ /g')" = \
'LWP 10000000 0 "main": normal
LWP 10000001 1 "alice": suspended, copied out (N bytes), at ADDR
LWP N 2 "bob": on the processor
LWP 10000003 3 "carol": normal, copied out (N bytes), at ADDR
LWP 10000004 4 "dave": normal
LWP 10000005 5 "erin": new
LWP - 6 "frank": done, it has no frames' ]
}

@test "-open: an inferior more, its threads named; the program and the selection are as before" {
	out=$(debug "$dir/gcc-O2/program" <<-EOT
		break stop_here if why[3] == 'b'
		run
		info registers rsp rip
		co-core $BATS_TEST_TMPDIR/a core -open
		set width 80
		co-core "$BATS_TEST_TMPDIR/a core" -open
		set width 120
		show confirm
		info threads
		frame
		co-list
		thread 2.3
		bt 6
		co-bt alice
		co-bt
		inferior 1
		info registers rsp rip
		continue
	EOT
	)
	echo "$out"
	no_fault "$out"
	grep -qx 'co-core: wants one file name, as in: co-core /tmp/all.core -open' <<<"$out"
	grep -qx 'opened as inferior 2: info threads lists all, thread 2.2 goes there' <<<"$out"
	# (but for the lines with the file's name)
	sed '1,/^(gdb) co-core ".*-open$/d; /^(gdb) set width 120/,$d; /^written: /,/^  gdb /d' <<<"$out" >"$BATS_TEST_TMPDIR/said"
	grep -q '^LWP 10000003  3 "carol": normal, copied out' "$BATS_TEST_TMPDIR/said"
	grep -qxF "(of a suspended one's frame 0, GDB shows the line behind the swap: help co-core)" "$BATS_TEST_TMPDIR/said"
	[ "$(awk 'length > 80' "$BATS_TEST_TMPDIR/said")" = "" ]
	threads=$(answer "info threads" <<<"$out")
	grep -qE '^\* 1\.1 ' <<<"$threads"
	for name in bob main alice carol dave erin; do
		grep -qE "^  2\.[1-6] .* \"$name\" " <<<"$threads"
	done
	answer frame <<<"$out" | grep -q '^#0 *stop_here'
	answer 'bt 6' <<<"$out" | grep -qE '^#5 .* alice_aligned '
	answer 'co-bt alice' <<<"$out" | grep -q "^#[0-9]* *alice_inlined (tag=0x[0-9a-f]* \"alice's\")"
	answer co-bt <<<"$out" | grep -q '^coroutine 2 "bob", on the processor'
	regs=$(answer "info registers rsp rip" <<<"$out")
	[ "$(sort <<<"$regs" | uniq -c | awk '{ print $1 }' | sort -u)" = 2 ]
	grep -q 'potentially dangerous operations is on' <<<"$out"
	grep -q 'exited normally' <<<"$out"
	[ -z "$(find "$BATS_TEST_TMPDIR" -name '*.part')" ]
	plain "$dir/gcc-O2/program" "$BATS_TEST_TMPDIR/a core" -ex "thread 3" | grep -q 'LWP 10000001'
}

@test "-json, and one line for each thing that is wrong" {
	out=$(debug "$dir/gcc-O0/program" "$dir/gcc-O0/main.co-core.core" <<-EOT
		co-core
		co-core a b
		co-core -opne a
		co-core $BATS_TEST_TMPDIR/again
	EOT
	)
	echo "$out"
	grep -qx 'co-core: the only options are -open and -json' <<<"$out"
	[ "$(grep -cx 'co-core: wants one file name, as in: co-core /tmp/all.core -open' <<<"$out")" -eq 2 ]
	grep -qx 'co-core: this core is one of co-core already' <<<"$out"
	out=$(debug "$dir/gcc-O0/program" <<-EOT
		break main
		run
		co-core $BATS_TEST_TMPDIR/none
		break stop_here if why[3] == 'm'
		continue
		co-core /nowhere/at/all
		co-core $BATS_TEST_TMPDIR
		co-core $BATS_TEST_TMPDIR/json.core -json
		help co-core
	EOT
	)
	echo "$out"
	no_fault "$out"
	grep -qx 'co-core: there are no coroutines; generate-core-file writes an ordinary core' <<<"$out"
	grep -qx 'co-core: cannot write /nowhere/at/all: No such file or directory' <<<"$out"
	grep -q "^co-core: cannot write $BATS_TEST_TMPDIR: " <<<"$out"
	grep -q '^Usage: co-core OUT' <<<"$out"
	answer "co-core $BATS_TEST_TMPDIR/json.core -json" <<<"$out" | python3 -c '
import json, sys
rows = json.load(sys.stdin)
assert [r["name"] for r in rows] == ["main", "alice", "bob", "carol", "dave", "erin", "frank"]
assert [r["lwp"] for r in rows][1:] == [10000001, 10000002, 10000003, 10000004, 10000005, None]
assert [r["stack_at"] is not None for r in rows] == [False, True] + 5 * [False]
assert [r["on_processor"] for r in rows] == [True] + 6 * [False]'
	run find "$BATS_TEST_TMPDIR" -name '*.part'
	[ -z "$output" ]
}

@test "registers that a switch does not save come back too, of a thread that runs" {
	registers="rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip eflags cs ss fs_base gs_base mxcsr fctrl xmm0 ymm1"
	out=$(debug "$dir/gcc-O0/program" <<-EOT
		break stop_here if why[3] == 'b'
		run
		co-core $BATS_TEST_TMPDIR/core
		info registers $registers
	EOT
	)
	core=$(debug "$dir/gcc-O0/program" "$BATS_TEST_TMPDIR/core" <<<"info registers $registers")
	diff <(answer "info registers $registers" <<<"$out") <(answer "info registers $registers" <<<"$core")
	[ "$(answer "info registers $registers" <<<"$core" | wc -l)" -ge 25 ]
}

# fuzz SCRIPT PROGRAM FIRST COUNT [CORE]: damage, numbered, and all commands on each
fuzz() { # (in another charset, GDB's own print of a damaged name may be any letter)
	timeout 1200 gdb -nx -q -batch "${NO_LIBC_DEBUG[@]}" -ex "set pagination off" -ex "set width 120" -ex "set confirm off" \
		-ex "set may-call-functions off" -ex "set debuginfod enabled off" -ex "source gdb/costep-gdb.py" \
		-ex "set \$core = \"${5:-}\"" -ex "set \$work = \"$BATS_TEST_TMPDIR/$3\"" -ex "set \$first = $3" \
		-ex "set \$last = $(($3 + $4))" -ex "set host-charset ASCII" -ex "source tests/fixtures/$1" "$2" >"$BATS_TEST_TMPDIR/$3.output" 2>&1 </dev/null
}

# fuzzed FIRST COUNT: did it go to its end, and was nothing wrong?
fuzzed() {
	grep -a -A20 '^wrong' "$BATS_TEST_TMPDIR/$1.output" || tail -4 "$BATS_TEST_TMPDIR/$1.output"
	grep -aqE '^asked: [0-9]{3,}, refused with a line [1-9][0-9]*, JSON documents [1-9][0-9]*, wrong 0$' "$BATS_TEST_TMPDIR/$1.output"
	grep -aqE "^(cores|programs): $2\b" "$BATS_TEST_TMPDIR/$1.output"
}

@test "damaged cores: one line for what is wrong, JSON is JSON, and the next command is as ever" {
	n=$((${COSTEP_FUZZ:-24} / 2))
	core=$dir/gcc-O0/coroutine.kernel.core
	[ -e "$core" ] || core=$dir/gcc-O0/coroutine.co-core.core
	fuzz gdb_core_fuzz.py "$dir/gcc-O0/program" 304 $n "$core" 3>&- &
	other=$!
	fuzz gdb_core_fuzz.py "$dir/gcc-O0/program" 504 $n "$dir/gcc-O0/copier.co-core.core" 3>&-
	wait $other
	fuzzed 304 $n
	fuzzed 504 $n
}

@test "programs that damage their own lists: the same" {
	env -u MAKEFLAGS make -s build/libcostep.a >/dev/null
	gcc -g -std=gnu11 -D_GNU_SOURCE -Isrc tests/fixtures/gdb_damage.c build/libcostep.a -lpthread -ldl -o "$BATS_TEST_TMPDIR/program"
	n=${COSTEP_FUZZ:-12}
	fuzz gdb_live_fuzz.py "$BATS_TEST_TMPDIR/program" 8 $n 3>&-
	fuzzed 8 $n
}
