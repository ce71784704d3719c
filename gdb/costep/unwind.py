# SPDX-License-Identifier: MIT
"""The frames of an execution that is suspended.

GDB walks frames from the registers of a thread, and writing those is out of
the question: a core has none to write. So we tell it a small lie about the
first step. While armed, the unwinder below claims the thread's real innermost
frame and says: its caller has the registers saved in this context. Every step
after that one is GDB's own, by the program's unwind tables, so arguments and
locals work as ever. Frame 0 is the lie and is never shown.
"""
import contextlib

import gdb
import gdb.unwinder

from . import reader

_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp", "rip")


class Unwound(Exception):
    """GDB could not get from the thread to the context."""


class _FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = gdb.Value(sp), gdb.Value(pc)


class _FirstStep(gdb.unwinder.Unwinder):
    def __init__(self):
        super().__init__("costep")
        self.enabled = False    # a plain bt costs nothing
        self.level = 0          # of the thread's innermost frame that is not inlined
        self.registers = None   # those of the context

    def __call__(self, pending):
        # The level, not rsp and rip: a thread that has just come back stands
        # exactly where its context says, and that frame comes twice then.
        if self.registers is None or pending.level() != self.level:
            return None
        # An id below the frame that comes next, as a callee's would be.
        sp = (self.registers["rsp"] - 16) & 0xffffffffffffffff
        info = pending.create_unwind_info(_FrameId(sp, self.registers["rip"]))
        for name in _SAVED:
            info.add_saved_register(name, gdb.Value(self.registers[name]))
        return info


_unwinder = _FirstStep()


def register():
    gdb.unwinder.register_unwinder(None, _unwinder, replace=True)


@contextlib.contextmanager
def past_main():
    """GDB ends a backtrace at main. The thread itself may be in main, and the
    first step must go on from there."""
    before = gdb.parameter("backtrace past-main")
    _set_past_main(True)
    try:
        yield
    finally:
        _set_past_main(before)


@contextlib.contextmanager
def suspended(registers):
    """Give the innermost frame of the execution with these saved registers.

    Only one at a time, and frames are not valid afterwards. The selected
    thread and frame come back."""
    with reader.keep_selection(), past_main():
        try:
            _unwinder.level = _innermost_level()
            _unwinder.registers = registers
            _unwinder.enabled = True
            gdb.invalidate_cached_frames()
            yield _first_frame(registers)
        finally:
            _unwinder.enabled = False
            _unwinder.registers = None
            gdb.invalidate_cached_frames()


def _set_past_main(on):
    gdb.execute("set backtrace past-main %s" % ("on" if on else "off"), to_string=True)


def _innermost_level():
    frame = gdb.newest_frame()
    while frame.type() == gdb.INLINE_FRAME and frame.older() is not None:
        frame = frame.older()
    return frame.level()


def _first_frame(registers):
    """Skip frame 0, which is the lie, and what is inlined into it."""
    frame = gdb.newest_frame()
    while frame is not None and frame.level() <= _unwinder.level:
        frame = frame.older()
    if frame is not None and frame.pc() == registers["rip"]:
        return frame
    raise Unwound("GDB cannot go to %#x, the saved resume address" % registers["rip"])
