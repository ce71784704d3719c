# SPDX-License-Identifier: MIT
"""Where the library calls functions of the user's: the loop's callback, what another
thread has posted, what was to be told of a descriptor or a time.

GDB's `step` goes over a function of the library, and over all that it calls. So the
library's calls by a pointer get breakpoints, which want those that lead out of it.
"""
import gdb

from . import frames, reader, stops, swapsteps

# A function of each file that has such calls.
_FILES = ("co_eventloop", "co_timers_expire", "co_watch", "co_remote_post")
_LONGEST = 1024     # bytes of one line's instructions


class CallbackBreak(stops.Break):
    """A call by a pointer. `fn`: where the last one led that was wanted."""

    def __init__(self, address, operand, thread, rd):
        super().__init__(address, thread)
        self.operand = operand
        self.reader = rd
        self.fn = 0

    def is_wanted(self):
        self.fn = _target(self.operand, reader.live_registers())
        return self._is_users()

    def _is_users(self):
        sal = gdb.find_pc_line(self.fn)
        place = self.reader.place(self.fn)
        return (place is not None and sal.symtab is not None and not place.is_library
                and not frames.is_libc(self.fn))


def breaks(thread):
    """The CallbackBreaks; none in a program without debug information of the library."""
    rd = reader.Reader()
    return [CallbackBreak(address, operand, thread, rd) for address, operand in sorted(_sites().items())]


def _sites():
    """address -> operand of the calls."""
    found = {}
    for name in _FILES:
        symbol = gdb.lookup_global_symbol(name)
        if symbol is not None and symbol.symtab is not None:
            found.update(_calls(symbol.symtab))
    return found


def _calls(symtab):
    """(address, operand) of those in one file. From one line's first instruction to the
    next one's: a function's block may span half of the program, if it has a part among
    those that hardly ever run; and at what is no instruction there must be no breakpoint."""
    arch = gdb.newest_frame().architecture()
    starts = sorted({entry.pc for entry in symtab.linetable()})
    for start, end in zip(starts, starts[1:]):
        if end - start > _LONGEST:
            continue
        for one in arch.disassemble(start, end - 1):
            operand = swapsteps.called(one["asm"])
            if operand and _is_of(symtab, one["addr"]):
                yield one["addr"], operand


def _is_of(symtab, pc):
    found = gdb.find_pc_line(pc).symtab
    return found is not None and found.filename == symtab.filename


def _target(operand, registers):
    at = swapsteps.address_in(operand, registers)
    if at is None:
        return registers.get(operand.lstrip("%"), 0)
    return int.from_bytes(reader.Memory().read(at, 8), "little")
