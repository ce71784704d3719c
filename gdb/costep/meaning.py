# SPDX-License-Identifier: MIT
"""What a number is: whose stack, which function, which register's role.

A reader adds to model.py's two more questions:

    symbol(address) -> Symbol or None
    place(pc) -> Place or None
"""
import bisect
from dataclasses import dataclass


@dataclass
class Symbol:
    name: str
    offset: int
    is_code: bool
    module: str = ""    # the shared library, if it is not the program itself

    def __str__(self):
        text = self.name + ("+%#x" % self.offset if self.offset else "")
        return text + (" (%s)" % self.module if self.module else "")


@dataclass
class Place:
    """A place in the source. Without debug information only the function."""
    function: str
    file: str = ""
    line: int = 0
    is_library: bool = False    # costep's own code, below what the user wrote

    @property
    def short(self):
        name = self.file.rsplit("/", 1)[-1]
        return "%s %s:%d" % (self.function, name, self.line) if name else self.function


def is_library_name(function):
    """Is it one of costep's functions? Its public names all begin like this;
    where there is debug information, reader.place knows the private ones."""
    return function.startswith(("co_", "coctx_", "__morestack"))


class Names:
    """Says what addresses are, for one snapshot."""

    def __init__(self, reader, snapshot, contexts=()):
        self.reader = reader
        self.snapshot = snapshot
        self.contexts = sorted((address, name) for name, address in contexts)
        self._cos = sorted(snapshot.all, key=lambda co: co.address)
        self._co_addresses = [co.address for co in self._cos]
        self._places = {}
        self.rsp = 0    # of the registers shown; names a stack whose bounds nobody knows
        self.own = None # whose values are shown: to it, its slot is its own stack

    def place(self, pc):
        """The place of the call that returns to `pc`."""
        if pc not in self._places:
            self._places[pc] = self.reader.place(pc - 1) if pc else None
        return self._places[pc]

    def code(self, pc, is_function=False):
        """"function file.c:34" of the call that returns to `pc`, or of the
        function that begins there; without symbols the address."""
        place = self.place(pc + is_function)
        if place:
            return place.function if is_function else place.short
        return "%#x" % pc if pc else "?"

    def describe(self, value):
        """One short phrase; "" if nothing is known."""
        if value == 0:
            return ""
        if value < 1 << 16:
            return "= %d" % value
        return (self._in_struct(value) or self._in_context(value) or self._in_stack(value)
                or self._symbol(value) or self._near(value))

    def _in_struct(self, value):
        layout = self.snapshot.layout
        i = bisect.bisect_right(self._co_addresses, value)
        if not i:
            return ""
        co = self._cos[i - 1]
        offset = value - co.address
        if offset >= layout.sizeof("co"):
            return ""
        for name in ("ctx", "link"):
            if offset == layout.offset("co." + name):
                return "coroutine %s (its coctx)" % co.label if name == "ctx" else "%s of %s" % (name, co.label)
        return "struct co of %s, +%#x" % (co.label, offset)

    def _in_context(self, value):
        size = self.snapshot.layout.sizeof("coctx")
        for address, name in self.contexts:
            if address <= value < address + size:
                return "coctx %s%s" % (name, "+%#x" % (value - address) if value > address else "")
        return ""

    def _in_stack(self, value):
        own = self.own
        if own and own.stack.hi and own.stack.lo <= value <= own.stack.hi:
            co, what = own, "stack"
        else:
            found = self.snapshot.stack_at(value)
            top = self.snapshot.owner_of_rsp(value)
            if top and value == top.stack.hi:
                found = top, "stack"
            if not found:
                return ""
            co, what = found
        whose = "stack of %s" % co.label
        if co is not own and self.snapshot.is_shared(co):
            # Whose byte it is meant to be, the value does not say.
            whose = "shared stack" + (", now of %s" % co.label if co.claim > 0 else "")
        if what == "guard":
            return "guard of %s, %#x below its stack" % (whose.replace("stack of ", "", 1), co.stack.lo - value)
        if value == co.stack.hi:
            return "top of the " + whose
        return "%s, top-%#x" % (whose, co.stack.hi - value)

    def _near(self, value):
        return "this stack, rsp+%#x" % (value - self.rsp) if self.rsp < value < self.rsp + 4096 else ""

    def _symbol(self, value):
        symbol = self.reader.symbol(value)
        return str(symbol) if symbol else ""

    def return_address(self, value, is_live=False):
        """"function+0x12, file.c:34" if `value` is an address in code, else "".
        The line is that of the call before it, unless it `is_live`, or no
        call can be before it: a context written by hand begins a function."""
        symbol = self.reader.symbol(value)
        if not symbol or not symbol.is_code:
            return ""
        place = self.place(value if symbol.offset and not is_live else value + 1)
        if place and place.file:
            return "%s, %s:%d" % (symbol, place.file.rsplit("/", 1)[-1], place.line)
        return str(symbol)


# --- registers --------------------------------------------------------------------

# Who keeps a register over a call (psABI 3.2.1), and what else it is for.
CALLEE = "callee-saved"
CALLER = "caller-saved"
_ARGUMENT = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")

SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp", "rip", "mxcsr", "x87cw")
NOT_SAVED = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")

# What coctx_make puts where, for an execution that has not begun.
NEW_ROLES = {
    "rbx": "address of the link",
    "r12": "function to call",
    "r13": "its argument",
    "rbp": "0: no frame above",
    "rsp": "top of an empty stack",
    "rip": "entry trampoline",
}


def role(register, is_new=False):
    if is_new and register in NEW_ROLES:
        return NEW_ROLES[register]
    if register == "rsp":
        return "stack pointer"
    if register == "rip":
        return "where it goes on"
    if register == "mxcsr":
        return "SSE settings"
    if register == "x87cw":
        return "x87 settings"
    if register == "rbp":
        return CALLEE + ", frame"
    if register in _ARGUMENT:
        return "%s, arg %d" % (CALLER, _ARGUMENT.index(register) + 1)
    if register == "rax":
        return CALLER + ", result"
    return CALLER if register in NOT_SAVED else CALLEE


_ROUNDING = ("to nearest", "down", "up", "to zero")
_EXCEPTIONS = ("invalid", "denormal", "divide", "overflow", "underflow", "inexact")
_PRECISION = {0: "24 bits", 1: "reserved", 2: "53 bits", 3: "64 bits"}


def _masks(bits):
    unmasked = [name for i, name in enumerate(_EXCEPTIONS) if not bits >> i & 1]
    return "traps on %s" % ", ".join(unmasked) if unmasked else "no traps"


def mxcsr(value):
    """Settings in words; the sticky flags after them."""
    words = ["rounds " + _ROUNDING[value >> 13 & 3], _masks(value >> 7)]
    if value & 1 << 15:
        words.append("flush to zero")
    if value & 1 << 6:
        words.append("denormals are zero")
    flags = [name for i, name in enumerate(_EXCEPTIONS) if value >> i & 1]
    if flags:
        words.append("happened: " + ", ".join(flags))
    return "; ".join(words)


def x87cw(value):
    return "; ".join(["rounds " + _ROUNDING[value >> 10 & 3], _masks(value),
                      "precision " + _PRECISION[value >> 8 & 3]])
