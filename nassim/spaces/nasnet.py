"""The NASNet cell space (Zoph et al. 2018), with the five operations of ENAS's micro space.

A cell has five blocks. A block takes two inputs, each one of the two previous cells (0, 1) or an
earlier block (2, 3, ...), applies one operation to each and adds the results. Outputs of blocks
that no block uses are concatenated. An architecture is a normal and a reduction cell.
"""

from __future__ import annotations

import functools
import itertools
import re

from nassim.errors import InputError
from nassim.spaces.base import Space

__all__ = ["N_BLOCKS", "OPERATIONS", "NASNetSpace"]

OPERATIONS = ("sep3", "sep5", "avg3", "max3", "skip")
N_BLOCKS = 5

_HALF = re.compile(r"(\d)([a-z]+\d?)")

Block = tuple[int, int, int, int]  # input 1, operation 1, input 2, operation 2


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
        return "||".join(_canonical_cell(blocks(decisions, cell)) for cell in range(2))


def blocks(decisions: tuple[int, ...], cell: int) -> tuple[Block, ...]:
    """The blocks of cell 0 (normal) or 1 (reduction)."""
    start = cell * 4 * N_BLOCKS
    return tuple(
        decisions[at : at + 4]  # type: ignore[misc]  # a slice of four is a Block
        for at in range(start, start + 4 * N_BLOCKS, 4)
    )


def _format_cell(cell: tuple[Block, ...]) -> str:
    return "|".join(f"{in1}{OPERATIONS[op1]}+{in2}{OPERATIONS[op2]}" for in1, op1, in2, op2 in cell)


@functools.cache
def _canonical_cell(cell: tuple[Block, ...]) -> str:
    """The smallest text over all orders of the blocks and of a block's two halves."""
    best = ""
    for order in itertools.permutations(range(N_BLOCKS)):
        # order[k] is the old number of the block that becomes block k
        new = {0: 0, 1: 1} | {old + 2: k + 2 for k, old in enumerate(order)}
        relabelled = []
        for k, old in enumerate(order):
            in1, op1, in2, op2 = cell[old]
            halves = sorted(((new[in1], op1), (new[in2], op2)))
            if halves[1][0] >= k + 2:  # this order uses a block before it is made
                break
            relabelled.append((*halves[0], *halves[1]))
        else:
            text = _format_cell(tuple(relabelled))
            best = min(best, text) if best else text
    return best
