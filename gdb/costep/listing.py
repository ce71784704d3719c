# SPDX-License-Identifier: MIT
"""co-list."""
from . import commands, format, jsonout


class CoList(commands.Command):
    """List the coroutines of all threads.

Usage: co-list [-state STATE,...] [-group BY] [-json]

  *           stands on the processor: the stack pointer says so
  where       the call it is suspended in, outside the library
  by          ID of who resumed it
  stack used  bytes between its stack pointer and the top, and the whole; or
              how many are copied out, while another's are in its slot
  created at  the call of co_create (not in a terminal that is too narrow)

-state: only those in one of these states. -group state, -group where: a line
for all that are in one state, or at one place, with their number and the first
few IDs; the largest group first.

-json, here and with other commands: one line with an object. "costep": 1, the
number of the format; "command". Addresses and registers are texts, "0x...",
other numbers numbers; what is not known is null. A command that fails writes
"error", beside GDB's own line on the standard error.
Here: "threads": [{"number", "lwp", "note", "is_selected", "coroutines":
[{"id", "name", "state", "where", "resumed_by", "thread" (null: not on a
processor), "used", "is_shared", "stack": {"lo", "hi", "guard_len",
"save_buffer", "save_len"}, "context": {"address", "registers"}, ...}]}],
"problems". With -group, instead of "coroutines", "groups": [{"state" or
"where", "n", "ids"}].

Example: (gdb) co-list -state suspended,waiting -group where"""

    name = "co-list"

    def run(self, args):
        words, options = commands.split(args, {"-state": "STATE", "-group": "state|where", "-json": None})
        if words:
            raise commands.Usage("takes no arguments; co-bt ID, co-regs ID, co-stack ID tell more about one")
        kind = options.get("-group")
        if kind not in (None, "state", "where"):
            raise commands.Usage("-group wants state or where, as in: co-list -group where")
        s = commands.Session()
        states = self._states(s, options["-state"]) if "-state" in options else None
        if "-json" in options:
            return self._json(s, states, kind)
        if not s.layout.envs:
            return ["this program has no coroutines, only contexts: %s"
                    % (", ".join(name for name, _ in s.reader.contexts()) or "none that is a variable"),
                    "co-regs and co-stack show the processor's registers; with a context's name, what is saved there"]
        if not s.snapshot.envs:
            return ["no coroutines yet: a thread's first co_create makes its environment"] + \
                format.problems(s.snapshot)
        if kind:
            lines, name_of = [], self._names(s, kind)
            for env, cos in s.snapshot.of_states(states):
                lines += format.groups(env, _groups(cos, name_of), kind, states, commands.width())
            return lines + format.problems(s.snapshot) + s.unwalked()
        return format.coroutine_list(s.snapshot, s.names, s.walked(), commands.width(), states) + s.unwalked()

    @staticmethod
    def _states(s, text):
        """The states that are named there."""
        states = [word for word in text.split(",") if word]
        known = s.layout.states
        for word in states or [text]:
            if known and word not in known:
                raise commands.Usage('there is no state "%s"; there are: %s' % (word, ", ".join(known)))
        return states

    @staticmethod
    def _names(s, kind):
        """The function that says what group one belongs to."""
        if kind == "state":
            return lambda co: co.state
        where = s.walked()
        return lambda co: format.where_is(co, s.names, where)

    def _json(self, s, states, kind):
        threads, name_of = [], self._names(s, kind)
        for env, cos in s.snapshot.of_states(states):
            if kind:
                found = {"groups": [{kind: name, "n": len(its), "ids": [co.id for co in its]}
                                    for name, its in _groups(cos, name_of)]}
            else:
                found = {"coroutines": [jsonout.coroutine(s.snapshot, co, name_of(co)) for co in cos]}
            threads.append(dict(jsonout.thread(env), **found))
        return jsonout.document(self.name, problems=s.snapshot.problems, threads=threads)


def _groups(cos, name_of):
    """[(state or place, [coroutine])], the largest first."""
    found = {}
    for co in cos:
        found.setdefault(name_of(co), []).append(co)
    return sorted(found.items(), key=lambda group: (-len(group[1]), group[0]))


def register():
    CoList()
