# SPDX-License-Identifier: MIT
"""co-help."""
from . import commands


class CoHelp(commands.Command):
    """List the costep commands.

Usage: co-help"""

    name = "co-help"

    def run(self, args):
        lines = ["Coroutines in GDB. Nothing here changes the program. What does not let it run works on a core, too.",
                 ""]
        for command in commands.Command.known:
            usage = next(line for line in command.__doc__.split("\n") if line.startswith("Usage: "))
            usage = usage[len("Usage: "):].replace(" [-json]", "")
            lines.append("  %-38s %s" % (usage, command.__doc__.split("\n")[0]))
        return lines + [
            "  %-38s %s" % ("$co(ID), $co_self()", "A coroutine as a struct co *, as in: print $co(2)->name"),
            "  %-38s %s" % ('$co_reg(ID, "rsp")', "A register that it goes on with, as a number."),
            "  %-38s %s" % ("$co_is(ID)", "For conditions: does the selected thread run that coroutine?"),
            "  %-38s %s" % ("layout co", "TUI with a window of the coroutines; a click selects one."),
            "", "ID is a coroutine's number in co-list, or its name. help COMMAND tells more, with an example.",
            "Lists take -json, too. Plain bt goes on through a coroutine's resumers to main."]


def register():
    CoHelp()
