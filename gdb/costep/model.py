# SPDX-License-Identifier: MIT
"""What is in the program's memory, as dataclasses.

A reader is anything with

    read(address, length) -> bytes       raises Unreadable
    cpus() -> [Cpu]                      the threads and their registers

(reader.py asks GDB, the tests have a fake). Memory may be damaged: whatever
can be read is returned, and a Snapshot's `problems` say in one line each what
could not, and which link led there.
"""
import bisect
from dataclasses import dataclass, field
from typing import Dict, List, Optional

MAX_LISTED = 1000000  # a list longer than this is a damaged one


class Unreadable(Exception):
    """Memory that cannot be read."""

    def __init__(self, address, length=0):
        super().__init__("cannot read memory at %#x" % address)
        self.address = address


@dataclass
class Cpu:
    """A thread, and the registers it has now."""
    number: int          # GDB's
    tid: int             # the kernel's
    registers: Dict[str, int]
    is_selected: bool = False

    @property
    def rsp(self):
        return self.registers.get("rsp", 0)     # a damaged core may have none


@dataclass
class Context:
    """A struct coctx."""
    address: int
    registers: Dict[str, int]   # also mxcsr, x87cw
    saved_at: Dict[str, int]    # address of each field


@dataclass
class Stack:
    """A struct co_stack. All zero: it cannot be read, or (on a shared stack,
    before the first run) there is none yet."""
    lo: int = 0
    hi: int = 0
    guard_len: int = 0
    save_buffer: int = 0
    save_len: int = 0   # so many bytes below hi are in save_buffer; another's are there

    def holds_rsp(self, rsp):
        # hi too: an empty stack. Below lo: it has run into the guard.
        return bool(self.hi) and self.lo - self.guard_len <= rsp <= self.hi

    @property
    def is_out(self):
        return self.save_len > 0

    # For one that is copied out. `address` may be hi: a stack pointer may.

    @property
    def first(self):
        """Lowest address that save_buffer has the bytes of."""
        return self.hi - self.save_len

    def to_buffer(self, address):
        """Where the bytes are that belong to `address`."""
        return address - self.first + self.save_buffer if self.first <= address <= self.hi else address

    def to_stack(self, address):
        """The other way."""
        inside = self.save_buffer <= address <= self.save_buffer + self.save_len
        return address - self.save_buffer + self.first if inside else address


class Overlay:
    """A reader of memory as a coroutine will find it when it runs again: what is
    copied out comes from its save_buffer, not from the slot, where another's
    bytes are. Those of the slot that it has no bytes for are unreadable."""

    def __init__(self, reader, stack):
        self._reader = reader
        self._stack = stack

    def read(self, address, length):
        stack, end = self._stack, address + length
        if not stack.is_out or end <= stack.lo or address >= stack.hi:
            return self._reader.read(address, length)
        if address < stack.first:
            raise Unreadable(address, length)
        inside = min(end, stack.hi) - address
        data = self._reader.read(stack.to_buffer(address), inside)
        return data + (self._reader.read(stack.hi, length - inside) if inside < length else b"")


@dataclass
class Coroutine:
    """A struct co. Addresses are numbers; 0 is NULL."""
    address: int
    id: int
    name: str
    state: str
    context: Context
    stack: Stack
    link: int                   # its value: address of the resumer's context
    link_at: int                # where it lies
    resumer: int
    env: int
    fn: int
    created_at: int
    blocked_at: int
    n_resumes: int
    stack_at: int               # its struct co_stack
    is_main: bool = False
    cpu: Optional[Cpu] = None   # the thread that stands on its stack now

    @property
    def label(self):
        return '%d "%s"' % (self.id, self.name)

    @property
    def registers(self):
        """The registers it goes on with: live ones, else the saved ones."""
        return self.cpu.registers if self.cpu else self.context.registers

    @property
    def has_begun(self):
        """A switch to one that has not begins at the top of an empty stack."""
        if self.cpu or self.is_main:
            return True
        return self.state != "new" and not self._is_at_top

    @property
    def _is_at_top(self):
        return self.context.registers["rsp"] == self.stack.hi & ~15

    @property
    def has_stack(self):
        """One of a shared stack has a slot from its first run until it is reset.
        (The system may not tell the bounds of a thread's own stack.)"""
        return self.is_main or bool(self.stack.hi)

    @property
    def claim(self):
        """How likely are the bytes in a slot its own, if several have that slot?
        -1: they are not. Of the others in a slot only one has begun and is not done,
        unless that one is leaving for good or for one that begins."""
        if self.stack.is_out:
            return -1
        if self.state == "done":
            return 2 if self.resumer else 0     # its resumer is not back yet
        return 1 if self._is_at_top else 3

    @property
    def used(self):
        """Bytes of its stack in use; None: its registers say nothing about that."""
        used = self.stack.hi - self.registers["rsp"]
        return used if self.stack.hi and 0 <= used <= self.stack.hi - self.stack.lo + self.stack.guard_len else None


@dataclass
class Env:
    """A struct co_env: a thread's coroutines, main first."""
    address: int
    tid: int
    running: int                # address of a struct co
    coroutines: List[Coroutine] = field(default_factory=list)
    cpu: Optional[Cpu] = None   # its thread
    note: str = ""              # where the processor and `running` disagree
    is_stray: bool = False      # its thread's rsp is on the stack of none of them
    copier_link: Optional[int] = None   # see Snapshot.on_copier
    is_lost: bool = False       # see Snapshot.on_lost_stack
    is_inside: bool = False     # the running one is in a call of the library


class Snapshot:
    """All environments at one stop."""

    def __init__(self, layout, envs, cpus, problems):
        self.layout = layout
        self.envs = envs
        self.cpus = cpus
        self.problems = problems
        self.all = [co for env in envs for co in env.coroutines]
        self.by_address = {co.address: co for co in self.all}
        self.by_id = {co.id: co for co in reversed(self.all)}
        self.by_context = {co.context.address: co for co in self.all}
        # Sorted by lo, for stack_at; of a slot that several have, the occupant.
        # Those who have no stack are left out.
        occupants, self._shared = {}, set()
        for co in self.all:
            lo, other = co.stack.lo, occupants.get(co.stack.lo)
            if co.stack.hi <= lo:
                continue
            if other is not None or co.stack.save_buffer:
                self._shared.add(lo)
            if other is None or co.claim > other.claim:
                occupants[lo] = co
        self._stacks = sorted(occupants.items(), key=lambda entry: entry[0])
        self._los = [lo for lo, _ in self._stacks]
        for env in envs:
            self._place(env)

    def stack_at(self, address):
        """(coroutine, "stack" or "guard") whose stack `address` lies in; None."""
        i = bisect.bisect_right(self._los, address)
        if i and address < self._stacks[i - 1][1].stack.hi:
            return self._stacks[i - 1][1], "stack"
        if i < len(self._stacks):
            co = self._stacks[i][1]
            if address >= co.stack.lo - co.stack.guard_len:
                return co, "guard"
        return None

    def owner_of_rsp(self, rsp):
        """The coroutine on whose stack `rsp` stands; None."""
        i = bisect.bisect_right(self._los, rsp)
        for _, co in self._stacks[max(i - 1, 0):i + 1]:
            if co.stack.holds_rsp(rsp) and not co.stack.is_out:
                return co
        return None

    def is_shared(self, co):
        """Is its stack known to be one that others use, too?"""
        return co.stack.lo in self._shared

    def of_states(self, states):
        """[(environment, its coroutines in these states)]; None: in all."""
        return [(env, [co for co in env.coroutines if states is None or co.state in states]) for env in self.envs]

    def resumer_of(self, co):
        """By the link, which a backtrace follows too: None = nobody. But not to one
        whose bytes are copied out: then only `resumer` says who it is."""
        return self.by_context.get(co.link) or self.by_address.get(co.resumer)

    def on_copier(self, env, link):
        """The processor turned out to be on the stack of an execution that is in no
        list, and that was entered from the context `link`: the copier."""
        running = self.by_address.get(env.running)
        for co in env.coroutines:
            co.cpu = None
        env.copier_link, env.is_stray = link, False
        env.note = "mid-switch: rsp is on the stack of the copier of a shared stack, on the way to %s" % (
            running.label if running else "nobody")

    def on_lost_stack(self, env):
        """The processor is on a stack that no memory tells of: whose, cannot be said."""
        running = self.by_address.get(env.running)
        for co in env.coroutines:
            co.cpu = None
        env.is_lost, env.is_stray = True, False
        env.note = ("the stack pointer %#x is on no coroutine's stack, and what was there is not in this core; "
                    "env->running is %s" % (env.cpu.rsp, running.label if running else "no coroutine"))

    def selected(self):
        """The coroutine on the selected thread's processor; None."""
        for co in self.all:
            if co.cpu and co.cpu.is_selected:
                return co
        return None

    def _place(self, env):
        """Find who of `env` is on the processor: the stack pointer decides."""
        running = self.by_address.get(env.running)
        for cpu in self.cpus:
            co = self.owner_of_rsp(cpu.rsp)
            if co and co.env == env.address:
                env.cpu = co.cpu = cpu
                if running is None:
                    env.note = "env->running is %#x, which is no coroutine of this thread" % env.running
                elif co is not running:
                    env.note = "mid-switch: env->running is %s, rsp is still on the stack of %s" % (
                        running.label, co.label)
                return
        for cpu in self.cpus:
            if cpu.tid == env.tid and self.owner_of_rsp(cpu.rsp) is None:
                env.cpu = cpu
                env.is_stray = True
                if running is None:
                    env.note = ("the stack pointer %#x is on no coroutine's stack, and env->running "
                                "is no coroutine" % cpu.rsp)
                    return
                running.cpu = cpu
                if running.stack.hi:
                    env.note = ("the stack pointer %#x is on no coroutine's stack (a signal handler on a "
                                "stack of its own?): taking env->running, %s" % (cpu.rsp, running.label))
                return


# --- reading --------------------------------------------------------------------


def read_context(reader, layout, address):
    data = reader.read(address, layout.sizeof("coctx"))
    return _context(layout, data, 0, address)


def _context(layout, data, base, address):
    registers, saved_at = {}, {}
    for name, offset, size in layout.context_fields:
        registers[name] = int.from_bytes(data[base + offset:base + offset + size], "little")
        saved_at[name] = address + offset
    return Context(address, registers, saved_at)


def read_coroutine(reader, layout, address, is_main=False):
    """The struct co at `address`. Its stack's bounds are 0 if they cannot be read."""
    data = reader.read(address, layout.sizeof("co"))
    def get(name):
        return layout.get(data, 0, name)
    offset, size = layout.fields["co.name"]
    state = get("co.state")
    at = layout.offset("co.ctx")
    return Coroutine(
        address=address, id=get("co.id"), name=printable(data[offset:offset + size]),
        state=layout.states[state] if state < len(layout.states) else "state %d?" % state,
        context=_context(layout, data, at, address + at), stack=_read_stack(reader, layout, get("co.stack")),
        link=get("co.link"), link_at=address + layout.offset("co.link"),
        resumer=get("co.resumer"), env=get("co.env"), fn=get("co.fn"),
        created_at=get("co.created_at"), blocked_at=get("co.blocked_at"), n_resumes=get("co.n_resumes"), stack_at=get("co.stack"),
        is_main=is_main)


def _read_stack(reader, layout, address):
    try:
        data = reader.read(address, layout.stack_len)
    except Unreadable:
        return Stack()
    lo, hi, guard_len, save_buffer, save_len = (
        layout.get(data, 0, "stack." + f) for f in ("lo", "hi", "guard_len", "save_buffer", "save_len"))
    is_sound = lo < hi and guard_len <= lo and save_len <= hi - lo
    return Stack(lo, hi, guard_len, save_buffer, save_len) if is_sound else Stack()


def walk_list(reader, layout, head, what, problems):
    """Yield the address of each node on the list `head`. A damaged list ends
    early, with a line in `problems` that says at which link."""
    def broken(node, text):
        where = "%s, whose head is %#x" % (what, head) if node == head else "%s, at the node %#x" % (what, node)
        problems.append("%s: %s" % (where, text))

    next_at, prev_at = layout.offset("list.next"), layout.offset("list.prev")
    seen = set()
    node = head
    while True:
        try:
            following = _pointer(reader, node + next_at)
        except Unreadable:
            return broken(node, "cannot be read")
        if following == head:
            return
        if following in seen:
            return broken(node, "next leads back to %#x: a ring without its head" % following)
        if len(seen) >= MAX_LISTED:
            return broken(node, "more than %d nodes" % MAX_LISTED)
        try:
            back = _pointer(reader, following + prev_at)
        except Unreadable:
            return broken(node, "next is %s, which cannot be read" % _address(following))
        if back != node:
            return broken(node, "next is %#x, but prev there is %s and does not lead back%s"
                          % (following, _address(back), "" if back else _lost_node(reader, following)))
        seen.add(following)
        yield following
        node = following


def read_env(reader, layout, address, problems):
    data = reader.read(address, layout.sizeof("env"))
    env = Env(address, layout.get(data, 0, "env.tid"), layout.get(data, 0, "env.running"))
    # (Programs of an older costep do not say.)
    env.is_inside = "env.inside" in layout.fields and layout.get(data, 0, "env.inside") != 0
    env.coroutines.append(read_coroutine(reader, layout, address + layout.offset("env.main"), is_main=True))
    what = "the coroutines of thread %d (env->all)" % env.tid
    for node in walk_list(reader, layout, address + layout.offset("env.all"), what, problems):
        at = node - layout.offset("co.in_env")
        try:
            co = read_coroutine(reader, layout, at)
        except Unreadable:
            problems.append("%s: the struct co at %#x cannot be read" % (what, at))
            continue
        if co.env != address:
            problems.append("%s: %s at %#x says its environment is %s" % (what, co.label, at, _address(co.env)))
        env.coroutines.append(co)
    return env


def environments(reader, layout):
    """The addresses of all struct co_env that can be reached."""
    if not layout.envs:
        return []
    return [node - layout.offset("env.in_envs") for node in walk_list(reader, layout, layout.envs, "", [])]


def take_snapshot(reader, layout):
    problems = []
    envs = []
    if layout.envs:
        for node in walk_list(reader, layout, layout.envs, "the environments (co_envs)", problems):
            at = node - layout.offset("env.in_envs")
            try:
                envs.append(read_env(reader, layout, at, problems))
            except Unreadable:
                problems.append("the environment at %#x cannot be read" % at)
    return Snapshot(layout, envs, reader.cpus(), problems)


def read_words(reader, address, n_words):
    """Up to `n_words` words from `address` up; fewer where memory ends."""
    try:
        data = reader.read(address, 8 * n_words)
    except Unreadable:
        data = b""
        for i in range(n_words):
            try:
                data += reader.read(address + 8 * i, 8)
            except Unreadable:
                break
    return [int.from_bytes(data[i:i + 8], "little") for i in range(0, len(data), 8)]


def stack_is_lost(reader, co):
    """Has a core left out this stack? Its first word, the return address to
    the entry trampoline, cannot be zero once the coroutine has begun. (GDB's
    generate-core-file gives up a whole mapping at its first guard; what is
    copied out lies on the heap, and is there.)"""
    if co.is_main or not co.stack.hi or (co.state in ("new", "done") and not co.cpu):
        return False
    if co.registers["rsp"] >= co.stack.hi - 8:
        return False
    return top_word(reader, co) == 0


def is_blank(reader, rsp):
    """The same of a stack that is no coroutine's: somewhere above rsp is a return address."""
    return not any(read_words(reader, rsp, 8192))


def slot_is_lost(reader, stack):
    """The same of a slot, whoever is there: somebody has run in it."""
    return read_words(reader, stack.hi - 8, 1) == [0]


def top_word(reader, co):
    """The first word that was pushed on its stack: the return address to the entry
    trampoline, once it has begun. 0: there is none."""
    words = read_words(Overlay(reader, co.stack), co.stack.hi - 8, 1) if co.stack.hi else []
    return words[0] if words else 0


def _lost_node(reader, node):
    """Is it in a core that has left out the stack whose top it lies on? (Or wiped.)"""
    return "" if any(read_words(reader, node, 2)) else (
        "; all is zero there, as in a core without stacks (generate-core-file leaves them out, and the structs on "
        "them; co-core, or the kernel, writes all)")


def _pointer(reader, address):
    return int.from_bytes(reader.read(address, 8), "little")


def _address(value):
    return "%#x" % value if value else "NULL"


def printable(data):
    """ASCII: a terminal in another locale could not print the rest."""
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in data.split(b"\0")[0])
