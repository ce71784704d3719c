# SPDX-License-Identifier: MIT
"""A command's words: options and the rest."""


class Usage(Exception):
    """The arguments make no sense; the text says which do."""


def split(words, options):
    """-> (the words that are no options, {option: its value, True if it has none}).

    options: {"-json": None, "-diff": "ID"}; a text names the value that must follow."""
    rest, found = [], {}
    words = list(words)
    while words:
        word = words.pop(0)
        if word not in options:
            if word.startswith("-"):
                raise Usage("there is no option %s; there %s: %s" % (
                    word, "are" if len(options) > 1 else "is",
                    ", ".join(o + (" " + v if v else "") for o, v in options.items())))
            rest.append(word)
        elif options[word] is None:
            found[word] = True
        elif not words:
            raise Usage("%s wants %s behind it" % (word, options[word]))
        else:
            found[word] = words.pop(0)
    return rest, found


def at_most_one(words):
    if len(words) > 1:
        raise Usage("one ID or name is enough, but there are %d words" % len(words))
    return words[0] if words else None
