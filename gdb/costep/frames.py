# SPDX-License-Identifier: MIT
"""GDB's frames -> stackwords.Frame, one coroutine at a time."""
import contextlib
import itertools
import os

import gdb

from . import format, meaning, model, reader, stackwords, unwind

MAX_FRAMES = 1000   # of one coroutine


def of(rd, co):
    """The frames of coroutine `co`, innermost first, to its first function,
    and one that is_end. Addresses are those that its stack has when it runs."""
    if co.cpu:
        with reader.keep_selection(), unwind.past_main():
            _switch_to(co.cpu.number)
            return _collect(gdb.newest_frame(), co)
    if not co.has_stack:
        raise unwind.Unwound(format.no_stack(co))
    with unwind.suspended(co.context.registers, rd, _saved(co)) as first:
        return _collect(first, co, rd=rd)


def of_context(context):
    with unwind.suspended(context.registers) as first:
        return _collect(first, None, True)


def of_thread(through_seams=False):
    """The frames of the selected thread, up to a trampoline or main."""
    with reader.keep_selection(), unwind.past_main():
        return _collect(gdb.newest_frame(), None, through_seams)


def unlisted(snapshot, env, rd):
    """The link of the execution on the processor of `env`, if it is in no list: what
    it began with, and what rbx holds at its entry trampoline, is no coroutine's.
    None: it is a coroutine's (or there is no trampoline)."""
    cos = [co for co in env.coroutines if not co.is_main][:64]
    trampoline = {model.top_word(rd, co) for co in cos if co.has_begun} - {0}
    with reader.keep_selection(), unwind.past_main():
        _switch_to(env.cpu.number)
        for frame in _real(gdb.newest_frame()):
            if frame.name() == "__morestack" or frame.pc() in trampoline:
                link_at = _register(frame, "rbx")
                if any(co.link_at == link_at for co in snapshot.all):
                    return None
                try:
                    return int.from_bytes(rd.read(link_at, 8), "little")
                except model.Unreadable:
                    return None
    return None


def user_place(co, rd, walked=None):
    """The innermost function of `co` that is neither this library's nor
    libc's, as a Place; None: there is none. `walked`: see user_frame."""
    found = user_frame(co, rd, walked)
    return found[0] if found else None


def user_frame(co, rd, walked=None):
    """The same, with where it goes on: (Place, pc, rsp); None. To `walked`, a list, (pc, rsp, rbp)
    of each frame is added, up to that one; it ends empty if that one was not found by its name."""
    def told(frame, place):
        return place, frame.pc(), co.stack.to_stack(_register(frame, "rsp"))

    def note(frame):
        walked.append((frame.pc(),) + tuple(co.stack.to_stack(_register(frame, name)) for name in ("rsp", "rbp")))

    def find(frame):
        unnamed = libc = None   # a stripped program's frame; a frame of libc
        if model.stack_is_lost(rd, co):     # what GDB finds there is nobody's
            place = _place(frame, rd)
            return told(frame, place) if co.cpu and frame.name() and not place.is_library else None
        for frame in itertools.islice(_real(frame), 64):
            if _is_seam(frame, co):
                break
            place = _place(frame, rd)
            if walked is not None:
                note(frame)
            if is_libc(frame.pc()):
                libc = libc or told(frame, place)
                if unnamed:
                    break
            elif place.is_library:
                unnamed = None  # the one without a name before it was the library's too
            elif frame.name() and not unnamed:
                return told(frame, place)
            elif frame.name():
                break
            else:
                unnamed = unnamed or told(frame, place)
        if walked is not None:
            walked.clear()
        return unnamed or libc

    if co.cpu:
        with reader.keep_selection():
            _switch_to(co.cpu.number)
            return find(gdb.newest_frame())
    if not co.has_stack:
        return None
    with unwind.suspended(co.context.registers, rd, _saved(co)) as first:
        return find(first)


def _saved(co):
    return co.stack if co.stack.is_out else None


def _real(frame):
    """`frame` and its callers, without those that only the unwinder has put there."""
    waiting = []    # inlined ones, until it is known whether their function's is real
    while frame is not None:
        if unwind.is_shim(frame):
            waiting = []    # they come again
            frame = unwind.after_shim(frame)
            continue
        if frame.type() == gdb.INLINE_FRAME:
            waiting.append(frame)
        else:
            yield from waiting
            waiting = []
            yield frame
        try:
            frame = frame.older()
        except gdb.error:
            break
    yield from waiting


def _begins(made):
    """A context written by hand may begin at a function's first instruction.
    GDB takes it for a return address, and names the function before."""
    block = gdb.block_for_pc(made.pc)
    if block is not None and block.function is not None and block.start == made.pc:
        sal = gdb.find_pc_line(made.pc)
        made.function, made.args, made.variables = block.function.print_name, "", []
        made.file, made.line = sal.symtab.filename, sal.line


def is_libc(pc):
    return os.path.basename(gdb.solib_name(pc) or "").startswith(("libc.", "libc-", "libpthread", "ld-"))


def _switch_to(number):
    for thread in gdb.selected_inferior().threads():
        if thread.num == number:
            thread.switch()


def _collect(frame, co, through_seams=False, rd=None):
    """`through_seams`: go on as GDB does, where no coroutine says who is next."""
    found = []
    ends = False
    saved = _Saved(co.stack, rd) if rd and co.stack.is_out else None
    for frame in itertools.islice(_real(frame), MAX_FRAMES):
        is_seam = _is_seam(frame, co)
        if is_seam and through_seams and frame.name() == "__morestack":
            found.append(_make(frame, False, saved))
            found[-1].is_seam = True
            continue
        ends = ends or is_seam or frame.pc() == 0
        found.append(_make(frame, ends, saved))
        if len(found) == 1 and frame.level() > 0:
            _begins(found[0])
        if ends:
            break
        ends = frame.name() == "main" and frame.type() == gdb.NORMAL_FRAME
    return found


class _Saved:
    """A stack that is copied out, for what frames say of it."""

    def __init__(self, stack, rd):
        self.stack = stack
        self.overlay = model.Overlay(rd, stack)

    def value(self, value):
        """A variable's, from the save_buffer, wherever GDB thinks it is."""
        if value.address is None or value.is_optimized_out:
            return value
        at = int(value.address)
        if at == self.stack.to_buffer(at):
            return value
        return gdb.Value(self.stack.to_buffer(at)).cast(value.type.pointer()).dereference()

    def pointer(self, value):
        """A pointer into the stack, as text; None: it is not one. What it points at
        is in the save_buffer: GDB would show another's bytes."""
        kind = value.type.strip_typedefs()
        if value.is_optimized_out or kind.code not in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
            return None
        is_pointer = kind.code == gdb.TYPE_CODE_PTR
        # rbp, which shims move, may be just a register that holds a pointer.
        at = self.stack.to_stack(int(value) if is_pointer else int(value.referenced_value().address))
        if at == self.stack.to_buffer(at):
            return None
        text = "%#x" % at
        target = kind.target().strip_typedefs()
        if is_pointer and target.code == gdb.TYPE_CODE_INT and target.sizeof == 1:
            text += " " + self._string(at)
        return text

    def _string(self, at):
        try:
            data = self.overlay.read(at, min(40, self.stack.hi - at))
        except model.Unreadable:
            return "<not copied out: it was below the stack pointer>"
        text, end, _ = data.partition(b"\0")
        shown = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else "\\%03o" % b for b in text)
        return '"%s"%s' % (shown, "" if end else "...")


def _is_seam(frame, co):
    """Is it the entry trampoline, where `co` ends? Its name says so; in a
    stripped program, that nothing is on the stack and rbx leads to the link."""
    name = frame.name()
    if name in ("__morestack", "co_has_no_resumer", "co_resumer_is_copied_out"):
        return True
    if co is None or co.is_main or name == "coctx_swap" or frame.function() is not None:
        return False
    rsp = co.stack.to_stack(_register(frame, "rsp"))
    return rsp == co.stack.hi & ~15 and _register(frame, "rbx") == co.link_at


at_seam = _is_seam  # for stepper.py


def _register(frame, name):
    try:
        return int(frame.read_register(name)) & 0xffffffffffffffff
    except (gdb.error, ValueError):
        return 0


def _place(frame, rd):
    name = frame.name()
    if name is None:    # stripped
        return meaning.Place("%#x" % frame.pc())
    sal = frame.find_sal()
    if sal.symtab is None:
        return meaning.Place(name, is_library=meaning.is_library_name(name))
    return meaning.Place(name, sal.symtab.filename, sal.line,
                         meaning.is_library_name(name) or rd.is_library_file(sal.symtab))


def _make(frame, is_end, saved=None):
    sal = frame.find_sal()
    rsp, rbp = _register(frame, "rsp"), _register(frame, "rbp")
    if saved:
        rsp, rbp = saved.stack.to_stack(rsp), saved.stack.to_stack(rbp)
    made = stackwords.Frame(function=frame.name() or "??", pc=frame.pc(), rsp=rsp, rbp=rbp, args=None, is_end=is_end,
                            is_inline=frame.type() == gdb.INLINE_FRAME)
    if sal.symtab is not None:
        made.file, made.line = sal.symtab.filename, sal.line
    else:
        module = gdb.solib_name(frame.pc())
        made.module = os.path.basename(module) if module else ""
    if frame.function() is not None and not is_end:
        with unwind.without_callers(frame) if saved else contextlib.nullcontext():
            made.args = _arguments(frame, saved)
            made.variables = _variables(frame, saved)
    return made


def _symbols(frame):
    """Arguments and locals of the frame's function, innermost block first."""
    try:
        block = frame.block()
    except RuntimeError:
        return
    while block is not None:
        yield from block
        if block.function is not None:
            return
        block = block.superblock


def _arguments(frame, saved):
    texts = []
    for symbol in _symbols(frame):
        if symbol.is_argument:
            texts.append("%s=%s" % (symbol.print_name, _show(frame, symbol, saved)))
    return ", ".join(texts)


def _show(frame, symbol, saved):
    """As `print frame-arguments scalars` does."""
    try:
        value = frame.read_var(symbol)
        if saved:
            value = saved.value(value)
        if value.type.strip_typedefs().code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION, gdb.TYPE_CODE_ARRAY):
            return "..."
        own_pointer = saved.pointer(value) if saved else None
        if own_pointer:
            return own_pointer
        return value.format_string(max_elements=40, symbols=False)
    except (gdb.error, ValueError) as error:
        return "<%s>" % error


def _variables(frame, saved):
    found = []
    for symbol in _symbols(frame):
        if not (symbol.is_argument or symbol.is_variable):
            continue
        try:
            value = frame.read_var(symbol)
            if value.address is not None and not value.is_optimized_out:
                address = int(value.address)
                if saved:
                    address = saved.stack.to_stack(address)
                found.append((symbol.print_name, address, value.type.sizeof))
        except (gdb.error, ValueError):
            continue
    return found
