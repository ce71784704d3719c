# SPDX-License-Identifier: MIT
"""The user's settings of GDB, changed for a while; and how a command wants a path."""
import contextlib
import re

import gdb


@contextlib.contextmanager
def changed(values):
    """`values`: name -> what it is until the end of the block. A setting that this GDB
    does not have is left out."""
    before = {}
    # Ctrl-C comes at any time, so nothing is changed outside of the try.
    try:
        for name, value in values.items():
            with contextlib.suppress(RuntimeError, gdb.error):
                before[name] = gdb.parameter(name)
                put(name, value)
        yield
    finally:
        for name, value in before.items():
            put(name, value)


def any_text():
    """In an ASCII locale Python gets no name or path from GDB that has other characters:
    not even of the program, or of a frame's function."""
    is_ascii = gdb.host_charset().upper() in ("ANSI_X3.4-1968", "ASCII", "US-ASCII", "646")
    return changed({"host-charset": "UTF-8"} if is_ascii else {})


def put(name, value):
    if value is None:
        value = "unlimited"
    elif isinstance(value, bool):
        value = "on" if value else "off"
    gdb.execute("set %s %s" % (name, value), to_string=True)


def quoted(path):
    """As one word of a command."""
    return re.sub(r"([\\\s'\"])", r"\\\1", path)
