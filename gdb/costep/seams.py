# SPDX-License-Identifier: MIT
"""Plain bt: where one stack ends and the resumer's begins, a frame says so.

The library's unwind tables lead GDB across the entry trampoline. A frame filter gives that
frame a name: ---- coroutine 1 "child", resumed by main ----. And while a coroutine is
selected (co ID), it leaves out the thread's own innermost frame.

    bt -no-filters                       shows the frames as GDB has found them
    disable frame-filter global costep   does without it from now on
"""
import gdb
from gdb.FrameDecorator import FrameDecorator

from . import format, layout, model, reader, selection

MAX_SEAMS = 200     # labelled in one bt; those after them keep their function's name
_ENDS = ("co_has_no_resumer", "co_resumer_is_copied_out")


class _Seam(FrameDecorator):
    def __init__(self, frame, text):
        super().__init__(frame)
        self._text = text

    def function(self):
        return self._text

    # Where it is in our assembler file tells nobody anything.

    def address(self):
        return None

    def filename(self):
        return None

    def line(self):
        return None


class _Shown:
    """A variable, and a text in place of its value. (GDB's own SymValueWrapper takes other
    arguments from one version of GDB to another.)"""

    def __init__(self, symbol, text):
        self._symbol, self._text = symbol, text

    def symbol(self):
        return self._symbol

    def value(self):
        return self._text


class _Readable(FrameDecorator):
    """GDB's own bt shows an error in place of a variable that cannot be read (of a frame
    that has run into the guard, say). With a frame filter it would print an exception; and
    nothing at all for a function without a name, which is ?? else."""

    def function(self):
        found = super().function()      # an address, if the debug information does not know it
        if not isinstance(found, int):
            return found
        return self.inferior_frame().name() or "??"

    def function(self):
        frame = self.inferior_frame()
        return "??" if frame.type() == gdb.NORMAL_FRAME and frame.name() is None else super().function()

    def frame_args(self):
        return self._checked(super().frame_args())

    def frame_locals(self):
        return self._checked(super().frame_locals())

    def _checked(self, found):
        return found and [self._error(item) or item for item in found]

    def _error(self, item):
        if not isinstance(item.symbol(), gdb.Symbol):
            return None
        try:
            value = item.value()    # None: GDB will look it up; newer ones have done so
            if value is None:
                value = self.inferior_frame().read_var(item.symbol())
            if isinstance(value, gdb.Value) and not value.is_optimized_out:
                value.fetch_lazy()
        except gdb.error as error:
            return _Shown(item.symbol(), "<error reading variable: %s>" % error)
        return None


class _Library:
    """Finds the coroutine that a trampoline's frame belongs to. Reads what it needs of one
    struct co, not all coroutines: there may be very many, and bt is typed often."""

    def __init__(self):
        self._reader = self._layout = None
        self._envs = []

    def text(self, frame):
        """The label of the trampoline's frame; None: it is nobody's that we know."""
        try:
            if self._layout is None:
                self._reader = reader.Reader()
                self._layout = reader.find_layout(self._reader)
                self._envs = model.environments(self._reader, self._layout)
            if not self._layout.envs:
                return None
            link_at = int(frame.read_register("rbx")) & (1 << 64) - 1
            co = self._coroutine(link_at - self._layout.offset("co.link"))
            return format.frame_seam(co, co and co.resumer and self._coroutine(co.resumer)) if co else None
        except (gdb.error, ValueError, reader.NotReady, layout.LayoutError, model.Unreadable):
            return None

    def _coroutine(self, address):
        """None: nothing there looks like one."""
        co = model.read_coroutine(self._reader, self._layout, address)
        if co.env not in self._envs:
            return None
        co.is_main = address == co.env + self._layout.offset("env.main")
        return co


class _Filter:
    MAX_FRAMES = 10000

    def __init__(self):
        self.name = "costep"
        self.priority = 100
        self._is_enabled = True
        gdb.frame_filters[self.name] = self

    @property
    def enabled(self):
        """Only where there is something to label: else bt is GDB's own, to the last space."""
        return self._is_enabled and (selection.is_on() or self._has_seam())

    @enabled.setter
    def enabled(self, value):   # by enable frame-filter, disable frame-filter
        self._is_enabled = value

    def _has_seam(self):
        try:
            frame = gdb.newest_frame()
            for _ in range(self.MAX_FRAMES):
                if frame is None or frame.name() == "__morestack":
                    return frame is not None
                frame = frame.older()
        except (gdb.error, UnicodeDecodeError):     # a name that this locale has no letters for:
            pass                                    # no filter could show it, GDB can
        return False

    def filter(self, frames):
        return _labelled(frames)


def _labelled(frames):
    library, n_seams = _Library(), 0
    for decorated in frames:
        frame = decorated.inferior_frame()
        if selection.is_hidden(frame):
            continue
        name = frame.name()
        if name == "__morestack":
            # GDB finds a deep frame's rbx by way of all frames before it.
            n_seams += 1
            text = library.text(frame) if n_seams <= MAX_SEAMS else None
            yield _Seam(decorated, text) if text else _Readable(decorated)
        elif name in _ENDS:
            continue    # the seam before it has said it
        else:
            yield _Readable(decorated)
        if selection.is_past_main(frame):
            return


def register():
    _Filter()
