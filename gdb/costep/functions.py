# SPDX-License-Identifier: MIT
"""$co(ID), $co_self(), $co_reg(ID, REGISTER): values, for print and conditions."""
import gdb

from . import commands, layout, model, reader, selection, settings


def _value(co):
    try:
        return gdb.Value(co.address).cast(gdb.lookup_type("struct co").pointer())
    except gdb.error:
        raise gdb.GdbError("$co: the library has no debug information, so struct co has no type; "
                           "the coroutine is at %#x" % co.address)


def _session():
    try:
        with settings.any_text(), selection.paused():
            return commands.Session()
    except (reader.NotReady, layout.LayoutError, model.Unreadable) as error:
        raise gdb.GdbError("$co: %s" % error)


def _find(which):
    """The coroutine or context that an argument, a number or a text, means."""
    is_text = which.type.strip_typedefs().code in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_PTR)
    return _session().find(which.string() if is_text else str(int(which)))


class Co(gdb.Function):
    """$co(ID): the coroutine with that number (or name), as a struct co *.

Example: (gdb) print $co(2)->state"""

    def __init__(self):
        super().__init__("co")

    def invoke(self, which):
        try:
            found = _find(which)
        except (commands.Usage, gdb.error) as error:
            raise gdb.GdbError("$co: %s" % error)
        if not isinstance(found, model.Coroutine):
            raise gdb.GdbError("$co: that is a context, not a coroutine: print it by its name")
        return _value(found)


class CoReg(gdb.Function):
    """$co_reg(ID, "rsp"): a register that the coroutine goes on with, as a number.

Of one on a processor, the processor's. ID may be a name, or a context's, in
quotes.

Example: (gdb) x/8gx $co_reg(2, "rsp")"""

    def __init__(self):
        super().__init__("co_reg")

    def invoke(self, which, register):
        try:
            name = register.string()
            found = _find(which)
        except (commands.Usage, gdb.error) as error:
            raise gdb.GdbError("$co_reg: %s" % error)
        registers = found.registers
        if name not in registers:
            raise gdb.GdbError("$co_reg: there is no register \"%s\"; there are: %s" % (name, ", ".join(registers)))
        return gdb.Value(registers[name]).cast(gdb.lookup_type("unsigned long"))


class CoSelf(gdb.Function):
    """$co_self(): the coroutine on the selected thread's processor.

In a condition $co_is(2) is quicker than $co_self() == $co(2).

Example: (gdb) print $co_self()->name"""

    def __init__(self):
        super().__init__("co_self")

    def invoke(self):
        found = _session().snapshot.selected()
        if found is None:
            raise gdb.GdbError("$co_self: no coroutine is on this thread's processor")
        return _value(found)


def register():
    Co()
    CoReg()
    CoSelf()
