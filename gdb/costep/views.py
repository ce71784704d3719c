# SPDX-License-Identifier: MIT
"""co-tree, co-savebuf, co-check, co-timers, co-fds, co-waits."""
import os
import time

import gdb

from . import checks, commands, dwarf, format, jsonout, model, reader, savebuf, tree, viewformat, waits


def needs_coroutines(s):
    if not s.snapshot.envs:
        raise commands.Usage("there are no coroutines: a thread's first co_create makes its environment")


class CoTree(commands.Command):
    """Show who has resumed whom.

Usage: co-tree [-json]

From main down: each has been resumed by the one above it, and * is on the
processor. Then those that nobody has resumed. Resumers that lead in a circle
are damage, and reported as such.
-json: "threads": [{"number", "lwp", "note", "chain": [{"depth", "id"}],
"others": [id], "strays": [id], "circles": [[id]]}], "problems". See help
co-list.

Example: (gdb) co-tree"""

    name = "co-tree"

    def run(self, args):
        options = commands.no_words(args, {"-json": None})
        s = commands.Session()
        needs_coroutines(s)
        found = [(env, tree.of(s.snapshot, env)) for env in s.snapshot.envs]
        if "-json" in options:
            return jsonout.document(self.name, threads=[dict(
                jsonout.thread(env), chain=[{"depth": depth, "id": co.id} for depth, co in t.chain],
                others=[co.id for co in t.others], strays=[co.id for co in t.strays],
                circles=[[co.id for co in circle] for circle in t.circles]) for env, t in found],
                problems=s.snapshot.problems)
        where, lines = s.walked(), []
        for env, t in found:
            lines += viewformat.tree(env, t, lambda co: format.where_is(co, s.names, where), commands.width())
        return lines + format.problems(s.snapshot) + s.unwalked()


class CoSavebuf(commands.Command):
    """Show a save_buffer beside the slot: a coroutine's bytes, and those there now.

Usage: co-savebuf ID | NAME [-diff] [-words N]

Eight bytes to a line, the stack pointer's first, at the addresses that they
have on the stack. A byte of the slot that is another one than was saved has
a * behind it. In the column "whose": who is in the slot now; below that one's
stack pointer, bytes are left over from anybody. -diff: only lines that differ.
At most N lines, 64 unless told.

Example: (gdb) co-savebuf 1 -diff"""

    name = "co-savebuf"

    def run(self, args):
        words, options = commands.split(args, {"-diff": None, "-words": "a number"})
        limit = options.get("-words", "64")
        if not limit.isdigit() or not 0 < int(limit) <= 10**6:
            raise commands.Usage("-words wants a number, as in: co-savebuf 1 -words 20")
        which = commands.at_most_one(words)
        s = commands.Session()
        if which is None:
            raise commands.Usage("wants a coroutine, as in: co-savebuf 1 (copied out: %s)" % self._those(s))
        it = s.find(which)
        if isinstance(it, model.Context):
            raise commands.Usage("%s is a context; only coroutines have a save_buffer" % which)
        if not it.stack.is_out:
            if not it.has_stack and not it.is_main:
                return [format.no_stack(it)]
            return ["%s is not copied out: its bytes are in place%s" % (
                it.label, ", in a slot that it shares" if s.snapshot.is_shared(it) else ", on a stack of its own")]
        return viewformat.savebuf(it, savebuf.beside(s.reader, s.snapshot, it), "-diff" in options, int(limit),
                                  commands.width())

    @staticmethod
    def _those(s):
        return format.cut(", ".join(co.label for co in s.snapshot.all if co.stack.is_out), 60) or "nobody"


class CoCheck(commands.Command):
    """Check what must hold of coroutines, stacks, lists and links. One line for each.

Usage: co-check [-json]

  ok     holds; in brackets, how often it was looked at
  BAD    does not; the lines below say where
  maybe  does not, but the thread is in the middle of a call of the library
If anything is BAD, the command fails: gdb -batch -ex co-check then ends with
status 1.
$co_check is how many are, as in: -ex co-check -ex 'quit $co_check'.
-json: "checks": [{"name", "verdict", "n", "problems"}], "bad". See help
co-list.

Example: (gdb) co-check"""

    name = "co-check"

    def run(self, args):
        options = commands.no_words(args, {"-json": None})
        gdb.set_convenience_variable("co_check", 1)     # should we get no further
        s = commands.Session()
        if not s.layout.envs:
            raise commands.Usage("this program has no coroutines, only contexts")
        found = checks.run(s.reader, s.snapshot)
        n_bad = sum(check.verdict == checks.BAD for check in found)
        gdb.set_convenience_variable("co_check", n_bad)
        if "-json" in options:
            lines = jsonout.document(self.name, bad=n_bad, checks=[
                {"name": c.name, "verdict": c.verdict, "n": c.n, "problems": c.problems} for c in found])
        else:
            lines = viewformat.checks(found)
        if not n_bad:
            return lines
        gdb.write("\n".join(lines) + "\n")
        raise commands.Told("%d of %d checks are BAD" % (n_bad, len(found)))


class _Waits(commands.Command):
    """What co-timers, co-fds, co-waits share; no command itself."""

    def run(self, args):
        options = commands.no_words(args, {"-json": None})
        s = commands.Session()
        needs_coroutines(s)
        try:
            types = dwarf.Types()
        except waits.NoTypes as error:
            raise commands.Usage(str(error))
        problems, where = [], {}
        found = waits.find(s.reader, s.snapshot, types, problems)
        if "-json" in options:
            items = [item for env in s.snapshot.envs for item in self.json(s, types, env, _of(found, env), problems)]
            return jsonout.document(self.name, **{self.key: items}, **self.more_json(), problems=problems)
        where, lines = s.walked(), []
        for env in s.snapshot.envs:
            lines += self.lines(s, types, env, _of(found, env), problems,
                                lambda co: format.where_is(co, s.names, where))
        return lines + ["damaged: " + text for text in problems] + s.unwalked()

    @staticmethod
    def more_json():
        return {}


def _of(found, env):
    return [w for w in found if w.coroutine.env == env.address]


class CoTimers(_Waits):
    """Show who waits until when, the earliest first.

Usage: co-timers [-json]

  until     on the clock of co_now_ns(): CLOCK_MONOTONIC, in seconds
  from now  while the program stands, time goes on: of a core it is not known,
            nor of one on another machine
It is found by what each coroutine waits in, whatever kind the thread's timers
are (heap, wheel, timerfd). That needs the library's debug information.
-json: "timers": [{"id", "at_ns", "kind"}], "now_ns". See help co-list.

Example: (gdb) co-timers"""

    name = "co-timers"

    key = "timers"

    @staticmethod
    def _armed(found):
        return sorted((w for w in found if w.at_ns is not None), key=lambda w: (w.at_ns, w.coroutine.id))

    def json(self, s, types, env, found, problems):
        return [{"id": w.coroutine.id, "at_ns": w.at_ns, "kind": w.kind} for w in self._armed(found)]

    @staticmethod
    def more_json():
        return {"now_ns": _now_ns()}

    def lines(self, s, types, env, found, problems, where):
        armed = self._armed(found)
        now_ns = _in_thread(env, _thread_now_ns)
        return viewformat.timers(env, armed, _set_note(env, len(armed)), now_ns, where, commands.width())


def _thread_now_ns():
    """The time on the selected thread's clock; None: it has one of its own."""
    return None if dwarf.per_thread("clock.c", "thread_clock") else _now_ns()


def _now_ns():
    """The clock of the program's machine; None: not known."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) if _is_live_here() else None


def _is_live_here():
    connection = gdb.selected_inferior().connection
    return connection is not None and connection.type == "native"


def _in_thread(env, read):
    """What `read` returns in the thread of `env`; None: that cannot be said."""
    if env.cpu is None:
        return None
    with reader.keep_selection():
        for thread in gdb.selected_inferior().threads():
            if thread.num == env.cpu.number:
                thread.switch()
        try:
            return read()
        except (gdb.error, ValueError):
            return None


def _set_note(env, n_found):
    """The kind of the thread's set; and whether it has more timers than were found."""
    def read():
        timers = dwarf.per_thread("timer.c", "thread_timers")
        return (timers["kind"]["name"].string(), int(timers["n"])) if timers is not None else None
    found = _in_thread(env, read)
    if not found:
        return ""
    kind, n = found
    return " (kind: %s)" % kind if n == n_found else " (kind: %s; it counts %d)" % (kind, n)


class CoFds(_Waits):
    """Show who waits for which descriptors, and for what.

Usage: co-fds [-json]

  wants  events as poll(2) has them: IN, OUT, PRI, ...
  told   what has happened since; its coroutine is ready, but has not run yet
  file   what the number means, if the program runs on this machine
More than 8 who want the same of one descriptor are one line, with the first
few IDs; -json has all.
Found by what each coroutine waits in, and by the thread's records of
descriptors. That needs the library's debug information.
Without coroutine: a function of the library's is called (as for co_remote).
-json: "fds": [{"id" (null: none), "fd", "events", "told", "is_waiting"}]. See
help co-list.

Example: (gdb) co-fds"""

    name = "co-fds"

    key = "fds"

    @staticmethod
    def _all(s, types, env, found, problems):
        """-> (the epoll set's number; None, what waits for no coroutine)."""
        epoll = _in_thread(env, lambda: _place_and_fd(dwarf.per_thread("epoll.c", "thread_epoll")))
        if not epoll or types.epoll is None:
            return None, []
        try:
            seats = waits.watched(s.reader, s.layout, types, epoll[0], problems)
        except model.Unreadable as error:
            problems.append("the records of descriptors: %s" % error)
            return epoll[1], []
        return epoll[1], waits.give_seats(found, seats)

    def json(self, s, types, env, found, problems):
        _, others = self._all(s, types, env, found, problems)
        return [{"id": co.id if co else None, "fd": seat.fd, "events": waits.events(seat.events),
                 "told": waits.events(seat.told) if seat.told else None, "is_waiting": seat.is_waiting}
                for co, seats in [(w.coroutine, w.seats) for w in found] + [(None, others)] for seat in seats]

    def lines(self, s, types, env, found, problems, where):
        fd, others = self._all(s, types, env, found, problems)
        note = "" if fd is None else "; epoll set: %d" % fd
        return viewformat.descriptors(env, found, others, note, _file_of,
                                      lambda seat: "(calls %s)" % s.names.code(seat.fire, True), where, commands.width())


def _place_and_fd(epoll):
    return (int(epoll.address), int(epoll["fd"])) if epoll is not None else None


def _file_of(fd):
    if not _is_live_here():
        return "?"
    try:
        return os.readlink("/proc/%d/fd/%d" % (gdb.selected_inferior().pid, fd))
    except OSError:
        return "not open"


class CoWaits(_Waits):
    """Show what each coroutine waits for, and who has it. Finds circles.

Usage: co-waits [-json]

  waits for  a mutex, and who holds it; a condition; descriptors; or the call
It is sorted by that: who waits for the same, stands together. "called": it has
what it waited for, and has not run yet. A circle are coroutines each of which
waits for a mutex that the next one holds: without timeouts they wait for ever.
That needs the library's debug information.
-json: "waits": [{"id", "kind", "of" (the mutex or condition), "is_called",
"holder" (an ID), "fds", "circle" (IDs)}]. See help co-list.

Example: (gdb) co-waits"""

    name = "co-waits"

    key = "waits"

    @staticmethod
    def _circles(s, types, found, problems):
        waits.name_holders(s.reader, s.snapshot, types, found, problems)
        return waits.circles(found)

    def json(self, s, types, env, found, problems):
        circles = self._circles(s, types, found, problems)
        return [{"id": w.coroutine.id, "kind": w.kind, "of": "%#x" % w.of if w.of else None, "is_called": w.is_called,
                 "holder": w.holder.id if w.holder else None, "fds": [seat.fd for seat in w.seats],
                 "circle": next(([co.id for co in circle] for circle in circles if w.coroutine in circle), None)}
                for w in found]

    def lines(self, s, types, env, found, problems, where):
        circles = self._circles(s, types, found, problems)
        return viewformat.waiting(env, found, circles, where, commands.width())


def register():
    for command in (CoTree, CoSavebuf, CoCheck, CoTimers, CoFds, CoWaits):
        command()
