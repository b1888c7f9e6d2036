"""Networks of NAS-Bench-101 (Ying et al. 2019): three stages of cells, joined by max poolings.

Difference from the paper: there a cell's channels are split among the vertices that lead to its
output, so that a vertex is the narrower the more others lead there, and their concatenation is the
output. Here each vertex has all channels, and the output is a 1x1 convolution of the concatenation.
So each weight belongs to one vertex or one edge and has the same shape in all cells that
have these, which is what networks that share weights between cells need. An edge from
the input to the output is one more part of the concatenation (the paper adds it).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nassim.records import Architecture
from nassim.spaces.nasbench101 import OPERATIONS, Graph, graph

__all__ = ["N_STAGES", "Cell", "NASBench101Network", "convolution", "operation"]

N_STAGES = 3


class NASBench101Network(nn.Module):
    """Images (n, inputs, height, width) to scores; the paper has 128 channels and 3 cells."""

    def __init__(
        self, architecture: Architecture, *, channels: int, cells: int, classes: int, inputs: int
    ) -> None:
        super().__init__()
        cell = graph(architecture.decisions)
        layers: list[nn.Module] = [convolution(inputs, channels, 3)]
        width = channels
        for stage in range(N_STAGES):
            if stage > 0:
                # ceil: an odd image keeps its last row
                layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
            for _cell in range(cells):
                layers.append(Cell(cell, width, channels * 2**stage))
                width = channels * 2**stage
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.layers(x).mean(dim=(2, 3)))
        return scores


class Cell(nn.Module):
    """(n, inputs, height, width) to (n, width, height, width).

    A vertex is an operation on the sum of its inputs, of which the cell's own input is projected
    by a 1x1 convolution, one for each vertex that reads it.
    """

    def __init__(self, cell: Graph, inputs: int, width: int) -> None:
        super().__init__()
        *self.sources, self.ends = cell.inputs
        self.projections = nn.ModuleDict(
            {
                str(vertex): convolution(inputs, width, 1)
                for vertex, sources in enumerate(self.sources, start=1)
                if 0 in sources
            }
        )
        self.operations = nn.ModuleList(operation(OPERATIONS[op], width) for op in cell.operations)
        widths = [inputs if source == 0 else width for source in self.ends]
        self.output = convolution(sum(widths), width, 1)

    def forward(self, x: Tensor) -> Tensor:
        states = [x]
        for vertex, (sources, apply) in enumerate(
            zip(self.sources, self.operations, strict=True), start=1
        ):
            terms = [
                self.projections[str(vertex)](x) if source == 0 else states[source]
                for source in sources
            ]
            states.append(apply(sum(terms[1:], terms[0])))
        output: Tensor = self.output(torch.cat([states[source] for source in self.ends], dim=1))
        return output


def operation(name: str, width: int) -> nn.Module:
    """An operation on images of so many channels."""
    if name == "max3x3":
        return nn.MaxPool2d(3, stride=1, padding=1)
    return convolution(width, width, 1 if name == "conv1x1" else 3)


def convolution(inputs: int, width: int, kernel: int) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, width, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )
