# SPDX-License-Identifier: MIT
"""Where suspended coroutines are in the user's code, without a walk for each.

Thousands wait in few places, by the same calls. A walk tells where the return addresses lie
from the stack pointer up to the user's function, and which frame pointers have led to them.
Another coroutine with the same words there is in the same place: its frames follow from these
words as the first one's did.
"""
import struct
from dataclasses import dataclass, field
from typing import List, Optional

import gdb

from . import format, frames, model, reader, unwind

MAX_WALKS = 2000    # of one command, so that it stays quick
_MOST = 512     # words from the stack pointer up to the user's frame


@dataclass
class _Path:
    """From the stack pointer of a suspended one up to the user's function."""
    place: str
    returns: List           # (which word from rsp up, the return address)
    length: int             # so many words
    frame: Optional[int] = None     # rbp - rsp, if a frame on the way ends where rbp says
    links: List = field(default_factory=list)   # (which word, it - rsp): the same, rbp saved by a callee

    def goes(self, words, rsp, rbp):
        """Does a stack with these words lead along here?"""
        return (self.length <= len(words) and (self.frame is None or self.frame == rbp - rsp)
                and all(words[i] == word for i, word in self.returns)
                and all(words[i] - rsp == by for i, by in self.links))


class Places:
    """Of one stop."""

    def __init__(self, rd):
        self._reader = rd
        self._memory = reader.Memory()
        self._paths = {}        # rip -> [_Path]
        self.n_walks = 0

    def of(self, co):
        """In words; None: that is not known. Full: nobody knows, for there were too many walks."""
        known = None if co.cpu else self._known(co)
        if known is not None:
            return known.place
        if self.n_walks == MAX_WALKS:
            raise Full()
        self.n_walks += 1
        walked = []
        try:
            place = frames.user_place(co, self._reader, walked)
        except (gdb.error, unwind.Unwound):
            return None
        if place is None:
            return format.LOST_PLACE if model.stack_is_lost(self._reader, co) else None
        if walked and not co.cpu:
            self._learn(co, place.short, walked)
        return place.short

    def _known(self, co):
        registers = co.context.registers
        paths = self._paths.get(registers["rip"])
        words = self._words(co, max(path.length for path in paths)) if paths else ()
        return next((path for path in paths or () if path.goes(words, registers["rsp"], registers["rbp"])), None)

    def _words(self, co, n):
        """So many from its stack pointer up, or fewer."""
        rsp = co.context.registers["rsp"]
        n = min(n, (co.stack.hi - rsp) // 8)
        if rsp % 8 or n <= 0:
            return ()
        try:
            return struct.unpack("<%dQ" % n, model.Overlay(self._memory, co.stack).read(rsp, 8 * n))
        except model.Unreadable:
            return ()

    def _learn(self, co, place, walked):
        """`walked`: (pc, rsp, rbp) of each frame up to the user's."""
        rsp, rbp, rip = (co.context.registers[name] for name in ("rsp", "rbp", "rip"))
        steps = [walked[0]] + [now for before, now in zip(walked, walked[1:]) if now[1] != before[1]]    # not inlined
        returns = [((at - 8 - rsp) // 8, pc) for pc, at, _ in steps[1:]]
        if not returns or not 0 <= returns[-1][0] < _MOST:
            return
        path = _Path(place, returns, returns[-1][0] + 1)
        words = self._words(co, path.length)
        if not path.goes(words, rsp, rbp):
            return      # not laid out as we think
        for (_, at, frame), (_, end, _) in zip(steps, steps[1:]):
            i = (at - 16 - rsp) // 8
            if end != frame + 16:
                continue
            if frame == rbp:
                path.frame = rbp - rsp
            elif i >= 0 and words[i] == frame:
                path.links.append((i, frame - rsp))
            else:
                return
        self._paths.setdefault(rip, []).append(path)


class Full(Exception):
    """There were as many walks as one command may make."""
