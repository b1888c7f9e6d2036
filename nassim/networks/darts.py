"""Networks of the cell space of DARTS (Liu, Simonyan & Yang 2019).

Cells are the paper's: each operation is ReLU, convolutions and batch norm, a separable convolution
is applied twice, and a skip that halves the image is a factorised reduction.

Differences from the paper: one reduction cell instead of two, in the place that ``skeleton`` says;
a stem of ``channels`` (paper: three times as many); a ReLU ahead of the head, as in the networks of
space ``nasnet``; no auxiliary head and no drop-path.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.networks.nasnet import (
    AveragePool,
    FactorizedReduction,
    Identity,
    MaxPool,
    PairedCell,
)
from nassim.networks.stacked import Place, StackedCells
from nassim.records import Architecture
from nassim.spaces.darts import OPERATIONS, Node, nodes

__all__ = ["Cell", "DARTSNetwork", "operation"]


class DARTSNetwork(StackedCells):
    """Images (n, inputs, height, width) to scores (n, classes); see :class:`StackedCells`.

    The paper has 36 channels and 20 cells.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int,
        cells: int,
        classes: int,
        inputs: int,
        skeleton: str = "NRN",
    ) -> None:
        def make(place: Place, first_inputs: int, second_inputs: int) -> Cell:
            cell = nodes(architecture.decisions, int(place.reduction))
            return Cell(cell, place, first_inputs, second_inputs)

        super().__init__(
            make,
            channels=channels,
            cells=cells,
            classes=classes,
            inputs=inputs,
            skeleton=skeleton,
        )


class Cell(PairedCell):
    """Four nodes; the outputs of all are concatenated."""

    def __init__(
        self, cell: Sequence[Node], place: Place, first_inputs: int, second_inputs: int
    ) -> None:
        super().__init__(cell, place, first_inputs, second_inputs, OPERATIONS, operation)
        self.channels = place.width * len(cell)

    def forward(self, before_last: Tensor, last: Tensor) -> Tensor:
        states = [self.first(F.relu(before_last)), self.second(F.relu(last))]
        for k, (in1, in2) in enumerate(self.sources):
            a = self.operations[2 * k](states[in1])
            states.append(a + self.operations[2 * k + 1](states[in2]))
        return torch.cat(states[2:], dim=1)


def operation(name: str, width: int, stride: int) -> nn.Module:
    """An operation on states of ``width`` channels."""
    if name == "max3":
        return MaxPool(stride)
    if name == "avg3":
        return AveragePool(stride)
    if name == "skip":
        if stride == 1:
            return Identity()
        return nn.Sequential(nn.ReLU(), FactorizedReduction(width, width))
    kernel = int(name[3:])
    if name.startswith("dil"):
        return nn.Sequential(*_separable(width, kernel, stride, dilation=2))
    return nn.Sequential(*_separable(width, kernel, stride), *_separable(width, kernel, 1))


def _separable(width: int, kernel: int, stride: int, dilation: int = 1) -> list[nn.Module]:
    """ReLU, depthwise and pointwise convolution, batch norm."""
    reach = dilation * (kernel // 2)
    return [
        nn.ReLU(),
        nn.Conv2d(width, width, kernel, stride, reach, dilation, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
    ]
