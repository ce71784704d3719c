# SPDX-License-Identifier: MIT
"""-json: what a command knows, on one line, for other programs.

Every document has "costep" (the format's number, FORMAT), "command", and what the
command lists. A dataclass becomes an object with its fields' names; addresses, registers
and words of memory are strings, "0x..." (a number of JavaScript has 53 bits), all other
numbers are numbers; what is not known is null.
"""
import dataclasses
import json

FORMAT = 1

# Fields that are addresses.
_ADDRESSES = {"address", "link", "link_at", "resumer", "env", "fn", "created_at", "blocked_at", "lo", "hi",
              "stack_at", "save_buffer", "running", "pc", "rsp", "rbp", "at"}


def document(command, **content):
    return [json.dumps({"costep": FORMAT, "command": command, **plain(content)})]


def plain(value, name=""):
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {key: plain(field, key) for key, field in fields.items() if key not in ("cpu", "coroutines", "variables")}
    if isinstance(value, dict):
        return {str(key): plain(field, key) for key, field in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, name) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and name in _ADDRESSES:
        return "%#x" % value
    return value


def registers(values):
    return {name: "%#x" % value for name, value in values.items()}


def coroutine(snapshot, co, where=None):
    found = plain(co)
    found["context"] = {"address": "%#x" % co.context.address, "registers": registers(co.context.registers)}
    resumer = snapshot.resumer_of(co)
    found.update(thread=co.cpu.number if co.cpu else None, resumed_by=resumer.id if resumer else None,
                 has_begun=co.has_begun, used=co.used, is_shared=snapshot.is_shared(co), where=where)
    return found


def thread(env):
    """What is said of a thread, to which its coroutines are added."""
    return {"number": env.cpu.number if env.cpu else None, "lwp": env.tid, "note": env.note,
            "is_selected": bool(env.cpu and env.cpu.is_selected)}
