# SPDX-License-Identifier: MIT
"""A stack, word by word: which frame a word belongs to, and what it is."""
from dataclasses import dataclass, field
from typing import List


@dataclass
class Frame:
    """A function's call. Made from GDB's frames by frames.py, or by a test."""
    function: str
    pc: int
    rsp: int
    rbp: int = 0
    args: str = ""              # "n=3, tag=0x... \"bob\""; without debug information None
    file: str = ""
    line: int = 0
    module: str = ""
    is_inline: bool = False     # shares the frame of the one that follows
    is_seam: bool = False       # the entry trampoline; what follows is on another stack
    is_end: bool = False        # not the coroutine's: what its last function returns to
    variables: List = field(default_factory=list)   # (name, address, length)


@dataclass
class Word:
    address: int
    value: int
    frame: str = ""             # its function, on the first word of a frame
    bracket: str = ""           # "first", "middle", "last", "only"; "" = no frame known
    notes: List[str] = field(default_factory=list)


def annotate(words, start, frames, registers, names):
    """Words that begin at address `start` -> [Word].

    frames     innermost first; a frame reaches from its rsp up to the rsp of
               the next one, whose last word is the return address
    registers  those that may point here: {"rsp": ..., "rbp": ...}
    """
    result = [Word(start + 8 * i, value) for i, value in enumerate(words)]
    real = [f for f in frames if not f.is_inline]
    for word in result:
        _pointed_at(word, registers)
    for frame, caller in zip(real, real[1:] + [None]):
        if not frame.is_end:
            _mark_frame(result, start, frame, caller, names)
    for frame in frames:
        if not frame.is_end:
            _mark_variables(result, start, frame)
    for word in result:
        if not any(note.startswith(("return to", "saved rbp")) for note in word.notes):
            what = names.describe(word.value)
            if what:
                word.notes.append(what)
    return result


def _pointed_at(word, registers):
    here = [name for name, value in registers.items() if word.address <= value < word.address + 8]
    if here:
        word.notes.append("<- " + ", ".join(here))


def _mark_frame(words, start, frame, caller, names):
    """Bracket the words of `frame`, name its return address and saved rbp."""
    end = caller.rsp if caller else None
    if end is not None and not frame.rsp < end <= frame.rsp + (1 << 24):
        return
    first = (frame.rsp - start) // 8
    last = (end - start) // 8 - 1 if end is not None else len(words) - 1
    for i in range(max(first, 0), min(last, len(words) - 1) + 1):
        words[i].bracket = "first" if i == first else "last" if i == last and end is not None else "middle"
        if first == last:
            words[i].bracket = "only"
    if 0 <= first < len(words):
        words[first].frame = frame.function
    if end is None or not 0 <= last < len(words):
        return
    if words[last].value == caller.pc == 0:
        words[last].notes.append("return to nowhere: nobody called it")
    elif words[last].value == caller.pc:
        words[last].notes.append("return to " + ("the entry trampoline" if caller.function == "__morestack" else
                                                 names.return_address(caller.pc) or "%#x" % caller.pc))
        if last > max(first, 0) and words[last - 1].value == caller.rbp and caller.rbp:
            words[last - 1].notes.append("saved rbp of " + caller.function)


def _mark_variables(words, start, frame):
    for name, address, length in frame.variables:
        first, last = (address - start) // 8, (address + max(length, 1) - 1 - start) // 8
        if 0 <= first < len(words):
            words[first].notes.append(_variable(name, address, length, words[first]) if last == first
                                      else "%s, %d bytes" % (name, length))
            for i in range(first + 1, min(last, len(words) - 1) + 1):
                words[i].notes.append("%s+%d" % (name, 8 * i + start - address))


def _variable(name, address, length, word):
    """An int is half a word, so say what it is."""
    if length != 4:
        return name
    number = word.value >> 8 * (address - word.address) & 0xffffffff
    return "%s = %d" % (name, number - (number >> 31 << 32))
