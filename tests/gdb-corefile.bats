# SPDX-License-Identifier: MIT
# Core files and what co-core puts into them, tested on made-up memory with plain Python.

check() {
	cd "$BATS_TEST_DIRNAME" || return
	run timeout 60 python3 fixtures/gdb_corefile.py "$1"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "reading and writing cores needs no GDB" { check no_gdb; }
@test "notes that were packed come back, and those before a damage" { check notes_come_back; }
@test "a core that was written is read as it was; zeros are holes in the file" { check a_core_comes_back; }
@test "more segments than the ELF header can count" { check more_segments_than_a_header_can_count; }
@test "words are replaced wherever a piece begins or ends" { check patches_across_pieces; }
@test "a damaged core is refused with a reason, or read" { check damaged_cores_are_refused_or_read; }
@test "who gets a thread, with which registers, and the table of them" { check who_gets_a_thread; }
@test "threads' numbers are unique though IDs are not" { check numbers_are_unique; }
@test "what is copied out is moved, with the words and registers that point into it" { check what_is_copied_out_is_moved; }
@test "a save_buffer that cannot be read is said, and the thread is there" { check a_save_buffer_that_cannot_be_read; }
@test "a link that is hidden leads to the moved context" { check a_hidden_link_is_led_on; }
@test "copied-out stacks get addresses where nothing is" { check free_addresses; }
@test "a stack that the first core has left out is said" { check a_stack_that_is_lost_is_said; }
@test "maps as the kernel tells them, and as GDB does" { check maps_of_the_kernel_and_of_gdb; }
@test "the auxiliary vector as GDB tells it" { check auxiliary_vector; }
@test "mapped files and the program's name as notes" { check mapped_files; }
@test "every case of the file is a test here" {
	cd "$BATS_TEST_DIRNAME"
	diff <(python3 fixtures/gdb_corefile.py | sort) <(sed -nE 's/.*\{ check ([a-z_]+); \}/\1/p' gdb-corefile.bats | sort)
}
