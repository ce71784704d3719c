# SPDX-License-Identifier: MIT
"""co-stack."""
import gdb

from . import commands, format, frames, model, stackwords, unwind


class CoStack(commands.Command):
    """Show a stack word by word, from the stack pointer up.

Usage: co-stack [ID | NAME] [-words N]

Without ID, the one that co has selected, else whoever is on the processor. At
most N words, 64 unless told.

  from top   bytes below the top of the stack
  frame      / its first word, | more of it, \\ its last, the return address
  what it is where a return goes, whose rbp was saved, a variable's name,
             whose stack or coctx an address lies in; <- registers that point
             here

Example: (gdb) co-stack 2 -words 20"""

    name = "co-stack"
    WORDS = 64

    def run(self, args):
        words = gdb.string_to_argv(args)
        limit = self.WORDS
        if "-words" in words:
            i = words.index("-words")
            if len(words) <= i + 1 or not words[i + 1].isdigit() or not 0 < int(words[i + 1]) <= 100000:
                raise commands.Usage("-words wants a number from 1 to 100000, as in: co-stack 2 -words 20")
            limit = int(words[i + 1])
            del words[i:i + 2]
        if any(w.startswith("-") for w in words):
            raise commands.Usage("the only option is -words N")
        if len(words) > 1:
            raise commands.Usage("one ID or name is enough, but there are %d words" % len(words))
        s = commands.Session()
        it = s.whom(words[0] if words else "")
        if it is None:
            return self._show(s, s.reader, "thread %d" % s.cpu.number, s.cpu.registers, frames.of_thread, 0, limit)
        if isinstance(it, model.Context):
            if not it.registers["rsp"]:
                return ["nothing has been saved in %s yet" % words[0]]
            return self._show(s, s.reader, "saved in %s" % words[0], it.registers, lambda: frames.of_context(it), 0,
                              limit)
        if it.state == "done" and not it.cpu:
            return ["coroutine %s, done: nothing on its stack means anything now" % it.label]
        if model.stack_is_lost(s.reader, it):
            raise unwind.Unwound(format.lost_stack(it))
        if not it.has_stack:
            raise unwind.Unwound(format.no_stack(it))
        s.names.own = it
        title = "coroutine %s, %s" % (it.label, "on the processor" if it.cpu else format.state(it))
        return self._show(s, model.Overlay(s.reader, it.stack), title, it.registers, lambda: frames.of(s.reader, it),
                          it.stack.hi, limit)

    @staticmethod
    def _show(s, memory, title, registers, get_frames, hi, limit):
        if "rsp" not in registers:
            raise commands.Usage("the registers of this thread cannot be read")
        rsp = registers["rsp"]
        hi = hi or s.reader.array_end(rsp)
        n_words = limit
        if hi:
            if not hi - (1 << 30) <= rsp <= hi:
                raise commands.Usage("rsp is %#x, far from the stack that ends at %#x" % (rsp, hi))
            title += ": %d bytes in use" % (hi - rsp)
            n_words = min(limit, (hi - rsp) // 8)
        if n_words == 0:
            return [title + ": an empty stack; its top is %#x" % rsp]
        try:
            found = get_frames()
        except (gdb.error, unwind.Unwound):
            found = []
        words = model.read_words(memory, rsp, n_words)
        if not words:
            raise model.Unreadable(rsp)
        here = {name: registers[name] for name in ("rsp", "rbp", "rbx", "r12", "r13", "r14", "r15")
                if name in registers}
        lines = format.stack(title, stackwords.annotate(words, rsp, found, here, s.names), hi, commands.width())
        if hi and n_words < (hi - rsp) // 8:
            lines.append("... %d words more, up to the top: -words N shows more" % ((hi - rsp) // 8 - n_words))
        elif len(words) < n_words:
            lines.append("... and here the memory ends")
        return lines


def register():
    CoStack()
