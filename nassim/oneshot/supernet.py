"""One network for all cells of NAS-Bench-201's spaces, and the stand-alone network of each.

Outside of the cells it is :class:`nassim.networks.nasbench201.NASBench201Network` itself. Given
the gates of one architecture, it computes what that architecture's own network computes with the
same weights, number for number, and so do the gradients.

Difference from most supernets: the batch norms within operations keep their scale and shift
(``affine``), as the stand-alone networks have them. A method that weights several operations at a
time sets ``affine=False``, because a scale can undo a weight (as DARTS does).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.networks.initialise import initialise
from nassim.networks.nasbench201 import Cell, NASBench201Network
from nassim.oneshot.mixed import Gates, MixedOp
from nassim.records import Architecture
from nassim.spaces.base import Space
from nassim.spaces.nasbench201 import EDGES, NASBench201Space

__all__ = ["MixedCell", "Supernet"]


class MixedCell(nn.Module):
    """A cell whose edges hold all operations; nodes are summed in the order of :class:`Cell`.

    ``options`` are the operations of each edge.
    """

    def __init__(self, options: Sequence[Sequence[str]], width: int, *, affine: bool) -> None:
        super().__init__()
        self.ends = EDGES[: len(options)]
        self.edges = nn.ModuleList(MixedOp(width, names, affine=affine) for names in options)

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        nodes: dict[int, Tensor] = {0: x}
        for edge, gate, (source, to) in zip(self.edges, gates, self.ends, strict=True):
            value = nodes[source] if source in nodes else x.new_zeros(x.shape)
            term = edge(value, gate)
            if term is not None:
                nodes[to] = nodes[to] + term if to in nodes else term
        output = self.ends[-1][1]
        return nodes[output] if output in nodes else x.new_zeros(x.shape)


class Supernet(nn.Module):
    """Images (n, inputs, height, width) and gates, one a decision, to scores (n, classes).

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201_3nodes")
    >>> supernet = Supernet(space, channels=4, cells=1, classes=10, inputs=1)
    >>> one = space.architecture((3, 1, 4))
    >>> x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> torch.equal(supernet(x, one.decisions), supernet.standalone(one)(x))
    True

    Raises
    ------
    InputError
        if it is not one of NAS-Bench-201's spaces, or its edges offer unequal numbers of
        operations.
    """

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
        if not isinstance(space, NASBench201Space):
            raise InputError(
                f"There is no supernet of space {space.name!r}; expected 'nasbench201' or "
                "'nasbench201_3nodes'."
            )
        if len(set(space.n_choices)) > 1:
            raise InputError(
                f"Edges of space {space.name!r} offer {min(space.n_choices)} to "
                f"{max(space.n_choices)} operations; expected as many on each edge."
            )
        self.space = space
        self.sizes = {"channels": channels, "cells": cells, "classes": classes, "inputs": inputs}
        nothing = space.architecture((0,) * space.n_decisions)
        skeleton = NASBench201Network(nothing, **self.sizes)
        self.stem, self.norm, self.head = skeleton.stem, skeleton.norm, skeleton.head
        layers: list[nn.Module] = []
        width = channels
        for layer in skeleton.layers:
            if isinstance(layer, Cell):
                layer = MixedCell(space.options, width, affine=affine)
            else:
                width *= 2
            layers.append(layer)
        self.layers = nn.ModuleList(layers)
        initialise(self, generator or torch.Generator().manual_seed(0))

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x, gates) if isinstance(layer, MixedCell) else layer(x)
        x = F.relu(self.norm(x))
        return cast(Tensor, self.head(x.mean(dim=(2, 3))))

    def shared_names(self, architecture: Architecture) -> dict[str, str]:
        """Names in the architecture's own ``state_dict``, and what they are called in this one."""
        options = self.space.names(architecture.decisions)
        used = [edge for edge, option in enumerate(options) if option != "none"]
        here = self.state_dict()
        names = {}
        for name in NASBench201Network(architecture, **self.sizes).state_dict():
            ours = name
            if ".operations." in name:
                layer, rest = name.split(".operations.")
                place, _, inner = rest.partition(".")
                edge = used[int(place)]
                ours = f"{layer}.edges.{edge}.options.{options[edge]}.{inner}"
            if ours in here:  # without ``affine`` batch norms have no scale and shift
                names[name] = ours
        return names

    def standalone(self, architecture: Architecture) -> NASBench201Network:
        """The architecture's own network with a copy of the weights and statistics it has here."""
        network = NASBench201Network(architecture, **self.sizes)
        here = self.state_dict()
        names = self.shared_names(architecture)
        network.load_state_dict({own: here[ours] for own, ours in names.items()}, strict=False)
        return network.train(self.training)
