# SPDX-License-Identifier: MIT
"""What co-core puts into a core beside what is in memory anyway: coroutines as threads.

Each suspended coroutine gets a thread, with the registers that are saved in its
context. What is copied out of a shared stack, gets a place of its own: a copy of
its save_buffer at a free address, in which words that point into the stack are
moved along. Whether a word is a pointer, nobody knows: one that has such a value
is taken for one. And whoever was resumed by one that is copied out has a link to
nowhere, so that a backtrace ends there; in the core it leads to a copy of the
resumer's context with the moved stack pointer.
"""
import array
import bisect
import struct
from dataclasses import dataclass, field
from typing import Dict, List, Optional

from . import corefile, format, meaning, model

# A kernel gives no thread such a number (PID_MAX_LIMIT is 4194304), and the ID
# can be read in it.
FIRST_TID = 10000000
# Kernels map from the top down, programs lie at 0x55... and the heap behind them.
_FREE_FROM = 0x1C0000000000
_PAGE = 4096
# In registers that a switch does not keep. A core cannot say "unknown", and GDB, told
# by the compiler that a variable is in one, shows what is there: 0 could be true.
UNKNOWN = 0xBAD0BAD0BAD0BAD0
_GAP = 1 << 16


def is_made_up(tid):
    """Is it the number of a thread that co-core has made?"""
    return tid >= FIRST_TID


@dataclass
class Moved:
    """A copied-out stack at its new place."""
    stack: model.Stack
    address: int        # where the bytes of stack.first are
    data: bytes = b""

    def __call__(self, value):
        """`value`, moved if it points into what is copied out."""
        inside = self.stack.first <= value <= self.stack.hi
        return value - self.stack.first + self.address if inside else value


@dataclass
class Thread:
    """A coroutine, and the thread that it is in the core."""
    co: model.Coroutine
    tid: int = 0            # 0: none
    note: str = ""          # where its stack is, or why it has no thread
    moved: Optional[Moved] = None


@dataclass
class Plan:
    """What to add to a core, and what to write instead of what is there."""
    threads: List[Thread] = field(default_factory=list)
    notes: List[corefile.Note] = field(default_factory=list)
    segments: List = field(default_factory=list)        # (address, bytes)
    patches: Dict[int, bytes] = field(default_factory=dict)
    n_moved_words: int = 0

    def table(self):
        """Lines: who is which thread."""
        return [describe(thread) for thread in self.threads]


def describe(thread):
    return "LWP %-8s  %s: %s" % (thread.tid or "-", thread.co.label, thread.note)


class Free:
    """Addresses where nothing is."""

    def __init__(self, used):
        """`used`: (start, end) of all memory."""
        self._used = sorted(used)
        self._at = _FREE_FROM

    def take(self, length, like=0):
        """The next `length` free bytes, at an address that lies in its page as `like` does."""
        start = self._at + like % _PAGE
        for lo, hi in self._used[max(bisect.bisect_right(self._used, (start, 0)) - 1, 0):]:
            if lo >= start + length + _GAP:
                break
            if hi > start:
                start = hi + -hi % _PAGE + _GAP + like % _PAGE
        self._at = start + length + -(start + length) % _PAGE + _GAP
        return start


def make(snapshot, reader, used, templates, is_whole=False):
    """The Plan. `used`: (start, end) of all memory; `templates`: NT_PRSTATUS of the
    threads that there are, by tid. For what is in no context (fs_base). `is_whole`:
    no stack can be missing."""
    plan, free, taken, moved = Plan(), Free(used), set(), {}
    for env in snapshot.envs:
        for co in env.coroutines:
            thread = Thread(co)
            plan.threads.append(thread)
            if co.cpu:
                thread.tid, thread.note = co.cpu.tid, "on the processor"
                _note_lost(reader, thread, is_whole)
            elif co.state == "done":
                thread.note = "done, it has no frames"
            else:
                thread.tid = _number(co.id, taken)
                thread.moved = moved[co.address] = _move(plan, reader, free, thread, is_whole)
                _add_thread(plan, thread, templates.get(env.tid) or next(iter(templates.values()), None))
    _lead_links_on(plan, snapshot, free, moved)
    text = "\n".join(["costep co-core 1"] + plan.table() + [""])
    plan.notes.append(corefile.Note(b"costep", corefile.NT_COSTEP, text.encode("ascii", "replace")))
    return plan


def _number(co_id, taken):
    tid = FIRST_TID + co_id if FIRST_TID + co_id < 1 << 31 else FIRST_TID
    while tid in taken:     # IDs are unique, but this memory may be damaged
        tid += 1
    taken.add(tid)
    return tid


def _move(plan, reader, free, thread, is_whole):
    """Give what is copied out a place. None: its bytes are on its stack, or lost."""
    co, stack = thread.co, thread.co.stack
    thread.note = format.state(co)
    if not stack.is_out:
        _note_lost(reader, thread, is_whole)
        return None
    try:
        data = reader.read(stack.save_buffer, stack.save_len)
    except model.Unreadable as error:
        thread.note += "; but its save_buffer: %s" % error
        return None
    # A pointer to one past its end belongs to it, too.
    moved = Moved(stack, free.take(stack.save_len + 16, stack.first))
    moved.data, n = _relocate(data, moved)
    plan.segments.append((moved.address, moved.data + bytes(16)))
    plan.n_moved_words += n
    thread.note += ", at %#x" % moved.address
    return moved


def _note_lost(reader, thread, is_whole):
    if not is_whole and model.stack_is_lost(reader, thread.co):
        thread.note += "; its stack is in no memory that can be read"


def _relocate(data, moved):
    """(`data` with its words moved, how many have been)."""
    skip = -moved.stack.first % 8
    words = array.array("Q")
    words.frombytes(data[skip:skip + (len(data) - skip) // 8 * 8])
    n = 0
    for i, word in enumerate(words):
        new = moved(word)
        if new != word:
            words[i] = new
            n += 1
    done = data[:skip] + words.tobytes()
    return done + data[len(done):], n


def _add_thread(plan, thread, template):
    registers = {name: value for name, value in thread.co.context.registers.items()}
    if thread.moved:
        registers = {name: thread.moved(value) for name, value in registers.items()}
    blank = dict.fromkeys(meaning.NOT_SAVED, UNKNOWN)
    blank["orig_rax"] = (1 << 64) - 1   # it is in no system call
    plan.notes.append(corefile.prstatus(thread.tid, {**blank, **registers},
                                        template.desc if template else bytes(corefile.PRSTATUS_LEN)))
    plan.notes.append(corefile.fpregset(registers["mxcsr"], registers["x87cw"]))


def _lead_links_on(plan, snapshot, free, moved):
    """The links that are hidden because the resumer is copied out."""
    contexts = {}
    for co in snapshot.all:
        resumer = snapshot.by_address.get(co.resumer)
        place = moved.get(co.resumer)
        if not place or co.link in snapshot.by_context or (co.state == "done" and not co.cpu):
            continue
        if resumer.address not in contexts:
            data = context_bytes(snapshot.layout, resumer.context, place)
            contexts[resumer.address] = free.take(len(data))
            plan.segments.append((contexts[resumer.address], data))
        plan.patches[co.link_at] = struct.pack("<Q", contexts[resumer.address])


def context_bytes(layout, context, place):
    """A struct coctx with the registers of `context`, moved to `place`."""
    data = bytearray(layout.sizeof("coctx"))
    for name, offset, size in layout.context_fields:
        data[offset:offset + size] = place(context.registers[name]).to_bytes(size, "little")
    return bytes(data)
