# SPDX-License-Identifier: MIT
"""co-switch: the next switch, instruction by instruction."""
import dataclasses
import json

import gdb

from . import commands, meaning, model, reader, selection, settings, stepper, stepping, stops, swapsteps

MAX_STEPS = 1000    # of one swap; ours has some thirty


class CoSwitch(stepping.Running):
    """Show the next switch to another coroutine, one line per instruction.

Usage: co-switch [N] [-json]

Runs on to coctx_swap, then by stepi through it: address, instruction, the
register or the word of memory that it moved, its old and its new value, and
what that is (below 100 columns, only -> and the new one, if that means
something; = is: as before). A line marks where rsp changes hands. Ends in the
one who was switched to; if the stack must be copied first, by the copier, that
is part of it. With N, N switches. -json: a list with {"from", "to", "copied",
"steps"} for each switch; "steps" as swapsteps.Step.

Example: (gdb) co-switch"""

    name = "co-switch"

    def run(self, args):
        words = gdb.string_to_argv(args)
        as_json = "-json" in words
        count = self.count(" ".join(word for word in words if word != "-json"))
        machine = stepper.Stepper(self.name)
        told = []
        say = Say(as_json)
        try:
            if machine.swap is None or machine.asker is None:
                raise commands.Usage("this program has no %s" % stops.SWAP)
            selection.end_for_step()
            for _ in range(count):
                told.append({"from": None, "to": None, "copied": [], "steps": []})
                one_switch(machine, say, told[-1])
        except stepper.Left as left:
            say.line(str(left))
            if left.is_stopped:
                say.where()
        finally:
            machine.close()
        return [json.dumps(told)] if as_json else []


class Say:
    """Lines are written as they come: what was seen stays, if the rest is interrupted."""

    def __init__(self, is_quiet):
        self.is_quiet = is_quiet

    def line(self, text):
        if text and not self.is_quiet:
            gdb.write(text + "\n")
            gdb.flush()

    def where(self):
        if not self.is_quiet:
            gdb.write("\n".join(stepper.where()) + "\n")


def one_switch(machine, say, told):
    """From one coroutine to another; by the copier if need be. Fills `told`."""
    copies = Copies()
    while True:
        if not in_swap():
            to_swap(machine)
        for line in copies.since():
            told["copied"].append(line)
            say.line("  " + line)
        one = Swap(machine)
        told["from"] = told["from"] or one.labels[swapsteps.FROM]
        told["to"] = one.labels[swapsteps.TO]
        say.line("swap from %s to %s: from=%#x, to=%#x" % (
            one.labels[swapsteps.FROM], one.labels[swapsteps.TO], one.contexts[swapsteps.FROM],
            one.contexts[swapsteps.TO]))
        for step in one.run(machine):
            told["steps"].append(dataclasses.asdict(step))
            say.line(swapsteps.line(step, commands.width()))
            if step.is_switch:
                say.line(swapsteps.hands(one.labels[swapsteps.FROM], one.labels[swapsteps.TO]))
        if not one.goes_to_copier:
            break
    say.line("now on the processor: %s" % told["to"])
    say.where()


def to_swap(machine):
    try:
        machine.run("continue")
    except stepper.Left:
        # The user's own breakpoint at its entry stops at the swap, too.
        thread = gdb.selected_thread()
        if thread is None or thread.ptid != machine.thread.ptid or stops.register("rip") != reader.address_of(stops.SWAP):
            raise


def in_swap():
    symbol = reader.Reader().symbol(stops.register("rip"))
    return symbol is not None and symbol.name == stops.SWAP


class Copies:
    """Whose bytes were moved since last asked."""

    def __init__(self):
        self.before = self.now()

    @staticmethod
    def now():
        session = commands.Session()
        return {co.id: co for co in session.snapshot.all}

    def since(self):
        before, self.before = self.before, self.now()
        return swapsteps.copied(before, self.before)


class Swap:
    """One pass through coctx_swap, from where the processor is in it."""

    def __init__(self, machine):
        session = commands.Session()
        self.session = session
        self.contexts = {swapsteps.FROM: stops.register("rdi"), swapsteps.TO: stops.register("rsi")}
        self.cos = {side: session.snapshot.by_context.get(at) for side, at in self.contexts.items()}
        self.labels = {side: self._label(side) for side in self.contexts}
        self.goes_to_copier = bool(session.layout.envs) and self.cos[swapsteps.TO] is None
        self.arch = gdb.newest_frame().architecture()
        self.is_intel = gdb.parameter("disassembly-flavor") == "intel"
        self.is_switched = False

    def _label(self, side):
        co, at = self.cos[side], self.contexts[side]
        if co:
            return co.label
        if self.session.layout.envs:
            return "the copier"
        return dict((address, name) for name, address in self.session.reader.contexts()).get(at, "%#x" % at)

    def run(self, machine):
        """Yield the steps as they are made, until coctx_swap is left."""
        for _ in range(MAX_STEPS):
            step, stop = self.one(machine)
            yield step
            if stop.cause:
                raise stepper.Left("stopped before the end of the switch: %s" % stop.cause, is_stopped=True)
            if not in_swap():
                if swapsteps.is_jump(step.instruction):
                    return
                # A signal has come, whose handler does not stop the debugger.
                machine.wait(step.address, self.rsp, None)
        raise stepper.Left("more than %d instructions, and still in %s" % (MAX_STEPS, stops.SWAP), is_stopped=True)

    def one(self, machine):
        """(Step, Stop)"""
        before = registers()
        pc, self.rsp = before["rip"], before["rsp"]
        text = swapsteps.shortened(self.arch.disassemble(pc)[0]["asm"], stops.SWAP)
        step = swapsteps.Step(pc, self.session.reader.symbol(pc).offset, text)
        written = swapsteps.target(text, before, self.is_intel)
        place = self._place(written)
        old = self._word(place) if place else 0
        with quiet():
            stop = stops.run("stepi", machine.thread)
        if stop.is_exit:
            raise stepper.Left("the program has ended")
        if gdb.selected_thread().ptid != machine.thread.ptid:
            return step, stop
        after = registers()
        if place:
            step.what, step.old, step.new = place[0], old, self._word(place)
        elif written and written.register in before:
            step.what, step.old, step.new = written.register, before[written.register], after[written.register]
        self._explain(step, before, after)
        return step, stop

    def _place(self, written):
        """(name, address, size) of the memory that it writes; None."""
        if written is None or written.register:
            return None
        field = swapsteps.field_at(written.address, self.contexts, self.session.layout.context_fields)
        return (field[0], written.address, field[1]) if field else ("[%#x]" % written.address, written.address, 8)

    @staticmethod
    def _word(place):
        try:
            return int.from_bytes(reader.Memory().read(place[1], place[2]), "little")
        except model.Unreadable:
            return 0

    def _explain(self, step, before, after):
        names = self.session.names
        is_to = self.is_switched or swapsteps.reads_from(step.instruction, "rsi")
        names.own = self.cos[swapsteps.TO if is_to else swapsteps.FROM]
        if step.what == "rsp" and step.old != step.new:
            step.is_switch = self.is_switched = True
        if step.what.endswith("mxcsr"):
            step.meaning = meaning.mxcsr(step.new)
        elif step.what.endswith("x87cw"):
            step.meaning = meaning.x87cw(step.new)
        elif step.what:
            step.meaning = self._describe(step.new)
        elif swapsteps.is_jump(step.instruction):
            self._explain_jump(step, before, after)
        elif swapsteps.compares(step.instruction):
            step.what, step.old, step.new = "eflags", before["eflags"], after["eflags"]
            step.meaning = swapsteps.said(step.new)

    def _describe(self, value):
        symbol = self.session.reader.symbol(value) if value >= 1 << 16 else None
        if symbol and symbol.name == "__morestack":
            return "the entry trampoline"
        return self.session.names.return_address(value) or self.session.names.describe(value)

    def _explain_jump(self, step, before, after):
        step.what, step.old, step.new = "rip", before["rip"], after["rip"]
        length = self.arch.disassemble(before["rip"])[0]["length"]
        if after["rip"] == before["rip"] + length:
            step.meaning = "not taken"
        elif in_swap():
            step.meaning = "taken"
        else:
            step.meaning = self._describe(after["rip"])


def registers():
    values = reader.live_registers()
    values["eflags"] = stops.register("eflags")
    return values


def quiet():
    """Without a word from GDB about each stop."""
    return settings.changed({"suppress-cli-notifications": True})


def register():
    CoSwitch()
