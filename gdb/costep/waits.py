# SPDX-License-Identifier: MIT
"""Who waits until when, and for which descriptors.

A call that waits has its notes on the heap: co->waits_in leads there, and co->abandon,
the function that takes it off all lists, tells which call's they are. Those structs belong to
the higher layers' own files; where their fields lie, only the debug information says:

    types.of(name of a function, its address) -> {"timer.at_ns": (offset, size), ...}; None
    types.co -> the same for struct co
"""
from dataclasses import dataclass, field
from typing import List, Optional

from . import model

# The function that co->abandon leads to -> the struct of its call, in the same file.
CALLS = {
    "leave_bed": ("sleeper", "a sleep"),
    "leave_call": ("call", "a poll"),
    "leave_wait": ("co_waiting", "a condition or a mutex"),
    "leave_waiting": ("event_wait", "an event of a handle"),
}

EVENTS = ((0x1, "IN"), (0x2, "PRI"), (0x4, "OUT"), (0x8, "ERR"), (0x10, "HUP"), (0x20, "NVAL"), (0x40, "RDNORM"),
          (0x80, "RDBAND"), (0x100, "WRNORM"), (0x200, "WRBAND"), (0x2000, "RDHUP"))
MAX_SEATS = 65536


@dataclass
class Seat:
    """A descriptor that is waited for."""
    fd: int
    events: int
    told: int = 0       # what it was told since; its coroutine has not run yet
    is_waiting: bool = True     # it is still on the descriptor's list


@dataclass
class Wait:
    """A call that waits."""
    coroutine: object
    kind: str
    at_ns: Optional[int] = None     # None: no timer is armed
    seats: List[Seat] = field(default_factory=list)


class NoTypes(Exception):
    """The debug information that tells where the fields lie is missing."""


def find(reader, snapshot, types, problems):
    """Every Wait; in `problems`, a line for each that cannot be read."""
    found = []
    for co in snapshot.all:
        try:
            abandon = _number(reader, co.address, types.co["abandon"])
            waits_in = _number(reader, co.address, types.co["waits_in"])
            if abandon and waits_in:
                wait = _wait(reader, types, co, abandon, waits_in)
                if wait:
                    found.append(wait)
        except model.Unreadable as error:
            problems.append("%s: what it waits in: %s" % (co.label, error))
    return found


def _wait(reader, types, co, abandon, at):
    symbol = reader.symbol(abandon)
    name = symbol.name if symbol and not symbol.offset else ""
    if name not in CALLS:
        return Wait(co, name or "%#x" % abandon)
    struct_name, kind = CALLS[name]
    places = types.of(struct_name, abandon)
    if places is None:
        return Wait(co, kind)
    wait = Wait(co, kind)
    if _number(reader, at, places["timer.is_armed"]):
        wait.at_ns = _number(reader, at, places["timer.at_ns"])
    if "seat" in places:
        wait.seats = _seats(reader, places, at)
    return wait


def _seats(reader, places, at):
    n = min(_number(reader, at, places["n"]), MAX_SEATS)
    offset, size = places["seat"]
    seats = []
    for i in range(n):
        seat = at + offset + i * size
        node = seat + places["seat.waiter.node"][0]
        seats.append(Seat(_number(reader, seat, places["seat.waiter.fd"]),
                          _number(reader, seat, places["seat.waiter.events"]),
                          _number(reader, seat, places["seat.events"]),
                          int.from_bytes(reader.read(node, 8), "little") != node))
    return seats


def _number(reader, address, place):
    offset, size = place
    return int.from_bytes(reader.read(address + offset, size), "little", signed=size == 8)


def events(bits):
    """In words, as poll(2) has them."""
    words = [name for bit, name in EVENTS if bits & bit]
    rest = bits & ~sum(bit for bit, _ in EVENTS)
    return "|".join(words + (["%#x" % rest] if rest else [])) or "0"
