# SPDX-License-Identifier: MIT
# shellcheck disable=SC2016,SC2154,SC2317 # $co is GDB's; bats sets output; each calls one
# The GDB commands and coroutines on shared stacks. What they say of one whose bytes are
# copied out must be its own: never what is in its slot at the moment.

setup_file() {
	bats_require_minimum_version 1.5.0
	load gdb_helper
	build gcc -O0 && build gcc -O2 && build clang -O2
}

setup() {
	load gdb_helper
	demo=$BATS_FILE_TMPDIR/shared-gcc-O0
}

# Only what shared stacks need of the library; $3: more flags, and of the name.
build() { # compiler level [flag]
	local file files=''
	for file in $(env -u MAKEFLAGS make -s print-FILES_1 print-FILES_2 print-FILES_3 print-FILES_10); do
		files+=" $(ls "$file".[cS])"
	done
	# shellcheck disable=SC2086  # lists of words
	"$1" -g -std=gnu11 -D_GNU_SOURCE -fPIC -fno-omit-frame-pointer -rdynamic -Isrc "$2" $3 \
		tests/fixtures/gdb_shared.c $files -lpthread -o "$BATS_FILE_TMPDIR/shared-$1$2$3"
}

at_main() { printf '%s\n' "break stop_here if why[3] == 'm'" run; } # alice and bob are suspended
in_bob() { printf '%s\n' "break stop_here if why[3] == 'b'" run; }  # main -> carol -> dave -> bob

# The names of the fixture's own functions, and the seams.
own_frames() {
	sed -nE -e 's/^#[0-9]+ +(0x[0-9a-f]+ in )?((alice|bob|carol|dave)_[a-z]+|yield_here|stop_here|main) .*/\2/p' \
		-e 's/^---.*("[a-z]+"), resumed by [0-9]+ ("[a-z]+")(.*) ---$/-- \1 \2\3/p' -e 's/^--- .*(nobody).*/-- \1/p' | xargs
}

alices="yield_here alice_aligned alice_leaf alice_leaf alice_leaf alice_inlined alice_body"
bobs="bob_leaf bob_leaf bob_leaf bob_leaf bob_leaf bob_leaf bob_body"
carols="carol_resumes carol_body -- carol main main"

each() { # function: of every program
	local program
	for program in gcc-O0 gcc-O2 clang-O2; do
		echo "--- $program"
		"$1" "$BATS_FILE_TMPDIR/shared-$program"
	done
}

@test "the occupant's functions are in no other's backtrace; what is copied out has its own" {
	one() {
		out=$({ at_main; printf '%s\n' 'co-bt alice' 'co-bt bob' 'co-bt all'; } | debug "$1")
		echo "$out"
		no_fault "$out"
		[ "$(answer 'co-bt alice' <<<"$out" | own_frames)" = "$alices -- nobody" ]
		[ "$(answer 'co-bt bob' <<<"$out" | own_frames)" = "yield_here $bobs -- nobody" ]
		answer 'co-bt alice' <<<"$out" | grep -qE '^coroutine 1 "alice", suspended, copied out \([0-9]+ bytes\)$'
		answer 'co-bt bob' <<<"$out" | grep -qx 'coroutine 2 "bob", suspended'
		answer 'co-bt alice' <<<"$out" | grep -qE '^#[0-9]+ +alice_aligned \(.*\) at tests/fixtures/gdb_shared.c:[0-9]+$'
		[ "$(answer 'co-bt all' <<<"$out" | grep -c 'alice_body (')" -eq 1 ]
		# numbered from 0 without a gap
		numbers=$(answer 'co-bt alice' <<<"$out" | sed -nE 's/^#([0-9]+).*/\1/p')
		diff <(echo "$numbers") <(seq 0 $(($(wc -l <<<"$numbers") - 1)))
	}
	each one
}

@test "copied out, it has the backtrace that it had in its slot, frame by frame" {
	one() {
		# at the third resume alice is suspended, and still in the slot
		out=$({ printf '%s\n' 'break co_resume' run continue continue 'co-bt 1' delete; at_main | sed s/run/continue/
			echo 'co-bt alice'; } | debug "$1")
		echo "$out"
		frames() { sed -nE 's/^#([0-9]+) +([a-z_0-9]+) .*( at .*)/\1 \2\3/p'; }
		[ "$(answer 'co-bt 1' <<<"$out" | frames | wc -l)" -ge 9 ]
		diff <(answer 'co-bt 1' <<<"$out" | frames) <(answer 'co-bt alice' <<<"$out" | frames)
		answer 'co-bt alice' <<<"$out" | grep -q 'copied out ('
		[ "$(answer 'co-bt 1' <<<"$out" | grep -c 'copied out')" -eq 0 ]
	}
	each one
}

@test "a backtrace goes on through resumers that are copied out; plain bt ends there by name" {
	one() {
		out=$({ in_bob; printf '%s\n' co-bt 'co-bt carol' 'co-bt 0' bt 'bt -no-filters'; } | debug "$1")
		echo "$out"
		no_fault "$out"
		[ "$(answer co-bt <<<"$out" | own_frames)" = \
			"stop_here $bobs -- bob dave dave_body -- dave carol; these bytes are copied out $carols" ]
		[ "$(answer 'co-bt carol' <<<"$out" | own_frames)" = "$carols" ]
		[ "$(answer bt <<<"$out" | own_frames)" = "stop_here $bobs dave_body" ]
		answer bt <<<"$out" | tail -1 | grep -q -- '---- coroutine 4 "dave", resumed by 3 "carol", whose bytes are copied out: co-bt shows them ----'
		answer 'bt -no-filters' <<<"$out" | tail -1 | grep -q ' in co_resumer_is_copied_out ('
	}
	each one
}

@test "arguments are those in the save_buffer, strings too, or none" {
	one() {
		out=$({ at_main; echo "co-bt alice"; } | debug "$1" | answer 'co-bt alice')
		echo "$out"
		wrong=$(grep -oE '\b(tag|depth|n|seventh)=[^,)]*' <<<"$out" | sed 's/0x[0-9a-f]* //' |
			grep -vxE "tag=\"alice's\"|depth=[012]|n=100|seventh=7|.*=<optimized out>") || true
		[ -z "$wrong" ]
	}
	each one
	out=$({ at_main; printf '%s\n' 'co-bt alice' 'show backtrace limit' 'show backtrace past-main'; } | debug "$demo")
	for depth in 0 1 2; do
		grep -qE "alice_leaf \(depth=$depth, tag=0x[0-9a-f]+ \"alice's\"\)" <<<"$out"
	done
	grep -q 'alice_aligned (n=100, .*, seventh=7)' <<<"$out"
	grep -q 'levels is unlimited' <<<"$out"
	grep -q 'past "main" is off' <<<"$out"
}

@test "co-list says where each one's bytes are" {
	out=$({ at_main; echo co-list; } | debug "$demo")
	echo "$out"
	row() { grep -E "^\*? +[0-9]+ +$1 " <<<"$out"; }
	row alice | grep -qE ' suspended +yield_here gdb_shared.c:[0-9]+ +- +copied out, [0-9]+ bytes +1 '
	row bob | grep -qE ' suspended +yield_here gdb_shared.c:[0-9]+ +- +[0-9]+/68K +1 '
	row carol | grep -qE ' new +\(not begun: carol_body\) +- +none yet +0 '
	row dave | grep -qE ' new .* 0/132K +0 '
	row frank | grep -qE ' done +\(has returned\) +- +0/68K '
	row main | grep -q '^\*'
	out=$({ in_bob; echo co-list; } | debug "$demo")
	echo "$out"
	row bob | grep -qE '^\* .* running +stop_here .* 4 +[0-9]+/68K'
	row carol | grep -qE ' normal +carol_resumes gdb_shared.c:[0-9]+ +0 +copied out, [0-9]+ bytes'
	row dave | grep -qE ' normal +dave_body .* 3 +[0-9]+/132K'
}

@test "co-stack and co-regs of one that is copied out: the words of its save_buffer" {
	out=$({ at_main; cat <<-'EOT'
		co-stack alice -words 1000
		eval "x/%dgx %#lx", $co(1)->exec.stack->save_len >> 3, $co(1)->exec.stack->save_buffer
		co-regs alice
		printf "rsp is %#lx\n", $co(1)->exec.ctx.rsp
		co-stack bob -words 1
	EOT
	} | debug "$demo")
	echo "$out"
	no_fault "$out"
	stack=$(answer 'co-stack alice -words 1000' <<<"$out")
	words=$(sed -n '/^(gdb) eval/,/^(gdb) co-regs/p' <<<"$out" | grep -E '^0x' | sed 's/^[^:]*://' |
		tr -s '[:blank:]' '\n' | grep 0x)
	[ "$(awk '/^0x/ { print $3 }' <<<"$stack")" = "$words" ]
	sed -n 1p <<<"$stack" | grep -qE '^coroutine 1 "alice", suspended, copied out \(([0-9]+) bytes\): [0-9]+ bytes in use'
	# addresses are those that it runs with
	rsp=$(sed -n 's/^rsp is //p' <<<"$out")
	sed -n 3p <<<"$stack" | grep -q "^$rsp .*/ co_swap .*<- rsp"
	[ "$(grep -c 'return to alice_leaf' <<<"$stack")" -eq 3 ]
	grep -q '|  *tag, 16 bytes' <<<"$stack"
	tail -1 <<<"$stack" | grep -q 'return to the entry trampoline'
	[ "$(grep -c bob <<<"$stack")" -eq 0 ]
	answer 'co-regs alice' <<<"$out" | grep -qE '^rsp .* stack of 1 "alice", top-0x'
	answer 'co-regs alice' <<<"$out" | head -1 | grep -q 'suspended, copied out ('
}

@test "one that has not begun has no stack yet, and one that has returned has none to show" {
	out=$({ at_main; printf '%s\n' 'co-bt erin' 'co-stack erin' 'co-regs erin' 'co-bt frank' 'co-stack frank' \
		'print $co(5)->id'; } | debug "$demo")
	echo "$out"
	no_fault "$out"
	[ "$(answer 'co-bt erin' <<<"$out" | grep -c '^#')" -eq 0 ]
	answer 'co-bt erin' <<<"$out" | grep -q 'not begun; its first resume calls frank_body'
	answer 'co-stack erin' <<<"$out" | grep -qx 'co-stack: 5 "erin" has no stack before its first run'
	answer 'co-regs erin' <<<"$out" | grep -q '^rsp *0x0000000000000000 '
	answer 'co-bt frank' <<<"$out" | grep -qx 'coroutine 6 "frank", done: it has no frames'
	grep -qx '\$1 = 5' <<<"$out"
}

@test "one that is being reset has no stack, and no other's frames" {
	out=$(printf '%s\n' "break stop_here if why[0] == 'a'" run 'break rewind_to_start' continue co-list 'co-bt alice' \
		'co-stack alice' | debug "$demo")
	echo "$out"
	no_fault "$out"
	[ "$(answer 'co-bt alice' <<<"$out" | grep -c '^#')" -eq 0 ]
	answer 'co-bt alice' <<<"$out" | grep -qx '(no frames: 1 "alice" has no stack now)'
	answer 'co-stack alice' <<<"$out" | grep -qx 'co-stack: 1 "alice" has no stack now'
}

@test "a signal handler on a stack of its own is not the copier" {
	out=$(printf '%s\n' "break stop_here if why[0] == 'o'" run co-list co-bt | debug "$demo")
	echo "$out"
	answer co-list <<<"$out" | grep -qE '^\* +6  frank +running '
	answer co-list <<<"$out" | grep -q 'a signal handler on a stack of its own'
	answer co-bt <<<"$out" | grep -q '^#[0-9]* *frank_body'
}

@test "on the copier: nobody is on the processor, and the link says whose bytes are whole" {
	out=$({ in_bob; cat <<-'EOT'
		tbreak copy_for_others
		continue
		co-list
		co-bt
		tbreak load
		continue
		co-bt
		bt
		print $co_self()
		co-bt bob
	EOT
	} | debug "$demo")
	echo "$out"
	no_fault "$out"
	note='mid-switch: rsp is on the stack of the copier of a shared stack, on the way to 2 "bob"'
	answer co-list <<<"$out" | grep -qx "  $note"
	[ "$(answer co-list <<<"$out" | grep -c '^\*')" -eq 0 ]
	bts=$(answer co-bt <<<"$out") # both
	grep -qx -- '--- the copier of a shared stack; its link leads to 3 "carol" ---' <<<"$bts"
	[ "$(own_frames <<<"$bts")" = "$carols -- nobody" ]
	tail -1 <<<"$bts" | grep -q "in the middle of its work: nobody's bytes are whole there"
	grep -q 'no coroutine is on this thread' <<<"$out"
	[ "$(answer 'co-bt bob' <<<"$out" | own_frames)" = \
		"yield_here $bobs -- bob carol; these bytes are copied out $carols" ]
}

@test "at many instructions of switches and of the copier nobody is shown with another's functions" {
	for program in gcc-O0 gcc-O2; do
		out=$({ in_bob; printf '%s\n' 'set suppress-cli-notifications on' 'source tests/fixtures/gdb_shared_steps.py'; } |
			debug "$BATS_FILE_TMPDIR/shared-$program")
		tail -60 <<<"$out"
		no_fault "$out"
		grep -qE '^stops: [0-9]{2,}, on the copier [0-9]{2,}, with a hidden resumer [0-9]{2,}, wrong 0$' <<<"$out"
	done
}

look() { printf '%s\n' co-list 'co-bt alice' 'co-bt bob' co-bt 'co-stack alice' 'co-regs alice'; }

@test "in a core that GDB writes, what is copied out is there" {
	live=$({ in_bob; look; echo "generate-core-file $BATS_TEST_TMPDIR/core"; } | debug "$demo")
	core=$(look | debug "$demo" -core "$BATS_TEST_TMPDIR/core")
	echo "$core"
	no_fault "$core"
	for command in 'co-bt alice' 'co-stack alice' 'co-regs alice'; do
		diff <(answer "$command" <<<"$live") <(answer "$command" <<<"$core")
	done
}

@test "in a core that the kernel writes, everything is as it was" {
	cd "$BATS_TEST_TMPDIR"
	[ "$(cat /proc/sys/kernel/core_pattern)" = core ] || skip "core_pattern is not 'core'"
	ulimit -c unlimited || skip "no core files here"
	run -134 "$BATS_FILE_TMPDIR/shared-gcc-O2" "in bob"
	core=$BATS_TEST_TMPDIR/$(echo core*)
	cd "$BATS_TEST_DIRNAME/.."
	out=$(look | debug "$BATS_FILE_TMPDIR/shared-gcc-O2" -core "$core")
	echo "$out"
	no_fault "$out"
	[ "$(answer 'co-bt alice' <<<"$out" | own_frames)" = "$alices -- nobody" ]
	[ "$(answer co-bt <<<"$out" | own_frames)" = \
		"stop_here $bobs -- bob dave dave_body -- dave carol; these bytes are copied out $carols" ]
	answer co-list <<<"$out" | grep -q 'copied out, '
}

@test "in a stripped program, with and without dynamic symbols" {
	cp "$demo" "$BATS_TEST_TMPDIR/dynamic"
	strip "$BATS_TEST_TMPDIR/dynamic"
	build gcc -O0 -s
	commands=$(printf '%s\n' "break abort" run co-list 'co-bt 1' co-bt 'co-stack 1' 'co 1' bt)
	# Only debug information knows of what is inlined.
	expected=$(debug --args "$demo" "in bob" <<<"$commands" | grep -v alice_inlined)
	for program in "$BATS_TEST_TMPDIR/dynamic" "$BATS_FILE_TMPDIR/shared-gcc-O0-s"; do
		out=$(debug --args "$program" "in bob" <<<"$commands")
		echo "$out"
		no_fault "$out"
		for command in 'co-bt 1' co-bt; do
			[ "$(answer "$command" <<<"$out" | grep -cE '^#|^---')" -eq \
				"$(answer "$command" <<<"$expected" | grep -cE '^#|^---')" ]
		done
		answer co-list <<<"$out" | grep -qE ' 1  alice +suspended .* copied out, [0-9]+ bytes '
		answer co-bt <<<"$out" | grep -q '"dave", resumed by 3 "carol"; these bytes are copied out'
		answer 'co-stack 1' <<<"$out" | head -1 | grep -q 'copied out ('
		answer bt <<<"$out" | grep -qE '^#1 .* in [^ ]+ \('
		run ! grep -F ' in  ()' <(answer bt <<<"$out")
	done
	answer bt <<<"$out" | grep -q ' in ?? ()$' # no symbols at all
}
