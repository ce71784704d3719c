# SPDX-License-Identifier: MIT
"""co-viz: the present stop in coviz."""
import os
import shlex
import shutil
import sys
import tempfile

import gdb

from . import commands, frames, picture, stops, trace, unwind

TABLE_LEN = 2176    # of a struct co_debug_layout, src/debug.h


class CoViz(commands.Command):
    """Show the present stop in coviz: stacks, registers, save_buffers side by side.

Usage: co-viz [FILE]

Writes a trace of one state, of the selected thread and its coroutines, and
opens it in coviz (build/coviz beside this package, or one in PATH; q comes
back). With FILE, or where there is no terminal, it only writes.

Example: (gdb) co-viz stop.cot"""

    name = "co-viz"

    def run(self, args):
        words = gdb.string_to_argv(args)
        if len(words) > 1:
            raise commands.Usage("one file name is enough, but there are %d words" % len(words))
        made, left_out = make()
        data = trace.encode(made)
        if words:
            return [write(os.path.expanduser(words[0]), data, made)] + too_much(left_out)
        if not (sys.__stdin__.isatty() and sys.__stdout__.isatty()):
            return [write("stop.cot", data, made)] + too_much(left_out) + ["no terminal to show it on: coviz stop.cot"]
        program = find_coviz()
        if program is None:
            raise commands.Usage("there is no coviz: %s; co-viz FILE only writes" % how_to_get())
        with tempfile.TemporaryDirectory(prefix="costep") as directory:
            path = os.path.join(directory, "stop.cot")
            write(path, data, made)
            gdb.execute("shell %s %s" % (shlex.quote(program), shlex.quote(path)))
        return too_much(left_out)


def too_much(left_out):
    return ["%d ranges of memory were left out: too large" % left_out] if left_out else []


def write(path, data, made):
    """One line that says what was written."""
    try:
        with open(path, "wb") as f:
            f.write(data)
    except OSError as error:
        raise commands.Usage("%s cannot be written: %s" % (path, error.strerror))
    return "%s: one state, %d executions, %d words of memory" % (path, len(made.execs), len(made.words))


TREE = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


def find_coviz():
    """Beside the package as in the source tree, or in PATH; None."""
    beside = os.path.join(TREE, "build", "coviz")
    return beside if os.access(beside, os.X_OK) else shutil.which("coviz")


def how_to_get():
    if os.path.exists(os.path.join(TREE, "Makefile")):
        return "`make coviz` in %s builds it" % TREE
    return "in costep's source tree `make coviz` builds it (build/coviz); put that into PATH"


def make():
    """(trace.Trace, ranges left out) of this stop."""
    s = commands.Session()
    cpu = s.cpu
    registers = dict(cpu.registers, eflags=stops.register("eflags"))
    env = next((env for env in s.snapshot.envs if env.cpu is cpu), None)
    if env:
        words, execs, swap = picture.of_coroutines(s.reader, s.layout, env, cpu, main_hi(s, env))
    elif s.layout.envs:
        # No coroutine was created yet on this thread.
        words, execs, swap = picture.of_contexts(s.reader, s.layout, [], cpu, main_hi(s, None), lambda _: 0)
    else:
        words, execs, swap = picture.of_contexts(s.reader, s.layout, s.reader.contexts(), cpu, main_hi(s, None),
                                                 s.reader.array_end)
    filename = gdb.current_progspace().filename or "?"
    made = trace.Trace(filename, filename, cpu.tid, table(s), registers, words.words, maps(), execs, swap)
    return made, words.left_out


def table(s):
    """The layout as coviz wants it."""
    if s.layout.address:
        return s.reader.read(s.layout.address, TABLE_LEN)
    fields = {name.split(".")[1]: place for name, place in s.layout.fields.items() if name.startswith("coctx.")}
    return trace.context_table(fields, s.layout.sizeof("coctx"))


def maps():
    try:
        return picture.parse_maps(gdb.execute("info proc mappings", to_string=True))
    except gdb.error:
        return []   # a core without the note: addresses stay numbers


def main_hi(s, env):
    """Where the stack of main ends for a reader: a little above its own frame. 0: unknown."""
    main = env.coroutines[0] if env else None
    try:
        found = frames.of(s.reader, main) if main else frames.of_thread(True)
    except (gdb.error, unwind.Unwound):
        return 0
    for frame, caller in zip(found, found[1:]):
        if frame.function == "main":
            return caller.rsp + picture.ABOVE_MAIN
    return 0


def register():
    CoViz()
