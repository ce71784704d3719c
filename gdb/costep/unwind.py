# SPDX-License-Identifier: MIT
"""The frames of an execution that is suspended.

GDB walks frames from the registers of a thread, and writing those is out of
the question: a core has none to write. So we tell it a small lie about the
first step. While armed, the unwinder below claims the thread's real innermost
frame and says: its caller has the registers saved in this context. Every step
after that one is GDB's own, by the program's unwind tables, so arguments and
locals work as ever. Frame 0 is the lie and is never shown.

If its stack is copied out, GDB must read in the save_buffer, for another's bytes
are on the stack. So the lie goes further: rsp and rbp, where they point into what
is copied out, are moved there. But what functions have pushed, is not moved: a
frame that rbp leads to wants its caller's rbp. Then a shim, the same frame once
more with rbp moved, is put in front of GDB's next step. And a function that has
aligned its stack may have noted where its frame ends: then GDB comes out on the
stack itself, and has read another's return address there. That shim is the end, and
with the right address another lie begins. Shims are never shown.
"""
import contextlib

import gdb
import gdb.unwinder

from . import model, reader, settings

_MASK = 0xffffffffffffffff
_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp", "rip")


class Unwound(Exception):
    """GDB could not get from the thread to the context."""


class _FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = gdb.Value(sp), gdb.Value(pc)


class _Steps(gdb.unwinder.Unwinder):
    def __init__(self):
        super().__init__("costep")
        self.enabled = False    # a plain bt costs nothing
        self.level = 0          # of the thread's innermost frame that is not inlined
        self.registers = None   # those of the context
        self.stack = None       # a model.Stack that is copied out, else None
        self.read_word = None   # of what its coroutine would find there
        self.shims = set()      # their levels
        self.restarts = {}      # level of a shim that ends a walk -> where the next begins

    def __call__(self, pending):
        # The level, not rsp and rip: a thread that has just come back stands
        # exactly where its context says, and that frame comes twice then.
        if self.registers is None or pending.level() < self.level:
            return None
        if pending.level() == self.level:
            # An id below the frame that comes next, as a callee's would be.
            registers = self._moved(self.registers)
            return frame_info(pending, registers["rsp"] - 16, registers["rip"], registers)
        if self.stack is None:
            return None
        registers = {name: int(pending.read_register(name)) & _MASK for name in _SAVED}
        moved = self._moved(registers)
        if moved == registers:
            return None
        self.shims.add(pending.level())
        if moved["rsp"] != registers["rsp"]:
            # A return address lies right below where a frame ends.
            moved["rip"] = self.read_word(registers["rsp"] - 8)
            self.restarts[pending.level()] = moved
        # An id between its neighbours': the frame before ends at rsp, too.
        return frame_info(pending, registers["rsp"] + 1, registers["rip"], moved)

    def _moved(self, registers):
        if self.stack is None:
            return dict(registers)
        return dict(registers, rsp=self.stack.to_buffer(registers["rsp"]), rbp=self.stack.to_buffer(registers["rbp"]))


def frame_info(pending, sp, pc, caller):
    info = pending.create_unwind_info(_FrameId(sp & _MASK, pc))
    for name in _SAVED:
        info.add_saved_register(name, gdb.Value(caller[name]))
    return info


_unwinder = _Steps()


def register():
    gdb.unwinder.register_unwinder(None, _unwinder, replace=True)


def past_main():
    """GDB ends a backtrace at main. The thread itself may be in main, and the
    first step must go on from there. Nor does the user's limit count for our walks."""
    return settings.changed({"backtrace past-main": True, "backtrace limit": None})


@contextlib.contextmanager
def suspended(registers, rd=None, stack=None):
    """Give the innermost frame of the execution with these saved registers.

    rd, stack: its model.Stack, if it is copied out, and a reader of memory. In
    frames then, addresses of the stack are those of its save_buffer.

    Only one at a time, and frames are not valid afterwards. The selected
    thread and frame come back."""
    with reader.keep_selection(), past_main():
        try:
            _unwinder.level = _innermost_level()
            _unwinder.stack = stack
            overlay = model.Overlay(rd, stack) if stack else None
            _unwinder.read_word = lambda address: (model.read_words(overlay, address, 1) or [0])[0]
            _unwinder.enabled = True
            yield _start(registers)
        finally:
            _unwinder.enabled = False
            _unwinder.registers = _unwinder.stack = None
            _unwinder.shims.clear()
            _unwinder.restarts.clear()
            gdb.invalidate_cached_frames()


def is_shim(frame):
    """Is it a frame that only the unwinder has put there?"""
    return frame.level() in _unwinder.shims and frame.type() != gdb.INLINE_FRAME


def after_shim(frame):
    """The frame that follows one. Others may not be valid any more then."""
    registers = _unwinder.restarts.get(frame.level())
    return _start(registers) if registers else frame.older()


@contextlib.contextmanager
def without_callers(frame):
    """What the compiler could say of a variable only by its value at the function's
    entry, GDB looks for in the caller. A shim there would mislead it."""
    while frame.type() == gdb.INLINE_FRAME:
        frame = frame.older()
    with settings.changed({"backtrace limit": frame.level() + 1}):
        yield


def _start(registers):
    _unwinder.registers = registers
    _unwinder.shims.clear()
    _unwinder.restarts.clear()
    gdb.invalidate_cached_frames()
    return _first_frame(registers)


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
