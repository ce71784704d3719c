# SPDX-License-Identifier: MIT
"""co-next, co-step, co-finish: what stepper.py does, as commands."""
import contextlib
import re

import gdb

from . import commands, reader, selection, settings, stepper, stops


class Running(commands.Command):
    """A command that lets the program run: what is selected afterwards is where it
    has stopped. Returns the lines of step(), once for each count."""

    @staticmethod
    def around():
        return settings.changed({"backtrace limit": None})

    def run(self, args):
        count = self.count(args)
        machine = stepper.Stepper(self.name)
        try:
            # GDB notes where a step begins, and must see the thread itself.
            selection.end_for_step()
            for i in range(count):
                lines = self.step(machine)
                if i < count - 1:
                    gdb.write("".join(line + "\n" for line in lines))
            return lines
        except stepper.Left as left:
            return ended_early(left)
        finally:
            machine.close()

    @staticmethod
    def count(args):
        if not args.strip():
            return 1
        try:
            n = int(gdb.parse_and_eval(args))
        except gdb.error:
            n = 0
        if n < 1:
            raise commands.Usage("how often? a number from 1 on, not %s" % args.strip())
        return n


def ended_early(left):
    return ([str(left)] if str(left) else []) + (stepper.where() if left.is_stopped else [])


class CoNext(Running):
    """Step one line over calls, and stay with this coroutine over all switches.

Usage: co-next [N]

As GDB's next. But next may come out in another coroutine: on a shared stack
two have the same stack pointer at the same line. co-next waits for the one
that it was started in, however long others run meanwhile. Breakpoints and
signals stop as ever. At the end of the coroutine it goes on to where its
resumer does. With N, N times.

Example: (gdb) co-next"""

    name = "co-next"

    def step(self, machine):
        return machine.line("next", other_side=False)


class CoStep(Running):
    """Step one line into calls; into whoever is switched to, and callbacks, too.

Usage: co-step [N]

As GDB's step, but from your own code not into costep's functions: on a line
that resumes, yields or waits it stops on the other side: in the function of a
coroutine that begins, where one goes on, or in a function of yours that the
library calls (the loop's callback, of a timer, of a descriptor, posted by
co_remote_post). A line says whose it is. Whoever stands in one of costep's
functions already (by a breakpoint there, say), wants to see it: from there it
goes into those that it calls. With N, N times.

Example: (gdb) co-step"""

    name = "co-step"

    def step(self, machine):
        with skipped_library():
            return machine.line("step", other_side=True)


class CoFinish(Running):
    """Run until the selected frame of this coroutine returns.

Usage: co-finish [N]

As GDB's finish. But another coroutine on the same shared stack, in the same
function, does not end it. With N, until the Nth frame from there returns:
co-finish 2 is up, and then co-finish. At the end of a coroutine it goes on to
where its resumer does. After co ID: until that one has been resumed, and the
frame returns.

Example: (gdb) co-finish"""

    name = "co-finish"

    def run(self, args):
        count = self.count(args)
        machine = stepper.Stepper(self.name)
        try:
            return self.finish(machine, count)
        except stepper.Left as left:
            return ended_early(left)
        finally:
            machine.close()

    @staticmethod
    def finish(machine, count):
        it, co = whose(machine)
        frame = gdb.selected_frame()
        for _ in range(count):
            frame = stepper.real(frame)
            caller = frame.older()
            if caller is None or stepper.is_seam(frame, co) or stepper.is_seam(caller, co):
                raise commands.Usage("%s is the outermost frame of %s: it returns to nobody"
                                     % (frame.name() or "this", machine.label(it)))
            frame, done = caller, frame
        kind = result_type(done)
        end = machine.end_of(it, stepper.chain(co, stepper.SEARCHED, done))
        pc, rsp = frame.pc(), stepper.rsp_of(frame)
        selection.end_for_step()    # no frame is valid from here on
        if end is not None:
            with stops.armed(end), stepper.quiet_swap(machine):
                machine.run("continue", end)
            return value_returned(kind) + machine.ended(it)
        machine.wait(pc, rsp, it)
        return stepper.where() + value_returned(kind)


def whose(machine):
    """The coroutine whose frame is selected: (who.Who, model.Coroutine), both None: it is none's."""
    co = selection.selected()
    if co is None:
        it = machine.here()
        return it, machine.coroutine(it)
    if co.env != machine.env():
        raise commands.Usage("coroutine %s is another thread's: select that, as co-list numbers it, and then co %d again"
                             % (co.label, co.id))
    return machine.asker.at(co.address), co


# --- what GDB's own commands do ---------------------------------------------------------


@contextlib.contextmanager
def skipped_library():
    """While stepping in the user's own code: costep's functions are stepped over."""
    numbers = []
    if not stepper.is_library(gdb.selected_frame()):
        for path in sorted(reader.Reader().library_dirs()):
            pattern = re.sub(r"[][*?\\\s'\"]", "?", path) + "/*"
            said = gdb.execute("skip -gfi %s" % pattern, to_string=True)
            numbers += [max(_skips())] if said else []
    try:
        yield
    finally:
        for number in numbers:
            gdb.execute("skip delete %d" % number, to_string=True)


def _skips():
    return [int(n) for n in re.findall(r"^(\d+) ", gdb.execute("info skip", to_string=True), re.M)]


def result_type(frame):
    """Of the frame's function, if its value comes in one register; else None."""
    function = frame.function()
    if function is None or function.type.code != gdb.TYPE_CODE_FUNC:
        return None
    kind = function.type.target()
    if kind is None or kind.strip_typedefs().sizeof > 8 or kind.strip_typedefs().code not in _IN_REGISTER:
        return None
    return kind


_IN_REGISTER = {gdb.TYPE_CODE_INT: "rax", gdb.TYPE_CODE_CHAR: "rax", gdb.TYPE_CODE_BOOL: "rax",
                gdb.TYPE_CODE_ENUM: "rax", gdb.TYPE_CODE_PTR: "rax", gdb.TYPE_CODE_FLT: "xmm0"}


def value_returned(kind):
    """At the return address: the value, as GDB's finish tells it."""
    if kind is None:
        return []
    code = kind.strip_typedefs().code
    try:
        if code == gdb.TYPE_CODE_FLT:
            vector = gdb.parse_and_eval("$xmm0")
            value = (vector["v2_double"] if kind.strip_typedefs().sizeof == 8 else vector["v4_float"])[0].cast(kind)
        else:
            value = gdb.parse_and_eval("$rax").cast(kind)
        number = gdb.add_history(value)
        return ["Value returned is $%d = %s" % (number, value.format_string())]
    except gdb.error:
        return []


def register():
    for command in (CoNext, CoStep, CoFinish):
        command()
