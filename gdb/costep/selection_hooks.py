# SPDX-License-Identifier: MIT
"""GDB's own commands that must know of a selected coroutine: step and its like, and down."""
import gdb

from . import selection

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
        {"step": selection.end_for_step, "down": _before_down, "after-down": _after_down}[args]()


def _before_down():
    """Below the coroutine's innermost frame there is only the thread's."""
    if selection.is_bottom(gdb.selected_frame()):
        raise gdb.GdbError("Bottom (innermost) frame of coroutine %s selected; you cannot go down."
                           % selection.selected().label)


def _after_down():
    """down N may have gone there all the same."""
    if selection.is_hidden(gdb.selected_frame()):
        frame = selection.first_frame()
        frame.select()
        gdb.write("(that is the thread itself; frame %d is the innermost of coroutine %s, and is selected)\n" % (
            frame.level(), selection.selected().label))


def define():
    """When they are needed first. Not when the package is loaded: that may be by a shared
    library, in the middle of `run`, and GDB's `define` would let it go on unattended."""
    hooks = [("hook-" + command, what) for command, what in _HOOKS.items()]
    for name, what in hooks + [("hookpost-" + command, what) for command, what in _AFTER.items()]:
        try:
            gdb.execute("show user " + name, to_string=True)    # one of the user's own stays
        except gdb.error:
            gdb.execute("define %s\ncostep-hook %s\nend" % (name, what), to_string=True)


def register():
    CostepHook()
