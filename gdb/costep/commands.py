# SPDX-License-Identifier: MIT
"""What all commands share: the program as it is at this stop, and errors that are one line.

Each command takes a snapshot of the program's memory, makes lines of it and returns
them. Whatever goes wrong becomes one line that says what to do.
"""
import contextlib

import gdb

from . import (arguments, format, frames, jsonout, layout, meaning, model, places, reader, selection, settings,
               unwind)
from .arguments import Usage, at_most_one


class Session:
    """What a command knows of the program at this stop."""

    def __init__(self):
        self.reader = reader.Reader()
        self.layout = reader.find_layout(self.reader)
        self.snapshot = model.take_snapshot(self.reader, self.layout)
        for env in self.snapshot.envs:
            if not env.is_stray:
                continue
            # The copier first: at its entry trampoline there is nothing on its stack yet.
            link = frames.unlisted(self.snapshot, env, self.reader)
            if link is not None:
                self.snapshot.on_copier(env, link)
            elif model.is_blank(self.reader, env.cpu.rsp):
                self.snapshot.on_lost_stack(env)
        self._names = None
        self._frames = {}
        self.n_unwalked = 0     # walked() has not looked for the places of so many

    def frames_of(self, co):
        """Its frames, walked once: a resumer's are part of many a backtrace."""
        if co.address not in self._frames:
            self._frames[co.address] = frames.of(self.reader, co)
        return self._frames[co.address]

    @property
    def names(self):
        if self._names is None:
            # In a program with coroutines the contexts have better names.
            contexts = [] if self.layout.envs else self.reader.contexts()
            self._names = meaning.Names(self.reader, self.snapshot, contexts)
        return self._names

    @property
    def cpu(self):
        """The selected thread."""
        return next(cpu for cpu in self.snapshot.cpus if cpu.is_selected)

    def find(self, text):
        """What a command's argument means: a Coroutine or a Context."""
        if text.isdigit():
            found = [co for co in self.snapshot.all if co.id == int(text)]
            if not found:
                raise Usage("no coroutine %s; %s" % (text, self._which()))
        else:
            found = [co for co in self.snapshot.all if co.name == text.strip('"')]
        if len(found) > 1:
            raise Usage("%d coroutines are called %s: give an ID (%s)"
                        % (len(found), text, format.cut(", ".join(str(co.id) for co in found), 40)))
        if found:
            return found[0]
        address = self.reader.context(text)
        if address:
            return model.read_context(self.reader, self.layout, address)
        raise Usage("no coroutine \"%s\"; %s" % (text, self._which()))

    def whom(self, text):
        """Whom @text names; without one, the one selected by co, else the one on the
        processor; None."""
        if text:
            return self.find(text)
        co = selection.of_thread()
        return co and self.snapshot.by_address.get(co.address) or self.snapshot.selected()

    def _which(self):
        if self.snapshot.all:
            return "co-list shows them"
        names = ", ".join(name for name, _ in self.reader.contexts())
        return "this program has only contexts: %s" % names if names else "there is none yet: see co-list"

    def walked(self):
        """Where they are, by address, of those whose frames must tell: who runs, who has resumed
        another, and who is in a hooked call."""
        where, found = {}, places.Places(self.reader)
        for co in sorted(self.snapshot.all, key=lambda co: not co.cpu):
            if not co.cpu and (co.state in ("new", "done") or
                               co.blocked_at and not self.reader.is_library_code(co.blocked_at)):
                continue    # (a hooked call is noted where the hook waits)
            try:
                place = found.of(co)
            except places.Full:
                self.n_unwalked += 1
                continue
            if place:
                where[co.address] = place
        return where

    def unwalked(self):
        """A line, if walked() has given up."""
        return ["(where %d of them are in your code was not looked for: too many differ; co-bt ID tells it)"
                % self.n_unwalked] if self.n_unwalked else []


def one_argument(args):
    return at_most_one(gdb.string_to_argv(args))


def split(args, options):
    return arguments.split(gdb.string_to_argv(args), options)


def no_words(args, options):
    """The options of a command that takes nothing else."""
    words, found = split(args, options)
    if words:
        raise Usage("takes no arguments but %s" % ", ".join(options))
    return found


def width():
    return gdb.parameter("width") or format.WIDTH


class Told(Usage):
    """The command's lines are written; it fails for the sake of the exit status."""


class Command(gdb.Command):
    """Turns exceptions into one line; subclasses have a name and run()."""

    known = []  # those that are registered, for co-help

    def __init__(self):
        super().__init__(self.name, gdb.COMMAND_STACK)
        Command.known.append(self)

    def invoke(self, args, from_tty):
        try:
            with settings.any_text(), self.around():
                lines = self.run(args)
        except (Usage, reader.NotReady, layout.LayoutError, model.Unreadable, unwind.Unwound, gdb.error) as error:
            self._fail(args, str(error), isinstance(error, Told))
        except KeyboardInterrupt:   # Ctrl-C, or q where GDB asks for the next page
            raise gdb.GdbError("%s: interrupted" % self.name)
        except Exception as error:  # a fault of ours must not look like one of the program
            self._fail(args, "a fault in this command (%s: %s); please report it" % (type(error).__name__, error))
        else:
            with settings.any_text():
                gdb.write("\n".join(lines) + "\n" if lines else "")

    def _fail(self, args, text, is_told=False):
        """As GDB's commands fail. Whoever has asked for -json gets a document, too."""
        if "-json" in args.split() and not is_told:
            with settings.any_text():
                gdb.write(jsonout.document(self.name, error=text)[0] + "\n")
        raise gdb.GdbError("%s: %s" % (self.name, text))

    @staticmethod
    @contextlib.contextmanager
    def around():
        """What the command may not change for the user: co ID's selection, thread, frame."""
        with selection.paused(), reader.keep_selection():
            yield
