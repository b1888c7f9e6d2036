"""The NASNet cell space (Zoph et al. 2018), with the five operations of ENAS's micro space.

A cell has five blocks. A block takes two inputs, each one of the two previous cells (0, 1) or an
earlier block (2, 3, ...), applies one operation to each and adds the results. Outputs of blocks
that no block uses are concatenated. An architecture is a normal and a reduction cell.
"""

from __future__ import annotations

import itertools
import re

import numpy as np

from nassim.errors import InputError
from nassim.records import Architecture
from nassim.spaces.base import Space
from nassim.spaces.relabel import Block, relabelled

__all__ = ["N_BLOCKS", "OPERATIONS", "Block", "NASNetSpace", "blocks"]

OPERATIONS = ("sep3", "sep5", "avg3", "max3", "skip")
N_BLOCKS = 5

# of each block, all pairs of an (input, operation) and another or the same one
_PAIRS = tuple(
    tuple(
        itertools.combinations_with_replacement(
            itertools.product(range(block + 2), range(len(OPERATIONS))), 2
        )
    )
    for block in range(N_BLOCKS)
)
_HALF = re.compile(r"(\d)([a-z]+\d?)")


class NASNetSpace(Space):
    """Forty decisions: two cells x five blocks x (input, operation, input, operation).

    >>> import numpy as np
    >>> space = NASNetSpace()
    >>> architecture = space.sample(np.random.default_rng(0))
    >>> space.parse(architecture.id) == architecture
    True
    >>> architecture.id.split("||")[0]  # the normal cell
    '1max3+1sep5|0sep3+0sep3|0skip+2skip|2max3+4max3|3avg3+3skip'
    """

    name = "nasnet"
    n_choices = tuple(
        choices
        for _cell in range(2)
        for block in range(N_BLOCKS)
        for choices in (block + 2, len(OPERATIONS)) * 2
    )
    has_skeleton = True

    def decisions(self, text: str) -> tuple[int, ...]:
        halves = [
            half
            for cell in text.split("||")
            for block in cell.split("|")
            for half in block.split("+")
        ]
        values: list[int] = []
        for half in halves:
            match = _HALF.fullmatch(half)
            if match is None or match[2] not in OPERATIONS:
                raise InputError(
                    f"{half!r} in architecture {text!r} is not an input and an operation; expected "
                    f"a digit and one of {', '.join(OPERATIONS)}, as in '0sep3'."
                )
            values += [int(match[1]), OPERATIONS.index(match[2])]
        decisions = tuple(values)
        if len(decisions) != self.n_decisions or self.format(decisions) != text:
            raise InputError(
                f"Architecture {text!r} is not of space 'nasnet'; expected two cells joined by "
                f"'||', each of {N_BLOCKS} blocks joined by '|', as in '0sep3+1skip|...'."
            )
        return decisions

    def format(self, decisions: tuple[int, ...]) -> str:
        return "||".join(_format_cell(blocks(decisions, cell)) for cell in range(2))

    def canonical(self, decisions: tuple[int, ...]) -> str:
        """The smallest text over all orders of the blocks and of a block's two halves."""
        cells = (blocks(decisions, cell) for cell in range(2))
        return "||".join(min(map(_format_cell, relabelled(cell))) for cell in cells)

    def sample_class(self, rng: np.random.Generator) -> Architecture:
        """Uniform over classes, then over texts.

        Halves are drawn as pairs without an order; a cell that then has n orders of its blocks is
        kept 1 in n times, and its halves are put in a random order. The two cells are independent.
        """
        values: list[int] = []
        for _cell in range(2):
            cell = _unordered_cell(rng)
            while rng.random() * len(relabelled(cell)) >= 1:
                cell = _unordered_cell(rng)
            for in1, op1, in2, op2 in cell:
                swapped = rng.random() < 0.5
                values += (in2, op2, in1, op1) if swapped else (in1, op1, in2, op2)
        return self.architecture(tuple(values))


def blocks(decisions: tuple[int, ...], cell: int) -> tuple[Block, ...]:
    """The blocks of cell 0 (normal) or 1 (reduction)."""
    start = cell * 4 * N_BLOCKS
    return tuple(
        decisions[at : at + 4]  # type: ignore[misc]  # a slice of four is a Block
        for at in range(start, start + 4 * N_BLOCKS, 4)
    )


def _unordered_cell(rng: np.random.Generator) -> tuple[Block, ...]:
    """Blocks that are uniform over pairs of halves, of which the order does not count."""
    cell: list[Block] = []
    for halves in _PAIRS:
        first, second = halves[int(rng.integers(len(halves)))]
        cell.append((*first, *second))
    return tuple(cell)


def _format_cell(cell: tuple[Block, ...]) -> str:
    return "|".join(f"{in1}{OPERATIONS[op1]}+{in2}{OPERATIONS[op2]}" for in1, op1, in2, op2 in cell)
