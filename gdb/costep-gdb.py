# SPDX-License-Identifier: MIT
"""Load the costep commands into GDB:  (gdb) source gdb/costep-gdb.py

Prints nothing when all is well; co-help lists the commands.
"""
import os
import sys

import gdb


def _version():
    digits = gdb.VERSION.split("-")[0].split(".")
    return tuple(int(d) for d in digits[:2] if d.isdigit())


def _load():
    here = os.path.dirname(os.path.abspath(os.path.expanduser(__file__)))
    if here not in sys.path:
        sys.path.insert(0, here)
    # Loaded a second time: take the files as they are now.
    for name in [n for n in sys.modules if n == "costep" or n.startswith("costep.")]:
        del sys.modules[name]
    import costep.load
    costep.load.register()


if _version() < (12, 1):
    raise gdb.GdbError("costep: needs GDB 12.1 or newer, this is %s" % gdb.VERSION)
if sys.version_info < (3, 7):
    raise gdb.GdbError("costep: needs a GDB with Python 3.7 or newer")
_load()
