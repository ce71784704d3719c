# SPDX-License-Identifier: MIT
"""One instruction of a switch -> one line: what it has moved, from what to what.

What has changed could be seen by comparing; what was written with the value that was
there already, could not. So the instruction's text is read for where it writes.
"""
import re
from dataclasses import dataclass

from . import format

FROM, TO = "from", "to"     # the two arguments of coctx_swap

# Instructions that write no operand. (All others write one: the last in AT&T's order.)
_ONLY_FLAGS = ("cmp", "test", "bt")
_SPECIAL = {"ldmxcsr": "mxcsr", "fldcw": "x87cw"}
_ATT = re.compile(r"^(-?0x[0-9a-f]+)?\(%(\w+)\)$")
_INTEL = re.compile(r"\[(\w+)([+-]0x[0-9a-f]+)?\]$")
_PARTS = {"eax": "rax", "ax": "rax", "ecx": "rcx", "edx": "rdx", "ebx": "rbx", "esi": "rsi", "edi": "rdi"}

_REGISTERS = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp") + tuple("r%d" % i for i in range(8, 16))


@dataclass
class Step:
    """What one instruction did."""
    address: int
    offset: int             # from the beginning of its function
    instruction: str
    what: str = ""          # the register, "from->rbx", or "[0x...]"
    old: int = 0
    new: int = 0
    meaning: str = ""       # of the new value
    is_switch: bool = False # rsp changed hands


@dataclass
class Target:
    """Where an instruction writes: a register, or memory at `address`."""
    register: str = ""
    address: int = 0


def mnemonic(text):
    return text.split()[0] if text.split() else ""


def operands(text):
    """["0x8(%rdi)", "%rbx"], without the comment that a disassembler adds."""
    rest = text.split("#")[0].split(None, 1)
    return [o.strip() for o in re.split(r",(?![^(]*\))", rest[1])] if len(rest) > 1 else []


def target(text, registers, is_intel=False):
    """The Target of an instruction, by the registers before it; None: it writes only
    flags and rip."""
    name, found = mnemonic(text), operands(text)
    if name in _SPECIAL:
        return Target(register=_SPECIAL[name])
    if is_jump(text) or compares(text) or not found or name in ("nop", "ret", "retq"):
        return None
    if name.startswith(("push", "call")):
        return Target(address=registers["rsp"] - 8)
    written = found[0] if is_intel else found[-1]
    address = address_in(written, registers)
    if address is not None:
        return Target(address=address)
    register = written.lstrip("%")
    return Target(register=_PARTS.get(register, register))


def address_in(operand, registers):
    """The address of a memory operand of a base and a distance; None: it is another."""
    match = _ATT.search(operand)
    if match:
        distance, base = match.groups()
    else:
        match = _INTEL.search(operand)
        if not match:
            return None
        base, distance = match.groups()
    if base not in registers:
        return None
    return (registers[base] + int(distance or "0", 16)) & 0xffffffffffffffff


def called(text):
    """The operand of a call (or of a jump, the last thing a function does) by a pointer;
    None: it is something else."""
    name, found = mnemonic(text), operands(text)
    if not name.startswith(("call", "jmp")) or len(found) != 1 or "rip" in found[0]:
        return None     # by rip: a function of another library, not a callback
    by_pointer = found[0].startswith("*") or "[" in found[0] or found[0] in _REGISTERS
    return found[0].lstrip("*") if by_pointer else None


def reads_from(text, register):
    """Does it read memory that `register` points to?"""
    return re.search(r"\(%%%s\)|\[%s[]+-]" % (register, register), text) is not None


def field_at(address, contexts, fields):
    """("from->rbx", 8) of an address in one of the contexts; None. `contexts`: name -> base,
    `fields`: (register, offset, size)."""
    for name, base in contexts.items():
        for register, offset, size in fields:
            if address == base + offset:
                return "%s->%s" % (name, register), size
    return None


# --- text ----------------------------------------------------------------------------


def line(step, width):
    """Stable columns: offset, instruction, what, old -> new, and what that is. In a narrow
    terminal the old value gives way to what the new one means."""
    moved = ""
    if step.what:
        moved = "%#x (as before)" % step.new if step.old == step.new else "%#x -> %#x" % (step.old, step.new)
    head = "  %-6s %-22s %-11s " % ("+%#x" % step.offset, step.instruction, step.what)
    text = ("%s%-32s  %s" % (head, moved, step.meaning)).rstrip()
    if len(text) > width < format.NARROW and step.is_switch:
        text = head + moved     # the line below says whose stacks these are
    elif len(text) > width < format.NARROW:
        text = "%s%-2s %-14s %s" % (head, "=" if step.old == step.new else "->", "%#x" % step.new, step.meaning)
    return text if len(text) <= width else text[:max(width - 1, 0)] + "~"


def shortened(text, function):
    """`je 0x5555555564ee <coctx_swap+62>` -> `je +0x3e`; one space between words."""
    text = " ".join(text.split())
    return re.sub(r"0x[0-9a-f]+ <%s\+(\d+)>" % re.escape(function), lambda m: "+%#x" % int(m.group(1)), text)


def compares(text):
    return mnemonic(text).startswith(_ONLY_FLAGS)


def is_jump(text):
    return mnemonic(text).startswith("j")


def hands(old, new):
    """The mark under the instruction that is the switch."""
    return "--- rsp changes hands: from the stack of %s to that of %s ---" % (old, new)


def said(eflags):
    """What a comparison has said: ZF."""
    return "equal" if eflags & 0x40 else "not equal"


def copied(before, after):
    """Lines about stacks that were copied out or in meanwhile. `before`, `after`: the
    coroutines by id."""
    lines = []
    for number, co in after.items():
        old = before.get(number)
        was = old.stack.save_len if old else 0
        if co.stack.save_len and not was:
            lines.append("%d bytes of %s were copied out, to its save_buffer at %#x"
                         % (co.stack.save_len, co.label, co.stack.save_buffer))
        elif was and not co.stack.save_len and co.stack.hi:
            lines.append("%d bytes of %s were copied in, to its stack below %#x" % (was, co.label, co.stack.hi))
    return lines
