# SPDX-License-Identifier: MIT
"""costep in GDB: coroutines, their registers, stacks and backtraces.

Read in this order; each file knows only those above it:

    layout     where each field lies: from the program's co_debug_layout
    model      memory -> dataclasses, through a reader (reader.py or a test's)
    meaning    what a number is: whose stack, which function, which role
    stackwords a stack, word by word
    tree       who has resumed whom
    savebuf    a save_buffer beside the slot
    checks     what must hold
    waits      who waits until when, and for which descriptors
    arguments  a command's options
    format     dataclasses -> lines of text
    corefile   core files, read and written
    cothreads  coroutines as threads of a core
    maps       what is mapped where, from text
    viewformat the same, for the files since tree
    jsonout    dataclasses -> -json
    who        who runs on a thread, by a few reads
    swapsteps  one instruction of a switch -> a line
    trace      a trace file for coviz, of one state
    picture    what of memory belongs into it
    session    a lesson's guided session
    reader     the reader that asks GDB          -- from here on: import gdb
    dwarf      where the fields of the higher layers' structs lie
    handlers   of GDB's events
    settings   the user's settings, changed for a while
    unwind     frames of a suspended coroutine
    frames     GDB's frames -> dataclasses
    savedsection  a save_buffer as a read-only section of a file
    selection  a coroutine that stays selected
    selection_hooks  what step and down must know of that
    places     where suspended ones are, without a walk for each
    seams      plain bt names where one stack ends
    printing   how print shows the library's structs
    commands   what all commands share
    listing, registers, backtrace, stackview, helping
               co-list, co-regs, co-bt, co-stack, co-help
    viewing    co, co-apply
    views      co-tree, co-savebuf, co-check, co-timers, co-fds, co-waits
    tui        layout co
    core_sources, core_command   co-core
    functions  $co(ID), $co_self(), $co_reg(ID, REGISTER)
    stops      let the program run, and why it stopped
    callbacks  where the library calls functions of the user's
    stepper    GDB's stepping, that stays with a coroutine
    stepping   co-next, co-step, co-finish
    switch     co-switch
    breaks     co-break, co-catch, $co_is()
    viz        co-viz
    load       makes all of these known to GDB
    guide      co-guide, in a lesson

Nothing here calls a function of the program or writes its memory or
registers. So all of it works on a core file too.
"""
