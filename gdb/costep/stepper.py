# SPDX-License-Identifier: MIT
"""GDB's own stepping, that stays with a coroutine over switches.

GDB's `next` waits for a call to return at the return address, in a frame with the
same stack pointer. On a shared stack that is another coroutine's, as soon as one
is there. So `next` is cut in two: it is stopped where its coroutine leaves, at
the entry of coctx_swap, before anybody else can run. From there on a breakpoint
at the return address waits, whose condition knows the coroutine, and then `next`
does the rest of the line.
"""
import gdb

from . import callbacks, commands, frames, layout, meaning, model, reader, stops, who

SEARCHED = 64   # callers of the stepped function that may go on with its line
DEEPEST = 100000


class Left(Exception):
    """The stepping is over before its time; the text is one line, or none. `is_stopped`:
    GDB has not told where."""

    def __init__(self, text, is_stopped=False):
        super().__init__(text)
        self.is_stopped = is_stopped


class CalledBack(Exception):
    """The library is about to call a function of the user's."""

    def __init__(self, fn):
        super().__init__()
        self.fn = fn


class Stepper:
    """One stepping command. Knows the thread, not yet the coroutine: who leaves
    is known at the swap."""

    def __init__(self, name):
        self.name = name
        self.thread = gdb.selected_thread()
        if self.thread is None:
            raise commands.Usage("the program is not running: type `run` first")
        if self.thread.is_running():
            raise commands.Usage("the selected thread is running: stop it first (`interrupt`), or select one that stands")
        if stops.connection_is_core():
            raise commands.Usage("this is a core: nothing can run in it")
        self.asker = None
        try:
            rd = reader.Reader()
            self.asker = who.Asker(reader.Memory(), reader.find_layout(rd))
        except (reader.NotReady, layout.LayoutError):
            pass        # a program without the library: then nobody ever leaves
        self.swap = None
        swap = reader.address_of(stops.SWAP)
        if swap:
            self.swap = stops.Break(swap, self.thread)
        self.callbacks = []     # set: stop there, too

    def close(self):
        for one in [self.swap] + self.callbacks:
            if one is not None and one.is_valid():
                one.delete()

    # --- who -----------------------------------------------------------------------

    def env(self):
        return self.asker.env_of(self.thread.ptid[1] or self.thread.ptid[0]) if self.asker else 0

    def here(self):
        """The coroutine on the processor; None: it is none."""
        env = self.env()
        return self.asker.on_processor(env, stops.register("rsp")) if env else None

    def leaver(self):
        """At a swap: who leaves; None: a bare context, or the copier."""
        env = self.env()
        return self.asker.leaving(env, stops.register("rdi")) if env else None

    @staticmethod
    def label(it):
        return "coroutine %s" % it.label if it else "this execution"

    def coroutine(self, it):
        """All of it; None of None."""
        if it is None:
            return None
        is_main = it.address == it.env + self.asker.layout.offset("env.main")
        return model.read_coroutine(self.asker.reader, self.asker.layout, it.address, is_main)

    # --- running -------------------------------------------------------------------

    def run(self, command, *breaks):
        ours = [one for one in (self.swap,) + breaks + tuple(self.callbacks) if one is not None and one.is_valid()]
        stop = stops.run(command, self.thread, ours)
        if stop.is_exit:
            raise Left("%s: the program has ended meanwhile" % self.name)
        if stop.is_elsewhere:
            raise Left("%s: GDB looks at another process now, inferior %d" % (self.name, gdb.selected_inferior().num),
                       is_stopped=gdb.selected_inferior().pid != 0)
        if not stop.ours and not stop.is_step:
            raise Left("")      # GDB has told why
        for one in self.callbacks:
            if one in stop.ours:
                raise CalledBack(one.fn)
        return stop

    def wait(self, pc, rsp, it, *more):
        """Until coroutine `it` is at `pc` with that stack pointer, or one of `more` is hit."""
        back = stops.ReturnBreak(pc, rsp, self.thread, self.asker, it)
        gone = stops.gone_breaks(self.asker, it)
        with stops.armed(back, *gone), quiet_swap(self):
            stop = self.run("continue", back, *(gone + list(more)))
        for one in stop.ours:
            if one in gone:
                raise Left("%s: %s does not come back: here is its %s\n%s"
                           % (self.name, self.label(it), one.function, "\n".join(where(caller=True))))
        return stop.ours

    # --- a line, over switches --------------------------------------------------------

    def line(self, command, other_side):
        """GDB's `next` or `step` once. `other_side`: stop there if it leaves, and in functions
        of the user's that the library calls."""
        if not other_side:
            return self._line(command, False)
        if not is_library(gdb.newest_frame()):
            self.callbacks = callbacks.breaks(self.thread)
        try:
            return self._line(command, True)
        except CalledBack as called:
            return self.called_back(called.fn)

    def out_of_library(self):
        """To where the caller of the library goes on, in the middle of its line: []."""
        it = self.here()
        co = self.coroutine(it)
        back = next(((f.pc(), rsp_of(f)) for f in chain(co, SEARCHED) if not is_library(f)), None)
        if back is None:
            return where()      # only the library has called it
        home = stops.ReturnBreak(*back, self.thread, self.asker, it)
        with stops.armed(home):
            stop = self.run("continue", home)
        return [] if home in stop.ours else self.cross(self.leaver(), back)

    def called_back(self, fn, said=""):
        """On to the beginning of a function that the library calls."""
        for one in self.callbacks:
            one.delete()
        self.callbacks = []
        there = self.at_beginning(fn, None)
        with stops.armed(there):
            self.run("continue", there)
        return ["%scalled back by the library, on %s:" % (said, self.label(self.here()))] + where()

    def _line(self, command, other_side):
        it = self.here()
        is_users = not is_library(gdb.newest_frame())
        callers = chain(self.coroutine(it), SEARCHED)
        line = stops.line_of(stops.register("rip"))
        end = self.end_of(it, callers)
        returns = self.return_of_callback(it, callers) if other_side and end is None else None
        with stops.armed(end, returns):
            while True:
                stop = self.run(command, end, returns)
                if not stop.ours:
                    if other_side and is_users and is_library(gdb.newest_frame()):
                        break   # by a jump, the last thing that a function does: GDB's skip knows only calls
                    return []
                if end in stop.ours or returns in stop.ours:
                    break
                it = self.leaver()
                if it and it.state == "done":
                    return self.cross(it, None)
                pc, rsp = self.way_back(callers)
                if other_side:
                    lines = self.cross(it, (pc, rsp))
                    if lines:
                        return lines
                else:
                    self.wait(pc, rsp, it)
                # In the line again, or where the next begins.
                pc = stops.register("rip")
                if stops.is_line_start(pc) and stops.line_of(pc) != line:
                    return stops.source_line()
        # Their breakpoints are gone: GDB may stop at one again where it stands.
        if end in stop.ours:
            return self.ended(it)
        return self.out_of_library() or self._line(command, True)

    def way_back(self, callers):
        """At a swap: where the function that is stepped goes on, (pc, rsp). It may have
        returned by now; then its caller, in the middle of the line of the call."""
        frame = gdb.newest_frame()
        for _ in range(DEEPEST):
            if frame is None:
                break
            if frame in callers:
                return frame.pc(), rsp_of(frame)
            frame = frame.older()
        caller = gdb.newest_frame().older()
        return caller.pc(), rsp_of(caller)

    def end_of(self, it, callers):
        """A breakpoint where the function of coroutine `it` returns to the library, if
        that is the one that is stepped; else None."""
        real = [f for f in callers if f.type() != gdb.INLINE_FRAME]
        if it is None or len(real) != 2 or is_library(real[0]) or not is_seam(real[1].older(), self.coroutine(it)):
            return None
        return stops.ReturnBreak(real[1].pc(), rsp_of(real[1]), self.thread, self.asker, it)

    def return_of_callback(self, it, callers):
        """A breakpoint where the function that is stepped returns to the library, which has
        called it; else None."""
        real = [f for f in callers if f.type() != gdb.INLINE_FRAME][:2]
        if [is_library(f) for f in real] != [False, True]:
            return None
        return stops.ReturnBreak(real[1].pc(), rsp_of(real[1]), self.thread, self.asker, it)

    def ended(self, it):
        """The function of `it` has returned: on to its last swap."""
        while True:
            self.run("continue")
            left = self.leaver()
            if left and left.state == "done":
                return self.cross(left, None)

    # --- the other side ----------------------------------------------------------------

    def cross(self, it, back):
        """At a swap: go on to where the other one is in a function of the user's. [] if
        `it` is at `back` again before that."""
        said = "%s has ended" % self.label(it) if back is None else "%s leaves" % self.label(it)
        home = stops.ReturnBreak(*back, self.thread, self.asker, it) if back else None
        with stops.armed(home):
            while True:
                coming = self.asker.running(self.env()) if self.env() else None
                there, verb = self.destination(coming)
                try:
                    with stops.armed(there):
                        stop = self.run("continue", home, there)
                except CalledBack as called:
                    return self.called_back(called.fn, said + "; ")
                if home in stop.ours:
                    return []
                if there in stop.ours:
                    other = coming.label if coming else "the other one"
                    return ["%s; %s %s:" % (said, other, verb)] + where()
                # It has swapped on, in the library: who comes now?

    def destination(self, coming):
        """(breakpoint, "begins" or "goes on")"""
        if coming is None:
            return self.bare_destination()
        co = self.coroutine(coming)
        if not co.has_begun:
            return self.at_beginning(co.fn, coming), "begins"
        found = frames.user_frame(co, reader.Reader())
        pc, rsp = found[1:] if found else (co.context.registers["rip"], co.context.registers["rsp"])
        return stops.ReturnBreak(pc, rsp, self.thread, self.asker, coming), "goes on"

    def bare_destination(self):
        """The context that coctx_swap is to load."""
        registers = model.read_context(self.asker.reader, self.asker.layout, stops.register("rsi")).registers
        symbol = reader.Reader().symbol(registers["rip"])
        if symbol and symbol.name == "__morestack":
            return self.at_beginning(registers["r12"], None), "begins"
        return stops.ReturnBreak(registers["rip"], registers["rsp"], self.thread), "goes on"

    def at_beginning(self, fn, it):
        """Behind the prologue, as `break FUNCTION` is."""
        block = gdb.block_for_pc(fn)
        if block is not None and block.function is not None and block.start == fn:
            location = {"source": block.function.symtab.fullname(), "function": block.function.name}
            return stops.ReturnBreak(None, None, self.thread, self.asker, it, **location)
        return stops.ReturnBreak(fn, None, self.thread, self.asker, it)


class quiet_swap:
    """While somebody waits, every swap of the thread would stop for nothing."""

    def __init__(self, stepper):
        self.swap = stepper.swap

    def __enter__(self):
        if self.swap is not None:
            self.swap.enabled = False

    def __exit__(self, *_):
        if self.swap is not None and self.swap.is_valid():
            self.swap.enabled = True


# --- frames ---------------------------------------------------------------------------


def chain(co, limit, frame=None):
    """The frames of the execution that runs, from `frame` or the innermost one up to the
    seam. They compare by their ids, which differ as long as all are of one coroutine."""
    found, frame = [], frame or gdb.newest_frame()
    while frame is not None and len(found) < limit and not is_seam(frame, co):
        found.append(frame)
        try:
            frame = frame.older()
        except gdb.error:
            break
    return found


def is_seam(frame, co):
    return frame is not None and frames.at_seam(frame, co)


def is_library(frame):
    name, sal = frame.name(), frame.find_sal()
    if name is None:
        return False
    return meaning.is_library_name(name) or (sal.symtab is not None and reader.Reader().is_library_file(sal.symtab))


def rsp_of(frame):
    return int(frame.read_register("rsp")) & 0xffffffffffffffff


def real(frame):
    """The frame itself, or the one that it is inlined into."""
    while frame.type() == gdb.INLINE_FRAME and frame.older() is not None:
        frame = frame.older()
    return frame


def where(caller=False):
    """As GDB tells of a stop elsewhere: function and line. `caller`: of frame 1."""
    newest = gdb.newest_frame()
    if caller and newest.older() is not None:
        newest.older().select()
    else:
        newest.select()
    text = gdb.execute("frame", to_string=True)
    newest.select()
    return text.rstrip("\n").split("\n") + stops.displays()
