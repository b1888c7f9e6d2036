"""The NAS-Bench-201 cell space (Dong & Yang 2020): four nodes, six edges, five operations.

Text and order of the edges are the benchmark's: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``. The same
space on three nodes is small enough that every cell of it can be trained.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nassim.errors import InputError
from nassim.spaces.base import Space

__all__ = ["EDGES", "OPERATIONS", "NASBench201Space", "NASBench201ThreeNodeSpace", "live_edges"]

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
# (from, to), in the order of the text; a cell of three nodes has the first three
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))

_EDGE = re.compile(r"(\w+)~\d")


class NASBench201Space(Space):
    """Six decisions, the operation of each edge.

    ``options`` names the operations of each edge in the order of its decision. A space that offers
    fewer is a subclass (see :mod:`nassim.spaces.restricted`); beside those of ``OPERATIONS`` an
    operation may be ``noise``, which ignores its input.

    >>> space = NASBench201Space()
    >>> architecture = space.architecture((3, 0, 1, 0, 0, 1))  # conv, then two identities
    >>> architecture.id
    '|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|'
    >>> architecture.canonical_id == space.architecture((0, 0, 0, 3, 0, 0)).canonical_id
    True
    """

    name = "nasbench201"
    options: tuple[tuple[str, ...], ...] = (OPERATIONS,) * len(EDGES)
    n_choices = (len(OPERATIONS),) * len(EDGES)

    def names(self, decisions: Sequence[int]) -> tuple[str, ...]:
        """The operation of each edge, by name."""
        return tuple(names[op] for names, op in zip(self.options, decisions, strict=True))

    def offers(self, name: str) -> NDArray[np.bool_]:
        """Where this operation is (decisions, most options): True at its number on each edge.

        >>> NASBench201ThreeNodeSpace().offers("skip_connect")[0].tolist()
        [False, True, False, False, False]
        """
        where = np.zeros((self.n_decisions, max(self.n_choices)), bool)
        for edge, names in enumerate(self.options):
            where[edge, : len(names)] = [one == name for one in names]
        return where

    def decisions(self, text: str) -> tuple[int, ...]:
        names = _EDGE.findall(text)
        if len(names) == self.n_decisions:
            edges = list(zip(self.options, names, strict=True))
            if all(name in options for options, name in edges):
                decisions = tuple(options.index(name) for options, name in edges)
                if self.format(decisions) == text:
                    return decisions
        each = self.options if len(set(self.options)) > 1 else self.options[:1]
        raise InputError(
            f"Architecture {text!r} is not of space {self.name!r}; expected "
            f"'{_text(['op'] * self.n_decisions)}' with op one of "
            f"{'; then of '.join(map(', '.join, each))}."
        )

    def format(self, decisions: tuple[int, ...]) -> str:
        return _text(self.names(decisions))

    def canonical(self, decisions: tuple[int, ...]) -> str:
        """The function of the cell: zero edges dropped, identities resolved, sums flattened."""
        return functional_class(self.names(decisions), EDGES[: self.n_decisions])

    def pruned(self, decisions: tuple[int, ...]) -> tuple[int, ...]:
        """``none`` on each edge that no path from the input to the output takes.

        Where an edge has no ``none`` it becomes ``noise``, which has no weights either; where it
        has neither it stays.

        >>> NASBench201ThreeNodeSpace().pruned((3, 1, 0))  # node 1 leads nowhere
        (0, 1, 0)
        """
        live = live_edges(self.names(decisions), EDGES[: self.n_decisions])
        pruned = []
        for op, is_live, names in zip(decisions, live, self.options, strict=True):
            idle = [names.index(name) for name in ("none", "noise") if name in names]
            pruned.append(op if is_live or not idle else idle[0])
        return tuple(pruned)


class NASBench201ThreeNodeSpace(NASBench201Space):
    """The same operations on three nodes: three decisions, 125 texts, 59 functions and zero.

    >>> space = NASBench201ThreeNodeSpace()
    >>> space.architecture((3, 1, 4)).id
    '|nor_conv_3x3~0|+|skip_connect~0|avg_pool_3x3~1|'
    >>> len(list(space.every())), len({one.canonical_id for one in space.every()})
    (125, 60)
    """

    name = "nasbench201_3nodes"
    options = (OPERATIONS,) * 3
    n_choices = (len(OPERATIONS),) * 3


def _text(names: Sequence[str]) -> str:
    """The benchmark's text of the names of a cell's edges.

    >>> _text(["a", "b", "c"])
    '|a~0|+|b~0|c~1|'
    """
    nodes: dict[int, str] = {}
    for name, (source, to) in zip(names, EDGES, strict=False):  # a small cell has fewer edges
        nodes[to] = nodes.get(to, "|") + f"{name}~{source}|"
    return "+".join(nodes.values())


def live_edges(names: Sequence[str], edges: Sequence[tuple[int, int]]) -> tuple[bool, ...]:
    """Which edges have a part in the output: those on a path to it from the input, or from noise.

    >>> live_edges(("skip_connect", "skip_connect", "noise"), EDGES[:3])  # noise hides node 1
    (False, True, True)
    """
    used = [(end, name) for name, end in zip(names, edges, strict=True) if name != "none"]
    reached, needed = {0}, {edges[-1][1]}
    for (source, to), name in sorted(used):  # each node after those that lead to it
        if source in reached or name == "noise":
            reached.add(to)
    for (source, to), name in sorted(used, key=lambda use: -use[0][1]):
        if to in needed and name != "noise":
            needed.add(source)
    return tuple(
        to in needed and (name == "noise" or (name != "none" and source in reached))
        for name, (source, to) in zip(names, edges, strict=True)
    )


def functional_class(names: Sequence[str], edges: Sequence[tuple[int, int]]) -> str:
    """A text that is equal for cells that compute the same function up to weights and noise.

    ``none`` is an exact zero and ``skip_connect`` an exact identity, so zero terms vanish,
    an identity passes the terms of its input on, and a sum is a multiset of terms. ``noise`` is a
    term whatever its input; a text does not tell noise that is drawn once and used twice from two
    draws (no space with an edge ``noise`` has an edge ``skip_connect``, which could use it twice).

    >>> functional_class(("skip_connect",) * 3 + ("none",) * 3, EDGES)  # nothing reaches the output
    '0'
    """
    terms: dict[int, list[str]] = {0: ["x"]}
    for name, (source, to) in zip(names, edges, strict=True):
        inputs = terms[source]
        node = terms.setdefault(to, [])
        if name == "noise":
            node.append(name)
            continue
        if name == "none" or not inputs:
            continue
        if name == "skip_connect":
            node += inputs
        else:
            node.append(f"{name}({'+'.join(sorted(inputs))})")
    return "+".join(sorted(terms[max(terms)])) or "0"
