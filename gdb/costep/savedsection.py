# SPDX-License-Identifier: MIT
"""The bytes of a save_buffer where the coroutine will have them: as a read-only section.

A file says that it has them, at their addresses on the stack; GDB is told to trust such
sections, and reads there instead of in the program, where another's bytes are.
"""
import atexit
import contextlib
import os
import struct
import tempfile

import gdb

from . import settings

_NAME = b".costep_save_buffer"

_files = set()  # that exist
_left = []      # sections that GDB still has, though nobody needs them


class Section:
    """`data` at `address`, until remove()."""

    def __init__(self, address, data):
        self.address = address
        self.path = os.path.join(tempfile.mkdtemp(prefix="costep-"), "save_buffer")
        _files.add(self.path)
        with open(self.path, "wb") as file:
            file.write(_elf(address, data))
        gdb.execute("add-symbol-file %s -o 0" % settings.quoted(self.path), to_string=True)

    def leave(self):
        """Remove it later: not while the program runs, nor while GDB walks its frames."""
        _left.append(self)

    def remove(self):
        with contextlib.suppress(gdb.error):
            gdb.execute("remove-symbol-file -a %#x" % self.address, to_string=True)
        _delete(self.path)


def _delete(path):
    _files.discard(path)
    with contextlib.suppress(OSError):
        os.unlink(path)
        os.rmdir(os.path.dirname(path))


@atexit.register
def _delete_all():
    """GDB ends, perhaps with a coroutine selected."""
    for path in list(_files):
        _delete(path)


def remove_left():
    while _left:
        _left.pop().remove()


def _elf(address, data):
    """An ELF file with one read-only section: `data` at `address`."""
    names = b"\0" + _NAME + b"\0.shstrtab\0"
    at = 64
    headers = (at + len(data) + len(names) + 7) // 8 * 8
    out = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0, 0, headers, 0, 64, 0, 0, 64, 3, 2)
    out = (out + data + names).ljust(headers, b"\0")
    out += bytes(64)
    out += struct.pack("<2I4Q2I2Q", 1, 1, 2, address, at, len(data), 0, 0, 1, 0)    # PROGBITS, ALLOC
    out += struct.pack("<2I4Q2I2Q", len(_NAME) + 2, 3, 0, 0, at + len(data), len(names), 0, 0, 1, 0)
    return out
