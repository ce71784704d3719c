# SPDX-License-Identifier: MIT
"""The reader that asks GDB: memory, threads, symbols. Only reads.

One is made for each command, so nothing it remembers can be out of date.
"""
import bisect
import contextlib
import os
import re

import gdb

from . import cothreads, layout, meaning, model

_CHUNK = 64 * 1024
_PAGE = 4096
_MOST = 1 << 28
_REGISTERS = {name: name for name in meaning.SAVED + meaning.NOT_SAVED}
_REGISTERS["x87cw"] = "fctrl"   # GDB's name for it


class NotReady(Exception):
    """There is nothing to look at yet; the text says what to do."""


class Reader:
    def __init__(self):
        self._inferior = gdb.selected_inferior()
        self._chunks = {}
        self._symbols = {}
        self._library_dirs = None
        self._library_code = {}
        self._code = None

    # --- memory

    def read(self, address, length):
        """Through chunks: a read from GDB costs much the same for 100 bytes as for
        64 KiB. Where a chunk is not whole (a guard is in it), a page: of a struct co that
        lies above its stack, the next thing that is asked for is on the same one."""
        data = self._from(address, length, _CHUNK) or self._from(address, length, _PAGE)
        if data is None:
            data = self._get(address, length)
        if data is None:
            raise model.Unreadable(address, length)
        return data

    def _from(self, address, length, step):
        base = address // step * step
        end = address + length
        if end <= base + step:
            chunk = self._chunk(base, step)
            return None if chunk is None else chunk[address - base:end - base]
        out = b""
        while base < end:
            chunk = self._chunk(base, step)
            if chunk is None:
                return None
            out += chunk[max(address - base, 0):min(end - base, step)]
            base += step
        return out

    def _chunk(self, base, step):
        key = (base, step)
        if key not in self._chunks:
            self._chunks[key] = self._get(base, step)
        return self._chunks[key]

    def _get(self, address, length):
        # GDB dies if it cannot get memory for so much; a damaged length may ask for it.
        if not 0 < length <= _MOST or address < 0 or address + length > 1 << 64:
            return None
        try:
            return bytes(self._inferior.read_memory(address, length))
        except (gdb.error, OverflowError):  # gdb.MemoryError is one of them
            return None

    # --- threads

    def cpus(self):
        with keep_selection():
            chosen = selected_thread()
            found = []
            for thread in self._inferior.threads():
                tid = thread.ptid[1] or thread.ptid[0]
                # A coroutine that co-core has made a thread of is on no processor.
                if thread.is_running() and not _in_condition(thread) or cothreads.is_made_up(tid):
                    continue
                thread.switch()
                found.append(model.Cpu(thread.num, tid, live_registers(),
                                       chosen is not None and thread.num == chosen.num))
            if found and not any(cpu.is_selected for cpu in found):
                found[0].is_selected = True     # in its place
            return sorted(found, key=lambda cpu: not cpu.is_selected)

    # --- symbols

    def symbol(self, address):
        if address not in self._symbols:
            self._symbols[address] = self._find_symbol(address)
        return self._symbols[address]

    def _find_symbol(self, address):
        try:
            text = gdb.execute("info symbol %#x" % address, to_string=True)
        except (gdb.error, OverflowError):
            return None
        # "name + 12 in section .text of /lib/libc.so.6"
        match = re.match(r"(\S.*?)(?: \+ (\d+))? in section (\S+)(?: of (.+))?$", text.split("\n")[0])
        if not match:
            return None
        name, offset, section, module = match.groups()
        return meaning.Symbol(name, int(offset or 0), section.startswith((".text", ".plt", ".init", ".fini")),
                              os.path.basename(module) if module and module != self._program() else "")

    def _program(self):
        return gdb.current_progspace().filename

    def place(self, pc):
        try:
            block = gdb.block_for_pc(pc)
            sal = gdb.find_pc_line(pc)
        except (gdb.error, RuntimeError, OverflowError):
            block = sal = None
        while block is not None and block.function is None:
            block = block.superblock
        symbol = None if block else self.symbol(pc)
        if block is None and (symbol is None or not symbol.is_code):
            return None
        name = block.function.print_name if block else symbol.name
        if sal is None or sal.symtab is None:
            return meaning.Place(name, is_library=meaning.is_library_name(name))
        return meaning.Place(name, sal.symtab.filename, sal.line,
                             meaning.is_library_name(name) or self.is_library_file(sal.symtab))

    def is_code(self, address):
        """Does it lie in a section with code, of the program or of a library?"""
        if self._code is None:
            sections = gdb.execute("info files", to_string=True)
            self._code = sorted((int(lo, 16), int(hi, 16)) for lo, hi, name in re.findall(
                r"(0x[0-9a-f]+) - (0x[0-9a-f]+) is (\.text|\.plt\S*|\.init|\.fini)\b", sections))
        if not self._code:      # of a child that GDB has followed it lists none
            return self.symbol(address) is not None
        i = bisect.bisect_right(self._code, (address, 1 << 64))
        return i > 0 and address < self._code[i - 1][1]

    def resident(self, co):
        """The address of the struct co that the slot of `co` notes as its resident;
        None: its stack is not shared, or no debug information tells."""
        symbol = gdb.lookup_global_symbol("co_alloc_sharestack")
        try:
            kind = gdb.lookup_type("struct member", symbol.symtab.static_block()).pointer()
            stack = gdb.Value(co.stack_at).cast(gdb.lookup_type("unsigned long")).cast(kind)
            if int(stack["stack"]["ops"]["enter"]) == 0:
                return None     # a private one
            resident = stack["slot"]["resident"]
            return int(resident["exec"]) if resident else 0
        except (gdb.error, AttributeError):
            return None

    def is_library_file(self, symtab):
        """Is it in a directory that the library's own functions come from?"""
        return os.path.dirname(symtab.fullname()) in self.library_dirs()

    def library_dirs(self):
        if self._library_dirs is None:
            symbols = [gdb.lookup_global_symbol(name) for name in ("co_resume", "coctx_make")]
            self._library_dirs = {os.path.dirname(s.symtab.fullname()) for s in symbols if s and s.symtab}
        return self._library_dirs

    def is_library_code(self, address):
        if address not in self._library_code:
            symtab = gdb.find_pc_line(address).symtab
            self._library_code[address] = symtab is not None and self.is_library_file(symtab)
        return self._library_code[address]

    def array_end(self, address):
        """One past the array variable that `address` lies in, or ends: where
        a stack made by hand has its top. 0: it lies in none."""
        symbol = self.symbol(address - 1)
        if symbol is None or symbol.is_code:
            return 0
        variable = gdb.lookup_global_symbol(symbol.name) or gdb.lookup_static_symbol(symbol.name)
        if variable is None or variable.type is None or variable.type.strip_typedefs().code != gdb.TYPE_CODE_ARRAY:
            return 0
        return address - 1 - symbol.offset + variable.type.sizeof

    def contexts(self):
        """(name, address) of the variables of type struct coctx in the file
        that has main, and in that of the selected frame."""
        # `info variables` would know them all, but reads all of libc's
        # debug information first, which takes seconds.
        found = {}
        for block in self._file_blocks():
            for symbol in block:
                for name, address in _contexts_in(symbol):
                    found[name] = address
        return list(found.items())

    def context(self, text):
        """Address of the context variable `text`, as in ctx or ctx[2]; 0."""
        name = text.split("[")[0]
        symbol = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
        return dict(_contexts_in(symbol)).get(text, 0) if symbol else 0

    @staticmethod
    def _file_blocks():
        main = gdb.lookup_global_symbol("main")
        symtabs = [main.symtab] if main is not None else []
        try:
            symtabs.append(gdb.selected_frame().find_sal().symtab)
        except gdb.error:
            pass
        for symtab in symtabs:
            if symtab is not None:
                yield symtab.global_block()
                yield symtab.static_block()


class Memory:
    """A reader for few and small reads, of memory as it is now."""

    def read(self, address, length):
        if not 0 < address < 1 << 64 or length <= 0:
            raise model.Unreadable(address, length)
        try:
            return bytes(gdb.selected_inferior().read_memory(address, length))
        except (gdb.error, OverflowError):
            raise model.Unreadable(address, length)


def _contexts_in(symbol):
    """(name, address) of a variable that is a struct coctx, or of each in an array."""
    if not symbol.is_variable or symbol.type is None:
        return []
    kind = symbol.type.strip_typedefs()
    is_array = kind.code == gdb.TYPE_CODE_ARRAY
    element = kind.target().strip_typedefs() if is_array else kind
    if element.code != gdb.TYPE_CODE_STRUCT or element.tag != "coctx":
        return []
    try:
        value = symbol.value()
        if not is_array:
            return [(symbol.name, int(value.address))]
        return [("%s[%d]" % (symbol.name, i), int(value[i].address)) for i in range(kind.range()[1] + 1)]
    except (gdb.error, TypeError):
        return []   # thread-local, or only declared here


def live_registers():
    """The registers of the selected thread."""
    frame = gdb.newest_frame()
    values = {}
    for name, gdb_name in _REGISTERS.items():
        try:
            values[name] = int(frame.read_register(gdb_name)) & 0xffffffffffffffff
        except (gdb.error, ValueError):
            continue    # a core without floating-point registers
    return values


def selected_thread():
    try:
        return gdb.selected_thread()
    except SystemError:     # two threads of a damaged core have one number
        raise NotReady("GDB is confused by the threads of this core: it is damaged")


@contextlib.contextmanager
def keep_selection():
    """Put the selected thread and frame back, whatever happens."""
    thread = selected_thread()
    try:
        level = gdb.selected_frame().level()
    except gdb.error:
        level = None
    try:
        yield
    finally:
        if thread is not None and thread.is_valid():
            thread.switch()
            if level is not None:
                frame = gdb.newest_frame()
                while frame is not None and frame.level() < level:
                    frame = frame.older()
                if frame is not None:
                    frame.select()


def _in_condition(thread):
    """A breakpoint's condition is asked while GDB still calls the thread running."""
    chosen = gdb.selected_thread()
    if chosen is None or thread.num != chosen.num:
        return False
    try:
        gdb.newest_frame()
    except gdb.error:
        return False    # it does run
    return True


# --- finding the program ----------------------------------------------------------


def find_layout(reader):
    """The layout of the program that is loaded; NotReady says what is missing."""
    program = gdb.current_progspace().filename
    if selected_thread() is None:
        if not program:
            raise NotReady("no program is loaded: start GDB as `gdb PROGRAM`, or type `file PROGRAM`")
        raise NotReady("the program is not running yet: type `run` (or `core-file CORE` for a core)")
    if selected_thread().is_running() and not _in_condition(selected_thread()):
        raise NotReady("the program is running: stop it first (Ctrl-C, or `interrupt`)")
    address = address_of("co_debug_layout") or _search_magic()
    if address:
        return layout.from_table(reader, address)
    try:
        context = gdb.lookup_type("struct coctx")
    except gdb.error:
        raise NotReady("this is no costep program, or it has not loaded libcostep.so yet: "
                       "there is no co_debug_layout in it")
    fields = {f.name: (f.bitpos // 8, f.type.sizeof) for f in context.fields()}
    return layout.from_context_type(fields, context.sizeof)


def address_of(symbol):
    """0: the program does not have it, or not yet."""
    try:
        return int(gdb.parse_and_eval("(unsigned long)&" + symbol))
    except gdb.error:
        return 0


def _search_magic():
    """A program without any symbol: look through its data for the table."""
    pattern = layout.MAGIC.ljust(16, b"\0") + layout.VERSION.to_bytes(4, "little")
    sections = gdb.execute("info files", to_string=True)
    for start, end, name in re.findall(r"(0x[0-9a-f]+) - (0x[0-9a-f]+) is (\S+)", sections):
        if name not in (".data.rel.ro", ".rodata", ".data"):
            continue
        lo, hi = int(start, 16), int(end, 16)
        try:
            found = gdb.selected_inferior().search_memory(lo, hi - lo, pattern)
        except gdb.error:
            continue
        if found is not None:
            return int(found)
    return 0
