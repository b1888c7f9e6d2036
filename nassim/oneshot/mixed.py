"""One edge of a supernet: all operations of a decision, weighted by a gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nassim.networks.nasbench201 import operation
from nassim.oneshot.partial import first_channels, shuffle
from nassim.spaces.nasbench201 import OPERATIONS

__all__ = ["Gate", "Gates", "MixedOp", "Some", "running"]


class Some(NamedTuple):
    """Some operations of an edge and their weights (operations,): all are run, of weight 0 too.

    So the gradient of a weight that is 0 is there as well.
    """

    numbers: tuple[int, ...]
    weights: Tensor


Gate = int | Tensor | Some
Gates = Sequence[Gate]


class MixedOp(nn.Module):
    """The operations of an edge on images of ``width`` channels, each with its own weights.

    ``names`` are these operations, in the order of the edge's decision.

    A gate is the number of an operation, which alone is run, or weights (operations,), of which
    those that are not zero are run and added, or :class:`Some` operations. ``none`` has no weights
    and adds nothing, so an edge answers None where nothing else is run. With ``parts`` above 1,
    weights apply to the first of so many parts of the channels alone; the others pass by, times the
    sum of the weights, and then all are shuffled. What is not run gets no gradient (``grad`` stays
    None), so that an optimizer neither decays it nor moves it by an old momentum; its batch-norm
    statistics stay too.
    """

    def __init__(
        self, width: int, names: Sequence[str] = OPERATIONS, *, affine: bool = True
    ) -> None:
        super().__init__()
        self.parts = 1
        self.names = tuple(names)
        self.options = nn.ModuleDict(
            {name: operation(name, width) for name in names if name != "none"}
        )
        if not affine:
            for sequence in self.options.values():
                if isinstance(sequence, nn.Sequential):
                    sequence[-1] = nn.BatchNorm2d(width, affine=False)

    def forward(self, x: Tensor, gate: Gate) -> Tensor | None:
        if isinstance(gate, int):
            name = self.names[gate]
            return None if name == "none" else self.options[name](x)
        if self.parts == 1:
            return self._mixed(x, gate)
        mixed_channels = x.shape[1] // self.parts
        x, rest = x[:, :mixed_channels], x[:, mixed_channels:]
        mixed = self._mixed(x, gate)
        weights = gate.weights if isinstance(gate, Some) else gate
        parts = [torch.zeros_like(x) if mixed is None else mixed, weights.sum() * rest]
        return shuffle(torch.cat(parts, dim=1), self.parts)

    def _mixed(self, x: Tensor, gate: Tensor | Some) -> Tensor | None:
        total: Tensor | None = None
        for name, weight in running(gate, self.names):
            if name == "none":
                continue
            term = weight * self._run(name, x)
            total = term if total is None else total + term
        return total

    def _run(self, name: str, x: Tensor) -> Tensor:
        option = self.options[name]
        y: Tensor = option(x) if self.parts == 1 else first_channels(option, x)
        return y


def running(gate: Tensor | Some, names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """The operations, of an edge with these names, that a gate runs, with their weights."""
    if isinstance(gate, Some):
        for number, weight in zip(gate.numbers, gate.weights, strict=True):
            yield names[number], weight
    else:
        for name, weight in zip(names, gate, strict=True):
            if weight:
                yield name, weight
