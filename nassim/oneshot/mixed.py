"""One edge of a supernet: all operations of a decision, weighted by a gate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nassim.networks.nasbench201 import operation
from nassim.oneshot.partial import first_channels, shuffle
from nassim.spaces.nasbench201 import OPERATIONS

__all__ = ["Gate", "Gates", "MixedOp"]

Gate = int | Tensor
Gates = Sequence[Gate]


class MixedOp(nn.Module):
    """The operations of an edge on images of ``width`` channels, each with its own weights.

    A gate is the number of an operation, which alone is run, or weights (operations,), of which
    those that are not zero are run and added. ``none`` has no weights and adds nothing, so an edge
    answers None where nothing else is run. With ``parts`` above 1, weights apply to the first of so
    many parts of the channels alone; the others pass by, times the sum of the weights, and then all
    are shuffled. What is not run gets no gradient (``grad`` stays None),
    so that an optimizer neither decays it nor moves it by an old momentum; its batch-norm
    statistics stay too.
    """

    def __init__(self, width: int, *, affine: bool = True) -> None:
        super().__init__()
        self.parts = 1
        self.options = nn.ModuleDict(
            {name: operation(name, width) for name in OPERATIONS if name != "none"}
        )
        if not affine:
            for sequence in self.options.values():
                if isinstance(sequence, nn.Sequential):
                    sequence[-1] = nn.BatchNorm2d(width, affine=False)

    def forward(self, x: Tensor, gate: Gate) -> Tensor | None:
        if isinstance(gate, int):
            name = OPERATIONS[gate]
            return None if name == "none" else self.options[name](x)
        if self.parts == 1:
            return self._mixed(x, gate)
        mixed_channels = x.shape[1] // self.parts
        x, rest = x[:, :mixed_channels], x[:, mixed_channels:]
        mixed = self._mixed(x, gate)
        parts = [torch.zeros_like(x) if mixed is None else mixed, gate.sum() * rest]
        return shuffle(torch.cat(parts, dim=1), self.parts)

    def _mixed(self, x: Tensor, gate: Tensor) -> Tensor | None:
        total: Tensor | None = None
        for name, weight in zip(OPERATIONS, gate, strict=True):
            if name == "none" or not weight:
                continue
            term = weight * self._run(name, x)
            total = term if total is None else total + term
        return total

    def _run(self, name: str, x: Tensor) -> Tensor:
        option = self.options[name]
        y: Tensor = option(x) if self.parts == 1 else first_channels(option, x)
        return y
