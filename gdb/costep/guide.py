# SPDX-License-Identifier: MIT
"""co-guide: a lesson's guided session, step by step. Started by lessons/gdb."""
import gdb


def steps(text):
    """Split at each text that follows commands: a step is a text, then what to type."""
    found, was_command = [[]], False
    for line in text.rstrip("\n").split("\n"):
        is_command = line.startswith("(gdb) ")
        if line and was_command and not is_command:
            found.append([])
        if line:
            was_command = is_command
        found[-1].append(line)
    return ["\n".join(step).strip("\n") for step in found]


class CoGuide(gdb.Command):
    """Show the next step of this lesson's guided session.

Usage: co-guide [N]

With N, step N; then it goes on from there.

Example: (gdb) co-guide"""

    def __init__(self, file):
        super().__init__("co-guide", gdb.COMMAND_SUPPORT)
        with open(file) as text:
            self.steps = steps(text.read())
        self.at = 0

    def invoke(self, args, from_tty):
        if args:
            if not args.isdigit() or not 1 <= int(args) <= len(self.steps):
                raise gdb.GdbError("co-guide: there are steps 1 to %d" % len(self.steps))
            self.at = int(args) - 1
        if self.at == len(self.steps):
            raise gdb.GdbError("co-guide: that was the last step; co-guide 1 begins again")
        self.at += 1
        end = "" if self.at == len(self.steps) else "\nThen type co-guide.\n"
        gdb.write("\n[%d/%d] %s\n%s" % (self.at, len(self.steps), self.steps[self.at - 1], end))


def start(file):
    CoGuide(file)
    gdb.execute("co-guide")
