# SPDX-License-Identifier: MIT
"""Where each field of the library's structs lies.

The program says so itself, in the table co_debug_layout (src/debug.h), which
survives `strip`. A program of lesson 1 or 2 has no table, only contexts: then
the debug information's struct coctx gives the same names.
"""
import struct

MAGIC = b"costep layout"
VERSION = 1

# struct co_debug_layout before its `states`: magic, version, n_states,
# n_fields, field_size, envs; one state name; the name in one field.
_HEAD = struct.Struct("<16s4IQ")
_STATE_LEN = 12
_NAME_LEN = 24

# What a reader of this package asks for; a table that lacks one is too old.
_COCTX = ("rbx", "rbp", "r12", "r13", "r14", "r15", "rsp", "rip", "mxcsr", "x87cw")
_NEEDED = (
    ["sizeof.coctx", "sizeof.co", "sizeof.env", "list.prev", "list.next"]
    + ["stack." + f for f in ("lo", "hi", "guard_len", "save_buffer", "save_len")]
    + ["coctx." + f for f in _COCTX]
    + ["co." + f for f in ("ctx", "stack", "link", "resumer", "env", "fn", "state", "id", "name", "in_env",
                           "created_at", "blocked_at", "n_resumes")]
    + ["env." + f for f in ("main", "running", "all", "in_envs", "tid")]
)
# All others of them are numbers.
_WIDE = {"co.ctx", "co.name", "co.in_env", "env.main", "env.all", "env.in_envs"}
_MAX_STRUCT = 1 << 16


class LayoutError(Exception):
    """The table cannot be used; the text says why."""


class Layout:
    """Offsets and sizes by "struct.field", state names, the list of environments."""

    def __init__(self, fields, states=(), envs=0, address=0):
        self.fields = fields  # "co.state" -> (offset, size)
        self.states = states  # names, by value
        self.envs = envs      # address of co_envs; 0: this program has none
        self.address = address  # of the table; 0: made from debug information
        # (register, offset, size) of struct coctx, in memory order.
        self.context_fields = sorted(((f, *fields["coctx." + f]) for f in _COCTX), key=lambda f: f[1])
        # Bytes of a struct co_stack that hold the fields we know.
        self.stack_len = max((sum(place) for name, place in fields.items() if name.startswith("stack.")), default=0)

    def offset(self, name):
        return self.fields[name][0]

    def sizeof(self, struct_name):
        return self.fields["sizeof." + struct_name][1]

    def get(self, data, base, name):
        """The unsigned number in field `name` of the struct that begins at data[base]."""
        offset, size = self.fields[name]
        return int.from_bytes(data[base + offset:base + offset + size], "little")


def from_table(reader, address):
    """Read the table co_debug_layout at `address`."""
    magic, version, n_states, n_fields, field_size, envs = _HEAD.unpack(reader.read(address, _HEAD.size))
    if magic.rstrip(b"\0") != MAGIC:
        raise LayoutError("co_debug_layout at %#x does not begin with \"%s\"" % (address, MAGIC.decode()))
    if version != VERSION:
        raise LayoutError("the program's co_debug_layout has version %d, these commands know %d: "
                          "use the gdb/ of the same costep" % (version, VERSION))
    if n_states > 64 or n_fields > 1024 or not _NAME_LEN + 8 <= field_size <= 256:
        raise LayoutError("co_debug_layout at %#x is damaged" % address)

    at = address + _HEAD.size
    names = reader.read(at, n_states * _STATE_LEN)
    states = [_text(names[i * _STATE_LEN:(i + 1) * _STATE_LEN]) for i in range(n_states)]
    # The fields come after a fixed number of states: CO_DEBUG_STATES == n_states,
    # then padding up to their alignment, 4.
    at += (n_states * _STATE_LEN + 3) // 4 * 4
    data = reader.read(at, n_fields * field_size)
    fields = {}
    for i in range(0, len(data), field_size):
        offset, size = struct.unpack_from("<2I", data, i + _NAME_LEN)
        fields[_text(data[i:i + _NAME_LEN])] = (offset, size)
    missing = [name for name in _NEEDED if name not in fields]
    if missing:
        raise LayoutError("the program's co_debug_layout has no %s" % missing[0])
    _check(fields)
    return Layout(fields, states, envs, address)


def _check(fields):
    """A damaged table must not lead anywhere."""
    for name in _NEEDED:
        offset, size = fields[name]
        owner = name.split(".")[0]
        whole = size if owner == "sizeof" else fields.get("sizeof." + owner, (0, _MAX_STRUCT))[1]
        is_number = owner != "sizeof" and name not in _WIDE
        if not 0 < size <= (8 if is_number else _MAX_STRUCT) or offset + size > whole:
            raise LayoutError("the program's co_debug_layout is damaged: %s is %d bytes at offset %d"
                              % (name, size, offset))


def from_context_type(fields, size):
    """A layout that knows struct coctx only; `fields`: register -> (offset, size)."""
    table = {"coctx." + name: place for name, place in fields.items()}
    missing = [name for name in _COCTX if "coctx." + name not in table]
    if missing:
        raise LayoutError("struct coctx has no field %s" % missing[0])
    table["sizeof.coctx"] = (0, size)
    return Layout(table)


def _text(data):
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in data.split(b"\0")[0])
