# SPDX-License-Identifier: MIT
"""co-guide: a lesson's guided session, step by step. Started by lessons/gdb."""
import os

import gdb

from . import session

# What people type for the commands of the sessions.
SHORT = {"b": "break", "c": "continue", "cont": "continue", "dis": "disable", "en": "enable", "f": "frame", "fin": "finish",
         "i": "info", "n": "next", "p": "print", "s": "step", "si": "stepi", "tb": "tbreak", "where": "bt", "backtrace": "bt"}


def in_full(line):
    """A typed line, to be compared."""
    words = line.split()
    return " ".join([SHORT.get(words[0], words[0])] + words[1:]) if words else ""


def read(file):
    with open(file, encoding="utf-8") as text:
        return session.parse(text.read())


def typed_last():
    """Number and text of the line that was typed last."""
    number, _, text = gdb.execute("show commands", False, True).rstrip("\n").split("\n")[-1].strip().partition("  ")
    return (int(number), text) if number.isdigit() else (0, "")


class CoGuide(gdb.Command):
    """The lesson's guided session: have its next command typed for you.

Usage: co-guide [N | show | list]

The session goes on by itself when you type its commands; others do not matter
to it.

  N     begin step N anew: GDB and the program start again, what comes before
        is done
  show  show the question once more
  list  list the steps

In a session, g is short for co-guide.

Example: (gdb) co-guide 4"""

    def __init__(self, file):
        super().__init__("co-guide", gdb.COMMAND_SUPPORT)
        self.steps = read(file)
        self.at, self.n_done = 0, 0                 # the step; how many of its commands were typed
        self.typed, self.n_stops, self.n_stops_then = typed_last(), 0, 0
        self.has_ended = False                      # the program, and nothing was said of it
        try:
            gdb.execute("alias g = co-guide")
            self.short = "g"
        except gdb.error:                           # somebody's own g
            self.short = "co-guide"
        gdb.events.before_prompt.connect(self._notice)
        gdb.events.stop.connect(self._count_stop)
        gdb.events.exited.connect(self._note_end)

    def _count_stop(self, _event):
        self.n_stops += 1

    def _note_end(self, _event):
        self.has_ended = True

    @property
    def step(self):
        return self.steps[self.at]

    def invoke(self, args, from_tty):
        if args == "list":
            for n, step in enumerate(self.steps):
                gdb.write("%s %2d  %s\n" % ("*" if n == self.at else " ", n + 1, step.title))
        elif args == "show":
            self.show()
        elif args.isdigit() and 1 <= int(args) <= len(self.steps):
            begin_anew(int(args) - 1)
        elif args:
            raise gdb.GdbError("co-guide: there are steps 1 to %d, show, and list" % len(self.steps))
        elif self.n_done == len(self.step.commands):
            raise gdb.GdbError("co-guide: that was the last step; co-guide 1 begins again")
        else:
            command, answer = self.step.commands[self.n_done]
            gdb.write(session.PROMPT + command + "\n")
            gdb.flush()
            try:
                gdb.execute(command, True)
            except gdb.error as error:
                if session.elide(str(error)) not in answer:     # else it is what is to be seen
                    raise gdb.GdbError(str(error)) from None    # the message, and no word of Python
                gdb.write("%s\n" % error)
            self._go_on()

    def show(self):
        gdb.write("\n%s\n%s\n" % (("--- %d of %d: %s " % (self.at + 1, len(self.steps), self.step.title)).ljust(79, "-"),
                                 "\n".join(self.step.ask)))
        left = self.step.commands[self.n_done:]
        if left:
            gdb.write("\nType (or %s, and it is typed for you):\n" % self.short)
            gdb.write("".join("    %s\n" % command for command, _ in left))

    def _go_on(self):
        """One command was typed, by whomever."""
        self.n_done += 1
        if self.n_done < len(self.step.commands):
            return
        if self.step.tell:
            gdb.write("\n%s\n" % "\n".join(self.step.tell))
        if self.at + 1 < len(self.steps):
            self.at, self.n_done = self.at + 1, 0
            self.show()

    def _notice(self):
        """Before each prompt: was it the session's command that was typed?"""
        last, self.typed = self.typed, typed_last()
        # An empty line is not among the lines typed; it repeats. (At a prompt without a
        # command, as after Ctrl-C, nothing has run.)
        is_new = self.typed[0] != last[0] or self.n_stops != self.n_stops_then
        self.n_stops_then = self.n_stops
        if is_new and self.n_done < len(self.step.commands):
            if in_full(self.typed[1]) == in_full(self.step.commands[self.n_done][0]):
                self._go_on()
        if self.has_ended and not any(inferior.pid for inferior in gdb.inferiors()):
            self.has_ended = False
            if self.n_done < len(self.step.commands):
                gdb.write("The program has ended; this step was not done. co-guide %d begins it anew.\n" % (self.at + 1))

    def replay(self, at):
        """Do what comes before step `at`."""
        gdb.execute("set suppress-cli-notifications on")
        for command in [command for step in self.steps[:at] for command, _ in step.commands]:
            try:
                gdb.execute(command, False, True)
            except gdb.error:           # it is part of what is to be seen there
                pass
        gdb.execute("set suppress-cli-notifications off")
        self.at = at


def begin_anew(at):
    """GDB itself starts again: so breakpoints and values have the numbers that they had."""
    for inferior in gdb.inferiors():
        try:
            gdb.execute("kill inferiors %d" % inferior.num, False, True)
        except gdb.error:               # it has no process
            pass
    with open("/proc/self/cmdline", "rb") as file:
        arguments = file.read().split(b"\0")[:-1]
    os.environ["COSTEP_GUIDE_AT"] = str(at)
    gdb.flush()
    os.execv("/proc/self/exe", arguments)


def start(file):
    """The session, for somebody at a terminal."""
    guide = CoGuide(file)
    at = os.environ.pop("COSTEP_GUIDE_AT", None)
    if at is not None:
        guide.replay(int(at))
    else:
        gdb.write("\nA guided session. Each step asks something: think of an answer, then type its\n"
                  "command (or %s, and it is typed for you). Whatever else you type does no harm.\n"
                  "Lost? co-guide 3 begins step 3 anew. help co-guide tells more, quit ends.\n" % guide.short)
    guide.show()


def play(file):
    """The whole session, as gdb.txt has it, for somebody without."""
    for step in read(file):
        gdb.write("\n".join(["== " + step.title] + step.ask + [""]))
        for command, _ in step.commands:
            gdb.write("\n%s%s\n" % (session.PROMPT, command))
            gdb.flush()
            try:
                gdb.execute(command, True)
            except gdb.error as error:
                gdb.write("%s\n" % error)
            gdb.flush()
        gdb.write("\n%s\n" % "\n".join(step.tell + [""] if step.tell else []))
