# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2046,SC2016 # used by others; words and $co on purpose
# What the tests of gdb/ share. Programs are built into bats' own directory, so
# that tests which run at the same time do not meet.

cd "$BATS_TEST_DIRNAME/.." || exit 1
VARIANTS="gcc-O0 gcc-O2 clang-O0 clang-O2"

# build_fixtures VARIANT FIXTURE...: $BATS_FILE_TMPDIR/VARIANT/FIXTURE
build_fixtures() {
	local variant=$1 dir=$BATS_FILE_TMPDIR/$1 cc=${1%-*} opt=-${1#*-} fixture objects
	shift
	objects=$(env -u MAKEFLAGS make -s print-LIB_FILES | xargs -n 1 printf "$dir/%s.o ")
	# shellcheck disable=SC2086 # words on purpose
	env -u MAKEFLAGS make -s -j2 B="$dir" CC="$cc" OPT="$opt" $objects \
		$(printf "$dir/tests/fixtures/%s.o " "$@") >/dev/null
	for fixture; do
		# shellcheck disable=SC2086
		"$cc" "$opt" -rdynamic "$dir/tests/fixtures/$fixture.o" $objects -lpthread -ldl -o "$dir/$fixture"
	done
	echo "built $variant"
}

# debug [GDB ARGUMENT...] <<commands: a GDB that may neither call functions of
# the program nor, during a co- command, write its memory. It does not read libc's
# debug information, which would take most of its time.
debug() {
	local args=() line
	while IFS= read -r line; do
		case $line in
		"") ;;
		co-next* | co-step* | co-finish* | co-switch*) # these need GDB's breakpoints
			args+=(-ex "echo (gdb) $line\n" -ex "$line")
			;;
		co-* | "co "* | *'$co'*)
			args+=(-ex "set may-write-memory off" -ex "echo (gdb) $line\n" -ex "$line"
				-ex "set may-write-memory on")
			;;
		*) args+=(-ex "echo (gdb) $line\n" -ex "$line") ;;
		esac
	done
	gdb -nx -q -batch -iex "set debug-file-directory /nowhere" -iex "set auto-load python-scripts off" \
		 -ex "set pagination off" -ex "set width 120" -ex "set debuginfod enabled off" \
		-ex "set may-call-functions off" -ex "source gdb/costep-gdb.py" "${args[@]}" "$@" 2>&1 </dev/null
}

# answer COMMAND <output: what was printed between that command and the next.
answer() {
	awk -v prompt="(gdb) $1" '$0 == prompt { on = 1; next } /^\(gdb\) / { on = 0 } on'
}

# What differs from run to run, from compiler to compiler, and with each edit
# of the library.
normalise() {
	sed -E -e 's/0x[0-9a-f]{5,}/ADDR/g' -e 's/LWP [0-9]+/LWP N/g' -e 's/(top-|[+-])0x[0-9a-f]+/\1OFF/g' \
		-e 's/[0-9]+\/([0-9]+[KM])/N\/\1/g' \
		-e 's/[0-9]+ bytes in use/N bytes in use/' \
		-e 's/\b(swap|coroutine|env|loop|coctx_swap_x86_64)\.([chS]):[0-9]+/\1.\2:N/g' | tr -s ' '
}

# The frames of the user's own functions, and the seams.
user_frames() {
	sed -nE -e 's/^#[0-9]+ +([a-z_]+) \(.*\) at (.*gdb_demo.c:[0-9]+)$/\1 \2/p' -e '/^---/p' -e '/^coroutine/p'
}

no_fault() {
	! grep -nE 'Traceback|fault in this command|Python Exception' <<<"$1"
}
