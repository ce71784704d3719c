# SPDX-License-Identifier: MIT
"""How print shows the library's structs: what it is in words, then the fields.

struct co, coctx, co_stack, co_env, list. `list` is a common name: a struct is only taken for
one of ours if it has the fields of ours. disable pretty-printer global costep undoes it.
"""
import gdb
import gdb.printing

from . import model


class _Fields:
    """A line in words, and the fields as GDB shows them."""

    def __init__(self, value):
        self._value = value

    def children(self):
        for member in self._value.type.fields():
            yield member.name, self._value[member.name]

    def to_string(self):
        try:
            return self.words()
        except (gdb.error, UnicodeDecodeError) as error:
            return "(%s)" % error


def _name(co):
    return model.printable(co["name"].string("latin-1").encode("latin-1"))


class _Co(_Fields):
    def words(self):
        v = self._value
        state = str(v["state"]).replace("CO_", "").lower()
        text = 'coroutine %d "%s", %s' % (int(v["id"]), _name(v), state)
        resumer = v["resumer"]
        if resumer:
            text += ", resumed by %d" % int(resumer["id"])
        return text


class _Coctx(_Fields):
    def words(self):
        rip = int(self._value["rip"])
        return "goes on at %s, rsp %#x" % (_code(rip), int(self._value["rsp"])) if rip else "nothing saved yet"


class _Stack(_Fields):
    def children(self):
        # char * would be shown as text. And at hi there is nothing to be read.
        for name, value in super().children():
            yield name, value.cast(gdb.lookup_type("void").pointer()) if name in ("lo", "hi", "save_buffer") else value

    def words(self):
        v = self._value
        lo, hi, save_len = int(v["lo"]), int(v["hi"]), int(v["save_len"])
        if not hi:
            return "no stack yet"
        text = "%d bytes, guard of %d" % (hi - lo, int(v["guard_len"]))
        return text + (", %d copied out" % save_len if save_len else "")


class _Env(_Fields):
    def words(self):
        running = self._value["running"]
        return "environment of LWP %d, running: %s" % (
            int(self._value["tid"]), '%d "%s"' % (int(running["id"]), _name(running)) if running else "nobody")


class _List(_Fields):
    def words(self):
        v = self._value
        prev, following = int(v["prev"]), int(v["next"])
        if v.address is not None and prev == following == int(v.address):
            return "alone"
        if not prev or not following:
            return "not initialised"
        return "linked"


def _code(pc):
    block = gdb.block_for_pc(pc)
    while block is not None and block.function is None:
        block = block.superblock
    return block.function.print_name if block is not None else "%#x" % pc


_KINDS = {
    "co": (_Co, ("exec", "resumer", "env", "state", "id", "name")),
    "coctx": (_Coctx, ("rsp", "rip", "mxcsr", "x87cw")),
    "co_stack": (_Stack, ("lo", "hi", "guard_len", "save_buffer", "save_len")),
    "co_env": (_Env, ("main", "running", "all", "in_envs", "tid")),
    "list": (_List, ("prev", "next")),
}


class _Printer(gdb.printing.PrettyPrinter):
    def __init__(self):
        super().__init__("costep", [gdb.printing.SubPrettyPrinter(name) for name in _KINDS])

    def __call__(self, value):
        kind = value.type.strip_typedefs()
        if kind.code != gdb.TYPE_CODE_STRUCT or kind.tag not in _KINDS:
            return None
        if not next(sub for sub in self.subprinters if sub.name == kind.tag).enabled:
            return None
        printer, fields = _KINDS[kind.tag]
        names = [f.name for f in kind.fields()]
        is_ours = all(name in names for name in fields) and (kind.tag != "list" or len(names) == 2 and all(
            f.type.code == gdb.TYPE_CODE_PTR and f.type.target().strip_typedefs().tag == "list" for f in kind.fields()))
        return printer(value) if is_ours else None


def register():
    gdb.printing.register_pretty_printer(None, _Printer(), replace=True)
