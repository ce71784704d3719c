# SPDX-License-Identifier: MIT
"""A save_buffer beside the slot: what a coroutine has left, and who is there now."""
from dataclasses import dataclass

from . import model


@dataclass
class Row:
    """Eight bytes at the same place of both."""
    address: int    # on the stack
    saved: bytes
    live: bytes     # b"" if the slot cannot be read

    @property
    def is_same(self):
        return self.saved == self.live


@dataclass
class Beside:
    """The whole of it."""
    rows: list
    n_different: int    # bytes
    occupant: object    # whose bytes are in the slot now; None: nobody's
    occupant_from: int  # its stack pointer: what lies below is left over from anybody
    is_slot_there: bool


def beside(reader, snapshot, co):
    """Of a coroutine whose stack is copied out. Raises Unreadable for the save_buffer."""
    stack = co.stack
    saved = reader.read(stack.save_buffer, stack.save_len)
    try:
        live = reader.read(stack.first, stack.save_len)
        if model.slot_is_lost(reader, stack):
            live = b""
    except model.Unreadable:
        live = b""
    first = stack.first // 8 * 8
    rows = []
    for address in range(first, stack.hi, 8):
        a, b = max(address, stack.first) - stack.first, address + 8 - stack.first
        rows.append(Row(max(address, stack.first), saved[a:b], live[a:b]))
    found = snapshot.stack_at(stack.first)
    occupant = found[0] if found and found[0].claim > 0 else None
    n_different = sum(x != y for x, y in zip(saved, live)) if live else len(saved)
    return Beside(rows, n_different, occupant, occupant.registers["rsp"] if occupant else 0, bool(live))
