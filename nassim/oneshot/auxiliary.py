"""An identity beside the operations of every edge, while a mixture is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from nassim.oneshot.mixed import Gate, MixedOp
from nassim.oneshot.supernet import Supernet

__all__ = ["Auxiliary", "auxiliary"]


class Auxiliary:
    """A forward hook that adds ``weight`` times the input of an edge to its mixture.

    Where a gate chooses one operation, that one stays alone.
    """

    def __init__(self) -> None:
        self.weight = 0.0

    def __call__(
        self, _edge: nn.Module, inputs: tuple[Tensor, Gate], y: Tensor | None
    ) -> Tensor | None:
        x, gate = inputs
        if isinstance(gate, int) or self.weight == 0:
            return y
        return self.weight * x if y is None else y + self.weight * x


@contextmanager
def auxiliary(supernet: Supernet) -> Iterator[Auxiliary]:
    """Inside, each edge has a connection of a ``weight`` that one sets; it begins at 0."""
    hook = Auxiliary()
    edges = [module for module in supernet.modules() if isinstance(module, MixedOp)]
    handles = [edge.register_forward_hook(hook) for edge in edges]
    try:
        yield hook
    finally:
        for handle in handles:
            handle.remove()
