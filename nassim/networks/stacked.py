"""The frame of networks of two kinds of cells: a stem, cells in an order, and a linear head."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Place", "StackedCells", "places"]


class Place(NamedTuple):
    """Where a cell stands in a network.

    ``sources`` are the numbers of the two cells that it reads, -1 for the stem. Its states have
    ``width`` channels. Its operations on inputs have ``stride``, and ``halve_first`` says whether
    its first input is twice as large as the second.
    """

    reduction: bool
    sources: tuple[int, int]
    width: int
    halve_first: bool

    @property
    def stride(self) -> int:
        return 2 if self.reduction else 1


def places(skeleton: str, cells: int, channels: int) -> list[Place]:
    """The places of a skeleton, in which ``N`` stands for ``cells`` normal cells.

    >>> [(place.sources, place.width, place.halve_first) for place in places("NRN", 1, 8)]
    [((-1, -1), 8, False), ((-1, 0), 16, False), ((0, 1), 16, True)]
    """
    reductions = [
        letter == "R" for letter in skeleton for _ in range(cells if letter == "N" else 1)
    ]
    return [
        Place(
            reduction,
            sources=(max(number - 2, -1), number - 1),
            width=channels * 2 ** sum(reductions[: number + 1]),
            halve_first=number > 0 and reductions[number - 1],
        )
        for number, reduction in enumerate(reductions)
    ]


class StackedCells(nn.Module):
    """Images (n, inputs, height, width) to scores (n, classes).

    ``skeleton`` is the order of the cells: ``N`` stands for ``cells`` normal cells, ``R`` for one
    reduction cell. In ``RN`` the reduction comes first, as in the NASNet paper's networks for
    ImageNet. A cell reads the outputs of the two before it; at the beginning both are the stem's.

    Parameters
    ----------
    make
        Makes the cell of a place whose inputs have so many channels; ``make(...).channels`` are
        those of its output.
    """

    def __init__(
        self,
        make: Callable[[Place, int, int], nn.Module],
        *,
        channels: int,
        cells: int,
        classes: int,
        inputs: int,
        skeleton: str = "NRN",
    ) -> None:
        super().__init__()
        stem = nn.Conv2d(inputs, channels, 3, padding=1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(channels))
        self.cells = nn.ModuleList()
        outputs = [channels]  # of the stem and the cells; the stem is number -1
        for place in places(skeleton, cells, channels):
            first, second = (outputs[source + 1] for source in place.sources)
            cell = make(place, first, second)
            self.cells.append(cell)
            outputs.append(int(cell.channels))  # type: ignore[arg-type]  # a number, no module
        self.head = nn.Linear(outputs[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        before_last = last = self.stem(x)
        for cell in self.cells:
            before_last, last = last, cell(before_last, last)
        scores: Tensor = self.head(F.relu(last).mean(dim=(2, 3)))
        return scores
