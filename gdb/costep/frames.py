# SPDX-License-Identifier: MIT
"""GDB's frames -> stackwords.Frame, one coroutine at a time."""
import os

import gdb

from . import meaning, model, reader, stackwords, unwind

MAX_FRAMES = 1000   # of one coroutine


def of(snapshot, co):
    """The frames of coroutine `co`, innermost first, to its first function,
    and one that is_end."""
    if co.cpu:
        with reader.keep_selection(), unwind.past_main():
            _switch_to(co.cpu.number)
            return _collect(gdb.newest_frame(), co)
    return of_context(co.context, co)


def of_context(context, co=None, through_seams=False):
    with unwind.suspended(context.registers) as first:
        return _collect(first, co, through_seams)


def of_thread(through_seams=False):
    """The frames of the selected thread, up to a trampoline or main."""
    with reader.keep_selection(), unwind.past_main():
        return _collect(gdb.newest_frame(), None, through_seams)


def user_place(snapshot, co, rd):
    """The innermost function of `co` that is neither this library's nor
    libc's, as a Place; None: there is none."""
    def find(frame):
        unnamed = libc = None   # a stripped program's frame; a frame of libc
        for _ in range(64):
            if frame is None or _is_seam(frame, co):
                break
            place = _place(frame, rd)
            if _is_libc(frame.pc()):
                libc = libc or place
                if unnamed:
                    break
            elif place.is_library:
                unnamed = None  # the one without a name before it was the library's too
            elif frame.name():
                return unnamed or place
            else:
                unnamed = unnamed or place
            frame = frame.older()
        return unnamed or libc

    if co.cpu:
        with reader.keep_selection():
            _switch_to(co.cpu.number)
            return find(gdb.newest_frame())
    with unwind.suspended(co.context.registers) as first:
        return find(first)


def _begins(made):
    """A context written by hand may begin at a function's first instruction.
    GDB takes it for a return address, and names the function before."""
    block = gdb.block_for_pc(made.pc)
    if block is not None and block.function is not None and block.start == made.pc:
        sal = gdb.find_pc_line(made.pc)
        made.function, made.args, made.variables = block.function.print_name, "", []
        made.file, made.line = sal.symtab.filename, sal.line


def _is_libc(pc):
    return os.path.basename(gdb.solib_name(pc) or "").startswith(("libc.", "libc-", "libpthread", "ld-"))


def _switch_to(number):
    for thread in gdb.selected_inferior().threads():
        if thread.num == number:
            thread.switch()


def _collect(frame, co, through_seams=False):
    """`through_seams`: go on as GDB does, where no coroutine says who is next."""
    found = []
    ends = False
    while frame is not None and len(found) < MAX_FRAMES:
        is_seam = _is_seam(frame, co)
        if is_seam and through_seams and frame.name() == "__morestack":
            found.append(_make(frame, False))
            found[-1].is_seam = True
            frame = frame.older()
            continue
        ends = ends or is_seam or frame.pc() == 0
        found.append(_make(frame, ends))
        if len(found) == 1 and frame.level() > 0:
            _begins(found[0])
        if ends:
            break
        ends = frame.name() == "main" and frame.type() == gdb.NORMAL_FRAME
        try:
            frame = frame.older()
        except gdb.error:
            break
    return found


def _is_seam(frame, co):
    """Is it the entry trampoline, where `co` ends? Its name says so; in a
    stripped program, that nothing is on the stack and rbx leads to the link."""
    name = frame.name()
    if name in ("__morestack", "co_has_no_resumer"):
        return True
    if co is None or co.is_main or name == "coctx_swap" or frame.function() is not None:
        return False
    rsp = _register(frame, "rsp")
    return rsp == co.stack.hi & ~15 and _register(frame, "rbx") == co.link_at


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


def _make(frame, is_end):
    sal = frame.find_sal()
    made = stackwords.Frame(function=frame.name() or "??", pc=frame.pc(), rsp=_register(frame, "rsp"),
                            rbp=_register(frame, "rbp"), args=None, is_end=is_end,
                            is_inline=frame.type() == gdb.INLINE_FRAME)
    if sal.symtab is not None:
        made.file, made.line = sal.symtab.filename, sal.line
    else:
        module = gdb.solib_name(frame.pc())
        made.module = os.path.basename(module) if module else ""
    if frame.function() is not None and not is_end:
        made.args = _arguments(frame)
        made.variables = _variables(frame)
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


def _arguments(frame):
    texts = []
    for symbol in _symbols(frame):
        if symbol.is_argument:
            texts.append("%s=%s" % (symbol.print_name, _show(frame, symbol)))
    return ", ".join(texts)


def _show(frame, symbol):
    """As `print frame-arguments scalars` does."""
    try:
        value = frame.read_var(symbol)
        if value.type.strip_typedefs().code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION, gdb.TYPE_CODE_ARRAY):
            return "..."
        return value.format_string(max_elements=40, symbols=False)
    except (gdb.error, ValueError) as error:
        return "<%s>" % error


def _variables(frame):
    found = []
    for symbol in _symbols(frame):
        if not (symbol.is_argument or symbol.is_variable):
            continue
        try:
            value = frame.read_var(symbol)
            if value.address is not None and not value.is_optimized_out:
                found.append((symbol.print_name, int(value.address), value.type.sizeof))
        except (gdb.error, ValueError):
            continue
    return found
