# SPDX-License-Identifier: MIT
"""Where the fields of the higher layers' structs lie, by the debug information.

A name like struct call may be a struct of the program's, too. So a type is looked for
where the function that uses it is.
"""
import gdb

from . import waits

_FIELDS = {
    "sleeper": ("timer.is_armed", "timer.at_ns"),
    "call": ("timer.is_armed", "timer.at_ns", "n", "seat", "seat.waiter", "seat.waiter.fd", "seat.waiter.events",
             "seat.waiter.node", "seat.events"),
    "co_kept": ("timer.is_armed", "timer.at_ns", "waiter", "waiter.fd", "waiter.events", "waiter.node", "events"),
    "co_waiting": ("timer.is_armed", "timer.at_ns", "of", "gone", "is_called"),
    "event_wait": ("timer.is_armed", "timer.at_ns"),
}


class Types:
    def __init__(self):
        self._found = {}
        symbol = gdb.lookup_global_symbol("co_resume")
        if symbol is None:
            raise waits.NoTypes("the program has no debug information of the library: only that tells where "
                                "timers and descriptors are noted. symbol-file FILE takes it from a program that has it")
        kind = _lookup("struct co", symbol.symtab.static_block())
        if kind is None:
            raise waits.NoTypes("the library's debug information has no struct co")
        self.co = _places(kind, ("abandon", "waits_in"))

    @property
    def epoll(self):
        symbol = gdb.lookup_global_symbol("co_watch")
        if symbol is None:
            return None     # a program without that layer
        block, found = symbol.symtab.static_block(), {}
        for struct_name, prefix, paths in (("epoll", "", ("records", "n_records")), ("record", "record.", ("waiters",)),
                                           ("co_waiter", "co_waiter.", ("fd", "events", "fire", "node"))):
            kind = _lookup("struct " + struct_name, block)
            if kind is None:
                return None
            found.update((prefix + path, place) for path, place in _places(kind, paths).items())
        return found

    @property
    def mutex(self):
        symbol = gdb.lookup_global_symbol("co_mutex_lock")
        kind = _lookup("struct co_mutex", symbol.symtab.static_block()) if symbol is not None else None
        return _places(kind, ("holder",)) if kind is not None else None

    def of(self, struct_name, function):
        if struct_name not in self._found:
            block = gdb.block_for_pc(function)
            kind = _lookup("struct " + struct_name, block) if block else None
            self._found[struct_name] = _places(kind, _FIELDS[struct_name]) if kind else None
        return self._found[struct_name]


def _lookup(name, block):
    try:
        return gdb.lookup_type(name, block)
    except gdb.error:
        return None


def _places(kind, paths):
    """Path -> (offset, size). Behind an array, an element's offset counts from the element."""
    found = {}
    for path in paths:
        at, inner = 0, kind
        for name in path.split("."):
            if inner.code == gdb.TYPE_CODE_ARRAY:
                at, inner = 0, inner.target().strip_typedefs()
            member = inner[name]
            at, inner = at + member.bitpos // 8, member.type.strip_typedefs()
        size = inner.target().sizeof if inner.code == gdb.TYPE_CODE_ARRAY else inner.sizeof
        found[path] = (at, size)
    return found


def per_thread(file, name):
    """What a thread-local pointer of the library leads to, in the selected thread, as a
    gdb.Value; None: to nothing, or nothing tells where this thread's is."""
    try:
        pointer = gdb.parse_and_eval("'%s'::%s" % (file, name))
        return pointer.dereference() if pointer else None
    except gdb.error:
        return None
