# SPDX-License-Identifier: MIT
"""co-check: does what must hold, hold? (src/env.h I1 to I5, src/sharestack.h I1.)

A reader is asked one question more than meaning.py asks:

    is_code(address) -> bool
"""
from dataclasses import dataclass, field
from typing import List

OK, BAD, MAYBE = "ok", "BAD", "maybe"


@dataclass
class Check:
    """One invariant, looked at everywhere."""
    name: str
    n: int = 0      # how often it was looked at
    problems: List[str] = field(default_factory=list)
    is_halfway: bool = False    # all problems are of threads in the middle of a call of the library

    @property
    def verdict(self):
        if not self.problems:
            return OK
        return MAYBE if self.is_halfway else BAD


class _Looking:
    """Collects what is found for one check."""

    def __init__(self, name, halfway):
        self.check = Check(name)
        self._halfway = halfway     # environments in the middle of a call
        self._all_halfway = True

    def expect(self, condition, env, text):
        self.check.n += 1
        if not condition:
            self.check.problems.append(text)
            self._all_halfway = self._all_halfway and env in self._halfway

    def done(self):
        self.check.is_halfway = bool(self.check.problems) and self._all_halfway
        return self.check


def run(reader, snapshot):
    halfway = {env.address for env in snapshot.envs if env.is_inside or env.note}
    found = [_lists(snapshot)]
    for name, look in _CHECKS:
        looking = _Looking(name, halfway)
        look(looking.expect, snapshot, reader)
        found.append(looking.done())
    return found


def _lists(snapshot):
    """What the walk has found already."""
    check = Check("lists lead forward and back", len(snapshot.all) + len(snapshot.envs))
    check.problems = list(snapshot.problems)
    return check


def _ids(expect, snapshot, reader):
    seen = {}
    for co in snapshot.all:
        expect(co.id not in seen, co.env, "%s at %#x and %s at %#x have the same number" % (
            co.label, co.address, seen.get(co.id, co).label, seen.get(co.id, co).address))
        seen[co.id] = co
        expect(not co.state.endswith("?"), co.env, "%s: its state is %s, which is none" % (co.label, co.state[:-1]))


def _running(expect, snapshot, reader):
    for env in snapshot.envs:
        running = [co for co in env.coroutines if co.state == "running"]
        noted = snapshot.by_address.get(env.running)
        expect(len(running) == 1, env.address, "%d are running on LWP %d%s" % (
            len(running), env.tid, ": " + ", ".join(co.label for co in running) if running else ""))
        expect(noted is not None and noted in env.coroutines, env.address,
               "env->running of LWP %d is %#x, which is no coroutine of this thread" % (env.tid, env.running))
        if noted is not None and len(running) == 1:
            expect(noted is running[0], env.address,
                   "env->running is %s, but %s is running" % (noted.label, running[0].label))


def _chain(expect, snapshot, reader):
    for env in snapshot.envs:
        co, seen = snapshot.by_address.get(env.running), []
        while co is not None and co not in seen:
            seen.append(co)
            co = snapshot.by_address.get(co.resumer)
        if not seen:
            continue
        expect(co is None, env.address, "the resumers of %s lead in a circle: %s comes again" % (
            seen[0].label, co.label if co else ""))
        expect(co is not None or seen[-1].is_main, env.address,
               "the resumers of %s end at %s, not at main" % (seen[0].label, seen[-1].label))
        on_chain = {c.address for c in seen[1:]}
        for c in env.coroutines:
            expect((c.state == "normal") == (c.address in on_chain), env.address, "%s is %s, but %s of the resumers of %s" % (
                c.label, c.state, "one" if c.address in on_chain else "none", seen[0].label))


def _links(expect, snapshot, reader):
    for co in snapshot.all:
        resumer, target = snapshot.by_address.get(co.resumer), snapshot.by_context.get(co.link)
        if co.resumer and resumer is None:
            expect(False, co.env, "%s: its resumer %#x is no coroutine" % (co.label, co.resumer))
        elif target is not None:
            expect(target is resumer, co.env, "%s: its link leads to %s, its resumer is %s" % (
                co.label, target.label, resumer.label if resumer else "nobody"))
        else:
            symbol = reader.symbol(co.link)
            name = symbol.name if symbol and not symbol.offset else ""
            hidden = resumer is not None and resumer.stack.is_out
            expect(resumer is None or hidden, co.env, "%s: its link, %#x, does not lead to its resumer %s" % (
                co.label, co.link, resumer.label if resumer else ""))
            wanted = "coctx_copied_out" if hidden else "coctx_nobody"
            expect(name in ("", wanted), co.env, "%s: its link leads to %s, not to %s" % (co.label, name, wanted))


def _bounds(expect, snapshot, reader):
    """Nobody's stack reaches into another's, nor into its guard."""
    spans = {}
    for co in snapshot.all:
        if co.stack.hi and not co.is_main:
            spans.setdefault((co.stack.lo - co.stack.guard_len, co.stack.hi), co)
            expect(co.stack.lo % 16 == 0 and co.stack.hi % 16 == 0, co.env,
                   "%s: the bounds %#x, %#x are no multiples of 16" % (co.label, co.stack.lo, co.stack.hi))
    before, end = None, 0
    for (lo, hi), co in sorted(spans.items(), key=lambda item: item[0]):
        expect(lo >= end, co.env, "the stack of %s with its guard begins at %#x, inside that of %s" % (
            co.label, lo, before.label if before else ""))
        if hi > end:
            before, end = co, hi


def _guard(expect, snapshot, reader):
    for co in snapshot.all:
        if co.stack.hi and not co.is_main:
            expect(co.stack.guard_len > 0, co.env, "%s: there is no guard below %#x" % (co.label, co.stack.lo))


def _rsp(expect, snapshot, reader):
    for co in snapshot.all:
        if not co.stack.hi or co.state == "done" and not co.cpu or co.state == "new":
            continue
        stray = any(env.address == co.env and env.is_stray for env in snapshot.envs)
        rsp = co.registers["rsp"]
        expect(co.stack.lo <= rsp <= co.stack.hi or co.cpu and stray, co.env, "%s: %s" % (co.label, _off(co.stack, rsp)))


def _off(stack, rsp):
    if stack.lo - stack.guard_len <= rsp < stack.lo:
        return "a stack overflow: rsp is %d bytes below it, in the guard" % (stack.lo - rsp)
    return "rsp is %#x, not in %#x-%#x" % (rsp, stack.lo, stack.hi)


def _save_len(expect, snapshot, reader):
    for co in snapshot.all:
        if co.stack.is_out:
            rsp = co.context.registers["rsp"]
            expect(co.stack.save_len == co.stack.hi - rsp, co.env, "%s: %d bytes are copied out, but hi - rsp is %d" % (
                co.label, co.stack.save_len, co.stack.hi - rsp))
            expect(co.stack.save_buffer, co.env, "%s: bytes are copied out, but it has no save_buffer" % co.label)
            expect(not co.cpu, co.env, "%s: it is on the processor, and copied out" % co.label)


def _occupants(expect, snapshot, reader):
    slots = {}
    for co in snapshot.all:
        if co.stack.hi and not co.is_main:
            slots.setdefault(co.stack.lo, []).append(co)
    for lo, cos in slots.items():
        there = [co for co in cos if co.claim == 3]
        expect(len(there) <= 1, cos[0].env, "%d have their bytes in the slot %#x: %s" % (
            len(there), lo, ", ".join(co.label for co in there)))
        residents = {reader.resident(co) for co in cos} - {None} if snapshot.is_shared(cos[0]) else set()
        if there and residents:
            expect(there[0].address in residents, cos[0].env, "the bytes in the slot %#x are those of %s, but it notes %s" % (
                lo, there[0].label, ", ".join(_label(snapshot, address) for address in residents)))


def _label(snapshot, address):
    co = snapshot.by_address.get(address)
    return co.label if co else "%#x" % address if address else "nobody"


def _rip(expect, snapshot, reader):
    for co in snapshot.all:
        if co.cpu or co.state == "done" or co.is_main and co.state == "running":
            continue
        rip = co.context.registers["rip"]
        expect(reader.is_code(rip), co.env, "%s: its saved rip, %#x, is not in the program's code" % (co.label, rip))


_CHECKS = (
    ("each has a number and a state", _ids),
    ("exactly one runs on each thread", _running),
    ("resumers lead to main, no circle", _chain),
    ("links lead to the resumers", _links),
    ("stacks do not overlap", _bounds),
    ("a guard lies below each stack", _guard),
    ("rsp is inside its stack", _rsp),
    ("copied out: save_len is hi - rsp", _save_len),
    ("a slot has the bytes of one only", _occupants),
    ("saved rip is in code", _rip),
)
