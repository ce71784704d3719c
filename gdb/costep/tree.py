# SPDX-License-Identifier: MIT
"""Who has resumed whom: a tree from main, those whom nobody has resumed, and circles."""
from dataclasses import dataclass, field
from typing import List


@dataclass
class Tree:
    """Of one environment."""
    chain: List = field(default_factory=list)       # (depth, coroutine), from main on
    others: List = field(default_factory=list)      # nobody has resumed them
    circles: List = field(default_factory=list)     # each a list of those who have resumed one another
    strays: List = field(default_factory=list)      # resumed by one whom main's tree does not reach


def of(snapshot, env):
    children, tree = {}, Tree()
    for co in env.coroutines:
        resumer = None if co.is_main else snapshot.resumer_of(co)
        if resumer is not None:
            children.setdefault(resumer.address, []).append(co)
        elif not co.is_main:
            tree.others.append(co)
    reached = {co.address for co in tree.others}
    # No recursion: a chain may be a million long.
    waiting = [(0, co) for co in env.coroutines if co.is_main]
    while waiting:
        depth, co = waiting.pop()
        if co.address in reached:
            continue
        reached.add(co.address)
        tree.chain.append((depth, co))
        waiting += [(depth + 1, child) for child in reversed(children.get(co.address, []))]
    _circles(snapshot, env, reached, tree)
    return tree


def _circles(snapshot, env, reached, tree):
    in_circle = set()
    for start in env.coroutines:
        if start.address in reached or start.address in in_circle:
            continue
        seen, co = [], start
        while co is not None and co.address not in reached and co not in seen:
            seen.append(co)
            co = snapshot.resumer_of(co)
        if co in seen:
            circle = seen[seen.index(co):]
            if circle[0].address not in in_circle:
                tree.circles.append(circle)
                in_circle.update(c.address for c in circle)
    tree.strays = [co for co in env.coroutines if co.address not in reached and co.address not in in_circle]
