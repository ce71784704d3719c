# SPDX-License-Identifier: MIT
"""Who waits until when, and for which descriptors.

A call that waits has its notes on the heap: co->waits_in leads there, and co->abandon,
the function that takes it off all lists, tells which call's they are. Those structs belong to
the higher layers' own files; where their fields lie, only the debug information says:

    types.of(name of a struct, address of a function) -> {"timer.at_ns": (offset, size), ...};
                    None. The struct is looked for where that function is
    types.co     -> the same for struct co
    types.epoll  -> for struct epoll and what hangs on it; None
"""
from dataclasses import dataclass, field
from typing import List, Optional

from . import model

# The function that co->abandon leads to -> the struct of its call, in the same file.
CALLS = {
    "leave_bed": ("sleeper", "a sleep"),
    "leave_call": ("call", "a poll"),
    "leave_read": ("co_kept", "a read"),
    "leave_wait": ("co_waiting", "a condition or a mutex"),
    "leave_waiting": ("event_wait", "an event of a handle"),
}

EVENTS = ((0x1, "IN"), (0x2, "PRI"), (0x4, "OUT"), (0x8, "ERR"), (0x10, "HUP"), (0x20, "NVAL"), (0x40, "RDNORM"),
          (0x80, "RDBAND"), (0x100, "WRNORM"), (0x200, "WRBAND"), (0x2000, "RDHUP"))
MAX_SEATS = 65536
MAX_RECORDS = 1 << 20


@dataclass
class Seat:
    """A descriptor that is waited for: a struct co_waiter."""
    at: int
    fd: int
    events: int
    told: int = 0       # what it was told since; its coroutine has not run yet
    is_waiting: bool = True     # it is still on the descriptor's list
    fire: int = 0       # the function that the loop will call


@dataclass
class Wait:
    """A call that waits."""
    coroutine: object
    kind: str
    lo: int                     # what it has on the heap: [lo, hi)
    hi: int
    at_ns: Optional[int] = None     # None: no timer is armed
    of: int = 0                 # the condition or the mutex
    is_called: bool = False     # it need not wait for that any more; it has not run yet
    holder: object = None       # of the mutex: a coroutine; None: nobody, or nobody knows
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
    struct_name, kind = CALLS.get(name, (None, name or "%#x" % abandon))
    wait = Wait(co, kind, at, at + _heap_len(reader, at))
    places = types.of(struct_name, abandon) if struct_name else None
    if places is None:
        return wait
    if _number(reader, at, places["timer.is_armed"]):
        wait.at_ns = int.from_bytes(reader.read(at + places["timer.at_ns"][0], 8), "little", signed=True)
    if "seat" in places:
        wait.seats = _seats(reader, places, at)
    if "waiter" in places:
        wait.seats = [_seat(reader, places, at, "")]
    if "of" in places:
        wait.of = _number(reader, at, places["of"])
        wait.is_called = bool(_number(reader, at, places["is_called"]))
        # Whoever is called by a condition and released, passes it on. A mutex is the called one's already.
        wait.kind = "a condition" if _number(reader, at, places["gone"]) else "a mutex"
    return wait


def name_holders(reader, snapshot, types, found, problems):
    """Who has the mutexes that are waited for."""
    if types.mutex is None:
        return
    by_address = {co.address: co for co in snapshot.all}
    for wait in found:
        if wait.kind == "a mutex":
            try:
                wait.holder = by_address.get(_number(reader, wait.of, types.mutex["holder"]))
            except model.Unreadable as error:
                problems.append("%s: the mutex: %s" % (wait.coroutine.label, error))


def circles(found):
    """Lists of coroutines, each of which waits for a mutex that the next one has; the last
    one for the first one's. Such wait for ever, but for a timeout."""
    following = {w.coroutine.id: w.holder for w in found if w.holder is not None and not w.is_called}
    by_id = {w.coroutine.id: w.coroutine for w in found}
    seen, result = set(), []
    for start in sorted(following):
        path = []
        at = by_id[start]
        while at.id in following and at.id not in seen:
            seen.add(at.id)
            path.append(at)
            at = following[at.id]
        if at in path:
            result.append(path[path.index(at):])
    return result


def _seats(reader, places, at):
    n = min(_number(reader, at, places["n"]), MAX_SEATS)
    offset, size = places["seat"]
    seats = []
    for i in range(n):
        seats.append(_seat(reader, places, at + offset + i * size, "seat."))
    return seats


def _seat(reader, places, at, prefix):
    waiter = at + places[prefix + "waiter"][0]
    node = at + places[prefix + "waiter.node"][0]
    return Seat(waiter, _number(reader, at, places[prefix + "waiter.fd"]),
                _number(reader, at, places[prefix + "waiter.events"]),
                _number(reader, at, places[prefix + "events"]),
                int.from_bytes(reader.read(node, 8), "little") != node)


def _heap_len(reader, at):
    """Bytes of what malloc has given at this address; 0: that cannot be seen. (glibc's
    note of it lies right before.)"""
    try:
        size = int.from_bytes(reader.read(at - 8, 8), "little") & ~7
    except model.Unreadable:
        return 0
    return size - 8 if 24 <= size < 1 << 26 else 0


def watched(reader, layout, types, epoll, problems):
    """Everything that is waited for by way of the struct epoll at this address, in the order
    of descriptors."""
    places = types.epoll
    n = min(_number(reader, epoll, places["n_records"]), MAX_RECORDS)
    table = _number(reader, epoll, places["records"])
    pointers = reader.read(table, 8 * n) if n else b""
    found = []
    for fd in range(n):
        record = int.from_bytes(pointers[8 * fd:8 * fd + 8], "little")
        if not record:
            continue
        what = "the waiters of descriptor %d" % fd
        for node in model.walk_list(reader, layout, record + places["record.waiters"][0], what, problems):
            at = node - places["co_waiter.node"][0]
            try:
                found.append(Seat(at, _number(reader, at, places["co_waiter.fd"]), _number(reader, at, places["co_waiter.events"]),
                                  fire=_number(reader, at, places["co_waiter.fire"])))
            except model.Unreadable as error:
                problems.append("%s: %s" % (what, error))
    return found


def give_seats(found, seats):
    """Add to each Wait those seats that lie in what it has on the heap. Returns the others."""
    known = {seat.at for wait in found for seat in wait.seats}
    others = []
    for seat in seats:
        if seat.at in known:
            continue
        owner = next((wait for wait in found if wait.lo <= seat.at < wait.hi), None)
        (owner.seats if owner else others).append(seat)
    return others


def _number(reader, address, place):
    offset, size = place
    return int.from_bytes(reader.read(address + offset, size), "little")


def events(bits):
    """In words, as poll(2) has them."""
    words = [name for bit, name in EVENTS if bits & bit]
    rest = bits & ~sum(bit for bit, _ in EVENTS)
    return "|".join(words + (["%#x" % rest] if rest else [])) or "0"
