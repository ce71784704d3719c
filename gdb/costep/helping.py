# SPDX-License-Identifier: MIT
"""co-help."""
from . import commands, format


class CoHelp(commands.Command):
    """List the costep commands.

Usage: co-help

Example: (gdb) co-help"""

    name = "co-help"

    def run(self, args):
        rows = []
        for command in commands.Command.known:
            usage = next(line for line in command.__doc__.split("\n") if line.startswith("Usage: "))
            rows.append((usage[len("Usage: "):].replace(" [-json]", ""), command.__doc__.split("\n")[0]))
        rows += [("$co(ID), $co_self()", "A coroutine as a struct co *, as in: print $co(2)->name"),
                 ('$co_reg(ID, "rsp")', "A register that it goes on with, as a number."),
                 ("$co_is(ID)", "For conditions: does the selected thread run that coroutine?"),
                 ("layout co", "TUI with a window of the coroutines; a click selects one.")]
        return format.commands(
            "Coroutines in GDB. Nothing here changes the program. What does not let it run works on a core, too.", rows,
            "ID is a coroutine's number in co-list, or its name. help COMMAND tells more, with an example. "
            "Lists take -json, too. Plain bt goes on through a coroutine's resumers to main.", commands.width())


def register():
    CoHelp()
