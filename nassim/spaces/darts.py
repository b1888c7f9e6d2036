"""The cell space of DARTS (Liu, Simonyan & Yang 2019).

A cell has four nodes, numbered from 2; 0 and 1 are the outputs of the two previous cells. A node
takes two different inputs, each 0, 1 or an earlier node, applies one operation to each and adds the
results. The outputs of all nodes are concatenated. An architecture is a normal and a reduction
cell. The operation ``none`` of the paper's search is no operation of a cell.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np

from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces.base import Space
from nassim.spaces.relabel import Block, relabelled

__all__ = ["EDGES", "N_NODES", "OPERATIONS", "DARTSSpace", "Node", "decisions_of", "nodes"]

OPERATIONS = ("max3", "avg3", "skip", "sep3", "sep5", "dil3", "dil5")
N_NODES = 4
# (from, to): all that a node may read, in the order of the nodes
EDGES = tuple((source, to) for to in range(2, N_NODES + 2) for source in range(to))

# the inputs that a node may have, in the order of its decision; the first has no choice
_PAIRS = tuple(tuple(itertools.combinations(range(to), 2)) for to in range(2, N_NODES + 2))
_HALF = re.compile(r"(\d)([a-z]+\d?)")

Node = Block  # of which input 1 is smaller than input 2


class DARTSSpace(Space):
    """22 decisions: two cells x four nodes x (pair of inputs, operation, operation).

    A pair is one decision, so that every decision tuple is a cell of distinct inputs and no cell
    has two tuples; the first node has no choice of inputs, and no such decision.

    >>> import math
    >>> import numpy as np
    >>> space = DARTSSpace()
    >>> architecture = space.sample(np.random.default_rng(0))
    >>> space.parse(architecture.id) == architecture
    True
    >>> architecture.id.split("||")[0]  # the normal cell
    '0dil3+1sep5|0avg3+2skip|0max3+1max3|0dil3+2sep5'
    >>> math.prod(space.n_choices[:11])  # the paper's 10^9
    1037664180
    """

    name = "darts"
    n_choices = tuple(
        choices
        for _cell in range(2)
        for pairs in _PAIRS
        for choices in (len(pairs), len(OPERATIONS), len(OPERATIONS))
        if choices > 1
    )
    has_skeleton = True

    def decisions(self, text: str) -> tuple[int, ...]:
        cells = [
            [[_half(half, text) for half in node.split("+")] for node in cell.split("|")]
            for cell in text.split("||")
        ]
        found = [(*halves[0], *halves[1]) for cell in cells for halves in cell if len(halves) == 2]
        if len(found) == 2 * N_NODES and all(
            (node[0], node[2]) in _PAIRS[k % N_NODES] for k, node in enumerate(found)
        ):
            decisions = decisions_of(found)
            if self.format(decisions) == text:
                return decisions
        raise InputError(
            f"Architecture {text!r} is not of space 'darts'; expected two cells joined by '||', "
            f"each of {N_NODES} nodes joined by '|', each of two different inputs, the smaller "
            "first, as in '0sep3+1skip|0max3+2dil5|...'."
        )

    def format(self, decisions: tuple[int, ...]) -> str:
        return "||".join(_format_cell(nodes(decisions, cell)) for cell in range(2))

    def canonical(self, decisions: tuple[int, ...]) -> str:
        """The smallest text over all orders of the nodes of each cell."""
        cells = (nodes(decisions, cell) for cell in range(2))
        return "||".join(min(map(_format_cell, relabelled(cell))) for cell in cells)

    def sample_class(self, rng: np.random.Generator) -> Architecture:
        """Uniform over classes, then over texts: one of n texts of its class is kept 1 in n times.

        The two cells are independent.
        """
        cells: list[Node] = []
        for _cell in range(2):
            cell = nodes(self.sample(rng).decisions, 0)
            while rng.random() * len(relabelled(cell)) >= 1:
                cell = nodes(self.sample(rng).decisions, 0)
            cells += cell
        return self.architecture(decisions_of(cells))


def nodes(decisions: Sequence[int], cell: int) -> tuple[Node, ...]:
    """The nodes of cell 0 (normal) or 1 (reduction).

    >>> cell = "0sep3+1skip|0max3+2dil5|1skip+3skip|0skip+4skip"
    >>> nodes(DARTSSpace().decisions(f"{cell}||{cell}"), 0)
    ((0, 3, 1, 2), (0, 0, 2, 6), (1, 2, 3, 2), (0, 2, 4, 2))
    """
    values = iter(decisions[cell * len(decisions) // 2 :])
    found = []
    for pairs in _PAIRS:
        in1, in2 = pairs[next(values) if len(pairs) > 1 else 0]
        found.append((in1, next(values), in2, next(values)))
    return tuple(found)


def decisions_of(cells: Sequence[Node]) -> tuple[int, ...]:
    """The decisions of the nodes of the normal cell and those of the reduction cell after them.

    The inverse of :func:`nodes`. Raises ValueError where inputs are none that a node may have.
    """
    values: list[int] = []
    for k, (in1, op1, in2, op2) in enumerate(cells):
        pairs = _PAIRS[k % N_NODES]
        pair = pairs.index((in1, in2))
        values += [pair, op1, op2] if len(pairs) > 1 else [op1, op2]
    return tuple(values)


def _half(half: str, text: str) -> tuple[int, int]:
    match = _HALF.fullmatch(half)
    if match is None or match[2] not in OPERATIONS:
        raise InputError(
            f"{half!r} in architecture {text!r} is not an input and an operation; expected "
            f"a digit and one of {', '.join(OPERATIONS)}, as in '0sep3'."
        )
    return int(match[1]), OPERATIONS.index(match[2])


def _format_cell(cell: Sequence[Node]) -> str:
    return "|".join(f"{in1}{OPERATIONS[op1]}+{in2}{OPERATIONS[op2]}" for in1, op1, in2, op2 in cell)
