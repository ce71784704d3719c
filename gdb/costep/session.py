# SPDX-License-Identifier: MIT
"""A lesson's guided session, as lessons/NN/gdb.txt holds it. Imports no gdb.

A session is steps. A step has a title, a question, what to type, GDB's answers, and what
they mean (the last step may have words only):

    == Who has resumed whom?
    Three coroutines, one processor. Who waits for whom?

    (gdb) co-tree
    thread 1 (LWP N, selected): 3 coroutines
    ...

    Read it from the bottom: ...

A blank line ends an answer; those inside it are left out. The answers are the real ones, in
80 columns, without libc's debug information. What differs from run to run, from machine to
machine, is not in them (elide()): of an address only the first digits, with a dot for each other
one, as in 0x5555........ (program, heap) and 0x7fff........ (stacks, libraries); N for a
number of a process or a thread; and dots for what depends on the environment, which lies on
top of main's stack. tests/gdb-guide compares, and writes them anew.
"""
import re

PROMPT = "(gdb) "


class Malformed(Exception):
    """Says which line, and what is wrong with it."""


class Step:
    def __init__(self, title):
        self.title = title
        self.ask, self.commands, self.tell = [], [], []     # lines; (command, its answer's lines); lines

    @property
    def lines(self):
        """As the file has it."""
        found = ["== " + self.title] + self.ask
        for command, answer in self.commands:
            found += ["", PROMPT + command] + answer
        return found + [""] + (self.tell + [""] if self.tell else [])


def parse(text):
    """-> the steps."""
    steps, in_answer = [], False
    for n, line in enumerate(text.split("\n"), 1):
        if line.startswith("== "):
            steps.append(Step(line[3:]))
            in_answer = False
            continue
        if not steps:
            raise Malformed("line %d: a session begins with a title, as in: == Who runs?" % n)
        step = steps[-1]
        if line.startswith(PROMPT):
            if step.tell:
                raise Malformed("line %d: a command after the step's last words: begin a new step" % n)
            step.commands.append((line[len(PROMPT):], []))
            in_answer = True
        elif in_answer and line:
            step.commands[-1][1].append(line)
        else:
            in_answer = False
            if line or step.tell or not step.commands:
                (step.tell if step.commands else step.ask).append(line)
    for step in steps:
        step.ask, step.tell = _trimmed(step.ask), _trimmed(step.tell)
    if not steps or steps[-1].commands:
        raise Malformed("the last step is one without commands: how to go on alone")
    return steps


def _trimmed(lines):
    return "\n".join(lines).strip("\n").split("\n") if any(lines) else []


def answers(steps, printed):
    """What a run of the session has printed -> the steps with those answers."""
    lines = [line.rstrip() for line in printed.split("\n")]
    at, found = 0, []

    def skip_to(line):
        nonlocal at
        try:
            end = lines.index(line.rstrip(), at)
        except ValueError:
            raise Malformed('the run has not come to "%s"' % line) from None
        between, at = lines[at:end], end + 1
        return between

    for n, step in enumerate(steps):
        skip_to("== " + step.title)
        real = Step(step.title)
        real.ask, real.tell = step.ask, step.tell
        for k, (command, _) in enumerate(step.commands):
            if k == 0:
                skip_to(PROMPT + command)
            if k + 1 < len(step.commands):
                behind = PROMPT + step.commands[k + 1][0]
            else:
                behind = step.tell[0] if step.tell else "== " + steps[n + 1].title
            answer = skip_to(behind)
            if behind.startswith("=="):
                at -= 1
            real.commands.append((command, [elide(line) for line in answer if line]))
        found.append(real)
    return found


def _dots(match):
    return match.group(1) + "." * len(match.group(2))


# Each keeps the width, so that columns stay; but for the numbers that have none.
_ELIDED = (
    (r"(0x0*(?:5555|7fff))([0-9a-f]{8})\b", _dots),
    (r"()\b([0-9]+)(?=/8M)", _dots),                            # main's stack: the environment is above
    (r"(this stack, rsp\+0x)([0-9a-f]+)", _dots),               # the same
    (r"\bLWP [0-9]+ {2,}(?=[0-9]+ \")", "LWP N  "),
    (r"\bLWP [0-9]+", "LWP N"),
    (r"\bprocess [0-9]+", "process N"),
    (r"(pipe|socket):\[[0-9]+\] *", r"\1:[N]  "),               # a column of co-fds
    (r"\bfile {7,}where", "file      where"),
    (r"^[0-9]+( of the bytes differ)", r"N\1"),
    # the same of addresses in bytes, the lowest first
    (r"((?:[0-9a-f]{2}[ *]){4})((?:55[ *]55|ff[ *]7f)[ *]00[ *]00\b)",
     lambda m: "%s.. .. .. %s" % ("..*" if "*" in m.group(1) else ".. ", m.group(2))),
)


def elide(line):
    """Leave out of an answer's line what differs from run to run."""
    if line.startswith("~"):                                    # measured, as the demos' texts say
        return re.sub(r"[0-9]+", "N", line)
    for pattern, by in _ELIDED:
        line = re.sub(pattern, by, line)
    return line
