"""One edge of a supernet: all operations of a decision, weighted by a gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nassim.oneshot.partial import first_channels, shuffle

__all__ = ["Gate", "Gates", "MixedOp", "Some", "without_scales"]


class Some(NamedTuple):
    """Some operations of an edge and their weights (operations,): all are run, of weight 0 too.

    So the gradient of a weight that is 0 is there as well.
    """

    numbers: tuple[int, ...]
    weights: Tensor


Gate = int | Tensor | Some
Gates = Sequence[Gate]


class MixedOp(nn.Module):
    """The operations of an edge, each with its own weights.

    A gate is the number of an operation, which alone is run, or weights (operations,), of which
    those that are not zero are run and added, or :class:`Some` operations. ``none`` has no weights
    and adds nothing, so an edge answers None where nothing else is run. With ``parts`` above 1,
    weights apply to the first of so many parts of the channels alone; the others pass by, times the
    sum of the weights, and then all are shuffled. What is not run gets no gradient (``grad`` stays
    None), so that an optimizer neither decays it nor moves it by an old momentum; its batch-norm
    statistics stay too.

    Parameters
    ----------
    options
        The operations by name, in the order of the numbers of a gate; None for ``none``.
    stride
        Of the operations: what passes by is pooled to be as small.
    affine
        Whether batch norms have a scale and a shift.
    """

    def __init__(
        self, options: Mapping[str, nn.Module | None], *, stride: int = 1, affine: bool = True
    ) -> None:
        super().__init__()
        self.names = tuple(options)
        self.stride = stride
        self.parts = 1
        self.options = nn.ModuleDict(
            {name: option for name, option in options.items() if option is not None}
        )
        if not affine:
            without_scales(self.options)

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
        if self.stride > 1:
            rest = F.max_pool2d(rest, self.stride, ceil_mode=True)
        if mixed is None:
            mixed = torch.zeros_like(x[:, :, :: self.stride, :: self.stride])
        parts = [mixed, weights.sum() * rest]
        return shuffle(torch.cat(parts, dim=1), self.parts)

    def _mixed(self, x: Tensor, gate: Tensor | Some) -> Tensor | None:
        total: Tensor | None = None
        for name, weight in self.running(gate):
            if name == "none":
                continue
            term = weight * self._run(name, x)
            total = term if total is None else total + term
        return total

    def _run(self, name: str, x: Tensor) -> Tensor:
        option = self.options[name]
        y: Tensor = option(x) if self.parts == 1 else first_channels(option, x)
        return y

    def running(self, gate: Tensor | Some) -> Iterator[tuple[str, Tensor]]:
        """The operations that a gate runs, by name, with their weights."""
        if isinstance(gate, Some):
            for number, weight in zip(gate.numbers, gate.weights, strict=True):
                yield self.names[number], weight
        else:
            for name, weight in zip(self.names, gate, strict=True):
                if weight:
                    yield name, weight


def without_scales(module: nn.Module) -> None:
    """Take scale and shift from all batch norms of a module."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.affine = False
            norm.register_parameter("weight", None)
            norm.register_parameter("bias", None)
