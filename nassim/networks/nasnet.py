"""Networks of the NASNet cell space (Zoph et al. 2018): a stem, and normal and reduction cells.

Differences from the paper, all for speed on small images: one reduction cell instead of two (in
the place that ``skeleton`` says), a separable convolution is applied once instead of twice, no
auxiliary head and no drop-path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.networks.stacked import Place, StackedCells
from nassim.records import Architecture
from nassim.spaces.nasnet import OPERATIONS, Block, blocks

__all__ = [
    "AveragePool",
    "Cell",
    "FactorizedReduction",
    "Identity",
    "MaxPool",
    "NASNetNetwork",
    "PairedCell",
    "ReLUConv",
    "add_blocks",
    "halved",
    "loose_blocks",
    "operation",
    "shifted",
]


class NASNetNetwork(StackedCells):
    """Images (n, inputs, height, width) to scores (n, classes); see :class:`StackedCells`."""

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
            cell = blocks(architecture.decisions, int(place.reduction))
            return Cell(cell, place, first_inputs, second_inputs)

        super().__init__(
            make,
            channels=channels,
            cells=cells,
            classes=classes,
            inputs=inputs,
            skeleton=skeleton,
        )


class PairedCell(nn.Module):
    """Two inputs, brought to one size and width, and two operations for each block.

    ``names`` are the operations by number, and ``make(name, width, stride)`` makes one.
    """

    def __init__(
        self,
        cell: Sequence[Block],
        place: Place,
        first_inputs: int,
        second_inputs: int,
        names: Sequence[str],
        make: Callable[[str, int, int], nn.Module],
    ) -> None:
        super().__init__()
        align = FactorizedReduction if place.halve_first else ReLUConv
        self.first = align(first_inputs, place.width)
        self.second = ReLUConv(second_inputs, place.width)
        self.operations = nn.ModuleList()
        self.sources: list[tuple[int, int]] = []
        for in1, op1, in2, op2 in cell:
            self.sources.append((in1, in2))
            for source, number in ((in1, op1), (in2, op2)):
                # only the cell's inputs are large; blocks are already reduced
                stride = place.stride if source < 2 else 1
                self.operations.append(make(names[number], place.width, stride))


class Cell(PairedCell):
    """Five blocks; the outputs that no block uses are concatenated."""

    def __init__(
        self, cell: Sequence[Block], place: Place, first_inputs: int, second_inputs: int
    ) -> None:
        super().__init__(cell, place, first_inputs, second_inputs, OPERATIONS, operation)
        self.loose = loose_blocks(cell)
        self.channels = place.width * len(self.loose)

    def forward(self, before_last: Tensor, last: Tensor) -> Tensor:
        states = [self.first(F.relu(before_last)), self.second(F.relu(last))]
        add_blocks(states, self.sources, self.operations)  # type: ignore[arg-type]  # a ModuleList
        ends = [states[k] for k in self.loose]
        return ends[0] if len(ends) == 1 else torch.cat(ends, dim=1)


def add_blocks(
    states: list[Tensor],
    sources: Sequence[tuple[int, int]],
    operations: Sequence[nn.Module],
) -> None:
    """Append to the states of a cell those of its blocks, each the sum of two operations.

    ``operations`` are two for each pair of ``sources``. One whose ``needs_relu`` is True is given
    the ReLU of its source, which is computed once for all of them.
    """
    active: dict[int, Tensor] = {}  # ReLU of states, if needed

    def apply(operation: nn.Module, source: int) -> Tensor:
        if not operation.needs_relu:
            output: Tensor = operation(states[source])
            return output
        if source not in active:
            active[source] = F.relu(states[source])
        output = operation(active[source])
        return output  # noqa: RET504  # typed

    for k, (in1, in2) in enumerate(sources):
        a = apply(operations[2 * k], in1)
        states.append(a + apply(operations[2 * k + 1], in2))


def loose_blocks(cell: Sequence[Block]) -> list[int]:
    """The numbers, from 2, of the blocks that no block uses.

    >>> loose_blocks([(0, 0, 1, 0), (0, 0, 2, 0), (0, 0, 1, 0)])
    [3, 4]
    """
    used = {source for in1, _, in2, _ in cell for source in (in1, in2)}
    return [k + 2 for k in range(len(cell)) if k + 2 not in used]


def operation(name: str, width: int, stride: int) -> nn.Module:
    """An operation on states of ``width`` channels."""
    if name == "sep3":
        return SeparableConv(width, 3, stride)
    if name == "sep5":
        return SeparableConv(width, 5, stride)
    if name == "avg3":
        return AveragePool(stride)
    if name == "max3":
        return MaxPool(stride)
    return FactorizedReduction(width, width) if stride == 2 else Identity()


class ReLUConv(nn.Module):
    """1x1 convolution and batch norm of an input that went through a ReLU already."""

    needs_relu = True

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv = _conv(inputs, width, 1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y


class FactorizedReduction(nn.Module):
    """Halves the image by two 1x1 convolutions, the second on the pixels between the first's."""

    needs_relu = True

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.even = _conv(inputs, width // 2, 1)
        self.odd = _conv(inputs, width - width // 2, 1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.even(halved(x)), self.odd(halved(shifted(x)))]
        y: Tensor = self.norm(torch.cat(parts, dim=1))
        return y


def halved(x: Tensor) -> Tensor:
    """Every second pixel of images (n, channels, height, width), both ways.

    A 1x1 convolution of it is one of stride 2. That one, on four channels or fewer, writes outside
    of its memory in its backward pass (PyTorch 2.13 on some CPUs).
    """
    return x[:, :, ::2, ::2]


def shifted(x: Tensor) -> Tensor:
    """Images (n, channels, height, width) by a pixel; what comes in at the end is zeros."""
    return F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]


class SeparableConv(nn.Module):
    """Depthwise and pointwise convolution, then batch norm, of a rectified input."""

    needs_relu = True

    def __init__(self, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.depthwise = _conv(width, width, kernel, stride, groups=width)
        self.pointwise = _conv(width, width, 1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.pointwise(self.depthwise(x)))
        return y


class AveragePool(nn.Module):
    """3x3 average; zeros around the image are not counted."""

    needs_relu = False

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, self.stride, padding=1, count_include_pad=False)


class MaxPool(nn.Module):
    """3x3 maximum."""

    needs_relu = False

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, self.stride, padding=1)


class Identity(nn.Module):
    """The input itself."""

    needs_relu = False

    def forward(self, x: Tensor) -> Tensor:
        return x


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
