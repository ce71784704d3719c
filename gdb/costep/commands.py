# SPDX-License-Identifier: MIT
"""The commands: co-list, co-regs, co-bt, co-stack, co-help.

Each one takes a snapshot of the program's memory, makes lines of it and writes
them. Whatever goes wrong becomes one line that says what to do.
"""
import contextlib
import itertools

import gdb

from . import format, frames, layout, meaning, model, reader, stackwords, unwind


class Usage(Exception):
    """The arguments make no sense; the text says which do."""


class Session:
    """What a command knows of the program at this stop."""

    def __init__(self):
        self.reader = reader.Reader()
        self.layout = reader.find_layout(self.reader)
        self.snapshot = model.take_snapshot(self.reader, self.layout)
        for env in self.snapshot.envs:
            link = frames.unlisted(self.snapshot, env, self.reader) if env.is_stray else None
            if link is not None:
                self.snapshot.on_copier(env, link)
        self._names = None

    @property
    def names(self):
        if self._names is None:
            # In a program with coroutines the contexts have better names.
            contexts = [] if self.layout.envs else self.reader.contexts()
            self._names = meaning.Names(self.reader, self.snapshot, contexts)
        return self._names

    @property
    def cpu(self):
        """The selected thread."""
        return next(cpu for cpu in self.snapshot.cpus if cpu.is_selected)

    def find(self, text):
        """What a command's argument means: a Coroutine or a Context."""
        if text.isdigit():
            found = [co for co in self.snapshot.all if co.id == int(text)]
            if not found:
                raise Usage("no coroutine %s; %s" % (text, self._which()))
        else:
            found = [co for co in self.snapshot.all if co.name == text.strip('"')]
        if len(found) > 1:
            raise Usage("%d coroutines are called %s: give an ID (%s)"
                        % (len(found), text, format.cut(", ".join(str(co.id) for co in found), 40)))
        if found:
            return found[0]
        address = self.reader.context(text)
        if address:
            return model.read_context(self.reader, self.layout, address)
        raise Usage("no coroutine \"%s\"; %s" % (text, self._which()))

    def _which(self):
        if self.snapshot.all:
            return "co-list shows them"
        names = ", ".join(name for name, _ in self.reader.contexts())
        return "this program has only contexts: %s" % names if names else "there is none yet: see co-list"


def one_argument(args):
    words = gdb.string_to_argv(args)
    if len(words) > 1:
        raise Usage("one ID or name is enough, but there are %d words" % len(words))
    return words[0] if words else None


def width():
    return gdb.parameter("width") or format.WIDTH


class Command(gdb.Command):
    """Turns exceptions into one line; subclasses have a name and run()."""

    known = []  # those that are registered, for co-help

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_STACK)
        Command.known.append(self)

    def invoke(self, args, from_tty):
        try:
            with self.around():
                lines = self.run(args)
        except (Usage, reader.NotReady, layout.LayoutError, model.Unreadable, unwind.Unwound, gdb.error) as error:
            raise gdb.GdbError("%s: %s" % (self.name, error))
        except Exception as error:  # a fault of ours must not look like one of the program
            raise gdb.GdbError("%s: a fault in this command (%s: %s); please report it"
                               % (self.name, type(error).__name__, error))
        gdb.write("\n".join(lines) + "\n" if lines else "")

    @staticmethod
    @contextlib.contextmanager
    def around():
        """What the command may not change for the user: thread, frame."""
        with reader.keep_selection():
            yield


class CoList(Command):
    """List the coroutines of all threads.

Usage: co-list

  *           stands on the processor: the stack pointer says so
  where       the call it is suspended in, outside the library
  by          ID of who resumed it
  stack used  bytes between its stack pointer and the top, and the whole; or
              how many are copied out, while another's are in its slot
  created at  the call of co_create

Example: (gdb) co-list"""

    name = "co-list"
    # Frames are walked only for those that have no blocked_at: who runs, and
    # who has resumed another. In a very long chain the others go without.
    MAX_WALKS = 64

    def run(self, args):
        if args.strip():
            raise Usage("takes no arguments; co-bt ID, co-regs ID, co-stack ID tell more about one")
        s = Session()
        if not s.layout.envs:
            return ["this program has no coroutines, only contexts: %s"
                    % (", ".join(name for name, _ in s.reader.contexts()) or "none that is a variable"),
                    "co-regs and co-stack show the processor's registers; with a context's name, what is saved there"]
        if not s.snapshot.envs:
            return ["no coroutines yet: a thread's first co_create makes its environment"] + \
                format.problems(s.snapshot)
        return format.coroutine_list(s.snapshot, s.names, self._where(s), width())

    def _where(self, s):
        where = {}
        for co in sorted(s.snapshot.all, key=lambda co: not co.cpu):
            if not co.cpu and (co.state in ("new", "done") or co.blocked_at):
                continue
            if len(where) == self.MAX_WALKS:
                break
            try:
                place = frames.user_place(co, s.reader)
            except (gdb.error, unwind.Unwound):
                continue
            if place:
                where[co.address] = place.short
        return where


class CoRegs(Command):
    """Show registers and what they mean: saved ones, or the processor's.

Usage: co-regs [ID | NAME]

Without ID, whoever is on the processor. ID is a coroutine's number or name
(co-list shows them), or a variable of type struct coctx.

  saved at      address of the register's field in the struct coctx
  goes to       the same, for one that runs: where a switch will save it
  callee-saved  a function that is called gives it back unchanged; so a
                switch saves it
  caller-saved  lost across any call; the compiler has put what it needs on
                the stack before calling, so a switch need not save it

Example: (gdb) co-regs 2"""

    name = "co-regs"

    def run(self, args):
        arg = one_argument(args)
        s = Session()
        it = s.find(arg) if arg else s.snapshot.selected()
        if it is None:
            return format.registers("thread %d, the processor's registers:" % s.cpu.number, s.cpu.registers, {},
                                    s.names, is_live=True, width=width())
        if isinstance(it, model.Context):
            return format.registers("saved in %s, a struct coctx at %#x:" % (arg, it.address), it.registers,
                                    it.saved_at, s.names, is_live=False, is_new=is_new(it, s), width=width())
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
                                        is_new=not it.has_begun, width=width())


def is_new(context, s):
    """Has this execution not begun? Then it starts at the entry trampoline."""
    symbol = s.reader.symbol(context.registers["rip"])
    return symbol is not None and symbol.name == "__morestack"


class CoBt(Command):
    """Backtrace of a coroutine, running or suspended, and of its resumers.

Usage: co-bt [ID | NAME | all]

Without ID, whoever is on the processor. Frames are numbered from #0. Where a
coroutine ends, a line says who resumed it, and the resumer's frames follow.
The numbers are not those of GDB's `frame N`.

Example: (gdb) co-bt 2"""

    name = "co-bt"

    def run(self, args):
        arg = one_argument(args)
        s = Session()
        if arg == "all" and s.snapshot.all:
            lines = []
            for co in s.snapshot.all:
                lines += ([""] if lines else []) + self._one(s, co)
            return lines
        it = s.find(arg) if arg else s.snapshot.selected()
        if it is None:
            copier = next((env for env in s.snapshot.envs if env.cpu is s.cpu and env.copier_link is not None), None)
            return self._copier(s, copier) if copier else \
                ["thread %d:" % s.cpu.number] + numbered(frames.of_thread(True), [])
        if isinstance(it, model.Context):
            if not it.registers["rip"]:
                return ["nothing has been saved in %s yet" % arg]
            return ["saved in %s:" % arg] + numbered(frames.of_context(it), [])
        return self._one(s, it)

    def _copier(self, s, env):
        """Its own frames, up to its trampoline, and those of whom its link leads to."""
        co = s.snapshot.by_context.get(env.copier_link)
        own = itertools.takewhile(lambda f: not (f.is_seam or f.is_end), frames.of_thread(True))
        shown = []
        lines = [env.note] + numbered(own, shown) + [format.copier_seam(co)]
        return lines + (self._chain(s, co, shown) if co else [])

    def _one(self, s, co):
        state = "on the processor (thread %d)" % co.cpu.number if co.cpu else format.state(co)
        if co.state == "done" and not co.cpu:
            return ["coroutine %s, done: it has no frames" % co.label]
        lines = ["coroutine %s, %s" % (co.label, state)]
        if not co.has_begun:
            lines.append("(it has not begun; its first resume calls %s)" % s.names.code(co.fn, True))
        return lines + self._chain(s, co, [])

    def _chain(self, s, co, shown):
        """The frames of `co` and of its resumers."""
        lines, seen = [], set()
        while co is not None:
            seen.add(co.address)
            try:
                if model.stack_is_lost(s.reader, co):
                    raise unwind.Unwound(format.lost_stack(co))
                if co.has_begun:
                    numbered(frames.of(s.reader, co), shown, lines)
            except (gdb.error, unwind.Unwound) as error:
                lines.append("(no frames: %s)" % error)
            if co.is_main:
                break
            resumer = s.snapshot.resumer_of(co)
            lines.append(format.seam(co, resumer))
            if resumer is not None and resumer.address in seen:
                lines.append("damaged: %s has been here already; its link leads in a circle" % resumer.label)
                break
            co = resumer
        return lines


def numbered(found, shown, lines=None):
    """Append the frames to `lines`, numbered on from those `shown` before."""
    lines = [] if lines is None else lines
    for f in found:
        if f.is_seam:
            lines.append(format.context_seam(""))
            continue
        if f.is_end:
            if f.function in ("co_has_no_resumer", "co_resumer_is_copied_out"):
                lines[-1:] = [format.context_seam(f.function)]
            continue
        lines.append(format.frame(len(shown), f))
        shown.append(f)
    return lines


class CoStack(Command):
    """Show a stack word by word, from the stack pointer up.

Usage: co-stack [ID | NAME] [-words N]

Without ID, whoever is on the processor. At most N words, 64 unless told.

  from top   bytes below the top of the stack
  frame      / its first word, | more of it, \\ its last, the return address
  what it is where a return goes, whose rbp was saved, a variable's name,
             whose stack or coctx an address lies in; <- registers that point here

Example: (gdb) co-stack 2 -words 20"""

    name = "co-stack"
    WORDS = 64

    def run(self, args):
        words = gdb.string_to_argv(args)
        limit = self.WORDS
        if "-words" in words:
            i = words.index("-words")
            if len(words) <= i + 1 or not words[i + 1].isdigit() or not 0 < int(words[i + 1]) <= 100000:
                raise Usage("-words wants a number from 1 to 100000, as in: co-stack 2 -words 20")
            limit = int(words[i + 1])
            del words[i:i + 2]
        if any(w.startswith("-") for w in words):
            raise Usage("the only option is -words N")
        if len(words) > 1:
            raise Usage("one ID or name is enough, but there are %d words" % len(words))
        s = Session()
        it = s.find(words[0]) if words else s.snapshot.selected()
        if it is None:
            return self._show(s, s.reader, "thread %d" % s.cpu.number, s.cpu.registers, frames.of_thread, 0, limit)
        if isinstance(it, model.Context):
            if not it.registers["rsp"]:
                return ["nothing has been saved in %s yet" % words[0]]
            return self._show(s, s.reader, "saved in %s" % words[0], it.registers, lambda: frames.of_context(it), 0,
                              limit)
        if it.state == "done" and not it.cpu:
            return ["coroutine %s, done: nothing on its stack means anything now" % it.label]
        if model.stack_is_lost(s.reader, it):
            raise unwind.Unwound(format.lost_stack(it))
        if not it.has_stack:
            raise unwind.Unwound(format.no_stack(it))
        s.names.own = it
        title = "coroutine %s, %s" % (it.label, "on the processor" if it.cpu else format.state(it))
        return self._show(s, model.Overlay(s.reader, it.stack), title, it.registers, lambda: frames.of(s.reader, it),
                          it.stack.hi, limit)

    @staticmethod
    def _show(s, memory, title, registers, get_frames, hi, limit):
        rsp = registers["rsp"]
        hi = hi or s.reader.array_end(rsp)
        n_words = limit
        if hi:
            if not hi - (1 << 30) <= rsp <= hi:
                raise Usage("rsp is %#x, far from the stack that ends at %#x" % (rsp, hi))
            title += ": %d bytes in use" % (hi - rsp)
            n_words = min(limit, (hi - rsp) // 8)
        if n_words == 0:
            return [title + ": the stack is empty; rsp is its top, %#x" % rsp]
        try:
            found = get_frames()
        except (gdb.error, unwind.Unwound):
            found = []
        words = model.read_words(memory, rsp, n_words)
        if not words:
            raise model.Unreadable(rsp)
        here = {name: registers[name] for name in ("rsp", "rbp", "rbx", "r12", "r13", "r14", "r15")
                if name in registers}
        lines = format.stack(title, stackwords.annotate(words, rsp, found, here, s.names), hi, width())
        if hi and n_words < (hi - rsp) // 8:
            lines.append("... %d words more, up to the top: -words N shows more" % ((hi - rsp) // 8 - n_words))
        elif len(words) < n_words:
            lines.append("... and here the memory ends")
        return lines


class CoHelp(Command):
    """List the costep commands.

Usage: co-help"""

    name = "co-help"

    def run(self, args):
        lines = ["Coroutines in GDB. Nothing here changes the program. What does not let it run works on a core, too.",
                 ""]
        for command in Command.known:
            usage = next(line for line in command.__doc__.split("\n") if line.startswith("Usage: "))
            lines.append("  %-34s %s" % (usage[len("Usage: "):], command.__doc__.split("\n")[0]))
        return lines + [
            "  %-34s %s" % ("$co(ID), $co_self()", "A coroutine as a struct co *, as in: print $co(2)->name"),
            "  %-34s %s" % ("$co_is(ID)", "For conditions: does the selected thread run that coroutine?"),
            "", "ID is a coroutine's number in co-list, or its name. help COMMAND tells more, with an example.",
            "Plain bt works too: inside a coroutine it goes on through its resumers to main."]


COMMANDS = (CoList, CoRegs, CoBt, CoStack, CoHelp)


def register():
    unwind.register()
    for command in COMMANDS:
        command()
