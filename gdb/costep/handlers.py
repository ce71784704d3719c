# SPDX-License-Identifier: MIT
"""Handlers of GDB's events, and what to undo when the package is loaded again.

The package may be loaded twice: by the program itself, and by hand. Python's modules
are new then; GDB still has the handlers of the old ones.
"""
import gdb


def _kept():
    """What outlives the modules."""
    if not hasattr(gdb, "costep_kept"):
        gdb.costep_kept = {"handlers": [], "undo": []}
    return gdb.costep_kept


def forget_old():
    """Called when the package is loaded, before anything registers."""
    kept = _kept()
    for event, handler in kept["handlers"]:
        getattr(gdb.events, event).disconnect(handler)
    for undo in kept["undo"]:
        undo()
    kept["handlers"], kept["undo"] = [], []


def connect(event, handler):
    getattr(gdb.events, event).connect(handler)
    _kept()["handlers"].append((event, handler))


def on_reload(undo):
    _kept()["undo"].append(undo)
