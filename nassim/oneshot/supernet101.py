"""One network for all cells of NAS-Bench-101 of up to so many vertices.

Outside of the cells it is :class:`nassim.networks.nasbench101.NASBench101Network` itself. Each
vertex holds its three operations, its projection of the cell's input, and its part of the output's
1x1 convolution; a cell runs what belongs to its vertices and edges. The parts of the vertices that
lead to the output are put together to the one convolution that the stand-alone network has there,
so outputs and gradients are equal number for number.

An operation meets other sources in other cells, and the batch norm of the output is one for all
sets of vertices that lead there. Vertices have the numbers that the space gives them, upward along
the edges, so isomorphic cells run other weights and are scored differently.

Differences from Yu et al. (2020), who reduce NAS-Bench-101 likewise: there a vertex is as narrow as
the number of others at the output demands, and a supernet takes slices or drops channels. Here
networks have all channels at each vertex (see ``nassim.networks.nasbench101``). The parts of the
output's convolution start as convolutions of their own do; a batch norm follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.networks.initialise import initialise
from nassim.networks.nasbench101 import N_STAGES, NASBench101Network, convolution, operation
from nassim.oneshot.mixed import Gates
from nassim.oneshot.supernet import Supernet, joined
from nassim.records import Architecture
from nassim.spaces.base import Space
from nassim.spaces.nasbench101 import (
    EDGES,
    MAX_VERTICES,
    OPERATIONS,
    Graph,
    NASBench101Space,
    graph,
)

__all__ = ["NASBench101Supernet", "SharedCell"]


class SharedCell(nn.Module):
    """(n, inputs, height, width) to (n, width, height, width), by any cell of its vertices.

    It computes in the order of :class:`nassim.networks.nasbench101.Cell`. What a cell does not run
    gets no gradient (``grad`` stays None), and its statistics stay.
    """

    def __init__(self, vertices: int, inputs: int, width: int, *, affine: bool) -> None:
        super().__init__()
        inner = range(1, vertices - 1)
        self.projections = nn.ModuleDict({str(k): convolution(inputs, width, 1) for k in inner})
        self.operations = nn.ModuleList(
            nn.ModuleDict({name: operation(name, width) for name in OPERATIONS}) for _ in inner
        )
        if not affine:
            for options in self.operations:
                for option in cast(nn.ModuleDict, options).values():
                    if isinstance(option, nn.Sequential):
                        option[1] = nn.BatchNorm2d(width, affine=False)
        self.parts = nn.ModuleList(
            nn.Conv2d(size, width, 1, bias=False) for size in (inputs, *(width for _ in inner))
        )
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor, cell: Graph) -> Tensor:
        *inner, ends = cell.inputs
        states = [x]
        for vertex, (sources, number) in enumerate(
            zip(inner, cell.operations, strict=True), start=1
        ):
            terms = [
                self.projections[str(vertex)](x) if source == 0 else states[source]
                for source in sources
            ]
            options = cast(nn.ModuleDict, self.operations[vertex - 1])
            states.append(options[OPERATIONS[number]](sum(terms[1:], terms[0])))
        weight = joined([cast(Tensor, self.parts[source].weight) for source in ends])
        outputs = F.conv2d(torch.cat([states[source] for source in ends], dim=1), weight)
        return F.relu(self.norm(outputs))


class NASBench101Supernet(Supernet):
    """Images (n, inputs, height, width) and the decisions of a cell to scores (n, classes).

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench101:vertices=4")
    >>> supernet = NASBench101Supernet(space, channels=4, cells=1, classes=10, inputs=1)
    >>> one = space.parse("conv3x3(0)|max3x3(0,1)|output(0,2)")
    >>> x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> torch.equal(supernet(x, one.decisions), supernet.standalone(one)(x))
    True

    Raises
    ------
    InputError
        if it is not the space of NAS-Bench-101; when it is run, if gates are not the decisions of
        a cell, or the cell has more vertices than the space.
    """

    edgewise: ClassVar[bool] = False

    def __init__(
        self,
        space: Space,
        *,
        channels: int,
        cells: int,
        classes: int,
        inputs: int,
        affine: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(space, NASBench101Space):
            raise InputError(
                f"This is no supernet of space {space.name!r}; expected 'nasbench101'."
            )
        self.space = space
        self.sizes = {"channels": channels, "cells": cells, "classes": classes, "inputs": inputs}
        self.vertices = space.vertices or MAX_VERTICES
        self.operations = tuple(range(len(EDGES), len(EDGES) + self.vertices - 2))
        self.stem = convolution(inputs, channels, 3)
        layers: list[nn.Module] = []
        width = channels
        for stage in range(N_STAGES):
            if stage > 0:
                layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
            for _cell in range(cells):
                layers.append(SharedCell(self.vertices, width, channels * 2**stage, affine=affine))
                width = channels * 2**stage
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(width, classes)
        initialise(self, generator or torch.Generator().manual_seed(0))

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        cell = self._cell(gates)
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x, cell) if isinstance(layer, SharedCell) else layer(x)
        return cast(Tensor, self.head(x.mean(dim=(2, 3))))

    def _cell(self, gates: Gates) -> Graph:
        if not all(isinstance(gate, int) for gate in gates):
            raise InputError(
                "The supernet of space 'nasbench101' was given weights of operations; expected "
                "the decisions of one cell, whole numbers."
            )
        cell = graph(cast(Sequence[int], gates))
        if cell.vertices > self.vertices:
            raise InputError(
                f"A cell of {cell.vertices} vertices was given to the supernet of cells of "
                f"{self.vertices}; expected at most as many. Take the supernet of a larger space."
            )
        return cell

    def network(self, architecture: Architecture) -> NASBench101Network:
        return NASBench101Network(architecture, **self.sizes)

    def shared_names(self, architecture: Architecture) -> dict[str, tuple[str, ...]]:
        cell = self._cell(architecture.decisions)
        here = self.state_dict()
        names: dict[str, tuple[str, ...]] = {}
        for name in self.network(architecture).state_dict():
            parts = self._names(name, cell)
            if all(part in here for part in parts):  # without ``affine``: no scale and shift
                names[name] = parts
        return names

    def _names(self, name: str, cell: Graph) -> tuple[str, ...]:
        """What a tensor of the stand-alone network of a cell is called here."""
        if not name.startswith("layers."):
            return (name,)
        _, number, rest = name.split(".", 2)
        layer = f"layers.{int(number) - 1}"
        kind, _, inner = rest.partition(".")
        if number == "0":
            return (f"stem.{rest}",)
        if kind == "operations":
            vertex, _, inner = inner.partition(".")
            return (
                f"{layer}.operations.{vertex}.{OPERATIONS[cell.operations[int(vertex)]]}.{inner}",
            )
        if rest == "output.0.weight":
            return tuple(f"{layer}.parts.{source}.weight" for source in cell.inputs[-1])
        if kind == "output":
            return (f"{layer}.norm.{inner.partition('.')[2]}",)
        return (f"{layer}.{rest}",)
