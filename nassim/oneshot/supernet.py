"""What every supernet answers, and that of NAS-Bench-201's spaces: one network for all its cells.

Outside of the cells it is :class:`nassim.networks.nasbench201.NASBench201Network` itself. Given
the gates of one architecture, it computes what that architecture's own network computes with the
same weights, number for number, and so do the gradients.

Difference from most supernets: the batch norms within operations keep their scale and shift
(``affine``), as the stand-alone networks have them. A method that weights several operations at a
time sets ``affine=False``, because a scale can undo a weight (as DARTS does).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.errors import InputError
from nassim.loading import load
from nassim.networks.initialise import initialise
from nassim.networks.nasbench201 import Cell, NASBench201Network, operation
from nassim.oneshot import SUPERNETS
from nassim.oneshot.mixed import Gates, MixedOp
from nassim.records import Architecture
from nassim.spaces.base import Space
from nassim.spaces.nasbench201 import EDGES, OPERATIONS, NASBench201Space

__all__ = [
    "MixedCell",
    "NASBench201Supernet",
    "Supernet",
    "build_supernet",
    "joined",
    "mixed_op",
    "supernet_of",
]


class Supernet(nn.Module, ABC):
    """One network for all architectures of a space: each runs a part of its weights.

    It is built as :func:`build_supernet` says. ``sizes`` are those of its networks; ``stem`` is
    what images meet first, whatever the architecture. ``operations`` are the decisions that choose
    an operation: of any architecture, they may be exchanged for any others. ``edgewise`` says that
    these are all decisions, and that a gate may also be weights of the operations of its decision;
    without it a supernet runs whole architectures of its space alone. ``drawable`` says that any
    decisions together are an architecture; ``shrinkable`` that all are parts of the largest one.

    ``mixable`` says that gates may also be weights of the ``options`` of each edge, of which all
    edges have equally many, whether edges are decisions or not. ``targets`` are the nodes that the
    edges lead to, as numbers.
    """

    edgewise: ClassVar[bool]
    drawable: ClassVar[bool] = False
    mixable: ClassVar[bool] = False
    shrinkable: ClassVar[bool] = False
    options: tuple[tuple[str, ...], ...] = ()
    targets: tuple[int, ...] = ()
    space: Space
    sizes: dict[str, int]
    operations: tuple[int, ...]
    stem: nn.Module

    @abstractmethod
    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        """Images (n, inputs, height, width) and gates, one a decision, to scores (n, classes)."""

    @abstractmethod
    def network(self, architecture: Architecture) -> nn.Module:
        """The architecture's own network, with weights of its own."""

    @abstractmethod
    def shared_names(self, architecture: Architecture) -> dict[str, tuple[str, ...]]:
        """Names in the architecture's own ``state_dict``; of what here :meth:`own` makes each."""

    def own(self, parts: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
        """A tensor of this shape of an architecture's own network, of those that it shares.

        ``parts`` are those of :meth:`shared_names`; here they are joined along the second axis.
        """
        return joined(parts)

    def discretise(self, weights: Tensor) -> Architecture:
        """The architecture that weights (edges, options) come to; of those that are ``mixable``.

        Here each edge is a decision, and keeps the option of most weight other than ``none``.
        """
        weights = weights.clone()
        weights[self.offers("none").to(weights.device)] = -1
        return self.space.architecture(tuple(weights.argmax(dim=1).tolist()))

    def offers(self, *names: str) -> Tensor:
        """Where options of these names are: True in (edges, options); of those ``mixable``."""
        return torch.tensor([[name in names for name in options] for options in self.options])

    def chosen(self, architecture: Architecture) -> list[tuple[int, int]]:
        """The edges of an architecture, and the option of each; here every decision is one."""
        return list(enumerate(architecture.decisions))

    def standalone(self, architecture: Architecture) -> nn.Module:
        """The architecture's own network with a copy of the weights and statistics it has here."""
        network = self.network(architecture)
        here, shapes = self.state_dict(), network.state_dict()
        own = {
            name: self.own([here[part] for part in parts], shapes[name].shape)
            for name, parts in self.shared_names(architecture).items()
        }
        network.load_state_dict(own, strict=False)
        return network.train(self.training)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """One tensor of several that lie side by side along the second axis; one is as it is."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)


def supernet_of(space: Space) -> type[Supernet]:
    """The class of a space's supernets.

    Raises
    ------
    InputError
        if it has none.
    """
    if space.name not in SUPERNETS:
        known = ", ".join(map(repr, SUPERNETS))
        raise InputError(f"There is no supernet of space {space.name!r}; expected one of {known}.")
    return cast(type[Supernet], load(SUPERNETS[space.name]))


def build_supernet(
    space: Space,
    *,
    channels: int,
    cells: int,
    classes: int,
    inputs: int,
    skeleton: str = "",
    affine: bool = True,
    generator: torch.Generator | None = None,
) -> Supernet:
    """The supernet of a space, its weights drawn from ``generator`` (seed 0 where none is given).

    Sizes and skeleton are those of :func:`nassim.networks.build_network`; without ``affine`` batch
    norms within operations have no scale and shift.

    Raises
    ------
    InputError
        if the space has none.
    """
    order = {"skeleton": skeleton} if skeleton else {}
    return supernet_of(space)(
        space,
        channels=channels,
        cells=cells,
        classes=classes,
        inputs=inputs,
        affine=affine,
        generator=generator,
        **order,
    )


class MixedCell(nn.Module):
    """A cell whose edges hold all operations; nodes are summed in the order of :class:`Cell`.

    ``options`` are the operations of each edge.
    """

    def __init__(self, options: Sequence[Sequence[str]], width: int, *, affine: bool) -> None:
        super().__init__()
        self.ends = EDGES[: len(options)]
        self.edges = nn.ModuleList(mixed_op(width, names, affine=affine) for names in options)

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        nodes: dict[int, Tensor] = {0: x}
        for edge, gate, (source, to) in zip(self.edges, gates, self.ends, strict=True):
            value = nodes[source] if source in nodes else x.new_zeros(x.shape)
            term = edge(value, gate)
            if term is not None:
                nodes[to] = nodes[to] + term if to in nodes else term
        output = self.ends[-1][1]
        return nodes[output] if output in nodes else x.new_zeros(x.shape)


def mixed_op(width: int, names: Sequence[str] = OPERATIONS, *, affine: bool = True) -> MixedOp:
    """An edge on images of so many channels, with the operations of these names."""
    options = {name: None if name == "none" else operation(name, width) for name in names}
    return MixedOp(options, affine=affine)


class NASBench201Supernet(Supernet):
    """Images (n, inputs, height, width) and gates, one a decision, to scores (n, classes).

    >>> from nassim.spaces import get_space
    >>> space = get_space("nasbench201_3nodes")
    >>> supernet = NASBench201Supernet(space, channels=4, cells=1, classes=10, inputs=1)
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

    edgewise: ClassVar[bool] = True
    drawable: ClassVar[bool] = True
    mixable: ClassVar[bool] = True
    space: NASBench201Space

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
                f"This is no supernet of space {space.name!r}; expected 'nasbench201', "
                "'nasbench201_3nodes' or one of fewer operations, as 's2_tiny'."
            )
        if len(set(space.n_choices)) > 1:
            raise InputError(
                f"Edges of space {space.name!r} offer {min(space.n_choices)} to "
                f"{max(space.n_choices)} operations; expected as many on each edge."
            )
        self.space = space
        self.sizes = {"channels": channels, "cells": cells, "classes": classes, "inputs": inputs}
        self.options = space.options
        self.operations = tuple(range(space.n_decisions))
        self.targets = tuple(to for _, to in EDGES[: space.n_decisions])
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

    def network(self, architecture: Architecture) -> NASBench201Network:
        return NASBench201Network(architecture, **self.sizes)

    def shared_names(self, architecture: Architecture) -> dict[str, tuple[str, ...]]:
        options = self.space.names(architecture.decisions)
        used = [edge for edge, option in enumerate(options) if option != "none"]
        here = self.state_dict()
        names: dict[str, tuple[str, ...]] = {}
        for name in self.network(architecture).state_dict():
            ours = name
            if ".operations." in name:
                layer, rest = name.split(".operations.")
                place, _, inner = rest.partition(".")
                edge = used[int(place)]
                ours = f"{layer}.edges.{edge}.options.{options[edge]}.{inner}"
            if ours in here:  # without ``affine`` batch norms have no scale and shift
                names[name] = (ours,)
        return names
