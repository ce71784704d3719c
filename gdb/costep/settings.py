# SPDX-License-Identifier: MIT
"""The user's settings of GDB, changed for a while."""
import contextlib

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


def put(name, value):
    if value is None:
        value = "unlimited"
    elif isinstance(value, bool):
        value = "on" if value else "off"
    gdb.execute("set %s %s" % (name, value), to_string=True)
