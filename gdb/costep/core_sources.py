# SPDX-License-Identifier: MIT
"""Where the rest of a co-core comes from: a core file, or a live process.

Both have

    notes       those of the threads first
    used        (start, end) of all memory
    copy(writer, guards)     write the memory; bytes that could not be read
    is_whole    is all memory there?
"""
import bisect
import contextlib
import re
import struct

import gdb

from . import corefile, maps, reader

_PIECE = 1 << 20
_PAGE = 4096


def source():
    """Of the program that GDB looks at."""
    path = _core_path()
    return FromCore(path) if path else FromLive()


def _core_path():
    """The core that is open; None: it is a live program."""
    text = gdb.execute("info files", to_string=True)
    match = re.search(r"^Local core dump file:\n\t[`'](.*)', file type", text, re.M)
    return match.group(1) if match else None


class FromCore:
    """All of its notes and memory, as it is there."""
    is_whole = False    # GDB's generate-core-file leaves out what has guards

    def __init__(self, path):
        self._core = corefile.Core(path)
        self.notes = self._core.notes
        self.used = [(s.address, s.end) for s in self._core.segments]

    def copy(self, writer, guards):
        for segment in self._core.segments:
            writer.begin(segment.address, segment.flags, segment.length)
            for data in self._core.pieces(segment):
                writer.add(data)
        return 0

    def close(self):
        self._core.close()


class FromLive:
    """Memory and registers as GDB reads them: so its breakpoints are not in it."""
    is_whole = True

    def __init__(self):
        self._inferior = gdb.selected_inferior()
        self._proc = "/proc/%d/" % self._inferior.pid if _is_here(self._inferior) else None
        text = self._read_proc("maps") or _say("info proc mappings").encode()
        self._mappings = maps.parse(text.decode("utf-8", "surrogateescape"))
        if not self._mappings:
            raise corefile.CoreError("cannot find out what memory the program has: "
                                     "neither /proc/%d/maps nor `info proc mappings` tell" % self._inferior.pid)
        self.used = [(m.start, m.end) for m in self._mappings]
        auxv = self._read_proc("auxv")
        of_process = [self._psinfo(), corefile.Note(b"CORE", corefile.NT_AUXV, auxv) if auxv else
                      maps.auxv_note(_say("info auxv")), maps.file_note(self._mappings)]
        first, *others = _threads(self._inferior)
        self.notes = first[:1] + of_process + first[1:] + [note for notes in others for note in notes]

    def _read_proc(self, name):
        """A file of /proc/PID; b"" if there is none here."""
        try:
            with open(self._proc + name, "rb") as file:
                return file.read()
        except (OSError, TypeError):
            return b""

    def _psinfo(self):
        arguments = self._read_proc("cmdline").rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
        program = gdb.current_progspace().filename or ""
        return maps.psinfo_note(self._inferior.pid, program.rsplit("/", 1)[-1], arguments or program)

    def copy(self, writer, guards):
        """`guards`: (start, end) that cannot be read, for sure."""
        guards, n_lost = sorted(set(guards)), 0
        for mapping in self._mappings:
            if not mapping.is_wanted:
                continue
            start = mapping.start
            if mapping.is_file and ("w" not in mapping.permissions or "s" in mapping.permissions) and \
                    self._is_as_in_file(mapping):
                # The first page says which build it is; for the rest there is NT_FILE.
                head = self._get(start, _PAGE) if mapping.offset == 0 else None
                writer.begin(start, mapping.flags, mapping.end - start)
                writer.add(head or b"")
                continue
            is_open = False
            for lo, hi in _between(mapping.start, mapping.end, guards):
                is_open = False
                for at, data in self._readable(lo, hi):
                    if data is None:
                        n_lost, is_open = n_lost + _PAGE, False
                        continue
                    if not is_open:
                        writer.begin(at, mapping.flags)
                        is_open = True
                    writer.add(data)
        return n_lost

    def _is_as_in_file(self, mapping):
        try:
            with open(mapping.path, "rb") as file:
                file.seek(mapping.offset)
                for at in range(mapping.start, mapping.end, _PIECE):
                    data = self._get(at, min(_PIECE, mapping.end - at))
                    # Behind the end of the file a page is filled with zeros.
                    if data is None or file.read(len(data)).ljust(len(data), b"\0") != data:
                        return False
        except OSError:
            return False
        return True

    def _readable(self, lo, hi):
        """(address, bytes) of what can be read, (address, None) before a hole; largest pieces first."""
        waiting = [(at, min(at + _PIECE, hi)) for at in range(lo, hi, _PIECE)][::-1]
        while waiting:
            at, end = waiting.pop()
            data = self._get(at, end - at)
            if data is not None:
                yield at, data
            elif end - at <= _PAGE:
                yield at, None
            else:
                middle = at + (end - at) // 2 // _PAGE * _PAGE
                middle = middle if at < middle else at + _PAGE
                waiting += [(middle, end), (at, middle)]

    def _get(self, address, length):
        try:
            return bytes(self._inferior.read_memory(address, length))
        except gdb.error:
            return None

    def close(self):
        pass


def _between(start, end, guards):
    """The parts of start..end that are in no guard; those are sorted, and do not overlap."""
    for lo, hi in guards[max(bisect.bisect_right(guards, (start, 0)) - 1, 0):]:
        if lo >= end:
            break
        if hi <= start:
            continue
        if lo > start:
            yield start, lo
        start = hi
    if start < end:
        yield start, end


def _say(command):
    try:
        return gdb.execute(command, to_string=True)
    except gdb.error:
        return ""


def _is_here(inferior):
    """Is it a process of this machine, which /proc knows?"""
    connection = getattr(inferior, "connection", None)
    return connection is None or connection.type == "native"


# --- registers of live threads -------------------------------------------------------


def _threads(inferior):
    """The notes of each thread that is stopped, those of the selected one first."""
    with reader.keep_selection():
        chosen = gdb.selected_thread()
        found = []
        for thread in sorted(inferior.threads(), key=lambda t: t.num != chosen.num):
            if thread.is_running():
                continue
            thread.switch()
            found.append(_registers(thread.ptid[1] or thread.ptid[0]))
        return found


def _registers(tid):
    """NT_PRSTATUS, NT_FPREGSET, NT_X86_XSTATE of the selected thread."""
    frame = gdb.newest_frame()
    values = {}
    for name in corefile.PR_REGISTERS:
        with contextlib.suppress(gdb.error, ValueError):
            values[name] = int(frame.read_register(name)) & (1 << 64) - 1
    notes = [corefile.prstatus(tid, values, signal=_signal())]
    try:
        area = _fxsave(frame)
    except (gdb.error, ValueError):
        return notes
    notes.append(corefile.Note(b"CORE", corefile.NT_FPREGSET, bytes(area)))
    with contextlib.suppress(gdb.error, ValueError):
        # What xsave writes: the above, at 464 which parts there are, at 512 which are
        # in use, at 576 the upper halves of ymm.
        struct.pack_into("<Q", area, 464, 7)
        high = b"".join(_words(frame.read_register("ymm%d" % i)["v4_int64"], 2) for i in range(16))
        notes.append(corefile.Note(b"LINUX", corefile.NT_XSTATE, bytes(area) + struct.pack("<8Q", 7, *[0] * 7) + high))
    return notes


def _signal():
    """What has stopped it, unless that was the debugger itself."""
    try:
        number = int(gdb.parse_and_eval("$_siginfo.si_signo"))
    except (gdb.error, ValueError):
        return 0
    return 0 if number in (5, 19) or not 0 < number < 65 else number


def _fxsave(frame):
    """What fxsave writes (512 bytes), from the registers that GDB makes of it."""
    def number(name):
        return int(frame.read_register(name)) & 0xffffffff
    area = bytearray(512)
    tags = number("ftag")
    used = sum(1 << i for i in range(8) if tags >> 2 * i & 3 != 3)
    struct.pack_into("<HHBxH", area, 0, number("fctrl") & 0xffff, number("fstat") & 0xffff, used, number("fop") & 0x7ff)
    struct.pack_into("<IIIIII", area, 8, number("fioff"), number("fiseg") & 0xffff, number("fooff"),
                     number("foseg") & 0xffff, number("mxcsr"), 0xFFFF)
    for i in range(8):
        raw = int(frame.read_register("st%d" % i).format_string(format="x"), 16)
        area[32 + 16 * i:42 + 16 * i] = raw.to_bytes(10, "little")
    for i in range(16):
        area[160 + 16 * i:176 + 16 * i] = _words(frame.read_register("xmm%d" % i)["v2_int64"], 0)
    return area


def _words(vector, first):
    """Two of its words, as bytes."""
    return struct.pack("<2q", int(vector[first]), int(vector[first + 1]))
