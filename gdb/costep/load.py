# SPDX-License-Identifier: MIT
"""Make everything known to GDB: commands, functions, unwinders, printers, windows."""
from . import (backtrace, breaks, core_command, functions, handlers, helping, listing, printing, registers, seams,
               selection, selection_hooks, stackview, stepping, switch, tui, unwind, viewing, views, viz)

# The commands are in the order in which co-help shows them.
_PARTS = (unwind, selection, selection_hooks, printing, seams, tui, functions, listing, registers, backtrace, stackview,
          helping, viewing, views, core_command, stepping, switch, breaks, viz)


def register():
    handlers.forget_old()
    for part in _PARTS:
        part.register()
