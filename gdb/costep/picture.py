# SPDX-License-Identifier: MIT
"""What of a program's memory belongs to the picture of one stop: the words that coviz
asks for. Through a reader as in model.py; no GDB."""
import os
import struct

from . import model, trace

RED_ZONE = 128          # below rsp, System V ABI, AMD64, 3.2.2
STACK_MAX = 1 << 20     # bytes of one stack
TOTAL_MAX = 64 << 20    # bytes of all
ABOVE_MAIN = 256        # bytes above main's frame: its caller's


class Words:
    """Memory that was read, word by word."""

    def __init__(self, reader):
        self.reader = reader
        self.words = {}
        self.left_out = 0   # ranges that were too much

    def add(self, lo, hi):
        """[lo, hi), as far as it can be read."""
        lo, hi = lo & ~7, (hi + 7) & ~7
        if not 0 < lo < hi:
            return
        if hi - lo > STACK_MAX or 8 * len(self.words) + hi - lo > TOTAL_MAX:
            self.left_out += 1
            return
        try:
            data = self.reader.read(lo, hi - lo)
        except model.Unreadable:
            data = b"".join(struct.pack("<Q", word) for word in model.read_words(self.reader, lo, (hi - lo) // 8))
        for i, (value,) in enumerate(struct.iter_unpack("<Q", data)):
            self.words[lo + 8 * i] = value

    def add_stack(self, rsp, lo, hi):
        if hi and lo <= rsp <= hi:
            self.add(max(rsp - RED_ZONE, lo), hi)


def of_coroutines(reader, layout, env, cpu, main_hi):
    """(Words, executions, swap) of the environment of the thread that is `cpu`.
    `main_hi`: where main's stack ends for a reader; 0: unknown."""
    words = Words(reader)
    for name in ("list.prev", "list.next"):
        words.add(layout.envs + layout.offset(name), layout.envs + layout.offset(name) + 8)
    for node in model.walk_list(reader, layout, layout.envs, "co_envs", []):
        at = node - layout.offset("env.in_envs")
        words.add(at, at + layout.sizeof("env"))
    execs = []
    for co in env.coroutines:
        words.add(co.address, co.address + layout.sizeof("co"))
        at = _stack_of(reader, layout, co)
        words.add(at, at + layout.stack_len)
        hi = min(main_hi, co.stack.hi) if co.is_main and main_hi else co.stack.hi
        if co.stack.is_out:
            words.add(co.stack.save_buffer, co.stack.save_buffer + co.stack.save_len)
            words.add(co.stack.first, co.stack.hi)  # another's, to compare with
        else:
            words.add_stack(co.registers["rsp"], co.stack.lo, hi)
        kind = trace.MAIN if co.is_main else trace.COROUTINE
        lo = co.stack.lo if co.is_main else 0
        execs.append(trace.Exec(kind, co.id, co.context.address, co.address, lo, hi if co.is_main else 0,
                                co.name))
    words.add_stack(cpu.rsp, cpu.rsp - RED_ZONE, cpu.rsp + 512)
    return words, execs, _swap(env, cpu, execs)


def _stack_of(reader, layout, co):
    """Address of its struct co_stack; 0."""
    try:
        at = co.address + layout.offset("co.stack")
        return int.from_bytes(reader.read(at, 8), "little")
    except model.Unreadable:
        return 0


def _swap(env, cpu, execs):
    """In the middle of a switch, who leaves and who comes: else the one who is said to run
    would be taken for the one on the processor."""
    running = next((i for i, co in enumerate(env.coroutines) if co.address == env.running), None)
    if running is None:
        return ()
    if env.copier_link is not None:
        execs.append(trace.Exec(trace.COPIER, lo=cpu.rsp - RED_ZONE, hi=cpu.rsp + 512, name="copier"))
        return len(execs) - 1, running
    here = next((i for i, co in enumerate(env.coroutines) if co.cpu is cpu), running)
    return (here, running) if here != running else ()


def of_contexts(reader, layout, contexts, cpu, main_hi, top_of):
    """The same of a program that has only contexts: `contexts` is [(name, address)], `top_of`
    says where the stack ends that an address is in (0: unknown)."""
    words = Words(reader)
    hi = main_hi or cpu.rsp + 4096
    execs = [trace.Exec(trace.MAIN, lo=cpu.rsp - STACK_MAX, hi=hi, name="main")]
    words.add(cpu.rsp - RED_ZONE, top_of(cpu.rsp) or hi)
    for name, address in contexts:
        words.add(address, address + layout.sizeof("coctx"))
        rsp = model.read_context(reader, layout, address).registers["rsp"]
        top = top_of(rsp) if rsp else 0
        if top:
            words.add(rsp - RED_ZONE, top)
        execs.append(trace.Exec(trace.BARE, len(execs), address, 0, 0, top, name))
    return words, execs, ()


# --- files -----------------------------------------------------------------------------


def parse_maps(text):
    """Lines of /proc/PID/maps, or of GDB's `info proc mappings` -> [trace.Map]."""
    found = []
    for line in text.split("\n"):
        fields = line.split(None, 5)
        path = line[line.find("/"):].strip() if " /" in line else ""
        if not path:
            continue
        try:
            if "-" in fields[0]:
                lo, hi = (int(n, 16) for n in fields[0].split("-"))
                offset = int(fields[2], 16)
            else:
                lo, hi, offset = int(fields[0], 16), int(fields[1], 16), int(fields[3], 16)
        except (ValueError, IndexError):
            continue
        found.append(trace.Map(lo, hi, offset, path))
    ids = {}
    for one in found:
        if one.path not in ids:
            ids[one.path] = build_id(one.path)
        one.build_id = ids[one.path]
    return found


def build_id(path):
    """The note of a 64-bit ELF file; b"": none, or no such file."""
    try:
        with open(path, "rb") as f:
            head = f.read(64)
            if head[:5] != b"\x7fELF\x02":
                return b""
            at, = struct.unpack_from("<Q", head, 32)
            size, count = struct.unpack_from("<HH", head, 54)
            f.seek(at)
            headers = f.read(size * count)
            for i in range(count):
                kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", headers, i * size)
                if kind == 4 and length < os.fstat(f.fileno()).st_size:     # PT_NOTE
                    f.seek(offset)
                    found = _build_id_note(f.read(length))
                    if found:
                        return found
    except (OSError, struct.error):
        pass
    return b""


def _build_id_note(data):
    at = 0
    while at + 12 <= len(data):
        name_len, len_, kind = struct.unpack_from("<III", data, at)
        name_at = at + 12
        at = name_at + (name_len + 3) // 4 * 4
        if kind == 3 and data[name_at:name_at + 4] == b"GNU\0":
            return data[at:at + len_]
        at += (len_ + 3) // 4 * 4
    return b""
