# SPDX-License-Identifier: MIT
"""co ID, co-apply: GDB's own commands in another coroutine."""
import contextlib
import re

import gdb

from . import commands, format, model, reader, selection, selection_hooks, unwind


def _its_thread(co):
    for thread in gdb.selected_inferior().threads():
        if thread.num == co.cpu.number:
            thread.switch()


class CoSelect(commands.Command):
    """Select a coroutine: bt, up, down, frame, info locals, print work in it.

Usage: co ID | NAME | off

co-bt, co-regs and co-stack without an ID mean it, too. It stays selected
until the program goes on (step and next go on where the thread stands), or
until co off. One on a processor needs no more than its thread. GDB numbers
its frames from #1 (from #2, if the thread is in an inlined function): #0 is
the thread itself, which bt does not show, but for bt -no-filters. If its
stack is copied out, memory is read as the coroutine will find it: from its
save_buffer. (To write there would change the bytes of whoever is in the
slot.)

Example: (gdb) co 2"""

    name = "co"

    @staticmethod
    def around():
        return contextlib.nullcontext()

    def run(self, args):
        arg = commands.one_argument(args)
        if arg is None:
            co = selection.selected()
            return ["coroutine %s is selected; co off ends that" % co.label if co else
                    "no coroutine is selected: GDB shows the thread itself"]
        if arg == "off":
            return self._off()
        with super().around():
            s = commands.Session()
            it = s.find(arg)
        if isinstance(it, model.Context):
            raise commands.Usage("%s is a context; co-bt %s shows its frames" % (arg, arg))
        return self._select(s, it)

    @staticmethod
    def _off():
        co = selection.drop()
        if co is None:
            raise commands.Usage("no coroutine is selected")
        return ["coroutine %s is not selected any more: GDB shows the thread itself" % co.label]

    @staticmethod
    def _select(s, co):
        if co.cpu:
            selection.drop()
            _its_thread(co)
            gdb.newest_frame().select()
            return _show("coroutine %s is on the processor: this is its thread" % co.label)
        selection_hooks.define()
        selection.select(s.reader, co)
        return _show("coroutine %s, %s" % (co.label, format.state(co)))


def _show(title):
    """By GDB itself: with TUI, the line is shown in the source window. (There `frame` writes
    before what was written before it, and ends no line.)"""
    if _has_tui():
        return [title] + gdb.execute("frame", False, True).rstrip("\n").split("\n")
    gdb.write(title + "\n")
    gdb.execute("frame")
    return []


def _has_tui():
    try:
        return "not active" not in gdb.execute("info win", False, True)
    except gdb.error:       # a GDB without
        return False


class CoApply(commands.Command):
    """Run a GDB command in a coroutine, or in each that has frames.

Usage: co-apply ID ... | NAME | all [-s] COMMAND

What was selected is selected again afterwards. One that has no frames is
named. -s: who has none, or where the command fails, is left out.

Example: (gdb) co-apply all -s frame function worker"""

    name = "co-apply"

    def run(self, args):
        which, command, is_silent = self._parted(args)
        selection_hooks.define()
        s = commands.Session()
        if which == ["all"]:
            chosen = s.snapshot.all
            if not chosen:
                raise commands.Usage("there are no coroutines")
        else:
            chosen = [s.find(word) for word in which]
            if isinstance(chosen[0], model.Context):
                raise commands.Usage("%s is a context, not a coroutine" % which[0])
        # Written one by one: the user's command may write, too.
        gap = ""
        for co in chosen:
            title = "%scoroutine %s, %s:\n" % (gap, co.label, "on the processor" if co.cpu else format.state(co))
            try:
                if is_silent:
                    title += self._one(s, co, command, True)
                gdb.write(title)
                if not is_silent:
                    self._one(s, co, command)
            except (gdb.error, unwind.Unwound) as error:
                if is_silent:
                    continue
                if len(which) == 1 and which != ["all"]:
                    raise
                gdb.write("(%s)\n" % error)
            gap = "\n"
        return []

    @staticmethod
    def _parted(args):
        """(whom, COMMAND, is it -s?)"""
        match = re.match(r'\s*((?:\d+\s+)*\d+(?=\s)|"[^"]*"|\S+)\s+(-s(?:\s+|$))?(.*\S)?', args)
        if not match or not match[3] or match[3].isdigit():
            raise commands.Usage("wants a coroutine and a command, as in: co-apply all bt")
        which, silent, command = match.groups()
        return which.split() if which[0].isdigit() else [which], command, bool(silent)

    @staticmethod
    def _one(s, co, command, is_silent=False):
        """What it has printed, if `is_silent`."""
        if co.cpu:
            with reader.keep_selection():
                _its_thread(co)
                gdb.newest_frame().select()
                return gdb.execute(command, False, is_silent)
        with reader.keep_selection():
            with selection.only(s.reader, co):
                return gdb.execute(command, False, is_silent)


def register():
    CoSelect()
    CoApply()
