# SPDX-License-Identifier: MIT
"""co-break, co-catch, $co_is(): breakpoints for one coroutine.

A condition is asked each time anybody comes by, so it reads a few fields only
(who.py), and never fails: a condition that does stops the program.
"""
import re

import gdb

from . import commands, handlers, layout, model, reader, settings, stops, who


class Program:
    """The Asker of the program that runs; made again when there may be another."""

    def __init__(self):
        self.asker = None
        self.key = None

    def ask(self):
        """None: no coroutines (yet)."""
        inferior = gdb.selected_inferior()
        key = (inferior.num, inferior.pid, gdb.current_progspace().filename)
        if self.asker is None or self.key != key:
            try:
                self.asker = who.Asker(reader.Memory(), reader.find_layout(reader.Reader()))
                self.key = key
            except (reader.NotReady, layout.LayoutError, model.Unreadable, gdb.error):
                return None
        return self.asker

    def forget(self, _event=None):
        self.asker = None


program = Program()


def selected():
    """The coroutine on the selected thread's processor, as a who.Who; None."""
    asker, thread = program.ask(), gdb.selected_thread()
    if asker is None or thread is None:
        return None
    env = asker.env_of(thread.ptid[1] or thread.ptid[0])
    if not env:
        return None
    rsp = stops.register("rsp")
    it = asker.on_processor(env, rsp)
    if it is not None and not asker.holds_rsp(it, rsp) and is_copier():
        return None
    return it


def is_copier():
    """The stack pointer is on no coroutine's stack: is that the copier's, or a signal handler's?"""
    return any(env.copier_link is not None and env.cpu.is_selected for env in commands.Session().snapshot.envs)


class CoIs(gdb.Function):
    """$co_is(ID | NAME): does the selected thread run that coroutine? 1 or 0.

For conditions: it reads little, and says 0 where there are no coroutines
(yet).

Example: (gdb) break worker if $co_is(2)"""

    def __init__(self):
        super().__init__("co_is")

    def invoke(self, which):
        try:
            with settings.any_text():
                found = selected()
            is_text = which.type.strip_typedefs().code in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_PTR)
            return found is not None and (found.name == which.string() if is_text else found.id == int(which))
        except (gdb.error, reader.NotReady, layout.LayoutError, model.Unreadable):
            return False


# --- co-break -----------------------------------------------------------------------------


class CoBreak(commands.Command):
    """Set a breakpoint for one coroutine.

Usage: co-break LOC -co ID [if COND]

GDB's break, with the condition $co_is(ID) in front of yours: info breakpoints
shows it, delete, disable, condition, commands work as ever. ID may be a name,
LOC what break takes (nothing: here). The coroutine need not exist yet.

Example: (gdb) co-break worker -co 2 if n > 5"""

    name = "co-break"

    def run(self, args):
        place, which, condition = parse_break(args)
        test = "$co_is(%s)" % (which if which.isdigit() else '"%s"' % which)
        gdb.execute("break %s if %s" % (place, "%s && (%s)" % (test, condition) if condition else test))
        return unknown(which)


def parse_break(args):
    """(location, ID or name, condition or "")"""
    match = re.match(r"(?P<place>.*?)(?:^|\s)-co\s+(?P<which>\"[^\"]*\"|\S+)(?P<rest>.*)$", args.strip(), re.S)
    if not match:
        raise commands.Usage("which coroutine? As in: co-break worker -co 2")
    place, rest = match.group("place").strip(), match.group("rest").strip()
    if re.search(r"(^|\s)if\b", place):
        raise commands.Usage("the condition comes last: co-break worker -co 2 if n > 5")
    before, _, condition = (" %s " % rest).partition(" if ")
    return (place + " " + before.strip()).strip(), match.group("which").strip('"'), condition.strip()


def unknown(which):
    """A note, if there is none of that number or name."""
    try:
        cos = commands.Session().snapshot.all
    except (reader.NotReady, layout.LayoutError, model.Unreadable):
        return []
    found = [co for co in cos if (str(co.id) if which.isdigit() else co.name) == which]
    return [] if found else ["there is no coroutine %s yet; it counts as soon as there is" % which]


# --- co-catch --------------------------------------------------------------------------------


class Catch(gdb.Breakpoint):
    """A breakpoint of the user's, with a condition that needs no text."""

    def __init__(self, function, what):
        address = reader.address_of(function)
        if not address:
            raise commands.Usage("the program has no %s (yet: is its library loaded?)" % function)
        super().__init__(function if function != stops.SWAP else "*%s" % function)
        self.co_what = what

    def stop(self):
        try:
            said = self.is_wanted()
        except (gdb.error, reader.NotReady, layout.LayoutError, model.Unreadable):
            return False
        if said:
            gdb.write("\n%s\n" % said)
        return bool(said)


class CatchSwap(Catch):
    """At coctx_swap: who leaves, and to whom. What the copier does between is not one."""

    def __init__(self, old, new, is_exit=False):
        super().__init__(stops.SWAP, "exit of %s" % old if is_exit else "switch from %s to %s" % (old, new))
        self.old, self.new, self.is_exit = old, new, is_exit

    def is_wanted(self):
        asker, thread = program.ask(), gdb.selected_thread()
        if asker is None:
            return ""
        env = asker.env_of(thread.ptid[1] or thread.ptid[0])
        if not env:
            return self._contexts(asker)
        left, comes = asker.leaving(env, stops.register("rdi")), asker.running(env)
        if left is None or comes is None or not (self.old.matches(left) and self.new.matches(comes)):
            return ""
        if self.is_exit and left.state != "done":
            return ""
        if left.state == "done":
            return "coroutine %s has ended, back to %s" % (left.label, comes.label)
        return "switch from %s to %s" % (left.label, comes.label)

    def _contexts(self, asker):
        """A program that has only contexts."""
        if asker.layout.envs or self.is_exit:
            return ""
        rd = reader.Reader()
        if not (self.old.matches_context(rd, stops.register("rdi"))
                and self.new.matches_context(rd, stops.register("rsi"))):
            return ""
        return "switch from %s to %s" % (self.old.text_of(rd, "rdi"), self.new.text_of(rd, "rsi"))


class CatchCreate(Catch):
    def __init__(self):
        super().__init__("co_create", "create")

    def is_wanted(self):
        fn = reader.Reader().symbol(int(gdb.newest_frame().read_register("rdx")) & 0xffffffffffffffff)
        by = selected()
        return "a coroutine for %s is created%s" % (fn or "?", " by %s" % by.label if by else "")


class Whom:
    """A coroutine as the user has named it: any, a number, or a name."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text

    def matches(self, it):
        return self.text in ("any", str(it.id)) or (not self.text.isdigit() and self.text == it.name)

    def matches_context(self, rd, address):
        return self.text == "any" or rd.context(self.text) == address

    @staticmethod
    def text_of(rd, register):
        address = stops.register(register)
        return dict((at, name) for name, at in rd.contexts()).get(address, "%#x" % address)


class CoCatch(commands.Command):
    """Stop at switches, at creations, at ends of coroutines.

Usage: co-catch EVENT [ID ...]

  switch [FROM [TO]]  somebody leaves for another; IDs, names, or any
  create              co_create is called
  exit [ID]           the function of a coroutine has returned

A switch stops where it begins, still on the stack of the one who leaves:
co-switch shows the rest. These are breakpoints with numbers: info breakpoints,
delete, disable. co-catch alone lists them.

Example: (gdb) co-catch switch any bob"""

    name = "co-catch"

    def run(self, args):
        words = gdb.string_to_argv(args)
        if not words:
            return listed()
        if stops.connection_is_core():
            raise commands.Usage("this is a core: nothing can run in it")
        kind, whom = words[0], [Whom(word) for word in words[1:]]
        most = {"switch": 2, "create": 0, "exit": 1}.get(kind)
        if most is None or len(whom) > most:
            raise commands.Usage("the events are: switch [FROM [TO]], create, exit [ID]")
        if kind == "create":
            CatchCreate()
            return []
        whom += [Whom("any")] * (2 - len(whom))
        CatchSwap(whom[0], whom[1], is_exit=kind == "exit")
        return [line for one in whom if one.text != "any" for line in unknown_unless_context(one.text)]


def unknown_unless_context(text):
    return [] if reader.Reader().context(text) else unknown(text)


def listed():
    rows = [b for b in gdb.breakpoints() if hasattr(b, "co_what")]
    return ["%-4d %s%s, %s" % (b.number, b.co_what, "" if b.enabled else " (disabled)",
                               "1 time" if b.hit_count == 1 else "%d times" % b.hit_count)
            for b in rows] or ["nothing is caught; as in: co-catch switch any 2"]


def register():
    for command in (CoBreak, CoCatch, CoIs):
        command()
    for event in ("exited", "new_objfile", "clear_objfiles"):
        handlers.connect(event, program.forget)
