# SPDX-License-Identifier: MIT
"""What is mapped where, in a live process: from the text of /proc/PID/maps or of
GDB's `info proc mappings`. And the notes of a core that can be made from it."""
import re
import struct
from dataclasses import dataclass

from . import corefile


@dataclass
class Mapping:
    start: int
    end: int
    permissions: str    # "rw-p"
    offset: int = 0
    path: str = ""      # "[heap]" and such too

    @property
    def flags(self):
        return sum(bit for letter, bit in (("r", corefile.PF_R), ("w", corefile.PF_W), ("x", corefile.PF_X))
                   if letter in self.permissions)

    @property
    def is_file(self):
        """Can its bytes be found in a file later?"""
        return self.path.startswith("/") and not self.path.startswith("/dev/") and not self.path.endswith(" (deleted)")

    @property
    def is_wanted(self):
        """Is it memory of the program? The kernel's own, and devices, are not to be read."""
        is_device = self.path.startswith("/dev/") and not self.path.startswith(("/dev/zero", "/dev/shm/"))
        return "r" in self.permissions and not is_device and \
            not self.path.startswith(("[vvar", "[vsyscall")) and self.end <= 1 << 63


# start-end or start end size; permissions may be missing (GDB 11 and before).
_KERNEL = re.compile(r"([0-9a-f]+)-([0-9a-f]+) ([-rwxsp]{4}) ([0-9a-f]+) \S+ \d+ *(.*)$")
_GDB = re.compile(r"\s*0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+)\s*(?:([-rwxsp]{4})(?=\s|$))?\s*(.*)$")


def parse(text):
    """[Mapping] by address."""
    found = []
    for line in text.split("\n"):
        match = _KERNEL.match(line)
        if match:
            start, end, permissions, offset, path = match.groups()
        else:
            match = _GDB.match(line)
            if not match:
                continue
            start, end, offset, permissions, path = match.groups()
        start, end = int(start, 16), int(end, 16)
        if start < end:
            found.append(Mapping(start, end, permissions or "rwxp", int(offset, 16), path.rstrip()))
    return sorted(found, key=lambda m: m.start)


def file_note(mappings):
    return corefile.nt_file([(m.start, m.end, m.offset, m.path) for m in mappings if m.is_file])


# GDB shows: number, name, what it means, value; AT_PLATFORM's has its text behind it.
_AUXV = re.compile(r"(\d+)\s+\S.*?\s(0x[0-9a-f]+|\d+)(?:\s+\".*\")?$")


def auxv_note(text):
    """NT_AUXV from what GDB's `info auxv` prints."""
    pairs = [(int(m.group(1)), int(m.group(2), 0)) for m in map(_AUXV.match, text.split("\n")) if m]
    if not pairs or pairs[-1][0] != 0:
        pairs.append((0, 0))
    return corefile.Note(b"CORE", corefile.NT_AUXV, b"".join(struct.pack("<2Q", *pair) for pair in pairs))


def psinfo_note(pid, name, arguments):
    """NT_PRPSINFO: struct elf_prpsinfo; the rest of it nobody asks for."""
    desc = bytearray(136)
    desc[1:2] = b"t"    # stopped by a tracer
    struct.pack_into("<4i", desc, 24, pid, 0, pid, pid)
    desc[40:56] = name.encode()[:15].ljust(16, b"\0")
    desc[56:136] = arguments.encode()[:79].ljust(80, b"\0")
    return corefile.Note(b"CORE", corefile.NT_PRPSINFO, bytes(desc))
