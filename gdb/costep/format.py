# SPDX-License-Identifier: MIT
"""Dataclasses -> lines of text. No GDB, no memory, no colour: plain ASCII."""
import re
import textwrap

from . import meaning

WIDTH = 120
NARROW = 100    # below that, tables leave out what one can do without


def cut(text, width):
    return text if len(text) <= width else text[:max(width - 1, 0)] + "~"


def table(header, rows, flexible=(), width=WIDTH, right=()):
    """Rows of strings -> aligned lines. When they are wider than `width`, the
    widest of the `flexible` columns give way."""
    widths = [max(len(row[i]) for row in [header] + rows) for i in range(len(header))]
    room = width - sum(widths) - 2 * (len(widths) - 1)
    while room < 0:
        widest = max(flexible, key=lambda i: widths[i], default=None)
        if widest is None or widths[widest] <= 8:
            break
        # Down to the next widest at once would be faster, but rows are short.
        widths[widest] -= 1
        room += 1
    lines = []
    for row in [header] + rows:
        cells = [cut(cell, w).rjust(w) if i in right else cut(cell, w).ljust(w)
                 for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return lines


def without(column, header, rows, width):
    """The same without that column, in a narrow terminal, if it does not fit."""
    needed = sum(max(len(row[i]) for row in [header] + rows) + 2 for i in range(len(header))) - 2
    if width >= NARROW or needed <= width:
        return header, rows
    return header[:column] + header[column + 1:], [row[:column] + row[column + 1:] for row in rows]


def size(n_bytes):
    """At most five characters."""
    for unit in ("", "K", "M", "G"):
        if n_bytes < 10000 and not unit or n_bytes < 1024:
            return "%d%s" % (n_bytes, unit)
        n_bytes = (n_bytes + 512) // 1024
    return "%dT" % n_bytes


def plural(n, word):
    return "%d %s%s" % (n, word, "" if n == 1 else "s")


# --- co-list ------------------------------------------------------------------------


def coroutine_list(snapshot, names, where, width=WIDTH, states=None):
    """`where`: address of a coroutine -> text, for those that have no blocked_at. `states`: only
    those; None: all."""
    rows, heads = [], []
    for env, cos in snapshot.of_states(states):
        heads.append((len(rows), _env_head(env, width, None if states is None else len(cos), bool(cos))))
        rows += [_list_row(snapshot, co, names, where, width < NARROW) for co in cos]
    header = ("", "id", "name", "state", "where", "by", "stack used", "resumes", "created at")
    header, rows = without(8, header, rows, width)
    lines = table(header, rows, flexible=(2, 4, 8)[:len(header) - 6], width=width, right=(1, 5, 6, 7))
    out = []
    for (at, head), (end, _) in zip(heads, heads[1:] + [(len(rows), None)]):
        out += head + ([lines[0]] + lines[1 + at:1 + end] if at < end else [])
    return out + problems(snapshot)


def groups(env, found, kind, states, width=WIDTH):
    """`found`: [(state or place, its coroutines)]."""
    head = _env_head(env, width, None if states is None else sum(len(cos) for _, cos in found))
    rows = [(str(len(cos)), name, first_few(cos, 40 if width < NARROW else 60)) for name, cos in found]
    return head + (table(("n", kind, "ids"), rows, flexible=(1,), width=width, right=(0,)) if rows else [])


def first_few(cos, width):
    """The IDs, as many as there is room for."""
    text = ""
    for i, co in enumerate(cos):
        more = (", " if text else "") + str(co.id)
        if len(text) + len(more) > width - (5 if i + 1 < len(cos) else 0):
            return text + ", ..."
        text += more
    return text


def problems(snapshot):
    return ["damaged: " + text for text in snapshot.problems]


def thread_name(env):
    if env.cpu:
        return "thread %d (LWP %d%s)" % (env.cpu.number, env.tid, ", selected" if env.cpu.is_selected else "")
    return "LWP %d, which is not among GDB's stopped threads" % env.tid


def _env_head(env, width, n_chosen=None, has_mark=False):
    """`n_chosen`: so many are in the states that were asked for."""
    if n_chosen is None:
        text = "main and %s" % plural(len(env.coroutines) - 1, "coroutine")
    else:
        text = "%d of %d, main counted" % (n_chosen, len(env.coroutines))
    return ["%s: %s%s" % (thread_name(env), text, "; * is on the processor" if has_mark else "")] + note(env, width)


def note(env, width):
    """What is to be said of the thread, if anything: below its head."""
    return textwrap.wrap(env.note, width, initial_indent="  ", subsequent_indent="  ")


def state(co):
    """Its state, and where the bytes of its stack are if they are not in place."""
    if co.stack.is_out:
        return "%s, copied out (%s)" % (co.state, plural(co.stack.save_len, "byte"))
    return co.state


def _stack_used(co, is_narrow):
    if not co.has_stack:
        return "none yet" if not co.has_begun else "?"
    if co.stack.is_out:
        return ("%d copied out" % co.stack.save_len if is_narrow else
                "copied out, %s" % plural(co.stack.save_len, "byte"))
    if co.state == "done" and not co.cpu:
        return "0/%s" % size(co.stack.hi - co.stack.lo)
    return "%s/%s" % (size(co.used), size(co.stack.hi - co.stack.lo)) if co.used is not None else "?"


def _list_row(snapshot, co, names, where, is_narrow):
    resumer = snapshot.resumer_of(co)
    return ("*" if co.cpu else "", str(co.id), co.name, co.state, where_is(co, names, where),
            str(resumer.id) if resumer else "-", _stack_used(co, is_narrow),
            "-" if co.is_main else str(co.n_resumes),
            "-" if co.is_main else names.code(co.created_at))


def where_is(co, names, where):
    if co.address in where:
        return where[co.address]
    if co.state == "done":
        return "(has returned)"
    if not co.has_begun:
        return "(not begun: %s)" % names.code(co.fn, True)
    if co.cpu or not co.blocked_at:
        return "(inside %s)" % names.code(co.fn, True) if co.fn else "?"
    return names.code(co.blocked_at)


# --- co-regs ------------------------------------------------------------------------


def registers(title, values, saved_at, names, is_live, is_new=False, width=WIDTH):
    """A register per line. `saved_at`: name -> address, {} if there is none."""
    order = [r for r in meaning.SAVED if r in values]
    if is_live:
        order += [r for r in meaning.NOT_SAVED if r in values]
    names.rsp = values.get("rsp", 0)
    rows = []
    for name in order:
        rows.append((name, value(name, values[name]), "%#x" % saved_at[name] if name in saved_at else "-",
                     meaning.role(name, is_new), _meaning(name, values[name], names, is_live)))
    header = ("", "value", "goes to" if is_live else "saved at", "role", "what it is")
    if not saved_at:
        header, rows = (header[:2] + header[3:], [row[:2] + row[3:] for row in rows])
    else:
        header, rows = without(2, header, rows, width)
    return [title] + table(header, rows, flexible=(len(header) - 1,), width=width)


def value(name, number):
    digits = {"mxcsr": 8, "x87cw": 4}.get(name, 16)
    return "0x%0*x" % (digits, number)


def _meaning(name, value, names, is_live):
    if name == "mxcsr":
        return meaning.mxcsr(value)
    if name == "x87cw":
        return meaning.x87cw(value)
    if name == "rip":
        return names.return_address(value, is_live) or names.describe(value)
    return names.describe(value)


# --- co-bt --------------------------------------------------------------------------


def frame(number, f, width=WIDTH):
    """One frame, as GDB's bt shows it but without the address; of several lines if need be."""
    text = ("#%d" % number).ljust(3) + " " + f.function
    if f.args is not None:
        text += " (%s)" % f.args
    if f.file:
        text += " at %s:%d" % (f.file, f.line)
    elif f.function == "??":
        text = "%s%#x in ??" % (text[:-2], f.pc)
    elif f.module:
        text += " from %s" % f.module
    return broken(text, width)


def broken(text, width):
    """Lines that are too long go on in the next one, at an argument or a place, as GDB's do."""
    lines = [""]
    for part in re.split(r"(?<=,) (?=\w+=)| (?=at \S+$|from \S+$)", text):
        joined = lines[-1] + " " + part if lines[-1] else part
        if lines[-1] and len(joined) > width:
            lines.append("    " + part)
        else:
            lines[-1] = joined
    return "\n".join(lines)


def seam(co, resumer):
    if resumer:
        out = "; these bytes are copied out" if resumer.stack.is_out else ""
        return "--- coroutine %s, resumed by %s%s ---" % (co.label, resumer.label, out)
    return "--- coroutine %s is %s: nobody has resumed it ---" % (co.label, co.state)


def frame_seam(co, resumer):
    """The same as the name of a frame in GDB's own bt."""
    if not resumer:
        return '---- coroutine %s, %s: nobody has resumed it ----' % (co.label, co.state)
    by = "main" if resumer.is_main else resumer.label
    out = ", whose bytes are copied out: co-bt shows them" if resumer.stack.is_out else ""
    return "---- coroutine %s, resumed by %s%s ----" % (co.label, by, out)


LOST_PLACE = "(its stack is not in this core)"


def lost_stack(co):
    return ("the stack of %s is not in this core (generate-core-file leaves such stacks out; "
            "co-core, or the kernel, writes all)" % co.label)


def copier_seam(co):
    if co:
        return "--- the copier of a shared stack; its link leads to %s ---" % co.label
    return "--- the copier of a shared stack, in the middle of its work: nobody's bytes are whole there ---"


def no_stack(co):
    return "%s has no stack %s" % (co.label, "now" if co.has_begun else "before its first run")


def context_seam(end):
    """The same where there are only contexts; `end`: the function that ends the chain."""
    if end == "co_resumer_is_copied_out":
        return "--- whoever resumed it is copied out: co-bt ID shows its frames ---"
    if end:
        return "--- it is suspended: nobody has swapped to it ---"
    return "--- here it began, at the entry trampoline; below, who swapped to it ---"


# --- co-stack -----------------------------------------------------------------------

_BRACKET = {"first": "/", "middle": "|", "last": "\\", "only": "-", "": " "}


def stack(title, words, hi, width=WIDTH):
    """`hi`: top of the stack, 0 if unknown."""
    is_narrow = width < 100     # then what it is matters more than the distance
    rows = []
    for word in words:
        name = cut(word.frame, 10) if is_narrow else word.frame
        row = ["%#x" % word.address, "0x%016x" % word.value, (_BRACKET[word.bracket] + " " + name).rstrip(),
               "; ".join(word.notes)]
        if hi and not is_narrow:
            row.insert(1, "-%#x" % (hi - word.address))
        rows.append(tuple(row))
    header = ["address", "word", "frame", "what it is"]
    if hi and not is_narrow:
        header.insert(1, "from top")
    last = len(header) - 1
    # Pictures have the high addresses on top; a debugger's dump has them below.
    return [title + "; lowest address first"] + table(tuple(header), rows, flexible=(last,), width=width, right=(1,) if last == 4 else ())


# --- co-help ------------------------------------------------------------------------


def commands(above, rows, below, width):
    """`rows`: (usage, what it does). In a narrow terminal of a usage only the name."""
    lines = textwrap.wrap(above, width) + [""]
    for usage, what in rows:
        if width >= NARROW:
            lines += textwrap.wrap("%-39s %s" % (usage, what), width, initial_indent="  ", subsequent_indent=" " * 42)
        else:
            name = re.match(r"layout co|\S+?(?=\(|\s|$)", usage).group()
            lines += textwrap.wrap("%-11s %s" % (name, what), width, initial_indent="  ", subsequent_indent=" " * 14)
    return lines + [""] + textwrap.wrap(below, width)
