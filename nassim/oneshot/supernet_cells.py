"""Supernets of the cell spaces ``darts`` and ``nasnet``.

Outside of the cells, and in the order of what is added, they are the stand-alone networks. Given
the decisions of one architecture, they compute what its own network computes with the same weights,
number for number, and so do the gradients. What an architecture does not use has no gradient.

- ``darts``: each edge of a cell has all operations, with weights of their own. A gate of an edge
  may also be weights of its operations (:class:`nassim.oneshot.mixed.MixedOp`), of which
  ``none`` is one, so that mixtures can be trained. There is no batch norm behind poolings.
- ``nasnet``: each half of each block has weights of its own for each source and operation, so
  two halves that read the same by the same operation are two operations, as in the stand-alone
  network, and each weight is met equally often. Half of the weights would do if halves shared
  them, which commute; but then two equal halves would need a second set that is hardly ever
  trained. Whole paths alone are run. What reads the concatenated output of a cell has a part of
  its weights for each block that may be in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.networks.darts import DARTSNetwork
from nassim.networks.darts import operation as darts_operation
from nassim.networks.initialise import initialise
from nassim.networks.nasnet import (
    FactorizedReduction,
    NASNetNetwork,
    ReLUConv,
    add_blocks,
    halved,
    loose_blocks,
    shifted,
)
from nassim.networks.nasnet import operation as nasnet_operation
from nassim.networks.stacked import Place, StackedCells, places
from nassim.oneshot.mixed import Gate, Gates, MixedOp, without_scales
from nassim.oneshot.supernet import Supernet, joined
from nassim.records import Architecture
from nassim.spaces import darts, nasnet
from nassim.spaces.base import Space

__all__ = ["DARTSSupernet", "NASNetSupernet"]

SKELETON = "NRN"
_OPTIONS = ("none", "skip", "max3", "avg3", "sep3", "sep5", "dil3", "dil5")  # of an edge of darts


class DARTSSupernet(Supernet):
    """Images (n, inputs, height, width) and gates to scores (n, classes).

    Gates are the decisions of one architecture, or one for each of the 28 edges: the 14 of
    :data:`nassim.spaces.darts.EDGES` in the normal cell, and those of the reduction cell.

    >>> from nassim.spaces import get_space
    >>> import numpy as np
    >>> space = get_space("darts")
    >>> supernet = DARTSSupernet(space, channels=4, cells=1, classes=10, inputs=1)
    >>> one = space.sample(np.random.default_rng(0))
    >>> x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> torch.equal(supernet(x, one.decisions), supernet.standalone(one)(x))
    True

    Raises
    ------
    InputError
        if it is another space.
    """

    edgewise: ClassVar[bool] = False
    drawable: ClassVar[bool] = True
    mixable: ClassVar[bool] = True
    options = (_OPTIONS,) * (2 * len(darts.EDGES))
    targets = tuple(
        cell * darts.N_NODES + to - 2 for cell in range(2) for _source, to in darts.EDGES
    )

    def __init__(
        self,
        space: Space,
        *,
        channels: int,
        cells: int,
        classes: int,
        inputs: int,
        affine: bool = True,
        skeleton: str = SKELETON,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(space, darts.DARTSSpace):
            raise InputError(f"This is no supernet of space {space.name!r}; expected 'darts'.")
        self.space = space
        self.sizes = {"channels": channels, "cells": cells, "classes": classes, "inputs": inputs}
        self.skeleton = skeleton
        n = len(darts.OPERATIONS)
        self.operations = tuple(k for k in range(space.n_decisions) if space.n_choices[k] == n)

        def make(place: Place, first_inputs: int, second_inputs: int) -> MixedCell:
            return MixedCell(place, first_inputs, second_inputs, _OPTIONS, affine=affine)

        frame = StackedCells(make, **self.sizes, skeleton=skeleton)
        self.places = places(skeleton, cells, channels)
        self.stem, self.cells, self.head = frame.stem, frame.cells, frame.head
        initialise(self, generator or torch.Generator().manual_seed(0))

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        each = self._of_edges(gates)
        before_last = last = self.stem(x)
        for place, cell in zip(self.places, self.cells, strict=True):
            before_last, last = last, cell(before_last, last, each[place.reduction])
        return cast(Tensor, self.head(F.relu(last).mean(dim=(2, 3))))

    def discretise(self, weights: Tensor) -> Architecture:
        """Of each node the two edges with the strongest operation, and that operation.

        ``none`` is no operation (the paper's rule). Of equals the first.
        """
        strength, option = weights[:, 1:].max(dim=1)  # without none
        found = []
        for number in range(2 * darts.N_NODES):
            edges = [edge for edge, target in enumerate(self.targets) if target == number]
            strongest = sorted(edges, key=lambda edge: -float(strength[edge]))[:2]
            node: list[int] = []
            for edge in sorted(strongest):
                name = _OPTIONS[1 + int(option[edge])]
                node += [edges.index(edge), darts.OPERATIONS.index(name)]
            found.append((node[0], node[1], node[2], node[3]))
        return self.space.architecture(darts.decisions_of(found))

    def chosen(self, architecture: Architecture) -> list[tuple[int, int]]:
        return [
            (cell * len(darts.EDGES) + edge, option)
            for cell in range(2)
            for edge, option in enumerate(self._edges_of(architecture.decisions, cell))
            if option is not None
        ]

    def network(self, architecture: Architecture) -> DARTSNetwork:
        return DARTSNetwork(architecture, **self.sizes, skeleton=self.skeleton)

    def shared_names(self, architecture: Architecture) -> dict[str, tuple[str, ...]]:
        here = self.state_dict()
        names: dict[str, tuple[str, ...]] = {}
        for name in self.network(architecture).state_dict():
            ours = name
            if ".operations." in name:
                cell, rest = name.split(".operations.")
                half, _, inner = rest.partition(".")
                place = self.places[int(cell.removeprefix("cells."))]
                node, second = divmod(int(half), 2)
                chosen = darts.nodes(architecture.decisions, int(place.reduction))[node]
                source, op = chosen[2 * second : 2 * second + 2]
                edge = darts.EDGES.index((source, node + 2))
                ours = f"{cell}.edges.{edge}.options.{darts.OPERATIONS[op]}.{inner}"
            if ours in here:  # without ``affine`` batch norms have no scale and shift
                names[name] = (ours,)
        return names

    def _of_edges(self, gates: Gates) -> tuple[Sequence[Gate | None], Sequence[Gate | None]]:
        """Those of the normal cell's edges, and of the reduction cell's; None: is not run."""
        n = len(darts.EDGES)
        if len(gates) == 2 * n:
            return gates[:n], gates[n:]
        decisions = [gate for gate in gates if isinstance(gate, int)]
        return self._edges_of(decisions, 0), self._edges_of(decisions, 1)

    def _edges_of(self, decisions: Sequence[int], cell: int) -> list[int | None]:
        """The option of each edge of cell 0 (normal) or 1 (reduction); None: the cell has none."""
        found: list[int | None] = [None] * len(darts.EDGES)
        for to, (in1, op1, in2, op2) in enumerate(darts.nodes(decisions, cell), start=2):
            for source, op in ((in1, op1), (in2, op2)):
                name = darts.OPERATIONS[op]
                found[darts.EDGES.index((source, to))] = _OPTIONS.index(name)
        return found


class MixedCell(nn.Module):
    """A cell of DARTS with all its edges, each of all operations."""

    def __init__(
        self,
        place: Place,
        first_inputs: int,
        second_inputs: int,
        options: Sequence[str],
        *,
        affine: bool,
    ) -> None:
        super().__init__()
        width = place.width
        align = FactorizedReduction if place.halve_first else ReLUConv
        self.first = align(first_inputs, width)
        self.second = ReLUConv(second_inputs, width)
        self.edges = nn.ModuleList()
        for source, _to in darts.EDGES:
            stride = place.stride if source < 2 else 1
            operations = {
                name: None if name == "none" else darts_operation(name, width, stride)
                for name in options
            }
            self.edges.append(MixedOp(operations, stride=stride, affine=affine))
        self.stride = place.stride
        self.channels = width * darts.N_NODES

    def forward(self, before_last: Tensor, last: Tensor, gates: Sequence[Gate | None]) -> Tensor:
        states = [self.first(F.relu(before_last)), self.second(F.relu(last))]
        for node in range(2, darts.N_NODES + 2):
            total: Tensor | None = None
            for edge, gate, (source, to) in zip(self.edges, gates, darts.EDGES, strict=True):
                term = edge(states[source], gate) if to == node and gate is not None else None
                if term is not None:
                    total = term if total is None else total + term
            if total is None:  # of an edge "none" alone is run
                total = torch.zeros_like(states[0][:, :, :: self.stride, :: self.stride])
            states.append(total)
        return torch.cat(states[2:], dim=1)


class NASNetSupernet(Supernet):
    """Images (n, inputs, height, width) and the decisions of one architecture to scores.

    >>> from nassim.spaces import get_space
    >>> import numpy as np
    >>> space = get_space("nasnet")
    >>> supernet = NASNetSupernet(space, channels=4, cells=1, classes=10, inputs=1)
    >>> one = space.sample(np.random.default_rng(0))
    >>> x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> torch.equal(supernet(x, one.decisions), supernet.standalone(one)(x))
    True

    Raises
    ------
    InputError
        if it is another space.
    """

    edgewise: ClassVar[bool] = False
    drawable: ClassVar[bool] = True

    def __init__(
        self,
        space: Space,
        *,
        channels: int,
        cells: int,
        classes: int,
        inputs: int,
        affine: bool = True,
        skeleton: str = SKELETON,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(space, nasnet.NASNetSpace):
            raise InputError(f"This is no supernet of space {space.name!r}; expected 'nasnet'.")
        self.space = space
        self.sizes = {"channels": channels, "cells": cells, "classes": classes, "inputs": inputs}
        self.skeleton = skeleton
        self.operations = tuple(range(1, space.n_decisions, 2))
        self.places = places(skeleton, cells, channels)
        self.stem = nn.Sequential(
            nn.Conv2d(inputs, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )
        # of the stem and the cells: the channels of each part of an output
        parts = [(channels,), *((place.width,) * nasnet.N_BLOCKS for place in self.places)]
        self.cells = nn.ModuleList(
            PathCell(place, *(parts[source + 1] for source in place.sources), affine=affine)
            for place in self.places
        )
        self.head = PartedLinear(parts[-1], classes)
        initialise(self, generator or torch.Generator().manual_seed(0))

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        decisions = [gate for gate in gates if isinstance(gate, int)]
        cells = [nasnet.blocks(tuple(decisions), cell) for cell in range(2)]
        loose = [loose_blocks(cell) for cell in cells]
        before_last = last = self.stem(x)
        before_last_parts = last_parts = [0]
        for place, cell in zip(self.places, self.cells, strict=True):
            output = cell(before_last, last, before_last_parts, last_parts, cells[place.reduction])
            before_last, last = last, output
            before_last_parts, last_parts = last_parts, [k - 2 for k in loose[place.reduction]]
        return cast(Tensor, self.head(F.relu(last).mean(dim=(2, 3)), last_parts))

    def network(self, architecture: Architecture) -> NASNetNetwork:
        return NASNetNetwork(architecture, **self.sizes, skeleton=self.skeleton)

    def shared_names(self, architecture: Architecture) -> dict[str, tuple[str, ...]]:
        here = self.state_dict()
        cells = [nasnet.blocks(architecture.decisions, cell) for cell in range(2)]
        # of the stem, number -1 and so the last, and of the cells
        parts = [
            *([k - 2 for k in loose_blocks(cells[place.reduction])] for place in self.places),
            [0],
        ]
        names: dict[str, tuple[str, ...]] = {}
        for name in self.network(architecture).state_dict():
            ours = [name]
            layer, _, rest = name.partition(".")
            if layer == "cells":
                number, kind, rest = rest.split(".", 2)
                place = self.places[int(number)]
                if kind == "operations":
                    half, _, inner = rest.partition(".")
                    block, second = divmod(int(half), 2)
                    chosen = cells[place.reduction][block]
                    source, op = chosen[2 * second : 2 * second + 2]
                    option = nasnet.OPERATIONS[op]
                    ours = [f"cells.{number}.operations.{half}.{source}.{option}.{inner}"]
                elif not rest.startswith("norm"):
                    read = place.sources[kind == "second"]
                    conv, _, inner = rest.partition(".")
                    ours = [f"cells.{number}.{kind}.{conv}.parts.{k}.{inner}" for k in parts[read]]
            elif name == "head.weight":
                ours = [f"head.parts.{k}.weight" for k in parts[-2]]
            if ours[0] in here:  # without ``affine`` batch norms have no scale and shift
                names[name] = tuple(ours)
        return names


class PathCell(nn.Module):
    """A cell of ``nasnet`` with all operations of all halves of blocks, of which a path is run."""

    def __init__(
        self,
        place: Place,
        first_parts: Sequence[int],
        second_parts: Sequence[int],
        *,
        affine: bool,
    ) -> None:
        super().__init__()
        width = place.width
        align = PartedReduction if place.halve_first else PartedReLUConv
        self.first = align(first_parts, width)
        self.second = PartedReLUConv(second_parts, width)
        # [2 * block + half][source][operation]
        self.operations = nn.ModuleList()
        for block in range(nasnet.N_BLOCKS):
            for _half in range(2):
                sources = nn.ModuleList()
                for source in range(block + 2):
                    stride = place.stride if source < 2 else 1
                    made = {
                        name: nasnet_operation(name, width, stride) for name in nasnet.OPERATIONS
                    }
                    sources.append(nn.ModuleDict(made))
                self.operations.append(sources)
        if not affine:
            without_scales(self.operations)

    def forward(
        self,
        before_last: Tensor,
        last: Tensor,
        before_last_parts: Sequence[int],
        last_parts: Sequence[int],
        cell: Sequence[nasnet.Block],
    ) -> Tensor:
        states = [
            self.first(F.relu(before_last), before_last_parts),
            self.second(F.relu(last), last_parts),
        ]
        halves = [half for in1, op1, in2, op2 in cell for half in ((in1, op1), (in2, op2))]
        operations = [
            options[source][nasnet.OPERATIONS[op]]  # type: ignore[index]  # a list of dictionaries
            for options, (source, op) in zip(self.operations, halves, strict=True)
        ]
        add_blocks(states, [(in1, in2) for in1, _, in2, _ in cell], operations)
        ends = [states[k] for k in loose_blocks(cell)]
        return ends[0] if len(ends) == 1 else torch.cat(ends, dim=1)


class PartedConv(nn.Module):
    """A 1x1 convolution of some of so many parts, concatenated: a part of the weights for each.

    Difference from :class:`torch.nn.Conv2d`: initial weights do not depend on how many parts there
    will be, of which the batch norm behind it makes nothing.
    """

    def __init__(self, parts: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv2d(inputs, outputs, 1, bias=False) for inputs in parts)

    def forward(self, x: Tensor, parts: Sequence[int]) -> Tensor:
        weights = [cast(Tensor, self.parts[k].weight) for k in parts]
        return F.conv2d(x, joined(weights))


class PartedReLUConv(nn.Module):
    """:class:`nassim.networks.nasnet.ReLUConv` of some of so many parts."""

    def __init__(self, parts: Sequence[int], width: int) -> None:
        super().__init__()
        self.conv = PartedConv(parts, width)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor, parts: Sequence[int]) -> Tensor:
        return cast(Tensor, self.norm(self.conv(x, parts)))


class PartedReduction(nn.Module):
    """:class:`nassim.networks.nasnet.FactorizedReduction` of some of so many parts."""

    def __init__(self, parts: Sequence[int], width: int) -> None:
        super().__init__()
        self.even = PartedConv(parts, width // 2)
        self.odd = PartedConv(parts, width - width // 2)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor, parts: Sequence[int]) -> Tensor:
        y = torch.cat([self.even(halved(x), parts), self.odd(halved(shifted(x)), parts)], dim=1)
        return cast(Tensor, self.norm(y))


class PartedLinear(nn.Module):
    """A linear layer of some of so many parts, concatenated."""

    def __init__(self, parts: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(inputs, outputs, bias=False) for inputs in parts)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, parts: Sequence[int]) -> Tensor:
        weights = [cast(Tensor, self.parts[k].weight) for k in parts]
        return F.linear(x, joined(weights), self.bias)
