# SPDX-License-Identifier: MIT
"""A coroutine that stays selected: GDB's own bt, up, frame, info locals, print work in it.

As in unwind.py, a small lie about the first step: the caller of the thread's innermost
frame has the registers saved in the coroutine's context. Here the lie stays until the
program goes on, and must hold for each walk anew. Frame 0 and what is inlined into it
are the thread's; seams.py keeps them out of bt, and `down` does not go there.

If its stack is copied out, the bytes that GDB should see are in the save_buffer, and
pointers, the saved rbp's among them, lead to the slot, where another's are. Here no
address is moved (as in unwind.py), for what GDB shows is used further: printed,
followed, stepped through with up. Instead GDB finds the bytes at their addresses: in
a file that says to be a read-only section there, and GDB is told to trust those. Nothing
of the program changes. (What is written goes into the slot all the same: see _on_write.)
"""
import contextlib
import os
import struct
import tempfile

import gdb

from . import format, handlers, model, reader, unwind

_SECTION = b".costep_save_buffer"


class _Selected:
    """What is selected. Nothing, as long as `co` is None."""
    co = None
    is_on = False       # not while our own commands look at the thread itself
    thread = None       # GDB's number
    level = 0           # of the thread's innermost frame that is not inlined
    real = None         # rsp and rip of that one
    before = {}         # GDB's settings, to be put back
    data = b""          # of the save_buffer, if its stack is copied out
    file = None         # (address of the section, path) while GDB has a file of them


_now = _Selected()
_left = []              # files that GDB still has, though nobody needs them
_n_conts = 0            # how often the program went on


class _Sticky(gdb.unwinder.Unwinder):
    def __init__(self):
        super().__init__("costep-selection")
        self.enabled = True

    def __call__(self, pending):
        if not _now.is_on or pending.level() != _now.level or _here(pending) != _now.real:
            return None
        registers = _now.co.context.registers
        # An id below that of the frame that comes next, as a callee's would be.
        return unwind.frame_info(pending, registers["rsp"] - 16, registers["rip"], registers)


def _here(pending):
    return tuple(int(pending.read_register(name)) & (1 << 64) - 1 for name in ("rsp", "rip"))


def selected():
    """The coroutine; None."""
    return _now.co


def is_on():
    return _now.is_on


def is_hidden(frame):
    """Is it a frame of the thread, not of the coroutine that is selected?"""
    return _now.is_on and frame.level() <= _now.level


def is_past_main(frame):
    """Does bt end here for the user, though it must go on for us?"""
    return (_now.is_on and not _now.before["backtrace past-main"] and frame.name() == "main"
            and frame.type() == gdb.NORMAL_FRAME)


def select(rd, co):
    """Select a suspended coroutine, and its innermost frame. Unwound: it has none."""
    drop()
    _define_hooks()
    if co.state == "done":
        raise unwind.Unwound("%s is done: it has no frames" % co.label)
    if not co.has_begun:
        raise unwind.Unwound("%s has not begun: it has no frames" % co.label)
    if not co.has_stack:
        raise unwind.Unwound(format.no_stack(co))
    if model.stack_is_lost(rd, co):
        raise unwind.Unwound(format.lost_stack(co))
    thread = gdb.selected_thread()
    frame = gdb.newest_frame()
    while frame.type() == gdb.INLINE_FRAME and frame.older() is not None:
        frame = frame.older()
    _now.co, _now.thread, _now.level = co, thread.num, frame.level()
    _now.real = tuple(int(frame.read_register(name)) & (1 << 64) - 1 for name in ("rsp", "rip"))
    _now.before = {"backtrace past-main": gdb.parameter("backtrace past-main"),
                   "trust-readonly-sections": gdb.parameter("trust-readonly-sections")}
    _now.data = rd.read(co.stack.save_buffer, co.stack.save_len) if co.stack.is_out else b""
    try:
        _turn(True)
        _first_frame().select()
    except BaseException:
        drop()
        raise


def _first_frame():
    frame = gdb.newest_frame()
    while frame is not None and frame.level() <= _now.level:
        frame = frame.older()
    if frame is None or frame.pc() != _now.co.context.registers["rip"]:
        raise unwind.Unwound("GDB cannot go to %#x, the saved resume address of %s" % (
            _now.co.context.registers["rip"], _now.co.label))
    return frame


def drop():
    """Back to the thread itself. Returns the coroutine that was selected; None."""
    co = _now.co
    if co is not None:
        _turn(False)
        _now.co = None
        # GDB has the frames that were, and one of them is selected.
        with contextlib.suppress(gdb.error):
            gdb.newest_frame().select()
    _forget_files()
    return co


def _turn(on):
    """Let the lie be told, or not."""
    _forget_files()
    _now.is_on = on
    if on and _now.data and not _now.file:
        _now.file = _put_over(_now.co.stack.first, _now.data)
    _set("backtrace past-main", on or _now.before["backtrace past-main"])
    _set("trust-readonly-sections", on and bool(_now.data) or _now.before["trust-readonly-sections"])
    if not on and _now.file:
        _left.append(_now.file)
        _now.file = None
    gdb.invalidate_cached_frames()


def _set(parameter, on):
    gdb.execute("set %s %s" % (parameter, "on" if on else "off"), to_string=True)


@contextlib.contextmanager
def paused():
    """For a command that looks at the thread itself, and at memory as it is."""
    if not _now.is_on:
        yield
        return
    try:
        level = gdb.selected_frame().level()
    except gdb.error:
        level = None
    _turn(False)
    try:
        yield
    finally:
        if _now.co is not None:
            _turn(True)
            frame = _first_frame()
            while level is not None and frame.level() < level and frame.older() is not None:
                frame = frame.older()
            frame.select()


@contextlib.contextmanager
def only(rd, co):
    """Select it for one command. What was selected before, and is paused, is so again."""
    global _now
    outer, _now, n_conts = _now, _Selected(), _n_conts
    try:
        select(rd, co)
        yield
    finally:
        drop()
        _now = outer
        if n_conts != _n_conts:
            _now.co = None  # the program went on


# --- the bytes that are copied out ----------------------------------------------------


def _put_over(address, data):
    directory = tempfile.mkdtemp(prefix="costep-")
    path = os.path.join(directory, "save_buffer")
    with open(path, "wb") as file:
        file.write(_elf(address, data))
    gdb.execute("add-symbol-file %s -o 0" % path.replace("\\", "\\\\").replace(" ", "\\ "), to_string=True)
    return address, path


def _elf(address, data):
    """An ELF file with one read-only section: `data` at `address`."""
    names = b"\0" + _SECTION + b"\0.shstrtab\0"
    at = 64
    headers = (at + len(data) + len(names) + 7) // 8 * 8
    out = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0, 0, headers, 0, 64, 0, 0, 64, 3, 2)
    out = (out + data + names).ljust(headers, b"\0")
    out += bytes(64)
    out += struct.pack("<2I4Q2I2Q", 1, 1, 2, address, at, len(data), 0, 0, 1, 0)    # PROGBITS, ALLOC
    out += struct.pack("<2I4Q2I2Q", len(_SECTION) + 2, 3, 0, 0, at + len(data), len(names), 0, 0, 1, 0)
    return out


def _forget_files():
    while _left:
        address, path = _left.pop()
        with contextlib.suppress(gdb.error):
            gdb.execute("remove-symbol-file -a %#x" % address, to_string=True)
        with contextlib.suppress(OSError):
            os.unlink(path)
            os.rmdir(os.path.dirname(path))


# --- what ends it ---------------------------------------------------------------------


def _on_cont(event):
    global _n_conts
    _n_conts += 1
    if _now.co is not None:
        _say_goodbye(_now.co)
        _leave()


def _on_exit(event):
    if _now.co is not None:
        _leave()


def _say_goodbye(co):
    gdb.write("(coroutine %s is not selected any more: the program goes on)\n" % co.label)


def _leave():
    """The program runs: do nothing now that needs it to stand. The file goes later."""
    if _now.is_on:
        _set("backtrace past-main", _now.before["backtrace past-main"])
        _set("trust-readonly-sections", _now.before["trust-readonly-sections"])
        if _now.file:
            _left.append(_now.file)
    _now.co, _now.is_on, _now.file = None, False, None


def _on_write(event):
    stack = _now.co.stack if _now.is_on else None
    if stack and stack.is_out and event.address < stack.hi and event.address + event.length > stack.first:
        gdb.write("warning: that has changed the slot, not what is copied out of it: the bytes of whoever is there "
                  "now. %s's own are in its save_buffer, at %#x\n" % (
                      _now.co.label, stack.to_buffer(max(event.address, stack.first))))


_HOOKS = {
    # GDB notes where a step begins, by the frame's id: it must be the true one.
    **dict.fromkeys(("step", "next", "stepi", "nexti", "until", "advance", "finish"), "step"),
    "down": "down",
}
_AFTER = {"down": "after-down"}


class CostepHook(gdb.Command):
    """What the hooks of step, next and down call: see help co."""

    def __init__(self):
        super().__init__("costep-hook", gdb.COMMAND_OBSCURE)

    def invoke(self, args, from_tty):
        {"step": _before_step, "down": _before_down, "after-down": _after_down}[args]()


def _before_step():
    co = drop()
    if co is not None:
        _say_goodbye(co)


def _before_down():
    """Below the coroutine's innermost frame there is only the thread's."""
    if _now.is_on and gdb.selected_frame().level() <= _now.level + 1:
        raise gdb.GdbError("Bottom (innermost) frame of coroutine %s selected; you cannot go down." % _now.co.label)


def _after_down():
    """down N may have gone there all the same."""
    if is_hidden(gdb.selected_frame()):
        frame = _first_frame()
        frame.select()
        gdb.write("(that is the thread itself; frame %d is the innermost of coroutine %s, and is selected)\n" % (
            frame.level(), _now.co.label))


def _define_hooks():
    """When they are needed first. Not when the package is loaded: that may be by a shared
    library, in the middle of `run`, and GDB's `define` would let it go on unattended."""
    hooks = [("hook-" + command, what) for command, what in _HOOKS.items()]
    for name, what in hooks + [("hookpost-" + command, what) for command, what in _AFTER.items()]:
        try:
            gdb.execute("show user " + name, to_string=True)    # one of the user's own stays
        except gdb.error:
            gdb.execute("define %s\ncostep-hook %s\nend" % (name, what), to_string=True)


def register():
    gdb.unwinder.register_unwinder(None, _Sticky(), replace=True)
    handlers.connect("cont", _on_cont)
    handlers.connect("exited", _on_exit)
    handlers.connect("memory_changed", _on_write)
    handlers.on_reload(drop)
    CostepHook()
