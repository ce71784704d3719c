# SPDX-License-Identifier: MIT
"""Write a trace file for coviz, of one state: viz/trace/FORMAT.md in Python.

Nothing is known here of coroutines or GDB: what it gets, it writes.
"""
import struct
import zlib
from dataclasses import dataclass, field
from typing import Dict, List

VERSION = 1
MAGIC = b"\x89cot\r\n\x1a\n"
_MARK = 0x6b686321  # "!chk"
INFO, MAP, EXEC, KEYFRAME, STEPS, EVENTS, OUTPUT, END = range(1, 9)     # kinds of chunks

MAIN, COROUTINE, COPIER, BARE = range(4)    # kinds of executions
SWAP = 0                                    # a kind of event

# The order of the registers in a keyframe: enum reg of viz/cpu.h.
REGISTERS = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
             "r15", "rip", "eflags", "mxcsr", "x87cw")


@dataclass
class Map:
    """A file that the program has mapped."""
    lo: int
    hi: int
    offset: int
    path: str
    build_id: bytes = b""


@dataclass
class Exec:
    """Whoever has a stack and a context."""
    kind: int
    id: int = 0
    context: int = 0
    co: int = 0
    lo: int = 0
    hi: int = 0
    name: str = ""


@dataclass
class Trace:
    command: str
    program: str
    tid: int
    layout: bytes       # a struct co_debug_layout as it lies in memory; b"": none
    registers: Dict[str, int]
    words: Dict[int, int] = field(default_factory=dict)     # aligned address -> value
    maps: List[Map] = field(default_factory=list)
    execs: List[Exec] = field(default_factory=list)
    swap: tuple = ()    # in the middle of a switch: numbers of who leaves, and who comes


def varint(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value):
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def string(text):
    data = text.encode("utf-8", "surrogateescape").replace(b"\0", b"")
    return varint(len(data)) + data


def chunk(kind, contents, count=1):
    head = struct.pack("<IIQQII", _MARK, kind, len(contents), 0, count, zlib.crc32(contents))
    return head + struct.pack("<I", zlib.crc32(head)) + contents


def encode(trace):
    """The whole file."""
    parts = [MAGIC + struct.pack("<II", VERSION, 0), chunk(INFO, _info(trace), 0)]
    parts += [chunk(MAP, _map(one)) for one in trace.maps]
    parts.append(chunk(KEYFRAME, _keyframe(trace.registers, trace.words)))
    parts += [chunk(EXEC, _exec(number, one)) for number, one in enumerate(trace.execs)]
    if trace.swap:
        who, other = trace.swap
        parts.append(chunk(EVENTS, varint(0) + varint(SWAP) + varint(who + 1) + varint(other + 1) + zigzag(0)))
    parts.append(chunk(END, b"", 0))
    return b"".join(parts)


def _info(trace):
    table = varint(1) + trace.layout if trace.layout else varint(0)
    return string(trace.command) + string(trace.program) + string("switch") + varint(trace.tid) + table


def _map(one):
    build_id = one.build_id[:20]
    return (varint(one.lo) + varint(one.hi) + varint(one.offset) + string(one.path) + varint(len(build_id))
            + build_id)


def _exec(number, one):
    numbers = (number, 0, one.kind, one.id, one.context, one.co, one.lo, one.hi)
    return b"".join(varint(n) for n in numbers) + string(one.name[:31])


def _keyframe(registers, words):
    out = [varint(0)]
    out += [struct.pack("<Q", registers.get(name, 0)) for name in REGISTERS]
    end = 0
    for start, values in runs(words):
        out.append(varint((start - end) // 8) + varint(len(values)) + _packed(values))
        end = start + 8 * len(values)
    return b"".join(out)


def runs(words):
    """(address, values) of neighbours, by ascending address."""
    start, values = 0, []
    for address in sorted(words):
        if values and address != start + 8 * len(values):
            yield start, values
            values = []
        if not values:
            start = address
        values.append(words[address])
    if values:
        yield start, values


def _packed(values):
    """Two words share a byte that says how many bytes each has."""
    out = bytearray()
    for i in range(0, len(values), 2):
        lens = 0
        data = b""
        for j, value in enumerate(values[i:i + 2]):
            length = (value.bit_length() + 7) // 8
            lens |= length << 4 * j
            data += value.to_bytes(length, "little")
        out.append(lens)
        out += data
    return bytes(out)


def context_table(fields, size):
    """A struct co_debug_layout of a program that has only contexts. `fields`: register ->
    (offset, size)."""
    names, states, entries = 24, 7 * 12, 64     # src/debug.h
    rows = [("sizeof.coctx", (0, size))] + [("coctx." + name, place) for name, place in fields.items()]
    data = struct.pack("<16s4IQ", b"costep layout", 1, 0, len(rows), names + 8, 0) + bytes(states)
    for name, (offset, length) in rows:
        data += struct.pack("<24sII", name.encode(), offset, length)
    data += bytes((entries - len(rows)) * (names + 8))
    return data + bytes(-len(data) % 8)
