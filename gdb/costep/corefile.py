# SPDX-License-Identifier: MIT
"""Core files: the ELF format, read and written.

A core is a program header table that leads to two kinds of things: notes
(registers of each thread, names of mapped files, ...) and pieces of memory. The
format: System V gABI, chapters 4 and 5; the notes: Linux's <linux/elfcore.h>,
<sys/procfs.h>, <bits/types/siginfo_t.h>, fs/binfmt_elf.c (NT_FILE). x86-64 only.
"""
import os
import struct
from dataclasses import dataclass

NT_PRSTATUS, NT_FPREGSET, NT_PRPSINFO, NT_AUXV = 1, 2, 3, 6
NT_FILE, NT_XSTATE = 0x46494C45, 0x202
NT_COSTEP = 0x636F  # of the owner "costep": what co-core has put in, as text
PF_X, PF_W, PF_R = 1, 2, 4

_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_SHDR = struct.Struct("<IIQQQQIIQQ")
_NHDR = struct.Struct("<III")
_IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)      # 64 bits, little endian, version 1
_ET_CORE, _EM_X86_64, _PT_LOAD, _PT_NOTE, _PN_XNUM = 4, 62, 1, 4, 0xFFFF
_PAGE = 4096
_PIECE = 1 << 20

# struct elf_prstatus: at 12 the signal, at 32 the thread's number, at 112 the registers.
PRSTATUS_LEN = 336
_PR_CURSIG, _PR_PID, _PR_REG = 12, 32, 112
PR_REGISTERS = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
                "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs")


class CoreError(Exception):
    """The file is no core that this can use; the text says why."""


# --- notes ------------------------------------------------------------------------


@dataclass
class Note:
    owner: bytes
    kind: int
    desc: bytes

    @property
    def is_prstatus(self):
        return self.owner == b"CORE" and self.kind == NT_PRSTATUS and len(self.desc) == PRSTATUS_LEN

    @property
    def tid(self):
        """Of an NT_PRSTATUS."""
        return struct.unpack_from("<i", self.desc, _PR_PID)[0]


def prstatus(tid, registers, template=bytes(PRSTATUS_LEN), signal=0):
    """NT_PRSTATUS of one thread. What `registers` does not have, is as in `template`."""
    desc = bytearray(template)
    struct.pack_into("<h", desc, _PR_CURSIG, signal)
    struct.pack_into("<i", desc, _PR_PID, tid)
    struct.pack_into("<3i", desc, 0, signal, 0, 0)
    for i, name in enumerate(PR_REGISTERS):
        if name in registers:
            struct.pack_into("<Q", desc, _PR_REG + 8 * i, registers[name])
    return Note(b"CORE", NT_PRSTATUS, bytes(desc))


def fpregset(mxcsr, x87cw):
    """NT_FPREGSET (what fxsave writes, 512 bytes) with empty registers."""
    desc = bytearray(512)
    struct.pack_into("<H", desc, 0, x87cw)
    struct.pack_into("<II", desc, 24, mxcsr, 0xFFFF)
    return Note(b"CORE", NT_FPREGSET, bytes(desc))


def nt_file(mappings):
    """NT_FILE; `mappings`: (start, end, offset in the file, path)."""
    rows = b"".join(struct.pack("<3Q", start, end, offset // _PAGE) for start, end, offset, _ in mappings)
    names = b"".join(os.fsencode(path) + b"\0" for _, _, _, path in mappings)
    return Note(b"CORE", NT_FILE, struct.pack("<2Q", len(mappings), _PAGE) + rows + names)


def _padded(data):
    return data + bytes(-len(data) % 4)


def pack_notes(notes):
    parts = []
    for note in notes:
        owner = note.owner + b"\0"
        parts += [_NHDR.pack(len(owner), len(note.desc), note.kind), _padded(owner), _padded(note.desc)]
    return b"".join(parts)


def unpack_notes(data):
    """As many as are whole."""
    notes, at = [], 0
    while at + _NHDR.size <= len(data):
        owner_len, desc_len, kind = _NHDR.unpack_from(data, at)
        desc_at = at + _NHDR.size + (owner_len + 3) // 4 * 4
        if desc_at + desc_len > len(data):
            break
        owner = data[at + _NHDR.size:at + _NHDR.size + owner_len]
        notes.append(Note(owner.rstrip(b"\0"), kind, data[desc_at:desc_at + desc_len]))
        at = desc_at + (desc_len + 3) // 4 * 4
    return notes


# --- reading ------------------------------------------------------------------------


@dataclass
class Segment:
    """A piece of memory. Of `length` bytes the file has the first `stored`."""
    address: int
    length: int
    flags: int
    stored: int = 0
    offset: int = 0     # in the file

    @property
    def end(self):
        return self.address + self.length


class Core:
    """A core file that exists."""

    def __init__(self, path):
        self._file = open(path, "rb")
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._parse(path)
        except BaseException:
            self._file.close()
            raise

    def _parse(self, path):
        head = self._at(0, _EHDR.size)
        if len(head) < _EHDR.size or head[:6] != _IDENT[:6]:
            raise CoreError("%s is no 64-bit ELF file" % path)
        _, kind, machine, _, _, phoff, shoff, _, _, phsize, n, _, _, _ = _EHDR.unpack(head)
        if kind != _ET_CORE or machine != _EM_X86_64 or phsize != _PHDR.size:
            raise CoreError("%s is no core file of an x86-64 program" % path)
        if n == _PN_XNUM and shoff:
            section = self._at(shoff, _SHDR.size)
            n = _SHDR.unpack(section)[7] if len(section) == _SHDR.size else 0
        table = self._at(phoff, n * _PHDR.size)
        self.notes, self.segments = [], []
        for at in range(0, len(table) - _PHDR.size + 1, _PHDR.size):
            kind, flags, offset, address, _, stored, length, _ = _PHDR.unpack_from(table, at)
            stored = max(0, min(stored, self._size - offset))
            if kind == _PT_NOTE:
                self.notes += unpack_notes(self._at(offset, stored))
            elif kind == _PT_LOAD and length and address + length <= 1 << 64:
                self.segments.append(Segment(address, length, flags, min(stored, length), offset))
        if not any(note.is_prstatus for note in self.notes):
            raise CoreError("%s has no registers of any thread (NT_PRSTATUS)" % path)

    def _at(self, offset, length):
        if offset >= self._size:
            return b""
        self._file.seek(offset)
        return self._file.read(length)

    def pieces(self, segment):
        """Its bytes that are stored."""
        for at in range(0, segment.stored, _PIECE):
            data = self._at(segment.offset + at, min(_PIECE, segment.stored - at))
            if not data:
                return
            yield data

    def close(self):
        self._file.close()


# --- writing ------------------------------------------------------------------------


class Writer:
    """Writes a core from its beginning to its end, so the program header table
    comes last: only then it is known which memory could be read.

    patches: address -> bytes that are written there instead. Pages of zeros
    become holes in the file: most of most stacks has never been touched."""

    def __init__(self, file, notes, patches=None):
        self._file = file
        self._patches = patches or {}
        self.segments = []
        data = pack_notes(notes)
        self._notes = Segment(0, 0, 0, len(data), _EHDR.size)
        file.seek(_EHDR.size)
        file.write(data)
        self._end = _EHDR.size + len(data)
        self.n_written = self._end

    def begin(self, address, flags, length=0):
        """A new segment; `length`: of memory, if there is more of it than bytes to come."""
        self._end += (address - self._end) % _PAGE
        self.segments.append(Segment(address, length, flags, 0, self._end))

    def add(self, data):
        """The segment's next bytes."""
        segment = self.segments[-1]
        address = segment.address + segment.stored
        for at, new in self._patches.items():
            if address < at + len(new) and at < address + len(data):
                data = _patched(data, address, at, new)
        for at in range(0, len(data), _PAGE):
            page = data[at:at + _PAGE]
            if page.count(0) != len(page):
                self._file.seek(self._end + at)
                self._file.write(page)
                self.n_written += len(page)
        segment.stored += len(data)
        segment.length = max(segment.length, segment.stored)
        self._end += len(data)

    def finish(self):
        n, at = len(self.segments) + 1, self._end + -self._end % 8
        table = b"".join([_PHDR.pack(_PT_NOTE, 0, self._notes.offset, 0, 0, self._notes.stored, 0, 4)] + [
            _PHDR.pack(_PT_LOAD, s.flags, s.offset, s.address, 0, s.stored, s.length, _PAGE) for s in self.segments])
        # A count that does not fit is in the first section header's sh_info.
        is_many = n >= _PN_XNUM
        sections = _SHDR.pack(0, 0, 0, 0, 0, 0, 0, n, 0, 0) if is_many else b""
        self._file.seek(at)
        self._file.write(table + sections)
        self._file.seek(0)
        self._file.write(_EHDR.pack(_IDENT, _ET_CORE, _EM_X86_64, 1, 0, at, at + len(table) if is_many else 0, 0,
                                    _EHDR.size, _PHDR.size, min(n, _PN_XNUM), _SHDR.size if is_many else 0,
                                    int(is_many), 0))
        self.n_written += len(table) + len(sections)


def _patched(data, address, at, new):
    lo, hi = max(at, address), min(at + len(new), address + len(data))
    return data[:lo - address] + new[lo - at:hi - at] + data[hi - address:]
