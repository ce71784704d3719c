# SPDX-License-Identifier: MIT
"""A coroutine that stays selected: GDB's own bt, up, frame, info locals, print work in it.

As in unwind.py, a small lie about the first step: the caller of the thread's innermost
frame has the registers saved in the coroutine's context. Here the lie stays until the
program goes on, and must hold for each walk anew. Frame 0 and what is inlined into it
are the thread's; seams.py keeps them out of bt, and `down` does not go there.

If its stack is copied out, the bytes that GDB should see are in the save_buffer, and
pointers, the saved rbp's among them, lead to the slot, where another's are. Here no
address is moved (as in unwind.py), for what GDB shows is used further: printed,
followed, stepped through with up. Instead GDB finds the bytes at their addresses
(savedsection.py). Nothing of the program changes. (What is written goes into the slot
all the same: see _on_write.)
"""
import contextlib

import gdb

from . import format, handlers, model, savedsection, settings, unwind


class _Selected:
    """What is selected. Nothing, as long as `co` is None."""
    co = None
    is_on = False       # not while our own commands look at the thread itself
    thread = None       # its global number: a core opened beside the program has the same LWPs
    level = 0           # of the thread's innermost frame that is not inlined
    real = None         # rsp and rip of that one
    before = {}         # the user's settings, to be put back
    ours = {}           # what they are meanwhile
    data = b""          # of the save_buffer, if its stack is copied out
    section = None      # the savedsection.Section while GDB reads them there


_now = _Selected()
_n_conts = 0            # how often the program went on


class _Sticky(gdb.unwinder.Unwinder):
    def __init__(self):
        super().__init__("costep-selection")
        self.enabled = True

    def __call__(self, pending):
        if not _is_here() or pending.level() != _now.level or _point(pending) != _now.real:
            return None
        registers = _now.co.context.registers
        # An id below that of the frame that comes next, as a callee's would be.
        return unwind.frame_info(pending, registers["rsp"] - 16, registers["rip"], registers)


def _point(frame):
    return tuple(int(frame.read_register(name)) & (1 << 64) - 1 for name in ("rsp", "rip"))


def _is_here():
    """Do the frames of the selected thread begin with the coroutine's?"""
    return _now.is_on and gdb.selected_thread() is not None and gdb.selected_thread().global_num == _now.thread


def selected():
    """The coroutine; None."""
    return _now.co


def of_thread():
    """The coroutine, if it is the selected thread in which it was selected; None."""
    thread = gdb.selected_thread()
    return _now.co if thread is not None and thread.global_num == _now.thread else None


def is_on():
    return _now.is_on


def is_hidden(frame):
    """Is it a frame of the thread, not of the coroutine that is selected?"""
    return _is_here() and frame.level() <= _now.level


def is_bottom(frame):
    """Is it the coroutine's innermost frame, or below?"""
    return _is_here() and frame.level() <= _now.level + 1


def is_past_main(frame):
    """Does bt end here for the user, though it must go on for us?"""
    return (_is_here() and not _now.before["backtrace past-main"] and frame.name() == "main"
            and frame.type() == gdb.NORMAL_FRAME)


def select(rd, co):
    """Select a suspended coroutine, and its innermost frame. Unwound: it has none."""
    if co.state == "done":
        raise unwind.Unwound("%s is done: it has no frames" % co.label)
    if not co.has_begun:
        raise unwind.Unwound("%s has not begun: it has no frames" % co.label)
    if not co.has_stack:
        raise unwind.Unwound(format.no_stack(co))
    if model.stack_is_lost(rd, co):
        raise unwind.Unwound(format.lost_stack(co))
    drop()
    thread = gdb.selected_thread()
    frame = gdb.newest_frame()
    while frame.type() == gdb.INLINE_FRAME and frame.older() is not None:
        frame = frame.older()
    _now.co, _now.thread, _now.level = co, thread.global_num, frame.level()
    _now.real = _point(frame)
    _now.data = rd.read(co.stack.save_buffer, co.stack.save_len) if co.stack.is_out else b""
    try:
        _turn(True)
        first_frame().select()
    except BaseException:
        drop()
        raise


def first_frame():
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
    savedsection.remove_left()
    return co


def _turn(on):
    """Let the lie be told, or not."""
    savedsection.remove_left()
    _now.is_on = on
    if on and _now.data and not _now.section:
        _now.section = savedsection.Section(_now.co.stack.first, _now.data)
    if on:
        _change_settings()
    else:
        _put_settings_back()
    if not on and _now.section:
        _now.section.leave()
        _now.section = None
    gdb.invalidate_cached_frames()


def _change_settings():
    _now.ours = {"backtrace past-main": True}
    if _now.data:
        _now.ours["trust-readonly-sections"] = True
    limit = gdb.parameter("backtrace limit")
    if limit is not None:
        _now.ours["backtrace limit"] = limit + _now.level + 1   # the thread's own frames count, too
    _now.before = {name: gdb.parameter(name) for name in _now.ours}
    for name, value in _now.ours.items():
        settings.put(name, value)


def _put_settings_back():
    for name, value in _now.before.items():
        if gdb.parameter(name) == _now.ours[name]:  # else the user has set it meanwhile
            settings.put(name, value)


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
    try:
        _turn(False)
        yield
    finally:
        if _now.co is not None:
            _turn(True)
            frame = first_frame()
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


def end_for_step():
    """A step begins in the thread itself."""
    co = drop()
    if co is not None:
        _say_goodbye(co)


def end_in_other_thread():
    """Another thread is selected now."""
    co = _now.co
    if _now.is_on and not _is_here():
        drop()
        _say_goodbye(co, "another thread is")


def _say_goodbye(co, why="the program goes on"):
    gdb.write("(coroutine %s is not selected any more: %s)\n" % (co.label, why))


def _leave():
    """The program runs: do nothing now that needs it to stand. The file goes later."""
    if _now.is_on:
        _put_settings_back()
        if _now.section:
            _now.section.leave()
    _now.co, _now.is_on, _now.section = None, False, None


def _on_write(event):
    stack = _now.co.stack if _now.is_on else None
    if stack and stack.is_out and event.address < stack.hi and event.address + event.length > stack.first:
        gdb.write("warning: that has changed the slot, not what is copied out of it: the bytes of whoever is there "
                  "now. %s's own are in its save_buffer, at %#x\n" % (
                      _now.co.label, stack.to_buffer(max(event.address, stack.first))))


def register():
    gdb.unwinder.register_unwinder(None, _Sticky(), replace=True)
    handlers.connect("cont", _on_cont)
    handlers.connect("exited", _on_exit)
    handlers.connect("memory_changed", _on_write)
    handlers.on_reload(drop)
