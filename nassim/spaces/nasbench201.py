"""The NAS-Bench-201 cell space (Dong & Yang 2020): four nodes, six edges, five operations.

Text and order of the edges are the benchmark's: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``. The same
space on three nodes is small enough that every cell of it can be trained.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nassim.errors import InputError
from nassim.spaces.base import Space

__all__ = ["EDGES", "OPERATIONS", "NASBench201Space", "NASBench201ThreeNodeSpace"]

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
# (from, to), in the order of the text; a cell of three nodes has the first three
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))

_EDGE = re.compile(r"(\w+)~\d")


class NASBench201Space(Space):
    """Six decisions, the operation of each edge.

    >>> space = NASBench201Space()
    >>> architecture = space.architecture((3, 0, 1, 0, 0, 1))  # conv, then two identities
    >>> architecture.id
    '|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|'
    >>> architecture.canonical_id == space.architecture((0, 0, 0, 3, 0, 0)).canonical_id
    True
    """

    name = "nasbench201"
    n_choices = (len(OPERATIONS),) * len(EDGES)

    def decisions(self, text: str) -> tuple[int, ...]:
        names = _EDGE.findall(text)
        if len(names) == self.n_decisions and set(names) <= set(OPERATIONS):
            decisions = tuple(OPERATIONS.index(name) for name in names)
            if self.format(decisions) == text:
                return decisions
        raise InputError(
            f"Architecture {text!r} is not of space {self.name!r}; expected "
            f"'{_text(['op'] * self.n_decisions)}' with op one of {', '.join(OPERATIONS)}."
        )

    def format(self, decisions: tuple[int, ...]) -> str:
        return _text([OPERATIONS[op] for op in decisions])

    def canonical(self, decisions: tuple[int, ...]) -> str:
        """The function of the cell: zero edges dropped, identities resolved, sums flattened."""
        return functional_class(decisions, EDGES[: self.n_decisions])

    def pruned(self, decisions: tuple[int, ...]) -> tuple[int, ...]:
        """``none`` on each edge that no path from the input to the output takes.

        >>> NASBench201ThreeNodeSpace().pruned((3, 1, 0))  # node 1 leads nowhere
        (0, 1, 0)
        """
        edges = EDGES[: self.n_decisions]
        used = [end for op, end in zip(decisions, edges, strict=True) if OPERATIONS[op] != "none"]
        reached, needed = {0}, {edges[-1][1]}
        for source, to in sorted(used):  # each node after those that lead to it
            if source in reached:
                reached.add(to)
        for source, to in sorted(used, key=lambda end: -end[1]):
            if to in needed:
                needed.add(source)
        kept = [(source in reached and to in needed) for source, to in edges]
        return tuple(op if keep else 0 for op, keep in zip(decisions, kept, strict=True))


class NASBench201ThreeNodeSpace(NASBench201Space):
    """The same operations on three nodes: three decisions, 125 texts, 59 functions and zero.

    >>> space = NASBench201ThreeNodeSpace()
    >>> space.architecture((3, 1, 4)).id
    '|nor_conv_3x3~0|+|skip_connect~0|avg_pool_3x3~1|'
    >>> len(list(space.every())), len({one.canonical_id for one in space.every()})
    (125, 60)
    """

    name = "nasbench201_3nodes"
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


def functional_class(decisions: Sequence[int], edges: Sequence[tuple[int, int]]) -> str:
    """A text that is equal for cells that compute the same function up to their weights.

    ``none`` is an exact zero and ``skip_connect`` an exact identity, so zero terms vanish,
    an identity passes the terms of its input on, and a sum is a multiset of terms.

    >>> functional_class((1, 1, 1, 0, 0, 0), EDGES)  # nothing reaches the output
    '0'
    """
    terms: dict[int, list[str]] = {0: ["x"]}
    for op, (source, to) in zip(decisions, edges, strict=True):
        inputs, name = terms[source], OPERATIONS[op]
        node = terms.setdefault(to, [])
        if name == "none" or not inputs:
            continue
        if name == "skip_connect":
            node += inputs
        else:
            node.append(f"{name}({'+'.join(sorted(inputs))})")
    return "+".join(sorted(terms[max(terms)])) or "0"
