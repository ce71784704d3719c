# SPDX-License-Identifier: MIT
"""layout co: a window with the coroutines beside the source, drawn anew at each prompt.

GDB keeps the first class that is registered under a window's name, for ever. So what is
registered is a shell, which asks for the present class when a window is opened.
"""
import sys

import gdb

from . import commands, format, handlers, layout, model, reader, selection, settings, viewformat

_LAYOUT = "tui new-layout co {-horizontal src 3 coroutines 2} 2 status 0 cmd 1"
_open = []      # windows
_where = {}     # what the last walk has found


class Window:
    def __init__(self, tui):
        self._tui = tui
        self._first = 0     # line that is shown on top
        self._lines, self._ids = [], {}
        tui.title = "coroutines"
        _open.append(self)

    def close(self):
        if self in _open:
            _open.remove(self)

    def render(self):
        if not self._tui.is_valid():
            return
        self._lines, self._ids = _look(self._tui.width)
        self._draw()

    def _draw(self):
        height, width = self._tui.height, self._tui.width
        self._first = max(0, min(self._first, len(self._lines) - height))
        shown = self._lines[self._first:self._first + height]
        # One write of the whole window: no flicker.
        self._tui.write("\n".join(format.cut(line, width - 1) for line in shown), True)

    def vscroll(self, n):
        self._first += n
        self._draw()

    def click(self, x, y, button):
        which = self._ids.get(self._first + y)
        if which is not None:
            gdb.post_event(lambda: _select(which))


def _select(which):
    try:
        gdb.execute("co %d" % which)
    except gdb.error as error:
        gdb.write("%s\n" % error)
    _redraw()


def _look(width):
    """Lines of text, and line -> ID."""
    try:
        # Not by pausing co ID's selection: GDB would forget what its source window shows.
        with settings.any_text(), reader.keep_selection():
            s = commands.Session()
            if not s.snapshot.envs:
                return ["no coroutines yet"], {}
            if not selection.is_on():   # else the program stands where it stood
                _where.clear()
                _where.update(s.walked())
            where = _where
            return viewformat.window(s.snapshot, selection.selected(), lambda co: format.where_is(co, s.names, where), width)
    except (reader.NotReady, layout.LayoutError, model.Unreadable, gdb.error) as error:
        return [str(error)], {}


def _redraw():
    for window in _open:
        window.render()


def _shell(tui):
    return sys.modules["costep.tui"].Window(tui)


def register():
    if not hasattr(gdb, "register_window_type"):
        return      # a GDB without TUI
    try:
        gdb.register_window_type("coroutines", _shell)
        gdb.execute(_LAYOUT, to_string=True)
    except gdb.error:
        pass        # loaded before: both are there
    handlers.connect("before_prompt", _redraw)
