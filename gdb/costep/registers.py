# SPDX-License-Identifier: MIT
"""co-regs."""
import gdb

from . import commands, format, jsonout, model, viewformat


class CoRegs(commands.Command):
    """Show registers and what they mean: saved ones, or the processor's.

Usage: co-regs [ID | NAME] [-diff ID | -last] [-json]

Without ID, the one that co has selected, else whoever is on the processor.
ID is a coroutine's number or name (co-list shows them), or a variable of type
struct coctx.

  saved at      address of the register's field in the struct coctx (if there
                is room)
  goes to       the same, for one that runs: where a switch will save it
  callee-saved  a function that is called gives it back unchanged; so a
                switch saves it
  caller-saved  lost across any call; the compiler has put what it needs on
                the stack before calling, so a switch need not save it

-diff ID: only what differs from that one's. -last: only what differs from the
last time that these were shown (by co-regs in any form). -json: "of", "thread"
(null: saved), "registers", "saved_at", and of -diff and -last "than" and
"other". See help co-list.

Example: (gdb) co-regs 2 -diff 3"""

    name = "co-regs"
    last = {}   # what was shown last: whose -> registers

    def run(self, args):
        words, options = commands.split(args, {"-diff": "an ID", "-last": None, "-json": None})
        arg = commands.at_most_one(words)
        if "-diff" in options and "-last" in options:
            raise commands.Usage("-diff and -last exclude one another")
        s = commands.Session()
        it = s.whom(arg)
        label, values, saved_at, thread = self._of(s, it, arg)
        key = (gdb.selected_inferior().num, label)
        before, self.last[key] = self.last.get(key), values
        than, other = None, None
        if "-diff" in options:
            than, other, _, _ = self._of(s, s.find(options["-diff"]), options["-diff"])
        elif "-last" in options:
            than, other = "last time", before
            if before is None and "-json" not in options:
                return ["%s: not shown before; now they are remembered, and -last will tell what differs" % label]
        if "-json" in options:
            return jsonout.document(
                self.name, of=label, thread=thread, registers=jsonout.registers(values), saved_at=jsonout.registers(saved_at),
                than=than, other=jsonout.registers(other) if other else None)
        if other:
            if isinstance(it, model.Coroutine):
                s.names.own = it
            return viewformat.registers_diff("%s, other than %s:" % (label, than), (than, other), ("now" if before is other
                                             else label, values), s.names, commands.width())
        return self._all(s, it, arg)

    @staticmethod
    def _of(s, it, arg):
        """What it is called, its registers, where they are saved, its thread's number."""
        if it is None:
            return "thread %d" % s.cpu.number, s.cpu.registers, {}, s.cpu.number
        if isinstance(it, model.Context):
            return arg, it.registers, it.saved_at, None
        return it.label, it.registers, it.context.saved_at, it.cpu.number if it.cpu else None

    @staticmethod
    def _all(s, it, arg):
        if it is None:
            return format.registers("thread %d, the processor's registers:" % s.cpu.number, s.cpu.registers, {},
                                    s.names, is_live=True, width=commands.width())
        if isinstance(it, model.Context):
            return format.registers("saved in %s, a struct coctx at %#x:" % (arg, it.address), it.registers,
                                    it.saved_at, s.names, is_live=False, is_new=is_new(it, s), width=commands.width())
        s.names.own = it
        lines = [env.note for env in s.snapshot.envs if env.note and env.address == it.env]
        if it.cpu:
            title = "coroutine %s, on the processor (thread %d):" % (it.label, it.cpu.number)
        elif it.state == "done":
            title = "coroutine %s, done: what its last switch has left in its coctx at %#x" % (
                it.label, it.context.address)
        else:
            title = "coroutine %s, %s: saved in its coctx at %#x" % (it.label, format.state(it), it.context.address)
        return lines + format.registers(title, it.registers, it.context.saved_at, s.names, is_live=bool(it.cpu),
                                        is_new=not it.has_begun, width=commands.width())


def is_new(context, s):
    """Has this execution not begun? Then it starts at the entry trampoline."""
    symbol = s.reader.symbol(context.registers["rip"])
    return symbol is not None and symbol.name == "__morestack"


def register():
    CoRegs()
