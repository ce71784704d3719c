# SPDX-License-Identifier: MIT
"""Let the program run, and say why it stopped.

The breakpoints here are internal: they have no number, print nothing, and are
deleted by whoever made them, whatever happens (stops.armed). Conditions are
asked when GDB has stopped there already, so they hold from the first time on.
"""
import contextlib
from dataclasses import dataclass, field
from typing import List

import gdb

from . import model, reader

SWAP = "coctx_swap"


@dataclass
class Stop:
    """Why. `ours`: those of our breakpoints that wanted it. `is_step`: a stepping
    command came to its end. Else it is the program's or the user's business: `cause`.
    `is_elsewhere`: GDB looks at another process now (the child of a fork, say)."""
    ours: List = field(default_factory=list)
    is_step: bool = False
    is_exit: bool = False
    is_elsewhere: bool = False
    cause: str = ""


class Break(gdb.Breakpoint):
    """An internal breakpoint at an address, of one thread (a gdb.InferiorThread)."""

    def __init__(self, address, thread, **location):
        if location:
            super().__init__(internal=True, **location)
        else:
            super().__init__("*%#x" % address, internal=True)
        self.silent = True
        self.is_hit = False
        self.of_thread = thread.ptid if thread else None
        self.of_inferior = gdb.selected_inferior().num

    def is_wanted(self):
        return True

    def stop(self):
        # Whatever happens here must not end in a traceback: then it is no stop.
        try:
            thread = gdb.selected_thread()
            if thread.inferior.num != self.of_inferior:
                # The child of a fork, into which GDB has gone: there the command ends.
                return not gdb.parameter("schedule-multiple")
            is_ours = self.of_thread is None or thread.ptid == self.of_thread
            self.is_hit = is_ours and self.is_wanted()
        except (RuntimeError, ValueError, model.Unreadable):    # gdb.error is one of the first
            self.is_hit = False
        return self.is_hit


class ReturnBreak(Break):
    """Where a call returns to: the stack pointer says whether it is that call, and
    `asker`, `who` (both may be None) whether it is that coroutine. On a shared
    stack others have the same stack pointer there."""

    def __init__(self, pc, rsp, thread, asker=None, who=None, **location):
        super().__init__(pc, thread, **location)
        self.rsp = rsp
        self.asker = asker
        self.who = who

    def is_wanted(self):
        if self.rsp is not None and register("rsp") != self.rsp:
            return False
        return self.who is None or self.asker.is_running(self.who)


class GoneBreak(Break):
    """A coroutine is released or reset: `function`'s first argument is it."""

    def __init__(self, function, address, who, asker):
        super().__init__(address, None)
        self.function = function
        self.who = who
        self.asker = asker

    def is_wanted(self):
        if register("rdi") != self.who.address:
            return False
        now = self.asker.at(self.who.address)
        # The library refuses that to those who run.
        return now is not None and now.state not in ("running", "normal")


def gone_breaks(asker, who):
    if who is None:
        return []
    found = [(name, reader.address_of(name)) for name in ("co_release", "co_reset", "co_destroy")]
    return [GoneBreak(name, address, who, asker) for name, address in found if address]


@contextlib.contextmanager
def armed(*breaks):
    """These breakpoints, until the end of the block."""
    try:
        yield
    finally:
        for one in breaks:
            if one is not None and one.is_valid():
                one.delete()


def run(command, thread, ours=()):
    """GDB's `command`, which lets the program run; until it stops."""
    for one in ours:
        one.is_hit = False
    events, exits, number = [], [], gdb.selected_inferior().num
    counts = {b.number: b.hit_count for b in gdb.breakpoints()}
    gdb.events.stop.connect(events.append)
    gdb.events.exited.connect(exits.append)
    try:
        gdb.execute(command)
    finally:
        gdb.events.stop.disconnect(events.append)
        gdb.events.exited.disconnect(exits.append)
    if gdb.selected_inferior().num != number:
        return Stop(is_elsewhere=True, cause="GDB looks at another process")
    if exits or gdb.selected_thread() is None or not gdb.selected_thread().is_valid():
        return Stop(is_exit=True)
    event = events[-1] if events else None
    if gdb.selected_thread().ptid != thread.ptid:
        return Stop(cause="thread %d has stopped" % gdb.selected_thread().num)
    if isinstance(event, gdb.BreakpointEvent):
        others = [b for b in event.breakpoints
                  if b.is_valid() and b.number > 0 and b.hit_count != counts.get(b.number, 0)]
        if others:
            return Stop(cause="breakpoint %s" % ", ".join(str(b.number) for b in others))
        return Stop(ours=[b for b in ours if b.is_hit])
    if isinstance(event, gdb.SignalEvent):
        return Stop(cause="signal %s" % event.stop_signal)
    if event is None:
        return Stop(cause="the program has stopped")
    return Stop(is_step=command.split()[0] not in ("continue",))


# --- what the program looks like where it has stopped --------------------------------


def register(name):
    """Of the selected thread's innermost frame."""
    return int(gdb.newest_frame().read_register(name)) & 0xffffffffffffffff


def source_line():
    """The line where the selected frame stands, as a stepping command shows it."""
    text = gdb.execute("frame", to_string=True).rstrip("\n")
    lines = text.split("\n")
    return (lines[1:] or lines) + displays()


def displays():
    """What `display` shows at each stop; GDB does not at those of our breakpoints."""
    return gdb.execute("display", to_string=True).splitlines()


def is_line_start(pc):
    sal = gdb.find_pc_line(pc)
    return sal.symtab is not None and sal.pc == pc


def line_of(pc):
    """What "the same line" compares; None: no debug information."""
    sal = gdb.find_pc_line(pc)
    return (sal.symtab.filename, sal.line) if sal.symtab else None


def connection_is_core():
    connection = getattr(gdb.selected_inferior(), "connection", None)
    return connection is not None and connection.type == "core"
