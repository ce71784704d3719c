# SPDX-License-Identifier: MIT
"""Who runs on a thread now: the question that conditions of breakpoints ask.

A Snapshot reads every coroutine there is. This reads some fields, so that a
breakpoint that others hit, too, costs little. Uses no GDB: a reader as in
model.py, and numbers.
"""
from dataclasses import dataclass

from . import model


@dataclass(frozen=True)
class Who:
    """One coroutine. Memory is used again, so an address alone does not tell."""
    env: int
    address: int
    id: int
    name: str = ""
    state: str = ""

    @property
    def label(self):
        return '%d "%s"' % (self.id, self.name)


class Asker:
    """Asks of one program, as often as one likes: keeps nothing but its layout."""

    def __init__(self, reader, layout):
        self.reader = reader
        self.layout = layout
        self._envs = {}     # tid -> address of its environment, as it was last time

    def pointer(self, base, name):
        return self._number(base, name)

    def _number(self, base, name):
        offset, size = self.layout.fields[name]
        return int.from_bytes(self.reader.read(base + offset, size), "little")

    def env_of(self, tid):
        """The environment of that thread; 0: it has none, or memory is damaged."""
        if not self.layout.envs:
            return 0
        known = self._envs.get(tid)
        if known and self._is_env(known, tid):
            return known
        for node in model.walk_list(self.reader, self.layout, self.layout.envs, "co_envs", []):
            env = node - self.layout.offset("env.in_envs")
            try:
                if self._number(env, "env.tid") == tid:
                    self._envs[tid] = env
                    return env
            except model.Unreadable:
                continue
        return 0

    def _is_env(self, env, tid):
        """Is it still on the list?"""
        node = env + self.layout.offset("env.in_envs")
        try:
            return (self._number(env, "env.tid") == tid
                    and self._number(self._number(node, "list.prev"), "list.next") == node)
        except model.Unreadable:
            return False

    def running(self, env):
        """Whom the environment says to run; None: unreadable, or nobody. During
        a switch that is already the one who comes."""
        try:
            return self.at(self._number(env, "env.running"))
        except model.Unreadable:
            return None

    def at(self, address):
        """The coroutine whose struct is there; None: there is none."""
        try:
            co = model.read_coroutine(self.reader, self.layout, address)
        except model.Unreadable:
            return None
        return Who(co.env, address, co.id, co.name, co.state)

    def is_running(self, who):
        """Is it the one that runs on its thread? Two reads."""
        try:
            return (self._number(who.env, "env.running") == who.address
                    and self._number(who.address, "co.id") == who.id)
        except model.Unreadable:
            return False

    def on_processor(self, env, rsp):
        """Who stands on the processor of that thread, as a Snapshot says: in the middle of a
        switch the stack pointer decides, not `running`. O(1) but then. (On the copier of a
        shared stack: whom it copies for.) None: memory is damaged."""
        try:
            address = self._number(env, "env.running")
            co = model.read_coroutine(self.reader, self.layout, address,
                                      address == env + self.layout.offset("env.main"))
            if not co.stack.holds_rsp(rsp) or co.stack.is_out or self._may_begin(co):
                everybody = model.Snapshot(self.layout, [model.read_env(self.reader, self.layout, env, [])], [], [])
                co = everybody.owner_of_rsp(rsp) or co
        except model.Unreadable:
            return None
        return Who(env, co.address, co.id, co.name, co.state)

    def holds_rsp(self, who, rsp):
        """Is it on that one's stack?"""
        try:
            return model.read_coroutine(self.reader, self.layout, who.address).stack.holds_rsp(rsp)
        except model.Unreadable:
            return False

    def _may_begin(self, co):
        """Is it perhaps on its way to a slot where its resumer still stands?"""
        if co.context.registers["rsp"] != co.stack.hi & ~15 or not co.resumer:
            return False
        return model.read_coroutine(self.reader, self.layout, co.resumer).stack.hi == co.stack.hi

    def leaving(self, env, context):
        """At the entry of coctx_swap, whose first argument is `context`: who leaves; None: it
        is no coroutine's context (it is the copier's, which is in no list)."""
        coming = self.running(env)
        who = self.at(context - self.layout.offset("co.ctx"))
        if coming is None or who is None or who.env != env or not self.is_listed(who.address):
            return None
        return who

    def is_listed(self, address):
        """Is it a coroutine of its environment's list? (Or main, which is in none.)"""
        try:
            env = self._number(address, "co.env")
            if address == env + self.layout.offset("env.main"):
                return True
            node = address + self.layout.offset("co.in_env")
            return (self._number(self._number(node, "list.prev"), "list.next") == node
                    and self._number(self._number(node, "list.next"), "list.prev") == node)
        except model.Unreadable:
            return False
