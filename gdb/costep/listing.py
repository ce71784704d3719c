# SPDX-License-Identifier: MIT
"""co-list."""
from . import commands, format, jsonout


class CoList(commands.Command):
    """List the coroutines of all threads.

Usage: co-list [-json]

  *           stands on the processor: the stack pointer says so
  where       the call it is suspended in, outside the library
  by          ID of who resumed it
  stack used  bytes between its stack pointer and the top, and the whole; or
              how many are copied out, while another's are in its slot
  created at  the call of co_create (not in a terminal that is too narrow)

-json, here and with other commands: one line with an object. "costep": 1, the
number of the format; "command". Addresses and registers are texts, "0x...",
other numbers numbers; what is not known is null. A command that fails writes
"error", beside GDB's own line on the standard error.
Here: "threads": [{"number", "lwp", "note", "is_selected", "coroutines":
[{"id", "name", "state", "where", "resumed_by", "thread" (null: not on a
processor), "used", "is_shared", "stack": {"lo", "hi", "guard_len",
"save_buffer", "save_len"}, "context": {"address", "registers"}, ...}]}],
"problems".

Example: (gdb) co-list"""

    name = "co-list"

    def run(self, args):
        words, options = commands.split(args, {"-json": None})
        if words:
            raise commands.Usage("takes no arguments; co-bt ID, co-regs ID, co-stack ID tell more about one")
        s = commands.Session()
        if "-json" in options:
            where = s.walked()
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
        return format.coroutine_list(s.snapshot, s.names, s.walked(), commands.width()) + s.unwalked()


def register():
    CoList()
