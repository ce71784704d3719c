# SPDX-License-Identifier: MIT
# What gdb/ makes of memory, tested on made-up memory with plain Python.

check() {
	cd "$BATS_TEST_DIRNAME" || return
	run timeout 60 python3 fixtures/gdb_model.py "$1"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "model and format need no GDB" { check no_gdb; }
@test "a healthy program is read field by field, at whatever offsets the table says" { check healthy; }
@test "a list that runs in a ring without its head ends with one line" { check ring_without_head; }
@test "a NULL in the middle of the list: the ones before it, and one line" { check null_next; }
@test "a list head of zeros: nothing, and one line" { check null_head; }
@test "garbage in a link: the ones before it, and one line that names the link" { check garbage_next; }
@test "a coroutine that cannot be read is left out and named; the others stay" { check unreadable_coroutine; }
@test "any word overwritten by anything: always lines, never an exception" { check garbage_everywhere; }
@test "a table that is damaged or of another version is refused with a reason" { check garbage_table; }
@test "the stack pointer says who is on the processor; a disagreement is one line" { check who_is_on_the_processor; }
@test "one that is being switched to for the first time has not begun" { check switched_to_but_not_begun; }
@test "addresses are told by stack, guard, context, struct" { check what_an_address_is; }
@test "mxcsr and the x87 control word in words" { check settings_in_words; }
@test "the words of a stack: frames, returns, saved rbp, variables" { check words_of_a_stack; }
@test "a stack that a core has left out is noticed" { check a_lost_stack; }
@test "a processor on a stack that is in no memory is nobody's" { check a_stack_that_nothing_tells_of; }
@test "of those on one slot, the one whose bytes are there is on the processor" { check who_has_the_slot; }
@test "one that begins on another's slot is not there yet" { check begins_on_another_ones_slot; }
@test "a resumer that is copied out is found though the link hides it" { check resumer_behind_a_hidden_link; }
@test "what is copied out is read from the save_buffer, and nothing else" { check copied_out_bytes; }
@test "on the copier nobody is on the processor" { check on_the_copier; }
@test "an address in a slot is its own coroutine's, or the slot's" { check addresses_in_a_slot; }
@test "frames and seams are lines" { check frames_and_seams_as_lines; }
@test "a stack is a table, wide or narrow" { check a_stack_as_a_table; }
@test "a program that has only contexts: no table, no coroutines" { check a_program_that_has_only_contexts; }
@test "places, and names that are the library's" { check places_in_words; }
@test "what comes before the reader needs no GDB, and each part is tested without it" {
	cd "$BATS_TEST_DIRNAME"
	parts=$(awk '$1 == "reader" { exit } on || $1 == "layout" { on = 1; print $1 }' ../gdb/costep/__init__.py | sort)
	diff <(echo "$parts") <(python3 -c 'import importlib, glob, os, sys
sys.path.insert(0, "../gdb")
for path in sorted(glob.glob("../gdb/costep/*.py")):
    name = os.path.basename(path)[:-3]
    try: importlib.import_module("costep." + name)
    except ModuleNotFoundError: continue
    if name != "__init__": print(name)' | sort)
	[ "$(wc -l <<<"$parts")" -ge 20 ]
	for part in $parts; do
		grep -qE "^from costep import .*\b$part\b" fixtures/gdb_{model,views_model,step_model,corefile}.py gdb-guide ||
			{ echo "$part is in no test without GDB"; false; }
	done
}
@test "gdb/ compiles without a warning: later Pythons make errors of them" {
	cd "$BATS_TEST_DIRNAME"
	python3 -W error -c 'import sys
for path in sys.argv[1:]: compile(open(path).read(), path, "exec")' ../gdb/*.py ../gdb/costep/*.py fixtures/gdb_*.py
}
@test "every case of the file is a test here" {
	cd "$BATS_TEST_DIRNAME"
	diff <(python3 fixtures/gdb_model.py | sort) <(sed -nE 's/.*\{ check ([a-z_]+); \}/\1/p' gdb-model.bats | sort)
}
