# SPDX-License-Identifier: MIT
"""co-core: a core file in which every coroutine is a thread."""
import json
import os
import shlex
import textwrap

import gdb

from . import commands, corefile, core_sources, cothreads, format, settings

_SHOWN = 40     # lines of the table


class CoCore(commands.Command):
    """Write a core file in which every coroutine is a thread.

Usage: co-core OUT [-open] [-json]

OUT needs nothing of costep: in plain `gdb PROGRAM OUT`, info threads lists the
coroutines, and thread apply all bt shows the stack of each. The program may be
live, attached to, or a core itself; it goes on unharmed.

  LWP    a thread's number: 10000000 + ID is the suspended coroutine ID. Those
         on a processor are the real threads, with their real numbers. The
         table is in OUT, too:  grep -a "^LWP" OUT
  -open  open it here, as one more inferior; threads have their coroutines'
         names there
  -json  the table as a list of {lwp, id, name, state, on_processor, note,
         stack_at}; lwp null: no thread. stack_at null: the stack is in place

What is copied out of a shared stack is at an address of its own in OUT. Words
in it, and saved registers, that point into the stack were changed to lead
there. A number that only looks like such an address, is changed as well;
pointers that lie elsewhere still lead into the slot, where another's bytes
are. The link of one whose resumer is copied out leads to a copy of its
context. Everything else is as it was. Registers that a switch does not save
are 0xbad0bad0bad0bad0 in suspended coroutines: nobody knows what was there.
Such a thread's frame 0 is where it goes on, behind the call of coctx_swap, and
of frame 0 GDB shows the line of that very instruction: often the next one.
co-bt shows the line of the call.

Example: (gdb) co-core /tmp/all.core -open"""

    name = "co-core"

    def run(self, args):
        words = gdb.string_to_argv(args)
        options = [w for w in words if w.startswith("-")]
        paths = [w for w in words if not w.startswith("-")]
        if set(options) - {"-open", "-json"}:
            raise commands.Usage("the only options are -open and -json")
        if len(paths) != 1:
            raise commands.Usage("wants one file name, as in: co-core /tmp/all.core -open")
        # (Of a link, what it leads to: the file comes to its place by a rename.)
        path = os.path.realpath(os.path.expanduser(paths[0]))
        if os.path.exists(path) and not os.path.isfile(path):
            raise commands.Usage("cannot write %s: it is no ordinary file" % path)
        s = commands.Session()
        if not s.snapshot.envs:
            raise commands.Usage("there are no coroutines; generate-core-file writes an ordinary core")
        try:
            plan, size, n_lost = self._write(s, path)
        except corefile.CoreError as error:
            raise commands.Usage(str(error))
        except OSError as error:
            raise commands.Usage("cannot write %s: %s" % (path, error.strerror or error))
        opened = _open(path, plan) if "-open" in options else []
        return _as_json(plan) if "-json" in options else _say(s, plan, path, size, n_lost) + opened

    @staticmethod
    def _write(s, path):
        source = core_sources.source()
        part = "%s.%d.part" % (path, os.getpid())
        try:
            threads = {note.tid: note for note in source.notes if note.is_prstatus}
            if any(cothreads.is_made_up(tid) for tid in threads):
                raise corefile.CoreError("this core is one of co-core already")
            plan = cothreads.make(s.snapshot, s.reader, source.used, threads, source.is_whole)
            guards = [(co.stack.lo - co.stack.guard_len, co.stack.lo) for co in s.snapshot.all if co.stack.guard_len]
            with open(part, "wb") as file:
                writer = corefile.Writer(file, source.notes + plan.notes, plan.patches)
                n_lost = source.copy(writer, guards)
                for address, data in plan.segments:
                    writer.begin(address, corefile.PF_R | corefile.PF_W)
                    writer.add(data)
                writer.finish()
            os.replace(part, path)
            return plan, writer.n_written, n_lost
        finally:
            source.close()
            if os.path.exists(part):
                os.unlink(part)


def _say(s, plan, path, size, n_lost):
    lines = [line for thread in plan.threads[:_SHOWN] for line in _row(thread)]
    if len(plan.threads) > _SHOWN:
        lines.append('... and %d more:  grep -a "^LWP" %s' % (len(plan.threads) - _SHOWN, path))
    n_out = sum(1 for thread in plan.threads if thread.moved)
    if n_out:
        lines.append("%s at addresses of their own; %s changed: help co-core" % (
            format.plural(n_out, "copied-out stack"), format.plural(plan.n_moved_words + len(plan.patches), "word")))
    if n_lost:
        lines.append("%s could not be read (guards?) and are left out" % format.plural(n_lost, "byte"))
    lines += ["damaged: " + text for text in s.snapshot.problems]
    if any(cothreads.is_made_up(thread.tid) for thread in plan.threads):
        lines.append("(of a suspended one's frame 0, GDB shows the line behind the swap: help co-core)")
    program = gdb.current_progspace().filename or "PROGRAM"
    return lines + ["written: %s (%s); to look at it:" % (path, format.size(size)),
                    "  gdb %s %s" % (shlex.quote(program), shlex.quote(path))]


def _row(thread):
    return textwrap.wrap(cothreads.describe(thread), commands.width(), subsequent_indent=" " * 14,
                         drop_whitespace=False, break_on_hyphens=False)


def _as_json(plan):
    rows = [{"lwp": t.tid or None, "id": t.co.id, "name": t.co.name, "state": t.co.state,
             "on_processor": bool(t.co.cpu), "note": t.note, "stack_at": t.moved.address if t.moved else None}
            for t in plan.threads]
    return json.dumps(rows, indent=1).split("\n")


def _open(path, plan):
    """Add it as an inferior. The one that is selected now stays so (class Command)."""
    program = gdb.current_progspace().filename
    old, others = gdb.selected_inferior(), {inferior.num for inferior in gdb.inferiors()}
    gdb.execute("add-inferior -no-connection", to_string=True)
    new = next(inferior for inferior in gdb.inferiors() if inferior.num not in others)
    # No questions, and no notes that another inferior is selected.
    with settings.changed({"confirm": False, "suppress-cli-notifications": True}):
        try:
            gdb.execute("inferior %d" % new.num, to_string=True)
            if program:
                gdb.execute("file " + settings.quoted(program), to_string=True)
            _core_file(path)
        except gdb.error:
            gdb.execute("inferior %d" % old.num, to_string=True)
            gdb.execute("remove-inferiors %d" % new.num, to_string=True)
            raise
    names = {thread.tid: thread.co.name for thread in plan.threads}
    for thread in new.threads():
        name = names.get(thread.ptid[1] or thread.ptid[0])
        if name:
            thread.name = name
    return ["opened as inferior %d: info threads lists all, thread %d.2 goes there" % (new.num, new.num)]


def _core_file(path):
    """Its argument is the rest of the line; from GDB 16 on, it is a word as others are."""
    try:
        gdb.execute("core-file " + path, to_string=True)
    except gdb.error:
        if settings.quoted(path) == path:
            raise
        gdb.execute("core-file " + settings.quoted(path), to_string=True)


def register():
    CoCore()
