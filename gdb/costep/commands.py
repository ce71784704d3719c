# SPDX-License-Identifier: MIT
"""The commands: co-list, co-regs, co-bt, co-stack, co-help.

Each one takes a snapshot of the program's memory, makes lines of it and writes
them. Whatever goes wrong becomes one line that says what to do.
"""
import contextlib
import itertools

import gdb

from . import arguments, format, frames, handlers, jsonout, layout, meaning, model, reader, selection, stackwords
from . import unwind, viewformat
from .arguments import Usage, at_most_one


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
        self._frames = {}

    def frames_of(self, co):
        """Its frames, walked once: a resumer's are part of many a backtrace."""
        if co.address not in self._frames:
            self._frames[co.address] = frames.of(self.reader, co)
        return self._frames[co.address]

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
    return at_most_one(gdb.string_to_argv(args))


def split(args, options):
    return arguments.split(gdb.string_to_argv(args), options)


def no_words(args, options):
    """The options of a command that takes nothing else."""
    words, found = split(args, options)
    if words:
        raise Usage("takes no arguments but %s" % ", ".join(options))
    return found


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
        """What the command may not change for the user: co ID's selection, thread, frame."""
        with selection.paused(), reader.keep_selection():
            yield


class CoList(Command):
    """List the coroutines of all threads.

Usage: co-list [-json]

  *           stands on the processor: the stack pointer says so
  where       the call it is suspended in, outside the library
  by          ID of who resumed it
  stack used  bytes between its stack pointer and the top, and the whole; or
              how many are copied out, while another's are in its slot
  created at  the call of co_create

-json, here and with other commands: one line with an object. "costep": 1, the number of
the format; "command". Addresses and registers are texts, "0x...", other numbers numbers;
what is not known is null. Here: "threads": [{"number", "lwp", "note", "is_selected",
"coroutines": [{"id", "name", "state", "where", "resumed_by", "thread" (null: not on a
processor), "used", "is_shared", "stack": {"lo", "hi", "guard_len", "save_buffer",
"save_len"}, "context": {"address", "registers"}, ...}]}], "problems".

Example: (gdb) co-list"""

    name = "co-list"

    def run(self, args):
        words, options = split(args, {"-json": None})
        if words:
            raise Usage("takes no arguments; co-bt ID, co-regs ID, co-stack ID tell more about one")
        s = Session()
        if "-json" in options:
            where = walked(s)
            return jsonout.document(self.name, problems=s.snapshot.problems, threads=[dict(
                jsonout.thread(env), coroutines=[jsonout.coroutine(
                    s.snapshot, co, format.where_is(co, s.names, where)) for co in env.coroutines])
                for env in s.snapshot.envs])
        if not s.layout.envs:
            return ["this program has no coroutines, only contexts: %s"
                    % (", ".join(name for name, _ in s.reader.contexts()) or "none that is a variable"),
                    "co-regs and co-stack show the processor's registers; with a context's name, what is saved there"]
        if not s.snapshot.envs:
            return ["no coroutines yet: a thread's first co_create makes its environment"] + \
                format.problems(s.snapshot)
        return format.coroutine_list(s.snapshot, s.names, walked(s), width())


# Frames are walked only for those that have no blocked_at: who runs, and
# who has resumed another. In a very long chain the others go without.
MAX_WALKS = 64


def walked(s):
    """Where they are, by address, of those whose frames must tell."""
    where = {}
    for co in sorted(s.snapshot.all, key=lambda co: not co.cpu):
        if not co.cpu and (co.state in ("new", "done") or co.blocked_at):
            continue
        if len(where) == MAX_WALKS:
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

Usage: co-regs [ID | NAME] [-diff ID | -last] [-json]

Without ID, whoever is on the processor. ID is a coroutine's number or name
(co-list shows them), or a variable of type struct coctx.

  saved at      address of the register's field in the struct coctx
  goes to       the same, for one that runs: where a switch will save it
  callee-saved  a function that is called gives it back unchanged; so a
                switch saves it
  caller-saved  lost across any call; the compiler has put what it needs on
                the stack before calling, so a switch need not save it

-diff ID: only what differs from that one's. -last: only what differs from the last time
that these were shown (by co-regs in any form). -json: "of", "thread" (null: saved),
"registers", "saved_at", and of -diff and -last "than" and "other". See help co-list.

Example: (gdb) co-regs 2 -diff 3"""

    name = "co-regs"
    last = {}   # what was shown last: whose -> registers

    def run(self, args):
        words, options = split(args, {"-diff": "an ID", "-last": None, "-json": None})
        arg = at_most_one(words)
        if "-diff" in options and "-last" in options:
            raise Usage("-diff and -last exclude one another")
        s = Session()
        it = s.find(arg) if arg else s.snapshot.selected()
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
                                             else label, values), s.names, width())
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

Usage: co-bt [ID | NAME | all] [-json]

Without ID, whoever is on the processor. Frames are numbered from #0. Where a
coroutine ends, a line says who resumed it, and the resumer's frames follow.
The numbers are not those of GDB's `frame N` (but see help co).
-json: "backtraces": [{"id", "stacks": [{"id", "resumed_by", "frames": [{"function", "pc",
"rsp", "rbp", "args", "file", "line", ...}], "problem"}]}]. See help co-list.

Example: (gdb) co-bt 2"""

    name = "co-bt"

    def run(self, args):
        words, options = split(args, {"-json": None})
        arg = at_most_one(words)
        s = Session()
        if "-json" in options:
            return self._json(s, arg)
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

    def _json(self, s, arg):
        it = s.find(arg) if arg and arg != "all" else s.snapshot.selected()
        if arg != "all" and not isinstance(it, model.Coroutine):
            raise Usage("-json is for coroutines; this is none")
        return jsonout.document(self.name, backtraces=[
            {"id": co.id, "stacks": self._stacks(s, co)} for co in (s.snapshot.all if arg == "all" else [it])])

    def _stacks(self, s, co):
        stacks, seen = [], set()
        while co is not None and co.address not in seen:
            seen.add(co.address)
            resumer = None if co.is_main else s.snapshot.resumer_of(co)
            stack = {"id": co.id, "name": co.name, "resumed_by": resumer.id if resumer else None, "frames": [],
                     "problem": None}
            stacks.append(stack)
            try:
                if model.stack_is_lost(s.reader, co):
                    raise unwind.Unwound(format.lost_stack(co))
                if co.has_begun and (co.state != "done" or co.cpu):
                    stack["frames"] = [f for f in frames.of(s.reader, co) if not f.is_end]
            except (gdb.error, unwind.Unwound) as error:
                stack["problem"] = str(error)
            co = resumer
        return stacks

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
                    numbered(s.frames_of(co), shown, lines)
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
        if "rsp" not in registers:
            raise Usage("the registers of this thread cannot be read")
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
            usage = usage[len("Usage: "):].replace(" [-json]", "")
            lines.append("  %-38s %s" % (usage, command.__doc__.split("\n")[0]))
        return lines + [
            "  %-38s %s" % ("$co(ID), $co_self()", "A coroutine as a struct co *, as in: print $co(2)->name"),
            "  %-38s %s" % ('$co_reg(ID, "rsp")', "A register that it goes on with, as a number."),
            "  %-38s %s" % ("$co_is(ID)", "For conditions: does the selected thread run that coroutine?"),
            "  %-38s %s" % ("layout co", "TUI with a window of the coroutines; a click selects one."),
            "", "ID is a coroutine's number in co-list, or its name. help COMMAND tells more, with an example.",
            "Lists take -json, too. Plain bt goes on through a coroutine's resumers to main."]


COMMANDS = (CoList, CoRegs, CoBt, CoStack, CoHelp)


def register():
    from . import tui, viewing, views   # which need Command, above
    handlers.forget_old()
    unwind.register()
    selection.register()
    for command in COMMANDS:
        command()
    viewing.register()
    views.register()
    tui.register()
