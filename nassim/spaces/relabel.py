"""Cells of (input, operation, input, operation) that are one cell with its parts in another order.

Inputs 0 and 1 are those of the cell; its blocks are numbered from 2.
"""

from __future__ import annotations

import functools
import itertools

__all__ = ["Block", "relabelled"]

Block = tuple[int, int, int, int]  # input 1, operation 1, input 2, operation 2


@functools.lru_cache(maxsize=10_000)
def relabelled(cell: tuple[Block, ...]) -> frozenset[tuple[Block, ...]]:
    """The cell in all orders of its blocks, the two halves of each block in ascending order.

    >>> sorted(relabelled(((1, 0, 0, 0), (0, 5, 1, 0))))
    [((0, 0, 1, 0), (0, 5, 1, 0)), ((0, 5, 1, 0), (0, 0, 1, 0))]
    """
    found = set()
    for order in itertools.permutations(range(len(cell))):
        # order[k] is the old number of the block that becomes block k
        new = {0: 0, 1: 1} | {old + 2: k + 2 for k, old in enumerate(order)}
        blocks: list[Block] = []
        for k, old in enumerate(order):
            in1, op1, in2, op2 = cell[old]
            first, second = sorted(((new[in1], op1), (new[in2], op2)))
            if second[0] >= k + 2:  # this order uses a block before it is made
                break
            blocks.append((*first, *second))
        else:
            found.add(tuple(blocks))
    return frozenset(found)
