# SPDX-License-Identifier: MIT
"""co-bt."""
import itertools

import gdb

from . import commands, format, frames, jsonout, model, unwind


class CoBt(commands.Command):
    """Backtrace of a coroutine, running or suspended, and of its resumers.

Usage: co-bt [ID | NAME | all] [-json]

Without ID, the one that co has selected, else whoever is on the processor.
Frames are numbered from #0. Where a coroutine ends, a line says who resumed
it, and the resumer's frames follow. The numbers are not those of GDB's `frame
N` (but see help co).
-json: "backtraces": [{"id", "stacks": [{"id", "resumed_by", "frames":
[{"function", "pc", "rsp", "rbp", "args", "file", "line", ...}], "problem"}]}].
See help co-list.

Example: (gdb) co-bt 2"""

    name = "co-bt"

    def run(self, args):
        words, options = commands.split(args, {"-json": None})
        arg = commands.at_most_one(words)
        s = commands.Session()
        if "-json" in options:
            return self._json(s, arg)
        if arg == "all" and s.snapshot.all:
            lines = []
            for co in s.snapshot.all:
                lines += ([""] if lines else []) + self._one(s, co)
            return lines
        it = s.whom(arg)
        if it is None:
            env = next((env for env in s.snapshot.envs if env.cpu is s.cpu), None)
            if env and env.copier_link is not None:
                return self._copier(s, env)
            return ["thread %d:" % s.cpu.number] + (["(no frames: %s)" % env.note] if env and env.is_lost else
                                                    numbered(frames.of_thread(True), []))
        if isinstance(it, model.Context):
            if not it.registers["rip"]:
                return ["nothing has been saved in %s yet" % arg]
            return ["saved in %s:" % arg] + numbered(frames.of_context(it), [])
        return self._one(s, it)

    def _json(self, s, arg):
        it = s.whom(arg if arg != "all" else "")
        if arg != "all" and not isinstance(it, model.Coroutine):
            raise commands.Usage("-json is for coroutines; this is none")
        return jsonout.document(self.name, backtraces=[
            {"id": co.id, "stacks": self._stacks(s, co)} for co in (s.snapshot.all if arg == "all" else [it])])

    def _stacks(self, s, co):
        stacks, seen = [], set()
        while co is not None and co.address not in seen:
            seen.add(co.address)
            resumer = None if co.is_main else s.snapshot.resumer_of(co)
            stack = {"id": co.id, "name": co.name, "resumed_by": resumer.id if resumer else None, "frames": [],
                     "problem": None}
            stacks.append(stack)
            try:
                if model.stack_is_lost(s.reader, co):
                    raise unwind.Unwound(format.lost_stack(co))
                if co.has_begun and (co.state != "done" or co.cpu):
                    stack["frames"] = [f for f in s.frames_of(co) if not f.is_end]
            except (gdb.error, unwind.Unwound) as error:
                stack["problem"] = str(error)
            co = resumer
        return stacks

    def _copier(self, s, env):
        """Its own frames, up to its trampoline, and those of whom its link leads to."""
        co = s.snapshot.by_context.get(env.copier_link)
        own = itertools.takewhile(lambda f: not (f.is_seam or f.is_end), frames.of_thread(True))
        shown = []
        lines = [env.note] + numbered(own, shown) + [format.copier_seam(co)]
        return lines + (self._chain(s, co, shown) if co else [])

    def _one(self, s, co):
        state = "on the processor (thread %d)" % co.cpu.number if co.cpu else format.state(co)
        if co.state == "done" and not co.cpu:
            return ["coroutine %s, done: it has no frames" % co.label]
        lines = ["coroutine %s, %s" % (co.label, state)]
        if not co.has_begun:
            lines.append("(it has not begun; its first resume calls %s)" % s.names.code(co.fn, True))
        return lines + self._chain(s, co, [])

    def _chain(self, s, co, shown):
        """The frames of `co` and of its resumers."""
        lines, seen = [], set()
        while co is not None:
            seen.add(co.address)
            try:
                if model.stack_is_lost(s.reader, co):
                    raise unwind.Unwound(format.lost_stack(co))
                if co.has_begun:
                    numbered(s.frames_of(co), shown, lines)
            except (gdb.error, unwind.Unwound) as error:
                lines.append("(no frames: %s)" % error)
            if co.is_main:
                break
            resumer = s.snapshot.resumer_of(co)
            lines.append(format.seam(co, resumer))
            if resumer is not None and resumer.address in seen:
                lines.append("damaged: %s has been here already; its link leads in a circle" % resumer.label)
                break
            co = resumer
        return lines


def numbered(found, shown, lines=None):
    """Append the frames to `lines`, numbered on from those `shown` before."""
    lines = [] if lines is None else lines
    for f in found:
        if f.is_seam:
            lines.append(format.context_seam(""))
            continue
        if f.is_end:
            if f.function in ("co_has_no_resumer", "co_resumer_is_copied_out"):
                lines[-1:] = [format.context_seam(f.function)]
            continue
        lines.append(format.frame(len(shown), f, commands.width()))
        shown.append(f)
    return lines


def register():
    CoBt()
