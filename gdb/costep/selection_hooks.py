# SPDX-License-Identifier: MIT
"""GDB's own commands that must know of a selected coroutine: step and its like, and those
that select a frame."""
import gdb

from . import selection

_HOOKS = {
    # GDB notes where a step begins, by the frame's id: it must be the true one.
    **dict.fromkeys(("step", "next", "stepi", "nexti", "until", "advance", "finish"), "step"),
    "down": "down",
}
_AFTER = {
    **dict.fromkeys(("down", "frame", "frame level", "frame address", "select-frame", "select-frame level",
                     "select-frame address", "thread", "inferior"), "after-frame"),
    # They look from frame 0 on, and that is the thread's.
    **dict.fromkeys(("frame function", "select-frame function"), "after-function"),
}


class CostepHook(gdb.Command):
    """What the hooks of step, down, frame and others call: see help co."""

    def __init__(self):
        super().__init__("costep-hook", gdb.COMMAND_OBSCURE)

    def invoke(self, args, from_tty):
        {"step": selection.end_for_step, "down": _before_down, "after-frame": _after_frame,
         "after-function": _after_function}[args]()


def _before_down():
    """Below the coroutine's innermost frame there is only the thread's."""
    if selection.is_on() and selection.is_bottom(gdb.selected_frame()):
        raise gdb.GdbError("Bottom (innermost) frame of coroutine %s selected; you cannot go down."
                           % selection.selected().label)


def _after_frame():
    """Some may have gone there all the same: down N, frame 0, frame function F, thread N."""
    selection.end_in_other_thread()
    if not selection.is_on():
        return      # perhaps there is no frame at all
    if selection.is_hidden(gdb.selected_frame()):
        frame = selection.first_frame()
        frame.select()
        gdb.write("(that is the thread itself; frame %d is the innermost of coroutine %s, and is selected)\n" % (
            frame.level(), selection.selected().label))


def _after_function():
    """The thread may be in that function, too."""
    selection.end_in_other_thread()
    if not selection.is_on() or not selection.is_hidden(gdb.selected_frame()):
        return
    wanted = _function(gdb.selected_frame())
    frame = selection.first_frame()
    while frame is not None and _function(frame) != wanted:
        frame = frame.older()
    if frame is None:
        _after_frame()
        return
    frame.select()
    gdb.write("(that is the thread itself; in coroutine %s it is frame %d, and that is selected:)\n" % (
        selection.selected().label, frame.level()))
    gdb.write(gdb.execute("frame", to_string=True))


def _function(frame):
    function = frame.function()
    return frame.name(), function.symtab.fullname() if function is not None else ""


def define():
    """When they are needed first. Not when the package is loaded: that may be by a shared
    library, in the middle of `run`, and GDB's `define` would let it go on unattended."""
    hooks = [(_name("hook-", command), what) for command, what in _HOOKS.items()]
    for name, what in hooks + [(_name("hookpost-", command), what) for command, what in _AFTER.items()]:
        try:
            gdb.execute("show user " + name, to_string=True)    # one of the user's own stays
        except gdb.error:
            gdb.execute("define %s\ncostep-hook %s\nend" % (name, what), to_string=True)


def _name(kind, command):
    """Of the hook: frame function's is `frame hookpost-function`."""
    *prefix, last = command.split()
    return " ".join(prefix + [kind + last])


def register():
    CostepHook()
