# SPDX-License-Identifier: MIT
"""Lines of text for co-tree, co-regs -diff, co-savebuf, co-check, co-timers, co-fds, co-waits."""
import textwrap

from . import format, meaning, waits


def thread_head(env, what=""):
    """The line above what is said of one thread."""
    return "%s: %s" % (format.thread_name(env), what or format.plural(len(env.coroutines) - 1, "coroutine"))


# --- co-tree ----------------------------------------------------------------------------

_DEEP = 20  # levels that are indented


def tree(env, found, where, width):
    lines = [thread_head(env)] + format.note(env, width)
    rows, heads = [], {}
    for depth, co in found.chain:
        rows.append(_tree_row(co, where, _branch(depth)))
    for title, cos in [("nobody has resumed:", found.others), ("resumed by one that main has not:", found.strays)] + [
            ("damaged: these have resumed one another in a circle:", circle) for circle in found.circles]:
        if cos:
            heads[len(rows)] = title
            rows += [_tree_row(co, where, "   ") for co in cos]
    for i, line in enumerate(format.table(("", "", "", ""), rows, flexible=(3,), width=width)[1:]):
        if i in heads:
            lines.append(heads[i])
        lines.append(line)
    return lines


def _branch(depth):
    if depth == 0:
        return ""
    if depth > _DEEP:
        return "   " * (_DEEP - 1) + "...%d `- " % depth
    return "   " * (depth - 1) + "`- "


def _tree_row(co, where, indent):
    return ("*" if co.cpu else "", indent + co.label, co.state, where(co))


# --- co-regs -diff, -last -----------------------------------------------------------------


def registers_diff(title, old, new, names, width):
    """Only those that differ. `old`, `new`: (what they are called, their values)."""
    (old_name, before), (new_name, now) = old, new
    rows = []
    order = [name for name in meaning.SAVED + meaning.NOT_SAVED if name in before and name in now]
    for name in order:
        if before[name] != now[name]:
            rows.append((name, format.value(name, before[name]), format.value(name, now[name]), distance(before[name], now[name]),
                         names.describe(now[name]) if name not in ("mxcsr", "x87cw") else ""))
    if not rows:
        return [title, "all %d registers are the same" % len(order)]
    lines = [title] + format.table(("", old_name, new_name, "by", "what it is now"), rows, flexible=(4,), width=width)
    if len(rows) < len(order):
        lines.append("(the other %d are the same)" % (len(order) - len(rows)))
    return lines


def distance(before, now):
    by = now - before
    return ("+%#x" % by if by > 0 else "-%#x" % -by) if abs(by) < 1 << 24 else ""


# --- co-savebuf -----------------------------------------------------------------------------


def savebuf(co, found, differences_only, limit, width):
    stack = co.stack
    lines = ["coroutine %s: %s copied out" % (co.label, format.plural(stack.save_len, "byte")),
             "of %#x-%#x to its save_buffer, %#x" % (stack.first, stack.hi, stack.save_buffer)]
    if width >= format.NARROW:
        lines = [" ".join(lines)]
    if found.occupant:
        who = found.occupant
        used = stack.hi - found.occupant_from
        lines.append("in the slot now: %s, %s%s" % (who.label, "on the processor, " if who.cpu else "",
                                                    format.plural(max(used, 0), "byte") + " up to the top"))
    else:
        lines.append("in the slot now: nobody's bytes, only what was left there")
    lines.append("%d of the bytes differ (marked *)" % found.n_different if found.is_slot_there else
                 "the slot itself is not in this core, or cannot be read: below, what was saved")
    rows = []
    for row in found.rows:
        rows.append(("%#x" % row.address, "-%#x" % (stack.hi - row.address), _hex(row.saved, row.saved), _text(row.saved),
                     _hex(row.live, row.saved), _text(row.live), _whose(row, found)))
    header = ("address", "from top", "save_buffer", "", "slot now", "", "whose")
    if width < format.NARROW:   # then the texts go
        rows = [r[:3] + r[4:5] + r[6:] for r in rows]
        header = header[:3] + header[4:5] + header[6:]
    header, rows = format.without(1, header, rows, width)
    table = format.table(header, rows, flexible=(), width=width, right=(1,) if "from top" in header else ())
    shown = _folded(table[1:], found.rows) if differences_only else table[1:]
    lines += [table[0]] + shown[:limit]
    return lines + (["... %d lines more, up to the top: -words N shows more" % (len(shown) - limit)]
                    if len(shown) > limit else [])


def _hex(data, other):
    if not data:
        return "cannot be read"
    return "".join("%02x%s" % (byte, "*" if i >= len(other) or byte != other[i] else " ")
                   for i, byte in enumerate(data)).rstrip(" ")


def _text(data):
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)


def _whose(row, found):
    if not found.occupant:
        return "-"
    return found.occupant.name or str(found.occupant.id) if row.address >= found.occupant_from else "left over"


def _folded(lines, rows):
    """Without the rows that are the same in both."""
    out, n_same = [], 0
    for line, row in list(zip(lines, rows)) + [("", None)]:
        if row is not None and row.is_same:
            n_same += 1
            continue
        if n_same:
            out.append("... %s the same in both" % format.plural(n_same, "word"))
        n_same = 0
        if row is not None:
            out.append(line)
    return out


# --- co-check ---------------------------------------------------------------------------------

MAX_PROBLEMS = 20   # of one check


def checks(found):
    lines = []
    for check in found:
        lines.append("%-5s  %s (%d)" % (check.verdict, check.name, check.n))
        lines += ["       " + text for text in check.problems[:MAX_PROBLEMS]]
        if len(check.problems) > MAX_PROBLEMS:
            lines.append("       ... and %d more" % (len(check.problems) - MAX_PROBLEMS))
    if any(check.is_halfway for check in found):
        lines.append("maybe: the thread is in the middle of a call of the library, and these may be halfway done")
    return lines


# --- co-timers, co-fds, co-waits --------------------------------------------------------------------------


def timers(env, found, note, now_ns, where, width):
    """`found`: Waits with a time, of this thread, in the order of time."""
    if not found:
        return [thread_head(env, "nobody waits for a time" + note)]
    first = found[0].at_ns
    rows = []
    for wait in found:
        co = wait.coroutine
        rows.append((str(co.id), co.name, co.state, seconds(wait.at_ns), "+" + milliseconds(wait.at_ns - first),
                     milliseconds(wait.at_ns - now_ns) if now_ns else "?", wait.kind, where(co)))
    header = ("id", "name", "state", "until", "after the first", "from now", "waits in", "where")
    if width < format.NARROW:   # there is no room for both
        without = 4 if now_ns else 5
        header, *rows = [row[:without] + row[without + 1:] for row in [header] + rows]
    return [thread_head(env, format.plural(len(found), "timer") + note)] + format.table(
        header, rows, flexible=(1, len(header) - 1), width=width, right=(0, 3, 4, 5)[:len(header) - 4])


def seconds(ns):
    return "%d.%09d s" % (ns // 10**9, ns % 10**9)


def milliseconds(ns):
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    return "%s%d.%03d ms" % (sign, ns // 10**6, ns // 1000 % 1000)


MAX_OF_ONE = 8      # who wait for the same of one descriptor; if more do, they are one line


def descriptors(env, found, others, note, file_of, calls, where, width):
    """`found`: Waits of this thread; `others`: seats that are no coroutine's."""
    alike = {}      # what is wanted, and told, of which descriptor -> by whom
    for co, seats in [(wait.coroutine, wait.seats) for wait in found] + [(None, others)]:
        for seat in seats:
            told = waits.events(seat.told) if seat.told else "" if seat.is_waiting else "-"
            alike.setdefault((seat.fd, waits.events(seat.events), told), []).append((co, seat))
    if not alike:
        return [thread_head(env, "nobody waits for a descriptor" + note)]
    n = len({co.id if co else None for its in alike.values() for co, _ in its})
    lines, rows = [thread_head(env, "%d wait%s for %s%s" % (
        n, "s" if n == 1 else "", format.plural(len({fd for fd, _, _ in alike}), "descriptor"), note))], []
    for (fd, wants, told), its in sorted(alike.items(), key=lambda item: item[0]):
        cos = sorted((co for co, _ in its if co), key=lambda co: co.id)
        if len(cos) > MAX_OF_ONE:
            lines += _crowd("fd %d, %s" % (fd, file_of(fd)), wants, told, cos, sorted({where(co) for co in cos}), width)
            its = [(co, seat) for co, seat in its if not co]
        for co, seat in its:
            rows.append((str(fd), wants, told) + (
                (str(co.id), co.name, co.state, file_of(fd), where(co)) if co else
                ("-", "", "", file_of(fd), calls(seat))))
    rows.sort(key=lambda row: (int(row[0]), row[3] != "-" and int(row[3])))
    header = ("fd", "wants", "told", "id", "name", "state", "file", "where")
    return lines + (format.table(header, rows, flexible=(4, 6, 7), width=width, right=(0, 3)) if rows else [])


def _crowd(what, wants, told, cos, places, width):
    """All who wait for the same of one descriptor."""
    text = "%s: %d wait for %s" % (what, len(cos), wants)
    if told:
        text += ", and were told %s" % told if told != "-" else ", and are off its list"
    text += ", in %s" % (places[0] if len(places) == 1 else "%d places" % len(places))
    return textwrap.wrap("%s: %s" % (text, format.first_few(cos, 40)), width, subsequent_indent="  ")


def waiting(env, found, circles, where, width):
    """`found`: Waits of this thread."""
    if not found:
        return [thread_head(env, "nobody waits")]
    rows = [(str(w.coroutine.id), w.coroutine.name, w.coroutine.state, _waits_for(w), where(w.coroutine))
            for w in sorted(found, key=lambda w: (w.kind, w.of, _waits_for(w), w.coroutine.id))]
    lines = [thread_head(env, "%d wait%s" % (len(rows), "s" if len(rows) == 1 else ""))]
    lines += format.table(("id", "name", "state", "waits for", "where"), rows, flexible=(1, 3, 4), width=width, right=(0,))
    for circle in circles:
        lines += textwrap.wrap("a circle: %s" % " waits for ".join(co.label for co in circle + circle[:1]), width,
                               subsequent_indent="  ")
    return lines


def _waits_for(wait):
    text = wait.kind
    if wait.of:
        text += " %#x" % wait.of
    if wait.is_called:
        return text + ", called"
    if wait.holder is not None:
        return text + ", held by %d" % wait.holder.id
    if wait.seats:
        text += ": " + ", ".join("%d %s" % (seat.fd, waits.events(seat.events)) for seat in wait.seats)
    return text


# --- layout co ------------------------------------------------------------------------------------


def window(snapshot, selected, where, width):
    """-> (lines, {line: ID}). * on the processor, > selected by co ID."""
    lines, ids = [], {}
    for env in snapshot.envs:
        lines.append(thread_head(env).replace(", selected", ""))
        if env.note:
            lines.append("  " + env.note)
        rows = [("*" if co.cpu else ">" if selected and co.address == selected.address else "", str(co.id), co.name,
                 "copied out" if co.stack.is_out else co.state, where(co)) for co in env.coroutines]
        table = format.table(("", "id", "name", "state", "where"), rows, flexible=(2, 4), width=width, right=(1,))
        for line, co in zip(table[1:], env.coroutines):
            ids[len(lines)] = co.id
            lines.append(line)
    return lines + format.problems(snapshot), ids
